#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Migration of disks that the two sides do not share (`migrate -b`, `-i`): a guest keeps writing to
its disk and checks what it wrote, from Stasis to Stasis, to QEMU and back; afterwards both sides'
images hold the same."""
import os
import re
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP, SRC = os.environ["TMPDIR"], os.environ["SRCDIR"]
QEMU = "qemu-system-x86_64"
MIB = 24
ROUND = MIB << 20
BYTES = ROUND - 1536
ARRIVED = r"prelaunch|paused\b(?! \(inmigrate)"
OPTIONS = ["-M", "pc-i440fx-7.2,acpi=off,hpet=off,usb=off,vmport=off", "-cpu", "pentium3,-apic",
           "-m", "16", "-nodefaults", "-vga", "std",
           "-drive", f"file={TMP}/boot.img,format=raw,if=ide,index=0,readonly=on,media=cdrom,id=cd",
           "-boot", "d"]


def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def boot_cd():
    """A CD that boots the sector (El Torito, no emulation)."""
    asm_guest.build("guest/diskwrites.asm", TMP + "/sector", f"-DSECTORS={BYTES // 512}")
    os.makedirs(TMP + "/cd")
    shutil.copy(TMP + "/sector", TMP + "/cd/sector")
    run("xorriso", "-report_about", "FATAL", "-as", "mkisofs", "-quiet", "-o", TMP + "/boot.img",
        "-b", "sector", "-no-emul-boot", "-boot-load-size", "1", TMP + "/cd")


def image(name, fmt, base=None, fill=False, size=BYTES):
    path = f"{TMP}/{name}.{fmt}"
    if base:
        run("qemu-img", "create", "-q", "-f", fmt, "-b", base, "-F", "raw", path)
    else:
        run("qemu-img", "create", "-q", "-f", fmt, path, str(size))
    if fill:
        with open(path, "r+b") as f:
            f.write(os.urandom(6 << 20))
            f.seek(15 << 20)
            f.write(os.urandom(size - (15 << 20)))
    return path


def start(disk, *more, qemu=False):
    fmt = disk.rsplit(".", 1)[1]
    more = [*more, "-drive", f"file={disk},format={fmt},if=ide,index=2,id=hd1"]
    if qemu:
        more += ["-accel", "tcg"]
    return VM(*OPTIONS, *more, emulator=QEMU if qemu else None, tag="qemu" if qemu else "stasis")


def checked(vm, what):
    vm.serial.drain()
    vm.serial.expect(r"\.\.\.", 60)
    TAP.check(b"X" not in vm.serial.data, what + ": the guest reads what it wrote")


def content(path):
    run("qemu-img", "convert", "-O", "raw", path, path + ".content")
    with open(path + ".content", "rb") as f:
        return f.read()


def wait_for(vm, pattern):
    end = time.monotonic() + 60 * TIMES
    while time.monotonic() < end:
        text = vm.hmp("info migrate")
        m = re.search(pattern, text)
        if m or not re.search(r"status: (setup|active)", text):
            return m, text
        time.sleep(0.02)
    raise TimeoutError(text)


def move(vm, source, disk, name, flags="-b", to_qemu=False, settings=()):
    uri = f"unix:{TMP}/{name}"
    dst = start(disk, "-S", "-incoming", uri, qemu=to_qemu)
    for line in settings:
        vm.hmp(line)
    vm.hmp("migrate_set_parameter max-bandwidth 8M")
    TAP.equal(vm.hmp(f"migrate -d {flags} {uri}"), "", f"{name}: accepted")
    m, text = wait_for(vm, r"transferred disk: (?!0 )(\d+) kbytes\nremaining disk: (\d+) kbytes\n"
                           r"total disk: (\d+) kbytes\n")
    TAP.check(m and int(m[1]) + int(m[2]) in (int(m[3]), int(m[3]) - 1), f"{name}: progress is told",
              text)
    vm.hmp("migrate_set_parameter max-bandwidth 1G")
    status, text = vm.wait_migration()
    TAP.check(status == "completed", f"{name}: completed", text)
    dst.wait_status(ARRIVED)
    TAP.check("block: off\n" in vm.hmp("info migrate_capabilities") and
              "block-incremental: off\n" in vm.hmp("info migrate_parameters"),
              f"{name}: what {flags} set is not set for the next one")
    vm.quit()
    vm.kill()
    dst.quit()
    dst.kill()
    TAP.check(content(source) == content(disk), f"{name}: both images hold the same")


def goes_on(vm, source, disk, name, to_qemu=False, **more):
    """As move, but the guest runs on."""
    uri = f"unix:{TMP}/{name}"
    dst = start(disk, "-incoming", uri, qemu=to_qemu)
    vm.hmp("migrate_set_parameter max-bandwidth 1G")
    vm.hmp(f"migrate -d -b {uri}")
    status, text = vm.wait_migration()
    TAP.check(status == "completed", f"{name}: completed", text)
    vm.quit()
    vm.kill()
    checked(dst, name)
    return dst


def whole():
    """There and back, stopped at each arrival to compare."""
    hops = [("qcow2", False)] + [("raw", True), ("qcow2", False)] * bool(shutil.which(QEMU))
    size = BYTES
    source = image("a", "raw", fill=True)
    for n, (fmt, to_qemu) in enumerate(hops):
        if n == 1:
            size = ROUND  # QEMU writes the last chunk whole, which a shorter disk refuses
            source = image("b", "raw", fill=True, size=size)
        vm = start(source, qemu=n == 2)
        checked(vm, f"whole{n}: at the start")
        disk = image(f"whole{n}", fmt, size=size)
        move(vm, source, disk, f"whole{n}", to_qemu=to_qemu)
        source = disk


def running_on():
    source = image("r", "raw", fill=True, size=ROUND)
    vm = start(source)
    checked(vm, "running: at the start")
    for n, to_qemu in enumerate([False, True, False] if shutil.which(QEMU) else [False]):
        disk = image(f"on{n}", "raw", size=ROUND)
        vm = goes_on(vm, source, disk, f"on{n}", to_qemu=to_qemu)
        source = disk
    vm.kill()


def incremental():
    """What lies in the base that both have does not travel."""
    base = image("base", "raw", fill=True)
    source, disk = image("top", "qcow2", base), image("far", "qcow2", base)
    vm = start(source)
    checked(vm, "incremental: at the start")
    vm.hmp("stop")
    vm.hmp("migrate_set_capability zero-blocks on")
    vm.hmp(f"migrate -i file:{TMP}/stream")
    TAP.equal(vm.wait_migration()[0], "completed", "incremental: completed")
    sent = open(f"{TMP}/stream", "rb").read().count(b"\x03hd1")
    TAP.check(0 < sent <= MIB, "incremental: chunks went", f"{sent}")
    vm.quit()
    vm.kill()
    dst = start(disk, "-S", "-incoming", f"file:{TMP}/stream")
    dst.wait_status(ARRIVED)
    dst.quit()
    dst.kill()
    TAP.check(content(disk) == content(source), "incremental: the content is the same")


def refused():
    """Wrong combinations, and a disk that the other side lacks."""
    source = image("s", "raw", fill=True)
    vm = start(source)
    vm.hmp("migrate_set_parameter block-incremental on")
    text = vm.hmp("migrate -b -d exec:true")
    TAP.check("Command options are incompatible with current migration capabilities" in text,
              "-b with the parameter set is refused", text)
    vm.hmp("migrate_set_parameter block-incremental off")
    vm.hmp(f"migrate -b file:{TMP}/refused")
    TAP.equal(vm.wait_migration()[0], "completed", "into a file")
    vm.kill()
    with open(f"{TMP}/refused", "rb") as f:
        data = f.read()
    for old, new, why in ((b"\x03hd1", b"\x03hd2", "Error unknown block device hd2"),
                          (b"\x03hd1", b"\x02cd1", "block device cd is not writable")):
        with open(f"{TMP}/bad", "wb") as f:
            f.write(data.replace(old, new, 1))
        disk = image("bad", "raw")
        vm = start(disk, "-S", "-incoming", "defer")
        vm.hmp(f"migrate_incoming file:{TMP}/bad")
        end = time.monotonic() + 20 * TIMES
        while why not in vm.stderr() and time.monotonic() < end:
            time.sleep(0.05)
        TAP.check(why in vm.stderr(), f"refused: {why}", vm.stderr())
        vm.kill()
    shared = start(source)
    vm = start(source, "-S", "-incoming", f"unix:{TMP}/shared")
    shared.hmp(f"migrate -d -b unix:{TMP}/shared")
    status, text = shared.wait_migration()
    TAP.check(status == "failed" and "running" in shared.hmp("info status"),
              "a disk that is shared is refused", text)
    shared.kill()
    vm.kill()


if not shutil.which("nasm") or not shutil.which("xorriso"):
    TAP.skip("disks", "nasm or xorriso is not installed")
else:
    boot_cd()
    if not shutil.which(QEMU):
        TAP.skip("disks with QEMU", f"no {QEMU}")
    TAP.run(whole, running_on, incremental, refused)
TAP.finish()
