/* SPDX-License-Identifier: MIT */
/*
 * The side that a guest leaves.
 *
 *   none -> setup      outgoing_start: the channel is being opened
 *   setup -> active    outgoing_connected: RAM goes out in rounds while the guest runs
 *   active -> device   outgoing_switchover: guest stopped, disks given up, the rest goes out
 *   active -> pre-switchover -> device   where pause-before-switchover is on: guest stopped,
 *                      outgoing_continue goes on
 *   device -> postcopy-active   outgoing_leave: migrate_start_postcopy has come, the guest is
 *                      over there, the rest of its RAM goes after it
 *   postcopy-active -> completed   outgoing_last_word: the far side has every page
 *   postcopy-active -> postcopy-paused   outgoing_lost: the channel broke or was given up
 *                      (migrate_pause); the guest is not here
 *   postcopy-paused -> postcopy-recover   outgoing_resume: a new channel is being opened, the far
 *                      side tells which pages it has
 *   postcopy-recover -> postcopy-active   outgoing_acknowledged: and goes on
 *   postcopy-recover -> postcopy-paused   outgoing_lost
 *   device -> completed  outgoing_complete: all is written and the far side has it
 *   before postcopy-active -> cancelled, failed   outgoing_abandon: the guest runs on here, with
 *                      its disks
 */
#pragma once

#include "core/command.h"
#include "core/machine.h"

typedef enum MigrationStatus {
    MIGRATION_NONE,
    MIGRATION_SETUP,
    MIGRATION_ACTIVE,
    MIGRATION_PRE_SWITCHOVER,
    MIGRATION_DEVICE,
    MIGRATION_POSTCOPY_ACTIVE,
    MIGRATION_POSTCOPY_PAUSED,
    MIGRATION_POSTCOPY_RECOVER,
    MIGRATION_COMPLETED,
    MIGRATION_FAILED,
    MIGRATION_CANCELLED,
} MigrationStatus;

typedef struct Outgoing Outgoing;
struct MigrationInfo;

const char *migration_status_name(MigrationStatus s);
MigrationStatus outgoing_status(Machine *m);

/* waiter (may be NULL) gets sink_done when all is over. */
bool outgoing_start(Machine *m, const char *uri, Sink *getfd, Sink *waiter, Error *err);
/* Goes on with a post-copy whose channel broke, over a new one. */
bool outgoing_resume(Machine *m, const char *uri, Sink *getfd, Sink *waiter, Error *err);
/* Gives the channel of a running post-copy up; false where there is none. */
bool outgoing_pause_postcopy(Machine *m);
void outgoing_cancel(Machine *m);
/* The guest goes at once, its RAM follows. */
bool outgoing_start_postcopy(Machine *m, Error *err);
/* Out of pre-switchover, which state has to name. */
bool outgoing_continue(Machine *m, const char *state, Error *err);
bool outgoing_under_way(Machine *m);
/* Fills what info.h says of this side; there is a migration. */
void outgoing_info(Machine *m, struct MigrationInfo *i);
