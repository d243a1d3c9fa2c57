/* SPDX-License-Identifier: MIT */
/*
 * 82093AA I/O APIC: 24 pins to messages for local APICs, with the EOI register of its successors.
 * Source: Intel 82093AA data sheet (order 290566); Intel SDM volume 3 for messages.
 * Not modelled: polarity (lines come as asserted or not), arbitration.
 *
 * Its inputs are the sixteen ISA lines: line 0, the timer's, is pin 2, the others their own number.
 * Line 2, which leads to no ISA device, is that of the event timers: pin 2 as well.
 */
#include "core/machine.h"
#include "core/wires.h"
#include "hw/acpi.h"
#include "hw/lapic.h"

enum {
    PINS = 24,
    TIMER_PIN = 2,
    HPET_LEVEL = 24,
    OFF_SELECT = 0x00,
    OFF_WINDOW = 0x10,
    OFF_EOI = 0x40
};
enum { REG_ID, REG_VERSION, REG_ARBITRATION, REG_TABLE = 0x10, VERSION = 0x20 };
enum { ENTRY_LOGICAL = 1 << 11, ENTRY_REMOTE_IRR = 1 << 14, ENTRY_LEVEL = 1 << 15 };
enum { ENTRY_MASKED = 1 << 16, ENTRY_READ_ONLY = 1 << 12 | ENTRY_REMOTE_IRR };
enum { IOAPIC_BYTES = 0x1000, DEST_SHIFT = 56, MODE_SHIFT = 8 };
#define IOAPIC_GPA 0xfec00000u
#define ENTRY_WRITABLE 0xff0000000001afffull

typedef struct Ioapic {
    Device dev;
    ApicBus *bus;
    MemRegion region;
    struct IoapicState {
        uint8_t id, ioregsel;
        uint32_t irr; /* level: pins that are asserted; edge: requests that wait */
        uint64_t ioredtbl[PINS];
        uint32_t levels; /* exact: of the pins, pin 2 in two bits */
    } s;
} Ioapic;
#define IOAPIC(d) ((Ioapic *)(d))

static const VmField ioapic_fields[] = {
    VM_INT(struct IoapicState, id),
    VM_INT(struct IoapicState, ioregsel),
    VM_UNUSED(8),
    VM_INT(struct IoapicState, irr),
    VM_INTS(struct IoapicState, ioredtbl),
    VM_END,
};
static const VmState ioapic_vmstate = {
    .name = "ioapic", .version = 3, .min_version = 1, .fields = ioapic_fields
};
static const VmField ioapic_exact[] = { VM_INT(struct IoapicState, levels), VM_END };

/* Sends what a pin asks for, if it may. */
static void ioapic_service(Ioapic *io, unsigned pin)
{
    struct IoapicState *s = &io->s;
    uint64_t *entry = &s->ioredtbl[pin];
    uint32_t bit = 1u << pin;
    ApicMessage msg = { .dest = (uint8_t)(*entry >> DEST_SHIFT),
        .logical = *entry & ENTRY_LOGICAL,
        .level = *entry & ENTRY_LEVEL,
        .mode = *entry >> MODE_SHIFT & 7,
        .vector = (uint8_t)*entry };

    if (!(s->irr & bit) || *entry & ENTRY_MASKED) return;
    if (msg.level) {
        if (*entry & ENTRY_REMOTE_IRR) return; /* its EOI is awaited */
        *entry |= ENTRY_REMOTE_IRR;
    } else {
        s->irr &= ~bit;
    }
    if (msg.mode == APIC_EXTINT) {
        int vector = machine_inta(io->dev.m);

        if (vector < 0) return;
        msg.vector = (uint8_t)vector;
    }
    apic_send(io->bus, &msg);
}

static bool ioapic_level(const struct IoapicState *s, unsigned pin)
{
    uint32_t drivers = 1u << pin | (pin == TIMER_PIN ? 1u << HPET_LEVEL : 0);

    return s->levels & drivers;
}

