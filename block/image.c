/* SPDX-License-Identifier: MIT */
/*
 * Images: formats over protocols over a backing chain.
 *
 * A write goes to the top layer alone.  A layer below is opened read-only and shared.  An image
 * that was probed as raw may not be given another format's header by its guest: see
 * image_guest_forges.
 */
#include "block/driver.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PROBE_BYTES = 2048, MAX_DEPTH = 64, ZERO_CHUNK = 1 * MiB };

const ImageFormat *image_format_find(const char *name)
{
    SET_EACH (ImageFormat, fmt, block_formats) {
        if (!strcmp(fmt->name, name)) return fmt;
    }
    return NULL;
}

static const ImageFormat *image_probe(const uint8_t *head, size_t len)
{
    const ImageFormat *best = NULL;
    int best_score = 0;

    SET_EACH (ImageFormat, fmt, block_formats) {
        int score = fmt->probe(head, len);

        if (score > best_score) {
            best = fmt;
            best_score = score;
        }
    }
    return best;
}

static bool image_choose_format(BlockImage *img, const char *format, Error *err)
{
    uint8_t head[PROBE_BYTES];
    int ret;

    if (format) {
        img->fmt = image_format_find(format);
        return img->fmt || error_set(err, "Unknown driver '%s'", format);
    }
    ret = file_read(img->file, 0, head, sizeof(head));
    if (ret) return error_errno(err, -ret, "Could not read the image to find its format");
    img->fmt = image_probe(head, sizeof(head));
    img->guessed_raw = !strcmp(img->fmt->name, "raw");
    return true;
}

char *image_backing_path(const BlockImage *img)
{
    char *dir, *path;

    if (!img->backing_name) return NULL;
    if (img->backing_name[0] == '/' || file_has_protocol(img->backing_name)) {
        return g_strdup(img->backing_name);
    }
    dir = g_path_get_dirname(img->filename);
    path = !strcmp(dir, ".") ? g_strdup(img->backing_name)
                             : g_build_filename(dir, img->backing_name, NULL);
    g_free(dir);
    return path;
}

static BlockImage *image_open_at(
    const char *filename, const char *format, int flags, unsigned depth, Error *err);

static bool image_open_backing(BlockImage *img, unsigned depth, Error *err)
{
    int flags = img->flags & (IMAGE_NO_LOCK | IMAGE_CHECK);
    char *path;

    if (!img->backing_name || img->flags & IMAGE_NO_BACKING) return true;
    path = image_backing_path(img);
    img->backing = image_open_at(path, img->backing_format, flags, depth + 1, err);
    g_free(path);
    if (!img->backing && !depth) error_prefix(err, "Could not open backing file: ");
    return img->backing != NULL;
}

static BlockImage *image_open_at(
    const char *filename, const char *format, int flags, unsigned depth, Error *err)
{
    BlockImage *img;

    if (depth > MAX_DEPTH) {
        error_set(err, "The chain of backing files is too long or runs in a circle");
        return NULL;
    }
    img = g_new0(BlockImage, 1);
    img->flags = flags;
    img->writable = flags & IMAGE_WRITABLE;
    img->inactive = flags & IMAGE_NO_LOCK;
    img->filename = g_strdup(filename);
    img->file = file_open(filename, flags, false, err);
    if (!img->file) {
        image_close(img);
        return NULL;
    }
    if (!image_choose_format(img, format, err) || !img->fmt->open(img, err)) {
        error_prefix(err, "Could not open '%s': ", filename);
        img->fmt = NULL;
        image_close(img);
        return NULL;
    }
    if (!image_open_backing(img, depth, err)) {
        image_close(img);
        return NULL;
    }
    return img;
}

/* Puts a temporary qcow2 image over base, whose file is unlinked while it is open. */
static BlockImage *image_open_overlay(BlockImage *base, int flags, Error *err)
{
    char *name = g_build_filename(g_get_tmp_dir(), "stasis-XXXXXX", NULL);
    Options *opts = options_new();
    BlockImage *top = NULL;
    int fd = g_mkstemp(name);

    if (fd < 0) {
        error_errno(err, errno, "Could not create a temporary overlay '%s'", name);
    } else {
        close(fd);
        if (image_create(name, "qcow2", base->size, opts, err)) {
            top = image_open_at(name, "qcow2", IMAGE_WRITABLE | IMAGE_UNSAFE, 0, err);
        }
        unlink(name);
    }
    if (top) {
        top->backing = base;
        top->backing_name = g_strdup(base->filename);
        top->backing_format = g_strdup(base->fmt->name);
        top->flags = flags;
    } else {
        image_close(base);
    }
    options_free(opts);
    g_free(name);
    return top;
}

