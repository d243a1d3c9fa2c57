/* SPDX-License-Identifier: MIT */
/* The RTL8139C+ through its ports, with a peer at the other end of its cable: EEPROM, timer, both
 * modes of sending and receiving, what it does to frames, and twins. */
#include "hw/rtl8139.h"

#include "tests/device/pci_bare.h"

enum { BASE = 0xc000, SLOT = 3, RX_BUFFER = 0x10000, TX_BUFFER = 0x20000, TALLY = 0x30000 };
enum { RX_RING = 0x31000, TX_RING = 0x32000, RX_AT = 0x40000, LAST = 3, SENT_MAX = 8 };
enum { TSD = 0x10, TSAD = 0x20, CR = 0x37, CAPR = 0x38, CBR = 0x3a, IMR = 0x3c, ISR = 0x3e };
enum { TCR = 0x40, RCR = 0x44, TCTR = 0x48, E9346 = 0x50, TIMERINT = 0x54, CPCR = 0xe0 };

typedef struct Fixture {
    Machine *m;
    NetPort *far;
    Device *dev;
    uint8_t sent[SENT_MAX][2048];
    size_t sent_len[SENT_MAX];
    unsigned nsent;
} Fixture;

static const uint8_t guest_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static void far_receive(void *opaque, const uint8_t *frame, size_t len)
{
    Fixture *f = opaque;

    g_assert_cmpuint(f->nsent, <, SENT_MAX);
    g_assert_cmpuint(len, <=, sizeof(f->sent[0]));
    memcpy(f->sent[f->nsent], frame, len);
    f->sent_len[f->nsent++] = len;
}
static const NetPortOps far_ops = { .type = "far", .receive = far_receive };

static void out(Fixture *f, unsigned reg, uint32_t val, unsigned size)
{
    pio_write(f->m, BASE + reg, val, size);
}
static uint32_t in(Fixture *f, unsigned reg, unsigned size)
{
    return pio_read(f->m, BASE + reg, size);
}
static void poke(Fixture *f, uint32_t gpa, const void *data, size_t len)
{
    mem_write(f->m, (MemAttrs){ .cpu = NULL }, gpa, data, len);
}
static void peek(Fixture *f, uint32_t gpa, void *data, size_t len)
{
    mem_read(f->m, (MemAttrs){ .cpu = NULL }, gpa, data, len);
}
static uint32_t peek32(Fixture *f, uint32_t gpa)
{
    uint8_t b[4];

    peek(f, gpa, b, 4);
    return load_le32(b);
}
static bool irq(Fixture *f) { return bare_probe(f->m, "router")->level[2]; }

static void setup(Fixture *f, gconstpointer data)
{
    (void)data;
    memset(f, 0, sizeof(*f));
    f->m = bare_new();
    f->far = net_port_new(f->m, "wire", &far_ops, f, NULL);
    bare_add_pci(f->m);
    f->dev = bare_add(f->m, "rtl8139", "nic", "netdev", "wire", "addr", "03.0", "romfile", "");
    config_out(f->m, SLOT, 0, 0x10, BASE | 1, 4);
    config_out(f->m, SLOT, 0, 0x04, 7, 2);
    out(f, CR, 0x10, 1);
    out(f, IMR, 0xffff, 2);
}

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

/* -- registers -- */

static unsigned eeprom_bit(Fixture *f, unsigned bit)
{
    out(f, E9346, 0x88 | bit << 1, 1);
    out(f, E9346, 0x8c | bit << 1, 1);
    return in(f, E9346, 1) & 1;
}

static unsigned eeprom(Fixture *f, unsigned command, int write)
{
    unsigned word = 0;

    out(f, E9346, 0x80, 1);
    out(f, E9346, 0x88, 1);
    eeprom_bit(f, 1);
    for (int i = 7; i >= 0; i--) eeprom_bit(f, command >> i & 1);
    for (int i = 15; i >= 0; i--)
        word = word << 1 | eeprom_bit(f, write < 0 ? 0 : (unsigned)write >> i & 1);
    out(f, E9346, 0, 1);
    return word;
}

