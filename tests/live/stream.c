/* SPDX-License-Identifier: MIT */
/* The stream between two machines in one process: round trip, every truncation, refusals with their
 * texts, and that a refused stream changes nothing. */
#include <glib.h>
#include <string.h>
#include <zlib.h>

#include "core/machine.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/ram.h"
#include "migration/save.h"
#include "util/bits.h"

/* A device with a state that is only memory: what the stream does with it is what is tested. */
typedef struct Box {
    Device dev;
    unsigned synced;
    struct BoxState {
        uint32_t value, big, exact;
    } s;
} Box;

static bool box_big_needed(const void *s) { return ((const struct BoxState *)s)->big > 0; }
static const VmField box_big_fields[] = { VM_INT(struct BoxState, big), VM_END };
static const VmState box_big = {
    .name = "box/big", .version = 1, .needed = box_big_needed, .fields = box_big_fields
};
static const VmField box_fields[] = { VM_INT(struct BoxState, value), VM_END };
static const VmState box_vmstate = { .name = "box",
    .version = 2,
    .min_version = 1,
    .fields = box_fields,
    .subsections = (const VmState *const[]){ &box_big, NULL } };
static const VmField box_exact[] = { VM_INT(struct BoxState, exact), VM_END };

static void box_reset(Device *dev) { ((Box *)dev)->s = (struct BoxState){ .value = 1 }; }
static void box_sync(Device *dev) { ((Box *)dev)->synced++; }

DEVICE(box, "a box for tests", Box, .vmstates = VMSTATES(&box_vmstate), .exact = box_exact,
    .reset = box_reset, .sync = box_sync);

enum { RAM = 64 * KiB };

static bool bare_init(Machine *m, Error *err)
{
    return ram_block_new(m, "small", 2 * PAGE_SIZE, err) && ram_block_new(m, "ram", RAM, err) &&
           device_create(m, "box", "a", err, NULL) && device_create(m, "box", "b", err, NULL);
}

MACHINE(bare, .name = "bare", .desc = "for tests", .init = bare_init);

static Machine *make(void)
{
    Error err = ERROR_INIT;
    Machine *m = machine_new("bare", NULL, &err);

    g_assert_true(m && migration_init(m, &err) && machine_init(m, &err));
    return m;
}

static struct BoxState *box_of(Machine *m, const char *id)
{
    return &((Box *)device_find(m, id))->s;
}

static Machine *make_filled(void)
{
    Machine *m = make();
    RamBlock *b = ram_block_find(m, "ram");

    for (unsigned i = 0; i < RAM / 2; i++) b->host[i] = (uint8_t)(i * 7 + i / 251);
    box_of(m, "a")->value = 0x1234;
    box_of(m, "a")->exact = 77;
    box_of(m, "b")->big = 5;
    clock_set(&m->clock, 123456789);
    return m;
}

static void save_all(Machine *m, Stream *out, size_t piece)
{
    SaveRun *run = save_begin(m, false, false);

    while (!save_complete(run, piece)) {}
    stream_init(out);
    stream_put(out, run->st.data, run->st.size);
    save_end(run);
}

static LoadStatus load_bytes(
    Machine *m, const uint8_t *data, size_t len, size_t chunk, bool eof, Error *err)
{
    LoadRun *run = load_begin(m);
    LoadStatus status = LOAD_MORE;

    for (size_t off = 0; off < len && status == LOAD_MORE; off += chunk) {
        load_feed(run, data + off, MIN_OF(chunk, len - off));
        status = load_step(run);
    }
    if (status == LOAD_MORE && eof) {
        load_eof(run);
        status = load_step(run);
    }
    if (status == LOAD_DONE) g_assert_true(load_commit(run, err));
    if (status == LOAD_FAILED) error_set(err, "%s", run->err.msg);
    load_end(run);
    return status;
}

static char *digest(Machine *m)
{
    Error err = ERROR_INIT;
    char *d = machine_digest(m, &err);

    g_assert_nonnull(d);
    return d;
}

static void assert_alike(Machine *a, Machine *b)
{
    char *x = digest(a), *y = digest(b);

    g_assert_cmpstr(x, ==, y);
    g_free(x);
    g_free(y);
}

