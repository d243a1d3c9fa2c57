/* SPDX-License-Identifier: MIT */
/* SSE: conversions.  Source: Intel SDM volume 2. */
#include "cpu/sse.h"
#include "cpu/mmx.h"

#define CONVERT(name, size, kind) SSE_HOST(name, #name, size, SSE_FLOAT | (kind))

CONVERT(cvtdq2ps, 16, 0)
CONVERT(cvtps2dq, 16, 0)
CONVERT(cvttps2dq, 16, 0)
CONVERT(cvtps2pd, 8, 0)
CONVERT(cvtpd2ps, 16, SSE_TINY | SSE_SINGLE | SSE_LOW_HALF)
CONVERT(cvtss2sd, 4, 0)
CONVERT(cvtsd2ss, 8, SSE_TINY | SSE_SINGLE | SSE_SCALAR)
CONVERT(cvtpd2dq, 16, 0)
CONVERT(cvttpd2dq, 16, 0)
SSE_HOST(cvtdq2pd, "cvtdq2pd", 8, 0)

/* -- to a general register -- */

#define TO_GENERAL(name, size)                                                                     \
    static inline __attribute__((always_inline)) uint64_t name##_value(const void *s, bool wide)   \
    {                                                                                              \
        uint64_t r64;                                                                              \
        uint32_t r32;                                                                              \
                                                                                                   \
        if (wide) {                                                                                \
            __asm__ volatile(#name " %1, %q0" : "=r"(r64) : "x"(sse_get_##size(s)));               \
            return r64;                                                                            \
        }                                                                                          \
        __asm__ volatile(#name " %1, %k0" : "=r"(r32) : "x"(sse_get_##size(s)));                   \
        return r32;                                                                                \
    }                                                                                              \
    SSE_CORE(name##_core) { d->q[0] = name##_value(s, imm); }                                      \
    TO_GENERAL_MEM(name, base, size)                                                               \
    TO_GENERAL_MEM(name, sib, size)                                                                \
    TO_GENERAL_MEM(name, lbase, size)                                                              \
    TO_GENERAL_MEM(name, lsib, size)                                                               \
    HANDLER(name##_reg)                                                                            \
    {                                                                                              \
        SSE_READY(cpu, in, SSE_FLOAT);                                                             \
        cpu->s.regs[in->reg] = name##_value(&cpu->s.xmm[in->rm], in->opsize == 8);                 \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    static void name##_general(Cpu *cpu, const Insn *in)                                           \
    {                                                                                              \
        XmmReg d = { { 0, 0 } }, s;                                                                \
                                                                                                   \
        sse_check(cpu);                                                                            \
        s = sse_read_rm(cpu, in, size);                                                            \
        sse_float(cpu, name##_core, SSE_FLOAT, &d, &s, in->opsize == 8);                           \
        cpu->s.regs[in->reg] = d.q[0];                                                             \
    }                                                                                              \
    const SseOp sse_##name = { SSE_FAST(name), name##_general };
#define TO_GENERAL_MEM(name, addr, size)                                                           \
    HANDLER(name##_##addr)                                                                         \
    {                                                                                              \
        const void *p = HOST_AT_##addr(cpu, rd, LIN_##addr(cpu, in, size, false), size);           \
                                                                                                   \
        SSE_READY(cpu, in, SSE_FLOAT);                                                             \
        if (UNLIKELY(!p)) TAIL_CALL(op_mid, cpu, in);                                              \
        cpu->s.regs[in->reg] = name##_value(p, in->opsize == 8);                                   \
        NEXT(cpu, in);                                                                             \
    }
TO_GENERAL(cvtss2si, 4)
TO_GENERAL(cvttss2si, 4)
TO_GENERAL(cvtsd2si, 8)
TO_GENERAL(cvttsd2si, 8)

/* -- from a general register or memory -- */

#define FROM_GENERAL(name)                                                                         \
    static inline                                                                                  \
        __attribute__((always_inline)) void name##_do(XmmReg *d, const void *s, bool wide)         \
    {                                                                                              \
        __m128i a = sse_get(d);                                                                    \
                                                                                                   \
        if (wide) {                                                                                \
            __asm__ volatile(#name "q %1, %0" : "+x"(a) : "r"(*(const Mem64 *)s));                 \
        } else {                                                                                   \
            __asm__ volatile(#name "l %1, %0" : "+x"(a) : "r"(*(const Mem32 *)s));                 \
        }                                                                                          \
        sse_put(d, a);                                                                             \
    }                                                                                              \
    SSE_CORE(name##_core) { name##_do(d, s, imm); }                                                \
    FROM_GENERAL_MEM(name, base)                                                                   \
    FROM_GENERAL_MEM(name, sib)                                                                    \
    FROM_GENERAL_MEM(name, lbase)                                                                  \
    FROM_GENERAL_MEM(name, lsib)                                                                   \
    HANDLER(name##_reg)                                                                            \
    {                                                                                              \
        SSE_READY(cpu, in, SSE_FLOAT);                                                             \
        name##_do(&cpu->s.xmm[in->reg], &cpu->s.regs[in->rm], in->opsize == 8);                    \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    static void name##_general(Cpu *cpu, const Insn *in)                                           \
    {                                                                                              \
        XmmReg d, s = { { 0, 0 } };                                                                \
                                                                                                   \
        sse_check(cpu);                                                                            \
        s.q[0] = insn_read_rm(cpu, in, in->opsize);                                                \
        d = cpu->s.xmm[in->reg];                                                                   \
        sse_float(cpu, name##_core, SSE_FLOAT, &d, &s, in->opsize == 8);                           \
        cpu->s.xmm[in->reg] = d;                                                                   \
    }                                                                                              \
    const SseOp sse_##name = { SSE_FAST(name), name##_general };
#define FROM_GENERAL_MEM(name, addr)                                                               \
    HANDLER(name##_##addr)                                                                         \
    {                                                                                              \
        const void *p =                                                                            \
            HOST_AT_##addr(cpu, rd, LIN_##addr(cpu, in, in->opsize, false), in->opsize);           \
                                                                                                   \
        SSE_READY(cpu, in, SSE_FLOAT);                                                             \
        if (UNLIKELY(!p)) TAIL_CALL(op_mid, cpu, in);                                              \
        name##_do(&cpu->s.xmm[in->reg], p, in->opsize == 8);                                       \
        NEXT(cpu, in);                                                                             \
    }
FROM_GENERAL(cvtsi2ss)
FROM_GENERAL(cvtsi2sd)

/* -- to and from MMX registers: they switch the x87 to MMX -- */

/* CVTPI2PS changes the low half alone; done as the host does it, from an MMX register.  With a
 * memory operand processors leave the x87 alone (though manuals tell so of CVTPI2PD only). */
SSE_CORE(cvtpi2ps_core)
{
    __m128i a = sse_get(d);

    (void)imm;
    __asm__ volatile("movq %1, %%mm0\n\tcvtpi2ps %%mm0, %0\n\temms"
                     : "+x"(a)
                     : "m"(*(const Mem64 *)s)
                     : "mm0");
    sse_put(d, a);
}

static void op_cvtpi2ps(Cpu *cpu, const Insn *in)
{
    XmmReg d, s = { { 0, 0 } };

    sse_check(cpu);
    if (in->modrm >= 0xc0) cpu_fpu_check(cpu);
    s.q[0] = mmx_read_rm(cpu, in);
    d = cpu->s.xmm[in->reg];
    if (in->modrm >= 0xc0) mmx_enter(cpu); /* even where an exception follows */
    sse_float(cpu, cvtpi2ps_core, SSE_FLOAT, &d, &s, 0);
    cpu->s.xmm[in->reg] = d;
}
const SseOp sse_cvtpi2ps = { { NULL }, op_cvtpi2ps };

/* CVTPI2PD is exact. */
static void op_cvtpi2pd(Cpu *cpu, const Insn *in)
{
    XmmReg s = { { 0, 0 } };

    sse_check(cpu);
    if (in->modrm >= 0xc0) cpu_fpu_check(cpu);
    s.q[0] = mmx_read_rm(cpu, in);
    if (in->modrm >= 0xc0) mmx_enter(cpu);
    cvtdq2pd_core(&cpu->s.xmm[in->reg], &s, 0);
}
const SseOp sse_cvtpi2pd = { { NULL }, op_cvtpi2pd };

/* To an MMX register: what the form with an XMM one leaves in its low half. */
#define TO_MMX(name, core, bytes)                                                                  \
    static void op_##name(Cpu *cpu, const Insn *in) { convert_to_mmx(cpu, in, core, bytes); }      \
    const SseOp sse_##name = { { NULL }, op_##name };

static void convert_to_mmx(Cpu *cpu, const Insn *in, SseCore *core, unsigned bytes)
{
    XmmReg d = { { 0, 0 } }, s;

    sse_check(cpu);
    cpu_fpu_check(cpu);
    s = sse_read_rm(cpu, in, bytes);
    if (bytes == 8) s.q[1] = 0; /* the upper numbers do not count */
    mmx_enter(cpu);             /* even where an exception follows */
    sse_float(cpu, core, SSE_FLOAT, &d, &s, 0);
    mmx_write(cpu, in->reg, d.q[0]);
}
TO_MMX(cvtps2pi, cvtps2dq_core, 8)
TO_MMX(cvttps2pi, cvttps2dq_core, 8)
TO_MMX(cvtpd2pi, cvtpd2dq_core, 16)
TO_MMX(cvttpd2pi, cvttpd2dq_core, 16)
