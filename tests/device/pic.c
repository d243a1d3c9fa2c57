/* SPDX-License-Identifier: MIT */
/* The interrupt controller pair against its data sheet: modes, priorities, polling, spurious. */
#include "tests/device/bare.h"

enum { MASTER = 0x20, SLAVE = 0xa0 };

typedef struct Fixture {
    Machine *m;
    Device *pic;
} Fixture;

/* Vectors 08h and 70h, all lines open. */
static void init_pair(Machine *m, unsigned icw4)
{
    out8(m, MASTER, 0x11);
    out8(m, MASTER + 1, 0x08);
    out8(m, MASTER + 1, 0x04);
    out8(m, MASTER + 1, icw4);
    out8(m, MASTER + 1, 0);
    out8(m, SLAVE, 0x11);
    out8(m, SLAVE + 1, 0x70);
    out8(m, SLAVE + 1, 0x02);
    out8(m, SLAVE + 1, icw4);
    out8(m, SLAVE + 1, 0);
}

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    f->pic = bare_add(f->m, "isa-i8259", "i8259");
    bare_add(f->m, "isa-i8259", "pic2", "iobase", "0xa0", "elcr_addr", "0x4d1", "elcr_mask", "0xde",
        "irq", "i8259.2", "master", "i8259");
    init_pair(f->m, 0x01);
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static void line(Fixture *f, int n, bool level) { irq_set(&(Irq){ f->pic, n }, level); }
static bool intr(Fixture *f) { return bare_probe(f->m, "cpu0")->level[CPU_WIRE_INTR]; }
static int inta(Fixture *f) { return machine_inta(f->m); }

static unsigned isr(Fixture *f, unsigned chip)
{
    out8(f->m, chip, 0x0b);
    return in8(f->m, chip);
}

static unsigned irr(Fixture *f, unsigned chip)
{
    out8(f->m, chip, 0x0a);
    return in8(f->m, chip);
}

static void eoi(Fixture *f, unsigned chip) { out8(f->m, chip, 0x20); }

static void test_edge(Fixture *f, gconstpointer data)
{
    (void)data;
    line(f, 3, true);
    g_assert_true(intr(f));
    g_assert_cmpint(inta(f), ==, 0x0b);
    g_assert_false(intr(f));
    g_assert_cmphex(isr(f, MASTER), ==, 0x08);
    g_assert_cmphex(irr(f, MASTER), ==, 0);
    eoi(f, MASTER);
    g_assert_false(intr(f)); /* still high: no new edge */
    line(f, 3, false);
    line(f, 3, true);
    g_assert_true(intr(f));
}

static void test_level(Fixture *f, gconstpointer data)
{
    (void)data;
    out8(f->m, 0x4d0, 0xff);
    g_assert_cmphex(in8(f->m, 0x4d0), ==, 0xf8); /* 0, 1, 2 stay edge-triggered */
    out8(f->m, 0x4d1, 0xff);
    g_assert_cmphex(in8(f->m, 0x4d1), ==, 0xde);
    line(f, 5, true);
    g_assert_cmpint(inta(f), ==, 0x0d);
    eoi(f, MASTER);
    g_assert_true(intr(f)); /* as long as the line is up */
    line(f, 5, false);
    g_assert_false(intr(f));
    line(f, 11, true);
    g_assert_cmpint(inta(f), ==, 0x73);
    eoi(f, SLAVE);
    eoi(f, MASTER);
    g_assert_true(intr(f));
    line(f, 11, false);
    g_assert_false(intr(f));
}

static void test_priority(Fixture *f, gconstpointer data)
{
    (void)data;
    line(f, 4, true);
    g_assert_cmpint(inta(f), ==, 0x0c);
    line(f, 6, true);
    g_assert_false(intr(f)); /* lower than the one in service */
    line(f, 1, true);
    g_assert_true(intr(f));
    g_assert_cmpint(inta(f), ==, 0x09);
    g_assert_cmphex(isr(f, MASTER), ==, 0x12);
    eoi(f, MASTER); /* non-specific: the highest one */
    g_assert_cmphex(isr(f, MASTER), ==, 0x10);
    out8(f->m, MASTER, 0x64); /* specific, 4 */
    g_assert_cmphex(isr(f, MASTER), ==, 0);
    g_assert_cmpint(inta(f), ==, 0x0e);
}

static void test_mask(Fixture *f, gconstpointer data)
{
    (void)data;
    out8(f->m, MASTER + 1, 0x10);
    line(f, 4, true);
    g_assert_false(intr(f));
    g_assert_cmphex(irr(f, MASTER), ==, 0x10);
    out8(f->m, MASTER + 1, 0);
    g_assert_true(intr(f));
    g_assert_cmphex(in8(f->m, MASTER + 1), ==, 0);
}

static void test_cascade(Fixture *f, gconstpointer data)
{
    (void)data;
    line(f, 14, true);
    g_assert_cmpint(inta(f), ==, 0x76);
    g_assert_cmphex(isr(f, MASTER), ==, 0x04);
    g_assert_cmphex(isr(f, SLAVE), ==, 0x40);
    line(f, 8, true); /* higher, but the master is serving the slave: not nested */
    g_assert_false(intr(f));
    eoi(f, SLAVE);
    g_assert_false(intr(f));
    eoi(f, MASTER);
    g_assert_true(intr(f));
    g_assert_cmpint(inta(f), ==, 0x70);
}

