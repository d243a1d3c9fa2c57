/* SPDX-License-Identifier: MIT */
/* Self-announcement: the frames' bytes and times, as a pcap file of the cable has them.
 * TEST-ALONE, since it measures time. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core/command.h"
#include "core/user_object.h"
#include "net/net.h"
#include "util/bits.h"

enum { SLACK_MS = 20, FRAMES_MAX = 64 };

static bool announce_test_init(Machine *m, Error *err)
{
    (void)m;
    (void)err;
    return true;
}
MACHINE(announce_test, .name = "announce-test", .desc = "nothing", .default_ram = MiB,
    .init = announce_test_init);

static void sink_receive(void *opaque, const uint8_t *frame, size_t len)
{
    (void)opaque, (void)frame, (void)len;
}
static const NetPortOps sink_ops = { .type = "sink", .receive = sink_receive };

/* -- a machine with NICs, each on a cable that is dumped into a file -- */

typedef struct Fixture {
    Machine *m;
    char *path[2];
    double stall_ms; /* the longest time that the host did not let the test run */
} Fixture;

static void setup(Fixture *x, gconstpointer data)
{
    (void)data;
    x->m = machine_new("announce-test", NULL, NULL);
    g_assert_nonnull(x->m);
    g_assert_true(machine_init(x->m, NULL));
    for (int i = 0; i < 2; i++) {
        char *wire = g_strdup_printf("wire%d", i), *text, *iobase;
        Options *opts;

        x->path[i] = g_strdup_printf("%s/stasis-announce-%d-%d", g_get_tmp_dir(), getpid(), i);
        net_port_new(x->m, wire, &sink_ops, NULL, NULL);
        text = g_strdup_printf("id=d%d,netdev=%s,file=%s", i, wire, x->path[i]);
        opts = options_parse(text, NULL, NULL);
        g_assert_true(user_object_find("filter-dump")->create(x->m, opts, NULL));
        iobase = g_strdup_printf("%d", 0x300 + i * 0x40);
        g_assert_nonnull(device_create(
            x->m, "ne2k_isa", NULL, NULL, "netdev", wire, "irq", "", "iobase", iobase, NULL));
        options_free(opts);
        g_free(iobase);
        g_free(text);
        g_free(wire);
    }
}

static void teardown(Fixture *x, gconstpointer data)
{
    (void)data;
    machine_free(x->m);
    for (int i = 0; i < 2; i++) {
        g_unlink(x->path[i]);
        g_free(x->path[i]);
    }
}

static void run_ms(Fixture *x, int ms)
{
    gint64 now = g_get_monotonic_time(), end = now + ms * 1000, last = now;

    for (; now < end; last = now) {
        if (!g_main_context_iteration(NULL, FALSE)) g_usleep(500);
        now = g_get_monotonic_time();
        x->stall_ms = MAX(x->stall_ms, (double)(now - last) / 1e3);
    }
}

/* The frames of a file from its n-th on: their times in ms since the first of these. */
static unsigned read_pcap(const char *path, unsigned skip, uint8_t mac5, double *ms)
{
    uint8_t expected[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, mac5,
        0x80, 0x35, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x03, 0x52, 0x54, 0x00, 0x12, 0x34,
        mac5, 0x00, 0x00, 0x00, 0x00, 0x52, 0x54, 0x00, 0x12, 0x34, mac5 };
    unsigned n = 0;
    char *data;
    gsize len;
    double first = 0;

    g_assert_true(g_file_get_contents(path, &data, &len, NULL));
    for (gsize at = 24 + skip * 76; at < len; at += 76) {
        uint32_t head[4];

        g_assert_cmpuint(len - at, >=, 76);
        memcpy(head, data + at, sizeof(head));
        g_assert_cmpuint(head[2], ==, 60);
        g_assert_cmpuint(head[3], ==, 60);
        g_assert_cmpmem(data + at + 16, 60, expected, 60);
        g_assert_cmpuint(n, <, FRAMES_MAX);
        ms[n] = head[0] * 1e3 + head[1] / 1e3;
        if (!n) first = ms[0];
        ms[n++] -= first;
    }
    g_free(data);
    return n;
}

