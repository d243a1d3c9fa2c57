/* SPDX-License-Identifier: MIT */
/* Task switches, virtual-8086 mode and debug exceptions. */
#include "migration/migration.h"
#include "tests/unit/cpu_prot.h"

/* -- tasks -- */

/* Fills a 32-bit TSS for a task at eip, CPL 0. */
static void put_task(Machine *m, uint32_t at, uint32_t eip, uint32_t esp)
{
    static const uint16_t sels[] = { DATA0, CODE0, DATA0, DATA0, DATA0, DATA0 };

    poke32(m, at + 0x20, eip);
    poke32(m, at + 0x24, 2);
    for (unsigned i = 0; i < 8; i++) poke32(m, at + 0x28 + 4 * i, 0x1000 + i);
    poke32(m, at + 0x38, esp);
    for (unsigned i = 0; i < 6; i++) poke32(m, at + 0x48 + 4 * i, sels[i]);
    poke32(m, at + 0x60, 0);
    poke32(m, at + 0x64, 0x680000);
}

static unsigned tss_type(Machine *m, uint32_t sel) { return peek32(m, AT_GDT + sel + 4) >> 8 & 15; }

GUEST_CODE(jump_task, 32, "ljmp $0x30, $0; nop; hlt");
GUEST_CODE(call_task, 32, "lcall $0x30, $0; nop; hlt");
GUEST_CODE(call_taskgate, 32, "lcall $0x88, $0; nop; hlt");
GUEST_CODE(jump_task16, 32, "ljmp $0x38, $0; nop; hlt");
GUEST_CODE(iret_hlt, 32, "iret; hlt");
GUEST_CODE(ud2_hlt, 32, "ud2; hlt");
GUEST_CODE(int_task, 32, "int $0x40; nop; hlt");
GUEST_CODE(nop_hlt, 32, "nop; hlt");

static void test_jump_task(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, jump_task);
    put_task(m, AT_TSS_B, AT_HANDLERS, AT_STACK_B);
    cpu->s.regs[R_ESI] = 0x12345678;
    cpu->s.dr[7] = 0x4ff;
    for (unsigned i = 0; i < 4; i++) cpu->s.dr[i] = 0xfffff000;
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_HANDLERS);
    g_assert_cmphex(cpu->s.dr[7], ==, 0x4aa); /* of breakpoints the global ones are left */
    g_assert_cmphex(cpu->s.tr.selector, ==, TSS_B);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK_B);
    g_assert_cmphex(cpu->s.regs[R_EDI], ==, 0x1007);
    g_assert_true(cpu->s.cr[0] & CR0_TS);
    g_assert_cmphex(tss_type(m, TSS_A), ==, 9);
    g_assert_cmphex(tss_type(m, TSS_B), ==, 11);
    g_assert_cmphex(peek32(m, AT_TSS_A + 0x20), ==, AT_CODE + 7);
    g_assert_cmphex(peek32(m, AT_TSS_A + 0x40), ==, 0x12345678);
    g_assert_cmphex(peek16(m, AT_TSS_A + 0x4c), ==, CODE0);
    g_assert_false(cpu->s.eflags & FLAG_NT);
    machine_free(m);
}

static void check_nested(const uint8_t *code, unsigned len)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    test_poke(m, AT_CODE, code, len);
    test_poke(m, AT_CODE + 0x100, iret_hlt, 2);
    put_task(m, AT_TSS_B, AT_CODE + 0x100, AT_STACK_B);
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_CODE + 0x100);
    g_assert_true(cpu->s.eflags & FLAG_NT);
    g_assert_cmphex(peek16(m, AT_TSS_B), ==, TSS_A);
    g_assert_cmphex(tss_type(m, TSS_A), ==, 11);
    test_run(m, 1); /* back */
    g_assert_cmphex(cpu->s.eip, ==, AT_CODE + 7);
    g_assert_cmphex(cpu->s.tr.selector, ==, TSS_A);
    g_assert_cmphex(tss_type(m, TSS_A), ==, 11);
    g_assert_cmphex(tss_type(m, TSS_B), ==, 9);
    g_assert_cmphex(peek32(m, AT_TSS_B + 0x20), ==, AT_CODE + 0x101);
    g_assert_false(peek32(m, AT_TSS_B + 0x24) & FLAG_NT);
    machine_free(m);
}