BlockImage *image_open(const char *filename, const char *format, int flags, Error *err)
{
    BlockImage *img;

    if (!(flags & IMAGE_SNAPSHOT)) return image_open_at(filename, format, flags, 0, err);
    img = image_open_at(filename, format, flags & ~(IMAGE_WRITABLE | IMAGE_SNAPSHOT), 0, err);
    return img ? image_open_overlay(img, flags, err) : NULL;
}

void image_close(BlockImage *img)
{
    if (!img) return;
    if (img->fmt) img->fmt->close(img);
    image_close(img->backing);
    file_close(img->file);
    g_free(img->filename);
    g_free(img->backing_name);
    g_free(img->backing_format);
    g_free(img);
}

uint64_t image_size(const BlockImage *img) { return img->size; }
const char *image_format(const BlockImage *img) { return img->fmt->name; }
const char *image_filename(const BlockImage *img)
{
    return img->flags & IMAGE_SNAPSHOT ? img->backing->filename : img->filename;
}
const char *image_backing_filename(const BlockImage *img) { return img->backing_name; }
const char *image_backing_format(const BlockImage *img) { return img->backing_format; }
BlockImage *image_backing(const BlockImage *img) { return img->backing; }
bool image_writable(const BlockImage *img) { return img->writable; }
uint64_t image_cluster_size(const BlockImage *img) { return img->cluster_size; }

uint64_t image_allocated_bytes(BlockImage *img)
{
    int64_t n = img->file->drv->allocated(img->file);

    return n < 0 ? 0 : (uint64_t)n;
}

int image_read_below(BlockImage *img, uint64_t off, void *buf, size_t len)
{
    BlockImage *below = img->backing;
    size_t n = 0;
    int ret;

    if (below && off < below->size) {
        n = MIN_OF(len, below->size - off);
        ret = below->fmt->read(below, off, buf, n);
        if (ret) return ret;
    }
    memset((uint8_t *)buf + n, 0, len - n);
    return 0;
}

int image_read(BlockImage *img, uint64_t off, void *buf, size_t len)
{
    assert(off <= img->size && len <= img->size - off);
    return len ? img->fmt->read(img, off, buf, len) : 0;
}

/* A guest that writes a header of another format into an image that is raw only by a guess could
 * make the next start open any host file as a backing file. */
static bool image_guest_forges(BlockImage *img, uint64_t off, const void *buf, size_t len)
{
    uint8_t head[PROBE_BYTES];

    if (!img->guessed_raw || off >= sizeof(head)) return false;
    if (img->fmt->read(img, 0, head, MIN_OF(img->size, sizeof(head)))) return true;
    if (img->size < sizeof(head)) memset(head + img->size, 0, sizeof(head) - img->size);
    memcpy(head + off, buf, MIN_OF(len, sizeof(head) - off));
    return image_probe(head, sizeof(head)) != img->fmt;
}

int image_write(BlockImage *img, uint64_t off, const void *buf, size_t len)
{
    assert(off <= img->size && len <= img->size - off);
    if (!img->writable || img->inactive) return -EROFS;
    if (!len) return 0;
    if (image_guest_forges(img, off, buf, len)) return -EPERM;
    return img->fmt->write(img, off, buf, len);
}

int image_write_zeroes(BlockImage *img, uint64_t off, uint64_t len)
{
    assert(off <= img->size && len <= img->size - off);
    if (!img->writable || img->inactive) return -EROFS;
    return len ? img->fmt->zero(img, off, len) : 0;
}

int image_flush(BlockImage *img)
{
    return img->writable && !img->inactive ? img->fmt->flush(img) : 0;
}

int image_write_compressed(BlockImage *img, uint64_t off, const void *buf, size_t len)
{
    assert(off <= img->size && len <= img->size - off);
    if (!img->fmt->write_compressed) return -ENOTSUP;
    if (!img->writable || img->inactive) return -EROFS;
    return img->fmt->write_compressed(img, off, buf, len);
}

int image_extent(BlockImage *img, uint64_t off, uint64_t len, ImageExtent *ext)
{
    unsigned depth = 0;
    int ret;

    assert(off < img->size && len);
    len = MIN_OF(len, img->size - off);
    for (;;) {
        *ext = (ImageExtent){ .filename = img->filename, .depth = depth };
        ret = img->fmt->extent(img, off, len, ext);
        if (ret) return ret;
        if (ext->present || !img->backing) break;
        len = ext->len;
        img = img->backing;
        if (off >= img->size) {
            *ext = (ImageExtent){ .len = len, .zero = true, .depth = depth };
            return 0;
        }
        depth++;
        len = MIN_OF(len, img->size - off);
    }
    return 0;
}

bool image_activate(BlockImage *img, Error *err)
{
    if (!file_lock(img->file, err)) return false;
    if (img->backing && !image_activate(img->backing, err)) return false;
    if (!img->inactive) return true;
    img->inactive = false;
    if (!img->fmt->reload || img->fmt->reload(img, err)) return true;
    img->inactive = true;
    file_unlock(img->file);
    return error_prefix(err, "Could not read '%s' again: ", img->filename);
}

