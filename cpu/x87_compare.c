/* SPDX-License-Identifier: MIT */
/* x87: comparisons, FTST, FXAM, FCMOV.  Source: Intel SDM volume 2. */
#include "cpu/models.h"
#include "cpu/x87.h"

#define COMPARE_REG(name, code)                                                                    \
    static uint16_t compare_##name(const FpReg *a, const void *b)                                  \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%2)\n\tfldt (%1)\n\t" code "\n\tfnstsw %%ax\n\t"                   \
                         "fstp %%st(0)\n\tfstp %%st(0)"                                            \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(b)                                                          \
                         : "memory");                                                              \
        return sw;                                                                                 \
    }
#define COMPARE_MEM(name, insn)                                                                    \
    static uint16_t compare_##name(const FpReg *a, const void *b)                                  \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%1)\n\t" insn " (%2)\n\tfnstsw %%ax\n\tfstp %%st(0)"               \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(b)                                                          \
                         : "memory");                                                              \
        return sw;                                                                                 \
    }
COMPARE_REG(com, "fcom %%st(1)")
COMPARE_REG(ucom, "fucom %%st(1)")
COMPARE_MEM(m32, "fcoms")
COMPARE_MEM(m64, "fcoml")
COMPARE_MEM(i16, "ficoms")
COMPARE_MEM(i32, "ficoml")
#undef COMPARE_REG
#undef COMPARE_MEM

typedef uint16_t CompareFn(const FpReg *a, const void *b);

enum { COMPARE_UNORDERED = FSW_C0 | FSW_C2 | FSW_C3 };

static void compare_commit(Cpu *cpu, unsigned cc)
{
    cpu->s.fpus = (uint16_t)((cpu->s.fpus & ~COMPARE_UNORDERED) | cc);
}

/* Does the comparison; true where its outcome, in *cc, may be committed. */
static bool compare_run(Cpu *cpu, CompareFn *fn, const void *b, bool used, unsigned *cc)
{
    unsigned sw;

    if (!used || !x87_used(cpu, 0)) {
        *cc = COMPARE_UNORDERED;
        return x87_underflow(cpu);
    }
    x87_begin(cpu);
    sw = fn(x87_st(cpu, 0), b);
    x87_end(cpu, sw);
    *cc = sw & COMPARE_UNORDERED;
    return x87_merge(cpu, sw & ~(unsigned)FSW_C1);
}

/* The same into the status word, where an unmasked exception does not keep the outcome from
 * appearing; true where pops may follow. */
static bool compare_status(Cpu *cpu, CompareFn *fn, const void *b, bool used)
{
    unsigned cc;
    bool ok = compare_run(cpu, fn, b, used, &cc);

    compare_commit(cpu, cc);
    return ok;
}

/* Memory forms: ModRM.reg 2 is FCOM, 3 FCOMP. */
static void compare_mem(Cpu *cpu, const Insn *in, CompareFn *fn, unsigned size)
{
    uint64_t m = cpu_load(cpu, insn_lin(cpu, in, size, false), size);

    if (!compare_status(cpu, fn, &m, true)) return;
    if ((in->modrm >> 3 & 7) == 3) x87_pop(cpu);
}

void x87_com_m32(Cpu *cpu, const Insn *in) { compare_mem(cpu, in, compare_m32, 4); }
void x87_com_m64(Cpu *cpu, const Insn *in) { compare_mem(cpu, in, compare_m64, 8); }
void x87_com_i16(Cpu *cpu, const Insn *in) { compare_mem(cpu, in, compare_i16, 2); }
void x87_com_i32(Cpu *cpu, const Insn *in) { compare_mem(cpu, in, compare_i32, 4); }

