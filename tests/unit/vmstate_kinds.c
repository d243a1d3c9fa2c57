/* SPDX-License-Identifier: MIT */
/*
 * Kinds of fields that no device has and tables offer: pointers to structs, arrays of pointers,
 * variable arrays, buffers and bitmaps of a size that the state names, nested subsections, structs
 * in an older version.  What is behind pointers survives a load that fails at any byte, as a whole
 * machine's load does it too.
 */
#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "core/machine.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/save.h"

typedef struct Leaf {
    uint16_t id;
    uint8_t len;
    uint8_t *bytes; /* len */
    uint16_t late;  /* since version 2 */
} Leaf;

typedef struct Tree {
    Leaf *one;
    Leaf *some[3];
    uint16_t *shorts[2];
    uint32_t n;
    Leaf *many; /* n */
    uint8_t used;
    uint16_t table[6]; /* the first `used` */
    Leaf in_place[4];  /* likewise */
    uint32_t bits;
    uint64_t *bitmap; /* bits */
    int32_t blob_size;
    uint8_t *blob; /* blob_size */
    uint16_t deep, deeper;
    unsigned saves, post_saves, loads;
} Tree;

static const VmField leaf_fields[] = {
    VM_INT(Leaf, id),
    VM_INT(Leaf, len),
    VM_VARRAY_ALLOC(Leaf, bytes, "bytes", &vm_u8, len),
    VM_INT_V(Leaf, late, "late", 2),
    VM_END,
};
static const VmState leaf_vmstate = {
    .name = "leaf", .version = 2, .min_version = 1, .fields = leaf_fields
};

static bool deeper_needed(const void *s) { return ((const Tree *)s)->deeper > 0; }
static const VmField deeper_fields[] = { VM_INT(Tree, deeper), VM_END };
static const VmState deeper_vmstate = {
    .name = "tree/deep/deeper", .version = 1, .needed = deeper_needed, .fields = deeper_fields
};
static bool deep_needed(const void *s) { return ((const Tree *)s)->deep > 0; }
static const VmField deep_fields[] = { VM_INT(Tree, deep), VM_END };
static const VmState deep_vmstate = { .name = "tree/deep",
    .version = 3,
    .min_version = 3,
    .needed = deep_needed,
    .fields = deep_fields,
    .subsections = (const VmState *const[]){ &deeper_vmstate, NULL } };

static bool tree_pre_save(void *opaque, Error *err)
{
    Tree *s = opaque;

    s->saves++;
    return s->deep != 666 || error_set(err, "the tree cannot be saved now");
}

static void tree_post_save(void *opaque) { ((Tree *)opaque)->post_saves++; }

static bool tree_pre_load(void *opaque, Error *err)
{
    Tree *s = opaque;

    s->loads++;
    return s->used != 99 || error_set(err, "the tree takes nothing");
}

static const VmField tree_fields[] = {
    VM_STRUCT_POINTER(Tree, one, "one", leaf_vmstate, 1),
    VM_POINTERS(Tree, some, "some", &vm_struct, .vmsd = &leaf_vmstate, .struct_version = 2),
    VM_POINTERS(Tree, shorts, "shorts", &vm_u16),
    VM_INT(Tree, n),
    VM_VARRAY_ALLOC(Tree, many, "many", &vm_struct, n, .vmsd = &leaf_vmstate),
    VM_INT(Tree, used),
    VM_VARRAY(Tree, table, "table", &vm_u16, used),
    VM_VARRAY(Tree, in_place, "in_place", &vm_struct, used, .vmsd = &leaf_vmstate),
    VM_INT(Tree, bits),
    VM_BITMAP_ALLOC(Tree, bitmap, "bitmap", bits),
    VM_INT(Tree, blob_size),
    VM_VBUFFER_ALLOC(Tree, blob, "blob", blob_size),
    VM_END,
};
static const VmState tree_vmstate = {
    .name = "tree",
    .version = 1,
    .min_version = 1,
    .fields = tree_fields,
    .subsections = (const VmState *const[]){ &deep_vmstate, NULL },
    .pre_save = tree_pre_save,
    .post_save = tree_post_save,
    .pre_load = tree_pre_load,
};

static void leaf_fill(Leaf *l, unsigned seed)
{
    *l = (Leaf){ .id = (uint16_t)(seed * 257), .len = (uint8_t)(seed % 5), .late = 9 };
    l->bytes = vmstate_new(l->len);
    for (unsigned i = 0; i < l->len; i++) l->bytes[i] = (uint8_t)(seed + i);
}