static void test_call_task(void)
{
    check_nested(call_task, 9);
    check_nested(call_taskgate, 9);
}

static void test_task_16(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);
    uint32_t at = AT_TSS16;

    prot_code(m, jump_task16);
    poke16(m, at + 0x0e, AT_HANDLERS);
    poke16(m, at + 0x10, 2 | FLAG_CF);
    for (unsigned i = 0; i < 8; i++) poke16(m, at + 0x12 + 2 * i, (uint16_t)(0x2000 + i));
    poke16(m, at + 0x22, DATA0);
    poke16(m, at + 0x24, CODE0);
    poke16(m, at + 0x26, STACK16);
    poke16(m, at + 0x28, DATA0);
    cpu->s.segs[R_FS].selector = DATA3;
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_HANDLERS);
    g_assert_cmphex(cpu->s.regs[R_ECX] & 0xffff, ==, 0x2001);
    g_assert_cmphex(cpu->s.segs[R_SS].selector, ==, STACK16);
    g_assert_cmphex(cpu->s.segs[R_FS].selector, ==, 0);
    g_assert_true(cpu_get_eflags(cpu) & FLAG_CF);
    g_assert_cmphex(tss_type(m, TSS_16), ==, 3);
    machine_free(m);
}

static void test_task_faults(void)
{
    Machine *m = prot_new();

    prot_code(m, jump_task); /* busy */
    put_task(m, AT_TSS_B, AT_HANDLERS, AT_STACK_B);
    put_desc(m, AT_GDT, TSS_B, AT_TSS_B, 0x67, D_P | 0xb00);
    prot_expect_fault(m, EXC_GP, TSS_B, 0);
    machine_free(m);

    m = prot_new(); /* too short */
    prot_code(m, jump_task);
    put_desc(m, AT_GDT, TSS_B, AT_TSS_B, 0x66, D_P | 0x900);
    prot_expect_fault(m, EXC_TS, TSS_B, 0);
    machine_free(m);

    m = prot_new(); /* absent */
    prot_code(m, jump_task);
    put_desc(m, AT_GDT, TSS_B, AT_TSS_B, 0x67, 0x900);
    prot_expect_fault(m, EXC_NP, TSS_B, 0);
    machine_free(m);

    m = prot_new(); /* an absent DS faults in the incoming task */
    prot_code(m, jump_task);
    put_task(m, AT_TSS_B, AT_DATA, AT_STACK_B);
    poke32(m, AT_TSS_B + 0x54, ABSENT);
    g_assert_cmpint(prot_run(m), ==, EXC_NP);
    g_assert_cmphex(prot_stack(m, 0), ==, ABSENT);
    g_assert_cmphex(prot_stack(m, 1), ==, AT_DATA);
    g_assert_cmphex(test_cpu(m)->s.tr.selector, ==, TSS_B);
    g_assert_cmphex(test_cpu(m)->s.regs[R_ESP], ==, AT_STACK_B - 16);
    machine_free(m);

    m = prot_new(); /* so does an EIP beyond CS ... */
    prot_code(m, ud2_hlt);
    put_task(m, AT_TSS_B, 0x10000, AT_STACK_B);
    poke32(m, AT_TSS_B + 0x4c, CODE16);
    put_gate(m, AT_IDT + EXC_UD * 8, 5, 0, TSS_B, 0, 0);
    g_assert_cmpint(prot_run(m), ==, EXC_GP);
    g_assert_cmphex(prot_stack(m, 0), ==, 1); /* still of the exception's making */
    g_assert_cmphex(prot_stack(m, 1), ==, 0x10000);
    g_assert_cmphex(prot_stack(m, 2), ==, CODE16);
    machine_free(m);

    m = prot_new(); /* ... and a data segment whose RPL is too high for it */
    prot_code(m, jump_task);
    put_task(m, AT_TSS_B, AT_DATA, AT_STACK_B);
    poke32(m, AT_TSS_B + 0x54, DATA0 | 3);
    g_assert_cmpint(prot_run(m), ==, EXC_TS);
    g_assert_cmphex(prot_stack(m, 0), ==, DATA0);
    machine_free(m);

    m = prot_new(); /* IRET with NT to a TSS that is not busy */
    prot_code(m, iret_hlt);
    put_task(m, AT_TSS_B, AT_HANDLERS, AT_STACK_B);
    poke16(m, AT_TSS_A, TSS_B);
    test_cpu(m)->s.eflags |= FLAG_NT;
    prot_expect_fault(m, EXC_TS, TSS_B, 0);
    machine_free(m);
}

