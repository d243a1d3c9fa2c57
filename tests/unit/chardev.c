/* SPDX-License-Identifier: MIT */
/* Character devices: every back end against a real far side, and the mux. */
#include "util/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/socket.h"

enum { PATIENCE_MS = 5000 };

/* -- a front end that writes down what it gets -- */

typedef struct Front {
    GString *got;    /* bytes */
    GString *events; /* a letter each: Open, Close, Break, focus In, focus oUt */
    size_t room;
} Front;

static size_t front_can_receive(void *opaque) { return ((Front *)opaque)->room; }

static void front_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Front *f = opaque;

    g_assert_cmpuint(len, <=, f->room);
    g_string_append_len(f->got, (const char *)buf, (gssize)len);
}

static void front_event(void *opaque, ChardevEvent event)
{
    static const char letters[] = { [CHARDEV_OPENED] = 'O',
        [CHARDEV_CLOSED] = 'C',
        [CHARDEV_BREAK] = 'B',
        [CHARDEV_FOCUS_IN] = 'I',
        [CHARDEV_FOCUS_OUT] = 'U' };

    g_string_append_c(((Front *)opaque)->events, letters[event]);
}

static const ChardevFront front_ops = {
    .can_receive = front_can_receive, .receive = front_receive, .event = front_event
};

static Front *front_new(size_t room)
{
    Front *f = g_new0(Front, 1);

    f->got = g_string_new(NULL);
    f->events = g_string_new(NULL);
    f->room = room;
    return f;
}

static void front_free(Front *f)
{
    g_string_free(f->got, TRUE);
    g_string_free(f->events, TRUE);
    g_free(f);
}

/* -- helpers -- */

#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;                                  \
        while (!(condition) && g_get_monotonic_time() < end) turn();                               \
        g_assert_true(condition);                                                                  \
    } while (0)

static void turn(void)
{
    if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);
}

static void turns(int n)
{
    for (int i = 0; i < n; i++) turn();
}

static Chardev *open_text(const char *text)
{
    Error err = ERROR_INIT;
    Chardev *chr = chardev_from_text(NULL, "x", text, &err);

    g_assert_cmpstr(err.msg, ==, "");
    g_assert_nonnull(chr);
    return chr;
}

static Chardev *open_options(const char *text, Error *err)
{
    Options *opts = options_parse(text, "backend", NULL);
    Chardev *chr = chardev_from_options(NULL, opts, err);

    options_free(opts);
    return chr;
}

static char *scratch_dir(void) { return g_dir_make_tmp("stasis-chardev-XXXXXX", NULL); }

static void scratch_remove(char *dir)
{
    GDir *d = g_dir_open(dir, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(d))) {
        char *path = g_build_filename(dir, name, NULL);

        g_unlink(path);
        g_free(path);
    }
    g_dir_close(d);
    g_rmdir(dir);
    g_free(dir);
}

/* Reads what comes within the patience until it is this long. */
static char *read_exactly(int fd, size_t len)
{
    char *buf = g_malloc0(len + 1);
    size_t n = 0;
    gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;

    while (n < len && g_get_monotonic_time() < end) {
        ssize_t got = recv(fd, buf + n, len - n, MSG_DONTWAIT);

        if (got < 0 && errno == ENOTSOCK) got = read(fd, buf + n, len - n);
        if (got > 0) n += (size_t)got;
        turn();
    }
    g_assert_cmpuint(n, ==, len);
    return buf;
}

static void expect(int fd, const char *text)
{
    char *got = read_exactly(fd, strlen(text));

    g_assert_cmpstr(got, ==, text);
    g_free(got);
}

/* -- the tests -- */

