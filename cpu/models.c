/* SPDX-License-Identifier: MIT */
/*
 * CPU models and CPUID.  Source: Intel SDM volume 2 (CPUID) and Intel's application note 485.
 *
 * A model lists all that the real chip has; a guest is told of what works here.
 */
#include "core/apic.h"
#include "cpu/models.h"

#include <cpuid.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/features.h"
#include "util/options.h"

#define F(name) (1u << FEAT_##name)

enum {
    EDX_486 = F(FPU) | F(VME) | F(PSE),
    EDX_PENTIUM = EDX_486 | F(DE) | F(TSC) | F(MSR) | F(MCE) | F(CX8) | F(MMX),
    EDX_PENTIUM2 = EDX_PENTIUM | F(PAE) | F(SEP) | F(MTRR) | F(PGE) | F(MCA) | F(CMOV) | F(PAT) |
                   F(PSE36) | F(FXSR) | F(APIC),
    EDX_PENTIUM3 = EDX_PENTIUM2 | F(SSE),
    EDX_QEMU32 = F(FPU) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(MCE) | F(CX8) | F(PGE) | F(CMOV) |
                 F(PAT) | F(FXSR) | F(MMX) | F(SSE) | F(SSE2) | F(PAE) | F(SEP) | F(APIC),
    EDX_NEHALEM = EDX_QEMU32 | F(VME) | F(MTRR) | F(MCA) | F(PSE36) | F(CLFLUSH),
    EDX_MAX = EDX_QEMU32 | EDX_PENTIUM3 | F(CLFLUSH),
    ECX_SSE3 = 1 << 0,
    ECX_PCLMULQDQ = 1 << 1,
    ECX_MONITOR = 1 << 3,
    ECX_SSSE3 = 1 << 9,
    ECX_SSE41 = 1 << 19,
    ECX_SSE42 = 1 << 20,
    ECX_MOVBE = 1 << 22,
    ECX_POPCNT = 1 << 23,
    ECX_AES = 1 << 25,
    ECX_RDRAND = 1 << 30,
    ECX_NEHALEM = ECX_SSE3 | ECX_SSSE3 | ECX_SSE41 | ECX_SSE42 | ECX_POPCNT,
    ECX_X2APIC = 1 << FEAT_X2APIC,
    ECX_TSC_DEADLINE = 1 << FEAT_TSC_DEADLINE,
    ECX_MAX = ECX_NEHALEM | ECX_PCLMULQDQ | ECX_MOVBE | ECX_AES | ECX_RDRAND | ECX_X2APIC |
              ECX_MONITOR | ECX_TSC_DEADLINE,
    EBX7_RDSEED = 1 << 18,
    CLFLUSH_LINE = 64 / 8 << 8,
    /* What AMD's processors tell in leaf 80000001h, too. */
    EDX_AMD = F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) | F(MCE) | F(CX8) |
              F(APIC) | F(MTRR) | F(PGE) | F(MCA) | F(CMOV) | F(PAT) | F(PSE36) | F(MMX) | F(FXSR),
    EDX_QEMU64 = F(FPU) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) | F(MCE) | F(CX8) | F(APIC) |
                 F(SEP) | F(MTRR) | F(PGE) | F(MCA) | F(CMOV) | F(PAT) | F(PSE36) | F(MMX) |
                 F(FXSR) | F(SSE) | F(SSE2) | F(CLFLUSH),
    ECX_CX16 = 1 << FEAT_CX16,
    EDX_LONG = 1 << FEAT_SYSCALL | 1 << FEAT_NX | 1 << FEAT_LM,
    EDX_MAX_80000001 = EDX_LONG | 1 << FEAT_1G | 1 << FEAT_RDTSCP,
    EBX7_MAX = 1 << FEAT7_FSGSBASE | 1 << FEAT7_SMEP | 1 << FEAT7_SMAP | EBX7_RDSEED,
    ECX7_MAX = 1 << FEAT7_UMIP,
};

/* What is built.  All else is masked in every model. */
enum {
    /* where the host has it, too */
    ECX_HOST = ECX_SSE3 | ECX_SSSE3 | ECX_SSE41 | ECX_SSE42 | ECX_PCLMULQDQ | ECX_AES,
    WORKS_EDX1 = F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(CX8) | F(SEP) | F(PGE) |
                 F(CMOV) | F(MMX) | F(FXSR) | F(SSE) | F(SSE2) | F(CLFLUSH) | F(PAE) | F(PSE36) |
                 F(MCE) | F(MCA) | F(MTRR) | F(PAT) | F(APIC),
    WORKS_ECX1 = ECX_MAX | ECX_CX16,
    WORKS_ECX80000001 = 1 << FEAT_LAHF,
    WORKS_EDX80000001 = EDX_MAX_80000001,
    WORKS_EBX7 = EBX7_MAX,
    WORKS_ECX7 = 1 << FEAT7_UMIP,
};

