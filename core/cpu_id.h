/* SPDX-License-Identifier: MIT */
/* What the first CPU's CPUID says of itself (leaf 1), for tables that describe the machine. */
#pragma once

#include "core/machine.h"

typedef struct CpuId {
    uint32_t eax, edx;
} CpuId;

/* Filled by the CPU when it is made. */
static inline CpuId *machine_cpu_id(Machine *m)
{
    return machine_slot(m, "cpu-id", sizeof(CpuId), NULL);
}
