/* SPDX-License-Identifier: MIT */
/*
 * The main loop on a small board: a CPU, 1 MiB of RAM and a ticker that interrupts every 10 ms of
 * virtual time.
 */
#include <glib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/machine.h"
#include "core/wires.h"
#include "migration/migration.h"
#include "system/loop.h"
#include "util/bits.h"

enum { TICK_NS = 10 * 1000 * 1000, VECTOR = 8, COUNT_AT = 0x500, TICKS_AT = 0x600 };

/* -- the ticker -- */

typedef struct Ticker {
    Device dev;
    Irq irq;
    Timer timer;
    int64_t fired_at; /* virtual time of the last tick */
    int64_t late;     /* the most that a tick came late */
    struct TickerState {
        int64_t next;
        bool level;
    } s;
} Ticker;

static void ticker_sync(Device *dev)
{
    Ticker *t = (Ticker *)dev;

    irq_set(&t->irq, t->s.level);
    timer_arm(&t->timer, t->s.next);
}

static void ticker_fire(void *opaque)
{
    Ticker *t = opaque;

    t->fired_at = clock_now(&t->dev.m->clock);
    t->late = MAX_OF(t->late, t->fired_at - t->s.next);
    t->s.next += TICK_NS;
    t->s.level = true;
    ticker_sync(&t->dev);
}

static int ticker_inta(Device *dev)
{
    ((Ticker *)dev)->s.level = false;
    ticker_sync(dev);
    return VECTOR;
}

static bool ticker_realize(Device *dev, Error *err)
{
    (void)err;
    timer_init(&((Ticker *)dev)->timer, &dev->m->clock, ticker_fire, dev);
    machine_set_inta(dev->m, dev, ticker_inta);
    return true;
}

static void ticker_unrealize(Device *dev) { timer_cancel(&((Ticker *)dev)->timer); }

static void ticker_reset(Device *dev)
{
    ((Ticker *)dev)->s.next = TICK_NS;
    ((Ticker *)dev)->s.level = false;
}

static const VmField ticker_fields[] = { VM_INT(struct TickerState, next),
    VM_INT(struct TickerState, level), VM_END };
static const VmState ticker_vmstate = {
    .name = "test-ticker", .version = 1, .min_version = 1, .fields = ticker_fields
};
static const Prop ticker_props[] = { PROP(Ticker, irq, "cpu0.0"), PROP_END };
DEVICE(ticker, "interrupts", Ticker, .name = "test-ticker", .props = ticker_props,
    .vmstates = VMSTATES(&ticker_vmstate), .realize = ticker_realize, .unrealize = ticker_unrealize,
    .reset = ticker_reset, .sync = ticker_sync);

/* -- the board -- */

typedef struct Board {
    MemRegion low, top;
} Board;

static bool board_init(Machine *m, Error *err)
{
    Board *b = machine_slot(m, "board", sizeof(Board), NULL);
    RamBlock *ram = ram_block_new(m, "pc.ram", MiB, err);

    if (!ram) return false;
    b->low = (MemRegion){ .name = "low", .size = MiB, .enabled = true, .ram = ram };
    b->top = (MemRegion){ .name = "top",
        .gpa = 0xffff0000,
        .size = 64 * KiB,
        .enabled = true,
        .ram = ram,
        .ram_off = 0xf0000 };
    mem_region_add(m, &b->low);
    mem_region_add(m, &b->top);
    return device_create(m, "x86-cpu", "cpu0", err, NULL) &&
           device_create(m, "test-ticker", "ticker", err, NULL);
}
MACHINE(board, .name = "loop-board", .desc = "for tests", .default_ram = MiB, .init = board_init);

/* At the reset vector: far jump to 0000:7c00. */
static const uint8_t code_reset[] = { 0xea, 0x00, 0x7c, 0x00, 0x00 };
/* Counts at 500h for ever, interrupts enabled. */
static const uint8_t code_busy[] = { 0xbc, 0x00, 0x70, /* mov sp, 7000h */
    0xfb,                                              /* sti */
    0x66, 0xff, 0x06, 0x00, 0x05,                      /* inc dword [500h] */
    0xeb, 0xf9 };                                      /* jmp back */
/* Sleeps, counting at 500h how often it woke. */
static const uint8_t code_idle[] = { 0xbc, 0x00, 0x70, 0xfb, 0xf4, /* hlt */
    0x66, 0xff, 0x06, 0x00, 0x05, 0xeb, 0xf8 };
/* Sleeps for ever. */
static const uint8_t code_dead[] = { 0xfa, 0xf4, 0xeb, 0xfd };
/* The interrupt's handler, at 0000:0700: counts at 600h. */
static const uint8_t code_tick[] = { 0x66, 0xff, 0x06, 0x00, 0x06, 0xcf };

static void put(Machine *m, uint64_t at, const void *code, size_t n)
{
    ram_block_write(ram_block_find(m, "pc.ram"), at, code, n);
}
#define PUT(m, at, code) put(m, at, code, sizeof(code))

