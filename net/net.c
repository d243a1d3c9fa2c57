/* SPDX-License-Identifier: MIT */
/*
 * Ports, cables and queues: see net.h.
 *
 * Invariants:
 * 1. Being peers is mutual.
 * 2. A frame waits in the queue of the port that is to receive it, and only while that port cannot
 *    take it, is in the midst of taking another, or (a NIC) the machine is stopped.
 * 3. Frames reach a port in the order in which they were sent to it.
 */
#include "net/internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "util/bits.h"

/* A NIC whose guest reads nothing loses frames beyond this, as a switch would drop them. */
enum { NET_QUEUE_MAX = 4096 };

/* -- delivery -- */

static bool net_can_deliver(const NetPort *p)
{
    if (p->delivering || (p->is_nic && !machine_running(p->m))) return false;
    return !p->ops->can_receive || p->ops->can_receive(p->opaque);
}

static void net_deliver(NetPort *p, const uint8_t *frame, size_t len)
{
    p->delivering = true;
    p->ops->receive(p->opaque, frame, len);
    p->delivering = false;
}

void net_flush(NetPort *p)
{
    while (!g_queue_is_empty(p->queue) && net_can_deliver(p)) {
        GBytes *bytes = g_queue_pop_head(p->queue);
        gsize len;
        const uint8_t *frame = g_bytes_get_data(bytes, &len);

        net_deliver(p, frame, len);
        g_bytes_unref(bytes);
    }
}

static void net_purge(NetPort *p)
{
    GBytes *bytes;

    while ((bytes = g_queue_pop_head(p->queue))) g_bytes_unref(bytes);
}

static void net_filters_see(const NetPort *p, bool outgoing, const uint8_t *frame, size_t len)
{
    for (NetFilter *f = p->filters; f; f = f->next) f->frame(f->opaque, outgoing, frame, len);
}

void net_send(NetPort *from, const uint8_t *frame, size_t len)
{
    NetPort *to = from->peer;

    assert(len <= NET_FRAME_MAX);
    if (!to || from->link_down || to->link_down) return;
    net_filters_see(from, true, frame, len);
    net_filters_see(to, false, frame, len);
    if (g_queue_is_empty(to->queue) && net_can_deliver(to)) {
        net_deliver(to, frame, len);
        net_flush(to);
    } else if (g_queue_get_length(to->queue) < NET_QUEUE_MAX) {
        g_queue_push_tail(to->queue, g_bytes_new(frame, len));
    }
}

/* -- the machine -- */

static void net_nic_running(void *ctx, NetPort *p)
{
    (void)ctx;
    if (p->is_nic) net_flush(p);
}

/* Frames of the time line that was left do not belong into the one that was loaded. */
static void net_nic_loaded(void *ctx, NetPort *p)
{
    (void)ctx;
    if (p->is_nic) net_purge(p);
}

static void net_notify(void *opaque, MachineEvent event)
{
    Net *net = opaque;

    if (event == EVENT_RUN_STATE && machine_running(net->m)) {
        net_port_each(net->m, net_nic_running, NULL);
    } else if (event == EVENT_LOADED) {
        net_port_each(net->m, net_nic_loaded, NULL);
        announce_loaded(net);
    }
}

static void net_destroy(void *slot)
{
    Net *net = slot;

    machine_notifier_del(net->m, &net->notifier);
    announce_stop_all(net);
    g_ptr_array_free(net->announcements, TRUE);
}

Net *net_of(Machine *m)
{
    Net *net = machine_slot(m, "net", sizeof(Net), net_destroy);

    if (net->m) return net;
    net->m = m;
    net->params = (AnnounceParams){ .initial_ms = 50, .max_ms = 550, .rounds = 5, .step_ms = 100 };
    net->announcements = g_ptr_array_new();
    net->notifier = (MachineNotifier){ .notify = net_notify, .opaque = net };
    machine_notifier_add(m, &net->notifier);
    return net;
}

AnnounceParams *net_announce_params(Machine *m) { return &net_of(m)->params; }

/* -- ports -- */

static const char *net_kind(bool is_nic) { return is_nic ? "nic" : "netdev"; }

static void net_port_destroy(void *obj)
{
    NetPort *p = obj;

    if (p->peer) p->peer->peer = NULL;
    if (p->ops->destroy) p->ops->destroy(p->opaque);
    while (p->filters) {
        NetFilter *f = p->filters;

        p->filters = f->next;
        if (f->destroy) f->destroy(f->opaque);
        g_free(f->id);
        g_free(f);
    }
    net_purge(p);
    g_queue_free(p->queue);
    g_free(p->model);
    g_free(p->id);
    g_free(p);
}

static NetPort *net_port_make(
    Machine *m, const char *id, bool is_nic, const NetPortOps *ops, void *opaque, Error *err)
{
    NetPort *p = g_new0(NetPort, 1);

    p->m = m;
    p->id = g_strdup(id);
    p->ops = ops;
    p->opaque = opaque;
    p->is_nic = is_nic;
    p->queue = g_queue_new();
    if (machine_object_add(m, net_kind(is_nic), id, p, net_port_destroy, err)) return p;
    g_queue_free(p->queue);
    g_free(p->id);
    g_free(p);
    return NULL;
}

NetPort *net_port_new(Machine *m, const char *id, const NetPortOps *ops, void *opaque, Error *err)
{
    return net_port_make(m, id, false, ops, opaque, err);
}

void net_port_free(NetPort *p)
{
    if (!p) return;
    machine_object_del(p->m, net_kind(p->is_nic), p->id);
}

