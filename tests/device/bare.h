/* SPDX-License-Identifier: MIT */
/*
 * A bare machine for device tests: RAM, a clock that stands still until it is told, and probes in
 * place of CPU and interrupt controller ("cpu0" and "pic", for wires), which remember levels and
 * count edges.
 */
#pragma once

#include <glib.h>
#include <string.h>

#include "core/machine.h"
#include "core/wires.h"
#include "util/bits.h"
#include "util/chardev.h"

enum { PROBE_LINES = PIC_WIRES, BARE_RAM = 1 * MiB };

typedef struct Probe {
    Device dev;
    bool level[PROBE_LINES];
    unsigned rises[PROBE_LINES];
} Probe;

static void probe_irq_in(Device *dev, int line, bool level)
{
    Probe *p = (Probe *)dev;

    g_assert_cmpint(line, <, PROBE_LINES);
    p->rises[line] += level && !p->level[line];
    p->level[line] = level;
}

static const DeviceClass probe_class = {
    .name = "test-probe", .desc = "wires", .size = sizeof(Probe), .irq_in = probe_irq_in
};
SET_ADD(devices, probe_class);

/* A character device that remembers what was written to it. */
typedef struct Tape {
    Chardev chr;
    GByteArray *written;
} Tape;

static bool tape_open(Chardev *chr, Options *opts, Error *err)
{
    (void)opts, (void)err;
    ((Tape *)chr)->written = g_byte_array_new();
    chardev_set_connected(chr, true);
    return true;
}

static size_t tape_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    g_byte_array_append(((Tape *)chr)->written, buf, (guint)len);
    return len;
}

static void tape_close(Chardev *chr) { g_byte_array_free(((Tape *)chr)->written, TRUE); }

static const ChardevClass tape_class = { .name = "tape",
    .desc = "for tests",
    .size = sizeof(Tape),
    .open = tape_open,
    .write = tape_write,
    .close = tape_close };
CHARDEV(tape_class);

static void tape_free(void *chr) { chardev_free(chr); }

/* The tape of this id, made on first use. */
static inline Tape *bare_tape(Machine *m, const char *id)
{
    Chardev *chr = machine_object(m, "chardev", id);
    Error err = ERROR_INIT;

    if (!chr) {
        chr = chardev_from_text(m->ctx, id, "tape", &err);
        if (!chr || !machine_object_add(m, "chardev", id, chr, tape_free, &err))
            g_error("%s", err.msg);
    }
    return (Tape *)chr;
}

/* Bytes from the far side, as many as the device takes. */
static inline void tape_feed(Tape *t, const void *bytes, size_t len)
{
    chardev_receive(&t->chr, bytes, MIN_OF(len, chardev_can_receive(&t->chr)));
}

/* machine_slot of the bare machine: its RAM's place in the map. */
typedef struct BareMap {
    MemRegion ram;
} BareMap;

static bool bare_init(Machine *m, Error *err)
{
    BareMap *map = machine_slot(m, "bare", sizeof(BareMap), NULL);
    RamBlock *ram = ram_block_new(m, "pc.ram", BARE_RAM, err);

    if (!ram) return false;
    map->ram = (MemRegion){ .name = "ram", .size = BARE_RAM, .enabled = true, .ram = ram };
    mem_region_add(m, &map->ram);
    return device_create(m, "test-probe", "cpu0", err, NULL) &&
           device_create(m, "test-probe", "pic", err, NULL);
}

static const MachineClass bare_machine = {
    .name = "bare", .desc = "for tests", .init = bare_init, .default_ram = BARE_RAM
};
SET_ADD(machines, bare_machine);

/* It counts as running, for input; virtual time is what the test says; the RTC starts on
 * 2024-02-28 23:59:00 UTC. */
static inline Machine *bare_new(void)
{
    Error err = ERROR_INIT;
    Machine *m = machine_new("bare", NULL, &err);

    g_assert_nonnull(m);
    m->config.rtc_base = 1709164740;
    m->config.ram_size = BARE_RAM;
    clock_set_icount(&m->clock, 0, false);
    if (!machine_init(m, &err)) g_error("%s", err.msg);
    machine_set_run_state(m, RUN_RUNNING);
    return m;
}

