#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stasis-img beside qemu-img: the same commands, the same texts, each reading the other's images."""
import json
import os
import random
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ.get("SRCDIR", "."), "tests"))
from tap import Tap  # noqa: E402

tap = Tap()
OURS = os.environ.get("STASIS_IMG", "build/stasis-img")
TMP = os.environ.get("TMPDIR", "/tmp")


def path(name):
    return os.path.join(TMP, "img-" + name)


def run(*args):
    """(status, stdout, stderr) of a program; None as the first argument stands for stasis-img."""
    args = [OURS if args[0] is None else args[0]] + [str(a) for a in args[1:]]
    p = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, universal_newlines=True, timeout=120)
    return p.returncode, p.stdout, p.stderr


def must(*args):
    status, out, err = run(*args)
    if status:
        raise RuntimeError(f"{args}: status {status}\n{out}{err}")
    return out


def fresh(name):
    p = path(name)
    if os.path.exists(p):
        os.unlink(p)
    return p


def fill(image, seed=1, size=3 << 20):
    """Writes a few ranges with qemu-io."""
    r = random.Random(seed)
    for _ in range(8):
        off, n = r.randrange(0, size - 300000), r.randrange(1, 300000)
        must("qemu-io", "-c", f"write -P {r.randrange(1, 255)} {off & ~511} {(n | 511) + 1}", image)


def both(*args):
    """Both programs' answers to the same command."""
    return run(None, *args), run("qemu-img", *args)


def test_texts():
    a = fresh("a.qcow2")
    ours = must(None, "create", "-f", "qcow2", a, "64M")
    theirs = must("qemu-img", "create", "-f", "qcow2", a, "64M")
    tap.equal(ours, theirs, "create says the same")
    b = fresh("b.qcow2")
    ours = must(None, "create", "-f", "qcow2", "-b", a, "-F", "qcow2", b)
    theirs = must("qemu-img", "create", "-f", "qcow2", "-b", a, "-F", "qcow2", b)
    tap.equal(ours, theirs, "create with a backing file says the same")
    c = fresh("c.qcow2")
    opts = "compat=0.10,cluster_size=4k"
    ours = must(None, "create", "-f", "qcow2", "-o", opts, c, "1G")
    theirs = must("qemu-img", "create", "-f", "qcow2", "-o", opts, c, "1G")
    tap.equal(ours, theirs, "create with options says the same")
    fill(a)
    fill(b, 2)
    must("qemu-img", "snapshot", "-c", "first", b)
    must(None, "snapshot", "-c", "second", b)
    for image in a, b, c:
        ours, theirs = both("info", image)
        tap.equal(ours[1], theirs[1], f"info {image}")
        ours, theirs = both("check", image)
        tap.equal(ours, theirs, f"check {image}")
        ours, theirs = both("map", image)
        tap.equal(ours, theirs, f"map {image}")
        ours, theirs = both("map", "--output=json", image)
        tap.equal(ours, theirs, f"map --output=json {image}")
        ours, theirs = both("snapshot", "-l", image)
        tap.equal(ours, theirs, f"snapshot -l {image}")
        ours, theirs = both("info", "--output=json", image)
        tap.equal(json.loads(ours[1]), json.loads(theirs[1]), f"info --output=json {image}")
        ours, theirs = both("check", "--output=json", image)
        tap.equal(json.loads(ours[1]), json.loads(theirs[1]), f"check --output=json {image}")
    ours, theirs = both("info", "--backing-chain", b)
    tap.equal(ours[1], theirs[1], "info --backing-chain")
    ours, theirs = both("compare", a, b)
    tap.equal(ours, theirs, "compare")
    ours, theirs = both("compare", "-s", a, c)
    tap.equal(ours, theirs, "compare -s")
    ours, theirs = both("resize", a, "+1M")
    tap.equal(ours[:2], theirs[:2], "resize")


