/* SPDX-License-Identifier: MIT */
/* User networking: DHCP, forwarded ports, and the state that travels. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/section.h"
#include "net/net.h"
#include "util/bits.h"
#include "util/socket.h"

enum { PATIENCE_MS = 5000, DHCP_FRAME = 14 + 20 + 8 + 300 };

static bool user_test_init(Machine *m, Error *err)
{
    (void)m;
    (void)err;
    return true;
}
MACHINE(
    user_test, .name = "user-test", .desc = "nothing", .default_ram = MiB, .init = user_test_init);

/* -- the guest: a port that keeps the last frame of a kind -- */

typedef struct Guest {
    Machine *m;
    NetPort *port;
    uint8_t mac[6];
    uint8_t dhcp[1600]; /* the last answer of the DHCP server, as a frame */
    uint16_t syn_port;  /* of the last TCP SYN towards 10.0.2.15: where it went ... */
    uint32_t syn_from;  /* ... and from whom */
    unsigned echoes;    /* answers to pings */
} Guest;

static void guest_answer_arp(Guest *g, const uint8_t *frame)
{
    uint8_t reply[60] = { 0 };

    if (load_be16(frame + 20) != 1 || load_be32(frame + 38) != 0x0a00020f) return;
    memcpy(reply, frame + 6, 6);
    memcpy(reply + 6, g->mac, 6);
    memcpy(reply + 12, frame + 12, 8);
    store_be16(reply + 20, 2);
    memcpy(reply + 22, g->mac, 6);
    store_be32(reply + 28, 0x0a00020f);
    memcpy(reply + 32, frame + 22, 10);
    net_send(g->port, reply, sizeof(reply));
}

static void guest_receive(void *opaque, const uint8_t *frame, size_t len)
{
    Guest *g = opaque;

    if (load_be16(frame + 12) == 0x0806) guest_answer_arp(g, frame);
    if (load_be16(frame + 12) != 0x0800) return;
    if (frame[23] == 17 && load_be16(frame + 36) == 68) {
        memcpy(g->dhcp, frame, MIN_OF(len, sizeof(g->dhcp)));
    } else if (frame[23] == 6 && (frame[47] & 0x12) == 0x02) {
        g->syn_port = load_be16(frame + 36);
        g->syn_from = load_be32(frame + 26);
    } else if (frame[23] == 1 && frame[34] == 0) {
        g->echoes++;
    }
}

static const NetPortOps guest_ops = { .type = "guest", .receive = guest_receive };

static void guest_init(Guest *g, const char *netdev)
{
    static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc };
    Options *opts = options_parse(netdev, "type", NULL);
    Error err = ERROR_INIT;
    NetPort *user;

    memset(g, 0, sizeof(*g));
    memcpy(g->mac, mac, 6);
    g->m = machine_new("user-test", NULL, NULL);
    g_assert_true(machine_init(g->m, NULL));
    user = net_backend_create(g->m, opts, &err);
    g_assert_cmpstr(err.msg, ==, "");
    g->port = net_port_new(g->m, "guest", &guest_ops, g, NULL);
    g_assert_true(net_connect(g->port, user, NULL));
    g_assert_true(machine_start(g->m, NULL));
    options_free(opts);
}

static uint16_t ip_checksum(const uint8_t *data, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i += 2) sum += load_be16(data + i);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* A DHCP message (1 discover, 3 request); the answer comes before this returns. */
static void guest_dhcp(Guest *g, uint8_t type, const uint8_t *options, size_t len)
{
    uint8_t f[DHCP_FRAME] = { 0 }, *ip = f + 14, *udp = ip + 20, *dhcp = udp + 8;

    memset(f, 0xff, 6);
    memcpy(f + 6, g->mac, 6);
    store_be16(f + 12, 0x0800);
    ip[0] = 0x45;
    store_be16(ip + 2, DHCP_FRAME - 14);
    ip[8] = 64;
    ip[9] = 17;
    store_be32(ip + 16, UINT32_MAX);
    store_be16(ip + 10, ip_checksum(ip, 20));
    store_be16(udp, 68);
    store_be16(udp + 2, 67);
    store_be16(udp + 4, DHCP_FRAME - 34);
    dhcp[0] = dhcp[1] = 1;
    dhcp[2] = 6;
    store_be32(dhcp + 4, 0x12345678);
    memcpy(dhcp + 28, g->mac, 6);
    store_be32(dhcp + 236, 0x63825363);
    dhcp[240] = 53;
    dhcp[241] = 1;
    dhcp[242] = type;
    if (len) memcpy(dhcp + 243, options, len);
    dhcp[243 + len] = 255;
    memset(g->dhcp, 0, sizeof(g->dhcp));
    net_send(g->port, f, sizeof(f));
}

