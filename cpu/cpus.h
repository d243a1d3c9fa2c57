/* SPDX-License-Identifier: MIT */
/*
 * The machine's CPUs take turns on its one thread: each runs for CPU_TURN instructions, less where
 * it halts, says PAUSE, or sends another one an event.  Whose turn it is and what is left of it are
 * state (turn, turn_left), so a restored machine goes on in the same order.
 */
#pragma once

#include "core/apic.h"
#include "cpu/state.h"

enum { CPU_TURN = 16384 };

typedef struct Cpus {
    Cpu *cpu[MACHINE_CPUS]; /* by index */
    unsigned n;
    Cpu *running;                         /* NULL: between turns */
    unsigned shown;                       /* by the monitor */
    int64_t blocked_ns, blocked_since_ns; /* all of them: cpu/blocked.c */
} Cpus;

/* The machine's CPUs, made on first use (cpu/run.c). */
Cpus *cpus_of(Machine *m);
/* The one that the monitor shows, or NULL. */
Cpu *cpus_shown(Machine *m);
/* The running CPU's turn ends with this instruction, where anyone else is there to take over. */
void cpus_yield(Cpus *cpus);
/* Whether it waits for the message that starts it: nothing but INIT reaches it. */
bool cpu_waits(const Cpu *cpu);
