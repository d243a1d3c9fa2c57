/* SPDX-License-Identifier: MIT */
/*
 * A TAP interface of the host.  Source: Linux, Documentation/networking/tuntap.  It is made (or
 * found) by ifname=, or comes open as fd=; script= and downscript= run with the name of the
 * interface behind them, at the start and at the end.
 * Not modelled: offloads, several queues.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/internal.h"

enum { TAP_FRAMES_A_TURN = 64 };

typedef struct Tap {
    NetPort *port;
    int fd;
    GSource *source;
    char ifname[IFNAMSIZ];
    char *script, *downscript; /* NULL: none */
} Tap;

static gboolean tap_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    Tap *t = opaque;
    uint8_t frame[NET_FRAME_MAX];

    (void)cond;
    for (int i = 0; i < TAP_FRAMES_A_TURN; i++) {
        ssize_t n = read(fd, frame, sizeof(frame));

        if (n <= 0) break;
        net_send(t->port, frame, (size_t)n);
    }
    return G_SOURCE_CONTINUE;
}

static void tap_receive(void *opaque, const uint8_t *frame, size_t len)
{
    /* a full interface drops the frame, as a cable would */
    if (write(((Tap *)opaque)->fd, frame, len) < 0) return;
}

static void tap_info(void *opaque, GString *out)
{
    const Tap *t = opaque;

    g_string_append_printf(out, "ifname=%s,script=%s,downscript=%s", t->ifname,
        t->script ? t->script : "no", t->downscript ? t->downscript : "no");
}

static bool tap_run(const char *script, char *ifname, Error *err)
{
    gchar *argv[] = { (gchar *)script, ifname, NULL };
    GError *gerr = NULL;
    gint status = 0;
    bool ok;

    ok = g_spawn_sync(
        NULL, argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL, NULL, &status, &gerr);
    if (ok) ok = g_spawn_check_wait_status(status, &gerr);
    if (!ok) error_set(err, "network script %s failed: %s", script, gerr->message);
    g_clear_error(&gerr);
    return ok;
}

static void tap_destroy(void *opaque)
{
    Tap *t = opaque;

    if (t->source) {
        g_source_destroy(t->source);
        g_source_unref(t->source);
    }
    if (t->source && t->downscript) tap_run(t->downscript, t->ifname, NULL);
    if (t->fd >= 0) close(t->fd);
    g_free(t->script);
    g_free(t->downscript);
    g_free(t);
}

static const NetPortOps tap_port_ops = {
    .type = "tap",
    .receive = tap_receive,
    .info = tap_info,
    .destroy = tap_destroy,
};

static bool tap_open(Tap *t, Options *opts, Error *err)
{
    const char *name = options_get(opts, "ifname");
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    uint64_t fd = 0;

    if (options_get(opts, "fd")) {
        if (!options_get_u64(opts, "fd", &fd, err)) return false;
        t->fd = (int)fd;
        if (fcntl(t->fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(t->fd, F_SETFL, O_NONBLOCK) < 0) {
            return error_errno(err, errno, "tap: fd %d", t->fd);
        }
        if (ioctl(t->fd, TUNGETIFF, &ifr) == 0) memcpy(t->ifname, ifr.ifr_name, IFNAMSIZ);
        return true;
    }
    if (name && strlen(name) >= IFNAMSIZ) return error_set(err, "ifname '%s' is too long", name);
    if (name) strcpy(ifr.ifr_name, name);
    t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0) return error_errno(err, errno, "could not open /dev/net/tun");
    if (ioctl(t->fd, TUNSETIFF, &ifr) < 0) {
        return error_errno(
            err, errno, "could not configure /dev/net/tun (%s)", name ? name : "tap%d");
    }
    memcpy(t->ifname, ifr.ifr_name, IFNAMSIZ);
    return !t->script || tap_run(t->script, t->ifname, err);
}

static char *tap_script(Options *opts, const char *key)
{
    const char *text = options_get_or(opts, key, "no");

    return strcmp(text, "no") && *text ? g_strdup(text) : NULL;
}

static NetPort *tap_create(Machine *m, const char *id, Options *opts, Error *err)
{
    Tap *t = g_new0(Tap, 1);

    t->fd = -1;
    t->script = tap_script(opts, "script");
    t->downscript = tap_script(opts, "downscript");
    if (!tap_open(t, opts, err) || !(t->port = net_port_new(m, id, &tap_port_ops, t, err))) {
        tap_destroy(t);
        return NULL;
    }
    t->source = g_unix_fd_source_new(t->fd, G_IO_IN);
    g_source_set_callback(t->source, G_SOURCE_FUNC(tap_readable), t, NULL);
    g_source_attach(t->source, m->ctx);
    return t->port;
}

static const NetBackend tap_backend = {
    .name = "tap",
    .desc = "a TAP interface: ifname=, fd=, script=, downscript=",
    .create = tap_create,
};
NET_BACKEND(tap_backend);
