/* SPDX-License-Identifier: MIT */
/*
 * SMBIOS tables: what firmware publishes of machine, board, CPU and memory (dmidecode).
 * Source: DMTF DSP0134 version 2.8; the values of fields without a fact behind them by asking
 * another emulator.  Not modelled: version 3 tables, ports (8), onboard devices (41).
 *
 * Firmware takes the tables and their anchor from fw_cfg, puts them into memory and fills in
 * addresses and checksums.  BIOS information (0) it makes up itself unless it is given here.
 */
#include <stdio.h>
#include <string.h>

#include "core/cpu_id.h"
#include "core/smbios.h"
#include "hw/board.h"
#include "hw/fw_cfg.h"

enum { HANDLE_CHASSIS = 0x300, HANDLE_MEMORY = 0x1000, HANDLE_NONE = 0xfffe };
enum { DIMM_MIB_MAX = 16384, DIMM_MIB_WORD = 0x7fff, MIB_OF_2TIB = 2 * 1024 * 1024 };
enum { ANCHOR_BYTES = 31, ANCHOR_INTERMEDIATE = 16, VERSION_MAJOR = 2, VERSION_MINOR = 8 };

/* Tables as they grow: a structure is its fixed part and then its strings. */
typedef struct Smbios {
    Board *b;
    GByteArray *tables;
    GString *strings; /* of the structure under construction, each with its zero */
    guint start;      /* of the structure */
    unsigned nstrings, count, longest;
} Smbios;

static void put8(Smbios *s, unsigned v)
{
    uint8_t b = (uint8_t)v;

    g_byte_array_append(s->tables, &b, 1);
}
static void put16(Smbios *s, unsigned v)
{
    put8(s, v);
    put8(s, v >> 8);
}
static void put32(Smbios *s, uint32_t v)
{
    put16(s, v & 0xffff);
    put16(s, v >> 16);
}
static void put_zeroes(Smbios *s, unsigned n)
{
    while (n--) put8(s, 0);
}

/* The number of a string that stands behind the structure; none for an empty one. */
static void put_string(Smbios *s, const char *text)
{
    if (!text || !*text) {
        put8(s, 0);
        return;
    }
    g_string_append_len(s->strings, text, (gssize)strlen(text) + 1);
    put8(s, ++s->nstrings);
}

static void begin(Smbios *s, unsigned type, unsigned handle)
{
    s->start = s->tables->len;
    s->nstrings = 0;
    g_string_truncate(s->strings, 0);
    put8(s, type);
    put8(s, 0); /* its length follows */
    put16(s, handle);
}

static void end(Smbios *s)
{
    unsigned size;

    s->tables->data[s->start + 1] = (uint8_t)(s->tables->len - s->start);
    if (!s->nstrings) put8(s, 0);
    g_byte_array_append(s->tables, (uint8_t *)s->strings->str, (guint)s->strings->len);
    put8(s, 0);
    size = s->tables->len - s->start;
    s->longest = MAX_OF(s->longest, size);
    s->count++;
}

/* -- what -smbios says -- */

static bool is_of_type(Options *o, unsigned type)
{
    uint64_t n = UINT64_MAX;

    return options_get_u64(o, "type", &n, NULL) && n == type;
}

static bool given(const Smbios *s, unsigned type)
{
    const GPtrArray *all = smbios_options(s->b->m);

    for (guint i = 0; i < all->len; i++)
        if (is_of_type(all->pdata[i], type)) return true;
    return false;
}

/* A field: the last one given wins. */
static const char *field(const Smbios *s, unsigned type, const char *key, const char *fallback)
{
    const GPtrArray *all = smbios_options(s->b->m);

    for (guint i = 0; i < all->len; i++)
        if (is_of_type(all->pdata[i], type))
            fallback = options_get_or(all->pdata[i], key, fallback);
    return fallback;
}

static void put_field(Smbios *s, unsigned type, const char *key, const char *fallback)
{
    put_string(s, field(s, type, key, fallback));
}

static bool number(const Smbios *s, unsigned type, const char *key, unsigned *val, Error *err)
{
    const char *text = field(s, type, key, NULL);
    uint64_t v;

    if (!text) return true;
    if (!parse_u64(text, &v, err)) return error_prefix(err, "-smbios type=%u: %s: ", type, key);
    if (v > UINT16_MAX) return error_set(err, "-smbios type=%u: %s is too large", type, key);
    *val = (unsigned)v;
    return true;
}

/* -- structures -- */

