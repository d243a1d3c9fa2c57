/* SPDX-License-Identifier: MIT */
/*
 * vmstate: one table describes a state struct; it is walked to save, to load and to describe.
 *
 * Everything is big endian on the wire.  Integers have on the wire the width that they have in the
 * struct.  A table never holds pointers into a device: offsets are into the state struct `s`.
 * Load fills a copy; nothing that runs during a load may reach outside it (callbacks get only `s`).
 *
 * What is behind a pointer in `s` belongs to `s` alone and comes from vmstate_new.  A flat copy of
 * such a struct shares it until vmstate_unshare.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/stream.h"

typedef struct VmState VmState;
typedef struct VmField VmField;
typedef struct Json Json; /* jansson's json_t in disguise: no header of ours needs jansson's */

/* How one element of a field goes over the wire. */
typedef struct VmType {
    const char *name; /* as the description calls it: "uint8", "buffer", "timer" ... */
    void (*save)(Stream *st, const void *elem, const VmField *f);
    void (*load)(Stream *st, void *elem, const VmField *f); /* failures through stream_fail */
} VmType;

extern const VmType vm_u8, vm_u16, vm_u32, vm_u64, vm_i8, vm_i16, vm_i32, vm_i64, vm_bool;
extern const VmType vm_u8_equal, vm_u16_equal, vm_u32_equal, vm_i32_equal, vm_i32_le;
extern const VmType vm_buffer, vm_unused, vm_timer, vm_bitmap, vm_pci_config, vm_pci_irq_state;
extern const VmType vm_struct, vm_tmp; /* element described by f->vmsd */

enum {
    VMF_POINTER = 1 << 0,    /* the struct holds a pointer to the element(s), allocated by load */
    VMF_MUST_EXIST = 1 << 1, /* exists() false is an error: a validation */
    VMF_LISTED = 1 << 2,     /* array elements are listed one by one in the description */
    VMF_POINTERS = 1 << 3,   /* every element is a pointer; NULL ones are sent as a mark, and where
                              * they are is the structure's, not the stream's, to say */
};

struct VmField {
    const char *name; /* NULL ends a table */
    const VmType *type;
    size_t offset;
    size_t size;    /* bytes of one element in memory (and on the wire, for plain types) */
    uint32_t count; /* elements: 1 for scalars; with count_type the most that fit */
    size_t stride;  /* bytes from element to element in memory */
    uint32_t flags;
    int since;           /* in streams from this version of the table on */
    const VmState *vmsd; /* vm_struct, vm_tmp */
    int struct_version;  /* version of the nested table that travels here; 0: the table's own */
    bool (*exists)(const void *s, int version); /* NULL: always */
    size_t count_offset;                        /* where the element count is in s ... */
    const VmType *count_type;                   /* ... and its type, NULL for a fixed count */
    size_t size_offset;      /* where the size of an element is in s (bytes; a bitmap: bits) ... */
    const VmType *size_type; /* ... and its type, NULL for a fixed size */
};

struct VmState {
    const char *name;
    int version, min_version;
    const VmField *fields;
    const VmState *const *subsections;     /* NULL-terminated, or NULL */
    bool (*needed)(const void *s);         /* subsections: whether it is sent; NULL: always */
    bool (*pre_save)(void *s, Error *err); /* fills shadow fields; false stops the save */
    void (*post_save)(void *s);            /* after the last byte, also of a save that failed */
    bool (*pre_load)(void *s, Error *err);
    bool (*post_load)(void *s, int version, Error *err); /* checks, and reads shadow fields */
};

#define VM_TYPE_OF(lvalue)                                                                         \
    _Generic((lvalue), bool                                                                        \
             : &vm_bool, uint8_t                                                                   \
             : &vm_u8, uint16_t                                                                    \
             : &vm_u16, uint32_t                                                                   \
             : &vm_u32, uint64_t                                                                   \
             : &vm_u64, int8_t                                                                     \
             : &vm_i8, int16_t                                                                     \
             : &vm_i16, int32_t                                                                    \
             : &vm_i32, int64_t                                                                    \
             : &vm_i64)
#define VM_AT(S, f) (((S *)0)->f)

