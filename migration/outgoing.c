/* SPDX-License-Identifier: MIT */
/* The side that a guest leaves: see outgoing.h for the states. */
#include "migration/outgoing.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/block_migration.h"
#include "migration/capability.h"
#include "migration/channel.h"
#include "migration/command.h"
#include "migration/converge.h"
#include "migration/dirty_rate.h"
#include "migration/disks.h"
#include "migration/info.h"
#include "migration/migration.h"
#include "migration/parameters.h"
#include "migration/postcopy_out.h"
#include "migration/ram.h"
#include "migration/ram_release.h"
#include "migration/save.h"
#include "util/chardev.h"
#include "util/socket.h"

enum {
    PIECE = 256 * KiB,          /* produced at a time, at most */
    PIECE_POSTCOPY = 32 * KiB,  /* a page asked for waits for one of these at most */
    PIECE_MIN = 4 * KiB,        /* and at least, however narrow max-bandwidth is */
    DEPTH_MIN = 208 * KiB,      /* written ahead at first, and in post-copy: a page waits for it */
    DEPTH_MAX = 4 * MiB,        /* what the far side may take in a slice of the guest */
    WINDOW_MS = 100,            /* bandwidth is kept per window */
    ENOUGH = 64 * PAGE_SIZE,    /* left after a round: it gets no less worth waiting for */
    BURST_NS = 4000000,         /* what one turn of the main loop may take, ... */
    BURST_RUNNING_NS = 1600000, /* ... and while the guest runs, whose CPU's turn is then this */
    SLICE_NS = 400000,
    SOON_NS = 500000,  /* a reader as fast as this is waited for in its midst ... */
    SLOW_TURNS = 10,   /* ... but one that was not, not before so many turns */
    ANSWER_MS = 10000, /* how long the far side may neither read nor say anything */
    ANSWER_TICK_MS = 100,
    STALL_MS = 1000,
    READER_MS = 1000, /* whoever reads nothing of what the guest said for so long is not there */
};

struct Outgoing {
    Machine *m;
    MigrationStatus status;
    Channel ch;
    char *where; /* the URI behind its kind: what a failed connect names */
    Sink *waiter;
    SaveRun *save;
    GSource *io, *window;  /* writable; the window's end, while it is used up */
    GSource *stall;        /* looks whether the channel moves, while it is active */
    unsigned slow_turns;   /* left without waiting for the reader */
    bool full;             /* the channel took no more in the last turn */
    int depth;             /* bytes that it holds */
    uint64_t written;      /* bytes ... */
    uint64_t written_seen; /* ... when that was last looked at */
    bool was_running;
    bool disks_given;
    bool passed;        /* pause-before-switchover: migrate_continue has come, or is not needed */
    bool want_postcopy; /* migrate_start_postcopy has come */
    bool yours;         /* the word that makes the guest the far side's is being written */
    unsigned questions; /* of a recovery: bitmaps that were asked for; 0 once all have come */
    ReturnPath back;
    GSource *answers;              /* readable, while there is a return path */
    bool arrived;                  /* the far side has everything: there is no way back */
    size_t unsent;                 /* of the guest's output, when last looked ... */
    int64_t unsent_ns;             /* ... and since when it is so much */
    uint64_t window_bytes;         /* sent in the current window ... */
    int64_t window_start;          /* ... which began then, ns */
    double bandwidth;              /* bytes per ns, of the last windows */
    uint64_t rounds_seen, pending; /* after the last round: how many, bytes left */
    Converge converge;
    DirtyRate dirty;
    DisksFlush *flush; /* begun when the end came near */
    int64_t start_ns, connected_ns, stop_ns, left_ns, end_ns;
    int64_t heard_ns; /* the far side read or said something ... */
    int unread;       /* ... and had this much not read then */
    uint64_t expected_downtime_ms;
    RamStats stats;
    uint64_t remaining;
    Error err;
};

const char *migration_status_name(MigrationStatus s)
{
    static const char *const names[] = { "none", "setup", "active", "pre-switchover", "device",
        "postcopy-active", "postcopy-paused", "postcopy-recover", "completed", "failed",
        "cancelled" };

    return names[s];
}

static void outgoing_destroy(void *slot);

static Outgoing *outgoing_get(Machine *m)
{
    Outgoing *o = machine_slot(m, "outgoing", sizeof(Outgoing), outgoing_destroy);

    o->m = m;
    return o;
}

MigrationStatus outgoing_status(Machine *m) { return outgoing_get(m)->status; }

static bool outgoing_going(const Outgoing *o)
{
    return o->status >= MIGRATION_SETUP && o->status < MIGRATION_COMPLETED;
}

