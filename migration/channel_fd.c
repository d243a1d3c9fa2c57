/* SPDX-License-Identifier: MIT */
/* fd:name (taken in by getfd) and fd:number (inherited); file:path[,offset=N]. */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/channel.h"

static bool channel_fd_open(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    struct stat st;
    uint64_t n;

    if (g_ascii_isdigit(*rest) && parse_u64(rest, &n, NULL) && n <= INT32_MAX)
        ch->fd = (int)n;
    else
        ch->fd = getfd && getfd->take_fd ? getfd->take_fd(getfd, rest) : -1;
    if (ch->fd < 0 || fstat(ch->fd, &st) < 0) {
        ch->fd = -1;
        return error_set(err, "File descriptor named '%s' has not been found", rest);
    }
    ch->socket = S_ISSOCK(st.st_mode);
    g_unix_set_fd_nonblocking(ch->fd, TRUE, NULL);
    return true;
}

static bool channel_file_open(Channel *ch, const char *rest, int flags, Error *err)
{
    Options *o = options_parse(rest, "path", err);
    uint64_t off = 0;
    bool ok = o != NULL;
    const char *path = ok ? options_get_or(o, "path", "") : "";

    ok = ok && options_get_size(o, "offset", &off, err) && options_check_used(o, "file:", err);
    if (ok) {
        ch->fd = open(path, flags | O_CLOEXEC, 0600);
        ok = ch->fd >= 0 || error_errno(err, errno, "cannot open '%s'", path);
    }
    /* Behind an offset lies someone else's data: only what follows it is ours to cut. */
    if (ok && off && lseek(ch->fd, (off_t)off, SEEK_SET) < 0)
        ok = error_errno(err, errno, "cannot seek in '%s'", path);
    if (ok && flags & O_CREAT && ftruncate(ch->fd, (off_t)off) < 0 && errno != EINVAL)
        ok = error_errno(err, errno, "cannot truncate '%s'", path);
    if (!ok) channel_close(ch);
    options_free(o);
    return ok;
}

static bool channel_file_out(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    (void)getfd;
    return channel_file_open(ch, rest, O_WRONLY | O_CREAT, err);
}

static bool channel_file_in(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    (void)getfd;
    return channel_file_open(ch, rest, O_RDONLY, err);
}

static const ChannelClass channel_fd = { "fd", "NAME or NUMBER", channel_fd_open, channel_fd_open };
static const ChannelClass channel_file = { "file", "PATH[,offset=N]", channel_file_out,
    channel_file_in };
CHANNEL(channel_fd);
CHANNEL(channel_file);
