/* SPDX-License-Identifier: MIT */
/* Migration parameters: one table gives names, limits and texts. */
#pragma once

#include "core/machine.h"

typedef struct MigrationParameters {
    uint64_t compress_level, compress_threads, decompress_threads;
    uint64_t throttle_trigger_threshold, cpu_throttle_initial, cpu_throttle_increment;
    uint64_t max_cpu_throttle;
    uint64_t max_bandwidth;  /* bytes per second */
    uint64_t downtime_limit; /* ms */
    uint64_t checkpoint_delay, multifd_channels;
    uint64_t xbzrle_cache_size, max_postcopy_bandwidth;
    bool compress_wait_thread, cpu_throttle_tailslow, block_incremental;
} MigrationParameters;

MigrationParameters *migration_parameters(Machine *m);