bool outgoing_under_way(Machine *m) { return outgoing_going(outgoing_get(m)); }

static void source_drop(GSource **s)
{
    if (!*s) return;
    g_source_destroy(*s);
    g_source_unref(*s);
    *s = NULL;
}

static void outgoing_set_status(Outgoing *o, MigrationStatus s)
{
    o->status = s;
    machine_notify(o->m, EVENT_MIGRATION);
}

static void outgoing_close(Outgoing *o)
{
    source_drop(&o->io);
    source_drop(&o->window);
    source_drop(&o->answers);
    source_drop(&o->stall);
    stream_free(&o->back.in);
    converge_end(o->m);
    o->m->slice_ns = 0;
    if (o->save) {
        o->stats = *ram_save_stats(o->save);
        o->remaining = o->status == MIGRATION_COMPLETED ? 0 : ram_save_remaining(o->save);
    }
    save_end(o->save);
    o->save = NULL;
    block_options_end(o->m);
    disks_flush_end(o->flush);
    o->flush = NULL;
    channel_close(&o->ch);
}

static void outgoing_finish(Outgoing *o, MigrationStatus s)
{
    Sink *waiter = o->waiter;
    Error none = ERROR_INIT;

    if (!o->arrived) o->end_ns = host_ns();
    o->waiter = NULL;
    outgoing_set_status(o, s);
    outgoing_close(o);
    if (waiter) sink_done(waiter, &none);
}

/* The guest stays: its disks are taken back and it runs on as if nothing had been tried. */
static void outgoing_abandon(Outgoing *o, MigrationStatus s)
{
    Error err = ERROR_INIT;
    bool disks_back = !o->disks_given || disks_take(o->m, &err);

    o->disks_given = false;
    outgoing_finish(o, s);
    if (o->m->run_state != RUN_FINISH_MIGRATE) return;
    if (!disks_back) {
        error_prefix(&err, "the guest stays stopped: ");
        o->err = err;
        machine_set_run_state(o->m, RUN_IO_ERROR);
    } else if (o->was_running) {
        machine_start(o->m, NULL);
    } else {
        machine_set_run_state(o->m, RUN_PAUSED);
    }
}

/* The guest has left and the channel is broken: here it must not run again, so the run state stays
 * RUN_FINISH_MIGRATE, out of which neither `cont` nor a reset leads. */
static void outgoing_lost(Outgoing *o)
{
    Sink *waiter = o->waiter;
    Error err = ERROR_INIT;

    o->waiter = NULL;
    source_drop(&o->io);
    source_drop(&o->window);
    source_drop(&o->answers);
    channel_close(&o->ch);
    outgoing_set_status(o, MIGRATION_POSTCOPY_PAUSED);
    error_set(&err, "Post-copy is paused: migrate_recover over there and migrate -r here go on");
    if (waiter) sink_done(waiter, &err);
}

static bool outgoing_left(const Outgoing *o)
{
    return o->status >= MIGRATION_POSTCOPY_ACTIVE && o->status < MIGRATION_COMPLETED;
}

static void outgoing_fail(Outgoing *o, const char *what, int code)
{
    if (outgoing_left(o)) {
        outgoing_lost(o);
        return;
    }
    error_errno(&o->err, code, "%s", what);
    outgoing_abandon(o, MIGRATION_FAILED);
}

static void outgoing_write_failed(Outgoing *o, int code)
{
    outgoing_fail(
        o, o->ch.child ? "Unable to write to command" : "Unable to write to channel", code);
}

static GSource *outgoing_attach(Outgoing *o, GSource *s, GSourceFunc fn)
{
    g_source_set_callback(s, fn, o, NULL);
    g_source_attach(s, o->m->ctx);
    return s;
}

static void outgoing_count_unsent(void *sum, const char *id, void *chr)
{
    (void)id;
    *(size_t *)sum += chardev_unsent(chr);
}

/* What the guest wrote here may still wait for a slow reader.  "completed" tells whoever runs both
 * sides that this one may be killed, so it waits as long as that gets less. */
static gboolean outgoing_settle(gpointer opaque)
{
    Outgoing *o = opaque;
    size_t unsent = 0;

    machine_object_each(o->m, "chardev", outgoing_count_unsent, &unsent);
    if (unsent != o->unsent) o->unsent_ns = host_ns();
    o->unsent = unsent;
    if (unsent && host_ns() - o->unsent_ns < READER_MS * NS_PER_MS) return G_SOURCE_CONTINUE;
    machine_set_run_state(o->m, RUN_POSTMIGRATE);
    o->m->take_back = disks_take;
    ram_release_all(o->save);
    outgoing_finish(o, MIGRATION_COMPLETED);
    return G_SOURCE_REMOVE;
}

