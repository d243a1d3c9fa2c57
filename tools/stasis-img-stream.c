/* SPDX-License-Identifier: MIT */
/* stasis-img stream: what a stream, or a snapshot's VM state, says; and how two differ. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/stasis-img-stream.h"
#include "tools/stasis-img.h"
#include "util/bits.h"

enum { PIECE = 1 * MiB, DIFFERENT = 1, FAILED = 2 };

static const uint8_t zero_page[STREAM_PAGE];

/* -- where the bytes come from -- */

typedef struct Source {
    uint8_t *data;
    size_t size;
    StreamFile *file;
} Source;

static bool source_map(Source *s, int fd, const char *name)
{
    struct stat sb;

    if (fstat(fd, &sb) < 0 || sb.st_size == 0) {
        img_fail("%s: %s", name, sb.st_size ? strerror(errno) : "it is empty");
        return false;
    }
    s->size = (size_t)sb.st_size;
    s->data = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (s->data != MAP_FAILED) return true;
    s->data = NULL;
    img_fail("%s: %s", name, strerror(errno));
    return false;
}

static bool source_copy(BlockImage *img, unsigned n, int fd)
{
    uint64_t size = image_snapshot(img, n)->vm_state_size;
    uint8_t *buf = g_malloc(PIECE);
    bool ok = true;

    for (uint64_t off = 0; off < size && ok; off += PIECE) {
        size_t len = MIN_OF((uint64_t)PIECE, size - off);
        int ret = image_vmstate_read(img, n, off, buf, len);

        ok = ret >= 0 && write(fd, buf, len) == (ssize_t)len;
        if (!ok) img_fail("Error while reading VM state: %s", strerror(ret < 0 ? -ret : errno));
    }
    g_free(buf);
    return ok;
}

/* The VM state goes to a file without a name, so that it need not be in memory whole. */
static bool source_snapshot(Source *s, const ImgArgs *a, const char *path, const char *name)
{
    BlockImage *img = img_open(a, path, a->format, 0);
    char *tmp = g_build_filename(g_get_tmp_dir(), "stasis-img-XXXXXX", NULL);
    int n = img ? image_snapshot_find(img, name) : -1, fd = -1;
    bool ok = false;

    if (img && n < 0)
        img_fail("Can't find snapshot '%s' in %s", name, path);
    else if (img && !image_snapshot(img, (unsigned)n)->vm_state_size)
        img_fail("'%s' is a disk-only snapshot: it has no VM state", name);
    else if (img && (fd = mkstemp(tmp)) < 0)
        img_fail("%s: %s", tmp, strerror(errno));
    if (fd >= 0) {
        unlink(tmp);
        ok = source_copy(img, (unsigned)n, fd) && source_map(s, fd, path);
        close(fd);
    }
    if (img) image_close(img);
    g_free(tmp);
    return ok;
}

static bool source_plain(Source *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok;

    if (fd < 0) {
        img_fail("Could not open '%s': %s", path, strerror(errno));
        return false;
    }
    ok = source_map(s, fd, path);
    close(fd);
    return ok;
}

static void source_close(Source *s)
{
    stream_file_free(s->file);
    if (s->data) munmap(s->data, s->size);
}

/* The bytes, not yet taken apart. */
static bool source_read(Source *s, const ImgArgs *a, const char *path, const char *snapshot)
{
    *s = (Source){ 0 };
    return snapshot ? source_snapshot(s, a, path, snapshot) : source_plain(s, path);
}

static bool source_parse(Source *s, const char *path, const json_t *like)
{
    Error err = ERROR_INIT;

    s->file = stream_file_parse(s->data, s->size, like, &err);
    if (!s->file) img_fail("%s: %s", path, err.msg);
    return s->file != NULL;
}

/* -- dump -- */

/* The digest is over the pages that are not zero: each behind its offset. */
static json_t *dump_block(const StreamBlock *b)
{
    GArray *offsets = stream_block_offsets(b);
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    json_int_t zero = 0;
    json_t *o;

    for (guint i = 0; i < offsets->len; i++) {
        uint64_t off = g_array_index(offsets, uint64_t, i);
        const uint8_t *page = g_hash_table_lookup(b->pages, &off);
        uint8_t head[8];

        if (img_is_zero(page, STREAM_PAGE)) {
            zero++;
            continue;
        }
        store_be64(head, off);
        g_checksum_update(sum, head, sizeof(head));
        g_checksum_update(sum, page, STREAM_PAGE);
    }
    o = json_pack("{s:s,s:I,s:I,s:I,s:s}", "name", b->name, "size", (json_int_t)b->size, "pages",
        (json_int_t)offsets->len, "zero", zero, "sha256", g_checksum_get_string(sum));
    g_checksum_free(sum);
    g_array_free(offsets, TRUE);
    return o;
}

