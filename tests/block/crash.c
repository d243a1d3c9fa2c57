/* SPDX-License-Identifier: MIT */
/*
 * A process that works on a qcow2 image is killed before (or in the middle of) its n-th change of
 * the file, for every n: what is left must be sound, hold the old snapshot or the new one, and be
 * writable.  The same work with an error in place of the kill must leave a clean image.
 * TEST-TIMEOUT: 600
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/block/judge.h"

enum { DISK = 1 * MiB, STATE = 100000, PIECE = 8192, QUICK_CASES = 3 };

typedef struct Case {
    const char *name, *opts;
} Case;

static const Case cases[] = {
    { "4k", "cluster_size=4k" },
    { "512", "cluster_size=512" },
    { "v2", "compat=0.10,cluster_size=1k" },
    { "64k", "cluster_size=64k" },
    { "bits64", "cluster_size=512,refcount_bits=64" },
    { "extended", "cluster_size=16k,extended_l2=on" },
};

/* What the child had finished when it died; shared with the parent. */
typedef struct Progress {
    volatile unsigned stage;
} Progress;

enum { START, SAVED, REPLACED, WROTE, GREW, WENT_BACK, DONE };

static void crash_fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)judge_random(&seed);
}

/* The disk's content in a generation: a pattern over half of it. */
static uint8_t *crash_disk(unsigned generation)
{
    uint8_t *p = g_malloc0(DISK);

    for (unsigned g = 1; g <= generation; g++) {
        crash_fill(p + 10000 * g, DISK / 2 - 10000 * g, 1000 + g);
    }
    return p;
}

static bool crash_write(BlockImage *img, unsigned generation)
{
    uint8_t *p = crash_disk(generation);
    size_t at = 10000 * generation, end = DISK / 2;
    int ret = 0;

    for (; at < end && !ret; at += 50000) {
        ret = image_write(img, at, p + at, MIN_OF((size_t)50000, end - at));
    }
    g_free(p);
    return !ret;
}

static bool crash_grow(BlockImage *img)
{
    uint8_t *p = g_malloc(DISK / 4);
    int ret;

    crash_fill(p, DISK / 4, 99);
    ret = image_write(img, DISK / 2, p, DISK / 4);
    g_free(p);
    return !ret;
}

static bool crash_save(BlockImage *img, const char *name, unsigned generation, Error *err)
{
    SnapshotInfo info = { .vm_state_size = STATE, .date_s = generation, .icount = UINT64_MAX };
    uint8_t *state = g_malloc(STATE);
    int ret = 0;

    crash_fill(state, STATE, generation);
    for (size_t at = 0; at < STATE && !ret; at += PIECE) {
        ret = image_vmstate_write(img, at, state + at, MIN_OF((size_t)PIECE, STATE - at));
    }
    g_free(state);
    strcpy(info.name, name);
    if (ret) return error_errno(err, -ret, "VM state");
    return image_snapshot_create(img, &info, err);
}

static bool crash_delete_oldest(BlockImage *img, Error *err)
{
    return image_snapshot_delete(img, 0, err);
}

/* The work: a savevm over an older one of the same name, guest writes, a loadvm. */
static bool crash_work(BlockImage *img, Progress *p, Error *err)
{
    p->stage = START;
    if (!crash_save(img, "vm", 2, err)) return false;
    p->stage = SAVED;
    if (!crash_delete_oldest(img, err)) return false;
    p->stage = REPLACED;
    if (!crash_write(img, 3)) return error_set(err, "write");
    if (image_flush(img)) return error_set(err, "flush");
    p->stage = WROTE;
    if (!crash_grow(img)) return error_set(err, "grow"); /* into tables that are ours already */
    if (image_flush(img)) return error_set(err, "flush");
    p->stage = GREW;
    if (!image_snapshot_goto(img, 0, err)) return false;
    p->stage = WENT_BACK;
    if (image_write_zeroes(img, 0, DISK / 4)) return error_set(err, "zero");
    if (image_flush(img)) return error_set(err, "flush");
    p->stage = DONE;
    return true;
}

/* An image with generation 1 saved under "vm" and generation 2 on its disk. */
static char *crash_prepare(const Case *c)
{
    char *path = judge_path(c->name);
    Options *o = options_parse(c->opts, NULL, NULL);
    Error err = ERROR_INIT;
    BlockImage *img;

    g_assert_true(image_create(path, "qcow2", DISK, o, &err));
    img = judge_open(path, IMAGE_WRITABLE | IMAGE_UNSAFE);
    g_assert_true(crash_write(img, 1));
    g_assert_true(crash_save(img, "vm", 1, &err));
    g_assert_true(crash_write(img, 2));
    image_close(img);
    options_free(o);
    JUDGE_CLEAN(path);
    return path;
}

