/* SPDX-License-Identifier: MIT */
/*
 * Instructions that ask about selectors, and LDTR and TR: ARPL, LAR, LSL, VERR, VERW, LLDT, LTR,
 * SLDT, STR.  Source: Intel SDM volume 2.
 */
#include "cpu/decode.h"
#include "cpu/descriptor.h"

/* The types that are left in long mode. */
enum { QUERY_LONG = 1 << DESC_LDT | 1 << DESC_TSS32 | 1 << DESC_TSS32_BUSY | 1 << DESC_CALL32 };

static void query_need_protected(Cpu *cpu)
{
    if (!cpu_protected(cpu) || cpu_v86(cpu)) cpu_raise(cpu, EXC_UD, 0);
}

static void query_need_cpl0(Cpu *cpu)
{
    query_need_protected(cpu);
    if (cpu_cpl(cpu)) cpu_raise(cpu, EXC_GP, 0);
}

void op_arpl(Cpu *cpu, const Insn *in)
{
    uint16_t dst, src;

    query_need_protected(cpu);
    dst = (uint16_t)insn_read_rm(cpu, in, 2);
    src = (uint16_t)cpu_read_reg(cpu, in->reg, 2, false);
    if ((dst & 3) < (src & 3)) {
        insn_write_rm(cpu, in, (dst & 0xfffc) | (src & 3), 2);
        cpu_set_eflags(cpu, FLAG_ZF, FLAG_ZF);
    } else {
        cpu_set_eflags(cpu, 0, FLAG_ZF);
    }
}

/* Reads the descriptor and checks that CPL and RPL may see it; types: the system types allowed. */
static bool query_visible(Cpu *cpu, uint16_t sel, uint32_t types, Desc *d)
{
    unsigned level = MAX_OF(cpu_cpl(cpu), (unsigned)(sel & 3));

    if (selector_null(sel) || !desc_read(cpu, sel, d)) return false;
    if (!(d->hi & SEGF_S) && !(types >> desc_type(d) & 1)) return false;
    return desc_is_conforming(d) || level <= desc_dpl(d);
}

void op_lar(Cpu *cpu, const Insn *in)
{
    uint32_t types = 1 << DESC_TSS16 | 1 << DESC_LDT | 1 << DESC_TSS16_BUSY | 1 << DESC_CALL16 |
                     1 << DESC_TASK_GATE | 1 << DESC_TSS32 | 1 << DESC_TSS32_BUSY |
                     1 << DESC_CALL32;
    bool ok;
    Desc d;

    query_need_protected(cpu);
    if (cpu_long(cpu)) types &= QUERY_LONG;
    ok = query_visible(cpu, (uint16_t)insn_read_rm(cpu, in, 2), types, &d);
    if (ok) cpu_write_reg(cpu, in->reg, d.hi & 0x00ffff00, in->opsize, in->flags & INSN_REX);
    cpu_set_eflags(cpu, ok ? FLAG_ZF : 0, FLAG_ZF);
}

void op_lsl(Cpu *cpu, const Insn *in)
{
    uint32_t types = 1 << DESC_TSS16 | 1 << DESC_LDT | 1 << DESC_TSS16_BUSY | 1 << DESC_TSS32 |
                     1 << DESC_TSS32_BUSY;
    bool ok;
    Desc d;

    query_need_protected(cpu);
    if (cpu_long(cpu)) types &= QUERY_LONG;
    ok = query_visible(cpu, (uint16_t)insn_read_rm(cpu, in, 2), types, &d);
    if (ok) cpu_write_reg(cpu, in->reg, desc_limit(&d), in->opsize, in->flags & INSN_REX);
    cpu_set_eflags(cpu, ok ? FLAG_ZF : 0, FLAG_ZF);
}

void op_verr(Cpu *cpu, const Insn *in)
{
    bool ok;
    Desc d;

    query_need_protected(cpu);
    ok = query_visible(cpu, (uint16_t)insn_read_rm(cpu, in, 2), 0, &d) && desc_is_readable(&d);
    cpu_set_eflags(cpu, ok ? FLAG_ZF : 0, FLAG_ZF);
}

void op_verw(Cpu *cpu, const Insn *in)
{
    bool ok;
    Desc d;

    query_need_protected(cpu);
    ok = query_visible(cpu, (uint16_t)insn_read_rm(cpu, in, 2), 0, &d) && desc_is_writable(&d);
    cpu_set_eflags(cpu, ok ? FLAG_ZF : 0, FLAG_ZF);
}

static void query_fetch_base(Cpu *cpu, uint16_t sel, Desc *d)
{
    desc_fetch_top(cpu, sel, d, EXC_GP, 0);
    if (!cpu_is_canonical(desc_base(d))) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
}

void op_lldt(Cpu *cpu, const Insn *in)
{
    uint16_t sel;
    Desc d;

    query_need_cpl0(cpu);
    sel = (uint16_t)insn_read_rm(cpu, in, 2);
    if (selector_null(sel)) {
        cpu->s.ldt = segreg_null(sel);
        return;
    }
    if (sel & 4) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    desc_fetch(cpu, sel, &d, EXC_GP, 0);
    if (d.hi & SEGF_S || desc_type(&d) != DESC_LDT) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    if (!desc_present(&d)) cpu_raise(cpu, EXC_NP, sel & 0xfffc);
    query_fetch_base(cpu, sel, &d);
    cpu->s.ldt = desc_segreg(sel, &d);
}

void op_ltr(Cpu *cpu, const Insn *in)
{
    uint16_t sel;
    Desc d;

    query_need_cpl0(cpu);
    sel = (uint16_t)insn_read_rm(cpu, in, 2);
    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, 0);
    if (sel & 4) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    desc_fetch(cpu, sel, &d, EXC_GP, 0);
    if (d.hi & SEGF_S ||
        ((desc_type(&d) != DESC_TSS16 || cpu_long(cpu)) && desc_type(&d) != DESC_TSS32)) {
        cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    }
    if (!desc_present(&d)) cpu_raise(cpu, EXC_NP, sel & 0xfffc);
    query_fetch_base(cpu, sel, &d);
    /* The register keeps the type as it was; only the one in memory is busy.  Streams have it
     * so. */
    cpu->s.tr = desc_segreg(sel, &d);
    desc_set_type(cpu, &d, desc_type(&d) | DESC_BUSY);
}

/* Into memory 16 bits, into a register the operand's size. */
static void query_store(Cpu *cpu, const Insn *in, uint32_t sel)
{
    query_need_protected(cpu);
    cpu_check_umip(cpu);
    insn_write_rm(cpu, in, sel & 0xffff, in->modrm >= 0xc0 ? in->opsize : 2);
}

void op_sldt(Cpu *cpu, const Insn *in) { query_store(cpu, in, cpu->s.ldt.selector); }

void op_str(Cpu *cpu, const Insn *in) { query_store(cpu, in, cpu->s.tr.selector); }
