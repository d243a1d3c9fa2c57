/* SPDX-License-Identifier: MIT */
/*
 * Block devices.
 *
 * Two layers.  A BlockImage is an open image: plain synchronous code (formats over protocols),
 * used by tools and by workers.  A BlockDev is a drive of a machine: it owns one worker thread that
 * runs operations on its image in order of submission, and completes them on the machine's context.
 * Removable drives may have no medium.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/options.h"
#include "util/registry.h"

/* -- images (synchronous; one thread at a time) -- */

typedef struct BlockImage BlockImage;

enum {
    IMAGE_WRITABLE = 1 << 0,
    IMAGE_NO_LOCK = 1 << 1,    /* opened by the destination of a migration, or --force-share */
    IMAGE_NO_BACKING = 1 << 2, /* do not open the backing chain */
    IMAGE_SNAPSHOT = 1 << 3,   /* writes go to a temporary overlay that dies with the image */
    IMAGE_CHECK = 1 << 4,      /* opened to be checked: do not refuse a dirty or corrupt image */
    IMAGE_UNSAFE = 1 << 5,     /* never flush to the host's disk (cache=unsafe, convert) */
};

/* format NULL: probed.  Errors name the file and what to do. */
BlockImage *image_open(const char *filename, const char *format, int flags, Error *err);
void image_close(BlockImage *img);

uint64_t image_size(const BlockImage *img); /* guest-visible bytes */
const char *image_format(const BlockImage *img);
const char *image_filename(const BlockImage *img);
const char *image_backing_filename(const BlockImage *img); /* NULL: none */
bool image_writable(const BlockImage *img);

/* Byte-granular; inside the image's size (asserted).  0 or a negative errno. */
int image_read(BlockImage *img, uint64_t off, void *buf, size_t len);
int image_write(BlockImage *img, uint64_t off, const void *buf, size_t len);
int image_write_zeroes(BlockImage *img, uint64_t off, uint64_t len);
int image_flush(BlockImage *img);

/* Internal snapshots and the VM-state area behind the guest-visible end. */
typedef struct SnapshotInfo {
    char id[128];
    char name[256];
    uint64_t vm_state_size; /* bytes */
    uint32_t date_s, date_ns;
    uint64_t vm_clock_ns;
    uint64_t icount; /* UINT64_MAX: not counted */
    uint64_t disk_size;
} SnapshotInfo;

bool image_can_snapshot(const BlockImage *img); /* the format has snapshots and it is writable */
unsigned image_snapshot_count(const BlockImage *img);
const SnapshotInfo *image_snapshot(const BlockImage *img, unsigned n);
/* By id or name; of several of one name the newest; -1 where there is none. */
int image_snapshot_find(const BlockImage *img, const char *id_or_name);
/* Takes a snapshot of the active layer and of the VM state written before; fills in info->id.
 * Discards the VM state from the active layer.  All or nothing. */
bool image_snapshot_create(BlockImage *img, SnapshotInfo *info, Error *err);
/* Makes snapshot n the active layer; everything is checked before anything changes. */
bool image_snapshot_goto(BlockImage *img, unsigned n, Error *err);
bool image_snapshot_check(BlockImage *img, unsigned n, Error *err); /* would goto succeed? */
/* As goto, but until switch_keep (which cannot fail) switch_back leads to what was before.  Nothing
 * else is asked of the image in between. */
bool image_snapshot_switch(BlockImage *img, unsigned n, Error *err);
void image_snapshot_switch_keep(BlockImage *img);
bool image_snapshot_switch_back(BlockImage *img, Error *err);
bool image_snapshot_delete(BlockImage *img, unsigned n, Error *err);
/* Whether the active layer holds exactly what snapshot n does. */
bool image_snapshot_is_active(BlockImage *img, unsigned n, bool *same, Error *err);
/* VM state of the active layer (write) or of snapshot n (read, through its own L1). */
int image_vmstate_write(BlockImage *img, uint64_t off, const void *buf, size_t len);
int image_vmstate_read(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len);
/* Gives back VM-state clusters of the active layer: after a savevm that failed. */
bool image_vmstate_discard(BlockImage *img, Error *err);

/* Reads the tables again: the other side of a migration wrote them.  Takes the locks. */
bool image_activate(BlockImage *img, Error *err);
/* The opposite: flush, write caches back, give up the locks; reads go on. */
bool image_inactivate(BlockImage *img, Error *err);
/* Of an inactive, writable image: whether another process has its lock. */
bool image_locked_elsewhere(BlockImage *img);

/* A digest of the guest-visible content, the same for equal contents in any format. */
bool image_digest(BlockImage *img, GChecksum *sum, Error *err);

/* A text as `info block -v` and `stasis-img info` print it. */
void image_describe(BlockImage *img, GString *out);

/* -- for tools -- */

typedef struct ImageOption {
    const char *name, *type, *help;
} ImageOption;

/* Creates an image and reads its options from opts (backing_file, backing_fmt, cluster_size ...).
 * With a backing file, size UINT64_MAX means the backing file's. */
bool image_create(
    const char *filename, const char *format, uint64_t size, Options *opts, Error *err);
/* The creation options of a format, ended by a NULL name; NULL where it cannot create. */
const ImageOption *image_create_options(const char *format);
bool image_resize(BlockImage *img, uint64_t size, Error *err);

typedef struct ImageCheck {
    bool fix_leaks, fix_errors; /* in */
    uint64_t leaks, corruptions, check_errors, leaks_fixed, corruptions_fixed;
    uint64_t total_clusters, allocated, fragmented, compressed, image_end;
    GString *messages; /* a line per finding; owned by the caller */
} ImageCheck;

