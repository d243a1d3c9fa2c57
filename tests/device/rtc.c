/* SPDX-License-Identifier: MIT */
/* The real-time clock against its data sheet, with the clock in hand. */
#include "hw/rtc.h"

#include "tests/device/bare.h"

enum { SEC = 0, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WDAY, DAY, MONTH, YEAR, A, B, C, D };
enum { CENTURY = 0x32, IRQ = 8 };

typedef struct Fixture {
    Machine *m;
    Device *rtc;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    f->rtc = bare_add(f->m, "mc146818rtc", "rtc");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static unsigned get(Fixture *f, unsigned reg)
{
    out8(f->m, 0x70, reg);
    return in8(f->m, 0x71);
}

static void set(Fixture *f, unsigned reg, unsigned val)
{
    out8(f->m, 0x70, reg);
    out8(f->m, 0x71, val);
}

static void run_s(Fixture *f, double s) { bare_run(f->m, (int64_t)(s * 1e9)); }

#define g_assert_time(f, h, mi, s)                                                                 \
    do {                                                                                           \
        g_assert_cmphex(get(f, HOUR), ==, h);                                                      \
        g_assert_cmphex(get(f, MIN), ==, mi);                                                      \
        g_assert_cmphex(get(f, SEC), ==, s);                                                       \
    } while (0)

static void test_calendar(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(get(f, A), ==, 0x26);
    g_assert_cmphex(get(f, B), ==, 0x02);
    g_assert_cmphex(get(f, D), ==, 0x80);
    g_assert_time(f, 0x23, 0x59, 0x00);
    g_assert_cmphex(get(f, WDAY), ==, 4); /* Wednesday */
    run_s(f, 60);
    g_assert_time(f, 0x00, 0x00, 0x00);
    g_assert_cmphex(get(f, DAY), ==, 0x29); /* a leap year */
    g_assert_cmphex(get(f, MONTH), ==, 0x02);
    g_assert_cmphex(get(f, YEAR), ==, 0x24);
    g_assert_cmphex(get(f, CENTURY), ==, 0x20);
    g_assert_cmphex(get(f, 0x37), ==, 0x20);
    run_s(f, 86400);
    g_assert_cmphex(get(f, DAY), ==, 0x01);
    g_assert_cmphex(get(f, MONTH), ==, 0x03);
    g_assert_cmphex(get(f, WDAY), ==, 6);
}

static void test_formats(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, B, 0x06); /* binary, 24 hours */
    g_assert_time(f, 23, 59, 0);
    set(f, B, 0x04); /* binary, 12 hours */
    g_assert_time(f, 0x80 | 11, 59, 0);
    set(f, B, 0x00);
    g_assert_time(f, 0x91, 0x59, 0);
    run_s(f, 60);
    g_assert_time(f, 0x12, 0, 0); /* midnight is 12 AM */
    run_s(f, 12 * 3600);
    g_assert_time(f, 0x92, 0, 0);
    set(f, HOUR, 0x83); /* 3 PM */
    set(f, B, 0x02);
    g_assert_time(f, 0x15, 0, 0);
}

static void test_setting(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, B, 0x82);
    set(f, SEC, 0x58);
    set(f, MIN, 0x59);
    set(f, HOUR, 0x23);
    set(f, DAY, 0x31);
    set(f, MONTH, 0x12);
    set(f, YEAR, 0x99);
    set(f, CENTURY, 0x19);
    run_s(f, 10); /* stands still */
    g_assert_time(f, 0x23, 0x59, 0x58);
    set(f, B, 0x02);
    run_s(f, 2);
    g_assert_time(f, 0, 0, 0);
    g_assert_cmphex(get(f, YEAR), ==, 0x00);
    g_assert_cmphex(get(f, CENTURY), ==, 0x20);
    g_assert_cmphex(get(f, DAY), ==, 0x01);
    g_assert_cmphex(get(f, MONTH), ==, 0x01);
    /* Single registers of a running clock. */
    run_s(f, 0.25);
    set(f, MIN, 0x30);
    g_assert_time(f, 0, 0x30, 0);
    run_s(f, 0.74);
    g_assert_time(f, 0, 0x30, 0);
    run_s(f, 0.02);
    g_assert_time(f, 0, 0x30, 1);
}

/* A guest that writes the year and leaves the century alone may well mean 1926. */
static void test_before_1970(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, YEAR, 0x26);
    set(f, CENTURY, 0x19);
    set(f, DAY, 0x27);
    run_s(f, 1.5);
    g_assert_time(f, 0x23, 0x59, 0x01);
    g_assert_cmphex(get(f, YEAR), ==, 0x26);
    g_assert_cmphex(get(f, CENTURY), ==, 0x19);
    g_assert_cmphex(get(f, MONTH), ==, 0x02);
    run_s(f, 0.6);
    g_assert_time(f, 0x23, 0x59, 0x02);
}

