/* SPDX-License-Identifier: MIT */
/*
 * 8042 keyboard controller, PS/2 type: keyboard on IRQ 1, mouse on IRQ 12, A20 and reset.
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and auxiliary device
 * controller"; Intel 8042 (UPI-42) data sheet.
 * Not modelled: the controller's own RAM beyond the command byte, password, timeouts, the serial
 * lines' timing (the next byte is there as soon as one has been read).
 *
 * A byte stays in its device until the CPU reads it: the output buffer only says where from
 * (obsrc).  Whether A20 is open is the CPU's state: it is driven when a command says so, and a load
 * does not drive it.  A reset request resets the machine, not only the CPU.
 */
#include "core/machine.h"
#include "hw/acpi.h"
#include "hw/ps2.h"

enum { REG_DATA, REG_COMMAND };
enum { LINE_KBD, LINE_MOUSE }; /* input wires */
enum {
    CMD_READ_MODE = 0x20,
    CMD_WRITE_MODE = 0x60,
    CMD_MOUSE_OFF = 0xa7,
    CMD_MOUSE_ON = 0xa8,
    CMD_TEST_MOUSE = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_TEST_KBD = 0xab,
    CMD_KBD_OFF = 0xad,
    CMD_KBD_ON = 0xae,
    CMD_READ_INPORT = 0xc0,
    CMD_READ_OUTPORT = 0xd0,
    CMD_WRITE_OUTPORT = 0xd1,
    CMD_WRITE_KBD_BUFFER = 0xd2,
    CMD_WRITE_MOUSE_BUFFER = 0xd3,
    CMD_WRITE_MOUSE = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_PULSE = 0xf0, /* to ff */
};
enum {
    STATUS_OBF = 0x01,
    STATUS_SELFTEST = 0x04,
    STATUS_COMMAND = 0x08, /* the last write was to 64h */
    STATUS_UNLOCKED = 0x10,
    STATUS_MOUSE_OBF = 0x20,
};
enum {
    MODE_KBD_INT = 0x01,
    MODE_MOUSE_INT = 0x02,
    MODE_SYSTEM = 0x04,
    MODE_KBD_OFF = 0x10,
    MODE_MOUSE_OFF = 0x20,
    MODE_TRANSLATE = 0x40,
};
enum { OUT_RESET = 0x01, OUT_A20 = 0x02, OUT_OBF = 0x10, OUT_MOUSE_OBF = 0x20 };
/* The device bits are those of the mode's "off" bits. */
enum {
    PENDING_OLD_KBD = 0x01, /* as senders without extended_state have it */
    PENDING_OLD_MOUSE = 0x02,
    PENDING_REPLY = 0x04,
    PENDING_MOUSE_REPLY = 0x08,
    PENDING_KBD = MODE_KBD_OFF,
    PENDING_MOUSE = MODE_MOUSE_OFF,
};
enum { FROM_KBD = 1, FROM_MOUSE = 2, FROM_CONTROLLER = 4 };
#define FROM_UNKNOWN UINT32_MAX

typedef struct Kbc {
    Device dev;
    Irq kbd_irq, mouse_irq, a20;
    Device *kbd, *mouse;
    struct KbcState {
        uint8_t write_cmd; /* the command whose data byte is awaited, or 0 */
        uint8_t status, mode;
        uint8_t pending; /* who has a byte */
        uint32_t migration_flags;
        uint32_t obsrc;
        uint8_t obdata; /* the byte last read */
        uint8_t cbdata; /* the controller's own reply */
        uint8_t outport;
    } s;
} Kbc;
#define KBC(d) ((Kbc *)(d))

/* -- on the wire -- */

static uint8_t kbc_default_outport(const struct KbcState *s)
{
    return (uint8_t)(OUT_RESET | OUT_A20 | (s->status & STATUS_OBF ? OUT_OBF : 0) |
                     (s->status & STATUS_MOUSE_OBF ? OUT_MOUSE_OBF : 0));
}

static const VmField kbc_outport_fields[] = { VM_INT(struct KbcState, outport), VM_END };

static bool kbc_outport_needed(const void *state)
{
    const struct KbcState *s = state;

    return s->outport != kbc_default_outport(s);
}

