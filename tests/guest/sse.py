#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""SSE under Debian's kernel: the kernel's own checksums choose it, and four processes compute with
packed and scalar numbers what the host computes, also from a snapshot taken in their midst."""
import os
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
SOURCE = os.environ["SRCDIR"] + "/tests/guest/data/sse_work.c"
FLAGS = ["-O2", "-ffp-contract=off", "-fno-stack-protector", "-o"]
GUEST = ["-m32", "-msse2", "-mfpmath=sse", "-ffreestanding", "-nostdlib", "-static", "-fno-pie",
         "-no-pie"]
PROCESSES = 4


def build():
    """The hash that the host computes, and the guest's program."""
    subprocess.run(["gcc", *FLAGS, TMP + "/host", SOURCE], check=True)
    subprocess.run(["gcc", *GUEST, *FLAGS, TMP + "/guest", SOURCE], check=True)
    host = subprocess.run([TMP + "/host"], capture_output=True, text=True, check=True).stdout
    with open(TMP + "/guest", "rb") as f:
        return host.strip(), f.read()


def hashes(vm):
    """What the processes wrote, up to the end of the last."""
    vm.serial.expect("ALL DONE", 120)
    vm.serial.mark = 0
    return [vm.serial.expect(rb"hash [0-9a-f]{8}\r?\n").group().decode().strip()
            for _ in range(PROCESSES)]


def sse():
    host, program = build()
    kernel, mods = guests.kernel_686()
    initrd = guests.initramfs(
        TMP + "/initrd.gz", mods, linux686.closure(mods, ["ata_piix", "sd_mod", "xor", "raid6_pq"]),
        extra={"work": program})
    disk = linux686.disk(TMP + "/d.qcow2", "256M")
    vm = linux686.boot(linux686.options(kernel, initrd, disk, nic=None) +
                       ["-cpu", "pentium3,+sse2"])
    flags = vm.shell("grep flags /proc/cpuinfo").split()
    TAP.check({"fxsr", "sse", "sse2"} <= set(flags), "the kernel sees SSE and SSE2", flags)
    text = vm.shell("dmesg | grep -E 'raid6|xor'")
    TAP.check("raid6: using algorithm sse2" in text, "its RAID 6 chooses SSE2", text)
    TAP.check("sse " in text and "MB/sec" in text, "its XOR tries SSE", text)
    for line in text.splitlines():
        print("# " + line)

    vm.serial.data, vm.serial.mark = b"", 0
    vm.serial.send("/work; while pidof work >/dev/null; do usleep 20000; done; echo ALL DON''E\n")
    vm.serial.expect("at work")
    TAP.equal(vm.hmp("savevm midst"), "", "a snapshot in the midst")
    TAP.equal(hashes(vm), [host] * PROCESSES, "every process computes what the host computes")
    vm.serial.data, vm.serial.mark = b"", 0
    TAP.equal(vm.hmp("loadvm midst"), "", "back in the midst")
    TAP.equal(hashes(vm), [host] * PROCESSES, "and computes the same again")
    text = vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|simd|FPU'")
    TAP.check("Oops" not in text and "BUG" not in text, "the kernel complains of nothing", text)
    vm.quit()
    vm.kill()


TAP.run(sse)
TAP.finish()
