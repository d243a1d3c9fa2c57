#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 240
"""Guests of our own that print paragraphs: when interrupts come (interrupts.asm), and what masked
address line 20 does (a20.asm).  What each of them says is compared with what stands beside its
source, and a machine that is saved and loaded all the time says the same."""
import os
import re
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, HERE = os.environ["TMPDIR"], os.environ["SRCDIR"] + "/tests/guest"
EVERY = "5003" if os.environ.get("TEST_LONG") else "200003"


def run(name, *more):
    disk, log = f"{TMP}/{name}.img", f"{TMP}/{name}.log"
    if os.path.exists(log):
        os.unlink(log)
    with VM("-M", "pc", "-cpu", "pentium3", "-m", "8", "-nic", "none", "-drive",
            f"file={disk},format=raw,if=ide", "-debugcon", "file:" + log, *more) as vm:
        lines = asm_guest.output(log, 400)
        vm.quit()
    return lines


def guest(name):
    asm_guest.build(f"guest/{name}.asm", f"{TMP}/{name}.img", size=1024 * 1024)
    with open(f"{HERE}/{name}.asm") as f:
        titles = re.findall(r"^    TEST ; (.*)$", f.read(), re.M)
    lines = run(name)
    asm_guest.compare(TAP, name, lines, r"", titles)
    TAP.equal(run(name, "-icount", "shift=0,sleep=off", "-torture", EVERY), lines,
              "saved and loaded all the time it says the same")


def interrupts():
    guest("interrupts")


def a20():
    guest("a20")


if shutil.which("nasm"):
    TAP.run(interrupts, a20)
else:
    TAP.skip("guests that print paragraphs", "nasm is not installed")
TAP.finish()
