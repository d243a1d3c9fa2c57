/* SPDX-License-Identifier: MIT */
/*
 * Drives: one worker thread that owns the image, a queue of requests to it, and completions that
 * come back as a source on the machine's context.
 *
 * `lock` guards the list of completed requests and the count of those under way.  The image belongs
 * to the worker, which also brings the file up to date when it has been idle for a while: a process
 * that is killed then loses nothing that the guest wrote before.  Others only read names and lists.
 */
#include "block/block.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "util/bits.h"

enum { IDLE_US = 1000 * 1000 };

typedef struct DevSource {
    GSource source;
    BlockDev *dev;
} DevSource;

struct BlockDev {
    char *id;
    GMainContext *ctx;
    Options *kept; /* what the device asks for: block_dev_option */
    BlockImage *image, *next;
    char *cache;
    bool removable, writable, no_lock, snapshot;
    uint64_t size; /* set by the worker after each call, read atomically */
    BlockStats stats;
    uint8_t *dirty; /* block_dev_track */
    size_t chunk;
    const BlockMediaOps *media;
    void *media_opaque;

    int late_error; /* worker: what the next flush owes the guest */
    GThread *worker;
    GAsyncQueue *queue;
    GSource *source;
    GMutex lock;
    GCond finished;
    GQueue completed; /* of BlockReq, done() not yet run */
    unsigned pending; /* submitted, not yet completed */
};

static int64_t dev_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* -- the worker's side -- */

static void dev_publish_size(BlockDev *bd)
{
    __atomic_store_n(&bd->size, bd->image ? image_size(bd->image) : 0, __ATOMIC_RELEASE);
}

static int dev_flush(BlockDev *bd)
{
    int ret = image_flush(bd->image), late = bd->late_error;

    bd->late_error = 0;
    return ret ? ret : late;
}

static int dev_run_request(BlockDev *bd, BlockReq *req)
{
    BlockImage *img = bd->image;

    if (req->op == BLOCK_CALL) {
        req->ret = 0;
        req->call(req, img);
        dev_publish_size(bd);
        return req->ret;
    }
    if (!img) return -ENOMEDIUM;
    if (req->off > image_size(img) || req->len > image_size(img) - req->off) return -EINVAL;
    switch (req->op) {
    case BLOCK_READ: return image_read(img, req->off, req->buf, req->len);
    case BLOCK_WRITE: return image_write(img, req->off, req->buf, req->len);
    case BLOCK_ZERO: return image_write_zeroes(img, req->off, req->len);
    default: return dev_flush(bd);
    }
}

/* The next request; meanwhile, where something was written, an idle moment is made use of. */
static gpointer dev_next(BlockDev *bd, bool *written)
{
    while (*written) {
        gpointer item = g_async_queue_timeout_pop(bd->queue, IDLE_US);
        int ret;

        if (item) return item;
        ret = bd->image ? image_flush(bd->image) : 0;
        if (ret) bd->late_error = ret;
        *written = false;
    }
    return g_async_queue_pop(bd->queue);
}

static gpointer dev_worker(gpointer opaque)
{
    BlockDev *bd = opaque;
    bool written = false;

    for (;;) {
        gpointer item = dev_next(bd, &written);
        BlockReq *req = item;

        if (item == bd) return NULL; /* block_dev_free's last word */
        req->ret = dev_run_request(bd, req);
        if (req->op != BLOCK_READ) written = req->op != BLOCK_FLUSH;
        if (req->op == BLOCK_WRITE && !req->ret && !strcmp(bd->cache, "writethrough")) {
            req->ret = dev_flush(bd);
        }
        g_mutex_lock(&bd->lock);
        req->completed = true;
        bd->pending--;
        g_queue_push_tail(&bd->completed, req);
        g_cond_broadcast(&bd->finished);
        g_mutex_unlock(&bd->lock);
        g_source_set_ready_time(bd->source, 0);
    }
}

/* -- the machine's side -- */

static void dev_account(BlockDev *bd, const BlockReq *req)
{
    uint64_t ns = (uint64_t)(dev_now() - req->start_ns);

    switch (req->op) {
    case BLOCK_READ:
        bd->stats.rd_ops++;
        bd->stats.rd_bytes += req->len;
        bd->stats.rd_ns += ns;
        break;
    case BLOCK_WRITE:
        bd->stats.wr_ops++;
        bd->stats.wr_bytes += req->len;
        bd->stats.wr_ns += ns;
        break;
    case BLOCK_FLUSH:
        bd->stats.flush_ops++;
        bd->stats.flush_ns += ns;
        break;
    default: break;
    }
}

static void dev_finish(BlockDev *bd, BlockReq *req)
{
    dev_account(bd, req);
    if (req->done) req->done(req);
}

static BlockReq *dev_take_completed(BlockDev *bd)
{
    BlockReq *req;

    g_mutex_lock(&bd->lock);
    req = g_queue_pop_head(&bd->completed);
    g_mutex_unlock(&bd->lock);
    return req;
}

