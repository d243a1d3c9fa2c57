/* SPDX-License-Identifier: MIT */
/* stasis-img create, resize and commit. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/stasis-img.h"
#include "util/bits.h"

/* What create says first: every option with the value that it has or gets. */
static void create_announce(const char *file, const char *format, Options *o, uint64_t size)
{
    static const struct {
        const char *key, *value;
    } shown[] = { { "cluster_size", "65536" }, { "extended_l2", "off" }, { "preallocation", NULL },
        { "compression_type", "zlib" }, { "size", "" }, { "compat", NULL },
        { "backing_file", NULL }, { "backing_fmt", NULL }, { "lazy_refcounts", "off" },
        { "refcount_bits", "16" } };
    bool qcow2 = !strcmp(format, "qcow2");

    printf("Formatting '%s', fmt=%s", file, format);
    for (unsigned i = 0; i < ARRAY_SIZE(shown); i++) {
        const char *value = options_get(o, shown[i].key);
        uint64_t bytes;

        if (!value && qcow2) value = shown[i].value;
        if (!strcmp(shown[i].key, "size")) {
            printf(" size=%" PRIu64, size);
        } else if (value && !strcmp(shown[i].key, "cluster_size") &&
                   parse_size(value, 'B', &bytes, NULL)) {
            printf(" cluster_size=%" PRIu64, bytes);
        } else if (value) {
            printf(" %s=%s", shown[i].key, value);
        }
    }
    printf("\n");
}

/* The backing file must be there, be named with its format, and may give the size. */
static bool create_look_below(
    const ImgArgs *a, const char *file, Options *o, bool unsafe, uint64_t *size)
{
    const char *name = options_get(o, "backing_file"), *format = options_get(o, "backing_fmt");
    char *dir, *path;
    BlockImage *base;

    if (!name || (unsafe && *size != UINT64_MAX)) return true;
    dir = g_path_get_dirname(file);
    path = name[0] == '/' || !strcmp(dir, ".") ? g_strdup(name) : g_build_filename(dir, name, NULL);
    base = img_open(a, path, format, IMAGE_NO_LOCK);
    g_free(dir);
    g_free(path);
    if (!base) return false;
    if (*size == UINT64_MAX) *size = image_size(base);
    if (!format) {
        img_fail("%s: Backing file specified without backing format\nDetected format of %s.", file,
            image_format(base));
    }
    image_close(base);
    return format != NULL;
}

static int create_image(
    const ImgArgs *a, const char *file, const char *size_text, Options *o, bool unsafe)
{
    const char *format = a->format ? a->format : "raw";
    const char *text = size_text ? size_text : options_get(o, "size");
    uint64_t size = UINT64_MAX;
    Error err = ERROR_INIT;

    if (text && !parse_size(text, 'B', &size, &err)) {
        return img_fail("Invalid image size specified: %s", err.msg);
    }
    if (!img_options_known(o, format)) return IMG_FAILED;
    if (!create_look_below(a, file, o, unsafe, &size)) return IMG_FAILED;
    if (size == UINT64_MAX) return img_fail("%s: Image creation needs a size parameter", file);
    if (!a->quiet) create_announce(file, format, o, size);
    fflush(stdout);
    if (!image_create(file, format, size, o, &err)) return img_fail("%s: %s", file, err.msg);
    return IMG_OK;
}

static int create_run(int argc, char **argv)
{
    ImgArgs a = { .argc = argc, .argv = argv, .shorts = "f:b:F:uo:q" };
    char *value, **words, *backing = NULL, *backing_format = NULL;
    bool unsafe = false;
    Options *o;
    int c, n, ret;

    while ((c = img_next(&a, &value)) != -1) {
        if (c == 'b') backing = value;
        if (c == 'F') backing_format = value;
        if (c == 'u') unsafe = true;
    }
    if (!a.bad && !a.help && img_options_help(&a, a.format ? a.format : "raw")) return IMG_OK;
    if (!img_operands(&a, 1, 2, &words, &n)) return a.bad;
    if (a.format && !image_create_options(a.format)) {
        return img_fail("Unknown file format '%s'", a.format);
    }
    o = img_options(&a);
    if (!o) return IMG_FAILED;
    if (backing) options_set(o, "backing_file", backing);
    if (backing_format) options_set(o, "backing_fmt", backing_format);
    ret = create_image(&a, words[0], n > 1 ? words[1] : NULL, o, unsafe);
    options_free(o);
    g_free(a.options);
    return ret;
}

static const ImgCommand create_command = {
    .name = "create",
    .usage = "[-f FMT] [-b BACKING [-F FMT]] [-u] [-o OPTIONS] [-q] FILE [SIZE]",
    .help = "Makes a new image; without SIZE it is as large as its backing file.\n"
            "  -b BACKING    what the image shows until it is written to\n"
            "  -F FMT        the backing file's format\n"
            "  -u            do not look whether the backing file is there\n"
            "  -o OPTIONS    name=value,...; -o help lists them\n",
    .run = create_run,
};
IMG_COMMAND(create_command);

/* -- resize -- */