NetPort *net_port_find(Machine *m, const char *id)
{
    NetPort *nic = machine_object(m, "nic", id);

    return nic ? nic : machine_object(m, "netdev", id);
}

typedef struct NetEach {
    void (*fn)(void *ctx, NetPort *p);
    void *ctx;
} NetEach;

static void net_port_each_one(void *ctx, const char *id, void *obj)
{
    NetEach *each = ctx;

    (void)id;
    each->fn(each->ctx, obj);
}

void net_port_each(Machine *m, void (*fn)(void *ctx, NetPort *p), void *ctx)
{
    NetEach each = { fn, ctx };

    machine_object_each(m, "nic", net_port_each_one, &each);
    machine_object_each(m, "netdev", net_port_each_one, &each);
}

bool net_connect(NetPort *a, NetPort *b, Error *err)
{
    NetPort *taken = a->peer ? a : b->peer ? b : NULL;

    if (taken) return error_set(err, "network '%s' is in use", taken->id);
    a->peer = b;
    b->peer = a;
    return true;
}

void net_set_link(NetPort *p, bool up)
{
    p->link_down = !up;
    if (p->ops->link_changed) p->ops->link_changed(p->opaque, up);
    if (!p->peer) return;
    /* a NIC sees its carrier go whichever end of the cable was pulled */
    if (p->peer->is_nic) p->peer->link_down = !up;
    if (p->peer->ops->link_changed) p->peer->ops->link_changed(p->peer->opaque, up);
}

void net_filter_add(NetPort *p, NetFilter *f)
{
    NetFilter **at = &p->filters;

    while (*at) at = &(*at)->next;
    f->next = NULL;
    *at = f;
}

/* -- NICs -- */

bool mac_parse(const char *text, uint8_t mac[6])
{
    unsigned b[6];
    char sep, end;

    for (const char *c = text; *c; c++) {
        if (!g_ascii_isxdigit(*c) && *c != ':' && *c != '-') return false;
    }
    sep = strlen(text) > 2 && strchr(text, '-') ? '-' : ':';
    if (sscanf(text, sep == ':' ? "%2x:%2x:%2x:%2x:%2x:%2x%c" : "%2x-%2x-%2x-%2x-%2x-%2x%c", &b[0],
            &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6) {
        return false;
    }
    for (int i = 0; i < 6; i++) mac[i] = (uint8_t)b[i];
    return true;
}

typedef struct NetMacSearch {
    const uint8_t *mac;
    bool taken;
} NetMacSearch;

static void net_mac_look(void *ctx, NetPort *p)
{
    NetMacSearch *search = ctx;

    if (p->is_nic && !memcmp(p->mac, search->mac, 6)) search->taken = true;
}

void net_mac_default(Machine *m, uint8_t mac[6])
{
    static const uint8_t zero[6] = { 0 }, first[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

    if (memcmp(mac, zero, sizeof(zero)) != 0) return;
    memcpy(mac, first, sizeof(first));
    for (;; mac[5]++) {
        NetMacSearch search = { mac, false };

        net_port_each(m, net_mac_look, &search);
        if (!search.taken) return;
    }
}

/* True where the id is the class name with a number behind it: made up, not given. */
static bool net_id_is_made_up(const Device *dev)
{
    const char *id = dev->id, *cls = dev->cls->name;
    size_t n = strlen(cls);

    if (strncmp(id, cls, n)) return false;
    return id[n + strspn(id + n, ".0123456789")] == 0;
}

static char *net_nic_name(Device *dev, const char *model)
{
    if (!net_id_is_made_up(dev)) return g_strdup(dev->id);
    for (unsigned n = 0;; n++) {
        char *name = g_strdup_printf("%s.%u", model, n);

        if (!net_port_find(dev->m, name)) return name;
        g_free(name);
    }
}

NetPort *net_nic_new(Device *dev, const char *model, const uint8_t mac[6], NetPort *peer,
    const NetPortOps *ops, Error *err)
{
    char *name = net_nic_name(dev, model);
    NetPort *p;

    if (peer && peer->peer) {
        error_set(err, "Property '%s.netdev' can't take value '%s', it's in use", dev->cls->name,
            peer->id);
        g_free(name);
        return NULL;
    }
    net_of(dev->m); /* NICs are announced after loads, from the first one on */
    p = net_port_make(dev->m, name, true, ops, dev, err);
    g_free(name);
    if (!p) return NULL;
    p->model = g_strdup(model);
    memcpy(p->mac, mac, 6);
    if (peer) net_connect(p, peer, err);
    return p;
}

/* -- back ends -- */

NetPort *net_backend_create(Machine *m, Options *opts, Error *err)
{
    const char *type = options_get(opts, "type"), *id = options_get(opts, "id");
    GPtrArray *names = g_ptr_array_new();
    const NetBackend *found = NULL;
    char *made_up = NULL;
    NetPort *p = NULL;

    SET_EACH (NetBackend, b, net_backends) {
        g_ptr_array_add(names, (gpointer)b->name);
        if (type && !strcmp(b->name, type)) found = b;
    }
    if (found) {
        if (!id) id = made_up = g_strdup_printf("#net%03u", net_of(m)->next_anonymous++);
        p = found->create(m, id, opts, err);
        if (p && !options_check_used(opts, type, err)) {
            net_port_free(p);
            p = NULL;
        }
        g_free(made_up);
    } else if (type) {
        const char *near = did_you_mean(type, (const char *const *)names->pdata, names->len);

        error_set(err, "network backend '%s' is not compiled into this binary%s%s%s", type,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    } else {
        error_set(err, "Parameter 'type' is missing");
    }
    g_ptr_array_free(names, TRUE);
    return p;
}
