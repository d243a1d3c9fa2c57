#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 900
"""Under an instruction clock a guest comes to the same digests however the emulator was built.  The
exactness tests' guests in this build and in others: the interpreter with its loop of handlers and
little optimisation; in the long run all of it by gcc and clang, optimised and not."""
import os
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.environ["SRCDIR"] + "/tests")
from tap import Tap

TAP = Tap()
TMP, SRC, BUILD = os.environ["TMPDIR"], os.environ["SRCDIR"], os.environ["BUILDDIR"]
LONG = os.environ.get("TEST_LONG") == "1"
# Where make runs: a build out of the source tree has a Makefile of its own.
TREE = BUILD if os.path.exists(BUILD + "/config.mk") else SRC
LOOP = "-DSTASIS_DISPATCH_LOOP"
VARIANTS = [("gcc", "-O0"), ("gcc", f"-O2 {LOOP}"), ("gcc", "-O3"), ("clang", "-O0"),
            ("clang", "-O2"), ("clang", f"-O1 {LOOP}")]


def digests(build, program, path):
    """What the guests of a program come to, a line for each part of each state."""
    out = TMP + "/digests"
    if os.path.exists(out):
        os.unlink(out)
    # Points are the quick run's: a build without optimisation has to get there, too.
    env = dict(os.environ, STASIS_DIGESTS=out, STASIS_IMG=os.environ["STASIS_IMG"])
    subprocess.run([f"{build}/tests/live/{program}", "-m", "quick", "-p", path], env=env, check=True,
                   stdout=subprocess.DEVNULL)
    with open(out) as f:
        return f.read().splitlines()


def make(build, program, **variables):
    """Builds a test program into a folder of its own."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    subprocess.run(["make", "-s", "-j2", "-C", TREE, "BUILD=" + build, "WARN=",
                    *(f"{k}={v}" for k, v in variables.items()), f"{build}/tests/live/{program}"],
                   env=env, check=True)


def compare(what, got, want):
    TAP.check(len(got) == len(want), f"{what}: as many states", f"{len(got)} of {len(want)}")
    wrong = [f"{a}\n{b}" for a, b in zip(got, want) if a != b]
    TAP.check(not wrong, f"{what}: the same digests", "\n".join(wrong[:6]))


def config(name):
    with open(TREE + "/config.mk") as f:
        for line in f:
            if line.startswith(name + " :="):
                return line.split(":=", 1)[1].strip()
    return ""


def interpreter():
    """Of this build, with cpu/ built otherwise."""
    build = TMP + "/loop"
    os.mkdir(build)
    for folder in ("obj", "gen"):
        subprocess.run(["cp", "-a", f"{BUILD}/{folder}", build], check=True)
    shutil.rmtree(build + "/obj/cpu")
    make(build, "exact", CFLAGS=f"{config('CFLAGS')} -g0 -O1 {LOOP}")
    path = "/exact/edges/digests"
    compare("a loop of handlers", digests(build, "exact", path), digests(BUILD, "exact", path))


def everything():
    """All of the program, all guests."""
    programs = {"exact": ("/exact/demo/digests", "/exact/edges/digests", "/exact/memtest/digests"),
                "exact_linux": ("/exact/linux/digests",)}
    want = {path: digests(BUILD, p, path) for p, paths in programs.items() for path in paths}
    for cc, flags in VARIANTS:
        if not shutil.which(cc):
            TAP.skip(f"{cc} {flags}", "it is not installed")
            continue
        build = f"{TMP}/{cc}{''.join(shlex.split(flags))}"
        for p, paths in programs.items():
            make(build, p, CC=cc, CFLAGS=flags, LDFLAGS="")
            for path in paths:
                compare(f"{cc} {flags}: {path}", digests(build, p, path), want[path])
        shutil.rmtree(build)


TAP.run(interpreter)
if LONG:
    TAP.run(everything)
TAP.finish()
