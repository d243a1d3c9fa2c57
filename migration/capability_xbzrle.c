/* SPDX-License-Identifier: MIT */
/* xbzrle: a page that is sent again goes as its difference from what was sent (xbzrle.h), where the
 * cache of xbzrle-cache-size bytes has that.  Any reader takes such pages. */
#include "migration/capability.h"

CAPABILITY(xbzrle, .name = "xbzrle", .rank = 0);
