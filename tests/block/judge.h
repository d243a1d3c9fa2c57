/* SPDX-License-Identifier: MIT */
/* For tests of images: files in a temporary folder, and an independent program that judges them. */
#pragma once

#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "block/block.h"
#include "util/bits.h"

static inline char *judge_path(const char *name)
{
    const char *dir = g_getenv("TMPDIR");
    char *file = g_strdup_printf("stasis-test-%d-%s", (int)getpid(), name);
    char *path = g_build_filename(dir ? dir : "/tmp", file, NULL);

    g_free(file);
    return path;
}

/* Runs a command line; its exit status, or -1; output (both streams) in *out where wanted. */
static inline int judge_run(char **out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline int judge_run(char **out, const char *fmt, ...)
{
    char *line, *shell, *text = NULL;
    va_list ap;
    int status = -1;

    va_start(ap, fmt);
    line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    shell = g_strdup_printf("%s 2>&1", line);
    char *argv[] = { (char *)"sh", (char *)"-c", shell, NULL };

    if (!g_spawn_sync(
            NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &text, NULL, &status, NULL)) {
        status = -1;
    } else {
        status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    if (out) {
        *out = text;
    } else {
        g_free(text);
    }
    g_free(line);
    g_free(shell);
    return status;
}

static inline bool judge_there(void)
{
    if (judge_run(NULL, "qemu-img --version") == 0) return true;
    g_test_skip("qemu-img is not installed");
    return false;
}

/* Fails the test, with what the judge says, unless the image is clean (or, at most, leaks). */
static inline void judge_check_at(const char *file, int line, const char *path, bool leaks)
{
    char *out;
    int status = judge_run(&out, "qemu-img check -U -f qcow2 '%s'", path);

    if (status && !(leaks && status == 3)) {
        g_printerr("%s:%d: %s: status %d\n%s\n", file, line, path, status, out);
        g_test_fail();
        g_assert_cmpint(status, ==, 0);
    }
    g_free(out);
}
#define JUDGE_CLEAN(path) judge_check_at(__FILE__, __LINE__, path, false)
#define JUDGE_SOUND(path) judge_check_at(__FILE__, __LINE__, path, true)

/* The content as the judge reads it (of a snapshot where one is named); freed by the caller. */
static inline uint8_t *judge_content(const char *path, const char *snapshot, size_t *size)
{
    char *raw = judge_path("judged.raw"), *data = NULL, *out = NULL, *sn;

    sn = snapshot ? g_strdup_printf("-l snapshot.id='%s'", snapshot) : g_strdup("");
    if (judge_run(&out, "qemu-img convert -U -f qcow2 -O raw %s '%s' '%s'", sn, path, raw)) {
        g_printerr("convert %s: %s\n", path, out);
        g_assert_not_reached();
    }
    g_assert_true(g_file_get_contents(raw, &data, size, NULL));
    g_unlink(raw);
    g_free(raw);
    g_free(out);
    g_free(sn);
    return (uint8_t *)data;
}

static inline BlockImage *judge_open(const char *path, int flags)
{
    Error err = ERROR_INIT;
    BlockImage *img = image_open(path, NULL, flags, &err);

    if (!img) g_printerr("%s\n", err.msg);
    g_assert_nonnull(img);
    return img;
}

/* 32-bit xorshift, so that a failing seed fails everywhere. */
static inline uint32_t judge_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}
