/* SPDX-License-Identifier: MIT */
/*
 * Commands of a stream, written and read: see command.h.
 *
 * Post-copy, as a reader sees it (load.h: run->postcopy):
 *
 *   none -> advised      ADVISE: pages may come after the guest
 *   advised -> discard   DISCARD: pages that have come and are stale are absent again
 *   advised, discard -> listening   LISTEN, first in the package
 *   listening -> running            RUN, last in the package: commit, the guest goes on here
 *
 * Between two Stasis the package ends with a ping instead, which says that it is accepted when it
 * comes back; RUN follows, or, where the connection broke in between, RESUME on the next one.
 */
#include "migration/command.h"

#include <string.h>

#include "migration/ram.h"
#include "migration/switches.h"
#include "util/bits.h"

void save_command(Stream *st, uint16_t cmd, const void *data, uint16_t len)
{
    stream_put_u8(st, SECTION_COMMAND);
    stream_put_be16(st, cmd);
    stream_put_be16(st, len);
    stream_put(st, data, len);
}

void save_ping(Stream *st, uint32_t value)
{
    uint8_t data[4];

    store_be32(data, value);
    save_command(st, CMD_PING, data, sizeof(data));
}

bool load_yours(LoadRun *run)
{
    Stream want;
    bool got;

    stream_init(&want);
    save_ping(&want, PING_YOURS);
    got = stream_left(&run->st) >= want.size &&
          !memcmp(run->st.data + run->st.pos, want.data, want.size);
    stream_free(&want);
    return got;
}

void load_answer(LoadRun *run, uint16_t type, const void *data, uint16_t len)
{
    stream_put_be16(&run->answers, type);
    stream_put_be16(&run->answers, len);
    stream_put(&run->answers, data, len);
}

/* The end of a package without RUN: whether it will do is said now. */
static bool command_ready(LoadRun *run, Stream *st)
{
    if (run->postcopy != LOAD_LISTENING || run->package_end != st->offset + st->pos)
        return stream_fail(st, "a question for a packaged state that is not at its end");
    if (run->vmdesc->len && !vmdesc_apply(run, run->vmdesc->str, &st->err)) return false;
    g_string_truncate(run->vmdesc, 0);
    run->package_end = 0;
    run->ready = true;
    return true;
}

static bool command_ping(LoadRun *run, Stream *st)
{
    uint32_t value = stream_get_be32(st);
    uint8_t reply[4];

    if (!stream_ok(st)) return false;
    if (!run->return_path)
        return stream_fail(st, "CMD_PING (0x%x) received with no return path", value);
    if (value == PING_READY && !command_ready(run, st)) return false;
    run->from_stasis |= value == PING_WHO;
    store_be32(reply, value == PING_WHO ? PONG_STASIS : value);
    load_answer(run, RP_PONG, reply, sizeof(reply));
    return true;
}

static bool command_state(Stream *st, const char *name, LoadPostcopy is)
{
    return stream_fail(st, "CMD_POSTCOPY_%s in wrong postcopy state (%d)", name, (int)is);
}

static bool command_advise(LoadRun *run, Stream *st)
{
    uint64_t sizes = stream_get_be64(st), page = stream_get_be64(st);

    if (!stream_ok(st)) return false;
    if (run->postcopy != LOAD_PRECOPY) return command_state(st, "ADVISE", run->postcopy);
    if (!run->return_path || !run->may_postcopy)
        return stream_fail(st, "Postcopy needs a return path and the capability postcopy-ram here");
    if (sizes != PAGE_SIZE || page != PAGE_SIZE)
        return stream_fail(
            st, "the source has pages of %d bytes, and not of %d", (int)page, PAGE_SIZE);
    run->postcopy = LOAD_ADVISED;
    return true;
}

static bool command_discard(LoadRun *run, Stream *st, uint16_t len)
{
    size_t end = st->pos + len;
    char name[256];

    if (run->postcopy != LOAD_ADVISED && run->postcopy != LOAD_DISCARD)
        return command_state(st, "RAM_DISCARD", run->postcopy);
    if (stream_get_u8(st) != 0) return stream_fail(st, "a discard of an unknown version");
    stream_get_str8(st, name);
    if (stream_get_u8(st) != 0 || st->pos > end || (end - st->pos) % 16)
        return stream_fail(st, "CMD_POSTCOPY_RAM_DISCARD invalid length (%d)", len);
    run->postcopy = LOAD_DISCARD;
    while (st->pos < end) {
        uint64_t start = stream_get_be64(st), bytes = stream_get_be64(st);

        if (!ram_load_discard(run, name, start, bytes))
            return stream_fail(st, "CMD_POSTCOPY_RAM_DISCARD outside of '%s'", name);
    }
    return true;
}

static bool command_packaged(LoadRun *run, Stream *st)
{
    uint32_t len = stream_get_be32(st);

    if (!stream_ok(st)) return false;
    if (len > PACKAGE_MAX) return stream_fail(st, "a package of %u bytes is too large", len);
    if (run->package_end) return stream_fail(st, "A packaged state inside another");
    if (stream_left(st) < len) {
        st->starved = true;
        return false;
    }
    run->package_end = st->offset + st->pos + len;
    return true;
}

static bool command_run(LoadRun *run, Stream *st)
{
    if (run->postcopy != LOAD_LISTENING) return command_state(st, "RUN", run->postcopy);
    if (!run->ready && run->package_end != st->offset + st->pos)
        return stream_fail(st, "CMD_POSTCOPY_RUN is not the end of a packaged state");
    run->package_end = 0;
    run->postcopy = LOAD_RUNNING;
    return true;
}

