/* SPDX-License-Identifier: MIT */
/* Walking a table's fields: what saving, loading, describing and copying have in common. */
#pragma once

#include "core/vmstate.h"

bool vmfield_exists(const VmField *f, const void *s, int version);
/* Elements that the field has in s. */
uint64_t vmfield_count(const VmField *f, const void *s);
/* The version in which a nested table travels. */
int vmfield_struct_version(const VmField *f);
/* The field with its element size as s says it. */
VmField vmfield_sized(const VmField *f, const void *s);
/* The field's first element: in s, or behind the pointer in s. */
void *vmfield_base(const VmField *f, const void *s);
/* The i-th element; NULL where a pointer to it is NULL. */
void *vmfield_element(const VmField *f, void *base, uint64_t i);
/* Writes one element; NULL is a mark. */
void vmfield_save_element(Stream *st, const VmField *f, const void *elem);
bool subsection_needed(const VmState *sub, const void *s);
/* Bytes that vmstate_new gave. */
size_t vmstate_size(const void *p);
