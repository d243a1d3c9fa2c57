/* SPDX-License-Identifier: MIT */
/*
 * Far JMP, CALL and RET: real and v86 mode, same level, conforming segments, call gates with and
 * without a change of stack, tasks.  Source: Intel SDM volume 2 (pseudo code), volume 3 chapter 5.
 *
 * In long mode call gates lead to 64-bit code, without parameters and with a null SS, and there are
 * no tasks.
 */
#include "cpu/decode.h"
#include "cpu/descriptor.h"

static bool far_is_real(const Cpu *cpu) { return !cpu_protected(cpu) || cpu_v86(cpu); }

static uint64_t cs_raw(const Desc *d) { return (uint64_t)d->hi << 32 | d->lo; }

void cs_commit(Cpu *cpu, uint16_t sel, const Desc *d, unsigned cpl)
{
    cpu->s.segs[R_CS] = desc_segreg((uint16_t)((sel & ~3u) | cpl), d);
    cpu->s.hflags = (cpu->s.hflags & ~(uint32_t)HF_CPL) | cpl;
    cpu_update_mode(cpu);
    cpu->cs_desc = sel & 4 ? 0 : cs_raw(d);
}

void cs_commit_same(Cpu *cpu, uint16_t sel, const Desc *d)
{
    if (cpu->cs_desc == cs_raw(d))
        cpu->s.segs[R_CS].selector = (sel & ~3u) | cpu_cpl(cpu);
    else
        cs_commit(cpu, sel, d, cpu_cpl(cpu));
}

/* Long mode: L and D exclude one another. */
static bool far_is_code(const Cpu *cpu, const Desc *d)
{
    return desc_is_code(d) &&
           !(cpu_long(cpu) && (d->hi & (SEGF_L | SEGF_DB)) == (SEGF_L | SEGF_DB));
}

/* A code segment named by the instruction itself: no change of privilege. */
static void far_check_direct(Cpu *cpu, uint16_t sel, const Desc *d)
{
    unsigned cpl = cpu_cpl(cpu), rpl = sel & 3;
    bool ok = desc_is_conforming(d) ? desc_dpl(d) <= cpl : rpl <= cpl && desc_dpl(d) == cpl;

    if (!far_is_code(cpu, d) || !ok) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    if (!desc_present(d)) cpu_raise(cpu, EXC_NP, sel & 0xfffc);
}

/* A gate or TSS must be as visible as a data segment, and present. */
static void far_check_gate(Cpu *cpu, uint16_t sel, const Desc *d)
{
    unsigned level = MAX_OF(cpu_cpl(cpu), (unsigned)(sel & 3));

    if (desc_dpl(d) < level) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    if (!desc_present(d)) cpu_raise(cpu, EXC_NP, sel & 0xfffc);
}

/* The code segment that a call gate leads to. */
static uint16_t far_gate_target(Cpu *cpu, const Desc *gate, bool jump, Desc *cs)
{
    uint16_t sel = desc_gate_sel(gate);
    unsigned cpl = cpu_cpl(cpu);

    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, 0);
    desc_fetch(cpu, sel, cs, EXC_GP, 0);
    if (!desc_is_code(cs) || desc_dpl(cs) > cpl ||
        (jump && !desc_is_conforming(cs) && desc_dpl(cs) != cpl)) {
        cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    }
    if (cpu_long(cpu) && (cs->hi & (SEGF_L | SEGF_DB)) != SEGF_L)
        cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    if (!desc_present(cs)) cpu_raise(cpu, EXC_NP, sel & 0xfffc);
    return sel;
}

/* JMP, CALL to what is no segment.  Returns true where it was a task, which is done then; false
 * with *d the call gate. */