static void outgoing_complete(Outgoing *o)
{
    o->arrived = true;
    o->unsent_ns = o->end_ns = host_ns();
    source_drop(&o->io);
    source_drop(&o->answers);
    if (outgoing_settle(o)) o->io = outgoing_attach(o, g_timeout_source_new(1), outgoing_settle);
}

/* Whether the far side may have all that it needs to run the guest. */
static bool outgoing_sealed(const Outgoing *o)
{
    return o->save && o->save->state == SAVE_DONE && !stream_left(&o->save->st) && !o->back.stasis;
}

/* It may run there or not, and nobody is left to ask: it must not run here by itself. */
static void outgoing_unsure(Outgoing *o)
{
    error_set(&o->err, "The destination does not answer; where the guest does not run there, cont "
                       "goes on here");
    o->m->take_back = disks_take;
    outgoing_finish(o, MIGRATION_FAILED);
    machine_set_run_state(o->m, RUN_PAUSED);
}

/* The far side has neither read nor said anything for long. */
static void outgoing_silent(Outgoing *o)
{
    if (outgoing_left(o)) {
        outgoing_lost(o);
    } else if (!outgoing_sealed(o)) {
        error_set(&o->err, "The destination does not answer");
        outgoing_abandon(o, MIGRATION_FAILED);
    } else if (o->save->return_path || o->unread) {
        outgoing_unsure(o);
    } else {
        outgoing_complete(o);
    }
}

/* Without a return path: a Stasis says how it went all the same; others close when they have read
 * everything.  One that closes before is seen by what it left unread.  True when all is over. */
static bool outgoing_closed(Outgoing *o)
{
    uint8_t buf[64];
    bool ok = true;
    ssize_t n;

    if (o->ch.child && !channel_child_gone(&o->ch, &ok)) return false;
    if (!o->ch.socket) {
        if (ok) {
            outgoing_complete(o);
            return true;
        }
        error_set(&o->err, "The command has failed");
        outgoing_abandon(o, MIGRATION_FAILED);
        return true;
    }
    n = recv(o->ch.fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n < 0) {
        outgoing_fail(o, "The destination has gone before it had everything", errno);
        return true;
    }
    stream_put(&o->back.in, buf, (size_t)n);
    if (n > 0 && return_path_parse(&o->back, o->save, &o->err) && !o->back.shut) return false;
    if (n == 0 && channel_unsent(&o->ch)) return false; /* an error will follow */
    if (!o->back.code && !error_is_set(&o->err)) {
        outgoing_complete(o);
        return true;
    }
    error_set(&o->err, "The destination has refused the guest");
    outgoing_abandon(o, MIGRATION_FAILED);
    return true;
}

static gboolean outgoing_patience(gpointer opaque)
{
    Outgoing *o = opaque;
    int unsent;

    if (!o->save->return_path && outgoing_closed(o)) return G_SOURCE_REMOVE;
    unsent = channel_unsent(&o->ch);
    if (unsent != o->unread) {
        o->unread = unsent;
        o->heard_ns = host_ns();
    }
    if (host_ns() - o->heard_ns < ANSWER_MS * NS_PER_MS) return G_SOURCE_CONTINUE;
    outgoing_silent(o);
    return G_SOURCE_REMOVE;
}

/* Nothing is to be written before the far side has said something, or closed. */
static void outgoing_expect(Outgoing *o)
{
    source_drop(&o->io);
    o->heard_ns = host_ns();
    o->unread = 0;
    o->io = g_timeout_source_new(o->save->return_path ? ANSWER_TICK_MS : 1);
    outgoing_attach(o, o->io, outgoing_patience);
}

/* All is written. */
static void outgoing_await_answer(Outgoing *o)
{
    o->end_ns = host_ns();
    if (o->ch.socket && !o->save->return_path)
        shutdown(o->ch.fd, SHUT_WR);
    else if (!o->ch.socket)
        channel_close(&o->ch);
    outgoing_expect(o);
}

static bool outgoing_give_up(Outgoing *o)
{
    outgoing_set_status(o, MIGRATION_DEVICE);
    o->disks_given = true;
    if (!disks_give_up(o->m, &o->err)) {
        outgoing_abandon(o, MIGRATION_FAILED);
        return false;
    }
    o->save->postcopy = o->want_postcopy && o->back.met; /* else its RAM has gone already */
    if (o->save->postcopy) {
        channel_set_depth(&o->ch, DEPTH_MIN);
        postcopy_out_package(o->save, o->back.stasis);
    }
    return true;
}