#define VM_FIELD(S, f, wire_name, vmtype, n, elem_size, ...)                                       \
    {                                                                                              \
        .name = (wire_name), .type = (vmtype), .offset = offsetof(S, f), .count = (n),             \
        .size = (elem_size), .stride = (elem_size), __VA_ARGS__                                    \
    }

/* One integer or bool; the wire name is the member's, or given. */
#define VM_INT(S, f) VM_FIELD(S, f, #f, VM_TYPE_OF(VM_AT(S, f)), 1, sizeof(VM_AT(S, f)))
#define VM_INT_AS(S, f, name) VM_FIELD(S, f, name, VM_TYPE_OF(VM_AT(S, f)), 1, sizeof(VM_AT(S, f)))
#define VM_INT_V(S, f, name, v)                                                                    \
    VM_FIELD(S, f, name, VM_TYPE_OF(VM_AT(S, f)), 1, sizeof(VM_AT(S, f)), .since = (v))
#define VM_INT_TEST(S, f, name, test)                                                              \
    VM_FIELD(S, f, name, VM_TYPE_OF(VM_AT(S, f)), 1, sizeof(VM_AT(S, f)), .exists = (test))
/* A whole array of integers. */
#define VM_INTS(S, f) VM_INTS_AS(S, f, #f)
#define VM_INTS_AS(S, f, name)                                                                     \
    VM_FIELD(S, f, name, VM_TYPE_OF(VM_AT(S, f)[0]), sizeof(VM_AT(S, f)) / sizeof(VM_AT(S, f)[0]), \
        sizeof(VM_AT(S, f)[0]))
/* One element of some other type ("vm_u8_equal", "vm_timer" ...). */
#define VM_ELEM(S, f, name, vmtype) VM_FIELD(S, f, name, vmtype, 1, sizeof(VM_AT(S, f)))
/* A byte array as one "buffer". */
#define VM_BUFFER(S, f) VM_BUFFER_AS(S, f, #f)
#define VM_BUFFER_AS(S, f, name) VM_FIELD(S, f, name, &vm_buffer, 1, sizeof(VM_AT(S, f)))
#define VM_BUFFER_TEST(S, f, name, test)                                                           \
    VM_FIELD(S, f, name, &vm_buffer, 1, sizeof(VM_AT(S, f)), .exists = (test))
/* A pointer to one struct. */
#define VM_STRUCT_POINTER(S, f, wire_name, table, v)                                               \
    {                                                                                              \
        .name = (wire_name), .type = &vm_struct, .offset = offsetof(S, f), .count = 1,             \
        .size = sizeof(*VM_AT(S, f)), .stride = sizeof(*VM_AT(S, f)), .flags = VMF_POINTER,        \
        .vmsd = &(table), .struct_version = (v)                                                    \
    }
/* An array of pointers to structs, or to integers. */
#define VM_POINTERS(S, f, wire_name, vmtype, ...)                                                  \
    {                                                                                              \
        .name = (wire_name), .type = (vmtype), .offset = offsetof(S, f),                           \
        .count = sizeof(VM_AT(S, f)) / sizeof(VM_AT(S, f)[0]), .size = sizeof(*VM_AT(S, f)[0]),    \
        .stride = sizeof(VM_AT(S, f)[0]), .flags = VMF_POINTERS, __VA_ARGS__                       \
    }
/* The first n elements of an array in s, n being another member. */
#define VM_VARRAY(S, f, wire_name, vmtype, n, ...)                                                 \
    {                                                                                              \
        .name = (wire_name), .type = (vmtype), .offset = offsetof(S, f),                           \
        .count = sizeof(VM_AT(S, f)) / sizeof(VM_AT(S, f)[0]), .size = sizeof(VM_AT(S, f)[0]),     \
        .stride = sizeof(VM_AT(S, f)[0]), .count_offset = offsetof(S, n),                          \
        .count_type = VM_TYPE_OF(VM_AT(S, n)), __VA_ARGS__                                         \
    }
