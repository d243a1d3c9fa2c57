#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""SeaBIOS: finds nothing to boot, offers its boot menu, obeys -boot; drives by -drive, -device."""
import os
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import screen
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, SRC = os.environ["TMPDIR"], os.environ["SRCDIR"]
PLAIN = ["-M", "pc", "-m", "32", "-nodefaults", "-vga", "std"]


def nothing():
    with VM(*PLAIN) as vm:
        shown = screen.wait(vm, r"SeaBIOS.*No bootable device\.[^\n]*").string
        TAP.check("Retrying" not in shown, "with nothing to boot it stops", shown)


def rescue_cd():
    return guests.package("grub-rescue-pc") + "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"


def make_demo():
    subprocess.run([SRC + "/demo/build.sh", SRC + "/demo", TMP + "/demo.img"], check=True)


def order():
    make_demo()
    both = PLAIN + ["-drive", f"file={TMP}/demo.img,format=raw", "-cdrom", rescue_cd()]
    for options, what in (([], "ticks"), (["-boot", "d"], "GNU GRUB"), (["-boot", "c"], "ticks"),
                          (["-boot", "order=dc"], "GNU GRUB")):
        with VM(*both, *options) as vm:
            TAP.check(screen.wait(vm, what), f"{' '.join(options) or 'no -boot'}: {what}")
    with VM(*both, "-boot", "menu=on,splash-time=60000") as vm:
        screen.wait(vm, "Press ESC for boot menu")
        vm.hmp("sendkey esc")
        screen.wait(vm, "Select boot device:.*ata0-0")
        vm.hmp("sendkey " + screen.wait(vm, r"(\d)\. DVD/CD")[1])
        TAP.check(screen.wait(vm, "GNU GRUB"), "the menu lists both and boots the chosen one")


def once():
    make_demo()
    drives = ["-drive", f"file={TMP}/demo.img,format=raw,if=none,id=disk",
              "-drive", f"file={rescue_cd()},format=raw,if=none,id=cd,media=cdrom",
              "-device", "ide-cd,drive=cd,bus=ide.0,unit=1", "-device", "ide-hd,drive=disk"]
    with VM(*PLAIN, *drives, "-boot", "order=c,once=d") as vm:
        TAP.check(screen.wait(vm, "GNU GRUB"), "once=d boots from CD")
        vm.hmp("system_reset")
        TAP.check(screen.wait(vm, "ticks"), "and the next time from disk")


TAP.run(nothing, order, once)
TAP.finish()
