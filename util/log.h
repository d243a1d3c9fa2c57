/* SPDX-License-Identifier: MIT */
/* The log behind -d and -D: one per machine, categories by name, nothing global. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/error.h"

/* Categories of -d; log_help lists them with their descriptions. */
enum LogMask {
    LOG_GUEST_ERRORS = 1 << 0, /* the guest did what no sane driver does */
    LOG_UNIMP = 1 << 1,        /* the guest used what is not modelled */
    LOG_INT = 1 << 2,          /* interrupts and exceptions */
    LOG_CPU_RESET = 1 << 3,    /* CPU state at resets and triple faults */
    LOG_IN_ASM = 1 << 4,       /* blocks as they are decoded */
    LOG_EXEC = 1 << 5,         /* every instruction with its registers */
    LOG_IO = 1 << 6,           /* port accesses */
    LOG_MIGRATION = 1 << 7,    /* sections and state changes */
};

typedef struct Log {
    FILE *file; /* stderr where no -D was given; owned where it was */
    uint32_t mask;
    uint32_t guest_errors_left; /* a limit, so that a mad guest cannot fill the disk */
} Log;

void log_init(Log *log);
void log_close(Log *log);

/* Parses a comma list ("guest_errors,int", "none", "all"); false on an unknown name. */
bool log_set_mask(Log *log, const char *list, Error *err);

/* Sends the log to a file (NULL: stderr). */
bool log_set_file(Log *log, const char *path, Error *err);

/* Prints the categories, one a line. */
void log_help(FILE *to);

void log_printf(Log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_vprintf(Log *log, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static inline bool log_on(const Log *log, uint32_t mask) { return (log->mask & mask) != 0; }
