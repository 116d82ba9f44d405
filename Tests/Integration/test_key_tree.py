"""The directory of keys: which state of it a ledger goes on with, and what is left of a key in the daemon's memory."""

import json
import shutil
import subprocess
import threading

import pytest

import events
from faults import EXIT_REFUSED
from keytree import CHILDREN, DEPTHS, SM4, Tree, context, hkdf_sm3, opened
from ledger import Ledger
from store import database, put_linked, stream_key
from test_errors import refusal
from test_sealed import keyring
from traced import start_traced, stop_traced
from wire import CallError

PRIVACY = "org.evidenced.Privacy.Erase"


def secret(ledger: Ledger) -> bytes:
    return keyring(ledger.keyring)["keys-master"]


# Older keys


@pytest.fixture
def older(make_ledger):
    """A stopped ledger whose keys were put back from before its first scope: no erasure came between."""
    ledger = make_ledger().init()
    shutil.copytree(ledger.keys, ledger.root / "old keys")
    ledger.start()
    ledger.index_of_claims = ledger.append(events.registration())["receipts"][0]["index"]
    assert ledger.stop() == 0
    ledger.keys.rename(ledger.root / "new keys")
    (ledger.root / "old keys").rename(ledger.keys)
    return ledger


def test_keys_from_before_a_scope_are_refused(older):
    """Its slot would be made once more, and given to another."""
    assert older.run_until_exit() == EXIT_REFUSED
    assert "has 0 slots" in older.log_text()
    shutil.rmtree(older.keys)
    (older.root / "new keys").rename(older.keys)
    older.start()
    assert older.call("Open", {"index": older.index_of_claims})["openings"]


def test_a_recovery_takes_no_older_keys(older):
    assert "has 0 slots" in older.admin("recover", "--reason", "moved", status=EXIT_REFUSED).stderr
    # Only as lost.
    older.keyring.unlink()
    older.admin("recover", "--reason", "key-lost")
    older.start()
    refusal(older, "Open", {"index": older.index_of_claims}, "ErasedClaims")
    assert older.stop() == 0 and older.audit()["clean"]


def test_a_recovery_undoes_no_erasure(make_ledger):
    ledger = make_ledger().init().start()
    event = events.registration()
    index = ledger.append(event)["receipts"][0]["index"]
    assert ledger.stop() == 0
    shutil.copytree(ledger.keys, ledger.root / "old keys")
    ledger.start().erase(events.erasure(event["streams"]))
    assert ledger.stop() == 0
    shutil.rmtree(ledger.keys)
    (ledger.root / "old keys").rename(ledger.keys)
    assert "epoch" in ledger.admin("recover", "--reason", "moved", status=EXIT_REFUSED).stderr
    assert ledger.run_until_exit() == EXIT_REFUSED


def test_an_erasure_that_a_lost_keyring_overtook_stays_one(ledger, tmp_path):
    """Recorded, and not done when the keyring was lost: the scope gets no key again."""
    event = events.registration()
    index = ledger.append(event)["receipts"][0]["index"]
    assert ledger.stop() == 0
    pid = without_room(ledger, tmp_path / "trace")
    refusal(ledger, PRIVACY, {"events": [events.erasure(event["streams"])]}, "StoreFull")
    assert stop_traced(ledger, pid) == 0
    ledger.keyring.unlink()
    ledger.admin("recover", "--reason", "key-lost")
    ledger.start()
    refusal(ledger, "Append", {"events": [events.registration(event["streams"][0].partition("/")[2])]}, "InvalidEvent")
    assert refusal(ledger, "Open", {"index": index}, "ErasedClaims")["erasure"] is not None
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_a_recovery_leaves_a_link_to_the_keys_one(make_ledger, tmp_path):
    ledger = make_ledger()
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "keys").mkdir()
    ledger.keys.symlink_to(tmp_path / "volume" / "keys")
    ledger.init().start().append(events.registration())
    assert ledger.stop() == 0
    ledger.keyring.unlink()
    ledger.admin("recover", "--reason", "key-lost")
    assert ledger.keys.is_symlink()
    assert sorted(path.name for path in (tmp_path / "volume").iterdir()) == ["keys", "keys.lost"]
    ledger.start().append(events.registration())
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_a_copy_from_before_an_erasure_is_whole(ledger):
    """What the newer key tree says of it is no finding; what the copy itself says is one."""
    event, other = events.registration(), events.registration()
    ledger.append(event, other)
    copy = ledger.backups / "old"
    ledger.call("Backup", {"directory": str(copy)})
    ledger.erase(events.erasure(event["streams"]))
    report = json.loads(ledger.admin("audit", "--json", "--store", copy, "--copy").stdout)
    assert report["clean"] and report["erasedClaims"] == 1
    with database(copy, "scopes") as scopes:
        put_linked(scopes, stream_key(other["streams"][0]), b"")
    report = json.loads(ledger.admin("audit", "--json", "--store", copy, "--copy", status=1).stdout)
    assert ["no event says that they were erased" in finding["what"] for finding in report["findings"]] == [True]


