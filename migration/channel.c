/* SPDX-License-Identifier: MIT */
/* What all channels share: see channel.h. */
#include "migration/channel.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "migration/migration.h"

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

static gint channel_by_name(gconstpointer a, gconstpointer b)
{
    const ChannelClass *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

void migration_help_channels(void)
{
    GPtrArray *list = g_ptr_array_new();

    SET_EACH (ChannelClass, c, channels) {
        g_ptr_array_add(list, (gpointer)c);
    }
    g_ptr_array_sort(list, channel_by_name);
    printf("Channels:\n");
    for (guint i = 0; i < list->len; i++) {
        const ChannelClass *c = list->pdata[i];

        printf("  %s:%s\n", c->name, c->form);
    }
    printf("  defer (until the monitor's migrate_incoming)\n");
    g_ptr_array_free(list, TRUE);
}

void channel_close(Channel *ch)
{
    if (ch->fd >= 0) close(ch->fd);
    ch->fd = -1;
}

void channel_set_depth(Channel *ch, int bytes)
{
    int domain = 0, half = bytes / 2; /* the kernel takes it twofold, for what it spends on it */
    socklen_t len = sizeof(domain);

    if (ch->socket && !getsockopt(ch->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
        domain == AF_UNIX)
        setsockopt(ch->fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half));
}

int channel_unsent(const Channel *ch)
{
    int n = 0;

    return ch->socket && ch->fd >= 0 && !ioctl(ch->fd, SIOCOUTQ, &n) ? n : 0;
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
