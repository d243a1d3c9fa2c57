#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 200
"""A guest that checks and writes all its RAM over and over (walker.asm) goes by post-copy, is paused
on the way and recovers: between two Stasis, and to and from a QEMU where one is installed; likewise
with a return path; how long its CPU waited; auto-converge's steps; a writer that nothing but its budget of dirty pages can
hold; and the rate at which pages become dirty."""
import os
import re
import shutil
import socket
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import walker_guest
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP, SRC = os.environ["TMPDIR"], os.environ["SRCDIR"]
QEMU = "qemu-system-x86_64"


def start(kind, rom, *more):
    return walker_guest.start(rom, *more, tag=kind, emulator=QEMU if kind == "qemu" else None)


def set_all(vms, *settings):
    for vm in vms:
        for s in settings:
            vm.hmp("migrate_set_" + s)


def forget():
    """Sockets that are left behind (a QEMU takes its own away)."""
    for name in os.listdir(TMP):
        if name == "in" or name.startswith("again"):
            os.unlink(f"{TMP}/{name}")


def postcopy_possible(kind):
    """A QEMU that a guest comes to wants userfaultfd, which not every host grants."""
    if kind != "qemu":
        return True
    with VM("-M", "none", emulator=QEMU, serial=False) as vm:
        said = vm.hmp("migrate_set_capability postcopy-ram on")
    if said.strip():
        print(f"# no post-copy to QEMU on this host: {said.strip()}")
    return not said.strip()


def postcopy(kinds, pauses):
    """A post-copy from one to another, paused by either side, with recoveries."""
    what = " to ".join(kinds)
    if not postcopy_possible(kinds[1]):
        return
    rom = walker_guest.build("slow", "-DWAIT=60000")
    src = start(kinds[0], rom)
    dst = start(kinds[1], rom, "-incoming", f"unix:{TMP}/in")
    set_all((src, dst), "capability postcopy-ram on")
    set_all((src,), "parameter max-bandwidth 2M", "parameter max-postcopy-bandwidth 400k")
    TAP.equal(walker_guest.passes(src, 1), 0, what + ": walks at the source")
    src.hmp(f"migrate -d unix:{TMP}/in")
    time.sleep(0.3)
    src.hmp("migrate_start_postcopy")
    dst.wait_status("running")
    TAP.equal(src.await_migration("postcopy-active"), "postcopy-active",
              what + ": the guest has gone ahead")
    for i, side in enumerate(pauses):
        (src, dst)[side].hmp("migrate_pause")
        TAP.equal(walker_guest.both(src, dst, "postcopy-paused"),
                  ("postcopy-paused",) * 2, f"{what}: pause {i} by side {side}")
        TAP.check("running" in dst.hmp("info status"), what + ": the monitor answers")
        TAP.equal(dst.hmp(f"migrate_recover unix:{TMP}/again{i}").strip(), "", what + ": recover")
        if i == len(pauses) - 1:
            src.hmp("migrate_set_parameter max-postcopy-bandwidth 0")
        TAP.equal(src.hmp(f"migrate -d -r unix:{TMP}/again{i}").strip(), "", what + ": resume")
        if i < len(pauses) - 1:
            src.await_migration("postcopy-active"), dst.await_migration("postcopy-active")
    TAP.equal(walker_guest.both(src, dst, "completed"), ("completed",) * 2,
              what + ": completes")
    TAP.equal(walker_guest.passes(dst, 2), 0, what + ": every page is as it was left")
    TAP.check("postmigrate" in src.hmp("info status"), what + ": it has left the source")
    src.kill()
    dst.kill()
    forget()


