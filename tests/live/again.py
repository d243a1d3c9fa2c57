#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A snapshot that is loaded over and over: each time the machine is to the last bit what the snapshot
has, whatever came in between, and only what has changed since is read."""
import os
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


def main():
    walker_guest.build("walker", "-DWAIT=30000", "-DWALK_END=0xf00000")
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", DISK, "1M"], check=True)
    with start() as vm:
        walker_guest.passes(vm, 1)
        vm.hmp("stop")
        vm.hmp("savevm a")
        a = digest(vm)
        load(vm, "a", a, False, "the first time")
        for i in range(3):
            TAP.check(run(vm) != a, f"time {i}: the guest works")
            load(vm, "a", a, True, f"time {i}")
        run(vm)
        vm.hmp("savevm b")
        b = digest(vm)
        load(vm, "a", a, True, "after a save of another")
        load(vm, "b", b, False, "the other one")
        load(vm, "b", b, True, "the other one again")
        vm.hmp("system_reset")
        run(vm)
        load(vm, "b", b, True, "after a reset")
        run(vm)
        vm.hmp("savevm b")
        c = digest(vm)
        TAP.check(c != b, "saved anew")
        load(vm, "b", c, False, "a new one of the same name")
        vm.hmp("cont")
        walker_guest.passes(vm, 2)
        vm.hmp("stop")
        load(vm, "b", c, False, "where nearly all has changed")
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
    TAP.run(main)
else:
    TAP.skip("again", "nasm is not installed")
TAP.finish()
