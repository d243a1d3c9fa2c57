/* SPDX-License-Identifier: MIT */
/*
 * BT BTS BTR BTC BSF BSR BSWAP CMPXCHG CMPXCHG8B CMPXCHG16B XADD.  Source: Intel SDM volume 2.
 *
 * Undefined flags: BT and its kin leave all but CF; BSF and BSR clear what is not ZF.  BSF and BSR
 * of zero leave the destination.
 */
#include "cpu/operand.h"

#define U(bits) uint##bits##_t
#define S(bits) int##bits##_t

/* -- BT family: a value and a mask with one bit -- */

#define DO_bt(a, m) (a)
#define DO_bts(a, m) ((a) | (m))
#define DO_btr(a, m) ((a) & ~(m))
#define DO_btc(a, m) ((a) ^ (m))
#define WRITES_bt false
#define WRITES_bts true
#define WRITES_btr true
#define WRITES_btc true

/* Keeps OF. */
static inline void bit_put_cf(Cpu *cpu, bool cf) { cc_put_cf_of(cpu, cf, cc_of(cpu)); }

#define LOG_16 4
#define LOG_32 5
#define LOG_64 6

/* In memory, a register's bit number reaches beyond the operand: the address moves by whole
 * operands.  These forms are rare and take the checked path. */
