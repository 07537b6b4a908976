#!/bin/sh
# Rebuilds the programs here on Debian 12. Needs no root, but these packages:
#
#   apt-get install --no-install-recommends clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 binutils
set -eu

COMPILE="clang-19 --target=wasm32-wasi -std=gnu17 -O2 -Wall -Wextra -Werror -Wl,--strip-debug,--stack-first"

cd "$(dirname "$0")"
for source in src/*.c; do
  name=$(basename "$source" .c)
  # Deep recursion needs a deep stack of the guest's own.
  $COMPILE -Wl,-z,stack-size=8388608 "$source" -o "$name.wasm"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
as --32 -o "$work/hot.o" src/hot.s
ld -m elf_i386 -Ttext 0x7c00 -o "$work/hot.elf" "$work/hot.o"
objcopy -O binary -j .text "$work/hot.elf" hot.bin

chmod 644 ./*.wasm hot.bin
sha256sum -- *.wasm hot.bin
