/* SPDX-License-Identifier: MIT */
/* Pairs of instructions as one handler: see fuse.c. */
#pragma once

#include "cpu/decode.h"

/* The last two instructions of a block: fuses them where there is a handler for both. */
void fuse_pair(Insn *first, const Insn *jcc);
/* Gives an instruction that is not a block's last one its own handler back. */
void fuse_undo(Insn *first);
