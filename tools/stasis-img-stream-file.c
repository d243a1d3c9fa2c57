/* SPDX-License-Identifier: MIT */
/* The framing of a stream: see stasis-img-stream.h, and migration/save.h for what is what. */
#include <inttypes.h>
#include <string.h>

#include "tools/stasis-img-stream.h"
#include "util/bits.h"

enum {
    EOF_MARK = 0,
    START = 1,
    PART = 2,
    END = 3,
    FULL = 4,
    SUBSECTION = 5,
    VMDESC = 6,
    CONFIGURATION = 7,
    COMMAND = 8,
    FOOTER = 0x7e,
    PACKAGED = 7, /* a command */
    MAGIC = 0x5145564d,
    DESC_MAX = 64 * MiB,
    DEPTH_MAX = 4,
};

/* The last thing in the stream: a mark, the length, and as many bytes of JSON. */
json_t *stream_file_description(const uint8_t *data, size_t size, size_t *at)
{
    size_t first = size > DESC_MAX ? size - DESC_MAX : 0;

    for (*at = size; (*at)-- > first;) {
        const uint8_t *d = data + *at;
        json_t *desc;

        if (size - *at < 7 || d[0] != VMDESC || d[5] != '{') continue;
        if (load_be32(d + 1) != size - *at - 5) continue;
        desc = json_loadb((const char *)d + 5, size - *at - 5, 0, NULL);
        if (json_is_array(json_object_get(desc, "devices"))) return desc;
        json_decref(desc);
    }
    *at = size;
    return NULL;
}

static void file_configuration_subsection(StreamFile *f, json_t *into)
{
    Stream *st = &f->st;
    char name[256];

    stream_get_u8(st);
    stream_get_str8(st, name);
    stream_get_be32(st);
    if (!strcmp(name, "configuration/uuid")) {
        GString *hex = g_string_new(NULL);

        for (int i = 0; i < 16; i++) g_string_append_printf(hex, "%02x", stream_get_u8(st));
        json_object_set_new(into, "uuid", json_string(hex->str));
        g_string_free(hex, TRUE);
    } else if (!strcmp(name, "configuration/capabilities")) {
        json_t *list = json_array();

        json_object_set_new(into, "capabilities", list);
        for (uint32_t n = stream_get_be32(st); n && stream_ok(st); n--) {
            stream_get_str8(st, name);
            json_array_append_new(list, json_string(name));
        }
    } else if (!strcmp(name, "configuration/target-page-bits")) {
        json_object_set_new(into, "target-page-bits", json_integer(stream_get_be32(st)));
    } else {
        stream_fail(st, "configuration: unknown subsection '%s'", name);
    }
}

static void file_configuration(StreamFile *f)
{
    Stream *st = &f->st;
    uint32_t len = stream_get_be32(st);
    char name[256] = "";

    if (len >= sizeof(name)) {
        stream_fail(st, "Machine type name of %u bytes", len);
        return;
    }
    stream_get(st, name, len);
    json_object_set_new(f->out, "machine", json_string(name));
    while (stream_ok(st) && stream_peek(st, 0) == SUBSECTION)
        file_configuration_subsection(f, json_object_get(f->out, "configuration"));
}

static json_t *file_described(StreamFile *f, const char *name, uint32_t instance)
{
    json_t *list = json_object_get(f->desc, "devices"), *d;

    /* Some have two of one instance: they come in the order in which they are described. */
    for (size_t i = f->next; i < json_array_size(list); i++) {
        const char *text;

        d = json_array_get(list, i);
        text = json_string_value(json_object_get(d, "name"));
        if (!text || strcmp(text, name)) continue;
        if (json_integer_value(json_object_get(d, "instance_id")) != instance) continue;
        f->next = i + 1;
        return d;
    }
    return NULL;
}

/* Whether a section ends here: its footer, and then what can begin something. */
static bool file_footer_at(const StreamFile *f, size_t at, uint32_t id)
{
    const uint8_t *d = f->st.data + at;
    size_t left = f->st.size - at;

    if (left < 6 || d[0] != FOOTER || load_be32(d + 1) != id) return false;
    d += 5;
    if (*d == EOF_MARK) return left == 6 || f->depth;
    if (*d == COMMAND) return true;
    if (*d < START || *d > FULL || left < 11) return false;
    /* Sections behind one another have other ids, and printable names. */
    if (load_be32(d + 1) == id || load_be32(d + 1) > UINT16_MAX) return false;
    return *d == PART || *d == END || (d[5] && left > 11 && g_ascii_isgraph(d[6]));
}

/* Nobody says what it is made of: the bytes up to its footer. */
static json_t *file_undescribed(StreamFile *f, const char *name, uint32_t id)
{
    Stream *st = &f->st;
    size_t end = st->pos;
    json_t *fields = NULL;

    while (end < st->size && !file_footer_at(f, end, id)) end++;
    if (end < st->size) {
        GString *hex = g_string_sized_new(2 * (end - st->pos));

        while (st->pos < end) g_string_append_printf(hex, "%02x", stream_get_u8(st));
        fields = json_pack("{s:s}", "data", hex->str);
        g_string_free(hex, TRUE);
    } else {
        stream_fail(st,
            "no description, and no footer behind section '%s': nobody can tell where "
            "it ends (give a stream of the same machine that has one: -l FILE)",
            name);
    }
    return fields;
}

