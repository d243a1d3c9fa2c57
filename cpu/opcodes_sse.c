/* SPDX-License-Identifier: MIT */
/*
 * The opcode table where prefixes tell instructions apart: MMX and SSE.  Source: Intel SDM volume
 * 2, opcode maps.  Rows stand in the order: no prefix, 66, F3, F2.
 */
#include "cpu/sse_ops.h"

#include <stddef.h>

#define ROW(text, op, need_, flags_, ...)                                                          \
    {                                                                                              \
        .name = text, .form = FORM_MODRM, .sse = &sse_##op, .need = NEED_##need_,                  \
        .flags = OP_MID | (flags_), __VA_ARGS__                                                    \
    }
#define X(op, need) ROW(#op, op, need, 0, .size = SIZE_Q)
#define X_MEM(text, op, need) ROW(text, op, need, OP_MEM, .size = SIZE_Q)
#define X_REG(text, op, need) ROW(text, op, need, OP_REG, .size = SIZE_Q)
#define X_AS(text, op, need) ROW(text, op, need, 0, .size = SIZE_Q)
#define X_IMM(op, need) ROW(#op, op, need, 0, .size = SIZE_Q, .imm = IMM_8)
/* With a general register of 4 bytes, or 8 by REX.W. */
#define X_GEN(op, need) ROW(#op, op, need, 0, .size = SIZE_Y)
#define X_GEN_AS(text, op, need, flags) ROW(text, op, need, flags, .size = SIZE_Y)
/* An MMX instruction; NEED says since when. */
#define MMX_ROW(need_, flags_, ...)                                                                \
    {                                                                                              \
        .name = "mmx", .form = FORM_MODRM, .slow = op_mmx, .need = NEED_##need_,                   \
        .flags = OP_MID | (flags_), __VA_ARGS__                                                    \
    }
