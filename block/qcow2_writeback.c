/* SPDX-License-Identifier: MIT */
/* Write-back of what the guest's writes changed, in the order that qcow2.h states. */
#include "block/qcow2.h"

#include <errno.h>

static int writeback_blocks(Qcow2 *q)
{
    for (uint32_t i = 0; q->blocks_dirty && i < q->refblocks; i++) {
        Qcow2Table *b = q->blocks[i];
        int ret;

        if (!b || !b->dirty) continue;
        ret = qcow2_file_write(q, b->offset, b->data, q->cluster_size);
        if (ret) return ret;
        b->dirty = false;
    }
    q->blocks_dirty = false;
    return 0;
}

static int writeback_reftable(Qcow2 *q)
{
    uint64_t bytes = (uint64_t)q->reftable_clusters << q->cluster_bits;
    Qcow2Roots roots = q->disk;
    uint8_t *buf;
    int ret;

    if (!q->reftable_dirty && !q->reftable_moved) return 0;
    buf = g_malloc0(bytes);
    for (uint32_t i = 0; i < q->refblocks && i < bytes / 8; i++) {
        store_be64(buf + 8 * i, q->reftable[i]);
    }
    ret = qcow2_file_write(q, q->reftable_offset, buf, bytes);
    g_free(buf);
    if (!ret && q->reftable_moved) {
        ret = qcow2_flush_file(q);
        roots.reftable_offset = q->reftable_offset;
        roots.reftable_clusters = q->reftable_clusters;
        if (!ret) ret = qcow2_header_write_roots(q, &roots);
    }
    if (!ret) q->reftable_dirty = q->reftable_moved = false;
    return ret;
}

static int writeback_l1_moved(Qcow2 *q)
{
    uint64_t bytes = qcow2_round(q, (uint64_t)q->l1_size * 8);
    Qcow2Roots roots = q->disk;
    uint8_t *buf = g_malloc0(bytes);
    int ret;

    for (uint32_t i = 0; i < q->l1_size; i++) store_be64(buf + 8ull * i, q->l1[i]);
    ret = qcow2_file_write(q, q->l1_offset, buf, bytes);
    g_free(buf);
    if (!ret) ret = qcow2_flush_file(q);
    roots.l1_offset = q->l1_offset;
    roots.l1_size = q->l1_size;
    if (!ret) ret = qcow2_header_write_roots(q, &roots);
    if (!ret) q->l1_moved = false;
    return ret;
}

static int writeback_l1(Qcow2 *q)
{
    uint32_t first = q->l1_dirty_first, end = q->l1_dirty_end;
    uint8_t *buf;
    int ret;

    if (q->l1_moved) {
        ret = writeback_l1_moved(q);
    } else if (first < end) {
        buf = g_malloc((end - first) * 8ull);
        for (uint32_t i = first; i < end; i++) store_be64(buf + 8ull * (i - first), q->l1[i]);
        ret = qcow2_file_write(q, q->l1_offset + 8ull * first, buf, (end - first) * 8ull);
        g_free(buf);
    } else {
        return 0;
    }
    if (!ret) q->l1_dirty_first = q->l1_dirty_end = 0;
    return ret;
}

static gint writeback_order(gconstpointer a, gconstpointer b)
{
    const Qcow2Range *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Sorts the ranges, so that few requests do. */
void qcow2_punch(Qcow2 *q, GArray *ranges)
{
    g_array_sort(ranges, writeback_order);
    for (guint i = 0; i < ranges->len; i++) {
        Qcow2Range r = g_array_index(ranges, Qcow2Range, i);

        while (i + 1 < ranges->len &&
               g_array_index(ranges, Qcow2Range, i + 1).offset == r.offset + r.len) {
            r.len += g_array_index(ranges, Qcow2Range, ++i).len;
        }
        if (r.len) q->file->drv->punch(q->file, r.offset, r.len); /* only a favour to the host */
    }
}

/* Nothing on disk refers to these any more: lower their counts, give back what became free. */
static int writeback_frees(Qcow2 *q)
{
    GArray *freed = g_array_new(FALSE, FALSE, sizeof(Qcow2Range));
    int ret = 0;

    for (guint i = 0; i < q->frees->len && !ret; i++) {
        Qcow2Range r = g_array_index(q->frees, Qcow2Range, i);

        for (; r.len && !ret; r.offset += q->cluster_size, r.len -= q->cluster_size) {
            uint64_t left;

            ret = qcow2_refcount_add(q, r.offset, 1, -1);
            if (!ret) ret = qcow2_refcount_get(q, qcow2_cluster(q, r.offset), &left);
            if (ret || left) continue;
            qcow2_table_forget(q, r.offset);
            g_array_append_val(freed, ((Qcow2Range){ r.offset, q->cluster_size }));
        }
    }
    g_array_set_size(q->frees, 0);
    if (!ret) ret = writeback_blocks(q);
    if (!ret) qcow2_punch(q, freed);
    g_array_free(freed, TRUE);
    return ret;
}

int qcow2_writeback(Qcow2 *q)
{
    bool l1 = q->l1_moved || q->l1_dirty_first < q->l1_dirty_end;
    bool maps = q->l2_dirty || l1, counts = q->blocks_dirty || q->reftable_dirty;
    int ret;

    assert(!q->in_txn);
    if (q->corrupt) return -EIO;
    if (!maps && !counts && !q->reftable_moved && !q->frees->len) return 0;
    ret = writeback_blocks(q);
    if (!ret && (q->reftable_dirty || q->reftable_moved)) {
        ret = qcow2_flush_file(q);
        if (!ret) ret = writeback_reftable(q);
    }
    if (!ret && maps && counts) ret = qcow2_flush_file(q);
    if (!ret) ret = qcow2_tables_write(q);
    if (!ret && l1) {
        ret = qcow2_flush_file(q);
        if (!ret) ret = writeback_l1(q);
    }
    if (!ret && q->frees->len) {
        ret = qcow2_flush_file(q);
        if (!ret) ret = writeback_frees(q);
    }
    return ret;
}
