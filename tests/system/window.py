#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The built program's window: its title, as the X server has it, follows the run state."""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import Tap
from vm import STASIS, Vm

tap = Tap()


def title():
    """Of the program's window; None while there is none."""
    text = subprocess.run(["xwininfo", "-root", "-tree"], capture_output=True, text=True).stdout
    m = re.search(r'"(Stasis[^"]*)"', text)
    return m and m.group(1)


def becomes(want, what):
    end = time.monotonic() + 20
    while title() != want and time.monotonic() < end:
        time.sleep(0.05)
    tap.equal(title(), want, what)


def window():
    with Vm("-M", "isapc", "-S", "-name", "sheep", "-vga", "std", "-display", "sdl") as vm:
        becomes("Stasis (sheep) [Not started]", "-S")
        vm.cmd("cont")
        becomes("Stasis (sheep)", "cont")
        vm.cmd("stop")
        becomes("Stasis (sheep) [Paused]", "stop")
        vm.cmd("cont")
        becomes("Stasis (sheep)", "cont again")
        vm.monitor.send("quit")
        tap.equal(vm.wait(20), 0, "quit")


def by_default():
    """Where there is a display the window comes unasked, elsewhere nothing does."""
    options = ("-M", "isapc", "-S", "-name", "flock", "-serial", "null")
    with Vm(*options, nodefaults=False) as vm:
        becomes("Stasis (flock) [Not started]", "a display: a window")
        vm.monitor.send("quit")
        vm.wait(20)
    where = os.environ.pop("DISPLAY")
    with Vm(*options, nodefaults=False) as vm:
        tap.check("paused" in vm.cmd("info status"), "no display: it runs without")
    os.environ["DISPLAY"] = where


read_end, write_end = os.pipe()
server = subprocess.Popen(["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1024x768x24",
                           "-nolisten", "tcp"], pass_fds=[write_end], stderr=subprocess.DEVNULL)
os.close(write_end)
os.environ["DISPLAY"] = ":" + os.read(read_end, 20).decode().strip()
os.environ["SDL_VIDEODRIVER"] = "x11"
os.environ["SDL_RENDER_DRIVER"] = "software"  # no driver that is loaded, and leaks
help_text = subprocess.run([STASIS, "-display", "help"], capture_output=True, text=True).stdout
if re.search(r"^sdl ", help_text, re.M):
    tap.run(window, by_default)
else:
    tap.skip("window", "this build has no SDL")
server.terminate()
server.wait()
tap.finish()
