/* SPDX-License-Identifier: MIT */
/* The operations of SSE, for the opcode table. */
#pragma once

#include "cpu/opcodes.h"

/* cpu/sse_move.c */
extern const SseOp sse_load_aligned, sse_load_unaligned, sse_load_ss, sse_load_sd, sse_load_q,
    sse_load_low, sse_load_high, sse_movddup, sse_movshdup, sse_movsldup, sse_store_aligned,
    sse_store_unaligned, sse_store_ss, sse_store_sd, sse_store_q, sse_store_low, sse_store_high,
    sse_load_general, sse_store_general, sse_movnti, sse_movq2dq, sse_movdq2q;

/* cpu/sse_int.c */
extern const SseOp sse_punpcklbw, sse_punpcklwd, sse_punpckldq, sse_packsswb, sse_pcmpgtb,
    sse_pcmpgtw, sse_pcmpgtd, sse_packuswb, sse_punpckhbw, sse_punpckhwd, sse_punpckhdq,
    sse_packssdw, sse_punpcklqdq, sse_punpckhqdq, sse_pcmpeqb, sse_pcmpeqw, sse_pcmpeqd, sse_psrlw,
    sse_psrld, sse_psrlq, sse_paddq, sse_pmullw, sse_psubusb, sse_psubusw, sse_pminub, sse_pand,
    sse_paddusb, sse_paddusw, sse_pmaxub, sse_pandn, sse_pavgb, sse_psraw, sse_psrad, sse_pavgw,
    sse_pmulhuw, sse_pmulhw, sse_psubsb, sse_psubsw, sse_pminsw, sse_por, sse_paddsb, sse_paddsw,
    sse_pmaxsw, sse_pxor, sse_psllw, sse_pslld, sse_psllq, sse_pmuludq, sse_pmaddwd, sse_psadbw,
    sse_psubb, sse_psubw, sse_psubd, sse_psubq, sse_paddb, sse_paddw, sse_paddd, sse_pshufd,
    sse_pshufhw, sse_pshuflw, sse_psrlw_imm, sse_psrld_imm, sse_psrlq_imm, sse_psraw_imm,
    sse_psrad_imm, sse_psllw_imm, sse_pslld_imm, sse_psllq_imm, sse_psrldq_imm, sse_pslldq_imm,
    sse_pinsrw, sse_pextrw, sse_pmovmskb, sse_movmskps, sse_movmskpd, sse_maskmovdqu;

/* cpu/sse_later.c */
extern const SseOp sse_pshufb, sse_phaddw, sse_phaddd, sse_phaddsw, sse_pmaddubsw, sse_phsubw,
    sse_phsubd, sse_phsubsw, sse_psignb, sse_psignw, sse_psignd, sse_pmulhrsw, sse_pabsb, sse_pabsw,
    sse_pabsd, sse_palignr, sse_pmuldq, sse_pcmpeqq, sse_packusdw, sse_pcmpgtq, sse_pminsb,
    sse_pminsd, sse_pminuw, sse_pminud, sse_pmaxsb, sse_pmaxsd, sse_pmaxuw, sse_pmaxud, sse_pmulld,
    sse_phminposuw, sse_pmovsxbw, sse_pmovsxbd, sse_pmovsxbq, sse_pmovsxwd, sse_pmovsxwq,
    sse_pmovsxdq, sse_pmovzxbw, sse_pmovzxbd, sse_pmovzxbq, sse_pmovzxwd, sse_pmovzxwq,
    sse_pmovzxdq, sse_blendps, sse_blendpd, sse_pblendw, sse_mpsadbw, sse_roundps, sse_roundpd,
    sse_roundss, sse_roundsd, sse_aesimc, sse_aesenc, sse_aesenclast, sse_aesdec, sse_aesdeclast,
    sse_aeskeygenassist, sse_pclmulqdq, sse_insertps, sse_pblendvb, sse_blendvps, sse_blendvpd,
    sse_ptest, sse_pinsrb, sse_pinsrd, sse_pextrb, sse_pextrw_rm, sse_pextrd, sse_extractps,
    sse_pcmpestrm, sse_pcmpestri, sse_pcmpistrm, sse_pcmpistri;

/* cpu/sse_float.c */
extern const SseOp sse_addps, sse_addpd, sse_addss, sse_addsd, sse_mulps, sse_mulpd, sse_mulss,
    sse_mulsd, sse_subps, sse_subpd, sse_subss, sse_subsd, sse_divps, sse_divpd, sse_divss,
    sse_divsd, sse_minps, sse_minpd, sse_minss, sse_minsd, sse_maxps, sse_maxpd, sse_maxss,
    sse_maxsd, sse_sqrtps, sse_sqrtpd, sse_sqrtss, sse_sqrtsd, sse_rcpps, sse_rcpss, sse_rsqrtps,
    sse_rsqrtss, sse_andps, sse_andpd, sse_andnps, sse_andnpd, sse_orps, sse_orpd, sse_xorps,
    sse_xorpd, sse_unpcklps, sse_unpcklpd, sse_unpckhps, sse_unpckhpd, sse_addsubps, sse_addsubpd,
    sse_haddps, sse_haddpd, sse_hsubps, sse_hsubpd, sse_cmpps, sse_cmppd, sse_cmpss, sse_cmpsd,
    sse_shufps, sse_shufpd, sse_dpps, sse_dppd, sse_ucomiss, sse_comiss, sse_ucomisd, sse_comisd;

/* cpu/sse_convert.c */
extern const SseOp sse_cvtdq2ps, sse_cvtps2dq, sse_cvttps2dq, sse_cvtps2pd, sse_cvtpd2ps,
    sse_cvtss2sd, sse_cvtsd2ss, sse_cvtpd2dq, sse_cvttpd2dq, sse_cvtdq2pd, sse_cvtss2si,
    sse_cvttss2si, sse_cvtsd2si, sse_cvttsd2si, sse_cvtsi2ss, sse_cvtsi2sd, sse_cvtpi2ps,
    sse_cvtpi2pd, sse_cvtps2pi, sse_cvttps2pi, sse_cvtpd2pi, sse_cvttpd2pi;
