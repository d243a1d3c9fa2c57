#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The human monitor of the built program, over a Unix socket: its texts, word for word."""
import array
import os
import re
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import Tap
from vm import Monitor, Vm, image

tap = Tap()
TMP = tempfile.mkdtemp(prefix="mon-")


def again(cmd):
    return f'Try "help {cmd}" for more information\n'


def banner():
    with Vm("-M", "isapc", "-S") as vm:
        tap.check(re.fullmatch(r"Stasis \S+ monitor - type 'help' for more information\r\n",
                               vm.monitor.banner), "banner", repr(vm.monitor.banner))
        tap.equal(vm.monitor.raw("info status"), "\r\nVM status: paused (prelaunch)\r\n",
                  "no echo, no redrawing, CR LF")
        tap.equal(vm.monitor.raw(""), "\r\n", "an empty line")


def states():
    with Vm("-M", "isapc", "-m", "16", "-S", "-name", "vm1") as vm:
        tap.equal(vm.cmd("info name"), "vm1\n", "info name")
        tap.equal(vm.cmd("info uuid"), "00000000-0000-0000-0000-000000000000\n", "info uuid")
        tap.equal(vm.cmd("info kvm"), "kvm support: disabled\n", "info kvm")
        tap.check(re.fullmatch(r"\d+\.\d+\.\d+\n", vm.cmd("info version")), "info version")
        tap.check(re.fullmatch(r"\* CPU #0: thread_id=\d+\n", vm.cmd("info cpus")), "info cpus")
        tap.equal(vm.cmd("info memory_size_summary"),
                  "base memory: 16777216\nplugged memory: 0\n", "info memory_size_summary")
        tap.equal(vm.cmd("cont"), "", "cont")
        tap.equal(vm.cmd("info status"), "VM status: running\n", "running")
        tap.equal(vm.cmd("stop"), "", "stop")
        tap.equal(vm.cmd("info status"), "VM status: paused\n", "paused")
        tap.equal(vm.cmd("c") + vm.cmd("s") + vm.cmd("info status"), "VM status: paused\n",
                  "short names")
        tap.equal(vm.cmd("system_reset"), "", "system_reset")
        tap.check(vm.wait_status("VM status: paused (prelaunch)\n"), "reset while paused")
        vm.monitor.send("quit")
        tap.equal(vm.wait(), 0, "quit ends the process with 0")
        tap.equal(vm.output(), "", "and prints nothing")


def complaints():
    with Vm("-M", "isapc", "-S") as vm:
        for line, want in [
                ("nosuch", "unknown command: 'nosuch'\n"),
                ("info nosuch", "unknown command: 'info nosuch'\n"),
                ("savvm x", "unknown command: 'savvm'\nDid you mean \"savevm\"?\n"),
                ("savevm a b",
                 "savevm: extraneous characters at the end of line\n" + again("savevm")),
                ("loadvm", "loadvm: string expected\n" + again("loadvm")),
                ("delvm", "delvm: string expected\n" + again("delvm")),
                ("migrate", "migrate: string expected\n" + again("migrate")),
                ("migrate -x tcp:1", "migrate: unsupported option -x\n" + again("migrate")),
                ("info snapshots x",
                 "snapshots: extraneous characters at the end of line\n" + again("info snapshots")),
                ("change", "change: block device name expected\n" + again("change")),
                ("change foo bar", "Error: Device 'foo' not found\n"),
                ("eject foo", "Error: Device 'foo' not found\n"),
                ("logfile", "logfile: filename expected\n" + again("logfile")),
                ("p 5/0", "division by zero\n" + again("p")),
                ("p $nosuch", "unknown register\n" + again("p")),
                ("x /zz 0", "invalid char in format: 'z'\n" + again("x")),
                ("getfd x", "Error: No file descriptor supplied via SCM_RIGHTS\n"),
                ("closefd x", "Error: File descriptor named 'x' not found\n"),
        ]:
            tap.equal(vm.cmd(line), want, line)


