/* SPDX-License-Identifier: MIT */
/* Protection: segment loads and limits, far transfers, gates, interrupts, shadows, SYSENTER. */
#include "tests/unit/cpu_prot.h"

/* -- segment loads -- */

GUEST_CODE(load_ds, 32, "mov %ax, %ds; nop; hlt");
GUEST_CODE(load_ss, 32, "mov %ax, %ss; nop; hlt");

static void check_load(
    const uint8_t *code, unsigned len, bool ring3, uint16_t sel, int vector, uint32_t error)
{
    Machine *m = prot_new();

    test_poke(m, AT_CODE, code, len);
    if (ring3) prot_ring3(m, 0);
    test_cpu(m)->s.regs[R_EAX] = sel;
    if (vector < 0) {
        test_run(m, 1);
        g_assert_cmphex(test_cpu(m)->s.eip, ==, AT_CODE + 2);
    } else {
        prot_expect_fault(m, vector, error, 0);
    }
    machine_free(m);
}
#define DS_LOAD(...) check_load(load_ds, 3, __VA_ARGS__)
#define SS_LOAD(...) check_load(load_ss, 3, __VA_ARGS__)

static void test_segment_loads(void)
{
    DS_LOAD(false, 0, -1, 0);
    DS_LOAD(false, 3, -1, 0);
    DS_LOAD(false, DATA3, -1, 0);
    DS_LOAD(false, READONLY, -1, 0);
    DS_LOAD(false, CODE0, -1, 0);
    DS_LOAD(false, ABSENT, EXC_NP, ABSENT);
    DS_LOAD(false, EXECONLY, EXC_GP, EXECONLY);
    DS_LOAD(false, TSS_B, EXC_GP, TSS_B);
    DS_LOAD(false, DATA0 | 3, EXC_GP, DATA0);
    DS_LOAD(false, GDT_LIMIT + 1, EXC_GP, GDT_LIMIT + 1);
    DS_LOAD(false, 0x0c, EXC_GP, 0x0c); /* no LDT */
    DS_LOAD(true, DATA0, EXC_GP, DATA0);
    DS_LOAD(true, DATA3, -1, 0);
    DS_LOAD(true, CONFORMING, -1, 0);
    SS_LOAD(false, 0, EXC_GP, 0);
    SS_LOAD(false, DATA0, -1, 0);
    SS_LOAD(false, DATA3, EXC_GP, DATA3 & ~3);
    SS_LOAD(false, READONLY, EXC_GP, READONLY);
    SS_LOAD(false, CODE0, EXC_GP, CODE0);
    SS_LOAD(false, ABSENT, EXC_SS, ABSENT);
    SS_LOAD(true, DATA3, -1, 0);
}

/* A table may end in the middle of a descriptor, which is then none. */
static void test_table_limits(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, load_ds);
    cpu->s.regs[R_EAX] = READONLY;
    cpu->s.gdt.limit = READONLY + 7;
    test_run(m, 1);
    g_assert_cmphex(cpu->s.segs[R_DS].selector, ==, READONLY);
    machine_free(m);

    m = prot_new();
    prot_code(m, load_ds);
    test_cpu(m)->s.regs[R_EAX] = READONLY;
    test_cpu(m)->s.gdt.limit = READONLY + 6;
    prot_expect_fault(m, EXC_GP, READONLY, 0);
    machine_free(m);
}

GUEST_CODE(store_tables, 32, "data16 sgdt 0x5000; data16 sidt 0x5010; hlt");

/* With a 16-bit operand, too, SGDT and SIDT store all of the base. */
static void test_store_tables(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, store_tables);
    cpu->s.gdt.base = 0x12345678;
    cpu->s.idt.base = 0xfedcba98;
    g_assert_cmpint(test_run(m, 1000), ==, CPU_HALTED);
    g_assert_cmphex(peek32(m, AT_DATA + 2), ==, 0x12345678);
    g_assert_cmphex(peek32(m, AT_DATA + 0x12), ==, 0xfedcba98);
    machine_free(m);
}

