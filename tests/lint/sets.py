#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every link-time set that is declared has members in a program."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint
from tap import Tap

tap = Tap()
sizes = {}
for program in ("stasis-img", "stasis"):
    text = subprocess.run(["objdump", "-h", os.path.join(lint.BUILD, program)],
                          capture_output=True, text=True, check=True).stdout
    sizes.update((m.group(1), int(m.group(2), 16))
                 for m in re.finditer(r"^\s*\d+ set_(\w+)\s+([0-9a-f]+)", text, re.M))
declared = set()
for path in lint.files(lint.FOLDERS, ".h", ".c"):
    if path != "util/registry.h":
        declared |= set(re.findall(r"^SET_DECLARE\((\w+)\)", lint.read(path), re.M))
tap.check(len(declared) >= 5, "sets are declared", declared)
for name in sorted(declared):
    tap.check(sizes.get(name, 0) >= 8, f"set {name} has members")
tap.finish()
