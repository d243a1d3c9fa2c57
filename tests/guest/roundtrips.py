#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Guests that go to QEMU and come back, over and over: the demo guest counts on with its sums
intact; Linux keeps its shell, disk, network and clock, with ACPI and APICs; the screen is the same picture on both sides.
Snapshots on one qcow2 are taken and loaded by either.  docs/interop.md tells the options.  Ten round
trips in the long form, fewer in `make check`."""
import os
import re
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, SRC, IMG = os.environ["TMPDIR"], os.environ["SRCDIR"], os.environ["STASIS_IMG"]
QEMU = "qemu-system-x86_64"
TRIPS = 10 if "TEST_LONG" in os.environ else 2
MACHINE = ["-nodefaults", "-vga", "std"]
LINE = rb"ticks +(\d+) time +\S+ checksum +\S+ (\S+) .*?received +\d+\r"


def start(options, *more, qemu):
    more = [*more, "-accel", "tcg"] if qemu else more
    return VM(*MACHINE, *options, *more, emulator=QEMU if qemu else None,
              tag="qemu" if qemu else "stasis")


def picture(vm, name):
    """The screen as a picture's bytes."""
    path = f"{TMP}/{name}.ppm"
    vm.hmp(f"screendump {path}")
    with open(path, "rb") as f:
        return f.read()


def same_picture(a, b):
    """Pixel by pixel, but for one character cell: a cursor blinks by the host's time."""
    m = re.match(rb"P6\n(\d+) (\d+)\n255\n", a)
    if a[:m.end()] != b[:m.end()] or len(a) != len(b):
        return False
    width, start = int(m[1]), m.end()
    cells = {((i - start) // 3 % width // 9, (i - start) // 3 // width // 16)
             for i in range(start, len(a)) if a[i] != b[i]}
    return len(cells) <= 1


def hop(vm, options, to_qemu, n):
    """Moves the guest to the other emulator; answers the new VM."""
    uri = f"unix:{TMP}/hop{n}"
    dst = start(options, "-S", "-incoming", uri, qemu=to_qemu)
    vm.hmp("migrate_set_parameter max-bandwidth 1G")
    vm.hmp("migrate -d " + uri)
    status, text = vm.wait_migration()
    TAP.check(status == "completed", f"hop {n} is completed", text)
    dst.wait_status(r"paused|prelaunch")
    there, here = picture(vm, "src"), picture(dst, "dst")
    TAP.check(same_picture(there, here), f"hop {n}: the screen is the same picture",
              f"{there[:15]} {here[:15]}")
    vm.quit()
    vm.kill()
    dst.hmp("cont")
    return dst


def image_clean(path, what):
    r = subprocess.run(["qemu-img", "check", path], capture_output=True, text=True)
    TAP.check(r.returncode == 0, what + ": the image is clean", r.stdout + r.stderr)


def demo():
    disk = TMP + "/demo.qcow2"
    subprocess.run([SRC + "/demo/build.sh", SRC + "/demo", TMP + "/demo.img"], check=True)
    subprocess.run([IMG, "convert", "-f", "raw", "-O", "qcow2", TMP + "/demo.img", disk],
                   check=True)
    options = ["-M", "pc-i440fx-7.2,acpi=off,hpet=off,usb=off,vmport=off", "-m", "16",
               "-cpu", "pentium3,-apic",
               "-drive", f"file={disk},format=qcow2,if=ide", "-netdev", "user,id=n",
               "-device", "ne2k_pci,netdev=n", "-rtc", "clock=vm"]
    vm = start(options, qemu=False)
    vm.serial.expect(LINE, 30)
    for n in range(2 * TRIPS):
        last = int(vm.serial.expect(LINE, 30)[1])
        vm = hop(vm, options, n % 2 == 0, n)
        seen = [vm.serial.expect(LINE, 30) for _ in range(3)]
        ticks = [int(m[1]) for m in seen]
        TAP.check(ticks[0] > last and ticks == list(range(ticks[0], ticks[0] + 30, 10)) and
                  all(m[2] == b"ok" for m in seen), f"hop {n}: the demo counts on",
                  f"{last} {[(m[1], m[2]) for m in seen]}")
    vm.quit()
    vm.kill()
    image_clean(disk, "demo")


def seconds(vm):
    """The guest's time, and that of its battery-backed clock."""
    text = vm.shell("date +%s; cat /sys/class/rtc/rtc0/since_epoch")
    return [int(t) for t in re.findall(r"(?m)^(\d+)$", text)]


def alive(vm, n, clock):
    """The shell's own variable, the disk below the caches, an answer from the network, the time."""
    text = vm.shell(f"N=$((N+1)); echo N=$N; printf '%-512s' 'hop {n}' > /tmp/x; dd if=/tmp/x "
                    "of=/dev/sda bs=512 seek=9 conv=fsync 2>/dev/null; echo 3 > "
                    "/proc/sys/vm/drop_caches; dd if=/dev/sda bs=512 skip=9 count=1 2>/dev/null")
    TAP.check(f"N={n + 1}\n" in text and f"hop {n} " in text, f"hop {n}: shell and disk", text)
    text = vm.shell("ping -c 2 -W 5 10.0.2.2")
    answers = " 0% packet loss" in text
    if not answers:
        text += vm.shell("cat /proc/net/dev /proc/net/arp; dmesg | tail -n 5")
    TAP.check(answers, f"hop {n}: the network answers", text)
    before = time.time()
    got = seconds(vm)
    late = [before - t for t in got]
    TAP.check(len(got) == 2 and all(-2 <= d <= clock for d in late),
              f"hop {n}: the clocks are right", f"{late}")


def linux(rtc, trips, slack):
    copy, options = linux686.booted(TMP)
    kernel = options[options.index("-kernel"):options.index("-append") + 2]
    options = ["-M", "pc-i440fx-7.2,usb=off,vmport=off", "-m", "64", *kernel,
               "-cpu", "pentium3",
               "-drive", f"file={copy},format=qcow2,if=ide,index=0,id=hd0",
               "-nic", "user,model=ne2k_pci", "-rtc", rtc]
    vm = start(options, "-loadvm", "booted", qemu=False)
    vm.shell("N=0; ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up; echo 3 > "
             f"/proc/sys/kernel/printk; date -s @{int(time.time())}; hwclock -u -w; "
             "printf '\\033[?25l\\033[2J a picture' > /dev/tty1")
    for n in range(2 * trips):
        vm = hop(vm, options, n % 2 == 0, n)
        alive(vm, n, slack + 2 * n)
    text = vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|lost interrupt|qc timeout|I/O error'")
    TAP.equal(text, "", f"rtc {rtc}: the kernel complains of nothing")
    vm.quit()
    vm.kill()
    image_clean(copy, "Linux")


def linux_vm_clock():
    linux("clock=vm", TRIPS, 5)


def linux_host_clock():
    linux("clock=host", 1 if TRIPS < 10 else TRIPS, 5)


if not shutil.which(QEMU):
    TAP.skip("round trips", f"no {QEMU}")
else:
    TAP.run(demo, linux_vm_clock, linux_host_clock)
TAP.finish()
