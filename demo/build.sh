#!/bin/sh
# SPDX-License-Identifier: MIT
# Assembles the demo guest: build.sh SRC-DIR OUT.img gives a raw 4 MiB disk.
set -eu

src=$1 out=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# flat NAME ADDRESS: assembles NAME.S to the flat binary NAME.bin
flat() {
    as --32 -o "$tmp/$1.o" "$src/$1.S"
    ld -m elf_i386 -Ttext "$2" --oformat binary -o "$tmp/$1.bin" "$tmp/$1.o"
}
flat boot 0x7c00
flat demo 0x10000

truncate -s 4M "$tmp/disk"
dd if="$tmp/boot.bin" of="$tmp/disk" conv=notrunc status=none
dd if="$tmp/demo.bin" of="$tmp/disk" bs=512 seek=1 conv=notrunc status=none
mv "$tmp/disk" "$out"
