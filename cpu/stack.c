/* SPDX-License-Identifier: MIT */
/* PUSH POP PUSHA POPA ENTER LEAVE.  Source: Intel SDM volume 2. */
#include "cpu/operand.h"

static uint64_t stack_wrap(const Cpu *cpu, uint64_t sp) { return sp & cpu->sp_mask; }

/* -- any stack -- */

HANDLER(push_r_any)
{
    cpu->cur = in;
    cpu_push(cpu, cpu_read_reg(cpu, in->rm, in->opsize, true), in->opsize);
    NEXT(cpu, in);
}

HANDLER(push_i_any)
{
    cpu->cur = in;
    cpu_push(cpu, in->imm, in->opsize);
    NEXT(cpu, in);
}

HANDLER(pop_r_any)
{
    uint64_t val;

    cpu->cur = in;
    val = cpu_pop(cpu, in->opsize);
    cpu_write_reg(cpu, in->rm, val, in->opsize, true);
    NEXT(cpu, in);
}

/* -- flat 32-bit stacks -- */

HANDLER(push_r_flat)
{
    uint32_t sp = RD_32(cpu, REG_OFFSET(R_ESP)) - 4;

    MISS(sp, wr, 4, push_r_any);
    st_32(cpu, in, sp, RD_32(cpu, in->rm_at));
    WR_32(cpu, REG_OFFSET(R_ESP), sp);
    NEXT(cpu, in);
}

HANDLER(push_i_flat)
{
    uint32_t sp = RD_32(cpu, REG_OFFSET(R_ESP)) - 4;

    MISS(sp, wr, 4, push_i_any);
    st_32(cpu, in, sp, (uint32_t)in->imm);
    WR_32(cpu, REG_OFFSET(R_ESP), sp);
    NEXT(cpu, in);
}

HANDLER(pop_r_flat)
{
    uint32_t sp = RD_32(cpu, REG_OFFSET(R_ESP)), val;

    MISS(sp, rd, 4, pop_r_any);
    val = ld_32(cpu, in, sp);
    WR_32(cpu, REG_OFFSET(R_ESP), sp + 4);
    WR_32(cpu, in->rm_at, val);
    NEXT(cpu, in);
}

/* -- 64-bit code -- */

HANDLER(push_r_long)
{
    uint64_t sp = RD_64(cpu, REG_OFFSET(R_ESP)) - 8;

    MISS_LONG(sp, lwr, 8, push_r_any);
    stl_64(cpu, in, sp, RD_64(cpu, in->rm_at));
    WR_64(cpu, REG_OFFSET(R_ESP), sp);
    NEXT(cpu, in);
}

HANDLER(push_i_long)
{
    uint64_t sp = RD_64(cpu, REG_OFFSET(R_ESP)) - 8;

    MISS_LONG(sp, lwr, 8, push_i_any);
    stl_64(cpu, in, sp, in->imm);
    WR_64(cpu, REG_OFFSET(R_ESP), sp);
    NEXT(cpu, in);
}

HANDLER(pop_r_long)
{
    uint64_t sp = RD_64(cpu, REG_OFFSET(R_ESP)), val;

    MISS_LONG(sp, lrd, 8, pop_r_any);
    val = ldl_64(cpu, in, sp);
    WR_64(cpu, REG_OFFSET(R_ESP), sp + 8);
    WR_64(cpu, in->rm_at, val);
    NEXT(cpu, in);
}

/* -- the rest -- */

/* A segment register takes a whole operand's room on the stack. */
HANDLER(push_sreg_any)
{
    unsigned seg = in->op == 0xa0 ? R_FS : in->op == 0xa8 ? R_GS : in->op >> 3;

    cpu->cur = in;
    cpu_push(cpu, cpu->s.segs[seg].selector, in->opsize);
    NEXT(cpu, in);
}

/* Raises what a push of size bytes would raise. */
static void stack_probe_push(Cpu *cpu, unsigned size)
{
    uint64_t sp = stack_wrap(cpu, cpu->s.regs[R_ESP] - size);

    cpu_probe(cpu, cpu_seg_lin(cpu, R_SS, sp, size, true), size, true, false);
}

