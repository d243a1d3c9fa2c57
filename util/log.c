/* SPDX-License-Identifier: MIT */
/* The log behind -d and -D: see log.h. */
#include "util/log.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "util/bits.h"
#include "util/options.h"

static const struct {
    const char *name;
    uint32_t mask;
    const char *desc;
} log_items[] = {
    { "cpu_reset", LOG_CPU_RESET, "CPU state before resets and triple faults" },
    { "exec", LOG_EXEC, "every instruction with its registers (slow)" },
    { "guest_errors", LOG_GUEST_ERRORS, "what no sane driver does" },
    { "in_asm", LOG_IN_ASM, "blocks of instructions as they are decoded" },
    { "int", LOG_INT, "interrupts and exceptions" },
    { "io", LOG_IO, "port accesses" },
    { "migration", LOG_MIGRATION, "sections saved and loaded" },
    { "unimp", LOG_UNIMP, "what the guest used and is not modelled" },
};

enum { GUEST_ERRORS_LIMIT = 10000 };

void log_init(Log *log) { *log = (Log){ .file = stderr, .guest_errors_left = GUEST_ERRORS_LIMIT }; }

void log_close(Log *log)
{
    if (log->file && log->file != stderr) fclose(log->file);
    log->file = stderr;
}

static bool log_set_one(const char *name, uint32_t *mask, Error *err)
{
    const char *names[ARRAY_SIZE(log_items)], *hint;

    if (!strcmp(name, "none")) {
        *mask = 0;
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(log_items); i++) {
        names[i] = log_items[i].name;
        if (strcmp(name, "all") && strcmp(name, log_items[i].name)) continue;
        *mask |= log_items[i].mask;
        if (strcmp(name, "all")) return true;
    }
    if (!strcmp(name, "all")) return true;
    hint = did_you_mean(name, names, ARRAY_SIZE(names));
    return error_set(err, "unknown log item '%s'%s%s%s", name, hint ? "; did you mean '" : "",
        hint ? hint : "", hint ? "'?" : "");
}

bool log_set_mask(Log *log, const char *list, Error *err)
{
    char **words = g_strsplit(list, ",", -1);
    uint32_t mask = 0;
    bool ok = true;

    for (char **w = words; ok && *w; w++) ok = log_set_one(*w, &mask, err);
    g_strfreev(words);
    if (ok) log->mask = mask;
    return ok;
}

bool log_set_file(Log *log, const char *path, Error *err)
{
    FILE *f = path ? fopen(path, "w") : stderr;

    if (!f) return error_errno(err, errno, "cannot write the log to '%s'", path);
    log_close(log);
    log->file = f;
    if (path) setvbuf(f, NULL, _IOLBF, 0);
    return true;
}

void log_help(FILE *to)
{
    fprintf(to, "Log items (comma separated):\n");
    for (size_t i = 0; i < ARRAY_SIZE(log_items); i++)
        fprintf(to, "%-15s %s\n", log_items[i].name, log_items[i].desc);
}

void log_vprintf(Log *log, const char *fmt, va_list ap) { vfprintf(log->file, fmt, ap); }

void log_printf(Log *log, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_vprintf(log, fmt, ap);
    va_end(ap);
}
