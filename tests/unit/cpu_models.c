/* SPDX-License-Identifier: MIT */
/* Models, CPUID, MSRs, RESET and INIT. */
#include "cpu/models.h"
#include "tests/unit/cpu_prot.h"

GUEST_CODE(hlt, 32, "hlt");
GUEST_CODE(cpuid, 32, "cpuid; hlt");
GUEST_CODE(rdmsr, 32, "rdmsr; hlt");
GUEST_CODE(wrmsr, 32, "wrmsr; hlt");
GUEST_CODE(write_cr4, 32, "mov %eax, %cr4; hlt");

static Machine *model_new(const char *model)
{
    Machine *m = test_machine_new(model);

    test_flat32(test_cpu(m), AT_CODE);
    return m;
}

/* EAX, EBX, ECX, EDX of a leaf. */
static void leaf(const char *model, uint32_t n, uint32_t r[4])
{
    Machine *m = model_new(model);
    Cpu *cpu = test_cpu(m);

    prot_code(m, cpuid);
    cpu->s.regs[R_EAX] = n;
    test_run(m, 1);
    r[0] = (uint32_t)cpu->s.regs[R_EAX];
    r[1] = (uint32_t)cpu->s.regs[R_EBX];
    r[2] = (uint32_t)cpu->s.regs[R_ECX];
    r[3] = (uint32_t)cpu->s.regs[R_EDX];
    machine_free(m);
}

static void test_signatures(void)
{
    static const struct {
        const char *model;
        uint32_t signature, level;
    } expect[] = { { "486", 0x480, 1 }, { "pentium", 0x543, 1 }, { "pentium2", 0x652, 2 },
        { "pentium3", 0x673, 3 }, { "qemu32", 0x663, 4 }, { "max", 0x106a3, 13 },
        { "Nehalem", 0x106a3, 11 }, { "pentium3,+fsgsbase", 0x673, 7 } };
    uint32_t r[4];

    for (unsigned i = 0; i < G_N_ELEMENTS(expect); i++) {
        leaf(expect[i].model, 0, r);
        g_assert_cmphex(r[0], ==, expect[i].level);
        g_assert_cmpmem(&r[1], 4, "Genu", 4);
        g_assert_cmpmem(&r[3], 4, "ineI", 4);
        g_assert_cmpmem(&r[2], 4, "ntel", 4);
        leaf(expect[i].model, 1, r);
        g_assert_cmphex(r[0], ==, expect[i].signature);
    }
}

/* CPUID tells only what works. */
static void test_masked(void)
{
    static const char *const models[] = { "486", "pentium", "pentium2", "pentium3", "qemu32", "max",
        "pentium3,+sse,+apic,+pae" };
    uint32_t absent = 1u << FEAT_APIC, r[4];

    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        leaf(models[i], 1, r);
        g_assert_cmphex(r[3] & absent, ==, 0);
        g_assert_cmphex(r[3] & 1, ==, 1);
    }
    leaf("pentium3", 1, r);
    g_assert_true(r[3] >> FEAT_CMOV & r[3] >> FEAT_SEP & r[3] >> FEAT_MMX & 1);
    g_assert_true(r[3] >> FEAT_PAE & r[3] >> FEAT_MTRR & r[3] >> FEAT_PAT & r[3] >> FEAT_MCA & 1);
    leaf("pentium", 1, r);
    g_assert_false((r[3] >> FEAT_PAE | r[3] >> FEAT_MTRR | r[3] >> FEAT_PAT) & 1);
    leaf("qemu32", 0x80000001, r);
    g_assert_false(r[3] >> FEAT_NX & 1);
    leaf("qemu32,+nx,+3dnow", 0x80000001, r);
    g_assert_cmphex(r[3], ==, 1u << FEAT_NX);
    leaf("pentium3,+nx", 0x80000000, r);
    g_assert_cmphex(r[0], ==, 0x80000001);
    leaf("pentium3,+nx", 0x80000001, r);
    g_assert_cmphex(r[3], ==, 1u << FEAT_NX);
    leaf("pentium3", 0x80000000, r);
    g_assert_cmphex(r[0], ==, 0);
    leaf("max", 7, r);
    g_assert_cmphex(
        r[1], ==, 1u << FEAT7_SMEP | 1u << FEAT7_SMAP | 1u << FEAT7_FSGSBASE | 1u << 18);
    g_assert_cmphex(r[2], ==, 1u << FEAT7_UMIP);
    leaf("max,-smep,-smap,-fsgsbase,umip=off,-rdseed", 7, r);
    g_assert_cmphex(r[1] | r[2], ==, 0);
    leaf("pentium3,-cmov,sep=off", 1, r);
    g_assert_false(r[3] >> FEAT_CMOV & 1);
    g_assert_false(r[3] >> FEAT_SEP & 1);
}

