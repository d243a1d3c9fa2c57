/* SPDX-License-Identifier: MIT */
/*
 * libslirp's sockets on the machine's main loop.
 *
 * Before every poll libslirp says which descriptors it wants; the source keeps that set registered
 * and changes only what has changed, because each change wakes the loop.
 */
#include "net/user.h"
#include "util/bits.h"

typedef struct UserFd {
    int fd;
    GIOCondition cond;
    gpointer tag;
} UserFd;

struct UserPoll {
    GSource source;
    UserNet *u;
    GArray *registered; /* UserFd */
    GArray *wanted;     /* UserFd without tags: what libslirp asked for, by its index */
    gint64 due_us;      /* when libslirp wants to be called anyway; -1: never */
    bool soon;          /* in the next turn of the loop */
};

static GIOCondition user_poll_to_glib(int events)
{
    GIOCondition cond = 0;

    if (events & SLIRP_POLL_IN) cond |= G_IO_IN;
    if (events & SLIRP_POLL_OUT) cond |= G_IO_OUT;
    if (events & SLIRP_POLL_PRI) cond |= G_IO_PRI;
    if (events & SLIRP_POLL_ERR) cond |= G_IO_ERR;
    if (events & SLIRP_POLL_HUP) cond |= G_IO_HUP;
    return cond;
}

static int user_poll_from_glib(GIOCondition cond)
{
    int events = 0;

    if (cond & G_IO_IN) events |= SLIRP_POLL_IN;
    if (cond & G_IO_OUT) events |= SLIRP_POLL_OUT;
    if (cond & G_IO_PRI) events |= SLIRP_POLL_PRI;
    if (cond & G_IO_ERR) events |= SLIRP_POLL_ERR;
    if (cond & G_IO_HUP) events |= SLIRP_POLL_HUP;
    return events;
}

static int user_poll_add(int fd, int events, void *opaque)
{
    UserPoll *poll = opaque;
    UserFd entry = { .fd = fd, .cond = user_poll_to_glib(events) };

    g_array_append_val(poll->wanted, entry);
    return (int)poll->wanted->len - 1;
}

static UserFd *user_poll_find(GArray *list, int fd)
{
    for (guint i = 0; i < list->len; i++) {
        UserFd *entry = &g_array_index(list, UserFd, i);

        if (entry->fd == fd) return entry;
    }
    return NULL;
}

/* Makes the registered set what is wanted. */
static void user_poll_register(UserPoll *poll)
{
    for (guint i = poll->registered->len; i-- > 0;) {
        UserFd *have = &g_array_index(poll->registered, UserFd, i);

        if (user_poll_find(poll->wanted, have->fd)) continue;
        g_source_remove_unix_fd(&poll->source, have->tag);
        g_array_remove_index_fast(poll->registered, i);
    }
    for (guint i = 0; i < poll->wanted->len; i++) {
        UserFd *want = &g_array_index(poll->wanted, UserFd, i);
        UserFd *have = user_poll_find(poll->registered, want->fd);

        if (!have) {
            want->tag = g_source_add_unix_fd(&poll->source, want->fd, want->cond);
            g_array_append_val(poll->registered, *want);
        } else if (have->cond != want->cond) {
            have->cond = want->cond;
            g_source_modify_unix_fd(&poll->source, have->tag, have->cond);
        }
    }
}

static gboolean user_poll_prepare(GSource *source, gint *timeout)
{
    UserPoll *poll = (UserPoll *)source;
    uint32_t ms = UINT32_MAX;

    g_array_set_size(poll->wanted, 0);
    slirp_pollfds_fill(poll->u->slirp, &ms, user_poll_add, poll);
    user_poll_register(poll);
    /* libslirp answers from when it is asked, and the loop asks often: the earliest instant holds
     * until it has been called. */
    if (ms <= G_MAXINT) {
        gint64 now = g_source_get_time(source), due = now + (gint64)ms * 1000;

        if (poll->due_us < 0 || due < poll->due_us) poll->due_us = due;
        *timeout = (gint)MAX_OF((poll->due_us - now + 999) / 1000, 0);
    } else {
        *timeout = -1;
        poll->due_us = -1;
    }
    if (poll->soon) *timeout = 0;
    return poll->soon;
}

static gboolean user_poll_check(GSource *source)
{
    UserPoll *poll = (UserPoll *)source;

    if (poll->due_us >= 0 && g_get_monotonic_time() >= poll->due_us) return TRUE;
    for (guint i = 0; i < poll->registered->len; i++) {
        UserFd *have = &g_array_index(poll->registered, UserFd, i);

        if (g_source_query_unix_fd(source, have->tag)) return TRUE;
    }
    return FALSE;
}

static int user_poll_result(int index, void *opaque)
{
    UserPoll *poll = opaque;
    UserFd *want, *have;

    if (index < 0 || (guint)index >= poll->wanted->len) return 0;
    want = &g_array_index(poll->wanted, UserFd, index);
    have = user_poll_find(poll->registered, want->fd);
    return have ? user_poll_from_glib(g_source_query_unix_fd(&poll->source, have->tag)) : 0;
}

static gboolean user_poll_dispatch(GSource *source, GSourceFunc func, gpointer data)
{
    UserPoll *poll = (UserPoll *)source;

    (void)func;
    (void)data;
    poll->due_us = -1;
    poll->soon = false;
    slirp_pollfds_poll(poll->u->slirp, 0, user_poll_result, poll);
    return G_SOURCE_CONTINUE;
}

static void user_poll_finalize(GSource *source)
{
    UserPoll *poll = (UserPoll *)source;

    g_array_unref(poll->registered);
    g_array_unref(poll->wanted);
}

static const GSourceFuncs user_poll_funcs = {
    .prepare = user_poll_prepare,
    .check = user_poll_check,
    .dispatch = user_poll_dispatch,
    .finalize = user_poll_finalize,
};

UserPoll *user_poll_new(UserNet *u)
{
    /* GLib only reads the table */
    UserPoll *poll = (UserPoll *)g_source_new((GSourceFuncs *)&user_poll_funcs, sizeof(*poll));

    poll->u = u;
    poll->registered = g_array_new(FALSE, FALSE, sizeof(UserFd));
    poll->wanted = g_array_new(FALSE, FALSE, sizeof(UserFd));
    poll->due_us = -1;
    g_source_attach(&poll->source, u->m->ctx);
    return poll;
}

void user_poll_soon(UserPoll *poll) { poll->soon = true; }

void user_poll_free(UserPoll *poll)
{
    if (!poll) return;
    g_source_destroy(&poll->source);
    g_source_unref(&poll->source);
}
