/* SPDX-License-Identifier: MIT */
/* The interval timer against its data sheet, with the clock in hand; and the speaker port. */
#include "tests/device/bare.h"

enum { CONTROL = 0x43, SPEAKER = 0x61 };

typedef struct Fixture {
    Machine *m;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    bare_add(f->m, "isa-pit", "pit");
    bare_add(f->m, "isa-pcspk", "pcspk", "pit", "pit");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

/* The first instant at which n ticks of 1193182 Hz have passed. */
static int64_t ticks(int64_t n) { return (n * NS_PER_S + 1193181) / 1193182; }

static void program(Fixture *f, unsigned ch, unsigned mode, unsigned count, bool bcd)
{
    out8(f->m, CONTROL, ch << 6 | 0x30 | mode << 1 | bcd);
    out8(f->m, 0x40 + ch, count & 0xff);
    out8(f->m, 0x40 + ch, count >> 8);
}

static unsigned counter(Fixture *f, unsigned ch)
{
    unsigned low;

    out8(f->m, CONTROL, ch << 6); /* latch */
    low = in8(f->m, 0x40 + ch);
    return low | in8(f->m, 0x40 + ch) << 8;
}

static unsigned status(Fixture *f, unsigned ch)
{
    out8(f->m, CONTROL, 0xe0 | 2 << ch);
    return in8(f->m, 0x40 + ch);
}

/* Runs to the n-th tick after a load at time start. */
static void run_to(Fixture *f, int64_t start, int64_t n)
{
    bare_run(f->m, start + ticks(n) - bare_now(f->m));
}

static void test_mode0(Fixture *f, gconstpointer data)
{
    int64_t t = bare_now(f->m);

    (void)data;
    program(f, 0, 0, 1000, false);
    g_assert_false(bare_irq(f->m, 0));
    g_assert_cmpuint(counter(f, 0), ==, 1000);
    run_to(f, t, 400);
    g_assert_cmpuint(counter(f, 0), ==, 600);
    run_to(f, t, 999);
    g_assert_false(bare_irq(f->m, 0));
    run_to(f, t, 1000);
    g_assert_true(bare_irq(f->m, 0));
    run_to(f, t, 70000); /* once, and it counts on */
    g_assert_true(bare_irq(f->m, 0));
    g_assert_cmpuint(counter(f, 0), ==, (1000 - 70000) & 0xffff);
    program(f, 0, 0, 10, false);
    g_assert_false(bare_irq(f->m, 0));
}

static void test_mode2(Fixture *f, gconstpointer data)
{
    int64_t t = bare_now(f->m);
    unsigned rises;

    (void)data;
    program(f, 0, 2, 100, false);
    g_assert_true(bare_irq(f->m, 0));
    rises = bare_rises(f->m, 0);
    run_to(f, t, 99); /* low for the last tick */
    g_assert_false(bare_irq(f->m, 0));
    g_assert_cmpuint(counter(f, 0), ==, 1);
    run_to(f, t, 100);
    g_assert_true(bare_irq(f->m, 0));
    g_assert_cmpuint(counter(f, 0), ==, 100);
    run_to(f, t, 1000);
    g_assert_cmpuint(bare_rises(f->m, 0) - rises, ==, 10);
}

static void test_mode3(Fixture *f, gconstpointer data)
{
    int64_t t = bare_now(f->m);
    unsigned rises;

    (void)data;
    program(f, 0, 3, 7, false); /* odd: four high, three low */
    rises = bare_rises(f->m, 0);
    g_assert_cmpuint(counter(f, 0), ==, 6);
    run_to(f, t, 3);
    g_assert_true(bare_irq(f->m, 0));
    g_assert_cmpuint(counter(f, 0), ==, 0);
    run_to(f, t, 4);
    g_assert_false(bare_irq(f->m, 0));
    g_assert_cmpuint(counter(f, 0), ==, 6);
    run_to(f, t, 6);
    g_assert_false(bare_irq(f->m, 0));
    run_to(f, t, 7);
    g_assert_true(bare_irq(f->m, 0));
    run_to(f, t, 70);
    g_assert_cmpuint(bare_rises(f->m, 0) - rises, ==, 10);
}

/* A second has 18.2 full-length periods, and nothing is lost over an hour. */
static void test_no_drift(Fixture *f, gconstpointer data)
{
    unsigned rises;

    (void)data;
    program(f, 0, 2, 11932, false); /* about 100 Hz */
    rises = bare_rises(f->m, 0);
    bare_run(f->m, 3600 * NS_PER_S);
    g_assert_cmpuint(bare_rises(f->m, 0) - rises, ==, 3600ull * 1193182 / 11932);
}

static void test_mode4(Fixture *f, gconstpointer data)
{
    int64_t t = bare_now(f->m);

    (void)data;
    program(f, 0, 4, 50, false);
    g_assert_true(bare_irq(f->m, 0));
    run_to(f, t, 50);
    g_assert_false(bare_irq(f->m, 0));
    run_to(f, t, 51);
    g_assert_true(bare_irq(f->m, 0));
    run_to(f, t, 70000);
    g_assert_true(bare_irq(f->m, 0));
}

static bool out2(Fixture *f) { return in8(f->m, SPEAKER) & 0x20; }

static void test_mode1(Fixture *f, gconstpointer data)
{
    int64_t t;

    (void)data;
    out8(f->m, SPEAKER, 0);
    program(f, 2, 1, 200, false);
    bare_run(f->m, ticks(500));
    g_assert_true(out2(f)); /* waits for its trigger */
    out8(f->m, SPEAKER, 1);
    t = bare_now(f->m);
    g_assert_false(out2(f));
    run_to(f, t, 150);
    out8(f->m, SPEAKER, 0);
    g_assert_false(out2(f));
    out8(f->m, SPEAKER, 1); /* triggered again */
    t = bare_now(f->m);
    run_to(f, t, 199);
    g_assert_false(out2(f));
    run_to(f, t, 200);
    g_assert_true(out2(f));
}

static void test_mode5(Fixture *f, gconstpointer data)
{
    int64_t t;

    (void)data;
    out8(f->m, SPEAKER, 0);
    program(f, 2, 5, 30, false);
    bare_run(f->m, ticks(100));
    g_assert_true(out2(f));
    out8(f->m, SPEAKER, 1);
    t = bare_now(f->m);
    run_to(f, t, 29);
    g_assert_true(out2(f));
    run_to(f, t, 30);
    g_assert_false(out2(f));
    run_to(f, t, 31);
    g_assert_true(out2(f));
}

static void test_gate(Fixture *f, gconstpointer data)
{
    int64_t t;

    (void)data;
    out8(f->m, SPEAKER, 1);
    program(f, 2, 0, 1000, false);
    t = bare_now(f->m);
    run_to(f, t, 300);
    out8(f->m, SPEAKER, 0); /* counting stops */
    bare_run(f->m, ticks(5000));
    g_assert_cmpuint(counter(f, 2), ==, 700);
    out8(f->m, SPEAKER, 1); /* and goes on */
    t = bare_now(f->m);
    run_to(f, t, 100);
    g_assert_cmpuint(counter(f, 2), ==, 600);
    program(f, 2, 3, 1000, false);
    t = bare_now(f->m);
    run_to(f, t, 700);
    g_assert_false(out2(f));
    out8(f->m, SPEAKER, 0);
    g_assert_true(out2(f)); /* a low gate forces the output high */
    out8(f->m, SPEAKER, 1);
    g_assert_cmpuint(counter(f, 2), ==, 1000); /* and a rising one starts anew */
}

static void test_bcd(Fixture *f, gconstpointer data)
{
    int64_t t = bare_now(f->m);

    (void)data;
    program(f, 0, 0, 0x1234, true);
    run_to(f, t, 35);
    g_assert_cmphex(counter(f, 0), ==, 0x1199);
    run_to(f, t, 1235);
    g_assert_cmphex(counter(f, 0), ==, 0x9999);
    t = bare_now(f->m);
    program(f, 0, 2, 0, true); /* 10000 */
    run_to(f, t, 9999);
    g_assert_cmphex(counter(f, 0), ==, 0x0001);
    run_to(f, t, 10000);
    g_assert_cmphex(counter(f, 0), ==, 0x0000);
}

static void test_byte_modes(Fixture *f, gconstpointer data)
{
    int64_t t = bare_now(f->m);

    (void)data;
    out8(f->m, CONTROL, 0x14); /* channel 0, low byte only, mode 2 */
    out8(f->m, 0x40, 200);
    run_to(f, t, 50);
    g_assert_cmpuint(in8(f->m, 0x40), ==, 150);
    g_assert_cmpuint(in8(f->m, 0x40), ==, 150);
    out8(f->m, CONTROL, 0x24); /* high byte only */
    out8(f->m, 0x40, 2);
    t = bare_now(f->m);
    run_to(f, t, 10);
    g_assert_cmpuint(in8(f->m, 0x40), ==, 1); /* 512 - 10 */
}

static void test_latch(Fixture *f, gconstpointer data)
{
    int64_t t = bare_now(f->m);

    (void)data;
    program(f, 1, 2, 0x4321, false);
    run_to(f, t, 0x21);
    out8(f->m, CONTROL, 0x40);
    run_to(f, t, 0x100);
    out8(f->m, CONTROL, 0x40); /* the first latch holds */
    g_assert_cmphex(in8(f->m, 0x41), ==, 0x00);
    g_assert_cmphex(in8(f->m, 0x41), ==, 0x43);
    g_assert_cmphex(in8(f->m, 0x41), ==, 0x21); /* 4321h - 100h */
    g_assert_cmphex(in8(f->m, 0x41), ==, 0x42);
}

static void test_read_back(Fixture *f, gconstpointer data)
{
    int64_t t = bare_now(f->m);

    (void)data;
    out8(f->m, CONTROL, 0x30); /* mode 0, no count yet */
    g_assert_cmphex(status(f, 0), ==, 0x70);
    program(f, 0, 0, 20, false);
    g_assert_cmphex(status(f, 0), ==, 0x30);
    run_to(f, t, 20);
    g_assert_cmphex(status(f, 0), ==, 0xb0);
    program(f, 1, 7, 0x100, true); /* mode 7 is mode 3 */
    g_assert_cmphex(status(f, 1), ==, 0xb7);
    /* Status and count of one channel: the status comes first. */
    t = bare_now(f->m);
    program(f, 0, 2, 0x1000, false);
    run_to(f, t, 1);
    out8(f->m, CONTROL, 0xc2);
    g_assert_cmphex(in8(f->m, 0x40), ==, 0xb4);
    g_assert_cmphex(in8(f->m, 0x40), ==, 0xff);
    g_assert_cmphex(in8(f->m, 0x40), ==, 0x0f);
}

/* Under the host's clock: counters that are latched together are so at one instant. */
static void test_read_back_is_whole(Fixture *f, gconstpointer data)
{
    (void)data;
    bare_host_time(f->m); /* since the reset, 0 and 1 have counted alike */
    for (int i = 0; i < 20000; i++) {
        out8(f->m, CONTROL, 0xd6);
        g_assert_cmphex(in8(f->m, 0x40), ==, in8(f->m, 0x41));
    }
}

static void test_speaker_port(Fixture *f, gconstpointer data)
{
    unsigned toggles = 0, last = in8(f->m, SPEAKER) & 0x10;

    (void)data;
    out8(f->m, SPEAKER, 3);
    g_assert_cmphex(in8(f->m, SPEAKER) & 0x0f, ==, 3);
    out8(f->m, SPEAKER, 0xfc);
    g_assert_cmphex(in8(f->m, SPEAKER) & 0x0f, ==, 0);
    for (int i = 0; i < 10000; i++) { /* 10 ms */
        unsigned now;

        bare_run(f->m, 1000);
        now = in8(f->m, SPEAKER) & 0x10;
        toggles += now != last;
        last = now;
    }
    g_assert_cmpuint(toggles, >=, 660);
    g_assert_cmpuint(toggles, <=, 666);
}

/* A load in the middle of a period keeps the phase and makes no edge. */
static void test_load(Fixture *f, gconstpointer data)
{
    Fixture g;
    int64_t t = bare_now(f->m);

    (void)data;
    setup(&g, NULL);
    program(f, 0, 3, 1000, false);
    run_to(f, t, 12345);
    bare_copy(g.m, f->m);
    g_assert_cmpint(bare_irq(g.m, 0), ==, bare_irq(f->m, 0));
    for (int i = 0; i < 100; i++) {
        bare_run(f->m, ticks(99));
        bare_run(g.m, ticks(99));
        g_assert_cmpint(bare_irq(g.m, 0), ==, bare_irq(f->m, 0));
        g_assert_cmpuint(counter(&g, 0), ==, counter(f, 0));
    }
    teardown(&g, NULL);
}

#define CASE(name) g_test_add("/device/pit/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(mode0);
    CASE(mode1);
    CASE(mode2);
    CASE(mode3);
    CASE(mode4);
    CASE(mode5);
    CASE(no_drift);
    CASE(gate);
    CASE(bcd);
    CASE(byte_modes);
    CASE(latch);
    CASE(read_back);
    CASE(read_back_is_whole);
    CASE(speaker_port);
    CASE(load);
    return g_test_run();
}