static const CpuModel models[] = {
    { .name = "486",
        .desc = "Intel 486 with CPUID",
        .vendor = "GenuineIntel",
        .level = 1,
        .family = 4,
        .model = 8,
        .stepping = 0,
        .edx1 = EDX_486 },
    { .name = "max",
        .desc = "Enables all features that work",
        .vendor = "GenuineIntel",
        .brand = "Stasis Virtual CPU",
        .level = 13,
        .xlevel = 0x80000008,
        .family = 6,
        .model = 26, /* kernels do not trust the PAT of a model below 15 */
        .stepping = 3,
        .ecx1 = ECX_MAX | ECX_CX16,
        .edx1 = EDX_MAX,
        .ecx80000001 = 1 << FEAT_LAHF,
        .ebx7 = EBX7_MAX,
        .ecx7 = ECX7_MAX,
        .edx80000001 = EDX_MAX_80000001,
        .cache = 0x2c307d },
    { .name = "Nehalem",
        .desc = "Intel Core i7 9xx (Nehalem Class Core i7)",
        .vendor = "GenuineIntel",
        .brand = "Intel Core i7 9xx (Nehalem Class Core i7)",
        .level = 11,
        .xlevel = 0x80000008,
        .family = 6,
        .model = 26,
        .stepping = 3,
        .ecx1 = ECX_NEHALEM | ECX_CX16,
        .edx1 = EDX_NEHALEM,
        .ecx80000001 = 1 << FEAT_LAHF,
        .edx80000001 = EDX_LONG,
        .cache = 0x2c307d },
    { .name = "pentium",
        .desc = "Intel Pentium with MMX",
        .vendor = "GenuineIntel",
        .level = 1,
        .family = 5,
        .model = 4,
        .stepping = 3,
        .edx1 = EDX_PENTIUM },
    { .name = "pentium2",
        .desc = "Intel Pentium II",
        .vendor = "GenuineIntel",
        .level = 2,
        .family = 6,
        .model = 5,
        .stepping = 2,
        .edx1 = EDX_PENTIUM2,
        .cache = 0x0c0843 },
    { .name = "pentium3",
        .desc = "Intel Pentium III",
        .vendor = "GenuineIntel",
        .level = 3,
        .family = 6,
        .model = 7,
        .stepping = 3,
        .edx1 = EDX_PENTIUM3,
        .cache = 0x0c0843 },
    { .name = "qemu32",
        .desc = "QEMU Virtual CPU version 2.5+",
        .vendor = "GenuineIntel",
        .brand = "QEMU Virtual CPU version 2.5+",
        .level = 4,
        .xlevel = 0x80000004,
        .family = 6,
        .model = 6,
        .stepping = 3,
        .ecx1 = ECX_SSE3,
        .edx1 = EDX_QEMU32,
        .cache = 0x2c307d },
    { .name = "qemu64",
        .desc = "QEMU Virtual CPU version 2.5+",
        .vendor = "AuthenticAMD",
        .brand = "QEMU Virtual CPU version 2.5+",
        .level = 13,
        .xlevel = 0x8000000a,
        .family = 15,
        .model = 107,
        .stepping = 1,
        .ecx1 = ECX_SSE3 | ECX_CX16,
        .edx1 = EDX_QEMU64,
        .ecx80000001 = 1 << FEAT_LAHF,
        .edx80000001 = EDX_LONG,
        .cache = 0x2c307d },
};

uint32_t cpu_signature(const CpuModel *model)
{
    uint32_t family = MIN_OF(model->family, 15u), extended = model->family - family;

    return extended << 20 | (uint32_t)(model->model >> 4) << 16 | family << 8 |
           (uint32_t)(model->model & 15) << 4 | model->stepping;
}

/* -- parsing -- */

static bool model_unknown(const char *name, Error *err)
{
    const char *names[ARRAY_SIZE(models)], *hint;

    for (unsigned i = 0; i < ARRAY_SIZE(models); i++) names[i] = models[i].name;
    hint = did_you_mean(name, names, ARRAY_SIZE(models));
    return error_set(err, "unable to find CPU model '%s'%s%s%s", name,
        hint ? "; did you mean '" : "", hint ? hint : "", hint ? "'?" : "");
}

/* SSE runs on the host's own instructions. */
static uint32_t model_host_ecx1(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) ? c : 0;
}

/* What is built, and here. */
static void model_works(uint32_t works[WORDS_SOME])
{
    works[WORD_1_ECX] = WORKS_ECX1 & (~(uint32_t)ECX_HOST | model_host_ecx1());
    works[WORD_1_EDX] = WORKS_EDX1;
    works[WORD_80000001_ECX] = WORKS_ECX80000001;
    works[WORD_80000001_EDX] = WORKS_EDX80000001;
    works[WORD_7_EBX] = WORKS_EBX7;
    works[WORD_7_ECX] = WORKS_ECX7;
}

