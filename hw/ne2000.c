/* SPDX-License-Identifier: MIT */
/*
 * NE2000: a DP8390 network controller with 32 KiB of packet memory and an address PROM behind a
 * data port.  Source: National DP8390D/NS32490D data sheet; Novell NE2000 port layout; Realtek
 * RTL8029AS.
 *
 * A frame is sent, and a received one stored, within one access: the wire takes no time.
 * Not modelled: collisions, CRC and alignment errors, heartbeat, DMA bus timing, the byte order
 * bit, the RTL8029's serial EEPROM.
 */
#include "hw/ne2000.h"

#include <string.h>

enum {
    /* ports */
    CR = 0x00,
    DATA = 0x10,
    DATA_END = 0x18, /* data port; behind it reading resets */
    /* page 0, reading */
    CLDA0 = 0x01,
    CLDA1 = 0x02,
    BNRY = 0x03,
    TSR = 0x04,
    NCR = 0x05,
    FIFO = 0x06,
    ISR = 0x07,
    CRDA0 = 0x08,
    CRDA1 = 0x09,
    ID0 = 0x0a,
    ID1 = 0x0b,
    RSR = 0x0c,
    CNTR0 = 0x0d,
    CNTR1 = 0x0e,
    CNTR2 = 0x0f,
    /* page 0, writing; page 2, reading */
    PSTART = 0x01,
    PSTOP = 0x02,
    TPSR = 0x04,
    TBCR0 = 0x05,
    TBCR1 = 0x06,
    RSAR0 = 0x08,
    RSAR1 = 0x09,
    RBCR0 = 0x0a,
    RBCR1 = 0x0b,
    RCR = 0x0c,
    TCR = 0x0d,
    DCR = 0x0e,
    IMR = 0x0f,
    /* page 1 */
    PAR0 = 0x01,
    CURR = 0x07,
    MAR0 = 0x08,
    /* page 3: RTL8029 */
    CONFIG0 = 0x03,
    CONFIG2 = 0x05,
    CONFIG3 = 0x06,
};
enum { FRAME_NS = 50000 }; /* how much later what waits outside comes in */
enum { CR_STP = 0x01, CR_TXP = 0x04, CR_RD = 0x38, CR_RD2 = 0x20 };
enum { RD_READ = 0x08, RD_WRITE = 0x10, RD_SEND = 0x18 };
enum {
    ISR_PRX = 0x01,
    ISR_PTX = 0x02,
    ISR_OVW = 0x10,
    ISR_CNT = 0x20,
    ISR_RDC = 0x40,
    ISR_RST = 0x80
};
enum { DCR_WTS = 0x01, DCR_LAS = 0x04 };
enum { TCR_CRC = 0x01, TCR_LB = 0x06 };
enum { TSR_PTX = 0x01, TSR_ND = 0x02, TSR_CRS = 0x10, TSR_CDH = 0x40 };
enum { RCR_AR = 0x02, RCR_AB = 0x04, RCR_AM = 0x08, RCR_PRO = 0x10, RCR_MON = 0x20 };
enum { RSR_PRX = 0x01, RSR_CRC = 0x02, RSR_MPA = 0x10, RSR_PHY = 0x20, RSR_DIS = 0x40 };
enum {
    PAGE_BYTES = 256,
    HEADER_BYTES = 4, /* in front of a frame in the ring: status, next page, count */
    CRC_BYTES = 4,
    FRAME_MIN = 60,
    FRAME_MAX = 2048, /* what the transmitter lets through; the standard's is 1514 */
    RING_MARGIN = 7,  /* pages of the longest standard frame, and one that stays free */
    CNTR_MAX = 0xc0,  /* a tally counter stops here */
    RETRY_NS = 200000,
};

/* Before version 2 RCR was not sent. */
static bool ne2000_post_load(void *state, int version, Error *err)
{
    Ne2000State *s = state;

    (void)err;
    if (version < 2) s->rxcr = RCR_AB | RCR_AM;
    s->start &= 0xff00;
    s->stop &= 0xff00;
    s->rsar &= 0xffff;
    return true;
}

