/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables: who adds what.
 *
 * acpi.c         the device that hands the tables to the firmware, by fw_cfg
 * acpi_tables.c  the tables but the DSDT, and the loader's script
 * acpi_dsdt.c    the DSDT: what it says of the board itself
 * aml.c          AML
 *
 * A chip that the guest's ACPI should know of says so itself, by an AcpiPart beside its DEVICE.
 */
#pragma once

#include "core/device.h"
#include "hw/aml.h"
#include "util/bits.h"

enum AcpiPlace { ACPI_ON_ISA, ACPI_ON_PCI, ACPI_ON_SYSTEM };

/* Called for each device of the class: declares it in the DSDT, in the scope of `place`. */
typedef struct AcpiPart {
    const DeviceClass *cls;
    enum AcpiPlace place;
    void (*declare)(Device *dev, Aml *a);
} AcpiPart;

#define ACPI_PART(ident, where, fn)                                                                \
    static const AcpiPart ident##_acpi = {                                                         \
        .cls = &ident##_class, .place = (where), .declare = (fn)                                   \
    };                                                                                             \
    SET_ADD(acpi_parts, ident##_acpi)
SET_DECLARE(acpi_parts);

/* A whole table, made for the first device of the class: appends what follows the header. */
typedef struct AcpiTable {
    const DeviceClass *cls;
    char signature[5];
    uint8_t revision;
    bool (*needed)(Device *dev); /* NULL: always */
    void (*append)(Device *dev, GByteArray *to);
} AcpiTable;

#define ACPI_TABLE(ident, ...)                                                                     \
    static const AcpiTable ident##_acpi_table = { .cls = &ident##_class, __VA_ARGS__ };            \
    SET_ADD(acpi_tables, ident##_acpi_table)
SET_DECLARE(acpi_tables);

/* Appends the n low bytes of val. */
static inline void acpi_put(GByteArray *to, uint64_t val, unsigned n)
{
    uint8_t bytes[8];

    store_le64(bytes, val);
    g_byte_array_append(to, bytes, n);
}

enum { ACPI_HEADER = 36, ACPI_SCI = 9 };
#define ACPI_FILE_TABLES "etc/acpi/tables"
#define ACPI_FILE_RSDP "etc/acpi/rsdp"
#define ACPI_FILE_LOADER "etc/table-loader"

/* The three files' contents. */
typedef struct AcpiFiles {
    GByteArray *tables, *rsdp, *loader;
} AcpiFiles;

/* Makes all tables for the machine as it is now; the caller frees the arrays. */
AcpiFiles acpi_build(Machine *m);
/* The DSDT behind its header. */
void acpi_dsdt_append(Machine *m, Aml *a);

/* An ISA device, by its Plug and Play id ("PNP0501"); uid -1: none. */
void acpi_isa_device(Aml *a, const char *name, const char *eisa, int uid, const Aml *resources);