def memory():
    """SeaBIOS is at the top of memory: its reset vector and date are facts."""
    with Vm("-M", "isapc", "-m", "16", "-S") as vm:
        tap.equal(vm.cmd("xp /4xw 0x1000"),
                  "0000000000001000: 0x00000000 0x00000000 0x00000000 0x00000000\n", "xp /4xw")
        tap.check(vm.cmd("xp /5xb 0xffff0").startswith("00000000000ffff0: 0xea 0x5b 0xe0 0x00 0xf0"),
                  "xp of the reset vector")
        tap.equal(vm.cmd("xp /4dh 0x1000"), "0000000000001000:     0     0     0     0\n",
                  "xp /4dh")
        tap.check(re.fullmatch(r"00000000000ffff5: '\d' '\d' '/' '\d'\n", vm.cmd("xp /4cb 0xffff5")),
                  "xp /c", vm.cmd("xp /4cb 0xffff5"))
        tap.check(vm.cmd("x /1xw 0xf0000").startswith("000f0000: 0x"), "x has eight digits")
        tap.equal(vm.cmd("p/x 0x10+1"), "0x11\n", "print /x")
        tap.equal(vm.cmd("print /d -1"), "-1\n", "print /d")
        tap.equal(vm.cmd("p/c 65"), "'A'\n", "print /c")
        tap.equal(vm.cmd("p/o 8"), "010\n", "print /o")
        tap.equal(vm.cmd("p/x $eip"), "0xfff0\n", "a register in an expression")
        tap.equal(vm.cmd("o/b 0x80 0x55"), "", "o")
        tap.check(re.fullmatch(r"portb\[0x0064\] = 0x[0-9a-f]{2}\n", vm.cmd("i/b 0x64")), "i /b")
        tap.check(re.fullmatch(r"portl\[0x0064\] = 0x[0-9a-f]{8}\n", vm.cmd("i/w 0x64")), "i /w")
        path = os.path.join(TMP, "mem")
        tap.equal(vm.cmd(f'pmemsave 0xf0000 0x10000 "{path}"'), "", "pmemsave")
        with open(path, "rb") as f:
            data = f.read()
        tap.equal((len(data), data[0xfff0:0xfff5]), (0x10000, b"\xea\x5b\xe0\x00\xf0"),
                  "what pmemsave wrote")
        total = 0
        for byte in data[:4096]:
            total = ((total >> 1 | total << 15) + byte) & 0xffff
        tap.equal(vm.cmd("sum 0xf0000 4096"), f"{total:05d}\n", "sum")
        tap.check("ljmp" in vm.cmd("xp /1i 0xffff0"), "xp /i")


