#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Commands in a stream that make no sense are refused in QEMU's words: the same streams
go to a QEMU, where one is installed."""
import os
import shutil
import struct
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests"]
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
QEMU = "qemu-system-x86_64"
MACHINE = b"pc-i440fx-7.2"
HEAD = b"QEVM" + struct.pack(">IBI", 3, 7, len(MACHINE)) + MACHINE


def command(number, data=b""):
    return b"\x08" + struct.pack(">HH", number, len(data)) + data


CASES = {
    "an unknown command": command(77, b"ab"),
    "command 0": command(0),
    "a return path with data": command(1, b"x"),
    "a second return path": command(1) + command(1),
    "a ping without a return path": command(2, b"\0\0\0\7"),
    "a short ping": command(2, b"\0"),
    "listen out of order": command(4),
    "run out of order": command(5),
    "discard out of order": command(6, b"\0\6pc.ram\0" + bytes(16)),
    "a short package": command(7, b"\0"),
}


def refusal(program):
    """What it says of TMP/stream, without the program's name, and how it ends."""
    p = subprocess.run([program, "-M", MACHINE.decode(), "-m", "4", "-nodefaults", "-display", "none",
                        "-nic", "none", "-incoming", f"exec:cat {TMP}/stream"],
                       capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    lines = (p.stdout + p.stderr).strip().split("\n")
    return lines[0].split(": ", 1)[-1], p.returncode, lines


for what, stream in CASES.items():
    with open(TMP + "/stream", "wb") as f:
        f.write(HEAD + stream)
    text, status, lines = refusal(os.environ["STASIS"])
    TAP.check(status == 1 and lines[1:] == ["stasis: load of migration failed"],
              what + ": says why, and ends", lines)
    if shutil.which(QEMU):
        theirs = refusal(QEMU)[0]
        TAP.check(text.endswith(theirs), what + ": in QEMU's words", f"{text!r}\n{theirs!r}")
    else:
        TAP.skip(what + ": in QEMU's words", f"no {QEMU}")
TAP.finish()
