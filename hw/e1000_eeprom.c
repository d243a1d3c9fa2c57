/* SPDX-License-Identifier: MIT */
/*
 * The 82540EM's EEPROM and PHY.  Sources: Intel 8254x manual, chapters 5, 13.4.3 to 13.4.5; the
 * 93C46 Microwire EEPROM's data sheet; Marvell Alaska 88E1011 register summary in the manual.
 */
#include <string.h>

#include "hw/e1000.h"

enum { EECD_SK = 1, EECD_CS = 2, EECD_DI = 4, EECD_DO = 8, EECD_REQ = 0x40, EECD_GNT = 0x80 };
enum { EECD_PRESENT = 0x100, EECD_FWE_OFF = 0x10 };
enum { EERD_START = 1, EERD_DONE = 0x10 };
enum { EEPROM_READ = 6, EEPROM_SUM = 0xbaba, EEPROM_COMMAND_BITS = 9 };
enum { MDIC_WRITE = 1 << 26, MDIC_READ = 1 << 27, MDIC_READY = 1 << 28, MDIC_IRQ = 1 << 29 };
enum { MDIC_ERROR = 1 << 30, PHY_ADDRESS = 1 };
enum {
    PHY_CTRL = 0,
    PHY_STATUS = 1,
    PHY_ID1 = 2,
    PHY_ID2 = 3,
    PHY_ADVERTISE = 4,
    PHY_PARTNER = 5,
    PHY_1000T_CTRL = 9,
    PHY_1000T_STATUS = 10,
    PHY_SPECIFIC = 16,
    PHY_SPECIFIC_STATUS = 17,
    PHY_EXTENDED = 20,
};
enum { PHY_LINK = 1 << 2, PHY_NEGOTIATED = 1 << 5, PHY_SPECIFIC_LINK = 1 << 10 };
enum { PHY_CTRL_RESET = 1 << 15, PHY_CTRL_RESTART = 1 << 9 };

void e1000_eeprom_power_on(E1000State *s, const uint8_t mac[6])
{
    static const uint16_t head[] = { 0x3000, 0x1000, 0x6403, 0x100e, 0x8086, 0x100e, 0x8086,
        0x3040 };
    uint16_t sum = EEPROM_SUM;

    memset(s->eeprom, 0xff, sizeof(s->eeprom));
    for (unsigned i = 0; i < 3; i++) s->eeprom[i] = load_le16(mac + 2 * i);
    s->eeprom[3] = 0;
    memcpy(s->eeprom + 8, head, sizeof(head));
    for (unsigned i = 0; i < E1000_EEPROM_WORDS - 1; i++) sum = (uint16_t)(sum - s->eeprom[i]);
    s->eeprom[E1000_EEPROM_WORDS - 1] = sum;
}

uint32_t e1000_read_eecd(const E1000State *s)
{
    uint32_t val = EECD_PRESENT | EECD_FWE_OFF | EECD_GNT | s->eecd_old;
    unsigned bit = (s->eecd_bits_out ^ 0xf) & 0xf; /* the highest first */

    if (!s->eecd_reading || s->eeprom[(s->eecd_bits_out >> 4) % E1000_EEPROM_WORDS] >> bit & 1)
        val |= EECD_DO;
    return val;
}

/* Bits are taken at the clock's rise and given at its fall. */
void e1000_write_eecd(E1000State *s, uint32_t val)
{
    uint32_t old = s->eecd_old;

    s->eecd_old = val & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ);
    if (!(val & EECD_CS)) return;
    if (!(old & EECD_CS)) { /* selected: a command begins */
        s->eecd_in = 0;
        s->eecd_bits_in = s->eecd_bits_out = 0;
        s->eecd_reading = 0;
    }
    if (!((val ^ old) & EECD_SK)) return;
    if (!(val & EECD_SK)) {
        s->eecd_bits_out++;
        return;
    }
    s->eecd_in = s->eecd_in << 1 | !!(val & EECD_DI);
    if (++s->eecd_bits_in == EEPROM_COMMAND_BITS && !s->eecd_reading) {
        s->eecd_bits_out = (uint16_t)(((s->eecd_in & 0x3f) << 4) - 1);
        s->eecd_reading = (s->eecd_in >> 6 & 7) == EEPROM_READ;
    }
}

