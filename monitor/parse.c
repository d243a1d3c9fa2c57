/* SPDX-License-Identifier: MIT */
/* Command lines of the monitor: which command, and its arguments by their declared types. */
#include "monitor/parse.h"

#include <ctype.h>
#include <glib.h>
#include <string.h>

enum { ARGS_MAX = 16, FORMAT_COUNT_MAX = 1 << 24 };

/* -- lines -- */

void parse_state_init(ParseState *ps)
{
    ps->format = 'x';
    ps->size = 4;
}

bool command_name_matches(const char *names, const char *name, size_t len)
{
    const char *prefix_end = strrchr(names, ' '); /* "info a|b": the alternatives share "info " */
    size_t prefix = prefix_end ? (size_t)(prefix_end - names) + 1 : 0;

    if (len < prefix || strncmp(names, name, prefix)) return false;
    name += prefix;
    len -= prefix;
    for (const char *p = names + prefix;; p++) {
        size_t n = strcspn(p, "|");
        if (n == len && !strncmp(p, name, n)) return true;
        p += n;
        if (!*p) return false;
    }
}

const Command *command_find(const char *name)
{
    SET_EACH (Command, cmd, commands) {
        if (command_name_matches(cmd->name, name, strlen(name))) return cmd;
    }
    return NULL;
}

static const char *parse_skip(const char *p)
{
    while (isspace((unsigned char)*p)) p++;
    return p;
}

/* "unknown command: 'x'" and, where something is near, a second line. */
static char *parse_unknown(const char *typed)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    SET_EACH (Command, cmd, commands) {
        const char *bar = strchr(cmd->name, '|');
        g_ptr_array_add(
            names, bar ? g_strndup(cmd->name, (size_t)(bar - cmd->name)) : g_strdup(cmd->name));
    }
    const char *near = did_you_mean(typed, (const char *const *)names->pdata, names->len);
    char *text = near
                     ? g_strdup_printf("unknown command: '%s'\nDid you mean \"%s\"?\n", typed, near)
                     : g_strdup_printf("unknown command: '%s'\n", typed);
    g_ptr_array_unref(names);
    return text;
}

bool parse_line(const char *line, ParsedLine *out, char **complaint)
{
    const char *p = parse_skip(line);
    size_t n = strcspn(p, " \t\r\n/"); /* x/4x is x */

    *out = (ParsedLine){ .rest = p };
    if (!*p) return true;
    if (n == 0) n = strcspn(p, " \t\r\n");
    out->typed = g_strndup(p, n);
    p = parse_skip(p + n);
    if (!strcmp(out->typed, "info") && *p) {
        n = strcspn(p, " \t\r\n/");
        char *both = g_strdup_printf("info %.*s", (int)n, p);
        g_free(out->typed);
        out->typed = both;
        p = parse_skip(p + n);
    }
    out->rest = p;
    out->cmd = command_find(out->typed);
    if (out->cmd) return true;
    *complaint = parse_unknown(out->typed);
    return false;
}

/* -- words -- */

static bool parse_quoted(const char **p, GString *word, Error *err)
{
    const char *s = *p + 1;

    for (; *s != '"'; s++) {
        if (!*s) return error_set(err, "unterminated string");
        if (*s != '\\') {
            g_string_append_c(word, *s);
            continue;
        }
        s++;
        switch (*s) {
        case 'n': g_string_append_c(word, '\n'); break;
        case 'r': g_string_append_c(word, '\r'); break;
        case '\\':
        case '\'':
        case '"': g_string_append_c(word, *s); break;
        case 0: return error_set(err, "unterminated string");
        default: return error_set(err, "unsupported escape code: '\\%c'", *s);
        }
    }
    *p = s + 1;
    return true;
}

char *parse_word(const char **p, Error *err)
{
    const char *s = parse_skip(*p);

    *p = s;
    if (!*s) return NULL;
    if (*s == '"') {
        GString *word = g_string_new(NULL);
        if (parse_quoted(&s, word, err)) {
            *p = s;
            return g_string_free(word, FALSE);
        }
        g_string_free(word, TRUE);
        return NULL;
    }
    while (*s && !isspace((unsigned char)*s)) s++;
    char *word = g_strndup(*p, (size_t)(s - *p));
    *p = s;
    return word;
}

