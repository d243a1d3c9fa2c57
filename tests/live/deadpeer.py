#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 200
"""A migration whose other side dies, or whose line is cut, at every kind of moment: after so many
bytes, in the midst of the devices, behind the last byte; with a return path, at every message of
either way.  One that is stopped, and one whose last word does not come, are not waited for.  Where something is left to run, exactly one side runs, and that one has the disk: it can
savevm, and a third process cannot open the image."""
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import asm_guest
from guest_vm import TIMES, VM, Gone
from tap import Tap

TAP = Tap()
TMP, SRC, IMG = os.environ["TMPDIR"], os.environ["SRCDIR"], os.environ["STASIS_IMG"]
STEPS = 40 if "TEST_LONG" in os.environ else 8
DISK = TMP + "/disk.qcow2"


def start(*more):
    return VM("-M", "pc", "-m", "1", "-nodefaults", "-bios", TMP + "/edges.rom", "-drive",
              f"file={DISK},format=qcow2,if=ide,id=d", *more, serial=False)


class Line:
    """Takes one connection, passes `limit` bytes on and `back` bytes back, and then does what `cut`
    says."""

    def __init__(self, limit, cut, back=1 << 40):
        self.limit, self.cut, self.passed = [limit, back], cut, [0, 0]
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(TMP + "/line")
        self.listener.listen(1)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        src, _ = self.listener.accept()
        dst = socket.socket(socket.AF_UNIX)
        dst.connect(TMP + "/in")
        open_ = [src, dst]
        while open_ and all(p < n for p, n in zip(self.passed, self.limit)):
            for s in select.select(open_, [], [], 20)[0]:
                way = 0 if s is src else 1
                to = dst if s is src else src
                try:
                    data = s.recv(int(min(65536, self.limit[way] - self.passed[way])))
                    to.sendall(data)
                except OSError:
                    data = b""
                self.passed[way] += len(data)
                if not data:
                    open_.remove(s)
                    try:
                        to.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
        if open_:
            self.cut(src, dst)
        src.close()
        dst.close()

    def end(self):
        self.thread.join(30)
        self.listener.close()
        for name in ("line", "in"):
            if os.path.exists(f"{TMP}/{name}"):
                os.unlink(f"{TMP}/{name}")


def status(vm):
    try:
        return vm.hmp("info status")
    except (Gone, OSError):
        return "gone"


def settled(src, dst):
    """The states of both once they do not change any more."""
    end, last, since = time.monotonic() + 20, None, 0
    while time.monotonic() < end:
        now = (status(src), status(dst))
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 0.5 and "finish-migrate" not in now[0]:
            break
        time.sleep(0.05)
    return last


def owner_alone(vm, what):
    """The one that runs has the disk, and nobody else can have it."""
    TAP.equal(vm.hmp("savevm mine"), "", what + ": the one that runs can savevm")
    r = subprocess.run([os.environ["STASIS"], "-M", "pc", "-m", "1", "-display", "none", "-drive",
                        f"file={DISK},format=qcow2"], capture_output=True, text=True, timeout=20)
    TAP.check(r.returncode == 1 and "lock" in r.stderr, what + ": the image is locked", r.stderr)


def one_cut(limit, how, must_run=None, back=1 << 40, capability=None):
    """One migration over a line that fails."""
    src = start()
    dst = start("-incoming", f"unix:{TMP}/in")
    cuts = {"closed": lambda s, d: None, "destination killed": lambda s, d: dst.proc.kill(),
            "source killed": lambda s, d: src.proc.kill()}
    line = Line(limit, cuts[how], back)
    if capability:
        src.hmp(f"migrate_set_capability {capability} on")
    try:
        src.hmp(f"migrate -d unix:{TMP}/line")
    except (Gone, OSError):
        pass
    line.thread.join(30)
    states = settled(src, dst)
    line.end()
    running = [vm for vm, s in zip((src, dst), states) if "running" in s]
    what = f"{how} after {limit} bytes" + (f" or {back} back" if capability else "")
    if must_run == "at most one":
        TAP.check(len(running) <= 1, what + ": never both", str(states))
    else:
        TAP.check(len(running) == 1, what + ": exactly one runs", str(states))
    if len(running) == 1:
        owner_alone(running[0], what)
    src.kill()
    dst.kill()
    return line.passed


