/* SPDX-License-Identifier: MIT */
/* The 82540EM receives.  Source: Intel 8254x manual, chapters 3.2 and 13.4.22. */
#include <string.h>

#include "hw/e1000.h"

enum {
    RCTL_UPE = 1 << 3,
    RCTL_MPE = 1 << 4,
    RCTL_LPE = 1 << 5,
    RCTL_BAM = 1 << 15,
    RCTL_VFE = 1 << 18,
    RCTL_BSEX = 1 << 25,
    RCTL_SECRC = 1 << 26,
};
enum { RX_DD = 1, RX_EOP = 2, RX_IXSM = 4, RX_VP = 8 };
enum { FRAME_MAX = 1522, FRAME_LONG = 16384, CRC_BYTES = 4, ETH_HEAD = 14, TAG_AT = 12 };
enum { RA_VALID_SHIFT = 31 };

void e1000_set_rctl(E1000 *e, uint32_t val)
{
    unsigned size = val >> 16 & 3;

    e->s.reg[E_RCTL] = val;
    e->s.rxbuf_size = val & RCTL_BSEX && size ? 16384u * 2 >> size : 2048u >> size;
    e->s.rxbuf_min_shift = (val >> 8 & 3) + 1;
    if (val & RCTL_EN) net_flush(e->port);
}

static uint64_t rx_ring(const E1000State *s)
{
    return (uint64_t)s->reg[E_RDBAH] << 32 | (s->reg[E_RDBAL] & ~(uint32_t)0xf);
}

/* Descriptors that the driver has given. */
static uint32_t rx_free(const E1000State *s)
{
    uint32_t n = s->reg[E_RDLEN] / E1000_DESC, head = s->reg[E_RDH], tail = s->reg[E_RDT];

    if (!n || head >= n || tail > n) return 0;
    return head <= tail ? tail - head : n - head + tail;
}

/* The pages of the next n descriptors and of their buffers are here. */
static bool rx_present(E1000 *e, uint32_t n)
{
    E1000State *s = &e->s;
    Device *dev = &e->pci.dev;

    if (!dma_probe(dev, rx_ring(s), s->reg[E_RDLEN], e1000_resume)) return false;
    for (uint32_t i = 0, at = s->reg[E_RDH]; i < n; i++, at++) {
        uint8_t desc[8];

        if (at == s->reg[E_RDLEN] / E1000_DESC) at = 0;
        dma_read(dev, rx_ring(s) + (uint64_t)at * E1000_DESC, desc, sizeof(desc));
        if (!dma_probe(dev, load_le64(desc), s->rxbuf_size, e1000_resume)) return false;
    }
    return true;
}

static uint32_t rx_needed(const E1000State *s, size_t len)
{
    return (uint32_t)((len + CRC_BYTES + s->rxbuf_size - 1) / s->rxbuf_size);
}

static bool rx_can_receive(void *opaque)
{
    E1000 *e = opaque;
    E1000State *s = &e->s;
    uint32_t need;

    if (!(s->reg[E_RCTL] & RCTL_EN) || !(s->reg[E_STATUS] & STATUS_LU) || !e1000_masters(e))
        return false;
    need = rx_needed(s, FRAME_MAX);
    return rx_free(s) >= need && rx_present(e, MIN_OF(rx_free(s), need));
}

static bool rx_vlan_tagged(const E1000State *s, const uint8_t *frame, size_t len)
{
    return len >= ETH_HEAD + 4u && load_be16(frame + TAG_AT) == (s->reg[E_VET] & 0xffff);
}

static bool rx_exact(const E1000State *s, const uint8_t *to)
{
    for (unsigned i = 0; i < E_RA_WORDS; i += 2) {
        const uint32_t *ra = &s->reg[E_RA + i];

        if (ra[1] >> RA_VALID_SHIFT && load_le32(to) == ra[0] &&
            load_le16(to + 4) == (ra[1] & 0xffff))
            return true;
    }
    return false;
}

/* Whether the frame passes the filters; counts what kind it is. */
static bool rx_wanted(E1000 *e, const uint8_t *frame, size_t len)
{
    static const unsigned shift[] = { 4, 3, 2, 0 }; /* by RCTL.MO */
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const E1000State *s = &e->s;
    uint32_t rctl = s->reg[E_RCTL], hash;

    if (rx_vlan_tagged(s, frame, len) && rctl & RCTL_VFE) {
        unsigned id = load_be16(frame + TAG_AT + 2) & 0xfff;

        if (!(s->reg[E_VFTA + id / 32] >> id % 32 & 1)) return false;
    }
    if (!memcmp(frame, broadcast, 6)) {
        if (!(rctl & (RCTL_BAM | RCTL_MPE))) return false;
        e1000_count(e, E_BPRC);
        return true;
    }
    if (!(frame[0] & 1)) return rctl & RCTL_UPE || rx_exact(s, frame);
    hash = load_le16(frame + 4);
    hash = hash >> shift[rctl >> 12 & 3] & 0xfff;
    if (!(rctl & RCTL_MPE) && !rx_exact(s, frame) &&
        !(s->reg[E_MTA + (hash >> 5)] >> (hash & 31) & 1))
        return false;
    e1000_count(e, E_MPRC);
    return true;
}

