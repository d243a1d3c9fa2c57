/* SPDX-License-Identifier: MIT */
/*
 * Paging: rights by U/S, R/W, WP and CPL with their error codes, accessed and dirty bits, large and
 * global pages, INVLPG, accesses and instructions across pages, restart after a fault, A20, #AC.
 */
#include "tests/unit/cpu_step.h"

enum {
    PT_P = 1,
    PT_W = 2,
    PT_U = 4,
    PT_A = 0x20,
    PT_D = 0x40,
    PT_PS = 0x80,
    PT_G = 0x100,
    PAGE_DIR = 0x4000, /* page directory */
    TABLE = 0x5000,    /* of linear 0 .. 4 MiB */
    CODE = 0x8000,
    PAGE = 0x20000, /* linear, what is tried */
    FRAME = 0x30000
};

static Machine *paging_machine(unsigned cpl)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);

    test_flat(cpu, cpl);
    for (uint32_t i = 0; i < 1024; i++)
        store_le32(ram + TABLE + 4 * i, i << 12 | PT_P | PT_W | PT_U);
    store_le32(ram + PAGE_DIR, TABLE | PT_P | PT_W | PT_U);
    cpu_write_cr3(cpu, PAGE_DIR);
    cpu_write_cr4(cpu, CR4_PSE | CR4_PGE);
    cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_PG);
    return m;
}

static void set_pte(Machine *m, uint32_t lin, uint32_t pte)
{
    test_put(m, TABLE + (lin >> 12) * 4, &pte, 4);
    cpu_tlb_flush_page(test_cpu(m), lin);
}

static uint32_t get_pte(Machine *m, uint32_t lin)
{
    return load_le32(test_ram(m) + TABLE + (lin >> 12) * 4);
}

/* Every combination of rights, CPL and WP, for a read, a write and a read-modify-write. */
static void test_rights(void)
{
    for (unsigned n = 0; n < 64; n++) {
        unsigned cpl = n & 1 ? 3 : 0;
        bool wp = n & 2, w = n & 4, u = n & 8, present = n & 16, dir_u = n & 32;
        Machine *m = paging_machine(cpl);
        Cpu *cpu = test_cpu(m);
        bool seen = present && (cpl == 0 || (u && dir_u));
        bool writable = seen && (w || (cpl == 0 && !wp));
        FaultFrame f;

        if (wp) cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_WP);
        /* The page is seen through a second directory entry with its own rights. */
        store_le32(test_ram(m) + PAGE_DIR + 4, TABLE | PT_P | PT_W | (dir_u ? PT_U : 0));
        set_pte(m, PAGE, FRAME | (present ? PT_P : 0) | (w ? PT_W : 0) | (u ? PT_U : 0));
        cpu->s.regs[R_EBX] = 0x400000 + PAGE + 8;
        for (int kind = 0; kind < 3; kind++) {
            int vector = kind == 0   ? STEP(cpu, &f, 0x8b, 0x03)  /* mov eax, [ebx] */
                         : kind == 1 ? STEP(cpu, &f, 0x89, 0x03)  /* mov [ebx], eax */
                                     : STEP(cpu, &f, 0x01, 0x03); /* add [ebx], eax */
            bool ok = kind ? writable : seen;

            g_assert_cmpint(vector, ==, ok ? -1 : EXC_PF);
            if (ok) continue;
            g_assert_cmphex(f.cr2, ==, 0x400000 + PAGE + 8);
            g_assert_cmphex(f.code, ==, (present ? 1u : 0) | (kind ? 2 : 0) | (cpl ? 4 : 0));
        }
        machine_free(m);
    }
}

static void test_marks(void)
{
    Machine *m = paging_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    set_pte(m, PAGE, FRAME | PT_P | PT_W);
    store_le32(test_ram(m) + PAGE_DIR, TABLE | PT_P | PT_W | PT_U);
    cpu_tlb_flush(cpu, true);
    cpu->s.regs[R_EBX] = PAGE;
    g_assert_cmpint(STEP(cpu, &f, 0x90), ==, -1);
    g_assert_cmphex(get_pte(m, PAGE) & (PT_A | PT_D), ==, 0);
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmphex(get_pte(m, PAGE) & (PT_A | PT_D), ==, PT_A);
    g_assert_cmphex(load_le32(test_ram(m) + PAGE_DIR) & PT_A, ==, PT_A);
    g_assert_cmpint(STEP(cpu, &f, 0x89, 0x03), ==, -1);
    g_assert_cmphex(get_pte(m, PAGE) & (PT_A | PT_D), ==, PT_A | PT_D);
    machine_free(m);
}

