#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""The RTL8139C+ under both of Linux's drivers (8139cp: descriptor rings with checksums and
segmentation; 8139too: the older mode): megabytes both ways, snapshots under load, and a journey to
QEMU and back.  iPXE boots from its ROM."""
import os
import shutil
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import journey
import linux686
import nic
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]


def load_under_load(vm, what):
    """Snapshots while frames go out as fast as they can; each is gone back to."""
    vm.shell("(while true; do head -c 1400 /tmp/f | nc -u -w 1 10.0.2.3 9; done) "
             ">/dev/null 2>&1 & ping -c 1000 -i 0.01 10.0.2.2 >/dev/null 2>&1 & true")
    for i in range(3):
        time.sleep(0.2)
        TAP.equal(vm.hmp(f"savevm l{i}"), "", what + ": savevm under load")
    for i in (1, 0, 2):
        TAP.equal(vm.hmp(f"loadvm l{i}"), "", what + ": loadvm under load")
        vm.shell("true")
    vm.shell("kill %1 %2; killall nc ping; true")
    nic.works(TAP, vm, what + ", after loads")


def linux(driver, there, card):
    kernel, initrd = linux686.files(TMP, modules=(driver, "ata_piix", "sd_mod"))
    disk = linux686.disk(f"{TMP}/{driver}.qcow2")
    options = linux686.options(kernel, initrd, disk, nic=None) + card
    options[options.index("-M") + 1] = "pc-i440fx-7.2,acpi=off,usb=off,hpet=off,vmport=off"
    options[options.index("-cpu") + 1] = "pentium3,-apic"
    vm = linux686.boot(options)
    vm.shell("ifconfig eth0 10.0.2.15 netmask 255.255.255.0")
    nic.works(TAP, vm, driver)
    load_under_load(vm, driver)
    if there and shutil.which(journey.QEMU):
        vm = journey.move(TAP, vm, options, qemu=True)
        nic.works(TAP, vm, driver + " in QEMU")
        vm = journey.move(TAP, vm, options, qemu=False)
        nic.works(TAP, vm, driver + " back")
    elif there:
        TAP.skip("QEMU", f"no {journey.QEMU}")
    vm.quit()
    vm.kill()


def cplus():
    linux("8139cp", True, ["-nic", "user,model=rtl8139"])


def older():
    # This driver leaves the C+ to the other one.
    linux("8139too", False, ["-netdev", "user,id=n", "-device", "rtl8139,netdev=n,revision=0x10"])


def pxe():
    nic.pxe(TAP, "rtl8139")


TAP.run(pxe, cplus, older)
TAP.finish()
