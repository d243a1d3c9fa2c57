/* SPDX-License-Identifier: MIT */
/*
 * Character devices: making them from options or from the old "name:text" form, the queue of what
 * the far side does not take yet, and the way of bytes and events to the front end.
 *
 * Invariants: `out` holds bytes only while the far side is connected; a back end whose write took
 * less than it was offered calls chardev_flush once there is room; a front end never gets more than
 * its can_receive() announced.
 */
#include "util/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/socket.h"

/* A far side that reads nothing may not eat the host's memory: what is beyond is lost. */
enum { CHARDEV_QUEUE_MAX = 16 * MiB };

static const ChardevClass *chardev_class_find(const char *name)
{
    SET_EACH (ChardevClass, cls, chardevs) {
        if (!strcmp(cls->name, name)) return cls;
    }
    return NULL;
}

/* The nearest name of a back end, in the form "; did you mean 'stdio'?", or "".  g_free it. */
static char *chardev_suggest(const char *name)
{
    GPtrArray *names = g_ptr_array_new();
    const char *near;
    char *text;

    SET_EACH (ChardevClass, cls, chardevs) {
        g_ptr_array_add(names, (gpointer)cls->name);
    }
    near = did_you_mean(name, (const char *const *)names->pdata, names->len);
    text = near ? g_strdup_printf("; did you mean '%s'?", near) : g_strdup("");
    g_ptr_array_free(names, TRUE);
    return text;
}

static const ChardevClass *chardev_class_get(const char *name, Error *err)
{
    const ChardevClass *cls = chardev_class_find(name);
    char *hint;

    if (cls) return cls;
    hint = chardev_suggest(name);
    error_set(err, "'%s' is not a valid char driver name%s", name, hint);
    g_free(hint);
    return NULL;
}

/* logfile= and logappend=, which every back end has. */
static bool chardev_open_log(Chardev *chr, Options *opts, Error *err)
{
    const char *path = options_get(opts, "logfile");
    bool append = false;

    if (!options_get_bool(opts, "logappend", &append, err)) return false;
    if (!path) return true;
    chr->log_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    return chr->log_fd >= 0 || error_errno(err, errno, "Unable to open logfile %s", path);
}

/* Makes and opens a back end; opts must have nothing that it does not know. */
static Chardev *chardev_open(
    GMainContext *ctx, const ChardevClass *cls, const char *id, Options *opts, Error *err)
{
    Chardev *chr = g_malloc0(cls->size);

    chr->cls = cls;
    chr->ctx = ctx;
    chr->id = g_strdup(id);
    chr->out = g_byte_array_new();
    chr->log_fd = -1;
    if (!chardev_open_log(chr, opts, err)) {
        chr->cls = NULL; /* was never open */
        chardev_free(chr);
        return NULL;
    }
    if (!cls->open(chr, opts, err) || !options_check_used(opts, cls->name, err)) {
        chardev_free(chr);
        return NULL;
    }
    if (!chr->filename) chr->filename = g_strdup(cls->name);
    return chr;
}

/* The same, with a mux on top where the options say mux=on. */
static Chardev *chardev_open_muxed(
    GMainContext *ctx, const ChardevClass *cls, const char *id, Options *opts, Error *err)
{
    bool mux = false;
    char *base_id;
    Chardev *chr;

    if (!options_get_bool(opts, "mux", &mux, err)) return NULL;
    if (!mux) return chardev_open(ctx, cls, id, opts, err);
    base_id = g_strdup_printf("%s-base", id);
    chr = chardev_open(ctx, cls, base_id, opts, err);
    g_free(base_id);
    if (!chr) return NULL;
    chr = chardev_mux_new(chr);
    g_free(chr->id);
    chr->id = g_strdup(id);
    return chr;
}

Chardev *chardev_from_options(GMainContext *ctx, Options *opts, Error *err)
{
    const char *backend = options_get(opts, "backend");
    const char *id = options_get(opts, "id");
    const ChardevClass *cls;

    if (!backend) {
        error_set(err, "chardev: \"backend\" missing");
        return NULL;
    }
    if (!id || !*id) {
        error_set(err, "chardev: no id specified");
        return NULL;
    }
    cls = chardev_class_get(backend, err);
    return cls ? chardev_open_muxed(ctx, cls, id, opts, err) : NULL;
}

static bool chardev_split_address(Options *opts, const char *address, Error *err)
{
    char *host, *port;

    if (!socket_split(address, &host, &port, err)) return false;
    options_set(opts, "host", host);
    options_set(opts, "port", port);
    g_free(host);
    g_free(port);
    return true;
}

/* "tcp:host:port,server=on" and "unix:path,server=on" are both the socket back end. */
static Options *chardev_parse_socket(const char *text, bool is_unix, Error *err)
{
    const char *comma = text;
    Options *opts;
    char *first;

    while (*comma && (*comma != ',' || comma[1] == ',')) comma += *comma == ',' ? 2 : 1;
    opts = options_parse(*comma ? comma + 1 : "", NULL, err);
    if (!opts) return NULL;
    first = g_strndup(text, (gsize)(comma - text));
    if (is_unix) {
        options_set(opts, "path", first);
    } else if (!chardev_split_address(opts, first, err)) {
        options_free(opts);
        opts = NULL;
    }
    g_free(first);
    return opts;
}

