/* SPDX-License-Identifier: MIT */
/*
 * The DSDT: processors, the PCI bus with its windows and interrupt routing, soft off; chips declare
 * themselves (acpi.h).
 * Source: ACPI specification 2.0; PCI firmware specification; Intel 82371SB data sheet, 2.2.8.
 * Not modelled: hot plugging, sleep states but S5.
 *
 * The four links are the PIIX3's PIRQ registers.  Function 3 of the bridge has the SCI, which is
 * wired to line 9: the fifth link.
 */
#include "core/machine.h"
#include "hw/acpi.h"
#include "hw/board.h"

enum { SLOTS = 32, PINS = 4, LINKS = 4, ISA_SLOT = 1, REG_PIRQ = 0x60, PIRQ_OFF = 0x80 };
enum { STA_OFF = 0x09, STA_ON = 0x0b, INTERRUPT_NUMBER_AT = 5 };
enum { CONFIG_PORTS = 0xcf8, VIDEO_FIRST = 0xa0000, VIDEO_LAST = 0xbffff };
enum { WINDOW_LAST = 0xfebfffff };

static void dsdt_parts(Machine *m, Aml *a, enum AcpiPlace place)
{
    SET_EACH (AcpiPart, part, acpi_parts) {
        if (part->place != place) continue;
        EACH_DEVICE (dev, m)
            if (dev->cls == part->cls) part->declare(dev, a);
    }
}

void acpi_isa_device(Aml *a, const char *name, const char *eisa, int uid, const Aml *resources)
{
    size_t dev = aml_device(a, name);

    aml_name_eisa(a, "_HID", eisa);
    if (uid >= 0) aml_name_int(a, "_UID", (uint32_t)uid);
    aml_name_resources(a, "_CRS", resources);
    aml_close(a, dev);
}

/* -- interrupt links -- */

/* LNKA for 0 ..., and the byte of the PIIX3 that it is. */
static void dsdt_link_name(char name[5], const char *stem, unsigned n)
{
    g_snprintf(name, 5, "%s%c", stem, 'A' + n);
}

static void dsdt_link_status(Aml *a, const char *reg)
{
    size_t method = aml_method(a, "_STA", 0, false), when = aml_if(a);

    aml_and(a);
    aml_ref(a, reg);
    aml_int(a, PIRQ_OFF);
    aml_nowhere(a);
    aml_return(a);
    aml_int(a, STA_OFF);
    aml_close(a, when);
    aml_return(a);
    aml_int(a, STA_ON);
    aml_close(a, method);
}

static void dsdt_link_disable(Aml *a, const char *reg)
{
    size_t method = aml_method(a, "_DIS", 0, false);

    aml_or(a);
    aml_ref(a, reg);
    aml_int(a, PIRQ_OFF);
    aml_ref(a, reg);
    aml_close(a, method);
}

/* The line that is set: a template whose number is filled in. */
static void dsdt_link_current(Aml *a, const char *reg)
{
    static const uint32_t none = 0;
    Aml *res = aml_new();
    size_t method;

    aml_res_interrupts(res, &none, 1);
    aml_name_resources(a, "BUFF", res);
    aml_free(res);
    method = aml_method(a, "_CRS", 0, true);
    aml_dword_field(a);
    aml_ref(a, "BUFF");
    aml_dword_field_at(a, INTERRUPT_NUMBER_AT, "LINE");
    aml_and(a);
    aml_ref(a, reg);
    aml_int(a, 0x0f);
    aml_ref(a, "LINE");
    aml_return(a);
    aml_ref(a, "BUFF");
    aml_close(a, method);
}

static void dsdt_link_set(Aml *a, const char *reg)
{
    size_t method = aml_method(a, "_SRS", 1, true);

    aml_dword_field(a);
    aml_arg(a, 0);
    aml_dword_field_at(a, INTERRUPT_NUMBER_AT, "LINE");
    aml_store(a);
    aml_ref(a, "LINE");
    aml_ref(a, reg);
    aml_close(a, method);
}