static Leaf *leaf_new(unsigned seed)
{
    Leaf *l = vmstate_new(sizeof(*l));

    leaf_fill(l, seed);
    return l;
}

static void tree_fill(Tree *s, unsigned seed)
{
    *s = (Tree){ .n = 2 + seed % 3,
        .used = 3,
        .table = { 1, 2, 0x304 },
        .bits = 70,
        .blob_size = 11,
        .deep = (uint16_t)(seed + 1),
        .deeper = 8 };
    s->one = leaf_new(seed);
    s->some[0] = leaf_new(seed + 1);
    s->some[2] = leaf_new(seed + 2);
    s->shorts[1] = vmstate_new(2);
    *s->shorts[1] = 0xabcd;
    s->many = vmstate_new(s->n * sizeof(Leaf));
    for (unsigned i = 0; i < s->n; i++) leaf_fill(&s->many[i], seed + 3 + i);
    for (unsigned i = 0; i < 3; i++) leaf_fill(&s->in_place[i], seed + 7 + i);
    s->bitmap = vmstate_new(16);
    s->bitmap[0] = 0x1122334455667788;
    s->bitmap[1] = 0x21;
    s->blob = vmstate_new(11);
    memcpy(s->blob, "hello world", 11);
}

/* The shape that both ends have in common before a load. */
static void tree_shape(Tree *s)
{
    *s = (Tree){ 0 };
    s->some[0] = leaf_new(0);
    s->some[2] = leaf_new(0);
    s->shorts[1] = vmstate_new(2);
}

static void tree_bytes(Tree *s, Stream *st)
{
    stream_init(st);
    g_assert_true(vmstate_save(st, &tree_vmstate, s));
    st->eof = true;
}

static void assert_alike(Tree *a, Tree *b)
{
    Stream x, y;

    tree_bytes(a, &x);
    tree_bytes(b, &y);
    g_assert_cmpmem(x.data, x.size, y.data, y.size);
    stream_free(&x);
    stream_free(&y);
}

static void test_round_trip(void)
{
    Tree a, b;
    Stream st;

    tree_fill(&a, 3);
    tree_shape(&b);
    tree_bytes(&a, &st);
    g_assert_true(vmstate_load(&st, &tree_vmstate, &b, 1));
    g_assert_cmpuint(stream_left(&st), ==, 0);
    g_assert_cmpuint(a.saves, ==, 1);
    g_assert_cmpuint(a.post_saves, ==, 1);
    g_assert_cmpuint(b.loads, ==, 1);
    g_assert_cmpuint(b.one->id, ==, 3 * 257);
    g_assert_cmpuint(b.one->late, ==, 0); /* `one` travels in version 1 */
    g_assert_cmpuint(b.some[0]->late, ==, 9);
    g_assert_null(b.some[1]);
    g_assert_cmphex(*b.shorts[1], ==, 0xabcd);
    g_assert_cmpuint(b.n, ==, 2);
    g_assert_cmpuint(b.many[1].bytes[1], ==, 8);
    g_assert_cmphex(b.table[2], ==, 0x304);
    g_assert_cmphex(b.bitmap[0], ==, 0x1122334455667788);
    g_assert_cmpmem(b.blob, 11, "hello world", 11);
    g_assert_cmpuint(b.deeper, ==, 8);
    assert_alike(&a, &b);
    stream_free(&st);
    vmstate_free_pointers(&tree_vmstate, &a);
    vmstate_free_pointers(&tree_vmstate, &b);
}

/* The wire, byte for byte, of a small tree. */
static void test_layout(void)
{
    static const uint8_t wire[] = {
        3, 3, 3, 3, 4, 5,                              /* one: id, len, bytes, and no `late` */
        4, 4, 4, 4, 5, 6, 7, 0, 9, '0', 5, 5, 0, 0, 9, /* some, the second NULL */
        '0', 0xab, 0xcd,                               /* shorts */
        0, 0, 0, 0,                                    /* n: many is empty */
        1, 0, 1,                                       /* used, table */
        10, 10, 0, 0, 9,                               /* in_place */
        0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, /* bits, bitmap */
        0, 0, 0, 2, 'h', 'e',                                        /* blob_size, blob */
    };
    Tree a;
    Stream st;

    tree_fill(&a, 3);
    for (unsigned i = 0; i < a.n; i++) vmstate_free_pointers(&leaf_vmstate, &a.many[i]);
    a.n = 0;
    a.used = 1;
    a.bits = 65;
    a.bitmap[0] = 1;
    a.bitmap[1] = 2;
    a.blob_size = 2;
    a.deep = 0;
    tree_bytes(&a, &st);
    g_assert_cmpmem(st.data, st.size, wire, sizeof(wire));
    stream_free(&st);
    vmstate_free_pointers(&tree_vmstate, &a);
}

