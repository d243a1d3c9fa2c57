/* SPDX-License-Identifier: MIT */
/*
 * Interrupts and exceptions: delivery through IVT and IDT, gates of both sizes, v86 mode with VME,
 * and which pending event is taken next.  Source: Intel SDM volume 3, chapters 6 and 20.
 *
 * What is on its way survives a restart (absent page): interrupt_injected holds the vector of an
 * acknowledged interrupt, nmi_injected an NMI; any delivery that commits clears both, be it the
 * event's own or that of the fault which it ran into.
 */
#include "core/apic.h"
#include "cpu/cpus.h"
#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/descriptor.h"
#include "cpu/smm.h"
#include "cpu/tlb.h"

typedef struct Delivery {
    int vector;
    bool soft; /* INT n, INT3, INTO: the gate's DPL is checked, EXT stays clear */
    bool has_code;
    uint32_t code, ext;
    uint64_t eip; /* what is pushed */
    uint32_t eflags;
} Delivery;

/* Error code of a fault in the IDT entry itself. */
static uint32_t interrupt_idt_code(const Delivery *dl)
{
    return (uint32_t)dl->vector * 8 + 2 + dl->ext;
}

void interrupt_taken(Cpu *cpu)
{
    struct CpuState *s = &cpu->s;

    s->halted = 0;
    s->hflags &= ~(uint32_t)HF_SHADOW;
    s->interrupt_injected = -1;
    if (s->debug_pending) { /* of an instruction that has faulted after all */
        s->debug_pending = 0;
        cpu_debug_update(cpu);
    }
    if (s->nmi_injected) {
        s->nmi_injected = 0;
        s->hflags2 |= HF2_NMI;
    }
}

/* Clears flags at the handler's entry, jumps, and forgets the event. */
static void interrupt_commit(Cpu *cpu, uint64_t eip, uint32_t clear)
{
    cpu_set_eflags(cpu, 0, clear);
    cpu->s.eip = cpu->next_eip = eip;
    interrupt_taken(cpu);
}

/* -- real mode, and v86 handlers reached by VME's redirection -- */

static void interrupt_vector_table(
    Cpu *cpu, const Delivery *dl, uint64_t table, uint32_t flags, uint32_t clear)
{
    uint64_t lin = table + (uint32_t)dl->vector * 4;
    uint32_t eip = (uint32_t)cpu_load_sys(cpu, lin, 2);
    uint16_t sel = (uint16_t)cpu_load_sys(cpu, lin + 2, 2);
    Stack st;

    stack_current(cpu, &st);
    stack_reserve(cpu, &st, 3, 2, EXC_SS, dl->ext);
    if (eip > cpu->s.segs[R_CS].limit) cpu_raise(cpu, EXC_GP, dl->ext);
    stack_push(cpu, &st, flags & 0xffff, 2);
    stack_push(cpu, &st, cpu->s.segs[R_CS].selector, 2);
    stack_push(cpu, &st, dl->eip & 0xffff, 2);
    cpu->s.regs[R_ESP] = st.esp;
    cpu_load_seg_real(cpu, R_CS, sel);
    interrupt_commit(cpu, eip, clear);
}

