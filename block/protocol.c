/* SPDX-License-Identifier: MIT */
/* Protocols: finds the driver of a file name and adds what all drivers share. */
#include "block/driver.h"

#include <errno.h>
#include <string.h>

bool file_has_protocol(const char *name)
{
    size_t n = strcspn(name, ":/");

    return n > 0 && name[n] == ':';
}

static const FileDriver *protocol_find(const char *name, const char **path)
{
    size_t n = file_has_protocol(name) ? strcspn(name, ":") : 0;
    const char *word = n ? name : "file";

    *path = n ? name + n + 1 : name;
    SET_EACH (FileDriver, drv, block_protocols) {
        if (strlen(drv->name) == (n ? n : 4) && !strncmp(drv->name, word, n ? n : 4)) return drv;
    }
    return NULL;
}

BlockFile *file_open(const char *name, int flags, bool create, Error *err)
{
    const char *path;
    const FileDriver *drv = protocol_find(name, &path);
    BlockFile *f;

    if (!drv) {
        error_set(err, "Unknown protocol '%.*s'", (int)strcspn(name, ":"), name);
        return NULL;
    }
    f = g_new0(BlockFile, 1);
    f->drv = drv;
    f->path = g_strdup(path);
    f->writable = flags & IMAGE_WRITABLE;
    f->unsafe = flags & IMAGE_UNSAFE;
    f->fd = -1;
    if (!drv->open(f, path, create, err)) {
        g_free(f->path);
        g_free(f);
        return NULL;
    }
    if (!(flags & IMAGE_NO_LOCK) && !file_lock(f, err)) {
        file_close(f);
        return NULL;
    }
    return f;
}

void file_close(BlockFile *f)
{
    if (!f) return;
    f->drv->close(f);
    g_free(f->path);
    g_free(f);
}

int file_write_zeroes(BlockFile *f, uint64_t off, uint64_t len)
{
    enum { CHUNK = 256 * KiB };
    uint8_t *zero;
    int ret = f->drv->punch(f, off, len);

    if (ret != -ENOTSUP) return ret;
    zero = g_malloc0(MIN_OF(len, (uint64_t)CHUNK));
    for (ret = 0; len && !ret;) {
        size_t n = MIN_OF(len, (uint64_t)CHUNK);

        ret = file_write(f, off, zero, n);
        off += n;
        len -= n;
    }
    g_free(zero);
    return ret;
}

int file_flush(BlockFile *f) { return f->unsafe || !f->writable ? 0 : f->drv->flush(f); }

int file_reserve(BlockFile *f, uint64_t off, uint64_t len) { return f->drv->reserve(f, off, len); }

bool file_lock(BlockFile *f, Error *err)
{
    if (!f->locked && !f->drv->lock(f, err)) return false;
    f->locked = true;
    return true;
}

void file_unlock(BlockFile *f)
{
    if (f->locked) f->drv->unlock(f);
    f->locked = false;
}
