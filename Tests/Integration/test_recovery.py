"""Backups, what a start says of a restored one, and new incarnations."""

import base64
import json
import os
import re
import shutil
import stat
import subprocess
import threading
from collections import Counter

import pytest

import events
import verifier
from faults import sample
from ledger import ORIGIN, StartFailed, require
from store import database, number
from traced import FILE_CALLS, read_trace


def files_below(directory) -> dict:
    """What stands in the files that count; LMDB's table of readers does not."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != "lock.mdb"}


def restored(ledger, backup):
    """Puts a backup's file in the place of the store's."""
    for file in ledger.store.iterdir():
        file.unlink()
    shutil.copy(backup / "data.mdb", ledger.store)


def test_a_restored_backup_is_refused_until_it_is_recovered(ledger):
    event = events.deposit(b"in the backup")
    kept = ledger.append(event, proofs=True)["receipts"][0]
    backup = ledger.backups / "b"
    saved = ledger.call("Backup", {"directory": str(backup)})
    lost = ledger.append(events.closure())["receipts"][0]
    newest = ledger.call("GetCheckpoint")
    assert ledger.stop() == 0
    assert ledger.audit("--store", backup, "--copy")["clean"]
    restored(ledger, backup)

    assert ledger.run_until_exit() == 65
    refused = ledger.log_text().splitlines()[-1]
    assert "evidence recover --reason backup-restored" in refused and str(saved["size"]) in refused
    assert not ledger.audit(status=1)["clean"]

    recovered = json.loads(ledger.admin("recover", "--reason", "backup-restored", "--json").stdout)
    number = recovered["incarnation"]
    origin = f"{ORIGIN}/incarnation/{number}"
    assert number > 1 and verifier.parse_vkey(recovered["vkey"]).name == origin
    assert (ledger.root / "keyring.incarnation-1").exists()
    ledger.start()
    reply = ledger.call("GetCheckpoint")
    assert (reply["origin"], reply["vkey"]) == (origin, recovered["vkey"])
    assert verifier.parse_vkey(reply["vkey"]).public != verifier.parse_vkey(ledger.vkey).public
    assert ledger.call("Status")["incarnation"] == number
    verifier.verify_ledger(ledger)

    body = json.loads(ledger.entry(saved["size"])["entry"])["body"]
    assert body == {
        "incarnation": number, "origin": origin, "checkpoint_key": recovered["vkey"], "reason": "backup-restored",
        "size": saved["size"], "root": saved["root"], "lock_size": body["lock_size"], "lock_root": body["lock_root"],
        "succession": body["succession"]}
    assert body["lock_size"] > newest["size"] > lost["index"], "what was lost is admitted"
    # Old proofs stay valid under the old key, requests stay used, claims stay readable.
    entry = ledger.entry(kept["index"])["entry"].encode()
    verifier.verify_proof(kept["proof"], entry, ledger.vkey)
    assert ledger.append(event)["receipts"][0]["duplicate"] is True
    assert ledger.call("Open", {"index": kept["index"]})["openings"]
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def killed_recovery(ledger, trace, *inject):
    """Where a recovery under strace changes the ledger's files, each call and how manieth of its name it is."""
    wrapper = [require("strace"), "-f", "-o", trace, "-y", "-e", f"trace={','.join(FILE_CALLS)}", *inject]
    command = [*wrapper, ledger.bin / "evidence", "recover", "--config", ledger.config, "--reason", "moved"]
    done = subprocess.run([*map(str, command)], env=ledger.environment, text=True, capture_output=True, timeout=60)
    count, found = Counter(), []
    for call in read_trace(trace):
        count[call.thread, call.name] += 1
        is_change = call.name not in ("open", "openat") or "O_CREAT" in call.arguments
        if is_change and str(ledger.root) in call.arguments:
            found.append((call.name, count[call.thread, call.name]))
    return done.returncode, found


