/* SPDX-License-Identifier: MIT */
/*
 * 82371AB (PIIX4) power management, function 3: PM timer, power button, soft off, the APM ports,
 * and the SMBus host with nothing on its bus.
 * Source: Intel 82371AB data sheet (order 290562), chapters 7 and 11; ACPI 1.0b, section 4.7.
 * Not modelled: GLBCTL (its SMI_EN counts as set), SMIs of other causes than port B2h, suspend to
 * RAM, device monitors, the chip's own general purpose events.  These are at AFE0h instead, where
 * this board's ACPI has them; hot plugging, which would raise them, is not there.
 *
 * Port B2h raises an SMI where DEVACTB's APMC_EN says so, but for F1h and F0h: these hand over to
 * ACPI and back at once.  Without a wire for SMIs the chip comes out of its reset with APMC_EN set:
 * to firmware that means that system management mode is taken already.
 *
 * Its input 0 is the power button, pressed by a rising edge.
 */
#include "core/command.h"
#include "core/machine.h"
#include "core/qmp.h"
#include "core/wires.h"
#include "hw/acpi.h"
#include "hw/pci.h"
#include "hw/piix4_pm.h"

enum { REG_PM_BASE = 0x40, REG_DEVACTB3 = 0x5b, REG_PM_ENABLE = 0x80, REG_SMB_BASE = 0x90 };
enum { REG_SMB_CONFIG = 0xd2, DEVACTB3_APMC_EN = 0x02 };
enum { PM_PORTS = 64, SMB_PORTS = 16, APM_PORTS = 2 };
enum { AT_PM = 0x000, AT_SMB = 0x100, AT_GPE = 0x200, AT_APM = 0x300 }; /* blocks of registers */
enum { PM_STS = 0, PM_EN = 2, PM_CNT = 4, PM_TMR = 8 };
enum { STS_TIMER = 0x0001, STS_BUTTON = 0x0100, STS_MASK = 0x8521, EN_MASK = 0x0521 };
enum { CNT_SCI = 0x0001, CNT_TYPE = 0x1c00, CNT_SLEEP = 0x2000, CNT_MASK = 0x1c03 };
enum { SMB_STAT, SMB_CTL = 2, SMB_CMD, SMB_ADDR, SMB_DATA0, SMB_DATA1, SMB_BLOCK };
enum { SMB_ERROR = 0x04, SMB_STAT_MASK = 0x1e, SMB_KILL = 0x02, SMB_FAILED = 0x10 };
enum { SMB_START = 0x40, SMB_BLOCK_SIZE = 32 };
enum { TIMER_HZ = 3579545, TIMER_HALF = 1 << 23, TIMER_MASK = (1 << 24) - 1 };
enum { HOTPLUG_BUSES = 256 };

typedef struct HotplugStatus {
    uint32_t up, down;
} HotplugStatus;

typedef struct Piix4Pm {
    PciDev pci;
    Irq irq; /* SCI */
    Irq smi; /* a pulse; leads nowhere where there is no system management mode */
    Timer overflow;
    uint32_t pm_at, smb_at; /* where the blocks are mapped; 0: nowhere.  A cache of config */
    struct Piix4PmState {
        PciState pci;
        uint16_t sts, en, cnt;
        uint8_t apmc, apms;
        uint8_t smb_stat, smb_ctl, smb_cmd, smb_addr, smb_data0, smb_data1;
        uint32_t smb_index;
        uint8_t smb_data[SMB_BLOCK_SIZE], smb_auxctl, smb_blkdata;
        bool i2c_enable, op_done, in_i2c_block_read, start_transaction_on_status_read;
        int64_t timer;         /* wire only: the instant of overflow_time, if that interrupts */
        int64_t overflow_time; /* ticks at which STS_TIMER is set */
        uint16_t gpe_sts, gpe_en;
        uint32_t hotplug_select;
        HotplugStatus hotplug[HOTPLUG_BUSES];
        uint32_t acpi_index, memhp_selector;
    } s;
} Piix4Pm;
#define PIIX4_PM(d) ((Piix4Pm *)(d))

/* -- state on the wire -- */

typedef struct Piix4PmState State;

static const VmField apm_fields[] = { VM_INT(State, apmc), VM_INT(State, apms), VM_END };
static const VmState apm_vmstate = {
    .name = "APM State", .version = 1, .min_version = 1, .fields = apm_fields
};

