#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The built program's command line: what it answers, refuses, and leaves behind."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import Tap
from vm import STASIS, Monitor, Vm, image, run

tap = Tap()
TMP = tempfile.mkdtemp(prefix="cmd-")


def answers():
    for option, pattern in [
            ("-version", r"Stasis emulator version \d+\.\d+\.\d+\n"),
            ("--version", r"Stasis emulator version \d+\.\d+\.\d+\n"),
            ("-h", r"Stasis emulator version .*usage: stasis \[options\] \[disk_image\].*"),
            ("-help", r".*-drive file=.*"),
            ("-M help", r"Supported machines are:\n.*isapc .*pc-i440fx-7\.2 .*"),
            ("-machine ?", r"Supported machines are:\n.*"),
            ("-cpu help", r".*486 .*pentium3.*qemu32.*"),
            ("-device help", r".*name \"ne2k_pci\", bus PCI.*"),
            ("-device ne2k_isa,help", r"ne2k_isa options:\n.*iobase=.*"),
            ("-netdev help", r".*\nuser .*"),
            ("-nic help", r".*\nuser .*"),
            ("-nic model=help", r"Supported NIC models:\ne1000 .*ne2k_isa.*ne2k_pci.*"),
            ("-chardev help", r".*  stdio .*"),
            ("-display help", r".*\nnone .*"),
            ("-vga help", r".*std .*"),
            ("-d help", r".*\nguest_errors .*"),
            ("-object help", r".*filter-dump\n.*rng-random\n"),
            ("-accel help", r".*\ntcg\n"),
            ("-boot help", r"-boot options:\n  order=.*once=.*menu=.*"),
            ("-rtc help", r"-rtc options:\n  base=.*clock=.*"),
            ("-icount ?", r"-icount options:\n  shift=.*sleep=.*"),
            ("-m help", r"-m options:\n  size=.*"),
            ("-smp help", r"-smp options:\n  cpus=.*"),
            ("-name help", r"-name options:\n  guest=.*"),
            ("-global help", r"-global options:\n  driver=.*property=.*value=.*"),
            ("-L help", r"(/\S+\n)+"),
            ("-incoming help", r"Channels:\n  exec:COMMAND\n.*  unix:PATH\n  defer .*"),
            ("-uuid help", r"-uuid options:\n  32 hexadecimal digits.*"),
            ("-torture help", r"-torture options:\n.*"),
            ("-mon help", r"-mon options:\n  chardev=.*mode=.*"),
            ("-drive help", r"-drive options:\n  file=.*format=.*"),
            ("-drive format=help", r".*\bqcow2\b.*\braw\b.*"),
            ("-serial help", r"Character devices:\n.*  stdio .*  mon: .*"),
            ("-parallel help", r"Character devices:\n.*"),
            ("-monitor help", r"Character devices:\n.*  pty .*"),
            ("-debugcon help", r"Character devices:\n.*"),
            ("-chardev socket,help", r"Character devices:\n.*  socket .*server=.*"),
            ("-netdev user,help", r".*\nuser .*hostfwd=.*"),
            ("-object filter-dump,help", r"filter-dump options:\n.*file=.*maxlen=.*")]:
        status, out, err = run(*option.split())
        tap.check(status == 0 and not err and re.fullmatch(pattern, out, re.S), option,
                  f"{status}\n{out}{err}")