def test_a_recovery_that_is_killed_is_ended_by_the_next(make_ledger, tmp_path):
    """Cut off at whatever call, it is run again as it was, and the lock it took over is never missed."""
    status, cases = killed_recovery(make_ledger().init(), tmp_path / "list.trace")
    assert status == 0 and {"rename", "pwrite64", "fsync", "fdatasync"} <= {name for name, _ in cases}
    # The rows of the new lock and what is around them are where it counts; they come last.
    for name, number in sample(cases, 3) + sample(cases[-14:], 6):
        ledger = make_ledger().init()
        killed_recovery(ledger, tmp_path / "trace", "-e", f"inject={name}:signal=KILL:when={number}")
        try:
            assert ledger.lock.exists()
            # Either it goes on, or all but the keyring was done, or all was and another one begins.
            again = ledger.admin("recover", "--reason", "moved", status=None)
            assert again.returncode == 0 or "an interrupted recovery was completed" in again.stderr, again.stderr
            ledger.start()
            entries = [json.loads(ledger.entry(index)["entry"]) for index in range(ledger.call("GetCheckpoint")["size"])]
            begun = [entry for entry in entries if entry["type"] == "system.recovered"]
            assert 1 <= len(begun) <= 2 and all("lock_size" in entry["body"] for entry in begun)
            # Only one that was over but for its last call is followed by another.
            assert len(begun) == 1 or (name, number) in cases[-3:], begun
            assert ledger.stop() == 0 and ledger.audit()["clean"]
        except BaseException as error:
            error.add_note(f"killed in {name} number {number}")
            raise


@pytest.mark.parametrize("reason", ["lock-lost", "lock-damaged", "key-lost", "moved"])
def test_every_reason_begins_an_incarnation(audited, reason):
    if reason == "lock-lost":
        audited.lock.unlink()
    elif reason == "lock-damaged":
        audited.lock.write_bytes(os.urandom(8192))
    elif reason == "key-lost":
        audited.keyring.unlink()
    if reason != "moved":
        assert audited.run_until_exit() in (65, 71)
    size = audited.audit("--copy")["size"]
    unread = ["--without-checkpoint"] if reason.startswith("lock-") else []
    vkey = audited.admin("recover", "--reason", reason, *unread).stdout.strip()
    audited.start()
    body = json.loads(audited.entry(size)["entry"])["body"]
    assert body["reason"] == reason and body["checkpoint_key"] == vkey
    assert ("lock_size" in body) == (reason in ("key-lost", "moved"))
    assert ("succession" in body) == (reason != "key-lost")
    verifier.verify_ledger(audited)
    assert stat.S_IMODE(audited.keyring.stat().st_mode) == 0o600
    assert audited.stop() == 0
    report = audited.audit()
    assert report["clean"] and report["unlockedRecoveries"] == ([size] if unread else [])
    assert ("NOTE   entry" in audited.evidence("audit", "--config", audited.config).stdout) == bool(unread)


def test_incarnations_follow_one_another(audited):
    begun = [json.loads(audited.admin("recover", "--reason", "moved", "--json").stdout) for _ in range(2)]
    numbers = [1, *(one["incarnation"] for one in begun)]
    assert numbers == sorted(set(numbers))
    assert [verifier.parse_vkey(one["vkey"]).name for one in begun] == [f"{ORIGIN}/incarnation/{n}" for n in numbers[1:]]
    audited.start()
    assert audited.call("GetCheckpoint")["vkey"] == begun[-1]["vkey"]
    verifier.verify_ledger(audited)
    assert {f"keyring.incarnation-{n}" for n in numbers[:2]} <= {path.name for path in audited.root.iterdir()}


def test_only_the_key_in_force_lets_another_follow(audited):
    """A keyring that opens the claims but has another checkpoint key can't sign, unless the key is said to be lost."""
    kept = audited.keyring.read_text()
    stranger = base64.b64encode(os.urandom(32)).decode()
    audited.keyring.write_text(re.sub("checkpoint-ed25519 .*", f"checkpoint-ed25519 {stranger}", kept))
    before = files_below(audited.store) | files_below(audited.lock.parent)
    for reason in ("moved", "lock-lost", "lock-damaged", "backup-restored"):
        done = audited.admin("recover", "--reason", reason, status=65)
        assert "not the key in force" in done.stderr and audited.vkey in done.stderr
        assert files_below(audited.store) | files_below(audited.lock.parent) == before
        assert not list(audited.root.glob("keyring.*"))
    audited.admin("recover", "--reason", "key-lost")
    audited.start()
    verifier.verify_ledger(audited)
    assert audited.stop() == 0 and audited.audit()["clean"]


def test_no_two_histories_from_one_backup_have_one_name(audited):
    """A restored keyring remembers nothing, so the number of an incarnation is drawn."""
    saved = {path: path.read_bytes() for path in (audited.store / "data.mdb", audited.keyring)}
    notes = []
    for turn in range(2):
        for path, data in saved.items():
            path.write_bytes(data)
        audited.lock.unlink()
        begun = json.loads(audited.admin("recover", "--reason", "lock-lost", "--without-checkpoint", "--json").stdout)
        audited.start()
        audited.append(*[events.deposit(b"history %d" % turn) for _ in range(turn + 1)])
        notes.append(audited.call("GetCheckpoint")["checkpoint"])
        assert verifier.verify_note(notes[-1], begun["vkey"]).origin == f"{ORIGIN}/incarnation/{begun['incarnation']}"
        assert audited.stop() == 0 and audited.audit()["clean"]
    first, second = (note.splitlines()[0] for note in notes)
    assert first != second


