/* SPDX-License-Identifier: MIT */
/* What the firmware tries to boot from, by bootindex=: the lines of fw_cfg's file "bootorder". */
#pragma once

#include "core/machine.h"

/* The device with this path (as Open Firmware writes them) comes at this place; a negative index
 * means that it has none.  False where another device has it. */
bool boot_order_add(Machine *m, int32_t index, const char *path, Error *err);
/* The path of the ISA bus: with or without PCI around it. */
const char *boot_order_isa(Machine *m);
/* Appends the lines in their order. */
void boot_order_put(Machine *m, GString *to);
