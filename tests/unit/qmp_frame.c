/* SPDX-License-Identifier: MIT */
/* QMP's framing: values one by one, complaints, limits, and garbage that it must survive. */
#include <glib.h>
#include <string.h>

#include "monitor/qmp_frame.h"
#include "util/bits.h"

/* Values as compact JSON and complaints behind '!', each ended by a newline. */
static void note(void *opaque, json_t *value, const char *complaint)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    g_assert_true(!value != !complaint);
    if (opaque) g_string_append_printf(opaque, "%s%s\n", value ? "" : "!", text ? text : complaint);
    free(text);
}

/* Fed whole, then byte by byte: the same must come out. */
static void expect_bytes(const char *in, size_t len, const char *want)
{
    for (size_t step = len ? len : 1;; step = 1) {
        GString *got = g_string_new(NULL);
        QmpFrame f;

        qmp_frame_init(&f);
        for (size_t i = 0; i < len; i += step)
            qmp_frame_feed(&f, (const uint8_t *)in + i, MIN_OF(step, len - i), note, got);
        g_assert_cmpstr(got->str, ==, want);
        qmp_frame_free(&f);
        g_string_free(got, TRUE);
        if (step == 1) return;
    }
}

static void expect(const char *in, const char *want) { expect_bytes(in, strlen(in), want); }

#define BAD "!JSON parse error, "

static void test_values(void)
{
    expect("", "");
    expect("  \r\n", "");
    expect("{}", "{}\n");
    expect("{}{} []\n", "{}\n{}\n[]\n");
    expect("{\"a\": [1, {\"b\": \"}]\"}]}", "{\"a\":[1,{\"b\":\"}]\"}]}\n");
    expect("{\"a\":\n\n 1}\n", "{\"a\":1}\n");
    expect("1 2\n", "1\n2\n");
    expect("\"x\"", "\"x\"\n");
    expect("null true\n", "null\ntrue\n");
    expect("{'a': 'b'}", "{\"a\":\"b\"}\n");
    expect("{'a': 'say \"x\" and \\'y\\''}", "{\"a\":\"say \\\"x\\\" and 'y'\"}\n");
    expect("{\"a\": \"\\\"\\\\\"}", "{\"a\":\"\\\"\\\\\"}\n");
    expect("1{}", "1\n{}\n");
}

static void test_complaints(void)
{
    expect("foo {}\n", BAD "invalid keyword 'foo'\n{}\n");
    expect("@7\n{}", BAD "stray '@7'\n{}\n");
    expect("}{}", BAD "expecting value\n{}\n");
    expect("[}[]", BAD "expecting value\n[]\n");
    expect(",{}", BAD "expecting value\n{}\n");
    expect("{\"a\":1,\"a\":2}{}", BAD "duplicate key\n{}\n");
    expect("{\"a\":\"\xc3\"}{}", BAD "invalid UTF-8 sequence in string\n{}\n");
    expect("{\"a\":\xff{}", BAD "stray '\xef\xbf\xbd'\n{}\n");
    expect("{\"a\":\"x\xff{}", BAD "stray '\"'\n{}\n");
    /* a string ends with its line */
    expect("{\"a\":\"x\n{}", BAD "stray '\"'\n{}\n");
    expect("{\"a\":\"x\ty\"}\n{}", BAD "stray '\"'\n{}\n");
}

static void test_limits(void)
{
    GString *deep = g_string_new(NULL), *want = g_string_new(NULL);
    size_t big = 5 * MiB;

    for (int i = 0; i < 100000; i++) g_string_append_c(deep, '[');
    g_string_append(deep, "\n{}");
    expect(deep->str, "!JSON nesting depth limit exceeded\n{}\n");
    g_string_truncate(deep, 0);
    for (int i = 0; i < 1024; i++) g_string_append_c(deep, '[');
    for (int i = 0; i < 1024; i++) g_string_append_c(deep, ']');
    g_string_append_printf(want, "%s\n", deep->str);
    expect(deep->str, want->str);
    g_string_assign(deep, "{\"a\":\"");
    for (size_t i = 0; i < big; i++) g_string_append_c(deep, 'x');
    g_string_append(deep, "\"}\n{}");
    expect(deep->str, "!JSON token size limit exceeded\n{}\n");
    g_string_free(deep, TRUE);
    g_string_free(want, TRUE);
}

/* Whatever was there before, behind FFh and a line end a value is read as always. */
static void test_garbage(void)
{
    static const char pieces[] = "{}[]\",:'\\ \n\xff\0\x80truefalsenull0123456789.eE+-u";
    QmpFrame f;

    qmp_frame_init(&f);
    for (int round = 0; round < 20000; round++) {
        uint8_t junk[64];
        size_t len = (size_t)g_test_rand_int_range(0, sizeof(junk));
        GString *got = g_string_new(NULL);

        for (size_t i = 0; i < len; i++) {
            junk[i] = g_test_rand_bit()
                          ? (uint8_t)pieces[g_test_rand_int_range(0, sizeof(pieces) - 1)]
                          : (uint8_t)g_test_rand_int();
        }
        qmp_frame_feed(&f, junk, len, note, NULL);
        qmp_frame_feed(&f, (const uint8_t *)"\xff\n", 2, note, NULL);
        qmp_frame_feed(&f, (const uint8_t *)"{\"k\":1}", 7, note, got);
        g_assert_cmpstr(got->str, ==, "{\"k\":1}\n");
        g_string_free(got, TRUE);
    }
    qmp_frame_free(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp_frame/values", test_values);
    g_test_add_func("/qmp_frame/complaints", test_complaints);
    g_test_add_func("/qmp_frame/limits", test_limits);
    g_test_add_func("/qmp_frame/garbage", test_garbage);
    return g_test_run();
}
