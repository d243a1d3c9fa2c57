/* SPDX-License-Identifier: MIT */
/*
 * Self-announcement: after a load the machine may hang on another switch port, so every NIC sends
 * frames from which switches learn where its address is now.  Source: RFC 903 (reverse ARP); the
 * frame is a request for the sender's own protocol address.
 *
 * A series has some rounds: the first at once, then after initial, initial + step, initial + 2 step
 * ... milliseconds, at most max.  Time is the host's, since the guest may be stopped.  A series is
 * an object of its own: any number may run, one after the other or at once.
 */
#include <string.h>

#include "core/qmp.h"
#include "net/internal.h"
#include "util/bits.h"

enum {
    ANNOUNCE_FRAME = 60,
    ETHERTYPE_RARP = 0x8035,
    RARP_ETHERNET = 1,
    RARP_IPV4 = 0x0800,
    RARP_REQUEST_REVERSE = 3,
};

typedef struct Announcement {
    Net *net;
    char *name;  /* NULL: the one that loads start */
    char **nics; /* ids, or NULL: all */
    AnnounceParams params;
    uint32_t sent;     /* rounds */
    int64_t start_us;  /* host monotonic */
    uint64_t delay_ms; /* of the next round, from the start */
    GSource *timer;
} Announcement;

static void announce_frame(uint8_t frame[ANNOUNCE_FRAME], const uint8_t mac[6])
{
    memset(frame, 0, ANNOUNCE_FRAME);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, mac, 6);
    store_be16(frame + 12, ETHERTYPE_RARP);
    store_be16(frame + 14, RARP_ETHERNET);
    store_be16(frame + 16, RARP_IPV4);
    frame[18] = 6; /* bytes of a hardware address, and of a protocol address */
    frame[19] = 4;
    store_be16(frame + 20, RARP_REQUEST_REVERSE);
    memcpy(frame + 22, mac, 6);
    memcpy(frame + 32, mac, 6);
}

static void announce_nic(void *ctx, NetPort *p)
{
    const Announcement *a = ctx;
    uint8_t frame[ANNOUNCE_FRAME];

    if (!p->is_nic || (a->nics && !g_strv_contains((const char *const *)a->nics, p->id))) return;
    announce_frame(frame, p->mac);
    net_send(p, frame, sizeof(frame));
}

static void announce_end(Announcement *a)
{
    g_ptr_array_remove(a->net->announcements, a);
    if (a->timer) {
        g_source_destroy(a->timer);
        g_source_unref(a->timer);
    }
    g_strfreev(a->nics);
    g_free(a->name);
    g_free(a);
}

static gboolean announce_round(gpointer opaque);

/* Rounds are timed from the start of the series, so that late ones do not delay the rest. */
static void announce_arm(Announcement *a)
{
    uint64_t gap_ms = a->params.initial_ms + (uint64_t)(a->sent - 1) * a->params.step_ms;

    a->delay_ms += MIN_OF(gap_ms, (uint64_t)a->params.max_ms);
    if (a->timer) g_source_unref(a->timer);
    a->timer = g_timeout_source_new(0);
    g_source_set_ready_time(a->timer, a->start_us + (int64_t)a->delay_ms * 1000);
    g_source_set_callback(a->timer, announce_round, a, NULL);
    g_source_attach(a->timer, a->net->m->ctx);
}

static gboolean announce_round(gpointer opaque)
{
    Announcement *a = opaque;

    a->sent++;
    net_port_each(a->net->m, announce_nic, a);
    if (a->sent < a->params.rounds) {
        announce_arm(a);
    } else {
        announce_end(a);
    }
    return G_SOURCE_REMOVE;
}

void net_announce_named(
    Machine *m, const AnnounceParams *params, const char *only_nics, const char *name)
{
    Net *net = net_of(m);
    Announcement *a;

    for (guint i = 0; i < net->announcements->len; i++) {
        a = net->announcements->pdata[i];
        if (g_strcmp0(a->name, name)) continue;
        announce_end(a);
        break;
    }
    if (!params->rounds) return;
    a = g_new0(Announcement, 1);
    a->net = net;
    a->name = g_strdup(name);
    a->nics = only_nics ? g_strsplit(only_nics, ",", -1) : NULL;
    a->params = *params;
    a->start_us = g_get_monotonic_time();
    g_ptr_array_add(net->announcements, a);
    announce_round(a);
}

void net_announce(Machine *m, const AnnounceParams *params, const char *only_nic)
{
    net_announce_named(m, params, only_nic, NULL);
}

void announce_loaded(Net *net) { net_announce(net->m, &net->params, NULL); }

void announce_stop_all(Net *net)
{
    while (net->announcements->len) announce_end(net->announcements->pdata[0]);
}

static void announce_self_run(CommandCall *call, Error *err)
{
    const char *name = command_text(call, "id");

    (void)err;
    net_announce_named(
        call->m, net_announce_params(call->m), command_text(call, "interfaces"), name ? name : "");
}

COMMAND(announce_self, .name = "announce_self", .args = "interfaces:s?,id:s?",
    .usage = "[interfaces] [id]",
    .help = "tell the switches where the NICs (all, or a comma list) are, by RARP frames",
    .run = announce_self_run);

/* A parameter of announce-self, which must fit its type. */
static bool announce_number(const QmpCall *call, const char *name, uint32_t *value, Error *err)
{
    int64_t given = qmp_int(call, name, 0);

    if (given < 0 || given > UINT32_MAX) return qmp_expects(name, "a 32-bit number", err);
    *value = (uint32_t)given;
    return true;
}

/* The names of a list, separated by commas; NULL where there are none. */
static char *announce_interfaces(const QmpCall *call, Error *err)
{
    const json_t *list = json_object_get(call->args, "interfaces"), *e;
    GString *names = g_string_new(NULL);
    size_t i;

    json_array_foreach (list, i, e) {
        if (json_is_string(e)) {
            g_string_append_printf(names, "%s%s", i ? "," : "", json_string_value(e));
        } else {
            error_set(err, "Invalid parameter type for 'interfaces[%zu]', expected: string", i);
        }
    }
    return g_string_free(names, !json_array_size(list));
}

static json_t *announce_self_qmp_run(QmpCall *call, Error *err)
{
    const char *id = qmp_text(call, "id");
    AnnounceParams p;
    char *names = announce_interfaces(call, err);

    if (!error_is_set(err) && announce_number(call, "initial", &p.initial_ms, err) &&
        announce_number(call, "max", &p.max_ms, err) &&
        announce_number(call, "rounds", &p.rounds, err) &&
        announce_number(call, "step", &p.step_ms, err)) {
        net_announce_named(call->m, &p, names, id ? id : "");
    }
    g_free(names);
    return NULL;
}
QMP_COMMAND(announce_self, .name = "announce-self",
    .args = "initial:i,max:i,rounds:i,step:i,interfaces:a?,id:s?", .run = announce_self_qmp_run);
