/* SPDX-License-Identifier: MIT */
/* Capabilities whose names are known to scripts, and which Stasis does not have. */
#include "migration/capability.h"

#define UNAVAILABLE(ident, wire_name, place, why)                                                  \
    CAPABILITY(ident, .name = wire_name, .rank = place, .unavailable = why)

UNAVAILABLE(rdma_pin_all, "rdma-pin-all", 1, "there is no RDMA channel");
UNAVAILABLE(x_colo, "x-colo", 7, "two copies do not run in step");
UNAVAILABLE(multifd, "multifd", 12, "one channel carries everything");
UNAVAILABLE(dirty_bitmaps, "dirty-bitmaps", 13, "images keep no dirty bitmaps");
CAPABILITY(x_ignore_shared, .name = "x-ignore-shared", .rank = 16, .both = true,
    .unavailable = "all RAM is sent");
UNAVAILABLE(background_snapshot, "background-snapshot", 18, "snapshots stop the guest");
UNAVAILABLE(zero_copy_send, "zero-copy-send", 19, "one channel carries everything");
UNAVAILABLE(postcopy_preempt, "postcopy-preempt", 20, "one channel carries everything");
