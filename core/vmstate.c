/* SPDX-License-Identifier: MIT */
/* Walks vmstate tables to save and to load: see vmstate.h; core/vmstate_json.c describes. */
#include "core/vmstate.h"

#include <assert.h>
#include <glib.h>
#include <string.h>

#include "util/bits.h"

enum { SUBSECTION = 5 };
/* What one variable-length field may allocate. */
enum { ELEMENTS_BYTES_MAX = 64 * MiB };

static bool vmfield_exists(const VmField *f, const void *s, int version)
{
    return f->since <= version && (!f->exists || f->exists(s, version));
}

static uint64_t vmfield_count(const VmField *f, const void *s)
{
    uint64_t n = 0;

    if (!f->count_type) return f->count;
    if (f->count_type == &vm_u8) n = *((const uint8_t *)s + f->count_offset);
    if (f->count_type == &vm_u16) memcpy(&n, (const char *)s + f->count_offset, 2);
    if (f->count_type == &vm_u32 || f->count_type == &vm_i32)
        memcpy(&n, (const char *)s + f->count_offset, 4);
    return n;
}

/* The field's first element: in s, or behind the pointer in s. */
static void *vmfield_base(const VmField *f, const void *s)
{
    char *p = (char *)s + f->offset;

    return f->flags & VMF_POINTER ? *(void **)p : p;
}

static bool subsection_needed(const VmState *sub, const void *s)
{
    return !sub->needed || sub->needed(s);
}

void vmstate_save(Stream *st, const VmState *vmsd, void *s)
{
    if (vmsd->pre_save) vmsd->pre_save(s);
    for (const VmField *f = vmsd->fields; f && f->name; f++) {
        uint64_t n = vmfield_count(f, s);
        const char *base = vmfield_base(f, s);

        if (!vmfield_exists(f, s, vmsd->version)) {
            assert(!(f->flags & VMF_MUST_EXIST));
            continue;
        }
        for (uint64_t i = 0; i < n; i++) f->type->save(st, base + i * f->stride, f);
    }
    for (const VmState *const *sub = vmsd->subsections; sub && *sub; sub++) {
        if (!subsection_needed(*sub, s)) continue;
        stream_put_u8(st, SUBSECTION);
        stream_put_str8(st, (*sub)->name);
        stream_put_be32(st, (uint32_t)(*sub)->version);
        vmstate_save(st, *sub, s);
    }
}

/* Makes room behind a VMF_POINTER field for what the stream is about to bring. */
static bool vmfield_alloc(Stream *st, const VmField *f, void *s, uint64_t n)
{
    void **p = (void **)((char *)s + f->offset);

    if (n * f->stride > ELEMENTS_BYTES_MAX)
        return stream_fail(st, "%s: %" G_GUINT64_FORMAT " elements are too many", f->name, n);
    g_free(*p);
    *p = g_malloc0(MAX_OF(n * f->stride, 1));
    return true;
}

static bool vmfield_load(Stream *st, const VmState *vmsd, const VmField *f, void *s)
{
    uint64_t n = vmfield_count(f, s);
    char *base;

    if (f->count_type && !(f->flags & VMF_POINTER) && n > f->count)
        return stream_fail(
            st, "%s: %" G_GUINT64_FORMAT " elements, at most %u fit", f->name, n, f->count);
    if (f->flags & VMF_POINTER && !vmfield_alloc(st, f, s, n)) return false;
    base = vmfield_base(f, s);
    for (uint64_t i = 0; i < n; i++) {
        f->type->load(st, base + i * f->stride, f);
        if (stream_ok(st)) continue;
        if (st->err.msg[0]) error_prefix(&st->err, "Failed to load %s:%s: ", vmsd->name, f->name);
        return false;
    }
    return true;
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

void vmstate_free_pointers(const VmState *vmsd, void *s)
{
    for (const VmField *f = vmsd->fields; f && f->name; f++) {
        void **p = (void **)((char *)s + f->offset);

        if (!(f->flags & VMF_POINTER)) continue;
        g_free(*p);
        *p = NULL;
    }
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
