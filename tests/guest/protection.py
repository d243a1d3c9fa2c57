#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""Protected mode by guests of our own: segment loads, gates, tasks, v86 mode, debug exceptions, and
page faults in the midst of everything; what each of them pushes, loads and saves is compared with
protection.expect and pagefaults.expect."""
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


def titles(name):
    """The source's tests: the first line of each, with its comment or first instruction."""
    with open(f"{HERE}/{name}.asm") as f:
        source = f.read().split("\nTEST")[1:]
    return [re.sub(r"\s+", " ", t.strip(" ;\n").split("\nTEST")[0])[:60] for t in source]


def run(name):
    disk, log = f"{TMP}/{name}.img", f"{TMP}/{name}.log"
    asm_guest.build(f"guest/{name}.asm", disk, size=1024 * 1024)
    with VM("-M", "pc", "-cpu", "pentium3", "-m", "8", "-nic", "none", "-drive",
            f"file={disk},format=raw,if=ide", "-debugcon", "file:" + log) as vm:
        lines = asm_guest.output(log)
        vm.quit()
    asm_guest.compare(TAP, name, lines, r"(P )?[0-9a-f]{8} ", titles(name))


def protection():
    run("protection")


def pagefaults():
    run("pagefaults")


if shutil.which("nasm"):
    TAP.run(protection, pagefaults)
else:
    TAP.skip("protected mode", "nasm is not installed")
TAP.finish()
