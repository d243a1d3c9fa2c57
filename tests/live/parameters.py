#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Migration parameters and capabilities beside QEMU: the same values, good, bad and on the edge, go
to both, by the monitor and by QMP; both answer in the same words and then have the same ones
set.  What Stasis refuses because it has no such thing is listed here, with its words."""
import json
import os
import re
import shutil
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
from guest_vm import STASIS, VM
from qmp import QmpVm
from tap import Tap

TAP = Tap()
QEMU = shutil.which("qemu-system-x86_64")
OPTIONS = ["-M", "pc-i440fx-7.2,acpi=off,hpet=off,usb=off,vmport=off", "-m", "2", "-nodefaults",
           "-nic", "none", "-vga", "none", "-S"]

SIZES = ["announce-initial", "announce-max", "announce-rounds", "announce-step", "downtime-limit",
         "max-bandwidth", "max-postcopy-bandwidth", "xbzrle-cache-size"]
NUMBERS = ["compress-level", "compress-threads", "decompress-threads", "cpu-throttle-initial",
           "cpu-throttle-increment", "max-cpu-throttle", "throttle-trigger-threshold",
           "multifd-channels", "multifd-zlib-level", "multifd-zstd-level", "x-checkpoint-delay"]
SWITCHES = ["block-incremental", "compress-wait-thread", "cpu-throttle-tailslow"]
TEXTS = ["tls-authz", "tls-creds", "tls-hostname"]

EDGES = ["0", "1", "2", "9", "10", "19", "20", "99", "100", "101", "255", "256", "1000", "1001",
         "4096", "5000", "10000", "10001", "65536", "100000", "100001", "2000000", "2000001",
         "4294967295", "4294967296", "9007199254740993", "9223372036854775807"]
TOO_FAR = ["9223372036854775808", "18446744073709551615", "8E", "15.9999999999E"]
FORMS = ["18446744073709551616", "16E", "17179869184G", "-1", "-0", "+5", "+1k", " 3", "0x10",
         "0X20", "010", "08", "1k", "3M", "2G", "1T", "1P", "7E", "1e", "5B", "5b", "1.", "1.0",
         "1.0B", "1.5", "1.5B", "0.5", ".5M", "1.5M", "1.1k", "1.05k", "0.0001k", "1e3", "1.5e2",
         "1kb", "1MiB", "1kk", "k", "-1k", "0x", "00x5", "0b1", "1_0", "5x", "abc", "inf", "nan",
         "", "1 ", "x y"]
WORDS = ["on", "off", "yes", "no", "true", "false", "y", "n", "ON", "Y", "maybe", "none", "2"]
JSON = ["0", "1", "-1", "9", "10", "99", "100", "255", "256", "1000", "4096", "5000", "100001",
        "2000001", "4294967295", "4294967296", "1.5", "1e3", "true", "false", '"x"', '""', "null",
        "[]", "{}", '"none"', '"zlib"', '"5"']

# Not here, and not to be had by being set.
ABSENT = ["rdma-pin-all", "x-colo", "multifd", "dirty-bitmaps",
          "x-ignore-shared", "background-snapshot", "zero-copy-send", "postcopy-preempt"]
PRESENT = ["xbzrle", "auto-converge", "zero-blocks", "compress", "events", "postcopy-ram",
           "postcopy-blocktime", "release-ram", "block", "return-path", "pause-before-switchover", "late-block-activate",
           "validate-uuid"]
FIXED = r"Parameter '[\w-]+' cannot be changed: encryption and parallel channels are not available"
LACK = r"Capability '[\w-]+' is not available: "
FAR = r"Parameter 'max_(postcopy_)?bandwidth' expects an integer in the range of 0 to " \
      r"9223372036854775807 bytes/second"


def expected(got, request):
    """Where the two differ and are meant to."""
    if re.search(FIXED, got):
        return re.search(r"(tls-\w+\b.*\S$|multifd-compression\b.*(zlib|zstd))", request)
    if re.search(LACK, got):
        return any(name in request for name in ABSENT)
    # A rate of more than 2^63 is not one that JSON's integers can show here.
    return re.search(FAR, got) and re.search(r"bandwidth\b.*(\d{19}|E$|-1)", request)


def compare(requests, answers, name):
    """The same answers; a line of detail for each that is not."""
    bad = [f"{r}\nStasis: {s}\nQEMU:   {q}" for r, s, q in zip(requests, *answers)
           if s != q and not expected(s, r)]
    TAP.check(not bad and len(answers[0]) == len(answers[1]) == len(requests),
              f"{name}: {len(requests)} requests", "\n".join(bad[:40]))


def hmp_lines(names, values):
    for n in names:
        for v in values:
            yield f'migrate_set_parameter {n} "{v}"' if " " in v or not v else \
                f"migrate_set_parameter {n} {v}"


def ask(emulator, lines, show):
    """What each line is answered, and what is set then where both emulators took it."""
    accel = ["-accel", "tcg"] if emulator == QEMU else []
    with VM(*OPTIONS, *accel, emulator=emulator, serial=False) as vm:
        for line in lines:
            answer = vm.hmp(line).strip()
            yield f"{answer}|{vm.hmp(show)}" if line.startswith("migrate_set") and not answer \
                else answer


def both(lines, show, name):
    """Those that Stasis refuses for good are asked first, and left out of the comparison."""
    mine = list(ask(STASIS, lines, show))
    kept = [(l, a) for l, a in zip(lines, mine) if not expected(a, l)]
    TAP.check(len(kept) * 3 > len(lines), f"{name}: most of it is compared", str(len(kept)))
    lines = [l for l, _ in kept]
    compare(lines, ([a for _, a in kept], list(ask(QEMU, lines, show))), name)


def test_monitor_parameters():
    both([*hmp_lines(SIZES, EDGES + TOO_FAR), *hmp_lines(SIZES[4:], FORMS)],
         "info migrate_parameters", "sizes")
    both([*hmp_lines(NUMBERS, EDGES), *hmp_lines(NUMBERS[-2:], FORMS)],
         "info migrate_parameters", "numbers")
    both([*hmp_lines(SWITCHES, EDGES[:3] + FORMS[-4:] + WORDS),
          *hmp_lines(TEXTS, [""]), *hmp_lines(["multifd-compression"], WORDS + ["", "x y"])],
         "info migrate_parameters", "switches and words")
    both(["migrate_set_parameter cpu-throttle-initial 50",
          "migrate_set_parameter max-cpu-throttle 49",
          "migrate_set_parameter max-cpu-throttle 60",
          "migrate_set_parameter cpu-throttle-initial 61",
          "migrate_set_parameter cpu-throttle-initial 60", "migrate_set_parameter",
          "migrate_set_parameter max-bandwidth", "migrate_set_parameter nosuch 1",
          "migrate_set_parameter max-bandwidth 1 2", "migrate_set_parameter max-bandwidth 32"],
         "info migrate_parameters", "what depends on another")


def test_monitor_capabilities():
    lines = [f"migrate_set_capability {n} {v}" for n in PRESENT + ABSENT for v in ["on", "off"]]
    lines += [f"migrate_set_capability events {v}".rstrip() for v in WORDS + ["0", "1", ""]]
    lines += ["migrate_set_capability", "migrate_set_capability nosuch on",
              "migrate_set_capability nosuch maybe", "migrate_set_capability events on off"]
    for a in PRESENT:
        lines += [f"migrate_set_capability {a} on",
                  *(f"migrate_set_capability {b} {v}" for b in PRESENT for v in ["on", "off"]),
                  f"migrate_set_capability {a} off"]
    both(lines, "info migrate_capabilities", "capabilities")


def ask_qmp(emulator, requests, show):
    accel = ["-accel", "tcg"] if emulator == QEMU else []
    with QmpVm(*OPTIONS, *accel, program=emulator) as vm:
        for r in requests:
            answer = vm.qmp.raw(r + "\n")
            if "return" in answer:
                now = vm.qmp.cmd(show)
                answer = sorted(now.items()) if isinstance(now, dict) else \
                    sorted((c["capability"], c["state"]) for c in now)
            yield json.dumps(answer)


def both_qmp(command, arguments, show, name):
    requests = [f'{{"execute": "{command}", "arguments": {a}}}' for a in arguments]
    mine = list(ask_qmp(STASIS, requests, show))
    kept = [(r, a) for r, a in zip(requests, mine) if not expected(a, r.rstrip("}"))]
    requests = [r for r, _ in kept]
    TAP.check(len(kept) * 3 > len(arguments) * 2, f"{name}: most of it is compared", str(len(kept)))
    compare(requests, ([a for _, a in kept], list(ask_qmp(QEMU, requests, show))), name)


def test_qmp_parameters():
    names = SIZES + NUMBERS + SWITCHES + ["multifd-compression"]
    values = [f'{{"{n}": {v}}}' for n in names for v in JSON
              if not ("bandwidth" in n and v == "-1")]
    values += [f'{{"{n}": {v}}}' for n in TEXTS for v in JSON
               if v[0] != '"' or v == '""']
    both_qmp("migrate-set-parameters", values, "query-migrate-parameters", "QMP, one at a time")
    both_qmp("migrate-set-parameters", [
        "{}", '{"compress-level": 3, "compress-threads": 0}',
        '{"compress-threads": 7, "nosuch": 1}', '{"nosuch": 1, "compress-level": 77}',
        '{"nosuch": 1, "compress-level": "7"}',
        '{"cpu-throttle-initial": 50, "max-cpu-throttle": 40}',
        '{"max-cpu-throttle": 60, "cpu-throttle-initial": 70}',
        '{"max-cpu-throttle": 80, "cpu-throttle-initial": 70}', '{"cpu-throttle-initial": 90}',
        '{"max-bandwidth": 5, "downtime-limit": -1}', '{"announce-step": 0, "announce-max": 3}',
        '{"max-bandwidth": 5, "tls-creds": "", "multifd-compression": "none"}',
    ], "query-migrate-parameters", "QMP, all or none")


def test_qmp_capabilities():
    def caps(*pairs):
        return json.dumps({"capabilities": [{"capability": c, "state": s} for c, s in pairs]})
    both_qmp("migrate-set-capabilities", [
        caps(), caps(("events", True), ("xbzrle", True)), caps(("xbzrle", False), ("xbzrle", True)),
        caps(("events", False), ("nosuch", True)), caps(("events", False), ("xbzrle", 1)),
        caps(("events", False), ("block", "on")), caps(("events", False), (1, True)),
        '{"capabilities": [{"capability": "events", "state": false}, {"state": true}]}',
        '{"capabilities": [{"capability": "events", "state": false}, {"capability": "block"}]}',
        '{"capabilities": [{"capability": "events", "state": false, "x": 1}]}',
        '{"capabilities": [1]}', '{"capabilities": 1}', '{"capabilities": [{}]}', "{}", '{"x": 1}',
        caps(("return-path", True), ("compress", True), ("events", False)),
    ], "query-migrate-capabilities", "QMP capabilities")


def test_all_or_none():
    with QmpVm(*OPTIONS) as vm:
        before = vm.qmp.cmd("query-migrate-capabilities"), vm.qmp.cmd("query-migrate-parameters")
        for name in ABSENT:
            kind, text = vm.qmp.error("migrate-set-capabilities", capabilities=[
                {"capability": "events", "state": True}, {"capability": name, "state": True},
                {"capability": "xbzrle", "state": True}])
            TAP.check(kind == "GenericError" and text.startswith(f"Capability '{name}' is not"),
                      f"{name} is refused in words", text)
        for name, value in [("tls-creds", "x"), ("multifd-compression", "zstd"),
                            ("max-bandwidth", -1)]:
            text = vm.qmp.error("migrate-set-parameters", compress_level=7, **{name: value})[1]
            TAP.check(re.fullmatch(FIXED + "|" + FAR, text), f"{name} {value} is refused", text)
        after = vm.qmp.cmd("query-migrate-capabilities"), vm.qmp.cmd("query-migrate-parameters")
        TAP.equal(after, before, "what came with them is not set")


TAP.run(test_all_or_none)
if QEMU:
    TAP.run(test_monitor_parameters, test_monitor_capabilities, test_qmp_parameters,
            test_qmp_capabilities)
else:
    TAP.skip("beside QEMU", "qemu-system-x86_64 is not installed")
TAP.finish()