/* The leaves of long mode: qemu64 as QEMU 7.2 has it, as far as it works here. */
static void test_long(void)
{
    uint32_t r[4];

    leaf("qemu64", 0, r);
    g_assert_cmphex(r[0], ==, 13);
    g_assert_cmpmem(&r[1], 4, "Auth", 4);
    leaf("qemu64", 1, r);
    g_assert_cmphex(r[0], ==, 0x60fb1);
    g_assert_cmphex(r[2] >> FEAT_CX16 & 1, ==, 1);
    leaf("qemu64", 0x80000001, r);
    g_assert_cmphex(r[3], ==, 0x2193f9fd);
    g_assert_cmphex(r[2], ==, 1);
    leaf("qemu64,-fxsr,-lm", 0x80000001, r);
    g_assert_cmphex(r[3], ==, 0x2193f9fd & ~(uint32_t)(1 << FEAT_FXSR | 1 << FEAT_LM));
    leaf("qemu64", 0x80000008, r);
    g_assert_cmphex(r[0], ==, 0x3028);
    leaf("max", 0x80000001, r);
    g_assert_cmphex(r[3] >> FEAT_1G & r[3] >> FEAT_RDTSCP & 1, ==, 1);
}

/* SSE by models, and without what it needs. */
static void test_sse(void)
{
    static const struct {
        const char *model;
        bool fxsr, sse, sse2, sse3;
    } expect[] = { { "pentium", false, false, false, false },
        { "pentium2", true, false, false, false }, { "pentium3", true, true, false, false },
        { "pentium3,-sse", true, false, false, false },
        { "pentium3,+sse2", true, true, true, false }, { "qemu32", true, true, true, true },
        { "max", true, true, true, true }, { "max,-pni", true, true, true, false } };
    uint32_t r[4];

    for (unsigned i = 0; i < G_N_ELEMENTS(expect); i++) {
        leaf(expect[i].model, 1, r);
        g_assert_cmpint(r[3] >> FEAT_FXSR & 1, ==, expect[i].fxsr);
        g_assert_cmpint(r[3] >> FEAT_SSE & 1, ==, expect[i].sse);
        g_assert_cmpint(r[3] >> FEAT_SSE2 & 1, ==, expect[i].sse2);
        g_assert_cmpint(r[2] & 1, ==, expect[i].sse3);
    }
    leaf("Nehalem", 1, r);
    g_assert_cmphex(r[2], ==, 0x00982201); /* SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT */
    leaf("Nehalem,-sse4.2,popcnt=off", 1, r);
    g_assert_cmphex(r[2], ==, 0x00082201);
    leaf("pentium3,+sse3,+aes", 1, r);
    g_assert_cmphex(r[2], ==, 0x02000001);
    leaf("max", 7, r);
    g_assert_true(r[1] >> 18 & 1); /* RDSEED */
    leaf("max", 1, r);
    g_assert_cmphex(r[1] >> 8 & 0xff, ==, 8); /* CLFLUSH line */
}

static void test_brand(void)
{
    uint32_t r[4];

    leaf("qemu32", 0x80000000, r);
    g_assert_cmphex(r[0], ==, 0x80000004);
    leaf("qemu32", 0x80000002, r);
    g_assert_cmpmem(r, 16, "QEMU Virtual CPU", 16);
    leaf("pentium3", 0x80000002, r); /* beyond what there is: the highest basic leaf */
    g_assert_cmphex(r[0] | r[1] | r[2] | r[3], ==, 0);
}

static void test_texts(void)
{
    static const struct {
        const char *text;
        bool ok;
    } cases[] = { { "pentium3,-apic", true }, { "qemu32,+sse2,check", true },
        { "max,enforce=off,hypervisor=off", true }, { "pentium4", false }, { "max,enforce", true },
        { "qemu64,-avx2,-invtsc,xsave=off,-vmx,pcid=no,-amx_tile,enforce", true },
        { "qemu64,+sse4_1,sse4-2,+xd,+tsc_deadline,enforce", true },
        { "qemu64,+invtsc,avx2", true }, { "qemu64,+invtsc,enforce=on,enforce=off", true },
        { "qemu64,+invtsc,-invtsc,enforce", true }, { "qemu64,enforce,avx2=on", false },
        { "qemu64,check=off,enforce,+vmx", false }, { "max,-apic,enforce", true },
        { "max,check=maybe", false }, { "max,-nonsense", false }, { "max,=on", false },
        { "pentium3,+nonsense", false }, { "pentium3,sse=maybe", false }, { "", false } };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Cpu cpu = { .index = 0 };
        Error err = ERROR_INIT;

        g_assert_cmpint(cpu_model_parse(&cpu, cases[i].text, &err), ==, cases[i].ok);
        g_assert_cmpint(error_is_set(&err), ==, !cases[i].ok);
    }
}