static void interrupt_real(Cpu *cpu, const Delivery *dl)
{
    if ((uint32_t)dl->vector * 4 + 3 > cpu->s.idt.limit) {
        cpu_raise(cpu, EXC_GP, interrupt_idt_code(dl));
    }
    interrupt_vector_table(
        cpu, dl, cpu->s.idt.base, dl->eflags, FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
}

/* -- protected mode -- */

static void interrupt_push_frame(Cpu *cpu, Stack *st, const Delivery *dl, unsigned size)
{
    stack_push(cpu, st, dl->eflags, size);
    stack_push(cpu, st, cpu->s.segs[R_CS].selector, size);
    stack_push(cpu, st, dl->eip, size);
    if (dl->has_code) stack_push(cpu, st, dl->code, size);
    cpu->s.regs[R_ESP] = st->esp;
}

/* Flags that a gate's handler starts without. */
static uint32_t interrupt_clears(const Desc *gate)
{
    uint32_t clear = FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT;

    return desc_type(gate) & 1 ? clear : clear | FLAG_IF;
}

/* To the segment that CS holds, over a frame of four-byte items on a flat stack which is in the
 * TLB: what mostly happens.  False where it takes more. */
static bool interrupt_short(
    Cpu *cpu, const Delivery *dl, const Desc *gate, uint16_t sel, uint32_t eip)
{
    enum MmuWho who = cpu_cpl(cpu) == 3 ? WHO_USER : WHO_SYSTEM;
    int bytes = 12 + 4 * dl->has_code;
    Mem32 *top;

    if (!(desc_type(gate) & DESC_IS_32) || !cs_is_current(cpu, sel)) return false;
    top = (Mem32 *)stack_view(cpu, -bytes, (unsigned)bytes, who, MMU_WRITE);
    if (!top || eip > cpu->s.segs[R_CS].limit) return false;
    if (dl->has_code) *top++ = dl->code;
    top[0] = (uint32_t)dl->eip;
    top[1] = cpu->s.segs[R_CS].selector;
    top[2] = dl->eflags;
    cpu_set_sp(cpu, cpu->s.regs[R_ESP] - (uint64_t)bytes);
    cpu->s.segs[R_CS].selector = (sel & ~3u) | cpu_cpl(cpu);
    interrupt_commit(cpu, eip, interrupt_clears(gate));
    return true;
}

static void interrupt_same(
    Cpu *cpu, const Delivery *dl, const Desc *gate, uint16_t sel, Desc *cs, uint32_t eip)
{
    unsigned size = desc_type(gate) & DESC_IS_32 ? 4 : 2;
    Stack st;

    stack_current(cpu, &st);
    stack_reserve(cpu, &st, 3u + dl->has_code, size, EXC_SS, dl->ext);
    far_check_target(cpu, cs, eip, dl->ext);
    desc_mark_accessed(cpu, cs);
    interrupt_push_frame(cpu, &st, dl, size);
    cs_commit_same(cpu, sel, cs);
    interrupt_commit(cpu, eip, interrupt_clears(gate));
}

static void interrupt_inner(
    Cpu *cpu, const Delivery *dl, const Desc *gate, uint16_t sel, Desc *cs, uint32_t eip)
{
    static const uint8_t v86_segs[] = { R_GS, R_FS, R_DS, R_ES };
    unsigned cpl = desc_dpl(cs), size = desc_type(gate) & DESC_IS_32 ? 4 : 2;
    bool vm = cpu_v86(cpu);
    uint16_t ss_sel;
    uint32_t esp;
    SegReg ss;
    Stack st;
    Desc d;

    tss_inner_stack(cpu, cpl, dl->ext, &ss_sel, &esp);
    stack_check_inner_ss(cpu, ss_sel, cpl, dl->ext, &d);
    ss = desc_segreg(ss_sel, &d);
    stack_inner(&st, &ss, esp, cpl);
    stack_reserve(
        cpu, &st, 5u + dl->has_code + (vm ? 4 : 0), size, EXC_SS, (ss_sel & 0xfffc) | dl->ext);
    far_check_target(cpu, cs, eip, dl->ext);
    desc_mark_accessed(cpu, cs);

    for (unsigned i = 0; vm && i < ARRAY_SIZE(v86_segs); i++) {
        stack_push(cpu, &st, cpu->s.segs[v86_segs[i]].selector, size);
    }
    stack_push(cpu, &st, cpu->s.segs[R_SS].selector, size);
    stack_push(cpu, &st, (uint32_t)cpu->s.regs[R_ESP], size);
    interrupt_push_frame(cpu, &st, dl, size);
    for (unsigned i = 0; vm && i < ARRAY_SIZE(v86_segs); i++) {
        cpu->s.segs[v86_segs[i]] = segreg_null(0);
    }
    cpu->s.segs[R_SS] = ss;
    cpu_set_eflags(cpu, 0, FLAG_VM);
    cs_commit(cpu, sel, cs, cpl);
    interrupt_commit(cpu, eip, interrupt_clears(gate));
}

static void interrupt_gate(Cpu *cpu, const Delivery *dl, const Desc *gate)
{
    uint32_t eip = (uint32_t)desc_gate_offset(gate), code;
    uint16_t sel = desc_gate_sel(gate);
    unsigned cpl = cpu_cpl(cpu);
    Desc cs;

    if (interrupt_short(cpu, dl, gate, sel, eip)) return;
    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, dl->ext);
    code = (sel & 0xfffc) | dl->ext;
    desc_fetch(cpu, sel, &cs, EXC_GP, dl->ext);
    if (!desc_is_code(&cs) || desc_dpl(&cs) > cpl) cpu_raise(cpu, EXC_GP, code);
    if (!desc_present(&cs)) cpu_raise(cpu, EXC_NP, code);
    if (cpu_v86(cpu) && (desc_is_conforming(&cs) || desc_dpl(&cs))) cpu_raise(cpu, EXC_GP, code);
    if (!desc_is_conforming(&cs) && desc_dpl(&cs) < cpl) {
        interrupt_inner(cpu, dl, gate, sel, &cs, eip);
    } else {
        interrupt_same(cpu, dl, gate, sel, &cs, eip);
    }
}

