/* SPDX-License-Identifier: MIT */
/*
 * Inside the block layer: what a protocol and a format are.
 *
 * A BlockFile is bytes with a length (a host file, or a test's fault injector over one).  A format
 * gives a BlockImage over a BlockFile, and over the image's backing file where there is one.  Both
 * kinds announce themselves: one file per format or protocol, no list.
 */
#pragma once

#include <assert.h>

#include "block/block.h"
#include "util/bits.h"

typedef struct BlockFile BlockFile;

typedef struct FileDriver {
    const char *name; /* the prefix "name:"; "file" is what a plain path gets */
    bool (*open)(BlockFile *f, const char *path, bool create, Error *err);
    void (*close)(BlockFile *f);
    int (*read)(BlockFile *f, uint64_t off, void *buf, size_t len); /* zeroes behind the end */
    int (*write)(BlockFile *f, uint64_t off, const void *buf, size_t len);
    int (*punch)(BlockFile *f, uint64_t off, uint64_t len); /* reads as zeroes, space given back */
    int (*reserve)(BlockFile *f, uint64_t off, uint64_t len); /* later writes find space */
    int (*truncate)(BlockFile *f, uint64_t len);
    int (*flush)(BlockFile *f);
    int64_t (*length)(BlockFile *f);
    int64_t (*allocated)(BlockFile *f);
    /* Whether off holds data; *len is cut to the run of one kind. */
    bool (*has_data)(BlockFile *f, uint64_t off, uint64_t *len);
    bool (*lock)(BlockFile *f, Error *err); /* as writer or reader */
    void (*unlock)(BlockFile *f);
} FileDriver;

struct BlockFile {
    const FileDriver *drv;
    char *path; /* behind the prefix */
    bool writable, unsafe, locked;
    int fd;
    void *opaque; /* the driver's */
};

#define BLOCK_PROTOCOL(drv) SET_ADD(block_protocols, drv)
#define BLOCK_FORMAT(fmt) SET_ADD(block_formats, fmt)
SET_DECLARE(block_protocols);
SET_DECLARE(block_formats);

/* flags: IMAGE_WRITABLE, IMAGE_NO_LOCK, IMAGE_UNSAFE. */
BlockFile *file_open(const char *name, int flags, bool create, Error *err);
void file_close(BlockFile *f);
static inline int file_read(BlockFile *f, uint64_t off, void *buf, size_t len)
{
    return f->drv->read(f, off, buf, len);
}
static inline int file_write(BlockFile *f, uint64_t off, const void *buf, size_t len)
{
    return f->drv->write(f, off, buf, len);
}
int file_write_zeroes(BlockFile *f, uint64_t off, uint64_t len);
int file_flush(BlockFile *f); /* nothing where unsafe */
int file_reserve(BlockFile *f, uint64_t off, uint64_t len);
bool file_lock(BlockFile *f, Error *err);
void file_unlock(BlockFile *f);
/* True where name starts with "word:" as a protocol does. */
bool file_has_protocol(const char *name);

typedef enum SnapshotGo {
    SNAPSHOT_CHECK,        /* changes nothing */
    SNAPSHOT_GO,           /* for good */
    SNAPSHOT_GO_REVOCABLY, /* until keep or back */
} SnapshotGo;

typedef struct ImageSnapshotOps {
    unsigned (*count)(const BlockImage *img);
    const SnapshotInfo *(*get)(const BlockImage *img, unsigned n);
    bool (*create)(BlockImage *img, SnapshotInfo *info, Error *err);
    bool (*go)(BlockImage *img, unsigned n, SnapshotGo how, Error *err);
    void (*keep)(BlockImage *img);
    bool (*back)(BlockImage *img, Error *err);
    bool (*del)(BlockImage *img, unsigned n, Error *err);
    bool (*is_active)(BlockImage *img, unsigned n, bool *same, Error *err);
    int (*read)(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len); /* its disk */
    int (*vmstate_write)(BlockImage *img, uint64_t off, const void *buf, size_t len);
    int (*vmstate_read)(BlockImage *img, unsigned n, uint64_t off, void *buf, size_t len);
    bool (*vmstate_discard)(BlockImage *img, Error *err);
} ImageSnapshotOps;

typedef struct ImageFormat {
    const char *name;
    int (*probe)(const uint8_t *head, size_t len); /* 0: not mine; the highest wins */
    bool (*open)(BlockImage *img, Error *err);     /* sets img->size and backing_name */
    void (*close)(BlockImage *img);
    int (*read)(BlockImage *img, uint64_t off, void *buf, size_t len);
    int (*write)(BlockImage *img, uint64_t off, const void *buf, size_t len);
    int (*zero)(BlockImage *img, uint64_t off, uint64_t len);
    int (*flush)(BlockImage *img);
    /* This layer alone: ext->present says whether it decides. */
    int (*extent)(BlockImage *img, uint64_t off, uint64_t len, ImageExtent *ext);
    bool (*reload)(BlockImage *img, Error *err); /* the file was changed by another */
    bool (*check)(BlockImage *img, ImageCheck *check, Error *err);
    bool (*resize)(BlockImage *img, uint64_t size, Error *err);
    bool (*make_empty)(BlockImage *img, Error *err);
    bool (*create)(const char *filename, uint64_t size, Options *opts, Error *err);
    const ImageOption *create_options;
    int (*write_compressed)(BlockImage *img, uint64_t off, const void *buf, size_t len);
    void (*properties)(const BlockImage *img, ImageProperty *fn, void *opaque);
    bool (*is_dirty)(const BlockImage *img);
    const ImageSnapshotOps *snapshots; /* NULL: none */
} ImageFormat;

struct BlockImage {
    const ImageFormat *fmt;
    BlockFile *file;
    char *filename;
    int flags;
    bool writable;    /* opened so; an inactive image keeps it */
    bool inactive;    /* between image_inactivate and image_activate: no writes */
    bool guessed_raw; /* probed as raw: the guest must not make another format of it */
    uint64_t size;    /* bytes; set by the format */
    uint64_t cluster_size;
    char *backing_name, *backing_format; /* as stored in the image; set by the format */
    BlockImage *backing;
    void *opaque; /* the format's */
};

/* Reads what the layer below holds at off; zeroes where it ends or is missing. */
int image_read_below(BlockImage *img, uint64_t off, void *buf, size_t len);
const ImageFormat *image_format_find(const char *name);
/* Opens name as protocol file for a format's create(): empties an existing one. */
BlockFile *image_create_file(const char *filename, Error *err);