/* A load that fails after any byte leaves the original, of which it got a flat copy, whole. */
static void test_truncated(void)
{
    Tree a, b;
    Stream st, before;

    tree_fill(&a, 4);
    tree_fill(&b, 5);
    tree_bytes(&a, &st);
    tree_bytes(&b, &before);
    for (size_t n = 0; n < st.size; n++) {
        Tree copy = b;
        Stream cut, now;

        vmstate_unshare(&tree_vmstate, &copy, &b);
        stream_init(&cut);
        stream_put(&cut, st.data, n);
        cut.eof = true;
        vmstate_load(&cut, &tree_vmstate, &copy, 1);
        vmstate_free_pointers(&tree_vmstate, &copy);
        tree_bytes(&b, &now);
        g_assert_cmpmem(now.data, now.size, before.data, before.size);
        stream_free(&now);
        stream_free(&cut);
    }
    stream_free(&st);
    stream_free(&before);
    vmstate_free_pointers(&tree_vmstate, &a);
    vmstate_free_pointers(&tree_vmstate, &b);
}

static void refused(Stream *st, size_t at, uint32_t value, unsigned width, const char *text)
{
    Tree b;
    Stream bad;

    tree_shape(&b);
    stream_init(&bad);
    stream_put(&bad, st->data, st->size);
    for (unsigned i = 0; i < width; i++) bad.data[at + i] = (uint8_t)(value >> 8 * (width - 1 - i));
    bad.eof = true;
    g_assert_false(vmstate_load(&bad, &tree_vmstate, &b, 1));
    if (text)
        g_assert_cmpstr(bad.err.msg, ==, text);
    else
        g_assert_true(bad.starved);
    stream_free(&bad);
    vmstate_free_pointers(&tree_vmstate, &b);
}

static void test_refusals(void)
{
    Tree a, b;
    Stream st;

    tree_fill(&a, 3);
    tree_bytes(&a, &st);
    /* At 6 + 15: the mark of some[1].  At 24: n. */
    refused(&st, 15, 'x', 1, "Failed to load tree:some: something, where there is nothing here");
    refused(&st, 24, 0x7fffffff, 4,
        "Failed to load tree:many: 2147483647 elements of 24 bytes are too many");
    refused(&st, 24, 100000, 4, NULL); /* more than the stream can hold: nothing is allocated */
    stream_free(&st);
    a.used = 0;
    for (int i = 0; i < 4; i++) vmstate_free_pointers(&leaf_vmstate, &a.in_place[i]);
    tree_bytes(&a, &st);
    {
        size_t used = 28;

        for (unsigned i = 0; i < a.n; i++) used += 5 + a.many[i].len;
        refused(&st, used, 7, 1, "Failed to load tree:table: 7 elements, at most 6 fit");
    }
    tree_shape(&b);
    b.used = 99;
    g_assert_false(vmstate_load(&st, &tree_vmstate, &b, 1));
    g_assert_cmpstr(st.err.msg, ==, "the tree takes nothing");
    stream_free(&st);
    a.deep = 666;
    g_assert_false(vmstate_save(&st, &tree_vmstate, &a));
    g_assert_cmpstr(st.err.msg, ==, "tree: the tree cannot be saved now");
    g_assert_cmpuint(a.post_saves, ==, 3);
    stream_free(&st);
    vmstate_free_pointers(&tree_vmstate, &a);
    vmstate_free_pointers(&tree_vmstate, &b);
}

