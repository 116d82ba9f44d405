"""Tests/Verifier/evidenced_verify.py, written from ledger-format.md alone, agrees with the program, and with the
document's own example; and it refuses what was changed. It runs as whoever gets it would run it: as a program."""

import base64
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import events
from bundle_cases import Story
from ledger import Ledger
from page_bundles import INDEPENDENT, Tree

CHECKOUT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("EVIDENCED_LONG", "") not in ("", "0")
VERIFY_SECONDS = 60
SMALLEST, LARGEST = 3, 600  # a ledger that runs has three entries: its creation and two of its start
EDGES = {3, 4, 5, 255, 256, 257, 258, 510, 511, 512, 513, 514, 600}
SAMPLES = EDGES | set(random.Random(1).sample(sorted(set(range(SMALLEST, LARGEST)) - EDGES), 25 - len(EDGES)))
SIZES = range(SMALLEST, LARGEST + 1) if LONG else sorted(SAMPLES)


def verify(*args, status: int | None = 0) -> str:
    """What the verifier said; its exit status must be `status`, where 0 becomes 2 if no key is given, and None is 0 or 1."""
    if status == 0 and "--key" not in args:
        status = 2
    done = subprocess.run(
        [sys.executable, str(INDEPENDENT), *map(str, args)], capture_output=True, text=True, timeout=VERIFY_SECONDS,
        stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    said = done.stdout + done.stderr
    status = done.returncode if status is None else status
    assert done.returncode == status and (status is None or status in (0, 1, 2, 64)), f"{args}: {done.returncode}\n{said}"
    begins = {0: ("KEYS MATCH: ",), 1: ("REFUSED: ", "NOT THIS KEY: "), 2: ("NOT CONFIRMED whose ledger this is",), 64: ("REFUSED: --key",)}
    assert said.startswith(begins[status]), said
    assert said.startswith("REFUSED: ") or "Only keys are compared: who the operator is, and who signed a contract, is not checked." in said
    assert status in (0, 2) or said.count("\n") == 1, said
    return said


def export(ledger, directory) -> Path:
    ledger.evidence("tiles", "export", directory)
    return Path(directory)


def bundle(ledger, *args) -> Path:
    ledger.bundles = getattr(ledger, "bundles", 0) + 1
    path = ledger.root / f"v{ledger.bundles}.zip"
    ledger.evidence("bundle", *args, "-o", path)
    return path


def members(path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(files: dict, path, remake_sums=True) -> Path:
    """A bundle of these members; SHA256SUMS is made to match them, or left as it is."""
    names = sorted(files, key=str.encode)
    if remake_sums:
        listed = [name for name in names if name != "SHA256SUMS"]
        sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in listed)
        files = files | {"SHA256SUMS": sums.encode()}
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files, key=str.encode):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[name])
    return Path(path)


