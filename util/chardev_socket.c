/* SPDX-License-Identifier: MIT */
/*
 * Character device "socket": TCP (host=, port=) or Unix (path=), as client or (server=on) as server
 * of one client at a time.  Over a Unix socket the far side may pass descriptors.
 * Not modelled: telnet and TLS.
 *
 *   listening --accept--> connected --close--> listening          server=on
 *   connected --close--> (reconnect seconds) --connect--> ...     reconnect=N
 *   connected --close--> gone                                     otherwise
 */
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/chardev_fd.h"
#include "util/socket.h"

enum { SOCKET_FDS_MAX = 16, SOCKET_DRAIN_MS = 200 };

typedef struct SocketChardev {
    Chardev chr;
    char *path, *host, *port; /* path: Unix; host and port: TCP */
    char *full_path;          /* of path: the working directory may change */
    bool server, wait, nodelay;
    uint64_t reconnect_s;
    int listen_fd, fd;
    GSource *event;          /* waiting for a client, for a connect to end, or for the next try */
    ChardevFd *src;          /* while connected */
    int fds[SOCKET_FDS_MAX]; /* that the far side passed over, oldest first */
    int nfds;
} SocketChardev;
#define SOCKET_CHARDEV(c) ((SocketChardev *)(c))

static void socket_chardev_idle(SocketChardev *s);

/* -- names -- */

static void socket_chardev_name(SocketChardev *s)
{
    const char *gone = s->fd < 0 ? "disconnected:" : "";
    const char *server = s->server ? ",server=on" : "";
    char *local, *far;

    g_free(s->chr.filename);
    if (s->path) {
        s->chr.filename = g_strdup_printf("%sunix:%s%s", gone, s->path, server);
    } else if (s->fd < 0) {
        local = s->listen_fd >= 0 ? socket_name(s->listen_fd, false)
                                  : g_strdup_printf("%s:%s", s->host, s->port);
        s->chr.filename = g_strdup_printf("%stcp:%s%s", gone, local, server);
        g_free(local);
    } else {
        local = socket_name(s->fd, false);
        far = socket_name(s->fd, true);
        s->chr.filename = g_strdup_printf("tcp:%s%s <-> %s", local, server, far);
        g_free(local);
        g_free(far);
    }
}

/* -- waiting -- */

static void socket_chardev_event(SocketChardev *s, GSource *source, GSourceFunc func)
{
    if (s->event) {
        g_source_destroy(s->event);
        g_source_unref(s->event);
    }
    s->event = source;
    if (!source) return;
    g_source_set_callback(source, func, s, NULL);
    g_source_attach(source, s->chr.ctx);
}

/* -- connected -- */

static void socket_chardev_drop_fds(SocketChardev *s)
{
    while (s->nfds > 0) close(s->fds[--s->nfds]);
}

static void socket_chardev_disconnect(SocketChardev *s)
{
    if (s->fd < 0) return;
    chardev_fd_free(s->src);
    s->src = NULL;
    close(s->fd);
    s->fd = -1;
    socket_chardev_drop_fds(s);
    socket_chardev_name(s);
    socket_chardev_idle(s);
    chardev_set_connected(&s->chr, false);
}

