/* SPDX-License-Identifier: MIT */
/*
 * Monitor lines: arguments, expressions, complaints, completion, and a whole monitor on a socket.
 * The machine is an empty board; the commands are this test's own.
 */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/command.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "util/chardev.h"

/* -- an empty board -- */

static bool board_init(Machine *m, Error *err)
{
    (void)m, (void)err;
    return true;
}
MACHINE(board, .name = "test-board", .desc = "nothing", .default_ram = MiB, .init = board_init);

static Machine *board_new(void)
{
    Error err = ERROR_INIT;
    GMainContext *ctx = g_main_context_new();
    Machine *m = machine_new("test-board", ctx, &err);

    g_assert_cmpstr(err.msg, ==, "");
    g_main_context_unref(ctx);
    g_assert_true(machine_init(m, &err));
    return m;
}

/* -- commands of the test: each prints what it was given -- */

static void show_args(CommandCall *call, Error *err)
{
    (void)err;
    for (unsigned i = 0; i < call->nargs; i++) {
        const Arg *a = &call->args[i];
        sink_printf(call->out, "%s%s=", i ? " " : "", a->name);
        if (!a->given) {
            sink_printf(call->out, "-");
        } else if (a->text) {
            sink_printf(call->out, "<%s>", a->text);
        } else {
            sink_printf(call->out, "%" G_GINT64_FORMAT, a->num);
        }
    }
    sink_printf(call->out, "\n");
}
COMMAND(words, .name = "t_words", .args = "a:s,b:s?", .help = "words", .run = show_args);
COMMAND(rest, .name = "t_rest|t_r", .args = "a:S", .help = "rest", .run = show_args);
COMMAND(ints, .name = "t_ints", .args = "a:i,b:l?", .help = "ints", .run = show_args);
COMMAND(flags, .name = "t_flags", .args = "d:-d,f:-f,uri:s", .help = "flags", .run = show_args);
COMMAND(mixed, .name = "t_mixed", .args = "sw:b,size:o,file:F?", .help = "m", .run = show_args);
COMMAND(sub, .name = "info t_sub", .args = "n:l?", .help = "sub", .run = show_args);

static void show_format(CommandCall *call, Error *err)
{
    const Arg *f = command_arg(call, "fmt");

    (void)err;
    sink_printf(call->out, "%d %c %d at %" G_GINT64_FORMAT "\n", f->count, f->format, f->size,
        command_num(call, "addr", -1));
}
COMMAND(fmt, .name = "t_fmt", .args = "fmt:/,addr:l", .help = "format", .run = show_format);

static void fail_run(CommandCall *call, Error *err)
{
    (void)call;
    error_set(err, "it cannot be");
}
COMMAND(fails, .name = "t_fail", .args = "", .help = "fails", .run = fail_run);

static gboolean later_ends(gpointer out)
{
    sink_printf(out, "later\n");
    sink_done(out, NULL);
    return G_SOURCE_REMOVE;
}

static void later_run(CommandCall *call, Error *err)
{
    GSource *s = g_timeout_source_new((guint)command_num(call, "ms", 0));

    (void)err;
    g_source_set_callback(s, later_ends, call->out, NULL);
    g_source_attach(s, call->m->ctx);
    g_source_unref(s);
}
COMMAND(later, .name = "t_later", .args = "ms:i", .help = "ends later", .async = true,
    .run = later_run);

/* -- lines -- */

static void expect(Machine *m, const char *line, const char *want)
{
    char *got = monitor_run_line(m, line);

    g_assert_cmpstr(got, ==, want);
    g_free(got);
}

#define TRY(cmd) "Try \"help " cmd "\" for more information\n"

static void test_words(void)
{
    Machine *m = board_new();

    expect(m, "", "");
    expect(m, "   ", "");
    expect(m, "t_words one", "a=<one> b=-\n");
    expect(m, "  t_words   one  two ", "a=<one> b=<two>\n");
    expect(m, "t_words \"with space\" \"q\\\"\\\\\\n\"", "a=<with space> b=<q\"\\\n>\n");
    expect(m, "t_words \"\"", "a=<> b=-\n");
    expect(m, "t_words", "t_words: string expected\n" TRY("t_words"));
    expect(
        m, "t_words a b c", "t_words: extraneous characters at the end of line\n" TRY("t_words"));
    expect(m, "t_words \"abc", "unterminated string\n" TRY("t_words"));
    expect(m, "t_rest  all of  it ", "a=<all of  it >\n");
    expect(m, "t_r x", "a=<x>\n");
    expect(m, "t_r", "t_r: string expected\n" TRY("t_r"));
    machine_free(m);
}

