/* SPDX-License-Identifier: MIT */
/* Bits, bytes and byte order. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

enum { KiB = 1024, MiB = 1024 * 1024 };
#define GiB (1024ull * 1024 * 1024)
#define NS_PER_S ((int64_t)1000000000)
#define NS_PER_MS ((int64_t)1000000)
#define NS_PER_US ((int64_t)1000)

static inline uint64_t align_up(uint64_t v, uint64_t to) { return (v + to - 1) / to * to; }
static inline uint64_t align_down(uint64_t v, uint64_t to) { return v / to * to; }
static inline bool is_pow2(uint64_t v) { return v && !(v & (v - 1)); }

/* a * b / c with a 128-bit product: rates and clocks. */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

/* Unaligned loads and stores, little endian (guest order) and big endian (the stream, qcow2). */
#define BITS_ACCESSORS(bits)                                                                       \
    static inline uint##bits##_t load_le##bits(const void *p)                                      \
    {                                                                                              \
        const uint8_t *b = p;                                                                      \
        uint##bits##_t v = 0;                                                                      \
        for (unsigned i = 0; i < bits / 8; i++) v |= (uint##bits##_t)b[i] << (8 * i);              \
        return v;                                                                                  \
    }                                                                                              \
    static inline void store_le##bits(void *p, uint##bits##_t v)                                   \
    {                                                                                              \
        uint8_t *b = p;                                                                            \
        for (unsigned i = 0; i < bits / 8; i++) b[i] = (uint8_t)(v >> (8 * i));                    \
    }                                                                                              \
    static inline uint##bits##_t load_be##bits(const void *p)                                      \
    {                                                                                              \
        const uint8_t *b = p;                                                                      \
        uint##bits##_t v = 0;                                                                      \
        for (unsigned i = 0; i < bits / 8; i++) v = (uint##bits##_t)(v << 8 | b[i]);               \
        return v;                                                                                  \
    }                                                                                              \
    static inline void store_be##bits(void *p, uint##bits##_t v)                                   \
    {                                                                                              \
        uint8_t *b = p;                                                                            \
        for (unsigned i = 0; i < bits / 8; i++) b[i] = (uint8_t)(v >> (bits - 8 - 8 * i));         \
    }
BITS_ACCESSORS(16)
BITS_ACCESSORS(32)
BITS_ACCESSORS(64)
#undef BITS_ACCESSORS

/* The n-th byte (0 is the low one) of a 16-bit register that a chip shows byte by byte. */
static inline uint8_t get_byte16(uint16_t v, unsigned n) { return (uint8_t)(v >> (8 * n)); }

static inline void set_byte16(uint16_t *v, unsigned n, uint32_t byte)
{
    *v = (uint16_t)((*v & ~(0xffu << (8 * n))) | (byte & 0xff) << (8 * n));
}