/* The IDT's entry, which must be a gate of one of these types. */
static inline void interrupt_read_gate(Cpu *cpu, const Delivery *dl, uint32_t types, Desc *gate)
{
    uint32_t size = cpu_long(cpu) ? 16 : 8, off = (uint32_t)dl->vector * size;
    uint64_t raw;

    if (off + size - 1 > cpu->s.idt.limit) cpu_raise(cpu, EXC_GP, interrupt_idt_code(dl));
    gate->lin = cpu->s.idt.base + off;
    raw = mmu_load_desc(cpu, gate->lin);
    gate->lo = (uint32_t)raw;
    gate->hi = (uint32_t)(raw >> 32);
    gate->top = size == 16 ? (uint32_t)cpu_load_sys(cpu, gate->lin + 8, 4) : 0;
    if (gate->hi & SEGF_S || (dl->soft && desc_dpl(gate) < cpu_cpl(cpu)) ||
        !(types >> desc_type(gate) & 1)) {
        cpu_raise(cpu, EXC_GP, interrupt_idt_code(dl));
    }
    if (!desc_present(gate)) cpu_raise(cpu, EXC_NP, interrupt_idt_code(dl));
}

enum {
    INT_GATES_LONG = 1 << DESC_INT32 | 1 << DESC_TRAP32,
    INT_GATES = 1 << DESC_TASK_GATE | 1 << DESC_INT16 | 1 << DESC_TRAP16 | INT_GATES_LONG
};

static void interrupt_protected(Cpu *cpu, const Delivery *dl)
{
    Desc gate;

    interrupt_read_gate(cpu, dl, INT_GATES, &gate);
    if (desc_type(&gate) == DESC_TASK_GATE) {
        task_switch(cpu, desc_gate_sel(&gate), dl->soft ? TASK_INT_SOFT : TASK_INT,
            (uint32_t)dl->eip, dl->eflags, dl->has_code, dl->code);
    } else {
        interrupt_gate(cpu, dl, &gate);
    }
}

/* -- long mode -- */

/* The stack that the handler starts on: one of the seven that gates can name, the inner level's, or
 * the current one. */
