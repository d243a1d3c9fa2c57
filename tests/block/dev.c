/* SPDX-License-Identifier: MIT */
/* Drives: order, completion on the context, waiting, draining, media, overlays, hand-over. */
#include <errno.h>

#include "tests/block/judge.h"

typedef struct Log {
    GArray *order; /* of unsigned */
    GMainContext *ctx;
    GThread *thread;
} Log;

typedef struct Tagged {
    BlockReq req;
    Log *log;
    unsigned tag;
} Tagged;

static BlockDev *dev_new(GMainContext *ctx, const char *opts, bool no_lock)
{
    Options *o = options_parse(opts, NULL, NULL);
    Error err = ERROR_INIT;
    BlockDev *bd = block_dev_new(ctx, "hd0", o, no_lock, &err);

    if (!bd) g_printerr("%s\n", err.msg);
    g_assert_nonnull(bd);
    g_assert_true(options_check_used(o, "drive", &err));
    options_free(o);
    return bd;
}

static char *dev_image(const char *name, uint64_t size)
{
    char *path = judge_path(name);
    Options *o = options_new();

    g_assert_true(
        image_create(path, g_str_has_suffix(name, "raw") ? "raw" : "qcow2", size, o, NULL));
    options_free(o);
    return path;
}

static char *dev_opts(const char *path, const char *more)
{
    return g_strdup_printf("file=%s%s", path, more);
}

static void tagged_done(BlockReq *req)
{
    Tagged *t = container_of(req, Tagged, req);

    g_assert_true(g_thread_self() == t->log->thread);
    g_array_append_val(t->log->order, t->tag);
}

static void test_order(void)
{
    GMainContext *ctx = g_main_context_new();
    char *path = dev_image("dev.qcow2", 4 * MiB), *opts = dev_opts(path, ",if=ide,index=0");
    BlockDev *bd = dev_new(ctx, opts, false);
    Log log = { g_array_new(FALSE, FALSE, sizeof(unsigned)), ctx, g_thread_self() };
    uint8_t buf[64][512];
    Tagged t[64];

    for (unsigned i = 0; i < 64; i++) {
        memset(buf[i], (int)i, 512);
        t[i] = (Tagged){ .log = &log, .tag = i };
        t[i].req = (BlockReq){ .op = i % 16 == 15 ? BLOCK_FLUSH : BLOCK_WRITE,
            .off = 1000 * i,
            .buf = buf[i],
            .len = i % 16 == 15 ? 0 : 512,
            .done = tagged_done };
        block_submit(bd, &t[i].req);
    }
    g_assert_cmpuint(log.order->len, ==, 0); /* nothing completes behind our back */
    while (log.order->len < 64) g_main_context_iteration(ctx, TRUE);
    for (unsigned i = 0; i < 64; i++) {
        g_assert_cmpuint(g_array_index(log.order, unsigned, i), ==, i);
        g_assert_cmpint(t[i].req.ret, ==, 0);
    }
    g_assert_cmpuint(block_dev_stats(bd)->wr_ops, ==, 60);
    g_assert_cmpuint(block_dev_stats(bd)->wr_bytes, ==, 60 * 512);
    g_assert_cmpuint(block_dev_stats(bd)->flush_ops, ==, 4);
    block_dev_free(bd);
    g_array_free(log.order, TRUE);
    g_main_context_unref(ctx);
    g_unlink(path);
    g_free(path);
    g_free(opts);
}

static void test_wait_and_drain(void)
{
    GMainContext *ctx = g_main_context_new();
    char *path = dev_image("dev.raw", 1 * MiB), *opts = dev_opts(path, ",format=raw,cache=none");
    BlockDev *bd = dev_new(ctx, opts, false);
    Log log = { g_array_new(FALSE, FALSE, sizeof(unsigned)), ctx, g_thread_self() };
    uint8_t a[512], b[512], c[512];
    Tagged w = { .log = &log, .tag = 1 }, r = { .log = &log, .tag = 2 },
           x = { .log = &log, .tag = 3 };

    memset(a, 0x5a, 512);
    w.req = (BlockReq){ .op = BLOCK_WRITE, .off = 512, .buf = a, .len = 512, .done = tagged_done };
    r.req = (BlockReq){ .op = BLOCK_READ, .off = 512, .buf = b, .len = 512, .done = tagged_done };
    x.req = (BlockReq){ .op = BLOCK_READ, .off = MiB, .buf = c, .len = 512, .done = tagged_done };
    block_submit(bd, &w.req);
    block_submit(bd, &r.req);
    block_submit(bd, &x.req);
    block_wait(&r.req);
    g_assert_cmpuint(log.order->len, ==, 1); /* its done() and no other */
    g_assert_cmpuint(g_array_index(log.order, unsigned, 0), ==, 2);
    g_assert_cmpmem(a, 512, b, 512);
    block_drain(bd);
    g_assert_cmpuint(log.order->len, ==, 3);
    g_assert_cmpint(x.req.ret, ==, -EINVAL); /* behind the end */
    while (g_main_context_iteration(ctx, FALSE)) continue;
    g_assert_cmpuint(log.order->len, ==, 3); /* once each */
    block_dev_free(bd);
    g_array_free(log.order, TRUE);
    g_main_context_unref(ctx);
    g_unlink(path);
    g_free(path);
    g_free(opts);
}

