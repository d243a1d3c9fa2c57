/* SPDX-License-Identifier: MIT */
/*
 * Transfers within the segment that CS holds, which mostly need not load it again: what has changed
 * about it in the meantime counts nevertheless.  And RF between an IRET and the next instruction.
 */
#include "tests/unit/cpu_prot.h"

enum { AFTER_JUMP = AT_CODE + 7, ACCESS_ABSENT = 0x1b, ACCESS_DATA = 0x93 };

/* CS is loaded from its descriptor first, so that it is known where it came from. */
GUEST_CODE(again, 32, "ljmp $8, $0x4007; ud2; ud2; hlt");
GUEST_CODE(changed_gate, 32, "ljmp $8, $0x4007; movb %al, 0x100d; ud2; hlt");
GUEST_CODE(changed_iret, 32, "ljmp $8, $0x4007; movb %al, 0x100d; iret");
GUEST_CODE(short_iret, 32, "ljmp $8, $0x4007; movl $0x00002fff, 0x1008; movb $0x40, 0x100e; iret");
GUEST_CODE(skip_two, 32, "addl $2, (%esp); iret");

/* The handler's segment is another one than that which the code changes. */
static void conforming_handlers(Machine *m)
{
    for (unsigned v = 0; v < 32; v++)
        if (v != EXC_UD) put_idt(m, v, 14, 0, CONFORMING);
}

static void iret_frame(Machine *m, uint32_t eip, uint32_t sel, uint32_t flags)
{
    uint32_t at = AT_STACK0 - 12;

    poke32(m, at, eip);
    poke32(m, at + 4, sel);
    poke32(m, at + 8, flags);
    test_cpu(m)->s.regs[R_ESP] = at;
}

static void test_again(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    prot_code(m, again);
    test_poke(m, AT_HANDLERS + EXC_UD * HANDLER_SIZE, skip_two, 5);
    g_assert_cmpint(test_run(m, 1000), ==, CPU_HALTED);
    g_assert_cmphex(cpu->s.eip, ==, AFTER_JUMP + 5);
    g_assert_cmphex(cpu->s.regs[R_ESP], ==, AT_STACK0);
    g_assert_cmphex(peek32(m, AT_STACK0 - 12), ==, AFTER_JUMP + 4);
    g_assert_cmphex(peek32(m, AT_STACK0 - 8), ==, CODE0);
    g_assert_cmphex(peek32(m, AT_STACK0 - 4) & FLAG_RF, ==, FLAG_RF);
    machine_free(m);
}

/* The descriptor is not there any more, or has become one of data. */
static void test_changed(void)
{
    static const struct {
        uint8_t access;
        int vector;
    } cases[] = { { ACCESS_ABSENT, EXC_NP }, { ACCESS_DATA, EXC_GP } };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        for (int iret = 0; iret < 2; iret++) {
            Machine *m = prot_new();

            conforming_handlers(m);
            if (iret) {
                prot_code(m, changed_iret);
                iret_frame(m, AT_CODE, CODE0, 2);
            } else {
                prot_code(m, changed_gate);
            }
            test_cpu(m)->s.regs[R_EAX] = cases[i].access;
            g_assert_cmpint(prot_run(m), ==, cases[i].vector);
            g_assert_cmphex(prot_stack(m, 0), ==, CODE0 | !iret);
            g_assert_cmphex(prot_stack(m, 1), ==, AFTER_JUMP + 5);
            machine_free(m);
        }
}

/* A limit that CS does not have yet is that of the next transfer. */
static void test_shortened(void)
{
    Machine *m = prot_new();

    conforming_handlers(m);
    prot_code(m, short_iret);
    iret_frame(m, AT_CODE, CODE0, 2);
    g_assert_cmpint(prot_run(m), ==, EXC_GP);
    g_assert_cmphex(prot_stack(m, 0), ==, 0);
    machine_free(m);
}

/* CS's own limit, and a level that another RPL asks for. */
static void test_targets(void)
{
    Machine *m = prot_new();
    Cpu *cpu = test_cpu(m);

    conforming_handlers(m);
    put_desc(m, AT_GDT, CODE0, 0, 0x4fff, 0x400000 | D_P | D_CODE);
    prot_code(m, changed_iret);
    cpu->s.regs[R_EAX] = 0x9b; /* as it is */
    iret_frame(m, 0x5000, CODE0, 2);
    g_assert_cmpint(prot_run(m), ==, EXC_GP);
    g_assert_cmphex(prot_stack(m, 0), ==, 0);
    machine_free(m);

    m = prot_new();
    conforming_handlers(m);
    prot_code(m, changed_iret);
    test_cpu(m)->s.regs[R_EAX] = 0x9b;
    iret_frame(m, AT_CODE, CODE0 | 3, 2);
    g_assert_cmpint(prot_run(m), ==, EXC_GP);
    g_assert_cmphex(prot_stack(m, 0), ==, CODE0);
    machine_free(m);
}

GUEST_CODE(iret_nop, 32, "iret; nop; nop; hlt");

/* RF that an IRET loads stays for one instruction, however the time is cut in slices. */
static void test_rf_between_slices(void)
{
    for (int n = 1; n < 4; n++) {
        Machine *m = prot_new();
        Cpu *cpu = test_cpu(m);

        prot_code(m, iret_nop);
        iret_frame(m, AT_CODE + 1, CODE0, 2 | FLAG_RF);
        test_run(m, n);
        g_assert_cmphex(cpu->s.eip, ==, AT_CODE + (uint32_t)n);
        g_assert_cmphex(cpu->s.eflags & FLAG_RF, ==, n == 1 ? FLAG_RF : 0);
        machine_free(m);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/transfer/again", test_again);
    g_test_add_func("/transfer/changed", test_changed);
    g_test_add_func("/transfer/shortened", test_shortened);
    g_test_add_func("/transfer/targets", test_targets);
    g_test_add_func("/transfer/rf-between-slices", test_rf_between_slices);
    return g_test_run();
}
