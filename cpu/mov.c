/* SPDX-License-Identifier: MIT */
/*
 * Moves: MOV LEA XCHG MOVZX MOVSX CMOVcc SETcc XLAT and the no-operations.  Source: Intel SDM
 * volume 2.
 */
#include "cpu/operand.h"

#define U(bits) uint##bits##_t
#define S(bits) int##bits##_t

#define MOV_MEM(kind, bits)                                                                        \
    HANDLER(mov_mr_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(wr, bits / 8, mov_mr_##bits##_seg);                                            \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, true);                                     \
        ST_##kind(bits)(cpu, in, lin, RD_##bits(cpu, in->reg_at));                                 \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    HANDLER(mov_rm_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(rd, bits / 8, mov_rm_##bits##_seg);                                            \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, false);                                    \
        WR_##bits(cpu, in->reg_at, LD_##kind(bits)(cpu, in, lin));                                 \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    HANDLER(mov_mi_##bits##_##kind)                                                                \
    {                                                                                              \
        MISS_##kind(wr, bits / 8, mov_mi_##bits##_seg);                                            \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, true);                                     \
        ST_##kind(bits)(cpu, in, lin, (U(bits))in->imm);                                           \
        NEXT(cpu, in);                                                                             \
    }
#define MOV(bits)                                                                                  \
    HANDLER(mov_mr_##bits##_reg)                                                                   \
    {                                                                                              \
        WR_##bits(cpu, in->rm_at, RD_##bits(cpu, in->reg_at));                                     \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    HANDLER(mov_rm_##bits##_reg)                                                                   \
    {                                                                                              \
        WR_##bits(cpu, in->reg_at, RD_##bits(cpu, in->rm_at));                                     \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    HANDLER(mov_mi_##bits##_reg)                                                                   \
    {                                                                                              \
        WR_##bits(cpu, in->rm_at, (U(bits))in->imm);                                               \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(MOV_MEM, bits)
MOV(8)
MOV(16)
MOV(32)
MOV(64)
const OpFns mov_mr = FNS(mov_mr);
const OpFns mov_rm = FNS(mov_rm);
const OpFns mov_mi = FNS(mov_mi);

/* -- widening -- */

#define WIDEN_MEM(kind, name, from, to, type)                                                      \
    HANDLER(name##_##to##_##kind)                                                                  \
    {                                                                                              \
        MISS_##kind(rd, from / 8, name##_##to##_seg);                                              \
        ADDR_##kind lin = LIN_##kind(cpu, in, from / 8, false);                                    \
        WR_##to(cpu, in->reg_at, (U(to))(type)LD_##kind(from)(cpu, in, lin));                      \
        NEXT(cpu, in);                                                                             \
    }
#define WIDEN(name, from, to, type)                                                                \
    HANDLER(name##_##to##_reg)                                                                     \
    {                                                                                              \
        WR_##to(cpu, in->reg_at, (U(to))(type)RD_##from(cpu, in->rm_at));                          \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(WIDEN_MEM, name, from, to, type)
WIDEN(movzx8, 8, 16, uint8_t)
WIDEN(movzx8, 8, 32, uint8_t)
WIDEN(movzx8, 8, 64, uint8_t)
WIDEN(movzx16, 16, 16, uint16_t)
WIDEN(movzx16, 16, 32, uint16_t)
WIDEN(movzx16, 16, 64, uint16_t)
WIDEN(movsx8, 8, 16, int8_t)
WIDEN(movsx8, 8, 32, int8_t)
WIDEN(movsx8, 8, 64, int8_t)
WIDEN(movsx16, 16, 16, int16_t)
WIDEN(movsx16, 16, 32, int16_t)
WIDEN(movsx16, 16, 64, int16_t)
WIDEN(movsx32, 32, 32, int32_t)
WIDEN(movsx32, 32, 64, int32_t)
const OpFns movzx8 = FNS_V(movzx8);
const OpFns movzx16 = FNS_V(movzx16);
const OpFns movsx8 = FNS_V(movsx8);
const OpFns movsx16 = FNS_V(movsx16);
const OpFns movsxd = { { { 0 }, FNS_ROW(movsx16, 16), FNS_ROW(movsx32, 32),
    FNS_ROW(movsx32, 64) } };

/* -- LEA -- */

HANDLER(lea_32_base)
{
    WR_32(cpu, in->reg_at, ea_base(cpu, in));
    NEXT(cpu, in);
}

HANDLER(lea_32_sib)
{
    WR_32(cpu, in->reg_at, ea_sib(cpu, in));
    NEXT(cpu, in);
}

HANDLER(lea_32_lbase)
{
    WR_32(cpu, in->reg_at, ea_lbase(cpu, in));
    NEXT(cpu, in);
}

HANDLER(lea_32_lsib)
{
    WR_32(cpu, in->reg_at, ea_lsib(cpu, in));
    NEXT(cpu, in);
}

HANDLER(lea_64_lbase)
{
    WR_64(cpu, in->reg_at, ea_lbase(cpu, in));
    NEXT(cpu, in);
}

HANDLER(lea_64_lsib)
{
    WR_64(cpu, in->reg_at, ea_lsib(cpu, in));
    NEXT(cpu, in);
}

HANDLER(lea_any)
{
    cpu_write_reg(cpu, in->reg, insn_ea(cpu, in), in->opsize, true);
    NEXT(cpu, in);
}
const OpFns lea_rm = { { { 0 }, OP_ROW(lea_any),
    { lea_any, lea_32_base, lea_32_sib, lea_any, lea_32_lbase, lea_32_lsib },
    { lea_any, lea_any, lea_any, lea_any, lea_64_lbase, lea_64_lsib } } };

/* -- XCHG -- */

#define XCHG_MEM(kind, bits)                                                                       \
    HANDLER(xchg_mr_##bits##_##kind)                                                               \
    {                                                                                              \
        MISS_##kind(wr, bits / 8, xchg_mr_##bits##_seg);                                           \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, true);                                     \
        Mem##bits *p = WP_##kind(bits)(cpu, lin);                                                  \
        U(bits) a = p ? *p : (U(bits))mmu_load_rmw(cpu, in, lin, bits / 8);                        \
        U(bits) b = RD_##bits(cpu, in->reg_at);                                                    \
                                                                                                   \
        if (p)                                                                                     \
            *p = b;                                                                                \
        else                                                                                       \
            mmu_store(cpu, in, lin, b, bits / 8);                                                  \
        WR_##bits(cpu, in->reg_at, a);                                                             \
        NEXT(cpu, in);                                                                             \
    }
#define XCHG(bits)                                                                                 \
    HANDLER(xchg_mr_##bits##_reg)                                                                  \
    {                                                                                              \
        U(bits) a = RD_##bits(cpu, in->rm_at), b = RD_##bits(cpu, in->reg_at);                     \
                                                                                                   \
        WR_##bits(cpu, in->rm_at, b);                                                              \
        WR_##bits(cpu, in->reg_at, a);                                                             \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(XCHG_MEM, bits)
XCHG(8)
XCHG(16)
XCHG(32)
XCHG(64)
const OpFns xchg_mr = FNS(xchg_mr);

/* -- by condition -- */

/* CMOV reads its operand in any case, and a 32-bit one clears the upper half in any case. */
#define CMOV_MEM(kind, cc, bits)                                                                   \
    HANDLER(cmov##cc##_rm_##bits##_##kind)                                                         \
    {                                                                                              \
        MISS_##kind(rd, bits / 8, cmov##cc##_rm_##bits##_seg);                                     \
        U(bits) b = LD_##kind(bits)(cpu, in, LIN_##kind(cpu, in, bits / 8, false));                \
                                                                                                   \
        WR_##bits(cpu, in->reg_at, cc_test(cpu, cc) ? b : RD_##bits(cpu, in->reg_at));             \
        NEXT(cpu, in);                                                                             \
    }
#define CMOV_BITS(cc, bits)                                                                        \
    HANDLER(cmov##cc##_rm_##bits##_reg)                                                            \
    {                                                                                              \
        U(bits) b = RD_##bits(cpu, in->rm_at);                                                     \
                                                                                                   \
        WR_##bits(cpu, in->reg_at, cc_test(cpu, cc) ? b : RD_##bits(cpu, in->reg_at));             \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(CMOV_MEM, cc, bits)
#define SETCC_MEM(kind, cc)                                                                        \
    HANDLER(set##cc##_8_##kind)                                                                    \
    {                                                                                              \
        ADDR_##kind lin = LIN_##kind(cpu, in, 1, true);                                            \
        ST_##kind(8)(cpu, in, lin, cc_test(cpu, cc));                                              \
        NEXT(cpu, in);                                                                             \
    }
#define CONDITION(cc)                                                                              \
    CMOV_BITS(cc, 16)                                                                              \
    CMOV_BITS(cc, 32) CMOV_BITS(cc, 64) EACH_MEM(SETCC_MEM, cc) HANDLER(set##cc##_8_reg)           \
    {                                                                                              \
        WR_8(cpu, in->rm_at, cc_test(cpu, cc));                                                    \
        NEXT(cpu, in);                                                                             \
    }
CONDITION(0)
CONDITION(1)
CONDITION(2)
CONDITION(3)
CONDITION(4)
CONDITION(5)
CONDITION(6)
CONDITION(7)
CONDITION(8)
CONDITION(9)
CONDITION(10)
CONDITION(11)
CONDITION(12)
CONDITION(13)
CONDITION(14)
CONDITION(15)

#define SET_FNS(cc)                                                                                \
    {                                                                                              \
        {                                                                                          \
            FNS_ROW(set##cc, 8)                                                                    \
        }                                                                                          \
    }
const OpFns cmov_rm[16] = { FNS_V(cmov0_rm), FNS_V(cmov1_rm), FNS_V(cmov2_rm), FNS_V(cmov3_rm),
    FNS_V(cmov4_rm), FNS_V(cmov5_rm), FNS_V(cmov6_rm), FNS_V(cmov7_rm), FNS_V(cmov8_rm),
    FNS_V(cmov9_rm), FNS_V(cmov10_rm), FNS_V(cmov11_rm), FNS_V(cmov12_rm), FNS_V(cmov13_rm),
    FNS_V(cmov14_rm), FNS_V(cmov15_rm) };
const OpFns setcc_m[16] = { SET_FNS(0), SET_FNS(1), SET_FNS(2), SET_FNS(3), SET_FNS(4), SET_FNS(5),
    SET_FNS(6), SET_FNS(7), SET_FNS(8), SET_FNS(9), SET_FNS(10), SET_FNS(11), SET_FNS(12),
    SET_FNS(13), SET_FNS(14), SET_FNS(15) };

/* -- the rest -- */

/* MOV rm, segment register: a word in memory, zero-extended in a register. */
HANDLER(mov_m_sreg_any)
{
    uint16_t sel = (uint16_t)cpu->s.segs[in->reg].selector;

    if (in->modrm >= 0xc0)
        cpu_write_reg(cpu, in->rm, sel, in->opsize, true);
    else
        stx_16(cpu, in, ea_checked(cpu, in, 2, true), sel);
    NEXT(cpu, in);
}
const OpFns mov_m_sreg = OP_SAME(mov_m_sreg_any);

HANDLER(mov_xlat)
{
    uint64_t off = cpu->s.regs[R_EBX] + (uint8_t)cpu->s.regs[R_EAX];

    cpu->cur = in;
    WR_8(cpu, AL_AT, ldx_8(cpu, in, cpu_seg_lin(cpu, in->seg, insn_wrap(in, off), 1, false)));
    NEXT(cpu, in);
}
const OpFns xlat_fns = OP_SAME(mov_xlat);

HANDLER(mov_nop) { NEXT(cpu, in); }
const OpFns nop_fns = OP_SAME(mov_nop);
const OpFns ud_fns = OP_SAME(op_ud);
