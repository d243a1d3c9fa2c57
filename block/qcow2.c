/* SPDX-License-Identifier: MIT */
/* The qcow2 format: open, close, and what an image does with it.  See qcow2.h for the design. */
#include "block/qcow2.h"

#include <errno.h>

enum { CACHE_BYTES = 32 * MiB };

static int qcow2_probe(const uint8_t *head, size_t len)
{
    return len >= 8 && load_be32(head) == Q2_MAGIC && load_be32(head + 4) >= 2 ? 100 : 0;
}

static void qcow2_forget(Qcow2 *q)
{
    for (uint32_t i = 0; i < q->refblocks; i++) {
        g_free(q->blocks[i]);
        g_free(q->shadow[i]);
    }
    g_clear_pointer(&q->blocks, g_free);
    g_clear_pointer(&q->shadow, g_free);
    g_clear_pointer(&q->reftable, g_free);
    g_clear_pointer(&q->l1, g_free);
    g_clear_pointer(&q->inflated, g_free);
    if (q->l2) g_hash_table_destroy(q->l2);
    if (q->frees) g_array_free(q->frees, TRUE);
    if (q->txn_frees) g_array_free(q->txn_frees, TRUE);
    qcow2_snapshots_free(q);
}

static bool qcow2_load_reftable(Qcow2 *q, Error *err)
{
    uint32_t n = (uint32_t)((q->disk.reftable_clusters << q->cluster_bits) / 8);
    int ret;

    q->reftable_offset = q->disk.reftable_offset;
    q->reftable_clusters = q->disk.reftable_clusters;
    ret = qcow2_l1_load(q, q->reftable_offset, n, &q->reftable);
    if (ret) return error_errno(err, -ret, "Could not initialize refcount handling");
    q->blocks = g_new0(Qcow2Table *, n);
    q->shadow = g_new0(Qcow2Table *, n);
    q->refblocks = n;
    return true;
}

/* A file that was cut can be looked at, not written: its tables would land who knows where. */
static bool qcow2_whole(const Qcow2 *q, Error *err)
{
    if (!q->img->writable || q->img->inactive || q->img->flags & IMAGE_CHECK) return true;
    if (q->disk.l1_offset < q->file_end && q->disk.reftable_offset < q->file_end) return true;
    return error_set(err, "The image is cut short: its tables lie behind the end of the file");
}

static bool qcow2_load(Qcow2 *q, Error *err)
{
    int64_t length = q->file->drv->length(q->file);
    int ret;

    if (!qcow2_header_read(q, err)) return false;
    q->size = q->img->size = q->disk.size;
    q->img->cluster_size = q->cluster_size;
    q->l1_size = q->disk.l1_size;
    q->l1_offset = q->disk.l1_offset;
    q->l2_max = (unsigned)MAX_OF(CACHE_BYTES >> q->cluster_bits, 16);
    q->file_end = length > 0 ? qcow2_round(q, (uint64_t)length) : 0;
    q->frees = g_array_new(FALSE, FALSE, sizeof(Qcow2Range));
    q->txn_frees = g_array_new(FALSE, FALSE, sizeof(Qcow2Range));
    q->l2 = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    if (!qcow2_whole(q, err)) return false;
    ret = qcow2_l1_load(q, q->l1_offset, q->l1_size, &q->l1);
    if (ret) return error_errno(err, -ret, "Could not read L1 table");
    return qcow2_load_reftable(q, err) && qcow2_snapshots_read(q, err);
}

/* An image about to be written: unknown autoclear features end, a dirty one is repaired. */
static bool qcow2_begin_writing(Qcow2 *q, Error *err)
{
    int ret = 0;

    if (!q->img->writable || q->img->inactive || q->img->flags & IMAGE_CHECK) return true;
    if (q->autoclear) {
        q->autoclear = 0;
        ret = qcow2_header_write_features(q);
    }
    if (ret) return error_errno(err, -ret, "Could not update the qcow2 header");
    return !(q->incompatible & Q2_INCOMPAT_DIRTY) || qcow2_repair_dirty(q, err);
}

static bool qcow2_open(BlockImage *img, Error *err)
{
    Qcow2 *q = g_new0(Qcow2, 1);

    img->opaque = q;
    q->img = img;
    q->file = img->file;
    if (qcow2_load(q, err) && qcow2_begin_writing(q, err)) return true;
    qcow2_forget(q);
    g_free(q);
    return false;
}

