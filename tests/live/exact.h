/* SPDX-License-Identifier: MIT */
/*
 * What the exactness tests share: a guest under an instruction clock, run to an instant, digested,
 * and brought from one machine to another in every way there is.
 *
 * One run is disturbed by nothing and digested at many instants.  Another is saved a million
 * instructions before each of them, goes on, is restored (in place, in a fresh machine, or has
 * moved by a migration, stopped or running, or by a post-copy) and goes on from there: each time it
 * must come to the same digest.
 */
#pragma once

#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/incoming.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/save.h"
#include "monitor/monitor.h"
#include "system/build.h"
#include "system/loop.h"

enum {
    SHIFT = 2,                /* 4 ns an instruction */
    LATER = 1000000 << SHIFT, /* a million instructions */
};

typedef struct Guest {
    const char *name;
    const char *args[32]; /* beside those that all have */
    char *disk;           /* qcow2, of which every run gets a copy */
    const char *base;     /* a snapshot in it from which every run begins, or NULL */
    int64_t first, span;  /* virtual ns in which the points fall */
    unsigned quick, slow; /* how many points */
    char **want;          /* undisturbed()'s digests, once somebody has asked for them */
} Guest;

/* -- programs and files -- */

static inline void run_program(const char *first, ...)
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
    if (status) g_error("%s fails", first);
    g_ptr_array_free(argv, TRUE);
}

static inline char *in_source(const char *name)
{
    const char *src = g_getenv("SRCDIR") ? g_getenv("SRCDIR") : ".";

    return g_build_filename(src, name, NULL);
}

static inline char *exact_tmp(const char *name)
{
    const char *tmp = g_getenv("TMPDIR") ? g_getenv("TMPDIR") : "/tmp";

    return g_build_filename(tmp, name, NULL);
}

static inline const char *img_program(void)
{
    return g_getenv("STASIS_IMG") ? g_getenv("STASIS_IMG") : "build/stasis-img";
}

/* A qcow2 of this size, or of what a raw image holds. */
static inline char *make_qcow2(const char *name, const char *raw, const char *size)
{
    char *path = exact_tmp(name);

    if (raw)
        run_program(img_program(), "convert", "-f", "raw", "-O", "qcow2", raw, path, NULL);
    else
        run_program(img_program(), "create", "-q", "-f", "qcow2", path, size, NULL);
    return path;
}

static inline char *make_demo_disk(void)
{
    char *script = in_source("demo/build.sh"), *demo = in_source("demo");
    char *raw = exact_tmp("demo.img"), *disk;

    run_program(script, demo, raw, NULL);
    disk = make_qcow2("demo.qcow2", raw, NULL);
    g_free(script);
    g_free(demo);
    g_free(raw);
    return disk;
}

/* -- a machine -- */

/* A monitor command that has nothing to say. */
static inline void command(Machine *m, const char *line)
{
    char *text = monitor_run_line(m, line);

    if (strstr(text, "Error")) g_error("%s: %s", line, text); /* a slow one tells how far it is */
    g_free(text);
}

/* A machine that has just been switched on, or waits for a migration. */
static inline Machine *start(const Guest *g, const char *disk, const char *incoming)
{
    static const char *const all[] = { "stasis", "-M", "pc", "-nodefaults", "-display", "none",
        "-vga", "std", "-serial", "null", "-icount", "shift=2,sleep=off", "-rtc",
        "base=2026-01-01T00:00:00,clock=vm", "-drive" };
    GPtrArray *argv = g_ptr_array_new();
    char *drive = g_strdup_printf("file=%s,format=qcow2,if=ide,id=d", disk);
    CommandLine cl = { 0 };
    Error err = ERROR_INIT;
    Machine *m;

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) g_ptr_array_add(argv, (char *)all[i]);
    g_ptr_array_add(argv, drive);
    for (const char *const *a = g->args; *a; a++) g_ptr_array_add(argv, (char *)*a);
    if (incoming) {
        g_ptr_array_add(argv, (char *)"-incoming");
        g_ptr_array_add(argv, (char *)incoming);
    }
    if (!options_parse_args(&cl, (int)argv->len, (char **)argv->pdata, &err))
        g_error("%s", err.msg);
    m = machine_build(&cl, NULL, &err);
    if (!m || !machine_begin(m, &err)) g_error("%s", err.msg);
    /* Announcements are frames of the host's time, which another card on the hub would see. */
    command(m, "migrate_set_parameter announce-rounds 0");
    command_line_free(&cl);
    g_ptr_array_free(argv, TRUE);
    g_free(drive);
    return m;
}

