#!/usr/bin/env bash
# The core's own tests, and random input for some seconds (10 if not told), under the address and undefined-behaviour
# sanitizers, with every warning an error.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-10}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
strict=(-std=c11 -ffp-contract=off -g -O2 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all)
strict+=(-Iinclude -Isrc -Itests)
compiler=${CC:-cc}
mapfile -t sources < <(find src -name '*.c' | sort)
sources+=(tests/networks.c)
for source in "${sources[@]}"; do
    "$compiler" "${strict[@]}" -c "$source" -o "$build/$(tr / _ <<<"${source%.c}").o"
done
for test in tests/test_*.c; do
    "$compiler" "${strict[@]}" "$test" "$build"/*.o -o "$build/test" -lm
    "$build/test"
done
"$compiler" "${strict[@]}" fuzz/fuzz_core.c "$build"/*.o -o "$build/fuzz" -lm
"$build/fuzz" "$seconds"
