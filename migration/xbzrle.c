/* SPDX-License-Identifier: MIT */
/* Differences of pages, and the cache of pages that they are taken from: see xbzrle.h. */
#include "migration/xbzrle.h"

#include <glib.h>
#include <string.h>

enum {
    GAP = 2,        /* equal bytes that cost no less when told as such */
    STAY_ROUNDS = 1 /* a page used in the round before keeps its place */
};

static size_t xbzrle_put_count(uint8_t *dst, size_t n)
{
    if (n < 0x80) {
        dst[0] = (uint8_t)n;
        return 1;
    }
    dst[0] = (uint8_t)(n | 0x80);
    dst[1] = (uint8_t)(n >> 7);
    return 2;
}

static uint64_t xbzrle_word(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* The first byte >= i that differs, or PAGE_SIZE. */
static size_t xbzrle_differs(const uint8_t *a, const uint8_t *b, size_t i)
{
    while (i + 8 <= PAGE_SIZE && xbzrle_word(a + i) == xbzrle_word(b + i)) i += 8;
    while (i < PAGE_SIZE && a[i] == b[i]) i++;
    return i;
}

/* The end of what differs from i on, short gaps taken along. */
static size_t xbzrle_run_end(const uint8_t *a, const uint8_t *b, size_t i)
{
    size_t end = i;

    for (; i < PAGE_SIZE && i - end <= GAP; i++)
        if (a[i] != b[i]) end = i + 1;
    return end;
}

int xbzrle_encode(const uint8_t *old, const uint8_t *page, uint8_t dst[PAGE_SIZE])
{
    size_t at = 0, n = 0;

    for (;;) {
        size_t first = xbzrle_differs(old, page, at), end;

        if (first == PAGE_SIZE) return (int)n;
        end = xbzrle_run_end(old, page, first);
        if (n + 4 + end - first >= PAGE_SIZE) return XBZRLE_NO_GAIN;
        n += xbzrle_put_count(dst + n, first - at);
        n += xbzrle_put_count(dst + n, end - first);
        memcpy(dst + n, page + first, end - first);
        n += end - first;
        at = end;
    }
}

static bool xbzrle_get_count(const uint8_t **src, const uint8_t *end, size_t *n)
{
    if (*src == end) return false;
    *n = *(*src)++;
    if (*n < 0x80) return true;
    if (*src == end || **src & 0x80) return false;
    *n = (*n & 0x7f) | (size_t) * (*src)++ << 7;
    return true;
}

bool xbzrle_decode(uint8_t *page, const uint8_t *src, size_t len)
{
    const uint8_t *end = src + len, *begin = src;
    size_t at = 0;

    while (src < end) {
        bool first = src == begin;
        size_t equal, other;

        if (!xbzrle_get_count(&src, end, &equal) || (!equal && !first)) return false;
        if (!xbzrle_get_count(&src, end, &other) || !other) return false;
        if (equal > PAGE_SIZE - at || other > PAGE_SIZE - at - equal) return false;
        if (other > (size_t)(end - src)) return false;
        memcpy(page + at + equal, src, other);
        at += equal + other;
        src += other;
    }
    return true;
}

typedef struct XbzrlePage {
    const RamBlock *block;
    uint64_t page, round; /* round: when it was used last */
    uint8_t *data;
} XbzrlePage;

struct XbzrleCache {
    uint64_t places; /* a power of two */
    XbzrlePage place[];
};

XbzrleCache *xbzrle_cache_new(uint64_t bytes, uint64_t ram)
{
    uint64_t places = 1;
    XbzrleCache *c;

    while (places * 2 <= bytes / PAGE_SIZE && places < ram / PAGE_SIZE) places *= 2;
    c = g_malloc0(sizeof(*c) + places * sizeof(c->place[0]));
    c->places = places;
    return c;
}

void xbzrle_cache_free(XbzrleCache *c)
{
    if (!c) return;
    for (uint64_t i = 0; i < c->places; i++) g_free(c->place[i].data);
    g_free(c);
}

static XbzrlePage *xbzrle_place(XbzrleCache *c, const RamBlock *b, uint64_t page)
{
    return &c->place[(page + g_str_hash(b->idstr)) & (c->places - 1)];
}

uint8_t *xbzrle_cache_find(XbzrleCache *c, const RamBlock *b, uint64_t page, uint64_t round)
{
    XbzrlePage *p = xbzrle_place(c, b, page);

    if (!p->data || p->block != b || p->page != page) return NULL;
    p->round = round;
    return p->data;
}

void xbzrle_cache_add(
    XbzrleCache *c, const RamBlock *b, uint64_t page, uint64_t round, const uint8_t *data)
{
    XbzrlePage *p = xbzrle_place(c, b, page);

    if (p->data && p->round + STAY_ROUNDS >= round) return;
    if (!p->data) p->data = g_try_malloc(PAGE_SIZE);
    if (!p->data) return;
    p->block = b;
    p->page = page;
    p->round = round;
    memcpy(p->data, data, PAGE_SIZE);
}