static void crash_expect_snapshot(BlockImage *img, unsigned n)
{
    const SnapshotInfo *s = image_snapshot(img, n);
    uint8_t *disk = crash_disk(s->date_s), *state = g_malloc(STATE), *got = g_malloc(DISK);

    g_assert_cmpstr(s->name, ==, "vm");
    g_assert_cmpint(image_snapshot_read(img, n, 0, got, DISK), ==, 0);
    g_assert_cmpmem(got, DISK, disk, DISK);
    crash_fill(state, STATE, s->date_s);
    g_assert_cmpint(image_vmstate_read(img, n, 0, got, STATE), ==, 0);
    g_assert_cmpmem(got, STATE, state, STATE);
    g_free(disk);
    g_free(state);
    g_free(got);
}

/* The disk's first half is a known generation where nobody was writing to it. */
static void crash_expect_disk(BlockImage *img, unsigned stage)
{
    uint8_t *got = g_malloc(DISK), *old = crash_disk(2), *new = crash_disk(3);

    g_assert_cmpint(image_read(img, 0, got, DISK), ==, 0);
    if (stage < REPLACED) g_assert_cmpmem(got, DISK, old, DISK);
    if (stage == WROTE) g_assert_cmpmem(got, DISK / 2, new, DISK / 2);
    if (stage == GREW) {
        g_assert_true(!memcmp(got, old, DISK) || !memcmp(got, new, DISK / 2));
    }
    g_free(got);
    g_free(old);
    g_free(new);
}

static void crash_expect(const char *path, unsigned stage, bool leaks)
{
    Error err = ERROR_INIT;
    BlockImage *img;

    judge_check_at(__FILE__, __LINE__, path, leaks);
    img = judge_open(path, IMAGE_WRITABLE | IMAGE_UNSAFE);
    g_assert_cmpuint(image_snapshot_count(img), >=, 1);
    g_assert_cmpuint(image_snapshot_count(img), <=, 2);
    for (unsigned i = 0; i < image_snapshot_count(img); i++) crash_expect_snapshot(img, i);
    if (stage > START) {
        int n = image_snapshot_find(img, "vm");

        g_assert_cmpuint(image_snapshot(img, (unsigned)n)->date_s, ==, 2);
    }
    crash_expect_disk(img, stage);
    g_assert_true(crash_save(img, "after", 7, &err)); /* it can still be worked with */
    image_close(img);
    judge_check_at(__FILE__, __LINE__, path, leaks);
}

/* Runs the work in a child over a fault; its wait status. */
static int crash_child(const char *path, const char *kind, unsigned n, Progress *p)
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        char *name = g_strdup_printf("fault:kind=%s,at=%u:%s", kind, n, path);
        Error err = ERROR_INIT;
        BlockImage *img = image_open(name, "qcow2", IMAGE_WRITABLE, &err);

        if (!img || !crash_work(img, p, &err)) _exit(1);
        image_close(img);
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return status;
}

static void crash_copy(const char *from, const char *to)
{
    g_assert_cmpint(judge_run(NULL, "cp --sparse=always '%s' '%s'", from, to), ==, 0);
}

static void test_kill(const Case *c, const char *kind)
{
    Progress *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *from = crash_prepare(c), *path = judge_path("crash.qcow2");
    unsigned step = g_test_slow() ? 1 : 5;

    for (unsigned n = 1;; n += step) {
        int status;

        crash_copy(from, path);
        status = crash_child(path, kind, n, p);
        if (WIFEXITED(status)) {
            g_assert_cmpint(WEXITSTATUS(status), ==, 0);
            g_assert_cmpuint(n, >, 50); /* there was something to kill */
            break;
        }
        g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
        /* Only the guest's own writes are allowed to cost clusters. */
        crash_expect(
            path, p->stage, p->stage == REPLACED || p->stage == WROTE || p->stage == WENT_BACK);
    }
    JUDGE_CLEAN(path);
    g_unlink(path);
    g_unlink(from);
    g_free(path);
    g_free(from);
    munmap(p, 4096);
}

static void test_killed(gconstpointer opaque)
{
    if (judge_there()) test_kill(opaque, "kill");
}

static void test_torn(gconstpointer opaque)
{
    if (judge_there()) test_kill(opaque, "tear");
}

/* Anything, in any order. */
static void crash_wild(BlockImage *img, uint32_t *seed)
{
    uint8_t *p = g_malloc0(64 * KiB);
    uint64_t off = judge_random(seed) % (image_size(img) - 64 * KiB);
    size_t n = 1 + judge_random(seed) % (64 * KiB);
    unsigned snapshots = image_snapshot_count(img);
    uint64_t cluster = image_cluster_size(img);

    crash_fill(p, n / 2, *seed);
    switch (judge_random(seed) % 16) {
    case 0: crash_save(img, "vm", 2, NULL); break;
    case 1:
        if (snapshots) image_snapshot_goto(img, judge_random(seed) % snapshots, NULL);
        break;
    case 2:
        if (snapshots > 3) image_snapshot_delete(img, judge_random(seed) % snapshots, NULL);
        break;
    case 3: image_vmstate_write(img, 0, p, n); break;
    case 4: image_vmstate_discard(img, NULL); break;
    case 5: image_resize(img, align_up(image_size(img) + n - 32 * KiB, 512), NULL); break;
    case 6:
    case 7: image_flush(img); break;
    case 8:
    case 9: image_write_zeroes(img, off, n); break;
    case 10:
    case 11:
        if (cluster <= 64 * KiB) {
            image_write_compressed(img, align_down(off, cluster), p, cluster);
        }
        break;
    default: image_write(img, off, p, n); break;
    }
    g_free(p);
}

