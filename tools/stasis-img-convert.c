/* SPDX-License-Identifier: MIT */
/* stasis-img convert and compare: content without regard to formats. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/stasis-img.h"
#include "util/bits.h"

enum { CHUNK = 2 * MiB };

typedef struct Convert {
    ImgArgs a;
    const char *source_format, *target_format, *snapshot, *backing, *backing_format;
    bool compress, no_create;
    BlockImage *from, *to;
    int snapshot_index; /* -1: the active layer */
    uint64_t size;
} Convert;

static int convert_read(Convert *c, uint64_t off, void *buf, size_t len)
{
    return c->snapshot_index < 0
               ? image_read(c->from, off, buf, len)
               : image_snapshot_read(c->from, (unsigned)c->snapshot_index, off, buf, len);
}

/* How much from off on reads as zeroes for certain, without reading it. */
static uint64_t convert_hole(Convert *c, uint64_t off, uint64_t len)
{
    ImageExtent e;

    if (c->snapshot_index >= 0 || image_extent(c->from, off, len, &e)) return 0;
    return e.zero ? e.len : 0;
}

/* Whether the target shows these bytes already: zeroes in a new image, or its backing file. */
static bool convert_is_there(Convert *c, uint64_t off, const uint8_t *buf, uint8_t *old, size_t n)
{
    if (!c->backing && !c->no_create) return img_is_zero(buf, n);
    return !image_read(c->to, off, old, n) && !memcmp(buf, old, n);
}

/* Writes what differs, in pieces of a cluster (or 4 KiB where the target has none). */
static int convert_write(Convert *c, uint64_t off, const uint8_t *buf, uint8_t *old, size_t len)
{
    size_t unit = image_cluster_size(c->to) ? image_cluster_size(c->to) : 4096;
    size_t at = 0;
    int ret = 0;

    while (at < len && !ret) {
        size_t n = MIN_OF(unit, len - at), run;

        if (convert_is_there(c, off + at, buf + at, old, n)) {
            at += n;
            continue;
        }
        if (c->compress) {
            ret = image_write_compressed(c->to, off + at, buf + at, n);
            at += n;
            continue;
        }
        for (run = n; at + run < len; run += n) {
            n = MIN_OF(unit, len - at - run);
            if (convert_is_there(c, off + at + run, buf + at + run, old, n)) break;
        }
        ret = image_write(c->to, off + at, buf + at, run);
        at += run;
    }
    return ret;
}

static int convert_copy(Convert *c)
{
    uint8_t *buf = g_malloc(CHUNK), *old = g_malloc(CHUNK);
    int ret = 0;

    for (uint64_t off = 0; off < c->size && !ret;) {
        uint64_t n = MIN_OF((uint64_t)CHUNK, c->size - off), hole = 0;

        if (!c->backing && !c->no_create) hole = convert_hole(c, off, c->size - off);
        if (hole >= n) {
            off += hole == c->size - off ? hole : align_down(hole, CHUNK);
        } else {
            ret = convert_read(c, off, buf, n);
            if (!ret) ret = convert_write(c, off, buf, old, n);
            off += n;
        }
        img_progress(&c->a, off, c->size);
    }
    if (!ret) ret = image_flush(c->to);
    g_free(buf);
    g_free(old);
    return ret;
}

static bool convert_find_snapshot(Convert *c)
{
    const char *name = c->snapshot;

    c->snapshot_index = -1;
    c->size = image_size(c->from);
    if (!name) return true;
    if (g_str_has_prefix(name, "snapshot.id=")) name += 12;
    if (g_str_has_prefix(name, "snapshot.name=")) name += 14;
    c->snapshot_index = image_snapshot_find(c->from, name);
    if (c->snapshot_index < 0) {
        img_fail("Failed to load snapshot: Can't find snapshot '%s'", name);
        return false;
    }
    c->size = image_snapshot(c->from, (unsigned)c->snapshot_index)->disk_size;
    return true;
}

static bool convert_create(Convert *c, const char *file)
{
    Error err = ERROR_INIT;
    Options *o = img_options(&c->a);
    bool ok;

    if (!o) return false;
    ok = img_options_known(o, c->target_format);
    if (c->backing) options_set(o, "backing_file", c->backing);
    if (c->backing_format) options_set(o, "backing_fmt", c->backing_format);
    if (ok && !image_create(file, c->target_format, c->size, o, &err)) {
        img_fail("%s: error while converting %s: %s", file, c->target_format, err.msg);
        ok = false;
    }
    options_free(o);
    return ok;
}

static int convert_images(Convert *c, const char *source, const char *target)
{
    int ret = IMG_FAILED;

    c->from = img_open(&c->a, source, c->source_format, 0);
    if (!c->from) return IMG_FAILED;
    if (convert_find_snapshot(c) && (c->no_create || convert_create(c, target))) {
        c->to = img_open(&c->a, target, c->target_format, IMAGE_WRITABLE | IMAGE_UNSAFE);
    }
    if (c->to && image_size(c->to) < c->size) {
        img_fail("The target '%s' is smaller than the source", target);
    } else if (c->to) {
        int copied = convert_copy(c);

        ret = IMG_OK;
        if (copied == -ENOTSUP) {
            ret = img_fail("Compression not supported for file format '%s'", c->target_format);
        } else if (copied) {
            ret = img_fail("error while converting: %s", g_strerror(-copied));
        }
    }
    image_close(c->to);
    image_close(c->from);
    return ret;
}

