/* SPDX-License-Identifier: MIT */
/* Disassembly for `x /i` and `xp /i`. */
#pragma once

#include "core/command.h"

/* Prints count instructions from addr, in the mode the CPU is in now. */
void disas_print(Machine *m, Sink *out, bool physical, uint64_t addr, int count);