/* The address that the server gave, after checking that the answer is of this type. */
static uint32_t guest_given(const Guest *g, uint8_t type)
{
    const uint8_t *dhcp = g->dhcp + 42;

    g_assert_cmphex(load_be32(dhcp + 4), ==, 0x12345678);
    g_assert_cmphex(load_be32(dhcp + 236), ==, 0x63825363);
    g_assert_cmpuint(dhcp[240], ==, 53);
    g_assert_cmpuint(dhcp[242], ==, type);
    return load_be32(dhcp + 16);
}

/* The value of an option of the answer. */
static uint32_t guest_option(const Guest *g, uint8_t code)
{
    const uint8_t *o = g->dhcp + 42 + 240;

    while (o < g->dhcp + sizeof(g->dhcp) - 8 && *o != 255) {
        if (*o == code) return load_be32(o + 2);
        o += *o ? 2 + o[1] : 1;
    }
    return 0;
}

static void guest_take_address(Guest *g)
{
    static const uint8_t want[] = { 50, 4, 10, 0, 2, 15 };

    guest_dhcp(g, 1, NULL, 0);
    guest_dhcp(g, 3, want, sizeof(want));
}

/* -- the tests -- */

static void test_dhcp(void)
{
    Guest g;

    guest_init(&g, "user,id=u");
    guest_dhcp(&g, 1, NULL, 0);
    g_assert_cmphex(guest_given(&g, 2), ==, 0x0a00020f);
    guest_take_address(&g);
    g_assert_cmphex(guest_given(&g, 5), ==, 0x0a00020f);
    g_assert_cmphex(guest_option(&g, 1), ==, 0xffffff00);
    g_assert_cmphex(guest_option(&g, 3), ==, 0x0a000202);
    g_assert_cmphex(guest_option(&g, 6), ==, 0x0a000203);
    machine_free(g.m);
}

static void test_addresses(void)
{
    Guest g;

    guest_init(&g, "user,id=u,net=192.168.7.0/24,dhcpstart=192.168.7.80,host=192.168.7.1,"
                   "dns=192.168.7.9,ipv6=off,hostname=here,restrict=on");
    guest_dhcp(&g, 1, NULL, 0);
    g_assert_cmphex(guest_given(&g, 2), ==, 0xc0a80750);
    g_assert_cmphex(guest_option(&g, 1), ==, 0xffffff00);
    machine_free(g.m);
}

/* A connection to the forwarded port of the host arrives at the guest, from the router. */
static void test_hostfwd(void)
{
    Guest g;
    int probe = socket_listen_inet("127.0.0.1", "0", NULL), fd;
    char *name = socket_name(probe, false), *port = strrchr(name, ':') + 1;
    char *netdev = g_strdup_printf("user,id=u,hostfwd=tcp:127.0.0.1:%s-:7777", port);
    gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;
    bool pending;

    close(probe);
    guest_init(&g, netdev);
    guest_take_address(&g);
    fd = socket_connect_inet_start("127.0.0.1", port, &pending, NULL);
    g_assert_cmpint(fd, >=, 0);
    while (!g.syn_port && g_get_monotonic_time() < end) {
        if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);
    }
    g_assert_cmpuint(g.syn_port, ==, 7777);
    g_assert_cmphex(g.syn_from, ==, 0x0a000202);
    close(fd);
    machine_free(g.m);
    g_free(netdev);
    g_free(name);
}

static Section *slirp_section(const Guest *g)
{
    Section *s = section_find(g->m, "slirp", 0);

    g_assert_nonnull(s);
    g_assert_cmpint(s->version, ==, 4);
    g_assert_true(s->ops && s->ops->save && s->ops->probe && s->ops->load);
    return s;
}

