/* SPDX-License-Identifier: MIT */
/*
 * Random operations on qcow2 images of every kind against a model in memory, with qemu-img as the
 * judge of structure and content, and with qemu-img working on the same image in between.
 * TEST-TIMEOUT: 600
 */
#include <unistd.h>

#include "tests/block/judge.h"

enum { MAX_STATE = 300 * KiB, BATCH = 40 };

typedef struct Snap {
    char id[128];
    uint8_t *data, *state;
    size_t size, state_size;
} Snap;

typedef struct Model {
    char *path, *base;
    BlockImage *img;
    uint8_t *data;
    size_t size;
    GPtrArray *snaps;
    uint32_t seed;
    unsigned taken;
    bool can_snapshot;
} Model;

typedef struct Kind {
    const char *name, *opts;
    bool ours, backing, narrow; /* narrow: counts too small for a snapshot */
    uint32_t size;
} Kind;

static const Kind kinds[] = {
    { "default", "", .ours = true, .size = 5 * MiB },
    { "512", "cluster_size=512", .size = 700 * KiB },
    { "512-ours", "cluster_size=512,refcount_bits=64", .ours = true, .size = 300 * KiB },
    { "4k", "cluster_size=4k", .backing = true, .size = 5 * MiB },
    { "2M", "cluster_size=2M", .size = 9 * MiB },
    { "v2", "compat=0.10", .backing = true, .size = 3 * MiB },
    { "v2-4k", "compat=0.10,cluster_size=4k", .ours = true, .size = 3 * MiB },
    { "bits1", "refcount_bits=1,cluster_size=4k", .narrow = true, .size = 2 * MiB },
    { "bits2", "refcount_bits=2,cluster_size=1k", .narrow = true, .size = 1 * MiB },
    { "bits4", "refcount_bits=4,cluster_size=4k", .size = 2 * MiB },
    { "bits8", "refcount_bits=8,cluster_size=4k", .ours = true, .size = 2 * MiB },
    { "bits32", "refcount_bits=32,cluster_size=2k", .size = 2 * MiB },
    { "bits64", "refcount_bits=64,cluster_size=16k", .size = 2 * MiB },
    { "lazy", "lazy_refcounts=on,cluster_size=8k", .size = 2 * MiB },
    { "extended", "extended_l2=on,cluster_size=32k", .backing = true, .size = 3 * MiB },
    { "extended-ours", "extended_l2=on,cluster_size=16k", .ours = true, .size = 2 * MiB },
    { "metadata", "preallocation=metadata,cluster_size=16k", .size = 2 * MiB },
    { "metadata-ours", "preallocation=metadata,cluster_size=8k", .ours = true, .size = 2 * MiB },
    { "backing", "cluster_size=64k", .ours = true, .backing = true, .size = 3 * MiB + 512 * 3 },
};

static uint32_t model_random(Model *m, uint32_t below) { return judge_random(&m->seed) % below; }

static void snap_free(void *p)
{
    Snap *s = p;

    g_free(s->data);
    g_free(s->state);
    g_free(s);
}

static void model_fill(Model *m, uint8_t *p, size_t n)
{
    uint32_t how = model_random(m, 4);

    if (how == 0) {
        memset(p, 0, n);
    } else if (how == 1) {
        memset(p, (int)model_random(m, 256), n);
    } else {
        for (size_t i = 0; i < n; i++) p[i] = (uint8_t)judge_random(&m->seed);
    }
}

static void model_range(Model *m, uint64_t *off, size_t *len)
{
    *off = model_random(m, (uint32_t)m->size);
    *len = 1 + model_random(m, model_random(m, 3) ? 9000 : 400000);
    if (model_random(m, 2)) *off = align_down(*off, 4096);
    *len = MIN_OF(*len, m->size - *off);
}

static void model_write(Model *m)
{
    uint64_t off;
    size_t len;

    model_range(m, &off, &len);
    model_fill(m, m->data + off, len);
    g_assert_cmpint(image_write(m->img, off, m->data + off, len), ==, 0);
}

