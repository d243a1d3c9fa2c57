#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""Debian's installer from the network boot images: by PXE to its menu, which takes keys; in the
long form to its first question, in text, which is answered, in graphics, and by the graphical
one."""
import os
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import screen
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
LONG = "TEST_LONG" in os.environ
FAST = "cryptomgr.notests no_timer_check noisapnp"
FIRST = r"\[!!\] Select a language.*Choose the language to be used.*Euskara"
GROUND, BAR = b"\x05\x47\x5c", b"\x71\x9b\xbf"  # the menu's
BLUE, GREY, RED = b"\x00\x00\xaa", b"\xaa\xaa\xaa", b"\xaa\x00\x00"


def images(arch, kind):
    return (guests.package("debian-installer-12-netboot-" + arch, arch) +
            f"/usr/lib/debian-installer/images/12/{arch}/{kind}")


def machine(arch, nic, *args):
    return VM("-M", "pc", "-cpu", "qemu64" if arch == "amd64" else "pentium3", "-m", "1024",
              "-nodefaults", "-vga", "std", "-nic", "user,model=e1000" + nic, *args)


def start(arch, kind, append):
    folder = f"{images(arch, kind)}/debian-installer/{arch}"
    return machine(arch, "", "-kernel", folder + "/linux", "-initrd", folder + "/initrd.gz",
                   "-append", f"{FAST} {append}")


def bar(vm):
    """The menu's line that is highlighted: its first and last row of points, how many points of it
    are letters; None where there is none."""
    width, height, pixels = screen.picture(vm)
    if (width, height) != (640, 480) or pixels.count(GROUND) < 100000:
        return None
    at = [y for y in range(height)
          if pixels[(y * width + 130) * 3:(y * width + 510) * 3].count(BAR) > 190]
    if not at:
        return None
    inside = pixels[(at[0] * width + 130) * 3:(at[-1] * width + 510) * 3]
    return at[0], at[-1], inside.count(b"\xff\xff\xff")


def wait_bar(vm, test):
    end = time.monotonic() + 120 * TIMES
    seen = bar(vm)
    while not (seen and test(seen)) and time.monotonic() < end:
        time.sleep(0.3)
        seen = bar(vm)
    return seen


def menu():
    """The card's boot ROM loads pxelinux over TFTP, and that a menu in graphics."""
    folder = images("amd64", "text")
    with machine("amd64", f",tftp={folder},bootfile=pxelinux.0", "-boot", "n") as vm:
        first = wait_bar(vm, lambda b: True)
        TAP.check(first and 12 <= first[1] - first[0] <= 16 and first[2] > 20,
                  "by PXE: a menu whose first line is highlighted", repr(first))
        vm.hmp("sendkey down")
        second = wait_bar(vm, lambda b: b[0] != first[0])
        TAP.check(second and second[0] - first[0] == 16 and second[2] > first[2],
                  "a key moves to the second, which is longer", repr((first, second)))


def text(arch):
    """Without the driver of the display the installer writes to the text screen, which the kernel
    is not to scroll by the display's start address."""
    with start(arch, "text", "nomodeset fb=false no-scroll") as vm:
        shown = screen.wait(vm, FIRST, 900).string
        TAP.check(all(n in shown for n in ("Basque", "Euskara", "English")),
                  arch + ": the first screen offers languages", shown)
        for key in "f", "f", "ret":  # the second one in F
            vm.hmp("sendkey " + key)
            time.sleep(0.5)
        shown = screen.wait(vm, r"\[!!\] Choi.*(France|Belgique)", 300).string
        TAP.check("Luxembourg" in shown, arch + ": the chosen one is spoken", shown)


def colours(vm):
    """Share of the picture's points by colour."""
    width, height, pixels = screen.picture(vm)
    counts = {}
    for i in range(0, len(pixels), 21):
        counts[pixels[i:i + 3]] = counts.get(pixels[i:i + 3], 0) + 1
    return width, height, {c: n * 7 / (width * height) for c, n in counts.items()}


def wait_colours(vm, test, timeout=900):
    end = time.monotonic() + timeout * TIMES
    while True:
        seen = colours(vm)
        if test(*seen) or time.monotonic() > end:
            return seen
        time.sleep(1)


def graphics():
    """The display's driver sets a mode; the picture is a grey box on blue, one line of it red."""
    def drawn(_, height, share):
        return (height > 400 and share.get(BLUE, 0) > .03 and share.get(GREY, 0) > .5 and
                .0005 < share.get(RED, 0) < .05)

    with start("amd64", "text", "") as vm:
        width, height, share = wait_colours(vm, drawn)
        TAP.check(drawn(width, height, share), "amd64: the same in graphics",
                  f"{width}x{height} {sorted(share.items(), key=lambda i: -i[1])[:8]}")


def graphical():
    """Debian's banner, and a white list on a light ground."""
    def drawn(width, height, share):
        return height > 400 and len(share) > 100 and share.get(b"\xff\xff\xff", 0) > .3

    with start("amd64", "gtk", "") as vm:
        width, height, share = wait_colours(vm, drawn)
        TAP.check(drawn(width, height, share), "amd64: the graphical installer",
                  f"{width}x{height} {sorted(share.items(), key=lambda i: -i[1])[:8]}")


def text_amd64():
    text("amd64")


def text_i386():
    text("i386")


TAP.run(menu, *[text_amd64, text_i386, graphics, graphical] * LONG)
TAP.finish()
