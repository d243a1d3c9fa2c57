/* SPDX-License-Identifier: MIT */
/*
 * The run loop: slices, events between instructions, single steps.
 *
 * Budget.  A slice of max_insns instructions is run in stretches, so that a kick by another thread
 * is seen soon; slice_left + slice_rest is what is left of it.  A block is entered only where it
 * fits; what is left at the end runs as a shortened copy.  So a slice executes exactly max_insns
 * instructions, whichever way blocks are cut.  An exception counts as one instruction, which keeps
 * a guest that does nothing but fault from standing still in time.
 *
 * Step mode (TF, breakpoints, the shadow of STI and MOV SS): one instruction at a time, with debug
 * exceptions looked for around it.  RF, which every handler of a fault returns with, holds back
 * nothing where there are no breakpoints: it is cleared and a block is run as ever.
 */
#include <assert.h>
#include <glib.h>

#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/dispatch.h"
#include "cpu/fault.h"
#include "cpu/sse.h"
#include "cpu/trace.h"
#include "cpu/x87.h"

enum { RUN_STRETCH = 8192, RUN_CPUS = 1 };

/* The machine's CPUs; one for now. */
typedef struct RunCpus {
    Cpu *cpu[RUN_CPUS];
    unsigned n;
} RunCpus;

static RunCpus *run_cpus(Machine *m) { return machine_slot(m, "cpus", sizeof(RunCpus), NULL); }

/* -- hooks -- */

static int64_t run_slice_insns(void *opaque)
{
    Cpu *cpu = opaque;

    return cpu->in_slice ? cpu->slice_total - cpu->slice_left - cpu->slice_rest : 0;
}

static void run_end_slice(void *opaque)
{
    Cpu *cpu = opaque;

    cpu->stop_slice = true;
    cpu->exit_pending = true;
}

static void run_map_changed(void *opaque) { tlb_map_changed(opaque); }

static void run_armed(void *opaque, RamBlock *b, uint64_t first_page, uint64_t pages)
{
    tlb_drop_ram(opaque, b, first_page, pages);
}

static void run_code_written(void *opaque, RamBlock *b, uint64_t off, uint64_t len)
{
    blocks_code_written(opaque, b, off, len);
}

bool cpu_core_init(Cpu *cpu, Error *err)
{
    Machine *m = cpu->dev.m;
    RunCpus *cpus = run_cpus(m);

    if (cpus->n == RUN_CPUS) return error_set(err, "only %d CPU is supported", RUN_CPUS);
    if (!tlb_init(cpu, err)) return false;
    if (!blocks_init(cpu, err)) {
        tlb_free(cpu);
        return false;
    }
    cpu_mode_changed(cpu);
    cpu->listener = (MemListener){ .map_changed = run_map_changed,
        .armed = run_armed,
        .code_written = run_code_written,
        .opaque = cpu };
    mem_listener_add(m, &cpu->listener);
    m->clock.slice_insns = run_slice_insns;
    m->clock.slice_opaque = cpu;
    m->clock.end_slice = run_end_slice;
    m->clock.end_slice_opaque = cpu;
    cpus->cpu[cpus->n++] = cpu;
    return true;
}

void cpu_core_free(Cpu *cpu)
{
    RunCpus *cpus = run_cpus(cpu->dev.m);
    Clock *clock = &cpu->dev.m->clock;

    if (!cpu->tlb) return;
    mem_listener_del(cpu->dev.m, &cpu->listener);
    if (clock->slice_opaque == cpu) {
        clock->slice_insns = NULL;
        clock->end_slice = NULL;
    }
    for (unsigned i = 0; i < cpus->n; i++) {
        if (cpus->cpu[i] != cpu) continue;
        cpus->cpu[i] = cpus->cpu[--cpus->n];
        cpus->cpu[cpus->n] = NULL;
    }
    blocks_free(cpu);
    tlb_free(cpu);
}

void cpu_core_drop(Cpu *cpu)
{
    assert(!cpu->in_slice);
    cpu_tlb_flush(cpu, true);
    blocks_drop(cpu);
    cpu->cc_kind = 0;
    cpu->exit_pending = true;
    cpu_mode_changed(cpu);
}

/* -- one slice -- */

/* Moves the budget so that n instructions are left in this stretch (or all, if fewer). */
static void run_set_stretch(Cpu *cpu, int64_t n)
{
    int64_t all = cpu->slice_left + cpu->slice_rest;

    cpu->slice_left = MIN_OF(all, n);
    cpu->slice_rest = all - cpu->slice_left;
}

static bool run_must_step(const Cpu *cpu)
{
    return cpu->debug || (cpu->s.hflags & HF_SHADOW) || trace_on(cpu, LOG_EXEC);
}

/* What was taken away from `s` before an instruction; given back where that did not happen. */
typedef struct RunStep {
    bool shadow, rf, active;
    bool single;  /* the next instruction alone: it does I/O */
    int64_t left; /* of the slice, before the instruction */
} RunStep;

/* The block to be run next.  Fetching may fault, which counts as one. */
static Block *run_block(Cpu *cpu, bool single)
{
    Block *b;

    cpu->slice_left--;
    b = blocks_find(cpu);
    if (!b)
        b = blocks_single(cpu);
    else if (single)
        b = blocks_copy(cpu, b, 1);
    cpu->slice_left++;
    return b;
}

