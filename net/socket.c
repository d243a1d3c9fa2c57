/* SPDX-License-Identifier: MIT */
/*
 * Networks over sockets between emulators.  Streams (listen=, connect=) carry each frame behind
 * its length in four bytes, high byte first; datagrams (mcast=, udp=) are frames.
 *
 * A listening end serves one partner at a time and waits for the next when it leaves; a connecting
 * end that has lost its partner stays alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/internal.h"
#include "util/bits.h"
#include "util/socket.h"

enum { SOCKNET_HEAD = 4, SOCKNET_OUT_MAX = 4 * MiB, SOCKNET_FRAMES_A_TURN = 64 };

typedef struct SockNet {
    Machine *m;
    NetPort *port;
    int listen_fd, fd;
    bool datagrams;
    struct sockaddr_storage to; /* datagrams: where they go */
    socklen_t to_len;
    GSource *waiting; /* for a partner, or for a connect to end */
    GSource *reader, *writer;
    GByteArray *in, *out; /* streams: a frame in part, and what the socket did not take */
    char *info;
} SockNet;

static void socknet_drop(GSource **source)
{
    if (!*source) return;
    g_source_destroy(*source);
    g_source_unref(*source);
    *source = NULL;
}

static void socknet_watch(
    SockNet *s, GSource **source, int fd, GIOCondition cond, GUnixFDSourceFunc func)
{
    socknet_drop(source);
    *source = g_unix_fd_source_new(fd, cond);
    g_source_set_callback(*source, G_SOURCE_FUNC(func), s, NULL);
    g_source_attach(*source, s->m->ctx);
}

static void socknet_set_info(SockNet *s, char *text)
{
    g_free(s->info);
    s->info = text;
}

static gboolean socknet_accept(gint fd, GIOCondition cond, gpointer opaque);

static void socknet_wait(SockNet *s)
{
    char *name;

    if (s->listen_fd < 0) {
        socknet_set_info(s, g_strdup("socket: disconnected"));
        return;
    }
    name = socket_name(s->listen_fd, false);
    socknet_set_info(s, g_strdup_printf("socket: wait from %s", name));
    g_free(name);
    socknet_watch(s, &s->waiting, s->listen_fd, G_IO_IN, socknet_accept);
}

static void socknet_disconnect(SockNet *s)
{
    socknet_drop(&s->reader);
    socknet_drop(&s->writer);
    close(s->fd);
    s->fd = -1;
    g_byte_array_set_size(s->in, 0);
    g_byte_array_set_size(s->out, 0);
    socknet_wait(s);
}

/* -- receiving -- */

/* Hands over the complete frames of `in`; false on a length that no frame has. */
static bool socknet_unpack(SockNet *s)
{
    size_t at = 0;

    while (s->in->len - at >= SOCKNET_HEAD) {
        uint32_t len = load_be32(s->in->data + at);

        if (len > NET_FRAME_MAX) return false;
        if (s->in->len - at - SOCKNET_HEAD < len) break;
        net_send(s->port, s->in->data + at + SOCKNET_HEAD, len);
        at += SOCKNET_HEAD + len;
    }
    g_byte_array_remove_range(s->in, 0, (guint)at);
    return true;
}

static gboolean socknet_stream_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    SockNet *s = opaque;
    uint8_t buf[65536];
    ssize_t n = recv(fd, buf, sizeof(buf), 0);

    (void)cond;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return G_SOURCE_CONTINUE;
    if (n > 0) {
        g_byte_array_append(s->in, buf, (guint)n);
        if (socknet_unpack(s)) return G_SOURCE_CONTINUE;
    }
    socknet_disconnect(s);
    return G_SOURCE_REMOVE;
}

static gboolean socknet_datagram_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    SockNet *s = opaque;
    uint8_t frame[NET_FRAME_MAX];

    (void)cond;
    for (int i = 0; i < SOCKNET_FRAMES_A_TURN; i++) {
        ssize_t n = recv(fd, frame, sizeof(frame), 0);

        if (n <= 0) break;
        net_send(s->port, frame, (size_t)n);
    }
    return G_SOURCE_CONTINUE;
}

/* -- sending -- */