bool qcow2_reload(BlockImage *img, Error *err)
{
    Qcow2 *q = QCOW2(img), old = *q;

    *q = (Qcow2){ .img = img, .file = img->file };
    g_clear_pointer(&img->backing_name, g_free);
    g_clear_pointer(&img->backing_format, g_free);
    if (qcow2_load(q, err) && qcow2_begin_writing(q, err)) {
        qcow2_forget(&old);
        return true;
    }
    qcow2_forget(q);
    *q = old;
    return false;
}

static int qcow2_flush(BlockImage *img)
{
    Qcow2 *q = QCOW2(img);
    int ret = qcow2_writeback(q);

    return ret ? ret : qcow2_flush_file(q);
}

static void qcow2_close(BlockImage *img)
{
    Qcow2 *q = QCOW2(img);

    if (img->writable && !img->inactive && !q->corrupt) qcow2_flush(img);
    qcow2_forget(q);
    g_free(q);
}

static int qcow2_read(BlockImage *img, uint64_t off, void *buf, size_t len)
{
    Qcow2 *q = QCOW2(img);

    qcow2_tables_limit(q);
    return qcow2_read_via(q, q->l1, q->l1_size, off, buf, len, true);
}

static int qcow2_write(BlockImage *img, uint64_t off, const void *buf, size_t len)
{
    return qcow2_write_at(QCOW2(img), off, buf, len);
}

static int qcow2_zero(BlockImage *img, uint64_t off, uint64_t len)
{
    return qcow2_zero_at(QCOW2(img), off, len);
}

static int qcow2_extent(BlockImage *img, uint64_t off, uint64_t len, ImageExtent *ext)
{
    Qcow2 *q = QCOW2(img);
    Qcow2Run run, next;
    int ret;

    qcow2_tables_limit(q);
    ret = qcow2_lookup(q, q->l1, q->l1_size, off, len, &run);
    if (ret) return ret;
    ext->len = run.len;
    while (ext->len < len && run.kind != QCOW2_COMPRESSED) { /* on into the next table */
        ret = qcow2_lookup(q, q->l1, q->l1_size, off + ext->len, len - ext->len, &next);
        if (ret) return ret;
        if (next.kind != run.kind) break;
        if (run.kind == QCOW2_DATA && next.host != run.host + ext->len) break;
        ext->len += next.len;
    }
    ext->present = run.kind != QCOW2_UNALLOCATED;
    ext->zero = run.kind == QCOW2_ZERO || (!ext->present && !img->backing_name && !img->backing);
    ext->data = run.kind == QCOW2_DATA || run.kind == QCOW2_COMPRESSED;
    ext->compressed = run.kind == QCOW2_COMPRESSED;
    ext->has_offset = run.kind == QCOW2_DATA;
    ext->offset = run.host;
    return 0;
}

static void qcow2_properties(const BlockImage *img, ImageProperty *fn, void *opaque)
{
    const Qcow2 *q = QCOW2(img);
    char bits[8];

    fn(opaque, "compat", q->version < 3 ? "0.10" : "1.1", true);
    fn(opaque, "compression type", q->compression ? "zstd" : "zlib", true);
    if (q->version >= 3) {
        fn(opaque, "lazy refcounts", q->compatible & Q2_COMPAT_LAZY ? "true" : "false", false);
    }
    g_snprintf(bits, sizeof(bits), "%u", 1u << q->refcount_order);
    fn(opaque, "refcount bits", bits, false);
    if (q->version < 3) return;
    fn(opaque, "corrupt", q->incompatible & Q2_INCOMPAT_CORRUPT ? "true" : "false", false);
    fn(opaque, "extended l2", q->l2_entry_bytes == 16 ? "true" : "false", false);
}

static bool qcow2_is_dirty(const BlockImage *img)
{
    return QCOW2(img)->incompatible & Q2_INCOMPAT_DIRTY;
}

static const ImageFormat qcow2_format = {
    .name = "qcow2",
    .probe = qcow2_probe,
    .open = qcow2_open,
    .close = qcow2_close,
    .read = qcow2_read,
    .write = qcow2_write,
    .zero = qcow2_zero,
    .flush = qcow2_flush,
    .extent = qcow2_extent,
    .reload = qcow2_reload,
    .check = qcow2_check,
    .resize = qcow2_resize,
    .make_empty = qcow2_make_empty,
    .create = qcow2_create,
    .create_options = qcow2_create_options,
    .write_compressed = qcow2_write_compressed,
    .properties = qcow2_properties,
    .is_dirty = qcow2_is_dirty,
    .snapshots = &qcow2_snapshot_ops,
};
BLOCK_FORMAT(qcow2_format);
