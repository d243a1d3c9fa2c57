/* SPDX-License-Identifier: MIT */
/*
 * Near jumps: Jcc JMP CALL RET LOOP JCXZ.  Source: Intel SDM volume 2.
 *
 * Each has a form for flat 32-bit code (and stack), one for 64-bit code and one for the rest, which
 * checks the target against CS's limit before anything is committed.
 */
#include "cpu/operand.h"

/* The target of a relative jump. */
static inline uint64_t flow_target(const Cpu *cpu, const Insn *in)
{
    uint64_t to = cpu->s.eip + (uint64_t)in->disp;

    return in->opsize == 2 ? (uint16_t)to : to & cpu->eip_mask;
}

static void flow_check(Cpu *cpu, const Insn *in, uint64_t to)
{
    bool ok = cpu->mode & MODE_CS64 ? cpu_is_canonical(to) : to <= cpu->s.segs[R_CS].limit;

    if (!ok) RAISE(cpu, in, EXC_GP, 0);
}

#define FLOW_FNS(flat, wide, any)                                                                  \
    {                                                                                              \
        {                                                                                          \
            { 0 }, OP_ROW(any), { flat, any, any, any, any, any },                                 \
            {                                                                                      \
                any, any, any, any, wide, wide                                                     \
            }                                                                                      \
        }                                                                                          \
    }

/* -- Jcc -- */

HANDLER(jcc_any)
{
    if (cc_test(cpu, in->op & 15)) {
        uint64_t to = flow_target(cpu, in);

        flow_check(cpu, in, to);
        cpu->s.eip = to;
        CHAIN(cpu, in, 1);
    }
    cpu->s.eip = insn_next(cpu, in);
    CHAIN(cpu, in, 0);
}