#define BIT_MEM(op, bits, form, number, moves)                                                     \
    HANDLER(op##_##form##_##bits##_mem)                                                            \
    {                                                                                              \
        int64_t number_ = (S(bits))(number);                                                       \
        U(bits) m = (U(bits))((U(bits))1 << (number_ & (bits - 1))), a;                            \
        uint64_t off = insn_ea(cpu, in), lin;                                                      \
                                                                                                   \
        cpu->cur = in;                                                                             \
        if (moves) off += (uint64_t)(number_ >> LOG_##bits) * (bits / 8);                          \
        off = insn_wrap(in, off);                                                                  \
        lin = cpu_seg_lin(cpu, in->seg, off, bits / 8, WRITES_##op);                               \
        if (WRITES_##op && !wpx_##bits(cpu, lin))                                                  \
            a = (U(bits))mmu_load_rmw(cpu, in, lin, bits / 8);                                     \
        else                                                                                       \
            a = ldx_##bits(cpu, in, lin);                                                          \
        if (WRITES_##op) stx_##bits(cpu, in, lin, (U(bits))DO_##op(a, m));                         \
        bit_put_cf(cpu, a &m);                                                                     \
        NEXT(cpu, in);                                                                             \
    }
#define BIT_REG(op, bits, form, number)                                                            \
    HANDLER(op##_##form##_##bits##_reg)                                                            \
    {                                                                                              \
        U(bits) a = RD_##bits(cpu, in->rm_at);                                                     \
        U(bits) m = (U(bits))((U(bits))1 << ((number) & (bits - 1)));                              \
                                                                                                   \
        bit_put_cf(cpu, a &m);                                                                     \
        if (WRITES_##op) WR_##bits(cpu, in->rm_at, (U(bits))DO_##op(a, m));                        \
        NEXT(cpu, in);                                                                             \
    }
#define BIT_FORMS(op, bits)                                                                        \
    BIT_MEM(op, bits, mr, RD_##bits(cpu, in->reg_at), true)                                        \
    BIT_MEM(op, bits, mi, in->imm &(bits - 1), false)                                              \
    BIT_REG(op, bits, mr, RD_##bits(cpu, in->reg_at))                                              \
    BIT_REG(op, bits, mi, in->imm)
BIT_FORMS(bt, 16)
BIT_FORMS(bt, 32)
BIT_FORMS(bt, 64)
BIT_FORMS(bts, 16)
BIT_FORMS(bts, 32)
BIT_FORMS(bts, 64)
BIT_FORMS(btr, 16)
BIT_FORMS(btr, 32)
BIT_FORMS(btr, 64)
BIT_FORMS(btc, 16)
BIT_FORMS(btc, 32)
BIT_FORMS(btc, 64)

#define FNS_REG_MEM_ROW(name, bits)                                                                \
    {                                                                                              \
        name##_##bits##_reg, name##_##bits##_mem, name##_##bits##_mem, name##_##bits##_mem,        \
            name##_##bits##_mem, name##_##bits##_mem                                               \
    }
#define FNS_REG_MEM(name)                                                                          \
    {                                                                                              \
        {                                                                                          \
            { 0 }, FNS_REG_MEM_ROW(name, 16), FNS_REG_MEM_ROW(name, 32), FNS_REG_MEM_ROW(name, 64) \
        }                                                                                          \
    }
const OpFns bt_mr[4] = { FNS_REG_MEM(bt_mr), FNS_REG_MEM(bts_mr), FNS_REG_MEM(btr_mr),
    FNS_REG_MEM(btc_mr) };
const OpFns bt_mi[4] = { FNS_REG_MEM(bt_mi), FNS_REG_MEM(bts_mi), FNS_REG_MEM(btr_mi),
    FNS_REG_MEM(btc_mi) };

/* -- scans -- */

#define SCAN_BODY(bits, first)                                                                     \
    if (a) WR_##bits(cpu, in->reg_at, (U(bits))(first));                                           \
    cc_put_logic(cpu, (S(bits))a);                                                                 \
    NEXT(cpu, in)
#define FIRST_bsf __builtin_ctzll(a)
#define FIRST_bsr (63 - __builtin_clzll(a))
#define SCAN_MEM(kind, op, bits)                                                                   \
    HANDLER(op##_rm_##bits##_##kind)                                                               \
    {                                                                                              \
        MISS_##kind(rd, bits / 8, op##_rm_##bits##_seg);                                           \
        U(bits) a = LD_##kind(bits)(cpu, in, LIN_##kind(cpu, in, bits / 8, false));                \
        SCAN_BODY(bits, FIRST_##op);                                                               \
    }
#define SCAN(op, bits)                                                                             \
    HANDLER(op##_rm_##bits##_reg)                                                                  \
    {                                                                                              \
        U(bits) a = RD_##bits(cpu, in->rm_at);                                                     \
        SCAN_BODY(bits, FIRST_##op);                                                               \
    }                                                                                              \
    EACH_MEM(SCAN_MEM, op, bits)
SCAN(bsf, 16)
SCAN(bsf, 32)
SCAN(bsf, 64)
SCAN(bsr, 16)
SCAN(bsr, 32)
SCAN(bsr, 64)

const OpFns bsf_rm = FNS_V(bsf_rm);
const OpFns bsr_rm = FNS_V(bsr_rm);

HANDLER(bit_bswap_32)
{
    WR_32(cpu, in->rm_at, __builtin_bswap32(RD_32(cpu, in->rm_at)));
    NEXT(cpu, in);
}

HANDLER(bit_bswap_64)
{
    WR_64(cpu, in->rm_at, __builtin_bswap64(RD_64(cpu, in->rm_at)));
    NEXT(cpu, in);
}

/* Undefined with 16 bits: processors clear the word. */
HANDLER(bit_bswap_16)
{
    WR_16(cpu, in->rm_at, 0);
    NEXT(cpu, in);
}

const OpFns bswap_r = { { { 0 }, { bit_bswap_16 }, { bit_bswap_32 }, { bit_bswap_64 } } };

/* -- compare and exchange, exchange and add -- */

#define CC_OF_SUB(bits, a, b) cc_put(cpu, CC_SUB, (S(bits))((a) - (b)), (S(bits))(a), (S(bits))(b))

/* The destination is written in either case, as the bus sees it. */
#define CMPXCHG_MEM(kind, bits)                                                                    \
    HANDLER(cmpxchg_mr_##bits##_##kind)                                                            \
    {                                                                                              \
        MISS_##kind(wr, bits / 8, cmpxchg_mr_##bits##_seg);                                        \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, true);                                     \
        Mem##bits *p = WP_##kind(bits)(cpu, lin);                                                  \
        U(bits) old = p ? *p : (U(bits))mmu_load_rmw(cpu, in, lin, bits / 8);                      \
        U(bits) acc = RD_##bits(cpu, AL_AT);                                                       \
        U(bits) val = acc == old ? RD_##bits(cpu, in->reg_at) : old;                               \
                                                                                                   \
        if (p)                                                                                     \
            *p = val;                                                                              \
        else                                                                                       \
            mmu_store(cpu, in, lin, val, bits / 8);                                                \
        if (acc != old) WR_##bits(cpu, AL_AT, old);                                                \
        CC_OF_SUB(bits, acc, old);                                                                 \
        NEXT(cpu, in);                                                                             \
    }
#define CMPXCHG(bits)                                                                              \
    HANDLER(cmpxchg_mr_##bits##_reg)                                                               \
    {                                                                                              \
        U(bits) old = RD_##bits(cpu, in->rm_at), acc = RD_##bits(cpu, AL_AT);                      \
                                                                                                   \
        if (acc == old)                                                                            \
            WR_##bits(cpu, in->rm_at, RD_##bits(cpu, in->reg_at));                                 \
        else                                                                                       \
            WR_##bits(cpu, AL_AT, old);                                                            \
        CC_OF_SUB(bits, acc, old);                                                                 \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(CMPXCHG_MEM, bits)
CMPXCHG(8)
CMPXCHG(16)
CMPXCHG(32)
CMPXCHG(64)
const OpFns cmpxchg_mr = FNS(cmpxchg_mr);

static void bit_put_zf(Cpu *cpu, bool zf)
{
    cpu->s.eflags = (cpu_get_eflags(cpu) & ~(uint64_t)FLAG_ZF) | (zf ? FLAG_ZF : 0);
}

/* Both halves are checked before the first is written. */
HANDLER(bit_cmpxchg16b)
{
    uint64_t lin = ea_checked(cpu, in, 16, true), low, high;
    bool equal;

    if (lin & 15) RAISE(cpu, in, EXC_GP, 0);
    low = mmu_load_rmw(cpu, in, lin, 8);
    high = ldx_64(cpu, in, lin + 8);
    equal = RD_64(cpu, AL_AT) == low && RD_64(cpu, REG_OFFSET(R_EDX)) == high;
    stx_64(cpu, in, lin, equal ? RD_64(cpu, REG_OFFSET(R_EBX)) : low);
    stx_64(cpu, in, lin + 8, equal ? RD_64(cpu, REG_OFFSET(R_ECX)) : high);
    if (!equal) {
        WR_64(cpu, AL_AT, low);
        WR_64(cpu, REG_OFFSET(R_EDX), high);
    }
    bit_put_zf(cpu, equal);
    NEXT(cpu, in);
}
const OpFns cmpxchg16b_m = OP_SAME(bit_cmpxchg16b);

HANDLER(bit_cmpxchg8b)
{
    uint64_t lin = ea_checked(cpu, in, 8, true);
    uint64_t old = mmu_load_rmw(cpu, in, lin, 8);
    uint64_t acc = (uint64_t)RD_32(cpu, REG_OFFSET(R_EDX)) << 32 | RD_32(cpu, AL_AT);
    uint64_t val = (uint64_t)RD_32(cpu, REG_OFFSET(R_ECX)) << 32 | RD_32(cpu, REG_OFFSET(R_EBX));
    bool equal = acc == old;

    stx_64(cpu, in, lin, equal ? val : old);
    if (!equal) {
        WR_32(cpu, AL_AT, old);
        WR_32(cpu, REG_OFFSET(R_EDX), old >> 32);
    }
    bit_put_zf(cpu, equal);
    NEXT(cpu, in);
}
const OpFns cmpxchg8b_m = OP_SAME(bit_cmpxchg8b);

#define CC_OF_ADD(bits, a, b) cc_put(cpu, CC_ADD, (S(bits))((a) + (b)), (S(bits))(a), (S(bits))(b))
#define XADD_MEM(kind, bits)                                                                       \
    HANDLER(xadd_mr_##bits##_##kind)                                                               \
    {                                                                                              \
        MISS_##kind(wr, bits / 8, xadd_mr_##bits##_seg);                                           \
        ADDR_##kind lin = LIN_##kind(cpu, in, bits / 8, true);                                     \
        Mem##bits *p = WP_##kind(bits)(cpu, lin);                                                  \
        U(bits) a = p ? *p : (U(bits))mmu_load_rmw(cpu, in, lin, bits / 8);                        \
        U(bits) b = RD_##bits(cpu, in->reg_at);                                                    \
                                                                                                   \
        if (p)                                                                                     \
            *p = (U(bits))(a + b);                                                                 \
        else                                                                                       \
            mmu_store(cpu, in, lin, (U(bits))(a + b), bits / 8);                                   \
        WR_##bits(cpu, in->reg_at, a);                                                             \
        CC_OF_ADD(bits, a, b);                                                                     \
        NEXT(cpu, in);                                                                             \
    }
#define XADD(bits)                                                                                 \
    HANDLER(xadd_mr_##bits##_reg)                                                                  \
    {                                                                                              \
        U(bits) a = RD_##bits(cpu, in->rm_at), b = RD_##bits(cpu, in->reg_at);                     \
                                                                                                   \
        WR_##bits(cpu, in->reg_at, a);                                                             \
        WR_##bits(cpu, in->rm_at, (U(bits))(a + b));                                               \
        CC_OF_ADD(bits, a, b);                                                                     \
        NEXT(cpu, in);                                                                             \
    }                                                                                              \
    EACH_MEM(XADD_MEM, bits)
XADD(8)
XADD(16)
XADD(32)
XADD(64)
const OpFns xadd_mr = FNS(xadd_mr);
