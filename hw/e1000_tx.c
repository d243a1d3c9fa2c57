/* SPDX-License-Identifier: MIT */
/*
 * The 82540EM sends.  Source: Intel 8254x manual, chapters 3.3 to 3.5: legacy, context and data
 * descriptors, checksums, TCP segmentation.
 *
 * A frame is gathered in tx_data, descriptor by descriptor; with segmentation each full segment
 * leaves at once, and the header is put in front of the next one.
 */
#include <string.h>

#include "hw/e1000.h"

enum { CMD_EOP = 1, CMD_IC = 4, CMD_RS = 8, CMD_RPS = 0x10, CMD_DEXT = 0x20, CMD_VLE = 0x40 };
enum { CMD_TCP = 1, CMD_IP = 2, CMD_TSE = 4 /* context; TSE in data descriptors, too */ };
enum { DTYP_CONTEXT = 0, DTYP_DATA = 1 };
enum { POPTS_IP = 1, POPTS_TCP = 2 };
enum { FIRST_SEGMENTS = 1, FIRST_DATA = 2 };
enum { STATUS_DD = 1, TAG_AT = 12, TAG_BYTES = 4, TCP_FIN_PSH = 9, IPV6_HEAD = 40 };

typedef struct TxDesc {
    uint64_t addr;
    uint32_t lower, upper;
    uint8_t cmd;
} TxDesc;

/* -- checksums and segments -- */

/* Sums [start, end) up and puts the complement at `at`; end 0 means the end of the frame. */
static void tx_sum(E1000State *s, uint32_t start, uint32_t end, uint32_t at)
{
    uint64_t sum = 0;

    end = end && end + 1 < s->tx_size ? end + 1 : s->tx_size;
    if (start >= end || at + 2u > s->tx_size) return;
    for (uint32_t i = start; i < end; i++)
        sum += (i - start) % 2 ? s->tx_data[i] : (uint32_t)s->tx_data[i] << 8;
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    store_be16(s->tx_data + at, (uint16_t)~sum);
}

static void tx_add16(E1000State *s, uint32_t at, uint32_t more)
{
    if (at + 2u <= s->tx_size)
        store_be16(s->tx_data + at, (uint16_t)(load_be16(s->tx_data + at) + more));
}

static void tx_set16(E1000State *s, uint32_t at, uint32_t val)
{
    if (at + 2u <= s->tx_size) store_be16(s->tx_data + at, (uint16_t)val);
}

/* What differs from segment to segment in the headers. */
static void tx_fix_headers(E1000State *s)
{
    const E1000Props *p = &s->tso;
    uint32_t sent = (uint32_t)s->tx_frames * p->mss, len = (uint32_t)s->tx_size - p->tucss, sum;

    if (p->ip) {
        tx_set16(s, p->ipcss + 2u, (uint32_t)s->tx_size - p->ipcss);
        tx_add16(s, p->ipcss + 4u, s->tx_frames);
    } else {
        tx_set16(s, p->ipcss + 4u, (uint32_t)s->tx_size - p->ipcss - IPV6_HEAD);
    }
    if (!p->tcp) {
        tx_set16(s, p->tucss + 4u, len);
    } else if (p->tucss + 14u <= s->tx_size) {
        uint8_t *tcp = s->tx_data + p->tucss;

        store_be32(tcp + 4, load_be32(tcp + 4) + sent);
        if (sent + p->mss < p->paylen) tcp[13] &= (uint8_t)~TCP_FIN_PSH;
    }
    if (s->tx_sums & POPTS_TCP && p->tucso + 2u <= s->tx_size) {
        sum = load_be16(s->tx_data + p->tucso) + len; /* the pseudo header's length */
        tx_set16(s, p->tucso, (sum & 0xffff) + (sum >> 16));
    }
}

