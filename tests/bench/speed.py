#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 1800
"""Speed of the interpreter, by a guest of our own (speed.asm), beside QEMU's TCG and Bochs.

The guest says on port E9h when each measurement begins and what it computed; the CPU time that the
emulator took in between is what counts.  A wrong result fails, for it makes the figure worthless; a
missed target is only said.
"""
import os
import shutil
import subprocess
import sys

SRC = os.environ.get("SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path[:0] = [SRC + "/tests", SRC + "/tests/lib"]
import asm_guest
import bochs
from tap import Tap

TMP = os.environ.get("TMPDIR", "/tmp")
STASIS = os.environ.get("STASIS", SRC + "/build/stasis")
TURNS = int(os.environ.get("BENCH_TURNS", "3"))
tap = Tap()

# Name, what it computes, units of work (millions), their name, targets against TCG and Bochs.
# An "x87 functions" of None: TCG and Bochs compute them by polynomials of their own.
WORK = [
    ("integer", "33da01e3", 120, "MIPS", None, 3),
    ("branch", "59bfc617", 92, "MIPS", None, 3),
    ("call", "00148add", 19.5, "MIPS", None, 3),
    ("memory 4 KiB", "b9537ae1", 48, "MIPS", None, 3),
    ("memory 256 KiB", "e9a227f0", 48, "MIPS", None, 3),
    ("memory 4 MiB", "1cc13cc5", 48, "MIPS", None, 3),
    ("memory 64 MiB", "85453641", 48, "MIPS", None, 3),
    ("rep", "80808081", 160, "MB/s", 20, None),
    ("x87", "1c9d93b8", 18, "MIPS", 4, None),
    ("x87 functions", None, 3, "MIPS", 4, None),
    ("sse", "4dfeaa7f", 28, "MIPS", 4, None),
    ("page fault", "000493e0", 0.3, "M/s", 5, None),
    ("interrupt", "0000c350", 0.05, "M/s", None, None),
    ("system call", "4fd0f8d0", 0.5, "M/s", None, None),
    ("cr3", "00030d40", 0.4, "M/s", None, None),
    ("changing code", "c58cfbdd", 0.3, "M/s", 10, None),
]
MIPS = 250  # the target of the integer loops


def build():
    disk = TMP + "/speed.img"
    asm_guest.build("bench/speed.asm", disk, size=bochs.DISK_BYTES)
    return disk


def ask_bochs(disk):
    return bochs.command(TMP + "/speed", "cpu: model=p4_willamette, ips=50000000",
                         "memory: guest=128, host=128", *bochs.disk(disk),
                         "com1: enabled=1, mode=null", "port_e9_hack: enabled=1")


def pc(program, disk, *more):
    return [program, *more, "-m", "128", "-nodefaults", "-display", "none", "-monitor", "none",
            "-debugcon", "stdio", "-device", "isa-serial", "-drive",
            f"file={disk},format=raw,if=ide"]


def cpu_seconds(pid):
    """All threads', in nanoseconds' resolution."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def measure(command):
    """Name: (result, seconds) of one run."""
    out, start = {}, None
    with open(TMP + "/err", "wb") as err:
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
    try:
        for line in p.stdout:
            now, line = cpu_seconds(p.pid), line.decode(errors="replace").strip()
            if "<" in line:
                name, start = line.split("<", 1)[1], now
            elif line.startswith("=") and start is not None:
                out[name] = (line[1:], now - start)
            elif line == ">":
                return out
        raise RuntimeError(f"{command[0]} ended after {list(out)}")
    finally:
        p.kill()
        p.wait()


def best(command, turns):
    """The least time of each measurement: what disturbs only adds."""
    runs = [measure(command) for _ in range(turns)]
    return {n: (runs[0][n][0], min(r[n][1] for r in runs)) for n in runs[0]}


def verdict(ratio, wanted):
    return f"(target {wanted}: {'met' if ratio >= wanted else 'MISSED'})" if wanted else ""


def report(ours, tcg, bx):
    print(f"# {'':16} {'stasis':>10} {'':5} {'x TCG':>8} {'x Bochs':>8}")
    for name, result, work, unit, over_tcg, over_bochs in WORK:
        got, seconds = ours[name]
        text = f"# {name:16} {work / seconds:10.2f} {unit:5}"
        for other, wanted in ((tcg, over_tcg), (bx, over_bochs)):
            ratio = other[name][1] / seconds if other else 0
            text += f" {ratio:8.2f} {verdict(ratio, wanted) if other else ''}"
        if name in ("integer", "branch", "call"):
            text += f" {MIPS} MIPS: {'met' if work / seconds >= MIPS else 'MISSED'}"
        print(text, flush=True)
        if result:
            tap.check(got == result, f"{name}: the result is right", got)


def main():
    disk = build()
    tcg = bx = None
    if shutil.which("qemu-system-i386"):
        tcg = best(pc("qemu-system-i386", disk, "-accel", "tcg"), TURNS)
    if shutil.which("bochs"):
        try:
            bx = best(ask_bochs(disk), 1)
        except RuntimeError as e:
            print(f"# no figures of Bochs: {e}")
    ours = best(pc(STASIS, disk, "-cpu", "qemu32"), TURNS)
    report(ours, tcg, bx)
    for other, name in ((tcg, "QEMU"), (bx, "Bochs")):
        for n, result, *_ in WORK if other else []:
            tap.check(not result or other[n][0] == result, f"{n}: {name} computes the same",
                      other[n][0])


tap.run(main)
tap.finish()
