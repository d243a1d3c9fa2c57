/* SPDX-License-Identifier: MIT */
/* What the files of the PCI bus share: pci.c (devices), pci_bus.c (the bus and its host). */
#pragma once

#include "hw/pci.h"

enum { PCI_ADDRS = 256, PCI_PIRQS = 4 };

typedef struct PciBus {
    Device dev;
    Irq irq[PCI_PIRQS];      /* PIRQA..PIRQD of the interrupt router */
    PciDev *devs[PCI_ADDRS]; /* by slot * 8 + function */
    struct PciBusState {
        int32_t nirq;
        int32_t irq_count[PCI_PIRQS]; /* devices that drive each line */
    } s;
} PciBus;

/* The machine's bus, or NULL where it has none. */
PciBus *pci_bus_find(Machine *m);
/* Counts the devices' lines anew and drives the router. */
void pci_bus_update(Device *bus);
/* Whether the device drives its interrupt, and on which line of the board. */
bool pci_irq_asserted(PciDev *pd, unsigned *pirq);

/* "IDE controller", or NULL. */
const char *pci_class_text(uint16_t class);

uint32_t pci_config_read(PciDev *pd, unsigned off, unsigned len);
void pci_config_write(PciDev *pd, unsigned off, uint32_t val, unsigned len);
