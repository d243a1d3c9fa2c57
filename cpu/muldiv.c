/* SPDX-License-Identifier: MIT */
/*
 * MUL IMUL DIV IDIV.  Source: Intel SDM volume 2.  Undefined flags: SF, ZF and PF after a
 * multiplication are those of its low half; a division leaves all flags.
 */
#include "cpu/operand.h"

#define U(bits) uint##bits##_t
#define S(bits) int##bits##_t

__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 UWide;

/* -- one operand: accumulator and EDX (AX for bytes) -- */

#define MUL_BODY(bits, type, wide)                                                                 \
    type p = (type)((type)RD_##bits(cpu, AL_AT) * (type)b);                                        \
                                                                                                   \
    MUL_PUT_##bits(p);                                                                             \
    cc_put_result(cpu, (S(bits))(U(bits))p, wide, wide)
#define MUL_PUT_8(p) WR_16(cpu, AL_AT, (uint16_t)(p))
#define MUL_PUT_16(p)                                                                              \
    WR_16(cpu, AL_AT, (uint16_t)(p));                                                              \
    WR_16(cpu, REG_OFFSET(R_EDX), (uint16_t)((p) >> 16))
#define MUL_PUT_32(p)                                                                              \
    WR_32(cpu, AL_AT, (p));                                                                        \
    WR_32(cpu, REG_OFFSET(R_EDX), (uint64_t)(p) >> 32)
#define MUL_PUT_64(p)                                                                              \
    WR_64(cpu, AL_AT, (uint64_t)(p));                                                              \
    WR_64(cpu, REG_OFFSET(R_EDX), (uint64_t)((UWide)(p) >> 64))

#define DO_mul_8 MUL_BODY(8, uint16_t, (p >> 8) != 0)
#define DO_mul_16 MUL_BODY(16, uint32_t, (p >> 16) != 0)
#define DO_mul_32 MUL_BODY(32, uint64_t, (p >> 32) != 0)
#define DO_mul_64 MUL_BODY(64, UWide, (p >> 64) != 0)
/* The casts to the signed type extend both factors. */
#define IMUL_BODY(bits, type)                                                                      \
    type p = (type)((type)(S(bits))RD_##bits(cpu, AL_AT) * (type)(S(bits))b);                      \
                                                                                                   \
    MUL_PUT_##bits(p);                                                                             \
    cc_put_result(cpu, (S(bits))p, p != (S(bits))p, p != (S(bits))p)
#define DO_imul_8 IMUL_BODY(8, int16_t)
#define DO_imul_16 IMUL_BODY(16, int32_t)
#define DO_imul_32 IMUL_BODY(32, int64_t)
#define DO_imul_64 IMUL_BODY(64, Wide)

#define DIVIDEND_8 RD_16(cpu, AL_AT)
#define DIVIDEND_16 ((uint32_t)RD_16(cpu, REG_OFFSET(R_EDX)) << 16 | RD_16(cpu, AL_AT))
#define DIVIDEND_32 ((uint64_t)RD_32(cpu, REG_OFFSET(R_EDX)) << 32 | RD_32(cpu, AL_AT))
#define DIVIDEND_64 ((UWide)RD_64(cpu, REG_OFFSET(R_EDX)) << 64 | RD_64(cpu, AL_AT))
#define DIV_PUT_8(q, r)                                                                            \
    WR_8(cpu, AL_AT, (uint8_t)(q));                                                                \
    WR_8(cpu, AH_AT, (uint8_t)(r))
#define DIV_PUT_16(q, r)                                                                           \
    WR_16(cpu, AL_AT, (uint16_t)(q));                                                              \
    WR_16(cpu, REG_OFFSET(R_EDX), (uint16_t)(r))
#define DIV_PUT_32(q, r)                                                                           \
    WR_32(cpu, AL_AT, (q));                                                                        \
    WR_32(cpu, REG_OFFSET(R_EDX), (r))
#define DIV_PUT_64(q, r)                                                                           \
    WR_64(cpu, AL_AT, (uint64_t)(q));                                                              \
    WR_64(cpu, REG_OFFSET(R_EDX), (uint64_t)(r))

#define DIV_BODY(bits, type)                                                                       \
    type n = DIVIDEND_##bits, q;                                                                   \
                                                                                                   \
    if (!b) RAISE(cpu, in, EXC_DE, 0);                                                             \
    q = n / b;                                                                                     \
    if (q != (U(bits))q) RAISE(cpu, in, EXC_DE, 0);                                                \
    DIV_PUT_##bits(q, n % b)
#define DO_div_8 DIV_BODY(8, uint16_t)
#define DO_div_16 DIV_BODY(16, uint32_t)
#define DO_div_32 DIV_BODY(32, uint64_t)
#define DO_div_64 DIV_BODY(64, UWide)

/* The host's own division overflows where the most negative dividend meets -1. */
#define IDIV_BODY(bits, type, least)                                                               \
    type n = (type)DIVIDEND_##bits, d = (S(bits))b, q;                                             \
                                                                                                   \
    if (!d || (n == (least) && d == -1)) RAISE(cpu, in, EXC_DE, 0);                                \
    q = (type)(n / d);                                                                             \
    if (q != (S(bits))q) RAISE(cpu, in, EXC_DE, 0);                                                \
    DIV_PUT_##bits((U(bits))q, (U(bits))(n % d))
#define DO_idiv_8 IDIV_BODY(8, int16_t, INT16_MIN)
#define DO_idiv_16 IDIV_BODY(16, int32_t, INT32_MIN)
#define DO_idiv_32 IDIV_BODY(32, int64_t, INT64_MIN)
#define DO_idiv_64 IDIV_BODY(64, Wide, (Wide)((UWide)1 << 127))

#define ONE_MEM(kind, op, bits)                                                                    \
    HANDLER(op##_m_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(rd, bits / 8, op##_m_##bits##_seg);                                            \
        U(bits) b = LD_##kind(bits)(cpu, in, LIN_##kind(cpu, in, bits / 8, false));                \
        DO_##op##_##bits;                                                                          \
        NEXT(cpu, in);                                                                             \
    }
#define ONE_BITS(op, bits)                                                                         \
    HANDLER(op##_m_##bits##_reg)                                                                   \
    {                                                                                              \
        U(bits) b = RD_##bits(cpu, in->rm_at);                                                     \
        DO_##op##_##bits;                                                                          \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(ONE_MEM, op, bits)
#define ONE(op) ONE_BITS(op, 8) ONE_BITS(op, 16) ONE_BITS(op, 32) ONE_BITS(op, 64)
ONE(mul)
ONE(imul)
ONE(div)
ONE(idiv)

const OpFns mul_m = FNS(mul_m);
const OpFns imul_m = FNS(imul_m);
const OpFns div_m = FNS(div_m);
const OpFns idiv_m = FNS(idiv_m);

/* -- two and three operands -- */

#define PRODUCT_16 int64_t
#define PRODUCT_32 int64_t
#define PRODUCT_64 Wide
#define IMUL_TO_REG(bits, x, y)                                                                    \
    PRODUCT_##bits p = (PRODUCT_##bits)(S(bits))(x) * (S(bits))(y);                                \
                                                                                                   \
    WR_##bits(cpu, in->reg_at, (U(bits))p);                                                        \
    cc_put_result(cpu, (S(bits))p, p != (S(bits))p, p != (S(bits))p);                              \
    NEXT(cpu, in)
#define IMUL_MEM(kind, name, bits, factor)                                                         \
    HANDLER(name##_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(rd, bits / 8, name##_##bits##_seg);                                            \
        U(bits) b = LD_##kind(bits)(cpu, in, LIN_##kind(cpu, in, bits / 8, false));                \
        IMUL_TO_REG(bits, b, factor);                                                              \
    }
#define IMUL_FORMS(name, bits, factor)                                                             \
    HANDLER(name##_##bits##_reg) { IMUL_TO_REG(bits, RD_##bits(cpu, in->rm_at), factor); }         \
    EACH_MEM(IMUL_MEM, name, bits, factor)
IMUL_FORMS(imul_rm, 16, RD_16(cpu, in->reg_at))
IMUL_FORMS(imul_rm, 32, RD_32(cpu, in->reg_at))
IMUL_FORMS(imul_rm, 64, RD_64(cpu, in->reg_at))
IMUL_FORMS(imul_rmi, 16, in->imm)
IMUL_FORMS(imul_rmi, 32, in->imm)
IMUL_FORMS(imul_rmi, 64, in->imm)

const OpFns imul_rm = FNS_V(imul_rm);
const OpFns imul_rmi = FNS_V(imul_rmi);
