#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes an option ROM into C: sets its two checksums, then writes NAME_rom and NAME_rom_size.
#   embed.sh NAME FILE.bin > FILE.c
# A ROM's bytes sum up to 0; so do those of its expansion header, which 1Ah points to.
set -e
od -An -v -tu1 -w1 "$2" | awk -v name="$1" '
{ byte[NR - 1] = $1 + 0 }
END {
    if (NR == 0 || NR % 512 || byte[2] * 512 != NR) {
        print "embed.sh: the ROM is not as long as its header says" > "/dev/stderr"
        exit 1
    }
    header = byte[26] + 256 * byte[27]
    sum = 0
    for (i = 0; i < 32; i++) sum += byte[header + i]
    byte[header + 9] = (256 - sum % 256) % 256
    sum = 0
    for (i = 0; i < NR - 1; i++) sum += byte[i]
    byte[NR - 1] = (256 - sum % 256) % 256
    printf "#include \"hw/boot_kernel.h\"\n\nconst uint8_t %s_rom[] = {", name
    for (i = 0; i < NR; i++) printf "%s%d,", i % 16 ? " " : "\n    ", byte[i]
    printf "\n};\nconst size_t %s_rom_size = sizeof(%s_rom);\n", name, name
}'
