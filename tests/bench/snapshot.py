#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 900
"""Time of savevm, of loadvm right after it, and growth of the image, with a booted Linux: Stasis
against QEMU.  A loadvm of all is in migration.py."""
import os
import shutil
import subprocess
import sys
import time

SRC = os.environ.get("SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path[:0] = [SRC + "/tests", SRC + "/tests/lib"]
import linux686
from tap import Tap

TMP = os.environ.get("TMPDIR", "/tmp")
TURNS = 5
tap = Tap()


def allocated(path):
    return os.stat(path).st_blocks * 512


def timed(vm, line):
    start = time.monotonic()
    answer = vm.hmp(line)
    assert answer.strip() in ("", line), answer
    return time.monotonic() - start


def measure(name, emulator):
    """Seconds of savevm and loadvm (the least of some turns), bytes of growth per snapshot."""
    kernel, initrd = linux686.files(TMP)
    disk = linux686.disk(f"{TMP}/{name}.qcow2")
    vm = linux686.boot(linux686.options(kernel, initrd, disk), emulator=emulator, tag=name)
    vm.hmp("stop")
    before = allocated(disk)
    saves = [timed(vm, f"savevm s{i}") for i in range(TURNS)]
    growth = (allocated(disk) - before) / TURNS
    loads = [timed(vm, f"loadvm s{i}") for i in range(TURNS)]
    vm.kill()
    check = subprocess.run(["qemu-img", "check", "-q", disk], check=False).returncode
    tap.equal(check, 0, f"{name}: the image is clean")
    print(f"# {name:20} {min(saves) * 1000:9.1f} {min(loads) * 1000:9.1f} "
          f"{growth / 1048576:12.2f}", flush=True)
    return min(saves), min(loads), growth


def main():
    print("# snapshots of Linux   savevm ms loadvm ms  MiB for each")
    ours = measure("stasis", None)
    if not shutil.which("qemu-system-i386"):
        tap.skip("against QEMU", "no qemu-system-i386")
        return
    theirs = measure("qemu", "qemu-system-i386")
    ratios = [a / b for a, b in zip(ours, theirs)]
    print("# {:20} {:9.2f} {:9.2f} {:12.2f}".format("stasis / qemu", *ratios))


tap.run(main)
tap.finish()