def refuses():
    raw = os.path.join(TMP, "raw.img")
    with open(raw, "wb") as f:
        f.truncate(1 << 20)
    for option, text in [
            ("-serail x", "-serail: invalid option (did you mean '-serial'?)"),
            ("-m", "-m: requires an argument"),
            ("-M pcc", "-M pcc: unsupported machine type 'pcc'; did you mean 'pc'?"),
            ("-cpu 586x", "unable to find CPU model '586x'"),
            ("-cpu qemu64,-nonsense", "Property 'qemu64-x86_64-cpu.nonsense' not found"),
            ("-cpu qemu64,+vmx,avx2=on,enforce -smp 2",
             "the CPU doesn't support requested features: CPUID.01H:ECX.vmx [bit 5], "
             "CPUID.07H:EBX.avx2 [bit 5]"),
            ("-hda /nosuch", "-hda /nosuch: Could not open '/nosuch': No such file or directory"),
            ("-drive file=/nosuch,format=raw", None),
            ("-drive if=scsi", "-drive if=scsi: unsupported bus type 'scsi'; if=ide or if=none"),
            (f"-hda {raw} -drive file={raw},index=0", None),
            (f"-hda {raw} -hdb {raw}", None),  # one image, two writers
            ("-device nosuch", None),
            ("-device ne2k_isa,nosuch=1", None),
            (f"-drive file={raw},format=raw,if=none,id=d -device virtio-blk-pci,drive=d,num-queues=0",
             "-device virtio-blk-pci: num-queues=0: 1 to 255 expected"),
            ("-netdev nosuch,id=a", None),
            ("-netdev user", None),
            ("-netdev user,id=a -netdev user,id=a", None),
            ("-serial nosuch", None),
            ("-serial chardev:nosuch", "-serial chardev:nosuch: Character device 'nosuch' not found"),
            ("-chardev stdio", None),
            ("-mon nosuch", None),
            ("-object filter-dump,id=f,netdev=nosuch,file=/tmp/x", None),
            ("-display nosuch", "-display nosuch: Parameter 'type' does not accept value 'nosuch'"),
            ("-display nonne", "-display nonne: Parameter 'type' does not accept value 'nonne'; "
                               "did you mean 'none'?"),
            ("-display none,nosuch=1", None),
            ("-global vga.x=1", "-global vga.x=1: 'vga' is not a valid driver; did you mean 'VGA'?"),
            ("-global nosuch.x=1", "-global nosuch.x=1: 'nosuch' is not a valid driver"),
            ("-global VGA.vgamemmb=1", "-global VGA.vgamemmb=1: 'vgamemmb' is not a valid property of "
                                     "'VGA'; did you mean 'vgamem_mb'?"),
            ("-global driver=VGA,property=nosuch,value=1", None),
            ("-global nothing", None),
            ("-incoming nosuch:x", None),
            ("-loadvm x", "no block device can store vmstate for snapshot"),
            ("-enable-kvm", "-enable-kvm: there is no KVM: instructions are executed by this program "
                            "(-accel tcg)"),
            ("-usb", "-usb: USB is not modelled"),
            ("-gdb tcp::1234", "-gdb: there is no gdb server"),
            ("-vnc :1", "-vnc :1: there is no VNC server; 'none' is accepted"),
            ("-net nic -net nic", "-net nic: a card (-net nic) and one back end expected; use -nic or "
                                  "-netdev"),
            ("-net user", "-net user: -net nic is missing"),
            ("-action reboot=stop", "-action reboot=stop: reboot=stop: reset or shutdown expected"),
            ("-fw_cfg opt/x", "-fw_cfg: one of string= and file= expected"),
            ("-device virtio-rng-pci,rng=none", "-device virtio-rng-pci: Device 'none' not found: "
                                                "'rng' names an -object rng-random or rng-builtin"),
            ("-object rng-random,id=r,filename=/nosuch", None),
            ("-device e1000,bootindex=1 -device rtl8139,bootindex=1",
             "-device rtl8139: The bootindex 1 has already been used"),
            ("-pidfile /nosuch/dir", None),
            ("-D /nosuch/log", None),
            ("-uuid x", "-uuid x: failed to parse UUID string: wrong format")]:
        try:
            status, out, err = run("-display", "none", "-monitor", "none", *option.split(),
                                   timeout=10)
        except subprocess.TimeoutExpired:
            status, out, err = "it runs", "", "\n"
        lines = err.splitlines()
        good = status == 1 and not out and len(lines) == 1 and lines[0].startswith("stasis: ")
        if text:
            good = good and lines[0] == "stasis: " + text
        else:
            good = good and option.split()[-2 if len(option.split()) > 1 else -1] in lines[0]
        tap.check(good, option.replace(TMP, ""), f"{status}\n{out}{err}")
    for option in ("-bios", "-kernel"):
        status, _, err = run("-display", "none", "-monitor", "none", option, "/nosuch")
        tap.check(status == 1 and err.count("\n") == 1 and "/nosuch" in err, option + " /nosuch", err)


def pidfile():
    path = os.path.join(TMP, "pid")
    with Vm("-M", "isapc", "-S", "-pidfile", path) as vm:
        with open(path) as f:
            tap.equal(int(f.read()), vm.process.pid, "-pidfile")
        status, _, err = run("-M", "isapc", "-S", "-pidfile", path, "-display", "none")
        tap.check(status == 1 and "lock" in err, "a pidfile that is held", err)
        vm.monitor.send("quit")
        vm.wait()
    tap.check(not os.path.exists(path), "the pidfile goes with the process")


