# SPDX-License-Identifier: MIT
"""Reads packet dumps (pcap, Ethernet)."""
import struct


def frames(path):
    """(seconds since 1970, bytes) of each frame; a last one that is still being written is left."""
    with open(path, "rb") as f:
        data = f.read()
    magic, _, _, _, _, _, link = struct.unpack_from("=IHHiIII", data)
    assert (magic, link) == (0xa1b2c3d4, 1), (hex(magic), link)
    out, at = [], 24
    while at + 16 <= len(data):
        sec, usec, kept, full = struct.unpack_from("=IIII", data, at)
        if at + 16 + kept > len(data):
            break
        assert kept == full, (kept, full)
        out.append((sec + usec / 1e6, data[at + 16:at + 16 + kept]))
        at += 16 + kept
    return out


def rarp(mac):
    """The frame by which a card with this address (bytes) announces itself."""
    return (b"\xff" * 6 + mac + bytes.fromhex("8035 0001 0800 06 04 0003") + mac + bytes(4) + mac +
            bytes(22))