GUEST_CODE(rep_movsb, 32, "rep movsb; hlt");
GUEST_CODE(rep_stosb, 32, "rep stosb; hlt");
GUEST_CODE(rep_scasb, 32, "repne scasb; hlt");

/* A repeated string instruction goes as far as its segment and no further. */
static void check_string_end(const uint8_t *code, int seg)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    test_poke(m, AT_CODE, code, 3);
    cpu->s.regs[R_EAX] = 0x55;
    cpu->s.regs[R_ECX] = 64;
    cpu->s.regs[R_ESI] = cpu->s.regs[R_EDI] = AT_DATA;
    cpu->s.segs[seg].limit = AT_DATA + 23;
    device_sync(&cpu->dev);
    prot_expect_fault(m, EXC_GP, 0, 0);
    g_assert_cmpuint(cpu->s.regs[R_ECX], ==, 40);
    machine_free(m);
}

static void test_string_ends(void)
{
    check_string_end(rep_movsb, R_DS);
    check_string_end(rep_movsb, R_ES);
    check_string_end(rep_stosb, R_ES);
    check_string_end(rep_scasb, R_ES);
}

static void test_accessed(void)
{
    Machine *m = prot_new();

    prot_code(m, load_ds);
    test_cpu(m)->s.regs[R_EAX] = DATA3;
    g_assert_cmphex(peek32(m, AT_GDT + (DATA3 & ~7) + 4) & 0x100, ==, 0);
    test_run(m, 1);
    g_assert_cmphex(peek32(m, AT_GDT + (DATA3 & ~7) + 4) & 0x100, ==, 0x100);
    g_assert_cmphex(test_cpu(m)->s.segs[R_DS].flags, ==, 0x00cff300);
    machine_free(m);
}

/* -- limits and rights -- */

GUEST_CODE(access_read, 32, "mov %ax, %ds; mov (%ecx), %edx; hlt");
GUEST_CODE(access_write, 32, "mov %ax, %ds; mov %edx, (%ecx); hlt");
GUEST_CODE(access_stack, 32, "mov %ax, %ss; mov (%ebp), %edx; hlt");

static void check_access(const uint8_t *code, unsigned len, uint16_t sel, uint32_t off, int vector)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    test_poke(m, AT_CODE, code, len);
    cpu->s.regs[R_EAX] = sel;
    cpu->s.regs[R_ECX] = cpu->s.regs[R_EBP] = off;
    cpu->s.regs[R_ESP] = 0x6000; /* above DOWN's limit */
    if (vector >= 0) {
        prot_expect_fault(m, vector, 0, 2);
    } else {
        test_run(m, 100);
        g_assert_cmphex(cpu->s.eip, ==, AT_CODE + len);
    }
    machine_free(m);
}
#define READS(...) check_access(access_read, (unsigned)(access_read_end - access_read), __VA_ARGS__)
#define WRITES(...)                                                                                \
    check_access(access_write, (unsigned)(access_write_end - access_write), __VA_ARGS__)
#define STACKS(...)                                                                                \
    check_access(access_stack, (unsigned)(access_stack_end - access_stack), __VA_ARGS__)

static void test_limits(void)
{
    READS(DATA0, AT_DATA, -1);
    READS(0, AT_DATA, EXC_GP);
    READS(STACK16, 0xfffc, -1);
    READS(STACK16, 0xfffd, EXC_GP);
    READS(STACK16, 0x10000, EXC_GP);
    READS(STACK16, 0xffffffff, EXC_GP);
    READS(READONLY, AT_DATA, -1);
    WRITES(READONLY, AT_DATA, EXC_GP);
    WRITES(CODE0, AT_DATA, EXC_GP);
    READS(DOWN, 0x5000, -1);
    READS(DOWN, 0x4fff, EXC_GP);
    READS(DOWN, 0x4ffd, EXC_GP);
    STACKS(DOWN, 0x5000, -1);
    STACKS(DOWN, 0x4000, EXC_SS);
}