static void test_numbers(void)
{
    Machine *m = board_new();

    expect(m, "t_ints 0x10", "a=16 b=-\n");
    expect(m, "t_ints 010 1", "a=8 b=1\n");
    expect(m, "t_ints 010 -1", "a=7 b=-\n"); /* one expression */
    expect(m, "t_ints -1", "a=-1 b=-\n");
    expect(m, "t_ints 1+2*3 (1+2)*3", "a=7 b=9\n");
    expect(m, "t_ints 1|2+4 2&3*4", "a=7 b=0\n"); /* & and | bind tighter than + */
    expect(m, "t_ints 'A' ~0", "a=65 b=-1\n");
    expect(m, "t_ints 7%4 7/2", "a=3 b=3\n");
    expect(m, "t_ints 0x1ffffffff",
        "'t_ints' has failed: integer is for 32-bit values\n" TRY("t_ints"));
    expect(m, "t_ints 0 0x1ffffffff", "a=0 b=8589934591\n");
    expect(m, "t_ints 5/0", "division by zero\n" TRY("t_ints"));
    expect(m, "t_ints 1+", "unexpected end of expression\n" TRY("t_ints"));
    expect(m, "t_ints (1", "')' expected\n" TRY("t_ints"));
    expect(m, "t_ints $foo", "unknown register\n" TRY("t_ints"));
    expect(m, "t_ints 99999999999999999999", "number too large\n" TRY("t_ints"));
    expect(m, "t_ints x", "invalid char 'x' in expression\n" TRY("t_ints"));
    expect(m, "t_ints", "unexpected end of expression\n" TRY("t_ints"));
    char *deep = g_strnfill(5000, '(');
    char *line = g_strconcat("t_ints ", deep, NULL);
    expect(m, line, "expression too deep\n" TRY("t_ints"));
    g_free(line);
    g_free(deep);
    machine_free(m);
}

static void test_flags(void)
{
    Machine *m = board_new();

    expect(m, "t_flags u", "d=- f=- uri=<u>\n");
    expect(m, "t_flags -d u", "d=1 f=- uri=<u>\n");
    expect(m, "t_flags -f -d u", "d=1 f=1 uri=<u>\n");
    expect(m, "t_flags -x u", "t_flags: unsupported option -x\n" TRY("t_flags"));
    expect(m, "t_flags -d -d u", "t_flags: unsupported option -d\n" TRY("t_flags"));
    expect(m, "t_flags -d", "t_flags: string expected\n" TRY("t_flags"));
    expect(m, "t_mixed on 3", "sw=<on> size=<3> file=-\n");
    expect(m, "t_mixed off 4k f", "sw=<off> size=<4k> file=<f>\n");
    expect(m, "t_mixed maybe 1", "Expected 'on' or 'off'\n" TRY("t_mixed"));
    expect(m, "t_mixed on many", "invalid size\n" TRY("t_mixed"));
    machine_free(m);
}

static void test_formats(void)
{
    Machine *m = board_new();

    expect(m, "t_fmt 5", "1 x 4 at 5\n");
    expect(m, "t_fmt /3ub 5", "3 u 1 at 5\n");
    expect(m, "t_fmt/2gx 5", "2 x 8 at 5\n");
    expect(m, "t_fmt /i 5", "1 i 0 at 5\n");
    expect(m, "t_fmt /zz 0", "invalid char in format: 'z'\n" TRY("t_fmt"));
    expect(m, "t_fmt /10xw", "unexpected end of expression\n" TRY("t_fmt"));
    machine_free(m);
}

static void test_unknown(void)
{
    Machine *m = board_new();

    expect(m, "zzzzzz", "unknown command: 'zzzzzz'\n");
    expect(m, "t_wrods a", "unknown command: 't_wrods'\nDid you mean \"t_words\"?\n");
    expect(m, "info zzzzzzzz", "unknown command: 'info zzzzzzzz'\n");
    expect(m, "info t_sbu", "unknown command: 'info t_sbu'\nDid you mean \"info t_sub\"?\n");
    expect(m, "info   t_sub  3", "n=3\n");
    expect(
        m, "info t_sub 3 4", "t_sub: extraneous characters at the end of line\n" TRY("info t_sub"));
    expect(m, "help t_words", "t_words  -- words\n");
    expect(m, "? info  t_sub", "info t_sub  -- sub\n");
    expect(m, "help zzzzzz", "unknown command: 'zzzzzz'\n");
    char *all = monitor_run_line(m, "help"), *info = monitor_run_line(m, "info");
    g_assert_nonnull(strstr(all, "quit|q  -- quit the emulator\n"));
    g_assert_null(strstr(all, "info t_sub"));
    g_assert_nonnull(strstr(info, "info t_sub  -- sub\n"));
    g_free(all);
    g_free(info);
    machine_free(m);
}

