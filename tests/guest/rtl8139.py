#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""The RTL8139C+ under both of Linux's drivers (8139cp: descriptor rings with checksums and
segmentation; 8139too: the older mode): megabytes both ways, snapshots under load, and a journey to
QEMU and back.  iPXE boots from its ROM."""
import hashlib
import os
import shutil
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
import web
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
QEMU = "qemu-system-x86_64"
ROM = "/usr/lib/ipxe/qemu/efi-rtl8139.rom"
PAYLOAD = os.urandom(3000000)
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()
SERVER = web.serve(PAYLOAD)


def works(vm, what):
    text = vm.shell(f"wget -q -O /tmp/f http://10.0.2.2:{SERVER.port}/; sha256sum /tmp/f", 120)
    TAP.check(DIGEST in text, what + ": what Linux fetches arrives whole", text)
    upload = web.Upload()
    vm.shell(f"nc 10.0.2.2 {upload.port} < /tmp/f", 120)
    upload.join(20)
    TAP.equal(upload.digest, DIGEST, what + ": and what it sends")
    text = vm.shell("ifconfig eth0; dmesg | grep -E 'Call Trace|WATCHDOG|hung|timeout'")
    TAP.check("RX packets" in text and text.count("errors:0 dropped:0 overruns:0") == 2 and
              "Trace" not in text and "WATCHDOG" not in text, what + ": no complaint", text)


def move(vm, options, qemu):
    vm.hmp(f'migrate "exec:cat > {TMP}/stream"')
    status, text = vm.wait_migration()
    TAP.check(status == "completed", "a stream is written", text)
    vm.quit()
    vm.kill()
    more = options + ["-incoming", f"exec:cat {TMP}/stream"]
    vm = VM(*more, emulator=QEMU) if qemu else VM(*more)
    vm.wait_status("running|paused$")
    if "paused" in vm.hmp("info status"):
        vm.hmp("cont")
    return vm


def load_under_load(vm, what):
    """Snapshots while frames go out as fast as they can; each is gone back to."""
    vm.shell("(while true; do head -c 1400 /tmp/f | nc -u -w 1 10.0.2.3 9; done) "
             ">/dev/null 2>&1 & ping -c 1000 -i 0.01 10.0.2.2 >/dev/null 2>&1 & true")
    for i in range(3):
        time.sleep(0.2)
        TAP.equal(vm.hmp(f"savevm l{i}"), "", what + ": savevm under load")
    for i in (1, 0, 2):
        TAP.equal(vm.hmp(f"loadvm l{i}"), "", what + ": loadvm under load")
        vm.shell("true")
    vm.shell("kill %1 %2; killall nc ping; true")
    works(vm, what + ", after loads")


def linux(driver, there, nic):
    kernel, initrd = linux686.files(TMP, modules=(driver, "ata_piix", "sd_mod"))
    disk = linux686.disk(f"{TMP}/{driver}.qcow2")
    options = linux686.options(kernel, initrd, disk, nic=None) + nic
    options[options.index("-M") + 1] = "pc-i440fx-7.2,acpi=off,usb=off,hpet=off,vmport=off"
    options[options.index("-cpu") + 1] = "pentium3,-apic"
    vm = linux686.boot(options)
    vm.shell("dmesg -n 1; ifconfig eth0 10.0.2.15 netmask 255.255.255.0")
    works(vm, driver)
    load_under_load(vm, driver)
    if there and shutil.which(QEMU):
        vm = move(vm, options, qemu=True)
        works(vm, driver + " in QEMU")
        vm = move(vm, options, qemu=False)
        works(vm, driver + " back")
    elif there:
        TAP.skip("QEMU", f"no {QEMU}")
    vm.quit()
    vm.kill()


def cplus():
    linux("8139cp", True, ["-nic", "user,model=rtl8139"])


def older():
    # This driver leaves the C+ to the other one.
    linux("8139too", False, ["-netdev", "user,id=n", "-device", "rtl8139,netdev=n,revision=0x10"])


def pxe():
    if not os.path.exists(ROM):
        TAP.skip("iPXE", f"no {ROM}: package ipxe-qemu")
        return
    os.mkdir(TMP + "/tftp")
    with open(TMP + "/tftp/boot.ipxe", "w", encoding="ascii") as f:
        f.write("#!ipxe\nimgfetch http://10.0.2.2:%d/ipxe ||\nshell\n" % SERVER.port)
    vm = VM("-M", "pc", "-m", "64", "-nodefaults", "-vga", "std", "-boot", "n", "-nic",
            f"user,model=rtl8139,tftp={TMP}/tftp,bootfile=boot.ipxe")
    end = time.monotonic() + 120
    while "/ipxe" not in SERVER.asked and time.monotonic() < end:
        time.sleep(0.1)
    TAP.check("/ipxe" in SERVER.asked, "iPXE gets an address, a script by TFTP, a file by HTTP")
    vm.quit()
    vm.kill()


for group in pxe, cplus, older:
    try:
        TAP.run(group)
    except guests.Unavailable as e:
        TAP.skip(group.__name__, str(e))
TAP.finish()
