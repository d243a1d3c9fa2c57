/* SPDX-License-Identifier: MIT */
/*
 * Task switches between 16- and 32-bit TSSs.  Source: Intel SDM volume 3, chapter 7.
 *
 * Everything that can fault in the outgoing task's context is probed first; then its state is
 * saved, TR and the incoming task's registers are loaded, and what is wrong with those faults in
 * the incoming task's context.
 *
 * Invariant: an absent page (WATCH_ABSENT) that is met on the way, even where such a fault is
 * delivered, undoes the switch as if it had not begun.  Accessed bits may stay.
 */
#include <assert.h>
#include <glib.h>

#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/descriptor.h"
#include "cpu/sse.h"

/* Offsets in a TSS; registers and selectors follow one another in the encoding's order. */
enum {
    TSS32_CR3 = 0x1c,
    TSS32_EIP = 0x20,
    TSS32_EFLAGS = 0x24,
    TSS32_REGS = 0x28,
    TSS32_SEGS = 0x48,
    TSS32_LDT = 0x60,
    TSS32_TRAP = 0x64,
    TSS32_MIN = 0x67,
    TSS16_IP = 0x0e,
    TSS16_FLAGS = 0x10,
    TSS16_REGS = 0x12,
    TSS16_SEGS = 0x22,
    TSS16_LDT = 0x2a,
    TSS16_MIN = 0x2b,
};
enum { TASK_FLAGS = 0x3f7fd5 }; /* every flag there is */
enum { DR6_BT = 1 << 15, DR7_LOCAL = 0x155 };

enum { TASK_STORES = 2 + 8 + 6 + 1 + 2 }; /* of one switch: see task_save and task_switch */

typedef struct TaskImage {
    bool wide, trap;
    uint32_t cr3, eip, eflags, regs[8];
    uint16_t segs[6], ldt;
} TaskImage;

/* A switch that may still be undone: the CPU before it, and what was written since in memory. */
typedef struct TaskStep {
    struct CpuState s;
    unsigned n;
    struct {
        uint64_t lin;
        uint32_t old;
        unsigned size;
    } stores[TASK_STORES];
} TaskStep;

static bool task_is_wide(uint32_t flags) { return flags >> SEGF_TYPE_SHIFT & DESC_IS_32; }

static uint32_t task_load(Cpu *cpu, uint64_t base, uint32_t off, unsigned size)
{
    return (uint32_t)cpu_load_sys(cpu, base + off, size);
}

/* -- what can be undone -- */

/* From here on the switch is recorded: another step where a fault of one leads to the next. */
static void task_keep(Cpu *cpu)
{
    TaskStep *step;

    cpu_get_eflags(cpu);
    sse_settle(cpu);
    if (!cpu->task_steps) cpu->task_steps = g_array_new(false, false, sizeof(TaskStep));
    g_array_set_size(cpu->task_steps, cpu->task_steps->len + 1);
    step = &g_array_index(cpu->task_steps, TaskStep, cpu->task_steps->len - 1);
    step->s = cpu->s;
    step->n = 0;
}

/* In front of a store to what task_probe_writes has found writable. */
static void task_note(Cpu *cpu, uint64_t lin, unsigned size)
{
    TaskStep *step = &g_array_index(cpu->task_steps, TaskStep, cpu->task_steps->len - 1);

    assert(step->n < TASK_STORES);
    step->stores[step->n].lin = lin;
    step->stores[step->n].old = (uint32_t)cpu_load_sys(cpu, lin, size);
    step->stores[step->n++].size = size;
}

static void task_store(Cpu *cpu, uint64_t base, uint32_t off, uint32_t val, unsigned size)
{
    task_note(cpu, base + off, size);
    cpu_store_sys(cpu, base + off, val, size);
}

static void task_set_type(Cpu *cpu, Desc *d, unsigned type)
{
    task_note(cpu, d->lin + 5, 1);
    desc_set_type(cpu, d, type);
}

void task_done(Cpu *cpu)
{
    if (UNLIKELY(cpu->task_steps)) g_array_set_size(cpu->task_steps, 0);
}

