/* SPDX-License-Identifier: MIT */
/* Sizes for people: see size.h. */
#include "util/size.h"

#include <stdio.h>

void size_format(uint64_t bytes, char *buf, size_t len)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double v = (double)bytes;
    unsigned u = 0;

    /* 999.5 would print as 1e+03 with three digits. */
    for (; v > 999.5 && u + 1 < sizeof(units) / sizeof(units[0]); u++) v /= 1024;
    snprintf(buf, len, "%.3g %s", v, units[u]);
}
