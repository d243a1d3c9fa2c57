#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""savevm, savevm over an older snapshot of the same name, loadvm and delvm of a machine with two
disks, in whose midst the emulator is killed (before a write, or half through it), or a disk is
full: at every write that these make, on either disk.  Whatever is left is clean by qemu-img, every
other snapshot loads to the digest that it was taken with, and the one at work is the old or the new.
A sample of the writes in `make check`, all of them in the long form."""
import os
import re
import shutil
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
from guest_vm import VM, Gone
from tap import Tap

TAP = Tap()
TMP, SRC, IMG = os.environ["TMPDIR"], os.environ["SRCDIR"], os.environ["STASIS_IMG"]
STEP = 1 if "TEST_LONG" in os.environ else 9
LIMIT = 400  # writes of one command
DISKS = ("one", "two")


def drive(disk, fault=""):
    path = f"{TMP}/{disk}.qcow2"
    if fault:
        path = f"fault:{fault}:{path}".replace(",", ",,")
    return ["-drive", f"file={path},format=qcow2,if=ide,id={disk}"]


def start(faulty=None, fault="", more=()):
    options = ["-M", "pc", "-m", "1", "-nodefaults", "-bios", TMP + "/edges.rom", "-S",
               "-rtc", "clock=vm,base=2026-01-01"]
    for disk in DISKS:
        options += drive(disk, fault if disk == faulty else "")
    return VM(*options, *more, serial=False)


def hash_of(vm):
    return vm.hmp("info hash").split()[-1]


def names(vm):
    return re.findall(r"(?m)^--\s+(\S+)", vm.hmp("info snapshots"))


def at_power_on(more=()):
    with start(more=more) as vm:
        digest = hash_of(vm)
        vm.quit()
    return digest


def go_to(name):
    for disk in DISKS:
        subprocess.run([IMG, "snapshot", "-a", name, f"{TMP}/{disk}.qcow2"], check=True)


def prepare():
    """Images with the snapshots `old` and `vm`, kept aside; the digest of each state, and of what a
    machine is that has just been switched on."""
    asm_guest.build("live/edges.asm", TMP + "/edges.rom")
    for disk in DISKS:
        subprocess.run([IMG, "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k",
                        f"{TMP}/{disk}.qcow2", "1M"], check=True)
    digests = {}
    for k, name in enumerate(("old", "vm", "later")):
        with start() as vm:
            vm.hmp("cont")
            subprocess.run(["sleep", "0.2"], check=True)
            vm.hmp("stop")
            if name != "later":
                TAP.equal(vm.hmp("savevm " + name), "", "savevm " + name)
                digests[name] = hash_of(vm)
            vm.quit()
        for disk in DISKS:  # the guest knows one disk only
            subprocess.run(["qemu-io", "-c", f"write -P {k + 1} 512k 8k", f"{TMP}/{disk}.qcow2"],
                           check=True, capture_output=True)
    digests["on"] = at_power_on()
    for disk in DISKS:
        os.rename(f"{TMP}/{disk}.qcow2", f"{TMP}/{disk}.kept")
    fresh()
    go_to("old")
    digests["on at old"] = at_power_on()
    TAP.equal(len(set(digests.values())), 4, "four states differ")
    return digests


def fresh():
    for disk in DISKS:
        shutil.copyfile(f"{TMP}/{disk}.kept", f"{TMP}/{disk}.qcow2")


class Broken(Exception):
    pass


def expect(ok, what):
    if not ok:
        raise Broken(what)


def image_clean(killed):
    """A kill may leave clusters that nobody owns, never one with two owners."""
    for disk in DISKS:
        r = subprocess.run(["qemu-img", "check", f"{TMP}/{disk}.qcow2"], capture_output=True,
                           text=True)
        expect(r.returncode == 0 or killed and r.returncode == 3, r.stdout + r.stderr)


def loads(vm, name, allowed, digests):
    """The snapshot is one of these states; None: or is not there."""
    text = vm.hmp("loadvm " + name)
    if text:
        expect(None in allowed, f"loadvm {name}: {text}")
        expect("does not exist" in text or "does not fit together" in text, text)
        return
    expect(hash_of(vm) in [digests[a] for a in allowed if a], f"{name} is another state")


def first_look(digests, loading):
    """A start without a snapshot has the disks of one moment, or is refused; True where it was."""
    try:
        digest = at_power_on()
    except Gone as e:
        expect(loading and "loadvm 'old' was cut short" in str(e), str(e))
        return True
    expect(digest in (digests["on"], digests["on at old"] if loading else None),
           "the disks are of different moments, and nobody tells")
    return False


def ways_out(digests):
    """Of a refused start: on to the snapshot, or back to what was before."""
    for disk in DISKS:
        shutil.copyfile(f"{TMP}/{disk}.qcow2", f"{TMP}/{disk}.mixed")
    expect(at_power_on(["-loadvm", "old"]) == digests["old"], "-loadvm of a mixed set")
    expect(at_power_on() == digests["on at old"], "power-on after that")
    for disk in DISKS:
        shutil.copyfile(f"{TMP}/{disk}.mixed", f"{TMP}/{disk}.qcow2")
    go_to("stasis:before-loadvm:old")
    expect(at_power_on() == digests["on"], "taken back")
    with start() as vm:
        expect("before-loadvm" not in vm.hmp("info snapshots"), "an entry is left over")
        vm.quit()


def verdict(allowed, digests, killed, loading):
    """What a new emulator makes of the images; True where a plain start was refused."""
    image_clean(killed)
    refused = first_look(digests, loading)
    if refused:
        ways_out(digests)
    with start() as vm:
        for name in ("old", "vm", "new"):
            loads(vm, name, allowed[name], digests)
        expect(vm.hmp("savevm after") == "", "no savevm afterwards")
        loads(vm, "old", allowed["old"], digests)
        expect(vm.hmp("loadvm after") == "", "no loadvm afterwards")
        vm.quit()
    image_clean(killed)
    return refused


# command: which states each name may be in where it was cut short; and once it is done.
BEFORE = {"old": ["old"], "vm": ["vm"], "new": [None]}
COMMANDS = {
    "savevm new": ({"new": [None, "on"]}, {"new": ["on"]}),
    "savevm vm": ({"vm": ["vm", "on"]}, {"vm": ["on"]}),
    "loadvm old": ({}, {}),
    "delvm old": ({"old": ["old", None]}, {"old": [None]}),
}


def cut_short(command, disk, kind, at, digests):
    """One run with a fault: whether the command was cut short by it, and whether a start was
    refused afterwards."""
    cut, done = COMMANDS[command]
    fresh()
    with start(disk, f"kind={kind},at={at}") as vm:
        before = hash_of(vm)
        try:
            text = vm.hmp(command)
            died = False
        except (Gone, ConnectionError):
            text, died = "", True
        if died:
            expect(vm.proc.wait(20) == -9, f"status {vm.proc.returncode}: {vm.stderr()}")
        elif text:
            expect(text.startswith("Error"), text)
            if "loadvm" not in command:
                expect(hash_of(vm) == before, "a failed command has changed the machine")
            expect(vm.hmp("cont") == "" and vm.hmp("stop") == "", "it does not run on")
        if not died:
            vm.hmp("stop")
            vm.quit()
    for disk in DISKS:
        shutil.copyfile(f"{TMP}/{disk}.qcow2", f"{TMP}/{disk}.left")
    allowed = {**BEFORE, **(done if not died and not text else cut)}
    refused = verdict(allowed, digests, died, command.startswith("loadvm"))
    return died or bool(text), refused


def every_write(command, disk, kind, digests):
    """The k-th write for every k, until the command gets to its end untouched."""
    broken, faults, at, quiet = [], 0, 1, 0
    while at < LIMIT and quiet < 4:
        try:
            hit, _ = cut_short(command, disk, kind, at, digests)
        except (Broken, TimeoutError, Gone, ConnectionError) as e:
            broken.append(f"write {at}: {e}")
            hit = True
        faults += hit
        quiet = 0 if hit else quiet + 1
        at += STEP
    TAP.check(not broken and faults, f"{command}, {kind} on disk {disk}: {faults} faults",
              "\n".join(broken[:5]))


def between_switches(digests):
    """Killed when the first disk is at the snapshot and the second is not: found by halving, since
    before that nothing is refused and the disks are as they were, and behind it all are there."""
    low, high, refused = 1, LIMIT, False
    while low < high and not refused:
        at = (low + high) // 2
        hit, refused = cut_short("loadvm old", "two", "kill", at, digests)
        for disk in DISKS:  # what the kill left, not what the verdict made of it
            shutil.copyfile(f"{TMP}/{disk}.left", f"{TMP}/{disk}.qcow2")
        if not refused and hit and at_power_on() == digests["on"]:
            low = at + 1
        else:
            high = at
    TAP.check(refused, "disks of different moments: the start is refused, both ways lead out")


def main():
    digests = prepare()
    for command in COMMANDS:
        for kind in ("kill", "tear", "enospc"):
            for disk in DISKS:
                every_write(command, disk, kind, digests)
    between_switches(digests)


if shutil.which("nasm") and shutil.which("qemu-img"):
    TAP.run(main)
else:
    TAP.skip("crash", "nasm or qemu-img is not installed")
TAP.finish()
