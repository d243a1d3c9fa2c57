/* SPDX-License-Identifier: MIT */
/*
 * Framing: a value ends where its brackets are closed, whatever stands in it; only then it is
 * parsed.  So a broken one costs one complaint and the next is read as if nothing had been.  A byte
 * FFh outside of strings, which no JSON has, gives up what was begun.  Strings may be in single
 * quotes.  Limits: FRAME_TEXT_MAX bytes and FRAME_DEPTH_MAX brackets; what exceeds them is skipped
 * to the end of its line.
 */
#include "monitor/qmp_frame.h"

#include <string.h>

#include "util/bits.h"

enum { FRAME_TEXT_MAX = 4 * MiB, FRAME_DEPTH_MAX = 1024 };

void qmp_frame_init(QmpFrame *f) { *f = (QmpFrame){ .text = g_string_new(NULL) }; }

static void qmp_frame_restart(QmpFrame *f)
{
    g_string_truncate(f->text, 0);
    *f = (QmpFrame){ .text = f->text };
}

void qmp_frame_reset(QmpFrame *f) { qmp_frame_restart(f); }

void qmp_frame_free(QmpFrame *f) { g_string_free(f->text, TRUE); }

/* -- complaints -- */

static void qmp_frame_complain(QmpFrame *f, const char *what, QmpFrameFn *fn, void *opaque)
{
    char *text = g_strdup_printf("JSON parse error, %s", what);

    qmp_frame_restart(f);
    fn(opaque, NULL, text);
    g_free(text);
}

static void qmp_frame_limit(QmpFrame *f, const char *what, QmpFrameFn *fn, void *opaque)
{
    char *text = g_strdup_printf("JSON %s limit exceeded", what);

    qmp_frame_restart(f);
    f->skip = true;
    fn(opaque, NULL, text);
    g_free(text);
}

/* What the parser has against a text. */
static char *qmp_frame_reason(const char *text, const json_error_t *e)
{
    char *valid, *reason;

    switch (json_error_code(e)) {
    case json_error_duplicate_key: return g_strdup("duplicate key");
    case json_error_invalid_utf8: return g_strdup("invalid UTF-8 sequence in string");
    default: break;
    }
    if (!strpbrk(text, "{}[]\"")) {
        bool name = text[strspn(text, "abcdefghijklmnopqrstuvwxyz")] == 0;
        gsize len = MIN_OF(strlen(text), 80);

        valid = g_utf8_make_valid(text, (gssize)len);
        reason = g_strdup_printf(name ? "invalid keyword '%s'" : "stray '%s'", valid);
    } else {
        valid = g_utf8_make_valid(e->text, -1);
        reason = g_strdup(valid);
    }
    g_free(valid);
    return reason;
}

static void qmp_frame_parse(QmpFrame *f, QmpFrameFn *fn, void *opaque)
{
    json_error_t e;
    json_t *value =
        json_loadb(f->text->str, f->text->len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &e);

    if (value) {
        qmp_frame_restart(f);
        fn(opaque, value, NULL);
        json_decref(value);
    } else {
        char *reason = qmp_frame_reason(f->text->str, &e);

        qmp_frame_complain(f, reason, fn, opaque);
        g_free(reason);
    }
}

/* -- bytes -- */

/* A string that its line or a byte FFh ends: what was begun is given up. */
static void qmp_frame_torn(QmpFrame *f, char c, QmpFrameFn *fn, void *opaque)
{
    qmp_frame_complain(f, "stray '\"'", fn, opaque);
    f->skip = c != '\n' && (uint8_t)c != 0xff;
}

/* Inside a string.  One in single quotes is turned into JSON's form. */
static void qmp_frame_string(QmpFrame *f, char c, QmpFrameFn *fn, void *opaque)
{
    if ((uint8_t)c < ' ' || (uint8_t)c == 0xff) {
        qmp_frame_torn(f, c, fn, opaque);
    } else if (f->escaped) {
        f->escaped = false;
        if (c == '\'') g_string_truncate(f->text, f->text->len - 1);
        g_string_append_c(f->text, c);
    } else if (c == f->quote) {
        g_string_append_c(f->text, '"');
        f->quote = 0;
        if (!f->braces && !f->brackets) qmp_frame_parse(f, fn, opaque);
    } else if (c == '"') {
        g_string_append(f->text, "\\\"");
    } else {
        f->escaped = c == '\\';
        g_string_append_c(f->text, c);
    }
}

/* A bracket.  Too many closing ones, or the last one, end the value. */
static void qmp_frame_bracket(QmpFrame *f, char c, QmpFrameFn *fn, void *opaque)
{
    unsigned *open = c == '{' || c == '}' ? &f->braces : &f->brackets;

    g_string_append_c(f->text, c);
    if (c == '{' || c == '[') {
        ++*open;
        if (f->braces + f->brackets > FRAME_DEPTH_MAX) {
            qmp_frame_limit(f, "nesting depth", fn, opaque);
        }
    } else if (!*open) {
        qmp_frame_complain(f, "expecting value", fn, opaque);
    } else {
        --*open;
        if (!f->braces && !f->brackets) qmp_frame_parse(f, fn, opaque);
    }
}

/* Outside of strings. */
static void qmp_frame_byte(QmpFrame *f, char c, QmpFrameFn *fn, void *opaque)
{
    bool inside = f->braces || f->brackets;
    bool space = (uint8_t)c <= ' ';

    if (f->word && (space || strchr("{}[],:\"'\xff", c))) qmp_frame_parse(f, fn, opaque);
    if ((uint8_t)c == 0xff) {
        qmp_frame_complain(f, "stray '\xef\xbf\xbd'", fn, opaque);
    } else if (c && strchr("{}[]", c)) {
        qmp_frame_bracket(f, c, fn, opaque);
    } else if (c == '"' || c == '\'') {
        f->quote = c;
        g_string_append_c(f->text, '"');
    } else if (inside) {
        g_string_append_c(f->text, c);
    } else if (c == ',' || c == ':') {
        qmp_frame_complain(f, "expecting value", fn, opaque);
    } else if (!space) {
        f->word = true;
        g_string_append_c(f->text, c);
    }
}

void qmp_frame_feed(QmpFrame *f, const uint8_t *buf, size_t len, QmpFrameFn *fn, void *opaque)
{
    for (size_t i = 0; i < len; i++) {
        char c = (char)buf[i];

        if (f->skip) {
            f->skip = c != '\n';
        } else if (f->quote) {
            qmp_frame_string(f, c, fn, opaque);
        } else {
            qmp_frame_byte(f, c, fn, opaque);
        }
        if (f->text->len > FRAME_TEXT_MAX) qmp_frame_limit(f, "token size", fn, opaque);
    }
}
