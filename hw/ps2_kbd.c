/* SPDX-License-Identifier: MIT */
/*
 * PS/2 keyboard (MF2, 105 keys) with scan code sets 1, 2 and 3.
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-key)".
 * Not modelled: typematic repeat (the host's keyboard repeats), per-key types of set 3.
 *
 * The controller's translation to set 1 is done here, where a snapshot has it.
 */
#include "hw/ps2.h"

enum { SET_FIRST = 1, SET_TRANSLATED = 2, SET_LAST = 3 };
enum {
    KBD_SET_LEDS = 0xed,
    KBD_ECHO = 0xee,
    KBD_SCANCODE_SET = 0xf0,
    KBD_IDENTIFY = 0xf2,
    KBD_RATE = 0xf3,
    KBD_ENABLE = 0xf4,
    KBD_DISABLE = 0xf5,
    KBD_DEFAULTS = 0xf6,
    KBD_ALL_TYPES = 0xf7, /* to fa */
    KBD_KEY_TYPES = 0xfb, /* to fd */
    KBD_RESEND = 0xfe,
    KBD_RESET = 0xff,
};
enum { BREAK = 0xf0, EXTENDED = 0xe0 };

typedef struct Ps2Kbd {
    Ps2Port port;
    struct Ps2KbdState {
        Ps2Common common;
        int32_t scan_enabled, translate, scancode_set;
        int32_t ledstate;
        bool need_high_bit; /* translation has swallowed a break prefix */
    } s;
} Ps2Kbd;
#define PS2_KBD(d) ((Ps2Kbd *)(d))

static const VmField ps2_kbd_fields[] = {
    VM_STRUCT(struct Ps2KbdState, common, "parent_obj", ps2_common_vmstate, 3),
    VM_INT(struct Ps2KbdState, scan_enabled),
    VM_INT(struct Ps2KbdState, translate),
    VM_INT_V(struct Ps2KbdState, scancode_set, "scancode_set", 3),
    VM_END,
};

static const VmField ps2_kbd_led_fields[] = { VM_INT(struct Ps2KbdState, ledstate), VM_END };

static bool ps2_kbd_led_needed(const void *state)
{
    return ((const struct Ps2KbdState *)state)->ledstate != 0;
}

static const VmState ps2_kbd_led_vmstate = {
    .name = "ps2kbd/ledstate",
    .version = 3,
    .min_version = 2,
    .fields = ps2_kbd_led_fields,
    .needed = ps2_kbd_led_needed,
};

static const VmField ps2_kbd_high_fields[] = { VM_INT(struct Ps2KbdState, need_high_bit), VM_END };

static bool ps2_kbd_high_needed(const void *state)
{
    return ((const struct Ps2KbdState *)state)->need_high_bit;
}

static const VmState ps2_kbd_high_vmstate = {
    .name = "ps2kbd/need_high_bit",
    .version = 1,
    .min_version = 1,
    .fields = ps2_kbd_high_fields,
    .needed = ps2_kbd_high_needed,
};

static const VmField ps2_kbd_answer_fields[] = {
    VM_INT_AS(struct Ps2KbdState, common.cwptr, "parent_obj.queue.cwptr"),
    VM_END,
};

static bool ps2_kbd_answer_post_load(void *state, int version, Error *err)
{
    (void)version;
    return ps2_common_check_answer(&((const struct Ps2KbdState *)state)->common, err);
}

static const VmState ps2_kbd_answer_vmstate = {
    .name = "ps2kbd/command_reply_queue",
    .fields = ps2_kbd_answer_fields,
    .needed = ps2_common_has_answer,
    .post_load = ps2_kbd_answer_post_load,
};

static bool ps2_kbd_post_load(void *state, int version, Error *err)
{
    struct Ps2KbdState *s = state;

    if (version < 3) s->scancode_set = SET_TRANSLATED;
    if (s->scancode_set < SET_FIRST || s->scancode_set > SET_LAST)
        return error_set(err, "ps2kbd: scan code set out of range");
    return true;
}

static const VmState ps2_kbd_vmstate = {
    .name = "ps2kbd",
    .version = 3,
    .min_version = 2,
    .fields = ps2_kbd_fields,
    .subsections = VMSTATES(&ps2_kbd_led_vmstate, &ps2_kbd_high_vmstate, &ps2_kbd_answer_vmstate),
    .post_load = ps2_kbd_post_load,
};

