/* SPDX-License-Identifier: MIT */
/*
 * SSE: the general form of an operation, MXCSR, exceptions.  Source: Intel SDM volume 1 chapter 11
 * (order of exceptions, what an unmasked one leaves undone), volume 2.
 */
#include "cpu/sse.h"

#include "cpu/models.h"

void sse_check(Cpu *cpu)
{
    if ((cpu->s.hflags & (HF_EM | HF_OSFXSR)) != HF_OSFXSR) cpu_raise(cpu, EXC_UD, 0);
    if (cpu->s.hflags & HF_TS) cpu_raise(cpu, EXC_NM, 0);
}

/* -- MXCSR -- */

static inline void sse_host_load(uint32_t v) { __asm__ volatile("ldmxcsr %0" ::"m"(v)); }

static inline uint32_t sse_host_store(void)
{
    uint32_t v;

    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}

uint32_t sse_mxcsr_mask(const Cpu *cpu) { return cpu_has(cpu, FEAT_SSE2) ? 0xffff : 0xffbf; }

void sse_settle_slow(Cpu *cpu)
{
    cpu->s.mxcsr = sse_host_store();
    cpu->sse_live = false;
    sse_host_load(MXCSR_HOST);
}

/* Fits before a handler: it makes the handler's condition true, or takes the other way. */
static bool sse_make_live(Cpu *cpu)
{
    if (!sse_on(cpu) || (cpu->s.mxcsr & MXCSR_MASKS) != MXCSR_MASKS) return false;
    sse_host_load(cpu->s.mxcsr & sse_mxcsr_mask(cpu));
    cpu->sse_live = true;
    return true;
}

void sse_engage(Cpu *cpu, const Insn *in)
{
    if (!sse_make_live(cpu)) TAIL_CALL(op_mid, cpu, in);
    TAIL(cpu, in);
}

/* -- operands -- */

uint64_t sse_lin(Cpu *cpu, const Insn *in, unsigned size, bool write, bool aligned)
{
    if (aligned && (cpu->s.segs[in->seg].base + insn_ea(cpu, in)) % size) {
        cpu_raise(cpu, EXC_GP, 0);
    }
    return insn_lin(cpu, in, size, write);
}

XmmReg sse_read_rm(Cpu *cpu, const Insn *in, unsigned kind)
{
    unsigned size = kind & SSE_BYTES;
    XmmReg v = { { 0, 0 } };
    uint64_t lin;

    if (in->modrm >= 0xc0) return cpu->s.xmm[in->rm];
    lin = sse_lin(cpu, in, size, false, size == 16 && !(kind & SSE_UNALIGNED));
    if (size < 16) {
        v.q[0] = cpu_load(cpu, lin, size);
    } else {
        cpu_probe(cpu, lin, 16, false, false);
        v.q[0] = cpu_load(cpu, lin, 8);
        v.q[1] = cpu_load(cpu, lin + 8, 8);
    }
    return v;
}

void sse_store(Cpu *cpu, uint64_t lin, const XmmReg *v, unsigned size)
{
    if (size < 16) {
        cpu_store(cpu, lin, v->q[0], size);
    } else {
        cpu_probe(cpu, lin, 16, true, false);
        cpu_store(cpu, lin, v->q[0], 8);
        cpu_store(cpu, lin + 8, v->q[1], 8);
    }
}

/* -- an operation under the guest's MXCSR -- */

/* Whether an element of the result is tiny: not zero, and below the smallest normal number. */
static bool sse_is_tiny(const XmmReg *d, unsigned kind)
{
    unsigned bytes = kind & SSE_SCALAR ? (kind & SSE_SINGLE ? 4 : 8) : kind & SSE_LOW_HALF ? 8 : 16;

    for (unsigned i = 0; i < bytes; i += kind & SSE_SINGLE ? 4 : 8) {
        uint64_t v = d->q[i / 8];

        if (kind & SSE_SINGLE) {
            v = i & 4 ? v >> 32 : v & UINT32_MAX;
            if (!(v & 0x7f800000) && v & 0x7fffff) return true;
        } else if (!(v & 0x7ff0000000000000) && v & 0xfffffffffffff) {
            return true;
        }
    }
    return false;
}

/* With something unmasked.  The host runs with all masked; flushing to zero goes with a masked
 * underflow alone. */
static void sse_float_unmasked(
    Cpu *cpu, SseCore *core, unsigned kind, XmmReg *d, const void *s, unsigned imm)
{
    uint32_t mxcsr = cpu->s.mxcsr & sse_mxcsr_mask(cpu), flags;
    uint32_t unmasked = ~(mxcsr >> MXCSR_MASK_SHIFT) & MXCSR_FLAGS;
    uint32_t before = MXCSR_IE | MXCSR_DE | MXCSR_ZE; /* found before the operation is done */

    if (unmasked & MXCSR_UE) mxcsr &= ~(uint32_t)MXCSR_FTZ;
    sse_host_load((mxcsr & ~(uint32_t)MXCSR_FLAGS) | MXCSR_MASKS);
    core(d, s, imm);
    flags = sse_host_store() & MXCSR_FLAGS;
    sse_host_load(MXCSR_HOST);
    if (kind & SSE_TINY && unmasked & MXCSR_UE && sse_is_tiny(d, kind)) flags |= MXCSR_UE;
    if (flags & unmasked & before) flags &= before;
    cpu->s.mxcsr |= flags;
    if (flags & unmasked) {
        cpu_raise(cpu, cpu->s.cr[4] & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD, 0);
    }
}

void sse_float(Cpu *cpu, SseCore *core, unsigned kind, XmmReg *d, const void *s, unsigned imm)
{
    if (cpu->sse_live || sse_make_live(cpu)) {
        core(d, s, imm);
    } else {
        sse_float_unmasked(cpu, core, kind, d, s, imm);
    }
}

void sse_general(Cpu *cpu, const Insn *in, SseCore *core, unsigned kind)
{
    XmmReg d, s;

    sse_check(cpu);
    s = sse_read_rm(cpu, in, kind);
    d = cpu->s.xmm[in->reg];
    if (kind & SSE_FLOAT) {
        sse_float(cpu, core, kind, &d, &s, (unsigned)in->imm);
    } else {
        core(&d, &s, (unsigned)in->imm);
    }
    cpu->s.xmm[in->reg] = d;
}
