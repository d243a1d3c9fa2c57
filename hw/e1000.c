/* SPDX-License-Identifier: MIT */
/* The 82540EM's registers, interrupts and life: see e1000.h. */
#include "hw/e1000.h"

#include <string.h>

#include "core/machine.h"

enum { E1000_VENDOR = 0x8086, E1000_DEVICE = 0x100e, E1000_REVISION = 3, E1000_CLASS = 0x0200 };
enum { BAR_REGS = 0, BAR_PORTS = 1, REGS_BYTES = 4 * E1000_REGS, PORTS = 64 };
enum { RING_MASK = 0xfff80, INDEX_MASK = 0xffff };
#define E1000_ROM "efi-e1000.rom" /* for BIOS and EFI */

#define S E1000State
#define REG(name) VM_INT_AS(S, reg[E_##name], "mac_reg[" #name "]")
#define REGS(at, n, name) VM_FIELD(S, reg[at], name, &vm_u32, n, 4)
#define PROPS(wire, member)                                                                        \
    VM_INT_AS(S, member.ipcss, wire ".ipcss"), VM_INT_AS(S, member.ipcso, wire ".ipcso"),          \
        VM_INT_AS(S, member.ipcse, wire ".ipcse"), VM_INT_AS(S, member.tucss, wire ".tucss"),      \
        VM_INT_AS(S, member.tucso, wire ".tucso"), VM_INT_AS(S, member.tucse, wire ".tucse"),      \
        VM_INT_AS(S, member.paylen, wire ".paylen"),                                               \
        VM_INT_AS(S, member.hdr_len, wire ".hdr_len"), VM_INT_AS(S, member.mss, wire ".mss")

static const VmField mit_fields[] = { REG(RDTR), REG(RADV), REG(TADV), REG(ITR),
    VM_INT_AS(S, irq_level, "mit_irq_level"), VM_END };
static const VmState mit_state = {
    .name = "e1000/mit_state", .version = 1, .min_version = 1, .fields = mit_fields
};
static const VmField full_mac_fields[] = { VM_INTS_AS(S, reg, "mac_reg"), VM_END };
static const VmState full_mac_state = {
    .name = "e1000/full_mac_state", .version = 1, .min_version = 1, .fields = full_mac_fields
};
static const VmField tso_fields[] = { PROPS("tx.tso_props", tso),
    VM_INT_AS(S, tso.ip, "tx.tso_props.ip"), VM_INT_AS(S, tso.tcp, "tx.tso_props.tcp"), VM_END };
static const VmState tso_state = {
    .name = "e1000/tx_tso_state", .version = 1, .min_version = 1, .fields = tso_fields
};
static const VmState *const e1000_subsections[] = { &mit_state, &full_mac_state, &tso_state, NULL };

static const VmField e1000_fields[] = {
    VM_PCI_DEVICE(S, "parent_obj"),
    VM_UNUSED(4),
    VM_INT(S, rxbuf_size),
    VM_INT(S, rxbuf_min_shift),
    VM_INT_AS(S, eecd_in, "eecd_state.val_in"),
    VM_INT_AS(S, eecd_bits_in, "eecd_state.bitnum_in"),
    VM_INT_AS(S, eecd_bits_out, "eecd_state.bitnum_out"),
    VM_INT_AS(S, eecd_reading, "eecd_state.reading"),
    VM_INT_AS(S, eecd_old, "eecd_state.old_eecd"),
    PROPS("mig_props", props),
    VM_INT_AS(S, tx_size, "tx.size"),
    VM_INT_AS(S, tx_frames, "tx.tso_frames"),
    VM_INT_AS(S, tx_sums, "tx.sum_needed"),
    VM_INT_AS(S, props.ip, "mig_props.ip"),
    VM_INT_AS(S, props.tcp, "mig_props.tcp"),
    VM_BUFFER_AS(S, tx_header, "tx.header"),
    VM_BUFFER_AS(S, tx_data, "tx.data"),
    VM_INTS_AS(S, eeprom, "eeprom_data"),
    VM_INTS_AS(S, phy, "phy_reg"),
    REG(CTRL),
    REG(EECD),
    REG(EERD),
    REG(GPRC),
    REG(GPTC),
    REG(ICR),
    REG(ICS),
    REG(IMC),
    REG(IMS),
    REG(LEDCTL),
    REG(MANC),
    REG(MDIC),
    REG(MPC),
    REG(PBA),
    REG(RCTL),
    REG(RDBAH),
    REG(RDBAL),
    REG(RDH),
    REG(RDLEN),
    REG(RDT),
    REG(STATUS),
    REG(SWSM),
    REG(TCTL),
    REG(TDBAH),
    REG(TDBAL),
    REG(TDH),
    REG(TDLEN),
    REG(TDT),
    REG(TORH),
    REG(TORL),
    REG(TOTH),
    REG(TOTL),
    REG(TPR),
    REG(TPT),
    REG(TXDCTL),
    REG(WUFC),
    REG(VET),
    REGS(E_RA, E_RA_WORDS, "mac_reg[0]"),
    REGS(E_MTA, E_MTA_WORDS, "mac_reg[1]"),
    REGS(E_VFTA, E_VFTA_WORDS, "mac_reg[2]"),
    VM_END,
};

