#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stasis-img stream: what it prints of a stream, or of a snapshot, is what another reader
(tests/lib/vmdesc.py) makes of it, QEMU's streams included; a difference of one page or one field is
told as such; damage is refused."""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import vmdesc
from guest_vm import STASIS, VM
from tap import Tap

TAP = Tap()
TMP, IMG = os.environ["TMPDIR"], os.environ["STASIS_IMG"]
QEMU = shutil.which("qemu-system-x86_64")
OPTIONS = ["-M", "pc-i440fx-7.2,acpi=off,hpet=off,usb=off,vmport=off", "-cpu", "pentium3,-apic",
           "-m", "2", "-nodefaults", "-nic", "none", "-vga", "std", "-rtc", "clock=vm",
           "-device", "ne2k_pci,romfile=",
           "-uuid", "01234567-89ab-cdef-0123-456789abcdef"]


def stream(*args):
    return subprocess.run([IMG, "stream", *args], capture_output=True, text=True, timeout=60)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def agree(name, data, *args):
    """Both readers' idea of a stream, and that one."""
    r = stream("dump", *args)
    if not TAP.check(r.returncode == 0, f"{name}: dump", r.stderr):
        return None
    mine, other = json.loads(r.stdout), vmdesc.Stream(data)
    TAP.equal(mine, json.loads(json.dumps(other.dump())), f"{name}: as the other reader has it")
    return mine


def migrate(vm, path):
    vm.hmp(f'migrate "exec:cat > {path}"')
    assert vm.wait_migration()[0] == "completed"
    return read(path)


def streams():
    """Ours, and QEMU's, once with everything on that adds to a stream."""
    for name, emulator in (("ours", STASIS), ("QEMU's", QEMU)):
        if not emulator:
            TAP.skip(name, "qemu-system-x86_64 is not installed")
            continue
        accel = ["-accel", "tcg"] if emulator == QEMU else []
        with VM(*OPTIONS, *accel, emulator=emulator) as vm:
            vm.hmp("migrate_set_capability validate-uuid on")
            data = migrate(vm, TMP + "/s")
            d = agree(name, data, TMP + "/s")
            TAP.equal((d["machine"], d["configuration"]),
                      ("pc-i440fx-7.2", {"uuid": "0123456789abcdef0123456789abcdef"}),
                      f"{name}: the configuration")
            TAP.check({"pc.ram", "0000:00:02.0/vga.vram"} < {b["name"] for b in d["ram"]},
                      f"{name}: RAM")
    if QEMU:
        with VM(*OPTIONS, "-accel", "tcg", emulator=QEMU) as vm:
            vm.hmp("migrate_set_capability compress on")
            data = migrate(vm, TMP + "/c")
            plain = {b["name"]: b["sha256"] for b in vmdesc.Stream(data).dump()["ram"]}
            TAP.equal({b["name"]: b["sha256"] for b in agree("compressed", data, TMP + "/c")["ram"]},
                      plain, "compressed pages come out")


def snapshots():
    disk = TMP + "/d.qcow2"
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", disk, "4M"], check=True)
    with VM(*OPTIONS, "-drive", f"file={disk},format=qcow2,if=ide,id=hd") as vm:
        vm.hmp("stop")
        vm.hmp("savevm one")
        migrate(vm, TMP + "/one")
        vm.hmp("cont")
        vm.hmp("stop")
        vm.hmp("o/b 0x3fb 0x1b")
        vm.hmp("savevm two")
        vm.quit()
    agree("a snapshot", read(TMP + "/one"), "-s", "one", disk)
    r = stream("diff", "-s", "one", disk, TMP + "/none")
    TAP.check(r.returncode == 2 and "Could not open" in r.stderr, "a file that is not there", r.stderr)
    r = stream("diff", "-s", "one", "-S", "two", "--output=json", disk)
    changes = {d["name"]: d["fields"] for d in json.loads(r.stdout or '{"devices": []}')["devices"]}
    TAP.check(r.returncode == 1 and [f for f in changes.get("serial", ())
                                     if (f["path"], f["to"]) == ("state.lcr", 0x1b)],
              "two snapshots of one image: the field that has changed", f"{r.stderr} {changes}")
    r = stream("dump", "-s", "three", disk)
    TAP.check(r.returncode == 1 and "Can't find snapshot 'three'" in r.stderr, "no such snapshot")
    subprocess.run(["qemu-img", "snapshot", "-c", "disk", disk], check=True)
    r = stream("dump", "-s", "disk", disk)
    TAP.check(r.returncode == 1 and "has no VM state" in r.stderr, "a snapshot of the disk alone")


