/* SPDX-License-Identifier: MIT */
/* Split rings of virtio devices.  Source: VIRTIO 1.1, chapters 2.6 and 2.6.2 (legacy layout). */
#include <string.h>

#include "hw/virtio.h"

enum {
    DESC_SIZE = 16,
    DESC_NEXT = 1,
    DESC_WRITE = 2,
    DESC_INDIRECT = 4,
    AVAIL_NO_INTERRUPT = 1,
    AVAIL_RING = 4, /* behind flags and index */
    USED_RING = 4,
    USED_ELEM = 8,
    LEGACY_ALIGN = 4096,
};

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
} Desc;

static uint16_t ring_load16(VirtioPci *v, uint64_t gpa)
{
    uint8_t b[2];

    dma_read(&v->pci.dev, gpa, b, sizeof(b));
    return load_le16(b);
}

static void ring_store16(VirtioPci *v, uint64_t gpa, uint16_t val)
{
    uint8_t b[2];

    store_le16(b, val);
    dma_write(&v->pci.dev, gpa, b, sizeof(b));
}

static void ring_resume(Device *dev)
{
    VirtioPci *v = VIRTIO_PCI(dev);

    timer_arm(&v->work, clock_now(v->work.clock));
}

static bool ring_present(VirtioPci *v, uint64_t gpa, uint64_t len)
{
    return !len || dma_probe(&v->pci.dev, gpa, len, ring_resume);
}

void virtio_legacy_ring(VirtioQueue *q)
{
    q->avail = q->desc + (uint64_t)q->num * DESC_SIZE;
    q->used = q->avail + AVAIL_RING + 2ull * q->num;
    q->used = (q->used + LEGACY_ALIGN - 1) & ~(uint64_t)(LEGACY_ALIGN - 1);
}

void virtio_break(VirtioPci *v, const char *why)
{
    VirtioState *s = virtio_state(v);

    guest_error(&v->pci.dev, "%s", why);
    s->broken = true;
    memset(s->kicks, 0, sizeof(s->kicks));
    if (!virtio_has(v, VIRTIO_VERSION_1)) return;
    s->status |= VIRTIO_NEEDS_RESET;
    virtio_config_changed(v);
}

/* The index and the event word of both rings are here. */
static bool ring_indices_present(VirtioPci *v, const VirtioQueue *q)
{
    return ring_present(v, q->avail, AVAIL_RING + 2ull * q->num + 2) &&
           ring_present(v, q->used, USED_RING + (uint64_t)USED_ELEM * q->num + 2);
}

static Desc desc_at(VirtioPci *v, uint64_t table, unsigned n)
{
    uint8_t b[DESC_SIZE];

    dma_read(&v->pci.dev, table + (uint64_t)n * DESC_SIZE, b, sizeof(b));
    return (Desc){ load_le64(b), load_le32(b + 8), load_le16(b + 12), load_le16(b + 14) };
}

/* Adds a buffer; NULL, or what is wrong with it. */
static const char *chain_add(VirtioChain *c, const Desc *d)
{
    if (c->nout + c->nin == VIRTIO_SEGS) return "a chain has more than 1024 buffers";
    c->seg[c->nout + c->nin] = (VirtioSeg){ d->addr, d->len };
    if (d->flags & DESC_WRITE) {
        c->nin++;
        c->in_len += d->len;
        return NULL;
    }
    if (c->nin) return "a readable buffer stands behind a writable one";
    c->nout++;
    c->out_len += d->len;
    return NULL;
}

/* Walks a table from descriptor n.  *wait: a page of it is not here yet. */
static const char *chain_walk(
    VirtioPci *v, uint64_t table, uint32_t size, uint16_t n, VirtioChain *c, bool *wait)
{
    bool inner = false;
    Desc d;

    for (uint32_t steps = 0; steps < size; steps++, n = d.next) {
        const char *wrong;

        if (n >= size) return "a descriptor's number is outside its table";
        if (!ring_present(v, table + (uint64_t)n * DESC_SIZE, DESC_SIZE)) {
            *wait = true;
            return NULL;
        }
        d = desc_at(v, table, n);
        if (d.flags & DESC_INDIRECT) {
            if (inner || d.len % DESC_SIZE || !d.len) return "an indirect table makes no sense";
            inner = true;
            table = d.addr;
            size = d.len / DESC_SIZE;
            steps = UINT32_MAX; /* counts on from 0 */
            d.next = 0;
            continue;
        }
        wrong = chain_add(c, &d);
        if (wrong || !(d.flags & DESC_NEXT)) return wrong;
    }
    return "a chain goes round in circles";
}

static bool chain_present(VirtioPci *v, const VirtioChain *c)
{
    for (unsigned i = 0; i < c->nout + c->nin; i++)
        if (!ring_present(v, c->seg[i].gpa, c->seg[i].len)) return false;
    return true;
}

