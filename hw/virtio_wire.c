/* SPDX-License-Identifier: MIT */
/*
 * The field "virtio" of the sections of virtio devices, as another emulator's version 7.2 has it:
 * PCI part, vectors, registers, configuration, queues, the device's own bytes, then what it calls
 * subsections.  Their arrays have a place for each of the 1024 queues that its devices may have.
 */
#include <string.h>

#include "hw/virtio.h"

enum { WIRE_QUEUES = 1024, WIRE_MARK = 0x05, QUEUE_BYTES = 28 };

static void put_mark(Stream *st, const char *name)
{
    stream_put_u8(st, WIRE_MARK);
    stream_put_str8(st, name);
    stream_put_be32(st, 1);
}

static void put_zeroes(Stream *st, size_t n)
{
    static const uint8_t zeroes[QUEUE_BYTES];

    for (; n > sizeof(zeroes); n -= sizeof(zeroes)) stream_put(st, zeroes, sizeof(zeroes));
    stream_put(st, zeroes, n);
}

static void save_queues(Stream *st, const VirtioState *v)
{
    bool vectors = msix_vectors(v->pci.config);

    stream_put_be32(st, v->nqueues);
    for (unsigned i = 0; i < v->nqueues; i++) {
        const VirtioQueue *q = &v->queues[i];

        stream_put_be32(st, q->num);
        stream_put_be64(st, q->desc);
        stream_put_be16(st, q->last_avail);
        if (vectors) stream_put_be16(st, q->vector);
    }
}

static void save_halves(Stream *st, const uint32_t halves[2])
{
    stream_put_be32(st, halves[0]);
    stream_put_be32(st, halves[1]);
}

static void save_modern(Stream *st, const VirtioState *v)
{
    put_mark(st, "virtio_pci/modern_state");
    stream_put_be32(st, v->dfselect);
    stream_put_be32(st, v->gfselect);
    save_halves(st, v->gfeatures);
    for (unsigned i = 0; i < v->nqueues; i++) {
        const VirtioQueue *q = &v->queues[i];

        stream_put_be16(st, q->set_num);
        stream_put_u8(st, 0);
        stream_put_u8(st, q->enabled);
        save_halves(st, q->set_desc);
        save_halves(st, q->set_avail);
        save_halves(st, q->set_used);
    }
    put_zeroes(st, (WIRE_QUEUES - v->nqueues) * (size_t)QUEUE_BYTES);
}

/* The device works in modern mode, too: it has the capabilities that say so. */
static bool is_modern(const VirtioState *v) { return v->pci.config[VIRTIO_CAP_FIRST] == 0x09; }

static void save_rings(Stream *st, const VirtioState *v)
{
    put_mark(st, "virtio/virtqueues");
    for (unsigned i = 0; i < v->nqueues; i++) {
        stream_put_be64(st, v->queues[i].avail);
        stream_put_be64(st, v->queues[i].used);
    }
    put_zeroes(st, (WIRE_QUEUES - v->nqueues) * (size_t)16);
}

/* Queues that are smaller than they could be. */
static void save_sizes(Stream *st, const VirtioWire *wire, const VirtioState *v)
{
    bool differ = false;

    for (unsigned i = 0; i < v->nqueues; i++)
        differ |= v->queues[i].num != virtio_queue_size(wire->cls, i);
    if (!differ) return;
    put_mark(st, "virtio/ringsize");
    for (unsigned i = 0; i < v->nqueues; i++) stream_put_be32(st, virtio_queue_size(wire->cls, i));
    put_zeroes(st, (WIRE_QUEUES - v->nqueues) * (size_t)4);
}

static void save_flag(Stream *st, const char *name, bool flag)
{
    if (!flag) return;
    put_mark(st, name);
    stream_put_u8(st, 1);
}

void virtio_wire_save(Stream *st, const VirtioWire *wire, const void *s)
{
    const VirtioState *v = s;
    uint16_t command = load_le16(v->pci.config + PCI_COMMAND);
    unsigned vectors = msix_vectors(v->pci.config);

    vmstate_save(st, &pci_device_vmstate, (void *)&v->pci);
    msix_save(st, &v->msix, vectors);
    if (vectors) stream_put_be16(st, v->vector);
    stream_put_u8(st, v->status);
    stream_put_u8(st, v->isr);
    stream_put_be16(st, v->queue_sel);
    stream_put_be32(st, (uint32_t)v->features);
    stream_put_be32(st, wire->cls->config_len);
    stream_put(st, v->config, wire->cls->config_len);
    save_queues(st, v);
    if (wire->save) wire->save(st, s);
    if (is_modern(v)) {
        put_mark(st, "virtio/64bit_features");
        stream_put_be64(st, v->features);
        save_rings(st, v);
    }
    save_sizes(st, wire, v);
    save_flag(st, "virtio/broken", v->broken);
    if (is_modern(v)) {
        put_mark(st, "virtio/extra_state");
        save_modern(st, v);
    }
    save_flag(st, "virtio/started", v->status & VIRTIO_DRIVER_OK);
    save_flag(st, "virtio/disabled", command && !(command & PCI_COMMAND_MASTER));
}

/* -- and back -- */

