#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""The e1000 under Linux's driver, which uses its checksums and segmentation: megabytes both ways,
a snapshot, and a journey to QEMU and back.  iPXE boots from its ROM."""
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
ROM = "/usr/lib/ipxe/qemu/efi-e1000.rom"
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
    text = vm.shell("ifconfig eth0; dmesg | grep -E 'Call Trace|Tx Unit Hang|WATCHDOG'")
    TAP.check("RX packets" in text and text.count("errors:0 dropped:0 overruns:0") == 2 and
              "Hang" not in text and "Trace" not in text, what + ": no complaint", text)


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


def linux():
    kernel, initrd = linux686.files(TMP, modules=("e1000", "ata_piix", "sd_mod"))
    options = linux686.options(kernel, initrd, linux686.disk(TMP + "/d.qcow2"),
                               nic="user,model=e1000")
    options[options.index("-M") + 1] = "pc-i440fx-7.2,acpi=off,usb=off,hpet=off,vmport=off"
    options[options.index("-cpu") + 1] = "pentium3,-apic"
    vm = linux686.boot(options)
    vm.shell("dmesg -n 1; ifconfig eth0 10.0.2.15 netmask 255.255.255.0")
    works(vm, "here")
    TAP.equal(vm.hmp("savevm a"), "", "savevm")
    vm.shell("ifconfig eth0 down")
    TAP.equal(vm.hmp("loadvm a"), "", "loadvm")
    works(vm, "after loadvm")
    if shutil.which(QEMU):
        vm = move(vm, options, qemu=True)
        works(vm, "in QEMU")
        vm = move(vm, options, qemu=False)
        works(vm, "back")
    else:
        TAP.skip("QEMU", f"no {QEMU}")
    vm.quit()
    vm.kill()


def pxe():
    if not os.path.exists(ROM):
        TAP.skip("iPXE", f"no {ROM}: package ipxe-qemu")
        return
    os.mkdir(TMP + "/tftp")
    with open(TMP + "/tftp/boot.ipxe", "w", encoding="ascii") as f:
        f.write("#!ipxe\nimgfetch http://10.0.2.2:%d/ipxe ||\nshell\n" % SERVER.port)
    vm = VM("-M", "pc", "-m", "64", "-nodefaults", "-vga", "std", "-boot", "n", "-nic",
            f"user,model=e1000,tftp={TMP}/tftp,bootfile=boot.ipxe")
    end = time.monotonic() + 120
    while "/ipxe" not in SERVER.asked and time.monotonic() < end:
        time.sleep(0.1)
    TAP.check("/ipxe" in SERVER.asked, "iPXE gets an address, a script by TFTP, a file by HTTP")
    vm.quit()
    vm.kill()


try:
    TAP.run(pxe, linux)
except guests.Unavailable as e:
    TAP.skip("linux", str(e))
TAP.finish()