static bool bios_information(Smbios *s, Error *err)
{
    const char *release = field(s, 0, "release", NULL), *uefi = field(s, 0, "uefi", "off");
    unsigned major = 0, minor = 0;
    bool efi;

    if (!given(s, 0)) return true;
    if (release && sscanf(release, "%u.%u", &major, &minor) != 2)
        return error_set(err, "-smbios type=0: release is NUMBER.NUMBER");
    if (major > 255 || minor > 255)
        return error_set(err, "-smbios type=0: release numbers are at most 255");
    if (!parse_bool(uefi, &efi, err)) return error_prefix(err, "-smbios type=0: uefi: ");
    begin(s, 0, 0);
    put_field(s, 0, "vendor", NULL);
    put_field(s, 0, "version", NULL);
    put16(s, 0xe800); /* segment */
    put_field(s, 0, "date", NULL);
    put8(s, 0);    /* ROM size */
    put32(s, 0x8); /* characteristics: not said */
    put32(s, 0);
    put8(s, 0);
    put8(s, 0x14 | (efi ? 0x08 : 0)); /* content can be found; a virtual machine; UEFI */
    put8(s, major);
    put8(s, minor);
    put16(s, 0xffff); /* no embedded controller */
    end(s);
    return true;
}

static bool uuid_of(const Smbios *s, uint8_t uuid[16], Error *err)
{
    const char *text = field(s, 1, "uuid", NULL);
    unsigned n = 0;

    memset(uuid, 0, 16);
    if (!text) {
        machine_uuid(s->b->m, uuid);
        return true;
    }
    if (!g_uuid_string_is_valid(text)) return error_set(err, "Invalid UUID");
    for (; n < 16; text += 2) {
        if (*text == '-') text++;
        uuid[n++] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
    }
    return true;
}

static bool system_information(Smbios *s, Error *err)
{
    const MachineClass *cls = s->b->m->cls;
    uint8_t uuid[16];

    if (!uuid_of(s, uuid, err)) return false;
    begin(s, 1, 0x100);
    put_field(s, 1, "manufacturer", "QEMU");
    put_field(s, 1, "product", cls->desc);
    put_field(s, 1, "version", cls->name);
    put_field(s, 1, "serial", NULL);
    put32(s, load_be32(uuid)); /* its first three parts are little endian */
    put16(s, load_be16(uuid + 4));
    put16(s, load_be16(uuid + 6));
    g_byte_array_append(s->tables, uuid + 8, 8);
    put8(s, 6); /* woken by the power switch */
    put_field(s, 1, "sku", NULL);
    put_field(s, 1, "family", NULL);
    end(s);
    return true;
}

static void board_information(Smbios *s)
{
    const MachineClass *cls = s->b->m->cls;

    if (!given(s, 2)) return;
    begin(s, 2, 0x200);
    put_field(s, 2, "manufacturer", "QEMU");
    put_field(s, 2, "product", cls->desc);
    put_field(s, 2, "version", cls->name);
    put_field(s, 2, "serial", NULL);
    put_field(s, 2, "asset", NULL);
    put8(s, 1); /* hosts other things */
    put_field(s, 2, "location", NULL);
    put16(s, HANDLE_CHASSIS);
    put8(s, 0x0a); /* a motherboard */
    put8(s, 0);
    end(s);
}

static void chassis(Smbios *s)
{
    begin(s, 3, HANDLE_CHASSIS);
    put_field(s, 3, "manufacturer", "QEMU");
    put8(s, 1); /* some other kind */
    put_field(s, 3, "version", s->b->m->cls->name);
    put_field(s, 3, "serial", NULL);
    put_field(s, 3, "asset", NULL);
    put8(s, 3); /* boot-up, power supply, temperature: safe */
    put8(s, 3);
    put8(s, 3);
    put8(s, 2); /* security: unknown */
    put_zeroes(s, 4 + 1 + 1 + 1 + 1);
    put_field(s, 3, "sku", NULL);
    end(s);
}

