#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""A running Linux, its disk at work, goes to QEMU and comes back, by migration and by snapshot."""
import os
import shutil
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
QEMU = "qemu-system-x86_64"
CHECK = "head -c 2000000 /dev/sda | sha256sum"
ERRORS = "dmesg | grep -E 'BUG:|Oops|Call Trace|lost interrupt|qc timeout|I/O error'"


def start(options, *more, qemu=False):
    """The options without -loadvm, with more."""
    o = list(options[:options.index("-loadvm")])
    if qemu:
        o[o.index("-M") + 1] = "pc-i440fx-7.2,usb=off,vmport=off"
        return VM(*o, *more, emulator=QEMU)
    return VM(*o, *more)


def move_out(vm, path):
    vm.hmp(f'migrate "exec:cat > {path}"')
    status, text = vm.wait_migration()
    TAP.check(status == "completed", "a stream is written", text)
    vm.quit()
    vm.kill()


def move_in(options, path, qemu):
    vm = start(options, "-incoming", f"exec:cat {path}", qemu=qemu)
    vm.wait_status("running|paused$")
    if "paused" in vm.hmp("info status"):
        vm.hmp("cont")
    return vm


def alive(vm, want, what):
    """The guest answers, its disk holds what it did, and its driver has seen no trouble."""
    vm.shell("echo 3 > /proc/sys/vm/drop_caches")
    text = vm.shell(CHECK)
    TAP.check(want in text, what + ": the disk's content", text)
    TAP.equal(vm.shell(ERRORS), "", what + ": no complaint")
    before = vm.shell("cat /tmp/n")
    time.sleep(1)
    TAP.check(vm.shell("cat /tmp/n") != before, what + ": the disk is at work")


def there_and_back():
    copy, options = linux686.booted(TMP)
    vm = VM(*options)
    vm.shell("dd if=/dev/urandom of=/dev/sda bs=100k count=20 conv=fsync 2>/dev/null")
    want = vm.shell(CHECK).split()[0]
    vm.shell("(n=0; while true; do n=$((n+1)); echo $n > /tmp/n; dd if=/dev/urandom of=/dev/sda "
             "bs=128k count=8 seek=32 oflag=direct 2>/dev/null; done) & true")
    time.sleep(1)
    move_out(vm, TMP + "/1")
    vm = move_in(options, TMP + "/1", qemu=True)
    alive(vm, want, "in QEMU")
    TAP.equal(vm.hmp("savevm theirs"), "", "QEMU takes a snapshot")
    move_out(vm, TMP + "/2")
    vm = move_in(options, TMP + "/2", qemu=False)
    alive(vm, want, "back")
    TAP.equal(vm.hmp("savevm ours"), "", "a snapshot after the journey")
    TAP.equal(vm.hmp("loadvm theirs"), "", "QEMU's snapshot loads")
    alive(vm, want, "in QEMU's snapshot")
    vm.quit()
    vm.kill()
    vm = start(options, "-loadvm", "ours", qemu=True)
    alive(vm, want, "our snapshot in QEMU")
    vm.quit()
    vm.kill()
    os.unlink(copy)


if not shutil.which(QEMU):
    TAP.skip("interop", f"no {QEMU}")
else:
    TAP.run(there_and_back)
TAP.finish()
