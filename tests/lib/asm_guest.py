# SPDX-License-Identifier: MIT
"""Guests of our own: assembled with nasm; some print numbered paragraphs through port E9h."""
import os
import re
import subprocess
import time

from guest_vm import TIMES

SRC = os.environ.get("SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def build(source, path, *options, size=0):
    """Assembles tests/SOURCE, includes in tests/lib; the file is made size bytes long."""
    subprocess.run(["nasm", "-i", SRC + "/tests/lib/", "-f", "bin", *options, "-o", path,
                    f"{SRC}/tests/{source}"], check=True)
    if size:
        with open(path, "r+b") as f:
            f.truncate(size)


def paragraphs(lines, pattern):
    """Number: the lines that match behind each "Tnn"."""
    out, current = {}, []
    for line in lines:
        if re.fullmatch(r"T[0-9a-f]{2}", line):
            current = out.setdefault(int(line[1:], 16), [])
        elif re.match(pattern, line):
            current.append(line)
    return out


def output(log, seconds=60):
    """All lines of a debug console's file, once there is one with the final "Z"."""
    end = time.monotonic() + seconds * TIMES
    while time.monotonic() < end:
        if os.path.exists(log):
            with open(log) as f:
                lines = [l.strip() for l in f]
            if "Z" in lines:
                return lines
        time.sleep(0.1)
    raise TimeoutError("the guest does not come to its end")


def compare(tap, name, lines, pattern, titles):
    """Paragraph by paragraph with tests/guest/NAME.expect."""
    with open(f"{SRC}/tests/guest/{name}.expect") as f:
        want = paragraphs((l.strip() for l in f), pattern)
    got = paragraphs(lines, pattern)
    tap.equal(lines.count("T00"), 1, f"{name} runs through without a reset")
    for n, text in enumerate(titles):
        tap.check(n in want and got.get(n) == want[n], f"{name} {n:02x}: {text}",
                  "got:  " + "\n      ".join(got.get(n, [])) + "\nwant: " +
                  "\n      ".join(want.get(n, [])))
