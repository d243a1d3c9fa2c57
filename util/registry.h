/* SPDX-License-Identifier: MIT */
/*
 * Link-time sets: whatever can be listed (devices, commands, formats ...) announces itself.
 *
 * SET_ADD(set, object) in any .c file puts the object's address into the set; SET_EACH walks it.
 * A set holds pointers, because compilers pad large structs.  It works because objects are linked
 * as objects, never as archives.  The order of a set is the link order: sort before you print.
 */
#pragma once

#include <stddef.h>

#define SET_ADD(set, object)                                                                       \
    static const void *const set_entry_##set##_##object                                            \
        __attribute__((used, section("set_" #set))) = &(object)

/* Declare a set before it is walked; the element type is given by SET_EACH's variable. */
#define SET_DECLARE(set)                                                                           \
    extern const void *const __start_set_##set[] __attribute__((weak));                            \
    extern const void *const __stop_set_##set[] __attribute__((weak))

/* SET_EACH (DeviceClass, cls, devices) { ... cls is a const DeviceClass * ... } */
#define SET_EACH(type, var, set)                                                                   \
    for (const void *const *var##_it = __start_set_##set; var##_it < __stop_set_##set; var##_it++) \
        for (const type *var = *var##_it, *var##_once = var; var##_once; var##_once = NULL)

#define SET_SIZE(set) ((size_t)(__stop_set_##set - __start_set_##set))
