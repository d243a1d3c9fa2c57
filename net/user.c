/* SPDX-License-Identifier: MIT */
/*
 * User networking: a whole IPv4 and IPv6 network with DHCP, DNS, TFTP and a router, by libslirp, in
 * this process and without privileges.
 *
 * Its time is the machine's virtual clock.  Its state travels as an old-style section "slirp" that
 * libslirp writes and reads itself; open connections are host sockets and do not travel.
 */
#include "net/user.h"

#include <errno.h>
#include <string.h>

#include "util/bits.h"

/* -- libslirp's callbacks -- */

typedef struct UserTimer {
    Timer timer;
    UserNet *u;
    SlirpTimerId id;
    void *cb_opaque;
    int64_t delay_ns; /* as it was armed */
} UserTimer;

static ssize_t user_send_packet(const void *buf, size_t len, void *opaque)
{
    UserNet *u = opaque;

    if (len <= NET_FRAME_MAX) net_send(u->port, buf, len);
    return (ssize_t)len;
}

static void user_guest_error(const char *msg, void *opaque)
{
    UserNet *u = opaque;

    if (!log_on(&u->m->log, LOG_GUEST_ERRORS) || !u->m->log.guest_errors_left) return;
    u->m->log.guest_errors_left--;
    log_printf(&u->m->log, "%s: %s\n", u->port->id, msg);
}

static int64_t user_clock(void *opaque) { return clock_now(&((UserNet *)opaque)->m->clock); }

static void user_timer_fire(void *opaque)
{
    UserTimer *t = opaque;

    slirp_handle_timer(t->u->slirp, t->id, t->cb_opaque);
}

static void *user_timer_new(SlirpTimerId id, void *cb_opaque, void *opaque)
{
    UserNet *u = opaque;
    UserTimer *t = g_new0(UserTimer, 1);

    t->u = u;
    t->id = id;
    t->cb_opaque = cb_opaque;
    timer_init(&t->timer, &u->m->clock, user_timer_fire, t);
    g_ptr_array_add(u->timers, t);
    return t;
}

static void user_timer_free(void *timer, void *opaque)
{
    UserTimer *t = timer;

    timer_cancel(&t->timer);
    g_ptr_array_remove_fast(((UserNet *)opaque)->timers, t);
    g_free(t);
}

static void user_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    UserTimer *t = timer;
    int64_t expire_ns = expire_ms * NS_PER_MS;

    t->delay_ns = MAX_OF(expire_ns - user_clock(opaque), 0);
    timer_arm(&t->timer, expire_ns);
}

static void user_poll_fd(int fd, void *opaque)
{
    (void)fd; /* what is polled is asked for before every poll */
    (void)opaque;
}

static void user_wake(void *opaque) { g_main_context_wakeup(((UserNet *)opaque)->m->ctx); }

static void user_init_completed(Slirp *slirp, void *opaque) { ((UserNet *)opaque)->slirp = slirp; }

static const SlirpCb user_callbacks = {
    .send_packet = user_send_packet,
    .guest_error = user_guest_error,
    .clock_get_ns = user_clock,
    .timer_free = user_timer_free,
    .timer_mod = user_timer_mod,
    .register_poll_fd = user_poll_fd,
    .unregister_poll_fd = user_poll_fd,
    .notify = user_wake,
    .init_completed = user_init_completed,
    .timer_new_opaque = user_timer_new,
};

/* A load may have set the clock back: no timer waits longer than it was armed for. */
static void user_notify(void *opaque, MachineEvent event)
{
    UserNet *u = opaque;
    int64_t now = user_clock(u);

    if (event != EVENT_LOADED) return;
    for (guint i = 0; i < u->timers->len; i++) {
        UserTimer *t = u->timers->pdata[i];

        if (timer_armed(&t->timer) && t->timer.expire_ns > now + t->delay_ns) {
            timer_arm(&t->timer, now + t->delay_ns);
        }
    }
}

/* -- the section -- */

static ssize_t user_state_write(const void *buf, size_t len, void *opaque)
{
    stream_put(opaque, buf, len);
    return (ssize_t)len;
}