def positions(content: bytes) -> list[int]:
    """Where to change a byte: at the ends, and between."""
    return sorted({0, len(content) // 3, len(content) * 3 // 4, len(content) - 1})


def changed(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def write(directory, files: dict) -> Path:
    for name, content in files.items():
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Path(directory)


def canonical(value) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_it_stays_short_enough_to_be_read():
    """In two files: what judges, and what tells beside the verdict. They import nothing of ours but each other."""
    files = sorted(INDEPENDENT.parent.glob("*.py"))
    assert [path.name for path in files] == ["beside_the_verdict.py", "evidenced_verify.py"]
    imported = set()
    for path, limit in zip(files, (260, 560), strict=True):
        lines = path.read_text().splitlines()
        assert len(lines) < limit and max(map(len, lines)) <= 110, path
        imported |= {name.split(".")[0] for line in lines if (found := re.match("(?:import|from) (.+?)(?: import .*)?$", line))
                     for name in found[1].split(", ")}
    assert imported - set(sys.stdlib_module_names) == {"beside_the_verdict", "cryptography"}


# Section 13


class Example:
    """What section 13 of the document prints, and what follows from it."""

    def __init__(self):
        text = (CHECKOUT / "ledger-format.md").read_text()
        section = text[text.index("\n## 13. ") : text.index("\n## 14. ")]
        blocks = [block.split("\n")[:-1] for block in re.findall(r"```text\n(.*?)```", section, re.S)]
        (self.public,), (self.vkey,), openings, entries, leaves, roots, note, *_ = blocks
        self.entries = [entry.encode() for entry in re.findall(r"printf '%s' '(\{.*\})' > entry", section)]
        assert [str(len(entry)) for entry in self.entries] == entries[:3]
        self.leaves = [bytes.fromhex(line.split()[0]) for line in leaves[:3]]
        self.roots = {2 + n: bytes.fromhex(line.split()[0]) for n, line in enumerate(roots)}
        self.checkpoint = "\n".join([*note, ""]).encode()
        self.openings = {"sha256": "\n".join(openings[:4]).encode(), "size": "\n".join(openings[4:8]).encode()}
        self.receipt = next("\n".join([*block, ""]).encode() for block in blocks if block[0].startswith("c2sp.org/"))
        self.tile_sizes_and_sums = next(block for block in blocks if block[-1].endswith("  entries"))
        self.document = re.search(r"printf '(.*)\\n' > document", section)[1].encode() + b"\n"
        self.key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(re.search(r"\nseed=(\w+)", section)[1]))
        self.origin = self.vkey.split("+")[0]

    def tiles(self) -> dict:
        framed = b"".join(len(entry).to_bytes(2, "big") + entry for entry in self.entries)
        return {
            "checkpoint": self.checkpoint, "tile/0/000.p/3": b"".join(self.leaves), "tile/entries/000.p/3": framed,
        }

    def note(self, size: int) -> bytes:
        """Another checkpoint of the same key."""
        text = f"{self.origin}\n{size}\n{b64(self.roots[size])}\n"
        signature = bytes.fromhex(self.vkey.split("+")[1]) + self.key.sign(text.encode())
        return f"{text}\n\u2014 {self.origin} {b64(signature)}\n".encode()

    def proof(self, index: int) -> bytes:
        path = {0: self.leaves[1:], 1: [self.leaves[0], self.leaves[2]], 2: [self.roots[2]]}[index]
        lines = [f"c2sp.org/tlog-proof@v1\nindex {index}", *map(b64, path), ""]
        return "\n".join([*lines, ""]).encode() + self.checkpoint

    def bundle(self) -> dict:
        stream = json.loads(self.entries[1])["streams"][0][0]
        manifest = {
            "checkpoint": {"origin": self.origin, "root": b64(self.roots[3]), "size": 3}, "consistency": [2],
            "entries": [{"index": n, "openings": ["sha256", "size"] if n == 1 else []} for n in range(3)],
            "format": "evidenced bundle 1", "keys": [{"incarnation": 1, "vkey": self.vkey}],
            "originals": [{"index": 1, "name": "originals/1.txt"}], "producer": "tests/1",
            "selection": [{"kind": "stream", "value": stream}], "streams": [{"entries": 2, "stream": stream}],
        }
        der = bytes.fromhex("302a300506032b6570032100" + self.public)
        files = {
            "manifest.json": canonical(manifest), "checkpoint": self.checkpoint, "VERIFY.txt": b"", "index.html": b"",
            "keys/1.vkey": self.vkey.encode() + b"\n", "originals/1.txt": self.document,
            "keys/1.pem": f"-----BEGIN PUBLIC KEY-----\n{b64(der)}\n-----END PUBLIC KEY-----\n".encode(),
            f"consistency/{2:016}.txt":
                f"evidenced consistency proof v1\n{b64(self.leaves[2])}\n\n".encode() + self.note(2),
        }
        files |= {f"entries/{n:016}.json": entry for n, entry in enumerate(self.entries)}
        files |= {f"proofs/{n:016}.tlog-proof": self.proof(n) for n in range(3)}
        files |= {f"openings/{1:016}.{name}": opening for name, opening in self.openings.items()}
        texts = {name: data.decode() for name, data in files.items()
                 if name not in ("VERIFY.txt", "index.html", "originals/1.txt")}
        facts = {"originals/1.txt": {"sha256": hashlib.sha256(self.document).hexdigest(), "size": len(self.document)}}
        data = canonical({"files": texts, "originals": facts}).replace(b"<", b"\\u003c")
        page = b'\n<script type="application/json" id="bundle-data">' + data + b"</script>\n"
        return files | {"index.html": page}


@pytest.fixture(scope="module")
def example():
    return Example()


def test_the_worked_example_is_a_directory_that_holds(example, tmp_path):
    tiles = example.tiles()
    tile, entries = tiles["tile/0/000.p/3"], tiles["tile/entries/000.p/3"]
    assert example.tile_sizes_and_sums == [
        str(len(tile)), str(len(entries)), f"{hashlib.sha256(tile).hexdigest()}  tile",
        f"{hashlib.sha256(entries).hexdigest()}  entries",
    ]
    (tmp_path / "older").write_bytes(example.note(2))
    said = verify("tiles", write(tmp_path / "d", tiles), "--key", example.vkey, "--older", tmp_path / "older")
    assert f"size: 3\nroot: {b64(example.roots[3])}\nrecords checked: 3\n" in said
    assert "signer: given" in said and "types" in said


def test_in_a_directory_the_root_of_an_old_lock_is_compared_wherever_it_is_of_this_history(tmp_path):
    def published(name, size, right):
        """Entries 0 to 2, a recovery under a new key, and two entries after it."""
        def change(body, ledger):
            root = Tree(ledger.leaves).root(0, size) if right else hashlib.sha256(b"x").digest()
            body.update(lock_size=size, lock_root=b64(root))
        story = Story("moved", recovered=change)
        ledger = story.ledger
        framed = b"".join(len(entry).to_bytes(2, "big") + entry for entry in ledger.bytes)
        files = {"checkpoint": ledger.note(6).encode(), "tile/0/000.p/6": b"".join(ledger.leaves),
                 "tile/entries/000.p/6": framed}
        return write(tmp_path / name, files), story.keys[0]

    for size in (1, 2, 3):
        directory, key = published(f"right {size}", size, True)
        assert "signer: succeeded" in verify("tiles", directory, "--key", key)
        directory, key = published(f"wrong {size}", size, False)
        said = verify("tiles", directory, "--key", key, status=1)
        assert "entry 3" in said and f"`lock_root` is not the root of the first {size} entries" in said
    for size in (4, 6, 7):
        directory, key = published(f"lost {size}", size, False)
        assert "signer: succeeded" in verify("tiles", directory, "--key", key)


def test_the_worked_example_is_a_bundle_that_holds(example, tmp_path):
    assert example.proof(1) == example.receipt and example.note(3) == example.checkpoint
    path = pack(example.bundle(), tmp_path / "b.zip")
    assert "signer: given" in verify("bundle", path, "--key", example.vkey)
    assert "signer: not-shown" in verify("bundle", path)


def test_rules_of_the_document_are_kept_on_its_example(example, tmp_path):
    files, where = example.bundle(), tmp_path / "b.zip"
    n = [f"{index:016}" for index in range(3)]

    def refused(name, change: dict):
        made = {member: content for member, content in (files | change).items() if content is not None}
        said = verify("bundle", pack(made, where), "--key", example.vkey, status=1)
        assert name in said, said

    def replaced(name, old: bytes, new: bytes) -> dict:
        assert old in files[name]
        return {name: files[name].replace(old, new, 1)}

    refused(f"entries/{n[1]}.json", replaced(f"entries/{n[1]}.json", b'"index":1', b'"index": 1'))
    refused("extra", {"extra": b""})
    refused("VERIFY.txt", {"VERIFY.txt": None})
    refused(f"proofs/{n[2]}", {f"proofs/{n[2]}.tlog-proof": None})
    refused(f"proofs/{n[0]}", replaced(f"proofs/{n[0]}.tlog-proof", b"@v1\n", b"@v1\nextra AAAA\n"))
    refused("manifest.json", replaced("manifest.json", b'"entries":2', b'"entries":3'))
    refused("manifest.json", replaced("manifest.json", b'"producer"', b'"unknown":1,"producer"'))
    refused("manifest.json", replaced("manifest.json", b'"index":1,"openings"', b'"index":true,"openings"'))
    refused("originals/1.txt", replaced("manifest.json", b'"index":1,"name"', b'"index":true,"name"'))
    refused(f"openings/{n[1]}.size", replaced(f"openings/{n[1]}.size", b"\n21", b"\n21\n"))
    refused("originals/1.txt", {"originals/1.txt": example.document + b"."})
    refused("keys/1.pem", replaced("keys/1.pem", b"\n-----END", b"\n\n-----END"))
    public = b"\x01" + bytes([3]) + bytes(31)
    key_id = hashlib.sha256(f"{example.origin}\n".encode() + public).hexdigest()[:8]
    other = f"{example.origin}+{key_id}+{b64(public)}"
    assert "NOT THIS KEY" in verify("bundle", pack(files, where), "--key", other, status=1)
    assert "--key" in verify("bundle", where, "--key", example.vkey[:-1] + "B", status=64)


def test_archives_keep_their_rules(example, tmp_path):
    files, path = example.bundle(), tmp_path / "b.zip"
    whole = pack(files, path).read_bytes()
    for junk in (b"#!/bin/sh\n" + whole, whole + b"\0", whole[:-1], b"", whole[:1000]):
        path.write_bytes(junk)
        verify("bundle", path, status=1)
    files = members(pack(files, path))
    # What is no matter of the members is told.
    assert "container: as issued" in verify("bundle", path, "--key", example.vkey)
    for order, method in ((sorted(files, reverse=True), zipfile.ZIP_STORED), (sorted(files), zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name in order:
                archive.writestr(name, files[name])
        assert "container: repacked; contents intact" in verify("bundle", path, "--key", example.vkey)
    with zipfile.ZipFile(pack(files, path), "a") as archive:
        archive.comment = b"seen"
    assert "container: repacked; contents intact" in verify("bundle", path, "--key", example.vkey)


# Fields as the table of section 14 has them: where in the record, of how many bytes, and whether any value will do there.
DIRECTORY = {
    "signature": (0, 4, False), "made by, lower": (4, 1, True), "made by, upper": (5, 1, False), "needed": (6, 2, False),
    "flags": (8, 2, False), "method": (10, 2, False), "time": (12, 2, False), "date": (14, 2, False), "crc": (16, 4, False),
    "compressed size": (20, 4, False), "size": (24, 4, False), "name's length": (28, 2, False), "extra's length": (30, 2, False),
    "comment's length": (32, 2, False), "disk": (34, 2, False), "internal, lower": (36, 1, None), "internal, upper": (37, 1, False),
    "external": (38, 4, False), "offset": (42, 4, False), "name": (46, 5, False),
}
LOCAL = {name: (at - (2 if at >= 6 else 0) + (-14 if name == "name" else 0), size, False)
         for name, (at, size, _) in DIRECTORY.items()
         if name in ("signature", "needed", "flags", "method", "time", "date", "crc", "compressed size", "size", "name's length",
                     "extra's length", "name")}
END = {"signature": (0, 4, False), "disk": (4, 2, False), "disk of the directory": (6, 2, False), "members": (8, 2, False),
       "members in all": (10, 2, False), "directory's length": (12, 4, False), "directory's offset": (16, 4, False),
       "comment's length": (20, 2, False)}


def test_every_field_of_an_archive_is_as_the_table_has_it(example, tmp_path):
    files, path = example.bundle(), tmp_path / "b.zip"
    whole = pack(files, path).read_bytes()
    end = len(whole) - 22
    directory = int.from_bytes(whole[end + 16:end + 20], "little")
    second = directory + 46 + int.from_bytes(whole[directory + 28:directory + 30], "little")
    assert whole[second:second + 4] == b"PK\1\2" and whole[end:end + 4] == b"PK\5\6"
    local = int.from_bytes(whole[second + 42:second + 46], "little")
    assert whole[local:local + 4] == b"PK\3\4"
    for base, fields in ((second, DIRECTORY), (local, LOCAL), (end, END)):
        for name, (at, size, is_free) in fields.items():
            for byte in range(base + at, base + at + size):
                for bit in range(8) if LONG else (0, 1) if is_free is None else (0,):
                    path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1 << bit]) + whole[byte + 1:])
                    good = is_free or is_free is None and bit == 0
                    said = verify("bundle", path, "--key", example.vkey, status=None)
                    # Refused, or told not to be the archive that was issued.
                    assert ("container: as issued" in said) == bool(good) and ("KEYS MATCH" in said or "REFUSED" in said), (name, said)
    # What it takes to extract is 1.0 or 2.0, in both places.
    for version, status in ((10, 0), (20, 0), (45, 1), (0, 1)):
        changed = bytearray(whole)
        changed[second + 6] = changed[local + 4] = version
        path.write_bytes(changed)
        said = verify("bundle", path, "--key", example.vkey, status=0)
        assert ("container: as issued" in said) == (status == 0)


def test_a_key_is_a_key(example, tmp_path):
    path, key = pack(example.bundle(), tmp_path / "b.zip"), tmp_path / "key"
    pem = example.bundle()["keys/1.pem"]
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, stdout=subprocess.PIPE, check=True).stdout
    digest, vkey = hashlib.sha256(der).hexdigest().encode(), example.vkey.encode()
    groups = b":".join(digest[at:at + 4] for at in range(0, 64, 4)).upper()
    for text in (vkey, pem, digest, groups, groups.replace(b":", b" ")):
        for before, after in ((b"", b""), (b"\xef\xbb\xbf", b"\r\n"), (b"\r\n \t", b"\t \n\n")):
            key.write_bytes(before + text.replace(b"\n", after + b"\n") + after)
            assert "signer: given" in verify("bundle", path, "--key", key)
        assert "signer: given" in verify("bundle", path, "--key", text.decode())
    for text in (b"", b" \r\n", b"\xef\xbb\xbf", vkey + b"\n" + vkey, vkey + b"\n" + pem, pem + pem, pem[:-28], digest + b"0",
                 digest[1:], pem.replace(b"MCow", b"MCox"), pem.replace(b"PUBLIC", b"PRIVATE"), b"x" + vkey, vkey[:-1],
                 vkey.decode().encode("utf-16"), pem.replace(pem.split(b"\n")[1], b"MCowBQYDK2VwAyEA" + b"A" * 43 + b"=")):
        key.write_bytes(text)
        verify("bundle", path, "--key", key, status=64)
    verify("bundle", path, "--key", tmp_path / "none", status=64)
    for text in (digest[:-1] + b"0" if digest[-1:] != b"0" else digest[:-1] + b"1", b"0" * 64):
        assert "NOT THIS KEY: all agrees in itself" in verify("bundle", path, "--key", text.decode(), status=1)


