/* SPDX-License-Identifier: MIT */
/*
 * The VM state: bytes at guest addresses behind the disk, from the first address that no table of
 * the disk covers.  Written through the active L1, read through a snapshot's own.
 */
#include "block/qcow2.h"

#include <errno.h>

static int vmstate_drop(Qcow2 *q)
{
    uint64_t first = qcow2_vmstate_base(q, q->size) / q->l2_span;

    return qcow2_drop_tables(q, (uint32_t)MIN_OF(first, (uint64_t)UINT32_MAX), q->l1_size);
}

int qcow2_vmstate_write(BlockImage *img, uint64_t off, const void *buf, size_t len)
{
    Qcow2 *q = QCOW2(img);

    if (q->corrupt) return -EIO;
    if (!q->vmstate_started) {
        int ret = vmstate_drop(q); /* what a savevm that was killed has left */

        if (ret) return ret;
        q->vmstate_started = true;
    }
    if (off > (uint64_t)INT64_MAX / 4) return -EFBIG;
    return qcow2_write_at(q, qcow2_vmstate_base(q, q->size) + off, buf, len);
}

int qcow2_snapshot_tables(Qcow2 *q, Qcow2Snapshot *s)
{
    if (s->l1) return 0;
    if (s->l1_size > Q2_MAX_L1 / 8 || s->l1_offset & (q->cluster_size - 1)) return -EIO;
    return qcow2_l1_load(q, s->l1_offset, s->l1_size, &s->l1);
}

int qcow2_vmstate_read(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len)
{
    Qcow2 *q = QCOW2(img);
    Qcow2Snapshot *s;
    int ret;

    if (n >= q->snapshots->len) return -ENOENT;
    s = g_ptr_array_index(q->snapshots, n);
    ret = qcow2_snapshot_tables(q, s);
    if (ret) return ret;
    if (off > (uint64_t)INT64_MAX / 4) return -EFBIG;
    qcow2_tables_limit(q);
    off += qcow2_vmstate_base(q, s->info.disk_size);
    return qcow2_read_via(q, s->l1, s->l1_size, off, buf, len, false);
}

bool qcow2_vmstate_discard(BlockImage *img, Error *err)
{
    Qcow2 *q = QCOW2(img);
    int ret = vmstate_drop(q);

    if (!ret) ret = qcow2_writeback(q);
    q->vmstate_started = false;
    return !ret || error_errno(err, -ret, "Could not give back the VM state's clusters");
}
