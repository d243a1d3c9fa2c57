#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Debian's Xen with two CPUs in x2APIC mode, which it enters wherever CPUs have it (Linux does with
interrupt remapping only): it finds its clock in the event timers, starts the other CPU, and begins to
run a Linux as its first domain; a snapshot in between goes on in another process.  Its x2APIC is
compared with nothing: QEMU's TCG has none in 7.2."""
import gzip
import os
import re
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
LONG = os.environ.get("TEST_LONG") == "1"


def unpack():
    path = guests.package("xen-hypervisor-4.17-amd64", "amd64") + "/boot/xen-4.17-amd64.gz"
    with gzip.open(path) as packed, open(TMP + "/xen", "wb") as plain:
        shutil.copyfileobj(packed, plain)
    return TMP + "/xen"


def options(disk):
    kernel, modules = guests.kernel("linux-image-cloud-amd64", "amd64")
    initrd = guests.initramfs(TMP + "/initrd.gz", modules, arch="amd64")
    return ["-M", "pc,hpet=on", "-cpu", "Nehalem,+x2apic", "-smp", "2", "-m", "256", "-nodefaults",
            "-drive", f"file={disk},format=qcow2,if=ide,id=hd0", "-kernel", unpack(), "-append",
            "com1=115200 console=com1 noreboot loglvl=all dom0_mem=96M", "-initrd",
            f"{kernel} console=hvc0 earlyprintk=xen,{initrd}"]


def main():
    args = options(linux686.disk(TMP + "/disk.qcow2", "8M"))
    vm = VM(*args)
    vm.serial.expect(r"Switched to APIC driver x2apic\w*\r?\n", 60)
    TAP.check(True, "it switches to x2APIC mode")
    vm.serial.expect(r"Platform timer is 100\.000MHz HPET", 60)
    TAP.check(True, "its clock is the event timers'")
    vm.serial.expect("Brought up 2 CPUs", 60)
    TAP.check(True, "it starts the other CPU")
    TAP.equal(vm.hmp("savevm up"), "", "savevm")
    vm.quit()
    vm.kill()
    vm = VM(*args, "-loadvm", "up")
    vm.serial.expect(r"Dom0 has maximum 2 VCPUs", 120)
    vm.serial.expect(r"\] Linux version", 120)
    TAP.check(True, "after loadvm its first domain begins to run")
    if LONG:  # what that process says is not heard: Debian's kernel has no console of Xen's (XEN_DOM0)
        vm.serial.expect("Run /init as init process", 240)
        TAP.check(True, "and comes to its first process")
    said = vm.serial.data.decode(errors="replace")
    TAP.check(not re.search(r"Panic|stuck|APIC error", said), "nothing is amiss", said[-2000:])
    vm.quit()
    vm.kill()


TAP.run(main)
TAP.finish()