static void tx_account(E1000 *e, size_t len)
{
    e1000_count(e, E_TPT);
    e1000_count(e, E_GPTC);
    e1000_count_bytes(e, E_TOTL, len + 4);
    e1000_count_bytes(e, E_GOTCL, len + 4);
    e1000_count_size(e, E_PTC64, len + 4);
    if (e->s.tx_data[0] == 0xff)
        e1000_count(e, E_BPTC);
    else if (e->s.tx_data[0] & 1)
        e1000_count(e, E_MPTC);
}

/* What was gathered leaves. */
static void tx_emit(E1000 *e)
{
    E1000State *s = &e->s;
    const E1000Props *p = s->tx_first & FIRST_SEGMENTS ? &s->tso : &s->props;
    uint8_t *frame;
    size_t len = s->tx_size;

    if (s->tx_first & FIRST_SEGMENTS) {
        tx_fix_headers(s);
        s->tx_frames++;
        if (s->tx_frames == 1) e1000_count(e, E_TSCTC);
    }
    if (s->tx_sums & POPTS_TCP) tx_sum(s, p->tucss, p->tucse, p->tucso);
    if (s->tx_sums & POPTS_IP) tx_sum(s, p->ipcss, p->ipcse, p->ipcso);
    frame = g_malloc0(len + TAG_BYTES + NET_FRAME_MIN);
    memcpy(frame, s->tx_data, len);
    if (s->tx_tag && len > TAG_AT) {
        memmove(frame + TAG_AT + TAG_BYTES, frame + TAG_AT, len - TAG_AT);
        store_be16(frame + TAG_AT, (uint16_t)s->reg[E_VET]);
        store_be16(frame + TAG_AT + 2, s->tx_vlan);
        len += TAG_BYTES;
    }
    if (len) tx_account(e, len);
    if (len && s->reg[E_STATUS] & STATUS_LU) net_send(e->port, frame, MAX_OF(len, NET_FRAME_MIN));
    g_free(frame);
}

/* -- descriptors -- */

static uint64_t tx_ring(const E1000State *s)
{
    return (uint64_t)s->reg[E_TDBAH] << 32 | (s->reg[E_TDBAL] & ~(uint32_t)0xf);
}

static void tx_context(E1000State *s, const TxDesc *d)
{
    E1000Props *p = d->cmd & CMD_TSE ? &s->tso : &s->props;
    uint32_t low = (uint32_t)d->addr, high = (uint32_t)(d->addr >> 32);

    p->ipcss = (uint8_t)low;
    p->ipcso = (uint8_t)(low >> 8);
    p->ipcse = (uint16_t)(low >> 16);
    p->tucss = (uint8_t)high;
    p->tucso = (uint8_t)(high >> 8);
    p->tucse = (uint16_t)(high >> 16);
    p->paylen = d->lower & 0xfffff;
    p->hdr_len = (uint8_t)(d->upper >> 8);
    p->mss = (uint16_t)(d->upper >> 16);
    p->ip = !!(d->cmd & CMD_IP);
    p->tcp = !!(d->cmd & CMD_TCP);
    s->tx_frames = 0;
}

/* Bytes that tx_data takes before a segment is full. */
static uint32_t tx_limit(const E1000State *s)
{
    uint32_t segment = (uint32_t)s->tso.hdr_len + s->tso.mss;

    if (!(s->tx_first & FIRST_SEGMENTS) || !s->tso.mss) return E1000_TX_DATA - 1;
    return MIN_OF(segment, E1000_TX_DATA - 1);
}

static void tx_gather(E1000 *e, uint64_t addr, uint32_t len)
{
    E1000State *s = &e->s;

    while (len) {
        uint32_t limit = tx_limit(s), before = s->tx_size, part;

        if (before >= limit) return; /* longer than any frame, or a context changed in its midst */
        part = MIN_OF(len, limit - before);
        dma_read(&e->pci.dev, addr, s->tx_data + before, part);
        s->tx_size = (uint16_t)(before + part);
        addr += part;
        len -= part;
        if (!(s->tx_first & FIRST_SEGMENTS)) continue;
        if (before < s->tso.hdr_len && s->tx_size >= s->tso.hdr_len)
            memcpy(s->tx_header, s->tx_data, s->tso.hdr_len);
        if (s->tx_size < limit) continue;
        tx_emit(e);
        memcpy(s->tx_data, s->tx_header, s->tso.hdr_len);
        s->tx_size = s->tso.hdr_len;
    }
}

