/* SPDX-License-Identifier: MIT */
/* See apic.h. */
#include "core/apic.h"

#include "core/machine.h"

typedef struct Apics {
    unsigned wanted;
    CpuApic of[MACHINE_CPUS];
} Apics;

static Apics *apics(Machine *m) { return machine_slot(m, "apics", sizeof(Apics), NULL); }

/* Bits that tell n things apart. */
static unsigned apic_width(unsigned n) { return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0; }

ApicLevels machine_apic_levels(Machine *m)
{
    const MachineConfig *c = &m->config;
    ApicLevels l;

    l.core = apic_width(c->threads);
    l.die = l.core + apic_width(c->cores);
    l.package = l.die + apic_width(c->dies);
    return l;
}

uint32_t machine_apic_id(Machine *m, unsigned cpu)
{
    const MachineConfig *c = &m->config;
    ApicLevels l = machine_apic_levels(m);
    unsigned core = cpu / c->threads, die = core / c->cores;

    return die / c->dies << l.package | die % c->dies << l.die | core % c->cores << l.core |
           cpu % c->threads;
}

void machine_want_apics(Machine *m, unsigned features) { apics(m)->wanted = features; }

unsigned machine_wants_apics(Machine *m) { return apics(m)->wanted; }

void machine_set_apic(Machine *m, unsigned cpu, Device *dev, const CpuApicOps *ops)
{
    apics(m)->of[cpu] = (CpuApic){ dev, ops };
}

const CpuApic *machine_apic(Machine *m, unsigned cpu) { return &apics(m)->of[cpu]; }