/* Until it is invalidated, an entry serves on; INVLPG of a large page takes all of it. */
static void test_large_and_global(void)
{
    Machine *m = paging_machine(0);
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);
    uint32_t big = 0x800000;
    FaultFrame f;

    store_le32(ram + PAGE_DIR + 8, 0x400000 | PT_P | PT_W | PT_PS | PT_G);
    store_le32(ram + 0x400000 + 0x12344, 0x11111111);
    store_le32(ram + 0x412344 + 0x5000, 0x22222222);
    store_le32(ram + 0xc00000 + 0x12344, 0x33333333);
    cpu->s.regs[R_EBX] = big + 0x12344;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x11111111);
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x83, 0x00, 0x50, 0, 0), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x22222222);
    g_assert_cmphex(load_le32(ram + PAGE_DIR + 8) & PT_A, ==, PT_A);
    store_le32(ram + PAGE_DIR + 8, 0xc00000 | PT_P | PT_W | PT_PS | PT_G);
    cpu_write_cr3(cpu, PAGE_DIR); /* global: stays */
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x11111111);
    cpu_tlb_flush_page(cpu, big + 0x3ff000); /* another address of the same page */
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x33333333);
    machine_free(m);
}

/* INVLPG takes one page out, in whichever order global and other entries of it were made. */
static void test_invlpg(void)
{
    Machine *m = paging_machine(0);
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);
    FaultFrame f;

    for (uint32_t i = 0; i < 16; i++) store_le32(ram + FRAME + (i << 12), i);
    cpu->s.regs[R_EBX] = PAGE;
    /* each pair of kinds, by reads and by writes */
    for (uint32_t i = 0; i < 15; i++) {
        uint32_t global = 0x59a6 >> i & 1 ? PT_G : 0;

        store_le32(ram + TABLE + (PAGE >> 12) * 4, (FRAME + (i << 12)) | PT_P | PT_W | global);
        g_assert_cmpint(STEP(cpu, &f, 0x0f, 0x01, 0x3b), ==, -1); /* invlpg [ebx] */
        g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);       /* mov eax, [ebx] */
        g_assert_cmphex(cpu->s.regs[R_EAX], ==, i);
        if (i & 4) g_assert_cmpint(STEP(cpu, &f, 0x89, 0x03), ==, -1);
        if (i & 2) cpu_write_cr3(cpu, PAGE_DIR);
        store_le32(ram + TABLE + (PAGE >> 12) * 4, (FRAME + 0xf000) | PT_P | PT_W);
        g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
        if (!(i & 2 && global)) g_assert_cmphex(cpu->s.regs[R_EAX], ==, i & 2 ? 15 : i);
    }
    machine_free(m);
}

/* An access across pages happens wholly or not at all. */
static void test_crossing(void)
{
    Machine *m = paging_machine(3);
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);
    FaultFrame f;

    set_pte(m, PAGE, FRAME | PT_P | PT_W | PT_U);
    set_pte(m, PAGE + 0x1000, 0x50000 | PT_P | PT_U);
    store_le32(ram + FRAME + 0xffe, 0);
    store_le32(ram + 0x50000, 0x04030201);
    cpu->s.regs[R_EBX] = PAGE + 0xffe;
    cpu->s.regs[R_EAX] = 0xffffffff;
    g_assert_cmpint(STEP(cpu, &f, 0x01, 0x03), ==, EXC_PF);
    g_assert_cmphex(f.cr2, ==, PAGE + 0x1000);
    g_assert_cmphex(f.code, ==, 7);
    g_assert_cmphex(load_le16(ram + FRAME + 0xffe), ==, 0);
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x02010000);
    set_pte(m, PAGE + 0x1000, 0x50000 | PT_P | PT_U | PT_W);
    cpu->s.regs[R_EAX] = 0x00010001;
    g_assert_cmpint(STEP(cpu, &f, 0x01, 0x03), ==, -1);
    g_assert_cmphex(load_le16(ram + FRAME + 0xffe), ==, 1);
    g_assert_cmphex(load_le32(ram + 0x50000), ==, 0x04030202);
    machine_free(m);
}

