/* SPDX-License-Identifier: MIT */
/* The RTL8139C+'s registers, interrupts and life: see rtl8139.h. */
#include "hw/rtl8139.h"

#include <string.h>

#include "core/machine.h"

enum { RTL_VENDOR = 0x10ec, RTL_DEVICE = 0x8139, RTL_CLASS = 0x0200 };
enum { BAR_PORTS = 0, BAR_REGS = 1, CAPABILITIES = 0xdc, TICK_NS = 30, BUFFER_8K = 8192 };
#define RTL_ROM "efi-rtl8139.rom" /* for BIOS and EFI */

/* Registers by their width; those of one byte are the rest. */
enum {
    R_IDR = 0x00,
    R_MAR = 0x08,
    R_TSD = 0x10,  /* 32 bits, four of them; 10h in C+ mode: tally counters */
    R_TSAD = 0x20, /* 32 bits, four of them */
    R_RBSTART = 0x30,
    R_CR = 0x37,
    R_CAPR = 0x38,
    R_CBR = 0x3a,
    R_IMR = 0x3c,
    R_ISR = 0x3e,
    R_TCR = 0x40,
    R_RCR = 0x44,
    R_TCTR = 0x48,
    R_MPC = 0x4c,
    R_9346CR = 0x50,
    R_CONFIG0,
    R_CONFIG1,
    R_TIMERINT = 0x54,
    R_MSR = 0x58,
    R_CONFIG3,
    R_CONFIG4,
    R_HLTCLK,
    R_MULINT = 0x5c,
    R_REVISION = 0x5e,
    R_SUMMARY = 0x60,
    R_BMCR = 0x62,
    R_BMSR = 0x64,
    R_ANAR = 0x66,
    R_ANLPAR = 0x68,
    R_ANER = 0x6a,
    R_CSCR = 0x74,
    R_CONFIG5 = 0xd8,
    R_TPPOLL = 0xd9,
    R_CPCR = 0xe0,
    R_RDSAR = 0xe4,
    R_RDSAR_HIGH = 0xe8,
    R_MTPS = 0xec,
};
enum {
    TCR_CPLUS = 0x74800000,
    TCR_C = 0x74000000,
    TCR_WRITABLE = 0x03070ff0,
    RCR_WRITABLE = 0x0f03ffbf
};
enum { INT_WRITABLE = 0xe1ff, TALLY_DUMP = 0x08, POLL_NORMAL = 0x40, POLL_HIGH = 0x80 };
enum { POLL_INTERRUPT = 0x01, CFG_MODE = 0xc0, CFG_LOAD = 0x40, CFG_EEPROM = 0x80 };
enum { CFG_WRITE = 0xc0, BMCR_RESET = 0x8000, BMCR_RESTART = 0x0200, BMCR_RESET_VALUE = 0x1000 };

/* -- tables -- */

#define S RtlState
#define TALLY(member, wire) VM_INT_AS(S, tally.member, "tally_counters." wire)
#define EEPROM(member) VM_INT_AS(S, eeprom.member, "eeprom." #member)

static bool rtl_hotplug_needed(const void *state)
{
    (void)state;
    return false; /* an empty one: of a card that was plugged while the guest ran */
}
static const VmField rtl_hotplug_fields[] = { VM_END };
static const VmState rtl_hotplug_vmstate = { .name = "rtl8139/hotplug_ready",
    .version = 1,
    .min_version = 1,
    .needed = rtl_hotplug_needed,
    .fields = rtl_hotplug_fields };

