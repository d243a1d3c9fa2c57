/* SPDX-License-Identifier: MIT */
/* TEST-TIMEOUT: 300 */
/*
 * Internal snapshots made to hurt.  The parts of a qcow2 image that snapshots hang on (header,
 * table of snapshots, L1 and L2 tables, reference counts) are changed each in its own way, and
 * everything that a snapshot is for is done with the result.  Never a crash, never more than a
 * second, never memory out of proportion to the file; a snapshot that cannot be made active leaves
 * the disk as it is.  corpus/snapshot has whole images, another program's among them, which are
 * used as they are and changed too.
 *
 * The long form is 700,000 cases: five minutes, ten in a build with sanitizers.
 */
#include <fcntl.h>

#include "block/block.h"
#include "tests/fuzz/fuzz.h"
#include "util/bits.h"

enum {
    KEPT = 8 * MiB,
    CLUSTER = 512,
    DISK = 40 * CLUSTER,
    STATE = 5000,
    PARTS_MAX = 64,
    READ_MAX = 64 * KiB,
};

/* A table somewhere in an image. */
typedef struct Part {
    enum { HEADER, TABLE, L1, L2, COUNTS } kind;
    size_t offset, size;
} Part;

typedef struct Image {
    uint8_t *data;
    size_t size;
    Part parts[PARTS_MAX];
    unsigned n;
} Image;

typedef struct Fuzz {
    char *path;
    GPtrArray *images; /* Image */
} Fuzz;

/* -- where the parts of an image are -- */

static void part_add(Image *m, int kind, uint64_t offset, uint64_t size)
{
    offset &= 0x00fffffffffffe00;
    if (!size || offset >= m->size || size > m->size - offset || m->n == PARTS_MAX) return;
    m->parts[m->n++] = (Part){ .kind = kind, .offset = (size_t)offset, .size = (size_t)size };
}

static void parts_of_l1(Image *m, uint64_t offset, uint64_t entries, uint64_t cluster)
{
    part_add(m, L1, offset, entries * 8);
    for (uint64_t i = 0; i < entries && offset + 8 * i + 8 <= m->size; i++) {
        uint64_t l2 = load_be64(m->data + offset + 8 * i);

        if (l2) part_add(m, L2, l2, cluster);
    }
}

static void image_parts(Image *m)
{
    const uint8_t *d = m->data;
    uint64_t cluster = UINT64_C(1) << d[23], at = load_be64(d + 64), counts = load_be64(d + 48);

    part_add(m, HEADER, 0, 112);
    parts_of_l1(m, load_be64(d + 40), load_be32(d + 36), cluster);
    part_add(m, COUNTS, counts, cluster);
    part_add(m, COUNTS, load_be64(d + counts), cluster);
    part_add(m, TABLE, at, MIN_OF(m->size - at, UINT64_C(512)));
    for (uint32_t n = load_be32(d + 60); n && at + 40 <= m->size; n--) {
        const uint8_t *e = d + at;

        parts_of_l1(m, load_be64(e), load_be32(e + 8), cluster);
        at += 40 + load_be32(e + 36) + load_be16(e + 12) + load_be16(e + 14);
        at = (at + 7) / 8 * 8;
    }
}

static void image_add(Fuzz *f, uint8_t *data, size_t size)
{
    Image *m = g_new0(Image, 1);

    m->data = data;
    m->size = size;
    if (size > 112) image_parts(m);
    g_ptr_array_add(f->images, m);
}

/* -- the image that we make -- */

static void make_snapshot(BlockImage *img, const char *name, uint8_t byte, uint64_t state)
{
    SnapshotInfo info = { .vm_state_size = state, .icount = UINT64_MAX };
    uint8_t buf[STATE];
    Error err = ERROR_INIT;

    g_strlcpy(info.name, name, sizeof(info.name));
    memset(buf, byte, sizeof(buf));
    g_assert_cmpint(image_write(img, byte * CLUSTER, buf, 3 * CLUSTER), ==, 0);
    if (state) g_assert_cmpint(image_vmstate_write(img, 0, buf, state), ==, 0);
    g_assert_true(image_snapshot_create(img, &info, &err));
}

static void make_image(Fuzz *f)
{
    Options *o = options_parse("cluster_size=512", NULL, NULL);
    Error err = ERROR_INIT;
    BlockImage *img;
    char *data;
    gsize size;

    g_assert_true(image_create(f->path, "qcow2", DISK, o, &err));
    options_free(o);
    img = image_open(f->path, "qcow2", IMAGE_WRITABLE | IMAGE_UNSAFE, &err);
    g_assert_nonnull(img);
    make_snapshot(img, "one", 1, STATE);
    make_snapshot(img, "disk", 7, 0);
    make_snapshot(img, "two", 13, STATE / 2);
    image_close(img);
    g_assert_true(g_file_get_contents(f->path, &data, &size, NULL));
    image_add(f, (uint8_t *)data, size);
}

static char *corpus_dir(void)
{
    const char *src = g_getenv("SRCDIR");

    return g_build_filename(src ? src : ".", "tests/fuzz/corpus/snapshot", NULL);
}