static void test_refusals(void)
{
    static const struct {
        const char *options, *why;
    } bad[] = {
        { "nul,id=x", "'nul' is not a valid char driver name; did you mean 'null'?" },
        { "null", "chardev: no id specified" },
        { "null,id=x,colour=red", "null: unknown option 'colour'" },
        { "socket,id=x", "chardev: socket: no host or path given" },
        { "socket,id=x,host=localhost", "chardev: socket: no port given" },
        { "socket,id=x,path=/nowhere/y", "Failed to connect to '/nowhere/y': "
                                         "No such file or directory" },
        { "socket,id=x,path=y,wait=on",
            "'wait' option is incompatible with socket in client connect mode" },
        { "file,id=x,path=/nowhere/y", "Could not open '/nowhere/y': No such file or directory" },
        { "file,id=x", "chardev: file: no filename given" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        Error err = ERROR_INIT;

        g_assert_null(open_options(bad[i].options, &err));
        g_assert_cmpstr(err.msg, ==, bad[i].why);
    }
    g_assert_null(chardev_from_text(NULL, "x", "tcp:nowhere", NULL));
    g_assert_null(chardev_from_text(NULL, "x", "bananas", NULL));
}

static void test_null(void)
{
    Chardev *chr = open_text("null");
    Front *f = front_new(8);

    g_assert_cmpstr(chr->filename, ==, "null");
    chardev_attach(chr, &front_ops, f);
    g_assert_cmpstr(f->events->str, ==, "O");
    chardev_write(chr, "lost", 4);
    g_assert_cmpuint(chr->out->len, ==, 0);
    chardev_free(chr);
    front_free(f);
}

static void test_file(void)
{
    char *dir = scratch_dir(), *path = g_build_filename(dir, "a,b", NULL), *content;
    char *text = g_strdup_printf("file:%s", path);
    char *append = g_strdup_printf("file,id=x,path=%s/a,,b,append=on", dir);
    Chardev *chr = open_text(text);

    g_assert_cmpstr(chr->filename, ==, "file");
    chardev_printf(chr, "%s %d\n", "one", 1);
    chardev_free(chr);
    chr = open_options(append, NULL);
    chardev_write(chr, "two\n", 4);
    chardev_free(chr);
    g_assert_true(g_file_get_contents(path, &content, NULL, NULL));
    g_assert_cmpstr(content, ==, "one 1\ntwo\n");
    g_free(content);
    g_free(append);
    append = g_strdup_printf("null,id=x,logfile=%s/a,,b,logappend=on", dir);
    chr = open_options(append, NULL); /* every back end can keep a log */
    chardev_write(chr, "three\n", 6);
    chardev_free(chr);
    g_assert_true(g_file_get_contents(path, &content, NULL, NULL));
    g_assert_cmpstr(content, ==, "one 1\ntwo\nthree\n");
    g_free(content);
    g_free(append);
    g_free(text);
    g_free(path);
    scratch_remove(dir);
}

static void test_pipe(void)
{
    char *dir = scratch_dir(), *base = g_build_filename(dir, "p", NULL);
    char *in = g_strconcat(base, ".in", NULL), *out = g_strconcat(base, ".out", NULL);
    char *text = g_strdup_printf("pipe:%s", base);
    Front *f = front_new(64);
    Chardev *chr;
    int to, from;

    g_assert_cmpint(mkfifo(in, 0600), ==, 0);
    g_assert_cmpint(mkfifo(out, 0600), ==, 0);
    chr = open_text(text);
    chardev_attach(chr, &front_ops, f);
    to = open(in, O_WRONLY | O_NONBLOCK);
    from = open(out, O_RDONLY | O_NONBLOCK);
    g_assert_cmpint(write(to, "in", 2), ==, 2);
    WAIT_FOR(!strcmp(f->got->str, "in"));
    chardev_write(chr, "out", 3);
    expect(from, "out");
    close(to);
    close(from);
    chardev_free(chr);
    front_free(f);
    g_free(text);
    g_free(in);
    g_free(out);
    g_free(base);
    scratch_remove(dir);
}

static void test_unix_server(void)
{
    char *dir = scratch_dir(), *path = g_build_filename(dir, "s", NULL);
    char *text = g_strdup_printf("unix:%s,server=on,wait=off", path);
    char *idle = g_strdup_printf("disconnected:unix:%s,server=on", path);
    Chardev *chr = open_text(text);
    Front *f = front_new(3);

    chardev_attach(chr, &front_ops, f);
    g_assert_cmpstr(chr->filename, ==, idle);
    for (int round = 1; round <= 3; round++) {
        int fd = socket_connect_unix(path, NULL);

        g_assert_cmpint(fd, >=, 0);
        WAIT_FOR(chr->connected);
        g_assert_cmpstr(chr->filename, ==, idle + strlen("disconnected:"));
        g_string_truncate(f->got, 0);
        g_assert_cmpint(write(fd, "seven b", 7), ==, 7);
        WAIT_FOR(!strcmp(f->got->str, "seven b")); /* three at a time: see front_receive */
        chardev_write(chr, "answer", 6);
        expect(fd, "answer");
        close(fd);
        WAIT_FOR(!chr->connected);
    }
    g_assert_cmpstr(f->events->str, ==, "OCOCOC");
    g_assert_cmpstr(chr->filename, ==, idle);
    chardev_free(chr);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    front_free(f);
    g_free(idle);
    g_free(text);
    g_free(path);
    scratch_remove(dir);
}

/* Input waits in the socket while the front end has no room; output waits in the queue. */
static void test_flow(void)
{
    enum { BULK = 4 * MiB };
    char *dir = scratch_dir(), *text = g_strdup_printf("unix:%s/s,server=on,wait=off", dir);
    char *path = g_build_filename(dir, "s", NULL), *bulk = g_malloc(BULK), *got;
    Chardev *chr = open_text(text);
    Front *f = front_new(0);
    int fd;

    for (size_t i = 0; i < BULK; i++) bulk[i] = (char)(i * 7 + i / 251);
    chardev_attach(chr, &front_ops, f);
    fd = socket_connect_unix(path, NULL);
    WAIT_FOR(chr->connected);
    g_assert_cmpint(write(fd, "later", 5), ==, 5);
    turns(20);
    g_assert_cmpuint(f->got->len, ==, 0);
    f->room = 64;
    chardev_accept_input(chr);
    WAIT_FOR(f->got->len == 5);
    chardev_write(chr, bulk, BULK / 2);
    chardev_write(chr, bulk + BULK / 2, BULK / 2);
    g_assert_cmpuint(chr->out->len, >, 0);
    got = read_exactly(fd, BULK);
    g_assert_cmpint(memcmp(got, bulk, BULK), ==, 0);
    g_assert_cmpuint(chr->out->len, ==, 0);
    close(fd);
    chardev_free(chr);
    front_free(f);
    g_free(got);
    g_free(bulk);
    g_free(path);
    g_free(text);
    scratch_remove(dir);
}

static void send_fd(int sock, int fd)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { { 0 } };
    char byte = 'f';
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.buf,
        .msg_controllen = sizeof(control.buf) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    g_assert_cmpint(sendmsg(sock, &msg, 0), ==, 1);
}