static void tx_end(E1000 *e, const TxDesc *d)
{
    E1000State *s = &e->s;
    bool extended = s->tx_first & FIRST_DATA;

    s->tx_tag = d->cmd & CMD_VLE && s->reg[E_CTRL] & CTRL_VME;
    s->tx_vlan = (uint16_t)(d->upper >> 16);
    if (!extended && d->cmd & CMD_IC) tx_sum(s, d->upper >> 8 & 0xff, 0, d->lower >> 16 & 0xff);
    if (!(s->tx_first & FIRST_SEGMENTS) || s->tx_size > s->tso.hdr_len) tx_emit(e);
    s->tx_size = 0;
    s->tx_frames = 0;
    s->tx_first = 0;
    s->tx_sums = 0;
    s->tx_tag = 0;
}

static void tx_descriptor(E1000 *e, const TxDesc *d)
{
    E1000State *s = &e->s;
    bool extended = d->cmd & CMD_DEXT;
    uint32_t len = d->lower & (extended ? 0xfffff : 0xffff);

    if (extended && (d->lower >> 20 & 0xf) == DTYP_CONTEXT) {
        tx_context(s, d);
        return;
    }
    if (!s->tx_size) {
        s->tx_first = (uint8_t)((extended ? FIRST_DATA : 0) |
                                (extended && d->cmd & CMD_TSE && s->tso.mss ? FIRST_SEGMENTS : 0));
        s->tx_sums = extended ? d->upper >> 8 & 3 : 0;
    }
    tx_gather(e, d->addr, len);
    if (d->cmd & CMD_EOP) tx_end(e, d);
}

/* The descriptor at the head; false: a page of it or of its buffer is not here. */
static bool tx_fetch(E1000 *e, uint64_t at, TxDesc *d)
{
    Device *dev = &e->pci.dev;
    uint8_t b[E1000_DESC];
    uint32_t len;

    if (!dma_probe(dev, at, sizeof(b), e1000_resume)) return false;
    dma_read(dev, at, b, sizeof(b));
    d->addr = load_le64(b);
    d->lower = load_le32(b + 8);
    d->upper = load_le32(b + 12);
    d->cmd = (uint8_t)(d->lower >> 24);
    len = d->lower & (d->cmd & CMD_DEXT ? 0xfffff : 0xffff);
    if (d->cmd & CMD_DEXT && (d->lower >> 20 & 0xf) == DTYP_CONTEXT) return true;
    return !len || dma_probe(dev, d->addr, len, e1000_resume);
}

void e1000_transmit(E1000 *e)
{
    E1000State *s = &e->s;
    uint32_t ring = s->reg[E_TDLEN] / E1000_DESC, causes = 0;

    if (!(s->reg[E_TCTL] & TCTL_EN) || !e1000_masters(e) || s->reg[E_TDH] >= ring) return;
    for (uint32_t n = 0; s->reg[E_TDH] != s->reg[E_TDT]; n++) {
        uint64_t at = tx_ring(s) + (uint64_t)s->reg[E_TDH] * E1000_DESC;
        TxDesc d;

        if (n > ring) {
            guest_error(&e->pci.dev, "TDT %u is not in a ring of %u", s->reg[E_TDT], ring);
            break;
        }
        if (!tx_fetch(e, at, &d)) return;
        if (++s->reg[E_TDH] >= ring) s->reg[E_TDH] = 0;
        tx_descriptor(e, &d);
        if (d.cmd & (CMD_RS | CMD_RPS)) {
            uint8_t upper[4];

            store_le32(upper, d.upper | STATUS_DD);
            dma_write(&e->pci.dev, at + 12, upper, sizeof(upper));
            causes |= CAUSE_TXDW;
        }
    }
    e1000_cause(e, causes | CAUSE_TXQE);
}
