/* SPDX-License-Identifier: MIT */
/*
 * Where a stream comes from or goes to: one file per kind of URI, "kind:rest".  All descriptors are
 * non-blocking.
 */
#pragma once

#include "core/command.h"
#include "core/machine.h"

typedef struct Channel {
    int fd;
    bool pending;   /* out: connected once fd is writable; see socket_connect_result */
    bool listening; /* in: fd gives connections */
    bool socket;    /* the far side can close, or answer */
    GPid child;     /* exec: */
} Channel;

typedef struct ChannelClass {
    const char *name, *form; /* what stands behind "name:", for help */
    /* rest: what stands behind "name:".  getfd: gives up a named descriptor, or NULL. */
    bool (*open_out)(Channel *ch, const char *rest, Sink *getfd, Error *err);
    bool (*open_in)(Channel *ch, const char *rest, Sink *getfd, Error *err);
} ChannelClass;

#define CHANNEL(c) SET_ADD(channels, c)
SET_DECLARE(channels);

/* Finds the kind of uri; the error names the ones that there are. */
const ChannelClass *channel_find(const char *uri, const char **rest);
/* Closes fd; the child of exec: goes on until it sees the end. */
void channel_close(Channel *ch);
/* About how many bytes may be written before a far side on this host reads; elsewhere nothing
 * changes. */
void channel_set_depth(Channel *ch, int bytes);
/* Bytes written that the far side's host, or a local far side, has not taken; 0 where that is not
 * known. */
int channel_unsent(const Channel *ch);
/* The child has been told the end: true with *ok once it has gone. */
bool channel_child_gone(Channel *ch, bool *ok);
