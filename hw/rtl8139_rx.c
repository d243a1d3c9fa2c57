/* SPDX-License-Identifier: MIT */
/* The RTL8139 receives.  Source: RTL8139C+ data sheet, chapters 6.9 (RCR) and 9.3 (descriptors). */
#include <string.h>

#include "hw/rtl8139.h"

enum { RCR_AAP = 1, RCR_APM = 2, RCR_AM = 4, RCR_AB = 8, RCR_WRAP = 0x80 };
enum { HEAD_OK = 0x0001, HEAD_BROADCAST = 0x2000, HEAD_PHYSICAL = 0x4000, HEAD_MULTICAST = 0x8000 };
enum { RXD_MULTICAST = 1 << 27, RXD_PHYSICAL = 1 << 26, RXD_BROADCAST = 1 << 25 };
enum { RXD_SIZE = 0x1fff, RXD_PROTO_SHIFT = 16, RXD_TAGGED = 1 << 16 };
enum { RXD_IP_BAD = 1 << 15, RXD_UDP_BAD = 1 << 14, RXD_TCP_BAD = 1 << 13 };
enum { PROTO_TCP = 1, PROTO_UDP = 2, PROTO_IP = 3 };
enum { HEADER = 4, BUFFER_64K = 65536, TAG_AT = 12, TAG_BYTES = 4, TAG_TYPE = 0x8100 };

void rtl_reset_buffer(RtlState *s, uint32_t size)
{
    s->rx_size = size;
    s->rx_read = s->rx_write = 0;
}

static uint32_t rx_crc(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* The six upper bits of the CRC as it is sent, highest power first. */
static bool rx_hash_hit(const RtlState *s, const uint8_t *to)
{
    uint32_t crc = ~rx_crc(to, 6), n = 0;

    for (int i = 0; i < 6; i++) n = n << 1 | (crc >> i & 1);
    return s->mult[n / 8] >> n % 8 & 1;
}

/* The header bit of the kind of address that lets the frame pass; 0: it does not. */
static uint16_t rx_filter(RtlState *s, const uint8_t *frame)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    if (!memcmp(frame, broadcast, 6)) {
        if (!(s->rx_config & (RCR_AB | RCR_AAP))) return 0;
        s->tally.rx_ok_brd++;
        return HEAD_BROADCAST;
    }
    if (frame[0] & 1) {
        if (!(s->rx_config & RCR_AAP) && !(s->rx_config & RCR_AM && rx_hash_hit(s, frame)))
            return 0;
        s->tally.rx_ok_mul++;
        return HEAD_MULTICAST;
    }
    if (!memcmp(frame, s->phys, 6) && s->rx_config & RCR_APM) {
        s->tally.rx_ok_phy++;
        return HEAD_PHYSICAL;
    }
    return s->rx_config & RCR_AAP ? HEAD_OK : 0;
}

static void rx_missed(Rtl8139 *r)
{
    r->s.rx_missed = (r->s.rx_missed + 1) & 0xffffff;
    r->s.tally.miss++;
    rtl_interrupt(r, INT_RX_EMPTY);
}

/* -- the receive buffer -- */

static uint32_t rx_space(const RtlState *s)
{
    uint32_t used = (s->rx_size + s->rx_write - s->rx_read) % s->rx_size;

    return s->rx_size - used;
}

/* With WRAP a frame that begins before the end runs on behind it. */
static bool rx_runs_on(const RtlState *s)
{
    return s->rx_config & RCR_WRAP && s->rx_size < BUFFER_64K;
}

static void rx_put(Rtl8139 *r, const uint8_t *data, uint32_t len)
{
    RtlState *s = &r->s;
    uint32_t first = len;

    if (!rx_runs_on(s)) first = MIN_OF(len, s->rx_size - s->rx_write);
    dma_write(&r->pci.dev, (uint64_t)s->rx_buf + s->rx_write, data, first);
    if (first < len) dma_write(&r->pci.dev, s->rx_buf, data + first, len - first);
    s->rx_write += len;
    if (!rx_runs_on(s)) s->rx_write %= s->rx_size;
}

static void rx_to_buffer(Rtl8139 *r, const uint8_t *frame, size_t len, uint16_t kind)
{
    RtlState *s = &r->s;
    uint8_t header[HEADER], crc[RTL_CRC];

    if (rx_space(s) != s->rx_size ? rx_space(s) <= len + 2 * HEADER + RTL_CRC
                                  : s->rx_size < len + 2 * HEADER + RTL_CRC) {
        rx_missed(r);
        return;
    }
    store_le16(header, HEAD_OK | kind);
    store_le16(header + 2, (uint16_t)(len + RTL_CRC));
    store_le32(crc, rx_crc(frame, len));
    rx_put(r, header, sizeof(header));
    rx_put(r, frame, (uint32_t)len);
    rx_put(r, crc, sizeof(crc));
    s->rx_write = ((s->rx_write + 3) & ~3u) % s->rx_size;
    s->tally.rx_ok++;
    rtl_interrupt(r, INT_RX_OK);
}

/* -- the C+ ring -- */

static uint64_t rx_desc_at(const RtlState *s)
{
    uint64_t ring = (uint64_t)s->rx_ring_hi << 32 | (s->rx_ring_lo & ~(uint32_t)0xff);

    return ring + (uint64_t)s->cplus_rx_next * RTL_DESC;
}

