# SPDX-License-Identifier: MIT
"""The guest of tests/live/walker.asm, which checks and writes all its RAM over and over."""
import os
import re
import time

import asm_guest
from guest_vm import TIMES, VM

TMP = os.environ["TMPDIR"]
MACHINE = ["-M", "pc-i440fx-7.2,acpi=off,usb=off,hpet=off,vmport=off", "-cpu", "pentium3,-apic",
           "-nodefaults", "-vga", "std", "-rtc", "clock=vm"]


def build(name, *defines):
    path = f"{TMP}/{name}.rom"
    asm_guest.build("live/walker.asm", path, *defines)
    return path


def start(rom, *more, **kw):
    return VM(*MACHINE, "-m", "16", "-bios", rom, *more, serial=False, **kw)


def word(vm, addr):
    return int(vm.hmp(f"xp /1wx {addr:#x}").split()[-1], 16)


def written(vm, end):
    """How many pages it has written since it began, where its walk ends there."""
    at = int(re.search(r"EDI=([0-9a-f]{8})", vm.hmp("info registers"))[1], 16)
    return word(vm, 0x7000) * ((end - 0x100000) >> 12) + ((at - 0x100000) >> 12)


def passes(vm, n):
    """Waits until the guest has made n more passes over its RAM; where it found one wrong, or 0."""
    first, end = word(vm, 0x7000), time.monotonic() + 60 * TIMES
    while word(vm, 0x7000) < first + n and not word(vm, 0x7004) and time.monotonic() < end:
        time.sleep(0.02)
    return word(vm, 0x7004) or (0 if word(vm, 0x7000) >= first + n else "stands still")


def both(src, dst, want):
    """The status of a migration on either side, once it is this one."""
    return src.await_migration(want), dst.await_migration(want)