static void test_results(void)
{
    Machine *m = board_new();

    expect(m, "t_fail", "Error: it cannot be\n");
    expect(m, "t_later 1", "later\n");
    machine_free(m);
}

/* -- completion -- */

static void offer_word(void *ctx, const char *word) { g_string_append_printf(ctx, "%s;", word); }

static void expect_completion(Machine *m, const char *line, const char *want)
{
    GString *got = g_string_new(NULL);

    complete_line(m, line, offer_word, got);
    g_assert_cmpstr(got->str, ==, want);
    g_string_free(got, TRUE);
}

static void test_completion(void)
{
    Machine *m = board_new();
    Error err = ERROR_INIT;

    machine_object_add(m, "drive", "ide9-cd0", m, NULL, &err);
    expect_completion(m, "t_wor", "t_words;");
    expect_completion(m, "info t_s", "t_sub;");
    expect_completion(m, "help t_mix", "t_mixed;");
    expect_completion(m, "t_mixed o", "on;off;");
    expect_completion(m, "eject -f ide9", "ide9-cd0;");
    expect_completion(m, "change ide9-cd0 x", "");
    expect_completion(m, "zzzz x", "");
    machine_free(m);
}

/* -- a monitor on a socket -- */

typedef struct Talk {
    Machine *m;
    int fd;
    char *dir;
} Talk;

static void talk_start(Talk *t)
{
    Error err = ERROR_INIT;
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    t->m = board_new();
    t->dir = g_dir_make_tmp("hmp-XXXXXX", NULL);
    g_snprintf(to.sun_path, sizeof(to.sun_path), "%s/sock", t->dir);
    char *text = g_strdup_printf("unix:%s,server=on,wait=off", to.sun_path);
    Chardev *chr = chardev_from_text(t->m->ctx, "mon0", text, &err);
    g_assert_cmpstr(err.msg, ==, "");
    machine_object_add(t->m, "chardev", "mon0", chr, (void (*)(void *))chardev_free, &err);
    g_assert_true(monitor_new(t->m, chr, &err));
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    g_assert_cmpint(connect(t->fd, (struct sockaddr *)&to, sizeof(to)), ==, 0);
    g_unlink(to.sun_path);
    g_free(text);
}

static void talk_end(Talk *t)
{
    close(t->fd);
    machine_free(t->m);
    g_rmdir(t->dir);
    g_free(t->dir);
}

/* What arrives until the prompt has been seen n times. */
static char *talk_read(Talk *t, unsigned prompts)
{
    GString *got = g_string_new(NULL);
    gint64 end = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;

    while (prompts && g_get_monotonic_time() < end) {
        char buf[1024];
        g_main_context_iteration(t->m->ctx, FALSE);
        ssize_t n = read(t->fd, buf, sizeof(buf));
        if (n <= 0) {
            g_usleep(200);
            continue;
        }
        g_string_append_len(got, buf, n);
        const char *p = got->str;
        unsigned seen = 0;
        while ((p = strstr(p, "(qemu) "))) p++, seen++;
        if (seen >= prompts) break;
    }
    return g_string_free(got, FALSE);
}

static void talk_expect(Talk *t, const char *send, unsigned prompts, const char *want)
{
    g_assert_cmpint(write(t->fd, send, strlen(send)), ==, (ssize_t)strlen(send));
    char *got = talk_read(t, prompts);
    g_assert_cmpstr(got, ==, want);
    g_free(got);
}

static void test_socket(void)
{
    Talk t;

    talk_start(&t);
    talk_expect(&t, "", 1,
        "Stasis " STASIS_VERSION " monitor - type 'help' for more information\r\n(qemu) ");
    talk_expect(&t, "t_words a\n", 1, "\r\na=<a> b=-\r\n(qemu) ");
    talk_expect(&t, "\n", 1, "\r\n(qemu) ");
    talk_expect(
        &t, "t_words a\r\nt_words b\r", 2, "\r\na=<a> b=-\r\n(qemu) \r\na=<b> b=-\r\n(qemu) ");
    talk_expect(&t, "t_fail\n", 1, "\r\nError: it cannot be\r\n(qemu) ");
    /* the next line waits for the one that takes its time */
    talk_expect(&t, "t_later 20\nt_words z\n", 2, "\r\nlater\r\n(qemu) \r\na=<z> b=-\r\n(qemu) ");
    /* the format stays from line to line */
    talk_expect(
        &t, "t_fmt /db 1\nt_fmt 2\n", 2, "\r\n1 d 1 at 1\r\n(qemu) \r\n1 d 1 at 2\r\n(qemu) ");
    talk_end(&t);
}