def differences():
    base = read(TMP + "/one")
    r = stream("diff", TMP + "/one", TMP + "/one")
    TAP.equal((r.returncode, r.stdout), (0, "The streams are identical.\n"), "a stream and itself")
    s = vmdesc.Stream(base)
    ram = s.blocks["pc.ram"].pages
    page = next(at for at, p in sorted(ram.items()) if p != bytes(4096) and base.count(p) == 1)
    changed = bytearray(base)
    changed[base.index(ram[page]) + 100] ^= 1
    write(TMP + "/two", changed)
    r = stream("diff", TMP + "/one", TMP + "/two")
    TAP.equal((r.returncode, r.stdout),
              (1, f"ram pc.ram: 1 pages differ {page:#x}-{page + 4095:#x}\n"),
              "one byte of RAM: one page")
    changed = bytearray(base)
    at = base.index(b"\x0bmc146818rtc")
    changed[at + 12 + 8 + 14] ^= 0xff
    write(TMP + "/two", changed)
    r = stream("diff", "--output=json", TMP + "/one", TMP + "/two")
    d = json.loads(r.stdout)
    TAP.equal((r.returncode, [(x["name"], [f["path"] for f in x["fields"]]) for x in d["devices"]],
               d["ram"], d["other"]), (1, [("mc146818rtc", ["cmos_data"])], [], []),
              "one byte of a device: one field")
    r = stream("diff", "-q", TMP + "/one", TMP + "/two")
    TAP.equal((r.returncode, r.stdout), (1, ""), "-q says it by the status alone")


def disks():
    """Block migration: the disks' chunks are in the stream."""
    for name, emulator in (("ours", STASIS), ("QEMU's", QEMU)):
        if not emulator:
            continue
        raw = TMP + "/b.raw"
        write(raw, random.Random(7).randbytes(5 << 18).ljust(3 << 20, b"\0"))
        drive = ["-drive", f"file={raw},format=raw,if=ide,id=hd"]
        paths = [TMP + "/b1", TMP + "/b2"]
        for path in paths:
            accel = ["-accel", "tcg"] if emulator == QEMU else []
            with VM(*OPTIONS, *drive, *accel, "-S", emulator=emulator) as vm:
                vm.hmp("migrate_set_capability zero-blocks on")
                vm.hmp(f'migrate -b "exec:cat > {path}"')
                assert vm.wait_migration()[0] == "completed"
            if path == paths[0]:
                d = agree(f"{name}, with a disk", read(path), path)
                TAP.equal([(x["size"], x["pages"], x["zero"]) for x in d["disks"]],
                          [(3 << 20, 768, 448)], f"{name}: the disk's pages")
            with open(raw, "r+b") as f:
                f.seek(2 << 20)
                f.write(b"x")
        r = stream("diff", *paths)
        TAP.check(r.returncode == 1 and re.search(
            r"(?m)^disk \S+: 1 pages differ 0x200000-0x200fff$", r.stdout),
            f"{name}: one byte of a disk, one page", r.stdout + r.stderr)
    data = read(TMP + "/b1")
    at = data.rindex(b"\x02block") if b"\x02block" in data else data.index(b"\x05block") + 14
    write(TMP + "/bad", data[:at + 6] + b"\x1f" + data[at + 7:])
    r = stream("dump", TMP + "/bad")
    TAP.check(r.returncode == 1 and r.stderr.count("\n") == 1, "a damaged chunk", r.stderr)