# What is wanting


def test_a_tree_whose_file_is_missing_is_not_made(ledger):
    assert ledger.stop() == 0
    kept = ledger.root / "kept"
    (ledger.keys / "data.mdb").rename(kept)
    assert ledger.run_until_exit() == EXIT_REFUSED
    assert "keys/data.mdb is missing" in ledger.log_text()
    assert not (ledger.keys / "data.mdb").exists()
    kept.rename(ledger.keys / "data.mdb")
    ledger.start()


@pytest.mark.parametrize("content", [b"", bytes(8192), b"torn" * 3000])
def test_what_a_cut_off_recovery_left_beside_the_keys_is_in_no_starts_way(ledger, content):
    assert ledger.stop() == 0
    staged = ledger.keys.with_name("keys.new")
    staged.mkdir()
    (staged / "data.mdb").write_bytes(content)
    ledger.start()
    assert ledger.stop() == 0


@pytest.mark.parametrize("content", [b"", bytes(8192), b"torn" * 3000])
def test_what_a_power_cut_left_of_a_first_key_tree_is_in_no_creations_way(make_ledger, content):
    """Of the environment anything, and nothing of root.key, which is written last."""
    ledger = make_ledger()
    ledger.keys.mkdir()
    (ledger.keys / "data.mdb").write_bytes(content)
    (ledger.keys / "root.key").write_bytes(b"")
    ledger.init().start()
    ledger.append(events.registration())


def test_others_access_to_the_keys_is_a_warning(ledger):
    assert ledger.stop() == 0

    def warned() -> list[str]:
        command = [str(ledger.bin / "evidenced"), "--check-config", "--config", str(ledger.config)]
        said = subprocess.run(command, capture_output=True, text=True, env=ledger.environment).stderr
        return [line for line in said.splitlines() if "keys:" in line]

    assert not warned()
    for path, mode in ((ledger.keys, 0o705), (ledger.keys / "root.key", 0o604), (ledger.keys / "data.mdb", 0o604),
                       (ledger.keys / "data.mdb", 0o602)):
        before = path.stat().st_mode & 0o7777
        path.chmod(mode)
        assert any(f"{path} may be" in line for line in warned()), (path, oct(mode))
        path.chmod(before)


@pytest.mark.parametrize("name", ["root.key", "data.mdb"])
def test_a_root_key_that_was_replaced_under_the_daemon_is_not_written_to(ledger, name):
    """What is written to a file without a name is lost, and with it every key."""
    event, kept = events.registration(), events.registration()
    index = ledger.append(event, kept)["receipts"][1]["index"]
    file = ledger.keys / name
    shutil.copy2(file, ledger.root / "copy")
    (ledger.root / "copy").rename(file)
    erasure = events.erasure(event["streams"])
    with pytest.raises((CallError, AssertionError, OSError)):
        ledger.erase(erasure)
    ledger.wait()
    # If it is recorded, it was done at the start.
    ledger.start()
    ledger.erase(erasure)
    refusal(ledger, "Open", {"index": index - 1}, "ErasedClaims")
    assert ledger.call("Open", {"index": index})["openings"]
    assert ledger.stop() == 0 and ledger.audit()["clean"]


@pytest.mark.parametrize("name", ["root.key", "data.mdb"])
@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_keys_that_are_in_no_file_any_more_seal_nothing(ledger, name, change):
    ledger.append(events.registration())
    file = ledger.keys / name
    shutil.copy2(file, ledger.root / "copy")
    if change == "removed":
        file.unlink()
    else:
        shutil.copy2(file, ledger.root / "other")
        (ledger.root / "other").rename(file)
    with pytest.raises((CallError, AssertionError, OSError)):
        ledger.append(events.registration())
    ledger.wait()
    assert f"{name}" in ledger.log_text() and "replaced or removed while it was in use" in ledger.log_text()
    (ledger.root / "copy").rename(file)
    ledger.start()
    index = ledger.append(events.registration())["receipts"][0]["index"]
    assert ledger.call("Open", {"index": index})["openings"]
    # Nobody needs to ask.
    file.unlink()
    ledger.wait()
    assert "replaced or removed while it was in use" in ledger.log_text()


# Erasures that can't be done yet


def without_room(ledger: Ledger, trace):
    """Starts a daemon whose key tree gets no room."""
    return start_traced(ledger, trace, "-P", ledger.keys / "data.mdb", "-e", "trace=fallocate",
                        "-e", "inject=fallocate:error=ENOSPC")