/* False (err set) where the check could not be done at all. */
bool image_can_check(const BlockImage *img);
bool image_check(BlockImage *img, ImageCheck *check, Error *err);

typedef struct ImageExtent {
    uint64_t len;
    bool data, zero; /* has a place in a file; reads as zeroes */
    bool present;    /* some layer of the chain decides, not the absence of all */
    bool compressed;
    unsigned depth; /* layers below the top */
    bool has_offset;
    uint64_t offset;      /* in filename */
    const char *filename; /* of the layer */
} ImageExtent;

/* What lies at off: a run of one kind, at most len bytes. */
int image_extent(BlockImage *img, uint64_t off, uint64_t len, ImageExtent *ext);
/* Writes one cluster (or the shorter last one) compressed; -ENOTSUP where the format cannot. */
int image_write_compressed(BlockImage *img, uint64_t off, const void *buf, size_t len);
uint64_t image_cluster_size(const BlockImage *img); /* 0: the format has none */
/* Forgets everything that the top layer holds: the backing file shows through. */
bool image_make_empty(BlockImage *img, Error *err);
/* The disk as snapshot n holds it; inside that snapshot's disk_size (asserted). */
int image_snapshot_read(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len);
/* The backing file's name as stored and its format (NULL: not stored). */
const char *image_backing_format(const BlockImage *img);
char *image_backing_path(const BlockImage *img); /* resolved; owned by the caller; NULL: none */
BlockImage *image_backing(const BlockImage *img);
uint64_t image_allocated_bytes(BlockImage *img); /* on the host's disk */
/* Names and values of the format's own properties, as `info` shows them. */
typedef void ImageProperty(void *opaque, const char *name, const char *value, bool is_text);
void image_properties(const BlockImage *img, ImageProperty *fn, void *opaque);
bool image_is_dirty(const BlockImage *img);
/* Where the n-th snapshot's line is appended as in every listing; n == -1: the heading. */
void image_snapshot_line(const BlockImage *img, int n, GString *out);

/* -- drives of a machine -- */

typedef struct BlockDev BlockDev;

typedef struct BlockStats {
    uint64_t rd_bytes, wr_bytes, rd_ops, wr_ops, flush_ops, rd_ns, wr_ns, flush_ns;
} BlockStats;

typedef struct BlockReq BlockReq;
struct BlockReq {
    enum { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_ZERO, BLOCK_CALL } op;
    uint64_t off; /* bytes */
    void *buf;
    size_t len;
    /* BLOCK_CALL: runs on the worker with the image (NULL without a medium). */
    void (*call)(BlockReq *req, BlockImage *img);
    int ret; /* 0 or a negative errno, once done */
    Error err;
    void (*done)(BlockReq *req); /* on the machine's context; may free the request */
    void *opaque;
    /* private */
    BlockDev *dev;
    bool completed;
    int64_t start_ns;
};

/* A drive from -drive's options (file, format, if, index, media, id, snapshot, readonly, cache,
 * werror, rerror, serial are taken).  no_lock: the machine waits for an incoming migration.
 * Without file: an empty removable drive. */
BlockDev *block_dev_new(GMainContext *ctx, const char *id, Options *opts, bool no_lock, Error *err);
void block_dev_free(BlockDev *bd);

const char *block_dev_id(const BlockDev *bd);
bool block_dev_has_medium(const BlockDev *bd);
bool block_dev_writable(const BlockDev *bd);
bool block_dev_removable(const BlockDev *bd);
void block_dev_set_removable(
    BlockDev *bd, bool removable); /* by the device that it is attached to */
uint64_t block_dev_size(const BlockDev *bd);
const BlockStats *block_dev_stats(const BlockDev *bd);
/* The open image for reading names and snapshot lists while no request is under way, or NULL. */
BlockImage *block_dev_image(BlockDev *bd);

/* Queues a request; req lives until done has run.  Requests of one drive run in order. */
void block_submit(BlockDev *bd, BlockReq *req);
/* Sets a byte of dirty for each chunk that a request writes to, when it is submitted; NULL ends it.
 * Meanwhile the medium stays. */
void block_dev_track(BlockDev *bd, uint8_t *dirty, size_t chunk);
/* Waits until req is complete and runs its done() here and now. */
void block_wait(BlockReq *req);
/* Waits for everything that is queued and runs their done(). */
void block_drain(BlockDev *bd);
/* Runs fn(img, opaque) on the worker and waits: for what is short. */
void block_call_sync(BlockDev *bd, void (*fn)(BlockImage *img, void *opaque), void *opaque);

/* Another medium (file NULL: eject).  Told to the attached device by the media callback. */
bool block_dev_change(
    BlockDev *bd, const char *file, const char *format, bool read_only, Error *err);
typedef struct BlockMediaOps {
    void (*changed)(void *opaque, bool has_medium);
    bool (*locked)(void *opaque); /* the guest holds the tray */
    bool (*tray_open)(void *opaque);
    void (*eject_request)(void *opaque, bool force);
} BlockMediaOps;
void block_dev_attach(BlockDev *bd, const BlockMediaOps *ops, void *opaque);
const BlockMediaOps *block_dev_media_ops(BlockDev *bd, void **opaque);

/* For listings.  Not verbose: appends "FILE (FORMAT[, read-only])", or "[not inserted]" and returns
 * false.  Verbose: appends the "Images:" part of `info block -v`. */
bool block_dev_inserted_info(BlockDev *bd, GString *out, bool verbose);
const char *block_dev_cache_mode(const BlockDev *bd); /* "writeback" ... */
/* An option that the drive was given and that its device obeys ("serial", "werror", "rerror",
 * "media", "if", "index", "bus", "unit"), or NULL. */
const char *block_dev_option(const BlockDev *bd, const char *key);
void block_formats_help(void);
