#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""What boots, and how: a multiboot kernel with modules, iPXE as a kernel, GRUB and memtest86+ from CD,
Linux from a GRUB CD, an IDE CD on a machine without PCI."""
import os
import re
import shutil
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
PLAIN = ["-nodefaults", "-vga", "std", "-m", "64"]
GRUB_CD = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
MEMTEST_CD = "/usr/lib/memtest86+/memtest86+ia32.iso"
IPXE = "/usr/lib/ipxe/ipxe.lkrn"


def screen(vm):
    """The text on the screen, a line each row."""
    words = re.findall(r"0x([0-9a-f]{4})\b", vm.hmp("xp /2000xh 0xb8000"))
    text = "".join(chr(int(w, 16) & 0xff) for w in words)
    return "\n".join(text[i:i + 80].rstrip(" \0") for i in range(0, len(text), 80))


def shows(vm, pattern, timeout=60):
    """Whether the screen comes to show it; and what it shows."""
    end = time.monotonic() + timeout
    while True:
        text = screen(vm)
        if re.search(pattern, text) or time.monotonic() > end:
            return bool(re.search(pattern, text)), text
        time.sleep(0.2)


def boots(what, pattern, *options, timeout=60, keys=()):
    vm = VM(*PLAIN, *options, serial=False)
    ok, text = shows(vm, pattern, timeout)
    for key, then in keys:
        if ok:
            vm.hmp("sendkey " + key)
            ok, text = shows(vm, then, timeout)
    TAP.check(ok, what, text)
    vm.quit()
    vm.kill()
    return text


def needs(path, package):
    if os.path.exists(path):
        return True
    TAP.skip(package, f"no {path}")
    return False


def multiboot():
    kernel = guests.package("multiboot") + "/usr/lib/multiboot/examples/kernel"
    module = TMP + "/module"
    with open(module, "w", encoding="ascii") as f:
        f.write("x" * 5000)
    text = boots("a multiboot kernel runs", "Halted", "-M", "pc", "-kernel", kernel, "-append",
                 "first second", "-initrd", f"{module} one two,{module} three")
    TAP.check("mem_lower = 639KB, mem_upper = 64512KB" in text, "it is told of memory", text)
    TAP.check(re.search(r"kernel\s*first\s*second", text.replace("\n", "")), "its command line", text)
    TAP.check(re.search(r"mods_count = 2[^$]*module one two[^$]*module three", text.replace("\n", " ")),
              "its modules", text)
    TAP.check(len(re.findall("size = 0x14", text)) >= 4 and "0x003f00000" in text,
              "the memory map", text)


def firmware():
    boots("isapc finds nothing to boot", "No bootable device", "-M", "isapc")
    vm = VM(*PLAIN, "-M", "pc", "-boot", "menu=on", serial=False)
    TAP.check(shows(vm, "Press ESC for boot menu")[0], "-boot menu=on", screen(vm))
    vm.quit()
    vm.kill()


def cds():
    if needs(GRUB_CD, "grub-rescue-pc"):
        down = [("c", "grub>"), ("l", "grub> l"), ("s", "grub> ls"), ("ret", r"\(cd\)")]
        boots("GRUB shows its menu and reads its CD", "Memtest86", "-M", "pc", "-cdrom", GRUB_CD,
              keys=down)
        boots("GRUB on isapc", "Memtest86", "-M", "isapc", "-cdrom", GRUB_CD)
    if needs(MEMTEST_CD, "memtest86+"):
        boots("memtest86+ tests", r"Test +[1-9]\d%[^$]*Errors: 0", "-M", "pc", "-cpu", "pentium3",
              "-cdrom", MEMTEST_CD)


def ipxe():
    if needs(IPXE, "ipxe"):
        boots("iPXE as a kernel gets an address", r"net0: 10\.0\.2\.15/255", "-M", "pc", "-cpu",
              "pentium3", "-kernel", IPXE, "-nic", "user,model=ne2k_pci", timeout=90)


def linux_from_grub():
    if not shutil.which("grub-mkrescue") or not os.path.isdir("/usr/lib/grub/i386-pc"):
        TAP.skip("Linux from a GRUB CD", "no grub-mkrescue with i386-pc")
        return
    kernel, initrd = linux686.files(TMP)
    root = TMP + "/cd"
    os.makedirs(root + "/boot/grub")
    shutil.copy(kernel, root + "/boot/vmlinuz")
    shutil.copy(initrd, root + "/boot/initrd")
    with open(root + "/boot/grub/grub.cfg", "w", encoding="ascii") as f:
        f.write(f"set timeout=0\nmenuentry x {{\n linux /boot/vmlinuz {linux686.APPEND}\n"
                " initrd /boot/initrd\n}\n")
    subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", TMP + "/cd.iso", root],
                   check=True, capture_output=True)
    vm = linux686.boot(linux686.MACHINE + ["-cdrom", TMP + "/cd.iso", "-nic", "user"])
    TAP.check("Linux" in vm.shell("uname"), "Linux from a GRUB CD")
    vm.quit()
    vm.kill()


for test in (firmware, multiboot, cds, ipxe, linux_from_grub):
    try:
        TAP.run(test)
    except guests.Unavailable as e:
        TAP.skip(test.__name__, str(e))
TAP.finish()