static bool processor(Smbios *s, unsigned socket_number, Error *err)
{
    Machine *m = s->b->m;
    const CpuId *id = machine_cpu_id(m);
    unsigned max = 2000, current = 2000, cores = MIN_OF(m->config.dies * m->config.cores, 255);
    unsigned threads = MIN_OF(m->config.dies * m->config.cores * m->config.threads, 255);
    char *socket = g_strdup_printf("%s %u", field(s, 4, "sock_pfx", "CPU"), socket_number);
    bool ok = number(s, 4, "max-speed", &max, err) && number(s, 4, "current-speed", &current, err);

    begin(s, 4, (uint16_t)(0x400 + socket_number));
    put_string(s, socket);
    put8(s, 3); /* a central processor */
    put8(s, 1); /* of another family */
    put_field(s, 4, "manufacturer", "QEMU");
    put32(s, id->eax);
    put32(s, id->edx);
    put_field(s, 4, "version", m->cls->name);
    put8(s, 0);
    put16(s, 0); /* clock: unknown */
    put16(s, max);
    put16(s, current);
    put8(s, 0x41); /* socket populated, CPU enabled */
    put8(s, 1);
    for (int cache = 0; cache < 3; cache++) put16(s, 0xffff);
    put_field(s, 4, "serial", NULL);
    put_field(s, 4, "asset", NULL);
    put_field(s, 4, "part", NULL);
    put8(s, cores);
    put8(s, cores);
    put8(s, threads);
    put16(s, 2); /* characteristics: unknown */
    put16(s, 1); /* family again */
    end(s);
    g_free(socket);
    return ok;
}

static void oem_strings(Smbios *s)
{
    const GPtrArray *all = smbios_options(s->b->m);
    guint at;

    if (!given(s, 11)) return;
    begin(s, 11, 0xe00);
    at = s->tables->len;
    put8(s, 0);
    for (guint i = 0; i < all->len; i++) {
        Options *o = all->pdata[i];

        if (!is_of_type(o, 11)) continue;
        for (guint k = 0; k < o->entries->len; k++) {
            OptionsEntry *e = o->entries->pdata[k];

            if (strcmp(e->key, "value")) continue;
            e->used = true;
            g_string_append_len(s->strings, e->value, (gssize)strlen(e->value) + 1);
            s->tables->data[at] = (uint8_t)++s->nstrings;
        }
    }
    end(s);
}

/* -- memory -- */

static unsigned dimms(uint64_t mib) { return (unsigned)((mib + DIMM_MIB_MAX - 1) / DIMM_MIB_MAX); }

static void memory_array(Smbios *s, uint64_t mib)
{
    begin(s, 16, HANDLE_MEMORY);
    put8(s, 1); /* some other place */
    put8(s, 3); /* system memory */
    put8(s, 6); /* multi-bit ECC */
    put32(s, mib < MIB_OF_2TIB ? (uint32_t)(mib * KiB) : 0x80000000);
    put16(s, HANDLE_NONE);
    put16(s, dimms(mib));
    put32(s, 0);
    put32(s, 0);
    end(s);
}

static bool memory_device(Smbios *s, unsigned n, unsigned mib, Error *err)
{
    char *locator = g_strdup_printf("%s %u", field(s, 17, "loc_pfx", "DIMM"), n);
    unsigned speed = 0;
    bool ok = number(s, 17, "speed", &speed, err);

    begin(s, 17, 0x1100 + n);
    put16(s, HANDLE_MEMORY);
    put16(s, HANDLE_NONE);
    put16(s, 0xffff); /* widths: unknown */
    put16(s, 0xffff);
    put16(s, MIN_OF(mib, DIMM_MIB_WORD));
    put8(s, 9); /* a DIMM */
    put8(s, 0);
    put_string(s, locator);
    put_field(s, 17, "bank", NULL);
    put8(s, 7);  /* RAM */
    put16(s, 2); /* of another kind */
    put16(s, speed);
    put_field(s, 17, "manufacturer", "QEMU");
    put_field(s, 17, "serial", NULL);
    put_field(s, 17, "asset", NULL);
    put_field(s, 17, "part", NULL);
    put8(s, 0);
    put32(s, mib < DIMM_MIB_WORD ? 0 : mib);
    put16(s, speed);
    put_zeroes(s, 3 * 2); /* voltages: unknown */
    end(s);
    g_free(locator);
    return ok;
}

static void memory_range(Smbios *s, unsigned n, uint64_t from, uint64_t bytes)
{
    uint64_t first = from / KiB, last = (from + bytes) / KiB - 1;
    bool wide = last >= UINT32_MAX;

    begin(s, 19, 0x1300 + n);
    put32(s, wide ? UINT32_MAX : (uint32_t)first);
    put32(s, wide ? UINT32_MAX : (uint32_t)last);
    put16(s, HANDLE_MEMORY);
    put8(s, 1);
    put32(s, wide ? (uint32_t)from : 0);
    put32(s, wide ? (uint32_t)(from >> 32) : 0);
    put32(s, wide ? (uint32_t)(from + bytes - 1) : 0);
    put32(s, wide ? (uint32_t)((from + bytes - 1) >> 32) : 0);
    end(s);
}

