/* SPDX-License-Identifier: MIT */
/*
 * PAE paging: rights and error codes with NX, 2 MiB pages, reserved bits, the PDPTEs as registers;
 * PSE-36; SMEP and UMIP.
 */
#include "tests/unit/cpu_step.h"

enum {
    PT_P = 1,
    PT_W = 2,
    PT_U = 4,
    PT_A = 0x20,
    PT_D = 0x40,
    PT_PS = 0x80,
    POINTERS = 0x4020, /* PDPTEs: aligned to 32 bytes only */
    DIRS = 0x5000,     /* page directory of each quarter, one page each */
    TABLE = 0x9000,    /* of linear 0 .. 2 MiB */
    CODE = 0xb000,
    PAGE = 0x20000, /* linear, what is tried */
    FRAME = 0x30000,
};
#define PT_NX (1ull << 63)

static void put64(Machine *m, uint32_t at, uint64_t val) { test_put(m, at, &val, 8); }
static uint64_t get64(Machine *m, uint32_t at) { return load_le64(test_ram(m) + at); }

static Machine *pae_machine(unsigned cpl)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);

    test_flat(cpu, cpl);
    cpu->features.edx80000001 |= 1u << 20; /* NX */
    for (uint32_t i = 0; i < 512; i++) put64(m, TABLE + 8 * i, i << 12 | PT_P | PT_W | PT_U);
    for (uint32_t i = 0; i < 4; i++) {
        put64(m, POINTERS + 8 * i, (DIRS + i * 0x1000) | PT_P);
        put64(m, DIRS + i * 0x1000, TABLE | PT_P | PT_W | PT_U);
    }
    cpu_write_cr3(cpu, POINTERS);
    cpu_write_cr4(cpu, CR4_PAE | CR4_PGE);
    cpu->s.efer = EFER_NXE;
    cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_PG | CR0_WP);
    return m;
}

static void set_pte(Machine *m, uint32_t lin, uint64_t pte)
{
    put64(m, TABLE + (lin >> 12) * 8, pte);
    cpu_tlb_flush_page(test_cpu(m), lin);
}

/* Every combination of rights and CPL, with NX on and off, for a read, a write and a fetch. */
static void test_rights(void)
{
    for (unsigned n = 0; n < 64; n++) {
        unsigned cpl = n & 1 ? 3 : 0;
        bool w = n & 2, u = n & 4, present = n & 8, nx = n & 16, nxe = n & 32;
        Machine *m = pae_machine(cpl);
        Cpu *cpu = test_cpu(m);
        bool seen = present && (cpl == 0 || u);
        uint64_t pte = FRAME | (present ? PT_P : 0) | (w ? PT_W : 0) | (u ? PT_U : 0);
        bool reserved = present && nx && !nxe;
        FaultFrame f;

        cpu->s.efer = nxe ? EFER_NXE : 0;
        cpu_mode_changed(cpu);
        cpu_tlb_flush(cpu, true);
        set_pte(m, PAGE, pte | (nx ? PT_NX : 0));
        store_le32(test_ram(m) + FRAME, 0x90909090);
        for (int kind = 0; kind < 3; kind++) {
            bool ok = seen && !reserved && (kind == 1 ? w : kind == 2 ? !nx : true);
            uint32_t code = (present ? 1u : 0) | (kind == 1 ? 2 : 0) | (cpl ? 4 : 0) |
                            (reserved ? 8 : 0) | (kind == 2 && nxe ? 16 : 0);
            int vector;

            cpu->s.regs[R_EBX] = PAGE;
            vector = kind == 0   ? STEP(cpu, &f, 0x8b, 0x0b) /* mov ecx, [ebx] */
                     : kind == 1 ? STEP(cpu, &f, 0x88, 0x03) /* mov [ebx], al */
                                 : step(cpu, NULL, 0, PAGE + 1, &f);
            g_assert_cmpint(vector, ==, ok ? -1 : EXC_PF);
            if (!ok) g_assert_cmphex(f.code, ==, code);
        }
        machine_free(m);
    }
}

