/* SPDX-License-Identifier: MIT */
/*
 * Faults: how an instruction is left in its midst, and how exceptions nest.  Source: Intel SDM
 * volume 3, chapter 5 (conditions for a double fault).
 *
 * Invariant: a fault finds `s` as it was before the instruction.  The only thing to be put right is
 * s.eip, which inside a block stands at the block's start, and the budget, from which the whole
 * block was taken on entry.  Only an IRET leaves something behind: NMIs may come again.
 */
#include "cpu/fault.h"

#include <assert.h>

#include "cpu/blocks.h"
#include "cpu/descriptor.h"
#include "cpu/sse.h"

/* Brings EIP and budget to the instruction that is left; done: it counts as executed. */
static void fault_settle(Cpu *cpu, bool done)
{
    const Insn *in = cpu->cur;

    if (in) {
        Block *b = cpu->block;

        if (!cpu->cur_synced) cpu->s.eip = (cpu->s.eip + in->off) & cpu->eip_mask;
        cpu->slice_left += b->count - (in - b->insns) - 1;
    }
    cpu->cur = NULL;
    cpu->cur_synced = false;
    if (!done) cpu->slice_left++;
    if (cpu->in_iret && done) cpu->s.hflags2 &= ~(uint32_t)HF2_NMI;
    cpu->in_iret = false;
}

static _Noreturn void fault_leave(Cpu *cpu, FaultKind kind)
{
    assert(cpu->fault_frame);
    cpu->fault_frame->kind = kind;
    FAULT_JUMP(cpu->fault_frame->env);
}

void cpu_raise(Cpu *cpu, int vector, uint32_t code)
{
    fault_settle(cpu, true);
    cpu->fault_frame->vector = vector;
    cpu->fault_frame->code = code;
    fault_leave(cpu, FAULT_EXCEPTION);
}

void cpu_page_fault(Cpu *cpu, uint64_t lin, uint32_t code)
{
    cpu->fault_frame->cr2 = lin;
    cpu_raise(cpu, EXC_PF, code);
}

void cpu_blocked(Cpu *cpu)
{
    fault_settle(cpu, false);
    task_undo(cpu);
    fault_leave(cpu, FAULT_BLOCKED);
}

void fault_cut(Cpu *cpu)
{
    const Insn *in = cpu->cur;
    Block *b = cpu->block;

    fault_settle(cpu, false);
    blocks_cut(cpu, b, in);
    fault_leave(cpu, FAULT_CUT);
}

/* -- delivery -- */

static bool fault_contributory(int vector)
{
    return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP);
}

static bool fault_has_code(int vector)
{
    return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
}

static bool fault_doubles(int first, int second)
{
    if (first == EXC_PF) return second == EXC_PF || fault_contributory(second);
    return fault_contributory(first) && fault_contributory(second);
}

static void fault_log(Cpu *cpu, const FaultFrame *f)
{
    Log *log = &cpu->dev.m->log;

    if (!log_on(log, LOG_INT)) return;
    log_printf(log, "exception %02x e=%04x cpl=%u IP=%04x:%08llx SP=%04x:%08llx CR2=%08llx\n",
        f->vector, fault_has_code(f->vector) ? f->code : 0, cpu_cpl(cpu),
        cpu->s.segs[R_CS].selector, (unsigned long long)cpu->s.eip, cpu->s.segs[R_SS].selector,
        (unsigned long long)cpu->s.regs[R_ESP],
        (unsigned long long)(f->vector == EXC_PF ? f->cr2 : cpu->s.cr[2]));
}

/* Delivers what f says; false: a triple fault.  What is raised meanwhile comes back here. */
static bool fault_deliver(Cpu *cpu, FaultFrame *f)
{
    sse_settle(cpu);
    if (f->on_way == EXC_DF) {
        if (log_on(&cpu->dev.m->log, LOG_INT | LOG_CPU_RESET))
            log_printf(&cpu->dev.m->log, "Triple fault\n");
        machine_request_reset(cpu->dev.m, RESET_GUEST);
        return false;
    }
    if (f->on_way >= 0 && fault_doubles(f->on_way, f->vector)) {
        f->vector = EXC_DF;
        f->code = 0;
    }
    f->on_way = f->vector;
    fault_log(cpu, f);
    if (f->vector == EXC_PF) cpu->s.cr[2] = f->cr2;
    cpu_deliver(cpu, f->vector, INT_EXCEPTION, fault_has_code(f->vector), f->code);
    f->on_way = -1;
    return true;
}

/* -- frames -- */

static __attribute__((noinline)) FaultKind fault_run(
    Cpu *cpu, FaultFrame *f, FaultBody *body, void *arg, bool deliver)
{
    FaultKind kind;

    f->outer = cpu->fault_frame;
    f->on_way = -1;
    cpu->fault_frame = f;
    kind = FAULT_SET(f->env) ? f->kind : FAULT_NONE;
    if (kind == FAULT_EXCEPTION && deliver && fault_deliver(cpu, f)) kind = FAULT_NONE;
    task_done(cpu);
    if (kind == FAULT_NONE) body(cpu, arg);
    cpu->fault_frame = f->outer;
    return kind;
}

FaultKind fault_guard(Cpu *cpu, FaultFrame *f, FaultBody *body, void *arg)
{
    return fault_run(cpu, f, body, arg, false);
}

FaultKind fault_guard_delivering(Cpu *cpu, FaultFrame *f, FaultBody *body, void *arg)
{
    return fault_run(cpu, f, body, arg, true);
}