/* A driver, by its bit of the levels, sets a pin. */
static void ioapic_pin(Ioapic *io, unsigned pin, unsigned driver, bool level)
{
    struct IoapicState *s = &io->s;
    uint32_t bit = 1u << pin, own = 1u << driver;
    bool was = s->levels & own;

    s->levels = level ? s->levels | own : s->levels & ~own;
    if (s->ioredtbl[pin] & ENTRY_LEVEL) {
        s->irr = ioapic_level(s, pin) ? s->irr | bit : s->irr & ~bit;
    } else {
        /* An edge at a masked pin is lost (data sheet, 3.2.4); a load brings no edges. */
        if (was || !level || s->ioredtbl[pin] & ENTRY_MASKED || io->dev.m->syncing) return;
        s->irr |= bit;
    }
    if (!io->dev.m->syncing) ioapic_service(io, pin);
}

static void ioapic_irq_in(Device *dev, int line, bool level)
{
    if (line == IOAPIC_WIRE_HPET)
        ioapic_pin(IOAPIC(dev), TIMER_PIN, HPET_LEVEL, level);
    else if (line == IOAPIC_WIRE_PIT)
        ioapic_pin(IOAPIC(dev), TIMER_PIN, TIMER_PIN, level);
    else
        ioapic_pin(IOAPIC(dev), (unsigned)line, (unsigned)line, level);
}

static void ioapic_eoi(Device *dev, uint8_t vector)
{
    Ioapic *io = IOAPIC(dev);

    for (unsigned pin = 0; pin < PINS; pin++) {
        uint64_t *entry = &io->s.ioredtbl[pin];

        if (!(*entry & ENTRY_REMOTE_IRR) || (uint8_t)*entry != vector) continue;
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
        ioapic_service(io, pin);
    }
}

/* -- registers -- */

static uint32_t ioapic_read_window(const Ioapic *io)
{
    unsigned reg = io->s.ioregsel;

    switch (reg) {
    case REG_ID:
    case REG_ARBITRATION: return (uint32_t)io->s.id << 24;
    case REG_VERSION: return (PINS - 1) << 16 | VERSION;
    default:
        if (reg < REG_TABLE || reg >= REG_TABLE + 2 * PINS) return 0;
        return (uint32_t)(io->s.ioredtbl[(reg - REG_TABLE) / 2] >> (reg & 1 ? 32 : 0));
    }
}

static void ioapic_write_entry(Ioapic *io, unsigned pin, uint64_t val)
{
    uint64_t *entry = &io->s.ioredtbl[pin];
    uint32_t bit = 1u << pin;

    *entry = (val & ENTRY_WRITABLE) | (*entry & ENTRY_READ_ONLY);
    if (*entry & ENTRY_LEVEL) {
        io->s.irr = (io->s.irr & ~bit) | (uint32_t)ioapic_level(&io->s, pin) << pin;
    } else {
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
    }
    ioapic_service(io, pin);
}

static void ioapic_write_window(Ioapic *io, uint32_t val)
{
    unsigned reg = io->s.ioregsel, pin = (reg - REG_TABLE) / 2, shift = reg & 1 ? 32 : 0;

    if (reg == REG_ID) io->s.id = val >> 24 & 0xf;
    if (reg < REG_TABLE || pin >= PINS) return;
    ioapic_write_entry(
        io, pin, (io->s.ioredtbl[pin] & ~(0xffffffffull << shift)) | (uint64_t)val << shift);
}

static uint64_t ioapic_load(Device *dev, MemAttrs attrs, uint64_t off, unsigned size)
{
    (void)attrs, (void)size;
    switch (off & 0xff) {
    case OFF_SELECT: return IOAPIC(dev)->s.ioregsel;
    case OFF_WINDOW: return ioapic_read_window(IOAPIC(dev));
    default: return 0;
    }
}

static void ioapic_store(Device *dev, MemAttrs attrs, uint64_t off, uint64_t val, unsigned size)
{
    (void)attrs, (void)size;
    switch (off & 0xff) {
    case OFF_SELECT: IOAPIC(dev)->s.ioregsel = (uint8_t)val; break;
    case OFF_WINDOW: ioapic_write_window(IOAPIC(dev), (uint32_t)val); break;
    case OFF_EOI: ioapic_eoi(dev, (uint8_t)val); break;
    default: break;
    }
}

static const MmioOps ioapic_mmio = {
    .read = ioapic_load, .write = ioapic_store, .min = 4, .max = 4
};

/* -- life -- */

