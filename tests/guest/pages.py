#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Forms in which pages travel: as differences (xbzrle), compressed, and behind something else in a
file.  A guest that checks its own pages goes from
Stasis to Stasis, to QEMU and back, each time with enough rounds for every form to occur; its RAM is
the same, byte by byte, on both sides."""
import os
import re
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
from guest_vm import STASIS, TIMES, VM
from tap import Tap

TAP = Tap()
TMP, SRC = os.environ["TMPDIR"], os.environ["SRCDIR"]
QEMU = "qemu-system-x86_64"
MIB = 32
ARRIVED = r"prelaunch|paused\b(?! \(inmigrate)"
OPTIONS = ["-M", "pc-i440fx-7.2,acpi=off,hpet=off,usb=off,vmport=off", "-cpu", "pentium3,-apic",
           "-m", str(MIB), "-nodefaults", "-vga", "std",
           "-drive", f"file={TMP}/pages.img,format=raw,if=ide,snapshot=on"]


def start(*more, qemu):
    more = [*more, "-accel", "tcg"] if qemu else more
    return VM(*OPTIONS, *more, emulator=QEMU if qemu else None, tag="qemu" if qemu else "stasis")


def counter(text, name):
    m = re.search(rf"(?m)^{name}: (\d+)", text)
    return int(m[1]) if m else -1


def ram(vm, name):
    vm.hmp(f'pmemsave 0 {MIB << 20} "{TMP}/{name}"')
    with open(f"{TMP}/{name}", "rb") as f:
        return f.read()


def checked(vm, what):
    """The guest goes on, and finds its pages as it left them."""
    vm.serial.drain()
    vm.serial.expect(r"\.\.\.", 60)
    vm.serial.expect(r"\.\.\.", 60)
    TAP.check(b"X" not in vm.serial.data, what + ": the guest finds its pages as it left them")


def move(vm, to_qemu, name, settings, wanted, source_settings=()):
    """Moves the guest once `info migrate` counts what is wanted; answers the new VM."""
    uri = f"unix:{TMP}/{name}"
    dst = start("-S", "-incoming", "defer", qemu=to_qemu)
    for line in settings:
        dst.hmp(line)
        vm.hmp(line)
    for line in source_settings:
        vm.hmp(line)
    dst.hmp(f"migrate_incoming {uri}")
    vm.hmp(f"migrate -d {uri}")
    end = time.monotonic() + 60 * TIMES
    while time.monotonic() < end:
        text = vm.hmp("info migrate")
        if not re.search(r"status: (setup|active)", text) or all(counter(text, k) >= v for k, v in wanted.items()):
            break
        time.sleep(0.02)
    vm.hmp("migrate_set_parameter downtime-limit 2000")
    vm.hmp("migrate_set_parameter max-bandwidth 1G")
    status, text = vm.wait_migration()
    TAP.equal(status, "completed", f"{name}: completed")
    for key, least in wanted.items():
        TAP.check(counter(text, key) >= least, f"{name}: {key} is counted", text)
    dst.wait_status(ARRIVED)
    there, here = ram(vm, "there"), ram(dst, "here")
    TAP.check(there == here, f"{name}: RAM is the same",
              f"{[hex(i) for i in range(0, len(here), 4096) if there[i:i + 4096] != here[i:i + 4096]][:9]}")
    vm.quit()
    vm.kill()
    dst.hmp("cont")
    checked(dst, name)
    return dst, text


def xbzrle():
    settings = ["migrate_set_capability xbzrle on"]
    slow = ["migrate_set_parameter downtime-limit 1", "migrate_set_parameter max-bandwidth 2M"]
    wanted = {"xbzrle pages": 250, "xbzrle overflow": 16, "xbzrle cache miss": 100}
    vm = start(qemu=False)
    checked(vm, "at the start")
    hops = [False, True, False] if shutil.which(QEMU) else [False]
    for n, to_qemu in enumerate(hops):
        vm, text = move(vm, to_qemu, f"xbzrle{n}", settings, wanted, slow)
        TAP.check("cache size: 67108864 bytes\n" in text, "the cache's size is told", text)
        saved = counter(text, "xbzrle pages") * 4 - counter(text, "xbzrle transferred")
        TAP.check(saved > counter(text, "xbzrle pages") * 3, "differences are shorter than pages",
                  text)
    vm.kill()


def compress():
    settings = ["migrate_set_capability compress on"]
    slow = ["migrate_set_parameter downtime-limit 1", "migrate_set_parameter max-bandwidth 2M",
            "migrate_set_parameter compress-level 6"]
    wanted = {"compression pages": 400, "dirty sync count": 2}
    vm = start(qemu=False)
    checked(vm, "at the start")
    hops = [False, True, False] if shutil.which(QEMU) else [False]
    for n, to_qemu in enumerate(hops):
        vm, text = move(vm, to_qemu, f"compress{n}", settings, wanted, slow)
        TAP.check(counter(text, "compressed size") < counter(text, "compression pages") * 4,
                  "compressed is shorter", text)
    vm.kill()


def offset():
    """file: with an offset: what lies before it is kept, what lies behind the stream is not."""
    before, path = os.urandom(12345), f"{TMP}/state"
    with open(path, "wb") as f:
        f.write(before + bytes(64 << 20))
    vm = start(qemu=False)
    checked(vm, "at the start")
    vm.hmp(f"migrate file:{path},offset={len(before)}")
    TAP.equal(vm.wait_migration()[0], "completed", "saved behind an offset")
    there = ram(vm, "there")
    vm.kill()
    with open(path, "rb") as f:
        data = f.read()
    TAP.check(data[:len(before)] == before, "what lies before the offset is kept")
    TAP.check(data[len(before):len(before) + 4] == b"QEVM", "the stream begins at the offset")
    TAP.check(len(data) < 32 << 20, "the file ends with the stream", f"{len(data)}")
    r = subprocess.run([STASIS, *OPTIONS, "-display", "none", "-incoming", f"file:{path}"],
                       capture_output=True, text=True, timeout=60)
    TAP.check(r.returncode == 1 and "Not a migration stream" in r.stderr,
              "without the offset it is refused", r.stderr)
    vm = start("-S", "-incoming", f"file:{path},offset={len(before)}", qemu=False)
    vm.wait_status(ARRIVED)
    TAP.check(ram(vm, "here") == there, "loaded from behind the offset")
    vm.hmp("cont")
    checked(vm, "from a file")
    vm.kill()


def small_cache():
    """More pages change than the cache holds: what is in it stays and is of use."""
    vm = start(qemu=False)
    checked(vm, "at the start")
    vm, text = move(vm, False, "small", ["migrate_set_capability xbzrle on"],
                    {"xbzrle pages": 100, "xbzrle cache miss": 300},
                    ["migrate_set_parameter xbzrle-cache-size 256k",
                     "migrate_set_parameter downtime-limit 1",
                     "migrate_set_parameter max-bandwidth 2M"])
    vm.kill()


if not shutil.which("nasm"):
    TAP.skip("pages", "nasm is not installed")
else:
    asm_guest.build("guest/pages.asm", TMP + "/pages.img", size=1 << 20)
    if not shutil.which(QEMU):
        TAP.skip("pages with QEMU", f"no {QEMU}")
    TAP.run(xbzrle, compress, small_cache, offset)
TAP.finish()
