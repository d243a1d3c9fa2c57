#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QMP of the built program.  Where QEMU is installed, both get the same script and have to answer
alike: errors word for word, results in members and types."""
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
from qmp import STASIS, Qmp, QmpVm
from tap import Tap
from vm import Monitor, image

tap = Tap()
TMP = tempfile.mkdtemp(prefix="qmp-")
QEMU = shutil.which("qemu-system-x86_64")
UNSAID = ("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'")

# Each is sent to a fresh session after the ones before it; answers are compared.
SCRIPT = r"""
{"execute":"query-status"}
{"execute":"nosuch"}
{"execute":"qmp_capabilities","id":1}
{"execute":"qmp_capabilities"}
{"execute":"query-status","id":{"a":[1,null,"\u00e9"]}}
{'execute':'query-status'}
foo
{"a":1}
{"execute":"query-status","foo":1}
{"execute":1}
{"id":7}
{"id":8,"execute":"query-status","arguments":1}
{"execute":"query-status","arguments":{"x":1}}
{"execute":"query-status","execute":"stop"}
[]
1
"x"
null
]
}
{"execute":"query-status","id":"\xc3"}
{"execute":"nosuch"}
{"execute":"human-monitor-command"}
{"execute":"human-monitor-command","arguments":{"command-line":5}}
{"execute":"human-monitor-command","arguments":{"command-line":"info status"}}
{"execute":"human-monitor-command","arguments":{"command-line":"nosuch"}}
{"execute":"human-monitor-command","arguments":{"command-line":"info status","cpu-index":3}}
{"execute":"query-version"}
{"execute":"query-name"}
{"execute":"query-uuid"}
{"execute":"query-kvm"}
{"execute":"query-cpus-fast"}
{"execute":"query-mice"}
{"execute":"query-chardev"}
{"execute":"query-pci"}
{"execute":"query-block"}
{"execute":"query-blockstats"}
{"execute":"query-commands"}
{"execute":"query-machines"}
{"execute":"eject","arguments":{"device":"x"}}
{"execute":"eject","arguments":{"id":"x"}}
{"execute":"eject","arguments":{}}
{"execute":"eject","arguments":{"device":"d"}}
{"execute":"eject","arguments":{"device":"cd"}}
{"execute":"blockdev-change-medium","arguments":{"device":"cd","filename":"/nosuch"}}
{"execute":"blockdev-change-medium","arguments":{"device":"cd","filename":"%ISO%","format":"raw"}}
{"execute":"blockdev-change-medium","arguments":{"device":"cd","filename":"x","read-only-mode":"zz"}}
{"execute":"eject","arguments":{"id":"cdrom0"}}
{"execute":"screendump","arguments":{"filename":"/nosuch/x","device":"zz"}}
{"execute":"screendump","arguments":{"filename":"/nosuch/x","head":1}}
{"execute":"screendump","arguments":{"filename":"/nosuch/x","format":"gif"}}
{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"zz"}]}}
{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"a"},{"type":"number","data":30}]}}
{"execute":"send-key","arguments":{"keys":[{"type":"foo","data":"a"}]}}
{"execute":"send-key","arguments":{"keys":[{"data":"a"}]}}
{"execute":"send-key","arguments":{"keys":5}}
{"execute":"send-key","arguments":{"keys":[5]}}
{"execute":"send-key","arguments":{"keys":[],"hold-time":"x"}}
{"execute":"getfd","arguments":{"fdname":"x"}}
{"execute":"closefd","arguments":{"fdname":"x"}}
{"execute":"pmemsave","arguments":{"val":0,"size":16,"filename":"/nosuch/x"}}
{"execute":"pmemsave","arguments":{"val":0,"size":1.5,"filename":"/nosuch/x"}}
{"execute":"memsave","arguments":{"val":0,"size":16,"filename":"/nosuch/x","cpu-index":9}}
{"execute":"announce-self","arguments":{"initial":50,"max":550,"rounds":5,"step":50}}
{"execute":"announce-self","arguments":{"initial":50}}
{"execute":"set_link","arguments":{"name":"zz","up":true}}
{"execute":"stop"}
{"execute":"query-status"}
{"execute":"cont"}
{"execute":"system_reset"}
""".strip().splitlines()


def disks():
    """A hard disk and a CD-ROM drive, made anew."""
    path = image(os.path.join(TMP, "disk.qcow2"), "8M")
    return ["-M", "pc", "-m", "16", "-vga", "std", "-drive", f"file={path},id=d,if=none",
            "-device", "ide-hd,drive=d,id=disk0", "-drive", "if=none,id=cd,media=cdrom",
            "-device", "ide-cd,drive=cd,id=cdrom0"]


def talk(program):
    """The answers to SCRIPT."""
    iso = os.path.join(TMP, "cd.iso")
    with open(iso, "wb") as f:
        f.truncate(1 << 20)
    answers = []
    with QmpVm(*disks(), program=program, negotiate=False) as vm:
        for line in SCRIPT:
            text = line.replace("%ISO%", iso).encode().replace(rb"\xc3", b"\xc3")
            answers.append(vm.qmp.raw(text + b"\n"))
        tap.check(vm.process.poll() is None, f"{os.path.basename(program)} is alive after all")
    return answers


def shape(value):
    """A value's members and types; of a list, those of its first element."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def within(small, large):
    """Whether all members of one shape are in the other one, too, and of the same type."""
    if isinstance(small, dict):
        return isinstance(large, dict) and all(k in large and within(v, large[k])
                                               for k, v in small.items())
    if isinstance(small, list):
        return isinstance(large, list) and (not small or not large or within(small[0], large[0]))
    return small == large


