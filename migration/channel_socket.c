/* SPDX-License-Identifier: MIT */
/* tcp:host:port and unix:path. */
#include "migration/channel.h"
#include "util/socket.h"

static bool channel_socket_done(Channel *ch, bool listening)
{
    ch->socket = true;
    ch->listening = listening;
    return ch->fd >= 0;
}

static bool channel_tcp_open(Channel *ch, const char *rest, bool in, Error *err)
{
    char *host, *port;

    if (!socket_split(rest, &host, &port, err)) return false;
    ch->fd = in ? socket_listen_inet(host, port, err)
                : socket_connect_inet_start(host, port, &ch->pending, err);
    g_free(host);
    g_free(port);
    return channel_socket_done(ch, in);
}

static bool channel_tcp_out(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    (void)getfd;
    return channel_tcp_open(ch, rest, false, err);
}

static bool channel_tcp_in(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    (void)getfd;
    return channel_tcp_open(ch, rest, true, err);
}

static bool channel_unix_out(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    (void)getfd;
    ch->fd = socket_connect_unix_start(rest, &ch->pending, err);
    return channel_socket_done(ch, false);
}

static bool channel_unix_in(Channel *ch, const char *rest, Sink *getfd, Error *err)
{
    (void)getfd;
    ch->fd = socket_listen_unix(rest, err);
    return channel_socket_done(ch, true);
}

static const ChannelClass channel_tcp = { "tcp", "HOST:PORT", channel_tcp_out, channel_tcp_in };
static const ChannelClass channel_unix = { "unix", "PATH", channel_unix_out, channel_unix_in };
CHANNEL(channel_tcp);
CHANNEL(channel_unix);
