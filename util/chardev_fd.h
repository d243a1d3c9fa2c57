/* SPDX-License-Identifier: MIT */
/*
 * What back ends over file descriptors share: reading only while the front end has room, and
 * sending the queue once the descriptor takes bytes again.
 */
#pragma once

#include "util/chardev.h"

typedef struct ChardevFd ChardevFd; /* a GSource */

/* What a back end does instead of the plain reading. */
typedef struct ChardevFdOps {
    /* Bytes are there and the front end has room for so many; returns false to end the reading. */
    bool (*readable)(Chardev *chr, size_t room);
    /* The far side has gone, and nothing of what it sent is left to be read; NULL: found out by
     * reading, once there is room. */
    void (*hangup)(Chardev *chr);
} ChardevFdOps;

/* Watches fd (-1: nothing) for reading, out_fd (may be the same, or -1) for writing.  The owner
 * frees it with chardev_fd_free and closes the descriptors itself. */
ChardevFd *chardev_fd_new(Chardev *chr, int in_fd, int out_fd, const ChardevFdOps *ops);
void chardev_fd_free(ChardevFd *src);

/* write() as much as goes without waiting; asks for a flush where something is left.  A broken
 * descriptor swallows everything. */
size_t chardev_fd_write(ChardevFd *src, const uint8_t *buf, size_t len);

/* The descriptor took less than it was offered: flush when it has room. */
void chardev_fd_want_write(ChardevFd *src);

/* Sends what is left in the queue, waiting at most this long: before closing. */
void chardev_fd_drain(ChardevFd *src, int timeout_ms);

/* Same device, but not waited for: reopened O_NONBLOCK where it is a terminal or pipe, so that the
 * description that other processes share keeps its mode; else a duplicate.  -1 on failure. */
int chardev_fd_private(int fd, int flags);
