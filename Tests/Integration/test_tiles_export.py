"""Published directories: the layout of tlog-tiles, written whole, never contradicting what was published."""

import base64
import contextlib
import fcntl
import hashlib
import http.client
import http.server
import os
import random
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

import events
from ledger import die_with_parent

# All sizes take minutes; otherwise those around the borders of tiles.
LONG = os.environ.get("EVIDENCED_LONG", "") not in ("", "0")
SIZES = range(1, 601) if LONG else (1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 600)


def export(ledger, directory, *args, status=0):
    return ledger.evidence("tiles", "export", directory, *args, status=status)


def grow(ledger, size: int):
    """Appends until the ledger has so many entries."""
    while (missing := size - ledger.size) > 0:
        ledger.append(*[events.closure() for _ in range(min(missing, 100))])


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: list) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(root_of(leaves[:split]), root_of(leaves[split:]))


def tile_path(level, index: int, width: int) -> str:
    number = f"{index:03}"
    if index >= 1_000:
        number = f"x{index // 1_000:03}/{index % 1_000:03}"
    return f"tile/{level}/{number}" + (f".p/{width}" if width < 256 else "")


def tiles_of(size: int) -> list[tuple]:
    """(level, index, width) of every tile of a tree, bundles of entries under the level "entries"."""
    tiles = []
    level, count = 0, size
    while count > 0:
        for index in range((count + 255) // 256):
            width = min(256, count - index * 256)
            tiles.append((level, index, width))
            if level == 0:
                tiles.append(("entries", index, width))
        level, count = level + 1, count >> 8
    return tiles


def read_tree(read, size: int) -> list[bytes]:
    """Checks every tile of a published tree, which `read` gives by path, and returns the leaf hashes."""
    leaves = []
    for index in range((size + 255) // 256):
        width = min(256, size - index * 256)
        bundle = read(tile_path("entries", index, width))
        hashes = []
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            hashes.append(hashlib.sha256(b"\0" + bundle[2:2 + length]).digest())
            bundle = bundle[2 + length:]
        assert len(hashes) == width
        leaves += hashes
    below = leaves
    level = 0
    while below:
        for index in range((len(below) + 255) // 256):
            part = below[256 * index:256 * index + 256]
            assert read(tile_path(level, index, len(part))) == b"".join(part), (level, index)
        below = [root_of(below[n:n + 256]) for n in range(0, len(below) // 256 * 256, 256)]
        level += 1
    return leaves


def check(directory: Path) -> int:
    """Checks a whole directory against its checkpoint; gives the size."""
    note = (directory / "checkpoint").read_text().split("\n")
    size = int(note[1])
    leaves = read_tree(lambda path: (directory / path).read_bytes(), size)
    assert base64.b64encode(root_of(leaves)).decode() == note[2]
    return size


def facts(directory: Path) -> dict:
    """Inode and time of every file."""
    return {
        str(path.relative_to(directory)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in directory.rglob("*") if path.is_file()
    }


def test_every_size_exports_alike_at_once_and_in_steps(make_ledger):
    ledger = make_ledger().init().start()
    steps = ledger.root / "steps"
    for size in SIZES:
        grow(ledger, size)
        export(ledger, steps)
        assert check(steps) == ledger.size >= size
        at_once = ledger.root / f"at-once-{size}"
        if size in (1, 256, 257, 600):
            export(ledger, at_once)
            assert check(at_once) == ledger.size
            # Exactly the tiles of the tree and the checkpoint.
            expected = {tile_path(*tile) for tile in tiles_of(ledger.size)} | {"checkpoint"}
            assert set(facts(at_once)) == expected
            for name in expected:
                assert (at_once / name).read_bytes() == (steps / name).read_bytes(), name


def test_only_what_changed_is_touched(make_ledger):
    ledger = make_ledger().init().start()
    directory = ledger.root / "public"
    for size in (300, 310, 513, 514):
        grow(ledger, size)
        before = facts(directory) if directory.exists() else {}
        export(ledger, directory)
        after = facts(directory)
        for name in before.keys() & after.keys() - {"checkpoint"}:
            assert before[name] == after[name], name
    again = ledger.evidence_json("tiles", "export", directory)[0]
    assert again["written"] == 0
    once_more = facts(directory)
    export(ledger, directory)
    assert facts(directory) == once_more


def test_partial_tiles_stay_until_the_export_after_the_full_one(make_ledger):
    ledger = make_ledger().init().start()
    directory = ledger.root / "public"
    grow(ledger, 250)
    export(ledger, directory)
    width = ledger.size
    partial = directory / tile_path(0, 0, width)
    grow(ledger, 300)
    export(ledger, directory)
    assert partial.exists() and (directory / "tile/0/000").exists()
    grow(ledger, 301)
    report = ledger.evidence_json("tiles", "export", directory)[0]
    assert not partial.parent.exists() and report["removed"] >= 2
    assert check(directory) == ledger.size


def test_modes_let_a_web_server_read(make_ledger):
    ledger = make_ledger().init().start()
    grow(ledger, 20)
    mask = os.umask(0o077)
    try:
        export(ledger, ledger.root / "public")
    finally:
        os.umask(mask)
    for path in [ledger.root / "public", *(ledger.root / "public").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_what_a_cut_off_export_left_is_removed(make_ledger):
    ledger = make_ledger().init().start()
    grow(ledger, 300)
    directory = ledger.root / "public"
    export(ledger, directory)
    published = set(facts(directory))
    width = ledger.size % 256
    drafts = ["checkpoint.part", "tile/0/009.part", f"tile/0/001.p/{width}.part", "tile/1/000.p/1.part"]
    for draft in drafts:
        (directory / draft).write_bytes(b"half of")
    report = ledger.evidence_json("tiles", "export", directory)[0]
    assert report["removed"] == len(drafts) and set(facts(directory)) == published


def test_a_directory_of_something_else_is_refused(make_ledger):
    ledger, other = make_ledger().init().start(), make_ledger().init().start()
    grow(ledger, 20)
    grow(other, 30)
    directory = ledger.root / "public"
    export(ledger, directory)
    kept = facts(directory)
    assert "another ledger" in export(other, directory, status=1).stderr
    (directory / "checkpoint").write_text("nothing signed\n")
    assert export(ledger, directory, status=1).stderr
    assert {name: fact for name, fact in facts(directory).items() if name != "checkpoint"} == {
        name: fact for name, fact in kept.items() if name != "checkpoint"}
    home = ledger.root / "home"
    home.mkdir()
    (home / "letter.txt").write_text("mine")
    assert "not empty" in export(ledger, home, status=1).stderr
    assert os.listdir(home) == ["letter.txt"]
    export(ledger, ledger.root / "fresh", "--key", other.vkey, status=1)
    export(ledger, ledger.root / "public2", "--key", ledger.vkey)


def test_a_newer_tree_than_the_ledgers_is_never_taken_back(make_ledger):
    ledger = make_ledger().init().start()
    ledger.evidence("backup", ledger.backups / "b")
    grow(ledger, 40)
    directory = ledger.root / "public"
    export(ledger, directory)
    published = (directory / "checkpoint").read_bytes()
    ledger.stop()
    (ledger.store / "data.mdb").write_bytes((ledger.backups / "b" / "data.mdb").read_bytes())
    ledger.admin("recover", "--reason", "backup-restored")
    ledger.start()
    export(ledger, directory, status=1)
    # Beyond the size that was published, the tree is another one.
    grow(ledger, 60)
    assert export(ledger, directory, status=1).stderr
    assert (directory / "checkpoint").read_bytes() == published


def test_a_recovered_ledger_goes_on_in_its_directory(make_ledger):
    ledger = make_ledger().init().start()
    grow(ledger, 40)
    directory = ledger.root / "public"
    export(ledger, directory)
    ledger.stop()
    # The stop was recorded: what was published is a beginning of what is there.
    ledger.lock.unlink()
    ledger.admin("recover", "--reason", "lock-lost", "--without-checkpoint")
    ledger.start()
    export(ledger, directory)
    assert re.match("tests.example/ledger/incarnation/[0-9]+\n", (directory / "checkpoint").read_text())
    assert check(directory) == ledger.size


def test_a_changed_tree_in_the_directory_is_noticed(make_ledger):
    ledger = make_ledger().init().start()
    grow(ledger, 600)
    directory = ledger.root / "public"
    export(ledger, directory)
    published = (directory / "checkpoint").read_bytes()
    # The ledger's next tree stands on this tile, which it has in common with the old one.
    tile = directory / tile_path(1, 0, 2)
    content = bytearray(tile.read_bytes())
    content[40] ^= 1
    tile.write_bytes(content)
    grow(ledger, 700)
    assert "another root" in export(ledger, directory, status=1).stderr
    tile.write_bytes(content[:-1])
    assert "damaged" in export(ledger, directory, status=1).stderr
    assert (directory / "checkpoint").read_bytes() == published
    content[40] ^= 1
    tile.write_bytes(content)
    export(ledger, directory)
    assert check(directory) == ledger.size


def test_a_second_export_at_once_is_refused(make_ledger):
    ledger = make_ledger().init().start()
    directory = ledger.root / "public"
    directory.mkdir()
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert "under way" in export(ledger, directory, status=75).stderr
    finally:
        os.close(descriptor)
    export(ledger, directory)


def test_no_role_no_tiles(make_ledger):
    ledger = make_ledger(roles=("submitter",)).init().start()
    export(ledger, ledger.root / "public", status=77)
    assert not (ledger.root / "public" / "checkpoint").exists()


def test_an_export_that_is_cut_off_is_never_visible(make_ledger):
    ledger = make_ledger().init().start()
    directory = ledger.root / "public"
    grow(ledger, 300)
    export(ledger, directory)
    random.seed(1)
    for round in range(12):
        grow(ledger, ledger.size + 260)
        process = subprocess.Popen(
            [str(ledger.bin / "evidence"), "tiles", "export", str(directory)], env=ledger.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        time.sleep(random.random() * 0.08)
        process.kill()
        process.wait()
        check(directory)
    export(ledger, directory)
    assert check(directory) == ledger.size
    assert not list(directory.rglob("*.part"))


@contextlib.contextmanager
def served(directory):
    """Python's own web server on the directory."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **options):
            super().__init__(*args, directory=str(directory), **options)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_whoever_reads_while_it_grows_finds_a_whole_tree(make_ledger):
    ledger = make_ledger().init().start()
    directory = ledger.root / "public"
    export(ledger, directory)
    done = threading.Event()
    sizes, problems = set(), []

    def follow(port):
        while not done.is_set():
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

                def get(path):
                    connection.request("GET", "/" + path)
                    response = connection.getresponse()
                    body = response.read()
                    return body if response.status == 200 else None

                def read(path):
                    body = get(path)
                    if body is None and ".p/" in path:
                        # A partial tile gives way to the full one, which begins with it.
                        whole, width = path.split(".p/")
                        body = get(whole)
                        assert body is not None, path
                        if "/entries/" in path:
                            end = 0
                            for _ in range(int(width)):
                                end += 2 + int.from_bytes(body[end:end + 2], "big")
                            return body[:end]
                        return body[:32 * int(width)]
                    assert body is not None, path
                    return body

                note = get("checkpoint").decode().split("\n")
                leaves = read_tree(read, int(note[1]))
                assert base64.b64encode(root_of(leaves)).decode() == note[2]
                sizes.add(int(note[1]))
            except Exception as error:  # noqa: BLE001  whatever it is, the test tells of it
                problems.append(repr(error))
                return

    with served(directory) as port:
        readers = [threading.Thread(target=follow, args=(port,)) for _ in range(2)]
        for reader in readers:
            reader.start()
        for _ in range(12):
            grow(ledger, ledger.size + 47)
            export(ledger, directory)
        done.set()
        for reader in readers:
            reader.join(60)
    assert not problems
    assert len(sizes) > 1


def test_many_entries_in_one_go(make_ledger):
    ledger = make_ledger().init().start()
    for _ in range(5):
        ledger.append(*[events.closure() for _ in range(1_000)])
    begun = time.monotonic()
    export(ledger, ledger.root / "public")
    print(f"{ledger.size} entries exported in {time.monotonic() - begun:.2f} s")
    assert check(ledger.root / "public") == ledger.size
