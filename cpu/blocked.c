/* SPDX-License-Identifier: MIT */
/* What CPUs lose by waiting for pages.  Host time, and no part of the guest's state. */
#include "cpu/blocked.h"

#include "cpu/cpu.h"
#include "cpu/cpus.h"

void blocked_begin(Cpu *cpu) { cpu->blocked_since_ns = host_ns(); }

void blocked_end(Cpu *cpu)
{
    if (!cpu->blocked_since_ns) return;
    cpu->blocked_ns += host_ns() - cpu->blocked_since_ns;
    cpu->blocked_since_ns = 0;
}

unsigned cpu_count(Machine *m) { return cpus_of(m)->n; }

int64_t cpu_blocked_ns(Machine *m, unsigned index) { return cpus_of(m)->cpu[index]->blocked_ns; }
