/* SPDX-License-Identifier: MIT */
/*
 * PS/2 devices, as the keyboard controller sees them, and the byte queue that they share.
 *
 * A device answers each byte sent to it; answers go in front of what was queued before (cwptr tells
 * where they end).  Its output line is high while a byte waits, and falls between two bytes.
 */
#pragma once

#include "core/machine.h"
#include "ui/ui.h"

enum { PS2_ACK = 0xfa, PS2_RESEND = 0xfe, PS2_TEST_PASSED = 0xaa };

/* Starts the state of both devices. */
typedef struct Ps2Common {
    int32_t write_cmd; /* the command that waits for its argument, or -1 */
    int32_t rptr, wptr, count;
    int32_t cwptr; /* end of a command's answer, or -1 */
    uint8_t data[256];
} Ps2Common;
extern const VmState ps2_common_vmstate; /* "PS2 Common State" version 3 */

/* Starts the struct of both devices. */
typedef struct Ps2Port {
    Device dev;
    Irq out;
    InputHandler input;
    void (*write)(struct Ps2Port *port, uint8_t val);
    void (*drained)(struct Ps2Port *port); /* the queue is empty: more could be queued; or NULL */
} Ps2Port;

/* -- for the keyboard controller -- */
void ps2_connect(Device *dev, Irq out);
void ps2_write(Device *dev, uint8_t val);
uint8_t ps2_read(Device *dev);
/* Whether the keyboard's bytes are turned into set 1 on the way. */
void ps2_kbd_set_translation(Device *dev, bool on);

/* -- for the devices -- */
void ps2_common_reset(Ps2Common *c);
bool ps2_common_has_answer(const void *common);
bool ps2_common_check_answer(const Ps2Common *c, Error *err); /* after a load */
/* Whether n more bytes fit. */
bool ps2_room(const Ps2Common *c, unsigned n);
void ps2_queue(Ps2Port *port, uint8_t byte);
/* Replaces a command's unread answer by a new one of at most 4 bytes. */
void ps2_answer(Ps2Port *port, const uint8_t *bytes, unsigned n);
static inline void ps2_answer1(Ps2Port *port, uint8_t byte) { ps2_answer(port, &byte, 1); }
void ps2_sync(Device *dev);