static bool ioapic_realize(Device *dev, Error *err)
{
    Ioapic *io = IOAPIC(dev);

    io->bus = apic_bus(dev->m);
    if (io->bus->ioapic) return error_set(err, "a machine has one I/O APIC");
    io->bus->ioapic = dev;
    io->bus->eoi = ioapic_eoi;
    io->region = (MemRegion){ .name = "ioapic",
        .gpa = IOAPIC_GPA,
        .size = IOAPIC_BYTES,
        .prio = 1,
        .enabled = true,
        .ops = &ioapic_mmio,
        .dev = dev };
    mem_region_add(dev->m, &io->region);
    mem_commit(dev->m);
    return true;
}

static void ioapic_unrealize(Device *dev)
{
    ApicBus *bus = IOAPIC(dev)->bus;

    if (!bus || bus->ioapic != dev) return;
    bus->ioapic = NULL;
    bus->eoi = NULL;
}

static void ioapic_reset(Device *dev)
{
    IOAPIC(dev)->s = (struct IoapicState){ .levels = IOAPIC(dev)->s.levels };
    for (unsigned pin = 0; pin < PINS; pin++) IOAPIC(dev)->s.ioredtbl[pin] = ENTRY_MASKED;
}

DEVICE(ioapic, "I/O APIC", Ioapic, .name = "ioapic", .vmstates = VMSTATES(&ioapic_vmstate),
    .exact = ioapic_exact, .realize = ioapic_realize, .unrealize = ioapic_unrealize,
    .power_on = ioapic_reset, .reset = ioapic_reset, .irq_in = ioapic_irq_in);

/* -- what ACPI tells of it -- */

/* An ISA line that is not its own number, or not edge-triggered. */
static void madt_override(GByteArray *to, unsigned line, unsigned pin, unsigned flags)
{
    enum { TYPE = 2, LENGTH = 10, ISA = 0 };

    acpi_put(to, TYPE, 1);
    acpi_put(to, LENGTH, 1);
    acpi_put(to, ISA, 1);
    acpi_put(to, line, 1);
    acpi_put(to, pin, 4);
    acpi_put(to, flags, 2);
}

static void madt_processor(GByteArray *to, unsigned index, unsigned id)
{
    enum { TYPE = 0, LENGTH = 8, ENABLED = 1 };

    acpi_put(to, TYPE, 1);
    acpi_put(to, LENGTH, 1);
    acpi_put(to, index, 1);
    acpi_put(to, id, 1);
    acpi_put(to, ENABLED, 4);
}

/* The table is that of the local APICs; without one, the I/O APIC leads nowhere. */
static void ioapic_append_madt(Device *dev, GByteArray *to)
{
    enum { HAS_8259S = 1, IO_APIC = 1, IO_APIC_LENGTH = 12, NMI = 4, NMI_LENGTH = 6, LINT1 = 1 };
    enum { ACTIVE_HIGH_LEVEL = 0x0d, PCI_LINES = 1 << 5 | 1 << 9 | 1 << 10 | 1 << 11 };
    const ApicBus *bus = IOAPIC(dev)->bus;

    acpi_put(to, 0xfee00000, 4);
    acpi_put(to, HAS_8259S, 4);
    for (unsigned i = 0; i < bus->n; i++) madt_processor(to, i, machine_apic_id(dev->m, i));
    acpi_put(to, IO_APIC, 1);
    acpi_put(to, IO_APIC_LENGTH, 1);
    acpi_put(to, 0, 2); /* its id */
    acpi_put(to, IOAPIC_GPA, 4);
    acpi_put(to, 0, 4); /* the first line's number */
    madt_override(to, 0, TIMER_PIN, 0);
    for (unsigned line = 0; line < 16; line++)
        if (PCI_LINES >> line & 1) madt_override(to, line, line, ACTIVE_HIGH_LEVEL);
    acpi_put(to, NMI, 1);
    acpi_put(to, NMI_LENGTH, 1);
    acpi_put(to, 0xff, 1); /* of all processors */
    acpi_put(to, 0, 2);
    acpi_put(to, LINT1, 1);
}
static bool ioapic_needs_madt(Device *dev) { return IOAPIC(dev)->bus->n != 0; }

ACPI_TABLE(ioapic, .signature = "APIC", .revision = 1, .needed = ioapic_needs_madt,
    .append = ioapic_append_madt);