static void model_zero(Model *m)
{
    uint64_t off;
    size_t len;

    model_range(m, &off, &len);
    memset(m->data + off, 0, len);
    g_assert_cmpint(image_write_zeroes(m->img, off, len), ==, 0);
}

static void model_read(Model *m)
{
    uint8_t *buf;
    uint64_t off;
    size_t len;

    model_range(m, &off, &len);
    buf = g_malloc(len);
    g_assert_cmpint(image_read(m->img, off, buf, len), ==, 0);
    g_assert_cmpmem(buf, len, m->data + off, len);
    g_free(buf);
}

static void model_compressed(Model *m)
{
    uint64_t cluster = image_cluster_size(m->img);
    uint64_t off = align_down(model_random(m, (uint32_t)m->size), cluster);
    size_t len = MIN_OF(cluster, m->size - off);

    model_fill(m, m->data + off, len);
    g_assert_cmpint(image_write_compressed(m->img, off, m->data + off, len), ==, 0);
}

/* Writes VM state in pieces, a few of them twice. */
static uint8_t *model_state(Model *m, size_t *size)
{
    uint8_t *state;

    *size = model_random(m, 4) ? 1 + model_random(m, MAX_STATE) : 0;
    state = g_malloc(*size + 1);
    for (size_t at = 0; at < *size;) {
        size_t n = 1 + model_random(m, 32768);

        n = MIN_OF(n, *size - at);
        model_fill(m, state + at, n);
        g_assert_cmpint(image_vmstate_write(m->img, at, state + at, n), ==, 0);
        at += n;
    }
    return state;
}

static void model_snapshot(Model *m)
{
    SnapshotInfo info = { .date_s = 1000 + m->taken, .vm_clock_ns = 77, .icount = UINT64_MAX };
    Error err = ERROR_INIT;
    Snap *s;

    if (!m->can_snapshot || m->snaps->len >= 6) return;
    s = g_new0(Snap, 1);
    s->state = model_state(m, &s->state_size);
    info.vm_state_size = s->state_size;
    snprintf(info.name, sizeof(info.name), "snap%u", m->taken++ % 4);
    if (!image_snapshot_create(m->img, &info, &err)) g_printerr("%s\n", err.msg);
    g_assert_cmpstr(err.msg, ==, "");
    memcpy(s->id, info.id, sizeof(s->id));
    s->size = m->size;
    s->data = g_malloc(m->size);
    memcpy(s->data, m->data, m->size);
    g_ptr_array_add(m->snaps, s);
}

static void model_give_up_state(Model *m)
{
    Error err = ERROR_INIT;
    size_t size;

    g_free(model_state(m, &size));
    g_assert_true(image_vmstate_discard(m->img, &err));
}

static unsigned model_index(Model *m, unsigned n)
{
    const Snap *s = g_ptr_array_index(m->snaps, n);

    for (unsigned i = 0; i < image_snapshot_count(m->img); i++) {
        if (!strcmp(image_snapshot(m->img, i)->id, s->id)) return i;
    }
    g_assert_not_reached();
}

static void model_become(Model *m, const Snap *s)
{
    m->size = s->size;
    m->data = g_realloc(m->data, m->size);
    memcpy(m->data, s->data, m->size);
}

/* To a snapshot, and either back as if nothing had been, or for good. */
static void model_switch(Model *m)
{
    Error err = ERROR_INIT;
    const Snap *s;
    unsigned n;

    if (!m->snaps->len) return;
    n = model_random(m, m->snaps->len);
    s = g_ptr_array_index(m->snaps, n);
    g_assert_true(image_snapshot_switch(m->img, model_index(m, n), &err));
    if (model_random(m, 2)) {
        g_assert_true(image_snapshot_switch_back(m->img, &err));
    } else {
        image_snapshot_switch_keep(m->img);
        model_become(m, s);
    }
    g_assert_cmpuint(image_size(m->img), ==, m->size);
}