static bool memory(Smbios *s, Error *err)
{
    const Board *b = s->b;
    uint64_t mib = b->ram->size / MiB;

    memory_array(s, mib);
    for (unsigned n = 0; n < dimms(mib); n++)
        if (!memory_device(s, n, (unsigned)MIN_OF(mib - n * DIMM_MIB_MAX, DIMM_MIB_MAX), err))
            return false;
    memory_range(s, 0, 0, b->below_4g);
    if (b->ram->size > b->below_4g) memory_range(s, 1, 4 * GiB, b->ram->size - b->below_4g);
    return true;
}

/* -- all of it -- */

/* Structures that somebody else has made, from files. */
static bool files(Smbios *s, Error *err)
{
    const GPtrArray *all = smbios_options(s->b->m);

    for (guint i = 0; i < all->len; i++) {
        const char *file = options_get(all->pdata[i], "file");
        GError *gerr = NULL;
        char *data;
        gsize len;

        if (!file) continue;
        if (!g_file_get_contents(file, &data, &len, &gerr)) {
            error_set(err, "-smbios: %s", gerr->message);
            g_error_free(gerr);
            return false;
        }
        g_byte_array_append(s->tables, (uint8_t *)data, (guint)MIN_OF(len, UINT16_MAX));
        s->longest = MAX_OF(s->longest, (unsigned)MIN_OF(len, UINT16_MAX));
        s->count++;
        g_free(data);
        if (len < 6 || len > UINT16_MAX || s->tables->data[s->tables->len - 1])
            return error_set(err, "-smbios: '%s' is no SMBIOS structure", file);
    }
    return true;
}

static bool build(Smbios *s, Error *err)
{
    const MachineConfig *c = &s->b->m->config;
    unsigned in_socket = c->dies * c->cores * c->threads;

    if (!files(s, err) || !bios_information(s, err) || !system_information(s, err)) return false;
    board_information(s);
    chassis(s);
    for (unsigned i = 0; i * in_socket < c->cpus; i++)
        if (!processor(s, i, err)) return false;
    oem_strings(s);
    if (!memory(s, err)) return false;
    begin(s, 32, 0x2000);
    put_zeroes(s, 6 + 1); /* booted without errors */
    end(s);
    begin(s, 127, 0x7f00);
    end(s);
    return true;
}

static bool check_options(const Smbios *s, Error *err)
{
    static const uint8_t known[] = { 0, 1, 2, 3, 4, 11, 17 };
    const GPtrArray *all = smbios_options(s->b->m);

    for (guint i = 0; i < all->len; i++) {
        Options *o = all->pdata[i];
        uint64_t type = 0;

        if (options_get(o, "file")) continue;
        if (!options_get(o, "type"))
            return error_set(err, "-smbios: Must specify either 'file' or 'type'");
        if (!options_get_u64(o, "type", &type, err)) return false;
        if (type > UINT8_MAX || !memchr(known, (int)type, sizeof(known)))
            return error_set(
                err, "Don't know how to build fields for SMBIOS type %s", options_get(o, "type"));
    }
    return true;
}

/* Once all is built, what nobody has read is unknown. */
static bool check_fields(const Smbios *s, Error *err)
{
    const GPtrArray *all = smbios_options(s->b->m);

    for (guint i = 0; i < all->len; i++)
        if (!options_check_used(all->pdata[i], "smbios", err))
            return error_prefix(err, "-smbios: ");
    return true;
}

static bool publish(Smbios *s, Error *err)
{
    uint8_t a[ANCHOR_BYTES] = "_SM_";

    a[5] = sizeof(a);
    a[6] = VERSION_MAJOR;
    a[7] = VERSION_MINOR;
    store_le16(a + 8, (uint16_t)s->longest);
    memcpy(a + ANCHOR_INTERMEDIATE, "_DMI_", 5);
    store_le16(a + 22, (uint16_t)s->tables->len);
    store_le16(a + 28, (uint16_t)s->count);
    a[30] = VERSION_MAJOR << 4 | VERSION_MINOR;
    return fw_cfg_add_file(
               s->b->fw_cfg, "etc/smbios/smbios-tables", s->tables->data, s->tables->len, err) &&
           fw_cfg_add_file(s->b->fw_cfg, "etc/smbios/smbios-anchor", a, sizeof(a), err);
}

bool board_smbios(Board *b, Error *err)
{
    Smbios s = { .b = b, .tables = g_byte_array_new(), .strings = g_string_new(NULL) };
    bool ok = check_options(&s, err) && build(&s, err) && check_fields(&s, err);

    if (ok && s.tables->len > UINT16_MAX) ok = error_set(err, "-smbios: the tables are too long");
    ok = ok && publish(&s, err);
    g_byte_array_free(s.tables, TRUE);
    g_string_free(s.strings, TRUE);
    return ok;
}
