/* SPDX-License-Identifier: MIT */
/*
 * Compressed clusters: raw deflate with a 4 KiB window, or zstd.  Source: qcow2 specification,
 * "Compressed Clusters Descriptor".  The last one inflated is kept, since guests read in small
 * pieces.
 */
#include "block/qcow2.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

enum { WINDOW_BITS = -12, ZLIB = 0, ZSTD = 1 };

static int compress_inflate_zlib(uint8_t *out, size_t out_len, const uint8_t *in, size_t in_len)
{
    z_stream z = { .next_in = (Bytef *)in, .avail_in = (uInt)in_len, .next_out = out };
    int ret;

    z.avail_out = (uInt)out_len;
    if (inflateInit2(&z, WINDOW_BITS) != Z_OK) return -ENOMEM;
    ret = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    /* Input may end in padding up to the sector, so a full buffer is success as well. */
    return ret == Z_STREAM_END || (ret == Z_BUF_ERROR && !z.avail_out) ? 0 : -EIO;
}

static int compress_inflate_zstd(uint8_t *out, size_t out_len, const uint8_t *in, size_t in_len)
{
#ifdef HAVE_ZSTD
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer src = { in, in_len, 0 };
    ZSTD_outBuffer dst = { out, out_len, 0 };
    int ret = z ? 0 : -ENOMEM;

    while (!ret && dst.pos < dst.size) {
        size_t before = src.pos + dst.pos, n = ZSTD_decompressStream(z, &dst, &src);

        if (ZSTD_isError(n) || src.pos + dst.pos == before) ret = -EIO;
    }
    ZSTD_freeDStream(z);
    return ret;
#else
    (void)out;
    (void)out_len;
    (void)in;
    (void)in_len;
    return -ENOTSUP;
#endif
}

int qcow2_inflate(Qcow2 *q, uint64_t entry)
{
    uint64_t off, len;
    uint8_t *in;
    int ret;

    if (q->inflated_at == entry) return 0;
    qcow2_compressed_range(q, entry, &off, &len);
    if (len > 2 * q->cluster_size) return qcow2_mark_corrupt(q);
    if (!q->inflated) q->inflated = g_malloc(q->cluster_size);
    q->inflated_at = 0;
    in = g_malloc(len);
    ret = file_read(q->file, off, in, len);
    if (!ret && q->compression == ZSTD) {
        ret = compress_inflate_zstd(q->inflated, q->cluster_size, in, len);
    } else if (!ret) {
        ret = compress_inflate_zlib(q->inflated, q->cluster_size, in, len);
    }
    if (!ret) q->inflated_at = entry;
    g_free(in);
    return ret;
}

/* The compressed length, or 0 where it is not shorter than a cluster. */
static size_t compress_deflate(const Qcow2 *q, const uint8_t *in, uint8_t *out)
{
    size_t room = q->cluster_size - 1;
    z_stream z = { .next_in = (Bytef *)in, .avail_in = (uInt)q->cluster_size, .next_out = out };
    int ret;

#ifdef HAVE_ZSTD
    if (q->compression == ZSTD) {
        size_t n = ZSTD_compress(out, room, in, q->cluster_size, ZSTD_CLEVEL_DEFAULT);

        return ZSTD_isError(n) ? 0 : n;
    }
#endif
    z.avail_out = (uInt)room;
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, 9, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return 0;
    }
    ret = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return ret == Z_STREAM_END ? room - z.avail_out : 0;
}

static int compress_store(Qcow2 *q, uint64_t off, const uint8_t *data, size_t len)
{
    uint64_t i = off % q->l2_span >> q->cluster_bits, sectors, shift = 62 - (q->cluster_bits - 8);
    Qcow2Table *t;
    int64_t host;
    int ret = qcow2_table_writable(q, off / q->l2_span, &t);

    if (ret) return ret;
    host = qcow2_alloc_packed(q, len);
    if (host < 0) return (int)host;
    ret = qcow2_file_write(q, (uint64_t)host, data, len);
    if (ret) {
        qcow2_refcount_add(q, (uint64_t)host, len, -1);
        q->packed_end = 0;
        return ret;
    }
    sectors = (((uint64_t)host + len - 1) >> 9) - ((uint64_t)host >> 9);
    qcow2_free_entry(q, qcow2_entry(q, t, i));
    qcow2_entry_set(q, t, i, Q2_COMPRESSED | sectors << shift | (uint64_t)host, 0);
    return 0;
}

int qcow2_write_compressed(BlockImage *img, uint64_t off, const void *buf, size_t len)
{
    Qcow2 *q = QCOW2(img);
    uint8_t *in, *out;
    size_t n;
    int ret;

    if (off & (q->cluster_size - 1) || (len != q->cluster_size && off + len != q->size)) {
        return -EINVAL;
    }
    ret = qcow2_tables_trim(q);
    if (ret || q->corrupt) return ret ? ret : -EIO;
    in = g_malloc0(q->cluster_size);
    out = g_malloc(q->cluster_size);
    memcpy(in, buf, len);
    n = compress_deflate(q, in, out);
    q->inflated_at = 0;
    ret = n ? compress_store(q, off, out, n) : qcow2_write_at(q, off, buf, len);
    g_free(in);
    g_free(out);
    return ret;
}