static ssize_t user_state_read(void *buf, size_t len, void *opaque)
{
    stream_get(opaque, buf, len);
    return stream_ok(opaque) ? (ssize_t)len : -1;
}

static void user_save(Stream *st, void *opaque)
{
    slirp_state_save(((UserNet *)opaque)->slirp, user_state_write, st);
}

static void user_load_into(Slirp *slirp, Stream *st, int version)
{
    int code = slirp_state_load(slirp, version, user_state_read, st);

    if (code < 0 && stream_ok(st)) stream_fail(st, "slirp: %s", g_strerror(-code));
}

/* Only libslirp knows how long its state is and what is wrong with it: a spare instance with the
 * same addresses reads it first. */
static void user_probe(Stream *st, void *opaque, int version)
{
    UserNet *u = opaque;
    UserNet spare = { .m = u->m, .port = u->port };
    SlirpConfig cfg = { .version = 4, .in_enabled = true };

    if (stream_peek(st, 0) > 0 && !u->forwards->len) {
        stream_fail(st, "slirp: the state has a forwarded connection, and there is no guestfwd=");
        return;
    }
    cfg.vnetwork = u->net;
    cfg.vnetmask = u->mask;
    cfg.vhost.s_addr = u->net.s_addr | htonl(2);
    cfg.vdhcp_start.s_addr = u->net.s_addr | htonl(15);
    cfg.vnameserver.s_addr = u->net.s_addr | htonl(3);
    spare.timers = g_ptr_array_new();
    if (slirp_new(&cfg, &user_callbacks, &spare)) {
        user_forwards_copy(u, spare.slirp);
        user_load_into(spare.slirp, st, version);
        slirp_cleanup(spare.slirp);
    } else {
        stream_fail(st, "slirp: no second instance");
    }
    while (spare.timers->len) user_timer_free(spare.timers->pdata[0], &spare);
    g_ptr_array_free(spare.timers, TRUE);
}

static void user_load(Stream *st, void *opaque, int version)
{
    user_load_into(((UserNet *)opaque)->slirp, st, version);
}

static const SectionOps user_section_ops = {
    .save = user_save,
    .probe = user_probe,
    .load = user_load,
};

/* -- the port -- */

/* Says where somebody is: an answer of ARP, or a neighbour advertisement. */
static bool user_is_address(const uint8_t *frame, size_t len)
{
    enum { ARP = 0x0806, IPV6 = 0x86dd, ICMPV6 = 58, ADVERTISEMENT = 136 };

    if (len < 55) return len >= 14 && load_be16(frame + 12) == ARP;
    return load_be16(frame + 12) == ARP ||
           (load_be16(frame + 12) == IPV6 && frame[20] == ICMPV6 && frame[54] == ADVERTISEMENT);
}

/* What waited for the guest's address goes out when libslirp is called the next time, and is
 * dropped after a second. */
static void user_receive(void *opaque, const uint8_t *frame, size_t len)
{
    UserNet *u = opaque;

    slirp_input(u->slirp, frame, (int)len);
    if (user_is_address(frame, len)) user_poll_soon(u->poll);
}

static void user_info(void *opaque, GString *out)
{
    UserNet *u = opaque;

    g_string_append_printf(
        out, "net=%s,restrict=%s", inet_ntoa(u->net), u->restricted ? "on" : "off");
}

static void user_destroy(void *opaque)
{
    UserNet *u = opaque;

    machine_notifier_del(u->m, &u->notifier);
    if (u->section) section_unregister(u->m, u->section);
    user_poll_free(u->poll);
    user_forwards_free(u);
    if (u->slirp) slirp_cleanup(u->slirp);
    while (u->timers->len) user_timer_free(u->timers->pdata[0], u);
    g_ptr_array_free(u->timers, TRUE);
    g_free(u);
}

const NetPortOps user_port_ops = {
    .type = "user",
    .receive = user_receive,
    .info = user_info,
    .destroy = user_destroy,
};

/* -- options -- */

