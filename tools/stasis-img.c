/* SPDX-License-Identifier: MIT */
/* stasis-img: the commands' list, their help, and the options that they share. */
#include "tools/stasis-img.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bits.h"

int img_fail(const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fprintf(stderr, "stasis-img: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    return IMG_FAILED;
}

int img_fail_error(const Error *err) { return img_fail("%s", err->msg); }

static const ImgCommand *img_find(const char *name)
{
    SET_EACH (ImgCommand, cmd, img_commands) {
        if (!strcmp(cmd->name, name)) return cmd;
    }
    return NULL;
}

static void img_help_command(const ImgCommand *cmd)
{
    printf("Usage: stasis-img %s %s\n\n%s", cmd->name, cmd->usage, cmd->help);
    if (strstr(cmd->usage, "-f "))
        printf("  -f FMT        the image's format; guessed without it\n");
    if (strstr(cmd->usage, "[-U]")) printf("  -U            open even if another process has it\n");
    if (strstr(cmd->usage, "[-q]")) printf("  -q            print errors only\n");
    if (strstr(cmd->usage, "[-p]")) printf("  -p            show the progress\n");
    if (strstr(cmd->usage, "--output")) printf("  --output=FMT  human or json\n");
}

static int img_order(const void *a, const void *b)
{
    return strcmp((*(const ImgCommand *const *)a)->name, (*(const ImgCommand *const *)b)->name);
}

static void img_help(void)
{
    GPtrArray *all = g_ptr_array_new();

    printf("stasis-img version " STASIS_VERSION "\n"
           "Usage: stasis-img COMMAND [OPTIONS]     stasis-img COMMAND --help\n"
           "Makes, examines and changes disk images.\n\nCommands:\n");
    SET_EACH (ImgCommand, cmd, img_commands) g_ptr_array_add(all, (gpointer)cmd);
    qsort(all->pdata, all->len, sizeof(gpointer), img_order);
    for (guint i = 0; i < all->len; i++) {
        const ImgCommand *cmd = g_ptr_array_index(all, i);

        printf("  %s %s\n", cmd->name, cmd->usage);
    }
    g_ptr_array_free(all, TRUE);
    printf("\nA size is a number of bytes, or has a suffix k, M, G, T, P or E.\n");
    block_formats_help();
}

static const struct option img_longs[] = {
    { "help", no_argument, NULL, 'h' },
    { "output", required_argument, NULL, 'J' },
    { "shrink", no_argument, NULL, IMG_LONG_SHRINK },
    { "preallocation", required_argument, NULL, IMG_LONG_PREALLOCATION },
    { "backing-chain", no_argument, NULL, IMG_LONG_BACKING_CHAIN },
    { "start-offset", required_argument, NULL, IMG_LONG_START },
    { "max-length", required_argument, NULL, IMG_LONG_MAX },
    { "force-share", no_argument, NULL, 'U' },
    { 0 },
};

/* True where the option was one of the shared ones. */
static bool img_shared_option(ImgArgs *a, int c)
{
    char *joined;

    switch (c) {
    case 'f': a->format = optarg; return true;
    case 'U': a->shared = true; return true;
    case 'q': a->quiet = true; return true;
    case 'p': a->progress = true; return true;
    case 'J':
        a->output = optarg;
        if (!strcmp(optarg, "json") || !strcmp(optarg, "human")) return true;
        img_fail("--output must be used with human or json as argument.");
        a->bad = true;
        return true;
    case 'o':
        joined = a->options ? g_strdup_printf("%s,%s", a->options, optarg) : g_strdup(optarg);
        g_free(a->options);
        a->options = joined;
        return true;
    default: return false;
    }
}

int img_next(ImgArgs *a, char **value)
{
    char shorts[64];

    if (!a->command) {
        a->command = a->argv[0];
        optind = 1;
        opterr = 0;
    }
    snprintf(shorts, sizeof(shorts), ":h%s", a->shorts);
    while (!a->bad) {
        int c = getopt_long(a->argc, a->argv, shorts, img_longs, NULL);

        if (c == -1) return -1;
        if (c == 'h') {
            img_help_command(img_find(a->command));
            a->help = true;
            return -1;
        }
        if (c == '?' || c == ':') {
            img_fail(c == ':' ? "option '%s' needs a value; try 'stasis-img %s --help'"
                              : "unknown option '%s'; try 'stasis-img %s --help'",
                a->argv[optind - 1], a->command);
            a->bad = true;
            return -1;
        }
        if (img_shared_option(a, c)) continue;
        *value = optarg;
        return c;
    }
    return -1;
}

bool img_operands(ImgArgs *a, int min, int max, char ***operands, int *n)
{
    *operands = a->argv + optind;
    *n = a->argc - optind;
    if (a->help || a->bad) return false;
    if (*n >= min && *n <= max) return true;
    img_fail("%s; try 'stasis-img %s --help'",
        *n < min ? "Not enough arguments" : "Too many arguments", a->command);
    a->bad = true;
    return false;
}

bool img_json(const ImgArgs *a) { return a->output && !strcmp(a->output, "json"); }

BlockImage *img_open(const ImgArgs *a, const char *file, const char *format, int flags)
{
    Error err = ERROR_INIT;
    BlockImage *img = image_open(file, format, flags | (a->shared ? IMAGE_NO_LOCK : 0), &err);

    if (!img) img_fail_error(&err);
    return img;
}

Options *img_options(const ImgArgs *a)
{
    Error err = ERROR_INIT;
    Options *o = a->options ? options_parse(a->options, NULL, &err) : options_new();

    if (!o) img_fail_error(&err);
    return o;
}

bool img_options_known(Options *o, const char *format)
{
    const ImageOption *known = image_create_options(format);

    for (guint i = 0; i < o->entries->len; i++) {
        const OptionsEntry *e = g_ptr_array_index(o->entries, i);
        const ImageOption *k = known;

        while (k && k->name && strcmp(k->name, e->key)) k++;
        if (k && k->name) continue;
        img_fail("Invalid parameter '%s'; -o help lists the options of %s", e->key, format);
        return false;
    }
    return true;
}

bool img_options_help(ImgArgs *a, const char *format)
{
    const ImageOption *o = image_create_options(format);

    if (!a->options || (strcmp(a->options, "help") && strcmp(a->options, "?"))) return false;
    printf("Supported options:\n");
    for (; o && o->name; o++) {
        int n = printf("  %s=%s", o->name, o->type);

        printf("%*s - %s\n", n < 24 ? 24 - n : 0, "", o->help);
    }
    g_free(a->options);
    a->options = NULL;
    return true;
}

char *img_json_text(const char *text)
{
    GString *s = g_string_new("\"");

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            g_string_append_printf(s, "\\%c", c);
        } else if (c < 0x20) {
            g_string_append_printf(s, "\\u%04x", c);
        } else {
            g_string_append_c(s, (char)c);
        }
    }
    g_string_append_c(s, '"');
    return g_string_free(s, FALSE);
}

void img_progress(const ImgArgs *a, uint64_t done, uint64_t all)
{
    if (!a->progress) return;
    printf("    (%3.2f/100%%)\r", all ? 100.0 * (double)done / (double)all : 100.0);
    if (done >= all) printf("\n");
    fflush(stdout);
}

bool img_is_zero(const uint8_t *p, size_t n) { return !n || (!p[0] && !memcmp(p, p + 1, n - 1)); }

int main(int argc, char **argv)
{
    const ImgCommand *cmd;

    if (argc < 2) {
        img_fail("Not enough arguments; try 'stasis-img --help'");
        return IMG_FAILED;
    }
    if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
        img_help();
        return IMG_OK;
    }
    if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
        printf("stasis-img version " STASIS_VERSION "\n");
        return IMG_OK;
    }
    cmd = img_find(argv[1]);
    if (!cmd) return img_fail("Command not found: %s; try 'stasis-img --help'", argv[1]);
    return cmd->run(argc - 1, argv + 1);
}
