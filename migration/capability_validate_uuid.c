/* SPDX-License-Identifier: MIT */
/* validate-uuid: the machine's UUID travels in the configuration; the far side has the same one or
 * refuses (migration/load.c reads it). */
#include "migration/capability.h"
#include "migration/save.h"

static void validate_uuid_configuration(Machine *m, Stream *st)
{
    uint8_t uuid[16];

    if (!machine_uuid(m, uuid)) return;
    stream_put_u8(st, SECTION_SUBSECTION);
    stream_put_str8(st, "configuration/uuid");
    stream_put_be32(st, 1);
    stream_put(st, uuid, sizeof(uuid));
}

CAPABILITY(validate_uuid, .name = "validate-uuid", .rank = 17,
    .configuration = validate_uuid_configuration);