/* Name of the back end and its options, from the old form without "mon:". */
static Options *chardev_parse_text(const char *text, const ChardevClass **cls, Error *err)
{
    size_t n = strcspn(text, ":,");
    char *name = g_strndup(text, n);
    const char *rest = text[n] ? text + n + 1 : "";
    Options *opts = NULL;

    if (!strcmp(name, "tcp") || !strcmp(name, "unix")) {
        *cls = chardev_class_get("socket", err);
        opts = chardev_parse_socket(rest, *name == 'u', err);
    } else if ((*cls = chardev_class_get(name, err))) {
        if (text[n] == ':' && (*cls)->implied_key) {
            opts = options_new(); /* all of it, commas too, is the value */
            options_set(opts, (*cls)->implied_key, rest);
        } else {
            opts = options_parse(rest, NULL, err);
        }
    }
    g_free(name);
    return opts;
}

Chardev *chardev_from_text(GMainContext *ctx, const char *id, const char *text, Error *err)
{
    bool mon = g_str_has_prefix(text, "mon:");
    const ChardevClass *cls = NULL;
    Options *opts;
    Chardev *chr;

    if (mon) text += 4;
    opts = chardev_parse_text(text, &cls, err);
    if (!opts) return NULL;
    if (mon) options_set(opts, "mux", "on");
    /* Ctrl-C on a terminal that a guest shares is the guest's */
    if (mon && !strcmp(cls->name, "stdio")) options_set(opts, "signal", "off");
    chr = chardev_open_muxed(ctx, cls, id, opts, err);
    options_free(opts);
    return chr;
}

void chardev_free(Chardev *chr)
{
    if (!chr) return;
    if (chr->cls && chr->cls->close) chr->cls->close(chr);
    if (chr->log_fd >= 0) close(chr->log_fd);
    g_byte_array_unref(chr->out);
    g_free(chr->filename);
    g_free(chr->id);
    g_free(chr);
}

void chardev_attach(Chardev *chr, const ChardevFront *front, void *opaque)
{
    if (chr->cls->attach) {
        chr->cls->attach(chr, front, opaque);
        return;
    }
    chr->front = front;
    chr->opaque = front ? opaque : NULL;
    if (!front) return;
    if (chr->connected) chardev_event(chr, CHARDEV_OPENED);
    chardev_accept_input(chr);
}

void chardev_write(Chardev *chr, const void *buf, size_t len)
{
    const uint8_t *p = buf;
    size_t took = 0;

    if (chr->log_fd >= 0 && write(chr->log_fd, buf, len) < 0) {
        close(chr->log_fd); /* a full disk ends the log, not the guest */
        chr->log_fd = -1;
    }
    if (!chr->connected || !len) return;
    if (!chr->out->len) took = chr->cls->write(chr, p, len);
    if (took == len || !chr->connected) return;
    len = MIN_OF(len - took, CHARDEV_QUEUE_MAX - (size_t)chr->out->len);
    g_byte_array_append(chr->out, p + took, (guint)len);
}

void chardev_printf(Chardev *chr, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    chardev_write(chr, text, strlen(text));
    g_free(text);
}

void chardev_flush(Chardev *chr)
{
    while (chr->connected && chr->out->len) {
        size_t took = chr->cls->write(chr, chr->out->data, chr->out->len);

        if (!took) return;
        if (chr->connected) g_byte_array_remove_range(chr->out, 0, (guint)took);
    }
}

size_t chardev_unsent(const Chardev *chr)
{
    const Chardev *base = chardev_mux_base(chr);

    return base ? chardev_unsent(base) : chr->out->len;
}

void chardev_accept_input(Chardev *chr)
{
    if (chr->cls->accept_input) chr->cls->accept_input(chr);
}

int chardev_take_fd(Chardev *chr) { return chr->cls->take_fd ? chr->cls->take_fd(chr) : -1; }

void chardev_set_connected(Chardev *chr, bool connected)
{
    if (chr->connected == connected) return;
    chr->connected = connected;
    g_byte_array_set_size(chr->out, 0);
    chardev_event(chr, connected ? CHARDEV_OPENED : CHARDEV_CLOSED);
}

size_t chardev_can_receive(Chardev *chr)
{
    if (!chr->front || !chr->front->receive) return 0;
    return chr->front->can_receive ? chr->front->can_receive(chr->opaque) : SIZE_MAX;
}

void chardev_receive(Chardev *chr, const uint8_t *buf, size_t len)
{
    if (len && chr->front && chr->front->receive) chr->front->receive(chr->opaque, buf, len);
}

void chardev_event(Chardev *chr, ChardevEvent event)
{
    if (chr->front && chr->front->event) chr->front->event(chr->opaque, event);
}

static gint chardev_by_name(gconstpointer a, gconstpointer b)
{
    const ChardevClass *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

void chardev_help(void)
{
    GPtrArray *list = g_ptr_array_new();

    SET_EACH (ChardevClass, cls, chardevs) {
        g_ptr_array_add(list, (gpointer)cls);
    }
    g_ptr_array_sort(list, chardev_by_name);
    printf("Character devices:\n");
    for (guint i = 0; i < list->len; i++) {
        const ChardevClass *cls = list->pdata[i];

        printf("  %-10s %s\n", cls->name, cls->desc);
    }
    g_ptr_array_free(list, TRUE);
}
