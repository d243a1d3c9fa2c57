#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""Startup and interrupts between four CPUs by a guest of our own; what they have counted is
compared with ipi.expect, which QEMU agrees with.  Under an instruction clock two runs end in one
state, and so does one that is saved and loaded again and again."""
import os
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, HERE = os.environ["TMPDIR"], os.environ["SRCDIR"] + "/tests/guest"


def run(name, *more):
    """(what the guest said, the machine's digest once it has ended)."""
    disk, log = TMP + "/ipi.img", f"{TMP}/{name}.log"
    with VM("-M", "pc", "-m", "8", "-nic", "none", "-smp", "4", "-no-reboot", "-no-shutdown",
            "-rtc", "base=2020-01-01,clock=vm", "-drive", f"file={disk},format=raw,if=ide",
            "-debugcon", "file:" + log, *more) as vm:
        lines = asm_guest.output(log)
        vm.wait_status("shutdown")
        digest = vm.hmp("info hash").split()[-1]
        vm.quit()
    return lines, digest


def main():
    asm_guest.build("guest/ipi.asm", TMP + "/ipi.img", size=1024 * 1024)
    with open(HERE + "/ipi.expect") as f:
        want = [l.strip() for l in f]
    TAP.equal(run("free")[0], want, "interrupts between CPUs")
    clock = ("-icount", "shift=0,sleep=off")
    first, digest = run("first", *clock)
    TAP.equal(first, want, "the same under an instruction clock")
    TAP.equal(run("second", *clock)[1], digest, "two runs end in one state")
    TAP.equal(run("torture", *clock, "-torture", "1000003")[1], digest,
              "so does one that is saved and loaded all the time")


def monitor():
    with VM("-M", "pc", "-m", "8", "-nic", "none", "-smp", "3", "-S") as vm:
        TAP.equal([l[:9] for l in vm.hmp("info cpus").splitlines()],
                  ["* CPU #0:", "  CPU #1:", "  CPU #2:"], "info cpus")
        vm.hmp("cpu 2")
        TAP.check("* CPU #2" in vm.hmp("info cpus"), "cpu 2")
        TAP.check("CPU#2" in vm.hmp("info registers"), "info registers shows that one")
        text = vm.hmp("info registers -a")
        TAP.check(all(f"CPU#{i}" in text for i in range(3)), "info registers -a")
        TAP.equal(text.count("HLT=1"), 2, "all but the first wait")
        TAP.check("there is no CPU#3" in vm.hmp("cpu 3"), "a CPU that is not there")
        vm.quit()


if shutil.which("nasm"):
    TAP.run(main)
else:
    TAP.skip("interrupts between CPUs", "nasm is not installed")
TAP.run(monitor)
TAP.finish()
