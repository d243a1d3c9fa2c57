/* SPDX-License-Identifier: MIT */
/*
 * Taking, applying and deleting internal snapshots, each as one transaction.
 *
 * A snapshot is a copy of the active L1.  What both lead to is counted twice, so it is no longer
 * COPIED and the next write goes elsewhere.  The VM state belongs to the snapshot alone: the new
 * active L1 has no entry for it.
 */
#include "block/qcow2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool snapshot_l1_load(Qcow2 *q, Qcow2Snapshot *s, uint64_t **l1, Error *err)
{
    int ret;

    if (s->l1_size > Q2_MAX_L1 / 8) return error_set(err, "Snapshot L1 table too large");
    if ((s->l1_size && !s->l1_offset) || s->l1_offset & (q->cluster_size - 1) ||
        s->l1_offset > INT64_MAX / 2) {
        return error_set(err, "Snapshot L1 table offset invalid");
    }
    ret = qcow2_l1_load(q, s->l1_offset, s->l1_size, l1);
    return !ret ||
           error_errno(err, -ret, "Could not read the L1 table of snapshot '%s'", s->info.name);
}

int qcow2_tree_count(Qcow2 *q, const uint64_t *l1, uint32_t end, int delta)
{
    int ret = 0;

    for (uint32_t n = 0; n < end && !ret; n++) {
        uint64_t l2 = l1[n] & Q2_OFFSET_MASK;
        Qcow2Table *t;

        if (!l2) continue;
        qcow2_tables_limit(q);
        ret = qcow2_table_get(q, l2, &t);
        for (uint64_t i = 0; i < q->l2_entries && !ret; i++) {
            uint64_t entry = qcow2_entry(q, t, i), off = entry & Q2_OFFSET_MASK;
            uint64_t len = q->cluster_size;

            if (entry & Q2_COMPRESSED) {
                qcow2_compressed_range(q, entry, &off, &len);
            } else if (off & (q->cluster_size - 1)) {
                ret = qcow2_mark_corrupt(q);
            }
            if (off && !ret) ret = qcow2_refcount_add(q, off, len, delta);
        }
        if (!ret) ret = qcow2_refcount_add(q, l2, q->cluster_size, delta);
    }
    return ret;
}

/* A copy of a table in a fresh cluster, with COPIED set where the count says so (settle) or
 * nowhere. */
static int snapshot_copy_table(Qcow2 *q, const Qcow2Table *t, bool settle, uint64_t *offset)
{
    Qcow2Table *copy = g_malloc(sizeof(*copy) + q->cluster_size);
    int64_t off = qcow2_alloc(q, q->cluster_size);
    int ret = off < 0 ? (int)off : 0;

    memcpy(copy->data, t->data, q->cluster_size);
    for (uint64_t i = 0; i < q->l2_entries && !ret; i++) {
        uint64_t entry = qcow2_entry(q, t, i), count = 0;

        if (entry & Q2_COMPRESSED || !(entry & (Q2_OFFSET_MASK | Q2_COPIED))) continue;
        if (settle) ret = qcow2_refcount_get(q, qcow2_cluster(q, entry & Q2_OFFSET_MASK), &count);
        entry = (entry & ~Q2_COPIED) | (count == 1 ? Q2_COPIED : 0);
        store_be64(copy->data + i * q->l2_entry_bytes, entry);
    }
    if (!ret) ret = qcow2_file_write(q, (uint64_t)off, copy->data, q->cluster_size);
    *offset = (uint64_t)off;
    g_free(copy);
    return ret;
}

static bool snapshot_has_copied(const Qcow2 *q, const Qcow2Table *t)
{
    for (uint64_t i = 0; i < q->l2_entries; i++) {
        uint64_t entry = qcow2_entry(q, t, i);

        if (entry & Q2_COPIED && !(entry & Q2_COMPRESSED)) return true;
    }
    return false;
}

