/* SPDX-License-Identifier: MIT */
/* Sizes for people. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "273 KiB", "1.5 GiB", "0 B": three significant digits, as QEMU's tools print them. */
void size_format(uint64_t bytes, char *buf, size_t len);
