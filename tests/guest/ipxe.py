#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# TEST-TIMEOUT: 200
"""iPXE as a kernel: by itself it gets an address by DHCP; a script as its initial RAM disk fetches
over HTTP and says the address, with each kind of network card; another boots Linux over HTTP."""
import http.server
import os
import sys
import threading

sys.path[:0] = [os.environ["SRCDIR"] + "/tests", os.environ["SRCDIR"] + "/tests/lib"]
import guests
import linux686
import screen
from guest_vm import VM
from tap import Tap

TAP = Tap()
TMP = os.environ["TMPDIR"]
LONG = "TEST_LONG" in os.environ
SCRIPT = """#!ipxe
dhcp
echo ADDRESS ${net0/ip} BY ${net0/chip}
imgfetch --name thing http://10.0.2.2:%d/thing && echo FETCHED
shell
"""


BOOT = """#!ipxe
dhcp
kernel http://10.0.2.2:%d/vmlinuz initrd=initrd %s
initrd http://10.0.2.2:%d/initrd
boot
"""
FILES = {}  # path -> file


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = bytes(100000)
        if self.path in FILES:
            with open(FILES[self.path], "rb") as f:
                body = f.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start(*args, nic="user,model=ne2k_pci"):
    kernel = guests.package("ipxe") + "/boot/ipxe.lkrn"
    return VM("-M", "pc", "-m", "256", "-nodefaults", "-vga", "std", "-kernel", kernel, "-nic", nic,
              *args)


def alone():
    with start() as vm:
        shown = screen.wait(vm, r"net0: 10\.0\.2\.15/255\.255\.255\.0 gw 10\.0\.2\.2").string
        TAP.check("rtl8029" in shown, "an address by DHCP", shown)


def serve():
    """Answers the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def linux():
    FILES["/vmlinuz"], FILES["/initrd"] = linux686.files(TMP, modules=())
    port = serve()
    with open(TMP + "/boot", "w", encoding="ascii") as f:
        f.write(BOOT % (port, linux686.APPEND, port))
    for model in ["e1000"] + ["virtio-net-pci", "rtl8139", "ne2k_pci"] * LONG:
        with start("-initrd", TMP + "/boot", nic="user,model=" + model) as vm:
            linux686.ready(vm)
            text = vm.shell("cat /proc/cmdline")
            TAP.check(text.startswith("initrd=initrd console=ttyS0"),
                      model + ": Linux comes over HTTP", text)


def script():
    with open(TMP + "/script", "w", encoding="ascii") as f:
        f.write(SCRIPT % serve())
    for model in "rtl8139", "e1000", "virtio-net-pci":
        with start("-initrd", TMP + "/script", nic="user,model=" + model) as vm:
            shown = screen.wait(vm, r"FETCHED\n.*iPXE>").string
            TAP.check("ADDRESS 10.0.2.15 BY " in shown, f"{model}: an address, and HTTP", shown)
    with start("-initrd", TMP + "/script") as vm:
        shown = screen.wait(vm, r"FETCHED\n.*iPXE>").string
        TAP.check("ADDRESS 10.0.2.15 BY rtl8029" in shown, "a script from -initrd runs", shown)
        screen.type_keys(vm, "imgstat\n")
        shown = screen.wait(vm, r"imgstat\n.*iPXE>").string
        TAP.check("thing : 100000 bytes" in shown, "what it fetched is there", shown)


TAP.run(alone, script, linux)
TAP.finish()