bool image_inactivate(BlockImage *img, Error *err)
{
    int ret = image_flush(img);

    if (ret) return error_errno(err, -ret, "Could not flush '%s'", img->filename);
    img->inactive = true;
    for (; img; img = img->backing) file_unlock(img->file);
    return true;
}

bool image_locked_elsewhere(BlockImage *img)
{
    Error err = ERROR_INIT;

    if (!img->inactive || !img->writable) return false;
    if (!file_lock(img->file, &err)) return true;
    file_unlock(img->file);
    return false;
}

/* -- snapshots: the format's business, here only the checks that are common -- */

bool image_can_snapshot(const BlockImage *img) { return img->fmt->snapshots && img->writable; }

unsigned image_snapshot_count(const BlockImage *img)
{
    return img->fmt->snapshots ? img->fmt->snapshots->count(img) : 0;
}

const SnapshotInfo *image_snapshot(const BlockImage *img, unsigned n)
{
    assert(n < image_snapshot_count(img));
    return img->fmt->snapshots->get(img, n);
}

static bool snapshot_is_newer(const SnapshotInfo *a, const SnapshotInfo *b)
{
    if (a->date_s != b->date_s) return a->date_s > b->date_s;
    return a->date_ns >= b->date_ns;
}

int image_snapshot_find(const BlockImage *img, const char *id_or_name)
{
    unsigned n = image_snapshot_count(img);
    int found = -1;

    for (unsigned i = 0; i < n; i++) {
        const SnapshotInfo *s = image_snapshot(img, i);

        if (strcmp(s->name, id_or_name)) continue;
        if (found < 0 || snapshot_is_newer(s, image_snapshot(img, (unsigned)found))) found = (int)i;
    }
    for (unsigned i = 0; i < n && found < 0; i++) {
        if (!strcmp(image_snapshot(img, i)->id, id_or_name)) found = (int)i;
    }
    return found;
}

static bool image_snapshots_writable(BlockImage *img, Error *err)
{
    if (!img->fmt->snapshots) {
        return error_set(err, "The format '%s' has no internal snapshots", img->fmt->name);
    }
    if (!img->writable || img->inactive) return error_set(err, "The image is read-only");
    return true;
}

bool image_snapshot_create(BlockImage *img, SnapshotInfo *info, Error *err)
{
    return image_snapshots_writable(img, err) && img->fmt->snapshots->create(img, info, err);
}

bool image_snapshot_goto(BlockImage *img, unsigned n, Error *err)
{
    return image_snapshots_writable(img, err) && img->fmt->snapshots->go(img, n, SNAPSHOT_GO, err);
}

bool image_snapshot_switch(BlockImage *img, unsigned n, Error *err)
{
    return image_snapshots_writable(img, err) &&
           img->fmt->snapshots->go(img, n, SNAPSHOT_GO_REVOCABLY, err);
}

void image_snapshot_switch_keep(BlockImage *img) { img->fmt->snapshots->keep(img); }

bool image_snapshot_switch_back(BlockImage *img, Error *err)
{
    return img->fmt->snapshots->back(img, err);
}

bool image_snapshot_check(BlockImage *img, unsigned n, Error *err)
{
    return image_snapshots_writable(img, err) &&
           img->fmt->snapshots->go(img, n, SNAPSHOT_CHECK, err);
}

bool image_snapshot_delete(BlockImage *img, unsigned n, Error *err)
{
    return image_snapshots_writable(img, err) && img->fmt->snapshots->del(img, n, err);
}

bool image_snapshot_is_active(BlockImage *img, unsigned n, bool *same, Error *err)
{
    return img->fmt->snapshots->is_active(img, n, same, err);
}

int image_vmstate_write(BlockImage *img, uint64_t off, const void *buf, size_t len)
{
    if (!img->fmt->snapshots) return -ENOTSUP;
    if (!img->writable || img->inactive) return -EROFS;
    return len ? img->fmt->snapshots->vmstate_write(img, off, buf, len) : 0;
}

int image_vmstate_read(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len)
{
    if (!img->fmt->snapshots) return -ENOTSUP;
    return len ? img->fmt->snapshots->vmstate_read(img, n, off, buf, len) : 0;
}

int image_snapshot_read(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len)
{
    assert(off <= image_snapshot(img, n)->disk_size);
    assert(len <= image_snapshot(img, n)->disk_size - off);
    return len ? img->fmt->snapshots->read(img, n, off, buf, len) : 0;
}

bool image_vmstate_discard(BlockImage *img, Error *err)
{
    return image_snapshots_writable(img, err) && img->fmt->snapshots->vmstate_discard(img, err);
}
