/* SPDX-License-Identifier: MIT */
/* The NE2000 through its ports, with a peer at the other end of its cable. */
#include "hw/ne2000.h"

#include "tests/device/bare.h"

enum { BASE = 0x300, RING_START = 0x46, RING_STOP = 0x56, TX_PAGE = 0x40 };
enum { P0 = 0x00, P1 = 0x40, P2 = 0x80, START = 0x02, STOP = 0x01, NODMA = 0x20 };
enum { PRX = 1, PTX = 2, OVW = 0x10, CNT = 0x20, RDC = 0x40, RST = 0x80 };

typedef struct Fixture {
    Machine *m;
    NetPort *far;
    Ne2000State *s;
    uint8_t got[4096]; /* the last frame that was sent */
    size_t got_len;
    unsigned sent;
    bool echo; /* answered from within the transmission */
} Fixture;

static const uint8_t guest_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static void far_receive(void *opaque, const uint8_t *frame, size_t len)
{
    Fixture *f = opaque;

    g_assert_cmpuint(len, <=, sizeof(f->got));
    memcpy(f->got, frame, len);
    f->got_len = len;
    f->sent++;
    if (f->echo) net_send(f->far, frame, len);
}
static const NetPortOps far_ops = { .type = "far", .receive = far_receive };

static void reg(Fixture *f, unsigned r, unsigned val) { out8(f->m, BASE + r, val); }
static uint8_t get(Fixture *f, unsigned r) { return in8(f->m, BASE + r); }

/* As a driver starts the card: words, a ring, every frame for us and broadcasts. */
static void start_card(Fixture *f)
{
    static const uint8_t setup[][2] = { { 0x00, P0 | STOP | NODMA }, { 0x0e, 0x49 }, { 0x0a, 0 },
        { 0x0b, 0 }, { 0x0c, 0x04 }, { 0x0d, 0 }, { 0x01, RING_START }, { 0x02, RING_STOP },
        { 0x03, RING_START }, { 0x07, 0xff }, { 0x0f, PRX | PTX | OVW } };

    for (size_t i = 0; i < ARRAY_SIZE(setup); i++) reg(f, setup[i][0], setup[i][1]);
    reg(f, 0, P1 | STOP | NODMA);
    for (unsigned i = 0; i < 6; i++) reg(f, 1 + i, guest_mac[i]);
    for (unsigned i = 8; i < 16; i++) reg(f, i, 0);
    reg(f, 7, RING_START + 1);
    reg(f, 0, P0 | START | NODMA);
}

static void setup_with(Fixture *f, const char *flow)
{
    Device *dev;

    memset(f, 0, sizeof(*f));
    f->m = bare_new();
    f->far = net_port_new(f->m, "wire", &far_ops, f, NULL);
    dev = bare_add(f->m, "ne2k_isa", "nic", "netdev", "wire", "flow", flow);
    f->s = device_state(dev);
    start_card(f);
}

static void setup(Fixture *f, gconstpointer flow) { setup_with(f, flow ? flow : "on"); }

static void teardown(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->m);
}

/* -- a driver's moves -- */

static void remote(Fixture *f, unsigned cmd, unsigned addr, unsigned len)
{
    reg(f, 0, P0 | START | NODMA);
    reg(f, 0x0a, len & 0xff);
    reg(f, 0x0b, len >> 8);
    reg(f, 0x08, addr & 0xff);
    reg(f, 0x09, addr >> 8);
    reg(f, 0, P0 | START | cmd);
}

static void read_mem(Fixture *f, unsigned addr, void *buf, unsigned len)
{
    remote(f, 0x08, addr, len);
    for (unsigned i = 0; i < len; i += 2) {
        uint16_t w = (uint16_t)pio_read(f->m, BASE + 0x10, 2);

        memcpy((uint8_t *)buf + i, &w, MIN_OF(2, len - i));
    }
    g_assert_cmphex(get(f, 7) & RDC, ==, RDC);
    reg(f, 7, RDC);
}