static json_t *dump_blocks(const GPtrArray *blocks)
{
    json_t *list = json_array();

    for (guint i = 0; i < blocks->len; i++)
        json_array_append_new(list, dump_block(blocks->pdata[i]));
    return list;
}

static int stream_dump(const Source *s)
{
    int ret;

    json_object_set_new(s->file->out, "ram", dump_blocks(s->file->blocks));
    if (s->file->disks->len)
        json_object_set_new(s->file->out, "disks", dump_blocks(s->file->disks));
    ret = json_dumpf(s->file->out, stdout, JSON_PRESERVE_ORDER | JSON_INDENT(2));
    if (ret || putchar('\n') == EOF || fflush(stdout)) return img_fail("cannot write");
    return IMG_OK;
}

/* -- diff -- */

/* {"path": ..., "from": ..., "to": ...}; what one lacks is null. */
static void diff_add(json_t *list, const char *path, const json_t *from, const json_t *to)
{
    json_array_append_new(list,
        json_pack("{s:s,s:O?,s:O?}", "path", path, "from", (json_t *)from, "to", (json_t *)to));
}

static void diff_values(json_t *list, const char *path, const json_t *a, const json_t *b);

static void diff_member(
    json_t *list, const char *path, const char *key, const json_t *a, const json_t *b)
{
    char *longer = *path ? g_strdup_printf("%s.%s", path, key) : g_strdup(key);

    diff_values(list, longer, a, b);
    g_free(longer);
}

static void diff_objects(json_t *list, const char *path, const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)a, key, value)
        diff_member(list, path, key, value, json_object_get(b, key));
    json_object_foreach ((json_t *)b, key, value)
        if (!json_object_get(a, key)) diff_member(list, path, key, NULL, value);
}

static void diff_values(json_t *list, const char *path, const json_t *a, const json_t *b)
{
    if (a && b && json_equal(a, b)) return;
    if (json_is_object(a) && json_is_object(b)) {
        diff_objects(list, path, a, b);
    } else if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++) {
            char *longer = g_strdup_printf("%s[%zu]", path, i);

            diff_values(list, longer, json_array_get(a, i), json_array_get(b, i));
            g_free(longer);
        }
    } else {
        diff_add(list, path, a, b);
    }
}

/* The n-th device of this name and instance. */
static json_t *diff_find_device(const json_t *devices, const json_t *like, unsigned nth)
{
    json_t *d;
    size_t i;

    json_array_foreach (devices, i, d)
        if (json_equal(json_object_get(d, "name"), json_object_get(like, "name")) &&
            json_equal(json_object_get(d, "instance_id"), json_object_get(like, "instance_id")) &&
            !nth--)
            return d;
    return NULL;
}

/* How many devices before the i-th have its name and instance. */
static unsigned diff_nth(const json_t *devices, size_t i)
{
    unsigned n = 0;

    for (size_t k = 0; k < i; k++) {
        const json_t *d = json_array_get(devices, k), *like = json_array_get(devices, i);

        n += json_equal(json_object_get(d, "name"), json_object_get(like, "name")) &&
             json_equal(json_object_get(d, "instance_id"), json_object_get(like, "instance_id"));
    }
    return n;
}

static void diff_device(json_t *list, json_t *a, json_t *b)
{
    json_t *fields = json_array(), *any = a ? a : b;

    if (a && b) {
        diff_member(
            fields, "", "version", json_object_get(a, "version"), json_object_get(b, "version"));
        diff_objects(fields, "", json_object_get(a, "fields"), json_object_get(b, "fields"));
    }
    if ((!a || !b) || json_array_size(fields))
        json_array_append_new(
            list, json_pack("{s:O,s:O,s:s*,s:O}", "name", json_object_get(any, "name"),
                      "instance_id", json_object_get(any, "instance_id"), "only",
                      !b   ? "first"
                      : !a ? "second"
                           : NULL,
                      "fields", fields));
    json_decref(fields);
}

static json_t *diff_devices(const json_t *a, const json_t *b)
{
    json_t *list = json_array(), *d;
    size_t i;

    json_array_foreach (a, i, d) diff_device(list, d, diff_find_device(b, d, diff_nth(a, i)));
    json_array_foreach (b, i, d)
        if (!diff_find_device(a, d, diff_nth(b, i))) diff_device(list, NULL, d);
    return list;
}

static const uint8_t *diff_page(const StreamBlock *b, uint64_t off)
{
    const uint8_t *page = b ? g_hash_table_lookup(b->pages, &off) : NULL;

    return page ? page : zero_page;
}