/* An MSR access: the vector it raises, or -1. */
static int msr(const char *model, const uint8_t *code, uint32_t n)
{
    Machine *m = model_new(model);
    Cpu *cpu = test_cpu(m);
    bool ok;

    test_poke(m, AT_CODE, code, 3);
    cpu->s.idt.limit = 0; /* any exception ends in a shutdown */
    cpu->s.regs[R_ECX] = n;
    ok = test_run(m, 10) == CPU_HALTED && cpu->s.eip == AT_CODE + 3;
    machine_free(m);
    return ok ? -1 : EXC_GP;
}

static void test_msrs(void)
{
    static const uint32_t p6[] = { 0x10, 0x17, 0x2a, 0x79, 0x8b, 0x119, 0x174, 0x176 };
    static const uint32_t none[] = { 0x210, 0x260, 0xc0000080, 0x12345 };
    static const uint32_t k8[] = { 0xc0010000, 0xc0010007, 0xc0010010, 0xc0010015 };

    for (unsigned i = 0; i < G_N_ELEMENTS(p6); i++) {
        g_assert_cmpint(msr("pentium3", rdmsr, p6[i]), ==, -1);
        g_assert_cmpint(msr("pentium3", wrmsr, p6[i]), ==, -1);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(none); i++) {
        g_assert_cmpint(msr("pentium3", rdmsr, none[i]), ==, EXC_GP);
        g_assert_cmpint(msr("pentium3", wrmsr, none[i]), ==, EXC_GP);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(k8); i++) {
        g_assert_cmpint(msr("qemu64", rdmsr, k8[i]), ==, -1);
        g_assert_cmpint(msr("qemu64", wrmsr, k8[i]), ==, -1);
        g_assert_cmpint(msr("pentium3", rdmsr, k8[i]), ==, EXC_GP);
    }
    g_assert_cmpint(msr("qemu64", rdmsr, 0xc0010008), ==, EXC_GP);
    g_assert_cmpint(msr("pentium3", rdmsr, 0x277), ==, -1);
    g_assert_cmpint(msr("pentium3", rdmsr, 0xfe), ==, -1);
    g_assert_cmpint(msr("pentium3", wrmsr, 0xfe), ==, EXC_GP);
    g_assert_cmpint(msr("pentium", rdmsr, 0x277), ==, EXC_GP);
    g_assert_cmpint(msr("pentium", rdmsr, 0x2ff), ==, EXC_GP);
    g_assert_cmpint(msr("pentium", rdmsr, 0), ==, -1);
    g_assert_cmpint(msr("qemu32,+nx", rdmsr, 0xc0000080), ==, -1);
    g_assert_cmpint(msr("pentium", rdmsr, 0x174), ==, EXC_GP);
    g_assert_cmpint(msr("pentium", rdmsr, 0x10), ==, -1);
    g_assert_cmpint(msr("486", rdmsr, 0x10), ==, EXC_GP);
}

/* Values that a register takes or refuses, and what it reads as. */
static void test_msr_values(void)
{
    GUEST_CODE(set_get, 32, "wrmsr; xor %eax, %eax; xor %edx, %edx; rdmsr; hlt");
    static const struct {
        uint32_t n;
        uint64_t val;
        bool ok;
    } cases[] = { { 0x277, 0x0007040600070406, true }, { 0x277, 0x0007040600070402, false },
        { 0x200, 0xe0000006, true }, { 0x200, 0xe0000002, false }, { 0x201, 0xfe0000800, true },
        { 0x201, 0xffff00000800, false }, { 0x250, 0x0606060606060606, true },
        { 0x26f, 0x0606060606060603, false }, { 0x2ff, 0xc06, true }, { 0x2ff, 0x1006, false },
        { 0x400, UINT64_MAX, true }, { 0x401, 1, false }, { 0x401, 0, true }, { 0x17a, 8, false },
        { 0xc0000080, EFER_NXE, true }, { 0xc0000080, 1 << 8, false } };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Machine *m = model_new("pentium3,+nx");
        Cpu *cpu = test_cpu(m);
        bool ok;

        prot_code(m, set_get);
        cpu->s.idt.limit = 0;
        cpu->s.regs[R_ECX] = cases[i].n;
        cpu->s.regs[R_EAX] = (uint32_t)cases[i].val;
        cpu->s.regs[R_EDX] = cases[i].val >> 32;
        ok = test_run(m, 10) == CPU_HALTED &&
             cpu->s.eip == AT_CODE + (size_t)(set_get_end - set_get);
        g_assert_cmpint(ok, ==, cases[i].ok);
        if (ok) {
            g_assert_cmphex(
                cpu->s.regs[R_EDX] << 32 | (uint32_t)cpu->s.regs[R_EAX], ==, cases[i].val);
        }
        machine_free(m);
    }
}

