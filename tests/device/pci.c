/* SPDX-License-Identifier: MIT */
/* The PCI bus against the specification, with a device made for it. */
#include "hw/pci.h"
#include "tests/device/pci_bare.h"

enum { SLOT = 3, IO_SIZE = 32, MEM_SIZE = 0x2000 };

typedef struct Thing {
    PciDev pci;
    unsigned written; /* calls of config_written */
    struct ThingState {
        PciState pci;
        uint32_t reg;
    } s;
} Thing;
#define THING(d) ((Thing *)(d))

static const VmField thing_fields[] = {
    VM_PCI_DEVICE(struct ThingState, "dev"),
    VM_INT(struct ThingState, reg),
    VM_END,
};
static const VmState thing_vmstate = {
    .name = "thing", .version = 1, .min_version = 1, .fields = thing_fields
};
static const Prop thing_props[] = { PCI_PROPS(Thing), PROP_END };

static uint32_t thing_io_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)size;
    return THING(dev)->s.reg + reg;
}

static void thing_io_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    (void)reg, (void)size;
    THING(dev)->s.reg = val;
}

static uint64_t thing_mem_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    (void)attrs, (void)size;
    return THING(dev)->s.reg ^ off;
}

static const IoOps thing_io = { .read = thing_io_read, .write = thing_io_write, .width = 4 };
static const MmioOps thing_mem = { .read = thing_mem_read, .max = 4 };

static void thing_config_written(PciDev *pd, unsigned off, unsigned len)
{
    (void)off, (void)len;
    THING(pd)->written++;
}

static bool thing_realize(Device *dev, Error *err)
{
    PciDev *pd = &THING(dev)->pci;

    if (!pci_attach(pd, err)) return false;
    pci_bar_io(pd, 0, "thing-io", IO_SIZE, &thing_io, 0);
    pci_bar_mmio(pd, 1, "thing-mem", MEM_SIZE, &thing_mem);
    pd->config_written = thing_config_written;
    return true;
}

static void thing_power_on(Device *dev)
{
    pci_power_on(&THING(dev)->pci, 0x1234, 0x5678, 9, 0x0200, 1);
}

static void thing_reset(Device *dev)
{
    pci_reset(&THING(dev)->pci);
    THING(dev)->s.reg = 0;
}

static void thing_sync(Device *dev) { pci_sync(&THING(dev)->pci); }

DEVICE(thing, "PCI device of this test", Thing, .name = "test-thing", .bus = "pci",
    .props = thing_props, .vmstates = VMSTATES(&thing_vmstate), .realize = thing_realize,
    .power_on = thing_power_on, .reset = thing_reset, .sync = thing_sync);

