/* SPDX-License-Identifier: MIT */
/*
 * PCI devices.  Source: PCI Local Bus Specification 2.1.  Not modelled: bridges, parity; MSI-X is
 * in msix.h.
 *
 * A PCI device's struct starts with a PciDev, and its state `s` starts with a PciState, which goes
 * over the wire as the nested table pci_device_vmstate.  Its DeviceClass has .bus = "pci".
 */
#pragma once

#include "core/device.h"

enum { PCI_BARS = 6, PCI_ROM = 6, PCI_CONFIG = 256 };

/* Offsets in configuration space. */
enum {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS_PROG = 0x09,
    PCI_CLASS = 0x0a, /* 16 bits: subclass, class */
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM_ADDRESS = 0x30,
    PCI_CAPABILITY_LIST = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4 };

/* Starts the `s` of each PCI device. */
typedef struct PciState {
    int32_t version_id; /* 2; filled by pre_save */
    uint8_t config[PCI_CONFIG];
    uint32_t irq_state[4]; /* levels of INTA..INTD that the device drives */
} PciState;
extern const VmState pci_device_vmstate; /* "PCIDevice" version 2 */
#define VM_PCI_DEVICE(S, wire_name) VM_STRUCT(S, pci, wire_name, pci_device_vmstate, 2)

typedef struct PciDev PciDev;

/* A base address register.  Ports: io is set; memory: region is the template that pci adds to the
 * map (size, ops or ram and dev filled by the device).  size is a power of two. */
typedef struct PciBar {
    uint32_t size;
    bool prefetchable;
    bool wide; /* 64 bits: takes the next register, too */
    const IoOps *io;
    uint32_t first_reg; /* of io */
    MemRegion region;
    bool mapped; /* where it is mapped now: a cache of config */
    uint64_t at;
    const char *name;
} PciBar;

/* What a device has of MSI-X: see msix.h. */
typedef struct PciMsix {
    unsigned vectors; /* 0: nothing */
    int bar;
    uint8_t cap;
    size_t offset;
} PciMsix;

struct PciDev {
    Device dev;
    uint16_t addr; /* property "addr": slot * 8 + function as text "0x02.0"; 0xffff: next free */
    int32_t bootindex; /* property, or -1 */
    char *addr_text;
    PciBar bars[PCI_BARS + 1];   /* the last is the expansion ROM */
    uint8_t wmask[PCI_CONFIG];   /* bits that the guest may write */
    uint8_t w1cmask[PCI_CONFIG]; /* bits that a written 1 clears */
    /* Called before configuration bytes are read (NULL: nothing to do). */
    void (*config_reading)(PciDev *pd, unsigned off, unsigned len);
    /* Called after configuration bytes were written (NULL: nothing to do). */
    void (*config_written)(PciDev *pd, unsigned off, unsigned len);
    PciMsix msix;
    Device *bus; /* the PCIBUS device */
};

static inline PciState *pci_state(PciDev *pd) { return device_state((Device *)pd); }
static inline uint8_t *pci_config(PciDev *pd) { return pci_state(pd)->config; }

/* The property every PCI class lists: PCI_PROPS(T) where T's first member is `PciDev pci`. */
#define PCI_PROPS(T) PROP_AS(T, pci.addr_text, "addr", "")
/* Those that may be booted from: pci_boot_order in realize. */
#define PCI_BOOT_PROP(T) PROP_AS(T, pci.bootindex, "bootindex", "-1")

/* In realize: puts the device on the machine's bus at its addr (which must be free), sets its path
 * ("0000:00:03.0").  bars and wmask of special registers may be set before or after. */
bool pci_attach(PciDev *pd, Error *err);
/* Where the firmware finds the device, by its bootindex: name is of the kind of card ("ethernet"),
 * part of what is in it ("/ethernet-phy@0"). */
bool pci_boot_order(PciDev *pd, const char *name, const char *part, Error *err);
/* In power_on: writes identity and the reset values of a type 0 header into s. pin: 0 none, 1 A. */
void pci_power_on(
    PciDev *pd, uint16_t vendor, uint16_t device, uint8_t revision, uint16_t class, uint8_t pin);
/* In reset: command, BARs, interrupt line as the bus reset leaves them. */
void pci_reset(PciDev *pd);
/* In sync: maps what the BARs and the command register say; drives the interrupt line anew
 * without edges. */
void pci_sync(PciDev *pd);

/* Describes BAR n; memory BARs take *region as a template.  The map has whole pages: the
 * registers of a smaller BAR get offsets in the page that it lies in, and repeat all over it. */
void pci_bar_io(
    PciDev *pd, int n, const char *name, uint32_t size, const IoOps *io, uint32_t first_reg);
void pci_bar_mmio(PciDev *pd, int n, const char *name, uint32_t size, const MmioOps *ops);
void pci_bar_ram(PciDev *pd, int n, const char *name, RamBlock *ram, bool readonly);
/* The expansion ROM from a firmware file: a RAM block "PATH/name.rom" as large as the file rounded
 * up to a power of two. */
bool pci_load_rom(PciDev *pd, const char *file, const char *block_name, Error *err);

/* A network card's ROM: `romfile` ("" for none) must be there, but the usual one, iPXE's, may be
 * missing. */
bool pci_load_boot_rom(
    PciDev *pd, const char *romfile, const char *usual, const char *block_name, Error *err);

/* Gives a loaded ROM that serves several cards the ids of this one, and the right checksum. */
void pci_rom_set_ids(PciDev *pd, uint16_t vendor, uint16_t device);

/* Drives INTx of the device (pin from its config); remembered in irq_state. */
void pci_set_irq(PciDev *pd, bool level);

/* The n-th device on the bus in order of address, for `info pci`; NULL at the end. */
PciDev *pci_nth(Machine *m, unsigned n);
