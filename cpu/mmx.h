/* SPDX-License-Identifier: MIT */
/* MMX registers, for instructions that use them beside others. */
#pragma once

#include "cpu/x87.h"

/* Every register is in use, and the x87's stack starts at R0. */
static inline void mmx_enter(Cpu *cpu)
{
    cpu->s.fpstt = 0;
    cpu->s.fptags = 0xff;
}

static inline void mmx_write(Cpu *cpu, unsigned reg, uint64_t val)
{
    mmx_enter(cpu);
    cpu->s.fpregs[reg & 7] = (FpReg){ val, 0xffff };
}

static inline uint64_t mmx_read_rm(Cpu *cpu, const Insn *in)
{
    if (in->modrm >= 0xc0) return cpu->s.fpregs[in->modrm & 7].mant;
    return cpu_load(cpu, insn_lin(cpu, in, 8, false), 8);
}

/* #UD, #NM and a pending x87 exception. */
void mmx_check(Cpu *cpu, const Insn *in);
