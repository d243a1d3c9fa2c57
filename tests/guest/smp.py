#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Several CPUs under Debian's kernels: all of them work, interrupt one another, and go on where
they were after a snapshot, a migration, and a journey to QEMU and back; without ACPI, too."""
import os
import re
import shutil
import sys
import time

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
from guest_vm import TIMES, VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
LONG = bool(os.environ.get("TEST_LONG"))
COMPLAINTS = "dmesg | grep -E 'BUG:|Oops|Call Trace|segfault|WARNING|rcu.*stall|not responding'"
# A checksum of a chain: whoever loses or repeats a step ends with another one.
COUNT = ("x={seed}; i=0; while [ $i -lt {steps} ]; do "
         "x=$(( (x * 1103515245 + 12345) % 2147483648 )); i=$((i+1)); done; echo $x")


def expected(seed, steps):
    x = seed
    for _ in range(steps):
        x = (x * 1103515245 + 12345) % 2147483648
    return x


def options(cpus, disk, machine="pc", cpu="pentium3"):
    return ["-M", machine, "-cpu", cpu, "-m", "96", "-nodefaults", "-smp", str(cpus), "-drive",
            f"file={disk},format=qcow2,if=ide,index=0,id=hd0"]


def mp_table():
    """Without ACPI the kernel finds CPUs and interrupts in SeaBIOS's MP table, one CPU of each socket
    (more, where a CPU's CPUID says that its socket has several, SeaBIOS leaves out)."""
    kernel, initrd = linux686.files(TMP, modules=("ata_piix", "sd_mod"), setup=b"")
    for sockets in 2, 1:
        with linux686.boot(["-M", "pc", "-cpu", "pentium3", "-m", "96", "-nodefaults", "-smp",
                            f"2,sockets={sockets}", "-kernel", kernel, "-initrd", initrd, "-append",
                            linux686.APPEND + " acpi=off"]) as vm:
            what = f"MP table, {sockets} sockets"
            said = vm.shell("dmesg")
            TAP.check("MPTABLE: OEM ID: BOCHSCPU" in said and f"Processors: {sockets}\n" in said,
                      what + ": the kernel takes it", said)
            TAP.equal(vm.shell("nproc").strip(), str(sockets), what + ": nproc")
            TAP.check(re.search(r"IO-APIC +4-edge +ttyS0", vm.shell("cat /proc/interrupts")),
                      what + ": interrupts come by the I/O APIC")
            TAP.equal(vm.shell(COMPLAINTS).strip(), "", what + ": the kernel complains of nothing")


def boot(cpus, disk, arch):
    modules = ("ata_piix", "sd_mod")
    if arch == "i386":
        kernel, initrd = linux686.files(TMP, modules=modules, setup=b"")
        cpu = "pentium3"
    else:
        kernel, folder = guests.kernel("linux-image-cloud-amd64", "amd64")
        initrd = guests.initramfs(TMP + "/initrd64.gz", folder, linux686.closure(folder, modules),
                                  arch="amd64")
        cpu = "max" if cpus == 2 else "qemu64"  # max has a timer by the TSC
    args = options(cpus, disk, cpu=cpu)
    return args, linux686.boot([*args, "-kernel", kernel, "-initrd", initrd, "-append",
                                linux686.APPEND + " apic_extnmi=all"])


def timer(vm):
    """What the first CPU's APIC timer is used as."""
    m = re.search(r"Clock Event Device: (lapic\S*)", vm.shell("cat /proc/timer_list"))
    return m and m[1]


def start_work(vm, cpus, steps):
    """A process on each CPU counts."""
    for i in range(cpus):
        vm.shell(f"( taskset {1 << i:x} sh -c '{COUNT.format(seed=i + 1, steps=steps)}' "
                 f"> /tmp/sum{i} ) & :")


def check_work(vm, cpus, steps, what):
    vm.shell("wait", 300)
    got = vm.shell("cat " + " ".join(f"/tmp/sum{i}" for i in range(cpus))).split()
    TAP.equal(got, [str(expected(i + 1, steps)) for i in range(cpus)], what + ": every CPU's sum")
    TAP.equal(vm.shell(COMPLAINTS).strip(), "", what + ": the kernel complains of nothing")


def messages(vm):
    """Interrupts between CPUs so far, by CPU."""
    sums = {}
    for line in vm.shell("grep -E 'RES|CAL|TLB' /proc/interrupts").splitlines():
        for i, n in enumerate(re.findall(r"\s(\d+)(?=\s)", line)):
            sums[i] = sums.get(i, 0) + int(n)
    return sums


def check_button(vm, what):
    """The NMI button reaches every CPU by LINT1."""
    counts = []
    for press in (False, True):
        if press:
            vm.hmp("nmi")
        # The kernel says on the console that it knows no reason.
        line = re.search(r"NMI:((?: +\d+)+)", vm.shell("grep NMI: /proc/interrupts"))
        counts.append([int(n) for n in line[1].split()])
    TAP.equal(counts[1], [n + 1 for n in counts[0]], what + ": the button gives each an NMI")


def work(cpus, arch, steps):
    what = f"{arch}, {cpus} CPUs"
    disk = linux686.disk(f"{TMP}/{arch}{cpus}.qcow2")
    args, vm = boot(cpus, disk, arch)
    TAP.equal(vm.shell("nproc").strip(), str(cpus), what + ": nproc")
    if "max" in args:
        TAP.equal(timer(vm), "lapic-deadline", what + ": the timer's deadline is the TSC's")
    check_button(vm, what)
    start_work(vm, cpus, steps)
    TAP.equal(vm.hmp("savevm busy"), "", what + ": savevm")
    check_work(vm, cpus, steps, what)
    sent = messages(vm)
    TAP.check(len(sent) >= cpus and all(sent[i] > 0 for i in range(cpus)),
              what + ": CPUs interrupt one another", repr(sent))
    vm.quit()
    vm.kill()
    return what, disk, args


def again(what, disk, args, cpus, steps):
    shutil.copy(disk, disk + ".copy")
    vm = VM(*[a.replace(disk, disk + ".copy") for a in args], "-loadvm", "busy")
    TAP.equal(vm.shell("nproc").strip(), str(cpus), what + ": another process loads the snapshot")
    check_work(vm, cpus, steps, what + " after loadvm")
    vm.quit()
    vm.kill()


def hop(what, disk, args, cpus, steps, stations):
    """The snapshot's guest moves from one emulator to the next while it computes."""
    vm = VM(*args, "-loadvm", "busy")
    for n, qemu in enumerate(stations):
        uri = f"unix:{TMP}/hop{n}"
        there = [a.replace("pc", "pc-i440fx-7.2,usb=off,vmport=off") if a == "pc"
                 else a for a in args] if qemu else args
        new = VM(*there, "-incoming", uri, emulator="qemu-system-x86_64" if qemu else None)
        vm.hmp("migrate_set_parameter downtime-limit 2000")
        vm.hmp("migrate " + uri)
        where = what + (" in QEMU" if qemu else " after migration")
        TAP.check("completed" in vm.hmp("info migrate"), where + ": it goes there",
                  vm.hmp("info migrate"))
        vm.kill()
        vm = new
        vm.wait_status("running")
        TAP.equal(vm.shell("nproc", 120).strip(), str(cpus), where + ": a shell answers")
    check_work(vm, cpus, steps, what + " after its journey")
    vm.quit()
    vm.kill()


def postcopy(what, disk, args, cpus, steps):
    """The CPUs compute on while their pages come behind them."""
    vm = VM(*args, "-loadvm", "busy")
    new = VM(*args, "-incoming", f"unix:{TMP}/post")
    for v in (vm, new):
        v.hmp("migrate_set_capability postcopy-ram on")
    vm.hmp("migrate_set_parameter max-bandwidth 4M")
    vm.hmp(f"migrate -d unix:{TMP}/post")
    time.sleep(0.5)
    TAP.equal(vm.hmp("migrate_start_postcopy"), "", what + ": post-copy begins")
    end = time.monotonic() + 60 * TIMES
    while "completed" not in vm.hmp("info migrate") and time.monotonic() < end:
        time.sleep(0.2)
    TAP.check("completed" in vm.hmp("info migrate"), what + ": all pages have come",
              vm.hmp("info migrate"))
    vm.kill()
    new.wait_status("running")
    check_work(new, cpus, steps, what + " after post-copy")
    new.quit()
    new.kill()


def off_and_on():
    """A CPU is stopped, and started again by INIT out of long mode."""
    what = "amd64, a CPU off and on"
    _, vm = boot(2, linux686.disk(f"{TMP}/onoff.qcow2"), "amd64")
    TAP.equal(timer(vm), "lapic-deadline", what + ": the timer's deadline is the TSC's")
    TAP.check("PAT: Configuration" in vm.shell("dmesg"), what + ": the kernel uses the PAT")
    for online, count in ((0, 1), (1, 2)):
        vm.shell(f"echo {online} > /sys/devices/system/cpu/cpu1/online", 60)
        TAP.equal(vm.shell("nproc").strip(), str(count), f"{what}: online is {online}")
    TAP.equal(vm.shell("taskset 2 sh -c 'echo $((6 * 7))'").strip(), "42", what + ": it works")
    TAP.equal(vm.shell(COMPLAINTS).strip(), "", what + ": the kernel complains of nothing")
    vm.quit()
    vm.kill()


def two():
    steps = 8000
    what, disk, args = work(2, "i386", steps)
    again(what, disk, args, 2, steps)
    hop(what, disk, args, 2, steps, [False])
    if LONG:
        postcopy(what, disk, args, 2, steps)
    if LONG and shutil.which("qemu-system-x86_64"):
        hop(what, disk, args, 2, steps, [True, False])


def four():
    steps = 10000
    what, disk, args = work(4, "amd64", steps)
    again(what, disk, args, 4, steps)
    hop(what, disk, args, 4, steps, [False, False])
    work(4, "i386", steps)
    what, disk, args = work(2, "amd64", steps)
    again(what, disk, args, 2, steps)


TAP.run(two, off_and_on, mp_table, *[four] * LONG)
TAP.finish()