static uint64_t interrupt_long_stack(Cpu *cpu, const Delivery *dl, const Desc *gate, unsigned cpl)
{
    unsigned ist = gate->hi & 7;

    if (ist) return tss_long_stack(cpu, TSS64_IST1 + 8 * (ist - 1), dl->ext);
    if (cpl < cpu_cpl(cpu)) return tss_long_stack(cpu, TSS64_RSP0 + 8 * cpl, dl->ext);
    return cpu->s.regs[R_ESP];
}

static void interrupt_long_gate(Cpu *cpu, const Delivery *dl, const Desc *gate, Desc *cs)
{
    uint16_t sel = desc_gate_sel(gate);
    unsigned cpl = desc_is_conforming(cs) ? cpu_cpl(cpu) : desc_dpl(cs);
    uint64_t eip = desc_gate_offset(gate);
    bool inner = cpl < cpu_cpl(cpu);
    Stack st;

    stack_long(&st, interrupt_long_stack(cpu, dl, gate, cpl) & ~(uint64_t)15, cpl);
    stack_reserve(cpu, &st, 5u + dl->has_code, 8, EXC_SS, dl->ext);
    far_check_target(cpu, cs, eip, dl->ext);
    desc_mark_accessed(cpu, cs);
    stack_push(cpu, &st, cpu->s.segs[R_SS].selector, 8);
    stack_push(cpu, &st, cpu->s.regs[R_ESP], 8);
    interrupt_push_frame(cpu, &st, dl, 8);
    if (inner) cpu->s.segs[R_SS] = segreg_null_ss(cpl);
    cs_commit(cpu, sel, cs, cpl);
    interrupt_commit(cpu, eip, interrupt_clears(gate));
}

static void interrupt_long(Cpu *cpu, const Delivery *dl)
{
    uint32_t code;
    uint16_t sel;
    Desc gate, cs;

    interrupt_read_gate(cpu, dl, INT_GATES_LONG, &gate);
    sel = desc_gate_sel(&gate);
    code = (sel & 0xfffc) | dl->ext;
    if (selector_null(sel)) cpu_raise(cpu, EXC_GP, dl->ext);
    desc_fetch(cpu, sel, &cs, EXC_GP, dl->ext);
    if (!desc_is_code(&cs) || desc_dpl(&cs) > cpu_cpl(cpu) ||
        (cs.hi & (SEGF_L | SEGF_DB)) != SEGF_L) {
        cpu_raise(cpu, EXC_GP, code);
    }
    if (!desc_present(&cs)) cpu_raise(cpu, EXC_NP, code);
    interrupt_long_gate(cpu, dl, &gate, &cs);
}

/* Faults push RF set, so that an instruction breakpoint does not strike twice. */
static bool interrupt_is_fault(int vector)
{
    return vector != EXC_DB && vector != EXC_BP && vector != EXC_OF && vector != EXC_MC;
}

void cpu_deliver(Cpu *cpu, int vector, enum IntKind kind, bool has_code, uint32_t code)
{
    bool by_insn = kind == INT_SOFT || kind == INT_ICEBP;
    Delivery dl = { .vector = vector,
        .soft = kind == INT_SOFT,
        .has_code = has_code,
        .code = code,
        .ext = kind != INT_SOFT,
        .eip = by_insn ? cpu->next_eip : cpu->s.eip };

    /* between instructions RF is as IRET has just loaded it, which must not get lost */
    dl.eflags = cpu_get_eflags(cpu);
    cpu->soft_int = by_insn;
    if (kind == INT_EXCEPTION && interrupt_is_fault(vector)) dl.eflags |= FLAG_RF;
    if (kind != INT_EXCEPTION && log_on(&cpu->dev.m->log, LOG_INT)) {
        log_printf(&cpu->dev.m->log, "interrupt %02x cpl=%u IP=%04x:%08llx EAX=%08llx\n",
            (unsigned)vector, cpu_cpl(cpu), cpu->s.segs[R_CS].selector, (unsigned long long)dl.eip,
            (unsigned long long)cpu->s.regs[R_EAX]);
    }
    if (cpu_long(cpu)) {
        interrupt_long(cpu, &dl);
    } else if (cpu_protected(cpu)) {
        interrupt_protected(cpu, &dl);
    } else {
        interrupt_real(cpu, &dl);
    }
}

