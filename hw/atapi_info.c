/* SPDX-License-Identifier: MIT */
/*
 * ATAPI commands by which a CD-ROM tells about itself and its medium.
 * Source: MMC-3 (T10/1363-D), chapters 5 and 6; SPC-2 for INQUIRY, REQUEST SENSE, MODE SENSE.
 * Not modelled: discs with several tracks or sessions, DVD structures, changeable mode pages.
 */
#include "core/machine.h"
#include "hw/ide.h"

enum { PROFILE_CD = 0x0008, PROFILE_DVD = 0x0010, CD_MAX_SECTORS = 80 * 60 * 75 };
enum { LEAD_IN_FRAMES = 150, LEAD_OUT = 0xaa };

typedef int InfoFn(IdeBus *bus, const uint8_t *p, uint8_t *buf);

static int info_error(IdeBus *bus, uint8_t key, uint8_t asc)
{
    atapi_error(bus, key, asc);
    return 0;
}

/* As much of a reply as the packet has asked for; none at all is a success without data. */
static int info_reply(IdeBus *bus, size_t len, size_t allocated)
{
    if (!allocated) {
        atapi_ok(bus);
        return 0;
    }
    return (int)MIN_OF(len, allocated);
}

static uint32_t info_sectors(IdeBus *bus)
{
    return (uint32_t)MIN_OF(block_dev_size(ide_blk(bus)) / CD_SECTOR, UINT32_MAX);
}

static void put_msf(uint8_t *out, uint32_t lba)
{
    uint32_t frame = lba + LEAD_IN_FRAMES;

    out[0] = 0;
    out[1] = (uint8_t)(frame / 75 / 60);
    out[2] = (uint8_t)(frame / 75 % 60);
    out[3] = (uint8_t)(frame % 75);
}

static void put_address(uint8_t *out, uint32_t lba, bool msf)
{
    if (msf)
        put_msf(out, lba);
    else
        store_be32(out, lba);
}

static void put_text(uint8_t *out, size_t len, const char *text)
{
    memset(out, ' ', len);
    memcpy(out, text, MIN_OF(strlen(text), len));
}

static int info_sense(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    IdeDrive *d = ide_active(bus);

    buf[0] = 0x70; /* present error, fixed format */
    buf[2] = d->sense_key;
    buf[7] = 10;
    buf[12] = d->asc;
    d->sense_key = d->asc = 0;
    return info_reply(bus, 18, p[4]);
}

static int info_inquiry(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    if (p[1] & 1) return info_error(bus, SENSE_ILLEGAL, ASC_FIELD); /* vital product data */
    buf[0] = 0x05;                                                  /* CD-ROM */
    buf[1] = 0x80;                                                  /* removable */
    buf[3] = 0x21; /* ATAPI-2, response format of SPC */
    buf[4] = 31;
    put_text(buf + 8, 8, "STASIS");
    put_text(buf + 16, 16, "STASIS CD-ROM");
    put_text(buf + 32, 4, "1.0");
    return info_reply(bus, 36, p[4]);
}

static int info_capacity(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    (void)p;
    store_be32(buf, info_sectors(bus) - 1);
    store_be32(buf + 4, CD_SECTOR);
    return 8;
}

/* -- READ TOC: one session with one data track -- */

static uint8_t *toc_track(uint8_t *out, uint8_t track, uint32_t lba, bool msf)
{
    out[1] = 0x14; /* data track, Q channel holds positions */
    out[2] = track;
    put_address(out + 4, lba, msf);
    return out + 8;
}

static uint8_t *toc_raw(uint8_t *out, uint8_t point, const uint8_t *position)
{
    out[0] = 1;
    out[1] = 0x14;
    out[3] = point;
    memcpy(out + 7, position, 4);
    return out + 11;
}