static bool outgoing_switchover(Outgoing *o)
{
    o->stop_ns = host_ns();
    machine_stop(o->m, RUN_FINISH_MIGRATE);
    disks_drain(o->m);
    if (!o->passed) {
        source_drop(&o->io);
        outgoing_set_status(o, MIGRATION_PRE_SWITCHOVER);
        return false;
    }
    return outgoing_give_up(o);
}

/* What may stay dirty for the stop to be short enough. */
static uint64_t outgoing_threshold(const Outgoing *o)
{
    const MigrationParameters *p = migration_parameters(o->m);

    return (uint64_t)(o->bandwidth * (double)p->downtime_limit * (double)NS_PER_MS);
}

/* The disks are flushed while the guest still runs, so that the stop has little left of it. */
static bool outgoing_flushed(Outgoing *o)
{
    if (!o->flush) o->flush = disks_flush_begin(o->m);
    return disks_flush_done(o->flush);
}

static void outgoing_note_dirty(Outgoing *o)
{
    int64_t now = host_ns();

    if (dirty_rate_due(&o->dirty, now))
        dirty_rate_round(&o->dirty,
            ram_save_stats(o->save)->pages + ram_save_remaining(o->save) / PAGE_SIZE, now);
}

/* After each round: is what is left little enough?  The limit is a limit and no aim: rounds go on
 * while they still make it much less, and the disks are flushed meanwhile. */
static bool outgoing_round(Outgoing *o, bool more)
{
    uint64_t rounds = ram_save_stats(o->save)->rounds, pending, before = o->pending;

    if (more && rounds == o->rounds_seen) return true;
    o->rounds_seen = rounds;
    outgoing_note_dirty(o);
    o->pending = pending = save_pending(o->save);
    converge_round(&o->converge, o->m, ram_save_stats(o->save), pending);
    if (o->bandwidth > 0)
        o->expected_downtime_ms = (uint64_t)((double)pending / o->bandwidth / (double)NS_PER_MS);
    if (pending > outgoing_threshold(o)) return true;
    if (!outgoing_flushed(o)) return true;
    if (pending > ENOUGH && pending < before / 2) return true;
    return outgoing_switchover(o);
}

/* A piece is no more than a window may carry, or a narrow limit would not be kept. */
static size_t outgoing_piece(const Outgoing *o)
{
    uint64_t limit = migration_parameters(o->m)->max_bandwidth;
    uint64_t share = limit / 1000 * WINDOW_MS;

    return limit ? (size_t)CLAMP(share, PIECE_MIN, PIECE) : PIECE;
}

/* The guest is the far side's. */
static void outgoing_leave(Outgoing *o)
{
    outgoing_set_status(o, MIGRATION_POSTCOPY_ACTIVE);
    o->left_ns = host_ns();
}

static uint64_t outgoing_limit(const Outgoing *o)
{
    const MigrationParameters *p = migration_parameters(o->m);

    if (o->status == MIGRATION_ACTIVE) return p->max_bandwidth;
    return o->status == MIGRATION_POSTCOPY_ACTIVE ? p->max_postcopy_bandwidth : 0;
}

static bool outgoing_window_used(const Outgoing *o)
{
    uint64_t limit = outgoing_limit(o);

    return limit && o->window_bytes >= limit / 1000 * WINDOW_MS + limit % 1000 * WINDOW_MS / 1000;
}

/* Disks that go along count as the pages that they would be. */
static void outgoing_grant(Outgoing *o)
{
    converge_sent(
        &o->converge, o->m, MAX_OF(ram_save_stats(o->save)->pages, o->written >> PAGE_BITS));
}

static gboolean outgoing_look_for_stall(gpointer opaque)
{
    Outgoing *o = opaque;

    if (o->status == MIGRATION_ACTIVE && o->written == o->written_seen)
        converge_stall(&o->converge, o->m);
    o->written_seen = o->written;
    return G_SOURCE_CONTINUE;
}