/* -- far transfers -- */

GUEST_CODE(jump_gate, 32, "ljmp $0x48, $0; hlt");
GUEST_CODE(jump_conforming, 32, "ljmp $0x50, $0x3000; hlt");
GUEST_CODE(jump_ring0, 32, "ljmp $0x08, $0x3000; hlt");
GUEST_CODE(jump_null, 32, "ljmp $0, $0x3000; hlt");
GUEST_CODE(jump_limit, 32, "ljmp $0x78, $0x12345; hlt");
GUEST_CODE(call_gate, 32, "push $0x11; push $0x22; lcall $0x48, $0; hlt");

GUEST_CODE(jump_rpl, 32, "ljmp $0x0b, $0x4000; hlt");

static void test_jumps(void)
{
    Machine *m = prot_new();

    prot_code(m, jump_rpl); /* a selector that asks for less than it is given */
    prot_expect_fault(m, EXC_GP, CODE0, 0);
    machine_free(m);

    m = prot_new();
    prot_code(m, jump_conforming);
    prot_ring3(m, 0);
    test_run(m, 1);
    g_assert_cmphex(test_cpu(m)->s.segs[R_CS].selector, ==, CONFORMING | 3);
    g_assert_cmpuint(cpu_cpl(test_cpu(m)), ==, 3);
    machine_free(m);

    m = prot_new();
    prot_code(m, jump_ring0);
    prot_ring3(m, 0);
    prot_expect_fault(m, EXC_GP, CODE0, 0);
    g_assert_cmphex(prot_stack(m, 2), ==, CODE3);
    machine_free(m);

    m = prot_new();
    prot_code(m, jump_null);
    prot_expect_fault(m, EXC_GP, 0, 0);
    machine_free(m);

    m = prot_new();
    prot_code(m, jump_limit);
    prot_expect_fault(m, EXC_GP, 0, 0);
    machine_free(m);
}

static void test_jump_through_gate(void)
{
    Machine *m = prot_new();

    prot_code(m, jump_gate);
    put_gate(m, AT_GDT + GATE, 12, 0, CODE0, AT_HANDLERS + 0x100 * HANDLER_SIZE - HANDLER_SIZE, 0);
    g_assert_cmpint(prot_run(m), ==, 0xff);
    machine_free(m);

    m = prot_new(); /* a jump may not raise privilege */
    prot_code(m, jump_gate);
    put_gate(m, AT_GDT + GATE, 12, 3, CODE0, AT_HANDLERS, 0);
    prot_ring3(m, 0);
    prot_expect_fault(m, EXC_GP, CODE0, 0);
    machine_free(m);
}

static void test_call_gate_inner(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, call_gate);
    put_gate(m, AT_GDT + GATE, 12, 3, CODE0, AT_HANDLERS + 0xff * HANDLER_SIZE, 2);
    prot_ring3(m, 0);
    g_assert_cmpint(prot_run(m), ==, 0xff);
    g_assert_cmpuint(cpu_cpl(cpu), ==, 0);
    g_assert_cmphex(cpu->s.segs[R_CS].selector, ==, CODE0);
    g_assert_cmphex(cpu->s.segs[R_SS].selector, ==, DATA0);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK0 - 24);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 11);
    g_assert_cmphex(prot_stack(m, 1), ==, CODE3);
    g_assert_cmphex(prot_stack(m, 2), ==, 0x22);
    g_assert_cmphex(prot_stack(m, 3), ==, 0x11);
    g_assert_cmphex(prot_stack(m, 4), ==, AT_STACK3 - 8);
    g_assert_cmphex(prot_stack(m, 5), ==, DATA3);
    machine_free(m);
}

static void test_call_gate_16(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, call_gate);
    put_gate(m, AT_GDT + GATE, 4, 3, CODE0, AT_HANDLERS + 0xff * HANDLER_SIZE, 1);
    prot_ring3(m, 0);
    g_assert_cmpint(prot_run(m), ==, 0xff);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK0 - 10);
    g_assert_cmphex(prot_stack(m, 0), ==, CODE3 << 16 | (AT_CODE + 11));
    g_assert_cmphex(prot_stack(m, 1), ==, (uint32_t)(AT_STACK3 - 8) << 16 | 0x22);
    machine_free(m);
}