/* -- arguments -- */

bool arg_spec_next(const char **p, ArgSpec *spec)
{
    const char *s = *p;

    if (!s || !*s) return false;
    size_t n = strcspn(s, ":");
    g_assert(s[n] == ':' && n < sizeof(spec->name));
    *spec = (ArgSpec){ 0 };
    memcpy(spec->name, s, n);
    s += n + 1;
    spec->type = *s++;
    if (spec->type == '-') {
        spec->flag = *s++;
        spec->optional = true;
        if (*s == 's') {
            spec->flag_takes_word = true;
            s++;
        }
    }
    if (*s == '?') {
        spec->optional = true;
        s++;
    }
    g_assert(!*s || *s == ',');
    *p = *s ? s + 1 : s;
    return true;
}

typedef struct ArgParser {
    Machine *m;
    ParseState *ps;
    const ParsedLine *line;
    const char *p;
    Error *err;
} ArgParser;

/* "savevm" of "savevm|sv", "snapshots" of "info snapshots": what complaints begin with. */
static const char *arg_command(const ArgParser *ap)
{
    const char *space = strchr(ap->line->typed, ' ');
    return space ? space + 1 : ap->line->typed;
}

static bool arg_text(ArgParser *ap, Arg *arg, const char *what)
{
    arg->text = parse_word(&ap->p, ap->err);
    if (arg->text) return arg->given = true;
    return error_set(ap->err, "%s: %s expected", arg_command(ap), what);
}

static bool arg_integer(ArgParser *ap, Arg *arg, char type)
{
    if (!parse_expr(ap->m, &ap->p, &arg->num, ap->err)) return false;
    if (type == 'i' && (uint64_t)arg->num >> 32 && arg->num >> 31 != -1) {
        return error_set(ap->err, "'%s' has failed: integer is for 32-bit values", arg_command(ap));
    }
    return arg->given = true;
}

static bool arg_size(ArgParser *ap, Arg *arg)
{
    uint64_t bytes = 0;

    if (!arg_text(ap, arg, "size")) return false;
    if (!parse_size(arg->text, 'M', &bytes, NULL) || bytes > INT64_MAX) {
        return error_set(ap->err, "invalid size");
    }
    arg->num = (int64_t)bytes;
    return true;
}

static bool arg_switch(ArgParser *ap, Arg *arg)
{
    Error ignored = ERROR_INIT;

    arg->text = parse_word(&ap->p, &ignored);
    if (arg->text && !strcmp(arg->text, "on")) {
        arg->num = 1;
    } else if (!arg->text || strcmp(arg->text, "off")) {
        return error_set(ap->err, "Expected 'on' or 'off'");
    }
    return arg->given = true;
}

/* "/4xw": count, format letter, size letter, each optional. */
static bool arg_format(ArgParser *ap, Arg *arg)
{
    const char *p = ap->p;
    char letter = 0;
    int size = 0;

    arg->count = 1;
    arg->format = ap->ps->format;
    arg->size = ap->ps->format == 'i' ? 0 : ap->ps->size;
    if (*p != '/') return true;
    p++;
    if (isdigit((unsigned char)*p)) {
        uint64_t count = strtoull(p, (char **)&p, 10);
        if (count > FORMAT_COUNT_MAX) return error_set(ap->err, "invalid count in format");
        arg->count = (int)count;
    }
    for (; *p && strchr("oduxicbhwgL", *p); p++) {
        switch (*p) {
        case 'b': size = 1; break;
        case 'h': size = 2; break;
        case 'w': size = 4; break;
        case 'g':
        case 'L': size = 8; break;
        default: letter = *p;
        }
    }
    if (*p && !isspace((unsigned char)*p)) {
        return error_set(ap->err, "invalid char in format: '%c'", *p);
    }
    arg->given = true;
    arg->format = ap->ps->format = letter ? letter : ap->ps->format;
    if (arg->format != 'i')
        arg->size = ap->ps->size = size ? size : ap->ps->size;
    else
        arg->size = size;
    ap->p = p;
    return true;
}

