/* SPDX-License-Identifier: MIT */
/*
 * Reference counts of host clusters and the allocator.  Source: qcow2 specification, "Host cluster
 * management".
 *
 * The table has an entry per block, a block a count per cluster.  Blocks stay in memory once read.
 * In a transaction changes go to shadow copies, and a cluster is free only where both views say so.
 */
#include "block/qcow2.h"

#include <errno.h>

uint64_t qcow2_counts_per_block(const Qcow2 *q) { return q->cluster_size * 8 >> q->refcount_order; }

uint64_t qcow2_count_at(const Qcow2 *q, const uint8_t *data, uint64_t i)
{
    unsigned bits = 1u << q->refcount_order;

    switch (q->refcount_order) {
    case 3: return data[i];
    case 4: return load_be16(data + 2 * i);
    case 5: return load_be32(data + 4 * i);
    case 6: return load_be64(data + 8 * i);
    default: return data[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
    }
}

static void refcount_put(const Qcow2 *q, uint8_t *data, uint64_t i, uint64_t count)
{
    unsigned bits = 1u << q->refcount_order, shift, mask;

    switch (q->refcount_order) {
    case 3: data[i] = (uint8_t)count; break;
    case 4: store_be16(data + 2 * i, (uint16_t)count); break;
    case 5: store_be32(data + 4 * i, (uint32_t)count); break;
    case 6: store_be64(data + 8 * i, count); break;
    default:
        shift = (unsigned)(i * bits % 8);
        mask = ((1u << bits) - 1) << shift;
        data[i * bits / 8] = (uint8_t)((data[i * bits / 8] & ~mask) | (unsigned)count << shift);
    }
}

static uint64_t refcount_max(const Qcow2 *q)
{
    return q->refcount_order == 6 ? UINT64_MAX : (1ull << (1u << q->refcount_order)) - 1;
}

/* Makes room in memory for table entries [0, entries); false where the format forbids so many. */
bool qcow2_grow_refblocks(Qcow2 *q, uint64_t entries)
{
    uint64_t n = MAX_OF(entries, (uint64_t)q->refblocks * 3 / 2);

    if (entries <= q->refblocks) return true;
    if (entries > Q2_MAX_REFTABLE / 8) return false;
    n = MIN_OF(align_up(n, q->cluster_size / 8), (uint64_t)(Q2_MAX_REFTABLE / 8));
    q->reftable = g_renew(uint64_t, q->reftable, n);
    q->blocks = g_renew(Qcow2Table *, q->blocks, n);
    q->shadow = g_renew(Qcow2Table *, q->shadow, n);
    for (uint64_t i = q->refblocks; i < n; i++) {
        q->reftable[i] = 0;
        q->blocks[i] = q->shadow[i] = NULL;
    }
    q->refblocks = (uint32_t)n;
    return true;
}

static Qcow2Table *refblock_new(const Qcow2 *q)
{
    return g_malloc0(sizeof(Qcow2Table) + q->cluster_size);
}

/* The block before the running transaction; NULL: absent (*ret 0, all counts 0) or unreadable. */
Qcow2Table *qcow2_refblock_loaded(Qcow2 *q, uint64_t index, int *ret)
{
    Qcow2Table *b;

    *ret = 0;
    if (index >= q->refblocks) return NULL;
    if (q->blocks[index] || !q->reftable[index]) return q->blocks[index];
    if (qcow2_is_astray(q, q->reftable[index])) {
        *ret = qcow2_mark_corrupt(q);
        return NULL;
    }
    b = refblock_new(q);
    b->offset = q->reftable[index];
    *ret = file_read(q->file, b->offset, b->data, q->cluster_size);
    if (*ret) {
        g_free(b);
        return NULL;
    }
    return q->blocks[index] = b;
}

/* Gives a new block its place, and the table one where it has become too small. */
static int refblock_place(Qcow2 *q, uint64_t index, Qcow2Table *b)
{
    uint64_t bytes = (uint64_t)q->refblocks * 8;
    int64_t off = qcow2_alloc(q, q->cluster_size);
    int ret;

    if (off < 0) return (int)off;
    ret = qcow2_reserve(q, (uint64_t)off, q->cluster_size);
    if (ret) {
        qcow2_refcount_add(q, (uint64_t)off, 1, -1);
        return ret;
    }
    b->offset = q->reftable[index] = (uint64_t)off;
    q->reftable_dirty = true;
    if (qcow2_round(q, bytes) <= (uint64_t)q->reftable_clusters << q->cluster_bits) return 0;
    off = qcow2_alloc(q, bytes);
    if (off < 0) {
        q->corrupt = true; /* in memory alone: counts are there that no table can name */
        return (int)off;
    }
    qcow2_free(q, q->reftable_offset, (uint64_t)q->reftable_clusters << q->cluster_bits);
    q->reftable_offset = (uint64_t)off;
    q->reftable_clusters =
        (uint32_t)(qcow2_round(q, (uint64_t)q->refblocks * 8) >> q->cluster_bits);
    q->reftable_moved = true;
    return 0;
}

Qcow2Table *qcow2_refblock_writable(Qcow2 *q, uint64_t index, int *ret)
{
    Qcow2Table *b;

    *ret = 0;
    if (index < q->refblocks && q->in_txn && q->shadow[index]) return q->shadow[index];
    b = qcow2_refblock_loaded(q, index, ret);
    if (*ret) return NULL;
    if (!b && !qcow2_grow_refblocks(q, index + 1)) {
        *ret = -EFBIG;
        return NULL;
    }
    if (q->in_txn) {
        q->shadow[index] = refblock_new(q);
        if (b) memcpy(q->shadow[index]->data, b->data, q->cluster_size);
        return q->shadow[index];
    }
    if (!b) {
        b = q->blocks[index] = refblock_new(q); /* its own count may lie in itself */
        *ret = refblock_place(q, index, b);
        if (*ret) {
            q->blocks[index] = NULL;
            q->reftable[index] = 0;
            g_free(b);
            return NULL;
        }
    }
    b->dirty = q->blocks_dirty = true;
    return b;
}

int qcow2_refcount_get(Qcow2 *q, uint64_t cluster, uint64_t *count)
{
    uint64_t per = qcow2_counts_per_block(q), index = cluster / per;
    Qcow2Table *b;
    int ret;

    if (q->in_txn && index < q->refblocks && q->shadow[index]) {
        *count = qcow2_count_at(q, q->shadow[index]->data, cluster % per);
        return 0;
    }
    b = qcow2_refblock_loaded(q, index, &ret);
    *count = b ? qcow2_count_at(q, b->data, cluster % per) : 0;
    return ret;
}

int qcow2_refcount_set(Qcow2 *q, uint64_t cluster, uint64_t count)
{
    uint64_t per = qcow2_counts_per_block(q);
    Qcow2Table *b;
    int ret;

    if (count > refcount_max(q)) return -ERANGE;
    b = qcow2_refblock_writable(q, cluster / per, &ret);
    if (!b) return ret;
    refcount_put(q, b->data, cluster % per, count);
    if (count) return 0;
    q->free_hint = MIN_OF(q->free_hint, cluster);
    if (q->packed_end && qcow2_cluster(q, q->packed_end) == cluster) q->packed_end = 0;
    return 0;
}

int qcow2_refcount_add(Qcow2 *q, uint64_t off, uint64_t len, int delta)
{
    uint64_t first = qcow2_cluster(q, off), end = qcow2_cluster(q, off + len - 1) + 1;

    for (uint64_t c = first; c < end; c++) {
        uint64_t count;
        int ret = qcow2_refcount_get(q, c, &count);

        if (!ret && delta < 0 && !count) ret = qcow2_mark_corrupt(q);
        if (!ret && delta > 0 && count == refcount_max(q)) ret = -ERANGE;
        if (!ret) ret = qcow2_refcount_set(q, c, count + (uint64_t)(int64_t)delta);
        if (ret) {
            if (delta > 0 && c > first) {
                qcow2_refcount_add(q, first << q->cluster_bits, (c - first) << q->cluster_bits, -1);
            }
            return ret;
        }
        if (!count || delta > 0 || count > 1 || !q->in_txn) continue;
        g_array_append_val(q->txn_frees, ((Qcow2Range){ c << q->cluster_bits, q->cluster_size }));
    }
    return 0;
}

/* Whether a cluster is free now and, in a transaction, was free before it. */
static int refcount_is_free(Qcow2 *q, uint64_t cluster, bool *is_free)
{
    uint64_t per = qcow2_counts_per_block(q), count;
    Qcow2Table *b;
    int ret = qcow2_refcount_get(q, cluster, &count);

    *is_free = !ret && !count;
    if (ret || count || !q->in_txn) return ret;
    if (cluster < q->in_use_clusters && q->in_use[cluster]) *is_free = false;
    if (!*is_free) return 0;
    b = qcow2_refblock_loaded(q, cluster / per, &ret);
    *is_free = !ret && !(b && qcow2_count_at(q, b->data, cluster % per));
    return ret;
}

/* Finds n free clusters together from the hint on, or with at_least_one the first run of 1..n. */
static int refcount_find(Qcow2 *q, uint64_t *n, bool at_least_one, uint64_t *first)
{
    uint64_t *hint = q->in_txn ? &q->txn_hint : &q->free_hint;
    uint64_t limit = (Q2_OFFSET_MASK >> q->cluster_bits) - *n, run = 0, start = *hint;
    bool hint_moves = true;

    for (uint64_t c = *hint; c < limit; c++) {
        bool is_free;
        int ret = refcount_is_free(q, c, &is_free);

        if (ret) return ret;
        if (is_free) {
            if (!run++) start = c;
            hint_moves = false;
        } else {
            if (run && at_least_one) break;
            run = 0;
        }
        if (hint_moves) *hint = c + 1;
        if (run == *n) break;
    }
    if (!run || (run < *n && !at_least_one)) return -EFBIG;
    *n = run;
    *first = start;
    return 0;
}

static int64_t refcount_take(Qcow2 *q, uint64_t *clusters, bool at_least_one)
{
    uint64_t first, off;
    int ret;

    for (;;) {
        bool is_free = true;

        ret = refcount_find(q, clusters, at_least_one, &first);
        if (ret) return ret;
        off = first << q->cluster_bits;
        if (!first || qcow2_overlaps_metadata(q, off, *clusters << q->cluster_bits)) {
            return qcow2_mark_corrupt(q);
        }
        /* Blocks for the counts may themselves take clusters, of these too: then look again. */
        for (uint64_t c = first; c < first + *clusters; c++) {
            if (!qcow2_refblock_writable(q, c / qcow2_counts_per_block(q), &ret)) return ret;
        }
        for (uint64_t c = first; c < first + *clusters && is_free; c++) {
            ret = refcount_is_free(q, c, &is_free);
            if (ret) return ret;
        }
        if (is_free) break;
    }
    ret = qcow2_refcount_add(q, off, *clusters << q->cluster_bits, 1);
    return ret ? ret : (int64_t)off;
}

int64_t qcow2_alloc(Qcow2 *q, uint64_t bytes)
{
    uint64_t n = qcow2_round(q, bytes) >> q->cluster_bits;

    return refcount_take(q, &n, false);
}

int64_t qcow2_alloc_run(Qcow2 *q, uint64_t *clusters) { return refcount_take(q, clusters, true); }

int64_t qcow2_alloc_packed(Qcow2 *q, uint64_t bytes)
{
    uint64_t in_cluster = q->packed_end & (q->cluster_size - 1), off;
    uint64_t room = q->packed_end && in_cluster ? q->cluster_size - in_cluster : 0;
    int ret;

    assert(bytes && bytes <= q->cluster_size);
    if (room < bytes) {
        int64_t next = qcow2_alloc(q, q->cluster_size);

        if (next < 0) return next;
        /* A cluster that follows the last one lets this piece lie across the border. */
        if (!room || (uint64_t)next != qcow2_round(q, q->packed_end)) {
            q->packed_end = (uint64_t)next + bytes;
            return next;
        }
        off = q->packed_end;
        ret = qcow2_refcount_add(q, off, 1, 1);
        if (ret) {
            q->packed_end = (uint64_t)next + bytes;
            return next;
        }
    } else {
        off = q->packed_end;
        ret = qcow2_refcount_add(q, off, 1, 1);
        if (ret) { /* the count is at its limit: begin elsewhere */
            q->packed_end = 0;
            return qcow2_alloc_packed(q, bytes);
        }
    }
    q->packed_end = off + bytes;
    return (int64_t)off;
}

void qcow2_free(Qcow2 *q, uint64_t off, uint64_t len)
{
    Qcow2Range *last;

    off = align_down(off, q->cluster_size);
    len = qcow2_round(q, len);
    if (!len) return;
    if (q->in_txn) {
        qcow2_refcount_add(q, off, len, -1); /* an underflow marks the image corrupt */
        return;
    }
    last = q->frees->len ? &g_array_index(q->frees, Qcow2Range, q->frees->len - 1) : NULL;
    if (last && last->offset + last->len == off) {
        last->len += len;
    } else {
        g_array_append_val(q->frees, ((Qcow2Range){ off, len }));
    }
}

void qcow2_compressed_range(const Qcow2 *q, uint64_t entry, uint64_t *off, uint64_t *len)
{
    unsigned shift = 62 - (q->cluster_bits - 8);

    *off = entry & ((1ull << shift) - 1);
    *len = ((entry & (Q2_COMPRESSED - 1)) >> shift) * 512 + 512 - (*off & 511);
}

void qcow2_free_entry(Qcow2 *q, uint64_t entry)
{
    uint64_t off = entry & Q2_OFFSET_MASK, len = q->cluster_size;

    if (entry & Q2_COMPRESSED) {
        qcow2_compressed_range(q, entry, &off, &len);
        len += off & (q->cluster_size - 1);
    }
    if (off) qcow2_free(q, off, len);
}

static bool refcount_overlap(uint64_t off, uint64_t len, uint64_t at, uint64_t n)
{
    return n && at && off < at + n && at < off + len;
}

/* Whether the active tables lie in a range that is about to be used for something else. */
bool qcow2_overlaps_metadata(Qcow2 *q, uint64_t off, uint64_t len)
{
    enum { SCAN = 4096 };

    if (off < q->cluster_size ||
        refcount_overlap(off, len, q->l1_offset, (uint64_t)q->l1_size * 8) ||
        refcount_overlap(off, len, q->disk.l1_offset, (uint64_t)q->disk.l1_size * 8) ||
        refcount_overlap(
            off, len, q->reftable_offset, (uint64_t)q->reftable_clusters << q->cluster_bits) ||
        refcount_overlap(off, len, q->snapshots_offset, q->snapshots_bytes)) {
        return true;
    }
    for (uint32_t i = 0; i < q->refblocks && i < SCAN; i++) {
        if (refcount_overlap(off, len, q->reftable[i], q->cluster_size)) return true;
    }
    for (uint32_t i = 0; i < q->l1_size && i < SCAN; i++) {
        if (refcount_overlap(off, len, q->l1[i] & Q2_OFFSET_MASK, q->cluster_size)) return true;
    }
    return false;
}
