/* SPDX-License-Identifier: MIT */
/*
 * Realtek RTL8139C+ fast Ethernet card.  Source: RTL8139C+ data sheet, revision 1.6; RTL8139D for
 * the registers of the older mode; 93C46 data sheet.  Not modelled: the high-priority ring, wake-up
 * and power management, flow control, early receive interrupts, transmission at a speed.
 *
 * rtl8139.c          registers, interrupts, life
 * rtl8139_eeprom.c   93C46
 * rtl8139_tx.c       four transmit registers, and the C+ ring
 * rtl8139_rx.c       receive buffer, and the C+ ring; filters
 * rtl8139_offload.c  checksums and segments of IPv4 frames
 *
 * A frame is sent, and a received one stored, within one access: the wire takes no time.  A frame
 * of several C+ descriptors leaves when all of them are given, so none is ever gathered in part.
 */
#pragma once

#include "hw/pci.h"
#include "net/net.h"

enum { RTL_REGS = 256, RTL_TX_DESCS = 4, RTL_EEPROM_WORDS = 64, RTL_DESC = 16, RTL_CRC = 4 };
enum { RTL_ETH_HEAD = 14, RTL_FRAME_MAX = 65536 };

enum {
    INT_RX_OK = 0x0001,
    INT_TX_OK = 0x0004,
    INT_RX_EMPTY = 0x0010, /* receive buffer overflow, or no descriptor */
    INT_LINK = 0x0020,
    INT_TX_EMPTY = 0x0080,
    INT_SOFTWARE = 0x0100,
    INT_TIMER = 0x4000,
};
enum { CMD_BUFE = 0x01, CMD_TE = 0x04, CMD_RE = 0x08, CMD_RST = 0x10 };
enum { CPLUS_TX = 0x01, CPLUS_RX = 0x02, CPLUS_CHECKSUM = 0x20, CPLUS_VLAN = 0x40 };
enum { TSD_OWN = 0x2000, TSD_OK = 0x8000, TSD_SIZE = 0x1fff };
enum { DESC_EOR = 1 << 30, DESC_FS = 1 << 29, DESC_LS = 1 << 28 };
#define DESC_OWN 0x80000000u
enum { BMSR_LINK = 0x0004 };

typedef struct RtlTally {
    uint64_t tx_ok, rx_ok, tx_err;
    uint32_t rx_err;
    uint16_t miss, fae;
    uint32_t tx_1col, tx_mcol;
    uint64_t rx_ok_phy, rx_ok_brd;
    uint32_t rx_ok_mul;
    uint16_t tx_abt, tx_undrn;
} RtlTally;

typedef struct RtlEeprom {
    uint16_t contents[RTL_EEPROM_WORDS];
    int32_t mode;
    uint32_t tick;
    uint8_t address;
    uint16_t input, output;
    uint8_t eecs, eesk, eedi, eedo;
} RtlEeprom;

typedef struct RtlState {
    PciState pci;
    uint8_t phys[6], mult[8];
    uint32_t tx_status[RTL_TX_DESCS], tx_addr[RTL_TX_DESCS];
    uint32_t rx_buf, rx_size, rx_read, rx_write; /* the receive buffer; offsets in it */
    uint16_t intr_status, intr_mask;
    uint32_t tx_config, rx_config, rx_missed;
    uint16_t cscr;
    uint8_t cfg9346, config0, config1, config3, config4, config5;
    uint8_t clock_enabled, cmd;
    uint16_t multi_intr, bmcr, bmsr, nway_advert, nway_lpar, nway_expansion, cplus;
    uint8_t tx_thresh;
    uint8_t conf_mac[6];
    int32_t dummy;
    uint32_t tx_next, cplus_rx_next, cplus_tx_next; /* indices */
    uint32_t rx_ring_lo, rx_ring_hi;
    RtlEeprom eeprom;
    uint32_t tctr; /* on the wire */
    uint32_t timer_int;
    int64_t tctr_base;
    RtlTally tally;
    uint32_t cplus_enabled;
    bool waiting; /* exact: for a page */
} RtlState;

typedef struct Rtl8139 {
    PciDev pci;
    NetPort *netdev, *port;
    uint8_t mac[6];
    uint8_t revision; /* below 20h: an RTL8139C, which has the older mode alone */
    char *romfile;
    Timer timer; /* TimerInt */
    Timer work;  /* what waited for a page, or was left undone where we come from */
    RtlState s;
} Rtl8139;
#define RTL8139(d) ((Rtl8139 *)(d))

enum { RTL_CPLUS_REVISION = 0x20 };

void rtl_interrupt(Rtl8139 *r, uint16_t causes);
bool rtl_masters(Rtl8139 *r);
/* dma_probe, after which the work goes on when the page has come. */
bool rtl_probe(Rtl8139 *r, uint64_t gpa, size_t len);

/* rtl8139_tx.c */
void rtl_transmit(Rtl8139 *r);       /* what the four registers hold */
void rtl_cplus_transmit(Rtl8139 *r); /* what the ring holds */

/* rtl8139_rx.c */
extern const NetPortOps rtl_port_ops;
void rtl_receive(Rtl8139 *r, const uint8_t *frame, size_t len);
void rtl_reset_buffer(RtlState *s, uint32_t size);

/* rtl8139_eeprom.c */
void rtl_eeprom_power_on(RtlEeprom *e, const uint8_t mac[6]);
void rtl_eeprom_write(RtlEeprom *e, uint8_t val); /* EECS, EESK and EEDI */
uint8_t rtl_eeprom_read(const RtlEeprom *e);

/* rtl8139_offload.c */
enum { OFFLOAD_IP = 1, OFFLOAD_UDP = 2, OFFLOAD_TCP = 4 };
/* Fills in the checksums that are asked for, where the frame has them. */
void rtl_offload_sums(uint8_t *frame, size_t len, unsigned what);
/* What the frame is (OFFLOAD_ bits), and in *bad which of its sums are wrong. */
unsigned rtl_offload_check(const uint8_t *frame, size_t len, unsigned *bad);
/* Cuts a TCP frame into segments of mss bytes, each with its own headers and sums.  False where it
 * is none. */
bool rtl_offload_segment(const uint8_t *frame, size_t len, unsigned mss,
    void (*emit)(void *opaque, uint8_t *frame, size_t len), void *opaque);
