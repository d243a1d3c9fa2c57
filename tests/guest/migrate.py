#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 600
# TEST-ALONE: it times how long the guest is silent
"""A counting Linux moves ten times over each channel: no line lost or doubled, never silent for
long; a destination that dies half-way leaves the source running."""
import os
import re
import select
import signal
import socket
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
SILENCE_S = 0.3 * TIMES


def count(vm):
    vm.serial.send("i=0; while :; do i=$((i+1)); echo N$i; usleep 10000; done\n")
    vm.serial.expect(r"N20\r", 60)


def without_loadvm(opts):
    i = opts.index("-loadvm")
    return opts[:i] + opts[i + 2:]


def numbers(data):
    return [int(n) for n in re.findall(rb"N(\d+)\r\n", data)]


def move(src, opts, uri_in, uri_out, pass_fds=()):
    """Moves the guest to a new process; answers it, how the migration ended, what `info migrate`
    said and the longest time without a line meanwhile."""
    dst = VM(*opts, "-incoming", uri_in, tag="dst", pass_fds=pass_fds)
    src.serial.drain()
    begin = time.monotonic()
    src.hmp(f'migrate -d "{uri_out}"')
    end = time.monotonic() + 60 * TIMES
    while time.monotonic() < end:
        status, text = None, src.hmp("info migrate")
        m = re.search(r"Migration status: (\w+)", text)
        src.serial.pump(0)
        dst.serial.pump(0)
        if m and m.group(1) in ("completed", "failed"):
            break
        time.sleep(0.005)
    if not m or m.group(1) != "completed":
        raise RuntimeError(f"{uri_out}: {text}")
    dst.serial.expect(r"N\d+\r\n", 30)
    dst.serial.drain(0.1)
    src.serial.drain()
    log = sorted(e for e in src.serial.log + dst.serial.log if e[0] >= begin)
    return dst, m.group(1), text, max(b[0] - a[0] for a, b in zip(log, log[1:]))


def channel(name, uri, times=10):
    disk, opts = linux686.booted(TMP)
    vm = VM(*opts)
    count(vm)
    opts = without_loadvm(opts)
    gaps, all_numbers = [], None
    ok = True
    for i in range(times):
        dst, status, text, gap = move(vm, opts, *uri(i, vm))
        ok &= TAP.check(status == "completed", f"{name} {i}: completed", text) or False
        joined = vm.serial.data + dst.serial.data
        got = numbers(joined)
        got = got[got.index(20):]
        if not TAP.check(got == list(range(got[0], got[0] + len(got))),
                         f"{name} {i}: no line lost or doubled",
                         f"{[(a, b) for a, b in zip(got, got[1:]) if b != a + 1][:5]}"):
            ok = False
        gaps.append(gap)
        dst.serial.data = joined[joined.rindex(b"N%d\r" % 20):]
        dst.serial.mark = len(dst.serial.data)
        vm.kill()
        vm = dst
    TAP.check(max(gaps) <= SILENCE_S, f"{name}: never silent for more than {SILENCE_S} s",
              f"{gaps}")
    vm.kill()


def unix():
    def uri(i, _):
        u = f"unix:{TMP}/m{i}"
        return u, u
    channel("unix", uri)


def tcp():
    def uri(i, _):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        u = f"tcp:127.0.0.1:{port}"
        return u, u
    channel("tcp", uri)


def exec_():
    def uri(i, _):
        fifo = f"{TMP}/fifo{i}"
        os.mkfifo(fifo)
        return f"exec:cat {fifo}", f"exec:cat > {fifo}"
    channel("exec", uri)


def fd():
    """A socket pair: the destination inherits one end, the monitor of the source gets the other."""
    ends = []

    def uri(i, src):
        ends[:] = socket.socketpair()  # the pair before is closed by this
        src.getfd(f"m{i}", ends[0].fileno())
        return f"fd:{ends[1].fileno()}", f"fd:m{i}", (ends[1].fileno(),)
    channel("fd", uri)


