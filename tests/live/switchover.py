#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""Around the switchover, over QMP: pause-before-switchover and migrate-continue; who has the disk
before, in between and afterwards, with and without late-block-activate; a source that is continued
after its guest has left takes its disk back, or is refused; validate-uuid; the refusals of
post-copy's commands; snapshots and migrations exclude one another."""
import json
import os
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
from qmp import QmpVm
from tap import Tap

TAP = Tap()
TMP, IMG, STASIS = os.environ["TMPDIR"], os.environ["STASIS_IMG"], os.environ["STASIS"]
DISK = TMP + "/disk.qcow2"


def vm(*more):
    return QmpVm("-M", "pc", "-m", "1", "-drive", f"file={DISK},format=qcow2,if=ide,id=d", *more)


def incoming(name, *more):
    path = f"{TMP}/{name}"
    if os.path.exists(path):
        os.unlink(path)
    return vm("-incoming", "defer", *more), f"unix:{path}"


def set_capabilities(qmp, *names):
    qmp.cmd("migrate-set-capabilities",
            capabilities=[{"capability": n, "state": True} for n in names])


def status(v):
    return v.qmp.cmd("query-migrate").get("status")


def wait(v, want):
    end = time.monotonic() + 30
    while status(v) != want and time.monotonic() < end:
        time.sleep(0.02)
    return status(v)


def locked():
    """Whether a third process may not have the disk."""
    r = subprocess.run([STASIS, "-M", "pc", "-m", "1", "-display", "none", "-S", "-drive",
                        f"file={DISK},format=qcow2", "-monitor", "stdio"], input="quit\n",
                       capture_output=True, text=True, timeout=60)
    return r.returncode == 1 and "lock" in r.stderr


def move(src, dst, uri):
    dst.qmp.cmd("migrate-incoming", uri=uri)
    src.qmp.cmd("migrate", uri=uri)


def paused_switchover():
    src = vm()
    dst, uri = incoming("a")
    set_capabilities(src.qmp, "pause-before-switchover", "events")
    TAP.equal(src.qmp.error("migrate-continue", state="pre-switchover"),
              ("GenericError", "Migration not in expected state: none"), "nothing to continue yet")
    move(src, dst, uri)
    TAP.equal(wait(src, "pre-switchover"), "pre-switchover", "stops before the switchover")
    TAP.check(locked(), "the disk is still the source's")
    TAP.equal(src.qmp.cmd("query-status")["status"], "finish-migrate", "and the guest stands")
    for line in "savevm x", "loadvm x":
        TAP.equal(src.qmp.hmp(line), "Error: There's a migration process in progress\n",
                  f"{line} is refused meanwhile")
    src.qmp.cmd("migrate-continue", state="pre-switchover")
    src.qmp.event("MIGRATION", status="device")
    src.qmp.event("MIGRATION", status="completed")
    TAP.equal(wait(dst, "completed"), "completed", "goes on when told")
    TAP.check(locked(), "the disk is the destination's")
    TAP.check("lock" in str(src.qmp.error("cont")), "the source cannot be continued meanwhile")
    dst.__exit__()
    TAP.equal(src.qmp.cmd("cont"), {}, "with the destination gone it can")
    TAP.check(locked(), "and has its disk again")
    TAP.equal(src.qmp.hmp("savevm back"), "", "to write to")
    src.__exit__()


def cancelled():
    src = vm()
    dst, uri = incoming("c")
    set_capabilities(src.qmp, "pause-before-switchover")
    move(src, dst, uri)
    wait(src, "pre-switchover")
    src.qmp.cmd("migrate_cancel")
    TAP.equal(wait(src, "cancelled"), "cancelled", "a paused switchover can be cancelled")
    TAP.equal(src.qmp.cmd("query-status")["status"], "running", "and the guest runs on")
    src.__exit__()
    dst.__exit__()


