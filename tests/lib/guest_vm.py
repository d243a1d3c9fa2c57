# SPDX-License-Identifier: MIT
"""Drives an emulator process through its HMP monitor and its guest's serial port, both on Unix
sockets.  Works with any emulator that has QEMU's options, so the same test can ask an oracle."""
import atexit
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

STASIS = os.environ.get("STASIS", "build/stasis")
TIMES = int(os.environ.get("TEST_TIMES", "1"))  # a build with sanitizers takes longer
PROMPT = re.compile(rb"(^|\n)\(qemu\) $")


class Gone(Exception):
    """The emulator ended, or a socket did."""


class Line:
    """A Unix socket that is read with patience."""

    def __init__(self, path, proc, what):
        self.what, self.proc, self.data, self.mark = what, proc, b"", 0
        self.log = []  # (time, bytes)
        end = time.monotonic() + 20 * TIMES
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(path)
                break
            except OSError:
                s.close()
                if proc.poll() is not None or time.monotonic() > end:
                    raise Gone(f"{what}: no socket (exit status {proc.poll()})")
                time.sleep(0.01)
        self.sock = s

    def pump(self, timeout):
        """Reads what comes within timeout seconds; False where nothing did."""
        if not select.select([self.sock], [], [], timeout)[0]:
            return False
        try:
            chunk = self.sock.recv(65536)
        except ConnectionResetError:  # it ended with something of ours unread
            chunk = b""
        if not chunk:
            raise Gone(f"{self.what}: closed; last: {self.data[-300:]!r}")
        self.data += chunk
        self.log.append((time.monotonic(), chunk))
        return True

    def send(self, text):
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def expect(self, pattern, timeout=60):
        """Waits for a pattern behind the last one found; answers the match."""
        if isinstance(pattern, str):
            pattern = pattern.encode()
        end = time.monotonic() + timeout * TIMES
        while True:
            m = re.search(pattern, self.data[self.mark:])
            if m:
                self.mark += m.end()
                return m
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{self.what}: no {pattern!r} in {timeout * TIMES} s; last: "
                                   f"{self.data[self.mark:][-600:]!r}")
            self.pump(min(left, 1))

    def read_rest(self):
        """What is left in the socket when the far side has gone."""
        try:
            while self.pump(10):
                pass
        except Gone:
            pass

    def drain(self, seconds=0.0):
        """Reads for so long; what was there is behind us then."""
        end = time.monotonic() + seconds
        while self.pump(max(end - time.monotonic(), 0)) or time.monotonic() < end:
            pass
        self.mark = len(self.data)


class VM:
    def __init__(self, *args, emulator=None, serial=True, tag="vm", env=None, pass_fds=()):
        self.tmp = tempfile.mkdtemp(prefix=tag + "-", dir=os.environ.get("TMPDIR"))
        mon, ser = self.tmp + "/mon", self.tmp + "/ser"
        argv = [emulator or STASIS, *args, "-display", "none",
                "-monitor", f"unix:{mon},server=on,wait=off"]
        if serial:
            argv += ["-serial", f"unix:{ser},server=on,wait=off"]
        self.argv = argv
        self.err = open(self.tmp + "/stderr", "w+b")
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.err,
                                     stderr=self.err, env=env, pass_fds=pass_fds)
        atexit.register(self._end)
        try:
            self.mon = Line(mon, self.proc, "monitor")
            self.serial = Line(ser, self.proc, "serial") if serial else None
            self._prompt(20)
        except Gone as e:
            raise Gone(f"{e}; {self.stderr()}") from None
        finally:
            if self.proc.poll() is not None:
                self.err.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def stderr(self):
        with open(self.tmp + "/stderr", "rb") as f:
            return f.read().decode(errors="replace")

    def _prompt(self, timeout):
        end = time.monotonic() + timeout * TIMES
        while not PROMPT.search(self.mon.data[self.mon.mark:]):
            if time.monotonic() > end:
                raise TimeoutError(f"monitor: no prompt; {self.mon.data[self.mon.mark:][-300:]!r}")
            self.mon.pump(1)
        text = self.mon.data[self.mon.mark:]
        self.mon.mark = len(self.mon.data)
        return text

    def hmp(self, line, timeout=120):
        """Runs a monitor command; answers what it printed."""
        self.mon.drain()
        self.mon.send(line + "\n")
        text = self._prompt(timeout).replace(b"\r", b"")
        text = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", text).decode(errors="replace")
        text = re.sub(r"\(qemu\) $", "", text)
        return text.split("\n", 1)[1] if text.split("\n", 1)[0].endswith(line) else text.lstrip("\n")

    def getfd(self, name, fd):
        """Hands a descriptor over to the monitor, which keeps it under this name."""
        self.mon.drain()
        socket.send_fds(self.mon.sock, [f"getfd {name}\n".encode()], [fd])
        return self._prompt(20)

    def wait_status(self, pattern, timeout=60):
        end = time.monotonic() + timeout * TIMES
        while True:
            text = self.hmp("info status")
            if re.search(pattern, text):
                return text
            if time.monotonic() > end:
                raise TimeoutError(f"status stays {text!r}, not {pattern!r}")
            time.sleep(0.02)

    def wait_migration(self, timeout=60):
        """The final status of a migration, and `info migrate`."""
        end = time.monotonic() + timeout * TIMES
        while True:
            text = self.hmp("info migrate")
            m = re.search(r"Migration status: (\w+)", text)
            if m and m.group(1) in ("completed", "failed", "cancelled"):
                return m.group(1), text
            if time.monotonic() > end:
                raise TimeoutError(f"migration: {text}")
            time.sleep(0.02)

    def migration(self):
        """Its status, or None."""
        m = re.search(r"Migration status: (\S+)", self.hmp("info migrate"))
        return m and m.group(1)

    def await_migration(self, want, timeout=20):
        """Waits for a status; answers the one that it is then."""
        end = time.monotonic() + timeout * TIMES
        while self.migration() != want and time.monotonic() < end:
            time.sleep(0.02)
        return self.migration()

    def shell(self, command, timeout=60):
        """Runs a line in the guest's shell on the serial port (see linux686.boot); answers what it
        printed."""
        mark = f"E{time.monotonic_ns() % 1000000}"
        self.serial.drain()
        self.serial.send(f"{command}; echo {mark[0]}''{mark[1:]} $?\n")
        m = self.serial.expect(rf"(?s)(.*?){mark} (\d+)\r?\n", timeout)
        return m.group(1).decode(errors="replace").replace("\r", "")

    def cpu_seconds(self):
        with open(f"/proc/{self.proc.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def quit(self, timeout=20):
        try:
            self.mon.send("quit\n")
        except OSError:
            pass
        return self.proc.wait(timeout * TIMES)

    def _end(self):
        """What a failed test left behind."""
        if self.proc.poll() is None:
            self.proc.kill()

    def kill(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()
        self.mon.sock.close()
        if self.serial:
            self.serial.sock.close()
        self.err.close()
