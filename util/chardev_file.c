/* SPDX-License-Identifier: MIT */
/*
 * Character device "file": output goes to a file (truncated, unless append=on), input comes from
 * another one where input-path= names it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/chardev_fd.h"

typedef struct FileChardev {
    Chardev chr;
    int in_fd, out_fd;
    ChardevFd *src; /* where there is input */
} FileChardev;
#define FILE_CHARDEV(c) ((FileChardev *)(c))

static bool file_open(Chardev *chr, Options *opts, Error *err)
{
    FileChardev *f = FILE_CHARDEV(chr);
    const char *path = options_get(opts, "path");
    const char *input = options_get(opts, "input-path");
    bool append = false;

    f->in_fd = f->out_fd = -1;
    if (!path) return error_set(err, "chardev: file: no filename given");
    if (!options_get_bool(opts, "append", &append, err)) return false;
    f->out_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    if (f->out_fd < 0) return error_errno(err, errno, "Could not open '%s'", path);
    if (input) {
        f->in_fd = open(input, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (f->in_fd < 0) return error_errno(err, errno, "Could not open '%s'", input);
        f->src = chardev_fd_new(chr, f->in_fd, -1, NULL);
    }
    chardev_set_connected(chr, true);
    return true;
}

static size_t file_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(FILE_CHARDEV(chr)->out_fd, buf + done, len - done);

        if (n < 0 && errno != EINTR) break; /* a full disk loses output, not the guest */
        if (n > 0) done += (size_t)n;
    }
    return len;
}

static void file_close(Chardev *chr)
{
    FileChardev *f = FILE_CHARDEV(chr);

    chardev_fd_free(f->src);
    if (f->in_fd >= 0) close(f->in_fd);
    if (f->out_fd >= 0) close(f->out_fd);
}

static const ChardevClass file_class = {
    .name = "file",
    .desc = "output into a file: path=, append=on|off, input-path=",
    .implied_key = "path",
    .size = sizeof(FileChardev),
    .open = file_open,
    .write = file_write,
    .close = file_close,
};
CHARDEV(file_class);
