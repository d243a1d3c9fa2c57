#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A savevm or loadvm that takes its time tells how far it is: stopped in the midst for more than a
second, the program has something to tell when it goes on."""
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, IMG = os.environ["TMPDIR"], os.environ["STASIS_IMG"]
MIB = 1 << 20
# Writes a number that changes to each doubleword from 1 MiB to 96 MiB, and halts.
FILL = """
bits 16
org 0
start:  cli
        lgdt [cs:gdt]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword 8:0xf0000 + flat
bits 32
flat:   mov ax, 16
        mov es, ax
        mov edi, 0x100000
        mov ecx, 95 << 18
.more:  stosd
        imul eax, eax, 69069
        inc eax
        loop .more
        hlt
        jmp $
gdt:    dw 23
        dd 0xf0000 + gdt
        dw 0
        dq 0x00cf9a000000ffff, 0x00cf92000000ffff
times 0xfff0 - ($ - $$) db 0xf4
        db 0xea, 0, 0, 0, 0xf0
times 0x10000 - ($ - $$) db 0xf4
"""


def moved(vm, counter):
    """Bytes that the program has read or written."""
    with open(f"/proc/{vm.proc.pid}/io") as f:
        return int(re.search(rf"^{counter}: (\d+)", f.read(), re.M).group(1))


def pause_after(vm, counter, amount):
    """Stops the program once so much has been read or written, and lets it go on later."""
    start = moved(vm, counter)

    def run():
        end = time.monotonic() + 60
        while moved(vm, counter) < start + amount and time.monotonic() < end:
            time.sleep(0.0005)
        vm.proc.send_signal(signal.SIGSTOP)
        time.sleep(1.3)
        vm.proc.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def start():
    return VM("-M", "pc", "-m", "96", "-nodefaults", "-bios", TMP + "/fill.rom", "-drive",
              f"file={TMP}/disk.qcow2,format=qcow2,if=ide", serial=False)


def tells(command, counter, begin):
    for _ in range(4):  # a loaded host may stop it too late
        with start() as vm:  # one that knows nothing of the snapshot: it reads all of it
            begin(vm)
            thread = pause_after(vm, counter, 12 * MIB)
            text = vm.hmp(command)
            thread.join()
            vm.quit()
        if text:
            break
    lines = text.splitlines()
    TAP.check(lines and all(re.fullmatch(r"\d+ %", line) for line in lines) and
              all(0 < int(line.split()[0]) <= 100 for line in lines), f"{command} tells", text)


def filled(vm):
    end = time.monotonic() + 60
    while "HLT=1" not in vm.hmp("info registers") and time.monotonic() < end:
        time.sleep(0.05)


def main():
    with open(TMP + "/fill.asm", "w") as f:
        f.write(FILL)
    subprocess.run(["nasm", "-f", "bin", "-o", TMP + "/fill.rom", TMP + "/fill.asm"], check=True)
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", TMP + "/disk.qcow2", "1M"], check=True)
    tells("savevm long", "wchar", filled)
    tells("loadvm long", "rchar", lambda vm: vm.hmp("stop"))


if shutil.which("nasm"):
    TAP.run(main)
else:
    TAP.skip("progress", "nasm is not installed")
TAP.finish()
