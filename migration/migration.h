/* SPDX-License-Identifier: MIT */
/*
 * Saving, loading and moving a machine, from outside: what main needs.  Everything else is reached
 * through monitor commands.
 */
#pragma once

#include <stdbool.h>

#include "core/machine.h"

/* Registers what is no device: RAM, clock, globalstate.  Once, before the board is made. */
bool migration_init(Machine *m, Error *err);

/* Whether -global migration.PROPERTY=VALUE makes sense. */
bool migration_global_check(const char *property, const char *value, Error *err);

/* -incoming: waits for a stream on uri ("tcp:...", "unix:...", "exec:...", "fd:N", "file:...",
 * "defer"). */
bool migration_incoming(Machine *m, const char *uri, Error *err);

/* Prints what an URI may begin with, sorted ("-incoming help"). */
void migration_help_channels(void);

/* -loadvm: before the machine first runs. */
bool snapshot_load_at_start(Machine *m, const char *name, Error *err);

/* Before the machine first runs, without -loadvm: false where a loadvm over several disks was cut
 * short and they do not fit together. */
bool snapshot_guard_check(Machine *m, Error *err);

/* A snapshot is being saved or loaded: the guest waits, and may not change. */
bool snapshot_under_way(Machine *m);

/* The digest of RAM, devices and disks that `info hash` prints, as hex; g_free it. */
char *machine_digest(Machine *m, Error *err);

/* Saves the whole machine to memory and loads it back in place: what -torture does.  False (and the
 * machine as it was) where that fails. */
bool machine_roundtrip(Machine *m, Error *err);
