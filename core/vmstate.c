/* SPDX-License-Identifier: MIT */
/*
 * Walks vmstate tables to save and to load: see vmstate.h; core/vmstate_json.c describes,
 * core/vmstate_pointers.c has what is behind pointers.
 */
#include <assert.h>
#include <glib.h>
#include <string.h>

#include "core/vmstate_walk.h"
#include "util/bits.h"

enum { SUBSECTION = 5, NULL_MARK = '0' };
/* What one variable-length field may allocate. */
enum { ELEMENTS_BYTES_MAX = 64 * MiB };

bool vmfield_exists(const VmField *f, const void *s, int version)
{
    return f->since <= version && (!f->exists || f->exists(s, version));
}

/* An integer member's value; a negative one is more than anything has room for. */
static uint64_t vmfield_number(const void *s, size_t offset, const VmType *type)
{
    const char *p = (const char *)s + offset;
    uint64_t n = 0;

    if (type == &vm_u8) return *(const uint8_t *)p;
    if (type == &vm_u16) {
        memcpy(&n, p, 2);
    } else {
        assert(type == &vm_u32 || type == &vm_i32);
        memcpy(&n, p, 4);
    }
    return n;
}

uint64_t vmfield_count(const VmField *f, const void *s)
{
    return f->count_type ? vmfield_number(s, f->count_offset, f->count_type) : f->count;
}

int vmfield_struct_version(const VmField *f)
{
    return f->struct_version ? f->struct_version : f->vmsd->version;
}

VmField vmfield_sized(const VmField *f, const void *s)
{
    VmField sized = *f;

    if (!f->size_type) return sized;
    sized.size = vmfield_number(s, f->size_offset, f->size_type);
    if (f->type == &vm_bitmap) sized.size = (sized.size + 63) / 64 * 8;
    sized.stride = sized.size;
    return sized;
}

void *vmfield_base(const VmField *f, const void *s)
{
    char *p = (char *)s + f->offset;

    return f->flags & VMF_POINTER ? *(void **)p : p;
}

void *vmfield_element(const VmField *f, void *base, uint64_t i)
{
    char *p = (char *)base + i * f->stride;

    return f->flags & VMF_POINTERS ? *(void **)p : p;
}

bool subsection_needed(const VmState *sub, const void *s) { return !sub->needed || sub->needed(s); }

void vmfield_save_element(Stream *st, const VmField *f, const void *elem)
{
    if (elem)
        f->type->save(st, elem, f);
    else
        stream_put_u8(st, NULL_MARK);
}

static bool vmfield_save(Stream *st, const VmField *field, void *s)
{
    uint64_t n = vmfield_count(field, s);
    VmField f = vmfield_sized(field, s);
    void *base = vmfield_base(&f, s);

    if (f.flags & VMF_POINTER)
        assert(n * f.stride <= vmstate_size(base));
    else
        assert(n <= f.count && f.size <= field->size);
    for (uint64_t i = 0; i < n; i++) vmfield_save_element(st, &f, vmfield_element(&f, base, i));
    return stream_ok(st);
}

static bool vmstate_save_subsections(Stream *st, const VmState *vmsd, void *s)
{
    for (const VmState *const *sub = vmsd->subsections; sub && *sub; sub++) {
        if (!subsection_needed(*sub, s)) continue;
        stream_put_u8(st, SUBSECTION);
        stream_put_str8(st, (*sub)->name);
        stream_put_be32(st, (uint32_t)(*sub)->version);
        if (!vmstate_save(st, *sub, s)) return false;
    }
    return true;
}

static bool vmstate_save_fields(Stream *st, const VmState *vmsd, void *s, int version)
{
    for (const VmField *f = vmsd->fields; f && f->name; f++) {
        if (vmfield_exists(f, s, version)) {
            if (!vmfield_save(st, f, s)) return false;
        } else if (f->flags & VMF_MUST_EXIST) {
            return stream_fail(st, "Output state validation failed: %s/%s", vmsd->name, f->name);
        }
    }
    return true;
}

bool vmstate_save_version(Stream *st, const VmState *vmsd, void *s, int version)
{
    Error err = ERROR_INIT;
    bool ok;

    assert(version >= vmsd->min_version && version <= vmsd->version);
    if (vmsd->pre_save && !vmsd->pre_save(s, &err))
        ok = stream_fail(st, "%s: %s", vmsd->name, err.msg);
    else
        ok = vmstate_save_fields(st, vmsd, s, version) && vmstate_save_subsections(st, vmsd, s);
    if (vmsd->post_save) vmsd->post_save(s);
    return ok;
}

bool vmstate_save(Stream *st, const VmState *vmsd, void *s)
{
    return vmstate_save_version(st, vmsd, s, vmsd->version);
}

/* The least that n elements take on the wire. */
static uint64_t vmfield_least(const VmField *f, uint64_t n)
{
    return f->vmsd || f->flags & VMF_POINTERS ? n : n * f->size;
}

/* Makes room behind a VMF_POINTER field for what the stream is about to bring, and not before the
 * stream has it: a few bytes do not have megabytes allocated. */
