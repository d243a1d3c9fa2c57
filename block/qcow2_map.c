/* SPDX-License-Identifier: MIT */
/*
 * From guest addresses to places in the file: L1, L2, and what an entry means.  Source: qcow2
 * specification, "Cluster mapping" and "Extended L2 Entries".
 */
#include "block/qcow2.h"

#include <errno.h>

enum { SUBCLUSTERS = 32 };

static Qcow2Kind map_kind(const Qcow2 *q, uint64_t entry, uint64_t bitmap, unsigned sub)
{
    if (entry & Q2_COMPRESSED) return QCOW2_COMPRESSED;
    if (q->l2_entry_bytes == 16) {
        if (bitmap >> (SUBCLUSTERS + sub) & 1) return QCOW2_ZERO;
        return bitmap >> sub & 1 && entry & Q2_OFFSET_MASK ? QCOW2_DATA : QCOW2_UNALLOCATED;
    }
    if (q->version >= 3 && entry & Q2_ZERO) return QCOW2_ZERO;
    return entry & Q2_OFFSET_MASK ? QCOW2_DATA : QCOW2_UNALLOCATED;
}

/* The run that begins at off within its table; run->len never crosses the table's end. */
static int map_run(Qcow2 *q, Qcow2Table *t, uint64_t off, uint64_t len, Qcow2Run *run)
{
    uint64_t unit = q->l2_entry_bytes == 16 ? q->cluster_size / SUBCLUSTERS : q->cluster_size;
    uint64_t in_table = off % q->l2_span, end = MIN_OF(q->l2_span, in_table + len);

    run->len = 0;
    for (uint64_t at = in_table; at < end;) {
        uint64_t i = at >> q->cluster_bits, in_cluster = at & (q->cluster_size - 1);
        uint64_t entry = qcow2_entry(q, t, i), next = MIN_OF(end, align_down(at, unit) + unit);
        uint64_t bitmap = q->l2_entry_bytes == 16 ? qcow2_bitmap(q, t, i) : 0;
        Qcow2Kind kind = map_kind(q, entry, bitmap, (unsigned)(in_cluster / unit));
        uint64_t host = (entry & Q2_OFFSET_MASK) + in_cluster;

        if (!run->len) {
            run->kind = kind;
            run->host = host;
            run->entry = entry;
        } else if (kind != run->kind || kind == QCOW2_COMPRESSED ||
                   (kind == QCOW2_DATA && host != run->host + run->len)) {
            break;
        }
        if (kind == QCOW2_DATA && entry & Q2_OFFSET_MASK & (q->cluster_size - 1)) {
            return qcow2_mark_corrupt(q);
        }
        if (kind == QCOW2_COMPRESSED) next = MIN_OF(end, (i + 1) << q->cluster_bits);
        run->len += next - at;
        at = next;
    }
    return 0;
}

int qcow2_lookup(
    Qcow2 *q, const uint64_t *l1, uint32_t l1_size, uint64_t off, uint64_t len, Qcow2Run *run)
{
    uint64_t index = off / q->l2_span, left = q->l2_span - off % q->l2_span;
    Qcow2Table *t;
    int ret;

    if (index >= l1_size || !(l1[index] & Q2_OFFSET_MASK)) {
        *run = (Qcow2Run){ .kind = QCOW2_UNALLOCATED, .len = MIN_OF(len, left) };
        return 0;
    }
    ret = qcow2_table_get(q, l1[index] & Q2_OFFSET_MASK, &t);
    return ret ? ret : map_run(q, t, off, len, run);
}

int qcow2_read_via(
    Qcow2 *q, const uint64_t *l1, uint32_t l1_size, uint64_t off, void *buf, size_t len, bool below)
{
    uint8_t *p = buf;

    while (len) {
        Qcow2Run run;
        int ret = qcow2_lookup(q, l1, l1_size, off, len, &run);

        if (ret) return ret;
        if (run.kind == QCOW2_DATA) {
            ret = file_read(q->file, run.host, p, run.len);
        } else if (run.kind == QCOW2_COMPRESSED) {
            ret = qcow2_inflate(q, run.entry);
            if (!ret) memcpy(p, q->inflated + (off & (q->cluster_size - 1)), run.len);
        } else if (run.kind == QCOW2_UNALLOCATED && below) {
            ret = image_read_below(q->img, off, p, run.len);
        } else {
            memset(p, 0, run.len);
        }
        if (ret) return ret;
        p += run.len;
        off += run.len;
        len -= run.len;
    }
    return 0;
}