static const VmField ne2000_fields[] = { VM_INT_V(Ne2000State, rxcr, "rxcr", 2),
    VM_INT(Ne2000State, cmd), VM_INT(Ne2000State, start), VM_INT(Ne2000State, stop),
    VM_INT(Ne2000State, boundary), VM_INT(Ne2000State, tsr), VM_INT(Ne2000State, tpsr),
    VM_INT(Ne2000State, tcnt), VM_INT(Ne2000State, rcnt), VM_INT(Ne2000State, rsar),
    VM_INT(Ne2000State, rsr), VM_INT(Ne2000State, isr), VM_INT(Ne2000State, dcfg),
    VM_INT(Ne2000State, imr), VM_BUFFER(Ne2000State, phys), VM_INT(Ne2000State, curpag),
    VM_BUFFER(Ne2000State, mult), VM_UNUSED(4), VM_BUFFER(Ne2000State, mem), VM_END };

const VmState ne2000_vmstate = {
    .name = "ne2000", .version = 2, .fields = ne2000_fields, .post_load = ne2000_post_load
};

/* -- outputs -- */

static void ne2000_update_irq(Ne2000 *n)
{
    n->set_irq(n->dev, (n->s->isr & n->s->imr & 0x7f) != 0);
}

void ne2000_sync(Ne2000 *n)
{
    /* frames that wait are no state, but a load may have set the clock back */
    if (timer_armed(&n->retry)) timer_arm(&n->retry, clock_now(&n->dev->m->clock) + RETRY_NS);
    ne2000_update_irq(n);
}

/* -- memory -- */

static bool ne2000_decodes(uint32_t addr)
{
    return addr < NE2000_PROM || (addr >= NE2000_RAM_START && addr < NE2000_MEM);
}

static uint8_t ne2000_mem_read(const Ne2000State *s, uint32_t addr)
{
    return ne2000_decodes(addr) ? s->mem[addr] : 0xff;
}

static void ne2000_mem_write(Ne2000State *s, uint32_t addr, uint8_t val)
{
    if (addr >= NE2000_RAM_START && addr < NE2000_MEM) s->mem[addr] = val;
}

/* The address behind one byte of the ring. */
static uint32_t ne2000_ring_next(const Ne2000State *s, uint32_t addr)
{
    addr = (addr + 1) & 0xffff;
    return addr == s->stop ? s->start : addr;
}

/* Frames that wait outside come in a little later, as they would off a wire.  A driver that has
 * looked at the ring and then acknowledges its interrupt would never look again, were they put in
 * while it still does. */
static void ne2000_flush_later(Ne2000 *n)
{
    if (!g_queue_is_empty(n->port->queue) && !timer_armed(&n->flush)) {
        timer_arm(&n->flush, clock_now(&n->dev->m->clock) + FRAME_NS);
    }
}

static void ne2000_flush(void *opaque) { net_flush(((Ne2000 *)opaque)->port); }

/* -- remote DMA: the data port -- */

static void ne2000_dma_done(Ne2000 *n)
{
    Ne2000State *s = n->s;

    s->isr |= ISR_RDC;
    if ((s->cmd & CR_RD) == RD_SEND) { /* the frame at the boundary has been fetched: drop it */
        s->boundary = ne2000_mem_read(s, (uint32_t)(s->boundary << 8) + 1);
        ne2000_flush_later(n);
    }
}

static void ne2000_dma_step(Ne2000 *n)
{
    Ne2000State *s = n->s;

    s->rsar = ne2000_ring_next(s, s->rsar);
    if (--s->rcnt == 0) ne2000_dma_done(n);
}

static bool ne2000_dma_wants(const Ne2000 *n, bool write)
{
    bool writes = (n->s->cmd & CR_RD) == RD_WRITE;

    return n->s->rcnt && !(n->s->cmd & CR_RD2) && writes == write;
}

/* An access moves a byte or (WTS) a word, whatever its own width; the RTL8029 takes four bytes. */
static unsigned ne2000_dma_unit(const Ne2000 *n, unsigned size)
{
    return size == 4 ? 4 : n->s->dcfg & DCR_WTS ? 2 : 1;
}

static uint32_t ne2000_data_read(Ne2000 *n, unsigned size)
{
    unsigned unit = ne2000_dma_unit(n, size);
    uint32_t val = 0;

    if (!ne2000_dma_wants(n, false)) {
        guest_error(n->dev, "data port read without a remote read");
        return UINT32_MAX;
    }
    for (unsigned i = 0; i < unit && ne2000_dma_wants(n, false); i++) {
        val |= (uint32_t)ne2000_mem_read(n->s, n->s->rsar) << 8 * i;
        ne2000_dma_step(n);
    }
    ne2000_update_irq(n);
    return val;
}