static bool arg_flag(ArgParser *ap, const ArgSpec *spec, Arg *arg)
{
    const char *p = ap->p;

    if (p[0] != '-' || !p[1]) return true;
    if (p[1] != spec->flag) {
        /* Perhaps the flag of a later entry; what nobody takes is refused in parse_args. */
        return true;
    }
    if (p[2] && !isspace((unsigned char)p[2])) {
        return error_set(
            ap->err, "%s: unsupported option %.*s", arg_command(ap), (int)strcspn(p, " \t"), p);
    }
    ap->p = p + 2;
    if (spec->flag_takes_word) return arg_text(ap, arg, "string");
    arg->num = 1;
    return arg->given = true;
}

static bool arg_value(ArgParser *ap, const ArgSpec *spec, Arg *arg)
{
    switch (spec->type) {
    case 's': return arg_text(ap, arg, "string");
    case 'F': return arg_text(ap, arg, "filename");
    case 'B': return arg_text(ap, arg, "block device name");
    case 'i':
    case 'l': return arg_integer(ap, arg, spec->type);
    case 'o': return arg_size(ap, arg);
    case 'b': return arg_switch(ap, arg);
    case 'S':
        if (!*ap->p) return error_set(ap->err, "%s: string expected", arg_command(ap));
        arg->text = g_strdup(ap->p);
        ap->p += strlen(ap->p);
        return arg->given = true;
    default: g_error("argument type '%c' of '%s'", spec->type, ap->line->cmd->name);
    }
}

/* Flags may stand in any order in front of the first argument of another kind, each once. */
static bool arg_flags(ArgParser *ap, const ArgSpec *specs, Arg *args, unsigned n)
{
    for (bool progress = true; progress;) {
        progress = false;
        for (unsigned i = 0; i < n; i++) {
            if (args[i].given) continue;
            ap->p = parse_skip(ap->p);
            if (!arg_flag(ap, &specs[i], &args[i])) return false;
            progress |= args[i].given;
        }
    }
    ap->p = parse_skip(ap->p);
    /* A word that looks like a flag is none of ours; a lone "-1" may be a number. */
    if (n && ap->p[0] == '-' && isalpha((unsigned char)ap->p[1])) {
        return error_set(ap->err, "%s: unsupported option %.*s", arg_command(ap),
            (int)MIN_OF(2, strcspn(ap->p, " \t")), ap->p);
    }
    return true;
}

static bool args_fill(ArgParser *ap, const ArgSpec *specs, Arg *args, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ap->p = parse_skip(ap->p);
        if (specs[i].type == '-') {
            unsigned flags = 1;
            while (i + flags < n && specs[i + flags].type == '-') flags++;
            if (!arg_flags(ap, &specs[i], &args[i], flags)) return false;
            i += flags - 1;
            continue;
        }
        if (specs[i].type == '/') {
            if (!arg_format(ap, &args[i])) return false;
            continue;
        }
        if (specs[i].optional && !*ap->p) continue;
        if (!arg_value(ap, &specs[i], &args[i])) return false;
    }
    ap->p = parse_skip(ap->p);
    if (*ap->p)
        return error_set(ap->err, "%s: extraneous characters at the end of line", arg_command(ap));
    return true;
}

Arg *parse_args(Machine *m, ParseState *ps, const ParsedLine *line, unsigned *n, char **complaint)
{
    Error err = ERROR_INIT;
    ArgSpec specs[ARGS_MAX];
    const char *spec = line->cmd->args;
    ArgParser ap = { .m = m, .ps = ps, .line = line, .p = line->rest, .err = &err };

    *n = 0;
    while (arg_spec_next(&spec, &specs[*n])) {
        ++*n;
        g_assert(*n < ARGS_MAX);
    }
    Arg *args = g_new0(Arg, *n + 1);
    for (unsigned i = 0; i < *n; i++) args[i].name = g_intern_string(specs[i].name);
    if (args_fill(&ap, specs, args, *n)) return args;
    parse_args_free(args, *n);
    *complaint =
        g_strdup_printf("%s\nTry \"help %s\" for more information\n", err.msg, line->typed);
    return NULL;
}

void parse_args_free(Arg *args, unsigned n)
{
    for (unsigned i = 0; i < n; i++) g_free(args[i].text);
    g_free(args);
}
