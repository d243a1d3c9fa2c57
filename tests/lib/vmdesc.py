# SPDX-License-Identifier: MIT
"""Decodes a whole stream by the description behind it and nothing else: what is known here is the
framing, RAM's records and the widths of types, not one device.  Used to judge a description: what is
decoded must come out to the byte.  `vmdesc.py FILE` prints the stream as JSON, in the form of
`stasis-img stream dump`."""
import hashlib
import json
import struct
import sys
import zlib

PAGE, CHUNK = 4096, 1 << 20
EOF, START, PART, END, FULL, SUBSECTION, VMDESC, CONFIGURATION, COMMAND, FOOTER = \
    0, 1, 2, 3, 4, 5, 6, 7, 8, 0x7e
ZERO, MEM_SIZE, DATA, EOS, CONTINUE, XBZRLE, COMPRESS = 2, 4, 8, 0x10, 0x20, 0x40, 0x100
POSTCOPY_PACKAGED = 7


class Bad(Exception):
    """The stream is not what its description, or the format, says."""


class Reader:
    def __init__(self, data):
        self.data, self.pos = data, 0

    def take(self, n):
        if self.pos + n > len(self.data):
            raise Bad(f"{n} bytes wanted at {self.pos} of {len(self.data)}")
        self.pos += n
        return self.data[self.pos - n:self.pos]

    def int(self, n, signed=False):
        return int.from_bytes(self.take(n), "big", signed=signed)

    def name(self):
        return self.take(self.int(1)).decode()

    def peek(self):
        return self.data[self.pos] if self.pos < len(self.data) else None


def number(v):
    """Beyond what a double holds exactly: as text."""
    return v if abs(v) <= 1 << 53 else f"0x{v & (1 << 64) - 1:016x}"


def integer(r, type_, size):
    return number(r.int(size, type_.startswith(("int", "timer"))))