typedef struct Fixture {
    Machine *m;
    Device *dev;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    bare_add_pci(f->m);
    f->dev = bare_add(f->m, "test-thing", "thing", "addr", "3");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static uint32_t in(Fixture *f, unsigned off, unsigned size)
{
    return config_in(f->m, SLOT, 0, off, size);
}

static void out(Fixture *f, unsigned off, uint32_t val, unsigned size)
{
    config_out(f->m, SLOT, 0, off, val, size);
}

static bool line(Fixture *f, int n) { return bare_probe(f->m, "router")->level[n]; }

static void test_mechanism(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(in(f, 0, 4), ==, 0x56781234);
    g_assert_cmphex(in(f, 2, 2), ==, 0x5678);
    g_assert_cmphex(in(f, 8, 1), ==, 9);
    g_assert_cmphex(config_in(f->m, 4, 0, 0, 4), ==, UINT32_MAX); /* nobody */
    g_assert_cmphex(config_in(f->m, SLOT, 1, 0, 4), ==, UINT32_MAX);
    pio_write(f->m, 0xcf8, 0x80010000 | SLOT << 11, 4); /* another bus */
    g_assert_cmphex(pio_read(f->m, 0xcfc, 4), ==, UINT32_MAX);
    pio_write(f->m, 0xcf8, SLOT << 11, 4); /* not enabled */
    g_assert_cmphex(pio_read(f->m, 0xcfc, 4), ==, UINT32_MAX);
    pio_write(f->m, 0xcf8, 0x80000000u | SLOT << 11 | 4, 4);
    pio_write(f->m, 0xcf8, 0x55, 1); /* a byte is no address */
    g_assert_cmphex(pio_read(f->m, 0xcf8, 4), ==, 0x80000000u | SLOT << 11 | 4);
}

static void test_read_only(Fixture *f, gconstpointer data)
{
    (void)data;
    out(f, 0, 0, 4);
    out(f, 8, 0, 4);
    out(f, 0x40, 0xffffffff, 4);
    g_assert_cmphex(in(f, 0, 4), ==, 0x56781234);
    g_assert_cmphex(in(f, 8, 4), ==, 0x02000009);
    g_assert_cmphex(in(f, 0x40, 4), ==, 0);
    out(f, 0x3c, 0xffff, 2);
    g_assert_cmphex(in(f, 0x3c, 2), ==, 0x01ff); /* line may be written, pin not */
    out(f, 4, 0xffff, 2);
    g_assert_cmphex(in(f, 4, 2), ==, 0x0507);
    g_assert_cmpuint(THING(f->dev)->written, ==, 5);
}

static void test_bar_io(Fixture *f, gconstpointer data)
{
    (void)data;
    out(f, 0x10, UINT32_MAX, 4);
    g_assert_cmphex(in(f, 0x10, 4), ==, (uint32_t) ~(IO_SIZE - 1) | 1);
    out(f, 0x10, 0xc020, 4);
    g_assert_cmphex(in(f, 0x10, 4), ==, 0xc021);
    g_assert_cmphex(pio_read(f->m, 0xc020, 4), ==, UINT32_MAX); /* not yet decoded */
    out(f, 4, PCI_COMMAND_IO, 2);
    pio_write(f->m, 0xc020, 0x1000, 4);
    g_assert_cmphex(pio_read(f->m, 0xc024, 4), ==, 0x1004);
    out(f, 0x10, 0xd000, 4); /* moves */
    g_assert_cmphex(pio_read(f->m, 0xd01f, 1), ==, 0x1f);
    g_assert_cmphex(pio_read(f->m, 0xc024, 4), ==, UINT32_MAX);
    out(f, 4, 0, 2);
    g_assert_cmphex(pio_read(f->m, 0xd000, 4), ==, UINT32_MAX);
}

static void test_bar_memory(Fixture *f, gconstpointer data)
{
    MemAttrs attrs = { 0 };

    (void)data;
    out(f, 4, PCI_COMMAND_MEMORY, 2);
    out(f, 0x14, UINT32_MAX, 4);
    g_assert_cmphex(in(f, 0x14, 4), ==, (uint32_t) ~(MEM_SIZE - 1));
    g_assert_null(mem_find(f->m, attrs, 0xffffe000)); /* being sized, not mapped */
    out(f, 0x14, 0xfebf0000, 4);
    THING(f->dev)->s.reg = 0xabcd0000;
    g_assert_cmphex(mem_load(f->m, attrs, 0xfebf1234, 4), ==, 0xabcd1234);
    out(f, 0x14, 0x00080000, 4); /* under RAM: RAM stays */
    g_assert_nonnull(mem_find(f->m, attrs, 0x80000)->region->ram);
    g_assert_null(mem_find(f->m, attrs, 0xfebf1234));
}

static void test_interrupt(Fixture *f, gconstpointer data)
{
    PciDev *pd = (PciDev *)f->dev, *other;

    (void)data;
    other = (PciDev *)bare_add(f->m, "test-thing", "other", "addr", "7");
    pci_set_irq(pd, true);
    g_assert_true(line(f, 2)); /* INTA of slot 3 */
    g_assert_cmphex(in(f, 6, 1) & 8, ==, 8);
    pci_set_irq(other, true); /* the same line */
    pci_set_irq(pd, false);
    g_assert_true(line(f, 2));
    config_out(f->m, 7, 0, 4, 0x400, 2); /* interrupt disabled */
    g_assert_false(line(f, 2));
    config_out(f->m, 7, 0, 4, 0, 2);
    g_assert_true(line(f, 2));
    machine_reset(f->m);
    g_assert_false(line(f, 2));
    g_assert_cmphex(in(f, 6, 1) & 8, ==, 0);
}

static void test_places(Fixture *f, gconstpointer data)
{
    Error err = ERROR_INIT;
    Device *next;

    (void)data;
    g_assert_null(device_create(f->m, "test-thing", "twin", &err, "addr", "3.0", NULL));
    g_assert_nonnull(strstr(err.msg, "in use"));
    error_clear(&err);
    g_assert_null(device_create(f->m, "test-thing", "odd", &err, "addr", "99", NULL));
    next = bare_add(f->m, "test-thing", "next");
    g_assert_cmpstr(next->path, ==, "0000:00:01.0"); /* the first free slot */
    g_assert_true(pci_nth(f->m, 0) == (PciDev *)next);
    g_assert_true(pci_nth(f->m, 1) == (PciDev *)f->dev);
    g_assert_null(pci_nth(f->m, 2));
    g_assert_nonnull(section_find(f->m, "0000:00:03.0/thing", 0));
}

/* After a load what is mapped is what the loaded registers say, and lines have their levels. */
static void test_load(Fixture *f, gconstpointer data)
{
    Fixture twin;

    (void)data;
    setup(&twin, NULL);
    out(&twin, 0x10, 0xe000, 4);
    out(&twin, 4, PCI_COMMAND_IO, 2);
    out(f, 0x10, 0xc000, 4);
    out(f, 4, PCI_COMMAND_IO, 2);
    pci_set_irq((PciDev *)f->dev, true);
    bare_copy(twin.m, f->m);
    g_assert_cmphex(pio_read(twin.m, 0xc004, 4), ==, 4);
    g_assert_cmphex(pio_read(twin.m, 0xe000, 4), ==, UINT32_MAX);
    g_assert_true(line(&twin, 2));
    pci_set_irq((PciDev *)twin.dev, false);
    g_assert_false(line(&twin, 2));
    teardown(&twin, NULL);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/device/pci/mechanism", test_mechanism },
        { "/device/pci/read-only", test_read_only },
        { "/device/pci/bar-io", test_bar_io },
        { "/device/pci/bar-memory", test_bar_memory },
        { "/device/pci/interrupt", test_interrupt },
        { "/device/pci/places", test_places },
        { "/device/pci/load", test_load },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, setup, tests[i].run, teardown);
    return g_test_run();
}
