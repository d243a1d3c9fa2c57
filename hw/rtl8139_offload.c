/* SPDX-License-Identifier: MIT */
/* What the RTL8139C+ does to IPv4 frames: checksums, segments.  Source: RFC 791, 768, 793, 1071. */
#include <string.h>

#include "hw/rtl8139.h"

enum { ETHERTYPE_IP = 0x0800, IP_PROTOCOL = 9, IP_SUM = 10, IP_ADDRESSES = 12, IP_HEAD = 20 };
enum { PROTO_TCP = 6, PROTO_UDP = 17, TCP_HEAD = 20, UDP_HEAD = 8, TCP_SUM = 16, UDP_SUM = 6 };
enum { TCP_FLAGS = 13, TCP_FIN_PSH = 0x09 };

typedef struct Packet {
    uint8_t *ip, *load; /* headers of IP and of what it carries */
    unsigned ip_head, load_len;
    unsigned what; /* OFFLOAD_IP, and UDP or TCP where it is one that is whole */
} Packet;

/* Takes a frame apart; false where it holds no IPv4. */
static bool packet_parse(uint8_t *frame, size_t len, Packet *p)
{
    unsigned total, least;

    if (len < RTL_ETH_HEAD + IP_HEAD || load_be16(frame + 12) != ETHERTYPE_IP) return false;
    p->ip = frame + RTL_ETH_HEAD;
    p->ip_head = (p->ip[0] & 15u) * 4;
    total = load_be16(p->ip + 2);
    if (p->ip[0] >> 4 != 4 || p->ip_head < IP_HEAD || total < p->ip_head ||
        total > len - RTL_ETH_HEAD)
        return false;
    p->load = p->ip + p->ip_head;
    p->load_len = total - p->ip_head;
    p->what = OFFLOAD_IP;
    least = p->ip[IP_PROTOCOL] == PROTO_TCP ? TCP_HEAD : UDP_HEAD;
    if (load_be16(p->ip + 6) & 0x3fff || p->load_len < least) return true; /* a fragment */
    if (p->ip[IP_PROTOCOL] == PROTO_TCP) p->what |= OFFLOAD_TCP;
    if (p->ip[IP_PROTOCOL] == PROTO_UDP) p->what |= OFFLOAD_UDP;
    return true;
}

static uint32_t sum_add(uint32_t sum, const uint8_t *data, unsigned len)
{
    for (unsigned i = 0; i + 1 < len; i += 2) sum += load_be16(data + i);
    return len % 2 ? sum + ((uint32_t)data[len - 1] << 8) : sum;
}

static uint16_t sum_end(uint32_t sum)
{
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint16_t packet_load_sum(const Packet *p)
{
    uint32_t sum = p->ip[IP_PROTOCOL] + p->load_len;

    sum = sum_add(sum, p->ip + IP_ADDRESSES, 8);
    return sum_end(sum_add(sum, p->load, p->load_len));
}

static void packet_fill(Packet *p, unsigned what)
{
    uint8_t *at = p->load + (p->what & OFFLOAD_TCP ? TCP_SUM : UDP_SUM);
    uint16_t sum;

    if (what & OFFLOAD_IP) {
        store_be16(p->ip + IP_SUM, 0);
        store_be16(p->ip + IP_SUM, sum_end(sum_add(0, p->ip, p->ip_head)));
    }
    if (!(what & p->what & (OFFLOAD_TCP | OFFLOAD_UDP))) return;
    store_be16(at, 0);
    sum = packet_load_sum(p);
    store_be16(at, p->what & OFFLOAD_UDP && !sum ? 0xffff : sum); /* a 0 says: none */
}

void rtl_offload_sums(uint8_t *frame, size_t len, unsigned what)
{
    Packet p;

    if (what && packet_parse(frame, len, &p)) packet_fill(&p, what);
}

unsigned rtl_offload_check(const uint8_t *frame, size_t len, unsigned *bad)
{
    Packet p;

    *bad = 0;
    if (!packet_parse((uint8_t *)frame, len, &p)) return 0;
    if (sum_end(sum_add(0, p.ip, p.ip_head))) *bad |= OFFLOAD_IP;
    if (p.what & OFFLOAD_UDP && !load_be16(p.load + UDP_SUM)) return p.what;
    if (p.what & (OFFLOAD_TCP | OFFLOAD_UDP) && packet_load_sum(&p)) *bad |= p.what & ~OFFLOAD_IP;
    return p.what;
}

bool rtl_offload_segment(const uint8_t *frame, size_t len, unsigned mss,
    void (*emit)(void *opaque, uint8_t *frame, size_t len), void *opaque)
{
    Packet whole, p;
    unsigned tcp_head, head, bytes;
    uint8_t *part;

    if (!mss || !packet_parse((uint8_t *)frame, len, &whole) || !(whole.what & OFFLOAD_TCP))
        return false;
    tcp_head = (whole.load[12] >> 4) * 4u;
    if (tcp_head < TCP_HEAD || tcp_head > whole.load_len) return false;
    head = RTL_ETH_HEAD + whole.ip_head + tcp_head;
    bytes = whole.load_len - tcp_head;
    part = g_malloc0(head + mss + NET_FRAME_MIN + 8);
    for (unsigned at = 0, n = 0; at < bytes || !n; at += mss, n++) {
        unsigned size = MIN_OF(mss, bytes - at);

        memcpy(part, frame, head);
        memcpy(part + head, frame + head + at, size);
        store_be16(part + RTL_ETH_HEAD + 2, (uint16_t)(whole.ip_head + tcp_head + size));
        packet_parse(part, head + size, &p);
        store_be16(p.ip + 4, (uint16_t)(load_be16(p.ip + 4) + n));
        store_be32(p.load + 4, load_be32(p.load + 4) + at);
        if (at + size < bytes) p.load[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
        packet_fill(&p, OFFLOAD_IP | OFFLOAD_TCP);
        emit(opaque, part, head + size);
    }
    g_free(part);
    return true;
}