static void ne2000_data_write(Ne2000 *n, uint32_t val, unsigned size)
{
    unsigned unit = ne2000_dma_unit(n, size);

    if (!ne2000_dma_wants(n, true)) {
        guest_error(n->dev, "data port written without a remote write");
        return;
    }
    for (unsigned i = 0; i < unit && ne2000_dma_wants(n, true); i++) {
        ne2000_mem_write(n->s, n->s->rsar, (uint8_t)(val >> 8 * i));
        ne2000_dma_step(n);
    }
    ne2000_update_irq(n);
}

/* A command with RD bits starts (or aborts) remote DMA. */
static void ne2000_dma_command(Ne2000 *n)
{
    Ne2000State *s = n->s;
    uint8_t rd = s->cmd & CR_RD;

    if (rd == RD_SEND) {
        s->rsar = (uint32_t)s->boundary << 8;
        s->rcnt =
            (uint16_t)(ne2000_mem_read(s, s->rsar + 2) | ne2000_mem_read(s, s->rsar + 3) << 8);
    }
    if ((rd == RD_READ || rd == RD_WRITE || rd == RD_SEND) && !s->rcnt) s->isr |= ISR_RDC;
}

/* -- receiving -- */

static uint32_t ne2000_crc(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return crc;
}

/* The multicast filter's bit is the upper six bits of the CRC as the wire has it: reversed here. */
static bool ne2000_hash_hit(const Ne2000State *s, const uint8_t addr[6])
{
    uint32_t crc = ne2000_crc(addr, 6);
    unsigned bit = 0;

    for (int i = 0; i < 6; i++) bit = bit << 1 | (crc >> i & 1);
    return s->mult[bit / 8] >> bit % 8 & 1;
}

static bool ne2000_accepts(const Ne2000State *s, const uint8_t *frame, size_t len)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    if (len < 14) return false;
    if (!memcmp(frame, broadcast, 6)) return s->rxcr & RCR_AB;
    if (frame[0] & 1) return s->rxcr & RCR_AM && ne2000_hash_hit(s, frame);
    return s->rxcr & RCR_PRO || !memcmp(frame, s->phys, 6);
}

static uint32_t ne2000_ring_pages(const Ne2000State *s)
{
    return s->stop > s->start ? (s->stop - s->start) / PAGE_BYTES : 0;
}

static bool ne2000_in_ring(const Ne2000State *s, uint8_t page)
{
    return (uint32_t)page << 8 >= s->start && (uint32_t)page << 8 < s->stop;
}

/* BNRY; a page outside the ring stands for its last one: Linux writes PSTART - 1 there. */
static uint8_t ne2000_ring_boundary(const Ne2000State *s)
{
    return ne2000_in_ring(s, s->boundary) ? s->boundary : (uint8_t)((s->stop >> 8) - 1);
}

/* Pages that may be written before CURR would meet BNRY, which must not happen. */
static uint32_t ne2000_free_pages(const Ne2000State *s)
{
    uint32_t pages = ne2000_ring_pages(s);
    uint8_t boundary = ne2000_ring_boundary(s);
    uint32_t ahead = s->curpag < boundary ? (uint32_t)(boundary - s->curpag)
                                          : pages - (uint32_t)(s->curpag - boundary);

    return ahead && ahead <= pages ? ahead - 1 : 0;
}

static bool ne2000_has_room(const Ne2000 *n)
{
    const Ne2000State *s = n->s;

    /* where it would be dropped, or the ring makes no sense, nothing is gained by waiting */
    if (!n->flow || s->cmd & CR_STP || s->tcr & TCR_LB) return true;
    if (ne2000_ring_pages(s) <= RING_MARGIN || !ne2000_in_ring(s, s->curpag)) return true;
    return ne2000_free_pages(s) >= RING_MARGIN - 1;
}

/* Asked for each frame that comes.  One that must wait is looked at again a little later; and so
 * that the ring is emptied, the guest is told as if the frame had come: a driver that stops reading
 * before the ring is empty counts on the next frame's interrupt. */
static bool ne2000_can_receive(void *opaque)
{
    Ne2000 *n = opaque;

    if (ne2000_has_room(n)) return true;
    if (!timer_armed(&n->retry)) timer_arm(&n->retry, clock_now(&n->dev->m->clock) + RETRY_NS);
    n->s->isr |= ISR_PRX;
    ne2000_update_irq(n);
    return false;
}

