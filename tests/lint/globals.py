#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No writable data with static lifetime: everything hangs off the Machine."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint
from tap import Tap

# (object, symbol): why it may be there.
ALLOWED = {}


def writable(obj):
    """Names of symbols in writable sections; tables of addresses (.data.rel.ro) are read-only."""
    text = subprocess.run(["objdump", "-t", obj], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        m = re.match(r"[0-9a-f]+ (.{7}) (\S+)\s+([0-9a-f]+)\s+(?:\.hidden )?(\S+)$", line)
        if not m or "d" in m.group(1) or int(m.group(3), 16) == 0:
            continue
        section = m.group(2)
        if section == "*COM*" or re.match(r"\.(data|bss|tdata|tbss)(\.|$)", section):
            if not section.startswith(".data.rel.ro"):
                yield m.group(4)


tap = Tap()
if lint.config().get("SANITIZE"):
    tap.skip("writable globals", "a build with sanitizers adds its own")
    tap.finish()
for folder in lint.FOLDERS:
    complaints = []
    for base, _, names in os.walk(os.path.join(lint.BUILD, "obj", folder)):
        for name in sorted(n for n in names if n.endswith(".o")):
            obj = os.path.join(base, name)
            short = os.path.relpath(obj, os.path.join(lint.BUILD, "obj"))[:-2]
            if not os.path.exists(os.path.join(lint.SRC, short + ".c")):
                continue  # left over from a source that is gone
            complaints += [f"{short}.c: {symbol}" for symbol in writable(obj)
                           if (short, symbol) not in ALLOWED]
    tap.check(not complaints, f"{folder} has no writable globals", "\n".join(complaints))
# The lint itself.
with open(os.path.join(os.environ.get("TMPDIR", "/tmp"), "g.c"), "w") as f:
    f.write("static int a; int b = 1; const int c = 2; const char *const d[] = { \"x\" };\n"
            "int get(void) { static int e; return a++ + b + c + e++ + *d[0]; }\n")
subprocess.run(["cc", "-c", "-o", f.name + ".o", f.name], check=True)
found = sorted(re.sub(r"\.\d+$", "", s) for s in writable(f.name + ".o"))
tap.equal(found, ["a", "b", "e"], "the lint finds globals and statics, and no constants")
tap.finish()
