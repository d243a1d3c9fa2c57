/* SPDX-License-Identifier: MIT */
/*
 * Floppy media by the size of their images.
 * Source: the formats that DOS, 2M and fdformat have made; which drive takes one, and at what rate
 * it is read there, by asking another emulator.  Not modelled: media with several sector sizes.
 */
#include "hw/fdc.h"

enum { RATE_500K, RATE_300K, RATE_250K, RATE_1M };

/* KiB, heads, tracks, sectors, rate, drive. */
static const FdcMedium fdc_media[] = {
    { 160, 1, 40, 8, RATE_250K, FDC_120 },
    { 180, 1, 40, 9, RATE_300K, FDC_120 },
    { 320, 2, 40, 8, RATE_250K, FDC_120 },
    { 360, 2, 40, 9, RATE_300K, FDC_120 },
    { 1200, 2, 80, 15, RATE_500K, FDC_120 },
    { 1476, 2, 82, 18, RATE_500K, FDC_120 },
    { 1494, 2, 83, 18, RATE_500K, FDC_120 },
    { 720, 2, 80, 9, RATE_250K, FDC_144 },
    { 800, 2, 80, 10, RATE_250K, FDC_144 },
    { 820, 2, 82, 10, RATE_250K, FDC_144 },
    { 830, 2, 83, 10, RATE_250K, FDC_144 },
    { 1040, 2, 80, 13, RATE_250K, FDC_144 },
    { 1120, 2, 80, 14, RATE_250K, FDC_144 },
    { 1440, 2, 80, 18, RATE_500K, FDC_144 },
    { 1600, 2, 80, 20, RATE_500K, FDC_144 },
    { 1680, 2, 80, 21, RATE_500K, FDC_144 },
    { 1722, 2, 82, 21, RATE_500K, FDC_144 },
    { 1743, 2, 83, 21, RATE_500K, FDC_144 },
    { 1760, 2, 80, 22, RATE_500K, FDC_144 },
    { 1840, 2, 80, 23, RATE_500K, FDC_144 },
    { 1920, 2, 80, 24, RATE_500K, FDC_144 },
    { 2880, 2, 80, 36, RATE_1M, FDC_288 },
    { 3120, 2, 80, 39, RATE_1M, FDC_288 },
    { 3200, 2, 80, 40, RATE_1M, FDC_288 },
    { 3520, 2, 80, 44, RATE_1M, FDC_288 },
    { 3840, 2, 80, 48, RATE_1M, FDC_288 },
};

/* What is in a drive whose image has no known size: the largest common format of the drive. */
static FdcMedium fdc_medium_odd(enum FdcType type)
{
    unsigned kib = type == FDC_120 ? 1200 : type == FDC_144 ? 1440 : 2880;

    for (size_t i = 0; i < ARRAY_SIZE(fdc_media); i++)
        if (fdc_media[i].kib == kib) return fdc_media[i];
    return (FdcMedium){ 0 };
}

FdcMedium fdc_medium_of_size(uint64_t bytes, enum FdcType type, enum FdcType fallback)
{
    const FdcMedium *other = NULL; /* of the right size, for another drive */

    for (size_t i = 0; i < ARRAY_SIZE(fdc_media); i++) {
        const FdcMedium *m = &fdc_media[i];

        if (bytes != (uint64_t)m->kib * KiB) continue;
        if (type == FDC_NONE || m->type == type) return *m;
        other = m;
    }
    return other ? *other : fdc_medium_odd(type == FDC_NONE ? fallback : type);
}