def test_an_erasure_that_waits_for_room_is_acknowledged_to_nobody(ledger, tmp_path):
    event = events.registration()
    index = ledger.append(event)["receipts"][0]["index"]
    assert ledger.stop() == 0
    erasure = events.erasure(event["streams"])
    subject = event["streams"][0].partition("/")[2]
    for _ in range(2):
        pid = without_room(ledger, tmp_path / "trace")
        for _ in range(3):
            refusal(ledger, PRIVACY, {"events": [erasure]}, "StoreFull")
        # It is recorded, so nothing is sealed under the scope any more, after a start either.
        refusal(ledger, "Append", {"events": [events.registration(subject)]}, "InvalidEvent")
        # Nor is anything told that its key could still open.
        erasing = index + 1
        while json.loads(ledger.entry(erasing)["entry"])["type"] != "erasure.executed":
            erasing += 1
        said = {"index": index, "erasure": erasing}
        assert refusal(ledger, "Open", {"index": index}, "ErasedClaims") == said
        assert stop_traced(ledger, pid) == 0, ledger.log_text()
    ledger.start()
    [receipt] = ledger.erase(erasure)["receipts"]
    assert receipt["duplicate"]
    assert refusal(ledger, "Open", {"index": index}, "ErasedClaims") == {"index": index, "erasure": receipt["index"]}
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_a_scope_is_destroyed_once(ledger):
    event = events.registration()
    ledger.append(event)
    both = [events.erasure(event["streams"]) for _ in range(2)]
    for each in both:
        each["body"]["keys_destroyed"] = 1
    assert refusal(ledger, PRIVACY, {"events": both}, "InvalidEvent")["event"] == 1
    # Nothing of the call counts.
    subject = event["streams"][0].partition("/")[2]
    ledger.append(events.registration(subject))
    both[1]["body"]["keys_destroyed"] = 0
    ledger.erase(*both)


# Beside a running daemon


def test_an_audit_beside_erasures_finds_nothing(ledger):
    subjects = [events.new_id() for _ in range(600)]
    for start in range(0, len(subjects), 100):
        ledger.append(*(events.registration(each) for each in subjects[start : start + 100]))
    ended = threading.Event()

    def erase():
        with ledger.wire() as wire:
            for subject in subjects:
                if ended.is_set():
                    return
                wire.call(PRIVACY, {"events": [events.erasure([f"subject/{subject}"])]})

    thread = threading.Thread(target=erase)
    thread.start()
    try:
        for _ in range(4):
            report = json.loads(ledger.admin("audit", "--json", status=None).stdout)
            assert report["clean"], report["findings"]
    finally:
        ended.set()
        thread.join()


# Memory


def memory(pid: int) -> bytes:
    """All a process could write to a core dump, and what it keeps out of those."""
    parts = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            limits, permissions, _, _, inode = line.split()[:5]
            if not permissions.startswith("rw") or inode != "0":
                continue
            start, end = (int(text, 16) for text in limits.split("-"))
            try:
                mem.seek(start)
                parts.append(mem.read(end - start))
            except (OSError, ValueError):
                continue
    return b"\n".join(parts)


def path_keys(tree: Tree, slot: int) -> list[bytes]:
    """The root key, those of the nodes above a slot, and the slot's own."""
    keys = [tree.root]
    for depth in range(DEPTHS):
        index, position = slot // CHILDREN ** (DEPTHS - depth), slot // CHILDREN ** (DEPTHS - depth - 1) % CHILDREN
        wrapped = tree.child(depth, index, position)
        keys.append(opened(tree.suite, keys[-1], context(tree.id, depth, index, position), wrapped))
    return keys


def test_a_destroyed_key_is_in_no_memory_of_the_daemon(make_ledger, suite):
    ledger = make_ledger(suite=suite).init().start()
    event = events.deposit(b"to be forgotten")
    index = ledger.append(event)["receipts"][0]["index"]
    ledger.call("Open", {"index": index})
    shutil.copytree(ledger.keys, ledger.root / "copy")
    keys = path_keys(Tree(ledger.root / "copy", secret(ledger)), 0)
    image = memory(ledger.pid)
    assert keys[-1] in image and keys[0] in image, "the search finds what is there"
    if suite == SM4:
        # Nor what is derived of it.
        derived = [hkdf_sm3(key, b"evidenced/sm4-ctr-hmac-sm3/v1", 48) for key in keys]
        assert derived[-1] in image
        keys += [part for both in derived for part in (both[:16], both[16:])]
    ledger.erase(events.erasure(event["streams"]))
    image = memory(ledger.pid)
    assert [depth for depth, key in enumerate(keys) if key in image] == []
