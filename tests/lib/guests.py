# SPDX-License-Identifier: MIT
"""Guests from Debian's packages: fetched once into build/guests, unpacked, never installed.

A private apt state (another architecture, other lists) is used, so nothing of the machine changes
and no root is needed.
"""
import fcntl
import glob
import gzip
import os
import shutil
import subprocess
import tempfile

from tap import Skip

PATIENCE = int(os.environ.get("TEST_FETCH_SECONDS", "240"))  # under a test's own limit
BUILD = os.environ.get("BUILDDIR", "build")
CACHE = os.path.abspath(os.path.join(BUILD, "guests"))


class Unavailable(Skip):
    """A guest cannot be had here: the test skips with this word."""


def _apt(arch, *args, cwd=None):
    """What it complained of, None where it did what it was asked."""
    state = os.path.join(CACHE, "apt-" + arch)
    for d in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(state, d), exist_ok=True)
    status = os.path.join(state, "status")
    open(status, "a").close()
    options = {
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "Dir::State::lists": state + "/lists",
        "Dir::Cache": state + "/cache",
        "Dir::State::status": status,
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
    }
    cmd = ["apt-get", "-qq"]
    for k, v in options.items():
        cmd += ["-o", f"{k}={v}"]
    with tempfile.TemporaryFile("w+") as said:  # no pipe, which apt's helpers would keep open
        try:
            status = subprocess.run(cmd + list(args), cwd=cwd, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=said, check=False,
                                    timeout=PATIENCE).returncode
        except subprocess.TimeoutExpired:
            return f"apt-get {args[0]} took longer than {PATIENCE} s"
        said.seek(0)
        return (said.read().strip()[:200] or f"apt-get's status {status}") if status else None


def _update(arch):
    state = os.path.join(CACHE, "apt-" + arch)
    os.makedirs(state, exist_ok=True)
    with open(state + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(state + "/updated"):
            return
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise Unavailable("apt-get and dpkg-deb are needed to fetch guests")
        wrong = _apt(arch, "update")  # one of several may be out of order: what came will do
        if not glob.glob(state + "/lists/*Packages*"):
            raise Unavailable(f"Debian's package lists cannot be fetched: {wrong or 'none came'}")
        open(state + "/updated", "w").close()


def package(name, arch="amd64"):
    """The folder in which the package (not its dependencies) is unpacked."""
    out = os.path.join(CACHE, f"{name}-{arch}")
    os.makedirs(CACHE, exist_ok=True)
    with open(out + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(out):
            return out
        _update(arch)
        tmp = out + ".tmp"
        shutil.rmtree(tmp, ignore_errors=True)
        os.makedirs(tmp)
        wrong = _apt(arch, "download", name, cwd=tmp)
        debs = glob.glob(tmp + "/*.deb")
        if wrong or not debs:
            raise Unavailable(f"package {name} cannot be fetched: {wrong or 'none came'}")
        r = subprocess.run(["dpkg-deb", "-x", debs[0], tmp + "/root"], capture_output=True, text=True,
                           check=False)
        if r.returncode:
            raise Unavailable(f"package {name} cannot be unpacked: {r.stderr.strip()[:200]}")
        os.rename(tmp + "/root", out)
        shutil.rmtree(tmp)
    return out


def depends(name, arch):
    """The packages that a package depends on directly."""
    _update(arch)
    state = os.path.join(CACHE, "apt-" + arch)
    r = subprocess.run(
        ["apt-cache", "-o", f"APT::Architecture={arch}", "-o", f"APT::Architectures={arch}", "-o",
         f"Dir::State::lists={state}/lists", "-o", f"Dir::Cache={state}/cache", "-o",
         f"Dir::State::status={state}/status", "depends", name],
        capture_output=True, text=True)
    return [l.split(":")[1].strip() for l in r.stdout.splitlines()
            if l.strip().startswith("Depends:")]


def kernel(meta, arch):
    """(path of vmlinuz, folder of its modules) of the kernel that a Debian metapackage names."""
    image = next((d for d in depends(meta, arch) if d.startswith("linux-image-")), None)
    if not image:
        raise Unavailable(f"package {meta} is not in Debian's lists for {arch}")
    root = package(image, arch)
    return (glob.glob(root + "/boot/vmlinuz-*")[0], glob.glob(root + "/lib/modules/*")[0])


def kernel_686():
    """Debian's i386 kernel for 686 without PAE."""
    return kernel("linux-image-686", "i386")


# -- initramfs (cpio "newc") --

def _cpio_entry(name, mode, data=b"", rdev=(0, 0), ino=[1]):
    ino[0] += 1
    name = name.encode() + b"\0"
    fields = [ino[0], mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name), 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def cpio(files):
    """files: name -> bytes, "link target" as str, None for a folder, or (major, minor)."""
    out = b""
    for name, what in files.items():
        if what is None:
            out += _cpio_entry(name, 0o40755)
        elif isinstance(what, str):
            out += _cpio_entry(name, 0o120777, what.encode())
        elif isinstance(what, tuple):
            out += _cpio_entry(name, 0o20666, rdev=what)
        else:
            out += _cpio_entry(name, 0o100755, what)
    return out + _cpio_entry("TRAILER!!!", 0)


INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for m in $(cat /modules/order); do insmod /modules/$m; done
ip link set lo up 2>/dev/null
[ -x /setup ] && . /setup
echo GUEST READY
while :; do setsid cttyhack sh; done
"""

UDHCPC = b"""#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/${mask:-24} dev $interface
[ -n "$router" ] && ip route add default via $router
echo "DHCP GOT $ip"
"""


def _module(folder, name):
    found = glob.glob(f"{folder}/**/{name}.ko*", recursive=True)
    if not found:
        raise Unavailable(f"module {name} is not in the kernel's package")
    with open(found[0], "rb") as f:
        data = f.read()
    if found[0].endswith(".xz"):
        import lzma
        data = lzma.decompress(data)
    return data


def initramfs(path, modules_dir, modules=(), setup=b"", arch="i386", extra=None):
    """A busybox initramfs with these modules, loaded in order; it prints GUEST READY."""
    busybox = package("busybox-static", arch) + "/bin/busybox"
    if not os.path.exists(busybox):
        busybox = package("busybox-static", arch) + "/usr/bin/busybox"
    files = {d: None for d in ("bin", "dev", "proc", "sys", "etc", "tmp", "mnt", "modules",
                               "usr", "usr/share", "usr/share/udhcpc")}
    with open(busybox, "rb") as f:
        files["bin/busybox"] = f.read()
    files["bin/sh"] = "busybox"
    files["init"] = INIT
    files["dev/console"] = (5, 1)
    files["dev/null"] = (1, 3)
    files["usr/share/udhcpc/default.script"] = UDHCPC
    for m in modules:
        files[f"modules/{m}.ko"] = _module(modules_dir, m)
    files["modules/order"] = " ".join(m + ".ko" for m in modules).encode()
    if setup:
        files["setup"] = setup
    files.update(extra or {})
    with open(path, "wb") as f:
        f.write(gzip.compress(cpio(files), 6, mtime=0))
    return path
