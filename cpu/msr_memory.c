/* SPDX-License-Identifier: MIT */
/*
 * Memory type ranges, PAT and the machine-check banks.  Source: Intel SDM volume 3, chapters 11 and
 * 15 and appendix B.  Not modelled: what they mean; all memory is write-back, no check ever comes.
 */
#include "cpu/msr.h"

enum {
    MSR_P5_MC_ADDR = 0x00,
    MSR_P5_MC_TYPE = 0x01,
    MSR_MTRRCAP = 0xfe,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_MCG_CTL = 0x17b,
    MSR_MTRR_VAR = 0x200,
    MSR_PAT = 0x277,
    MSR_MTRR_DEFTYPE = 0x2ff,
    MSR_MC_BANKS = 0x400,
};

/* Eight variable ranges, fixed ones, write combining. */
enum { MTRRCAP = 0x508, MTRR_DEFTYPE_BITS = 0xcff, MTRR_MASK_VALID = 1 << 11 };
enum { MCG_STATUS_BITS = 7, MCG_COUNT = 0xff, BANK_CTL = 0 };

static const uint16_t mtrr_fixed_numbers[11] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b,
    0x26c, 0x26d, 0x26e, 0x26f };

/* Uncached, write combining, write through, write protected, write back; PAT has UC- too. */
static bool msr_is_type(uint8_t type, bool pat)
{
    return type <= 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

static bool msr_are_types(uint64_t val, bool pat)
{
    for (unsigned i = 0; i < 8; i++)
        if (!msr_is_type((uint8_t)(val >> 8 * i), pat)) return false;
    return true;
}

/* Where a register that is plain memory stands, or NULL. */
static uint64_t *msr_place(Cpu *cpu, uint32_t n)
{
    struct CpuState *s = &cpu->s;
    bool mtrr = cpu_has(cpu, FEAT_MTRR), mca = cpu_has(cpu, FEAT_MCA);

    if (n == MSR_PAT) return cpu_has(cpu, FEAT_PAT) ? &s->pat : NULL;
    if (n == MSR_MTRR_DEFTYPE) return mtrr ? &s->mtrr_deftype : NULL;
    if (n - MSR_MTRR_VAR < 2 * ARRAY_SIZE(s->mtrr_var)) {
        MtrrVar *v = &s->mtrr_var[(n - MSR_MTRR_VAR) / 2];

        return !mtrr ? NULL : n & 1 ? &v->mask : &v->base;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(mtrr_fixed_numbers); i++)
        if (n == mtrr_fixed_numbers[i]) return mtrr ? &s->mtrr_fixed[i] : NULL;
    if (!mca) return NULL;
    if (n == MSR_MCG_STATUS) return &s->mcg_status;
    if (n == MSR_MCG_CTL) return &s->mcg_ctl;
    if (n - MSR_MC_BANKS < 4 * (s->mcg_cap & MCG_COUNT) &&
        n - MSR_MC_BANKS < ARRAY_SIZE(s->mce_banks))
        return &s->mce_banks[n - MSR_MC_BANKS];
    return NULL;
}

/* Whether a register of msr_place takes this value. */
static bool msr_takes(const Cpu *cpu, uint32_t n, uint64_t val)
{
    uint64_t beyond = ~0ull << cpu_phys_bits(cpu);

    if (n == MSR_PAT) return msr_are_types(val, true);
    if (n == MSR_MTRR_DEFTYPE)
        return !(val & ~(uint64_t)MTRR_DEFTYPE_BITS) && msr_is_type((uint8_t)val, false);
    if (n - MSR_MTRR_VAR < 2 * ARRAY_SIZE(cpu->s.mtrr_var)) {
        if (n & 1) return !(val & (beyond | (MTRR_MASK_VALID - 1)));
        return !(val & (beyond | 0xf00)) && msr_is_type((uint8_t)val, false);
    }
    if (n == MSR_MCG_STATUS) return !(val & ~(uint64_t)MCG_STATUS_BITS);
    if (n == MSR_MCG_CTL) return val == 0 || val == UINT64_MAX;
    if (n >= MSR_MC_BANKS) return (n & 3) == BANK_CTL || !val;
    return msr_are_types(val, false);
}

static bool msr_is_p5_check(const Cpu *cpu, uint32_t n)
{
    return (n == MSR_P5_MC_ADDR || n == MSR_P5_MC_TYPE) && cpu_has(cpu, FEAT_MCE);
}

bool msr_memory_read(Cpu *cpu, uint32_t n, uint64_t *val)
{
    const uint64_t *place = msr_place(cpu, n);

    if (place)
        *val = *place;
    else if (n == MSR_MTRRCAP && cpu_has(cpu, FEAT_MTRR))
        *val = MTRRCAP;
    else if (n == MSR_MCG_CAP && cpu_has(cpu, FEAT_MCA))
        *val = cpu->s.mcg_cap;
    else if (msr_is_p5_check(cpu, n))
        *val = 0;
    else
        return false;
    return true;
}

bool msr_memory_write(Cpu *cpu, uint32_t n, uint64_t val)
{
    uint64_t *place = msr_place(cpu, n);

    if (!place) return msr_is_p5_check(cpu, n);
    if (!msr_takes(cpu, n, val)) cpu_raise(cpu, EXC_GP, 0);
    *place = val;
    return true;
}