def return_path():
    """The last messages: the stream's end, SHUT, and the word that makes the guest the far side's."""
    size, back = one_cut(1 << 40, "closed", capability="return-path")
    for i in (1, 5, 9, 10):
        one_cut(size - i, "closed", capability="return-path")
    one_cut(size // 2, "closed", capability="return-path")
    for i in (1, back // 2, back - 1):
        one_cut(1 << 40, "closed", back=i, capability="return-path")
    # Everything is there but the word, which the source cannot give: whoever is left has the disk.
    one_cut(1 << 40, "source killed", back=back - 1, capability="return-path")
    one_cut(1 << 40, "destination killed", back=back - 1, capability="return-path")


def migration(vm):
    return re.search(r"Migration status: (\S+)", vm.hmp("info migrate"))[1]


def asked(vm):
    """The migration's status, the guest's, and how long the monitor took to say so."""
    begin = time.monotonic()
    return migration(vm), status(vm).strip(), time.monotonic() - begin


def stopped(capability):
    """A destination that is stopped (SIGSTOP) takes what its socket does and no more."""
    what = "destination stopped" + (", " + capability if capability else "")
    src = start()
    dst = start("-incoming", f"unix:{TMP}/in")
    if capability:
        src.hmp(f"migrate_set_capability {capability} on")
    dst.proc.send_signal(signal.SIGSTOP)
    src.hmp(f"migrate -d unix:{TMP}/in")
    end, answers = time.monotonic() + 1.5, []
    while time.monotonic() < end:
        answers.append(asked(src))
    TAP.check(max(t for _, _, t in answers) < 0.5 * TIMES, what + ": the source's monitor answers")
    TAP.equal(answers[-1][:2], ("active", "VM status: running"), what + ": it is waited for")
    src.hmp("migrate_cancel")
    TAP.equal(asked(src)[:2], ("cancelled", "VM status: running"), what + ": until cancelled")
    dst.proc.send_signal(signal.SIGCONT)
    TAP.check("running" not in settled(src, dst)[1], what + ": and goes on to no guest")
    owner_alone(src, what)
    src.kill()
    dst.kill()
    os.unlink(TMP + "/in")


def swallow(answers):
    """A line whose way back lets so many bytes through, and no more."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(TMP + "/line")
    listener.listen(1)

    def run():
        src, dst, left = listener.accept()[0], socket.socket(socket.AF_UNIX), answers
        dst.connect(TMP + "/in")
        while True:
            for s in select.select([src, dst], [], [])[0]:
                data = s.recv(65536)
                if not data:
                    return
                if s is src:
                    dst.sendall(data)
                else:
                    src.sendall(data[:left])
                    left = max(left - len(data), 0)

    threading.Thread(target=run, daemon=True).start()
    return listener


def no_last_word(answers, want):
    """The destination has everything, and the source never hears of it: ten seconds are enough."""
    what = f"silent after {answers} bytes"
    src = start()
    dst = start("-incoming", f"unix:{TMP}/in")
    listener = swallow(answers)
    src.hmp("migrate_set_capability return-path on")
    begin = time.monotonic()
    src.hmp(f"migrate -d unix:{TMP}/line")
    while (now := asked(src))[0] != "failed" and time.monotonic() < begin + 30:
        time.sleep(0.05)
    took = time.monotonic() - begin
    TAP.equal(now[:2], ("failed", "VM status: " + want), what + ": the source")
    TAP.check(9.5 < took < 10.5 + 3 * TIMES, what + ": after ten seconds", f"{took:.1f} s")
    TAP.check(sum("running" in s for s in settled(src, dst)) <= 1, what + ": never both")
    listener.close()
    src.kill()
    dst.kill()
    for name in ("line", "in"):
        os.unlink(f"{TMP}/{name}")


def silence():
    stopped(None)
    stopped("return-path")
    no_last_word(16, "running")  # it has said that it will wait for the word
    if "TEST_LONG" in os.environ:
        no_last_word(0, "paused")  # it may run the guest: who knows


def cuts():
    asm_guest.build("live/edges.asm", TMP + "/edges.rom")
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", DISK, "1M"], check=True)
    size, _ = one_cut(1 << 40, "closed")
    TAP.check(size > 100000, "a whole stream goes through", str(size))
    for i in range(STEPS):
        one_cut(1 + (size - 60000) * i // STEPS, "closed")
        one_cut(1 + (size - 60000) * i // STEPS, "destination killed")
    # The destination dies before it has all: the source goes on.
    one_cut(size - 30000, "destination killed")
    # The source dies before the destination has all: nobody can go on, and nobody may go on wrongly.
    one_cut(size // 2, "source killed", "at most one")


if shutil.which("nasm"):
    TAP.run(cuts, return_path, silence)
else:
    TAP.skip("dead peer", "nasm is not installed")
TAP.finish()
