#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""A counting Linux goes by post-copy, with a return path, and with a pause before the switchover: no
line lost or doubled; a busy writer's migration ends; a destination that dies after the guest has
come to it does not bring the guest back at the source."""
import os
import re
import signal
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]


def start():
    _, opts = linux686.booted(TMP)
    vm = VM(*opts)
    vm.serial.send("i=0; while :; do i=$((i+1)); echo N$i; usleep 10000; done\n")
    vm.serial.expect(r"N20\r", 60)
    i = opts.index("-loadvm")
    return vm, opts[:i] + opts[i + 2:]


def whole(vm, dst, what):
    dst.serial.expect(r"N\d+\r\n", 30)
    dst.serial.drain(0.2)
    vm.serial.drain(0.5)  # a socket holds some 280 single bytes: the rest comes once they are read
    got = [int(n) for n in re.findall(rb"N(\d+)\r\n", vm.serial.data + dst.serial.data)]
    got = got[got.index(20):]
    TAP.equal(got, list(range(20, 20 + len(got))), f"{what}: no line lost or doubled")


def capabilities(vms, *names):
    for vm in vms:
        for name in names:
            vm.hmp(f"migrate_set_capability {name} on")


def postcopy():
    vm, opts = start()
    uri = f"unix:{TMP}/p"
    dst = VM(*opts, "-incoming", uri, tag="dst")
    capabilities((vm, dst), "postcopy-ram")
    vm.hmp("migrate_set_parameter max-bandwidth 4M")
    vm.hmp("migrate_set_parameter max-postcopy-bandwidth 16M")
    vm.hmp(f"migrate -d {uri}")
    time.sleep(0.5)
    TAP.equal(vm.hmp("migrate_set_capability events on").strip(),
              "Error: There's a migration process in progress", "no capability changes meanwhile")
    vm.hmp("migrate_start_postcopy")
    dst.wait_status("running")
    TAP.check("postcopy-active" in vm.hmp("info migrate"), "the guest runs before its RAM has come")
    TAP.check("postcopy-active" in dst.hmp("info migrate"), "both sides say so")
    status, text = vm.wait_migration()
    TAP.equal(status, "completed", "post-copy completes")
    TAP.check(re.search(r"postcopy ram: [1-9]", text), "pages came after the guest", text)
    TAP.check(re.search(r"postcopy request count: [1-9]", text), "some were asked for", text)
    TAP.check("completed" in dst.hmp("info migrate"), "the destination says so")
    TAP.check("postmigrate" in vm.hmp("info status"), "the source's guest has left")
    whole(vm, dst, "post-copy")
    vm.kill()
    dst.kill()


def return_path_and_pause():
    vm, opts = start()
    uri = f"unix:{TMP}/r"
    dst = VM(*opts, "-incoming", uri, tag="dst")
    capabilities((vm,), "return-path", "pause-before-switchover")
    TAP.check("none" in vm.hmp("migrate_continue pre-switchover"), "nothing to continue yet")
    vm.hmp(f"migrate -d {uri}")
    end = time.monotonic() + 30 * TIMES
    while "pre-switchover" not in vm.hmp("info migrate") and time.monotonic() < end:
        time.sleep(0.02)
    TAP.check("finish-migrate" in vm.hmp("info status"), "stopped before the switchover")
    TAP.check("inmigrate" in dst.hmp("info status"), "and not yet over there")
    vm.hmp("migrate_continue pre-switchover")
    TAP.equal(vm.wait_migration()[0], "completed", "goes on when told")
    whole(vm, dst, "return path, pause")
    vm.kill()
    dst.kill()


def cut():
    vm, opts = start()
    uri = f"unix:{TMP}/c"
    dst = VM(*opts, "-incoming", uri, tag="dst")
    capabilities((vm, dst), "postcopy-ram")
    vm.hmp("migrate_set_parameter max-bandwidth 2M")
    vm.hmp("migrate_set_parameter max-postcopy-bandwidth 2M")
    vm.hmp(f"migrate -d {uri}")
    time.sleep(0.2)
    vm.hmp("migrate_start_postcopy")
    dst.wait_status("running")
    dst.proc.send_signal(signal.SIGKILL)
    dst.kill()
    time.sleep(0.5)
    TAP.check("postcopy-paused" in vm.hmp("info migrate"), "a lost destination: post-copy pauses")
    TAP.check("Migration is not finalized yet" in vm.hmp("cont"), "cont is refused")
    vm.hmp("system_reset")
    TAP.check("finalized" in vm.hmp("cont"), "after a reset, too")
    TAP.check("finish-migrate" in vm.hmp("info status"), "the guest does not run a second time")
    TAP.check("Error" in vm.hmp("loadvm booted"), "nor from a snapshot: the disks are not ours")
    vm.kill()


def busy():
    vm, opts = start()
    uri = f"unix:{TMP}/b"
    vm.serial.send("\x03")
    vm.serial.send("while :; do dd if=/dev/zero of=/x bs=1M count=16 2>/dev/null; done\n")
    dst = VM(*opts, "-incoming", uri, tag="dst")
    vm.hmp("migrate_set_parameter max-bandwidth 16M")
    vm.hmp("migrate_set_parameter downtime-limit 30")
    begin = time.monotonic()
    vm.hmp(f"migrate -d {uri}")
    status, text = vm.wait_migration()
    took = time.monotonic() - begin
    total = int(re.search(r"total ram: (\d+)", text).group(1)) / 16384
    TAP.equal(status, "completed", "a guest that writes faster than the channel takes still leaves")
    TAP.check(took < 1.5 * total + 1, "in time", f"{took:.1f} s for {total:.1f} s of RAM\n{text}")
    vm.kill()
    dst.kill()


TAP.run(postcopy, return_path_and_pause, cut, busy)
TAP.finish()
