/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers and the time stamp counter.  Source: Intel SDM volume 3 appendix B,
 * volume 2 (RDMSR, WRMSR, RDTSC, RDPMC).
 * Not modelled: performance counters (they stand still at zero);
 * registers of what CPUID does not tell of raise #GP, as do unknown ones.
 */
#include "core/apic.h"
#include "cpu/decode.h"
#include "cpu/msr.h"
#include "cpu/walk.h"

enum {
    MSR_TSC = 0x10,
    MSR_PLATFORM_ID = 0x17,
    MSR_APIC_BASE = 0x1b,
    MSR_POWERON = 0x2a,
    MSR_SMI_COUNT = 0x34,
    MSR_UCODE_WRITE = 0x79,
    MSR_UCODE_REV = 0x8b,
    MSR_PERFCTR0 = 0xc1,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC = 0x800,
    MSR_X2APIC_LAST = 0x83f,
    MSR_PERFCTR1 = 0xc2,
    MSR_BBL_CTL = 0x119,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_EVNTSEL0 = 0x186,
    MSR_EVNTSEL1 = 0x187,
    MSR_DEBUGCTL = 0x1d9,
    MSR_LBR_FROM = 0x1db,
    MSR_LBR_INT_TO = 0x1de,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_EFER = 0xc0000080,
    MSR_STAR = 0xc0000081,
    MSR_LSTAR = 0xc0000082,
    MSR_CSTAR = 0xc0000083,
    MSR_FMASK = 0xc0000084,
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE = 0xc0000101,
    MSR_KERNEL_GS_BASE = 0xc0000102,
    MSR_TSC_AUX = 0xc0000103,
    MSR_K7_EVNTSEL0 = 0xc0010000, /* four, and the four counters behind them */
    MSR_K7_PERFCTR3 = 0xc0010007,
    MSR_SYSCFG = 0xc0010010,
    MSR_HWCR = 0xc0010015,
    MSR_INT_PENDING = 0xc0010055,
};

static uint64_t msr_tsc(const Cpu *cpu)
{
    return clock_tsc(&cpu->dev.m->clock) + cpu->s.tsc_offset;
}

static bool msr_is_p6(const Cpu *cpu) { return cpu_family(cpu) == 6; }

static void msr_need(Cpu *cpu, bool has)
{
    if (!has) cpu_raise(cpu, EXC_GP, 0);
}

/* Registers of the P6 family, and of AMD's processors, that read as zero and take no notice of
 * writes. */
static bool msr_is_inert(const Cpu *cpu, uint32_t n)
{
    if (cpu_is_amd(cpu))
        return (n >= MSR_K7_EVNTSEL0 && n <= MSR_K7_PERFCTR3) || n == MSR_SYSCFG || n == MSR_HWCR ||
               n == MSR_INT_PENDING || n == MSR_UCODE_REV;
    if (!msr_is_p6(cpu)) return false;
    switch (n) {
    case MSR_PLATFORM_ID:
    case MSR_POWERON:
    case MSR_UCODE_WRITE:
    case MSR_UCODE_REV:
    case MSR_PERFCTR0:
    case MSR_PERFCTR1:
    case MSR_BBL_CTL:
    case MSR_EVNTSEL0:
    case MSR_EVNTSEL1:
    case MSR_DEBUGCTL: return true;
    default: return n >= MSR_LBR_FROM && n <= MSR_LBR_INT_TO;
    }
}

static bool msr_has_efer(const Cpu *cpu)
{
    return cpu_has_nx(cpu) || cpu_has_ext(cpu, FEAT_LM) || cpu_has_ext(cpu, FEAT_SYSCALL);
}

uint64_t msr_efer_bits(const Cpu *cpu)
{
    uint64_t bits = cpu_has_nx(cpu) ? EFER_NXE : 0;

    if (cpu_has_ext(cpu, FEAT_SYSCALL)) bits |= EFER_SCE;
    if (cpu_has_ext(cpu, FEAT_LM)) bits |= EFER_LME | EFER_LMA; /* LMA follows LME and paging */
    return bits;
}

static void msr_write_efer(Cpu *cpu, uint64_t val)
{
    uint64_t lma = cpu->s.efer & EFER_LMA;

    if (val & ~msr_efer_bits(cpu)) cpu_raise(cpu, EXC_GP, 0);
    val = (val & ~(uint64_t)EFER_LMA) | lma;
    if ((cpu->s.efer ^ val) & EFER_LME && cpu->s.cr[0] & CR0_PG) cpu_raise(cpu, EXC_GP, 0);
    if (cpu->s.efer != val) cpu_tlb_flush(cpu, true);
    cpu->s.efer = val;
    cpu_mode_changed(cpu);
}

/* Where a register of long mode stands that is plain memory, or NULL; *address: it takes canonical
 * addresses alone. */
