/* SPDX-License-Identifier: MIT */
/*
 * A GSource over a character device's descriptors: see chardev_fd.h.
 *
 * The set of polled descriptors is decided before every poll from what the front end can take and
 * what is queued, so no event is needed when either changes.
 */
#include "util/chardev_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bits.h"

enum { CHARDEV_READ_MAX = 4096 };

struct ChardevFd {
    GSource source;
    Chardev *chr;
    const ChardevFdOps *ops;
    int in_fd, out_fd;
    gpointer in_tag, out_tag; /* NULL while not polled */
    GIOCondition in_cond;     /* what in_tag polls for */
    bool want_write;
    bool leftover; /* the far side has gone, but what it sent has not been read */
};

static void chardev_fd_poll(GSource *source, gpointer *tag, int fd, GIOCondition cond)
{
    if (*tag) g_source_remove_unix_fd(source, *tag);
    *tag = cond ? g_source_add_unix_fd(source, fd, cond) : NULL;
}

/* Without room only the end of a connection is of interest. */
static GIOCondition chardev_fd_in_cond(ChardevFd *src)
{
    if (src->in_fd < 0) return 0;
    if (chardev_can_receive(src->chr)) {
        src->leftover = false;
        return G_IO_IN | G_IO_HUP | G_IO_ERR;
    }
    if (!src->ops || !src->ops->hangup || src->leftover) return 0;
    return G_IO_HUP | G_IO_ERR | (GIOCondition)POLLRDHUP; /* passed on to poll() as it is */
}

static gboolean chardev_fd_prepare(GSource *source, gint *timeout)
{
    ChardevFd *src = (ChardevFd *)source;
    GIOCondition in = chardev_fd_in_cond(src);

    *timeout = -1;
    if (in != src->in_cond) chardev_fd_poll(source, &src->in_tag, src->in_fd, in);
    src->in_cond = in;
    if (src->want_write != !!src->out_tag) {
        chardev_fd_poll(
            source, &src->out_tag, src->out_fd, src->want_write ? G_IO_OUT | G_IO_ERR : 0);
    }
    return FALSE;
}

static bool chardev_fd_ready(GSource *source, gpointer tag)
{
    return tag && g_source_query_unix_fd(source, tag);
}

static gboolean chardev_fd_check(GSource *source)
{
    ChardevFd *src = (ChardevFd *)source;

    return chardev_fd_ready(source, src->in_tag) || chardev_fd_ready(source, src->out_tag);
}

/* The default reading; false at the end of the file. */
static bool chardev_fd_read(ChardevFd *src, size_t room)
{
    uint8_t buf[CHARDEV_READ_MAX];
    ssize_t n = read(src->in_fd, buf, MIN_OF(room, sizeof(buf)));

    if (n > 0) chardev_receive(src->chr, buf, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* The far side has gone while there is no room. */
static void chardev_fd_hung_up(ChardevFd *src)
{
    uint8_t byte;

    if (recv(src->in_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
        src->leftover = true;
    } else {
        src->ops->hangup(src->chr);
    }
}

static void chardev_fd_input(ChardevFd *src)
{
    size_t room = chardev_can_receive(src->chr);
    bool more;

    if (!(src->in_cond & G_IO_IN)) {
        chardev_fd_hung_up(src);
        return;
    }
    if (!room) return;
    more = src->ops ? src->ops->readable(src->chr, room) : chardev_fd_read(src, room);
    if (!more && !g_source_is_destroyed(&src->source)) src->in_fd = -1;
}

static gboolean chardev_fd_dispatch(GSource *source, GSourceFunc func, gpointer data)
{
    ChardevFd *src = (ChardevFd *)source;

    (void)func;
    (void)data;
    if (chardev_fd_ready(source, src->out_tag)) {
        src->want_write = false;
        chardev_flush(src->chr);
    }
    if (!g_source_is_destroyed(source) && chardev_fd_ready(source, src->in_tag)) {
        chardev_fd_input(src);
    }
    return G_SOURCE_CONTINUE; /* where it was destroyed meanwhile, that holds */
}

static const GSourceFuncs chardev_fd_funcs = {
    .prepare = chardev_fd_prepare,
    .check = chardev_fd_check,
    .dispatch = chardev_fd_dispatch,
};

ChardevFd *chardev_fd_new(Chardev *chr, int in_fd, int out_fd, const ChardevFdOps *ops)
{
    /* GLib only reads the table */
    ChardevFd *src = (ChardevFd *)g_source_new((GSourceFuncs *)&chardev_fd_funcs, sizeof(*src));

    src->chr = chr;
    src->ops = ops;
    src->in_fd = in_fd;
    src->out_fd = out_fd;
    g_source_attach(&src->source, chr->ctx);
    return src;
}

void chardev_fd_free(ChardevFd *src)
{
    if (!src) return;
    g_source_destroy(&src->source);
    g_source_unref(&src->source);
}

void chardev_fd_want_write(ChardevFd *src) { src->want_write = true; }

size_t chardev_fd_write(ChardevFd *src, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(src->out_fd, buf + done, len - done);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            chardev_fd_want_write(src);
            break;
        }
        if (n < 0) return len;
        done += (size_t)n;
    }
    return done;
}

void chardev_fd_drain(ChardevFd *src, int timeout_ms)
{
    gint64 end = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

    while (src->chr->connected && src->chr->out->len) {
        struct pollfd pfd = { .fd = src->out_fd, .events = POLLOUT };
        gint64 left = (end - g_get_monotonic_time()) / 1000;

        if (left <= 0 || poll(&pfd, 1, (int)left) == 0) return;
        chardev_flush(src->chr);
    }
}

int chardev_fd_private(int fd, int flags)
{
    char path[32];
    struct stat st;
    int copy = -1;

    if (fstat(fd, &st) < 0) return -1;
    if (isatty(fd) || S_ISFIFO(st.st_mode)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        copy = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    return copy >= 0 ? copy : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}
