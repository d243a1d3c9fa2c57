/* SPDX-License-Identifier: MIT */
/* Ports, queues, hubs, sockets, dumps and the commands about them. */
#include "net/net.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core/command.h"
#include "core/user_object.h"
#include "util/bits.h"

enum { PATIENCE_MS = 5000 };

static bool net_test_init(Machine *m, Error *err)
{
    (void)m;
    (void)err;
    return true;
}
MACHINE(net_test, .name = "net-test", .desc = "nothing", .default_ram = MiB, .init = net_test_init);

/* -- a NIC that writes down what it gets -- */

typedef struct TestNic {
    Device dev;
    NetPort *netdev, *port;
    uint8_t mac[6];
    GPtrArray *got; /* char *: the text behind the Ethernet header */
    unsigned room;  /* frames that it takes */
} TestNic;

static bool nic_can_receive(void *opaque) { return ((TestNic *)opaque)->room > 0; }

static void nic_receive(void *opaque, const uint8_t *frame, size_t len)
{
    TestNic *n = opaque;

    g_assert_cmpuint(len, >, 14);
    n->room--;
    g_ptr_array_add(n->got, g_strndup((const char *)frame + 14, len - 14));
}

static const NetPortOps nic_ops = {
    .type = "nic", .can_receive = nic_can_receive, .receive = nic_receive
};

static bool nic_realize(Device *dev, Error *err)
{
    TestNic *n = (TestNic *)dev;

    n->got = g_ptr_array_new_with_free_func(g_free);
    n->room = UINT32_MAX;
    net_mac_default(dev->m, n->mac);
    n->port = net_nic_new(dev, "test_nic", n->mac, n->netdev, &nic_ops, err);
    return n->port != NULL;
}

static void nic_unrealize(Device *dev)
{
    net_port_free(((TestNic *)dev)->port);
    g_ptr_array_unref(((TestNic *)dev)->got);
}

static const Prop nic_props[] = { PROP(TestNic, netdev, ""),
    PROP_MAC_ADDR(TestNic, mac, "00:00:00:00:00:00"), PROP_END };
DEVICE_STATELESS(test_nic, "a NIC for tests", TestNic, .props = nic_props, .realize = nic_realize,
    .unrealize = nic_unrealize);

/* -- the far end of its cable -- */

typedef struct FarEnd {
    NetPort *port;
    GPtrArray *got;
    bool echo; /* sends back what it gets, from within receive */
} FarEnd;

static void far_receive(void *opaque, const uint8_t *frame, size_t len)
{
    FarEnd *f = opaque;

    g_ptr_array_add(f->got, g_strndup((const char *)frame + 14, len - 14));
    if (f->echo) net_send(f->port, frame, len);
}

static void far_destroy(void *opaque)
{
    g_ptr_array_unref(((FarEnd *)opaque)->got);
    g_free(opaque);
}

static const NetPortOps far_ops = { .type = "far", .receive = far_receive, .destroy = far_destroy };

static FarEnd *far_new(Machine *m, const char *id)
{
    FarEnd *f = g_new0(FarEnd, 1);

    f->got = g_ptr_array_new_with_free_func(g_free);
    f->port = net_port_new(m, id, &far_ops, f, NULL);
    g_assert_nonnull(f->port);
    return f;
}

/* -- helpers -- */

static Machine *machine_make(void)
{
    Machine *m = machine_new("net-test", NULL, NULL);

    g_assert_nonnull(m);
    g_assert_true(machine_init(m, NULL));
    return m;
}

static TestNic *nic_make(Machine *m, const char *id, const char *netdev)
{
    Error err = ERROR_INIT;
    Device *dev = device_create(m, "test_nic", id, &err, "netdev", netdev, NULL);

    g_assert_cmpstr(err.msg, ==, "");
    return (TestNic *)dev;
}

static NetPort *backend(Machine *m, const char *text, Error *err)
{
    Options *opts = options_parse(text, "type", NULL);
    NetPort *p = net_backend_create(m, opts, err);

    options_free(opts);
    return p;
}

static void send_text(NetPort *p, const char *text)
{
    uint8_t frame[256] = { 0 };
    size_t len = strlen(text);

    memcpy(frame + 14, text, len);
    net_send(p, frame, 14 + len);
}

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;                                  \
        while (!(condition) && g_get_monotonic_time() < end) {                                     \
            if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);                            \
        }                                                                                          \
        g_assert_true(condition);                                                                  \
    } while (0)

static char *joined(GPtrArray *texts)
{
    GString *all = g_string_new(NULL);

    for (guint i = 0; i < texts->len; i++) {
        g_string_append_printf(all, "%s%s", i ? " " : "", (char *)texts->pdata[i]);
    }
    return g_string_free(all, FALSE);
}

