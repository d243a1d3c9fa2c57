/* SPDX-License-Identifier: MIT */
/* `info qtree`: the devices by bus, with their properties. */
#include <string.h>

#include "core/command.h"

static void qtree_integer(Sink *out, const char *name, uint64_t v)
{
    sink_printf(out, "%s = %" G_GUINT64_FORMAT " (0x%" G_GINT64_MODIFIER "x)\n", name, v, v);
}

static void qtree_text(Sink *out, const char *name, const char *text)
{
    sink_printf(out, "%s = \"%s\"\n", name, text ? text : "");
}

static void qtree_prop(Sink *out, const Device *dev, const Prop *p)
{
    const void *at = (const char *)dev + p->offset;
    const char *given = g_hash_table_lookup(dev->props, p->name);
    const uint8_t *mac = at;
    char text[32];

    switch (p->type) {
    case PROP_U8: qtree_integer(out, p->name, *(const uint8_t *)at); break;
    case PROP_U16: qtree_integer(out, p->name, *(const uint16_t *)at); break;
    case PROP_U32: qtree_integer(out, p->name, *(const uint32_t *)at); break;
    case PROP_U64: qtree_integer(out, p->name, *(const uint64_t *)at); break;
    case PROP_I32: sink_printf(out, "%s = %d\n", p->name, *(const int32_t *)at); break;
    case PROP_BOOL:
        sink_printf(out, "%s = %s\n", p->name, *(const bool *)at ? "true" : "false");
        break;
    case PROP_STR: qtree_text(out, p->name, *(char *const *)at); break;
    case PROP_MAC:
        g_snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
            mac[3], mac[4], mac[5]);
        qtree_text(out, p->name, text);
        break;
    default: qtree_text(out, p->name, given ? given : p->fallback); /* what it was wired to */
    }
}

static void qtree_device(Sink *out, const Device *dev, int indent)
{
    sink_printf(out, "%*sdev: %s, id \"%s\"\n", indent, "", dev->cls->name, dev->id);
    for (const Prop *p = dev->cls->props; p && p->name; p++) {
        sink_printf(out, "%*s", indent + 2, "");
        qtree_prop(out, dev, p);
    }
}

static void qtree_bus(CommandCall *call, const char *bus, int indent)
{
    EACH_DEVICE (dev, call->m) {
        const char *on = dev->cls->bus ? dev->cls->bus : "";
        if (!strcmp(on, bus)) qtree_device(call->out, dev, indent);
    }
}

static bool qtree_has(Machine *m, const char *bus)
{
    EACH_DEVICE (dev, m) {
        if (dev->cls->bus && !strcmp(dev->cls->bus, bus)) return true;
    }
    return false;
}

static void cmd_info_qtree(CommandCall *call, Error *err)
{
    static const char *const buses[][2] = { { "pci", "PCI" }, { "isa", "ISA" } };

    (void)err;
    sink_printf(call->out, "bus: main-system-bus\n  type System\n");
    qtree_bus(call, "", 2);
    for (unsigned i = 0; i < ARRAY_SIZE(buses); i++) {
        if (!qtree_has(call->m, buses[i][0])) continue;
        sink_printf(call->out, "  bus: %s.0\n    type %s\n", buses[i][0], buses[i][1]);
        qtree_bus(call, buses[i][0], 4);
    }
}
COMMAND(info_qtree, .name = "info qtree", .args = "", .usage = "", .help = "show device tree",
    .run = cmd_info_qtree);
