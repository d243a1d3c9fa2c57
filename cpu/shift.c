/* SPDX-License-Identifier: MIT */
/*
 * Shifts and rotates.  Source: Intel SDM volume 2.
 *
 * Undefined flags: OF after a shift by more than one is what the one-bit formula gives for the last
 * step, AF is clear after shifts.
 */
#include "cpu/operand.h"

#define U(bits) uint##bits##_t
#define S(bits) int##bits##_t
__extension__ typedef unsigned __int128 Wide128;

#define TOP(bits, v) ((v) >> (bits - 1) & 1)

/* Each works on a with a count n of 1 to 31 (63 with 64 bits) and gives the result; flags by the
 * formulas of the last step. */
#define SHIFTS(bits, wide_t)                                                                       \
    static inline U(bits) shl_##bits(Cpu *cpu, U(bits) a, unsigned n)                              \
    {                                                                                              \
        wide_t wide = (wide_t)a << n;                                                              \
        U(bits) r = (U(bits))wide;                                                                 \
        bool cf = wide >> bits & 1;                                                                \
                                                                                                   \
        cc_put_result(cpu, (S(bits))r, cf, cf != TOP(bits, r));                                    \
        return r;                                                                                  \
    }                                                                                              \
    static inline U(bits) shr_##bits(Cpu *cpu, U(bits) a, unsigned n)                              \
    {                                                                                              \
        U(bits) r = (U(bits))((uint64_t)a >> n);                                                   \
        U(bits) last = (U(bits))((uint64_t)a >> (n - 1));                                          \
                                                                                                   \
        cc_put_result(cpu, (S(bits))r, last & 1, TOP(bits, last));                                 \
        return r;                                                                                  \
    }                                                                                              \
    static inline U(bits) sar_##bits(Cpu *cpu, U(bits) a, unsigned n)                              \
    {                                                                                              \
        U(bits) r = (U(bits))((int64_t)(S(bits))a >> n);                                           \
        bool cf = (int64_t)(S(bits))a >> (n - 1) & 1;                                              \
                                                                                                   \
        cc_put_result(cpu, (S(bits))r, cf, false);                                                 \
        return r;                                                                                  \
    }                                                                                              \
    static inline U(bits) rol_##bits(Cpu *cpu, U(bits) a, unsigned n)                              \
    {                                                                                              \
        unsigned k = n & (bits - 1);                                                               \
        U(bits) r = k ? (U(bits))(a << k | a >> (bits - k)) : a;                                   \
                                                                                                   \
        cc_put_cf_of(cpu, r & 1, (r & 1) != TOP(bits, r));                                         \
        return r;                                                                                  \
    }                                                                                              \
    static inline U(bits) ror_##bits(Cpu *cpu, U(bits) a, unsigned n)                              \
    {                                                                                              \
        unsigned k = n & (bits - 1);                                                               \
        U(bits) r = k ? (U(bits))(a >> k | a << (bits - k)) : a;                                   \
                                                                                                   \
        cc_put_cf_of(cpu, TOP(bits, r), TOP(bits, r) != (r >> (bits - 2) & 1));                    \
        return r;                                                                                  \
    }                                                                                              \
    static inline U(bits) rcl_##bits(Cpu *cpu, U(bits) a, unsigned n)                              \
    {                                                                                              \
        bool cf = cc_cf(cpu), out = cf;                                                            \
        unsigned k = n % (bits + 1);                                                               \
        U(bits) r = a;                                                                             \
                                                                                                   \
        if (k) {                                                                                   \
            wide_t both = (wide_t)cf << bits | a;                                                  \
            both = both << k | both >> (bits + 1 - k);                                             \
            r = (U(bits))both;                                                                     \
            out = both >> bits & 1;                                                                \
        }                                                                                          \
        cc_put_cf_of(cpu, out, out != TOP(bits, r));                                               \
        return r;                                                                                  \
    }                                                                                              \
    static inline U(bits) rcr_##bits(Cpu *cpu, U(bits) a, unsigned n)                              \
    {                                                                                              \
        bool cf = cc_cf(cpu), out = cf;                                                            \
        unsigned k = n % (bits + 1);                                                               \
        U(bits) r = a;                                                                             \
                                                                                                   \
        if (k) {                                                                                   \
            wide_t both = (wide_t)cf << bits | a;                                                  \
            both = both >> k | both << (bits + 1 - k);                                             \
            r = (U(bits))both;                                                                     \
            out = both >> bits & 1;                                                                \
        }                                                                                          \
        cc_put_cf_of(cpu, out, TOP(bits, r) != (r >> (bits - 2) & 1));                             \
        return r;                                                                                  \
    }
