/* SPDX-License-Identifier: MIT */
/*
 * Character device "pty": a new pseudo terminal, whose name is told on stderr.
 *
 * Connected means that somebody has the slave side open.  The kernel tells of its closing (POLLHUP
 * on the master) but not of its opening, so that is looked for ten times a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/chardev_fd.h"

enum { PTY_LOOK_MS = 100 };

typedef struct PtyChardev {
    Chardev chr;
    int fd;
    ChardevFd *src; /* while connected */
    GSource *look;  /* while not */
} PtyChardev;
#define PTY_CHARDEV(c) ((PtyChardev *)(c))

static void pty_disconnected(PtyChardev *p);
static bool pty_readable(Chardev *chr, size_t room);
static const ChardevFdOps pty_ops = { .readable = pty_readable };

static bool pty_is_open(const PtyChardev *p)
{
    struct pollfd pfd = { .fd = p->fd };

    return poll(&pfd, 1, 0) >= 0 && !(pfd.revents & POLLHUP);
}

static gboolean pty_look(gpointer opaque)
{
    PtyChardev *p = opaque;

    if (!pty_is_open(p)) return G_SOURCE_CONTINUE;
    g_source_unref(p->look);
    p->look = NULL;
    p->src = chardev_fd_new(&p->chr, p->fd, p->fd, &pty_ops);
    chardev_set_connected(&p->chr, true);
    return G_SOURCE_REMOVE;
}

static void pty_disconnected(PtyChardev *p)
{
    chardev_fd_free(p->src);
    p->src = NULL;
    p->look = g_timeout_source_new(PTY_LOOK_MS);
    g_source_set_callback(p->look, pty_look, p, NULL);
    g_source_attach(p->look, p->chr.ctx);
    chardev_set_connected(&p->chr, false);
}

static bool pty_readable(Chardev *chr, size_t room)
{
    PtyChardev *p = PTY_CHARDEV(chr);
    uint8_t buf[1024];
    ssize_t n = read(p->fd, buf, MIN_OF(room, sizeof(buf)));

    if (n > 0) {
        chardev_receive(chr, buf, (size_t)n);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    pty_disconnected(p);
    return false;
}

static bool pty_open(Chardev *chr, Options *opts, Error *err)
{
    PtyChardev *p = PTY_CHARDEV(chr);
    struct termios tio;
    char name[64];
    int slave;

    (void)opts;
    p->fd = -1;
    if (openpty(&p->fd, &slave, NULL, NULL, NULL) < 0) {
        p->fd = -1;
        return error_errno(err, errno, "Failed to create PTY");
    }
    fcntl(p->fd, F_SETFD, FD_CLOEXEC);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    if (tcgetattr(slave, &tio) == 0) {
        cfmakeraw(&tio);
        tcsetattr(slave, TCSAFLUSH, &tio);
    }
    if (ttyname_r(slave, name, sizeof(name)) != 0) snprintf(name, sizeof(name), "?");
    close(slave);
    chr->filename = g_strdup_printf("pty:%s", name);
    chr->is_terminal = true;
    fprintf(stderr, "char device redirected to %s (label %s)\n", name, chr->id);
    pty_disconnected(p);
    return true;
}

static size_t pty_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return chardev_fd_write(PTY_CHARDEV(chr)->src, buf, len);
}

static void pty_close(Chardev *chr)
{
    PtyChardev *p = PTY_CHARDEV(chr);

    chardev_fd_free(p->src);
    if (p->look) {
        g_source_destroy(p->look);
        g_source_unref(p->look);
    }
    if (p->fd >= 0) close(p->fd);
}

static const ChardevClass pty_class = {
    .name = "pty",
    .desc = "a new pseudo terminal",
    .size = sizeof(PtyChardev),
    .open = pty_open,
    .write = pty_write,
    .close = pty_close,
};
CHARDEV(pty_class);
