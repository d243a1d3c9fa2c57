/* SPDX-License-Identifier: MIT */
/*
 * The return path and post-copy, where a guest leaves.
 *
 *   behind the header     OPEN_RETURN_PATH, PING, [POSTCOPY_ADVISE]
 *   guest stopped         POSTCOPY_RAM_DISCARD of every page that is dirty, then PACKAGED:
 *                         LISTEN, all devices, [the exactness section], RUN
 *   then                  the dirty pages, asked-for ones first, and the end
 *
 * Until the package's last byte is written the guest can go on here; from then on it is over there.
 */
#include "migration/postcopy_out.h"

#include <string.h>

#include "migration/capability.h"
#include "migration/command.h"
#include "migration/ram.h"
#include "util/bits.h"

static void postcopy_ping(Stream *st, uint32_t value)
{
    uint8_t data[4];

    store_be32(data, value);
    save_command(st, CMD_PING, data, sizeof(data));
}

void postcopy_out_advise(SaveRun *run)
{
    uint8_t sizes[16];

    save_command(&run->st, CMD_OPEN_RETURN_PATH, NULL, 0);
    postcopy_ping(&run->st, PING_FIRST);
    postcopy_ping(&run->st, PING_WHO);
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

    for (RamBlock *b = ram_block_first(run->m); b; b = b->next) postcopy_discard_block(&outer, b);
    stream_init(&run->st);
    save_command(&run->st, CMD_POSTCOPY_LISTEN, NULL, 0);
    save_devices(run);
    if (stasis) save_exact_section(&run->st, run->m);
    save_command(&run->st, CMD_POSTCOPY_RUN, NULL, 0);
    store_be32(len, (uint32_t)run->st.size);
    save_command(&outer, CMD_PACKAGED, len, sizeof(len));
    stream_put(&outer, run->st.data, run->st.size);
    stream_free(&run->st);
    run->st = outer;
}

static bool return_path_request(SaveRun *run, Stream *st, bool named, size_t end)
{
    uint64_t start = stream_get_be64(st);
    uint32_t len = stream_get_be32(st);
    char name[256] = "";

    if (named) stream_get_str8(st, name);
    return stream_ok(st) && st->pos == end && ram_save_request(run, name, start, len);
}

static void return_path_pong(ReturnPath *rp, uint32_t value)
{
    rp->stasis |= value == PONG_STASIS;
    rp->met |= value == PONG_STASIS || value == PING_WHO;
}

static bool return_path_message(ReturnPath *rp, SaveRun *run, uint16_t type, uint16_t len)
{
    Stream *st = &rp->in;
    size_t end = st->pos + len;

    switch (type) {
    case RP_SHUT:
        rp->shut = true;
        rp->code = stream_get_be32(st);
        return len == 4;
    case RP_PONG: return_path_pong(rp, stream_get_be32(st)); return len == 4;
    case RP_REQ_PAGES:
    case RP_REQ_PAGES_ID: return return_path_request(run, st, type == RP_REQ_PAGES_ID, end);
    default: return false;
    }
}

bool return_path_parse(ReturnPath *rp, SaveRun *run, Error *err)
{
    Stream *st = &rp->in;

    while (stream_left(st) >= 4) {
        size_t start = st->pos;
        uint16_t type = stream_get_be16(st), len = stream_get_be16(st);

        if (stream_left(st) < len) {
            stream_rewind(st, start);
            break;
        }
        if (!return_path_message(rp, run, type, len))
            return error_set(err, "return path: unknown message %u of %u bytes", type, len);
    }
    stream_discard(st, st->pos);
    return true;
}
