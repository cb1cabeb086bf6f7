#!/usr/bin/env bash
# The core's own tests, and random input for some seconds (10 if not told), under the address and undefined-behaviour
# sanitizers, with every warning an error.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-10}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
strict=(-std=c11 -ffp-contract=off -g -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all)
strict+=(-Iinclude -Isrc)
mapfile -t sources < <(find src -name '*.c' | sort)
"${CC:-cc}" "${strict[@]}" -O1 "${sources[@]}" tests/test_core.c -o "$build/test_core" -lm
"$build/test_core"

"${CC:-cc}" "${strict[@]}" -O2 "${sources[@]}" fuzz/fuzz_core.c -o "$build/fuzz_core" -lm
"$build/fuzz_core" "$seconds"

for each in tests/test_model_file fuzz/fuzz_model_file; do
    "${CC:-cc}" "${strict[@]}" -Itests -O1 "${sources[@]}" tests/{networks,write_model}.c "$each.c" -o "$build/each" -lm
    "$build/each" "$seconds"
done
