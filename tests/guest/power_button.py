#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 60
"""A boot sector that waits for the power button of the PIIX4 as SeaBIOS set it up, and goes off."""
import os
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import screen
from guest_vm import VM
from tap import Tap

TAP = Tap()
IMAGE = os.environ["TMPDIR"] + "/power.img"
CODE = bytes.fromhex(
    "31c08ed8be247c"      # xor ax,ax; mov ds,ax; mov si,7c24h
    "ac84c07406b40ecd10ebf5"  # 1: lodsb; test al,al; jz 2f; mov ah,0eh; int 10h; jmp 1b
    "ba0006edf6c40174fa"  # 2: mov dx,600h; 3: in ax,dx; test ah,1; jz 3b
    "ba0406b80020ef"      # mov dx,604h; mov ax,2000h (soft off, SLP_EN); out dx,ax
    "ebfe")               # jmp $
SECTOR = (CODE.ljust(0x24, b"\0") + b"ready for the button\0").ljust(510, b"\0") + b"\x55\xaa"

with open(IMAGE, "wb") as image:
    image.write(SECTOR.ljust(1 << 20, b"\0"))
with VM("-M", "pc", "-m", "16", "-nodefaults", "-vga", "std", "-drive", f"file={IMAGE},format=raw",
        "-no-shutdown") as vm:
    TAP.check(screen.wait(vm, "ready for the button"), "the guest runs with power management")
    TAP.check("running" in vm.hmp("info status"), "and waits")
    vm.hmp("system_powerdown")
    TAP.check(vm.wait_status("shutdown") is not False, "the button is seen, and it powers off")
TAP.finish()
