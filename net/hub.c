/* SPDX-License-Identifier: MIT */
/*
 * Hubs: every frame that comes in at one port goes out at all the others.  `hubport,hubid=N` makes
 * a port of hub N, with netdev=ID already connected to a back end.
 */
#include <string.h>

#include "net/internal.h"
#include "util/bits.h"

typedef struct HubPort {
    Machine *m;
    NetPort *port;
    int hub;
} HubPort;

typedef struct HubFrame {
    const HubPort *from;
    const uint8_t *frame;
    size_t len;
} HubFrame;

static const NetPortOps hub_port_ops;

static HubPort *hub_port(const NetPort *p)
{
    return p && p->ops == &hub_port_ops ? p->opaque : NULL;
}

int hub_number(const NetPort *p)
{
    HubPort *own = hub_port(p), *far = hub_port(p->peer);

    return own ? own->hub : far ? far->hub : -1;
}

static void hub_forward(void *ctx, NetPort *p)
{
    const HubFrame *f = ctx;
    HubPort *to = hub_port(p);

    if (to && to != f->from && to->hub == f->from->hub) net_send(p, f->frame, f->len);
}

static void hub_receive(void *opaque, const uint8_t *frame, size_t len)
{
    HubPort *from = opaque;
    HubFrame f = { from, frame, len };

    net_port_each(from->m, hub_forward, &f);
}

static void hub_port_info(void *opaque, GString *out)
{
    g_string_append_printf(out, "hubport connected to hub %d", ((HubPort *)opaque)->hub);
}

static void hub_port_destroy(void *opaque) { g_free(opaque); }

static const NetPortOps hub_port_ops = {
    .type = "hubport",
    .receive = hub_receive,
    .info = hub_port_info,
    .destroy = hub_port_destroy,
};

/* -- info network -- */

typedef struct HubList {
    GString *out;
    GArray *seen; /* int: hubs that have been shown */
    Machine *m;
    int hub; /* the one whose ports are being shown */
} HubList;

static void hub_list_port(void *ctx, NetPort *p)
{
    HubList *list = ctx;
    HubPort *hp = hub_port(p);

    if (!hp || hp->hub != list->hub) return;
    g_string_append_printf(list->out, " \\ %s", p->id);
    if (p->peer) {
        g_string_append_printf(
            list->out, ": %s: index=0,type=%s,", p->peer->id, p->peer->ops->type);
        if (p->peer->ops->info) p->peer->ops->info(p->peer->opaque, list->out);
        if (p->peer->is_nic) g_string_append_printf(list->out, "model=%s", p->peer->model);
    }
    g_string_append_c(list->out, '\n');
}

static void hub_list_hub(void *ctx, NetPort *p)
{
    HubList *list = ctx;
    HubPort *hp = hub_port(p);

    if (!hp) return;
    for (guint i = 0; i < list->seen->len; i++) {
        if (g_array_index(list->seen, int, i) == hp->hub) return;
    }
    g_array_append_val(list->seen, hp->hub);
    list->hub = hp->hub;
    g_string_append_printf(list->out, "hub %d\n", hp->hub);
    net_port_each(list->m, hub_list_port, list);
}

void hub_info(Machine *m, GString *out)
{
    HubList list = { .out = out, .seen = g_array_new(FALSE, FALSE, sizeof(int)), .m = m };

    net_port_each(m, hub_list_hub, &list);
    g_array_unref(list.seen);
}

/* -- creation -- */

static NetPort *hub_create(Machine *m, const char *id, Options *opts, Error *err)
{
    const char *netdev = options_get(opts, "netdev");
    NetPort *far = netdev ? machine_object(m, "netdev", netdev) : NULL;
    uint64_t hub = 0;
    HubPort *hp;

    if (!options_get(opts, "hubid")) {
        error_set(err, "Parameter 'hubid' is missing");
        return NULL;
    }
    if (!options_get_u64(opts, "hubid", &hub, err)) return NULL;
    if (hub > INT32_MAX || (netdev && !far)) {
        error_set(
            err, far || !netdev ? "'hubid' is out of range" : "netdev '%s' not found", netdev);
        return NULL;
    }
    if (far && far->peer) {
        error_set(err, "netdev '%s' is in use", netdev);
        return NULL;
    }
    hp = g_new0(HubPort, 1);
    hp->m = m;
    hp->hub = (int)hub;
    hp->port = net_port_new(m, id, &hub_port_ops, hp, err);
    if (!hp->port) {
        g_free(hp);
        return NULL;
    }
    if (far) net_connect(hp->port, far, err);
    return hp->port;
}

static const NetBackend hub_backend = {
    .name = "hubport",
    .desc = "a port of a hub: hubid=, netdev=",
    .create = hub_create,
};
NET_BACKEND(hub_backend);
