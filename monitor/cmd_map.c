/* SPDX-License-Identifier: MIT */
/* `info mtree`, `info roms`, `info memory_size_summary`: what answers at which address. */
#include <inttypes.h>

#include "core/command.h"

static const char *map_kind(const MemRegion *r)
{
    return !r->ram ? "i/o" : r->readonly ? "rom" : "ram";
}

/* Lines for pieces of the map; a piece that starts inside its region says where. */
static void map_line(Sink *out, uint64_t first, uint64_t last, int prio, const char *kind,
    const char *name, uint64_t offset)
{
    sink_printf(
        out, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s", first, last, prio, kind, name);
    if (offset) sink_printf(out, " @%016" PRIx64, offset);
    sink_printf(out, "\n");
}

static void map_memory(CommandCall *call, bool smm)
{
    size_t n;
    const FlatRange *ranges = mem_ranges(call->m, smm, &n);

    for (size_t i = 0; i < n; i++) {
        const FlatRange *f = &ranges[i];
        const MemRegion *r = f->region;
        map_line(call->out, f->gpa, f->gpa + f->size - 1, r->prio, map_kind(r),
            r->ram ? r->ram->idstr : r->name, (r->ram ? r->ram_off : 0) + f->region_off);
    }
}

static void map_port(void *opaque, uint32_t first, uint32_t last, Device *dev, const char *name)
{
    map_line(opaque, first, last, 0, "i/o", name ? name : dev->id, 0);
}

static void cmd_info_mtree(CommandCall *call, Error *err)
{
    bool flat = command_flag(call, "flatview");

    (void)err;
    /* The map is kept flat: both forms show what is seen, the flat one by who sees it. */
    sink_printf(call->out, flat ? "FlatView #0\n AS \"memory\", root: system\n"
                                  " AS \"cpu-memory-0\", root: system\n"
                                  " Root memory region: system\n"
                                : "address-space: memory\n");
    map_memory(call, false);
    sink_printf(call->out, flat ? "\nFlatView #1\n AS \"cpu-smm-0\", root: memory\n"
                                  " Root memory region: system\n"
                                : "\naddress-space: cpu-smm-0\n");
    map_memory(call, true);
    sink_printf(call->out, flat ? "\nFlatView #2\n AS \"I/O\", root: io\n"
                                  " Root memory region: io\n"
                                : "\naddress-space: I/O\n");
    pio_each(call->m, map_port, call->out);
    sink_printf(call->out, "\n");
}
COMMAND(info_mtree, .name = "info mtree", .args = "flatview:-f", .usage = "[-f]",
    .help = "show memory tree (-f: dump flat view for address spaces)", .run = cmd_info_mtree);

static void cmd_info_roms(CommandCall *call, Error *err)
{
    size_t n;
    const FlatRange *ranges = mem_ranges(call->m, false, &n);

    (void)err;
    for (size_t i = 0; i < n; i++) {
        const MemRegion *r = ranges[i].region;
        if (!r->ram || !r->readonly) continue;
        sink_printf(call->out, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=rom name=\"%s\"\n",
            ranges[i].gpa, ranges[i].size, r->name);
    }
}
COMMAND(info_roms, .name = "info roms", .args = "", .usage = "", .help = "show roms",
    .run = cmd_info_roms);

static void cmd_info_memory_size(CommandCall *call, Error *err)
{
    (void)err;
    sink_printf(
        call->out, "base memory: %" PRIu64 "\nplugged memory: 0\n", call->m->config.ram_size);
}
COMMAND(info_memory_size_summary, .name = "info memory_size_summary", .args = "", .usage = "",
    .help = "show the amount of initially allocated and present hotpluggable memory in bytes",
    .run = cmd_info_memory_size);