static const VmField smb_fields[] = {
    VM_INT(State, smb_stat),
    VM_INT(State, smb_ctl),
    VM_INT(State, smb_cmd),
    VM_INT(State, smb_addr),
    VM_INT(State, smb_data0),
    VM_INT(State, smb_data1),
    VM_INT(State, smb_index),
    VM_INTS(State, smb_data),
    VM_INT(State, smb_auxctl),
    VM_INT(State, smb_blkdata),
    VM_INT(State, i2c_enable),
    VM_INT(State, op_done),
    VM_INT(State, in_i2c_block_read),
    VM_INT(State, start_transaction_on_status_read),
    VM_END,
};
static const VmState smb_vmstate = {
    .name = "pmsmb", .version = 1, .min_version = 1, .fields = smb_fields
};

static const VmField gpe_fields[] = { VM_INT_AS(State, gpe_sts, "sts"),
    VM_INT_AS(State, gpe_en, "en"), VM_END };
static const VmState gpe_vmstate = {
    .name = "gpe", .version = 1, .min_version = 1, .fields = gpe_fields
};

static const VmField hotplug_fields[] = { VM_INT(HotplugStatus, up), VM_INT(HotplugStatus, down),
    VM_END };
static const VmState hotplug_vmstate = {
    .name = "acpi_pcihp_pci_status", .version = 1, .min_version = 1, .fields = hotplug_fields
};

static const VmField memhp_state_fields[] = { VM_INT_AS(State, memhp_selector, "selector"),
    VM_END };
static const VmState memhp_state_vmstate = {
    .name = "memory hotplug state", .version = 1, .min_version = 1, .fields = memhp_state_fields
};

/* A nested table over the whole of s. */
#define VM_PART(wire_name, table)                                                                  \
    {                                                                                              \
        .name = (wire_name), .type = &vm_struct, .count = 1, .size = sizeof(State),                \
        .stride = sizeof(State), .vmsd = &(table), .struct_version = 1                             \
    }

static const VmField memhp_fields[] = { VM_PART("acpi_memory_hotplug", memhp_state_vmstate),
    VM_END };
static const VmState memhp_vmstate = {
    .name = "piix4_pm/memhp", .version = 1, .min_version = 1, .fields = memhp_fields
};

static const VmField piix4_pm_fields[] = {
    VM_PCI_DEVICE(State, "parent_obj"),
    VM_INT_AS(State, sts, "ar.pm1.evt.sts"),
    VM_INT_AS(State, en, "ar.pm1.evt.en"),
    VM_INT_AS(State, cnt, "ar.pm1.cnt.cnt"),
    VM_PART("apm", apm_vmstate),
    VM_PART("smb", smb_vmstate),
    VM_TIMER(State, timer, "ar.tmr.timer"),
    VM_INT_AS(State, overflow_time, "ar.tmr.overflow_time"),
    VM_PART("ar.gpe", gpe_vmstate),
    VM_INT_AS(State, hotplug_select, "acpi_pci_hotplug.hotplug_select"),
    VM_STRUCTS(State, hotplug, "acpi_pci_hotplug.acpi_pcihp_pci_status", hotplug_vmstate, 1),
    VM_INT_AS(State, acpi_index, "acpi_pci_hotplug.acpi_index"),
    VM_END,
};

static int64_t ticks_ns(int64_t ticks)
{
    int64_t sec = ticks / TIMER_HZ, rest = ticks % TIMER_HZ;

    return sec * 1000000000 + (rest * 1000000000 + TIMER_HZ - 1) / TIMER_HZ;
}

/* The instant at which the timer's carry interrupts. */
static int64_t piix4_pm_deadline(const State *s)
{
    return s->en & ~s->sts & STS_TIMER ? ticks_ns(s->overflow_time) : TIMER_NEVER;
}

static bool piix4_pm_pre_save(void *state, Error *err)
{
    State *s = state;

    (void)err;
    s->timer = piix4_pm_deadline(s);
    return true;
}

static bool piix4_pm_post_load(void *state, int version, Error *err)
{
    const State *s = state;

    (void)version;
    /* A thousand years, so that it has an instant. */
    if (s->overflow_time < 0 || s->overflow_time / TIMER_HZ / 86400 / 366 > 250)
        return error_set(err, "the PM timer overflows at no time");
    return s->smb_index < SMB_BLOCK_SIZE || error_set(err, "SMBus index out of range");
}

static const VmState piix4_pm_vmstate = {
    .name = "piix4_pm",
    .version = 3,
    .min_version = 3,
    .fields = piix4_pm_fields,
    .subsections = VMSTATES(&memhp_vmstate),
    .pre_save = piix4_pm_pre_save,
    .post_load = piix4_pm_post_load,
};

static const Prop piix4_pm_props[] = { PCI_PROPS(Piix4Pm), PROP(Piix4Pm, irq, "pic.41"),
    PROP(Piix4Pm, smi, ""), PROP_END };

