#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Floppies: SeaBIOS boots GRUB from one, which reads another; Linux's driver reads, writes and
changes them, over snapshots in the midst of a transfer and a journey to QEMU and back."""
import hashlib
import os
import shutil
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import journey
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
GRUB = "/usr/lib/grub/i386-pc"
CONFIG = """serial
terminal_output serial
insmod gcry_sha256
hashsum --hash sha256 (fd1)/DATA.BIN
echo read
"""


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True)


def sha(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def raw(path, kib):
    with open(path, "wb") as f:
        f.write(os.urandom(kib * 1024))
    return path


def grub():
    if not shutil.which("grub-mkimage") or not shutil.which("mformat") or not os.path.isdir(GRUB):
        TAP.skip("GRUB", "needs grub-pc-bin and mtools")
        return
    with open(TMP + "/grub.cfg", "w", encoding="ascii") as f:
        f.write(CONFIG)
    run("grub-mkimage", "-d", GRUB, "-O", "i386-pc", "-o", TMP + "/core.img", "-p", "(fd0)/",
        "-c", TMP + "/grub.cfg", "biosdisk", "fat", "serial", "terminal", "echo", "hashsum",
        "gcry_sha256", "normal")
    with open(TMP + "/boot.img", "wb") as out:
        for part in GRUB + "/boot.img", TMP + "/core.img":
            with open(part, "rb") as f:
                out.write(f.read())
        out.truncate(1440 * 1024)
    raw(TMP + "/data.bin", 300)
    for kib, machine in ((1440, "pc"), (1200, "isapc"), (2880, "pc")):
        image = f"{TMP}/fat{kib}.img"
        run("mformat", "-C", "-f", str(kib), "-i", image)
        run("mcopy", "-i", image, TMP + "/data.bin", "::DATA.BIN")
        with VM("-M", machine, "-m", "16", "-nodefaults", "-vga", "std",
                "-fda", TMP + "/boot.img", "-drive", f"if=floppy,index=1,format=raw,file={image}",
                "-boot", "a") as vm:
            vm.serial.expect(sha(TMP + "/data.bin"), 60)
            TAP.check(True, f"GRUB from a floppy reads another of {kib} KiB")
            TAP.check("floppy1" in vm.hmp("info block"), "both are listed")


def check(vm, want, what):
    text = vm.shell("echo 3 > /proc/sys/vm/drop_caches; sha256sum < /dev/fd0", 120)
    TAP.check(want in text, what, text)


def complaints(vm, what):
    TAP.equal(vm.shell("dmesg | grep -E 'floppy0: |Call Trace|I/O error'"), "", what)


def midway(vm):
    """Snapshots in the midst of transfers, each loaded later: the reads that they cut end well."""
    vm.shell("(while [ ! -e /tmp/stop ]; do dd if=/dev/fd0 of=/dev/null bs=9k count=40 "
             "iflag=direct 2>&1; done | grep -E 'rror|^40' > /tmp/reads) & true")
    for i in range(6):
        TAP.equal(vm.hmp(f"savevm s{i}"), "", "savevm while it reads")
    for i in range(6):
        TAP.equal(vm.hmp(f"loadvm s{i}"), "", "loadvm")
        vm.shell("true")
    text = vm.shell("touch /tmp/stop; wait; sort -u /tmp/reads", 60)
    TAP.equal(text, "40+0 records in\n40+0 records out\n", "every read came to its end")


def linux():
    kernel, initrd = linux686.files(TMP, modules=("floppy",))
    raw(TMP + "/a.raw", 1440)
    raw(TMP + "/b.raw", 1440)
    raw(TMP + "/c.raw", 720)
    run(linux686.IMG, "convert", "-f", "raw", "-O", "qcow2", TMP + "/a.raw", TMP + "/a.qcow2")
    options = linux686.options(kernel, initrd, nic=None)
    options += ["-drive", f"if=floppy,format=qcow2,file={TMP}/a.qcow2"]
    options[options.index("-M") + 1] = "pc-i440fx-7.2,acpi=off,usb=off,hpet=off,vmport=off"
    options[options.index("-cpu") + 1] = "pentium3,-apic"
    vm = linux686.boot(options)
    check(vm, sha(TMP + "/a.raw"), "Linux reads a floppy whole")
    vm.shell("dd if=/dev/urandom of=/tmp/w bs=1k count=700; dd if=/tmp/w of=/dev/fd0 bs=1k seek=301 "
             "conv=fsync; echo 3 > /proc/sys/vm/drop_caches")
    text = vm.shell("sha256sum < /tmp/w; dd if=/dev/fd0 bs=1k skip=301 count=700 | sha256sum", 60)
    sums = [l.split()[0] for l in text.splitlines() if l.endswith(" -")]
    TAP.check(len(sums) == 2 and sums[0] == sums[1], "what it writes it reads back", text)
    midway(vm)
    want = vm.shell("sha256sum < /dev/fd0", 60).split()[0]
    if shutil.which(journey.QEMU):
        vm = journey.move(TAP, vm, options, qemu=True)
        check(vm, want, "in QEMU")
        vm = journey.move(TAP, vm, options, qemu=False)
        check(vm, want, "back")
    else:
        TAP.skip("QEMU", f"no {journey.QEMU}")
    complaints(vm, "no complaint")
    TAP.equal(vm.hmp(f"change floppy0 {TMP}/b.raw raw"), "", "another medium")
    vm.shell("sleep 4")  # the driver asks the drive every three seconds at most
    check(vm, sha(TMP + "/b.raw"), "which Linux notices")
    TAP.equal(vm.hmp("eject floppy0"), "", "none")
    TAP.check("[not inserted]" in vm.hmp("info block"), "as info block says")
    text = vm.shell("dd if=/dev/fd0 of=/dev/null count=1 2>&1")
    TAP.check("No such device" in text or "error" in text, "and Linux finds", text)
    TAP.equal(vm.hmp(f"change floppy0 {TMP}/c.raw raw read-only"), "", "one of 720K, read-only")
    vm.shell("sleep 4")
    check(vm, sha(TMP + "/c.raw"), "its format is found")
    text = vm.shell("dd if=/dev/zero of=/dev/fd0 count=1 2>&1")
    TAP.check("Read-only" in text, "and that it is protected", text)
    vm.quit()
    vm.kill()


TAP.run(grub, linux)
TAP.finish()
