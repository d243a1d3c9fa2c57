/* SPDX-License-Identifier: MIT */
/* What all channels share: see channel.h. */
#include "migration/channel.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const ChannelClass *channel_find(const char *uri, const char **rest)
{
    SET_EACH (ChannelClass, c, channels) {
        size_t n = strlen(c->name);

        if (strncmp(uri, c->name, n) || uri[n] != ':') continue;
        *rest = uri + n + 1;
        return c;
    }
    return NULL;
}

void channel_close(Channel *ch)
{
    if (ch->fd >= 0) close(ch->fd);
    ch->fd = -1;
}

bool channel_child_gone(Channel *ch, bool *ok)
{
    int status;
    pid_t pid;

    *ok = true;
    if (!ch->child) return true;
    pid = waitpid(ch->child, &status, WNOHANG);
    if (!pid) return false;
    *ok = pid == ch->child && WIFEXITED(status) && !WEXITSTATUS(status);
    g_spawn_close_pid(ch->child);
    ch->child = 0;
    return true;
}