static void test_fully_nested(Fixture *f, gconstpointer data)
{
    (void)data;
    init_pair(f->m, 0x11);
    line(f, 14, true);
    g_assert_cmpint(inta(f), ==, 0x76);
    line(f, 8, true);
    g_assert_true(intr(f));
    g_assert_cmpint(inta(f), ==, 0x70);
    g_assert_cmphex(isr(f, SLAVE), ==, 0x41);
}

static void test_spurious(Fixture *f, gconstpointer data)
{
    (void)data;
    line(f, 4, true);
    line(f, 4, false); /* gone before the acknowledge */
    g_assert_false(intr(f));
    g_assert_cmpint(inta(f), ==, 0x0f);
    g_assert_cmphex(isr(f, MASTER), ==, 0); /* a spurious one is not in service */
    /* The slave's request falls away while the master is being acknowledged. */
    out8(f->m, MASTER + 1, 0x04);
    line(f, 12, true);
    out8(f->m, MASTER + 1, 0);
    g_assert_true(intr(f));
    g_assert_cmpint(inta(f), ==, 0x74);
}

static void test_auto_eoi(Fixture *f, gconstpointer data)
{
    (void)data;
    init_pair(f->m, 0x03);
    line(f, 3, true);
    g_assert_cmpint(inta(f), ==, 0x0b);
    g_assert_cmphex(isr(f, MASTER), ==, 0);
    out8(f->m, MASTER, 0x80); /* rotate in automatic EOI */
    line(f, 0, true);
    line(f, 1, true);
    g_assert_cmpint(inta(f), ==, 0x08); /* 0 is the lowest now */
    line(f, 0, false);
    line(f, 0, true);
    g_assert_cmpint(inta(f), ==, 0x09);
    g_assert_cmpint(inta(f), ==, 0x08);
}

static void test_rotation(Fixture *f, gconstpointer data)
{
    (void)data;
    line(f, 4, true);
    inta(f);
    out8(f->m, MASTER, 0xa0); /* rotate on non-specific EOI: 5 becomes the highest */
    line(f, 6, true);
    line(f, 0, true);
    g_assert_cmpint(inta(f), ==, 0x0e);
    out8(f->m, MASTER, 0xe6); /* rotate on specific EOI of 6 */
    g_assert_cmphex(isr(f, MASTER), ==, 0);
    g_assert_cmpint(inta(f), ==, 0x08);
    eoi(f, MASTER);
    out8(f->m, MASTER, 0xc2); /* set priority: 2 the lowest */
    line(f, 1, true);
    line(f, 3, true);
    g_assert_cmpint(inta(f), ==, 0x0b);
}

static void test_special_mask(Fixture *f, gconstpointer data)
{
    (void)data;
    line(f, 1, true);
    inta(f);
    line(f, 5, true);
    g_assert_false(intr(f));
    out8(f->m, MASTER + 1, 0x02);
    out8(f->m, MASTER, 0x68);
    g_assert_true(intr(f));
    g_assert_cmpint(inta(f), ==, 0x0d);
    eoi(f, MASTER); /* spares the masked one */
    g_assert_cmphex(isr(f, MASTER), ==, 0x02);
    out8(f->m, MASTER, 0x48);
    out8(f->m, MASTER, 0x61);
    g_assert_cmphex(isr(f, MASTER), ==, 0);
}

static void test_poll(Fixture *f, gconstpointer data)
{
    (void)data;
    out8(f->m, MASTER, 0x0c);
    g_assert_cmphex(in8(f->m, MASTER), ==, 0);
    line(f, 6, true);
    out8(f->m, MASTER, 0x0c);
    g_assert_cmphex(in8(f->m, MASTER), ==, 0x86);
    g_assert_cmphex(isr(f, MASTER), ==, 0x40);
    g_assert_false(intr(f));
}

static void test_reinit(Fixture *f, gconstpointer data)
{
    (void)data;
    line(f, 3, true);
    inta(f);
    line(f, 5, true);
    out8(f->m, MASTER + 1, 0xff);
    init_pair(f->m, 0x01);
    g_assert_cmphex(isr(f, MASTER), ==, 0);
    g_assert_cmphex(irr(f, MASTER), ==, 0); /* a line that is high has to fall first */
    g_assert_cmphex(in8(f->m, MASTER + 1), ==, 0);
    line(f, 5, false);
    line(f, 5, true);
    g_assert_cmpint(inta(f), ==, 0x0d);
}

/* A line set while outputs are recomputed is no edge; a latched request survives it. */
static void test_sync(Fixture *f, gconstpointer data)
{
    (void)data;
    line(f, 3, true);
    f->m->syncing = true;
    line(f, 3, false);
    line(f, 4, true);
    f->m->syncing = false;
    g_assert_cmphex(irr(f, MASTER), ==, 0x08);
    line(f, 4, false);
    line(f, 4, true);
    g_assert_cmphex(irr(f, MASTER), ==, 0x18);
}

#define CASE(name) g_test_add("/device/pic/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(edge);
    CASE(level);
    CASE(priority);
    CASE(mask);
    CASE(cascade);
    CASE(fully_nested);
    CASE(spurious);
    CASE(auto_eoi);
    CASE(rotation);
    CASE(special_mask);
    CASE(poll);
    CASE(reinit);
    CASE(sync);
    return g_test_run();
}
