#!/usr/bin/env bash
# The core's own tests under the address and undefined-behaviour sanitizers, with every warning an error.
set -euo pipefail
cd "$(dirname "$0")"
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
"${CC:-cc}" -std=c11 -O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all \
    ./*.c -o "$build/test_core" -lm
"$build/test_core"
