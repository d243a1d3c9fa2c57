/* SPDX-License-Identifier: MIT */
/*
 * The x86 CPU, from outside.  It is a device of class "x86-cpu" (properties: model,
 * "pentium3,-apic"; index), created by the machine by name.  Its input wires are in core/wires.h;
 * what it needs from the chipset (interrupt acknowledge, memory, ports, clock) it finds on the
 * Machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/machine.h"

/* Why a slice ended. */
typedef enum CpuExit {
    CPU_BUDGET,  /* max_insns executed */
    CPU_HALTED,  /* HLT and nothing pending: idle until an interrupt */
    CPU_KICKED,  /* machine_kick, a reset or shutdown request, an earlier timer deadline */
    CPU_BLOCKED, /* meets an absent page: nothing of the instruction has happened */
    CPU_SHUTDOWN /* triple fault: the reset has been requested */
} CpuExit;

/* Runs the machine's CPUs for at most max_insns instructions (exactly that many where nothing else
 * ends the slice); *done gets the number executed, which has been added to clock.insns. */
CpuExit cpu_run(Machine *m, int64_t max_insns, int64_t *done);

/* How many CPUs there are; how long one of them, by its index, has waited for absent pages, in ns
 * of host time; and for how much of that time none could run. */
unsigned cpu_count(Machine *m);
int64_t cpu_blocked_ns(Machine *m, unsigned index);
int64_t cpu_all_blocked_ns(Machine *m);

/* True while nothing but an interrupt can make a CPU go on. */
bool cpu_idle(Machine *m);

/* Lists the models, sorted ("-cpu help"). */
void cpu_models_help(void);

/* The number of the CPU that the monitor shows; the functions below are about that one. */
unsigned cpu_shown(Machine *m);
/* Lets it show another one, whose number is valid; answers which one it was. */
unsigned cpu_show(Machine *m, unsigned index);
/* For the monitor and gdb: translates a linear address without side effects. */
bool cpu_translate(Machine *m, uint64_t gva, uint64_t *gpa);
/* Whether a page table on the way there is absent, and where it is: what cpu_translate says of gva
 * is not true before it has come. */
bool cpu_table_absent(Machine *m, uint64_t gva, uint64_t *gpa);
/* Reads guest-virtual memory for the monitor; false where a page is not mapped. */
bool cpu_read_virtual(Machine *m, uint64_t gva, void *buf, uint64_t len);
/* A register's value by name ("eip", "eax", "cr3"), for $name in monitor expressions; "code_bits"
 * is
 * 16 or 32, as the code segment says. */
bool cpu_register(Machine *m, const char *name, uint64_t *val);
