/* SPDX-License-Identifier: MIT */
/* compress: pages go as zlib's streams of compress-level, made by compress-threads threads
 * (ram_compress.h); with xbzrle, only those of the first round.  A destination that is QEMU has to
 * have it on, too; ours takes such pages in any case. */
#include "migration/capability.h"

CAPABILITY(compress, .name = "compress", .rank = 4, .excludes = "multifd");
