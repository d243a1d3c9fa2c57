# SPDX-License-Identifier: MIT
"""Raw disks that a guest boots from: file systems made of a folder, a partition table, boot loaders
written into both by hand, so that neither root nor a loop device is needed."""
import os
import shutil
import struct
import subprocess

FIRST = 2048  # sector of the first partition
GRUB = "/usr/lib/grub/i386-pc"


def tree(folder, files):
    """Writes files (name -> text, bytes, or None for an empty folder) below folder."""
    for name, what in files.items():
        path = os.path.join(folder, name)
        if what is None:
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(what.encode() if isinstance(what, str) else what)
        os.chmod(path, 0o755)
    return folder


def _run(*argv):
    r = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert r.returncode == 0, f"{argv}: {r.stdout}{r.stderr}"
    return r.stdout


def tool(name):
    """Where a program is, also one that is not for users; None."""
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def ext(path, mib, folder=None, kind="ext4"):
    """A file system that holds what is in folder, all of it root's."""
    source = ["-d", folder] if folder else []
    _run(tool("mke2fs"), "-q", "-F", "-t", kind, "-E", "root_owner=0:0", *source, path, f"{mib}M")
    return path


def read_ext(path, name, offset=0):
    """A file's content in such a file system, which begins at an offset."""
    r = subprocess.run([tool("debugfs"), "-R", f"cat {name}", f"{path}?offset={offset}"],
                       capture_output=True, check=True)
    return r.stdout


def mbr(path, filesystem, kind=0x83, code=b""):
    """A disk whose one partition, an active one, is a copy of the file system."""
    sectors = os.path.getsize(filesystem) // 512
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", FIRST, sectors)
    with open(path, "wb") as f:
        f.write(code.ljust(440, b"\0")[:440] + b"STAS\0\0" + entry + bytes(48) + b"\x55\xaa")
        f.truncate(FIRST * 512)
    with open(path, "r+b") as out, open(filesystem, "rb") as f:
        out.seek(FIRST * 512)
        shutil.copyfileobj(f, out)
    return path


def grub(path, core):
    """Puts GRUB's boot sector into the disk's, and its core image behind it."""
    with open(GRUB + "/boot.img", "rb") as f:
        boot = f.read()
    with open(core, "rb") as f:
        image = f.read()
    assert len(image) <= (FIRST - 1) * 512
    with open(path, "r+b") as f:
        f.write(boot[:440])
        f.seek(512)
        f.write(image)


def grub_core(path, prefix, modules=("biosdisk", "part_msdos", "ext2")):
    _run("grub-mkimage", "-d", GRUB, "-O", "i386-pc", "-o", path, "-p", prefix, *modules)
    return path


def without_mode(kernel):
    """A multiboot kernel with no mode of the display asked for in its header."""
    at = kernel.index(struct.pack("<I", 0x1badb002))
    magic, flags, check = struct.unpack_from("<3I", kernel, at)
    assert flags & 4 and (magic + flags + check) & 0xffffffff == 0
    return kernel[:at] + struct.pack("<3I", magic, flags - 4, check + 4) + kernel[at + 12:]