static void test_passed_fds(void)
{
    char *dir = scratch_dir(), *path = g_build_filename(dir, "s", NULL);
    char *text = g_strdup_printf("mon:unix:%s,server=on,wait=off", path);
    Chardev *chr = open_text(text); /* through a mux: it passes them on */
    Front *f = front_new(64);
    int fd, pipes[2][2], first, second;

    chardev_attach(chr, &front_ops, f);
    fd = socket_connect_unix(path, NULL);
    WAIT_FOR(chr->connected);
    g_assert_cmpint(chardev_take_fd(chr), ==, -1);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(pipe(pipes[i]), ==, 0);
        send_fd(fd, pipes[i][1]);
        close(pipes[i][1]);
    }
    WAIT_FOR(f->got->len == 2);
    first = chardev_take_fd(chr);
    second = chardev_take_fd(chr);
    g_assert_cmpint(chardev_take_fd(chr), ==, -1);
    g_assert_cmpint(write(first, "1", 1) + write(second, "2", 1), ==, 2);
    expect(pipes[0][0], "1");
    expect(pipes[1][0], "2");
    g_assert_cmpint(fcntl(first, F_GETFD) & FD_CLOEXEC, !=, 0);
    close(first);
    close(second);
    close(pipes[0][0]);
    close(pipes[1][0]);
    close(fd);
    chardev_free(chr);
    front_free(f);
    g_free(text);
    g_free(path);
    scratch_remove(dir);
}

