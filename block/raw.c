/* SPDX-License-Identifier: MIT */
/*
 * Raw images: the file is the disk.  A length that is no multiple of a sector is rounded up; the
 * part behind the end reads as zeroes and makes the file longer where it is written.
 */
#include "block/driver.h"

#include <errno.h>

static int raw_probe(const uint8_t *head, size_t len)
{
    (void)head;
    (void)len;
    return 1;
}

static bool raw_open(BlockImage *img, Error *err)
{
    int64_t n = img->file->drv->length(img->file);

    if (n < 0) return error_errno(err, (int)-n, "Could not find out the length");
    img->size = align_up((uint64_t)n, 512);
    return true;
}

static void raw_close(BlockImage *img) { file_flush(img->file); }

static int raw_read(BlockImage *img, uint64_t off, void *buf, size_t len)
{
    return file_read(img->file, off, buf, len);
}

static int raw_write(BlockImage *img, uint64_t off, const void *buf, size_t len)
{
    return file_write(img->file, off, buf, len);
}

static int raw_zero(BlockImage *img, uint64_t off, uint64_t len)
{
    return file_write_zeroes(img->file, off, len);
}

static int raw_flush(BlockImage *img) { return file_flush(img->file); }

static int raw_extent(BlockImage *img, uint64_t off, uint64_t len, ImageExtent *ext)
{
    ext->len = len;
    ext->present = true;
    ext->data = img->file->drv->has_data(img->file, off, &ext->len);
    ext->zero = !ext->data;
    ext->has_offset = true;
    ext->offset = off;
    return 0;
}

static bool raw_resize(BlockImage *img, uint64_t size, Error *err)
{
    int ret = img->file->drv->truncate(img->file, size);

    if (ret) return error_errno(err, -ret, "Could not resize the file");
    img->size = align_up(size, 512);
    return true;
}

static const ImageOption raw_options[] = {
    { "preallocation", "<str>", "Preallocation mode (allowed values: off, falloc, full)" },
    { "size", "<size>", "Virtual disk size" },
    { 0 },
};

static bool raw_create(const char *filename, uint64_t size, Options *opts, Error *err)
{
    const char *prealloc = options_get_or(opts, "preallocation", "off");
    BlockFile *f;
    int ret;

    if (options_get(opts, "backing_file")) {
        return error_set(err, "Backing file not supported for file format 'raw'");
    }
    if (g_strcmp0(prealloc, "off") && g_strcmp0(prealloc, "falloc") &&
        g_strcmp0(prealloc, "full")) {
        return error_set(err, "invalid parameter value: %s", prealloc);
    }
    f = image_create_file(filename, err);
    if (!f) return false;
    ret = f->drv->truncate(f, size);
    if (!ret && size && g_strcmp0(prealloc, "off")) ret = file_reserve(f, 0, size);
    file_close(f);
    return !ret || error_errno(err, -ret, "Could not make '%s' %" G_GUINT64_FORMAT " bytes long",
                       filename, size);
}

static const ImageFormat raw_format = {
    .name = "raw",
    .probe = raw_probe,
    .open = raw_open,
    .close = raw_close,
    .read = raw_read,
    .write = raw_write,
    .zero = raw_zero,
    .flush = raw_flush,
    .extent = raw_extent,
    .reload = raw_open,
    .resize = raw_resize,
    .create = raw_create,
    .create_options = raw_options,
};
BLOCK_FORMAT(raw_format);
