#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 500
"""Syslinux: from a floppy it loads memtest86+ and a multiboot kernel, from a disk Linux; extlinux,
which a Linux guest installs, loads it from ext4; isolinux shows its menu from a CD, and from a disk
that holds the same image, and loads Linux."""
import os
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import bootdisk
import guests
import linux686
import screen
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
LINUX = f"""label linux
  linux /vmlinuz
  initrd /initrd
  append {linux686.APPEND}
"""
FLOPPY = """serial 0 9600
prompt 1
label memtest
  linux /memtest
label text
  kernel /mboot.c32
  append /kernel alpha --- /module gamma
"""
DISK = "default linux\n" + LINUX
MENU = "ui menu.c32\nmenu title Stasis\nlabel other\n  linux /nothing\n" + LINUX


def run(*argv):
    r = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert r.returncode == 0, f"{argv}: {r.stdout}{r.stderr}"


def content(path):
    with open(path, "rb") as f:
        return f.read()


def modules(*names):
    """Files of syslinux-common."""
    folder = guests.package("syslinux-common") + "/usr/lib/syslinux/modules/bios/"
    return {n: content(folder + n) for n in names}


def linux_files():
    kernel, initrd = linux686.files(TMP, modules=("ata_piix", "sd_mod", "sr_mod"))
    return {"vmlinuz": content(kernel), "initrd": content(initrd)}


def fat(path, kib, files, *options):
    """A FAT file system with these files and Syslinux."""
    folder = bootdisk.tree(path + ".files", files)
    with open(path, "wb") as f:
        f.truncate(kib * 1024)
    run("mformat", "-i", path, *options, "::")
    run("mcopy", "-i", path, "-s", *(f"{folder}/{n}" for n in sorted(os.listdir(folder))), "::")
    run(guests.package("syslinux") + "/usr/bin/syslinux", "--install", path)
    return path


def start(*args):
    return VM("-M", "pc", "-cpu", "pentium3", "-m", "64", "-nodefaults", "-vga", "std", *args)


def floppy():
    memtest = guests.package("memtest86+") + "/boot/memtest86+ia32.bin"
    multiboot = guests.package("multiboot") + "/usr/lib/multiboot/examples/kernel"
    files = {"syslinux.cfg": FLOPPY, "memtest": content(memtest),
             "kernel": bootdisk.without_mode(content(multiboot)), "module": b"m" * 5000,
             **modules("mboot.c32", "libcom32.c32")}
    image = fat(TMP + "/floppy", 1440, files, "-f", "1440")
    with start("-fda", image) as vm:
        vm.serial.expect("boot: ", 60)
        vm.serial.send("text\r")
        shown = screen.wait(vm, r"mods_addr.*Halted").string
        TAP.check("= /kernel alpha\n" in shown and "= /module gamma\n" in shown,
                  "a multiboot kernel from a floppy", shown)
        vm.hmp("system_reset")
        screen.wait(vm, "boot:")
        screen.type_keys(vm, "memtest\n")
        TAP.check(screen.wait(vm, "<Enter> to start testing"), "memtest86+ from a floppy")


def disk():
    files = {"syslinux.cfg": DISK, **linux_files()}
    image = fat(TMP + "/fs", 40 << 10, files, "-T", str(40 << 11), "-h", "255", "-s", "63", "-H",
                str(bootdisk.FIRST))
    mbr = content(guests.package("syslinux") + "/usr/lib/SYSLINUX/mbr.bin")
    bootdisk.mbr(TMP + "/disk", image, kind=0x0e, code=mbr)
    with start("-drive", f"file={TMP}/disk,format=raw,if=ide") as vm:
        linux686.ready(vm)
        TAP.check("BOOT_IMAGE=/vmlinuz" in vm.shell("cat /proc/cmdline"), "Linux from a disk")