static bool far_system(Cpu *cpu, uint16_t sel, Desc *d, enum TaskWhy why)
{
    if (cpu_long(cpu)) {
        if (desc_type(d) != DESC_CALL32) cpu_raise(cpu, EXC_GP, sel & 0xfffc);
        far_check_gate(cpu, sel, d);
        desc_fetch_top(cpu, sel, d, EXC_GP, 0);
        return false;
    }
    switch (desc_type(d)) {
    case DESC_TSS16:
    case DESC_TSS32:
        far_check_gate(cpu, sel, d);
        cpu_task_switch(cpu, sel, why, cpu->next_eip, false, 0);
        return true;
    case DESC_TASK_GATE:
        far_check_gate(cpu, sel, d);
        cpu_task_switch(cpu, desc_gate_sel(d), why, cpu->next_eip, false, 0);
        return true;
    case DESC_CALL16:
    case DESC_CALL32: far_check_gate(cpu, sel, d); return false;
    default: cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    }
}

/* -- JMP -- */

static void far_jump(Cpu *cpu, uint16_t sel, uint64_t eip)
{
    Desc d, cs;

    if (far_is_real(cpu)) {
        if (eip > cpu->s.segs[R_CS].limit) cpu_raise(cpu, EXC_GP, 0);
        cpu_load_seg_real(cpu, R_CS, sel);
        cpu->next_eip = eip;
        return;
    }
    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, 0);
    desc_fetch(cpu, sel, &d, EXC_GP, 0);
    if (d.hi & SEGF_S) {
        far_check_direct(cpu, sel, &d);
        cs = d;
    } else {
        if (far_system(cpu, sel, &d, TASK_JMP)) return;
        sel = far_gate_target(cpu, &d, true, &cs);
        eip = desc_gate_offset(&d);
    }
    far_check_target(cpu, &cs, eip, 0);
    desc_mark_accessed(cpu, &cs);
    cs_commit_same(cpu, sel, &cs);
    cpu->next_eip = eip;
}

/* -- CALL -- */

static void far_call_same(Cpu *cpu, uint16_t sel, Desc *cs, uint64_t eip, unsigned size)
{
    Stack st;

    stack_current(cpu, &st);
    /* into 64-bit code the return address is pushed as that code will find its stack */
    if (size == 8 || desc_is_code64(cpu, cs)) stack_long(&st, cpu->s.regs[R_ESP], cpu_cpl(cpu));
    stack_reserve(cpu, &st, 2, size, EXC_SS, 0);
    far_check_target(cpu, cs, eip, 0);
    desc_mark_accessed(cpu, cs);
    stack_push(cpu, &st, cpu->s.segs[R_CS].selector, size);
    stack_push(cpu, &st, cpu->next_eip, size);
    cpu->s.regs[R_ESP] = st.esp;
    cs_commit_same(cpu, sel, cs);
    cpu->next_eip = eip;
}

static void far_call_inner(Cpu *cpu, const Desc *gate, uint16_t sel, Desc *cs)
{
    unsigned cpl = desc_dpl(cs), size = desc_type(gate) & DESC_IS_32 ? 4 : 2;
    unsigned count = gate->hi & 31;
    uint32_t params[31], esp, eip = (uint32_t)desc_gate_offset(gate);
    uint16_t ss_sel;
    SegReg ss;
    Stack st;
    Desc d;

    tss_inner_stack(cpu, cpl, 0, &ss_sel, &esp);
    stack_check_inner_ss(cpu, ss_sel, cpl, 0, &d);
    ss = desc_segreg(ss_sel, &d);
    stack_inner(&st, &ss, esp, cpl);
    stack_reserve(cpu, &st, 4 + count, size, EXC_SS, ss_sel & 0xfffc);
    far_check_target(cpu, cs, eip, 0);
    for (unsigned i = 0; i < count; i++) params[i] = (uint32_t)stack_peek(cpu, i * size, size);
    desc_mark_accessed(cpu, cs);

    stack_push(cpu, &st, cpu->s.segs[R_SS].selector, size);
    stack_push(cpu, &st, (uint32_t)cpu->s.regs[R_ESP], size);
    while (count) stack_push(cpu, &st, params[--count], size);
    stack_push(cpu, &st, cpu->s.segs[R_CS].selector, size);
    stack_push(cpu, &st, cpu->next_eip, size);
    cpu->s.segs[R_SS] = ss;
    cpu->s.regs[R_ESP] = st.esp;
    cs_commit(cpu, sel, cs, cpl);
    cpu->next_eip = eip;
}

