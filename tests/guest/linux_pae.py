#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Debian's i386 kernel with PAE: to a shell, on a CPU without NX and on one with it; there a program
that jumps into its data is killed, and the kernel keeps data and code of its own apart."""
import os
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]

# An ELF program for i386 whose only segment is readable and writable and not executable.
ELF = (b"\x7fELF\1\1\1" + bytes(9)  # class, byte order, version
       + b"\2\0\3\0\1\0\0\0\x74\x80\x04\x08\x34\0\0\0\0\0\0\0\0\0\0\0\x34\0\x20\0\2\0\0\0\0\0\0\0"
       + b"\1\0\0\0\0\0\0\0\0\x80\x04\x08\0\x80\x04\x08\x80\0\0\0\x80\0\0\0\6\0\0\0\0\x10\0\0"
       + b"\x51\xe5\x74\x64" + bytes(20) + b"\6\0\0\0\x10\0\0\0"  # GNU_STACK: not executable
       + b"\xb8\1\0\0\0\xbb\x2a\0\0\0\xcd\x80")  # exit(42)


def boot(cpu):
    kernel, modules = guests.kernel("linux-image-686-pae", "i386")
    initrd = TMP + "/initrd.gz"
    guests.initramfs(initrd, modules, extra={"data-only": ELF})
    vm = linux686.boot(["-M", "pc", "-cpu", cpu, "-m", "64", "-nodefaults", "-kernel", kernel,
                        "-initrd", initrd, "-append", linux686.APPEND])
    TAP.check("686-pae" in vm.shell("uname -a"), cpu + ": a shell answers")
    text = vm.shell("grep flags /proc/cpuinfo")
    TAP.check(" pae " in text, cpu + ": PAE is seen", text)
    TAP.equal(" nx " in text, "+nx" in cpu, cpu + ": NX is seen where it is")
    text = vm.shell("/data-only; echo status $?")
    TAP.check(("status 139" if "+nx" in cpu else "status 42") in text,
              cpu + ": what becomes of code in a data segment", text)
    text = vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|Unhandled|unchecked MSR'")
    TAP.equal(text.strip(), "", cpu + ": the kernel complains of nothing")
    vm.quit()
    vm.kill()


def without_nx():
    boot("pentium3")


def with_nx():
    boot("qemu32,+nx")


try:
    TAP.run(without_nx)
    TAP.run(with_nx)
except guests.Unavailable as e:
    TAP.skip("linux_pae", str(e))
TAP.finish()