static const VmState kbc_outport_vmstate = {
    .name = "pckbd_outport",
    .version = 1,
    .min_version = 1,
    .fields = kbc_outport_fields,
    .needed = kbc_outport_needed,
};

static const VmField kbc_extended_fields[] = {
    VM_INT(struct KbcState, migration_flags),
    VM_INT(struct KbcState, obsrc),
    VM_INT(struct KbcState, obdata),
    VM_INT(struct KbcState, cbdata),
    VM_END,
};

static const VmState kbc_extended_vmstate = {
    .name = "pckbd/extended_state",
    .fields = kbc_extended_fields,
};

static const VmField kbc_fields[] = {
    VM_INT(struct KbcState, write_cmd),
    VM_INT(struct KbcState, status),
    VM_INT(struct KbcState, mode),
    VM_INT_AS(struct KbcState, pending, "pending_tmp"),
    VM_END,
};

static bool kbc_pre_load(void *state, Error *err)
{
    struct KbcState *s = state;

    (void)err;
    s->obsrc = FROM_UNKNOWN;
    s->outport = 0; /* which would hold the machine in reset */
    return true;
}

static bool kbc_post_load(void *state, int version, Error *err)
{
    struct KbcState *s = state;

    (void)version, (void)err;
    if (!s->outport) s->outport = kbc_default_outport(s);
    if (s->obsrc != FROM_UNKNOWN) return true;
    s->obsrc = s->status & STATUS_OBF ? FROM_KBD : 0;
    if (s->status & STATUS_MOUSE_OBF) s->obsrc = FROM_MOUSE;
    s->pending = (uint8_t)((s->pending & PENDING_OLD_KBD ? PENDING_KBD : 0) |
                           (s->pending & PENDING_OLD_MOUSE ? PENDING_MOUSE : 0));
    return true;
}

static const VmState kbc_state_vmstate = {
    .name = "pckbd",
    .version = 3,
    .min_version = 3,
    .fields = kbc_fields,
    .subsections = VMSTATES(&kbc_outport_vmstate, &kbc_extended_vmstate),
    .pre_load = kbc_pre_load,
    .post_load = kbc_post_load,
};

typedef struct KbcSection {
    struct KbcState kbd;
} KbcSection;

static const VmField kbc_section_fields[] = {
    VM_STRUCT(KbcSection, kbd, "kbd", kbc_state_vmstate, 3),
    VM_END,
};

static const VmState kbc_vmstate = {
    .name = "pckbd",
    .version = 3,
    .min_version = 3,
    .fields = kbc_section_fields,
};

static const Prop kbc_props[] = {
    PROP_AS(Kbc, kbd_irq, "kbd-irq", "pic.1"),
    PROP_AS(Kbc, mouse_irq, "mouse-irq", "pic.12"),
    PROP(Kbc, a20, "cpu0.3"),
    PROP(Kbc, kbd, ""),   /* none given: one of its own */
    PROP(Kbc, mouse, ""), /* likewise */
    PROP_END,
};

/* -- the output buffer -- */

static void kbc_drive(Kbc *k)
{
    const struct KbcState *s = &k->s;
    bool full = s->status & STATUS_OBF, mouse = s->status & STATUS_MOUSE_OBF;

    irq_set(
        &k->kbd_irq, full && !mouse && (s->mode & (MODE_KBD_INT | MODE_KBD_OFF)) == MODE_KBD_INT);
    irq_set(&k->mouse_irq, full && mouse && s->mode & MODE_MOUSE_INT);
}

/* Offers the next byte, if the last one has been read: the controller's own first. */
static void kbc_refill(Kbc *k)
{
    struct KbcState *s = &k->s;
    bool mouse = false;

    if (s->status & STATUS_OBF) return;
    if (s->pending & (PENDING_REPLY | PENDING_MOUSE_REPLY)) {
        s->obsrc = FROM_CONTROLLER;
        mouse = !(s->pending & PENDING_REPLY);
    } else if (s->pending & ~s->mode & PENDING_KBD) {
        s->obsrc = FROM_KBD;
    } else if (s->pending & ~s->mode & PENDING_MOUSE) {
        s->obsrc = FROM_MOUSE;
        mouse = true;
    } else {
        return;
    }
    s->status |= STATUS_OBF | (mouse ? STATUS_MOUSE_OBF : 0);
    s->outport |= OUT_OBF | (mouse ? OUT_MOUSE_OBF : 0);
}

