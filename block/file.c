/* SPDX-License-Identifier: MIT */
/*
 * Host files and block devices.
 *
 * Locks are open-file-description byte locks, as other programs for the same images take them: a
 * permission that is taken is a read lock on byte 100 + n, one that is refused to others a read
 * lock on byte 200 + n.  A conflict shows when the opposite byte is locked by somebody else.
 */
#include "block/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PERM_READ, PERM_WRITE, PERM_WRITE_UNCHANGED, PERM_RESIZE, PERMS };
enum { LOCK_TAKEN = 100, LOCK_REFUSED = 200 };

static bool posix_open(BlockFile *f, const char *path, bool create, Error *err)
{
    int mode = (f->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | (create ? O_CREAT : 0);
    struct stat st;

    f->fd = open(path, mode, 0644);
    if (f->fd < 0) {
        return error_errno(err, errno, "Could not %s '%s'", create ? "create" : "open", path);
    }
    if (fstat(f->fd, &st) || S_ISDIR(st.st_mode)) {
        close(f->fd);
        return error_errno(err, EISDIR, "Could not open '%s'", path);
    }
    return true;
}

static void posix_close(BlockFile *f) { close(f->fd); }

static int posix_read(BlockFile *f, uint64_t off, void *buf, size_t len)
{
    uint8_t *p = buf;

    while (len) {
        ssize_t n = pread(f->fd, p, len, (off_t)off);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (!n) {
            memset(p, 0, len);
            return 0;
        }
        p += n;
        off += (size_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int posix_write(BlockFile *f, uint64_t off, const void *buf, size_t len)
{
    const uint8_t *p = buf;

    while (len) {
        ssize_t n = pwrite(f->fd, p, len, (off_t)off);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n ? -errno : -EIO;
        p += n;
        off += (size_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int64_t posix_length(BlockFile *f)
{
    off_t n = lseek(f->fd, 0, SEEK_END);

    return n < 0 ? -errno : n;
}

static int posix_fallocate_mode(BlockFile *f, int mode, uint64_t off, uint64_t len)
{
    while (fallocate(f->fd, mode, (off_t)off, (off_t)len)) {
        if (errno == EOPNOTSUPP || errno == ENODEV || errno == ENOSYS) return -ENOTSUP;
        if (errno != EINTR) return -errno;
    }
    return 0;
}

/* Does not lengthen the file: what lies behind its end reads as zeroes anyway. */
static int posix_punch(BlockFile *f, uint64_t off, uint64_t len)
{
    return posix_fallocate_mode(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
}

static int posix_reserve(BlockFile *f, uint64_t off, uint64_t len)
{
    return posix_fallocate_mode(f, 0, off, len);
}

static int posix_truncate(BlockFile *f, uint64_t len)
{
    struct stat st;

    if (fstat(f->fd, &st)) return -errno;
    if (!S_ISREG(st.st_mode)) return (int64_t)len <= posix_length(f) ? 0 : -ENOSPC;
    return ftruncate(f->fd, (off_t)len) ? -errno : 0;
}

static int posix_flush(BlockFile *f)
{
    if (!fdatasync(f->fd)) return 0;
    return errno == EINVAL || errno == ENOSYS ? 0 : -errno;
}

static int64_t posix_allocated(BlockFile *f)
{
    struct stat st;

    return fstat(f->fd, &st) ? -errno : (int64_t)st.st_blocks * 512;
}

static bool posix_has_data(BlockFile *f, uint64_t off, uint64_t *len)
{
    off_t data = lseek(f->fd, (off_t)off, SEEK_DATA), hole;

    if (data < 0) return errno != ENXIO; /* ENXIO: a hole up to the end, or behind it */
    if ((uint64_t)data > off) {
        *len = MIN_OF(*len, (uint64_t)data - off);
        return false;
    }
    hole = lseek(f->fd, (off_t)off, SEEK_HOLE);
    if (hole > 0) *len = MIN_OF(*len, (uint64_t)hole - off);
    return true;
}

static bool posix_lock_byte(BlockFile *f, int cmd, short type, unsigned byte, struct flock *fl)
{
    *fl = (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
    return fcntl(f->fd, cmd, fl) == 0;
}

static void posix_unlock(BlockFile *f)
{
    struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = LOCK_TAKEN };

    fl.l_len = LOCK_REFUSED + PERMS - LOCK_TAKEN;
    fcntl(f->fd, F_OFD_SETLK, &fl);
}

static bool posix_lock_conflict(BlockFile *f, const char *shared, unsigned perm, Error *err)
{
    static const char *const names[PERMS] = { "consistent read", "write", "write unchanged",
        "resize" };

    posix_unlock(f);
    return error_set(err, "Failed to get %s\"%s\" lock: Is another process using the image [%s]?",
        shared, names[perm], f->path);
}

static bool posix_lock(BlockFile *f, Error *err)
{
    unsigned taken = 1 << PERM_READ | (f->writable ? 1 << PERM_WRITE | 1 << PERM_RESIZE : 0);
    unsigned refused = 1 << PERM_WRITE | 1 << PERM_RESIZE;
    struct flock fl;

    for (unsigned p = 0; p < PERMS; p++) {
        if (taken >> p & 1 && !posix_lock_byte(f, F_OFD_SETLK, F_RDLCK, LOCK_TAKEN + p, &fl)) {
            if (errno == EINVAL || errno == ENOLCK || errno == ENOSYS)
                return true; /* no such locks */
            return posix_lock_conflict(f, "", p, err);
        }
        if (refused >> p & 1 && !posix_lock_byte(f, F_OFD_SETLK, F_RDLCK, LOCK_REFUSED + p, &fl)) {
            return posix_lock_conflict(f, "shared ", p, err);
        }
    }
    for (unsigned p = 0; p < PERMS; p++) {
        if (taken >> p & 1 && posix_lock_byte(f, F_OFD_GETLK, F_WRLCK, LOCK_REFUSED + p, &fl) &&
            fl.l_type != F_UNLCK) {
            return posix_lock_conflict(f, "", p, err);
        }
        if (refused >> p & 1 && posix_lock_byte(f, F_OFD_GETLK, F_WRLCK, LOCK_TAKEN + p, &fl) &&
            fl.l_type != F_UNLCK) {
            return posix_lock_conflict(f, "shared ", p, err);
        }
    }
    return true;
}

static const FileDriver posix_driver = {
    .name = "file",
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .punch = posix_punch,
    .reserve = posix_reserve,
    .truncate = posix_truncate,
    .flush = posix_flush,
    .length = posix_length,
    .allocated = posix_allocated,
    .has_data = posix_has_data,
    .lock = posix_lock,
    .unlock = posix_unlock,
};
BLOCK_PROTOCOL(posix_driver);