/* Kind of protocol and bad sums, as the descriptor has them. */
static uint32_t rx_protocol(const uint8_t *frame, size_t len)
{
    unsigned bad, what = rtl_offload_check(frame, len, &bad);
    uint32_t proto = what & OFFLOAD_TCP   ? PROTO_TCP
                     : what & OFFLOAD_UDP ? PROTO_UDP
                     : what               ? PROTO_IP
                                          : 0;

    return proto << RXD_PROTO_SHIFT | (bad & OFFLOAD_IP ? RXD_IP_BAD : 0) |
           (bad & OFFLOAD_UDP ? RXD_UDP_BAD : 0) | (bad & OFFLOAD_TCP ? RXD_TCP_BAD : 0);
}

/* frame has room for a CRC behind. */
static void rx_to_ring(Rtl8139 *r, uint8_t *frame, size_t len, uint16_t kind)
{
    RtlState *s = &r->s;
    Device *dev = &r->pci.dev;
    uint64_t at = rx_desc_at(s);
    uint8_t desc[RTL_DESC];
    uint32_t flags, vlan = 0;

    dma_read(dev, at, desc, sizeof(desc));
    flags = load_le32(desc);
    if (s->cplus & CPLUS_VLAN && load_be16(frame + TAG_AT) == TAG_TYPE) {
        vlan = RXD_TAGGED | load_le16(frame + TAG_AT + 2);
        memmove(frame + TAG_AT, frame + TAG_AT + TAG_BYTES, len - TAG_AT - TAG_BYTES);
        len -= TAG_BYTES;
    }
    if (!(flags & DESC_OWN) || (flags & RXD_SIZE) < len + RTL_CRC) {
        rx_missed(r);
        return;
    }
    store_le32(frame + len, rx_crc(frame, len));
    dma_write(dev, load_le64(desc + 8), frame, len + RTL_CRC);
    store_le32(desc + 4, vlan);
    store_le32(desc, (flags & DESC_EOR) | DESC_FS | DESC_LS | (uint32_t)(len + RTL_CRC) |
                         (s->cplus & CPLUS_CHECKSUM ? rx_protocol(frame, len) : 0) |
                         (kind == HEAD_BROADCAST      ? RXD_BROADCAST
                             : kind == HEAD_MULTICAST ? RXD_MULTICAST
                             : kind == HEAD_PHYSICAL  ? RXD_PHYSICAL
                                                      : 0));
    dma_write(dev, at, desc, 8);
    s->cplus_rx_next = flags & DESC_EOR ? 0 : (s->cplus_rx_next + 1) % 1024;
    s->tally.rx_ok++;
    rtl_interrupt(r, INT_RX_OK);
}

/* -- the port -- */

static bool rx_ready(Rtl8139 *r)
{
    return r->s.cmd & CMD_RE && r->s.clock_enabled && rtl_masters(r);
}

/* The memory that the next frame goes to is here; asks for it where it is not. */
static bool rx_present(Rtl8139 *r)
{
    RtlState *s = &r->s;
    Device *dev = &r->pci.dev;
    uint8_t desc[RTL_DESC];

    if (!(s->cplus & CPLUS_RX)) return rtl_probe(r, s->rx_buf, (uint64_t)s->rx_size + 2048);
    if (!rtl_probe(r, rx_desc_at(s), sizeof(desc))) return false;
    dma_read(dev, rx_desc_at(s), desc, sizeof(desc));
    return !(load_le32(desc) & DESC_OWN) ||
           rtl_probe(r, load_le64(desc + 8), load_le32(desc) & RXD_SIZE);
}

/* A frame for which there is no room now waits, as it would on a switch. */
static bool rx_can_receive(void *opaque)
{
    Rtl8139 *r = opaque;
    RtlState *s = &r->s;
    uint8_t desc[4];

    if (!rx_ready(r)) return true; /* it is lost */
    if (!rx_present(r)) return false;
    if (!(s->cplus & CPLUS_RX)) return rx_space(s) == s->rx_size || rx_space(s) > 1514 + 16;
    dma_read(&r->pci.dev, rx_desc_at(s), desc, sizeof(desc));
    return load_le32(desc) & DESC_OWN;
}

void rtl_receive(Rtl8139 *r, const uint8_t *frame, size_t len)
{
    size_t padded = MAX_OF(len, NET_FRAME_MIN);
    uint16_t kind;
    uint8_t *copy;

    if (len < RTL_ETH_HEAD || len > RXD_SIZE - RTL_CRC - TAG_BYTES || !rx_ready(r)) return;
    kind = rx_filter(&r->s, frame);
    if (!kind) return;
    if (!rx_present(r)) {
        rx_missed(r);
        return;
    }
    copy = g_malloc0(padded + RTL_CRC);
    memcpy(copy, frame, len);
    if (r->s.cplus & CPLUS_RX)
        rx_to_ring(r, copy, padded, kind);
    else
        rx_to_buffer(r, copy, padded, kind & (uint16_t)~HEAD_OK);
    g_free(copy);
}

static void rx_receive(void *opaque, const uint8_t *frame, size_t len)
{
    rtl_receive(opaque, frame, len);
}

static void rx_link_changed(void *opaque, bool up)
{
    Rtl8139 *r = opaque;
    uint16_t was = r->s.bmsr;

    r->s.bmsr = (uint16_t)(up ? was | BMSR_LINK : was & ~BMSR_LINK);
    if (r->s.bmsr != was) rtl_interrupt(r, INT_LINK);
}

const NetPortOps rtl_port_ops = { .type = "nic",
    .can_receive = rx_can_receive,
    .receive = rx_receive,
    .link_changed = rx_link_changed };
