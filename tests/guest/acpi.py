#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 300
"""ACPI: the tables as the firmware has put them into memory are read by iasl without a complaint and
translate back; Linux takes them without one, routes its interrupts by them, goes off when the power
button is pressed, goes off and resets by their registers."""
import os
import re
import struct
import subprocess
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from guest_vm import TIMES, VM
from qmp import QmpVm
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]


def memory(vm, at, size):
    path = TMP + "/memory"
    vm.hmp(f'pmemsave {at:#x} {size:#x} "{path}"')
    with open(path, "rb") as f:
        return f.read()


def find_rsdp(vm, patience):
    """Its address and bytes, once the firmware has written it."""
    end = time.monotonic() + patience * TIMES
    while time.monotonic() < end:
        area = memory(vm, 0xe0000, 0x20000)
        for i in range(0, len(area), 16):
            if area[i:i + 8] == b"RSD PTR " and sum(area[i:i + 20]) & 255 == 0:
                return area[i:i + 20]
        time.sleep(0.1)
    return None


def read_tables(vm, rsdp):
    """signature -> bytes, by the addresses that the firmware has filled in."""
    def table(at):
        size = struct.unpack("<I", memory(vm, at + 4, 4))[0]
        return memory(vm, at, size)

    rsdt = table(struct.unpack("<I", rsdp[16:20])[0])
    found = {"RSDT": rsdt}
    for at in struct.unpack(f"<{len(rsdt) // 4 - 9}I", rsdt[36:]):
        data = table(at)
        found[data[:4].decode()] = data
    facs, dsdt = struct.unpack("<II", found["FACP"][36:44])
    found["FACS"], found["DSDT"] = table(facs), table(dsdt)
    return found


def judge(name, data):
    """iasl's word on a table: both ways (3168: it would have processors as devices)."""
    path = f"{TMP}/{name}"
    with open(path + ".dat", "wb") as f:
        f.write(data)
    r = subprocess.run(["iasl", "-d", path + ".dat"], capture_output=True, text=True)
    with open(path + ".dsl") as f:
        text = f.read()
    TAP.check(r.returncode == 0 and "ncorrect checksum" not in text, f"{name}: iasl reads it",
              r.stdout + r.stderr)
    r = subprocess.run(["iasl", "-vw", "3168", path + ".dsl"], capture_output=True, text=True)
    found = re.search(r"(\d+) Errors?, (\d+) Warnings?", r.stdout)
    TAP.check(found and found[1] == "0" and found[2] == "0", f"{name}: and writes it again",
              r.stdout + r.stderr)
    return text


def tables():
    with VM("-M", "pc,hpet=on", "-m", "32", "-nodefaults", "-vga", "none", "-serial", "null", "-parallel",
            "null", serial=False) as vm:
        rsdp = find_rsdp(vm, 30)
        TAP.check(rsdp is not None, "the firmware has put up the tables")
        found = read_tables(vm, rsdp)
        vm.hmp("system_reset")
    for name, data in found.items():
        if name != "FACS":
            TAP.check(sum(data) & 255 == 0, f"{name}: its bytes add up to nothing")
            text = judge(name, data)
        if name == "DSDT":
            names = set(re.findall(r"Device \((\w+)\)", text))
            want = {"PCI0", "ISA", "LNKA", "LNKS", "RTC", "KBD", "MOU", "COM1", "LPT1", "FDC0", "FWCF",
                    "HPET"}
            TAP.check(want <= names, "the DSDT has the board's devices", str(want - names))
        if name == "APIC":
            TAP.check(text.count("[Processor Local APIC]") == 1 and text.count("[I/O APIC]") == 1 and
                      text.count("[Interrupt Source Override]") == 5, "the MADT has what there is")
        if name == "HPET":
            TAP.check(re.search(r"Hardware Block ID : 8086A201", text) and
                      re.search(r"Address : 0+FED00000", text), "the timers are where they are", text)
        if name == "FACP":
            TAP.check("PM Timer Block Address : 00000608" in text and
                      re.search(r"Reset Register [^\n]*\n(.*\n){4}.*Address : 0+CF9", text),
                      "ports are where they are", text)


def without():
    with VM("-M", "pc,hpet=off", "-m", "32", "-nodefaults", "-vga", "none", "-cpu", "qemu32,-apic",
            serial=False) as vm:
        found = read_tables(vm, find_rsdp(vm, 30))
        TAP.check("APIC" not in found, "without local APICs there is no MADT")
        TAP.check("HPET" not in found and b"HPET" not in found["DSDT"], "hpet=off: nor event timers")
    with VM("-m", "32", "-nodefaults", "-vga", "none", "-no-acpi", serial=False) as vm:
        time.sleep(1.5)
        TAP.check(find_rsdp(vm, 0.1) is None, "-no-acpi: there are no tables")
        TAP.check("7113" not in vm.hmp("info pci"), "-no-acpi: nor the chip")
    with QmpVm("-m", "32", "-nodefaults", "-vga", "none") as vm:
        vm.qmp.cmd("system_powerdown")
        vm.qmp.event("POWERDOWN")
        TAP.check(True, "QMP: system_powerdown is told")


def linux():
    copy, options = linux686.booted(TMP)
    vm = VM(*options, "-no-shutdown")
    log = vm.shell("dmesg")
    bad = [l for l in log.split("\n") if re.search(r"ACPI.*(Error|Warning|BIOS Bug)", l)]
    TAP.check("ACPI: Interpreter enabled" in log and not bad, "Linux takes the tables",
              "\n".join(bad))
    TAP.check("Using ACPI for IRQ routing" in log, "Linux routes by them")
    lines = vm.shell("cat /proc/interrupts")
    TAP.check(re.search(r" 9: +\d+ +IO-APIC +9-fasteoi +acpi", lines), "the SCI is line 9", lines)
    TAP.check(re.search(r" 0: +[1-9]\d* +IO-APIC +2-edge +timer", lines), "the timer is pin 2", lines)
    ticks = [int(re.search(r"LOC: +(\d+)", vm.shell("sleep 1; cat /proc/interrupts"))[1])
             for _ in range(2)]
    TAP.check(ticks[1] > ticks[0] + 20, "the local APIC's timer ticks", str(ticks))
    TAP.check(re.search(r" (5|10|11): .*eth0", lines), "the network card has its link's", lines)
    event = vm.shell("grep -l 'Power Button' /sys/class/input/event*/device/name").strip()
    event = event.split("/")[4] if event.count("/") > 4 else "none"
    vm.shell(f"(dd if=/dev/input/{event} bs=16 count=1 of=/tmp/pressed 2>/dev/null; poweroff -f)"
             " >/dev/null 2>&1 & true")
    vm.shell(f"while ! ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q input/{event}; do :; done")
    vm.hmp("system_powerdown")
    TAP.check(vm.wait_status("paused", 60) == "VM status: paused (shutdown)\n",
              "the button: Linux goes off, and stays there with -no-shutdown")
    vm.quit()
    vm.kill()
    for command, what, more in (("poweroff -f", "goes off by the registers", []),
                                ("reboot -f", "resets by the register", ["-no-reboot"])):
        vm = VM(*options, *more)
        vm.serial.send(command + "\n")
        TAP.check(vm.proc.wait(60) == 0, "Linux " + what, vm.stderr())
        vm.kill()


TAP.run(tables, without, linux)
TAP.finish()
