/* SPDX-License-Identifier: MIT */
/* TEST-TIMEOUT: 900 */
/*
 * Streams made to hurt.  A machine's own stream is taken apart into its sections, these are changed
 * in what they say and in how they are put together, and a machine loads the result.  Whatever
 * comes: it is refused and the machine is untouched, to the byte of each state; or it is accepted,
 * and then the machine runs with it, and loads a good stream afterwards.  Never a crash, never more
 * than a second, never memory out of proportion to the input.  corpus/stream has whole streams,
 * which are loaded as they are and are changed too.
 *
 * The long form is 300,000 cases, two hours in a build with sanitizers on a slow host.  With those
 * of snapshot.c it makes a million.
 */
#include <zlib.h>

#include "core/machine.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/save.h"
#include "system/build.h"
#include "system/loop.h"
#include "tests/fuzz/fuzz.h"

enum { KEPT = 8 * MiB, RUN_NS = 100000, CHUNK_MAX = 5000 };

/* A section, or something else that is a unit of the stream. */
typedef struct Part {
    uint8_t type;
    uint32_t id, instance, version, footer;
    char idstr[256];
    GByteArray *body;
} Part;

typedef struct Fuzz {
    Machine *m;
    GPtrArray *parts;  /* of the good stream */
    GPtrArray *corpus; /* GByteArray */
    char *vmdesc;
    GByteArray *states; /* of every section, one behind the other */
} Fuzz;

static void part_free(void *opaque)
{
    Part *p = opaque;

    g_byte_array_free(p->body, TRUE);
    g_free(p);
}

static Part *part_copy(const Part *from)
{
    Part *p = g_memdup2(from, sizeof(*from));

    p->body = g_byte_array_new();
    g_byte_array_append(p->body, from->body->data, from->body->len);
    return p;
}

static void *part_dup(const void *p, void *opaque)
{
    (void)opaque;
    return part_copy(p);
}

/* -- the good stream -- */

/* RAM's list of blocks, as its START has it. */
static void ram_list(Machine *m, Stream *st)
{
    uint64_t total = 0;

    for (RamBlock *b = ram_block_first(m); b; b = b->next) total += b->size;
    stream_put_be64(st, total | 4);
    for (RamBlock *b = ram_block_first(m); b; b = b->next) {
        stream_put_str8(st, b->idstr);
        stream_put_be64(st, b->size);
    }
    stream_put_be64(st, 0x10);
}

/* A few pages of each kind. */
static void ram_records(Machine *m, Stream *st)
{
    static const uint8_t page[PAGE_SIZE] = { 1, 2, 3 };

    uint8_t zip[200];
    uLongf zip_len = sizeof(zip);

    compress(zip, &zip_len, page, sizeof(page));
    for (RamBlock *b = ram_block_first(m); b; b = b->next) {
        if (b->size < 3 * PAGE_SIZE) continue;
        stream_put_be64(st, 2);
        stream_put_str8(st, b->idstr);
        stream_put_u8(st, 0);
        stream_put_be64(st, PAGE_SIZE | 0x28);
        stream_put(st, page, PAGE_SIZE);
        stream_put_be64(st, 2 * PAGE_SIZE | 0x22);
        stream_put_u8(st, 7);
        stream_put_be64(st, PAGE_SIZE | 0x60);
        stream_put(st, "\1\0\5\5\3abc", 8);
        stream_put_be64(st, 3 * PAGE_SIZE | 0x120);
        stream_put_be32(st, (uint32_t)zip_len);
        stream_put(st, zip, zip_len);
    }
    stream_put_be64(st, 0x10);
}

static Part *part_of(const Section *s, uint8_t type, const Stream *st)
{
    Part *p = g_new0(Part, 1);

    p->type = type;
    p->id = p->footer = s->id;
    p->instance = s->instance;
    p->version = (uint32_t)s->version;
    strcpy(p->idstr, s->idstr);
    p->body = g_byte_array_new();
    g_byte_array_append(p->body, st->data, (guint)st->size);
    return p;
}