/* Long mode: through a gate to an inner level. */
static void far_call_long(Cpu *cpu, uint64_t eip, uint16_t sel, Desc *cs)
{
    unsigned cpl = desc_dpl(cs);
    Stack st;

    stack_long(&st, tss_long_stack(cpu, TSS64_RSP0 + 8 * cpl, 0), cpl);
    stack_reserve(cpu, &st, 4, 8, EXC_SS, 0);
    far_check_target(cpu, cs, eip, 0);
    desc_mark_accessed(cpu, cs);
    stack_push(cpu, &st, cpu->s.segs[R_SS].selector, 8);
    stack_push(cpu, &st, cpu->s.regs[R_ESP], 8);
    stack_push(cpu, &st, cpu->s.segs[R_CS].selector, 8);
    stack_push(cpu, &st, cpu->next_eip, 8);
    cpu->s.segs[R_SS] = segreg_null_ss(cpl);
    cpu->s.regs[R_ESP] = st.esp;
    cs_commit(cpu, sel, cs, cpl);
    cpu->next_eip = eip;
}

static unsigned far_gate_size(const Cpu *cpu, const Desc *gate)
{
    return cpu_long(cpu) ? 8 : desc_type(gate) & DESC_IS_32 ? 4 : 2;
}

static void far_call_real(Cpu *cpu, uint16_t sel, uint64_t eip, unsigned size)
{
    Stack st;

    stack_current(cpu, &st);
    stack_reserve(cpu, &st, 2, size, EXC_SS, 0);
    if (eip > cpu->s.segs[R_CS].limit) cpu_raise(cpu, EXC_GP, 0);
    stack_push(cpu, &st, cpu->s.segs[R_CS].selector, size);
    stack_push(cpu, &st, cpu->next_eip, size);
    cpu->s.regs[R_ESP] = st.esp;
    cpu_load_seg_real(cpu, R_CS, sel);
    cpu->next_eip = eip;
}

static void far_call(Cpu *cpu, uint16_t sel, uint64_t eip, unsigned size)
{
    Desc d, cs;

    if (far_is_real(cpu)) {
        far_call_real(cpu, sel, eip, size);
        return;
    }
    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, 0);
    desc_fetch(cpu, sel, &d, EXC_GP, 0);
    if (d.hi & SEGF_S) {
        far_check_direct(cpu, sel, &d);
        far_call_same(cpu, sel, &d, eip, size);
        return;
    }
    if (far_system(cpu, sel, &d, TASK_CALL)) return;
    sel = far_gate_target(cpu, &d, false, &cs);
    if (desc_is_conforming(&cs) || desc_dpl(&cs) >= cpu_cpl(cpu))
        far_call_same(cpu, sel, &cs, desc_gate_offset(&d), far_gate_size(cpu, &d));
    else if (cpu_long(cpu))
        far_call_long(cpu, desc_gate_offset(&d), sel, &cs);
    else
        far_call_inner(cpu, &d, sel, &cs);
}

/* -- RET -- */

static void far_return_outer(
    Cpu *cpu, uint16_t sel, Desc *cs, uint64_t eip, unsigned size, uint32_t extra)
{
    unsigned cpl = sel & 3;
    uint16_t ss_sel = (uint16_t)stack_peek(cpu, 3 * size + extra, size);
    uint64_t esp = stack_peek(cpu, 2 * size + extra, size);
    bool null = stack_null_is_good(cpu, cs, ss_sel, cpl);
    Desc ss;

    if (!null) stack_check_outer_ss(cpu, ss_sel, cpl, &ss);
    far_check_target(cpu, cs, eip, 0);
    desc_mark_accessed(cpu, cs);
    if (!null) desc_mark_accessed(cpu, &ss);
    cpu->s.segs[R_SS] = null ? segreg_null_ss(cpl) : desc_segreg(ss_sel, &ss);
    cpu->s.regs[R_ESP] = stack_returned(cpu, cs, esp + extra);
    segs_drop_inner(cpu, cpl);
    cs_commit(cpu, sel, cs, cpl);
    cpu->next_eip = eip;
}

