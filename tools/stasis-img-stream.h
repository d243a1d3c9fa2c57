/* SPDX-License-Identifier: MIT */
/*
 * A machine's stream taken apart, without a machine: framing, RAM's records and those of disks are
 * known, every device comes out by the description behind the stream, or by that of another stream.
 * Without any a device is so many bytes, up to its footer.
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "util/stream.h"

enum { STREAM_PAGE = 4096 };

/* A block of RAM, or a disk: the pages that the stream has for it. */
typedef struct StreamBlock {
    char *name;
    uint64_t size;     /* a disk's is not in the stream: up to the last page that is */
    GHashTable *pages; /* offset (uint64_t *) -> const uint8_t *, 4096 bytes */
} StreamBlock;

typedef struct StreamFile {
    Stream st;         /* over the bytes, which are the caller's */
    json_t *desc;      /* the description, or NULL */
    size_t desc_at;    /* where its mark stands, or the stream's end */
    json_t *out;       /* all but RAM, as `dump` prints it */
    GPtrArray *blocks; /* StreamBlock */
    GPtrArray *disks;  /* StreamBlock */
    StreamBlock *last; /* the block of the record before */
    GPtrArray *owned;  /* pages that are not the bytes themselves */
    GHashTable *ids;   /* section id -> name */
    size_t next;       /* the description's next device */
    unsigned depth;    /* packages within packages */
} StreamFile;

/* Parses it whole; NULL and an error where it is none, or its description does not fit it.  like:
 * the description of another stream, for one that has none; may be NULL. */
StreamFile *stream_file_parse(const uint8_t *data, size_t size, const json_t *like, Error *err);
void stream_file_free(StreamFile *f);
/* The description behind a stream, a new reference, and where its mark stands; NULL: none. */
json_t *stream_file_description(const uint8_t *data, size_t size, size_t *at);
/* Offsets of a block's pages in order, as uint64_t. */
GArray *stream_block_offsets(const StreamBlock *b);

/* stasis-img-stream-ram.c: the records of a START, PART or END, of RAM and of disks. */
bool stream_file_ram(StreamFile *f);
bool stream_file_disks(StreamFile *f);
/* The block of a list that has this name, or NULL. */
StreamBlock *stream_block_find(const GPtrArray *list, const char *name);
/* stasis-img-stream-device.c: a table's fields and subsections, as described; NULL: st.err. */
json_t *stream_file_table(Stream *st, const json_t *desc);
