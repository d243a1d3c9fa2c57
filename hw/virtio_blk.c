/* SPDX-License-Identifier: MIT */
/*
 * Virtio disk.  Source: VIRTIO 1.1, chapter 5.2.  Not modelled: secure erase.
 *
 * Requests are served one after the other, from all queues in turn.  The guest sees one end at the
 * virtual instant `deadline`; the host's part of a read begins at once, that of a write at the
 * deadline, when the guest's data leaves.  The chain stays on its ring until then, so a save in
 * between carries the request along and a load starts it over.
 *
 *   blk_next     -> a deadline, where a chain waits
 *   blk_due      -> the deadline: data leaves, the host is waited for
 *   blk_end      -> data arrives, the status byte is written, the chain is given back
 */
#include <errno.h>
#include <string.h>

#include "core/machine.h"
#include "hw/drive_error.h"
#include "hw/virtio.h"

enum { SECTOR = 512, HEADER = 16, ID_BYTES = 20, DATA_MAX = 32 * MiB, SEGS_OFFERED = 254 };
enum { REQUEST_NS = 20000, BYTE_NS = 1 }; /* how long the disk takes */
enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_ID = 8, BLK_DISCARD = 11, BLK_ZEROES = 13 };
enum { STATUS_OK = 0, STATUS_ERROR = 1, STATUS_UNSUPPORTED = 2 };
enum { RANGE = 16 /* bytes of a discard or write-zeroes range */, RANGE_MAX = 0x3fffff };
enum { ZEROES_UNMAP = 1 };
enum { QUEUES_AUTO = 0xffff };
enum { HEADS = 16, TRACK = 63, CYLINDERS_MAX = 16383 };
enum {
    F_SEG_MAX = 1 << 2,
    F_GEOMETRY = 1 << 4,
    F_RO = 1 << 5,
    F_BLK_SIZE = 1 << 6,
    F_FLUSH = 1 << 9,
    F_TOPOLOGY = 1 << 10,
    F_CONFIG_WCE = 1 << 11,
    F_MQ = 1 << 12,
    F_DISCARD = 1 << 13,
    F_ZEROES = 1 << 14,
};
enum { /* configuration */
    C_CAPACITY = 0,
    C_SEG_MAX = 12,
    C_CYLINDERS = 16,
    C_HEADS = 18,
    C_SECTORS = 19,
    C_BLK_SIZE = 20,
    C_WCE = 32,
    C_QUEUES = 34,
    C_DISCARD = 36, /* most sectors, most ranges, alignment */
    C_ZEROES = 48,  /* most sectors, most ranges, may unmap */
    C_BYTES = 57,
};

typedef struct BlkRequest BlkRequest; /* of the host */

typedef struct VirtioBlk {
    VirtioPci v;
    BlockDev *drive;
    char *serial;
    Timer timer; /* the deadline */
    BlkRequest *req;
    VirtioChain chain;
    uint16_t num_queues; /* property; QUEUES_AUTO: one for each CPU */
    struct VirtioBlkState {
        VirtioState v;
        int64_t deadline; /* exact: of the request that is being served, or TIMER_NEVER */
        uint8_t queue;    /* exact: from which it has come, or had last */
    } s;
} VirtioBlk;
#define VIRTIO_BLK(v) ((VirtioBlk *)(v))

struct BlkRequest {
    BlockReq block;
    VirtioBlk *blk; /* NULL: nobody waits for it any more */
    bool done, late;
};

/* What the chain asks for. */
typedef struct BlkAsk {
    uint32_t type;
    uint64_t off; /* bytes on the disk */
    uint64_t len; /* bytes of data */
} BlkAsk;

static void blk_kick(VirtioPci *v, unsigned q);
static void blk_config_write(VirtioPci *v, unsigned off, uint8_t val);
static void blk_reset_part(VirtioPci *v);
static void blk_cancel(VirtioPci *v);

static const VirtioClass blk_class = { .device = 2,
    .pci_class = 0x0100,
    .legacy_id = 0x1001,
    .queues = 1,
    .num = { 256, 256, 256 },
    .config_len = C_BYTES,
    .features = F_SEG_MAX | F_GEOMETRY | F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE |
                F_MQ | F_DISCARD | F_ZEROES,
    .kick = blk_kick,
    .config_write = blk_config_write,
    .reset = blk_reset_part,
    .cancel = blk_cancel };