/* The name of the subsection that comes next, if one of the wanted kind does. */
static bool next_mark(Stream *st, const char *prefix, char name[256])
{
    size_t start = st->pos;

    if (stream_peek(st, 0) < 0 && !st->eof) st->starved = true; /* one may still come */
    if (stream_peek(st, 0) != WIRE_MARK) return false;
    stream_skip(st, 1);
    stream_get_str8(st, name);
    if (!stream_ok(st)) return false;
    if (strncmp(name, prefix, strlen(prefix))) {
        stream_rewind(st, start);
        return false;
    }
    if (stream_get_be32(st) != 1 && stream_ok(st)) stream_fail(st, "unknown version of '%s'", name);
    return true;
}

/* No vector beyond those that there are. */
static uint16_t load_vector(Stream *st, unsigned vectors)
{
    uint16_t vector = stream_get_be16(st);

    if (vector >= vectors && vector != VIRTIO_NO_VECTOR && stream_ok(st))
        stream_fail(st, "there is no vector %u", vector);
    return vector;
}

static void load_queues(Stream *st, const VirtioWire *wire, VirtioState *v)
{
    unsigned vectors = msix_vectors(v->pci.config);
    uint32_t n = stream_get_be32(st);

    if (n != v->nqueues && stream_ok(st))
        stream_fail(st, "device has %u queues, and not %u", v->nqueues, n);
    for (unsigned i = 0; i < v->nqueues; i++) {
        VirtioQueue *q = &v->queues[i];

        q->num = stream_get_be32(st);
        q->desc = stream_get_be64(st);
        q->last_avail = stream_get_be16(st);
        if (vectors) q->vector = load_vector(st, vectors);
        if (stream_ok(st) && (q->num > virtio_queue_size(wire->cls, i) || (q->num & (q->num - 1))))
            stream_fail(st, "queue %u has %u entries", i, q->num);
        if (q->desc) virtio_legacy_ring(q); /* until a subsection says otherwise */
    }
}

static void load_halves(Stream *st, uint32_t halves[2])
{
    halves[0] = stream_get_be32(st);
    halves[1] = stream_get_be32(st);
}

static void load_modern(Stream *st, VirtioState *v)
{
    char name[256];

    if (!next_mark(st, "virtio_pci/modern_state", name)) return;
    v->dfselect = stream_get_be32(st);
    v->gfselect = stream_get_be32(st);
    load_halves(st, v->gfeatures);
    for (unsigned i = 0; i < v->nqueues; i++) {
        VirtioQueue *q = &v->queues[i];

        q->set_num = stream_get_be16(st);
        stream_skip(st, 1);
        q->enabled = stream_get_u8(st) != 0;
        load_halves(st, q->set_desc);
        load_halves(st, q->set_avail);
        load_halves(st, q->set_used);
    }
    stream_skip(st, (WIRE_QUEUES - v->nqueues) * (size_t)QUEUE_BYTES);
}

static void load_rings(Stream *st, VirtioState *v)
{
    for (unsigned i = 0; i < v->nqueues; i++) {
        v->queues[i].avail = stream_get_be64(st);
        v->queues[i].used = stream_get_be64(st);
    }
    stream_skip(st, (WIRE_QUEUES - v->nqueues) * (size_t)16);
}

static void load_subsection(Stream *st, VirtioState *v, const char *name)
{
    if (!strcmp(name, "virtio/64bit_features"))
        v->features = stream_get_be64(st);
    else if (!strcmp(name, "virtio/virtqueues"))
        load_rings(st, v);
    else if (!strcmp(name, "virtio/ringsize"))
        stream_skip(st, WIRE_QUEUES * 4);
    else if (!strcmp(name, "virtio/extra_state"))
        load_modern(st, v);
    else if (!strcmp(name, "virtio/broken"))
        v->broken = stream_get_u8(st) != 0;
    else if (!strcmp(name, "virtio/started") || !strcmp(name, "virtio/disabled") ||
             !strcmp(name, "virtio/device_endian"))
        stream_skip(st, 1); /* told by the status, the command register, the CPU */
    else
        stream_fail(st, "unknown subsection '%s'", name);
}

void virtio_wire_load(Stream *st, const VirtioWire *wire, void *s)
{
    VirtioState *v = s;
    unsigned vectors = msix_vectors(v->pci.config);
    char name[256];

    if (!vmstate_load(st, &pci_device_vmstate, &v->pci, pci_device_vmstate.version)) return;
    if (msix_vectors(v->pci.config) != vectors) {
        stream_fail(
            st, "the device has %u vectors, and not %u", vectors, msix_vectors(v->pci.config));
        return;
    }
    msix_load(st, &v->msix, vectors);
    if (vectors) v->vector = load_vector(st, vectors);
    v->status = stream_get_u8(st);
    v->isr = stream_get_u8(st);
    v->queue_sel = stream_get_be16(st);
    v->features = stream_get_be32(st);
    if (stream_get_be32(st) != wire->cls->config_len && stream_ok(st))
        stream_fail(st, "the configuration has not %u bytes", wire->cls->config_len);
    stream_get(st, v->config, wire->cls->config_len);
    load_queues(st, wire, v);
    if (wire->load) wire->load(st, s);
    v->broken = false;
    while (stream_ok(st) && next_mark(st, "virtio/", name)) load_subsection(st, v, name);
    if (stream_ok(st) && v->features & ~(wire->cls->features | VIRTIO_COMMON))
        stream_fail(st, "the driver uses features that are not offered here");
    /* What has no place on the wire is taken for the worst: there may be work. */
    memset(v->kicks, 0, sizeof(v->kicks));
    for (unsigned i = 0; v->status & VIRTIO_DRIVER_OK && i < v->nqueues; i++)
        v->kicks[i / 64] |= 1ull << i % 64;
}
