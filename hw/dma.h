/* SPDX-License-Identifier: MIT */
/*
 * ISA DMA, as a device on the bus sees it: it asks for its channel (0 to 7) and moves bytes.
 * Which way they go is the device's business and must agree with the channel's mode.
 */
#pragma once

#include "core/machine.h"

/* What wants to know when its channel has become usable: unmasked, reprogrammed, or its memory has
 * arrived.  It tries again then. */
typedef struct IsaDmaClient {
    void (*ready)(void *opaque);
    void *opaque;
} IsaDmaClient;

typedef enum IsaDmaDir {
    ISA_DMA_TO_MEMORY, /* the controller's "write": from the device to memory */
    ISA_DMA_FROM_MEMORY,
    ISA_DMA_VERIFY, /* counts only */
} IsaDmaDir;

/* Takes a channel; fails where it is taken or the machine has no DMA controllers. */
bool isa_dma_attach(Machine *m, unsigned channel, const IsaDmaClient *client, Error *err);
void isa_dma_detach(Machine *m, unsigned channel);

/* The device's DREQ line. */
void isa_dma_request(Machine *m, unsigned channel, bool level);

/* What the channel is programmed to do. */
IsaDmaDir isa_dma_direction(Machine *m, unsigned channel);

/* Bytes that can be moved before terminal count; 0 while the channel is masked or disabled. */
size_t isa_dma_space(Machine *m, unsigned channel);

/* Moves up to len bytes between buf and memory and counts them; *tc tells whether that ended the
 * transfer (TC pin).  Moves nothing while a page of memory is on its way: ready() follows. */
size_t isa_dma_move(Machine *m, unsigned channel, void *buf, size_t len, bool *tc);
