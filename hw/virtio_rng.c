/* SPDX-License-Identifier: MIT */
/*
 * Virtio entropy device.  Source: VIRTIO 1.1, chapter 5.4.  Under -icount the numbers follow from
 * the virtual clock, so that a run is repeatable.
 */
#include "core/rng.h"
#include "hw/virtio.h"

enum { RNG_CHUNK = 256, RNG_MAX = 64 * KiB /* bytes for one chain */ };

typedef struct VirtioRng {
    VirtioPci v;
    char *rng; /* property: id of the source of -object, or "" */
    const RngSource *source;
    VirtioChain chain;
    struct VirtioRngState {
        VirtioState v;
    } s;
} VirtioRng;

static void rng_kick(VirtioPci *v, unsigned q);

static const VirtioClass rng_class = { .device = 4,
    .pci_class = 0x00ff,
    .legacy_id = 0x1005,
    .queues = 1,
    .vectors = 2,
    .num = { 8 },
    .kick = rng_kick };
static const VirtioWire rng_wire = { .cls = &rng_class };
VIRTIO_WIRE(virtio_rng, &rng_wire);

static const VmField virtio_rng_fields[] = { VM_VIRTIO(struct VirtioRngState, virtio_rng_wire),
    VM_END };
static const VmState virtio_rng_vmstate = {
    .name = "virtio-rng", .version = 1, .min_version = 1, .fields = virtio_rng_fields
};
static const VmField virtio_rng_exact[] = { VIRTIO_EXACT(struct VirtioRngState), VM_END };
static const Prop virtio_rng_props[] = { VIRTIO_PROPS(VirtioRng), PROP(VirtioRng, rng, ""),
    PROP_END };

/* The next number of a sequence (SplitMix64: an increment and two multiplications). */
static uint64_t rng_next(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* How many there are; 0: none at the moment. */
static size_t rng_bytes(VirtioRng *r, uint64_t *seed, uint8_t *buf, size_t len)
{
    if (!r->v.pci.dev.m->clock.icount) return rng_source_read(r->source, buf, len);
    for (unsigned i = 0; i < RNG_CHUNK; i += 8) store_le64(buf + i, rng_next(seed));
    return len;
}

static void rng_serve(VirtioRng *r)
{
    uint64_t want = MIN_OF(r->chain.in_len, RNG_MAX), done = 0;
    uint64_t seed = (uint64_t)clock_now(&r->v.pci.dev.m->clock);
    uint8_t buf[RNG_CHUNK];
    size_t n;

    while ((n = rng_bytes(r, &seed, buf, MIN_OF(want - done, RNG_CHUNK))) > 0)
        done += virtio_write(&r->v, &r->chain, done, buf, n);
    virtio_fill(&r->v, 0, 0, &r->chain, (uint32_t)done);
    virtio_publish(&r->v, 0, 1);
}

static void rng_kick(VirtioPci *v, unsigned q)
{
    VirtioRng *r = (VirtioRng *)v;
    VirtioPeek got;

    do {
        while ((got = virtio_peek(v, q, 0, &r->chain)) == VIRTIO_CHAIN) rng_serve(r);
        if (got == VIRTIO_WAIT) return;
    } while (!virtio_idle(v, q));
    virtio_unkick(v, q);
}

static bool rng_realize(Device *dev, Error *err)
{
    VirtioRng *r = (VirtioRng *)dev;

    r->source = *r->rng ? rng_source_find(dev->m, r->rng) : NULL;
    if (*r->rng && !r->source)
        return error_set(
            err, "Device '%s' not found: 'rng' names an -object rng-random or rng-builtin", r->rng);
    return virtio_realize(&r->v, &rng_class, err);
}

static void rng_power_on(Device *dev) { virtio_power_on(VIRTIO_PCI(dev)); }

static void rng_reset(Device *dev) { virtio_reset(VIRTIO_PCI(dev)); }

static void rng_sync(Device *dev) { virtio_sync(VIRTIO_PCI(dev)); }

DEVICE(virtio_rng, "Virtio entropy device", VirtioRng, .name = "virtio-rng-pci",
    .alias = "virtio-rng", .bus = "pci", .user_creatable = true, .props = virtio_rng_props,
    .vmstates = VMSTATES(&virtio_rng_vmstate), .exact = virtio_rng_exact, .realize = rng_realize,
    .power_on = rng_power_on, .reset = rng_reset, .sync = rng_sync);
