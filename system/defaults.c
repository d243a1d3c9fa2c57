/* SPDX-License-Identifier: MIT */
/* What a machine has where the command line does not say: ports, monitor, CD-ROM drive, network. */
#include <string.h>

#include "system/build.h"

static void defaults_add(GPtrArray *uses, const char *option, const char *text)
{
    OptionUse *use = g_new0(OptionUse, 1);

    use->option = option;
    use->text = g_strdup(text);
    g_ptr_array_add(uses, use);
}

static bool defaults_use_stdio(const GPtrArray *uses)
{
    for (unsigned i = 0; i < uses->len; i++) {
        const char *text = ((OptionUse *)uses->pdata[i])->text;
        if (g_str_has_prefix(text, "mon:")) text += strlen("mon:");
        if (!strcmp(text, "stdio") || g_str_has_prefix(text, "stdio,")) return true;
    }
    return false;
}

/* Some device takes the place of a default one. */
static bool defaults_has_device(const CommandLine *cl, const char *const *drivers)
{
    for (unsigned i = 0; i < cl->config.devices->len; i++) {
        if (g_strv_contains(drivers, options_get_or(cl->config.devices->pdata[i], "driver", ""))) {
            return true;
        }
    }
    return false;
}

static void defaults_lines(CommandLine *cl)
{
    static const char *const serial[] = { "isa-serial", NULL };
    bool serial_default = !cl->serials->len && !defaults_has_device(cl, serial);
    bool monitor_default = !cl->monitors->len && !cl->mons->len;
    bool stdio_used = cl->daemonize || defaults_use_stdio(cl->serials) ||
                      defaults_use_stdio(cl->parallels) || defaults_use_stdio(cl->chardevs) ||
                      defaults_use_stdio(cl->debugcons);

    if (cl->nographic && serial_default && monitor_default && !stdio_used) {
        defaults_add(cl->serials, "serial", "mon:stdio");
        return;
    }
    if (serial_default) {
        bool stdio = cl->nographic && !stdio_used && !defaults_use_stdio(cl->monitors);
        defaults_add(cl->serials, "serial", stdio ? "stdio" : "null");
        stdio_used |= stdio;
    }
    if (monitor_default && !stdio_used) defaults_add(cl->monitors, "monitor", "stdio");
}

/* An empty CD-ROM drive as IDE unit 2, where nothing else is. */
static void defaults_cdrom(CommandLine *cl)
{
    static const char *const cdrom[] = { "ide-cd", "ide-hd", "ide-drive", NULL };

    if (defaults_has_device(cl, cdrom)) return;
    for (unsigned i = 0; i < cl->drives->len; i++) {
        Options *o = ((OptionUse *)cl->drives->pdata[i])->opts;
        if (!strcmp(options_get_or(o, "media", ""), "cdrom")) return;
        if (!strcmp(options_get_or(o, "index", ""), "2")) return;
        if (!strcmp(options_get_or(o, "bus", ""), "1")) return;
    }
    OptionUse *use = g_new0(OptionUse, 1);
    use->option = "drive";
    use->text = g_strdup("media=cdrom");
    use->opts = options_new();
    options_set(use->opts, "if", "ide");
    options_set(use->opts, "index", "2");
    options_set(use->opts, "media", "cdrom");
    g_ptr_array_add(cl->drives, use);
}

/* An empty floppy drive as unit 0, where nothing else is. */
static void defaults_floppy(CommandLine *cl)
{
    static const char *const floppy[] = { "isa-fdc", "floppy", NULL };

    if (defaults_has_device(cl, floppy)) return;
    for (unsigned i = 0; i < cl->drives->len; i++) {
        Options *o = ((OptionUse *)cl->drives->pdata[i])->opts;
        if (strcmp(options_get_or(o, "if", ""), "floppy")) continue;
        if (strcmp(options_get_or(o, "index", options_get_or(o, "unit", "0")), "1")) return;
    }
    OptionUse *use = g_new0(OptionUse, 1);
    use->option = "drive";
    use->text = g_strdup("if=floppy");
    use->opts = options_new();
    options_set(use->opts, "if", "floppy");
    options_set(use->opts, "index", "0");
    g_ptr_array_add(cl->drives, use);
}

void command_line_defaults(CommandLine *cl)
{
    static const char *const vga[] = { "VGA", "isa-vga", NULL };
    MachineConfig *c = &cl->config;

    if (cl->nographic && !cl->display) cl->display = g_strdup("none");
    cl->config.firmware_on_serial = cl->nographic;
    if (cl->daemonize && !cl->display) cl->display = g_strdup("none");
    if (!c->vga) c->vga = g_strdup(c->no_defaults || defaults_has_device(cl, vga) ? "none" : "std");
    if (c->no_defaults) return;
    defaults_lines(cl);
    defaults_cdrom(cl);
    defaults_floppy(cl);
    if (!cl->nics->len && !cl->netdevs->len && !cl->no_nic) {
        OptionUse *use = g_new0(OptionUse, 1);
        use->option = "nic";
        use->text = g_strdup("user");
        use->opts = options_new();
        options_set(use->opts, "type", "user");
        g_ptr_array_add(cl->nics, use);
    }
}
