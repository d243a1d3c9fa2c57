/* SPDX-License-Identifier: MIT */
/*
 * User networking: ports of the host that lead into the guest (hostfwd), addresses of the guest's
 * network that lead to the host (guestfwd), and the monitor's commands about them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "net/user.h"
#include "util/bits.h"
#include "util/chardev.h"

/* -- hostfwd: PROTOCOL:[HOST]:PORT-[GUEST]:PORT -- */

typedef struct UserRule {
    bool udp;
    struct in_addr host, guest;
    int host_port, guest_port;
} UserRule;

/* The text up to sep, moving *p behind it; NULL where there is no sep.  g_free it. */
static char *user_field(const char **p, char sep)
{
    const char *end = strchr(*p, sep);
    char *text;

    if (!end) return NULL;
    text = g_strndup(*p, (gsize)(end - *p));
    *p = end + 1;
    return text;
}

static bool user_protocol(const char **p, bool *udp, const char **why)
{
    char *text = user_field(p, ':');
    bool ok = text && (!*text || !strcmp(text, "tcp") || !strcmp(text, "udp"));

    *udp = ok && !strcmp(text, "udp");
    *why = text ? "Bad protocol name" : "No : separators";
    g_free(text);
    return ok;
}

static bool user_address(const char **p, struct in_addr *addr, const char *what, const char **why)
{
    char *text = user_field(p, ':');
    bool ok = text && (!*text || inet_aton(text, addr));

    *why = what;
    g_free(text);
    return ok;
}

static bool user_port(const char *text, int lowest, int *port)
{
    char *end;
    long n = strtol(text, &end, 0);

    *port = (int)n;
    return *text && !*end && n >= lowest && n <= 65535;
}

/* The host's half, up to (and with) the '-' or the end. */
static bool user_host_half(const char **p, char sep, UserRule *r, const char **why)
{
    char *text;
    bool ok;

    memset(r, 0, sizeof(*r));
    if (!user_protocol(p, &r->udp, why)) return false;
    if (!user_address(p, &r->host, "Bad host address", why)) return false;
    text = sep ? user_field(p, sep) : g_strdup(*p);
    *why = text ? "Bad host port" : "Bad host port separator";
    ok = text && user_port(text, 0, &r->host_port);
    g_free(text);
    return ok;
}

static bool user_rule(const char *text, UserRule *r, const char **why)
{
    const char *p = text;

    if (!user_host_half(&p, '-', r, why)) return false;
    if (!user_address(&p, &r->guest, "Bad guest address", why)) return false;
    *why = "Bad guest port";
    return user_port(p, 1, &r->guest_port);
}

bool user_hostfwd(UserNet *u, const char *rule, Error *err)
{
    const char *why;
    UserRule r;

    if (!user_rule(rule, &r, &why)) {
        return error_set(err, "Invalid host forwarding rule '%s' (%s)", rule, why);
    }
    if (slirp_add_hostfwd(u->slirp, r.udp, r.host, r.host_port, r.guest, r.guest_port) < 0) {
        return error_errno(err, errno, "Could not set up host forwarding rule '%s'", rule);
    }
    return true;
}

/* -- guestfwd: tcp:ADDRESS:PORT-cmd:COMMAND, or -CHARDEV -- */

typedef struct UserForward {
    UserNet *u;
    struct in_addr server;
    int port;
    Chardev *chr;
    bool owned; /* made from the text, not an id of -chardev */
} UserForward;

static ssize_t user_forward_write(const void *buf, size_t len, void *opaque)
{
    UserForward *f = opaque;

    chardev_write(f->chr, buf, len);
    return (ssize_t)len;
}

static size_t user_forward_can_receive(void *opaque)
{
    UserForward *f = opaque;

    return slirp_socket_can_recv(f->u->slirp, f->server, f->port);
}

static void user_forward_receive(void *opaque, const uint8_t *buf, size_t len)
{
    UserForward *f = opaque;

    slirp_socket_recv(f->u->slirp, f->server, f->port, buf, (int)len);
}

static const ChardevFront user_forward_front = {
    .can_receive = user_forward_can_receive,
    .receive = user_forward_receive,
};

static void user_forward_free(UserForward *f)
{
    chardev_attach(f->chr, NULL, f);
    if (f->owned) chardev_free(f->chr);
    g_free(f);
}

static bool user_forward_chardev(UserNet *u, const char *target, UserForward tmpl, Error *err)
{
    UserForward *f = g_new(UserForward, 1);
    char *id = g_strdup_printf("guestfwd.tcp.%d", tmpl.port);

    *f = tmpl;
    f->u = u;
    f->chr = machine_object(u->m, "chardev", target);
    f->owned = !f->chr;
    if (!f->chr) f->chr = chardev_from_text(u->m->ctx, id, target, err);
    g_free(id);
    if (!f->chr) {
        g_free(f);
        return error_prefix(err, "could not open guest forwarding device '%s'", target);
    }
    if (slirp_add_guestfwd(u->slirp, user_forward_write, f, &f->server, f->port) < 0) {
        if (f->owned) chardev_free(f->chr);
        g_free(f);
        return error_set(err, "could not set up guest forwarding to '%s'", target);
    }
    g_ptr_array_add(u->forwards, f);
    chardev_attach(f->chr, &user_forward_front, f);
    return true;
}