def test_refusals():
    a, missing = fresh("r.qcow2"), path("missing")
    must(None, "create", "-q", "-f", "qcow2", a, "1M")
    cases = [
        (["info", missing], 1, f"Could not open '{missing}': No such file or directory"),
        (["check", missing], 1, "No such file"),
        (["compare", a, missing], 2, "No such file"),
        (["snapshot", "-d", "nosuch", a], 1,
         "Could not delete snapshot 'nosuch': snapshot not found"),
        (["snapshot", "-a", "nosuch", a], 1, "Could not apply snapshot 'nosuch'"),
        (["resize", a, "1k"], 1, "Use the --shrink option"),
        (["create", "-f", "qcow2", path("x")], 1, "needs a size"),
        (["create", "-f", "nosuch", path("x"), "1M"], 1, "Unknown file format 'nosuch'"),
        (["create", "-f", "qcow2", "-o", "cluster_size=3k", path("x"), "1M"], 1, "power of two"),
        (["create", "-f", "qcow2", "-o", "colour=red", path("x"), "1M"], 1,
         "Invalid parameter 'colour'"),
        (["create", "-f", "qcow2", "-b", a, path("x")], 1,
         "Backing file specified without backing format"),
        (["create", "-f", "qcow2", "-b", missing, "-F", "raw", path("x")], 1, "No such file"),
        (["convert", "-f", "qcow2", missing, path("x")], 1, "No such file"),
        (["commit", a], 1, "does not have a backing file"),
        (["nosuch"], 1, "Command not found: nosuch"),
        (["info", "--nosuch", a], 1, "unknown option '--nosuch'"),
        (["info"], 1, "Not enough arguments"),
        (["info", "nosuch:x"], 1, "Unknown protocol 'nosuch'"),
    ]
    for args, status, text in cases:
        got = run(None, *args)
        tap.check(got[0] == status and text in got[2] and got[2].startswith("stasis-img: "),
                  "refused: " + " ".join(args).replace(TMP, ""), got)
    narrow = fresh("narrow.qcow2")
    must(None, "create", "-q", "-f", "qcow2", "-o", "refcount_bits=1", narrow, "1M")
    fill(narrow, 11, 1 << 20)
    got = run(None, "snapshot", "-c", "x", narrow)
    tap.check(got[0] == 1 and "Could not create snapshot 'x'" in got[2],
              "no snapshot where counts end at 1", got)
    tap.equal(run("qemu-img", "check", "-q", narrow)[0], 0, "and nothing leaked")
    raw = fresh("r.raw")
    must(None, "create", "-q", "-f", "raw", raw, "1M")
    tap.equal(run(None, "check", raw)[0], 63, "check of a raw image")


def test_help():
    listing = must(None, "--help")
    for command in ("check", "commit", "compare", "convert", "create", "info", "map", "resize",
                    "snapshot"):
        tap.check("\n  " + command + " " in listing, f"--help lists {command}")
        text = must(None, command, "--help")
        tap.check(text.startswith(f"Usage: stasis-img {command} "), f"{command} --help")
    tap.check("cluster_size=<size>" in must(None, "create", "-f", "qcow2", "-o", "help", "x"),
              "create -o help")


