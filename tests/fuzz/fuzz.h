/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers share: numbered cases, each a function of its number alone, in children that may
 * die of one; an alarm that ends what takes longer than a second, a limit to memory; mutations of
 * bytes.
 *
 * FUZZ_CASES sets how many, FUZZ_FIRST the number of the first (to see one again: its number, and
 * FUZZ_CASES=1).
 */
#pragma once

#include <glib.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FUZZ_BATCH = 1000,
    FUZZ_REPORT = 100 * FUZZ_BATCH,
    FUZZ_BAD_MAX = 5,
    FUZZ_PEAK = 256 << 20, /* of memory, beyond what the child begins with */
    FUZZ_WAIT_S = 120,     /* of a case that waits, not works */
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_UNDEFINED__)
enum { FUZZ_SANITIZED = 1 };
#else
enum { FUZZ_SANITIZED = 0 };
#endif
#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void); /* its header is clang's alone */

/* Less of what has been freed is kept from use than otherwise: to get new memory each time takes
 * most of a case. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=8"; }
#endif

typedef void FuzzCase(void *opaque, unsigned number, GRand *r);

static inline unsigned fuzz_number(const char *name, unsigned fallback)
{
    const char *text = g_getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

/* A second of work for one case, more under a sanitizer; and an end to waiting for what never
 * comes. */
static inline void fuzz_alarm(bool on)
{
    struct itimerval t = { .it_value.tv_sec = on ? FUZZ_SANITIZED ? 5 : 1 : 0 };

    setitimer(ITIMER_VIRTUAL, &t, NULL);
    alarm(on ? FUZZ_WAIT_S : 0);
}

/* What malloc has given away. */
static inline size_t fuzz_allocated(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return __sanitizer_get_current_allocated_bytes();
#else
    struct mallinfo2 mi = mallinfo2();

    return mi.uordblks + mi.hblkhd;
#endif
}

/* What is given back again is memory all the same: malloc fails beyond this, and that is fatal. */
static inline void fuzz_limit_memory(void)
{
    FILE *f = FUZZ_SANITIZED ? NULL : fopen("/proc/self/statm", "r");
    unsigned long data = 0;

    if (!f) return;
    if (fscanf(f, "%*u %*u %*u %*u %*u %lu", &data) == 1) {
        struct rlimit r = { .rlim_max = RLIM_INFINITY };

        r.rlim_cur = (rlim_t)data * (rlim_t)sysconf(_SC_PAGESIZE) + FUZZ_PEAK;
        setrlimit(RLIMIT_DATA, &r);
    }
    fclose(f);
}

/* Runs cases in the child from a number on; the shared word says which one is under way. */
static inline void fuzz_child(
    FuzzCase *fn, void *opaque, unsigned first, unsigned end, volatile unsigned *at)
{
    fuzz_limit_memory();
    for (unsigned n = first; n < end; n++) {
        GRand *r = g_rand_new_with_seed(n);

        *at = n;
        fuzz_alarm(true);
        fn(opaque, n, r);
        fuzz_alarm(false);
        g_rand_free(r);
    }
    _exit(0);
}

static inline void fuzz_run(FuzzCase *fn, void *opaque, unsigned quick, unsigned slow)
{
    unsigned n = fuzz_number("FUZZ_FIRST", 1), bad = 0;
    unsigned end = n + fuzz_number("FUZZ_CASES", g_test_quick() ? quick : slow);
    volatile unsigned *at =
        mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    g_test_message("cases %u to %u", n, end - 1);
    while (n < end && bad < FUZZ_BAD_MAX) {
        unsigned batch_end = MIN(n + FUZZ_BATCH, end);
        int status = 0;
        pid_t pid = fork();

        if (!pid) fuzz_child(fn, opaque, n, batch_end, at);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        n = batch_end;
        if (n % FUZZ_REPORT < FUZZ_BATCH && n < end) g_test_message("up to %u", n);
        if (!status) continue;
        g_test_message("case %u: %s %d", *at, WIFSIGNALED(status) ? "signal" : "exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        bad++;
        n = *at + 1;
    }
    munmap((void *)at, sizeof(*at));
    g_assert_cmpuint(bad, ==, 0);
}

/* -- mutations -- */

static inline unsigned fuzz_below(GRand *r, size_t n)
{
    return n ? (unsigned)g_rand_int_range(r, 0, (gint32)n) : 0;
}

/* Integers at the edge of something. */
static inline uint64_t fuzz_integer(GRand *r)
{
    uint64_t v = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);

    switch (fuzz_below(r, 6)) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return 1ull << fuzz_below(r, 64);
    case 3: return (1ull << fuzz_below(r, 64)) - 1;
    case 4: return v >> fuzz_below(r, 64);
    default: return v;
    }
}

/* A big-endian integer of 1, 2, 4 or 8 bytes somewhere. */
static inline void fuzz_poke(GRand *r, uint8_t *data, size_t len)
{
    unsigned size = 1u << fuzz_below(r, 4);
    uint64_t v = fuzz_integer(r);

    if (len < size) return;
    data += fuzz_below(r, len - size + 1);
    for (unsigned i = 0; i < size; i++) data[i] = (uint8_t)(v >> 8 * (size - 1 - i));
}

/* Some bytes are other ones, more, or gone. */
static inline void fuzz_bytes(GRand *r, GByteArray *a)
{
    uint8_t junk[16];

    for (size_t i = 0; i < sizeof(junk); i++) junk[i] = (uint8_t)g_rand_int(r);
    switch (fuzz_below(r, 8)) {
    case 0:
        if (a->len) g_byte_array_set_size(a, fuzz_below(r, a->len));
        break;
    case 1: g_byte_array_append(a, junk, fuzz_below(r, sizeof(junk))); break;
    case 2:
        if (a->len) g_byte_array_remove_range(a, a->len / 2, MIN(a->len - a->len / 2, 3));
        break;
    default:
        for (unsigned n = 1 + fuzz_below(r, 4); n; n--) fuzz_poke(r, a->data, a->len);
    }
}