GUEST_CODE(bad_stack, 32, "push %eax; hlt");

/* #DF through a task gate, with its error code on the new task's stack and the old task whole. */
static void test_double_fault_task(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, bad_stack);
    put_task(m, AT_TSS_B, AT_HANDLERS + EXC_DF * HANDLER_SIZE, AT_STACK_B);
    put_gate(m, AT_IDT + EXC_DF * 8, 5, 0, TSS_B, 0, 0);
    cpu->s.segs[R_SS].limit = 0xfff;
    device_sync(&cpu->dev);
    g_assert_cmpint(prot_run(m), ==, EXC_DF);
    g_assert_cmphex(cpu->s.tr.selector, ==, TSS_B);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK_B - 4);
    g_assert_cmphex(prot_stack(m, 0), ==, 0);
    g_assert_cmphex(peek32(m, AT_TSS_A + 0x20), ==, AT_CODE);
    g_assert_cmphex(peek32(m, AT_TSS_A + 0x38), ==, AT_STACK0);
    machine_free(m);
}

static void test_task_trap(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, jump_task);
    put_task(m, AT_TSS_B, AT_DATA, AT_STACK_B);
    poke32(m, AT_TSS_B + 0x64, 0x680001);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_DATA);
    g_assert_true(cpu->s.dr[6] & 1 << 15);
    machine_free(m);
}

/* -- pages that are still to come -- */

/* Each thing in a page of its own, linear as physical; the incoming task has its own tables. */
enum {
    FAR_GDT = 0x30000,
    FAR_GDT_B = 0x31000, /* what the incoming task sees there: without the TSSs' two */
    FAR_IDT = 0x32000,
    FAR_TSS_A = 0x34ff0, /* over the end of a page */
    FAR_TSS_B = 0x36ff0,
    FAR_TSS_C = 0x38ff0,
    FAR_STACK_B = 0x3b000,
    FAR_STACK_C = 0x3c000,
    FAR_LDT = 0x3d000,
    FAR_CODE_B = 0x3e000,
    FAR_TABLES = 0x40000, /* a directory and its one table; the other task's follow */
    FAR_VECTOR = 0x40,
    TSS_C = TSS_16,
};

typedef struct Asked {
    RamBlock *block;
    uint64_t page;
} Asked;

static bool absent_request(void *opaque, RamBlock *b, uint64_t page)
{
    Asked *a = opaque;

    a->block = b;
    a->page = page;
    return true;
}

/* Accessed and dirty from the start, so that memory's bytes can be compared. */
static void put_tables(Machine *m, uint32_t at)
{
    poke32(m, at, (at + 0x1000) | 0x67);
    for (uint32_t i = 0; i < 256; i++) poke32(m, at + 0x1000 + 4 * i, i << 12 | 0x67);
}

static void far_task(Machine *m, uint32_t at, uint32_t eip, uint32_t esp, uint32_t tables)
{
    put_task(m, at, eip, esp);
    poke32(m, at + 0x1c, tables);
    poke32(m, at + 0x60, LDT);
}