static bool command_recv_bitmap(LoadRun *run, Stream *st, uint16_t len)
{
    size_t start = st->pos;
    char name[256];

    if (len) stream_get_str8(st, name);
    if (!stream_ok(st) || st->pos != start + len || len < 2)
        return stream_fail(st, "loadvm_handle_recv_bitmap: failed to read block name");
    if (!run->resuming)
        return stream_fail(
            st, "migrate_send_rp_recv_bitmap: MSG_RP_RECV_BITMAP only used for recovery");
    load_answer(run, RP_RECV_BITMAP, st->data + start, len);
    if (!ram_load_bitmap(run, name, &run->answers))
        return stream_fail(st, "the bitmap of an unknown block '%s' is asked for", name);
    stream_put_be64(&run->answers, BITMAP_END);
    return true;
}

static bool command_resume(LoadRun *run, Stream *st)
{
    uint8_t value[4];

    if (!run->resuming)
        return stream_fail(st, "loadvm_postcopy_handle_resume: illegal resume received");
    run->resuming = false;
    run->postcopy = LOAD_RUNNING;
    store_be32(value, RESUME_VALUE);
    load_answer(run, RP_RESUME_ACK, value, sizeof(value));
    return true;
}

void load_resume(LoadRun *run)
{
    Stream *st = &run->st;

    stream_free(st);
    stream_init(st);
    stream_free(&run->answers);
    stream_init(&run->answers);
    run->state = LOAD_SECTIONS;
    run->current = NULL;
    run->last_block = NULL;
    run->skipping_block = false;
    run->resuming = true;
}

static bool command_dispatch(LoadRun *run, Stream *st, uint16_t cmd, uint16_t len)
{
    switch (cmd) {
    case CMD_OPEN_RETURN_PATH:
        if (run->return_path)
            return stream_fail(st, "CMD_OPEN_RETURN_PATH called when RP already open");
        run->return_path = true;
        return true;
    case CMD_PING: return command_ping(run, st);
    case CMD_POSTCOPY_ADVISE: return command_advise(run, st);
    case CMD_POSTCOPY_LISTEN:
        if (run->postcopy != LOAD_ADVISED && run->postcopy != LOAD_DISCARD)
            return command_state(st, "LISTEN", run->postcopy);
        run->postcopy = LOAD_LISTENING;
        return true;
    case CMD_POSTCOPY_RUN: return command_run(run, st);
    case CMD_POSTCOPY_DISCARD: return command_discard(run, st, len);
    case CMD_POSTCOPY_RESUME: return command_resume(run, st);
    case CMD_RECV_BITMAP: return command_recv_bitmap(run, st, len);
    default: return command_packaged(run, st);
    }
}

bool load_command(LoadRun *run)
{
    static const struct {
        const char *name;
        int len; /* -1: varies */
    } known[] = {
        [CMD_OPEN_RETURN_PATH] = { "OPEN_RETURN_PATH", 0 },
        [CMD_PING] = { "PING", 4 },
        [CMD_POSTCOPY_ADVISE] = { "POSTCOPY_ADVISE", 16 },
        [CMD_POSTCOPY_LISTEN] = { "POSTCOPY_LISTEN", 0 },
        [CMD_POSTCOPY_RUN] = { "POSTCOPY_RUN", 0 },
        [CMD_POSTCOPY_DISCARD] = { "POSTCOPY_RAM_DISCARD", -1 },
        [CMD_PACKAGED] = { "PACKAGED", 4 },
        [CMD_POSTCOPY_RESUME] = { "POSTCOPY_RESUME", 0 },
        [CMD_RECV_BITMAP] = { "RECV_BITMAP", -1 },
    };
    Stream *st = &run->st;
    uint16_t cmd = stream_get_be16(st), len = stream_get_be16(st);

    if (!stream_ok(st)) return false;
    if (cmd >= ARRAY_SIZE(known) || !known[cmd].name)
        return stream_fail(st, "MIG_CMD 0x%x unknown (len 0x%x)", cmd, len);
    if (known[cmd].len >= 0 && known[cmd].len != len)
        return stream_fail(st, "%s received with bad length - expecting %d, got %d",
            known[cmd].name, known[cmd].len, len);
    if (stream_left(st) < len) {
        st->starved = true;
        return false;
    }
    return command_dispatch(run, st, cmd, len);
}

void save_exact_section(Stream *st, Machine *m)
{
    char *exact = vmdesc_exact_text(m), *text = g_strdup_printf("{\"stasis\": %s}", exact);

    stream_put_u8(st, SECTION_FULL);
    stream_put_be32(st, EXACT_SECTION_ID);
    stream_put_str8(st, EXACT_SECTION);
    stream_put_be32(st, 0);
    stream_put_be32(st, 1);
    stream_put_be32(st, (uint32_t)strlen(text));
    stream_put(st, text, strlen(text));
    if (!stream_switches(m)->no_footers) {
        stream_put_u8(st, SECTION_FOOTER);
        stream_put_be32(st, EXACT_SECTION_ID);
    }
    g_free(text);
    g_free(exact);
}

bool load_exact_section(LoadRun *run)
{
    Stream *st = &run->st;
    uint32_t len = stream_get_be32(st);

    if (!stream_ok(st)) return false;
    if (len > PACKAGE_MAX) return stream_fail(st, "stasis: section of %u bytes", len);
    if (stream_left(st) < len) {
        st->starved = true;
        return false;
    }
    g_string_truncate(run->vmdesc, 0);
    g_string_append_len(run->vmdesc, (const char *)st->data + st->pos, (gssize)len);
    stream_skip(st, len);
    return true;
}
