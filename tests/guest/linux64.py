#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Debian's amd64 kernel: to a shell, programs and the disk work there, and a snapshot of it goes on
where it was."""
import os
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
COMPLAINTS = "dmesg | grep -E 'BUG:|Oops|Call Trace|Unhandled|unchecked MSR|segfault|WARNING'"


def boot(cpu, disk):
    kernel, modules = guests.kernel("linux-image-cloud-amd64", "amd64")
    initrd = guests.initramfs(TMP + "/initrd.gz", modules,
                              linux686.closure(modules, ("ata_piix", "sd_mod")), arch="amd64")
    return linux686.boot(["-M", "pc", "-cpu", cpu, "-m", "96", "-nodefaults", "-kernel", kernel,
                          "-initrd", initrd, "-append", linux686.APPEND, "-drive",
                          f"file={disk},format=qcow2,if=ide,index=0,id=hd0"])


def shell_and_disk(vm, cpu):
    TAP.check("x86_64" in vm.shell("uname -m"), cpu + ": a shell answers")
    TAP.equal(vm.shell("echo $((0x7fffffffffffffff - 1))").strip(), "9223372036854775806",
              cpu + ": arithmetic of 64 bits")
    vm.shell("dd if=/dev/urandom of=/tmp/r bs=64k count=16 2>/dev/null")
    vm.shell("dd if=/tmp/r of=/dev/sda bs=64k seek=3 conv=fsync 2>/dev/null")
    vm.shell("echo 3 > /proc/sys/vm/drop_caches")
    wrote = vm.shell("md5sum < /tmp/r").strip()
    read = vm.shell("dd if=/dev/sda bs=64k skip=3 count=16 2>/dev/null | md5sum").strip()
    TAP.check(len(wrote) > 30 and wrote == read, cpu + ": the disk gives back what was written",
              f"wrote {wrote}\nread {read}")


def snapshot(vm, cpu):
    vm.shell("state=before")
    TAP.equal(vm.hmp("savevm there"), "", cpu + ": savevm")
    vm.shell("state=after")
    TAP.equal(vm.shell("echo $state").strip(), "after", cpu + ": the guest goes on")
    TAP.equal(vm.hmp("loadvm there"), "", cpu + ": loadvm")
    TAP.equal(vm.shell("echo $state").strip(), "before", cpu + ": loadvm goes back")


def qemu64():
    disk = linux686.disk(TMP + "/disk.qcow2")
    with boot("qemu64", disk) as vm:
        shell_and_disk(vm, "qemu64")
        snapshot(vm, "qemu64")
        TAP.equal(vm.shell(COMPLAINTS).strip(), "", "qemu64: the kernel complains of nothing")
        vm.quit()


try:
    TAP.run(qemu64)
except guests.Unavailable as e:
    TAP.skip("linux64", str(e))
TAP.finish()
