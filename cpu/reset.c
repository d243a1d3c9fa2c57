/* SPDX-License-Identifier: MIT */
/*
 * RESET and INIT.  Source: Intel SDM volume 3, table 9-1 (processor states following both); of
 * EFER, which INIT clears, AMD64 APM volume 2, table 14-1.
 */
#include "cpu/models.h"

enum { RESET_CR0 = 0x60000010, RESET_EIP = 0xfff0, RESET_CS_BASE = 0xffff0000, MCG_CTL_P = 1 << 8 };

static void reset_segments(struct CpuState *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(s->segs); i++) {
        s->segs[i] = (SegReg){ .limit = 0xffff, .flags = SEGF_P | SEGF_S | SEGF_RW | SEGF_A };
    }
    s->segs[R_CS].selector = 0xf000;
    s->segs[R_CS].base = RESET_CS_BASE;
    s->segs[R_CS].flags |= SEGF_CODE;
    s->ldt = (SegReg){ .limit = 0xffff, .flags = SEGF_P | 2 << SEGF_TYPE_SHIFT };
    s->tr = (SegReg){ .limit = 0xffff, .flags = SEGF_P | 11 << SEGF_TYPE_SHIFT };
    s->gdt = (SegReg){ .limit = 0xffff };
    s->idt = (SegReg){ .limit = 0xffff };
}

/* Banks of a CPU that has machine check architecture: all of them report everything. */
static void reset_machine_check(struct CpuState *s, bool check)
{
    s->mcg_cap = check ? MCG_CTL_P | ARRAY_SIZE(s->mce_banks) / 4 : 0;
    s->mcg_status = 0;
    s->mcg_ctl = check ? UINT64_MAX : 0;
    for (unsigned i = 0; check && i < ARRAY_SIZE(s->mce_banks); i += 4)
        s->mce_banks[i] = UINT64_MAX;
}

/* What INIT leaves alone. */
static void reset_rest(struct CpuState *s, bool check)
{
    s->fpuc = 0x37f;
    s->fpus = 0;
    s->fpstt = 0;
    s->fptags = 0;
    s->fpop = 0;
    s->fpip = s->fpdp = 0;
    memset(s->fpregs, 0, sizeof(s->fpregs));
    s->mxcsr = 0x1f80;
    memset(s->xmm, 0, sizeof(s->xmm));
    memset(s->ymmh, 0, sizeof(s->ymmh));
    s->sysenter_cs = 0;
    s->sysenter_esp = s->sysenter_eip = 0;
    s->star = s->lstar = s->cstar = s->fmask = s->kernelgsbase = 0;
    s->pat = 0x0007040600070406;
    s->smbase = 0x30000;
    s->a20_mask = -1;
    s->ferr = 0;
    s->hflags2 = HF2_GIF | HF2_VGIF;
    s->interrupt_request = 0;
    s->turn = 0;
    s->turn_left = 0;
    s->tsc_offset = 0;
    memset(s->mtrr_fixed, 0, sizeof(s->mtrr_fixed));
    memset(s->mtrr_var, 0, sizeof(s->mtrr_var));
    s->mtrr_deftype = 0;
    memset(s->mce_banks, 0, sizeof(s->mce_banks));
    reset_machine_check(s, check);
    s->tsc_aux = s->system_time_msr = s->wall_clock_msr = s->xstate_bv = 0;
    s->xcr0 = 1;
    s->vm_hsave = s->vm_vmcb = s->intercept = 0;
    s->msr_smi_count = 0;
    s->misc_enable = 1; /* fast strings */
    s->cr[0] = RESET_CR0;
}

void cpu_reset_state(Cpu *cpu, bool power_on)
{
    struct CpuState *s = &cpu->s;
    uint32_t keep_cr0 = CR0_CD | CR0_NW;

    if (power_on) reset_rest(s, cpu_has(cpu, FEAT_MCA));
    memset(s->regs, 0, sizeof(s->regs));
    s->regs[R_EDX] = cpu_signature(cpu->model);
    s->eip = RESET_EIP;
    s->eflags = 2;
    s->hflags = 0;
    s->hflags2 &= ~(uint32_t)(HF2_NMI | HF2_IGNNE);
    reset_segments(s);
    s->cr[0] = (s->cr[0] & keep_cr0) | CR0_ET;
    s->cr[2] = s->cr[3] = s->cr[4] = s->efer = 0;
    memset(s->pdptr, 0, sizeof(s->pdptr));
    s->pdptr_valid = 0;
    memset(s->dr, 0, sizeof(s->dr));
    s->dr[6] = 0xffff0ff0;
    s->dr[7] = 0x400;
    s->debug_pending = 0;
    s->interrupt_request &= INTREQ_HARD | INTREQ_SMI | INTREQ_SIPI;
    s->interrupt_injected = s->exception_nr = -1;
    s->soft_interrupt = s->nmi_injected = s->nmi_pending = s->has_error_code = 0;
    s->mp_state = s->sipi_vector = 0;
    s->tsc_deadline = 0;
    s->halted = power_on && cpu->index; /* the boot CPU starts the others */
}
