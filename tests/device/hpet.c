/* SPDX-License-Identifier: MIT */
/* The event timers against their specification, with the clock in hand. */
#include "tests/device/bare.h"

enum { ID = 0x00, CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0 };
enum { ENABLED = 1, LEGACY = 2 };
enum { LEVEL = 1 << 1, ON = 1 << 2, PERIODIC = 1 << 3, SET_VALUE = 1 << 6, BITS_32 = 1 << 8 };
enum { ROUTE_2 = 2 << 9, CAN = 0x30, PIT = 0, RTC = 8 };
#define BASE UINT64_C(0xfed00000)
#define T_CONFIG(n) (0x100 + 0x20 * (n))
#define T_CMP(n) (0x108 + 0x20 * (n))

typedef struct Fixture {
    Machine *m;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    f->m = bare_new();
    bare_add(f->m, "isa-pit", "pit");
    bare_add(f->m, "hpet", "hpet", "pit", "pit.0");
    bare_add(f->m, "mc146818rtc", "rtc", "irq", "hpet.8");
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

static uint32_t get(Fixture *f, uint64_t reg)
{
    return (uint32_t)mem_load(f->m, (MemAttrs){ 0 }, BASE + reg, 4);
}

static uint64_t get64(Fixture *f, uint64_t reg)
{
    return mem_load(f->m, (MemAttrs){ 0 }, BASE + reg, 8);
}

static void put(Fixture *f, uint64_t reg, uint64_t val)
{
    mem_store(f->m, (MemAttrs){ 0 }, BASE + reg, val, 4);
}

static void put64(Fixture *f, uint64_t reg, uint64_t val)
{
    mem_store(f->m, (MemAttrs){ 0 }, BASE + reg, val, 8);
}

static void run_ticks(Fixture *f, uint64_t n) { bare_run(f->m, (int64_t)n * 10); }

/* How often a line rises in so many ticks; the interval timer's own are left out. */
static unsigned rises(Fixture *f, int line, uint64_t ticks)
{
    const unsigned *n = &bare_probe(f->m, "pic")->rises[PIC_WIRE_HPET + line], before = *n;

    run_ticks(f, ticks);
    return *n - before;
}

static bool held(Fixture *f, int line)
{
    return bare_probe(f->m, "pic")->level[PIC_WIRE_HPET + line];
}

static void test_registers(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(get64(f, ID), ==, 0x009896808086a201); /* 10 ns, Intel, 3 timers of 64 bits */
    g_assert_cmphex(get(f, ID + 4), ==, 0x00989680);
    for (unsigned n = 0; n < 3; n++) {
        g_assert_cmphex(get64(f, T_CONFIG(n)), ==, 4ull << 32 | CAN);
        g_assert_cmphex(get64(f, T_CMP(n)), ==, UINT64_MAX);
        put64(f, T_CONFIG(n), UINT64_MAX); /* a route that is none, and no messages */
        g_assert_cmphex(get64(f, T_CONFIG(n)), ==, 4ull << 32 | 0x17e);
        put(f, T_CONFIG(n), ROUTE_2);
        g_assert_cmphex(get(f, T_CONFIG(n)), ==, CAN | ROUTE_2);
    }
    g_assert_cmphex(get64(f, T_CONFIG(3)) | get(f, T_CMP(3)) | get(f, 0x3f8), ==, 0);
    put64(f, CONFIG, ~(uint64_t)ENABLED);
    g_assert_cmphex(get64(f, CONFIG), ==, LEGACY);
    put(f, ID, 0);
    put(f, 0x30, 0xff);
    g_assert_cmphex(get(f, ID), ==, 0x8086a201);
    g_assert_cmphex(get(f, 0x30), ==, 0);
}

static void test_counter(Fixture *f, gconstpointer data)
{
    (void)data;
    put64(f, COUNTER, 0x1fffffff0);
    run_ticks(f, 100);
    g_assert_cmphex(get64(f, COUNTER), ==, 0x1fffffff0);
    put(f, CONFIG, ENABLED);
    run_ticks(f, 15);
    g_assert_cmphex(get(f, COUNTER), ==, 0xffffffff);
    bare_run(f->m, 9);
    g_assert_cmphex(get(f, COUNTER), ==, 0xffffffff);
    bare_run(f->m, 1);
    g_assert_cmphex(get(f, COUNTER), ==, 0);
    g_assert_cmphex(get(f, COUNTER + 4), ==, 2);
    put(f, COUNTER, 0x1234); /* not while it runs */
    g_assert_cmphex(get64(f, COUNTER), ==, 0x200000000);
    put(f, CONFIG, 0);
    run_ticks(f, 100);
    put(f, COUNTER + 4, 7);
    g_assert_cmphex(get64(f, COUNTER), ==, 0x700000000);
    put64(f, COUNTER, UINT64_MAX - 1);
    put(f, CONFIG, ENABLED);
    run_ticks(f, 3);
    g_assert_cmphex(get64(f, COUNTER), ==, 1);
}

static void test_one_shot(Fixture *f, gconstpointer data)
{
    (void)data;
    put(f, CONFIG, ENABLED | LEGACY);
    put64(f, T_CMP(0), 1000);
    put(f, T_CONFIG(0), ON);
    g_assert_cmpuint(rises(f, PIT, 999), ==, 0);
    g_assert_cmpuint(rises(f, PIT, 1), ==, 1);
    g_assert_false(held(f, PIT)); /* an edge */
    g_assert_cmphex(get(f, STATUS), ==, 0);
    g_assert_cmpuint(rises(f, PIT, 100000000000), ==, 0);
    put64(f, T_CMP(0), get64(f, COUNTER) - 1); /* just missed */
    g_assert_cmpuint(rises(f, PIT, 1), ==, 1);
    put64(f, T_CMP(0), get64(f, COUNTER) + 50);
    put(f, T_CONFIG(0), 0);
    g_assert_cmpuint(rises(f, PIT, 100), ==, 0);
    put(f, T_CONFIG(0), ON); /* that is over */
    g_assert_cmpuint(rises(f, PIT, 100), ==, 0);
    put64(f, T_CMP(0), get64(f, COUNTER) + 50);
    put(f, CONFIG, LEGACY);
    g_assert_cmpuint(rises(f, PIT, 100), ==, 0);
    put(f, CONFIG, ENABLED | LEGACY); /* goes on where it stood */
    g_assert_cmpuint(rises(f, PIT, 49), ==, 0);
    g_assert_cmpuint(rises(f, PIT, 1), ==, 1);
}

/* A 32-bit timer also tells of the end of its counter, where that comes first. */
static void test_32_bits(Fixture *f, gconstpointer data)
{
    (void)data;
    put64(f, COUNTER, 0x5fffffff0);
    put(f, CONFIG, ENABLED | LEGACY);
    put(f, T_CONFIG(1), ON | BITS_32);
    g_assert_cmphex(get64(f, T_CMP(1)), ==, 0xffffffff);
    put64(f, T_CMP(1), 0x777700000064);
    g_assert_cmphex(get64(f, T_CMP(1)), ==, 0x64);
    g_assert_cmpuint(rises(f, RTC, 15), ==, 0);
    g_assert_cmpuint(rises(f, RTC, 1), ==, 1);
    g_assert_cmpuint(rises(f, RTC, 99), ==, 0);
    g_assert_cmpuint(rises(f, RTC, 1), ==, 1);
    put(f, T_CMP(1), 0x90000000); /* more than half a round ahead is behind */
    g_assert_cmpuint(rises(f, RTC, 1), ==, 1);
}

static void test_periodic(Fixture *f, gconstpointer data)
{
    (void)data;
    put(f, T_CONFIG(0), ON | PERIODIC | SET_VALUE);
    put64(f, T_CMP(0), 5000);
    g_assert_cmphex(get(f, T_CONFIG(0)), ==, CAN | ON | PERIODIC); /* cleared by the write */
    put64(f, T_CMP(0), 100);
    g_assert_cmphex(get64(f, T_CMP(0)), ==, 5000);
    put(f, CONFIG, ENABLED | LEGACY);
    g_assert_cmpuint(rises(f, PIT, 4999), ==, 0);
    for (unsigned i = 1; i < 20; i++) {
        g_assert_cmpuint(rises(f, PIT, 1), ==, 1);
        g_assert_cmpuint(get64(f, T_CMP(0)), ==, 5000 + 100 * i);
        g_assert_cmpuint(rises(f, PIT, 99), ==, 0);
    }
    put64(f, T_CMP(0), 30); /* another period: from the next match on */
    g_assert_cmpuint(rises(f, PIT, 1), ==, 1);
    g_assert_cmpuint(rises(f, PIT, 300), ==, 10);
    put(f, CONFIG, LEGACY);
    g_assert_cmpuint(rises(f, PIT, 300), ==, 0);
    put64(f, COUNTER, 1000000);
    put(f, CONFIG, ENABLED | LEGACY); /* its comparator has been passed: whole periods on */
    g_assert_cmpuint(rises(f, PIT, 300), ==, 10);
}

static void test_periodic_32_bits(Fixture *f, gconstpointer data)
{
    (void)data;
    put64(f, COUNTER, 0xffffff00);
    put(f, CONFIG, ENABLED);
    put(f, T_CONFIG(2), ON | PERIODIC | SET_VALUE | BITS_32 | ROUTE_2);
    put(f, T_CMP(2), 0xffffff80);
    put(f, T_CMP(2), 0x40);
    g_assert_cmpuint(rises(f, 2, 0x7f), ==, 0);
    g_assert_cmpuint(rises(f, 2, 1), ==, 1);
    g_assert_cmpuint(rises(f, 2, 0x400), ==, 16); /* over the end, which is no event */
    g_assert_cmpuint(get64(f, T_CMP(2)), ==, 0x3c0);
    put(f, T_CONFIG(2), ON | PERIODIC | BITS_32); /* no such line */
    g_assert_cmphex(get(f, T_CONFIG(2)) & 31 << 9, ==, ROUTE_2);
}

/* Without another write the period is what the accumulator was set to. */
static void test_one_write(Fixture *f, gconstpointer data)
{
    (void)data;
    put(f, T_CONFIG(0), ON | PERIODIC | SET_VALUE);
    put64(f, T_CMP(0), 70);
    put(f, CONFIG, ENABLED | LEGACY);
    g_assert_cmpuint(rises(f, PIT, 700), ==, 10);
}

/* A host that is late leaves periods out, not the phase. */
static void test_late(Fixture *f, gconstpointer data)
{
    const unsigned *n = &bare_probe(f->m, "pic")->rises[PIC_WIRE_HPET];

    (void)data;
    put(f, T_CONFIG(0), ON | PERIODIC | SET_VALUE);
    put64(f, T_CMP(0), 100);
    put(f, CONFIG, ENABLED | LEGACY);
    f->m->clock.warp_ns += 10000 + 3;
    clock_run_timers(&f->m->clock);
    g_assert_cmpuint(*n, ==, 1);
    g_assert_cmpuint(get64(f, T_CMP(0)), ==, 1100);
    g_assert_cmpuint(rises(f, PIT, 99), ==, 0);
    g_assert_cmpuint(rises(f, PIT, 1), ==, 1);
}

static void test_level(Fixture *f, gconstpointer data)
{
    (void)data;
    put(f, CONFIG, ENABLED);
    put(f, T_CONFIG(2), ON | LEVEL | ROUTE_2);
    put64(f, T_CMP(2), 100);
    run_ticks(f, 100);
    g_assert_true(held(f, 2));
    g_assert_cmphex(get(f, STATUS), ==, 4);
    put(f, STATUS, 3);
    g_assert_true(held(f, 2));
    put(f, T_CONFIG(2), LEVEL | ROUTE_2);
    g_assert_false(held(f, 2));
    put(f, T_CONFIG(2), ON | LEVEL | ROUTE_2);
    g_assert_true(held(f, 2));
    put(f, CONFIG, 0); /* halts all interrupts */
    g_assert_false(held(f, 2));
    put(f, CONFIG, ENABLED);
    put(f, STATUS, 4);
    g_assert_false(held(f, 2));
    g_assert_cmphex(get(f, STATUS), ==, 0);
}

static void rtc_second(Fixture *f) { bare_run(f->m, NS_PER_S); }

/* IRQ 0 and 8 change hands, and back. */
static void test_legacy(Fixture *f, gconstpointer data)
{
    unsigned n;

    (void)data;
    out8(f->m, 0x43, 0x34); /* 11932 of the interval timer's: 100 a second */
    out8(f->m, 0x40, 0x9c);
    out8(f->m, 0x40, 0x2e);
    out8(f->m, 0x70, 0x0b);
    out8(f->m, 0x71, 0x12); /* an interrupt each second */
    n = bare_rises(f->m, PIT);
    rtc_second(f);
    g_assert_cmpuint(bare_rises(f->m, PIT), >=, n + 99);
    g_assert_true(bare_irq(f->m, RTC));
    put(f, CONFIG, ENABLED | LEGACY);
    g_assert_false(bare_irq(f->m, RTC));
    g_assert_false(bare_irq(f->m, PIT));
    n = bare_rises(f->m, PIT);
    rtc_second(f);
    g_assert_cmpuint(bare_rises(f->m, PIT), ==, n);
    put(f, CONFIG, ENABLED);
    g_assert_true(bare_irq(f->m, RTC)); /* it had not been read */
    rtc_second(f);
    g_assert_cmpuint(bare_rises(f->m, PIT), >=, n + 99);
    put(f, CONFIG, ENABLED | LEGACY);
    out8(f->m, 0x70, 0x0c);
    in8(f->m, 0x71);
    put(f, CONFIG, ENABLED);
    g_assert_false(bare_irq(f->m, RTC));
    put(f, CONFIG, ENABLED | LEGACY);
    machine_reset(f->m);
    n = bare_rises(f->m, PIT);
    rtc_second(f);
    g_assert_cmpuint(bare_rises(f->m, PIT), >=, n + 17); /* 65536 of them: 18 a second */
}

/* A copy goes on as the original does, wherever each stands. */
static void test_load(Fixture *f, gconstpointer data)
{
    Fixture g;

    setup(&g, data);
    put64(f, COUNTER, 0xfffffffffffff000);
    put(f, T_CONFIG(0), ON | PERIODIC | SET_VALUE);
    put64(f, T_CMP(0), 0xfffffffffffff064);
    put64(f, T_CMP(0), 100);
    put(f, T_CONFIG(1), ON | LEVEL);
    put64(f, T_CMP(1), 0xfffffffffffff000 + 1000);
    bare_run(f->m, 777);
    put(f, CONFIG, ENABLED | LEGACY);
    run_ticks(f, 150);
    bare_run(g.m, 123456789);
    bare_copy(g.m, f->m);
    g_assert_cmphex(get64(&g, COUNTER), ==, 0xfffffffffffff000 + 150);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(rises(&g, PIT, 49), ==, 0);
        g_assert_cmpuint(rises(&g, PIT, 1), ==, 1);
        run_ticks(&g, 50);
    }
    g_assert_false(held(&g, RTC));
    run_ticks(&g, 550);
    g_assert_true(held(&g, RTC));
    bare_copy(f->m, g.m);
    g_assert_true(held(f, RTC));
    put(f, CONFIG, LEGACY); /* standing still, it goes on standing */
    bare_copy(g.m, f->m);
    g_assert_cmphex(get64(&g, COUNTER), ==, 0xfffffffffffff000 + 1000);
    run_ticks(&g, 1000);
    g_assert_cmphex(get64(&g, COUNTER), ==, 0xfffffffffffff000 + 1000);
    teardown(&g, data);
}

