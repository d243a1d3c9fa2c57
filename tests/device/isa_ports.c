/* SPDX-License-Identifier: MIT */
/* The small devices on the ISA bus: port 92h, F0h, debug console and exit, parallel port. */
#include "tests/device/bare.h"

typedef struct Fixture {
    Machine *m;
    Tape *tape;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    f->tape = bare_tape(f->m, "tape");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static bool cpu_line(Fixture *f, int line) { return bare_probe(f->m, "cpu0")->level[line]; }

static void test_port92(Fixture *f, gconstpointer data)
{
    (void)data;
    bare_add(f->m, "port92", NULL);
    out8(f->m, 0x92, 2);
    g_assert_true(cpu_line(f, CPU_WIRE_A20));
    g_assert_cmphex(in8(f->m, 0x92), ==, 2);
    out8(f->m, 0x92, 0);
    g_assert_false(cpu_line(f, CPU_WIRE_A20));
    g_assert_false(f->m->reset_requested);
    out8(f->m, 0x92, 3);
    g_assert_true(f->m->reset_requested);
    f->m->reset_requested = false;
    out8(f->m, 0x92, 3); /* a rising edge it takes */
    g_assert_false(f->m->reset_requested);
    machine_reset(f->m);
    g_assert_cmphex(in8(f->m, 0x92), ==, 2);
}

static void test_ferr(Fixture *f, gconstpointer data)
{
    (void)data;
    bare_add(f->m, "ioport80", NULL);
    out8(f->m, 0x80, 0x12);
    g_assert_cmphex(in8(f->m, 0x80), ==, 0xff);
    g_assert_false(cpu_line(f, CPU_WIRE_IGNNE));
    out8(f->m, 0xf0, 0);
    g_assert_true(cpu_line(f, CPU_WIRE_IGNNE));
}

static void test_debugcon(Fixture *f, gconstpointer data)
{
    (void)data;
    bare_add(f->m, "isa-debugcon", NULL, "iobase", "0x402", "chardev", "tape");
    bare_add(f->m, "isa-debugcon", NULL, "readback", "0x12");
    g_assert_cmphex(in8(f->m, 0x402), ==, 0xe9);
    g_assert_cmphex(in8(f->m, 0xe9), ==, 0x12);
    out8(f->m, 0x402, 'H');
    out8(f->m, 0xe9, 'x');
    out8(f->m, 0x402, 'i');
    g_assert_cmpmem(f->tape->written->data, f->tape->written->len, "Hi", 2);
}

static void test_debug_exit(Fixture *f, gconstpointer data)
{
    (void)data;
    bare_add(f->m, "isa-debug-exit", NULL, "iobase", "0xf4", "iosize", "4");
    g_assert_cmphex(in8(f->m, 0xf4), ==, 0);
    g_assert_false(f->m->quit);
    pio_write(f->m, 0xf4, 0x10, 4);
    g_assert_true(f->m->quit);
    g_assert_cmpint(f->m->exit_code, ==, 0x21);
}

static void test_parallel(Fixture *f, gconstpointer data)
{
    (void)data;
    bare_add(f->m, "isa-parallel", NULL, "chardev", "tape");
    g_assert_cmphex(in8(f->m, 0x378), ==, 0xff);
    g_assert_cmphex(in8(f->m, 0x379), ==, 0xd9);
    g_assert_cmphex(in8(f->m, 0x37a), ==, 0xcc);
    out8(f->m, 0x378, 'P');
    out8(f->m, 0x37a, 0x1d); /* strobe, with the interrupt on */
    g_assert_false(bare_irq(f->m, 7));
    g_assert_cmphex(in8(f->m, 0x379), ==, 0x59); /* busy, as long as it lasts */
    g_assert_cmphex(in8(f->m, 0x379), ==, 0x59);
    out8(f->m, 0x37a, 0x1c);
    g_assert_true(bare_irq(f->m, 7));
    g_assert_cmphex(in8(f->m, 0x379), ==, 0x59);
    g_assert_cmphex(in8(f->m, 0x379), ==, 0x19); /* acknowledged */
    in8(f->m, 0x379);
    g_assert_false(bare_irq(f->m, 7));
    out8(f->m, 0x378, 'Q');
    out8(f->m, 0x37a, 0x05); /* not selected */
    out8(f->m, 0x37a, 0x04);
    out8(f->m, 0x37a, 0x0d);
    g_assert_false(bare_irq(f->m, 7));
    g_assert_cmpmem(f->tape->written->data, f->tape->written->len, "PQ", 2);
    out8(f->m, 0x37a, 0x1d); /* the strobe stays: no second byte, and none of it is an edge */
    out8(f->m, 0x37a, 0x1d);
    g_assert_cmpuint(f->tape->written->len, ==, 2);
    out8(f->m, 0x37a, 0x1c);
    g_assert_true(bare_irq(f->m, 7));
    out8(f->m, 0x37a, 0x0c); /* the interrupt goes with its enable */
    g_assert_false(bare_irq(f->m, 7));
    out8(f->m, 0x37a, 0x1c); /* and no strobe ended with this */
    g_assert_false(bare_irq(f->m, 7));
}

static void test_parallel_load(Fixture *f, gconstpointer data)
{
    Fixture g;

    setup(&g, data);
    bare_add(f->m, "isa-parallel", NULL, "chardev", "tape");
    bare_add(g.m, "isa-parallel", NULL, "chardev", "tape");
    out8(f->m, 0x37a, 0x1d);
    out8(f->m, 0x37a, 0x1c);
    bare_copy(g.m, f->m);
    g_assert_true(bare_irq(g.m, 7));
    in8(f->m, 0x379);
    bare_copy(g.m, f->m);
    g_assert_false(bare_irq(g.m, 7));
    teardown(&g, data);
}

/* A device that is gone answers no more. */
static void test_free(Fixture *f, gconstpointer data)
{
    Device *dev = bare_add(f->m, "isa-debugcon", NULL, "readback", "0x12");

    (void)data;
    g_assert_cmphex(in8(f->m, 0xe9), ==, 0x12);
    device_free(dev);
    g_assert_cmphex(in8(f->m, 0xe9), ==, 0xff);
}

#define CASE(name)                                                                                 \
    g_test_add("/device/isa_ports/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(port92);
    CASE(ferr);
    CASE(debugcon);
    CASE(debug_exit);
    CASE(parallel);
    CASE(parallel_load);
    CASE(free);
    return g_test_run();
}
