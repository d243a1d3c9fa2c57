/* SPDX-License-Identifier: MIT */
/*
 * Decimal adjustments, sign extension of the accumulator, flag instructions.  Source: Intel SDM
 * volume 2.
 */
#include "cpu/operand.h"

static void adjust_put_flags(Cpu *cpu, uint32_t flags)
{
    cpu->s.eflags = (cpu->s.eflags & ~(uint64_t)FLAGS_ARITH) | flags;
    cpu->cc_kind = CC_EFLAGS;
}

static uint32_t adjust_szp(uint8_t v)
{
    return (v ? 0 : FLAG_ZF) | (v & 0x80 ? FLAG_SF : 0) | (__builtin_parity(v) ? 0 : FLAG_PF);
}

/* DAA (add) and DAS. */
static void adjust_decimal(Cpu *cpu, bool add)
{
    uint8_t al = RD_8(cpu, AL_AT), v = al;
    uint32_t flags = cpu_get_eflags(cpu), out = 0;
    bool cf = flags & FLAG_CF;

    if ((al & 15) > 9 || (flags & FLAG_AF)) {
        if (add ? v > 0xff - 6 : v < 6) out |= FLAG_CF;
        if (cf) out |= FLAG_CF;
        v = (uint8_t)(add ? v + 6 : v - 6);
        out |= FLAG_AF;
    }
    if (al > 0x99 || cf) {
        v = (uint8_t)(add ? v + 0x60 : v - 0x60);
        out |= FLAG_CF;
    } else if (add) {
        out &= ~(uint32_t)FLAG_CF;
    }
    WR_8(cpu, AL_AT, v);
    adjust_put_flags(cpu, out | adjust_szp(v));
}

/* AAA (add) and AAS. */
static void adjust_ascii(Cpu *cpu, bool add)
{
    uint16_t ax = RD_16(cpu, AL_AT);
    uint32_t out = 0;

    if ((ax & 15) > 9 || (cpu_get_eflags(cpu) & FLAG_AF)) {
        ax = (uint16_t)(add ? ax + 0x106 : ax - 0x106);
        out = FLAG_AF | FLAG_CF;
    }
    ax &= 0xff0f;
    WR_16(cpu, AL_AT, ax);
    adjust_put_flags(cpu, out | adjust_szp((uint8_t)ax));
}

HANDLER(adjust_daa)
{
    adjust_decimal(cpu, true);
    NEXT(cpu, in);
}

HANDLER(adjust_das)
{
    adjust_decimal(cpu, false);
    NEXT(cpu, in);
}

HANDLER(adjust_aaa)
{
    adjust_ascii(cpu, true);
    NEXT(cpu, in);
}

HANDLER(adjust_aas)
{
    adjust_ascii(cpu, false);
    NEXT(cpu, in);
}

HANDLER(adjust_aam)
{
    uint8_t al = RD_8(cpu, AL_AT), base = (uint8_t)in->imm;

    if (!base) RAISE(cpu, in, EXC_DE, 0);
    WR_16(cpu, AL_AT, (uint16_t)(al / base << 8 | al % base));
    adjust_put_flags(cpu, adjust_szp(al % base));
    NEXT(cpu, in);
}

HANDLER(adjust_aad)
{
    uint8_t v = (uint8_t)(RD_8(cpu, AL_AT) + RD_8(cpu, AH_AT) * in->imm);

    WR_16(cpu, AL_AT, v);
    adjust_put_flags(cpu, adjust_szp(v));
    NEXT(cpu, in);
}

HANDLER(adjust_cbw)
{
    if (in->opsize == 2)
        WR_16(cpu, AL_AT, (uint16_t)(int8_t)RD_8(cpu, AL_AT));
    else if (in->opsize == 8)
        WR_64(cpu, AL_AT, (uint64_t)(int32_t)RD_32(cpu, AL_AT));
    else
        WR_32(cpu, AL_AT, (uint32_t)(int16_t)RD_16(cpu, AL_AT));
    NEXT(cpu, in);
}

HANDLER(adjust_cwd)
{
    if (in->opsize == 2)
        WR_16(cpu, REG_OFFSET(R_EDX), (uint16_t)((int16_t)RD_16(cpu, AL_AT) >> 15));
    else if (in->opsize == 8)
        WR_64(cpu, REG_OFFSET(R_EDX), (uint64_t)((int64_t)RD_64(cpu, AL_AT) >> 63));
    else
        WR_32(cpu, REG_OFFSET(R_EDX), (uint32_t)((int32_t)RD_32(cpu, AL_AT) >> 31));
    NEXT(cpu, in);
}

enum { LAHF_FLAGS = FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF | FLAG_CF };

HANDLER(adjust_lahf)
{
    WR_8(cpu, AH_AT, (uint8_t)((cpu_get_eflags(cpu) & LAHF_FLAGS) | 2));
    NEXT(cpu, in);
}

HANDLER(adjust_sahf)
{
    uint32_t keep = cpu_get_eflags(cpu) & FLAG_OF;

    adjust_put_flags(cpu, keep | (RD_8(cpu, AH_AT) & LAHF_FLAGS));
    NEXT(cpu, in);
}

HANDLER(adjust_salc)
{
    WR_8(cpu, AL_AT, cc_cf(cpu) ? 0xff : 0);
    NEXT(cpu, in);
}

HANDLER(adjust_cmc)
{
    cc_put_cf_of(cpu, !cc_cf(cpu), cc_of(cpu));
    NEXT(cpu, in);
}

HANDLER(adjust_clc)
{
    cc_put_cf_of(cpu, false, cc_of(cpu));
    NEXT(cpu, in);
}

HANDLER(adjust_stc)
{
    cc_put_cf_of(cpu, true, cc_of(cpu));
    NEXT(cpu, in);
}

HANDLER(adjust_cld)
{
    cpu->s.eflags &= ~(uint64_t)FLAG_DF;
    NEXT(cpu, in);
}

HANDLER(adjust_std)
{
    cpu->s.eflags |= FLAG_DF;
    NEXT(cpu, in);
}

const OpFns daa_fns = OP_SAME(adjust_daa);
const OpFns das_fns = OP_SAME(adjust_das);
const OpFns aaa_fns = OP_SAME(adjust_aaa);
const OpFns aas_fns = OP_SAME(adjust_aas);
const OpFns aam_fns = OP_SAME(adjust_aam);
const OpFns aad_fns = OP_SAME(adjust_aad);
const OpFns cbw_fns = OP_SAME(adjust_cbw);
const OpFns cwd_fns = OP_SAME(adjust_cwd);
const OpFns lahf_fns = OP_SAME(adjust_lahf);
const OpFns sahf_fns = OP_SAME(adjust_sahf);
const OpFns salc_fns = OP_SAME(adjust_salc);
const OpFns cmc_fns = OP_SAME(adjust_cmc);
const OpFns clc_fns = OP_SAME(adjust_clc);
const OpFns stc_fns = OP_SAME(adjust_stc);
const OpFns cld_fns = OP_SAME(adjust_cld);
const OpFns std_fns = OP_SAME(adjust_std);