/* Writes the frame into the next descriptors.  total counts the CRC where it is kept. */
static void rx_store(E1000 *e, const uint8_t *frame, size_t total, uint16_t special, uint8_t status)
{
    E1000State *s = &e->s;
    Device *dev = &e->pci.dev;
    size_t at = 0;

    while (at < total) {
        uint64_t place = rx_ring(s) + (uint64_t)s->reg[E_RDH] * E1000_DESC;
        size_t part = MIN_OF(total - at, s->rxbuf_size);
        uint8_t desc[E1000_DESC];

        dma_read(dev, place, desc, sizeof(desc));
        if (load_le64(desc)) dma_write(dev, load_le64(desc), frame + at, part);
        at += part;
        store_le16(desc + 8, (uint16_t)part);
        store_le16(desc + 10, 0);
        desc[12] = (uint8_t)(status | RX_DD | RX_IXSM | (at == total ? RX_EOP : 0));
        desc[13] = 0;
        store_le16(desc + 14, special);
        dma_write(dev, place, desc, sizeof(desc));
        if (++s->reg[E_RDH] * E1000_DESC >= s->reg[E_RDLEN]) s->reg[E_RDH] = 0;
    }
}

static void rx_account(E1000 *e, size_t len)
{
    e1000_count(e, E_TPR);
    e1000_count(e, E_GPRC);
    e1000_count_bytes(e, E_GORCL, len + CRC_BYTES);
    e1000_count_bytes(e, E_TORL, len + CRC_BYTES);
    e1000_count_size(e, E_PRC64, len + CRC_BYTES);
}

/* frame is len bytes, with room for a CRC behind. */
static void rx_take(E1000 *e, uint8_t *frame, size_t len)
{
    E1000State *s = &e->s;
    uint32_t causes = CAUSE_RXT0, ring = s->reg[E_RDLEN] / E1000_DESC;
    uint16_t special = 0;
    uint8_t status = 0;
    size_t total;

    if (rx_vlan_tagged(s, frame, len) && s->reg[E_CTRL] & CTRL_VME) {
        special = load_be16(frame + TAG_AT + 2);
        status = RX_VP;
        memmove(frame + TAG_AT, frame + TAG_AT + 4, len - TAG_AT - 4);
        len -= 4;
    }
    total = len + (s->reg[E_RCTL] & RCTL_SECRC ? 0 : CRC_BYTES);
    if (rx_free(s) < rx_needed(s, len) || !rx_present(e, rx_needed(s, len))) {
        e1000_count(e, E_RNBC);
        e1000_count(e, E_MPC);
        e1000_cause(e, CAUSE_RXO);
        return;
    }
    memset(frame + len, 0, CRC_BYTES);
    rx_store(e, frame, total, special, status);
    rx_account(e, len);
    if (rx_free(s) <= ring >> s->rxbuf_min_shift) causes |= CAUSE_RXDMT0;
    e1000_cause(e, causes);
}

static void rx_receive(void *opaque, const uint8_t *frame, size_t len)
{
    E1000 *e = opaque;
    size_t limit = e->s.reg[E_RCTL] & RCTL_LPE ? FRAME_LONG : FRAME_MAX;
    uint8_t *copy;

    if (len < ETH_HEAD || len > limit || !(e->s.reg[E_RCTL] & RCTL_EN)) return;
    if (!rx_wanted(e, frame, len)) return;
    copy = g_malloc0(MAX_OF(len, NET_FRAME_MIN) + CRC_BYTES);
    memcpy(copy, frame, len);
    rx_take(e, copy, MAX_OF(len, NET_FRAME_MIN));
    g_free(copy);
}

static void rx_link_changed(void *opaque, bool up)
{
    E1000 *e = opaque;

    if (up == !!(e->s.reg[E_STATUS] & STATUS_LU)) return;
    e1000_phy_link(&e->s, up);
    e1000_cause(e, CAUSE_LSC);
}

const NetPortOps e1000_port_ops = { .type = "nic",
    .can_receive = rx_can_receive,
    .receive = rx_receive,
    .link_changed = rx_link_changed };
