#!/bin/sh
# Assembles the boot sectors. Needs binutils; tests use what is committed.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for source in *.s; do
  name=${source%.s}
  as --32 -o "$work/$name.o" "$source"
  ld -m elf_i386 -Ttext 0x7c00 -o "$work/$name.elf" "$work/$name.o"
  objcopy -O binary -j .text "$work/$name.elf" "$work/$name.bin"
  install -m 644 "$work/$name.bin" .
done