uint32_t e1000_read_eerd(const E1000State *s)
{
    uint32_t r = s->reg[E_EERD], word = r >> 8 & 0xff;

    r &= ~(uint32_t)EERD_START;
    if (!(s->reg[E_EERD] & EERD_START)) return r;
    return EERD_DONE | (r & 0xff00) |
           (word < E1000_EEPROM_WORDS ? (uint32_t)s->eeprom[word] << 16 : 0);
}

/* -- the PHY -- */

void e1000_phy_link(E1000State *s, bool up)
{
    const uint16_t there = PHY_LINK | PHY_NEGOTIATED;

    s->phy[PHY_STATUS] = (uint16_t)(up ? s->phy[PHY_STATUS] | there : s->phy[PHY_STATUS] & ~there);
    s->phy[PHY_SPECIFIC_STATUS] = (uint16_t)(up ? s->phy[PHY_SPECIFIC_STATUS] | PHY_SPECIFIC_LINK
                                                : s->phy[PHY_SPECIFIC_STATUS] & ~PHY_SPECIFIC_LINK);
    s->reg[E_STATUS] = up ? s->reg[E_STATUS] | STATUS_LU : s->reg[E_STATUS] & ~(uint32_t)STATUS_LU;
}

void e1000_phy_reset(E1000State *s, bool link)
{
    memset(s->phy, 0, sizeof(s->phy));
    s->phy[PHY_CTRL] = 0x1140;
    s->phy[PHY_STATUS] = 0x7949;
    s->phy[PHY_ID1] = 0x0141;
    s->phy[PHY_ID2] = 0x0c20;
    s->phy[PHY_ADVERTISE] = 0x0de1;
    s->phy[PHY_PARTNER] = 0x41e0;
    s->phy[PHY_1000T_CTRL] = 0x0e00;
    s->phy[PHY_1000T_STATUS] = 0x3c00;
    s->phy[PHY_SPECIFIC] = 0x0360;
    s->phy[PHY_SPECIFIC_STATUS] = 0xa800;
    s->phy[PHY_EXTENDED] = 0x0d60;
    e1000_phy_link(s, link);
}

static bool phy_writable(unsigned reg)
{
    switch (reg) {
    case PHY_CTRL:
    case PHY_ADVERTISE:
    case PHY_1000T_CTRL:
    case PHY_SPECIFIC:
    case PHY_EXTENDED: return true;
    default: return false;
    }
}

static void phy_write(E1000 *e, unsigned reg, uint16_t val)
{
    bool link = !e->port->link_down;

    if (!phy_writable(reg)) return;
    if (reg == PHY_CTRL && val & PHY_CTRL_RESET) {
        e1000_phy_reset(&e->s, link);
        return;
    }
    if (reg == PHY_CTRL && val & PHY_CTRL_RESTART) { /* negotiates in no time */
        e1000_phy_link(&e->s, link);
        e1000_cause(e, CAUSE_LSC);
        val &= (uint16_t)~PHY_CTRL_RESTART;
    }
    e->s.phy[reg] = val;
}

void e1000_write_mdic(E1000 *e, uint32_t val)
{
    unsigned reg = val >> 16 & 0x1f;

    if ((val >> 21 & 0x1f) != PHY_ADDRESS)
        val |= MDIC_ERROR;
    else if (val & MDIC_READ)
        val = (val & 0xffff0000) | e->s.phy[reg];
    else if (val & MDIC_WRITE)
        phy_write(e, reg, (uint16_t)val);
    e->s.reg[E_MDIC] = val | MDIC_READY;
    if (val & MDIC_IRQ) e1000_cause(e, CAUSE_MDAC);
}
