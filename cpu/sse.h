/* SPDX-License-Identifier: MIT */
/*
 * SSE, from inside: how an operation becomes handlers, and whose MXCSR stands in the host's.
 * Source: Intel SDM volume 1 chapters 10 to 12, volume 2.
 *
 * An operation is the host's own instruction, on values loaded from `s` and stored back (a "core").
 * SSE_OP makes of a core the handlers that stand in blocks (SSE is enabled, the operand is a
 * register or plain RAM in a flat segment, no exception is unmasked) and a general form, called by
 * op_mid, for every other case.
 *
 * MXCSR: while cpu->sse_live, the guest's stands in the host's register, flags included, and
 * s.mxcsr is stale; SSE is then enabled and the guest masks all exceptions.  The first
 * floating-point instruction makes it so (sse_engage).  sse_settle ends it: whoever reads or writes
 * s.mxcsr, runs a device's code or changes what SSE depends on calls it before.
 */
#pragma once

#include <emmintrin.h>

#include "cpu/operand.h"
#include "cpu/sse_ops.h"

#if !defined(__x86_64__)
#error "SSE runs on the host's SSE: an x86-64 host is needed"
#endif

enum {
    MXCSR_IE = 1 << 0,
    MXCSR_DE = 1 << 1,
    MXCSR_ZE = 1 << 2,
    MXCSR_UE = 1 << 4,
    MXCSR_FLAGS = 0x3f,
    MXCSR_MASK_SHIFT = 7,
    MXCSR_MASKS = MXCSR_FLAGS << MXCSR_MASK_SHIFT,
    MXCSR_FTZ = 1 << 15,
    MXCSR_HOST = 0x1f80,
};

/* What a core works on: d is read and written, s is read (as many bytes as its kind says). */
typedef void SseCore(XmmReg *d, const void *s, unsigned imm);

enum SseKind {
    SSE_BYTES = 0xff,       /* of a memory operand */
    SSE_UNALIGNED = 1 << 8, /* 16 bytes at any address */
    SSE_FLOAT = 1 << 9,     /* depends on MXCSR */
    SSE_TINY = 1 << 10,     /* its result may be tiny and exact: in which elements ... */
    SSE_SINGLE = 1 << 11,   /* ... single or double precision ... */
    SSE_SCALAR = 1 << 12,   /* ... the lowest alone ... */
    SSE_LOW_HALF = 1 << 13, /* ... or the low eight bytes */
};

static inline bool sse_on(const Cpu *cpu)
{
    return (cpu->s.hflags & (HF_EM | HF_TS | HF_OSFXSR)) == HF_OSFXSR;
}

/* Raises #UD or #NM where SSE is off. */
void sse_check(Cpu *cpu);
/* Bits of MXCSR that this model has. */
uint32_t sse_mxcsr_mask(const Cpu *cpu);
/* Puts the guest's MXCSR back to s.mxcsr and the host's in its place. */
void sse_settle_slow(Cpu *cpu);
static inline void sse_settle(Cpu *cpu)
{
    if (UNLIKELY(cpu->sse_live)) sse_settle_slow(cpu);
}
/* Makes MXCSR live and runs the handler again, or takes the general form. */
InsnFn sse_engage;

/* -- the general form -- */

/* The linear address of an operand; #GP where it has to be aligned and is not. */
uint64_t sse_lin(Cpu *cpu, const Insn *in, unsigned size, bool write, bool aligned);
/* An XMM register or memory operand. */
XmmReg sse_read_rm(Cpu *cpu, const Insn *in, unsigned kind);
/* 16, 8 or 4 bytes, all or nothing. */
void sse_store(Cpu *cpu, uint64_t lin, const XmmReg *v, unsigned size);
/* One operation from its operand to its commit. */
void sse_general(Cpu *cpu, const Insn *in, SseCore *core, unsigned kind);
/* Runs a core under the guest's MXCSR; an unmasked exception is raised before *d may be used. */
void sse_float(Cpu *cpu, SseCore *core, unsigned kind, XmmReg *d, const void *s, unsigned imm);

/* MASKMOVQ, MASKMOVDQU: where to, and bytes whose mask has its sign, all or nothing. */
uint64_t sse_mask_lin(Cpu *cpu, const Insn *in, unsigned size);
void sse_mask_store(Cpu *cpu, uint64_t lin, const uint8_t *v, const uint8_t *mask, unsigned size);

/* -- cores -- */

static inline __m128i sse_get(const void *p) { return _mm_loadu_si128(p); }
static inline void sse_put(XmmReg *d, __m128i v) { _mm_storeu_si128((void *)d, v); }
static inline __m128i sse_get_16(const void *p) { return sse_get(p); }
static inline __m128i sse_get_8(const void *p) { return _mm_loadl_epi64(p); }
static inline __m128i sse_get_4(const void *p) { return _mm_cvtsi32_si128((int)*(const Mem32 *)p); }
static inline __m128i sse_get_2(const void *p) { return _mm_cvtsi32_si128(*(const Mem16 *)p); }

#define SSE_CORE(name)                                                                             \
    static inline __attribute__((always_inline)) void name(XmmReg *d, const void *s, unsigned imm)