static void expect_times(Fixture *x, unsigned nic, unsigned skip, const double *times, unsigned n)
{
    double slack_ms = SLACK_MS + x->stall_ms;
    double ms[FRAMES_MAX];

    g_assert_cmpuint(read_pcap(x->path[nic], skip, (uint8_t)(0x56 + nic), ms), ==, n);
    for (unsigned i = 0; i < n; i++) {
        g_test_message("frame %u at %.1f ms", i, ms[i]);
        g_assert_cmpfloat(ABS(ms[i] - times[i]), <=, slack_ms);
    }
}

static const double usual[] = { 0, 50, 200, 450, 800 };

/* Every load starts a series, from every NIC, in the same process as often as one likes. */
static void test_loads(Fixture *x, gconstpointer data)
{
    (void)data;
    for (unsigned series = 0; series < 2; series++) {
        machine_notify(x->m, EVENT_LOADED); /* the machine does not even run */
        run_ms(x, 900);
        expect_times(x, 0, series * 5, usual, ARRAY_SIZE(usual));
        expect_times(x, 1, series * 5, usual, ARRAY_SIZE(usual));
    }
}

/* A load in the midst of a series starts over. */
static void test_overtaken(Fixture *x, gconstpointer data)
{
    (void)data;
    machine_notify(x->m, EVENT_LOADED);
    run_ms(x, 100);
    machine_notify(x->m, EVENT_LOADED);
    run_ms(x, 900);
    expect_times(x, 0, 2, usual, ARRAY_SIZE(usual));
}

static void test_parameters(Fixture *x, gconstpointer data)
{
    static const double steps[] = { 0, 20, 540 }, capped[] = { 0, 30, 70, 110 };
    AnnounceParams *p = net_announce_params(x->m);

    (void)data;
    g_assert_cmpuint(p->initial_ms, ==, 50);
    *p = (AnnounceParams){ .initial_ms = 20, .max_ms = 1000, .rounds = 3, .step_ms = 500 };
    net_announce(x->m, p, NULL);
    run_ms(x, 650);
    expect_times(x, 0, 0, steps, ARRAY_SIZE(steps));
    *p = (AnnounceParams){ .initial_ms = 30, .max_ms = 40, .rounds = 4, .step_ms = 500 };
    net_announce(x->m, p, "ne2k_isa.1");
    run_ms(x, 200);
    expect_times(x, 1, 3, capped, ARRAY_SIZE(capped));
    expect_times(x, 0, 0, steps, ARRAY_SIZE(steps));
    p->rounds = 0;
    net_announce(x->m, p, NULL);
    run_ms(x, 20);
    expect_times(x, 0, 0, steps, ARRAY_SIZE(steps));
}

static void test_command(Fixture *x, gconstpointer data)
{
    Arg args[] = { { .name = "interfaces", .given = true, .text = (char *)"ne2k_isa.1" },
        { .name = "id", .given = false } };
    CommandCall call = { .m = x->m, .args = args, .nargs = ARRAY_SIZE(args) };
    double ms[FRAMES_MAX];

    (void)data;
    SET_EACH (Command, c, commands) {
        if (!strcmp(c->name, "announce_self")) c->run(&call, NULL);
    }
    machine_notify(x->m, EVENT_LOADED); /* a series of its own */
    run_ms(x, 900);
    expect_times(x, 0, 0, usual, ARRAY_SIZE(usual));
    g_assert_cmpuint(read_pcap(x->path[1], 0, 0x57, ms), ==, 10);
}

/* The machine may go in the midst of a series. */
static void test_freed(Fixture *x, gconstpointer data)
{
    (void)data;
    machine_notify(x->m, EVENT_LOADED);
    run_ms(x, 10);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/announce/loads", Fixture, NULL, setup, test_loads, teardown);
    g_test_add("/announce/overtaken", Fixture, NULL, setup, test_overtaken, teardown);
    g_test_add("/announce/parameters", Fixture, NULL, setup, test_parameters, teardown);
    g_test_add("/announce/command", Fixture, NULL, setup, test_command, teardown);
    g_test_add("/announce/freed", Fixture, NULL, setup, test_freed, teardown);
    return g_test_run();
}