/* Fills the stream a bit; false when the migration has ended here. */
static bool outgoing_produce(Outgoing *o)
{
    if (o->status == MIGRATION_ACTIVE) {
        bool more;

        if (o->want_postcopy && o->back.met && outgoing_flushed(o)) return outgoing_switchover(o);
        more = save_iterate(o->save, outgoing_piece(o));
        outgoing_grant(o);
        return outgoing_round(o, more);
    }
    if (o->save->postcopy && o->status != MIGRATION_POSTCOPY_ACTIVE) {
        /* All of the package, or of the questions of a recovery, is written. */
        if (o->status != MIGRATION_DEVICE || o->back.stasis) {
            outgoing_expect(o);
            return false;
        }
        outgoing_leave(o);
    }
    if (o->save->postcopy)
        save_postcopy(o->save, outgoing_window_used(o) ? 0 : PIECE_POSTCOPY);
    else
        save_complete(o->save, PIECE);
    if (stream_ok(&o->save->st)) return true;
    o->err = o->save->st.err;
    if (outgoing_left(o))
        outgoing_lost(o);
    else
        outgoing_abandon(o, MIGRATION_FAILED);
    return false;
}

/* See converge.c; what is little enough to be sent while the guest stands needs no slowing. */
static void outgoing_converge(Outgoing *o)
{
    uint64_t left;

    o->m->throttle = 0;
    if (o->status != MIGRATION_ACTIVE) return;
    left = ram_save_remaining(o->save);
    if (left > outgoing_threshold(o))
        o->m->throttle = converge_throttle(&o->converge, o->m, ram_save_stats(o->save), left);
}

static void outgoing_account(Outgoing *o, size_t n)
{
    int64_t now = host_ns(), elapsed = now - o->window_start;

    o->window_bytes += n;
    o->written += n;
    if (elapsed < WINDOW_MS * NS_PER_MS) return;
    o->bandwidth = (double)o->window_bytes / (double)elapsed;
    o->window_start = now;
    o->window_bytes = 0;
    outgoing_converge(o);
}

/* A round may end before the first window does: what was seen so far has to do. */
static void outgoing_estimate(Outgoing *o)
{
    int64_t elapsed = host_ns() - o->window_start;

    if (o->bandwidth <= 0 && o->window_bytes && elapsed > 0)
        o->bandwidth = (double)o->window_bytes / (double)elapsed;
}

static gboolean outgoing_pump(gint fd, GIOCondition cond, gpointer opaque);

/* Writes as the channel takes it. */
static void outgoing_push(Outgoing *o)
{
    source_drop(&o->window);
    source_drop(&o->io);
    o->io = g_unix_fd_source_new(o->ch.fd, G_IO_OUT);
    outgoing_attach(o, o->io, G_SOURCE_FUNC(outgoing_pump));
}

static gboolean outgoing_window_over(gpointer opaque)
{
    outgoing_account(opaque, 0);
    outgoing_push(opaque);
    return G_SOURCE_REMOVE;
}

/* A Stasis has accepted the package: with one word the guest is its own. */
static void outgoing_accepted(Outgoing *o)
{
    save_command(&o->save->st, CMD_POSTCOPY_RUN, NULL, 0);
    outgoing_leave(o);
    outgoing_push(o);
}

/* How long what was written in this window, or the window itself, takes yet at the limit. */
static int64_t outgoing_rest_ms(const Outgoing *o)
{
    uint64_t limit = outgoing_limit(o);
    int64_t elapsed_ms = (host_ns() - o->window_start) / NS_PER_MS;

    if (!limit) return 0;
    return MAX_OF((int64_t)(o->window_bytes * 1000 / limit), WINDOW_MS) - elapsed_ms;
}

/* The limit may have been raised meanwhile. */
static gboolean outgoing_look_at_window(gpointer opaque)
{
    return outgoing_rest_ms(opaque) > 0 ? G_SOURCE_CONTINUE : outgoing_window_over(opaque);
}

/* True where the window's share is used up: the pump rests until its end, or for as long as what
 * was written takes at the limit.  Between the guest's stop and its leaving nothing is held back,
 * and what the far side waits for never is. */
static bool outgoing_rest(Outgoing *o)
{
    if (!outgoing_window_used(o) || ram_save_urgent(o->save)) return false;
    source_drop(&o->io);
    o->window = g_timeout_source_new((guint)CLAMP(outgoing_rest_ms(o), 1, WINDOW_MS));
    outgoing_attach(o, o->window, outgoing_look_at_window);
    return true;
}

/* The channel is full.  A reader on another processor of this host empties it faster than the guest
 * gets through a slice.  What it says meanwhile goes first. */
static bool outgoing_soon_writable(Outgoing *o)
{
    struct pollfd p = { .fd = o->ch.fd, .events = POLLOUT | (o->answers ? POLLIN : 0) };
    struct timespec soon = { .tv_nsec = SOON_NS };

    if (o->slow_turns) {
        o->slow_turns--;
        return false;
    }
    if (ppoll(&p, 1, &soon, NULL) > 0) return !(p.revents & POLLIN);
    o->slow_turns = SLOW_TURNS;
    return false;
}

