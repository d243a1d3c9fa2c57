/* SPDX-License-Identifier: MIT */
/* Reading a stream as a transaction: see load.h. */
#include "migration/load.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "migration/capability.h"
#include "migration/command.h"
#include "migration/foreign.h"
#include "migration/globalstate.h"
#include "migration/ram.h"
#include "migration/switches.h"

enum {
    UNIT_MAX = 64 * 1024 * 1024,   /* a section's bytes, or a record's */
    VMDESC_MAX = 16 * 1024 * 1024, /* more of it is drained unread */
};

static bool load_fail(LoadRun *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool load_fail(LoadRun *run, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_vset(&run->st.err, fmt, ap);
    va_end(ap);
    return false;
}

/* Several tables may describe one state: each has its pointers there. */
static void copy_unshare(Machine *m, const LoadCopy *c, void *copy, const void *from)
{
    for (Section *s = m->sections; s; s = s->next)
        if (s->vmsd && s->state == c->state) vmstate_unshare(s->vmsd, copy, from);
}

static void copy_free_pointers(Machine *m, const LoadCopy *c, void *state)
{
    for (Section *s = m->sections; s; s = s->next)
        if (s->vmsd && s->state == c->state) vmstate_free_pointers(s->vmsd, state);
}

/* Every state that a section describes, as after power-on and reset. */
static void load_make_copies(LoadRun *run)
{
    for (Section *s = run->m->sections; s; s = s->next) {
        LoadCopy *c;

        if (!s->vmsd || load_copy(run, s)) continue;
        c = g_new0(LoadCopy, 1);
        c->sec = s;
        c->state = s->state;
        c->size = s->state_size;
        c->copy = g_malloc(c->size);
        if (s->dev) {
            device_initial_state(s->dev, c->copy);
        } else {
            memcpy(c->copy, c->state, c->size);
            copy_unshare(run->m, c, c->copy, c->state);
        }
        c->next = run->copies;
        run->copies = c;
    }
}

LoadCopy *load_copy(LoadRun *run, Section *sec)
{
    for (LoadCopy *c = run->copies; c; c = c->next)
        if (c->state == sec->state) return c;
    return NULL;
}

LoadRun *load_begin(Machine *m)
{
    LoadRun *run = g_new0(LoadRun, 1);

    run->m = m;
    run->without = stream_switches(m);
    stream_init(&run->st);
    stream_init(&run->answers);
    run->ids = g_hash_table_new(NULL, NULL);
    run->versions = g_hash_table_new(NULL, NULL);
    run->vmdesc = g_string_new(NULL);
    load_make_copies(run);
    return run;
}

void load_feed(LoadRun *run, const void *buf, size_t len)
{
    if (len) memcpy(load_room(run, len), buf, len);
    load_fed(run, len);
}

uint8_t *load_room(LoadRun *run, size_t len) { return stream_room(&run->st, len); }

void load_fed(LoadRun *run, size_t len) { stream_filled(&run->st, len); }

void load_eof(LoadRun *run) { run->st.eof = true; }

static bool load_header(LoadRun *run)
{
    Stream *st = &run->st;
    uint32_t magic = stream_get_be32(st), version = stream_get_be32(st);

    if (stream_left(st) == 0 && st->starved) {
        /* Foreign bytes are told from a short stream as early as they can be. */
        for (size_t i = 0; i < 4 && i < st->size; i++)
            if (st->data[i] != (uint8_t)(STREAM_MAGIC >> (24 - 8 * i)))
                return load_fail(run, "Not a migration stream");
    }
    if (!stream_ok(st)) return false;
    if (magic != STREAM_MAGIC) return load_fail(run, "Not a migration stream");
    if (version == 2) return load_fail(run, "SaveVM v2 format is obsolete and don't work anymore");
    if (version != STREAM_VERSION) return load_fail(run, "Unsupported migration stream version");
    run->state = LOAD_CONFIGURATION;
    return true;
}

static bool load_fail_uuid(LoadRun *run, const uint8_t b[16])
{
    char text[64], *p = text;

    for (int i = 0; i < 16; i++)
        p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
    return load_fail(run, "UUID received is %s and local is %s", text, run->m->config.uuid);
}

static bool load_uuid(LoadRun *run)
{
    uint8_t received[16], local[16];

    stream_get(&run->st, received, sizeof(received));
    if (stream_ok(&run->st) && machine_uuid(run->m, local) &&
        memcmp(received, local, sizeof(local)))
        return load_fail_uuid(run, received);
    return stream_ok(&run->st);
}

/* Capabilities that both ends must have alike, and the sender has. */
static bool load_capabilities(LoadRun *run)
{
    uint32_t n = stream_get_be32(&run->st);
    char name[256];

    for (uint32_t i = 0; i < n && stream_ok(&run->st); i++) {
        stream_get_str8(&run->st, name);
        if (stream_ok(&run->st) && !capability_received(run->m, name, &run->st.err)) return false;
    }
    return stream_ok(&run->st);
}

static bool load_configuration_subsection(LoadRun *run)
{
    Stream *st = &run->st;
    char name[256];

    stream_get_u8(st);
    stream_get_str8(st, name);
    stream_get_be32(st);
    if (!stream_ok(st)) return false;
    if (!strcmp(name, "configuration/target-page-bits")) {
        uint32_t bits = stream_get_be32(st);

        if (stream_ok(st) && bits != PAGE_BITS)
            return load_fail(
                run, "Received TARGET_PAGE_BITS is %u but local is %d", bits, PAGE_BITS);
        return stream_ok(st);
    }
    if (!strcmp(name, "configuration/uuid")) return load_uuid(run);
    if (!strcmp(name, "configuration/capabilities")) return load_capabilities(run);
    return load_fail(run, "configuration: unknown subsection '%s'", name);
}

static bool load_configuration(LoadRun *run)
{
    Stream *st = &run->st;
    const char *local = run->m->cls->name;
    char name[256] = "";
    uint32_t len;

    if (run->without->no_configuration ||
        (run->devices_only && stream_peek(st, 0) != SECTION_CONFIGURATION)) {
        run->state = LOAD_SECTIONS;
        return true;
    }
    if (stream_get_u8(st) != SECTION_CONFIGURATION)
        return stream_ok(st) ? load_fail(run, "Configuration section missing") : false;
    len = stream_get_be32(st);
    if (stream_ok(st) && len >= sizeof(name))
        return load_fail(run, "Machine type name of %u bytes", len);
    stream_get(st, name, stream_ok(st) ? len : 0);
    if (!stream_ok(st)) return false;
    if (strlen(local) != len || memcmp(name, local, len))
        return load_fail(run, "Machine type received is '%s' and local is '%s'", name, local);
    while (stream_peek(st, 0) == SECTION_SUBSECTION)
        if (!load_configuration_subsection(run)) return false;
    if (stream_peek(st, 0) < 0) st->starved = true;
    if (stream_ok(st)) run->state = LOAD_SECTIONS;
    return stream_ok(st);
}

static bool load_footer(LoadRun *run, const char *idstr, uint32_t id)
{
    Stream *st = &run->st;
    uint8_t mark;
    uint32_t got;

    if (run->without->no_footers) return stream_ok(st);
    mark = stream_get_u8(st);
    if (!stream_ok(st)) return false;
    if (mark != SECTION_FOOTER) return load_fail(run, "Missing section footer for %s", idstr);
    got = stream_get_be32(st);
    if (stream_ok(st) && got != id)
        return load_fail(run, "Mismatched section id in footer for %s - read 0x%x expected 0x%x",
            idstr, got, id);
    return stream_ok(st);
}

static void load_keep_bytes(LoadRun *run, Section *sec, int version, size_t from)
{
    LoadBytes *b = g_new0(LoadBytes, 1);

    b->sec = sec;
    b->version = version;
    b->size = run->st.pos - from;
    b->data = g_memdup2(run->st.data + from, b->size);
    b->next = run->bytes;
    run->bytes = b;
}

static bool load_full_body(LoadRun *run, Section *sec, int version)
{
    Stream *st = &run->st;
    size_t from = st->pos;

    if (sec->vmsd) {
        LoadCopy *c = load_copy(run, sec);
        void *attempt = g_memdup2(c->copy, c->size), *loser = attempt;

        vmstate_unshare(sec->vmsd, attempt, c->copy);
        if (vmstate_load(st, sec->vmsd, attempt, version)) {
            loser = c->copy;
            c->copy = attempt;
            c->loaded = true;
        }
        vmstate_free_pointers(sec->vmsd, loser);
        g_free(loser);
        if (error_is_set(&st->err))
            error_prefix(&st->err,
                "error while loading state for instance 0x%x of device '%s': ", sec->instance,
                sec->idstr);
    } else {
        size_t end;

        sec->ops->probe(st, sec->opaque, version);
        end = st->pos;

        if (stream_ok(st) && load_footer(run, sec->idstr, run->current_id)) {
            st->pos = end;
            load_keep_bytes(run, sec, version, from);
        }
    }
    return stream_ok(st);
}

/* Between RAM's START and its END there must be nothing but RAM. */
static void load_index_section(LoadRun *run)
{
    if (run->index.head && !run->index.tail && run->current_id != run->index.id)
        run->index.on = false;
}

static bool load_start_or_full(LoadRun *run, uint8_t type)
{
    Stream *st = &run->st;
    uint32_t id = stream_get_be32(st), instance, version;
    char idstr[256];
    Section *sec;

    stream_get_str8(st, idstr);
    instance = stream_get_be32(st);
    version = stream_get_be32(st);
    if (!stream_ok(st)) return false;
    if (!strcmp(idstr, EXACT_SECTION) && type == SECTION_FULL && run->return_path)
        return load_exact_section(run) && load_footer(run, idstr, id);
    sec = section_find_sent(run->m, idstr, instance, (int)version);
    if (!sec && type == SECTION_FULL && foreign_section_skip(st, idstr, version))
        return load_footer(run, idstr, id);
    if (!stream_ok(st)) return false;
    if (!sec || (type == SECTION_START) != (sec->iterable != NULL))
        return load_fail(run,
            "Unknown savevm section or instance '%s' %u. Make sure that your current VM setup "
            "matches your saved VM setup, including any hotplugged devices",
            idstr, instance);
    if (version > (uint32_t)sec->version)
        return load_fail(
            run, "savevm: unsupported version %u for '%s' v%d", version, idstr, sec->version);
    run->current_id = id;
    run->current_type = type;
    load_index_section(run);
    if (type == SECTION_FULL)
        return load_full_body(run, sec, (int)version) && load_footer(run, idstr, id);
    g_hash_table_insert(run->ids, GUINT_TO_POINTER(id), sec);
    g_hash_table_insert(run->versions, GUINT_TO_POINTER(id), GUINT_TO_POINTER(version));
    run->current = sec;
    run->current_version = (int)version;
    run->state = LOAD_RECORDS;
    return true;
}

static bool load_part_or_end(LoadRun *run, uint8_t type)
{
    uint32_t id = stream_get_be32(&run->st);
    Section *sec = g_hash_table_lookup(run->ids, GUINT_TO_POINTER(id));

    if (!stream_ok(&run->st)) return false;
    if (!sec) return load_fail(run, "Unknown savevm section %u", id);
    run->current = sec;
    run->current_version =
        (int)GPOINTER_TO_UINT(g_hash_table_lookup(run->versions, GUINT_TO_POINTER(id)));
    run->current_id = id;
    run->current_type = type;
    load_index_section(run);
    run->state = LOAD_RECORDS;
    return true;
}

static void load_index_end(LoadRun *run)
{
    uint64_t here = run->st.offset + run->st.pos;

    if (run->current->iterable != &ram_ops) return;
    if (!run->index.head) run->index.head = here;
    run->index.id = run->current_id;
    run->index.tail = run->current_type == SECTION_END ? here : 0;
}

static bool load_records(LoadRun *run)
{
    const IterableOps *ops = run->current->iterable;
    bool end = false;

    ops->load(run, &run->st, run->current_version, &end);
    if (error_is_set(&run->st.err))
        error_prefix(&run->st.err, "error while loading state section id %u(%s): ", run->current_id,
            run->current->idstr);
    if (!stream_ok(&run->st)) return false;
    if (!end) return true;
    if (!load_footer(run, run->current->idstr, run->current_id)) return false;
    load_index_end(run);
    run->state = LOAD_SECTIONS;
    return true;
}

static bool load_section(LoadRun *run)
{
    uint8_t type = stream_get_u8(&run->st);

    if (!stream_ok(&run->st)) return false;
    if (run->devices_only && type != SECTION_FULL && type != SECTION_EOF)
        return load_fail(run, "Section type %u in a state of devices alone", type);
    switch (type) {
    case SECTION_START:
    case SECTION_FULL: return load_start_or_full(run, type);
    case SECTION_PART:
    case SECTION_END: return load_part_or_end(run, type);
    case SECTION_COMMAND: return load_command(run);
    case SECTION_EOF:
        run->state = run->postcopy == LOAD_RUNNING ? LOAD_END : LOAD_VMDESC;
        return true;
    default: return load_fail(run, "Unknown savevm section type %u", type);
    }
}

/* The mark and length in front of the description, which is optional, as is all that it says. */
static bool load_vmdesc_head(LoadRun *run)
{
    Stream *st = &run->st;

    if (run->without->no_description || (stream_peek(st, 0) < 0 && st->eof)) {
        run->state = LOAD_END;
        return true;
    }
    if (stream_get_u8(st) == SECTION_VMDESC) run->vmdesc_left = stream_get_be32(st);
    if (!stream_ok(st)) run->vmdesc_left = 0;
    if (stream_ok(st) && !run->vmdesc_left) run->state = LOAD_END;
    return stream_ok(st);
}

static bool load_vmdesc(LoadRun *run)
{
    Stream *st = &run->st;
    size_t n = MIN_OF(stream_left(st), run->vmdesc_left);

    if (!run->vmdesc_left) return load_vmdesc_head(run);
    if (!n) {
        st->starved = true;
        return false;
    }
    if (run->vmdesc->len + n <= VMDESC_MAX)
        g_string_append_len(run->vmdesc, (const char *)st->data + st->pos, (gssize)n);
    stream_skip(st, n);
    run->vmdesc_left -= (uint32_t)n;
    if (!run->vmdesc_left) run->state = LOAD_END;
    return true;
}

static bool load_unit(LoadRun *run)
{
    switch (run->state) {
    case LOAD_HEADER: return load_header(run);
    case LOAD_CONFIGURATION: return load_configuration(run);
    case LOAD_SECTIONS: return load_section(run);
    case LOAD_RECORDS: return load_records(run);
    case LOAD_VMDESC: return load_vmdesc(run);
    case LOAD_END: break;
    }
    return false;
}

static LoadStatus load_failed(LoadRun *run)
{
    if (!error_is_set(&run->st.err) && run->state == LOAD_RECORDS)
        load_fail(run,
            "error while loading state section id %u(%s): Input/output error: the stream "
            "ends early",
            run->current_id, run->current->idstr);
    if (!error_is_set(&run->st.err)) load_fail(run, "Input/output error: the stream ends early");
    run->err = run->st.err;
    return LOAD_FAILED;
}

/* The package has been read: what it says applies before its commit. */
static LoadStatus load_running(LoadRun *run)
{
    if (run->vmdesc->len && !vmdesc_apply(run, run->vmdesc->str, &run->st.err))
        return load_failed(run);
    return LOAD_RUN;
}

LoadStatus load_step(LoadRun *run)
{
    Stream *st = &run->st;

    if (error_is_set(&st->err)) return load_failed(run);
    while (run->state != LOAD_END) {
        size_t start = st->pos;

        if (load_unit(run)) {
            if (run->postcopy == LOAD_RUNNING && !run->committed) return load_running(run);
            continue;
        }
        if (error_is_set(&st->err)) return load_failed(run);
        stream_rewind(st, start);
        /* Once all sections are there the description's end is not needed. */
        if (st->eof && run->state == LOAD_VMDESC) break;
        if (st->eof) return load_failed(run);
        if (stream_left(st) > UNIT_MAX) {
            load_fail(run, "a section of more than %d MiB", UNIT_MAX / MiB);
            return load_failed(run);
        }
        stream_discard(st, st->pos);
        return LOAD_MORE;
    }
    stream_discard(st, st->pos);
    if (run->committed) {
        if (!ram_load_missing(run)) return LOAD_DONE;
        load_fail(run, "The stream has ended, and pages are missing");
        return load_failed(run);
    }
    if (run->vmdesc->len && !vmdesc_apply(run, run->vmdesc->str, &st->err)) return load_failed(run);
    return LOAD_DONE;
}

/* Old-style handlers change things at once: their old bytes are kept to undo it. */
static bool load_commit_bytes(LoadRun *run, Error *err)
{
    for (LoadBytes *b = run->bytes; b; b = b->next) {
        Stream old, st;
        bool ok;

        stream_init(&old);
        stream_init(&st);
        b->sec->ops->save(&old, b->sec->opaque);
        stream_put(&st, b->data, b->size);
        b->sec->ops->load(&st, b->sec->opaque, b->version);
        ok = stream_ok(&st);
        if (!ok) {
            error_set(err, "%s", st.err.msg[0] ? st.err.msg : "short section");
            error_prefix(err, "%s: ", b->sec->idstr);
            b->sec->ops->load(&old, b->sec->opaque, b->sec->version);
        }
        stream_free(&old);
        stream_free(&st);
        if (!ok) return false;
    }
    return true;
}

bool load_commit(LoadRun *run, Error *err)
{
    if (!ram_load_check(run, err) || !load_commit_bytes(run, err) || !ram_load_commit(run, err))
        return false;
    for (LoadCopy *c = run->copies; c; c = c->next) {
        copy_free_pointers(run->m, c, c->state);
        memcpy(c->state, c->copy, c->size);
        c->moved = true;
    }
    for (Section *s = run->m->sections; s; s = s->next)
        if (s->vmsd && s->ops && s->ops->commit) s->ops->commit(s->opaque);
    run->committed = true;
    machine_sync(run->m);
    return true;
}

RunState load_run_state(LoadRun *run, RunState fallback)
{
    Section *s = section_find(run->m, "globalstate", 0);

    return s && load_copy(run, s)->loaded ? globalstate_of(load_copy(run, s)->copy) : fallback;
}

void load_end(LoadRun *run)
{
    if (!run) return;
    ram_load_free(run);
    while (run->copies) {
        LoadCopy *c = run->copies;

        run->copies = c->next;
        if (!c->moved) copy_free_pointers(run->m, c, c->copy);
        g_free(c->copy);
        g_free(c);
    }
    while (run->bytes) {
        LoadBytes *b = run->bytes;

        run->bytes = b->next;
        g_free(b->data);
        g_free(b);
    }
    g_hash_table_destroy(run->ids);
    g_hash_table_destroy(run->versions);
    g_string_free(run->vmdesc, TRUE);
    stream_free(&run->st);
    stream_free(&run->answers);
    g_free(run);
}
