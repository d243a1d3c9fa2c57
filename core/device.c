/* SPDX-License-Identifier: MIT */
/* Devices: creation, reset, wires.  See device.h. */
#include "core/device.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "core/machine.h"
#include "core/props.h"

const DeviceClass *device_class_find(const char *name)
{
    SET_EACH (DeviceClass, cls, devices)
        if (!strcmp(cls->name, name) || (cls->alias && !strcmp(cls->alias, name))) return cls;
    return NULL;
}

Device *device_first(Machine *m) { return m->devices; }

Device *device_find(Machine *m, const char *id)
{
    EACH_DEVICE (dev, m)
        if (!strcmp(dev->id, id)) return dev;
    return NULL;
}

/* The class name, with the lowest free number behind it where it is taken. */
static char *device_free_id(Machine *m, const char *cls)
{
    char *id = g_strdup(cls);

    for (unsigned n = 1; device_find(m, id); n++) {
        g_free(id);
        id = g_strdup_printf("%s%u", cls, n);
    }
    return id;
}

static bool device_class_hint(const char *cls, Error *err)
{
    GPtrArray *names = g_ptr_array_new();
    const char *hint;

    SET_EACH (DeviceClass, c, devices) g_ptr_array_add(names, (char *)c->name);
    hint = did_you_mean(cls, (const char *const *)names->pdata, names->len);
    g_ptr_array_free(names, TRUE);
    return error_set(err, "'%s' is not a valid device model name%s%s%s", cls,
        hint ? "; did you mean '" : "", hint ? hint : "", hint ? "'?" : "");
}

Device *device_new(Machine *m, const char *cls_name, const char *id, Error *err)
{
    const DeviceClass *cls = device_class_find(cls_name);
    Device *dev, **p;

    if (!cls) {
        device_class_hint(cls_name, err);
        return NULL;
    }
    if (id && device_find(m, id)) {
        error_set(err, "Duplicate device ID '%s'", id);
        return NULL;
    }
    dev = g_malloc0(cls->size);
    dev->cls = cls;
    dev->m = m;
    dev->id = id ? g_strdup(id) : device_free_id(m, cls->name);
    dev->instance = INSTANCE_ANY;
    dev->props = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (p = &m->devices; *p;) p = &(*p)->next;
    *p = dev;
    return dev;
}

bool device_set(Device *dev, const char *prop, const char *text, Error *err)
{
    const char *names[64], *hint;
    size_t n = 0;

    assert(!dev->realized);
    if (prop_find(dev->cls, prop)) {
        g_hash_table_insert(dev->props, g_strdup(prop), g_strdup(text));
        return true;
    }
    for (const Prop *p = dev->cls->props; p && p->name && n < ARRAY_SIZE(names); p++)
        names[n++] = p->name;
    hint = did_you_mean(prop, names, n);
    return error_set(err, "Property '%s.%s' not found%s%s%s", dev->cls->name, prop,
        hint ? "; did you mean '" : "", hint ? hint : "", hint ? "'?" : "");
}

static bool device_register_sections(Device *dev, Error *err)
{
    for (const VmState *const *v = dev->cls->vmstates; v && *v; v++) {
        Section s = { .instance = (uint32_t)dev->instance,
            .version = (*v)->version,
            .vmsd = *v,
            .dev = dev,
            .state = device_state(dev),
            .state_size = dev->cls->state_size,
            .alias_id = dev->alias_version ? dev->alias_id : -1,
            .alias_version = dev->alias_version };

        g_strlcpy(s.idstr, (*v)->name, sizeof(s.idstr));
        if (!section_register(dev->m, dev->path, &s, err)) return false;
    }
    return true;
}

static bool device_may_stay(const Device *dev, Error *err)
{
    if (!dev->cls->unmigratable || !dev->m->config.only_migratable) return true;
    return error_set(
        err, "Device %s is not migratable, but --only-migratable was specified", dev->cls->name);
}

