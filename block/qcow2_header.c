/* SPDX-License-Identifier: MIT */
/*
 * The header: read, checked against everything that could hurt, and written field by field, so that
 * what we do not know (extensions, longer headers) stays as it is.  Source: qcow2 specification,
 * "Header".
 */
#include "block/qcow2.h"

#include <errno.h>
#include <string.h>

enum { V2_LENGTH = 72, V3_LENGTH = 104 };

int qcow2_file_write(Qcow2 *q, uint64_t off, const void *buf, size_t len)
{
    int ret = file_write(q->file, off, buf, len);

    q->unflushed = true;
    if (!ret) q->file_end = MAX_OF(q->file_end, qcow2_round(q, off + len));
    return ret;
}

int qcow2_reserve(Qcow2 *q, uint64_t off, uint64_t len)
{
    int ret = file_reserve(q->file, off, len);

    return ret == -ENOTSUP ? 0 : ret;
}

int qcow2_flush_file(Qcow2 *q)
{
    int ret = q->unflushed ? file_flush(q->file) : 0;

    if (!ret) q->unflushed = false;
    return ret;
}

int qcow2_header_write_roots(Qcow2 *q, const Qcow2Roots *r)
{
    uint8_t b[48];
    int ret;

    store_be64(b, r->size);
    store_be32(b + 8, 0); /* encryption: none */
    store_be32(b + 12, r->l1_size);
    store_be64(b + 16, r->l1_offset);
    store_be64(b + 24, r->reftable_offset);
    store_be32(b + 32, r->reftable_clusters);
    store_be32(b + 36, r->snapshots);
    store_be64(b + 40, r->snapshots_offset);
    ret = qcow2_file_write(q, Q2_ROOTS_OFFSET, b, sizeof(b));
    if (!ret) q->disk = *r;
    return ret;
}

int qcow2_header_write_features(Qcow2 *q)
{
    uint8_t b[24];

    if (q->version < 3) return 0;
    store_be64(b, q->incompatible);
    store_be64(b + 8, q->compatible);
    store_be64(b + 16, q->autoclear);
    return qcow2_file_write(q, V2_LENGTH, b, sizeof(b));
}

int qcow2_mark_corrupt(Qcow2 *q)
{
    if (q->corrupt) return -EIO;
    q->corrupt = true;
    q->incompatible |= Q2_INCOMPAT_CORRUPT;
    if (q->img->writable && !q->img->inactive) qcow2_header_write_features(q);
    return -EIO;
}

/* Names of incompatible features that we lack, from the image's own table where it has one. */
static bool header_refuse_features(Qcow2 *q, const GByteArray *names, uint64_t unknown, Error *err)
{
    GString *list = g_string_new(NULL);

    for (unsigned bit = 0; bit < 64; bit++) {
        const char *name = NULL;

        if (!(unknown >> bit & 1)) continue;
        for (guint i = 0; i + 48 <= names->len; i += 48) {
            if (names->data[i] == 0 && names->data[i + 1] == bit) {
                name = (const char *)names->data + i + 2;
            }
        }
        if (list->len) g_string_append(list, ", ");
        if (name) {
            g_string_append_printf(list, "%.46s", name);
        } else {
            g_string_append_printf(
                list, "Unknown incompatible feature: %" G_GINT64_MODIFIER "x", (guint64)1 << bit);
        }
    }
    error_set(err, "Unsupported qcow2 feature(s): %s", list->str);
    g_string_free(list, TRUE);
    return q == NULL;
}

static bool header_extensions(Qcow2 *q, uint64_t end, GByteArray *names, Error *err)
{
    uint8_t h[8];

    for (uint64_t off = q->header_length; off + 8 <= end;) {
        uint32_t type, len;
        char *text;
        int ret = file_read(q->file, off, h, sizeof(h));

        if (ret) return error_errno(err, -ret, "Could not read the header extensions");
        type = load_be32(h);
        len = load_be32(h + 4);
        if (!type) break;
        off += 8;
        if (len > end - off) return error_set(err, "Header extension too large");
        if (type == (uint32_t)Q2_EXT_BACKING_FORMAT || type == Q2_EXT_FEATURE_NAMES) {
            if (type != Q2_EXT_FEATURE_NAMES && len >= 16) {
                return error_set(err, "ERROR: ext_backing_format: len=%u too large (>=16)", len);
            }
            text = g_malloc0(len + 1);
            ret = file_read(q->file, off, text, len);
            if (type == Q2_EXT_FEATURE_NAMES) {
                g_byte_array_append(names, (uint8_t *)text, len);
                g_free(text);
            } else {
                g_free(q->img->backing_format);
                q->img->backing_format = text;
            }
            if (ret) return error_errno(err, -ret, "Could not read the header extensions");
        }
        off += align_up(len, 8);
    }
    return true;
}

static bool header_backing(Qcow2 *q, const uint8_t *h, uint64_t *end, Error *err)
{
    uint64_t off = load_be64(h + 8);
    uint32_t len = load_be32(h + 16);
    char *name;
    int ret;

    *end = q->cluster_size;
    if (!off) return true;
    if (off > q->cluster_size) return error_set(err, "Invalid backing file offset");
    if (len > 1023 || len > q->cluster_size - off) {
        return error_set(err, "Backing file name too long");
    }
    *end = off;
    if (!len) return true;
    name = g_malloc0(len + 1);
    ret = file_read(q->file, off, name, len);
    q->img->backing_name = name;
    return !ret || error_errno(err, -ret, "Could not read the backing file name");
}

