/* SPDX-License-Identifier: MIT */
/*
 * Near jumps: Jcc JMP CALL RET LOOP JCXZ.  Source: Intel SDM volume 2.
 *
 * Each has a form for flat 32-bit code (and stack) and one for the rest, which checks the target
 * against CS's limit before anything is committed.
 */
#include "cpu/operand.h"

static inline uint32_t flow_next(const Cpu *cpu, const Insn *in)
{
    return (uint32_t)(cpu->s.eip + in->off + in->len);
}

/* The target of a relative jump. */
static inline uint32_t flow_target(const Cpu *cpu, const Insn *in)
{
    uint32_t to = (uint32_t)cpu->s.eip + (uint32_t)in->disp;

    return in->opsize == 2 ? (uint16_t)to : to;
}

static void flow_check(Cpu *cpu, const Insn *in, uint32_t to)
{
    if (to > cpu->s.segs[R_CS].limit) RAISE(cpu, in, EXC_GP, 0);
}

/* -- Jcc -- */

#define JCC(cc)                                                                                    \
    HANDLER(jcc##cc##_flat)                                                                        \
    {                                                                                              \
        if (cc_test(cpu, cc)) {                                                                    \
            cpu->s.eip = (uint32_t)cpu->s.eip + (uint32_t)in->disp;                                \
            CHAIN(cpu, in, 1);                                                                     \
        }                                                                                          \
        cpu->s.eip = flow_next(cpu, in);                                                           \
        CHAIN(cpu, in, 0);                                                                         \
    }
#define JCC_FNS(cc)                                                                                \
    {                                                                                              \
        {                                                                                          \
            { 0 }, { jcc_any, jcc_any, jcc_any, jcc_any },                                         \
            {                                                                                      \
                jcc##cc##_flat, jcc_any, jcc_any, jcc_any                                          \
            }                                                                                      \
        }                                                                                          \
    }
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

HANDLER(jcc_any)
{
    if (cc_test(cpu, in->op & 15)) {
        uint32_t to = flow_target(cpu, in);

        flow_check(cpu, in, to);
        cpu->s.eip = to;
        CHAIN(cpu, in, 1);
    }
    cpu->s.eip = flow_next(cpu, in);
    CHAIN(cpu, in, 0);
}
const OpFns jcc_rel[16] = { JCC_FNS(0), JCC_FNS(1), JCC_FNS(2), JCC_FNS(3), JCC_FNS(4), JCC_FNS(5),
    JCC_FNS(6), JCC_FNS(7), JCC_FNS(8), JCC_FNS(9), JCC_FNS(10), JCC_FNS(11), JCC_FNS(12),
    JCC_FNS(13), JCC_FNS(14), JCC_FNS(15) };

/* -- JMP, CALL, RET -- */

#define FLOW_FNS(flat, any)                                                                        \
    {                                                                                              \
        {                                                                                          \
            { 0 }, { any, any, any, any }, { flat, any, any, any }                                 \
        }                                                                                          \
    }

HANDLER(jmp_flat)
{
    cpu->s.eip = (uint32_t)cpu->s.eip + (uint32_t)in->disp;
    CHAIN(cpu, in, 1);
}

HANDLER(jmp_any)
{
    uint32_t to = flow_target(cpu, in);

    flow_check(cpu, in, to);
    cpu->s.eip = to;
    CHAIN(cpu, in, 1);
}
const OpFns jmp_rel = FLOW_FNS(jmp_flat, jmp_any);

HANDLER(call_any)
{
    uint32_t to = flow_target(cpu, in);

    flow_check(cpu, in, to);
    cpu->cur = in;
    cpu_push(cpu, flow_next(cpu, in), in->opsize);
    cpu->s.eip = to;
    CHAIN(cpu, in, 1);
}

HANDLER(call_flat)
{
    uint32_t sp = RD_32(cpu, REG_OFFSET(R_ESP)) - 4;

    MISS(sp, wr, 4, call_any);
    st_32(cpu, in, sp, flow_next(cpu, in));
    WR_32(cpu, REG_OFFSET(R_ESP), sp);
    cpu->s.eip = (uint32_t)cpu->s.eip + (uint32_t)in->disp;
    CHAIN(cpu, in, 1);
}
const OpFns call_rel = FLOW_FNS(call_flat, call_any);

HANDLER(ret_any)
{
    uint32_t sp = (uint32_t)cpu->s.regs[R_ESP], to;

    cpu->cur = in;
    if (!(cpu->mode & MODE_SS32)) sp = (uint16_t)sp;
    to = (uint32_t)cpu_load(cpu, cpu_seg_lin(cpu, R_SS, sp, in->opsize, false), in->opsize);
    flow_check(cpu, in, to);
    sp += in->opsize + (uint32_t)in->imm;
    cpu_write_reg(cpu, R_ESP, sp, cpu->mode & MODE_SS32 ? 4 : 2, false);
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
const OpFns ret_fns = FLOW_FNS(ret_flat, ret_any);
const OpFns ret_imm = OP_SAME(ret_any);

HANDLER(jmp_m_any)
{
    uint32_t to;

    cpu->cur = in;
    to = (uint32_t)insn_read_rm(cpu, in, in->opsize);
    flow_check(cpu, in, to);
    cpu->s.eip = to;
    JUMP(cpu, in);
}
const OpFns jmp_m = OP_SAME(jmp_m_any);

HANDLER(call_m_any)
{
    uint32_t to = stack_read_before_push(cpu, in);

    flow_check(cpu, in, to);
    cpu_push(cpu, flow_next(cpu, in), in->opsize);
    cpu->s.eip = to;
    JUMP(cpu, in);
}
const OpFns call_m = OP_SAME(call_m_any);

/* -- LOOP and JCXZ count by the address size -- */

#define LOOP_HANDLER(name, steps, condition)                                                       \
    HANDLER(name##_any)                                                                            \
    {                                                                                              \
        uint32_t count = (uint32_t)cpu->s.regs[R_ECX] - (steps);                                   \
        uint32_t to = flow_target(cpu, in), next = flow_next(cpu, in);                             \
        bool taken;                                                                                \
                                                                                                   \
        if (in->adsize == 2) count = (uint16_t)count;                                              \
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
