#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 600
"""savevm and loadvm under Linux: idle, and busy with disk, timer and network; across kill -9; the
disk's content goes with the memory's."""
import os
import re
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]


def image_is_clean(path, name):
    r = subprocess.run(["qemu-img", "check", path], capture_output=True, text=True)
    TAP.check(r.returncode == 0 and "No errors were found" in r.stdout, name, r.stdout + r.stderr)


def write_disk(vm, text):
    vm.shell(f"printf '%-512s' '{text}' > /tmp/x; dd if=/tmp/x of=/dev/sda bs=512 seek=9 "
             "conv=fsync 2>/dev/null")


def read_disk(vm):
    vm.shell("echo 3 > /proc/sys/vm/drop_caches")
    return vm.shell("dd if=/dev/sda bs=512 skip=9 count=1 2>/dev/null").strip()


def states():
    """What memory, disk and a variable say must always be of one moment."""
    disk, opts = linux686.booted(TMP)
    vm = VM(*opts)
    vm.shell("X=a")
    write_disk(vm, "state a")
    TAP.equal(vm.hmp("savevm a"), "", "savevm a")
    vm.shell("X=b")
    write_disk(vm, "state b")
    TAP.equal(vm.hmp("savevm b"), "", "savevm b")
    vm.shell("X=c")
    write_disk(vm, "state c")
    for name in "abab":
        TAP.equal(vm.hmp("loadvm " + name), "", "loadvm " + name)
        TAP.equal((vm.shell("echo $X").strip(), read_disk(vm)), (name, "state " + name),
                  f"memory and disk are those of {name}")
    names = re.findall(r"(?m)^--\s+(\S+)", vm.hmp("info snapshots"))
    TAP.equal(names, ["booted", "a", "b"], "they are listed")
    vm.kill()
    image_is_clean(disk, "the image is clean after kill -9")
    listed = subprocess.run(["qemu-img", "snapshot", "-l", disk], capture_output=True,
                            text=True).stdout
    TAP.check(all(re.search(rf"(?m)^\d+\s+{n}\s", listed) for n in names), "qemu-img lists them",
              listed)
    opts[opts.index("booted")] = "a"
    with VM(*opts) as vm:
        TAP.equal((vm.shell("echo $X").strip(), read_disk(vm)), ("a", "state a"),
                  "-loadvm a in a new process")
        TAP.equal(vm.hmp("delvm a"), "", "delvm")
        TAP.check("does not exist" in vm.hmp("loadvm a"), "a deleted snapshot is gone")
        TAP.equal(vm.shell("echo $X").strip(), "a", "a refused loadvm leaves the guest running")
        vm.quit()
    image_is_clean(disk, "the image is clean after delvm")


def busy():
    """Saves and rewinds under a guest that checks its disk all the time."""
    disk, opts = linux686.booted(TMP)
    vm = VM(*opts)
    vm.shell("ifconfig eth0 10.0.2.15 up; (ping 10.0.2.2 > /dev/null 2>&1 &)")
    vm.serial.send("/busy.sh 400\n")
    vm.serial.expect(r"step 5\r", 60)
    seen = 0
    for i in range(6):
        TAP.equal(vm.hmp(f"savevm busy"), "", f"savevm {i} under load")
        vm.serial.drain(0.3)
        before = [int(n) for n in re.findall(rb"step (\d+)\r", vm.serial.data)][-1]
        if i % 2:
            TAP.equal(vm.hmp("loadvm busy"), "", f"loadvm {i} under load")
            vm.serial.drain()
            m = vm.serial.expect(r"step (\d+)\r", 60)
            TAP.check(int(m.group(1)) <= before + 1, "the guest was rewound",
                      f"{before} {m.group(1)}")
        seen = before
    TAP.check(seen > 5, "the guest makes progress")
    vm.serial.expect("ALL WELL", 300)
    TAP.check(b"MISMATCH" not in vm.serial.data, "disk and memory always agreed")
    text = vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|lost interrupt|I/O error'")
    TAP.equal(text.strip(), "", "the kernel complains of nothing")
    vm.kill()
    image_is_clean(disk, "the image is clean after a busy guest")


TAP.run(states, busy)
TAP.finish()
