/* SPDX-License-Identifier: MIT */
/*
 * Lazy arithmetic flags.
 *
 * An instruction leaves its operands and result, each sign-extended to 64 bits, and a kind; flags
 * are worked out where somebody reads them.  Sign extension keeps both the signed and the unsigned
 * order, so that one formula serves every operand size.
 */
#pragma once

#include "cpu/state.h"

/* ADC, SBB and INC, DEC come in pairs: the second is "with carry" (in; kept). */
enum CcKind {
    CC_EFLAGS, /* s.eflags is up to date */
    CC_ADD,
    CC_ADC,
    CC_SUB,
    CC_SBB,
    CC_INC,
    CC_INC_CF,
    CC_DEC,
    CC_DEC_CF,
    CC_LOGIC,  /* CF, OF, AF clear */
    CC_RESULT, /* SF, ZF, PF by the result; CF is cc_op1, OF and AF stand in cc_op2 */
};
enum { CC_OP2_OF = 1, CC_OP2_AF = FLAG_AF };

static inline void cc_put(Cpu *cpu, uint32_t kind, int64_t res, int64_t a, int64_t b)
{
    cpu->cc_res = (uint64_t)res;
    cpu->cc_op1 = (uint64_t)a;
    cpu->cc_op2 = (uint64_t)b;
    cpu->cc_kind = kind;
}

static inline void cc_put_logic(Cpu *cpu, int64_t res)
{
    cpu->cc_res = (uint64_t)res;
    cpu->cc_kind = CC_LOGIC;
}

static inline void cc_put_result(Cpu *cpu, int64_t res, bool cf, bool of)
{
    cc_put(cpu, CC_RESULT, res, cf, of ? CC_OP2_OF : 0);
}

static inline bool cc_cf(const Cpu *cpu)
{
    switch (cpu->cc_kind) {
    case CC_EFLAGS: return cpu->s.eflags & FLAG_CF;
    case CC_ADD: return cpu->cc_res < cpu->cc_op1;
    case CC_ADC: return cpu->cc_res <= cpu->cc_op1;
    case CC_SUB: return cpu->cc_op1 < cpu->cc_op2;
    case CC_SBB: return cpu->cc_op1 <= cpu->cc_op2;
    case CC_INC_CF:
    case CC_DEC_CF: return true;
    case CC_RESULT: return cpu->cc_op1;
    default: return false;
    }
}

static inline bool cc_of(const Cpu *cpu)
{
    switch (cpu->cc_kind) {
    case CC_EFLAGS: return cpu->s.eflags & FLAG_OF;
    case CC_ADD:
    case CC_ADC:
    case CC_INC:
    case CC_INC_CF: return (int64_t)((cpu->cc_op1 ^ cpu->cc_res) & (cpu->cc_op2 ^ cpu->cc_res)) < 0;
    case CC_SUB:
    case CC_SBB:
    case CC_DEC:
    case CC_DEC_CF: return (int64_t)((cpu->cc_op1 ^ cpu->cc_op2) & (cpu->cc_op1 ^ cpu->cc_res)) < 0;
    case CC_RESULT: return cpu->cc_op2 & CC_OP2_OF;
    default: return false;
    }
}

static inline bool cc_af(const Cpu *cpu)
{
    switch (cpu->cc_kind) {
    case CC_EFLAGS: return cpu->s.eflags & FLAG_AF;
    case CC_LOGIC: return false;
    case CC_RESULT: return cpu->cc_op2 & CC_OP2_AF;
    default: return (cpu->cc_op1 ^ cpu->cc_op2 ^ cpu->cc_res) & FLAG_AF;
    }
}

static inline bool cc_zf(const Cpu *cpu)
{
    return cpu->cc_kind == CC_EFLAGS ? (cpu->s.eflags & FLAG_ZF) != 0 : !cpu->cc_res;
}

static inline bool cc_sf(const Cpu *cpu)
{
    return cpu->cc_kind == CC_EFLAGS ? (cpu->s.eflags & FLAG_SF) != 0 : (int64_t)cpu->cc_res < 0;
}

static inline bool cc_pf(const Cpu *cpu)
{
    if (cpu->cc_kind == CC_EFLAGS) return cpu->s.eflags & FLAG_PF;
    return !__builtin_parity((unsigned)cpu->cc_res & 0xff);
}

/* A condition code (the low four bits of Jcc, SETcc, CMOVcc); cond is a constant where it is
 * hot. */
static inline __attribute__((always_inline)) bool cc_test(const Cpu *cpu, unsigned cond)
{
    bool sub = cpu->cc_kind == CC_SUB, r;

    switch (cond >> 1) {
    case 0: r = cc_of(cpu); break;
    case 1: r = sub ? cpu->cc_op1 < cpu->cc_op2 : cc_cf(cpu); break;
    case 2: r = cc_zf(cpu); break;
    case 3: r = sub ? cpu->cc_op1 <= cpu->cc_op2 : cc_cf(cpu) || cc_zf(cpu); break;
    case 4: r = cc_sf(cpu); break;
    case 5: r = cc_pf(cpu); break;
    case 6: r = sub ? (int64_t)cpu->cc_op1 < (int64_t)cpu->cc_op2 : cc_sf(cpu) != cc_of(cpu); break;
    default:
        r = sub ? (int64_t)cpu->cc_op1 <= (int64_t)cpu->cc_op2
                : cc_zf(cpu) || cc_sf(cpu) != cc_of(cpu);
    }
    return r != (cond & 1);
}

/* Rotates and BT: changes CF (and OF) alone, keeping the other flags lazy. */
static inline void cc_put_cf_of(Cpu *cpu, bool cf, bool of)
{
    if (cpu->cc_kind == CC_EFLAGS) {
        cpu->s.eflags = (cpu->s.eflags & ~(uint64_t)(FLAG_CF | FLAG_OF)) | (cf ? FLAG_CF : 0) |
                        (of ? FLAG_OF : 0);
    } else {
        bool af = cc_af(cpu);

        cpu->cc_op1 = cf;
        cpu->cc_op2 = (of ? CC_OP2_OF : 0) | (af ? CC_OP2_AF : 0);
        cpu->cc_kind = CC_RESULT;
    }
}
