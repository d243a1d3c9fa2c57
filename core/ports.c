/* SPDX-License-Identifier: MIT */
/* The 64 Ki I/O ports.  See memory.h. */
#include <glib.h>

#include "core/memory_internal.h"
#include "util/bits.h"
#include "util/log.h"

enum { PORTS = 65536 };

void memory_free_ports(Memory *mem)
{
    while (mem->ports) {
        PortRange *r = mem->ports;

        mem->ports = r->next;
        g_free(r);
    }
    g_free(mem->port_map);
}

/* Who answers where: older mappings first, so that later ones cover them. */
static void ports_rebuild(Memory *mem)
{
    GPtrArray *ranges = g_ptr_array_new();

    if (!mem->port_map) mem->port_map = g_new(PortRange *, PORTS);
    memset(mem->port_map, 0, PORTS * sizeof(PortRange *));
    for (PortRange *r = mem->ports; r; r = r->next) g_ptr_array_add(ranges, r);
    for (guint i = ranges->len; i-- > 0;) {
        PortRange *r = ranges->pdata[i];

        for (uint32_t p = 0; p < r->count; p++) mem->port_map[r->port + p] = r;
    }
    g_ptr_array_free(ranges, TRUE);
}

bool pio_map(Device *dev, uint32_t port, uint32_t count, const IoOps *ops, uint32_t first_reg,
    const char *name, Error *err)
{
    Memory *mem = dev->m->mem;
    PortRange *r;

    if (!count || port >= PORTS || count > PORTS - port)
        return error_set(err, "%s: there are no ports %#x to %#x", dev->id, port, port + count - 1);
    r = g_new(PortRange, 1);
    *r = (PortRange){ .port = port,
        .count = count,
        .first_reg = first_reg,
        .ops = ops,
        .dev = dev,
        .name = name,
        .next = mem->ports };
    mem->ports = r;
    ports_rebuild(mem);
    return true;
}

void pio_unmap(Device *dev, uint32_t first_reg, uint32_t count)
{
    Memory *mem = dev->m->mem;

    for (PortRange **p = &mem->ports; *p;) {
        PortRange *r = *p;

        if (r->dev != dev || r->first_reg < first_reg || r->first_reg >= first_reg + count) {
            p = &r->next;
            continue;
        }
        *p = r->next;
        g_free(r);
    }
    ports_rebuild(mem);
}

static PortRange *port_find(Machine *m, uint32_t port)
{
    return m->mem->port_map ? m->mem->port_map[port & 0xffff] : NULL;
}

/* True where the range takes an access of this size whole. */
static bool port_fits(const PortRange *r, uint32_t port, unsigned size)
{
    unsigned width = r->ops->width ? r->ops->width : 1;

    return size <= width && port + size <= r->port + r->count;
}

static uint32_t port_ones(unsigned size) { return size == 4 ? UINT32_MAX : (1u << 8 * size) - 1; }

uint32_t pio_read(Machine *m, uint32_t port, unsigned size)
{
    PortRange *r = port_find(m, port);
    uint32_t val = 0;

    if (r && port_fits(r, port, size)) {
        val = port_ones(size);
        if (r->ops->read) val &= r->ops->read(r->dev, r->first_reg + (port - r->port), size);
        if (log_on(&m->log, LOG_IO)) log_printf(&m->log, "in  %04x/%u = %x\n", port, size, val);
        return val;
    }
    if (size == 1) return 0xff;
    val = pio_read(m, port, size / 2);
    return val | pio_read(m, (port + size / 2) & 0xffff, size / 2) << 4 * size;
}

void pio_write(Machine *m, uint32_t port, uint32_t val, unsigned size)
{
    PortRange *r = port_find(m, port);

    if (r && port_fits(r, port, size)) {
        val &= port_ones(size);
        if (log_on(&m->log, LOG_IO)) log_printf(&m->log, "out %04x/%u = %x\n", port, size, val);
        if (r->ops->write) r->ops->write(r->dev, r->first_reg + (port - r->port), val, size);
    } else if (size > 1) {
        pio_write(m, port, val, size / 2);
        pio_write(m, (port + size / 2) & 0xffff, val >> 4 * size, size / 2);
    }
}

void pio_each(Machine *m,
    void (*fn)(void *opaque, uint32_t first, uint32_t last, Device *dev, const char *name),
    void *opaque)
{
    for (uint32_t p = 0, q; m->mem->port_map && p < PORTS; p = q) {
        PortRange *r = m->mem->port_map[p];

        for (q = p + 1; q < PORTS && m->mem->port_map[q] == r;) q++;
        if (r) fn(opaque, p, q - 1, r->dev, r->name);
    }
}
