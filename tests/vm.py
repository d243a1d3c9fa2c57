# SPDX-License-Identifier: MIT
"""Drives the built emulator: a process with a monitor on a Unix socket."""
import os
import socket
import subprocess
import tempfile
import time

PROMPT = "(qemu) "
TIMES = int(os.environ.get("TEST_TIMES", "1"))  # a build with sanitizers takes longer
STASIS = os.environ.get("STASIS") or os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "build", "stasis")
STASIS_IMG = os.environ.get("STASIS_IMG") or STASIS + "-img"


class Monitor:
    """A human monitor on a Unix socket: plain lines, answers up to the prompt."""

    def __init__(self, path, timeout=30, process=None):
        end = time.monotonic() + timeout * TIMES
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(path)
                break
            except OSError:
                self.sock.close()
                if time.monotonic() > end or (process and process.poll() is not None):
                    raise
                time.sleep(0.02)
        self.sock.settimeout(timeout * TIMES)
        self.text = ""
        self.banner = self.read()

    def read(self):
        """What comes up to the next prompt, raw."""
        while PROMPT not in self.text:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the monitor went away after " + repr(self.text))
            self.text += data.decode(errors="replace")
        got, self.text = self.text.split(PROMPT, 1)
        return got

    def raw(self, line):
        self.sock.sendall((line + "\n").encode())
        return self.read()

    def cmd(self, line):
        """The answer to a line, with plain line ends and without the one that ends the line."""
        answer = self.raw(line).replace("\r\n", "\n")
        return answer[1:] if answer.startswith("\n") else answer

    def send(self, line):
        """A line whose answer nobody waits for."""
        self.sock.sendall((line + "\n").encode())

    def close(self):
        self.sock.close()


class Vm:
    """with Vm("-M", "isapc") as vm: vm.cmd("info status")."""

    def __init__(self, *args, program=STASIS, nodefaults=True, monitor=True):
        self.dir = tempfile.mkdtemp(prefix="vm-")
        self.log = open(os.path.join(self.dir, "output"), "w+b")
        command = [program]
        if nodefaults:
            command += ["-nodefaults", "-display", "none"]
        path = os.path.join(self.dir, "mon")
        if monitor:
            command += ["-monitor", f"unix:{path},server=on,wait=off"]
        self.process = subprocess.Popen(command + list(args), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        try:
            self.monitor = Monitor(path, process=self.process) if monitor else None
        except OSError:
            self.kill()
            raise RuntimeError("no monitor; output: " + self.output()) from None

    def cmd(self, line):
        return self.monitor.cmd(line)

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def wait(self, timeout=30):
        return self.process.wait(timeout * TIMES)

    def wait_status(self, want, timeout=30):
        """Until `info status` shows the state."""
        end = time.monotonic() + timeout * TIMES
        while time.monotonic() < end:
            got = self.cmd("info status")
            if want in got:
                return True
            time.sleep(0.02)
        return False

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.monitor:
            self.monitor.close()
        self.kill()
        self.log.close()


def run(*args, timeout=60, **kw):
    """The program with these arguments: status, standard output, standard error."""
    p = subprocess.run([STASIS, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=timeout * TIMES, check=False, **kw)
    return p.returncode, p.stdout, p.stderr


def image(path, size="64M", fmt="qcow2"):
    """A new empty image, by our own tool."""
    subprocess.run([STASIS_IMG, "create", "-q", "-f", fmt, path, size], check=True,
                   capture_output=True)
    return path
