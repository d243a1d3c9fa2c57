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

/* On general registers. */
#define GENERAL(text, fn, need_, flags_)                                                           \
    {                                                                                              \
        .name = text, .form = FORM_MODRM, .slow = fn, .need = NEED_##need_,                        \
        .flags = OP_MID | (flags_)                                                                 \
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
    [0xb8] = { NONE, NONE, GENERAL("popcnt", op_popcnt, POPCNT, 0) },
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

/* -- 0F 38 xx -- */

#define M_SSSE3(...)                                                                               \
    {                                                                                              \
        .name = "mmx", .form = FORM_MODRM, .size = SIZE_Q, .slow = op_mmx_ssse3,                   \
        .need = NEED_SSSE3, .flags = OP_MID, __VA_ARGS__                                           \
    }
#define INT_SSSE3(op)                                                                              \
    {                                                                                              \
        M_SSSE3(.imm = IMM_NONE), X(op, SSSE3)                                                     \
    }
#define INT_41(op)                                                                                 \
    {                                                                                              \
        NONE, X(op, SSE41)                                                                         \
    }
#define IMM_41(op)                                                                                 \
    {                                                                                              \
        NONE, X_IMM(op, SSE41)                                                                     \
    }

const OpRow opcodes_0f38[256][ROW_PREFIXES] = {
    [0x00] = INT_SSSE3(pshufb),
    [0x01] = INT_SSSE3(phaddw),
    [0x02] = INT_SSSE3(phaddd),
    [0x03] = INT_SSSE3(phaddsw),
    [0x04] = INT_SSSE3(pmaddubsw),
    [0x05] = INT_SSSE3(phsubw),
    [0x06] = INT_SSSE3(phsubd),
    [0x07] = INT_SSSE3(phsubsw),
    [0x08] = INT_SSSE3(psignb),
    [0x09] = INT_SSSE3(psignw),
    [0x0a] = INT_SSSE3(psignd),
    [0x0b] = INT_SSSE3(pmulhrsw),
    [0x10] = INT_41(pblendvb),
    [0x14] = INT_41(blendvps),
    [0x15] = INT_41(blendvpd),
    [0x17] = INT_41(ptest),
    [0x1c] = INT_SSSE3(pabsb),
    [0x1d] = INT_SSSE3(pabsw),
    [0x1e] = INT_SSSE3(pabsd),
    [0x20] = INT_41(pmovsxbw),
    [0x21] = INT_41(pmovsxbd),
    [0x22] = INT_41(pmovsxbq),
    [0x23] = INT_41(pmovsxwd),
    [0x24] = INT_41(pmovsxwq),
    [0x25] = INT_41(pmovsxdq),
    [0x28] = INT_41(pmuldq),
    [0x29] = INT_41(pcmpeqq),
    [0x2a] = { NONE, X_MEM("movntdqa", load_aligned, SSE41) },
    [0x2b] = INT_41(packusdw),
    [0x30] = INT_41(pmovzxbw),
    [0x31] = INT_41(pmovzxbd),
    [0x32] = INT_41(pmovzxbq),
    [0x33] = INT_41(pmovzxwd),
    [0x34] = INT_41(pmovzxwq),
    [0x35] = INT_41(pmovzxdq),
    [0x37] = { NONE, X(pcmpgtq, SSE42) },
    [0x38] = INT_41(pminsb),
    [0x39] = INT_41(pminsd),
    [0x3a] = INT_41(pminuw),
    [0x3b] = INT_41(pminud),
    [0x3c] = INT_41(pmaxsb),
    [0x3d] = INT_41(pmaxsd),
    [0x3e] = INT_41(pmaxuw),
    [0x3f] = INT_41(pmaxud),
    [0x40] = INT_41(pmulld),
    [0x41] = INT_41(phminposuw),
    [0xdb] = { NONE, X(aesimc, AES) },
    [0xdc] = { NONE, X(aesenc, AES) },
    [0xdd] = { NONE, X(aesenclast, AES) },
    [0xde] = { NONE, X(aesdec, AES) },
    [0xdf] = { NONE, X(aesdeclast, AES) },
    [0xf0] = { GENERAL("movbe", op_movbe_load, MOVBE, OP_MEM),
        GENERAL("movbe", op_movbe_load, MOVBE, OP_MEM), NONE,
        GENERAL("crc32", op_crc32, SSE42, OP_RM8) },
    [0xf1] = { GENERAL("movbe", op_movbe_store, MOVBE, OP_MEM),
        GENERAL("movbe", op_movbe_store, MOVBE, OP_MEM), NONE,
        GENERAL("crc32", op_crc32, SSE42, 0) },
};

/* -- 0F 3A xx -- */

#define PART(text, op, flags)                                                                      \
    {                                                                                              \
        NONE, ROW(text, op, SSE41, flags, .size = SIZE_Y, .imm = IMM_8)                            \
    }

const OpRow opcodes_0f3a[256][ROW_PREFIXES] = {
    [0x08] = IMM_41(roundps),
    [0x09] = IMM_41(roundpd),
    [0x0a] = IMM_41(roundss),
    [0x0b] = IMM_41(roundsd),
    [0x0c] = IMM_41(blendps),
    [0x0d] = IMM_41(blendpd),
    [0x0e] = IMM_41(pblendw),
    [0x0f] = { M_SSSE3(.imm = IMM_8), X_IMM(palignr, SSSE3) },
    [0x14] = PART("pextrb", pextrb, 0),
    [0x15] = PART("pextrw", pextrw_rm, 0),
    [0x16] = PART("pextrd", pextrd, 0),
    [0x17] = PART("extractps", extractps, 0),
    [0x20] = PART("pinsrb", pinsrb, 0),
    [0x21] = IMM_41(insertps),
    [0x22] = PART("pinsrd", pinsrd, 0),
    [0x40] = IMM_41(dpps),
    [0x41] = IMM_41(dppd),
    [0x42] = IMM_41(mpsadbw),
    [0x44] = { NONE, X_IMM(pclmulqdq, PCLMULQDQ) },
    [0x60] = { NONE, ROW("pcmpestrm", pcmpestrm, SSE42, 0, .size = SIZE_Y, .imm = IMM_8) },
    [0x61] = { NONE, ROW("pcmpestri", pcmpestri, SSE42, 0, .size = SIZE_Y, .imm = IMM_8) },
    [0x62] = { NONE, ROW("pcmpistrm", pcmpistrm, SSE42, 0, .size = SIZE_Y, .imm = IMM_8) },
    [0x63] = { NONE, ROW("pcmpistri", pcmpistri, SSE42, 0, .size = SIZE_Y, .imm = IMM_8) },
    [0xdf] = { NONE, X_IMM(aeskeygenassist, AES) },
};
