/* SPDX-License-Identifier: MIT */
/* Disassembly for `x /i` and `xp /i`. */
#pragma once

/* Bytes of an instruction, at most. */
enum { DISAS_MAX = 15 };

#include "core/command.h"

/* Prints count instructions from addr, in the mode the CPU is in now. */
void disas_print(Machine *m, Sink *out, bool physical, uint64_t addr, int count);
