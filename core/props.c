/* SPDX-License-Identifier: MIT */
/* Properties: texts become typed members of a device.  See device.h. */
#include "core/props.h"

#include <stdio.h>
#include <string.h>

#include "core/machine.h"
#include "util/options.h"

const Prop *prop_find(const DeviceClass *cls, const char *name)
{
    for (const Prop *p = cls->props; p && p->name; p++)
        if (!strcmp(p->name, name)) return p;
    return NULL;
}

static bool prop_set_int(void *member, size_t size, bool is_signed, const char *text, Error *err)
{
    bool negative = is_signed && *text == '-';
    uint64_t v, max = size == 8 ? UINT64_MAX : (1ull << (8 * size - is_signed)) - 1;

    if (!parse_u64(text + negative, &v, err)) return false;
    if (v > max) return error_set(err, "%s is too large", text);
    if (negative) v = -v;
    memcpy(member, &v, size); /* a little-endian host: the low bytes come first */
    return true;
}

static bool prop_set_irq(Machine *m, Irq *irq, const char *text, Error *err)
{
    const char *dot = strrchr(text, '.');
    uint64_t line;
    char *id;

    *irq = (Irq){ NULL, 0 };
    if (!*text) return true;
    /* A bare number is an interrupt request line of the ISA bus. */
    if (parse_u64(text, &line, NULL) && line < 16 && (id = g_strdup_printf("pic.%s", text))) {
        bool ok = prop_set_irq(m, irq, id, err);

        g_free(id);
        return ok;
    }
    if (!dot || !parse_u64(dot + 1, &line, NULL) || line > 255)
        return error_set(err, "'%s' is no wire: expected 'device.line'", text);
    id = g_strndup(text, (gsize)(dot - text));
    *irq = (Irq){ device_find(m, id), (int)line };
    if (irq->dev && !irq->dev->cls->irq_in) irq->dev = NULL;
    if (!irq->dev) error_set(err, "there is no device '%s' with input wires", id);
    g_free(id);
    return irq->dev != NULL;
}

static bool prop_set_object(
    Machine *m, const char *kind, void *member, const char *text, Error *err)
{
    void *obj = *text ? machine_object(m, kind, text) : NULL;

    memcpy(member, &obj, sizeof(obj));
    return obj || !*text || error_set(err, "there is no %s '%s'", kind, text);
}

static bool prop_set_mac(uint8_t *mac, const char *text, Error *err)
{
    unsigned b[6];
    char end;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) !=
        6)
        return error_set(err, "'%s' is no MAC address (52:54:00:12:34:56)", text);
    for (int i = 0; i < 6; i++) mac[i] = (uint8_t)b[i];
    return true;
}

static bool prop_set_device(Machine *m, Device **member, const char *text, Error *err)
{
    *member = *text ? device_find(m, text) : NULL;
    return *member || !*text || error_set(err, "there is no device '%s'", text);
}

static bool prop_set_member(Device *dev, const Prop *p, const char *text, Error *err)
{
    void *member = (char *)dev + p->offset;

    switch (p->type) {
    case PROP_U8: return prop_set_int(member, 1, false, text, err);
    case PROP_U16: return prop_set_int(member, 2, false, text, err);
    case PROP_U32: return prop_set_int(member, 4, false, text, err);
    case PROP_U64: return prop_set_int(member, 8, false, text, err);
    case PROP_I32: return prop_set_int(member, 4, true, text, err);
    case PROP_BOOL: return parse_bool(text, member, err);
    case PROP_STR: {
        char **str = member;

        g_free(*str);
        *str = g_strdup(text);
        return true;
    }
    case PROP_IRQ: return prop_set_irq(dev->m, member, text, err);
    case PROP_CHARDEV: return prop_set_object(dev->m, "chardev", member, text, err);
    case PROP_BLOCK: return prop_set_object(dev->m, "drive", member, text, err);
    case PROP_NET: return prop_set_object(dev->m, "netdev", member, text, err);
    case PROP_DEVICE: return prop_set_device(dev->m, member, text, err);
    case PROP_MAC: return prop_set_mac(member, text, err);
    }
    return false;
}

/* -global driver.property=value: the last one for this class and property. */
static const char *prop_global(Device *dev, const char *name)
{
    GPtrArray *globals = dev->m->config.globals;
    const char *found = NULL;

    for (guint i = 0; globals && i < globals->len; i++) {
        Options *o = globals->pdata[i];

        if (strcmp(options_get_or(o, "property", ""), name)) continue;
        if (!strcmp(options_get_or(o, "driver", ""), dev->cls->name))
            found = options_get(o, "value");
    }
    return found;
}

bool props_apply(Device *dev, Error *err)
{
    for (const Prop *p = dev->cls->props; p && p->name; p++) {
        const char *text = g_hash_table_lookup(dev->props, p->name);

        if (!text) text = prop_global(dev, p->name);
        if (!text) text = p->fallback;
        if (!text) return error_set(err, "%s: property '%s' must be given", dev->id, p->name);
        if (!prop_set_member(dev, p, text, err))
            return error_prefix(err, "%s: property '%s': ", dev->id, p->name);
    }
    return true;
}

void props_free(Device *dev)
{
    for (const Prop *p = dev->cls->props; p && p->name; p++)
        if (p->type == PROP_STR) g_free(*(char **)((char *)dev + p->offset));
}
