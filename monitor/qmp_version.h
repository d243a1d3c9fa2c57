/* SPDX-License-Identifier: MIT */
/* Which version QMP tells: that of the protocol's model, with our own as the package. */
#pragma once

#include <jansson.h>

static inline json_t *qmp_version(void)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "major", 7, "minor", 2, "micro", 0, "package",
        "Stasis " STASIS_VERSION);
}