def rewrite(ledger, victim: int):
    """What an operator would do who wants another history signed: changes an entry and all that is derived of it."""
    with database(ledger.store, "entries") as entries:
        rows = [bytes(value) for _, value in entries.cursor()]
        leaves = [verifier.leaf_hash(row) for row in rows[:victim]]
        for index in range(victim, len(rows)):
            entry = json.loads(rows[index])
            if index == victim:
                entry["body"]["channel"] = "api"
            elif index > 0:
                entry["prev"] = verifier.b64(leaves[-1])
            rows[index] = verifier.canonical(entry)
            leaves.append(verifier.leaf_hash(rows[index]))
            assert entries.put(number(index), rows[index])
    with database(ledger.store, "tree") as tree:
        for index in range(len(leaves)):
            subtrees = [1 << level for level in range(40) if (index + 1) % (1 << level) == 0]
            tree.put(number(index), b"".join(verifier.tree_root(leaves[index + 1 - n:index + 1]) for n in subtrees))
    with database(ledger.store, "checkpoints") as checkpoints:
        assert all([checkpoints.delete(key) for key, _ in list(checkpoints.cursor())])


@pytest.mark.parametrize("case", ["lock", "no lock", "no lock and no count of checkpoints"])
def test_a_rewritten_history_is_not_signed_anew(ledger, case):
    [receipt] = ledger.append(events.deposit(b"original"))["receipts"]
    ledger.append(*[events.closure() for _ in range(5)])
    assert ledger.stop() == 0
    rewrite(ledger, receipt["index"])
    if case != "lock":
        ledger.lock.unlink()
    if case.endswith("checkpoints"):
        with database(ledger.store, "meta") as meta:
            assert meta.put(b"checkpoint", number(0))
    assert ledger.run_until_exit() == 65
    before = files_below(ledger.store)
    lost = ["lock-lost", "--without-checkpoint"]
    done = ledger.admin("recover", "--reason", *(["moved"] if case == "lock" else lost), status=65)
    assert "nothing of it is signed anew" in done.stderr
    assert files_below(ledger.store) == before
    assert not ledger.audit(*(() if case == "lock" else ["--copy"]), status=1)["clean"]


def test_a_running_ledger_can_t_be_recovered(ledger):
    size = ledger.size
    done = ledger.admin("recover", "--reason", "moved", status=1)
    assert done.stderr.startswith("evidence: ") and ledger.size == size
    assert ledger.append(events.closure())["receipts"][0]["index"] == size
    assert ledger.stop() == 0 and ledger.audit()["clean"]


@pytest.mark.parametrize("reason", ["backup-restored", "key-lost"])
def test_a_backup_without_a_free_page_is_recovered(ledger, reason):
    """A backup is compacted, and one larger than any map a program begins with leaves no room in it."""
    for _ in range(20):
        ledger.append(*[events.access(reason="r" * 4000) for _ in range(200)])
    backup = ledger.backups / "b"
    ledger.call("Backup", {"directory": str(backup)})
    assert (backup / "data.mdb").stat().st_size > 17 << 20
    assert ledger.stop() == 0
    restored(ledger, backup)
    if reason == "key-lost":
        (ledger.root / "keyring").unlink()
    ledger.admin("recover", "--reason", reason)
    ledger.start()
    assert ledger.append(events.closure())["receipts"][0]["duplicate"] is False
    assert ledger.stop() == 0
    assert ledger.audit()["clean"]


def test_a_store_restored_after_a_crash_is_refused_too(ledger):
    ledger.append(events.closure())
    ledger.call("Backup", {"directory": str(ledger.backups / "b")})
    ledger.append(events.closure())
    ledger.kill()
    restored(ledger, ledger.backups / "b")
    with pytest.raises(StartFailed) as refused:
        ledger.start()
    assert refused.value.status == 65


def test_a_backup_made_while_events_arrive_is_whole(ledger):
    done = threading.Event()

    def send():
        with ledger.wire() as wire:
            while not done.is_set():
                wire.call("Append", {"events": [events.deposit(b"x"), events.closure()]})

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    try:
        saved = [ledger.call("Backup", {"directory": str(ledger.backups / str(turn))}) for turn in range(3)]
    finally:
        done.set()
        for sender in senders:
            sender.join()
    leaves = [verifier.leaf_hash(row["entry"].encode()) for row in ledger.entries()]
    for turn, backup in enumerate(saved):
        assert backup["root"] == verifier.b64(verifier.tree_root(leaves[: backup["size"]]))
        assert ledger.audit("--store", ledger.backups / str(turn), "--copy")["clean"]