def test_convert():
    src = fresh("src.qcow2")
    must("qemu-img", "create", "-q", "-f", "qcow2", src, "5M")
    fill(src, 3)
    must("qemu-img", "snapshot", "-c", "s", src)
    old = fresh("old.raw")
    must("qemu-img", "convert", "-O", "raw", src, old)
    fill(src, 4)
    for opts in (["-O", "raw"], ["-O", "qcow2"], ["-c", "-O", "qcow2"],
                 ["-c", "-O", "qcow2", "-o", "compression_type=zstd"],
                 ["-O", "qcow2", "-o", "compat=0.10,cluster_size=512"],
                 ["-O", "qcow2", "-o", "extended_l2=on"],
                 ["-O", "qcow2", "-o", "refcount_bits=1,cluster_size=2M"],
                 ["-O", "qcow2", "-o", "preallocation=metadata"],
                 ["-O", "qcow2", "-o", "preallocation=falloc"],
                 ["-c", "-O", "qcow2", "-o", "cluster_size=512"],
                 ["-c", "-O", "qcow2", "-o", "cluster_size=2M"]):
        out = fresh("out")
        must(None, "convert", *opts, src, out)
        name = " ".join(opts)
        tap.equal(run("qemu-img", "compare", src, out)[0], 0, f"convert {name}: same content")
        if "qcow2" in opts:
            tap.equal(run("qemu-img", "check", "-q", out)[0], 0, f"convert {name}: clean")
        tap.equal(run(None, "compare", out, src)[0], 0, f"convert {name}: we read it back")
    out = fresh("out")
    must(None, "convert", "-O", "qcow2", "-l", "s", src, out)
    tap.equal(run("qemu-img", "compare", out, old)[0], 0, "convert of a snapshot")
    out = fresh("over.qcow2")
    must(None, "convert", "-O", "qcow2", "-B", old, "-F", "raw", src, out)
    tap.equal(run("qemu-img", "compare", out, src)[0], 0, "convert with a backing file")
    for opts in (["-c"], ["-c", "-o", "compression_type=zstd"], ["-c", "-o", "cluster_size=4k"]):
        out = fresh("theirs.qcow2")
        must("qemu-img", "convert", "-O", "qcow2", *opts, src, out)
        tap.equal(run(None, "compare", out, src)[0], 0, f"we read theirs: {' '.join(opts)}")
        ours, theirs = both("check", out)
        tap.equal(ours, theirs, f"we check theirs: {' '.join(opts)}")


def test_commit():
    base, top = fresh("base.qcow2"), fresh("top.qcow2")
    must(None, "create", "-q", "-f", "qcow2", base, "3M")
    fill(base, 5)
    must(None, "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", top, "4M")
    fill(top, 6)
    must("qemu-io", "-c", "write -z 1M 200k", top)
    whole = fresh("whole.raw")
    must("qemu-img", "convert", "-O", "raw", top, whole)
    tap.equal(must(None, "commit", top), "Image committed.\n", "commit")
    for image in base, top:
        tap.equal(run("qemu-img", "compare", image, whole)[0], 0, f"{image} after commit")
        tap.equal(run("qemu-img", "check", "-q", image)[0], 0, f"{image} is clean")
    tap.check('"depth": 0, "present": true' not in must("qemu-img", "map", "--output=json", top),
              "the overlay is empty")


def test_repair():
    a = fresh("leak.qcow2")
    must(None, "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", a, "4M")
    fill(a, 7)
    whole = fresh("whole.raw")
    must("qemu-img", "convert", "-O", "raw", a, whole)
    good = fresh("good.qcow2")
    shutil.copy(a, good)
    with open(a, "r+b") as f:  # the reference table, its first block, some counts
        f.seek(48)
        f.seek(int.from_bytes(f.read(8), "big"))
        block = int.from_bytes(f.read(8), "big")
        f.seek(block + 2 * 1500)
        f.write(b"\0\1" * 20)
        f.truncate(7 << 20)
    ours, theirs = both("check", a)
    tap.equal(ours[:2], theirs[:2], "leaks are found")
    tap.equal(ours[0], 3, "status 3 for leaks")
    tap.equal(run(None, "check", "-r", "leaks", a)[0], 0, "leaks are repaired")
    tap.equal(run("qemu-img", "check", "-q", a)[0], 0, "repaired indeed")
    with open(a, "r+b") as f:
        f.seek(48)
        f.seek(int.from_bytes(f.read(8), "big"))
        block = int.from_bytes(f.read(8), "big")
        f.seek(block + 2 * 3)
        f.write(b"\0\0\0\0\0\5\0\2")
    ours, theirs = both("check", a)
    tap.equal((ours[0], ours[1]), (theirs[0], theirs[1]), "errors are found")
    tap.equal(ours[0], 2, "status 2 for errors")
    tap.equal(run(None, "check", "-r", "leaks", a)[0], 2, "-r leaks does not hide errors")
    tap.equal(run(None, "check", "-r", "all", a)[0], 0, "errors are repaired")
    tap.equal(run("qemu-img", "check", "-q", a)[0], 0, "repaired indeed")
    tap.equal(run("qemu-img", "compare", a, whole)[0], 0, "nothing is lost")
    with open(good, "r+b") as f:  # no reference counts at all
        f.seek(48)
        f.seek(int.from_bytes(f.read(8), "big"))
        f.write(b"\0" * 4096)
    tap.equal(run(None, "check", "-r", "all", good)[0], 0, "all counts are made anew")
    tap.equal(run("qemu-img", "check", "-q", good)[0], 0, "made right")
    tap.equal(run("qemu-img", "compare", good, whole)[0], 0, "nothing is lost")


