/* SPDX-License-Identifier: MIT */
/*
 * x87: add, subtract, multiply, divide, with register and memory operands.  Source: Intel SDM
 * volume 1 chapters 4 and 8.
 */
#include "cpu/x87.h"

enum { EXP_BIAS = 16383, EXP_WRAP = 24576, EXP_MASK = 0x7fff };

/* The operation on ST(0) with a register: the host's ST(1).  n: ModRM.reg. */
#define ARITH_ST0(n)                                                                               \
    static uint16_t arith_st0_##n(const FpReg *a, const void *b, FpReg *r)                         \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%2)\n\tfldt (%1)\n\t.byte 0xd8, 0xc1 + 8 * " #n "\n\t"             \
                         "fnstsw %%ax\n\tfstpt (%3)\n\tfstp %%st(0)"                               \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(b), "r"(r)                                                  \
                         : "memory");                                                              \
        return sw;                                                                                 \
    }
/* On ST(i), which is b, with ST(0). */
#define ARITH_STI(n)                                                                               \
    static uint16_t arith_sti_##n(const FpReg *a, const void *b, FpReg *r)                         \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%2)\n\tfldt (%1)\n\t.byte 0xdc, 0xc1 + 8 * " #n "\n\t"             \
                         "fnstsw %%ax\n\tfstp %%st(0)\n\tfstpt (%3)"                               \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(b), "r"(r)                                                  \
                         : "memory");                                                              \
        return sw;                                                                                 \
    }
#define ARITH_MEM(form, n, insn)                                                                   \
    static uint16_t arith_##form##_##n(const FpReg *a, const void *b, FpReg *r)                    \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%1)\n\t" insn " (%2)\n\tfnstsw %%ax\n\tfstpt (%3)"                 \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(b), "r"(r)                                                  \
                         : "memory");                                                              \
        return sw;                                                                                 \
    }
#define ARITH_ALL(n, name)                                                                         \
    ARITH_ST0(n)                                                                                   \
    ARITH_STI(n)                                                                                   \
    ARITH_MEM(m32, n, "f" name "s")                                                                \
    ARITH_MEM(m64, n, "f" name "l")                                                                \
    ARITH_MEM(i16, n, "fi" name "s")                                                               \
    ARITH_MEM(i32, n, "fi" name "l")
ARITH_ALL(0, "add")
ARITH_ALL(1, "mul")
ARITH_ALL(4, "sub")
ARITH_ALL(5, "subr")
ARITH_ALL(6, "div")
ARITH_ALL(7, "divr")

#define ARITH_TABLE(form)                                                                          \
    static X87Binary *const arith_##form[8] = { arith_##form##_0, arith_##form##_1, NULL, NULL,    \
        arith_##form##_4, arith_##form##_5, arith_##form##_6, arith_##form##_7 }
ARITH_TABLE(st0);
ARITH_TABLE(sti);
ARITH_TABLE(m32);
ARITH_TABLE(m64);
ARITH_TABLE(i16);
ARITH_TABLE(i32);

/* -- unmasked overflow and underflow: the result's exponent wraps by 24576 -- */

static void arith_normalize(FpReg *v, int32_t *exp)
{
    *exp = v->exp & EXP_MASK ? v->exp & EXP_MASK : 1;
    if (v->mant) {
        int shift = __builtin_clzll(v->mant);

        v->mant <<= shift;
        *exp -= shift;
    }
}

/* Does the operation again with operands whose exponents are near the middle, and puts the
 * exponent right afterwards.  n: ModRM.reg. */
static uint16_t arith_again(
    X87Binary *fn, unsigned n, const FpReg *a, const FpReg *b, bool over, FpReg *r)
{
    bool sum = n == 0 || n == 4 || n == 5;
    FpReg x = *a, y = *b;
    int32_t ex, ey, e, shift;
    uint16_t sw;

    arith_normalize(&x, &ex);
    arith_normalize(&y, &ey);
    shift = over ? -64 : EXP_BIAS;
    if (sum) { /* both move alike; what becomes too small to matter stays tiny and not zero */
        ex = x.mant ? MAX_OF(ex + shift, 1) : 0;
        ey = y.mant ? MAX_OF(ey + shift, 1) : 0;
    }
    x.exp = (uint16_t)((x.exp & ~EXP_MASK) | (sum ? ex : EXP_BIAS));
    y.exp = (uint16_t)((y.exp & ~EXP_MASK) | (sum ? ey : EXP_BIAS));
    sw = fn(&x, &y, r);
    e = r->exp & EXP_MASK;
    if (sum) {
        e -= shift;
    } else if (n == 1) {
        e += ex + ey - 2 * EXP_BIAS;
    } else if (n == 6) {
        e += ex - ey;
    } else {
        e += ey - ex;
    }
    e += over ? -EXP_WRAP : EXP_WRAP;
    r->exp = (uint16_t)((r->exp & ~EXP_MASK) | (e & EXP_MASK));
    return sw;
}

/* Wraps the exponent of a result where an unmasked exception asks for it; the status it has then.
 * fn: the register form. */