static void write_mem(Fixture *f, unsigned addr, const void *buf, unsigned len)
{
    remote(f, 0x10, addr, len);
    for (unsigned i = 0; i < len; i += 2) {
        pio_write(f->m, BASE + 0x10, load_le16((const uint8_t *)buf + i), 2);
    }
    g_assert_cmphex(get(f, 7) & RDC, ==, RDC);
    reg(f, 7, RDC);
}

static void transmit(Fixture *f, unsigned len)
{
    reg(f, 0x04, TX_PAGE);
    reg(f, 0x05, len & 0xff);
    reg(f, 0x06, len >> 8);
    reg(f, 0, P0 | START | NODMA | 0x04);
}

static uint8_t current_page(Fixture *f)
{
    uint8_t page;

    reg(f, 0, P1 | START | NODMA);
    page = get(f, 7);
    reg(f, 0, P0 | START | NODMA);
    return page;
}

/* A frame from outside: len bytes, each of which depends on seed. */
static void arrive(Fixture *f, const uint8_t *to, size_t len, uint8_t seed)
{
    uint8_t frame[2048];

    for (size_t i = 0; i < len; i++) frame[i] = (uint8_t)(seed + i * 3);
    memcpy(frame, to, 6);
    net_send(f->far, frame, len);
}

/* Takes the frame behind the boundary out of the ring; its length without the CRC, 0: none. */
static unsigned take(Fixture *f, uint8_t *buf)
{
    uint8_t page = get(f, 3) + 1, head[4];
    unsigned len;

    if (page >= RING_STOP) page = RING_START;
    if (page == current_page(f)) return 0;
    read_mem(f, page << 8, head, 4);
    g_assert_cmphex(head[0] & 0xdf, ==, 0x01);
    len = load_le16(head + 2) - 4u;
    read_mem(f, (page << 8) + 4, buf, len);
    reg(f, 3, head[1] - 1); /* as Linux has it: may be the page in front of the ring */
    return len;
}

static void expect_frame(Fixture *f, size_t len, uint8_t seed)
{
    uint8_t buf[2048];

    g_assert_cmpuint(take(f, buf), ==, len);
    for (size_t i = 6; i < len; i++) g_assert_cmphex(buf[i], ==, (uint8_t)(seed + i * 3));
}

/* -- the tests -- */

static void test_reset(Fixture *f, gconstpointer data)
{
    (void)data;
    get(f, 0x1f);
    g_assert_cmphex(get(f, 0), ==, 0x21);
    g_assert_cmphex(get(f, 7), ==, RST);
    reg(f, 7, 0xff); /* only a start takes it back */
    g_assert_cmphex(get(f, 7), ==, RST);
    reg(f, 0, P2 | STOP | NODMA);
    g_assert_cmphex(get(f, 0x0f), ==, 0x80);       /* IMR */
    g_assert_cmphex(get(f, 0x01), ==, RING_START); /* the ring is not touched */
    g_assert_cmphex(get(f, 0x02), ==, RING_STOP);
    g_assert_cmphex(get(f, 0x0c), ==, 0xc4);
    reg(f, 0, P0 | START | NODMA);
    g_assert_cmphex(get(f, 7), ==, 0);
    g_assert_cmphex(f->s->phys[5], ==, 0x56);
}

/* The PROM: each byte twice, in either width. */
static void test_prom(Fixture *f, gconstpointer data)
{
    uint8_t prom[32];

    (void)data;
    read_mem(f, 0, prom, 32);
    for (int i = 0; i < 6; i++) g_assert_cmphex(prom[2 * i], ==, guest_mac[i]);
    for (int i = 0; i < 6; i++) g_assert_cmphex(prom[2 * i + 1], ==, guest_mac[i]);
    g_assert_cmphex(prom[28], ==, 0x57);
    g_assert_cmphex(prom[31], ==, 0x57);
    reg(f, 0x0e, 0x48); /* bytes */
    remote(f, 0x08, 0, 32);
    for (int i = 0; i < 32; i++) g_assert_cmphex(in8(f->m, BASE + 0x10), ==, prom[i]);
    g_assert_cmphex(get(f, 7), ==, RDC);
    g_assert_cmphex(in8(f->m, BASE + 0x10), ==, 0xff); /* no more of it */
}

