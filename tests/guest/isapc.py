#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""The machine without PCI: its firmware, the demo guest and its snapshots, GRUB and memtest86+ from
CD, Linux with its disk and the ISA network card."""
import os
import re
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
import screen
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, SRC, IMG = os.environ["TMPDIR"], os.environ["SRCDIR"], os.environ["STASIS_IMG"]
PLAIN = ["-M", "isapc", "-nodefaults", "-vga", "std"]
DEMO_LINE = (rb"ticks +(\d+) .*? checksum +[0-9a-f]{8} (\S+) .* nic +(\S+) sent +(\d+) "
             rb"received +(\d+)\r")


def firmware():
    with VM(*PLAIN, "-m", "8") as vm:
        TAP.check(screen.wait(vm, "SeaBIOS.*No bootable device"), "the firmware runs")
        TAP.equal(vm.hmp("info pci").strip(), "", "there is no PCI")


def demo_line(vm, ticks=0):
    while True:
        m = vm.serial.expect(DEMO_LINE, 30)
        if int(m[1]) >= ticks:
            return m


def demo():
    disk = TMP + "/demo.qcow2"
    subprocess.run([SRC + "/demo/build.sh", SRC + "/demo", TMP + "/demo.img"], check=True)
    subprocess.run([IMG, "convert", "-f", "raw", "-O", "qcow2", TMP + "/demo.img", disk],
                   check=True)
    opts = PLAIN + ["-m", "16", "-hda", disk, "-netdev", "user,id=n", "-device",
                    "ne2k_isa,netdev=n,iobase=0x300,irq=9"]
    with VM(*opts) as vm:
        m = demo_line(vm, 220)
        TAP.equal((m[2], m[3]), (b"ok", b"52:54:00:12:34:56"), "the demo guest runs and sums")
        TAP.check(int(m[5]) > 0, "the ISA card has sent and received", m[0])
        shown = screen.text(vm)
        TAP.check("checksum" in shown, "it shows on the ISA display", shown)
        TAP.equal(vm.hmp("savevm one"), "", "savevm")
        later = demo_line(vm, int(m[1]) + 220)
    with VM(*opts, "-loadvm", "one") as vm:
        back = demo_line(vm)
        TAP.check(int(m[1]) <= int(back[1]) < int(later[1]), "-loadvm goes back", back[0])
        TAP.equal(demo_line(vm, int(back[1]) + 220)[2], b"ok", "and the sums are right")


def grub():
    iso = guests.package("grub-rescue-pc") + "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
    with VM(*PLAIN, "-m", "32", "-cdrom", iso) as vm:
        TAP.check(screen.wait(vm, r"GNU GRUB +version.*\*GNU/Linux"), "GRUB's menu from CD")


def memtest():
    iso = guests.package("memtest86+") + "/usr/lib/memtest86+/memtest86+ia32.iso"
    with VM(*PLAIN, "-m", "8", "-cdrom", iso) as vm:
        screen.wait(vm, "<Enter> to start testing")
        vm.hmp("sendkey ret")
        shown = screen.wait(vm, "Test #[3-9]").string
        TAP.check(re.search(r"Errors: 0\b", shown), "memtest86+ from CD finds nothing", shown)


def linux():
    kernel, initrd = linux686.files(TMP, modules=("ne", "pata_legacy", "sd_mod"), setup=b"")
    disk = linux686.disk(TMP + "/linux.qcow2")
    opts = linux686.options(kernel, initrd, disk, nic=None)
    opts[opts.index("pc")] = "isapc"
    # With a local APIC, SeaBIOS's MP table names an I/O APIC that an ISA machine has not got.
    opts[opts.index("pentium3")] = "pentium3,-apic"
    vm = linux686.boot(opts + ["-netdev", "user,id=n", "-device",
                               "ne2k_isa,netdev=n,iobase=0x300,irq=9"])
    TAP.check("Linux" in vm.shell("uname -a"), "Linux boots to a shell")
    vm.shell("insmod /modules/ne.ko io=0x300 irq=9; ifconfig eth0 up")
    text = vm.shell("udhcpc -i eth0 -n -q -s /usr/share/udhcpc/default.script 2>&1")
    TAP.check("DHCP GOT 10.0.2.15" in text, "an address by DHCP", text)
    text = vm.shell("/busy.sh 10", 120)
    TAP.check("ALL WELL" in text and "MISMATCH" not in text, "the disk keeps what it gets", text)
    text = vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|lost interrupt|qc timeout'")
    TAP.equal(text.strip(), "", "the kernel complains of nothing")
    vm.quit()
    vm.kill()


TAP.run(firmware, demo, grub, memtest, linux)
TAP.finish()
