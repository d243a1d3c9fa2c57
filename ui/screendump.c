/* SPDX-License-Identifier: MIT */
/* Pictures of the screen: PPM (P6) and PNG, and the command that takes them. */
#include "ui/ui.h"

#include <errno.h>
#include <png.h>
#include <string.h>

#include "core/qmp.h"
#include "ui/consoles.h"

/* The picture as packed red, green, blue; g_free it. */
static uint8_t *screendump_rgb(Console *c)
{
    uint8_t *rgb = g_malloc((size_t)c->width * c->height * 3), *p = rgb;

    for (unsigned y = 0; y < c->height; y++) {
        const uint32_t *row = console_row(c, y);

        for (unsigned x = 0; x < c->width; x++) {
            *p++ = (uint8_t)(row[x] >> 16);
            *p++ = (uint8_t)(row[x] >> 8);
            *p++ = (uint8_t)row[x];
        }
    }
    return rgb;
}

static bool screendump_ppm(Console *c, const uint8_t *rgb, FILE *f)
{
    size_t bytes = (size_t)c->width * c->height * 3;

    return fprintf(f, "P6\n%u %u\n255\n", c->width, c->height) > 0 &&
           fwrite(rgb, 1, bytes, f) == bytes;
}

static bool screendump_png(Console *c, const uint8_t *rgb, FILE *f)
{
    png_image png = { .version = PNG_IMAGE_VERSION,
        .width = c->width,
        .height = c->height,
        .format = PNG_FORMAT_RGB };

    return png_image_write_to_stdio(&png, f, 0, rgb, 0, NULL);
}

/* Decides between PNG (true) and PPM. */
static bool screendump_is_png(const char *path, const char *format, bool *png, Error *err)
{
    if (!format) {
        *png = g_str_has_suffix(path, ".png");
        return true;
    }
    *png = !strcmp(format, "png");
    if (*png || !strcmp(format, "ppm")) return true;
    return error_set(err, "invalid parameter value: %s", format);
}

bool console_screendump(Console *c, const char *path, const char *format, Error *err)
{
    bool png, ok;
    FILE *f;

    if (!screendump_is_png(path, format, &png, err)) return false;
    f = fopen(path, "wbe");
    if (!f) return error_errno(err, errno, "failed to open file '%s'", path);
    console_refresh(c);
    uint8_t *rgb = screendump_rgb(c);

    errno = 0;
    ok = png ? screendump_png(c, rgb, f) : screendump_ppm(c, rgb, f);
    g_free(rgb);
    int code = errno;

    if (fclose(f) && ok) ok = false, code = errno;
    return ok || error_errno(err, code ? code : EIO, "failed to write file '%s'", path);
}

/* The console of a device, or the first one. */
static Console *screendump_console(Machine *m, const char *device, int64_t head, Error *err)
{
    GPtrArray *all = consoles_of(m);
    Device *dev = device ? device_find(m, device) : NULL;

    if (device && !dev) {
        error_set(err, "Device '%s' not found", device);
        return NULL;
    }
    for (guint i = 0; i < all->len; i++) {
        Console *c = all->pdata[i];

        if ((!dev || c->dev == dev) && !head) return c;
    }
    if (dev)
        error_set(err, "Device %s (head %d) is not bound to a QemuConsole", device, (int)head);
    else
        error_set(err, "There is no console to take a screendump from");
    return NULL;
}

static void screendump_run(CommandCall *call, Error *err)
{
    Console *c = screendump_console(
        call->m, command_text(call, "device"), command_num(call, "head", 0), err);

    if (c) {
        console_screendump(c, command_text(call, "filename"), command_text(call, "format"), err);
    }
}

COMMAND(screendump, .name = "screendump", .args = "filename:F,format:-fs,device:s?,head:i?",
    .usage = "filename [-f format] [device [head]]",
    .help = "save the screen as an image: 'ppm' or 'png', by default what the file's name ends in",
    .run = screendump_run);

static json_t *screendump_qmp_run(QmpCall *call, Error *err)
{
    const char *device = qmp_text(call, "device"), *format = qmp_text(call, "format");
    int64_t head = qmp_int(call, "head", 0);

    if (format && strcmp(format, "png") && strcmp(format, "ppm")) {
        qmp_bad_value("format", format, err);
    } else if (head && !device) {
        error_set(err, "'head' must be specified together with 'device'");
    } else if (device && !device_find(call->m, device)) {
        qmp_device_not_found(call, device, err);
    } else {
        Console *c = screendump_console(call->m, device, head, err);

        if (c) console_screendump(c, qmp_text(call, "filename"), format ? format : "ppm", err);
    }
    return NULL;
}
QMP_COMMAND(screendump, .name = "screendump", .args = "filename:s,device:s?,head:i?,format:s?",
    .run = screendump_qmp_run);