/* Reading registers has side effects: what follows must not fault any more. */
uint64_t stack_read_before_push(Cpu *cpu, const Insn *in)
{
    uint64_t lin;

    cpu->cur = in;
    if (in->modrm >= 0xc0) return cpu_read_reg(cpu, in->rm, in->opsize, true);
    lin = insn_lin(cpu, in, in->opsize, false);
    if (!tlb_find(cpu, lin, mmu_who(cpu), MMU_READ, 1)) {
        cpu_probe(cpu, lin, in->opsize, false, false);
        stack_probe_push(cpu, in->opsize);
    }
    return cpu_load(cpu, lin, in->opsize);
}

HANDLER(push_m_any)
{
    cpu_push(cpu, stack_read_before_push(cpu, in), in->opsize);
    NEXT(cpu, in);
}

/* The address is that after the pop. */
HANDLER(pop_m_any)
{
    uint64_t sp = cpu->s.regs[R_ESP], ea = insn_ea(cpu, in), val, lin, slin;

    cpu->cur = in;
    slin = cpu_seg_lin(cpu, R_SS, stack_wrap(cpu, sp), in->opsize, false);
    if (in->modrm >= 0xc0) {
        val = cpu_load(cpu, slin, in->opsize);
        cpu_set_sp(cpu, sp + in->opsize);
        cpu_write_reg(cpu, in->rm, val, in->opsize, true);
        NEXT(cpu, in);
    }
    if (in->base == R_ESP) ea = insn_wrap(in, ea + in->opsize);
    cpu_probe(cpu, slin, in->opsize, false, false);
    lin = cpu_seg_lin(cpu, in->seg, ea, in->opsize, true);
    cpu_probe(cpu, lin, in->opsize, true, false);
    cpu_store(cpu, lin, cpu_load(cpu, slin, in->opsize), in->opsize);
    cpu_set_sp(cpu, sp + in->opsize);
    NEXT(cpu, in);
}

static void stack_pusha(Cpu *cpu, unsigned size)
{
    uint64_t sp = cpu->s.regs[R_ESP], lin[8];

    for (unsigned i = 0; i < 8; i++) {
        uint64_t at = stack_wrap(cpu, sp - (i + 1) * size);

        lin[i] = cpu_seg_lin(cpu, R_SS, at, size, true);
        cpu_probe(cpu, lin[i], size, true, false);
    }
    for (unsigned i = 0; i < 8; i++) cpu_store(cpu, lin[i], cpu_read_reg(cpu, i, size, true), size);
    cpu_set_sp(cpu, sp - 8 * size);
}

static void stack_popa(Cpu *cpu, unsigned size)
{
    uint64_t sp = cpu->s.regs[R_ESP], lin[8], val[8];

    for (unsigned i = 0; i < 8; i++) {
        uint64_t at = stack_wrap(cpu, sp + i * size);

        lin[i] = cpu_seg_lin(cpu, R_SS, at, size, false);
        cpu_probe(cpu, lin[i], size, false, false);
    }
    for (unsigned i = 0; i < 8; i++) val[i] = cpu_load(cpu, lin[i], size);
    for (unsigned i = 0; i < 8; i++)
        if (i != 7 - R_ESP) cpu_write_reg(cpu, 7 - i, val[i], size, true);
    cpu_set_sp(cpu, sp + 8 * size);
}

HANDLER(pusha_any)
{
    cpu->cur = in;
    stack_pusha(cpu, in->opsize);
    NEXT(cpu, in);
}

HANDLER(popa_any)
{
    cpu->cur = in;
    stack_popa(cpu, in->opsize);
    NEXT(cpu, in);
}

