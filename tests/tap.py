# SPDX-License-Identifier: MIT
"""TAP for test scripts: check() prints a line, finish() the plan."""
import sys
import traceback


class Skip(Exception):
    """What a group of checks needs and does not find here."""


class Tap:
    def __init__(self):
        self.count = 0
        self.failures = 0

    def check(self, ok, name, detail=""):
        self.count += 1
        self.failures += not ok
        print(f"{'' if ok else 'not '}ok {self.count} - {name}")
        if not ok and detail:
            for line in str(detail).splitlines():
                print("#   " + line)
        sys.stdout.flush()
        return ok

    def equal(self, got, want, name):
        return self.check(got == want, name, f"got:  {got!r}\nwant: {want!r}")

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {' '.join(why.split())}")
        sys.stdout.flush()

    def run(self, *functions):
        """Each function is a group of checks; Skip skips what is left of it, another exception fails
        it, and the next one goes on."""
        for f in functions:
            try:
                f()
            except Skip as e:
                self.skip(f.__name__, str(e))
            except Exception:  # pylint: disable=broad-except
                self.check(False, f.__name__, traceback.format_exc())

    def finish(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failures else 0)