/* The fetch of an instruction's second page faults with that page's address; the instruction runs
 * once it is there. */
static void test_fetch(void)
{
    static const uint8_t head[] = { 0xb8, 0x11 }, tail[] = { 0x22, 0x33, 0x44 };
    Machine *m = paging_machine(3);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    set_pte(m, PAGE, FRAME | PT_P | PT_U);
    set_pte(m, PAGE + 0x1000, 0);
    test_put(m, FRAME + 0xffe, head, 2);
    test_put(m, 0x60000, tail, 3);
    test_put(m, 0x61000, "\x55\x66\x77", 3);
    g_assert_cmpint(step(cpu, NULL, 0, PAGE + 0xffe, &f), ==, EXC_PF);
    g_assert_cmphex(f.cr2, ==, PAGE + 0x1000);
    g_assert_cmphex(f.code, ==, 4);
    set_pte(m, PAGE + 0x1000, 0x60000 | PT_P | PT_U);
    g_assert_cmpint(step(cpu, NULL, 0, PAGE + 0xffe, &f), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x44332211);
    set_pte(m, PAGE + 0x1000, 0x61000 | PT_P | PT_U); /* same first page, another second one */
    g_assert_cmpint(step(cpu, NULL, 0, PAGE + 0xffe, &f), ==, -1);
    g_assert_cmphex(cpu->s.regs[R_EAX], ==, 0x77665511);
    set_pte(m, PAGE, FRAME | PT_P); /* supervisor's */
    g_assert_cmpint(step(cpu, NULL, 0, PAGE, &f), ==, EXC_PF);
    g_assert_cmphex(f.code, ==, 5);
    machine_free(m);
}

/* Faults leave every register as it was; MOVS says how far it came. */
static void test_restart(void)
{
    Machine *m = paging_machine(3);
    Cpu *cpu = test_cpu(m);
    struct CpuState before;
    FaultFrame f;

    set_pte(m, PAGE, 0);
    cpu->s.regs[R_ESP] = PAGE + 0x1008; /* the lower half of a PUSHA faults */
    cpu->s.regs[R_EDI] = PAGE - 6;
    cpu->s.regs[R_ESI] = 0x40000;
    cpu->s.regs[R_ECX] = 10;
    before = cpu->s;
    before.eip = CODE;
    g_assert_cmpint(STEP(cpu, &f, 0x60), ==, EXC_PF);
    g_assert_cmpmem(cpu->s.regs, sizeof(before.regs), before.regs, sizeof(before.regs));
    cpu->s.regs[R_ESP] = PAGE + 4;
    g_assert_cmpint(STEP(cpu, &f, 0x58), ==, EXC_PF); /* pop eax */
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, PAGE + 4);
    g_assert_cmpint(STEP(cpu, &f, 0xc8, 4, 0, 0), ==, EXC_PF); /* enter */
    g_assert_cmphex(cpu->s.regs[R_EBP], ==, before.regs[R_EBP]);
    for (int i = 0; i < 10; i++) {
        int vector = STEP(cpu, &f, 0xf3, 0xa4); /* one iteration each: the budget is one */

        g_assert_cmpint(vector, ==, i < 6 ? -1 : EXC_PF);
        g_assert_cmpuint(cpu->s.regs[R_ECX], ==, i < 6 ? 9 - i : 4);
        if (i < 6) continue;
        g_assert_cmphex(cpu->s.regs[R_EDI], ==, PAGE);
        g_assert_cmphex(cpu->s.regs[R_ESI], ==, 0x40006);
    }
    machine_free(m);
}