static void task_undo_step(Cpu *cpu, const TaskStep *step)
{
    uint32_t requests = cpu->s.interrupt_request;

    cpu->s = step->s;
    cpu->s.interrupt_request = requests;
    cpu_tlb_flush(cpu, false);
    cpu_update_mode(cpu);
    cpu_debug_update(cpu);
    for (unsigned i = step->n; i--;)
        cpu_store_sys(cpu, step->stores[i].lin, step->stores[i].old, step->stores[i].size);
}

void task_undo(Cpu *cpu)
{
    GArray *steps = cpu->task_steps;

    while (steps && steps->len) {
        TaskStep step = g_array_index(steps, TaskStep, steps->len - 1);

        g_array_set_size(steps, steps->len - 1);
        task_undo_step(cpu, &step);
    }
}

void task_free(Cpu *cpu)
{
    if (cpu->task_steps) g_array_free(cpu->task_steps, true);
    cpu->task_steps = NULL;
}

/* -- the switch -- */

/* Finds the incoming TSS's descriptor and makes sure that it will do. */
static void task_check(Cpu *cpu, uint16_t sel, enum TaskWhy why, Desc *d)
{
    uint32_t ext = why == TASK_INT, code = (sel & 0xfffc) | ext;
    int vector = why == TASK_IRET ? EXC_TS : EXC_GP;
    unsigned busy = why == TASK_IRET ? DESC_BUSY : 0;

    if (sel & 4) cpu_raise(cpu, vector, code);
    desc_fetch(cpu, sel, d, vector, ext);
    if (d->hi & SEGF_S || (desc_type(d) & ~(unsigned)DESC_IS_32) != (DESC_TSS16 | busy)) {
        cpu_raise(cpu, vector, code);
    }
    if (!desc_present(d)) cpu_raise(cpu, EXC_NP, code);
    if (desc_limit(d) < (task_is_wide(d->hi) ? TSS32_MIN : TSS16_MIN)) {
        cpu_raise(cpu, EXC_TS, code);
    }
}

static void task_read(Cpu *cpu, const Desc *d, TaskImage *t)
{
    uint64_t base = desc_base(d);

    *t = (TaskImage){ .wide = task_is_wide(d->hi) };
    cpu_probe(cpu, base, t->wide ? TSS32_MIN + 1 : TSS16_MIN + 1, false, true);
    if (t->wide) {
        t->cr3 = task_load(cpu, base, TSS32_CR3, 4);
        t->eip = task_load(cpu, base, TSS32_EIP, 4);
        t->eflags = task_load(cpu, base, TSS32_EFLAGS, 4);
        for (unsigned i = 0; i < 8; i++) t->regs[i] = task_load(cpu, base, TSS32_REGS + 4 * i, 4);
        for (unsigned i = 0; i < 6; i++) {
            t->segs[i] = (uint16_t)task_load(cpu, base, TSS32_SEGS + 4 * i, 2);
        }
        t->ldt = (uint16_t)task_load(cpu, base, TSS32_LDT, 2);
        t->trap = task_load(cpu, base, TSS32_TRAP, 1) & 1;
        return;
    }
    t->eip = task_load(cpu, base, TSS16_IP, 2);
    t->eflags = task_load(cpu, base, TSS16_FLAGS, 2);
    for (unsigned i = 0; i < 8; i++) {
        t->regs[i] = 0xffff0000 | task_load(cpu, base, TSS16_REGS + 2 * i, 2);
    }
    for (unsigned i = 0; i < 4; i++) {
        t->segs[i] = (uint16_t)task_load(cpu, base, TSS16_SEGS + 2 * i, 2);
    }
    t->ldt = (uint16_t)task_load(cpu, base, TSS16_LDT, 2);
}

