/* SPDX-License-Identifier: MIT */
/*
 * A CPU's local APIC as the CPU knows it, beyond registers in memory.  The CPU of a model that has
 * one says so (machine_want_apics); the board provides the devices, which announce themselves here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct Machine Machine;
typedef struct Device Device;

enum { MACHINE_CPUS = 255, APIC_BASE_ENABLED = 1 << 11, APIC_BASE_X2 = 1 << 10 };
/* What CPU models have. */
enum { APIC_PRESENT = 1, APIC_X2 = 2, APIC_DEADLINE = 4 };

typedef struct CpuApicOps {
    /* Acknowledges what raised INTR: its vector, or -1 where it is gone. */
    int (*take)(Device *apic);
    /* IA32_APIC_BASE; a write that has reserved bits set is refused (#GP). */
    uint64_t (*base)(Device *apic);
    bool (*set_base)(Device *apic, uint64_t val);
    /* CR8: the task priority's class, 0 to 15. */
    uint8_t (*priority)(Device *apic);
    void (*set_priority)(Device *apic, uint8_t cr8);
    /* Registers 0 to 3Fh as MSRs: false (#GP) outside of x2APIC mode, too. */
    bool (*read_msr)(Device *apic, unsigned reg, uint64_t *val);
    bool (*write_msr)(Device *apic, unsigned reg, uint64_t val);
    /* Arms the timer for an instant, or TIMER_NEVER; false where it is not in TSC deadline mode. */
    bool (*set_deadline)(Device *apic, int64_t ns);
    /* Whether such an instant is still to come. */
    bool (*deadline_armed)(Device *apic);
    /* INIT has reset the CPU.  True where it now waits for a startup message. */
    bool (*init)(Device *apic);
    /* Whether it still does: nothing but INIT and that message reaches it. */
    bool (*waits)(Device *apic);
    /* The message has come: the page on which the CPU starts, or -1 where it was not waiting. */
    int (*startup)(Device *apic);
} CpuApicOps;

typedef struct CpuApic {
    Device *dev; /* NULL: the CPU has none */
    const CpuApicOps *ops;
} CpuApic;

/* How the numbers of a CPU's package, die, core and thread make up its APIC's id: the bits that
 * stand below the first three. */
typedef struct ApicLevels {
    unsigned core, die, package;
} ApicLevels;

ApicLevels machine_apic_levels(Machine *m);
/* The id of a CPU's APIC after a reset.  Where counts are no powers of two, some ids are left
 * out. */
uint32_t machine_apic_id(Machine *m, unsigned cpu);

/* What the CPUs' model has: APIC_PRESENT and more. */
void machine_want_apics(Machine *m, unsigned features);
unsigned machine_wants_apics(Machine *m);

void machine_set_apic(Machine *m, unsigned cpu, Device *dev, const CpuApicOps *ops);
/* That of a CPU; dev is NULL where there is none. */
const CpuApic *machine_apic(Machine *m, unsigned cpu);