static void expect(GPtrArray *texts, const char *all)
{
    char *got = joined(texts);

    g_assert_cmpstr(got, ==, all);
    g_free(got);
}

/* Runs a monitor command by its name; the arguments are texts in the order of its table. */
typedef struct TextSink {
    Sink sink;
    GString *text;
} TextSink;

static void text_sink_write(Sink *s, const char *text)
{
    g_string_append(((TextSink *)s)->text, text);
}

static char *command(Machine *m, const char *name, const Arg *args, unsigned nargs)
{
    TextSink sink = { { .write = text_sink_write }, g_string_new(NULL) };
    CommandCall call = { .m = m, .out = &sink.sink, .args = args, .nargs = nargs };
    Error err = ERROR_INIT;
    bool found = false;

    SET_EACH (Command, c, commands) {
        if (strcmp(c->name, name)) continue;
        found = true;
        c->run(&call, &err);
    }
    g_assert_true(found);
    if (error_is_set(&err)) g_string_append_printf(sink.text, "Error: %s\n", err.msg);
    return g_string_free(sink.text, FALSE);
}

/* -- the tests -- */

static void test_cable(void)
{
    Machine *m = machine_make();
    FarEnd *far = far_new(m, "wire");
    TestNic *nic = nic_make(m, NULL, "wire");
    Error err = ERROR_INIT;

    machine_start(m, NULL);
    g_assert_true(far->port->peer == nic->port && nic->port->peer == far->port);
    g_assert_cmpstr(nic->port->id, ==, "test_nic.0");
    send_text(far->port, "in");
    send_text(nic->port, "out");
    expect(nic->got, "in");
    expect(far->got, "out");
    net_set_link(far->port, false);
    send_text(far->port, "lost");
    send_text(nic->port, "lost");
    net_set_link(far->port, true);
    send_text(far->port, "again");
    expect(nic->got, "in again");
    expect(far->got, "out");
    g_assert_null(device_create(m, "test_nic", "second", &err, "netdev", "wire", NULL));
    g_assert_cmpstr(err.msg, ==, "Property 'test_nic.netdev' can't take value 'wire', it's in use");
    net_port_free(far->port);
    g_assert_null(nic->port->peer);
    send_text(nic->port, "nobody");
    machine_free(m);
}

/* Frames wait for room, keep their order, and a frame sent while one is being taken waits too. */
static void test_queue(void)
{
    Machine *m = machine_make();
    FarEnd *far = far_new(m, "wire");
    TestNic *nic = nic_make(m, "n", "wire");

    machine_start(m, NULL);
    nic->room = 1;
    send_text(far->port, "1");
    send_text(far->port, "2");
    send_text(far->port, "3");
    expect(nic->got, "1");
    nic->room = 1;
    send_text(far->port, "4"); /* behind those that wait, though there is room */
    net_flush(nic->port);
    expect(nic->got, "1 2");
    nic->room = 10;
    net_flush(nic->port);
    expect(nic->got, "1 2 3 4");
    far->echo = true;
    send_text(nic->port, "echo");
    expect(nic->got, "1 2 3 4 echo");
    machine_free(m);
}

static void test_stopped(void)
{
    Machine *m = machine_make();
    FarEnd *far = far_new(m, "wire");
    TestNic *nic = nic_make(m, "n", "wire");

    send_text(far->port, "early");
    expect(nic->got, "");
    machine_start(m, NULL);
    expect(nic->got, "early");
    machine_stop(m, RUN_PAUSED);
    send_text(far->port, "old");
    machine_notify(m, EVENT_LOADED);
    machine_start(m, NULL);
    send_text(far->port, "new");
    expect(nic->got, "early new"); /* what came before the load belongs to another time line */
    machine_free(m);
}

static void test_macs(void)
{
    Machine *m = machine_make();
    TestNic *a = nic_make(m, NULL, ""), *b = nic_make(m, NULL, "");
    uint8_t mac[6];

    g_assert_cmpstr(b->port->id, ==, "test_nic.1");
    g_assert_true(mac_parse("52:54:00:12:34:56", mac));
    g_assert_cmpmem(a->mac, 6, mac, 6);
    g_assert_true(mac_parse("52-54-00-12-34-57", mac));
    g_assert_cmpmem(b->mac, 6, mac, 6);
    g_assert_false(mac_parse("52:54:00:12:34", mac));
    g_assert_false(mac_parse("52:54:00:12:34:56:78", mac));
    g_assert_false(mac_parse("fifty-two", mac));
    machine_free(m);
}

