/* SPDX-License-Identifier: MIT */
/*
 * A byte stream with a sticky error, big-endian integers and no blocking.
 *
 * Writing appends to a growing memory buffer, which its owner drains to wherever the bytes go.
 * Reading consumes bytes that have been fed.  After the first failure reads give 0 and writes do
 * nothing: check once, at the end of a section.  A read beyond what has been fed sets `starved`:
 * the reader goes back with stream_rewind and tries again when more has come, or fails the stream
 * where nothing more will come.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

typedef struct Stream {
    uint8_t *data;   /* owned */
    size_t size;     /* bytes in data */
    size_t capacity; /* bytes allocated */
    size_t pos;      /* next byte to read */
    uint64_t
        offset;   /* bytes discarded in front of data, so offset + pos is the stream's position */
    bool eof;     /* nothing more will be fed: a look ahead that finds nothing is an answer */
    bool starved; /* a read went beyond the end; sticky until stream_rewind */
    Error err;    /* the first failure */
} Stream;

void stream_init(Stream *s);
void stream_free(Stream *s);

/* True while neither starved nor failed. */
static inline bool stream_ok(const Stream *s) { return !s->starved && !s->err.msg[0]; }

/* Records the first failure; returns false. */
bool stream_fail(Stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writing. */
void stream_put(Stream *s, const void *buf, size_t len);
/* Room for len bytes at the end, and how many of them were put there: as stream_put, for whoever
 * has the bytes not yet.  Sticky errors hold nothing back. */
uint8_t *stream_room(Stream *s, size_t len);
void stream_filled(Stream *s, size_t len);
void stream_put_u8(Stream *s, uint8_t v);
void stream_put_be16(Stream *s, uint16_t v);
void stream_put_be32(Stream *s, uint32_t v);
void stream_put_be64(Stream *s, uint64_t v);
/* A byte of length and the text without its NUL; the text is at most 255 bytes (asserted). */
void stream_put_str8(Stream *s, const char *str);

/* Reading. */
void stream_get(Stream *s, void *buf, size_t len); /* zeroes buf on failure */
void stream_skip(Stream *s, size_t len);
uint8_t stream_get_u8(Stream *s);
uint16_t stream_get_be16(Stream *s);
uint32_t stream_get_be32(Stream *s);
uint64_t stream_get_be64(Stream *s);
/* Counterpart of stream_put_str8: fills buf with at most 255 bytes and a NUL. */
void stream_get_str8(Stream *s, char buf[256]);
/* Looks at the byte `ahead` bytes on without consuming it: -1 where it has not come. */
int stream_peek(const Stream *s, size_t ahead);

/* Bytes fed and not yet read. */
static inline size_t stream_left(const Stream *s) { return s->size - s->pos; }

/* Goes back to a position remembered from s->pos and forgets `starved`. */
void stream_rewind(Stream *s, size_t pos);

/* Drops the first n bytes of data (read, or drained by the owner). */
void stream_discard(Stream *s, size_t n);
