/* SPDX-License-Identifier: MIT */
/* Threads that compress and decompress pages: see ram_compress.h. */
#include "migration/ram_compress.h"

#include <string.h>
#include <zlib.h>

#include "util/workers.h"

struct RamZip {
    bool inflates;
    unsigned threads;
    Workers *workers;
    unsigned jobs;
    gint failed; /* atomic */
    RamZipJob job[COMPRESS_BATCH];
    z_stream z[]; /* one per thread */
};

static void ram_zip_deflate(z_stream *z, RamZipJob *j)
{
    deflateReset(z);
    z->next_in = j->data;
    z->avail_in = PAGE_SIZE;
    z->next_out = j->zip;
    z->avail_out = PAGE_SIZE - 1;
    j->len = deflate(z, Z_FINISH) == Z_STREAM_END ? z->total_out : 0;
}

static bool ram_zip_inflate(z_stream *z, RamZipJob *j)
{
    inflateReset(z);
    z->next_in = j->zip;
    z->avail_in = (uInt)j->len;
    z->next_out = j->data;
    z->avail_out = PAGE_SIZE;
    return inflate(z, Z_FINISH) == Z_STREAM_END && !z->avail_out;
}

static void ram_zip_work(void *opaque, unsigned thread, unsigned job)
{
    RamZip *z = opaque;

    if (!z->inflates)
        ram_zip_deflate(&z->z[thread], &z->job[job]);
    else if (!ram_zip_inflate(&z->z[thread], &z->job[job]))
        g_atomic_int_set(&z->failed, 1);
}

static RamZip *ram_zip_make(bool inflates, unsigned level, unsigned threads)
{
    RamZip *z = g_malloc0(sizeof(*z) + threads * sizeof(z->z[0]));

    z->inflates = inflates;
    z->threads = threads;
    z->workers = workers_new(threads, ram_zip_work, z);
    for (unsigned i = 0; i < threads; i++) {
        int r = inflates ? inflateInit(&z->z[i]) : deflateInit(&z->z[i], (int)level);

        g_assert(r == Z_OK); /* a few 100 KiB */
    }
    return z;
}

RamZip *ram_zip_new(unsigned level, unsigned threads)
{
    return ram_zip_make(false, level, threads);
}
RamZip *ram_unzip_new(unsigned threads) { return ram_zip_make(true, 0, threads); }

void ram_zip_free(RamZip *z)
{
    if (!z) return;
    workers_free(z->workers);
    for (unsigned i = 0; i < z->threads; i++) (z->inflates ? inflateEnd : deflateEnd)(&z->z[i]);
    g_free(z);
}

RamZipJob *ram_zip_add(RamZip *z) { return &z->job[z->jobs++]; }

bool ram_zip_full(const RamZip *z) { return z->jobs == COMPRESS_BATCH; }

void ram_zip_run(RamZip *z, bool wait, unsigned *undone)
{
    unsigned job;

    *undone = 0;
    workers_start(z->workers, z->jobs);
    while (!wait && workers_take_back(z->workers, &job)) {
        z->job[job].len = 0;
        ++*undone;
    }
    workers_wait(z->workers);
}

RamZipJob *ram_zip_job(RamZip *z, unsigned i) { return i < z->jobs ? &z->job[i] : NULL; }

void ram_zip_clear(RamZip *z) { z->jobs = 0; }

bool ram_zip_ok(const RamZip *z) { return !g_atomic_int_get(&z->failed); }

bool ram_zip_holds(const RamZip *z, const uint8_t *data)
{
    for (unsigned i = 0; i < z->jobs; i++)
        if (z->job[i].data == data) return true;
    return false;
}