static void test_tcp(void)
{
    Chardev *server = open_text("tcp:127.0.0.1:0,server=on,wait=off,nodelay=on"), *client;
    const char *port = strrchr(server->filename, ':') + 1;
    Front *a = front_new(64), *b = front_new(64);
    char *text, *expected;

    g_assert_true(g_str_has_prefix(server->filename, "disconnected:tcp:127.0.0.1:"));
    text = g_strdup_printf("tcp:127.0.0.1:%.*s", (int)strcspn(port, ","), port);
    client = open_text(text);
    chardev_attach(server, &front_ops, a);
    chardev_attach(client, &front_ops, b);
    WAIT_FOR(server->connected);
    expected = g_strdup_printf("%s,server=on <-> ", text);
    g_assert_true(g_str_has_prefix(server->filename, expected));
    chardev_write(server, "to client", 9);
    chardev_write(client, "to server", 9);
    WAIT_FOR(!strcmp(a->got->str, "to server") && !strcmp(b->got->str, "to client"));
    chardev_free(server);
    WAIT_FOR(!client->connected);
    g_assert_true(g_str_has_prefix(client->filename, "disconnected:tcp:"));
    g_assert_cmpstr(b->events->str, ==, "OC");
    chardev_free(client);
    front_free(a);
    front_free(b);
    g_free(expected);
    g_free(text);
}

static void test_reconnect(void)
{
    char *dir = scratch_dir(), *path = g_build_filename(dir, "s", NULL);
    char *text = g_strdup_printf("unix:%s,reconnect=1", path);
    char *listen = g_strdup_printf("unix:%s,server=on,wait=off", path);
    Chardev *client = open_text(text), *server;

    g_assert_false(client->connected);
    for (int i = 0; i < 2; i++) {
        server = open_text(listen);
        WAIT_FOR(client->connected && server->connected);
        chardev_free(server);
        WAIT_FOR(!client->connected);
    }
    chardev_free(client);
    g_free(listen);
    g_free(text);
    g_free(path);
    scratch_remove(dir);
}

static gpointer connect_later(gpointer path)
{
    g_usleep(100000);
    return GINT_TO_POINTER(socket_connect_unix(path, NULL));
}

static void test_wait(void)
{
    char *dir = scratch_dir(), *path = g_build_filename(dir, "s", NULL);
    char *text = g_strdup_printf("unix:%s,server=on", path);
    GThread *t;
    Chardev *chr;

    if (g_test_subprocess()) {
        t = g_thread_new("client", connect_later, path);
        chr = open_text(text);
        g_assert_true(chr->connected);
        close(GPOINTER_TO_INT(g_thread_join(t)));
        chardev_free(chr);
    } else {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*info: QEMU waiting for connection on: "
                                  "disconnected:unix:*/s,server=on*");
    }
    g_free(text);
    g_free(path);
    scratch_remove(dir);
}

static void test_pty(void)
{
    Chardev *chr = open_text("pty");
    Front *f = front_new(64);

    chardev_attach(chr, &front_ops, f);
    g_assert_true(g_str_has_prefix(chr->filename, "pty:/dev/pts/"));
    turns(200);
    g_assert_false(chr->connected);
    chardev_write(chr, "into the void", 13);
    for (int round = 1; round <= 2; round++) {
        int fd = open(chr->filename + 4, O_RDWR | O_NOCTTY | O_NONBLOCK);

        g_assert_cmpint(fd, >=, 0);
        WAIT_FOR(chr->connected);
        g_string_truncate(f->got, 0);
        g_assert_cmpint(write(fd, "\x03\r", 2), ==, 2); /* raw: nothing is translated */
        WAIT_FOR(!strcmp(f->got->str, "\x03\r"));
        chardev_write(chr, "a\nb", 3);
        expect(fd, "a\nb");
        close(fd);
        WAIT_FOR(!chr->connected);
    }
    g_assert_cmpstr(f->events->str, ==, "OCOC");
    chardev_free(chr);
    front_free(f);
}

/* What was sent before the far side went is not lost while there is no room for it. */
static void test_leftover(void)
{
    char *dir = scratch_dir(), *path = g_build_filename(dir, "s", NULL);
    char *text = g_strdup_printf("unix:%s,server=on,wait=off", path);
    Chardev *chr = open_text(text);
    Front *f = front_new(0);
    int fd;

    chardev_attach(chr, &front_ops, f);
    fd = socket_connect_unix(path, NULL);
    WAIT_FOR(chr->connected);
    g_assert_cmpint(write(fd, "testament", 9), ==, 9);
    close(fd);
    turns(20);
    g_assert_true(chr->connected);
    f->room = 4;
    WAIT_FOR(!chr->connected);
    g_assert_cmpstr(f->got->str, ==, "testament");
    chardev_free(chr);
    front_free(f);
    g_free(text);
    g_free(path);
    scratch_remove(dir);
}