static gboolean dev_dispatch(GSource *source, GSourceFunc fn, gpointer opaque)
{
    BlockDev *bd = ((DevSource *)source)->dev;
    BlockReq *req;

    (void)fn;
    (void)opaque;
    g_source_set_ready_time(source, -1);
    while ((req = dev_take_completed(bd))) dev_finish(bd, req);
    return G_SOURCE_CONTINUE;
}

void block_dev_track(BlockDev *bd, uint8_t *dirty, size_t chunk)
{
    bd->dirty = dirty;
    bd->chunk = chunk;
}

static void dev_mark_dirty(BlockDev *bd, const BlockReq *req)
{
    uint64_t size = block_dev_size(bd);

    if (req->op != BLOCK_WRITE && req->op != BLOCK_ZERO) return;
    if (!req->len || req->off > size || req->len > size - req->off) return;
    for (uint64_t c = req->off / bd->chunk; c <= (req->off + req->len - 1) / bd->chunk; c++)
        bd->dirty[c] = 1;
}

void block_submit(BlockDev *bd, BlockReq *req)
{
    if (bd->dirty) dev_mark_dirty(bd, req);
    req->dev = bd;
    req->completed = false;
    req->ret = 0;
    req->start_ns = dev_now();
    g_mutex_lock(&bd->lock);
    bd->pending++;
    g_mutex_unlock(&bd->lock);
    g_async_queue_push(bd->queue, req);
}

void block_wait(BlockReq *req)
{
    BlockDev *bd = req->dev;

    g_mutex_lock(&bd->lock);
    while (!req->completed) g_cond_wait(&bd->finished, &bd->lock);
    g_queue_remove(&bd->completed, req);
    g_mutex_unlock(&bd->lock);
    dev_finish(bd, req);
}

void block_drain(BlockDev *bd)
{
    for (;;) {
        BlockReq *req;

        g_mutex_lock(&bd->lock);
        while (bd->pending && g_queue_is_empty(&bd->completed)) {
            g_cond_wait(&bd->finished, &bd->lock);
        }
        req = g_queue_pop_head(&bd->completed);
        g_mutex_unlock(&bd->lock);
        if (!req) return;
        dev_finish(bd, req);
    }
}

typedef struct DevCall {
    BlockReq req;
    void (*fn)(BlockImage *img, void *opaque);
    void *opaque;
} DevCall;

static void dev_call(BlockReq *req, BlockImage *img)
{
    DevCall *c = container_of(req, DevCall, req);

    c->fn(img, c->opaque);
}

void block_call_sync(BlockDev *bd, void (*fn)(BlockImage *img, void *opaque), void *opaque)
{
    DevCall c = { .req = { .op = BLOCK_CALL, .call = dev_call }, .fn = fn, .opaque = opaque };

    block_submit(bd, &c.req);
    block_wait(&c.req);
}

/* -- making and changing -- */

static BlockImage *dev_open(const BlockDev *bd, const char *file, const char *format,
    bool read_only, bool snapshot, Error *err)
{
    int flags = bd->no_lock ? IMAGE_NO_LOCK : 0;

    if (snapshot) {
        flags |= IMAGE_SNAPSHOT;
    } else if (!read_only) {
        flags |= IMAGE_WRITABLE;
    }
    if (!strcmp(bd->cache, "unsafe")) flags |= IMAGE_UNSAFE;
    return image_open(file, format, flags, err);
}

static bool dev_parse_cache(BlockDev *bd, Options *opts, Error *err)
{
    static const char *const modes[] = { "writeback", "writethrough", "unsafe", "none",
        "directsync" };
    const char *mode = options_get_or(opts, "cache", "writeback");

    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        if (strcmp(mode, modes[i])) continue;
        bd->cache = g_strdup(i == 3 ? "writeback" : i == 4 ? "writethrough" : mode);
        return true;
    }
    return error_set(err, "invalid cache option '%s'", mode);
}

/* Takes what the drive needs at once and remembers what its device may ask for later. */
static bool dev_parse(BlockDev *bd, Options *opts, bool *read_only, bool *snapshot, Error *err)
{
    static const char *const kept[] = { "serial", "werror", "rerror", "media", "if", "index", "bus",
        "unit", "id", "aio", "discard", "detect-zeroes", "node-name" };

    for (unsigned i = 0; i < ARRAY_SIZE(kept); i++) {
        const char *value = options_get(opts, kept[i]);

        if (value) options_set(bd->kept, kept[i], value);
    }
    *read_only = !g_strcmp0(options_get(opts, "media"), "cdrom");
    bd->removable = *read_only;
    return options_get_bool(opts, "readonly", read_only, err) &&
           options_get_bool(opts, "read-only", read_only, err) &&
           options_get_bool(opts, "snapshot", snapshot, err) && dev_parse_cache(bd, opts, err) &&
           options_check_used(opts, "drive", err);
}