/* The outgoing TSS's part that a switch writes, and both busy bits, can be written. */
static void task_probe_writes(Cpu *cpu, const Desc *in, const Desc *out, bool nested)
{
    const SegReg *tr = &cpu->s.tr;
    bool wide = task_is_wide(tr->flags);
    uint32_t first = wide ? TSS32_EIP : TSS16_IP, last = wide ? TSS32_LDT : TSS16_LDT;

    cpu_probe(cpu, (uint32_t)(tr->base + first), last - first, true, true);
    cpu_probe(cpu, (uint32_t)(in->lin + 5), 1, true, true);
    if (nested) {
        cpu_probe(cpu, desc_base(in), 2, true, true);
    } else {
        cpu_probe(cpu, (uint32_t)(out->lin + 5), 1, true, true);
    }
}

static void task_save(Cpu *cpu, uint32_t eip, uint32_t eflags)
{
    uint64_t base = cpu->s.tr.base;
    bool wide = task_is_wide(cpu->s.tr.flags);
    unsigned size = wide ? 4 : 2;

    task_store(cpu, base, wide ? TSS32_EIP : TSS16_IP, eip, size);
    task_store(cpu, base, wide ? TSS32_EFLAGS : TSS16_FLAGS, eflags, size);
    for (unsigned i = 0; i < 8; i++) {
        task_store(
            cpu, base, (wide ? TSS32_REGS : TSS16_REGS) + size * i, (uint32_t)cpu->s.regs[i], size);
    }
    for (unsigned i = 0; i < (wide ? 6 : 4); i++) {
        task_store(
            cpu, base, (wide ? TSS32_SEGS : TSS16_SEGS) + size * i, cpu->s.segs[i].selector, 2);
    }
}

/* Registers and selectors of the incoming task; its segments are not loaded yet. */
static void task_commit(Cpu *cpu, uint16_t sel, const Desc *d, const TaskImage *t)
{
    struct CpuState *s = &cpu->s;
    bool vm = t->eflags & FLAG_VM;

    s->tr = desc_segreg(sel, d);
    s->tr.flags &= ~(uint32_t)(DESC_BUSY << SEGF_TYPE_SHIFT); /* as LTR has it */
    s->cr[0] |= CR0_TS;
    if (t->wide && s->cr[0] & CR0_PG) {
        s->cr[3] = t->cr3;
        s->pdptr_valid = 0; /* it is too late for #GP: a bad one faults where it is used */
        cpu_tlb_flush(cpu, false);
    }
    for (unsigned i = 0; i < 8; i++) s->regs[i] = t->regs[i];
    for (unsigned i = 0; i < 6; i++) {
        s->segs[i] = vm ? segreg_v86(t->segs[i]) : segreg_null(t->segs[i]);
    }
    s->ldt = segreg_null(t->ldt);
    cpu_set_eflags(cpu, t->eflags, TASK_FLAGS);
    cpu_set_cpl(cpu, 3); /* until SS is loaded: a fault before that takes an inner stack */
    cpu_update_mode(cpu);
    s->eip = cpu->next_eip = t->eip;
    s->dr[7] &= ~(uint64_t)DR7_LOCAL;
    cpu_debug_update(cpu);
    interrupt_taken(cpu);
}

static void task_load_ldt(Cpu *cpu, uint16_t sel, uint32_t ext)
{
    uint32_t code = (sel & 0xfffc) | ext;
    Desc d;

    if (selector_null(sel)) return;
    if (sel & 4) cpu_raise(cpu, EXC_TS, code);
    desc_fetch(cpu, sel, &d, EXC_TS, ext);
    if (d.hi & SEGF_S || desc_type(&d) != DESC_LDT || !desc_present(&d)) {
        cpu_raise(cpu, EXC_TS, code);
    }
    cpu->s.ldt = desc_segreg(sel, &d);
}

static void task_load_cs(Cpu *cpu, uint16_t sel, uint32_t ext)
{
    uint32_t code = (sel & 0xfffc) | ext;
    unsigned rpl = sel & 3;
    Desc d;

    if (selector_null(sel)) cpu_raise(cpu, EXC_TS, code);
    desc_fetch(cpu, sel, &d, EXC_TS, ext);
    if (!desc_is_code(&d) || (desc_is_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl)) {
        cpu_raise(cpu, EXC_TS, code);
    }
    if (!desc_present(&d)) cpu_raise(cpu, EXC_NP, code);
    desc_mark_accessed(cpu, &d);
    cpu->s.segs[R_CS] = desc_segreg(sel, &d);
    cpu_update_mode(cpu);
}