static void fuzz_parts(Fuzz *f)
{
    f->parts = g_ptr_array_new_with_free_func(part_free);
    for (Section *s = f->m->sections; s; s = s->next) {
        Stream st, more;

        stream_init(&st);
        stream_init(&more);
        if (s->iterable && strcmp(s->idstr, "ram")) continue;
        if (s->iterable) {
            ram_list(f->m, &st);
            g_ptr_array_add(f->parts, part_of(s, SECTION_START, &st));
            ram_records(f->m, &more);
            g_ptr_array_add(f->parts, part_of(s, SECTION_END, &more));
        } else {
            save_section_body(&st, s);
            g_ptr_array_add(f->parts, part_of(s, SECTION_FULL, &st));
        }
        stream_free(&st);
        stream_free(&more);
    }
}

static void put_part(Stream *st, const Part *p)
{
    stream_put_u8(st, p->type);
    if (p->type == SECTION_COMMAND) {
        stream_put_be16(st, (uint16_t)p->id);
        stream_put_be16(st, (uint16_t)p->instance);
        stream_put(st, p->body->data, p->body->len);
        return;
    }
    stream_put_be32(st, p->id);
    if (p->type != SECTION_PART && p->type != SECTION_END) {
        stream_put_str8(st, p->idstr);
        stream_put_be32(st, p->instance);
        stream_put_be32(st, p->version);
    }
    stream_put(st, p->body->data, p->body->len);
    stream_put_u8(st, SECTION_FOOTER);
    stream_put_be32(st, p->footer);
}

static void put_stream(Stream *st, const Fuzz *f, const GPtrArray *parts, const char *vmdesc)
{
    const char *name = f->m->cls->name;

    stream_init(st);
    stream_put_be32(st, STREAM_MAGIC);
    stream_put_be32(st, STREAM_VERSION);
    stream_put_u8(st, SECTION_CONFIGURATION);
    stream_put_be32(st, (uint32_t)strlen(name));
    stream_put(st, name, strlen(name));
    for (guint i = 0; i < parts->len; i++) put_part(st, parts->pdata[i]);
    stream_put_u8(st, SECTION_EOF);
    stream_put_u8(st, SECTION_VMDESC);
    stream_put_be32(st, (uint32_t)strlen(vmdesc));
    stream_put(st, vmdesc, strlen(vmdesc));
}

/* -- loading -- */

static void states_of(Machine *m, GByteArray *out)
{
    g_byte_array_set_size(out, 0);
    for (Section *s = m->sections; s; s = s->next)
        if (s->vmsd) g_byte_array_append(out, s->state, (guint)s->state_size);
}

/* digest: from before, or NULL. */
static void fuzz_unchanged(Fuzz *f, unsigned number, const char *digest)
{
    size_t at = 0;

    for (Section *s = f->m->sections; s; s = s->next) {
        if (!s->vmsd) continue;
        if (memcmp(f->states->data + at, s->state, s->state_size))
            g_error("case %u: a refused stream has changed %s", number, s->idstr);
        at += s->state_size;
    }
    if (digest) {
        char *d = machine_digest(f->m, NULL);

        if (strcmp(d, digest)) g_error("case %u: another digest", number);
        g_free(d);
    }
}

static LoadStatus load_all(Fuzz *f, LoadRun *run, const Stream *st, size_t chunk)
{
    LoadStatus status = LOAD_MORE;

    (void)f;
    for (size_t off = 0; off < st->size && status == LOAD_MORE; off += chunk) {
        load_feed(run, st->data + off, MIN_OF(chunk, st->size - off));
        status = load_step(run);
    }
    if (status == LOAD_MORE) {
        load_eof(run);
        status = load_step(run);
    }
    return status;
}

/* Whatever has been accepted can be sent: digested each 16th time, which takes as long as all the
 * rest of a case, and otherwise without RAM. */
static void fuzz_send(Fuzz *f, unsigned number)
{
    char *text = number % 16 ? vmdesc_exact_text(f->m) : machine_digest(f->m, NULL);

    for (Section *s = f->m->sections; s; s = s->next) {
        Stream st;

        stream_init(&st);
        if (!s->iterable) save_section_body(&st, s);
        stream_free(&st);
    }
    g_free(text);
}