def alike():
    if not QEMU:
        tap.skip("comparison", "no qemu-system-x86_64")
        return
    ours, theirs = talk(STASIS), talk(QEMU)
    for line, a, b in zip(SCRIPT, ours, theirs):
        if "error" in a or "error" in b or a.get("return") == {}:
            tap.equal(a, b, line)
        else:
            tap.check(within(shape(a), shape(b)), line, f"{a}\n{b}")
        tap.equal(a.get("id"), b.get("id"), "its id")


def negotiation():
    with QmpVm("-M", "isapc", "-S", negotiate=False) as vm:
        q = vm.qmp
        tap.equal(q.greeting["QMP"]["capabilities"], [], "nothing out of band")
        tap.equal(q.greeting["QMP"]["version"]["qemu"]["major"], 7, "the greeting has a version")
        tap.equal(q.error("query-status"), UNSAID, "nothing runs before the negotiation")
        tap.equal(q.error("nosuch"), UNSAID, "known or not")
        tap.equal(q.error("qmp_capabilities", enable=["oob"])[0], "GenericError", "no oob")
        tap.equal(q.cmd("qmp_capabilities"), {}, "qmp_capabilities")
        tap.equal(q.error("qmp_capabilities")[0], "CommandNotFound", "only once")
        tap.equal(q.error("nosuch"), ("CommandNotFound", "The command nosuch has not been found"),
                  "an unknown command")
        names = [c["name"] for c in q.cmd("query-commands")]
        tap.check(names == sorted(names) and "stop" in names, "query-commands", names)
        # another visitor starts from the beginning
        q.close()
        again = Qmp(os.path.join(vm.dir, "qmp"), vm.process)
        tap.equal(again.error("query-status"), UNSAID, "another visitor negotiates anew")
        again.close()


def events():
    with QmpVm("-M", "isapc", "-S") as vm:
        q = vm.qmp
        before = time.time()
        q.cmd("cont")
        got = q.event("RESUME")
        stamp = got["timestamp"]
        tap.check(abs(stamp["seconds"] + stamp["microseconds"] / 1e6 - before) < 5, "timestamp")
        tap.equal(q.cmd("query-status"),
                  {"status": "running", "singlestep": False, "running": True}, "running")
        q.cmd("stop")
        tap.equal(sorted(q.event("STOP")), ["event", "timestamp"], "STOP has no data")
        q.cmd("stop")
        q.cmd("system_reset")
        q.event("RESET", guest=False, reason="host-qmp-system-reset")
        tap.equal(q.cmd("query-status")["status"], "prelaunch", "reset while stopped")
        q.hmp("cont")
        q.event("RESUME")
        q.cmd("quit")
        q.event("SHUTDOWN", guest=False, reason="host-qmp-quit")
        tap.equal(vm.process.wait(20), 0, "quit ends it")
        tap.equal(vm.output(), "", "and nothing is printed")


