/* SPDX-License-Identifier: MIT */
/*
 * Writing AML, the byte code of ACPI.  Source: ACPI specification 2.0, chapters 6.4 (resources) and
 * 17 (AML).
 *
 * Everything appends to an Aml.  What encloses other things is opened (aml_scope, aml_device ...),
 * which gives a mark, and closed by aml_close with that mark.  Names are written as in ASL:
 * "\\_SB.PCI0", "_CRS"; a segment shorter than four characters is filled up.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef GByteArray Aml;

static inline Aml *aml_new(void) { return g_byte_array_new(); }
static inline void aml_free(Aml *a) { g_byte_array_free(a, TRUE); }
void aml_append(Aml *a, const Aml *part);

/* -- enclosing things -- */
size_t aml_scope(Aml *a, const char *name);
size_t aml_device(Aml *a, const char *name);
/* A processor of the given ACPI id, without a register block. */
size_t aml_processor(Aml *a, const char *name, uint8_t id);
size_t aml_method(Aml *a, const char *name, unsigned args, bool serialized);
/* A package of n elements, which follow. */
size_t aml_package(Aml *a, uint8_t n);
/* A predicate follows, then what is done if it holds. */
size_t aml_if(Aml *a);
/* Fields of a region, accessed by bytes; units by aml_field_unit. */
size_t aml_field(Aml *a, const char *region);
void aml_close(Aml *a, size_t mark);

/* -- declarations -- */
/* Name (name, ...): an object follows. */
void aml_name(Aml *a, const char *name);
enum AmlSpace { AML_SYSTEM_IO = 1, AML_PCI_CONFIG = 2 };
void aml_region(Aml *a, const char *name, enum AmlSpace space, uint32_t at, uint32_t len);
void aml_field_unit(Aml *a, const char *name, unsigned bits);
/* Name (name, value). */
void aml_name_int(Aml *a, const char *name, uint32_t val);
void aml_name_text(Aml *a, const char *name, const char *text);
/* Name (name, Buffer () { bytes }). */
void aml_name_bytes(Aml *a, const char *name, const uint8_t *bytes, uint8_t n);
/* Name (name, EisaId (id)): "PNP0A03". */
void aml_name_eisa(Aml *a, const char *name, const char *id);

/* -- objects and operators, in prefix notation -- */
void aml_int(Aml *a, uint32_t val);
void aml_text(Aml *a, const char *text);
/* A reference to a named object. */
void aml_ref(Aml *a, const char *name);
void aml_arg(Aml *a, unsigned n);
/* An object to be returned follows. */
void aml_return(Aml *a);
/* Store (...): what, then where to. */
void aml_store(Aml *a);
/* Two operands follow, then the place for the result, or aml_nowhere. */
void aml_and(Aml *a);
void aml_or(Aml *a);
void aml_nowhere(Aml *a);
/* CreateDWordField (buffer, off, name); the buffer is written by the caller before the call of
 * aml_dword_field_at. */
void aml_dword_field(Aml *a);
void aml_dword_field_at(Aml *a, uint32_t off, const char *name);

/* -- resources: a buffer of descriptors -- */

/* Name (name, ResourceTemplate () { what res holds }). */
void aml_name_resources(Aml *a, const char *name, const Aml *res);
void aml_res_io(Aml *res, uint16_t port, uint8_t len);
/* An ISA interrupt: edge-triggered, exclusive. */
void aml_res_irq(Aml *res, unsigned line);
void aml_res_dma(Aml *res, unsigned channel);
/* Memory at a fixed address, which is not to be used for anything else. */
void aml_res_memory(Aml *res, uint32_t at, uint32_t len);
/* Level-triggered, active high, shared lines. */
void aml_res_interrupts(Aml *res, const uint32_t *lines, uint8_t n);
/* What a bridge hands on. */
void aml_res_buses(Aml *res, uint16_t first, uint16_t last);
void aml_res_ports(Aml *res, uint16_t first, uint16_t last);
void aml_res_window(Aml *res, uint32_t first, uint32_t last, bool cacheable);