static void test_refusals(void)
{
    static const char *const bad[][2] = {
        { "usr,id=n",
            "network backend 'usr' is not compiled into this binary; did you mean 'user'?" },
        { "user,id=n,color=red", "user: unknown option 'color'" },
        { "user,id=n,net=bananas", "failed to parse network 'bananas'" },
        { "user,id=n,net=10.9.0.0/16,host=10.8.0.1", "host doesn't belong to network" },
        { "user,id=n,hostfwd=tcp::x-:22",
            "Invalid host forwarding rule 'tcp::x-:22' (Bad host port)" },
        { "hubport,id=n", "Parameter 'hubid' is missing" },
        { "hubport,id=n,hubid=0,netdev=z", "netdev 'z' not found" },
        { "socket,id=n", "exactly one of listen=, connect=, mcast= or udp= is required" },
        { "socket,id=n,mcast=10.0.0.1:99",
            "specified mcastaddr 10.0.0.1:99 is not a multicast address" },
    };
    Machine *m = machine_make();

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        Error err = ERROR_INIT;

        g_assert_null(backend(m, bad[i][0], &err));
        g_assert_cmpstr(err.msg, ==, bad[i][1]);
        g_assert_null(net_port_find(m, "n"));
    }
    machine_free(m);
}

static void test_hub(void)
{
    Machine *m = machine_make();
    FarEnd *a = far_new(m, "a"), *b = far_new(m, "b");
    TestNic *nic;
    char *text;

    machine_start(m, NULL);
    g_assert_nonnull(backend(m, "hubport,id=pa,hubid=3,netdev=a", NULL));
    g_assert_nonnull(backend(m, "hubport,id=pb,hubid=3,netdev=b", NULL));
    g_assert_nonnull(backend(m, "hubport,id=pn,hubid=3", NULL));
    g_assert_nonnull(backend(m, "hubport,id=other,hubid=4", NULL));
    nic = nic_make(m, "n", "pn");
    send_text(a->port, "from-a");
    send_text(nic->port, "from-nic");
    b->echo = true;
    send_text(a->port, "echo");
    expect(a->got, "from-nic echo");
    expect(b->got, "from-a from-nic echo");
    expect(nic->got, "from-a echo echo");
    text = command(m, "info network", NULL, 0);
    g_assert_nonnull(strstr(text, "hub 3\n \\ pa: a: index=0,type=far,\n"));
    g_assert_nonnull(strstr(text, "hub 4\n \\ other\n"));
    g_free(text);
    machine_free(m);
}

static void test_commands(void)
{
    Machine *m = machine_make();
    Arg args[] = { { .name = "name", .given = true, .text = (char *)"wire" },
        { .name = "up", .given = true, .num = 0 } };
    FarEnd *far;
    char *text;

    g_assert_nonnull(backend(m, "user", NULL));
    far = far_new(m, "wire");
    nic_make(m, NULL, "#net000");
    nic_make(m, NULL, "wire");
    text = command(m, "info network", NULL, 0);
    g_assert_cmpstr(text, ==,
        "test_nic.0: index=0,type=nic,model=test_nic,macaddr=52:54:00:12:34:56\n"
        " \\ #net000: index=0,type=user,net=10.0.2.0,restrict=off\n"
        "test_nic.1: index=0,type=nic,model=test_nic,macaddr=52:54:00:12:34:57\n"
        " \\ wire: index=0,type=far,\n");
    g_free(text);
    text = command(m, "set_link", args, 2);
    g_assert_cmpstr(text, ==, "");
    g_assert_true(far->port->link_down && far->port->peer->link_down);
    g_free(text);
    args[0].text = (char *)"nobody";
    text = command(m, "set_link", args, 2);
    g_assert_cmpstr(text, ==, "Error: Device 'nobody' not found\n");
    g_free(text);
    machine_free(m);
}

/* -- sockets -- */

static void exchange(Machine *m, const char *one, const char *other)
{
    NetPort *a = backend(m, one, NULL), *b = backend(m, other, NULL);
    FarEnd *x, *y;
    gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;

    g_assert_nonnull(a);
    g_assert_nonnull(b);
    x = far_new(m, "x");
    y = far_new(m, "y");
    g_assert_true(net_connect(x->port, a, NULL) && net_connect(y->port, b, NULL));
    /* frames sent before the two have met are lost */
    while ((!x->got->len || !y->got->len) && g_get_monotonic_time() < end) {
        send_text(x->port, "hello-y");
        send_text(y->port, "hello-x");
        while (g_main_context_iteration(NULL, FALSE)) continue;
        g_usleep(1000);
    }
    g_assert_cmpuint(x->got->len, >, 0);
    g_assert_cmpstr(x->got->pdata[0], ==, "hello-x");
    g_assert_cmpstr(y->got->pdata[0], ==, "hello-y");
}

/* A port that is free now, for both ends of a pair. */
static unsigned free_port(void)
{
    static const char *const listen = "socket,id=probe,listen=127.0.0.1:0";
    Machine *m = machine_make();
    NetPort *p = backend(m, listen, NULL);
    GString *info = g_string_new(NULL);
    unsigned port;

    p->ops->info(p->opaque, info);
    g_assert_true(g_str_has_prefix(info->str, "socket: wait from 127.0.0.1:"));
    port = (unsigned)g_ascii_strtoull(strrchr(info->str, ':') + 1, NULL, 10);
    g_string_free(info, TRUE);
    machine_free(m);
    return port;
}