static void test_a20(void)
{
    Machine *m = test_machine();
    Cpu *cpu = test_cpu(m);
    uint8_t *ram = test_ram(m);
    Irq a20 = { &cpu->dev, CPU_WIRE_A20 };
    FaultFrame f;

    test_flat(cpu, 0);
    store_le32(ram + 0x1000, 1);
    store_le32(ram + 0x101000, 2);
    irq_set(&a20, true);
    g_assert_cmpint(STEP(cpu, &f, 0xa1, 0, 0x10, 0x10, 0), ==, -1);
    g_assert_cmpuint(cpu->s.regs[R_EAX], ==, 2);
    irq_set(&a20, false);
    g_assert_cmpint(STEP(cpu, &f, 0xa1, 0, 0x10, 0x10, 0), ==, -1);
    g_assert_cmpuint(cpu->s.regs[R_EAX], ==, 1);
    machine_free(m);
}

static void test_alignment(void)
{
    Machine *m = paging_machine(3);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    cpu->s.regs[R_EBX] = 0x40001;
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    cpu_write_cr0(cpu, cpu->s.cr[0] | CR0_AM);
    cpu_set_eflags(cpu, FLAG_AC, FLAG_AC);
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, EXC_AC);
    g_assert_cmpint(STEP(cpu, &f, 0x8a, 0x03), ==, -1);
    cpu->s.regs[R_ESP] = 0x40002;
    g_assert_cmpint(STEP(cpu, &f, 0x50), ==, EXC_AC);
    cpu_set_eflags(cpu, 0, FLAG_AC);
    g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
    machine_free(m);
}

/* A watched page tells of the first write only; an absent one stops the CPU before anything. */
static void test_watch(void)
{
    Machine *m = paging_machine(3);
    Cpu *cpu = test_cpu(m);
    RamBlock *ram = ram_block_find(m, "pc.ram");
    uint64_t page = FRAME >> 12;
    FaultFrame f;

    set_pte(m, PAGE, FRAME | PT_P | PT_W | PT_U);
    cpu->s.regs[R_EBX] = PAGE;
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(STEP(cpu, &f, 0x89, 0x03), ==, -1);
        g_assert_false(ram_is_clean(ram, page, WATCH_MIGRATION));
        ram_watch(ram, page, 1, WATCH_MIGRATION);
        g_assert_cmpint(STEP(cpu, &f, 0x8b, 0x03), ==, -1);
        g_assert_true(ram_is_clean(ram, page, WATCH_MIGRATION));
    }
    machine_free(m);
}

static bool no_request(void *opaque, RamBlock *b, uint64_t page)
{
    (void)opaque, (void)b, (void)page;
    return true;
}

/* inc eax; inc eax; mov ebx, [PAGE + 8], whose frame is absent; inc eax; jmp $ */
static Machine *absent_machine(void)
{
    static const PageSource source = { .request = no_request };
    static const uint8_t code[] = { 0x40, 0x40, 0x8b, 0x1d, 0x08, 0, 2, 0, 0x40, 0xeb, 0xfe };
    Machine *m = paging_machine(0);
    RamBlock *ram = ram_block_find(m, "pc.ram");

    set_pte(m, PAGE, FRAME | PT_P | PT_W | PT_U);
    test_put(m, CODE, code, sizeof(code));
    store_le32(ram->host + FRAME + 8, 77);
    test_cpu(m)->s.regs[R_EAX] = 0;
    test_cpu(m)->s.eip = CODE;
    mem_set_page_source(m, &source);
    ram_watch(ram, FRAME >> 12, 1, WATCH_ABSENT);
    return m;
}

static void absent_arrives(Machine *m)
{
    int64_t done;

    ram_page_arrived(ram_block_find(m, "pc.ram"), FRAME >> 12, NULL);
    cpu_run(m, 0, &done); /* the kick */
}

static void test_absent(void)
{
    Machine *m = absent_machine();
    Cpu *cpu = test_cpu(m);
    int64_t done;

    g_assert_cmpint(cpu_run(m, 4, &done), ==, CPU_BLOCKED);
    g_assert_cmpint(done, ==, 2);
    g_assert_cmphex(cpu->s.eip, ==, CODE + 2);
    g_assert_cmpuint(cpu->s.regs[R_EAX], ==, 2);
    absent_arrives(m);
    g_assert_cmpint(cpu_run(m, 2, &done), ==, CPU_BUDGET);
    g_assert_cmpuint(cpu->s.regs[R_EBX], ==, 77);
    g_assert_cmpuint(cpu->s.regs[R_EAX], ==, 3);
    machine_free(m);
}