/* Writes what is there; false: the channel takes no more now, or the migration has ended. */
static bool outgoing_drain(Outgoing *o)
{
    Stream *st = &o->save->st;

    while (stream_left(st)) {
        ssize_t n = write(o->ch.fd, st->data + st->pos, stream_left(st));

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            if (errno == EAGAIN && outgoing_soon_writable(o)) continue;
            o->full = errno == EAGAIN;
            if (errno != EAGAIN) outgoing_write_failed(o, errno);
            return false;
        }
        st->pos += (size_t)n;
        outgoing_account(o, (size_t)n);
    }
    stream_discard(st, st->pos);
    outgoing_estimate(o);
    return true;
}

/* The far side has said something: in post-copy, most often that it waits for a page. */
static bool outgoing_is_told(const Outgoing *o)
{
    struct pollfd p = { .fd = o->ch.fd, .events = POLLIN };

    return o->status == MIGRATION_POSTCOPY_ACTIVE && poll(&p, 1, 0) > 0;
}

/* A reader that has emptied the channel in a slice of the guest would have taken more.  A slow one
 * gets no more written ahead: the guest would stand until it had read that. */
static void outgoing_deepen(Outgoing *o)
{
    if (o->full && o->status == MIGRATION_ACTIVE && o->depth < DEPTH_MAX &&
        !channel_unsent(&o->ch)) {
        o->depth = MIN_OF(4 * o->depth, DEPTH_MAX);
        channel_set_depth(&o->ch, o->depth);
    }
    o->full = false;
}

