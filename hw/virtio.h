/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices on the PCI bus: transport and split rings, for the files virtio_*.c.
 * Source: Virtual I/O Device (VIRTIO) 1.1, OASIS; legacy interface included (a transitional
 * device).  Not modelled: packed rings, the platform's IOMMU.
 *
 * virtio_pci.c   registers: legacy ports (BAR 0), modern structures (BAR 4), capabilities
 * virtio_ring.c  rings in guest memory: taking chains, giving them back, who is told
 * virtio_wire.c  the field "virtio" of each device's section
 *
 * 1. A chain is taken off its ring when it is given back: a request under way is still available.
 *    So a save in its midst carries it along, and a load starts it over.
 * 2. `kicks` has a bit for each queue that was notified and may hold chains that wait for us.
 * 3. Nothing of a chain is touched before every page of it is here (virtio_peek).
 */
#pragma once

#include "hw/msix.h"

enum { VIRTIO_QUEUES = 255, VIRTIO_CONFIG = 64, VIRTIO_SEGS = 1024, VIRTIO_NO_VECTOR = 0xffff };
enum { VIRTIO_SIZES = 3 };        /* queues whose sizes may differ from others' */
enum { VIRTIO_CAP_FIRST = 0x40 }; /* where a modern device has its first capability */

/* Device status. */
enum {
    VIRTIO_DRIVER_OK = 0x04,
    VIRTIO_FEATURES_OK = 0x08,
    VIRTIO_NEEDS_RESET = 0x40,
};
/* Features of every device; VIRTIO_COMMON is what all of ours offer. */
#define VIRTIO_NOTIFY_ON_EMPTY (1ull << 24)
#define VIRTIO_ANY_LAYOUT (1ull << 27)
#define VIRTIO_INDIRECT (1ull << 28)
#define VIRTIO_EVENT_IDX (1ull << 29)
#define VIRTIO_VERSION_1 (1ull << 32)
#define VIRTIO_RING_RESET (1ull << 40)
#define VIRTIO_COMMON                                                                              \
    (VIRTIO_NOTIFY_ON_EMPTY | VIRTIO_ANY_LAYOUT | VIRTIO_INDIRECT | VIRTIO_EVENT_IDX |             \
        VIRTIO_VERSION_1 | VIRTIO_RING_RESET)

typedef struct VirtioQueue {    /* guest state */
    uint64_t desc, avail, used; /* guest-physical; desc 0: not set up */
    uint32_t num;               /* entries */
    uint16_t last_avail;        /* the next entry of the available ring to be looked at */
    uint16_t set_num;           /* what the driver wrote through the modern interface ... */
    uint32_t set_desc[2], set_avail[2], set_used[2]; /* ... low and high halves */
    bool enabled;
    uint16_t vector; /* of MSI-X, or VIRTIO_NO_VECTOR */
} VirtioQueue;

/* Starts the `s` of each virtio device. */
typedef struct VirtioState {
    PciState pci;
    uint64_t features; /* that the driver has accepted */
    uint32_t dfselect, gfselect, gfeatures[2];
    uint16_t queue_sel;
    uint16_t vector; /* of changes of the configuration */
    uint8_t status, isr;
    bool broken; /* the driver made no sense: nothing moves before a reset */
    uint64_t kicks[(VIRTIO_QUEUES + 63) / 64]; /* exact */
    uint16_t nqueues;                          /* of this device: wiring, set by power_on */
    uint8_t generation; /* exact: of the configuration, changes whenever that does */
    VirtioQueue queues[VIRTIO_QUEUES];
    uint8_t config[VIRTIO_CONFIG]; /* as the driver reads it */
    MsixState msix;
} VirtioState;
#define VIRTIO_EXACT(S) VM_INTS(S, v.kicks), VM_INT(S, v.generation)

typedef struct VirtioPci VirtioPci;

typedef struct VirtioClass {
    uint16_t device;            /* device type of the specification */
    uint16_t pci_class;         /* subclass and class */
    uint16_t legacy_id;         /* PCI device id */
    unsigned queues;            /* where the device does not say otherwise */
    uint16_t num[VIRTIO_SIZES]; /* most entries, and how many there are at first; the last one
                                 * goes for all queues behind it, too */
    unsigned config_len;
    unsigned vectors;  /* of MSI-X, where the user says nothing; 0: one more than queues */
    uint64_t features; /* offered besides VIRTIO_COMMON */
    /* Works off a queue that was kicked; takes its kick back once nothing waits. */
    void (*kick)(VirtioPci *v, unsigned q);
    /* The driver writes a byte of the configuration; NULL: it may not. */
    void (*config_write)(VirtioPci *v, unsigned off, uint8_t val);
    /* The driver has chosen its features; may be NULL. */
    void (*features_set)(VirtioPci *v);
    /* The device's own part of the state after a reset by the driver or of the bus; may be NULL. */
    void (*reset)(VirtioPci *v);
    /* The driver has gone or reset a queue: what the host does for it is dropped; may be NULL. */
    void (*cancel)(VirtioPci *v);
} VirtioClass;

struct VirtioPci {
    PciDev pci;
    const VirtioClass *cls;
    Timer work;                /* looks at kicked queues after a load, or once a page has come */
    bool no_legacy, no_modern; /* properties disable-legacy, disable-modern */
    uint32_t vectors;          /* property; VIRTIO_VECTORS_DEFAULT: the class's */
    unsigned queues;           /* set before virtio_realize, or 0: as many as the class has */
    uint64_t masked;           /* features of the class that this one does not offer */
};
#define VIRTIO_VECTORS_DEFAULT UINT32_MAX
#define VIRTIO_PCI(d) ((VirtioPci *)(d))
static inline VirtioState *virtio_state(VirtioPci *v) { return device_state(&v->pci.dev); }