/* The machine is as it was at the start. */
static void fuzz_restore(Fuzz *f, unsigned number)
{
    LoadRun *run = load_begin(f->m);
    Error err = ERROR_INIT;
    Stream st;

    machine_stop(f->m, RUN_PAUSED);
    put_stream(&st, f, f->parts, f->vmdesc);
    if (load_all(f, run, &st, SIZE_MAX / 2) != LOAD_DONE || !load_commit(run, &err))
        g_error("case %u: the good stream: %s%s", number, run->err.msg, err.msg);
    load_end(run);
    stream_free(&st);
    f->m->reset_requested = f->m->shutdown_requested = f->m->quit = false;
    machine_set_run_state(f->m, RUN_PAUSED);
    states_of(f->m, f->states);
}

static void fuzz_accepted(Fuzz *f, LoadRun *run, unsigned number)
{
    Error err = ERROR_INIT;

    if (!load_commit(run, &err)) g_error("case %u: %s", number, err.msg);
    machine_set_run_state(f->m, RUN_PAUSED);
    fuzz_send(f, number);
    machine_start(f->m, NULL);
    for (int i = 0; i < 4; i++) machine_step(f->m, RUN_NS);
    fuzz_restore(f, number);
}

static void fuzz_load(Fuzz *f, const Stream *st, unsigned number, GRand *r)
{
    char *digest;
    size_t before, after, chunk = fuzz_below(r, 4) ? SIZE_MAX / 2 : 1 + fuzz_below(r, CHUNK_MAX);
    LoadRun *run;
    LoadStatus status;

    /* Not before the fork: a load has worker threads, and a child none of its parent's. */
    if (!f->states->len) fuzz_restore(f, number);
    digest = number % 16 ? NULL : machine_digest(f->m, NULL);
    if (digest) states_of(f->m, f->states); /* it has settled them */
    before = fuzz_allocated();
    run = load_begin(f->m);
    status = load_all(f, run, st, chunk);
    after = fuzz_allocated();
    if (after > before + KEPT + 8 * st->size)
        g_error("case %u: %zu bytes allocated for %zu", number, after - before, st->size);
    if (status == LOAD_DONE) {
        fuzz_accepted(f, run, number);
    } else {
        g_assert_true(error_is_set(&run->err));
        fuzz_unchanged(f, number, digest);
    }
    load_end(run);
    g_free(digest);
}

/* -- changes -- */

static Part *part_at(GRand *r, GPtrArray *parts) { return parts->pdata[fuzz_below(r, parts->len)]; }

/* A subsection that some table knows, or that none does, in the midst of a body. */
static void mutate_subsection(GRand *r, Part *p)
{
    static const char *const names[] = { "serial/thr_ipending", "timer/icount", "cpu/fpop_ip_dp",
        "ide_drive/pio_state", "ide_bus/error", "kbd/outport", "x", "" };
    const char *name = names[fuzz_below(r, ARRAY_SIZE(names))];
    Stream st;

    stream_init(&st);
    stream_put_u8(&st, SECTION_SUBSECTION);
    stream_put_str8(&st, fuzz_below(r, 2) ? name : p->idstr);
    stream_put_be32(&st, fuzz_below(r, 3));
    stream_put_be64(&st, fuzz_integer(r));
    if (p->body->len && fuzz_below(r, 2))
        g_byte_array_set_size(p->body, 1 + fuzz_below(r, p->body->len));
    g_byte_array_append(p->body, st.data, (guint)st.size);
    stream_free(&st);
}

static void mutate_ram(GRand *r, Part *p, Machine *m)
{
    Stream st;

    stream_init(&st);
    for (unsigned n = fuzz_below(r, 5); n; n--) {
        stream_put_be64(&st, (fuzz_integer(r) & (fuzz_below(r, 2) ? 0xfffff000 : UINT64_MAX)) |
                                 1ull << fuzz_below(r, 12) | (fuzz_below(r, 2) ? 0x20 : 0));
        if (fuzz_below(r, 2)) stream_put_str8(&st, ram_block_first(m)->idstr);
        if (fuzz_below(r, 2)) stream_put_be64(&st, fuzz_integer(r));
    }
    if (fuzz_below(r, 2)) stream_put_be64(&st, 0x10);
    if (p->body->len > 8) g_byte_array_set_size(p->body, p->body->len - 8);
    g_byte_array_append(p->body, st.data, (guint)st.size);
    stream_free(&st);
}

