/* SPDX-License-Identifier: MIT */
/*
 * Fault injection for tests: "fault:kind=eio,at=3:path" fails the third changing request to path.
 *
 * kind: eio, enospc; short (writes half, then fails with EIO); kill (kills the process before the
 * request); tear (writes half, then kills).  times=N faults N requests from there on, 0 all (1).
 * reads=on counts reads too.  Changing requests are writes, punched holes, truncations and flushes.
 */
#include "block/driver.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum { FAULT_EIO, FAULT_ENOSPC, FAULT_SHORT, FAULT_KILL, FAULT_TEAR };

typedef struct Fault {
    BlockFile *below;
    unsigned kind;
    uint64_t at, times, count;
    bool reads;
} Fault;

static bool fault_options(Fault *t, const char *text, Error *err)
{
    static const char *const kinds[] = { "eio", "enospc", "short", "kill", "tear" };
    Options *o = options_parse(text, "kind", err);
    const char *kind;
    bool ok;

    if (!o) return false;
    kind = options_get_or(o, "kind", "eio");
    for (t->kind = 0; t->kind < ARRAY_SIZE(kinds) && strcmp(kinds[t->kind], kind);) t->kind++;
    t->times = 1;
    ok = options_get_u64(o, "at", &t->at, err) && options_get_u64(o, "times", &t->times, err) &&
         options_get_bool(o, "reads", &t->reads, err) && options_check_used(o, "fault", err);
    if (ok && t->kind == ARRAY_SIZE(kinds)) ok = error_set(err, "Unknown fault '%s'", kind);
    options_free(o);
    return ok;
}

static bool fault_open(BlockFile *f, const char *path, bool create, Error *err)
{
    const char *colon = strchr(path, ':');
    Fault *t = g_new0(Fault, 1);
    char *opts = g_strndup(path, colon ? (size_t)(colon - path) : strlen(path));
    bool ok = fault_options(t, opts, err);

    g_free(opts);
    if (ok && !colon) ok = error_set(err, "fault: needs 'fault:options:path'");
    if (ok) {
        t->below = file_open(colon + 1,
            IMAGE_NO_LOCK | (f->writable ? IMAGE_WRITABLE : 0) | (f->unsafe ? IMAGE_UNSAFE : 0),
            create, err);
    }
    if (!t->below) {
        g_free(t);
        return false;
    }
    f->opaque = t;
    return true;
}

static void fault_close(BlockFile *f)
{
    Fault *t = f->opaque;

    file_close(t->below);
    g_free(t);
}

/* Whether the request that comes now is one that fails. */
static bool fault_hits(Fault *t)
{
    t->count++;
    if (!t->at || t->count < t->at || (t->times && t->count >= t->at + t->times)) return false;
    if (t->kind == FAULT_KILL) raise(SIGKILL);
    return true;
}

/* For requests that cannot be done by half. */
static bool fault_fails(Fault *t)
{
    bool hit = fault_hits(t);

    if (hit && t->kind == FAULT_TEAR) raise(SIGKILL);
    return hit;
}

static int fault_result(const Fault *t) { return t->kind == FAULT_ENOSPC ? -ENOSPC : -EIO; }

static int fault_read(BlockFile *f, uint64_t off, void *buf, size_t len)
{
    Fault *t = f->opaque;

    if (t->reads && fault_fails(t)) return -EIO;
    return file_read(t->below, off, buf, len);
}

static int fault_write(BlockFile *f, uint64_t off, const void *buf, size_t len)
{
    Fault *t = f->opaque;

    if (!fault_hits(t)) return file_write(t->below, off, buf, len);
    if (t->kind == FAULT_SHORT || t->kind == FAULT_TEAR) {
        file_write(t->below, off, buf, len / 2 & ~(size_t)511);
    }
    if (t->kind == FAULT_TEAR) raise(SIGKILL);
    return fault_result(t);
}

static int fault_punch(BlockFile *f, uint64_t off, uint64_t len)
{
    Fault *t = f->opaque;

    return fault_fails(t) ? fault_result(t) : t->below->drv->punch(t->below, off, len);
}

static int fault_reserve(BlockFile *f, uint64_t off, uint64_t len)
{
    Fault *t = f->opaque;

    return fault_fails(t) ? fault_result(t) : t->below->drv->reserve(t->below, off, len);
}

static int fault_truncate(BlockFile *f, uint64_t len)
{
    Fault *t = f->opaque;

    return fault_fails(t) ? fault_result(t) : t->below->drv->truncate(t->below, len);
}

static int fault_flush(BlockFile *f)
{
    Fault *t = f->opaque;

    return fault_fails(t) ? fault_result(t) : t->below->drv->flush(t->below);
}

static int64_t fault_length(BlockFile *f)
{
    Fault *t = f->opaque;

    return t->below->drv->length(t->below);
}

static int64_t fault_allocated(BlockFile *f)
{
    Fault *t = f->opaque;

    return t->below->drv->allocated(t->below);
}

static bool fault_has_data(BlockFile *f, uint64_t off, uint64_t *len)
{
    Fault *t = f->opaque;

    return t->below->drv->has_data(t->below, off, len);
}

static bool fault_lock(BlockFile *f, Error *err)
{
    return file_lock(((Fault *)f->opaque)->below, err);
}

static void fault_unlock(BlockFile *f) { file_unlock(((Fault *)f->opaque)->below); }

static const FileDriver fault_driver = {
    .name = "fault",
    .open = fault_open,
    .close = fault_close,
    .read = fault_read,
    .write = fault_write,
    .punch = fault_punch,
    .reserve = fault_reserve,
    .truncate = fault_truncate,
    .flush = fault_flush,
    .length = fault_length,
    .allocated = fault_allocated,
    .has_data = fault_has_data,
    .lock = fault_lock,
    .unlock = fault_unlock,
};
BLOCK_PROTOCOL(fault_driver);
