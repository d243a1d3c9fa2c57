/* SPDX-License-Identifier: MIT */
/*
 * Layouts of sections that other programs send for devices that this one lacks, as observed on the
 * wire of the machine pc-i440fx-7.2.  Such a device is simply not there after the load.
 */
#include "migration/foreign.h"

#include <string.h>

#include "core/vmstate.h"

#define BYTES(ident, n) static const VmField ident[] = { VM_UNUSED(n), VM_END }
#define FOREIGN_STRUCT(text, n, table)                                                             \
    {                                                                                              \
        .name = (text), .type = &vm_struct, .count = (n), .vmsd = &(table)                         \
    }
#define TABLE(ident, text, v, f)                                                                   \
    static const VmState ident = { .name = (text), .version = (v), .fields = (f) }

BYTES(bytes_1, 1);
BYTES(bytes_4, 4);
BYTES(bytes_8, 8);
BYTES(bytes_144, 144);
BYTES(bytes_151, 151);
BYTES(bytes_181, 181);
BYTES(bytes_206, 206);
BYTES(bytes_4105, 4105);

TABLE(ioapic, "ioapic", 3, bytes_206);
TABLE(hpet_rtc_irq, "hpet/rtc_irq_level", 1, bytes_1);
TABLE(hpet_offset, "hpet/offset", 1, bytes_8);
static const VmState hpet = {
    .name = "hpet",
    .version = 2,
    .fields = bytes_151,
    .subsections = (const VmState *const[]){ &hpet_rtc_irq, &hpet_offset, NULL },
};
TABLE(vmmouse, "vmmouse", 0, bytes_4105);
TABLE(i2c_bus, "i2c_bus", 1, bytes_1);
TABLE(acpi_build, "acpi_build", 1, bytes_1);
TABLE(tpr_opt, "kvm-tpr-opt", 1, bytes_144);
TABLE(apic, "apic", 3, bytes_181);

TABLE(pm_memhp, "piix4_pm/memhp", 1, bytes_4);
static const VmField pm_fields[] = { VM_UNUSED(276 + 8 + 48 + 16 + 4 + 4 + 8 * 256 + 4), VM_END };
static const VmState pm = {
    .name = "piix4_pm",
    .version = 3,
    .fields = pm_fields,
    .subsections = (const VmState *const[]){ &pm_memhp, NULL },
};

static const VmState *const foreign_tables[] = { &ioapic, &hpet, &vmmouse, &i2c_bus, &acpi_build,
    &tpr_opt, &apic, &pm };

bool foreign_section_skip(Stream *st, const char *idstr, uint32_t version)
{
    const char *name = strrchr(idstr, '/');

    name = name ? name + 1 : idstr;
    for (size_t i = 0; i < sizeof(foreign_tables) / sizeof(foreign_tables[0]); i++) {
        char nothing[16] = { 0 };

        if (strcmp(foreign_tables[i]->name, name)) continue;
        if (version > (uint32_t)foreign_tables[i]->version) return false;
        vmstate_load(st, foreign_tables[i], nothing, (int)version);
        return true;
    }
    return false;
}
