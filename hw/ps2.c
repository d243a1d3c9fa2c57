/* SPDX-License-Identifier: MIT */
/*
 * What PS/2 keyboard and mouse have in common: their byte queue.
 * Source: IBM PS/2 Hardware Interface Technical Reference, keyboard and auxiliary device.
 * Not modelled: the serial line, its timing and its errors.
 */
#include "hw/ps2.h"

enum { PS2_RING = 256, PS2_RING_MASK = 255, PS2_QUEUE = 16, PS2_ANSWER = 4 };

static const VmField ps2_common_fields[] = {
    VM_INT(Ps2Common, write_cmd),
    VM_INT_AS(Ps2Common, rptr, "queue.rptr"),
    VM_INT_AS(Ps2Common, wptr, "queue.wptr"),
    VM_INT_AS(Ps2Common, count, "queue.count"),
    VM_BUFFER_AS(Ps2Common, data, "queue.data"),
    VM_END,
};

/* The queue may have been longer in older senders; what does not fit is lost, as on a full one. */
static bool ps2_common_post_load(void *state, int version, Error *err)
{
    Ps2Common *c = state;

    (void)version, (void)err;
    c->rptr &= PS2_RING_MASK;
    if (c->count < 0) c->count = 0;
    if (c->count > PS2_QUEUE + PS2_ANSWER) c->count = PS2_QUEUE + PS2_ANSWER;
    c->wptr = (c->rptr + c->count) & PS2_RING_MASK;
    return true;
}

const VmState ps2_common_vmstate = {
    .name = "PS2 Common State",
    .version = 3,
    .min_version = 2,
    .fields = ps2_common_fields,
    .post_load = ps2_common_post_load,
};

static Ps2Common *ps2_common(Ps2Port *port) { return device_state(&port->dev); }

static int ps2_answer_left(const Ps2Common *c)
{
    return c->cwptr < 0 ? 0 : (c->cwptr - c->rptr) & PS2_RING_MASK;
}

static void ps2_update(Ps2Port *port) { irq_set(&port->out, ps2_common(port)->count > 0); }

void ps2_sync(Device *dev) { ps2_update((Ps2Port *)dev); }

void ps2_connect(Device *dev, Irq out) { ((Ps2Port *)dev)->out = out; }

void ps2_write(Device *dev, uint8_t val) { ((Ps2Port *)dev)->write((Ps2Port *)dev, val); }

void ps2_common_reset(Ps2Common *c) { *c = (Ps2Common){ .write_cmd = -1, .cwptr = -1 }; }

bool ps2_common_has_answer(const void *common) { return ((const Ps2Common *)common)->cwptr >= 0; }

bool ps2_common_check_answer(const Ps2Common *c, Error *err)
{
    if (c->cwptr < -1 || c->cwptr >= PS2_RING || ps2_answer_left(c) > PS2_ANSWER ||
        ps2_answer_left(c) > c->count)
        return error_set(err, "answer out of range");
    return true;
}

bool ps2_room(const Ps2Common *c, unsigned n)
{
    return c->count - ps2_answer_left(c) + (int)n <= PS2_QUEUE;
}

void ps2_queue(Ps2Port *port, uint8_t byte)
{
    Ps2Common *c = ps2_common(port);

    if (!ps2_room(c, 1)) return;
    c->data[c->wptr] = byte;
    c->wptr = (c->wptr + 1) & PS2_RING_MASK;
    c->count++;
    ps2_update(port);
}

void ps2_answer(Ps2Port *port, const uint8_t *bytes, unsigned n)
{
    Ps2Common *c = ps2_common(port);
    int stale = ps2_answer_left(c);

    c->rptr = (c->rptr + stale) & PS2_RING_MASK;
    c->count -= stale;
    c->cwptr = c->rptr;
    c->rptr = (c->rptr - (int)n) & PS2_RING_MASK;
    c->count += (int)n;
    for (unsigned i = 0; i < n; i++) c->data[(c->rptr + (int)i) & PS2_RING_MASK] = bytes[i];
    ps2_update(port);
}

uint8_t ps2_read(Device *dev)
{
    Ps2Port *port = (Ps2Port *)dev;
    Ps2Common *c = ps2_common(port);
    uint8_t byte;

    if (!c->count) return c->data[(c->rptr - 1) & PS2_RING_MASK];
    byte = c->data[c->rptr];
    c->rptr = (c->rptr + 1) & PS2_RING_MASK;
    if (c->rptr == c->cwptr) c->cwptr = -1;
    c->count--;
    irq_set(&port->out, false);
    if (!c->count && port->drained) port->drained(port);
    ps2_update(port);
    return byte;
}