typedef struct Entry {
    const char *name;
    const uint8_t *code;
    unsigned len;
    bool hard;    /* an interrupt from outside */
    bool bad_ds;  /* of the incoming task: a fault there ... */
    bool by_task; /* ... which leads to a third one */
    bool trap;    /* its T bit */
    uint16_t ends_in;
} Entry;

static Machine *absent_machine(const Entry *e)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    put_tables(m, FAR_TABLES);
    put_tables(m, FAR_TABLES + 0x2000);
    put_tables(m, FAR_TABLES + 0x4000);
    for (uint32_t sel = 8; sel < GDT_LIMIT; sel += 8) { /* code and data: accessed */
        uint32_t high = peek32(m, AT_GDT + sel + 4);

        poke32(m, FAR_GDT + sel, peek32(m, AT_GDT + sel));
        poke32(m, FAR_GDT + sel + 4, high & D_S ? high | 0x100 : high);
    }
    for (uint32_t i = 0; i < 0x200; i++) poke32(m, FAR_IDT + 4 * i, peek32(m, AT_IDT + 4 * i));
    put_desc(m, FAR_GDT, TSS_A, FAR_TSS_A, 0x67, D_P | 0xb00);
    put_desc(m, FAR_GDT, TSS_B, FAR_TSS_B, 0x67, D_P | 0x900);
    put_desc(m, FAR_GDT, TSS_C, FAR_TSS_C, 0x67, D_P | 0x900);
    put_desc(m, FAR_GDT, LDT, FAR_LDT, 0xff, D_P | 0x200);
    put_gate(m, FAR_IDT + FAR_VECTOR * 8, 5, 0, TSS_B, 0, 0);
    if (e->by_task) {
        put_gate(m, FAR_IDT + EXC_TS * 8, 5, 0, TSS_C, 0, 0);
        put_gate(m, FAR_IDT + EXC_DF * 8, 5, 0, TSS_C, 0, 0);
    }
    for (uint32_t i = 0; i < GDT_LIMIT; i += 4) poke32(m, FAR_GDT_B + i, peek32(m, FAR_GDT + i));
    put_desc(m, FAR_GDT_B, TSS_A, 0, 0, 0);
    put_desc(m, FAR_GDT_B, TSS_B, 0, 0, 0);
    poke32(m, FAR_TABLES + 0x3000 + (FAR_GDT >> 12) * 4, FAR_GDT_B | 0x67);
    far_task(m, FAR_TSS_B, FAR_CODE_B, FAR_STACK_B, FAR_TABLES + 0x2000);
    far_task(m, FAR_TSS_C, FAR_CODE_B, FAR_STACK_C, FAR_TABLES + 0x4000);
    put_desc(m, FAR_LDT, 4, 0, 0xfffff, D_FLAT | D_P | D_DATA | 0x100);
    poke32(m, FAR_TSS_B + 0x54, e->bad_ds ? DATA0 | 3 : 4);
    if (e->trap) poke32(m, FAR_TSS_B + 0x64, 0x680001);
    test_poke(m, FAR_CODE_B, nop_hlt, 2);
    poke16(m, FAR_TSS_A, TSS_B); /* of an IRET: B has called A */
    test_poke(m, AT_CODE, e->code, e->len);
    if (e->code == iret_hlt) {
        put_desc(m, FAR_GDT, TSS_B, FAR_TSS_B, 0x67, D_P | 0xb00);
        cpu->s.eflags |= FLAG_NT;
    }
    cpu->s.gdt.base = FAR_GDT;
    cpu->s.idt.base = FAR_IDT;
    cpu->s.tr.base = FAR_TSS_A;
    cpu->s.tr.limit = 0x67;
    cpu->s.cr[3] = FAR_TABLES;
    cpu->s.cr[0] |= CR0_PG;
    cpu->s.eflags |= FLAG_CF | FLAG_IF;
    cpu->s.dr[7] = 0x455;
    cpu->s.hflags2 |= HF2_NMI;
    device_sync(&cpu->dev);
    if (e->hard) {
        test_machine(m)->vector = FAR_VECTOR;
        irq_set(&(Irq){ &cpu->dev, CPU_WIRE_INTR }, true);
    }
    return m;
}