/* A machine that stands where the guest's runs begin, or at a snapshot. */
static inline Machine *start_at(const Guest *g, const char *disk, const char *snapshot)
{
    Machine *m = start(g, disk, NULL);
    char *line = g_strdup_printf("loadvm %s", snapshot ? snapshot : g->base);

    if (snapshot || g->base) command(m, line);
    g_free(line);
    return m;
}

static inline void reached_fire(void *opaque) { machine_stop(opaque, RUN_PAUSED); }

/* Runs to this very instant and stops there. */
static inline void run_until(Machine *m, int64_t virtual_ns)
{
    Timer t;

    timer_init(&t, &m->clock, reached_fire, m);
    timer_arm(&t, virtual_ns);
    g_assert_true(machine_start(m, NULL));
    while (machine_running(m)) g_assert_true(machine_step(m, 10 * NS_PER_MS));
    g_assert_cmpint(clock_now(&m->clock) - virtual_ns, <, 1 << SHIFT);
    timer_cancel(&t);
}

/* -- digests -- */

static inline void add_line(
    GString *out, const char *name, unsigned n, const void *data, size_t len)
{
    char *sum = g_compute_checksum_for_data(G_CHECKSUM_MD5, data, len);

    g_string_append_printf(out, "%s/%u %s\n", name, n, sum);
    g_free(sum);
}

/* The digest, and behind it a line for each part, so that a difference has a name. */
static inline char *digest(Machine *m)
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

static inline void assert_same(const char *got, const char *want, const char *what)
{
    char **a = g_strsplit(got, "\n", -1), **b = g_strsplit(want, "\n", -1);

    for (unsigned i = 0; a[i] && b[i]; i++)
        if (strcmp(a[i], b[i])) g_printerr("# %s\n# %s\n", a[i], b[i]);
    if (strcmp(got, want)) g_error("%s: another digest", what);
    g_strfreev(a);
    g_strfreev(b);
}

/* -- the points -- */

static inline unsigned points(const Guest *g) { return g_test_quick() ? g->quick : g->slow; }

/* Spread unevenly, so that they fall on different moments of whatever repeats. */
static inline int64_t point(const Guest *g, unsigned i)
{
    return g->first + i * (g->span / points(g)) + (int64_t)(i * 7919 % 1000) * 977;
}

static inline char *disk_copy(const Guest *g, const char *suffix)
{
    char *path = g_strconcat(g->disk, suffix, NULL);

    run_program("cp", "--sparse=always", g->disk, path, NULL);
    return path;
}

/* The long form takes its time. */
static inline void tell_point(const Guest *g, unsigned i, const char *how)
{
    if (!g_test_quick() && i % 20 == 0)
        g_test_message("%s, %s: point %u of %u", g->name, how, i, points(g));
}

/* digests[i]: a million instructions after point i, in a run that nobody disturbs. */
static inline char **undisturbed(const Guest *g)
{
    char *disk = disk_copy(g, ".a"), **d = g_new0(char *, points(g) + 1);
    Machine *m = start_at(g, disk, NULL);

    for (unsigned i = 0; i < points(g); i++) {
        run_until(m, point(g, i) + LATER);
        d[i] = digest(m);
        tell_point(g, i, "undisturbed");
    }
    machine_free(m);
    g_unlink(disk);
    g_free(disk);
    return d;
}

