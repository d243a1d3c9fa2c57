/* SPDX-License-Identifier: MIT */
/*
 * vmstate: one table describes a state struct; it is walked to save, to load and to describe.
 *
 * Everything is big endian on the wire.  Integers have on the wire the width that they have in the
 * struct.  A table never holds pointers into a device: offsets are into the state struct `s`.
 * Load fills a copy; nothing that runs during a load may reach outside it (callbacks get only `s`).
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
    VMF_MUST_EXIST = 1 << 1, /* exists() false on load is an error: a validation */
    VMF_LISTED = 1 << 2,     /* array elements are listed one by one in the description */
};

struct VmField {
    const char *name; /* NULL ends a table */
    const VmType *type;
    size_t offset;
    size_t size;    /* bytes of one element in memory (and on the wire, for plain types) */
    uint32_t count; /* elements: 1 for scalars */
    size_t stride;  /* bytes from element to element in memory */
    uint32_t flags;
    int since;           /* in streams from this version of the table on */
    const VmState *vmsd; /* vm_struct, vm_tmp */
    int struct_version;  /* version of the nested table that the description shows */
    bool (*exists)(const void *s, int version); /* NULL: always */
    size_t count_offset;      /* VMF_VARIABLE: where the element count is in s ... */
    const VmType *count_type; /* ... and its type, NULL for a fixed count */
};

struct VmState {
    const char *name;
    int version, min_version;
    const VmField *fields;
    const VmState *const *subsections; /* NULL-terminated, or NULL */
    bool (*needed)(const void *s);     /* subsections: whether it is sent; NULL: always */
    void (*pre_save)(void *s);         /* fills shadow fields */
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

/* Writes s.  Runs pre_save, which may write shadow fields in s. */
void vmstate_save(Stream *st, const VmState *vmsd, void *s);

/* Fills s from a stream of the given version.  Failures are in st->err; a starved stream has
 * filled s in part, and the caller starts over with a fresh copy. */
bool vmstate_load(Stream *st, const VmState *vmsd, void *s, int version);

/* Adds "vmsd_name", "version", "fields" and "subsections" to a JSON object, for s as it is now. */
void vmstate_describe(Json *into, const VmState *vmsd, const void *s);

/* Frees what a load allocated behind VMF_POINTER fields. */
void vmstate_free_pointers(const VmState *vmsd, void *s);

/* Marks in map (one byte per byte of s) what the table covers: for the generic test. */
void vmstate_cover(const VmState *vmsd, uint8_t *map, size_t base, size_t size);