def daemonize():
    path, pid = os.path.join(TMP, "dmon"), os.path.join(TMP, "dpid")
    status, out, err = run("-M", "isapc", "-S", "-nodefaults", "-daemonize", "-pidfile", pid,
                           "-monitor", f"unix:{path},server=on,wait=off")
    tap.check(status == 0 and not out + err, "-daemonize returns", out + err)
    monitor = Monitor(path)
    tap.equal(monitor.cmd("info status"), "VM status: paused (prelaunch)\n", "and works")
    with open(pid) as f:
        number = int(f.read())
    monitor.send("quit")
    end = time.monotonic() + 10
    while os.path.exists(pid) and time.monotonic() < end:
        time.sleep(0.02)
    tap.check(not os.path.exists(pid), "it ends when told")
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        pass
    where = os.getcwd()
    os.chdir(TMP)  # a relative path is one of the directory that the program was started in
    try:
        run("-M", "isapc", "-S", "-nodefaults", "-daemonize", "-pidfile", pid, "-monitor",
            "unix:relative,server=on,wait=off", "-display", "none")
        monitor = Monitor("relative")
        monitor.send("quit")
        end = time.monotonic() + 10
        while os.path.exists(pid) and time.monotonic() < end:
            time.sleep(0.02)
        tap.check(not os.path.exists(pid) and not os.path.exists("relative"),
                  "its relative socket and pidfile go with it")
    finally:
        os.chdir(where)
    status, _, err = run("-M", "isapc", "-daemonize", "-hda", "/nosuch")
    tap.check(status == 1 and "/nosuch" in err, "a failure is the parent's status", err)


def stdio():
    """The monitor on standard input, as a user without a window has it."""
    for args, prefix in [((), ""), (("-nographic",), "\x01c")]:
        p = subprocess.run([STASIS, "-M", "isapc", "-S", "-display", "none", *args], text=True,
                           input=prefix + "info status\nquit\n", capture_output=True, timeout=20,
                           check=False)
        tap.check(p.returncode == 0 and "VM status: paused (prelaunch)" in p.stdout and
                  "monitor - type 'help'" in p.stdout, "monitor on stdio " + " ".join(args),
                  p.stdout + p.stderr)
    p = subprocess.run([STASIS, "-M", "isapc", "-S", "-nographic"], input="\x01x", text=True,
                       capture_output=True, timeout=20, check=False)
    tap.equal(p.returncode, 0, "Ctrl-A x leaves")


def cpu_features():
    """What a CPU does not have: warnings, said once."""
    for text, names in [("qemu64,+vmx,invtsc=on,-avx2,pcid=off", ["01H:ECX.vmx [bit 5]",
                                                                  "80000007H:EDX.invtsc [bit 8]"]),
                        ("qemu64,+vmx,check=off", []),
                        ("qemu64,avx512f", ["07H:EBX.avx512f [bit 16]"]), ("max", []), ("pentium3,+sse2,enforce", []), ("max,-lm,check", [])]:
        p = subprocess.run([STASIS, "-S", "-display", "none", "-monitor", "stdio", "-smp", "2",
                            "-cpu", text], text=True, input="quit\n", capture_output=True,
                           timeout=20, check=False)
        tap.check(p.returncode == 0 and p.stderr == "".join(
            f"stasis: warning: the CPU doesn't support requested feature: CPUID.{n}\n"
            for n in names), "-cpu " + text, p.stderr)


