/* SPDX-License-Identifier: MIT */
/*
 * Intel 82540EM gigabit network card.  Source: Intel PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual (8254x), 2008.  Not modelled: interrupt throttling (every
 * cause interrupts at once), flow control frames, wake-up, flash, TBI, loopback.
 *
 * e1000.c         registers, interrupts, life
 * e1000_eeprom.c  EEPROM (Microwire and EERD) and PHY (MDIC)
 * e1000_tx.c      transmit descriptors, checksums, segmentation
 * e1000_rx.c      receive descriptors, filters
 *
 * A frame is sent, and a received one stored, within one access: the wire takes no time.
 */
#pragma once

#include "hw/pci.h"
#include "net/net.h"

enum { E1000_REGS = 0x8000, E1000_TX_DATA = 65536, E1000_HEADER = 256, E1000_DESC = 16 };
enum { E1000_EEPROM_WORDS = 64, E1000_PHY_REGS = 32 };

/* Registers, as indices of 32-bit words. */
#define E1000_REG(offset) ((offset) >> 2)
enum {
    E_CTRL = E1000_REG(0x0000),
    E_STATUS = E1000_REG(0x0008),
    E_EECD = E1000_REG(0x0010),
    E_EERD = E1000_REG(0x0014),
    E_MDIC = E1000_REG(0x0020),
    E_VET = E1000_REG(0x0038),
    E_ICR = E1000_REG(0x00c0),
    E_ITR = E1000_REG(0x00c4),
    E_ICS = E1000_REG(0x00c8),
    E_IMS = E1000_REG(0x00d0),
    E_IMC = E1000_REG(0x00d8),
    E_RCTL = E1000_REG(0x0100),
    E_TCTL = E1000_REG(0x0400),
    E_LEDCTL = E1000_REG(0x0e00),
    E_PBA = E1000_REG(0x1000),
    E_RDBAL = E1000_REG(0x2800),
    E_RDBAH = E1000_REG(0x2804),
    E_RDLEN = E1000_REG(0x2808),
    E_RDH = E1000_REG(0x2810),
    E_RDT = E1000_REG(0x2818),
    E_RDTR = E1000_REG(0x2820),
    E_RADV = E1000_REG(0x282c),
    E_TDBAL = E1000_REG(0x3800),
    E_TDBAH = E1000_REG(0x3804),
    E_TDLEN = E1000_REG(0x3808),
    E_TDH = E1000_REG(0x3810),
    E_TDT = E1000_REG(0x3818),
    E_TXDCTL = E1000_REG(0x3828),
    E_TADV = E1000_REG(0x382c),
    E_CRCERRS = E1000_REG(0x4000), /* statistics from here ... */
    E_MPC = E1000_REG(0x4010),
    E_PRC64 = E1000_REG(0x405c), /* received by size: 64, 65-127, ... 1024 and more */
    E_GPRC = E1000_REG(0x4074),
    E_BPRC = E1000_REG(0x4078),
    E_MPRC = E1000_REG(0x407c),
    E_GPTC = E1000_REG(0x4080),
    E_GORCL = E1000_REG(0x4088),
    E_GOTCL = E1000_REG(0x4090),
    E_RNBC = E1000_REG(0x40a0),
    E_TORL = E1000_REG(0x40c0),
    E_TORH = E1000_REG(0x40c4),
    E_TOTL = E1000_REG(0x40c8),
    E_TOTH = E1000_REG(0x40cc),
    E_TPR = E1000_REG(0x40d0),
    E_TPT = E1000_REG(0x40d4),
    E_PTC64 = E1000_REG(0x40d8),
    E_MPTC = E1000_REG(0x40f0),
    E_BPTC = E1000_REG(0x40f4),
    E_TSCTC = E1000_REG(0x40f8),
    E_STATS_END = E1000_REG(0x4100), /* ... to here, cleared by reading */
    E_MTA = E1000_REG(0x5200),
    E_RA = E1000_REG(0x5400),
    E_VFTA = E1000_REG(0x5600),
    E_WUFC = E1000_REG(0x5808),
    E_MANC = E1000_REG(0x5820),
    E_SWSM = E1000_REG(0x5b50),
};
enum { E_RA_WORDS = 32, E_MTA_WORDS = 128, E_VFTA_WORDS = 128 };

