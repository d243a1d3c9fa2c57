/* SPDX-License-Identifier: MIT */
/*
 * x87: dispatch of D8 to DF, exceptions and the stack's faults.  Source: Intel SDM volume 1 chapter
 * 8, volume 2 appendix A.  Not modelled: where CR0.NE is clear the CPU goes on after an unmasked
 * exception until IRQ 13 is taken, and does not freeze.
 */
#include "cpu/x87.h"

#include "cpu/sse.h"

static void x87_invalid(Cpu *cpu, const Insn *in)
{
    (void)in;
    cpu_raise(cpu, EXC_UD, 0);
}

#define XX x87_invalid

/* By opcode (D8 to DF) and ModRM.reg, memory forms. */
static X87Fn *const x87_mem_table[64] = {
#define ARITH(t)                                                                                   \
    x87_arith_##t, x87_arith_##t, x87_com_##t, x87_com_##t, x87_arith_##t, x87_arith_##t,          \
        x87_arith_##t, x87_arith_##t
    ARITH(m32),
    x87_fld_m32,
    XX,
    x87_fst_m32,
    x87_fst_m32,
    x87_fldenv,
    x87_fldcw,
    x87_fstenv,
    x87_fstcw,
    ARITH(i32),
    x87_fild_32,
    x87_fisttp_32,
    x87_fist_32,
    x87_fist_32,
    XX,
    x87_fld_m80,
    XX,
    x87_fstp_m80,
    ARITH(m64),
    x87_fld_m64,
    x87_fisttp_64,
    x87_fst_m64,
    x87_fst_m64,
    x87_frstor,
    XX,
    x87_fsave,
    x87_fstsw,
    ARITH(i16),
    x87_fild_16,
    x87_fisttp_16,
    x87_fist_16,
    x87_fist_16,
    x87_fbld,
    x87_fild_64,
    x87_fbstp,
    x87_fistp_64,
#undef ARITH
};

/* D9 E0 to FF. */
static X87Fn *const x87_d9_table[32] = {
    x87_sign,
    x87_sign,
    XX,
    XX,
    x87_tst,
    x87_xam,
    XX,
    XX,
    x87_const,
    x87_const,
    x87_const,
    x87_const,
    x87_const,
    x87_const,
    x87_const,
    XX,
    x87_unary,
    x87_binary,
    x87_two,
    x87_binary,
    x87_two,
    x87_prem,
    x87_incdec,
    x87_incdec,
    x87_prem,
    x87_binary,
    x87_unary,
    x87_two,
    x87_unary,
    x87_binary,
    x87_unary,
    x87_unary,
};

static void x87_d9(Cpu *cpu, const Insn *in) { x87_d9_table[in->modrm & 31](cpu, in); }

/* Groups of which one encoding alone is valid. */
static void x87_d9_nop(Cpu *cpu, const Insn *in) { (in->modrm == 0xd0 ? x87_fnop : XX)(cpu, in); }
static void x87_da_ucompp(Cpu *cpu, const Insn *in)
{
    (in->modrm == 0xe9 ? x87_com_pop2 : XX)(cpu, in);
}
static void x87_de_compp(Cpu *cpu, const Insn *in)
{
    (in->modrm == 0xd9 ? x87_com_pop2 : XX)(cpu, in);
}
static void x87_df_stsw(Cpu *cpu, const Insn *in)
{
    (in->modrm == 0xe0 ? x87_fstsw_ax : XX)(cpu, in);
}

/* By opcode and ModRM.reg, register forms. */
static X87Fn *const x87_reg_table[64] = {
#define ARITH(dst, second)                                                                         \
    x87_arith_##dst, x87_arith_##dst, x87_com_reg, second, x87_arith_##dst, x87_arith_##dst,       \
        x87_arith_##dst, x87_arith_##dst
    ARITH(st0, x87_com_reg),
    x87_fld_reg,
    x87_fxch,
    x87_d9_nop,
    x87_fst_reg,
    x87_d9,
    x87_d9,
    x87_d9,
    x87_d9,
    x87_cmov,
    x87_cmov,
    x87_cmov,
    x87_cmov,
    XX,
    x87_da_ucompp,
    XX,
    XX,
    x87_cmov,
    x87_cmov,
    x87_cmov,
    x87_cmov,
    x87_db_control,
    x87_comi,
    x87_comi,
    XX,
    ARITH(sti, x87_com_reg),
    x87_ffree,
    x87_fxch,
    x87_fst_reg,
    x87_fst_reg,
    x87_com_reg,
    x87_com_reg,
    XX,
    XX,
    ARITH(sti, x87_de_compp),
    x87_ffree,
    x87_fxch,
    x87_fst_reg,
    x87_fst_reg,
    x87_df_stsw,
    x87_comi,
    x87_comi,
    XX,
#undef ARITH
};

/* Control instructions: they do not set FIP, FDP and FOP ... */
static bool x87_is_control(X87Fn *fn)
{
    return fn == x87_fldenv || fn == x87_fldcw || fn == x87_fstenv || fn == x87_fstcw ||
           fn == x87_frstor || fn == x87_fsave || fn == x87_fstsw || fn == x87_db_control ||
           fn == x87_df_stsw;
}

/* ... and most of them do not look at pending exceptions. */
static bool x87_is_waiting(X87Fn *fn)
{
    return !x87_is_control(fn) || fn == x87_fldenv || fn == x87_fldcw || fn == x87_frstor;
}

