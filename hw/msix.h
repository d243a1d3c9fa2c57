/* SPDX-License-Identifier: MIT */
/*
 * MSI-X: interrupts of a PCI device as writes to memory.  Source: PCI Local Bus Specification 3.0,
 * chapter 6.8.2.
 *
 * A device's state holds an MsixState; the table of vectors and the bits of those that wait stand
 * in a memory BAR of their own.  pci.c tells what is written to configuration space.
 */
#pragma once

#include "hw/pci.h"

enum { MSIX_VECTORS = 256, MSIX_ENTRY = 16, MSIX_CAP_BYTES = 12 };

typedef struct MsixState {
    uint8_t table[MSIX_VECTORS * MSIX_ENTRY]; /* as the guest sees it */
    uint8_t pba[MSIX_VECTORS / 8];
} MsixState;

/* In realize: the BAR.  offset: of the MsixState in the device's state; cap: of the capability in
 * configuration space.  vectors 0: there is none of this, and the other calls do nothing. */
bool msix_init(PciDev *pd, int bar, const char *name, unsigned vectors, size_t offset, uint8_t cap,
    Error *err);
/* In power_on, behind pci_power_on and other capabilities: puts the capability first. */
void msix_power_on(PciDev *pd);
/* In reset: off, with every vector masked. */
void msix_reset(PciDev *pd);

/* Interrupts go this way, and not by INTx. */
bool msix_enabled(PciDev *pd);
/* Sends a vector's message, or notes that it waits. */
void msix_notify(PciDev *pd, unsigned vector);
/* Nobody uses the vector any more: it does not wait. */
void msix_forget(PciDev *pd, unsigned vector);

/* How many vectors a device with this configuration space has. */
unsigned msix_vectors(const uint8_t *config);
/* Table and waiting bits of so many vectors on the wire. */
void msix_save(Stream *st, const MsixState *s, unsigned vectors);
void msix_load(Stream *st, MsixState *s, unsigned vectors);

/* For pci.c: whether all vectors are masked, and what follows from a write that may change it. */
bool msix_masked(PciDev *pd);
void msix_config_written(PciDev *pd, bool was_masked);
