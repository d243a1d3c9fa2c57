/* SPDX-License-Identifier: MIT */
/*
 * The table of internal snapshots.  Source: qcow2 specification, "Snapshots".  Entries that are not
 * ours keep every byte that they came with.
 */
#include "block/qcow2.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ENTRY_BYTES = 40, EXTRA_BYTES = 24, MAX_EXTRA = 1024 };

void qcow2_snapshot_free(void *p)
{
    Qcow2Snapshot *s = p;

    g_byte_array_free(s->raw, TRUE);
    g_free(s->l1);
    g_free(s);
}

void qcow2_snapshots_free(Qcow2 *q)
{
    if (q->snapshots) g_ptr_array_free(q->snapshots, TRUE);
    q->snapshots = NULL;
}

Qcow2Snapshot *qcow2_snapshot_new(const SnapshotInfo *info, uint64_t l1_offset, uint32_t l1_size)
{
    Qcow2Snapshot *s = g_new0(Qcow2Snapshot, 1);
    size_t id_len = strlen(info->id), name_len = strlen(info->name);
    uint8_t *b;

    s->info = *info;
    s->l1_offset = l1_offset;
    s->l1_size = l1_size;
    s->raw = g_byte_array_new();
    g_byte_array_set_size(s->raw, (guint)(ENTRY_BYTES + EXTRA_BYTES + id_len + name_len));
    b = s->raw->data;
    store_be64(b, l1_offset);
    store_be32(b + 8, l1_size);
    store_be16(b + 12, (uint16_t)id_len);
    store_be16(b + 14, (uint16_t)name_len);
    store_be32(b + 16, info->date_s);
    store_be32(b + 20, info->date_ns);
    store_be64(b + 24, info->vm_clock_ns);
    store_be32(b + 32, info->vm_state_size > UINT32_MAX ? 0 : (uint32_t)info->vm_state_size);
    store_be32(b + 36, EXTRA_BYTES);
    store_be64(b + 40, info->vm_state_size);
    store_be64(b + 48, info->disk_size);
    store_be64(b + 56, info->icount);
    memcpy(b + 64, info->id, id_len);
    memcpy(b + 64 + id_len, info->name, name_len);
    return s;
}

static Qcow2Snapshot *snapshot_parse(const Qcow2 *q, GByteArray *raw)
{
    Qcow2Snapshot *s = g_new0(Qcow2Snapshot, 1);
    const uint8_t *b = raw->data;
    unsigned id_len = load_be16(b + 12), name_len = load_be16(b + 14), extra = load_be32(b + 36);
    const char *text = (const char *)b + ENTRY_BYTES + extra;

    s->raw = raw;
    s->l1_offset = load_be64(b);
    s->l1_size = load_be32(b + 8);
    s->info.date_s = load_be32(b + 16);
    s->info.date_ns = load_be32(b + 20);
    s->info.vm_clock_ns = load_be64(b + 24);
    s->info.vm_state_size = extra >= 8 ? load_be64(b + 40) : load_be32(b + 32);
    s->info.disk_size = extra >= 16 ? load_be64(b + 48) : q->size;
    s->info.icount = extra >= 24 ? load_be64(b + 56) : UINT64_MAX;
    snprintf(s->info.id, sizeof(s->info.id), "%.*s", (int)id_len, text);
    snprintf(s->info.name, sizeof(s->info.name), "%.*s", (int)name_len, text + id_len);
    return s;
}

static bool snapshots_cut(const Qcow2 *q, uint64_t off, size_t len)
{
    return q->file_end && (len > q->file_end || off > q->file_end - len);
}

/* Behind the end of the file all is zero, and zeros would do for an entry, for 65,535 of them. */
static int snapshots_read_bytes(Qcow2 *q, uint64_t off, GByteArray *raw, size_t len)
{
    if (snapshots_cut(q, off, len)) return -EIO;
    g_byte_array_set_size(raw, (guint)len);
    return file_read(q->file, off, raw->data, len);
}

static bool snapshots_read_one(Qcow2 *q, uint64_t *off, Error *err)
{
    GByteArray *raw = g_byte_array_new();
    int ret = snapshots_read_bytes(q, *off, raw, ENTRY_BYTES);
    uint32_t extra = ret ? 0 : load_be32(raw->data + 36);
    size_t len;

    if (extra > MAX_EXTRA) {
        g_byte_array_free(raw, TRUE);
        return error_set(
            err, "Too much extra metadata in snapshot table entry %u", q->snapshots->len);
    }
    if (!ret) {
        len = ENTRY_BYTES + extra + load_be16(raw->data + 12) + load_be16(raw->data + 14);
        ret = snapshots_read_bytes(q, *off, raw, len);
    }
    if (ret) {
        g_byte_array_free(raw, TRUE);
        return error_errno(err, -ret, "Could not read snapshots");
    }
    g_ptr_array_add(q->snapshots, snapshot_parse(q, raw));
    *off += align_up(len, 8);
    return true;
}

bool qcow2_snapshots_read(Qcow2 *q, Error *err)
{
    uint64_t off = q->disk.snapshots_offset;
    bool looking = !q->img->writable || q->img->inactive || q->img->flags & IMAGE_CHECK;

    qcow2_snapshots_free(q);
    q->snapshots = g_ptr_array_new_with_free_func(qcow2_snapshot_free);
    for (uint32_t i = 0; i < q->disk.snapshots; i++) {
        /* What is left of a cut file can be looked at. */
        if (looking && snapshots_cut(q, off, ENTRY_BYTES)) break;
        if (!snapshots_read_one(q, &off, err)) return false;
        if (off - q->disk.snapshots_offset > Q2_MAX_SNAPSHOT_TABLE) {
            return error_set(err, "Snapshot table is too large");
        }
    }
    q->snapshots_offset = q->disk.snapshots_offset;
    q->snapshots_bytes = off - q->disk.snapshots_offset;
    return true;
}

int qcow2_snapshots_write(Qcow2 *q, GPtrArray *snapshots, uint64_t *offset, uint64_t *bytes)
{
    GByteArray *all = g_byte_array_new();
    static const uint8_t zero[8];
    int64_t off = 0;
    int ret = 0;

    for (guint i = 0; i < snapshots->len; i++) {
        const Qcow2Snapshot *s = g_ptr_array_index(snapshots, i);

        g_byte_array_append(all, s->raw->data, s->raw->len);
        g_byte_array_append(all, zero, (guint)(align_up(all->len, 8) - all->len));
    }
    if (all->len > Q2_MAX_SNAPSHOT_TABLE) ret = -EFBIG;
    if (!ret && all->len) {
        off = qcow2_alloc(q, all->len);
        ret = off < 0 ? (int)off : qcow2_file_write(q, (uint64_t)off, all->data, all->len);
    }
    *offset = (uint64_t)off;
    *bytes = all->len;
    g_byte_array_free(all, TRUE);
    return ret;
}
