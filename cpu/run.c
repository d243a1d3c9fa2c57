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

#include "cpu/blocked.h"
#include "cpu/cpu.h"
#include "cpu/cpus.h"
#include "cpu/debug.h"
#include "cpu/descriptor.h"
#include "cpu/dispatch.h"
#include "cpu/fault.h"
#include "cpu/sse.h"
#include "cpu/trace.h"
#include "cpu/x87.h"

enum { RUN_STRETCH = 8192 };

Cpus *cpus_of(Machine *m) { return machine_slot(m, "cpus", sizeof(Cpus), NULL); }

/* -- hooks -- */

/* What earlier CPUs did in this slice is counted already. */
static int64_t run_slice_insns(void *opaque)
{
    const Cpu *cpu = ((Cpus *)opaque)->running;

    return cpu ? cpu->slice_total - cpu->slice_left - cpu->slice_rest : 0;
}

static void run_end_slice(void *opaque)
{
    Cpu *cpu = ((Cpus *)opaque)->running;

    if (!cpu) return;
    cpu->stop_slice = true;
    cpu->exit_pending = true;
}

void cpus_yield(Cpus *cpus)
{
    if (!cpus->running || cpus->n == 1) return;
    cpus->running->stop_turn = true;
    cpus->running->exit_pending = true;
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
    Cpus *cpus = cpu->cpus = cpus_of(m);

    if (cpu->index != cpus->n || cpus->n == MACHINE_CPUS)
        return error_set(err, "there is no place for CPU %u", cpu->index);
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
    m->clock.end_slice = run_end_slice;
    m->clock.slice_opaque = m->clock.end_slice_opaque = cpus;
    cpus->cpu[cpus->n++] = cpu;
    return true;
}

