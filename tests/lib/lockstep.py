#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two emulators in lockstep: executes the same guest in Stasis and in QEMU, both under an instruction
clock, and finds the first instruction before which their registers differ.

    tests/lib/lockstep.py [--limit N] -- OPTIONS...   # options that both understand

A % in the options becomes "ours" or "theirs": each wants a disk of its own.  Best is a snapshot of the
guest shortly before the trouble, in two copies, and -loadvm: both go on from the very same state.

What may differ: flags that an instruction leaves undefined, until somebody defines them; how often a
repeated instruction shows; and, for a stretch, the way through code: an interrupt comes at another
instruction (its handler is run at another time), or a loop polls a device for longer.  Such a stretch
is a detour: it begins at an interrupt or behind an instruction that looks at a clock or a device, and
ends where both are in the same state again and stay so.  After a detour, memory may hold what only
one of them wrote, so that reading it may begin another.  Anything else is a difference.
"""
import argparse
import collections
import itertools
import os
import re
import subprocess
import sys
import tempfile

STASIS = os.environ.get("STASIS") or os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "build", "stasis")
MACHINE = ["-M", "pc-i440fx-7.2,acpi=off,hpet=off,usb=off,vmport=off"]
CPU = ["-cpu", "pentium3,-apic,-hypervisor,-vme"]  # what both can do
ARITHMETIC = 0x8d5
WINDOWS = (500, 5000, 50000, 500000)  # instructions that a detour may last
SETTLED = 24     # equal ones behind a detour that end it
LOOKS = re.compile(r"(rep\w* )?(in|out|ins[bwd]|rdtsc|rdmsr|rdpmc|cpuid|hlt)\b")
READS = re.compile(r"\[|^pop|^ret|^leave|^(rep\w* )?(lods|movs|cmps|scas)")
IF = re.compile(r"(popf|sti|cli|iret|int|sysexit)")
# Flags that stay undefined, by instruction.
UNDEFINED = [(re.compile(p), bits) for p, bits in (
    (r"(i?mul)\b", 0xd4), (r"(i?div)\b", ARITHMETIC), (r"(and|or|xor|test)\b", 0x10),
    (r"(sh[lr]d?|sal|sar|rc[lr]|ro[lr])\b", 0x811), (r"(bt[src]?)\b", 0x894),
    (r"(bs[fr])\b", 0x895), (r"(aa[as])\b", 0x8c4), (r"(aa[md])\b", 0x811), (r"(da[as])\b", 0x800))]

Record = collections.namedtuple("Record", "cs eip regs flags text")


ORDER = (0, 3, 1, 2, 6, 7, 5, 4, *range(8, 16))  # ours to QEMU's, in 64-bit mode


def read_ours(lines):
    """Stasis's -d exec, a record a line."""
    form = re.compile(rb"(\w+):(\w+) EAX=(\w+) EBX=(\w+) ECX=(\w+) EDX=(\w+) ESI=(\w+) EDI=(\w+) "
                      rb"EBP=(\w+) ESP=\w+:(\w+) EFL=(\w+)  (.*)")
    form64 = re.compile(rb"(\w+):(\w+) " + rb" ".join([rb"R\w+=(\w+)"] * 16) + rb" EFL=(\w+)  (.*)")
    for line in lines:
        m = form.match(line)
        if m:
            g = m.groups()
            yield Record(g[0], g[1], g[2:10], int(g[10], 16), g[11].decode())
            continue
        m = form64.match(line)
        if m:
            g = m.groups()
            yield Record(g[0], g[1], tuple(g[2 + i] for i in ORDER), int(g[18], 16),
                         g[19].decode())


def read_theirs(lines):
    """QEMU's -d cpu: four registers a line, then EIP, CS a few lines below."""
    four = re.compile(rb"[ER]\w+ *=(\w+) [ER]\w+ *=(\w+) [ER]\w+ *=(\w+) [ER]\w+ *=(\w+)")
    regs, eip = (), None
    for line in lines:
        if line.startswith((b"EAX=", b"RAX=")):
            regs = four.match(line).groups()
        elif line.startswith((b"ESI=", b"RSI=", b"R8 =", b"R12=")):
            regs += four.match(line).groups()
        elif line.startswith((b"EIP=", b"RIP=")):
            eip, flags = line[4:].split(b" ")[:2]
            flags = int(flags[4:], 16)
        elif line.startswith(b"CS =") and eip is not None:
            yield Record(line[4:8], eip, regs, flags, "")
            eip = None


class Trace:
    """Records of one emulator, with a look ahead.  What turns on the spot shows once: repetitions of
    one instruction, and loops that come back to a state of a few instructions before."""

    def __init__(self, records):
        self.records, self.ahead, self.count = records, collections.deque(), 0
        self.past = collections.deque(maxlen=12)

    def fill(self, n):
        while len(self.ahead) < n:
            r = next(self.records, None)
            if r is None:
                return False
            spot = self.past and self.past[-1][:2] == (r.cs, r.eip) or key(r) in self.past
            self.past.append(key(r))
            if not spot:
                self.ahead.append(r)
        return True

    def drop(self, n):
        self.count += n
        for _ in range(n):
            self.ahead.popleft()


def key(r):
    return (r.cs, r.eip, r.regs)


class Difference(Exception):
    pass