static void model_goto(Model *m)
{
    Error err = ERROR_INIT;
    const Snap *s;
    unsigned n;

    if (!m->snaps->len) return;
    n = model_random(m, m->snaps->len);
    s = g_ptr_array_index(m->snaps, n);
    g_assert_true(image_snapshot_check(m->img, model_index(m, n), &err));
    if (!image_snapshot_goto(m->img, model_index(m, n), &err)) g_printerr("%s\n", err.msg);
    g_assert_cmpstr(err.msg, ==, "");
    model_become(m, s);
    g_assert_cmpuint(image_size(m->img), ==, m->size);
}

static void model_delete(Model *m)
{
    Error err = ERROR_INIT;
    unsigned n;

    if (!m->snaps->len) return;
    n = model_random(m, m->snaps->len);
    if (!image_snapshot_delete(m->img, model_index(m, n), &err)) g_printerr("%s\n", err.msg);
    g_assert_cmpstr(err.msg, ==, "");
    g_ptr_array_remove_index(m->snaps, n);
}

static void model_resize(Model *m)
{
    Error err = ERROR_INIT;
    size_t size = align_up(m->size / 2 + model_random(m, (uint32_t)m->size), 512);

    if (model_random(m, 4) || m->base) return;
    size = MAX_OF(size, (size_t)256 * KiB);
    if (!image_resize(m->img, size, &err)) {
        g_assert_nonnull(strstr(err.msg, "version 2"));
        return;
    }
    m->data = g_realloc(m->data, size);
    if (size > m->size) memset(m->data + m->size, 0, size - m->size);
    m->size = size;
}

static void model_reopen(Model *m)
{
    image_close(m->img);
    JUDGE_CLEAN(m->path);
    m->img = judge_open(m->path, IMAGE_WRITABLE | IMAGE_UNSAFE);
}

static void model_step(Model *m)
{
    switch (model_random(m, 25)) {
    case 0: model_snapshot(m); break;
    case 1: model_goto(m); break;
    case 2: model_delete(m); break;
    case 3: g_assert_cmpint(image_flush(m->img), ==, 0); break;
    case 4: model_reopen(m); break;
    case 5: model_give_up_state(m); break;
    case 6: model_resize(m); break;
    case 7: model_compressed(m); break;
    case 24: model_switch(m); break;
    case 8:
    case 9:
    case 10: model_zero(m); break;
    case 11:
    case 12:
    case 13: model_read(m); break;
    default: model_write(m); break;
    }
}

/* Everything that there is, against the model: as we read it and as the judge reads it. */
static void model_verify(Model *m)
{
    uint8_t *buf = g_malloc(MAX_OF(m->size, (size_t)MAX_STATE)), *judged;
    size_t size;

    g_assert_cmpint(image_flush(m->img), ==, 0);
    JUDGE_CLEAN(m->path);
    g_assert_cmpint(image_read(m->img, 0, buf, m->size), ==, 0);
    g_assert_cmpmem(buf, m->size, m->data, m->size);
    judged = judge_content(m->path, NULL, &size);
    g_assert_cmpmem(judged, size, m->data, m->size);
    g_free(judged);
    g_assert_cmpuint(image_snapshot_count(m->img), ==, m->snaps->len);
    for (guint i = 0; i < m->snaps->len; i++) {
        const Snap *s = g_ptr_array_index(m->snaps, i);
        unsigned n = model_index(m, i);

        g_assert_cmpint(image_vmstate_read(m->img, n, 0, buf, s->state_size), ==, 0);
        g_assert_cmpmem(buf, s->state_size, s->state, s->state_size);
        if (s->size != m->size) continue; /* the judge cannot read it without applying it */
        judged = judge_content(m->path, s->id, &size);
        g_assert_cmpmem(judged, size, s->data, s->size);
        g_free(judged);
    }
    g_free(buf);
}

