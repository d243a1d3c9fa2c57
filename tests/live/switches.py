#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a stream consists of, beside a QEMU where one is installed: a reader that knows only the
description decodes it; configuration, footers, global state and description can be left out at both
ends; the configuration's subsections; the state of devices alone; -dump-vmstate."""
import json
import os
import re
import shutil
import struct
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import vmdesc
from guest_vm import STASIS, VM, Gone
from qmp import QmpVm
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
QEMU = shutil.which("qemu-system-x86_64")
MACHINE = "pc-i440fx-7.2,acpi=off,hpet=off,usb=off,vmport=off"
DEVICES = ["-device", "ne2k_pci,romfile="]
SWITCHES = {
    "without configuration": ["-global", "migration.send-configuration=off"],
    "without footers": ["-global", "migration.send-section-footer=off"],
    "without global state": ["-global", "migration.store-global-state=off"],
    "without description": ["suppress-vmdesc"],
    "without all of them": ["-global", "migration.send-configuration=off", "-global",
                            "migration.send-section-footer=off", "-global",
                            "migration.store-global-state=off", "suppress-vmdesc"],
}


def options(more=(), vga="none"):
    machine = MACHINE
    if "suppress-vmdesc" in more:
        machine, more = machine + ",suppress-vmdesc=on", [m for m in more if m != "suppress-vmdesc"]
    return ["-M", machine, "-cpu", "pentium3,-apic", "-m", "2", "-nodefaults", "-nic", "none",
            "-vga", vga, "-rtc", "clock=vm", *DEVICES, *more]


def start(emulator, *args):
    return VM(*args, *(["-accel", "tcg"] if emulator == QEMU else []), emulator=emulator)


def record(emulator, path, more=(), vga="none"):
    """A stream of a machine that has run a little."""
    with start(emulator, *options(more, vga)) as vm:
        vm.hmp("info status")
        vm.hmp("stop")
        digest = vm.hmp("info hash") if emulator == STASIS else None
        vm.hmp(f'migrate "exec:cat > {path}"')
        assert vm.wait_migration()[0] == "completed"
    with open(path, "rb") as f:
        return f.read(), digest


def load(emulator, data, more=()):
    """None where it loads, else what is said of it."""
    with open(TMP + "/load", "wb") as f:
        f.write(data)
    try:
        with start(emulator, *options(more), "-S", "-incoming", f"exec:cat {TMP}/load") as vm:
            try:
                vm.wait_status(r"prelaunch|paused\s*$")
                return None
            except (Gone, OSError):
                text = vm.stderr()
    except Gone as e:
        text = str(e).replace("; ", "\n")
    lines = [l for l in text.splitlines() if re.match(r"(stasis|qemu-\S+): (?!warning)", l)
             and "load of migration failed" not in l]
    return lines[0].split(": ", 1)[-1] if lines else text


def comes_back(data, digest, more):
    with open(TMP + "/load", "wb") as f:
        f.write(data)
    with VM(*options(more), "-S", "-incoming", f"exec:cat {TMP}/load") as vm:
        vm.wait_status("prelaunch|paused$")
        return vm.hmp("info hash") == digest


def ours():
    with VM(*options(SWITCHES["without all of them"])) as vm:
        TAP.equal(re.findall(r"(?m)^(\S+): off", vm.hmp("info migrate")),
                  ["store-global-state", "only-migratable", "send-configuration",
                   "send-section-footer"], "info migrate lists what is off")
    with VM(*options(["-only-migratable"])) as vm:
        TAP.check("\nonly-migratable: on\n" in vm.hmp("info migrate"), "-only-migratable is listed")
    whole, _ = record(STASIS, TMP + "/s")
    for name, more in SWITCHES.items():
        data, digest = record(STASIS, TMP + "/s", more)
        if "suppress-vmdesc" in more:  # exactness travels in the description
            TAP.equal(load(STASIS, data, more), None, name + ": it comes back")
        else:
            TAP.check(comes_back(data, digest, more), name + ": it comes back, to the digest")
        got = (data[8] == 7, len(vmdesc_or_none(data) or []) > 0)
        TAP.equal(got, ("configuration" not in name and "all" not in name,
                        "description" not in name and "all" not in name), name + ": is left out")
    for name, want in (("without configuration", "Configuration section missing"),
                       ("without footers", "Missing section footer for ram")):
        data, _ = record(STASIS, TMP + "/s", SWITCHES[name])
        TAP.equal(load(STASIS, data), want, name + ": refused where it is expected")
    TAP.equal(load(STASIS, whole, SWITCHES["without configuration"]), "Unknown savevm section type 7",
              "a configuration is refused where none is expected")
    for name in ("without global state", "without description"):
        data, _ = record(STASIS, TMP + "/s", SWITCHES[name])
        TAP.equal(load(STASIS, data), None, name + ": taken where it is expected")