static void file_device(
    StreamFile *f, const char *name, uint32_t id, uint32_t instance, uint32_t version)
{
    json_t *d = file_described(f, name, instance), *fields, *o;

    if (f->desc && !d) {
        stream_fail(&f->st, "section '%s' %u is not described", name, instance);
        return;
    }
    fields = d ? stream_file_table(&f->st, d) : file_undescribed(f, name, id);
    if (!fields) {
        error_prefix(&f->st.err, "%s: ", name);
        return;
    }
    o = json_object();
    json_object_set_new(o, "name", json_string(name));
    json_object_set_new(o, "instance_id", json_integer(instance));
    json_object_set_new(o, "version", json_integer(version));
    json_object_set_new(o, "fields", fields);
    json_array_append_new(json_object_get(f->out, "devices"), o);
}

static void file_sections(StreamFile *f, size_t end);

static void file_command(StreamFile *f)
{
    Stream *st = &f->st;
    uint16_t number = stream_get_be16(st), len = stream_get_be16(st);
    json_t *list = json_object_get(f->out, "commands");
    GString *hex = g_string_new(NULL);
    uint32_t package = 0;

    for (unsigned i = 0; i < len && stream_ok(st); i++) {
        uint8_t b = stream_get_u8(st);

        package = package << 8 | b;
        g_string_append_printf(hex, "%02x", b);
    }
    if (!list) json_object_set_new(f->out, "commands", list = json_array());
    json_array_append_new(list, json_pack("{s:i,s:s}", "command", number, "data", hex->str));
    g_string_free(hex, TRUE);
    if (!stream_ok(st) || number != PACKAGED) return;
    if (package > stream_left(st) || ++f->depth > DEPTH_MAX)
        stream_fail(st, "a package of %u bytes", package);
    else
        file_sections(f, st->pos + package);
}

static void file_section(StreamFile *f, uint8_t type)
{
    Stream *st = &f->st;
    uint32_t id = stream_get_be32(st), instance = 0, version = 0;
    const char *known = g_hash_table_lookup(f->ids, GUINT_TO_POINTER(id));
    char name[256];

    g_strlcpy(name, known ? known : "", sizeof(name));
    if (type == START || type == FULL) {
        stream_get_str8(st, name);
        instance = stream_get_be32(st);
        version = stream_get_be32(st);
        g_hash_table_insert(f->ids, GUINT_TO_POINTER(id), g_strdup(name));
    }
    if (!stream_ok(st)) return;
    if (type == FULL)
        file_device(f, name, id, instance, version);
    else if (!strcmp(name, "ram"))
        stream_file_ram(f);
    else if (!strcmp(name, "block"))
        stream_file_disks(f);
    else
        stream_fail(st, "section '%s' %u in rounds", name, id);
    if (stream_ok(st) && stream_peek(st, 0) == FOOTER) {
        stream_skip(st, 1);
        if (stream_get_be32(st) != id)
            stream_fail(st, "Mismatched section id in footer for %s", name);
    }
}

static void file_sections(StreamFile *f, size_t end)
{
    Stream *st = &f->st;

    while (stream_ok(st) && st->pos < end) {
        uint8_t type = stream_get_u8(st);

        switch (type) {
        case EOF_MARK: return;
        case CONFIGURATION: file_configuration(f); break;
        case COMMAND: file_command(f); break;
        case START:
        case PART:
        case END:
        case FULL: file_section(f, type); break;
        default: stream_fail(st, "Unknown savevm section type %u", type);
        }
    }
}

static void file_block_free(void *opaque)
{
    StreamBlock *b = opaque;

    g_hash_table_destroy(b->pages);
    g_free(b->name);
    g_free(b);
}

static void file_parse(StreamFile *f, const json_t *like)
{
    Stream *st = &f->st;
    const char *key;
    json_t *value;
    bool own;

    if (stream_get_be32(st) != MAGIC || stream_get_be32(st) != 3) {
        st->err = (Error)ERROR_INIT;
        stream_fail(st, "Not a migration stream");
        return;
    }
    f->desc = stream_file_description(st->data, st->size, &f->desc_at);
    own = f->desc != NULL;
    if (!own) f->desc = json_incref((json_t *)like);
    json_object_set_new(f->out, "version", json_integer(3));
    json_object_set_new(f->out, "machine", json_null());
    json_object_set_new(f->out, "configuration", json_object());
    json_object_set_new(f->out, "devices", json_array());
    file_sections(f, SIZE_MAX);
    if (stream_ok(st) && st->pos != f->desc_at)
        stream_fail(st, "the sections end at %zu, the %s %zu", st->pos,
            own ? "description begins at" : "stream at", f->desc_at);
    if (!own) return;
    json_object_foreach (f->desc, key, value)
        if (strcmp(key, "page_size") && strcmp(key, "devices")) json_object_set(f->out, key, value);
}

StreamFile *stream_file_parse(const uint8_t *data, size_t size, const json_t *like, Error *err)
{
    StreamFile *f = g_new0(StreamFile, 1);

    f->st = (Stream){ .data = (uint8_t *)data, .size = size, .eof = true };
    f->out = json_object();
    f->blocks = g_ptr_array_new_with_free_func(file_block_free);
    f->disks = g_ptr_array_new_with_free_func(file_block_free);
    f->owned = g_ptr_array_new_with_free_func(g_free);
    f->ids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    file_parse(f, like);
    if (stream_ok(&f->st)) return f;
    error_set(err, "at byte %zu: %s", f->st.pos,
        f->st.err.msg[0] ? f->st.err.msg : "the stream ends early");
    stream_file_free(f);
    return NULL;
}

void stream_file_free(StreamFile *f)
{
    if (!f) return;
    json_decref(f->desc);
    json_decref(f->out);
    g_ptr_array_free(f->blocks, TRUE);
    g_ptr_array_free(f->disks, TRUE);
    g_ptr_array_free(f->owned, TRUE);
    g_hash_table_destroy(f->ids);
    g_free(f);
}
