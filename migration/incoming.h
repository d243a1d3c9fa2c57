/* SPDX-License-Identifier: MIT */
/*
 * The side that a guest arrives on.
 *
 *   waiting -> setup     incoming_start: listens, or opens
 *   setup -> active      incoming_accept: bytes come in and are parsed as they come
 *   active -> completed  incoming_arrive: disks taken, everything committed, guest runs
 *   active -> postcopy-active   incoming_run: likewise, but for pages that are still to come ...
 *   postcopy-active -> completed   incoming_arrived: ... and now have
 *   postcopy-active -> postcopy-paused   incoming_fail: the guest waits for pages for good
 *   active -> failed     incoming_fail: nothing has changed; -incoming ends the process, a deferred
 *                        one waits for the next migrate_incoming
 */
#pragma once

#include "core/command.h"
#include "core/machine.h"
#include "migration/outgoing.h"

/* From the monitor, where -incoming defer was given. */
bool incoming_start_deferred(Machine *m, const char *uri, Sink *getfd, Error *err);
MigrationStatus incoming_status(Machine *m);
/* The guest runs here and pages of it are still to come. */
bool incoming_late(Machine *m);