/* What the controller makes of a code of set 2; codes from 85h on stay as they are. */
static const uint8_t kbd_to_set1[0x85] = {
    0xff,
    0x43,
    0x41,
    0x3f,
    0x3d,
    0x3b,
    0x3c,
    0x58,
    0x64,
    0x44,
    0x42,
    0x40,
    0x3e,
    0x0f,
    0x29,
    0x59,
    0x65,
    0x38,
    0x2a,
    0x70,
    0x1d,
    0x10,
    0x02,
    0x5a,
    0x66,
    0x71,
    0x2c,
    0x1f,
    0x1e,
    0x11,
    0x03,
    0x5b,
    0x67,
    0x2e,
    0x2d,
    0x20,
    0x12,
    0x05,
    0x04,
    0x5c,
    0x68,
    0x39,
    0x2f,
    0x21,
    0x14,
    0x13,
    0x06,
    0x5d,
    0x69,
    0x31,
    0x30,
    0x23,
    0x22,
    0x15,
    0x07,
    0x5e,
    0x6a,
    0x72,
    0x32,
    0x24,
    0x16,
    0x08,
    0x09,
    0x5f,
    0x6b,
    0x33,
    0x25,
    0x17,
    0x18,
    0x0b,
    0x0a,
    0x60,
    0x6c,
    0x34,
    0x35,
    0x26,
    0x27,
    0x19,
    0x0c,
    0x61,
    0x6d,
    0x73,
    0x28,
    0x74,
    0x1a,
    0x0d,
    0x62,
    0x6e,
    0x3a,
    0x36,
    0x1c,
    0x1b,
    0x75,
    0x2b,
    0x63,
    0x76,
    0x55,
    0x56,
    0x77,
    0x78,
    0x79,
    0x7a,
    0x0e,
    0x7b,
    0x7c,
    0x4f,
    0x7d,
    0x4b,
    0x47,
    0x7e,
    0x7f,
    0x6f,
    0x52,
    0x53,
    0x50,
    0x4c,
    0x4d,
    0x48,
    0x01,
    0x45,
    0x57,
    0x4e,
    0x51,
    0x4a,
    0x37,
    0x49,
    0x46,
    0x54,
    0x80,
    0x81,
    0x82,
    0x41,
    0x54,
};

/* Codes of set 3 by codes of set 1: plain ones, then those with E0. */
static const uint8_t kbd_set3[0x80] = {
    [0x01] = 0x08,
    0x16,
    0x1e,
    0x26,
    0x25,
    0x2e,
    0x36,
    0x3d,
    0x3e,
    0x46,
    0x45,
    0x4e,
    0x55,
    0x66,
    [0x0f] = 0x0d,
    0x15,
    0x1d,
    0x24,
    0x2d,
    0x2c,
    0x35,
    0x3c,
    0x43,
    0x44,
    0x4d,
    0x54,
    0x5b,
    0x5a,
    [0x1d] = 0x11,
    0x1c,
    0x1b,
    0x23,
    0x2b,
    0x34,
    0x33,
    0x3b,
    0x42,
    0x4b,
    0x4c,
    0x52,
    0x0e,
    0x12,
    [0x2b] = 0x5c,
    0x1a,
    0x22,
    0x21,
    0x2a,
    0x32,
    0x31,
    0x3a,
    0x41,
    0x49,
    0x4a,
    0x59,
    0x7e,
    0x19,
    [0x39] = 0x29,
    0x14,
    0x07,
    0x0f,
    0x17,
    0x1f,
    0x27,
    0x2f,
    0x37,
    0x3f,
    0x47,
    0x4f,
    0x76,
    0x5f,
    [0x47] = 0x6c,
    0x75,
    0x7d,
    0x84,
    0x6b,
    0x73,
    0x74,
    0x7c,
    0x69,
    0x72,
    0x7a,
    0x70,
    0x71,
    [0x54] = 0x57,
    [0x56] = 0x13,
    [0x57] = 0x56,
    [0x58] = 0x5e,
};
static const uint8_t kbd_set3_extended[0x80] = {
    [0x1c] = 0x79,
    [0x1d] = 0x58,
    [0x35] = 0x77,
    [0x37] = 0x57,
    [0x38] = 0x39,
    [0x47] = 0x6e,
    [0x48] = 0x63,
    [0x49] = 0x6f,
    [0x4b] = 0x61,
    [0x4d] = 0x6a,
    [0x4f] = 0x65,
    [0x50] = 0x60,
    [0x51] = 0x6d,
    [0x52] = 0x67,
    [0x53] = 0x64,
    [0x5b] = 0x8b,
    [0x5c] = 0x8c,
    [0x5d] = 0x8d,
};