@pytest.mark.parametrize("bad", [
    '{"v":1,"v":1}', '{"v":1.0}', '{"v":-0}', '{"v":1e2}', '{"v":9007199254740992}', '{"v":NaN}', '{"v":01}',
    '{"v":"\\ud800"}', '{"v":"\\u0041"}', '{"v":"\\/"}', '{"w":1,"v":1}', '{"v": 1}', '{"v":1}\n', "\ufeff{}",
    '{"v":' + "[" * 16 + "]" * 16 + "}", "[" * 100_000,
], ids=lambda bad: ascii(bad[:20]))
def test_json_is_canonical_or_refused(example, tmp_path, bad):
    path = pack(example.bundle() | {"manifest.json": bad.encode()}, tmp_path / "b.zip")
    assert "REFUSED: manifest.json: not " in verify("bundle", path, status=1)


# Directories


@pytest.fixture(scope="module")
def grown(tmp_path_factory, bin):
    """A ledger that is exported at each of the sizes, afresh and on top of what there was."""
    with Ledger(tmp_path_factory.mktemp("grown") / "l", bin).init().start() as ledger:
        yield ledger


def grow(ledger, size: int):
    while (missing := size - ledger.size) > 0:
        made = [events.deposit(b"%d" % n) if n % 3 else events.closure() for n in range(min(missing, 1000))]
        ledger.append(*made, proofs=False)
    assert ledger.size == size


