/* SPDX-License-Identifier: MIT */
/*
 * Later instructions on general registers: POPCNT, CRC32, MOVBE, RDRAND and RDSEED.  Source: Intel
 * SDM volume 2.
 */
#include <sys/random.h>

#include "cpu/operand.h"

static void count_flags(Cpu *cpu, uint32_t flags)
{
    cpu->s.eflags = (cpu->s.eflags & ~(uint64_t)FLAGS_ARITH) | flags;
    cpu->cc_kind = CC_EFLAGS;
}

void op_popcnt(Cpu *cpu, const Insn *in)
{
    uint64_t v = insn_read_rm(cpu, in, in->opsize);

    cpu_write_reg(cpu, in->reg, (uint64_t)__builtin_popcountll(v), in->opsize, true);
    count_flags(cpu, v ? 0 : FLAG_ZF);
}

/* The polynomial 11EDC6F41h, bits reflected. */
void op_crc32(Cpu *cpu, const Insn *in)
{
    unsigned size = (in->op == 0xf0) ? 1 : in->opsize;
    uint64_t v = insn_read_rm(cpu, in, size);
    uint32_t crc = (uint32_t)cpu->s.regs[in->reg];

    for (unsigned i = 0; i < size; i++, v >>= 8) {
        crc ^= (uint8_t)v;
        for (unsigned k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    cpu->s.regs[in->reg] = crc;
}

/* -- MOVBE -- */

static uint64_t count_swap(uint64_t v, unsigned size)
{
    return __builtin_bswap64(v) >> (64 - 8 * size);
}

void op_movbe_load(Cpu *cpu, const Insn *in)
{
    cpu_write_reg(
        cpu, in->reg, count_swap(insn_read_rm(cpu, in, in->opsize), in->opsize), in->opsize, true);
}

void op_movbe_store(Cpu *cpu, const Insn *in)
{
    insn_write_rm(
        cpu, in, count_swap(cpu_read_reg(cpu, in->reg, in->opsize, true), in->opsize), in->opsize);
}

/* -- random numbers -- */

/* With -icount a run has to be repeatable: the number depends on when it is asked for, and on
 * nothing else. */
static uint64_t count_random(const Cpu *cpu)
{
    const Clock *clock = &cpu->dev.m->clock;
    uint64_t v;

    if (!clock->icount && getrandom(&v, sizeof(v), 0) == sizeof(v)) return v;
    v = (uint64_t)clock_insns(clock) * 0x9e3779b97f4a7c15;
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
    v = (v ^ v >> 27) * 0x94d049bb133111eb;
    return v ^ v >> 31;
}

void op_rdrand(Cpu *cpu, const Insn *in)
{
    if (in->rep) cpu_raise(cpu, EXC_UD, 0);
    cpu_write_reg(cpu, in->rm, count_random(cpu), in->opsize, true);
    count_flags(cpu, FLAG_CF);
}