static bool e1000_post_load(void *state, int version, Error *err)
{
    E1000State *s = state;

    (void)version;
    if (s->rxbuf_min_shift > 4 || s->rxbuf_size > 16384)
        return error_set(err, "receive buffers of %u bytes", s->rxbuf_size);
    if (!s->rxbuf_size) s->rxbuf_size = 2048; /* before the driver has said so */
    return true;
}

static const VmState e1000_vmstate = { .name = "e1000",
    .version = 2,
    .min_version = 1,
    .fields = e1000_fields,
    .subsections = e1000_subsections,
    .post_load = e1000_post_load };
static const VmField e1000_exact[] = { VM_INT(S, tx_first), VM_INT(S, tx_tag), VM_INT(S, tx_vlan),
    VM_END };
#undef REG
#undef REGS
#undef PROPS
#undef S

static const Prop e1000_props[] = { PCI_PROPS(E1000), PCI_BOOT_PROP(E1000), PROP(E1000, netdev, ""),
    PROP_MAC_ADDR(E1000, mac, "00:00:00:00:00:00"), PROP(E1000, romfile, E1000_ROM), PROP_END };

/* -- interrupts and statistics -- */

bool e1000_masters(E1000 *e)
{
    return load_le16(pci_config(&e->pci) + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

static void e1000_update_irq(E1000 *e)
{
    e->s.irq_level = e->s.reg[E_ICR] & e->s.reg[E_IMS];
    pci_set_irq(&e->pci, e->s.irq_level);
}

void e1000_cause(E1000 *e, uint32_t causes)
{
    e->s.reg[E_ICR] |= causes;
    e->s.reg[E_ICS] = e->s.reg[E_ICR];
    e1000_update_irq(e);
}

void e1000_count(E1000 *e, unsigned reg)
{
    if (e->s.reg[reg] != UINT32_MAX) e->s.reg[reg]++;
}

void e1000_count_bytes(E1000 *e, unsigned low, size_t bytes)
{
    uint64_t sum = (uint64_t)e->s.reg[low + 1] << 32 | e->s.reg[low];

    sum = sum + bytes < sum ? UINT64_MAX : sum + bytes;
    e->s.reg[low] = (uint32_t)sum;
    e->s.reg[low + 1] = (uint32_t)(sum >> 32);
}

void e1000_count_size(E1000 *e, unsigned first, size_t len)
{
    static const uint16_t up_to[] = { 64, 127, 255, 511, 1023 };
    unsigned n = 0;

    while (n < ARRAY_SIZE(up_to) && len > up_to[n]) n++;
    e1000_count(e, first + n);
}

void e1000_resume(Device *dev)
{
    E1000 *e = E1000(dev);

    timer_arm(&e->work, clock_now(e->work.clock));
}

static void e1000_work(void *opaque)
{
    E1000 *e = opaque;

    e1000_transmit(e);
    if (e->s.reg[E_RCTL] & RCTL_EN) net_flush(e->port);
}

/* -- registers -- */

static void e1000_mac_reset(E1000State *s, bool link)
{
    memset(s->reg, 0, sizeof(s->reg));
    s->reg[E_CTRL] = 0x140200 | CTRL_SLU;
    s->reg[E_STATUS] = 0x80080781;
    s->reg[E_PBA] = 0x00100030;
    s->reg[E_LEDCTL] = 0x602;
    s->reg[E_MANC] = 0x222300;
    s->reg[E_VET] = 0x8100;
    s->reg[E_RA] = (uint32_t)s->eeprom[0] | (uint32_t)s->eeprom[1] << 16;
    s->reg[E_RA + 1] = s->eeprom[2] | 0x80000000;
    s->rxbuf_size = 2048;
    s->rxbuf_min_shift = 1;
    s->tx_size = s->tx_frames = 0;
    s->tx_first = s->tx_sums = s->tx_tag = 0;
    s->irq_level = false;
    e1000_phy_reset(s, link);
}

static uint64_t e1000_read(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    E1000 *e = E1000(dev);
    E1000State *s = &e->s;
    unsigned n = (unsigned)(off >> 2);
    uint32_t val = s->reg[n];

    (void)attrs, (void)size;
    switch (n) {
    case E_EECD: return e1000_read_eecd(s);
    case E_EERD: return e1000_read_eerd(s);
    case E_ICR:
        s->reg[E_ICR] = s->reg[E_ICS] = 0;
        e1000_update_irq(e);
        break;
    case E_IMC: return s->reg[E_IMS];
    default:
        if (n >= E_CRCERRS && n < E_STATS_END) s->reg[n] = 0;
    }
    return val;
}

static void e1000_write_ctrl(E1000 *e, uint32_t val)
{
    if (val & CTRL_RST) {
        e1000_mac_reset(&e->s, !e->port->link_down);
        e1000_update_irq(e);
    } else {
        e->s.reg[E_CTRL] = val;
    }
}

static void e1000_write_mac(E1000 *e)
{
    const uint32_t *ra = &e->s.reg[E_RA];

    store_le32(e->port->mac, ra[0]);
    store_le16(e->port->mac + 4, (uint16_t)ra[1]);
}

/* Registers that are more than a place to keep a value; false: this is none of them. */
static bool e1000_write_special(E1000 *e, unsigned n, uint32_t val)
{
    E1000State *s = &e->s;

    switch (n) {
    case E_CTRL: e1000_write_ctrl(e, val); return true;
    case E_EECD: e1000_write_eecd(s, val); return true;
    case E_MDIC: e1000_write_mdic(e, val); return true;
    case E_ICR:
        s->reg[E_ICR] &= ~val;
        e1000_update_irq(e);
        return true;
    case E_ICS: e1000_cause(e, val); return true;
    case E_IMS:
        s->reg[E_IMS] |= val;
        e1000_update_irq(e);
        return true;
    case E_IMC:
        s->reg[E_IMS] &= ~val;
        e1000_update_irq(e);
        return true;
    case E_RCTL: e1000_set_rctl(e, val); return true;
    case E_TCTL:
    case E_TDT:
        s->reg[n] = n == E_TDT ? val & INDEX_MASK : val;
        e1000_transmit(e);
        return true;
    case E_RDT:
        s->reg[n] = val & INDEX_MASK;
        net_flush(e->port);
        return true;
    case E_RDH:
    case E_TDH: s->reg[n] = val & INDEX_MASK; return true;
    case E_RDLEN:
    case E_TDLEN: s->reg[n] = val & RING_MASK; return true;
    default: return false;
    }
}

static void e1000_write(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    E1000 *e = E1000(dev);
    unsigned n = (unsigned)(off >> 2);

    (void)attrs, (void)size;
    if (e1000_write_special(e, n, (uint32_t)val)) return;
    if (n == E_STATUS || (n >= E_CRCERRS && n < E_STATS_END)) return;
    e->s.reg[n] = (uint32_t)val;
    if (n == E_RA + 1 && val >> 31) e1000_write_mac(e);
}

static const MmioOps e1000_regs = { .read = e1000_read, .write = e1000_write, .min = 4, .max = 4 };

/* The ports of BAR 1 are not modelled: no driver for this chip uses them. */
static uint32_t e1000_port_read(Device *dev, uint32_t reg, unsigned size)
{
    (void)dev, (void)reg, (void)size;
    return 0;
}

static void e1000_port_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    (void)val, (void)size;
    unimplemented(dev, "write to port %u", reg);
}

static const IoOps e1000_ports = { .read = e1000_port_read, .write = e1000_port_write, .width = 4 };

/* -- life -- */

static bool e1000_realize(Device *dev, Error *err)
{
    E1000 *e = E1000(dev);

    net_mac_default(dev->m, e->mac);
    if (!pci_attach(&e->pci, err) || !pci_boot_order(&e->pci, "ethernet", "/ethernet-phy@0", err))
        return false;
    if (!pci_load_boot_rom(&e->pci, e->romfile, E1000_ROM, "e1000.rom", err)) return false;
    e->port = net_nic_new(dev, "e1000", e->mac, e->netdev, &e1000_port_ops, err);
    if (!e->port) return false;
    pci_bar_mmio(&e->pci, BAR_REGS, "e1000-mmio", REGS_BYTES, &e1000_regs);
    pci_bar_io(&e->pci, BAR_PORTS, "e1000-io", PORTS, &e1000_ports, 0);
    timer_init(&e->work, &dev->m->clock, e1000_work, e);
    return true;
}

static void e1000_unrealize(Device *dev)
{
    timer_cancel(&E1000(dev)->work);
    net_port_free(E1000(dev)->port);
}

static void e1000_power_on(Device *dev)
{
    pci_power_on(&E1000(dev)->pci, E1000_VENDOR, E1000_DEVICE, E1000_REVISION, E1000_CLASS, 1);
    e1000_eeprom_power_on(&E1000(dev)->s, E1000(dev)->mac);
}

static void e1000_reset(Device *dev)
{
    pci_reset(&E1000(dev)->pci);
    e1000_mac_reset(&E1000(dev)->s, !E1000(dev)->port->link_down);
}

static void e1000_sync(Device *dev)
{
    E1000 *e = E1000(dev);
    bool pending = e->s.reg[E_TCTL] & TCTL_EN && e->s.reg[E_TDH] != e->s.reg[E_TDT];

    if (e->s.reg[E_RA + 1] >> 31) e1000_write_mac(e);
    pci_sync(&e->pci);
    timer_arm(&e->work, pending ? clock_now(e->work.clock) : TIMER_NEVER);
}

DEVICE(e1000, "Intel 82540EM gigabit network card", E1000, .bus = "pci", .user_creatable = true,
    .props = e1000_props, .vmstates = VMSTATES(&e1000_vmstate), .exact = e1000_exact,
    .realize = e1000_realize, .unrealize = e1000_unrealize, .power_on = e1000_power_on,
    .reset = e1000_reset, .sync = e1000_sync);