/* The host's instruction on d and size bytes of s. */
#define SSE_HOST_CORE(name, insn, size)                                                            \
    SSE_CORE(name##_core)                                                                          \
    {                                                                                              \
        __m128i a = sse_get(d), b = sse_get_##size(s);                                             \
                                                                                                   \
        (void)imm;                                                                                 \
        __asm__ volatile(insn " %1, %0" : "+x"(a) : "x"(b));                                       \
        sse_put(d, a);                                                                             \
    }

/* -- handlers -- */

#define SSE_READY(cpu, in, kind)                                                                   \
    do {                                                                                           \
        if ((kind)&SSE_FLOAT) {                                                                    \
            if (UNLIKELY(!(cpu)->sse_live)) TAIL_CALL(sse_engage, cpu, in);                        \
        } else if (UNLIKELY(!sse_on(cpu))) {                                                       \
            TAIL_CALL(op_mid, cpu, in);                                                            \
        }                                                                                          \
    } while (0)

/* Whether a memory operand at lin, found at p, suits the fast form. */
#define SSE_PLAIN(p, lin, kind)                                                                    \
    LIKELY((p) && (((kind)&SSE_BYTES) < 16 || (kind)&SSE_UNALIGNED || !((lin)&15)))

#define SSE_MEM_HANDLER(name, addr, core, kind)                                                    \
    HANDLER(name##_##addr)                                                                         \
    {                                                                                              \
        ADDR_##addr lin = LIN_##addr(cpu, in, (kind)&SSE_BYTES, false);                            \
        const void *p = HOST_AT_##addr(cpu, rd, lin, (kind)&SSE_BYTES);                            \
                                                                                                   \
        SSE_READY(cpu, in, kind);                                                                  \
        if (!SSE_PLAIN(p, lin, kind)) TAIL_CALL(op_mid, cpu, in);                                  \
        core(&cpu->s.xmm[in->reg], p, (unsigned)in->imm);                                          \
        NEXT(cpu, in);                                                                             \
    }

/* The handlers of an operation by kind of operand. */
#define SSE_FAST(name)                                                                             \
    {                                                                                              \
        [KIND_REG] = name##_reg, [KIND_BASE] = name##_base, [KIND_SIB] = name##_sib,               \
        [KIND_LBASE] = name##_lbase, [KIND_LSIB] = name##_lsib                                     \
    }
/* Its handlers, and a general form by name. */
#define SSE_FORMS(name, core_reg, core_mem, kind, general)                                         \
    HANDLER(name##_reg)                                                                            \
    {                                                                                              \
        SSE_READY(cpu, in, kind);                                                                  \
        core_reg(&cpu->s.xmm[in->reg], &cpu->s.xmm[in->rm], (unsigned)in->imm);                    \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    SSE_MEM_HANDLER(name, base, core_mem, kind)                                                    \
    SSE_MEM_HANDLER(name, sib, core_mem, kind)                                                     \
    SSE_MEM_HANDLER(name, lbase, core_mem, kind)                                                   \
    SSE_MEM_HANDLER(name, lsib, core_mem, kind)                                                    \
    const SseOp sse_##name = { SSE_FAST(name), general };
/* One operation whose forms with a register and with memory differ in what they do. */
#define SSE_OP2(name, core_reg, core_mem, kind)                                                    \
    static void name##_general(Cpu *cpu, const Insn *in)                                           \
    {                                                                                              \
        sse_general(cpu, in, in->modrm >= 0xc0 ? core_reg : core_mem, kind);                       \
    }                                                                                              \
    SSE_FORMS(name, core_reg, core_mem, kind, name##_general)
#define SSE_OP(name, kind) SSE_OP2(name, name##_core, name##_core, kind)

/* The host's instruction as a whole operation. */
#define SSE_HOST(name, insn, size, kind)                                                           \
    SSE_HOST_CORE(name, insn, size)                                                                \
    SSE_OP(name, size | (kind))

/* The host's instruction with an immediate: a stub for each, of eight bytes (six, and two for the
 * jump back). */
#define SSE_STUBS(name, insn)                                                                      \
    extern const uint8_t sse_stubs_##name[] __attribute__((visibility("hidden")));                 \
    __asm__(".pushsection .text\n\t.balign 16\nsse_stubs_" #name ":\n\t.set sse_imm, 0\n\t"        \
            ".rept 256\n\t" insn " $sse_imm, %xmm1, %xmm0\n\tjmp *%rax\n\t.balign 8\n\t"           \
            ".set sse_imm, sse_imm + 1\n\t.endr\n\t.popsection");
#define SSE_STUB_CORE(name, size)                                                                  \
    SSE_CORE(name##_core)                                                                          \
    {                                                                                              \
        register __m128i a __asm__("xmm0") = sse_get(d);                                           \
        register __m128i b __asm__("xmm1") = sse_get_##size(s);                                    \
                                                                                                   \
        __asm__ volatile("lea 1f(%%rip), %%rax\n\tjmp *%2\n1:"                                     \
                         : "+x"(a)                                                                 \
                         : "x"(b), "r"(sse_stubs_##name + 8 * (imm & 0xff))                        \
                         : "rax", "cc");                                                           \
        sse_put(d, a);                                                                             \
    }
#define SSE_HOST_IMM(name, insn, size, kind)                                                       \
    SSE_STUBS(name, insn)                                                                          \
    SSE_STUB_CORE(name, size)                                                                      \
    SSE_OP(name, size | (kind))
