/* SPDX-License-Identifier: MIT */
/*
 * Work for a guest, with results that are the same wherever they are right: processes that fork
 * and execute one another, integers, big numbers, SHA-256, x87 and SSE.  `stress ROUNDS` prints a
 * line a round and kind; what it prints on the host is what it has to print in the guest.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 12, LIMBS = 16, SIDE = 24 };

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len--) h = (h ^ *p++) * 0x100000001b3;
    return h;
}

/* -- processes -- */

/* A child is this program once more: its share of the sum comes through a pipe. */
static int child(const char *text)
{
    uint64_t x = strtoull(text, NULL, 10) + 1;

    for (unsigned i = 0; i < 2000; i++) next(&x);
    return write(1, &x, sizeof(x)) != sizeof(x);
}

static uint64_t storm(const char *self, unsigned round)
{
    uint64_t sum = 0, got;
    int fds[2], status;

    if (pipe(fds)) exit(1);
    for (unsigned i = 0; i < CHILDREN; i++) {
        char text[32];

        snprintf(text, sizeof(text), "%u", round * 100 + i);
        if (fork()) continue;
        dup2(fds[1], 1);
        close(fds[0]);
        execl(self, self, "child", text, (char *)NULL);
        _exit(1);
    }
    close(fds[1]);
    while (read(fds[0], &got, sizeof(got)) == sizeof(got)) sum += got;
    close(fds[0]);
    while (wait(&status) > 0) {
        if (status) sum = 0;
    }
    return sum;
}

/* -- big numbers: x^e modulo m by Montgomery's method, as RSA does -- */

static void mont(uint64_t *r, const uint64_t *a, const uint64_t *b, const uint64_t *m, uint64_t inv)
{
    uint64_t t[LIMBS + 2] = { 0 };

    for (unsigned i = 0; i < LIMBS; i++) {
        unsigned __int128 c = 0;
        uint64_t q;

        for (unsigned j = 0; j < LIMBS; j++, c >>= 64) {
            c += (unsigned __int128)a[j] * b[i] + t[j];
            t[j] = (uint64_t)c;
        }
        c += t[LIMBS];
        t[LIMBS] = (uint64_t)c;
        t[LIMBS + 1] = (uint64_t)(c >> 64);
        q = t[0] * inv;
        c = ((unsigned __int128)q * m[0] + t[0]) >> 64;
        for (unsigned j = 1; j < LIMBS; j++, c >>= 64) {
            c += (unsigned __int128)q * m[j] + t[j];
            t[j - 1] = (uint64_t)c;
        }
        c += t[LIMBS];
        t[LIMBS - 1] = (uint64_t)c;
        t[LIMBS] = t[LIMBS + 1] + (uint64_t)(c >> 64);
    }
    memcpy(r, t, LIMBS * 8);
}

static uint64_t big(unsigned round)
{
    uint64_t x = round + 77, m[LIMBS], a[LIMBS], r[LIMBS], inv = 1;

    for (unsigned i = 0; i < LIMBS; i++) {
        m[i] = next(&x);
        a[i] = next(&x);
    }
    m[0] |= 1;
    m[LIMBS - 1] >>= 1; /* room for what is not reduced */
    a[LIMBS - 1] >>= 2;
    for (unsigned i = 0; i < 6; i++) inv *= 2 - m[0] * inv;
    memcpy(r, a, sizeof(r));
    for (unsigned bit = 0; bit < 256; bit++) {
        mont(r, r, r, m, -inv);
        if (x >> (bit & 63) & 1) mont(r, r, a, m, -inv);
    }
    return mix(0, r, sizeof(r));
}

/* -- SHA-256, the constants reckoned from the primes' roots: exact in the x87's long double -- */

static uint32_t root_bits(unsigned prime, int cube)
{
    long double r = cube ? cbrtl(prime) : sqrtl(prime);

    return (uint32_t)((r - floorl(r)) * 4294967296.0L);
}

static uint32_t ror(uint32_t v, unsigned n) { return v >> n | v << (32 - n); }

static void sha_block(uint32_t *h, const uint8_t *p, const uint32_t *k)
{
    uint32_t w[64], s[8];

    for (unsigned i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) +
               (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
    }
    memcpy(s, h, sizeof(s));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
                      ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) h[i] += s[i];
}

static uint64_t sha(unsigned round)
{
    uint32_t k[64], h[8];
    uint8_t block[64];
    unsigned n = 0;

    for (unsigned p = 2; n < 64; p++) {
        unsigned d = 2;

        while (d * d <= p && p % d) d++;
        if (d * d <= p) continue;
        if (n < 8) h[n] = root_bits(p, 0);
        k[n++] = root_bits(p, 1);
    }
    memset(block, (int)round, sizeof(block));
    for (unsigned i = 0; i < 300; i++) {
        sha_block(h, block, k);
        memcpy(block, h, sizeof(h));
    }
    return mix(0, h, sizeof(h));
}

/* -- floating point: a matrix by elimination in double (SSE), series in long double (x87) -- */

static uint64_t matrix(unsigned round)
{
    static double a[SIDE][SIDE];
    uint64_t x = round + 5;

    for (unsigned i = 0; i < SIDE * SIDE; i++)
        a[i / SIDE][i % SIDE] = (double)(int64_t)next(&x) / 1e17;
    for (unsigned p = 0; p < SIDE; p++) {
        for (unsigned i = p + 1; i < SIDE; i++) {
            double f = a[i][p] / a[p][p];

            for (unsigned j = p; j < SIDE; j++) a[i][j] -= f * a[p][j];
        }
    }
    return mix(0, a, sizeof(a));
}

static uint64_t series(unsigned round)
{
    long double sum = 0, term = 1, x = 1.0L / (round + 2);
    uint64_t h = 0;

    for (unsigned i = 1; i < 400; i++) {
        term *= x / i + 0.75L;
        sum += sqrtl(term) - term / (i + x);
        h = mix(h, &sum, 10);
    }
    return h;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 1;

    if (argc > 2) return child(argv[2]);
    for (unsigned r = 0; r < rounds; r++) {
        printf("%u storm %016llx\n", r, (unsigned long long)storm(argv[0], r));
        printf("%u big %016llx\n", r, (unsigned long long)big(r));
        printf("%u sha %016llx\n", r, (unsigned long long)sha(r));
        printf("%u matrix %016llx\n", r, (unsigned long long)matrix(r));
        printf("%u series %016llx\n", r, (unsigned long long)series(r));
        fflush(stdout);
    }
    return 0;
}