def test_sizes():
    a = fresh("size.qcow2")
    must(None, "create", "-q", "-f", "qcow2", a, "1M")
    fill(a, 8, 1 << 20)
    whole = fresh("whole.raw")
    for size in ("+3M", "100M", "20G", "3T"):
        must(None, "resize", a, size)
        tap.equal(run("qemu-img", "check", "-q", a)[0], 0, f"resize {size}: clean")
    must(None, "resize", "--shrink", a, "700k")
    must("qemu-img", "convert", "-O", "raw", a, whole)
    must(None, "resize", a, "900k")
    tap.equal(run("qemu-img", "check", "-q", a)[0], 0, "shrunk and grown: clean")
    must("qemu-img", "resize", "-q", "-f", "raw", whole, "900k")
    tap.equal(run("qemu-img", "compare", a, whole)[0], 0, "what was cut off reads as zeroes")


def emulate(image, *commands, options=()):
    """Runs the other emulator's monitor on an image; what it printed."""
    text = "".join(c + "\n" for c in commands) + "quit\n"
    p = subprocess.run(["qemu-system-i386", "-accel", "tcg", "-M", "isapc", "-m", "4", "-cpu", "486",
                        "-nodefaults", "-display", "none", "-S", "-monitor", "stdio",
                        "-drive", f"file={image},format=qcow2,if=none,id=d", *options],
                       input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       universal_newlines=True, timeout=120)
    return p.returncode, p.stdout


def test_vm_state():
    """Snapshots with VM state that another emulator took, under our hands."""
    if shutil.which("qemu-system-i386") is None:
        tap.skip("snapshots of another emulator", "qemu-system-i386 is not installed")
        return
    for opts in ("cluster_size=64k", "compat=0.10,cluster_size=4k", "extended_l2=on"):
        a = fresh("vm.qcow2")
        must(None, "create", "-q", "-f", "qcow2", "-o", opts, a, "5M")
        fill(a, 9)
        tap.equal(emulate(a, "savevm one", "savevm two")[0], 0, f"{opts}: they save on ours")
        whole = fresh("whole.raw")
        must("qemu-img", "convert", "-O", "raw", a, whole)
        fill(a, 10)
        ours, theirs = both("check", a)
        tap.equal(ours, theirs, f"{opts}: check")
        must(None, "snapshot", "-a", "one", a)
        tap.equal(run("qemu-img", "check", "-q", a)[0], 0, f"{opts}: applied, clean")
        tap.equal(run("qemu-img", "compare", a, whole)[0], 0, f"{opts}: the disk is back")
        must(None, "snapshot", "-c", "three", a)
        must(None, "snapshot", "-d", "one", a)
        tap.equal(run("qemu-img", "check", "-q", a)[0], 0, f"{opts}: deleted, clean")
        status, out = emulate(a, "info snapshots", "loadvm two", "info status", "savevm four")
        tap.check(status == 0 and "Error" not in out and "paused" in out,
                  f"{opts}: they load what is left", out)
        tap.equal(run("qemu-img", "check", "-q", a)[0], 0, f"{opts}: clean after all")
        tap.equal(run(None, "snapshot", "-l", a)[1], run("qemu-img", "snapshot", "-l", a)[1],
                  f"{opts}: the list")


if shutil.which("qemu-img") is None:
    tap.skip("stasis-img beside qemu-img", "qemu-img is not installed")
else:
    tap.run(test_texts, test_refusals, test_help, test_convert, test_commit, test_repair,
            test_sizes, test_vm_state)
tap.finish()
