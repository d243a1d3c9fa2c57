#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header compiles alone, without warnings."""
import os
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint
from tap import Tap

c = lint.config()
base = shlex.split(c.get("CC", "cc")) + ["-std=gnu11", "-fsyntax-only", "-D_GNU_SOURCE", "-Wall",
    "-Wextra", "-Werror", "-I" + lint.SRC, "-I" + os.path.join(lint.BUILD, "gen"),
    '-DSTASIS_VERSION="x"', '-DFIRMWARE_PATH="x"'] + shlex.split(c.get("LIB_CFLAGS", "")) + \
    shlex.split(c.get("DEFINES", ""))
tap = Tap()
for folder in lint.FOLDERS:
    complaints = []
    for path in lint.files([folder], ".h"):
        # Through an including file: a header that is the main file draws warnings of its own.
        p = subprocess.run(base + ["-x", "c", "-"], input=f'#include "{path}"\n', text=True,
                           capture_output=True, cwd=lint.SRC)
        if p.returncode:
            complaints.append(p.stderr)
    tap.check(not complaints, f"headers of {folder} compile alone", "\n".join(complaints))
tap.finish()
