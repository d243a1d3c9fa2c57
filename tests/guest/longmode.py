#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""Long mode by a guest of our own: gates, stacks, compatibility mode, system calls, addresses that
are not canonical, page faults of every kind; what is pushed is compared with longmode.expect."""
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


def titles():
    """The source's tests, in their order."""
    with open(HERE + "/longmode.asm") as f:
        found = re.findall(r"^TEST ; (.*)$|^ +INVALID (.*)$", f.read(), re.M)
    return [a or "invalid here: " + b for a, b in found if "%1" not in a]


def main():
    disk, log = TMP + "/longmode.img", TMP + "/longmode.log"
    asm_guest.build("guest/longmode.asm", disk, size=1024 * 1024)
    with VM("-M", "pc", "-cpu", "max", "-m", "8", "-nic", "none", "-drive",
            f"file={disk},format=raw,if=ide", "-debugcon", "file:" + log) as vm:
        lines = asm_guest.output(log)
        vm.quit()
    asm_guest.compare(TAP, "longmode", lines, r"[0-9a-f]{2} ", titles())


if shutil.which("nasm"):
    TAP.run(main)
else:
    TAP.skip("long mode", "nasm is not installed")
TAP.finish()
