/* SPDX-License-Identifier: MIT */
/*
 * MSI-X by a virtio network card: capability, table and waiting bits, what masks a vector, where
 * messages go, and the card's own registers for it.
 */
#include "core/apic.h"
#include "hw/msix.h"
#include "tests/device/pci_bare.h"

enum { SLOT = 3, CAP = 0x98, CONTROL = CAP + 2, ENABLE = 0x8000, MASK_ALL = 0x4000 };
enum { PORTS = 0xc000, VECTORS = 4, NONE = 0xffff, ACCEPTS = 0x50 };
enum { BAR = 0xfe000000, PBA = BAR + 0x800, MODERN = 0xfe010000, LINT = 0xfee00000 };
enum { MAC_FIRST = 0x52 };

static uint32_t get(Machine *m, uint64_t gpa)
{
    return (uint32_t)mem_load(m, (MemAttrs){ 0 }, gpa, 4);
}

static void put(Machine *m, uint64_t gpa, uint32_t val)
{
    mem_store(m, (MemAttrs){ 0 }, gpa, val, 4);
}

static Machine *new_machine(void)
{
    Machine *m = bare_new();

    bare_add(m, "apic", "apic0");
    bare_add_pci(m);
    bare_add(m, "virtio-net-pci", "net", "addr", "03.0", "mac", "52:54:00:12:34:56");
    put(m, LINT + 0xf0, 0x1ff);
    config_out(m, SLOT, 0, 0x10, PORTS, 4);
    config_out(m, SLOT, 0, 0x14, BAR, 4);
    config_out(m, SLOT, 0, 0x20, MODERN, 4);
    config_out(m, SLOT, 0, PCI_COMMAND, 7, 2);
    return m;
}

static PciDev *net(Machine *m) { return (PciDev *)device_find(m, "net"); }

static void entry(Machine *m, unsigned vector, uint64_t address, uint32_t data, uint32_t control)
{
    put(m, BAR + 16 * vector, (uint32_t)address);
    put(m, BAR + 16 * vector + 4, (uint32_t)(address >> 32));
    put(m, BAR + 16 * vector + 8, data);
    put(m, BAR + 16 * vector + 12, control);
}

static void test_capability(void)
{
    Machine *m = new_machine();

    g_assert_cmphex(config_in(m, SLOT, 0, PCI_CAPABILITY_LIST, 1), ==, CAP);
    g_assert_cmphex(config_in(m, SLOT, 0, CAP, 4), ==, (VECTORS - 1) << 16 | 0x8411);
    g_assert_cmphex(config_in(m, SLOT, 0, CAP + 4, 4), ==, 1);
    g_assert_cmphex(config_in(m, SLOT, 0, CAP + 8, 4), ==, 0x801);
    config_out(m, SLOT, 0, CAP, 0xffffffff, 4); /* two bits may be written */
    config_out(m, SLOT, 0, CAP + 4, 0xffffffff, 4);
    g_assert_cmphex(config_in(m, SLOT, 0, CAP, 4), ==, 0xc0038411);
    g_assert_cmphex(config_in(m, SLOT, 0, CAP + 4, 4), ==, 1);
    for (unsigned i = 0; i < VECTORS; i++) g_assert_cmphex(get(m, BAR + 16 * i + 12), ==, 1);
    put(m, BAR + 16 * VECTORS, 0x1234); /* behind the table */
    g_assert_cmphex(get(m, BAR + 16 * VECTORS), ==, 0);
    put(m, PBA, 0xff);
    g_assert_cmphex(get(m, PBA), ==, 0);
    mem_store(m, (MemAttrs){ 0 }, BAR + 8, 0x55, 1);
    g_assert_cmphex(get(m, BAR + 8), ==, 0);
    machine_reset(m);
    g_assert_cmphex(config_in(m, SLOT, 0, CAP, 4), ==, 0x00038411);
    machine_free(m);
}

