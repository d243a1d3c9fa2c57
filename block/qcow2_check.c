/* SPDX-License-Identifier: MIT */
/*
 * Checking: counts every reference there is and compares with the counts in the image; repair is a
 * transaction that sets the counts (and COPIED flags) to what was found.
 */
#include "block/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { BITMAPS_EXTENSION = 0x23852875 };

typedef struct Check {
    Qcow2 *q;
    ImageCheck *out;
    uint32_t *refs; /* found, per cluster */
    uint64_t clusters, file_clusters;
    bool readable; /* every table could be read: repair knows the truth */
} Check;

static void check_say(Check *c, uint64_t *counter, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void check_say(Check *c, uint64_t *counter, const char *fmt, ...)
{
    va_list ap;

    if (counter) (*counter)++;
    if (!c->out->messages) return;
    va_start(ap, fmt);
    g_string_append_vprintf(c->out->messages, fmt, ap);
    va_end(ap);
    g_string_append_c(c->out->messages, '\n');
}

static void check_ref(Check *c, uint64_t off, uint64_t len, const char *what)
{
    uint64_t first = qcow2_cluster(c->q, off), last;

    if (!len) return;
    last = qcow2_cluster(c->q, off + len - 1);
    for (uint64_t i = first; i <= last; i++) {
        if (i >= c->clusters) {
            check_say(c, &c->out->corruptions,
                "ERROR: counting reference for region exceeding the end of the file by one cluster "
                "or more: %s offset 0x%" PRIx64 " size 0x%" PRIx64 "",
                what, (guint64)off, (guint64)len);
            c->readable = false;
            return;
        }
        c->refs[i]++;
    }
}

static bool check_aligned(Check *c, uint64_t off, const char *what)
{
    if (!(off & (c->q->cluster_size - 1))) return true;
    check_say(c, &c->out->corruptions,
        "ERROR %s offset=%" G_GINT64_MODIFIER
        "x: Cluster is not properly aligned; image is corrupted.",
        what, (guint64)off);
    c->readable = false;
    return false;
}

static void check_entry(Check *c, uint64_t entry, bool active, uint64_t *next)
{
    uint64_t off = entry & Q2_OFFSET_MASK, len = c->q->cluster_size;
    ImageCheck *out = c->out;

    if (entry & Q2_COMPRESSED) {
        qcow2_compressed_range(c->q, entry, &off, &len);
        check_ref(c, off, len, "compressed cluster");
        if (active) {
            out->allocated++;
            out->compressed++;
            out->fragmented++; /* as others count it: never where the one before ends */
        }
        return;
    }
    if (!off || !check_aligned(c, off, "Data cluster")) return;
    check_ref(c, off, len, "data cluster");
    if (!active) return;
    out->allocated++;
    if (*next && off != *next) out->fragmented++;
    *next = off + len;
}

static void check_tree(Check *c, const uint64_t *l1, uint32_t size, bool active)
{
    for (uint32_t n = 0; n < size; n++) {
        uint64_t l2 = l1[n] & Q2_OFFSET_MASK, next = 0;
        Qcow2Table *t;
        int ret;

        if (!l2) continue;
        check_ref(c, l2, c->q->cluster_size, "L2 table");
        if (!check_aligned(c, l2, "L2 table")) continue;
        qcow2_tables_limit(c->q);
        ret = qcow2_table_get(c->q, l2, &t);
        if (ret) {
            check_say(c, &c->out->check_errors, "ERROR: I/O error in check_refcounts_l2");
            c->readable = false;
            continue;
        }
        for (uint64_t i = 0; i < c->q->l2_entries; i++) {
            check_entry(c, qcow2_entry(c->q, t, i), active, &next);
        }
    }
}

static void check_snapshots(Check *c)
{
    Qcow2 *q = c->q;

    for (guint i = 0; i < q->snapshots->len; i++) {
        const Qcow2Snapshot *s = g_ptr_array_index(q->snapshots, i);
        uint64_t *l1;

        if (s->l1_size > Q2_MAX_L1 / 8 || s->l1_offset & (q->cluster_size - 1) ||
            qcow2_l1_load(q, s->l1_offset, s->l1_size, &l1)) {
            check_say(c, &c->out->corruptions,
                "ERROR snapshot %s (%s) l1_offset=%#" PRIx64
                ": L1 table is not cluster aligned; snapshot table "
                "entry corrupted",
                s->info.id, s->info.name, s->l1_offset);
            c->readable = false;
            continue;
        }
        check_ref(c, s->l1_offset, (uint64_t)s->l1_size * 8, "snapshot L1 table");
        check_tree(c, l1, s->l1_size, false);
        g_free(l1);
    }
    check_ref(c, q->snapshots_offset, q->snapshots_bytes, "snapshot table");
    if (q->snapshots->len == q->disk.snapshots) return;
    check_say(c, &c->out->corruptions,
        "ERROR snapshot table: %u of %u entries are behind the end of the file",
        q->disk.snapshots - q->snapshots->len, q->disk.snapshots);
    c->readable = false;
}

/* Bitmaps of others, as long as they are valid: directory, tables, data. */
static void check_bitmap_table(Check *c, uint64_t off, uint32_t entries)
{
    uint64_t *table;

    check_ref(c, off, (uint64_t)entries * 8, "bitmap table");
    if (entries > Q2_MAX_L1 / 8 || qcow2_l1_load(c->q, off, entries, &table)) return;
    for (uint32_t i = 0; i < entries; i++) {
        if (table[i] & Q2_OFFSET_MASK) {
            check_ref(c, table[i] & Q2_OFFSET_MASK, c->q->cluster_size, "bitmap data");
        }
    }
    g_free(table);
}

static void check_bitmaps(Check *c)
{
    Qcow2 *q = c->q;
    uint8_t h[32], e[24];
    uint64_t at = q->header_length, dir, dir_size;

    if (!(q->autoclear & 1)) return;
    for (;; at += 8 + align_up(load_be32(h + 4), 8)) {
        if (at + 32 > q->cluster_size || file_read(q->file, at, h, sizeof(h)) || !load_be32(h)) {
            return;
        }
        if (load_be32(h) == BITMAPS_EXTENSION) break;
    }
    dir_size = load_be64(h + 16);
    dir = load_be64(h + 24);
    check_ref(c, dir, dir_size, "bitmap directory");
    if (qcow2_cluster(q, dir_size) > c->clusters) { /* where all reads as zero, for ever */
        c->readable = false;
        return;
    }
    for (uint64_t i = 0; i + 24 <= dir_size;) {
        if (file_read(q->file, dir + i, e, sizeof(e))) return;
        check_bitmap_table(c, load_be64(e), load_be32(e + 8));
        i += align_up(24 + load_be16(e + 18) + load_be32(e + 20), 8);
    }
}

static void check_structures(Check *c)
{
    Qcow2 *q = c->q;

    check_ref(c, 0, q->cluster_size, "header");
    check_ref(c, q->l1_offset, (uint64_t)q->l1_size * 8, "L1 table");
    check_tree(c, q->l1, q->l1_size, true);
    check_snapshots(c);
    check_bitmaps(c);
    check_ref(
        c, q->reftable_offset, (uint64_t)q->reftable_clusters << q->cluster_bits, "refcount table");
}

/* The blocks that the table names; a bad one is dropped where errors are repaired. */
static void check_blocks(Check *c)
{
    Qcow2 *q = c->q;

    for (uint32_t i = 0; i < q->refblocks; i++) {
        uint64_t off = q->reftable[i];

        if (!off) continue;
        if (off & (q->cluster_size - 1) || qcow2_cluster(q, off) >= c->clusters) {
            check_say(c, &c->out->corruptions,
                "ERROR refcount block %u is %s; refcount table "
                "entry corrupted",
                i, off & (q->cluster_size - 1) ? "not cluster aligned" : "outside image");
            if (c->out->fix_errors) q->reftable[i] = 0;
            continue;
        }
        check_ref(c, off, q->cluster_size, "refcount block");
        if (c->refs[qcow2_cluster(q, off)] > 1) {
            check_say(c, &c->out->corruptions, "ERROR refcount block %u refcount=%u", i,
                c->refs[qcow2_cluster(q, off)]);
        }
    }
}

static int check_compare(Check *c)
{
    for (uint64_t i = 0; i < c->clusters; i++) {
        uint64_t count, want = c->refs[i];
        int ret = qcow2_refcount_get(c->q, i, &count);

        if (ret) {
            check_say(c, &c->out->check_errors, "Can't get refcount for cluster %" PRIu64 ": %s", i,
                strerror(-ret));
            continue;
        }
        if (count == want) {
            if (count) c->out->image_end = (i + 1) << c->q->cluster_bits;
            continue;
        }
        c->out->image_end = (i + 1) << c->q->cluster_bits;
        check_say(c, count > want ? &c->out->leaks : &c->out->corruptions,
            "%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64,
            count > want ? "Leaked" : "ERROR", i, count, want);
    }
    return 0;
}

/* COPIED flags of the active layer against the counts. */
static void check_copied_one(Check *c, uint64_t entry, const char *what)
{
    uint64_t count;

    if (qcow2_refcount_get(c->q, qcow2_cluster(c->q, entry & Q2_OFFSET_MASK), &count)) return;
    if ((count == 1) == !!(entry & Q2_COPIED)) return;
    check_say(c, &c->out->corruptions, "ERROR OFLAG_COPIED %s: entry=%" PRIx64 " refcount=%" PRIu64,
        what, entry, count);
}

static void check_copied(Check *c)
{
    Qcow2 *q = c->q;

    for (uint32_t n = 0; n < q->l1_size; n++) {
        uint64_t l2 = q->l1[n] & Q2_OFFSET_MASK;
        Qcow2Table *t;

        if (!l2 || l2 & (q->cluster_size - 1)) continue;
        check_copied_one(c, q->l1[n], "L2 cluster");
        qcow2_tables_limit(q);
        if (qcow2_table_get(q, l2, &t)) continue;
        for (uint64_t i = 0; i < q->l2_entries; i++) {
            uint64_t entry = qcow2_entry(q, t, i);

            if (entry & Q2_COMPRESSED || !(entry & Q2_OFFSET_MASK)) continue;
            check_copied_one(c, entry, "data cluster");
        }
    }
}

/* -- repair -- */

static int check_set_counts(Check *c, bool leaks, bool errors)
{
    Qcow2 *q = c->q;
    int ret = 0;

    for (uint64_t i = 0; i < c->clusters && !ret; i++) {
        uint64_t count, want = c->refs[i];

        if (qcow2_refcount_get(q, i, &count)) return -EIO;
        if (count > want ? leaks : count < want && errors) ret = qcow2_refcount_set(q, i, want);
    }
    return ret;
}

static bool check_repair(Check *c, bool errors, Error *err)
{
    Qcow2 *q = c->q;
    Qcow2Roots roots = q->disk;
    uint64_t *l1 = g_new(uint64_t, MAX_OF(q->l1_size, 1u));
    uint64_t old_l1 = q->l1_offset;
    int ret;

    memcpy(l1, q->l1, q->l1_size * sizeof(*l1));
    q->corrupt = false;
    q->in_use = c->refs;
    q->in_use_clusters = c->clusters;
    qcow2_txn_begin(q);
    ret = check_set_counts(c, true, errors);
    if (!ret) ret = qcow2_tree_settle(q, l1, q->l1_size); /* a count that sinks to 1 */
    if (!ret && memcmp(l1, q->l1, q->l1_size * sizeof(*l1))) {
        qcow2_free(q, old_l1, (uint64_t)q->l1_size * 8);
        ret = qcow2_write_l1(q, l1, q->l1_size, &roots.l1_offset);
    }
    if (ret) {
        qcow2_txn_abort(q);
    } else {
        ret = qcow2_txn_commit(q, &roots);
    }
    q->in_use_clusters = 0;
    if (ret) {
        g_free(l1);
        return error_errno(err, -ret, "Could not repair the image");
    }
    qcow2_adopt_l1(q, l1, q->l1_size, roots.l1_offset);
    return true;
}

static bool check_count_all(Check *c, Qcow2 *q, ImageCheck *out, Error *err)
{
    int64_t length = q->file->drv->length(q->file);

    *c = (Check){ .q = q, .out = out, .readable = true };
    if (length < 0) return error_errno(err, (int)-length, "Could not find out the file's length");
    c->clusters = MAX_OF(qcow2_round(q, (uint64_t)length), q->file_end) >> q->cluster_bits;
    c->refs = g_try_new0(uint32_t, MAX_OF(c->clusters, 1u));
    if (!c->refs) return error_set(err, "Not enough memory to check the image");
    check_structures(c);
    check_blocks(c);
    return true;
}

static bool check_clear_marks(Qcow2 *q, Error *err)
{
    int ret;

    q->incompatible &= ~(uint64_t)(Q2_INCOMPAT_DIRTY | Q2_INCOMPAT_CORRUPT);
    ret = qcow2_header_write_features(q);
    if (!ret) ret = qcow2_flush_file(q);
    return !ret || error_errno(err, -ret, "Could not update the qcow2 header");
}

bool qcow2_check(BlockImage *img, ImageCheck *out, Error *err)
{
    Qcow2 *q = QCOW2(img);
    bool was_corrupt = q->corrupt, ok, fix;
    Check c;

    if (img->writable && !img->inactive && qcow2_writeback(q) && !q->corrupt) {
        return error_set(err, "Could not write the image's tables");
    }
    out->total_clusters = qcow2_round(q, q->size) >> q->cluster_bits;
    if (!check_count_all(&c, q, out, err)) return false;
    check_compare(&c);
    check_copied(&c);
    /* Leaks alone can be repaired only where the counts are right otherwise. */
    fix = (out->fix_leaks && out->leaks && (out->fix_errors || !out->corruptions)) ||
          (out->fix_errors && out->corruptions) ||
          (out->fix_errors && q->incompatible & (Q2_INCOMPAT_DIRTY | Q2_INCOMPAT_CORRUPT));
    ok = true;
    if (fix && c.readable && !out->check_errors) {
        ok = check_repair(&c, out->fix_errors, err);
        if (ok && out->fix_errors) {
            ok = check_clear_marks(q, err);
            out->corruptions_fixed = out->corruptions;
            out->corruptions = 0;
        }
        if (ok) {
            out->leaks_fixed = out->leaks;
            out->leaks = 0;
        }
    } else if (!was_corrupt) {
        q->corrupt = false; /* the check itself met bad tables; the image is as it was */
    }
    g_free(c.refs);
    return ok;
}

bool qcow2_repair_dirty(Qcow2 *q, Error *err)
{
    ImageCheck out = { .fix_leaks = true, .fix_errors = true };

    if (!qcow2_check(q->img, &out, err)) return error_prefix(err, "Could not repair dirty image: ");
    if (out.corruptions || out.check_errors) {
        return error_set(err, "Could not repair dirty image; use 'check -r all' on it");
    }
    return true;
}