/* -- pending events -- */

static bool interrupt_nmi_ready(const Cpu *cpu)
{
    return cpu->s.interrupt_request & INTREQ_NMI && !(cpu->s.hflags2 & HF2_NMI);
}

static bool interrupt_intr_ready(const Cpu *cpu)
{
    return cpu->s.interrupt_request & INTREQ_HARD && cpu->s.eflags & FLAG_IF;
}

bool cpu_waits(const Cpu *cpu)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    return apic->dev && apic->ops->waits(apic->dev);
}

/* INIT waits for the end of system management mode. */
static bool interrupt_init_ready(const Cpu *cpu)
{
    return cpu->s.interrupt_request & INTREQ_INIT && !(cpu->s.hflags & HF_SMM);
}

bool cpu_has_event(Cpu *cpu)
{
    if (cpu->s.interrupt_request & INTREQ_SIPI) return true;
    if (cpu->s.halted && cpu_waits(cpu)) return interrupt_init_ready(cpu);
    return cpu->s.interrupt_injected >= 0 || cpu->s.nmi_injected || smm_ready(cpu) ||
           interrupt_init_ready(cpu) || interrupt_nmi_ready(cpu) || interrupt_intr_ready(cpu);
}

static void interrupt_init(Cpu *cpu)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    cpu_get_eflags(cpu); /* none stay lazy */
    cpu_reset_state(cpu, false);
    if (apic->dev) cpu->s.halted = apic->ops->init(apic->dev);
    cpu_tlb_flush(cpu, true);
    cpu_debug_update(cpu);
    cpu_update_mode(cpu);
}

/* A CPU that waits starts in real mode, at the beginning of the page that the message names. */
static bool interrupt_startup(Cpu *cpu)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);
    int page = apic->dev ? apic->ops->startup(apic->dev) : -1;

    cpu->s.interrupt_request &= ~(uint32_t)INTREQ_SIPI;
    if (page < 0) return false;
    cpu->s.segs[R_CS].selector = (uint32_t)page << 8;
    cpu->s.segs[R_CS].base = (uint64_t)page << PAGE_BITS;
    cpu->s.eip = 0;
    cpu->s.halted = 0;
    cpu_update_mode(cpu);
    return true;
}

static int interrupt_acknowledge(Cpu *cpu)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    return apic->dev ? apic->ops->take(apic->dev) : machine_inta(cpu->dev.m);
}

bool cpu_poll_events(Cpu *cpu)
{
    struct CpuState *s = &cpu->s;
    int vector;

    if (smm_ready(cpu) && s->interrupt_injected < 0 && !s->nmi_injected) {
        smm_enter(cpu);
        return true;
    }
    if (interrupt_init_ready(cpu)) {
        interrupt_init(cpu);
        return true;
    }
    if (s->interrupt_request & INTREQ_SIPI && interrupt_startup(cpu)) return true;
    if (s->halted && cpu_waits(cpu)) return false;
    if (s->interrupt_injected < 0 && !s->nmi_injected) {
        if (s->hflags & HF_SHADOW) return false;
        if (interrupt_nmi_ready(cpu)) {
            s->interrupt_request &= ~(uint32_t)INTREQ_NMI;
            s->nmi_injected = 1;
        } else if (interrupt_intr_ready(cpu)) {
            vector = interrupt_acknowledge(cpu);
            if (vector < 0) return false;
            s->interrupt_injected = vector;
        } else if (cpu_v86(cpu) && s->cr[4] & CR4_VME &&
                   (s->eflags & (FLAG_VIF | FLAG_VIP)) == (FLAG_VIF | FLAG_VIP)) {
            cpu_raise(cpu, EXC_GP, 0);
        } else {
            return false;
        }
    }
    s->halted = 0;
    if (s->nmi_injected) {
        cpu_deliver(cpu, EXC_NMI, INT_NMI_KIND, false, 0);
    } else {
        cpu_deliver(cpu, s->interrupt_injected, INT_HARD, false, 0);
    }
    return true;
}

