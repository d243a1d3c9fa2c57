/* SPDX-License-Identifier: MIT */
/*
 * ADD OR ADC SBB AND SUB XOR CMP TEST in all their forms.  Source: Intel SDM volume 2.
 *
 * NAME_mr: ModRM.rm is the destination; NAME_rm: ModRM.reg is; NAME_mi: an immediate.
 */
#include "cpu/operand.h"

#define U(bits) uint##bits##_t
#define S(bits) (int##bits##_t)

/* What an operation does with a and b of the given width: r and the flags. */
#define DO_add(bits)                                                                               \
    r = (U(bits))(a + b);                                                                          \
    cc_put(cpu, CC_ADD, S(bits) r, S(bits) a, S(bits) b)
#define DO_adc(bits)                                                                               \
    bool carry = cc_cf(cpu);                                                                       \
    r = (U(bits))(a + b + carry);                                                                  \
    cc_put(cpu, CC_ADD + carry, S(bits) r, S(bits) a, S(bits) b)
#define DO_sub(bits)                                                                               \
    r = (U(bits))(a - b);                                                                          \
    cc_put(cpu, CC_SUB, S(bits) r, S(bits) a, S(bits) b)
#define DO_sbb(bits)                                                                               \
    bool carry = cc_cf(cpu);                                                                       \
    r = (U(bits))(a - b - carry);                                                                  \
    cc_put(cpu, CC_SUB + carry, S(bits) r, S(bits) a, S(bits) b)
#define DO_or(bits)                                                                                \
    r = a | b;                                                                                     \
    cc_put_logic(cpu, S(bits) r)
#define DO_and(bits)                                                                               \
    r = a & b;                                                                                     \
    cc_put_logic(cpu, S(bits) r)
#define DO_xor(bits)                                                                               \
    r = a ^ b;                                                                                     \
    cc_put_logic(cpu, S(bits) r)
#define DO_cmp(bits)                                                                               \
    U(bits) r = (U(bits))(a - b);                                                                  \
    cc_put(cpu, CC_SUB, S(bits) r, S(bits) a, S(bits) b)
#define DO_test(bits)                                                                              \
    U(bits) r = a & b;                                                                             \
    cc_put_logic(cpu, S(bits) r)

/* -- operations with a destination -- */

#define RMW_MEM(kind, name, op, bits, source)                                                      \
    HANDLER(name##_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(wr, bits / 8, name##_##bits##_seg);                                            \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, true);                                     \
        Mem##bits *p = WP_##kind(bits)(cpu, lin);                                                  \
        U(bits) b = (U(bits))(source), r;                                                          \
        U(bits) a = LIKELY(p != NULL) ? *p : (U(bits))mmu_load_rmw(cpu, in, lin, bits / 8);        \
                                                                                                   \
        DO_##op(bits);                                                                             \
        if (LIKELY(p != NULL))                                                                     \
            *p = r;                                                                                \
        else                                                                                       \
            mmu_store(cpu, in, lin, r, bits / 8);                                                  \
        NEXT(cpu, in);                                                                             \
    }
