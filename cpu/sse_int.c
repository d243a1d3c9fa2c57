/* SPDX-License-Identifier: MIT */
/* SSE: packed integers in XMM registers.  Source: Intel SDM volume 2. */
#include "cpu/sse.h"

#define INT(name, insn) SSE_HOST(name, insn, 16, 0)

INT(punpcklbw, "punpcklbw")
INT(punpcklwd, "punpcklwd")
INT(punpckldq, "punpckldq")
INT(packsswb, "packsswb")
INT(pcmpgtb, "pcmpgtb")
INT(pcmpgtw, "pcmpgtw")
INT(pcmpgtd, "pcmpgtd")
INT(packuswb, "packuswb")
INT(punpckhbw, "punpckhbw")
INT(punpckhwd, "punpckhwd")
INT(punpckhdq, "punpckhdq")
INT(packssdw, "packssdw")
INT(punpcklqdq, "punpcklqdq")
INT(punpckhqdq, "punpckhqdq")
INT(pcmpeqb, "pcmpeqb")
INT(pcmpeqw, "pcmpeqw")
INT(pcmpeqd, "pcmpeqd")
INT(psrlw, "psrlw")
INT(psrld, "psrld")
INT(psrlq, "psrlq")
INT(paddq, "paddq")
INT(pmullw, "pmullw")
INT(psubusb, "psubusb")
INT(psubusw, "psubusw")
INT(pminub, "pminub")
INT(pand, "pand")
INT(paddusb, "paddusb")
INT(paddusw, "paddusw")
INT(pmaxub, "pmaxub")
INT(pandn, "pandn")
INT(pavgb, "pavgb")
INT(psraw, "psraw")
INT(psrad, "psrad")
INT(pavgw, "pavgw")
INT(pmulhuw, "pmulhuw")
INT(pmulhw, "pmulhw")
INT(psubsb, "psubsb")
INT(psubsw, "psubsw")
INT(pminsw, "pminsw")
INT(por, "por")
INT(paddsb, "paddsb")
INT(paddsw, "paddsw")
INT(pmaxsw, "pmaxsw")
INT(pxor, "pxor")
INT(psllw, "psllw")
INT(pslld, "pslld")
INT(psllq, "psllq")
INT(pmuludq, "pmuludq")
INT(pmaddwd, "pmaddwd")
INT(psadbw, "psadbw")
INT(psubb, "psubb")
INT(psubw, "psubw")
INT(psubd, "psubd")
INT(psubq, "psubq")
INT(paddb, "paddb")
INT(paddw, "paddw")
INT(paddd, "paddd")

SSE_HOST_IMM(pshufd, "pshufd", 16, 0)
SSE_HOST_IMM(pshufhw, "pshufhw", 16, 0)
SSE_HOST_IMM(pshuflw, "pshuflw", 16, 0)

/* -- shifts of ModRM.rm by an immediate -- */