/* A page that was read is not executable for that, nor the other way round after NX goes. */
static void test_nx_after_read(void)
{
    Machine *m = pae_machine(3);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    set_pte(m, PAGE, FRAME | PT_P | PT_U | PT_NX);
    store_le32(test_ram(m) + FRAME, 0x90909090);
    cpu->s.regs[R_EBX] = PAGE;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x0b), ==, -1);
    g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, EXC_PF);
    g_assert_cmphex(f.code, ==, 0x15);
    set_pte(m, PAGE, FRAME | PT_P | PT_U);
    g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, -1);
    put64(m, DIRS, TABLE | PT_P | PT_W | PT_U | PT_NX); /* of all that it maps: stays in the TLB */
    g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, -1);
    cpu_tlb_flush(cpu, true);
    g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, EXC_PF);
    machine_free(m);
}

static void test_large(void)
{
    Machine *m = pae_machine(0);
    Cpu *cpu = test_cpu(m);
    uint32_t pde = DIRS + 0x3000 + 8; /* of c0200000 */
    FaultFrame f;

    put64(m, pde, PT_P | PT_W | PT_PS); /* physical 0 */
    store_le32(test_ram(m) + FRAME + 4, 0x12345678);
    cpu->s.regs[R_EBX] = 0xc0200000 + FRAME + 4;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x12345678);
    g_assert_cmphex(get64(m, pde) & (PT_A | PT_D), ==, PT_A);
    g_assert_cmpint(STEP(cpu, &f, 0x89, 0x03), ==, -1);
    g_assert_cmphex(get64(m, pde) & (PT_A | PT_D), ==, PT_A | PT_D);
    test_put(m, CODE, "\x8b\x03", 2);
    for (unsigned bit = 13; bit < 63; bit++) {
        if (bit >= 21 && bit < 36) continue;
        put64(m, pde, PT_P | PT_W | PT_PS | 1ull << bit);
        cpu_tlb_flush(cpu, true);
        g_assert_cmpint(step(cpu, NULL, 0, CODE, &f), ==, EXC_PF);
        g_assert_cmphex(f.code, ==, 9);
    }
    machine_free(m);
}

/* The PDPTEs are read when CR3 is written; what is in memory after that does not count. */
static void test_pointers(void)
{
    Machine *m = pae_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    cpu->s.regs[R_EBX] = 0x40000000 + PAGE;
    put64(m, POINTERS + 8, 0);
    cpu_tlb_flush(cpu, true);
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    cpu->s.regs[R_EAX] = POINTERS;
    g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x22, 0xd8), ==, -1); /* mov cr3, eax */
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, EXC_PF);
    g_assert_cmphex(f.code, ==, 0);
    test_put(m, CODE, "\x0f\x22\xd8", 3); /* mov cr3, eax */
    for (unsigned bit = 0; bit < 64; bit++) {
        bool reserved = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= 36;

        put64(m, POINTERS + 24, PT_P | (DIRS + 0x3000) | 1ull << bit);
        g_assert_cmpint(step(cpu, NULL, 0, CODE, &f), ==, reserved ? EXC_GP : -1);
        if (!reserved) continue;
        put64(m, POINTERS + 24, 1ull << bit); /* not present: nothing is checked */
        g_assert_cmpint(step(cpu, NULL, 0, CODE, &f), ==, -1);
    }
    machine_free(m);
}

/* Registers that are not known, as after a stream of another program, are loaded by a walk. */
static void test_unknown_pointers(void)
{
    Machine *m = pae_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    memset(cpu->s.pdptr, 0, sizeof(cpu->s.pdptr));
    cpu->s.pdptr_valid = 0;
    cpu_tlb_flush(cpu, true);
    cpu->s.regs[R_EBX] = PAGE;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmpuint(cpu->s.pdptr_valid, ==, 1);
    g_assert_cmphex(cpu->s.pdptr[2], ==, (DIRS + 0x2000) | PT_P);
    machine_free(m);
}