static int snapshot_is_settled(Qcow2 *q, const Qcow2Table *t, bool *settled)
{
    int ret = 0;

    *settled = true;
    for (uint64_t i = 0; i < q->l2_entries && !ret && *settled; i++) {
        uint64_t entry = qcow2_entry(q, t, i), count;

        if (entry & Q2_COMPRESSED || !(entry & Q2_OFFSET_MASK)) continue;
        ret = qcow2_refcount_get(q, qcow2_cluster(q, entry & Q2_OFFSET_MASK), &count);
        if ((count == 1) != !!(entry & Q2_COPIED)) *settled = false;
    }
    return ret;
}

int qcow2_tree_settle(Qcow2 *q, uint64_t *l1, uint32_t size)
{
    int ret = 0;

    for (uint32_t n = 0; n < size && !ret; n++) {
        uint64_t l2 = l1[n] & Q2_OFFSET_MASK, count;
        Qcow2Table *t;
        bool settled;

        if (!l2) continue;
        qcow2_tables_limit(q);
        ret = qcow2_table_get(q, l2, &t);
        if (!ret) ret = snapshot_is_settled(q, t, &settled);
        if (!ret && !settled) {
            ret = snapshot_copy_table(q, t, true, &l1[n]);
            if (!ret) ret = qcow2_refcount_add(q, l2, q->cluster_size, -1);
            l1[n] |= Q2_COPIED;
        } else if (!ret) {
            ret = qcow2_refcount_get(q, qcow2_cluster(q, l2), &count);
            l1[n] = l2 | (count == 1 ? Q2_COPIED : 0);
        }
    }
    return ret;
}

int qcow2_write_l1(Qcow2 *q, const uint64_t *l1, uint32_t size, uint64_t *offset)
{
    uint64_t bytes = qcow2_round(q, (uint64_t)size * 8);
    uint8_t *buf;
    int64_t off = bytes ? qcow2_alloc(q, bytes) : 0;
    int ret;

    *offset = 0;
    if (!bytes) return 0;
    if (off < 0) return (int)off;
    buf = g_malloc0(bytes);
    for (uint32_t i = 0; i < size; i++) store_be64(buf + 8ull * i, l1[i]);
    ret = qcow2_file_write(q, (uint64_t)off, buf, bytes);
    g_free(buf);
    *offset = (uint64_t)off;
    return ret;
}

void qcow2_adopt_l1(Qcow2 *q, uint64_t *l1, uint32_t size, uint64_t offset)
{
    g_free(q->l1);
    q->l1 = l1;
    q->l1_size = size;
    q->l1_offset = offset;
    q->l1_dirty_first = q->l1_dirty_end = 0;
    q->l1_moved = false;
    qcow2_tables_forget_dirty(q); /* whatever they said is in the new tables or given up */
}

static void snapshot_next_id(const Qcow2 *q, char *id, size_t size)
{
    unsigned long max = 0;

    for (guint i = 0; i < q->snapshots->len; i++) {
        const Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, i);

        max = MAX_OF(max, strtoul(s->info.id, NULL, 10));
    }
    snprintf(id, size, "%lu", max + 1);
}

/* The L1 of the new snapshot and of the active layer that goes on from it. */
static int snapshot_split(Qcow2 *q, uint64_t *snap_l1, uint64_t *live_l1)
{
    uint64_t vm_first = qcow2_vmstate_base(q, q->size) / q->l2_span;
    int ret = 0;

    for (uint32_t n = 0; n < q->l1_size && !ret; n++) {
        uint64_t l2 = q->l1[n] & Q2_OFFSET_MASK;
        bool shared = n < vm_first;
        uint64_t one[1] = { l2 };
        Qcow2Table *t;

        if (!l2) continue;
        qcow2_tables_limit(q);
        if (shared) ret = qcow2_tree_count(q, one, 1, 1);
        if (!ret) ret = qcow2_table_get(q, l2, &t);
        if (!ret && (t->dirty || snapshot_has_copied(q, t))) {
            ret = snapshot_copy_table(q, t, false, &one[0]);
            if (!ret && shared) ret = qcow2_refcount_add(q, one[0], q->cluster_size, 1);
            for (int i = 0; i <= shared && !ret; i++) {
                ret = qcow2_refcount_add(q, l2, q->cluster_size, -1);
            }
        }
        snap_l1[n] = one[0];
        live_l1[n] = shared ? one[0] : 0;
    }
    return ret;
}

