/* SPDX-License-Identifier: MIT */
/* The serial port against its data sheet. */
#include "tests/device/bare.h"

enum { BASE = 0x3f8, IRQ = 4 };
enum { DATA = BASE, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

typedef struct Fixture {
    Machine *m;
    Tape *tape;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    f->tape = bare_tape(f->m, "tape");
    bare_add(f->m, "isa-serial", "com1", "chardev", "tape");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static unsigned get(Fixture *f, unsigned reg) { return in8(f->m, reg); }
static void set(Fixture *f, unsigned reg, unsigned val) { out8(f->m, reg, val); }
static void feed(Fixture *f, const char *text) { tape_feed(f->tape, text, strlen(text)); }
static bool irq(Fixture *f) { return bare_irq(f->m, IRQ); }

static void test_reset_values(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(get(f, IER), ==, 0);
    g_assert_cmphex(get(f, IIR), ==, 0x01);
    g_assert_cmphex(get(f, LCR), ==, 0);
    g_assert_cmphex(get(f, LSR), ==, 0x60);
    g_assert_cmphex(get(f, MSR), ==, 0xb0);
    set(f, SCR, 0x5a);
    g_assert_cmphex(get(f, SCR), ==, 0x5a);
    set(f, IER, 0xff);
    g_assert_cmphex(get(f, IER), ==, 0x0f);
}

static void test_divisor(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, LCR, 0x80);
    g_assert_cmphex(get(f, DATA), ==, 12);
    set(f, DATA, 0x34);
    set(f, IER, 0x12);
    g_assert_cmphex(get(f, DATA), ==, 0x34);
    g_assert_cmphex(get(f, IER), ==, 0x12);
    set(f, LCR, 0x03);
    g_assert_cmphex(get(f, IER), ==, 0);
    g_assert_cmpuint(f->tape->written->len, ==, 0);
}

static void test_send(Fixture *f, gconstpointer data)
{
    (void)data;
    for (const char *p = "hello"; *p; p++) {
        g_assert_cmphex(get(f, LSR) & 0x60, ==, 0x60);
        set(f, DATA, (unsigned char)*p);
    }
    g_assert_cmpmem(f->tape->written->data, f->tape->written->len, "hello", 5);
}

static void test_thr_interrupt(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, IER, 2); /* THR is empty: told at once */
    g_assert_true(irq(f));
    g_assert_cmphex(get(f, IIR), ==, 0x02);
    g_assert_false(irq(f)); /* reading IIR was the answer */
    g_assert_cmphex(get(f, IIR), ==, 0x01);
    set(f, DATA, 'x');
    g_assert_true(irq(f));
    set(f, IER, 0);
    g_assert_false(irq(f));
    set(f, IER, 2);
    g_assert_true(irq(f));
}

static void test_receive(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, IER, 1);
    g_assert_cmpuint(chardev_can_receive(&f->tape->chr), ==, 1);
    feed(f, "a");
    g_assert_cmpuint(chardev_can_receive(&f->tape->chr), ==, 0);
    g_assert_true(irq(f));
    g_assert_cmphex(get(f, IIR), ==, 0x04);
    g_assert_cmphex(get(f, LSR), ==, 0x61);
    g_assert_cmphex(get(f, DATA), ==, 'a');
    g_assert_false(irq(f));
    g_assert_cmphex(get(f, LSR), ==, 0x60);
    g_assert_cmphex(get(f, DATA), ==, 'a');
}

/* A guest that stands still gets nothing, and has room again when it runs on. */
static void test_stopped(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_set_run_state(f->m, RUN_PAUSED);
    g_assert_cmpuint(chardev_can_receive(&f->tape->chr), ==, 0);
    machine_set_run_state(f->m, RUN_RUNNING);
    g_assert_cmpuint(chardev_can_receive(&f->tape->chr), ==, 1);
}