INSTALL = ("mount -t ext4 /dev/sda1 /mnt; cd /mnt; "
           "for f in vmlinuz initrd; do cp $f copy; mv copy $f; done; "
           "cd /; extlinux --install /mnt/boot 2>&1; umount /mnt; sync")


def installer():
    """extlinux, which is dynamic, with what it is linked to."""
    libc = guests.package("libc6", "i386") + "/lib/"
    files = {"sbin/extlinux": guests.package("extlinux", "i386") + "/usr/bin/extlinux",
             "lib/ld-linux.so.2": libc + "ld-linux.so.2",
             "lib/libc.so.6": libc + "i386-linux-gnu/libc.so.6"}
    return {"lib": None, "sbin": None, **{n: content(p) for n, p in files.items()}}


def ext():
    """A guest installs it, which takes a mounted file system.  It does not read past holes, which
    mke2fs makes of zeroes: the files are copied first."""
    kernel, folder = guests.kernel_686()
    names = linux686.closure(folder, ("ata_piix", "sd_mod", "crc32c_generic", "ext4"))
    initrd = guests.initramfs(TMP + "/installer", folder, names, extra=installer())
    tree = bootdisk.tree(TMP + "/ext", {"boot/extlinux.conf": DISK, **linux_files()})
    mbr = content(guests.package("syslinux") + "/usr/lib/SYSLINUX/mbr.bin")
    image = bootdisk.mbr(TMP + "/ext.img", bootdisk.ext(TMP + "/ext.fs", 64, tree), code=mbr)
    drive = ("-drive", f"file={image},format=raw,if=ide")
    with start(*drive, "-kernel", kernel, "-initrd", initrd, "-append", linux686.APPEND) as vm:
        linux686.ready(vm)
        said = vm.shell(INSTALL)
        TAP.equal(said, "/mnt/boot is device /dev/sda1\n", "a guest installs extlinux")
        vm.quit()
    with start(*drive) as vm:
        linux686.ready(vm)
        TAP.check("BOOT_IMAGE=/vmlinuz" in vm.shell("cat /proc/cmdline"), "Linux from ext4")


def cd():
    folder = guests.package("isolinux") + "/usr/lib/ISOLINUX/"
    tree = bootdisk.tree(TMP + "/cd", {
        "isolinux/isolinux.cfg": MENU, "isolinux/isolinux.bin": content(folder + "isolinux.bin"),
        **{"isolinux/" + n: b for n, b in
           modules("ldlinux.c32", "menu.c32", "libutil.c32").items()}, **linux_files()})
    run("xorriso", "-as", "mkisofs", "-quiet", "-o", TMP + "/cd.iso", "-b",
        "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size",
        "4", "-boot-info-table", "-isohybrid-mbr", folder + "isohdpfx.bin", tree)
    for args, what in ((["-drive", f"file={TMP}/cd.iso,format=raw,if=ide"], "the same as a disk"),
                       (["-cdrom", TMP + "/cd.iso"], "a CD")):
        with start(*args) as vm:
            shown = screen.wait(vm, r"Stasis.*other.*linux.*Press \[Tab\]").string
            TAP.check("┌──" in shown, what + ": isolinux shows its menu", shown)
            vm.hmp("sendkey down")
            if what == "a CD":
                vm.hmp("sendkey ret")
                linux686.ready(vm)
                TAP.check("BOOT_IMAGE=/vmlinuz" in vm.shell("cat /proc/cmdline"),
                          "Linux from a CD")
            else:
                vm.hmp("sendkey tab")
                TAP.check(screen.wait(vm, r"> \.linux /vmlinuz.*initrd=/initrd"),
                          "an entry can be edited")


missing = [t for t in ("mformat", "mcopy", "xorriso", "mke2fs") if not bootdisk.tool(t)]
if missing:
    TAP.skip("Syslinux", "needs " + " and ".join(missing))
else:
    TAP.run(floppy, disk, ext, cd)
TAP.finish()