static void model_take(Cpu *cpu, const FeatureRequest *r)
{
    cpu->features = (struct CpuFeatures){ .ecx1 = r->word[WORD_1_ECX],
        .edx1 = r->word[WORD_1_EDX],
        .ecx80000001 = r->word[WORD_80000001_ECX],
        .edx80000001 = r->word[WORD_80000001_EDX],
        .ebx7 = r->word[WORD_7_EBX],
        .ecx7 = r->word[WORD_7_ECX] };
    if (!cpu_has(cpu, FEAT_APIC)) cpu->features.ecx1 &= ~(uint32_t)(ECX_X2APIC | ECX_TSC_DEADLINE);
    if (cpu_is_amd(cpu)) cpu->features.edx80000001 |= cpu->features.edx1 & EDX_AMD;
}

bool cpu_model_parse(Cpu *cpu, const char *text, Error *err)
{
    char **items = g_strsplit(text, ",", 0);
    FeatureRequest r = { .check = true };
    uint32_t works[WORDS_SOME];
    bool ok = true;

    for (unsigned i = 0; items[0] && i < ARRAY_SIZE(models); i++) {
        if (!strcmp(models[i].name, items[0])) cpu->model = &models[i];
    }
    if (!cpu->model) {
        ok = model_unknown(items[0] ? items[0] : "", err);
    } else {
        r.word[WORD_1_ECX] = cpu->model->ecx1;
        r.word[WORD_1_EDX] = cpu->model->edx1;
        r.word[WORD_80000001_ECX] = cpu->model->ecx80000001;
        r.word[WORD_80000001_EDX] = cpu->model->edx80000001;
        r.word[WORD_7_EBX] = cpu->model->ebx7;
        r.word[WORD_7_ECX] = cpu->model->ecx7;
        for (char **it = items + 1; ok && *it; it++)
            ok = features_parse_item(&r, cpu->model->name, *it, err);
        model_works(works);
        ok = ok && features_mask(&r, works, cpu->index, err);
        model_take(cpu, &r);
    }
    g_strfreev(items);
    return ok;
}

void cpu_models_help(void)
{
    puts("Available CPUs:");
    for (unsigned i = 0; i < ARRAY_SIZE(models); i++) {
        printf("x86 %-20s  %s\n", models[i].name, models[i].desc);
    }
    features_help();
}

/* -- CPUID -- */

static void models_set(Cpu *cpu, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    cpu->s.regs[R_EAX] = a;
    cpu->s.regs[R_EBX] = b;
    cpu->s.regs[R_ECX] = c;
    cpu->s.regs[R_EDX] = d;
}

/* The local APIC is there and has not been switched off. */
static bool cpu_apic_on(const Cpu *cpu)
{
    const CpuApic *apic = machine_apic(cpu->dev.m, cpu->index);

    return apic->dev && apic->ops->base(apic->dev) & APIC_BASE_ENABLED;
}

static void models_set_vendor(Cpu *cpu, uint32_t eax)
{
    const char *v = cpu->model->vendor;

    models_set(cpu, eax, load_le32(v), load_le32(v + 8), load_le32(v + 4));
}

static void models_set_brand(Cpu *cpu, unsigned part)
{
    char brand[48] = { 0 };
    size_t len = cpu->model->brand ? strlen(cpu->model->brand) : 0;

    memcpy(brand, cpu->model->brand ? cpu->model->brand : "", MIN_OF(len, sizeof(brand) - 1));
    models_set(cpu, load_le32(brand + 16 * part), load_le32(brand + 16 * part + 4),
        load_le32(brand + 16 * part + 8), load_le32(brand + 16 * part + 12));
}

/* Threads of a package that leaf 1 and AMD's leaves speak of. */
static unsigned models_threads(const Cpu *cpu)
{
    return cpu->dev.m->config.cores * cpu->dev.m->config.threads;
}

static uint32_t models_apic_id(const Cpu *cpu) { return machine_apic_id(cpu->dev.m, cpu->index); }