static uint64_t *msr_long_place(Cpu *cpu, uint32_t n, bool *address)
{
    struct CpuState *s = &cpu->s;
    bool lm = cpu_has_ext(cpu, FEAT_LM);

    *address = n != MSR_FMASK;
    switch (n) {
    case MSR_LSTAR: return lm ? &s->lstar : NULL;
    case MSR_CSTAR: return lm ? &s->cstar : NULL;
    case MSR_FMASK: return lm ? &s->fmask : NULL;
    case MSR_FS_BASE: return lm ? &s->segs[R_FS].base : NULL;
    case MSR_GS_BASE: return lm ? &s->segs[R_GS].base : NULL;
    case MSR_KERNEL_GS_BASE: return lm ? &s->kernelgsbase : NULL;
    default: return NULL;
    }
}

/* #GP where the CPU has no APIC. */
static const CpuApic *msr_apic(Cpu *cpu)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    msr_need(cpu, apic->dev != NULL);
    return apic;
}

static uint64_t msr_read_apic_base(Cpu *cpu)
{
    const CpuApic *apic = msr_apic(cpu);

    return apic->ops->base(apic->dev);
}

static void msr_write_apic_base(Cpu *cpu, uint64_t val)
{
    const CpuApic *apic = msr_apic(cpu);

    msr_need(cpu, apic->ops->set_base(apic->dev, val));
}

/* -- the APIC's registers, and its timer by the TSC -- */

void msr_settle_deadline(Cpu *cpu)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    if (!apic->dev || !apic->ops->deadline_armed(apic->dev)) cpu->s.tsc_deadline = 0;
}

static uint64_t msr_read_deadline(Cpu *cpu)
{
    msr_need(cpu, cpu_has_ecx(cpu, FEAT_TSC_DEADLINE));
    msr_settle_deadline(cpu);
    return cpu->s.tsc_deadline;
}

/* The instant at which the guest's TSC will be val: never before it is. */
static int64_t msr_instant(Cpu *cpu, uint64_t val)
{
    const Clock *c = &cpu->dev.m->clock;
    int64_t now = clock_now(c), left = (int64_t)(val - msr_tsc(cpu)), ns;

    if (left <= 0) return now;
    ns = (int64_t)MIN_OF(muldiv64((uint64_t)left, NS_PER_S, c->tsc_hz), (uint64_t)INT64_MAX / 4);
    return now + ns + 1;
}

static void msr_write_deadline(Cpu *cpu, uint64_t val)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    msr_need(cpu, cpu_has_ecx(cpu, FEAT_TSC_DEADLINE) && apic->dev);
    if (!apic->ops->set_deadline(apic->dev, val ? msr_instant(cpu, val) : TIMER_NEVER)) val = 0;
    cpu->s.tsc_deadline = val;
}

/* The deadline is one of the TSC: it moves when that is set. */
static void msr_write_tsc(Cpu *cpu, uint64_t val)
{
    msr_need(cpu, cpu_has(cpu, FEAT_TSC));
    cpu->s.tsc_offset += val - msr_tsc(cpu);
    msr_settle_deadline(cpu);
    if (cpu->s.tsc_deadline) msr_write_deadline(cpu, cpu->s.tsc_deadline);
}

static uint64_t msr_read_x2apic(Cpu *cpu, unsigned reg)
{
    const CpuApic *apic = msr_apic(cpu);
    uint64_t val = 0;

    msr_need(cpu, apic->ops->read_msr(apic->dev, reg, &val));
    return val;
}

static void msr_write_x2apic(Cpu *cpu, unsigned reg, uint64_t val)
{
    const CpuApic *apic = msr_apic(cpu);

    msr_need(cpu, apic->ops->write_msr(apic->dev, reg, val));
}

static uint64_t msr_read(Cpu *cpu, uint32_t n)
{
    uint64_t val, *place;
    bool address;

    if (msr_memory_read(cpu, n, &val)) return val;
    if ((place = msr_long_place(cpu, n, &address))) return *place;
    switch (n) {
    case MSR_X2APIC ... MSR_X2APIC_LAST: return msr_read_x2apic(cpu, n - MSR_X2APIC);
    case MSR_TSC_DEADLINE: return msr_read_deadline(cpu);
    case MSR_APIC_BASE: return msr_read_apic_base(cpu);
    case MSR_TSC: msr_need(cpu, cpu_has(cpu, FEAT_TSC)); return msr_tsc(cpu);
    case MSR_SYSENTER_CS: msr_need(cpu, cpu_has(cpu, FEAT_SEP)); return cpu->s.sysenter_cs;
    case MSR_SYSENTER_ESP: msr_need(cpu, cpu_has(cpu, FEAT_SEP)); return cpu->s.sysenter_esp;
    case MSR_SYSENTER_EIP: msr_need(cpu, cpu_has(cpu, FEAT_SEP)); return cpu->s.sysenter_eip;
    case MSR_SMI_COUNT: msr_need(cpu, cpu_has_ext(cpu, FEAT_LM)); return cpu->s.msr_smi_count;
    case MSR_MISC_ENABLE: msr_need(cpu, cpu_has_ext(cpu, FEAT_LM)); return cpu->s.misc_enable;
    case MSR_EFER: msr_need(cpu, msr_has_efer(cpu)); return cpu->s.efer;
    case MSR_STAR: msr_need(cpu, cpu_has_ext(cpu, FEAT_SYSCALL)); return cpu->s.star;
    case MSR_TSC_AUX: msr_need(cpu, cpu_has_ext(cpu, FEAT_RDTSCP)); return cpu->s.tsc_aux;
    default: msr_need(cpu, msr_is_inert(cpu, n)); return 0;
    }
}

