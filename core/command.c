/* SPDX-License-Identifier: MIT */
/* Monitor commands, the side of those who write them: access to parsed arguments, output. */
#include "core/command.h"

#include <glib.h>
#include <string.h>

const Arg *command_arg(const CommandCall *call, const char *name)
{
    for (unsigned i = 0; i < call->nargs; i++) {
        if (!strcmp(call->args[i].name, name)) return &call->args[i];
    }
    g_error("command has no argument '%s'", name); /* a bug: table and code disagree */
}

const char *command_text(const CommandCall *call, const char *name)
{
    const Arg *arg = command_arg(call, name);
    return arg->given ? arg->text : NULL;
}

int64_t command_num(const CommandCall *call, const char *name, int64_t fallback)
{
    const Arg *arg = command_arg(call, name);
    return arg->given ? arg->num : fallback;
}

bool command_flag(const CommandCall *call, const char *name)
{
    const Arg *arg = command_arg(call, name);
    return arg->given && arg->num;
}

void sink_printf(Sink *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    s->write(s, text);
    g_free(text);
}

void sink_done(Sink *s, const Error *err) { s->done(s, err); }
