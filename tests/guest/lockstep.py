#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 1500
"""Instruction by instruction beside QEMU: SeaBIOS from reset; a Linux kernel that unpacks its initrd
and from its shell on, both emulators going on from the same snapshot of ours."""
import os
import shutil
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import VM
from lockstep import CPU, Difference, MACHINE, lockstep
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
LONG = os.environ.get("TEST_LONG") == "1"
LIMIT = 2000000 if LONG else 25000


def compare(what, options, detours):
    """Compares LIMIT instructions, of which so many may begin a detour."""
    try:
        done, found = lockstep(options, LIMIT, TMP)
    except Difference as d:
        TAP.check(False, what, str(d))
        return
    print(f"# {what}: {done} instructions, {len(found)} detours")
    TAP.check(done == LIMIT, f"{what}: {LIMIT} instructions alike", f"only {done}")
    TAP.check(len(found) <= detours, f"{what}: hardly any detour", str(found[:20]))


def stop_outside_delay(vm):
    """QEMU's time stamp counter begins anew under an instruction clock: a loop that waits for ours
    would go on for ever, as would the calibration that comes before the initrd."""
    for _ in range(50):
        vm.hmp("stop")
        code = "".join(l.split(":")[1] for l in vm.hmp("x/128xb $eip-64").splitlines())
        if "0x0f 0x31" not in code:  # rdtsc
            return True
        vm.hmp("cont")
        time.sleep(0.02)
    return False


def linux():
    """Snapshots of a kernel that boots and of one that works, the disk twice."""
    kernel, initrd = linux686.files(TMP)
    disk = linux686.disk(TMP + "/disk.qcow2")
    options = [*MACHINE, *CPU, "-m", "64", "-nodefaults", "-vga", "std", "-kernel", kernel, "-initrd",
               initrd, "-append", linux686.APPEND]
    # As in the comparison time is the guest's: on a slow host its timer would always be overdue.
    vm = VM(*options, "-hda", disk, "-icount", "shift=0,sleep=off")
    vm.serial.expect("unpack rootfs image", 120)
    TAP.check(stop_outside_delay(vm), "the kernel does more than wait")
    TAP.check(vm.hmp("savevm early") == "", "a snapshot of the booting kernel")
    vm.hmp("cont")
    vm.serial.expect("GUEST READY", 240)
    vm.serial.expect("# ", 30)
    vm.serial.send("while :; do md5sum /bin/busybox; ls -lR /proc/irq; done >/dev/null &\n")
    vm.serial.expect("# ", 30)
    TAP.check(vm.hmp("savevm shell") == "", "a snapshot of the shell")
    vm.quit()
    vm.kill()
    for side in ("ours", "theirs"):
        shutil.copy(disk, f"{TMP}/disk-{side}.qcow2")
    return ["-m", "64", "-vga", "std", "-kernel", kernel, "-initrd", initrd,
            "-serial", f"file:{TMP}/serial-%", "-hda", f"{TMP}/disk-%.qcow2"]


def main():
    # It waits for devices by the timer, and its later part is nothing else.
    compare("SeaBIOS", ["-m", "16"], max(20, LIMIT // 5000))
    options = linux()
    # It prints, and each line has its time stamp.
    compare("a booting kernel", [*options, "-loadvm", "early"], LIMIT // 1000)
    # Each of its many timers and time stamps may be read at another instant.
    compare("a working one", [*options, "-loadvm", "shell"], LIMIT // 200)


TAP.run(main)
TAP.finish()