/* -- stdio on a terminal of its own: the child echoes with a '+' in front -- */

typedef struct Echo {
    Chardev *chr;
    bool end;
} Echo;

static void echo_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Echo *e = opaque;

    for (size_t i = 0; i < len; i++) {
        chardev_printf(e->chr, "+%c", buf[i]);
        if (buf[i] == 'q') e->end = true;
    }
}

static void stdio_child(void)
{
    static const ChardevFront ops = { .receive = echo_receive };
    Echo e = { chardev_from_text(NULL, "x", "stdio", NULL), false };

    chardev_attach(e.chr, &ops, &e);
    chardev_printf(e.chr, "ready");
    while (!e.end) g_main_context_iteration(NULL, TRUE);
    chardev_free(e.chr);
    _exit(0);
}

static bool tty_is_raw(int master)
{
    struct termios tio;

    g_assert_cmpint(tcgetattr(master, &tio), ==, 0);
    return !(tio.c_lflag & (ICANON | ECHO));
}

static void test_stdio(void)
{
    int master, status;
    pid_t pid = forkpty(&master, NULL, NULL, NULL);

    g_assert_cmpint(pid, >=, 0);
    if (!pid) stdio_child();
    fcntl(master, F_SETFL, O_NONBLOCK);
    expect(master, "ready");
    g_assert_true(tty_is_raw(master));
    g_assert_cmpint(write(master, "a", 1), ==, 1);
    expect(master, "+a");
    g_assert_cmpint(write(master, "\x1a", 1), ==, 1); /* Ctrl-Z */
    g_assert_cmpint(waitpid(pid, &status, WUNTRACED), ==, pid);
    g_assert_true(WIFSTOPPED(status));
    g_assert_false(tty_is_raw(master));
    kill(pid, SIGCONT);
    WAIT_FOR(tty_is_raw(master));
    g_assert_cmpint(write(master, "q", 1), ==, 1);
    expect(master, "+q");
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    g_assert_false(tty_is_raw(master));
    close(master);
}

/* -- the mux -- */

typedef struct MuxFixture {
    int fd;
    char *dir;
    Chardev *chr;
    Front *serial, *monitor;
    GString *escapes;
} MuxFixture;

static void mux_escape(void *opaque, char key) { g_string_append_c(opaque, key); }

static void mux_setup(MuxFixture *x, gconstpointer data)
{
    char *text, *path;

    (void)data;
    x->dir = scratch_dir();
    path = g_build_filename(x->dir, "s", NULL);
    text = g_strdup_printf("mon:unix:%s,server=on,wait=off", path);
    x->chr = open_text(text);
    x->serial = front_new(64);
    x->monitor = front_new(64);
    x->escapes = g_string_new(NULL);
    chardev_attach(x->chr, &front_ops, x->serial);
    chardev_attach(x->chr, &front_ops, x->monitor);
    chardev_mux_on_escape(x->chr, mux_escape, x->escapes);
    x->fd = socket_connect_unix(path, NULL);
    WAIT_FOR(x->chr->connected);
    g_free(text);
    g_free(path);
}

static void mux_teardown(MuxFixture *x, gconstpointer data)
{
    (void)data;
    close(x->fd);
    chardev_free(x->chr);
    front_free(x->serial);
    front_free(x->monitor);
    g_string_free(x->escapes, TRUE);
    scratch_remove(x->dir);
}

static void mux_type(MuxFixture *x, const char *text)
{
    g_assert_cmpint(write(x->fd, text, strlen(text)), ==, (ssize_t)strlen(text));
    turns(5);
}