static void test_memory(Fixture *f, gconstpointer data)
{
    uint8_t out[512], in[512];

    (void)data;
    for (unsigned i = 0; i < sizeof(out); i++) out[i] = (uint8_t)(i * 11);
    write_mem(f, 0x4100, out, sizeof(out));
    read_mem(f, 0x4100, in, sizeof(in));
    g_assert_cmpmem(in, sizeof(in), out, sizeof(out));
    write_mem(f, 0, out, 32); /* the PROM is none to write to, and in the hole nothing answers */
    read_mem(f, 0, in, 32);
    g_assert_cmphex(in[0], ==, 0x52);
    write_mem(f, 0x2000, out, 4);
    read_mem(f, 0x2000, in, 4);
    g_assert_cmphex(load_le32(in), ==, UINT32_MAX);
    remote(f, 0x08, 0x4100, 0); /* nothing to do is done at once */
    g_assert_cmphex(get(f, 7), ==, RDC);
    reg(f, 0, P0 | START | 0x08);
    g_assert_cmphex(get(f, 8), ==, 0x00); /* CRDA follows */
    g_assert_cmphex(get(f, 9), ==, 0x41);
}

/* Remote DMA goes round at the end of the ring. */
static void test_remote_wrap(Fixture *f, gconstpointer data)
{
    uint8_t out[512], in[256];

    (void)data;
    for (unsigned i = 0; i < sizeof(out); i++) out[i] = (uint8_t)(i ^ i >> 3);
    write_mem(f, (RING_STOP - 1) << 8, out, sizeof(out));
    g_assert_cmphex(get(f, 9), ==, RING_START + 1);
    read_mem(f, RING_START << 8, in, sizeof(in));
    g_assert_cmpmem(in, 256, out + 256, 256);
}

static void test_transmit(Fixture *f, gconstpointer data)
{
    uint8_t frame[1514];

    (void)data;
    for (unsigned i = 0; i < sizeof(frame); i++) frame[i] = (uint8_t)(i * 5);
    write_mem(f, TX_PAGE << 8, frame, sizeof(frame));
    g_assert_false(bare_irq(f->m, 9));
    transmit(f, sizeof(frame));
    g_assert_cmpmem(f->got, f->got_len, frame, sizeof(frame));
    g_assert_cmphex(get(f, 7), ==, PTX);
    g_assert_cmphex(get(f, 4), ==, 1);
    g_assert_cmphex(get(f, 0) & 4, ==, 0);
    g_assert_true(bare_irq(f->m, 9));
    reg(f, 7, PTX);
    g_assert_false(bare_irq(f->m, 9));
    transmit(f, 0xffff); /* no transceiver lets that through */
    g_assert_cmpuint(f->sent, ==, 1);
    g_assert_cmphex(get(f, 7), ==, PTX);
}

/* An answer that comes at once finds the transmission ended. */
static void test_answer(Fixture *f, gconstpointer data)
{
    uint8_t frame[100] = { 0 };

    (void)data;
    memcpy(frame, guest_mac, 6);
    f->echo = true;
    write_mem(f, TX_PAGE << 8, frame, sizeof(frame));
    transmit(f, sizeof(frame));
    g_assert_cmphex(get(f, 7), ==, PTX | PRX);
    g_assert_cmpuint(take(f, f->got), ==, 100);
}

static void test_receive(Fixture *f, gconstpointer data)
{
    uint8_t buf[2048];

    (void)data;
    arrive(f, guest_mac, 300, 1);
    g_assert_cmphex(get(f, 7), ==, PRX);
    g_assert_cmphex(get(f, 0x0c), ==, 0x01);
    g_assert_true(bare_irq(f->m, 9));
    g_assert_cmphex(current_page(f), ==, RING_START + 3);
    expect_frame(f, 300, 1);
    arrive(f, guest_mac, 20, 9); /* a runt is padded, as the sender's card would have done */
    g_assert_cmpuint(take(f, buf), ==, 60);
    g_assert_cmphex(buf[19], ==, (uint8_t)(9 + 19 * 3));
    g_assert_cmphex(buf[20], ==, 0);
    g_assert_cmpuint(take(f, buf), ==, 0);
}

