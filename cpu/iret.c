/* SPDX-License-Identifier: MIT */
/*
 * IRET in all its forms: real mode, v86 (with VME), same and outer level, to v86, nested tasks,
 * long mode.  Source: Intel SDM volume 2 (pseudo code), volume 3 chapters 6, 7 and 20.
 */
#include "cpu/decode.h"
#include "cpu/descriptor.h"
#include "cpu/tlb.h"

enum {
    IRET_FLAGS = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT, /* by any IRET */
    IRET_FLAGS32 = FLAG_RF | FLAG_AC | FLAG_ID,             /* by a 32-bit one, too */
    IRET_VM_FLAGS = IRET_FLAGS | IRET_FLAGS32 | FLAG_IF | FLAG_IOPL | FLAG_VM | FLAG_VIF | FLAG_VIP
};

/* What every form finds at the stack's top. */
typedef struct IretFrame {
    uint64_t eip;
    uint32_t flags;
    uint16_t sel;
} IretFrame;

static inline IretFrame iret_frame(Cpu *cpu, unsigned size)
{
    const uint8_t *at = stack_view(cpu, 0, 3 * size, mmu_who(cpu), MMU_READ);
    IretFrame f;

    if (at && size == 4) { /* mostly */
        const Mem32 *top = (const Mem32 *)at;

        return (IretFrame){ .eip = top[0], .sel = (uint16_t)top[1], .flags = top[2] };
    }
    f.eip = stack_peek(cpu, 0, size);
    f.flags = (uint32_t)stack_peek(cpu, 2 * size, size); /* before CS, which shows in CR2 */
    f.sel = (uint16_t)stack_peek(cpu, size, size);
    return f;
}

/* The end of all forms: NMIs may come again, and a virtual interrupt may be due. */
static void iret_done(Cpu *cpu, uint64_t eip)
{
    cpu->s.hflags2 &= ~(uint32_t)HF2_NMI;
    if (cpu->s.eflags & FLAG_VIP) cpu->exit_pending = true;
    cpu->next_eip = eip;
}

/* Real mode, and v86 where IOPL lets it. */
static void iret_real(Cpu *cpu, unsigned size)
{
    IretFrame frame = iret_frame(cpu, size);
    uint32_t eip = (uint32_t)frame.eip, flags = frame.flags;
    uint32_t mask = IRET_FLAGS | FLAG_IF | (size == 4 ? IRET_FLAGS32 : 0);
    uint32_t iopl = (uint32_t)cpu->s.eflags & FLAG_IOPL;

    if (eip > cpu->s.segs[R_CS].limit) cpu_raise(cpu, EXC_GP, 0);
    if (!cpu_v86(cpu)) {
        mask |= FLAG_IOPL;
    } else if (iopl != FLAG_IOPL) { /* CR4.VME: IF stands for VIF */
        if (size != 2 || !(cpu->s.cr[4] & CR4_VME) || flags & FLAG_TF ||
            (flags & FLAG_IF && cpu->s.eflags & FLAG_VIP)) {
            cpu_raise(cpu, EXC_GP, 0);
        }
        mask = (mask & ~(uint32_t)FLAG_IF) | FLAG_VIF;
        flags = (flags & 0xffff) | (flags & FLAG_IF ? FLAG_VIF : 0);
    }
    stack_adjust(cpu, 3 * size);
    cpu_load_seg_real(cpu, R_CS, frame.sel);
    cpu_set_eflags(cpu, flags, mask);
    iret_done(cpu, eip);
}

static void iret_to_v86(Cpu *cpu, uint32_t eip, uint16_t cs, uint32_t flags)
{
    static const uint8_t order[] = { R_SS, R_ES, R_DS, R_FS, R_GS };
    uint16_t sel[ARRAY_SIZE(order)];
    uint32_t esp = (uint32_t)stack_peek(cpu, 12, 4);

    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        sel[i] = (uint16_t)stack_peek(cpu, 16 + 4 * i, 4);
    }
    if (eip > 0xffff) cpu_raise(cpu, EXC_GP, 0);
    cpu_set_eflags(cpu, flags, IRET_VM_FLAGS);
    cpu->s.segs[R_CS] = segreg_v86(cs);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) cpu->s.segs[order[i]] = segreg_v86(sel[i]);
    cpu->s.regs[R_ESP] = esp;
    cpu_set_cpl(cpu, 3);
    cpu_update_mode(cpu);
    iret_done(cpu, eip);
}

/* What a protected-mode IRET at this CPL may change. */
static uint32_t iret_mask(const Cpu *cpu, unsigned size)
{
    unsigned cpl = cpu_cpl(cpu), iopl = (uint32_t)(cpu->s.eflags & FLAG_IOPL) >> 12;
    uint32_t mask = IRET_FLAGS | (size >= 4 ? IRET_FLAGS32 : 0);

    if (cpl <= iopl) mask |= FLAG_IF;
    if (!cpl) mask |= FLAG_IOPL | (size >= 4 ? FLAG_VIF | FLAG_VIP : 0);
    return mask;
}

