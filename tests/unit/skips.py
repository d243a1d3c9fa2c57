#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 120
"""A test whose guest cannot be fetched is skipped with a word that says why, also where the fetching
does not come to an end; under CI it has failed.  The ways here are an apt-get of our own."""
import os
import shutil
import subprocess
import sys

sys.path[:0] = [os.environ["SRCDIR"] + "/tests"]
from tap import Tap

TAP = Tap()
TMP, SRC = os.environ["TMPDIR"], os.environ["SRCDIR"]
FETCHED = 'touch "$(echo "$*" | sed "s/.*lists=\\([^ ]*\\) .*/\\1/")/x_Packages"\n'


def run(name, apt, test="guest/linux", **env):
    """The runner's output and status with this apt-get; None: without any."""
    path, build = f"{TMP}/{name}/bin", f"{TMP}/{name}/build"
    os.makedirs(path)
    os.makedirs(build)
    for tool in ("sh", "sed", "touch", "sleep", "python3", "env", "apt-cache", "dpkg-deb"):
        if shutil.which(tool):
            os.symlink(shutil.which(tool), f"{path}/{tool}")
    if apt is not None:
        with open(path + "/apt-get", "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n" + apt)
        os.chmod(path + "/apt-get", 0o755)
    r = subprocess.run([sys.executable, SRC + "/tests/run", "--build", build, test],
                       env={**os.environ, "CI": "", "PATH": path, **env}, capture_output=True,
                       text=True, check=False)
    return r.stdout + r.stderr, r.returncode


def skipped(what, said, *args, **kw):
    shown, status = run(*args, **kw)
    TAP.check(status == 0 and "\nskip " in "\n" + shown and f"skipped: linux # SKIP {said}" in shown
              and shown.endswith("0 passed, 0 failed\n"), what, shown)


def words():
    skipped("no network", "Debian's package lists cannot be fetched: E: No way to deb.debian.org",
            "no", "echo 'E: No way to deb.debian.org' >&2; exit 100\n")
    skipped("one that does not answer",
            "Debian's package lists cannot be fetched: apt-get update took longer than 1 s",
            "slow", "sleep 100\n", TEST_FETCH_SECONDS="1")
    skipped("no such package", "package linux-image-686 is not in Debian's lists for i386",
            "none", FETCHED)
    skipped("no apt", "apt-get and dpkg-deb are needed to fetch guests", "without", None)


def ci():
    shown, status = run("ci", "exit 100\n", CI="true")
    TAP.check(status == 1 and "failed: skipped: linux # SKIP Debian's package lists" in shown and
              shown.endswith("0 passed, 1 failed\n"), "under CI it has failed", shown)


TAP.run(words, ci)
TAP.finish()
