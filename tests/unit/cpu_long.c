/* SPDX-License-Identifier: MIT */
/*
 * Long mode, instruction by instruction: four-level paging with all sizes of page, SMAP, the tagged
 * TLB and what must drop its entries, registers that came with long mode, EFER's transitions.
 * Gates and stacks are tests/guest/longmode.asm's matter.
 */
#include "cpu/models.h"
#include "cpu/tlb.h"
#include "tests/unit/cpu_step.h"

enum {
    PT_P = 1,
    PT_W = 2,
    PT_U = 4,
    PT_A = 0x20,
    PT_D = 0x40,
    PT_PS = 0x80,
    PT_G = 0x100,
    PML4 = 0x4000,
    PDPT = 0x5000,
    PDIR = 0x6000,
    TABLE = 0x7000, /* of linear 0 .. 2 MiB */
    CODE = 0xb000,
    PAGE = 0x20000, /* linear, what is tried */
    FRAME = 0x30000,
};
#define PT_NX (1ull << 63)
#define PT_ALL (PT_P | PT_W | PT_U)

static void put64(Machine *m, uint32_t at, uint64_t val) { test_put(m, at, &val, 8); }
static uint64_t get64(Machine *m, uint32_t at) { return load_le64(test_ram(m) + at); }

static void set_code64(Cpu *cpu, bool wide)
{
    uint32_t *flags = &cpu->s.segs[R_CS].flags;

    *flags = (*flags & ~(uint32_t)(SEGF_L | SEGF_DB)) | (wide ? SEGF_L : SEGF_DB);
    cpu_update_mode(cpu);
}

static Machine *long_machine(unsigned cpl)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    cpu->features.edx80000001 |=
        1u << FEAT_SYSCALL | 1u << FEAT_NX | 1u << FEAT_1G | 1u << FEAT_RDTSCP | 1u << FEAT_LM;
    cpu->features.ebx7 |= 1u << FEAT7_FSGSBASE | 1u << FEAT7_SMEP | 1u << FEAT7_SMAP;
    test_flat(cpu, cpl);
    for (uint32_t i = 0; i < 512; i++) put64(m, TABLE + 8 * i, i << 12 | PT_ALL);
    put64(m, PML4, PDPT | PT_ALL);
    put64(m, PDPT, PDIR | PT_ALL);
    put64(m, PDIR, TABLE | PT_ALL);
    cpu_write_cr3(cpu, PML4);
    cpu_write_cr4(cpu, CR4_PAE | CR4_PGE);
    cpu->s.efer = EFER_LME | EFER_NXE | EFER_SCE;
    cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_PG | CR0_WP);
    g_assert_true(cpu_long(cpu));
    set_code64(cpu, true);
    return m;
}

static void set_pte(Machine *m, uint32_t lin, uint64_t pte)
{
    put64(m, TABLE + (lin >> 12) * 8, pte);
    cpu_tlb_flush_page(test_cpu(m), lin);
}

/* -- paging -- */

/* Every combination of rights, CPL, AC and SMAP, for a read, a write and a fetch. */
static void test_rights(void)
{
    for (unsigned n = 0; n < 128; n++) {
        unsigned cpl = n & 1 ? 3 : 0;
        bool w = n & 2, u = n & 4, nx = n & 8, smap = n & 16, ac = n & 32, smep = n & 64;
        Machine *m = long_machine(cpl);
        Cpu *cpu = test_cpu(m);
        FaultFrame f;

        cpu_write_cr4(cpu, cpu->s.cr[4] | (smap ? CR4_SMAP : 0) | (smep ? CR4_SMEP : 0));
        cpu_set_eflags(cpu, ac ? FLAG_AC : 0, FLAG_AC);
        if (!cpl) /* the code itself is the supervisor's */
            set_pte(m, CODE, CODE | PT_P | PT_W);
        set_pte(m, PAGE, FRAME | PT_P | (w ? PT_W : 0) | (u ? PT_U : 0) | (nx ? PT_NX : 0));
        store_le32(test_ram(m) + FRAME, 0x90909090);
        for (int kind = 0; kind < 3; kind++) {
            bool data = cpl ? u : !(u && smap && !ac), fetch = cpl ? u : !(u && smep);
            bool ok = kind == 0 ? data : kind == 1 ? data && w : fetch && !nx;
            uint32_t code = 1 | (kind == 1 ? 2 : 0) | (cpl ? 4 : 0) | (kind == 2 ? 16 : 0);
            int vector;

            cpu->s.regs[R_EBX] = PAGE;
            vector = kind == 0   ? STEP(cpu, &f, 0x48, 0x8b, 0x0b) /* mov rcx, [rbx] */
                     : kind == 1 ? STEP(cpu, &f, 0x88, 0x03)       /* mov [rbx], al */
                                 : step(cpu, NULL, 0, PAGE + 1, &f);
            g_assert_cmpint(vector, ==, ok ? -1 : EXC_PF);
            if (!ok) g_assert_cmphex(f.code, ==, code);
            if (!ok) g_assert_cmphex(f.cr2, ==, kind == 2 ? PAGE + 1 : PAGE);
        }
        machine_free(m);
    }
}

