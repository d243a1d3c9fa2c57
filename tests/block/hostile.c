/* SPDX-License-Identifier: MIT */
/*
 * Images made to hurt: bad headers are refused with one clear line, bad tables fail requests, and
 * nothing that a file can hold crashes the program.
 */
#include <errno.h>

#include "tests/block/judge.h"

enum { DISK = 256 * KiB };

typedef struct Bad {
    const char *name;
    unsigned offset, bytes;
    uint64_t value;
    const char *says;
} Bad;

static const Bad bads[] = {
    { "version", 4, 4, 9, "Unsupported qcow2 version 9" },
    { "tiny-clusters", 20, 4, 8, "Unsupported cluster size" },
    { "huge-clusters", 20, 4, 63, "Unsupported cluster size" },
    { "encrypted", 32, 4, 1, "Encrypted" },
    { "backing-offset", 8, 8, 1ull << 40, "Invalid backing file offset" },
    { "backing-length", 8, 12, 0x0000000000001000ull, "Backing file name too long" },
    { "short-header", 100, 4, 8, "header too short" },
    { "long-header", 100, 4, 0x7fffffff, "header exceeds cluster size" },
    { "refcount-width", 96, 4, 7, "width too large" },
    { "feature", 72, 8, 1ull << 40, "Unsupported qcow2 feature(s)" },
    { "data-file", 72, 8, 4, "Unsupported qcow2 feature(s)" },
    { "corrupt", 72, 8, 2, "Image is corrupt; cannot be opened read/write" },
    { "size", 24, 8, UINT64_MAX, "too big" },
    { "size-2", 24, 8, 1ull << 62, "too big" },
    { "size-3", 24, 8, 1ull << 40, "L1 table is too small" },
    { "l1-size", 36, 4, 0xffffffff, "L1 table too large" },
    { "l1-none", 36, 4, 0, "L1 table is too small" },
    { "l1-offset", 40, 8, 0x12345, "L1 table offset invalid" },
    { "l1-offset-2", 40, 8, 1ull << 63, "L1 table offset invalid" },
    { "reftable-offset", 48, 8, 0x10001, "Reference count table offset invalid" },
    { "reftable-size", 56, 4, 0x7fffffff, "Reference count table too large" },
    { "reftable-none", 56, 4, 0, "does not contain a reference count table" },
    { "snapshots", 60, 4, 0x7fffffff, "Snapshot table too large" },
    { "snapshots-offset", 64, 8, 12345, "Snapshot table offset invalid" },
    { "magic", 0, 4, 0, "not in qcow2 format" },
};

static char *hostile_image(void)
{
    char *path = judge_path("hostile.qcow2");
    SnapshotInfo info = { .name = "one", .vm_state_size = 5000 };
    Options *o = options_parse("cluster_size=4k", NULL, NULL);
    uint8_t *p = g_malloc0(DISK);
    Error err = ERROR_INIT;
    BlockImage *img;

    g_assert_true(image_create(path, "qcow2", DISK, o, &err));
    options_free(o);
    img = judge_open(path, IMAGE_WRITABLE | IMAGE_UNSAFE);
    memset(p, 3, DISK / 2);
    g_assert_cmpint(image_write(img, 1000, p, DISK / 2), ==, 0);
    g_assert_cmpint(image_vmstate_write(img, 0, p, 5000), ==, 0);
    g_assert_true(image_snapshot_create(img, &info, &err));
    g_assert_cmpint(image_write_compressed(img, DISK / 2 + 8192, p, 4096), ==, 0);
    g_assert_cmpint(image_write(img, 50000, p, 20000), ==, 0);
    image_close(img);
    g_free(p);
    return path;
}

static void hostile_patch(const char *path, uint64_t offset, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "r+b");

    g_assert_nonnull(f);
    g_assert_cmpint(fseek(f, (long)offset, SEEK_SET), ==, 0);
    g_assert_cmpuint(fwrite(bytes, 1, n, f), ==, n);
    fclose(f);
}

static void test_header(gconstpointer opaque)
{
    const Bad *b = opaque;
    char *path = hostile_image();
    Error err = ERROR_INIT;
    uint8_t bytes[12];

    store_be32(bytes, 0);
    if (b->bytes == 12) { /* offset and length at once */
        store_be64(bytes, b->value);
        store_be32(bytes + 8, 0x7fffffff);
    } else if (b->bytes == 8) {
        store_be64(bytes, b->value);
    } else {
        store_be32(bytes, (uint32_t)b->value);
    }
    hostile_patch(path, b->offset, bytes, b->bytes);
    g_assert_null(image_open(path, "qcow2", IMAGE_WRITABLE, &err));
    g_assert_nonnull(strstr(err.msg, b->says));
    g_assert_nonnull(strstr(err.msg, path));
    g_assert_null(strchr(err.msg, '\n'));
    g_unlink(path);
    g_free(path);
}

/* Everything that can be done to an image; only must come back. */
static void hostile_use(const char *path)
{
    BlockImage *img =
        image_open(path, "qcow2", IMAGE_WRITABLE | IMAGE_UNSAFE | IMAGE_NO_BACKING, NULL);
    ImageCheck check = { .messages = g_string_new(NULL) };
    uint8_t *buf = g_malloc0(DISK);
    size_t n;

    if (img && image_size(img) > 0 && image_size(img) < 1ull << 32) {
        n = MIN_OF(image_size(img), (size_t)DISK);
        image_read(img, 0, buf, n);
        image_write(img, 0, buf, n / 3);
        image_write_zeroes(img, n / 2, n / 4);
        if (image_snapshot_count(img)) {
            image_vmstate_read(img, 0, 0, buf, 5000);
            image_snapshot_check(img, 0, NULL);
            image_snapshot_goto(img, 0, NULL);
            image_snapshot_delete(img, 0, NULL);
        }
        image_vmstate_write(img, 0, buf, 9000);
        image_snapshot_create(img, &(SnapshotInfo){ .name = "x" }, NULL);
        image_vmstate_discard(img, NULL);
        image_check(img, &check, NULL);
        image_flush(img);
    }
    image_close(img);
    g_free(buf);
    g_string_free(check.messages, TRUE);
}