#define M MMX_ROW(MMX, 0, .size = SIZE_Q)
#define M_SSE MMX_ROW(SSE, 0, .size = SIZE_Q)
#define M_SSE2 MMX_ROW(SSE2, 0, .size = SIZE_Q)
#define NONE                                                                                       \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* The same operation on packed and scalar, single and double. */
#define FOUR(op)                                                                                   \
    {                                                                                              \
        X(op##ps, SSE), X(op##pd, SSE2), X(op##ss, SSE), X(op##sd, SSE2)                           \
    }
/* The same operation on MMX and XMM registers. */
#define INT(op)                                                                                    \
    {                                                                                              \
        M, X(op, SSE2)                                                                             \
    }
#define INT_SSE(op)                                                                                \
    {                                                                                              \
        M_SSE, X(op, SSE2)                                                                         \
    }
#define INT_SSE2(op)                                                                               \
    {                                                                                              \
        M_SSE2, X(op, SSE2)                                                                        \
    }

/* -- shifts by an immediate: register forms alone -- */

#define SHIFT_MMX                                                                                  \
    {                                                                                              \
        .name = "mmx", .slow = op_mmx, .flags = OP_MID | OP_REG                                    \
    }
#define SHIFT(op)                                                                                  \
    {                                                                                              \
        .name = #op, .sse = &sse_##op##_imm, .flags = OP_MID | OP_REG                              \
    }
static const OpRow group12_mmx[8] = { [2] = SHIFT_MMX, [4] = SHIFT_MMX, [6] = SHIFT_MMX };
static const OpRow group14_mmx[8] = { [2] = SHIFT_MMX, [6] = SHIFT_MMX };
static const OpRow group12[8] = { [2] = SHIFT(psrlw), [4] = SHIFT(psraw), [6] = SHIFT(psllw) };
static const OpRow group13[8] = { [2] = SHIFT(psrld), [4] = SHIFT(psrad), [6] = SHIFT(pslld) };
static const OpRow group14[8] = {
    [2] = SHIFT(psrlq), [3] = SHIFT(psrldq), [6] = SHIFT(psllq), [7] = SHIFT(pslldq)
};
#define SHIFT_GROUP(rows, need_)                                                                   \
    {                                                                                              \
        .name = "shift", .form = FORM_MODRM, .size = SIZE_Q, .imm = IMM_8, .group = rows,          \
        .need = NEED_##need_                                                                       \
    }

const OpRow opcodes_0f[256][ROW_PREFIXES] = {
    [0x10] = { X_AS("movups", load_unaligned, SSE), X_AS("movupd", load_unaligned, SSE2),
        X_AS("movss", load_ss, SSE), X_AS("movsd", load_sd, SSE2) },
    [0x11] = { X_AS("movups", store_unaligned, SSE), X_AS("movupd", store_unaligned, SSE2),
        X_AS("movss", store_ss, SSE), X_AS("movsd", store_sd, SSE2) },
    [0x12] = { X_AS("movlps", load_low, SSE), X_MEM("movlpd", load_low, SSE2), X(movsldup, SSE3),
        X(movddup, SSE3) },
    [0x13] = { X_MEM("movlps", store_low, SSE), X_MEM("movlpd", store_low, SSE2) },
    [0x14] = { X(unpcklps, SSE), X(unpcklpd, SSE2) },
    [0x15] = { X(unpckhps, SSE), X(unpckhpd, SSE2) },
    [0x16] = { X_AS("movhps", load_high, SSE), X_MEM("movhpd", load_high, SSE2),
        X(movshdup, SSE3) },
    [0x17] = { X_MEM("movhps", store_high, SSE), X_MEM("movhpd", store_high, SSE2) },
    [0x28] = { X_AS("movaps", load_aligned, SSE), X_AS("movapd", load_aligned, SSE2) },
    [0x29] = { X_AS("movaps", store_aligned, SSE), X_AS("movapd", store_aligned, SSE2) },
    [0x2a] = { X(cvtpi2ps, SSE), X(cvtpi2pd, SSE2), X_GEN(cvtsi2ss, SSE), X_GEN(cvtsi2sd, SSE2) },
    [0x2b] = { X_MEM("movntps", store_aligned, SSE), X_MEM("movntpd", store_aligned, SSE2) },
    [0x2c] = { X(cvttps2pi, SSE), X(cvttpd2pi, SSE2), X_GEN(cvttss2si, SSE),
        X_GEN(cvttsd2si, SSE2) },
    [0x2d] = { X(cvtps2pi, SSE), X(cvtpd2pi, SSE2), X_GEN(cvtss2si, SSE), X_GEN(cvtsd2si, SSE2) },
    [0x2e] = { X(ucomiss, SSE), X(ucomisd, SSE2) },
    [0x2f] = { X(comiss, SSE), X(comisd, SSE2) },
    [0x50] = { X_GEN_AS("movmskps", movmskps, SSE, OP_REG),
        X_GEN_AS("movmskpd", movmskpd, SSE2, OP_REG) },
    [0x51] = FOUR(sqrt),
    [0x52] = { X(rsqrtps, SSE), NONE, X(rsqrtss, SSE) },
    [0x53] = { X(rcpps, SSE), NONE, X(rcpss, SSE) },
    [0x54] = { X(andps, SSE), X(andpd, SSE2) },
    [0x55] = { X(andnps, SSE), X(andnpd, SSE2) },
    [0x56] = { X(orps, SSE), X(orpd, SSE2) },
    [0x57] = { X(xorps, SSE), X(xorpd, SSE2) },
    [0x58] = FOUR(add),
    [0x59] = FOUR(mul),
    [0x5a] = { X(cvtps2pd, SSE2), X(cvtpd2ps, SSE2), X(cvtss2sd, SSE2), X(cvtsd2ss, SSE2) },
    [0x5b] = { X(cvtdq2ps, SSE2), X(cvtps2dq, SSE2), X(cvttps2dq, SSE2) },
    [0x5c] = FOUR(sub),
    [0x5d] = FOUR(min),
    [0x5e] = FOUR(div),
    [0x5f] = FOUR(max),
    [0x60] = INT(punpcklbw),
    [0x61] = INT(punpcklwd),
    [0x62] = INT(punpckldq),
    [0x63] = INT(packsswb),
    [0x64] = INT(pcmpgtb),
    [0x65] = INT(pcmpgtw),
    [0x66] = INT(pcmpgtd),
    [0x67] = INT(packuswb),
    [0x68] = INT(punpckhbw),
    [0x69] = INT(punpckhwd),
    [0x6a] = INT(punpckhdq),
    [0x6b] = INT(packssdw),
    [0x6c] = { NONE, X(punpcklqdq, SSE2) },
    [0x6d] = { NONE, X(punpckhqdq, SSE2) },
    [0x6e] = { MMX_ROW(MMX, 0, .size = SIZE_Y), X_GEN_AS("movd", load_general, SSE2, 0) },
    [0x6f] = { M, X_AS("movdqa", load_aligned, SSE2), X_AS("movdqu", load_unaligned, SSE2) },
    [0x70] = { MMX_ROW(SSE, 0, .size = SIZE_Q, .imm = IMM_8), X_IMM(pshufd, SSE2),
        X_IMM(pshufhw, SSE2), X_IMM(pshuflw, SSE2) },
    [0x71] = { SHIFT_GROUP(group12_mmx, MMX), SHIFT_GROUP(group12, SSE2) },
    [0x72] = { SHIFT_GROUP(group12_mmx, MMX), SHIFT_GROUP(group13, SSE2) },
    [0x73] = { SHIFT_GROUP(group14_mmx, MMX), SHIFT_GROUP(group14, SSE2) },
    [0x74] = INT(pcmpeqb),
    [0x75] = INT(pcmpeqw),
    [0x76] = INT(pcmpeqd),
    [0x77] = { { .name = "emms",
        .form = FORM_NONE,
        .slow = op_emms,
        .need = NEED_MMX,
        .flags = OP_MID } },
    [0x7c] = { NONE, X(haddpd, SSE3), NONE, X(haddps, SSE3) },
    [0x7d] = { NONE, X(hsubpd, SSE3), NONE, X(hsubps, SSE3) },
    [0x7e] = { MMX_ROW(MMX, 0, .size = SIZE_Y), X_GEN_AS("movd", store_general, SSE2, 0),
        X_AS("movq", load_q, SSE2) },
    [0x7f] = { M, X_AS("movdqa", store_aligned, SSE2), X_AS("movdqu", store_unaligned, SSE2) },
    [0xc2] = { X_IMM(cmpps, SSE), X_IMM(cmppd, SSE2), X_IMM(cmpss, SSE), X_IMM(cmpsd, SSE2) },
    [0xc3] = { X_GEN_AS("movnti", movnti, SSE2, OP_MEM) },
    [0xc4] = { MMX_ROW(SSE, 0, .size = SIZE_Y, .imm = IMM_8),
        ROW("pinsrw", pinsrw, SSE2, 0, .size = SIZE_Y, .imm = IMM_8) },
    [0xc5] = { MMX_ROW(SSE, OP_REG, .size = SIZE_Y, .imm = IMM_8),
        ROW("pextrw", pextrw, SSE2, OP_REG, .size = SIZE_Y, .imm = IMM_8) },
    [0xc6] = { X_IMM(shufps, SSE), X_IMM(shufpd, SSE2) },
    [0xd0] = { NONE, X(addsubpd, SSE3), NONE, X(addsubps, SSE3) },
    [0xd1] = INT(psrlw),
    [0xd2] = INT(psrld),
    [0xd3] = INT(psrlq),
    [0xd4] = INT_SSE2(paddq),
    [0xd5] = INT(pmullw),
    [0xd6] = { NONE, X_AS("movq", store_q, SSE2), X_REG("movq2dq", movq2dq, SSE2),
        X_REG("movdq2q", movdq2q, SSE2) },
    [0xd7] = { MMX_ROW(SSE, OP_REG, .size = SIZE_Y), X_GEN_AS("pmovmskb", pmovmskb, SSE2, OP_REG) },
    [0xd8] = INT(psubusb),
    [0xd9] = INT(psubusw),
    [0xda] = INT_SSE(pminub),
    [0xdb] = INT(pand),
    [0xdc] = INT(paddusb),
    [0xdd] = INT(paddusw),
    [0xde] = INT_SSE(pmaxub),
    [0xdf] = INT(pandn),
    [0xe0] = INT_SSE(pavgb),
    [0xe1] = INT(psraw),
    [0xe2] = INT(psrad),
    [0xe3] = INT_SSE(pavgw),
    [0xe4] = INT_SSE(pmulhuw),
    [0xe5] = INT(pmulhw),
    [0xe6] = { NONE, X(cvttpd2dq, SSE2), X(cvtdq2pd, SSE2), X(cvtpd2dq, SSE2) },
    [0xe7] = { MMX_ROW(SSE, OP_MEM, .size = SIZE_Q), X_MEM("movntdq", store_aligned, SSE2) },
    [0xe8] = INT(psubsb),
    [0xe9] = INT(psubsw),
    [0xea] = INT_SSE(pminsw),
    [0xeb] = INT(por),
    [0xec] = INT(paddsb),
    [0xed] = INT(paddsw),
    [0xee] = INT_SSE(pmaxsw),
    [0xef] = INT(pxor),
    [0xf0] = { NONE, NONE, NONE, X_MEM("lddqu", load_unaligned, SSE3) },
    [0xf1] = INT(psllw),
    [0xf2] = INT(pslld),
    [0xf3] = INT(psllq),
    [0xf4] = INT_SSE2(pmuludq),
    [0xf5] = INT(pmaddwd),
    [0xf6] = INT_SSE(psadbw),
    [0xf7] = { MMX_ROW(SSE, OP_REG, .size = SIZE_Q), X_REG("maskmovdqu", maskmovdqu, SSE2) },
    [0xf8] = INT(psubb),
    [0xf9] = INT(psubw),
    [0xfa] = INT(psubd),
    [0xfb] = INT_SSE2(psubq),
    [0xfc] = INT(paddb),
    [0xfd] = INT(paddw),
    [0xfe] = INT(paddd),
};

const OpRow opcodes_0f38[256][ROW_PREFIXES] = { { { .name = NULL } } };
const OpRow opcodes_0f3a[256][ROW_PREFIXES] = { { { .name = NULL } } };