static void test_gate_faults(void)
{
    Machine *m = prot_new();

    prot_code(m, jump_gate); /* DPL 0 from CPL 3 */
    put_gate(m, AT_GDT + GATE, 12, 0, CODE0, AT_HANDLERS, 0);
    prot_ring3(m, 0);
    prot_expect_fault(m, EXC_GP, GATE, 0);
    machine_free(m);

    m = prot_new();
    prot_code(m, jump_gate);
    put_gate(m, AT_GDT + GATE, 12, 3, CODE0, AT_HANDLERS, 0);
    poke32(m, AT_GDT + GATE + 4, peek32(m, AT_GDT + GATE + 4) & ~(uint32_t)D_P);
    prot_expect_fault(m, EXC_NP, GATE, 0);
    machine_free(m);

    m = prot_new();
    prot_code(m, jump_gate);
    put_gate(m, AT_GDT + GATE, 12, 3, 0, AT_HANDLERS, 0);
    prot_expect_fault(m, EXC_GP, 0, 0);
    machine_free(m);

    m = prot_new();
    prot_code(m, jump_gate);
    put_gate(m, AT_GDT + GATE, 12, 3, DATA0, AT_HANDLERS, 0);
    prot_expect_fault(m, EXC_GP, DATA0, 0);
    machine_free(m);
}

/* CPL 0 -> 3 and back by a gate, parameters dropped on both stacks. */
GUEST_CODE(far_returns, 32,
    "mov %ax, %ds; mov %ax, %es; mov %cx, %fs; push $0x23; push $0x8f00; push $0x1b; push $1f - "
    "far_returns + 0x4000; lret; hlt; 1: nop");

static void test_return_outer(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, far_returns);
    cpu->s.regs[R_EAX] = DATA0;
    cpu->s.regs[R_ECX] = CONFORMING;
    test_run(m, 9);
    g_assert_cmpuint(cpu_cpl(cpu), ==, 3);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, 0x8f00);
    g_assert_cmphex(cpu->s.segs[R_SS].selector, ==, DATA3);
    g_assert_cmphex(cpu->s.segs[R_DS].selector, ==, 0); /* DPL 0 data is taken away ... */
    g_assert_cmphex(cpu->s.segs[R_ES].selector, ==, 0);
    g_assert_cmphex(cpu->s.segs[R_FS].selector, ==, CONFORMING); /* ... conforming code is not */
    machine_free(m);
}

GUEST_CODE(return_params, 32, "lret $8; hlt");

static void test_return_params(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, return_params);
    cpu->s.regs[R_ESP] = AT_DATA;
    poke32(m, AT_DATA, AT_CODE + 3);
    poke32(m, AT_DATA + 4, CODE3);
    poke32(m, AT_DATA + 16, AT_STACK3);
    poke32(m, AT_DATA + 20, DATA3);
    test_run(m, 1);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK3 + 8);
    machine_free(m);

    m = prot_new(); /* the new SS is bad: nothing has happened */
    cpu = test_cpu(m);
    prot_code(m, return_params);
    cpu->s.regs[R_ESP] = AT_DATA;
    poke32(m, AT_DATA, AT_CODE + 3);
    poke32(m, AT_DATA + 4, CODE3);
    poke32(m, AT_DATA + 16, AT_STACK3);
    poke32(m, AT_DATA + 20, DATA0);
    prot_expect_fault(m, EXC_GP, DATA0, 0);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_DATA - 16);
    machine_free(m);
}

/* -- interrupts -- */

GUEST_CODE(int_80, 32, "int $0x80; hlt");
GUEST_CODE(int_3, 32, "int3; hlt");
GUEST_CODE(icebp, 32, ".byte 0xf1; hlt");

