/* SPDX-License-Identifier: MIT */
/*
 * Networks.  A NetPort is one end of a cable: a NIC's, or a back end's (user, socket ...).  Two
 * ports that are peers exchange Ethernet frames without FCS.  A peer that cannot take a frame now
 * has it queued until it calls net_flush.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/machine.h"
#include "util/error.h"
#include "util/options.h"
#include "util/registry.h"

enum { NET_FRAME_MAX = 65536 + 64, NET_FRAME_MIN = 60 };

typedef struct NetPort NetPort;

typedef struct NetPortOps {
    const char *type;                  /* "nic", "user" ... */
    bool (*can_receive)(void *opaque); /* NULL: always */
    void (*receive)(void *opaque, const uint8_t *frame, size_t len);
    void (*link_changed)(void *opaque, bool up);
    void (*info)(void *opaque, GString *out); /* what `info network` shows behind "type=..," */
    void (*destroy)(void *opaque);
} NetPortOps;

/* Sees the frames of a port (filter-dump). */
typedef struct NetFilter NetFilter;
struct NetFilter {
    /* outgoing: the port sends it (towards its peer). */
    void (*frame)(void *opaque, bool outgoing, const uint8_t *frame, size_t len);
    void (*destroy)(void *opaque);
    void *opaque;
    char *id;
    NetFilter *next;
};

struct NetPort {
    Machine *m;
    char *id;
    const NetPortOps *ops;
    void *opaque;
    NetPort *peer;
    char *model;    /* NICs: "ne2k_isa" */
    uint8_t mac[6]; /* NICs: the address that is announced and listed */
    bool is_nic;
    bool link_down;
    bool delivering; /* its receive is running: what comes meanwhile is queued */
    GQueue *queue;   /* frames (GBytes) waiting for this port to receive */
    NetFilter *filters;
};

/* Makes a port and adds it to the machine's list; id is copied, must be free. */
NetPort *net_port_new(Machine *m, const char *id, const NetPortOps *ops, void *opaque, Error *err);
void net_port_free(NetPort *p);
NetPort *net_port_find(Machine *m, const char *id);
void net_port_each(Machine *m, void (*fn)(void *ctx, NetPort *p), void *ctx);

/* Connects two ports that have no peer yet. */
bool net_connect(NetPort *a, NetPort *b, Error *err);
/* Pulls or plugs the cable of a port (set_link). */
void net_set_link(NetPort *p, bool up);

/* Fills an all-zero address with the next free one of 52:54:00:12:34:56 ... */
void net_mac_default(Machine *m, uint8_t mac[6]);

/* A NIC's end: connects to peer (which may be NULL: no cable).  Named after the device, or
 * "model.N" where the device's id was made up.  Free it with net_port_free in unrealize. */
NetPort *net_nic_new(Device *dev, const char *model, const uint8_t mac[6], NetPort *peer,
    const NetPortOps *ops, Error *err);

/* from sends a frame to its peer (through the filters of both).  A NIC gets frames only while the
 * machine runs; a frame may be answered, and the answer received, before this returns. */
void net_send(NetPort *from, const uint8_t *frame, size_t len);
/* p can receive again: delivers what was queued for it. */
void net_flush(NetPort *p);

/* -- back ends: one file each -- */
typedef struct NetBackend {
    const char *name; /* of -netdev */
    const char *desc;
    NetPort *(*create)(Machine *m, const char *id, Options *opts, Error *err);
} NetBackend;
#define NET_BACKEND(b) SET_ADD(net_backends, b)
SET_DECLARE(net_backends);

/* -netdev type,id=x,... */
NetPort *net_backend_create(Machine *m, Options *opts, Error *err);

/* -- announcement (RARP), see net/announce.c -- */
typedef struct AnnounceParams {
    uint32_t initial_ms, max_ms, rounds, step_ms;
} AnnounceParams;
/* The machine's parameters (migrate_set_parameter announce-*): defaults 50, 550, 5, 100. */
AnnounceParams *net_announce_params(Machine *m);
/* Starts a series from every NIC (or the ones in the comma list); host real time. */
void net_announce(Machine *m, const AnnounceParams *params, const char *only_nic);
/* The same under a name (NULL: the series of loads): a running series of that name starts over. */
void net_announce_named(
    Machine *m, const AnnounceParams *params, const char *only_nics, const char *name);

/* Reads "52:54:00:12:34:56"; false on anything else. */
bool mac_parse(const char *text, uint8_t mac[6]);
