/* SPDX-License-Identifier: MIT */
/* Commands that look at memory and ports: x, xp, i, o, print, sum, memsave, pmemsave.  Where a page
 * is still to come (post-copy) they ask for it and end once it is there. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/qmp.h"
#include "cpu/cpu.h"
#include "monitor/demand.h"
#include "monitor/disas.h"
#include "util/bits.h"

enum { DUMP_LINE_MAX = 16, SAVE_CHUNK = 65536 };

/* -- x and xp -- */

static bool dump_read(Machine *m, bool physical, uint64_t addr, void *buf, size_t len)
{
    if (!physical) return cpu_read_virtual(m, addr, buf, len);
    mem_read(m, (MemAttrs){ 0 }, addr, buf, len);
    return true;
}

static void dump_char(Sink *out, uint8_t c)
{
    switch (c) {
    case '\'': sink_printf(out, "'\\''"); break;
    case '\\': sink_printf(out, "'\\\\'"); break;
    case '\n': sink_printf(out, "'\\n'"); break;
    case '\r': sink_printf(out, "'\\r'"); break;
    default: sink_printf(out, c >= 32 && c <= 126 ? "'%c'" : "'\\x%02x'", c);
    }
}

static int64_t dump_signed(uint64_t v, int size)
{
    int shift = 64 - 8 * size;
    return (int64_t)(v << shift) >> shift;
}

static void dump_value(Sink *out, char format, int size, const uint8_t *p)
{
    uint64_t v = 0;

    memcpy(&v, p, (size_t)size); /* little endian, as guest and host are */
    switch (format) {
    case 'o': sink_printf(out, "%#*" PRIo64, (size * 8 + 2) / 3, v); break;
    case 'x': sink_printf(out, "0x%0*" PRIx64, size * 2, v); break;
    case 'u': sink_printf(out, "%*" PRIu64, (size * 80 + 32) / 33, v); break;
    case 'd': sink_printf(out, "%*" PRId64, (size * 80 + 32) / 33, dump_signed(v, size)); break;
    default: dump_char(out, (uint8_t)v);
    }
}

static void dump_memory(CommandCall *call, bool physical)
{
    const Arg *fmt = command_arg(call, "fmt");
    uint64_t addr = (uint64_t)command_num(call, "addr", 0);
    uint64_t left = (uint64_t)fmt->size * (uint64_t)fmt->count;
    size_t line = fmt->size == 1 ? 8 : DUMP_LINE_MAX;
    int size = fmt->format == 'c' ? 1 : fmt->size;
    uint8_t buf[DUMP_LINE_MAX];

    if (fmt->format == 'i') {
        disas_print(call->m, call->out, physical, addr, fmt->count);
        return;
    }
    while (left) {
        size_t n = MIN_OF(left, line);
        sink_printf(call->out, physical ? "%016" PRIx64 ":" : "%08" PRIx64 ":", addr);
        if (!dump_read(call->m, physical, addr, buf, n)) {
            sink_printf(call->out, " Cannot access memory\n");
            return;
        }
        for (size_t i = 0; i < n; i += (size_t)size) {
            sink_printf(call->out, " ");
            dump_value(call->out, fmt->format, size, buf + i);
        }
        sink_printf(call->out, "\n");
        addr += n;
        left -= n;
    }
}

static void dump_virtual(CommandCall *call, Error *err)
{
    (void)err;
    dump_memory(call, false);
}

static void dump_physical(CommandCall *call, Error *err)
{
    (void)err;
    dump_memory(call, true);
}

static void dump_demand(CommandCall *call, bool physical)
{
    const Arg *fmt = command_arg(call, "fmt");
    uint64_t each = fmt->format == 'i' ? DISAS_MAX : (uint64_t)fmt->size;
    DemandRange range = { physical, (uint64_t)command_num(call, "addr", 0),
        each * (uint64_t)fmt->count };

    demand_command(call, range, physical ? dump_physical : dump_virtual);
}