/* Offsets that either has, in order, each once. */
static GArray *diff_offsets(const StreamBlock *a, const StreamBlock *b)
{
    GArray *x = stream_block_offsets(a);

    if (b) {
        GArray *y = stream_block_offsets(b), *all = g_array_new(FALSE, FALSE, sizeof(uint64_t));

        for (guint i = 0, k = 0; i < x->len || k < y->len;) {
            uint64_t p = i < x->len ? g_array_index(x, uint64_t, i) : UINT64_MAX;
            uint64_t q = k < y->len ? g_array_index(y, uint64_t, k) : UINT64_MAX;
            uint64_t next = MIN_OF(p, q);

            g_array_append_val(all, next);
            i += p == next;
            k += q == next;
        }
        g_array_free(x, TRUE);
        g_array_free(y, TRUE);
        x = all;
    }
    return x;
}

static void diff_range(json_t *ranges, uint64_t first, uint64_t end)
{
    json_t *range = json_array();

    json_array_append_new(range, json_sprintf("0x%" PRIx64, first));
    json_array_append_new(range, json_sprintf("0x%" PRIx64, end - 1));
    json_array_append_new(ranges, range);
}

/* a's block beside b's of the same name, which may be missing. */
static void diff_block(json_t *list, const StreamBlock *a, const StreamBlock *b, const char *only)
{
    GArray *offsets = diff_offsets(a, b);
    json_t *ranges = json_array();
    uint64_t first = 0, end = 0;
    json_int_t pages = 0;

    for (guint i = 0; i < offsets->len; i++) {
        uint64_t off = g_array_index(offsets, uint64_t, i);

        if (!memcmp(diff_page(a, off), diff_page(b, off), STREAM_PAGE)) continue;
        if (pages && end != off) diff_range(ranges, first, end);
        if (!pages || end != off) first = off;
        end = off + STREAM_PAGE;
        pages++;
    }
    if (pages) diff_range(ranges, first, end);
    if (pages || only || a->size != b->size)
        json_array_append_new(list, json_pack("{s:s,s:s*,s:I,s:O}", "name", a->name, "only", only,
                                        "pages", pages, "ranges", ranges));
    json_decref(ranges);
    g_array_free(offsets, TRUE);
}

static json_t *diff_blocks(const GPtrArray *a, const GPtrArray *b)
{
    json_t *list = json_array();

    for (guint i = 0; i < a->len; i++) {
        const StreamBlock *x = a->pdata[i], *y = stream_block_find(b, x->name);

        diff_block(list, x, y, y ? NULL : "first");
    }
    for (guint i = 0; i < b->len; i++) {
        const StreamBlock *y = b->pdata[i];

        if (!stream_block_find(a, y->name)) diff_block(list, y, NULL, "second");
    }
    return list;
}

static void diff_print_fields(const json_t *list, const char *prefix)
{
    json_t *d;
    size_t i;

    json_array_foreach (list, i, d) {
        char *from = json_dumps(json_object_get(d, "from"), JSON_ENCODE_ANY | JSON_COMPACT);
        char *to = json_dumps(json_object_get(d, "to"), JSON_ENCODE_ANY | JSON_COMPACT);

        printf("%s%s: %s -> %s\n", prefix, json_string_value(json_object_get(d, "path")), from, to);
        free(from);
        free(to);
    }
}

static void diff_print_only(const json_t *d)
{
    const char *only = json_string_value(json_object_get(d, "only"));

    if (only) printf(" only in the %s", only);
}

static void diff_print_blocks(const char *what, const json_t *list)
{
    json_t *d, *r;
    size_t i, k;

    json_array_foreach (list, i, d) {
        printf("%s %s: %" JSON_INTEGER_FORMAT " pages differ", what,
            json_string_value(json_object_get(d, "name")),
            json_integer_value(json_object_get(d, "pages")));
        diff_print_only(d);
        json_array_foreach (json_object_get(d, "ranges"), k, r)
            printf(" %s-%s", json_string_value(json_array_get(r, 0)),
                json_string_value(json_array_get(r, 1)));
        putchar('\n');
    }
}

static void diff_print(const json_t *diff)
{
    json_t *d;
    size_t i;

    diff_print_blocks("ram", json_object_get(diff, "ram"));
    diff_print_blocks("disk", json_object_get(diff, "disks"));
    json_array_foreach (json_object_get(diff, "devices"), i, d) {
        printf("device %s %" JSON_INTEGER_FORMAT, json_string_value(json_object_get(d, "name")),
            json_integer_value(json_object_get(d, "instance_id")));
        diff_print_only(d);
        putchar('\n');
        diff_print_fields(json_object_get(d, "fields"), "  ");
    }
    diff_print_fields(json_object_get(diff, "other"), "");
}

