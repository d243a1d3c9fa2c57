/* SPDX-License-Identifier: MIT */
/* Tables: every kind of field, versions, subsections, validation, hostile input. */
#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "core/vmstate.h"
#include "util/bits.h"

typedef struct Inner {
    uint8_t a;
    int32_t b;
} Inner;

typedef struct Outer {
    bool flag;
    uint8_t u8;
    int8_t i8;
    uint16_t u16[3];
    int16_t i16;
    uint32_t u32;
    int32_t i32;
    uint64_t u64;
    int64_t when;
    uint8_t bytes[5];
    Inner one, many[2];
    uint64_t bitmap[2];
    int32_t fixed;
    uint16_t newer;
    uint8_t count;
    uint16_t *list;
    uint32_t extra;
    uint8_t odd;
    bool prepared, finished;
} Outer;

static const VmField inner_fields[] = { VM_INT(Inner, a), VM_INT(Inner, b), VM_END };
static const VmState inner_vmstate = {
    .name = "inner", .version = 1, .min_version = 1, .fields = inner_fields
};

static bool extra_needed(const void *s) { return ((const Outer *)s)->extra != 0; }
static const VmField extra_fields[] = { VM_INT(Outer, extra), VM_END };
static const VmState extra_vmstate = { .name = "outer/extra",
    .version = 2,
    .min_version = 1,
    .needed = extra_needed,
    .fields = extra_fields };

static bool is_odd(const void *s, int version)
{
    (void)version;
    return ((const Outer *)s)->u8 & 1;
}

static bool sane(const void *s, int version)
{
    (void)version;
    return ((const Outer *)s)->u32 != 0xdead;
}

static bool outer_pre_save(void *s, Error *err)
{
    ((Outer *)s)->prepared = true;
    return ((Outer *)s)->u64 != 13 || error_set(err, "unlucky");
}

static bool outer_post_load(void *opaque, int version, Error *err)
{
    Outer *s = opaque;

    s->finished = true;
    return s->i32 != 666 || error_set(err, "666 in version %d", version);
}

static const VmField outer_fields[] = {
    VM_INT(Outer, flag),
    VM_INT(Outer, u8),
    VM_INT(Outer, i8),
    VM_INTS(Outer, u16),
    VM_INT(Outer, i16),
    VM_INT(Outer, u32),
    VM_VALIDATE("u32 is sane", sane),
    VM_INT(Outer, i32),
    VM_INT(Outer, u64),
    VM_TIMER(Outer, when, "when"),
    VM_BUFFER(Outer, bytes),
    VM_UNUSED(7),
    VM_STRUCT(Outer, one, "one", inner_vmstate, 1),
    VM_STRUCTS(Outer, many, "many", inner_vmstate, 1),
    VM_ELEM(Outer, bitmap, "bitmap", &vm_bitmap),
    VM_ELEM(Outer, fixed, "fixed", &vm_i32_equal),
    VM_INT_V(Outer, newer, "newer", 3),
    VM_INT(Outer, count),
    { .name = "list",
        .type = &vm_u16,
        .offset = offsetof(Outer, list),
        .size = 2,
        .stride = 2,
        .flags = VMF_POINTER,
        .count_type = &vm_u8,
        .count_offset = offsetof(Outer, count) },
    VM_INT_TEST(Outer, odd, "odd", is_odd),
    VM_END,
};
static const VmState outer_vmstate = {
    .name = "outer",
    .version = 3,
    .min_version = 2,
    .fields = outer_fields,
    .subsections = (const VmState *const[]){ &extra_vmstate, NULL },
    .pre_save = outer_pre_save,
    .post_load = outer_post_load,
};

static void outer_fill(Outer *s)
{
    *s = (Outer){ .flag = true,
        .u8 = 0x81,
        .i8 = -2,
        .u16 = { 1, 2, 0xabcd },
        .i16 = -300,
        .u32 = 0x12345678,
        .i32 = -5,
        .u64 = 0x1122334455667788,
        .when = -1,
        .bytes = "abcd",
        .one = { 7, -7 },
        .many = { { 8, -8 }, { 9, -9 } },
        .bitmap = { 1, 2 },
        .fixed = 42,
        .newer = 77,
        .count = 3,
        .extra = 5,
        .odd = 1 };
    s->list = vmstate_new(3 * sizeof(uint16_t));
    s->list[2] = 0x7fff;
}