static bool header_features(Qcow2 *q, const uint8_t *h, uint64_t ext_end, Error *err)
{
    GByteArray *names = g_byte_array_new();
    uint64_t unknown;
    bool ok;

    if (q->version >= 3) {
        q->incompatible = load_be64(h + 72);
        q->compatible = load_be64(h + 80);
        q->autoclear = load_be64(h + 88);
    }
    ok = header_extensions(q, ext_end, names, err);
    unknown = q->incompatible & ~(uint64_t)Q2_INCOMPAT_KNOWN;
    if (ok && unknown) ok = header_refuse_features(q, names, unknown, err);
    g_byte_array_free(names, TRUE);
    if (!ok) return false;
    if (q->incompatible & Q2_INCOMPAT_COMPRESSION) {
        if (q->header_length <= 104)
            return error_set(err, "qcow2: no compression type in the header");
        q->compression = h[104];
        if (!q->compression) {
            return error_set(
                err, "qcow2: Compression type incompatible feature bit must not be set");
        }
    }
#ifdef HAVE_ZSTD
    enum { COMPRESSION_LAST = 1 };
#else
    enum { COMPRESSION_LAST = 0 };
#endif
    if (q->compression > COMPRESSION_LAST) {
        return error_set(err, "qcow2: unknown compression type: %u", q->compression);
    }
    if (q->incompatible & Q2_INCOMPAT_EXTENDED_L2 && q->cluster_bits < 14) {
        return error_set(err, "Unsupported cluster size: extended L2 entries need 16k or more");
    }
    if (q->incompatible & Q2_INCOMPAT_CORRUPT && q->img->writable &&
        !(q->img->flags & IMAGE_CHECK)) {
        return error_set(err, "qcow2: Image is corrupt; cannot be opened read/write");
    }
    return true;
}

static bool header_roots(Qcow2 *q, const uint8_t *h, Error *err)
{
    Qcow2Roots *r = &q->disk;
    uint64_t l1_needed, mask = q->cluster_size - 1;

    *r = (Qcow2Roots){ .size = load_be64(h + 24),
        .l1_size = load_be32(h + 36),
        .l1_offset = load_be64(h + 40),
        .reftable_offset = load_be64(h + 48),
        .reftable_clusters = load_be32(h + 56),
        .snapshots = load_be32(h + 60),
        .snapshots_offset = load_be64(h + 64) };
    if (r->size > INT64_MAX - q->l2_span) return error_set(err, "Image is too big");
    l1_needed = (r->size + q->l2_span - 1) / q->l2_span;
    if (l1_needed > Q2_MAX_L1 / 8) return error_set(err, "Image is too big");
    if (r->l1_size > Q2_MAX_L1 / 8) return error_set(err, "Active L1 table too large");
    if (r->l1_size < l1_needed) return error_set(err, "L1 table is too small");
    if (r->l1_offset & mask || r->l1_offset > INT64_MAX / 2 || (r->l1_size && !r->l1_offset)) {
        return error_set(err, "Active L1 table offset invalid");
    }
    if (r->reftable_clusters > (uint64_t)Q2_MAX_REFTABLE >> q->cluster_bits) {
        return error_set(err, "Reference count table too large");
    }
    if (!r->reftable_clusters && !(q->img->flags & IMAGE_CHECK)) {
        return error_set(err, "Image does not contain a reference count table");
    }
    if (r->reftable_offset & mask || r->reftable_offset > INT64_MAX / 2 ||
        (r->reftable_clusters && !r->reftable_offset)) {
        return error_set(err, "Reference count table offset invalid");
    }
    if (r->snapshots > Q2_MAX_SNAPSHOTS) return error_set(err, "Snapshot table too large");
    if (r->snapshots && (r->snapshots_offset & mask || !r->snapshots_offset ||
                            r->snapshots_offset > INT64_MAX / 2)) {
        return error_set(err, "Snapshot table offset invalid");
    }
    return true;
}

bool qcow2_header_read(Qcow2 *q, Error *err)
{
    uint8_t h[V3_LENGTH + 8];
    uint64_t ext_end;
    int ret = file_read(q->file, 0, h, sizeof(h));

    if (ret) return error_errno(err, -ret, "Could not read qcow2 header");
    if (load_be32(h) != Q2_MAGIC) return error_set(err, "Image is not in qcow2 format");
    q->version = load_be32(h + 4);
    if (q->version < 2 || q->version > 3) {
        return error_set(err, "Unsupported qcow2 version %u", q->version);
    }
    q->cluster_bits = load_be32(h + 20);
    if (q->cluster_bits < Q2_MIN_CLUSTER_BITS || q->cluster_bits > Q2_MAX_CLUSTER_BITS) {
        return error_set(err, "Unsupported cluster size: 2^%u", q->cluster_bits);
    }
    q->cluster_size = 1ull << q->cluster_bits;
    if (load_be32(h + 32)) return error_set(err, "Encrypted qcow2 images are not supported");
    q->header_length = q->version >= 3 ? load_be32(h + 100) : V2_LENGTH;
    q->refcount_order = q->version >= 3 ? load_be32(h + 96) : 4;
    if (q->version >= 3 && q->header_length < V3_LENGTH) {
        return error_set(err, "qcow2 header too short");
    }
    if (q->header_length > q->cluster_size) {
        return error_set(err, "qcow2 header exceeds cluster size");
    }
    if (q->refcount_order > 6) {
        return error_set(err, "Reference count entry width too large; may not exceed 64 bits");
    }
    if (!header_backing(q, h, &ext_end, err) || !header_features(q, h, ext_end, err)) return false;
    q->l2_entry_bytes = q->incompatible & Q2_INCOMPAT_EXTENDED_L2 ? 16 : 8;
    q->l2_entries = q->cluster_size / q->l2_entry_bytes;
    q->l2_span = q->l2_entries << q->cluster_bits;
    return header_roots(q, h, err);
}
