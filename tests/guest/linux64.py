#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Debian's amd64 kernel: to a shell, programs and the disk work there, a snapshot of it goes on
where it was, and it moves to QEMU and back while it computes."""
import os
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
QEMU = "qemu-system-x86_64"
COMPLAINTS = "dmesg | grep -E 'BUG:|Oops|Call Trace|Unhandled|unchecked MSR|segfault|WARNING|alg: .*fail'"


def options(machine, cpu, disk):
    return ["-M", machine, "-cpu", cpu, "-m", "96", "-nodefaults", "-drive",
            f"file={disk},format=qcow2,if=ide,index=0,id=hd0"]


def boot(cpu, disk):
    kernel, modules = guests.kernel("linux-image-cloud-amd64", "amd64")
    initrd = guests.initramfs(TMP + "/initrd.gz", modules,
                              linux686.closure(modules, ("ata_piix", "sd_mod")), arch="amd64")
    return linux686.boot([*options("pc", cpu, disk), "-kernel", kernel, "-initrd", initrd,
                          "-append", linux686.WHOLE])


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


def hop(vm, cpu, disk, qemu):
    """Moves the guest to QEMU or back from it; answers the new VM."""
    uri = f"unix:{TMP}/hop{qemu:d}"
    machine = "pc-i440fx-7.2,usb=off,vmport=off" if qemu else "pc"
    dst = VM(*options(machine, cpu, disk), *(["-accel", "tcg"] if qemu else []), "-incoming", uri,
             emulator=QEMU if qemu else None, tag="qemu" if qemu else "stasis")
    vm.hmp("migrate_set_parameter max-bandwidth 1G")
    vm.hmp("migrate -d " + uri)
    status, text = vm.wait_migration()
    TAP.check(status == "completed", f"{cpu}: moved {'to QEMU' if qemu else 'back'}", text)
    vm.quit()
    dst.wait_status("running")
    return dst


def to_qemu_and_back(vm, cpu, disk):
    vm.shell("cp /tmp/r /tmp/s; sha256sum < /tmp/s > /tmp/sum; (n=0; "
             "while sha256sum < /tmp/s | cmp -s - /tmp/sum; do n=$((n+1)); echo $n >> /tmp/n; done; echo > /tmp/wrong) & true")
    for qemu in (True, False):
        vm = hop(vm, cpu, disk, qemu)
        where = f"{cpu}, {'in QEMU' if qemu else 'back'}: "
        before = int(vm.shell("tail -n 1 /tmp/n"))
        shell_and_disk(vm, where.rstrip(": "))
        after = int(vm.shell("tail -n 1 /tmp/n"))
        TAP.check(after > before, where + "it computes on", f"{before} {after}")
        TAP.check("No such file" in vm.shell("ls /tmp/wrong"), where + "every sum is right")
        TAP.equal(vm.shell(COMPLAINTS).strip(), "", where + "the kernel complains of nothing")
    return vm


def qemu64():
    disk = linux686.disk(TMP + "/disk.qcow2")
    vm = boot("qemu64", disk)
    shell_and_disk(vm, "qemu64")
    snapshot(vm, "qemu64")
    TAP.equal(vm.shell(COMPLAINTS).strip(), "", "qemu64: the kernel complains of nothing")
    if shutil.which(QEMU):
        vm = to_qemu_and_back(vm, "qemu64", disk)
    else:
        TAP.skip("to QEMU and back", QEMU + " is not installed")
    vm.quit()


TAP.run(qemu64)
TAP.finish()
