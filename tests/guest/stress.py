#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Linux at work: a storm of forks and execs, big numbers, SHA-256, SSE and x87, and in the long
form the host's C compiler over and over; results equal the host's, also those of work that was
saved in its midst and loaded again."""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import bootdisk
import guests
import linux686
from guest_vm import TIMES
from tap import Tap

TAP = Tap()
TMP, SRC = os.environ["TMPDIR"], os.environ["SRCDIR"]
LONG = "TEST_LONG" in os.environ
COMPILATIONS = 12
COMPLAINTS = "dmesg | grep -E 'BUG:|Oops|Call Trace|segfault|WARNING|I/O error'"


def run(*argv, **kw):
    return subprocess.run(argv, capture_output=True, check=True, **kw).stdout


def program():
    run("gcc", "-O2", "-static", "-o", TMP + "/stress", SRC + "/tests/guest/data/stress.c", "-lm")
    with open(TMP + "/stress", "rb") as f:
        return f.read()


def start(cpus, extra, disk, modules=("ata_piix", "sd_mod")):
    kernel, folder = guests.kernel("linux-image-cloud-amd64", "amd64")
    initrd = guests.initramfs(TMP + "/initrd.gz", folder, linux686.closure(folder, modules),
                              arch="amd64", extra=extra)
    return linux686.boot(["-M", "pc", "-cpu", "qemu64", "-smp", str(cpus), "-m", "192",
                          "-nodefaults", "-drive", f"file={disk},format=qcow2,if=ide",
                          "-kernel", kernel, "-initrd", initrd, "-append", linux686.APPEND])


def until(vm, command, want, timeout):
    """Until the command's answer is the one."""
    end = time.monotonic() + timeout * TIMES
    got = vm.shell(command).strip()
    while got != want and time.monotonic() < end:
        time.sleep(0.2)
        got = vm.shell(command).strip()
    return got


def work(cpus):
    """Runs to its end, then again from a snapshot in the midst."""
    what, rounds = f"{cpus} CPUs" if cpus > 1 else "one CPU", 40 if LONG else 20
    disk = linux686.disk(f"{TMP}/state{cpus}.qcow2")
    vm = start(cpus, {"stress": program()}, disk)
    want = run(TMP + "/stress", str(rounds)).decode()
    vm.shell(f"(/stress {rounds} > /tmp/out; echo ended >> /tmp/out) & true")
    begun = until(vm, "[ -s /tmp/out ] && echo begun", "begun", 60)
    said = vm.hmp("savevm midst")
    TAP.check("Error" not in said, what + ": savevm in the midst", said)
    TAP.check(begun == "begun" and "ended" not in vm.shell("cat /tmp/out"),
              what + ": it is at work")
    for time_ in "first", "after loadvm":
        until(vm, "tail -n 1 /tmp/out", "ended", 250)
        TAP.equal(vm.shell("cat /tmp/out"), want + "ended\n",
                  f"{what}, {time_}: the host's results")
        TAP.equal(vm.shell(COMPLAINTS).strip(), "", f"{what}, {time_}: no complaint")
        if time_ == "first":
            vm.hmp("loadvm midst")
            TAP.check("ended" not in vm.shell("cat /tmp/out"), what + ": it is at work again")
    vm.quit()
    vm.kill()


def compiler(path):
    """A disk with the host's C compiler, what it is linked to, and something to compile."""
    cc1 = run("gcc", "-print-prog-name=cc1").decode().strip()
    files = {}
    for p in {cc1, *re.findall(r"(/\S+)", run("ldd", cc1).decode())}:
        with open(p, "rb") as f:
            files[p.lstrip("/")] = f.read()
    files["in.i"] = run("gcc", "-E", "-P", SRC + "/tests/guest/data/stress.c")
    root = bootdisk.tree(TMP + "/cc", files)
    bootdisk.ext(TMP + "/cc.raw", 128, root)
    run(linux686.IMG, "convert", "-f", "raw", "-O", "qcow2", TMP + "/cc.raw", path)
    run(cc1, "-quiet", "-fpreprocessed", "-O2", TMP + "/cc/in.i", "-o", TMP + "/out.s")
    with open(TMP + "/out.s", "rb") as f:
        return cc1, hashlib.sha256(f.read()).hexdigest()


def compiles():
    cc1, want = compiler(TMP + "/cc.qcow2")
    vm = start(2, {}, TMP + "/cc.qcow2", ("ata_piix", "sd_mod", "crc32c_generic", "ext4"))
    vm.shell("mount -t ext4 /dev/sda /mnt")
    vm.shell(f"echo 'for i in $(seq {COMPILATIONS}); do chroot /mnt {cc1} -quiet -fpreprocessed -O2 "
             "/in.i -o /out$i.s || echo failed; sha256sum < /mnt/out$i.s; done > /tmp/sums 2>&1; "
             "echo ended >> /tmp/sums' > /tmp/loop")
    vm.shell("sh /tmp/loop & true")
    until(vm, "[ $(wc -l < /tmp/sums) -ge 2 ] && echo two", "two", 600)
    said = vm.hmp("savevm midst")
    TAP.check("Error" not in said, "savevm between compilations", said)
    for time_ in "first", "after loadvm":
        until(vm, "tail -n 1 /tmp/sums", "ended", 2000)
        TAP.equal(vm.shell("cat /tmp/sums"), f"{want}  -\n" * COMPILATIONS + "ended\n",
                  time_ + ": all compilations give what the host's does")
        if time_ == "first":
            vm.hmp("loadvm midst")
            sums = vm.shell("cat /tmp/sums")
            TAP.check("ended" not in sums, "loadvm: it is at work again", sums)
    TAP.equal(vm.shell(COMPLAINTS).strip(), "", "no complaint")
    vm.quit()
    vm.kill()


def one():
    work(1)


def two():
    work(2)


if os.uname().machine != "x86_64" or not shutil.which("gcc"):
    TAP.skip("stress", "needs gcc on an x86-64 host, which knows the results")
else:
    TAP.run(one, *[two, compiles] * LONG)
TAP.finish()
