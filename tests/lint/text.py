#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every source names its licence and begins with what it is; nothing is left for later."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint
from tap import Tap

LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

tap = Tap()
for folder in lint.FOLDERS + lint.TEST_FOLDERS + ["demo"]:
    complaints = []
    for path in lint.files([folder], ".c", ".h", ".S", ".py", ".sh"):
        if path == "tests/lint/text.py":
            continue
        lines = lint.read(path).splitlines()
        if not any("SPDX-License-Identifier: MIT" in line for line in lines[:2]):
            complaints.append(f"{path}: no SPDX line in front")
        if path.endswith((".c", ".h")) and not (len(lines) > 1 and lines[1].startswith("/*")):
            complaints.append(f"{path}: no comment that says what it is")
        complaints += [f"{path}:{n}: {line.strip()}" for n, line in enumerate(lines, 1)
                       if LATER.search(line) or line != line.rstrip() or "\t" in line and
                       path.endswith((".c", ".h"))]
    tap.check(not complaints, f"{folder}: licence, first comment, no notes for later",
              "\n".join(complaints))
tap.finish()