static void task_load_data(Cpu *cpu, int seg, uint16_t sel, uint32_t ext)
{
    uint32_t code = (sel & 0xfffc) | ext;
    unsigned level = MAX_OF(cpu_cpl(cpu), (unsigned)(sel & 3));
    Desc d;

    if (selector_null(sel)) return;
    desc_fetch(cpu, sel, &d, EXC_TS, ext);
    if (!desc_is_readable(&d) || (!desc_is_conforming(&d) && level > desc_dpl(&d))) {
        cpu_raise(cpu, EXC_TS, code);
    }
    if (!desc_present(&d)) cpu_raise(cpu, EXC_NP, code);
    desc_mark_accessed(cpu, &d);
    cpu->s.segs[seg] = desc_segreg(sel, &d);
}

static void task_load_segments(Cpu *cpu, const TaskImage *t, uint32_t ext)
{
    static const uint8_t order[] = { R_DS, R_ES, R_FS, R_GS };
    Desc ss;

    task_load_ldt(cpu, t->ldt, ext);
    if (t->eflags & FLAG_VM) return;
    /* SS first: what is wrong with the others is then told on the incoming task's stack */
    stack_check_inner_ss(cpu, t->segs[R_SS], t->segs[R_CS] & 3, ext, &ss);
    cpu->s.segs[R_SS] = desc_segreg(t->segs[R_SS], &ss);
    cpu_set_cpl(cpu, t->segs[R_CS] & 3);
    cpu_update_mode(cpu);
    task_load_cs(cpu, t->segs[R_CS], ext);
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        task_load_data(cpu, order[i], t->segs[order[i]], ext);
    }
    cpu_update_mode(cpu);
}

void task_switch(Cpu *cpu, uint16_t sel, enum TaskWhy why, uint32_t eip, uint32_t eflags,
    bool has_code, uint32_t code)
{
    bool nested = why != TASK_JMP && why != TASK_IRET;
    uint16_t old = (uint16_t)cpu->s.tr.selector;
    uint32_t ext = why == TASK_INT;
    TaskImage t;
    Desc in, out;
    Stack st;

    task_check(cpu, sel, why, &in);
    desc_fetch(cpu, old, &out, EXC_TS, ext);
    task_read(cpu, &in, &t);
    task_probe_writes(cpu, &in, &out, nested);

    task_keep(cpu);
    task_save(cpu, eip, why == TASK_IRET ? eflags & ~(uint32_t)FLAG_NT : eflags);
    if (nested) {
        task_store(cpu, desc_base(&in), 0, old, 2);
        t.eflags |= FLAG_NT;
    } else {
        task_set_type(cpu, &out, desc_type(&out) & ~(unsigned)DESC_BUSY);
    }
    task_set_type(cpu, &in, desc_type(&in) | DESC_BUSY);
    task_commit(cpu, sel, &in, &t);

    task_load_segments(cpu, &t, ext);
    if (has_code) {
        stack_current(cpu, &st);
        stack_reserve(cpu, &st, 1, t.wide ? 4 : 2, EXC_SS, ext);
        stack_push(cpu, &st, code, t.wide ? 4 : 2);
        cpu->s.regs[R_ESP] = st.esp;
    }
    if (t.eip > cpu->s.segs[R_CS].limit) cpu_raise(cpu, EXC_GP, ext);
    if (t.trap) {
        cpu->s.dr[6] |= DR6_BT;
        cpu_raise(cpu, EXC_DB, 0);
    }
    task_done(cpu);
}

void cpu_task_switch(
    Cpu *cpu, uint16_t selector, int why, uint64_t return_eip, bool has_code, uint32_t code)
{
    task_switch(cpu, selector, (enum TaskWhy)why, (uint32_t)return_eip, cpu_get_eflags(cpu),
        has_code, code);
}
