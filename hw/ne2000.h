/* SPDX-License-Identifier: MIT */
/* The NE2000's core, which the ISA and the PCI card put on their bus. */
#pragma once

#include "core/device.h"
#include "net/net.h"

enum {
    NE2000_PORTS = 32,
    NE2000_MEM = 48 * KiB,       /* as the card decodes it: PROM, a hole, packet memory */
    NE2000_PROM = 32,            /* bytes at 0 */
    NE2000_RAM_START = 16 * KiB, /* packet memory, to the end */
};

/* Registers by their names in the data sheet. */
typedef struct Ne2000State {
    uint32_t start, stop; /* receive ring, in bytes: PSTART << 8, PSTOP << 8 */
    uint32_t rsar;        /* remote DMA: the address that the next access takes */
    uint16_t tcnt, rcnt;  /* TBCR; what is left of RBCR */
    uint8_t rxcr, cmd, boundary, tsr, tpsr, rsr, isr, dcfg, imr, curpag;
    uint8_t phys[6], mult[8]; /* PAR, MAR */
    uint8_t tcr;              /* from here to missed: not on the wire */
    uint8_t missed;           /* CNTR2 */
    uint16_t clda;            /* where the last received frame ended */
    uint8_t fifo[8];          /* the end of a looped-back frame, next byte to be read first */
    uint8_t mem[NE2000_MEM];
} Ne2000State;

extern const VmState ne2000_vmstate;
#define VM_NE2000(S) VM_STRUCT(S, chip, "ne2000", ne2000_vmstate, 2)
#define NE2000_EXACT(S)                                                                            \
    VM_INT(S, chip.tcr), VM_INT(S, chip.missed), VM_INT(S, chip.clda), VM_INTS(S, chip.fifo)

/* Beside the state: wiring. */
typedef struct Ne2000 {
    Device *dev;
    Ne2000State *s;
    NetPort *port;
    uint8_t mac[6];
    Timer retry;  /* armed while a frame waits for room in the ring */
    bool flow;    /* frames wait outside while the ring is full, instead of overflowing it */
    Timer flush;  /* the next look at what waits outside */
    bool realtek; /* the ID and configuration registers of the RTL8029 */
    void (*set_irq)(Device *dev, bool level);
} Ne2000;

/* Makes the port, as a NIC of this model on netdev (or no) cable. */
bool ne2000_realize(Ne2000 *n, const char *model, NetPort *netdev, Error *err);
void ne2000_unrealize(Ne2000 *n);

void ne2000_power_on(Ne2000State *s, const uint8_t mac[6]);
void ne2000_reset(Ne2000State *s);
void ne2000_sync(Ne2000 *n);

/* reg is 0 .. NE2000_PORTS-1; size 1, 2 or 4 (wide ones make sense at the data port). */
uint32_t ne2000_read(Ne2000 *n, uint32_t reg, unsigned size);
void ne2000_write(Ne2000 *n, uint32_t reg, uint32_t val, unsigned size);
