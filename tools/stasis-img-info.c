/* SPDX-License-Identifier: MIT */
/* stasis-img info and map: what an image is and where its content lies. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/stasis-img.h"
#include "util/bits.h"

static void info_json_property(void *opaque, const char *name, const char *value, bool is_text)
{
    GString *out = opaque;
    char *key = g_strdelimit(g_strdup(name), " ", '-'), *text = img_json_text(value);

    g_string_append_printf(
        out, "%s            \"%s\": %s", out->len ? ",\n" : "", key, is_text ? text : value);
    g_free(key);
    g_free(text);
}

static void info_json_snapshots(const BlockImage *img)
{
    printf("    \"snapshots\": [\n");
    for (unsigned i = 0; i < image_snapshot_count(img); i++) {
        const SnapshotInfo *s = image_snapshot(img, i);
        char *name = img_json_text(s->name), *id = img_json_text(s->id);

        printf("%s        {\n", i ? ",\n" : "");
        if (s->icount != UINT64_MAX) printf("            \"icount\": %" PRIu64 ",\n", s->icount);
        printf("            \"vm-clock-nsec\": %" PRIu64 ",\n            \"name\": %s,\n"
               "            \"date-sec\": %u,\n            \"date-nsec\": %u,\n"
               "            \"vm-clock-sec\": %" PRIu64 ",\n            \"id\": %s,\n"
               "            \"vm-state-size\": %" PRIu64 "\n        }",
            s->vm_clock_ns % NS_PER_S, name, s->date_s, s->date_ns, s->vm_clock_ns / NS_PER_S, id,
            s->vm_state_size);
        g_free(name);
        g_free(id);
    }
    printf("\n    ],\n");
}

static void info_json_backing(const BlockImage *img)
{
    char *path = image_backing_path(img), *name;

    if (!path) return;
    name = img_json_text(path);
    printf("    \"full-backing-filename\": %s,\n", name);
    g_free(name);
    name = img_json_text(image_backing_filename(img));
    printf("    \"backing-filename\": %s,\n", name);
    g_free(name);
    if (image_backing_format(img)) {
        printf("    \"backing-filename-format\": \"%s\",\n", image_backing_format(img));
    }
    g_free(path);
}

static void info_json(BlockImage *img, const char *indent)
{
    char *name = img_json_text(image_filename(img));
    GString *props = g_string_new(NULL);

    (void)indent;
    printf("{\n");
    if (image_snapshot_count(img)) info_json_snapshots(img);
    printf("    \"virtual-size\": %" PRIu64 ",\n    \"filename\": %s,\n", image_size(img), name);
    if (image_cluster_size(img)) {
        printf("    \"cluster-size\": %" PRIu64 ",\n", image_cluster_size(img));
    }
    printf("    \"format\": \"%s\",\n    \"actual-size\": %" PRIu64 ",\n", image_format(img),
        image_allocated_bytes(img));
    image_properties(img, info_json_property, props);
    if (props->len) {
        printf("    \"format-specific\": {\n        \"type\": \"%s\",\n        \"data\": {\n%s\n"
               "        }\n    },\n",
            image_format(img), props->str);
    }
    info_json_backing(img);
    printf("    \"dirty-flag\": %s\n}", image_is_dirty(img) ? "true" : "false");
    g_string_free(props, TRUE);
    g_free(name);
}

static void info_human(BlockImage *img)
{
    GString *text = g_string_new(NULL);

    image_describe(img, text);
    fputs(text->str, stdout);
    g_string_free(text, TRUE);
}

static int info_run(int argc, char **argv)
{
    ImgArgs a = { .argc = argc, .argv = argv, .shorts = "f:U" };
    char *value, **files;
    bool chain = false;
    int c, n;
    BlockImage *img;

    while ((c = img_next(&a, &value)) != -1) chain = chain || c == IMG_LONG_BACKING_CHAIN;
    if (!img_operands(&a, 1, 1, &files, &n)) return a.bad;
    img = img_open(&a, files[0], a.format, IMAGE_CHECK | (chain ? 0 : IMAGE_NO_BACKING));
    if (!img) return IMG_FAILED;
    if (chain && img_json(&a)) printf("[\n");
    for (BlockImage *layer = img; layer; layer = image_backing(layer)) {
        if (layer != img) printf(img_json(&a) ? ",\n" : "\n");
        if (img_json(&a)) {
            info_json(layer, "");
        } else {
            info_human(layer);
        }
    }
    if (img_json(&a)) printf(chain ? "\n]\n" : "\n");
    image_close(img);
    return IMG_OK;
}

static const ImgCommand info_command = {
    .name = "info",
    .usage = "[-f FMT] [--output=FMT] [--backing-chain] [-U] FILE",
    .help = "Shows an image's format, sizes, backing file, snapshots and format options.\n"
            "  --backing-chain  the images below it as well\n",
    .run = info_run,
};
IMG_COMMAND(info_command);

/* -- map -- */

