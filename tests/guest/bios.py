#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Other firmware than SeaBIOS, by -bios: GRUB sets the display up by itself and loads a kernel from a
disk, in the long form Linux, too; U-Boot, in 32 and 64 bits, reads a file."""
import hashlib
import os
import sys
import zlib

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import bootdisk
import guests
import linux686
import screen
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
LONG = "TEST_LONG" in os.environ
KERNEL = "multiboot /kernel alpha beta=2\nboot\n"
# GRUB leaves the disk's channel switched off (IDETIM, in PCI configuration space), with which Linux
# does not use it; and reads by it nevertheless, as it may in QEMU.
PIIX = "0000:00:01.1"
ENABLE = f"""printf '\\300' | dd of=/sys/bus/pci/devices/{PIIX}/config bs=1 seek=65 2>/dev/null
cd /sys/bus/pci/drivers/ata_piix; echo {PIIX} > unbind; echo {PIIX} > bind; cd /
while [ ! -e /dev/sda1 ]; do usleep 100000; done; sha256sum < /dev/sda1""".replace("\n", ";")
LINUX = f"linux /vmlinuz {linux686.APPEND}\ninitrd /initrd\nboot\n"


def make_disk(path, files):
    root = bootdisk.tree(path + ".files", files)
    return bootdisk.mbr(path, bootdisk.ext(path + ".fs", 32, root, kind="ext2"))


def content(path):
    with open(path, "rb") as f:
        return f.read()


def start(firmware, disk, *args):
    return VM("-M", "pc", "-m", "128", "-nodefaults", "-bios", firmware, "-drive",
              f"file={disk},format=raw,if=ide", *args)


def grub_menu(disk):
    firmware = guests.package("grub-firmware-qemu") + "/usr/share/qemu/grub.bin"
    vm = start(firmware, disk, "-cpu", "pentium3", "-vga", "std")
    screen.wait(vm, r"GNU GRUB +version.*\*Search")
    return vm


def choose(vm):
    """The entry that looks for /grub/grub.cfg on all disks."""
    for _ in range(3):
        vm.hmp("sendkey down")
    screen.wait(vm, r"\*Search & source /grub/grub.cfg")
    vm.hmp("sendkey ret")


def grub():
    kernel = content(guests.package("multiboot") + "/usr/lib/multiboot/examples/kernel")
    disk = make_disk(TMP + "/grub.img", {"grub/grub.cfg": KERNEL,
                                         "kernel": bootdisk.without_mode(kernel)})
    with grub_menu(disk) as vm:
        width, _, pixels = screen.picture(vm)
        title = pixels[16 * width * 3:32 * width * 3]
        dots = len(title) // 3 - title.count(b"\0\0\0")
        TAP.check(width == 640 and 300 < dots < 3000, "GRUB as firmware draws its menu's title",
                  f"{width} points a row, {dots} of them letters")
        choose(vm)
        shown = screen.wait(vm, r"alpha beta=2.*Halted").string
        TAP.check("size = 0x14" in shown.replace("\\", "0"), "and starts a kernel", shown)


def grub_linux():
    kernel, initrd = linux686.files(TMP, modules=("ata_piix", "sd_mod"))
    disk = make_disk(TMP + "/linux.img", {"grub/grub.cfg": LINUX, "vmlinuz": content(kernel),
                                          "initrd": content(initrd)})
    with grub_menu(disk) as vm:
        choose(vm)
        linux686.ready(vm, 600)
        text = vm.shell("dmesg | grep DMI")
        TAP.check("DMI not present" in text, "Linux runs without a BIOS", text)
        with open(disk, "rb") as f:
            f.seek(bootdisk.FIRST * 512)
            want = hashlib.sha256(f.read()).hexdigest()
        TAP.check(want in vm.shell(ENABLE), "and reads the disk by interrupts, once it is enabled")


def u_boot():
    data = os.urandom(700000)
    disk = make_disk(TMP + "/u.img", {"data.bin": data})
    for kind in "qemu-x86", "qemu-x86_64":
        firmware = f"{guests.package('u-boot-qemu')}/usr/lib/u-boot/{kind}/u-boot.rom"
        # Its 16-bit data segments end at 64 KiB.  The VGA BIOS that would be run with a display reads
        # above that, which is a fault (not in QEMU, which does not check) that leads nowhere.
        with start(firmware, disk, "-cpu", "qemu64", "-vga", "none", "-S") as vm:
            vm.hmp("cont")  # what is said before anybody listens is lost
            vm.serial.expect(r"DRAM: +128 MiB", 60)
            vm.serial.expect(r"Model: QEMU x86 .I440FX.", 60)
            vm.serial.expect("Hit any key", 60)
            vm.serial.send("\r")
            vm.serial.expect("=> ", 30)
            vm.serial.send("ide reset\r")
            TAP.check(vm.serial.expect(r"STASIS HARDDISK", 30), kind + ": U-Boot finds the disk")
            vm.serial.send("ext4load ide 0:1 1000000 /data.bin\r")
            vm.serial.expect("700000 bytes read", 60)
            vm.serial.send("crc32 1000000 $filesize\r")
            got = vm.serial.expect(r"==> (\w{8})", 30)[1]
            TAP.equal(int(got, 16), zlib.crc32(data), kind + ": and reads a file from it")


if bootdisk.tool("mke2fs"):
    TAP.run(grub, u_boot, *[grub_linux] * LONG)
else:
    TAP.skip("other firmware", "needs e2fsprogs")
TAP.finish()
