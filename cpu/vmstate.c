/* SPDX-License-Identifier: MIT */
/*
 * The CPU on the wire: sections cpu_common and cpu, as QEMU's x86_64 program has them.
 *
 * The x87 travels as a status word with TOP in it and a byte of tags; the members that the
 * interpreter works with are filled from those after a load.
 */
#include "cpu/vmstate.h"

#include "cpu/state.h"

typedef struct CpuState CpuState;

enum { FSW_TOP = 7 << 11 };

#define ENV(member) VM_INT_AS(CpuState, member, "env." #member)
#define ENVS(member) VM_INTS_AS(CpuState, member, "env." #member)

/* -- nested structs -- */

static const VmField fpreg_tmp_fields[] = { VM_INT_AS(FpReg, mant, "tmp_mant"),
    VM_INT_AS(FpReg, exp, "tmp_exp"), VM_END };
static const VmState fpreg_tmp_vmstate = { .name = "fpreg_tmp", .fields = fpreg_tmp_fields };
static const VmField fpreg_fields[] = { VM_TMP("tmp", FpReg, fpreg_tmp_vmstate), VM_END };
static const VmState fpreg_vmstate = { .name = "fpreg", .fields = fpreg_fields };

static const VmField segment_fields[] = { VM_INT(SegReg, selector), VM_INT(SegReg, base),
    VM_INT(SegReg, limit), VM_INT(SegReg, flags), VM_END };
static const VmState segment_vmstate = {
    .name = "segment", .version = 1, .min_version = 1, .fields = segment_fields
};

static const VmField xmm_fields[] = { VM_INT_AS(XmmReg, q[0], "_q_ZMMReg[0]"),
    VM_INT_AS(XmmReg, q[1], "_q_ZMMReg[1]"), VM_END };
static const VmState xmm_vmstate = {
    .name = "xmm_reg", .version = 1, .min_version = 1, .fields = xmm_fields
};

static const VmField ymmh_fields[] = { VM_INT_AS(XmmReg, q[0], "_q_ZMMReg[2]"),
    VM_INT_AS(XmmReg, q[1], "_q_ZMMReg[3]"), VM_END };
static const VmState ymmh_vmstate = {
    .name = "ymmh_reg", .version = 1, .min_version = 1, .fields = ymmh_fields
};

static const VmField mtrr_fields[] = { VM_INT(MtrrVar, base), VM_INT(MtrrVar, mask), VM_END };
static const VmState mtrr_vmstate = {
    .name = "mtrr_var", .version = 1, .min_version = 1, .fields = mtrr_fields
};

/* -- cpu_common -- */

static const VmField cpu_common_fields[] = { VM_INT(CpuState, halted),
    VM_INT(CpuState, interrupt_request), VM_END };

/* Other emulators have requests of their own, which no one takes here. */
static bool cpu_common_post_load(void *state, int version, Error *err)
{
    CpuState *s = state;

    (void)version, (void)err;
    s->interrupt_request &= INTREQ_HARD | INTREQ_SMI | INTREQ_NMI | INTREQ_INIT | INTREQ_SIPI;
    return true;
}

const VmState cpu_common_vmstate = {
    .name = "cpu_common",
    .version = 1,
    .min_version = 1,
    .fields = cpu_common_fields,
    .post_load = cpu_common_post_load,
};

/* -- cpu's subsections -- */

static bool cpu_fpop_needed(const void *state)
{
    const CpuState *s = state;

    return s->fpop || s->fpip || s->fpdp;
}

static const VmField cpu_fpop_fields[] = { ENV(fpop), ENV(fpip), ENV(fpdp), VM_END };
static const VmState cpu_fpop_vmstate = {
    .name = "cpu/fpop_ip_dp",
    .version = 1,
    .min_version = 1,
    .needed = cpu_fpop_needed,
    .fields = cpu_fpop_fields,
};

static bool cpu_deadline_needed(const void *state)
{
    return ((const CpuState *)state)->tsc_deadline != 0;
}

static const VmField cpu_deadline_fields[] = { ENV(tsc_deadline), VM_END };
static const VmState cpu_deadline_vmstate = {
    .name = "cpu/msr_tscdeadline",
    .version = 1,
    .min_version = 1,
    .needed = cpu_deadline_needed,
    .fields = cpu_deadline_fields,
};

static bool cpu_misc_enable_needed(const void *state)
{
    return ((const CpuState *)state)->misc_enable != 1;
}

static const VmField cpu_misc_enable_fields[] = {
    VM_INT_AS(CpuState, misc_enable, "env.msr_ia32_misc_enable"), VM_END
};
static const VmState cpu_misc_enable_vmstate = {
    .name = "cpu/msr_ia32_misc_enable",
    .version = 1,
    .min_version = 1,
    .needed = cpu_misc_enable_needed,
    .fields = cpu_misc_enable_fields,
};

static const VmField cpu_poll_control_fields[] = { ENV(poll_control_msr), VM_END };
static const VmState cpu_poll_control_vmstate = {
    .name = "cpu/poll_control_msr",
    .version = 1,
    .min_version = 1,
    .fields = cpu_poll_control_fields,
};