static void test_mux_focus(MuxFixture *x, gconstpointer data)
{
    (void)data;
    g_assert_true(chardev_is_mux(x->chr));
    g_assert_cmpstr(x->chr->filename, ==, "mux");
    g_assert_cmpstr(chardev_mux_base(x->chr)->id, ==, "x-base");
    g_assert_cmpstr(x->serial->events->str, ==, "IO");
    g_assert_cmpstr(x->monitor->events->str, ==, "O");
    mux_type(x, "one");
    mux_type(x, "\x01"
                "c"
                "two");
    mux_type(x, "\x01"); /* an escape in two parts */
    mux_type(x, "c3\x01\x01");
    g_assert_cmpstr(x->serial->got->str, ==, "one3\x01");
    g_assert_cmpstr(x->monitor->got->str, ==, "two");
    g_assert_cmpstr(x->serial->events->str, ==, "IOUI");
    g_assert_cmpstr(x->monitor->events->str, ==, "OIU");
    chardev_mux_focus(x->chr, x->monitor);
    mux_type(x, "four");
    g_assert_cmpstr(x->monitor->got->str, ==, "twofour");
    chardev_attach(x->chr, NULL, x->monitor); /* the focus goes back */
    mux_type(x, "5");
    g_assert_cmpstr(x->serial->got->str, ==,
        "one3\x01"
        "5");
}

static void test_mux_keys(MuxFixture *x, gconstpointer data)
{
    char *help;

    (void)data;
    mux_type(x, "\x01x\x01s\x01z\x01"
                "b");
    g_assert_cmpstr(x->escapes->str, ==, "xs");
    g_assert_cmpstr(x->serial->events->str, ==, "IOB");
    g_assert_cmpstr(x->serial->got->str, ==, "");
    mux_type(x, "\x01h");
    help = read_exactly(x->fd, 100);
    g_assert_nonnull(strstr(help, "C-a x"));
    g_free(help);
}

static void test_mux_stamps(MuxFixture *x, gconstpointer data)
{
    char *got;

    (void)data;
    mux_type(x, "\x01t");
    chardev_printf(x->chr, "start\nline\nmore\n");
    got = read_exactly(x->fd, strlen("start\n[00:00:00.000] line\n[00:00:00.000] more\n"));
    g_assert_true(g_regex_match_simple(
        "^start\n\\[00:00:0\\d\\.\\d{3}\\] line\n\\[00:00:0\\d\\.\\d{3}\\] more\n$", got, 0, 0));
    g_free(got);
}

/* A guest that reads nothing cannot keep the user from the monitor. */
static void test_mux_stuck(MuxFixture *x, gconstpointer data)
{
    char *flood = g_strnfill(100 * KiB, 'y');

    (void)data;
    x->serial->room = 0;
    for (size_t sent = 0; sent < 100 * KiB;) {
        ssize_t n = send(x->fd, flood + sent, 100 * KiB - sent, MSG_DONTWAIT);

        if (n > 0) sent += (size_t)n;
        turn();
    }
    mux_type(x, "\x01"
                "chelp");
    WAIT_FOR(!strcmp(x->monitor->got->str, "help"));
    x->serial->room = 1000;
    chardev_accept_input(x->chr);
    g_assert_cmpuint(x->serial->got->len, ==, 64 * KiB);
    g_free(flood);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    g_test_add_func("/chardev/refusals", test_refusals);
    g_test_add_func("/chardev/null", test_null);
    g_test_add_func("/chardev/file", test_file);
    g_test_add_func("/chardev/pipe", test_pipe);
    g_test_add_func("/chardev/unix-server", test_unix_server);
    g_test_add_func("/chardev/flow", test_flow);
    g_test_add_func("/chardev/passed-fds", test_passed_fds);
    g_test_add_func("/chardev/tcp", test_tcp);
    g_test_add_func("/chardev/reconnect", test_reconnect);
    g_test_add_func("/chardev/leftover", test_leftover);
    g_test_add_func("/chardev/wait", test_wait);
    g_test_add_func("/chardev/pty", test_pty);
    g_test_add_func("/chardev/stdio", test_stdio);
    g_test_add("/chardev/mux/focus", MuxFixture, NULL, mux_setup, test_mux_focus, mux_teardown);
    g_test_add("/chardev/mux/keys", MuxFixture, NULL, mux_setup, test_mux_keys, mux_teardown);
    g_test_add("/chardev/mux/stamps", MuxFixture, NULL, mux_setup, test_mux_stamps, mux_teardown);
    g_test_add("/chardev/mux/stuck", MuxFixture, NULL, mux_setup, test_mux_stuck, mux_teardown);
    return g_test_run();
}