/* -- INT n, INT3, INTO, ICEBP, BOUND -- */

/* v86 with CR4.VME: true where the TSS's redirection bitmap sends INT n to the v86 handler. */
static bool interrupt_redirected(Cpu *cpu, uint32_t vector)
{
    const SegReg *tr = &cpu->s.tr;
    uint32_t off;

    if (!(tr->flags >> SEGF_TYPE_SHIFT & DESC_IS_32) || tr->limit < 103) {
        cpu_raise(cpu, EXC_GP, 0);
    }
    /* the bitmap's 32 bytes stand before the I/O permission bitmap */
    off = (uint32_t)cpu_load_sys(cpu, tr->base + 0x66, 2) - 32 + vector / 8;
    if (off > tr->limit) cpu_raise(cpu, EXC_GP, 0);
    return !(cpu_load_sys(cpu, tr->base + off, 1) >> (vector & 7) & 1);
}

static void interrupt_vme(Cpu *cpu, uint32_t vector)
{
    uint32_t flags = cpu_get_eflags(cpu), clear = FLAG_TF | FLAG_RF;
    Delivery dl = { .vector = (int)vector, .eip = (uint32_t)cpu->next_eip };

    cpu->soft_int = true;
    if ((flags & FLAG_IOPL) == FLAG_IOPL) {
        clear |= FLAG_IF;
    } else { /* the handler sees VIF as IF, and IOPL 3 */
        flags = (flags & ~(uint32_t)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
        clear |= FLAG_VIF;
    }
    interrupt_vector_table(cpu, &dl, 0, flags, clear);
}

void op_int_n(Cpu *cpu, const Insn *in)
{
    uint32_t vector = in->imm & 0xff;

    if (cpu_v86(cpu)) {
        if (cpu->s.cr[4] & CR4_VME && interrupt_redirected(cpu, vector)) {
            interrupt_vme(cpu, vector);
            return;
        }
        if ((cpu->s.eflags & FLAG_IOPL) != FLAG_IOPL) cpu_raise(cpu, EXC_GP, 0);
    }
    cpu_deliver(cpu, (int)vector, INT_SOFT, false, 0);
}

void op_int3(Cpu *cpu, const Insn *in)
{
    (void)in;
    cpu_deliver(cpu, EXC_BP, INT_SOFT, false, 0);
}

void op_into(Cpu *cpu, const Insn *in)
{
    (void)in;
    if (cpu_get_eflags(cpu) & FLAG_OF) cpu_deliver(cpu, EXC_OF, INT_SOFT, false, 0);
}

void op_icebp(Cpu *cpu, const Insn *in)
{
    (void)in;
    cpu_deliver(cpu, EXC_DB, INT_ICEBP, false, 0);
}

void op_bound(Cpu *cpu, const Insn *in)
{
    int64_t index, low, high;
    uint64_t lin;

    if (in->modrm >= 0xc0) cpu_raise(cpu, EXC_UD, 0);
    lin = insn_lin_parts(cpu, in, in->opsize * 2u, in->opsize, false);
    index = (int64_t)cpu_read_reg(cpu, in->reg, in->opsize, in->flags & INSN_REX);
    low = (int64_t)cpu_load(cpu, lin, in->opsize);
    high = (int64_t)cpu_load(cpu, lin + in->opsize, in->opsize);
    if (in->opsize == 2) {
        index = (int16_t)index;
        low = (int16_t)low;
        high = (int16_t)high;
    } else {
        index = (int32_t)index;
        low = (int32_t)low;
        high = (int32_t)high;
    }
    if (index < low || index > high) cpu_raise(cpu, EXC_BR, 0);
}