static void test_divider(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, A, 0x76); /* divider in reset */
    run_s(f, 5);
    g_assert_time(f, 0x23, 0x59, 0);
    set(f, A, 0x26); /* the first update is half a second away */
    run_s(f, 0.4999);
    g_assert_time(f, 0x23, 0x59, 0);
    run_s(f, 0.0002);
    g_assert_time(f, 0x23, 0x59, 1);
}

static void test_uip(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(get(f, A), ==, 0x26);
    run_s(f, 0.9995);
    g_assert_cmphex(get(f, A), ==, 0x26);
    run_s(f, 0.0003);
    g_assert_cmphex(get(f, A), ==, 0xa6);
    run_s(f, 0.0002);
    g_assert_cmphex(get(f, A), ==, 0x26);
    g_assert_cmphex(get(f, SEC), ==, 1);
    set(f, B, 0x82); /* SET aborts the update */
    run_s(f, 0.9999);
    g_assert_cmphex(get(f, A), ==, 0x26);
}

static void test_update_interrupt(Fixture *f, gconstpointer data)
{
    (void)data;
    get(f, C);
    run_s(f, 1);
    g_assert_cmphex(get(f, C) & 0x90, ==, 0x10); /* the flag without its interrupt */
    g_assert_false(bare_irq(f->m, IRQ));
    set(f, B, 0x12);
    run_s(f, 0.9);
    g_assert_false(bare_irq(f->m, IRQ));
    run_s(f, 0.1);
    g_assert_true(bare_irq(f->m, IRQ));
    g_assert_cmphex(get(f, C) & 0x90, ==, 0x90);
    g_assert_false(bare_irq(f->m, IRQ));
    g_assert_cmphex(get(f, C) & 0x90, ==, 0);
    for (unsigned i = 0; i < 10; i++) {
        run_s(f, 1);
        g_assert_true(bare_irq(f->m, IRQ));
        get(f, C);
    }
    /* Enabling an interrupt whose flag is up raises it at once. */
    set(f, B, 0x02);
    run_s(f, 1);
    g_assert_false(bare_irq(f->m, IRQ));
    set(f, B, 0x12);
    g_assert_true(bare_irq(f->m, IRQ));
}

static void test_alarm(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, HOUR_ALARM, 0x00);
    set(f, MIN_ALARM, 0x01);
    set(f, SEC_ALARM, 0x30);
    set(f, B, 0x22);
    get(f, C);
    run_s(f, 149);
    g_assert_false(bare_irq(f->m, IRQ));
    run_s(f, 1);
    g_assert_true(bare_irq(f->m, IRQ));
    g_assert_time(f, 0x00, 0x01, 0x30);
    g_assert_cmphex(get(f, C) & 0xa0, ==, 0xa0);
    run_s(f, 86399);
    g_assert_false(bare_irq(f->m, IRQ));
    run_s(f, 1);
    g_assert_true(bare_irq(f->m, IRQ));
}

static void test_alarm_any(Fixture *f, gconstpointer data)
{
    unsigned rises = bare_rises(f->m, IRQ);

    (void)data;
    set(f, HOUR_ALARM, 0xff); /* any */
    set(f, MIN_ALARM, 0xc0);
    set(f, SEC_ALARM, 0x15);
    set(f, B, 0x22);
    for (int i = 0; i < 600; i++) {
        run_s(f, 1);
        if (bare_irq(f->m, IRQ)) get(f, C);
    }
    g_assert_cmpuint(bare_rises(f->m, IRQ) - rises, ==, 10);
    set(f, SEC_ALARM, 0xff);
    for (int i = 0; i < 10; i++) {
        run_s(f, 1);
        g_assert_true(bare_irq(f->m, IRQ));
        get(f, C);
    }
}

static void test_alarm_never(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, HOUR_ALARM, 0x25);
    set(f, MIN_ALARM, 0x61);
    set(f, SEC_ALARM, 0x61);
    set(f, B, 0x22);
    run_s(f, 200000);
    g_assert_false(bare_irq(f->m, IRQ));
}

static unsigned periodic_count(Fixture *f, unsigned rate, double seconds)
{
    unsigned rises = bare_rises(f->m, IRQ);

    set(f, A, 0x20 | rate);
    set(f, B, 0x42);
    get(f, C);
    for (double t = 0; t < seconds; t += 0.0001) {
        run_s(f, 0.0001);
        if (bare_irq(f->m, IRQ)) g_assert_cmphex(get(f, C) & 0xc0, ==, 0xc0);
    }
    set(f, B, 0x02);
    return bare_rises(f->m, IRQ) - rises;
}

