#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""RAM above 4 GiB: Linux sees all of 5 GiB, keeps data there, has a virtio disk read and write it,
and finds it again after loadvm and after a journey to QEMU and back."""
import os
import re
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import journey
import linux686
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]


def options():
    kernel, modules = guests.kernel("linux-image-cloud-amd64", "amd64")
    initrd = guests.initramfs(TMP + "/initrd.gz", modules,
                              linux686.closure(modules, ("virtio_pci", "virtio_blk")), arch="amd64")
    disk = linux686.disk(TMP + "/disk.qcow2", "128M")
    return ["-M", "pc-i440fx-7.2,usb=off,vmport=off", "-cpu", "qemu64", "-m", "5G", "-nodefaults",
            "-drive", f"file={disk},format=qcow2,if=virtio", "-kernel", kernel, "-initrd", initrd,
            "-append", linux686.APPEND]


def data(vm, want, what):
    """The file in memory, and what a disk's DMA brings from it and to it."""
    TAP.equal(vm.shell("md5sum < /tmp/r"), want, what + ": data in memory")
    vm.shell("dd if=/tmp/r of=/dev/vda bs=1M oflag=direct 2>/dev/null", 120)
    vm.shell("dd if=/dev/vda of=/tmp/s bs=1M count=48 iflag=direct 2>/dev/null", 120)
    TAP.equal(vm.shell("md5sum < /tmp/s; rm /tmp/s"), want, what + ": by the disk and back")
    TAP.equal(vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|I/O error'"), "",
              what + ": no complaint")


def free_high(vm):
    """Pages of the zone that begins at 4 GiB which are free."""
    text = vm.shell("cat /proc/zoneinfo")
    return int(re.search(r"zone +Normal\s+pages free +(\d+)", text)[1])


def linux():
    opts = options()
    vm = linux686.boot(opts)
    total = int(re.search(r"MemTotal: +(\d+)", vm.shell("cat /proc/meminfo"))[1])
    TAP.check(total > 4.8 * 2**20, "nearly 5 GiB", f"{total} KiB")
    ram = vm.shell("dmesg | grep BIOS-e820")
    TAP.check(re.search(r"0x0*100000000-0x0*17fffffff\] usable", ram) and
              re.search(r"-0x0*bff[0-9a-f]{5}\] usable", ram), "3 GiB below, 2 GiB above", ram)
    before = free_high(vm)
    vm.shell("dd if=/dev/urandom of=/tmp/r bs=1M count=48 2>/dev/null", 120)
    TAP.check(free_high(vm) < before - 40 * 256, "the file lies above 4 GiB")
    want = vm.shell("md5sum < /tmp/r")
    data(vm, want, "at first")
    said = vm.hmp("savevm high")
    TAP.check(re.fullmatch(r"(\d+ %\s*)*", said), "savevm", said)  # how far it is, if it takes long
    vm.shell("dd if=/dev/zero of=/tmp/r bs=1M count=48 2>/dev/null", 120)
    said = vm.hmp("loadvm high")
    TAP.check(re.fullmatch(r"(\d+ %\s*)*", said), "loadvm", said)
    data(vm, want, "after loadvm")
    for qemu in (True, False) if shutil.which(journey.QEMU) else ():
        vm = journey.move(TAP, vm, opts, qemu)
        data(vm, want, "in QEMU" if qemu else "back")
    vm.quit()
    vm.kill()


TAP.run(linux)
TAP.finish()
