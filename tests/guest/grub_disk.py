#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""GRUB from a disk: in front of the first partition, its modules and its menu in a file system.  It
loads a multiboot kernel and Linux from there, and writes to the disk."""
import hashlib
import os
import re
import shutil
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import bootdisk
import guests
import linux686
import screen
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
CONFIG = """set timeout=-1
load_env
set boots=1$boots
save_env boots
menuentry linux {
  linux /vmlinuz console=ttyS0 panic=-1 no_timer_check cryptomgr.notests noisapnp
  initrd /initrd
}
menuentry text {
  multiboot /kernel.text alpha beta=2
  module /module gamma
}
menuentry picture {
  multiboot /kernel
}
menuentry chain {
  set root=(hd0)
  chainloader +1
}
"""


def make_disk(path):
    kernel, initrd = linux686.files(TMP, modules=("ata_piix", "sd_mod"))
    files = {"boot/grub/grub.cfg": CONFIG, "module": b"m" * 5000,
             "boot/grub/grubenv": "# GRUB Environment Block\n".ljust(1024, "#")}
    multiboot = guests.package("multiboot") + "/usr/lib/multiboot/examples/kernel"
    for name, source in ("vmlinuz", kernel), ("initrd", initrd), ("kernel", multiboot):
        with open(source, "rb") as f:
            files[name] = f.read()
    files["kernel.text"] = bootdisk.without_mode(files["kernel"])
    root = bootdisk.tree(TMP + "/root", files)
    shutil.copytree(bootdisk.GRUB, root + "/boot/grub/i386-pc",
                    ignore=lambda _, names: [n for n in names if not n.endswith((".mod", ".lst"))])
    bootdisk.mbr(path, bootdisk.ext(TMP + "/fs", 48, root, kind="ext2"))
    bootdisk.grub(path, bootdisk.grub_core(TMP + "/core", "(hd0,msdos1)/boot/grub"))
    shutil.rmtree(root)
    return path


def boots(disk):
    text = bootdisk.read_ext(disk, "/boot/grub/grubenv", bootdisk.FIRST * 512).decode()
    return [l for l in text.splitlines() if l.startswith("boots=")]


def menu(vm, entry):
    screen.wait(vm, r"GNU GRUB +version.*\*linux.*text.*picture.*chain")
    for _ in range(("linux", "text", "picture", "chain").index(entry)):
        vm.hmp("sendkey down")
    screen.wait(vm, r"\*" + entry)
    vm.hmp("sendkey ret")


def multiboot(vm):
    menu(vm, "text")
    shown = screen.wait(vm, r"_lower = 639KB.*Halted.*(\n +\\){10}").string
    TAP.check("= alpha beta=2\n" in shown, "a multiboot kernel gets its command line", shown)
    m = re.search(r"tart = 0x(\w+), mod_end = 0x(\w+), cmdline = gamma\n", shown)
    TAP.check(m and int(m[2], 16) - int(m[1], 16) == 5000, "and its module", shown)


def picture(vm):
    """In the mode that GRUB sets by the VGA BIOS, the kernel draws a line."""
    menu(vm, "picture")
    want = bytearray(1024 * 768 * 3)
    for i in range(768):
        want[(i * 1024 + i) * 3 + 2] = 255
    end = time.monotonic() + 60 * TIMES
    shown = screen.picture(vm)
    while shown != (1024, 768, want) and time.monotonic() < end:
        time.sleep(0.2)
        shown = screen.picture(vm)
    TAP.equal(shown[:2], (1024, 768), "a kernel gets the mode that its header asks for")
    TAP.check(shown[2] == want, "and draws its line there")


def linux(vm, disk):
    menu(vm, "linux")
    linux686.ready(vm)
    TAP.check("Linux" in vm.shell("uname -a"), "Linux loads to a shell")
    with open(disk, "rb") as f:
        want = hashlib.sha256(f.read()).hexdigest()
    text = vm.shell("sha256sum /dev/sda", 120)
    TAP.check(want in text, "and reads the disk whole", text)


def start(disk, interface):
    return VM("-M", "pc", "-cpu", "pentium3", "-m", "64", "-nodefaults", "-vga", "std", "-drive",
              f"file={disk},format=raw,if={interface}")


def everything():
    """A multiboot kernel in text and graphics, the disk's own boot sector once more, Linux."""
    disk = make_disk(TMP + "/ide.img")
    TAP.equal(boots(disk), [], "the disk is fresh")
    with start(disk, "ide") as vm:
        multiboot(vm)
        vm.hmp("system_reset")
        picture(vm)
        vm.hmp("system_reset")
        menu(vm, "chain")
        linux(vm, disk)
        vm.quit()
    TAP.equal(boots(disk), ["boots=1111"], "GRUB wrote to the disk each time")


def virtio():
    disk = make_disk(TMP + "/virtio.img")
    with start(disk, "virtio") as vm:
        multiboot(vm)
        vm.quit()
    TAP.equal(boots(disk), ["boots=1"], "a virtio disk is written, too")


missing = [t for t in ("grub-mkimage", "mke2fs", "debugfs") if not bootdisk.tool(t)]
if missing or not os.path.isdir(bootdisk.GRUB):
    TAP.skip("GRUB", "needs grub-pc-bin, grub-common and e2fsprogs")
else:
    TAP.run(everything, virtio)
TAP.finish()