static void fuzz_corpus(Fuzz *f)
{
    char *dir = corpus_dir();
    GDir *d = g_dir_open(dir, 0, NULL);
    const char *name;

    while (d && (name = g_dir_read_name(d))) {
        char *path = g_build_filename(dir, name, NULL), *data;
        gsize len;

        if (g_file_get_contents(path, &data, &len, NULL)) image_add(f, (uint8_t *)data, len);
        g_free(path);
    }
    if (d) g_dir_close(d);
    g_free(dir);
}

static void fuzz_new(Fuzz *f)
{
    const char *tmp = g_getenv("TMPDIR");
    char *name = g_strdup_printf("fuzz-snapshot-%d", (int)getpid());

    *f = (Fuzz){ .images = g_ptr_array_new() };
    f->path = g_build_filename(tmp ? tmp : "/tmp", name, NULL);
    g_free(name);
    make_image(f);
    fuzz_corpus(f);
}

static void fuzz_free(Fuzz *f)
{
    for (guint i = 0; i < f->images->len; i++) {
        Image *m = f->images->pdata[i];

        g_free(m->data);
        g_free(m);
    }
    g_ptr_array_free(f->images, TRUE);
    unlink(f->path);
    g_free(f->path);
}

/* -- changes -- */

/* Entries of a table: somewhere else in the file, the same as another one, other flags. */
static void mutate_entry(GRand *r, const Image *m, uint8_t *d, size_t size)
{
    uint8_t *e = d + 8 * fuzz_below(r, size / 8);
    uint64_t v = load_be64(e);

    switch (fuzz_below(r, 6)) {
    case 0: v = fuzz_below(r, m->size / CLUSTER + 2) * (uint64_t)CLUSTER; break;
    case 1: v = load_be64(d + 8 * fuzz_below(r, size / 8)); break;
    case 2: v ^= UINT64_C(1) << 63; break;
    case 3: v ^= fuzz_below(r, 4); break;
    case 4: v ^= UINT64_C(1) << 62; break;
    default: v = fuzz_integer(r);
    }
    store_be64(e, v);
}

/* A field of some entry of the table of snapshots, or of the header. */
static void mutate_field(GRand *r, const Image *m, uint8_t *d, size_t size, bool header)
{
    static const uint8_t in_entry[] = { 0, 8, 12, 14, 16, 24, 32, 36, 40, 48, 56 };
    static const uint8_t in_header[] = { 20, 24, 36, 40, 48, 56, 60, 64, 72, 80, 88, 96, 100, 104 };
    size_t at = header ? in_header[fuzz_below(r, ARRAY_SIZE(in_header))]
                       : in_entry[fuzz_below(r, ARRAY_SIZE(in_entry))];
    uint64_t v = fuzz_below(r, 3) ? fuzz_integer(r) : fuzz_below(r, m->size / CLUSTER) * 512ull;

    if (!header) at += 72 * (size_t)fuzz_below(r, 3);
    if (at + 8 > size) return;
    switch (fuzz_below(r, 4)) {
    case 0: store_be64(d + at, v); break;
    case 1: store_be16(d + at, (uint16_t)v); break;
    case 2: store_be32(d + at, fuzz_below(r, 64)); break;
    default: store_be32(d + at, (uint32_t)v);
    }
}

/* False where it was more than the table of snapshots. */
static bool mutate(GRand *r, const Image *m, uint8_t *data)
{
    const Part *p = m->n ? &m->parts[fuzz_below(r, m->n)] : NULL;
    uint8_t *d = p ? data + p->offset : data;

    if (!p || !fuzz_below(r, 12)) {
        fuzz_poke(r, data, m->size);
        return false;
    }
    switch (p->kind) {
    case HEADER:
        if (fuzz_below(r, 4))
            mutate_field(r, m, d, p->size, true);
        else
            fuzz_poke(r, d, MIN_OF(m->size, 512ul)); /* its extensions are behind it */
        break;
    case TABLE:
        if (fuzz_below(r, 4))
            mutate_field(r, m, d, p->size, false);
        else
            fuzz_poke(r, d, p->size);
        break;
    case L1:
    case L2: mutate_entry(r, m, d, p->size); break;
    case COUNTS:
        if (fuzz_below(r, 2))
            store_be16(d + 2 * fuzz_below(r, p->size / 2), (uint16_t)fuzz_below(r, 5));
        else
            fuzz_poke(r, d, p->size);
    }
    return p->kind == TABLE;
}

