#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The slots of PCI cards, and their BARs, follow from the command line as they do in QEMU: a stream
names a card by its slot."""
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import Tap
from vm import STASIS, Vm, image

tap = Tap()
QEMU = "qemu-system-x86_64"
TMP = tempfile.mkdtemp(prefix="slots-")
DISKS = [image(f"{TMP}/{n}.qcow2", "8M") for n in "ab"]
VIRTIO = ["-drive", f"file={DISKS[0]},format=qcow2,if=virtio"]
SECOND = ["-drive", f"file={DISKS[1]},format=qcow2,if=virtio"]
USER = ["-netdev", "user,id=n"]

# Options, and what is in the slots from 2 on.
LINES = [
    (["-vga", "std", "-nic", "user", *VIRTIO], "1234:1111 8086:100e 1af4:1001"),
    ([*VIRTIO, *USER, "-device", "e1000,netdev=n", "-device", "virtio-rng-pci"],
     "8086:100e 1af4:1005 1af4:1001"),
    ([*VIRTIO, "-device", "virtio-rng-pci,addr=3", *SECOND], "1af4:1001 1af4:1005 1af4:1001"),
    (["-nic", "user,model=virtio-net-pci", "-device", "virtio-rng-pci"], "1af4:1000 1af4:1005"),
    (["-nic", "user,model=virtio-net-pci", *USER, "-device", "virtio-net-pci,netdev=n"],
     "1af4:1000 1af4:1000"),
    # As many queues as CPUs, and room for their vectors.
    (["-smp", "3", *VIRTIO], "1af4:1001"),
    (["-drive", f"file={DISKS[0]},format=qcow2,if=none,id=d", "-device",
      "virtio-blk-pci,drive=d,num-queues=255"], "1af4:1001"),
]


def pci(options, qemu):
    if qemu:
        options = [*options, "-accel", "tcg"]
    with Vm("-M", "pc-i440fx-7.2,usb=off", "-S", *options, program=QEMU if qemu else STASIS) as vm:
        text = vm.cmd("info pci").replace("\r", "")
    return text[text.index("  Bus "):].rstrip()  # QEMU echoes the line before


def slots(text):
    at = re.findall(r"device +(\d+), function 0:.*?PCI device (\S+)", text, re.S)
    return " ".join(what for slot, what in at if int(slot) >= 2)


def compare():
    for options, want in LINES:
        name = " ".join(options).replace(TMP + "/", "")
        ours = pci(options, False)
        tap.equal(slots(ours), want, name)
        if not shutil.which(QEMU):
            tap.skip(name, f"no {QEMU}")
            continue
        tap.equal(ours, pci(options, True), name + ": as in QEMU")


tap.run(compare)
tap.finish()
