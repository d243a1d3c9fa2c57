/* SPDX-License-Identifier: MIT */
/*
 * Another size for the disk.  Growing makes the tables longer first and the disk last; shrinking
 * cuts the disk first, so that a crash leaves the old or the new disk.
 */
#include "block/qcow2.h"

#include <errno.h>

static int resize_set(Qcow2 *q, uint64_t size)
{
    Qcow2Roots roots;
    int ret = qcow2_writeback(q);

    if (!ret) ret = qcow2_flush_file(q);
    roots = q->disk; /* write-back may have moved things */
    roots.size = size;
    if (!ret) ret = qcow2_header_write_roots(q, &roots);
    if (!ret) q->size = q->img->size = size;
    return ret;
}

static int resize_grow(Qcow2 *q, uint64_t size)
{
    uint64_t old = q->size, tables = (size + q->l2_span - 1) / q->l2_span;
    uint64_t below = q->img->backing ? MIN_OF(q->img->backing->size, size) : 0;
    int ret;

    if (tables > Q2_MAX_L1 / 8) return -EFBIG;
    ret = qcow2_l1_grow(q, (uint32_t)tables);
    if (!ret && old & (q->cluster_size - 1)) { /* what lies behind the end was never visible */
        ret = qcow2_zero_at(q, old, qcow2_round(q, old) - old);
    }
    if (!ret && below > old) {
        q->size = size; /* hides what a longer backing file would show now */
        ret = qcow2_zero_at(q, old, below - old);
        q->size = old;
    }
    return ret ? ret : resize_set(q, size);
}

static int resize_shrink(Qcow2 *q, uint64_t size)
{
    uint64_t old = qcow2_round(q, q->size), first = (size + q->l2_span - 1) / q->l2_span;
    int ret = resize_set(q, size);

    if (!ret) ret = qcow2_drop_tables(q, (uint32_t)first, q->l1_size);
    if (!ret) ret = qcow2_zero_at(q, size, MIN_OF(old, first * q->l2_span) - size);
    return ret ? ret : qcow2_writeback(q);
}

bool qcow2_resize(BlockImage *img, uint64_t size, Error *err)
{
    Qcow2 *q = QCOW2(img);
    int ret;

    if (q->corrupt) return error_set(err, "The image is corrupt");
    if (size & 511) return error_set(err, "The new size must be a multiple of 512");
    if (q->snapshots->len && q->version < 3) {
        return error_set(err, "Can't resize a version 2 image which has snapshots");
    }
    if (size > INT64_MAX - q->l2_span) return error_set(err, "The new size is too big");
    ret = qcow2_drop_tables(q, (uint32_t)(qcow2_vmstate_base(q, q->size) / q->l2_span), q->l1_size);
    q->vmstate_started = false;
    if (!ret) ret = size < q->size ? resize_shrink(q, size) : resize_grow(q, size);
    return !ret || error_errno(err, -ret, "Could not resize the image");
}

/* The empty layer shows the backing file; one transaction. */
bool qcow2_make_empty(BlockImage *img, Error *err)
{
    Qcow2 *q = QCOW2(img);
    Qcow2Roots roots = q->disk;
    uint64_t *l1 = g_new0(uint64_t, MAX_OF(q->l1_size, 1u));
    int ret;

    qcow2_txn_begin(q);
    ret = q->corrupt ? -EIO : qcow2_tree_count(q, q->l1, q->l1_size, -1);
    if (!ret) qcow2_free(q, q->l1_offset, (uint64_t)q->l1_size * 8);
    if (!ret) ret = qcow2_write_l1(q, l1, q->l1_size, &roots.l1_offset);
    roots.l1_size = q->l1_size;
    if (ret) {
        qcow2_txn_abort(q);
    } else {
        ret = qcow2_txn_commit(q, &roots);
    }
    if (ret) {
        g_free(l1);
        return error_errno(err, -ret, "Could not empty the image");
    }
    qcow2_adopt_l1(q, l1, roots.l1_size, roots.l1_offset);
    q->vmstate_started = false;
    return true;
}
