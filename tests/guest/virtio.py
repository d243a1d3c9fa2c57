#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Virtio disk, network card and entropy device under Linux: as transitional, modern and legacy ones;
they survive savevm and loadvm at work, and a journey to QEMU and back.  Disk and network interrupt by
MSI-X, the entropy device, which has no vectors, by INTA.  SeaBIOS boots from the disk.  With two CPUs
the disk has a queue for each."""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import journey
import linux686
import web
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio-rng")
PAYLOAD = os.urandom(2000000)
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()
ERRORS = "dmesg | grep -E 'BUG:|Oops|Call Trace|I/O error|NETDEV WATCHDOG'"


SERVER = web.serve(PAYLOAD)
FETCH = f"wget -q -O - http://10.0.2.2:{SERVER.port}/ | sha256sum"


def options(kernel, initrd, disk, mode):
    o = linux686.options(kernel, initrd, nic=None) + [
        "-drive", f"file={disk},format=qcow2,if=none,id=v0",
        "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56" + mode,
        "-device", "virtio-blk-pci,drive=v0" + mode, "-device",
        "virtio-rng-pci,vectors=0" + mode]
    o[o.index("-M") + 1] = "pc-i440fx-7.2,usb=off,hpet=off,vmport=off"
    return o


def messages(vm):
    """How often each of the vectors has interrupted, by name."""
    found = re.findall(r"^ *\d+: +(\d+) +PCI-MSI +\S+ +(virtio\S+)", vm.shell("cat /proc/interrupts"),
                       re.M)
    return {name: int(n) for n, name in found}


def vectors(vm, what):
    """Each queue has its own vector, and those that are used interrupt."""
    before = messages(vm)
    vm.shell("dd if=/dev/vda of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null; " + FETCH, 120)
    after = messages(vm)
    TAP.equal(sorted(before), ["virtio0-config", "virtio0-input.0", "virtio0-output.0",
                               "virtio1-config", "virtio1-req.0"], what + ": vectors")
    for name in ("virtio0-input.0", "virtio1-req.0"):
        TAP.check(after.get(name, 0) > before.get(name, 0), f"{what}: {name} interrupts",
                  f"{before}, then {after}")
    text = vm.shell("cat /proc/interrupts")
    TAP.check(re.search(r"IO-APIC.*virtio2", text), what + ": the entropy device's is INTA", text)


def network(vm, what):
    text = vm.shell("ifconfig eth0 10.0.2.15 netmask 255.255.255.0; " + FETCH, 120)
    TAP.check(DIGEST in text, what + ": a file over the network", text)


def in_mode(kernel, initrd, name, mode):
    disk = linux686.disk(f"{TMP}/{name}.qcow2")
    vm = linux686.boot(options(kernel, initrd, disk, mode))
    network(vm, name)
    vectors(vm, name)
    vm.shell("dd if=/dev/urandom of=/dev/vda bs=64k count=16 conv=fsync 2>/dev/null")
    before = vm.shell("md5sum < /dev/vda")
    vm.shell("echo 3 > /proc/sys/vm/drop_caches")
    TAP.equal(vm.shell("md5sum < /dev/vda"), before, name + ": the disk keeps what was written")
    TAP.check(len(vm.shell("head -c 32 /dev/hwrng | od -An -tx1").split()) == 32,
              name + ": the entropy device gives bytes")
    TAP.equal(vm.shell(ERRORS), "", name + ": no complaint")
    return vm, disk


def transitional(kernel, initrd):
    vm, disk = in_mode(kernel, initrd, "transitional", "")
    want = vm.shell("head -c 1000000 /dev/vda | sha256sum")
    vm.shell("(while true; do dd if=/dev/urandom of=/dev/vda bs=64k count=4 seek=64 oflag=direct; "
             "head -c 64 /dev/hwrng > /tmp/r; done) > /dev/null 2>&1 & true")
    for n in range(3):
        time.sleep(0.3)
        TAP.equal(vm.hmp(f"savevm s{n}"), "", "savevm at work")
        TAP.equal(vm.hmp("loadvm s0"), "", "loadvm at work")
        vm.shell("echo 3 > /proc/sys/vm/drop_caches")
        TAP.equal(vm.shell("head -c 1000000 /dev/vda | sha256sum"), want, "the disk's content")
    network(vm, "after loadvm")
    vectors(vm, "after loadvm")
    if shutil.which(journey.QEMU):
        abroad(vm, options(kernel, initrd, disk, ""), want)
    else:
        TAP.skip("QEMU", f"no {journey.QEMU}")
        vm.quit()
        vm.kill()


def abroad(vm, opts, want):
    for qemu in (True, False):
        vm = journey.move(TAP, vm, opts, qemu)
        where = "in QEMU" if qemu else "back"
        vm.shell("echo 3 > /proc/sys/vm/drop_caches")
        TAP.equal(vm.shell("head -c 1000000 /dev/vda | sha256sum"), want, where + ": the disk")
        network(vm, where)
        vectors(vm, where)
        TAP.equal(vm.shell(ERRORS), "", where + ": no complaint")
    vm.quit()
    vm.kill()


def on_each_cpu(vm, what):
    """Two queues, and each CPU's requests go by its own."""
    TAP.equal(vm.shell("ls /sys/block/vda/mq").split(), ["0", "1"], what + ": queues")
    for cpu in (0, 1):
        before = per_cpu(vm)
        vm.shell(f"taskset {1 << cpu} dd if=/dev/vda of=/tmp/cpu{cpu} bs=64k count=16 iflag=direct "
                 "2>/dev/null", 120)
        after = per_cpu(vm)
        TAP.check([b < a for b, a in zip(before, after)][cpu], f"{what}: queue {cpu} interrupts",
                  f"{before}, then {after}")
    TAP.equal(vm.shell("cmp /tmp/cpu0 /tmp/cpu1 && echo same").strip(), "same",
              what + ": both read the same")


