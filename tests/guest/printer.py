#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Linux's lp driver prints to a file through the parallel port, by polling and by interrupt, over a
snapshot and a journey to QEMU and back."""
import os
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import journey
import linux686
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]


def printed(name):
    with open(f"{TMP}/{name}", "rb") as f:
        return f.read()


def prints(vm, name, what):
    before = printed(name)
    text = vm.shell(f"seq 1 600 | sed 's/^/{what} line /' > /dev/lp0; echo $?", 60)
    TAP.equal(text, "0\n", what + ": the driver is content")
    want = "".join(f"{what} line {i}\n" for i in range(1, 601)).encode()
    TAP.check(printed(name)[len(before):] == want, what + ": all of it is printed")


def linux():
    kernel, initrd = linux686.files(TMP, modules=("parport", "parport_pc", "lp"))
    options = linux686.options(kernel, initrd, nic=None)
    options[options.index("-M") + 1] = "pc-i440fx-7.2,acpi=off,usb=off,hpet=off,vmport=off"
    options[options.index("-cpu") + 1] = "pentium3,-apic"
    vm = linux686.boot(options + ["-parallel", f"file:{TMP}/here"])
    vm.shell("[ -e /dev/lp0 ] || mknod /dev/lp0 c 6 0")
    prints(vm, "here", "polled")
    text = vm.shell("rmmod lp parport_pc; insmod /modules/parport_pc.ko io=0x378 irq=7; "
                    "insmod /modules/lp.ko; sleep 1; dmesg | tail -5")
    TAP.check("irq 7" in text or "0x378, irq 7" in text, "the driver takes the interrupt", text)
    prints(vm, "here", "by interrupt")
    text = vm.shell("grep parport0 /proc/interrupts")
    TAP.check(text.split()[1:2] not in ([], ["0"]), "and there were some", text)
    if shutil.which(journey.QEMU):
        vm = journey.move(TAP, vm, options + ["-parallel", f"file:{TMP}/there"], qemu=True)
        prints(vm, "there", "in QEMU")
        vm = journey.move(TAP, vm, options + ["-parallel", f"file:{TMP}/back"], qemu=False)
        prints(vm, "back", "back")
    else:
        TAP.skip("QEMU", f"no {journey.QEMU}")
    vm.quit()
    vm.kill()


TAP.run(linux)
TAP.finish()
