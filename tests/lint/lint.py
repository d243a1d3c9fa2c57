# SPDX-License-Identifier: MIT
"""What the lints share: the product's files, the build's settings."""
import os
import re
import sys

SRC = os.environ.get("SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get("BUILDDIR") or os.path.join(SRC, "build")
sys.path.insert(0, os.path.join(SRC, "tests"))

FOLDERS = ["util", "core", "cpu", "hw", "block", "net", "ui", "migration", "monitor", "system",
           "tools"]
TEST_FOLDERS = ["tests"]


def files(folders, *endings):
    """Paths below SRC, sorted."""
    found = []
    for folder in folders:
        for base, _, names in os.walk(os.path.join(SRC, folder)):
            found += [os.path.relpath(os.path.join(base, n), SRC) for n in names
                      if n.endswith(endings)]
    return sorted(found)


def read(path):
    with open(os.path.join(SRC, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def config():
    """The variables of config.mk."""
    for where in (SRC, BUILD, os.getcwd()):
        path = os.path.join(where, "config.mk")
        if os.path.exists(path):
            with open(path) as f:
                return dict(re.findall(r"^(\w+) := ?(.*)$", f.read(), re.M))
    return {}
