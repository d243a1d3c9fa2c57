#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""The e1000 under Linux's driver, which uses its checksums and segmentation: megabytes both ways,
a snapshot, and a journey to QEMU and back.  iPXE boots from its ROM."""
import os
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import journey
import linux686
import nic
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]


def linux():
    kernel, initrd = linux686.files(TMP, modules=("e1000", "ata_piix", "sd_mod"))
    options = linux686.options(kernel, initrd, linux686.disk(TMP + "/d.qcow2"),
                               nic="user,model=e1000")
    options[options.index("-M") + 1] = "pc-i440fx-7.2,acpi=off,usb=off,hpet=off,vmport=off"
    options[options.index("-cpu") + 1] = "pentium3,-apic"
    vm = linux686.boot(options)
    vm.shell("ifconfig eth0 10.0.2.15 netmask 255.255.255.0")
    nic.works(TAP, vm, "here")
    TAP.equal(vm.hmp("savevm a"), "", "savevm")
    vm.shell("ifconfig eth0 down")
    TAP.equal(vm.hmp("loadvm a"), "", "loadvm")
    nic.works(TAP, vm, "after loadvm")
    if shutil.which(journey.QEMU):
        vm = journey.move(TAP, vm, options, qemu=True)
        nic.works(TAP, vm, "in QEMU")
        vm = journey.move(TAP, vm, options, qemu=False)
        nic.works(TAP, vm, "back")
    else:
        TAP.skip("QEMU", f"no {journey.QEMU}")
    vm.quit()
    vm.kill()


def pxe():
    nic.pxe(TAP, "e1000")


TAP.run(pxe, linux)
TAP.finish()