/* The step, however many pages are waited for; how many that were. */
static unsigned absent_step(Machine *m, bool absent)
{
    Cpu *cpu = test_cpu(m);
    RamBlock *ram = test_machine(m)->block;
    Asked asked = { 0 };
    PageSource source = { .request = absent_request, .opaque = &asked };
    unsigned waits = 0;
    uint8_t *memory = g_memdup2(test_ram(m), TEST_RAM);
    struct CpuState before = cpu->s;

    if (absent) {
        mem_set_page_source(m, &source);
        ram_watch(ram, 0, TEST_RAM >> PAGE_BITS, WATCH_ABSENT);
    }
    while (test_run(m, 1) == CPU_BLOCKED) {
        g_assert_true(asked.block == ram);
        if (cpu->s.interrupt_injected >= 0 && before.interrupt_injected < 0) {
            before.interrupt_injected = cpu->s.interrupt_injected; /* INTA has been: it is kept */
            before.interrupt_request = cpu->s.interrupt_request;
        }
        if (cpu->s.tr.selector != before.tr.selector && before.interrupt_injected >= 0) {
            before = cpu->s; /* an interrupt is through, its first instruction is not */
            memcpy(memory, test_ram(m), TEST_RAM);
        }
        g_assert_cmpmem(&before, sizeof(before), &cpu->s, sizeof(before));
        g_assert_cmpmem(memory, TEST_RAM, test_ram(m), TEST_RAM);
        g_assert_cmpint(test_run(m, 1), ==, CPU_BLOCKED); /* called in vain */
        g_assert_cmpmem(&before, sizeof(before), &cpu->s, sizeof(before));
        g_assert_cmpmem(memory, TEST_RAM, test_ram(m), TEST_RAM);
        ram_page_arrived(ram, asked.page, NULL);
        test_run(m, 0); /* the kick */
        waits++;
    }
    if (absent) ram_unwatch(ram, WATCH_ABSENT);
    mem_set_page_source(m, NULL);
    g_free(memory);
    return waits;
}

/* A switch that is through stays so when what comes behind it has to wait. */
static void check_absent_behind(const Entry *e)
{
    Machine *m = absent_machine(e);
    RamBlock *ram = test_machine(m)->block;
    Asked asked;
    PageSource source = { .request = absent_request, .opaque = &asked };

    mem_set_page_source(m, &source);
    ram_watch(ram, AT_HANDLERS >> PAGE_BITS, 1, WATCH_ABSENT);
    ram_watch(ram, FAR_CODE_B >> PAGE_BITS, 1, WATCH_ABSENT);
    g_assert_cmpint(test_run(m, 2), ==, CPU_BLOCKED);
    g_assert_cmphex(test_cpu(m)->s.tr.selector, ==, e->ends_in);
    machine_free(m);
}

/* Whatever page a task switch has to wait for, until then nothing has happened; and in the end it
 * is as if all had been there. */
static void test_task_absent(void)
{
    static const Entry entries[] = {
        { "jmp", jump_task, 9, .ends_in = TSS_B },
        { "call", call_task, 9, .ends_in = TSS_B },
        { "gate", call_taskgate, 9, .ends_in = TSS_B },
        { "iret", iret_hlt, 2, .ends_in = TSS_B },
        { "int", int_task, 4, .ends_in = TSS_B },
        { "hard", nop_hlt, 2, .hard = true, .ends_in = TSS_B },
        { "jmp, trap", jump_task, 9, .trap = true, .ends_in = TSS_B },
        { "jmp, fault", jump_task, 9, .bad_ds = true, .ends_in = TSS_B },
        { "int, fault by task", int_task, 4, .bad_ds = true, .by_task = true, .ends_in = TSS_C },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        const Entry *e = &entries[i];
        Machine *whole = absent_machine(e), *m = absent_machine(e);
        Error err = ERROR_INIT;
        char *one, *other;
        unsigned pages;

        g_test_message("%s", e->name);
        absent_step(whole, false);
        pages = absent_step(m, true);
        g_assert_cmpuint(pages, >=, 10);
        g_assert_cmphex(test_cpu(m)->s.tr.selector, ==, e->ends_in);
        one = machine_digest(whole, &err);
        other = machine_digest(m, &err);
        g_assert_cmpstr(one, ==, other);
        g_free(one);
        g_free(other);
        machine_free(whole);
        machine_free(m);
        check_absent_behind(e);
    }
}