def snapshot_first():
    """Both are asked for in one go: the snapshot is not ready yet."""
    src = vm()
    asked = (("snapshot-save", {"job-id": "j", "tag": "first", "vmstate": "d", "devices": ["d"]}),
             ("migrate", {"uri": f"unix:{TMP}/nobody"}))
    src.qmp.send("".join(json.dumps({"execute": c, "arguments": a}) + "\n" for c, a in asked))
    TAP.equal(src.qmp.answer(), {"return": {}}, "a snapshot begins")
    TAP.equal(src.qmp.answer().get("error", {}).get("desc"), "A snapshot is being saved or loaded",
              "and no migration until it is over")
    src.qmp.event("JOB_STATUS_CHANGE", status="concluded", id="j")
    TAP.equal(src.qmp.cmd("query-status")["status"], "running", "then the guest runs on")
    TAP.check("first" in src.qmp.hmp("info snapshots"), "with its snapshot")
    src.__exit__()
def one_way():
    """A file cannot ask for pages: the guest is not given away to it before it is whole."""
    src = vm("-m", "32")
    set_capabilities(src.qmp, "postcopy-ram")
    src.qmp.cmd("migrate-set-parameters", max_bandwidth=20000)
    src.qmp.cmd("migrate", uri=f"exec:cat > {TMP}/whole")
    wait(src, "active")
    TAP.equal(src.qmp.error("migrate-start-postcopy")[1],
              "Postcopy needs a channel that is answered, such as tcp: or unix:",
              "no post-copy into a file")
    src.qmp.cmd("migrate-set-parameters", max_bandwidth=1 << 30)
    TAP.equal(wait(src, "completed"), "completed", "it goes there whole")
    src.__exit__()
    dst = vm("-m", "32", "-incoming", f"exec:cat {TMP}/whole")
    TAP.equal(wait(dst, "completed"), "completed", "and comes from there")
    dst.__exit__()


def late():
    for on in (False, True):
        src = vm("-S")
        dst, uri = incoming("l")
        if on:
            set_capabilities(dst.qmp, "late-block-activate")
        move(src, dst, uri)
        TAP.equal((wait(src, "completed"), wait(dst, "completed")), ("completed",) * 2, "moved")
        TAP.equal(locked(), not on, f"late-block-activate {on}: whether the disk is taken at once")
        TAP.equal(dst.qmp.cmd("cont"), {}, "continues")
        TAP.check(locked(), "and then it is")
        src.__exit__()
        dst.__exit__()


def uuids():
    ids = ["-uuid", "11111111-2222-3333-4444-555555555555"]
    src = vm(*ids)
    set_capabilities(src.qmp, "validate-uuid")
    dst, uri = incoming("u", "-uuid", "11111111-2222-3333-4444-555555555556")
    move(src, dst, uri)
    TAP.equal(wait(dst, "failed"), "failed", "another uuid is refused")
    TAP.check("UUID received is" in dst.output(), "and said why", dst.output())
    TAP.equal(wait(src, "failed"), "failed", "the source knows")
    TAP.equal(src.qmp.cmd("query-status")["status"], "running", "and keeps its guest")
    dst.__exit__()
    dst, uri = incoming("u", *ids)
    move(src, dst, uri)
    TAP.equal(wait(dst, "completed"), "completed", "the same one is not")
    src.__exit__()
    dst.__exit__()


def refusals():
    v = vm()
    qmp = v.qmp
    text = str(qmp.error("migrate-set-capabilities",
                         capabilities=[{"capability": "multifd", "state": True}]))
    TAP.check("not available" in text, "what there is not cannot be set", text)
    set_capabilities(qmp, "postcopy-ram")
    TAP.equal(qmp.error("migrate-pause")[1],
              "migrate-pause is currently only supported during postcopy-active state", "pause")
    TAP.equal(qmp.error("migrate-recover", uri="unix:/x")[1],
              "Migrate recover can only be run when postcopy is paused.", "recover")
    TAP.equal(qmp.error("migrate", uri="unix:/x", resume=True)[1],
              "Cannot resume if there is no paused migration", "resume")
    TAP.equal(qmp.error("migrate-start-postcopy")[1],
              "Postcopy must be started after migration has been started", "start-postcopy")
    v.__exit__()


subprocess.run([IMG, "create", "-q", "-f", "qcow2", DISK, "1M"], check=True)
TAP.run(paused_switchover, cancelled, one_way, snapshot_first, late, uuids, refusals)
TAP.finish()
