#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who includes whom: the layers, and one public header per folder."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint
from tap import Tap

LEAVES = ["cpu", "block", "net", "ui"]
SEES = {
    "util": [], "core": ["util"],
    "cpu": ["util", "core"], "net": ["util", "core"], "ui": ["util", "core"], "block": ["util"],
    "hw": ["util", "core", "block", "net", "ui"],
    "migration": ["util", "core"] + LEAVES,
    "monitor": ["util", "core"] + LEAVES,
    "system": ["util", "core", "hw", "migration", "monitor"] + LEAVES,
    "tools": ["util", "block"],
}
OPEN = ["util", "core"]  # public file by file


def wrong(path, included):
    """Why a file may not include a header, or None."""
    mine, theirs = path.split("/")[0], included.split("/")[0]
    if theirs == mine or "/" not in included:
        return None
    if theirs not in SEES[mine]:
        return f"{mine} does not see {theirs}"
    if included.endswith("_internal.h"):
        return f"{included} is {theirs}'s own"
    if theirs not in OPEN and included != f"{theirs}/{theirs}.h":
        return f"the public header of {theirs} is {theirs}/{theirs}.h"
    return None


tap = Tap()
for folder in lint.FOLDERS:
    complaints = []
    for path in lint.files([folder], ".c", ".h"):
        for n, line in enumerate(lint.read(path).splitlines(), 1):
            m = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            why = m and wrong(path, m.group(1))
            if why:
                complaints.append(f"{path}:{n}: includes {m.group(1)}: {why}")
    tap.check(not complaints, f"{folder} keeps to its layer", "\n".join(complaints))
# The lint itself: these must be refused.
tap.check(wrong("hw/pic.c", "cpu/cpu.h") and wrong("cpu/a.c", "net/net.h") and
          wrong("migration/a.c", "monitor/monitor.h") and wrong("monitor/a.c", "block/qcow2.h") and
          not wrong("hw/ide.c", "block/block.h"), "the rules refuse what they should")
tap.finish()