/* Element by element where they differ in shape, though not in size. */
static void test_description(void)
{
    json_t *o = json_object(), *f;
    size_t i;
    GString *text = g_string_new(NULL);
    Tree a;

    tree_fill(&a, 4); /* leaf lengths: one 4, some 0 and 1, many 2 3 4, in_place 1 2 3 */
    vmstate_describe((Json *)o, &tree_vmstate, &a);
    json_array_foreach (json_object_get(o, "fields"), i, f) {
        json_t *index = json_object_get(f, "index"), *len = json_object_get(f, "array_len");

        g_string_append_printf(text, "%s", json_string_value(json_object_get(f, "name")));
        if (index) g_string_append_printf(text, "[%d]", (int)json_integer_value(index));
        if (len) g_string_append_printf(text, " x%d", (int)json_integer_value(len));
        g_string_append_printf(text, " %s %d;", json_string_value(json_object_get(f, "type")),
            (int)json_integer_value(json_object_get(f, "size")));
    }
    g_assert_cmpstr(text->str, ==,
        "one struct 7;some[0] struct 5;some[1] nullptr 1;some[2] struct 6;shorts[0] nullptr 1;"
        "shorts[1] uint16 2;n uint32 4;many[0] struct 7;many[1] struct 8;many[2] struct 9;"
        "used uint8 1;table x3 uint16 2;in_place[0] struct 6;in_place[1] struct 7;"
        "in_place[2] struct 8;bits uint32 4;bitmap bitmap 16;blob_size int32 4;blob buffer 11;");
    f = json_object_get(json_array_get(json_object_get(o, "fields"), 0), "struct");
    g_assert_cmpint(json_integer_value(json_object_get(f, "version")), ==, 1);
    g_assert_cmpuint(json_array_size(json_object_get(f, "fields")), ==, 3);
    json_decref(o);
    g_string_free(text, TRUE);
    vmstate_free_pointers(&tree_vmstate, &a);
}

/* -- in a whole machine -- */

static bool grove_init(Machine *m, Error *err)
{
    (void)m;
    (void)err;
    return true;
}

MACHINE(grove, .name = "grove", .desc = "for tests", .init = grove_init);

static Machine *make(Tree *tree)
{
    Error err = ERROR_INIT;
    Machine *m = machine_new("grove", NULL, &err);
    Section s = { .idstr = "tree",
        .version = 1,
        .vmsd = &tree_vmstate,
        .state = tree,
        .state_size = sizeof(*tree),
        .alias_id = -1 };

    g_assert_true(m && migration_init(m, &err) && machine_init(m, &err));
    g_assert_nonnull(section_register(m, NULL, &s, &err));
    return m;
}

static bool load_bytes(Machine *m, const Stream *st, size_t len, size_t chunk, Error *err)
{
    LoadRun *run = load_begin(m);
    LoadStatus status = LOAD_MORE;
    bool ok;

    for (size_t off = 0; off < len && status == LOAD_MORE; off += chunk) {
        load_feed(run, st->data + off, MIN_OF(chunk, len - off));
        status = load_step(run);
    }
    if (status == LOAD_MORE) {
        load_eof(run);
        status = load_step(run);
    }
    ok = status == LOAD_DONE ? load_commit(run, err) : error_set(err, "%s", run->err.msg);
    load_end(run);
    return ok;
}

static void test_machine(void)
{
    Tree a, b;
    Machine *from, *to;
    SaveRun *save;
    Stream before, now;

    tree_fill(&a, 6);
    tree_fill(&b, 8);
    from = make(&a);
    to = make(&b);
    save = save_begin(from, false, false);
    while (!save_complete(save, SIZE_MAX)) {}
    tree_bytes(&b, &before);
    for (size_t n = 0; n < save->st.size && save->st.data[n] != '{'; n++) {
        Error err = ERROR_INIT;

        if (load_bytes(to, &save->st, n, 1 + n % 7, &err)) break;
        tree_bytes(&b, &now);
        g_assert_cmpmem(now.data, now.size, before.data, before.size);
        stream_free(&now);
    }
    for (int i = 0; i < 2; i++) {
        Error err = ERROR_INIT;

        g_assert_true(load_bytes(to, &save->st, save->st.size, i ? SIZE_MAX / 2 : 3, &err));
        assert_alike(&a, &b);
    }
    stream_free(&before);
    save_end(save);
    /* A refusal by the table is the save's. */
    a.deep = 666;
    save = save_begin(from, false, false);
    while (!save_complete(save, SIZE_MAX)) {}
    g_assert_cmpstr(save->st.err.msg, ==, "tree: the tree cannot be saved now");
    save_end(save);
    machine_free(from);
    machine_free(to);
    vmstate_free_pointers(&tree_vmstate, &a);
    vmstate_free_pointers(&tree_vmstate, &b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmstate-kinds/round-trip", test_round_trip);
    g_test_add_func("/vmstate-kinds/layout", test_layout);
    g_test_add_func("/vmstate-kinds/truncated", test_truncated);
    g_test_add_func("/vmstate-kinds/refusals", test_refusals);
    g_test_add_func("/vmstate-kinds/description", test_description);
    g_test_add_func("/vmstate-kinds/machine", test_machine);
    return g_test_run();
}
