/* SPDX-License-Identifier: MIT */
/* TEST-TIMEOUT: 240 */
/*
 * Exactness.  The demo guest under an instruction clock: two runs are alike; a savevm disturbs
 * nothing; a snapshot restored in a fresh machine, at whatever instruction it was taken, is after a
 * million instructions what the undisturbed run is; and so is a machine that was saved to a stream
 * and loaded elsewhere, or reloaded in place all the time.
 *
 * The points in time fall on every kind of moment between power-on and a busy guest: firmware in
 * real mode, disk reads, interrupts, halts.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "migration/load.h"
#include "migration/migration.h"
#include "migration/save.h"
#include "migration/snapshot.h"
#include "system/build.h"
#include "system/loop.h"

enum {
    SHIFT = 2,                /* 4 ns an instruction */
    LATER = 1000000 << SHIFT, /* a million instructions */
    FIRST = 20000000,
};

static char *dir; /* of the images, made once */

static void run_program(const char *first, ...)
{
    GPtrArray *argv = g_ptr_array_new();
    GError *gerr = NULL;
    int status = -1;
    va_list ap;

    va_start(ap, first);
    for (const char *a = first; a; a = va_arg(ap, const char *)) g_ptr_array_add(argv, (char *)a);
    va_end(ap);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
        &status, &gerr);
    g_assert_no_error(gerr);
    g_assert_cmpint(status, ==, 0);
    g_ptr_array_free(argv, TRUE);
}

static char *in_dir(const char *name) { return g_build_filename(dir, name, NULL); }

static char *make_disk(const char *name)
{
    const char *src = g_getenv("SRCDIR") ? g_getenv("SRCDIR") : ".";
    const char *img = g_getenv("STASIS_IMG") ? g_getenv("STASIS_IMG") : "build/stasis-img";
    char *script = g_build_filename(src, "demo", "build.sh", NULL);
    char *demo = g_build_filename(src, "demo", NULL), *raw = in_dir("demo.img");
    char *disk = in_dir(name);

    run_program(script, demo, raw, NULL);
    run_program(img, "convert", "-f", "raw", "-O", "qcow2", raw, disk, NULL);
    g_free(script);
    g_free(demo);
    g_free(raw);
    return disk;
}

static Machine *start(const char *disk, const char *loadvm)
{
    char *drive = g_strdup_printf("file=%s,format=qcow2,if=ide,id=d", disk);
    const char *argv[] = { "stasis", "-M", "pc", "-m", "16", "-nodefaults", "-display", "none",
        "-vga", "std", "-serial", "null", "-device", "ne2k_pci", "-icount", "shift=2,sleep=off",
        "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-drive", drive, "-loadvm", loadvm };
    int argc = (int)G_N_ELEMENTS(argv) - (loadvm ? 0 : 2);
    CommandLine cl = { 0 };
    Error err = ERROR_INIT;
    Machine *m;

    if (!options_parse_args(&cl, argc, (char **)argv, &err)) g_error("%s", err.msg);
    m = machine_build(&cl, NULL, &err);
    if (!m || !machine_begin(m, &err)) g_error("%s", err.msg);
    command_line_free(&cl);
    g_free(drive);
    return m;
}

static void reached_fire(void *opaque) { machine_stop(opaque, RUN_PAUSED); }

/* Runs to this very instant and stops there. */
static void run_until(Machine *m, int64_t virtual_ns)
{
    Timer t;

    timer_init(&t, &m->clock, reached_fire, m);
    timer_arm(&t, virtual_ns);
    g_assert_true(machine_start(m, NULL));
    while (machine_running(m)) g_assert_true(machine_step(m, 10 * NS_PER_MS));
    g_assert_cmpint(clock_now(&m->clock) - virtual_ns, <, 1 << SHIFT);
    timer_cancel(&t);
}

static void add_line(GString *out, const char *name, unsigned n, const void *data, size_t len)
{
    char *sum = g_compute_checksum_for_data(G_CHECKSUM_MD5, data, len);

    g_string_append_printf(out, "%s/%u %s\n", name, n, sum);
    g_free(sum);
}

/* The digest, and behind it a line for each part, so that a difference has a name. */
static char *digest(Machine *m)
{
    Error err = ERROR_INIT;
    char *d = machine_digest(m, &err), *exact = vmdesc_exact_text(m);
    GString *out = g_string_new(d);

    if (!d) g_error("%s", err.msg);
    g_string_append_c(out, '\n');
    for (Section *s = m->sections; s; s = s->next) {
        Stream st;

        if (!s->vmsd || !strcmp(s->idstr, "globalstate")) continue;
        stream_init(&st);
        save_section_body(&st, s);
        add_line(out, s->idstr, s->instance, st.data, st.size);
        stream_free(&st);
    }
    for (RamBlock *b = ram_block_first(m); b; b = b->next)
        for (uint64_t off = 0; off < b->size; off += MiB)
            add_line(out, b->idstr, (unsigned)(off / MiB), b->host + off,
                MIN_OF(b->size - off, (uint64_t)MiB));
    g_string_append(out, exact);
    g_free(exact);
    g_free(d);
    return g_string_free(out, FALSE);
}

