/* SPDX-License-Identifier: MIT */
/* CPUID's features by their names, and what a user asks for of them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* Where CPUID tells of them: leaf (and subleaf), register. */
enum {
    WORD_1_ECX,
    WORD_1_EDX,
    WORD_80000001_ECX,
    WORD_80000001_EDX,
    WORD_7_EBX,
    WORD_7_ECX,
    WORDS_SOME, /* of the others nothing works */
    WORD_6_EAX = WORDS_SOME,
    WORD_7_EDX,
    WORD_7_1_EAX,
    WORD_D_1_EAX,
    WORD_80000007_EDX,
    WORD_80000008_EBX,
    WORD_8000000A_EDX,
    WORDS
};

typedef struct FeatureRequest {
    uint32_t word[WORDS];
    bool check, enforce; /* what is not there: a warning, an error */
} FeatureRequest;

/* One item behind the model's name: "+sse", "-apic", "sse", "sse=on", "check", "enforce=off". */
bool features_parse_item(FeatureRequest *r, const char *model, const char *item, Error *err);
/* Takes away what does not work; the first WORDS_SOME words have works.  Warnings go to stderr,
 * unless quiet. */
bool features_mask(FeatureRequest *r, const uint32_t works[WORDS_SOME], bool quiet, Error *err);
/* All names, for people. */
void features_help(void);
