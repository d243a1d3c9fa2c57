#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Nothing for gcc or clang to warn of, in product and tests."""
import os
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint
from tap import Tap

WARN = ["-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes",
        "-Wpointer-arith", "-Wwrite-strings", "-Wvla", "-Werror"]
# Tables in which a later entry is meant to take an earlier one's place.
OVERRIDES = {"gcc": "-Wno-override-init", "clang": "-Wno-initializer-overrides"}

c = lint.config()
base = ["-std=gnu11", "-fsyntax-only", "-D_GNU_SOURCE", "-I" + lint.SRC,
        "-I" + os.path.join(lint.BUILD, "gen"), '-DSTASIS_VERSION="x"', '-DFIRMWARE_PATH="x"'] + \
    shlex.split(c.get("LIB_CFLAGS", "")) + shlex.split(c.get("DEFINES", ""))
tap = Tap()
for compiler in ("gcc", "clang"):
    if not shutil.which(compiler):
        tap.skip(compiler, "it is not installed")
        continue
    for folder in lint.FOLDERS + lint.TEST_FOLDERS:
        paths = lint.files([folder], ".c")
        if "HAVE_SDL" not in c.get("DEFINES", ""):
            paths = [p for p in paths if not p.startswith("ui/sdl")]
        complaints = ""
        for i in range(0, len(paths), 8):
            p = subprocess.run([compiler] + base + WARN + [OVERRIDES[compiler]] + paths[i:i + 8],
                               capture_output=True, text=True, cwd=lint.SRC)
            complaints += p.stderr if p.returncode else ""
        tap.check(not complaints, f"{compiler} is content with {folder}", complaints[:4000])
tap.finish()
