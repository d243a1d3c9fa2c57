#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Debian's amd64 kernel as it is for any PC, from a root file system on a disk, virtio's or an IDE
one, to a shell; what the guest writes is on the host's disk in the end, which is clean."""
import hashlib
import os
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import bootdisk
import guests
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
LONG = "TEST_LONG" in os.environ
MODULES = ("virtio_pci", "virtio_blk", "ata_piix", "sd_mod", "crc32c_generic", "ext4")
COMPLAINTS = "dmesg | grep -E 'BUG:|Oops|Call Trace|WARNING|EXT4-fs (error|warning)|I/O err'"
SWITCH = b"""
mount -t ext4 $disk /mnt || exec sh
mount -o move /dev /mnt/dev
exec switch_root /mnt /sbin/init
"""
INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
echo GUEST READY
while :; do setsid cttyhack sh; done
"""


def make_root(path):
    with open(guests.package("busybox-static", "amd64") + "/bin/busybox", "rb") as f:
        busybox = f.read()
    root = bootdisk.tree(path + ".files", {
        "bin/busybox": busybox,
        "sbin/init": INIT, "etc/motd": "on a disk\n",
        **{d: None for d in ("dev", "proc", "sys", "tmp", "mnt", "root")}})
    return bootdisk.mbr(path, bootdisk.ext(path + ".fs", 32, root))


def from_disk(interface, device):
    kernel, folder = guests.kernel("linux-image-amd64", "amd64")
    initrd = guests.initramfs(TMP + "/initrd.gz", folder, linux686.closure(folder, MODULES),
                              setup=SWITCH, arch="amd64")
    disk = make_root(f"{TMP}/{interface}.img")
    with VM("-M", "pc", "-cpu", "qemu64", "-m", "128", "-nodefaults", "-drive",
            f"file={disk},format=raw,if={interface}", "-kernel", kernel, "-initrd", initrd,
            "-append", f"{linux686.APPEND} disk={device}") as vm:
        linux686.ready(vm)
        text = vm.shell("cat /etc/motd; uname -rm; mount")
        TAP.check(text.startswith("on a disk\n") and "-amd64 x86_64" in text and
                  f"{device} on / type ext4" in text, interface + ": its root is the disk", text)
        vm.shell("mkdir /root/d; for i in $(seq 40); do dd if=/dev/urandom of=/root/d/$i bs=10k "
                 "count=$i; done; rm /root/d/1*; cat /root/d/* > /root/all; sync", 120)
        vm.shell("echo 3 > /proc/sys/vm/drop_caches")
        sums = vm.shell("sha256sum < /root/all; cat /root/d/* | sha256sum", 120).split()
        TAP.check(len(sums) == 4 and sums[0] == sums[2], interface + ": files are what they were",
                  repr(sums))
        TAP.equal(vm.shell(COMPLAINTS).strip(), "", interface + ": no complaint of the kernel's")
        vm.shell("mount -o remount,ro /; sync")
        vm.quit()
    there = bootdisk.read_ext(disk, "/root/all", bootdisk.FIRST * 512)
    TAP.equal(hashlib.sha256(there).hexdigest(), sums[0], interface + ": so does the host")
    r = subprocess.run([bootdisk.tool("e2fsck"), "-fn", f"{disk}?offset={bootdisk.FIRST * 512}"],
                       capture_output=True, text=True, check=False)
    TAP.check(r.returncode == 0, interface + ": the file system is clean", r.stdout + r.stderr)


def virtio():
    from_disk("virtio", "/dev/vda1")


def ide():
    from_disk("ide", "/dev/sda1")


if bootdisk.tool("mke2fs") and bootdisk.tool("debugfs"):
    TAP.run(virtio, *[ide] * LONG)
else:
    TAP.skip("a root on a disk", "needs e2fsprogs")
TAP.finish()
