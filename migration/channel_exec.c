/* SPDX-License-Identifier: MIT */
/* exec:command: a shell command's standard input, or output. */
#include <fcntl.h>
#include <glib-unix.h>

#include "migration/channel.h"

static bool channel_exec_open(Channel *ch, const char *command, bool in, Error *err)
{
    char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)command, NULL };
    GError *gerr = NULL;
    bool ok;

    ok = g_spawn_async_with_pipes(NULL, argv, NULL,
        G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CLOEXEC_PIPES | (in ? G_SPAWN_CHILD_INHERITS_STDIN : 0),
        NULL, NULL, &ch->child, in ? NULL : &ch->fd, in ? &ch->fd : NULL, NULL, &gerr);
    if (!ok) {
        error_set(err, "cannot run '%s': %s", command, gerr->message);
        g_error_free(gerr);
        return false;
    }
    g_unix_set_fd_nonblocking(ch->fd, TRUE, NULL);
    return true;
}

static bool channel_exec_out(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    (void)getfd;
    return channel_exec_open(ch, rest, false, err);
}

static bool channel_exec_in(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    (void)getfd;
    return channel_exec_open(ch, rest, true, err);
}

static const ChannelClass channel_exec = { "exec", "COMMAND", channel_exec_out, channel_exec_in };
CHANNEL(channel_exec);