int qcow2_l1_load(Qcow2 *q, uint64_t offset, uint32_t size, uint64_t **l1)
{
    int64_t len = q->file->drv->length(q->file);
    uint64_t *table;
    int ret;

    /* A few bytes of header do not have megabytes allocated. */
    if (len >= 0 && size * sizeof(*table) > (uint64_t)len) return -EIO;
    table = g_try_malloc0(MAX_OF(size, 1u) * sizeof(*table));
    ret = table ? 0 : -ENOMEM;
    if (!ret && size) ret = file_read(q->file, offset, table, size * sizeof(*table));
    if (ret) {
        g_free(table);
        return ret;
    }
    for (uint32_t i = 0; i < size; i++) table[i] = load_be64(&table[i]);
    *l1 = table;
    return 0;
}

void qcow2_l1_set(Qcow2 *q, uint32_t index, uint64_t entry)
{
    q->l1[index] = entry;
    if (q->l1_dirty_first == q->l1_dirty_end) {
        q->l1_dirty_first = index;
        q->l1_dirty_end = index + 1;
    } else {
        q->l1_dirty_first = MIN_OF(q->l1_dirty_first, index);
        q->l1_dirty_end = MAX_OF(q->l1_dirty_end, index + 1);
    }
}

int qcow2_l1_grow(Qcow2 *q, uint32_t size)
{
    uint64_t old_bytes = qcow2_round(q, (uint64_t)q->l1_size * 8), bytes = (uint64_t)size * 8;
    int64_t off;
    int ret;

    if (size <= q->l1_size) return 0;
    if (size > Q2_MAX_L1 / 8) return -EFBIG;
    if (bytes > old_bytes || !q->l1_offset) {
        off = qcow2_alloc(q, bytes);
        if (off < 0) return (int)off;
        ret = qcow2_reserve(q, (uint64_t)off, bytes);
        if (ret) {
            qcow2_refcount_add(q, (uint64_t)off, bytes, -1);
            return ret;
        }
        if (q->l1_offset) qcow2_free(q, q->l1_offset, old_bytes);
        q->l1_offset = (uint64_t)off;
    }
    /* In place too: the header takes the longer size after the entries are written. */
    q->l1_moved = true;
    q->l1 = g_renew(uint64_t, q->l1, size);
    for (uint32_t i = q->l1_size; i < size; i++) q->l1[i] = 0;
    q->l1_size = size;
    return 0;
}

/* The L2 table of an L1 entry, made or unshared so that it can be changed. */
int qcow2_table_writable(Qcow2 *q, uint64_t l1_index, Qcow2Table **table)
{
    uint64_t entry, old;
    Qcow2Table *t = NULL;
    int64_t off;
    int ret = 0;

    if (l1_index >= Q2_MAX_L1 / 8) return -EFBIG;
    if (l1_index >= q->l1_size) { /* by half, so that VM state does not move it at every table */
        ret = qcow2_l1_grow(q,
            (uint32_t)MAX_OF(l1_index + 1, MIN_OF(q->l1_size * 3ull / 2, (uint64_t)Q2_MAX_L1 / 8)));
    }
    if (ret) return ret;
    entry = q->l1[l1_index];
    old = entry & Q2_OFFSET_MASK;
    if (old) ret = qcow2_table_get(q, old, &t);
    if (ret) return ret;
    if (old && entry & Q2_COPIED) {
        *table = t;
        return 0;
    }
    off = qcow2_alloc(q, q->cluster_size);
    if (off < 0) return (int)off;
    ret = qcow2_reserve(q, (uint64_t)off, q->cluster_size);
    if (ret) {
        qcow2_refcount_add(q, (uint64_t)off, 1, -1);
        return ret;
    }
    *table = qcow2_table_new(q, (uint64_t)off);
    if (t) memcpy((*table)->data, t->data, q->cluster_size);
    qcow2_table_dirty(q, *table);
    qcow2_l1_set(q, (uint32_t)l1_index, (uint64_t)off | Q2_COPIED);
    if (old) qcow2_free(q, old, q->cluster_size);
    return 0;
}
