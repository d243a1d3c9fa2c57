/* SPDX-License-Identifier: MIT */
/* The side that a guest arrives on: see incoming.h for the states. */
#include "migration/incoming.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "migration/capability.h"
#include "migration/channel.h"
#include "migration/command.h"
#include "migration/disks.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/outgoing.h"
#include "migration/postcopy_in.h"
#include "util/socket.h"

enum {
    READ_PIECE = 1 * MiB,
    READ_PIECE_RUNNING = 128 * KiB, /* while the guest runs: some thousands of zero pages */
    BURST_NS = 20000000,
    SLICE_NS = 400000,          /* the CPU's turn while the guest runs, ... */
    BURST_RUNNING_NS = 1600000, /* ... that of the channel ... */
    BURST_FRESH_NS = 400000,    /* ... and that while the guest makes up for its pause: */
    FRESH_NS = 20000000,        /* so long after it went on */
    SOON_NS = 300000,           /* a sender as fast as this is waited for in the midst of a burst */
};

typedef struct Incoming {
    Machine *m;
    MigrationStatus status;
    bool waiting;  /* -incoming was given and nothing has arrived */
    bool deferred; /* by -incoming defer */
    bool accepted; /* the source, a Stasis, has been told so and has the next word */
    bool
        contested; /* when it all began the source had a disk's lock: the lock tells whose the guest
                     * is where nobody else can */
    Channel ch;
    GSource *io;
    LoadRun *load; /* of a post-copy: kept to the end, so that a lost last word can be said again */
    PostcopyIn *answers;
    int64_t ran_ns; /* host time: the guest went on here */
} Incoming;

static void incoming_disconnect(Incoming *in)
{
    if (in->io) {
        g_source_destroy(in->io);
        g_source_unref(in->io);
        in->io = NULL;
    }
    channel_close(&in->ch);
    if (in->answers) postcopy_in_connect(in->answers, -1);
}

static void incoming_close(Incoming *in)
{
    incoming_disconnect(in);
    postcopy_in_free(in->answers);
    in->answers = NULL;
    load_end(in->load);
    in->load = NULL;
}

static void incoming_destroy(void *slot) { incoming_close(slot); }

static Incoming *incoming_get(Machine *m)
{
    Incoming *in = machine_slot(m, "incoming", sizeof(Incoming), incoming_destroy);

    if (!in->m) in->ch.fd = -1;
    in->m = m;
    return in;
}

static void incoming_set_status(Incoming *in, MigrationStatus s)
{
    in->status = s;
    in->m->slice_ns = s == MIGRATION_POSTCOPY_ACTIVE ? SLICE_NS : 0;
    machine_notify(in->m, EVENT_MIGRATION);
}

/* The connection is lost and the guest, or its permission to run, is this side's only: it waits for
 * a new one. */
static void incoming_pause(Incoming *in)
{
    incoming_disconnect(in);
    incoming_set_status(in, MIGRATION_POSTCOPY_PAUSED);
}

static void incoming_fail(Incoming *in, const char *why)
{
    if (in->load && (in->load->committed || in->load->ready)) {
        g_printerr("stasis: %s\nstasis: post-copy is paused, migrate_recover goes on\n", why);
        incoming_pause(in);
        return;
    }
    g_printerr("stasis: %s\nstasis: load of migration failed\n", why);
    if (in->answers) postcopy_in_last_word(in->answers, false);
    incoming_close(in);
    incoming_set_status(in, MIGRATION_FAILED);
    if (in->deferred) {
        in->waiting = true;
        return;
    }
    in->m->exit_code = 1;
    in->m->quit = true;
    machine_kick(in->m);
}

/* All but pages that come late has come and was accepted: the guest is here. */
static bool incoming_run(Incoming *in)
{
    Machine *m = in->m;
    Error err = ERROR_INIT;
    RunState next = load_run_state(in->load, RUN_RUNNING);
    bool late = in->load->postcopy == LOAD_RUNNING;
    bool runs = !m->config.stopped && next == RUN_RUNNING;
    bool take = runs || !capability_on(m, "late-block-activate");

    if (late) postcopy_in_listen(in->answers);
    if ((take && !disks_take(m, &err)) || !load_commit(in->load, &err)) {
        incoming_fail(in, err.msg);
        return false;
    }
    if (!late) {
        if (!in->accepted) postcopy_in_last_word(in->answers, true);
        incoming_close(in);
    }
    in->waiting = false;
    if (!take) m->take_back = disks_take;
    machine_set_run_state(m, RUN_PAUSED);
    if (m->config.stopped)
        machine_set_run_state(m, RUN_PRELAUNCH);
    else if (runs)
        machine_start(m, NULL);
    in->ran_ns = host_ns();
    incoming_set_status(in, late ? MIGRATION_POSTCOPY_ACTIVE : MIGRATION_COMPLETED);
    machine_notify(m, EVENT_LOADED);
    return late;
}

