/* SPDX-License-Identifier: MIT */
/* What local APICs say to one another and to the I/O APIC. */
#pragma once

#include "core/apic.h"
#include "core/device.h"

enum ApicMode {
    APIC_FIXED,
    APIC_LOWEST,
    APIC_SMI,
    APIC_NMI = 4,
    APIC_INIT,
    APIC_STARTUP,
    APIC_EXTINT,
};

typedef struct ApicMessage {
    uint32_t dest; /* an id, or a logical destination ... */
    bool wide;     /* ... of 32 bits, as in x2APIC mode */
    bool logical, level;
    enum ApicMode mode;
    uint8_t vector;
} ApicMessage;

/* Between the APICs of a machine. */
typedef struct ApicBus {
    Device *apic[MACHINE_CPUS];
    unsigned n;
    Device *ioapic;
    void (*eoi)(Device *ioapic, uint8_t vector); /* of a level-triggered interrupt */
} ApicBus;

ApicBus *apic_bus(Machine *m);
/* Delivers to whom it may concern. */
void apic_send(ApicBus *bus, const ApicMessage *msg);