/* Everything of a snapshot but the commit: fills roots, the new tables and the new list. */
static int snapshot_prepare(
    Qcow2 *q, SnapshotInfo *info, uint64_t *live_l1, Qcow2Roots *roots, GPtrArray *list)
{
    uint64_t *snap_l1 = g_new0(uint64_t, MAX_OF(q->l1_size, 1u)), snap_offset = 0, bytes;
    int ret = snapshot_split(q, snap_l1, live_l1);

    if (!ret) ret = qcow2_write_l1(q, snap_l1, q->l1_size, &snap_offset);
    if (!ret) ret = qcow2_write_l1(q, live_l1, q->l1_size, &roots->l1_offset);
    g_free(snap_l1);
    if (ret) return ret;
    for (guint i = 0; i < q->snapshots->len; i++) {
        g_ptr_array_add(list, g_ptr_array_index(q->snapshots, i));
    }
    g_ptr_array_add(list, qcow2_snapshot_new(info, snap_offset, q->l1_size));
    ret = qcow2_snapshots_write(q, list, &roots->snapshots_offset, &bytes);
    if (ret) return ret;
    qcow2_free(q, q->snapshots_offset, q->snapshots_bytes);
    qcow2_free(q, q->l1_offset, (uint64_t)q->l1_size * 8);
    roots->snapshots = list->len;
    roots->l1_size = q->l1_size;
    return 0;
}

static bool snapshot_create(BlockImage *img, SnapshotInfo *info, Error *err)
{
    Qcow2 *q = QCOW2(img);
    Qcow2Roots roots = q->disk;
    GPtrArray *list = g_ptr_array_new();
    uint64_t *live_l1 = g_new0(uint64_t, MAX_OF(q->l1_size, 1u));
    int ret = q->corrupt ? -EIO : q->snapshots->len >= Q2_MAX_SNAPSHOTS ? -EFBIG : 0;

    snapshot_next_id(q, info->id, sizeof(info->id));
    info->disk_size = q->size;
    qcow2_txn_begin(q);
    if (!ret) ret = snapshot_prepare(q, info, live_l1, &roots, list);
    if (ret) {
        qcow2_txn_abort(q);
    } else {
        ret = qcow2_txn_commit(q, &roots);
    }
    if (ret) {
        if (list->len > q->snapshots->len) {
            qcow2_snapshot_free(g_ptr_array_index(list, q->snapshots->len));
        }
        g_ptr_array_free(list, TRUE);
        g_free(live_l1);
        return error_errno(err, -ret, "Could not create snapshot '%s'", info->name);
    }
    qcow2_adopt_l1(q, live_l1, roots.l1_size, roots.l1_offset);
    g_ptr_array_add(q->snapshots, g_ptr_array_index(list, q->snapshots->len));
    g_ptr_array_free(list, TRUE);
    q->snapshots_offset = roots.snapshots_offset;
    q->snapshots_bytes = 0;
    for (guint i = 0; i < q->snapshots->len; i++) {
        const Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, i);

        q->snapshots_bytes += align_up(s->raw->len, 8);
    }
    q->vmstate_started = false;
    return true;
}

/* The counts after a switch to the snapshot; its L1, cut to the disk, in *l1. */
static int snapshot_switch(Qcow2 *q, const uint64_t *snap_l1, uint32_t snap_size, uint64_t *l1,
    uint32_t size, uint32_t vm_first)
{
    int ret;

    for (uint32_t n = 0; n < size; n++) l1[n] = n < snap_size && n < vm_first ? snap_l1[n] : 0;
    ret = qcow2_tree_count(q, l1, size, 1);
    if (!ret) ret = qcow2_tree_count(q, q->l1, q->l1_size, -1);
    if (!ret) qcow2_free(q, q->l1_offset, (uint64_t)q->l1_size * 8);
    return ret;
}

