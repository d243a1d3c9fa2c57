/* SPDX-License-Identifier: MIT */
/*
 * Fast system calls (SYSENTER, SYSEXIT, SYSCALL, SYSRET) and what comes with them in long mode:
 * SWAPGS, RDTSCP, STAC and CLAC, the bases of FS and GS.  Source: Intel SDM volume 2; AMD64 manual
 * volume 3 for SYSCALL outside 64-bit code, which only AMD's processors have, and for the lack of
 * SYSENTER in their long mode.
 */
#include "cpu/decode.h"
#include "cpu/descriptor.h"
#include "cpu/models.h"

enum { SYSRET_FLAGS = 0x3c7fd7 };

static SegReg syscall_flat(uint32_t sel, unsigned dpl, unsigned type, bool wide)
{
    return (SegReg){ .selector = (sel & 0xfffc) | dpl,
        .limit = UINT32_MAX,
        .flags = SEGF_G | (wide ? SEGF_L : SEGF_DB) | 0xf0000 | SEGF_P | dpl << SEGF_DPL_SHIFT |
                 SEGF_S | type << SEGF_TYPE_SHIFT };
}

static void syscall_switch(Cpu *cpu, uint32_t cs, uint32_t ss, unsigned cpl, bool wide)
{
    cpu->s.segs[R_CS] = syscall_flat(cs, cpl, 11, wide);
    cpu->s.segs[R_SS] = syscall_flat(ss, cpl, 3, false);
    cpu_set_cpl(cpu, cpl);
    cpu_update_mode(cpu);
}

/* -- SYSENTER and SYSEXIT -- */

static void sysenter_check(Cpu *cpu)
{
    if (!cpu_has(cpu, FEAT_SEP) || (cpu_long(cpu) && cpu_is_amd(cpu))) cpu_raise(cpu, EXC_UD, 0);
    if (!cpu_protected(cpu) || selector_null((uint16_t)cpu->s.sysenter_cs))
        cpu_raise(cpu, EXC_GP, 0);
}

void op_sysenter(Cpu *cpu, const Insn *in)
{
    uint64_t mask = cpu_long(cpu) ? UINT64_MAX : UINT32_MAX;
    uint32_t cs = cpu->s.sysenter_cs;

    (void)in;
    sysenter_check(cpu);
    cpu_set_eflags(cpu, 0, FLAG_VM | FLAG_IF | FLAG_RF);
    syscall_switch(cpu, cs, cs + 8, 0, cpu_long(cpu));
    cpu->s.regs[R_ESP] = cpu->s.sysenter_esp & mask;
    cpu->next_eip = cpu->s.sysenter_eip & mask;
}

void op_sysexit(Cpu *cpu, const Insn *in)
{
    bool wide = in->rex & REX_W;
    uint64_t mask = wide ? UINT64_MAX : UINT32_MAX, rsp = cpu->s.regs[R_ECX],
             rip = cpu->s.regs[R_EDX];
    uint32_t cs = cpu->s.sysenter_cs + (wide ? 32 : 16);

    sysenter_check(cpu);
    if (cpu_cpl(cpu)) cpu_raise(cpu, EXC_GP, 0);
    if (wide && !(cpu_is_canonical(rsp) && cpu_is_canonical(rip))) cpu_raise(cpu, EXC_GP, 0);
    syscall_switch(cpu, cs, cs + 8, 3, wide);
    cpu->s.regs[R_ESP] = rsp & mask;
    cpu->next_eip = rip & mask;
}

/* -- SYSCALL and SYSRET -- */

static void syscall_check(Cpu *cpu)
{
    if (!(cpu->s.efer & EFER_SCE) || !cpu_protected(cpu)) cpu_raise(cpu, EXC_UD, 0);
    if (!cpu_code64(cpu) && !cpu_is_amd(cpu)) cpu_raise(cpu, EXC_UD, 0);
}

void op_syscall(Cpu *cpu, const Insn *in)
{
    struct CpuState *s = &cpu->s;
    uint32_t cs = (uint32_t)(s->star >> 32), flags = cpu_get_eflags(cpu);
    bool from64 = cpu_code64(cpu);

    (void)in;
    syscall_check(cpu);
    s->regs[R_ECX] = cpu->next_eip;
    if (!cpu_long(cpu)) {
        cpu_set_eflags(cpu, 0, FLAG_VM | FLAG_IF | FLAG_RF);
        syscall_switch(cpu, cs, cs + 8, 0, false);
        cpu->next_eip = (uint32_t)s->star;
        return;
    }
    s->regs[R_R11] = flags;
    cpu_set_eflags(cpu, 0, (uint32_t)s->fmask | FLAG_RF);
    syscall_switch(cpu, cs, cs + 8, 0, true);
    cpu->next_eip = from64 ? s->lstar : s->cstar;
}

void op_sysret(Cpu *cpu, const Insn *in)
{
    struct CpuState *s = &cpu->s;
    bool wide = in->rex & REX_W;
    uint32_t cs = (uint32_t)(s->star >> 48), flags = (uint32_t)s->regs[R_R11];
    uint64_t rip = s->regs[R_ECX];

    syscall_check(cpu);
    if (cpu_cpl(cpu)) cpu_raise(cpu, EXC_GP, 0);
    if (wide && !cpu_is_canonical(rip)) cpu_raise(cpu, EXC_GP, 0);
    cpu->next_eip = wide ? rip : (uint32_t)rip;
    if (cpu_long(cpu))
        cpu_set_eflags(cpu, flags, SYSRET_FLAGS);
    else
        cpu_set_eflags(cpu, FLAG_IF, FLAG_IF);
    syscall_switch(cpu, wide ? cs + 16 : cs, cs + 8, 3, wide);
}

/* -- SWAPGS, RDTSCP -- */

void op_swapgs(Cpu *cpu, const Insn *in)
{
    uint64_t base = cpu->s.segs[R_GS].base;

    (void)in;
    if (cpu_cpl(cpu)) cpu_raise(cpu, EXC_GP, 0);
    cpu->s.segs[R_GS].base = cpu->s.kernelgsbase;
    cpu->s.kernelgsbase = base;
}

void op_rdtscp(Cpu *cpu, const Insn *in)
{
    op_rdtsc(cpu, in);
    cpu->s.regs[R_ECX] = (uint32_t)cpu->s.tsc_aux;
}

/* -- STAC and CLAC -- */

void op_stac_clac(Cpu *cpu, const Insn *in)
{
    if (!cpu_protected(cpu) || cpu_cpl(cpu)) cpu_raise(cpu, EXC_UD, 0);
    cpu_set_eflags(cpu, in->modrm & 1 ? FLAG_AC : 0, FLAG_AC);
}

/* -- RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE: ModRM.reg 0 to 3 -- */

void op_fsgsbase(Cpu *cpu, const Insn *in)
{
    SegReg *sr = &cpu->s.segs[in->modrm & 8 ? R_GS : R_FS];
    uint64_t base;

    if (!(cpu->s.cr[4] & CR4_FSGSBASE)) cpu_raise(cpu, EXC_UD, 0);
    if (!(in->modrm & 16)) {
        cpu_write_reg(cpu, in->rm, sr->base, in->opsize, true);
        return;
    }
    base = cpu_read_reg(cpu, in->rm, in->opsize, true);
    if (!cpu_is_canonical(base)) cpu_raise(cpu, EXC_GP, 0);
    sr->base = base;
}
