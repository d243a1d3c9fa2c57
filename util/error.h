/* SPDX-License-Identifier: MIT */
/*
 * Host errors on their way to whoever prints them.
 *
 * A function that can fail takes `Error *err` as its last parameter and returns bool or a pointer.
 * The caller owns the Error (usually on its stack, ERROR_INIT); nothing in it needs freeing.
 * `err` may be NULL where the caller does not want the text.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

typedef struct Error {
    char msg[1024]; /* one line without newline; empty while there is no error */
} Error;

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* Sets the text (the first error wins: a set one is kept) and returns false. */
bool error_set(Error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool error_vset(Error *err, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Same, with ": " and the text of errno value `code` (positive) appended. */
bool error_errno(Error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts context in front of a set text; no-op on an empty one.  Returns false. */
bool error_prefix(Error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline bool error_is_set(const Error *err) { return err && err->msg[0]; }

static inline void error_clear(Error *err)
{
    if (err) err->msg[0] = 0;
}
