/* SPDX-License-Identifier: MIT */
/*
 * xen-save-devices-state and xen-load-devices-state: see device_state.h.
 *
 * The file is a stream with neither configuration nor RAM, and our description behind it, which
 * others do not write: without it a load is as exact as the sections are.  Whoever moves RAM by
 * other means (a hypervisor's tools, pmemsave) moves the devices so.
 */
#include "migration/device_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/command.h"
#include "core/qmp.h"
#include "migration/disks.h"
#include "migration/info.h"
#include "migration/load.h"
#include "migration/migration.h"
#include "migration/save.h"

enum { FILE_MAX = 64 * MiB };

static bool device_state_idle(Machine *m, Error *err)
{
    if (snapshot_under_way(m)) return error_set(err, "A snapshot is being saved or loaded");
    if (migration_under_way(m)) return error_set(err, "There's a migration process in progress");
    return true;
}

/* The machine stands while the file is written or read: nothing else may be waited for. */
static int device_state_open(const char *path, int flags, Error *err)
{
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0660);
    struct stat st;

    if (fd < 0) {
        error_set(err, "Unable to open %s: %s", path, strerror(errno));
    } else if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        error_set(err, "%s is not a regular file", path);
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool device_state_write(int fd, const Stream *st, Error *err)
{
    for (size_t done = 0; done < st->size;) {
        ssize_t n = write(fd, st->data + done, st->size - done);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_errno(err, errno, "Error while writing the devices' state");
        done += (size_t)n;
    }
    return true;
}

static bool device_state_store(const char *path, const Stream *st, Error *err)
{
    int fd = device_state_open(path, O_WRONLY | O_CREAT | O_TRUNC, err);
    bool ok;

    if (fd < 0) return false;
    ok = device_state_write(fd, st, err);
    if (close(fd) < 0 && ok) ok = error_errno(err, errno, "Error while writing the devices' state");
    return ok;
}

bool device_state_save(Machine *m, const char *path, Error *err)
{
    bool was_running = machine_running(m), ok;
    SaveRun *run;

    if (m->run_state == RUN_INMIGRATE)
        return error_set(err, "Guest is waiting for an incoming migration");
    if (!device_state_idle(m, err) || !save_allowed(m, err)) return false;
    if (was_running) machine_stop(m, RUN_SAVE_VM);
    disks_drain(m);
    run = save_devices_only(m);
    ok = stream_ok(&run->st) ? device_state_store(path, &run->st, err)
                             : error_set(err, "%s", run->st.err.msg);
    save_end(run);
    if (was_running) machine_start(m, NULL);
    return ok;
}

/* The file's bytes go into the load as they come; false where it cannot be read. */
static bool device_state_feed(LoadRun *load, int fd, const char *path, Error *err)
{
    uint8_t buf[16 * KiB];
    size_t all = 0;
    ssize_t n;

    while ((n = read(fd, buf, sizeof(buf))) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_errno(err, errno, "Error while reading %s", path);
        all += (size_t)n;
        if (all > FILE_MAX) return error_set(err, "%s has more than %d MiB", path, FILE_MAX / MiB);
        load_feed(load, buf, (size_t)n);
    }
    load_eof(load);
    return true;
}

bool device_state_load(Machine *m, const char *path, Error *err)
{
    LoadRun *load;
    bool ok;
    int fd;

    if (machine_running(m)) return error_set(err, "Cannot update device state while vm is running");
    if (!device_state_idle(m, err) || !save_allowed(m, err)) return false;
    fd = device_state_open(path, O_RDONLY, err);
    if (fd < 0) return false;
    disks_drain(m);
    load = load_begin(m);
    load->devices_only = true;
    ok = device_state_feed(load, fd, path, err);
    close(fd);
    if (ok)
        ok = load_step(load) == LOAD_DONE ? load_commit(load, err)
                                          : error_set(err, "%s", load->err.msg);
    load_end(load);
    if (ok) machine_notify(m, EVENT_LOADED);
    return ok;
}

/* -- commands -- */

static void save_run(CommandCall *call, Error *err)
{
    device_state_save(call->m, command_text(call, "filename"), err);
}

static void load_run(CommandCall *call, Error *err)
{
    device_state_load(call->m, command_text(call, "filename"), err);
}

COMMAND(xen_save_devices_state, .name = "xen_save_devices_state", .args = "filename:F",
    .usage = "filename", .help = "save the state of all devices, without RAM, to a file",
    .run = save_run);
COMMAND(xen_load_devices_state, .name = "xen_load_devices_state", .args = "filename:F",
    .usage = "filename",
    .help = "load the state of all devices from a file, while the guest is stopped",
    .run = load_run);

/* live asks who is to have the disks afterwards; they stay here. */
static json_t *save_qmp_run(QmpCall *call, Error *err)
{
    device_state_save(call->m, qmp_text(call, "filename"), err);
    return NULL;
}

static json_t *load_qmp_run(QmpCall *call, Error *err)
{
    device_state_load(call->m, qmp_text(call, "filename"), err);
    return NULL;
}

QMP_COMMAND(save_devices, .name = "xen-save-devices-state", .args = "filename:s,live:b?",
    .run = save_qmp_run);
QMP_COMMAND(
    load_devices, .name = "xen-load-devices-state", .args = "filename:s", .run = load_qmp_run);