static int info_toc(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    bool msf = p[1] & 2;
    unsigned format = p[2] & 15 ? p[2] & 15 : p[9] >> 6;
    uint32_t sectors = info_sectors(bus);
    uint8_t *out = buf + 4, start = p[6], position[4];

    buf[2] = buf[3] = 1; /* first and last track, or session */
    switch (format) {
    case 0:
        if (start > 1 && start != LEAD_OUT) return info_error(bus, SENSE_ILLEGAL, ASC_FIELD);
        if (start <= 1) out = toc_track(out, 1, 0, msf);
        out = toc_track(out, LEAD_OUT, sectors, msf);
        break;
    case 1: out = toc_track(out, 1, 0, msf); break;
    case 2:
        out = toc_raw(out, 0xa0, (uint8_t[]){ 0, 1, 0, 0 }); /* the first track */
        out = toc_raw(out, 0xa1, (uint8_t[]){ 0, 1, 0, 0 }); /* the last */
        put_msf(position, sectors);
        out = toc_raw(out, 0xa2, position);
        put_msf(position, 0);
        out = toc_raw(out, 1, position);
        break;
    default: return info_error(bus, SENSE_ILLEGAL, ASC_FIELD);
    }
    store_be16(buf, (uint16_t)(out - buf - 2));
    return info_reply(bus, (size_t)(out - buf), load_be16(p + 7));
}

/* -- GET CONFIGURATION -- */

static uint8_t *config_feature(uint8_t *out, uint16_t code, uint8_t flags, uint8_t len)
{
    store_be16(out, code);
    out[2] = flags; /* version, persistent, current */
    out[3] = len;
    return out + 4;
}

static int info_config(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    uint16_t current = 0;
    uint8_t *out = buf + 8;

    if (p[1] & 2 && load_be16(p + 2) > 3) { /* one feature, and not one of these */
        store_be32(buf, 4);
        return info_reply(bus, 8, load_be16(p + 7));
    }
    if (atapi_ready(bus)) current = info_sectors(bus) > CD_MAX_SECTORS ? PROFILE_DVD : PROFILE_CD;
    store_be16(buf + 6, current);
    out = config_feature(out, 0, 0x03, 8); /* profiles */
    store_be16(out, PROFILE_DVD);
    out[2] = current == PROFILE_DVD;
    store_be16(out + 4, PROFILE_CD);
    out[6] = current == PROFILE_CD;
    out = config_feature(out + 8, 1, 0x0b, 8); /* core: ATAPI, media events */
    store_be32(out, 2);
    out[4] = 1;
    out = config_feature(out + 8, 3, 0x03, 4); /* removable medium: tray, eject, lock */
    out[0] = 0x29;
    out += 4;
    store_be32(buf, (uint32_t)(out - buf - 4));
    return info_reply(bus, (size_t)(out - buf), load_be16(p + 7));
}

/* -- GET EVENT STATUS NOTIFICATION -- */

static int info_event(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    enum { CLASS_MEDIA = 4, NO_EVENT = 0x80, EJECT_REQUEST = 1, NEW_MEDIA = 2 };
    IdeDrive *d = ide_active(bus);
    size_t len = 4;

    if (!(p[1] & 1)) return info_error(bus, SENSE_ILLEGAL, ASC_FIELD); /* asynchronous */
    buf[3] = 1 << CLASS_MEDIA;
    if (p[4] & 1 << CLASS_MEDIA) {
        buf[2] = CLASS_MEDIA;
        buf[4] = d->new_media ? NEW_MEDIA : d->eject_request ? EJECT_REQUEST : 0;
        buf[5] = (uint8_t)((d->tray_open ? 1 : 0) | (atapi_ready(bus) ? 2 : 0));
        if (d->new_media)
            d->new_media = false;
        else
            d->eject_request = false;
        len = 8;
    } else {
        buf[2] = NO_EVENT;
    }
    store_be16(buf, (uint16_t)(len - 2));
    return info_reply(bus, len, load_be16(p + 7));
}

/* -- MODE SENSE (10) -- */

static uint8_t *mode_errors(uint8_t *out)
{
    out[0] = 0x01;
    out[1] = 6;
    out[3] = 5; /* retries */
    return out + 8;
}

static uint8_t *mode_audio(uint8_t *out)
{
    out[0] = 0x0e;
    out[1] = 14;
    out[2] = 4;
    out[8] = 1;
    out[9] = 0xff;
    out[10] = 2;
    out[11] = 0xff;
    return out + 16;
}

