/* SPDX-License-Identifier: MIT */
/* Task switches, virtual-8086 mode and debug exceptions. */
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