static void cmd_x(CommandCall *call, Error *err)
{
    (void)err;
    dump_demand(call, false);
}
COMMAND(x, .name = "x", .args = "fmt:/,addr:l", .usage = "/fmt addr",
    .help = "virtual memory dump starting at 'addr'", .run = cmd_x, .async = true);

static void cmd_xp(CommandCall *call, Error *err)
{
    (void)err;
    dump_demand(call, true);
}
COMMAND(xp, .name = "xp", .args = "fmt:/,addr:l", .usage = "/fmt addr",
    .help = "physical memory dump starting at 'addr'", .run = cmd_xp, .async = true);

static void cmd_print(CommandCall *call, Error *err)
{
    const Arg *fmt = command_arg(call, "fmt");
    int64_t val = command_num(call, "val", 0);

    (void)err;
    switch (fmt->format) {
    case 'o': sink_printf(call->out, "%#" PRIo64, (uint64_t)val); break;
    case 'x': sink_printf(call->out, "%#" PRIx64, (uint64_t)val); break;
    case 'u': sink_printf(call->out, "%" PRIu64, (uint64_t)val); break;
    case 'c': dump_char(call->out, (uint8_t)val); break;
    default: sink_printf(call->out, "%" PRId64, val);
    }
    sink_printf(call->out, "\n");
}
COMMAND(print, .name = "print|p", .args = "fmt:/,val:l", .usage = "/fmt expr",
    .help = "print expression value (use $reg for CPU register access)", .run = cmd_print);

/* -- i and o -- */

static unsigned port_size(const CommandCall *call) /* 8 bytes: a port has no such access */
{
    const Arg *fmt = command_arg(call, "fmt");
    return fmt->size == 1 || fmt->size == 2 ? (unsigned)fmt->size : 4;
}

static void cmd_i(CommandCall *call, Error *err)
{
    unsigned size = port_size(call);
    uint32_t port = (uint32_t)command_num(call, "addr", 0) & 0xffff;

    (void)err;
    sink_printf(call->out, "port%c[0x%04x] = 0x%0*x\n",
        size == 1   ? 'b'
        : size == 2 ? 'w'
                    : 'l',
        port, (int)size * 2, pio_read(call->m, port, size));
}
COMMAND(i, .name = "i", .args = "fmt:/,addr:i", .usage = "/fmt addr", .help = "I/O port read",
    .run = cmd_i);

static void cmd_o(CommandCall *call, Error *err)
{
    (void)err;
    pio_write(call->m, (uint32_t)command_num(call, "addr", 0) & 0xffff,
        (uint32_t)command_num(call, "val", 0), port_size(call));
}
COMMAND(o, .name = "o", .args = "fmt:/,addr:i,val:i", .usage = "/fmt addr value",
    .help = "I/O port write", .run = cmd_o);

/* -- sum, memsave, pmemsave -- */

static void sum_run(CommandCall *call, Error *err)
{
    uint64_t addr = (uint64_t)command_num(call, "start", 0);
    uint64_t left = (uint32_t)command_num(call, "size", 0);
    uint16_t sum = 0;
    uint8_t buf[4096];

    (void)err;
    while (left) {
        size_t n = MIN_OF(left, sizeof(buf));
        mem_read(call->m, (MemAttrs){ 0 }, addr, buf, n);
        for (size_t i = 0; i < n; i++) sum = (uint16_t)((sum >> 1 | sum << 15) + buf[i]);
        addr += n;
        left -= n;
    }
    sink_printf(call->out, "%05d\n", sum);
}

static void cmd_sum(CommandCall *call, Error *err)
{
    DemandRange range = { true, (uint64_t)command_num(call, "start", 0),
        (uint32_t)command_num(call, "size", 0) };

    (void)err;
    demand_command(call, range, sum_run);
}
COMMAND(sum, .name = "sum", .args = "start:i,size:i", .usage = "addr size",
    .help = "compute the checksum of a memory region", .run = cmd_sum, .async = true);