/* The same of one run that all tests of this guest compare with. */
static inline char **wanted(Guest *g)
{
    if (!g->want) g->want = undisturbed(g);
    return g->want;
}

/* What another build of this program is to come to, too (tests/live/variants.py): into the file
 * that STASIS_DIGESTS names, where it does. */
static inline void test_digests(gconstpointer data)
{
    Guest *g = (Guest *)data;
    char **want = wanted(g);
    const char *path = g_getenv("STASIS_DIGESTS");
    FILE *f = path ? fopen(path, "a") : NULL;

    for (unsigned i = 0; i < points(g); i++) {
        if (i) g_assert_cmpstr(want[i], !=, want[i - 1]); /* the guest gets on */
        if (f) fprintf(f, "%s %u %s\n", g->name, i, want[i]);
    }
    if (f) fclose(f);
}

static inline void check_later(Machine *m, const Guest *g, unsigned i, char **want, const char *how)
{
    char *what = g_strdup_printf("%s, point %u, %s", g->name, i, how), *got;

    run_until(m, point(g, i) + LATER);
    got = digest(m);
    assert_same(got, want[i], what);
    g_free(got);
    g_free(what);
}

/* Moves a stopped machine into a new one. */
static inline Machine *move_machine(Machine *m, const Guest *g, const char *disk)
{
    char *path = exact_tmp("exact.sock"), *uri = g_strdup_printf("unix:%s", path);
    char *line = g_strdup_printf("migrate %s", uri);
    Machine *to = start(g, disk, uri);

    command(m, line);
    while (to->run_state == RUN_INMIGRATE) g_main_context_iteration(to->ctx, TRUE);
    g_assert_cmpint(m->run_state, ==, RUN_POSTMIGRATE);
    machine_free(m);
    g_unlink(path);
    g_free(path);
    g_free(uri);
    g_free(line);
    return to;
}

/* Moves a machine into a new one while its guest runs, slowly enough for rounds to be sent. */
static inline Machine *move_running(Machine *m, const Guest *g, const char *disk)
{
    char *path = exact_tmp("live.sock"), *uri = g_strdup_printf("unix:%s", path);
    char *line = g_strdup_printf("migrate -d %s", uri);
    Machine *to = start(g, disk, uri);
    int64_t begin = clock_now(&m->clock);

    command(m, "migrate_set_parameter max-bandwidth 64M");
    command(m, line);
    g_assert_true(machine_start(m, NULL));
    while (to->run_state == RUN_INMIGRATE) {
        if (machine_running(m))
            g_assert_true(machine_step(m, NS_PER_MS));
        else
            g_main_context_iteration(to->ctx, TRUE);
    }
    machine_stop(to, RUN_PAUSED);
    while (m->run_state != RUN_POSTMIGRATE) g_main_context_iteration(m->ctx, TRUE);
    g_assert_cmpint(clock_now(&to->clock), >, begin);
    machine_free(m);
    g_unlink(path);
    g_free(path);
    g_free(uri);
    g_free(line);
    return to;
}

/* Takes a stopped machine to a new one, where it may run before its RAM has come.  The old one
 * still has that: see all_arrives. */
static inline Machine *switch_machine(Machine *m, const Guest *g, const char *disk)
{
    char *path = exact_tmp("post.sock"), *uri = g_strdup_printf("unix:%s", path);
    char *line = g_strdup_printf("migrate -d %s", uri);
    Machine *to = start(g, disk, uri);

    command(m, "migrate_set_capability postcopy-ram on");
    command(to, "migrate_set_capability postcopy-ram on");
    command(m, "migrate_set_parameter max-bandwidth 64k");
    command(m, "migrate_set_parameter max-postcopy-bandwidth 64k");
    command(m, line);
    command(m, "migrate_start_postcopy");
    while (to->run_state == RUN_INMIGRATE) g_main_context_iteration(to->ctx, TRUE);
    g_assert_true(incoming_late(to));
    g_unlink(path);
    g_free(path);
    g_free(uri);
    g_free(line);
    return to;
}

