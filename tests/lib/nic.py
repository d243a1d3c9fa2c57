# SPDX-License-Identifier: MIT
"""What a network card has to carry, whichever it is."""
import hashlib
import os
import time

import web
from guest_vm import TIMES, VM

PAYLOAD = os.urandom(3000000)
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()
SERVER = web.serve(PAYLOAD)


def works(tap, vm, what):
    """Linux's eth0, at 10.0.2.15, moves megabytes both ways."""
    text = vm.shell(f"wget -q -O /tmp/f http://10.0.2.2:{SERVER.port}/; sha256sum /tmp/f", 120)
    tap.check(DIGEST in text, what + ": what Linux fetches arrives whole", text)
    upload = web.Upload()
    vm.shell(f"nc 10.0.2.2 {upload.port} < /tmp/f", 120)
    upload.join(20)
    tap.equal(upload.digest, DIGEST, what + ": and what it sends")
    text = vm.shell("ifconfig eth0; dmesg | grep -E 'Call Trace|WATCHDOG|Hang|hung|timeout'")
    tap.check("RX packets" in text and text.count("errors:0 dropped:0 overruns:0") == 2 and
              not any(w in text for w in ("Trace", "WATCHDOG", "Hang")), what + ": no complaint",
              text)


def pxe(tap, model):
    """iPXE from the card's ROM."""
    tmp, rom = os.environ["TMPDIR"], f"/usr/lib/ipxe/qemu/efi-{model}.rom"
    if not os.path.exists(rom):
        tap.skip("iPXE", f"no {rom}: package ipxe-qemu")
        return
    os.mkdir(tmp + "/tftp")
    with open(tmp + "/tftp/boot.ipxe", "w", encoding="ascii") as f:
        f.write("#!ipxe\nimgfetch http://10.0.2.2:%d/ipxe ||\nshell\n" % SERVER.port)
    vm = VM("-M", "pc", "-m", "64", "-nodefaults", "-vga", "std", "-boot", "n", "-nic",
            f"user,model={model},tftp={tmp}/tftp,bootfile=boot.ipxe")
    end = time.monotonic() + 120 * TIMES
    while "/ipxe" not in SERVER.asked and time.monotonic() < end:
        time.sleep(0.1)
    tap.check("/ipxe" in SERVER.asked, "iPXE gets an address, a script by TFTP, a file by HTTP")
    vm.quit()
    vm.kill()
