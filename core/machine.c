/* SPDX-License-Identifier: MIT */
/* Machines: creation, run state, reset, objects.  See machine.h. */
#include "core/machine.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

static const char *const run_state_names[RUN_STATES] = {
    [RUN_PRELAUNCH] = "prelaunch",
    [RUN_INMIGRATE] = "inmigrate",
    [RUN_RUNNING] = "running",
    [RUN_PAUSED] = "paused",
    [RUN_SAVE_VM] = "save-vm",
    [RUN_RESTORE_VM] = "restore-vm",
    [RUN_FINISH_MIGRATE] = "finish-migrate",
    [RUN_POSTMIGRATE] = "postmigrate",
    [RUN_POSTCOPY_PAUSED] = "postcopy-paused",
    [RUN_SHUTDOWN] = "shutdown",
    [RUN_IO_ERROR] = "io-error",
    [RUN_INTERNAL_ERROR] = "internal-error",
    [RUN_DEBUG] = "debug",
};

typedef struct MachineObject {
    char *kind, *id;
    void *obj;
    void (*destroy)(void *obj);
} MachineObject;

typedef struct MachineSlot {
    void *data;
    void (*destroy)(void *slot);
} MachineSlot;

const char *run_state_name(RunState s) { return run_state_names[s]; }

bool run_state_parse(const char *name, RunState *out)
{
    for (int i = 0; i < RUN_STATES; i++) {
        if (strcmp(run_state_names[i], name)) continue;
        *out = (RunState)i;
        return true;
    }
    return false;
}

const MachineClass *machine_class_find(const char *name)
{
    SET_EACH (MachineClass, cls, machines)
        if (!strcmp(cls->name, name) || (cls->alias && !strcmp(cls->alias, name))) return cls;
    return NULL;
}

static void machine_object_free(void *p)
{
    MachineObject *o = p;

    if (o->destroy) o->destroy(o->obj);
    g_free(o->kind);
    g_free(o->id);
    g_free(o);
}

static void machine_slot_free(void *p)
{
    MachineSlot *s = p;

    g_free(s->data);
    g_free(s);
}

static bool machine_class_hint(const char *type, Error *err)
{
    GPtrArray *names = g_ptr_array_new();
    const char *hint;

    SET_EACH (MachineClass, c, machines) {
        g_ptr_array_add(names, (char *)c->name);
        if (c->alias) g_ptr_array_add(names, (char *)c->alias);
    }
    hint = did_you_mean(type, (const char *const *)names->pdata, names->len);
    g_ptr_array_free(names, TRUE);
    return error_set(err, "unsupported machine type '%s'; %s%s%s", type,
        hint ? "did you mean '" : "use -M help to list them", hint ? hint : "", hint ? "'?" : "");
}

Machine *machine_new(const char *type, GMainContext *ctx, Error *err)
{
    const MachineClass *cls = machine_class_find(type);
    Machine *m;

    if (!cls) {
        machine_class_hint(type, err);
        return NULL;
    }
    m = g_new0(Machine, 1);
    m->cls = cls;
    m->ctx = ctx ? g_main_context_ref(ctx) : g_main_context_ref(g_main_context_default());
    m->config.type = g_strdup(type);
    m->config.ram_size = cls->default_ram;
    m->config.cpus = m->config.dies = m->config.cores = m->config.threads = 1;
    m->config.boot_menu_timeout_ms = m->config.boot_retry_ms = -1;
    m->config.rtc_base = INT64_MIN;
    m->dirty_budget = DIRTY_UNLIMITED;
    m->config.drives = g_ptr_array_new();
    m->config.nics = g_ptr_array_new();
    m->config.serials = g_ptr_array_new();
    m->config.parallels = g_ptr_array_new();
    m->config.devices = g_ptr_array_new();
    m->config.globals = g_ptr_array_new();
    log_init(&m->log);
    clock_init(&m->clock);
    m->mem = memory_new(m);
    m->objects = g_ptr_array_new();
    m->singletons = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, machine_slot_free);
    m->run_state = RUN_PRELAUNCH;
    return m;
}