/* Without the fsync of g_file_set_contents. */
static void hostile_write(const char *path, const char *data, size_t n)
{
    FILE *f;

    g_unlink(path); /* cutting an old file makes some file systems write it out at once */
    f = fopen(path, "wb");
    g_assert_nonnull(f);
    g_assert_cmpuint(fwrite(data, 1, n, f), ==, n);
    fclose(f);
}

/* Random damage, most of it where the tables are. */
static void test_damage(void)
{
    char *path = hostile_image(), *copy = judge_path("damaged.qcow2"), *data;
    unsigned rounds = g_test_slow() ? 20000 : 1500;
    uint32_t seed = 4711;
    size_t size;

    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    for (unsigned i = 0; i < rounds; i++) {
        char *bad = g_memdup2(data, size);

        for (unsigned k = judge_random(&seed) % 6; k < 7; k++) {
            uint32_t cluster = judge_random(&seed) % (uint32_t)(size / 4096);
            uint32_t at =
                judge_random(&seed) % 4 ? judge_random(&seed) % 120 : judge_random(&seed) % 4096;

            bad[cluster * 4096 + at] = (char)(judge_random(&seed) % 3 ? judge_random(&seed) : 0xff);
        }
        if (i % 4) memcpy(bad, data, 24); /* most of them get past the magic */
        hostile_write(copy, bad, size);
        hostile_use(copy);
        g_free(bad);
    }
    g_free(data);
    g_unlink(copy);
    g_unlink(path);
    g_free(copy);
    g_free(path);
}

static void test_truncated(void)
{
    char *path = hostile_image(), *copy = judge_path("cut.qcow2"), *data;
    size_t size;

    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    for (size_t n = 0; n < size; n += n < 600 ? 7 : 1111) {
        hostile_write(copy, data, n);
        hostile_use(copy);
    }
    g_free(data);
    g_unlink(copy);
    g_unlink(path);
    g_free(copy);
    g_free(path);
}

/* An image that is its own backing file. */
static void test_circle(void)
{
    char *path = judge_path("circle.qcow2");
    Options *o = options_new();
    Error err = ERROR_INIT;

    options_set(o, "backing_file", path);
    options_set(o, "backing_fmt", "qcow2");
    g_assert_true(image_create(path, "qcow2", DISK, o, &err));
    options_free(o);
    g_assert_null(image_open(path, NULL, 0, &err));
    g_assert_nonnull(strstr(err.msg, "circle"));
    g_unlink(path);
    g_free(path);
}

/* A guest turns its raw disk, whose format nobody named, into a qcow2 image with a backing file. */
static void test_forged(void)
{
    char *path = judge_path("forged.raw");
    uint8_t sector[512] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 3 };
    BlockImage *img;

    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    img = judge_open(path, IMAGE_WRITABLE);
    g_assert_true(image_resize(img, 1 * MiB, NULL));
    g_assert_cmpint(image_write(img, 0, sector, 512), ==, -EPERM);
    g_assert_cmpint(image_write(img, 0, sector, 4), ==, 0);
    g_assert_cmpint(image_write(img, 4, sector + 4, 4), ==, -EPERM);
    g_assert_cmpint(image_write(img, 512, sector, 512), ==, 0);
    image_close(img);
    img = image_open(path, "raw", IMAGE_WRITABLE, NULL); /* somebody said so */
    g_assert_cmpint(image_write(img, 0, sector, 512), ==, 0);
    image_close(img);
    g_unlink(path);
    g_free(path);
}

/* A dirty image (lazy reference counts, not closed) is repaired when it is opened to be written. */
static void test_dirty(void)
{
    char *path, *out;
    BlockImage *img;

    if (!judge_there()) return;
    path = judge_path("dirty.qcow2");
    g_assert_cmpint(
        judge_run(NULL, "qemu-img create -q -f qcow2 -o lazy_refcounts=on '%s' 4M", path), ==, 0);
    judge_run(NULL, "qemu-io -c 'write -P 5 0 1M' -c flush -c abort '%s'", path);
    g_assert_cmpint(judge_run(&out, "qemu-img info -U '%s'", path), ==, 0);
    g_free(out);
    img = judge_open(path, 0);
    g_assert_true(image_is_dirty(img));
    image_close(img);
    img = judge_open(path, IMAGE_WRITABLE);
    g_assert_false(image_is_dirty(img));
    image_close(img);
    JUDGE_CLEAN(path);
    g_assert_cmpint(
        judge_run(NULL, "qemu-io -c 'read -P 5 0 1M' '%s' | grep -q 'read 1048576/1048576'", path),
        ==, 0);
    g_unlink(path);
    g_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(bads); i++) {
        char *name = g_strdup_printf("/block/hostile/header/%s", bads[i].name);

        g_test_add_data_func(name, &bads[i], test_header);
        g_free(name);
    }
    g_test_add_func("/block/hostile/damage", test_damage);
    g_test_add_func("/block/hostile/truncated", test_truncated);
    g_test_add_func("/block/hostile/circle", test_circle);
    g_test_add_func("/block/hostile/forged", test_forged);
    g_test_add_func("/block/hostile/dirty", test_dirty);
    return g_test_run();
}