/* Messages go to RAM here, where they can be seen. */
static void test_masks(void)
{
    Machine *m = new_machine();
    PciDev *pd = net(m);

    entry(m, 1, 0x5000, 0xabcd1234, 0);
    entry(m, 2, 0x5004, 0x2222, 1);
    msix_notify(pd, 1);
    g_assert_cmphex(get(m, 0x5000), ==, 0);
    g_assert_cmphex(get(m, PBA), ==, 2);
    config_out(m, SLOT, 0, CONTROL, ENABLE | MASK_ALL, 2);
    g_assert_cmphex(get(m, 0x5000), ==, 0);
    config_out(m, SLOT, 0, CONTROL, ENABLE, 2); /* what waited goes out */
    g_assert_cmphex(get(m, 0x5000), ==, 0xabcd1234);
    g_assert_cmphex(get(m, PBA), ==, 0);
    put(m, 0x5000, 0);
    msix_notify(pd, 1);
    g_assert_cmphex(get(m, 0x5000), ==, 0xabcd1234);
    msix_notify(pd, 2); /* by its own mask */
    g_assert_cmphex(get(m, PBA), ==, 4);
    put(m, BAR + 2 * 16 + 12, 0);
    g_assert_cmphex(get(m, 0x5004), ==, 0x2222);
    g_assert_cmphex(get(m, PBA), ==, 0);
    put(m, BAR + 2 * 16 + 12, 1);
    msix_notify(pd, 2);
    msix_forget(pd, 2);
    put(m, 0x5004, 0);
    put(m, BAR + 2 * 16 + 12, 0);
    g_assert_cmphex(get(m, 0x5004), ==, 0);
    config_out(m, SLOT, 0, PCI_COMMAND, 3, 2); /* no master of the bus */
    msix_notify(pd, 2);
    g_assert_cmphex(get(m, 0x5004), ==, 0);
    msix_notify(pd, VECTORS); /* there is none */
    machine_free(m);
}

/* INTx falls when messages take its place. */
static void test_line(void)
{
    Machine *m = new_machine();
    const bool *line = bare_probe(m, "router")->level;

    pci_set_irq(net(m), true);
    g_assert_true(line[SLOT - 1]);
    config_out(m, SLOT, 0, CONTROL, MASK_ALL, 2);
    g_assert_true(line[SLOT - 1]);
    config_out(m, SLOT, 0, CONTROL, ENABLE, 2);
    g_assert_false(line[SLOT - 1]);
    machine_free(m);
}

static int accepted(Machine *m)
{
    const CpuApic *apic = machine_apic(m, 0);

    return apic->ops->take(apic->dev);
}

static void test_apic(void)
{
    Machine *m = new_machine();

    config_out(m, SLOT, 0, CONTROL, ENABLE, 2);
    entry(m, 0, LINT, ACCEPTS, 0);
    msix_notify(net(m), 0);
    g_assert_cmphex(accepted(m), ==, ACCEPTS);
    g_assert_cmphex(get(m, LINT + 0x180 + 0x20), ==, 0); /* by edge */
    put(m, LINT + 0xb0, 0);
    put(m, LINT + 0xd0, 0x01000000);
    entry(m, 0, LINT | 1 << 12 | 4, ACCEPTS + 1, 0); /* logical, flat */
    msix_notify(net(m), 0);
    g_assert_cmphex(accepted(m), ==, ACCEPTS + 1);
    put(m, LINT + 0xb0, 0);
    entry(m, 0, LINT | 7 << 12, ACCEPTS + 2, 0); /* someone else */
    msix_notify(net(m), 0);
    g_assert_cmphex(accepted(m), ==, -1);
    entry(m, 0, LINT, 0x400, 0);
    msix_notify(net(m), 0);
    g_assert_cmpuint(bare_probe(m, "cpu0")->rises[CPU_WIRE_NMI], ==, 1);
    machine_free(m);
}

/* -- the card's registers -- */

static void test_legacy(void)
{
    Machine *m = new_machine();

    g_assert_cmphex(in8(m, PORTS + 20), ==, MAC_FIRST);
    config_out(m, SLOT, 0, CONTROL, ENABLE, 2);
    g_assert_cmphex(in8(m, PORTS + 24), ==, MAC_FIRST);
    g_assert_cmphex(pio_read(m, PORTS + 20, 2), ==, NONE);
    g_assert_cmphex(pio_read(m, PORTS + 22, 2), ==, NONE);
    pio_write(m, PORTS + 20, VECTORS - 1, 2);
    pio_write(m, PORTS + 14, 1, 2);
    pio_write(m, PORTS + 22, 2, 2);
    g_assert_cmphex(pio_read(m, PORTS + 20, 2), ==, VECTORS - 1);
    g_assert_cmphex(pio_read(m, PORTS + 22, 2), ==, 2);
    pio_write(m, PORTS + 14, 0, 2);
    g_assert_cmphex(pio_read(m, PORTS + 22, 2), ==, NONE);
    pio_write(m, PORTS + 20, VECTORS, 2); /* more than there are */
    g_assert_cmphex(pio_read(m, PORTS + 20, 2), ==, NONE);
    out8(m, PORTS + 18, 0); /* a reset by the driver */
    pio_write(m, PORTS + 14, 1, 2);
    g_assert_cmphex(pio_read(m, PORTS + 22, 2), ==, NONE);
    machine_free(m);
}

