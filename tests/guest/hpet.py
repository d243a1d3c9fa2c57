#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Debian's kernels with event timers: as their only clock and clock of events, by way of the 8259,
and as the one that wakes CPUs whose own timers are asleep, by way of the I/O APIC.  A snapshot goes
on where it was, the state is the same to the byte after a migration, and the guest goes to QEMU and
back."""
import os
import re
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import journey
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
COMPLAINTS = "dmesg | grep -E 'BUG:|Oops|Call Trace|WARNING|stall|unstable|lost|irq .*: nobody cared'"


def options(cpu, disk, qemu=False):
    machine = "pc-i440fx-7.2,usb=off,vmport=off,hpet=on" if qemu else "pc,hpet=on"
    return ["-M", machine, "-cpu", cpu, "-m", "96", "-nodefaults", "-rtc", "clock=vm",
            "-drive", f"file={disk},format=qcow2,if=ide,index=0,id=hd0",
            *(["-accel", "tcg"] if qemu else [])]


def boot(cpu, disk, arch, append):
    if arch == "i386":
        kernel, initrd = linux686.files(TMP, modules=("ata_piix", "sd_mod"), setup=b"")
    else:
        kernel, folder = guests.kernel("linux-image-cloud-amd64", "amd64")
        initrd = guests.initramfs(TMP + "/initrd64.gz", folder,
                                  linux686.closure(folder, ("ata_piix", "sd_mod")), arch="amd64")
    return linux686.boot([*options(cpu, disk), "-kernel", kernel, "-initrd", initrd, "-append",
                          f"{linux686.APPEND} {append}"])


def ticks(vm):
    return int(re.search(r"\b0: +(\d+)", vm.shell("cat /proc/interrupts"))[1])


def check_time(vm, what, sole):
    """Time passes, sleeps end, and nobody complains."""
    before = ticks(vm)
    slept = vm.shell("a=$(cut -d' ' -f1 /proc/uptime); sleep 0.3; echo $a $(cut -d' ' -f1 /proc/uptime)")
    a, b = map(float, slept.split())
    TAP.check(b - a >= 0.29, what + ": a sleep takes its time", slept)
    if sole:
        TAP.check(ticks(vm) > before, what + ": IRQ 0 comes", f"{before} {ticks(vm)}")
    TAP.equal(vm.shell(COMPLAINTS).strip(), "", what + ": the kernel complains of nothing")


def snapshot(vm, what):
    vm.shell("state=before")
    TAP.equal(vm.hmp("savevm there"), "", what + ": savevm")
    vm.shell("state=after")
    TAP.equal(vm.hmp("loadvm there"), "", what + ": loadvm")
    TAP.equal(vm.shell("echo $state").strip(), "before", what + ": loadvm goes back")


def same_to_the_byte(vm, what, cpu, disk):
    vm.hmp("stop")
    before = vm.hmp("info hash")
    vm.hmp(f'migrate "exec:cat > {TMP}/stopped"')
    vm.wait_migration()
    vm.kill()
    vm = VM(*options(cpu, disk), "-incoming", f"exec:cat {TMP}/stopped")
    vm.wait_status("paused$")
    TAP.equal(vm.hmp("info hash"), before, what + ": the same to the byte elsewhere")
    vm.hmp("cont")
    return vm


def guest(what, cpu, arch, append, check):
    disk = linux686.disk(f"{TMP}/{arch}.qcow2")
    vm = boot(cpu, disk, arch, append)
    check(vm, what)
    sole = arch == "amd64"
    check_time(vm, what, sole)
    snapshot(vm, what)
    check_time(vm, what + " after loadvm", sole)
    vm = same_to_the_byte(vm, what, cpu, disk)
    check_time(vm, what + " after migration", sole)
    if shutil.which(journey.QEMU):
        vm = journey.move(TAP, vm, options(cpu, disk, True), True)
        check_time(vm, what + " in QEMU", sole)
        vm = journey.move(TAP, vm, options(cpu, disk), False)
        check_time(vm, what + " back", sole)
    else:
        TAP.skip("to QEMU and back", journey.QEMU + " is not installed")
    vm.quit()
    vm.kill()


def check_sole(vm, what):
    TAP.equal(vm.shell("cat " + SOURCE).strip(), "hpet", what + ": it is the clock")
    TAP.equal(vm.shell("cat /sys/devices/system/clockevents/clockevent0/current_device").strip(), "hpet",
              what + ": and the clock of events")
    TAP.check("3 comparators, 64-bit 100.000000 MHz" in vm.shell("dmesg"),
              what + ": of 100 MHz, as its table says")


def check_broadcast(vm, what):
    TAP.equal(vm.shell("cat /sys/devices/system/clockevents/broadcast/current_device").strip(), "hpet",
              what + ": it is the clock of events for all")
    TAP.check(re.search(r"\b8: .*rtc0", vm.shell("cat /proc/interrupts")) and
              "hpet irqs" in vm.shell("dmesg | grep rtc"), what + ": the RTC's interrupt is its own")


def rtc_by_hpet(vm):
    """The kernel makes the clock's interrupts of timer 1's."""
    vm.shell("echo 0 > /sys/class/rtc/rtc0/wakealarm; echo +2 > /sys/class/rtc/rtc0/wakealarm")
    vm.shell("while [ -n \"$(cat /sys/class/rtc/rtc0/wakealarm)\" ]; do sleep 0.1; done")
    TAP.check(True, "an alarm comes by timer 1")


def broadcast(vm, what):
    check_broadcast(vm, what)
    rtc_by_hpet(vm)


def sole():
    guest("amd64 without APIC", "qemu64,-apic", "amd64", "clocksource=hpet", check_sole)


def shared():
    guest("686 with APIC", "pentium3", "i386", "clocksource=hpet", broadcast)


TAP.run(sole, shared)
TAP.finish()