static uint32_t count_at(Machine *m, uint64_t at)
{
    return (uint32_t)mem_load(m, (MemAttrs){ 0 }, at, 4);
}

static Machine *board_new(const uint8_t *code, size_t n)
{
    static const uint8_t vector[] = { 0x00, 0x07, 0x00, 0x00 };
    Error err = ERROR_INIT;
    GMainContext *ctx = g_main_context_new();
    Machine *m = machine_new("loop-board", ctx, &err);

    g_main_context_unref(ctx);
    if (!migration_init(m, &err) || !machine_init(m, &err)) g_error("%s", err.msg);
    PUT(m, 0xffff0, code_reset);
    PUT(m, VECTOR * 4, vector);
    PUT(m, 0x700, code_tick);
    put(m, 0x7c00, code, n);
    return m;
}
#define BOARD(code) board_new(code, sizeof(code))

static void start(Machine *m)
{
    Error err = ERROR_INIT;
    if (!machine_start(m, &err)) g_error("%s", err.msg);
}

static Ticker *ticker(Machine *m) { return (Ticker *)device_find(m, "ticker"); }

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* -- tests -- */

/* With -icount, sleep=off, time is nothing but instructions and skipped sleep. */
static void run_counted(const uint8_t *code, size_t n, uint32_t *wakes, int64_t *insns)
{
    Machine *m = board_new(code, n);

    clock_set_icount(&m->clock, 3, false);
    start(m);
    while (count_at(m, TICKS_AT) < 20) g_assert_true(machine_step(m, -1));
    g_assert_cmpint(ticker(m)->late, <, 1 << 3); /* to the instruction */
    *wakes = count_at(m, COUNT_AT);
    *insns = clock_insns(&m->clock);
    machine_free(m);
}

static void test_icount(void)
{
    uint32_t a, b;
    int64_t i, j;

    run_counted(code_idle, sizeof(code_idle), &a, &i);
    run_counted(code_idle, sizeof(code_idle), &b, &j);
    g_assert_cmpuint(a, ==, b);
    g_assert_cmpint(i, ==, j);
    g_assert_cmpuint(a, >=, 19);
    g_assert_cmpuint(a, <=, 21);
    run_counted(code_busy, sizeof(code_busy), &a, &i);
    run_counted(code_busy, sizeof(code_busy), &b, &j);
    g_assert_cmpuint(a, ==, b);
    g_assert_cmpint(i, ==, j);
    g_assert_cmpuint(a, >, 500000);
}

/* The length of slices changes nothing with -icount. */
static void test_slices(void)
{
    uint32_t counts[2];
    int64_t insns[2];

    for (int k = 0; k < 2; k++) {
        Machine *m = BOARD(code_busy);
        clock_set_icount(&m->clock, 3, false);
        start(m);
        while (clock_insns(&m->clock) < 3000000) machine_step(m, k ? 777 : -1);
        while (clock_insns(&m->clock) < 4000000) machine_step(m, 8);
        counts[k] = count_at(m, COUNT_AT);
        insns[k] = clock_insns(&m->clock);
        machine_free(m);
    }
    g_assert_cmpint(insns[0], ==, insns[1]);
    g_assert_cmpuint(counts[0], ==, counts[1]);
}

static void run_for(Machine *m, int64_t ns)
{
    int64_t end = host_ns() + ns;
    while (host_ns() < end) machine_step(m, MAX_OF(end - host_ns(), 0));
}

/* An idle guest costs nothing and still keeps time below a millisecond. */
static void test_idle(void)
{
    Machine *m = BOARD(code_idle);

    start(m);
    double before = cpu_seconds();
    run_for(m, 500 * NS_PER_MS);
    g_assert_cmpuint(count_at(m, TICKS_AT), >=, 20);
    g_assert_cmpuint(count_at(m, TICKS_AT), <=, 51);
    g_assert_cmpfloat(cpu_seconds() - before, <, 0.25);
    machine_free(m);
}

/* -icount with sleep=on: sleeping takes its time. */
static void test_icount_sleep(void)
{
    Machine *m = BOARD(code_idle);
    int64_t before = host_ns();

    clock_set_icount(&m->clock, 0, true);
    start(m);
    while (count_at(m, TICKS_AT) < 20) machine_step(m, -1);
    g_assert_cmpint(host_ns() - before, >=, 190 * NS_PER_MS);
    g_assert_cmpint(ticker(m)->late, ==, 0);
    machine_free(m);
}

static gboolean count_call(gpointer n)
{
    ++*(unsigned *)n;
    return G_SOURCE_CONTINUE;
}