/* A pointer to n elements. */
#define VM_VARRAY_ALLOC(S, f, wire_name, vmtype, n, ...)                                           \
    {                                                                                              \
        .name = (wire_name), .type = (vmtype), .offset = offsetof(S, f),                           \
        .size = sizeof(*VM_AT(S, f)), .stride = sizeof(*VM_AT(S, f)), .flags = VMF_POINTER,        \
        .count_offset = offsetof(S, n), .count_type = VM_TYPE_OF(VM_AT(S, n)), __VA_ARGS__         \
    }
/* A pointer to n bytes, as one "buffer"; to n bits, as one "bitmap". */
#define VM_VBUFFER_ALLOC(S, f, wire_name, n) VM_SIZED_ALLOC(S, f, wire_name, &vm_buffer, n)
#define VM_BITMAP_ALLOC(S, f, wire_name, n) VM_SIZED_ALLOC(S, f, wire_name, &vm_bitmap, n)
#define VM_SIZED_ALLOC(S, f, wire_name, vmtype, n)                                                 \
    {                                                                                              \
        .name = (wire_name), .type = (vmtype), .offset = offsetof(S, f), .count = 1,               \
        .flags = VMF_POINTER, .size_offset = offsetof(S, n), .size_type = VM_TYPE_OF(VM_AT(S, n))  \
    }
/* A nested table over the same struct, as one "tmp". */
#define VM_TMP(wire_name, S, table)                                                                \
    {                                                                                              \
        .name = (wire_name), .type = &vm_tmp, .count = 1, .size = sizeof(S), .stride = sizeof(S),  \
        .vmsd = &(table)                                                                           \
    }
/* n bytes that are zero on save and skipped on load. */
#define VM_UNUSED(n)                                                                               \
    {                                                                                              \
        .name = "unused", .type = &vm_unused, .count = 1, .size = (n), .stride = (n)               \
    }
/* An int64_t instant in ns, -1 for never: the wire's "timer". */
#define VM_TIMER(S, f, name) VM_FIELD(S, f, name, &vm_timer, 1, sizeof(VM_AT(S, f)))
/* Nested structs: one, or an array of them. */
#define VM_STRUCT(S, f, name, table, v)                                                            \
    VM_FIELD(                                                                                      \
        S, f, name, &vm_struct, 1, sizeof(VM_AT(S, f)), .vmsd = &(table), .struct_version = (v))
#define VM_STRUCTS(S, f, name, table, v)                                                           \
    VM_FIELD(S, f, name, &vm_struct, sizeof(VM_AT(S, f)) / sizeof(VM_AT(S, f)[0]),                 \
        sizeof(VM_AT(S, f)[0]), .vmsd = &(table), .struct_version = (v))
/* A check in the midst of a load: fails with the name where test is false. */
#define VM_VALIDATE(text, test)                                                                    \
    {                                                                                              \
        .name = (text), .type = &vm_unused, .flags = VMF_MUST_EXIST, .exists = (test)              \
    }
#define VM_END                                                                                     \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* Writes s.  Runs pre_save, which may write shadow fields in s and may refuse: false, st->err. */
bool vmstate_save(Stream *st, const VmState *vmsd, void *s);
/* The same as an older version of the table has it. */
bool vmstate_save_version(Stream *st, const VmState *vmsd, void *s, int version);

/* Fills s from a stream of the given version.  Failures are in st->err; a starved stream has
 * filled s in part, and the caller starts over with a fresh copy. */
bool vmstate_load(Stream *st, const VmState *vmsd, void *s, int version);

/* Adds "vmsd_name", "version", "fields" and "subsections" to a JSON object, for s as it is now. */
void vmstate_describe(Json *into, const VmState *vmsd, const void *s);

/* Zeroed memory for a pointer in a state. */
void *vmstate_new(size_t bytes);
void vmstate_delete(void *p);
/* copy is a flat copy of s: what s has behind pointers, copy has then of its own. */
void vmstate_unshare(const VmState *vmsd, void *copy, const void *s);
/* Frees what is behind the pointers in s, and clears these. */
void vmstate_free_pointers(const VmState *vmsd, void *s);

/* Marks in map (one byte per byte of s) what the table covers: for the generic test. */
void vmstate_cover(const VmState *vmsd, uint8_t *map, size_t base, size_t size);