#define RMW_REG(name, op, bits, dest, source)                                                      \
    HANDLER(name##_##bits##_reg)                                                                   \
    {                                                                                              \
        U(bits) a = RD_##bits(cpu, in->dest), b = (U(bits))(source), r;                            \
                                                                                                   \
        DO_##op(bits);                                                                             \
        WR_##bits(cpu, in->dest, r);                                                               \
        NEXT(cpu, in);                                                                             \
    }
#define LOAD_MEM(kind, name, op, bits)                                                             \
    HANDLER(name##_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(rd, bits / 8, name##_##bits##_seg);                                            \
        U(bits) b = LD_##kind(bits)(cpu, in, LIN_##kind(cpu, in, bits / 8, false));                \
        U(bits) a = RD_##bits(cpu, in->reg_at), r;                                                 \
                                                                                                   \
        DO_##op(bits);                                                                             \
        WR_##bits(cpu, in->reg_at, r);                                                             \
        NEXT(cpu, in);                                                                             \
    }
#define ALU_BITS(op, bits)                                                                         \
    RMW_REG(op##_mr, op, bits, rm_at, RD_##bits(cpu, in->reg_at))                                  \
    EACH_MEM(RMW_MEM, op##_mr, op, bits, RD_##bits(cpu, in->reg_at))                               \
    RMW_REG(op##_rm, op, bits, reg_at, RD_##bits(cpu, in->rm_at))                                  \
    EACH_MEM(LOAD_MEM, op##_rm, op, bits)                                                          \
    RMW_REG(op##_mi, op, bits, rm_at, in->imm)                                                     \
    EACH_MEM(RMW_MEM, op##_mi, op, bits, in->imm)
#define ALU(op) ALU_BITS(op, 8) ALU_BITS(op, 16) ALU_BITS(op, 32) ALU_BITS(op, 64)

ALU(add)
ALU(or)
ALU(adc)
ALU(sbb)
ALU(and)
ALU(sub)
ALU(xor)

/* -- operations without -- */

#define TEST_MEM(kind, name, op, bits, source)                                                     \
    HANDLER(name##_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(rd, bits / 8, name##_##bits##_seg);                                            \
        U(bits) a = LD_##kind(bits)(cpu, in, LIN_##kind(cpu, in, bits / 8, false));                \
        U(bits) b = (U(bits))(source);                                                             \
                                                                                                   \
        DO_##op(bits);                                                                             \
        NEXT(cpu, in);                                                                             \
    }
#define TEST_REG(name, op, bits, source)                                                           \
    HANDLER(name##_##bits##_reg)                                                                   \
    {                                                                                              \
        U(bits) a = RD_##bits(cpu, in->rm_at), b = (U(bits))(source);                              \
                                                                                                   \
        DO_##op(bits);                                                                             \
        NEXT(cpu, in);                                                                             \
    }
#define TEST_BITS(op, bits)                                                                        \
    TEST_REG(op##_mr, op, bits, RD_##bits(cpu, in->reg_at))                                        \
    EACH_MEM(TEST_MEM, op##_mr, op, bits, RD_##bits(cpu, in->reg_at))                              \
    TEST_REG(op##_mi, op, bits, in->imm)                                                           \
    EACH_MEM(TEST_MEM, op##_mi, op, bits, in->imm)
/* CMP reg, rm: the operands stand the other way round. */
#define CMP_RM_MEM(kind, bits)                                                                     \
    HANDLER(cmp_rm_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(rd, bits / 8, cmp_rm_##bits##_seg);                                            \
        U(bits) b = LD_##kind(bits)(cpu, in, LIN_##kind(cpu, in, bits / 8, false));                \
        U(bits) a = RD_##bits(cpu, in->reg_at);                                                    \
                                                                                                   \
        DO_cmp(bits);                                                                              \
        NEXT(cpu, in);                                                                             \
    }
#define CMP_RM(bits)                                                                               \
    HANDLER(cmp_rm_##bits##_reg)                                                                   \
    {                                                                                              \
        U(bits) a = RD_##bits(cpu, in->reg_at), b = RD_##bits(cpu, in->rm_at);                     \
                                                                                                   \
        DO_cmp(bits);                                                                              \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(CMP_RM_MEM, bits)

TEST_BITS(cmp, 8)
TEST_BITS(cmp, 16)
TEST_BITS(cmp, 32)
TEST_BITS(cmp, 64)
TEST_BITS(test, 8)
TEST_BITS(test, 16)
TEST_BITS(test, 32)
TEST_BITS(test, 64)
CMP_RM(8)
CMP_RM(16)
CMP_RM(32)
CMP_RM(64)

#define ALL_ALU(form)                                                                              \
    {                                                                                              \
        FNS(add_##form), FNS(or_##form), FNS(adc_##form), FNS(sbb_##form), FNS(and_##form),        \
            FNS(sub_##form), FNS(xor_##form), FNS(cmp_##form)                                      \
    }
const OpFns alu_mr[8] = ALL_ALU(mr);
const OpFns alu_rm[8] = ALL_ALU(rm);
const OpFns alu_mi[8] = ALL_ALU(mi);
const OpFns test_mr = FNS(test_mr);
const OpFns test_mi = FNS(test_mi);

/* -- INC DEC NEG NOT -- */

#define DO_inc(bits)                                                                               \
    bool carry = cc_cf(cpu);                                                                       \
    r = (U(bits))(a + b);                                                                          \
    cc_put(cpu, CC_INC + carry, S(bits) r, S(bits) a, 1)
#define DO_dec(bits)                                                                               \
    bool carry = cc_cf(cpu);                                                                       \
    r = (U(bits))(a - b);                                                                          \
    cc_put(cpu, CC_DEC + carry, S(bits) r, S(bits) a, 1)
#define DO_neg(bits)                                                                               \
    r = (U(bits))(b - a);                                                                          \
    cc_put(cpu, CC_SUB, S(bits) r, 0, S(bits) a)
#define DO_not(bits) r = (U(bits))(a ^ b)

#define UNARY_BITS(op, bits, b)                                                                    \
    RMW_REG(op##_m, op, bits, rm_at, b) EACH_MEM(RMW_MEM, op##_m, op, bits, b)
#define UNARY(op, b)                                                                               \
    UNARY_BITS(op, 8, b) UNARY_BITS(op, 16, b) UNARY_BITS(op, 32, b) UNARY_BITS(op, 64, b)

UNARY(inc, 1)
UNARY(dec, 1)
UNARY(neg, 0)
UNARY(not, UINT64_MAX)

const OpFns inc_m = FNS(inc_m);
const OpFns dec_m = FNS(dec_m);
const OpFns neg_m = FNS(neg_m);
const OpFns not_m = FNS(not_m);