/* Devices go in the reverse order of their creation. */
void cpu_core_free(Cpu *cpu)
{
    if (!cpu->tlb) return;
    assert(cpu->cpus->cpu[cpu->cpus->n - 1] == cpu);
    mem_listener_del(cpu->dev.m, &cpu->listener);
    blocks_free(cpu);
    tlb_free(cpu);
    task_free(cpu);
    cpu->cpus->cpu[--cpu->cpus->n] = NULL;
    if (cpu->cpus->n) return;
    cpu->dev.m->clock.slice_insns = NULL;
    cpu->dev.m->clock.end_slice = NULL;
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

/* Gives back what an instruction that did not happen had used up.  A later one has left less of the
 * slice. */
static void run_step_undo(Cpu *cpu)
{
    CpuHeld *held = &cpu->held;

    if (LIKELY(held->left != cpu->slice_left + cpu->slice_rest)) return;
    if (held->shadow) cpu->s.hflags |= HF_SHADOW;
    if (held->rf) cpu->s.eflags |= FLAG_RF;
    held->left = -1;
}

static void run_step(Cpu *cpu)
{
    bool tf = cpu->s.eflags & FLAG_TF, shadow = cpu->s.debug_pending & DEBUG_SHADOW;
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
    dispatch_hold(cpu);
    cpu->soft_int = false;
    dispatch_run(cpu, b);
    run_step_undo(cpu); /* RF that an IRET loaded is in the trap's frame */
    cpu->cur = NULL;
    if (shadow) {
        cpu->s.debug_pending &= ~DEBUG_SHADOW;
    } else if (cpu->s.debug_pending & DEBUG_SHADOW) {
        return;
    }
    if (cpu->debug || tf) cpu_debug_step(cpu, tf && !cpu->soft_int);
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

    return cpu->stop_slice || cpu->stop_turn || m->kick || m->reset_requested ||
           m->shutdown_requested;
}

/* What run_ends and run_poll look at comes with one of these. */
static bool run_must_look(const Cpu *cpu)
{
    const Machine *m = cpu->dev.m;

    return cpu->exit_pending || cpu->s.interrupt_request || m->kick || m->reset_requested ||
           m->shutdown_requested;
}

/* Runs until the slice ends; behind an exception it is called again. */
static void run_body(Cpu *cpu, void *arg)
{
    bool *single = arg; /* the next instruction alone: it does I/O */

    for (;;) {
        Block *b;

        run_step_undo(cpu);
        if (cpu->slice_left <= 0) run_set_stretch(cpu, RUN_STRETCH);
        if (cpu->slice_left <= 0) return;
        if (run_must_look(cpu)) {
            if (run_ends(cpu)) return;
            run_poll(cpu);
        }
        if (cpu->s.halted) return;
        if (run_must_step(cpu)) {
            run_step(cpu);
            continue;
        }
        if (*single) run_set_stretch(cpu, 1);
        b = run_block(cpu, *single);
        *single = false;
        if (b->n > cpu->slice_left) {
            run_set_stretch(cpu, RUN_STRETCH);
            if (b->n > cpu->slice_left) b = blocks_copy(cpu, b, (int)cpu->slice_left);
        }
        if (UNLIKELY(cpu->s.eflags & FLAG_RF)) dispatch_hold(cpu);
        dispatch_run(cpu, b);
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
    bool single = false;
    FaultFrame f;

    cpu->held.left = -1;
    for (;;) {
        FaultKind kind = fault_guard_delivering(cpu, &f, run_body, &single);

        sse_settle(cpu);
        switch (kind) {
        case FAULT_NONE: return run_why(cpu);
        case FAULT_EXCEPTION: return CPU_SHUTDOWN;
        case FAULT_BLOCKED: run_step_undo(cpu); return CPU_BLOCKED;
        case FAULT_CUT:
            run_step_undo(cpu);
            single = true;
            break;
        }
    }
}

/* -- turns -- */

static bool run_can(Cpu *cpu)
{
    return (!cpu->s.halted || cpu_has_event(cpu)) && !blocked_waits(cpu);
}

static void run_set_turn(Cpu *cpu, uint32_t left)
{
    cpu->s.turn = left > 0;
    cpu->s.turn_left = left;
}

/* Who runs now: the one whose turn it is, or else the next one that can.  NULL: none can.  A
 * CPU that is alone has no turns. */
static Cpu *run_next(Cpus *cpus)
{
    unsigned last = 0;

    if (cpus->n == 1) return cpus->cpu[0];
    for (unsigned i = 0; i < cpus->n; i++)
        if (cpus->cpu[i]->s.turn) last = i;
    if (cpus->cpu[last]->s.turn_left && run_can(cpus->cpu[last])) return cpus->cpu[last];
    for (unsigned i = 1; i <= cpus->n; i++) {
        Cpu *cpu = cpus->cpu[(last + i) % cpus->n];

        if (!run_can(cpu)) continue;
        run_set_turn(cpus->cpu[last], 0);
        run_set_turn(cpu, CPU_TURN);
        return cpu;
    }
    return NULL;
}

/* Runs one CPU; answers how many instructions it has executed. */
static int64_t run_turn(Cpu *cpu, int64_t insns, CpuExit *why)
{
    Cpus *cpus = cpu->cpus;
    bool alone = cpus->n == 1;
    int64_t done;

    blocked_end(cpu);
    if (!alone) insns = MIN_OF(insns, (int64_t)cpu->s.turn_left);
    cpu->slice_total = cpu->slice_rest = insns;
    cpu->slice_left = 0;
    cpu->stop_slice = cpu->stop_turn = false;
    cpu->exit_pending = true;
    cpu->x87_host = X87_HOST_UNKNOWN;
    cpu->in_slice = true;
    cpus->running = cpu;
    *why = run_slice(cpu);
    done = run_slice_insns(cpus);
    cpus->running = NULL;
    cpu->in_slice = false;
    cpu->dev.m->clock.insns += done;
    if (!alone) cpu->s.turn_left = cpu->stop_turn ? 0 : cpu->s.turn_left - (uint32_t)done;
    return done;
}

/* Why nobody can run: they are idle, or one waits for a page. */
static CpuExit run_stands(Cpus *cpus)
{
    for (unsigned i = 0; i < cpus->n; i++) {
        if (!blocked_waits(cpus->cpu[i])) continue;
        blocked_all_begin(cpus);
        return CPU_BLOCKED;
    }
    return CPU_HALTED;
}

CpuExit cpu_run(Machine *m, int64_t max_insns, int64_t *done)
{
    Cpus *cpus = cpus_of(m);

    *done = 0;
    if (!cpus->n) return CPU_HALTED;
    if (atomic_exchange(&m->kick, 0)) return CPU_KICKED;
    blocked_all_end(cpus);
    while (*done < max_insns) {
        Cpu *cpu = run_next(cpus);
        CpuExit why;
        int64_t n;

        if (!cpu) return run_stands(cpus);
        n = run_turn(cpu, max_insns - *done, &why);
        *done += n;
        if (why == CPU_BLOCKED) {
            blocked_begin(cpu);
            if (blocked_waits(cpu)) continue;
            blocked_all_begin(cpus);
        }
        if (why == CPU_HALTED && (!n || cpus->n == 1)) return why;
        if (why != CPU_HALTED && why != CPU_BUDGET) return why;
    }
    return CPU_BUDGET;
}

bool cpu_idle(Machine *m)
{
    Cpus *cpus = cpus_of(m);

    for (unsigned i = 0; i < cpus->n; i++)
        if (run_can(cpus->cpu[i]) || blocked_waits(cpus->cpu[i])) return false;
    return true;
}
