/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables and the script by which the firmware puts them into memory.
 * Source: ACPI specification 2.0, chapter 5.2; QEMU's specification of the files etc/table-loader
 * and etc/acpi/.
 * Not modelled: XSDT and addresses above 4 GiB.
 *
 * Pointers in the files are offsets into the file pointed to; the loader adds its address.
 */
#include <assert.h>
#include <string.h>

#include "core/machine.h"
#include "hw/acpi.h"
#include "hw/piix4_pm.h"

enum { FACS_SIZE = 64, RSDP_SIZE = 20, FADT_SIZE = 244, TABLES_MAX = 16 };
enum { LOADER_ENTRY = 128, LOADER_NAME = 56 };
enum { LOAD_ALLOCATE = 1, LOAD_POINTER = 2, LOAD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_F_SEGMENT = 2 };
enum { AT_LENGTH = 4, AT_CHECKSUM = 9 }; /* in a header */
enum { AT_RSDP_CHECKSUM = 8, AT_RSDP_RSDT = 16 };
enum { AT_FADT_FACS = 36, AT_FADT_DSDT = 40 };
enum { RESET_PORT = 0xcf9, RESET_HARD = 0x0e };

typedef struct Builder {
    AcpiFiles f;
    uint32_t table[TABLES_MAX]; /* offsets of what the RSDT lists */
    unsigned ntables;
} Builder;

/* -- the loader's script -- */

static uint8_t *loader_entry(Builder *b, uint32_t command)
{
    uint8_t *e;

    g_byte_array_set_size(b->f.loader, b->f.loader->len + LOADER_ENTRY);
    e = b->f.loader->data + b->f.loader->len - LOADER_ENTRY;
    memset(e, 0, LOADER_ENTRY);
    store_le32(e, command);
    return e + 4;
}

static void loader_allocate(Builder *b, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t *e = loader_entry(b, LOAD_ALLOCATE);

    g_strlcpy((char *)e, file, LOADER_NAME);
    store_le32(e + LOADER_NAME, align);
    e[LOADER_NAME + 4] = zone;
}

/* The four bytes at off in `file` hold an offset into the tables. */
static void loader_pointer(Builder *b, const char *file, uint32_t off)
{
    uint8_t *e = loader_entry(b, LOAD_POINTER);

    g_strlcpy((char *)e, file, LOADER_NAME);
    g_strlcpy((char *)e + LOADER_NAME, ACPI_FILE_TABLES, LOADER_NAME);
    store_le32(e + 2 * LOADER_NAME, off);
    e[2 * LOADER_NAME + 4] = 4;
}

static void loader_checksum(Builder *b, const char *file, uint32_t at, uint32_t start, uint32_t len)
{
    uint8_t *e = loader_entry(b, LOAD_CHECKSUM);

    g_strlcpy((char *)e, file, LOADER_NAME);
    store_le32(e + LOADER_NAME, at);
    store_le32(e + LOADER_NAME + 4, start);
    store_le32(e + LOADER_NAME + 8, len);
}

/* -- tables -- */

static uint32_t table_begin(Builder *b, const char *signature, uint8_t revision)
{
    GByteArray *to = b->f.tables;
    uint32_t start = to->len;

    g_byte_array_append(to, (const uint8_t *)signature, 4);
    acpi_put(to, 0, 4); /* length */
    acpi_put(to, revision, 1);
    acpi_put(to, 0, 1); /* checksum */
    g_byte_array_append(to, (const uint8_t *)"STASIS", 6);
    g_byte_array_append(to, (const uint8_t *)"STASISPC", 8);
    acpi_put(to, 1, 4);
    g_byte_array_append(to, (const uint8_t *)"STAS", 4);
    acpi_put(to, 1, 4);
    return start;
}

