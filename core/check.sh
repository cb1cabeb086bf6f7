#!/usr/bin/env bash
# The core's own tests, and random input for some seconds each (10 if not told), under the address and undefined-behaviour
# sanitizers, with every warning an error.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-10}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
strict=(-std=c11 -ffp-contract=off -g -O2 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all)
strict+=(-Iinclude -Isrc -Itests -DPERCEPNET_THREADS -pthread)
compiler=${CC:-cc}
mapfile -t sources < <(find src -name '*.c' | sort)
sources+=(tests/networks.c tests/model_files.c)
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -I{} sh -c \
    'object=$(echo "$1" | tr / _); shift; "$@" -o "'"$build"'/${object%.c}.o"' sh {} "$compiler" "${strict[@]}" -c {}
for test in tests/test_*.c; do
    "$compiler" "${strict[@]}" "$test" "$build"/*.o -o "$build/test" -lm
    "$build/test"
done
fuzzers=()
for fuzz in fuzz/fuzz_*.c; do # at once: each waits for the clock
    program=$build/$(basename "$fuzz" .c)
    "$compiler" "${strict[@]}" "$fuzz" "$build"/*.o -o "$program" -lm
    "$program" "$seconds" &
    fuzzers+=($!)
done
for fuzzer in "${fuzzers[@]}"; do
    wait "$fuzzer"
done
