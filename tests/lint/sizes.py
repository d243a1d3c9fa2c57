#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files of at most 1000 lines, functions of at most 60, lines of at most 100."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint
from tap import Tap

FILE, FUNCTION, LINE = 1000, 60, 100
# "file:function": why it may be longer.
LONG = {}


def functions(text):
    """Name and length of each function: its body's braces stand in the first column."""
    start, head = None, ""
    for n, line in enumerate(text.splitlines(), 1):
        if line == "{":
            start = n
        elif line == "}" and start:
            yield head, n - start - 1
            start = None
        elif start is None and re.match(r"[A-Za-z_]", line):
            m = re.search(r"(\w+)\(", line)
            if m:
                head = m.group(1)


tap = Tap()
for folder in lint.FOLDERS + lint.TEST_FOLDERS:
    complaints = []
    for path in lint.files([folder], ".c", ".h"):
        text = lint.read(path)
        lines = text.count("\n")
        if lines > FILE:
            complaints.append(f"{path}: {lines} lines")
        complaints += [f"{path}: {name} has {n} lines" for name, n in functions(text)
                       if n > FUNCTION and f"{path}:{name}" not in LONG]
        complaints += [f"{path}:{n}: {len(line)} columns"
                       for n, line in enumerate(text.splitlines(), 1) if len(line) > LINE]
    tap.check(not complaints, f"{folder}: files, functions and lines are short enough",
              "\n".join(complaints))
tap.equal(list(functions("int f(void)\n{\n" + "    x();\n" * 61 + "}\n")), [("f", 61)],
          "the lint counts lines of a function")
tap.finish()