/* The other program changes the image: a snapshot taken, one applied, one deleted, data written. */
static void model_let_judge_work(Model *m)
{
    Snap *s;

    image_close(m->img);
    g_assert_cmpint(
        judge_run(NULL, "qemu-io -f qcow2 -c 'write -P 85 64k 100k' '%s'", m->path), ==, 0);
    memset(m->data + 64 * KiB, 85, 100 * KiB);
    if (m->can_snapshot && m->snaps->len) {
        s = g_ptr_array_index(m->snaps, model_random(m, m->snaps->len));
        if (s->size == m->size) {
            g_assert_cmpint(judge_run(NULL, "qemu-img snapshot -a %s '%s'", s->id, m->path), ==, 0);
            memcpy(m->data, s->data, m->size);
        }
    }
    if (m->can_snapshot) {
        char *name = g_strdup_printf("theirs%u", m->taken++);

        g_assert_cmpint(judge_run(NULL, "qemu-img snapshot -c %s '%s'", name, m->path), ==, 0);
        m->img = judge_open(m->path, IMAGE_WRITABLE | IMAGE_UNSAFE);
        s = g_new0(Snap, 1);
        memcpy(s->id, image_snapshot(m->img, image_snapshot_count(m->img) - 1)->id, sizeof(s->id));
        s->size = m->size;
        s->data = g_malloc(m->size);
        memcpy(s->data, m->data, m->size);
        s->state = g_malloc(1);
        g_ptr_array_add(m->snaps, s);
        image_close(m->img);
        g_free(name);
    }
    JUDGE_CLEAN(m->path);
    m->img = judge_open(m->path, IMAGE_WRITABLE | IMAGE_UNSAFE);
}

static void model_make_base(Model *m, const Kind *k)
{
    size_t n = k->size - 100 * KiB; /* ends before the overlay does */
    uint8_t *p = g_malloc(n);

    m->base = judge_path("base.raw");
    model_fill(m, p, n);
    memset(p + n / 2, 0, n / 8);
    n = align_down(n, 512);
    g_assert_true(g_file_set_contents(m->base, (char *)p, (gssize)n, NULL));
    memcpy(m->data, p, n);
    g_free(p);
}

static void model_make(Model *m, const Kind *k)
{
    char *backing = g_strdup(""), *opts = g_strdup_printf("%s%s", *k->opts ? "-o " : "", k->opts);
    const char *img = g_getenv("STASIS_IMG");
    char *out;

    m->path = judge_path(k->name);
    m->size = k->size;
    m->data = g_malloc0(m->size);
    m->can_snapshot = !k->narrow;
    m->snaps = g_ptr_array_new_with_free_func(snap_free);
    if (k->backing) {
        model_make_base(m, k);
        g_free(backing);
        backing = g_strdup_printf("-b '%s' -F raw", m->base);
    }
    if (judge_run(&out, "%s create -f qcow2 %s %s '%s' %u",
            k->ours ? img ? img : "build/stasis-img" : "qemu-img", opts, backing, m->path,
            k->size)) {
        g_printerr("%s\n", out);
        g_assert_not_reached();
    }
    g_free(out);
    g_free(opts);
    g_free(backing);
    m->img = judge_open(m->path, IMAGE_WRITABLE | IMAGE_UNSAFE);
}

static void model_free(Model *m)
{
    image_close(m->img);
    JUDGE_CLEAN(m->path);
    g_unlink(m->path);
    if (m->base) g_unlink(m->base);
    g_free(m->path);
    g_free(m->base);
    g_free(m->data);
    g_ptr_array_free(m->snaps, TRUE);
}

static void test_kind(gconstpointer opaque)
{
    const Kind *k = opaque;
    unsigned batches = g_test_slow() ? 60 : 6;
    Model m = { .seed = 0x9e3779b9u ^ g_str_hash(k->name) };

    if (g_getenv("SEED")) m.seed ^= (uint32_t)g_ascii_strtoull(g_getenv("SEED"), NULL, 0);
    if (!judge_there()) return;
    model_make(&m, k);
    for (unsigned b = 0; b < batches; b++) {
        for (unsigned i = 0; i < BATCH; i++) model_step(&m);
        model_verify(&m);
        if (b % 2) model_let_judge_work(&m);
    }
    model_free(&m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        char *name = g_strdup_printf("/block/random/%s", kinds[i].name);

        g_test_add_data_func(name, &kinds[i], test_kind);
        g_free(name);
    }
    return g_test_run();
}