/* The leases travel: another network that has loaded them gives a second client the next one. */
static void test_state(void)
{
    Stream st, again;
    Guest g;
    Section *s;

    stream_init(&st);
    stream_init(&again);
    guest_init(&g, "user,id=u");
    s = slirp_section(&g);
    s->ops->save(&st, s->opaque);
    g_assert_cmpuint(st.size, ==, 131);
    g_assert_cmpuint(st.data[0], ==, 0);
    stream_discard(&st, st.size);
    guest_take_address(&g);
    s->ops->save(&st, s->opaque);
    g_assert_cmpuint(st.size, ==, 131);
    g_assert_cmpuint(load_be16(st.data + 3), ==, 1);
    g_assert_cmpmem(st.data + 5, 6, g.mac, 6);
    machine_free(g.m);

    guest_init(&g, "user,id=u");
    s = slirp_section(&g);
    s->ops->probe(&st, s->opaque, 4);
    g_assert_true(stream_ok(&st));
    g_assert_cmpuint(stream_left(&st), ==, 0);
    g.mac[5] = 0xcd;
    guest_dhcp(&g, 1, NULL, 0);
    g_assert_cmphex(guest_given(&g, 2), ==, 0x0a00020f); /* looking has changed nothing */
    stream_rewind(&st, 0);
    s->ops->load(&st, s->opaque, 4);
    g_assert_true(stream_ok(&st));
    s->ops->save(&again, s->opaque);
    g_assert_cmpmem(again.data, again.size, st.data, st.size);
    guest_dhcp(&g, 1, NULL, 0);
    g_assert_cmphex(guest_given(&g, 2), ==, 0x0a000210);
    machine_free(g.m);
    stream_free(&st);
    stream_free(&again);
}

/* A state that is not whole is asked for again, a wrong one refused; neither does anything. */
static void test_bad_state(void)
{
    Guest g;
    Section *s;
    Stream whole;

    stream_init(&whole);
    guest_init(&g, "user,id=u");
    s = slirp_section(&g);
    s->ops->save(&whole, s->opaque);
    for (size_t len = 0; len < whole.size; len += 13) {
        Stream st;

        stream_init(&st);
        stream_put(&st, whole.data, len);
        s->ops->probe(&st, s->opaque, 4);
        g_assert_true(st.starved);
        stream_free(&st);
    }
    whole.data[0] = 42; /* a forwarded connection that is none */
    s->ops->probe(&whole, s->opaque, 4);
    g_assert_false(stream_ok(&whole));
    guest_dhcp(&g, 1, NULL, 0);
    g_assert_cmphex(guest_given(&g, 2), ==, 0x0a00020f);
    machine_free(g.m);
    stream_free(&whole);
}

/* The first ping of a guest that nobody knows yet: its answer waits for the guest's address, and
 * goes out as soon as that has come. */
static void test_unknown(void)
{
    uint8_t f[14 + 20 + 8] = { 0 }, *ip = f + 14, *icmp = ip + 20;
    Guest g;

    guest_init(&g, "user,id=n");
    memset(f, 0xff, 6);
    memcpy(f + 6, g.mac, 6);
    store_be16(f + 12, 0x0800);
    ip[0] = 0x45;
    store_be16(ip + 2, 28);
    ip[8] = 64;
    ip[9] = 1;
    store_be32(ip + 12, 0x0a00020f);
    store_be32(ip + 16, 0x0a000202);
    store_be16(ip + 10, ip_checksum(ip, 20));
    icmp[0] = 8;
    store_be16(icmp + 2, ip_checksum(icmp, 8));
    net_send(g.port, f, sizeof(f));
    for (int i = 0; i < 10; i++) g_main_context_iteration(g.m->ctx, FALSE);
    g_assert_cmpuint(g.echoes, ==, 1);
    machine_free(g.m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/user/dhcp", test_dhcp);
    g_test_add_func("/user/addresses", test_addresses);
    g_test_add_func("/user/unknown", test_unknown);
    g_test_add_func("/user/hostfwd", test_hostfwd);
    g_test_add_func("/user/state", test_state);
    g_test_add_func("/user/bad-state", test_bad_state);
    return g_test_run();
}
