/* SPDX-License-Identifier: MIT */
/*
 * x87: constants, square root, rounding, remainders, scaling, transcendental functions.
 * Source: Intel SDM volumes 1 and 2.  Results are the host's, bit for bit.
 */
#include "cpu/x87.h"

typedef struct FunctionPair {
    FpReg low, top; /* top: ST(0) afterwards */
} FunctionPair;

/* Behind the instruction, %0 being where its status goes: what it raised is cleared where that may
 * be unmasked (open), or the store of the result would trap. */
#define FUNCTION_STATUS "\n\tfnstsw %%ax\n\ttestb %b[open], %b[open]\n\tjz 9f\n\tfnclex\n9:\t"
#define FUNCTION_UNARY(insn)                                                                       \
    static uint16_t function_##insn(const FpReg *a, FpReg *r, bool open)                           \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%1)\n\t" #insn FUNCTION_STATUS "fstpt (%2)"                        \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(r), [open] "q"(open)                                        \
                         : "memory", "cc");                                                        \
        return sw;                                                                                 \
    }
/* ST(1) and ST(0) in; pops: one of them goes, or both are there afterwards. */
#define FUNCTION_BINARY(insn, pops)                                                                \
    static uint16_t function_##insn(const FpReg *a, const void *b, FpReg *r, bool open)            \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%2)\n\tfldt (%1)\n\t" #insn FUNCTION_STATUS "fstpt (%3)"           \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(b), "r"(r), [open] "q"(open)                                \
                         : "memory", "cc");                                                        \
        if (!(pops)) __asm__ volatile("fstp %st(0)");                                              \
        return sw;                                                                                 \
    }
/* Two results, or the operand unchanged where C2 says that it is out of range. */
#define FUNCTION_TWO(insn)                                                                         \
    static uint16_t function_##insn(const FpReg *a, FunctionPair *r, bool open)                    \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%1)\n\t" #insn FUNCTION_STATUS                                     \
                         "testb $4, %%ah\n\tjnz 1f\n\tfstpt 16(%2)\n1:\tfstpt (%2)"                \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(r), [open] "q"(open)                                        \
                         : "memory", "cc");                                                        \
        return sw;                                                                                 \
    }
FUNCTION_UNARY(f2xm1)
FUNCTION_UNARY(fsqrt)
FUNCTION_UNARY(frndint)
FUNCTION_UNARY(fsin)
FUNCTION_UNARY(fcos)
FUNCTION_BINARY(fyl2x, true)
FUNCTION_BINARY(fyl2xp1, true)
FUNCTION_BINARY(fpatan, true)
FUNCTION_BINARY(fprem, false)
FUNCTION_BINARY(fprem1, false)
FUNCTION_BINARY(fscale, false)
FUNCTION_TWO(fptan)
FUNCTION_TWO(fsincos)

/* FXTRACT leaves C2 as it is and always has two results. */
static uint16_t function_fxtract(const FpReg *a, FunctionPair *r, bool open)
{
    uint16_t sw;

    __asm__ volatile("fldt (%1)\n\tfxtract" FUNCTION_STATUS "fstpt 16(%2)\n\tfstpt (%2)"
                     : "=&a"(sw)
                     : "r"(a), "r"(r), [open] "q"(open)
                     : "memory", "cc");
    return sw & (uint16_t)~FSW_C2;
}