bool machine_init(Machine *m, Error *err)
{
    unsigned max = MAX_OF(m->cls->max_cpus, 1u);

    if (m->config.cpus > max)
        return error_set(err, "Invalid SMP CPUs %u. The max CPUs supported by machine '%s' is %u",
            m->config.cpus, m->cls->name, max);
    if (!m->cls->init(m, err)) return false;
    machine_reset(m);
    return true;
}

static void machine_free_config(MachineConfig *c)
{
    char *texts[] = { c->type, c->cpu, c->name, c->uuid, c->bios_dir, c->bios, c->kernel, c->initrd,
        c->append, c->boot_order, c->boot_once, c->vga, c->debugcon };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) g_free(texts[i]);
    options_free(c->type_opts);
    g_ptr_array_free(c->drives, TRUE);
    g_ptr_array_free(c->nics, TRUE);
    g_ptr_array_free(c->serials, TRUE);
    g_ptr_array_free(c->parallels, TRUE);
    g_ptr_array_free(c->devices, TRUE);
    g_ptr_array_free(c->globals, TRUE);
    if (c->fw_cfg_files) g_ptr_array_free(c->fw_cfg_files, TRUE);
}

/* All are told before the first one is gone, and with them the notifiers that they hold. */
static void machine_free_slots(Machine *m)
{
    GList *slots = g_hash_table_get_values(m->singletons);

    for (GList *l = slots; l; l = l->next) {
        MachineSlot *s = l->data;

        if (s->destroy) s->destroy(s->data);
    }
    g_list_free(slots);
    m->notifiers = NULL;
    g_hash_table_destroy(m->singletons);
}

/* In the reverse order of their addition: later ones may use earlier ones. */
static void machine_free_objects(Machine *m)
{
    while (m->objects->len)
        machine_object_free(g_ptr_array_steal_index(m->objects, m->objects->len - 1));
    g_ptr_array_free(m->objects, TRUE);
}

void machine_free(Machine *m)
{
    if (!m) return;
    m->notifiers = NULL; /* nobody is told of the end: they are freed in no order */
    clock_stop(&m->clock);
    while (m->devices) { /* the last one first: wires lead to earlier ones */
        Device *dev = m->devices;

        while (dev->next) dev = dev->next;
        device_free(dev);
    }
    machine_free_slots(m);
    machine_free_objects(m);
    while (m->sections) section_unregister(m, m->sections);
    memory_free(m->mem);
    machine_free_config(&m->config);
    log_close(&m->log);
    g_main_context_unref(m->ctx);
    g_free(m);
}

void machine_set_run_state(Machine *m, RunState s)
{
    if (m->run_state == s) return;
    m->run_state = s;
    machine_notify(m, EVENT_RUN_STATE);
}

bool machine_start(Machine *m, Error *err)
{
    if (m->run_state == RUN_INMIGRATE)
        return error_set(err, "Guest is waiting for an incoming migration");
    if (m->run_state == RUN_RUNNING) return true;
    if (m->take_back && !m->take_back(m, err)) return false;
    m->take_back = NULL;
    clock_start(&m->clock);
    machine_set_run_state(m, RUN_RUNNING);
    machine_kick(m);
    return true;
}

void machine_stop(Machine *m, RunState why)
{
    clock_stop(&m->clock);
    machine_set_run_state(m, why);
    machine_kick(m);
}

void machine_request_reset(Machine *m, ResetReason reason)
{
    m->reset_requested = true;
    m->reset_reason = reason;
    machine_kick(m);
}

void machine_request_shutdown(Machine *m, ShutdownReason reason)
{
    m->shutdown_requested = true;
    m->shutdown_reason = reason;
    machine_kick(m);
}

void machine_sync(Machine *m)
{
    m->syncing = true;
    EACH_DEVICE (dev, m) device_sync(dev);
    m->syncing = false;
}

void machine_reset(Machine *m)
{
    EACH_DEVICE (dev, m)
        if (dev->cls->reset) dev->cls->reset(dev);
    machine_sync(m);
    machine_notify(m, EVENT_RESET);
}

