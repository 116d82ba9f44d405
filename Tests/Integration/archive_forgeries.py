"""Archives that two programs read differently, built field by field: `forgeries()` of a bundle, and what is sound and looks
like one, `lookalikes()`. Where a program shows the forged document in place of the true one, the forgery names it."""

import struct
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

LOCAL, RECORD, END, DESCRIPTOR = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\7\x08"
FILE, LINK = 0o100644 << 16, 0o120777 << 16
BEHIND, UTF8 = 8, 0x800


@dataclass
class Member:
    """A member as both headers state it; the local header as `local` says where it differs."""

    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    extra: bytes = b""
    comment: bytes = b""
    made: int = 0x314
    attributes: int = FILE
    # What stands behind the content, with the next member or the directory after it; what stands behind deflated bytes.
    behind: bytes | None = None
    tail: bytes = b""
    crc: int | None = None
    local: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.crc is None:
            self.crc = zlib.crc32(self.data)
        deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.stored = (deflated.compress(self.data) + deflated.flush() if self.method else self.data) + self.tail
        if self.behind is None:
            self.behind = DESCRIPTOR + self.values if self.flags & BEHIND else b""

    @property
    def values(self) -> bytes:
        return struct.pack("<3I", self.crc, len(self.stored), len(self.data))

    def header(self, **changes) -> bytes:
        has = {"name": self.name, "flags": self.flags, "method": self.method, "values": self.values, "extra": self.extra}
        has |= changes
        return struct.pack("<5H", 20, has["flags"], has["method"], 0, 0x21) + has["values"] + struct.pack(
            "<2H", len(has["name"]), len(has["extra"]))

    def whole(self) -> bytes:
        has = {"name": self.name, "extra": self.extra} | self.local
        return LOCAL + self.header(**self.local) + has["name"] + has["extra"] + self.stored + self.behind

    def record(self, offset: int) -> bytes:
        return RECORD + struct.pack("<H", self.made) + self.header() + struct.pack(
            "<3H2I", len(self.comment), 0, 0, self.attributes, offset) + self.name + self.extra + self.comment


def contents(members: list[Member]) -> bytes:
    return b"".join(member.whole() for member in members)


def directory(members: list[Member], base: int = 0) -> bytes:
    records = b""
    for member in members:
        records += member.record(base)
        base += len(member.whole())
    return records


