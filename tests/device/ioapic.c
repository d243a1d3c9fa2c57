/* SPDX-License-Identifier: MIT */
/* I/O APIC: registers, edges, levels with their EOI, the timer's pin, the way through the 8259. */
#include "core/apic.h"
#include "tests/device/bare.h"

enum { LEVEL = 0x8000, REMOTE_IRR = 0x4000, MASKED = 0x10000, LOGICAL = 0x800 };
#define BASE UINT64_C(0xfec00000)
#define LAPIC UINT64_C(0xfee00000)

static void store(Machine *m, uint64_t at, uint32_t val)
{
    mem_store(m, (MemAttrs){ 0 }, at, val, 4);
}

static uint32_t get(Machine *m, unsigned reg)
{
    store(m, BASE, reg);
    return (uint32_t)mem_load(m, (MemAttrs){ 0 }, BASE + 0x10, 4);
}

static void put(Machine *m, unsigned reg, uint32_t val)
{
    store(m, BASE, reg);
    store(m, BASE + 0x10, val);
}

static void route(Machine *m, unsigned pin, uint32_t entry) { put(m, 0x10 + 2 * pin, entry); }

static Machine *new_machine(void)
{
    Machine *m = bare_new();

    bare_add(m, "apic", "apic0");
    bare_add(m, "ioapic", "ioapic");
    store(m, LAPIC + 0xf0, 0x1ff);
    return m;
}

static void line(Machine *m, int n, bool level)
{
    irq_set(&(Irq){ device_find(m, "ioapic"), n }, level);
}

static bool intr(Machine *m) { return bare_probe(m, "cpu0")->level[CPU_WIRE_INTR]; }

static int take(Machine *m)
{
    const CpuApic *apic = machine_apic(m, 0);

    return apic->ops->take(apic->dev);
}

static void eoi(Machine *m) { store(m, LAPIC + 0xb0, 0); }

static void test_registers(void)
{
    Machine *m = new_machine();

    g_assert_cmphex(get(m, 0), ==, 0);
    g_assert_cmphex(get(m, 1), ==, 0x170020);
    for (unsigned pin = 0; pin < 24; pin++) {
        g_assert_cmphex(get(m, 0x10 + 2 * pin), ==, MASKED);
        g_assert_cmphex(get(m, 0x11 + 2 * pin), ==, 0);
    }
    put(m, 0, 0xff000000);
    g_assert_cmphex(get(m, 0), ==, 0x0f000000);
    put(m, 0x3f, 0xffffffff);
    put(m, 0x3e, 0xffffffff);
    g_assert_cmphex(get(m, 0x3e), ==, 0x1afff);
    g_assert_cmphex(get(m, 0x3f), ==, 0xff000000);
    g_assert_cmphex(get(m, 0x40), ==, 0);
    machine_free(m);
}

static void test_edge(void)
{
    Machine *m = new_machine();

    line(m, 4, true);
    line(m, 4, false);
    route(m, 4, 0x54); /* what came while it was masked is lost */
    g_assert_false(intr(m));
    line(m, 4, true);
    g_assert_cmpint(take(m), ==, 0x54);
    eoi(m);
    line(m, 4, true);
    g_assert_false(intr(m));
    line(m, 4, false);
    line(m, 4, true);
    g_assert_cmpint(take(m), ==, 0x54);
    eoi(m);
    line(m, 4, false);
    m->syncing = true; /* a load finds the line high: that is no edge */
    line(m, 4, true);
    m->syncing = false;
    route(m, 4, 0x54);
    g_assert_false(intr(m));
    machine_free(m);
}

static void test_level(void)
{
    Machine *m = new_machine();

    line(m, 11, true);
    route(m, 11, LEVEL | 0x5b);
    g_assert_cmphex(get(m, 0x26), ==, LEVEL | REMOTE_IRR | 0x5b);
    g_assert_cmpint(take(m), ==, 0x5b);
    g_assert_false(intr(m));
    eoi(m); /* it is still high */
    g_assert_cmpint(take(m), ==, 0x5b);
    line(m, 11, false);
    g_assert_cmphex(get(m, 0x26), ==, LEVEL | REMOTE_IRR | 0x5b);
    eoi(m);
    g_assert_cmphex(get(m, 0x26), ==, LEVEL | 0x5b);
    g_assert_false(intr(m));
    line(m, 11, true);
    g_assert_cmpint(take(m), ==, 0x5b);
    line(m, 11, false);
    store(m, BASE + 0x40, 0x5b); /* its own EOI register */
    g_assert_cmphex(get(m, 0x26), ==, LEVEL | 0x5b);
    eoi(m);
    line(m, 11, true);
    route(m, 11, 0x5b); /* as an edge: nothing is awaited any more */
    g_assert_cmphex(get(m, 0x26), ==, 0x5b);
    machine_free(m);
}