/* Requests under way elsewhere: there are none of ours, they stand on the ring. */
static void blk_wire_put(Stream *st, const void *s)
{
    (void)s;
    stream_put_u8(st, 0);
}

static void blk_wire_get(Stream *st, void *s)
{
    struct VirtioBlkState *b = s;

    b->deadline = TIMER_NEVER;
    if (stream_get_u8(st))
        stream_fail(st, "virtio-blk: requests were under way; stop the machine and drain it first");
}

static const VirtioWire blk_wire = {
    .cls = &blk_class, .save = blk_wire_put, .load = blk_wire_get
};
VIRTIO_WIRE(virtio_blk, &blk_wire);

static const VmField virtio_blk_fields[] = { VM_VIRTIO(struct VirtioBlkState, virtio_blk_wire),
    VM_END };
static const VmState virtio_blk_vmstate = {
    .name = "virtio-blk", .version = 2, .min_version = 2, .fields = virtio_blk_fields
};
static bool blk_has_queue(const void *state, int version)
{
    const struct VirtioBlkState *s = state;

    (void)version;
    return s->queue < s->v.nqueues;
}

static const VmField virtio_blk_exact[] = { VIRTIO_EXACT(struct VirtioBlkState),
    VM_INT(struct VirtioBlkState, deadline), VM_INT(struct VirtioBlkState, queue),
    VM_VALIDATE("queue must be below num-queues", blk_has_queue), VM_END };
static const Prop virtio_blk_props[] = { VIRTIO_PROPS(VirtioBlk), PROP(VirtioBlk, drive, ""),
    PROP_AS(VirtioBlk, v.pci.bootindex, "bootindex", "-1"), PROP(VirtioBlk, serial, ""),
    PROP_AS(VirtioBlk, num_queues, "num-queues", "65535"), PROP_END };

/* -- the host's side -- */

static void request_free(BlkRequest *r)
{
    g_free(r->block.buf);
    g_free(r);
}

static void request_done(BlockReq *block)
{
    BlkRequest *r = container_of(block, BlkRequest, block);

    r->done = true;
    if (!r->blk)
        request_free(r);
    else if (r->late)
        timer_arm(&r->blk->timer, clock_now(r->blk->timer.clock));
}

static void request_drop(VirtioBlk *b)
{
    BlkRequest *r = b->req;

    b->req = NULL;
    if (!r) return;
    r->blk = NULL;
    if (r->done) request_free(r);
}

/* A write that has to be on the disk when it is done. */
static void request_write_through(BlockReq *req, BlockImage *img)
{
    req->ret = img ? image_write(img, req->off, req->buf, req->len) : -ENOMEDIUM;
    if (!req->ret) req->ret = image_flush(img);
}

static bool blk_writes_through(VirtioBlk *b)
{
    if (virtio_has(&b->v, F_CONFIG_WCE)) return !b->s.v.config[C_WCE];
    return !virtio_has(&b->v, F_FLUSH);
}

/* data (owned from here on) may be NULL for what moves none. */
static void request_submit(VirtioBlk *b, int op, uint64_t off, uint64_t len, void *data)
{
    BlkRequest *r = g_new0(BlkRequest, 1);

    r->block.op = op;
    r->block.off = off;
    r->block.len = len;
    r->block.buf = data;
    r->block.done = request_done;
    r->blk = b;
    b->req = r;
    if (op == BLOCK_WRITE && blk_writes_through(b)) {
        r->block.op = BLOCK_CALL;
        r->block.call = request_write_through;
    }
    if ((op == BLOCK_READ || op == BLOCK_WRITE) && !data) {
        r->block.ret = -ENOMEM;
        r->done = true;
        return;
    }
    block_submit(b->drive, &r->block);
}

/* -- what a chain asks for -- */

/* False: it has no room for a header and a status. */
static bool blk_parse(VirtioBlk *b, BlkAsk *ask)
{
    uint8_t header[HEADER];

    if (b->chain.out_len < HEADER || !b->chain.in_len) return false;
    virtio_read(&b->v, &b->chain, 0, header, HEADER);
    ask->type = load_le32(header);
    ask->off = load_le64(header + 8);
    ask->off = ask->off > UINT64_MAX / SECTOR ? UINT64_MAX : ask->off * SECTOR;
    ask->len = ask->type == BLK_IN ? b->chain.in_len - 1 : b->chain.out_len - HEADER;
    return true;
}