static void test_int_inner(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, int_80);
    put_idt(m, 0x80, 15, 3, CODE0);
    prot_ring3(m, FLAG_IF | FLAG_CF);
    g_assert_cmpint(prot_run(m), ==, 0x80);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK0 - 20);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 2);
    g_assert_cmphex(prot_stack(m, 1), ==, CODE3);
    g_assert_cmphex(prot_stack(m, 2), ==, 2 | FLAG_IF | FLAG_CF);
    g_assert_cmphex(prot_stack(m, 3), ==, AT_STACK3);
    g_assert_cmphex(prot_stack(m, 4), ==, DATA3);
    g_assert_true(cpu->s.eflags & FLAG_IF); /* a trap gate */
    machine_free(m);
}

/* The inner stack's place in the TSS must be there to its last byte. */
static void test_int_short_tss(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, int_80);
    put_idt(m, 0x80, 14, 3, CODE0);
    prot_ring3(m, 0);
    cpu->s.tr.limit = 9;
    g_assert_cmpint(prot_run(m), ==, 0x80);
    machine_free(m);

    m = prot_new();
    cpu = test_cpu(m);
    prot_code(m, int_80);
    put_idt(m, 0x80, 14, 3, CODE0);
    put_gate(m, AT_IDT + EXC_TS * 8, 5, 0, TSS_B, 0, 0); /* by a task: there is no stack */
    for (unsigned i = 0; i < 6; i++)
        poke32(m, AT_TSS_B + 0x48 + 4 * i, i == R_CS ? (uint32_t)CODE0 : (uint32_t)DATA0);
    poke32(m, AT_TSS_B + 0x20, AT_HANDLERS + EXC_TS * HANDLER_SIZE);
    poke32(m, AT_TSS_B + 0x38, AT_STACK_B);
    prot_ring3(m, 0);
    cpu->s.tr.limit = 8;
    g_assert_cmpint(prot_run(m), ==, EXC_TS);
    g_assert_cmphex(prot_stack(m, 0), ==, TSS_A);
    machine_free(m);
}

GUEST_CODE(iret_flags, 32, "iret; hlt");
GUEST_CODE(popf_flags, 32, "popf; hlt");

/* IF can be changed where CPL is not above IOPL, IOPL never but at CPL 0. */
static void check_iopl(const uint8_t *code, unsigned len, bool iret, unsigned iopl)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);
    uint32_t at = AT_STACK3;

    test_poke(m, AT_CODE, code, len);
    prot_ring3(m, iopl << 12);
    if (iret) {
        poke32(m, at, AT_CODE + 0x10);
        poke32(m, at + 4, CODE3);
        at += 8;
    }
    poke32(m, at, 2 | FLAG_IF);
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_CODE + (iret ? 0x10 : 1));
    g_assert_cmphex(cpu->s.eflags & (FLAG_IF | FLAG_IOPL), ==,
        iopl << 12 | (iopl == 3 ? (unsigned)FLAG_IF : 0));
    machine_free(m);
}

static void test_iopl(void)
{
    for (unsigned iopl = 0; iopl < 4; iopl++) {
        check_iopl(iret_flags, 2, true, iopl);
        check_iopl(popf_flags, 2, false, iopl);
    }
}

static void test_int_gate_16(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, int_80);
    put_idt(m, 0x80, 6, 0, CODE0);
    cpu->s.eflags |= FLAG_IF;
    g_assert_cmpint(prot_run(m), ==, 0x80);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK0 - 6);
    g_assert_cmphex(prot_stack(m, 0), ==, CODE0 << 16 | (AT_CODE + 2));
    g_assert_cmphex(peek16(m, AT_STACK0 - 2), ==, 2 | FLAG_IF);
    g_assert_false(cpu->s.eflags & FLAG_IF);
    machine_free(m);
}