/* What FIP and FDP hold: selector and 32 bits of offset, in 64-bit code 64 bits. */
static uint64_t x87_pointer(const Cpu *cpu, int seg, uint64_t off)
{
    if (cpu_code64(cpu)) return off;
    return (uint32_t)off | (uint64_t)cpu->s.segs[seg].selector << 32;
}

/* What no instruction has: #UD goes before a pending exception. */
static bool x87_is_invalid(X87Fn *fn, unsigned modrm)
{
    if (fn == x87_d9) return x87_d9_table[modrm & 31] == XX;
    if (fn == x87_d9_nop) return modrm != 0xd0;
    if (fn == x87_da_ucompp) return modrm != 0xe9;
    if (fn == x87_de_compp) return modrm != 0xd9;
    if (fn == x87_df_stsw) return modrm != 0xe0;
    if (fn == x87_db_control) return modrm > 0xe4;
    return fn == XX;
}

void op_x87(Cpu *cpu, const Insn *in)
{
    unsigned n = (in->op & 7u) * 8 + (in->modrm >> 3 & 7u);
    X87Fn *fn = in->modrm >= 0xc0 ? x87_reg_table[n] : x87_mem_table[n];
    uint64_t fip;

    if (cpu->s.hflags & (HF_EM | HF_TS)) cpu_raise(cpu, EXC_NM, 0);
    if (x87_is_invalid(fn, in->modrm)) cpu_raise(cpu, EXC_UD, 0);
    if (cpu->s.fpus & FSW_ES && x87_is_waiting(fn)) cpu_fpu_check(cpu);
    fip = x87_pointer(cpu, R_CS, cpu->s.eip);
    fn(cpu, in);
    if (x87_is_control(fn)) return;
    cpu->s.fpop = (uint16_t)((in->op & 7) << 8 | in->modrm);
    cpu->s.fpip = fip;
    if (in->modrm < 0xc0) {
        cpu->s.fpdp = x87_pointer(cpu, in->seg, insn_ea(cpu, in));
    }
}

void op_wait(Cpu *cpu, const Insn *in)
{
    (void)in;
    if ((cpu->s.hflags & (HF_MP | HF_TS)) == (HF_MP | HF_TS)) cpu_raise(cpu, EXC_NM, 0);
    cpu_fpu_check(cpu);
}

/* -- exceptions -- */

static void x87_set_ferr(Cpu *cpu, bool on)
{
    if (!on) cpu->s.hflags2 &= ~(uint32_t)HF2_IGNNE;
    if (cpu->s.ferr == on) return;
    sse_settle(cpu);
    cpu->s.ferr = on;
    cpu->exit_pending = true;
    irq_set(&cpu->ferr, on);
}

void cpu_fpu_check(Cpu *cpu)
{
    if (!(cpu->s.fpus & FSW_ES)) return;
    if (cpu->s.cr[0] & CR0_NE) cpu_raise(cpu, EXC_MF, 0);
    if (!(cpu->s.hflags2 & HF2_IGNNE)) x87_set_ferr(cpu, true);
}

void x87_update_es(Cpu *cpu)
{
    if (cpu->s.fpus & ~cpu->s.fpuc & FSW_FLAGS) {
        cpu->s.fpus |= FSW_ES | FSW_B;
        if (!(cpu->s.cr[0] & CR0_NE) && !(cpu->s.hflags2 & HF2_IGNNE)) x87_set_ferr(cpu, true);
    } else {
        cpu->s.fpus &= (uint16_t) ~(FSW_ES | FSW_B);
        x87_set_ferr(cpu, false);
    }
}

void x87_flag(Cpu *cpu, unsigned flags)
{
    cpu->s.fpus |= (uint16_t)flags;
    if (cpu->s.fpus & ~cpu->s.fpuc & FSW_FLAGS) x87_update_es(cpu);
}

bool x87_merge_slow(Cpu *cpu, unsigned sw)
{
    unsigned before = FSW_IE | FSW_DE | FSW_ZE; /* found before the operation is done */
    bool commit = !(sw & ~(unsigned)cpu->s.fpuc & before);

    cpu->s.fpus &= (uint16_t)~FSW_C1;
    x87_flag(cpu, sw & (commit ? FSW_FLAGS | FSW_C1 : before));
    return commit;
}

bool x87_underflow(Cpu *cpu)
{
    cpu->s.fpus &= (uint16_t)~FSW_C1;
    x87_flag(cpu, FSW_IE | FSW_SF);
    return cpu->s.fpuc & FSW_IE;
}

bool x87_overflow(Cpu *cpu)
{
    x87_flag(cpu, FSW_IE | FSW_SF | FSW_C1);
    return cpu->s.fpuc & FSW_IE;
}

/* -- memory -- */

void x87_store80(Cpu *cpu, uint64_t lin, const FpReg *r)
{
    cpu_probe(cpu, lin, 10, true, false);
    cpu_store(cpu, lin, r->mant, 8);
    cpu_store(cpu, lin + 8, r->exp, 2);
}

FpReg x87_load80(Cpu *cpu, uint64_t lin)
{
    FpReg r;

    r.mant = cpu_load(cpu, lin, 8);
    r.exp = (uint16_t)cpu_load(cpu, lin + 8, 2);
    return r;
}