static void assert_same(const char *got, const char *want, const char *what)
{
    char **a = g_strsplit(got, "\n", -1), **b = g_strsplit(want, "\n", -1);

    for (unsigned i = 0; a[i] && b[i]; i++)
        if (strcmp(a[i], b[i])) g_printerr("# %s\n# %s\n", a[i], b[i]);
    if (strcmp(got, want)) g_error("%s: another digest", what);
    g_strfreev(a);
    g_strfreev(b);
}

static void saved(void *opaque, const Error *err)
{
    if (error_is_set(err)) g_error("%s", err->msg);
    *(bool *)opaque = true;
}

static void savevm(Machine *m, const char *name)
{
    bool over = false;

    snapshot_save(m, name, NULL, saved, &over);
    while (!over) g_main_context_iteration(m->ctx, TRUE);
}

static unsigned points(void) { return g_test_quick() ? 12 : 200; }

/* Spread unevenly, so that they fall on different moments of whatever repeats. */
static int64_t point(unsigned i)
{
    int64_t step = 3 * NS_PER_S / points();

    return FIRST + i * step + (int64_t)(i * 7919 % 1000) * 977;
}

/* digests[i]: a million instructions after point i, in a run that nobody disturbs. */
static char **undisturbed(const char *disk)
{
    char **d = g_new0(char *, points() + 1);
    Machine *m = start(disk, NULL);

    for (unsigned i = 0; i < points(); i++) {
        run_until(m, point(i) + LATER);
        d[i] = digest(m);
    }
    machine_free(m);
    return d;
}

static void test_repeatable(void)
{
    char *disk_a = make_disk("a.qcow2"), *disk_b = make_disk("b.qcow2");
    char **a = undisturbed(disk_a), **b = undisturbed(disk_b);

    for (unsigned i = 0; i < points(); i++) assert_same(a[i], b[i], "run twice");
    for (unsigned i = 1; i < points(); i++) g_assert_cmpstr(a[i - 1], !=, a[i]);
    g_strfreev(a);
    g_strfreev(b);
    g_free(disk_a);
    g_free(disk_b);
}

static void test_snapshots(void)
{
    char *disk_a = make_disk("a.qcow2"), *disk_b = make_disk("b.qcow2");
    char **want = undisturbed(disk_a);
    Machine *m = start(disk_b, NULL);
    char name[32];

    for (unsigned i = 0; i < points(); i++) {
        char *got;

        run_until(m, point(i));
        g_snprintf(name, sizeof(name), "p%u", i);
        savevm(m, name);
        run_until(m, point(i) + LATER);
        got = digest(m);
        assert_same(got, want[i], name);
        g_free(got);
    }
    machine_free(m);
    for (unsigned i = 0; i < points(); i++) {
        char *got;

        g_snprintf(name, sizeof(name), "p%u", i);
        m = start(disk_b, name);
        run_until(m, point(i) + LATER);
        got = digest(m);
        assert_same(got, want[i], name);
        g_free(got);
        machine_free(m);
    }
    g_strfreev(want);
    g_free(disk_a);
    g_free(disk_b);
}

static void test_in_place(void)
{
    char *disk_a = make_disk("a.qcow2"), *disk_b = make_disk("b.qcow2");
    char **want = undisturbed(disk_a);
    Machine *m = start(disk_b, NULL);

    for (unsigned i = 0; i < points(); i++) {
        for (int64_t part = 1; part <= 5; part++) {
            Error err = ERROR_INIT;

            run_until(m, point(i) + LATER * part / 5 - 37 * (5 - part));
            if (part < 5 && !machine_roundtrip(m, &err)) g_error("%s", err.msg);
        }
        char *got = digest(m);
        assert_same(got, want[i], "reloaded in place");
        g_free(got);
    }
    machine_free(m);
    g_strfreev(want);
    g_free(disk_a);
    g_free(disk_b);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("exact-XXXXXX", NULL);
    g_test_add_func("/exact/repeatable", test_repeatable);
    g_test_add_func("/exact/snapshots", test_snapshots);
    g_test_add_func("/exact/in-place", test_in_place);
    status = g_test_run();
    run_program("rm", "-r", dir, NULL);
    g_free(dir);
    return status;
}
