#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Debian's i386 kernel with PAE: to a shell, on a CPU without NX and on one with it; there the
kernel finds none of its own pages both writable and executable."""
import os
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]


def boot(cpu):
    kernel, modules = guests.kernel("linux-image-686-pae", "i386")
    initrd = TMP + "/initrd.gz"
    guests.initramfs(initrd, modules)
    vm = linux686.boot(["-M", "pc", "-cpu", cpu, "-m", "64", "-nodefaults", "-kernel", kernel,
                        "-initrd", initrd, "-append", linux686.APPEND])
    TAP.check("686-pae" in vm.shell("uname -a"), cpu + ": a shell answers")
    text = vm.shell("grep flags /proc/cpuinfo")
    TAP.check(" pae " in text, cpu + ": PAE is seen", text)
    TAP.equal(" nx " in text, "+nx" in cpu, cpu + ": NX is seen where it is")
    text = vm.shell("dmesg")
    TAP.equal("Checked W+X mappings: passed" in text, "+nx" in cpu, cpu + ": writable or executable")
    text = vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|Unhandled|unchecked MSR'")
    TAP.equal(text.strip(), "", cpu + ": the kernel complains of nothing")
    vm.quit()
    vm.kill()


def without_nx():
    boot("pentium3")


def with_nx():
    boot("qemu32,+nx")


TAP.run(without_nx, with_nx)
TAP.finish()
