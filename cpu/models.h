/* SPDX-License-Identifier: MIT */
/* CPU models: what CPUID tells. */
#pragma once

#include "cpu/state.h"

/* Bit numbers of CPUID leaf 1, EDX. */
enum {
    FEAT_FPU = 0,
    FEAT_VME = 1,
    FEAT_DE = 2,
    FEAT_PSE = 3,
    FEAT_TSC = 4,
    FEAT_MSR = 5,
    FEAT_PAE = 6,
    FEAT_MCE = 7,
    FEAT_CX8 = 8,
    FEAT_APIC = 9,
    FEAT_SEP = 11,
    FEAT_MTRR = 12,
    FEAT_PGE = 13,
    FEAT_MCA = 14,
    FEAT_CMOV = 15,
    FEAT_PAT = 16,
    FEAT_PSE36 = 17,
    FEAT_CLFLUSH = 19,
    FEAT_MMX = 23,
    FEAT_FXSR = 24,
    FEAT_SSE = 25,
    FEAT_SSE2 = 26,
};

/* And of leaf 80000001h, EDX and ECX. */
enum { FEAT_SYSCALL = 11, FEAT_NX = 20, FEAT_1G = 26, FEAT_RDTSCP = 27, FEAT_LM = 29 };
enum { FEAT_LAHF = 0 };
/* And of leaf 7, EBX and ECX. */
enum { FEAT7_FSGSBASE = 0, FEAT7_SMEP = 7, FEAT7_SMAP = 20, FEAT7_UMIP = 2 };
/* And of leaf 1, ECX. */
enum { FEAT_CX16 = 13, FEAT_X2APIC = 21, FEAT_TSC_DEADLINE = 24 };

typedef struct CpuModel {
    const char *name, *desc, *vendor, *brand; /* brand: leaves 80000002h to 4, or NULL */
    uint32_t level, xlevel;
    uint8_t family, model, stepping;
    uint32_t ecx1, edx1, ecx80000001, edx80000001, ebx7, ecx7;
    uint32_t cache; /* EDX of leaf 2 */
} CpuModel;

static inline bool cpu_has(const Cpu *cpu, unsigned feature)
{
    return cpu->features.edx1 >> feature & 1;
}
static inline bool cpu_has_ecx(const Cpu *cpu, unsigned feature)
{
    return cpu->features.ecx1 >> feature & 1;
}
static inline bool cpu_has_ext(const Cpu *cpu, unsigned feature)
{
    return cpu->features.edx80000001 >> feature & 1;
}
static inline bool cpu_has_nx(const Cpu *cpu) { return cpu_has_ext(cpu, FEAT_NX); }
static inline bool cpu_has_1g(const Cpu *cpu) { return cpu_has_ext(cpu, FEAT_1G); }
/* Width of a physical address. */
static inline unsigned cpu_phys_bits(const Cpu *cpu)
{
    if (cpu_has_ext(cpu, FEAT_LM)) return 40;
    return cpu_has(cpu, FEAT_PAE) || cpu_has(cpu, FEAT_PSE36) ? 36 : 32;
}
static inline bool cpu_is_amd(const Cpu *cpu) { return cpu->model->vendor[0] == 'A'; }
static inline unsigned cpu_family(const Cpu *cpu) { return cpu->model->family; }

/* The bits of CR4 that this model has (cpu/system.c). */
uint32_t cpu_cr4_bits(const Cpu *cpu);
/* CPUID leaf 1, EAX; EDX after a reset. */
uint32_t cpu_signature(const CpuModel *model);
/* Parses "pentium3,-apic,+sse,mmx=off" into cpu->model and features. */
bool cpu_model_parse(Cpu *cpu, const char *text, Error *err);
