/* SPDX-License-Identifier: MIT */
/* Host errors: see error.h. */
#include "util/error.h"

#include <stdio.h>
#include <string.h>

bool error_vset(Error *err, const char *fmt, va_list ap)
{
    if (err && !err->msg[0]) vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    return false;
}

bool error_set(Error *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    error_vset(err, fmt, ap);
    va_end(ap);
    return false;
}

bool error_errno(Error *err, int code, const char *fmt, ...)
{
    va_list ap;
    size_t len;

    if (!err || err->msg[0]) return false;
    va_start(ap, fmt);
    error_vset(err, fmt, ap);
    va_end(ap);
    len = strlen(err->msg);
    snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(code));
    return false;
}

bool error_prefix(Error *err, const char *fmt, ...)
{
    char rest[sizeof(err->msg)];
    va_list ap;
    size_t len;

    if (!error_is_set(err)) return false;
    memcpy(rest, err->msg, sizeof(rest));
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    len = strlen(err->msg);
    snprintf(err->msg + len, sizeof(err->msg) - len, "%s", rest);
    return false;
}