def vmdesc_or_none(data):
    try:
        return vmdesc.Stream.description(data)[0]["devices"]
    except vmdesc.Bad:
        return None


def wrong_options():
    for args, text in ((["-global", "migration.send-sektion-footer=off"],
                        "'send-sektion-footer' is not a valid property of 'migration'; did you mean "
                        "'send-section-footer'?"),
                       (["-global", "migration.send-configuration=maybe"], "maybe"),
                       (["-M", "pc,suppress-vmdesc=maybe"], "maybe")):
        p = subprocess.run([STASIS, "-nodefaults", "-display", "none", *args], capture_output=True,
                           text=True, stdin=subprocess.DEVNULL, timeout=30)
        TAP.check(p.returncode == 1 and text in p.stderr, " ".join(args), p.stderr)


def with_qemu():
    for name, more in SWITCHES.items():
        data, _ = record(STASIS, TMP + "/s", more)
        TAP.equal(load(QEMU, data, more), None, name + ": QEMU takes ours")
        data, _ = record(QEMU, TMP + "/q", more)
        TAP.equal(load(STASIS, data, more), None, name + ": we take QEMU's")


def described():
    """Decoded by the description alone, to the byte: ours, and QEMU's of the same machine."""
    streams = {"ours": record(STASIS, TMP + "/s", vga="std")[0]}
    if QEMU:
        streams["QEMU's"] = record(QEMU, TMP + "/q", vga="std")[0]
    shapes = {}
    for name, data in streams.items():
        s = vmdesc.Stream(data)
        TAP.check(len(s.devices) > 15 and s.footers, f"{name}: decoded", [d["name"] for d in s.devices])
        regs = s.device_fields("i8254")
        TAP.check(len(regs["channels"]) == 3 and regs["channels"][0]["mode"] in range(6),
                  f"{name}: the fields make sense", regs)
        shapes[name] = {(d["name"], d["instance_id"]): strip_types(d) for d in s.desc["devices"]}
    for key in sorted(set.intersection(*(set(s) for s in shapes.values()))) if QEMU else ():
        if key[0] != "globalstate":
            TAP.equal(shapes["ours"][key], shapes["QEMU's"][key], f"{key}: described alike")


def strip_types(desc):
    """Fields in order, with types; what depends on the moment (subsections, sizes) is left out."""
    return [(f["name"], f["type"], f.get("array_len"),
             strip_types(f["struct"] if "struct" in f else f) if "struct" in f or "fields" in f
             else f["size"]) for f in desc["fields"]]


def subsection(name, body):
    name = b"configuration/" + name
    return b"\5" + bytes([len(name)]) + name + struct.pack(">I", 1) + body


def names(*list_):
    return struct.pack(">I", len(list_)) + b"".join(bytes([len(n)]) + n for n in list_)


def configuration():
    data, _ = record(STASIS, TMP + "/s")
    head = 8 + 5 + len("pc-i440fx-7.2")
    uuid = ["-uuid", "01234567-89ab-cdef-0123-456789abcdef"]
    cases = {
        "12 page bits": (subsection(b"target-page-bits", b"\0\0\0\x0c"), None, ()),
        "13 page bits": (subsection(b"target-page-bits", b"\0\0\0\x0d"),
                         "Received TARGET_PAGE_BITS is 13 but local is 12", ()),
        "no capabilities": (subsection(b"capabilities", names()), None, ()),
        "a capability that need not be alike": (subsection(b"capabilities", names(b"events")), None,
                                                ()),
        "one that must be": (subsection(b"capabilities", names(b"x-ignore-shared")),
                             "Capability x-ignore-shared is off, but received capability is on", ()),
        "an unknown one": (subsection(b"capabilities", names(b"events", b"nosuch")),
                           "Received unknown capability nosuch", ()),
        "our UUID": (subsection(b"uuid", bytes.fromhex("0123456789abcdef0123456789abcdef")), None,
                     uuid),
        "another UUID": (subsection(b"uuid", b"\1" * 16),
                         "UUID received is 01010101-0101-0101-0101-010101010101 and local is "
                         "01234567-89ab-cdef-0123-456789abcdef", uuid),
    }
    for name, (bytes_, want, more) in cases.items():
        stream = data[:head] + bytes_ + data[head:]
        TAP.equal(load(STASIS, stream, more), want, f"configuration with {name}")
        if QEMU:
            TAP.equal(load(QEMU, stream, more), want, f"configuration with {name}: so says QEMU")
    for other in (b"pc-i440fx-7.", b"pc-i440fx-7.20"):
        stream = data[:9] + struct.pack(">I", len(other)) + other + data[head:]
        TAP.equal(load(STASIS, stream),
                  f"Machine type received is '{other.decode()}' and local is 'pc-i440fx-7.2'",
                  f"the machine {other.decode()} is another one")