/* A pulse is latched by the 8259, though it is over; line 2 is the I/O APIC's alone. */
static void test_lines(void)
{
    enum { LAPIC = 0xfee00000 };
    Machine *m = bare_new();
    Fixture f = { m };
    const unsigned *intr = &bare_probe(m, "cpu0")->rises[CPU_WIRE_INTR];

    bare_add(m, "apic", "apic0");
    bare_add(m, "ioapic", "ioapic");
    bare_add(m, "isa-i8259", "master", "ioapic", "ioapic", "irq", "apic0.0");
    bare_add(m, "isa-pit", "pit", "irq", "master.0");
    bare_add(m, "hpet", "hpet", "irq", "master.48", "rtc-irq", "", "pit", "pit.0");
    out8(m, 0x20, 0x13);
    out8(m, 0x21, 0x40);
    out8(m, 0x21, 0x01);
    put(&f, CONFIG, ENABLED | LEGACY);
    put(&f, T_CONFIG(0), ON);
    put64(&f, T_CMP(0), 100);
    bare_run(m, 900);
    g_assert_cmpuint(*intr, ==, 0);
    bare_run(m, 1000);
    g_assert_cmpuint(*intr, ==, 1);
    g_assert_cmphex(machine_inta(m), ==, 0x40);
    out8(m, 0x20, 0x20);
    mem_store(m, (MemAttrs){ 0 }, LAPIC + 0xf0, 0x1ff, 4);
    mem_store(m, (MemAttrs){ 0 }, 0xfec00000, 0x14, 4);
    mem_store(m, (MemAttrs){ 0 }, 0xfec00010, 0x52, 4);
    put(&f, T_CONFIG(2), ON | ROUTE_2);
    put64(&f, T_CMP(2), 300);
    bare_run(m, 1090);
    g_assert_cmpuint(*intr, ==, 1);
    bare_run(m, 100);
    g_assert_cmphex(mem_load(m, (MemAttrs){ 0 }, LAPIC + 0x220, 4), ==, 1u << 18);
    out8(m, 0x20, 0x0a);
    g_assert_cmphex(in8(m, 0x20), ==, 0);
    machine_free(m);
}

#define CASE(name) g_test_add("/device/hpet/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(registers);
    CASE(counter);
    CASE(one_shot);
    CASE(32_bits);
    CASE(periodic);
    CASE(periodic_32_bits);
    CASE(one_write);
    CASE(late);
    CASE(level);
    CASE(legacy);
    CASE(load);
    g_test_add_func("/device/hpet/lines", test_lines);
    return g_test_run();
}