def test_recover_refuses_another_ledgers_keyring(audited, make_ledger):
    shutil.copy(make_ledger("other").init().keyring, audited.keyring)
    before = files_below(audited.store) | files_below(audited.lock.parent)
    done = audited.admin("recover", "--reason", "moved", status=65)
    assert "reason key-lost" in done.stderr
    assert files_below(audited.store) | files_below(audited.lock.parent) == before
    assert not list(audited.root.glob("keyring.*"))


def test_without_a_lock_a_checkpoint_kept_elsewhere_shows_what_is_missing(ledger, make_ledger):
    """Whoever puts an older store back and loses the lock would shorten what was signed."""
    held = ledger.root / "older.checkpoint"
    held.write_text(ledger.call("GetCheckpoint")["checkpoint"])
    saved = ledger.backups / "b"
    ledger.call("Backup", {"directory": str(saved)})
    receipt = ledger.root / "newer.tlog-proof"
    receipt.write_text(ledger.append(events.closure(), proofs=True)["receipts"][0]["proof"])
    assert ledger.stop() == 0
    (ledger.store / "data.mdb").write_bytes((saved / "data.mdb").read_bytes())
    ledger.lock.unlink()
    changed = ledger.root / "changed.checkpoint"
    lines = held.read_text().splitlines(keepends=True)
    changed.write_text("".join([lines[0], lines[1], "A" * 43 + "=\n", *lines[3:]]))
    foreign = ledger.root / "foreign.checkpoint"
    other = make_ledger("other").init().start()
    foreign.write_text(other.call("GetCheckpoint")["checkpoint"])
    assert other.stop() == 0

    before = files_below(ledger.store)
    for given, status, words in (
        ([], 65, "--without-checkpoint"), (["--checkpoint", receipt], 65, "the checkpoint given is of"),
        (["--checkpoint", foreign], 65, "none that this ledger signed"),
        (["--checkpoint", changed], 65, "none that this ledger signed"),
        (["--checkpoint", held, "--checkpoint", receipt], 65, "the checkpoint given is of"),
        (["--checkpoint", ledger.config], 65, "neither a checkpoint nor a receipt"),
        (["--checkpoint", held, "--without-checkpoint"], 64, "contradict"),
    ):
        done = ledger.admin("recover", "--reason", "lock-lost", *given, status=status)
        assert words in done.stderr and files_below(ledger.store) == before
    ledger.admin("recover", "--reason", "lock-lost", "--checkpoint", held)
    ledger.start()
    verifier.verify_ledger(ledger)
    assert ledger.stop() == 0 and ledger.audit()["clean"]


@pytest.mark.parametrize("call", ["pread64", "openat"])
def test_a_lock_the_disk_cannot_read_is_as_one_that_holds_no_record(make_ledger, tmp_path, call):
    ledger = make_ledger().init().start()
    ledger.append(events.closure())
    (tmp_path / "held").write_text(ledger.call("GetCheckpoint")["checkpoint"])
    assert ledger.stop() == 0
    inode = ledger.lock.stat().st_ino
    options = ["-f", "-o", tmp_path / "trace", "-P", ledger.lock, "-e", f"trace={call}", "-e", f"inject={call}:error=EIO"]

    def recover(*more):
        command = [require("strace"), *options, ledger.bin / "evidence", "recover", "--config", ledger.config, *more]
        return subprocess.run([*map(str, command)], env=ledger.environment, text=True, capture_output=True, timeout=60)

    refused = recover("--reason", "lock-damaged")
    assert refused.returncode == 65 and "--without-checkpoint" in refused.stderr, refused
    assert "can't be read" in refused.stderr and "Input/output error" in refused.stderr
    done = recover("--reason", "lock-damaged", "--checkpoint", tmp_path / "held", "--json")
    assert done.returncode == 0, done
    # No copy can be made of it, so it is itself what stays.
    assert ledger.lock.with_name(ledger.lock.name + ".incarnation-1").stat().st_ino == inode
    ledger.start()
    body = json.loads(ledger.entry(ledger.size - 3)["entry"])["body"]
    assert body["reason"] == "lock-damaged" and "lock_size" not in body
    assert ledger.stop() == 0 and ledger.audit()["clean"]