static void test_round_trip(void)
{
    static const size_t chunks[] = { 1, 7, 4096, SIZE_MAX / 2 };

    for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
        Machine *a = make_filled(), *b = make();
        Error err = ERROR_INIT;
        Stream st;

        save_all(a, &st, i % 2 ? 5000 : SIZE_MAX);
        g_assert_cmpint(load_bytes(b, st.data, st.size, chunks[i], true, &err), ==, LOAD_DONE);
        assert_alike(a, b);
        g_assert_cmpuint(box_of(b, "a")->value, ==, 0x1234);
        g_assert_cmpuint(box_of(b, "a")->exact, ==, 77);
        g_assert_cmpuint(box_of(b, "b")->big, ==, 5);
        g_assert_cmpint(clock_now(&b->clock), ==, 123456789);
        g_assert_cmpuint(((Box *)device_find(b, "b"))->synced, ==, 2);
        stream_free(&st);
        machine_free(a);
        machine_free(b);
    }
}

static LoadRun *load_compared(Machine *m, const Stream *st)
{
    LoadRun *run = load_begin(m);

    ram_load_compare(run);
    load_feed(run, st->data, st->size);
    load_eof(run);
    g_assert_cmpint(load_step(run), ==, LOAD_DONE);
    return run;
}

/* However much differs from what is there, and in what way: zeroes, other bytes, nothing yet. */
static void test_compare(void)
{
    for (unsigned pages = 0; pages <= RAM / PAGE_SIZE; pages++) {
        Machine *a = make_filled(), *b = make_filled(), *fresh = make();
        RamBlock *ram = ram_block_find(b, "ram");
        uint8_t page[PAGE_SIZE];
        Error err = ERROR_INIT;
        LoadRun *run;
        Stream st;

        for (unsigned i = 0; i < pages; i++) {
            memset(page, i % 3 ? (int)i : 0, sizeof(page));
            ram_block_write(ram, (i * 5ull * PAGE_SIZE) % RAM, page, sizeof(page));
        }
        save_all(a, &st, 5000);
        ram_watch(ram, 0, RAM / PAGE_SIZE, WATCH_MIGRATION);
        run = load_compared(b, &st);
        g_assert_true(load_commit(run, &err));
        load_end(run);
        assert_alike(a, b);
        if (pages <= 4) /* the others were not even written to */
            g_assert_cmpuint(ram_count_dirty(ram, WATCH_MIGRATION, UINT64_MAX), <=, pages);
        run = load_compared(fresh, &st);
        g_assert_true(load_commit(run, &err));
        load_end(run);
        assert_alike(a, fresh);
        stream_free(&st);
        machine_free(a);
        machine_free(b);
        machine_free(fresh);
    }
}

/* What was found to be right is written to before it is all put together. */
static void test_compare_written(void)
{
    Machine *m = make_filled();
    Error err = ERROR_INIT;
    char *before, *after;
    LoadRun *run;
    Stream st;

    save_all(m, &st, SIZE_MAX);
    run = load_compared(m, &st);
    ram_block_write(ram_block_find(m, "ram"), 10, "x", 1);
    before = digest(m);
    g_assert_false(load_commit(run, &err));
    g_assert_cmpstr(err.msg, ==, "RAM has been written to meanwhile: try again");
    load_end(run);
    after = digest(m);
    g_assert_cmpstr(before, ==, after);
    g_free(before);
    g_free(after);
    stream_free(&st);
    machine_free(m);
}

/* Where RAM stands in what is loaded; from then on a page that is written to shows. */
static void load_indexed(Machine *m, const Stream *st, uint64_t *head, uint64_t *tail, uint32_t *id)
{
    LoadRun *run = load_begin(m);
    Error err = ERROR_INIT;

    run->index.on = true;
    load_feed(run, st->data, st->size);
    load_eof(run);
    g_assert_cmpint(load_step(run), ==, LOAD_DONE);
    g_assert_true(load_commit(run, &err));
    g_assert_true(run->index.on);
    *head = run->index.head;
    *tail = run->index.tail;
    *id = run->index.id;
    load_end(run);
    for (RamBlock *b = ram_block_first(m); b; b = b->next)
        ram_watch(b, 0, b->size >> PAGE_BITS, WATCH_SNAPSHOT);
}