/* FCOM, FCOMP (D8, DC, DE: ModRM.reg 2, 3), FUCOM, FUCOMP (DD: 4, 5). */
void x87_com_reg(Cpu *cpu, const Insn *in)
{
    unsigned i = in->modrm & 7, n = in->modrm >> 3 & 7;

    if (!compare_status(
            cpu, n >= 4 ? compare_ucom : compare_com, x87_st(cpu, i), x87_used(cpu, i))) {
        return;
    }
    /* DE D0 is an old name of FCOMP */
    if (n & 1 || in->op == 0xde) x87_pop(cpu);
}

/* FCOMPP (DE), FUCOMPP (DA). */
void x87_com_pop2(Cpu *cpu, const Insn *in)
{
    if (!compare_status(
            cpu, in->op == 0xda ? compare_ucom : compare_com, x87_st(cpu, 1), x87_used(cpu, 1))) {
        return;
    }
    x87_pop(cpu);
    x87_pop(cpu);
}

/* FCOMI (DB F0), FUCOMI (DB E8), and with a pop (DF). */
void x87_comi(Cpu *cpu, const Insn *in)
{
    unsigned i = in->modrm & 7, cc, c1 = cpu->s.fpus & FSW_C1;
    bool unordered = (in->modrm >> 3 & 7) == 5, ok;

    if (!cpu_has(cpu, FEAT_CMOV)) cpu_raise(cpu, EXC_UD, 0);
    ok = compare_run(
        cpu, unordered ? compare_ucom : compare_com, x87_st(cpu, i), x87_used(cpu, i), &cc);
    if (x87_used(cpu, 0) && x87_used(cpu, i)) cpu->s.fpus |= (uint16_t)c1;
    cpu_set_eflags(cpu,
        (cc & FSW_C0 ? FLAG_CF : 0) | (cc & FSW_C2 ? FLAG_PF : 0) | (cc & FSW_C3 ? FLAG_ZF : 0),
        FLAGS_ARITH);
    if (ok && in->op == 0xdf) x87_pop(cpu);
}

void x87_tst(Cpu *cpu, const Insn *in)
{
    static const FpReg zero = { 0, 0 };

    (void)in;
    compare_status(cpu, compare_com, &zero, true);
}

void x87_xam(Cpu *cpu, const Insn *in)
{
    const FpReg *a = x87_st(cpu, 0);
    unsigned exp = a->exp & 0x7fff, cc;
    bool integer = a->mant >> 63;

    (void)in;
    if (!x87_used(cpu, 0)) {
        cc = FSW_C3 | FSW_C0;
    } else if (exp && !integer) {
        cc = 0; /* unsupported */
    } else if (exp == 0x7fff) {
        cc = a->mant << 1 ? FSW_C0 : FSW_C2 | FSW_C0; /* NaN, infinity */
    } else if (!exp) {
        cc = a->mant ? FSW_C3 | FSW_C2 : FSW_C3; /* denormal, zero */
    } else {
        cc = FSW_C2;
    }
    if (a->exp >> 15) cc |= FSW_C1;
    cpu->s.fpus = (uint16_t)((cpu->s.fpus & ~FSW_CC) | cc);
}

/* FCMOVcc: DA below, equal, below or equal, unordered; DB: the contrary. */
void x87_cmov(Cpu *cpu, const Insn *in)
{
    static const uint8_t flags[] = { FLAG_CF, FLAG_ZF, FLAG_CF | FLAG_ZF, FLAG_PF };
    unsigned i = in->modrm & 7;
    bool is;

    if (!cpu_has(cpu, FEAT_CMOV)) cpu_raise(cpu, EXC_UD, 0);
    is = cpu_get_eflags(cpu) & flags[in->modrm >> 3 & 3];
    if (!x87_used(cpu, 0) || !x87_used(cpu, i)) {
        if (x87_underflow(cpu)) x87_put(cpu, 0, &x87_indefinite);
        return;
    }
    if (is == (in->op == 0xda)) cpu->s.fpregs[cpu->s.fpstt] = *x87_st(cpu, i);
}
