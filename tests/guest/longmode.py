#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""Long mode by a guest of our own: gates, stacks, compatibility mode, system calls, addresses that
are not canonical, page faults of every kind; what is pushed is compared with longmode.expect."""
import os
import re
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, HERE = os.environ["TMPDIR"], os.environ["SRCDIR"] + "/tests/guest"


def names():
    """The source's tests, in their order."""
    with open(HERE + "/longmode.asm") as f:
        found = re.findall(r"^TEST ; (.*)$|^ +INVALID (.*)$", f.read(), re.M)
    return [a or "invalid here: " + b for a, b in found if "%1" not in a]


def groups(lines):
    """Lines behind each "Tnn"."""
    out, current = {}, []
    for line in lines:
        if re.fullmatch(r"T[0-9a-f]{2}", line):
            current = out.setdefault(int(line[1:], 16), [])
        elif re.match(r"[0-9a-f]{2} ", line):
            current.append(line)
    return out


def output(log):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if os.path.exists(log):
            with open(log) as f:
                lines = [l.strip() for l in f]
            if "Z" in lines:
                return lines
        time.sleep(0.1)
    raise TimeoutError("the guest does not come to its end")


def main():
    disk, log = TMP + "/longmode.img", TMP + "/longmode.log"
    subprocess.run(["nasm", "-f", "bin", "-o", disk, HERE + "/longmode.asm"], check=True)
    with open(disk, "r+b") as f:
        f.truncate(1024 * 1024)
    with VM("-M", "pc", "-cpu", "max", "-m", "8", "-nic", "none", "-drive",
            f"file={disk},format=raw,if=ide", "-debugcon", "file:" + log) as vm:
        lines = output(log)
        vm.quit()
    with open(HERE + "/longmode.expect") as f:
        want = groups(l.strip() for l in f)
    got = groups(lines)
    TAP.equal(lines.count("T00"), 1, "the guest runs through without a reset")
    for n, text in enumerate(names()):
        TAP.check(n in want and got.get(n) == want[n], f"{n:02x}: {text}",
                  "got:  " + "\n      ".join(got.get(n, [])) + "\nwant: " +
                  "\n      ".join(want.get(n, [])))


if shutil.which("nasm"):
    TAP.run(main)
else:
    TAP.skip("long mode", "nasm is not installed")
TAP.finish()