#define JCC(cc)                                                                                    \
    HANDLER(jcc##cc##_flat)                                                                        \
    {                                                                                              \
        if (cc_test(cpu, cc)) {                                                                    \
            cpu->s.eip = (uint32_t)cpu->s.eip + (uint32_t)in->disp;                                \
            CHAIN(cpu, in, 1);                                                                     \
        }                                                                                          \
        cpu->s.eip = (uint32_t)(cpu->s.eip + in->off + in->len);                                   \
        CHAIN(cpu, in, 0);                                                                         \
    }                                                                                              \
    HANDLER(jcc##cc##_long)                                                                        \
    {                                                                                              \
        if (cc_test(cpu, cc)) {                                                                    \
            uint64_t to = cpu->s.eip + (uint64_t)in->disp;                                         \
                                                                                                   \
            if (UNLIKELY(!cpu_is_canonical(to))) TAIL_CALL(jcc_any, cpu, in);                      \
            cpu->s.eip = to;                                                                       \
            CHAIN(cpu, in, 1);                                                                     \
        }                                                                                          \
        cpu->s.eip += in->off + in->len;                                                           \
        CHAIN(cpu, in, 0);                                                                         \
    }
#define JCC_FNS(cc) FLOW_FNS(jcc##cc##_flat, jcc##cc##_long, jcc_any)
JCC(0)
JCC(1)
JCC(2)
JCC(3)
JCC(4)
JCC(5)
JCC(6)
JCC(7)
JCC(8)
JCC(9)
JCC(10)
JCC(11)
JCC(12)
JCC(13)
JCC(14)
JCC(15)

const OpFns jcc_rel[16] = { JCC_FNS(0), JCC_FNS(1), JCC_FNS(2), JCC_FNS(3), JCC_FNS(4), JCC_FNS(5),
    JCC_FNS(6), JCC_FNS(7), JCC_FNS(8), JCC_FNS(9), JCC_FNS(10), JCC_FNS(11), JCC_FNS(12),
    JCC_FNS(13), JCC_FNS(14), JCC_FNS(15) };

/* -- JMP, CALL, RET -- */

HANDLER(jmp_flat)
{
    cpu->s.eip = (uint32_t)cpu->s.eip + (uint32_t)in->disp;
    CHAIN(cpu, in, 1);
}

HANDLER(jmp_any)
{
    uint64_t to = flow_target(cpu, in);

    flow_check(cpu, in, to);
    cpu->s.eip = to;
    CHAIN(cpu, in, 1);
}

HANDLER(jmp_long)
{
    uint64_t to = cpu->s.eip + (uint64_t)in->disp;

    if (UNLIKELY(!cpu_is_canonical(to))) TAIL_CALL(jmp_any, cpu, in);
    cpu->s.eip = to;
    CHAIN(cpu, in, 1);
}
const OpFns jmp_rel = FLOW_FNS(jmp_flat, jmp_long, jmp_any);

HANDLER(call_any)
{
    uint64_t to = flow_target(cpu, in);

    flow_check(cpu, in, to);
    cpu->cur = in;
    cpu_push(cpu, insn_next(cpu, in), in->opsize);
    cpu->s.eip = to;
    CHAIN(cpu, in, 1);
}

HANDLER(call_flat)
{
    uint32_t sp = RD_32(cpu, REG_OFFSET(R_ESP)) - 4;

    MISS(sp, wr, 4, call_any);
    st_32(cpu, in, sp, (uint32_t)(cpu->s.eip + in->off + in->len));
    WR_32(cpu, REG_OFFSET(R_ESP), sp);
    cpu->s.eip = (uint32_t)cpu->s.eip + (uint32_t)in->disp;
    CHAIN(cpu, in, 1);
}

HANDLER(call_long)
{
    uint64_t sp = RD_64(cpu, REG_OFFSET(R_ESP)) - 8, to = cpu->s.eip + (uint64_t)in->disp;

    MISS_LONG(sp, lwr, 8, call_any);
    if (UNLIKELY(!cpu_is_canonical(to))) TAIL_CALL(call_any, cpu, in);
    stl_64(cpu, in, sp, cpu->s.eip + in->off + in->len);
    WR_64(cpu, REG_OFFSET(R_ESP), sp);
    cpu->s.eip = to;
    CHAIN(cpu, in, 1);
}
const OpFns call_rel = FLOW_FNS(call_flat, call_long, call_any);

HANDLER(ret_any)
{
    uint64_t sp = cpu->s.regs[R_ESP] & cpu->sp_mask, to;

    cpu->cur = in;
    to = cpu_load(cpu, cpu_seg_lin(cpu, R_SS, sp, in->opsize, false), in->opsize);
    flow_check(cpu, in, to);
    cpu_set_sp(cpu, sp + in->opsize + in->imm);
    cpu->s.eip = to;
    JUMP(cpu, in);
}

HANDLER(ret_flat)
{
    uint32_t sp = RD_32(cpu, REG_OFFSET(R_ESP));

    MISS(sp, rd, 4, ret_any);
    cpu->s.eip = ld_32(cpu, in, sp);
    WR_32(cpu, REG_OFFSET(R_ESP), sp + 4);
    JUMP(cpu, in);
}

HANDLER(ret_long)
{
    uint64_t sp = RD_64(cpu, REG_OFFSET(R_ESP)), to;

    MISS_LONG(sp, lrd, 8, ret_any);
    to = ldl_64(cpu, in, sp);
    if (UNLIKELY(!cpu_is_canonical(to))) TAIL_CALL(ret_any, cpu, in);
    cpu->s.eip = to;
    WR_64(cpu, REG_OFFSET(R_ESP), sp + 8);
    JUMP(cpu, in);
}
const OpFns ret_fns = FLOW_FNS(ret_flat, ret_long, ret_any);
const OpFns ret_imm = OP_SAME(ret_any);

HANDLER(jmp_m_any)
{
    uint64_t to;

    cpu->cur = in;
    to = insn_read_rm(cpu, in, in->opsize);
    flow_check(cpu, in, to);
    cpu->s.eip = to;
    JUMP(cpu, in);
}
const OpFns jmp_m = OP_SAME(jmp_m_any);

HANDLER(call_m_any)
{
    uint64_t to = stack_read_before_push(cpu, in);

    flow_check(cpu, in, to);
    cpu_push(cpu, insn_next(cpu, in), in->opsize);
    cpu->s.eip = to;
    JUMP(cpu, in);
}
const OpFns call_m = OP_SAME(call_m_any);

/* -- LOOP and JCXZ count by the address size -- */

#define LOOP_HANDLER(name, steps, condition)                                                       \
    HANDLER(name##_any)                                                                            \
    {                                                                                              \
        uint64_t count = insn_wrap(in, cpu->s.regs[R_ECX] - (steps));                              \
        uint64_t to = flow_target(cpu, in), next = insn_next(cpu, in);                             \
        bool taken;                                                                                \
                                                                                                   \
        taken = condition;                                                                         \
        if (taken) flow_check(cpu, in, to);                                                        \
        if (steps) cpu_write_reg(cpu, R_ECX, count, in->adsize, true);                             \
        cpu->s.eip = taken ? to : next;                                                            \
        if (taken) CHAIN(cpu, in, 1);                                                              \
        CHAIN(cpu, in, 0);                                                                         \
    }                                                                                              \
    const OpFns name##_fns = OP_SAME(name##_any);
LOOP_HANDLER(loop, 1, count != 0)
LOOP_HANDLER(loope, 1, count != 0 && cc_zf(cpu))
LOOP_HANDLER(loopne, 1, count != 0 && !cc_zf(cpu))
LOOP_HANDLER(jcxz, 0, count == 0)
