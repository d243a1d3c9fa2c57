/* SPDX-License-Identifier: MIT */
/* -display none: nobody looks; screendump draws when it is asked to. */
#include "ui/ui.h"

static bool none_open(Machine *m, Options *opts, Error *err)
{
    (void)m;
    (void)opts;
    (void)err;
    return true;
}

static const DisplayClass none_display = {
    .name = "none", .desc = "no display", .open = none_open
};
DISPLAY(none_display);