static void test_stream(void)
{
    Machine *m = machine_make();
    unsigned port = free_port();
    char *a = g_strdup_printf("socket,id=a,listen=127.0.0.1:%u", port);
    char *b = g_strdup_printf("socket,id=b,connect=127.0.0.1:%u", port);
    GString *info = g_string_new(NULL);
    NetPort *p;
    FarEnd *x;

    exchange(m, a, b);
    p = net_port_find(m, "a");
    x = net_port_find(m, "x")->opaque;
    p->ops->info(p->opaque, info);
    g_assert_true(g_str_has_prefix(info->str, "socket: connection from 127.0.0.1:"));
    net_port_free(net_port_find(m, "b")); /* the listener takes another partner */
    g_ptr_array_set_size(x->got, 0);
    g_assert_nonnull((p = backend(m, b, NULL)));
    net_connect(p, net_port_find(m, "y"), NULL);
    for (int i = 0; i < 2000 && !x->got->len; i++) {
        send_text(net_port_find(m, "y"), "again");
        while (g_main_context_iteration(NULL, FALSE)) continue;
        g_usleep(1000);
    }
    g_assert_cmpuint(x->got->len, >, 0);
    g_assert_cmpstr(x->got->pdata[0], ==, "again");
    g_string_free(info, TRUE);
    g_free(a);
    g_free(b);
    machine_free(m);
}

static void test_udp(void)
{
    Machine *m = machine_make();
    unsigned p = free_port(), q = free_port();
    char *a = g_strdup_printf("socket,id=a,udp=127.0.0.1:%u,localaddr=127.0.0.1:%u", p, q);
    char *b = g_strdup_printf("socket,id=b,udp=127.0.0.1:%u,localaddr=127.0.0.1:%u", q, p);

    exchange(m, a, b);
    g_free(a);
    g_free(b);
    machine_free(m);
}

/* -- dump -- */

static void test_dump(void)
{
    Machine *m = machine_make();
    FarEnd *far = far_new(m, "wire");
    TestNic *nic = nic_make(m, "n", "wire");
    char *path = g_strdup_printf("%s/stasis-net-%d.pcap", g_get_tmp_dir(), getpid());
    char *text = g_strdup_printf("id=d,netdev=wire,file=%s,maxlen=20", path), *data;
    Options *opts = options_parse(text, NULL, NULL);
    int64_t before = host_wall_ns() / NS_PER_US, at;
    uint32_t head[6], frame[4];
    gsize len;

    machine_start(m, NULL);
    g_assert_true(user_object_find("filter-dump")->create(m, opts, NULL));
    send_text(far->port, "towards the guest");
    send_text(nic->port, "out");
    g_assert_true(g_file_get_contents(path, &data, &len, NULL)); /* while it is still open */
    g_assert_cmpuint(len, ==, 24 + 16 + 20 + 16 + 17);
    memcpy(head, data, 24);
    g_assert_cmphex(head[0], ==, 0xa1b2c3d4);
    g_assert_cmphex(head[1], ==, 4 << 16 | 2);
    g_assert_cmpuint(head[4], ==, 20);
    g_assert_cmpuint(head[5], ==, 1);
    memcpy(frame, data + 24, 16);
    at = (int64_t)frame[0] * 1000000 + frame[1];
    g_assert_cmpint(at, >=, before);
    g_assert_cmpint(at, <=, host_wall_ns() / NS_PER_US);
    g_assert_cmpuint(frame[2], ==, 20);
    g_assert_cmpuint(frame[3], ==, 31);
    g_assert_cmpmem(data + 24 + 16 + 14, 6, "toward", 6);
    memcpy(frame, data + 24 + 16 + 20, 16);
    g_assert_cmpuint(frame[2], ==, 17);
    g_assert_cmpmem(data + 24 + 16 + 20 + 16 + 14, 3, "out", 3);
    options_free(opts);
    machine_free(m);
    g_unlink(path);
    g_free(data);
    g_free(text);
    g_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/cable", test_cable);
    g_test_add_func("/net/queue", test_queue);
    g_test_add_func("/net/stopped", test_stopped);
    g_test_add_func("/net/macs", test_macs);
    g_test_add_func("/net/refusals", test_refusals);
    g_test_add_func("/net/hub", test_hub);
    g_test_add_func("/net/commands", test_commands);
    g_test_add_func("/net/stream", test_stream);
    g_test_add_func("/net/udp", test_udp);
    g_test_add_func("/net/dump", test_dump);
    return g_test_run();
}
