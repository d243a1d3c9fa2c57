#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Memtest86+ runs and finds nothing, also across savevm, loadvm and a migration: whatever these
did to memory or to the CPU would show as an error."""
import os
import re
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
import screen
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
LONG = "TEST_LONG" in os.environ
TESTS = r"Test #(\d+)"


def start(*args, kind="ia32", **kw):
    binary = f"{guests.package('memtest86+')}/boot/memtest86+{kind}.bin"
    if kind == "x64":
        args = ("-cpu", "qemu64", *args)
    return VM("-M", "pc", "-m", "8", "-nodefaults", "-vga", "std", "-kernel", binary, *args, **kw)


def begin(vm):
    screen.wait(vm, "<Enter> to start testing")
    vm.hmp("sendkey ret")


def errors(vm):
    return int(screen.wait(vm, r"Errors: (\d+)")[1])


def reach(vm, number, timeout=120):
    """Until test #number or a later one, or the next pass, is under way."""
    end = time.monotonic() + timeout * TIMES
    while True:
        shown = screen.text(vm)
        m = re.search(TESTS, shown)
        if m and int(m[1]) >= number or re.search(r"Pass: +[1-9]", shown):
            return shown
        if time.monotonic() > end:
            raise TimeoutError(f"test #{number} is not reached:\n{shown}")
        time.sleep(0.2)


def runs():
    disk = linux686.disk(TMP + "/state.qcow2")
    vm = start("-hda", disk)
    begin(vm)
    shown = reach(vm, 3)
    TAP.check("Status: Testing" in shown, "tests are under way", shown)
    TAP.equal(vm.hmp("savevm three"), "", "savevm")
    shown = reach(vm, 6)
    TAP.check(re.search(r"Errors: 0\b", shown), "five kinds of test find nothing", shown)
    TAP.equal(vm.hmp("loadvm three"), "", "loadvm")
    m = re.search(TESTS, screen.text(vm))
    TAP.check(m and int(m[1]) < 6, "it is back in an earlier test", str(m))
    reach(vm, 5)
    TAP.equal(errors(vm), 0, "memory is what it was")
    dst = start("-hda", disk, "-incoming", f"unix:{TMP}/m", tag="dst")
    vm.hmp(f"migrate -d unix:{TMP}/m")
    TAP.equal(vm.wait_migration()[0], "completed", "it migrates")
    vm.kill()
    shown = reach(dst, 7 if LONG else 6)
    TAP.check(re.search(r"Errors: 0\b", shown), "and finds nothing there", shown)
    dst.kill()


def whole_passes():
    for kind in "ia32", "x64":
        for cpus in 1, 4:
            with start("-smp", str(cpus), kind=kind) as vm:
                begin(vm)
                shown = screen.wait(vm, r"Pass: +1.*to remove this banner", 1500).string
                TAP.check(re.search(r"Errors: 0\b", shown) and
                          re.search(rf"\b{cpus} ?T", shown),
                          f"{kind}, {cpus} CPUs: a whole pass finds nothing", shown)


def x64():
    """In 64-bit mode: one CPU; four of them test at once, and take turns where a test is one's."""
    for cpus in 1, 4:
        with start("-smp", str(cpus), kind="x64") as vm:
            begin(vm)
            shown = reach(vm, 6)
            TAP.check(f"{cpus} Cores {cpus} Threads" in shown and
                      ("SMP: 4T" if cpus == 4 else "SMP: Disabled") in shown,
                      f"x64: {cpus} CPUs test", shown)
            TAP.check(re.search(r"Errors: 0\b", shown), f"x64: {cpus} CPUs find nothing", shown)


def four_cpus():
    with start("-smp", "4") as vm:
        begin(vm)
        shown = reach(vm, 6)
        TAP.check("4 Cores 4 Threads" in shown and "SMP: 4T" in shown, "four CPUs test", shown)
        TAP.check(re.search(r"Errors: 0\b", shown), "they find nothing", shown)


def tortured():
    """The machine saves and reloads itself all the time."""
    with start("-torture", "5000000") as vm:
        begin(vm)
        shown = reach(vm, 6, 600)
        TAP.check(re.search(r"Errors: 0\b", shown), "nothing under -torture", shown)


TAP.run(runs, x64, *[four_cpus, whole_passes, tortured] * LONG)
TAP.finish()
