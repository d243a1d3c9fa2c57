/* SPDX-License-Identifier: MIT */
/* TEST-TIMEOUT: 240 */
/*
 * A post-copy whose connection is cut, after any number of bytes in either direction: either the
 * guest is still the source's, or the two go on over a new connection; in both cases it does what
 * it would have done anyway.  Two machines in one process under an instruction clock (see exact.h),
 * and a relay between them that cuts.  The long form makes 2,379 trips of half a second, in which
 * the two mostly wait for each other.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "migration/incoming.h"
#include "tests/live/exact.h"
#include "util/socket.h"

enum { FORWARD, BACK };

/* Passes bytes between one who connects to it and one who listens, until so many have gone one
 * way; then it closes both. */
typedef struct Relay {
    int listener;
    char *to;
    uint64_t limit[2], passed[2];
    GThread *thread;
} Relay;

static bool relay_pass(Relay *r, int from, int to, int way)
{
    uint8_t buf[4096];
    uint64_t room = r->limit[way] - r->passed[way];
    ssize_t n = read(from, buf, (size_t)MIN_OF(room, sizeof(buf)));

    if (n <= 0) return false;
    for (ssize_t done = 0, k; done < n; done += k) {
        k = send(to, buf + done, (size_t)(n - done), MSG_NOSIGNAL);
        if (k < 0) return false;
    }
    r->passed[way] += (uint64_t)n;
    return r->passed[way] < r->limit[way];
}

static int relay_connect(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(a.sun_path, path, sizeof(a.sun_path));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) g_error("%s: no connection", path);
    return fd;
}

static void *relay_run(void *opaque)
{
    Relay *r = opaque;
    int a = accept(r->listener, NULL, NULL), b;
    bool going = a >= 0;

    if (!going) return NULL;
    b = relay_connect(r->to);
    while (going) {
        struct pollfd p[] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };

        poll(p, 2, -1);
        if (p[0].revents) going = relay_pass(r, a, b, FORWARD);
        if (going && p[1].revents) going = relay_pass(r, b, a, BACK);
    }
    close(a);
    close(b);
    return NULL;
}

static char *fresh_path(const char *name)
{
    char *path = exact_tmp(name);

    g_unlink(path);
    return path;
}

static Relay *relay_new(const char *from, const char *to, uint64_t forward, uint64_t back)
{
    Relay *r = g_new0(Relay, 1);
    Error err = ERROR_INIT;

    r->listener = socket_listen_unix(from, &err);
    g_assert_cmpint(r->listener, >=, 0);
    fcntl(r->listener, F_SETFL, 0);
    r->to = g_strdup(to);
    r->limit[FORWARD] = forward;
    r->limit[BACK] = back;
    r->thread = g_thread_new("relay", relay_run, r);
    return r;
}

static void relay_end(Relay *r, uint64_t passed[2])
{
    shutdown(r->listener, SHUT_RDWR);
    g_thread_join(r->thread);
    if (passed) memcpy(passed, r->passed, sizeof(r->passed));
    close(r->listener);
    g_free(r->to);
    g_free(r);
}

/* After how many bytes each way, and whether the source frees what has arrived. */
typedef struct Cut {
    uint64_t after[2];
    bool release;
} Cut;

/* One guest on its way. */
typedef struct Trip {
    const Guest *g;
    Machine *from, *to;
    Relay *relay;
    char *line_path, *in_path;
    bool recovered;
} Trip;

static void say(Machine *m, const char *fmt, const char *path)
{
    char *line = g_strdup_printf(fmt, path);

    command(m, line);
    g_free(line);
}

static Trip *trip_begin(const Guest *g, const char *disk, const Cut *cut)
{
    Trip *t = g_new0(Trip, 1);
    char *uri;

    t->g = g;
    t->line_path = fresh_path("line");
    t->in_path = fresh_path("in");
    t->from = start_at(g, disk, NULL);
    run_until(t->from, g->first);
    uri = g_strconcat("unix:", t->in_path, NULL);
    t->to = start(g, disk, uri);
    t->relay = relay_new(t->line_path, t->in_path, cut->after[FORWARD], cut->after[BACK]);
    command(t->from, "migrate_set_capability postcopy-ram on");
    command(t->to, "migrate_set_capability postcopy-ram on");
    if (cut->release) command(t->from, "migrate_set_capability release-ram on");
    command(t->from, "migrate_set_parameter max-bandwidth 200k");
    command(t->from, "migrate_set_parameter max-postcopy-bandwidth 1M");
    say(t->from, "migrate -d unix:%s", t->line_path);
    command(t->from, "migrate_start_postcopy");
    g_free(uri);
    return t;
}

/* Goes on over a connection that holds. */
static void trip_recover(Trip *t)
{
    relay_end(t->relay, NULL);
    g_unlink(t->line_path);
    g_unlink(t->in_path);
    say(t->to, "migrate_recover unix:%s", t->in_path);
    t->relay = relay_new(t->line_path, t->in_path, UINT64_MAX, UINT64_MAX);
    say(t->from, "migrate -d -r unix:%s", t->line_path);
    t->recovered = true;
}

/* Lets the two do what they do, and recovers where that is what is left.  False once nothing will
 * change by itself. */