static int resize_to(const ImgArgs *a, BlockImage *img, const char *text, bool shrink)
{
    bool plus = text[0] == '+', minus = text[0] == '-';
    uint64_t old = image_size(img), n;
    Error err = ERROR_INIT;

    if (!parse_size(text + (plus || minus), 'B', &n, &err)) {
        return img_fail("Invalid image size specified: %s", err.msg);
    }
    if (minus && n > old) return img_fail("New image size must be positive");
    n = plus ? old + n : minus ? old - n : n;
    n = align_up(n, 512);
    if (n < old && !shrink) {
        img_fail("Shrinking an image deletes all data beyond its new end.");
        return img_fail("Use the --shrink option to perform a shrink operation.");
    }
    if (!image_resize(img, n, &err)) return img_fail_error(&err);
    if (!a->quiet) printf("Image resized.\n");
    return IMG_OK;
}

static int resize_run(int argc, char **argv)
{
    ImgArgs a = { .argc = argc, .argv = argv, .shorts = "f:q" };
    char *value, **words, *size;
    bool shrink = false;
    BlockImage *img;
    int c, n, ret;

    /* "-1G" is a size, not an option: it is the last word. */
    if (argc < 3) {
        img_next(&a, &value);
        return a.help ? IMG_OK : img_fail("Not enough arguments; try 'stasis-img resize --help'");
    }
    size = argv[argc - 1];
    a.argc--;
    while ((c = img_next(&a, &value)) != -1) {
        if (c == IMG_LONG_SHRINK) shrink = true;
        if (c == IMG_LONG_PREALLOCATION && strcmp(value, "off")) {
            return img_fail("Unsupported preallocation mode '%s'", value);
        }
    }
    if (!img_operands(&a, 1, 1, &words, &n)) return a.bad;
    img = img_open(&a, words[0], a.format, IMAGE_WRITABLE);
    if (!img) return IMG_FAILED;
    ret = resize_to(&a, img, size, shrink);
    image_close(img);
    return ret;
}

static const ImgCommand resize_command = {
    .name = "resize",
    .usage = "[-f FMT] [--preallocation=off] [-q] [--shrink] FILE [+|-]SIZE",
    .help = "Changes the size of the disk that an image holds.\n"
            "  --shrink      allow a smaller one; what lies behind its end is lost\n",
    .run = resize_run,
};
IMG_COMMAND(resize_command);

/* -- commit -- */

/* Copies what the top layer holds into the base. */
static int commit_copy(const ImgArgs *a, BlockImage *top, BlockImage *base)
{
    enum { CHUNK = 2 * MiB };
    uint8_t *buf = g_malloc(CHUNK);
    uint64_t size = image_size(top);
    int ret = 0;

    for (uint64_t off = 0; off < size && !ret;) {
        ImageExtent e;

        ret = image_extent(top, off, MIN_OF(size - off, (uint64_t)CHUNK), &e);
        if (!ret && e.present && e.zero) {
            ret = image_write_zeroes(base, off, e.len);
        } else if (!ret && e.present) {
            ret = image_read(top, off, buf, e.len);
            if (!ret) ret = image_write(base, off, buf, e.len);
        }
        off += e.len;
        img_progress(a, off, size);
    }
    if (!ret) ret = image_flush(base);
    g_free(buf);
    return ret;
}

static int commit_image(const ImgArgs *a, BlockImage *top, bool keep)
{
    char *path = image_backing_path(top);
    Error err = ERROR_INIT;
    BlockImage *base;
    int ret;

    if (!path) return img_fail("Image does not have a backing file");
    base = img_open(a, path, image_backing_format(top), IMAGE_WRITABLE);
    g_free(path);
    if (!base) return IMG_FAILED;
    if (image_size(base) < image_size(top) && !image_resize(base, image_size(top), &err)) {
        image_close(base);
        return img_fail_error(&err);
    }
    ret = commit_copy(a, top, base);
    image_close(base);
    if (ret) return img_fail("Could not commit: %s", g_strerror(-ret));
    if (!keep && !image_make_empty(top, &err)) return img_fail_error(&err);
    if (!a->quiet) printf("Image committed.\n");
    return IMG_OK;
}

static int commit_run(int argc, char **argv)
{
    ImgArgs a = { .argc = argc, .argv = argv, .shorts = "f:t:dqp" };
    char *value, **files;
    bool keep = false;
    BlockImage *img;
    int c, n, ret;

    while ((c = img_next(&a, &value)) != -1) keep = keep || c == 'd';
    if (!img_operands(&a, 1, 1, &files, &n)) return a.bad;
    img = img_open(&a, files[0], a.format, IMAGE_WRITABLE | IMAGE_NO_BACKING);
    if (!img) return IMG_FAILED;
    ret = commit_image(&a, img, keep);
    image_close(img);
    return ret;
}

static const ImgCommand commit_command = {
    .name = "commit",
    .usage = "[-f FMT] [-t CACHE] [-d] [-q] [-p] FILE",
    .help = "Writes an image's content into its backing file and empties the image.\n"
            "  -d            do not empty it\n",
    .run = commit_run,
};
IMG_COMMAND(commit_command);