static void test_int_faults(void)
{
    Machine *m = prot_new();

    prot_code(m, int_80); /* gate DPL 0 */
    prot_ring3(m, 0);
    prot_expect_fault(m, EXC_GP, 0x80 * 8 + 2, 0);
    machine_free(m);

    m = prot_new();
    prot_code(m, int_80);
    poke32(m, AT_IDT + 0x80 * 8 + 4, 0xe00);
    prot_expect_fault(m, EXC_NP, 0x80 * 8 + 2, 0);
    machine_free(m);

    m = prot_new(); /* beyond the limit */
    prot_code(m, int_80);
    test_cpu(m)->s.idt.limit = 0x80 * 8 + 6;
    prot_expect_fault(m, EXC_GP, 0x80 * 8 + 2, 0);
    machine_free(m);

    m = prot_new(); /* the gate's segment is data */
    prot_code(m, int_80);
    put_idt(m, 0x80, 14, 3, DATA0);
    prot_expect_fault(m, EXC_GP, DATA0, 0);
    machine_free(m);

    m = prot_new(); /* INT3 checks the gate's DPL, ICEBP does not */
    prot_code(m, int_3);
    prot_ring3(m, 0);
    prot_expect_fault(m, EXC_GP, 3 * 8 + 2, 0);
    machine_free(m);
    m = prot_new();
    prot_code(m, icebp);
    prot_ring3(m, 0);
    g_assert_cmpint(prot_run(m), ==, EXC_DB);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 1);
    machine_free(m);
}

/* A bad SS0 in the TSS: #TS, taken by a handler of CPL 3. */
static void test_int_bad_stack(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, int_80);
    put_idt(m, 0x80, 14, 3, CODE0);
    put_idt(m, EXC_TS, 14, 3, CODE3 & ~3);
    poke32(m, AT_TSS_A + 8, DATA3);
    prot_ring3(m, FLAG_IOPL); /* HLT would fault otherwise: it does, with #GP through SS0 again */
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_HANDLERS + EXC_TS * HANDLER_SIZE);
    g_assert_cmphex(prot_stack(m, 0), ==, DATA3 & ~3);
    g_assert_cmphex(prot_stack(m, 1), ==, AT_CODE);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK3 - 16);
    machine_free(m);
}

/* -- hardware interrupts, NMI, shadows -- */

GUEST_CODE(sti_nop, 32, "sti; nop; nop; hlt");
GUEST_CODE(ss_nop, 32, "mov %ax, %ss; nop; nop; hlt");
GUEST_CODE(nop_iret, 32, "nop; iret");

static void raise_wire(Machine *m, int line)
{
    Irq irq = { device_find(m, "cpu0"), line };

    irq_set(&irq, true);
}

static void test_sti_shadow(void)
{
    Machine *m = prot_new();

    prot_code(m, sti_nop);
    test_machine(m)->vector = 0x40;
    raise_wire(m, CPU_WIRE_INTR);
    g_assert_cmpint(prot_run(m), ==, 0x40);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 2); /* one instruction after STI */
    machine_free(m);
}

static void test_ss_shadow(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, ss_nop);
    cpu->s.regs[R_EAX] = DATA0;
    test_run(m, 1);
    cpu_set_eflags(cpu, FLAG_IF, FLAG_IF);
    test_machine(m)->vector = 0x40;
    raise_wire(m, CPU_WIRE_INTR);
    g_assert_cmpint(prot_run(m), ==, 0x40);
    g_assert_cmphex(prot_stack(m, 0), ==, AT_CODE + 3);
    machine_free(m);
}

static void test_ext_bit(void)
{
    Machine *m = prot_new();

    prot_code(m, sti_nop);
    poke32(m, AT_IDT + 0x40 * 8 + 4, 0xe00); /* absent */
    test_machine(m)->vector = 0x40;
    raise_wire(m, CPU_WIRE_INTR);
    prot_expect_fault(m, EXC_NP, 0x40 * 8 + 3, 2);
    g_assert_cmpint(test_cpu(m)->s.interrupt_injected, ==, -1);
    machine_free(m);
}