def test_exports_of_a_growing_ledger_hold(grown, tmp_path):
    incremental, older = tmp_path / "incremental", []
    for size in SIZES:
        grow(grown, size)
        fresh = export(grown, tmp_path / "fresh")
        said = verify("tiles", fresh, "--key", grown.vkey, *older[-2:])
        assert f"\nsize: {size}\n" in said and f"\nrecords checked: {size}\n" in said
        # Nothing that should not be there, either.
        assert said.endswith("not checked: types, with their fields and values (\u00a76)\n"), said
        export(grown, incremental)
        assert f"\nsize: {size}\n" in verify("tiles", incremental, "--key", grown.vkey, *older)
        (tmp_path / f"note{size}").write_bytes((fresh / "checkpoint").read_bytes())
        older = ["--older", tmp_path / f"note{SIZES[0]}", "--older", tmp_path / f"note{size}"]
        shutil.rmtree(fresh)


def test_a_large_export_holds(make_ledger, tmp_path):
    ledger = make_ledger(map_size="1G", index_map_size="1G").init().start()
    size = 100_000 if LONG else 5_000
    grow(ledger, size)
    said = verify("tiles", export(ledger, tmp_path / "d"), "--key", ledger.vkey)
    assert f"\nrecords checked: {size}\n" in said