static void kbc_update(Kbc *k)
{
    kbc_refill(k);
    kbc_drive(k);
}

static void kbc_irq_in(Device *dev, int line, bool level)
{
    Kbc *k = KBC(dev);
    uint8_t bit = line == LINE_KBD ? PENDING_KBD : PENDING_MOUSE;

    if (dev->m->syncing) return; /* pending has been loaded */
    k->s.pending = level ? k->s.pending | bit : k->s.pending & ~bit;
    kbc_update(k);
}

static void kbc_reply(Kbc *k, uint8_t byte, bool as_mouse)
{
    struct KbcState *s = &k->s;

    s->cbdata = byte;
    s->pending &= ~(PENDING_REPLY | PENDING_MOUSE_REPLY);
    s->pending |= as_mouse ? PENDING_MOUSE_REPLY : PENDING_REPLY;
}

static uint8_t kbc_read_data(Kbc *k)
{
    struct KbcState *s = &k->s;

    if (!(s->status & STATUS_OBF)) return s->obdata;
    s->status &= ~(STATUS_OBF | STATUS_MOUSE_OBF);
    s->outport &= ~(OUT_OBF | OUT_MOUSE_OBF);
    kbc_drive(k);
    switch (s->obsrc) {
    case FROM_CONTROLLER:
        s->pending &= ~(PENDING_REPLY | PENDING_MOUSE_REPLY);
        s->obdata = s->cbdata;
        break;
    case FROM_MOUSE: s->obdata = ps2_read(k->mouse); break;
    default: s->obdata = ps2_read(k->kbd);
    }
    kbc_update(k);
    return s->obdata;
}

/* -- commands -- */

static void kbc_set_a20(Kbc *k, bool open)
{
    k->s.outport = open ? k->s.outport | OUT_A20 : k->s.outport & ~OUT_A20;
    irq_set(&k->a20, open);
}

static void kbc_set_mode(Kbc *k, uint8_t mode)
{
    k->s.mode = mode;
    if (mode & MODE_SYSTEM) k->s.status |= STATUS_SELFTEST;
    if (!(mode & MODE_SYSTEM)) k->s.status &= ~STATUS_SELFTEST;
    ps2_kbd_set_translation(k->kbd, mode & MODE_TRANSLATE);
}

static void kbc_write_outport(Kbc *k, uint8_t val)
{
    k->s.outport = (k->s.outport & (OUT_OBF | OUT_MOUSE_OBF)) |
                   (val & ~(OUT_OBF | OUT_MOUSE_OBF | OUT_RESET)) | OUT_RESET;
    kbc_set_a20(k, val & OUT_A20);
    if (!(val & OUT_RESET)) machine_request_reset(k->dev.m, RESET_GUEST);
}

static void kbc_command(Kbc *k, uint8_t val)
{
    struct KbcState *s = &k->s;

    s->write_cmd = 0;
    if (val >= CMD_PULSE) {
        if (!(val & OUT_RESET)) machine_request_reset(k->dev.m, RESET_GUEST);
        return;
    }
    switch (val) {
    case CMD_READ_MODE: kbc_reply(k, s->mode, false); break;
    case CMD_MOUSE_OFF: s->mode |= MODE_MOUSE_OFF; break;
    case CMD_MOUSE_ON: s->mode &= ~MODE_MOUSE_OFF; break;
    case CMD_KBD_OFF: s->mode |= MODE_KBD_OFF; break;
    case CMD_KBD_ON: s->mode &= ~MODE_KBD_OFF; break;
    case CMD_TEST_MOUSE:
    case CMD_TEST_KBD: kbc_reply(k, 0, false); break;
    case CMD_SELF_TEST:
        s->status |= STATUS_SELFTEST;
        kbc_reply(k, 0x55, false);
        break;
    case CMD_READ_INPORT: kbc_reply(k, 0x80, false); break; /* not locked */
    case CMD_READ_OUTPORT: kbc_reply(k, s->outport, false); break;
    case CMD_A20_OFF:
    case CMD_A20_ON: kbc_set_a20(k, val == CMD_A20_ON); break;
    case CMD_WRITE_MODE:
    case CMD_WRITE_OUTPORT:
    case CMD_WRITE_KBD_BUFFER:
    case CMD_WRITE_MOUSE_BUFFER:
    case CMD_WRITE_MOUSE: s->write_cmd = val; break;
    default: guest_error(&k->dev, "unknown command %02x", val);
    }
}

