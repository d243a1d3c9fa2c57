/* SPDX-License-Identifier: MIT */
/*
 * What every state looks like on the wire, kept as text in tests/schema: a change of a table is a
 * change of the format, and shows as a change of a file there.  One file for a class of devices,
 * one for a section that is no device's.  `make schema` writes them anew.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "core/machine.h"
#include "system/build.h"

static void schema_line(GString *out, unsigned depth, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void schema_line(GString *out, unsigned depth, const char *fmt, ...)
{
    va_list ap;

    g_string_append_printf(out, "%*s", (int)depth * 2, "");
    va_start(ap, fmt);
    g_string_append_vprintf(out, fmt, ap);
    va_end(ap);
    g_string_append_c(out, '\n');
}

static void schema_table(GString *out, unsigned depth, const VmState *v);

static void schema_field(GString *out, unsigned depth, const VmField *f)
{
    GString *more = g_string_new(NULL);

    if (f->count_type) g_string_append_printf(more, ", counted by a %s", f->count_type->name);
    if (f->since) g_string_append_printf(more, ", since version %d", f->since);
    if (f->flags & VMF_MUST_EXIST)
        g_string_append(more, ", must hold");
    else if (f->exists)
        g_string_append(more, ", conditional");
    if (f->flags & VMF_POINTER) g_string_append(more, ", allocated");
    schema_line(out, depth, "%s: %u x %s of %zu%s", f->name, f->count, f->type->name,
        f->vmsd ? (size_t)0 : f->size, more->str);
    g_string_free(more, TRUE);
    if (f->vmsd) schema_table(out, depth + 1, f->vmsd);
}

static void schema_table(GString *out, unsigned depth, const VmState *v)
{
    schema_line(out, depth, "%s version %d, loads from %d%s", v->name, v->version, v->min_version,
        v->needed ? ", where needed" : "");
    for (const VmField *f = v->fields; f && f->name; f++) schema_field(out, depth + 1, f);
    for (const VmState *const *sub = v->subsections; sub && *sub; sub++)
        schema_table(out, depth + 1, *sub);
}

/* The text of a class; NULL where nothing of it travels. */
static char *schema_of_class(const DeviceClass *cls)
{
    GString *out = g_string_new(NULL);

    for (const VmState *const *v = cls->vmstates; v && *v; v++) schema_table(out, 0, *v);
    if (cls->exact) schema_line(out, 0, "beside the sections, in the description:");
    for (const VmField *f = cls->exact; f && f->name; f++) schema_field(out, 1, f);
    return g_string_free(out, out->len == 0);
}

static char *schema_of_section(const Section *s)
{
    GString *out = g_string_new(NULL);

    if (s->vmsd)
        schema_table(out, 0, s->vmsd);
    else
        schema_line(out, 0, "%s version %d, %s", s->idstr, s->version,
            s->iterable ? "in rounds" : "written by hand");
    return g_string_free(out, FALSE);
}

static Machine *machine_with_everything(void)
{
    static const char *const argv[] = { "stasis", "-M", "pc", "-m", "1", "-nodefaults", "-display",
        "none", "-netdev", "user,id=n" };
    CommandLine cl = { 0 };
    Error err = ERROR_INIT;
    Machine *m = NULL;

    if (options_parse_args(&cl, (int)ARRAY_SIZE(argv), (char **)argv, &err))
        m = machine_build(&cl, NULL, &err);
    if (!m) g_error("%s", err.msg);
    command_line_free(&cl);
    return m;
}

/* File name -> text, of everything in the tree. */
static GHashTable *schema_all(void)
{
    GHashTable *all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    Machine *m = machine_with_everything();

    SET_EACH (DeviceClass, cls, devices) {
        char *text = schema_of_class(cls);

        if (text) g_hash_table_insert(all, g_strdup_printf("%s.txt", cls->name), text);
    }
    for (Section *s = m->sections; s; s = s->next)
        if (!s->dev)
            g_hash_table_insert(
                all, g_strdup_printf("section-%s.txt", s->idstr), schema_of_section(s));
    machine_free(m);
    return all;
}

static char *schema_dir(void)
{
    const char *src = g_getenv("SRCDIR");

    return g_build_filename(src ? src : ".", "tests", "schema", NULL);
}

/* Files that nothing in the tree answers for; removed where told to. */
static unsigned schema_strays(GHashTable *all, const char *dir, bool removes)
{
    GDir *d = g_dir_open(dir, 0, NULL);
    const char *name;
    unsigned n = 0;

    while (d && (name = g_dir_read_name(d))) {
        char *path = g_build_filename(dir, name, NULL);

        if (!g_hash_table_contains(all, name)) {
            if (removes)
                g_unlink(path);
            else
                g_test_message("tests/schema/%s: of nothing that is there", name);
            n++;
        }
        g_free(path);
    }
    if (d) g_dir_close(d);
    return n;
}

static void schema_update(void)
{
    GHashTable *all = schema_all();
    char *dir = schema_dir();
    gpointer name, text;
    GHashTableIter it;

    g_mkdir_with_parents(dir, 0777);
    schema_strays(all, dir, true);
    g_hash_table_iter_init(&it, all);
    while (g_hash_table_iter_next(&it, &name, &text)) {
        char *path = g_build_filename(dir, name, NULL);
        GError *gerr = NULL;

        if (!g_file_set_contents(path, text, -1, &gerr)) g_error("%s", gerr->message);
        g_free(path);
    }
    g_hash_table_destroy(all);
    g_free(dir);
}

static void test_schema(void)
{
    GHashTable *all = schema_all();
    char *dir = schema_dir();
    gpointer name, text;
    GHashTableIter it;
    unsigned bad = schema_strays(all, dir, false);

    g_assert_cmpuint(g_hash_table_size(all), >, 10);
    g_hash_table_iter_init(&it, all);
    while (g_hash_table_iter_next(&it, &name, &text)) {
        char *path = g_build_filename(dir, name, NULL), *kept = NULL;

        if (!g_file_get_contents(path, &kept, NULL, NULL) || strcmp(kept, text)) {
            g_test_message("tests/schema/%s %s; now it is:\n%s", (char *)name,
                kept ? "is another" : "is not there", (char *)text);
            bad++;
        }
        g_free(kept);
        g_free(path);
    }
    if (bad)
        g_test_message("the format has changed: if that is meant, run `make schema` and commit "
                       "tests/schema");
    g_assert_cmpuint(bad, ==, 0);
    g_hash_table_destroy(all);
    g_free(dir);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--update")) {
        schema_update();
        return 0;
    }
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schema", test_schema);
    return g_test_run();
}
