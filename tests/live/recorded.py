#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Streams that were recorded once load for ever: memory is what the recording says, and the guest
(edges.asm, which is busy with everything) counts on where it stood.  `recorded.py --record NAME`
adds a recording to data/; one that is there is never replaced."""
import hashlib
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.environ.setdefault("SRCDIR", os.path.dirname(os.path.dirname(HERE)))
TMP = os.environ.setdefault("TMPDIR", "/tmp")
sys.path[:0] = [SRC + "/tests", SRC + "/tests/lib"]
import asm_guest
from guest_vm import VM
from tap import Tap

DATA = HERE + "/data"
LINE = rb"([A-P]{8})\n"
OPTIONS = ["-M", "pc-i440fx-7.2,acpi=off,hpet=off,usb=off,vmport=off", "-cpu", "pentium3,-apic",
           "-m", "1", "-nodefaults", "-vga", "none", "-device", "ne2k_pci,romfile=", "-rtc",
           "clock=vm"]


def options():
    rom, disk = TMP + "/edges.rom", TMP + "/recorded.img"
    asm_guest.build("live/edges.asm", rom)
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    return OPTIONS + ["-bios", rom, "-drive", f"file={disk},format=raw,if=ide"]


def number(letters):
    """The guest says hexadecimal digits as letters from A on."""
    return int("".join("%x" % (c - ord("A")) for c in letters), 16)


def memory_sums(vm):
    sums = []
    for first, size in ((0, 0xa0000), (0xf0000, 0x10000)):
        vm.hmp(f'pmemsave {first} {size} "{TMP}/memory"')
        with open(TMP + "/memory", "rb") as f:
            sums.append(hashlib.sha256(f.read()).hexdigest())
    return sums


def record(name):
    os.makedirs(DATA, exist_ok=True)
    with VM(*options()) as vm:
        for _ in range(5):
            vm.serial.expect(LINE, 30)
        vm.hmp("stop")
        vm.serial.drain(0.2)
        last = re.findall(LINE, vm.serial.data)[-1]
        sums = memory_sums(vm)
        vm.hmp(f'migrate "exec:gzip -9n > {DATA}/{name}.gz"')
        assert vm.wait_migration()[0] == "completed"
    with open(f"{DATA}/{name}.txt", "w") as f:
        f.write("\n".join([str(number(last)), *sums]) + "\n")


def load(tap, name):
    with open(f"{DATA}/{name}.txt") as f:
        last, *sums = f.read().split()
    with VM(*options(), "-S", "-incoming", f"exec:gzip -dc {DATA}/{name}.gz") as vm:
        vm.wait_status("prelaunch|paused$")
        tap.equal(memory_sums(vm), sums, f"{name}: memory is what was recorded")
        vm.hmp("cont")
        seen = [number(vm.serial.expect(LINE, 30)[1]) for _ in range(10)]
        tap.equal(seen, [int(last) + i for i in range(1, 11)], f"{name}: the guest counts on")


def main():
    if sys.argv[1:2] == ["--record"]:
        record(sys.argv[2])
        return
    tap = Tap()
    names = sorted(n[:-3] for n in os.listdir(DATA) if n.endswith(".gz"))
    tap.check(names, "there are recordings")
    if shutil.which("nasm"):
        for name in names:
            tap.run(lambda name=name: load(tap, name))
    else:
        tap.skip("recorded", "nasm is not installed")
    tap.finish()


main()