/* Frames of many lengths, round and round; each page boundary is crossed somewhere. */
static void test_ring(Fixture *f, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < 500; i++) {
        size_t len = 60 + i * 37 % 1455;

        arrive(f, guest_mac, len, (uint8_t)i);
        if (i % 3) arrive(f, guest_mac, 61, (uint8_t)~i);
        expect_frame(f, len, (uint8_t)i);
        if (i % 3) expect_frame(f, 61, (uint8_t)~i);
    }
    g_assert_cmphex(get(f, 7) & OVW, ==, 0);
}

/* With flow control what the ring cannot hold waits outside, and nothing is lost; not even when the
 * driver acknowledges with frames left in the ring and waits for the next one. */
static void test_flow(Fixture *f, gconstpointer data)
{
    uint8_t buf[2048];
    unsigned turns = 0;

    (void)data;
    for (unsigned i = 0; i < 40; i++) arrive(f, guest_mac, 1000, (uint8_t)i);
    for (unsigned next = 0; next < 40; next++) {
        if (bare_irq(f->m, 9)) reg(f, 7, PRX); /* before reading, and only one frame */
        expect_frame(f, 1000, (uint8_t)next);
        bare_run(f->m, NS_PER_MS);
        turns += bare_irq(f->m, 9);
    }
    g_assert_cmpuint(turns, >=, 36);
    g_assert_cmpuint(take(f, buf), ==, 0);
    g_assert_cmphex(get(f, 7) & OVW, ==, 0);
    g_assert_cmphex(get(f, 0x0f), ==, 0);
    reg(f, 7, PRX);
    bare_run(f->m, NS_PER_S);
    g_assert_false(bare_irq(f->m, 9)); /* no interrupt without a frame */
}

/* Without it the ring overflows as the data sheet says. */
static void test_overflow(Fixture *f, gconstpointer data)
{
    uint8_t buf[2048];

    (void)data;
    for (unsigned i = 0; i < 6; i++) arrive(f, guest_mac, 1000, (uint8_t)i); /* 16 pages, 4 each */
    g_assert_cmphex(get(f, 7), ==, PRX | OVW | RST);
    g_assert_cmphex(get(f, 0x0f), ==, 3); /* missed; reading clears it */
    g_assert_cmphex(get(f, 0x0f), ==, 0);
    reg(f, 7, OVW);
    for (unsigned i = 0; i < 3; i++) expect_frame(f, 1000, (uint8_t)i);
    g_assert_cmpuint(take(f, buf), ==, 0);
    g_assert_cmphex(get(f, 7) & (OVW | RST), ==, 0); /* there is room again */
    arrive(f, guest_mac, 1000, 77);
    expect_frame(f, 1000, 77);
}

/* A tally counter tells of its upper half, and stops at C0h. */
static void test_tally(Fixture *f, gconstpointer data)
{
    (void)data;
    reg(f, 0x0c, 0x24); /* monitor: look, do not keep */
    for (unsigned i = 0; i < 127; i++) arrive(f, guest_mac, 60, 0);
    g_assert_cmphex(get(f, 7), ==, 0);
    g_assert_cmphex(get(f, 0x0c), ==, 0x50);
    arrive(f, guest_mac, 60, 0);
    g_assert_cmphex(get(f, 7), ==, CNT);
    for (unsigned i = 0; i < 200; i++) arrive(f, guest_mac, 60, 0);
    g_assert_cmphex(get(f, 0x0f), ==, 0xc0);
    g_assert_cmphex(current_page(f), ==, RING_START + 1);
}

static unsigned accepted(Fixture *f, const uint8_t *to)
{
    uint8_t buf[2048];

    arrive(f, to, 60, 0);
    return take(f, buf) != 0;
}

static void set_multicast(Fixture *f, unsigned bit)
{
    reg(f, 0, P1 | START | NODMA);
    for (unsigned i = 0; i < 8; i++) reg(f, 8 + i, bit / 8 == i ? 1u << bit % 8 : 0);
    reg(f, 0, P0 | START | NODMA);
}

