/* SPDX-License-Identifier: MIT */
/*
 * From a command line to a machine.  The order matters: what a device is attached to exists before
 * the device; sections that are no device's are registered before the board, as the stream has
 * them; the monitors come last: they attach to shared lines after the devices, and greet only
 * where all went well.
 */
#include "system/build.h"

#include <stdio.h>

#include "core/smbios.h"
#include "migration/migration.h"
#include "system/loop.h"
#include "ui/ui.h"

const char *machine_default(void)
{
    SET_EACH (MachineClass, c, machines) {
        if (c->is_default) return c->name;
    }
    return "pc";
}

static void build_free_options(void *o) { options_free(o); }

/* The parsed config takes the place of the machine's empty one. */
static void build_config(Machine *m, CommandLine *cl)
{
    MachineConfig *to = &m->config, *from = &cl->config;

    if (!from->ram_size) from->ram_size = to->ram_size;
    if (!from->type) from->type = g_strdup(to->type);
    g_free(to->type);
    options_free(to->type_opts);
    g_ptr_array_free(to->drives, TRUE);
    g_ptr_array_free(to->nics, TRUE);
    g_ptr_array_free(to->serials, TRUE);
    g_ptr_array_free(to->parallels, TRUE);
    g_ptr_array_free(to->devices, TRUE);
    g_ptr_array_free(to->globals, TRUE);
    *to = *from;
    *from = (MachineConfig){ 0 };
    g_ptr_array_set_free_func(to->devices, build_free_options);
    g_ptr_array_set_free_func(to->globals, build_free_options);
    g_ptr_array_set_free_func(to->fw_cfg_files, build_free_options);
    g_ptr_array_set_free_func(to->serials, g_free);
    g_ptr_array_set_free_func(to->parallels, g_free);
}

static bool build_clock(Machine *m, const CommandLine *cl)
{
    if (cl->icount) clock_set_icount(&m->clock, cl->icount_shift, cl->icount_sleep);
    if (cl->rtc_clock >= 0) {
        m->clock.rtc_source = (unsigned)cl->rtc_clock;
    } else {
        m->clock.rtc_source = cl->icount ? RTC_CLOCK_VM : RTC_CLOCK_HOST;
    }
    return true;
}

static void build_smbios(Machine *m, const CommandLine *cl)
{
    for (unsigned i = 0; i < cl->smbios->len; i++)
        g_ptr_array_add(smbios_options(m), ((OptionUse *)cl->smbios->pdata[i])->opts);
}

static bool build_log(Machine *m, const CommandLine *cl, Error *err)
{
    if (cl->log_file && !log_set_file(&m->log, cl->log_file, err)) {
        return error_prefix(err, "-D %s: ", cl->log_file);
    }
    return !cl->log_mask || log_set_mask(&m->log, cl->log_mask, err);
}

static bool build_display(Machine *m, const CommandLine *cl, Error *err)
{
    if (display_open(m, cl->display, err)) return true;
    return cl->display ? error_prefix(err, "-display %s: ", cl->display) : false;
}

static bool build_start_state(Machine *m, const CommandLine *cl, Error *err)
{
    if (cl->incoming) {
        machine_set_run_state(m, RUN_INMIGRATE);
        if (!migration_incoming(m, cl->incoming, err)) {
            return error_prefix(err, "-incoming %s: ", cl->incoming);
        }
    }
    if (!cl->incoming && !cl->loadvm && !snapshot_guard_check(m, err)) return false;
    if (cl->loadvm && !snapshot_load_at_start(m, cl->loadvm, err)) return false;
    return true;
}

Machine *machine_build(CommandLine *cl, GMainContext *ctx, Error *err)
{
    const char *type = cl->config.type ? cl->config.type : machine_default();
    Machine *m = machine_new(type, ctx, err);

    if (!m) {
        error_prefix(err, "-M %s: ", type);
        return NULL;
    }
    command_line_defaults(cl);
    build_config(m, cl);
    build_clock(m, cl);
    build_smbios(m, cl);
    if (build_log(m, cl, err) && build_chardevs(m, cl, err) && build_drives(m, cl, err) &&
        build_objects(m, cl, true, err) && migration_init(m, err) && build_networks(m, cl, err) &&
        machine_init(m, err) && build_objects(m, cl, false, err) && build_display(m, cl, err) &&
        build_start_state(m, cl, err) && build_monitors(m, cl, err)) {
        if (cl->torture) machine_set_torture(m, cl->torture);
        return m;
    }
    machine_free(m);
    return NULL;
}

bool machine_begin(Machine *m, Error *err)
{
    if (m->config.stopped || m->run_state == RUN_INMIGRATE) return true;
    return machine_start(m, err);
}