static void socket_chardev_keep_fds(SocketChardev *s, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (s->nfds < SOCKET_FDS_MAX) {
                s->fds[s->nfds++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static bool socket_chardev_readable(Chardev *chr, size_t room)
{
    SocketChardev *s = SOCKET_CHARDEV(chr);
    uint8_t buf[4096];
    union {
        char buf[CMSG_SPACE(SOCKET_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { .iov_base = buf, .iov_len = MIN_OF(room, sizeof(buf)) };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.buf,
        .msg_controllen = sizeof(control.buf),
    };
    ssize_t n = recvmsg(s->fd, &msg, MSG_CMSG_CLOEXEC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) {
        socket_chardev_disconnect(s);
        return false;
    }
    socket_chardev_keep_fds(s, &msg);
    chardev_receive(chr, buf, (size_t)n);
    return true;
}

static void socket_chardev_hangup(Chardev *chr) { socket_chardev_disconnect(SOCKET_CHARDEV(chr)); }

static const ChardevFdOps socket_chardev_ops = {
    .readable = socket_chardev_readable,
    .hangup = socket_chardev_hangup,
};

static void socket_chardev_connected(SocketChardev *s, int fd)
{
    int on = 1;

    socket_chardev_event(s, NULL, NULL);
    s->fd = fd;
    if (!s->path && s->nodelay) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    s->src = chardev_fd_new(&s->chr, fd, fd, &socket_chardev_ops);
    socket_chardev_name(s);
    chardev_set_connected(&s->chr, true);
}

/* -- from idle to connected -- */

static gboolean socket_chardev_accept(gint fd, GIOCondition cond, gpointer opaque)
{
    int client = socket_accept(fd);

    (void)cond;
    if (client < 0) return G_SOURCE_CONTINUE;
    socket_chardev_connected(opaque, client);
    return G_SOURCE_REMOVE;
}

static gboolean socket_chardev_connect_done(gint fd, GIOCondition cond, gpointer opaque)
{
    SocketChardev *s = opaque;

    (void)cond;
    if (socket_connect_result(fd, "", NULL)) {
        socket_chardev_connected(s, fd);
    } else {
        close(fd);
        socket_chardev_idle(s);
    }
    return G_SOURCE_REMOVE;
}

static gboolean socket_chardev_retry(gpointer opaque)
{
    SocketChardev *s = opaque;
    bool pending = false;
    int fd = s->path ? socket_connect_unix_start(s->full_path, &pending, NULL)
                     : socket_connect_inet_start(s->host, s->port, &pending, NULL);

    if (fd >= 0 && pending) {
        socket_chardev_event(
            s, g_unix_fd_source_new(fd, G_IO_OUT), G_SOURCE_FUNC(socket_chardev_connect_done));
    } else if (fd >= 0) {
        socket_chardev_connected(s, fd);
    } else {
        socket_chardev_idle(s);
    }
    return G_SOURCE_REMOVE;
}

/* Nobody is there: wait for whoever may come. */
static void socket_chardev_idle(SocketChardev *s)
{
    if (s->listen_fd >= 0) {
        socket_chardev_event(
            s, g_unix_fd_source_new(s->listen_fd, G_IO_IN), G_SOURCE_FUNC(socket_chardev_accept));
    } else if (s->reconnect_s) {
        socket_chardev_event(
            s, g_timeout_source_new((guint)s->reconnect_s * 1000), socket_chardev_retry);
    } else {
        socket_chardev_event(s, NULL, NULL);
    }
}

/* -- opening and closing -- */

static bool socket_chardev_listen(SocketChardev *s, Error *err)
{
    struct pollfd pfd = { .events = POLLIN };
    int client = -1;

    s->listen_fd =
        s->path ? socket_listen_unix(s->path, err) : socket_listen_inet(s->host, s->port, err);
    if (s->listen_fd < 0) return false;
    socket_chardev_name(s);
    if (s->wait) {
        fprintf(stderr, "info: QEMU waiting for connection on: %s\n", s->chr.filename);
        pfd.fd = s->listen_fd;
        while (client < 0) {
            if (poll(&pfd, 1, -1) > 0) client = socket_accept(s->listen_fd);
        }
        socket_chardev_connected(s, client);
    } else {
        socket_chardev_idle(s);
    }
    return true;
}

static bool socket_chardev_connect(SocketChardev *s, Error *err)
{
    int fd;

    socket_chardev_name(s);
    if (s->reconnect_s) {
        socket_chardev_retry(s);
        return true;
    }
    fd = s->path ? socket_connect_unix(s->path, err) : socket_connect_inet(s->host, s->port, err);
    if (fd < 0) return false;
    socket_chardev_connected(s, fd);
    return true;
}

static bool socket_chardev_open(Chardev *chr, Options *opts, Error *err)
{
    SocketChardev *s = SOCKET_CHARDEV(chr);

    s->listen_fd = s->fd = -1;
    s->path = g_strdup(options_get(opts, "path"));
    if (s->path) s->full_path = g_canonicalize_filename(s->path, NULL);
    s->host = g_strdup(options_get(opts, "host"));
    s->port = g_strdup(options_get(opts, "port"));
    if (!s->path && !(s->host && s->port)) {
        return error_set(err,
            s->host ? "chardev: socket: no port given" : "chardev: socket: no host or path given");
    }
    if (!options_get_bool(opts, "server", &s->server, err)) return false;
    s->wait = s->server;
    if (!options_get_bool(opts, "wait", &s->wait, err)) return false;
    if (!options_get_bool(opts, "nodelay", &s->nodelay, err)) return false;
    if (!options_get_u64(opts, "reconnect", &s->reconnect_s, err)) return false;
    if (s->wait && !s->server) {
        return error_set(err, "'wait' option is incompatible with socket in client connect mode");
    }
    if (s->reconnect_s && s->server) {
        return error_set(
            err, "'reconnect' option is incompatible with socket in server listen mode");
    }
    if (s->reconnect_s > 86400) return error_set(err, "'reconnect' is at most a day");
    /* before anything waits for a client */
    if (!options_check_used(opts, "socket", err)) return false;
    return s->server ? socket_chardev_listen(s, err) : socket_chardev_connect(s, err);
}

static gboolean socket_chardev_broken(gpointer opaque)
{
    socket_chardev_disconnect(opaque);
    return G_SOURCE_REMOVE;
}

static size_t socket_chardev_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    SocketChardev *s = SOCKET_CHARDEV(chr);
    size_t done = 0;

    while (done < len) {
        ssize_t n = send(s->fd, buf + done, len - done, MSG_NOSIGNAL);

        if (n > 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN) {
            chardev_fd_want_write(s->src);
            break;
        } else if (errno != EINTR) {
            /* the far side has gone; the front end is told when it is not in the midst of things */
            socket_chardev_event(s, g_timeout_source_new(0), socket_chardev_broken);
            return len;
        }
    }
    return done;
}

static int socket_chardev_take_fd(Chardev *chr)
{
    SocketChardev *s = SOCKET_CHARDEV(chr);
    int fd;

    if (!s->nfds) return -1;
    fd = s->fds[0];
    memmove(s->fds, s->fds + 1, (size_t)--s->nfds * sizeof(int));
    return fd;
}

static void socket_chardev_close(Chardev *chr)
{
    SocketChardev *s = SOCKET_CHARDEV(chr);

    if (s->src) chardev_fd_drain(s->src, SOCKET_DRAIN_MS);
    chardev_fd_free(s->src);
    socket_chardev_event(s, NULL, NULL);
    if (s->fd >= 0) close(s->fd);
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
        if (s->path) unlink(s->full_path);
    }
    socket_chardev_drop_fds(s);
    g_free(s->path);
    g_free(s->full_path);
    g_free(s->host);
    g_free(s->port);
}

static const ChardevClass socket_chardev_class = {
    .name = "socket",
    .desc = "TCP (host=,port=) or Unix (path=): server=, wait=, nodelay=, reconnect=",
    .size = sizeof(SocketChardev),
    .open = socket_chardev_open,
    .write = socket_chardev_write,
    .close = socket_chardev_close,
    .take_fd = socket_chardev_take_fd,
};
CHARDEV(socket_chardev_class);
