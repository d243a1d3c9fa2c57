/* SPDX-License-Identifier: MIT */
/*
 * PS/2 mouse: standard, with a wheel (IntelliMouse, id 3) or wheel and five buttons (id 4).
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Auxiliary device"; Microsoft's
 * IntelliMouse specification for the ids.
 * Not modelled: the effect of sample rate and resolution (a packet is made when the host reports
 * motion).
 */
#include "hw/ps2.h"

enum {
    MOUSE_SCALE_1 = 0xe6,
    MOUSE_SCALE_2 = 0xe7,
    MOUSE_RESOLUTION = 0xe8,
    MOUSE_STATUS = 0xe9,
    MOUSE_STREAM = 0xea,
    MOUSE_READ = 0xeb,
    MOUSE_UNWRAP = 0xec,
    MOUSE_WRAP = 0xee,
    MOUSE_REMOTE = 0xf0,
    MOUSE_IDENTIFY = 0xf2,
    MOUSE_RATE = 0xf3,
    MOUSE_ENABLE = 0xf4,
    MOUSE_DISABLE = 0xf5,
    MOUSE_DEFAULTS = 0xf6,
    MOUSE_RESEND = 0xfe,
    MOUSE_RESET = 0xff,
};
enum { STATUS_REMOTE = 0x40, STATUS_ENABLED = 0x20, STATUS_SCALE_2 = 0x10 };
enum { TYPE_PLAIN = 0, TYPE_WHEEL = 3, TYPE_EXPLORER = 4 };
enum { DETECT_NONE, DETECT_200, DETECT_200_100, DETECT_200_200 };

typedef struct Ps2Mouse {
    Ps2Port port;
    struct Ps2MouseState {
        Ps2Common common;
        uint8_t mouse_status, mouse_resolution, mouse_sample_rate, mouse_wrap;
        uint8_t mouse_type, mouse_detect_state;
        int32_t mouse_dx, mouse_dy, mouse_dz; /* moved and not yet reported; up is positive */
        uint8_t mouse_buttons;
    } s;
} Ps2Mouse;
#define PS2_MOUSE(d) ((Ps2Mouse *)(d))

static const VmField ps2_mouse_fields[] = {
    VM_STRUCT(struct Ps2MouseState, common, "parent_obj", ps2_common_vmstate, 3),
    VM_INT(struct Ps2MouseState, mouse_status),
    VM_INT(struct Ps2MouseState, mouse_resolution),
    VM_INT(struct Ps2MouseState, mouse_sample_rate),
    VM_INT(struct Ps2MouseState, mouse_wrap),
    VM_INT(struct Ps2MouseState, mouse_type),
    VM_INT(struct Ps2MouseState, mouse_detect_state),
    VM_INT(struct Ps2MouseState, mouse_dx),
    VM_INT(struct Ps2MouseState, mouse_dy),
    VM_INT(struct Ps2MouseState, mouse_dz),
    VM_INT(struct Ps2MouseState, mouse_buttons),
    VM_END,
};

static const VmField ps2_mouse_answer_fields[] = {
    VM_INT_AS(struct Ps2MouseState, common.cwptr, "parent_obj.queue.cwptr"),
    VM_END,
};

static bool ps2_mouse_answer_post_load(void *state, int version, Error *err)
{
    (void)version;
    return ps2_common_check_answer(&((const struct Ps2MouseState *)state)->common, err);
}

static const VmState ps2_mouse_answer_vmstate = {
    .name = "ps2mouse/command_reply_queue",
    .fields = ps2_mouse_answer_fields,
    .needed = ps2_common_has_answer,
    .post_load = ps2_mouse_answer_post_load,
};

/* Motion beyond any screen is cut: sums must not overflow. */
static int32_t mouse_clamp(int64_t v, int32_t limit)
{
    return (int32_t)(v < -limit ? -limit : v > limit ? limit : v);
}

enum { MOTION_MAX = 1 << 20 };

static bool ps2_mouse_post_load(void *state, int version, Error *err)
{
    struct Ps2MouseState *s = state;

    (void)version, (void)err;
    s->mouse_dx = mouse_clamp(s->mouse_dx, MOTION_MAX);
    s->mouse_dy = mouse_clamp(s->mouse_dy, MOTION_MAX);
    s->mouse_dz = mouse_clamp(s->mouse_dz, MOTION_MAX);
    return true;
}

static const VmState ps2_mouse_vmstate = {
    .name = "ps2mouse",
    .version = 2,
    .min_version = 2,
    .fields = ps2_mouse_fields,
    .subsections = VMSTATES(&ps2_mouse_answer_vmstate),
    .post_load = ps2_mouse_post_load,
};