static void send_with_fd(int to, const char *text, int fd)
{
    struct iovec iov = { (void *)text, strlen(text) };
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } u = { 0 };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    g_assert_cmpint(sendmsg(to, &msg, 0), ==, (ssize_t)strlen(text));
}

static void test_fds(void)
{
    Talk t;
    int fds[2];
    char byte = 0;

    talk_start(&t);
    g_free(talk_read(&t, 1));
    talk_expect(
        &t, "getfd x\n", 1, "\r\nError: No file descriptor supplied via SCM_RIGHTS\r\n(qemu) ");
    talk_expect(&t, "closefd x\n", 1, "\r\nError: File descriptor named 'x' not found\r\n(qemu) ");
    g_assert_cmpint(pipe(fds), ==, 0);
    send_with_fd(t.fd, "getfd x\n", fds[1]);
    close(fds[1]);
    talk_expect(&t, "", 1, "\r\n(qemu) ");
    talk_expect(&t, "closefd x\n", 1, "\r\n(qemu) ");
    g_assert_cmpint(read(fds[0], &byte, 1), ==, 0); /* the other end is closed */
    close(fds[0]);
    talk_end(&t);
}

/* On a terminal lines are edited: completion, history, cursor keys. */
static void test_terminal(void)
{
    Error err = ERROR_INIT;
    Talk t = { .m = board_new() };

    g_setenv("TERM", "vt100", TRUE);
    Chardev *chr = chardev_from_text(t.m->ctx, "mon0", "pty", &err);
    g_assert_cmpstr(err.msg, ==, "");
    machine_object_add(t.m, "chardev", "mon0", chr, (void (*)(void *))chardev_free, &err);
    g_assert_true(monitor_new(t.m, chr, &err));
    t.fd = open(strchr(chr->filename, '/'), O_RDWR | O_NOCTTY | O_NONBLOCK);
    g_assert_cmpint(t.fd, >=, 0);
    char *got = talk_read(&t, 1);
    g_assert_nonnull(strstr(got, "type 'help'"));
    g_free(got);
    static const struct {
        const char *keys, *answer;
    } tries[] = {
        { "t_wor\taa\r", "a=<aa> b=-\r\n" },          /* the rest of the name, and a space */
        { "\033[A\b\bcc\r", "a=<cc> b=-\r\n" },       /* the last line again, changed */
        { "t_words xz\033[Dy\r", "a=<xyz> b=-\r\n" }, /* one to the left */
        { "garbage\025t_fail\r", "Error: it cannot be\r\n" },
        { "t_later 20\rt_words q\r", "a=<q> b=-\r\n" },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
        g_assert_cmpint(write(t.fd, tries[i].keys, strlen(tries[i].keys)), >, 0);
        GString *all = g_string_new(NULL);
        for (int k = 0; k < 20 && !strstr(all->str, tries[i].answer); k++) {
            got = talk_read(&t, 1);
            g_string_append(all, got);
            g_free(got);
        }
        if (!strstr(all->str, tries[i].answer))
            g_error("no '%s' in '%s'", tries[i].answer, all->str);
        g_string_free(all, TRUE);
    }
    close(t.fd);
    machine_free(t.m);
}

/* The far side goes while a command runs: nothing is told to the next one. */
static void test_hangup(void)
{
    Talk t;

    talk_start(&t);
    g_free(talk_read(&t, 1));
    g_assert_cmpint(write(t.fd, "t_later 30\n", 11), ==, 11);
    for (int i = 0; i < 20; i++) g_main_context_iteration(t.m->ctx, FALSE);
    close(t.fd);
    gint64 end = g_get_monotonic_time() + 100000;
    while (g_get_monotonic_time() < end) {
        g_main_context_iteration(t.m->ctx, FALSE);
        g_usleep(500);
    }
    t.fd = -1;
    talk_end(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/parse/words", test_words);
    g_test_add_func("/parse/numbers", test_numbers);
    g_test_add_func("/parse/flags", test_flags);
    g_test_add_func("/parse/formats", test_formats);
    g_test_add_func("/parse/unknown", test_unknown);
    g_test_add_func("/parse/results", test_results);
    g_test_add_func("/parse/completion", test_completion);
    g_test_add_func("/hmp/socket", test_socket);
    g_test_add_func("/hmp/fds", test_fds);
    g_test_add_func("/hmp/terminal", test_terminal);
    g_test_add_func("/hmp/hangup", test_hangup);
    return g_test_run();
}