/* Whether the end of its interrupt is told goes by who raised the vector last. */
static void test_trigger_mode(void)
{
    enum { TMR_OF_5B = 0x180 + 0x20, BIT_OF_5B = 1 << 27 };
    Machine *m = new_machine();

    route(m, 11, LEVEL | 0x5b);
    line(m, 11, true);
    g_assert_cmpint(take(m), ==, 0x5b);
    g_assert_cmphex(mem_load(m, (MemAttrs){ 0 }, LAPIC + TMR_OF_5B, 4), ==, BIT_OF_5B);
    line(m, 11, false);
    eoi(m);
    route(m, 4, 0x5b);
    line(m, 4, true);
    g_assert_cmpint(take(m), ==, 0x5b);
    g_assert_cmphex(mem_load(m, (MemAttrs){ 0 }, LAPIC + TMR_OF_5B, 4), ==, 0);
    machine_free(m);
}

/* Lines that are high when it is reset are not forgotten, nor are they edges. */
static void test_reset(void)
{
    Machine *m = new_machine();

    line(m, 11, true);
    line(m, 4, true);
    machine_reset(m);
    store(m, LAPIC + 0xf0, 0x1ff);
    route(m, 4, 0x54);
    line(m, 4, true);
    g_assert_false(intr(m));
    route(m, 11, LEVEL | 0x5b);
    g_assert_cmpint(take(m), ==, 0x5b);
    machine_free(m);
}

static void test_timer_pin(void)
{
    Machine *m = new_machine();

    route(m, 2, 0x30);
    line(m, 0, true);
    g_assert_cmpint(take(m), ==, 0x30);
    eoi(m);
    route(m, 0, 0x31);
    line(m, 0, false);
    line(m, 0, true);
    g_assert_cmpint(take(m), ==, 0x30);
    machine_free(m);
}

static void test_destinations(void)
{
    Machine *m = new_machine();

    put(m, 0x10 + 2 * 5 + 1, 0x01000000); /* nobody's id */
    route(m, 5, 0x40);
    line(m, 5, true);
    g_assert_false(intr(m));
    line(m, 5, false);
    store(m, LAPIC + 0xd0, 0x01000000);
    route(m, 5, LOGICAL | 0x40);
    line(m, 5, true);
    g_assert_cmpint(take(m), ==, 0x40);
    machine_free(m);
}

static int vector_77(Device *dev)
{
    (void)dev;
    return 0x77;
}

static void test_through_8259(void)
{
    Machine *m = new_machine();

    machine_set_inta(m, device_find(m, "pic"), vector_77);
    route(m, 1, 0x700);
    line(m, 1, true);
    g_assert_cmpint(take(m), ==, 0x77);
    machine_free(m);
}

/* The 8259 hands its lines on: the cascade is none of them. */
static void test_lines_of_the_pic(void)
{
    Machine *m = new_machine();
    Device *master = bare_add(m, "isa-i8259", "master", "ioapic", "ioapic");

    bare_add(m, "isa-i8259", "slave", "iobase", "0xa0", "elcr_addr", "0x4d1", "irq", "master.2",
        "master", "master");
    store(m, LAPIC + 0xf0, 0x1ff); /* adding a device resets the machine */
    route(m, 2, 0x42);
    route(m, 14, 0x4e);
    route(m, 11, LEVEL | 0x4b);
    irq_set(&(Irq){ master, 14 }, true);
    g_assert_cmpint(take(m), ==, 0x4e);
    eoi(m);
    g_assert_false(intr(m));
    irq_set(&(Irq){ master, 0 }, true);
    g_assert_cmpint(take(m), ==, 0x42);
    eoi(m);
    irq_set(&(Irq){ master, PIC_WIRE_PIRQ + 11 }, true);
    irq_set(&(Irq){ master, PIC_WIRE_SCI + 11 }, true);
    irq_set(&(Irq){ master, PIC_WIRE_SCI + 11 }, false);
    g_assert_cmpint(take(m), ==, 0x4b);
    eoi(m);
    g_assert_true(intr(m)); /* the other driver holds it */
    irq_set(&(Irq){ master, PIC_WIRE_PIRQ + 11 }, false);
    take(m);
    eoi(m);
    g_assert_false(intr(m));
    machine_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ioapic/registers", test_registers);
    g_test_add_func("/ioapic/edge", test_edge);
    g_test_add_func("/ioapic/level", test_level);
    g_test_add_func("/ioapic/trigger-mode", test_trigger_mode);
    g_test_add_func("/ioapic/reset", test_reset);
    g_test_add_func("/ioapic/timer-pin", test_timer_pin);
    g_test_add_func("/ioapic/destinations", test_destinations);
    g_test_add_func("/ioapic/through-8259", test_through_8259);
    g_test_add_func("/ioapic/lines-of-the-pic", test_lines_of_the_pic);
    return g_test_run();
}
