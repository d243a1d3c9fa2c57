/* SPDX-License-Identifier: MIT */
/* Creating, checking, resizing and describing images: what tools and listings ask for. */
#include "block/driver.h"
#include "util/size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

BlockFile *image_create_file(const char *filename, Error *err)
{
    BlockFile *f = file_open(filename, IMAGE_WRITABLE, true, err);
    int ret;

    if (!f) return NULL;
    ret = f->drv->truncate(f, 0);
    if (ret) {
        error_errno(err, -ret, "Could not empty '%s'", filename);
        file_close(f);
        return NULL;
    }
    return f;
}

/* The size of a backing file as seen from the directory of filename. */
static bool image_backing_size(const char *filename, Options *opts, uint64_t *size, Error *err)
{
    const char *name = options_get(opts, "backing_file");
    const char *format = options_get(opts, "backing_fmt");
    BlockImage probe = { .filename = (char *)filename, .backing_name = (char *)name };
    BlockImage *base;
    char *path;

    if (!name) return error_set(err, "Image creation needs a size parameter");
    path = image_backing_path(&probe);
    base = image_open(path, format, IMAGE_NO_LOCK, err);
    g_free(path);
    if (!base) return false;
    *size = base->size;
    if (!format) options_set(opts, "backing_fmt", base->fmt->name);
    image_close(base);
    return true;
}

bool image_create(
    const char *filename, const char *format, uint64_t size, Options *opts, Error *err)
{
    const ImageFormat *fmt = image_format_find(format);

    if (!fmt) return error_set(err, "Unknown file format '%s'", format);
    if (!fmt->create) return error_set(err, "Format driver '%s' does not support creation", format);
    if (size == UINT64_MAX && !image_backing_size(filename, opts, &size, err)) return false;
    return fmt->create(filename, size, opts, err);
}

const ImageOption *image_create_options(const char *format)
{
    const ImageFormat *fmt = image_format_find(format);

    return fmt && fmt->create ? fmt->create_options : NULL;
}

bool image_resize(BlockImage *img, uint64_t size, Error *err)
{
    if (!img->writable || img->inactive) return error_set(err, "The image is read-only");
    if (!img->fmt->resize) {
        return error_set(err, "Image format driver does not support resize");
    }
    return img->fmt->resize(img, size, err);
}

bool image_can_check(const BlockImage *img) { return img->fmt->check != NULL; }

bool image_check(BlockImage *img, ImageCheck *check, Error *err)
{
    if (!img->fmt->check) return error_set(err, "This image format does not support checks");
    return img->fmt->check(img, check, err);
}

bool image_make_empty(BlockImage *img, Error *err)
{
    if (!img->writable || img->inactive) return error_set(err, "The image is read-only");
    if (!img->fmt->make_empty) {
        return error_set(err, "The format '%s' cannot be emptied", img->fmt->name);
    }
    return img->fmt->make_empty(img, err);
}

void image_properties(const BlockImage *img, ImageProperty *fn, void *opaque)
{
    if (img->fmt->properties) img->fmt->properties(img, fn, opaque);
}

bool image_is_dirty(const BlockImage *img) { return img->fmt->is_dirty && img->fmt->is_dirty(img); }