static void test_nmi_blocking(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, nop_iret);
    test_poke(m, AT_HANDLERS + 2 * HANDLER_SIZE, nop_iret, 2);
    raise_wire(m, CPU_WIRE_NMI);
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_HANDLERS + 2 * HANDLER_SIZE + 1);
    raise_wire(m, CPU_WIRE_NMI); /* blocked until IRET */
    g_assert_false(cpu_has_event(cpu));
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_CODE);
    g_assert_true(cpu_has_event(cpu));
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_HANDLERS + 2 * HANDLER_SIZE + 1);
    machine_free(m);
}

/* -- IRET that does not get through -- */

static bool absent_request(void *opaque, RamBlock *b, uint64_t page)
{
    (void)opaque, (void)b, (void)page;
    return true;
}

/* Into the handler of an NMI, in front of its IRET. */
static Machine *nmi_machine(void)
{
    Machine *m = prot_new();

    prot_code(m, nop_iret);
    test_poke(m, AT_HANDLERS + 2 * HANDLER_SIZE, nop_iret, 2);
    raise_wire(m, CPU_WIRE_NMI);
    test_run(m, 1);
    g_assert_true(test_cpu(m)->s.hflags2 & HF2_NMI);
    return m;
}

static void test_nmi_absent(void)
{
    Machine *m = nmi_machine();
    Cpu *cpu = test_cpu(m);
    RamBlock *ram = test_machine(m)->block;
    uint64_t page = (AT_STACK0 - 1) >> PAGE_BITS;
    PageSource source = { .request = absent_request };
    struct CpuState before = cpu->s;

    mem_set_page_source(m, &source);
    ram_watch(ram, page, 1, WATCH_ABSENT);
    g_assert_cmpint(test_run(m, 1), ==, CPU_BLOCKED);
    g_assert_cmpmem(&before, sizeof(before), &cpu->s, sizeof(before)); /* NMIs, too */
    ram_page_arrived(ram, page, NULL);
    test_run(m, 0); /* the kick */
    test_run(m, 1);
    g_assert_cmphex(cpu->s.eip, ==, AT_CODE);
    g_assert_false(cpu->s.hflags2 & HF2_NMI);
    machine_free(m);
}

static void test_nmi_fault(void)
{
    Machine *m = nmi_machine();
    Cpu *cpu = test_cpu(m);

    poke32(m, (uint32_t)cpu->s.regs[R_ESP] + 4, DATA0); /* for CS */
    g_assert_cmpint(prot_run(m), ==, EXC_GP);
    g_assert_false(cpu->s.hflags2 & HF2_NMI);
    machine_free(m);
}

/* -- double and triple fault -- */

GUEST_CODE(gp_fault, 32, "mov %ax, %ss; hlt");

static void test_double_fault(void)
{
    Machine *m = prot_new();

    prot_code(m, gp_fault);
    poke32(m, AT_IDT + EXC_GP * 8 + 4, 0xe00);
    prot_expect_fault(m, EXC_DF, 0, 0);
    machine_free(m);

    m = prot_new();
    prot_code(m, gp_fault);
    poke32(m, AT_IDT + EXC_GP * 8 + 4, 0xe00);
    poke32(m, AT_IDT + EXC_DF * 8 + 4, 0xe00);
    g_assert_cmpint(test_run(m, 100), ==, CPU_SHUTDOWN);
    machine_free(m);
}

/* -- SYSENTER -- */

GUEST_CODE(sysenter, 32, "sysenter; hlt");
GUEST_CODE(sysexit, 32, "sysexit; hlt");

