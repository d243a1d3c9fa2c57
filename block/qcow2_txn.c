/* SPDX-License-Identifier: MIT */
/*
 * Transactions: old or new, nothing in between.
 *
 * Between begin and commit reference counts change in shadow blocks only, and clusters are taken
 * only where both the old and the new counts are zero, so the caller can write its new tables at
 * once.  Commit gives every changed block and the reference table new places too, flushes, and
 * writes the header's roots with one write of 48 bytes inside one sector.
 */
#include "block/qcow2.h"

#include <errno.h>

void qcow2_txn_begin(Qcow2 *q)
{
    assert(!q->in_txn && !q->revocable);
    q->in_txn = true;
    q->txn_hint = q->free_hint;
    g_array_set_size(q->txn_frees, 0);
}

static void txn_drop_shadows(Qcow2 *q)
{
    for (uint32_t i = 0; i < q->refblocks; i++) g_clear_pointer(&q->shadow[i], g_free);
    q->in_txn = false;
}

void qcow2_txn_abort(Qcow2 *q)
{
    assert(q->in_txn);
    txn_drop_shadows(q);
    g_array_set_size(q->txn_frees, 0);
    q->packed_end = 0;
}

/* What waits for the next write-back is done by the new roots as well. */
static int txn_take_over(Qcow2 *q)
{
    int ret = 0;

    for (uint32_t i = 0; i < q->refblocks; i++) {
        if (q->blocks[i] && q->blocks[i]->dirty) qcow2_refblock_writable(q, i, &ret);
        if (ret) return ret;
    }
    for (guint i = 0; i < q->frees->len && !ret; i++) {
        Qcow2Range r = g_array_index(q->frees, Qcow2Range, i);

        ret = qcow2_refcount_add(q, r.offset, r.len, -1);
    }
    return ret;
}

/* Gives all changed blocks and the table their new places; new places change more blocks. */
static int txn_place(Qcow2 *q, int64_t *table, uint64_t *table_bytes)
{
    uint64_t old_bytes = (uint64_t)q->reftable_clusters << q->cluster_bits;
    bool again = true;
    int ret;

    *table = 0;
    ret = qcow2_refcount_add(q, q->reftable_offset, old_bytes, -1);
    while (!ret && again) {
        again = false;
        for (uint32_t i = 0; i < q->refblocks && !ret; i++) {
            Qcow2Table *b = q->shadow[i];
            int64_t off;

            if (!b || b->offset) continue;
            again = true;
            off = qcow2_alloc(q, q->cluster_size);
            if (off < 0) return (int)off;
            b->offset = (uint64_t)off;
            if (q->reftable[i] && !(q->reftable[i] & (q->cluster_size - 1))) {
                ret = qcow2_refcount_add(q, q->reftable[i], q->cluster_size, -1);
            }
        }
        if (ret || (*table && (uint64_t)q->refblocks * 8 <= *table_bytes)) continue;
        if (*table) ret = qcow2_refcount_add(q, (uint64_t)*table, *table_bytes, -1);
        *table_bytes = MAX_OF(old_bytes, qcow2_round(q, (uint64_t)q->refblocks * 8));
        if (!ret) *table = qcow2_alloc(q, *table_bytes);
        if (*table < 0) ret = (int)*table;
        again = true;
    }
    return ret;
}

static int txn_write(Qcow2 *q, int64_t table, uint64_t table_bytes)
{
    uint8_t *buf = g_malloc0(table_bytes);
    int ret = 0;

    for (uint32_t i = 0; i < q->refblocks && !ret; i++) {
        const Qcow2Table *b = q->shadow[i];

        store_be64(buf + 8ull * i, b ? b->offset : q->reftable[i]);
        if (b) ret = qcow2_file_write(q, b->offset, b->data, q->cluster_size);
    }
    if (!ret) ret = qcow2_file_write(q, (uint64_t)table, buf, table_bytes);
    g_free(buf);
    return ret;
}

/* The shadows become the blocks. */
static void txn_adopt(Qcow2 *q, int64_t table, uint64_t table_bytes)
{
    for (uint32_t i = 0; i < q->refblocks; i++) {
        if (!q->shadow[i]) continue;
        g_free(q->blocks[i]);
        q->blocks[i] = q->shadow[i];
        q->reftable[i] = q->blocks[i]->offset;
        q->shadow[i] = NULL;
    }
    q->in_txn = false;
    q->reftable_offset = (uint64_t)table;
    q->reftable_clusters = (uint32_t)(table_bytes >> q->cluster_bits);
    q->reftable_dirty = q->reftable_moved = q->blocks_dirty = false;
    q->packed_end = 0;
    g_array_set_size(q->frees, 0);
}

/* Back to the old roots: their tables are untouched.  Where not even that can be written nobody
 * knows what the file says, and it is left alone. */
static void txn_roll_back(Qcow2 *q, const Qcow2Roots *old)
{
    if (qcow2_header_write_roots(q, old)) q->corrupt = true;
}

/* Forgets and gives back to the host what is free now. */
static void txn_release(Qcow2 *q)
{
    for (guint i = 0; i < q->txn_frees->len; i++) {
        Qcow2Range *r = &g_array_index(q->txn_frees, Qcow2Range, i);
        uint64_t count;

        if (qcow2_refcount_get(q, qcow2_cluster(q, r->offset), &count) || count) {
            r->len = 0;
        } else {
            qcow2_table_forget(q, r->offset);
        }
    }
    qcow2_punch(q, q->txn_frees);
    g_array_set_size(q->txn_frees, 0);
}

int qcow2_txn_commit_revocably(Qcow2 *q, const Qcow2Roots *roots)
{
    Qcow2Roots new = *roots, old = q->disk;
    uint64_t table_bytes = 0;
    int64_t table = 0;
    int ret = txn_take_over(q);

    if (!ret) ret = txn_place(q, &table, &table_bytes);
    if (!ret && q->corrupt) ret = -EIO;
    if (!ret) ret = txn_write(q, table, table_bytes);
    if (!ret) ret = qcow2_flush_file(q);
    if (ret) {
        qcow2_txn_abort(q);
        return ret;
    }
    new.reftable_offset = (uint64_t)table;
    new.reftable_clusters = (uint32_t)(table_bytes >> q->cluster_bits);
    ret = qcow2_header_write_roots(q, &new);
    if (!ret) ret = qcow2_flush_file(q);
    if (ret) {
        txn_roll_back(q, &old);
        qcow2_txn_abort(q);
        return ret;
    }
    txn_adopt(q, table, table_bytes);
    q->before = old;
    q->revocable = true;
    return 0;
}

void qcow2_txn_keep(Qcow2 *q)
{
    assert(q->revocable);
    q->revocable = false;
    txn_release(q);
}

int qcow2_txn_back(Qcow2 *q)
{
    int ret;

    assert(q->revocable);
    q->revocable = false;
    g_array_set_size(q->txn_frees, 0);
    ret = qcow2_header_write_roots(q, &q->before);
    if (!ret) ret = qcow2_flush_file(q);
    if (ret) q->corrupt = true; /* nobody knows which of the two the file says */
    return ret;
}

int qcow2_txn_commit(Qcow2 *q, const Qcow2Roots *roots)
{
    int ret = qcow2_txn_commit_revocably(q, roots);

    if (!ret) qcow2_txn_keep(q);
    return ret;
}