void machine_kick(Machine *m)
{
    atomic_store(&m->kick, 1);
    g_main_context_wakeup(m->ctx);
}

void machine_notifier_add(Machine *m, MachineNotifier *n)
{
    MachineNotifier **p = &m->notifiers;

    while (*p) p = &(*p)->next;
    n->next = NULL;
    *p = n;
}

void machine_notifier_del(Machine *m, MachineNotifier *n)
{
    for (MachineNotifier **p = &m->notifiers; *p; p = &(*p)->next) {
        if (*p != n) continue;
        *p = n->next;
        return;
    }
}

void machine_notify(Machine *m, MachineEvent event)
{
    for (MachineNotifier *n = m->notifiers, *next; n; n = next) {
        next = n->next;
        n->notify(n->opaque, event);
    }
}

static MachineObject *machine_object_entry(Machine *m, const char *kind, const char *id)
{
    GPtrArray *list = m->objects;

    for (guint i = 0; i < list->len; i++) {
        MachineObject *o = list->pdata[i];

        if (!strcmp(o->kind, kind) && !strcmp(o->id, id)) return o;
    }
    return NULL;
}

bool machine_object_add(
    Machine *m, const char *kind, const char *id, void *obj, void (*destroy)(void *obj), Error *err)
{
    MachineObject *o;

    if (machine_object_entry(m, kind, id))
        return error_set(err, "Duplicate ID '%s' for %s", id, kind);
    o = g_new(MachineObject, 1);
    *o = (MachineObject){ g_strdup(kind), g_strdup(id), obj, destroy };
    g_ptr_array_add(m->objects, o);
    return true;
}

void *machine_object(Machine *m, const char *kind, const char *id)
{
    MachineObject *o = machine_object_entry(m, kind, id);

    return o ? o->obj : NULL;
}

void machine_object_del(Machine *m, const char *kind, const char *id)
{
    MachineObject *o = machine_object_entry(m, kind, id);

    if (!o) return;
    g_ptr_array_remove(m->objects, o);
    machine_object_free(o);
}

void machine_object_each(
    Machine *m, const char *kind, void (*fn)(void *ctx, const char *id, void *obj), void *ctx)
{
    GPtrArray *list = m->objects;

    for (guint i = 0; i < list->len; i++) {
        MachineObject *o = list->pdata[i];

        if (!strcmp(o->kind, kind)) fn(ctx, o->id, o->obj);
    }
}

void *machine_slot(Machine *m, const char *name, size_t size, void (*destroy)(void *slot))
{
    MachineSlot *s = g_hash_table_lookup(m->singletons, name);

    if (s) return s->data;
    s = g_new(MachineSlot, 1);
    *s = (MachineSlot){ g_malloc0(size), destroy };
    g_hash_table_insert(m->singletons, g_strdup(name), s);
    return s->data;
}

void machine_set_inta(Machine *m, Device *dev, int (*inta)(Device *dev))
{
    m->inta = inta;
    m->inta_dev = dev;
}

int machine_inta(Machine *m) { return m->inta ? m->inta(m->inta_dev) : -1; }

char *machine_find_firmware(Machine *m, const char *name, Error *err)
{
    char *dirs = m->config.bios_dir ? g_strdup_printf("%s:%s", m->config.bios_dir, FIRMWARE_PATH)
                                    : g_strdup(FIRMWARE_PATH);
    char **dir = g_strsplit(dirs, ":", -1), *found = NULL;

    if (!access(name, R_OK)) found = g_strdup(name);
    for (char **d = dir; !found && *d; d++) {
        found = g_build_filename(*d, name, NULL);
        if (!access(found, R_OK)) break;
        g_free(found);
        found = NULL;
    }
    if (!found)
        error_set(
            err, "firmware '%s' is not in %s; on Debian: apt-get install seabios", name, dirs);
    g_strfreev(dir);
    g_free(dirs);
    return found;
}

bool machine_uuid(const Machine *m, uint8_t uuid[16])
{
    const char *text = m->config.uuid;

    for (int i = 0; text && i < 16; i++) {
        if (*text == '-') text++;
        uuid[i] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
        text += 2;
    }
    return text != NULL;
}
