/* SPDX-License-Identifier: MIT */
/* SSSE3 on MMX registers.  Source: Intel SDM volume 2.  Each operation is the host's own. */
#include "cpu/mmx.h"

typedef uint64_t MmxFn(uint64_t a, uint64_t b);

#define SSSE3(name)                                                                                \
    static uint64_t ssse3_##name(uint64_t a, uint64_t b)                                           \
    {                                                                                              \
        __asm__ volatile("movq %0, %%mm0\n\tmovq %1, %%mm1\n\t" #name                              \
                         " %%mm1, %%mm0\n\tmovq %%mm0, %0\n\temms"                                 \
                         : "+r"(a)                                                                 \
                         : "r"(b)                                                                  \
                         : "mm0", "mm1");                                                          \
        return a;                                                                                  \
    }
SSSE3(pshufb)
SSSE3(phaddw)
SSSE3(phaddd)
SSSE3(phaddsw)
SSSE3(pmaddubsw)
SSSE3(phsubw)
SSSE3(phsubd)
SSSE3(phsubsw)
SSSE3(psignb)
SSSE3(psignw)
SSSE3(psignd)
SSSE3(pmulhrsw)
SSSE3(pabsb)
SSSE3(pabsw)
SSSE3(pabsd)

/* By the last opcode byte of 0F 38 xx. */
static MmxFn *const ssse3_table[32] = {
    ssse3_pshufb,
    ssse3_phaddw,
    ssse3_phaddd,
    ssse3_phaddsw,
    ssse3_pmaddubsw,
    ssse3_phsubw,
    ssse3_phsubd,
    ssse3_phsubsw,
    ssse3_psignb,
    ssse3_psignw,
    ssse3_psignd,
    ssse3_pmulhrsw,
    [0x1c] = ssse3_pabsb,
    [0x1d] = ssse3_pabsw,
    [0x1e] = ssse3_pabsd,
};

/* Both operands behind one another, from byte n on. */
static uint64_t ssse3_align(uint64_t high, uint64_t low, unsigned n)
{
    unsigned __int128 v = (unsigned __int128)high << 64 | low;

    return n < 16 ? (uint64_t)(v >> 8 * n) : 0;
}

void op_mmx_ssse3(Cpu *cpu, const Insn *in)
{
    unsigned reg = in->modrm >> 3 & 7;
    uint64_t a, b;

    mmx_check(cpu, in);
    a = cpu->s.fpregs[reg].mant;
    b = mmx_read_rm(cpu, in);
    mmx_write(cpu, reg,
        in->op == 0x0f ? ssse3_align(a, b, (unsigned)in->imm) : ssse3_table[in->op](a, b));
}
