/* SPDX-License-Identifier: MIT */
/* Character device "null": swallows everything, says nothing. */
#include "util/chardev.h"

static bool null_open(Chardev *chr, Options *opts, Error *err)
{
    (void)opts;
    (void)err;
    chardev_set_connected(chr, true);
    return true;
}

static size_t null_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    (void)chr;
    (void)buf;
    return len;
}

static const ChardevClass null_class = {
    .name = "null",
    .desc = "nothing: output is dropped",
    .size = sizeof(Chardev),
    .open = null_open,
    .write = null_write,
};
CHARDEV(null_class);
