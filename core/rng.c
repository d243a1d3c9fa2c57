/* SPDX-License-Identifier: MIT */
/* See rng.h. */
#include "core/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/user_object.h"

struct RngSource {
    int fd; /* of the file that is read; -1: the host's own generator */
};

static void rng_source_free(void *obj)
{
    RngSource *r = obj;

    if (r->fd >= 0) close(r->fd);
    g_free(r);
}

static bool rng_add(Machine *m, Options *opts, int fd, Error *err)
{
    const char *id = options_get(opts, "id");
    RngSource *r = g_new(RngSource, 1);

    r->fd = fd;
    if (!id)
        error_set(err, "Parameter 'id' is missing");
    else if (options_check_used(opts, "object", err) &&
             machine_object_add(m, "rng", id, r, rng_source_free, err))
        return true;
    rng_source_free(r);
    return false;
}

static bool rng_random_create(Machine *m, Options *opts, Error *err)
{
    const char *file = options_get_or(opts, "filename", "/dev/urandom");
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) return error_set(err, "Could not open '%s': %s", file, strerror(errno));
    return rng_add(m, opts, fd, err);
}

static bool rng_builtin_create(Machine *m, Options *opts, Error *err)
{
    return rng_add(m, opts, -1, err);
}

USER_OBJECT(rng_random, .name = "rng-random", .early = true, .create = rng_random_create,
    .help = "  id=<str>\n  filename=<str> - what is read [/dev/urandom]");
USER_OBJECT(rng_builtin, .name = "rng-builtin", .early = true, .create = rng_builtin_create,
    .help = "  id=<str>");

RngSource *rng_source_find(Machine *m, const char *id) { return machine_object(m, "rng", id); }

size_t rng_source_read(const RngSource *r, uint8_t *buf, size_t len)
{
    ssize_t n = r && r->fd >= 0 ? read(r->fd, buf, len) : getrandom(buf, len, 0);

    return n > 0 ? (size_t)n : 0;
}