def several():
    """Two sessions and a human monitor at once."""
    second, human = os.path.join(TMP, "second"), os.path.join(TMP, "human")
    with QmpVm("-M", "isapc", "-S", "-chardev", f"socket,id=c,path={second},server=on,wait=off",
               "-mon", "chardev=c,mode=control,pretty=on",
               "-monitor", f"unix:{human},server=on,wait=off") as vm:
        mon = Monitor(human, process=vm.process)
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(second)
        sock.settimeout(20)
        data = b""
        while b"}\r\n" not in data or not data.endswith(b"}\r\n"):
            data += sock.recv(65536)
        tap.check(b'\n    "QMP": {\n' in data and json.loads(data), "pretty JSON", data)
        tap.equal(mon.cmd("cont"), "", "the human monitor works beside")
        vm.qmp.event("RESUME")
        sock.settimeout(0.2)
        try:
            tap.check(False, "a session without negotiation hears nothing", sock.recv(1000))
        except TimeoutError:
            tap.check(True, "a session without negotiation hears nothing")
        sock.settimeout(20)
        sock.sendall(b'{"execute":"qmp_capabilities"}{"execute":"stop"}')
        data = b""
        while data.count(b'"return"') < 2:
            data += sock.recv(65536)
        tap.check(b'"STOP"' in data, "both hear of it", data)
        vm.qmp.event("STOP")
        tap.equal(mon.cmd("info status"), "VM status: paused\n", "and the machine has stopped")
        mon.close()
        sock.close()


def descriptors():
    with QmpVm("-M", "isapc", "-S") as vm:
        r, w = os.pipe()
        tap.equal(vm.qmp.request("getfd", fds=(w,), fdname="pipe"), {"return": {}}, "getfd")
        os.close(w)
        tap.equal(vm.qmp.request("getfd", fds=(r,), fdname="0x")["error"]["desc"],
                  "Parameter 'fdname' expects a name not starting with a digit", "a bad name")
        tap.equal(vm.qmp.cmd("closefd", fdname="pipe"), {}, "closefd")
        tap.equal(os.read(r, 1), b"", "closes it")
        os.close(r)


def media():
    iso = os.path.join(TMP, "cd.iso")
    with open(iso, "wb") as f:
        f.truncate(1 << 20)
    with QmpVm(*disks(), "-S") as vm:
        q = vm.qmp
        q.cmd("eject", device="cd")
        q.event("DEVICE_TRAY_MOVED", device="cd", id="cdrom0", tray_open=True)
        q.cmd("blockdev-change-medium", id="cdrom0", filename=iso, format="raw")
        q.event("DEVICE_TRAY_MOVED", device="cd", tray_open=False)
        cd = [b for b in q.cmd("query-block") if b["device"] == "cd"][0]
        tap.equal((cd["inserted"]["file"], cd["inserted"]["ro"], cd["tray_open"], cd["qdev"]),
                  (iso, True, False, "cdrom0"), "the new medium")
        out = os.path.join(TMP, "mem")
        q.cmd("pmemsave", val=0xffff0, size=16, filename=out)
        tap.equal(os.path.getsize(out), 16, "pmemsave")
        shot = os.path.join(TMP, "shot.png")
        q.cmd("screendump", filename=shot)
        with open(shot, "rb") as f:
            tap.equal(f.read(2), b"P6", "a screendump is PPM whatever its name")
        q.cmd("screendump", filename=shot, format="png")
        with open(shot, "rb") as f:
            tap.equal(f.read(4), b"\x89PNG", "or PNG where that is said")