/* The shadow and RF last for one instruction. */
static void run_step_begin(Cpu *cpu, RunStep *step)
{
    step->shadow = cpu->s.hflags & HF_SHADOW;
    step->rf = cpu->s.eflags & FLAG_RF;
    step->active = true;
    step->left = cpu->slice_left;
    cpu->s.hflags &= ~(uint32_t)HF_SHADOW;
    cpu->s.eflags &= ~(uint64_t)FLAG_RF;
}

static void run_step(Cpu *cpu, RunStep *step)
{
    bool tf = cpu->s.eflags & FLAG_TF;
    Block *b;

    run_set_stretch(cpu, 1);
    cpu->cur = NULL;
    if (cpu->debug & DEBUG_FETCH) {
        cpu->slice_left--;
        cpu_debug_fetch(cpu);
        cpu->slice_left++;
    }
    b = run_block(cpu, true);
    if (trace_on(cpu, LOG_EXEC)) trace_exec(cpu, b);
    run_step_begin(cpu, step);
    dispatch_run(cpu, b);
    step->active = false;
    cpu->cur = NULL;
    if (cpu->debug || tf) cpu_debug_step(cpu, tf);
}

static void run_step_undo(Cpu *cpu, RunStep *step)
{
    bool undone = step->active && cpu->slice_left == step->left;

    step->active = false;
    if (!undone) return;
    if (step->shadow) cpu->s.hflags |= HF_SHADOW;
    if (step->rf) cpu->s.eflags |= FLAG_RF;
}

/* Interrupts are taken here and nowhere else. */
static void run_poll(Cpu *cpu)
{
    if (cpu->s.hflags & HF_SHADOW) return;
    cpu->exit_pending = false;
    cpu->cur = NULL;
    sse_settle(cpu);
    cpu->slice_left--;
    cpu_poll_events(cpu);
    cpu->slice_left++;
}

static bool run_ends(const Cpu *cpu)
{
    const Machine *m = cpu->dev.m;

    return cpu->stop_slice || m->kick || m->reset_requested || m->shutdown_requested;
}

/* Runs until the slice ends, or until a fault. */
static void run_body(Cpu *cpu, void *arg)
{
    RunStep *step = arg;

    for (;;) {
        Block *b;

        if (cpu->slice_left <= 0) run_set_stretch(cpu, RUN_STRETCH);
        if (cpu->slice_left <= 0 || run_ends(cpu)) return;
        if (cpu->exit_pending || cpu->s.interrupt_request) run_poll(cpu);
        if (cpu->s.halted) return;
        if (run_must_step(cpu)) {
            run_step(cpu, step);
            continue;
        }
        if (step->single) run_set_stretch(cpu, 1);
        b = run_block(cpu, step->single);
        step->single = false;
        if (b->n > cpu->slice_left) {
            run_set_stretch(cpu, RUN_STRETCH);
            if (b->n > cpu->slice_left) b = blocks_copy(cpu, b, (int)cpu->slice_left);
        }
        if (UNLIKELY(cpu->s.eflags & FLAG_RF)) run_step_begin(cpu, step);
        dispatch_run(cpu, b);
        step->active = false;
    }
}

static CpuExit run_why(Cpu *cpu)
{
    if (cpu->stop_slice || cpu->dev.m->reset_requested || cpu->dev.m->shutdown_requested)
        return CPU_KICKED;
    if (atomic_exchange(&cpu->dev.m->kick, 0)) return CPU_KICKED;
    return cpu->s.halted && cpu->slice_left + cpu->slice_rest > 0 ? CPU_HALTED : CPU_BUDGET;
}

static CpuExit run_slice(Cpu *cpu)
{
    RunStep step = { 0 };
    FaultFrame f;

    for (;;) {
        FaultKind kind = fault_guard(cpu, &f, run_body, &step);

        sse_settle(cpu);
        switch (kind) {
        case FAULT_NONE: return run_why(cpu);
        case FAULT_EXCEPTION:
            step.active = step.single = false;
            switch (fault_deliver(cpu, &f)) {
            case FAULT_EXCEPTION: return CPU_SHUTDOWN;
            case FAULT_BLOCKED: return CPU_BLOCKED;
            default: break;
            }
            cpu->s.hflags &= ~(uint32_t)HF_SHADOW;
            break;
        case FAULT_BLOCKED: run_step_undo(cpu, &step); return CPU_BLOCKED;
        case FAULT_CUT:
            run_step_undo(cpu, &step);
            step.single = true;
            break;
        }
    }
}

CpuExit cpu_run(Machine *m, int64_t max_insns, int64_t *done)
{
    Cpu *cpu = run_cpus(m)->cpu[0];
    CpuExit why;

    *done = 0;
    if (!cpu) return CPU_HALTED;
    if (atomic_exchange(&m->kick, 0)) return CPU_KICKED;
    if (max_insns <= 0) return CPU_BUDGET;
    cpu->slice_total = cpu->slice_rest = max_insns;
    cpu->slice_left = 0;
    cpu->stop_slice = false;
    cpu->exit_pending = true;
    cpu->x87_host = X87_HOST_UNKNOWN;
    cpu->in_slice = true;
    why = run_slice(cpu);
    *done = run_slice_insns(cpu);
    cpu->in_slice = false;
    m->clock.insns += *done;
    return why;
}

bool cpu_idle(Machine *m)
{
    Cpu *cpu = run_cpus(m)->cpu[0];

    return !cpu || (cpu->s.halted && !cpu_has_event(cpu));
}
