/* SPDX-License-Identifier: MIT */
/* Sockets by name: see socket.h. */
#include "util/socket.h"

#include <errno.h>
#include <glib.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What is told of an address that a call was made for. */
static char *socket_text(const char *host, const char *port)
{
    return g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static struct addrinfo *socket_lookup(
    const char *host, const char *port, int socktype, bool passive, Error *err)
{
    struct addrinfo hints = { .ai_socktype = socktype, .ai_flags = passive ? AI_PASSIVE : 0 };
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);

    if (rc == 0) return list;
    error_set(err, "address resolution failed for %s:%s: %s", host, port, gai_strerror(rc));
    return NULL;
}

bool socket_resolve(const char *host, const char *port, int socktype, bool passive, void *addr,
    size_t *addr_len, Error *err)
{
    struct addrinfo *list = socket_lookup(host, port, socktype, passive, err);

    if (!list) return false;
    if (list->ai_addrlen > *addr_len) {
        freeaddrinfo(list);
        return error_set(err, "address of %s:%s has a family that does not fit", host, port);
    }
    memcpy(addr, list->ai_addr, list->ai_addrlen);
    *addr_len = list->ai_addrlen;
    freeaddrinfo(list);
    return true;
}

static int socket_make(int family, int type)
{
    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int socket_listen_one(const struct addrinfo *ai)
{
    int fd = socket_make(ai->ai_family, SOCK_STREAM);
    int on = 1;

    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, 1) == 0) return fd;
    on = errno;
    close(fd);
    errno = on;
    return -1;
}

int socket_listen_inet(const char *host, const char *port, Error *err)
{
    struct addrinfo *list = socket_lookup(host, port, SOCK_STREAM, true, err);
    int fd = -1;

    if (!list) return -1;
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) fd = socket_listen_one(ai);
    if (fd < 0) {
        char *text = socket_text(host, port);

        error_errno(err, errno, "Failed to listen on '%s'", text);
        g_free(text);
    }
    freeaddrinfo(list);
    return fd;
}

static bool socket_unix_address(const char *path, struct sockaddr_un *un, Error *err)
{
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(un->sun_path)) {
        return error_set(err, "UNIX socket path '%s' is too long", path);
    }
    strcpy(un->sun_path, path);
    return true;
}

int socket_listen_unix(const char *path, Error *err)
{
    struct sockaddr_un un;
    int fd;

    if (!socket_unix_address(path, &un, err)) return -1;
    if (unlink(path) < 0 && errno != ENOENT) {
        error_errno(err, errno, "Failed to unlink socket %s", path);
        return -1;
    }
    fd = socket_make(AF_UNIX, SOCK_STREAM);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0 && listen(fd, 1) == 0) {
        return fd;
    }
    error_errno(err, errno, "Failed to bind socket to %s", path);
    if (fd >= 0) close(fd);
    return -1;
}

/* Non-blocking connect; -1 with errno. */
static int socket_connect_one(int family, const struct sockaddr *addr, socklen_t len, bool *pending)
{
    int fd = socket_make(family, SOCK_STREAM);
    int code;

    if (fd < 0) return -1;
    *pending = false;
    if (connect(fd, addr, len) == 0) return fd;
    if (errno == EINPROGRESS) {
        *pending = true;
        return fd;
    }
    code = errno;
    close(fd);
    errno = code;
    return -1;
}

int socket_connect_inet_start(const char *host, const char *port, bool *pending, Error *err)
{
    const char *to = *host ? host : "localhost";
    struct addrinfo *list = socket_lookup(to, port, SOCK_STREAM, false, err);
    int fd = -1;

    if (!list) return -1;
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = socket_connect_one(ai->ai_family, ai->ai_addr, ai->ai_addrlen, pending);
    }
    if (fd < 0) {
        char *text = socket_text(host, port);

        error_errno(err, errno, "Failed to connect to '%s'", text);
        g_free(text);
    }
    freeaddrinfo(list);
    return fd;
}

int socket_connect_unix_start(const char *path, bool *pending, Error *err)
{
    struct sockaddr_un un;
    int fd;

    if (!socket_unix_address(path, &un, err)) return -1;
    fd = socket_connect_one(AF_UNIX, (struct sockaddr *)&un, sizeof(un), pending);
    if (fd < 0) error_errno(err, errno, "Failed to connect to '%s'", path);
    return fd;
}

bool socket_connect_result(int fd, const char *to, Error *err)
{
    int code = 0;
    socklen_t len = sizeof(code);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0) code = errno;
    return code == 0 || error_errno(err, code, "Failed to connect to '%s'", to);
}

/* Waits for a pending connect; the descriptor, or -1 and it is closed. */
static int socket_connect_wait(int fd, bool pending, const char *to, Error *err)
{
    struct pollfd pfd = { .fd = fd, .events = POLLOUT };

    if (fd < 0 || !pending) return fd;
    while (poll(&pfd, 1, -1) < 0 && errno == EINTR) continue;
    if (socket_connect_result(fd, to, err)) return fd;
    close(fd);
    return -1;
}

int socket_connect_inet(const char *host, const char *port, Error *err)
{
    const char *to = *host ? host : "localhost";
    struct addrinfo *list = socket_lookup(to, port, SOCK_STREAM, false, err);
    char *text;
    int fd = -1;

    if (!list) return -1;
    text = socket_text(host, port);
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        bool pending = false;

        error_clear(err); /* only the last address's failure counts */
        fd = socket_connect_one(ai->ai_family, ai->ai_addr, ai->ai_addrlen, &pending);
        if (fd < 0) error_errno(err, errno, "Failed to connect to '%s'", text);
        fd = socket_connect_wait(fd, pending, text, err);
    }
    g_free(text);
    freeaddrinfo(list);
    return fd;
}

int socket_connect_unix(const char *path, Error *err)
{
    bool pending = false;
    int fd = socket_connect_unix_start(path, &pending, err);

    return socket_connect_wait(fd, pending, path, err);
}

int socket_accept(int listen_fd)
{
    return accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

bool socket_split(const char *address, char **host, char **port, Error *err)
{
    const char *colon = strrchr(address, ':');

    *host = *port = NULL;
    if (!colon || !colon[1]) return error_set(err, "no port in address '%s'", address);
    if (*address == '[' && colon > address + 1 && colon[-1] == ']') {
        *host = g_strndup(address + 1, (gsize)(colon - address - 2));
    } else {
        *host = g_strndup(address, (gsize)(colon - address));
    }
    *port = g_strdup(colon + 1);
    return true;
}

char *socket_name(int fd, bool far_end)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    char host[NI_MAXHOST], port[NI_MAXSERV];
    int rc = far_end ? getpeername(fd, (struct sockaddr *)&ss, &len)
                     : getsockname(fd, (struct sockaddr *)&ss, &len);

    if (rc < 0 || getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return g_strdup("?");
    }
    return socket_text(host, port);
}
