/* SPDX-License-Identifier: MIT */
/* A device's state, read as the stream's description says. */
#include <inttypes.h>
#include <string.h>

#include "tools/stasis-img-stream.h"

enum { EXACT_BITS = 53, SUBSECTION = 5, NULL_MARK = '0' };

static uint64_t described(const json_t *o, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(o, key));

    return v > 0 ? (uint64_t)v : 0;
}

static const char *described_text(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

/* What a double does not hold exactly is given as text. */
static json_t *device_number(uint64_t v, bool negative)
{
    uint64_t size = negative ? -v : v;

    return size >> EXACT_BITS ? json_sprintf("0x%016" PRIx64, v) : json_integer((json_int_t)v);
}

static json_t *device_integer(Stream *st, const char *type, uint64_t size)
{
    bool with_sign = g_str_has_prefix(type, "int") || g_str_has_prefix(type, "timer");
    uint64_t v = 0;
    bool negative;

    for (uint64_t i = 0; i < size; i++) v = v << 8 | stream_get_u8(st);
    negative = with_sign && size && v >> (8 * size - 1);
    if (negative && size < 8) v |= ~UINT64_C(0) << 8 * size;
    return device_number(v, negative);
}

static json_t *device_bytes(Stream *st, uint64_t size)
{
    GString *hex = g_string_sized_new(2 * size);
    json_t *text;

    for (uint64_t i = 0; i < size; i++) g_string_append_printf(hex, "%02x", stream_get_u8(st));
    text = json_string(hex->str);
    g_string_free(hex, TRUE);
    return text;
}

static json_t *device_levels(Stream *st, uint64_t size)
{
    json_t *list = json_array();

    for (uint64_t i = 0; i + 4 <= size; i += 4)
        json_array_append_new(list, json_integer(stream_get_be32(st)));
    return list;
}

static json_t *device_plain(Stream *st, const char *type, uint64_t size)
{
    if ((g_str_has_prefix(type, "uint") || g_str_has_prefix(type, "int") ||
            g_str_has_prefix(type, "timer")) &&
        size <= 8)
        return device_integer(st, type, size);
    if (!strcmp(type, "bool") && size == 1) return json_boolean(stream_get_u8(st));
    if (!strcmp(type, "pci irq state") && size % 4 == 0) return device_levels(st, size);
    if (!strcmp(type, "nullptr") && size == 1) {
        if (stream_get_u8(st) != NULL_MARK) stream_fail(st, "no mark of a null pointer");
        return json_null();
    }
    return device_bytes(st, size);
}

static json_t *device_element(Stream *st, const json_t *field)
{
    const char *type = described_text(field, "type"), *name = described_text(field, "name");
    const json_t *table = json_object_get(field, "struct");
    uint64_t size = described(field, "size");
    size_t start = st->pos;
    json_t *value;

    if (size > stream_left(st)) {
        stream_fail(st, "field '%s' of %" PRIu64 " bytes goes beyond the end", name, size);
        return NULL;
    }
    if (!table && !strcmp(type, "tmp") && json_object_get(field, "fields")) table = field;
    value = table ? stream_file_table(st, table) : device_plain(st, type, size);
    if (stream_ok(st) && st->pos - start == size) return value;
    stream_fail(
        st, "field '%s' takes %zu bytes, described as %" PRIu64, name, st->pos - start, size);
    json_decref(value);
    return NULL;
}

static json_t *device_array(Stream *st, const json_t *field, uint64_t n)
{
    json_t *list = json_array();

    /* Nothing is too many where it takes no bytes. */
    if (n > stream_left(st))
        stream_fail(st, "%" PRIu64 " elements of '%s'", n, described_text(field, "name"));
    for (uint64_t i = 0; i < n && stream_ok(st); i++) {
        json_t *value = device_element(st, field);

        if (value) json_array_append_new(list, value);
    }
    return list;
}

/* One of those that are described one by one. */
static void device_indexed(Stream *st, json_t *out, const json_t *field, const char *name)
{
    json_t *list = json_object_get(out, name), *value;

    if (!list) {
        list = json_array();
        json_object_set_new(out, name, list);
    }
    if (!json_is_array(list) || json_array_size(list) != described(field, "index")) {
        stream_fail(
            st, "element %" PRIu64 " of '%s' out of order", described(field, "index"), name);
        return;
    }
    value = device_element(st, field);
    if (value) json_array_append_new(list, value);
}

static void device_field(Stream *st, json_t *out, const json_t *field)
{
    const char *name = described_text(field, "name");
    json_t *len = json_object_get(field, "array_len"), *value;

    if (json_object_get(field, "index")) {
        device_indexed(st, out, field, name);
        return;
    }
    value =
        len ? device_array(st, field, described(field, "array_len")) : device_element(st, field);
    if (value) json_object_set_new(out, name, value);
}

static void device_subsection(Stream *st, json_t *out, const json_t *desc)
{
    const char *want = described_text(desc, "vmsd_name");
    uint8_t mark = stream_get_u8(st);
    json_t *subs = json_object_get(out, "subsections"), *value;
    char name[256];

    stream_get_str8(st, name);
    if (mark != SUBSECTION || strcmp(name, want) ||
        stream_get_be32(st) != described(desc, "version")) {
        stream_fail(st, "subsection '%s' is not where it is described", want);
        return;
    }
    if (!subs) {
        subs = json_object();
        json_object_set_new(out, "subsections", subs);
    }
    value = stream_file_table(st, desc);
    if (value) json_object_set_new(subs, name, value);
}

json_t *stream_file_table(Stream *st, const json_t *desc)
{
    json_t *out = json_object(), *item;
    size_t i;

    json_array_foreach (json_object_get(desc, "fields"), i, item)
        if (stream_ok(st)) device_field(st, out, item);
    json_array_foreach (json_object_get(desc, "subsections"), i, item)
        if (stream_ok(st)) device_subsection(st, out, item);
    if (stream_ok(st)) return out;
    json_decref(out);
    return NULL;
}