JOBS = [
    ("snapshot-save", {"job-id": "s1", "tag": "t", "vmstate": "n", "devices": ["n"]}),
    ("snapshot-save", {"job-id": "s2", "tag": "t", "vmstate": "n", "devices": ["n"]}),
    ("snapshot-save", {"job-id": "s2", "tag": "u", "vmstate": "n", "devices": ["n"]}),
    ("snapshot-save", {"job-id": "s3", "tag": "u", "vmstate": "x", "devices": ["n"]}),
    ("snapshot-save", {"job-id": "s4", "tag": "u", "vmstate": "n", "devices": []}),
    ("snapshot-save", {"job-id": "s5", "tag": "u", "vmstate": "n", "devices": ["n", "y"]}),
    ("snapshot-save", {"job-id": "", "tag": "u", "vmstate": "n", "devices": ["n"]}),
    ("snapshot-save", {"job-id": "a b", "tag": "u", "vmstate": "n", "devices": ["n"]}),
    ("snapshot-save", {"job-id": "s6", "tag": "u", "vmstate": "n", "devices": ["n", 5]}),
    ("snapshot-load", {"job-id": "l1", "tag": "t", "vmstate": "n", "devices": ["n"]}),
    ("job-dismiss", {"id": "l1"}),
    ("job-dismiss", {"id": "l1"}),
    ("job-cancel", {"id": "s1"}),
    ("stop", {}),
    ("snapshot-load", {"job-id": "l2", "tag": "t", "vmstate": "n", "devices": ["n"]}),
    ("snapshot-load", {"job-id": "l3", "tag": "none", "vmstate": "n", "devices": ["n"]}),
    ("snapshot-delete", {"job-id": "d1", "tag": "t", "devices": ["n"]}),
    ("snapshot-delete", {"job-id": "d2", "tag": "t", "devices": ["n"]}),
    ("snapshot-delete", {"job-id": "d3", "tag": "t", "devices": ["q"]}),
]


def work(program):
    """What becomes of JOBS: per request the answer and the events, then the list of jobs."""
    path = image(os.path.join(TMP, "jobs.qcow2"), "8M")
    said = []
    with QmpVm("-M", "pc", "-m", "16", "-drive", f"file={path},id=d,node-name=n,if=none",
               "-device", "ide-hd,drive=d", program=program) as vm:
        for name, arguments in JOBS:
            vm.qmp.events.clear()
            got = vm.qmp.raw(json.dumps({"execute": name, "arguments": arguments}))
            events = list(vm.qmp.events)
            while "return" in got and name.startswith("snapshot-") and (
                    events[-1].get("data", {}).get("status") != "concluded"):
                events.append(vm.qmp.message())
            said.append((name, arguments, got,
                         [(e["event"], e.get("data", {}).get("status")) for e in events]))
        return said, vm.qmp.cmd("query-jobs")


def jobs():
    said, listed = work(STASIS)
    good = [("JOB_STATUS_CHANGE", s) for s in ("created", "running", "waiting", "pending",
                                               "concluded")]
    tap.equal(said[0][3], good[:2] + [("STOP", None), ("RESUME", None)] + good[2:],
              "a job's steps, and the guest's")
    tap.equal(listed[-1], {"id": "s1", "type": "snapshot-save", "status": "concluded",
                           "current-progress": 1, "total-progress": 1}, "query-jobs")
    if not QEMU:
        tap.skip("jobs compared", "no qemu-system-x86_64")
        return
    their_words, their_list = work(QEMU)
    for ours, theirs in zip(said, their_words):
        tap.equal(ours, theirs, f"{ours[0]} {ours[1]}")
    tap.equal(listed, their_list, "the list of jobs")