/* -- v86 -- */

/* In v86 mode at AT_V86, CS = AT_V86 >> 4. */
static Machine *v86_new(uint32_t eflags, const uint8_t *code, unsigned len)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);
    uint32_t stack[] = { 0, AT_V86 >> 4, 2 | FLAG_VM | eflags, 0x800, AT_V86 >> 4, 0x1111, 0x2222,
        0x3333, 0x4444 };

    test_poke(m, AT_V86, code, len);
    test_poke(m, AT_CODE, iret_hlt, 2);
    cpu->s.regs[R_ESP] = AT_DATA;
    test_poke(m, AT_DATA, stack, sizeof(stack));
    test_run(m, 1);
    g_assert_true(cpu_v86(cpu));
    g_assert_cmphex(cpu->s.segs[R_GS].selector, ==, 0x4444);
    g_assert_cmphex(cpu->s.segs[R_GS].base, ==, 0x44440);
    g_assert_cmphex(cpu->s.segs[R_CS].flags, ==, 0xf300);
    return m;
}
#define V86(name, bits, eflags) v86_new(eflags, name, (unsigned)(name##_end - name))

GUEST_CODE(v86_int, 16, "int $0x21; hlt");
GUEST_CODE(v86_cli, 16, "cli; pushf; sti; hlt");
GUEST_CODE(v86_segment, 16, "mov $0x123, %ax; mov %ax, %ds; mov %ds:4, %bx; hlt");

static void test_v86_int(void)
{
    Machine *m = V86(v86_int, 16, FLAG_IOPL | FLAG_IF);
    Cpu *cpu = test_cpu(m);

    put_idt(m, 0x21, 14, 3, CODE0);
    g_assert_cmpint(prot_run(m), ==, 0x21);
    g_assert_false(cpu_v86(cpu));
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK0 - 36);
    g_assert_cmphex(prot_stack(m, 0), ==, 2);
    g_assert_cmphex(prot_stack(m, 1), ==, AT_V86 >> 4);
    g_assert_cmphex(prot_stack(m, 2), ==, 2 | FLAG_VM | FLAG_IOPL | FLAG_IF);
    g_assert_cmphex(prot_stack(m, 3), ==, 0x800);
    g_assert_cmphex(prot_stack(m, 5), ==, 0x1111);
    g_assert_cmphex(prot_stack(m, 8), ==, 0x4444);
    g_assert_cmphex(cpu->s.segs[R_DS].selector, ==, 0);
    machine_free(m);

    m = V86(v86_int, 16, 0); /* IOPL 0: to the monitor */
    g_assert_cmpint(prot_run(m), ==, EXC_GP);
    g_assert_cmphex(prot_stack(m, 0), ==, 0);
    g_assert_cmphex(prot_stack(m, 1), ==, 0);
    machine_free(m);
}

static void test_v86_vme(void)
{
    Machine *m = V86(v86_int, 16, FLAG_VIF);
    Cpu *cpu = test_cpu(m);

    cpu->s.cr[4] |= CR4_VME;
    poke32(m, 0x21 * 4, (AT_V86 >> 4) << 16 | 0x40); /* the v86 task's own vector */
    test_run(m, 1);
    g_assert_true(cpu_v86(cpu));
    g_assert_cmphex(cpu->s.eip, ==, 0x40);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, 0x800 - 6);
    g_assert_cmphex(peek16(m, AT_V86 + 0x7fe), ==, 2 | FLAG_IOPL | FLAG_IF);
    g_assert_false(cpu->s.eflags & FLAG_VIF);
    machine_free(m);

    m = V86(v86_int, 16, 0); /* the redirection bit is set: to the monitor */
    test_cpu(m)->s.cr[4] |= CR4_VME;
    poke32(m, AT_TSS_A + 0x68 + 4, 1 << 1);
    g_assert_cmpint(prot_run(m), ==, EXC_GP);
    machine_free(m);
}