/* Leaf 4, of Intel's: a cache for each sub-leaf, and how many threads share it. */
static void models_set_cache(Cpu *cpu, uint32_t n)
{
    enum { DATA = 1, CODE = 2, UNIFIED = 3, SELF_INITIALIZING = 1 << 8 };
    enum { WAYS_SHIFT = 22, LINE = 64 - 1, SHARED_SHIFT = 14, CORES_SHIFT = 26 };
    static const struct {
        uint8_t level, type, ways, flags;
        uint16_t sets;
    } caches[] = { { 1, DATA, 8, 1, 64 }, { 1, CODE, 8, 1, 64 }, { 2, UNIFIED, 16, 1, 4096 },
        { 3, UNIFIED, 16, 6, 16384 } };
    const MachineConfig *c = &cpu->dev.m->config;
    const uint32_t sharing[] = { 0, 0, c->threads - 1,
        (1u << machine_apic_levels(cpu->dev.m).package) - 1 };

    if (n >= ARRAY_SIZE(caches) || cpu_is_amd(cpu)) {
        models_set(cpu, 0, 0, 0, 0);
        return;
    }
    models_set(cpu,
        (c->cores - 1) << CORES_SHIFT | sharing[n] << SHARED_SHIFT | SELF_INITIALIZING |
            (uint32_t)caches[n].level << 5 | caches[n].type,
        (caches[n].ways - 1u) << WAYS_SHIFT | LINE, caches[n].sets - 1u, caches[n].flags);
}

/* Leaf 0Bh: how APIC ids are made up. */
static void models_set_levels(Cpu *cpu, uint32_t n)
{
    enum { THREADS = 1 << 8, CORES = 2 << 8 };
    ApicLevels l = machine_apic_levels(cpu->dev.m);
    uint32_t id = models_apic_id(cpu);

    n &= 0xff;
    if (n == 0)
        models_set(cpu, l.core, cpu->dev.m->config.threads, THREADS, id);
    else if (n == 1)
        models_set(cpu, l.package, models_threads(cpu), CORES | n, id);
    else
        models_set(cpu, 0, 0, n, id);
}

static void models_set_leaf1(Cpu *cpu, uint32_t hidden)
{
    enum { HTT = 1 << 28 };
    unsigned threads = models_threads(cpu);
    uint32_t ebx = models_apic_id(cpu) << 24, edx = cpu->features.edx1 & ~hidden;

    if (cpu_has(cpu, FEAT_CLFLUSH)) ebx |= CLFLUSH_LINE;
    if (threads > 1) {
        ebx |= (threads & 0xff) << 16;
        edx |= HTT;
    }
    models_set(cpu, cpu_signature(cpu->model), ebx, cpu->features.ecx1, edx);
}

/* The highest leaves, which features that were added bring along. */
static uint32_t models_level(const Cpu *cpu)
{
    bool seven = cpu->features.ebx7 || cpu->features.ecx7;

    return seven ? MAX_OF(cpu->model->level, 7u) : cpu->model->level;
}

static uint32_t models_xlevel(const Cpu *cpu)
{
    bool one = cpu->features.ecx80000001 || cpu->features.edx80000001;

    return one ? MAX_OF(cpu->model->xlevel, 0x80000001) : cpu->model->xlevel;
}

void op_cpuid(Cpu *cpu, const Insn *in)
{
    enum { CMP_LEGACY = 1 << 1, MWAIT_WAYS = 3 }; /* ECX of MWAIT has a meaning: interrupts */
    bool several = models_threads(cpu) > 1;
    const CpuModel *m = cpu->model;
    uint32_t hidden = cpu_apic_on(cpu) ? 0 : F(APIC);
    uint32_t leaf = (uint32_t)cpu->s.regs[R_EAX];

    (void)in;
    if (leaf > (leaf & 0x80000000 ? models_xlevel(cpu) : models_level(cpu)))
        leaf = models_level(cpu);
    switch (leaf) {
    case 0: models_set_vendor(cpu, models_level(cpu)); break;
    case 1: models_set_leaf1(cpu, hidden); break;
    case 2: models_set(cpu, 1, 0, 0, m->cache); break;
    case 4: models_set_cache(cpu, (uint32_t)cpu->s.regs[R_ECX]); break;
    case 5: models_set(cpu, 0, 0, MWAIT_WAYS, 0); break;
    case 11: models_set_levels(cpu, (uint32_t)cpu->s.regs[R_ECX]); break;
    case 7:
        if (cpu->s.regs[R_ECX]) {
            models_set(cpu, 0, 0, 0, 0); /* of one sub-leaf */
        } else {
            models_set(cpu, 0, cpu->features.ebx7, cpu->features.ecx7, 0);
        }
        break;
    case 0x80000000: models_set_vendor(cpu, models_xlevel(cpu)); break;
    case 0x80000001:
        models_set(cpu, cpu_signature(m), 0,
            cpu->features.ecx80000001 | (several && cpu_is_amd(cpu) ? CMP_LEGACY : 0),
            cpu->features.edx80000001 & ~hidden);
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: models_set_brand(cpu, leaf - 0x80000002); break;
    case 0x80000008:
        models_set(cpu, 48 << 8 | cpu_phys_bits(cpu), 0,
            several ? machine_apic_levels(cpu->dev.m).package << 12 | (models_threads(cpu) - 1) : 0,
            0);
        break;
    default: models_set(cpu, 0, 0, 0, 0); break; /* serial number, cache details: none */
    }
}
