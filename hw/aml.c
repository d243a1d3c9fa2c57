/* SPDX-License-Identifier: MIT */
/* See aml.h.  Not modelled: what no table of ours uses. */
#include "hw/aml.h"

#include <assert.h>
#include <string.h>

#include "util/bits.h"

enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXT = 0x5b,
    OP_ARG0 = 0x68,
    OP_STORE = 0x70,
    OP_AND = 0x7b,
    OP_OR = 0x7d,
    OP_DWORD_FIELD = 0x8a,
    OP_IF = 0xa0,
    OP_RETURN = 0xa4,
};
enum { EXT_REGION = 0x80, EXT_FIELD = 0x81, EXT_DEVICE = 0x82, EXT_PROCESSOR = 0x83 };
enum { SEGMENT = 4 };

static void aml_byte(Aml *a, unsigned val)
{
    uint8_t byte = (uint8_t)val;

    g_byte_array_append(a, &byte, 1);
}

static void aml_bytes(Aml *a, uint32_t val, unsigned n)
{
    uint8_t bytes[4];

    store_le32(bytes, val);
    g_byte_array_append(a, bytes, n);
}

void aml_append(Aml *a, const Aml *part) { g_byte_array_append(a, part->data, part->len); }

/* -- names -- */

static void aml_segment(Aml *a, const char *seg, size_t len)
{
    char full[SEGMENT] = { '_', '_', '_', '_' };

    assert(len >= 1 && len <= SEGMENT);
    memcpy(full, seg, len);
    g_byte_array_append(a, (const uint8_t *)full, SEGMENT);
}

void aml_ref(Aml *a, const char *name)
{
    char **segs;
    unsigned n;

    for (; *name == '\\' || *name == '^'; name++) aml_byte(a, (uint8_t)*name);
    segs = g_strsplit(name, ".", -1);
    n = g_strv_length(segs);
    if (n == 0) aml_byte(a, 0);
    if (n == 2) aml_byte(a, OP_DUAL_NAME);
    if (n > 2) {
        aml_byte(a, OP_MULTI_NAME);
        aml_byte(a, n);
    }
    for (unsigned i = 0; i < n; i++) aml_segment(a, segs[i], strlen(segs[i]));
    g_strfreev(segs);
}

/* -- enclosing things: the mark is where the length belongs, which is known at the end -- */

void aml_close(Aml *a, size_t mark)
{
    size_t len = a->len - mark;
    uint8_t bytes[4];
    unsigned n = 1;

    /* The length counts its own bytes; of one byte it holds 6 bits, of n 4 + 8 * (n - 1). */
    if (len + 1 < 1 << 6) {
        bytes[0] = (uint8_t)(len + 1);
    } else {
        n = len + 2 < 1 << 12 ? 2 : 3;
        len += n;
        assert(len < 1 << 20);
        bytes[0] = (uint8_t)((n - 1) << 6 | (len & 0xf));
        bytes[1] = (uint8_t)(len >> 4);
        bytes[2] = (uint8_t)(len >> 12);
    }
    g_byte_array_set_size(a, a->len + n);
    memmove(a->data + mark + n, a->data + mark, a->len - n - mark);
    memcpy(a->data + mark, bytes, n);
}

static size_t aml_open(Aml *a, unsigned op)
{
    if (op > 0xff) aml_byte(a, OP_EXT);
    aml_byte(a, op);
    return a->len;
}

static size_t aml_open_named(Aml *a, unsigned op, const char *name)
{
    size_t mark = aml_open(a, op);

    aml_ref(a, name);
    return mark;
}

size_t aml_scope(Aml *a, const char *name) { return aml_open_named(a, OP_SCOPE, name); }

size_t aml_device(Aml *a, const char *name) { return aml_open_named(a, 0x100 | EXT_DEVICE, name); }

size_t aml_processor(Aml *a, const char *name, uint8_t id)
{
    size_t mark = aml_open_named(a, 0x100 | EXT_PROCESSOR, name);

    aml_byte(a, id);
    aml_bytes(a, 0, 4);
    aml_byte(a, 0);
    return mark;
}

