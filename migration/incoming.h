/* SPDX-License-Identifier: MIT */
/*
 * The side that a guest arrives on.
 *
 *   waiting -> setup     incoming_start: listens, or opens
 *   setup -> active      incoming_accept: bytes come in and are parsed as they come
 *   active -> completed  incoming_arrive: disks taken, everything committed, guest runs
 *   active -> completed, paused   incoming_orphan: everything is here, but the source went without
 *                        the last word
 *   active -> postcopy-active   incoming_run: likewise, but for pages that are still to come ...
 *   postcopy-active -> completed   incoming_arrived: ... and now have
 *   postcopy-active -> postcopy-paused    incoming_fail, incoming_pause_postcopy: the connection is
 *                        lost or given up; the guest runs until it needs a page
 *   active -> postcopy-paused    incoming_fail: likewise, and the word RUN is still to come
 *   postcopy-paused -> postcopy-recover   incoming_go_on: a new connection, after incoming_recover
 *   postcopy-recover -> postcopy-active   incoming_resumed: the source has said RESUME
 *   postcopy-recover -> postcopy-paused   incoming_fail: that one is lost, too
 *   completed -> postcopy-recover         incoming_go_on: the source has missed the last word
 *   active -> failed     incoming_fail: nothing has changed; -incoming ends the process, a deferred
 *                        one waits for the next migrate_incoming
 */
#pragma once

#include "core/command.h"
#include "core/machine.h"
#include "migration/outgoing.h"

/* From the monitor, where -incoming defer was given. */
bool incoming_start_deferred(Machine *m, const char *uri, Sink *getfd, Error *err);
/* A post-copy that lost its connection, or whose last word was lost, goes on over one that comes in
 * by uri. */
bool incoming_recover(Machine *m, const char *uri, Sink *getfd, Error *err);
/* Gives the connection of a running post-copy up; false where there is none. */
bool incoming_pause_postcopy(Machine *m);
MigrationStatus incoming_status(Machine *m);
/* The guest runs here and pages of it are still to come. */
bool incoming_late(Machine *m);
