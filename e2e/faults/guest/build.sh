#!/bin/sh
# Rebuilds the guest of the fault harness on Debian 12, with the packages that examples/guests/build.sh names.
set -eu
cd "$(dirname "$0")"
clang-19 --target=wasm32-wasi -std=gnu17 -O2 -Wall -Wextra -Werror -Wl,--strip-debug,--stack-first \
  -Wl,-z,stack-size=65536 counted.c -o counted.wasm
chmod 644 counted.wasm