static bool msr_write_long(Cpu *cpu, uint32_t n, uint64_t val)
{
    bool address;
    uint64_t *place = msr_long_place(cpu, n, &address);

    if (!place) return false;
    msr_need(cpu, address ? cpu_is_canonical(val) : !(val >> 32));
    *place = val;
    return true;
}

static void msr_write_sysenter(Cpu *cpu, uint32_t n, uint64_t val)
{
    msr_need(cpu, cpu_has(cpu, FEAT_SEP) && (n == MSR_SYSENTER_CS || cpu_is_canonical(val)));
    if (!cpu_has_ext(cpu, FEAT_LM)) val = (uint32_t)val;
    if (n == MSR_SYSENTER_CS)
        cpu->s.sysenter_cs = (uint16_t)val;
    else if (n == MSR_SYSENTER_ESP)
        cpu->s.sysenter_esp = val;
    else
        cpu->s.sysenter_eip = val;
}

static void msr_write(Cpu *cpu, uint32_t n, uint64_t val)
{
    if (msr_memory_write(cpu, n, val) || msr_write_long(cpu, n, val)) return;
    switch (n) {
    case MSR_APIC_BASE: msr_write_apic_base(cpu, val); break;
    case MSR_X2APIC ... MSR_X2APIC_LAST: msr_write_x2apic(cpu, n - MSR_X2APIC, val); break;
    case MSR_TSC_DEADLINE: msr_write_deadline(cpu, val); break;
    case MSR_TSC: msr_write_tsc(cpu, val); break;
    case MSR_SYSENTER_CS:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP: msr_write_sysenter(cpu, n, val); break;
    case MSR_MISC_ENABLE: /* fast strings may be turned off, which changes nothing */
        msr_need(cpu, cpu_has_ext(cpu, FEAT_LM) && !((val ^ cpu->s.misc_enable) & ~1ull));
        cpu->s.misc_enable = val;
        break;
    case MSR_EFER:
        msr_need(cpu, msr_has_efer(cpu));
        msr_write_efer(cpu, val);
        break;
    case MSR_STAR:
        msr_need(cpu, cpu_has_ext(cpu, FEAT_SYSCALL));
        cpu->s.star = val;
        break;
    case MSR_TSC_AUX:
        msr_need(cpu, cpu_has_ext(cpu, FEAT_RDTSCP) && !(val >> 32));
        cpu->s.tsc_aux = val;
        break;
    default: msr_need(cpu, msr_is_inert(cpu, n)); break;
    }
}

static void msr_set_edx_eax(Cpu *cpu, uint64_t val)
{
    cpu->s.regs[R_EAX] = (uint32_t)val;
    cpu->s.regs[R_EDX] = val >> 32;
}

static void msr_check(Cpu *cpu)
{
    if (!cpu_has(cpu, FEAT_MSR)) cpu_raise(cpu, EXC_UD, 0);
    if (cpu_cpl(cpu)) cpu_raise(cpu, EXC_GP, 0);
}

void op_rdmsr(Cpu *cpu, const Insn *in)
{
    (void)in;
    msr_check(cpu);
    msr_set_edx_eax(cpu, msr_read(cpu, (uint32_t)cpu->s.regs[R_ECX]));
}

void op_wrmsr(Cpu *cpu, const Insn *in)
{
    (void)in;
    msr_check(cpu);
    msr_write(
        cpu, (uint32_t)cpu->s.regs[R_ECX], (uint32_t)cpu->s.regs[R_EAX] | cpu->s.regs[R_EDX] << 32);
}

void op_rdtsc(Cpu *cpu, const Insn *in)
{
    (void)in;
    if (!cpu_has(cpu, FEAT_TSC)) cpu_raise(cpu, EXC_UD, 0);
    if (cpu->s.cr[4] & CR4_TSD && cpu_cpl(cpu)) cpu_raise(cpu, EXC_GP, 0);
    msr_set_edx_eax(cpu, msr_tsc(cpu));
}

void op_rdpmc(Cpu *cpu, const Insn *in)
{
    (void)in;
    if (!cpu_has(cpu, FEAT_MMX)) cpu_raise(cpu, EXC_UD, 0);
    if (cpu_cpl(cpu) && !(cpu->s.cr[4] & CR4_PCE)) cpu_raise(cpu, EXC_GP, 0);
    if ((uint32_t)cpu->s.regs[R_ECX] > 1) cpu_raise(cpu, EXC_GP, 0);
    msr_set_edx_eax(cpu, 0);
}