class Lockstep:
    def __init__(self, a, b, limit):
        self.a, self.b, self.limit = Trace(a), Trace(b), limit
        self.loose = 0      # flags that differ because nobody defined them
        self.detours = []   # (at, ours, theirs, behind)
        self.last = ""      # the instruction before
        self.since = 1 << 30  # instructions since one that looks at a device

    def same(self, x, y):
        """Whether two records agree; flags that differ must be undefined."""
        if key(x) != key(y):
            return False
        differ = (x.flags ^ y.flags) & ~0x10000  # RF is shown only by some
        for pattern, bits in UNDEFINED:
            if pattern.match(self.last):
                self.loose |= bits
        self.loose &= differ
        return differ == self.loose

    def meet(self):
        """Where the two come together again: instructions of each to skip, or None."""
        for window in WINDOWS:
            more = self.a.fill(window) | self.b.fill(window)
            found = self.meet_within(window)
            if found or not more:
                return found
        return None

    def meet_within(self, window):
        x = list(itertools.islice(self.a.ahead, window))
        y = list(itertools.islice(self.b.ahead, window))
        at, best = {}, None
        for j, r in enumerate(y):
            at.setdefault(key(r), []).append(j)
        for i, r in enumerate(x):
            if best and i >= sum(best):
                break
            for j in at.get(key(r), ())[:64]:
                if best and i + j >= sum(best):
                    break
                n = min(SETTLED, len(x) - i, len(y) - j)
                if all(key(x[i + k]) == key(y[j + k]) for k in range(n)):
                    best = (i, j)
                    break
        return best

    def excused(self):
        """May a detour begin here?"""
        if LOOKS.match(self.last) or self.since < 64:
            return True
        if self.detours and READS.search(self.last):
            return True  # what was read may have been written on a detour
        # One of them is in an interrupt's handler, where interrupts are off.
        return (self.a.ahead[0].flags ^ self.b.ahead[0].flags) & 0x200 and not IF.match(self.last)

    def run(self):
        """Instructions compared; raises Difference."""
        done = 0
        while done < self.limit and self.a.fill(2) and self.b.fill(2):
            x, y = self.a.ahead[0], self.b.ahead[0]
            if self.same(x, y):
                self.since = 0 if LOOKS.match(x.text) else self.since + 1
                self.last = x.text
                self.a.drop(1)
                self.b.drop(1)
                done += 1
                continue
            way = self.meet() if self.excused() else None
            if not way:
                raise Difference(self.describe(x, y))
            self.detours.append((f"{x.cs.decode()}:{x.eip.decode()}", *way, self.last))
            self.a.drop(way[0])
            self.b.drop(way[1])
            self.loose |= ARITHMETIC
        return done

    def describe(self, x, y):
        names = ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp", *(f"r{i}" for i in range(8, 16)))
        lines = [f"after {self.a.count} instructions, behind \"{self.last}\":"]
        for n, i, j in (("cs", x.cs, y.cs), ("ip", x.eip, y.eip), *zip(names, x.regs, y.regs)):
            mark = "" if i == j else "   <--"
            lines.append(f"  {n:4} ours {i.decode():16} theirs {j.decode():16}{mark}")
        mark = "" if x.flags == y.flags else "   <--"
        lines.append(f"  efl  ours {x.flags:08x} theirs {y.flags:08x}{mark}")
        lines.append("  next here:")
        lines += [f"    {r.cs.decode()}:{r.eip.decode()}  {r.text}"
                  for r in itertools.islice(self.a.ahead, 12)]
        return "\n".join(lines)


def lockstep(options, limit, tmp, cpu=CPU):
    """Runs both and compares; (instructions, detours); raises Difference."""
    common = ["-icount", "shift=0,sleep=off", "-nodefaults", "-display", "none", "-monitor", "none"]
    pipes = [tmp + "/ours", tmp + "/theirs"]
    for p in pipes:
        if os.path.exists(p):
            os.unlink(p)
        os.mkfifo(p)
    commands = [
        [STASIS, *MACHINE, *cpu, *common, "-d", "exec", "-D", pipes[0],
         *(o.replace("%", "ours") for o in options)],
        ["qemu-system-x86_64", "-accel", "tcg", "-singlestep", *MACHINE, *cpu, *common,
         "-d", "exec,cpu,nochain", "-D", pipes[1],
         *(o.replace("%", "theirs") for o in options)]]
    children = [subprocess.Popen(c, stdin=subprocess.DEVNULL) for c in commands]
    try:
        with open(pipes[0], "rb", 1 << 20) as a, open(pipes[1], "rb", 1 << 20) as b:
            both = Lockstep(read_ours(a), read_theirs(b), limit)
            return both.run(), both.detours
    finally:
        for c in children:
            c.kill()
            c.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    p.add_argument("--limit", type=int, default=1 << 62, help="instructions to compare")
    p.add_argument("--cpu", default=CPU[1], help="model and features")
    p.add_argument("options", nargs=argparse.REMAINDER, help="of both emulators, behind --")
    args = p.parse_args()
    options = [o for o in args.options if o != "--"]
    with tempfile.TemporaryDirectory() as tmp:
        try:
            done, detours = lockstep(options, args.limit, tmp, ["-cpu", args.cpu])
        except Difference as d:
            sys.exit(f"they differ {d}")
    where = collections.Counter((at, behind) for at, _, _, behind in detours)
    for (at, behind), n in where.most_common():
        print(f"{n} detours at {at} behind \"{behind}\"")
    print(f"{done} instructions alike, {len(detours)} detours")


if __name__ == "__main__":
    main()
