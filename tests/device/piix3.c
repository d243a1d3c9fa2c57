/* SPDX-License-Identifier: MIT */
/* PIIX3: routing of PCI interrupts and the reset control register. */
#include "tests/device/pci_bare.h"

static Machine *new_machine(void)
{
    Machine *m = bare_new();

    bare_add(m, "PCIBUS", "pci.0");
    bare_add(m, "PCIHost", "pcihost");
    bare_add(m, "PIIX3", "piix3", "addr", "01.0");
    return m;
}

static void pirq(Machine *m, int n, bool level)
{
    irq_set(&(Irq){ device_find(m, "piix3"), n }, level);
}

static void route(Machine *m, int n, unsigned to)
{
    config_out(m, 1, 0, 0x60 + (unsigned)n, to, 1);
}

static void test_identity(void)
{
    Machine *m = new_machine();

    g_assert_cmphex(config_in(m, 1, 0, 0, 4), ==, 0x70008086);
    g_assert_cmphex(config_in(m, 1, 0, 0x0a, 2), ==, 0x0601);
    g_assert_cmphex(config_in(m, 1, 0, 0x0e, 1), ==, 0x80); /* has functions */
    g_assert_cmphex(config_in(m, 1, 0, 0x60, 4), ==, 0x80808080);
    g_assert_cmphex(config_in(m, 1, 0, 0x4e, 1), ==, 0x03);
    machine_free(m);
}

static void test_routing(void)
{
    Machine *m = new_machine();

    pirq(m, 0, true); /* routed nowhere */
    for (int i = 0; i < 16; i++) g_assert_false(bare_irq(m, i));
    route(m, 0, 11); /* takes effect at once */
    g_assert_true(bare_irq(m, 11));
    route(m, 3, 11); /* shared */
    pirq(m, 3, true);
    pirq(m, 0, false);
    g_assert_true(bare_irq(m, 11));
    route(m, 3, 10); /* the level moves along */
    g_assert_false(bare_irq(m, 11));
    g_assert_true(bare_irq(m, 10));
    route(m, 3, 0x80);
    g_assert_false(bare_irq(m, 10));
    machine_free(m);
}

static void test_reset_lowers(void)
{
    Machine *m = new_machine();

    route(m, 1, 9);
    pirq(m, 1, true);
    machine_reset(m);
    g_assert_false(bare_irq(m, 9));
    g_assert_cmphex(config_in(m, 1, 0, 0x61, 1), ==, 0x80);
    machine_free(m);
}

static void test_load(void)
{
    Machine *m = new_machine(), *twin = new_machine();

    route(m, 2, 5);
    pirq(m, 2, true);
    route(twin, 0, 7);
    pirq(twin, 0, true);
    bare_copy(twin, m);
    g_assert_true(bare_irq(twin, 5));
    g_assert_false(bare_irq(twin, 7));
    machine_free(m);
    machine_free(twin);
}

static void test_reset_control(void)
{
    Machine *m = new_machine();

    out8(m, 0xcf9, 0x02);
    g_assert_false(m->reset_requested);
    g_assert_cmphex(in8(m, 0xcf9), ==, 0x02);
    out8(m, 0xcf9, 0x06);
    g_assert_true(m->reset_requested);
    g_assert_cmpint(m->reset_reason, ==, RESET_GUEST);
    g_assert_cmphex(pio_read(m, 0xcf8, 4), ==, 0); /* CF9h is inside the address register */
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/piix3/identity", test_identity);
    g_test_add_func("/device/piix3/routing", test_routing);
    g_test_add_func("/device/piix3/reset-lowers", test_reset_lowers);
    g_test_add_func("/device/piix3/load", test_load);
    g_test_add_func("/device/piix3/reset-control", test_reset_control);
    return g_test_run();
}