/* The code of set 2 that becomes this one of set 1, or 0. */
static uint8_t kbd_set2(uint8_t set1)
{
    for (unsigned i = ARRAY_SIZE(kbd_to_set1) - 1; i; i--)
        if (kbd_to_set1[i] == set1) return (uint8_t)i;
    return 0;
}

/* -- keys -- */

typedef struct KbdBytes {
    uint8_t byte[8];
    unsigned n;
} KbdBytes;

static void kbd_add(KbdBytes *b, uint8_t byte) { b->byte[b->n++] = byte; }

/* One code with its prefixes; set 1 marks a break in the code, the others by a prefix. */
static void kbd_add_code(KbdBytes *b, int set, uint8_t code, bool extended, bool down)
{
    if (extended) kbd_add(b, EXTENDED);
    if (!down && set != SET_FIRST) kbd_add(b, BREAK);
    kbd_add(b, (uint8_t)(down || set != SET_FIRST ? code : code | 0x80));
}

static void kbd_pause(KbdBytes *b, int set)
{
    static const uint8_t set1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
    static const uint8_t set2[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };

    b->n = set == SET_FIRST ? sizeof(set1) : sizeof(set2);
    memcpy(b->byte, set == SET_FIRST ? set1 : set2, b->n);
}

static void kbd_print(KbdBytes *b, int set, bool down)
{
    uint8_t shift = set == SET_FIRST ? 0x2a : kbd_set2(0x2a);
    uint8_t print = set == SET_FIRST ? 0x37 : kbd_set2(0x37);

    kbd_add_code(b, set, down ? shift : print, true, down);
    kbd_add_code(b, set, down ? print : shift, true, down);
}

static void kbd_encode(KbdBytes *b, int set, int key, bool down)
{
    uint8_t code = key & 0x7f;

    if (set == SET_LAST) {
        if (key == KEY_PAUSE)
            code = 0x62;
        else
            code = (key & 0x80 ? kbd_set3_extended : kbd_set3)[code];
        if (code) kbd_add_code(b, set, code, false, down);
    } else if (key == KEY_PAUSE) {
        if (down) kbd_pause(b, set);
    } else if (key == KEY_PRINT) {
        kbd_print(b, set, down);
    } else {
        if (set != SET_FIRST) code = kbd_set2(code);
        if (code) kbd_add_code(b, set, code, key & 0x80, down);
    }
}

static void ps2_kbd_send(Ps2Kbd *k, uint8_t byte)
{
    struct Ps2KbdState *s = &k->s;

    if (s->translate && byte == BREAK) {
        s->need_high_bit = true;
        return;
    }
    if (s->translate && byte < ARRAY_SIZE(kbd_to_set1)) byte = kbd_to_set1[byte];
    if (s->need_high_bit) byte |= 0x80;
    s->need_high_bit = false;
    ps2_queue(&k->port, byte);
}

static void ps2_kbd_key(void *opaque, int key, bool down)
{
    Ps2Kbd *k = opaque;
    KbdBytes b = { .n = 0 };

    if (!k->s.scan_enabled) return;
    kbd_encode(&b, k->s.scancode_set, key, down);
    if (!ps2_room(&k->s.common, b.n)) return; /* half a key would be worse than none */
    for (unsigned i = 0; i < b.n; i++) ps2_kbd_send(k, b.byte[i]);
}

/* -- commands -- */

static void ps2_kbd_set_leds(Ps2Kbd *k, int32_t leds)
{
    k->s.ledstate = leds;
    input_set_leds(k->port.dev.m, (unsigned)leds);
}

static void ps2_kbd_defaults(Ps2Kbd *k, bool enabled)
{
    Ps2Common *c = &k->s.common;

    ps2_common_reset(c);
    k->s.scan_enabled = enabled;
    k->s.scancode_set = SET_TRANSLATED;
    k->s.need_high_bit = false;
    ps2_kbd_set_leds(k, 0);
    ps2_sync(&k->port.dev);
}