/* Pushes EBP, then (level > 0) level - 1 frame pointers of the enclosing frames and the new one. */
static void stack_enter(Cpu *cpu, const Insn *in)
{
    unsigned size = in->opsize, level = in->sel & 31;
    uint64_t sp = cpu->s.regs[R_ESP], bp = cpu->s.regs[R_EBP];
    uint64_t frame = stack_wrap(cpu, sp - size), at, from[32], lin[32];
    unsigned n = level + 1;

    for (unsigned i = 1; i < level; i++) {
        from[i] = cpu_seg_lin(cpu, R_SS, stack_wrap(cpu, bp - i * size), size, false);
        cpu_probe(cpu, from[i], size, false, false);
    }
    /* EBP takes all of ESP, whose upper half a 16-bit stack leaves alone. */
    if (cpu->sp_mask == UINT16_MAX) frame |= sp & 0xffff0000;
    for (unsigned i = 0; i < n; i++) {
        at = stack_wrap(cpu, sp - (i + 1) * size);
        lin[i] = cpu_seg_lin(cpu, R_SS, at, size, true);
        cpu_probe(cpu, lin[i], size, true, false);
    }
    sp = stack_wrap(cpu, at - in->imm);
    /* The new top must be writable, though nothing is written there. */
    cpu_probe(cpu, cpu_seg_lin(cpu, R_SS, sp, size, true), size, true, false);
    /* One after the other: what is copied may have just been pushed. */
    cpu_store(cpu, lin[0], bp, size);
    for (unsigned i = 1; i < level; i++) cpu_store(cpu, lin[i], cpu_load(cpu, from[i], size), size);
    if (level) cpu_store(cpu, lin[level], frame, size);
    cpu_write_reg(cpu, R_EBP, frame, size, true);
    cpu_set_sp(cpu, sp);
}

HANDLER(enter_any)
{
    cpu->cur = in;
    stack_enter(cpu, in);
    NEXT(cpu, in);
}

HANDLER(leave_any)
{
    uint64_t bp = stack_wrap(cpu, cpu->s.regs[R_EBP]), val;

    cpu->cur = in;
    val = cpu_load(cpu, cpu_seg_lin(cpu, R_SS, bp, in->opsize, false), in->opsize);
    cpu_set_sp(cpu, bp + in->opsize);
    cpu_write_reg(cpu, R_EBP, val, in->opsize, true);
    NEXT(cpu, in);
}

HANDLER(leave_flat)
{
    uint32_t bp = RD_32(cpu, REG_OFFSET(R_EBP)), val;

    MISS(bp, rd, 4, leave_any);
    val = ld_32(cpu, in, bp);
    WR_32(cpu, REG_OFFSET(R_ESP), bp + 4);
    WR_32(cpu, REG_OFFSET(R_EBP), val);
    NEXT(cpu, in);
}

HANDLER(leave_long)
{
    uint64_t bp = RD_64(cpu, REG_OFFSET(R_EBP)), val;

    MISS_LONG(bp, lrd, 8, leave_any);
    val = ldl_64(cpu, in, bp);
    WR_64(cpu, REG_OFFSET(R_ESP), bp + 8);
    WR_64(cpu, REG_OFFSET(R_EBP), val);
    NEXT(cpu, in);
}

#define STACK_FNS(flat, wide, any)                                                                 \
    {                                                                                              \
        {                                                                                          \
            { 0 }, OP_ROW(any), { flat, any, any, any, any, any },                                 \
            {                                                                                      \
                any, any, any, any, wide, wide                                                     \
            }                                                                                      \
        }                                                                                          \
    }
const OpFns push_r = STACK_FNS(push_r_flat, push_r_long, push_r_any);
const OpFns push_i = STACK_FNS(push_i_flat, push_i_long, push_i_any);
const OpFns pop_r = STACK_FNS(pop_r_flat, pop_r_long, pop_r_any);
const OpFns push_m = OP_SAME(push_m_any);
const OpFns pop_m = OP_SAME(pop_m_any);
const OpFns push_sreg = OP_SAME(push_sreg_any);
const OpFns pusha_fns = OP_SAME(pusha_any);
const OpFns popa_fns = OP_SAME(popa_any);
const OpFns enter_fns = OP_SAME(enter_any);
const OpFns leave_fns = STACK_FNS(leave_flat, leave_long, leave_any);