static int stream_diff(const ImgArgs *args, const Source *a, const Source *b)
{
    json_t *other = json_array(), *x = json_copy(a->file->out), *y = json_copy(b->file->out);
    json_t *ram = diff_blocks(a->file->blocks, b->file->blocks);
    json_t *disks = diff_blocks(a->file->disks, b->file->disks);
    json_t *devices = diff_devices(json_object_get(x, "devices"), json_object_get(y, "devices"));
    json_t *all;
    bool same;

    json_object_del(x, "devices");
    json_object_del(y, "devices");
    diff_objects(other, "", x, y);
    same = !json_array_size(ram) && !json_array_size(disks) && !json_array_size(devices) &&
           !json_array_size(other);
    all = json_pack(
        "{s:o,s:o,s:o,s:o}", "ram", ram, "disks", disks, "devices", devices, "other", other);
    if (img_json(args)) {
        json_dumpf(all, stdout, JSON_PRESERVE_ORDER | JSON_INDENT(2));
        putchar('\n');
    } else if (!args->quiet) {
        diff_print(all);
        if (same) puts("The streams are identical.");
    }
    json_decref(all);
    json_decref(x);
    json_decref(y);
    return same ? IMG_OK : DIFFERENT;
}

/* -- the command -- */

typedef struct StreamArgs {
    const char *snapshot, *second; /* -s and -S */
    const char *like;              /* -l */
} StreamArgs;

/* The description for streams that have none: of the one that -l names, NULL without -l; false and
 * a word where that has none either. */
static bool stream_like(const StreamArgs *args, json_t **like)
{
    Source s = { 0 };
    size_t at;

    *like = NULL;
    if (!args->like) return true;
    if (!source_plain(&s, args->like)) return false;
    *like = stream_file_description(s.data, s.size, &at);
    if (!*like) img_fail("%s: it has no description", args->like);
    source_close(&s);
    return *like != NULL;
}

static int stream_run_dump(const ImgArgs *a, char **files, const StreamArgs *args)
{
    Source s = { 0 };
    json_t *like;
    int ret = IMG_FAILED;

    if (stream_like(args, &like) && source_read(&s, a, files[0], args->snapshot) &&
        source_parse(&s, files[0], like))
        ret = stream_dump(&s);
    source_close(&s);
    json_decref(like);
    return ret;
}

/* Where one of two has no description, the other's serves: it is likely to be the same machine. */
static int stream_run_diff(const ImgArgs *a, char **files, int n, const StreamArgs *args)
{
    Source x = { 0 }, y = { 0 };
    json_t *like;
    size_t at;
    int ret = FAILED;

    if (stream_like(args, &like) && source_read(&x, a, files[0], args->snapshot) &&
        source_read(&y, a, files[n - 1], args->second)) {
        if (!like) like = stream_file_description(x.data, x.size, &at);
        if (!like) like = stream_file_description(y.data, y.size, &at);
        if (source_parse(&x, files[0], like) && source_parse(&y, files[n - 1], like))
            ret = stream_diff(a, &x, &y);
    }
    source_close(&x);
    source_close(&y);
    json_decref(like);
    return ret;
}

static int stream_run(int argc, char **argv)
{
    ImgArgs a = { argc, argv, .shorts = "f:Uqs:S:l:" };
    StreamArgs args = { 0 };
    char *value, **files;
    bool diff;
    int c, n;

    while ((c = img_next(&a, &value)) != -1) {
        if (c == 's') args.snapshot = value;
        if (c == 'S') args.second = value;
        if (c == 'l') args.like = value;
    }
    if (!img_operands(&a, 2, 3, &files, &n)) return a.bad;
    diff = !strcmp(files[0], "diff");
    if (!diff && strcmp(files[0], "dump"))
        return img_fail("'dump' or 'diff' expected, not '%s'", files[0]);
    if (diff && n == 2 && !args.second)
        return img_fail("diff compares two files, or two snapshots (-s and -S) of one");
    if (!diff && n != 2) return img_fail("dump takes one file");
    if (diff) return stream_run_diff(&a, files + 1, n - 1, &args);
    return stream_run_dump(&a, files + 1, &args);
}

static const ImgCommand stream_command = {
    .name = "stream",
    .usage = "dump|diff [-f FMT] [-s SNAPSHOT] [-S SNAPSHOT] [-l FILE] [-q] [-U] "
             "[--output=human|json] FILE [FILE2]",
    .help =
        "  dump  what a stream says, as JSON: configuration, RAM, disks, every device's fields\n"
        "  diff  pages and fields in which two differ; exit status 0: none, 1: some, 2: failed\n"
        "  -s    not a stream but the VM state of this snapshot in the image FILE\n"
        "  -S    likewise, in FILE2; without a FILE2 in FILE\n"
        "  -l    a stream without description is read like this one, of the same machine\n",
    .run = stream_run,
};
IMG_COMMAND(stream_command);
