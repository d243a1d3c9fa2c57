/* SPDX-License-Identifier: MIT */
/* The commands migrate, migrate_cancel, migrate_continue, migrate_start_postcopy, migrate_pause,
 * migrate_recover and migrate_incoming. */
#include "core/command.h"
#include "migration/block_migration.h"
#include "migration/incoming.h"
#include "migration/info.h"
#include "migration/outgoing.h"

static void migrate_run(CommandCall *call, Error *err)
{
    bool detach = command_flag(call, "d");
    Sink *waiter = detach ? NULL : call->out;
    const char *uri = command_text(call, "uri");
    Error none = ERROR_INIT;
    bool ok;

    if (command_flag(call, "r")) {
        ok = outgoing_resume(call->m, uri, call->out, waiter, err);
    } else {
        ok = block_options_begin(call->m, command_flag(call, "b"), command_flag(call, "i"), err) &&
             outgoing_start(call->m, uri, call->out, waiter, err);
        if (!ok && !migration_under_way(call->m)) block_options_end(call->m);
    }
    if (!ok || detach) sink_done(call->out, error_is_set(err) ? err : &none);
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

static void migrate_start_postcopy_run(CommandCall *call, Error *err)
{
    outgoing_start_postcopy(call->m, err);
}

static void migrate_continue_run(CommandCall *call, Error *err)
{
    outgoing_continue(call->m, command_text(call, "state"), err);
}

static void migrate_pause_run(CommandCall *call, Error *err) { migrate_pause(call->m, err); }

static void migrate_recover_run(CommandCall *call, Error *err)
{
    incoming_recover(call->m, command_text(call, "uri"), call->out, err);
}

COMMAND(migrate_pause, .name = "migrate_pause", .args = "", .usage = "",
    .help = "Pause an ongoing migration (postcopy-only)", .run = migrate_pause_run);
COMMAND(migrate_recover, .name = "migrate_recover", .args = "uri:s", .usage = "uri",
    .help = "Continue a paused incoming postcopy migration", .run = migrate_recover_run);
COMMAND(migrate_start_postcopy, .name = "migrate_start_postcopy", .args = "", .usage = "",
    .help = "lets the guest of a running migration go before its RAM; postcopy-ram is on at both "
            "ends",
    .run = migrate_start_postcopy_run);
COMMAND(migrate_continue, .name = "migrate_continue", .args = "state:s", .usage = "state",
    .help = "Continue migration from the given paused state", .run = migrate_continue_run);
COMMAND(migrate, .name = "migrate", .args = "d:-d,b:-b,i:-i,r:-r,uri:s",
    .usage = "[-d] [-b] [-i] [-r] uri",
    .help = "migrate to URI (using -d to not wait for completion)\n"
            "-b for migration without shared storage with full copy of disk\n"
            "-i for migration without shared storage with incremental copy of disk (base image "
            "shared between src and destination)\n"
            "-r to resume a paused postcopy migration",
    .run = migrate_run, .async = true);
COMMAND(migrate_cancel, .name = "migrate_cancel", .args = "", .usage = "",
    .help = "cancel the current VM migration", .run = migrate_cancel_run);
COMMAND(migrate_incoming, .name = "migrate_incoming", .args = "uri:s", .usage = "uri",
    .help = "Continue an incoming migration from an -incoming defer", .run = migrate_incoming_run);
