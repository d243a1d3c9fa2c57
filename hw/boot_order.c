/* SPDX-License-Identifier: MIT */
/* See boot_order.h.  The paths are those that SeaBIOS looks for. */
#include "hw/boot_order.h"

#include "hw/pci.h"

typedef struct BootEntry {
    int32_t index;
    char *path;
} BootEntry;

typedef struct BootOrder {
    GList *entries; /* by their index */
} BootOrder;

static void entry_free(void *p)
{
    g_free(((BootEntry *)p)->path);
    g_free(p);
}

static void boot_order_destroy(void *slot)
{
    g_list_free_full(((BootOrder *)slot)->entries, entry_free);
}

static BootOrder *boot_order(Machine *m)
{
    return machine_slot(m, "boot-order", sizeof(BootOrder), boot_order_destroy);
}

static int entry_compare(const void *a, const void *b)
{
    const BootEntry *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

bool boot_order_add(Machine *m, int32_t index, const char *path, Error *err)
{
    BootOrder *o = boot_order(m);
    BootEntry entry = { .index = index };

    if (index < 0) return true;
    if (g_list_find_custom(o->entries, &entry, entry_compare))
        return error_set(err, "The bootindex %d has already been used", index);
    entry.path = g_strdup(path);
    o->entries = g_list_insert_sorted(o->entries, g_memdup2(&entry, sizeof(entry)), entry_compare);
    return true;
}

const char *boot_order_isa(Machine *m) { return pci_nth(m, 0) ? "/pci@i0cf8/isa@1" : "/isa"; }

void boot_order_put(Machine *m, GString *to)
{
    for (const GList *at = boot_order(m)->entries; at; at = at->next)
        g_string_append_printf(to, "%s%s", to->len ? "\n" : "", ((BootEntry *)at->data)->path);
}