/* "10.0.2.0", "10.0.2.0/24" or "10.0.2.0/255.255.255.0". */
static bool user_parse_net(const char *text, SlirpConfig *cfg, Error *err)
{
    char **part = g_strsplit(text, "/", 2);
    struct in_addr net;
    uint64_t bits;
    bool ok = inet_aton(part[0], &net);

    cfg->vnetmask.s_addr = htonl(0xffffff00);
    if (ok && !part[1]) {
        uint8_t top = (uint8_t)(ntohl(net.s_addr) >> 24);

        cfg->vnetmask.s_addr = htonl(top < 128 ? 0xff000000 : top < 192 ? 0xffff0000 : 0xffffff00);
    } else if (ok && strchr(part[1], '.')) {
        ok = inet_aton(part[1], &cfg->vnetmask);
    } else if (ok) {
        ok = parse_u64(part[1], &bits, NULL) && bits >= 4 && bits <= 32;
        if (ok) cfg->vnetmask.s_addr = htonl(UINT32_MAX << (32 - bits));
    }
    cfg->vnetwork.s_addr = net.s_addr & cfg->vnetmask.s_addr;
    g_strfreev(part);
    return ok || error_set(err, "failed to parse network '%s'", text);
}

/* An address inside the network: the one given, or the n-th. */
static bool user_parse_host(
    Options *o, const char *key, unsigned n, SlirpConfig *cfg, struct in_addr *out, Error *err)
{
    const char *text = options_get(o, key);

    out->s_addr = cfg->vnetwork.s_addr | htonl(n & ~ntohl(cfg->vnetmask.s_addr));
    if (text && !inet_aton(text, out)) return error_set(err, "failed to parse %s '%s'", key, text);
    if ((out->s_addr & cfg->vnetmask.s_addr) != cfg->vnetwork.s_addr) {
        return error_set(err, "%s doesn't belong to network", key);
    }
    return true;
}

static bool user_config_ipv4(Options *o, SlirpConfig *cfg, Error *err)
{
    if (!user_parse_net(options_get_or(o, "net", "10.0.2.0/24"), cfg, err)) return false;
    if (!user_parse_host(o, "host", 2, cfg, &cfg->vhost, err)) return false;
    if (!user_parse_host(o, "dhcpstart", 15, cfg, &cfg->vdhcp_start, err)) return false;
    if (!user_parse_host(o, "dns", 3, cfg, &cfg->vnameserver, err)) return false;
    if (cfg->vhost.s_addr == cfg->vnameserver.s_addr) {
        return error_set(err, "DNS must be different from host");
    }
    return true;
}

static bool user_parse_addr6(
    Options *o, const char *key, const char *fallback, struct in6_addr *out, Error *err)
{
    const char *text = options_get_or(o, key, fallback);

    return inet_pton(AF_INET6, text, out) == 1 ||
           error_set(err, "failed to parse %s '%s'", key, text);
}