/* A load of what was loaded before, by one page; meanwhile: someone writes to another. */
static void load_by_page(bool meanwhile)
{
    enum { CHANGED = 3, OTHER = 5 };
    Machine *m = make_filled();
    RamBlock *ram = ram_block_find(m, "ram");
    LoadPage page = { .block = ram, .page = CHANGED };
    Error err = ERROR_INIT;
    uint64_t head, tail;
    char *saved = digest(m), *before, *after;
    uint32_t id;
    Stream st;
    LoadRun *run;

    save_all(m, &st, SIZE_MAX);
    load_indexed(m, &st, &head, &tail, &id);
    page.data = g_memdup2(ram->host + (CHANGED << PAGE_BITS), PAGE_SIZE);
    ram_block_write(ram, CHANGED << PAGE_BITS, "changed", 7);
    box_of(m, "a")->value = 99;
    run = load_begin(m);
    run->again = g_array_new(FALSE, FALSE, sizeof(page));
    g_array_append_val(run->again, page);
    load_feed(run, st.data, head);
    stream_put_u8(&run->st, SECTION_END);
    stream_put_be32(&run->st, id);
    stream_put_be64(&run->st, RAM_EOS);
    stream_put_u8(&run->st, SECTION_FOOTER);
    stream_put_be32(&run->st, id);
    load_feed(run, st.data + tail, st.size - tail);
    load_eof(run);
    g_assert_cmpint(load_step(run), ==, LOAD_DONE);
    if (meanwhile) ram_block_write(ram, OTHER << PAGE_BITS, "other", 5);
    before = digest(m);
    g_assert_true(load_commit(run, &err) == !meanwhile);
    g_assert_cmpstr(err.msg, ==, meanwhile ? "RAM has been written to meanwhile: try again" : "");
    after = digest(m);
    g_assert_cmpstr(after, ==, meanwhile ? before : saved);
    load_end(run);
    g_free(saved);
    g_free(before);
    g_free(after);
    stream_free(&st);
    machine_free(m);
}

static void test_again(void) { load_by_page(false); }
static void test_again_written(void) { load_by_page(true); }

/* A load does not mix old state in: what is absent is as after a reset. */
static void test_load_over_dirty(void)
{
    Machine *a = make(), *b = make_filled();
    Error err = ERROR_INIT;
    Stream st;

    save_all(a, &st, SIZE_MAX);
    g_assert_cmpint(load_bytes(b, st.data, st.size, SIZE_MAX / 2, true, &err), ==, LOAD_DONE);
    g_assert_cmpuint(box_of(b, "b")->big, ==, 0);
    g_assert_cmpuint(box_of(b, "a")->exact, ==, 0);
    g_assert_cmpuint(ram_block_find(b, "ram")->host[100], ==, 0);
    assert_alike(a, b);
    stream_free(&st);
    machine_free(a);
    machine_free(b);
}

static void assert_hole(RamBlock *b, uint64_t page, bool hole, uint64_t end)
{
    uint64_t to;

    g_assert_true(ram_is_hole(b, page, &to) == hole);
    g_assert_cmpuint(to, ==, end);
}

/* Pages that were never written to travel unread, so that a save makes no memory of them; one that
 * is written to between two pieces travels as it is then. */
static void test_holes(void)
{
    enum { FILLED = 9, LATE = 12, PAGES = RAM >> PAGE_BITS };
    Machine *a = make(), *b = make();
    RamBlock *ram = ram_block_find(a, "ram");
    SaveRun *run = save_begin(a, true, false);
    Error err = ERROR_INIT;

    ram_block_write(ram, FILLED << PAGE_BITS, "filled", 6);
    assert_hole(ram, 0, true, FILLED);
    assert_hole(ram, FILLED, false, FILLED + 1);
    while (ram_next_dirty(ram, 0, WATCH_MIGRATION) <= FILLED) save_iterate(run, 1);
    assert_hole(ram, 0, true, FILLED);
    assert_hole(ram, FILLED + 1, true, PAGES);
    ram_block_write(ram, LATE << PAGE_BITS, "late", 4);
    while (!save_complete(run, PAGE_SIZE)) continue;
    assert_hole(ram, FILLED + 1, true, LATE);
    g_assert_cmpint(load_bytes(b, run->st.data, run->st.size, 5000, true, &err), ==, LOAD_DONE);
    assert_alike(a, b);
    save_end(run);
    ram_watch(ram, FILLED, 1, WATCH_MIGRATION | WATCH_SNAPSHOT);
    ram_give_back(ram, FILLED, 1);
    assert_hole(ram, 0, true, LATE);
    g_assert_true(ram_is_clean(ram, FILLED, WATCH_MIGRATION));
    g_assert_false(ram_is_clean(ram, FILLED, WATCH_SNAPSHOT));
    machine_free(a);
    machine_free(b);
}

/* Where the devices end: everything behind is the description, which may be missing. */
static size_t sections_end(const Stream *st)
{
    for (size_t i = st->size; i-- > 5;)
        if (!memcmp(st->data + i, "{\"page_size\"", 12)) return i - 5;
    g_assert_not_reached();
}