static bool cpu_smi_count_needed(const void *state)
{
    return ((const CpuState *)state)->msr_smi_count != 0;
}

static const VmField cpu_smi_count_fields[] = { ENV(msr_smi_count), VM_END };
static const VmState cpu_smi_count_vmstate = {
    .name = "cpu/msr_smi_count",
    .version = 1,
    .min_version = 1,
    .needed = cpu_smi_count_needed,
    .fields = cpu_smi_count_fields,
};

static const VmState *const cpu_subsections[] = { &cpu_fpop_vmstate, &cpu_deadline_vmstate,
    &cpu_misc_enable_vmstate, &cpu_poll_control_vmstate, &cpu_smi_count_vmstate, NULL };

/* -- cpu -- */

static bool cpu_pre_save(void *state, Error *err)
{
    CpuState *s = state;

    (void)err;
    s->fpus_vmstate = (uint16_t)((s->fpus & ~FSW_TOP) | (s->fpstt & 7) << 11);
    s->fptag_vmstate = s->fptags;
    s->fpregs_format_vmstate = 0;
    return true;
}

static bool cpu_post_load(void *state, int version, Error *err)
{
    CpuState *s = state;

    (void)version;
    if (s->fpregs_format_vmstate) return error_set(err, "unknown format of x87 registers");
    if ((s->efer & EFER_LMA) && (~s->cr[0] & CR0_PG || ~s->cr[4] & CR4_PAE))
        return error_set(err, "the CPU is in long mode without its page tables");
    s->pdptr_valid = 0;
    s->fpus = (uint16_t)(s->fpus_vmstate & ~FSW_TOP);
    s->fpstt = s->fpus_vmstate >> 11 & 7;
    s->fptags = (uint8_t)s->fptag_vmstate;
    return true;
}

static const VmField cpu_fields[] = { ENVS(regs), ENV(eip), ENV(eflags), ENV(hflags), ENV(fpuc),
    ENV(fpus_vmstate), ENV(fptag_vmstate), ENV(fpregs_format_vmstate),
    VM_STRUCTS(CpuState, fpregs, "env.fpregs", fpreg_vmstate, 0),
    VM_STRUCTS(CpuState, segs, "env.segs", segment_vmstate, 1),
    VM_STRUCT(CpuState, ldt, "env.ldt", segment_vmstate, 1),
    VM_STRUCT(CpuState, tr, "env.tr", segment_vmstate, 1),
    VM_STRUCT(CpuState, gdt, "env.gdt", segment_vmstate, 1),
    VM_STRUCT(CpuState, idt, "env.idt", segment_vmstate, 1), ENV(sysenter_cs), ENV(sysenter_esp),
    ENV(sysenter_eip), ENV(cr[0]), ENV(cr[2]), ENV(cr[3]), ENV(cr[4]), ENVS(dr), ENV(a20_mask),
    ENV(mxcsr), VM_STRUCTS(CpuState, xmm, "env.xmm_regs[0]", xmm_vmstate, 1), ENV(efer), ENV(star),
    ENV(lstar), ENV(cstar), ENV(fmask), ENV(kernelgsbase), ENV(smbase), ENV(pat), ENV(hflags2),
    ENV(vm_hsave), ENV(vm_vmcb), ENV(tsc_offset), ENV(intercept), ENV(intercept_cr_read),
    ENV(intercept_cr_write), ENV(intercept_dr_read), ENV(intercept_dr_write),
    ENV(intercept_exceptions), ENV(v_tpr), ENVS(mtrr_fixed), ENV(mtrr_deftype),
    VM_STRUCTS(CpuState, mtrr_var, "env.mtrr_var", mtrr_vmstate, 1), ENV(interrupt_injected),
    ENV(mp_state), ENV(tsc), ENV(exception_nr), ENV(soft_interrupt), ENV(nmi_injected),
    ENV(nmi_pending), ENV(has_error_code), ENV(sipi_vector), ENV(mcg_cap), ENV(mcg_status),
    ENV(mcg_ctl), ENVS(mce_banks), ENV(tsc_aux), ENV(system_time_msr), ENV(wall_clock_msr),
    ENV(xcr0), ENV(xstate_bv), VM_STRUCTS(CpuState, ymmh, "env.xmm_regs[1]", ymmh_vmstate, 1),
    VM_END };

const VmState cpu_vmstate = {
    .name = "cpu",
    .version = 12,
    .min_version = 11,
    .fields = cpu_fields,
    .subsections = cpu_subsections,
    .pre_save = cpu_pre_save,
    .post_load = cpu_post_load,
};

const VmField cpu_exact[] = { VM_INT_AS(CpuState, cr[1], "cr1"), VM_INT(CpuState, fpus),
    VM_INT(CpuState, fpstt), VM_INT(CpuState, fptags), VM_INT(CpuState, ferr),
    VM_INT(CpuState, debug_pending), VM_INTS(CpuState, pdptr), VM_INT(CpuState, pdptr_valid),
    VM_INT(CpuState, turn), VM_INT(CpuState, turn_left), VM_END };
