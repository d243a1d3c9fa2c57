#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""The demo guest: boots, counts, survives savevm, loadvm and a migration with its sums intact."""
import os
import re
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
from tap import Tap
from guest_vm import VM

TAP = Tap()
TMP, SRC, IMG = os.environ["TMPDIR"], os.environ["SRCDIR"], os.environ["STASIS_IMG"]
LINE = (rb"ticks +(\d+) time +([\d:]+) checksum +([0-9a-f]{8}) (\S+) +boots +(\d+) nic +(\S+) "
        rb"sent +(\d+) received +(\d+)\r")


def make_disk(path):
    subprocess.run([SRC + "/demo/build.sh", SRC + "/demo", TMP + "/demo.img"], check=True)
    subprocess.run([IMG, "convert", "-f", "raw", "-O", "qcow2", TMP + "/demo.img", path],
                   check=True)


def options(disk):
    return ["-M", "pc", "-m", "16", "-drive", f"file={disk},format=qcow2,if=ide", "-nic",
            "user,model=ne2k_pci"]


def line(vm, timeout=20):
    m = vm.serial.expect(LINE, timeout)
    return {"ticks": int(m[1]), "sum": m[3].decode(), "ok": m[4].decode(), "boots": int(m[5]),
            "mac": m[6].decode(), "sent": int(m[7]), "received": int(m[8])}


def later(vm, ticks, timeout=30):
    while True:
        l = line(vm, timeout)
        if l["ticks"] >= ticks:
            return l


def boots_and_counts():
    disk = TMP + "/demo.qcow2"
    make_disk(disk)
    with VM(*options(disk)) as vm:
        l = line(vm)
        TAP.equal(l["boots"], 1, "first boot is counted")
        TAP.equal(l["mac"], "52:54:00:12:34:56", "the card's address is read")
        l = later(vm, 220)
        TAP.equal(l["ok"], "ok", "the area adds up")
        TAP.check(l["received"] >= 1, "a frame was answered", str(l))
        vm.quit()
    with VM(*options(disk)) as vm:
        TAP.equal(line(vm)["boots"], 2, "the second boot is counted on disk")


def snapshots():
    disk = TMP + "/snap.qcow2"
    make_disk(disk)
    with VM(*options(disk)) as vm:
        later(vm, 120)
        TAP.equal(vm.hmp("savevm one"), "", "savevm says nothing")
        before = later(vm, 300)
        TAP.equal(vm.hmp("loadvm one"), "", "loadvm says nothing")
        vm.serial.drain()
        back = line(vm)
        TAP.check(back["ticks"] < before["ticks"], "ticks jump back", f"{before} {back}")
        on = later(vm, back["ticks"] + 220)
        TAP.equal(on["ok"], "ok", "the area adds up after loadvm")
        TAP.check(re.search(r"--\s+one\s", vm.hmp("info snapshots")), "the snapshot is listed")
        vm.quit()
    r = subprocess.run(["qemu-img", "check", disk], capture_output=True, text=True)
    TAP.check("No errors were found" in r.stdout, "qemu-img check is clean", r.stdout + r.stderr)
    with VM(*options(disk), "-loadvm", "one") as vm:
        l = line(vm)
        TAP.check(120 <= l["ticks"] < 300, "-loadvm goes on where the snapshot was", str(l))
        TAP.equal(later(vm, l["ticks"] + 220)["ok"], "ok", "the area adds up after -loadvm")


def migration():
    disk = TMP + "/mig.qcow2"
    make_disk(disk)
    sock = TMP + "/mig.sock"
    src = VM(*options(disk), tag="src")
    later(src, 120)
    dst = VM(*options(disk), "-incoming", "unix:" + sock, tag="dst")
    src.hmp("migrate -d unix:" + sock)
    TAP.equal(src.wait_migration()[0], "completed", "the source has completed")
    src.serial.drain()
    first = line(dst)
    src.serial.drain()
    seen = [int(t) for t in re.findall(rb"ticks +(\d+) ", src.serial.data + dst.serial.data)]
    TAP.equal(seen, list(range(seen[0], seen[-1] + 1, 10)), "no line is lost or doubled")
    TAP.equal(later(dst, first["ticks"] + 220)["ok"], "ok", "the area adds up on the destination")
    TAP.check("postmigrate" in src.hmp("info status"), "the source stays stopped")
    src.kill()
    time.sleep(0.1)
    dst.kill()


TAP.run(boots_and_counts, snapshots, migration)
TAP.finish()
