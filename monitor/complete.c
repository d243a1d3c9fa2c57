/* SPDX-License-Identifier: MIT */
/* Completion of the last word of a line: command names, drive ids, what a command offers itself. */
#include <ctype.h>
#include <glib.h>
#include <string.h>

#include "monitor/hmp.h"

typedef struct Completion {
    const char *prefix;
    void (*offer)(void *ctx, const char *word);
    void *ctx;
} Completion;

static void complete_offer(void *ctx, const char *word)
{
    Completion *c = ctx;
    if (g_str_has_prefix(word, c->prefix)) c->offer(c->ctx, word);
}

/* Command names; behind "info", its subjects. */
static void complete_names(Completion *c, bool info)
{
    SET_EACH (Command, cmd, commands) {
        if (g_str_has_prefix(cmd->name, "info ") != info) continue;
        char **names = g_strsplit(cmd->name + (info ? strlen("info ") : 0), "|", -1);
        for (char **n = names; *n; n++) complete_offer(c, *n);
        g_strfreev(names);
    }
}

static void complete_object(void *ctx, const char *id, void *obj)
{
    (void)obj;
    complete_offer(ctx, id);
}

/* Which argument the word-th word behind the command is: flags that were typed do not count. */
static bool complete_spec(const Command *cmd, unsigned word, ArgSpec *spec, unsigned *index)
{
    const char *p = cmd->args;
    unsigned n = 0;

    for (*index = 0; arg_spec_next(&p, spec); ++*index) {
        if (spec->type == '-' || spec->type == '/') continue;
        if (n++ == word) return true;
    }
    return false;
}

static void complete_argument(Machine *m, Completion *c, const Command *cmd, unsigned word)
{
    ArgSpec spec;
    unsigned index;

    if (!complete_spec(cmd, word, &spec, &index)) return;
    if (cmd->complete) {
        cmd->complete(m, index, c->prefix, complete_offer, c);
    } else if (spec.type == 'B') {
        machine_object_each(m, "drive", complete_object, c);
    } else if (spec.type == 'b') {
        complete_offer(c, "on");
        complete_offer(c, "off");
    }
}

void complete_line(
    Machine *m, const char *line, void (*offer)(void *ctx, const char *word), void *ctx)
{
    char **words = g_strsplit_set(line, " \t", -1);
    unsigned n = 0;
    Completion c = { .offer = offer, .ctx = ctx };

    /* Drop empty words, but for the last one: it is what is being typed. */
    for (unsigned i = 0; words[i]; i++) {
        if (*words[i] || !words[i + 1]) {
            char *w = words[i];
            words[i] = words[n];
            words[n++] = w;
        }
    }
    c.prefix = n ? words[n - 1] : "";
    bool info = n >= 2 && !strcmp(words[0], "info");
    if (n <= 1 || (n == 2 && (info || !strcmp(words[0], "help")))) {
        complete_names(&c, info);
    } else {
        char *name = info ? g_strdup_printf("info %s", words[1]) : g_strdup(words[0]);
        const Command *cmd = command_find(name);
        unsigned first = info ? 2 : 1, word = 0;
        for (unsigned i = first; i + 1 < n; i++) {
            if (words[i][0] != '-' && words[i][0] != '/') word++;
        }
        if (cmd) complete_argument(m, &c, cmd, word);
        g_free(name);
    }
    g_strfreev(words);
}
