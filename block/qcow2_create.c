/* SPDX-License-Identifier: MIT */
/* New qcow2 images: a header and an empty reference count structure, then grown to their size. */
#include "block/qcow2.h"

#include <errno.h>
#include <string.h>

enum { HEADER_BYTES = 112, DEFAULT_CLUSTER = 64 * KiB };

const ImageOption qcow2_create_options[] = {
    { "backing_file", "<str>", "File name of a base image" },
    { "backing_fmt", "<str>", "Image format of the base image" },
    { "cluster_size", "<size>", "qcow2 cluster size" },
    { "compat", "<str>", "Compatibility level (v2 [0.10] or v3 [1.1])" },
    { "compression_type", "<str>", "Compression method used for image cluster compression" },
    { "extended_l2", "<bool (on/off)>", "Extended L2 tables" },
    { "lazy_refcounts", "<bool (on/off)>", "Postpone refcount updates" },
    { "preallocation", "<str>",
        "Preallocation mode (allowed values: off, metadata, falloc, full)" },
    { "refcount_bits", "<num>", "Width of a reference count entry in bits" },
    { "size", "<size>", "Virtual disk size" },
    { 0 },
};

typedef struct Qcow2Recipe {
    unsigned version, cluster_bits, refcount_order;
    bool lazy, extended_l2, zstd;
    const char *backing, *backing_format, *preallocation;
} Qcow2Recipe;

static bool create_compat(Qcow2Recipe *r, const char *compat, Error *err)
{
    if (!strcmp(compat, "1.1") || !strcmp(compat, "v3")) {
        r->version = 3;
    } else if (!strcmp(compat, "0.10") || !strcmp(compat, "v2")) {
        r->version = 2;
    } else {
        return error_set(err, "Invalid parameter '%s' for compat (use 0.10 or 1.1)", compat);
    }
    return true;
}

static bool create_widths(Qcow2Recipe *r, uint64_t cluster, uint64_t refcount_bits, Error *err)
{
    if (!is_pow2(cluster) || cluster < 512 || cluster > 2 * MiB) {
        return error_set(err, "Cluster size must be a power of two between 512 and 2048k");
    }
    r->cluster_bits = (unsigned)__builtin_ctzll(cluster);
    if (!is_pow2(refcount_bits) || refcount_bits > 64) {
        return error_set(err, "Refcount width must be a power of two and may not exceed 64 bits");
    }
    r->refcount_order = (unsigned)__builtin_ctzll(refcount_bits);
    if (r->extended_l2 && cluster < 16 * KiB) {
        return error_set(err,
            "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes");
    }
    if (r->version >= 3) return true;
    if (refcount_bits != 16) {
        return error_set(err, "Different refcount widths than 16 bits require compatibility level "
                              "1.1 or above (use compat=1.1)");
    }
    if (r->lazy || r->extended_l2 || r->zstd) {
        return error_set(err,
            "%s only supported with compatibility level 1.1 or above (use "
            "compat=1.1)",
            r->lazy          ? "Lazy refcounts are"
            : r->extended_l2 ? "Extended L2 entries are"
                             : "Compression types other than zlib are");
    }
    return true;
}

static bool create_parse(Qcow2Recipe *r, Options *o, Error *err)
{
    uint64_t cluster = DEFAULT_CLUSTER, bits = 16;
    const char *type = options_get_or(o, "compression_type", "zlib");
    static const char *const modes[] = { "off", "metadata", "falloc", "full" };
    unsigned m = 0;

    *r = (Qcow2Recipe){ .backing = options_get(o, "backing_file"),
        .backing_format = options_get(o, "backing_fmt"),
        .preallocation = options_get_or(o, "preallocation", "off") };
    if (!create_compat(r, options_get_or(o, "compat", "1.1"), err) ||
        !options_get_size(o, "cluster_size", &cluster, err) ||
        !options_get_u64(o, "refcount_bits", &bits, err) ||
        !options_get_bool(o, "lazy_refcounts", &r->lazy, err) ||
        !options_get_bool(o, "extended_l2", &r->extended_l2, err)) {
        return false;
    }
    while (m < ARRAY_SIZE(modes) && strcmp(modes[m], r->preallocation)) m++;
    if (m == ARRAY_SIZE(modes)) {
        return error_set(err, "Invalid parameter '%s' for preallocation", r->preallocation);
    }
    if (m && r->backing) {
        return error_set(err, "Backing file and preallocation cannot be used at the same time");
    }
    if (r->backing && strlen(r->backing) > 1023) {
        return error_set(err, "Backing file name too long");
    }
#ifdef HAVE_ZSTD
    r->zstd = !strcmp(type, "zstd");
#endif
    if (!r->zstd && strcmp(type, "zlib")) {
        return error_set(err, "Invalid parameter '%s' for compression_type", type);
    }
    return create_widths(r, cluster, bits, err);
}