static bool vmfield_alloc(Stream *st, const VmField *f, void *s, uint64_t n)
{
    const VmState only = { .fields = (const VmField[]){ *f, VM_END } };
    void **p = (void **)((char *)s + f->offset);

    if (n > ELEMENTS_BYTES_MAX || n * f->stride > ELEMENTS_BYTES_MAX)
        return stream_fail(
            st, "%" G_GUINT64_FORMAT " elements of %zu bytes are too many", n, f->stride);
    if (stream_left(st) < vmfield_least(f, n)) {
        st->starved = true;
        return false;
    }
    if (*p && !f->count_type && !f->size_type) return true;
    vmstate_free_pointers(&only, s);
    *p = vmstate_new(n * f->stride);
    return true;
}

static bool vmfield_load_element(Stream *st, const VmField *f, void *elem)
{
    if (elem)
        f->type->load(st, elem, f);
    else if (stream_get_u8(st) != NULL_MARK && stream_ok(st))
        stream_fail(st, "something, where there is nothing here");
    return stream_ok(st);
}

static bool vmfield_load_elements(Stream *st, const VmField *f, void *s, uint64_t n)
{
    void *base;

    if (f->count_type && !(f->flags & VMF_POINTER) && n > f->count)
        return stream_fail(st, "%" G_GUINT64_FORMAT " elements, at most %u fit", n, f->count);
    if (f->flags & VMF_POINTER && !vmfield_alloc(st, f, s, n)) return false;
    base = vmfield_base(f, s);
    for (uint64_t i = 0; i < n; i++)
        if (!vmfield_load_element(st, f, vmfield_element(f, base, i))) return false;
    return true;
}

static bool vmfield_load(Stream *st, const VmState *vmsd, const VmField *field, void *s)
{
    VmField f = vmfield_sized(field, s);

    if (f.size_type && !(f.flags & VMF_POINTER) && f.size > field->size)
        stream_fail(st, "%zu bytes, at most %zu fit", f.size, field->size);
    else if (vmfield_load_elements(st, &f, s, vmfield_count(field, s)))
        return true;
    if (st->err.msg[0]) error_prefix(&st->err, "Failed to load %s:%s: ", vmsd->name, f.name);
    return false;
}

static bool vmstate_load_fields(Stream *st, const VmState *vmsd, void *s, int version)
{
    for (const VmField *f = vmsd->fields; f && f->name; f++) {
        if (vmfield_exists(f, s, version)) {
            if (!vmfield_load(st, vmsd, f, s)) return false;
        } else if (f->flags & VMF_MUST_EXIST) {
            return stream_fail(st, "Input validation failed: %s/%s", vmsd->name, f->name);
        }
    }
    return true;
}

/* The subsections that stand in the stream here.  One whose name does not start with this table's
 * belongs to the struct around it. */
static bool vmstate_load_subsections(Stream *st, const VmState *vmsd, void *s)
{
    size_t prefix = strlen(vmsd->name);

    while (stream_peek(st, 0) == SUBSECTION) {
        const VmState *const *sub = vmsd->subsections;
        size_t start = st->pos;
        char name[256];
        int version;

        stream_get_u8(st);
        stream_get_str8(st, name);
        version = (int)stream_get_be32(st);
        if (!stream_ok(st)) return false;
        while (sub && *sub && strcmp((*sub)->name, name)) sub++;
        if (!sub || !*sub) {
            if (strncmp(name, vmsd->name, prefix) || name[prefix] != '/') {
                stream_rewind(st, start);
                return true;
            }
            return stream_fail(st, "VM subsection '%s' in '%s' does not exist", name, vmsd->name);
        }
        if (!vmstate_load(st, *sub, s, version)) return false;
    }
    /* One more byte must be there to know that no subsection follows. */
    if (stream_peek(st, 0) < 0 && !st->eof) st->starved = true;
    return stream_ok(st);
}

bool vmstate_load(Stream *st, const VmState *vmsd, void *s, int version)
{
    Error err = ERROR_INIT;

    if (version > vmsd->version)
        return stream_fail(st, "%s: incoming version_id %d is too new for local version_id %d",
            vmsd->name, version, vmsd->version);
    if (version < vmsd->min_version)
        return stream_fail(st,
            "%s: incoming version_id %d is too old for local minimum version_id "
            "%d",
            vmsd->name, version, vmsd->min_version);
    if (vmsd->pre_load && !vmsd->pre_load(s, &err)) return stream_fail(st, "%s", err.msg);
    if (!vmstate_load_fields(st, vmsd, s, version)) return false;
    if (!vmstate_load_subsections(st, vmsd, s)) return false;
    if (vmsd->post_load && !vmsd->post_load(s, version, &err))
        return stream_fail(st, "%s: %s", vmsd->name, err.msg);
    return true;
}

void vmstate_cover(const VmState *vmsd, uint8_t *map, size_t base, size_t size)
{
    for (const VmField *f = vmsd->fields; f && f->name; f++) {
        size_t off = base + f->offset;

        if (f->type == &vm_unused) continue;
        if (f->flags & VMF_POINTER) {
            memset(map + off, 1, sizeof(void *));
            continue;
        }
        for (uint32_t i = 0; i < f->count; i++, off += f->stride) {
            if (f->vmsd) {
                vmstate_cover(f->vmsd, map, off, size);
            } else {
                assert(off + f->size <= size);
                memset(map + off, 1, f->size);
            }
        }
    }
    for (const VmState *const *sub = vmsd->subsections; sub && *sub; sub++)
        vmstate_cover(*sub, map, base, size);
}
