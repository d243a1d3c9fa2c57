/* SPDX-License-Identifier: MIT */
/* SSE: moves between registers and memory.  Source: Intel SDM volume 2. */
#include "cpu/mmx.h"
#include "cpu/sse.h"

/* -- cores: copies of parts -- */

#define MOVE_CORE(name, statement)                                                                 \
    SSE_CORE(name##_core)                                                                          \
    {                                                                                              \
        (void)imm;                                                                                 \
        statement;                                                                                 \
    }
#define S64(n) (((const Mem64 *)s)[n])

MOVE_CORE(all, sse_put(d, sse_get(s)))
MOVE_CORE(zero_4, sse_put(d, sse_get_4(s))) /* the rest is cleared */
MOVE_CORE(zero_8, sse_put(d, sse_get_8(s)))
MOVE_CORE(low_4, *(Mem32 *)d = *(const Mem32 *)s)
MOVE_CORE(low_low, d->q[0] = S64(0))
MOVE_CORE(low_high, d->q[0] = S64(1))
MOVE_CORE(high_low, d->q[1] = S64(0))
MOVE_CORE(both_low, d->q[0] = d->q[1] = S64(0))

/* -- loads -- */

SSE_OP2(load_aligned, all_core, all_core, 16)
SSE_OP2(load_unaligned, all_core, all_core, 16 | SSE_UNALIGNED)
SSE_OP2(load_ss, low_4_core, zero_4_core, 4)
SSE_OP2(load_sd, low_low_core, zero_8_core, 8)
SSE_OP2(load_q, zero_8_core, zero_8_core, 8)
SSE_OP2(load_low, low_high_core, low_low_core, 8)   /* the register form is MOVHLPS */
SSE_OP2(load_high, high_low_core, high_low_core, 8) /* ... MOVLHPS */
SSE_OP2(movddup, both_low_core, both_low_core, 8)
SSE_HOST(movshdup, "movshdup", 16, 0)
SSE_HOST(movsldup, "movsldup", 16, 0)

/* -- stores -- */

#define STORE_MEM(name, addr, size, aligned, at)                                                   \
    HANDLER(name##_##addr)                                                                         \
    {                                                                                              \
        ADDR_##addr lin = LIN_##addr(cpu, in, size, true);                                         \
        void *p = HOST_AT_##addr(cpu, wr, lin, size);                                              \
        const char *from = (const char *)&cpu->s.xmm[in->reg] + (at);                              \
                                                                                                   \
        SSE_READY(cpu, in, 0);                                                                     \
        if (UNLIKELY(!p || ((aligned) && lin & 15))) TAIL_CALL(op_mid, cpu, in);                   \
        memcpy(p, from, size);                                                                     \
        NEXT(cpu, in);                                                                             \
    }
/* size bytes from offset at of the register; core is what the register form does. */
#define STORE(name, size, aligned, at, core)                                                       \
    HANDLER(name##_reg)                                                                            \
    {                                                                                              \
        SSE_READY(cpu, in, 0);                                                                     \
        core(&cpu->s.xmm[in->rm], &cpu->s.xmm[in->reg], 0);                                        \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    STORE_MEM(name, base, size, aligned, at)                                                       \
    STORE_MEM(name, sib, size, aligned, at)                                                        \
    STORE_MEM(name, lbase, size, aligned, at)                                                      \
    STORE_MEM(name, lsib, size, aligned, at)                                                       \
    static void name##_general(Cpu *cpu, const Insn *in)                                           \
    {                                                                                              \
        XmmReg v = cpu->s.xmm[in->reg];                                                            \
                                                                                                   \
        sse_check(cpu);                                                                            \
        if (in->modrm >= 0xc0) {                                                                   \
            core(&cpu->s.xmm[in->rm], &v, 0);                                                      \
            return;                                                                                \
        }                                                                                          \
        if (at) v.q[0] = v.q[1];                                                                   \
        sse_store(cpu, sse_lin(cpu, in, size, true, aligned), &v, size);                           \
    }                                                                                              \
    const SseOp sse_##name = { SSE_FAST(name), name##_general };
STORE(store_aligned, 16, true, 0, all_core)
STORE(store_unaligned, 16, false, 0, all_core)
STORE(store_ss, 4, false, 0, low_4_core)
STORE(store_sd, 8, false, 0, low_low_core)
STORE(store_q, 8, false, 0, zero_8_core)
STORE(store_low, 8, false, 0, low_low_core)
STORE(store_high, 8, false, 8, low_high_core)

/* -- general registers -- */

/* MOVD and MOVQ with a general register or memory. */
HANDLER(load_general_reg)
{
    uint64_t v = cpu->s.regs[in->rm];

    SSE_READY(cpu, in, 0);
    cpu->s.xmm[in->reg].q[0] = in->opsize == 8 ? v : (uint32_t)v;
    cpu->s.xmm[in->reg].q[1] = 0;
    NEXT(cpu, in);
}

static void op_load_general(Cpu *cpu, const Insn *in)
{
    uint64_t v;

    sse_check(cpu);
    v = insn_read_rm(cpu, in, in->opsize);
    cpu->s.xmm[in->reg] = (XmmReg){ { v, 0 } };
}
const SseOp sse_load_general = { { load_general_reg }, op_load_general };

HANDLER(store_general_reg)
{
    uint64_t v = cpu->s.xmm[in->reg].q[0];

    SSE_READY(cpu, in, 0);
    cpu->s.regs[in->rm] = in->opsize == 8 ? v : (uint32_t)v;
    NEXT(cpu, in);
}

static void op_store_general(Cpu *cpu, const Insn *in)
{
    sse_check(cpu);
    insn_write_rm(cpu, in, cpu->s.xmm[in->reg].q[0], in->opsize);
}
const SseOp sse_store_general = { { store_general_reg }, op_store_general };

/* MOVNTI needs no SSE state. */
static void op_movnti(Cpu *cpu, const Insn *in)
{
    insn_write_rm(cpu, in, cpu_read_reg(cpu, in->reg, in->opsize, true), in->opsize);
}
const SseOp sse_movnti = { { NULL }, op_movnti };

/* -- MMX registers -- */

static void op_movq2dq(Cpu *cpu, const Insn *in)
{
    sse_check(cpu);
    cpu_fpu_check(cpu);
    mmx_enter(cpu);
    cpu->s.xmm[in->reg] = (XmmReg){ { cpu->s.fpregs[in->modrm & 7].mant, 0 } };
}
const SseOp sse_movq2dq = { { NULL }, op_movq2dq };

static void op_movdq2q(Cpu *cpu, const Insn *in)
{
    sse_check(cpu);
    cpu_fpu_check(cpu);
    mmx_write(cpu, in->reg, cpu->s.xmm[in->rm].q[0]);
}
const SseOp sse_movdq2q = { { NULL }, op_movdq2q };

/* -- masked stores to DS:(E)DI -- */

uint64_t sse_mask_lin(Cpu *cpu, const Insn *in, unsigned size)
{
    uint64_t off = cpu->s.regs[R_EDI];

    if (in->adsize == 2) off = (uint16_t)off;
    if (in->adsize == 4) off = (uint32_t)off;
    /* bytes, which are aligned wherever they are */
    cpu_seg_lin(cpu, in->seg, off + size - 1, 1, true);
    return cpu_seg_lin(cpu, in->seg, off, 1, true);
}

void sse_mask_store(Cpu *cpu, uint64_t lin, const uint8_t *v, const uint8_t *mask, unsigned size)
{
    bool any = false;

    for (unsigned i = 0; i < size; i++) any |= mask[i] >> 7;
    if (!any) return;
    cpu_probe(cpu, lin, size, true, false);
    for (unsigned i = 0; i < size; i++) {
        if (mask[i] >> 7) cpu_store(cpu, lin + i, v[i], 1);
    }
}

/* -- MXCSR -- */

void op_ldmxcsr(Cpu *cpu, const Insn *in)
{
    uint32_t v;

    sse_check(cpu);
    v = (uint32_t)cpu_load(cpu, insn_lin(cpu, in, 4, false), 4);
    if (v & ~sse_mxcsr_mask(cpu)) cpu_raise(cpu, EXC_GP, 0);
    sse_settle(cpu);
    cpu->s.mxcsr = v;
}

void op_stmxcsr(Cpu *cpu, const Insn *in)
{
    sse_check(cpu);
    sse_settle(cpu);
    cpu_store(cpu, insn_lin(cpu, in, 4, true), cpu->s.mxcsr, 4);
}

/* -- ordering: memory is always in order here -- */

void op_fence(Cpu *cpu, const Insn *in)
{
    (void)cpu;
    (void)in;
}

/* SFENCE, and CLFLUSH, which faults as a load does. */
void op_sfence_clflush(Cpu *cpu, const Insn *in)
{
    if (!opcode_built_in(cpu, in->modrm >= 0xc0 ? NEED_SSE : NEED_CLFLUSH)) {
        cpu_raise(cpu, EXC_UD, 0);
    }
    if (in->modrm < 0xc0) cpu_probe(cpu, insn_lin(cpu, in, 1, false), 1, false, false);
}