static void test_truncated(void)
{
    Machine *a = make_filled(), *b = make();
    char *before = digest(b), *after;
    Stream st;
    size_t end;

    save_all(a, &st, SIZE_MAX);
    end = sections_end(&st);
    for (size_t n = 0; n<end; n += n> 200 && n + 300 < end ? 97 : 1) {
        Error err = ERROR_INIT;

        g_assert_cmpint(load_bytes(b, st.data, n, SIZE_MAX / 2, true, &err), ==, LOAD_FAILED);
        g_assert_true(error_is_set(&err));
    }
    after = digest(b);
    g_assert_cmpstr(before, ==, after);
    g_free(before);
    g_free(after);
    stream_free(&st);
    machine_free(a);
    machine_free(b);
}

/* Every single byte of the framing and the devices changed: refused, or a whole other state; never
 * a crash, and never a change where refused. */
static void test_corrupt(void)
{
    Machine *a = make_filled(), *b = make();
    Stream st;

    save_all(a, &st, SIZE_MAX);
    for (size_t i = 0; i<st.size; i += i> 300 && i + 2000 < st.size ? 613 : 1) {
        uint8_t was = st.data[i];
        char *before = digest(b), *after;
        Error err = ERROR_INIT;

        st.data[i] ^= (uint8_t)(1 + i % 255);
        if (load_bytes(b, st.data, st.size, SIZE_MAX / 2, true, &err) == LOAD_FAILED) {
            after = digest(b);
            g_assert_cmpstr(before, ==, after);
            g_free(after);
        }
        g_free(before);
        st.data[i] = was;
    }
    stream_free(&st);
    machine_free(a);
    machine_free(b);
}

static void expect(Stream *st, const char *text)
{
    Machine *b = make();
    char *before = digest(b), *after;
    Error err = ERROR_INIT;

    g_assert_cmpint(load_bytes(b, st->data, st->size, SIZE_MAX / 2, true, &err), ==, LOAD_FAILED);
    if (!strstr(err.msg, text)) g_error("got: %s\nwant: %s", err.msg, text);
    after = digest(b);
    g_assert_cmpstr(before, ==, after);
    g_free(before);
    g_free(after);
    machine_free(b);
    stream_free(st);
}

static void begin(Stream *st, const char *machine)
{
    stream_init(st);
    stream_put_be32(st, STREAM_MAGIC);
    stream_put_be32(st, STREAM_VERSION);
    stream_put_u8(st, SECTION_CONFIGURATION);
    stream_put_be32(st, (uint32_t)strlen(machine));
    stream_put(st, machine, strlen(machine));
}

static void start(Stream *st, uint8_t type, const char *idstr, uint32_t instance, uint32_t version)
{
    begin(st, "bare");
    stream_put_u8(st, type);
    stream_put_be32(st, 9);
    stream_put_str8(st, idstr);
    stream_put_be32(st, instance);
    stream_put_be32(st, version);
}

static void footer(Stream *st, uint32_t id)
{
    stream_put_u8(st, SECTION_FOOTER);
    stream_put_be32(st, id);
}

static void ram_list(Stream *st, uint64_t total, const char *name, uint64_t len)
{
    start(st, SECTION_START, "ram", 0, 4);
    stream_put_be64(st, total | 4);
    stream_put_str8(st, name);
    stream_put_be64(st, len);
}

static void test_refused_framing(void)
{
    Stream st;

    stream_init(&st);
    stream_put(&st, "#!/bin/sh\n", 10);
    expect(&st, "Not a migration stream");
    stream_init(&st);
    stream_put(&st, "QEVM\0\0\0\2", 8);
    expect(&st, "SaveVM v2 format is obsolete and don't work anymore");
    stream_init(&st);
    stream_put(&st, "QEVM\0\0\0\4", 8);
    expect(&st, "Unsupported migration stream version");
    stream_init(&st);
    stream_put(&st, "QEVM\0\0\0\3\0", 9);
    expect(&st, "Configuration section missing");
    begin(&st, "bar");
    expect(&st, "Machine type received is 'bar' and local is 'bare'");
    begin(&st, "barex");
    expect(&st, "Machine type received is 'barex' and local is 'bare'");
    begin(&st, "bare");
    stream_put_u8(&st, 9);
    expect(&st, "Unknown savevm section type 9");
    begin(&st, "bare");
    stream_put(&st, "\2\0\0\0\2", 5);
    expect(&st, "Unknown savevm section 2");
    begin(&st, "bare");
    stream_put(&st, "\x08\0\x63\0\0", 5);
    expect(&st, "MIG_CMD 0x63 unknown (len 0x0)");
}