static void test_v86_flags(void)
{
    Machine *m = V86(v86_cli, 16, FLAG_VIF | FLAG_IF);
    Cpu *cpu = test_cpu(m);

    cpu->s.cr[4] |= CR4_VME;
    test_run(m, 2);
    g_assert_false(cpu->s.eflags & FLAG_VIF);
    g_assert_true(cpu->s.eflags & FLAG_IF);
    g_assert_cmphex(peek16(m, AT_V86 + 0x7fe), ==, 2 | FLAG_IOPL);
    test_run(m, 1);
    g_assert_true(cpu->s.eflags & FLAG_VIF);
    g_assert_cmpint(prot_run(m), ==, EXC_GP); /* HLT is privileged */
    machine_free(m);

    m = V86(v86_cli, 16, 0);
    g_assert_cmpint(prot_run(m), ==, EXC_GP);
    machine_free(m);
}

static void test_v86_segments(void)
{
    Machine *m = V86(v86_segment, 16, 0);

    poke16(m, 0x1234, 0xabcd);
    test_run(m, 3);
    g_assert_cmphex(test_cpu(m)->s.regs[R_EBX] & 0xffff, ==, 0xabcd);
    machine_free(m);
}

/* -- debug exceptions -- */

GUEST_CODE(steps, 32, "nop; nop; hlt");
GUEST_CODE(popf_tf, 32, "popf; nop; nop; hlt");
GUEST_CODE(writes, 32, "mov %eax, (%ecx); nop; mov (%ecx), %eax; nop; hlt");
GUEST_CODE(read_dr, 32, "mov %dr0, %eax; hlt");
GUEST_CODE(io, 32, "out %al, $0x80; nop; hlt");

static void test_single_step(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, steps);
    cpu_set_eflags(cpu, FLAG_TF, FLAG_TF);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 1);
    g_assert_true(prot_stack(m, 2) & FLAG_TF);
    g_assert_cmphex(cpu->s.dr[6] & 0xf00f, ==, 1 << 14);
    machine_free(m);

    m = prot_new(); /* the instruction after the one that sets TF */
    cpu = test_cpu(m);
    prot_code(m, popf_tf);
    cpu->s.regs[R_ESP] = AT_DATA;
    poke32(m, AT_DATA, 2 | FLAG_TF);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 2);
    machine_free(m);
}

GUEST_CODE(int_nop, 32, "int $0x80; nop; hlt");

/* A software interrupt is stepped over: its handler is not trapped. */
static void test_step_over_int(void)
{
    Machine *m = prot_new();

    prot_code(m, int_nop);
    cpu_set_eflags(test_cpu(m), FLAG_TF, FLAG_TF);
    g_assert_cmpint(prot_run(m), ==, 0x80);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 2);
    g_assert_true(prot_stack(m, 2) & FLAG_TF);
    machine_free(m);
}

/* RF that IRET loads is in force, and in the frame of the trap that comes before it is used up. */
static void test_step_keeps_rf(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);
    uint32_t at = AT_STACK0 - 12;

    prot_code(m, iret_hlt);
    poke32(m, at, AT_CODE + 8);
    poke32(m, at + 4, CODE0);
    poke32(m, at + 8, 2 | FLAG_RF);
    cpu->s.regs[R_ESP] = at;
    cpu_set_eflags(cpu, FLAG_TF, FLAG_TF);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 8);
    g_assert_true(prot_stack(m, 2) & FLAG_RF);
    machine_free(m);
}