/* -- events -- */

static int64_t piix4_pm_ticks(Device *dev)
{
    return (int64_t)muldiv64((uint64_t)clock_now(&dev->m->clock), TIMER_HZ, 1000000000);
}

/* Notes a carry that has been: one that interrupts nobody arms no timer. */
static void piix4_pm_settle(Device *dev)
{
    State *s = &PIIX4_PM(dev)->s;

    if (piix4_pm_ticks(dev) >= s->overflow_time) s->sts |= STS_TIMER;
}

/* Arms the next carry, drives SCI. */
static void piix4_pm_update(Device *dev)
{
    Piix4Pm *p = PIIX4_PM(dev);
    State *s = &p->s;

    piix4_pm_settle(dev);
    timer_arm(&p->overflow, piix4_pm_deadline(s));
    irq_set(&p->irq, s->cnt & CNT_SCI && (s->sts & s->en || s->gpe_sts & s->gpe_en));
}

static void piix4_pm_fire(void *opaque) { piix4_pm_update(opaque); }

static int64_t next_carry(int64_t ticks) { return (ticks / TIMER_HALF + 1) * TIMER_HALF; }

static void piix4_pm_irq_in(Device *dev, int line, bool level)
{
    if (line || !level || dev->m->syncing) return;
    PIIX4_PM(dev)->s.sts |= STS_BUTTON;
    piix4_pm_update(dev);
}

/* -- registers, by bytes -- */

static void piix4_pm_sleep(Device *dev)
{
    unsigned type = PIIX4_PM(dev)->s.cnt & CNT_TYPE;

    if (type == 0)
        machine_request_shutdown(dev->m, SHUTDOWN_GUEST);
    else
        unimplemented(dev, "sleep type %u", type >> 10);
}

static uint16_t put_byte(uint16_t old, uint32_t off, uint8_t val)
{
    unsigned shift = 8 * (off & 1);

    return (uint16_t)((old & ~(0xff << shift)) | val << shift);
}

static void pm_write(Device *dev, uint32_t reg, uint8_t val)
{
    State *s = &PIIX4_PM(dev)->s;
    uint16_t wide = put_byte(0, reg, val);

    switch (reg & ~1u) {
    case PM_STS:
        s->sts &= (uint16_t)~wide;
        if (wide & STS_TIMER) s->overflow_time = next_carry(piix4_pm_ticks(dev));
        break;
    case PM_EN: s->en = put_byte(s->en, reg, val) & EN_MASK; break;
    case PM_CNT:
        s->cnt = put_byte(s->cnt, reg, val) & CNT_MASK;
        if (wide & CNT_SLEEP) piix4_pm_sleep(dev);
        break;
    default: break; /* held by nothing */
    }
}

/* ticks: the timer's at this access, of which each byte is a part. */
static uint8_t pm_read(const State *s, uint32_t reg, int64_t ticks)
{
    uint16_t val = 0;

    switch (reg & ~1u) {
    case PM_STS: val = s->sts & STS_MASK; break;
    case PM_EN: val = s->en; break;
    case PM_CNT: val = s->cnt; break;
    default:
        if (reg >= PM_TMR && reg < PM_TMR + 4)
            return (uint8_t)((ticks & TIMER_MASK) >> 8 * (reg - PM_TMR));
    }
    return (uint8_t)(val >> 8 * (reg & 1));
}

static void smb_write(State *s, uint32_t reg, uint8_t val)
{
    switch (reg) {
    case SMB_STAT: s->smb_stat &= (uint8_t) ~(val & SMB_STAT_MASK); break;
    case SMB_CTL:
        s->smb_ctl = val & (uint8_t)~SMB_START;
        if (val & SMB_KILL)
            s->smb_stat |= SMB_FAILED;
        else if (val & SMB_START)
            s->smb_stat |= SMB_ERROR; /* nobody acknowledges the address */
        break;
    case SMB_CMD: s->smb_cmd = val; break;
    case SMB_ADDR: s->smb_addr = val; break;
    case SMB_DATA0: s->smb_data0 = val; break;
    case SMB_DATA1: s->smb_data1 = val; break;
    case SMB_BLOCK:
        s->smb_data[s->smb_index] = val;
        s->smb_index = (s->smb_index + 1) % SMB_BLOCK_SIZE;
        break;
    default: break;
    }
}

