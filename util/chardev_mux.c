/* SPDX-License-Identifier: MIT */
/*
 * The mux: several front ends (a serial port, the monitor) over one character device.
 *
 * Everybody's output goes through; input goes to the one that has the focus.  Ctrl-A starts a
 * command; the keys are in mux_keys.  What a front end does not take yet waits in a buffer of its
 * own, so that a guest that reads nothing cannot lock the user out of the monitor.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "util/bits.h"
#include "util/chardev.h"

enum { MUX_ESCAPE = 1 /* Ctrl-A */, MUX_FRONTS = 4, MUX_PENDING_MAX = 64 * KiB };

typedef struct MuxFront {
    const ChardevFront *front; /* NULL: a free place */
    void *opaque;
    GByteArray *pending;
} MuxFront;

typedef struct MuxChardev {
    Chardev chr;
    Chardev *base; /* owned */
    MuxFront fronts[MUX_FRONTS];
    int focus;    /* index, -1 while nobody is attached */
    bool escaped; /* the last byte was Ctrl-A */
    bool stamps;  /* each line of output gets its time in front */
    bool line_start;
    gint64 stamp_zero_us; /* when the stamps were switched on */
    void (*escape)(void *opaque, char key);
    void *escape_opaque;
} MuxChardev;
#define MUX(c) ((MuxChardev *)(c))

static const struct {
    char key;
    const char *text;
} mux_keys[] = {
    { 'h', "this list" },
    { 'x', "leave the emulator" },
    { 's', "commit what the disks hold back (-snapshot)" },
    { 't', "time stamps on output lines, on or off" },
    { 'b', "a break on the line" },
    { 'c', "go round: console, monitor ..." },
};

static void mux_help(MuxChardev *mux)
{
    chardev_printf(mux->base, "\r\n");
    for (size_t i = 0; i < ARRAY_SIZE(mux_keys); i++) {
        chardev_printf(mux->base, "C-a %c    %s\r\n", mux_keys[i].key, mux_keys[i].text);
    }
    chardev_printf(mux->base, "C-a C-a  sends C-a\r\n");
}

static void mux_tell(const MuxFront *f, ChardevEvent event)
{
    if (f->front && f->front->event) f->front->event(f->opaque, event);
}

static size_t mux_room(const MuxFront *f)
{
    if (!f->front || !f->front->receive) return 0;
    return f->front->can_receive ? f->front->can_receive(f->opaque) : SIZE_MAX;
}

/* Hands over as much of the buffer as the front end takes. */
static void mux_deliver(MuxFront *f)
{
    size_t n;

    while (f->front && f->pending->len && (n = MIN_OF(mux_room(f), (size_t)f->pending->len))) {
        guint8 *bytes = g_memdup2(f->pending->data, n);

        g_byte_array_remove_range(f->pending, 0, (guint)n);
        f->front->receive(f->opaque, bytes, n);
        g_free(bytes);
    }
}

static void mux_set_focus(MuxChardev *mux, int to)
{
    if (mux->focus == to) return;
    if (mux->focus >= 0) {
        mux_deliver(&mux->fronts[mux->focus]); /* it came before the keys that lead away */
        mux_tell(&mux->fronts[mux->focus], CHARDEV_FOCUS_OUT);
    }
    mux->focus = to;
    if (to < 0) return;
    mux_tell(&mux->fronts[to], CHARDEV_FOCUS_IN);
    mux_deliver(&mux->fronts[to]);
}

/* The next attached front end, going round; -1 where there is none. */
static int mux_next(const MuxChardev *mux)
{
    for (int i = 1; i <= MUX_FRONTS; i++) {
        int at = (mux->focus + i) % MUX_FRONTS;

        if (mux->fronts[at].front) return at;
    }
    return -1;
}

/* The key behind Ctrl-A.  True where it is a byte to be passed on. */
static bool mux_command(MuxChardev *mux, uint8_t key)
{
    switch (key) {
    case MUX_ESCAPE: return true;
    case 'h':
    case '?': mux_help(mux); break;
    case 'x':
    case 's':
        if (mux->escape) mux->escape(mux->escape_opaque, (char)key);
        break;
    case 'b':
        if (mux->focus >= 0) mux_tell(&mux->fronts[mux->focus], CHARDEV_BREAK);
        break;
    case 'c': mux_set_focus(mux, mux_next(mux)); break;
    case 't':
        mux->stamps = !mux->stamps;
        mux->stamp_zero_us = g_get_monotonic_time();
        mux->line_start = false;
        break;
    default: break;
    }
    return false;
}

/* -- the side of the base -- */

static size_t mux_can_receive(void *opaque)
{
    MuxChardev *mux = opaque;
    const MuxFront *f = mux->focus < 0 ? NULL : &mux->fronts[mux->focus];

    /* one byte at least: it may be part of a command */
    return f && f->pending->len < MUX_PENDING_MAX ? MUX_PENDING_MAX - f->pending->len : 1;
}