static int convert_run(int argc, char **argv)
{
    Convert k = { .a = { .argc = argc, .argv = argv, .shorts = "f:O:cpqnUB:F:o:l:S:t:T:m:W" },
        .target_format = "raw" };
    char *value, **files;
    int c, n, ret;

    while ((c = img_next(&k.a, &value)) != -1) {
        switch (c) {
        case 'O': k.target_format = value; break;
        case 'c': k.compress = true; break;
        case 'n': k.no_create = true; break;
        case 'B': k.backing = value; break;
        case 'F': k.backing_format = value; break;
        case 'l': k.snapshot = value; break;
        default: break; /* -S -t -T -m -W: about speed only */
        }
    }
    if (!k.a.bad && !k.a.help && img_options_help(&k.a, k.target_format)) return IMG_OK;
    if (!img_operands(&k.a, 2, 2, &files, &n)) return k.a.bad;
    if (!image_create_options(k.target_format)) {
        return img_fail("Unknown file format '%s'", k.target_format);
    }
    if (k.a.format) k.source_format = k.a.format;
    k.a.progress = k.a.progress && !k.a.quiet;
    ret = convert_images(&k, files[0], files[1]);
    g_free(k.a.options);
    return ret;
}

static const ImgCommand convert_command = {
    .name = "convert",
    .usage =
        "[-f FMT] [-O FMT] [-B BACKING [-F FMT]] [-o OPTIONS] [-l SNAPSHOT] [-c] [-n] [-p] [-q] "
        "[-U] FILE TARGET",
    .help = "Copies an image's content into a new image.\n"
            "  -O FMT        the new image's format [raw]\n"
            "  -B BACKING    the new image's backing file; only what differs is written\n"
            "  -F FMT        the backing file's format\n"
            "  -o OPTIONS    name=value,...; -o help lists them\n"
            "  -l SNAPSHOT   the disk as a snapshot holds it\n"
            "  -c            compress\n"
            "  -n            the target is there already\n"
            "  -S -t -T -m -W  are taken and change nothing\n",
    .run = convert_run,
};
IMG_COMMAND(convert_command);

/* -- compare -- */

enum { COMPARE_DIFFERENT = 1, COMPARE_FAILED = 2 };

static int compare_mismatch(const ImgArgs *a, uint64_t off)
{
    if (!a->quiet) printf("Content mismatch at offset %" PRIu64 "!\n", off);
    return COMPARE_DIFFERENT;
}

/* Reads [off, off + len), zeroes behind the image's end. */
static int compare_read(BlockImage *img, uint64_t off, uint8_t *buf, size_t len)
{
    uint64_t size = image_size(img);
    size_t n = off < size ? MIN_OF(len, size - off) : 0;

    memset(buf + n, 0, len - n);
    return n ? image_read(img, off, buf, n) : 0;
}

static int compare_images(const ImgArgs *a, BlockImage *one, BlockImage *two, bool strict)
{
    uint8_t *x = g_malloc(CHUNK), *y = g_malloc(CHUNK);
    uint64_t size = MAX_OF(image_size(one), image_size(two));
    int ret = 0, status = IMG_OK;

    if (image_size(one) != image_size(two)) {
        if (strict) {
            if (!a->quiet) printf("Strict mode: Image size mismatch!\n");
            size = 0;
            status = COMPARE_DIFFERENT;
        } else if (!a->quiet) {
            printf("Warning: Image size mismatch!\n");
        }
    }
    for (uint64_t off = 0; off < size && !ret && !status; off += CHUNK) {
        size_t n = MIN_OF((uint64_t)CHUNK, size - off), i = 0;

        ret = compare_read(one, off, x, n);
        if (!ret) ret = compare_read(two, off, y, n);
        if (!ret && memcmp(x, y, n)) {
            while (x[i] == y[i]) i++;
            status = compare_mismatch(a, align_down(off + i, 512));
        }
        img_progress(a, off + n, size);
    }
    g_free(x);
    g_free(y);
    if (ret) {
        img_fail("Error while reading: %s", g_strerror(-ret));
        return COMPARE_FAILED;
    }
    if (!status && !a->quiet) printf("Images are identical.\n");
    return status;
}

static int compare_run(int argc, char **argv)
{
    ImgArgs a = { .argc = argc, .argv = argv, .shorts = "f:F:T:pqsU" };
    char *value, **files, *second = NULL;
    BlockImage *one, *two = NULL;
    bool strict = false;
    int c, n, ret = COMPARE_FAILED;

    while ((c = img_next(&a, &value)) != -1) {
        if (c == 'F') second = value;
        if (c == 's') strict = true;
    }
    if (!img_operands(&a, 2, 2, &files, &n)) return a.bad ? COMPARE_FAILED : IMG_OK;
    one = img_open(&a, files[0], a.format, 0);
    if (one) two = img_open(&a, files[1], second, 0);
    if (two) ret = compare_images(&a, one, two, strict);
    image_close(two);
    image_close(one);
    return ret;
}

static const ImgCommand compare_command = {
    .name = "compare",
    .usage = "[-f FMT] [-F FMT] [-T CACHE] [-p] [-q] [-s] [-U] FILE1 FILE2",
    .help = "Compares the content of two images; status 0 equal, 1 different, 2 an error.\n"
            "  -F FMT        the second image's format\n"
            "  -s            different sizes are a difference too\n",
    .run = compare_run,
};
IMG_COMMAND(compare_command);