static void test_fifo_trigger(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, FCR, 0x81); /* eight bytes */
    set(f, IER, 1);
    g_assert_cmphex(get(f, IIR), ==, 0xc1);
    feed(f, "1234567");
    g_assert_false(irq(f));
    g_assert_cmphex(get(f, LSR) & 1, ==, 1);
    feed(f, "8");
    g_assert_true(irq(f));
    g_assert_cmphex(get(f, IIR), ==, 0xc4);
    g_assert_cmphex(get(f, DATA), ==, '1');
    g_assert_false(irq(f));
    feed(f, "9abcdefghijk");
    g_assert_cmpuint(chardev_can_receive(&f->tape->chr), ==, 0); /* sixteen are in */
    for (const char *p = "23456789abcdefgh"; *p; p++) g_assert_cmphex(get(f, DATA), ==, *p);
    g_assert_cmphex(get(f, LSR), ==, 0x60);
}

/* Less than the trigger level, and silence for four characters. */
static void test_fifo_timeout(Fixture *f, gconstpointer data)
{
    int64_t char_ns = 10 * NS_PER_S / 9600;

    (void)data;
    set(f, LCR, 0x03); /* 8N1 at 9600 */
    set(f, FCR, 0xc1);
    set(f, IER, 1);
    feed(f, "ab");
    bare_run(f->m, 3 * char_ns);
    g_assert_false(irq(f));
    feed(f, "c"); /* starts the wait anew */
    bare_run(f->m, 3 * char_ns);
    g_assert_false(irq(f));
    bare_run(f->m, char_ns + 1000);
    g_assert_true(irq(f));
    g_assert_cmphex(get(f, IIR), ==, 0xcc);
    g_assert_cmphex(get(f, DATA), ==, 'a');
    g_assert_false(irq(f));
    bare_run(f->m, 5 * char_ns);
    g_assert_cmphex(get(f, IIR), ==, 0xcc);
    get(f, DATA);
    get(f, DATA);
    bare_run(f->m, 50 * char_ns);
    g_assert_false(irq(f)); /* nothing is left to tell of */
}

static void test_fifo_clear(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, FCR, 0x01);
    set(f, IER, 1);
    feed(f, "abc");
    g_assert_true(irq(f));
    set(f, FCR, 0x03);
    g_assert_false(irq(f));
    g_assert_cmphex(get(f, LSR), ==, 0x60);
    feed(f, "d");
    g_assert_cmphex(get(f, DATA), ==, 'd');
    feed(f, "e");
    set(f, FCR, 0x00); /* turning the FIFOs off empties them */
    g_assert_cmphex(get(f, LSR), ==, 0x60);
    g_assert_cmphex(get(f, IIR), ==, 0x01);
}

static void test_priorities(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, IER, 0x0f);
    chardev_event(&f->tape->chr, CHARDEV_BREAK);
    g_assert_cmphex(get(f, IIR), ==, 0x06);
    g_assert_cmphex(get(f, LSR), ==, 0x71);
    g_assert_cmphex(get(f, IIR), ==, 0x04);
    g_assert_cmphex(get(f, DATA), ==, 0);
    g_assert_cmphex(get(f, IIR), ==, 0x02);
    set(f, MCR, 0x10);
    g_assert_cmphex(get(f, IIR), ==, 0x00);
    g_assert_cmphex(get(f, MSR), ==, 0x0b);
    g_assert_cmphex(get(f, IIR), ==, 0x01);
    g_assert_false(irq(f));
}

static void test_loopback(Fixture *f, gconstpointer data)
{
    static const struct {
        uint8_t mcr, msr;
    } lines[] = { { 0x01, 0x20 }, { 0x02, 0x10 }, { 0x04, 0x40 }, { 0x08, 0x80 } };

    (void)data;
    set(f, MCR, 0x10);
    set(f, DATA, 'q');
    g_assert_cmphex(get(f, LSR) & 1, ==, 1);
    g_assert_cmphex(get(f, DATA), ==, 'q');
    g_assert_cmpuint(f->tape->written->len, ==, 0);
    g_assert_cmpuint(chardev_can_receive(&f->tape->chr), ==, 0);
    get(f, MSR);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        set(f, MCR, 0x10 | lines[i].mcr);
        g_assert_cmphex(get(f, MSR) & 0xf0, ==, lines[i].msr);
    }
    set(f, MCR, 0x14);
    get(f, MSR);
    set(f, MCR, 0x10); /* RI's trailing edge alone counts */
    g_assert_cmphex(get(f, MSR), ==, 0x04);
    /* An overrun shows and is cleared by reading. */
    set(f, DATA, '1');
    set(f, DATA, '2');
    g_assert_cmphex(get(f, LSR), ==, 0x63);
    g_assert_cmphex(get(f, LSR), ==, 0x61);
    g_assert_cmphex(get(f, DATA), ==, '2');
    set(f, MCR, 0);
    g_assert_cmphex(get(f, MSR) & 0xf0, ==, 0xb0);
}