static void ne2000_retry(void *opaque) { net_flush(((Ne2000 *)opaque)->port); }

static void ne2000_miss(Ne2000State *s)
{
    if (s->missed < CNTR_MAX) s->missed++;
    if (s->missed & 0x80) s->isr |= ISR_CNT;
}

static void ne2000_overflow(Ne2000State *s)
{
    s->isr |= ISR_OVW | ISR_RST;
    ne2000_miss(s);
}

/* Stores a frame, padded to the minimum, behind its header. */
static void ne2000_store(Ne2000State *s, const uint8_t *frame, size_t len)
{
    size_t padded = MAX_OF(len, (size_t)FRAME_MIN);
    uint32_t count = (uint32_t)padded + CRC_BYTES;
    uint32_t pages = (count + HEADER_BYTES + PAGE_BYTES - 1) / PAGE_BYTES;
    uint32_t at = (uint32_t)s->curpag << 8, next;

    if (pages > ne2000_free_pages(s)) {
        ne2000_overflow(s);
        return;
    }
    next = at + pages * PAGE_BYTES;
    if (next >= s->stop) next -= s->stop - s->start;
    s->rsr = RSR_PRX | (frame[0] & 1 ? RSR_PHY : 0);
    for (size_t i = 0; i < HEADER_BYTES + padded; i++) {
        const uint8_t header[HEADER_BYTES] = { s->rsr, (uint8_t)(next >> 8), (uint8_t)count,
            (uint8_t)(count >> 8) };
        size_t off = i - HEADER_BYTES;

        ne2000_mem_write(s, at, i < HEADER_BYTES ? header[i] : off < len ? frame[off] : 0);
        at = ne2000_ring_next(s, at);
    }
    s->clda = (uint16_t)at;
    s->curpag = (uint8_t)(next >> 8);
    s->isr |= ISR_PRX;
}

static void ne2000_receive(void *opaque, const uint8_t *frame, size_t len)
{
    Ne2000 *n = opaque;
    Ne2000State *s = n->s;

    if (s->cmd & CR_STP || s->tcr & TCR_LB || !ne2000_accepts(s, frame, len)) return;
    if (s->rxcr & RCR_MON) {
        s->rsr = RSR_DIS | RSR_MPA | (frame[0] & 1 ? RSR_PHY : 0);
        ne2000_miss(s);
    } else {
        ne2000_store(s, frame, len);
    }
    ne2000_update_irq(n);
}

/* -- transmitting -- */

/* Loopback: the frame comes back as far as the FIFO, which keeps its end and its length. */
static void ne2000_loop_back(Ne2000State *s, const uint8_t *frame, size_t len)
{
    uint32_t crc = ~ne2000_crc(frame, len);
    uint8_t tail[CRC_BYTES + 1];
    uint16_t count = (uint16_t)len;
    uint8_t mode = s->tcr & TCR_LB;

    memset(tail, 0, sizeof(tail));
    if (s->tcr & TCR_CRC) { /* the frame brings its own */
        memcpy(tail, frame + len - MIN_OF(len, sizeof(tail)), MIN_OF(len, sizeof(tail)));
    } else {
        tail[0] = frame[len - 1];
        store_le32(tail + 1, crc);
        count += CRC_BYTES;
    }
    memcpy(s->fifo, tail, sizeof(tail));
    s->fifo[5] = (uint8_t)count;
    s->fifo[6] = s->fifo[7] = (uint8_t)(count >> 8);
    /* the receiver's CRC is busy with sending; carrier and heartbeat are cut off inside */
    s->rsr = s->tcr & TCR_CRC ? RSR_PRX : RSR_CRC;
    s->tsr = TSR_PTX | TSR_ND;
    if (mode != TCR_LB) s->tsr |= TSR_CDH;
    if (mode == 0x02) s->tsr |= TSR_CRS;
}

static void ne2000_transmit(Ne2000 *n)
{
    Ne2000State *s = n->s;
    uint32_t at = (uint32_t)s->tpsr << 8;
    uint8_t frame[FRAME_MAX];
    size_t len = s->tcnt;

    s->cmd &= (uint8_t)~CR_TXP;
    s->tsr = TSR_PTX;
    s->isr |= ISR_PTX;
    if (!len || len > FRAME_MAX) {
        guest_error(n->dev, "transmission of %zu bytes", len);
        return;
    }
    /* Novell's driver gives the page as a card that decodes less address lines has it */
    if (at >= NE2000_MEM) at -= NE2000_MEM - NE2000_RAM_START;
    for (size_t i = 0; i < len; i++) frame[i] = ne2000_mem_read(s, at + (uint32_t)i);
    if (s->tcr & TCR_LB) {
        ne2000_loop_back(s, frame, len);
    } else {
        net_send(n->port, frame, len); /* the answer may come before it returns */
    }
}

