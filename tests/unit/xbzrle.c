/* SPDX-License-Identifier: MIT */
/* Differences of pages: what is encoded is decoded, what makes no sense is refused, and the cache
 * keeps what is in use. */
#include "migration/xbzrle.h"

#include <glib.h>
#include <string.h>

#include "util/bits.h"

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)g_test_rand_int();
}

static void assert_round_trip(const uint8_t *old, const uint8_t *page)
{
    uint8_t diff[PAGE_SIZE], got[PAGE_SIZE];
    int n = xbzrle_encode(old, page, diff);

    if (n == XBZRLE_NO_GAIN) return;
    g_assert_cmpint(n, <, PAGE_SIZE);
    memcpy(got, old, PAGE_SIZE);
    g_assert_true(xbzrle_decode(got, diff, (size_t)n));
    g_assert_cmpmem(got, PAGE_SIZE, page, PAGE_SIZE);
}

static void test_random(void)
{
    uint8_t old[PAGE_SIZE], page[PAGE_SIZE];

    for (int turn = 0; turn < 1500; turn++) {
        int spots = g_test_rand_int_range(0, 40), longest = 1 << g_test_rand_int_range(0, 12);

        fill(old, sizeof(old));
        memcpy(page, old, sizeof(page));
        for (int i = 0; i < spots; i++) {
            int at = g_test_rand_int_range(0, PAGE_SIZE);
            int len = g_test_rand_int_range(1, longest + 1);

            fill(page + at, (size_t)MIN_OF(len, PAGE_SIZE - at));
        }
        assert_round_trip(old, page);
    }
}

static void test_ends(void)
{
    uint8_t old[PAGE_SIZE] = { 0 }, page[PAGE_SIZE] = { 0 }, diff[PAGE_SIZE];

    g_assert_cmpint(xbzrle_encode(old, page, diff), ==, 0);
    page[0] = 1;
    g_assert_cmpint(xbzrle_encode(old, page, diff), ==, 3);
    g_assert_cmpmem(diff, 3, "\0\1\1", 3);
    page[0] = 0;
    page[PAGE_SIZE - 1] = 7;
    g_assert_cmpint(xbzrle_encode(old, page, diff), ==, 4);
    g_assert_cmpmem(diff, 4, "\xff\x1f\1\7", 4);
    assert_round_trip(old, page);
    fill(page, sizeof(page));
    g_assert_cmpint(xbzrle_encode(old, page, diff), ==, XBZRLE_NO_GAIN);
}

static void refuse(const char *bytes, size_t len)
{
    uint8_t page[PAGE_SIZE] = { 0 };

    g_assert_false(xbzrle_decode(page, (const uint8_t *)bytes, len));
}

static void test_nonsense(void)
{
    uint8_t page[PAGE_SIZE] = { 0 };

    refuse("\1", 1);            /* no second count */
    refuse("\1\0", 2);          /* of nothing */
    refuse("\0\2x", 3);         /* fewer bytes than counted */
    refuse("\0\1x\0\1x", 6);    /* equal bytes: none, in the middle */
    refuse("\xff\x1f\2xx", 5);  /* beyond the page */
    refuse("\x80\x20\1x", 4);   /* all of it equal, and one more */
    refuse("\x80", 1);          /* half a count */
    refuse("\x80\x80\1\1x", 5); /* a count of three bytes */
    g_assert_true(xbzrle_decode(page, (const uint8_t *)"", 0));
    for (int turn = 0; turn < 15000; turn++) {
        uint8_t noise[64];
        size_t n = (size_t)g_test_rand_int_range(0, sizeof(noise));

        fill(noise, n);
        xbzrle_decode(page, noise, n);
    }
}

static void test_cache(void)
{
    static RamBlock a = { .idstr = "a" }, b = { .idstr = "b" };
    uint8_t page[PAGE_SIZE] = { 5 };
    XbzrleCache *c = xbzrle_cache_new(4 * PAGE_SIZE, 1 << 20);

    g_assert_null(xbzrle_cache_find(c, &a, 1, 2));
    xbzrle_cache_add(c, &a, 1, 2, page);
    g_assert_cmpmem(xbzrle_cache_find(c, &a, 1, 2), PAGE_SIZE, page, PAGE_SIZE);
    g_assert_null(xbzrle_cache_find(c, &b, 1, 2));
    g_assert_null(xbzrle_cache_find(c, &a, 5, 2));
    xbzrle_cache_add(c, &a, 5, 3, page); /* the same place: taken */
    g_assert_null(xbzrle_cache_find(c, &a, 5, 3));
    xbzrle_cache_add(c, &a, 5, 4, page); /* page 1 was not used in round 3 */
    g_assert_nonnull(xbzrle_cache_find(c, &a, 5, 4));
    g_assert_null(xbzrle_cache_find(c, &a, 1, 4));
    xbzrle_cache_free(c);
    c = xbzrle_cache_new(UINT64_C(1) << 60, 1 << 20); /* no more than RAM can use */
    xbzrle_cache_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/xbzrle/random", test_random);
    g_test_add_func("/xbzrle/ends", test_ends);
    g_test_add_func("/xbzrle/nonsense", test_nonsense);
    g_test_add_func("/xbzrle/cache", test_cache);
    return g_test_run();
}