static bool snapshot_go(BlockImage *img, unsigned n, SnapshotGo how, Error *err)
{
    Qcow2 *q = QCOW2(img);
    Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, n);
    uint64_t disk_size = s->info.disk_size, *snap_l1, *l1;
    Qcow2Roots roots = q->disk;
    uint64_t needed = (disk_size + q->l2_span - 1) / q->l2_span;
    bool dry = how == SNAPSHOT_CHECK;
    int ret;

    if (q->corrupt) return error_set(err, "The image is corrupt");
    /* What can come back is what the file says. */
    ret = how == SNAPSHOT_GO_REVOCABLY ? qcow2_writeback(q) : 0;
    if (ret) return error_errno(err, -ret, "Could not apply snapshot '%s'", s->info.name);
    if (!snapshot_l1_load(q, s, &snap_l1, err)) return false;
    if (needed > s->l1_size || disk_size > INT64_MAX - q->l2_span) {
        g_free(snap_l1);
        return error_set(err, "Snapshot '%s' has an L1 table too small for its disk", s->info.name);
    }
    roots.size = disk_size;
    roots.l1_size = (uint32_t)MAX_OF((uint64_t)q->l1_size, needed);
    l1 = g_new0(uint64_t, MAX_OF(roots.l1_size, 1u));
    qcow2_txn_begin(q);
    ret = snapshot_switch(q, snap_l1, s->l1_size, l1, roots.l1_size, (uint32_t)needed);
    g_free(snap_l1);
    if (!ret && !dry) ret = qcow2_tree_settle(q, l1, roots.l1_size);
    if (!ret && !dry) ret = qcow2_write_l1(q, l1, roots.l1_size, &roots.l1_offset);
    if (ret || dry) {
        qcow2_txn_abort(q);
    } else if (how == SNAPSHOT_GO) {
        ret = qcow2_txn_commit(q, &roots);
    } else {
        ret = qcow2_txn_commit_revocably(q, &roots);
    }
    if (ret || dry) {
        g_free(l1);
        return !ret || error_errno(err, -ret, "Could not apply snapshot '%s'", s->info.name);
    }
    qcow2_adopt_l1(q, l1, roots.l1_size, roots.l1_offset);
    q->size = img->size = disk_size;
    q->vmstate_started = false;
    return true;
}

static void snapshot_keep(BlockImage *img) { qcow2_txn_keep(QCOW2(img)); }

static bool snapshot_back(BlockImage *img, Error *err)
{
    int ret = qcow2_txn_back(QCOW2(img));

    if (ret) return error_errno(err, -ret, "Could not go back to the old image");
    if (qcow2_reload(img, err)) return true;
    QCOW2(img)->corrupt = true; /* its tables are the other image's */
    return false;
}

/* Counts, table and COPIED flags without snapshot n; *l1 is the active L1 to go on with. */
static int snapshot_remove(
    Qcow2 *q, unsigned n, const uint64_t *snap_l1, uint64_t *l1, Qcow2Roots *roots, uint64_t *bytes)
{
    Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, n);
    GPtrArray *list = g_ptr_array_new();
    int ret = qcow2_tree_count(q, snap_l1, s->l1_size, -1);

    if (!ret) qcow2_free(q, s->l1_offset, (uint64_t)s->l1_size * 8);
    for (guint i = 0; i < q->snapshots->len; i++) {
        if (i != n) g_ptr_array_add(list, g_ptr_array_index(q->snapshots, i));
    }
    if (!ret) ret = qcow2_snapshots_write(q, list, &roots->snapshots_offset, bytes);
    roots->snapshots = list->len;
    g_ptr_array_free(list, TRUE);
    if (ret) return ret;
    qcow2_free(q, q->snapshots_offset, q->snapshots_bytes);
    ret = qcow2_tree_settle(q, l1, q->l1_size);
    if (ret || !memcmp(l1, q->l1, q->l1_size * sizeof(*l1))) return ret;
    qcow2_free(q, q->l1_offset, (uint64_t)q->l1_size * 8);
    return qcow2_write_l1(q, l1, q->l1_size, &roots->l1_offset);
}

