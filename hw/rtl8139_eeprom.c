/* SPDX-License-Identifier: MIT */
/*
 * The RTL8139's serial EEPROM: 93C46, 64 words.  Source: Microchip 93C46 data sheet.  Not modelled:
 * write protection (EWEN, EWDS) and the time a write takes.
 *
 * After chip select: a start bit, two bits of operation, six of address; a read then shifts words
 * out, one after the other, and a write takes one in.
 */
#include <string.h>

#include "hw/rtl8139.h"

enum { EEDO = 1, EEDI = 2, EESK = 4, EECS = 8 };
/* Numbers on the wire. */
enum { MODE_NONE, MODE_START, MODE_COMMAND, MODE_READ, MODE_WRITE, MODE_WRITE_ALL };
enum { OP_EXTENDED, OP_WRITE, OP_READ, OP_ERASE };
enum { EXT_WRITE_ALL = 1, EXT_ERASE_ALL = 2, COMMAND_BITS = 8, WORD_BITS = 16 };

void rtl_eeprom_power_on(RtlEeprom *e, const uint8_t mac[6])
{
    e->contents[0] = 0x8129;
    e->contents[1] = 0x10ec;
    e->contents[2] = 0x8139;
    for (unsigned i = 0; i < 3; i++) e->contents[7 + i] = load_le16(mac + 2 * i);
}

static void eeprom_mode(RtlEeprom *e, int32_t mode)
{
    e->mode = mode;
    e->tick = 0;
    e->input = 0;
}

static void eeprom_fill(RtlEeprom *e, uint16_t word)
{
    for (unsigned i = 0; i < RTL_EEPROM_WORDS; i++) e->contents[i] = word;
}

static void eeprom_command(RtlEeprom *e, uint8_t command)
{
    e->address = command % RTL_EEPROM_WORDS;
    switch (command >> 6) {
    case OP_READ:
        eeprom_mode(e, MODE_READ);
        e->output = e->contents[e->address];
        e->eedo = 0; /* the dummy bit in front */
        return;
    case OP_WRITE: eeprom_mode(e, MODE_WRITE); return;
    case OP_ERASE: e->contents[e->address] = 0xffff; break;
    default:
        if ((command >> 4 & 3) == EXT_WRITE_ALL) {
            eeprom_mode(e, MODE_WRITE_ALL);
            return;
        }
        if ((command >> 4 & 3) == EXT_ERASE_ALL) eeprom_fill(e, 0xffff);
    }
    eeprom_mode(e, MODE_NONE);
}

static void eeprom_shift_out(RtlEeprom *e)
{
    e->eedo = e->output >> 15;
    e->output = (uint16_t)(e->output << 1);
    if (e->tick < WORD_BITS) return;
    e->tick = 0;
    e->address = (uint8_t)((e->address + 1) % RTL_EEPROM_WORDS);
    e->output = e->contents[e->address];
}

static void eeprom_shift_in(RtlEeprom *e)
{
    if (e->tick < WORD_BITS) return;
    if (e->mode == MODE_WRITE)
        e->contents[e->address % RTL_EEPROM_WORDS] = e->input;
    else
        eeprom_fill(e, e->input);
    eeprom_mode(e, MODE_NONE);
}

static void eeprom_clock(RtlEeprom *e)
{
    e->tick++;
    if (e->mode == MODE_COMMAND || e->mode == MODE_WRITE || e->mode == MODE_WRITE_ALL)
        e->input = (uint16_t)(e->input << 1 | e->eedi);
    switch (e->mode) {
    case MODE_START:
        if (e->eedi) eeprom_mode(e, MODE_COMMAND);
        break;
    case MODE_COMMAND:
        if (e->tick >= COMMAND_BITS) eeprom_command(e, (uint8_t)e->input);
        break;
    case MODE_READ: eeprom_shift_out(e); break;
    case MODE_WRITE:
    case MODE_WRITE_ALL: eeprom_shift_in(e); break;
    default: break;
    }
}

void rtl_eeprom_write(RtlEeprom *e, uint8_t val)
{
    bool selected = val & EECS && !e->eecs, rise = val & EESK && !e->eesk;

    e->eecs = !!(val & EECS);
    e->eesk = !!(val & EESK);
    e->eedi = !!(val & EEDI);
    if (!e->eecs) {
        eeprom_mode(e, MODE_NONE);
        return;
    }
    if (selected) {
        eeprom_mode(e, MODE_START);
        e->output = 0;
        e->eedo = 1; /* ready */
    } else if (rise) {
        eeprom_clock(e);
    }
}

uint8_t rtl_eeprom_read(const RtlEeprom *e)
{
    return (uint8_t)(e->eecs * EECS | e->eesk * EESK | e->eedi * EEDI | e->eedo * EEDO);
}
