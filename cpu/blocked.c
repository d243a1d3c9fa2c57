/* SPDX-License-Identifier: MIT */
/* See blocked.h.  Times are the host's, and no part of the guest's state. */
#include "cpu/blocked.h"

#include "cpu/cpu.h"
#include "util/bits.h"

enum { RETRY_MS = 100 };

/* From since on, unless that is 0. */
static void blocked_add(int64_t *total, int64_t *since)
{
    if (!*since) return;
    *total += host_ns() - *since;
    *since = 0;
}

void blocked_begin(Cpu *cpu) { cpu->blocked_since_ns = host_ns(); }

void blocked_end(Cpu *cpu)
{
    blocked_add(&cpu->blocked_ns, &cpu->blocked_since_ns);
    blocked_all_end(cpu->cpus);
}

bool blocked_waits(const Cpu *cpu)
{
    if (!cpu->blocked_since_ns || cpu->cpus->n == 1 || cpu->dev.m->clock.icount) return false;
    return host_ns() - cpu->blocked_since_ns < RETRY_MS * NS_PER_MS;
}

void blocked_all_begin(Cpus *cpus) { cpus->blocked_since_ns = host_ns(); }

void blocked_all_end(Cpus *cpus) { blocked_add(&cpus->blocked_ns, &cpus->blocked_since_ns); }

unsigned cpu_count(Machine *m) { return cpus_of(m)->n; }

int64_t cpu_blocked_ns(Machine *m, unsigned index) { return cpus_of(m)->cpu[index]->blocked_ns; }

int64_t cpu_all_blocked_ns(Machine *m) { return cpus_of(m)->blocked_ns; }