def at_once():
    """While a snapshot is being saved, nothing else of the kind begins, and the guest waits."""
    path = image(os.path.join(TMP, "at_once.qcow2"), "8M")
    with QmpVm("-M", "pc", "-m", "64", "-S", "-drive", f"file={path},id=d,if=none",
               "-device", "ide-hd,drive=d") as vm:
        q = vm.qmp
        both = [{"execute": f"snapshot-{what}", "arguments":
                 {"job-id": job, "tag": "t", "vmstate": "d", "devices": ["d"]}}
                for what, job in (("save", "one"), ("load", "two"))]
        q.send("".join(map(json.dumps, both)) + '{"execute":"cont"}{"execute":"query-status"}')
        answers = [q.answer() for _ in range(4)]
        tap.equal(answers[2].get("error", {}).get("desc"), "A snapshot is being saved",
                  "no cont meanwhile")
        tap.equal(answers[3]["return"]["status"], "save-vm", "whatever it was before")
        q.event("JOB_STATUS_CHANGE", id="one", status="concluded")
        listed = {j["id"]: j.get("error") for j in q.cmd("query-jobs")}
        tap.equal(listed, {"one": None, "two": "Another snapshot is being saved or loaded"},
                  "one after the other")
        tap.equal(q.cmd("query-status")["status"], "prelaunch", "then all is as it was")
        both[0]["arguments"].update({"job-id": "three", "tag": "u"})
        q.send(json.dumps(both[0]) + '{"execute":"system_reset"}{"execute":"quit"}')
        q.event("JOB_STATUS_CHANGE", id="three", status="running")
        tap.equal(q.message(), {"return": {}}, "a save,")
        tap.equal([q.message(), q.message()], [{"return": {}}] * 2, "a reset and an end at once")
        tap.equal(vm.process.wait(20), 0, "end well")
    with QmpVm("-M", "pc", "-m", "64", "-S", "-drive", f"file={path},id=d,if=none",
               "-device", "ide-hd,drive=d", "-loadvm", "u") as vm:
        tap.equal(vm.qmp.cmd("query-status")["status"], "prelaunch", "and the snapshot is whole")


def migration():
    """From one process to another, both told by events."""
    where = f"unix:{TMP}/move"
    path = image(os.path.join(TMP, "move.qcow2"), "8M")
    args = ["-M", "pc", "-m", "16", "-drive", f"file={path},id=d,if=none", "-device",
            "ide-hd,drive=d"]
    events_on = [{"capability": "events", "state": True}]
    with QmpVm(*args) as source, QmpVm(*args, "-incoming", "defer") as target:
        for vm in (source, target):
            vm.qmp.cmd("migrate-set-capabilities", capabilities=events_on)
        tap.equal(source.qmp.cmd("query-migrate"), {}, "there was none")
        target.qmp.cmd("migrate-incoming", uri=where)
        target.qmp.event("MIGRATION", status="setup")
        source.qmp.cmd("migrate-set-parameters", max_bandwidth=1 << 30, downtime_limit=200)
        tap.equal(source.qmp.cmd("query-migrate-parameters")["downtime-limit"], 200,
                  "a parameter")
        source.qmp.cmd("migrate", uri=where)
        seen = []
        while ("MIGRATION", "completed") not in seen:
            e = source.qmp.events.pop(0) if source.qmp.events else source.qmp.message()
            seen.append((e["event"], e.get("data", {}).get("status")))
        tap.equal([s for s in seen if s[0] != "MIGRATION_PASS"],
                  [("MIGRATION", "setup"), ("MIGRATION", "active"), ("STOP", None),
                   ("MIGRATION", "completed")], "the source's events")
        tap.check(("MIGRATION_PASS", None) in seen, "and its rounds", seen)
        target.qmp.event("RESUME")
        target.qmp.event("MIGRATION", status="completed")
        got = source.qmp.cmd("query-migrate")
        tap.check(got["status"] == "completed" and got["ram"]["total"] >= 16 << 20 and
                  "downtime" in got, "query-migrate", got)
        tap.equal(source.qmp.cmd("query-status")["status"], "postmigrate", "gone")
        tap.check(target.qmp.cmd("query-status")["running"], "arrived")


