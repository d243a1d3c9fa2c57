#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sources are as clang-format prints them."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint
from tap import Tap

tap = Tap()
if not shutil.which("clang-format"):
    tap.skip("clang-format", "it is not installed")
    tap.finish()
for folder in lint.FOLDERS + lint.TEST_FOLDERS:
    complaints = []
    for path in lint.files([folder], ".c", ".h"):
        p = subprocess.run(["clang-format", "--dry-run", "-Werror", path], cwd=lint.SRC,
                           capture_output=True, text=True)
        if p.returncode:
            complaints.append(f"clang-format -i {path}")
    tap.check(not complaints, f"{folder} is as clang-format prints it", "\n".join(complaints))
tap.finish()