def undescribed():
    """Without description a device is bytes up to its footer, or as another stream says."""
    for name, emulator in (("ours", STASIS), ("QEMU's", QEMU)):
        if not emulator:
            continue
        accel = ["-accel", "tcg"] if emulator == QEMU else []
        machine = ["-M", OPTIONS[1] + ",suppress-vmdesc=on", *OPTIONS[2:]]
        for path, more in (("/whole", OPTIONS), ("/plain", machine),
                           ("/bare", machine + ["-global", "migration.send-section-footer=off"])):
            with VM(*more, *accel, "-S", emulator=emulator) as vm:
                migrate(vm, TMP + path)
        whole, plain, bare = (TMP + p for p in ("/whole", "/plain", "/bare"))
        described = json.loads(stream("dump", whole).stdout)
        r = stream("dump", plain)
        if TAP.check(r.returncode == 0, f"{name}: dump without description", r.stderr):
            got = json.loads(r.stdout)["devices"]
            TAP.equal([(d["name"], d["instance_id"], d["version"]) for d in got],
                      [(d["name"], d["instance_id"], d["version"]) for d in described["devices"]],
                      f"{name}: the devices are told apart")
            data = read(plain)
            TAP.check(all(set(d["fields"]) == {"data"} and bytes.fromhex(d["fields"]["data"]) in data
                          for d in got), f"{name}: they are bytes of the stream")
            lengths = [len(vmdesc_bytes(read(whole), d)) for d in described["devices"]]
            TAP.equal([len(d["fields"]["data"]) // 2 for d in got], lengths,
                      f"{name}: so many as the description has")
        for path in (plain, bare):
            r = stream("dump", "-l", whole, path)
            TAP.check(r.returncode == 0 and same_devices(json.loads(r.stdout), described),
                      f"{name}: read like another stream, {path[len(TMP):]}", r.stderr)
            for pair in ((path, whole), (whole, path)):
                r = stream("diff", *pair)
                TAP.check(r.returncode in (0, 1) and '"data"' not in r.stdout and
                          " only in the" not in r.stdout.replace("stasis: ", ""),
                          f"{name}: beside one that has a description", r.stdout + r.stderr)
        r = stream("dump", bare)
        TAP.check(r.returncode == 1 and r.stderr.count("\n") == 1 and
                  "no description, and no footer behind section" in r.stderr,
                  f"{name}: neither description nor footers", r.stderr)
        r = stream("dump", "-l", plain, bare)
        TAP.check(r.returncode == 1 and "it has no description" in r.stderr,
                  f"{name}: -l wants one that has", r.stderr)


def footers_within():
    """What looks like another section's footer and the next section is still this one's bytes."""
    data, name = bytearray(read(TMP + "/plain")), b"\x0bmc146818rtc"
    at = data.index(name) + len(name) + 8 + 20  # in its cmos_data
    ours = struct.unpack(">I", data[data.index(name) - 4:data.index(name)])[0]
    data[at:at + 16] = struct.pack(">BIBIB5s", 0x7e, ours + 1, 4, ours + 2, 5, b"other")
    write(TMP + "/within", data)
    got = [json.loads(stream("dump", TMP + p).stdout or '{"devices": []}')["devices"]
           for p in ("/plain", "/within")]
    sizes = [[(d["name"], len(d["fields"]["data"])) for d in devices] for devices in got]
    TAP.check(sizes[0] and sizes[0] == sizes[1] and got[0] != got[1],
              "a footer is that of the section", str(sizes[1]))


def vmdesc_bytes(data, device):
    """A section's bytes, by the other reader."""
    s = vmdesc.Stream(data)
    return s.raw[(device["name"], device["instance_id"])]


def same_devices(got, want):
    """All fields but those that time changes."""
    def shape(v):
        if isinstance(v, dict):
            return {k: shape(x) for k, x in v.items()}
        return [shape(x) for x in v] if isinstance(v, list) else type(v) is not str
    return [(d["name"], shape(d["fields"])) for d in got["devices"]] == \
        [(d["name"], shape(d["fields"])) for d in want["devices"]]


def damage():
    """Never a crash, and no success on what is not a stream."""
    base = read(TMP + "/one")
    rng = random.Random(1)
    head = base.index(b"\x04", base.rindex(b"pc.rom"))
    for name, data in {"empty": b"", "junk": b"junk" * 100, "half a description": base[:-1],
                       "cut": base[:len(base) // 2]}.items():
        write(TMP + "/bad", data)
        r = stream("dump", TMP + "/bad")
        TAP.check(r.returncode == 1 and r.stderr.count("\n") == 1, f"{name}: one line", r.stderr)
    died = []
    desc = base.rindex(b'{"page_size"')
    for i in range(300 if os.environ.get("TEST_LONG") else 60):
        data = bytearray(base)
        for _ in range(rng.randrange(1, 4)):
            at = rng.choice([rng.randrange(8, 200), rng.randrange(head, desc),
                             rng.randrange(desc, len(data))])
            data[at] = rng.choice(b"0123456789[]{}\"\xff\x00")
        write(TMP + "/bad", data)
        r = stream("dump", TMP + "/bad")
        if r.returncode not in (0, 1) or (r.returncode and not r.stderr):
            died.append((i, r.returncode, r.stderr[-300:]))
    TAP.equal(died, [], "damaged streams: read, or refused with a word")


TAP.run(streams, snapshots, differences, disks, undescribed, footers_within, damage)
TAP.finish()