/* The header with its extensions and the backing file's name: fits into 512 bytes or fails. */
static bool create_header(const Qcow2Recipe *r, uint8_t *h, size_t size, Error *err)
{
    size_t at = r->version >= 3 ? HEADER_BYTES : 72, len;

    store_be32(h, Q2_MAGIC);
    store_be32(h + 4, r->version);
    store_be32(h + 20, r->cluster_bits);
    store_be64(h + 48, 1ull << r->cluster_bits); /* the reference table */
    store_be32(h + 56, 1);
    if (r->version >= 3) {
        store_be64(h + 72, (r->zstd ? Q2_INCOMPAT_COMPRESSION : 0) |
                               (r->extended_l2 ? Q2_INCOMPAT_EXTENDED_L2 : 0));
        store_be64(h + 80, r->lazy ? Q2_COMPAT_LAZY : 0);
        store_be32(h + 96, r->refcount_order);
        store_be32(h + 100, HEADER_BYTES);
        h[104] = r->zstd;
    }
    if (r->backing && r->backing_format) {
        len = strlen(r->backing_format);
        if (len > 15) return error_set(err, "Unknown driver '%s'", r->backing_format);
        store_be32(h + at, (uint32_t)Q2_EXT_BACKING_FORMAT);
        store_be32(h + at + 4, (uint32_t)len);
        memcpy(h + at + 8, r->backing_format, len);
        at += 8 + align_up(len, 8);
    }
    at += 8; /* the extensions' end */
    if (!r->backing) return true;
    len = strlen(r->backing);
    if (at + len > size) return error_set(err, "Backing file name too long for the cluster size");
    store_be64(h + 8, at);
    store_be32(h + 16, (uint32_t)len);
    memcpy(h + at, r->backing, len);
    return true;
}

static bool create_empty(const char *filename, const Qcow2Recipe *r, Error *err)
{
    size_t cluster = (size_t)1 << r->cluster_bits, bits = (size_t)1 << r->refcount_order;
    uint8_t *b = g_malloc0(3 * cluster);
    BlockFile *f = NULL;
    int ret = 0;
    bool ok = create_header(r, b, cluster, err);

    store_be64(b + cluster, 2 * cluster); /* the first block */
    for (size_t i = 0; i < 3; i++) {      /* header, table and block are in use */
        uint8_t *block = b + 2 * cluster;

        if (bits < 8) {
            block[i * bits / 8] |= (uint8_t)(1u << (i * bits % 8));
        } else {
            block[(i + 1) * bits / 8 - 1] = 1;
        }
    }
    if (ok) f = image_create_file(filename, err);
    if (f) {
        ret = file_write(f, 0, b, 3 * cluster);
        if (ret) error_errno(err, -ret, "Could not write '%s'", filename);
        file_close(f);
    }
    g_free(b);
    return ok && f && !ret;
}

/* Gives every guest cluster a place. */
static int create_preallocate(Qcow2 *q, const char *mode)
{
    uint64_t clusters = qcow2_round(q, q->size) >> q->cluster_bits, end = 0;

    for (uint64_t c = 0; c < clusters;) {
        uint64_t i = c % q->l2_entries, n = MIN_OF(q->l2_entries - i, clusters - c);
        Qcow2Table *t;
        int64_t host;
        int ret = qcow2_tables_trim(q);

        if (!ret) ret = qcow2_table_writable(q, c / q->l2_entries, &t);
        if (ret) return ret;
        host = qcow2_alloc_run(q, &n);
        if (host < 0) return (int)host;
        if (strcmp(mode, "metadata")) {
            ret = file_reserve(q->file, (uint64_t)host, n << q->cluster_bits);
            if (ret) return ret;
        }
        for (uint64_t k = 0; k < n; k++) {
            qcow2_entry_set(
                q, t, i + k, ((uint64_t)host + (k << q->cluster_bits)) | Q2_COPIED, 0xffffffffull);
        }
        end = MAX_OF(end, (uint64_t)host + (n << q->cluster_bits));
        c += n;
    }
    return (uint64_t)q->file->drv->length(q->file) < end ? q->file->drv->truncate(q->file, end) : 0;
}

bool qcow2_create(const char *filename, uint64_t size, Options *opts, Error *err)
{
    Qcow2Recipe r;
    BlockImage *img;
    bool ok;
    int ret = 0;

    if (!create_parse(&r, opts, err) || !create_empty(filename, &r, err)) return false;
    img = image_open(filename, "qcow2", IMAGE_WRITABLE | IMAGE_NO_BACKING | IMAGE_UNSAFE, err);
    if (!img) return false;
    ok = qcow2_resize(img, align_up(size, 512), err);
    if (ok && strcmp(r.preallocation, "off")) ret = create_preallocate(QCOW2(img), r.preallocation);
    if (ok && !ret) ret = image_flush(img);
    if (ret) ok = error_errno(err, -ret, "Could not preallocate '%s'", filename);
    image_close(img);
    return ok;
}