static unsigned arith_wrap(
    Cpu *cpu, X87Binary *fn, unsigned n, const FpReg *a, const FpReg *b, FpReg *r, unsigned sw)
{
    bool denormal = !(r->exp & EXP_MASK) && r->mant;
    unsigned flags = sw | (denormal ? FSW_UE : 0); /* unmasked, exact tiny results count too */
    unsigned unmasked = flags & ~(unsigned)cpu->s.fpuc & (FSW_OE | FSW_UE);
    uint16_t again;

    if (!unmasked || flags & ~(unsigned)cpu->s.fpuc & (FSW_IE | FSW_DE | FSW_ZE)) return sw;
    x87_begin(cpu);
    __asm__ volatile("fnclex" ::: "memory");
    again = arith_again(fn, n, a, b, unmasked & FSW_OE, r);
    x87_end(cpu, again);
    return (sw & ~(unsigned)(FSW_PE | FSW_C1)) | unmasked | (again & (FSW_PE | FSW_C1));
}

static bool arith_may_wrap(const Cpu *cpu)
{
    return (cpu->s.fpuc & (FSW_OE | FSW_UE)) != (FSW_OE | FSW_UE);
}

/* -- register forms -- */

void x87_arith_st0(Cpu *cpu, const Insn *in)
{
    unsigned i = in->modrm & 7, n = in->modrm >> 3 & 7, sw;
    const FpReg *a = x87_st(cpu, 0), *b = x87_st(cpu, i);
    FpReg r;

    if (!x87_used(cpu, 0) || !x87_used(cpu, i)) {
        if (x87_underflow(cpu)) x87_put(cpu, 0, &x87_indefinite);
        return;
    }
    x87_begin(cpu);
    sw = arith_st0[n](a, b, &r);
    x87_end(cpu, sw);
    if (arith_may_wrap(cpu)) sw = arith_wrap(cpu, arith_st0[n], n, a, b, &r, sw);
    if (x87_merge(cpu, sw)) cpu->s.fpregs[cpu->s.fpstt] = r;
}

/* DC: on ST(i); DE: the same and a pop. */
void x87_arith_sti(Cpu *cpu, const Insn *in)
{
    unsigned i = in->modrm & 7, n = in->modrm >> 3 & 7, sw;
    const FpReg *a = x87_st(cpu, 0), *b = x87_st(cpu, i);
    FpReg r;

    if (!x87_used(cpu, 0) || !x87_used(cpu, i)) {
        if (!x87_underflow(cpu)) return;
        x87_put(cpu, i, &x87_indefinite);
        if (in->op == 0xde) x87_pop(cpu);
        return;
    }
    x87_begin(cpu);
    sw = arith_sti[n](a, b, &r);
    x87_end(cpu, sw);
    if (arith_may_wrap(cpu)) sw = arith_wrap(cpu, arith_sti[n], n, a, b, &r, sw);
    if (!x87_merge(cpu, sw)) return;
    *x87_st(cpu, i) = r;
    if (in->op == 0xde) x87_pop(cpu);
}

/* -- memory forms -- */

static uint16_t arith_fld_m32(const void *m, FpReg *r)
{
    uint16_t sw;

    __asm__ volatile("flds (%1)\n\tfnstsw %%ax\n\tfstpt (%2)"
                     : "=&a"(sw)
                     : "r"(m), "r"(r)
                     : "memory");
    return sw;
}

static uint16_t arith_fld_m64(const void *m, FpReg *r)
{
    uint16_t sw;

    __asm__ volatile("fldl (%1)\n\tfnstsw %%ax\n\tfstpt (%2)"
                     : "=&a"(sw)
                     : "r"(m), "r"(r)
                     : "memory");
    return sw;
}

static uint16_t arith_fild_16(const void *m, FpReg *r)
{
    __asm__ volatile("filds (%0)\n\tfstpt (%1)" ::"r"(m), "r"(r) : "memory");
    return 0;
}

static uint16_t arith_fild_32(const void *m, FpReg *r)
{
    __asm__ volatile("fildl (%0)\n\tfstpt (%1)" ::"r"(m), "r"(r) : "memory");
    return 0;
}

static void arith_mem(Cpu *cpu, const Insn *in, X87Binary *const *fns,
    uint16_t (*widen)(const void *m, FpReg *r), uint64_t m)
{
    unsigned n = in->modrm >> 3 & 7, sw;
    const FpReg *a = x87_st(cpu, 0);
    FpReg r, b;

    if (!x87_used(cpu, 0)) {
        if (x87_underflow(cpu)) x87_put(cpu, 0, &x87_indefinite);
        return;
    }
    x87_begin(cpu);
    sw = fns[n](a, &m, &r);
    x87_end(cpu, sw);
    if (arith_may_wrap(cpu)) {
        widen(&m, &b);
        cpu->x87_host = FSW_FLAGS; /* unknown */
        sw = arith_wrap(cpu, arith_st0[n], n, a, &b, &r, sw);
    }
    if (x87_merge(cpu, sw)) cpu->s.fpregs[cpu->s.fpstt] = r;
}

void x87_arith_m32(Cpu *cpu, const Insn *in)
{
    arith_mem(cpu, in, arith_m32, arith_fld_m32, cpu_load(cpu, insn_lin(cpu, in, 4, false), 4));
}

void x87_arith_m64(Cpu *cpu, const Insn *in)
{
    arith_mem(cpu, in, arith_m64, arith_fld_m64, cpu_load(cpu, insn_lin(cpu, in, 8, false), 8));
}

void x87_arith_i16(Cpu *cpu, const Insn *in)
{
    arith_mem(cpu, in, arith_i16, arith_fild_16, cpu_load(cpu, insn_lin(cpu, in, 2, false), 2));
}

void x87_arith_i32(Cpu *cpu, const Insn *in)
{
    arith_mem(cpu, in, arith_i32, arith_fild_32, cpu_load(cpu, insn_lin(cpu, in, 4, false), 4));
}