static void test_filter(Fixture *f, gconstpointer data)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    static const uint8_t other[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x57 };
    /* groups and their bits, by the CRC worked out elsewhere */
    static const struct {
        uint8_t addr[6], bit;
    } groups[] = {
        { { 0x01, 0x00, 0x5e, 0x00, 0x00, 0x01 }, 31 },
        { { 0x33, 0x33, 0x00, 0x00, 0x00, 0x01 }, 62 },
        { { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x00 }, 25 },
    };

    (void)data;
    reg(f, 0x0c, 0);
    g_assert_cmpuint(accepted(f, guest_mac), ==, 1);
    g_assert_cmpuint(accepted(f, other), ==, 0);
    g_assert_cmpuint(accepted(f, broadcast), ==, 0);
    reg(f, 0x0c, 0x14); /* promiscuous, broadcasts */
    g_assert_cmpuint(accepted(f, other), ==, 1);
    g_assert_cmpuint(accepted(f, broadcast), ==, 1);
    g_assert_cmpuint(accepted(f, groups[0].addr), ==, 0);
    reg(f, 0x0c, 0x08);
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            set_multicast(f, bit);
            g_assert_cmpuint(accepted(f, groups[i].addr), ==, bit == groups[i].bit);
        }
    }
    reg(f, 0, P0 | STOP | NODMA); /* a stopped card is deaf */
    arrive(f, guest_mac, 60, 0);
    reg(f, 0, P0 | START | NODMA);
    g_assert_cmpuint(take(f, (uint8_t[2048]){ 0 }), ==, 0);
}

/* Status of each loopback, and the end of the frame in the FIFO (data sheet, LOOPBACK). */
static void test_loopback(Fixture *f, gconstpointer data)
{
    static const uint8_t mode[][2] = { { 0x02, 0x53 }, { 0x04, 0x43 }, { 0x06, 0x03 } };
    /* last byte, CRC, length: low, high, high */
    static const uint8_t end[] = { 63, 0x8c, 0xce, 0x0e, 0x10, 68, 0, 0 };
    uint8_t frame[64] = { 0 };

    (void)data;
    for (unsigned i = 0; i < sizeof(frame); i++) frame[i] = (uint8_t)i;
    write_mem(f, TX_PAGE << 8, frame, sizeof(frame));
    for (size_t i = 0; i < ARRAY_SIZE(mode); i++) {
        reg(f, 0x0d, mode[i][0]);
        reg(f, 7, 0xff);
        transmit(f, sizeof(frame));
        g_assert_cmpuint(f->sent, ==, 0);
        g_assert_cmphex(get(f, 4), ==, mode[i][1]);
        g_assert_cmphex(get(f, 0x0c), ==, 0x02);
        g_assert_cmphex(get(f, 7), ==, PTX);
        for (size_t n = 0; n < sizeof(end); n++) g_assert_cmphex(get(f, 6), ==, end[n]);
        arrive(f, guest_mac, 60, 0); /* nothing comes in meanwhile */
    }
    reg(f, 0x0d, 0);
    g_assert_cmphex(current_page(f), ==, RING_START + 1);
    transmit(f, sizeof(frame));
    g_assert_cmpuint(f->sent, ==, 1);
}

/* The send-packet command fetches the frame at the boundary and drops it. */
static void test_send_packet(Fixture *f, gconstpointer data)
{
    unsigned count;

    (void)data;
    reg(f, 0, P1 | START | NODMA);
    reg(f, 7, RING_START); /* CURR = BNRY: empty, for this use of the ring */
    reg(f, 0, P0 | START | NODMA);
    arrive(f, guest_mac, 200, 5);
    reg(f, 0, P0 | START | 0x18);
    g_assert_cmphex(pio_read(f->m, BASE + 0x10, 2), ==, (RING_START + 1) << 8 | 0x01);
    count = pio_read(f->m, BASE + 0x10, 2);
    g_assert_cmpuint(count, ==, 204);
    for (unsigned i = 4; i < count; i += 2) pio_read(f->m, BASE + 0x10, 2);
    g_assert_cmphex(get(f, 7) & RDC, ==, RDC);
    g_assert_cmphex(get(f, 3), ==, RING_START + 1);
}