static const VmField rtl_fields[] = {
    VM_PCI_DEVICE(S, "parent_obj"),
    VM_BUFFER(S, phys),
    VM_BUFFER(S, mult),
    VM_INTS_AS(S, tx_status, "TxStatus"),
    VM_INTS_AS(S, tx_addr, "TxAddr"),
    VM_INT_AS(S, rx_buf, "RxBuf"),
    VM_INT_AS(S, rx_size, "RxBufferSize"),
    VM_INT_AS(S, rx_read, "RxBufPtr"),
    VM_INT_AS(S, rx_write, "RxBufAddr"),
    VM_INT_AS(S, intr_status, "IntrStatus"),
    VM_INT_AS(S, intr_mask, "IntrMask"),
    VM_INT_AS(S, tx_config, "TxConfig"),
    VM_INT_AS(S, rx_config, "RxConfig"),
    VM_INT_AS(S, rx_missed, "RxMissed"),
    VM_INT_AS(S, cscr, "CSCR"),
    VM_INT_AS(S, cfg9346, "Cfg9346"),
    VM_INT_AS(S, config0, "Config0"),
    VM_INT_AS(S, config1, "Config1"),
    VM_INT_AS(S, config3, "Config3"),
    VM_INT_AS(S, config4, "Config4"),
    VM_INT_AS(S, config5, "Config5"),
    VM_INT(S, clock_enabled),
    VM_INT_AS(S, cmd, "bChipCmdState"),
    VM_INT_AS(S, multi_intr, "MultiIntr"),
    VM_INT_AS(S, bmcr, "BasicModeCtrl"),
    VM_INT_AS(S, bmsr, "BasicModeStatus"),
    VM_INT_AS(S, nway_advert, "NWayAdvert"),
    VM_INT_AS(S, nway_lpar, "NWayLPAR"),
    VM_INT_AS(S, nway_expansion, "NWayExpansion"),
    VM_INT_AS(S, cplus, "CpCmd"),
    VM_INT_AS(S, tx_thresh, "TxThresh"),
    VM_UNUSED(4),
    VM_BUFFER_AS(S, conf_mac, "conf.macaddr"),
    VM_INT_AS(S, dummy, "rtl8139_mmio_io_addr_dummy"),
    VM_INT_AS(S, tx_next, "currTxDesc"),
    VM_INT_AS(S, cplus_rx_next, "currCPlusRxDesc"),
    VM_INT_AS(S, cplus_tx_next, "currCPlusTxDesc"),
    VM_INT_AS(S, rx_ring_lo, "RxRingAddrLO"),
    VM_INT_AS(S, rx_ring_hi, "RxRingAddrHI"),
    VM_INTS_AS(S, eeprom.contents, "eeprom.contents"),
    EEPROM(mode),
    EEPROM(tick),
    EEPROM(address),
    EEPROM(input),
    EEPROM(output),
    EEPROM(eecs),
    EEPROM(eesk),
    EEPROM(eedi),
    EEPROM(eedo),
    VM_INT_AS(S, tctr, "TCTR"),
    VM_INT_AS(S, timer_int, "TimerInt"),
    VM_INT_AS(S, tctr_base, "TCTR_base"),
    TALLY(tx_ok, "TxOk"),
    TALLY(rx_ok, "RxOk"),
    TALLY(tx_err, "TxERR"),
    TALLY(rx_err, "RxERR"),
    TALLY(miss, "MissPkt"),
    TALLY(fae, "FAE"),
    TALLY(tx_1col, "Tx1Col"),
    TALLY(tx_mcol, "TxMCol"),
    TALLY(rx_ok_phy, "RxOkPhy"),
    TALLY(rx_ok_brd, "RxOkBrd"),
    TALLY(rx_ok_mul, "RxOkMul"),
    TALLY(tx_abt, "TxAbt"),
    TALLY(tx_undrn, "TxUndrn"),
    VM_INT_V(S, cplus_enabled, "cplus_enabled", 4),
    VM_END,
};

static bool rtl_post_load(void *state, int version, Error *err)
{
    RtlState *s = state;
    uint32_t size = s->rx_size;

    if (version < 4) s->cplus_enabled = s->cplus != 0;
    if (size != 8192 && size != 16384 && size != 32768 && size != 65536)
        return error_set(err, "rtl8139: a receive buffer of %u bytes", size);
    if (s->rx_read >= size || s->rx_write >= size || s->tx_next >= RTL_TX_DESCS ||
        s->cplus_rx_next >= 1024 || s->cplus_tx_next >= 1024)
        return error_set(err, "rtl8139: an index is outside its ring");
    return true;
}

static const VmState rtl_vmstate = { .name = "rtl8139",
    .version = 5,
    .min_version = 3,
    .fields = rtl_fields,
    .subsections = VMSTATES(&rtl_hotplug_vmstate),
    .post_load = rtl_post_load };
static const VmField rtl_exact[] = { VM_INT(S, waiting), VM_END };
#undef S
#undef TALLY
#undef EEPROM