static void test_registers(Fixture *f, gconstpointer data)
{
    (void)data;
    g_assert_cmphex(config_in(f->m, SLOT, 0, 0, 4), ==, 0x813910ec);
    g_assert_cmphex(config_in(f->m, SLOT, 0, 8, 1), ==, 0x20);
    g_assert_cmphex(in(f, 0, 4), ==, 0x12005452);
    g_assert_cmphex(in(f, TCR, 4) & 0x7cc00000, ==, 0x74800000); /* the C+ */
    g_assert_cmphex(in(f, CR, 1), ==, CMD_BUFE);
    g_assert_cmphex(in(f, CAPR, 2), ==, 0xfff0);
    g_assert_cmphex(in(f, TSD, 4), ==, TSD_OWN);
    g_assert_cmphex(in(f, 0x52, 1), ==, 0x0c);
    out(f, 0x52, 0xf3, 1); /* locked */
    g_assert_cmphex(in(f, 0x52, 1), ==, 0x0c);
    out(f, E9346, 0xc0, 1);
    out(f, 0x52, 0xf3, 1);
    g_assert_cmphex(in(f, 0x52, 1), ==, 0xff);
    g_assert_cmphex(eeprom(f, 0x80, -1), ==, 0x8129);
    g_assert_cmphex(eeprom(f, 0x87, -1), ==, 0x5452);
    eeprom(f, 0x47, 0xcafe);
    g_assert_cmphex(eeprom(f, 0x87, -1), ==, 0xcafe);
    g_assert_cmphex(in(f, 0, 2), ==, 0x5452);
    out(f, E9346, 0x40, 1); /* load from it */
    g_assert_cmphex(in(f, 0, 2), ==, 0xcafe);
    eeprom(f, 0xc7, -1);
    g_assert_cmphex(eeprom(f, 0x87, -1), ==, 0xffff);
    net_set_link(f->far, false);
    g_assert_cmphex(in(f, 0x64, 2) & BMSR_LINK, ==, 0);
    g_assert_cmphex(in(f, 0x58, 1) & 4, ==, 4);
    g_assert_cmphex(in(f, ISR, 2), ==, INT_LINK);
    g_assert_true(irq(f));
    out(f, ISR + 1, 0xff, 1); /* its other byte */
    g_assert_true(irq(f));
    out(f, ISR + 0, 0xff, 1);
    g_assert_false(irq(f));
    out(f, CAPR, 0x12340bcd, 4); /* CBR behind it is read-only */
    g_assert_cmphex(in(f, CAPR, 2), ==, 0xbcd);
}

static void test_timer(Fixture *f, gconstpointer data)
{
    (void)data;
    out(f, TCTR, 0, 4);
    out(f, TIMERINT, 1000, 4);
    bare_run(f->m, 15000);
    g_assert_cmpuint(in(f, TCTR, 4), ==, 500);
    g_assert_false(irq(f));
    bare_run(f->m, 15000);
    g_assert_cmphex(in(f, ISR, 2), ==, INT_TIMER);
    out(f, ISR, INT_TIMER, 2);
    bare_run(f->m, 1000000000);
    g_assert_cmphex(in(f, ISR, 2), ==, 0); /* again when it has gone round */
    bare_run(f->m, 128000000000);
    g_assert_cmphex(in(f, ISR, 2), ==, INT_TIMER);
}

/* -- the older mode -- */

static void frame_to(uint8_t *frame, const uint8_t *to, unsigned len)
{
    for (unsigned i = 0; i < len; i++) frame[i] = (uint8_t)(i * 3);
    memcpy(frame, to, 6);
    memcpy(frame + 6, guest_mac, 6);
}

/* Under the host's clock, which moves between the bytes: one access is of one instant. */
static void test_timer_is_whole(Fixture *f, gconstpointer data)
{
    uint32_t was, now;

    (void)data;
    bare_host_time(f->m);
    was = in(f, TCTR, 4);
    for (int i = 0; i < 200000; i++, was = now) {
        now = in(f, TCTR, 4);
        g_assert_cmphex(now - was, <, 1 << 26); /* a pause of two seconds, at most */
    }
}