static void ps2_kbd_scancode_set(Ps2Kbd *k, uint8_t val)
{
    uint8_t answer[2] = { PS2_ACK, (uint8_t)k->s.scancode_set };

    if (val == 0) {
        if (k->s.translate) answer[1] = kbd_to_set1[answer[1]];
        ps2_answer(&k->port, answer, 2);
    } else if (val <= SET_LAST) {
        k->s.scancode_set = val;
        ps2_answer1(&k->port, PS2_ACK);
    } else {
        ps2_answer1(&k->port, PS2_RESEND);
    }
}

static void ps2_kbd_argument(Ps2Kbd *k, uint8_t val)
{
    int32_t cmd = k->s.common.write_cmd;

    k->s.common.write_cmd = -1;
    if (cmd == KBD_SCANCODE_SET) {
        ps2_kbd_scancode_set(k, val);
        return;
    }
    if (cmd == KBD_SET_LEDS) ps2_kbd_set_leds(k, val & 7);
    ps2_answer1(&k->port, PS2_ACK);
}

static void ps2_kbd_command(Ps2Kbd *k, uint8_t val)
{
    uint8_t id[3] = { PS2_ACK, 0xab, k->s.translate ? kbd_to_set1[0x83] : 0x83 };
    const uint8_t passed[2] = { PS2_ACK, PS2_TEST_PASSED };

    switch (val) {
    case KBD_ECHO: ps2_answer1(&k->port, KBD_ECHO); return;
    case KBD_IDENTIFY: ps2_answer(&k->port, id, 3); return;
    case KBD_RESEND: ps2_answer1(&k->port, k->s.common.data[(k->s.common.rptr - 1) & 255]); return;
    case KBD_RESET:
        ps2_kbd_defaults(k, true);
        ps2_answer(&k->port, passed, 2);
        return;
    case KBD_SET_LEDS:
    case KBD_SCANCODE_SET:
    case KBD_RATE: k->s.common.write_cmd = val; break;
    case KBD_ENABLE: k->s.scan_enabled = 1; break;
    case KBD_DISABLE:
    case KBD_DEFAULTS: ps2_kbd_defaults(k, val == KBD_DEFAULTS); break;
    default:
        if (val < KBD_ALL_TYPES) {
            ps2_answer1(&k->port, PS2_RESEND);
            return;
        }
    }
    ps2_answer1(&k->port, PS2_ACK);
}

static void ps2_kbd_write(Ps2Port *port, uint8_t val)
{
    Ps2Kbd *k = PS2_KBD(port);

    /* A command byte in place of an argument is a new command. */
    if (k->s.common.write_cmd >= 0 && val < KBD_SET_LEDS)
        ps2_kbd_argument(k, val);
    else
        k->s.common.write_cmd = -1, ps2_kbd_command(k, val);
}

void ps2_kbd_set_translation(Device *dev, bool on) { PS2_KBD(dev)->s.translate = on; }

/* -- life -- */

static bool ps2_kbd_realize(Device *dev, Error *err)
{
    Ps2Port *port = &PS2_KBD(dev)->port;

    (void)err;
    port->write = ps2_kbd_write;
    port->input = (InputHandler){ .name = "PS/2 Keyboard", .key = ps2_kbd_key, .opaque = dev };
    input_handler_add(dev->m, &port->input);
    return true;
}

static void ps2_kbd_unrealize(Device *dev) { input_handler_del(dev->m, &PS2_KBD(dev)->port.input); }

static void ps2_kbd_reset(Device *dev)
{
    struct Ps2KbdState *s = &PS2_KBD(dev)->s;

    *s = (struct Ps2KbdState){ .scan_enabled = 1, .scancode_set = SET_TRANSLATED };
    ps2_common_reset(&s->common);
}

static void ps2_kbd_sync(Device *dev)
{
    input_set_leds(dev->m, (unsigned)PS2_KBD(dev)->s.ledstate);
    ps2_sync(dev);
}

DEVICE(ps2_kbd, "PS/2 keyboard", Ps2Kbd, .name = "ps2-kbd", .vmstates = VMSTATES(&ps2_kbd_vmstate),
    .realize = ps2_kbd_realize, .unrealize = ps2_kbd_unrealize, .power_on = ps2_kbd_reset,
    .reset = ps2_kbd_reset, .sync = ps2_kbd_sync);
