#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""release-ram: in a post-copy the source gives back to the host what has arrived, and nothing else;
a guest whose RAM has been given back cannot be continued where it was."""
import os
import re
import select
import shutil
import socket
import sys
import threading
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import walker_guest
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
QEMU = "qemu-system-x86_64"
MIB = 24     # that the guest walks over ...
TOTAL = 48   # ... of RAM and, last to be sent, the display's


def start(rom, *more, emulator=None):
    return walker_guest.start(rom, "-m", "32", *more, emulator=emulator)


def mib(vm):
    """Of guest RAM that the process has: of mappings that are as large as one of its blocks."""
    with open(f"/proc/{vm.proc.pid}/smaps") as f:
        maps = re.findall(r"^Size:\s+(\d+) kB.*?^Rss:\s+(\d+) kB", f.read(), re.M | re.S)
    return sum(int(rss) for size, rss in maps if int(size) in (16 << 10, 32 << 10)) / 1024


def left(vm):
    return int(re.search(r"remaining ram: (\d+) kbytes", vm.hmp("info migrate")).group(1)) / 1024


class Relay:
    """Stands between the two.  What the source writes once lossy is set never arrives, and after
    LOST bytes of that the connection breaks."""
    LOST = 3 << 20

    def __init__(self, path, to):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.to, self.lossy, self.lost = to, False, 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        a, b = self.listener.accept()[0], socket.socket(socket.AF_UNIX)
        b.connect(self.to)
        while self.lost < self.LOST:
            for s in select.select([a, b], [], [])[0]:
                data = s.recv(65536)
                if not data:
                    self.lost = self.LOST
                elif s is b:
                    a.sendall(data)
                elif self.lossy:
                    self.lost += len(data)
                else:
                    b.sendall(data)
        a.close()
        b.close()


def wait_until(vm, reached):
    end = time.monotonic() + 20
    while vm.migration() == "postcopy-active" and not reached() and time.monotonic() < end:
        time.sleep(0.02)


def release(on, to=None):
    what = "release-ram " + ("on" if on else "off") + (", to QEMU" if to else "")
    path = f"{TMP}/{on}{bool(to)}"
    rom = walker_guest.build("slow", "-DWAIT=4000", f"-DWALK_END={MIB << 20:#x}")
    src, dst = start(rom), start(rom, "-incoming", f"unix:{path}", emulator=to)
    if dst.hmp("migrate_set_capability postcopy-ram on").strip():
        print(f"# no post-copy to {to} on this host")
        return
    src.hmp("migrate_set_capability postcopy-ram on")
    src.hmp(f"migrate_set_capability release-ram {'on' if on else 'off'}")
    TAP.equal(walker_guest.passes(src, 1), 0, what + ": walks at the source")
    full = mib(src)
    TAP.check(full >= MIB - 2, what + ": the source has its RAM", str(full))
    src.hmp("migrate_set_parameter max-bandwidth 1M")
    src.hmp("migrate_set_parameter max-postcopy-bandwidth 8M")
    relay = Relay(path + ".relay", path)
    src.hmp(f"migrate -d unix:{path}.relay")
    src.hmp("migrate_start_postcopy")
    TAP.equal(src.await_migration("postcopy-active"), "postcopy-active",
              what + ": the guest goes ahead")
    # Where the guest went on near the end of its walk, the pages of zeroes are the first to arrive:
    # much less is to go then, and nothing is given back yet.
    some_back = full - MIB / 3
    wait_until(src, lambda: mib(src) < some_back if on else left(src) <= TOTAL - MIB / 2)
    relay.lossy = True
    TAP.equal(walker_guest.both(src, dst, "postcopy-paused"),
              ("postcopy-paused",) * 2, what + ": the connection breaks half way")
    half = mib(src)
    TAP.check(half < some_back if on else half >= full - 1,
              what + (": what has arrived is given back" if on else ": nothing is given back"),
              f"{full} MiB, {half} MiB, {left(src)} MiB to go")
    TAP.check(half >= full - 1 - (TOTAL - left(src)), what + ": what has not is kept", str(half))
    dst.hmp(f"migrate_recover unix:{path}.again")
    src.hmp(f"migrate -d -r unix:{path}.again")
    TAP.equal(walker_guest.both(src, dst, "completed"), ("completed",) * 2,
              what + ": completes")
    TAP.equal(walker_guest.passes(dst, 2), 0, what + ": every page is as it was left")
    rest = mib(src)
    TAP.check(rest < 2 if on else rest >= full - 1, what + ": at the end", f"{rest} MiB")
    dst.kill()
    said = src.hmp("cont").strip()
    TAP.equal(said, "Error: The guest has left, and release-ram has given its RAM back; it cannot "
              "go on here" if on else "", what + ": cont")
    src.kill()


def precopy():
    """Without post-copy it does nothing: until the end the guest may go on here."""
    rom = walker_guest.build("walker", f"-DWALK_END={MIB << 20:#x}")
    src, dst = start(rom), start(rom, "-incoming", f"unix:{TMP}/pre")
    src.hmp("migrate_set_capability release-ram on")
    TAP.equal(walker_guest.passes(src, 1), 0, "without post-copy: walks")
    full = mib(src)
    src.hmp(f"migrate unix:{TMP}/pre")
    TAP.equal(src.migration(), "completed", "without post-copy: leaves")
    TAP.check(mib(src) >= full - 1, "without post-copy: nothing is given back", str(mib(src)))
    TAP.equal(walker_guest.passes(dst, 1), 0, "without post-copy: every page is as it was left")
    dst.kill()
    TAP.equal(src.hmp("cont").strip(), "", "without post-copy: cont")
    TAP.equal(walker_guest.passes(src, 1), 0, "without post-copy: it can go on where it was")
    src.kill()


if shutil.which("nasm"):
    TAP.run(lambda: release(True), lambda: release(False), precopy)
    if shutil.which(QEMU):
        TAP.run(lambda: release(True, QEMU))
else:
    TAP.skip("release", "nasm is not installed")
TAP.finish()