static void test_modern(void)
{
    Machine *m = new_machine();

    config_out(m, SLOT, 0, CONTROL, ENABLE, 2);
    mem_store(m, (MemAttrs){ 0 }, MODERN + 0x10, 3, 2);
    mem_store(m, (MemAttrs){ 0 }, MODERN + 0x16, 2, 2);
    mem_store(m, (MemAttrs){ 0 }, MODERN + 0x1a, 1, 2);
    g_assert_cmphex(mem_load(m, (MemAttrs){ 0 }, MODERN + 0x10, 2), ==, 3);
    g_assert_cmphex(mem_load(m, (MemAttrs){ 0 }, MODERN + 0x1a, 2), ==, 1);
    mem_store(m, (MemAttrs){ 0 }, MODERN + 0x1a, 77, 2);
    g_assert_cmphex(mem_load(m, (MemAttrs){ 0 }, MODERN + 0x1a, 2), ==, NONE);
    /* A vector that nobody uses any more does not wait. */
    mem_store(m, (MemAttrs){ 0 }, MODERN + 0x1a, 1, 2);
    msix_notify(net(m), 1);
    msix_notify(net(m), 3);
    g_assert_cmphex(get(m, PBA), ==, 0xa);
    mem_store(m, (MemAttrs){ 0 }, MODERN + 0x1a, 3, 2);
    g_assert_cmphex(get(m, PBA), ==, 8);
    mem_store(m, (MemAttrs){ 0 }, MODERN + 0x10, 0, 2);
    g_assert_cmphex(get(m, PBA), ==, 8); /* the queue still does */
    machine_free(m);
}

static void test_load(void)
{
    Machine *m = new_machine(), *twin = new_machine();

    config_out(m, SLOT, 0, CONTROL, ENABLE, 2);
    entry(m, 1, 0x5000, 0x1111, 1);
    msix_notify(net(m), 1);
    pio_write(m, PORTS + 20, 1, 2);
    bare_copy(twin, m);
    g_assert_cmphex(get(twin, PBA), ==, 2);
    g_assert_cmphex(pio_read(twin, PORTS + 20, 2), ==, 1);
    put(twin, BAR + 16 + 12, 0);
    g_assert_cmphex(get(twin, 0x5000), ==, 0x1111);
    machine_free(m);
    machine_free(twin);
}

/* Without it the registers are where they were before there was such a thing. */
static void test_none(void)
{
    Machine *m = bare_new();
    Error err = ERROR_INIT;

    bare_add_pci(m);
    bare_add(m, "virtio-net-pci", "net", "addr", "03.0", "vectors", "0");
    g_assert_cmphex(config_in(m, SLOT, 0, PCI_CAPABILITY_LIST, 1), ==, 0x84);
    g_assert_cmphex(config_in(m, SLOT, 0, 0x14, 4), ==, 0);
    bare_add(m, "virtio-rng-pci", "rng", "addr", "04.0", "disable-modern", "on");
    g_assert_cmphex(config_in(m, 4, 0, PCI_CAPABILITY_LIST, 1), ==, 0x40);
    g_assert_cmphex(config_in(m, 4, 0, 0x40, 4), ==, 0x00010011);
    g_assert_null(device_create(m, "virtio-rng-pci", "many", &err, "vectors", "257", NULL));
    g_assert_cmpstr(err.msg, ==, "vectors=257: at most 256 are there");
    error_clear(&err);
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/msix/capability", test_capability);
    g_test_add_func("/device/msix/masks", test_masks);
    g_test_add_func("/device/msix/line", test_line);
    g_test_add_func("/device/msix/apic", test_apic);
    g_test_add_func("/device/msix/legacy", test_legacy);
    g_test_add_func("/device/msix/modern", test_modern);
    g_test_add_func("/device/msix/load", test_load);
    g_test_add_func("/device/msix/none", test_none);
    return g_test_run();
}
