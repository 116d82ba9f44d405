"""What the members of a bundle come in after people had it in their hands: archives of their own programs and folders, good
and hostile. `archives()` and `folders()` give each with what a verifier has to make of it."""

import io
import os
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import archive_forgeries

INTACT, REFUSED = True, False
LEFT = {".DS_Store": b"\0\0\0\1Bud1", "entries/.DS_Store": b"x", "Thumbs.db": b"\xd0\xcf\x11\xe0", "keys/Desktop.ini": b"[x]",
        "__MACOSX/._manifest.json": b"\0\5\x16\7", "__MACOSX/entries/._x.json": b"x", "openings/._y": b"x"}


@dataclass(frozen=True)
class Container:
    name: str
    data: bytes
    intact: bool


def zipped(members, compression=zipfile.ZIP_DEFLATED, change=lambda info: None, comment=b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        file.comment = comment
        for name, data in members.items() if isinstance(members, dict) else members:
            info = zipfile.ZipInfo(name, (2026, 11, 29, 8, 30, 0))
            info.compress_type = compression
            info.external_attr = 0o100644 << 16
            change(info)
            file.writestr(info, data)
    return out.getvalue()


def by_zip(members: dict[str, bytes], directory: Path, folder: str = "", streamed: bool = False) -> bytes:
    """What Info-ZIP makes of the files."""
    root = directory / (folder or "files")
    write(members, root)
    target = directory / "made.zip"
    where, what = (directory, folder) if folder else (root, ".")
    if streamed:        # sizes stand behind the contents
        done = subprocess.run(f"zip -q -r - {what} | cat", shell=True, cwd=where, capture_output=True, check=True)
        return done.stdout
    subprocess.run(["zip", "-q", "-r", target, what], cwd=where, check=True)
    return target.read_bytes()


def write(members: dict[str, bytes], root: Path) -> Path:
    for name, data in members.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def below(folder: str, members: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in members.items()}


def archives(members: dict[str, bytes], directory: Path) -> Iterator[Container]:
    """Each with whether its contents are the bundle's."""
    first = next(iter(members))
    yield Container("another order", zipped(dict(reversed(members.items())), zipfile.ZIP_STORED), INTACT)
    yield Container("deflated", zipped(members), INTACT)
    yield Container("a comment", zipped(members, comment=b"Bates 0001-0042"), INTACT)
    yield Container("by zip", by_zip(members, directory / "1"), INTACT)
    yield Container("by zip into a pipe", by_zip(members, directory / "2", streamed=True), INTACT)
    yield Container("the folder, by zip", by_zip(members, directory / "3", "case-42"), INTACT)
    yield Container("a folder in Chinese", zipped(below("证据/第 1 号", members)), INTACT)
    yield Container("file managers' leavings", zipped(members | LEFT), INTACT)
    yield Container("a folder and leavings", zipped(
        below("case", members) | {"__MACOSX/case/._checkpoint": b"x", "case/.DS_Store": b"x", ".DS_Store": b"y"}), INTACT)
    yield Container("directories", zipped({"entries/": b"", "keys/": b""} | members), INTACT)
    yield Container("made on another system", zipped(members, change=lambda info: setattr(info, "create_system", 0)), INTACT)

    yield Container("a member left out", zipped({n: d for n, d in members.items() if n != "checkpoint"}), REFUSED)
    yield Container("a member more", zipped(members | {"entries/0000000000000099.json": b"{}"}), REFUSED)
    yield Container("a file that is no member", zipped(members | {"notes.txt": b"see page 3"}), REFUSED)
    yield Container("a byte more in a member", zipped(members | {"checkpoint": members["checkpoint"] + b"\n"}), REFUSED)
    yield Container("a member twice", twice(members, "checkpoint"), REFUSED)
    yield Container("two folders", zipped(below("a", members) | below("b", members)), REFUSED)
    yield Container("a member outside of the folder", zipped(below("a", members) | {"b.txt": b"x"}), REFUSED)
    for name in ("../evil", "a/../b", "/evil", "a//b", "./a", "a\\b", "a\nb"):
        yield Container(f"the name {name!r}", zipped(members | {name: b"x"}), REFUSED)
    for name, intact in odd_names():
        yield Container(f"passed over: {name[:40]!r}", zipped(members | {name: b"x"}), intact)
    yield Container("a folder's name with a control character", zipped({"a\1/": b""} | members), REFUSED)
    yield Container("a link", zipped(members, change=lambda info: setattr(
        info, "external_attr", 0o120777 << 16 if info.filename == "checkpoint" else 0o100644 << 16)), REFUSED)
    yield Container("another compression", zipped(members, zipfile.ZIP_BZIP2), REFUSED)
    plain = zipped(members, zipfile.ZIP_STORED)
    yield Container("encrypted", flagged(plain, 1), REFUSED)
    yield Container("another local name", plain.replace(first.encode(), b"X" * len(first), 1), REFUSED)
    yield Container("a claim of 4 GiB", claiming(zipped(members), 2**32 - 2), REFUSED)
    yield Container("more than it claims", claiming(zipped(members), 1), REFUSED)
    yield Container("nothing where much is claimed", bomb(members), REFUSED)
    yield Container("members that share their bytes", overlapping(members), REFUSED)
    yield Container("the end cut off", zipped(members)[:-30], REFUSED)
    yield Container("a second end record in the comment", zipped(members, comment=b"PK\5\6" + bytes(18)), REFUSED)
    yield Container("bytes before it", b"MZ" + bytes(510) + plain, REFUSED)
    yield Container("bytes behind it", plain + b"x", REFUSED)
    for name, data in archive_forgeries.lookalikes(members):
        yield Container(name, data, INTACT)
    for forgery in archive_forgeries.forgeries(members):
        yield Container(forgery.name, forgery.data, REFUSED)


def folders(members: dict[str, bytes], directory: Path) -> Iterator[tuple[str, Path, bool]]:
    yield "a folder", write(members, directory / "plain"), INTACT
    yield "a folder in a folder", write(below("case", members), directory / "nested"), INTACT
    yield "leavings", write(members | LEFT, directory / "left"), INTACT
    for number, (name, intact) in enumerate(odd_names()):
        yield f"passed over: {name[:40]!r}", write(members | {name: b"x"}, directory / f"odd{number}"), intact
    for number, name in enumerate(["a\1", "a\nb", "a\\b", "/".join("a" * 17)]):
        (write(members, directory / f"folder{number}") / name).mkdir(parents=True)
        yield f"the empty folder {name!r}", directory / f"folder{number}", REFUSED
    yield "a file left out", write({n: d for n, d in members.items() if n != "checkpoint"}, directory / "less"), REFUSED
    yield "a file more", write(members | {"entries/0000000000000099.json": b"{}"}, directory / "more"), REFUSED
    yield "a file that is no member", write(members | {"notes.txt": b"x"}, directory / "notes"), REFUSED
    yield "a byte more in a file", write(members | {"checkpoint": members["checkpoint"] + b"\n"}, directory / "byte"), REFUSED
    document, forged = archive_forgeries.true_and_forged(members)
    for name in (f"proofs/{document}", f"zz/{document}"):
        yield f"a true copy at {name}", write(members | {document: forged, name: members[document]}, directory / name[:2]), REFUSED
    linked = write({n: d for n, d in members.items() if n != "checkpoint"}, directory / "linked")
    (directory / "outside").write_bytes(members["checkpoint"])
    os.symlink(directory / "outside", linked / "checkpoint")
    yield "a link", linked, REFUSED
    folder = write({n: d for n, d in members.items() if not n.startswith("keys/")}, directory / "folder")
    os.symlink(write({n: d for n, d in members.items() if n.startswith("keys/")}, directory / "keys") / "keys", folder / "keys")
    yield "a link for a folder", folder, REFUSED
    os.mkfifo(write(members, directory / "pipe") / "originals.txt")
    yield "a pipe", directory / "pipe", REFUSED
    (directory / "empty").mkdir()
    yield "nothing", directory / "empty", REFUSED


def odd_names() -> Iterator[tuple[str, bool]]:
    """Names of files that are passed over, but for some of them: every reader draws the line at the same place."""
    for bad in ("\n", "\r", "\t", "\1", "\x1f", "\x7f", "\\"):
        yield from ((f"._a{bad}b", REFUSED), (f"a{bad}b/._x", REFUSED))
    for good in (" ", "\u0080", "\u00e9", "\u202e", "\u8bc1", "?", "'", '"', "$(x)", "-"):
        yield from ((f"._a{good}b", INTACT), (f"{good}a/._x", INTACT))
    parts = "/".join("d" * 250 for _ in range(4))
    for length, intact in ((1024, INTACT), (1025, REFUSED)):
        yield parts + "/._" + "x" * (length - len(parts) - 3), intact
    yield "/".join("e" * 15) + "/._x", INTACT
    yield "/".join("e" * 16) + "/._x", REFUSED


def twice(members: dict[str, bytes], name: str) -> bytes:
    """zipfile warns of it, and makes it."""
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zipped([*members.items(), (name, members[name])])


def records(data: bytes) -> Iterator[int]:
    """Where each record of the directory begins."""
    count, = struct.unpack_from("<H", data, len(data) - 12)
    at, = struct.unpack_from("<I", data, len(data) - 6)
    for _ in range(count):
        yield at
        name, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        at += 46 + name + extra + comment


def flagged(data: bytes, flag: int) -> bytes:
    changed = bytearray(data)
    at = next(records(data))
    changed[at + 8] |= flag
    changed[struct.unpack_from("<I", data, at + 42)[0] + 6] |= flag
    return bytes(changed)


def claiming(data: bytes, size: int) -> bytes:
    """With another size of the first member's content than it has."""
    changed = bytearray(data)
    at = next(records(data))
    struct.pack_into("<I", changed, at + 24, size)
    struct.pack_into("<I", changed, struct.unpack_from("<I", data, at + 42)[0] + 22, size)
    return bytes(changed)


def bomb(members: dict[str, bytes]) -> bytes:
    """A text that claims to be a gibibyte and one byte."""
    data = zipped(members)
    changed = bytearray(data)
    for at in records(data):
        if data[at + 46:at + 56] == b"VERIFY.txt":
            struct.pack_into("<I", changed, at + 24, 2**30 + 1)
            struct.pack_into("<I", changed, struct.unpack_from("<I", data, at + 42)[0] + 22, 2**30 + 1)
    return bytes(changed)


def overlapping(members: dict[str, bytes]) -> bytes:
    """A member whose header and content stand within another's content, which has them for its own."""
    inner = zipped({"originals/9.bin": b"y" * 10}, zipfile.ZIP_STORED)
    start = next(records(inner))
    data = zipped(members | {"originals/8.bin": inner[:start]}, zipfile.ZIP_STORED)
    end, record = len(data) - 22, bytearray(inner[start:len(inner) - 22])
    struct.pack_into("<I", record, 42, data.index(inner[:start]))
    count, size = struct.unpack_from("<H", data, end + 10)[0] + 1, struct.unpack_from("<I", data, end + 12)[0] + len(record)
    changed = bytearray(data[:end] + bytes(record) + data[end:])
    struct.pack_into("<HHI", changed, len(changed) - 22 + 8, count, count, size)
    return bytes(changed)
