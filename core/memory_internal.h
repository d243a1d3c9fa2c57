/* SPDX-License-Identifier: MIT */
/* What the files behind core/memory.h share. */
#pragma once

#include "core/machine.h"
#include "core/memory.h"

typedef struct FlatView {
    FlatRange *ranges;
    size_t n;
} FlatView;

typedef struct PortRange PortRange;
struct PortRange {
    uint32_t port, count, first_reg;
    const IoOps *ops;
    Device *dev;
    const char *name;
    PortRange *next; /* the newest first */
};

typedef struct DmaWaiter DmaWaiter;
struct DmaWaiter { /* a device whose DMA met an absent page */
    Device *dev;
    RamBlock *block;
    uint64_t page;
    void (*resume)(Device *dev);
    DmaWaiter *next;
};

struct Memory {
    RamBlock *blocks;
    MemRegion *regions; /* sorted by priority, the highest first */
    FlatView view[2];   /* [1]: in SMM */
    MemListener *listeners;
    PageSource source;
    DmaWaiter *waiters;
    PortRange *ports;
    PortRange **port_map; /* 65536 entries: who answers; derived from ports */
};

void memory_free_ports(Memory *mem);