/* Sends what is in `out`; false where the partner has gone. */
static bool socknet_drain(SockNet *s)
{
    while (s->out->len) {
        ssize_t n = send(s->fd, s->out->data, s->out->len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN;
        g_byte_array_remove_range(s->out, 0, (guint)n);
    }
    return true;
}

static gboolean socknet_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    SockNet *s = opaque;

    (void)fd;
    (void)cond;
    if (socknet_drain(s) && s->out->len) return G_SOURCE_CONTINUE;
    socknet_drop(&s->writer); /* a partner that has gone is noticed by the reader */
    return G_SOURCE_REMOVE;
}

static void socknet_receive(void *opaque, const uint8_t *frame, size_t len)
{
    SockNet *s = opaque;
    uint8_t head[SOCKNET_HEAD];

    if (s->fd < 0) return;
    if (s->datagrams) {
        sendto(s->fd, frame, len, MSG_NOSIGNAL, (struct sockaddr *)&s->to, s->to_len);
        return;
    }
    if (!s->reader || s->out->len > SOCKNET_OUT_MAX) return;
    store_be32(head, (uint32_t)len);
    g_byte_array_append(s->out, head, sizeof(head));
    g_byte_array_append(s->out, frame, (guint)len);
    if (s->writer) return;
    if (socknet_drain(s) && s->out->len) {
        socknet_watch(s, &s->writer, s->fd, G_IO_OUT, socknet_writable);
    }
}

static void socknet_info(void *opaque, GString *out)
{
    g_string_append(out, ((SockNet *)opaque)->info);
}

static void socknet_destroy(void *opaque)
{
    SockNet *s = opaque;

    socknet_drop(&s->waiting);
    socknet_drop(&s->reader);
    socknet_drop(&s->writer);
    if (s->fd >= 0) close(s->fd);
    if (s->listen_fd >= 0) close(s->listen_fd);
    g_byte_array_unref(s->in);
    g_byte_array_unref(s->out);
    g_free(s->info);
    g_free(s);
}

static const NetPortOps socknet_port_ops = {
    .type = "socket",
    .receive = socknet_receive,
    .info = socknet_info,
    .destroy = socknet_destroy,
};

/* -- connecting -- */

static void socknet_connected(SockNet *s, const char *how)
{
    char *name = socket_name(s->fd, true);

    socknet_set_info(s, g_strdup_printf("socket: %s %s", how, name));
    g_free(name);
    socknet_watch(s, &s->reader, s->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, socknet_stream_readable);
}

static gboolean socknet_accept(gint fd, GIOCondition cond, gpointer opaque)
{
    SockNet *s = opaque;
    int partner = socket_accept(fd);

    (void)cond;
    if (partner < 0) return G_SOURCE_CONTINUE;
    socknet_drop(&s->waiting);
    s->fd = partner;
    socknet_connected(s, "connection from");
    return G_SOURCE_REMOVE;
}

static gboolean socknet_connect_done(gint fd, GIOCondition cond, gpointer opaque)
{
    SockNet *s = opaque;

    (void)cond;
    socknet_drop(&s->waiting);
    if (socket_connect_result(fd, "", NULL)) {
        socknet_connected(s, "connect to");
    } else {
        socknet_disconnect(s);
    }
    return G_SOURCE_REMOVE;
}

static bool socknet_open_stream(SockNet *s, const char *address, bool listening, Error *err)
{
    char *host, *port;
    bool pending = false;

    if (!socket_split(address, &host, &port, err)) return false;
    if (listening) {
        s->listen_fd = socket_listen_inet(host, port, err);
    } else {
        s->fd = socket_connect_inet_start(host, port, &pending, err);
    }
    g_free(host);
    g_free(port);
    if (s->listen_fd < 0 && s->fd < 0) return false;
    if (listening) {
        socknet_wait(s);
    } else if (pending) {
        socknet_set_info(s, g_strdup_printf("socket: connecting to %s", address));
        socknet_watch(s, &s->waiting, s->fd, G_IO_OUT, socknet_connect_done);
    } else {
        socknet_connected(s, "connect to");
    }
    return true;
}

static bool socknet_resolve(const char *address, struct sockaddr_in *in, bool passive, Error *err)
{
    char *host, *port;
    struct sockaddr_storage ss;
    size_t len = sizeof(ss);
    bool ok;

    if (!socket_split(address, &host, &port, err)) return false;
    ok = socket_resolve(host, port, SOCK_DGRAM, passive, &ss, &len, err);
    g_free(host);
    g_free(port);
    if (ok && ss.ss_family != AF_INET) ok = error_set(err, "'%s' is no IPv4 address", address);
    if (ok) memcpy(in, &ss, sizeof(*in));
    return ok;
}