static void test_periodic(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmpuint(periodic_count(f, 6, 1), >=, 1023);
    g_assert_cmpuint(periodic_count(f, 6, 1), <=, 1025);
    g_assert_cmpuint(periodic_count(f, 15, 10), >=, 19);
    g_assert_cmpuint(periodic_count(f, 15, 10), <=, 21);
    g_assert_cmpuint(periodic_count(f, 2, 1), >=, 127); /* 2 is 128 Hz, 3 is 8192 Hz */
    g_assert_cmpuint(periodic_count(f, 2, 1), <=, 129);
    g_assert_cmpuint(periodic_count(f, 3, 0.1), >=, 817);
    g_assert_cmpuint(periodic_count(f, 0, 1), ==, 0);
}

/* A request that is not read stays one request. */
static void test_periodic_coalesced(Fixture *f, gconstpointer data)
{
    unsigned rises = bare_rises(f->m, IRQ);

    (void)data;
    set(f, B, 0x42);
    get(f, C);
    run_s(f, 1);
    g_assert_cmpuint(bare_rises(f->m, IRQ) - rises, ==, 1);
    g_assert_cmphex(get(f, C) & 0xc0, ==, 0xc0);
}

static void test_reset(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, 0x0f, 0x0a); /* shutdown byte */
    set(f, B, 0x72);
    run_s(f, 5.5);
    machine_reset(f->m);
    g_assert_cmphex(get(f, 0x0f), ==, 0x0a);
    g_assert_time(f, 0x23, 0x59, 0x05);
    g_assert_cmphex(get(f, B), ==, 0x02);
    g_assert_false(bare_irq(f->m, IRQ));
    run_s(f, 0.5);
    g_assert_cmphex(get(f, SEC), ==, 6);
    g_assert_cmphex(get(f, C) & 0x10, ==, 0x10); /* update cycles go on being flagged */
}

static void test_board_bytes(Fixture *f, gconstpointer data)
{
    uint8_t *state = g_malloc0(f->rtc->cls->state_size);

    (void)data;
    rtc_set_cmos(f->rtc, 0x34, 0x5a);
    g_assert_cmphex(get(f, 0x34), ==, 0x5a);
    set(f, 0x34, 1);
    device_initial_state(f->rtc, state); /* at power-on it is the maker's again */
    g_assert_cmphex(state[0x34], ==, 0x5a);
    g_assert_cmphex(get(f, 0x34), ==, 1);
    g_free(state);
}

static void test_index(Fixture *f, gconstpointer data)
{
    (void)data;
    set(f, 0x50, 0x77);
    g_assert_cmphex(get(f, 0x80 | 0x50), ==, 0x77); /* bit 7 is the NMI's */
    g_assert_cmphex(in8(f->m, 0x70), ==, 0xff);
}

/* After a load the next second and the next period come when they would have come. */
static void test_load(Fixture *f, gconstpointer data)
{
    Fixture g;

    setup(&g, data);
    set(f, SEC_ALARM, 0xff);
    set(f, MIN_ALARM, 0xff);
    set(f, HOUR_ALARM, 0xff);
    set(f, A, 0x2e); /* 4 Hz */
    set(f, B, 0x12);
    get(f, C);
    run_s(f, 0.3);
    machine_reset(g.m);
    bare_copy(g.m, f->m);
    g_assert_false(bare_irq(g.m, IRQ));
    run_s(&g, 0.69);
    g_assert_false(bare_irq(g.m, IRQ));
    run_s(&g, 0.02);
    g_assert_true(bare_irq(g.m, IRQ));
    g_assert_cmphex(get(&g, C), ==, 0xf0);
    g_assert_time(&g, 0x23, 0x59, 0x01);
    set(&g, B, 0x42);
    bare_copy(f->m, g.m);
    run_s(f, 0.23);
    g_assert_false(bare_irq(f->m, IRQ));
    run_s(f, 0.02);
    g_assert_true(bare_irq(f->m, IRQ));
    bare_copy(g.m, f->m); /* with the line up */
    g_assert_true(bare_irq(g.m, IRQ));
    teardown(&g, data);
}

#define CASE(name) g_test_add("/device/rtc/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(calendar);
    CASE(formats);
    CASE(setting);
    CASE(before_1970);
    CASE(divider);
    CASE(uip);
    CASE(update_interrupt);
    CASE(alarm);
    CASE(alarm_any);
    CASE(alarm_never);
    CASE(periodic);
    CASE(periodic_coalesced);
    CASE(reset);
    CASE(board_bytes);
    CASE(index);
    CASE(load);
    return g_test_run();
}