static bool blk_inside(VirtioBlk *b, uint64_t off, uint64_t len)
{
    uint64_t size = block_dev_size(b->drive) & ~(uint64_t)(SECTOR - 1);

    return off <= size && len <= size - off;
}

/* A read or write of whole sectors that the disk has. */
static bool blk_sound(VirtioBlk *b, const BlkAsk *ask)
{
    return !(ask->len % SECTOR) && ask->len <= DATA_MAX && blk_inside(b, ask->off, ask->len);
}

/* The range of a discard or write-zeroes; a status where it makes no sense. */
static uint8_t blk_range(VirtioBlk *b, const BlkAsk *ask, uint64_t *off, uint64_t *len)
{
    uint8_t range[RANGE];
    uint64_t sector;
    uint32_t flags, n;

    if (ask->len != RANGE) return ask->len > RANGE ? STATUS_UNSUPPORTED : STATUS_ERROR;
    virtio_read(&b->v, &b->chain, HEADER, range, RANGE);
    sector = load_le64(range);
    n = load_le32(range + 8);
    flags = load_le32(range + 12);
    if (flags & ~(uint32_t)(ask->type == BLK_ZEROES ? ZEROES_UNMAP : 0)) return STATUS_UNSUPPORTED;
    if (n > RANGE_MAX || sector > UINT64_MAX / SECTOR) return STATUS_ERROR;
    *off = sector * SECTOR;
    *len = (uint64_t)n * SECTOR;
    return blk_inside(b, *off, *len) ? STATUS_OK : STATUS_ERROR;
}

/* -- the end of a request -- */

static void blk_next(VirtioBlk *b);

/* written: bytes of data in front of the status. */
static void blk_end(VirtioBlk *b, uint8_t status, uint64_t written)
{
    request_drop(b);
    b->s.deadline = TIMER_NEVER;
    virtio_write(&b->v, &b->chain, b->chain.in_len - 1, &status, 1);
    virtio_fill(&b->v, b->s.queue, 0, &b->chain, (uint32_t)written + 1);
    virtio_publish(&b->v, b->s.queue, 1);
    blk_next(b);
}

/* The host has answered. */
static void blk_answered(VirtioBlk *b, const BlkAsk *ask)
{
    int ret = b->req->block.ret;

    if (ret < 0) {
        DriveErrorAction action =
            drive_error_action(b->v.pci.dev.m, b->drive, ask->type != BLK_IN, ret);

        if (action == DRIVE_ERROR_STOP) { /* and it starts over when the machine goes on */
            request_drop(b);
            timer_arm(&b->timer, clock_now(b->timer.clock) + 1);
            machine_stop(b->v.pci.dev.m, RUN_IO_ERROR);
            return;
        }
        if (action == DRIVE_ERROR_REPORT || (ask->type == BLK_IN && !b->req->block.buf)) {
            blk_end(b, STATUS_ERROR, 0);
            return;
        }
        if (ask->type == BLK_IN) memset(b->req->block.buf, 0, ask->len);
    }
    if (ask->type == BLK_IN) virtio_write(&b->v, &b->chain, 0, b->req->block.buf, ask->len);
    blk_end(b, STATUS_OK, ask->type == BLK_IN ? ask->len : 0);
}

static void blk_identify(VirtioBlk *b)
{
    char id[ID_BYTES] = { 0 };
    const char *given = block_dev_option(b->drive, "serial");
    const char *serial = *b->serial ? b->serial : given ? given : "";
    size_t room = MIN_OF(b->chain.in_len - 1, ID_BYTES);

    memcpy(id, serial, MIN_OF(strlen(serial), ID_BYTES));
    virtio_write(&b->v, &b->chain, 0, id, room);
    blk_end(b, STATUS_OK, room);
}

static void blk_submit_write(VirtioBlk *b, const BlkAsk *ask)
{
    void *data = g_try_malloc(MAX_OF(ask->len, 1));

    if (data) virtio_read(&b->v, &b->chain, HEADER, data, ask->len);
    request_submit(b, BLOCK_WRITE, ask->off, ask->len, data);
}

