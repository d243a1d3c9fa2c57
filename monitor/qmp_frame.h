/* SPDX-License-Identifier: MIT */
/* From a stream of bytes to JSON values, one after the other, whatever garbage lies between. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "core/machine.h"

typedef struct QmpFrame {
    GString *text;             /* of the value under way */
    unsigned braces, brackets; /* open ones */
    char quote;                /* inside a string: how it began; else 0 */
    bool escaped;              /* behind a backslash */
    bool word;                 /* inside a number or name outside of everything */
    bool skip;                 /* after a limit: nothing until the line ends */
} QmpFrame;

/* A value (borrowed), or NULL and what was wrong. */
typedef void QmpFrameFn(void *opaque, json_t *value, const char *complaint);

void qmp_frame_init(QmpFrame *f);
void qmp_frame_reset(QmpFrame *f); /* another far side */
void qmp_frame_free(QmpFrame *f);
void qmp_frame_feed(QmpFrame *f, const uint8_t *buf, size_t len, QmpFrameFn *fn, void *opaque);
