/* SPDX-License-Identifier: MIT */
/*
 * Character device "stdio": the terminal (or the pipes) that the program was started from.
 *
 * A terminal is put into raw mode, and gets its own mode back at the end and whenever the program
 * is stopped by Ctrl-Z.  With signal=off Ctrl-C, Ctrl-Z and Ctrl-\ are bytes like any other.
 */
#include <errno.h>
#include <glib-unix.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/chardev_fd.h"

enum { STDIO_DRAIN_MS = 1000 };

typedef struct StdioChardev {
    Chardev chr;
    int in_fd, out_fd;
    int signal_fd; /* SIGTSTP and SIGCONT, where stdin is a terminal */
    GSource *signals;
    sigset_t old_mask;
    bool signal; /* keys make signals */
    bool raw;    /* the terminal's mode is ours; saved has its own */
    struct termios saved;
    ChardevFd *src;
} StdioChardev;
#define STDIO_CHARDEV(c) ((StdioChardev *)(c))

static void stdio_set_raw(StdioChardev *s, bool raw)
{
    struct termios tio;

    if (!s->chr.is_terminal) return;
    if (!raw) {
        if (s->raw) tcsetattr(s->in_fd, TCSANOW, &s->saved);
        s->raw = false;
        return;
    }
    if (!s->raw && tcgetattr(s->in_fd, &s->saved) < 0) return;
    tio = s->saved;
    tio.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    tio.c_oflag |= OPOST;
    tio.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!s->signal) tio.c_lflag &= ~(tcflag_t)ISIG;
    tio.c_cflag = (tio.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    tio.c_cc[VMIN] = 1;
    tio.c_cc[VTIME] = 0;
    if (tcsetattr(s->in_fd, TCSANOW, &tio) == 0) s->raw = true;
}

/* Ctrl-Z: give the terminal back, stop for real; once continued, take it again. */
static gboolean stdio_signalled(gint fd, GIOCondition cond, gpointer opaque)
{
    StdioChardev *s = opaque;
    struct signalfd_siginfo info;

    (void)cond;
    while (read(fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTSTP) {
            stdio_set_raw(s, false);
            kill(getpid(), SIGSTOP);
        }
        stdio_set_raw(s, true);
    }
    return G_SOURCE_CONTINUE;
}

static void stdio_watch_signals(StdioChardev *s)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGCONT);
    pthread_sigmask(SIG_BLOCK, &set, &s->old_mask);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0) return;
    s->signals = g_unix_fd_source_new(s->signal_fd, G_IO_IN);
    g_source_set_callback(s->signals, G_SOURCE_FUNC(stdio_signalled), s, NULL);
    g_source_attach(s->signals, s->chr.ctx);
}

static bool stdio_open(Chardev *chr, Options *opts, Error *err)
{
    StdioChardev *s = STDIO_CHARDEV(chr);

    s->signal = true;
    s->in_fd = s->out_fd = s->signal_fd = -1;
    if (!options_get_bool(opts, "signal", &s->signal, err)) return false;
    s->in_fd = chardev_fd_private(STDIN_FILENO, O_RDONLY);
    if (s->in_fd < 0) return error_errno(err, errno, "chardev: stdio: no standard input");
    s->out_fd = chardev_fd_private(STDOUT_FILENO, O_WRONLY);
    if (s->out_fd < 0) return error_errno(err, errno, "chardev: stdio: no standard output");
    chr->is_terminal = isatty(s->in_fd) && isatty(s->out_fd);
    if (chr->is_terminal) {
        stdio_watch_signals(s);
        stdio_set_raw(s, true);
    }
    s->src = chardev_fd_new(chr, s->in_fd, s->out_fd, NULL);
    chardev_set_connected(chr, true);
    return true;
}

static size_t stdio_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return chardev_fd_write(STDIO_CHARDEV(chr)->src, buf, len);
}

static void stdio_close(Chardev *chr)
{
    StdioChardev *s = STDIO_CHARDEV(chr);

    if (s->src) chardev_fd_drain(s->src, STDIO_DRAIN_MS);
    chardev_fd_free(s->src);
    stdio_set_raw(s, false);
    if (s->signals) {
        g_source_destroy(s->signals);
        g_source_unref(s->signals);
        close(s->signal_fd);
    }
    if (chr->is_terminal) pthread_sigmask(SIG_SETMASK, &s->old_mask, NULL);
    if (s->in_fd >= 0) close(s->in_fd);
    if (s->out_fd >= 0) close(s->out_fd);
}

static const ChardevClass stdio_class = {
    .name = "stdio",
    .desc = "the terminal, or standard input and output: signal=on|off",
    .size = sizeof(StdioChardev),
    .open = stdio_open,
    .write = stdio_write,
    .close = stdio_close,
};
CHARDEV(stdio_class);
