/* SPDX-License-Identifier: MIT */
/* Running blocks, and what stands in them beside real instructions.  See dispatch.h. */
#include "cpu/dispatch.h"

#include "cpu/debug.h"
#include "cpu/sse.h"

void dispatch_run(Cpu *cpu, Block *b)
{
    cpu->slice_left -= b->n;
    cpu->block = b;
    cpu->link = NULL;
    cpu->cur = NULL;
#ifdef DISPATCH_LOOP
    cpu->resume = b->insns;
    while (cpu->resume) cpu->resume->fn(cpu, cpu->resume);
#else
    b->insns->fn(cpu, b->insns);
#endif
}

/* Links where the successor lies in the same page at the distance that the jump says: then it does
 * so for every linear address under which the page is seen. */
static void dispatch_link(Cpu *cpu, const Insn *in, Block *to)
{
    Block *from = in->block;
    int64_t delta = cpu->link == &from->next[1] ? in->disp : from->bytes;
    bool same_page = ((uintptr_t)from->host ^ (uintptr_t)to->host) >> PAGE_BITS == 0;

    if (same_page && to->host == from->host + delta && !from->crossing && !to->crossing &&
        from->mode == to->mode)
        *cpu->link = to;
}

void dispatch_continue(Cpu *cpu, const Insn *in)
{
    uint64_t lin = cpu_code_lin(cpu);
    JumpEntry *e = &cpu->blocks->jump[jump_index(lin)];
    Block *b = e->block;
    bool flat = cpu->mode & (MODE_FLAT << R_CS | MODE_CS64);

    if (UNLIKELY(cpu->exit_pending || cpu->slice_left <= 0 || e->lin != lin ||
                 e->mode != cpu->mode || e->gen != cpu->tlb->gen || b->n > cpu->slice_left)) {
        cpu->link = NULL;
        LEAVE(cpu);
    }
    if (!flat && cpu->s.eip + b->bytes - 1 > cpu->s.segs[R_CS].limit) {
        cpu->link = NULL;
        LEAVE(cpu);
    }
    if (cpu->link && flat) dispatch_link(cpu, in, b);
    cpu->link = NULL;
    cpu->slice_left -= b->n;
    cpu->block = b;
    TAIL(cpu, b->insns);
}

/* Whether the run loop has to look before anything else is run. */
static bool dispatch_must_leave(const Cpu *cpu)
{
    return cpu->exit_pending | cpu->s.interrupt_request | cpu->debug | cpu->s.halted |
           (cpu->s.hflags & HF_SHADOW) | (uint32_t)cpu->dev.m->kick;
}

void op_slow(Cpu *cpu, const Insn *in)
{
    cpu->cur = NULL;
    sse_settle(cpu);
    cpu->s.eip = (cpu->s.eip + in->off) & cpu->eip_mask;
    cpu->next_eip = (cpu->s.eip + in->len) & cpu->eip_mask;
    in->slow(cpu, in);
    cpu->s.eip = cpu->next_eip;
    cpu->link = NULL;
    if (dispatch_must_leave(cpu)) LEAVE(cpu);
    if (UNLIKELY(cpu->s.eflags & FLAG_RF)) dispatch_hold(cpu); /* no breakpoint looks at it */
    JUMP(cpu, in);
}

void op_mid(Cpu *cpu, const Insn *in)
{
    uint64_t start = cpu->s.eip;

    cpu->s.eip = (start + in->off) & cpu->eip_mask;
    cpu->next_eip = (cpu->s.eip + in->len) & cpu->eip_mask;
    cpu->cur = in;
    cpu->cur_synced = true;
    in->slow(cpu, in);
    cpu->cur_synced = false;
    cpu->s.eip = start;
    if (UNLIKELY(cpu->exit_pending)) TAIL_CALL(op_leave, cpu, in + 1);
    NEXT(cpu, in);
}

/* Behind the last instruction, where that is no jump. */
void op_end(Cpu *cpu, const Insn *in)
{
    cpu->s.eip = (cpu->s.eip + in->off) & cpu->eip_mask;
    CHAIN(cpu, in, 0);
}

/* Leaves in front of instruction `in`, whose block was taken off the slice as a whole. */
void op_leave(Cpu *cpu, const Insn *in)
{
    Block *b = cpu->block;

    cpu->s.eip = (cpu->s.eip + in->off) & cpu->eip_mask;
    cpu->slice_left += b->count - (in - b->insns);
    cpu->link = NULL;
    LEAVE(cpu);
}

/* Behind the last instruction of a block that is run once. */
void op_stop(Cpu *cpu, const Insn *in)
{
    cpu->s.eip = (cpu->s.eip + in->off) & cpu->eip_mask;
    LEAVE(cpu);
}

void op_ud(Cpu *cpu, const Insn *in)
{
    cpu->cur = in;
    cpu_raise(cpu, EXC_UD, 0);
}