/* Behind the pointers of the table: the checksum is made when these have been filled in. */
static void table_end(Builder *b, uint32_t start)
{
    uint32_t len = b->f.tables->len - start;

    store_le32(b->f.tables->data + start + AT_LENGTH, len);
    loader_checksum(b, ACPI_FILE_TABLES, start + AT_CHECKSUM, start, len);
}

static void table_list(Builder *b, uint32_t start)
{
    assert(b->ntables < TABLES_MAX);
    b->table[b->ntables++] = start;
}

/* The firmware's control structure: nothing of it is the board's. */
static void build_facs(Builder *b)
{
    GByteArray *to = b->f.tables;

    g_byte_array_append(to, (const uint8_t *)"FACS", 4);
    acpi_put(to, FACS_SIZE, 4);
    g_byte_array_set_size(to, FACS_SIZE);
    memset(to->data + 8, 0, FACS_SIZE - 8);
}

static uint32_t build_dsdt(Builder *b, Machine *m)
{
    uint32_t start = table_begin(b, "DSDT", 1);

    acpi_dsdt_append(m, b->f.tables);
    table_end(b, start);
    return start;
}

/* A generic address of n bytes of ports. */
static void put_ports(GByteArray *to, uint32_t port, unsigned n)
{
    acpi_put(to, port ? 1 : 0, 1);
    acpi_put(to, port ? 8 * n : 0, 1);
    acpi_put(to, 0, 2);
    acpi_put(to, port, 8);
}

static void put_fadt_ports(GByteArray *to, uint32_t pm)
{
    acpi_put(to, pm, 4); /* PM1a event, PM1b event */
    acpi_put(to, 0, 4);
    acpi_put(to, pm + 4, 4); /* PM1a control, PM1b control, PM2 control */
    acpi_put(to, 0, 8);
    acpi_put(to, pm + 8, 4); /* timer */
    acpi_put(to, PIIX4_PM_GPE, 4);
    acpi_put(to, 0, 4);
    acpi_put(to, 4, 1); /* lengths of these */
    acpi_put(to, 2, 1);
    acpi_put(to, 0, 1);
    acpi_put(to, 4, 1);
    acpi_put(to, PIIX4_PM_GPE_PORTS, 1);
    acpi_put(to, 0, 3);
}

static void put_fadt_wide_ports(GByteArray *to, uint32_t pm)
{
    put_ports(to, pm, 4);
    put_ports(to, 0, 0);
    put_ports(to, pm + 4, 2);
    put_ports(to, 0, 0);
    put_ports(to, 0, 0);
    put_ports(to, pm + 8, 4);
    put_ports(to, PIIX4_PM_GPE, PIIX4_PM_GPE_PORTS);
    put_ports(to, 0, 0);
}

static void build_fadt(Builder *b, Machine *m, uint32_t dsdt)
{
    enum { WBINVD = 1, PROC_C1 = 1 << 2, NO_SLEEP_BUTTON = 1 << 5, RESET_REGISTER = 1 << 10 };
    enum { NEVER_C2_C3 = 0x0fff, LEGACY_DEVICES = 1, HAS_8042 = 2, CMOS_CENTURY = 0x32 };
    GByteArray *to = b->f.tables;
    uint32_t start = table_begin(b, "FACP", 3), pm = piix4_pm_base(m);

    table_list(b, start);
    acpi_put(to, 0, 4); /* FACS, which comes first in the file */
    acpi_put(to, dsdt, 4);
    acpi_put(to, 1, 1); /* dual 8259s, as ACPI 1.0 has it here */
    acpi_put(to, 0, 1); /* no preferred profile */
    acpi_put(to, ACPI_SCI, 2);
    acpi_put(to, PIIX4_PM_APMC, 4);
    acpi_put(to, PIIX4_PM_ACPI_ON, 1);
    acpi_put(to, PIIX4_PM_ACPI_OFF, 1);
    acpi_put(to, 0, 2);
    put_fadt_ports(to, pm);
    acpi_put(to, NEVER_C2_C3, 2);
    acpi_put(to, NEVER_C2_C3, 2);
    acpi_put(to, 0, 6); /* flush size and stride, duty cycle */
    acpi_put(to, 0, 2); /* RTC alarms by day and month: none */
    acpi_put(to, CMOS_CENTURY, 1);
    acpi_put(to, LEGACY_DEVICES | HAS_8042, 2);
    acpi_put(to, 0, 1);
    acpi_put(to, WBINVD | PROC_C1 | NO_SLEEP_BUTTON | RESET_REGISTER, 4);
    put_ports(to, RESET_PORT, 1);
    acpi_put(to, RESET_HARD, 1);
    acpi_put(to, 0, 3);
    acpi_put(to, 0, 8); /* addresses of FACS and DSDT above 4 GiB */
    acpi_put(to, 0, 8);
    put_fadt_wide_ports(to, pm);
    assert(to->len - start == FADT_SIZE);
    loader_pointer(b, ACPI_FILE_TABLES, start + AT_FADT_FACS);
    loader_pointer(b, ACPI_FILE_TABLES, start + AT_FADT_DSDT);
    table_end(b, start);
}