static void set_breakpoint(Cpu *cpu, uint32_t addr, uint32_t kind, uint32_t len)
{
    cpu->s.dr[0] = addr;
    cpu->s.dr[7] = 0x400 | 2 | kind << 16 | len << 18;
    device_sync(&cpu->dev);
}

static void test_code_breakpoint(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, steps);
    set_breakpoint(cpu, AT_CODE + 1, 0, 0);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 1);
    g_assert_cmphex(cpu->s.dr[6] & 0xf00f, ==, 1);
    machine_free(m);

    m = prot_new(); /* RF lets it pass */
    cpu = test_cpu(m);
    prot_code(m, steps);
    set_breakpoint(cpu, AT_CODE, 0, 0);
    cpu->s.eflags |= FLAG_RF;
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_CODE + 1);
    g_assert_false(cpu->s.eflags & FLAG_RF);
    machine_free(m);
}

static void test_data_breakpoint(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, writes);
    cpu->s.regs[R_ECX] = AT_DATA + 2;
    set_breakpoint(cpu, AT_DATA + 4, 1, 3);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 2);
    machine_free(m);

    m = prot_new(); /* a read does not hit a write breakpoint */
    cpu = test_cpu(m);
    prot_code(m, writes);
    cpu->s.regs[R_ECX] = AT_DATA;
    set_breakpoint(cpu, AT_DATA + 4, 1, 3);
    test_run(m, 100);
    g_assert_cmphex(cpu->s.eip, ==, AT_CODE + 7);
    machine_free(m);

    m = prot_new(); /* but a read-write one */
    cpu = test_cpu(m);
    prot_code(m, writes);
    cpu->s.regs[R_ECX] = AT_DATA;
    test_run(m, 2);
    set_breakpoint(cpu, AT_DATA, 3, 0);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 5);
    machine_free(m);
}

static void test_io_breakpoint(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, io);
    cpu->s.cr[4] |= CR4_DE;
    set_breakpoint(cpu, 0x80, 2, 0);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 2);
    machine_free(m);
}

static void test_general_detect(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, read_dr);
    cpu->s.dr[7] = 0x2400;
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE);
    g_assert_true(cpu->s.dr[6] & 1 << 13);
    g_assert_cmphex(cpu->s.dr[7], ==, 0x400);
    machine_free(m);
}

GUEST_CODE(ss_watched, 32, "mov (%ecx), %ss; nop; nop; hlt");

/* A data breakpoint on a load of SS waits for the next instruction's end. */
static void test_ss_holds_trap(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, ss_watched);
    poke32(m, AT_DATA, DATA0);
    cpu->s.regs[R_ECX] = AT_DATA;
    set_breakpoint(cpu, AT_DATA, 3, 1);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 3);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/task/jump", test_jump_task);
    g_test_add_func("/cpu/task/call", test_call_task);
    g_test_add_func("/cpu/task/16-bit", test_task_16);
    g_test_add_func("/cpu/task/faults", test_task_faults);
    g_test_add_func("/cpu/task/double-fault", test_double_fault_task);
    g_test_add_func("/cpu/task/absent", test_task_absent);
    g_test_add_func("/cpu/task/trap", test_task_trap);
    g_test_add_func("/cpu/v86/int", test_v86_int);
    g_test_add_func("/cpu/v86/vme", test_v86_vme);
    g_test_add_func("/cpu/v86/flags", test_v86_flags);
    g_test_add_func("/cpu/v86/segments", test_v86_segments);
    g_test_add_func("/cpu/debug/step", test_single_step);
    g_test_add_func("/cpu/debug/step-over-int", test_step_over_int);
    g_test_add_func("/cpu/debug/step-keeps-rf", test_step_keeps_rf);
    g_test_add_func("/cpu/debug/code", test_code_breakpoint);
    g_test_add_func("/cpu/debug/data", test_data_breakpoint);
    g_test_add_func("/cpu/debug/io", test_io_breakpoint);
    g_test_add_func("/cpu/debug/general-detect", test_general_detect);
    g_test_add_func("/cpu/debug/ss", test_ss_holds_trap);
    return g_test_run();
}