/* Large pages by level: reads and writes through them, their bits, bits that are reserved. */
static void try_large(uint32_t entry_at, unsigned shift, uint64_t lin)
{
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    put64(m, entry_at, PT_P | PT_W | PT_PS); /* physical 0 */
    store_le32(test_ram(m) + FRAME + 4, 0x12345678);
    cpu->s.regs[R_EBX] = lin + FRAME + 4;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x12345678);
    g_assert_cmphex(get64(m, entry_at) & (PT_A | PT_D), ==, PT_A);
    g_assert_cmpint(STEP(cpu, &f, 0x89, 0x03), ==, -1);
    g_assert_cmphex(get64(m, entry_at) & (PT_A | PT_D), ==, PT_A | PT_D);
    test_put(m, CODE, "\x8b\x03", 2);
    for (unsigned bit = 13; bit < 52; bit++) {
        if (bit >= shift && bit < cpu_phys_bits(cpu)) continue;
        put64(m, entry_at, PT_P | PT_W | PT_PS | 1ull << bit);
        cpu_tlb_flush(cpu, true);
        g_assert_cmpint(step(cpu, NULL, 0, CODE, &f), ==, EXC_PF);
        g_assert_cmphex(f.code, ==, 9);
    }
    machine_free(m);
}

static void test_large(void)
{
    try_large(PDIR + 8 * 5, 21, 5ull << 21);
    try_large(PDPT + 8 * 3, 30, 3ull << 30);
    try_large(PDPT + 8 * 300, 30, 300ull << 30);
}

/* Without the CPUID bit there are no pages of 1 GiB, and never any of 512 GiB. */
static void test_no_huge(void)
{
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    put64(m, PDPT + 8, PT_P | PT_PS);
    put64(m, PML4 + 8, PT_P | PT_PS);
    cpu->features.edx80000001 &= ~(1u << FEAT_1G);
    cpu->s.regs[R_EBX] = 1ull << 30;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, EXC_PF);
    g_assert_cmphex(f.code, ==, 9);
    cpu->s.regs[R_EBX] = 1ull << 39;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, EXC_PF);
    g_assert_cmphex(f.code, ==, 9);
    machine_free(m);
}

/* INVLPG anywhere in a large page drops all that was entered of it, in either form of the TLB. */
static void try_invlpg(uint32_t entry_at, uint64_t lin, bool wide)
{
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    set_code64(cpu, wide);
    put64(m, entry_at, PT_P | PT_W | PT_PS | PT_G);
    cpu->s.regs[R_EBX] = lin + FRAME;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    put64(m, entry_at, 0);
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1); /* still known */
    cpu->s.regs[R_EBX] = lin + 0x55000;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0x3b), ==, -1); /* invlpg [rbx] */
    cpu->s.regs[R_EBX] = lin + FRAME;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, EXC_PF);
    machine_free(m);
}

static void test_invlpg(void)
{
    for (int wide = 0; wide < 2; wide++) {
        try_invlpg(PDIR + 8 * 5, 5ull << 21, wide);
        try_invlpg(PDPT + 8 * 3, 3ull << 30, wide);
    }
    try_invlpg(PDPT + 8 * 300, 300ull << 30, true);
}

