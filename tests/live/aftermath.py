#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""After a migration the disks are the destination's: the source may be continued only where it can
take them back, and then writes and snapshots work as before."""
import os
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, IMG = os.environ["TMPDIR"], os.environ["STASIS_IMG"]
DISK = TMP + "/d.qcow2"
OPTIONS = ["-M", "pc", "-m", "2", "-nodefaults", "-nic", "none", "-drive",
           f"file={DISK},format=qcow2,if=ide,id=hd"]


def saved(vm, name):
    text = vm.hmp("savevm " + name)
    return text.startswith("Error") is False and name in vm.hmp("info snapshots")


def to_nobody():
    with VM(*OPTIONS) as vm:
        TAP.check(saved(vm, "before"), "a snapshot before")
        vm.hmp('migrate "exec:cat > /dev/null"')
        TAP.equal(vm.wait_migration()[0], "completed", "the state has gone to a command")
        TAP.equal(vm.hmp("cont"), "", "the guest is continued here")
        TAP.check(saved(vm, "after"), "and has its disk again")
        vm.quit()


def to_another():
    with VM(*OPTIONS) as vm, VM(*OPTIONS, "-incoming", f"unix:{TMP}/m") as other:
        vm.hmp(f"migrate unix:{TMP}/m")
        TAP.equal(vm.wait_migration()[0], "completed", "the guest is at the other process")
        other.wait_status("running")
        text = vm.hmp("cont")
        TAP.check(text.startswith("Error: hd: ") and "lock" in text, "which has the disk", text)
        TAP.check("postmigrate" in vm.hmp("info status"), "the guest stays stopped here")
        other.quit()
        TAP.equal(vm.hmp("cont"), "", "once the other one has ended it may go on here")
        TAP.check(saved(vm, "last"), "with its disk")
        vm.quit()


subprocess.run([IMG, "create", "-q", "-f", "qcow2", DISK, "4M"], check=True)
TAP.run(to_nobody, to_another)
subprocess.run(["qemu-img", "check", DISK], check=True, stdout=subprocess.DEVNULL)
TAP.finish()
