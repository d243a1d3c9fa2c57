/* SPDX-License-Identifier: MIT */
/* How single elements go over the wire.  Names as the stream's own description has them. */
#include <inttypes.h>
#include <string.h>

#include "core/vmstate_walk.h"
#include "util/bits.h"

#define VM_INT_TYPE(ident, ctype, bits, text)                                                      \
    static void ident##_save(Stream *st, const void *elem, const VmField *f)                       \
    {                                                                                              \
        ctype v;                                                                                   \
        (void)f;                                                                                   \
        memcpy(&v, elem, sizeof(v));                                                               \
        stream_put_be##bits(st, (uint##bits##_t)v);                                                \
    }                                                                                              \
    static void ident##_load(Stream *st, void *elem, const VmField *f)                             \
    {                                                                                              \
        ctype v = (ctype)stream_get_be##bits(st);                                                  \
        (void)f;                                                                                   \
        memcpy(elem, &v, sizeof(v));                                                               \
    }                                                                                              \
    const VmType ident = { .name = text, .save = ident##_save, .load = ident##_load }

#define stream_put_be8 stream_put_u8
#define stream_get_be8 stream_get_u8

VM_INT_TYPE(vm_u8, uint8_t, 8, "uint8");
VM_INT_TYPE(vm_u16, uint16_t, 16, "uint16");
VM_INT_TYPE(vm_u32, uint32_t, 32, "uint32");
VM_INT_TYPE(vm_u64, uint64_t, 64, "uint64");
VM_INT_TYPE(vm_i8, int8_t, 8, "int8");
VM_INT_TYPE(vm_i16, int16_t, 16, "int16");
VM_INT_TYPE(vm_i32, int32_t, 32, "int32");
VM_INT_TYPE(vm_i64, int64_t, 64, "int64");
VM_INT_TYPE(vm_timer, int64_t, 64, "timer");

static void vm_bool_save(Stream *st, const void *elem, const VmField *f)
{
    (void)f;
    stream_put_u8(st, *(const bool *)elem);
}

static void vm_bool_load(Stream *st, void *elem, const VmField *f)
{
    (void)f;
    *(bool *)elem = stream_get_u8(st) != 0;
}

const VmType vm_bool = { .name = "bool", .save = vm_bool_save, .load = vm_bool_load };

/* The value in the stream must be the one that the machine has. */
#define VM_EQUAL_TYPE(ident, base, ctype, text)                                                    \
    static void ident##_load(Stream *st, void *elem, const VmField *f)                             \
    {                                                                                              \
        ctype here, there = 0;                                                                     \
        memcpy(&here, elem, sizeof(here));                                                         \
        base.load(st, &there, f);                                                                  \
        if (stream_ok(st) && here != there)                                                        \
            stream_fail(st, "%" PRIx64 " != %" PRIx64, (uint64_t)here, (uint64_t)there);           \
    }                                                                                              \
    const VmType ident = { .name = text, .save = base##_save, .load = ident##_load }

VM_EQUAL_TYPE(vm_u8_equal, vm_u8, uint8_t, "uint8 equal");
VM_EQUAL_TYPE(vm_u16_equal, vm_u16, uint16_t, "uint16 equal");
VM_EQUAL_TYPE(vm_u32_equal, vm_u32, uint32_t, "uint32 equal");
VM_EQUAL_TYPE(vm_i32_equal, vm_i32, int32_t, "int32 equal");

/* The value in the stream may be at most the one that the machine has. */
static void vm_i32_le_load(Stream *st, void *elem, const VmField *f)
{
    int32_t here, there = 0;

    memcpy(&here, elem, sizeof(here));
    vm_i32.load(st, &there, f);
    if (!stream_ok(st)) return;
    if (there < 0 || there > here) stream_fail(st, "%d is not in 0..%d", there, here);
}

const VmType vm_i32_le = { .name = "int32 le", .save = vm_i32_save, .load = vm_i32_le_load };

static void vm_buffer_save(Stream *st, const void *elem, const VmField *f)
{
    stream_put(st, elem, f->size);
}

static void vm_buffer_load(Stream *st, void *elem, const VmField *f)
{
    stream_get(st, elem, f->size);
}

const VmType vm_buffer = { .name = "buffer", .save = vm_buffer_save, .load = vm_buffer_load };
const VmType vm_pci_config = {
    .name = "pci config", .save = vm_buffer_save, .load = vm_buffer_load
};

static void vm_pci_irq_save(Stream *st, const void *elem, const VmField *f)
{
    const uint32_t *levels = elem;

    for (size_t i = 0; i < f->size / 4; i++) stream_put_be32(st, levels[i]);
}

static void vm_pci_irq_load(Stream *st, void *elem, const VmField *f)
{
    uint32_t *levels = elem;

    for (size_t i = 0; i < f->size / 4; i++) {
        levels[i] = stream_get_be32(st);
        if (levels[i] > 1) stream_fail(st, "PCI interrupt level %u is neither 0 nor 1", levels[i]);
    }
}

const VmType vm_pci_irq_state = {
    .name = "pci irq state", .save = vm_pci_irq_save, .load = vm_pci_irq_load
};

static void vm_unused_save(Stream *st, const void *elem, const VmField *f)
{
    (void)elem;
    for (size_t i = 0; i < f->size; i++) stream_put_u8(st, 0);
}

static void vm_unused_load(Stream *st, void *elem, const VmField *f)
{
    (void)elem;
    stream_skip(st, f->size);
}

const VmType vm_unused = {
    .name = "unused_buffer", .save = vm_unused_save, .load = vm_unused_load
};

/* A bitmap of f->size bytes as be64 words. */
static void vm_bitmap_save(Stream *st, const void *elem, const VmField *f)
{
    const uint64_t *words = elem;

    for (size_t i = 0; i < f->size / 8; i++) stream_put_be64(st, words[i]);
}

static void vm_bitmap_load(Stream *st, void *elem, const VmField *f)
{
    uint64_t *words = elem;

    for (size_t i = 0; i < f->size / 8; i++) words[i] = stream_get_be64(st);
}

const VmType vm_bitmap = { .name = "bitmap", .save = vm_bitmap_save, .load = vm_bitmap_load };

static void vm_struct_save(Stream *st, const void *elem, const VmField *f)
{
    vmstate_save_version(st, f->vmsd, (void *)elem, vmfield_struct_version(f));
}

static void vm_struct_load(Stream *st, void *elem, const VmField *f)
{
    vmstate_load(st, f->vmsd, elem, vmfield_struct_version(f));
}

const VmType vm_struct = { .name = "struct", .save = vm_struct_save, .load = vm_struct_load };
const VmType vm_tmp = { .name = "tmp", .save = vm_struct_save, .load = vm_struct_load };
