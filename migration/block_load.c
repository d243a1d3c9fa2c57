/* SPDX-License-Identifier: MIT */
/* Reading disks.  They are written as they come: the first chunk for a drive takes it over, so a
 * drive that both sides share is refused, its lock being the sender's. */
#include <inttypes.h>

#include "block/block.h"
#include "migration/block_migration.h"
#include "migration/disks.h"
#include "util/bits.h"

/* The drive of a record, ready to be written to, or NULL. */
static BlockDev *block_load_drive(LoadRun *run, Stream *st, uint64_t off)
{
    char name[256];
    BlockDev *bd;
    Error err = ERROR_INIT;

    stream_get_str8(st, name);
    if (!stream_ok(st)) return NULL;
    bd = machine_object(run->m, "drive", name);
    if (!bd)
        stream_fail(st, "Error unknown block device %s", name);
    else if (!block_dev_has_medium(bd) || !block_dev_writable(bd))
        stream_fail(st, "block device %s is not writable", name);
    else if (off >= block_dev_size(bd))
        stream_fail(st, "block device %s has no offset %" PRIx64, name, off);
    else if (!disks_take_one(bd, &err))
        stream_fail(st, "%s", err.msg);
    return stream_ok(st) ? bd : NULL;
}

static void block_load_chunk(LoadRun *run, Stream *st, uint64_t off, bool zero)
{
    BlockDev *bd = block_load_drive(run, st, off);
    BlockReq req = { .op = zero ? BLOCK_ZERO : BLOCK_WRITE, .off = off };

    if (!bd) return;
    if (!zero && stream_left(st) < BLOCK_CHUNK) {
        st->starved = true;
        return;
    }
    req.len = (size_t)MIN_OF((uint64_t)BLOCK_CHUNK, block_dev_size(bd) - off);
    req.buf = st->data + st->pos;
    block_submit(bd, &req);
    block_wait(&req);
    if (req.ret)
        stream_fail(st, "Could not write '%s': %s", block_dev_id(bd), g_strerror(-req.ret));
    else if (!zero)
        stream_skip(st, BLOCK_CHUNK);
}

void block_load_record(LoadRun *run, Stream *st, int version, bool *end)
{
    uint64_t word = stream_get_be64(st), off = word & ~(uint64_t)BLOCK_FLAGS;

    (void)version;
    if (!stream_ok(st)) return;
    switch (word & BLOCK_FLAGS) {
    case BLOCK_DATA: block_load_chunk(run, st, off, false); break;
    case BLOCK_DATA | BLOCK_ZERO_CHUNK: block_load_chunk(run, st, off, true); break;
    case BLOCK_PROGRESS: break;
    case BLOCK_EOS: *end = true; break;
    default: stream_fail(st, "Unknown block flags: 0x%" PRIx64, word & BLOCK_FLAGS);
    }
}