def per_cpu(vm):
    found = re.findall(r"^ *\d+: +(\d+) +(\d+) +PCI-MSI.*virtio\d-req", vm.shell("cat /proc/interrupts"),
                       re.M)
    return [int(a) + int(b) for a, b in found]


def queues():
    kernel, initrd = linux686.files(TMP, modules=MODULES)
    disk = linux686.disk(TMP + "/queues.qcow2")
    opts = linux686.options(kernel, initrd, nic=None) + [
        "-smp", "2", "-drive", f"file={disk},format=qcow2,if=virtio"]
    opts[opts.index("-M") + 1] = "pc-i440fx-7.2,usb=off,hpet=off,vmport=off"
    vm = linux686.boot(opts)
    vm.shell("dd if=/dev/urandom of=/dev/vda bs=64k count=16 conv=fsync 2>/dev/null")
    on_each_cpu(vm, "two queues")
    TAP.equal(vm.hmp("savevm q"), "", "savevm with two queues")
    TAP.equal(vm.hmp("loadvm q"), "", "loadvm with two queues")
    on_each_cpu(vm, "after loadvm")
    for qemu in (True, False) if shutil.which(journey.QEMU) else ():
        vm = journey.move(TAP, vm, opts, qemu)
        on_each_cpu(vm, "two queues " + ("in QEMU" if qemu else "back"))
    vm.quit()
    vm.kill()


def entropy():
    """Numbers come from the file that -object names, and each only once."""
    source, seen = os.urandom(1 << 20), []
    with open(TMP + "/numbers", "wb") as f:
        f.write(source)
    kernel, initrd = linux686.files(TMP, modules=("virtio_pci", "virtio-rng"))
    vm = linux686.boot(linux686.options(kernel, initrd, nic=None) + [
        "-object", f"rng-random,id=numbers,filename={TMP}/numbers",
        "-device", "virtio-rng-pci,rng=numbers"])
    for _ in range(2):
        got = bytes.fromhex(vm.shell("head -c 64 /dev/hwrng | od -An -v -tx1").replace("\n", " "))
        seen.append(source.find(got) if len(got) == 64 else -1)
    TAP.check(0 <= seen[0] and seen[0] + 64 <= seen[1], "numbers of a file, one after the other",
              str(seen))
    vm.quit()
    vm.kill()


def boots():
    demo = os.environ["SRCDIR"] + "/demo"
    subprocess.run([demo + "/build.sh", demo, TMP + "/demo.img"], check=True)
    vm = VM("-m", "16", "-nodefaults", "-vga", "std", "-drive",
            f"file={TMP}/demo.img,if=virtio,format=raw")
    vm.serial.expect("boots     000", 60)
    TAP.check(True, "SeaBIOS boots from a virtio disk")
    vm.quit()
    vm.kill()


def linux():
    kernel, initrd = linux686.files(TMP, modules=MODULES)
    transitional(kernel, initrd)
    if not os.environ.get("TEST_LONG"):
        return
    for name, mode in (("modern", ",disable-legacy=on"), ("legacy", ",disable-modern=on")):
        vm, _ = in_mode(kernel, initrd, name, mode)
        vm.quit()
        vm.kill()


TAP.run(boots, queues, entropy, linux)
TAP.finish()