/* Pages that share a place in the TLB, and the same page from 64- and 32-bit code. */
static void test_places(void)
{
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);
    uint64_t far = (uint64_t)TLB_TAGGED << PAGE_BITS;
    FaultFrame f;

    put64(m, PDIR + (far >> 21) * 8, PT_P | PT_W | PT_PS);
    set_pte(m, PAGE, FRAME | PT_ALL);
    store_le32(test_ram(m) + FRAME, 1);
    store_le32(test_ram(m) + PAGE, 2);
    for (int i = 0; i < 3; i++) {
        cpu->s.regs[R_EBX] = PAGE;
        g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
        g_assert_cmphex(cpu->s.regs[R_EAX], ==, 1);
        cpu->s.regs[R_EBX] = PAGE + far;
        g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
        g_assert_cmphex(cpu->s.regs[R_EAX], ==, 2);
    }
    set_code64(cpu, false);
    cpu->s.regs[R_EBX] = PAGE | 1ull << 40; /* compatibility mode takes 32 bits */
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 1);
    set_pte(m, PAGE, 0);
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, EXC_PF);
    set_code64(cpu, true);
    cpu->s.regs[R_EBX] = PAGE;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, EXC_PF);
    machine_free(m);
}

/* -- EFER -- */

static int write_msr(Cpu *cpu, uint32_t n, uint64_t val)
{
    FaultFrame f;

    cpu->s.regs[R_ECX] = n;
    cpu->s.regs[R_EAX] = (uint32_t)val;
    cpu->s.regs[R_EDX] = val >> 32;
    return STEP(cpu, &f, 0x0f, 0x30);
}

static uint64_t read_msr(Cpu *cpu, uint32_t n)
{
    FaultFrame f;

    cpu->s.regs[R_ECX] = n;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x32), ==, -1);
    return cpu->s.regs[R_EDX] << 32 | cpu->s.regs[R_EAX];
}

static int write_cr(Cpu *cpu, unsigned n, uint64_t val)
{
    FaultFrame f;

    cpu->s.regs[R_EAX] = val;
    return STEP(cpu, &f, 0x0f, 0x22, (uint8_t)(0xc0 | n << 3));
}

static void test_transitions(void)
{
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);
    uint64_t cr0 = cpu->s.cr[0];

    g_assert_cmphex(cpu->s.hflags & (HF_LMA | HF_CS64), ==, HF_LMA | HF_CS64);
    set_code64(cpu, false);
    g_assert_cmphex(cpu->s.hflags & (HF_LMA | HF_CS64), ==, HF_LMA);
    g_assert_cmpint(write_cr(cpu, 0, cr0 & ~(uint64_t)CR0_PG), ==, -1);
    g_assert_cmphex(read_msr(cpu, 0xc0000080), ==, EFER_LME | EFER_NXE | EFER_SCE);
    g_assert_cmpint(write_cr(cpu, 4, 0), ==, -1);
    g_assert_cmpint(write_cr(cpu, 0, cr0), ==, EXC_GP); /* LME without PAE */
    g_assert_cmpint(write_cr(cpu, 4, CR4_PAE), ==, -1);
    cpu->s.segs[R_CS].flags |= SEGF_L;
    g_assert_cmpint(write_cr(cpu, 0, cr0), ==, EXC_GP);
    cpu->s.segs[R_CS].flags &= ~(uint32_t)SEGF_L;
    cpu->s.tr.flags = SEGF_P | 3 << SEGF_TYPE_SHIFT; /* a 16-bit TSS */
    g_assert_cmpint(write_cr(cpu, 0, cr0), ==, EXC_GP);
    cpu->s.tr.flags = SEGF_P | 11 << SEGF_TYPE_SHIFT;
    g_assert_cmpint(write_cr(cpu, 0, cr0), ==, -1);
    g_assert_true(cpu_long(cpu));
    g_assert_cmpint(write_msr(cpu, 0xc0000080, EFER_LMA | EFER_NXE), ==, EXC_GP);
    g_assert_cmpint(write_msr(cpu, 0xc0000080, EFER_LME), ==, -1); /* LMA is not written */
    g_assert_cmphex(read_msr(cpu, 0xc0000080), ==, EFER_LME | EFER_LMA);
    machine_free(m);
}