static void put_file(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    g_assert_true(fd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    close(fd);
}

/* -- what is done with it -- */

static void use_reads(BlockImage *img)
{
    uint8_t *buf = g_malloc(READ_MAX);

    for (unsigned k = 0; k < MIN_OF(image_snapshot_count(img), 8u); k++) {
        const SnapshotInfo *s = image_snapshot(img, k);
        GString *line = g_string_new(NULL);
        Error err = ERROR_INIT;

        image_snapshot_line(img, (int)k, line);
        g_string_free(line, TRUE);
        image_vmstate_read(img, k, 0, buf, (size_t)MIN_OF(s->vm_state_size, (uint64_t)READ_MAX));
        image_snapshot_read(img, k, 0, buf, (size_t)MIN_OF(s->disk_size, (uint64_t)READ_MAX));
        image_snapshot_check(img, k, &err);
    }
    image_read(img, 0, buf, (size_t)MIN_OF(image_size(img), (uint64_t)READ_MAX));
    g_free(buf);
}

/* What the guest sees, cluster by cluster, failures included. */
static char *use_content(BlockImage *img)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    uint64_t end = MIN_OF(image_size(img), (uint64_t)READ_MAX);
    char *text;

    for (uint64_t off = 0; off < end; off += CLUSTER) {
        uint8_t buf[CLUSTER] = { 0 };
        int ret = image_read(img, off, buf, (size_t)MIN_OF(end - off, (uint64_t)CLUSTER));

        g_checksum_update(sum, (const guchar *)&ret, sizeof(ret));
        if (!ret) g_checksum_update(sum, buf, sizeof(buf));
    }
    text = g_strdup(g_checksum_get_string(sum));
    g_checksum_free(sum);
    return text;
}

/* A goto that is refused has changed nothing that the guest or a later goto sees; where the
 * allocator has not been lied to. */
static void use_goto(BlockImage *img, unsigned k, unsigned number, bool sound)
{
    unsigned count = image_snapshot_count(img);
    Error err = ERROR_INIT;
    char *before = use_content(img), *after;

    if (!image_snapshot_goto(img, k, &err)) {
        g_assert_true(error_is_set(&err));
        after = use_content(img);
        if ((sound && strcmp(before, after)) || image_snapshot_count(img) != count)
            g_error("case %u: a refused snapshot has changed the disk: %s", number, err.msg);
        g_free(after);
    }
    g_free(before);
}

static void use_writes(BlockImage *img, unsigned number, GRand *r, bool sound)
{
    SnapshotInfo info = { .name = "new", .vm_state_size = 700, .icount = UINT64_MAX };
    uint8_t buf[700] = { 1, 2, 3 };

    for (unsigned n = 1 + fuzz_below(r, 4); n; n--) {
        unsigned count = image_snapshot_count(img), k = fuzz_below(r, count);
        Error err = ERROR_INIT;

        switch (fuzz_below(r, 5)) {
        case 0:
        case 1:
            if (count) use_goto(img, k, number, sound);
            break;
        case 2:
            if (count) image_snapshot_delete(img, k, &err);
            break;
        case 3:
            if (image_vmstate_write(img, 0, buf, sizeof(buf)) == 0)
                image_snapshot_create(img, &info, &err);
            break;
        default: image_write(img, 0, buf, (size_t)MIN_OF(image_size(img), sizeof(buf)));
        }
    }
}

static void use_check(Fuzz *f)
{
    ImageCheck check = { .messages = g_string_new(NULL) };
    Error err = ERROR_INIT;
    BlockImage *img = image_open(f->path, "qcow2", IMAGE_CHECK | IMAGE_NO_BACKING, &err);

    if (img && image_can_check(img)) image_check(img, &check, &err);
    if (img) image_close(img);
    g_string_free(check.messages, TRUE);
}

static void fuzz_use(
    Fuzz *f, const uint8_t *data, size_t size, unsigned number, GRand *r, bool sound)
{
    size_t before = fuzz_allocated(), after;
    Error err = ERROR_INIT;
    BlockImage *img;

    put_file(f->path, data, size);
    if (!fuzz_below(r, 4)) use_check(f); /* before it is written to, which ends some features */
    img = image_open(f->path, "qcow2", IMAGE_WRITABLE | IMAGE_UNSAFE | IMAGE_NO_BACKING, &err);
    after = fuzz_allocated();
    if (after > before + KEPT + 8 * size)
        g_error("case %u: %zu bytes allocated for %zu", number, after - before, size);
    if (img) {
        use_reads(img);
        use_writes(img, number, r, sound);
        image_close(img);
    } else {
        g_assert_true(error_is_set(&err));
    }
    if (!fuzz_below(r, 4)) use_check(f);
}

static void case_structured(void *opaque, unsigned number, GRand *r)
{
    Fuzz *f = opaque;
    const Image *m = f->images->pdata[fuzz_below(r, f->images->len)];
    uint8_t *data = g_memdup2(m->data, m->size);
    size_t size = m->size;
    bool sound = true;

    for (unsigned n = fuzz_below(r, 5); n; n--) sound &= mutate(r, m, data);
    if (!fuzz_below(r, 32)) {
        size = fuzz_below(r, size);
        sound = false;
    }
    fuzz_use(f, data, size, number, r, sound);
    g_free(data);
}

static void test_structured(void)
{
    Fuzz f;

    fuzz_new(&f);
    g_assert_cmpuint(f.images->len, >, 2);
    fuzz_run(case_structured, &f, 4000, 700000);
    fuzz_free(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fuzz/snapshot/structured", test_structured);
    return g_test_run();
}