/* Values that no driver would write lead nowhere, not even out of memory. */
static void test_nonsense(Fixture *f, gconstpointer data)
{
    GRand *r = g_rand_new_with_seed(42);

    (void)data;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned port = (unsigned)g_rand_int_range(r, 0, 0x1f);

        pio_write(f->m, BASE + port, g_rand_int(r), 1u << g_rand_int_range(r, 0, 2));
        pio_read(f->m, BASE + (unsigned)g_rand_int_range(r, 0, 0x1f), 2);
        if (i % 16 == 0) arrive(f, guest_mac, 14 + i % 1500, (uint8_t)i);
    }
    g_rand_free(r);
}

/* A load in the midst of everything: the twin goes on where this one stands. */
static void test_state(Fixture *f, gconstpointer data)
{
    Fixture twin;
    uint8_t frame[64] = { 1, 2, 3 };

    (void)data;
    arrive(f, guest_mac, 700, 3);
    reg(f, 0x0d, 0x02);
    write_mem(f, TX_PAGE << 8, frame, sizeof(frame));
    transmit(f, sizeof(frame));
    remote(f, 0x08, TX_PAGE << 8, 64);
    pio_read(f->m, BASE + 0x10, 2);
    setup(&twin, NULL);
    bare_copy(twin.m, f->m);
    g_assert_cmpmem(twin.s, sizeof(*twin.s), f->s, sizeof(*f->s));
    g_assert_true(bare_irq(twin.m, 9));
    g_assert_cmphex(pio_read(twin.m, BASE + 0x10, 2), ==, 3);
    reg(&twin, 0, P0 | START | NODMA);
    reg(&twin, 0x0d, 0);
    expect_frame(&twin, 700, 3);
    teardown(&twin, NULL);
}

static void test_pci(void)
{
    static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
    Machine *m = bare_new();
    Section *sec;
    Device *dev;

    bare_add(m, "PCIBUS", "pci.0");
    bare_add(m, "PCIHost", NULL);
    dev = bare_add(m, "ne2k_pci", "nic", "addr", "03.0", "romfile", "");
    sec = section_find(m, "0000:00:03.0/ne2000", 0);
    g_assert_nonnull(sec);
    g_assert_cmpint(sec->version, ==, 3);
    pio_write(m, 0xcf8, 0x80001800, 4);
    g_assert_cmphex(pio_read(m, 0xcfc, 4), ==, 0x802910ec);
    pio_write(m, 0xcf8, 0x80001810, 4);
    pio_write(m, 0xcfc, UINT32_MAX, 4);
    g_assert_cmphex(pio_read(m, 0xcfc, 4), ==, 0xffffff01);
    pio_write(m, 0xcfc, 0xc001, 4);
    pio_write(m, 0xcf8, 0x80001804, 4);
    pio_write(m, 0xcfc, 1, 2);
    g_assert_cmphex(in8(m, 0xc00a), ==, 'P');
    g_assert_cmphex(in8(m, 0xc00b), ==, 'C');
    g_assert_cmphex(in8(m, 0xc040), ==, 0xff);
    /* four bytes at a time */
    out8(m, 0xc00e, 0x49);
    out8(m, 0xc00a, 12);
    out8(m, 0xc008, 0);
    out8(m, 0xc000, 0x0a);
    for (int i = 0; i < 3; i++) {
        uint32_t val = pio_read(m, 0xc010, 4);

        g_assert_cmphex(val & 0xff, ==, mac[2 * i]);
        g_assert_cmphex(val >> 24, ==, mac[2 * i + 1]);
    }
    g_assert_cmphex(in8(m, 0xc007) & RDC, ==, RDC);
    out8(m, 0xc00f, RDC);
    g_assert_true(dev == device_find(m, "nic"));
    machine_free(m);
}

#define TEST(name) g_test_add("/ne2000/" #name, Fixture, NULL, setup, test_##name, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST(reset);
    TEST(prom);
    TEST(memory);
    TEST(remote_wrap);
    TEST(transmit);
    TEST(answer);
    TEST(receive);
    TEST(ring);
    TEST(flow);
    g_test_add("/ne2000/overflow", Fixture, "off", setup, test_overflow, teardown);
    TEST(tally);
    TEST(filter);
    TEST(loopback);
    TEST(send_packet);
    TEST(nonsense);
    TEST(state);
    g_test_add_func("/ne2000/pci", test_pci);
    return g_test_run();
}