static void blk_submit_range(VirtioBlk *b, const BlkAsk *ask)
{
    uint64_t off, len;
    uint8_t status = blk_range(b, ask, &off, &len);

    if (status == STATUS_OK && !block_dev_writable(b->drive)) status = STATUS_ERROR;
    /* A discard is a hint. */
    if (status == STATUS_OK && ask->type == BLK_ZEROES)
        request_submit(b, BLOCK_ZERO, off, len, NULL);
    else
        blk_end(b, status, 0);
}

/* The host's part begins; or the request has ended without. */
static void blk_submit(VirtioBlk *b, const BlkAsk *ask)
{
    switch (ask->type) {
    case BLK_IN:
        if (blk_sound(b, ask))
            request_submit(b, BLOCK_READ, ask->off, ask->len, g_try_malloc(MAX_OF(ask->len, 1)));
        else
            blk_end(b, STATUS_ERROR, 0);
        break;
    case BLK_OUT:
        if (blk_sound(b, ask) && block_dev_writable(b->drive))
            blk_submit_write(b, ask);
        else
            blk_end(b, STATUS_ERROR, 0);
        break;
    case BLK_FLUSH: request_submit(b, BLOCK_FLUSH, 0, 0, NULL); break;
    case BLK_ID: blk_identify(b); break;
    case BLK_DISCARD:
    case BLK_ZEROES: blk_submit_range(b, ask); break;
    default: blk_end(b, STATUS_UNSUPPORTED, 0);
    }
}

/* -- the deadline -- */

/* The driver must not change a chain that it has handed over; what was read ahead for another one
 * is of no use. */
static void blk_check_read_ahead(VirtioBlk *b, const BlkAsk *ask)
{
    const BlockReq *r = &b->req->block;

    if (r->op == BLOCK_READ && (ask->type != BLK_IN || r->off != ask->off || r->len != ask->len))
        request_drop(b);
}

static void blk_due(void *opaque)
{
    VirtioBlk *b = opaque;
    VirtioPeek got;
    BlkAsk ask;

    if (b->s.deadline == TIMER_NEVER) return;
    got = virtio_peek(&b->v, b->s.queue, 0, &b->chain);
    if (got == VIRTIO_WAIT) return;
    if (got == VIRTIO_EMPTY || !blk_parse(b, &ask)) { /* taken back, against the rules */
        request_drop(b);
        b->s.deadline = TIMER_NEVER;
        if (got == VIRTIO_EMPTY)
            blk_next(b);
        else
            virtio_break(&b->v, "a request has no header or no status");
        return;
    }
    if (b->req) blk_check_read_ahead(b, &ask);
    if (!b->req) blk_submit(b, &ask);
    if (!b->req) return; /* it has ended */
    if (!b->req->done) {
        if (!b->v.pci.dev.m->clock.icount) {
            b->req->late = true;
            return;
        }
        block_wait(&b->req->block);
    }
    blk_answered(b, &ask);
}

/* Takes up the next queue, in turn, that has a chain for us. */
static bool blk_take_chain(VirtioBlk *b)
{
    for (unsigned i = 1; i <= b->v.queues; i++) {
        unsigned q = (b->s.queue + i) % b->v.queues;
        VirtioPeek got;

        if (!virtio_kicked(&b->v, q)) continue;
        do {
            got = virtio_peek(&b->v, q, 0, &b->chain);
        } while (got == VIRTIO_EMPTY && !virtio_idle(&b->v, q));
        if (got == VIRTIO_EMPTY) virtio_unkick(&b->v, q);
        if (got != VIRTIO_CHAIN) continue;
        b->s.queue = (uint8_t)q;
        return true;
    }
    return false;
}

/* The next chain gets its deadline; reads begin. */
static void blk_next(VirtioBlk *b)
{
    BlkAsk ask;

    if (!blk_take_chain(b)) return;
    if (!blk_parse(b, &ask)) {
        virtio_break(&b->v, "a request has no header or no status");
        return;
    }
    b->s.deadline =
        clock_now(b->timer.clock) + REQUEST_NS + (int64_t)MIN_OF(ask.len, DATA_MAX) * BYTE_NS;
    if (ask.type == BLK_IN && blk_sound(b, &ask)) blk_submit(b, &ask);
    timer_arm(&b->timer, b->s.deadline);
}

