/* SPDX-License-Identifier: MIT */
/*
 * filter-dump: the frames of a port in a pcap file, stamped in host real time.  Source: the libpcap
 * file format.  Each frame is written at once, so that a reader sees it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/user_object.h"
#include "net/internal.h"
#include "util/bits.h"

enum { PCAP_LINK_ETHERNET = 1, PCAP_MAXLEN = 65536 };

/* Both in the host's byte order: the magic number tells readers which. */
typedef struct PcapHeader {
    uint32_t magic; /* a1b2c3d4: stamps in microseconds */
    uint16_t major, minor;
    int32_t zone;
    uint32_t accuracy, maxlen, link;
} PcapHeader;

typedef struct PcapFrame {
    uint32_t seconds, microseconds;
    uint32_t kept, length; /* bytes in the file, bytes of the frame */
} PcapFrame;

typedef struct Dump {
    int fd;
    uint32_t maxlen;
} Dump;

static void dump_frame(void *opaque, bool outgoing, const uint8_t *frame, size_t len)
{
    Dump *d = opaque;
    int64_t us = host_wall_ns() / NS_PER_US;
    size_t kept = MIN_OF(len, (size_t)d->maxlen);
    PcapFrame head = {
        .seconds = (uint32_t)(us / 1000000),
        .microseconds = (uint32_t)(us % 1000000),
        .kept = (uint32_t)kept,
        .length = (uint32_t)len,
    };
    struct iovec iov[] = { { &head, sizeof(head) }, { (void *)frame, kept } };

    (void)outgoing;
    /* part of a frame would garble the rest: the dump ends where the disk is full */
    if (d->fd < 0 || writev(d->fd, iov, 2) == (ssize_t)(sizeof(head) + kept)) return;
    close(d->fd);
    d->fd = -1;
}

static void dump_destroy(void *opaque)
{
    Dump *d = opaque;

    if (d->fd >= 0) close(d->fd);
    g_free(d);
}

static int dump_open(const char *path, uint32_t maxlen, Error *err)
{
    PcapHeader head = {
        .magic = 0xa1b2c3d4, .major = 2, .minor = 4, .maxlen = maxlen, .link = PCAP_LINK_ETHERNET
    };
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0) {
        error_errno(err, errno, "-net dump: can't open %s", path);
    } else if (write(fd, &head, sizeof(head)) != sizeof(head)) {
        error_errno(err, errno, "-net dump: can't write %s", path);
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool dump_create(Machine *m, Options *opts, Error *err)
{
    const char *id = options_get(opts, "id"), *netdev = options_get(opts, "netdev");
    const char *file = options_get_or(opts, "file", "qemu-vlan0.pcap");
    uint64_t maxlen = PCAP_MAXLEN;
    NetFilter *f;
    NetPort *port;
    Dump *d;
    int fd;

    if (!id) return error_set(err, "Parameter 'id' is missing");
    if (!netdev) return error_set(err, "Parameter 'netdev' is missing");
    port = machine_object(m, "netdev", netdev);
    if (!port) return error_set(err, "Parameter 'netdev' expects a network backend id");
    if (!options_get_size(opts, "maxlen", &maxlen, err)) return false;
    if (!maxlen || maxlen > UINT32_MAX) {
        return error_set(err, "Property 'filter-dump.maxlen' is out of range");
    }
    if (!options_check_used(opts, "filter-dump", err)) return false;
    fd = dump_open(file, (uint32_t)maxlen, err);
    if (fd < 0) return false;
    d = g_new(Dump, 1);
    *d = (Dump){ .fd = fd, .maxlen = (uint32_t)maxlen };
    if (!machine_object_add(m, "object", id, d, NULL, err)) {
        dump_destroy(d);
        return false;
    }
    f = g_new0(NetFilter, 1);
    *f = (NetFilter){
        .frame = dump_frame, .destroy = dump_destroy, .opaque = d, .id = g_strdup(id)
    };
    net_filter_add(port, f);
    return true;
}

USER_OBJECT(dump, .name = "filter-dump", .create = dump_create,
    .help = "  id=<str>\n  netdev=<id of a -netdev>\n  file=<str>\n"
            "  maxlen=<size> - of a frame, what is longer is cut");
