/* SPDX-License-Identifier: MIT */
/* What the files of net/ share and nobody else sees. */
#pragma once

#include "net/net.h"

/* The per-machine state of this folder. */
typedef struct Net {
    Machine *m;
    MachineNotifier notifier;
    AnnounceParams params;
    GPtrArray *announcements; /* running series, see announce.c */
    unsigned next_anonymous;  /* number of the next back end without an id */
} Net;

Net *net_of(Machine *m);

/* announce.c: a load has been committed; the machine goes away. */
void announce_loaded(Net *net);
void announce_stop_all(Net *net);

/* A filter of a port; the port owns it. */
void net_filter_add(NetPort *p, NetFilter *f);

/* dump.c: is exported through net.h.  hub.c: what `info network` shows of the hubs. */
void hub_info(Machine *m, GString *out);
/* The number of the hub that p's peer belongs to, or -1. */
int hub_number(const NetPort *p);
