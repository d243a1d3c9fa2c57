/* SPDX-License-Identifier: MIT */
/*
 * Monitor commands.  A folder registers its commands here; the monitor parses the line by the
 * argument types, runs the command, and shows what it put into the sink.
 *
 * args is a text of "name:type" items separated by commas, in QEMU's manner; types:
 *   s  word (quotes allowed)      S  rest of the line       F  file name
 *   i  integer (C syntax, may be $register where the monitor knows it)
 *   l  integer, 64 bit            o  size with suffix (default M)
 *   b  on/off                     -x flag x                 /  /FMT of x and xp
 *                                 -xs flag x with a word
 *   B  block device id            a trailing ? marks optional ones
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/machine.h"

typedef struct Sink Sink; /* where output goes; see below */

/* One parsed argument. */
typedef struct Arg {
    const char *name;
    bool given;
    char *text;  /* s S F B */
    int64_t num; /* i l o; b and flags: 0 or 1 */
    int count;   /* of "/": repeat ... */
    char format; /* ... one of x d u o c i s ... */
    int size;    /* ... and 1, 2, 4, 8 bytes */
} Arg;

typedef struct CommandCall {
    Machine *m;
    Sink *out;
    const Arg *args;
    unsigned nargs;
} CommandCall;

typedef struct Command {
    const char *name;  /* "savevm", "info snapshots"; alternatives behind '|' */
    const char *args;  /* "name:s?" */
    const char *usage; /* as `help` shows arguments: "[tag|id]" */
    const char *help;  /* one or more lines */
    /* Runs it.  A failure is put into err and shown as "Error: ...". */
    void (*run)(CommandCall *call, Error *err);
    /* Starts something that ends later: the monitor waits until sink_done is called on out. */
    bool async;
    /* Offers completions for argument n that start with prefix; may be NULL. */
    void (*complete)(Machine *m, unsigned n, const char *prefix,
        void (*offer)(void *ctx, const char *word), void *ctx);
} Command;

#define COMMAND(ident, ...)                                                                        \
    static const Command ident##_command = { __VA_ARGS__ };                                        \
    SET_ADD(commands, ident##_command)
SET_DECLARE(commands);

const Arg *command_arg(const CommandCall *call, const char *name);
/* The text of an argument, or NULL where it was not given. */
const char *command_text(const CommandCall *call, const char *name);
int64_t command_num(const CommandCall *call, const char *name, int64_t fallback);
bool command_flag(const CommandCall *call, const char *name);

/* The output of one command.  Implemented by the monitor (and by tests). */
struct Sink {
    void (*write)(Sink *s, const char *text);
    /* An async command has ended; err may be empty.  The sink is gone afterwards. */
    void (*done)(Sink *s, const Error *err);
    /* The file descriptor that `getfd name` took in, or -1; ownership passes to the caller. */
    int (*take_fd)(Sink *s, const char *name);
};

void sink_printf(Sink *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sink_done(Sink *s, const Error *err);
