#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every kind of character device of the built program, in both spellings and both directions: a ROM
answers each byte of its serial port with the next one."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import Tap
from vm import STASIS

tap = Tap()
TMP = tempfile.mkdtemp(prefix="lines-")
ROM = os.path.join(TMP, "echo.rom")
# 1: mov dx, 3fdh; in al, dx; test al, 1; jz 1b; mov dx, 3f8h; in al, dx; inc al; out dx, al; jmp 1b
CODE = bytes.fromhex("bafd03eca80174f8baf803ecfec0eeebef")
with open(ROM, "wb") as rom:  # reset: jmp 0f000h:0
    rom.write(CODE.ljust(0xfff0, b"\xf4") + bytes.fromhex("ea000000f0").ljust(16, b"\xf4"))


class Program:
    """The program with these options, as a user starts it."""

    def __init__(self, *options, **pipes):
        self.p = subprocess.Popen(
            [STASIS, "-M", "isapc", "-bios", ROM, "-nodefaults", "-display", "none", *options],
            stdin=pipes.get("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()
        for f in (self.p.stdin, self.p.stdout, self.p.stderr):
            if f:
                f.close()


def patiently(what, seconds=20):
    """What it answers, once that is something; tried for so long."""
    end = time.monotonic() + seconds
    while True:
        try:
            got = what()
        except OSError:
            got = None
        if got or time.monotonic() > end:
            return got
        time.sleep(0.02)


def read_some(fd, n):
    os.set_blocking(fd, False)
    data = b""
    end = time.monotonic() + 20
    while len(data) < n and time.monotonic() < end:
        try:
            data += os.read(fd, n - len(data))
        except BlockingIOError:
            time.sleep(0.01)
    return data


def answers(name, out_fd, in_fd):
    os.write(out_fd, b"HAL")
    tap.equal(read_some(in_fd, 3), b"IBM", name)


def both(text, options):
    """The two spellings of a device: options, and a name for the check."""
    yield f"-serial {text}", ["-serial", text]
    yield f"-chardev {options}", ["-chardev", options, "-serial", "chardev:c"]


def stdio():
    for name, options in both("stdio", "stdio,id=c"):
        with Program(*options, stdin=subprocess.PIPE) as s:
            answers(name, s.p.stdin.fileno(), s.p.stdout.fileno())


def stdio_with_monitor():
    for name, options in [
            ("-serial mon:stdio", ["-serial", "mon:stdio"]),
            ("-chardev stdio,mux=on", ["-chardev", "stdio,id=c,mux=on", "-serial", "chardev:c",
                                       "-mon", "chardev=c"])]:
        with Program(*options, stdin=subprocess.PIPE) as s:
            out, got = s.p.stdout.fileno(), b""
            os.write(s.p.stdin.fileno(), b"HAL\x01cinfo status\n\x01cXYZ")
            end = time.monotonic() + 20
            while not (b"running" in got and b"IBM" in got and b"YZ[" in got) and \
                    time.monotonic() < end:
                got += read_some(out, 1)
            tap.check(b"VM status: running" in got and b"IBM" in got and b"YZ[" in got,
                      name + ": the guest, the monitor by Ctrl-A c, the guest again", got)


def pty():
    for name, options in both("pty", "pty,id=c"):
        with Program(*options) as s:
            line = s.p.stderr.readline().decode()
            m = re.search(r"char device redirected to (/dev/pts/\d+) \(label \w+\)", line)
            if not tap.check(m, name + " tells its terminal", line):
                continue
            fd = os.open(m.group(1), os.O_RDWR | os.O_NOCTTY)
            time.sleep(0.3)  # it looks ten times a second whether somebody is there
            answers(name, fd, fd)
            os.close(fd)


def file():
    path, source = os.path.join(TMP, "out"), os.path.join(TMP, "in")
    with open(source, "wb") as f:
        f.write(b"HAL")
    options = f"file,id=c,path={path},input-path={source}"
    with Program("-chardev", options, "-serial", "chardev:c"):
        tap.check(patiently(lambda: open(path, "rb").read() == b"IBM"), "-chardev file, both ways")
    # The short form has no input: what the guest says comes from the debug console.
    with Program("-serial", f"file:{path}", "-monitor", "stdio", stdin=subprocess.PIPE) as s:
        s.p.stdin.write(b"stop\no /b 0x3f8 0x49\no /b 0x3f8 0x42\n")
        tap.check(patiently(lambda: open(path, "rb").read() == b"IB"), "-serial file:")


def pipe():
    path = os.path.join(TMP, "pipe")
    os.mkfifo(path + ".in")
    os.mkfifo(path + ".out")
    for name, options in both(f"pipe:{path}", f"pipe,id=c,path={path}"):
        with Program(*options):
            out = os.open(path + ".in", os.O_RDWR)
            back = os.open(path + ".out", os.O_RDWR | os.O_NONBLOCK)
            answers(name.replace(TMP, ""), out, back)
            os.close(out)
            os.close(back)


def null():
    for name, options in both("null", "null,id=c"):
        with Program(*options, "-monitor", "stdio", stdin=subprocess.PIPE) as s:
            s.p.stdin.write(b"o /b 0x3f8 0x49\ninfo chardev\nquit\n")
            text = s.p.communicate(timeout=20)[0].decode()
            tap.check(s.p.returncode == 0 and "filename=null" in text, name, text)


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connected(family, address):
    s = socket.socket(family)
    s.connect(address)
    s.settimeout(20)
    return s


def as_server(name, options, family, address, waits):
    with Program(*options, "-monitor", "stdio", stdin=subprocess.PIPE) as s:
        if waits:  # nothing runs before somebody has come
            line = s.p.stderr.readline().decode()
            s.p.stdin.write(b"info status\n")
            time.sleep(0.3)
            os.set_blocking(s.p.stdout.fileno(), False)
            tap.check("waiting for connection" in line and not s.p.stdout.read(), name + " waits",
                      line)
        for i in range(1 if waits else 2):
            c = patiently(lambda: connected(family, address))
            answers(f"{name}, client {i}", c.fileno(), c.fileno())
            c.close()


def as_client(name, options, family, address):
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        server.settimeout(20)
        with Program(*options):
            c, _ = server.accept()
            answers(name, c.fileno(), c.fileno())
            c.close()


def sockets():
    for wait in ("on", "off"):
        n, path = port(), os.path.join(TMP, "unix-" + wait)
        tail = f"server=on,wait={wait}"
        for name, options in both(f"tcp:127.0.0.1:{n},{tail}",
                                  f"socket,id=c,host=127.0.0.1,port={n},{tail}"):
            as_server(name.replace(str(n), "N"), options, socket.AF_INET, ("127.0.0.1", n),
                      wait == "on")
        for name, options in both(f"unix:{path},{tail}", f"socket,id=c,path={path},{tail}"):
            as_server(name.replace(TMP, ""), options, socket.AF_UNIX, path, wait == "on")
    for i in range(2):
        n, path = port(), os.path.join(TMP, f"client{i}")
        name, options = list(both(f"tcp:127.0.0.1:{n}", f"socket,id=c,host=127.0.0.1,port={n}"))[i]
        as_client(name.replace(str(n), "N"), options, socket.AF_INET, ("127.0.0.1", n))
        name, options = list(both(f"unix:{path}", f"socket,id=c,path={path}"))[i]
        as_client(name.replace(TMP, ""), options, socket.AF_UNIX, path)


tap.run(stdio, stdio_with_monitor, pty, file, pipe, null, sockets)
tap.finish()
