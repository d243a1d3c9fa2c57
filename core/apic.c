/* SPDX-License-Identifier: MIT */
/* See apic.h. */
#include "core/apic.h"

#include "core/machine.h"

typedef struct Apics {
    bool wanted;
    CpuApic of[MACHINE_CPUS];
} Apics;

static Apics *apics(Machine *m) { return machine_slot(m, "apics", sizeof(Apics), NULL); }

void machine_want_apics(Machine *m, bool want) { apics(m)->wanted = want; }

bool machine_wants_apics(Machine *m) { return apics(m)->wanted; }

void machine_set_apic(Machine *m, unsigned cpu, Device *dev, const CpuApicOps *ops)
{
    apics(m)->of[cpu] = (CpuApic){ dev, ops };
}

const CpuApic *machine_apic(Machine *m, unsigned cpu) { return &apics(m)->of[cpu]; }
