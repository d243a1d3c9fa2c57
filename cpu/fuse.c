/* SPDX-License-Identifier: MIT */
/*
 * CMP, TEST or DEC with the conditional jump behind it, as one handler.
 *
 * Both stay in their block as they are; only the first one's handler is replaced, by one that goes
 * on with the jump itself, its condition known from the operands.  The flags are left as ever.  The
 * handler of its own is kept in Insn.slow: it serves where the TLB misses, and where a block is cut
 * between the two.
 */
#include "cpu/fuse.h"

#include "cpu/operand.h"

#define U(bits) uint##bits##_t
#define S(bits) (int##bits##_t)

/* -- operands: a and b of the first instruction -- */

#define FUSE_reg_reg(bits) U(bits) a = RD_##bits(cpu, in->rm_at), b = RD_##bits(cpu, in->reg_at)
#define FUSE_rm_reg(bits) U(bits) a = RD_##bits(cpu, in->reg_at), b = RD_##bits(cpu, in->rm_at)
#define FUSE_imm_reg(bits) U(bits) a = RD_##bits(cpu, in->rm_at), b = (U(bits))in->imm
#define FUSE_imm_base(bits)                                                                        \
    MISS_base(rd, bits / 8, in->slow);                                                             \
    U(bits) a = ld_##bits(cpu, in, ea_base(cpu, in)), b = (U(bits))in->imm
#define FUSE_rm_base(bits)                                                                         \
    MISS_base(rd, bits / 8, in->slow);                                                             \
    U(bits) a = RD_##bits(cpu, in->reg_at), b = ld_##bits(cpu, in, ea_base(cpu, in))

/* -- operations -- */

#define FUSE_cmp(bits) cc_put(cpu, CC_SUB, S(bits)(a - b), S(bits) a, S(bits) b)
#define FUSE_test(bits) cc_put_logic(cpu, S(bits)(a & b))
#define FUSE_dec(bits)                                                                             \
    bool carry = cc_cf(cpu);                                                                       \
                                                                                                   \
    (void)b;                                                                                       \
    cc_put(cpu, CC_DEC + carry, S(bits)(a - 1), S(bits) a, 1);                                     \
    WR_##bits(cpu, in->rm_at, (U(bits))(a - 1))

#define FUSED(cc, op, operands, bits)                                                              \
    HANDLER(fuse_##op##_##operands##_##cc##_##bits##_reg)                                          \
    {                                                                                              \
        const Insn *jcc = in + 1;                                                                  \
        FUSE_##operands(bits);                                                                     \
        FUSE_##op(bits);                                                                           \
        if (cc_test(cpu, cc)) {                                                                    \
            cpu->s.eip = (uint32_t)cpu->s.eip + (uint32_t)jcc->disp;                               \
            CHAIN(cpu, jcc, 1);                                                                    \
        }                                                                                          \
        cpu->s.eip = (uint32_t)(cpu->s.eip + jcc->off + jcc->len);                                 \
        CHAIN(cpu, jcc, 0);                                                                        \
    }
#define EACH_CC(M, ...)                                                                            \
    M(0, __VA_ARGS__)                                                                              \
    M(1, __VA_ARGS__)                                                                              \
    M(2, __VA_ARGS__)                                                                              \
    M(3, __VA_ARGS__)                                                                              \
    M(4, __VA_ARGS__)                                                                              \
    M(5, __VA_ARGS__)                                                                              \
    M(6, __VA_ARGS__)                                                                              \
    M(7, __VA_ARGS__)                                                                              \
    M(8, __VA_ARGS__)                                                                              \
    M(9, __VA_ARGS__)                                                                              \
    M(10, __VA_ARGS__)                                                                             \
    M(11, __VA_ARGS__)                                                                             \
    M(12, __VA_ARGS__)                                                                             \
    M(13, __VA_ARGS__)                                                                             \
    M(14, __VA_ARGS__)                                                                             \
    M(15, __VA_ARGS__)
/* op, operands, bits, and the family and kind that it stands for. */
#define EACH_PAIR(M)                                                                               \
    M(cmp, reg_reg, 32, &alu_mr[7], KIND_REG)                                                      \
    M(cmp, rm_reg, 32, &alu_rm[7], KIND_REG)                                                       \
    M(cmp, imm_reg, 32, &alu_mi[7], KIND_REG)                                                      \
    M(cmp, rm_base, 32, &alu_rm[7], KIND_BASE)                                                     \
    M(cmp, imm_base, 32, &alu_mi[7], KIND_BASE)                                                    \
    M(cmp, reg_reg, 8, &alu_mr[7], KIND_REG)                                                       \
    M(cmp, imm_reg, 8, &alu_mi[7], KIND_REG)                                                       \
    M(cmp, imm_base, 8, &alu_mi[7], KIND_BASE)                                                     \
    M(test, reg_reg, 32, &test_mr, KIND_REG)                                                       \
    M(test, reg_reg, 8, &test_mr, KIND_REG)                                                        \
    M(test, imm_reg, 8, &test_mi, KIND_REG)                                                        \
    M(test, imm_base, 8, &test_mi, KIND_BASE)                                                      \
    M(dec, imm_reg, 32, &dec_m, KIND_REG)

#define PAIR_HANDLERS(op, operands, bits, fns, kind) EACH_CC(FUSED, op, operands, bits)
EACH_PAIR(PAIR_HANDLERS)

typedef struct FusePair {
    const OpFns *fns;
    uint8_t size, kind;
    InsnFn *fn[16]; /* by condition */
} FusePair;

#define PAIR_NAME(cc, op, operands, bits) fuse_##op##_##operands##_##cc##_##bits##_reg,
#define PAIR_ROW(op, operands, bits, fns, kind)                                                    \
    { fns, bits == 8 ? 0 : 2, kind, { EACH_CC(PAIR_NAME, op, operands, bits) } },
static const FusePair fuse_pairs[] = { EACH_PAIR(PAIR_ROW) };

void fuse_pair(Insn *first, const Insn *jcc)
{
    unsigned cc = jcc->op & 15;

    if (first->flags & (INSN_SLOW | INSN_MID)) return;
    if (jcc->fn != jcc_rel[cc].f[2][KIND_REG]) return;
    for (size_t i = 0; i < ARRAY_SIZE(fuse_pairs); i++) {
        const FusePair *p = &fuse_pairs[i];

        if (first->fn != p->fns->f[p->size][p->kind]) continue;
        first->slow = first->fn;
        first->fn = p->fn[cc];
        return;
    }
}

void fuse_undo(Insn *first)
{
    if (!(first->flags & (INSN_SLOW | INSN_MID)) && first->slow) first->fn = first->slow;
}
