#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 240
"""System management mode by a guest of our own, with both forms of the save area; what it has seen is
compared with smm.expect and smm_legacy.expect, which QEMU agrees with but for two tests.  A
machine that is saved and loaded all the time ends as any other; one that waits in its handler is
saved, loaded, and goes to QEMU and back.  The firmware's own handler is at work with -M smm=on."""
import os
import re
import shutil
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP, HERE = os.environ["TMPDIR"], os.environ["SRCDIR"] + "/tests/guest"
QEMU = "qemu-system-x86_64"
EVERY = "1009" if os.environ.get("TEST_LONG") else "20011"


def titles(legacy):
    with open(HERE + "/smm.asm") as f:
        source = f.read()
    if legacy:
        source = re.sub(r"(?s)%ifndef LEGACY\n    TEST.*?%endif", "", source)
    return re.findall(r"^    TEST ; (.*)$", source, re.M)


def machine(disk, log, *more, cpu="qemu64", qemu=False, serial=False):
    board = "pc-i440fx-7.2,usb=off,vmport=off" if qemu else "pc"
    return VM("-M", board, "-cpu", cpu, "-m", "8", "-nic", "none", "-vga", "std", "-parallel", "none",
              "-no-reboot", "-no-shutdown", "-rtc", "base=2020-01-01,clock=vm", "-drive",
              f"file={disk},format={'qcow2' if serial else 'raw'},if=ide", "-debugcon",
              "file:" + log, *(() if serial else ("-serial", "none")), *more, serial=serial,
              emulator=QEMU if qemu else None)


def run(name, *more, **kinds):
    """(what the guest said, the machine's digest once it has ended)."""
    log = f"{TMP}/{name}.log"
    with machine(f"{TMP}/smm.img", log, *more, **kinds) as vm:
        lines = asm_guest.output(log, 200)
        vm.wait_status("shutdown")
        digest = vm.hmp("info hash").split()[-1]
        vm.quit()
    return lines, digest


def forms():
    asm_guest.build("guest/smm.asm", TMP + "/smm.img", "-DLEGACY", size=1024 * 1024)
    lines, _ = run("legacy", "-global", "x86-cpu.smm-legacy=on", cpu="pentium3")
    asm_guest.compare(TAP, "smm_legacy", lines, r"", titles(True))
    asm_guest.build("guest/smm.asm", TMP + "/smm.img", size=1024 * 1024)
    lines, _ = run("amd64")
    asm_guest.compare(TAP, "smm", lines, r"", titles(False))


def exact():
    clock = ("-icount", "shift=0,sleep=off")
    lines, digest = run("first", *clock)
    TAP.check("Z" in lines, "the guest comes to its end under an instruction clock")
    again, other = run("torture", *clock, "-torture", EVERY)
    TAP.equal(again, lines, "a machine that is saved and loaded all the time says the same")
    TAP.equal(other, digest, "and ends in the same state")


# -- a guest that waits in its handler --

def said(log):
    with open(log) as f:
        return [l.strip() for l in f]


def wait_said(log, word):
    end = time.monotonic() + 60 * TIMES
    while word not in said(log) and time.monotonic() < end:
        time.sleep(0.05)
    TAP.check(word in said(log), f"the guest says {word!r}", "\n".join(said(log)))


REST = ["13579bdf", "n", "00000001", "", "Z"]


def go_on(vm, log, what):
    """It hears a byte: out of the handler, and the NMI comes that was sent there."""
    before = len(said(log))
    vm.serial.send("!")
    vm.wait_status("shutdown")
    TAP.equal(said(log)[before:], REST, what)


def moved(vm, disk, name, qemu):
    """To another emulator."""
    vm.hmp(f'migrate "exec:cat > {TMP}/{name}.stream"')
    status, text = vm.wait_migration()
    TAP.check(status == "completed", f"{name}: a stream is written", text)
    vm.quit()
    vm.kill()
    log = f"{TMP}/{name}.log"
    new = machine(disk, log, "-incoming", f"exec:cat {TMP}/{name}.stream", qemu=qemu, serial=True)
    new.wait_status("running|paused$")
    if "paused" in new.hmp("info status"):
        new.hmp("cont")
    TAP.check("SMM=1" in new.hmp("info registers"), f"{name}: in the handler")
    return new, log


def waiting():
    raw, disk, log = TMP + "/smm.img", TMP + "/smm.qcow2", TMP + "/waits.log"
    asm_guest.build("guest/smm.asm", raw, size=1024 * 1024)
    os.system(f"{os.environ.get('STASIS', 'build/stasis')}-img convert -O qcow2 {raw} {disk}")
    with machine(disk, log, serial=True) as vm:
        wait_said(log, "w")
        TAP.check("SMM=1" in vm.hmp("info registers"), "it is in the handler")
        TAP.check("0x13579bdf" in vm.hmp("x /1wx 0xa1000"), "x shows what the handler sees",
                  vm.hmp("x /1wx 0xa1000"))
        TAP.equal(vm.hmp("savevm in"), "", "savevm")
        TAP.equal(vm.hmp("loadvm in"), "", "loadvm")
        go_on(vm, log, "as if nothing had been")
        vm.quit()
    with machine(disk, log, "-loadvm", "in", serial=True) as vm:
        go_on(vm, log, "in another process")
        vm.quit()
    if not shutil.which(QEMU):
        TAP.skip("to QEMU and back", f"no {QEMU}")
        return
    vm = machine(disk, TMP + "/start.log", "-loadvm", "in", serial=True)
    for name, qemu in (("to QEMU", True), ("back", False), ("to QEMU again", True)):
        vm, log = moved(vm, disk, name.replace(" ", "-"), qemu)
    go_on(vm, log, "goes on in QEMU")
    vm.quit()
    vm.kill()
    vm = machine(disk, TMP + "/start.log", "-loadvm", "in", serial=True)
    for name, qemu in (("out", True), ("home", False)):
        vm, log = moved(vm, disk, name, qemu)
    go_on(vm, log, "goes on behind its journey")
    vm.quit()
    vm.kill()


# -- the firmware's --

def firmware():
    """It calls 32-bit code from 16-bit code by SMIs where it finds that they can be had."""
    with open(TMP + "/none.img", "wb") as f:
        f.truncate(1024 * 1024)
    for how, want in (("on", True), ("auto", True), ("off", False)):
        log = f"{TMP}/int-{how}"
        with VM("-M", "pc,smm=" + how, "-m", "16", "-nic", "none", "-drive",
                f"file={TMP}/none.img,format=raw,if=ide", "-d", "int", "-D", log,
                serial=False) as vm:
            end = time.monotonic() + 20 * TIMES
            while time.monotonic() < end:
                with open(log) as f:
                    text = f.read()
                if "interrupt 18" in text or text.count("SMM: after RSM") >= 3:
                    break
                time.sleep(0.1)
            vm.quit()
        if want:
            TAP.check(text.count("SMM: after RSM") >= 3, f"smm={how}: the firmware's SMIs", text[-300:])
            TAP.check(re.search(r"SMM: enter cpl=0 IP=f000:.*\nSMM: after RSM cpl=0 IP=0008:", text),
                      f"smm={how}: out of 16-bit into 32-bit code", text[-600:])
        else:
            TAP.check("SMM" not in text, f"smm={how}: none", text[-300:])


if shutil.which("nasm"):
    TAP.run(forms, exact, waiting)
else:
    TAP.skip("system management mode", "nasm is not installed")
TAP.run(firmware)
TAP.finish()
