/* SPDX-License-Identifier: MIT */
/* x87: loads, stores, exchanges, integers and BCD.  Source: Intel SDM volumes 1 and 2. */
#include "cpu/x87.h"

#define MOVE_LOAD(name, insn)                                                                      \
    static uint16_t move_load_##name(const void *m, FpReg *r)                                      \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile(insn " (%1)\n\tfnstsw %%ax\n\tfstpt (%2)"                                 \
                         : "=&a"(sw)                                                               \
                         : "r"(m), "r"(r)                                                          \
                         : "memory");                                                              \
        return sw;                                                                                 \
    }
#define MOVE_STORE(name, insn)                                                                     \
    static uint16_t move_store_##name(const FpReg *a, void *m)                                     \
    {                                                                                              \
        uint16_t sw;                                                                               \
                                                                                                   \
        __asm__ volatile("fldt (%1)\n\t" insn " (%2)\n\tfnstsw %%ax"                               \
                         : "=&a"(sw)                                                               \
                         : "r"(a), "r"(m)                                                          \
                         : "memory");                                                              \
        return sw;                                                                                 \
    }
MOVE_LOAD(m32, "flds")
MOVE_LOAD(m64, "fldl")
MOVE_LOAD(bcd, "fbld")
MOVE_STORE(m32, "fstps")
MOVE_STORE(m64, "fstpl")
MOVE_STORE(i16, "fistps")
MOVE_STORE(i32, "fistpl")
MOVE_STORE(i64, "fistpll")
MOVE_STORE(t16, "fisttps")
MOVE_STORE(t32, "fisttpl")
MOVE_STORE(t64, "fisttpll")
MOVE_STORE(bcd, "fbstp")
#undef MOVE_LOAD
#undef MOVE_STORE

typedef uint16_t MoveLoadFn(const void *m, FpReg *r);
typedef uint16_t MoveStoreFn(const FpReg *a, void *m);

/* -- loads -- */

/* Pushes a value that raised nothing. */
static void move_push(Cpu *cpu, const FpReg *r)
{
    if (x87_used(cpu, 7)) {
        if (x87_overflow(cpu)) x87_push(cpu, &x87_indefinite);
        return;
    }
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    x87_push(cpu, r);
}

/* Converts by the host's instruction: what is neither normal nor zero. */
static void move_convert(Cpu *cpu, MoveLoadFn *fn, uint64_t m)
{
    unsigned sw;
    FpReg r;

    if (x87_used(cpu, 7)) {
        if (x87_overflow(cpu)) x87_push(cpu, &x87_indefinite);
        return;
    }
    x87_begin(cpu);
    sw = fn(&m, &r);
    x87_end(cpu, sw);
    x87_merge(cpu, sw & ~(unsigned)FSW_C1);
    /* an unmasked DE is found after the load, an unmasked IE before it */
    if (!(x87_unmasked(cpu, sw) & FSW_IE)) x87_push(cpu, &r);
}

void x87_fld_m32(Cpu *cpu, const Insn *in)
{
    uint32_t m = (uint32_t)cpu_load(cpu, insn_lin(cpu, in, 4, false), 4);
    unsigned exp = m >> 23 & 0xff;
    FpReg r = { (uint64_t)m << 40 | 1ull << 63, (uint16_t)(m >> 31 << 15 | (exp + 16383 - 127)) };

    if (!(m << 1)) r = (FpReg){ 0, (uint16_t)(m >> 31 << 15) };
    if (m << 1 && (!exp || exp == 0xff)) {
        move_convert(cpu, move_load_m32, m);
    } else {
        move_push(cpu, &r);
    }
}

void x87_fld_m64(Cpu *cpu, const Insn *in)
{
    uint64_t m = cpu_load(cpu, insn_lin(cpu, in, 8, false), 8);
    unsigned exp = m >> 52 & 0x7ff;
    FpReg r = { m << 11 | 1ull << 63, (uint16_t)(m >> 63 << 15 | (exp + 16383 - 1023)) };

    if (!(m << 1)) r = (FpReg){ 0, (uint16_t)(m >> 63 << 15) };
    if (m << 1 && (!exp || exp == 0x7ff)) {
        move_convert(cpu, move_load_m64, m);
    } else {
        move_push(cpu, &r);
    }
}

void x87_fld_m80(Cpu *cpu, const Insn *in)
{
    FpReg r = x87_load80(cpu, insn_lin_parts(cpu, in, 10, 8, false));

    move_push(cpu, &r);
}