static void test_refused_sections(void)
{
    Stream st;

    start(&st, SECTION_FULL, "nosuch", 1, 1);
    stream_put_be64(&st, 0);
    expect(&st, "Unknown savevm section or instance 'nosuch' 1. Make sure that your current VM "
                "setup matches your saved VM setup, including any hotplugged devices");
    start(&st, SECTION_FULL, "box", 0, 3);
    stream_put_be64(&st, 0);
    expect(&st, "savevm: unsupported version 3 for 'box' v2");
    start(&st, SECTION_FULL, "box", 0, 2);
    stream_put_be32(&st, 0);
    stream_put_be64(&st, 0);
    expect(&st, "Missing section footer for box");
    start(&st, SECTION_FULL, "box", 0, 2);
    stream_put_be32(&st, 0);
    footer(&st, 5);
    expect(&st, "Mismatched section id in footer for box - read 0x5 expected 0x9");
    start(&st, SECTION_FULL, "box", 0, 2);
    stream_put_be32(&st, 0);
    stream_put_u8(&st, 5);
    stream_put_str8(&st, "box/nosuch");
    stream_put_be32(&st, 1);
    footer(&st, 9);
    expect(&st, "error while loading state for instance 0x0 of device 'box'");
    start(&st, SECTION_FULL, "box", 0, 2);
    stream_put_be32(&st, 0);
    stream_put_u8(&st, 5);
    stream_put_str8(&st, "other/nosuch");
    stream_put_be32(&st, 1);
    footer(&st, 9);
    expect(&st, "Missing section footer for box");
    start(&st, SECTION_FULL, "box", 0, 2);
    stream_put_be32(&st, 0);
    stream_put_u8(&st, 5);
    stream_put_str8(&st, "box/big");
    stream_put_be32(&st, 2);
    stream_put_be64(&st, 1);
    expect(&st, "box/big: incoming version_id 2 is too new for local version_id 1");
}

static void test_refused_ram(void)
{
    Stream st;

    ram_list(&st, RAM, "ram", RAM * 2);
    expect(&st, "cannot accept migration");
    ram_list(&st, RAM * 2, "ram", RAM * 2);
    expect(&st, "Size mismatch: ram: 0x20000 != 0x10000: Invalid argument");
    ram_list(&st, RAM, "foo.ram", RAM);
    expect(&st, "Unknown ramblock \"foo.ram\", cannot accept migration");
    ram_list(&st, RAM, "ram", RAM);
    stream_put_be64(&st, 0x6000 | 0x28);
    expect(&st, "Ack, bad migration stream!");
    ram_list(&st, RAM, "ram", RAM);
    stream_put_be64(&st, RAM | 0x02);
    stream_put_str8(&st, "ram");
    stream_put_u8(&st, 0);
    expect(&st, "Illegal RAM offset 10000");
    ram_list(&st, RAM, "ram", RAM);
    stream_put_be64(&st, 0x0a);
    expect(&st, "Unknown combination of migration flags: 0xa");
    start(&st, SECTION_START, "ram", 0, 5);
    expect(&st, "savevm: unsupported version 5 for 'ram' v4");
}

/* One record of a page of "ram", behind the list of blocks. */
static void page_record(Stream *st, uint64_t page, unsigned flags, const void *data, size_t len)
{
    stream_put_be64(st, page << PAGE_BITS | flags);
    stream_put_str8(st, "ram");
    stream_put(st, data, len);
}

static void page_list(Stream *st)
{
    ram_list(st, RAM, "ram", RAM);
    stream_put_be64(st, 0x10);
    footer(st, 9);
    stream_put_u8(st, SECTION_END);
    stream_put_be32(st, 9);
}

