#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the firmware is told to boot: -boot order=, once= and menu=; drives by -device."""
import os
import re
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
PLAIN = ["-M", "pc", "-nodefaults", "-vga", "std", "-m", "64"]
GRUB_CD = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"  # in package grub-rescue-pc


def screen(vm):
    """The text on the screen, a line each row."""
    words = re.findall(r"0x([0-9a-f]{4})\b", vm.hmp("xp /2000xh 0xb8000"))
    text = "".join(chr(int(w, 16) & 0xff) for w in words)
    return "\n".join(text[i:i + 80].rstrip(" \0") for i in range(0, len(text), 80))


def check(vm, what, pattern, timeout=60):
    """The screen comes to show the pattern."""
    end = time.monotonic() + timeout
    while not re.search(pattern, text := screen(vm)) and time.monotonic() < end:
        time.sleep(0.1)
    TAP.check(re.search(pattern, text), what, text)


def boot(*options):
    return VM(*PLAIN, *options, serial=False)


def end(vm):
    vm.quit()
    vm.kill()


def menu():
    vm = boot("-boot", "menu=on,splash-time=60000")
    check(vm, "-boot menu=on", "Press ESC for boot menu")
    vm.hmp("sendkey esc")
    check(vm, "the menu", "Select boot device")
    end(vm)


def order():
    try:
        cd = guests.package("grub-rescue-pc") + GRUB_CD
    except guests.Unavailable as e:
        TAP.skip("order", str(e))
        return
    disk = TMP + "/empty"
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    drives = ["-drive", f"file={disk},format=raw,if=none,id=disk",
              "-drive", f"file={cd},format=raw,if=none,id=cd,media=cdrom",
              "-device", "ide-cd,drive=cd,bus=ide.0,unit=1", "-device", "ide-hd,drive=disk"]
    vm = boot("-boot", "order=c,once=d", *drives)
    check(vm, "once=d boots from CD", "GNU GRUB")
    vm.hmp("system_reset")
    check(vm, "the next time the disk comes first", "Booting from Hard Disk")
    end(vm)
    vm = boot("-boot", "dc", *drives)
    check(vm, "-boot dc boots from CD", "GNU GRUB")
    end(vm)


TAP.run(menu, order)
TAP.finish()