static void mutate_header(GRand *r, Part *p)
{
    switch (fuzz_below(r, 6)) {
    case 0: p->id = (uint32_t)fuzz_integer(r); break;
    case 1: p->instance = (uint32_t)fuzz_integer(r); break;
    case 2: p->version = (uint32_t)fuzz_integer(r) & (fuzz_below(r, 2) ? 7 : UINT32_MAX); break;
    case 3: p->footer = (uint32_t)fuzz_integer(r); break;
    case 4: p->idstr[fuzz_below(r, strlen(p->idstr))] = (char)g_rand_int(r); break;
    default: p->type = (uint8_t)fuzz_below(r, 10);
    }
}

static void mutate_order(GRand *r, GPtrArray *parts)
{
    unsigned a = fuzz_below(r, parts->len), b = fuzz_below(r, parts->len);
    void *t = parts->pdata[a];

    switch (fuzz_below(r, 3)) {
    case 0:
        parts->pdata[a] = parts->pdata[b];
        parts->pdata[b] = t;
        break;
    case 1: g_ptr_array_insert(parts, (gint)b, part_copy(t)); break;
    default:
        if (parts->len > 1) g_ptr_array_remove_index(parts, a);
    }
}

static void mutate_command(GRand *r, GPtrArray *parts)
{
    Part *p = part_copy(part_at(r, parts));

    p->type = SECTION_COMMAND;
    p->id = fuzz_below(r, 16);
    p->instance = fuzz_below(r, 2) ? fuzz_below(r, 32) : g_rand_int(r);
    fuzz_bytes(r, p->body);
    g_ptr_array_insert(parts, (gint)fuzz_below(r, parts->len), p);
}

static void mutate_once(Fuzz *f, GRand *r, GPtrArray *parts)
{
    Part *p = part_at(r, parts);

    switch (fuzz_below(r, 12)) {
    case 0: mutate_header(r, p); break;
    case 1: mutate_order(r, parts); break;
    case 2: mutate_command(r, parts); break;
    case 3: mutate_subsection(r, p); break;
    case 4: mutate_ram(r, parts->pdata[fuzz_below(r, 4)], f->m); break;
    default: fuzz_bytes(r, p->body);
    }
}

/* Numbers and brackets of the description. */
static char *mutate_text(GRand *r, const char *text)
{
    static const char *const bits[] = { "-1", "18446744073709551616", "1e999", "[", "]", "{", "}",
        "\"", "null", ",", ":", "9223372036854775807", "\\u0000", "[[[[[[[[[[[[[[[[" };
    GString *s = g_string_new(text);

    for (unsigned n = 1 + fuzz_below(r, 3); n; n--) {
        const char *stasis = strstr(s->str, "\"stasis\"");
        size_t from = stasis && fuzz_below(r, 3) ? (size_t)(stasis - s->str) : 0;
        size_t at = from + fuzz_below(r, s->len - from);

        if (fuzz_below(r, 2)) g_string_erase(s, (gssize)at, (gssize)MIN_OF(s->len - at, 1ul));
        g_string_insert(s, (gssize)at, bits[fuzz_below(r, ARRAY_SIZE(bits))]);
    }
    return g_string_free(s, FALSE);
}

static void case_structured(void *opaque, unsigned number, GRand *r)
{
    Fuzz *f = opaque;
    GPtrArray *parts = g_ptr_array_copy(f->parts, part_dup, NULL);
    bool said = !fuzz_below(r, 8); /* the description is changed, and perhaps nothing else */
    char *text = said ? mutate_text(r, f->vmdesc) : g_strdup(f->vmdesc);
    Stream st;

    g_ptr_array_set_free_func(parts, part_free);
    for (unsigned n = !said + fuzz_below(r, 3); n; n--) mutate_once(f, r, parts);
    put_stream(&st, f, parts, text);
    if (!fuzz_below(r, 16)) st.size = fuzz_below(r, st.size);
    if (!fuzz_below(r, 16)) fuzz_poke(r, st.data, MIN_OF(st.size, 60ul));
    fuzz_load(f, &st, number, r);
    stream_free(&st);
    g_ptr_array_free(parts, TRUE);
    g_free(text);
}