static const Prop rtl_props[] = { PCI_PROPS(Rtl8139), PCI_BOOT_PROP(Rtl8139),
    PROP(Rtl8139, netdev, ""), PROP_MAC_ADDR(Rtl8139, mac, "00:00:00:00:00:00"),
    PROP(Rtl8139, revision, "0x20"), PROP(Rtl8139, romfile, RTL_ROM), PROP_END };

/* -- interrupts, DMA, timer -- */

bool rtl_masters(Rtl8139 *r)
{
    return load_le16(pci_config(&r->pci) + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static void rtl_update_irq(Rtl8139 *r) { pci_set_irq(&r->pci, r->s.intr_status & r->s.intr_mask); }

void rtl_interrupt(Rtl8139 *r, uint16_t causes)
{
    r->s.intr_status |= causes;
    rtl_update_irq(r);
}

static void rtl_resume(Device *dev)
{
    timer_arm(&RTL8139(dev)->work, clock_now(RTL8139(dev)->work.clock));
}

bool rtl_probe(Rtl8139 *r, uint64_t gpa, size_t len)
{
    bool present = dma_probe(&r->pci.dev, gpa, len, rtl_resume);

    r->s.waiting |= !present;
    return present;
}

static uint32_t rtl_ticks(const RtlState *s, int64_t now)
{
    return (uint32_t)((now - s->tctr_base) / TICK_NS);
}

/* The counter meets TimerInt once in each of its rounds. */
static void rtl_arm_timer(Rtl8139 *r)
{
    RtlState *s = &r->s;
    int64_t now = clock_now(r->timer.clock), part = (now - s->tctr_base) % TICK_NS;
    uint32_t left = s->timer_int - rtl_ticks(s, now);
    int64_t ticks = left ? left : (int64_t)UINT32_MAX + 1;

    timer_arm(&r->timer, s->timer_int ? now - part + ticks * TICK_NS : TIMER_NEVER);
}

static void rtl_timer_due(void *opaque)
{
    Rtl8139 *r = opaque;

    rtl_interrupt(r, INT_TIMER);
    rtl_arm_timer(r);
}

/* -- tally counters -- */

static void rtl_dump_tally(Rtl8139 *r)
{
    RtlState *s = &r->s;
    const RtlTally *t = &s->tally;
    uint64_t to = (uint64_t)s->tx_status[1] << 32 | (s->tx_status[0] & ~0x3fu);
    uint8_t b[64];

    if (!(s->tx_status[0] & TALLY_DUMP) || !rtl_masters(r) || !rtl_probe(r, to, sizeof(b))) return;
    store_le64(b, t->tx_ok);
    store_le64(b + 8, t->rx_ok);
    store_le64(b + 16, t->tx_err);
    store_le32(b + 24, t->rx_err);
    store_le16(b + 28, t->miss);
    store_le16(b + 30, t->fae);
    store_le32(b + 32, t->tx_1col);
    store_le32(b + 36, t->tx_mcol);
    store_le64(b + 40, t->rx_ok_phy);
    store_le64(b + 48, t->rx_ok_brd);
    store_le32(b + 56, t->rx_ok_mul);
    store_le16(b + 60, t->tx_abt);
    store_le16(b + 62, t->tx_undrn);
    dma_write(&r->pci.dev, to, b, sizeof(b));
    s->tx_status[0] &= ~(uint32_t)TALLY_DUMP;
}

/* -- resets -- */

static void rtl_reset_phy(RtlState *s, bool link)
{
    s->bmcr = BMCR_RESET_VALUE;
    s->bmsr = (uint16_t)(0x7829 | (link ? BMSR_LINK : 0));
    s->nway_advert = s->nway_lpar = 0x05e1;
    s->nway_expansion = 1;
    s->cscr = 0x0340;
}

static uint32_t rtl_version(const Rtl8139 *r)
{
    return r->revision < RTL_CPLUS_REVISION ? TCR_C : TCR_CPLUS;
}

/* What CR's reset bit and the reset pin share. */
static void rtl_reset_chip(Rtl8139 *r)
{
    RtlState *s = &r->s;

    for (unsigned i = 0; i < 3; i++) store_le16(s->phys + 2 * i, s->eeprom.contents[7 + i]);
    for (unsigned i = 0; i < RTL_TX_DESCS; i++) s->tx_status[i] = TSD_OWN;
    s->intr_status = s->intr_mask = 0;
    s->tx_next = s->cplus_rx_next = s->cplus_tx_next = 0;
    s->rx_ring_lo = s->rx_ring_hi = s->rx_buf = 0;
    rtl_reset_buffer(s, BUFFER_8K);
    s->tx_config = rtl_version(r);
    s->rx_config = s->rx_missed = 0;
    s->cmd = 0;
    s->cplus = 0;
    s->cplus_enabled = 0;
    s->config0 = 0;
    s->config1 = 0x0c;
    s->config3 = 0x01;
    s->config4 = s->config5 = 0;
    s->cfg9346 = 0;
    s->multi_intr = 0;
    s->clock_enabled = 1;
    s->timer_int = 0;
    s->waiting = false;
    memset(&s->tally, 0, sizeof(s->tally));
    rtl_reset_phy(s, !r->port->link_down);
}

static void rtl_show_mac(Rtl8139 *r) { memcpy(r->port->mac, r->s.phys, 6); }

/* -- reading -- */

static bool rtl_is_long(uint32_t reg)
{
    return (reg >= R_TSD && reg <= R_RBSTART) || (reg >= R_TCR && reg <= R_MPC) ||
           reg == R_TIMERINT || reg == R_RDSAR || reg == R_RDSAR_HIGH;
}

static bool rtl_is_word(uint32_t reg)
{
    return (reg >= R_CAPR && reg <= R_ISR) || reg == R_MULINT || reg == R_CPCR || reg == R_CSCR ||
           (reg >= R_SUMMARY && reg <= R_ANER);
}

/* now: the access's instant, of which each byte that it reads is a part. */
static uint32_t rtl_get_long(const RtlState *s, uint32_t reg, int64_t now)
{
    if (reg < R_TSAD) return s->tx_status[(reg - R_TSD) / 4];
    if (reg < R_RBSTART) return s->tx_addr[(reg - R_TSAD) / 4];
    switch (reg) {
    case R_RBSTART: return s->rx_buf;
    case R_TCR: return s->tx_config;
    case R_RCR: return s->rx_config;
    case R_TCTR: return rtl_ticks(s, now);
    case R_MPC: return s->rx_missed;
    case R_TIMERINT: return s->timer_int;
    case R_RDSAR: return s->rx_ring_lo;
    default: return s->rx_ring_hi;
    }
}

/* The states of the four transmit registers, side by side. */
static uint16_t rtl_summary(const RtlState *s)
{
    unsigned val = 0;

    for (unsigned i = 0; i < RTL_TX_DESCS; i++)
        val |= (s->tx_status[i] & TSD_OWN ? 1u << i : 0) |
               (s->tx_status[i] & TSD_OK ? 0x1000u << i : 0);
    return (uint16_t)val;
}

static uint16_t rtl_get_word(const RtlState *s, uint32_t reg)
{
    switch (reg) {
    case R_CAPR: return (uint16_t)(s->rx_read - 16);
    case R_CBR: return (uint16_t)s->rx_write;
    case R_IMR: return s->intr_mask;
    case R_ISR: return s->intr_status;
    case R_MULINT: return s->multi_intr;
    case R_SUMMARY: return rtl_summary(s);
    case R_BMCR: return s->bmcr;
    case R_BMSR: return s->bmsr;
    case R_ANAR: return s->nway_advert;
    case R_ANLPAR: return s->nway_lpar;
    case R_ANER: return s->nway_expansion;
    case R_CSCR: return s->cscr;
    default: return s->cplus;
    }
}

static uint8_t rtl_get_byte(const RtlState *s, uint32_t reg)
{
    if (reg < R_IDR + 6) return s->phys[reg];
    if (reg >= R_MAR && reg < R_MAR + 8) return s->mult[reg - R_MAR];
    switch (reg) {
    case R_CR: return (uint8_t)(s->cmd | (s->rx_read == s->rx_write ? CMD_BUFE : 0));
    case R_9346CR:
        return (uint8_t)(s->cfg9346 |
                         ((s->cfg9346 & CFG_MODE) == CFG_EEPROM ? rtl_eeprom_read(&s->eeprom) : 0));
    case R_CONFIG0: return s->config0;
    case R_CONFIG1: return s->config1;
    case R_CONFIG3: return s->config3;
    case R_CONFIG4: return s->config4;
    case R_CONFIG5: return s->config5;
    case R_MSR: return (uint8_t)(0xd0 | (~s->bmsr & BMSR_LINK));
    case R_HLTCLK: return s->clock_enabled;
    case R_REVISION: return s->pci.config[PCI_REVISION];
    case R_MTPS: return s->tx_thresh;
    default: return 0;
    }
}

static uint32_t rtl_read(Device *dev, uint32_t reg, unsigned size)
{
    const RtlState *s = &RTL8139(dev)->s;
    int64_t now = clock_now(&dev->m->clock);
    uint32_t val = 0;

    for (unsigned i = 0; i < size; i++, reg = (reg + 1) % RTL_REGS) {
        uint32_t part;

        if (rtl_is_long(reg & ~3u))
            part = rtl_get_long(s, reg & ~3u, now) >> 8 * (reg & 3);
        else if (rtl_is_word(reg & ~1u))
            part = rtl_get_word(s, reg & ~1u) >> 8 * (reg & 1);
        else
            part = rtl_get_byte(s, reg);
        val |= (part & 0xff) << 8 * i;
    }
    return val;
}

/* -- writing -- */

static void rtl_set_tsd(Rtl8139 *r, unsigned n, uint32_t val)
{
    if (r->s.cplus_enabled) { /* an address, and "dump the tally counters there" */
        r->s.tx_status[n] = val;
        if (!n) rtl_dump_tally(r);
        return;
    }
    r->s.tx_status[n] = val & 0x003f3fff;
    rtl_transmit(r);
}

static void rtl_set_rcr(RtlState *s, uint32_t val)
{
    uint32_t size = BUFFER_8K << (val >> 11 & 3);

    s->rx_config = val & RCR_WRITABLE;
    if (size != s->rx_size) rtl_reset_buffer(s, size);
}

static void rtl_set_long(Rtl8139 *r, uint32_t reg, uint32_t val)
{
    RtlState *s = &r->s;

    if (reg < R_TSAD) {
        rtl_set_tsd(r, (reg - R_TSD) / 4, val);
        return;
    }
    if (reg < R_RBSTART) {
        s->tx_addr[(reg - R_TSAD) / 4] = val;
        return;
    }
    switch (reg) {
    case R_RBSTART: s->rx_buf = val; break;
    case R_TCR:
        if (s->cmd & CMD_TE) s->tx_config = (val & TCR_WRITABLE) | rtl_version(r);
        break;
    case R_RCR: rtl_set_rcr(s, val); break;
    case R_TCTR: s->tctr_base = clock_now(r->timer.clock); break;
    case R_MPC: s->rx_missed = 0; break;
    case R_TIMERINT: s->timer_int = val; break;
    case R_RDSAR: s->rx_ring_lo = val; break;
    default: s->rx_ring_hi = val;
    }
    if (reg == R_TCTR || reg == R_TIMERINT) rtl_arm_timer(r);
}

static void rtl_set_word(Rtl8139 *r, uint32_t reg, uint16_t val)
{
    RtlState *s = &r->s;

    switch (reg) {
    case R_CAPR: s->rx_read = (val + 16u) % s->rx_size; break;
    case R_IMR: s->intr_mask = val & INT_WRITABLE; break;
    case R_ISR: s->intr_status &= (uint16_t)~val; break;
    case R_MULINT: s->multi_intr = val & 0x0fff; break;
    case R_BMCR:
        if (val & BMCR_RESET) rtl_reset_phy(s, s->bmsr & BMSR_LINK);
        s->bmcr = val & BMCR_RESET ? BMCR_RESET_VALUE : val & 0x3100;
        break;
    case R_ANAR: s->nway_advert = val; break;
    case R_CPCR:
        if (r->revision < RTL_CPLUS_REVISION) break;
        s->cplus = val & 0x007b;
        s->cplus_enabled = 1;
        break;
    default: break;
    }
    rtl_update_irq(r);
}

static void rtl_set_cr(Rtl8139 *r, uint8_t val)
{
    RtlState *s = &r->s;
    uint8_t on;

    if (val & CMD_RST) {
        rtl_reset_chip(r);
        rtl_show_mac(r);
        rtl_arm_timer(r);
        rtl_update_irq(r);
    }
    on = val & ~s->cmd & (CMD_TE | CMD_RE);
    if (on & CMD_RE) s->cplus_rx_next = 0;
    if (on & CMD_TE) s->cplus_tx_next = 0;
    s->cmd = val & (CMD_TE | CMD_RE);
}

static void rtl_set_9346(Rtl8139 *r, uint8_t val)
{
    RtlState *s = &r->s;

    s->cfg9346 = val & CFG_MODE;
    if (s->cfg9346 == CFG_EEPROM) rtl_eeprom_write(&s->eeprom, val);
    if (s->cfg9346 != CFG_LOAD) return;
    for (unsigned i = 0; i < 3; i++) store_le16(s->phys + 2 * i, s->eeprom.contents[7 + i]);
    s->cfg9346 = 0;
    rtl_show_mac(r);
}

/* Under lock; bits that keep their value are `fixed`. */
static void rtl_set_config(RtlState *s, uint8_t *config, uint8_t fixed, uint8_t val)
{
    if ((s->cfg9346 & CFG_MODE) == CFG_WRITE)
        *config = (uint8_t)((*config & fixed) | (val & ~fixed));
}

static void rtl_poll(Rtl8139 *r, uint8_t val)
{
    if (val & POLL_HIGH) unimplemented(&r->pci.dev, "the high-priority ring");
    if (val & POLL_NORMAL) rtl_cplus_transmit(r);
    if (val & POLL_INTERRUPT) rtl_interrupt(r, INT_SOFTWARE);
}

static void rtl_set_byte(Rtl8139 *r, uint32_t reg, uint8_t val)
{
    RtlState *s = &r->s;

    if (reg < R_IDR + 6) {
        s->phys[reg] = val;
        rtl_show_mac(r);
        return;
    }
    if (reg >= R_MAR && reg < R_MAR + 8) {
        s->mult[reg - R_MAR] = val;
        return;
    }
    switch (reg) {
    case R_CR: rtl_set_cr(r, val); break;
    case R_9346CR: rtl_set_9346(r, val); break;
    case R_CONFIG1: rtl_set_config(s, &s->config1, 0x0c, val); break;
    case R_CONFIG3: rtl_set_config(s, &s->config3, 0x8f, val); break;
    case R_CONFIG4: rtl_set_config(s, &s->config4, 0x0a, val); break;
    case R_CONFIG5: rtl_set_config(s, &s->config5, 0x80, val); break;
    case R_HLTCLK:
        if (val == 'R') s->clock_enabled = 1;
        if (val == 'H') s->clock_enabled = 0;
        break;
    case R_TPPOLL: rtl_poll(r, val); break;
    case R_MTPS: s->tx_thresh = val; break;
    default: break;
    }
}

/* A write of part of a register leaves the rest as it is, but clears no interrupts there. */
static void rtl_write_part(Rtl8139 *r, uint32_t reg, uint8_t val)
{
    unsigned shift;

    if (rtl_is_long(reg & ~3u)) {
        uint32_t old = rtl_get_long(&r->s, reg & ~3u, clock_now(r->timer.clock));

        shift = 8 * (reg & 3);
        rtl_set_long(r, reg & ~3u, (old & ~(0xffu << shift)) | (uint32_t)val << shift);
    } else if (rtl_is_word(reg & ~1u)) {
        unsigned old = (reg & ~1u) == R_ISR ? 0 : rtl_get_word(&r->s, reg & ~1u);

        shift = 8 * (reg & 1);
        rtl_set_word(r, reg & ~1u, (uint16_t)((old & ~(0xffu << shift)) | (unsigned)val << shift));
    } else {
        rtl_set_byte(r, reg, val);
    }
}

static void rtl_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    Rtl8139 *r = RTL8139(dev);

    if (size == 4 && !(reg & 3) && rtl_is_long(reg)) {
        rtl_set_long(r, reg, val);
    } else if (size == 2 && !(reg & 1) && rtl_is_word(reg)) {
        rtl_set_word(r, reg, (uint16_t)val);
    } else if (size == 4) {
        rtl_write(dev, reg, val & 0xffff, 2);
        rtl_write(dev, (reg + 2) % RTL_REGS, val >> 16, 2);
    } else {
        for (unsigned i = 0; i < size; i++)
            rtl_write_part(r, (reg + i) % RTL_REGS, (uint8_t)(val >> 8 * i));
    }
    if (r->s.cmd & CMD_RE) net_flush(r->port);
}

static uint64_t rtl_mmio_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    (void)attrs;
    return rtl_read(dev, off % RTL_REGS, size);
}