#define FUNCTION_CONST(insn)                                                                       \
    static void function_##insn(FpReg *r)                                                          \
    {                                                                                              \
        __asm__ volatile(#insn "\n\tfstpt (%0)" ::"r"(r) : "memory");                              \
    }
FUNCTION_CONST(fld1)
FUNCTION_CONST(fldl2t)
FUNCTION_CONST(fldl2e)
FUNCTION_CONST(fldpi)
FUNCTION_CONST(fldlg2)
FUNCTION_CONST(fldln2)
FUNCTION_CONST(fldz)

/* FCHS (E0), FABS (E1). */
void x87_sign(Cpu *cpu, const Insn *in)
{
    FpReg *a = x87_st(cpu, 0);

    if (!x87_used(cpu, 0)) {
        if (x87_underflow(cpu)) x87_put(cpu, 0, &x87_indefinite);
        return;
    }
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    a->exp = in->modrm & 1 ? a->exp & 0x7fff : a->exp ^ 0x8000;
}

/* E8 to EE: rounded as the control word says. */
void x87_const(Cpu *cpu, const Insn *in)
{
    static void (*const fns[])(FpReg *) = { function_fld1, function_fldl2t, function_fldl2e,
        function_fldpi, function_fldlg2, function_fldln2, function_fldz };
    FpReg r;

    if (x87_used(cpu, 7)) {
        if (x87_overflow(cpu)) x87_push(cpu, &x87_indefinite);
        return;
    }
    x87_begin(cpu);
    fns[in->modrm & 7](&r);
    x87_end(cpu, cpu->x87_host); /* a constant raises nothing */
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    x87_push(cpu, &r);
}

/* C2 is the host's where the function has it ("out of range", "incomplete"), also where an unmasked
 * exception leaves the rest undone. */
static void function_set_c2(Cpu *cpu, unsigned sw)
{
    cpu->s.fpus = (uint16_t)((cpu->s.fpus & ~FSW_C2) | (sw & FSW_C2));
}

/* x87_begin, but unmasked overflow and underflow are so on the host, too: then the result's
 * exponent is wrapped.  True: they are. */
static bool function_begin(Cpu *cpu)
{
    enum { EXPONENT = FSW_OE | FSW_UE };
    uint16_t cw = (uint16_t)((cpu->s.fpuc & (0x0f00 | EXPONENT)) | (0x7f & ~EXPONENT));

    x87_begin(cpu);
    if ((cpu->s.fpuc & EXPONENT) == EXPONENT) return false;
    __asm__ volatile("fnclex\n\tfldcw %0" ::"m"(cw) : "memory");
    return true;
}

static void function_end(Cpu *cpu, unsigned sw, bool open)
{
    static const uint16_t host = FCW_HOST;

    if (open) __asm__ volatile("fldcw %0" ::"m"(host) : "memory");
    x87_end(cpu, open ? 0 : sw);
}

/* F2XM1 (F0), FSQRT (FA), FRNDINT (FC), FSIN (FE), FCOS (FF). */
void x87_unary(Cpu *cpu, const Insn *in)
{
    uint16_t (*fn)(const FpReg *, FpReg *, bool) = in->modrm == 0xf0   ? function_f2xm1
                                                   : in->modrm == 0xfa ? function_fsqrt
                                                   : in->modrm == 0xfc ? function_frndint
                                                   : in->modrm == 0xfe ? function_fsin
                                                                       : function_fcos;
    unsigned sw;
    bool open;
    FpReg r;

    if (!x87_used(cpu, 0)) {
        if (in->modrm >= 0xfe) function_set_c2(cpu, 0);
        if (x87_underflow(cpu)) x87_put(cpu, 0, &x87_indefinite);
        return;
    }
    open = function_begin(cpu);
    sw = fn(x87_st(cpu, 0), &r, open);
    function_end(cpu, sw, open);
    if (in->modrm >= 0xfe) function_set_c2(cpu, sw);
    if (!x87_merge(cpu, sw)) return;
    cpu->s.fpregs[cpu->s.fpstt] = r;
}

/* FYL2X (F1), FPATAN (F3), FYL2XP1 (F9): into ST(1), and a pop.  FSCALE (FD): into ST(0). */
void x87_binary(Cpu *cpu, const Insn *in)
{
    uint16_t (*fn)(const FpReg *, const void *, FpReg *, bool) =
        in->modrm == 0xf1   ? function_fyl2x
        : in->modrm == 0xf3 ? function_fpatan
        : in->modrm == 0xf9 ? function_fyl2xp1
                            : function_fscale;
    unsigned dst = in->modrm == 0xfd ? 0 : 1, sw;
    bool open;
    FpReg r;

    if (!x87_used(cpu, 0) || !x87_used(cpu, 1)) {
        if (!x87_underflow(cpu)) return;
        r = x87_indefinite;
    } else {
        open = function_begin(cpu);
        sw = fn(x87_st(cpu, 0), x87_st(cpu, 1), &r, open);
        function_end(cpu, sw, open);
        if (!x87_merge(cpu, sw)) return;
    }
    x87_put(cpu, dst, &r);
    if (dst) x87_pop(cpu);
}

/* FPTAN (F2), FXTRACT (F4), FSINCOS (FB): one operand, two results. */
void x87_two(Cpu *cpu, const Insn *in)
{
    uint16_t (*fn)(const FpReg *, FunctionPair *, bool) = in->modrm == 0xf2   ? function_fptan
                                                          : in->modrm == 0xf4 ? function_fxtract
                                                                              : function_fsincos;
    FunctionPair r;
    unsigned sw;
    bool open;

    if (!x87_used(cpu, 0) || x87_used(cpu, 7)) {
        if (in->modrm != 0xf4) function_set_c2(cpu, 0);
        if (!(x87_used(cpu, 0) ? x87_overflow(cpu) : x87_underflow(cpu))) return;
        x87_put(cpu, 0, &x87_indefinite);
        x87_push(cpu, &x87_indefinite);
        return;
    }
    open = function_begin(cpu);
    sw = fn(x87_st(cpu, 0), &r, open);
    function_end(cpu, sw, open);
    if (in->modrm != 0xf4) function_set_c2(cpu, sw);
    if (!x87_merge(cpu, sw)) return;
    if (sw & FSW_C2) return;
    x87_put(cpu, 0, &r.low);
    x87_push(cpu, &r.top);
}

/* FPREM (F8), FPREM1 (F5): the quotient's low bits in C0, C3, C1. */
void x87_prem(Cpu *cpu, const Insn *in)
{
    unsigned sw;
    bool open;
    FpReg r;

    if (!x87_used(cpu, 0) || !x87_used(cpu, 1)) {
        function_set_c2(cpu, 0);
        if (x87_underflow(cpu)) x87_put(cpu, 0, &x87_indefinite);
        return;
    }
    open = function_begin(cpu);
    sw = (in->modrm == 0xf8 ? function_fprem : function_fprem1)(
        x87_st(cpu, 0), x87_st(cpu, 1), &r, open);
    function_end(cpu, sw, open);
    if (!x87_merge(cpu, sw)) {
        function_set_c2(cpu, 0);
        return;
    }
    if ((r.exp & 0x7fff) == 0x7fff) { /* a NaN: there is no quotient */
        function_set_c2(cpu, 0);
    } else {
        cpu->s.fpus = (uint16_t)((cpu->s.fpus & ~FSW_CC) | (sw & FSW_CC));
    }
    cpu->s.fpregs[cpu->s.fpstt] = r;
}
