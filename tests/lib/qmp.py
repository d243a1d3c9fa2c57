# SPDX-License-Identifier: MIT
"""A QMP client on a Unix socket, and a process that has one.  Works with any emulator that has
QEMU's options, so the same script can ask an oracle."""
import array
import json
import os
import socket
import subprocess
import tempfile
import time

TIMES = int(os.environ.get("TEST_TIMES", "1"))  # a build with sanitizers takes longer
STASIS = os.environ.get("STASIS", "build/stasis")


class Qmp:
    def __init__(self, path, process, timeout=20):
        end = time.monotonic() + timeout * TIMES
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(path)
                break
            except OSError:
                self.sock.close()
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.02)
        self.sock.settimeout(timeout * TIMES)
        self.data = b""
        self.events = []  # those that came and that nobody waited for yet
        self.greeting = self.message()

    def message(self):
        """The next thing that comes, whatever it is."""
        while b"\n" not in self.data:
            chunk = self.sock.recv(65536)
            if not chunk:
                raise EOFError("QMP: closed; last: " + repr(self.data))
            self.data += chunk
        line, self.data = self.data.split(b"\n", 1)
        return json.loads(line)

    def send(self, text, *fds):
        data = text if isinstance(text, bytes) else text.encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([data], rights)
        self.sock.sendall(data[sent:])

    def answer(self):
        """The next answer; events on the way are kept."""
        while True:
            got = self.message()
            if "event" not in got:
                return got
            self.events.append(got)

    def raw(self, text, *fds):
        self.send(text, *fds)
        return self.answer()

    def request(self, name, fds=(), **arguments):
        args = {k.replace("_", "-"): v for k, v in arguments.items()}
        return self.raw(json.dumps({"execute": name, "arguments": args}) + "\n", *fds)

    def cmd(self, name, **arguments):
        """What a command returns; it must succeed."""
        got = self.request(name, **arguments)
        if "return" not in got:
            raise AssertionError(f"{name}: {got}")
        return got["return"]

    def error(self, name, **arguments):
        """(class, text) of a command that must fail, or what it returned."""
        got = self.request(name, **arguments)
        return (got["error"]["class"], got["error"]["desc"]) if "error" in got else got

    def event(self, name, **data):
        """Waits for an event with (at least) these members of data; forgets those before it."""
        while True:
            got = self.events.pop(0) if self.events else self.message()
            if got.get("event") != name:
                continue
            have = got.get("data", {})
            if all(have.get(k.replace("_", "-")) == v for k, v in data.items()):
                return got

    def hmp(self, line):
        return self.cmd("human-monitor-command", command_line=line).replace("\r\n", "\n")

    def close(self):
        self.sock.close()


class QmpVm:
    """with QmpVm("-S") as vm: vm.qmp.cmd("query-status")."""

    def __init__(self, *args, program=STASIS, negotiate=True):
        self.dir = tempfile.mkdtemp(prefix="qmp-")
        path = os.path.join(self.dir, "qmp")
        self.log = open(os.path.join(self.dir, "output"), "w+b")
        self.process = subprocess.Popen(
            [program, "-nodefaults", "-display", "none",
             "-qmp", f"unix:{path},server=on,wait=off", *args],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        self.qmp = Qmp(path, self.process)
        if negotiate:
            self.qmp.cmd("qmp_capabilities")

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qmp.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
