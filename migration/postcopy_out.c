/* SPDX-License-Identifier: MIT */
/*
 * The return path and post-copy, where a guest leaves.
 *
 *   behind the header     OPEN_RETURN_PATH, PING, [POSTCOPY_ADVISE]
 *   guest stopped         POSTCOPY_RAM_DISCARD of every page that is dirty, then PACKAGED:
 *                         LISTEN, all devices, RUN
 *   then                  the dirty pages, asked-for ones first, and the end
 *   after a lost channel  RECV_BITMAP of each block, (all have come) RESUME, (acknowledged) the
 *                         pages that have not arrived, and the end
 *
 * Until the package's last byte is written the guest can go on here; from then on it is over there.
 * To a Stasis the package carries the exactness section and ends with PING_READY: RUN follows once
 * that has come back, so a connection that breaks with the package leaves the guest here.
 */
#include "migration/postcopy_out.h"

#include <string.h>

#include "migration/capability.h"
#include "migration/command.h"
#include "migration/ram.h"
#include "migration/ram_release.h"
#include "util/bits.h"

void postcopy_out_advise(SaveRun *run)
{
    uint8_t sizes[16];

    save_command(&run->st, CMD_OPEN_RETURN_PATH, NULL, 0);
    save_ping(&run->st, PING_FIRST);
    save_ping(&run->st, PING_WHO);
    if (!capability_on(run->m, "postcopy-ram")) return;
    store_be64(sizes, PAGE_SIZE);
    store_be64(sizes + 8, PAGE_SIZE);
    save_command(&run->st, CMD_POSTCOPY_ADVISE, sizes, sizeof(sizes));
}

static void postcopy_discard_block(Stream *st, RamBlock *b)
{
    uint64_t pages = b->size >> PAGE_BITS, from = 0;
    size_t head = strlen(b->idstr) + 3;
    uint8_t data[3 + 255 + DISCARD_RANGES * 16];

    data[0] = 0;
    data[1] = (uint8_t)strlen(b->idstr);
    memcpy(data + 2, b->idstr, data[1]);
    data[head - 1] = 0;
    while (from < pages) {
        size_t len = head;

        for (int n = 0; n < DISCARD_RANGES; n++) {
            uint64_t first = ram_next_dirty(b, from, WATCH_MIGRATION), last = first;

            while (last < pages && !ram_is_clean(b, last, WATCH_MIGRATION)) last++;
            from = last;
            if (first == last) break;
            store_be64(data + len, first << PAGE_BITS);
            store_be64(data + len + 8, (last - first) << PAGE_BITS);
            len += 16;
        }
        if (len > head) save_command(st, CMD_POSTCOPY_DISCARD, data, (uint16_t)len);
    }
}

void postcopy_out_package(SaveRun *run, bool stasis)
{
    Stream outer = run->st;
    uint8_t len[4];

    ram_release_begin(run);
    for (RamBlock *b = ram_block_first(run->m); b; b = b->next) postcopy_discard_block(&outer, b);
    stream_init(&run->st);
    save_command(&run->st, CMD_POSTCOPY_LISTEN, NULL, 0);
    save_devices(run);
    if (stasis) {
        save_exact_section(&run->st, run->m);
        save_ping(&run->st, PING_READY);
    } else {
        save_command(&run->st, CMD_POSTCOPY_RUN, NULL, 0);
    }
    store_be32(len, (uint32_t)run->st.size);
    save_command(&outer, CMD_PACKAGED, len, sizeof(len));
    stream_put(&outer, run->st.data, run->st.size);
    stream_free(&run->st);
    run->st = outer;
}

unsigned postcopy_out_recover(SaveRun *run)
{
    unsigned n = 0;

    stream_free(&run->st);
    stream_init(&run->st);
    ram_save_restart(run);
    run->state = SAVE_COMPLETE_RAM;
    for (RamBlock *b = ram_block_first(run->m); b; b = b->next, n++) {
        uint8_t data[256] = { (uint8_t)strlen(b->idstr) };

        memcpy(data + 1, b->idstr, data[0]);
        save_command(&run->st, CMD_RECV_BITMAP, data, (uint16_t)(data[0] + 1));
    }
    return n;
}

/* A bitmap stands behind its message.  *whole is false where it has not come to its end. */
static bool return_path_bitmap(ReturnPath *rp, SaveRun *run, size_t end, bool *whole)
{
    Stream *st = &rp->in;
    char name[256];
    uint64_t bytes;
    RamBlock *b;

    stream_get_str8(st, name);
    if (!stream_ok(st) || st->pos != end) return false;
    b = ram_block_find(run->m, name);
    *whole = stream_left(st) >= 8;
    if (!b || !*whole) return b != NULL;
    bytes = stream_get_be64(st);
    if (bytes != align_up(b->size >> PAGE_BITS, 64) / 8) return false;
    *whole = stream_left(st) >= bytes + 8;
    if (!*whole) return true;
    ram_save_received(b, st->data + st->pos);
    ram_release_recovered(run, b);
    stream_skip(st, bytes);
    rp->bitmaps++;
    return stream_get_be64(st) == BITMAP_END;
}

static bool return_path_request(SaveRun *run, Stream *st, bool named, size_t end)
{
    uint64_t start = stream_get_be64(st);
    uint32_t len = stream_get_be32(st);
    char name[256] = "";

    if (named) stream_get_str8(st, name);
    return stream_ok(st) && st->pos == end && ram_save_request(run, name, start, len);
}

static void return_path_pong(ReturnPath *rp, SaveRun *run, uint32_t value)
{
    rp->stasis |= value == PONG_STASIS;
    rp->ready |= value == PING_READY;
    if (value == PING_HAVE) ram_release_answered(run);
    rp->met |= value == PONG_STASIS || value == PING_WHO;
}

static bool return_path_message(
    ReturnPath *rp, SaveRun *run, uint16_t type, uint16_t len, bool *whole)
{
    Stream *st = &rp->in;
    size_t end = st->pos + len;

    switch (type) {
    case RP_SHUT:
        rp->shut = true;
        rp->code = stream_get_be32(st);
        return len == 4;
    case RP_PONG: return_path_pong(rp, run, stream_get_be32(st)); return len == 4;
    case RP_REQ_PAGES:
    case RP_REQ_PAGES_ID: return return_path_request(run, st, type == RP_REQ_PAGES_ID, end);
    case RP_RECV_BITMAP: return return_path_bitmap(rp, run, end, whole);
    case RP_RESUME_ACK:
        rp->resumed = stream_get_be32(st) == RESUME_VALUE;
        return len == 4 && rp->resumed;
    default: return false;
    }
}

bool return_path_parse(ReturnPath *rp, SaveRun *run, Error *err)
{
    Stream *st = &rp->in;

    while (stream_left(st) >= 4) {
        size_t start = st->pos;
        uint16_t type = stream_get_be16(st), len = stream_get_be16(st);

        bool whole = stream_left(st) >= len;

        if (whole && !return_path_message(rp, run, type, len, &whole))
            return error_set(err, "return path: unknown message %u of %u bytes", type, len);
        if (whole) continue;
        stream_rewind(st, start);
        break;
    }
    stream_discard(st, st->pos);
    return true;
}