/* All is here, and the source went without a word on whose the guest is.  The lock of a disk that
 * both use tells; else whoever looks after both has to. */
static void incoming_orphan(Incoming *in)
{
    Error err = ERROR_INIT;

    if (in->contested) {
        incoming_run(in);
        return;
    }
    if (!load_commit(in->load, &err)) {
        incoming_fail(in, err.msg);
        return;
    }
    g_printerr("stasis: the source went before it said whether the guest is to run here: where it "
               "does not run there, 'cont' here\n");
    incoming_close(in);
    in->m->take_back = disks_take;
    machine_set_run_state(in->m, RUN_PAUSED);
    incoming_set_status(in, MIGRATION_COMPLETED);
}

/* Behind an accepted stream comes one word. */
static bool incoming_wait_word(Incoming *in)
{
    if (load_yours(in->load))
        incoming_run(in);
    else if (in->load->st.eof)
        incoming_orphan(in);
    else
        return true;
    return false;
}

/* The source goes once it knows; where it does not, it comes back by a recovery. */
static gboolean incoming_linger(gint fd, GIOCondition cond, gpointer opaque)
{
    uint8_t buf[4096];
    ssize_t n = read(fd, buf, sizeof(buf));

    (void)cond;
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return G_SOURCE_CONTINUE;
    incoming_disconnect(opaque);
    return G_SOURCE_REMOVE;
}

static void incoming_attach(Incoming *in, GUnixFDSourceFunc fn)
{
    in->io = g_unix_fd_source_new(in->ch.fd, G_IO_IN);
    g_source_set_callback(in->io, G_SOURCE_FUNC(fn), in, NULL);
    g_source_attach(in->io, in->m->ctx);
}

/* The last page has come. */
static void incoming_arrived(Incoming *in)
{
    postcopy_in_last_word(in->answers, true);
    g_source_destroy(in->io);
    g_source_unref(in->io);
    incoming_attach(in, incoming_linger);
    incoming_set_status(in, MIGRATION_COMPLETED);
}

/* The source has said that it goes on. */
static void incoming_resumed(Incoming *in)
{
    incoming_set_status(in, MIGRATION_POSTCOPY_ACTIVE);
    postcopy_in_ask_again(in->answers);
}

/* Parses what was read; false once the migration has ended here. */
static bool incoming_parse(Incoming *in)
{
    LoadStatus status;

    if (in->accepted) return incoming_wait_word(in);
    status = load_step(in->load);
    if (status == LOAD_RUN) {
        if (!incoming_run(in)) return false;
        status = load_step(in->load);
    }
    postcopy_in_flush(in->answers);
    if (in->status == MIGRATION_POSTCOPY_RECOVER && !in->load->resuming) incoming_resumed(in);
    if (status == LOAD_MORE) return true;
    if (status == LOAD_DONE) {
        if (in->load->committed) {
            incoming_arrived(in);
            return false;
        }
        if (in->load->from_stasis) {
            postcopy_in_last_word(in->answers, true);
            in->accepted = true;
            return true;
        }
        incoming_run(in);
        return false;
    }
    incoming_fail(in, in->load->err.msg);
    return false;
}

/* The sender is on another processor of this host and about to go on. */
static bool incoming_soon_readable(Incoming *in)
{
    struct pollfd p = { .fd = in->ch.fd, .events = POLLIN };
    struct timespec soon = { .tv_nsec = SOON_NS };

    return ppoll(&p, 1, &soon, NULL) > 0;
}

/* What a read gave; false: the migration has ended here. */
static bool incoming_take(Incoming *in, ssize_t n)
{
    if (n < 0 && !in->accepted) {
        incoming_fail(in, strerror(errno));
        return false;
    }
    if (n <= 0)
        load_eof(in->load);
    else
        load_fed(in->load, (size_t)n);
    return incoming_parse(in);
}

/* For how long the channel is read before the CPU has a turn. */
static int64_t incoming_burst(const Incoming *in, int64_t now)
{
    if (!machine_running(in->m)) return BURST_NS;
    return now - in->ran_ns < FRESH_NS ? BURST_FRESH_NS : BURST_RUNNING_NS;
}

