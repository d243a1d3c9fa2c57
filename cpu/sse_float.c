/* SPDX-License-Identifier: MIT */
/*
 * SSE: arithmetic, comparisons and shuffles of floating-point numbers.  Source: Intel SDM volume 2.
 * The approximations (RCP, RSQRT) are the host's, which differ between makers.
 */
#include "cpu/sse.h"

#include "cpu/flags.h"

enum { TINY_PS = SSE_FLOAT | SSE_TINY | SSE_SINGLE, TINY_PD = SSE_FLOAT | SSE_TINY };

#define PS(name, kind) SSE_HOST(name, #name, 16, kind)
#define SS(name, kind) SSE_HOST(name, #name, 4, (kind) | SSE_SCALAR)
#define SD(name, kind) SSE_HOST(name, #name, 8, (kind) | SSE_SCALAR)

#define ARITH(op)                                                                                  \
    PS(op##ps, TINY_PS)                                                                            \
    PS(op##pd, TINY_PD)                                                                            \
    SS(op##ss, TINY_PS)                                                                            \
    SD(op##sd, TINY_PD)
ARITH(add)
ARITH(mul)
ARITH(sub)
ARITH(div)

#define ORDER(op)                                                                                  \
    PS(op##ps, SSE_FLOAT)                                                                          \
    PS(op##pd, SSE_FLOAT)                                                                          \
    SS(op##ss, SSE_FLOAT)                                                                          \
    SD(op##sd, SSE_FLOAT)
ORDER(min)
ORDER(max)
ORDER(sqrt)

PS(rcpps, 0)
SS(rcpss, 0)
PS(rsqrtps, 0)
SS(rsqrtss, 0)

PS(andps, 0)
PS(andpd, 0)
PS(andnps, 0)
PS(andnpd, 0)
PS(orps, 0)
PS(orpd, 0)
PS(xorps, 0)
PS(xorpd, 0)
PS(unpcklps, 0)
PS(unpcklpd, 0)
PS(unpckhps, 0)
PS(unpckhpd, 0)

PS(addsubps, TINY_PS)
PS(addsubpd, TINY_PD)
PS(haddps, TINY_PS)
PS(haddpd, TINY_PD)
PS(hsubps, TINY_PS)
PS(hsubpd, TINY_PD)

SSE_HOST_IMM(cmpps, "cmpps", 16, SSE_FLOAT)
SSE_HOST_IMM(cmppd, "cmppd", 16, SSE_FLOAT)
SSE_HOST_IMM(cmpss, "cmpss", 4, SSE_FLOAT)
SSE_HOST_IMM(cmpsd, "cmpsd", 8, SSE_FLOAT)
SSE_HOST_IMM(shufps, "shufps", 16, 0)
SSE_HOST_IMM(shufpd, "shufpd", 16, 0)

/* -- DPPS and DPPD: products, then sums of two, each with its own exceptions -- */

SSE_STUBS(dpps, "dpps")
SSE_STUB_CORE(dpps, 16)
SSE_STUBS(dppd, "dppd")
SSE_STUB_CORE(dppd, 16)

/* Keeps the elements that mask names, of bytes each. */
static void dot_select(XmmReg *v, unsigned mask, unsigned bytes)
{
    for (unsigned i = 0; i < 16 / bytes; i++) {
        if (!(mask >> i & 1)) memset((char *)v + i * bytes, 0, bytes);
    }
}

/* Raises what a step raises; MXCSR collects its flags. */
static void dot_exceptions(Cpu *cpu, XmmReg a, XmmReg b, unsigned imm, bool single)
{
    unsigned kind = single ? TINY_PS : TINY_PD, bytes = single ? 4 : 8;
    SseCore *add = single ? addps_core : addpd_core;

    dot_select(&a, imm >> 4, bytes);
    dot_select(&b, imm >> 4, bytes);
    sse_float(cpu, single ? mulps_core : mulpd_core, kind, &a, &b, 0);
    for (unsigned step = bytes; step < 16; step *= 2) {
        memset(&b, 0, 16);
        memcpy(&b, (const char *)&a + step, 16 - step);
        dot_select(&a, step == 4 ? 5 : 1, bytes);
        dot_select(&b, step == 4 ? 5 : 1, bytes);
        sse_float(cpu, add, kind, &a, &b, 0);
    }
}

static void dot_general(Cpu *cpu, const Insn *in, SseCore *core, bool single)
{
    unsigned imm = (unsigned)in->imm;
    XmmReg d, s;

    sse_check(cpu);
    s = sse_read_rm(cpu, in, 16);
    d = cpu->s.xmm[in->reg];
    if (!cpu->sse_live) dot_exceptions(cpu, d, s, imm, single);
    sse_float(cpu, core, SSE_FLOAT, &d, &s, imm);
    cpu->s.xmm[in->reg] = d;
}

static void dpps_general(Cpu *cpu, const Insn *in) { dot_general(cpu, in, dpps_core, true); }
SSE_FORMS(dpps, dpps_core, dpps_core, 16 | SSE_FLOAT, dpps_general)
static void dppd_general(Cpu *cpu, const Insn *in) { dot_general(cpu, in, dppd_core, false); }
SSE_FORMS(dppd, dppd_core, dppd_core, 16 | SSE_FLOAT, dppd_general)

/* -- comparisons that set EFLAGS -- */

static inline void float_set_flags(Cpu *cpu, uint64_t flags)
{
    cpu->s.eflags = (cpu->s.eflags & ~(uint64_t)FLAGS_ARITH) | flags;
    cpu->cc_kind = CC_EFLAGS;
}

#define COMPARE(name, insn, size)                                                                  \
    static inline __attribute__((always_inline))                                                   \
    uint32_t name##_flags(const void *a, const void *b)                                            \
    {                                                                                              \
        bool z, p, c;                                                                              \
                                                                                                   \
        __asm__ volatile(insn " %4, %3"                                                            \
                         : "=@ccz"(z), "=@ccp"(p), "=@ccc"(c)                                      \
                         : "x"(sse_get(a)), "x"(sse_get_##size(b)));                               \
        return (z ? FLAG_ZF : 0) | (p ? FLAG_PF : 0) | (c ? FLAG_CF : 0);                          \
    }                                                                                              \
    SSE_CORE(name##_core)                                                                          \
    {                                                                                              \
        (void)imm;                                                                                 \
        d->q[0] = name##_flags(d, s);                                                              \
    }                                                                                              \
    COMPARE_MEM(name, base, size)                                                                  \
    COMPARE_MEM(name, sib, size)                                                                   \
    COMPARE_MEM(name, lbase, size)                                                                 \
    COMPARE_MEM(name, lsib, size)                                                                  \
    HANDLER(name##_reg)                                                                            \
    {                                                                                              \
        SSE_READY(cpu, in, SSE_FLOAT);                                                             \
        float_set_flags(cpu, name##_flags(&cpu->s.xmm[in->reg], &cpu->s.xmm[in->rm]));             \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    static void name##_general(Cpu *cpu, const Insn *in)                                           \
    {                                                                                              \
        XmmReg d, s;                                                                               \
                                                                                                   \
        sse_check(cpu);                                                                            \
        s = sse_read_rm(cpu, in, size);                                                            \
        d = cpu->s.xmm[in->reg];                                                                   \
        sse_float(cpu, name##_core, SSE_FLOAT, &d, &s, 0);                                         \
        float_set_flags(cpu, d.q[0]);                                                              \
    }                                                                                              \
    const SseOp sse_##name = { SSE_FAST(name), name##_general };
#define COMPARE_MEM(name, addr, size)                                                              \
    HANDLER(name##_##addr)                                                                         \
    {                                                                                              \
        const void *p = HOST_AT_##addr(cpu, rd, LIN_##addr(cpu, in, size, false), size);           \
                                                                                                   \
        SSE_READY(cpu, in, SSE_FLOAT);                                                             \
        if (UNLIKELY(!p)) TAIL_CALL(op_mid, cpu, in);                                              \
        float_set_flags(cpu, name##_flags(&cpu->s.xmm[in->reg], p));                               \
        NEXT(cpu, in);                                                                             \
    }
COMPARE(ucomiss, "ucomiss", 4)
COMPARE(comiss, "comiss", 4)
COMPARE(ucomisd, "ucomisd", 8)
COMPARE(comisd, "comisd", 8)
