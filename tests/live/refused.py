#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 240
"""Wrong input is refused with one clear line and nothing lost: the demo guest counts on, its sums
intact, whatever savevm, loadvm, migrate or -incoming were given."""
import os
import re
import resource
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
from guest_vm import STASIS, VM
from tap import Tap

TAP = Tap()
TMP, SRC, IMG = os.environ["TMPDIR"], os.environ["SRCDIR"], os.environ["STASIS_IMG"]
LINE = rb"ticks +(\d+) time +\S+ checksum +\S+ (\S+) "


def disk(name):
    path = f"{TMP}/{name}.qcow2"
    if not os.path.exists(TMP + "/demo.img"):
        subprocess.run([SRC + "/demo/build.sh", SRC + "/demo", TMP + "/demo.img"], check=True)
    subprocess.run([IMG, "convert", "-f", "raw", "-O", "qcow2", TMP + "/demo.img", path],
                   check=True)
    return path


def options(path, *more, ram="16", machine="pc"):
    return ["-M", machine, "-m", ram, "-drive", f"file={path},format=qcow2,if=ide,id=hd0",
            "-nic", "none", *more]


def ticks(vm):
    m = vm.serial.expect(LINE, 30)
    assert m[2] == b"ok", m[0]
    return int(m[1])


def counts_on(vm, name):
    """The guest has not stopped, jumped or lost a bit."""
    vm.serial.drain()
    seen = [ticks(vm)]
    while len(seen) < 13:
        seen.append(ticks(vm))
    TAP.equal([b - a for a, b in zip(seen, seen[1:])], [10] * 12, name + ": the guest counts on")


def clean(path, name):
    r = subprocess.run(["qemu-img", "check", path], capture_output=True, text=True)
    TAP.check(r.returncode == 0, name + ": the image is clean", r.stdout + r.stderr)


def refused(vm, command, text, name):
    TAP.check(text in vm.hmp(command), f"{name}: says why")
    counts_on(vm, name)


def snapshots():
    path = disk("one")
    with VM(*options(path)) as vm:
        ticks(vm)
        refused(vm, "loadvm nosuch", "Error: Snapshot 'nosuch' does not exist in one or more devices",
                "unknown snapshot")
        vm.hmp("savevm good")
        subprocess.run([IMG, "create", "-q", "-f", "raw", TMP + "/raw", "1M"], check=True)
        vm.quit()
    with VM(*options(path), "-drive", f"file={TMP}/raw,format=raw,if=ide,id=r") as vm:
        ticks(vm)
        why = "Error: Device 'r' is writable but does not support snapshots"
        refused(vm, "savevm x", why, "savevm with a writable raw disk")
        refused(vm, "loadvm good", why, "loadvm with a writable raw disk")
    for ram, machine, text in (("32", "pc", "Size mismatch: pc.ram: 0x1000000 != 0x2000000"),
                               ("16", "isapc", "Machine type received is 'pc-i440fx-7.2' and local "
                                               "is 'isapc'")):
        with VM(*options(path, ram=ram, machine=machine)) as vm:
            ticks(vm)
            refused(vm, "loadvm good", text, f"loadvm on {machine} with {ram} MiB")
        r = subprocess.run([STASIS, *options(path, ram=ram, machine=machine), "-display", "none",
                            "-loadvm", "good"], capture_output=True, text=True, timeout=30)
        TAP.check(r.returncode == 1 and text in r.stderr, f"-loadvm on {machine} with {ram} MiB",
                  f"{r.returncode} {r.stderr}")
    clean(path, "after refusals")
    with VM(*options(path), "-loadvm", "good") as vm:
        counts_on(vm, "the good snapshot still loads")