static void dsdt_link(Aml *a, unsigned n)
{
    static const uint32_t possible[] = { 5, 10, 11 };
    Aml *res = aml_new();
    char name[5], field[5], reg[24];
    size_t dev;

    dsdt_link_name(name, "LNK", n);
    dsdt_link_name(field, "PRQ", n);
    g_snprintf(reg, sizeof(reg), "\\_SB.PCI0.ISA.%s", field);
    aml_res_interrupts(res, possible, ARRAY_SIZE(possible));
    dev = aml_device(a, name);
    aml_name_eisa(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", n);
    aml_name_resources(a, "_PRS", res);
    dsdt_link_status(a, reg);
    dsdt_link_disable(a, reg);
    dsdt_link_current(a, reg);
    dsdt_link_set(a, reg);
    aml_close(a, dev);
    aml_free(res);
}

/* The SCI's link, which cannot be changed. */
static void dsdt_link_sci(Aml *a)
{
    static const uint32_t line = ACPI_SCI;
    size_t dev = aml_device(a, "LNKS");
    Aml *res = aml_new();

    aml_res_interrupts(res, &line, 1);
    aml_name_eisa(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", LINKS);
    aml_name_int(a, "_STA", STA_ON);
    aml_name_resources(a, "_PRS", res);
    aml_name_resources(a, "_CRS", res);
    aml_close(a, aml_method(a, "_DIS", 0, false));
    aml_close(a, aml_method(a, "_SRS", 1, false));
    aml_close(a, dev);
    aml_free(res);
}

/* -- the PCI bus -- */

/* INTA of slot 1 is PIRQA; each slot is one further. */
static void dsdt_routing(Aml *a)
{
    size_t table, entry;

    aml_name(a, "_PRT");
    table = aml_package(a, SLOTS * PINS);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        for (unsigned pin = 0; pin < PINS; pin++) {
            char name[5];

            dsdt_link_name(name, "LNK", (slot + pin + LINKS - 1) % LINKS);
            entry = aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_ref(a, slot == ISA_SLOT && pin == 0 ? "LNKS" : name);
            aml_int(a, 0);
            aml_close(a, entry);
        }
    }
    aml_close(a, table);
}

static void dsdt_windows(Machine *m, Aml *a)
{
    Aml *res = aml_new();

    aml_res_buses(res, 0, 0xff);
    aml_res_io(res, CONFIG_PORTS, 8);
    aml_res_ports(res, 0, CONFIG_PORTS - 1);
    aml_res_ports(res, CONFIG_PORTS + 8, 0xffff);
    aml_res_window(res, VIDEO_FIRST, VIDEO_LAST, true);
    aml_res_window(res, (uint32_t)board_get(m)->below_4g, WINDOW_LAST, false);
    aml_name_resources(a, "_CRS", res);
    aml_free(res);
}

/* The PIIX3: its PIRQ registers, and the ISA bus. */
static void dsdt_isa(Machine *m, Aml *a)
{
    size_t dev = aml_device(a, "ISA"), field;

    aml_name_int(a, "_ADR", ISA_SLOT << 16);
    aml_region(a, "PIRR", AML_PCI_CONFIG, REG_PIRQ, LINKS);
    field = aml_field(a, "PIRR");
    for (unsigned n = 0; n < LINKS; n++) {
        char name[5];

        dsdt_link_name(name, "PRQ", n);
        aml_field_unit(a, name, 8);
    }
    aml_close(a, field);
    dsdt_parts(m, a, ACPI_ON_ISA);
    aml_close(a, dev);
}

static void dsdt_pci(Machine *m, Aml *a)
{
    size_t dev = aml_device(a, "PCI0");

    aml_name_eisa(a, "_HID", "PNP0A03");
    aml_name_int(a, "_UID", 0);
    dsdt_windows(m, a);
    dsdt_isa(m, a);
    dsdt_routing(a);
    dsdt_parts(m, a, ACPI_ON_PCI);
    aml_close(a, dev);
}

/* -- the whole -- */

static void dsdt_processors(Machine *m, Aml *a)
{
    size_t scope = aml_scope(a, "\\_PR");

    for (unsigned i = 0; i < MAX_OF(m->config.cpus, 1u); i++) {
        char name[5];

        g_snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        aml_close(a, aml_processor(a, name, (uint8_t)i));
    }
    aml_close(a, scope);
}

/* Sleep type 0 in both control registers is off. */
static void dsdt_soft_off(Aml *a)
{
    size_t package;

    aml_name(a, "\\_S5");
    package = aml_package(a, 4);
    for (int i = 0; i < 4; i++) aml_int(a, 0);
    aml_close(a, package);
}

void acpi_dsdt_append(Machine *m, Aml *a)
{
    size_t scope;

    dsdt_processors(m, a);
    scope = aml_scope(a, "\\_SB");
    dsdt_pci(m, a);
    for (unsigned n = 0; n < LINKS; n++) dsdt_link(a, n);
    dsdt_link_sci(a);
    dsdt_parts(m, a, ACPI_ON_SYSTEM);
    aml_close(a, scope);
    dsdt_soft_off(a);
}