static gboolean incoming_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    Incoming *in = opaque;
    bool runs = machine_running(in->m), first = true;
    int64_t now = host_ns(), until = now + incoming_burst(in, now);

    (void)cond;
    do {
        size_t piece = runs ? READ_PIECE_RUNNING : READ_PIECE;
        ssize_t n = read(fd, load_room(in->load, piece), piece);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (first || !incoming_soon_readable(in)) return G_SOURCE_CONTINUE;
            continue;
        }
        first = false;
        if (!incoming_take(in, n)) return G_SOURCE_REMOVE;
        /* A page that the CPU waits for has come: it is kicked, and goes first. */
    } while (!atomic_load(&in->m->kick) && host_ns() < until);
    return G_SOURCE_CONTINUE;
}

/* On a new connection: the load goes on where it was. */
static void incoming_go_on(Incoming *in)
{
    load_resume(in->load);
    postcopy_in_connect(in->answers, in->ch.fd);
    incoming_attach(in, incoming_readable);
    incoming_set_status(in, MIGRATION_POSTCOPY_RECOVER);
}

static void incoming_begin(Incoming *in)
{
    in->load = load_begin(in->m);
    in->load->may_postcopy = capability_on(in->m, "postcopy-ram");
    in->accepted = false;
    in->contested = disks_contested(in->m);
    in->answers = postcopy_in_new(in->load, in->ch.fd, in->ch.socket);
    incoming_attach(in, incoming_readable);
    incoming_set_status(in, MIGRATION_ACTIVE);
}

static gboolean incoming_accept(gint fd, GIOCondition cond, gpointer opaque)
{
    Incoming *in = opaque;
    int conn = socket_accept(fd);

    (void)cond;
    if (conn < 0) return G_SOURCE_CONTINUE;
    g_source_unref(in->io);
    in->io = NULL;
    close(fd);
    in->ch.fd = conn;
    in->ch.listening = false;
    if (in->load)
        incoming_go_on(in);
    else
        incoming_begin(in);
    return G_SOURCE_REMOVE;
}

static bool incoming_open(Incoming *in, const char *uri, Sink *getfd, Error *err)
{
    const char *rest;
    const ChannelClass *cls = channel_find(uri, &rest);

    if (!cls) return error_set(err, "unknown migration protocol: %s", uri);
    in->ch = (Channel){ .fd = -1 };
    return cls->open_in(&in->ch, rest, getfd, err);
}

static bool incoming_start(Incoming *in, const char *uri, Sink *getfd, Error *err)
{
    if (!incoming_open(in, uri, getfd, err)) return false;
    in->waiting = false;
    incoming_set_status(in, MIGRATION_SETUP);
    if (in->ch.listening)
        incoming_attach(in, incoming_accept);
    else
        incoming_begin(in);
    return true;
}

bool migration_incoming(Machine *m, const char *uri, Error *err)
{
    Incoming *in = incoming_get(m);

    machine_set_run_state(m, RUN_INMIGRATE);
    in->waiting = in->deferred = !strcmp(uri, "defer");
    return in->deferred || incoming_start(in, uri, NULL, err);
}

bool incoming_start_deferred(Machine *m, const char *uri, Sink *getfd, Error *err)
{
    Incoming *in = incoming_get(m);

    if (!in->deferred && in->status == MIGRATION_NONE)
        return error_set(err, "'-incoming' was not specified on the command line");
    if (!in->waiting) return error_set(err, "The incoming migration has already been started");
    return incoming_start(in, uri, getfd, err);
}

bool incoming_recover(Machine *m, const char *uri, Sink *getfd, Error *err)
{
    Incoming *in = incoming_get(m);

    if (in->status != MIGRATION_POSTCOPY_PAUSED && !(in->load && in->status == MIGRATION_COMPLETED))
        return error_set(err, "Migrate recover can only be run when postcopy is paused.");
    incoming_disconnect(in);
    if (!incoming_open(in, uri, getfd, err)) return false;
    if (in->ch.listening)
        incoming_attach(in, incoming_accept);
    else
        incoming_go_on(in);
    return true;
}

bool incoming_pause_postcopy(Machine *m)
{
    Incoming *in = incoming_get(m);

    if (in->status != MIGRATION_POSTCOPY_ACTIVE) return false;
    incoming_pause(in);
    return true;
}

MigrationStatus incoming_status(Machine *m) { return incoming_get(m)->status; }

bool incoming_late(Machine *m) { return mem_has_page_source(m); }
