#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bootindex=: what the firmware says that it boots from is what it says under QEMU with the same
options; -boot strict and reboot-timeout; where a disk without bus= is put; files of -fw_cfg."""
import os
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import Tap
from vm import STASIS, Vm, image

tap = Tap()
QEMU = "qemu-system-x86_64"
TMP = tempfile.mkdtemp(prefix="order-")
D = [image(f"{TMP}/{n}.qcow2", "8M") for n in "ab"]
FLOPPY = TMP + "/floppy"
with open(FLOPPY, "wb") as f:
    f.truncate(1474560)
IDE = ["-drive", f"file={D[0]},format=qcow2,if=none,id=d0", "-device"]
BLK = ["-drive", f"file={D[1]},format=qcow2,if=none,id=d1", "-device"]

# Options, and the firmware's list.
LINES = [
    ([*IDE, "ide-hd,drive=d0,bootindex=1"], ["/pci@i0cf8/ide@1,1/drive@1/disk@0"]),
    ([*IDE, "ide-hd,drive=d0,bootindex=3,bus=ide.0,unit=1", *BLK,
      "virtio-blk-pci,drive=d1,bootindex=2", "-netdev", "user,id=n", "-device",
      "e1000,netdev=n,bootindex=7,addr=1e", "-netdev", "user,id=o", "-device",
      "virtio-net,netdev=o,bootindex=1", "-boot", "strict=on"],
     ["/pci@i0cf8/ethernet@3/ethernet-phy@0", "/pci@i0cf8/scsi@2/disk@0,0",
      "/pci@i0cf8/ide@1,1/drive@0/disk@1", "/pci@i0cf8/ethernet@1e/ethernet-phy@0", "HALT"]),
    (["-drive", f"file={FLOPPY},format=raw,if=floppy", "-global", "isa-fdc.bootindexA=3",
      "-boot", "strict=on,reboot-timeout=1000"],
     ["/pci@i0cf8/isa@1/fdc@03f0/floppy@0", "HALT"]),
]


def order(options, program):
    log = TMP + "/log"
    if os.path.exists(log):
        os.unlink(log)
    with Vm("-m", "32", "-debugcon", "file:" + log, "-global", "isa-debugcon.iobase=0x402",
            *options, program=program):
        end = time.monotonic() + 60
        text = ""
        while time.monotonic() < end and "Searching bootorder" not in text:
            time.sleep(0.05)
            with open(log, errors="replace") as f:
                text = f.read()
    return re.findall(r"^\d+: (\S+)", text.split("boot order:", 1)[-1].split("Found ")[0], re.M)


def compare():
    for options, want in LINES:
        name = " ".join(options).replace(TMP + "/", "")
        tap.equal(order(options, STASIS), want, name)
        if shutil.which(QEMU):
            tap.equal(order([*options, "-accel", "tcg"], QEMU), want, name + ": in QEMU")


def file():
    """The firmware finds what -fw_cfg gives it."""
    log = TMP + "/file.log"
    with open(TMP + "/message", "w") as f:
        f.write("\nfrom a file\n")
    for given, want in (("string=\nhere is the menu\n", "here is the menu"),
                        (f"file={TMP}/message", "from a file")):
        with Vm("-m", "32", "-debugcon", "file:" + log, "-global", "isa-debugcon.iobase=0x402",
                "-boot", "menu=on", "-fw_cfg", "name=etc/boot-menu-message," + given):
            end, text = time.monotonic() + 30, ""
            while time.monotonic() < end and want not in text:
                time.sleep(0.05)
                with open(log, errors="replace") as f:
                    text = f.read()
        tap.check(want in text, "-fw_cfg " + given.split("=")[0] + "=", text[-300:])


tap.run(compare, file)
tap.finish()
