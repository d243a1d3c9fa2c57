# SPDX-License-Identifier: MIT
"""Bochs without a window, as Debian packs it: one more oracle, and one to compare with."""

HERE = "/usr/share/bochs/"
OPTIONS = f"""romimage: file={HERE}BIOS-bochs-latest
vgaromimage: file={HERE}VGABIOS-lgpl-latest
clock: sync=none
panic: action=fatal
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
display_library: rfb, options="timeout=0"
"""


def command(base, *options):
    """What to run for a machine of these options, lines of its configuration.  BASE.* are files of
    its own.  It has a debugger, which is told to go on."""
    with open(base + ".bochsrc", "w") as f:
        f.write(OPTIONS + f"log: {base}.bochs-log\n" + "".join(o + "\n" for o in options))
    with open(base + ".commands", "w") as f:
        f.write("c\n")
    return ["bochs", "-q", "-f", base + ".bochsrc", "-rc", base + ".commands"]


def disk(path):
    """The options that boot this image, of 2016 sectors."""
    return (f"ata0-master: type=disk, mode=flat, path={path}, cylinders=2, heads=16, spt=63",
            "boot: disk")


DISK_BYTES = 2 * 16 * 63 * 512