/* -- registers -- */

static void test_msrs(void)
{
    static const uint32_t addresses[] = { 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101,
        0xc0000102, 0x175, 0x176 };
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);

    for (unsigned i = 0; i < G_N_ELEMENTS(addresses); i++) {
        g_assert_cmpint(write_msr(cpu, addresses[i], 0xffff800012345678), ==, -1);
        g_assert_cmphex(read_msr(cpu, addresses[i]), ==, 0xffff800012345678);
        g_assert_cmpint(write_msr(cpu, addresses[i], 0x800000000000), ==, EXC_GP);
        g_assert_cmphex(read_msr(cpu, addresses[i]), ==, 0xffff800012345678);
    }
    g_assert_cmphex(cpu->s.segs[R_FS].base, ==, 0xffff800012345678);
    g_assert_cmpint(write_msr(cpu, 0xc0000081, 0x0123456789abcdef), ==, -1); /* STAR */
    g_assert_cmphex(read_msr(cpu, 0xc0000081), ==, 0x0123456789abcdef);
    g_assert_cmpint(write_msr(cpu, 0xc0000084, 1ull << 32), ==, EXC_GP); /* FMASK */
    g_assert_cmphex(read_msr(cpu, 0x1a0), ==, 1);                        /* MISC_ENABLE */
    g_assert_cmpint(write_msr(cpu, 0x1a0, 0), ==, -1);
    g_assert_cmpint(write_msr(cpu, 0x1a0, 1 << 22), ==, EXC_GP);
    machine_free(m);
    m = test_machine();
    test_flat(test_cpu(m), 0);
    g_assert_cmpint(write_msr(test_cpu(m), 0xc0000082, 0), ==, EXC_GP);
    machine_free(m);
}

static void test_rdtscp(void)
{
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    g_assert_cmpint(write_msr(cpu, 0xc0000103, 0x1234), ==, -1); /* TSC_AUX */
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xf9), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_ECX], ==, 0x1234);
    cpu->features.edx80000001 &= ~(1u << FEAT_RDTSCP);
    cpu_core_drop(cpu);
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xf9), ==, EXC_UD);
    machine_free(m);
}

static void test_bases(void)
{
    Machine *m = long_machine(3);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    cpu->s.segs[R_GS].base = 0xffff800000001000;
    g_assert_cmpint(STEP(cpu, &f, 0xf3, 0x48, 0x0f, 0xae, 0xc8), ==, EXC_UD); /* rdgsbase rax */
    cpu_write_cr4(cpu, cpu->s.cr[4] | CR4_FSGSBASE);
    g_assert_cmpint(STEP(cpu, &f, 0xf3, 0x48, 0x0f, 0xae, 0xc8), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0xffff800000001000);
    g_assert_cmpint(STEP(cpu, &f, 0xf3, 0x0f, 0xae, 0xc8), ==, -1); /* eax */
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x1000);
    cpu->s.regs[9] = 0x7fff12345678;
    g_assert_cmpint(STEP(cpu, &f, 0xf3, 0x49, 0x0f, 0xae, 0xd1), ==, -1); /* wrfsbase r9 */
    g_assert_cmphex(cpu->s.segs[R_FS].base, ==, 0x7fff12345678);
    cpu->s.regs[9] = 0x800000000000;
    g_assert_cmpint(STEP(cpu, &f, 0xf3, 0x49, 0x0f, 0xae, 0xd9), ==, EXC_GP); /* wrgsbase r9 */
    set_code64(cpu, false);
    g_assert_cmpint(STEP(cpu, &f, 0xf3, 0x0f, 0xae, 0xc8), ==, EXC_UD);
    machine_free(m);
}

static void test_smap_insns(void)
{
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xcb), ==, -1); /* stac */
    g_assert_true(cpu->s.eflags & FLAG_AC);
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xca), ==, -1); /* clac */
    g_assert_false(cpu->s.eflags & FLAG_AC);
    machine_free(m);
    m = long_machine(3);
    g_assert_cmpint(STEP(test_cpu(m), &f, 0x0f, 0x01, 0xcb), ==, EXC_UD);
    machine_free(m);
}