/* Tables that devices bring along, in the order of their signatures. */
static gint compare_tables(gconstpointer x, gconstpointer y)
{
    const AcpiTable *const *a = x, *const *b = y;

    return strcmp((*a)->signature, (*b)->signature);
}

static void build_tables_of_devices(Builder *b, Machine *m)
{
    GPtrArray *sorted = g_ptr_array_new();

    SET_EACH (AcpiTable, t, acpi_tables) {
        g_ptr_array_add(sorted, (void *)t);
    }
    g_ptr_array_sort(sorted, compare_tables);
    for (guint i = 0; i < sorted->len; i++) {
        const AcpiTable *t = sorted->pdata[i];
        Device *dev = device_first(m);

        while (dev && dev->cls != t->cls) dev = dev->next;
        if (!dev || (t->needed && !t->needed(dev))) continue;
        uint32_t start = table_begin(b, t->signature, t->revision);
        table_list(b, start);
        t->append(dev, b->f.tables);
        table_end(b, start);
    }
    g_ptr_array_free(sorted, TRUE);
}

static uint32_t build_rsdt(Builder *b)
{
    uint32_t start = table_begin(b, "RSDT", 1);

    for (unsigned i = 0; i < b->ntables; i++) {
        loader_pointer(b, ACPI_FILE_TABLES, b->f.tables->len);
        acpi_put(b->f.tables, b->table[i], 4);
    }
    table_end(b, start);
    return start;
}

static void build_rsdp(Builder *b, uint32_t rsdt)
{
    GByteArray *to = b->f.rsdp;

    g_byte_array_append(to, (const uint8_t *)"RSD PTR ", 8);
    acpi_put(to, 0, 1); /* checksum */
    g_byte_array_append(to, (const uint8_t *)"STASIS", 6);
    acpi_put(to, 0, 1); /* ACPI 1.0's */
    acpi_put(to, rsdt, 4);
    assert(to->len == RSDP_SIZE);
    loader_pointer(b, ACPI_FILE_RSDP, AT_RSDP_RSDT);
    loader_checksum(b, ACPI_FILE_RSDP, AT_RSDP_CHECKSUM, 0, RSDP_SIZE);
}

AcpiFiles acpi_build(Machine *m)
{
    enum { RSDP_ALIGN = 16, FACS_ALIGN = 64 };
    Builder b = { .f = { g_byte_array_new(), g_byte_array_new(), g_byte_array_new() } };

    loader_allocate(&b, ACPI_FILE_RSDP, RSDP_ALIGN, ZONE_F_SEGMENT);
    loader_allocate(&b, ACPI_FILE_TABLES, FACS_ALIGN, ZONE_HIGH);
    build_facs(&b);
    build_fadt(&b, m, build_dsdt(&b, m));
    build_tables_of_devices(&b, m);
    build_rsdp(&b, build_rsdt(&b));
    return b.f;
}