static uint8_t *mode_capabilities(uint8_t *out, bool locked)
{
    enum { SPEED_KB = 706 };

    out[0] = 0x2a;
    out[1] = 18;
    out[2] = 0x3b;                               /* reads CD-R, CD-RW, DVD-ROM, DVD-R, method 2 */
    out[4] = 0x70;                               /* mode 2 forms 1 and 2, several sessions */
    out[6] = (uint8_t)(0x29 | (locked ? 2 : 0)); /* tray, eject, lock */
    store_be16(out + 8, SPEED_KB);
    store_be16(out + 10, 2);
    store_be16(out + 12, 512);
    store_be16(out + 14, SPEED_KB);
    return out + 20;
}

static int info_mode(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    IdeDrive *d = ide_active(bus);
    uint8_t page = p[2] & 0x3f, *out = buf + 8;

    if (p[2] >> 6 == 3) return info_error(bus, SENSE_ILLEGAL, ASC_SAVING);
    if (page == 0x01 || page == 0x3f) out = mode_errors(out);
    if (page == 0x0e || page == 0x3f) out = mode_audio(out);
    if (page == 0x2a || page == 0x3f) out = mode_capabilities(out, d->tray_locked);
    if (out == buf + 8) return info_error(bus, SENSE_ILLEGAL, ASC_FIELD);
    if (p[2] >> 6 == 1) memset(buf + 10, 0, (size_t)(out - buf - 10)); /* nothing can change */
    store_be16(buf, (uint16_t)(out - buf - 2));
    buf[2] = d->tray_open ? 0x71 : atapi_ready(bus) ? 0x01 : 0x70;
    return info_reply(bus, (size_t)(out - buf), load_be16(p + 7));
}

/* -- the disc and the mechanism -- */

static int info_disc(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    if (p[1] & 7) return info_error(bus, SENSE_ILLEGAL, ASC_FIELD);
    buf[1] = 32;
    buf[2] = 0x0e; /* the last session is complete, the disc is finished */
    buf[3] = buf[4] = buf[5] = buf[6] = 1;
    buf[7] = 0x20; /* unrestricted use */
    memset(buf + 16, 0xff, 8);
    return info_reply(bus, 34, load_be16(p + 7));
}

static int info_track(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    buf[1] = 34;
    buf[2] = buf[3] = 1;
    buf[5] = 4; /* data */
    buf[6] = 1; /* mode 1 */
    store_be32(buf + 24, info_sectors(bus));
    return info_reply(bus, 36, load_be16(p + 7));
}

static int info_subchannel(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    bool wanted = p[2] & 0x40 && p[3] == 1;

    buf[1] = 0x15; /* no audio to tell of */
    if (wanted) {
        buf[3] = 12;
        buf[4] = 1;
        buf[5] = 0x14;
        buf[6] = buf[7] = 1;
    }
    return info_reply(bus, wanted ? 16 : 4, load_be16(p + 7));
}

static int info_mechanism(IdeBus *bus, const uint8_t *p, uint8_t *buf)
{
    buf[5] = 1; /* one slot */
    return info_reply(bus, 8, load_be16(p + 8));
}

static const struct {
    uint8_t op;
    bool needs_medium;
    InfoFn *run;
} infos[] = {
    { 0x03, false, info_sense },
    { 0x12, false, info_inquiry },
    { 0x25, true, info_capacity },
    { 0x42, true, info_subchannel },
    { 0x43, true, info_toc },
    { 0x46, false, info_config },
    { 0x4a, false, info_event },
    { 0x51, true, info_disc },
    { 0x52, true, info_track },
    { 0x5a, false, info_mode },
    { 0xbd, false, info_mechanism },
};

bool atapi_info_known(uint8_t op)
{
    for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
        if (infos[i].op == op) return true;
    return false;
}

int atapi_info(IdeBus *bus, const uint8_t *packet, uint8_t *buf)
{
    for (size_t i = 0; i < ARRAY_SIZE(infos); i++) {
        if (infos[i].op != packet[0]) continue;
        if (infos[i].needs_medium && !atapi_ready(bus))
            return info_error(bus, SENSE_NOT_READY, ASC_NO_MEDIUM);
        return infos[i].run(bus, packet, buf);
    }
    return -1;
}
