#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""Protected mode by guests of our own: segment loads, gates, tasks, v86 mode, debug exceptions, and
page faults in the midst of everything; what each of them pushes, loads and saves is compared with
protection.expect and pagefaults.expect."""
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


def build(name, path):
    subprocess.run(["nasm", "-f", "bin", "-o", path, f"{HERE}/{name}.asm"], check=True)
    with open(path, "r+b") as f:
        f.truncate(1024 * 1024)


def tests(name):
    """The source's tests: the first line of each, with its comment or first instruction."""
    with open(f"{HERE}/{name}.asm") as f:
        source = f.read().split("\nTEST")[1:]
    return [re.sub(r"\s+", " ", t.strip(" ;\n").split("\nTEST")[0])[:60] for t in source]


def groups(lines):
    """Lines behind each "Tnn"."""
    out = {}
    for line in lines:
        if re.fullmatch(r"T[0-9a-f]{2}", line):
            current = out.setdefault(int(line[1:], 16), [])
        elif re.match(r"(P )?[0-9a-f]{8} ", line):
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


def run(name):
    disk, log = f"{TMP}/{name}.img", f"{TMP}/{name}.log"
    build(name, disk)
    with VM("-M", "pc", "-cpu", "pentium3", "-m", "8", "-nic", "none", "-drive",
            f"file={disk},format=raw,if=ide", "-debugcon", "file:" + log) as vm:
        lines = output(log)
        vm.quit()
    with open(f"{HERE}/{name}.expect") as f:
        want = groups(l.strip() for l in f)
    got = groups(lines)
    TAP.equal(lines.count("T00"), 1, f"{name} runs through without a reset")
    for n, text in enumerate(tests(name)):
        TAP.check(got.get(n) == want.get(n), f"{name} {n:02x}: {text}",
                  "got:  " + "\n      ".join(got.get(n, [])) + "\nwant: " +
                  "\n      ".join(want.get(n, [])))


def protection():
    run("protection")


def pagefaults():
    run("pagefaults")


if shutil.which("nasm"):
    TAP.run(protection, pagefaults)
else:
    TAP.skip("protected mode", "nasm is not installed")
TAP.finish()