/* 4 MiB pages with bits 32 to 35 of the address in bits 13 to 16; the rest is reserved. */
static void test_pse36(void)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    test_flat(cpu, 0);
    store_le32(test_ram(m) + DIRS, PT_P | PT_W | PT_PS);
    cpu_write_cr3(cpu, DIRS);
    cpu_write_cr4(cpu, CR4_PSE);
    cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_PG);
    store_le32(test_ram(m) + FRAME, 0x5a5a5a5a);
    cpu->s.regs[R_EBX] = 0x400000 + FRAME;
    for (unsigned bit = 13; bit < 22; bit++) {
        uint64_t gpa;

        store_le32(test_ram(m) + DIRS + 4, PT_P | PT_W | PT_PS | 1u << bit);
        cpu_tlb_flush(cpu, true);
        if (bit > 16) {
            g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, EXC_PF);
            g_assert_cmphex(f.code, ==, 9);
        } else {
            g_assert_true(cpu_translate(m, 0x400000 + FRAME, &gpa));
            g_assert_cmphex(gpa, ==, FRAME | 1ull << (bit + 19));
        }
    }
    machine_free(m);
}

/* The supervisor may read a user's page, and not run what is in it. */
static void test_smep(void)
{
    Machine *m;
    Cpu *cpu;
    FaultFrame f;

    for (unsigned nxe = 0; nxe < 2; nxe++) {
        m = pae_machine(0);
        cpu = test_cpu(m);
        cpu->features.ebx7 |= 1u << 7;
        cpu->s.efer = nxe ? EFER_NXE : 0;
        set_pte(m, CODE, CODE | PT_P | PT_W);
        set_pte(m, PAGE, FRAME | PT_P | PT_W | PT_U);
        store_le32(test_ram(m) + FRAME, 0x90909090);
        g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, -1);
        cpu_write_cr4(cpu, cpu->s.cr[4] | CR4_SMEP);
        g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, EXC_PF);
        g_assert_cmphex(f.code, ==, 0x11);
        cpu->s.regs[R_EBX] = PAGE;
        g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
        g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, EXC_PF);
        set_pte(m, PAGE, FRAME | PT_P | PT_W);
        g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, -1);
        machine_free(m);
    }
    m = pae_machine(3);
    cpu = test_cpu(m);
    cpu->features.ebx7 |= 1u << 7;
    cpu_write_cr4(cpu, cpu->s.cr[4] | CR4_SMEP);
    g_assert_cmpint(STEP(cpu, &f, 0x90), ==, -1); /* the user may */
    machine_free(m);
}

static void test_umip(void)
{
    for (unsigned cpl = 0; cpl <= 3; cpl += 3) {
        Machine *m = pae_machine(cpl);
        Cpu *cpu = test_cpu(m);
        FaultFrame f;

        cpu->features.ecx7 |= 1u << 2;
        for (unsigned on = 0; on < 2; on++) {
            int vector = on && cpl ? EXC_GP : -1;

            if (on) cpu_write_cr4(cpu, cpu->s.cr[4] | CR4_UMIP);
            cpu->s.regs[R_EBX] = PAGE;
            g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0x03), ==, vector); /* sgdt [ebx] */
            g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0x0b), ==, vector); /* sidt [ebx] */
            g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0xe0), ==, vector); /* smsw eax */
            g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x00, 0xc0), ==, vector); /* sldt eax */
            g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x00, 0xc8), ==, vector); /* str eax */
        }
        machine_free(m);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pae/rights", test_rights);
    g_test_add_func("/pae/nx-after-read", test_nx_after_read);
    g_test_add_func("/pae/large", test_large);
    g_test_add_func("/pae/pointers", test_pointers);
    g_test_add_func("/pae/unknown-pointers", test_unknown_pointers);
    g_test_add_func("/pae/pse36", test_pse36);
    g_test_add_func("/pae/smep", test_smep);
    g_test_add_func("/pae/umip", test_umip);
    return g_test_run();
}
