/* SPDX-License-Identifier: MIT */
/* Command lines: finding the command, parsing its arguments, integer expressions. */
#pragma once

#include "core/command.h"
#include "util/error.h"

/* What stays from one line to the next. */
typedef struct ParseState {
    char format; /* of x, xp and print: the last one given */
    int size;
} ParseState;

void parse_state_init(ParseState *ps);

/* A line divided: the command, what it was called, and the text behind. */
typedef struct ParsedLine {
    const Command *cmd;
    char *typed; /* "info snapshots", "q"; owned */
    const char *rest;
} ParsedLine;

/* Finds the command of a line.  False with the complaint as whole lines in *complaint (owned by the
 * caller) where nobody knows it; cmd NULL and true for an empty line. */
bool parse_line(const char *line, ParsedLine *out, char **complaint);

/* The command of this name ("quit" and "q" alike, "info block"), or NULL. */
const Command *command_find(const char *name);

/* Whether name is one of "quit|q". */
bool command_name_matches(const char *names, const char *name, size_t len);

/* Parses text by cmd->args.  NULL with the complaint in *complaint (whole lines) where it does not
 * fit.  Freed with parse_args_free. */
Arg *parse_args(Machine *m, ParseState *ps, const ParsedLine *line, unsigned *n, char **complaint);
void parse_args_free(Arg *args, unsigned n);

/* One entry of a Command's args. */
typedef struct ArgSpec {
    char name[32];
    char type;            /* as in core/command.h; '-' for flags ... */
    char flag;            /* ... whose letter this is */
    bool flag_takes_word; /* "-fs": -f png */
    bool optional;
} ArgSpec;
/* Reads the entry at *p and goes on to the next; false at the end. */
bool arg_spec_next(const char **p, ArgSpec *spec);

/* The next word, with quotes and their escapes; NULL at the end of the line or (err set) where a
 * quote is not closed.  g_free it. */
char *parse_word(const char **p, Error *err);

/* An integer expression: + - below & | ^ below * / %; unary + - ~, parentheses, 'c', $register,
 * numbers in C's bases. */
bool parse_expr(Machine *m, const char **p, int64_t *val, Error *err);