VirtioPeek virtio_peek(VirtioPci *v, unsigned qn, unsigned ahead, VirtioChain *c)
{
    const VirtioQueue *q = &virtio_state(v)->queues[qn];
    uint16_t at = (uint16_t)(q->last_avail + ahead), left;
    const char *wrong;
    bool wait = false;

    if (!virtio_ready(v) || !q->num || !q->desc) return VIRTIO_EMPTY;
    if (!ring_indices_present(v, q)) return VIRTIO_WAIT;
    left = (uint16_t)(ring_load16(v, q->avail + 2) - q->last_avail);
    if (left > q->num) {
        virtio_break(v, "more chains are available than the ring has places");
        return VIRTIO_EMPTY;
    }
    if (ahead >= left) return VIRTIO_EMPTY;
    c->head = ring_load16(v, q->avail + AVAIL_RING + 2ull * (at % q->num));
    c->nout = c->nin = 0;
    c->out_len = c->in_len = 0;
    wrong = chain_walk(v, q->desc, q->num, c->head, c, &wait);
    if (wrong) {
        virtio_break(v, wrong);
        return VIRTIO_EMPTY;
    }
    return wait || !chain_present(v, c) ? VIRTIO_WAIT : VIRTIO_CHAIN;
}

/* -- what is in a chain -- */

static size_t chain_copy(VirtioPci *v, const VirtioSeg *seg, unsigned n, uint64_t off, uint8_t *buf,
    size_t len, bool write)
{
    size_t done = 0;

    for (unsigned i = 0; i < n && done < len; i++) {
        size_t part;

        if (off >= seg[i].len) {
            off -= seg[i].len;
            continue;
        }
        part = MIN_OF(len - done, seg[i].len - (size_t)off);
        if (write)
            dma_write(&v->pci.dev, seg[i].gpa + off, buf + done, part);
        else
            dma_read(&v->pci.dev, seg[i].gpa + off, buf + done, part);
        done += part;
        off = 0;
    }
    return done;
}

size_t virtio_read(VirtioPci *v, const VirtioChain *c, uint64_t off, void *buf, size_t len)
{
    return chain_copy(v, c->seg, c->nout, off, buf, len, false);
}

size_t virtio_write(VirtioPci *v, const VirtioChain *c, uint64_t off, const void *buf, size_t len)
{
    return chain_copy(v, c->seg + c->nout, c->nin, off, (uint8_t *)buf, len, true);
}

/* -- giving back -- */

void virtio_fill(VirtioPci *v, unsigned qn, unsigned ahead, const VirtioChain *c, uint32_t written)
{
    const VirtioQueue *q = &virtio_state(v)->queues[qn];
    uint16_t at = (uint16_t)(ring_load16(v, q->used + 2) + ahead);
    uint8_t elem[USED_ELEM];

    store_le32(elem, c->head);
    store_le32(elem + 4, written);
    dma_write(
        &v->pci.dev, q->used + USED_RING + (uint64_t)USED_ELEM * (at % q->num), elem, sizeof(elem));
}

/* Whether the driver wants to be told, now that the used index went from `before` to `now`. */
static bool ring_must_tell(VirtioPci *v, const VirtioQueue *q, uint16_t before, uint16_t now)
{
    bool empty = ring_load16(v, q->avail + 2) == q->last_avail;
    uint16_t event;

    if (empty && virtio_has(v, VIRTIO_NOTIFY_ON_EMPTY)) return true;
    if (!virtio_has(v, VIRTIO_EVENT_IDX)) return !(ring_load16(v, q->avail) & AVAIL_NO_INTERRUPT);
    event = ring_load16(v, q->avail + AVAIL_RING + 2ull * q->num);
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

void virtio_publish(VirtioPci *v, unsigned qn, unsigned n)
{
    VirtioState *s = virtio_state(v);
    VirtioQueue *q = &s->queues[qn];
    uint16_t before = ring_load16(v, q->used + 2), now = (uint16_t)(before + n);

    q->last_avail = (uint16_t)(q->last_avail + n);
    ring_store16(v, q->used + 2, now);
    if (!ring_must_tell(v, q, before, now)) return;
    virtio_interrupt(v, 1, q->vector);
}

bool virtio_idle(VirtioPci *v, unsigned qn)
{
    VirtioState *s = virtio_state(v);
    const VirtioQueue *q = &s->queues[qn];

    if (!virtio_ready(v) || !q->num || !q->desc) return true;
    if (!ring_indices_present(v, q)) return false;
    if (virtio_has(v, VIRTIO_EVENT_IDX))
        ring_store16(v, q->used + USED_RING + (uint64_t)USED_ELEM * q->num, q->last_avail);
    return ring_load16(v, q->avail + 2) == q->last_avail;
}
