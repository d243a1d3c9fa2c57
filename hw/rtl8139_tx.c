/* SPDX-License-Identifier: MIT */
/* The RTL8139 sends.  Source: RTL8139C+ data sheet, chapters 6.3 (TSD) and 9.2 (descriptors). */
#include <string.h>

#include "hw/rtl8139.h"

enum { TX_LOOPBACK = 0x60000 };
enum { TXD_LGSEN = 1 << 27, TXD_MSS_SHIFT = 16, TXD_MSS = 0x7ff, TXD_TAG = 1 << 17 };
enum { TXD_IPCS = 1 << 18, TXD_UDPCS = 1 << 17, TXD_TCPCS = 1 << 16, TXD_SIZE = 0xffff };
enum { TXD_ERRORS = 0x02f00000, TAG_AT = 12, TAG_BYTES = 4, TAG_TYPE = 0x8100 };

/* frame has room for what is put in or behind. */
static void tx_send(Rtl8139 *r, uint8_t *frame, size_t len)
{
    if (len < NET_FRAME_MIN) memset(frame + len, 0, NET_FRAME_MIN - len);
    len = MAX_OF(len, NET_FRAME_MIN);
    if ((r->s.tx_config & TX_LOOPBACK) == TX_LOOPBACK)
        rtl_receive(r, frame, len);
    else if (r->s.bmsr & BMSR_LINK)
        net_send(r->port, frame, len);
}

/* -- the four registers -- */

static bool tx_one(Rtl8139 *r)
{
    RtlState *s = &r->s;
    uint32_t *status = &s->tx_status[s->tx_next], size = *status & TSD_SIZE;
    uint64_t addr = s->tx_addr[s->tx_next];
    uint8_t frame[TSD_SIZE + 1 + NET_FRAME_MIN];

    if (*status & TSD_OWN) return false;
    if (!rtl_probe(r, addr, size)) return false;
    dma_read(&r->pci.dev, addr, frame, size);
    *status |= TSD_OWN | TSD_OK;
    s->tx_next = (s->tx_next + 1) % RTL_TX_DESCS;
    s->tally.tx_ok++;
    tx_send(r, frame, size);
    return true;
}

void rtl_transmit(Rtl8139 *r)
{
    bool any = false;

    if (!(r->s.cmd & CMD_TE) || !rtl_masters(r) || !r->s.clock_enabled) return;
    while (tx_one(r)) any = true;
    if (any) rtl_interrupt(r, INT_TX_OK);
}

/* -- the C+ ring -- */

typedef struct TxDesc {
    uint64_t at, addr;
    uint32_t flags, vlan;
} TxDesc;

static uint64_t tx_ring(const RtlState *s)
{
    return (uint64_t)s->tx_addr[1] << 32 | (s->tx_addr[0] & ~(uint32_t)0xff);
}

/* The descriptor of this index; false: it is not ours, or its page is not here. */
static bool tx_fetch(Rtl8139 *r, uint32_t index, TxDesc *d)
{
    Device *dev = &r->pci.dev;
    uint8_t b[RTL_DESC];

    d->at = tx_ring(&r->s) + (uint64_t)index * RTL_DESC;
    if (!rtl_probe(r, d->at, sizeof(b))) return false;
    dma_read(dev, d->at, b, sizeof(b));
    d->flags = load_le32(b);
    d->vlan = load_le32(b + 4);
    d->addr = load_le64(b + 8);
    return d->flags & DESC_OWN;
}

static uint32_t tx_after(const TxDesc *d, uint32_t index)
{
    return d->flags & DESC_EOR ? 0 : (index + 1) % 1024;
}

/* Bytes of the frame that begins at the next descriptor, and its descriptors; 0 descriptors: it is
 * not there as a whole. */
static unsigned tx_measure(Rtl8139 *r, size_t *len)
{
    uint32_t index = r->s.cplus_tx_next;
    TxDesc d;

    *len = 0;
    for (unsigned n = 1; n <= 1024; n++) {
        uint32_t size;

        if (!tx_fetch(r, index, &d)) return 0;
        size = d.flags & TXD_SIZE;
        if (size && !rtl_probe(r, d.addr, size)) return 0;
        *len += size;
        if (d.flags & DESC_LS || *len > RTL_FRAME_MAX) return n;
        index = tx_after(&d, index);
    }
    return 0;
}

static void tx_release(Rtl8139 *r, const TxDesc *d)
{
    uint8_t b[4];

    store_le32(b, d->flags & ~(DESC_OWN | TXD_ERRORS));
    dma_write(&r->pci.dev, d->at, b, sizeof(b));
    r->s.cplus_tx_next = tx_after(d, r->s.cplus_tx_next);
}

static void tx_emit_segment(void *opaque, uint8_t *frame, size_t len)
{
    tx_send(opaque, frame, len);
}

static void tx_emit(Rtl8139 *r, uint8_t *frame, size_t len, const TxDesc *first)
{
    unsigned what = (first->flags & TXD_IPCS ? OFFLOAD_IP : 0) |
                    (first->flags & TXD_UDPCS ? OFFLOAD_UDP : 0) |
                    (first->flags & TXD_TCPCS ? OFFLOAD_TCP : 0);

    r->s.tally.tx_ok++;
    if (first->flags & TXD_LGSEN &&
        rtl_offload_segment(
            frame, len, first->flags >> TXD_MSS_SHIFT & TXD_MSS, tx_emit_segment, r))
        return;
    if (!(first->flags & TXD_LGSEN)) rtl_offload_sums(frame, len, what);
    if (first->vlan & TXD_TAG && len > TAG_AT) {
        memmove(frame + TAG_AT + TAG_BYTES, frame + TAG_AT, len - TAG_AT);
        store_be16(frame + TAG_AT, TAG_TYPE);
        store_le16(frame + TAG_AT + 2, (uint16_t)first->vlan); /* as it is on the wire */
        len += TAG_BYTES;
    }
    tx_send(r, frame, len);
}

static void tx_frame(Rtl8139 *r, unsigned descs, size_t len)
{
    uint8_t *frame = g_malloc(len + TAG_BYTES + NET_FRAME_MIN);
    TxDesc d = { 0 }, first = { 0 };
    size_t at = 0;

    for (unsigned n = 0; n < descs; n++) {
        uint32_t size;

        if (!tx_fetch(r, r->s.cplus_tx_next, &d)) break;
        if (!n) first = d;
        size = MIN_OF(d.flags & TXD_SIZE, (uint32_t)(len - at));
        dma_read(&r->pci.dev, d.addr, frame + at, size);
        at += size;
        tx_release(r, &d);
    }
    if (len <= RTL_FRAME_MAX && first.flags & DESC_FS)
        tx_emit(r, frame, at, &first);
    else
        guest_error(&r->pci.dev, "a transmit descriptor starts no frame, or too long a one");
    g_free(frame);
}

void rtl_cplus_transmit(Rtl8139 *r)
{
    RtlState *s = &r->s;
    bool any = false;
    unsigned descs;
    size_t len;

    if (!(s->cmd & CMD_TE) || !(s->cplus & CPLUS_TX) || !rtl_masters(r) || !s->clock_enabled)
        return;
    while ((descs = tx_measure(r, &len)) != 0) {
        tx_frame(r, descs, len);
        any = true;
    }
    if (any) rtl_interrupt(r, INT_TX_OK | INT_TX_EMPTY);
}