def blocktime(want, cpus):
    """The time that a CPU has waited for its pages is told: for a second they do not come.  Another
    CPU that needs none of them runs on."""
    what = f"blocktime, {cpus} CPUs"
    rom = walker_guest.build("slow", "-DWAIT=60000", *["-DTWO"] * (cpus - 1))
    more = ("-cpu", "pentium3", "-smp", str(cpus))
    src = start("stasis", rom, *more)
    dst = start("stasis", rom, *more, "-incoming", f"unix:{TMP}/in")
    set_all((src, dst), "capability postcopy-ram on")
    set_all((src,), "parameter max-bandwidth 2M", "parameter max-postcopy-bandwidth 400k")
    set_all((dst,), f"capability postcopy-blocktime {'on' if want else 'off'}")
    walker_guest.passes(src, 1)
    src.hmp(f"migrate -d unix:{TMP}/in")
    src.hmp("migrate_start_postcopy")
    dst.wait_status("running")
    if cpus > 1:
        counted = walker_guest.word(dst, 0x7010)
        while walker_guest.word(dst, 0x7010) == counted:
            time.sleep(0.01)
    begin = time.monotonic()
    src.hmp("migrate_pause")
    walker_guest.both(src, dst, "postcopy-paused")
    time.sleep(0.3)
    counted = walker_guest.word(dst, 0x7010)
    time.sleep(0.7)
    if cpus > 1:
        TAP.check(walker_guest.word(dst, 0x7010) > counted, what + ": the other one runs on")
    TAP.check("blocktime" not in dst.hmp("info migrate"), what + ": told only in the end")
    dst.hmp(f"migrate_recover unix:{TMP}/again")
    src.hmp("migrate_set_parameter max-postcopy-bandwidth 0")
    src.hmp(f"migrate -d -r unix:{TMP}/again")
    TAP.equal(walker_guest.both(src, dst, "completed"), ("completed",) * 2, what + ": completes")
    most, text = 1000 * (time.monotonic() - begin), dst.hmp("info migrate")
    told = re.search(r"\npostcopy blocktime: (\d+)\npostcopy vcpu blocktime: ([\d,]+)\n", text)
    if want:
        each = [int(ms) for ms in told[2].split(",")] if told else []
        TAP.check(len(each) == cpus and 600 < each[0] <= most and sum(each[1:]) < 700,
                  f"{what}: of {most:.0f} ms the first one has waited", text)
        TAP.check(told and (int(told[1]) > 600 if cpus == 1 else int(told[1]) < 700),
                  what + ": when none could run", text)
    else:
        TAP.check(not told, what + ": not told where it was not asked for", text)
    src.kill()
    dst.kill()
    forget()


def blocktimes():
    blocktime(True, 1)
    blocktime(True, 2)
    blocktime(False, 1)


def stasis():
    postcopy(("stasis", "stasis"), (0, 1))


def qemu():
    postcopy(("stasis", "qemu"), (0,))
    postcopy(("qemu", "stasis"), (0,))


def return_path(kinds):
    what = " to ".join(kinds) + ", return path"
    rom = walker_guest.build("walker")
    src = start(kinds[0], rom)
    dst = start(kinds[1], rom, "-incoming", f"unix:{TMP}/in")
    src.hmp("migrate_set_capability return-path on")
    TAP.equal(walker_guest.passes(src, 1), 0, what + ": walks")
    src.hmp(f"migrate unix:{TMP}/in")
    TAP.equal(walker_guest.both(src, dst, "completed"), ("completed",) * 2, what)
    TAP.equal(walker_guest.passes(dst, 2), 0, what + ": every page is as it was left")
    src.kill()
    dst.kill()
    forget()


def return_paths():
    return_path(("stasis", "stasis"))
    if shutil.which(QEMU):
        return_path(("stasis", "qemu"))
        return_path(("qemu", "stasis"))


def auto_converge():
    """The steps that the parameters give are taken and shown."""
    src = start("stasis", walker_guest.build("quick", "-DWAIT=1", "-DWALK_END=0x1000000"))
    walker_guest.passes(src, 5)
    set_all((src,), "capability auto-converge on", "parameter max-bandwidth 8M",
            "parameter downtime-limit 1", "parameter cpu-throttle-initial 30",
            "parameter cpu-throttle-increment 15")
    src.hmp('migrate -d "exec:cat >/dev/null"')
    seen, end = [], time.monotonic() + 30
    while time.monotonic() < end:
        text = src.hmp("info migrate")
        m = re.search(r"\ncpu throttle percentage: (\d+)\n", text)
        if m and (not seen or seen[-1] != int(m.group(1))):
            seen.append(int(m.group(1)))
        if "completed" in text or len(seen) > 1:
            break
        time.sleep(0.02)
    TAP.check(seen[:1] == [30] and seen[1:] in ([], [45]), "auto-converge's steps", str(seen))
    src.kill()


