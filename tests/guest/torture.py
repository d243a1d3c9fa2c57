#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""-torture: the machine saves and reloads itself in place all the time under a Linux that is busy
with disk, timer and network, and notices nothing."""
import os
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
EVERY = "5000000"
STEPS = 400 if os.environ.get("TEST_LONG") else 10


def torture():
    _, opts = linux686.booted(os.environ["TMPDIR"])
    with VM(*opts, "-torture", EVERY) as vm:
        vm.shell("ifconfig eth0 10.0.2.15 up; (ping 10.0.2.2 > /tmp/ping 2>&1 &)")
        vm.serial.send(f"/busy.sh {STEPS}\n")
        vm.serial.expect("ALL WELL", 350)
        TAP.check(b"MISMATCH" not in vm.serial.data, "disk and memory always agreed")
        steps = vm.serial.data.count(b"step ")
        TAP.equal(steps, STEPS, "no line of the serial port was lost or doubled")
        text = vm.shell("killall -INT ping; sleep 1; cat /tmp/ping")
        TAP.check("bytes from 10.0.2.2" in text, "the network answered meanwhile", text[-300:])
        text = vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|lost interrupt|I/O error'")
        TAP.equal(text.strip(), "", "the kernel complains of nothing")
        TAP.check("running" in vm.hmp("info status"), "the machine runs")


TAP.run(torture)
TAP.finish()