size_t aml_method(Aml *a, const char *name, unsigned args, bool serialized)
{
    size_t mark = aml_open_named(a, OP_METHOD, name);

    aml_byte(a, args | (serialized ? 8 : 0));
    return mark;
}

size_t aml_package(Aml *a, uint8_t n)
{
    size_t mark = aml_open(a, OP_PACKAGE);

    aml_byte(a, n);
    return mark;
}

size_t aml_if(Aml *a) { return aml_open(a, OP_IF); }

size_t aml_field(Aml *a, const char *region)
{
    size_t mark = aml_open_named(a, 0x100 | EXT_FIELD, region);

    aml_byte(a, 1); /* by bytes, no lock, the rest preserved */
    return mark;
}

/* -- declarations -- */

void aml_name(Aml *a, const char *name)
{
    aml_byte(a, OP_NAME);
    aml_ref(a, name);
}

void aml_region(Aml *a, const char *name, enum AmlSpace space, uint32_t at, uint32_t len)
{
    aml_byte(a, OP_EXT);
    aml_byte(a, EXT_REGION);
    aml_ref(a, name);
    aml_byte(a, space);
    aml_int(a, at);
    aml_int(a, len);
}

void aml_field_unit(Aml *a, const char *name, unsigned bits)
{
    assert(bits < 1 << 6);
    aml_segment(a, name, strlen(name));
    aml_byte(a, bits);
}

void aml_name_int(Aml *a, const char *name, uint32_t val)
{
    aml_name(a, name);
    aml_int(a, val);
}

void aml_name_text(Aml *a, const char *name, const char *text)
{
    aml_name(a, name);
    aml_text(a, text);
}

void aml_name_bytes(Aml *a, const char *name, const uint8_t *bytes, uint8_t n)
{
    size_t mark;

    aml_name(a, name);
    mark = aml_open(a, OP_BUFFER);
    aml_int(a, n);
    g_byte_array_append(a, bytes, n);
    aml_close(a, mark);
}

/* Three letters of 5 bits and four hexadecimal digits, big-endian. */
void aml_name_eisa(Aml *a, const char *name, const char *id)
{
    uint32_t letters =
        (uint32_t)(id[0] - '@') << 10 | (uint32_t)(id[1] - '@') << 5 | (uint32_t)(id[2] - '@');
    uint8_t bytes[4];

    assert(strlen(id) == 7);
    store_be32(bytes, letters << 16 | (uint32_t)g_ascii_strtoull(id + 3, NULL, 16));
    aml_name(a, name);
    aml_byte(a, OP_DWORD);
    g_byte_array_append(a, bytes, sizeof(bytes));
}

/* -- objects and operators -- */

void aml_int(Aml *a, uint32_t val)
{
    unsigned n = val > 0xffff ? 4 : val > 0xff ? 2 : 1;

    if (val <= 1) {
        aml_byte(a, val ? OP_ONE : OP_ZERO);
        return;
    }
    aml_byte(a, n == 4 ? OP_DWORD : n == 2 ? OP_WORD : OP_BYTE);
    aml_bytes(a, val, n);
}

void aml_text(Aml *a, const char *text)
{
    aml_byte(a, OP_STRING);
    g_byte_array_append(a, (const uint8_t *)text, (guint)strlen(text) + 1);
}

void aml_arg(Aml *a, unsigned n) { aml_byte(a, OP_ARG0 + n); }
void aml_return(Aml *a) { aml_byte(a, OP_RETURN); }
void aml_store(Aml *a) { aml_byte(a, OP_STORE); }
void aml_and(Aml *a) { aml_byte(a, OP_AND); }
void aml_or(Aml *a) { aml_byte(a, OP_OR); }
void aml_nowhere(Aml *a) { aml_byte(a, 0); }
void aml_dword_field(Aml *a) { aml_byte(a, OP_DWORD_FIELD); }