/* To the segment that CS holds already. */
static void iret_same(Cpu *cpu, const IretFrame *f, unsigned size)
{
    uint32_t mask = iret_mask(cpu, size);

    if ((uint32_t)f->eip > cpu->s.segs[R_CS].limit) cpu_raise(cpu, EXC_GP, 0);
    stack_adjust(cpu, 3 * size);
    cpu->s.segs[R_CS].selector = f->sel;
    cpu_set_eflags(cpu, f->flags, mask);
    iret_done(cpu, (uint32_t)f->eip);
}

static void iret_protected(Cpu *cpu, unsigned size)
{
    IretFrame frame = iret_frame(cpu, size);
    uint32_t eip = (uint32_t)frame.eip, flags = frame.flags;
    uint16_t sel = frame.sel, ss_sel = 0;
    uint32_t mask = iret_mask(cpu, size), esp = 0, esp_mask;
    unsigned cpl = sel & 3;
    bool outer;
    Desc cs, ss;

    if (size == 4 && flags & FLAG_VM && !cpu_cpl(cpu)) {
        iret_to_v86(cpu, eip, sel, flags);
        return;
    }
    if (cpl == cpu_cpl(cpu) && cs_is_current(cpu, sel)) {
        iret_same(cpu, &frame, size);
        return;
    }
    cs_check_return(cpu, sel, &cs);
    outer = cpl > cpu_cpl(cpu);
    if (outer) {
        ss_sel = (uint16_t)stack_peek(cpu, 4 * size, size);
        esp = (uint32_t)stack_peek(cpu, 3 * size, size);
        stack_check_outer_ss(cpu, ss_sel, cpl, &ss);
    }
    far_check_target(cpu, &cs, eip, 0);
    desc_mark_accessed(cpu, &cs);
    if (outer) {
        desc_mark_accessed(cpu, &ss);
        cpu->s.segs[R_SS] = desc_segreg(ss_sel, &ss);
        esp_mask = stack_mask(&cpu->s.segs[R_SS]);
        cpu->s.regs[R_ESP] = ((uint32_t)cpu->s.regs[R_ESP] & ~esp_mask) | (esp & esp_mask);
        segs_drop_inner(cpu, cpl);
        cs_commit(cpu, sel, &cs, cpl);
    } else {
        stack_adjust(cpu, 3 * size);
        cs_commit_same(cpu, sel, &cs);
    }
    cpu_set_eflags(cpu, flags, mask);
    iret_done(cpu, eip);
}

/* Long mode.  64-bit code's IRET pops SS and RSP in any case, SS perhaps null. */
static void iret_long(Cpu *cpu, unsigned size)
{
    IretFrame frame = iret_frame(cpu, size);
    uint64_t eip = frame.eip, esp = 0;
    uint32_t flags = frame.flags, mask = iret_mask(cpu, size);
    uint16_t sel = frame.sel, ss_sel = 0;
    unsigned cpl = sel & 3;
    bool outer, pops, null = false;
    Desc cs, ss;

    cs_check_return(cpu, sel, &cs);
    outer = cpl > cpu_cpl(cpu);
    pops = outer || cpu_code64(cpu);
    if (pops) {
        esp = stack_peek(cpu, 3 * size, size);
        ss_sel = (uint16_t)stack_peek(cpu, 4 * size, size);
        null = stack_null_is_good(cpu, &cs, ss_sel, cpl);
        if (!null) stack_check_outer_ss(cpu, ss_sel, cpl, &ss);
    }
    far_check_target(cpu, &cs, eip, 0);
    desc_mark_accessed(cpu, &cs);
    if (pops) {
        if (!null) desc_mark_accessed(cpu, &ss);
        cpu->s.segs[R_SS] = null ? segreg_null_ss(cpl) : desc_segreg(ss_sel, &ss);
        cpu->s.regs[R_ESP] = stack_returned(cpu, &cs, esp);
    }
    if (outer) segs_drop_inner(cpu, cpl);
    cs_commit(cpu, sel, &cs, cpl);
    if (!pops) stack_adjust(cpu, 3 * size);
    cpu_set_eflags(cpu, flags, mask);
    iret_done(cpu, eip);
}

static void iret_any(Cpu *cpu, const Insn *in)
{
    if (cpu_long(cpu)) {
        if (cpu->s.eflags & FLAG_NT) cpu_raise(cpu, EXC_GP, 0);
        iret_long(cpu, in->opsize);
        return;
    }
    if (!cpu_protected(cpu) || cpu_v86(cpu)) {
        if (cpu_v86(cpu) && (cpu->s.eflags & FLAG_IOPL) != FLAG_IOPL &&
            (in->opsize != 2 || !(cpu->s.cr[4] & CR4_VME))) {
            cpu_raise(cpu, EXC_GP, 0);
        }
        iret_real(cpu, in->opsize);
    } else if (cpu->s.eflags & FLAG_NT) {
        uint16_t link = (uint16_t)cpu_load_sys(cpu, cpu->s.tr.base, 2);

        cpu_task_switch(cpu, link, TASK_IRET, cpu->next_eip, false, 0);
        iret_done(cpu, cpu->s.eip);
    } else {
        iret_protected(cpu, in->opsize);
    }
}

void op_iret(Cpu *cpu, const Insn *in)
{
    cpu->in_iret = true;
    iret_any(cpu, in);
    cpu->in_iret = false;
}
