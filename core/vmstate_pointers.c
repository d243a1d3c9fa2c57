/* SPDX-License-Identifier: MIT */
/*
 * What states have behind pointers: see vmstate.h.
 *
 * A block knows its size, so that copying and freeing depend on no count in the state, which a load
 * that failed half-way may have changed without the block.
 */
#include <assert.h>
#include <glib.h>
#include <string.h>

#include "core/vmstate_walk.h"

/* In front of every block; as wide as the strictest alignment. */
typedef union BlockHead {
    size_t bytes;
    max_align_t align;
} BlockHead;

void *vmstate_new(size_t bytes)
{
    BlockHead *head = g_malloc0(sizeof(*head) + bytes);

    head->bytes = bytes;
    return head + 1;
}

void vmstate_delete(void *p)
{
    if (p) g_free((BlockHead *)p - 1);
}

size_t vmstate_size(const void *p) { return p ? ((const BlockHead *)p - 1)->bytes : 0; }

static void *vmstate_dup(const void *p)
{
    return memcpy(vmstate_new(vmstate_size(p)), p, vmstate_size(p));
}

/* Whether there is anything behind the field's bytes. */
static bool vmfield_has_pointers(const VmField *f)
{
    return f->vmsd || f->flags & (VMF_POINTER | VMF_POINTERS);
}

/* How many elements there is memory for: in s, or in the block behind its pointer. */
static uint64_t vmfield_room(const VmField *f, const void *base)
{
    if (!(f->flags & VMF_POINTER)) return f->count;
    return f->stride ? vmstate_size(base) / f->stride : 0;
}

/* An element that is in memory of the copy's own and may hold pointers of the original. */
static void unshare_element(const VmField *f, void *elem, const void *old)
{
    if (f->flags & VMF_POINTERS) {
        void **p = elem, *const *q = old;

        if (!*q || *p != *q) return;
        *p = vmstate_dup(*q);
        elem = *p;
        old = *q;
    }
    if (f->vmsd) vmstate_unshare(f->vmsd, elem, old);
}

static void unshare_field(const VmField *f, void *copy, const void *s)
{
    char *to = (char *)copy + f->offset;
    const char *from = (const char *)s + f->offset;

    if (f->flags & VMF_POINTER) {
        void *const *old = (void *const *)from, **new = (void **)to;

        /* Another field, of another version, may have the same pointer. */
        if (!*old || *new != *old) return;
        to = *new = vmstate_dup(*old);
        from = *old;
    }
    if (!f->vmsd && !(f->flags & VMF_POINTERS)) return;
    for (uint64_t i = 0, n = vmfield_room(f, to); i < n; i++)
        unshare_element(f, to + i * f->stride, from + i * f->stride);
}

void vmstate_unshare(const VmState *vmsd, void *copy, const void *s)
{
    for (const VmField *f = vmsd->fields; f && f->name; f++)
        if (vmfield_has_pointers(f)) unshare_field(f, copy, s);
    for (const VmState *const *sub = vmsd->subsections; sub && *sub; sub++)
        vmstate_unshare(*sub, copy, s);
}

static void free_element(const VmField *f, void *elem)
{
    void *p = f->flags & VMF_POINTERS ? *(void **)elem : elem;

    if (f->vmsd && p) vmstate_free_pointers(f->vmsd, p);
    if (!(f->flags & VMF_POINTERS)) return;
    vmstate_delete(p);
    *(void **)elem = NULL;
}

static void free_field(const VmField *f, void *s)
{
    char *base = vmfield_base(f, s);

    if (f->vmsd || f->flags & VMF_POINTERS)
        for (uint64_t i = 0, n = vmfield_room(f, base); i < n; i++)
            free_element(f, base + i * f->stride);
    if (!(f->flags & VMF_POINTER)) return;
    vmstate_delete(base);
    *(void **)((char *)s + f->offset) = NULL;
}

void vmstate_free_pointers(const VmState *vmsd, void *s)
{
    for (const VmField *f = vmsd->fields; f && f->name; f++)
        if (vmfield_has_pointers(f)) free_field(f, s);
    for (const VmState *const *sub = vmsd->subsections; sub && *sub; sub++)
        vmstate_free_pointers(*sub, s);
}