static inline void all_arrives(Machine *m, Machine *to)
{
    command(m, "migrate_set_parameter max-postcopy-bandwidth 0");
    while (incoming_late(to) || outgoing_under_way(m)) g_main_context_iteration(to->ctx, TRUE);
    g_assert_cmpint(incoming_status(to), ==, MIGRATION_COMPLETED);
    g_assert_cmpint(outgoing_status(m), ==, MIGRATION_COMPLETED);
}

/* By post-copy, a million instructions on; no digest is to be had before all has come. */
static inline Machine *move_ahead(
    Machine *m, const Guest *g, const char *disk, unsigned i, char **want)
{
    Machine *to = switch_machine(m, g, disk);

    run_until(to, point(g, i) + LATER);
    all_arrives(m, to);
    command(to, "migrate_set_capability postcopy-ram off"); /* not for what comes next */
    check_later(to, g, i, want, "after a post-copy");
    machine_free(m);
    return to;
}

/* At the next of the instants, if there is one. */
static inline void check_next(Machine *m, const Guest *g, char **want, const char *how)
{
    for (unsigned k = 0; k < points(g); k++) {
        if (point(g, k) + LATER <= clock_now(&m->clock)) continue;
        check_later(m, g, k, want, how);
        return;
    }
}

/* A save that disturbs nothing; then each way of being restored in turn. */
static inline Machine *disturb(
    Machine *m, const Guest *g, const char *disk, unsigned i, char **want)
{
    Error err = ERROR_INIT;

    run_until(m, point(g, i));
    command(m, "savevm x");
    if (i % 8 == 4) {
        m = move_running(m, g, disk);
        check_next(m, g, want, "after a migration while it ran");
    } else if (g_test_quick() ? i % 8 == 3 : i % 2) {
        m = move_ahead(m, g, disk, i, want);
    } else if (i % 4 == 0) {
        m = move_machine(m, g, disk);
        check_later(m, g, i, want, "after a migration");
    } else {
        check_later(m, g, i, want, "after a savevm");
    }
    if (i % 4 == 1) {
        machine_free(m);
        m = start_at(g, disk, "x");
    } else {
        command(m, "loadvm x");
    }
    if (i % 4 == 2 && !machine_roundtrip(m, &err)) g_error("%s", err.msg);
    check_later(m, g, i, want, i % 4 == 1 ? "in a fresh machine" : "restored in place");
    return m;
}

static inline void test_guest(gconstpointer data)
{
    Guest *g = (Guest *)data;
    char **want = wanted(g), *disk = disk_copy(g, ".b");
    Machine *m = start_at(g, disk, NULL);

    for (unsigned i = 1; i < points(g); i++) g_assert_cmpstr(want[i - 1], !=, want[i]);
    for (unsigned i = 0; i < points(g); i++) {
        m = disturb(m, g, disk, i, want);
        tell_point(g, i, "restored");
    }
    machine_free(m);
    g_test_message("%s: %u points", g->name, points(g));
    g_unlink(disk);
    g_free(disk);
}

/* -- guests from packages -- */

static inline void test_unavailable(gconstpointer why) { g_test_skip(why); }

/* What guest_paths.py prints: lines, or NULL and a test that says why. */
static inline char **guest_paths(const char *what)
{
    char *script = in_source("tests/lib/guest_paths.py"), *out = NULL, **lines = NULL;
    const char *argv[] = { "python3", script, what, NULL };
    int status = -1;

    g_spawn_sync(
        NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, &status, NULL);
    if (!status)
        lines = g_strsplit(out, "\n", -1);
    else
        g_test_add_data_func("/exact/unavailable", g_strdup(out), test_unavailable);
    g_free(script);
    g_free(out);
    return lines;
}
