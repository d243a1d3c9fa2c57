/* SPDX-License-Identifier: MIT */
/* The registry of sections: names, instances, aliases, order, and how a load finds them. */
#include <glib.h>
#include <string.h>

#include "core/machine.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/save.h"

typedef struct Cell {
    uint32_t value;
} Cell;

static const VmField cell_fields[] = { VM_INT(Cell, value), VM_END };
static const VmState cell_vmstate = {
    .name = "cell", .version = 3, .min_version = 1, .fields = cell_fields
};

static bool nothing_init(Machine *m, Error *err)
{
    (void)m;
    (void)err;
    return true;
}

MACHINE(nothing, .name = "nothing", .desc = "for tests", .init = nothing_init);

static Machine *make(void)
{
    Error err = ERROR_INIT;
    Machine *m = machine_new("nothing", NULL, &err);

    g_assert_true(m && migration_init(m, &err) && machine_init(m, &err));
    return m;
}

static Section tmpl(const char *idstr, int instance, Cell *cell)
{
    Section s = { .instance = (uint32_t)instance,
        .version = 3,
        .vmsd = &cell_vmstate,
        .state = cell,
        .state_size = sizeof(*cell),
        .alias_id = -1 };

    g_strlcpy(s.idstr, idstr, sizeof(s.idstr));
    return s;
}

static Section *add(Machine *m, const char *path, Section t)
{
    Error err = ERROR_INIT;
    Section *s = section_register(m, path, &t, &err);

    g_assert_true(s && !error_is_set(&err));
    return s;
}

static void test_instances(void)
{
    Machine *m = make();
    Error err = ERROR_INIT;
    Section t = tmpl("cell", 4, NULL), *a, *b, *c;

    a = add(m, NULL, tmpl("cell", INSTANCE_ANY, NULL));
    b = add(m, NULL, tmpl("cell", INSTANCE_ANY, NULL));
    add(m, NULL, t);
    c = add(m, NULL, tmpl("cell", INSTANCE_ANY, NULL));
    g_assert_cmpuint(a->instance, ==, 0);
    g_assert_cmpuint(b->instance, ==, 1);
    g_assert_cmpuint(c->instance, ==, 5);
    g_assert_cmpuint(add(m, NULL, tmpl("other", INSTANCE_ANY, NULL))->instance, ==, 0);
    g_assert_null(section_register(m, NULL, &t, &err));
    g_assert_cmpstr(err.msg, ==, "section 'cell' instance 4 is registered already");
    g_assert_true(section_find(m, "cell", 4) && !section_find(m, "cell", 3));
    /* A number that is free again is given again, section ids on the wire never are. */
    g_assert_cmpuint(b->id, ==, a->id + 1);
    section_unregister(m, c);
    g_assert_null(section_find(m, "cell", 5));
    c = add(m, NULL, tmpl("cell", INSTANCE_ANY, NULL));
    g_assert_cmpuint(c->instance, ==, 5);
    g_assert_cmpuint(c->id, ==, a->id + 5);
    machine_free(m);
}

static void test_path(void)
{
    Machine *m = make();
    Error err = ERROR_INIT;
    Section t = tmpl("cell", INSTANCE_ANY, NULL), *a, *b, *c;
    char *path = g_strnfill(SECTION_ID_MAX - 5, 'p'), *longer = g_strnfill(SECTION_ID_MAX - 4, 'p');
    char *text;

    a = add(m, "0000:00:02.0", t);
    b = add(m, "0000:00:03.0", t);
    c = add(m, "0000:00:03.0", t);
    g_assert_cmpstr(a->idstr, ==, "0000:00:02.0/cell");
    g_assert_cmpuint(a->instance, ==, 0);
    g_assert_cmpuint(b->instance, ==, 0);
    g_assert_cmpuint(c->instance, ==, 1);
    /* Without the path they were counted together. */
    g_assert_cmpstr(c->compat, ==, "cell");
    g_assert_cmpuint(a->compat_instance, ==, 0);
    g_assert_cmpuint(b->compat_instance, ==, 1);
    g_assert_cmpuint(c->compat_instance, ==, 2);
    g_assert_true(section_find_sent(m, "cell", 2, 3) == c);
    g_assert_null(section_find_sent(m, "cell", 3, 3));
    g_assert_cmpuint(strlen(add(m, path, t)->idstr), ==, SECTION_ID_MAX);
    g_assert_null(section_register(m, longer, &t, &err));
    text = g_strdup_printf("Path too long for VMState (%s)", longer);
    g_assert_cmpstr(err.msg, ==, text);
    g_free(text);
    g_free(path);
    g_free(longer);
    machine_free(m);
}