void aml_dword_field_at(Aml *a, uint32_t off, const char *name)
{
    aml_int(a, off);
    aml_ref(a, name);
}

/* -- resources -- */

enum { RES_END = 0x79, RES_IRQ = 0x22, RES_DMA = 0x2a, RES_IO = 0x47, RES_IO_DECODE16 = 1 };
enum { RES_MEMORY = 0x86, RES_DWORD = 0x87, RES_WORD = 0x88, RES_INTERRUPT = 0x89 };
enum { ADDR_MEMORY = 0, ADDR_PORTS = 1, ADDR_BUSES = 2, ADDR_FIXED = 0x0c, ADDR_ENTIRE = 3 };
enum { MEMORY_WRITABLE = 1, MEMORY_CACHEABLE = 2 };

void aml_name_resources(Aml *a, const char *name, const Aml *res)
{
    size_t mark;

    aml_name(a, name);
    mark = aml_open(a, OP_BUFFER);
    aml_int(a, res->len + 2);
    aml_append(a, res);
    aml_byte(a, RES_END);
    aml_byte(a, 0); /* no checksum */
    aml_close(a, mark);
}

void aml_res_io(Aml *res, uint16_t port, uint8_t len)
{
    aml_byte(res, RES_IO);
    aml_byte(res, RES_IO_DECODE16);
    aml_bytes(res, port, 2);
    aml_bytes(res, port, 2);
    aml_byte(res, 1);
    aml_byte(res, len);
}

void aml_res_irq(Aml *res, unsigned line)
{
    aml_byte(res, RES_IRQ);
    aml_bytes(res, 1u << line, 2);
}

void aml_res_dma(Aml *res, unsigned channel)
{
    aml_byte(res, RES_DMA);
    aml_byte(res, 1u << channel);
    aml_byte(res, 0); /* compatible timing, by bytes */
}

void aml_res_memory(Aml *res, uint32_t at, uint32_t len)
{
    enum { READ_ONLY = 0 };

    aml_byte(res, RES_MEMORY);
    aml_bytes(res, 9, 2);
    aml_byte(res, READ_ONLY);
    aml_bytes(res, at, 4);
    aml_bytes(res, len, 4);
}

void aml_res_interrupts(Aml *res, const uint32_t *lines, uint8_t n)
{
    enum { CONSUMER = 1, SHARED = 8 };

    aml_byte(res, RES_INTERRUPT);
    aml_bytes(res, 2 + 4u * n, 2);
    aml_byte(res, CONSUMER | SHARED);
    aml_byte(res, n);
    for (unsigned i = 0; i < n; i++) aml_bytes(res, lines[i], 4);
}

/* An address space descriptor: granularity, first, last, translation, length. */
static void aml_res_space(
    Aml *res, unsigned width, unsigned type, unsigned flags, uint32_t first, uint32_t last)
{
    aml_byte(res, width == 4 ? RES_DWORD : RES_WORD);
    aml_bytes(res, 3 + 5 * width, 2);
    aml_byte(res, type);
    aml_byte(res, ADDR_FIXED);
    aml_byte(res, flags);
    aml_bytes(res, 0, width);
    aml_bytes(res, first, width);
    aml_bytes(res, last, width);
    aml_bytes(res, 0, width);
    aml_bytes(res, last - first + 1, width);
}

void aml_res_buses(Aml *res, uint16_t first, uint16_t last)
{
    aml_res_space(res, 2, ADDR_BUSES, 0, first, last);
}

void aml_res_ports(Aml *res, uint16_t first, uint16_t last)
{
    aml_res_space(res, 2, ADDR_PORTS, ADDR_ENTIRE, first, last);
}

void aml_res_window(Aml *res, uint32_t first, uint32_t last, bool cacheable)
{
    aml_res_space(
        res, 4, ADDR_MEMORY, MEMORY_WRITABLE | (cacheable ? MEMORY_CACHEABLE : 0), first, last);
}