/* RF is gone with the instruction that it was for, and not before that has happened. */
static void test_resume_flag(void)
{
    Machine *m = absent_machine();
    Cpu *cpu = test_cpu(m);
    int64_t done;

    cpu->s.eflags |= FLAG_RF;
    g_assert_cmpint(cpu_run(m, 4, &done), ==, CPU_BLOCKED);
    g_assert_cmpint(done, ==, 2);
    g_assert_false(cpu->s.eflags & FLAG_RF);
    cpu->s.eflags |= FLAG_RF;
    cpu_run(m, 0, &done);
    g_assert_cmpint(cpu_run(m, 4, &done), ==, CPU_BLOCKED);
    g_assert_cmpint(done, ==, 0);
    g_assert_true(cpu->s.eflags & FLAG_RF);
    absent_arrives(m);
    g_assert_cmpint(cpu_run(m, 1, &done), ==, CPU_BUDGET);
    g_assert_cmpuint(cpu->s.regs[R_EBX], ==, 77);
    g_assert_false(cpu->s.eflags & FLAG_RF);
    machine_free(m);
}

/* Stores of the x87 whose page is missing leave it as it was: nothing is popped or flagged. */
static void test_x87_stores(void)
{
    static const uint8_t modrm[][2] = { { 0xd9, 0x11 }, { 0xd9, 0x19 }, { 0xdd, 0x19 },
        { 0xdb, 0x39 }, { 0xdf, 0x31 }, { 0xdf, 0x39 }, { 0xdb, 0x11 } };
    Machine *m = paging_machine(0);
    Cpu *cpu = test_cpu(m);

    set_pte(m, PAGE, FRAME);
    for (unsigned used = 0; used < 2; used++) {
        for (unsigned i = 0; i < ARRAY_SIZE(modrm); i++) {
            FaultFrame f;

            cpu->s.regs[R_ECX] = PAGE;
            cpu->s.fpuc = 0x37f;
            cpu->s.fpus = 0;
            cpu->s.fpstt = 3;
            cpu->s.fptags = used ? 0xff : 0;
            cpu->s.fpregs[3] = (FpReg){ 0xfffffffffffffff1, 0x7ffe };
            g_assert_cmpint(step(cpu, modrm[i], 2, CODE, &f), ==, EXC_PF);
            g_assert_cmphex(cpu->s.fpus, ==, 0);
            g_assert_cmphex(cpu->s.fpstt, ==, 3);
            g_assert_cmphex(cpu->s.fptags, ==, used ? 0xff : 0);
        }
    }
    machine_free(m);
}

/* MOVS reads before it looks at where to: the source's page is the one that is told of. */
static void test_movs_order(void)
{
    Machine *m = paging_machine(0);
    Cpu *cpu = test_cpu(m);
    FaultFrame f;

    set_pte(m, PAGE, FRAME);
    cpu->s.regs[R_ESI] = PAGE;
    cpu->s.regs[R_EDI] = PAGE - 8;
    cpu->s.segs[R_ES].limit = 0xff;
    cpu_update_mode(cpu);
    g_assert_cmpint(STEP(cpu, &f, 0xa5), ==, EXC_PF);
    g_assert_cmphex(f.cr2, ==, PAGE);
    cpu->s.regs[R_ESI] = PAGE - 16;
    g_assert_cmpint(STEP(cpu, &f, 0xa5), ==, EXC_GP);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/paging/rights", test_rights);
    g_test_add_func("/paging/marks", test_marks);
    g_test_add_func("/paging/large-and-global", test_large_and_global);
    g_test_add_func("/paging/invlpg", test_invlpg);
    g_test_add_func("/paging/crossing", test_crossing);
    g_test_add_func("/paging/fetch", test_fetch);
    g_test_add_func("/paging/restart", test_restart);
    g_test_add_func("/paging/a20", test_a20);
    g_test_add_func("/paging/alignment", test_alignment);
    g_test_add_func("/paging/watch", test_watch);
    g_test_add_func("/paging/absent", test_absent);
    g_test_add_func("/paging/resume-flag", test_resume_flag);
    g_test_add_func("/paging/x87-stores", test_x87_stores);
    g_test_add_func("/paging/movs-order", test_movs_order);
    return g_test_run();
}