static void test_alias(void)
{
    Machine *m = make();
    Section t = tmpl("cell", INSTANCE_ANY, NULL), *a, *b;

    t.alias_id = 0x3f8;
    t.alias_version = 2;
    a = add(m, NULL, t);
    t.alias_id = 0x2f8;
    b = add(m, NULL, t);
    g_assert_true(section_find_sent(m, "cell", 0, 3) == a);
    g_assert_true(section_find_sent(m, "cell", 0x3f8, 1) == a);
    g_assert_true(section_find_sent(m, "cell", 0x3f8, 2) == a);
    g_assert_true(section_find_sent(m, "cell", 0x2f8, 2) == b);
    g_assert_null(section_find_sent(m, "cell", 0x2f8, 3));
    g_assert_null(section_find_sent(m, "cell", 0x3f9, 2));
    /* An instance that is taken is meant before an alias of the same number. */
    t.alias_id = 1;
    g_assert_cmpuint(add(m, NULL, t)->instance, ==, 2);
    g_assert_true(section_find_sent(m, "cell", 1, 2) == b);
    /* With a path, an older sender may have used neither path nor counted instance. */
    t.alias_id = 0x70;
    g_assert_true(section_find_sent(m, "cell", 0x70, 2) == NULL);
    a = add(m, "isa", t);
    g_assert_true(section_find_sent(m, "cell", 0x70, 2) == a);
    machine_free(m);
}

static void test_priority(void)
{
    Machine *m = make();
    static const struct {
        const char *name;
        int priority;
    } order[] = { { "a", 0 }, { "b", -5 }, { "c", 7 }, { "d", 0 }, { "e", 7 }, { "f", -5 } };
    GString *seen = g_string_new(NULL);

    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        Section t = tmpl(order[i].name, 0, NULL);

        t.priority = order[i].priority;
        add(m, NULL, t);
    }
    for (Section *s = m->sections; s; s = s->next)
        if (strlen(s->idstr) == 1) g_string_append(seen, s->idstr);
    g_assert_cmpstr(seen->str, ==, "ceadbf");
    g_string_free(seen, TRUE);
    machine_free(m);
}

/* -- what a load makes of it -- */

static void put_cell(Stream *st, const char *idstr, uint32_t instance, uint32_t version, uint32_t v)
{
    stream_put_u8(st, SECTION_FULL);
    stream_put_be32(st, 9);
    stream_put_str8(st, idstr);
    stream_put_be32(st, instance);
    stream_put_be32(st, version);
    stream_put_be32(st, v);
    stream_put_u8(st, SECTION_FOOTER);
    stream_put_be32(st, 9);
}

static bool load_cell(
    Machine *m, const char *idstr, uint32_t instance, uint32_t version, uint32_t v, Error *err)
{
    LoadRun *run = load_begin(m);
    Stream st;
    bool ok;

    stream_init(&st);
    stream_put_be32(&st, STREAM_MAGIC);
    stream_put_be32(&st, STREAM_VERSION);
    stream_put_u8(&st, SECTION_CONFIGURATION);
    stream_put_be32(&st, 7);
    stream_put(&st, "nothing", 7);
    put_cell(&st, idstr, instance, version, v);
    stream_put_u8(&st, SECTION_EOF);
    load_feed(run, st.data, st.size);
    load_eof(run);
    ok = load_step(run) == LOAD_DONE ? load_commit(run, err) : error_set(err, "%s", run->err.msg);
    load_end(run);
    stream_free(&st);
    return ok;
}

static void test_load_finds(void)
{
    Machine *m = make();
    Cell one = { 1 }, two = { 2 };
    Section t = tmpl("cell", INSTANCE_ANY, &one);
    Error err = ERROR_INIT;

    t.alias_id = 0x60;
    t.alias_version = 2;
    add(m, NULL, t);
    add(m, "0000:00:02.0", tmpl("cell", INSTANCE_ANY, &two));
    g_assert_true(load_cell(m, "cell", 0, 3, 10, &err));
    g_assert_cmpuint(one.value, ==, 10);
    g_assert_true(load_cell(m, "cell", 0x60, 2, 11, &err));
    g_assert_cmpuint(one.value, ==, 11);
    g_assert_true(load_cell(m, "0000:00:02.0/cell", 0, 3, 12, &err));
    g_assert_cmpuint(two.value, ==, 12);
    g_assert_false(load_cell(m, "cell", 0x60, 3, 13, &err));
    g_assert_nonnull(strstr(err.msg, "Unknown savevm section or instance 'cell' 96"));
    err = (Error)ERROR_INIT;
    g_assert_false(load_cell(m, "cell", 0, 4, 13, &err));
    g_assert_cmpstr(err.msg, ==, "savevm: unsupported version 4 for 'cell' v3");
    g_assert_cmpuint(one.value, ==, 11);
    g_assert_cmpuint(two.value, ==, 12);
    machine_free(m);
}