static void rtl_mmio_write(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    (void)attrs;
    rtl_write(dev, off % RTL_REGS, (uint32_t)val, size);
}

static const IoOps rtl_io = { .read = rtl_read, .write = rtl_write, .width = 4 };
static const MmioOps rtl_mmio = { .read = rtl_mmio_read, .write = rtl_mmio_write, .max = 4 };

/* -- life -- */

static void rtl_work(void *opaque)
{
    Rtl8139 *r = opaque;

    r->s.waiting = false;
    if (r->s.cplus_enabled) {
        rtl_dump_tally(r);
        rtl_cplus_transmit(r);
    } else {
        rtl_transmit(r);
    }
    if (r->s.cmd & CMD_RE) net_flush(r->port);
}

static bool rtl_realize(Device *dev, Error *err)
{
    Rtl8139 *r = RTL8139(dev);

    net_mac_default(dev->m, r->mac);
    if (!pci_attach(&r->pci, err) || !pci_boot_order(&r->pci, "ethernet", "/ethernet-phy@0", err))
        return false;
    if (!pci_load_boot_rom(&r->pci, r->romfile, RTL_ROM, "rtl8139.rom", err)) return false;
    r->port = net_nic_new(dev, "rtl8139", r->mac, r->netdev, &rtl_port_ops, err);
    if (!r->port) return false;
    pci_bar_io(&r->pci, BAR_PORTS, "rtl8139", RTL_REGS, &rtl_io, 0);
    pci_bar_mmio(&r->pci, BAR_REGS, "rtl8139", RTL_REGS, &rtl_mmio);
    timer_init(&r->timer, &dev->m->clock, rtl_timer_due, r);
    timer_init(&r->work, &dev->m->clock, rtl_work, r);
    return true;
}