/* -- registers -- */

static void ne2000_command(Ne2000 *n, uint8_t val)
{
    Ne2000State *s = n->s;
    uint8_t pending = s->cmd & CR_TXP; /* only the end of a transmission clears it */
    bool stopped = s->cmd & CR_STP;

    s->cmd = val | pending;
    if (val & CR_STP) {
        s->isr |= ISR_RST;
        s->rcnt = 0;
        ne2000_update_irq(n);
        return;
    }
    if (stopped) s->isr &= (uint8_t)~ISR_RST;
    ne2000_dma_command(n);
    if (val & CR_TXP) ne2000_transmit(n);
    ne2000_update_irq(n);
    if (stopped) ne2000_flush_later(n);
}

static uint8_t ne2000_read_tally(Ne2000State *s)
{
    uint8_t val = s->missed;

    s->missed = 0;
    return val;
}

static uint8_t ne2000_read_fifo(Ne2000State *s)
{
    uint8_t val = s->fifo[0];

    memmove(s->fifo, s->fifo + 1, sizeof(s->fifo) - 1);
    s->fifo[sizeof(s->fifo) - 1] = val;
    return val;
}

static uint8_t ne2000_read_page0(Ne2000 *n, uint32_t reg)
{
    Ne2000State *s = n->s;

    switch (reg) {
    case CLDA0: return (uint8_t)s->clda;
    case CLDA1: return (uint8_t)(s->clda >> 8);
    case BNRY: return s->boundary;
    case TSR: return s->tsr;
    case FIFO: return ne2000_read_fifo(s);
    case ISR: return s->isr;
    case CRDA0: return (uint8_t)s->rsar;
    case CRDA1: return (uint8_t)(s->rsar >> 8);
    case ID0: return n->realtek ? 'P' : 0xff;
    case ID1: return n->realtek ? 'C' : 0xff;
    case RSR: return s->rsr;
    case CNTR2: return ne2000_read_tally(s);
    default: return 0; /* NCR, CNTR0, CNTR1: nothing ever collides or breaks */
    }
}

static void ne2000_write_page0(Ne2000 *n, uint32_t reg, uint8_t val)
{
    Ne2000State *s = n->s;

    switch (reg) {
    case PSTART: s->start = (uint32_t)val << 8; break;
    case PSTOP: s->stop = (uint32_t)val << 8; break;
    case BNRY:
        s->boundary = val;
        if (!(s->cmd & CR_STP)) s->isr &= (uint8_t)~ISR_RST; /* the ring has room again */
        ne2000_flush_later(n);
        break;
    case TPSR: s->tpsr = val; break;
    case TBCR0: set_byte16(&s->tcnt, 0, val); break;
    case TBCR1: set_byte16(&s->tcnt, 1, val); break;
    case ISR: s->isr &= (uint8_t) ~(val & 0x7f); break;
    case RSAR0: s->rsar = (s->rsar & 0xff00) | val; break;
    case RSAR1: s->rsar = (s->rsar & 0x00ff) | (uint32_t)val << 8; break;
    case RBCR0: set_byte16(&s->rcnt, 0, val); break;
    case RBCR1: set_byte16(&s->rcnt, 1, val); break;
    case RCR: s->rxcr = val; break;
    case TCR: s->tcr = val; break;
    case DCR: s->dcfg = val; break;
    case IMR: s->imr = val; break;
    default: break;
    }
    ne2000_update_irq(n);
}

static uint8_t ne2000_read_page1(const Ne2000State *s, uint32_t reg)
{
    if (reg >= MAR0) return s->mult[reg - MAR0];
    return reg == CURR ? s->curpag : s->phys[reg - PAR0];
}

static void ne2000_write_page1(Ne2000 *n, uint32_t reg, uint8_t val)
{
    Ne2000State *s = n->s;

    if (reg >= MAR0) {
        s->mult[reg - MAR0] = val;
    } else if (reg == CURR) {
        s->curpag = val;
    } else {
        s->phys[reg - PAR0] = val;
    }
}

