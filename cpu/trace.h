/* SPDX-License-Identifier: MIT */
/* What -d in_asm and -d exec show. */
#pragma once

#include "cpu/blocks.h"

/* A new block: its instructions, disassembled where that is built in, else as bytes. */
void trace_block(Cpu *cpu, const Block *b);
/* The instruction at s.eip, the first of b, is about to be executed. */
void trace_exec(Cpu *cpu, const Block *b);

static inline bool trace_on(const Cpu *cpu, uint32_t mask)
{
    return log_on(&cpu->dev.m->log, mask);
}