/* -- packets -- */

static unsigned mouse_packet_size(const struct Ps2MouseState *s)
{
    return s->mouse_type == TYPE_PLAIN ? 3 : 4;
}

/* 2:1 scaling of the data sheet, in stream mode only. */
static int mouse_scale(int v)
{
    static const uint8_t small[] = { 0, 1, 1, 3, 6, 9 };
    int magnitude = v < 0 ? -v : v;
    int scaled = magnitude < (int)sizeof(small) ? small[magnitude] : 2 * magnitude;

    return mouse_clamp(v < 0 ? -scaled : scaled, 255);
}

static bool ps2_mouse_packet(Ps2Mouse *k)
{
    struct Ps2MouseState *s = &k->s;
    int dx = mouse_clamp(s->mouse_dx, 127), dy = mouse_clamp(s->mouse_dy, 127);
    int dz = mouse_clamp(s->mouse_dz, s->mouse_type == TYPE_EXPLORER ? 7 : 127);
    uint8_t buttons = s->mouse_buttons;

    if (!ps2_room(&s->common, mouse_packet_size(s))) return false;
    s->mouse_dx -= dx;
    s->mouse_dy -= dy;
    s->mouse_dz = s->mouse_type == TYPE_PLAIN ? 0 : s->mouse_dz - dz;
    if (s->mouse_status & STATUS_SCALE_2 && !(s->mouse_status & STATUS_REMOTE)) {
        dx = mouse_scale(dx);
        dy = mouse_scale(dy);
    }
    ps2_queue(&k->port, (uint8_t)(0x08 | (dx < 0) << 4 | (dy < 0) << 5 | (buttons & 7)));
    ps2_queue(&k->port, (uint8_t)dx);
    ps2_queue(&k->port, (uint8_t)dy);
    if (s->mouse_type == TYPE_WHEEL) ps2_queue(&k->port, (uint8_t)dz);
    if (s->mouse_type == TYPE_EXPLORER)
        ps2_queue(&k->port, (uint8_t)((dz & 0x0f) | (buttons & 0x18) << 1));
    return true;
}

static bool mouse_streams(const struct Ps2MouseState *s)
{
    return s->mouse_status & STATUS_ENABLED && !(s->mouse_status & STATUS_REMOTE) && !s->mouse_wrap;
}

static bool mouse_has_motion(const struct Ps2MouseState *s)
{
    return s->mouse_dx || s->mouse_dy || (s->mouse_dz && s->mouse_type != TYPE_PLAIN);
}

static void ps2_mouse_drained(Ps2Port *port)
{
    Ps2Mouse *k = PS2_MOUSE(port);

    if (mouse_streams(&k->s) && mouse_has_motion(&k->s)) ps2_mouse_packet(k);
}

static void ps2_mouse_event(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    Ps2Mouse *k = opaque;
    struct Ps2MouseState *s = &k->s;

    if (!(s->mouse_status & STATUS_ENABLED)) return;
    s->mouse_dx = mouse_clamp((int64_t)s->mouse_dx + dx, MOTION_MAX);
    s->mouse_dy = mouse_clamp((int64_t)s->mouse_dy - dy, MOTION_MAX);
    s->mouse_dz = mouse_clamp((int64_t)s->mouse_dz + dz, MOTION_MAX);
    s->mouse_buttons = (uint8_t)buttons;
    if (!mouse_streams(s)) return;
    while (ps2_mouse_packet(k) && mouse_has_motion(s)) continue;
}

/* -- commands -- */

static void mouse_defaults(struct Ps2MouseState *s)
{
    s->mouse_status = 0;
    s->mouse_resolution = 2;
    s->mouse_sample_rate = 100;
    s->mouse_wrap = 0;
    s->mouse_detect_state = DETECT_NONE;
    s->mouse_dx = s->mouse_dy = s->mouse_dz = 0;
}

/* Drivers ask for more than three bytes by a sequence of sample rates. */
static void ps2_mouse_rate(struct Ps2MouseState *s, uint8_t rate)
{
    uint8_t seen = s->mouse_detect_state;

    s->mouse_sample_rate = rate;
    s->mouse_detect_state = DETECT_NONE;
    if (rate == 200) s->mouse_detect_state = seen == DETECT_200 ? DETECT_200_200 : DETECT_200;
    if (rate == 100 && seen == DETECT_200) s->mouse_detect_state = DETECT_200_100;
    if (rate == 80 && seen == DETECT_200_100) s->mouse_type = TYPE_WHEEL;
    if (rate == 80 && seen == DETECT_200_200) s->mouse_type = TYPE_EXPLORER;
}