static bool snapshot_delete(BlockImage *img, unsigned n, Error *err)
{
    Qcow2 *q = QCOW2(img);
    Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, n);
    uint64_t *snap_l1, *l1, bytes = 0;
    Qcow2Roots roots;
    int ret = qcow2_writeback(q);

    if (ret) return error_errno(err, -ret, "Could not delete snapshot '%s'", s->info.name);
    if (!snapshot_l1_load(q, s, &snap_l1, err)) return false;
    roots = q->disk;
    l1 = g_new(uint64_t, MAX_OF(q->l1_size, 1u));
    memcpy(l1, q->l1, q->l1_size * sizeof(*l1));
    qcow2_txn_begin(q);
    ret = snapshot_remove(q, n, snap_l1, l1, &roots, &bytes);
    g_free(snap_l1);
    if (ret) {
        qcow2_txn_abort(q);
    } else {
        ret = qcow2_txn_commit(q, &roots);
    }
    if (ret) {
        g_free(l1);
        return error_errno(err, -ret, "Could not delete snapshot '%s'", s->info.name);
    }
    qcow2_adopt_l1(q, l1, q->l1_size, roots.l1_offset);
    q->snapshots_offset = roots.snapshots_offset;
    q->snapshots_bytes = bytes;
    g_ptr_array_remove_index(q->snapshots, n);
    return true;
}

/* Whether two L2 tables (0: none) lead to the same clusters. */
static int snapshot_same_table(Qcow2 *q, uint64_t a, uint64_t b, bool *same)
{
    Qcow2Table *ta = NULL, *tb = NULL;
    int ret = 0;

    qcow2_tables_limit(q);
    if (a) ret = qcow2_table_get(q, a, &ta);
    if (b && !ret) ret = qcow2_table_get(q, b, &tb);
    for (uint64_t i = 0; i < q->l2_entries && !ret && *same; i++) {
        uint64_t ea = ta ? qcow2_entry(q, ta, i) : 0, eb = tb ? qcow2_entry(q, tb, i) : 0;

        *same = ((ea ^ eb) & ~Q2_COPIED) == 0;
    }
    return ret;
}

static bool snapshot_is_active(BlockImage *img, unsigned n, bool *same, Error *err)
{
    Qcow2 *q = QCOW2(img);
    Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, n);
    uint64_t tables = (q->size + q->l2_span - 1) / q->l2_span, *l1;
    int ret = 0;

    *same = s->info.disk_size == q->size;
    if (!*same) return true;
    if (!snapshot_l1_load(q, s, &l1, err)) return false;
    for (uint64_t i = 0; i < tables && !ret && *same; i++) {
        uint64_t a = i < q->l1_size ? q->l1[i] & Q2_OFFSET_MASK : 0;
        uint64_t b = i < s->l1_size ? l1[i] & Q2_OFFSET_MASK : 0;

        if (a != b) ret = snapshot_same_table(q, a, b, same);
    }
    g_free(l1);
    return !ret || error_errno(err, -ret, "Could not read the tables of '%s'", s->info.name);
}

static int snapshot_read(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len)
{
    Qcow2 *q = QCOW2(img);
    Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, n);
    int ret = qcow2_snapshot_tables(q, s);

    qcow2_tables_limit(q);
    return ret ? ret : qcow2_read_via(q, s->l1, s->l1_size, off, buf, len, true);
}

static unsigned snapshot_count(const BlockImage *img) { return QCOW2(img)->snapshots->len; }

static const SnapshotInfo *snapshot_get(const BlockImage *img, unsigned n)
{
    return &((Qcow2Snapshot *)g_ptr_array_index(QCOW2(img)->snapshots, n))->info;
}

const ImageSnapshotOps qcow2_snapshot_ops = {
    .count = snapshot_count,
    .get = snapshot_get,
    .create = snapshot_create,
    .go = snapshot_go,
    .keep = snapshot_keep,
    .back = snapshot_back,
    .del = snapshot_delete,
    .is_active = snapshot_is_active,
    .read = snapshot_read,
    .vmstate_write = qcow2_vmstate_write,
    .vmstate_read = qcow2_vmstate_read,
    .vmstate_discard = qcow2_vmstate_discard,
};
