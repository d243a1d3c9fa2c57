#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 60
"""The example kernel of the Multiboot specification, by -kernel: prints its command line, its
modules and the memory map."""
import os
import re
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import screen
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
MAP = re.compile(r"base_addr = 0x0*([0-9a-f]+), length = 0x0*([0-9a-f]+), type = 0x(\d+)")


def example(*args, memory=32):
    kernel = guests.package("multiboot") + "/usr/lib/multiboot/examples/kernel"
    with VM("-M", "pc", "-m", str(memory), "-nodefaults", "-vga", "std", "-kernel", kernel,
            *args) as vm:
        return screen.wait(vm, "flags = .*Halted").string


def memory_map():
    shown = example()
    ranges = [(int(b, 16), int(n, 16), int(t)) for b, n, t in MAP.findall(shown)]
    ram = [r for r in ranges if r[2] == 1]
    TAP.check(len(ram) == 2 and ram[0][0] == 0 and 0x9f000 <= ram[0][1] < 0xa0000 and
              ram[1][0] == 1 << 20 and 32 << 20 >= sum(ram[1][:2]) >= (32 << 20) - (256 << 10),
              "the memory map has what -m gave", shown)
    TAP.check(any(b == 0xf0000 and t == 2 for b, _, t in ranges), "and the BIOS", shown)
    m = re.search(r"mem_lower = (\d+)KB, mem_upper = (\d+)KB", shown)
    TAP.equal((int(m[1]), int(m[2])), (ram[0][1] >> 10, ram[1][1] >> 10),
              "the old memory sizes agree with it")


def modules():
    with open(TMP + "/one", "w", encoding="ascii") as f:
        f.write("one")
    with open(TMP + "/two", "wb") as f:
        f.write(bytes(5000))
    shown = example("-append", "alpha beta=2", "-initrd", f"{TMP}/one gamma,{TMP}/two")
    flat = shown.replace("\n", "")
    TAP.check("alpha beta=2" in flat and re.search(r"cmdline = \S+kernel alpha", flat),
              "the command line", shown)
    found = re.findall(r"mod_start = 0x(\w+), mod_end = 0x(\w+), cmdline = (\S+(?: gamma)?)", flat)
    sizes = [int(e, 16) - int(s, 16) for s, e, _ in found]
    TAP.equal(sizes, [3, 5000], "the modules' sizes")
    TAP.check(len(found) == 2 and found[0][2] == f"{TMP}/one gamma", "a module's arguments", shown)
    TAP.check(all(int(s, 16) % 4096 == 0 for s, _, _ in found), "they begin at pages", shown)


TAP.run(memory_map, modules)
TAP.finish()
