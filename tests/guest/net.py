#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""The network cards under real drivers: iPXE boots over TFTP and HTTP from the PCI card's ROM; Linux
moves megabytes both ways through the ISA card, and goes on after loadvm, which is announced."""
import hashlib
import os
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
import pcap
import web
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
ROM = "/usr/lib/ipxe/qemu/efi-ne2k_pci.rom"
PAYLOAD = os.urandom(4000000)
MAC = bytes.fromhex("525400123456")


def pxe():
    if not os.path.exists(ROM):
        TAP.skip("iPXE", f"no {ROM}: package ipxe-qemu")
        return
    server = web.serve(PAYLOAD)
    os.mkdir(TMP + "/tftp")
    with open(TMP + "/tftp/boot.ipxe", "w", encoding="ascii") as f:
        f.write("#!ipxe\nimgfetch http://10.0.2.2:%d/${net0/mac}/${net0/ip} || \n"
                "imgfetch http://10.0.2.2:%d/done ||\nshell\n" % ((server.port,) * 2))
    nic = f"user,model=ne2k_pci,tftp={TMP}/tftp,bootfile=boot.ipxe"
    vm = VM("-M", "pc", "-m", "64", "-nodefaults", "-vga", "std", "-nic", nic, "-boot", "n")
    end = time.monotonic() + 120 * TIMES
    while len(server.asked) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    TAP.equal(server.asked, ["/52:54:00:12:34:56/10.0.2.15", "/done"],
              "iPXE gets an address, a script by TFTP and a file by HTTP")
    vm.quit()
    vm.kill()


def isa():
    server = web.serve(PAYLOAD)
    kernel, initrd = linux686.files(TMP, modules=("ne", "ata_piix", "sd_mod"), setup=b"")
    disk = linux686.disk(TMP + "/d.qcow2")
    vm = linux686.boot(linux686.options(kernel, initrd, disk, nic=None) + [
        "-netdev", "user,id=n0", "-device", "ne2k_isa,netdev=n0,iobase=0x300,irq=5",
        "-object", f"filter-dump,id=d0,netdev=n0,file={TMP}/n0.pcap"])
    vm.shell("insmod $(find / -name 'ne.ko*' | head -n 1) io=0x300 irq=5; "
             "ifconfig eth0 10.0.2.15 netmask 255.255.255.0")
    want = hashlib.sha256(PAYLOAD).hexdigest()
    fetch = f"wget -q -O /tmp/f http://10.0.2.2:{server.port}/ && sha256sum /tmp/f"
    TAP.check(want in vm.shell(fetch, 120), "what Linux fetches arrives whole")
    upload = web.Upload()
    vm.shell(f"nc 10.0.2.2 {upload.port} < /tmp/f", 120)
    upload.join(20)
    TAP.equal(upload.digest, want, "and what it sends")
    TAP.equal(vm.hmp("savevm a"), "", "savevm")
    vm.shell("ifconfig eth0 down")
    TAP.equal(vm.hmp("loadvm a"), "", "loadvm")
    text = vm.shell("rm /tmp/f; " + fetch, 120)
    TAP.check(want in text, "the card goes on where it was saved", text)
    time.sleep(1)
    sent = [f for _, f in pcap.frames(TMP + "/n0.pcap")]
    TAP.equal(sent.count(pcap.rarp(MAC)), 5, "loadvm was announced")
    text = vm.shell("ifconfig eth0")
    TAP.check("errors:0 dropped:0 overruns:0" in text, "no frame was lost", text)
    vm.quit()
    vm.kill()


TAP.run(pxe, isa)
TAP.finish()
