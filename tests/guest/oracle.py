#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 240
"""What our guests' tests expect is what others say: every paragraph that stands beside a guest's
source is asked of Bochs, or of QEMU where Bochs cannot run the guest.  Where one of them is known to
differ it stands here with the reason, and has to differ: the list is no longer than it must be."""
import os
import re
import shutil
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
import bochs
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, HERE = os.environ["TMPDIR"], os.environ["SRCDIR"] + "/tests/guest"

# Bochs' faults, of pagefaults.asm.  An instruction happens wholly or not at all.
STORED = "Bochs stores what comes before the absent or read-only page"
LOADED = "Bochs has loaded registers that come before the absent page"
SWITCHED = "Bochs saves the old task before it finds that the new one's descriptor is read-only"
UNORDERED = "Bochs reads the structure's end first, so CR2 is another"
PAGEFAULTS = {
    0x18: STORED, 0x21: STORED, 0x2f: STORED, 0x35: STORED, 0x36: STORED, 0x72: SWITCHED,
    0x73: SWITCHED, 0x75: UNORDERED, 0x77: STORED, 0x7c: STORED, 0x80: STORED, 0x81: LOADED,
    0x82: UNORDERED, 0x83: STORED, 0x88: STORED,
    0x89: "Bochs takes what it has read of FXRSTOR's MXCSR for a #GP before the page fault",
}
LONGMODE = {
    0x2c: "the manual's pseudo code has no selector in #SS's error code for a stack of the TSS",
    0x52: "Intel's processors pop RSP by a 32-bit IRET in 64-bit code, too",
}
# QEMU's, of smm.asm.
JUMP = "QEMU takes the SMI behind the jump that follows the instruction"
HALT = "QEMU does not go back to the HLT"
CLOSED = "QEMU shows closed SMRAM to data in the handler"
SMM = {0x00: JUMP, 0x02: JUMP, 0x04: JUMP, 0x09: HALT, 0x0d: CLOSED, 0x0e: JUMP,
       0x0f: "what the paragraph behind closed SMRAM has left in it"}
SMM_LEGACY = {n: SMM[n + (n == 0x0e)] for n in (0x00, 0x02, 0x04, 0x09, 0x0d, 0x0e)}


def expected(name):
    with open(f"{HERE}/{name}.expect") as f:
        return [l.strip() for l in f]


def parts(lines, pattern):
    """The paragraphs, or the lines where there are none."""
    return asm_guest.paragraphs(lines, pattern) or {n: [l] for n, l in enumerate(lines)}


def compare(name, who, lines, pattern="", known=None):
    """Paragraph by paragraph: those that differ are those that are known to."""
    known = known or {}
    got, want = (parts(l, pattern) for l in (lines, expected(name)))
    differ = {n for n in want if got.get(n) != want[n]}
    TAP.check(want and not differ - set(known), f"{name}: {who} agrees", "\n".join(
        f"T{n:02x}\ngot:  {got.get(n)}\nwant: {want[n]}" for n in sorted(differ - set(known))))
    for n, why in known.items():
        TAP.check(n in differ, f"{name} {n:02x}: {why}", f"{who} agrees by now: {got.get(n)}")


# -- Bochs --

def ask_bochs(name, model, pattern="", known=None):
    disk, out = f"{TMP}/{name}.img", f"{TMP}/{name}.out"
    asm_guest.build(f"guest/{name}.asm", disk, size=bochs.DISK_BYTES)
    command = bochs.command(f"{TMP}/{name}", f"cpu: model={model}, ips=50000000",
                            "memory: guest=8, host=8", "port_e9_hack: enabled=1",
                            *bochs.disk(disk))
    with open(out, "wb") as f, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f,
                                                stderr=f, cwd=TMP) as p:
        try:
            lines = asm_guest.output(out)
        finally:
            p.kill()
    compare(name, "Bochs", lines, pattern, known)


def protection():
    ask_bochs("protection", "p3_katmai", r"(P )?[0-9a-f]{8} ")


def pagefaults():
    ask_bochs("pagefaults", "p3_katmai", r"(P )?[0-9a-f]{8} ", PAGEFAULTS)


def longmode():
    ask_bochs("longmode", "corei7_sandy_bridge_2600k", r"[0-9a-f]{2} ", LONGMODE)


def interrupts():
    ask_bochs("interrupts", "p3_katmai")


def a20():
    ask_bochs("a20", "p3_katmai")


# -- QEMU --

def ask_qemu(name, *options, source=None, program="x86_64", defines=(), known=None):
    disk, log = f"{TMP}/{name}.img", f"{TMP}/{name}.log"
    asm_guest.build(f"guest/{source or name}.asm", disk, *defines, size=1024 * 1024)
    with VM("-M", "pc-i440fx-7.2", "-accel", "tcg", "-m", "8", "-nic", "none", "-no-reboot",
            "-no-shutdown", "-serial", "none", "-drive", f"file={disk},format=raw,if=ide",
            "-debugcon", "file:" + log, *options, serial=False,
            emulator="qemu-system-" + program) as vm:
        lines = asm_guest.output(log)
        vm.quit()
    compare(name, "QEMU", lines, known=known)


def ipi():
    """Bochs loses a startup message that comes right behind INIT."""
    ask_qemu("ipi", "-smp", "4", defines=("-DDELAY=100000000",))


def smm():
    """Bochs shows the handler no SMRAM as data."""
    ask_qemu("smm", "-cpu", "qemu64", known=SMM)
    ask_qemu("smm_legacy", "-cpu", "pentium3", source="smm", program="i386",
             defines=("-DLEGACY",), known=SMM_LEGACY)


def a20_too():
    ask_qemu("a20", "-cpu", "pentium3")


def every_guest():
    with open(__file__) as f:
        text = f.read()
    TAP.equal([n for n in os.listdir(HERE) if n.endswith(".expect")
               and not re.search(rf'ask_\w+\("{n[:-7]}"', text)], [], "every guest is asked about")


GROUPS = {"bochs": (protection, pagefaults, longmode, interrupts, a20),
          "qemu-system-x86_64": (ipi, smm, a20_too), "nasm": (every_guest,)}
for need, groups in GROUPS.items():
    if shutil.which(need) and shutil.which("nasm"):
        TAP.run(*groups)
    else:
        TAP.skip(" ".join(g.__name__ for g in groups), f"{need} or nasm is not installed")
TAP.finish()
