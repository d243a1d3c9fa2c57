/* SPDX-License-Identifier: MIT */
/*
 * Options in the form "first,key=value,flag,key=a,,b": a comma inside a value is doubled.
 * A key without a value means "on"; a leading word without '=' takes the implied key.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

typedef struct OptionsEntry {
    char *key, *value;
    bool used; /* was asked for: options_check_used names the ones that nobody knows */
} OptionsEntry;

typedef struct Options {
    GPtrArray *entries; /* of OptionsEntry, in the order given */
} Options;

/* Parses text; implied_key may be NULL.  The result is freed with options_free. */
Options *options_parse(const char *text, const char *implied_key, Error *err);
Options *options_new(void);
void options_free(Options *o);

/* The last value of a key, or NULL; marks it used.  The Options own the text. */
const char *options_get(Options *o, const char *key);
const char *options_get_or(Options *o, const char *key, const char *fallback);
void options_set(Options *o, const char *key, const char *value);

/* Typed access: absent keys leave *out as it was and succeed. */
bool options_get_bool(Options *o, const char *key, bool *out, Error *err); /* on off yes no ... */
bool options_get_u64(Options *o, const char *key, uint64_t *out, Error *err);  /* 0x.., decimal */
bool options_get_size(Options *o, const char *key, uint64_t *out, Error *err); /* 64M, 1.5G, 512k */

/* False, naming the first unused key (with a "did you mean" over known), where one is left. */
bool options_check_used(Options *o, const char *what, Error *err);

/* Parsers for single values. */
bool parse_bool(const char *text, bool *out, Error *err);
bool parse_u64(const char *text, uint64_t *out, Error *err);
/* default_suffix: 'B', 'K', 'M' ... what a number without a suffix counts.  Up to INT64_MAX. */
bool parse_size(const char *text, char default_suffix, uint64_t *out, Error *err);
/* The same of any 64 bits, for who has words of his own for what is wrong. */
typedef enum { SIZE_FINE, SIZE_MALFORMED, SIZE_RANGE } SizeFault;
SizeFault scan_size(const char *text, char default_suffix, uint64_t *out);

/* The candidate nearest to word (edit distance at most a third of its length), or NULL. */
const char *did_you_mean(const char *word, const char *const *candidates, size_t n);