static uint8_t mouse_status_byte(const struct Ps2MouseState *s)
{
    uint8_t b = s->mouse_buttons;

    return (uint8_t)(s->mouse_status | (b & MOUSE_LEFT) << 2 | (b & MOUSE_MIDDLE) >> 1 |
                     (b & MOUSE_RIGHT) >> 1);
}

static void ps2_mouse_command(Ps2Mouse *k, uint8_t val)
{
    struct Ps2MouseState *s = &k->s;
    const uint8_t status[4] = { PS2_ACK, mouse_status_byte(s), s->mouse_resolution,
        s->mouse_sample_rate };
    const uint8_t id[2] = { PS2_ACK, s->mouse_type };
    const uint8_t passed[3] = { PS2_ACK, PS2_TEST_PASSED, 0 };

    switch (val) {
    case MOUSE_SCALE_1: s->mouse_status &= ~STATUS_SCALE_2; break;
    case MOUSE_SCALE_2: s->mouse_status |= STATUS_SCALE_2; break;
    case MOUSE_STREAM: s->mouse_status &= ~STATUS_REMOTE; break;
    case MOUSE_REMOTE: s->mouse_status |= STATUS_REMOTE; break;
    case MOUSE_WRAP: s->mouse_wrap = 1; break;
    case MOUSE_UNWRAP: break;
    case MOUSE_ENABLE: s->mouse_status |= STATUS_ENABLED; break;
    case MOUSE_DISABLE: s->mouse_status &= ~STATUS_ENABLED; break;
    case MOUSE_DEFAULTS: mouse_defaults(s); break;
    case MOUSE_RESOLUTION:
    case MOUSE_RATE: s->common.write_cmd = val; break;
    case MOUSE_STATUS: ps2_answer(&k->port, status, 4); return;
    case MOUSE_IDENTIFY: ps2_answer(&k->port, id, 2); return;
    case MOUSE_READ:
        ps2_answer1(&k->port, PS2_ACK);
        ps2_mouse_packet(k);
        return;
    case MOUSE_RESEND: ps2_answer1(&k->port, s->common.data[(s->common.rptr - 1) & 255]); return;
    case MOUSE_RESET:
        mouse_defaults(s);
        s->mouse_type = TYPE_PLAIN;
        ps2_common_reset(&s->common);
        ps2_answer(&k->port, passed, 3);
        return;
    default: ps2_answer1(&k->port, PS2_RESEND); return;
    }
    ps2_answer1(&k->port, PS2_ACK);
}

static void ps2_mouse_write(Ps2Port *port, uint8_t val)
{
    Ps2Mouse *k = PS2_MOUSE(port);
    struct Ps2MouseState *s = &k->s;
    int32_t cmd = s->common.write_cmd;

    s->common.write_cmd = -1;
    if (s->mouse_wrap && val != MOUSE_UNWRAP && val != MOUSE_RESET) {
        ps2_answer1(port, val);
        return;
    }
    s->mouse_wrap = 0;
    if (cmd == MOUSE_RATE) ps2_mouse_rate(s, val);
    if (cmd == MOUSE_RESOLUTION) s->mouse_resolution = val;
    if (cmd < 0)
        ps2_mouse_command(k, val);
    else
        ps2_answer1(port, PS2_ACK);
}

/* -- life -- */

static bool ps2_mouse_realize(Device *dev, Error *err)
{
    Ps2Port *port = &PS2_MOUSE(dev)->port;

    (void)err;
    port->write = ps2_mouse_write;
    port->drained = ps2_mouse_drained;
    port->input = (InputHandler){ .name = "PS/2 Mouse", .mouse = ps2_mouse_event, .opaque = dev };
    input_handler_add(dev->m, &port->input);
    return true;
}

static void ps2_mouse_unrealize(Device *dev)
{
    input_handler_del(dev->m, &PS2_MOUSE(dev)->port.input);
}

static void ps2_mouse_reset(Device *dev)
{
    struct Ps2MouseState *s = &PS2_MOUSE(dev)->s;

    *s = (struct Ps2MouseState){ .mouse_type = TYPE_PLAIN };
    ps2_common_reset(&s->common);
    mouse_defaults(s);
}

DEVICE(ps2_mouse, "PS/2 mouse", Ps2Mouse, .name = "ps2-mouse",
    .vmstates = VMSTATES(&ps2_mouse_vmstate), .realize = ps2_mouse_realize,
    .unrealize = ps2_mouse_unrealize, .power_on = ps2_mouse_reset, .reset = ps2_mouse_reset,
    .sync = ps2_sync);
