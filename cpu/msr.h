/* SPDX-License-Identifier: MIT */
/* Model-specific registers by group.  Each function returns false where it knows no such register;
 * what is not allowed raises #GP. */
#pragma once

#include "cpu/models.h"

/* MTRRs, PAT and machine check: cpu/msr_memory.c. */
bool msr_memory_read(Cpu *cpu, uint32_t n, uint64_t *val);
bool msr_memory_write(Cpu *cpu, uint32_t n, uint64_t val);

/* The bits of EFER that this model has. */
uint64_t msr_efer_bits(const Cpu *cpu);

/* The TSC deadline is gone once the APIC's timer has fired. */
void msr_settle_deadline(Cpu *cpu);
