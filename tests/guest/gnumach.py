#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""GNU Mach, by -kernel: finds memory, the PCI BIOS and a disk, and starts a first task, which prints
through the kernel's call gate and writes memory that is made when it is touched."""
import gzip
import os
import re
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
import guests
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
TASK = "$(task-create) $(task-resume)"


def mach():
    root = guests.package("gnumach-image-1.8-486", "i386")
    with gzip.open(root + "/boot/gnumach-1.8-486.gz") as f, open(TMP + "/mach", "wb") as out:
        shutil.copyfileobj(f, out)
    asm_guest.build("guest/machtask.asm", TMP + "/task")
    disk = linux686.disk(TMP + "/disk.qcow2")
    with VM("-M", "pc", "-cpu", "pentium3", "-m", "48", "-nodefaults", "-vga", "std", "-hda", disk,
            "-kernel", TMP + "/mach", "-append", "console=com0", "-initrd",
            f"{TMP}/task one {TASK}") as vm:
        vm.serial.expect(r"GNU Mach [\d.]+", 60)
        m = vm.serial.expect(r": 0*100000:0*([0-9a-f]+), available", 30)
        TAP.check(47 << 20 <= int(m[1], 16) <= 48 << 20, "it finds its memory", m[0])
        vm.serial.expect(r"PCI BIOS revision 2.10", 30)
        vm.serial.expect(r"82371 PIIX3", 30)
        m = vm.serial.expect(r"hd0: STASIS[^\r\n]*", 60)
        TAP.check(re.search(rb"HARDDISK, 6[45] ?MB", m[0]), "and the disk", m[0])
        vm.serial.expect(r"task: hello", 60)
        TAP.check(True, "a task in ring 3 prints through a call gate")
        TAP.equal(vm.serial.expect(r"task: (well|bad)", 60)[1], b"well",
                  "memory is made when it is touched")


if shutil.which("nasm"):
    TAP.run(mach)
else:
    TAP.skip("GNU Mach", "needs nasm")
TAP.finish()