def devices_alone():
    path = TMP + "/devices"
    with VM(*options()) as vm:
        TAP.check("Cannot update device state while vm is running" in
                  vm.hmp(f"xen_load_devices_state {path}"), "not while the guest runs")
        TAP.equal(vm.hmp(f"xen_save_devices_state {path}"), "", "a running guest's are saved")
        TAP.check("running" in vm.hmp("info status"), "and it runs on")
        vm.hmp("stop")
        before = vm.hmp("info hash")
        TAP.equal(vm.hmp(f"xen_save_devices_state {path}"), "", "a stopped guest's are saved")
        for port, value in (("21", "55"), ("70", "0f"), ("3fb", "1b"), ("43", "30")):
            vm.hmp(f"o/b 0x{port} 0x{value}")
        changed = vm.hmp("info hash")
        TAP.check(changed != before, "its devices are touched")
        with open(path, "rb") as f:
            good = f.read()
        end = good.rindex(b'{"page_size"') - 6
        bad = {"empty": b"", "junk": b"junk" * 300, "with RAM": record(STASIS, TMP + "/s")[0]}
        bad.update((f"cut at {n}", good[:n]) for n in range(9, end, end // 12))
        for name, data in bad.items():
            with open(TMP + "/bad", "wb") as f:
                f.write(data)
            text = vm.hmp(f"xen_load_devices_state {TMP}/bad")
            TAP.check(text.startswith("Error: ") and vm.hmp("info hash") == changed,
                      f"a file that is {name}: refused, and nothing has changed", text)
        TAP.equal(vm.hmp(f"xen_load_devices_state {path}"), "", "a good file is taken")
        TAP.equal(vm.hmp("info hash"), before, "to the digest")
        TAP.check("Unable to open /nosuch/x: No such file" in
                  vm.hmp("xen_save_devices_state /nosuch/x"), "a file that cannot be made is named")
        os.mkfifo(f"{TMP}/fifo")  # whose other end never comes: nobody waits for it
        TAP.equal(vm.hmp(f"xen_load_devices_state {TMP}/fifo"),
                  f"Error: {TMP}/fifo is not a regular file\n", "a pipe is no file to load")
        TAP.check("Unable to open" in vm.hmp(f"xen_save_devices_state {TMP}/fifo"),
                  "nor one to save to")
        vm.hmp("cont")
    with QmpVm(*options(), "-S") as q:
        q.qmp.cmd("xen-save-devices-state", filename=path, live=True)
        q.qmp.cmd("xen-load-devices-state", filename=path)
        TAP.check(True, "both over QMP")
    if QEMU:
        with QmpVm(*options(), "-accel", "tcg", "-S", program=QEMU) as q:
            q.qmp.cmd("xen-save-devices-state", filename=path)
        with VM(*options(), "-S") as vm:
            TAP.equal(vm.hmp(f"xen_load_devices_state {path}"), "", "QEMU's file is taken")


def dumped(program):
    r = subprocess.run([program, "-M", "pc-i440fx-7.2", "-dump-vmstate", TMP + "/dump"],
                       capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r.stderr
    with open(TMP + "/dump") as f:
        return json.load(f)


def fields_of(d):
    """Names in order; a name that a table has twice carries its number with us."""
    names_ = [re.sub(r"\[\d+\]$", "", f["field"]) for f in d.get("Fields", ())]
    return [n for n, before in zip(names_, [None] + names_) if n != before]


def fits(mine, theirs):
    """Theirs has fields that this machine never sends."""
    left = iter(fields_of(theirs))
    return (mine["version_id"] == theirs["version_id"] and
            mine["minimum_version_id"] >= theirs["minimum_version_id"] and
            all(f in left for f in fields_of(mine)))


def dump_vmstate():
    mine = dumped(STASIS)
    TAP.equal(mine.pop("vmschkmachine"), {"Name": "pc-i440fx-7.2"}, "the machine is named")
    TAP.check(all(set(v) == {"Name", "version_id", "minimum_version_id", "Description"} and
                  v["Name"] == k for k, v in mine.items()), "entries have QEMU's keys")
    if not QEMU:
        return
    theirs = {}
    for v in dumped(QEMU).values():
        if "Description" in v:
            theirs.setdefault(v["Description"]["name"], []).append(v["Description"])
    shared = [d["Description"] for d in mine.values() if d["Description"]["name"] in theirs]
    TAP.check(len(shared) > 8, "devices in common", [d["name"] for d in shared])
    for d in shared:
        TAP.check(any(fits(d, t) for t in theirs[d["name"]]), f"-dump-vmstate: {d['name']} as QEMU's",
                  f"{fields_of(d)}\n{[fields_of(t) for t in theirs[d['name']]]}")


TAP.run(ours, wrong_options, described, configuration, devices_alone, dump_vmstate)
if QEMU:
    TAP.run(with_qemu)
else:
    TAP.skip("with QEMU", "qemu-system-x86_64 is not installed")
TAP.finish()
