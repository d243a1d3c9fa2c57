/* SPDX-License-Identifier: MIT */
/* Who may have an image open beside whom: we beside ourselves, qemu-img and qemu-io beside us. */
#include <unistd.h>

#include "tests/block/judge.h"

static char *lock_image(void)
{
    char *path = judge_path("lock.qcow2");
    Options *o = options_new();

    g_assert_true(image_create(path, "qcow2", 4 * MiB, o, NULL));
    options_free(o);
    return path;
}

static void lock_refused(const char *path, int flags, const char *which)
{
    Error err = ERROR_INIT;
    char *want = g_strdup_printf("Failed to get %s lock", which);
    char *whose = g_strdup_printf("Is another process using the image [%s]?", path);

    g_assert_null(image_open(path, NULL, flags, &err));
    g_assert_nonnull(strstr(err.msg, want));
    g_assert_nonnull(strstr(err.msg, whose));
    g_assert_null(strchr(err.msg, '\n'));
    g_free(want);
    g_free(whose);
}

static void test_among_us(void)
{
    char *path = lock_image();
    BlockImage *writer = judge_open(path, IMAGE_WRITABLE), *reader;

    lock_refused(path, IMAGE_WRITABLE, "\"write\"");
    lock_refused(path, 0, "shared \"write\"");
    reader = judge_open(path, IMAGE_NO_LOCK);
    image_close(reader);
    image_close(writer);
    reader = judge_open(path, 0);
    image_close(judge_open(path, 0));
    lock_refused(path, IMAGE_WRITABLE, "\"write\"");
    image_close(reader);
    image_close(judge_open(path, IMAGE_WRITABLE));
    g_unlink(path);
    g_free(path);
}

static void test_judge_beside_us(void)
{
    char *path, *out;
    BlockImage *img;

    if (!judge_there()) return;
    path = lock_image();
    img = judge_open(path, IMAGE_WRITABLE);
    g_assert_cmpint(judge_run(&out, "qemu-img snapshot -c x '%s'", path), ==, 1);
    g_assert_nonnull(strstr(out, "Failed to get \"write\" lock"));
    g_free(out);
    g_assert_cmpint(judge_run(&out, "qemu-img info '%s'", path), ==, 1);
    g_assert_nonnull(strstr(out, "Failed to get shared \"write\" lock"));
    g_free(out);
    g_assert_cmpint(judge_run(NULL, "qemu-img info -U '%s'", path), ==, 0);
    image_close(img);
    img = judge_open(path, 0);
    g_assert_cmpint(judge_run(NULL, "qemu-img info '%s'", path), ==, 0);
    g_assert_cmpint(judge_run(NULL, "qemu-img snapshot -c x '%s'", path), ==, 1);
    image_close(img);
    g_assert_cmpint(judge_run(NULL, "qemu-img snapshot -c x '%s'", path), ==, 0);
    g_unlink(path);
    g_free(path);
}

/* Runs body while qemu-io has the image open. */
static void lock_with_judge(const char *path, bool read_only, void (*body)(const char *))
{
    char *argv[] = { (char *)"qemu-io", (char *)"-f", (char *)"qcow2", (char *)path,
        read_only ? (char *)"-r" : NULL, NULL };
    int in, out;
    GPid pid;
    char c;

    g_assert_true(g_spawn_async_with_pipes(NULL, argv, NULL,
        G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, &in, &out, NULL, NULL));
    g_assert_cmpint(write(in, "length\n", 7), ==, 7);
    g_assert_cmpint(read(out, &c, 1), ==, 1);                  /* it answers: the image is open */
    while (c != 'M') g_assert_cmpint(read(out, &c, 1), ==, 1); /* "4 MiB" */
    body(path);
    close(in);
    close(out);
    waitpid(pid, NULL, 0);
}

static void lock_beside_writer(const char *path)
{
    lock_refused(path, IMAGE_WRITABLE, "\"write\"");
    lock_refused(path, 0, "shared \"write\"");
}

static void lock_beside_reader(const char *path)
{
    image_close(judge_open(path, 0));
    lock_refused(path, IMAGE_WRITABLE, "\"write\"");
}

static void test_we_beside_judge(void)
{
    char *path;

    if (!judge_there()) return;
    path = lock_image();
    lock_with_judge(path, false, lock_beside_writer);
    lock_with_judge(path, true, lock_beside_reader);
    g_unlink(path);
    g_free(path);
}

/* A base that is shared by two overlays, and cannot be written meanwhile. */
static void test_backing(void)
{
    char *base = lock_image(), *top = judge_path("lock-top.qcow2");
    Options *o = options_new();
    BlockImage *img;

    options_set(o, "backing_file", base);
    options_set(o, "backing_fmt", "qcow2");
    g_assert_true(image_create(top, "qcow2", UINT64_MAX, o, NULL));
    options_free(o);
    img = judge_open(top, IMAGE_WRITABLE);
    lock_refused(base, IMAGE_WRITABLE, "\"write\"");
    image_close(judge_open(base, 0));
    image_close(img);
    g_unlink(top);
    g_unlink(base);
    g_free(top);
    g_free(base);
}

/* The two ends of a migration: one gives the image up, the other takes it and sees all. */
static void test_hand_over(void)
{
    char *path = lock_image(), got[512], want[512];
    BlockImage *from = judge_open(path, IMAGE_WRITABLE);
    BlockImage *to = judge_open(path, IMAGE_WRITABLE | IMAGE_NO_LOCK);
    SnapshotInfo info = { .name = "s" };
    Error err = ERROR_INIT;

    memset(want, 7, sizeof(want));
    g_assert_cmpint(image_write(to, 0, want, 512), <, 0); /* not ours yet */
    g_assert_cmpint(image_write(from, 2 * MiB, want, 512), ==, 0);
    g_assert_true(image_snapshot_create(from, &info, &err));
    g_assert_cmpint(image_write(from, 512, want, 512), ==, 0);
    g_assert_false(image_activate(to, &err)); /* the source still has it */
    error_clear(&err);
    g_assert_true(image_inactivate(from, &err));
    g_assert_cmpint(image_write(from, 0, want, 512), <, 0);
    g_assert_cmpint(image_read(from, 2 * MiB, got, 512), ==, 0);
    g_assert_cmpmem(got, 512, want, 512);
    g_assert_true(image_activate(to, &err));
    g_assert_cmpuint(image_snapshot_count(to), ==, 1);
    g_assert_cmpint(image_read(to, 512, got, 512), ==, 0);
    g_assert_cmpmem(got, 512, want, 512);
    g_assert_cmpint(image_write(to, 1 * MiB, want, 512), ==, 0);
    g_assert_false(image_activate(from, NULL));
    image_close(from); /* must not write what it remembers */
    image_close(to);
    if (judge_there()) JUDGE_CLEAN(path);
    g_unlink(path);
    g_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/block/lock/among-us", test_among_us);
    g_test_add_func("/block/lock/judge-beside-us", test_judge_beside_us);
    g_test_add_func("/block/lock/we-beside-judge", test_we_beside_judge);
    g_test_add_func("/block/lock/backing", test_backing);
    g_test_add_func("/block/lock/hand-over", test_hand_over);
    return g_test_run();
}