static void test_cr4(void)
{
    static const struct {
        const char *model;
        uint32_t cr4;
        bool ok;
    } cases[] = { { "pentium3", CR4_PGE | CR4_PSE | CR4_VME | CR4_DE | CR4_TSD, true },
        { "pentium", CR4_PGE, false }, { "486", CR4_PSE, true }, { "486", CR4_TSD, false },
        { "max", CR4_SMEP | CR4_UMIP, true }, { "pentium3", CR4_SMEP, false },
        { "pentium3", CR4_UMIP, false }, { "pentium3", CR4_PAE, true },
        { "pentium", CR4_PAE, false } };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Machine *m = model_new(cases[i].model);
        Cpu *cpu = test_cpu(m);

        prot_code(m, write_cr4);
        cpu->s.idt.limit = 0;
        cpu->s.regs[R_EAX] = cases[i].cr4;
        test_run(m, 10);
        g_assert_cmphex(cpu->s.cr[4], ==, cases[i].ok ? cases[i].cr4 : 0);
        machine_free(m);
    }
}

static void test_tsc(void)
{
    GUEST_CODE(tsc, 32, "wrmsr; rdtsc; hlt");
    Machine *m = model_new("pentium3");
    Cpu *cpu = test_cpu(m);

    prot_code(m, tsc);
    cpu->s.regs[R_ECX] = 0x10;
    cpu->s.regs[R_EDX] = 0x12;
    test_run(m, 10);
    g_assert_cmphex(cpu->s.regs[R_EDX], ==, 0x12);
    g_assert_cmpuint(cpu->s.regs[R_EAX], <, 100);
    machine_free(m);
}

static void test_reset(void)
{
    Machine *m = test_machine_new("pentium3");
    Cpu *cpu = test_cpu(m);

    g_assert_cmphex(cpu->s.segs[R_CS].selector, ==, 0xf000);
    g_assert_cmphex(cpu->s.segs[R_CS].base, ==, 0xffff0000);
    g_assert_cmphex(cpu->s.eip, ==, 0xfff0);
    g_assert_cmphex(cpu->s.regs[R_EDX], ==, 0x673);
    g_assert_cmphex(cpu->s.cr[0], ==, 0x60000010);
    machine_free(m);
}

/* INIT keeps the x87, the TSC and the cache bits; RESET does not. */
static void test_init(void)
{
    Machine *m = model_new("pentium3");
    Cpu *cpu = test_cpu(m);
    Irq init = { &cpu->dev, CPU_WIRE_INIT };

    prot_code(m, hlt);
    cpu->s.fpuc = 0x27f;
    cpu->s.fptags = 1;
    cpu->s.fpregs[0].mant = 0x1234;
    cpu->s.tsc_offset = 77;
    cpu->s.sysenter_eip = 0x9999;
    test_run(m, 1);
    irq_set(&init, true);
    g_assert_true(cpu_has_event(cpu));
    g_assert_true(cpu_poll_events(cpu));
    g_assert_false(cpu->s.halted);
    g_assert_false(cpu->s.cr[0] & CR0_PE);
    g_assert_cmphex(cpu->s.segs[R_CS].selector, ==, 0xf000);
    g_assert_cmphex(cpu->s.fpuc, ==, 0x27f);
    g_assert_cmphex(cpu->s.fpregs[0].mant, ==, 0x1234);
    g_assert_cmphex(cpu->s.tsc_offset, ==, 77);
    g_assert_cmphex(cpu->s.sysenter_eip, ==, 0x9999);
    machine_reset(m);
    g_assert_cmphex(cpu->s.fpuc, ==, 0x37f);
    g_assert_cmphex(cpu->s.sysenter_eip, ==, 0);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/models/signatures", test_signatures);
    g_test_add_func("/cpu/models/masked", test_masked);
    g_test_add_func("/cpu/models/long", test_long);
    g_test_add_func("/cpu/models/sse", test_sse);
    g_test_add_func("/cpu/models/brand", test_brand);
    g_test_add_func("/cpu/models/texts", test_texts);
    g_test_add_func("/cpu/models/msrs", test_msrs);
    g_test_add_func("/cpu/models/msr-values", test_msr_values);
    g_test_add_func("/cpu/models/cr4", test_cr4);
    g_test_add_func("/cpu/models/tsc", test_tsc);
    g_test_add_func("/cpu/models/reset", test_reset);
    g_test_add_func("/cpu/models/init", test_init);
    return g_test_run();
}
