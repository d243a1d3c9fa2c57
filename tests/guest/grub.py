#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""GRUB from a CD: Linux loads from one made by grub-mkrescue; Debian's rescue CD shows its menu and
takes keys."""
import hashlib
import os
import re
import shutil
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
import screen
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
CONFIG = """set timeout=0
menuentry linux {
  linux /vmlinuz console=ttyS0 panic=-1
  initrd /initrd
}
"""


def make_cd(path):
    kernel, initrd = linux686.files(TMP, modules=("ata_piix", "sr_mod"))
    root = TMP + "/cd"
    os.makedirs(root + "/boot/grub")
    shutil.copy(kernel, root + "/vmlinuz")
    shutil.copy(initrd, root + "/initrd")
    with open(root + "/boot/grub/grub.cfg", "w", encoding="ascii") as f:
        f.write(CONFIG)
    r = subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", path, root],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


def linux_from_cd():
    missing = [p for p in ("grub-mkrescue", "xorriso", "mformat") if not shutil.which(p)]
    if missing or not os.path.isdir("/usr/lib/grub/i386-pc"):
        TAP.skip("Linux from a GRUB CD", "needs grub-pc-bin, xorriso and mtools")
        return
    make_cd(TMP + "/linux.iso")
    vm = linux686.boot(linux686.MACHINE + ["-cdrom", TMP + "/linux.iso"])
    TAP.check("Linux" in vm.shell("uname -a"), "Linux loads from a GRUB CD to a shell")
    with open(TMP + "/linux.iso", "rb") as f:
        want = hashlib.sha256(f.read()).hexdigest()
    text = vm.shell("sha256sum /dev/sr0", 120)
    TAP.check(want in text, "and reads the CD whole", text)
    vm.quit()
    vm.kill()


def rescue_cd():
    iso = guests.package("grub-rescue-pc") + "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
    with VM("-M", "pc", "-m", "32", "-nodefaults", "-vga", "std", "-cdrom", iso) as vm:
        shown = screen.wait(vm, r"GNU GRUB +version.*\*GNU/Linux.*executed automatically").string
        TAP.check(all(re.search(p, shown) for p in ("┌─{70,}┐", "Memtest86", "`e' to edit")),
                  "the rescue CD shows its menu", shown)
        vm.hmp("sendkey down")
        shown = screen.wait(vm, r"\*GNU \(aka").string
        TAP.check("automatically" not in shown, "a key moves in it and stops the clock", shown)
        vm.hmp("sendkey c")
        screen.wait(vm, r"grub>\s*$")
        screen.type_keys(vm, "lspci\n")
        shown = screen.wait(vm, r"lspci\n.*grub>").string
        TAP.check(all(i in shown for i in ("8086:1237", "8086:7000", "8086:7010", "1234:1111")),
                  "its command line lists the machine's PCI devices", shown)
        screen.type_keys(vm, "ls\n")
        shown = screen.wait(vm, r"grub> ls\n.*grub>").string
        TAP.check("(cd)" in shown, "and the CD", shown)


TAP.run(linux_from_cd, rescue_cd)
TAP.finish()
