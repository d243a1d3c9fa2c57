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

static void map_port_below(
    void *opaque, uint32_t first, uint32_t last, Device *dev, const char *name)
{
    sink_printf(opaque, "  ");
    map_port(opaque, first, last, dev, name);
}

static void map_flat(CommandCall *call)
{
    sink_printf(call->out, "FlatView #0\n AS \"memory\", root: system\n"
                           " AS \"cpu-memory-0\", root: system\n"
                           " Root memory region: system\n");
    map_memory(call, false);
    sink_printf(call->out, "\nFlatView #1\n AS \"cpu-smm-0\", root: memory\n"
                           " Root memory region: system\n");
    map_memory(call, true);
    sink_printf(call->out, "\nFlatView #2\n AS \"I/O\", root: io\n"
                           " Root memory region: io\n");
    pio_each(call->m, map_port, call->out);
}

static int compare_regions(const void *a, const void *b)
{
    const MemRegion *x = *(const MemRegion *const *)a, *y = *(const MemRegion *const *)b;

    return x->gpa != y->gpa ? (x->gpa < y->gpa ? -1 : 1)
                            : (x->prio > y->prio) - (x->prio < y->prio);
}

/* A region with all that it would answer, whatever covers it. */
static void map_region(Sink *out, const MemRegion *r)
{
    const char *ram = r->ram ? r->ram->idstr : NULL;

    sink_printf(out, "    %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", r->gpa,
        r->gpa + r->size - 1, r->prio, map_kind(r));
    if (ram && (r->ram_off || r->size != r->ram->size)) {
        sink_printf(out, "alias %s @%s %016" PRIx64 "-%016" PRIx64, r->name, ram, r->ram_off,
            r->ram_off + r->size - 1);
    } else {
        sink_printf(out, "%s", ram ? ram : r->name);
    }
    sink_printf(out, "%s%s\n", r->smm_only ? " [smm]" : "", r->enabled ? "" : " [disabled]");
}

static void map_tree(CommandCall *call)
{
    g_autoptr(GPtrArray) regions = g_ptr_array_new();

    for (const MemRegion *r = mem_region_next(call->m, NULL); r; r = mem_region_next(call->m, r))
        g_ptr_array_add(regions, (void *)r);
    g_ptr_array_sort(regions, compare_regions);
    sink_printf(call->out, "address-space: memory\n");
    map_line(call->out, 0, UINT64_MAX, 0, "i/o", "system", 0);
    for (guint i = 0; i < regions->len; i++) map_region(call->out, g_ptr_array_index(regions, i));
    sink_printf(call->out, "\naddress-space: I/O\n");
    map_line(call->out, 0, 0xffff, 0, "i/o", "io", 0);
    pio_each(call->m, map_port_below, call->out);
}

static void cmd_info_mtree(CommandCall *call, Error *err)
{
    (void)err;
    if (command_flag(call, "flatview"))
        map_flat(call);
    else
        map_tree(call);
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