static void crash_wild_child(const char *path, unsigned at, uint32_t seed)
{
    char *name = g_strdup_printf("fault:kind=kill,at=%u:%s", at, path);
    BlockImage *img = image_open(name, "qcow2", IMAGE_WRITABLE | IMAGE_UNSAFE, NULL);

    for (unsigned i = 0; img && i < 200; i++) crash_wild(img, &seed);
    image_close(img);
    _exit(0);
}

/* Killed at any time in any work, again and again on the same image: sound every time. */
static void test_wild(gconstpointer opaque)
{
    const Case *c = opaque;
    uint32_t seed = 77 + g_str_hash(c->name);
    char *path;

    if (!judge_there()) return;
    path = crash_prepare(c);
    for (unsigned i = 0; i < (g_test_slow() ? 600 : 30); i++) {
        unsigned at = 1 + judge_random(&seed) % 400;
        uint32_t child_seed = judge_random(&seed);
        pid_t pid = fork();

        if (!pid) crash_wild_child(path, at, child_seed);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
        JUDGE_SOUND(path);
        if (i % 10 == 9) { /* what leaked in the meantime can be had back */
            BlockImage *img = judge_open(path, IMAGE_WRITABLE | IMAGE_UNSAFE);
            ImageCheck check = { .fix_leaks = true };

            g_assert_true(image_check(img, &check, NULL));
            image_close(img);
            JUDGE_CLEAN(path);
        }
    }
    g_unlink(path);
    g_free(path);
}

/* One request fails; the program goes on, gives up its VM state and closes the image. */
static void test_error(const Case *c, const char *kind, const char *times)
{
    char *from = crash_prepare(c), *path = judge_path("crash.qcow2");
    Progress p;
    bool failed = true;

    for (unsigned n = 1; failed; n += g_test_slow() ? 1 : 9) {
        char *name = g_strdup_printf("fault:kind=%s,at=%u,times=%s:%s", kind, n, times, path);
        Error err = ERROR_INIT;
        BlockImage *img;
        bool worked;

        crash_copy(from, path);
        img = image_open(name, "qcow2", IMAGE_WRITABLE, &err);
        g_assert_nonnull(img);
        worked = crash_work(img, &p, &err);
        if (!worked) {
            g_assert_cmpstr(err.msg, !=, "");
            image_vmstate_discard(img, NULL);
        }
        image_close(img);
        failed = !worked || n < 60; /* an ignored request (a hole not punched) fails nothing */
        crash_expect(path, p.stage, !worked);
        g_free(name);
    }
    g_unlink(path);
    g_unlink(from);
    g_free(path);
    g_free(from);
}

static void test_eio(gconstpointer opaque)
{
    if (judge_there()) test_error(opaque, "eio", "1");
}

static void test_short(gconstpointer opaque)
{
    if (judge_there()) test_error(opaque, "short", "1");
}

static void test_dead_disk(gconstpointer opaque)
{
    if (judge_there()) test_error(opaque, "eio", "0");
}

/* A file that cannot grow: saving fails, the image is clean and as small as before. */
static void test_full(gconstpointer opaque)
{
    const Case *c = opaque;
    char *path;
    pid_t pid;
    int status;

    if (!judge_there()) return;
    path = crash_prepare(c);
    for (unsigned room = 0; room < 40; room += g_test_slow() ? 1 : 7) {
        pid = fork();
        if (!pid) {
            BlockImage *img = image_open(path, "qcow2", IMAGE_WRITABLE, NULL);
            Error err = ERROR_INIT;
            GStatBuf st;

            g_stat(path, &st);
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(
                RLIMIT_FSIZE, &(struct rlimit){ (rlim_t)st.st_size + room * 1024, RLIM_INFINITY });
            for (unsigned i = 0; i < 100; i++) {
                if (crash_save(img, "full", 9, &err)) continue;
                if (!image_vmstate_discard(img, &err)) _exit(2);
                image_close(img);
                _exit(0);
            }
            _exit(3);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(status, ==, 0);
        JUDGE_CLEAN(path);
    }
    g_unlink(path);
    g_free(path);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(gconstpointer);
    } tests[] = { { "killed", test_killed }, { "torn", test_torn }, { "eio", test_eio },
        { "short", test_short }, { "dead-disk", test_dead_disk }, { "full", test_full },
        { "wild", test_wild } };

    g_test_init(&argc, &argv, NULL);
    for (unsigned t = 0; t < ARRAY_SIZE(tests); t++) {
        for (unsigned i = 0; i < (g_test_slow() ? ARRAY_SIZE(cases) : QUICK_CASES); i++) {
            char *name = g_strdup_printf("/block/crash/%s/%s", tests[t].name, cases[i].name);

            g_test_add_data_func(name, &cases[i], tests[t].fn);
            g_free(name);
        }
    }
    return g_test_run();
}