static void move_push_int(Cpu *cpu, int64_t v)
{
    uint64_t mag = v < 0 ? -(uint64_t)v : (uint64_t)v;
    FpReg r = { 0, 0 };

    if (mag) {
        int shift = __builtin_clzll(mag);

        r.mant = mag << shift;
        r.exp = (uint16_t)((v < 0 ? 0x8000 : 0) | (16383 + 63 - shift));
    }
    move_push(cpu, &r);
}

void x87_fild_16(Cpu *cpu, const Insn *in)
{
    move_push_int(cpu, (int16_t)cpu_load(cpu, insn_lin(cpu, in, 2, false), 2));
}

void x87_fild_32(Cpu *cpu, const Insn *in)
{
    move_push_int(cpu, (int32_t)cpu_load(cpu, insn_lin(cpu, in, 4, false), 4));
}

void x87_fild_64(Cpu *cpu, const Insn *in)
{
    move_push_int(cpu, (int64_t)cpu_load(cpu, insn_lin(cpu, in, 8, false), 8));
}

void x87_fbld(Cpu *cpu, const Insn *in)
{
    FpReg bcd = x87_load80(cpu, insn_lin_parts(cpu, in, 10, 8, false)),
          r; /* ten bytes, no number */

    x87_begin(cpu);
    x87_end(cpu, move_load_bcd(&bcd, &r));
    move_push(cpu, &r);
}

/* -- stores -- */

/* Unmasked underflow is raised by exact denormal results, too. */
static unsigned move_tiny(const Cpu *cpu, unsigned size, uint64_t m)
{
    uint64_t exp = size == 4 ? 0x7f800000 : 0x7ff0000000000000;
    uint64_t frac = size == 4 ? 0x007fffff : 0x000fffffffffffff;

    return !(cpu->s.fpuc & FSW_UE) && !(m & exp) && m & frac ? FSW_UE : 0;
}

/* Stores ST(0) by the host's instruction.  The status is committed behind the store, which may
 * fault; an unmasked exception leaves memory and stack alone. */
static void move_store(
    Cpu *cpu, const Insn *in, MoveStoreFn *fn, unsigned size, uint64_t indefinite, bool pop)
{
    uint64_t lin = insn_lin(cpu, in, size, true), m = 0;
    unsigned sw = FSW_IE | FSW_SF;

    if (x87_used(cpu, 0)) {
        x87_begin(cpu);
        sw = fn(x87_st(cpu, 0), &m);
        x87_end(cpu, sw);
        if (fn == move_store_m32 || fn == move_store_m64) sw |= move_tiny(cpu, size, m);
    } else {
        m = indefinite;
    }
    if (x87_unmasked(cpu, sw & ~(unsigned)FSW_PE)) {
        if (sw & FSW_SF) cpu->s.fpus |= FSW_SF;
        x87_merge(cpu, sw & ~(unsigned)(FSW_PE | FSW_C1));
        return;
    }
    cpu_store(cpu, lin, m, size);
    if (sw & FSW_SF) cpu->s.fpus |= FSW_SF;
    x87_merge(cpu, sw);
    if (pop) x87_pop(cpu);
}

static bool move_pops(const Insn *in) { return in->modrm & 8; } /* ModRM.reg 3, not 2 */

void x87_fst_m32(Cpu *cpu, const Insn *in)
{
    move_store(cpu, in, move_store_m32, 4, 0xffc00000, move_pops(in));
}

void x87_fst_m64(Cpu *cpu, const Insn *in)
{
    move_store(cpu, in, move_store_m64, 8, 0xfff8000000000000, move_pops(in));
}

void x87_fist_16(Cpu *cpu, const Insn *in)
{
    move_store(cpu, in, move_store_i16, 2, 0x8000, move_pops(in));
}

void x87_fist_32(Cpu *cpu, const Insn *in)
{
    move_store(cpu, in, move_store_i32, 4, 0x80000000, move_pops(in));
}

void x87_fistp_64(Cpu *cpu, const Insn *in)
{
    move_store(cpu, in, move_store_i64, 8, 0x8000000000000000, true);
}

/* FISTTP: towards zero, whatever the control word says. */
static void move_store_truncated(
    Cpu *cpu, const Insn *in, MoveStoreFn *fn, unsigned size, uint64_t indefinite)
{
    if (!opcode_built_in(cpu, NEED_SSE3)) cpu_raise(cpu, EXC_UD, 0);
    move_store(cpu, in, fn, size, indefinite, true);
}