def test_a_directory_that_forgets_is_refused(make_ledger, tmp_path):
    ledger = make_ledger().init().start()
    grow(ledger, 10)
    short = export(ledger, tmp_path / "short")
    grow(ledger, 20)
    long = export(ledger, tmp_path / "long")
    assert "note" in verify("tiles", short, "--key", ledger.vkey, "--older", _kept(long, tmp_path / "note"), status=1)
    verify("tiles", long, "--key", ledger.vkey, "--older", _kept(short, tmp_path / "note"))
    other = make_ledger().init().start()
    grow(other, 30)
    foreign = export(other, tmp_path / "foreign")
    verify("tiles", foreign, "--key", ledger.vkey, status=1)
    assert "note" in verify("tiles", foreign, "--key", other.vkey, "--older", tmp_path / "note", status=1)
    assert "--older" in verify("bundle", bundle(ledger, "--index", 1), "--older", tmp_path / "note", status=1)


def _kept(directory: Path, path: Path) -> Path:
    path.write_bytes((directory / "checkpoint").read_bytes())
    return path


def test_any_changed_byte_of_a_directory_is_refused_and_located(make_ledger, tmp_path):
    ledger = make_ledger().init().start()
    grow(ledger, 260)
    directory = export(ledger, tmp_path / "d")
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    assert names == [
        "checkpoint", "tile/0/000", "tile/0/001.p/4", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/4",
    ]
    for name in names:
        content = (directory / name).read_bytes()
        for position in positions(content):
            (directory / name).write_bytes(changed(content, position))
            assert name in verify("tiles", directory, "--key", ledger.vkey, status=1), position
        for other in (content + b"\n", content[:-1], None):
            (directory / name).unlink() if other is None else (directory / name).write_bytes(other)
            assert name in verify("tiles", directory, "--key", ledger.vkey, status=1)
        (directory / name).write_bytes(content)
    (directory / "tile/0/000.p").mkdir()
    (directory / "tile/0/000.p/2").write_bytes((directory / "tile/0/000").read_bytes()[:64])
    verify("tiles", directory, "--key", ledger.vkey)
    (directory / "tile/0/000.p/2").write_bytes((directory / "tile/0/000").read_bytes()[32:96])
    assert "tile/0/000.p/2" in verify("tiles", directory, "--key", ledger.vkey, status=1)