static void test_transmit(Fixture *f, gconstpointer data)
{
    uint8_t frame[100];

    (void)data;
    frame_to(frame, guest_mac, sizeof(frame));
    poke(f, TX_BUFFER, frame, sizeof(frame));
    out(f, TSAD, TX_BUFFER, 4);
    out(f, TSAD + 4, TX_BUFFER, 4);
    out(f, TSD, 100, 4);
    g_assert_cmpuint(f->nsent, ==, 0); /* not enabled */
    out(f, CR, CMD_TE, 1);
    out(f, TSD, 100, 4);
    g_assert_cmpuint(f->nsent, ==, 1);
    g_assert_cmpmem(f->sent[0], f->sent_len[0], frame, sizeof(frame));
    g_assert_cmphex(in(f, TSD, 4), ==, TSD_OWN | TSD_OK | 100);
    g_assert_cmphex(in(f, ISR, 2), ==, INT_TX_OK);
    g_assert_true(irq(f));
    out(f, TSD + 8, 20, 4); /* out of turn: it waits for the one before it */
    g_assert_cmpuint(f->nsent, ==, 1);
    out(f, TSD + 4, 20, 4);
    g_assert_cmpuint(f->nsent, ==, 3);
    g_assert_cmpuint(f->sent_len[1], ==, NET_FRAME_MIN);
    g_assert_cmphex(in(f, 0x60, 2) & 0xf00f, ==, 0x700f);
}

static void start_receiver(Fixture *f, uint32_t rcr)
{
    out(f, 0x30, RX_BUFFER, 4);
    out(f, RCR, rcr, 4);
    out(f, CR, CMD_RE | CMD_TE, 1);
}

static void test_receive(Fixture *f, gconstpointer data)
{
    static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 }, other[6] = { 0x52, 1 };
    uint8_t frame[1000], got[1004];

    (void)data;
    start_receiver(f, 0x0a);
    frame_to(frame, other, sizeof(frame));
    net_send(f->far, frame, sizeof(frame));
    g_assert_cmphex(in(f, CR, 1) & CMD_BUFE, ==, CMD_BUFE);
    frame_to(frame, guest_mac, sizeof(frame));
    net_send(f->far, frame, sizeof(frame));
    g_assert_cmphex(in(f, ISR, 2), ==, INT_RX_OK);
    g_assert_cmphex(in(f, CR, 1) & CMD_BUFE, ==, 0);
    g_assert_cmphex(peek32(f, RX_BUFFER), ==, 1004u << 16 | 0x4001);
    peek(f, RX_BUFFER + 4, got, sizeof(got));
    g_assert_cmpmem(got, sizeof(frame), frame, sizeof(frame));
    g_assert_cmpuint(in(f, CBR, 2), ==, 1008);
    out(f, CAPR, 1008 - 16, 2);
    g_assert_cmphex(in(f, CR, 1) & CMD_BUFE, ==, CMD_BUFE);
    frame_to(frame, all, 60);
    net_send(f->far, frame, 60);
    g_assert_cmphex(peek32(f, RX_BUFFER + 1008), ==, 64u << 16 | 0x2001);
    g_assert_cmphex(peek32(f, RX_BUFFER + 1008 + 64), ==, peek32(f, RX_BUFFER + 1072));
    out(f, RCR, 0x0a, 4); /* the same size of buffer */
    g_assert_cmpuint(in(f, CBR, 2), ==, 1008 + 68);
    out(f, RCR, 0x080a, 4); /* another: it is empty */
    g_assert_cmpuint(in(f, CBR, 2), ==, 0);
    g_assert_cmphex(in(f, CR, 1) & CMD_BUFE, ==, CMD_BUFE);
}

/* Frames wrap round the buffer; what finds no room waits, and comes when there is some. */
static void test_receive_wrap(Fixture *f, gconstpointer data)
{
    uint8_t frame[1500], got[1500];

    (void)data;
    start_receiver(f, 0x0a);
    frame_to(frame, guest_mac, sizeof(frame));
    for (unsigned i = 0; i < 6; i++) {
        frame[14] = (uint8_t)i;
        net_send(f->far, frame, sizeof(frame));
    }
    g_assert_cmpuint(in(f, CBR, 2), ==, 5 * 1508); /* five fit */
    out(f, CAPR, 2 * 1508 - 16, 2);
    g_assert_cmpuint(in(f, CBR, 2), ==, 6 * 1508 - 8192);
    peek(f, RX_BUFFER + 5 * 1508 + 4, got, 8192 - 5 * 1508 - 4);
    peek(f, RX_BUFFER, got + 8192 - 5 * 1508 - 4, 1500 - (8192 - 5 * 1508 - 4));
    frame[14] = 5;
    g_assert_cmpmem(got, 1500, frame, 1500);
}