def migration_words():
    """Complaints about what cannot be, and a stream into a descriptor."""
    with QmpVm("-M", "pc", "-m", "16", "-S") as vm:
        q = vm.qmp
        q.cmd("migrate-set-parameters", downtime_limit=100)
        tap.equal(q.error("migrate-set-parameters", downtime_limit=7, compress_level=10)[1],
                  "Parameter 'compress_level' expects a value between 0 and 9", "a bad parameter")
        tap.equal(q.cmd("query-migrate-parameters")["downtime-limit"], 100, "all or none")
        for arguments, want in [
                ({"nosuch": 1}, "Parameter 'nosuch' is unexpected"),
                ({"block_incremental": 1},
                 "Invalid parameter type for 'block-incremental', expected: boolean")]:
            tap.equal(q.error("migrate-set-parameters", **arguments)[1], want, str(arguments))
        for caps, want in [
                ([1], "Invalid parameter type for 'capabilities[0]', expected: object"),
                ([{"capability": "events"}], "Parameter 'capabilities[0].state' is missing"),
                ([{"capability": "zz", "state": True}],
                 "Parameter 'capability' does not accept value 'zz'")]:
            tap.equal(q.error("migrate-set-capabilities", capabilities=caps)[1], want, str(caps))
        tap.equal(q.error("migrate", uri="foo:bar")[1],
                  "Parameter 'uri' expects a valid migration protocol", "no such channel")
        tap.equal(q.error("migrate", uri="fd:zz")[1],
                  "File descriptor named 'zz' has not been found", "no such descriptor")
        with open(os.path.join(TMP, "stream"), "w+b") as f:
            q.request("getfd", fds=(f.fileno(),), fdname="out")
            q.cmd("migrate", uri="fd:out")
            end = time.monotonic() + 20
            while q.cmd("query-migrate")["status"] != "completed" and time.monotonic() < end:
                time.sleep(0.05)
            f.seek(0)
            tap.equal(f.read(4), b"QEVM", "migrate into a descriptor")


def device_events():
    """What devices tell: the clock was set, the disk failed."""
    with QmpVm("-M", "pc", "-m", "16", "-S") as vm:
        vm.qmp.hmp("o /b 0x70 0x32")
        vm.qmp.hmp("o /b 0x71 0x21")  # the century
        got = vm.qmp.event("RTC_CHANGE")["data"]
        tap.check(got["offset"] > 50 * 365 * 86400, "the clock is put forward", got)
    raw = image(os.path.join(TMP, "bad.raw"), "1M", "raw")
    with QmpVm("-M", "pc", "-m", "16", "-S", "-drive",
               f"file=fault:kind=eio,,reads=on,,at=1,,times=0:{raw},format=raw,id=d,if=none,"
               "rerror=stop", "-device", "ide-hd,drive=d") as vm:
        vm.qmp.cmd("cont")
        got = vm.qmp.event("BLOCK_IO_ERROR", device="d", operation="read", action="stop")
        tap.equal(got["data"]["nospace"], False, "a disk that cannot be read")
        vm.qmp.event("STOP")
        tap.equal(vm.qmp.cmd("query-status")["status"], "io-error", "stops the machine")


def hostile():
    """Limits and garbage: complaints, and the session goes on."""
    rnd = random.Random(1)
    with QmpVm("-M", "isapc", "-S") as vm:
        q = vm.qmp
        tap.equal(q.raw("[" * 100000 + "\n")["error"]["desc"], "JSON nesting depth limit exceeded",
                  "deep nesting")
        tap.equal(q.raw('{"execute":"' + "x" * (5 << 20) + '"}\n')["error"]["desc"],
                  "JSON token size limit exceeded", "a huge string")
        tap.equal(q.cmd("query-name"), {}, "then all is well")
        words = [b"{", b"}", b"[", b"]", b'"', b"'", b":", b",", b"\\", b"\n", b"\xff", b"\0",
                 b"execute", b'"execute"', b'"query-status"', b'"arguments"', b'"id"', b"1e999",
                 b"-", b"null", b'"\\ud800"', b"\xe2\x82", b"/*", b"%", b"1" * 40]
        for n in range(200):
            junk = b"".join(rnd.choice(words) for _ in range(rnd.randrange(40)))
            q.send(junk + b"\xff\n" + b'{"execute":"query-status","id":"mark%d"}\n' % n)
            while q.answer().get("id") != f"mark{n}":
                pass
        tap.check(vm.process.poll() is None, "200 lines of garbage")
        # half a request, and the far side goes
        q.send('{"execute":"query-')
        q.close()
        again = Qmp(os.path.join(vm.dir, "qmp"), vm.process)
        tap.equal(again.cmd("qmp_capabilities"), {}, "what was begun dies with its session")
        again.close()


tap.run(negotiation, events, several, descriptors, media, jobs, at_once, migration,
        migration_words, device_events, hostile, alike)
tap.finish()
