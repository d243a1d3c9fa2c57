#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""Video modes as a guest sets them by the VGA BIOS: the picture of each, by its digest.

The digests of all but 1 (40 columns, here nine dots wide) and 110h (five bits a colour, here
spread over eight) are those of what qemu-system-i386 shows of the same guest.
"""
import hashlib
import os
import struct
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.environ["SRCDIR"] + "/tests")
from tap import Tap
from vm import TIMES, Vm

TAP = Tap()
TMP, HERE = os.environ["TMPDIR"], os.environ["SRCDIR"] + "/tests/system/"
# mode: width, height, first digits of the SHA-256 of the PPM
PICTURES = {
    0x01: (720, 400, "25fe2e3c3c6778c0"),
    0x03: (720, 400, "b795e48718f7b916"),
    0x04: (640, 400, "57eebb8ccbad0d6e"),
    0x06: (640, 400, "7ca4801a43c63cdf"),
    0x0d: (640, 400, "59daf76debf2371d"),
    0x10: (640, 350, "a37a2ea1b6ed3cc6"),
    0x12: (640, 480, "81922468b9a710e3"),
    0x13: (640, 400, "20e242277e93f4b6"),
    0x100: (640, 400, "fd14113fdb98a9be"),
    0x101: (640, 480, "58c60fc5c7454f95"),
    0x103: (800, 600, "796f35c3abc235f7"),
    0x110: (640, 480, "f4cd48b171df4a24"),
    0x111: (640, 480, "cd6a9b605066a566"),
    0x112: (640, 480, "a128fe48e5450477"),
    0x118: (1024, 768, "027afdd2749c4453"),
}


def assemble():
    obj, img = TMP + "/vga_modes.o", TMP + "/vga_modes.img"
    subprocess.run(["as", "--32", "-o", obj, HERE + "vga_modes.S"], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", img,
                    obj], check=True)
    os.truncate(img, 1 << 20)
    return img


def wait_for(condition, timeout=20):
    end = time.monotonic() + timeout * TIMES
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def png_is_same(vm, ppm):
    """The PNG of the same screen, unpacked by zlib alone."""
    path = TMP + "/shot.png"
    vm.cmd("screendump " + path)
    with open(path, "rb") as f:
        data = f.read()
    at, packed, head = 8, b"", None
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        head = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else head
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    width, height, depth, colour = head[:4]
    raw, stride = zlib.decompress(packed), 3 * width
    rows, above = [], bytes(stride)
    for y in range(height):
        kind = raw[y * (stride + 1)]
        row = bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for x in range(stride):
            a = row[x - 3] if x >= 3 else 0
            b, c = above[x], above[x - 3] if x >= 3 else 0
            if kind == 4:
                d = [abs(b - c), abs(a - c), abs(a + b - 2 * c)]
                p = [a, b, c][d.index(min(d))]
            else:
                p = [0, a, b, (a + b) // 2][kind]
            row[x] = (row[x] + p) & 255
        rows.append(bytes(row))
        above = row
    return (depth, colour) == (8, 2) and b"".join(rows) == ppm.split(b"\n", 3)[3]


def modes():
    serial, shot = TMP + "/serial", TMP + "/shot.ppm"
    with Vm("-M", "pc", "-m", "16", "-vga", "std", "-serial", "file:" + serial, "-drive",
            f"file={assemble()},format=raw,if=ide") as vm:
        for n, (mode, want) in enumerate(PICTURES.items()):
            if not wait_for(lambda: os.path.getsize(serial) > n):
                TAP.check(False, f"mode {mode:#x} comes up", vm.cmd("info registers"))
                return
            vm.cmd("screendump " + shot)
            with open(shot, "rb") as f:
                ppm = f.read()
            width, height = map(int, ppm.split(b"\n")[1].split())
            got = (width, height, hashlib.sha256(ppm).hexdigest()[:16])
            TAP.equal(got, want, f"mode {mode:#x}")
            if mode == 0x03:
                TAP.check(png_is_same(vm, ppm), "the PNG of a screen is its PPM")
            vm.cmd("sendkey ret")


def text_display():
    """-display text: the rows as they come, each once, also while the screen scrolls."""
    with Vm("-M", "pc", "-m", "16", "-vga", "std", "-display", "text") as vm:
        TAP.check(wait_for(lambda: "No bootable device" in vm.output()), "text is shown")
        vm.cmd("quit")
        vm.wait()
        lines = vm.output().splitlines()
        TAP.equal(sum("SeaBIOS (version" in l for l in lines), 1, "each line once")
        TAP.check(all(l == l.rstrip() and l for l in lines), "no padding", lines)


TAP.run(modes, text_display)
TAP.finish()