/* -- devices that cannot move -- */

typedef struct Stone {
    Device dev;
} Stone;

DEVICE_STATELESS(stone, "a device for tests", Stone, .unmigratable = "it is too heavy");

static void test_unmigratable(void)
{
    Machine *m = make();
    Error err = ERROR_INIT;
    Device *dev;

    g_assert_true(save_allowed(m, &err));
    dev = device_create(m, "stone", "rock", &err, NULL);
    g_assert_nonnull(dev);
    g_assert_false(save_allowed(m, &err));
    g_assert_cmpstr(err.msg, ==, "State blocked by non-migratable device 'rock': it is too heavy");
    device_free(dev);
    err = (Error)ERROR_INIT;
    g_assert_true(save_allowed(m, &err));
    m->config.only_migratable = true;
    g_assert_null(device_create(m, "stone", "rock", &err, NULL));
    g_assert_cmpstr(
        err.msg, ==, "Device stone is not migratable, but --only-migratable was specified");
    g_assert_null(device_find(m, "rock"));
    machine_free(m);
}

/* -- old-style handlers -- */

typedef struct Scribe {
    uint8_t byte;
    unsigned loads;
    bool refuse;
} Scribe;

static void scribe_save(Stream *st, void *opaque)
{
    const Scribe *s = opaque;

    stream_put(st, "opaque", 6);
    stream_put_u8(st, s->byte);
}

static void scribe_probe(Stream *st, void *opaque, int version)
{
    uint8_t head[6];

    (void)opaque;
    (void)version;
    stream_get(st, head, sizeof(head));
    stream_get_u8(st);
    if (stream_ok(st) && memcmp(head, "opaque", 6)) stream_fail(st, "nobody's handwriting");
}

static void scribe_load(Stream *st, void *opaque, int version)
{
    Scribe *s = opaque;

    (void)version;
    stream_skip(st, 6);
    s->byte = stream_get_u8(st);
    s->loads++;
    if (s->refuse && s->byte == 99) stream_fail(st, "not today");
}

static const SectionOps scribe_ops = {
    .save = scribe_save, .probe = scribe_probe, .load = scribe_load
};

static bool roundtrip(Machine *from, Machine *to, Error *err)
{
    SaveRun *save = save_begin(from, false, false);
    LoadRun *load = load_begin(to);
    bool ok;

    while (!save_complete(save, SIZE_MAX)) {}
    load_feed(load, save->st.data, save->st.size);
    load_eof(load);
    ok =
        load_step(load) == LOAD_DONE ? load_commit(load, err) : error_set(err, "%s", load->err.msg);
    load_end(load);
    save_end(save);
    return ok;
}

static void test_old_style(void)
{
    Machine *a = make(), *b = make();
    Scribe from = { .byte = 42 }, to = { .byte = 7 };
    Cell there = { 5 };
    Section t = { .idstr = "scribe", .version = 1, .ops = &scribe_ops, .alias_id = -1 };
    Error err = ERROR_INIT;
    char *desc;

    t.opaque = &from;
    add(a, NULL, t);
    t.opaque = &to;
    add(b, NULL, t);
    add(b, NULL, tmpl("cell", 0, &there));
    desc = vmdesc_text(a);
    g_assert_nonnull(
        strstr(desc, "{\"name\": \"scribe\", \"instance_id\": 0, \"size\": 7, \"fields\": "
                     "[{\"name\": \"data\", \"size\": 7, \"type\": \"buffer\"}]}"));
    g_free(desc);
    g_assert_true(roundtrip(a, b, &err));
    g_assert_cmpuint(to.byte, ==, 42);
    g_assert_cmpuint(to.loads, ==, 1);
    /* A handler that fails at the commit is given back what it had; nothing else has changed. */
    there.value = 6;
    from.byte = 99;
    to.refuse = true;
    g_assert_false(roundtrip(a, b, &err));
    g_assert_cmpstr(err.msg, ==, "scribe: not today");
    g_assert_cmpuint(to.byte, ==, 42);
    g_assert_cmpuint(there.value, ==, 6);
    machine_free(a);
    machine_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/section/instances", test_instances);
    g_test_add_func("/section/path", test_path);
    g_test_add_func("/section/alias", test_alias);
    g_test_add_func("/section/priority", test_priority);
    g_test_add_func("/section/load-finds", test_load_finds);
    g_test_add_func("/section/unmigratable", test_unmigratable);
    g_test_add_func("/section/old-style", test_old_style);
    return g_test_run();
}