static void outer_save(Stream *st, Outer *s)
{
    stream_init(st);
    vmstate_save(st, &outer_vmstate, s);
    st->eof = true;
}

static void check_equal(const Outer *a, const Outer *b)
{
    g_assert_cmpint(a->flag, ==, b->flag);
    g_assert_cmpmem(a->u16, sizeof(a->u16), b->u16, sizeof(b->u16));
    g_assert_cmpint(a->i16, ==, b->i16);
    g_assert_cmpint(a->i32, ==, b->i32);
    g_assert_cmphex(a->u64, ==, b->u64);
    g_assert_cmpint(a->when, ==, b->when);
    g_assert_cmpmem(a->bytes, 5, b->bytes, 5);
    g_assert_cmpint(a->many[1].b, ==, b->many[1].b);
    g_assert_cmpint(a->newer, ==, b->newer);
    g_assert_cmpmem(a->list, 6, b->list, 6);
    g_assert_cmpint(a->extra, ==, b->extra);
    g_assert_cmpint(a->odd, ==, b->odd);
}

static void test_round_trip(void)
{
    Outer a, b = { .fixed = 42 };
    Stream st;

    outer_fill(&a);
    outer_save(&st, &a);
    g_assert_true(a.prepared);
    g_assert_true(vmstate_load(&st, &outer_vmstate, &b, 3));
    g_assert_true(b.finished);
    g_assert_cmpuint(stream_left(&st), ==, 0);
    check_equal(&a, &b);
    stream_free(&st);
    vmstate_delete(a.list);
    vmstate_free_pointers(&outer_vmstate, &b);
}

/* The wire is big endian and has no padding. */
static void test_layout(void)
{
    static const uint8_t head[] = { 1, 0x81, 0xfe, 0, 1, 0, 2, 0xab, 0xcd, 0xfe, 0xd4, 0x12, 0x34,
        0x56, 0x78, 0xff, 0xff, 0xff, 0xfb, 0x11, 0x22 };
    Outer a;
    Stream st;

    outer_fill(&a);
    outer_save(&st, &a);
    g_assert_cmpmem(st.data, sizeof(head), head, sizeof(head));
    /* The subsection at the end: mark, name, version, its one field. */
    g_assert_cmpmem(st.data + st.size - 21, 21, "\5\13outer/extra\0\0\0\2\0\0\0\5", 21);
    stream_free(&st);
    vmstate_delete(a.list);
}

static void test_truncated(void)
{
    Outer a;
    Stream st;

    outer_fill(&a);
    outer_save(&st, &a);
    for (size_t n = 0; n < st.size; n++) {
        Outer b = { .fixed = 42 };
        Stream cut;

        if (n == st.size - 21) continue; /* a whole stream without the optional subsection */
        stream_init(&cut);
        stream_put(&cut, st.data, n);
        cut.eof = true;
        g_assert_false(vmstate_load(&cut, &outer_vmstate, &b, 3));
        g_assert_true(cut.starved);
        vmstate_free_pointers(&outer_vmstate, &b);
        stream_free(&cut);
    }
    stream_free(&st);
    vmstate_delete(a.list);
}

static void expect_failure(Outer *a, const VmState *vmsd, int version, const char *text)
{
    Outer b = { .fixed = 42 };
    Stream st;

    outer_save(&st, a);
    g_assert_false(vmstate_load(&st, vmsd, &b, version));
    g_assert_nonnull(strstr(st.err.msg, text));
    vmstate_free_pointers(vmsd, &b);
    stream_free(&st);
}

