/* SPDX-License-Identifier: MIT */
/*
 * L2 tables in memory.  A table stays where it is for the length of an operation: pointers into the
 * cache are valid until qcow2_tables_trim, which operations call when they begin.
 */
#include "block/qcow2.h"

#include <errno.h>

static Qcow2Table *table_add(Qcow2 *q, uint64_t offset)
{
    Qcow2Table *t = g_malloc0(sizeof(Qcow2Table) + q->cluster_size);

    t->offset = offset;
    t->used = true;
    g_hash_table_insert(q->l2, &t->offset, t);
    return t;
}

int qcow2_table_get(Qcow2 *q, uint64_t offset, Qcow2Table **table)
{
    Qcow2Table *t = g_hash_table_lookup(q->l2, &offset);
    int ret;

    if (!t) {
        if (!offset || qcow2_is_astray(q, offset)) return qcow2_mark_corrupt(q);
        t = table_add(q, offset);
        ret = file_read(q->file, offset, t->data, q->cluster_size);
        if (ret) {
            g_hash_table_remove(q->l2, &offset);
            return ret;
        }
    }
    t->used = true;
    *table = t;
    return 0;
}

Qcow2Table *qcow2_table_new(Qcow2 *q, uint64_t offset)
{
    qcow2_table_forget(q, offset);
    return table_add(q, offset);
}

void qcow2_table_dirty(Qcow2 *q, Qcow2Table *t)
{
    if (!t->dirty) q->l2_dirty++;
    t->dirty = true;
}

void qcow2_table_forget(Qcow2 *q, uint64_t offset)
{
    Qcow2Table *t = g_hash_table_lookup(q->l2, &offset);

    if (!t) return;
    if (t->dirty) q->l2_dirty--;
    g_hash_table_remove(q->l2, &offset);
}

static gboolean table_is_dirty(gpointer key, gpointer value, gpointer opaque)
{
    (void)key;
    (void)opaque;
    return ((Qcow2Table *)value)->dirty;
}

void qcow2_tables_forget_dirty(Qcow2 *q)
{
    g_hash_table_foreach_remove(q->l2, table_is_dirty, NULL);
    q->l2_dirty = 0;
}

int qcow2_tables_write(Qcow2 *q)
{
    GHashTableIter it;
    gpointer value;

    g_hash_table_iter_init(&it, q->l2);
    while (q->l2_dirty && g_hash_table_iter_next(&it, NULL, &value)) {
        Qcow2Table *t = value;
        int ret;

        if (!t->dirty) continue;
        ret = qcow2_file_write(q, t->offset, t->data, q->cluster_size);
        if (ret) return ret;
        t->dirty = false;
        q->l2_dirty--;
    }
    return 0;
}

static gboolean table_is_old(gpointer key, gpointer value, gpointer opaque)
{
    Qcow2Table *t = value;
    bool old = !t->used && !t->dirty;

    (void)key;
    (void)opaque;
    t->used = false;
    return old;
}

static gboolean table_is_clean(gpointer key, gpointer value, gpointer opaque)
{
    return !table_is_dirty(key, value, opaque);
}

void qcow2_tables_limit(Qcow2 *q)
{
    if (g_hash_table_size(q->l2) <= q->l2_max) return;
    g_hash_table_foreach_remove(q->l2, table_is_old, NULL);
    if (g_hash_table_size(q->l2) > q->l2_max) {
        g_hash_table_foreach_remove(q->l2, table_is_clean, NULL);
    }
}

int qcow2_tables_trim(Qcow2 *q)
{
    enum { MAX_FREES = 65536 };
    int ret = 0;

    if (q->l2_dirty > q->l2_max / 2 || q->frees->len > MAX_FREES) ret = qcow2_writeback(q);
    qcow2_tables_limit(q);
    return ret;
}

void qcow2_entry_set(Qcow2 *q, Qcow2Table *t, uint64_t i, uint64_t entry, uint64_t bitmap)
{
    store_be64(t->data + i * q->l2_entry_bytes, entry);
    if (q->l2_entry_bytes == 16) store_be64(t->data + i * 16 + 8, bitmap);
    qcow2_table_dirty(q, t);
}