/* Host and name server are ::2 and ::3 of the prefix where they are not given. */
static bool user_config_ipv6(Options *o, SlirpConfig *cfg, Error *err)
{
    char **part = g_strsplit(options_get_or(o, "ipv6-net", "fec0::/64"), "/", 2);
    char host[INET6_ADDRSTRLEN], dns[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    uint64_t bits = 64;
    bool ok = inet_pton(AF_INET6, part[0], &cfg->vprefix_addr6) == 1 &&
              (!part[1] || parse_u64(part[1], &bits, NULL)) && bits <= 126;

    g_strfreev(part);
    if (!ok) return error_set(err, "failed to parse ipv6-net");
    cfg->vprefix_len = (uint8_t)bits;
    addr = cfg->vprefix_addr6;
    addr.s6_addr[15] |= 2;
    inet_ntop(AF_INET6, &addr, host, sizeof(host));
    addr.s6_addr[15] |= 1;
    inet_ntop(AF_INET6, &addr, dns, sizeof(dns));
    return user_parse_addr6(o, "ipv6-host", host, &cfg->vhost6, err) &&
           user_parse_addr6(o, "ipv6-dns", dns, &cfg->vnameserver6, err);
}

/* Every value of a key that may be given several times; NULL-terminated, the texts belong to o. */
static const char **user_all(Options *o, const char *key)
{
    GPtrArray *list = g_ptr_array_new();

    options_get(o, key);
    for (guint i = 0; i < o->entries->len; i++) {
        OptionsEntry *e = o->entries->pdata[i];

        if (!strcmp(e->key, key)) g_ptr_array_add(list, e->value);
    }
    g_ptr_array_add(list, NULL);
    return (const char **)g_ptr_array_free(list, FALSE);
}

static bool user_config(Options *o, SlirpConfig *cfg, Error *err)
{
    bool restricted = false;

    *cfg = (SlirpConfig){ .version = 4, .in_enabled = true, .in6_enabled = true };
    if (!options_get_bool(o, "restrict", &restricted, err)) return false;
    if (!options_get_bool(o, "ipv4", &cfg->in_enabled, err)) return false;
    if (!options_get_bool(o, "ipv6", &cfg->in6_enabled, err)) return false;
    cfg->restricted = restricted;
    cfg->vhostname = options_get(o, "hostname");
    cfg->vdomainname = options_get(o, "domainname");
    cfg->tftp_server_name = options_get(o, "tftp-server-name");
    cfg->tftp_path = options_get(o, "tftp");
    cfg->bootfile = options_get(o, "bootfile");
    if (cfg->bootfile && strlen(cfg->bootfile) >= 128) {
        return error_set(err, "'bootfile' is at most 127 bytes");
    }
    if (cfg->vdomainname && strlen(cfg->vdomainname) > 255) {
        return error_set(err, "'domainname' is at most 255 bytes");
    }
    if (cfg->tftp_server_name && strlen(cfg->tftp_server_name) > 255) {
        return error_set(err, "'tftp-server-name' is at most 255 bytes");
    }
    return user_config_ipv4(o, cfg, err) && user_config_ipv6(o, cfg, err);
}

static bool user_rules(UserNet *u, Options *o, const char *key,
    bool (*add)(UserNet *u, const char *rule, Error *err), Error *err)
{
    const char **rules = user_all(o, key);
    bool ok = true;

    for (const char **r = rules; ok && *r; r++) ok = add(u, *r, err);
    g_free(rules);
    return ok;
}

static bool user_start(UserNet *u, Options *opts, const SlirpConfig *cfg, Error *err)
{
    Section section = { .idstr = "slirp", .instance = (uint32_t)INSTANCE_ANY, .alias_id = -1 };

    u->slirp = slirp_new(cfg, &user_callbacks, u);
    if (!u->slirp) return error_set(err, "libslirp refuses this configuration");
    section.version = slirp_state_version();
    section.ops = &user_section_ops;
    section.opaque = u;
    u->section = section_register(u->m, NULL, &section, err);
    if (!u->section) return false;
    u->notifier = (MachineNotifier){ .notify = user_notify, .opaque = u };
    machine_notifier_add(u->m, &u->notifier);
    u->poll = user_poll_new(u);
    return user_rules(u, opts, "hostfwd", user_hostfwd, err) &&
           user_rules(u, opts, "guestfwd", user_guestfwd, err);
}

static NetPort *user_create(Machine *m, const char *id, Options *opts, Error *err)
{
    SlirpConfig cfg;
    UserNet *u;

    if (!user_config(opts, &cfg, err)) return NULL;
    cfg.vdnssearch = user_all(opts, "dnssearch");
    u = g_new0(UserNet, 1);
    u->m = m;
    u->timers = g_ptr_array_new();
    u->forwards = g_ptr_array_new();
    u->net = cfg.vnetwork;
    u->mask = cfg.vnetmask;
    u->restricted = cfg.restricted;
    u->port = net_port_new(m, id, &user_port_ops, u, err);
    if (!u->port) {
        user_destroy(u);
        u = NULL;
    } else if (!user_start(u, opts, &cfg, err)) {
        net_port_free(u->port);
        u = NULL;
    }
    g_free(cfg.vdnssearch);
    return u ? u->port : NULL;
}

static const NetBackend user_backend = {
    .name = "user",
    .desc = "a network in this process, by libslirp: DHCP, DNS, TFTP, hostfwd=, guestfwd=",
    .create = user_create,
};
NET_BACKEND(user_backend);