/* Interrupt causes. */
enum {
    CAUSE_TXDW = 1 << 0,
    CAUSE_TXQE = 1 << 1,
    CAUSE_LSC = 1 << 2,
    CAUSE_RXDMT0 = 1 << 4,
    CAUSE_RXO = 1 << 6,
    CAUSE_RXT0 = 1 << 7,
    CAUSE_MDAC = 1 << 9,
};
enum { CTRL_SLU = 1 << 6, CTRL_RST = 1 << 26, CTRL_VME = 1 << 30 };
enum { STATUS_LU = 2 };
enum { RCTL_EN = 2, TCTL_EN = 2 };

/* What a context descriptor says of the frames behind it. */
typedef struct E1000Props {
    uint32_t paylen;
    uint16_t ipcse, tucse, mss;
    uint8_t ipcss, ipcso, tucss, tucso, hdr_len;
    int8_t ip, tcp; /* IPv4, TCP */
} E1000Props;

typedef struct E1000State {
    PciState pci;
    uint32_t reg[E1000_REGS];
    uint32_t rxbuf_size, rxbuf_min_shift;
    uint32_t eecd_in, eecd_old;
    uint16_t eecd_bits_in, eecd_bits_out, eecd_reading;
    uint16_t tx_size,
        tx_frames; /* bytes of the frame that is being gathered; segments sent of it */
    uint16_t eeprom[E1000_EEPROM_WORDS], phy[E1000_PHY_REGS];
    E1000Props props, tso;
    uint8_t tx_sums; /* POPTS of its first descriptor: what is to be summed */
    bool irq_level;
    uint8_t tx_first; /* exact: DTYP and TSE of the frame that is being gathered */
    uint8_t tx_tag;   /* exact: a VLAN tag is to be inserted ... */
    uint16_t tx_vlan; /* exact: ... this one */
    uint8_t tx_header[E1000_HEADER];
    uint8_t tx_data[E1000_TX_DATA];
} E1000State;

typedef struct E1000 {
    PciDev pci;
    NetPort *netdev, *port;
    uint8_t mac[6];
    char *romfile;
    Timer work; /* transmission that waited for a page, or was left undone where we come from */
    E1000State s;
} E1000;
#define E1000(d) ((E1000 *)(d))

/* Adds causes, and drives the interrupt. */
void e1000_cause(E1000 *e, uint32_t causes);
/* Counts a frame: the 64-bit octet register pairs stick at their ends. */
void e1000_count(E1000 *e, unsigned reg);
void e1000_count_bytes(E1000 *e, unsigned low, size_t bytes);
void e1000_count_size(E1000 *e, unsigned first, size_t len);
/* The guest lets it master the bus. */
bool e1000_masters(E1000 *e);
void e1000_resume(Device *dev);

/* e1000_tx.c */
void e1000_transmit(E1000 *e);

/* e1000_rx.c */
extern const NetPortOps e1000_port_ops;
void e1000_set_rctl(E1000 *e, uint32_t val);

/* e1000_eeprom.c */
void e1000_eeprom_power_on(E1000State *s, const uint8_t mac[6]);
void e1000_phy_reset(E1000State *s, bool link);
void e1000_phy_link(E1000State *s, bool up);
uint32_t e1000_read_eecd(const E1000State *s);
void e1000_write_eecd(E1000State *s, uint32_t val);
uint32_t e1000_read_eerd(const E1000State *s);
void e1000_write_mdic(E1000 *e, uint32_t val);
