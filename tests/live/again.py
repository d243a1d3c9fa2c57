#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A snapshot that is loaded over and over: each time the machine is to the last bit what the snapshot
has, whatever came in between, and only what has changed since is read."""
import os
import resource
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import walker_guest
from tap import Tap

TAP = Tap()
TMP, IMG = os.environ["TMPDIR"], os.environ["STASIS_IMG"]
ROM, DISK = TMP + "/walker.rom", TMP + "/disk.qcow2"
STATE = 14 << 20  # bytes of RAM that the guest fills


def start(*more):
    return walker_guest.start(ROM, "-drive", f"file={DISK},format=qcow2,if=ide,id=hd0", *more)


def digest(vm):
    return vm.hmp("info hash").split()[-1]


def run(vm):
    """Lets the guest work a little; its digest then."""
    vm.hmp("cont")
    time.sleep(0.03)
    vm.hmp("stop")
    return digest(vm)


def bytes_read(vm):
    with open(f"/proc/{vm.proc.pid}/io") as f:
        return int(dict(line.split(": ") for line in f)["rchar"])


def load(vm, name, want, quick, what):
    before = bytes_read(vm)
    said = vm.hmp("loadvm " + name)
    read = bytes_read(vm) - before
    TAP.equal(said.strip(), "", what + ": loads")
    TAP.equal(digest(vm), want, what + ": is what was saved")
    TAP.check((read < STATE // 2) == quick, f"{what}: reads {'little' if quick else 'all'}",
              f"{read} bytes")


def many(vm):
    """More snapshots than indexes are kept of, taken while the guest runs; each is its own."""
    seen = []
    for i in range(5):
        vm.hmp("cont")
        time.sleep(0.01)
        vm.hmp(f"savevm m{i}")
        vm.hmp("stop")
        vm.hmp(f"loadvm m{i}")
        seen.append(digest(vm))
    TAP.equal(len(set(seen)), 5, "five of them")
    for i in (4, 2, 3, 1, 4, 1):
        run(vm)
        load(vm, f"m{i}", seen[i], True, f"number {i} of five")
    load(vm, "m0", seen[0], False, "the first, whose index has gone")
    for i in range(5):
        vm.hmp(f"delvm m{i}")


def failed_save():
    """A save that fails leaves what was there."""
    small = TMP + "/small.qcow2"
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", small, "1M"], check=True)
    with walker_guest.start(ROM, "-drive", f"file={small},format=qcow2,if=ide,id=hd0") as vm:
        walker_guest.passes(vm, 1)
        vm.hmp("stop")
        vm.hmp("savevm a")
        a = digest(vm)
        run(vm)
        resource.prlimit(vm.proc.pid, resource.RLIMIT_FSIZE,
                         (os.path.getsize(small) + (1 << 20),) * 2)
        said = vm.hmp("savevm b")
        TAP.check("Error while writing VM state" in said, "a save that fails", said)
        load(vm, "a", a, True, "after a save that failed")
        run(vm)
        load(vm, "a", a, True, "and once more")
        vm.quit()


def main():
    walker_guest.build("walker", "-DWAIT=30000", "-DWALK_END=0xf00000")
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", DISK, "1M"], check=True)
    with start() as vm:
        walker_guest.passes(vm, 1)
        vm.hmp("stop")
        vm.hmp("savevm a")
        a = digest(vm)
        load(vm, "a", a, True, "right after the save")
        for i in range(3):
            TAP.check(run(vm) != a, f"time {i}: the guest works")
            load(vm, "a", a, True, f"time {i}")
        run(vm)
        vm.hmp("savevm b")
        b = digest(vm)
        load(vm, "a", a, True, "after a save of another")
        load(vm, "b", b, True, "the other one")
        load(vm, "b", b, True, "the other one again")
        for i in range(2):
            TAP.check(run(vm) != b, f"in turn, {i}: the guest works")
            load(vm, "a", a, True, f"in turn, {i}, the one")
            TAP.check(run(vm) != a, f"in turn, {i}: it works again")
            load(vm, "b", b, True, f"in turn, {i}, the other")
        vm.hmp("system_reset")
        run(vm)
        load(vm, "b", b, True, "after a reset")
        run(vm)
        vm.hmp("savevm b")
        c = digest(vm)
        TAP.check(c != b, "saved anew")
        load(vm, "b", c, True, "a new one of the same name")
        load(vm, "a", a, True, "and the old one")
        run(vm)
        load(vm, "b", c, True, "and the new one")
        vm.hmp("cont")
        walker_guest.passes(vm, 2)
        vm.hmp("stop")
        load(vm, "b", c, False, "where nearly all has changed")
        load(vm, "a", a, False, "which leaves nothing of the others")
        load(vm, "b", c, False, "either way")
        many(vm)
        load(vm, "b", c, False, "beyond as many as are kept")
        vm.hmp("cont")
        time.sleep(0.05)
        TAP.equal(vm.hmp("loadvm b").strip(), "", "while it runs")
        time.sleep(0.3)
        TAP.equal(walker_guest.word(vm, 0x7004), 0, "and its RAM is sound")
        vm.quit()
    with start("-S", "-loadvm", "b") as vm:
        TAP.equal(digest(vm), c, "a new process finds the same")
        run(vm)
        load(vm, "b", c, True, "after -loadvm")
        vm.quit()
    said = subprocess.run([IMG, "check", DISK], capture_output=True, text=True).stdout
    TAP.check("No errors" in said, "the image is sound", said)


if shutil.which("nasm"):
    TAP.run(main, failed_save)
else:
    TAP.skip("again", "nasm is not installed")
TAP.finish()