static void dev_note_size(BlockImage *img, void *opaque)
{
    *(uint64_t *)opaque = img ? image_size(img) : 1;
}

/* What was written and never flushed is in the file a second later: a kill does not lose it. */
static void test_idle(void)
{
    GMainContext *ctx = g_main_context_new();
    char *path = dev_image("idle.qcow2", 1 * MiB), *opts = dev_opts(path, ",format=qcow2"), got[3];
    BlockDev *bd = dev_new(ctx, opts, false);
    BlockReq req = { .op = BLOCK_WRITE, .off = 4096, .len = 3, .buf = (void *)(uintptr_t) "abc" };
    bool there = false;

    block_submit(bd, &req);
    block_wait(&req);
    for (unsigned i = 0; i < 100 && !there; i++) {
        BlockImage *img = judge_open(path, IMAGE_NO_LOCK);

        g_usleep(100 * 1000);
        g_assert_cmpint(image_read(img, 4096, got, 3), ==, 0);
        there = !memcmp(got, "abc", 3);
        image_close(img);
    }
    g_assert_true(there);
    block_dev_free(bd);
    g_main_context_unref(ctx);
    g_unlink(path);
    g_free(path);
    g_free(opts);
}

typedef struct Seen {
    unsigned changes;
    bool medium;
} Seen;

static void dev_changed(void *opaque, bool medium)
{
    ((Seen *)opaque)->changes++;
    ((Seen *)opaque)->medium = medium;
}

static void test_media(void)
{
    static const BlockMediaOps ops = { .changed = dev_changed };
    GMainContext *ctx = g_main_context_new();
    char *path = dev_image("cd.raw", 64 * KiB);
    BlockDev *bd = dev_new(ctx, "media=cdrom,if=ide,index=2", false);
    GString *text = g_string_new(NULL);
    Error err = ERROR_INIT;
    BlockReq req = { .op = BLOCK_READ, .len = 512, .buf = g_malloc(512) };
    Seen seen = { 0 };
    uint64_t size = 0;

    g_assert_true(block_dev_removable(bd));
    g_assert_false(block_dev_has_medium(bd));
    g_assert_cmpstr(block_dev_option(bd, "media"), ==, "cdrom");
    g_assert_false(block_dev_inserted_info(bd, text, false));
    g_assert_cmpstr(text->str, ==, "[not inserted]");
    block_submit(bd, &req);
    block_wait(&req);
    g_assert_cmpint(req.ret, ==, -ENOMEDIUM);
    block_call_sync(bd, dev_note_size, &size);
    g_assert_cmpuint(size, ==, 1);
    block_dev_attach(bd, &ops, &seen);
    g_assert_false(block_dev_change(bd, "/nonexistent/x", NULL, true, &err));
    g_assert_nonnull(strstr(err.msg, "/nonexistent/x"));
    g_assert_cmpuint(seen.changes, ==, 0);
    error_clear(&err);
    g_assert_true(block_dev_change(bd, path, "raw", true, &err));
    g_assert_true(seen.medium);
    g_assert_false(block_dev_writable(bd));
    g_assert_cmpuint(block_dev_size(bd), ==, 64 * KiB);
    g_string_truncate(text, 0);
    g_assert_true(block_dev_inserted_info(bd, text, false));
    g_assert_true(g_str_has_suffix(text->str, "cd.raw (raw, read-only)"));
    req = (BlockReq){ .op = BLOCK_WRITE, .len = 512, .buf = req.buf };
    block_submit(bd, &req);
    block_wait(&req);
    g_assert_cmpint(req.ret, ==, -EROFS);
    g_assert_true(block_dev_change(bd, NULL, NULL, false, &err));
    g_assert_false(seen.medium);
    block_dev_free(bd);
    g_string_free(text, TRUE);
    g_free(req.buf);
    g_main_context_unref(ctx);
    g_unlink(path);
    g_free(path);
}