static void test_multicast(Fixture *f, gconstpointer data)
{
    /* 01:00:5e:00:00:01: CRC-32 of the address, its six upper bits as Ethernet sends them, is 0x3b?
     * Worked out here by long division, not by the code under test. */
    static const uint8_t to[6] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 };
    uint32_t crc = UINT32_MAX;
    uint8_t frame[60];
    unsigned hash;

    (void)data;
    for (unsigned i = 0; i < 48; i++) {
        bool carry = crc >> 31 ^ (to[i / 8] >> i % 8 & 1);

        crc = crc << 1 ^ (carry ? 0x04c11db7u : 0);
    }
    hash = crc >> 26;
    start_receiver(f, 0x0e);
    frame_to(frame, to, sizeof(frame));
    for (unsigned i = 0; i < 8; i++) out(f, 8 + i, i == hash / 8 ? ~(1u << hash % 8) : 0xff, 1);
    net_send(f->far, frame, sizeof(frame));
    g_assert_cmpuint(in(f, CBR, 2), ==, 0);
    for (unsigned i = 0; i < 8; i++) out(f, 8 + i, i == hash / 8 ? 1u << hash % 8 : 0, 1);
    net_send(f->far, frame, sizeof(frame));
    g_assert_cmpuint(in(f, CBR, 2), ==, 68);
    g_assert_cmphex(peek32(f, RX_BUFFER), ==, 64u << 16 | 0x8001);
}

/* -- C+ mode -- */

static void desc(Fixture *f, uint32_t at, uint32_t flags, uint32_t vlan, uint32_t addr)
{
    uint8_t b[16] = { 0 };

    store_le32(b, flags);
    store_le32(b + 4, vlan);
    store_le32(b + 8, addr);
    poke(f, at, b, sizeof(b));
}

static void start_cplus(Fixture *f, uint32_t cpcr)
{
    out(f, CPCR, cpcr, 2);
    out(f, 0x20, TX_RING, 4);
    out(f, 0x24, 0, 4);
    out(f, 0xe4, RX_RING, 4);
    out(f, RCR, 0x0a, 4);
    out(f, CR, CMD_RE | CMD_TE, 1);
}

/* An IPv4 frame with TCP or UDP in it, sums left out; its length. */
static unsigned make_packet(uint8_t *b, unsigned proto, unsigned bytes)
{
    unsigned head = proto == 6 ? 20 : 8, total = 20 + head + bytes;

    memset(b, 0, 14 + total);
    memcpy(b, guest_mac, 6);
    b[12] = 8;
    b[14] = 0x45;
    store_be16(b + 16, (uint16_t)total);
    store_be16(b + 18, 0x1234);
    b[22] = 64;
    b[23] = (uint8_t)proto;
    store_be32(b + 26, 0x0a000001);
    store_be32(b + 30, 0x0a000002);
    store_be32(b + 34, 0x00501f90);
    if (proto == 6) {
        store_be32(b + 38, 1000);
        b[46] = 0x50;
        b[47] = 0x19; /* ACK, PSH, FIN */
    } else {
        store_be16(b + 38, (uint16_t)(head + bytes));
    }
    for (unsigned i = 0; i < bytes; i++) b[14 + 20 + head + i] = (uint8_t)(i * 11 + 5);
    return 14 + total;
}

static uint32_t add16(const uint8_t *b, unsigned n)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < n; i++) sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
    return sum;
}