static bool memory_save(
    Machine *m, bool physical, uint64_t addr, int64_t size, const char *path, Error *err)
{
    int64_t left = size;
    FILE *f = fopen(path, "wb");
    bool ok = true;

    if (!f) return error_set(err, "Could not open '%s': %s", path, strerror(errno));
    uint8_t *buf = g_malloc(SAVE_CHUNK);
    for (uint64_t at = addr; ok && left > 0;) {
        size_t n = MIN_OF((size_t)left, SAVE_CHUNK - (size_t)(at & PAGE_MASK));
        if (!dump_read(m, physical, at, buf, n)) {
            ok = error_set(
                err, "Invalid addr 0x%016" PRIx64 "/size %" PRId64 " specified", at, size);
        } else if (fwrite(buf, 1, n, f) != n) {
            ok = error_errno(err, errno, "writing '%s'", path);
        }
        at += n;
        left -= (int64_t)n;
    }
    g_free(buf);
    if (fclose(f) && ok) ok = error_errno(err, errno, "writing '%s'", path);
    return ok;
}

static void memory_save_typed(CommandCall *call, bool physical, Error *err)
{
    memory_save(call->m, physical, (uint64_t)command_num(call, "val", 0),
        command_num(call, "size", 0), command_text(call, "filename"), err);
}

static void memsave_run(CommandCall *call, Error *err) { memory_save_typed(call, false, err); }
static void pmemsave_run(CommandCall *call, Error *err) { memory_save_typed(call, true, err); }

static void memory_save_demand(CommandCall *call, bool physical)
{
    int64_t size = command_num(call, "size", 0);
    DemandRange range = { physical, (uint64_t)command_num(call, "val", 0),
        (uint64_t)MAX_OF(size, 0) };

    demand_command(call, range, physical ? pmemsave_run : memsave_run);
}

static void cmd_memsave(CommandCall *call, Error *err)
{
    (void)err;
    memory_save_demand(call, false);
}
COMMAND(memsave, .name = "memsave", .args = "val:l,size:l,filename:s", .usage = "addr size file",
    .help = "save to disk virtual memory dump starting at 'addr' of size 'size'",
    .run = cmd_memsave, .async = true);

static void cmd_pmemsave(CommandCall *call, Error *err)
{
    (void)err;
    memory_save_demand(call, true);
}
COMMAND(pmemsave, .name = "pmemsave", .args = "val:l,size:l,filename:s", .usage = "addr size file",
    .help = "save to disk physical memory dump starting at 'addr' of size 'size'",
    .run = cmd_pmemsave, .async = true);

static void memory_save_qmp(void *opaque, bool physical, Error *err)
{
    QmpCall *call = opaque;

    memory_save(call->m, physical, (uint64_t)qmp_int(call, "val", 0), qmp_int(call, "size", 0),
        qmp_text(call, "filename"), err);
}

static void memory_save_demand_qmp(QmpCall *call, bool physical)
{
    int64_t size = qmp_int(call, "size", 0);
    DemandRange range = { physical, (uint64_t)qmp_int(call, "val", 0), (uint64_t)MAX_OF(size, 0) };

    call->pending = true;
    demand_start(call->m, &call->sink, range, memory_save_qmp, call);
}

static json_t *memsave_qmp_run(QmpCall *call, Error *err)
{
    int64_t cpu = qmp_int(call, "cpu-index", 0);
    Machine *m = call->m; /* the call may be over before this function is */
    unsigned was;

    if (cpu < 0 || cpu >= call->m->config.cpus) {
        qmp_expects("cpu-index", "a CPU number", err);
        return NULL;
    }
    was = cpu_show(m, (unsigned)cpu);
    memory_save_demand_qmp(call, false);
    cpu_show(m, was);
    return NULL;
}
QMP_COMMAND(memsave, .name = "memsave", .args = "val:i,size:i,filename:s,cpu-index:i?",
    .run = memsave_qmp_run);

static json_t *pmemsave_qmp_run(QmpCall *call, Error *err)
{
    (void)err;
    memory_save_demand_qmp(call, true);
    return NULL;
}
QMP_COMMAND(
    pmemsave, .name = "pmemsave", .args = "val:i,size:i,filename:s", .run = pmemsave_qmp_run);