static void dev_save(BlockImage *img, void *opaque)
{
    SnapshotInfo info = { .name = "kept", .vm_state_size = 3, .icount = UINT64_MAX };

    g_assert_cmpint(image_vmstate_write(img, 0, "abc", 3), ==, 0);
    *(bool *)opaque = image_snapshot_create(img, &info, NULL);
}

/* snapshot=on: the file stays as it is, the overlay takes writes and snapshots. */
static void test_overlay(void)
{
    GMainContext *ctx = g_main_context_new();
    char *path = dev_image("base.raw", 256 * KiB),
         *opts = dev_opts(path, ",format=raw,snapshot=on");
    char *before, *after;
    BlockDev *bd = dev_new(ctx, opts, false);
    BlockReq req = { .op = BLOCK_WRITE, .off = 1024, .len = 3, .buf = (void *)(uintptr_t) "xyz" };
    bool saved = false;
    size_t n;
    char got[3];

    g_assert_true(g_file_get_contents(path, &before, &n, NULL));
    g_assert_true(block_dev_writable(bd));
    g_assert_true(image_can_snapshot(block_dev_image(bd)));
    g_assert_cmpstr(image_filename(block_dev_image(bd)), ==, path);
    block_submit(bd, &req);
    block_wait(&req);
    g_assert_cmpint(req.ret, ==, 0);
    block_call_sync(bd, dev_save, &saved);
    g_assert_true(saved);
    g_assert_cmpint(image_read(block_dev_image(bd), 1024, got, 3), ==, 0);
    g_assert_cmpmem(got, 3, "xyz", 3);
    block_dev_free(bd);
    g_assert_true(g_file_get_contents(path, &after, &n, NULL));
    g_assert_cmpmem(before, n, after, n);
    g_free(before);
    g_free(after);
    g_main_context_unref(ctx);
    g_unlink(path);
    g_free(path);
    g_free(opts);
}

static void dev_digest(BlockImage *img, void *opaque)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);

    g_assert_true(image_digest(img, sum, NULL));
    *(char **)opaque = g_strdup(g_checksum_get_string(sum));
    g_checksum_free(sum);
}

/* Equal content, equal digest: raw and qcow2, zeroes written and never written. */
static void test_digest(void)
{
    GMainContext *ctx = g_main_context_new();
    char *path[2] = { dev_image("sum.raw", 3 * MiB), dev_image("sum.qcow2", 3 * MiB) }, *sum[3];
    uint8_t buf[3000];

    for (unsigned i = 0; i < 2; i++) {
        char *opts = dev_opts(path[i], i ? ",format=qcow2" : ",format=raw");
        BlockDev *bd = dev_new(ctx, opts, false);
        BlockReq req = { .op = BLOCK_WRITE, .off = 70000, .buf = buf, .len = sizeof(buf) };
        BlockReq zero = { .op = BLOCK_ZERO, .off = MiB, .len = 300000 };

        memset(buf, 9, sizeof(buf));
        block_submit(bd, &req);
        if (i) block_submit(bd, &zero);
        block_drain(bd);
        block_call_sync(bd, dev_digest, &sum[i]);
        if (i) {
            buf[0] = 8;
            block_submit(bd, &req);
            block_drain(bd);
            block_call_sync(bd, dev_digest, &sum[2]);
        }
        block_dev_free(bd);
        g_free(opts);
        g_unlink(path[i]);
        g_free(path[i]);
    }
    g_assert_cmpstr(sum[0], ==, sum[1]);
    g_assert_cmpstr(sum[1], !=, sum[2]);
    for (unsigned i = 0; i < 3; i++) g_free(sum[i]);
    g_main_context_unref(ctx);
}

static void test_bad_options(void)
{
    static const char *const bad[] = { "file=/nonexistent/x.qcow2", "file=/dev/null,format=nosuch",
        "readonly=maybe", "cache=hot" };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        Options *o = options_parse(bad[i], NULL, NULL);
        Error err = ERROR_INIT;

        g_assert_null(block_dev_new(NULL, "x", o, false, &err));
        g_assert_cmpstr(err.msg, !=, "");
        options_free(o);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/block/dev/order", test_order);
    g_test_add_func("/block/dev/wait-and-drain", test_wait_and_drain);
    g_test_add_func("/block/dev/idle", test_idle);
    g_test_add_func("/block/dev/media", test_media);
    g_test_add_func("/block/dev/overlay", test_overlay);
    g_test_add_func("/block/dev/digest", test_digest);
    g_test_add_func("/block/dev/bad-options", test_bad_options);
    return g_test_run();
}