static uint32_t fold(uint32_t sum)
{
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* A right sum makes ones of all. */
static void check_sums(const uint8_t *b)
{
    unsigned load = load_be16(b + 16) - 20u;

    g_assert_cmphex(fold(add16(b + 14, 20)), ==, 0xffff);
    g_assert_cmphex(fold(add16(b + 26, 8) + b[23] + load + add16(b + 34, load)), ==, 0xffff);
}

static void test_cplus_transmit(Fixture *f, gconstpointer data)
{
    uint8_t b[2048];
    unsigned len = make_packet(b, 6, 101);

    (void)data;
    start_cplus(f, CPLUS_TX | CPLUS_RX);
    poke(f, TX_BUFFER, b, len);
    desc(f, TX_RING, DESC_OWN | DESC_FS | 5u << 16 | 50, 0, TX_BUFFER); /* IPCS, TCPCS */
    out(f, 0xd9, 0x40, 1);
    g_assert_cmpuint(f->nsent, ==, 0); /* the rest of it is not there */
    g_assert_cmphex(peek32(f, TX_RING) & DESC_OWN, ==, DESC_OWN);
    desc(f, TX_RING + 16, DESC_OWN | DESC_LS | DESC_EOR | (len - 50), 0, TX_BUFFER + 50);
    out(f, 0xd9, 0x40, 1);
    g_assert_cmpuint(f->nsent, ==, 1);
    g_assert_cmpuint(f->sent_len[0], ==, len);
    check_sums(f->sent[0]);
    g_assert_cmpmem(f->sent[0] + 54, 101, b + 54, 101);
    g_assert_cmphex(peek32(f, TX_RING) & DESC_OWN, ==, 0);
    g_assert_cmphex(peek32(f, TX_RING + 16) & (DESC_OWN | DESC_EOR), ==, DESC_EOR);
    g_assert_cmphex(in(f, ISR, 2), ==, INT_TX_OK | INT_TX_EMPTY);
    /* After EOR the ring begins anew; a tag goes in. */
    len = make_packet(b, 17, 40);
    poke(f, TX_BUFFER, b, len);
    desc(f, TX_RING, DESC_OWN | DESC_FS | DESC_LS | 6u << 16 | len, 0x20000 | 0x0510, TX_BUFFER);
    out(f, 0xd9, 0x40, 1);
    g_assert_cmpuint(f->nsent, ==, 2);
    g_assert_cmpuint(f->sent_len[1], ==, len + 4);
    g_assert_cmphex(load_be32(f->sent[1] + 12), ==, 0x81001005);
    memmove(f->sent[1] + 12, f->sent[1] + 16, len - 12);
    check_sums(f->sent[1]);
}

static void test_segments(Fixture *f, gconstpointer data)
{
    uint8_t b[4096];
    unsigned len = make_packet(b, 6, 2500);

    (void)data;
    start_cplus(f, CPLUS_TX | CPLUS_RX);
    poke(f, TX_BUFFER, b, len);
    desc(f, TX_RING, DESC_OWN | DESC_FS | DESC_LS | DESC_EOR | 1u << 27 | 1000u << 16 | len, 0,
        TX_BUFFER);
    out(f, 0xd9, 0x40, 1);
    g_assert_cmpuint(f->nsent, ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *s = f->sent[i];
        unsigned bytes = i < 2 ? 1000 : 500;

        g_assert_cmpuint(f->sent_len[i], ==, 54 + bytes);
        check_sums(s);
        g_assert_cmpuint(load_be16(s + 18), ==, 0x1234 + i);
        g_assert_cmpuint(load_be32(s + 38), ==, 1000 + 1000 * i);
        g_assert_cmphex(s[47], ==, i < 2 ? 0x10 : 0x19);
        g_assert_cmpmem(s + 54, bytes, b + 54 + 1000 * i, bytes);
    }
    g_assert_cmphex(peek32(f, TX_RING) & 0x82f00000, ==, 0); /* no owner, no errors */
}

static void test_cplus_receive(Fixture *f, gconstpointer data)
{
    uint8_t b[2048], got[2048];
    unsigned len;

    (void)data;
    start_cplus(f, CPLUS_TX | CPLUS_RX | CPLUS_CHECKSUM | CPLUS_VLAN);
    for (unsigned i = 0; i <= LAST; i++)
        desc(f, RX_RING + 16 * i, DESC_OWN | (i == LAST ? DESC_EOR : 0) | 0x600, 0,
            RX_AT + 0x800 * i);
    len = make_packet(b, 6, 60);
    net_send(f->far, b, len); /* with wrong sums */
    g_assert_cmphex(peek32(f, RX_RING), ==,
        DESC_FS | DESC_LS | 1u << 26 | 1u << 16 | 1u << 15 | 1u << 13 | (len + 4));
    rtl_offload_sums(b, len, OFFLOAD_IP | OFFLOAD_TCP);
    check_sums(b);
    net_send(f->far, b, len);
    g_assert_cmphex(
        peek32(f, RX_RING + 16), ==, DESC_FS | DESC_LS | 1u << 26 | 1u << 16 | (len + 4));
    peek(f, RX_AT + 0x800, got, len);
    g_assert_cmpmem(got, len, b, len);
    memmove(b + 16, b + 12, len - 12);
    store_be32(b + 12, 0x81001005);
    net_send(f->far, b, len + 4);
    g_assert_cmphex(peek32(f, RX_RING + 36), ==, 0x10000 | 0x0510);
    g_assert_cmphex(peek32(f, RX_RING + 32) & 0x1fff, ==, len + 4);
    net_send(f->far, b, len + 4);
    g_assert_cmphex(peek32(f, RX_RING + 16 * LAST) & (DESC_OWN | DESC_EOR), ==, DESC_EOR);
    net_send(f->far, b, len + 4); /* none is free: it waits */
    g_assert_cmphex(peek32(f, RX_RING) & 0x1fff, ==, len + 4);
    desc(f, RX_RING, DESC_OWN | 0x600, 0, RX_AT);
    out(f, ISR, 0xffff, 2);
    g_assert_cmphex(peek32(f, RX_RING + 4), ==, 0x10510);
    g_assert_cmphex(in(f, ISR, 2), ==, INT_RX_OK);
    /* What was counted. */
    out(f, 0x14, 0, 4);
    out(f, 0x10, TALLY | 8, 4);
    g_assert_cmphex(in(f, 0x10, 4), ==, TALLY);
    g_assert_cmpuint(peek32(f, TALLY + 8), ==, 5);
    g_assert_cmpuint(peek32(f, TALLY + 40), ==, 5);
}

/* -- saves -- */

static void test_twins(Fixture *f, gconstpointer data)
{
    Fixture t;
    uint8_t frame[200], got[204];

    (void)data;
    setup(&t, NULL);
    start_receiver(f, 0x0a);
    frame_to(frame, guest_mac, sizeof(frame));
    net_send(f->far, frame, sizeof(frame));
    out(f, TIMERINT, 5000, 4);
    out(f, E9346, 0x88, 1);
    eeprom_bit(f, 1);
    for (int i = 7; i >= 4; i--) eeprom_bit(f, 0x87 >> i & 1);
    bare_copy(t.m, f->m);
    for (int i = 3; i >= 0; i--) eeprom_bit(&t, 0x87 >> i & 1);
    {
        unsigned word = 0;

        for (int i = 0; i < 16; i++) word = word << 1 | eeprom_bit(&t, 0);
        g_assert_cmphex(word, ==, 0x5452);
    }
    g_assert_true(irq(&t));
    net_send(t.far, frame, sizeof(frame));
    peek(&t, RX_BUFFER + 208 + 4, got, sizeof(frame));
    g_assert_cmpmem(got, sizeof(frame), frame, sizeof(frame));
    g_assert_cmpuint(in(&t, TCTR, 4), ==, in(f, TCTR, 4));
    bare_run(t.m, 150000);
    g_assert_cmphex(in(&t, ISR, 2), ==, INT_TIMER | INT_RX_OK);
    teardown(&t, NULL);
}

#define CASE(name) g_test_add("/device/rtl8139/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    CASE(registers);
    CASE(timer);
    CASE(timer_is_whole);
    CASE(transmit);
    CASE(receive);
    CASE(receive_wrap);
    CASE(multicast);
    CASE(cplus_transmit);
    CASE(segments);
    CASE(cplus_receive);
    CASE(twins);
    return g_test_run();
}