static gboolean outgoing_pump(gint fd, GIOCondition cond, gpointer opaque)
{
    Outgoing *o = opaque;
    int64_t until = host_ns() + (machine_running(o->m) ? BURST_RUNNING_NS : BURST_NS);

    (void)fd;
    (void)cond;
    outgoing_deepen(o);
    do {
        if (!outgoing_drain(o)) break;
        if (o->yours) {
            outgoing_complete(o);
            break;
        }
        if (o->save->state == SAVE_DONE) {
            outgoing_await_answer(o);
            break;
        }
        if (outgoing_rest(o) || !outgoing_produce(o)) break;
    } while (!outgoing_is_told(o) && host_ns() < until);
    return outgoing_going(o) && o->io ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Only a socket goes both ways. */
static bool outgoing_answered(const Outgoing *o)
{
    return o->ch.socket &&
           (capability_on(o->m, "return-path") || capability_on(o->m, "postcopy-ram"));
}

/* A Stasis has accepted everything, and runs the guest at this word and not before.  Until it is
 * written the guest can go on here. */
static void outgoing_hand_over(Outgoing *o)
{
    save_ping(&o->save->st, PING_YOURS);
    o->yours = true;
    outgoing_push(o);
}

/* The far side has spoken its last word, or is gone without. */
static void outgoing_last_word(Outgoing *o, bool gone)
{
    bool written = o->save->state == SAVE_DONE && !stream_left(&o->save->st);

    if (!gone && !o->back.code && written) {
        if (o->save->postcopy || !o->back.stasis)
            outgoing_complete(o);
        else
            outgoing_hand_over(o);
    } else if (outgoing_left(o)) {
        outgoing_lost(o);
    } else {
        error_set(&o->err, "The destination %s", gone ? "has gone" : "has failed");
        outgoing_abandon(o, MIGRATION_FAILED);
    }
}

/* What the far side has said may let the next thing be written. */
static void outgoing_heard(Outgoing *o)
{
    o->heard_ns = host_ns();
    if (o->status == MIGRATION_DEVICE && o->save->postcopy && o->back.ready) {
        outgoing_accepted(o);
    } else if (o->status == MIGRATION_POSTCOPY_RECOVER && o->back.resumed) {
        outgoing_set_status(o, MIGRATION_POSTCOPY_ACTIVE);
        outgoing_push(o);
    } else if (o->questions && o->back.bitmaps == o->questions) {
        o->questions = 0;
        save_command(&o->save->st, CMD_POSTCOPY_RESUME, NULL, 0);
        outgoing_push(o);
    } else if (o->window && ram_save_urgent(o->save)) {
        outgoing_push(o);
    }
}

static gboolean outgoing_answers(gint fd, GIOCondition cond, gpointer opaque)
{
    Outgoing *o = opaque;
    uint8_t buf[4096];
    ssize_t n = read(fd, buf, sizeof(buf));

    (void)cond;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return G_SOURCE_CONTINUE;
    if (n > 0) stream_put(&o->back.in, buf, (size_t)n);
    if (n > 0 && !return_path_parse(&o->back, o->save, &o->err)) {
        if (outgoing_left(o))
            outgoing_lost(o);
        else
            outgoing_abandon(o, MIGRATION_FAILED);
        return G_SOURCE_REMOVE;
    }
    if (n > 0 && !o->back.shut) {
        outgoing_heard(o);
        return G_SOURCE_CONTINUE;
    }
    outgoing_last_word(o, !o->back.shut);
    return G_SOURCE_REMOVE;
}

static void outgoing_listen(Outgoing *o)
{
    o->answers = g_unix_fd_source_new(o->ch.fd, G_IO_IN);
    outgoing_attach(o, o->answers, G_SOURCE_FUNC(outgoing_answers));
}

/* The channel of a recovery: which pages have come? */
static gboolean outgoing_reconnected(gint fd, GIOCondition cond, gpointer opaque)
{
    Outgoing *o = opaque;

    (void)cond;
    if (o->ch.pending && !socket_connect_result(fd, o->where, &o->err)) {
        outgoing_lost(o);
        return G_SOURCE_REMOVE;
    }
    o->ch.pending = false;
    o->window_start = host_ns();
    o->window_bytes = 0;
    stream_free(&o->back.in);
    o->back = (ReturnPath){ .met = o->back.met, .stasis = o->back.stasis };
    stream_init(&o->back.in);
    o->questions = postcopy_out_recover(o->save);
    outgoing_listen(o);
    outgoing_push(o);
    return G_SOURCE_REMOVE;
}

static gboolean outgoing_connected(gint fd, GIOCondition cond, gpointer opaque)
{
    Outgoing *o = opaque;

    (void)cond;
    if (o->ch.pending && !socket_connect_result(fd, o->where, &o->err)) {
        outgoing_abandon(o, MIGRATION_FAILED);
        return G_SOURCE_REMOVE;
    }
    o->ch.pending = false;
    source_drop(&o->io);
    o->connected_ns = o->window_start = host_ns();
    o->depth = DEPTH_MIN;
    channel_set_depth(&o->ch, o->depth);
    o->save = save_begin(o->m, true, outgoing_answered(o));
    if (o->save->return_path) outgoing_listen(o);
    o->save->run_state = o->was_running ? RUN_RUNNING : RUN_PAUSED;
    outgoing_set_status(o, MIGRATION_ACTIVE);
    converge_begin(&o->converge, o->m, ram_save_stats(o->save)->total);
    o->dirty = (DirtyRate){ 0 };
    o->m->slice_ns = SLICE_NS;
    o->stall = outgoing_attach(o, g_timeout_source_new(STALL_MS), outgoing_look_for_stall);
    outgoing_window_over(o);
    return G_SOURCE_REMOVE;
}

static bool outgoing_allowed(Outgoing *o, Error *err)
{
    if (outgoing_going(o)) return error_set(err, "There's a migration process in progress");
    if (o->m->run_state == RUN_INMIGRATE)
        return error_set(err, "Guest is waiting for an incoming migration");
    if (snapshot_under_way(o->m)) return error_set(err, "A snapshot is being saved or loaded");
    if (o->m->run_state == RUN_POSTMIGRATE)
        return error_set(err, "Can't migrate the vm that was paused due to previous migration");
    return save_allowed(o->m, err);
}

static void outgoing_clear(Outgoing *o)
{
    Machine *m = o->m;

    g_free(o->where);
    save_end(o->save); /* of one that was lost */
    *o = (Outgoing){ .m = m, .ch = { .fd = -1 } };
    o->passed = !capability_on(m, "pause-before-switchover");
}

bool outgoing_start(Machine *m, const char *uri, Sink *getfd, Sink *waiter, Error *err)
{
    Outgoing *o = outgoing_get(m);
    const char *rest;
    const ChannelClass *cls = channel_find(uri, &rest);

    if (!outgoing_allowed(o, err)) return false;
    if (!cls) return error_set(err, "Parameter 'uri' expects a valid migration protocol");
    outgoing_clear(o);
    o->where = g_strdup(rest);
    o->start_ns = host_ns();
    o->was_running = machine_running(m);
    if (!cls->open_out(&o->ch, rest, getfd, &o->err)) {
        o->status = MIGRATION_FAILED;
        return error_set(err, "%s", o->err.msg);
    }
    o->waiter = waiter;
    outgoing_set_status(o, MIGRATION_SETUP);
    o->io = g_unix_fd_source_new(o->ch.fd, G_IO_OUT);
    outgoing_attach(o, o->io, G_SOURCE_FUNC(outgoing_connected));
    return true;
}

bool outgoing_resume(Machine *m, const char *uri, Sink *getfd, Sink *waiter, Error *err)
{
    Outgoing *o = outgoing_get(m);
    const char *rest;
    const ChannelClass *cls = channel_find(uri, &rest);

    if (o->status != MIGRATION_POSTCOPY_PAUSED)
        return error_set(err, "Cannot resume if there is no paused migration");
    if (!cls) return error_set(err, "Parameter 'uri' expects a valid migration protocol");
    o->ch = (Channel){ .fd = -1 };
    if (!cls->open_out(&o->ch, rest, getfd, err)) return false;
    g_free(o->where);
    o->where = g_strdup(rest);
    o->waiter = waiter;
    outgoing_set_status(o, MIGRATION_POSTCOPY_RECOVER);
    o->io = g_unix_fd_source_new(o->ch.fd, G_IO_OUT);
    outgoing_attach(o, o->io, G_SOURCE_FUNC(outgoing_reconnected));
    return true;
}

bool outgoing_pause_postcopy(Machine *m)
{
    Outgoing *o = outgoing_get(m);

    if (o->status != MIGRATION_POSTCOPY_ACTIVE) return false;
    outgoing_lost(o);
    return true;
}

void outgoing_cancel(Machine *m)
{
    Outgoing *o = outgoing_get(m);

    if (!outgoing_going(o) || outgoing_left(o) || outgoing_sealed(o) || o->yours || o->arrived)
        return;
    outgoing_abandon(o, MIGRATION_CANCELLED);
}

bool outgoing_start_postcopy(Machine *m, Error *err)
{
    Outgoing *o = outgoing_get(m);

    if (!capability_on(m, "postcopy-ram"))
        return error_set(err, "Enable postcopy with migrate_set_capability before the start of "
                              "migration");
    if (!outgoing_going(o))
        return error_set(err, "Postcopy must be started after migration has been started");
    if (capability_on(m, "block"))
        return error_set(err, "Postcopy does not carry disks that are being sent");
    if (!o->ch.socket)
        return error_set(err, "Postcopy needs a channel that is answered, such as tcp: or unix:");
    o->want_postcopy = true;
    return true;
}

bool outgoing_continue(Machine *m, const char *state, Error *err)
{
    Outgoing *o = outgoing_get(m);

    if (o->status != MIGRATION_PRE_SWITCHOVER || strcmp(state, "pre-switchover"))
        return error_set(
            err, "Migration not in expected state: %s", migration_status_name(o->status));
    o->passed = true;
    if (outgoing_give_up(o)) outgoing_window_over(o);
    return true;
}

static void outgoing_destroy(void *slot)
{
    Outgoing *o = slot;

    o->waiter = NULL;
    if (outgoing_going(o)) outgoing_close(o);
    g_free(o->where);
}

void outgoing_info(Machine *m, MigrationInfo *i)
{
    Outgoing *o = outgoing_get(m);
    int64_t end = outgoing_going(o) ? host_ns() : o->end_ns;
    bool failed = o->status == MIGRATION_FAILED || o->status == MIGRATION_CANCELLED;
    bool completed = o->status == MIGRATION_COMPLETED;

    i->error = o->status == MIGRATION_FAILED ? o->err.msg : NULL;
    if (failed) return;
    i->total_ms = (end - o->start_ns) / NS_PER_MS;
    if (o->status == MIGRATION_SETUP) return;
    i->has_times = true;
    i->downtime_ms =
        completed ? ((o->left_ns ? o->left_ns : o->end_ns) - o->stop_ns) / NS_PER_MS : -1;
    i->expected_downtime_ms = completed          ? -1
                              : o->bandwidth > 0 ? (int64_t)o->expected_downtime_ms
                                                 : (int64_t)migration_parameters(m)->downtime_limit;
    i->setup_ms = (o->connected_ns - o->start_ns) / NS_PER_MS;
    i->throttle = outgoing_going(o) ? o->converge.percent : 0;
    i->ram = o->save ? *ram_save_stats(o->save) : o->stats;
    i->remaining = o->save ? ram_save_remaining(o->save) : o->remaining;
    i->has_disk = o->save && block_save_totals(o->save, &i->disk);
    if (!i->total_ms) return;
    i->mbps = (double)i->ram.transferred * 8 / 1000 / (double)i->total_ms;
    if (outgoing_going(o)) i->dirty_pages_rate = o->dirty.per_second;
    if (outgoing_going(o)) i->pages_per_second = i->ram.pages * 1000 / (uint64_t)i->total_ms;
}
