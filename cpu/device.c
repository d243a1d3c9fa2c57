/* SPDX-License-Identifier: MIT */
/* The CPU as a device: properties, wires, reset, and when its state is whole. */
#include "core/apic.h"
#include "core/cpu_id.h"
#include "cpu/blocked.h"
#include "cpu/cpu.h"
#include "cpu/cpus.h"
#include "cpu/debug.h"
#include "cpu/flags.h"
#include "cpu/models.h"
#include "cpu/msr.h"
#include "cpu/vmstate.h"
#include "cpu/x87.h"

enum { FERR_IRQ = 13 };

static const Prop cpu_props[] = { PROP_AS(Cpu, model_text, "model", "qemu32"),
    PROP(Cpu, index, "0"), PROP(Cpu, ferr, ""), PROP_AS(Cpu, smm_legacy, "smm-legacy", "off"),
    PROP_END };

static bool cpu_realize(Device *dev, Error *err)
{
    Cpu *cpu = CPU(dev);

    dev->instance = (int)cpu->index;
    if (!cpu_model_parse(cpu, cpu->model_text, err)) return false;
    if (!cpu->index)
        *machine_cpu_id(dev->m) =
            (CpuId){ cpu_signature(cpu->model), (uint32_t)cpu->features.edx1 };
    if (cpu_has(cpu, FEAT_APIC))
        machine_want_apics(dev->m, APIC_PRESENT | (cpu_has_ecx(cpu, FEAT_X2APIC) ? APIC_X2 : 0) |
                                       (cpu_has_ecx(cpu, FEAT_TSC_DEADLINE) ? APIC_DEADLINE : 0));
    return cpu_core_init(cpu, err);
}

static void cpu_unrealize(Device *dev) { cpu_core_free(CPU(dev)); }

static void cpu_reset(Device *dev) { cpu_reset_state(CPU(dev), true); }

static void cpu_settle(Device *dev)
{
    cpu_get_eflags(CPU(dev));
    msr_settle_deadline(CPU(dev));
    cpu_vmstate.pre_save(&CPU(dev)->s, NULL);
}

static void cpu_sync(Device *dev)
{
    Cpu *cpu = CPU(dev);

    cpu->cc_kind = CC_EFLAGS;
    cpu->x87_host = X87_HOST_UNKNOWN;
    blocked_end(cpu);
    cpu_core_drop(cpu);
    cpu_debug_update(cpu);
    cpu_update_mode(cpu);
    if (!cpu->ferr.dev && !cpu->index) { /* the PIC leads to the CPU and so is created after it */
        cpu->ferr = (Irq){ device_find(dev->m, "pic"), FERR_IRQ };
    }
    irq_set(&cpu->ferr, cpu->s.ferr);
    cpu->exit_pending = true;
}

/* -- wires -- */

static void cpu_request(Cpu *cpu, uint32_t bit, bool on)
{
    if (on) {
        cpu->s.interrupt_request |= bit;
    } else {
        cpu->s.interrupt_request &= ~bit;
    }
    cpu->exit_pending = true;
    if (on && cpu->cpus->running != cpu) cpus_yield(cpu->cpus);
}

static void cpu_set_a20(Cpu *cpu, bool on)
{
    int32_t mask = on ? -1 : ~(1 << 20);

    if (cpu->s.a20_mask == mask) return;
    cpu->s.a20_mask = mask;
    cpu_tlb_flush(cpu, true);
}

/* The line is the chipset's: no CPU sees the bit that it forces to 0. */
static void cpu_set_a20_of_all(Cpu *cpu, bool on)
{
    for (unsigned i = 0; i < cpu->cpus->n; i++) cpu_set_a20(cpu->cpus->cpu[i], on);
}

/* Port F0h: FERR is withdrawn, and ignored until the x87's exceptions are cleared. */
static void cpu_ignne(Cpu *cpu)
{
    if (!cpu->s.ferr) return;
    cpu->s.hflags2 |= HF2_IGNNE;
    cpu->s.ferr = 0;
    irq_set(&cpu->ferr, false);
}

static void cpu_irq_in(Device *dev, int line, bool level)
{
    Cpu *cpu = CPU(dev);

    switch (line) {
    case CPU_WIRE_INTR: cpu_request(cpu, INTREQ_HARD, level); break;
    case CPU_WIRE_NMI:
        if (level) cpu_request(cpu, INTREQ_NMI, true);
        break;
    case CPU_WIRE_INIT:
        if (!level) break;
        cpu_request(cpu, INTREQ_SIPI, false); /* it came too early */
        cpu_request(cpu, INTREQ_INIT, true);
        break;
    case CPU_WIRE_STARTUP:
        if (level) cpu_request(cpu, INTREQ_SIPI, true);
        break;
    case CPU_WIRE_A20: cpu_set_a20_of_all(cpu, level); break;
    case CPU_WIRE_IGNNE:
        if (level) cpu_ignne(cpu);
        break;
    case CPU_WIRE_SMI:
        if (level) cpu_request(cpu, INTREQ_SMI, true);
        break;
    default: break;
    }
}

DEVICE(cpu, "x86 CPU", Cpu, .name = "x86-cpu", .props = cpu_props,
    .vmstates = VMSTATES(&cpu_common_vmstate, &cpu_vmstate), .exact = cpu_exact,
    .realize = cpu_realize, .unrealize = cpu_unrealize, .reset = cpu_reset, .settle = cpu_settle,
    .sync = cpu_sync, .irq_in = cpu_irq_in);
