# SPDX-License-Identifier: MIT
"""Debian's i386 kernel with a busybox initramfs as a guest: options, and a snapshot of it booted, so
that a test that needs a running Linux does not boot one each time."""
import fcntl
import os
import subprocess
import time

import guests
from guest_vm import STASIS, VM

IMG = os.environ.get("STASIS_IMG", "build/stasis-img")
WHOLE = "console=ttyS0 panic=-1"
# Without its check of the timer, which gives the I/O APIC up where the host had no time for us
# meanwhile, and without what takes two thirds of a boot: tests of its ciphers, a search of the ISA bus.
APPEND = WHOLE + " no_timer_check cryptomgr.notests noisapnp"
MACHINE = ["-M", "pc", "-cpu", "pentium3", "-m", "64", "-nodefaults", "-vga", "std"]

SETUP = b"""
ifconfig eth0 >/dev/null 2>&1 && ifconfig eth0 up
"""


# Writes the disk, drops the caches, reads it back, over and over.
BUSY = rb"""#!/bin/sh
i=0
while [ $i -lt ${1:-400} ]; do
  i=$((i+1))
  dd if=/dev/urandom of=/tmp/r bs=4k count=16 2>/dev/null
  s=$(md5sum < /tmp/r)
  dd if=/tmp/r of=/dev/sda bs=64k seek=$((i%100+16)) conv=fsync 2>/dev/null
  echo 5 > /proc/sys/vm/drop_caches
  t=$(dd if=/dev/sda bs=64k skip=$((i%100+16)) count=1 2>/dev/null | md5sum)
  [ "$s" = "$t" ] || echo "MISMATCH $i"
  usleep 1000
  echo "step $i"
done
echo ALL WELL
"""


def closure(modules_dir, names):
    """The modules with what they depend on, in an order that insmod takes."""
    import glob
    deps, paths = {}, {}
    for p in glob.glob(modules_dir + "/kernel/**/*.ko*", recursive=True):
        paths[os.path.basename(p).split(".ko")[0]] = p
    order = []

    def visit(n):
        if n in order or n not in paths:
            return
        if n not in deps:
            with open(paths[n], "rb") as f:
                data = f.read()
            if paths[n].endswith(".xz"):
                import lzma
                data = lzma.decompress(data)
            i = data.find(b"depends=")
            deps[n] = data[i + 8:data.index(b"\0", i)].decode().split(",") if i >= 0 else []
        for d in deps[n]:
            visit(d.replace("-", "_") if d.replace("-", "_") in paths else d.replace("_", "-")
                  if d not in paths else d)
        order.append(n)

    for n in names:
        visit(n)
    return order


def files(tmp, modules=("ne2k-pci", "ata_piix", "sd_mod", "button", "evdev"), setup=SETUP):
    """(kernel, initrd) in tmp."""
    kernel, mods = guests.kernel_686()
    initrd = tmp + "/initrd.gz"
    guests.initramfs(initrd, mods, closure(mods, modules), setup=setup,
                     extra={"busy.sh": BUSY})
    return kernel, initrd


def disk(path, size="64M"):
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", path, size], check=True)
    return path


def options(kernel, initrd, disk_path=None, nic="user,model=ne2k_pci", append=APPEND):
    o = MACHINE + ["-kernel", kernel, "-initrd", initrd, "-append", append]
    if disk_path:
        o += ["-drive", f"file={disk_path},format=qcow2,if=ide,index=0,id=hd0"]
    if nic:
        o += ["-nic", nic]
    return o


def ready(vm, timeout=240):
    """Until the initramfs has its shell; from here on no line editing, no echo and no word of the
    kernel's: for VM.shell."""
    vm.serial.expect("GUEST READY", timeout)
    vm.serial.expect("# ", 30)
    vm.serial.send("stty -echo; dmesg -n 1; echo QUI''ET; while read -r l; do eval \"$l\"; done\n")
    vm.serial.expect("QUIET\r?\n", 30)
    return vm


def boot(opts, timeout=240, **kw):
    return ready(VM(*opts, **kw), timeout)


def booted(tmp):
    """A copy of a disk that holds the snapshot "booted" of a Linux with disk, network and shell, and
    the options to start it with.  Made once per build of the emulator."""
    cache = os.path.join(guests.CACHE, "booted")
    os.makedirs(cache, exist_ok=True)
    image, initrd = cache + "/disk.qcow2", cache + "/initrd.gz"
    with open(cache + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(os.path.getmtime(p) for p in (STASIS, __file__, guests.__file__))
        if not os.path.exists(image) or os.path.getmtime(image) < newest:
            files(cache)
            kernel = guests.kernel_686()[0]
            if os.path.exists(image):
                os.unlink(image)
            disk(image + ".new")
            vm = boot(options(kernel, initrd, image + ".new"))
            text = vm.hmp("savevm booted")
            assert text == "", text
            vm.quit()
            vm.kill()
            os.rename(image + ".new", image)
        kernel = guests.kernel_686()[0]
        copy = f"{tmp}/booted{time.monotonic_ns()}.qcow2"
        subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    return copy, options(kernel, initrd, copy) + ["-loadvm", "booted"]