def exit_codes():
    """isa-debug-exit decides the exit status; the monitor writes its port."""
    with Vm("-M", "isapc", "-S", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04") as vm:
        vm.monitor.send("o /w 0xf4 0x10")
        tap.equal(vm.wait(10), 33, "isa-debug-exit")


def globals_():
    """-global is another default: the device's own options win, later ones over earlier ones."""
    with Vm("-M", "isapc", "-S", "-global", "isa-debug-exit.iobase=0xf0", "-device",
            "isa-debug-exit") as vm:
        vm.monitor.send("o /w 0xf0 0x10")
        tap.equal(vm.wait(10), 33, "-global moves a port")
    with Vm("-M", "isapc", "-S", "-global", "driver=isa-debug-exit,property=iobase,value=0xf0",
            "-device", "isa-debug-exit,iobase=0xf8") as vm:
        vm.cmd("o /w 0xf0 0x10")
        vm.monitor.send("o /w 0xf8 0x20")
        tap.equal(vm.wait(10), 65, "a device's own option wins over -global")
    with Vm("-M", "isapc", "-S", "-global", "isa-debug-exit.iobase=0xf0", "-global",
            "isa-debug-exit.iobase=0xf4", "-device", "isa-debug-exit") as vm:
        vm.monitor.send("o /w 0xf4 0x10")
        tap.equal(vm.wait(10), 33, "the last -global wins")


RESET = bytes.fromhex("b0fee664f4ebfd")  # mov al, 0FEh; out 64h, al; hlt; jmp


def boot_sector(path, code):
    with open(path, "wb") as f:
        f.write(code.ljust(510, b"\x90") + b"\x55\xaa" + bytes(1 << 20))
    return path


def old_net():
    """-net nic and -net user make what -nic makes, but for the vectors."""
    for halves in (("nic,model=e1000,macaddr=52:54:00:00:00:01", "user"),
                   ("user", "nic,model=e1000,macaddr=52:54:00:00:00:01")):
        with Vm("-net", halves[0], "-net", halves[1]) as vm:
            text = vm.cmd("info network")
            tap.check("mac=52:54:00:00:00:01" in text.replace("macaddr", "mac") and
                      "net=10.0.2.0" in text, "-net " + " -net ".join(halves), text)
            tap.check("8086:100e" in vm.cmd("info pci"), "its card", vm.cmd("info pci"))


def no_reboot():
    """A guest that resets itself: -no-reboot ends, -no-shutdown with it stops instead; -action says
    the same."""
    disk = boot_sector(os.path.join(TMP, "reset.img"), RESET)
    args = ("-M", "isapc", "-drive", f"file={disk},format=raw,if=ide")
    with Vm(*args, "-S", "-no-reboot") as vm:  # -S: or it may be gone before anybody speaks to it
        vm.monitor.send("cont")
        tap.equal(vm.wait(20), 0, "-no-reboot: the guest's reset ends the program")
    with Vm(*args, "-no-reboot", "-no-shutdown") as vm:
        tap.check(vm.wait_status("paused (shutdown)", 20),
                  "-no-reboot -no-shutdown: it stops instead", vm.cmd("info status"))
        vm.cmd("system_reset")
        vm.cmd("cont")
        tap.check(vm.wait_status("paused (shutdown)", 20), "after system_reset it runs again")
    with Vm(*args, "-S", "-action", "reboot=shutdown") as vm:
        vm.monitor.send("cont")
        tap.equal(vm.wait(20), 0, "-action reboot=shutdown: it ends the program")
    with Vm(*args, "-action", "reboot=shutdown,shutdown=pause") as vm:
        tap.check(vm.wait_status("paused (shutdown)", 20),
                  "-action reboot=shutdown,shutdown=pause: it stops", vm.cmd("info status"))
    with Vm(*args, "-action", "reboot=reset") as vm:
        time.sleep(1.5)
        tap.check(vm.wait_status("running"), "-action reboot=reset: it goes on")
    with Vm(*args) as vm:
        time.sleep(1.5)
        tap.check(vm.wait_status("running"), "without, it resets and goes on")
        vm.monitor.send("quit")
        tap.equal(vm.wait(10), 0, "quit")


def drives():
    disks = [image(os.path.join(TMP, f"d{i}.qcow2"), "1M") for i in range(4)]
    with Vm("-M", "pc", "-S", "-hda", disks[0], "-hdb", disks[1], "-drive",
            f"file={disks[2]},if=ide,index=3", "-drive", f"file={disks[3]},if=none,id=spare",
            "-drive", "media=cdrom") as vm:
        ids = re.findall(r"^([^ :\n]+)[: ]", vm.cmd("info block"), re.M)
        tap.equal(sorted(ids), ["ide0-hd0", "ide0-hd1", "ide1-cd0", "ide1-hd1", "spare"],
                  "default names")


def snapshot_mode():
    disk = image(os.path.join(TMP, "s.qcow2"), "1M")
    with open(disk, "rb") as f:
        before = f.read()
    with Vm("-M", "isapc", "-S", "-hda", disk, "-snapshot") as vm:
        tap.equal(vm.cmd("savevm x"), "", "savevm under -snapshot")
        vm.monitor.send("quit")
        vm.wait()
    with open(disk, "rb") as f:
        tap.check(f.read() == before, "-snapshot leaves the image as it was")


tap.run(answers, refuses, pidfile, daemonize, stdio, cpu_features, exit_codes, globals_, old_net,
        no_reboot, drives, snapshot_mode)
tap.finish()
