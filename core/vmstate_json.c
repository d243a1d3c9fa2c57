/* SPDX-License-Identifier: MIT */
/* The description of a table as it stands in a stream's vmdescription: enough for an independent
 * reader to decode the section.  Sizes are those on the wire, nested subsections included. */
#include <jansson.h>
#include <string.h>

#include "core/vmstate.h"
#include "util/bits.h"

/* Bytes that one element takes on the wire: measured by writing it. */
static size_t element_size(const VmField *f, const void *elem)
{
    Stream st;
    size_t n;

    stream_init(&st);
    f->type->save(&st, elem, f);
    n = st.size;
    stream_free(&st);
    return n;
}

/* A field's name; where a table has it more than once, with its number among them. */
static json_t *field_name(const VmState *vmsd, const VmField *f)
{
    unsigned before = 0, all = 0;

    for (const VmField *g = vmsd->fields; g->name; g++) {
        if (strcmp(g->name, f->name)) continue;
        all++;
        before += g < f;
    }
    return all > 1 ? json_sprintf("%s[%u]", f->name, before) : json_string(f->name);
}

static void describe_element(json_t *fields, const VmState *vmsd, const VmField *f,
    const void *elem, uint64_t count, int64_t index)
{
    json_t *o = json_object();

    json_object_set_new(o, "name", field_name(vmsd, f));
    if (index >= 0)
        json_object_set_new(o, "index", json_integer(index));
    else if (count > 1)
        json_object_set_new(o, "array_len", json_integer((json_int_t)count));
    json_object_set_new(o, "type", json_string(f->type->name));
    if (f->type == &vm_tmp) {
        vmstate_describe((Json *)o, f->vmsd, elem);
    } else if (f->vmsd) {
        json_t *nested = json_object();

        vmstate_describe((Json *)nested, f->vmsd, elem);
        json_object_set_new(o, "struct", nested);
    }
    json_object_set_new(o, "size", json_integer((json_int_t)element_size(f, elem)));
    json_array_append_new(fields, o);
}

/* Elements that differ in size or shape are listed one by one, with their index. */
static void describe_field(json_t *fields, const VmState *vmsd, const VmField *f, const char *s)
{
    const char *base = s + f->offset;
    uint64_t n = f->count;
    bool alike = !(f->flags & VMF_LISTED);

    if (f->flags & VMF_POINTER) base = *(char *const *)base;
    if (f->count_type) {
        n = 0;
        memcpy(&n, s + f->count_offset,
            f->count_type == &vm_u8    ? 1
            : f->count_type == &vm_u16 ? 2
                                       : 4);
    }
    if (!n) return;
    if (f->vmsd)
        for (uint64_t i = 1; alike && i < n; i++)
            alike = element_size(f, base) == element_size(f, base + i * f->stride);
    if (alike) {
        describe_element(fields, vmsd, f, base, n, -1);
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        describe_element(fields, vmsd, f, base + i * f->stride, 1, (int64_t)i);
}

void vmstate_describe(Json *into, const VmState *vmsd, const void *s)
{
    json_t *o = (json_t *)into, *fields = json_array(), *subs = NULL;

    json_object_set_new(o, "vmsd_name", json_string(vmsd->name));
    json_object_set_new(o, "version", json_integer(vmsd->version));
    for (const VmField *f = vmsd->fields; f && f->name; f++)
        if (f->since <= vmsd->version && (!f->exists || f->exists(s, vmsd->version)))
            describe_field(fields, vmsd, f, s);
    json_object_set_new(o, "fields", fields);
    for (const VmState *const *sub = vmsd->subsections; sub && *sub; sub++) {
        json_t *d;

        if ((*sub)->needed && !(*sub)->needed(s)) continue;
        if (!subs) subs = json_array();
        d = json_object();
        vmstate_describe((Json *)d, *sub, s);
        json_array_append_new(subs, d);
    }
    if (subs) json_object_set_new(o, "subsections", subs);
}
