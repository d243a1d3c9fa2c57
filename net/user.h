/* SPDX-License-Identifier: MIT */
/* User networking: what its three files share. */
#pragma once

#include <libslirp.h>

#include "net/internal.h"

typedef struct UserPoll UserPoll; /* the GSource that polls for libslirp */

typedef struct UserNet {
    Machine *m;
    NetPort *port;
    Slirp *slirp;
    UserPoll *poll;
    Section *section;
    MachineNotifier notifier;
    GPtrArray *timers;   /* UserTimer, see user.c */
    GPtrArray *forwards; /* guestfwd to character devices, see user_fwd.c */
    struct in_addr net, mask;
    bool restricted;
} UserNet;

/* user_poll.c */
UserPoll *user_poll_new(UserNet *u);
void user_poll_free(UserPoll *poll);
/* libslirp is called in the next turn of the loop, whether or not a descriptor is ready. */
void user_poll_soon(UserPoll *poll);

/* user_fwd.c: one hostfwd= or guestfwd= rule. */
bool user_hostfwd(UserNet *u, const char *rule, Error *err);
bool user_guestfwd(UserNet *u, const char *rule, Error *err);
void user_forwards_free(UserNet *u);
/* Tells another instance of the same guestfwd addresses. */
void user_forwards_copy(UserNet *u, Slirp *to);

extern const NetPortOps user_port_ops;
