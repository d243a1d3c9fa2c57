/* SPDX-License-Identifier: MIT */
/* One human monitor: a character device, what was typed, and the command that runs. */
#pragma once

#include "core/command.h"
#include "monitor/parse.h"
#include "util/chardev.h"

typedef struct Editor Editor;

typedef struct Monitor Monitor;
struct Monitor {
    Machine *m;
    Chardev *chr;
    Editor *edit;    /* line editing; NULL: the far side is no terminal */
    GString *line;   /* plain lines: received, not yet run */
    GString *held;   /* output while a mux shows something else */
    GHashTable *fds; /* getfd: name -> descriptor */
    GList *calls;    /* commands under way (one, but for a far side that went and came back) */
    ParseState parse;
    bool focused;   /* a mux shows us (always true without one) */
    bool greeted;   /* the banner was shown to this far side */
    bool suspended; /* an asynchronous command runs: input waits */
};

/* Prints text with its line ends as CR LF. */
void hmp_puts(Monitor *mon, const char *text);
/* Runs a typed line (which may be empty) and prompts, or suspends until the command ends. */
void hmp_run(Monitor *mon, const char *line);
/* The monitor behind a sink, or NULL where it is another kind of sink. */
Monitor *hmp_of_sink(Sink *s);

extern const char hmp_prompt[];

/* -- edit.c -- */
/* NULL where editing cannot be had here; the monitor then takes plain lines. */
Editor *editor_new(Monitor *mon);
void editor_free(Editor *e);
void editor_prompt(Editor *e); /* starts a new line */
/* Takes bytes as typed; runs finished lines by hmp_run.  Bytes that come while the monitor is
 * suspended wait for editor_prompt. */
void editor_feed(Editor *e, const uint8_t *buf, size_t len);

/* -- help.c -- */
/* `help`: of everything, or of one command. */
void help_print(Sink *out, const char *name);

/* -- complete.c -- */
/* Offers what could stand for the last word of line. */
void complete_line(
    Machine *m, const char *line, void (*offer)(void *ctx, const char *word), void *ctx);
