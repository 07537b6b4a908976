#!/bin/sh
# Rebuilds the kernels here on Debian 12. Needs no root, but these packages:
#
#   apt-get install --no-install-recommends clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32
set -eu

COMPILE="clang-19 --target=wasm32-wasi -std=gnu17 -O2 -Wall -Wextra -Werror -Wl,--strip-debug,--stack-first"

cd "$(dirname "$0")"
for source in src/*.c; do
  name=$(basename "$source" .c)
  # Deep recursion needs a deep stack of the guest's own.
  $COMPILE -Wl,-z,stack-size=8388608 "$source" -o "$name.wasm"
done
chmod 644 ./*.wasm
sha256sum -- *.wasm