#define SHIFT_IMM(name, insn)                                                                      \
    SSE_CORE(name##_imm_core)                                                                      \
    {                                                                                              \
        __m128i a = sse_get(d), n = _mm_cvtsi32_si128((int)(imm & 0xff));                          \
                                                                                                   \
        (void)s;                                                                                   \
        __asm__ volatile(insn " %1, %0" : "+x"(a) : "x"(n));                                       \
        sse_put(d, a);                                                                             \
    }                                                                                              \
    SHIFT_OP(name##_imm)
#define SHIFT_OP(name)                                                                             \
    HANDLER(name##_reg)                                                                            \
    {                                                                                              \
        SSE_READY(cpu, in, 0);                                                                     \
        name##_core(&cpu->s.xmm[in->rm], NULL, (unsigned)in->imm);                                 \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    static void name##_general(Cpu *cpu, const Insn *in)                                           \
    {                                                                                              \
        sse_check(cpu);                                                                            \
        name##_core(&cpu->s.xmm[in->rm], NULL, (unsigned)in->imm);                                 \
    }                                                                                              \
    const SseOp sse_##name = { { name##_reg }, name##_general };
SHIFT_IMM(psrlw, "psrlw")
SHIFT_IMM(psrld, "psrld")
SHIFT_IMM(psrlq, "psrlq")
SHIFT_IMM(psraw, "psraw")
SHIFT_IMM(psrad, "psrad")
SHIFT_IMM(psllw, "psllw")
SHIFT_IMM(pslld, "pslld")
SHIFT_IMM(psllq, "psllq")

/* By whole bytes. */
SSE_CORE(psrldq_imm_core)
{
    unsigned __int128 v = (unsigned __int128)d->q[1] << 64 | d->q[0];

    (void)s;
    v = imm < 16 ? v >> 8 * imm : 0;
    d->q[0] = (uint64_t)v;
    d->q[1] = (uint64_t)(v >> 64);
}
SHIFT_OP(psrldq_imm)

SSE_CORE(pslldq_imm_core)
{
    unsigned __int128 v = (unsigned __int128)d->q[1] << 64 | d->q[0];

    (void)s;
    v = imm < 16 ? v << 8 * imm : 0;
    d->q[0] = (uint64_t)v;
    d->q[1] = (uint64_t)(v >> 64);
}
SHIFT_OP(pslldq_imm)

/* -- words in and out -- */

static void op_pinsrw(Cpu *cpu, const Insn *in)
{
    uint16_t v;

    sse_check(cpu);
    v = (uint16_t)(in->modrm >= 0xc0 ? cpu->s.regs[in->rm]
                                     : cpu_load(cpu, insn_lin(cpu, in, 2, false), 2));
    memcpy((char *)&cpu->s.xmm[in->reg] + 2 * (in->imm & 7), &v, 2);
}
const SseOp sse_pinsrw = { { NULL }, op_pinsrw };

static void op_pextrw(Cpu *cpu, const Insn *in)
{
    uint16_t v;

    sse_check(cpu);
    memcpy(&v, (const char *)&cpu->s.xmm[in->rm] + 2 * (in->imm & 7), 2);
    cpu->s.regs[in->reg] = v;
}
const SseOp sse_pextrw = { { NULL }, op_pextrw };

/* -- masks of signs -- */

#define MASK_OP(name, insn)                                                                        \
    HANDLER(name##_reg)                                                                            \
    {                                                                                              \
        uint32_t r;                                                                                \
                                                                                                   \
        SSE_READY(cpu, in, 0);                                                                     \
        __asm__(insn " %1, %0" : "=r"(r) : "x"(sse_get(&cpu->s.xmm[in->rm])));                     \
        cpu->s.regs[in->reg] = r;                                                                  \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    static void name##_general(Cpu *cpu, const Insn *in)                                           \
    {                                                                                              \
        uint32_t r;                                                                                \
                                                                                                   \
        sse_check(cpu);                                                                            \
        __asm__(insn " %1, %0" : "=r"(r) : "x"(sse_get(&cpu->s.xmm[in->rm])));                     \
        cpu->s.regs[in->reg] = r;                                                                  \
    }                                                                                              \
    const SseOp sse_##name = { { name##_reg }, name##_general };
MASK_OP(pmovmskb, "pmovmskb")
MASK_OP(movmskps, "movmskps")
MASK_OP(movmskpd, "movmskpd")

/* MASKMOVDQU: bytes whose mask has its sign, to DS:(E)DI.  All of them are checked first. */
static void op_maskmovdqu(Cpu *cpu, const Insn *in)
{
    uint8_t v[16], mask[16];
    uint64_t lin;

    sse_check(cpu);
    memcpy(v, &cpu->s.xmm[in->reg], 16);
    memcpy(mask, &cpu->s.xmm[in->rm], 16);
    lin = sse_mask_lin(cpu, in, 16);
    sse_mask_store(cpu, lin, v, mask, 16);
}
const SseOp sse_maskmovdqu = { { NULL }, op_maskmovdqu };