static void rtl_unrealize(Device *dev)
{
    timer_cancel(&RTL8139(dev)->timer);
    timer_cancel(&RTL8139(dev)->work);
    net_port_free(RTL8139(dev)->port);
}

static void rtl_power_on(Device *dev)
{
    Rtl8139 *r = RTL8139(dev);

    pci_power_on(&r->pci, RTL_VENDOR, RTL_DEVICE, r->revision, RTL_CLASS, 1);
    pci_config(&r->pci)[PCI_CAPABILITY_LIST] = CAPABILITIES; /* no bit says that there are any */
    rtl_eeprom_power_on(&r->s.eeprom, r->mac);
    memcpy(r->s.conf_mac, r->mac, 6);
}

static void rtl_reset(Device *dev)
{
    Rtl8139 *r = RTL8139(dev);

    pci_reset(&r->pci);
    rtl_reset_chip(r);
    memset(r->s.tx_addr, 0, sizeof(r->s.tx_addr));
    memset(r->s.mult, 0, sizeof(r->s.mult));
    r->s.tctr_base = 0;
    r->s.tx_thresh = 0;
}

static void rtl_settle(Device *dev)
{
    RTL8139(dev)->s.tctr = rtl_ticks(&RTL8139(dev)->s, clock_now(&dev->m->clock));
}

static void rtl_sync(Device *dev)
{
    Rtl8139 *r = RTL8139(dev);

    rtl_show_mac(r);
    pci_sync(&r->pci);
    rtl_arm_timer(r);
    timer_arm(&r->work, r->s.waiting ? clock_now(r->work.clock) : TIMER_NEVER);
}

DEVICE(rtl8139, "Realtek RTL8139C+ fast Ethernet card", Rtl8139, .bus = "pci",
    .user_creatable = true, .props = rtl_props, .vmstates = VMSTATES(&rtl_vmstate),
    .exact = rtl_exact, .realize = rtl_realize, .unrealize = rtl_unrealize,
    .power_on = rtl_power_on, .reset = rtl_reset, .settle = rtl_settle, .sync = rtl_sync);