/* The properties that every class lists: T's first member is `VirtioPci v`. */
#define VIRTIO_PROPS(T)                                                                            \
    PROP_AS(T, v.pci.addr_text, "addr", ""), PROP_AS(T, v.no_legacy, "disable-legacy", "off"),     \
        PROP_AS(T, v.no_modern, "disable-modern", "off"),                                          \
        PROP_AS(T, v.vectors, "vectors", "4294967295")

/* For DeviceClass: realize (cls is kept), power_on, reset, sync. */
bool virtio_realize(VirtioPci *v, const VirtioClass *cls, Error *err);
void virtio_power_on(VirtioPci *v);
void virtio_reset(VirtioPci *v);
void virtio_sync(VirtioPci *v);

/* Most entries of queue n. */
static inline uint16_t virtio_queue_size(const VirtioClass *cls, unsigned n)
{
    return cls->num[MIN_OF(n, VIRTIO_SIZES - 1)];
}
/* Whether the queue was kicked, and that it is not, any more. */
static inline bool virtio_kicked(VirtioPci *v, unsigned q)
{
    return virtio_state(v)->kicks[q / 64] >> q % 64 & 1;
}
static inline void virtio_unkick(VirtioPci *v, unsigned q)
{
    virtio_state(v)->kicks[q / 64] &= ~(1ull << q % 64);
}

uint64_t virtio_offered(const VirtioPci *v);
static inline bool virtio_has(VirtioPci *v, uint64_t feature)
{
    return virtio_state(v)->features & feature;
}
/* The driver has said that it is ready, and may be served. */
bool virtio_ready(VirtioPci *v);
/* Interrupts the driver: by the vector, where it uses MSI-X. */
void virtio_interrupt(VirtioPci *v, uint8_t isr, uint16_t vector);
/* The configuration has changed: the driver is told. */
void virtio_config_changed(VirtioPci *v);

/* -- rings -- */

typedef struct VirtioSeg {
    uint64_t gpa;
    uint32_t len;
} VirtioSeg;

/* A chain of buffers: nout that the device reads, then nin that it writes. */
typedef struct VirtioChain {
    uint16_t head;
    unsigned nout, nin;
    uint64_t out_len, in_len; /* bytes */
    VirtioSeg seg[VIRTIO_SEGS];
} VirtioChain;

typedef enum VirtioPeek {
    VIRTIO_EMPTY,
    VIRTIO_WAIT,  /* for a page; the queue is kicked again once it is here */
    VIRTIO_CHAIN, /* c is filled */
} VirtioPeek;

/* The chain `ahead` places behind the next one; it stays on the ring.  A queue that makes no sense
 * breaks the device and is empty from then on. */
VirtioPeek virtio_peek(VirtioPci *v, unsigned q, unsigned ahead, VirtioChain *c);
/* Copies from the chain's readable bytes, and to its writable ones: how many there were. */
size_t virtio_read(VirtioPci *v, const VirtioChain *c, uint64_t off, void *buf, size_t len);
size_t virtio_write(VirtioPci *v, const VirtioChain *c, uint64_t off, const void *buf, size_t len);
/* Gives back the chain that was peeked at `ahead`, with so many bytes written, ... */
void virtio_fill(VirtioPci *v, unsigned q, unsigned ahead, const VirtioChain *c, uint32_t written);
/* ... and tells the driver of n of them. */
void virtio_publish(VirtioPci *v, unsigned q, unsigned n);
/* Nothing waits on this queue any more; with event indices the driver is asked to say so when there
 * is.  False where something has come meanwhile. */
bool virtio_idle(VirtioPci *v, unsigned q);
/* A legacy ring lies in one piece: where its parts are. */
void virtio_legacy_ring(VirtioQueue *q);
void virtio_break(VirtioPci *v, const char *why);

/* -- the wire -- */

/* The field "virtio" of a section: what it needs to know, since it sees nothing but the state. */
typedef struct VirtioWire {
    const VirtioClass *cls;
    /* The device's own bytes; may be NULL.  s is the whole state. */
    void (*save)(Stream *st, const void *s);
    void (*load)(Stream *st, void *s);
} VirtioWire;
void virtio_wire_save(Stream *st, const VirtioWire *wire, const void *s);
void virtio_wire_load(Stream *st, const VirtioWire *wire, void *s);

/* VIRTIO_WIRE(virtio_rng, &wire): the type virtio_rng_wire of a field that is all of S. */
#define VIRTIO_WIRE(ident, wire)                                                                   \
    static void ident##_wire_save(Stream *st, const void *s, const VmField *f)                     \
    {                                                                                              \
        (void)f;                                                                                   \
        virtio_wire_save(st, wire, s);                                                             \
    }                                                                                              \
    static void ident##_wire_load(Stream *st, void *s, const VmField *f)                           \
    {                                                                                              \
        (void)f;                                                                                   \
        virtio_wire_load(st, wire, s);                                                             \
    }                                                                                              \
    static const VmType ident##_wire = {                                                           \
        .name = "virtio", .save = ident##_wire_save, .load = ident##_wire_load                     \
    }
#define VM_VIRTIO(S, vmtype)                                                                       \
    {                                                                                              \
        .name = "virtio", .type = &(vmtype), .offset = 0, .count = 1, .size = sizeof(S),           \
        .stride = sizeof(S)                                                                        \
    }
