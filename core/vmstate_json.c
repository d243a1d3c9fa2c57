/* SPDX-License-Identifier: MIT */
/* The description of a table as it stands in a stream's vmdescription: enough for an independent
 * reader to decode the section.  Sizes are those on the wire, nested subsections included. */
#include <jansson.h>
#include <string.h>

#include "core/vmstate_walk.h"
#include "util/bits.h"

static void describe_version(json_t *o, const VmState *vmsd, const void *s, int version);

/* Bytes that one element takes on the wire: measured by writing it. */
static size_t element_size(const VmField *f, const void *elem)
{
    Stream st;
    size_t n;

    stream_init(&st);
    vmfield_save_element(&st, f, elem);
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

/* What is the same of elements that are alike: type, shape and size. */
static json_t *describe_element(const VmField *f, const void *elem)
{
    json_t *o = json_object();

    json_object_set_new(o, "type", json_string(elem ? f->type->name : "nullptr"));
    if (elem && f->type == &vm_tmp) {
        describe_version(o, f->vmsd, elem, vmfield_struct_version(f));
    } else if (elem && f->vmsd) {
        json_t *nested = json_object();

        describe_version(nested, f->vmsd, elem, vmfield_struct_version(f));
        json_object_set_new(o, "struct", nested);
    }
    json_object_set_new(o, "size", json_integer((json_int_t)element_size(f, elem)));
    return o;
}

/* Takes what over; index and count below 0: none. */
static void describe_add(
    json_t *fields, json_t *name, json_int_t count, json_int_t index, json_t *what)
{
    json_t *o = json_object();

    json_object_set_new(o, "name", name);
    if (count >= 0) json_object_set_new(o, "array_len", json_integer(count));
    if (index >= 0) json_object_set_new(o, "index", json_integer(index));
    json_object_update(o, what);
    json_decref(what);
    json_array_append_new(fields, o);
}

/* Whether all n elements are described by what.  Only those that hold structs or pointers can
 * differ. */
static bool describe_alike(const VmField *f, void *base, uint64_t n, const json_t *what)
{
    if (f->flags & VMF_LISTED) return false;
    if (!f->vmsd && !(f->flags & VMF_POINTERS)) return true;
    for (uint64_t i = 1; i < n; i++) {
        json_t *other = describe_element(f, vmfield_element(f, base, i));
        bool same = json_equal(what, other);

        json_decref(other);
        if (!same) return false;
    }
    return true;
}

/* Elements that differ in size or shape are listed one by one, with their index. */
static void describe_field(json_t *fields, const VmState *vmsd, const VmField *field, const void *s)
{
    uint64_t n = vmfield_count(field, s);
    VmField f = vmfield_sized(field, s);
    void *base = vmfield_base(&f, s);
    json_t *what;

    if (!n) return;
    what = describe_element(&f, vmfield_element(&f, base, 0));
    if (describe_alike(&f, base, n, what)) {
        describe_add(fields, field_name(vmsd, field), n > 1 ? (json_int_t)n : -1, -1, what);
        return;
    }
    json_decref(what);
    for (uint64_t i = 0; i < n; i++)
        describe_add(fields, field_name(vmsd, field), -1, (json_int_t)i,
            describe_element(&f, vmfield_element(&f, base, i)));
}

static void describe_version(json_t *o, const VmState *vmsd, const void *s, int version)
{
    json_t *fields = json_array(), *subs = NULL;

    json_object_set_new(o, "vmsd_name", json_string(vmsd->name));
    json_object_set_new(o, "version", json_integer(version));
    for (const VmField *f = vmsd->fields; f && f->name; f++)
        if (vmfield_exists(f, s, version)) describe_field(fields, vmsd, f, s);
    json_object_set_new(o, "fields", fields);
    for (const VmState *const *sub = vmsd->subsections; sub && *sub; sub++) {
        json_t *d;

        if (!subsection_needed(*sub, s)) continue;
        if (!subs) subs = json_array();
        d = json_object();
        describe_version(d, *sub, s, (*sub)->version);
        json_array_append_new(subs, d);
    }
    if (subs) json_object_set_new(o, "subsections", subs);
}

void vmstate_describe(Json *into, const VmState *vmsd, const void *s)
{
    describe_version((json_t *)into, vmsd, s, vmsd->version);
}