static bool map_same(const ImageExtent *a, const ImageExtent *b)
{
    return a->data == b->data && a->zero == b->zero && a->present == b->present &&
           a->depth == b->depth && a->has_offset == b->has_offset &&
           a->compressed == b->compressed && (!a->has_offset || a->offset + a->len == b->offset);
}

static bool map_print(const ImgArgs *a, uint64_t start, const ImageExtent *e, bool first)
{
    if (img_json(a)) {
        printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64
               ", \"depth\": %u, \"present\": %s, "
               "\"zero\": %s, \"data\": %s",
            first ? "[" : ",\n", start, e->len, e->depth, e->present ? "true" : "false",
            e->zero ? "true" : "false", e->data ? "true" : "false");
        if (e->has_offset) printf(", \"offset\": %" PRIu64, e->offset);
        printf("}");
        return true;
    }
    if (!e->data || e->zero) return true;
    if (!e->has_offset) {
        img_fail("File contains external, encrypted or compressed clusters.");
        return false;
    }
    printf(
        "%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", start, e->len, e->offset, e->filename);
    return true;
}

static int map_image(const ImgArgs *a, BlockImage *img, uint64_t start, uint64_t end)
{
    ImageExtent run = { 0 };
    uint64_t at = start;
    bool first = true;

    if (!img_json(a)) printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
    while (start < end) {
        ImageExtent e;
        int ret = image_extent(img, start, end - start, &e);

        if (ret) return img_fail("Failed to read image metadata: %s", g_strerror(-ret));
        if (run.len && map_same(&run, &e)) {
            run.len += e.len;
        } else {
            if (run.len) {
                if (!map_print(a, at, &run, first)) return IMG_FAILED;
                first = false;
            }
            run = e;
            at = start;
        }
        start += e.len;
    }
    if (run.len && !map_print(a, at, &run, first)) return IMG_FAILED;
    if (img_json(a)) printf(run.len ? "]\n" : "[]\n");
    return IMG_OK;
}

static int map_run(int argc, char **argv)
{
    ImgArgs a = { .argc = argc, .argv = argv, .shorts = "f:Us:l:" };
    uint64_t start = 0, len = UINT64_MAX, size;
    Error err = ERROR_INIT;
    char *value, **files;
    BlockImage *img;
    int c, n, ret;

    while ((c = img_next(&a, &value)) != -1) {
        uint64_t *to = c == IMG_LONG_START || c == 's' ? &start : &len;

        if (!parse_size(value, 'B', to, &err)) return img_fail_error(&err);
    }
    if (!img_operands(&a, 1, 1, &files, &n)) return a.bad;
    img = img_open(&a, files[0], a.format, 0);
    if (!img) return IMG_FAILED;
    size = image_size(img);
    start = MIN_OF(start, size);
    ret = map_image(&a, img, start, start + MIN_OF(len, size - start));
    image_close(img);
    return ret;
}

static const ImgCommand map_command = {
    .name = "map",
    .usage = "[-f FMT] [--start-offset=OFFSET] [--max-length=LEN] [--output=FMT] [-U] FILE",
    .help = "Shows where the content of an image and of its backing files lies.\n",
    .run = map_run,
};
IMG_COMMAND(map_command);