/* The bits that are not there read as ones. */
static uint8_t ne2000_read_page2(const Ne2000State *s, uint32_t reg)
{
    switch (reg) {
    case PSTART: return (uint8_t)(s->start >> 8);
    case PSTOP: return (uint8_t)(s->stop >> 8);
    case TPSR: return s->tpsr;
    case RCR: return s->rxcr | 0xc0;
    case TCR: return s->tcr | 0xe0;
    case DCR: return s->dcfg | 0x80;
    case IMR: return s->imr | 0x80;
    default: return 0;
    }
}

static uint8_t ne2000_read_page3(const Ne2000 *n, uint32_t reg)
{
    if (!n->realtek) return 0xff;
    switch (reg) {
    case CONFIG2: return 0x40; /* 10BASE-T is in use */
    case CONFIG3: return 0x40; /* full duplex */
    default: return 0;
    }
}

static uint8_t ne2000_read_register(Ne2000 *n, uint32_t reg)
{
    if (reg == CR) return n->s->cmd;
    switch (n->s->cmd >> 6) {
    case 0: return ne2000_read_page0(n, reg);
    case 1: return ne2000_read_page1(n->s, reg);
    case 2: return ne2000_read_page2(n->s, reg);
    default: return ne2000_read_page3(n, reg);
    }
}

static void ne2000_write_register(Ne2000 *n, uint32_t reg, uint8_t val)
{
    if (reg == CR) {
        ne2000_command(n, val);
        return;
    }
    switch (n->s->cmd >> 6) {
    case 0: ne2000_write_page0(n, reg, val); break;
    case 1: ne2000_write_page1(n, reg, val); break;
    default: guest_error(n->dev, "register %02x of page %d written", reg, n->s->cmd >> 6);
    }
}

uint32_t ne2000_read(Ne2000 *n, uint32_t reg, unsigned size)
{
    uint32_t val = 0;

    if (reg >= DATA && reg < DATA_END) return ne2000_data_read(n, size);
    if (reg >= DATA_END) {
        ne2000_reset(n->s);
        ne2000_update_irq(n);
        return UINT32_MAX;
    }
    for (unsigned i = 0; i < size; i++) {
        val |= (uint32_t)ne2000_read_register(n, (reg + i) & 0x0f) << 8 * i;
    }
    return val;
}

void ne2000_write(Ne2000 *n, uint32_t reg, uint32_t val, unsigned size)
{
    if (reg >= DATA && reg < DATA_END) {
        ne2000_data_write(n, val, size);
    } else if (reg < DATA) { /* writing the reset port ends the reset: nothing more to do */
        for (unsigned i = 0; i < size; i++) {
            ne2000_write_register(n, (reg + i) & 0x0f, (uint8_t)(val >> 8 * i));
        }
    }
}

/* -- life -- */

/* The address PROM: MAC, then 57h 57h for "16 bits wide", each byte at two addresses. */
void ne2000_power_on(Ne2000State *s, const uint8_t mac[6])
{
    for (unsigned i = 0; i < NE2000_PROM / 2; i++) {
        s->mem[2 * i] = s->mem[2 * i + 1] = i < 6 ? mac[i] : i >= 14 ? 0x57 : 0;
    }
}

/* What the RESET pin does; ring pointers, addresses and memory stay. */
void ne2000_reset(Ne2000State *s)
{
    s->cmd = CR_STP | CR_RD2;
    s->isr = ISR_RST;
    s->imr = 0;
    s->dcfg |= DCR_LAS;
    s->tcr &= (uint8_t)~TCR_LB;
    s->rcnt = 0;
}

static const NetPortOps ne2000_port_ops = {
    .type = "nic",
    .can_receive = ne2000_can_receive,
    .receive = ne2000_receive,
};

bool ne2000_realize(Ne2000 *n, const char *model, NetPort *netdev, Error *err)
{
    timer_init(&n->retry, &n->dev->m->clock, ne2000_retry, n);
    net_mac_default(n->dev->m, n->mac);
    n->port = net_nic_new(n->dev, model, n->mac, netdev, &ne2000_port_ops, err);
    if (!n->port) return false;
    n->port->opaque = n;
    timer_init(&n->flush, &n->dev->m->clock, ne2000_flush, n);
    return true;
}

void ne2000_unrealize(Ne2000 *n)
{
    timer_cancel(&n->flush);
    timer_cancel(&n->retry);
    net_port_free(n->port);
    n->port = NULL;
}