static void mux_receive(void *opaque, const uint8_t *buf, size_t len)
{
    MuxChardev *mux = opaque;

    for (size_t i = 0; i < len; i++) {
        MuxFront *f;

        if (mux->escaped) {
            mux->escaped = false;
            if (!mux_command(mux, buf[i])) continue;
        } else if (buf[i] == MUX_ESCAPE) {
            mux->escaped = true;
            continue;
        }
        f = mux->focus < 0 ? NULL : &mux->fronts[mux->focus];
        if (f && f->pending->len < MUX_PENDING_MAX) g_byte_array_append(f->pending, &buf[i], 1);
    }
    if (mux->focus >= 0) mux_deliver(&mux->fronts[mux->focus]);
}

static void mux_event(void *opaque, ChardevEvent event)
{
    MuxChardev *mux = opaque;

    mux->chr.connected = mux->base->connected;
    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        mux->escaped = false;
        for (int i = 0; i < MUX_FRONTS; i++) mux_tell(&mux->fronts[i], event);
    } else if (mux->focus >= 0) {
        mux_tell(&mux->fronts[mux->focus], event);
    }
}

static const ChardevFront mux_front = {
    .can_receive = mux_can_receive,
    .receive = mux_receive,
    .event = mux_event,
};

/* -- the side of the front ends -- */

static int mux_find(const MuxChardev *mux, const ChardevFront *front, void *opaque)
{
    for (int i = 0; i < MUX_FRONTS; i++) {
        const MuxFront *f = &mux->fronts[i];

        if (front ? f->front == NULL : f->front && f->opaque == opaque) return i;
    }
    return -1;
}

static void mux_attach(Chardev *chr, const ChardevFront *front, void *opaque)
{
    MuxChardev *mux = MUX(chr);
    int at = mux_find(mux, front, opaque);
    MuxFront *f;

    assert(at >= 0 || !front);
    if (at < 0) return;
    f = &mux->fronts[at];
    f->front = front;
    f->opaque = opaque;
    g_byte_array_set_size(f->pending, 0);
    if (!front) {
        if (mux->focus == at) mux->focus = -1;
        if (mux->focus < 0) mux_set_focus(mux, mux_next(mux));
        return;
    }
    if (mux->chr.connected) mux_tell(f, CHARDEV_OPENED);
    if (mux->focus < 0) mux_set_focus(mux, at);
}

/* Output with a stamp at the start of each line. */
static void mux_write_stamped(MuxChardev *mux, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (mux->line_start) {
            gint64 ms = (g_get_monotonic_time() - mux->stamp_zero_us) / 1000;

            chardev_printf(mux->base, "[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000),
                (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
        }
        mux->line_start = buf[i] == '\n';
        chardev_write(mux->base, &buf[i], 1);
    }
}

static size_t mux_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    MuxChardev *mux = MUX(chr);

    if (mux->stamps) {
        mux_write_stamped(mux, buf, len);
    } else {
        chardev_write(mux->base, buf, len);
    }
    return len;
}

static void mux_accept_input(Chardev *chr)
{
    for (int i = 0; i < MUX_FRONTS; i++) mux_deliver(&MUX(chr)->fronts[i]);
    chardev_accept_input(MUX(chr)->base);
}

static int mux_take_fd(Chardev *chr) { return chardev_take_fd(MUX(chr)->base); }

static void mux_close(Chardev *chr)
{
    MuxChardev *mux = MUX(chr);

    chardev_attach(mux->base, NULL, NULL);
    chardev_free(mux->base);
    for (int i = 0; i < MUX_FRONTS; i++) g_byte_array_unref(mux->fronts[i].pending);
}

static const ChardevClass mux_class = {
    .name = "mux",
    .desc = "several front ends over one device (made by mux=on and \"mon:\")",
    .size = sizeof(MuxChardev),
    .write = mux_write,
    .accept_input = mux_accept_input,
    .close = mux_close,
    .take_fd = mux_take_fd,
    .attach = mux_attach,
};

/* -- outside -- */

bool chardev_is_mux(const Chardev *chr) { return chr->cls == &mux_class; }

Chardev *chardev_mux_base(const Chardev *chr)
{
    return chardev_is_mux(chr) ? ((const MuxChardev *)chr)->base : NULL;
}

Chardev *chardev_mux_new(Chardev *chr)
{
    MuxChardev *mux = g_new0(MuxChardev, 1);

    mux->chr.cls = &mux_class;
    mux->chr.ctx = chr->ctx;
    mux->chr.id = g_strdup(chr->id);
    mux->chr.filename = g_strdup("mux");
    mux->chr.out = g_byte_array_new();
    mux->chr.log_fd = -1;
    mux->chr.connected = chr->connected;
    mux->chr.is_terminal = chr->is_terminal;
    mux->base = chr;
    mux->focus = -1;
    for (int i = 0; i < MUX_FRONTS; i++) mux->fronts[i].pending = g_byte_array_new();
    chardev_attach(chr, &mux_front, mux);
    return &mux->chr;
}

void chardev_mux_focus(Chardev *chr, void *opaque)
{
    int at = chardev_is_mux(chr) ? mux_find(MUX(chr), NULL, opaque) : -1;

    if (at >= 0) mux_set_focus(MUX(chr), at);
}

void chardev_mux_on_escape(Chardev *chr, void (*escape)(void *opaque, char key), void *opaque)
{
    if (!chardev_is_mux(chr)) return;
    MUX(chr)->escape = escape;
    MUX(chr)->escape_opaque = opaque;
}