static void far_return(Cpu *cpu, unsigned size, uint32_t extra)
{
    uint64_t eip = stack_peek(cpu, 0, size);
    uint16_t sel = (uint16_t)stack_peek(cpu, size, size);
    Desc cs;

    if (far_is_real(cpu)) {
        if (eip > cpu->s.segs[R_CS].limit) cpu_raise(cpu, EXC_GP, 0);
        stack_adjust(cpu, 2 * size + extra);
        cpu_load_seg_real(cpu, R_CS, sel);
        cpu->next_eip = eip;
        return;
    }
    cs_check_return(cpu, sel, &cs);
    if ((sel & 3) > (int)cpu_cpl(cpu)) {
        far_return_outer(cpu, sel, &cs, eip, size, extra);
        return;
    }
    far_check_target(cpu, &cs, eip, 0);
    desc_mark_accessed(cpu, &cs);
    cs_commit_same(cpu, sel, &cs);
    stack_adjust(cpu, 2 * size + extra); /* RSP, where that was into 64-bit code */
    cpu->next_eip = eip;
}

void cs_check_return(Cpu *cpu, uint16_t sel, Desc *d)
{
    unsigned rpl = sel & 3;

    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, 0);
    desc_fetch(cpu, sel, d, EXC_GP, 0);
    if (!far_is_code(cpu, d) || rpl < cpu_cpl(cpu) ||
        (desc_is_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl)) {
        cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    }
    if (!desc_present(d)) cpu_raise(cpu, EXC_NP, sel & 0xfffc);
}

void stack_check_outer_ss(Cpu *cpu, uint16_t sel, unsigned cpl, Desc *d)
{
    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, 0);
    desc_fetch(cpu, sel, d, EXC_GP, 0);
    if ((sel & 3) != (int)cpl || desc_dpl(d) != cpl || !desc_is_writable(d)) {
        cpu_raise(cpu, EXC_GP, sel & 0xfffc);
    }
    if (!desc_present(d)) cpu_raise(cpu, EXC_SS, sel & 0xfffc);
}

/* -- the instructions -- */

/* The m16:16, m16:32 or m16:64 operand. */
static uint64_t far_read_pointer(Cpu *cpu, const Insn *in, uint16_t *sel)
{
    uint64_t lin, eip;

    if (in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    lin = insn_lin_parts(cpu, in, in->opsize + 2u, in->opsize, false);
    eip = cpu_load(cpu, lin, in->opsize);
    *sel = (uint16_t)cpu_load(cpu, lin + in->opsize, 2);
    return eip;
}

void op_jmp_far_imm(Cpu *cpu, const Insn *in) { far_jump(cpu, in->sel, in->imm); }

void op_call_far_imm(Cpu *cpu, const Insn *in) { far_call(cpu, in->sel, in->imm, in->opsize); }

void op_jmp_far_mem(Cpu *cpu, const Insn *in)
{
    uint16_t sel;
    uint64_t eip = far_read_pointer(cpu, in, &sel);

    far_jump(cpu, sel, eip);
}

void op_call_far_mem(Cpu *cpu, const Insn *in)
{
    uint16_t sel;
    uint64_t eip = far_read_pointer(cpu, in, &sel);

    far_call(cpu, sel, eip, in->opsize);
}

void op_ret_far(Cpu *cpu, const Insn *in)
{
    far_return(cpu, in->opsize, in->op == 0xca ? (uint16_t)in->imm : 0);
}