def file_():
    """Through a file: saved whole, then loaded by a process started afterwards."""
    disk, opts = linux686.booted(TMP)
    src = VM(*opts)
    count(src)
    src.hmp(f"migrate file:{TMP}/state")
    TAP.equal(src.wait_migration()[0], "completed", "file: saved")
    src.serial.drain(0.1)
    last = numbers(src.serial.data)[-1]
    src.kill()
    with VM(*without_loadvm(opts), "-incoming", f"file:{TMP}/state") as dst:
        m = dst.serial.expect(r"N(\d+)\r", 30)
        TAP.equal(int(m.group(1)), last + 1, "file: goes on with the next line")


def slow_reader():
    """Whoever reads the serial line is slower than the guest.  Once the migration is completed all
    that the guest wrote here is with the reader or in its socket (which holds some 40 lines), so
    that even a kill -9 loses nothing."""
    disk, opts = linux686.booted(TMP)
    src = VM(*opts)
    dst = VM(*without_loadvm(opts), "-incoming", f"unix:{TMP}/slow", tag="dst")
    src.serial.send("i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo N$i; done; echo D''ONE\n")
    src.serial.expect(r"N\d+\r", 60)  # all of the line is with the guest
    time.sleep(1)
    src.hmp(f"migrate -d unix:{TMP}/slow")
    end = time.monotonic() + 60 * TIMES
    while "completed" not in src.hmp("info migrate"):
        if time.monotonic() > end:
            raise TimeoutError(src.hmp("info migrate"))
        for _ in range(20):  # slow, but not for so long that it seems to read no more
            if select.select([src.serial.sock], [], [], 0.01)[0]:
                src.serial.data += src.serial.sock.recv(20)
        dst.serial.pump(0)
    src.proc.kill()
    src.serial.read_rest()
    if b"DONE" not in src.serial.data:
        dst.serial.expect("DONE", 30)
    TAP.equal(numbers(src.serial.data + dst.serial.data), list(range(1, 5001)),
              "slow reader: no line lost or doubled")
    src.kill()
    dst.kill()


def killed_destination():
    disk, opts = linux686.booted(TMP)
    vm = VM(*opts)
    count(vm)
    opts = without_loadvm(opts)
    vm.hmp("migrate_set_parameter max-bandwidth 8M")
    dst = VM(*opts, "-incoming", f"unix:{TMP}/k", tag="dst")
    vm.hmp(f"migrate -d unix:{TMP}/k")
    time.sleep(0.5)
    TAP.check("active" in vm.hmp("info migrate"), "the migration is under way")
    dst.proc.send_signal(signal.SIGKILL)
    dst.kill()
    status, text = vm.wait_migration()
    TAP.equal(status, "failed", "it fails when the destination dies")
    TAP.check("running" in vm.hmp("info status"), "the source runs on")
    vm.serial.drain()
    vm.serial.expect(r"N\d+\r\n", 10)
    got = numbers(vm.serial.data)
    got = got[got.index(20):]
    TAP.equal(got, list(range(20, 20 + len(got))), "and has lost nothing")
    vm.hmp("migrate_set_parameter max-bandwidth 1G")
    dst, status, text, gap = move(vm, opts, f"unix:{TMP}/k2", f"unix:{TMP}/k2")
    TAP.equal(status, "completed", "the next migration works")
    vm.kill()
    dst.kill()


def cancelled():
    disk, opts = linux686.booted(TMP)
    vm = VM(*opts)
    count(vm)
    vm.hmp("migrate_set_parameter max-bandwidth 4M")
    vm.hmp('migrate -d "exec:cat > /dev/null"')
    time.sleep(0.3)
    vm.hmp("migrate_cancel")
    TAP.equal(vm.wait_migration()[0], "cancelled", "cancelled")
    TAP.check("running" in vm.hmp("info status"), "the source runs on after a cancel")
    vm.kill()


TAP.run(unix, tcp, exec_, fd, file_, slow_reader, killed_destination, cancelled)
TAP.finish()