static bool trip_turn(Trip *t)
{
    MigrationStatus s = outgoing_status(t->from), d = incoming_status(t->to);

    if (s == MIGRATION_POSTCOPY_PAUSED &&
        (d == MIGRATION_POSTCOPY_PAUSED || d == MIGRATION_COMPLETED)) {
        trip_recover(t);
        return true;
    }
    if (s == MIGRATION_FAILED) return !t->to->quit && d != MIGRATION_POSTCOPY_PAUSED;
    return s != MIGRATION_COMPLETED || d != MIGRATION_COMPLETED;
}

static void trip_run_until(Trip *t, Machine *m, int64_t when)
{
    Timer timer;

    timer_init(&timer, &m->clock, reached_fire, m);
    timer_arm(&timer, when);
    g_assert_true(machine_start(m, NULL));
    while (machine_running(m)) {
        g_assert_true(machine_step(m, NS_PER_MS));
        trip_turn(t);
    }
    timer_cancel(&timer);
}

/* How a trip went. */
typedef struct Outcome {
    uint64_t passed[2]; /* over the last connection */
    bool recovered, stayed;
} Outcome;

/* The whole trip; what the guest comes to a million instructions later. */
static char *trip_make(const Guest *g, const Cut *cut, Outcome *end)
{
    char *disk = disk_copy(g, ".r"), *got;
    Trip *t = trip_begin(g, disk, cut);
    Machine *owner = t->from;

    while (trip_turn(t) && t->to->run_state == RUN_INMIGRATE)
        g_main_context_iteration(t->from->ctx, TRUE);
    if (outgoing_status(t->from) == MIGRATION_FAILED) {
        g_assert_cmpint(t->to->run_state, ==, RUN_INMIGRATE);
    } else {
        g_assert_cmpint(t->from->run_state, ==, RUN_FINISH_MIGRATE);
        owner = t->to;
    }
    trip_run_until(t, owner, g->first + LATER);
    while (owner == t->to && trip_turn(t)) g_main_context_iteration(t->from->ctx, TRUE);
    got = digest(owner);
    relay_end(t->relay, end->passed);
    end->recovered = t->recovered;
    end->stayed = owner == t->from;
    machine_free(t->from);
    machine_free(t->to);
    g_unlink(disk);
    g_free(disk);
    g_free(t->line_path);
    g_free(t->in_path);
    g_free(t);
    return got;
}

typedef struct Tally {
    const char *want;
    unsigned recovered, stayed, came;
} Tally;

static void cut_at(const Guest *g, int way, uint64_t at, bool release, Tally *tally)
{
    Cut cut = { { UINT64_MAX, UINT64_MAX }, release };
    char *what = g_strdup_printf("cut after %" G_GUINT64_FORMAT " bytes %s%s", at,
        way == FORWARD ? "forward" : "back", release ? ", pages released" : "");
    Outcome end;
    char *got;

    cut.after[way] = at;
    got = trip_make(g, &cut, &end);
    g_test_message("%s: %s", what, end.stayed ? "stayed" : end.recovered ? "recovered" : "came");
    assert_same(got, tally->want, what);
    tally->recovered += end.recovered;
    tally->stayed += end.stayed;
    tally->came += !end.stayed && !end.recovered;
    g_free(got);
    g_free(what);
}

static Guest edges = {
    .name = "edges", .args = { "-m", "1", "-bios" }, .first = 40000000, .quick = 12, .slow = 1500
};

/* One point is all that undisturbed is asked for. */
static char **edges_want(void)
{
    Guest one = edges;

    one.quick = one.slow = 1;
    return undisturbed(&one);
}

static void test_cuts(gconstpointer data)
{
    static const Cut endless = { { UINT64_MAX, UINT64_MAX }, true };
    const Guest *g = data;
    unsigned n = g_test_quick() ? g->quick : g->slow;
    char **want = edges_want(), *got;
    Tally tally = { .want = want[0] };
    Outcome whole;

    got = trip_make(g, &endless, &whole);
    assert_same(got, want[0], "not cut");
    for (unsigned i = 0; i < n; i++) {
        uint64_t at = 1 + (whole.passed[FORWARD] - 1) * i / n + i * 7919 % 61;

        cut_at(g, FORWARD, at, i % 2, &tally);
        if (i % 2 == 0) cut_at(g, BACK, 1 + (whole.passed[BACK] - 1) * i / n, i % 4, &tally);
    }
    for (unsigned i = 0; i < (g_test_quick() ? 3 : 64); i++) {
        cut_at(g, FORWARD, whole.passed[FORWARD] - i * 3, i % 2, &tally);
        cut_at(g, BACK, whole.passed[BACK] - i * 3, i % 2, &tally);
    }
    g_test_message("%" G_GUINT64_FORMAT " bytes forward, %" G_GUINT64_FORMAT " back; %u stayed, %u "
                   "recovered, %u came at once",
        whole.passed[FORWARD], whole.passed[BACK], tally.stayed, tally.recovered, tally.came);
    g_assert_cmpuint(tally.stayed, >=, n / 4);
    g_assert_cmpuint(tally.recovered, >=, n / 4);
    g_free(got);
    g_strfreev(want);
}

int main(int argc, char **argv)
{
    char *source = in_source("tests/live/edges.asm"), *rom = exact_tmp("edges.rom");

    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    run_program("nasm", "-f", "bin", "-o", rom, source, NULL);
    edges.args[3] = rom;
    edges.disk = make_qcow2("edges.qcow2", NULL, "4M");
    g_test_add_data_func("/recover/cuts", &edges, test_cuts);
    g_free(source);
    return g_test_run();
}