bool device_realize(Device *dev, Error *err)
{
    const DeviceClass *cls = dev->cls;
    bool ok = device_may_stay(dev, err) && props_apply(dev, err) &&
              (!cls->realize || cls->realize(dev, err));

    dev->realized = ok;
    if (!ok || !device_register_sections(dev, err)) {
        device_free(dev);
        return false;
    }
    memset(device_state(dev), 0, cls->state_size);
    if (cls->power_on) cls->power_on(dev);
    if (cls->reset) cls->reset(dev);
    return true;
}

Device *device_create(Machine *m, const char *cls, const char *id, Error *err, ...)
{
    Device *dev = device_new(m, cls, id, err);
    bool ok = dev != NULL;
    const char *prop;
    va_list ap;

    va_start(ap, err);
    while (ok && (prop = va_arg(ap, const char *))) {
        const char *text = va_arg(ap, const char *);

        ok = !text || device_set(dev, prop, text, err);
    }
    va_end(ap);
    if (dev && !ok) device_free(dev);
    return ok && device_realize(dev, err) ? dev : NULL;
}

static void device_unregister_sections(Device *dev)
{
    for (Section *s = dev->m->sections, *next; s; s = next) {
        next = s->next;
        if (s->dev != dev) continue;
        vmstate_free_pointers(s->vmsd, s->state);
        section_unregister(dev->m, s);
    }
}

void device_free(Device *dev)
{
    if (dev->realized && dev->cls->unrealize) dev->cls->unrealize(dev);
    device_unregister_sections(dev);
    memory_drop_device(dev);
    for (Device **p = &dev->m->devices; *p; p = &(*p)->next) {
        if (*p != dev) continue;
        *p = dev->next;
        break;
    }
    props_free(dev);
    g_hash_table_destroy(dev->props);
    g_free(dev->id);
    g_free(dev->path);
    g_free(dev);
}

void device_initial_state(Device *dev, void *buf)
{
    const DeviceClass *cls = dev->cls;
    uint8_t *live = device_state(dev), *initial = buf;

    if (!cls->state_size) return;
    memcpy(initial, live, cls->state_size);
    memset(live, 0, cls->state_size);
    if (cls->power_on) cls->power_on(dev);
    if (cls->reset) cls->reset(dev);
    for (size_t i = 0; i < cls->state_size; i++) {
        uint8_t t = live[i];

        live[i] = initial[i];
        initial[i] = t;
    }
}

void device_reset(Device *dev)
{
    if (dev->cls->reset) dev->cls->reset(dev);
    device_sync(dev);
}

void device_sync(Device *dev)
{
    if (dev->cls->sync) dev->cls->sync(dev);
}

void device_settle(Device *dev)
{
    if (dev->cls->settle) dev->cls->settle(dev);
}

void irq_set(const Irq *irq, bool level)
{
    if (irq->dev) irq->dev->cls->irq_in(irq->dev, irq->line, level);
}

static void device_log(Device *dev, const char *what, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void device_log(Device *dev, const char *what, const char *fmt, va_list ap)
{
    log_printf(&dev->m->log, "%s: %s: ", dev->id, what);
    log_vprintf(&dev->m->log, fmt, ap);
    log_printf(&dev->m->log, "\n");
}

void guest_error(Device *dev, const char *fmt, ...)
{
    Log *log = &dev->m->log;
    va_list ap;

    if (!log_on(log, LOG_GUEST_ERRORS) || !log->guest_errors_left) return;
    log->guest_errors_left--;
    va_start(ap, fmt);
    device_log(dev, "guest error", fmt, ap);
    va_end(ap);
}

void unimplemented(Device *dev, const char *fmt, ...)
{
    va_list ap;

    if (!log_on(&dev->m->log, LOG_UNIMP)) return;
    va_start(ap, fmt);
    device_log(dev, "not modelled", fmt, ap);
    va_end(ap);
}
