/* SPDX-License-Identifier: MIT */
/* Option texts "first,key=value,flag": see options.h. */
#include "util/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/bits.h"

static void options_entry_free(void *p)
{
    OptionsEntry *e = p;

    g_free(e->key);
    g_free(e->value);
    g_free(e);
}

Options *options_new(void)
{
    Options *o = g_new0(Options, 1);

    o->entries = g_ptr_array_new_with_free_func(options_entry_free);
    return o;
}

void options_free(Options *o)
{
    if (!o) return;
    g_ptr_array_free(o->entries, TRUE);
    g_free(o);
}

void options_set(Options *o, const char *key, const char *value)
{
    OptionsEntry *e = g_new0(OptionsEntry, 1);

    e->key = g_strdup(key);
    e->value = g_strdup(value);
    g_ptr_array_add(o->entries, e);
}

/* One item up to a single comma; doubled commas stand for one.  *text is moved behind it. */
static char *options_item(const char **text)
{
    GString *item = g_string_new(NULL);
    const char *p = *text;

    for (; *p; p++) {
        if (*p == ',') {
            if (p[1] != ',') break;
            p++;
        }
        g_string_append_c(item, *p);
    }
    *text = *p ? p + 1 : p;
    return g_string_free(item, FALSE);
}

Options *options_parse(const char *text, const char *implied_key, Error *err)
{
    Options *o = options_new();

    for (bool first = true; *text; first = false) {
        char *item = options_item(&text);
        char *eq = strchr(item, '=');

        if (eq) {
            *eq = 0;
            options_set(o, item, eq + 1);
        } else if (first && implied_key) {
            options_set(o, implied_key, item);
        } else if (*item) {
            bool nowait = !strcmp(item, "nowait"); /* the old spelling of wait=off */

            options_set(o, nowait ? "wait" : item, nowait ? "off" : "on");
        }
        if (eq == item) {
            error_set(err, "an option has no name: '=%s'", eq + 1);
            g_free(item);
            options_free(o);
            return NULL;
        }
        g_free(item);
    }
    return o;
}

const char *options_get(Options *o, const char *key)
{
    const char *found = NULL;

    for (guint i = 0; i < o->entries->len; i++) {
        OptionsEntry *e = o->entries->pdata[i];

        if (strcmp(e->key, key)) continue;
        e->used = true;
        found = e->value;
    }
    return found;
}

const char *options_get_or(Options *o, const char *key, const char *fallback)
{
    const char *v = options_get(o, key);

    return v ? v : fallback;
}

bool options_get_bool(Options *o, const char *key, bool *out, Error *err)
{
    const char *v = options_get(o, key);

    return !v || parse_bool(v, out, err) || error_prefix(err, "%s: ", key);
}

bool options_get_u64(Options *o, const char *key, uint64_t *out, Error *err)
{
    const char *v = options_get(o, key);

    return !v || parse_u64(v, out, err) || error_prefix(err, "%s: ", key);
}

bool options_get_size(Options *o, const char *key, uint64_t *out, Error *err)
{
    const char *v = options_get(o, key);

    return !v || parse_size(v, 'B', out, err) || error_prefix(err, "%s: ", key);
}

bool options_check_used(Options *o, const char *what, Error *err)
{
    for (guint i = 0; i < o->entries->len; i++) {
        OptionsEntry *e = o->entries->pdata[i];

        if (!e->used) return error_set(err, "%s: unknown option '%s'", what, e->key);
    }
    return true;
}

bool parse_bool(const char *text, bool *out, Error *err)
{
    static const char *const yes[] = { "on", "yes", "true", "y" };
    static const char *const no[] = { "off", "no", "false", "n" };

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *out = !strcmp(text, yes[i]);
            return true;
        }
    }
    return error_set(err, "'%s' is neither 'on' nor 'off'", text);
}

bool parse_u64(const char *text, uint64_t *out, Error *err)
{
    char *end;
    uint64_t v;

    errno = 0;
    v = strtoull(text, &end, 0);
    if (errno || end == text || *end || strchr(text, '-'))
        return error_set(err, "'%s' is not a number", text);
    *out = v;
    return true;
}

/* The digits before a point, decimal or after 0x hexadecimal; NULL where there are none. */
static const char *size_whole(const char *text, uint64_t *out)
{
    char *end;

    while (g_ascii_isspace(*text)) text++;
    if (*text == '-') return NULL;
    errno = 0;
    *out = strtoull(text, &end, !g_ascii_strncasecmp(text, "0x", 2) ? 16 : 10);
    return end == text ? NULL : end;
}

SizeFault scan_size(const char *text, char default_suffix, uint64_t *out)
{
    static const char suffixes[] = "BKMGTPE";
    uint64_t v, unit;
    const char *end = size_whole(text, &v), *suffix;
    double ignored, fraction = 0;
    bool range = end && errno == ERANGE;
    char c;

    if (!end) return SIZE_MALFORMED;
    if (*end == '.') {
        fraction = modf(g_ascii_strtod(text, NULL), &ignored);
        while (g_ascii_isdigit(*++end)) continue;
    }
    c = *end ? g_ascii_toupper(*end) : default_suffix;
    suffix = strchr(suffixes, c);
    if (!suffix || (*end && end[1])) return SIZE_MALFORMED;
    if (c == 'B' && fraction > 0) return SIZE_MALFORMED;
    unit = UINT64_C(1) << (10 * (suffix - suffixes));
    if (range || v > UINT64_MAX / unit) return SIZE_RANGE;
    v *= unit;
    unit = (uint64_t)(fraction * (double)unit);
    if (v > UINT64_MAX - unit) return SIZE_RANGE;
    *out = v + unit;
    return SIZE_FINE;
}

bool parse_size(const char *text, char default_suffix, uint64_t *out, Error *err)
{
    uint64_t v = 0;
    SizeFault fault = scan_size(text, default_suffix, &v);

    if (fault == SIZE_MALFORMED)
        return error_set(err, "'%s' is not a size (a number with B, K, M, G or T behind it)", text);
    if (fault == SIZE_RANGE || v > INT64_MAX) return error_set(err, "'%s' is too large", text);
    *out = v;
    return true;
}

/* Levenshtein distance, one row at a time; upper and lower case are alike. */
static unsigned edit_distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    unsigned *row = g_new(unsigned, n + 1), best;

    for (size_t j = 0; j <= n; j++) row[j] = (unsigned)j;
    for (size_t i = 0; a[i]; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned cost = diagonal + (g_ascii_tolower(a[i]) != g_ascii_tolower(b[j]));

            diagonal = row[j + 1];
            row[j + 1] = MIN_OF(cost, MIN_OF(row[j], diagonal) + 1);
        }
    }
    best = row[n];
    g_free(row);
    return best;
}

const char *did_you_mean(const char *word, const char *const *candidates, size_t n)
{
    unsigned limit = MAX_OF((unsigned)strlen(word) / 3, 1u);
    const char *best = NULL;

    for (size_t i = 0; i < n; i++) {
        unsigned d = edit_distance(word, candidates[i]);

        if (d > limit) continue;
        limit = d ? d - 1 : 0;
        best = candidates[i];
        if (!d) break;
    }
    return best;
}