static void test_refusals(void)
{
    Outer a;

    outer_fill(&a);
    expect_failure(&a, &outer_vmstate, 4, "incoming version_id 4 is too new");
    expect_failure(&a, &outer_vmstate, 1, "is too old");
    a.u32 = 0xdead;
    {
        /* A validation is not asked when saving fails it: write the bytes by hand. */
        Outer b = { .fixed = 42 };
        Stream st;

        a.u32 = 1;
        outer_save(&st, &a);
        store_be32(st.data + 11, 0xdead);
        g_assert_false(vmstate_load(&st, &outer_vmstate, &b, 3));
        g_assert_nonnull(strstr(st.err.msg, "Input validation failed: outer/u32 is sane"));
        stream_free(&st);
    }
    a.i32 = 666;
    expect_failure(&a, &outer_vmstate, 3, "666 in version 3");
    a.i32 = 0;
    a.fixed = 43;
    expect_failure(&a, &outer_vmstate, 3, "2a != 2b");
    vmstate_delete(a.list);
}

/* What pre_save says against it stops the save, with the table's name. */
static void test_save_refused(void)
{
    Outer a;
    Stream st;

    outer_fill(&a);
    a.u64 = 13;
    stream_init(&st);
    g_assert_false(vmstate_save(&st, &outer_vmstate, &a));
    g_assert_cmpstr(st.err.msg, ==, "outer: unlucky");
    stream_free(&st);
    a.u64 = 14;
    a.u32 = 0xdead;
    g_assert_false(vmstate_save(&st, &outer_vmstate, &a));
    g_assert_cmpstr(st.err.msg, ==, "Output state validation failed: outer/u32 is sane");
    stream_free(&st);
    vmstate_delete(a.list);
}

/* A version 2 stream has no "newer"; the member keeps its initial value. */
static void test_older_version(void)
{
    Outer a, b = { .fixed = 42, .newer = 9 };
    Stream st;

    outer_fill(&a);
    outer_save(&st, &a);
    /* 1+1+1+6+2+4+4+8+8+5+7+5+10+16+4 bytes stand in front of it. */
    memmove(st.data + 82, st.data + 84, st.size - 84);
    st.size -= 2;
    g_assert_true(vmstate_load(&st, &outer_vmstate, &b, 2));
    g_assert_cmpint(b.newer, ==, 9);
    g_assert_cmpint(b.list[2], ==, 0x7fff);
    stream_free(&st);
    vmstate_delete(a.list);
    vmstate_free_pointers(&outer_vmstate, &b);
}

/* The description's sizes add up to the bytes that were written. */
static size_t described_size(json_t *fields)
{
    size_t n = 0, i;
    json_t *f;

    json_array_foreach (fields, i, f) {
        json_int_t len = json_integer_value(json_object_get(f, "array_len"));

        n += (size_t)json_integer_value(json_object_get(f, "size")) * (size_t)(len ? len : 1);
    }
    return n;
}

static void test_description(void)
{
    json_t *o = json_object(), *sub;
    Outer a;
    Stream st;

    outer_fill(&a);
    outer_save(&st, &a);
    vmstate_describe((Json *)o, &outer_vmstate, &a);
    g_assert_cmpstr(json_string_value(json_object_get(o, "vmsd_name")), ==, "outer");
    sub = json_array_get(json_object_get(o, "subsections"), 0);
    g_assert_cmpstr(json_string_value(json_object_get(sub, "vmsd_name")), ==, "outer/extra");
    g_assert_cmpuint(described_size(json_object_get(o, "fields")) + 17 +
                         described_size(json_object_get(sub, "fields")),
        ==, st.size);
    json_decref(o);
    stream_free(&st);
    vmstate_delete(a.list);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmstate/round-trip", test_round_trip);
    g_test_add_func("/vmstate/layout", test_layout);
    g_test_add_func("/vmstate/truncated", test_truncated);
    g_test_add_func("/vmstate/refusals", test_refusals);
    g_test_add_func("/vmstate/save-refused", test_save_refused);
    g_test_add_func("/vmstate/older-version", test_older_version);
    g_test_add_func("/vmstate/description", test_description);
    return g_test_run();
}
