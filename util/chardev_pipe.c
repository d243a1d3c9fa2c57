/* SPDX-License-Identifier: MIT */
/*
 * Character device "pipe": PATH.in is read and PATH.out written where both exist, else PATH in both
 * directions.  They are opened read-write, so that neither end waits for the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/chardev_fd.h"

typedef struct PipeChardev {
    Chardev chr;
    int in_fd, out_fd;
    ChardevFd *src;
} PipeChardev;
#define PIPE_CHARDEV(c) ((PipeChardev *)(c))

enum { PIPE_FLAGS = O_RDWR | O_NONBLOCK | O_CLOEXEC, PIPE_DRAIN_MS = 200 };

static int pipe_open_end(const char *path, const char *suffix)
{
    char *name = g_strconcat(path, suffix, NULL);
    int fd = open(name, PIPE_FLAGS);

    g_free(name);
    return fd;
}

static bool pipe_open(Chardev *chr, Options *opts, Error *err)
{
    PipeChardev *p = PIPE_CHARDEV(chr);
    const char *path = options_get(opts, "path");

    p->in_fd = p->out_fd = -1;
    if (!path) return error_set(err, "chardev: pipe: no device path given");
    p->in_fd = pipe_open_end(path, ".in");
    p->out_fd = pipe_open_end(path, ".out");
    if (p->in_fd < 0 || p->out_fd < 0) {
        if (p->in_fd >= 0) close(p->in_fd);
        if (p->out_fd >= 0) close(p->out_fd);
        p->in_fd = p->out_fd = open(path, PIPE_FLAGS);
        if (p->in_fd < 0) return error_errno(err, errno, "Could not open '%s'", path);
    }
    p->src = chardev_fd_new(chr, p->in_fd, p->out_fd, NULL);
    chardev_set_connected(chr, true);
    return true;
}

static size_t pipe_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return chardev_fd_write(PIPE_CHARDEV(chr)->src, buf, len);
}

static void pipe_close(Chardev *chr)
{
    PipeChardev *p = PIPE_CHARDEV(chr);

    if (p->src) chardev_fd_drain(p->src, PIPE_DRAIN_MS);
    chardev_fd_free(p->src);
    if (p->in_fd >= 0) close(p->in_fd);
    if (p->out_fd >= 0 && p->out_fd != p->in_fd) close(p->out_fd);
}

static const ChardevClass pipe_class = {
    .name = "pipe",
    .desc = "named pipes PATH.in and PATH.out, or PATH both ways: path=",
    .implied_key = "path",
    .size = sizeof(PipeChardev),
    .open = pipe_open,
    .write = pipe_write,
    .close = pipe_close,
};
CHARDEV(pipe_class);
