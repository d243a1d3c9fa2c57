/* SPDX-License-Identifier: MIT */
/*
 * Stream and datagram sockets by name: what character devices, networks and migration channels
 * share.  Every descriptor is close-on-exec and non-blocking.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

struct sockaddr;

/* Listens on host:port (host "": every address; port may be a service or "0") or a Unix path, which
 * is unlinked first.  -1 on failure. */
int socket_listen_inet(const char *host, const char *port, Error *err);
int socket_listen_unix(const char *path, Error *err);

/* Starts to connect.  *pending: the caller waits for the descriptor to become writable and then
 * calls socket_connect_result.  -1 on failure. */
int socket_connect_inet_start(const char *host, const char *port, bool *pending, Error *err);
int socket_connect_unix_start(const char *path, bool *pending, Error *err);
/* How a pending connect ended; `to` is the address as the error names it. */
bool socket_connect_result(int fd, const char *to, Error *err);

/* Connects and waits until it has worked or failed. */
int socket_connect_inet(const char *host, const char *port, Error *err);
int socket_connect_unix(const char *path, Error *err);

/* The next connection of a listening socket, or -1 (errno tells; EAGAIN: none). */
int socket_accept(int listen_fd);

/* Splits "host:port", "[v6]:port" or ":port"; g_free both.  False on other texts. */
bool socket_split(const char *address, char **host, char **port, Error *err);

/* "127.0.0.1:4444" or "[::1]:4444" of the local (or the far) end; g_free it. */
char *socket_name(int fd, bool far_end);

/* The first address of host:port in *addr; datagram sockets of net/. */
bool socket_resolve(const char *host, const char *port, int socktype, bool passive, void *addr,
    size_t *addr_len, Error *err);