SHIFTS(8, uint64_t)
SHIFTS(16, uint64_t)
SHIFTS(32, uint64_t)
SHIFTS(64, Wide128)

#define COUNT_MASK(bits) (bits == 64 ? 63u : 31u)
#define COUNT_imm(bits) ((unsigned)in->imm & COUNT_MASK(bits))
#define COUNT_cl(bits) ((unsigned)cpu->s.regs[R_ECX] & COUNT_MASK(bits))
#define COUNT_1(bits) 1u

/* A count of zero changes nothing, but the memory operand is written all the same. */
#define SHIFT_MEM(kind, op, bits, by)                                                              \
    HANDLER(op##_##by##_##bits##_##kind)                                                           \
    {                                                                                              \
        MISS_##kind(wr, bits / 8, op##_##by##_##bits##_seg);                                       \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, true);                                     \
        Mem##bits *p = WP_##kind(bits)(cpu, lin);                                                  \
        unsigned n = COUNT_##by(bits);                                                             \
        U(bits) a = LIKELY(p != NULL) ? *p : (U(bits))mmu_load_rmw(cpu, in, lin, bits / 8);        \
                                                                                                   \
        if (n) a = op##_##bits(cpu, a, n);                                                         \
        if (LIKELY(p != NULL))                                                                     \
            *p = a;                                                                                \
        else                                                                                       \
            mmu_store(cpu, in, lin, a, bits / 8);                                                  \
        NEXT(cpu, in);                                                                             \
    }
#define SHIFT_FORMS(op, bits, by)                                                                  \
    HANDLER(op##_##by##_##bits##_reg)                                                              \
    {                                                                                              \
        U(bits) a = RD_##bits(cpu, in->rm_at);                                                     \
        unsigned n = COUNT_##by(bits);                                                             \
                                                                                                   \
        if (n) a = op##_##bits(cpu, a, n);                                                         \
        WR_##bits(cpu, in->rm_at, a); /* without its upper half, also where nothing is shifted */  \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(SHIFT_MEM, op, bits, by)
#define SHIFT_BY(op, by)                                                                           \
    SHIFT_FORMS(op, 8, by)                                                                         \
    SHIFT_FORMS(op, 16, by) SHIFT_FORMS(op, 32, by) SHIFT_FORMS(op, 64, by)
#define SHIFT(op) SHIFT_BY(op, imm) SHIFT_BY(op, cl) SHIFT_BY(op, 1)
SHIFT(rol)
SHIFT(ror)
SHIFT(rcl)
SHIFT(rcr)
SHIFT(shl)
SHIFT(shr)
SHIFT(sar)

#define ALL_SHIFTS(by)                                                                             \
    {                                                                                              \
        FNS(rol_##by), FNS(ror_##by), FNS(rcl_##by), FNS(rcr_##by), FNS(shl_##by), FNS(shr_##by),  \
            FNS(shl_##by), FNS(sar_##by)                                                           \
    }
const OpFns shift_imm[8] = ALL_SHIFTS(imm);
const OpFns shift_cl[8] = ALL_SHIFTS(cl);
const OpFns shift_1[8] = ALL_SHIFTS(1);

/* -- SHLD SHRD -- */

/* 16-bit ones with counts above 16 go on with the destination's bits, as hardware does. */
#define DOUBLE_SHIFTS(bits)                                                                        \
    static inline U(bits) shld_##bits(Cpu *cpu, U(bits) a, U(bits) b, unsigned n)                  \
    {                                                                                              \
        Wide128 all = (Wide128)a << 2 * bits | (uint64_t)b << bits | a;                            \
        U(bits) r = (U(bits))(all << n >> 2 * bits);                                               \
        bool cf = all << (n - 1) >> (3 * bits - 1) & 1;                                            \
                                                                                                   \
        cc_put_result(cpu, (S(bits))r, cf, TOP(bits, r) != TOP(bits, a));                          \
        return r;                                                                                  \
    }                                                                                              \
    static inline U(bits) shrd_##bits(Cpu *cpu, U(bits) a, U(bits) b, unsigned n)                  \
    {                                                                                              \
        Wide128 all = (Wide128)a << 2 * bits | (uint64_t)b << bits | a;                            \
        U(bits) r = (U(bits))(all >> n);                                                           \
        bool cf = all >> (n - 1) & 1;                                                              \
                                                                                                   \
        cc_put_result(cpu, (S(bits))r, cf, TOP(bits, r) != TOP(bits, a));                          \
        return r;                                                                                  \
    }
DOUBLE_SHIFTS(16)
DOUBLE_SHIFTS(32)

static inline uint64_t shld_64(Cpu *cpu, uint64_t a, uint64_t b, unsigned n)
{
    uint64_t r = a << n | b >> (64 - n);

    cc_put_result(cpu, (int64_t)r, a >> (64 - n) & 1, TOP(64, r) != TOP(64, a));
    return r;
}

static inline uint64_t shrd_64(Cpu *cpu, uint64_t a, uint64_t b, unsigned n)
{
    uint64_t r = a >> n | b << (64 - n);

    cc_put_result(cpu, (int64_t)r, a >> (n - 1) & 1, TOP(64, r) != TOP(64, a));
    return r;
}

#define DOUBLE_MEM(kind, op, bits, by)                                                             \
    HANDLER(op##_##by##_##bits##_##kind)                                                           \
    {                                                                                              \
        MISS_##kind(wr, bits / 8, op##_##by##_##bits##_seg);                                       \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, true);                                     \
        Mem##bits *p = WP_##kind(bits)(cpu, lin);                                                  \
        unsigned n = COUNT_##by(bits);                                                             \
        U(bits) a = LIKELY(p != NULL) ? *p : (U(bits))mmu_load_rmw(cpu, in, lin, bits / 8);        \
                                                                                                   \
        if (n) a = op##_##bits(cpu, a, RD_##bits(cpu, in->reg_at), n);                             \
        if (LIKELY(p != NULL))                                                                     \
            *p = a;                                                                                \
        else                                                                                       \
            mmu_store(cpu, in, lin, a, bits / 8);                                                  \
        NEXT(cpu, in);                                                                             \
    }
#define DOUBLE_FORMS(op, bits, by)                                                                 \
    HANDLER(op##_##by##_##bits##_reg)                                                              \
    {                                                                                              \
        unsigned n = COUNT_##by(bits);                                                             \
        U(bits) a = RD_##bits(cpu, in->rm_at), b = RD_##bits(cpu, in->reg_at);                     \
                                                                                                   \
        if (n) a = op##_##bits(cpu, a, b, n);                                                      \
        WR_##bits(cpu, in->rm_at, a);                                                              \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(DOUBLE_MEM, op, bits, by)
#define DOUBLE(op, by) DOUBLE_FORMS(op, 16, by) DOUBLE_FORMS(op, 32, by) DOUBLE_FORMS(op, 64, by)
DOUBLE(shld, imm)
DOUBLE(shld, cl)
DOUBLE(shrd, imm)
DOUBLE(shrd, cl)

const OpFns shld_imm = FNS_V(shld_imm);
const OpFns shld_cl = FNS_V(shld_cl);
const OpFns shrd_imm = FNS_V(shrd_imm);
const OpFns shrd_cl = FNS_V(shrd_cl);