static void test_monitor(void)
{
    enum { MONITOR = 1 << 3 };
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    cpu->s.regs[R_EAX] = CODE;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc8), ==, EXC_UD); /* the model has none */
    cpu->features.ecx1 |= MONITOR;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc8), ==, -1);
    cpu->s.regs[R_ECX] = 1;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc9), ==, -1); /* mwait, ended by interrupts */
    g_assert_cmpuint(cpu->s.halted, ==, 0);
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc8), ==, EXC_GP);
    cpu->s.regs[R_ECX] = 2;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc9), ==, EXC_GP);
    cpu->s.regs[R_ECX] = 0x100000000;
    cpu->s.regs[R_EAX] = 0x800000000000;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc8), ==, EXC_GP); /* not canonical */
    cpu->s.regs[R_EAX] = 0x7f0000000000;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc8), ==, EXC_PF);
    machine_free(m);
    m = long_machine(3);
    cpu = test_cpu(m);
    cpu->features.ecx1 |= MONITOR;
    cpu->s.regs[R_EAX] = CODE;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc8), ==, EXC_UD);
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xc9), ==, EXC_UD);
    machine_free(m);
}

/* SYSEXIT wants canonical addresses; without REX.W, into code of 32 bits, they are cut. */
static void test_sysexit(void)
{
    static const uint64_t bad = UINT64_C(1) << 47, high = UINT64_C(0x100000000);

    for (int n = 0; n < 4; n++) {
        Machine *m = long_machine(0);
        Cpu *cpu = test_cpu(m);
        FaultFrame f;

        cpu->s.sysenter_cs = 8;
        cpu->s.regs[R_EDX] = n == 0 ? bad : high | PAGE;
        cpu->s.regs[R_ECX] = n == 1 ? bad : high | 0x1000;
        if (n < 3) {
            g_assert_cmpint(STEP(cpu, &f, 0x48, 0x0f, 0x35), ==, n < 2 ? EXC_GP : -1);
            if (n == 2) g_assert_cmphex(cpu->s.eip, ==, high | PAGE);
            if (n == 2) g_assert_cmphex(cpu->s.regs[R_ESP], ==, high | 0x1000);
        } else {
            g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x35), ==, -1);
            g_assert_cmphex(cpu->s.eip, ==, PAGE);
            g_assert_cmphex(cpu->s.regs[R_ESP], ==, 0x1000);
        }
        g_assert_cmpuint(cpu_cpl(cpu), ==, n < 2 ? 0 : 3);
        machine_free(m);
    }
}

/* INIT leads out of long mode: code that a startup message starts is real mode's. */
static void test_init(void)
{
    Machine *m = long_machine(0);
    Cpu *cpu = test_cpu(m);

    cpu->s.star = 0x1234;
    cpu->s.interrupt_request |= INTREQ_INIT;
    g_assert_true(cpu_poll_events(cpu));
    g_assert_cmphex(cpu->s.efer, ==, 0);
    g_assert_cmphex(cpu->s.cr[4], ==, 0);
    g_assert_cmphex(cpu->s.cr[0] & ~(uint64_t)(CR0_CD | CR0_NW), ==, CR0_ET);
    g_assert_cmphex(cpu->s.eip, ==, 0xfff0);
    g_assert_cmphex(cpu->s.star, ==, 0x1234);
    g_assert_false(cpu_long(cpu));
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/long/rights", test_rights);
    g_test_add_func("/cpu/long/large", test_large);
    g_test_add_func("/cpu/long/no-huge", test_no_huge);
    g_test_add_func("/cpu/long/invlpg", test_invlpg);
    g_test_add_func("/cpu/long/places", test_places);
    g_test_add_func("/cpu/long/transitions", test_transitions);
    g_test_add_func("/cpu/long/msrs", test_msrs);
    g_test_add_func("/cpu/long/rdtscp", test_rdtscp);
    g_test_add_func("/cpu/long/bases", test_bases);
    g_test_add_func("/cpu/long/smap", test_smap_insns);
    g_test_add_func("/cpu/long/monitor", test_monitor);
    g_test_add_func("/cpu/long/sysexit", test_sysexit);
    g_test_add_func("/cpu/long/init", test_init);
    return g_test_run();
}