# Bundles


@pytest.fixture(scope="module")
def story(tmp_path_factory, bin):
    """A document's story among other entries, in a ledger that lost its lock on the way."""
    with Ledger(tmp_path_factory.mktemp("story") / "l", bin).init().start() as ledger:
        object_id = events.new_id()
        ledger.stream = f"object/{object_id}"
        ledger.document = ledger.root / "Contract.PDF"
        ledger.document.write_bytes(b"the text of a contract")
        ledger.append(events.deposit(b"another"), events.registration())
        deposit = ledger.append(events.deposit(ledger.document.read_bytes(), object_id=object_id))
        ledger.deposit = deposit["receipts"][0]["index"]
        ledger.append(events.closure())
        (ledger.root / "old.note").write_text(ledger.call("GetCheckpoint")["checkpoint"])
        ledger.append(events.closure())
        ledger.stop()
        ledger.lock.unlink()
        ledger.admin("recover", "--reason", "lock-lost", "--without-checkpoint")
        ledger.start()
        verified = events.event("evidence.verified", [ledger.stream], {"deposit": ledger.deposit, "result": "match"})
        ledger.verified = ledger.append(verified)["receipts"][0]["index"]
        ledger.append(events.closure(), events.deposit(b"last"))
        ledger.newest = ledger.call("GetCheckpoint")["vkey"]
        yield ledger