def end(count: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    return END + struct.pack("<4H2IH", 0, 0, count, count, size, offset, len(comment)) + comment


def zip64(count: int, size: int, offset: int, place: int) -> bytes:
    """An end record of ZIP64, which stands at a place, and the locator that leads to it."""
    record = b"PK\6\6" + struct.pack("<Q2H2I4Q", 44, 0x32D, 45, 0, 0, count, count, size, offset)
    return record + b"PK\6\7" + struct.pack("<IQI", 0, place, 1)


def packed(members: list[Member], comment: bytes = b"", before: bytes = b"", between: bytes = b"") -> bytes:
    front, records = before + contents(members) + between, directory(members, len(before))
    return front + records + end(len(members), len(records), len(front), comment)


def extra(kind: int, data: bytes) -> bytes:
    return struct.pack("<2H", kind, len(data)) + data


def path(name: bytes, other: bytes) -> bytes:
    """A Unicode path of Info-ZIP: the name that counts, for a header with this one."""
    return extra(0x7075, struct.pack("<BI", 1, zlib.crc32(name)) + other)


@dataclass(frozen=True)
class Forgery:
    name: str
    data: bytes
    # Which program takes the forged document out of it in place of the true one: "zipfile", "unzip", or "stream".
    shown_by: str | None = None


def true_and_forged(members: dict[str, bytes]) -> tuple[str, bytes]:
    """The name of a document, and another document of its length."""
    name = next(name for name in members if name.startswith("originals/"))
    return name, (b"Forged: pay to bearer. " * len(members[name]))[:len(members[name])]


def forgeries(files: dict[str, bytes]) -> Iterator[Forgery]:
    document, forged = true_and_forged(files)
    name, leaving = document.encode(), b"__MACOSX/._1.txt"
    made = [Member(each.encode(), data) for each, data in files.items()]
    lie = [replace(each, data=forged, crc=None) if each.name == name else each for each in made]

    def changed(which: bytes = name, **changes) -> list[Member]:
        return [replace(each, crc=changes.get("crc"), behind=changes.get("behind"), **{
            key: value for key, value in changes.items() if key not in ("crc", "behind")}) if each.name == which else each
            for each in made]

    # Two directories.
    both, (true, false) = contents(made) + contents(lie), (directory(made), directory(lie, len(contents(made))))
    inner = len(both) + len(true) + 22
    yield Forgery("the true directory, and the forged one in its comment", both + true + end(
        len(made), len(true), len(both), false + end(len(made), len(false), inner)), "zipfile")
    both, (false, true) = contents(lie) + contents(made), (directory(lie), directory(made, len(contents(lie))))
    yield Forgery("the forged directory, and the true one in its comment", both + false + end(
        len(made), len(false), len(both), true + end(len(made), len(true), len(both) + len(false) + 22)))
    for title, first, second, by_locator, other in (("forged", lie, made, "zipfile", "stream"), ("true", made, lie, "unzip", "zipfile")):
        front, hidden = contents(first), directory(first)
        whole = zip64(len(first), len(hidden), len(front), len(front) + len(hidden))
        base = len(front) + len(hidden) + 56
        last = [*second[:-1], replace(second[-1], comment=whole[56:])]
        visible = directory(last, base)
        yield Forgery(f"a locator to a {title} directory before the members", front + hidden + whole[:56] + contents(
            last) + visible + end(len(last), len(visible), base + len(contents(last))), other)
        both = contents(second) + contents(first)
        hidden = directory(first, len(contents(second)))
        place = len(both) + len(directory(second))
        whole = hidden + zip64(len(first), len(hidden), place, place + len(hidden))
        last = [*second[:-1], replace(second[-1], comment=whole)]
        visible = directory(last)
        yield Forgery(f"a {title} directory by ZIP64 in a comment", both + visible + end(
            len(last), len(visible), len(both)), by_locator)
        # With nothing but members before the directory: those of the other directory lie in what is passed over.
        nest = replace(made[0], name=leaving, data=contents(first), crc=None)
        plain = [nest, *second]
        hidden, place = directory(first, len(nest.whole()) - len(contents(first))), len(contents(plain))
        place += len(directory(plain))
        whole = hidden + zip64(len(first), len(hidden), place, place + len(hidden))
        last = [*plain[:-1], replace(plain[-1], comment=whole)]
        yield Forgery(f"a {title} directory by ZIP64, its members passed over", packed(last), by_locator)
    nest = replace(made[0], name=leaving, data=contents(lie), crc=None)
    where = len(contents(made)) + len(nest.whole()) - len(nest.data)
    hidden = directory(lie, where)
    nest = replace(nest, data=nest.data + hidden + end(len(lie), len(hidden), where + len(nest.data)), crc=None)
    yield Forgery("a forged archive in what is passed over, first to who searches from the front", packed([*made, nest]))
    yield Forgery("an end record in a member's comment", packed([*made[:-1], replace(made[-1], comment=end(0, 0, 0, bytes(22)))]))
    yield Forgery("an end record in the comment", packed(made, comment=end(0, 0, 0)))
    yield Forgery("the signature of an end record in the comment", packed(made, comment=END))

    # Two names.
    swap = {name: leaving, leaving: name}
    for title, in_directory, in_header, shown in (("both headers", True, True, "unzip"), ("the directory", True, False, "unzip"),
                                                  ("the local header", False, True, None)):
        given = [*made, Member(leaving, forged)]
        given = [replace(each, extra=path(each.name, swap[each.name]) if in_directory else b"", local={
            "extra": path(each.name, swap[each.name]) if in_header else b""}) if each.name in swap else each for each in given]
        yield Forgery(f"another name by an extra field of {title}", packed(given), shown)
    for title, data in (("of ZIP64", extra(1, bytes(16))), ("of encryption", extra(0x9901, b"\2\0AE\3\0\0")),
                        ("that nobody knows", extra(0x7A7A, b"x")), ("of a link", extra(0x756E, bytes(14))), ("cut off", b"UT\5\0\1"),
                        ("of two bytes", b"UT")):
        yield Forgery(f"an extra field {title} in both headers", packed(changed(extra=data)))
        yield Forgery(f"an extra field {title} in the local header", packed(changed(local={"extra": data})))
    yield Forgery("a name with a byte order mark", packed([*made, Member("\ufeff".encode() + name, forged, flags=UTF8)]))
    yield Forgery("a list of digests with a byte order mark", packed(
        changed(b"SHA256SUMS", data="\ufeff".encode() + files["SHA256SUMS"])))
    yield Forgery("a file __MACOSX", packed([*made, Member(b"__MACOSX", forged)]))
    gbk = "\u8aa0\u4fe1/".encode("gbk").replace(b"/", b"\x5c/")
    yield Forgery("a folder with half a character that is a backslash", packed(
        [replace(each, name=gbk + each.name) for each in made]))

    # Bytes of no member.
    hidden = Member(name, forged).whole()
    yield Forgery("a program before the first member", packed(made, before=b"#!/bin/sh\nexit\n"))
    yield Forgery("a forged member before the first", packed(made, before=hidden))
    yield Forgery("a forged member behind the last", packed(made, between=hidden), "stream")
    yield Forgery("a forged member between two", packed(changed(behind=hidden)), "stream")
    yield Forgery("a byte between two", packed(changed(behind=b"\0")))
    for method in (0, 8):
        zeros = {"values": bytes(12)} if method else {"values": struct.pack("<3I", 0, len(files[document]), len(files[document]))}
        sound = Member(name, files[document], method, BEHIND, local=zeros)
        for title, behind in (("another checksum", DESCRIPTOR + bytes(4) + sound.values[4:]), ("another size", sound.values[:8] + bytes(4)),
                              ("none", b""), ("one of ZIP64", DESCRIPTOR + struct.pack("<I2Q", *struct.unpack("<3I", sound.values))),
                              ("a forged member behind it", DESCRIPTOR + sound.values + hidden)):
            yield Forgery(f"a descriptor, method {method}: {title}", packed(
                [replace(sound, behind=behind) if each.name == name else each for each in made]),
                "stream" if "forged" in title else None)
        for title, values in (("wrong", struct.pack("<3I", 7, 7, 7)), ("halfway", bytes(8) + b"\1\0\0\0")):
            yield Forgery(f"a local header that waits for a descriptor, method {method}: {title}", packed(
                [replace(sound, local={"values": values}) if each.name == name else each for each in made]))
        yield Forgery(f"a descriptor that the directory does not know of, method {method}", packed(
            changed(method=method, behind=DESCRIPTOR + sound.values, local={"flags": BEHIND})))
        yield Forgery(f"a descriptor that only the directory knows of, method {method}", packed(
            changed(method=method, flags=BEHIND, behind=b"", local={"flags": 0})))
    yield Forgery("a stored member whose length a descriptor tells", packed(changed(flags=BEHIND, local={"values": bytes(12)})))
    yield Forgery("a name in two encodings", packed(changed(local={"flags": UTF8})))
    for which in (name, leaving):
        last = Member(which, files[document], 8, BEHIND, local={"values": bytes(12)})
        last.tail = DESCRIPTOR + last.values + hidden
        last.__post_init__()
        last.behind = DESCRIPTOR + last.values
        given = [last if each.name == which else each for each in made] if which == name else [*made, last]
        yield Forgery(f"a forged member within {which.decode()}, behind its end", packed(given), "stream")
    yield Forgery("a directory with a content", packed([*made, Member(b"keys/", forged, attributes=0o40755 << 16)]))
    yield Forgery("a directory with a deflated content", packed([*made, replace(Member(
        b"keys/", b"", 8, attributes=0o40755 << 16), tail=b"x")]))

    # Other kinds of files, whoever made them.
    for made_by in (0x14, 0x0A14, 0x0B14, 0x314, 0x1314):
        yield Forgery(f"a link made by system {made_by >> 8}", packed(
            [*made, Member(b"__MACOSX/x", b"/etc/passwd", made=made_by, attributes=LINK)]))
    yield Forgery("a device", packed(changed(made=0x14, attributes=0o060644 << 16)))
    yield Forgery("a file that is a directory by its attributes", packed(changed(made=0x14, attributes=0x10)))
    yield Forgery("another checksum of what is passed over", packed([*made, Member(leaving, forged, crc=7)]))


def lookalikes(files: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Sound, and every program agrees."""
    made = [Member(each.encode(), data) for each, data in files.items()]
    times = extra(0x5455, b"\3" + bytes(8)) + extra(0x7875, b"\1\4\0\0\0\0\4\0\0\0\0") + extra(0x000A, bytes(32))
    yield "times and owners", packed([replace(each, extra=times, local={"extra": extra(0x5455, b"\1\0\0\0\0")}) for each in made])
    yield "the same name once more", packed([replace(each, extra=path(each.name, each.name)) for each in made])
    for title, change in (("zeros", bytes(12)), ("the values", None)):
        waiting = [Member(each.name, each.data, 8, BEHIND, local={"values": change} if change else {}) for each in made]
        yield f"descriptors, {title} before", packed(waiting)
        yield f"descriptors without signature, {title} before", packed([replace(each, behind=each.values) for each in waiting])
    yield "stored, with descriptors", packed([replace(each, flags=BEHIND, behind=None, crc=None) for each in made])
    folders = [Member(b"keys/", b"", attributes=0o40755 << 16 | 0x10),
               Member(b"entries/", b"", 8, BEHIND, attributes=0, made=0x14, local={"values": bytes(12)})]
    yield "directories, stored and deflated", packed([*folders, *made])
    yield "a directory of a file's mode", packed([*made, Member(b"keys/", b"")])
    yield "an archive in what is passed over", packed([*made, Member(b"__MACOSX/a.zip", packed(made[:3]))])
    yield "the directory in another order", _reordered(made)


def _reordered(made: list[Member]) -> bytes:
    records, place = [], 0
    for member in made:
        records.append(member.record(place))
        place += len(member.whole())
    joined = b"".join(reversed(records))
    return contents(made) + joined + end(len(made), len(joined), place)


def shown(program: str, data: bytes, directory: Path) -> dict[str, bytes]:
    """What a program takes out of an archive."""
    directory.mkdir(parents=True)
    (directory / "case.zip").write_bytes(data)
    if program == "zipfile":
        with zipfile.ZipFile(directory / "case.zip") as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    if program == "unzip":
        subprocess.run(["unzip", "-o", "-q", "case.zip", "-d", "out"], cwd=directory, capture_output=True)
        return {str(each.relative_to(directory / "out")): each.read_bytes()
                for each in (directory / "out").rglob("*") if each.is_file()}
    return streamed(data)


def streamed(data: bytes) -> dict[str, bytes]:
    """What a program finds that reads from the first byte on, and never sees the directory: later members win."""
    found, at = {}, 0
    while data[at:at + 4] == LOCAL:
        flags, method = struct.unpack_from("<2H", data, at + 6)
        size, = struct.unpack_from("<I", data, at + 18)
        name, more = struct.unpack_from("<2H", data, at + 26)
        start = at + 30 + name + more
        engine = zlib.decompressobj(-15)
        content = engine.decompress(data[start:]) if method else data[start:start + size]
        found[data[at + 30:at + 30 + name].decode()] = content
        at = len(data) - len(engine.unused_data) if method else start + size
        if flags & BEHIND:
            at += 16 if data[at:at + 4] == DESCRIPTOR else 12
    return found