/* bare_add(m, class, id, "property", "text", ...): a device, reset; a failure ends the test. */
#define bare_add(m, cls, id, ...)                                                                  \
    ({                                                                                             \
        Error err_ = ERROR_INIT;                                                                   \
        Device *dev_ = device_create((m), (cls), (id), &err_, ##__VA_ARGS__, NULL);                \
        if (!dev_) g_error("%s", err_.msg);                                                        \
        machine_reset(m);                                                                          \
        dev_;                                                                                      \
    })

/* From here on virtual time goes with the host's, as it does without -icount. */
static inline void bare_host_time(Machine *m)
{
    clock_stop(&m->clock);
    m->clock.icount = false;
    clock_start(&m->clock);
}

static inline int64_t bare_now(Machine *m) { return clock_now(&m->clock); }

/* Lets virtual time pass, firing every timer at its instant. */
static inline void bare_run(Machine *m, int64_t ns)
{
    int64_t until = clock_now(&m->clock) + ns;

    while (clock_deadline(&m->clock) <= until) {
        clock_warp(&m->clock);
        clock_run_timers(&m->clock);
    }
    m->clock.warp_ns += until - clock_now(&m->clock);
}

static inline Probe *bare_probe(Machine *m, const char *id) { return (Probe *)device_find(m, id); }
/* A line of the interrupt controller, whoever drives it. */
static inline bool bare_irq(Machine *m, int line)
{
    const bool *level = bare_probe(m, "pic")->level;

    return level[line] || level[PIC_WIRE_PIRQ + line] || level[PIC_WIRE_SCI + line] ||
           level[PIC_WIRE_HPET + line];
}
static inline unsigned bare_rises(Machine *m, int line)
{
    const unsigned *rises = bare_probe(m, "pic")->rises;

    return rises[line] + rises[PIC_WIRE_PIRQ + line] + rises[PIC_WIRE_SCI + line] +
           rises[PIC_WIRE_HPET + line];
}

static inline uint8_t in8(Machine *m, uint32_t port) { return (uint8_t)pio_read(m, port, 1); }
static inline void out8(Machine *m, uint32_t port, unsigned v) { pio_write(m, port, v & 0xff, 1); }

/* -- saving and loading -- */

/* What a load puts behind a section: enough to show that no subsection follows. */
enum { BARE_FOOTER = 0x7e };

static inline void bare_save_section(Stream *st, Section *sec)
{
    if (sec->vmsd)
        vmstate_save(st, sec->vmsd, sec->state);
    else if (sec->ops)
        sec->ops->save(st, sec->opaque);
}

static inline void bare_settle(Machine *m)
{
    EACH_DEVICE (dev, m) device_settle(dev);
}

/* Copies the state of every device of one machine into its twin by way of the wire, and what only
 * exactness needs directly; then RAM, clock and the CPU's own lines. */
static inline void bare_copy(Machine *to, Machine *from)
{
    Device *a = device_first(from), *b = device_first(to);

    bare_settle(from);
    for (; a; a = a->next, b = b->next) {
        size_t size = a->cls->state_size;
        uint8_t *buf = g_malloc0(size + 1);

        g_assert_true(a->cls == b->cls);
        device_initial_state(b, buf);
        for (Section *s = from->sections; s; s = s->next) {
            Stream st;

            if (s->dev != a || !s->vmsd) continue;
            stream_init(&st);
            bare_save_section(&st, s);
            stream_put_u8(&st, BARE_FOOTER);
            if (!vmstate_load(&st, s->vmsd, buf, s->version))
                g_error("%s: %s", s->idstr, st.starved ? "starved" : st.err.msg);
            g_assert_cmpuint(stream_left(&st), ==, 1);
            stream_free(&st);
        }
        for (const VmField *f = a->cls->exact; f && f->name; f++)
            memcpy(buf + f->offset, (char *)device_state(a) + f->offset, f->count * f->stride);
        memcpy(device_state(b), buf, size);
        g_free(buf);
    }
    for (RamBlock *r = ram_block_first(from); r; r = r->next)
        if (memcmp(ram_block_find(to, r->idstr)->host, r->host, r->size))
            ram_block_write(ram_block_find(to, r->idstr), 0, r->host, r->size);
    clock_set(&to->clock, clock_now(&from->clock));
    bare_probe(to, "cpu0")->level[CPU_WIRE_A20] = bare_probe(from, "cpu0")->level[CPU_WIRE_A20];
    bare_probe(to, "cpu0")->level[CPU_WIRE_IGNNE] = bare_probe(from, "cpu0")->level[CPU_WIRE_IGNNE];
    machine_sync(to);
}