static bool socknet_bind(SockNet *s, const struct sockaddr_in *at, Error *err)
{
    int on = 1;

    s->datagrams = true;
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return error_errno(err, errno, "can't create datagram socket");
    setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(s->fd, (const struct sockaddr *)at, sizeof(*at)) < 0) {
        return error_errno(err, errno, "can't bind ip=%s to socket", inet_ntoa(at->sin_addr));
    }
    socknet_watch(s, &s->reader, s->fd, G_IO_IN, socknet_datagram_readable);
    return true;
}

static bool socknet_open_mcast(SockNet *s, const char *group, const char *local, Error *err)
{
    struct sockaddr_in to;
    struct ip_mreq join = { .imr_interface.s_addr = htonl(INADDR_ANY) };
    int on = 1;

    if (!socknet_resolve(group, &to, false, err)) return false;
    if (!IN_MULTICAST(ntohl(to.sin_addr.s_addr))) {
        return error_set(err, "specified mcastaddr %s is not a multicast address", group);
    }
    if (local && !inet_aton(local, &join.imr_interface)) {
        return error_set(err, "localaddr '%s' is no IPv4 address", local);
    }
    if (!socknet_bind(s, &to, err)) return false;
    join.imr_multiaddr = to.sin_addr;
    if (setsockopt(s->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)) < 0) {
        return error_errno(err, errno, "can't add socket to multicast group %s", group);
    }
    /* partners on this host, too */
    setsockopt(s->fd, IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof(on));
    if (local) {
        setsockopt(
            s->fd, IPPROTO_IP, IP_MULTICAST_IF, &join.imr_interface, sizeof(join.imr_interface));
    }
    memcpy(&s->to, &to, sizeof(to));
    s->to_len = sizeof(to);
    socknet_set_info(s, g_strdup_printf("socket: mcast=%s", group));
    return true;
}

static bool socknet_open_udp(SockNet *s, const char *far, const char *local, Error *err)
{
    struct sockaddr_in to, at;

    if (!local) return error_set(err, "localaddr= is mandatory with udp=");
    if (!socknet_resolve(far, &to, false, err) || !socknet_resolve(local, &at, true, err)) {
        return false;
    }
    if (!socknet_bind(s, &at, err)) return false;
    memcpy(&s->to, &to, sizeof(to));
    s->to_len = sizeof(to);
    socknet_set_info(s, g_strdup_printf("socket: udp=%s", far));
    return true;
}

static bool socknet_open(SockNet *s, Options *opts, Error *err)
{
    const char *listening = options_get(opts, "listen"), *connect = options_get(opts, "connect");
    const char *mcast = options_get(opts, "mcast"), *udp = options_get(opts, "udp");
    const char *local = options_get(opts, "localaddr");

    if (!!listening + !!connect + !!mcast + !!udp != 1) {
        return error_set(err, "exactly one of listen=, connect=, mcast= or udp= is required");
    }
    if (local && (listening || connect)) {
        return error_set(err, "localaddr= is only valid with mcast= or udp=");
    }
    if (mcast) return socknet_open_mcast(s, mcast, local, err);
    if (udp) return socknet_open_udp(s, udp, local, err);
    return socknet_open_stream(s, listening ? listening : connect, listening != NULL, err);
}

static NetPort *socknet_create(Machine *m, const char *id, Options *opts, Error *err)
{
    SockNet *s = g_new0(SockNet, 1);

    s->m = m;
    s->listen_fd = s->fd = -1;
    s->in = g_byte_array_new();
    s->out = g_byte_array_new();
    if (!socknet_open(s, opts, err) ||
        !(s->port = net_port_new(m, id, &socknet_port_ops, s, err))) {
        socknet_destroy(s);
        return NULL;
    }
    return s->port;
}

static const NetBackend socknet_backend = {
    .name = "socket",
    .desc = "other emulators by TCP (listen=, connect=) or UDP (mcast=, udp=)",
    .create = socknet_create,
};
NET_BACKEND(socknet_backend);