static void kbc_write_data(Kbc *k, uint8_t val)
{
    struct KbcState *s = &k->s;
    uint8_t cmd = s->write_cmd;

    s->write_cmd = 0;
    switch (cmd) {
    case CMD_WRITE_MODE: kbc_set_mode(k, val); break;
    case CMD_WRITE_OUTPORT: kbc_write_outport(k, val); break;
    case CMD_WRITE_KBD_BUFFER: kbc_reply(k, val, false); break;
    case CMD_WRITE_MOUSE_BUFFER: kbc_reply(k, val, true); break;
    case CMD_WRITE_MOUSE: /* talking to a device turns its line on */
        s->mode &= ~MODE_MOUSE_OFF;
        ps2_write(k->mouse, val);
        break;
    default: s->mode &= ~MODE_KBD_OFF; ps2_write(k->kbd, val);
    }
}

static uint32_t kbc_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)size;
    return reg == REG_COMMAND ? KBC(dev)->s.status : kbc_read_data(KBC(dev));
}

static void kbc_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Kbc *k = KBC(dev);

    (void)size;
    if (reg == REG_COMMAND) {
        k->s.status |= STATUS_COMMAND;
        kbc_command(k, (uint8_t)val);
    } else {
        k->s.status &= ~STATUS_COMMAND;
        kbc_write_data(k, (uint8_t)val);
    }
    kbc_update(k);
}

static const IoOps kbc_io = { .read = kbc_read, .write = kbc_write };

/* -- life -- */

static bool kbc_realize(Device *dev, Error *err)
{
    Kbc *k = KBC(dev);

    if (!k->kbd) k->kbd = device_create(dev->m, "ps2-kbd", NULL, err, NULL);
    if (!k->mouse) k->mouse = device_create(dev->m, "ps2-mouse", NULL, err, NULL);
    if (!k->kbd || !k->mouse) return false;
    ps2_connect(k->kbd, (Irq){ dev, LINE_KBD });
    ps2_connect(k->mouse, (Irq){ dev, LINE_MOUSE });
    return pio_map(dev, 0x60, 1, &kbc_io, REG_DATA, "i8042-data", err) &&
           pio_map(dev, 0x64, 1, &kbc_io, REG_COMMAND, "i8042-cmd", err);
}

static void kbc_reset(Device *dev)
{
    KBC(dev)->s = (struct KbcState){ .mode = MODE_KBD_INT | MODE_MOUSE_INT,
        .status = STATUS_COMMAND | STATUS_UNLOCKED,
        .outport = OUT_RESET | OUT_A20 };
}

static void kbc_sync(Device *dev) { kbc_drive(KBC(dev)); }

DEVICE(kbc, "8042 keyboard controller", Kbc, .name = "i8042", .bus = "isa", .props = kbc_props,
    .vmstates = VMSTATES(&kbc_vmstate), .realize = kbc_realize, .power_on = kbc_reset,
    .reset = kbc_reset, .sync = kbc_sync, .irq_in = kbc_irq_in);

static void kbc_declare(Device *dev, Aml *a)
{
    Kbc *k = KBC(dev);
    Aml *keyboard = aml_new(), *mouse = aml_new();

    aml_res_io(keyboard, 0x60, 1);
    aml_res_io(keyboard, 0x64, 1);
    aml_res_irq(keyboard, (unsigned)k->kbd_irq.line);
    aml_res_irq(mouse, (unsigned)k->mouse_irq.line);
    acpi_isa_device(a, "KBD", "PNP0303", -1, keyboard);
    acpi_isa_device(a, "MOU", "PNP0F13", -1, mouse);
    aml_free(keyboard);
    aml_free(mouse);
}
ACPI_PART(kbc, ACPI_ON_ISA, kbc_declare);