/* A stream of the corpus, unchanged the first time round. */
static void case_corpus(void *opaque, unsigned number, GRand *r)
{
    Fuzz *f = opaque;
    GByteArray *from = f->corpus->pdata[number % f->corpus->len], *a = g_byte_array_new();
    Stream st;

    g_byte_array_append(a, from->data, from->len);
    if (number > f->corpus->len) fuzz_bytes(r, a);
    stream_init(&st);
    stream_put(&st, a->data, a->len);
    fuzz_load(f, &st, number, r);
    stream_free(&st);
    g_byte_array_free(a, TRUE);
}

static char *corpus_dir(void)
{
    const char *src = g_getenv("SRCDIR");

    return g_build_filename(src ? src : ".", "tests/fuzz/corpus/stream", NULL);
}

static void fuzz_corpus(Fuzz *f)
{
    char *dir = corpus_dir();
    GDir *d = g_dir_open(dir, 0, NULL);
    const char *name;

    f->corpus = g_ptr_array_new();
    while (d && (name = g_dir_read_name(d))) {
        char *path = g_build_filename(dir, name, NULL), *data;
        gsize len;

        if (g_file_get_contents(path, &data, &len, NULL))
            g_ptr_array_add(f->corpus, g_byte_array_new_take((guint8 *)data, len));
        g_free(path);
    }
    if (d) g_dir_close(d);
    g_free(dir);
}

static void fuzz_new(Fuzz *f)
{
    static const char *const argv[] = { "stasis", "-M", "pc", "-m", "1", "-nodefaults", "-display",
        "none", "-vga", "none", "-serial", "null", "-parallel", "null", "-icount",
        "shift=2,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-netdev", "user,id=n",
        "-device", "ne2k_pci,netdev=n,romfile=", "-S" };
    CommandLine cl = { 0 };
    Error err = ERROR_INIT;

    *f = (Fuzz){ .states = g_byte_array_new() };
    if (options_parse_args(&cl, (int)ARRAY_SIZE(argv), (char **)argv, &err))
        f->m = machine_build(&cl, NULL, &err);
    if (!f->m || !machine_begin(f->m, &err)) g_error("%s", err.msg);
    command_line_free(&cl);
    f->vmdesc = vmdesc_text(f->m);
    fuzz_parts(f);
    fuzz_corpus(f);
}

static void fuzz_free(Fuzz *f)
{
    machine_free(f->m);
    g_ptr_array_free(f->parts, TRUE);
    for (guint i = 0; i < f->corpus->len; i++) g_byte_array_free(f->corpus->pdata[i], TRUE);
    g_ptr_array_free(f->corpus, TRUE);
    g_byte_array_free(f->states, TRUE);
    g_free(f->vmdesc);
}

static void test_structured(void)
{
    Fuzz f;

    fuzz_new(&f);
    fuzz_run(case_structured, &f, 4000, 250000);
    fuzz_free(&f);
}

static void test_corpus(void)
{
    Fuzz f;

    fuzz_new(&f);
    g_assert_cmpuint(f.corpus->len, >, 0);
    fuzz_run(case_corpus, &f, 1000, 50000);
    fuzz_free(&f);
}

/* --seed NAME CASE: adds what that case loads to the corpus. */
static void seed_corpus(const char *name, unsigned number)
{
    char *dir = corpus_dir(), *path = g_build_filename(dir, name, NULL);
    GRand *r = g_rand_new_with_seed(number);
    GPtrArray *parts;
    Stream st;
    Fuzz f;

    fuzz_new(&f);
    parts = g_ptr_array_copy(f.parts, part_dup, NULL);
    for (unsigned n = number ? fuzz_below(r, 4) : 0; n; n--) mutate_once(&f, r, parts);
    put_stream(&st, &f, parts, f.vmdesc);
    g_file_set_contents(path, (char *)st.data, (gssize)st.size, NULL);
    g_print("%s: %zu bytes\n", path, st.size);
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "--seed")) {
        seed_corpus(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
        return 0;
    }
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fuzz/stream/structured", test_structured);
    g_test_add_func("/fuzz/stream/corpus", test_corpus);
    return g_test_run();
}
