# SPDX-License-Identifier: MIT
"""For tests in C: prints what a guest consists of, a path a line.  `memtest`: the binary; `linux`:
kernel, and an initramfs that comes up under load.  Status 77 where it cannot be had."""
import os
import sys

LIB = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(LIB), LIB]
import guests
import linux686

# Frames from one card to the other, disk and memory all the time.
LOAD = linux686.SETUP + b"""
ifconfig eth0 10.9.0.1 netmask 255.255.255.0 up
ifconfig eth1 10.9.1.1 netmask 255.255.255.0 up
arp -s 10.9.0.2 52:54:00:12:34:57
(while true; do ping -c 1 -W 1 -s 1400 10.9.0.2 & usleep 3000; done) >/dev/null 2>&1 &
(while true; do dd if=/dev/urandom of=/dev/sda bs=16k count=4 seek=9 conv=fsync; done) \
    >/dev/null 2>&1 &
(while true; do dd if=/dev/sda of=/dev/null bs=64k count=8 iflag=direct; done) >/dev/null 2>&1 &
"""

try:
    if sys.argv[1] == "memtest":
        print(guests.package("memtest86+") + "/boot/memtest86+ia32.bin")
    else:
        tmp = os.environ["TMPDIR"]
        print("\n".join(linux686.files(tmp, setup=LOAD)))
except guests.Unavailable as e:
    print(e)
    sys.exit(77)