static void dev_start(BlockDev *bd)
{
    static const GSourceFuncs funcs = { .dispatch = dev_dispatch };

    g_mutex_init(&bd->lock);
    g_cond_init(&bd->finished);
    g_queue_init(&bd->completed);
    bd->queue = g_async_queue_new();
    bd->source = g_source_new((GSourceFuncs *)&funcs, sizeof(DevSource));
    ((DevSource *)bd->source)->dev = bd;
    g_source_attach(bd->source, bd->ctx);
    bd->worker = g_thread_new(bd->id, dev_worker, bd);
}

BlockDev *block_dev_new(GMainContext *ctx, const char *id, Options *opts, bool no_lock, Error *err)
{
    BlockDev *bd = g_new0(BlockDev, 1);
    const char *file = options_get(opts, "file"), *format = options_get(opts, "format");
    bool read_only = false, ok;

    bd->id = g_strdup(id);
    bd->ctx = ctx;
    bd->no_lock = no_lock;
    bd->kept = options_new();
    ok = dev_parse(bd, opts, &read_only, &bd->snapshot, err);
    if (ok && file && *file) {
        bd->image = dev_open(bd, file, format, read_only, bd->snapshot && !read_only, err);
        ok = bd->image != NULL;
    }
    if (!ok) {
        options_free(bd->kept);
        g_free(bd->cache);
        g_free(bd->id);
        g_free(bd);
        return NULL;
    }
    bd->writable = bd->image && image_writable(bd->image);
    if (!bd->image) bd->removable = true;
    dev_publish_size(bd);
    dev_start(bd);
    return bd;
}

void block_dev_free(BlockDev *bd)
{
    if (!bd) return;
    block_drain(bd);
    g_async_queue_push(bd->queue, bd);
    g_thread_join(bd->worker);
    g_source_destroy(bd->source);
    g_source_unref(bd->source);
    g_async_queue_unref(bd->queue);
    image_close(bd->image);
    options_free(bd->kept);
    g_mutex_clear(&bd->lock);
    g_cond_clear(&bd->finished);
    g_free(bd->cache);
    g_free(bd->id);
    g_free(bd);
}

/* On the worker: opaque is the drive with its next medium. */
static void dev_swap(BlockImage *img, void *opaque)
{
    BlockDev *bd = opaque;

    image_close(img);
    bd->image = bd->next;
    bd->next = NULL;
    bd->late_error = 0;
}

bool block_dev_change(
    BlockDev *bd, const char *file, const char *format, bool read_only, Error *err)
{
    if (!bd->removable) return error_set(err, "Device '%s' is not removable", bd->id);
    if (bd->dirty) return error_set(err, "Device '%s' is being migrated", bd->id);
    block_drain(bd);
    if (file) {
        bd->next = dev_open(bd, file, format, read_only, bd->snapshot && !read_only, err);
        if (!bd->next) return false;
    }
    bd->writable = bd->next && image_writable(bd->next);
    block_call_sync(bd, dev_swap, bd);
    if (bd->media && bd->media->changed) bd->media->changed(bd->media_opaque, file != NULL);
    return true;
}

void block_dev_attach(BlockDev *bd, const BlockMediaOps *ops, void *opaque)
{
    bd->media = ops;
    bd->media_opaque = opaque;
}

const BlockMediaOps *block_dev_media_ops(BlockDev *bd, void **opaque)
{
    if (opaque) *opaque = bd->media_opaque;
    return bd->media;
}

/* -- asking -- */

const char *block_dev_id(const BlockDev *bd) { return bd->id; }
bool block_dev_has_medium(const BlockDev *bd) { return bd->image != NULL; }
bool block_dev_writable(const BlockDev *bd) { return bd->writable; }
bool block_dev_removable(const BlockDev *bd) { return bd->removable; }
void block_dev_set_removable(BlockDev *bd, bool removable) { bd->removable = removable; }
const BlockStats *block_dev_stats(const BlockDev *bd) { return &bd->stats; }
BlockImage *block_dev_image(BlockDev *bd) { return bd->image; }
const char *block_dev_cache_mode(const BlockDev *bd)
{
    return strcmp(bd->cache, "unsafe") ? bd->cache : "writeback, ignore flushes";
}

uint64_t block_dev_size(const BlockDev *bd) { return __atomic_load_n(&bd->size, __ATOMIC_ACQUIRE); }

const char *block_dev_option(const BlockDev *bd, const char *key)
{
    return options_get(bd->kept, key);
}

bool block_dev_inserted_info(BlockDev *bd, GString *out, bool verbose)
{
    if (!bd->image) {
        if (!verbose) g_string_append(out, "[not inserted]");
        return false;
    }
    if (!verbose) {
        g_string_append_printf(out, "%s (%s%s)", image_filename(bd->image), image_format(bd->image),
            bd->writable ? "" : ", read-only");
        return true;
    }
    g_string_append(out, "\nImages:\n");
    for (BlockImage *img = bd->image; img; img = image_backing(img)) {
        if (img != bd->image) g_string_append(out, "Backing file:\n");
        image_describe(img, out);
    }
    return true;
}
