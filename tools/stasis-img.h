/* SPDX-License-Identifier: MIT */
/* What the commands of stasis-img share. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/block.h"
#include "util/registry.h"

/* A command announces itself with IMG_COMMAND: no list names it. */
typedef struct ImgCommand {
    const char *name;
    const char *usage;                 /* arguments, as the list of commands shows them */
    const char *help;                  /* a line per option */
    int (*run)(int argc, char **argv); /* argv[0] is the command; the exit status */
} ImgCommand;

#define IMG_COMMAND(cmd) SET_ADD(img_commands, cmd)
SET_DECLARE(img_commands);

enum { IMG_OK = 0, IMG_FAILED = 1 };

/* Prints "stasis-img: text" to stderr and returns IMG_FAILED. */
int img_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int img_fail_error(const Error *err);

/* One option of a command line that was understood, in the manner of getopt_long. */
typedef struct ImgArgs {
    int argc;
    char **argv;
    const char *command;
    const char *shorts; /* as getopt's, without '+' or ':' in front */
    bool help;          /* asked for and shown: leave with IMG_OK */
    bool bad;           /* complained: leave with IMG_FAILED */
    char *format, *output, *options;
    bool quiet, shared, progress;
} ImgArgs;

/* The next option: a character of `shorts`, or one of IMG_LONG_*; -1 at the end (or help, or bad).
 * Handles what many commands share where `shorts` lists it: f:, U, q, p, o:, and --output,
 * --help. */
int img_next(ImgArgs *a, char **value);
enum {
    IMG_LONG_SHRINK = 256,
    IMG_LONG_PREALLOCATION,
    IMG_LONG_BACKING_CHAIN,
    IMG_LONG_START,
    IMG_LONG_MAX,
    IMG_LONG_IGNORED
};
/* The arguments behind the options: complains where their number is not min..max. */
bool img_operands(ImgArgs *a, int min, int max, char ***operands, int *n);
bool img_json(const ImgArgs *a);

BlockImage *img_open(const ImgArgs *a, const char *file, const char *format, int flags);
/* "key=value,..." of -o, repeated ones joined; NULL after a complaint. */
Options *img_options(const ImgArgs *a);
/* Complains about an option that the format does not have. */
bool img_options_known(Options *o, const char *format);
/* Prints the creation options of a format where -o says "help". */
bool img_options_help(ImgArgs *a, const char *format);
char *img_json_text(const char *text); /* quoted; owned by the caller */
void img_progress(const ImgArgs *a, uint64_t done, uint64_t all);
bool img_is_zero(const uint8_t *p, size_t n);