bool user_guestfwd(UserNet *u, const char *rule, Error *err)
{
    const char *p = rule, *why;
    UserForward f = { 0 };
    bool udp, ok;
    char *port;

    ok = user_protocol(&p, &udp, &why) && !udp && user_address(&p, &f.server, "", &why);
    port = ok ? user_field(&p, '-') : NULL;
    ok = port && user_port(port, 1, &f.port) && *p;
    g_free(port);
    if (!ok) return error_set(err, "Invalid guest forwarding rule '%s'", rule);
    if (!g_str_has_prefix(p, "cmd:")) return user_forward_chardev(u, p, f, err);
    if (slirp_add_exec(u->slirp, p + 4, &f.server, f.port) == 0) return true;
    return error_set(err, "Conflicting/invalid host:port in guest forwarding rule '%s'", rule);
}

void user_forwards_copy(UserNet *u, Slirp *to)
{
    for (guint i = 0; i < u->forwards->len; i++) {
        UserForward *f = u->forwards->pdata[i];

        slirp_add_guestfwd(to, user_forward_write, f, &f->server, f->port);
    }
}

void user_forwards_free(UserNet *u)
{
    for (guint i = 0; i < u->forwards->len; i++) user_forward_free(u->forwards->pdata[i]);
    g_ptr_array_free(u->forwards, TRUE);
}

/* -- commands -- */

static void user_first(void *ctx, NetPort *p)
{
    UserNet **found = ctx;

    if (!*found && p->ops == &user_port_ops) *found = p->opaque;
}

/* The user network of a command: the one named, or the first. */
static UserNet *user_named(Machine *m, const char *id, Error *err)
{
    NetPort *p = id ? machine_object(m, "netdev", id) : NULL;
    UserNet *u = NULL;

    if (!id) net_port_each(m, user_first, &u);
    if (p && p->ops == &user_port_ops) u = p->opaque;
    if (u) return u;
    if (id) {
        error_set(err,
            p ? "invalid host forwarding on a network of another type '%s'"
              : "unrecognized netdev id '%s'",
            id);
    } else {
        error_set(err, "no user mode network");
    }
    return NULL;
}

static void hostfwd_add_run(CommandCall *call, Error *err)
{
    const char *first = command_text(call, "arg1"), *second = command_text(call, "arg2");
    UserNet *u = user_named(call->m, second ? first : NULL, err);

    if (u) user_hostfwd(u, second ? second : first, err);
}

static void hostfwd_remove_run(CommandCall *call, Error *err)
{
    const char *first = command_text(call, "arg1"), *second = command_text(call, "arg2");
    UserNet *u = user_named(call->m, second ? first : NULL, err);
    const char *rule = second ? second : first, *p = rule, *why;
    UserRule r;

    if (!u) return;
    if (!user_host_half(&p, 0, &r, &why)) {
        error_set(err, "invalid format");
        return;
    }
    sink_printf(call->out, "host forwarding rule for %s %s\n", rule,
        slirp_remove_hostfwd(u->slirp, r.udp, r.host, r.host_port) ? "not found" : "removed");
}

static void usernet_show(void *ctx, NetPort *p)
{
    CommandCall *call = ctx;
    int hub = hub_number(p);
    char *info;

    if (p->ops != &user_port_ops) return;
    info = slirp_connection_info(((UserNet *)p->opaque)->slirp);
    if (hub >= 0) {
        sink_printf(call->out, "Hub %d (%s):\n%s", hub, p->id, info);
    } else {
        sink_printf(call->out, "%s:\n%s", p->id, info);
    }
    g_free(info);
}

static void usernet_run(CommandCall *call, Error *err)
{
    (void)err;
    net_port_each(call->m, usernet_show, call);
}

COMMAND(hostfwd_add, .name = "hostfwd_add", .args = "arg1:s,arg2:s?",
    .usage = "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
    .help = "let a port of the host lead into the guest", .run = hostfwd_add_run);
COMMAND(hostfwd_remove, .name = "hostfwd_remove", .args = "arg1:s,arg2:s?",
    .usage = "[netdev_id] [tcp|udp]:[hostaddr]:hostport", .help = "take such a port back",
    .run = hostfwd_remove_run);
COMMAND(info_usernet, .name = "info usernet", .args = "", .usage = "",
    .help = "the connections of user networks", .run = usernet_run);
