/* SPDX-License-Identifier: MIT */
/* The commands migrate, migrate_cancel and migrate_incoming. */
#include "core/command.h"
#include "migration/incoming.h"
#include "migration/outgoing.h"

static void migrate_run(CommandCall *call, Error *err)
{
    bool detach = command_flag(call, "d");
    Error none = ERROR_INIT;

    if (!outgoing_start(
            call->m, command_text(call, "uri"), call->out, detach ? NULL : call->out, err) ||
        detach)
        sink_done(call->out, error_is_set(err) ? err : &none);
}

static void migrate_cancel_run(CommandCall *call, Error *err)
{
    (void)err;
    outgoing_cancel(call->m);
}

static void migrate_incoming_run(CommandCall *call, Error *err)
{
    incoming_start_deferred(call->m, command_text(call, "uri"), call->out, err);
}

COMMAND(migrate, .name = "migrate", .args = "d:-d,uri:s", .usage = "[-d] uri",
    .help = "migrate to URI (using -d to not wait for completion)", .run = migrate_run,
    .async = true);
COMMAND(migrate_cancel, .name = "migrate_cancel", .args = "", .usage = "",
    .help = "cancel the current VM migration", .run = migrate_cancel_run);
COMMAND(migrate_incoming, .name = "migrate_incoming", .args = "uri:s", .usage = "uri",
    .help = "Continue an incoming migration from an -incoming defer", .run = migrate_incoming_run);
