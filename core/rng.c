/* SPDX-License-Identifier: MIT */
/* See rng.h. */
#include "core/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void rng_source_free(void *obj)
{
    RngSource *r = obj;

    if (r->fd >= 0) close(r->fd);
    g_free(r);
}

static bool rng_open(RngSource *r, Options *opts, Error *err)
{
    const char *file = options_get_or(opts, "filename", "/dev/urandom");

    if (!strcmp(options_get_or(opts, "qom-type", ""), "rng-builtin")) return true;
    r->fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return r->fd >= 0 || error_set(err, "Could not open '%s': %s", file, strerror(errno));
}

bool rng_source_create(Machine *m, Options *opts, Error *err)
{
    const char *id = options_get(opts, "id");
    RngSource *r;

    if (!id) return error_set(err, "Parameter 'id' is missing");
    r = g_new0(RngSource, 1);
    r->fd = -1;
    if (rng_open(r, opts, err) && options_check_used(opts, "object", err) &&
        machine_object_add(m, "rng", id, r, rng_source_free, err))
        return true;
    rng_source_free(r);
    return false;
}