/* Host events get their turn while the guest never rests; and so do ticks. */
static void test_busy(void)
{
    Machine *m = BOARD(code_busy);
    unsigned calls = 0;
    GSource *s = g_timeout_source_new(5);

    g_source_set_callback(s, count_call, &calls, NULL);
    g_source_attach(s, m->ctx);
    start(m);
    run_for(m, 300 * NS_PER_MS);
    g_assert_cmpuint(calls, >=, 8);
    g_assert_cmpuint(count_at(m, TICKS_AT), >=, 5);
    g_assert_cmpuint(count_at(m, COUNT_AT), >, 100000);
    g_source_destroy(s);
    g_source_unref(s);
    machine_free(m);
}

static void *kick_later(void *m)
{
    g_usleep(50000);
    machine_kick(m);
    return NULL;
}

static void test_kick(void)
{
    Machine *m = BOARD(code_dead);

    for (int running = 0; running < 2; running++) {
        if (running) {
            start(m);
            for (int i = 0; i < 5; i++) machine_step(m, 0); /* as far as the HLT */
            timer_cancel(&ticker(m)->timer);
        }
        GThread *t = g_thread_new("kick", kick_later, m);
        int64_t before = host_ns();
        machine_step(m, 5 * NS_PER_S);
        g_assert_cmpint(host_ns() - before, <, NS_PER_S);
        g_thread_join(t);
    }
    machine_free(m);
}

static void test_requests(void)
{
    Machine *m = BOARD(code_dead);

    m->config.no_shutdown = true;
    start(m);
    machine_step(m, 0);
    machine_request_shutdown(m, SHUTDOWN_GUEST);
    g_assert_true(machine_step(m, 0));
    g_assert_cmpint(m->run_state, ==, RUN_SHUTDOWN);
    machine_request_reset(m, RESET_HOST);
    g_assert_true(machine_step(m, 0));
    g_assert_cmpint(m->run_state, ==, RUN_PRELAUNCH);
    start(m);
    machine_request_reset(m, RESET_GUEST);
    g_assert_true(machine_step(m, 0));
    g_assert_cmpint(m->run_state, ==, RUN_RUNNING);
    m->config.no_reboot = true;
    m->config.no_shutdown = false;
    machine_request_reset(m, RESET_GUEST);
    g_assert_false(machine_step(m, 0));
    g_assert_true(m->quit);
    machine_free(m);
    m = BOARD(code_busy);
    m->config.no_shutdown = true;
    start(m);
    machine_request_shutdown(m, SHUTDOWN_HOST_QUIT);
    g_assert_false(machine_step(m, 0));
    machine_free(m);
}

/* A triple fault resets: an IDT of limit 0 in code that then divides by zero. */
static void test_triple_fault(void)
{
    static const uint8_t code[] = { 0x0f, 0x01, 0x1e, 0x00, 0x05, /* lidt [500h]: zeroes */
        0x31, 0xc0, 0xf7, 0xf0 };                                 /* xor ax, ax; div ax */
    Machine *m = BOARD(code);

    m->config.no_reboot = true;
    start(m);
    for (int i = 0; i < 100 && machine_step(m, NS_PER_MS); i++) continue;
    g_assert_true(m->quit);
    machine_free(m);
}

/* -torture: the guest does not notice. */
static void test_torture(void)
{
    uint32_t ticks[2], counts[2];

    for (int k = 0; k < 2; k++) {
        Machine *m = BOARD(code_busy);
        clock_set_icount(&m->clock, 3, false);
        if (k) machine_set_torture(m, 50001);
        start(m);
        while (clock_insns(&m->clock) < 3990000) g_assert_true(machine_step(m, 8000));
        while (clock_insns(&m->clock) < 4000000) g_assert_true(machine_step(m, 8));
        ticks[k] = count_at(m, TICKS_AT);
        counts[k] = count_at(m, COUNT_AT);
        g_assert_cmpint(m->exit_code, ==, 0);
        machine_free(m);
    }
    g_assert_cmpuint(ticks[0], ==, ticks[1]);
    g_assert_cmpuint(counts[0], ==, counts[1]);
}

/* Two machines take turns on one thread, each on its own context. */
static void test_two(void)
{
    Machine *a = BOARD(code_busy), *b = BOARD(code_idle);

    start(a);
    start(b);
    int64_t end = host_ns() + 200 * NS_PER_MS;
    while (host_ns() < end) {
        machine_step(a, NS_PER_MS);
        machine_step(b, 0);
    }
    g_assert_cmpuint(count_at(a, TICKS_AT), >=, 4);
    g_assert_cmpuint(count_at(b, TICKS_AT), >=, 4);
    machine_free(a);
    machine_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/icount", test_icount);
    g_test_add_func("/loop/slices", test_slices);
    g_test_add_func("/loop/idle", test_idle);
    g_test_add_func("/loop/icount-sleep", test_icount_sleep);
    g_test_add_func("/loop/busy", test_busy);
    g_test_add_func("/loop/kick", test_kick);
    g_test_add_func("/loop/requests", test_requests);
    g_test_add_func("/loop/triple-fault", test_triple_fault);
    g_test_add_func("/loop/torture", test_torture);
    g_test_add_func("/loop/two", test_two);
    return g_test_run();
}