/* A difference is from what this stream has brought, or from what was there before it. */
static void test_differences(void)
{
    Machine *m = make_filled();
    uint8_t *host = ram_block_find(m, "ram")->host, want[3 * PAGE_SIZE];
    Error err = ERROR_INIT;
    Stream st;

    memcpy(want, host, sizeof(want));
    memset(want + PAGE_SIZE, 9, PAGE_SIZE);
    memcpy(want + 5, "abc", 3);
    memcpy(want + PAGE_SIZE + 1, "de", 2);
    page_list(&st);
    page_record(&st, 0, 0x40, "\1\0\5\5\3abc", 8);
    page_record(&st, 1, 0x02, "\11", 1);
    page_record(&st, 1, 0x40, "\1\0\4\1\2de", 7);
    stream_put_be64(&st, 0x10);
    footer(&st, 9);
    stream_put_u8(&st, SECTION_EOF);
    g_assert_cmpint(load_bytes(m, st.data, st.size, 1, true, &err), ==, LOAD_DONE);
    g_assert_cmpmem(host, sizeof(want), want, sizeof(want));
    stream_free(&st);
    machine_free(m);
}

static void test_refused_differences(void)
{
    Stream st;

    page_list(&st);
    page_record(&st, 0, 0x40, "\2\0\5\5\3abc", 8);
    expect(&st, "XBZRLE page of kind 2");
    page_list(&st);
    page_record(&st, 0, 0x40, "\1\20\1", 3);
    expect(&st, "XBZRLE page of 4097 bytes");
    page_list(&st);
    page_record(&st, 1, 0x40, "\1\0\3\5\3ab", 7);
    expect(&st, "XBZRLE page at 1000 of ram makes no sense");
}

/* As a record has it: length and stream. */
static size_t zipped(uint8_t fill, uint8_t out[200])
{
    uint8_t page[PAGE_SIZE];
    uLongf len = 196;

    memset(page, fill, sizeof(page));
    g_assert_cmpint(compress(out + 4, &len, page, sizeof(page)), ==, Z_OK);
    store_be32(out, (uint32_t)len);
    return len + 4;
}

/* Records of one page apply in their order, threads or not. */
static void test_compressed(void)
{
    Machine *m = make_filled();
    uint8_t *host = ram_block_find(m, "ram")->host, zip[200], want[4 * PAGE_SIZE];
    Error err = ERROR_INIT;
    Stream st;
    size_t n;

    page_list(&st);
    for (unsigned page = 0; page < 4; page++) {
        memset(want + page * PAGE_SIZE, (int)page + 50, PAGE_SIZE);
        for (uint8_t turn = 0; turn <= page; turn++) {
            n = zipped(turn == page && page < 3 ? (uint8_t)(page + 50) : turn, zip);
            page_record(&st, page, 0x100, zip, n);
        }
    }
    page_record(&st, 3, 0x02, "\65", 1);
    stream_put_be64(&st, 0x10);
    footer(&st, 9);
    stream_put_u8(&st, SECTION_EOF);
    g_assert_cmpint(load_bytes(m, st.data, st.size, 7, true, &err), ==, LOAD_DONE);
    g_assert_cmpmem(host, sizeof(want), want, sizeof(want));
    stream_free(&st);
    machine_free(m);
}

static void test_refused_compressed(void)
{
    uint8_t zip[200];
    size_t n = zipped(1, zip);
    Stream st;

    page_list(&st);
    page_record(&st, 0, 0x100, "\0\0\20\17", 4);
    expect(&st, "a compressed page of 4111 bytes");
    page_list(&st);
    zip[n - 1] ^= 1; /* its checksum */
    page_record(&st, 0, 0x100, zip, n);
    stream_put_be64(&st, 0x10);
    expect(&st, "a compressed page makes no sense");
    page_list(&st);
    store_be32(zip, (uint32_t)n - 5);
    page_record(&st, 0, 0x100, zip, n - 1);
    stream_put_be64(&st, 0x10);
    expect(&st, "a compressed page makes no sense");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/round-trip", test_round_trip);
    g_test_add_func("/stream/load-over-dirty", test_load_over_dirty);
    g_test_add_func("/stream/holes", test_holes);
    g_test_add_func("/stream/compare", test_compare);
    g_test_add_func("/stream/compare-written", test_compare_written);
    g_test_add_func("/stream/again", test_again);
    g_test_add_func("/stream/again-written", test_again_written);
    g_test_add_func("/stream/truncated", test_truncated);
    g_test_add_func("/stream/corrupt", test_corrupt);
    g_test_add_func("/stream/refused-framing", test_refused_framing);
    g_test_add_func("/stream/refused-sections", test_refused_sections);
    g_test_add_func("/stream/refused-ram", test_refused_ram);
    g_test_add_func("/stream/differences", test_differences);
    g_test_add_func("/stream/refused-differences", test_refused_differences);
    g_test_add_func("/stream/compressed", test_compressed);
    g_test_add_func("/stream/refused-compressed", test_refused_compressed);
    return g_test_run();
}
