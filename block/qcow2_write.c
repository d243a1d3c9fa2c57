/* SPDX-License-Identifier: MIT */
/*
 * Writing guest content: in place where the cluster is ours alone, else into fresh clusters with
 * the rest copied, linked only after their data is written.
 */
#include "block/qcow2.h"

#include <errno.h>
#include <string.h>

#define ALL_SUBCLUSTERS 0xffffffffull

static bool write_hides_below(const Qcow2 *q, uint64_t off)
{
    return (q->img->backing || q->img->backing_name) && off < q->size;
}

static bool write_is_zero(const uint8_t *p, size_t n)
{
    return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

/* Whether entry i can be written where it is. */
static bool write_owned(const Qcow2 *q, const Qcow2Table *t, uint64_t i)
{
    uint64_t entry = qcow2_entry(q, t, i);

    if (!(entry & Q2_COPIED) || entry & Q2_COMPRESSED || !(entry & Q2_OFFSET_MASK)) return false;
    if (q->l2_entry_bytes == 16) return qcow2_bitmap(q, t, i) == ALL_SUBCLUSTERS;
    return q->version < 3 || !(entry & Q2_ZERO);
}

/* Writes as far as owned clusters lie together; *len is cut to what was written. */
static int write_in_place(Qcow2 *q, Qcow2Table *t, uint64_t off, const uint8_t *buf, uint64_t *len)
{
    uint64_t i = off % q->l2_span >> q->cluster_bits, in_cluster = off & (q->cluster_size - 1);
    uint64_t host = qcow2_entry(q, t, i) & Q2_OFFSET_MASK, n = q->cluster_size - in_cluster;

    if (host & (q->cluster_size - 1) || host >= q->file_end) return qcow2_mark_corrupt(q);
    for (uint64_t k = 1; n < *len && i + k < q->l2_entries && write_owned(q, t, i + k); k++) {
        if ((qcow2_entry(q, t, i + k) & Q2_OFFSET_MASK) != host + (k << q->cluster_bits)) break;
        n += q->cluster_size;
    }
    *len = MIN_OF(*len, n);
    if (qcow2_overlaps_metadata(q, host, qcow2_round(q, in_cluster + *len))) {
        return qcow2_mark_corrupt(q);
    }
    return qcow2_file_write(q, host + in_cluster, buf, *len);
}

/* Copies what the guest sees at off to host, except zeroes to where there never was anything. */
static int write_copy(Qcow2 *q, uint64_t off, uint64_t host, uint64_t len, bool virgin)
{
    uint8_t *buf;
    int ret;

    if (!len) return 0;
    buf = g_malloc(len);
    ret = qcow2_read_via(q, q->l1, q->l1_size, off, buf, len, off < q->size);
    if (!ret && !(virgin && write_is_zero(buf, len))) ret = qcow2_file_write(q, host, buf, len);
    g_free(buf);
    return ret;
}

static int write_fresh_data(Qcow2 *q, uint64_t off, const uint8_t *buf, uint64_t len, uint64_t host)
{
    uint64_t head = off & (q->cluster_size - 1), end = head + len;
    uint64_t tail = qcow2_round(q, end) - end;
    bool virgin = host >= q->file_end,
         last_virgin = align_down(host + end, q->cluster_size) >= q->file_end;
    int ret = write_copy(q, off - head, host, head, virgin);

    if (!ret) ret = write_copy(q, off + len, host + end, tail, last_virgin);
    return ret ? ret : qcow2_file_write(q, host + head, buf, len);
}

/* Writes into fresh clusters as far as none is owned; *len is cut to what was written. */
static int write_fresh(Qcow2 *q, Qcow2Table *t, uint64_t off, const uint8_t *buf, uint64_t *len)
{
    uint64_t i = off % q->l2_span >> q->cluster_bits, head = off & (q->cluster_size - 1);
    uint64_t want = MIN_OF(qcow2_round(q, head + *len) >> q->cluster_bits, q->l2_entries - i),
             n = 1;
    int64_t host;
    int ret;

    while (n < want && !write_owned(q, t, i + n)) n++;
    host = qcow2_alloc_run(q, &n);
    if (host < 0) return (int)host;
    *len = MIN_OF(*len, (n << q->cluster_bits) - head);
    ret = write_fresh_data(q, off, buf, *len, (uint64_t)host);
    if (ret) {
        qcow2_refcount_add(q, (uint64_t)host, n << q->cluster_bits, -1);
        return ret;
    }
    for (uint64_t k = 0; k < n; k++) {
        qcow2_free_entry(q, qcow2_entry(q, t, i + k));
        qcow2_entry_set(
            q, t, i + k, ((uint64_t)host + (k << q->cluster_bits)) | Q2_COPIED, ALL_SUBCLUSTERS);
    }
    return 0;
}

int qcow2_write_at(Qcow2 *q, uint64_t off, const uint8_t *buf, size_t len)
{
    int ret = qcow2_tables_trim(q);

    while (len && !ret) {
        uint64_t n = len, i = off % q->l2_span >> q->cluster_bits;
        Qcow2Table *t;

        if (q->corrupt) return -EIO;
        ret = qcow2_table_writable(q, off / q->l2_span, &t);
        if (ret) break;
        ret = write_owned(q, t, i) ? write_in_place(q, t, off, buf, &n)
                                   : write_fresh(q, t, off, buf, &n);
        buf += n;
        off += n;
        len -= n;
    }
    return ret;
}

/* Zeroes less than a cluster. */
static int zero_part(Qcow2 *q, uint64_t off, uint64_t len)
{
    Qcow2Run run;
    uint8_t *zero;
    int ret = 0;

    for (uint64_t done = 0; done < len && !ret;) {
        ret = qcow2_lookup(q, q->l1, q->l1_size, off + done, len - done, &run);
        if (ret) return ret;
        if (run.kind != QCOW2_ZERO &&
            (run.kind != QCOW2_UNALLOCATED || write_hides_below(q, off + done))) {
            zero = g_malloc0(run.len);
            ret = qcow2_write_at(q, off + done, zero, run.len);
            g_free(zero);
        }
        done += run.len;
    }
    return ret;
}

/* Zeroes whole clusters of one table, from entry `first` on. */
static int zero_entries(Qcow2 *q, uint64_t l1_index, uint64_t first, uint64_t count)
{
    bool hides = write_hides_below(q, l1_index * q->l2_span + (first << q->cluster_bits));
    bool wide = q->l2_entry_bytes == 16;
    Qcow2Table *t;
    int ret;

    if (!hides && (l1_index >= q->l1_size || !(q->l1[l1_index] & Q2_OFFSET_MASK))) return 0;
    if (hides && q->version < 3) {
        return zero_part(
            q, l1_index * q->l2_span + (first << q->cluster_bits), count << q->cluster_bits);
    }
    ret = qcow2_table_writable(q, l1_index, &t);
    for (uint64_t i = first; !ret && i < first + count; i++) {
        uint64_t entry = qcow2_entry(q, t, i);

        qcow2_free_entry(q, entry);
        qcow2_entry_set(q, t, i, hides && !wide ? Q2_ZERO : 0, hides ? ALL_SUBCLUSTERS << 32 : 0);
    }
    return ret;
}

int qcow2_zero_at(Qcow2 *q, uint64_t off, uint64_t len)
{
    uint64_t end = off + len, mask = q->cluster_size - 1;
    int ret = qcow2_tables_trim(q);

    while (off < end && !ret) {
        uint64_t in_table = off % q->l2_span, n = MIN_OF(end - off, q->l2_span - in_table);
        bool to_the_end = off + n == q->size;

        if (q->corrupt) return -EIO;
        if (off & mask || (n < q->cluster_size && !to_the_end)) {
            n = MIN_OF(n, q->cluster_size - (off & mask));
            ret = zero_part(q, off, n);
        } else {
            if (!to_the_end) n = align_down(n, q->cluster_size);
            ret = zero_entries(q, off / q->l2_span, in_table >> q->cluster_bits,
                qcow2_round(q, n) >> q->cluster_bits);
        }
        off += n;
    }
    return ret;
}

int qcow2_drop_tables(Qcow2 *q, uint32_t first, uint32_t end)
{
    for (uint32_t n = first; n < end && n < q->l1_size; n++) {
        uint64_t off = q->l1[n] & Q2_OFFSET_MASK;
        Qcow2Table *t;
        int ret;

        if (!off) continue;
        ret = qcow2_table_get(q, off, &t);
        if (ret) return ret;
        for (uint64_t i = 0; i < q->l2_entries; i++) qcow2_free_entry(q, qcow2_entry(q, t, i));
        qcow2_l1_set(q, n, 0);
        qcow2_table_forget(q, off);
        qcow2_free(q, off, q->cluster_size);
        if (q->corrupt) return -EIO;
    }
    return 0;
}
