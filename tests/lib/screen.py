# SPDX-License-Identifier: MIT
"""What stands on the guest's VGA text screen, read from display memory through the monitor."""
import os
import re
import time

from guest_vm import TIMES

COLUMNS, ROWS, BASE = 80, 25, 0xb8000


def text(vm):
    """The screen's lines, as one string, without trailing blanks."""
    path = vm.tmp + "/screen"
    vm.hmp(f'pmemsave {BASE:#x} {COLUMNS * ROWS * 2} "{path}"')
    with open(path, "rb") as f:
        cells = f.read()[::2]
    os.unlink(path)
    chars = cells.decode("cp437").replace("\0", " ")
    return "\n".join(chars[i:i + COLUMNS].rstrip() for i in range(0, len(chars), COLUMNS))


def wait(vm, pattern, timeout=120):
    """Until the screen shows the pattern; answers the match."""
    end = time.monotonic() + timeout * TIMES
    while True:
        shown = text(vm)
        m = re.search(pattern, shown, re.S)
        if m:
            return m
        if time.monotonic() > end:
            raise TimeoutError(f"no {pattern!r} on the screen in {timeout * TIMES} s:\n{shown}")
        time.sleep(0.1)


def picture(vm):
    """What the display shows: width, height, bytes of red, green and blue."""
    path = vm.tmp + "/picture"
    vm.hmp(f'screendump "{path}"')
    with open(path, "rb") as f:
        kind, size, depth, pixels = f.read().split(b"\n", 3)
    os.unlink(path)
    width, height = map(int, size.split())
    assert (kind, depth, len(pixels)) == (b"P6", b"255", width * height * 3)
    return width, height, pixels


KEYS = {" ": "spc", "\n": "ret", "-": "minus", ".": "dot", "/": "slash", "=": "equal"}


def type_keys(vm, line):
    """Types a line of small letters, digits and a few signs on the guest's keyboard."""
    for c in line:
        vm.hmp("sendkey " + KEYS.get(c, c) + " 20")
        time.sleep(0.05)