static uint8_t smb_read(State *s, uint32_t reg)
{
    uint8_t val;

    switch (reg) {
    case SMB_STAT: return s->smb_stat;
    case SMB_CTL: s->smb_index = 0; return s->smb_ctl;
    case SMB_CMD: return s->smb_cmd;
    case SMB_ADDR: return s->smb_addr;
    case SMB_DATA0: return s->smb_data0;
    case SMB_DATA1: return s->smb_data1;
    case SMB_BLOCK:
        val = s->smb_data[s->smb_index];
        s->smb_index = (s->smb_index + 1) % SMB_BLOCK_SIZE;
        return val;
    default: return 0;
    }
}

static void gpe_write(State *s, uint32_t reg, uint8_t val)
{
    if (reg < 2)
        s->gpe_sts &= (uint16_t)~put_byte(0, reg, val);
    else
        s->gpe_en = put_byte(s->gpe_en, reg, val);
}

static void apm_write(Piix4Pm *p, uint32_t reg, uint8_t val)
{
    State *s = &p->s;

    if (reg) {
        s->apms = val;
        return;
    }
    s->apmc = val;
    if (val == PIIX4_PM_ACPI_ON) {
        s->cnt |= CNT_SCI;
    } else if (val == PIIX4_PM_ACPI_OFF) {
        s->cnt &= (uint16_t)~CNT_SCI;
    } else if (pci_config(&p->pci)[REG_DEVACTB3] & DEVACTB3_APMC_EN) {
        irq_set(&p->smi, true);
        irq_set(&p->smi, false);
    }
}

static void piix4_pm_write(Device *dev, uint32_t reg, uint32_t val, unsigned size)
{
    State *s = &PIIX4_PM(dev)->s;

    piix4_pm_update(dev);
    for (unsigned i = 0; i < size; i++, reg++, val >>= 8) {
        uint8_t byte = (uint8_t)val;

        switch (reg & 0xf00) {
        case AT_PM: pm_write(dev, reg, byte); break;
        case AT_SMB: smb_write(s, reg - AT_SMB, byte); break;
        case AT_GPE: gpe_write(s, reg - AT_GPE, byte); break;
        default: apm_write(PIIX4_PM(dev), reg - AT_APM, byte); break;
        }
    }
    piix4_pm_update(dev);
}

static uint32_t piix4_pm_read(Device *dev, uint32_t reg, unsigned size)
{
    State *s = &PIIX4_PM(dev)->s;
    int64_t ticks = piix4_pm_ticks(dev);
    uint32_t val = 0;

    piix4_pm_update(dev);
    for (unsigned i = 0; i < size; i++, reg++) {
        uint16_t gpe = reg & 2 ? s->gpe_en : s->gpe_sts;
        uint8_t byte;

        switch (reg & 0xf00) {
        case AT_PM: byte = pm_read(s, reg, ticks); break;
        case AT_SMB: byte = smb_read(s, reg - AT_SMB); break;
        case AT_GPE: byte = (uint8_t)(gpe >> 8 * (reg & 1)); break;
        default: byte = reg & 1 ? s->apms : s->apmc; break;
        }
        val |= (uint32_t)byte << 8 * i;
    }
    return val;
}

static const IoOps piix4_pm_io = { .read = piix4_pm_read, .write = piix4_pm_write, .width = 4 };

/* -- configuration space -- */

static uint32_t piix4_pm_place(Device *dev, uint32_t was, uint32_t at, uint32_t block, uint32_t n)
{
    Error err = ERROR_INIT;

    if (was == at) return at;
    if (was) pio_unmap(dev, block, n);
    if (!at || pio_map(dev, at, n, &piix4_pm_io, block, "piix4-pm", &err)) return at;
    guest_error(dev, "%s", err.msg);
    error_clear(&err);
    return 0;
}

static void piix4_pm_map(Piix4Pm *p)
{
    const uint8_t *config = pci_config(&p->pci);
    uint32_t pm = load_le16(config + REG_PM_BASE) & 0xffc0u;
    uint32_t smb = load_le16(config + REG_SMB_BASE) & 0xfff0u;

    p->pm_at =
        piix4_pm_place(&p->pci.dev, p->pm_at, config[REG_PM_ENABLE] & 1 ? pm : 0, AT_PM, PM_PORTS);
    p->smb_at = piix4_pm_place(
        &p->pci.dev, p->smb_at, config[REG_SMB_CONFIG] & 1 ? smb : 0, AT_SMB, SMB_PORTS);
}

static void piix4_pm_config_written(PciDev *pd, unsigned off, unsigned len)
{
    (void)off, (void)len;
    piix4_pm_map(PIIX4_PM(pd));
}