static void blk_kick(VirtioPci *v, unsigned q)
{
    VirtioBlk *b = VIRTIO_BLK(v);

    (void)q;
    if (b->s.deadline == TIMER_NEVER)
        blk_next(b);
    else if (!timer_armed(&b->timer) && !(b->req && b->req->late))
        timer_arm(&b->timer, b->s.deadline); /* a page has come */
}

/* -- life -- */

static void blk_cancel(VirtioPci *v)
{
    request_drop(VIRTIO_BLK(v));
    timer_cancel(&VIRTIO_BLK(v)->timer);
}

static void blk_reset_part(VirtioPci *v)
{
    VIRTIO_BLK(v)->s.deadline = TIMER_NEVER;
    virtio_state(v)->config[C_WCE] = 1;
}

static void blk_config_write(VirtioPci *v, unsigned off, uint8_t val)
{
    if (off == C_WCE && virtio_has(v, F_CONFIG_WCE)) virtio_state(v)->config[C_WCE] = val & 1;
}

static bool blk_realize(Device *dev, Error *err)
{
    VirtioBlk *b = (VirtioBlk *)dev;
    static const BlockMediaOps fixed = { 0 };
    void *user;

    if (!b->drive) return error_set(err, "drive property not set");
    if (block_dev_media_ops(b->drive, &user))
        return error_set(
            err, "Drive '%s' is already in use by another block device", block_dev_id(b->drive));
    if (!block_dev_has_medium(b->drive))
        return error_set(err, "Device needs media, but drive is empty");
    b->v.queues = b->num_queues == QUEUES_AUTO ? dev->m->config.cpus : b->num_queues;
    if (!b->v.queues || b->v.queues > VIRTIO_QUEUES)
        return error_set(err, "num-queues=%u: 1 to %d expected", b->v.queues, VIRTIO_QUEUES);
    if (!virtio_realize(&b->v, &blk_class, err) ||
        !pci_boot_order(&b->v.pci, "scsi", "/disk@0,0", err))
        return false;
    block_dev_attach(b->drive, &fixed, b);
    timer_init(&b->timer, &dev->m->clock, blk_due, b);
    b->v.masked = (block_dev_writable(b->drive) ? F_RO : 0) | (b->v.queues == 1 ? F_MQ : 0);
    return true;
}

static void blk_unrealize(Device *dev)
{
    VirtioBlk *b = (VirtioBlk *)dev;

    blk_cancel(&b->v);
    block_dev_attach(b->drive, NULL, NULL);
}

static void blk_power_on(Device *dev)
{
    VirtioBlk *b = (VirtioBlk *)dev;
    uint8_t *c = b->s.v.config;
    uint64_t sectors = block_dev_size(b->drive) / SECTOR;

    virtio_power_on(&b->v);
    store_le64(c + C_CAPACITY, sectors);
    store_le32(c + C_SEG_MAX, SEGS_OFFERED);
    store_le16(c + C_CYLINDERS, (uint16_t)CLAMP(sectors / (HEADS * TRACK), 2, CYLINDERS_MAX));
    c[C_HEADS] = HEADS;
    c[C_SECTORS] = TRACK;
    store_le32(c + C_BLK_SIZE, SECTOR);
    store_le16(c + C_QUEUES, (uint16_t)b->v.queues);
    for (unsigned off = C_DISCARD; off <= C_ZEROES; off += C_ZEROES - C_DISCARD) {
        store_le32(c + off, RANGE_MAX);
        store_le32(c + off + 4, 1);
    }
    store_le32(c + C_DISCARD + 8, 1);
    c[C_ZEROES + 8] = 1;
}

static void blk_reset(Device *dev) { virtio_reset(VIRTIO_PCI(dev)); }

static void blk_sync(Device *dev)
{
    VirtioBlk *b = (VirtioBlk *)dev;

    virtio_sync(&b->v);
    timer_arm(&b->timer, b->s.deadline);
}

DEVICE(virtio_blk, "Virtio disk", VirtioBlk, .name = "virtio-blk-pci", .alias = "virtio-blk",
    .bus = "pci", .user_creatable = true, .props = virtio_blk_props,
    .vmstates = VMSTATES(&virtio_blk_vmstate), .exact = virtio_blk_exact, .realize = blk_realize,
    .unrealize = blk_unrealize, .power_on = blk_power_on, .reset = blk_reset, .sync = blk_sync);