def plain(r, field):
    type_, size = field["type"], field["size"]
    if type_.startswith(("uint", "int", "timer")) and size <= 8:
        return integer(r, type_, size)
    if type_ == "bool":
        return r.int(size) != 0
    if type_ == "nullptr":
        if r.take(size) != b"0":
            raise Bad("no mark of a null pointer")
        return None
    if type_ == "pci irq state":
        return [r.int(4) for _ in range(size // 4)]
    return r.take(size).hex()


def element(r, field):
    start = r.pos
    if field["type"] == "struct":
        value = table(r, field["struct"])
    elif field["type"] == "tmp" and "fields" in field:
        value = table(r, field)
    else:
        value = plain(r, field)
    if r.pos - start != field["size"]:
        raise Bad(f"field {field['name']} takes {r.pos - start} bytes, described as {field['size']}")
    return value


def table(r, desc):
    """A table's fields, then the subsections that the description lists."""
    out = {}
    for field in desc["fields"]:
        name = field["name"]
        if "index" in field:
            values = out.setdefault(name, [])
            if len(values) != field["index"]:
                raise Bad(f"element {field['index']} of {name} behind {len(values)} others")
            values.append(element(r, field))
        else:
            if name in out:
                raise Bad(f"two fields {name}")
            n = field.get("array_len")
            out[name] = element(r, field) if n is None else [element(r, field) for _ in range(n)]
    for sub in desc.get("subsections", ()):
        mark, name, version = r.int(1), r.name(), r.int(4)
        if (mark, name, version) != (SUBSECTION, sub["vmsd_name"], sub["version"]):
            raise Bad(f"subsection {name} version {version}, described as {sub['vmsd_name']}")
        out.setdefault("subsections", {})[name] = table(r, sub)
    return out


def xbzrle(page, delta):
    """Runs of what is the same and what is not, in turn, each behind its length."""
    r, at, same = Reader(delta), 0, True
    page = bytearray(page)
    while r.pos < len(delta):
        n = shift = 0
        while True:
            b = r.int(1)
            n |= (b & 0x7f) << shift
            shift += 7
            if not b & 0x80:
                break
        if not same:
            page[at:at + n] = r.take(n)
        at, same = at + n, not same
    if len(page) != PAGE:
        raise Bad("an XBZRLE page runs over")
    return bytes(page)


class Block:
    def __init__(self, name, size):
        self.name, self.size, self.pages = name, size, {}

    def page(self, at):
        return self.pages.get(at, bytes(PAGE))

    def summary(self):
        """The digest is over the pages that are not zero: each behind its offset."""
        digest = hashlib.sha256()
        zero = 0
        for at, page in sorted(self.pages.items()):
            if page == bytes(PAGE):
                zero += 1
            else:
                digest.update(struct.pack(">Q", at) + page)
        return {"name": self.name, "size": self.size, "pages": len(self.pages), "zero": zero,
                "sha256": digest.hexdigest()}


class Stream:
    """Attributes: machine, configuration, blocks, disks, commands, devices, raw (their bytes), extra,
        desc."""

    def __init__(self, data):
        self.machine, self.configuration, self.blocks, self.commands = None, {}, {}, []
        self.devices, self.block, self.disks, self.raw = [], None, {}, {}
        self.desc, self.end = self.description(data)
        self.waiting = list(self.desc["devices"])
        self.extra = {k: v for k, v in self.desc.items() if k not in ("page_size", "devices")}
        self.footers = True
        r = Reader(data)
        if r.take(4) != b"QEVM" or r.int(4) != 3:
            raise Bad("no stream of version 3")
        self.sections(r, {})
        if r.pos != self.end:
            raise Bad(f"the sections end at {r.pos}, the description begins at {self.end}")
        if self.waiting:
            raise Bad(f"described and not there: {self.waiting[0]['name']}")

    @staticmethod
    def description(data):
        """It is the last thing in the stream, behind its length."""
        at = data.rfind(b'{"page_size"')
        if at < 5 or data[at - 5] != VMDESC:
            raise Bad("no description")
        if struct.unpack(">I", data[at - 4:at])[0] != len(data) - at:
            raise Bad("a description of another length")
        return json.loads(data[at:]), at - 5

    def sections(self, r, names):
        while True:
            type_ = r.int(1)
            if type_ == EOF:
                return
            if type_ == CONFIGURATION:
                self.configure(r)
                continue
            if type_ == COMMAND:
                self.command(r, names)
                continue
            id_ = r.int(4)
            if type_ in (START, FULL):
                names[id_] = name, instance, version = r.name(), r.int(4), r.int(4)
                if type_ == FULL:
                    self.device(r, name, instance, version)
            elif type_ not in (PART, END):
                raise Bad(f"section type {type_} at {r.pos}")
            if type_ != FULL:
                if names[id_][0] not in ("ram", "block"):
                    raise Bad(f"section {names[id_][0]} in rounds")
                (self.ram if names[id_][0] == "ram" else self.chunks)(r)
            if r.peek() == FOOTER:
                if (r.int(1), r.int(4)) != (FOOTER, id_):
                    raise Bad(f"another footer behind {names[id_][0]}")
            else:
                self.footers = False

    def configure(self, r):
        self.machine = r.take(r.int(4)).decode()
        while r.peek() == SUBSECTION:
            r.int(1)
            name, _ = r.name(), r.int(4)
            what = name.split("/")[1]
            if what == "uuid":
                value = r.take(16).hex()
            elif what == "capabilities":
                value = [r.name() for _ in range(r.int(4))]
            else:
                value = r.int(4)
            self.configuration[what] = value

    def command(self, r, names):
        number_, data = r.int(2), r.take(r.int(2))
        self.commands.append({"command": number_, "data": data.hex()})
        if number_ == POSTCOPY_PACKAGED:
            self.sections(Reader(r.take(int.from_bytes(data, "big"))), names)

    def device(self, r, name, instance, version):
        """By the next description of that name: some have two of one instance."""
        found = [d for d in self.waiting if (d["name"], d["instance_id"]) == (name, instance)]
        if not found:
            raise Bad(f"section {name} {instance} is not described")
        desc, start = found[0], r.pos
        self.waiting.remove(desc)
        if desc.get("version", version) != version:
            raise Bad(f"{name}: version {version}, described as {desc['version']}")
        fields = table(r, desc)
        if desc.get("size", r.pos - start) != r.pos - start:
            raise Bad(f"{name}: {r.pos - start} bytes, described as {desc['size']}")
        self.raw[name, instance] = r.data[start:r.pos]
        self.devices.append({"name": name, "instance_id": instance, "version": version,
                             "fields": fields})

    def ram(self, r):
        while True:
            word = r.int(8)
            flags, at = word & 0xfff, word & ~0xfff
            if flags == EOS:
                return
            if flags == MEM_SIZE:
                self.ram_list(r, at)
                continue
            if not flags & CONTINUE:
                self.block = self.blocks[r.name()]
            self.ram_page(r, flags & ~CONTINUE, at)

    def ram_list(self, r, total):
        shared = "x-ignore-shared" in self.configuration.get("capabilities", ())
        while total > 0:
            name, size = r.name(), r.int(8)
            self.blocks[name] = Block(name, size)
            total -= size
            if shared:
                r.int(8)

    def ram_page(self, r, flags, at):
        pages = self.block.pages
        if at >= self.block.size:
            raise Bad(f"page {at:#x} of {self.block.name}")
        if flags == ZERO:
            pages[at] = r.take(1) * PAGE
        elif flags == DATA:
            pages[at] = r.take(PAGE)
        elif flags == COMPRESS:
            pages[at] = zlib.decompress(r.take(r.int(4)))
        elif flags == XBZRLE:
            if r.int(1) != 1:
                raise Bad("unknown encoding of a delta")
            pages[at] = xbzrle(self.block.page(at), r.take(r.int(2)))
        else:
            raise Bad(f"RAM record {flags:#x}")

    def chunks(self, r):
        """A disk's, each of 1 MiB: sector numbers and flags."""
        while True:
            word = r.int(8)
            flags, at = word & 0x1ff, word & ~0x1ff
            if flags == 2:
                return
            if flags == 4:  # so many per cent
                continue
            if flags not in (1, 9):
                raise Bad(f"block record {flags:#x}")
            name = r.name()
            data = bytes(CHUNK) if flags == 9 else r.take(CHUNK)
            disk = self.disks.setdefault(name, Block(name, 0))
            disk.size = max(disk.size, at + CHUNK)
            for i in range(0, CHUNK, PAGE):
                disk.pages[at + i] = data[i:i + PAGE]

    def device_fields(self, name, instance=0):
        return [d["fields"] for d in self.devices
                if (d["name"], d["instance_id"]) == (name, instance)][0]

    def dump(self):
        out = {"version": 3, "machine": self.machine, "configuration": self.configuration}
        if self.commands:
            out["commands"] = self.commands
        out["devices"] = self.devices
        out.update(self.extra)
        out["ram"] = [b.summary() for b in self.blocks.values()]
        if self.disks:
            out["disks"] = [b.summary() for b in self.disks.values()]
        return out


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as f:
        print(json.dumps(Stream(f.read()).dump(), indent=2))