static void test_sysenter(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, sysenter);
    prot_ring3(m, FLAG_IF);
    prot_expect_fault(m, EXC_GP, 0, 0); /* no CS set */
    machine_free(m);

    m = prot_new();
    cpu = test_cpu(m);
    prot_code(m, sysenter);
    prot_ring3(m, FLAG_IF);
    cpu->s.sysenter_cs = CODE0;
    cpu->s.sysenter_esp = 0x7777;
    cpu->s.sysenter_eip = AT_CODE;
    test_poke(m, AT_CODE + 2, sysexit, 3);
    cpu->s.sysenter_eip = AT_CODE + 2;
    test_run(m, 1);
    g_assert_cmpuint(cpu_cpl(cpu), ==, 0);
    g_assert_cmphex(cpu->s.segs[R_SS].selector, ==, DATA0);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, 0x7777);
    g_assert_false(cpu->s.eflags & FLAG_IF);
    cpu->s.regs[R_ECX] = AT_STACK3;
    cpu->s.regs[R_EDX] = 0x1234;
    test_run(m, 1);
    g_assert_cmpuint(cpu_cpl(cpu), ==, 3);
    g_assert_cmphex(cpu->s.segs[R_CS].selector, ==, CODE3);
    g_assert_cmphex(cpu->s.eip, ==, 0x1234);
    machine_free(m);
}

/* -- ports -- */

GUEST_CODE(out_port, 32, "out %al, %dx; hlt");

static void test_io_bitmap(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, out_port);
    prot_ring3(m, 0);
    cpu->s.regs[R_EDX] = 0x81;
    test_run(m, 1); /* bitmap is clear */
    g_assert_cmphex(cpu->s.eip, ==, AT_CODE + 1);
    machine_free(m);

    m = prot_new();
    cpu = test_cpu(m);
    prot_code(m, out_port);
    prot_ring3(m, 0);
    cpu->s.regs[R_EDX] = 0x81;
    poke32(m, AT_TSS_A + 0x88 + 0x10, 2);
    prot_expect_fault(m, EXC_GP, 0, 0);
    machine_free(m);

    m = prot_new(); /* beyond the TSS */
    cpu = test_cpu(m);
    prot_code(m, out_port);
    prot_ring3(m, 0);
    cpu->s.regs[R_EDX] = 0x400;
    prot_expect_fault(m, EXC_GP, 0, 0);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/prot/segment-loads", test_segment_loads);
    g_test_add_func("/cpu/prot/table-limits", test_table_limits);
    g_test_add_func("/cpu/prot/store-tables", test_store_tables);
    g_test_add_func("/cpu/prot/string-ends", test_string_ends);
    g_test_add_func("/cpu/prot/accessed", test_accessed);
    g_test_add_func("/cpu/prot/limits", test_limits);
    g_test_add_func("/cpu/prot/jumps", test_jumps);
    g_test_add_func("/cpu/prot/jump-gate", test_jump_through_gate);
    g_test_add_func("/cpu/prot/call-gate", test_call_gate_inner);
    g_test_add_func("/cpu/prot/call-gate-16", test_call_gate_16);
    g_test_add_func("/cpu/prot/gate-faults", test_gate_faults);
    g_test_add_func("/cpu/prot/return-outer", test_return_outer);
    g_test_add_func("/cpu/prot/return-params", test_return_params);
    g_test_add_func("/cpu/prot/int", test_int_inner);
    g_test_add_func("/cpu/prot/int-short-tss", test_int_short_tss);
    g_test_add_func("/cpu/prot/iopl", test_iopl);
    g_test_add_func("/cpu/prot/int-16", test_int_gate_16);
    g_test_add_func("/cpu/prot/int-faults", test_int_faults);
    g_test_add_func("/cpu/prot/int-bad-stack", test_int_bad_stack);
    g_test_add_func("/cpu/prot/sti-shadow", test_sti_shadow);
    g_test_add_func("/cpu/prot/ss-shadow", test_ss_shadow);
    g_test_add_func("/cpu/prot/ext-bit", test_ext_bit);
    g_test_add_func("/cpu/prot/nmi_absent", test_nmi_absent);
    g_test_add_func("/cpu/prot/nmi_fault", test_nmi_fault);
    g_test_add_func("/cpu/prot/nmi", test_nmi_blocking);
    g_test_add_func("/cpu/prot/double-fault", test_double_fault);
    g_test_add_func("/cpu/prot/sysenter", test_sysenter);
    g_test_add_func("/cpu/prot/io-bitmap", test_io_bitmap);
    return g_test_run();
}