def converges():
    """A guest that writes all its RAM within a slice, over a channel that takes 8 MiB a second, still
    leaves: after 1.5 times its RAM, and what downtime-limit lets go at the end."""
    rom = walker_guest.build("fast", "-DWAIT=1", "-DWALK_END=0x2000000")
    src, dst = (start("stasis", rom, "-m", "32", *more)
                for more in ((), ("-incoming", f"unix:{TMP}/in")))
    TAP.equal(walker_guest.passes(src, 100), 0, "fast: walks")
    set_all((src,), "parameter max-bandwidth 8M", "parameter downtime-limit 50")
    src.hmp(f"migrate -d unix:{TMP}/in")
    how, text = src.wait_migration(40)
    TAP.equal(how, "completed", "fast: the migration ends by itself")
    total, sent = (int(re.search(rf"\n{what} ram: (\d+) kbytes", text)[1])
                   for what in ("total", "transferred"))
    TAP.check(sent <= 1.5 * total + 8192 * 0.05, "fast: after 1.5 times its RAM", text)
    TAP.equal(walker_guest.passes(dst, 100), 0, "fast: every page is as it was left")
    src.kill()
    dst.kill()
    forget()


def stalled():
    """A channel that stands, when the guest has used its budget up, does not stop it for long."""
    os.mkfifo(TMP + "/stalled")
    keep = os.open(TMP + "/stalled", os.O_RDWR)
    src = start("stasis", walker_guest.build("fast", "-DWAIT=1", "-DWALK_END=0x1000000"))
    src.hmp(f'migrate -d "exec:cat > {TMP}/stalled"')
    left = 20 << 20  # all of RAM, and a part of it again
    while left > 0:
        left -= len(os.read(keep, left))
    TAP.equal(walker_guest.passes(src, 100), 0, "a channel that stands does not stop the guest")
    TAP.equal(src.migration(), "active", "and is still waited for")
    src.hmp("migrate_cancel")
    TAP.equal(src.await_migration("cancelled"), "cancelled", "until it is cancelled")
    TAP.equal(walker_guest.passes(src, 100), 0, "which frees the guest")
    src.kill()
    os.close(keep)


def dirty_rate():
    """What is told of the pages that become dirty is what the guest writes in a second."""
    src = start("stasis", walker_guest.build("steady", "-DWAIT=150000", "-DWALK_END=0xd00000"))
    walker_guest.passes(src, 1)
    TAP.check("dirty pages rate" not in src.hmp("info migrate"), "no rate before")
    began, before = time.monotonic(), walker_guest.written(src, 0xd00000)
    time.sleep(0.5)
    speed = (walker_guest.written(src, 0xd00000) - before) / (time.monotonic() - began)
    # Little faster than the guest writes: rounds go on for a while, and nothing holds it back.
    set_all((src,), "capability pause-before-switchover on",
            f"parameter max-bandwidth {int(speed * 1.5 * 4096)}B")
    began, before = time.monotonic(), walker_guest.written(src, 0xd00000)
    src.hmp('migrate -d "exec:cat >/dev/null"')
    TAP.equal(src.await_migration("pre-switchover"), "pre-switchover", "rate: up to the switchover")
    real = (walker_guest.written(src, 0xd00000) - before) / (time.monotonic() - began)
    told = re.search(r"\ndirty pages rate: (\d+) pages\n", src.hmp("info migrate"))
    TAP.check(told and real / 2 < int(told[1]) < real * 2, "the rate is what the guest writes",
              f"{told and told[1]} told, {real:.0f} written")
    src.hmp("migrate_continue pre-switchover")
    TAP.equal(src.await_migration("completed"), "completed", "rate: it completes")
    TAP.check("dirty pages rate" not in src.hmp("info migrate"), "no rate afterwards")
    src.kill()


def slow_reader():
    """Whoever reads slowly has little written ahead, which it would read while the guest stands."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(TMP + "/slow")
    listener.listen()
    src = start("stasis", walker_guest.build("fast", "-DWAIT=1", "-DWALK_END=0x1000000"))
    walker_guest.passes(src, 1)
    src.hmp(f"migrate -d unix:{TMP}/slow")
    reader, read = listener.accept()[0], 0
    while read < 8 << 20:
        read += len(reader.recv(32768))
        time.sleep(0.004)
    sent = int(re.search(r"transferred ram: (\d+)", src.hmp("info migrate"))[1]) << 10
    TAP.check(0 < sent - read < 1 << 20, "a slow reader has little before it", f"{sent} - {read}")
    src.kill()


if not shutil.which("nasm"):
    TAP.skip("walker", "nasm is not installed")
elif shutil.which(QEMU):
    TAP.run(stasis, qemu, return_paths, blocktimes, auto_converge, converges, stalled, dirty_rate,
            slow_reader)
else:
    TAP.run(stasis, return_paths, blocktimes, auto_converge, converges, stalled, dirty_rate,
            slow_reader)
    TAP.skip("to and from QEMU", f"no {QEMU}")
TAP.finish()
