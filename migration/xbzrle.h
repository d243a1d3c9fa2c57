/* SPDX-License-Identifier: MIT */
/*
 * A page as its difference from what the far side has (XBZRLE, flag 0x40 of the section `ram`):
 * runs of a count of equal bytes, a count of others, and those others; equal bytes at the end are
 * not told.  Counts are little-endian base 128, of two bytes at most.
 */
#pragma once

#include "core/memory.h"

enum { XBZRLE_HEADER = 0x01, XBZRLE_NO_GAIN = -1 };

/* The bytes of dst that turn old into page; 0: they are the same; XBZRLE_NO_GAIN: no fewer than a
 * page. */
int xbzrle_encode(const uint8_t *old, const uint8_t *page, uint8_t dst[PAGE_SIZE]);
/* Changes page; false where the bytes make no sense, with a part of it changed. */
bool xbzrle_decode(uint8_t *page, const uint8_t *src, size_t len);

/* What was sent of some pages, up to a number of bytes. */
typedef struct XbzrleCache XbzrleCache;

/* ram: more than this is never of use. */
XbzrleCache *xbzrle_cache_new(uint64_t bytes, uint64_t ram);
void xbzrle_cache_free(XbzrleCache *c);
/* The content of a page as sent last, to be kept up to date, or NULL. */
uint8_t *xbzrle_cache_find(XbzrleCache *c, const RamBlock *b, uint64_t page, uint64_t round);
/* Keeps a page that is not there yet, unless its place is taken by one that is still in use. */
void xbzrle_cache_add(
    XbzrleCache *c, const RamBlock *b, uint64_t page, uint64_t round, const uint8_t *data);