void image_snapshot_line(const BlockImage *img, int n, GString *out)
{
    const SnapshotInfo *s;
    char date[32], clock[32], icount[32] = "", size[32];
    time_t t;
    struct tm tm;

    if (n < 0) {
        g_string_append_printf(out, "%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE",
            "VM CLOCK", "ICOUNT");
        return;
    }
    s = image_snapshot(img, (unsigned)n);
    t = s->date_s;
    localtime_r(&t, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
    t = (time_t)(s->vm_clock_ns / NS_PER_S);
    snprintf(clock, sizeof(clock), "%02d:%02d:%02d.%03d", (int)(t / 3600), (int)(t / 60 % 60),
        (int)(t % 60), (int)(s->vm_clock_ns / NS_PER_MS % 1000));
    if (s->icount != UINT64_MAX) snprintf(icount, sizeof(icount), "%" G_GUINT64_FORMAT, s->icount);
    size_format(s->vm_state_size, size, sizeof(size));
    g_string_append_printf(
        out, "%-9s %-16s %8s%20s%13s%11s\n", s->id, s->name, size, date, clock, icount);
}

static void image_describe_property(void *opaque, const char *name, const char *value, bool is_text)
{
    (void)is_text;
    g_string_append_printf(opaque, "    %s: %s\n", name, value);
}

void image_describe(BlockImage *img, GString *out)
{
    char size[32], disk[32], *path = image_backing_path(img);

    size_format(img->size, size, sizeof(size));
    size_format(image_allocated_bytes(img), disk, sizeof(disk));
    g_string_append_printf(out, "image: %s\nfile format: %s\n", img->filename, img->fmt->name);
    g_string_append_printf(
        out, "virtual size: %s (%" G_GUINT64_FORMAT " bytes)\n", size, img->size);
    g_string_append_printf(out, "disk size: %s\n", disk);
    if (image_is_dirty(img)) g_string_append(out, "cleanly shut down: no\n");
    if (img->cluster_size) {
        g_string_append_printf(out, "cluster_size: %" G_GUINT64_FORMAT "\n", img->cluster_size);
    }
    if (path) {
        g_string_append_printf(out, "backing file: %s", img->backing_name);
        if (strcmp(path, img->backing_name))
            g_string_append_printf(out, " (actual path: %s)", path);
        g_string_append_c(out, '\n');
        if (img->backing_format) {
            g_string_append_printf(out, "backing file format: %s\n", img->backing_format);
        }
    }
    if (image_snapshot_count(img)) {
        g_string_append(out, "Snapshot list:\n");
        image_snapshot_line(img, -1, out);
        for (unsigned i = 0; i < image_snapshot_count(img); i++) {
            image_snapshot_line(img, (int)i, out);
        }
    }
    if (img->fmt->properties) {
        g_string_append(out, "Format specific information:\n");
        image_properties(img, image_describe_property, out);
    }
    g_free(path);
}

static bool digest_is_zero(const uint8_t *p, size_t n)
{
    return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

bool image_digest(BlockImage *img, GChecksum *sum, Error *err)
{
    enum { CHUNK = 64 * KiB };
    uint8_t *buf = g_malloc(CHUNK), head[8];
    int ret = 0;

    store_be64(head, img->size);
    g_checksum_update(sum, head, sizeof(head));
    for (uint64_t off = 0; off < img->size && !ret;) {
        uint64_t n = MIN_OF((uint64_t)CHUNK, img->size - off);
        ImageExtent ext;

        ret = image_extent(img, off, img->size - off, &ext);
        if (!ret && ext.zero && ext.len >= n) {
            off += ext.len == img->size - off ? ext.len : align_down(ext.len, CHUNK);
            continue;
        }
        if (!ret) ret = image_read(img, off, buf, n);
        if (!ret && !digest_is_zero(buf, n)) {
            store_be64(head, off);
            g_checksum_update(sum, head, sizeof(head));
            g_checksum_update(sum, buf, (gssize)n);
        }
        off += n;
    }
    g_free(buf);
    return !ret || error_errno(err, -ret, "Could not read '%s'", image_filename(img));
}

static gint image_formats_order(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const ImageFormat *const *)a)->name, (*(const ImageFormat *const *)b)->name);
}

void block_formats_help(void)
{
    GPtrArray *all = g_ptr_array_new();

    SET_EACH (ImageFormat, fmt, block_formats) g_ptr_array_add(all, (gpointer)fmt);
    g_ptr_array_sort(all, image_formats_order);
    printf("Supported formats:");
    for (guint i = 0; i < all->len; i++) {
        printf(" %s", ((const ImageFormat *)g_ptr_array_index(all, i))->name);
    }
    printf("\n");
    g_ptr_array_free(all, TRUE);
}
