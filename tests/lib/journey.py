# SPDX-License-Identifier: MIT
"""A guest goes to QEMU and comes back."""
import os

from guest_vm import VM

QEMU = "qemu-system-x86_64"


def move(tap, vm, options, qemu):
    """By a stream in a file, to a new emulator with the same options, which goes on; answers it."""
    if not qemu:
        vm.hmp("stop")  # QEMU may lose what a guest writes meanwhile: docs/interop.md
    stream = os.environ["TMPDIR"] + "/stream"
    vm.hmp(f'migrate "exec:cat > {stream}"')
    status, text = vm.wait_migration()
    tap.check(status == "completed", "a stream is written", text)
    vm.quit()
    vm.kill()
    vm = VM(*options, "-incoming", f"exec:cat {stream}", emulator=QEMU if qemu else None)
    vm.wait_status("running|paused$")
    if "paused" in vm.hmp("info status"):
        vm.hmp("cont")
    return vm