def listings():
    disk = image(os.path.join(TMP, "h1.qcow2"))
    with Vm("-M", "isapc", "-m", "16", "-cpu", "486", "-serial", "null", "-S", "-nic",
            "user,model=ne2k_isa", "-drive", f"if=ide,file={disk},format=qcow2,id=hd0", "-drive",
            "if=ide,index=2,media=cdrom") as vm:
        text = vm.cmd("info block")
        tap.check(re.fullmatch(
            r"hd0 \(#block\d+\): " + re.escape(disk) + r" \(qcow2\)\n"
            r"    Attached to:      /machine/unattached/device\[\d+\]\n"
            r"    Cache mode:       writeback\n\n"
            r"ide1-cd0: \[not inserted\]\n"
            r"    Attached to:      /machine/unattached/device\[\d+\]\n"
            r"    Removable device: not locked, tray closed\n", text), "info block", text)
        text = vm.cmd("info block -v hd0")
        tap.check("\nImages:\nimage: " in text and "virtual size: 64 MiB (67108864 bytes)" in text,
                  "info block -v", text)
        tap.check(vm.cmd("info blockstats").startswith("hd0: rd_bytes="), "info blockstats")
        tap.check("serial0: filename=null\n" in vm.cmd("info chardev"), "info chardev")
        text = vm.cmd("info network")
        tap.check(re.match(r"ne2k_isa\.0: index=0,type=nic,model=ne2k_isa,"
                           r"macaddr=52:54:00:12:34:56\n \\ #net\d+: index=0,type=user,"
                           r"net=10\.0\.2\.0,restrict=off\n", text), "info network", text)
        text = vm.cmd("info mtree -f")
        tap.check("pc.ram\n" in text and "(prio 0, i/o): pic\n" in text, "info mtree", text)
        text = vm.cmd("info mtree")
        tap.check("\n    0000000000000000-0000000000ffffff (prio 0, ram): pc.ram\n" in text
                  and "\n    0000000000000020-0000000000000021" in text,
                  "info mtree shows regions as they were added, covered ones too", text)
        tap.check("  dev: " in vm.cmd("info qtree"), "info qtree")
        text = vm.cmd("info registers")
        tap.check("EIP=0000fff0" in text and "CR0=60000010" in text, "info registers", text)
        tap.check(re.match(r"pic1: irr=\w\w imr=\w\w isr=\w\w hprio=0 irq_base=\w\w rr_sel=0 "
                           r"elcr=\w\w fnm=0\npic0: ", vm.cmd("info pic")), "info pic")
        tap.equal(vm.cmd("eject hd0"), "Error: Device 'hd0' is not removable\n",
                  "a disk is no medium")
        iso = os.path.join(TMP, "cd.iso")
        with open(iso, "wb") as f:
            f.truncate(1 << 20)
        tap.equal(vm.cmd(f"change ide1-cd0 {iso}"), "", "change")
        tap.check(f"ide1-cd0 (#block" in vm.cmd("info block ide1-cd0") and
                  "(raw, read-only)" in vm.cmd("info block ide1-cd0"), "the new medium",
                  vm.cmd("info block ide1-cd0"))
        tap.equal(vm.cmd("eject ide1-cd0"), "", "eject")
        tap.check("[not inserted]" in vm.cmd("info block ide1-cd0"), "the tray is empty")
        tap.equal(vm.cmd("change ide1-cd0 /nosuch"),
                  "Error: Could not open '/nosuch': No such file or directory\n",
                  "a medium that is not there")


def descriptors():
    with Vm("-M", "isapc", "-S") as vm:
        r, w = os.pipe()
        vm.monitor.sock.sendmsg([b"getfd pipe1\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                     array.array("i", [w]))])
        tap.equal(vm.monitor.read(), "\r\n", "getfd")
        os.close(w)
        tap.equal(vm.cmd("closefd pipe1"), "", "closefd")
        tap.equal(os.read(r, 1), b"", "closes it")
        os.close(r)


def several():
    path = os.path.join(TMP, "second")
    with Vm("-M", "isapc", "-S", "-chardev", f"socket,id=m2,path={path},server=on,wait=off",
            "-mon", "chardev=m2,mode=readline") as vm:
        second = Monitor(path)
        tap.equal(second.cmd("info status"), vm.cmd("info status"), "two monitors at once")
        second.close()
        third = Monitor(path)
        tap.check("Stasis" in third.banner, "a second visitor is greeted")
        third.close()


def signals():
    for sig in ("TERM", "INT", "HUP"):
        with Vm("-M", "isapc") as vm:
            os.kill(vm.process.pid, getattr(signal, "SIG" + sig))
            tap.equal(vm.wait(10), 0, f"SIG{sig} ends it cleanly")
            tap.check("terminating on signal" in vm.output(), f"SIG{sig} is told", vm.output())


def busy():
    """The monitor answers while the guest never rests."""
    with Vm("-M", "isapc") as vm:
        time.sleep(0.3)
        start = time.monotonic()
        for _ in range(20):
            vm.cmd("info status")
        took = time.monotonic() - start
        tap.check(took < 2, "twenty answers within two seconds", took)


tap.run(banner, states, complaints, memory, listings, descriptors, several, signals, busy)
tap.finish()