def full_disk():
    """The file cannot grow beyond what it has: whatever is short, the guest and the old snapshots
    stay."""
    path = disk("full")
    with VM(*options(path)) as vm:
        ticks(vm)
        vm.hmp("savevm old")
        vm.quit()
    with VM(*options(path), "-loadvm", "old") as vm:
        ticks(vm)
        limit = os.path.getsize(path) + 300000
        was = resource.prlimit(vm.proc.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(vm.proc.pid, resource.RLIMIT_FSIZE, (limit, was[1]))
        for name in ("new", "old"):
            text = vm.hmp("savevm " + name)
            TAP.check(text.startswith("Error"), f"savevm {name} on a full disk fails", text)
            counts_on(vm, f"savevm {name} on a full disk")
        TAP.equal(re.findall(r"(?m)^--\s+(\S+)", vm.hmp("info snapshots")), ["old"],
                  "the old snapshot is listed, the new one is not")
        resource.prlimit(vm.proc.pid, resource.RLIMIT_FSIZE, was)
        TAP.equal(vm.hmp("loadvm old"), "", "and loads")
        counts_on(vm, "after loadvm")
        vm.quit()
    clean(path, "full disk")


def two_disks():
    """A loadvm that the second disk refuses half-way leaves the first one, and the guest, as they
    were; whichever of the changes of its file fails."""
    first, second = disk("first"), TMP + "/second.qcow2"
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", second, "4M"], check=True)
    # a clock that follows the host would go on while the guest is stopped
    pair = [*options(first, "-rtc", "clock=vm"), "-drive"]
    with VM(*pair, f"file={second},format=qcow2,if=ide,id=hd1") as vm:
        ticks(vm)
        vm.hmp("savevm both")
        counts_on(vm, "two disks")  # the demo writes its first disk again meanwhile
        vm.quit()
    faults = 0
    for at in range(1, 100):
        with VM(*pair, f"file=fault:kind=eio,,at={at}:{second},format=qcow2,if=ide,id=hd1") as vm:
            ticks(vm)
            vm.hmp("stop")
            before = vm.hmp("info hash")
            text = vm.hmp("loadvm both")
            if not text:
                TAP.check(vm.hmp("info hash") != before, "without a fault it loads")
                vm.quit()
                break
            faults += 1
            same = vm.hmp("info hash") == before
            vm.hmp("cont")
            seen = [ticks(vm) for _ in range(3)]
            got = ["Error while activating snapshot 'both' on 'hd1'" in text, same,
                   *[b - a for a, b in zip(seen, seen[1:])], vm.hmp("loadvm both")]
            vm.quit()
        if not TAP.equal(got, [True, True, 10, 10, ""],
                         f"change {at} of the second disk fails: nothing is switched"):
            break
    TAP.check(faults > 3, "there was something to fail", f"{faults}")
    clean(first, "the first disk")
    clean(second, "the second disk")


def streams():
    path = disk("src")
    state = TMP + "/state"
    with VM(*options(path)) as vm:
        ticks(vm)
        refused(vm, "migrate nosuch:x", "Parameter 'uri' expects a valid migration protocol",
                "unknown protocol")
        vm.hmp("migrate -d tcp:127.0.0.1:1")
        status, text = vm.wait_migration()
        TAP.check(status == "failed" and "Failed to connect to '127.0.0.1:1': Connection refused"
                  in text, "a refused connection is named", text)
        counts_on(vm, "refused connection")
        vm.hmp('migrate "exec:cat > /dev/full"')
        status, text = vm.wait_migration()
        TAP.equal(status, "failed", "a command that fails is no completed migration")
        counts_on(vm, "failed command")
        vm.hmp(f"migrate file:{state}")
        TAP.equal(vm.wait_migration()[0], "completed", "the state is in a file")
    data = open(state, "rb").read()
    cases = {"foreign": b"#!/bin/sh\n" * 100, "empty": b"",
             "cut in RAM": data[:len(data) // 2], "cut in devices": data[:data.rindex(b'{"page')-900],
             "other version": data[:7] + b"\x04" + data[8:]}
    for name, bytes_ in cases.items():
        with open(TMP + "/bad", "wb") as f:
            f.write(bytes_)
        r = subprocess.run([STASIS, *options(path), "-display", "none", "-incoming",
                            f"file:{TMP}/bad"], capture_output=True, text=True, timeout=30)
        TAP.check(r.returncode == 1 and "load of migration failed" in r.stderr,
                  f"-incoming of a stream that is {name} ends with an error",
                  f"{r.returncode} {r.stderr}")
    with VM(*options(path), "-incoming", "defer") as vm:
        with open(TMP + "/bad", "wb") as f:
            f.write(cases["cut in devices"])
        vm.hmp(f"migrate_incoming file:{TMP}/bad")
        vm.wait_migration()
        TAP.check("inmigrate" in vm.hmp("info status"), "a deferred one waits on after a bad stream")
        TAP.equal(vm.hmp(f"migrate_incoming file:{state}"), "", "and takes a good one")
        counts_on(vm, "good stream after a bad one")


def values():
    """What stands in the description for exactness is checked as sections are."""
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", TMP + "/blk", "1M"], check=True)
    blk = ["-M", "pc", "-m", "1", "-S", "-nodefaults", "-drive",
           f"file={TMP}/blk,format=qcow2,if=none,id=d", "-device",
           "virtio-blk-pci,drive=d,id=b,num-queues=2"]
    with VM(*blk, serial=False) as vm:
        vm.hmp(f"migrate file:{TMP}/values")
        vm.quit()
    with open(TMP + "/values", "rb") as f:
        data = f.read()
    at = data.index(b'"queue": [0]', data.rindex(b'"stasis"')) + len(b'"queue": [')
    for value, fits in ((b"1", True), (b"2", False), (b"9", False)):
        with open(TMP + "/bad", "wb") as f:
            f.write(data[:at] + value + data[at + 1:])
        r = subprocess.run([STASIS, *blk, "-display", "none", "-monitor", "stdio", "-incoming",
                            f"file:{TMP}/bad"], capture_output=True, text=True, timeout=30,
                           input="quit\n")
        TAP.check((r.returncode == 0) == fits and
                  ("'b': queue must be below num-queues" in r.stderr) != fits,
                  f"a disk that was at queue {value.decode()} of 2", f"{r.returncode} {r.stderr}")


TAP.run(snapshots, full_disk, two_disks, streams, values)
TAP.finish()
