/* SPDX-License-Identifier: MIT */
/* Byte streams with a sticky error: see stream.h. */
#include "util/stream.h"

#include <assert.h>
#include <glib.h>
#include <stdarg.h>
#include <string.h>

#include "util/bits.h"

void stream_init(Stream *s) { *s = (Stream){ 0 }; }

void stream_free(Stream *s)
{
    g_free(s->data);
    stream_init(s);
}

bool stream_fail(Stream *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_vset(&s->err, fmt, ap);
    va_end(ap);
    return false;
}

uint8_t *stream_room(Stream *s, size_t len)
{
    if (s->capacity - s->size < len) {
        s->capacity = MAX_OF(s->capacity * 2, s->size + len + 4096);
        s->data = g_realloc(s->data, s->capacity);
    }
    return s->data + s->size;
}

void stream_filled(Stream *s, size_t len)
{
    assert(len <= s->capacity - s->size);
    s->size += len;
}

void stream_put(Stream *s, const void *buf, size_t len)
{
    if (!stream_ok(s) || !len) return;
    memcpy(stream_room(s, len), buf, len);
    stream_filled(s, len);
}

void stream_put_u8(Stream *s, uint8_t v) { stream_put(s, &v, 1); }

void stream_put_be16(Stream *s, uint16_t v)
{
    uint8_t b[2];

    store_be16(b, v);
    stream_put(s, b, sizeof(b));
}

void stream_put_be32(Stream *s, uint32_t v)
{
    uint8_t b[4];

    store_be32(b, v);
    stream_put(s, b, sizeof(b));
}

void stream_put_be64(Stream *s, uint64_t v)
{
    uint8_t b[8];

    store_be64(b, v);
    stream_put(s, b, sizeof(b));
}

void stream_put_str8(Stream *s, const char *str)
{
    size_t len = strlen(str);

    assert(len <= 255);
    stream_put_u8(s, (uint8_t)len);
    stream_put(s, str, len);
}

/* The next len bytes, or NULL (and starved) where they have not come. */
static const uint8_t *stream_take(Stream *s, size_t len)
{
    const uint8_t *p = s->data + s->pos;

    if (!stream_ok(s)) return NULL;
    if (stream_left(s) < len) {
        s->starved = true;
        return NULL;
    }
    s->pos += len;
    return p;
}

void stream_get(Stream *s, void *buf, size_t len)
{
    const uint8_t *p = len ? stream_take(s, len) : NULL;

    if (p)
        memcpy(buf, p, len);
    else if (len)
        memset(buf, 0, len);
}

void stream_skip(Stream *s, size_t len) { stream_take(s, len); }

uint8_t stream_get_u8(Stream *s)
{
    const uint8_t *p = stream_take(s, 1);

    return p ? *p : 0;
}

uint16_t stream_get_be16(Stream *s)
{
    const uint8_t *p = stream_take(s, 2);

    return p ? load_be16(p) : 0;
}

uint32_t stream_get_be32(Stream *s)
{
    const uint8_t *p = stream_take(s, 4);

    return p ? load_be32(p) : 0;
}

uint64_t stream_get_be64(Stream *s)
{
    const uint8_t *p = stream_take(s, 8);

    return p ? load_be64(p) : 0;
}

void stream_get_str8(Stream *s, char buf[256])
{
    uint8_t len = stream_get_u8(s);

    stream_get(s, buf, len);
    buf[len] = 0;
}

int stream_peek(const Stream *s, size_t ahead)
{
    return stream_left(s) > ahead ? s->data[s->pos + ahead] : -1;
}

void stream_rewind(Stream *s, size_t pos)
{
    assert(pos <= s->size);
    s->pos = pos;
    s->starved = false;
}

void stream_discard(Stream *s, size_t n)
{
    assert(n <= s->size);
    if (n && n < s->size) memmove(s->data, s->data + n, s->size - n);
    s->size -= n;
    s->pos -= MIN_OF(s->pos, n);
    s->offset += n;
}