def test_bundles_of_every_selection_hold(story):
    times = [json.loads(row["entry"])["time"] for row in story.entries()]
    for selection, entries in [
        (["--stream", story.stream], 4), (["--stream", story.stream, "--open", "all"], 4),
        (["--index", story.deposit, 2, story.verified], 5), (["--file", story.document], 3),
        (["--file", story.document, "--without-original"], 3),
        (["--file", story.document, "--open", "all", "--checkpoint", story.root / "old.note"], 3),
        (["--since", times[2], "--until", times[5]], 5), (["--since", "2020-01-01", "--open", "all"], story.size),
    ]:
        said = verify("bundle", bundle(story, *selection), "--key", story.newest)
        assert re.search(f"/incarnation/([0-9]+)\nincarnation: \\1\nsize: {story.size}\n", said), selection
        rows = json.loads(members(story.root / f"v{story.bundles}.zip")["manifest.json"])["entries"]
        # Beside what was selected, how the ledger's clock and software were.
        assert f"\nrecords checked: {len(rows)}\n" in said and len(rows) - 4 <= entries <= len(rows), selection
        assert "signer: given" in said


def test_the_key_of_an_earlier_incarnation_is_followed(story, tmp_path):
    directory = export(story, tmp_path / "d")
    for material in (["bundle", bundle(story, "--stream", story.stream)], ["tiles", directory]):
        assert "signer: given" in verify(*material, "--key", story.newest)
        assert "signer: succeeded" in verify(*material, "--key", story.vkey)
        assert "signer: not-shown" in verify(*material)
    verify("tiles", directory, "--key", story.newest, "--older", story.root / "old.note")


def test_consistency_proofs_of_every_size_hold(grown):
    grow(grown, max(64, grown.size))
    notes = []
    for n in range(8):
        notes.append(grown.root / f"older{n}.note")
        notes[-1].write_text(grown.call("GetCheckpoint")["checkpoint"])
        grown.append(events.closure())
    options = [option for note in notes for option in ("--checkpoint", note)]
    path = bundle(grown, "--index", 0, grown.size - 1, *options)
    assert len([name for name in members(path) if name.startswith("consistency/")]) >= 8
    verify("bundle", path, "--key", grown.vkey)


def test_any_changed_byte_of_a_bundle_is_refused_and_located(story, tmp_path):
    made = bundle(story, "--file", story.document, "--open", "all", "--checkpoint", story.root / "old.note")
    files, target = members(made), tmp_path / "changed.zip"
    assert {name.partition("/")[0] for name in files} >= {"consistency", "openings", "originals", "proofs", "keys"}
    verify("bundle", pack(files, target), "--key", story.vkey)
    for name, content in files.items():
        pack(files | {name: changed(content, len(content) // 2)}, target, remake_sums=False)
        assert name in verify("bundle", target, "--key", story.vkey, status=1)
        if name in ("SHA256SUMS", "VERIFY.txt", "index.html"):
            continue  # the first is made anew; what the others say around the data only their producer knows
        for position in positions(content):
            if name == "manifest.json" and _is_free_text(content, position):
                continue
            pack(files | {name: changed(content, position)}, target)
            assert name in verify("bundle", target, "--key", story.vkey, status=1), position
    pack(files | {"VERIFY.txt": b"Trust me."}, target)
    assert "not checked: what VERIFY.txt says, and index.html around its data" in verify("bundle", target, "--key", story.vkey)


def _is_free_text(manifest: bytes, position: int) -> bool:
    """Whether this is in the two members only the producer can know: who made the bundle, what was asked for."""
    return manifest.index(b'"producer":') < position < manifest.index(b'"streams":')
