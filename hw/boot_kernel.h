/* SPDX-License-Identifier: MIT */
/* -kernel: what linux_boot.c and multiboot.c share. */
#pragma once

#include "hw/board.h"

/* Option ROMs, built from hw/rom/NAME.S. */
extern const uint8_t linuxboot_rom[], multiboot_rom[];
extern const size_t linuxboot_rom_size, multiboot_rom_size;

bool boot_read_file(const char *path, uint8_t **data, size_t *len, Error *err);
/* An option ROM that is booted first. */
bool boot_add_rom(Board *b, const char *name, const uint8_t *rom, size_t len, Error *err);

bool multiboot_is(const uint8_t *image, size_t len);
bool multiboot_load(Board *b, const uint8_t *image, size_t len, Error *err);