/* Ports take their places of a PC one by one. */
static void test_places(Fixture *f, gconstpointer data)
{
    Error err = ERROR_INIT;

    (void)data;
    bare_add(f->m, "isa-serial", NULL);
    bare_add(f->m, "isa-serial", NULL);
    bare_add(f->m, "isa-serial", NULL, "irq", "9");
    out8(f->m, 0x2f9, 2);
    g_assert_true(bare_irq(f->m, 3));
    out8(f->m, 0x3e9, 2);
    g_assert_true(bare_irq(f->m, 4));
    out8(f->m, 0x2e9, 2);
    g_assert_true(bare_irq(f->m, 9));
    g_assert_null(device_create(f->m, "isa-serial", NULL, &err, NULL));
    g_assert_cmpstr(err.msg, ==, "Max. supported number of ISA serial ports is 4.");
}

/* Bytes that another emulator had not got rid of go out first after a load. */
static void test_loaded_output(Fixture *f, gconstpointer data)
{
    static const uint8_t wire[] = { 0, 12, 0, 0x02, 0xc1, 3, 8, 0x00, 0xb0, 0, 0x01, 5, 10, 's',
        'e', 'r', 'i', 'a', 'l', '/', 't', 's', 'r', 0, 0, 0, 1, 0, 0, 0, 1, 0, 'A', 5, 16, 's',
        'e', 'r', 'i', 'a', 'l', '/', 'x', 'm', 'i', 't', '_', 'f', 'i', 'f', 'o', 0, 0, 0, 1, 'C',
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'B', 0, 0, 0, 15, 0, 0, 0, 2, 0x7e };
    Section *sec = section_find(f->m, "serial", 0);
    Stream st;

    (void)data;
    stream_init(&st);
    stream_put(&st, wire, sizeof(wire));
    device_initial_state(sec->dev, sec->state);
    if (!vmstate_load(&st, sec->vmsd, sec->state, 3)) g_error("%s", st.err.msg);
    g_assert_cmpuint(stream_left(&st), ==, 1);
    stream_free(&st);
    machine_sync(f->m);
    g_assert_false(irq(f));
    bare_run(f->m, 1);
    g_assert_cmpmem(f->tape->written->data, f->tape->written->len, "ABC", 3);
    g_assert_true(irq(f));
    g_assert_cmphex(get(f, IIR), ==, 0xc2);
}

/* A load while received bytes wait: the timeout comes at its instant, and only once. */
static void test_load_timeout(Fixture *f, gconstpointer data)
{
    int64_t char_ns = 10 * NS_PER_S / 9600;
    Fixture g;

    setup(&g, data);
    set(f, LCR, 0x03);
    set(f, FCR, 0xc1);
    set(f, IER, 1);
    feed(f, "ab");
    bare_run(f->m, 3 * char_ns);
    bare_copy(g.m, f->m);
    bare_run(g.m, char_ns - 10000);
    g_assert_false(irq(&g));
    bare_run(g.m, 20000);
    g_assert_true(irq(&g));
    g_assert_cmphex(get(&g, IIR), ==, 0xcc);
    /* And once more, with the timeout already told. */
    set(&g, IER, 0);
    bare_copy(f->m, g.m);
    g_assert_false(irq(f));
    set(f, IER, 1);
    g_assert_true(irq(f));
    g_assert_cmphex(get(f, IIR), ==, 0xcc);
    g_assert_cmphex(get(f, DATA), ==, 'a');
    teardown(&g, data);
}

#define CASE(name) g_test_add("/device/uart/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(reset_values);
    CASE(divisor);
    CASE(send);
    CASE(thr_interrupt);
    CASE(receive);
    CASE(stopped);
    CASE(fifo_trigger);
    CASE(fifo_timeout);
    CASE(fifo_clear);
    CASE(priorities);
    CASE(loopback);
    CASE(places);
    CASE(loaded_output);
    CASE(load_timeout);
    return g_test_run();
}
