/* SPDX-License-Identifier: MIT */
/* The facts of a migration: what `info migrate` prints and query-migrate is built from. */
#pragma once

#include "migration/block_migration.h"
#include "migration/blocktime.h"
#include "migration/outgoing.h"
#include "migration/ram.h"

typedef struct MigrationInfo {
    MigrationStatus status; /* MIGRATION_NONE: there was none, and nothing else is filled */
    bool incoming;          /* told by the side that a guest arrives on: only status is filled */
    const char *error;      /* why it failed, or NULL; lives until the next migration */
    bool has_times;         /* the fields down to setup_ms are filled, and those of RAM */
    int64_t total_ms;
    int64_t downtime_ms;          /* once completed; -1 before */
    int64_t expected_downtime_ms; /* until completed; -1 then */
    int64_t setup_ms;
    unsigned throttle; /* percent, of auto-converge; 0: it has not begun */
    RamStats ram;
    bool has_disk; /* disks are being sent */
    BlockTotals disk;
    uint64_t remaining; /* bytes */
    double mbps;
    uint64_t pages_per_second;
    const Blocktime *blocktime; /* where a guest has arrived by post-copy and it was measured */
    uint64_t dirty_pages_rate;  /* pages that the guest makes dirty in a second, until it is over */
} MigrationInfo;

/* The outgoing migration's, once there is one; otherwise the incoming one's. */
MigrationInfo migration_info(Machine *m);
/* A migration goes on in either direction. */
bool migration_under_way(Machine *m);

/* Of the pages that were looked for in the cache, how many were not there. */
double xbzrle_miss_rate(const RamStats *s);
/* How many times longer the pages are than their differences. */
double xbzrle_encoding_rate(const RamStats *s);
/* Of the pages that threads might have compressed, how many they did not get to. */
double compress_busy_rate(const RamStats *s);
/* How many times longer the pages are than what was made of them. */
double compress_rate(const RamStats *s);
/* Gives the connection of a running post-copy up, on either side. */
bool migrate_pause(Machine *m, Error *err);
