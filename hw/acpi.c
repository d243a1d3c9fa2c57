/* SPDX-License-Identifier: MIT */
/*
 * The device that hands ACPI tables to the firmware.
 * Source: QEMU's specification of the files etc/table-loader and etc/acpi/.
 *
 * The tables say where the firmware has put the power management's ports, so they are made when it
 * first asks for one of the three files after a reset.  The files are RAM blocks, which travel: a
 * firmware that is reading them when its machine moves goes on with the same tables, whoever made
 * them.
 */
#include "hw/acpi.h"

#include <assert.h>
#include <string.h>

#include "core/machine.h"
#include "hw/fw_cfg.h"

enum { TABLES_SIZE = 0x20000, LOADER_SIZE = 0x1000, RSDP_FILE_SIZE = 20 };

typedef struct Acpi {
    Device dev;
    Device *fw_cfg;
    RamBlock *tables, *loader, *rsdp;
    struct AcpiState {
        uint8_t patched; /* the tables have been made since the last reset */
    } s;
} Acpi;
#define ACPI(d) ((Acpi *)(d))

static const VmField acpi_fields[] = { VM_INT(struct AcpiState, patched), VM_END };
static const VmState acpi_vmstate = {
    .name = "acpi_build", .version = 1, .min_version = 1, .fields = acpi_fields
};

static const Prop acpi_props[] = { PROP(Acpi, fw_cfg, ""), PROP_END };

/* Writes the file, and zeroes behind it. */
static void acpi_fill(RamBlock *to, GByteArray *from)
{
    guint len = from->len;

    assert(len <= to->size);
    g_byte_array_set_size(from, (guint)to->size);
    memset(from->data + len, 0, from->len - len);
    ram_block_write(to, 0, from->data, from->len);
    g_byte_array_free(from, TRUE);
}

static void acpi_select(Device *dev)
{
    Acpi *a = ACPI(dev);
    AcpiFiles f;

    if (a->s.patched) return;
    a->s.patched = 1;
    f = acpi_build(dev->m);
    acpi_fill(a->tables, f.tables);
    acpi_fill(a->loader, f.loader);
    acpi_fill(a->rsdp, f.rsdp);
}

static RamBlock *acpi_block(Acpi *a, const char *file, size_t size, Error *err)
{
    char *name = g_strconcat("/rom@", file, NULL);
    RamBlock *b = ram_block_new(a->dev.m, name, size, err);

    g_free(name);
    if (b && a->fw_cfg && !fw_cfg_add_block(a->fw_cfg, file, b, size, acpi_select, &a->dev, err))
        return NULL;
    return b;
}

static bool acpi_realize(Device *dev, Error *err)
{
    Acpi *a = ACPI(dev);

    a->tables = acpi_block(a, ACPI_FILE_TABLES, TABLES_SIZE, err);
    a->loader = a->tables ? acpi_block(a, ACPI_FILE_LOADER, LOADER_SIZE, err) : NULL;
    a->rsdp = a->loader ? acpi_block(a, ACPI_FILE_RSDP, RSDP_FILE_SIZE, err) : NULL;
    return a->rsdp != NULL;
}

static void acpi_reset(Device *dev) { ACPI(dev)->s.patched = 0; }

DEVICE(acpi, "ACPI tables", Acpi, .name = "acpi-build", .props = acpi_props,
    .vmstates = VMSTATES(&acpi_vmstate), .realize = acpi_realize, .reset = acpi_reset);
