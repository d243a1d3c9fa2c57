#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 400
"""Debian's i386 kernel: boots to a shell, gets an address by DHCP, fetches a file over HTTP from the
host, writes its disk."""
import http.server
import os
import sys
import threading

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import linux686
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
PAYLOAD = os.urandom(300000)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAYLOAD)))
        self.end_headers()
        self.wfile.write(PAYLOAD)

    def log_message(self, *_):
        pass


def linux():
    import hashlib
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kernel, initrd = linux686.files(TMP)
    disk = linux686.disk(TMP + "/d.qcow2")
    vm = linux686.boot(linux686.options(kernel, initrd, disk, append=linux686.WHOLE))
    TAP.check("Linux" in vm.shell("uname -a"), "a shell answers")
    TAP.check("Pentium III" in vm.shell("cat /proc/cpuinfo"), "the CPU is what was asked for")
    text = vm.shell("udhcpc -i eth0 -n -q -s /usr/share/udhcpc/default.script 2>&1")
    TAP.check("DHCP GOT 10.0.2.15" in text, "an address by DHCP", text)
    text = vm.shell(f"wget -q -O /tmp/f http://10.0.2.2:{server.server_address[1]}/ "
                    "&& sha256sum /tmp/f", 120)
    TAP.check(hashlib.sha256(PAYLOAD).hexdigest() in text, "a file over HTTP", text)
    vm.shell("dd if=/tmp/f of=/dev/sda bs=4k conv=fsync 2>/dev/null")
    vm.shell("echo 3 > /proc/sys/vm/drop_caches")
    text = vm.shell(f"head -c {len(PAYLOAD)} /dev/sda | sha256sum")
    TAP.check(hashlib.sha256(PAYLOAD).hexdigest() in text, "the disk holds what was written", text)
    text = vm.shell("dmesg | grep -E 'BUG:|Oops|Call Trace|lost interrupt|qc timeout|alg: .*fail'")
    TAP.equal(text.strip(), "", "the kernel complains of nothing")
    vm.quit()
    vm.kill()


TAP.run(linux)
TAP.finish()