void x87_fisttp_16(Cpu *cpu, const Insn *in)
{
    move_store_truncated(cpu, in, move_store_t16, 2, 0x8000);
}

void x87_fisttp_32(Cpu *cpu, const Insn *in)
{
    move_store_truncated(cpu, in, move_store_t32, 4, 0x80000000);
}

void x87_fisttp_64(Cpu *cpu, const Insn *in)
{
    move_store_truncated(cpu, in, move_store_t64, 8, 0x8000000000000000);
}

void x87_fbstp(Cpu *cpu, const Insn *in)
{
    uint64_t lin = insn_lin_parts(cpu, in, 10, 8, true);
    FpReg bcd = { 0xc000000000000000, 0xffff }; /* the indefinite */
    unsigned sw = FSW_IE | FSW_SF;

    if (x87_used(cpu, 0)) {
        x87_begin(cpu);
        sw = move_store_bcd(x87_st(cpu, 0), &bcd);
        x87_end(cpu, sw);
    }
    if (x87_unmasked(cpu, sw & FSW_IE)) {
        cpu->s.fpus |= sw & FSW_SF;
        x87_merge(cpu, sw);
        return;
    }
    x87_store80(cpu, lin, &bcd);
    cpu->s.fpus |= sw & FSW_SF;
    x87_merge(cpu, sw);
    x87_pop(cpu);
}

void x87_fstp_m80(Cpu *cpu, const Insn *in)
{
    uint64_t lin = insn_lin_parts(cpu, in, 10, 8, true);

    if (!x87_used(cpu, 0)) {
        if (cpu->s.fpuc & FSW_IE) x87_store80(cpu, lin, &x87_indefinite);
        if (x87_underflow(cpu)) x87_pop(cpu);
        return;
    }
    x87_store80(cpu, lin, x87_st(cpu, 0));
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    x87_pop(cpu);
}

/* -- registers -- */

void x87_fld_reg(Cpu *cpu, const Insn *in)
{
    unsigned i = in->modrm & 7;
    FpReg r = *x87_st(cpu, i);

    if (!x87_used(cpu, i)) {
        if (x87_underflow(cpu)) x87_push(cpu, &x87_indefinite);
        return;
    }
    move_push(cpu, &r);
}

/* FST (DD D0), FSTP (DD D8; DF D0 and DF D8 are other names; D9 D8 takes no notice of an
 * empty one). */
void x87_fst_reg(Cpu *cpu, const Insn *in)
{
    bool pop = in->op != 0xdd || in->modrm & 8;

    if (in->op == 0xd9 && !x87_used(cpu, 0)) {
        cpu->s.fpus &= (uint16_t)~FSW_C1;
        x87_pop(cpu);
        return;
    }
    if (!x87_used(cpu, 0)) {
        if (!x87_underflow(cpu)) return;
        x87_put(cpu, in->modrm & 7, &x87_indefinite);
    } else {
        cpu->s.fpus &= (uint16_t)~FSW_C1;
        x87_put(cpu, in->modrm & 7, x87_st(cpu, 0));
    }
    if (pop) x87_pop(cpu);
}

void x87_fxch(Cpu *cpu, const Insn *in)
{
    unsigned i = in->modrm & 7;
    FpReg *a = x87_st(cpu, 0), *b = x87_st(cpu, i), tmp;

    if (!x87_used(cpu, 0) || !x87_used(cpu, i)) {
        if (!x87_underflow(cpu)) return;
        if (!x87_used(cpu, 0)) x87_put(cpu, 0, &x87_indefinite);
        if (!x87_used(cpu, i)) x87_put(cpu, i, &x87_indefinite);
    } else {
        cpu->s.fpus &= (uint16_t)~FSW_C1;
    }
    tmp = *a;
    *a = *b;
    *b = tmp;
}

/* FFREE (DD C0), and FFREEP (DF C0), which pops. */
void x87_ffree(Cpu *cpu, const Insn *in)
{
    cpu->s.fptags &= (uint8_t) ~(1u << x87_phys(cpu, in->modrm & 7));
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    if (in->op == 0xdf) x87_pop(cpu);
}

/* FDECSTP (F6), FINCSTP (F7). */
void x87_incdec(Cpu *cpu, const Insn *in)
{
    cpu->s.fpstt = (cpu->s.fpstt + (in->modrm & 1 ? 1u : 7u)) & 7;
    cpu->s.fpus &= (uint16_t)~FSW_C1;
}
