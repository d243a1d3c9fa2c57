#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""SMBIOS as Linux finds it: the tables that the firmware publishes are those that QEMU has for the
same options, and -uuid and -smbios are in them."""
import os
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
QEMU = "qemu-system-x86_64"
UUID = "12345678-9abc-def0-1122-334455667788"
OWN = ["-uuid", UUID, "-smbios", "type=1,manufacturer=Maker,product=Thing,serial=S 1,,2",
       "-smbios", "type=2,product=Plate", "-smbios", "type=3,asset=Tag",
       "-smbios", "type=0,vendor=Writer,version=9,date=01/02/2020,release=3.4",
       "-smbios", "type=4,sock_pfx=Hole,max-speed=100", "-smbios", "type=11,value=hello,value=you",
       "-smbios", "type=17,bank=B,speed=77"]


def structures(table):
    """type -> the structure's bytes; a processor's without what CPUID says of it."""
    found, at = {}, 0
    while at < len(table):
        size = table[at + 1]
        end = table.index(b"\0\0", at + size) + 2
        body = bytearray(table[at:end])
        if body[0] == 4:
            body[8:16] = bytes(8)
        found.setdefault(body[0], []).append(bytes(body))
        at = end
        if body[0] == 127:
            break
    return found


def published(more, emulator=None):
    """The tables that the firmware has put into memory."""
    path = TMP + "/memory"
    options = ["-M", "pc-i440fx-7.2", "-m", "64", "-nodefaults", "-vga", "none"] + more
    with VM(*options, emulator=emulator, serial=False) as vm:
        end = time.monotonic() + 60 * TIMES
        while time.monotonic() < end:
            vm.hmp(f'pmemsave 0xf0000 0x10000 "{path}"')
            with open(path, "rb") as f:
                low = f.read()
            at = low.find(b"_SM_")
            where = int.from_bytes(low[at + 24:at + 28], "little")
            if at >= 0 and where:
                break
            time.sleep(0.1)
        else:
            raise TimeoutError("no SMBIOS anchor in memory")
        size = int.from_bytes(low[at + 22:at + 24], "little")
        vm.hmp(f'pmemsave {where} {size} "{path}"')
    with open(path, "rb") as f:
        return structures(f.read())


def beside_qemu():
    if not shutil.which(QEMU):
        TAP.skip("QEMU", f"no {QEMU}")
        return
    for more in [], OWN, ["-m", "300"]:
        ours, theirs = published(more), published(more, QEMU)
        for kind in sorted(set(ours) | set(theirs)):
            TAP.equal(ours.get(kind), theirs.get(kind), f"type {kind} is as in QEMU: {more[:2]}")


def in_linux():
    kernel, initrd = linux686.files(TMP, modules=())
    vm = linux686.boot(linux686.options(kernel, initrd, nic=None) + OWN)
    ids = vm.shell("cd /sys/class/dmi/id; for i in sys_vendor product_name product_serial "
                   "product_uuid board_name chassis_asset_tag bios_vendor; do cat $i; done")
    TAP.equal(ids, f"Maker\nThing\nS 1,2\n{UUID}\nPlate\nTag\nWriter\n", "what was asked for")
    vm.quit()
    vm.kill()


def refused(option, message):
    r = subprocess.run([os.environ["STASIS"], "-M", "pc", "-smbios", option, "-display", "none",
                        "-monitor", "none"], capture_output=True, text=True, timeout=20)
    TAP.check(r.returncode == 1 and message in r.stderr, f"-smbios {option}: refused", r.stderr)


def refusals():
    refused("type=99", "Don't know how to build fields for SMBIOS type 99")
    refused("vendor=x", "Must specify either 'file' or 'type'")
    refused("type=1,maker=x", "maker")
    refused("type=0,release=x", "release is NUMBER.NUMBER")
    refused("type=1,uuid=x", "Invalid UUID")
    refused("file=/nosuch", "No such file")


TAP.run(refusals, beside_qemu, in_linux)
TAP.finish()
