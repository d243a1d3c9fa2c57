/* SPDX-License-Identifier: MIT */
/*
 * Work for SSE2: a program without a library that a guest runs, and the host for comparison.  It
 * computes with packed and scalar numbers of all sizes and writes a hash of everything.
 */
typedef double F64x2 __attribute__((vector_size(16)));
typedef float F32x4 __attribute__((vector_size(16)));
typedef unsigned U32x4 __attribute__((vector_size(16)));
typedef unsigned short U16x8 __attribute__((vector_size(16)));

enum { BODIES = 5, SIZE = 24, ROUNDS = 800 };

typedef struct Work {
    U32x4 hash;
    double at[BODIES][3], speed[BODIES][3];
    float a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];
} Work;

static void mix(Work *w, const void *p, unsigned n)
{
    const U32x4 prime = { 16777619, 16777619, 16777619, 16777619 };

    for (unsigned i = 0; i < n; i += 16) {
        U32x4 v;

        __builtin_memcpy(&v, (const char *)p + i, 16);
        w->hash = (w->hash ^ v) * prime;
        w->hash = w->hash << 13 | w->hash >> 19;
    }
}

/* Bodies that attract one another: double precision, division, square root. */
static void bodies(Work *w)
{
    for (unsigned i = 0; i < BODIES; i++) {
        for (unsigned k = 0; k < BODIES; k++) {
            double d[3], r2 = 0.01, r, f;

            for (unsigned x = 0; x < 3; x++) {
                d[x] = w->at[k][x] - w->at[i][x];
                r2 += d[x] * d[x];
            }
            __asm__("sqrtsd %1, %0" : "=x"(r) : "x"(r2));
            f = 0.001 / (r2 * r);
            for (unsigned x = 0; x < 3; x++) w->speed[i][x] += d[x] * f;
        }
    }
    for (unsigned i = 0; i < BODIES; i++) {
        for (unsigned x = 0; x < 3; x++) w->at[i][x] += w->speed[i][x] * 0.01;
    }
    mix(w, w->at, sizeof(w->at) & ~15u);
}

/* Matrices of single precision. */
static void matrices(Work *w)
{
    for (unsigned i = 0; i < SIZE; i++) {
        for (unsigned k = 0; k < SIZE; k += 4) {
            F32x4 sum = { 0, 0, 0, 0 }, v;

            for (unsigned x = 0; x < SIZE; x++) {
                __builtin_memcpy(&v, &w->b[x][k], 16);
                sum += v * w->a[i][x];
            }
            sum = sum / (float)SIZE + 0.125f;
            __builtin_memcpy(&w->c[i][k], &sum, 16);
        }
    }
    __builtin_memcpy(w->a, w->b, sizeof(w->a));
    __builtin_memcpy(w->b, w->c, sizeof(w->b));
    mix(w, w->c, sizeof(w->c));
}

/* Small whole numbers, conversions. */
static void numbers(Work *w, unsigned round)
{
    U16x8 v = { 1, 2, 3, 4, 5, 6, 7, 8 };
    F64x2 d = { 0.5, -1.5 };

    for (unsigned i = 0; i < 64; i++) {
        v = v * (U16x8){ 3, 5, 7, 11, 13, 17, 19, 23 } + (unsigned short)(round + i);
        v ^= v >> 3;
        d = d * 1.0009765625 + (double)(int)(v[i & 7] - 30000);
        w->hash[i & 3] += (unsigned)(int)d[0] + (unsigned)(int)(float)d[1];
        if (d[0] > 1e6 || d[0] < -1e6) d[0] /= 4096;
        if (d[1] > 1e6 || d[1] < -1e6) d[1] /= 4096;
    }
    mix(w, &v, 16);
}

static unsigned work(unsigned rounds)
{
    static Work w;

    for (unsigned i = 0; i < BODIES * 3; i++) w.at[i / 3][i % 3] = 0.37 * i - i * i * 0.031;
    for (unsigned i = 0; i < SIZE * SIZE; i++) {
        w.a[i / SIZE][i % SIZE] = (float)(i % 17) / 7;
        w.b[i / SIZE][i % SIZE] = (float)(i % 13) / 5 - 1;
    }
    for (unsigned i = 0; i < rounds; i++) {
        bodies(&w);
        matrices(&w);
        numbers(&w, i);
    }
    return w.hash[0] ^ w.hash[1] * 3 ^ w.hash[2] * 5 ^ w.hash[3] * 7;
}

#ifdef __i386__

static void say(const char *text, unsigned n)
{
    int r;

    __asm__ volatile("int $0x80" : "=a"(r) : "0"(4), "b"(1), "c"(text), "d"(n) : "memory");
}

static void say_hash(unsigned h)
{
    char text[] = "hash 00000000\n";

    for (unsigned i = 0; i < 8; i++) text[5 + i] = "0123456789abcdef"[h >> (28 - 4 * i) & 15];
    say(text, sizeof(text) - 1);
}

/* Several processes at once, so that the kernel saves and restores registers between them. */
__attribute__((force_align_arg_pointer, used)) void _start(void)
{
    int r;

    say("at work\n", 8);
    for (unsigned i = 0; i < 2; i++) __asm__ volatile("int $0x80" : "=a"(r) : "0"(2) : "memory");
    say_hash(work(ROUNDS));
    __asm__ volatile("int $0x80" : : "a"(1), "b"(0));
    __builtin_unreachable();
}

#else

#include <stdio.h>

int main(void)
{
    printf("hash %08x\n", work(ROUNDS));
    return 0;
}

#endif
