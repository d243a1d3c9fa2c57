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

typedef struct PageWaiter PageWaiter;
struct PageWaiter { /* a device (or a CPU) that met an absent page, or whoever else wants it */
    RamBlock *block;
    uint64_t page;
    Device *dev;
    void (*resume)(Device *dev);
    void (*told)(void *opaque, bool there); /* without a device */
    void *opaque;
    PageWaiter *next;
};

/* Who sees the map: everyone, CPUs in SMM, and these where they fetch code. */
enum MemView { VIEW_ALL, VIEW_SMM, VIEW_SMM_CODE, VIEW_COUNT };

struct Memory {
    RamBlock *blocks;
    MemRegion *regions; /* sorted by priority, the highest first */
    FlatView view[VIEW_COUNT];
    bool code_differs; /* between the last two of them */
    MemListener *listeners;
    PageSource source;
    PageWaiter *waiters;
    PortRange *ports;
    PortRange **port_map; /* 65536 entries: who answers; derived from ports */
    int pagemap;          /* of this process, or -1: ram_is_hole */
};

void memory_free_ports(Memory *mem);
/* Bytes start to end of an absent page are being written: they are newer than what will come. */
void absent_written(RamBlock *b, uint64_t page, uint64_t start, uint64_t end);
/* The device (NULL: anyone) waits no more. */
void absent_forget(Memory *mem, Device *dev);