static bool piix4_pm_realize(Device *dev, Error *err)
{
    PciDev *pd = &PIIX4_PM(dev)->pci;

    if (!pci_attach(pd, err)) return false;
    pd->config_written = piix4_pm_config_written;
    store_le16(pd->wmask + REG_PM_BASE, 0xffc0);
    store_le16(pd->wmask + REG_SMB_BASE, 0xfff0);
    memset(pd->wmask + 0x58, 0xff, 4);
    pd->wmask[REG_PM_ENABLE] = 0x01;
    pd->wmask[REG_SMB_CONFIG] = 0x0f;
    timer_init(&PIIX4_PM(dev)->overflow, &dev->m->clock, piix4_pm_fire, dev);
    return pio_map(dev, PIIX4_PM_GPE, PIIX4_PM_GPE_PORTS, &piix4_pm_io, AT_GPE, "acpi-gpe0", err) &&
           pio_map(dev, PIIX4_PM_APMC, APM_PORTS, &piix4_pm_io, AT_APM, "apm", err);
}

static void piix4_pm_unrealize(Device *dev) { timer_cancel(&PIIX4_PM(dev)->overflow); }

static void piix4_pm_power_on(Device *dev)
{
    PciDev *pd = &PIIX4_PM(dev)->pci;

    pci_power_on(pd, 0x8086, 0x7113, 3, 0x0680, 1);
    store_le16(pci_config(pd) + PCI_STATUS, 0x0280);
    PIIX4_PM(dev)->s.timer = TIMER_NEVER;
}

static void piix4_pm_reset(Device *dev)
{
    Piix4Pm *p = PIIX4_PM(dev);
    uint8_t *config = pci_config(&p->pci);
    State *s = &p->s;

    pci_reset(&p->pci);
    memset(config + 0x40, 0, PCI_CONFIG - 0x40);
    config[REG_PM_BASE] = config[REG_SMB_BASE] = 1; /* ports */
    if (!p->smi.dev) config[REG_DEVACTB3] = DEVACTB3_APMC_EN;
    s->sts = s->en = s->cnt = s->gpe_sts = s->gpe_en = 0;
    s->apmc = s->apms = 0;
    s->smb_stat = s->smb_ctl = s->smb_cmd = s->smb_addr = s->smb_data0 = s->smb_data1 = 0;
    s->smb_index = 0;
    memset(s->smb_data, 0, sizeof(s->smb_data));
    s->overflow_time = next_carry(piix4_pm_ticks(dev));
}

static void piix4_pm_sync(Device *dev)
{
    pci_sync(&PIIX4_PM(dev)->pci);
    piix4_pm_map(PIIX4_PM(dev));
    piix4_pm_update(dev);
}

DEVICE(piix4_pm, "PIIX4 power management", Piix4Pm, .name = "PIIX4_PM", .bus = "pci",
    .user_creatable = true, .props = piix4_pm_props, .vmstates = VMSTATES(&piix4_pm_vmstate),
    .realize = piix4_pm_realize, .unrealize = piix4_pm_unrealize, .power_on = piix4_pm_power_on,
    .reset = piix4_pm_reset, .settle = piix4_pm_settle, .sync = piix4_pm_sync,
    .irq_in = piix4_pm_irq_in);

uint16_t piix4_pm_base(Machine *m)
{
    EACH_DEVICE (dev, m)
        if (dev->cls == &piix4_pm_class) {
            return load_le16(pci_config(&PIIX4_PM(dev)->pci) + REG_PM_BASE) & 0xffc0u;
        }
    return 0;
}

/* Tells Windows that the PM timer reads right the first time. */
static void piix4_pm_append_waet(Device *dev, GByteArray *to)
{
    enum { TIMER_READS_RIGHT = 2 };

    (void)dev;
    acpi_put(to, TIMER_READS_RIGHT, 4);
}
ACPI_TABLE(piix4_pm, .signature = "WAET", .revision = 1, .append = piix4_pm_append_waet);

/* Without the chip the button leads nowhere. */
static void piix4_pm_press(Machine *m)
{
    qmp_event(m, "POWERDOWN", NULL);
    EACH_DEVICE (dev, m)
        if (dev->cls == &piix4_pm_class) piix4_pm_irq_in(dev, 0, true);
}

static void cmd_system_powerdown(CommandCall *call, Error *err)
{
    (void)err;
    piix4_pm_press(call->m);
}
COMMAND(system_powerdown, .name = "system_powerdown", .args = "", .usage = "",
    .help = "send system power down event", .run = cmd_system_powerdown);

static json_t *system_powerdown_qmp_run(QmpCall *call, Error *err)
{
    (void)err;
    piix4_pm_press(call->m);
    return NULL;
}
QMP_COMMAND(system_powerdown, .name = "system_powerdown", .run = system_powerdown_qmp_run);
