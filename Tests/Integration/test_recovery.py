"""Backups, what a start says of a restored one, and new incarnations."""

import base64
import json
import os
import re
import shutil
import stat
import threading

import pytest

import events
import verifier
from ledger import ORIGIN, StartFailed


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
    origin = f"{ORIGIN}/incarnation/2"
    assert recovered["incarnation"] == 2 and verifier.parse_vkey(recovered["vkey"]).name == origin
    assert (ledger.root / "keyring.incarnation-1").exists()
    ledger.start()
    reply = ledger.call("GetCheckpoint")
    assert (reply["origin"], reply["vkey"]) == (origin, recovered["vkey"])
    assert verifier.parse_vkey(reply["vkey"]).public != verifier.parse_vkey(ledger.vkey).public
    assert ledger.call("Status")["incarnation"] == 2
    verifier.verify_ledger(ledger)

    body = json.loads(ledger.entry(saved["size"])["entry"])["body"]
    assert body == {
        "incarnation": 2, "origin": origin, "checkpoint_key": recovered["vkey"], "reason": "backup-restored",
        "size": saved["size"], "root": saved["root"], "lock_size": body["lock_size"], "lock_root": body["lock_root"],
        "succession": body["succession"]}
    assert body["lock_size"] > newest["size"] > lost["index"], "what was lost is admitted"
    # Old proofs stay valid under the old key, requests stay used, claims stay readable.
    entry = ledger.entry(kept["index"])["entry"].encode()
    verifier.verify_proof(kept["proof"], entry, ledger.vkey)
    assert ledger.append(event)["receipts"][0]["duplicate"] is True
    assert ledger.call("Open", {"index": kept["index"]})["openings"]
    assert ledger.stop() == 0 and ledger.audit()["clean"]


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
    vkey = audited.admin("recover", "--reason", reason).stdout.strip()
    audited.start()
    body = json.loads(audited.entry(size)["entry"])["body"]
    assert body["reason"] == reason and body["checkpoint_key"] == vkey
    assert ("lock_size" in body) == (reason in ("key-lost", "moved"))
    assert ("succession" in body) == (reason != "key-lost")
    verifier.verify_ledger(audited)
    assert stat.S_IMODE(audited.keyring.stat().st_mode) == 0o600
    assert audited.stop() == 0 and audited.audit()["clean"]


def test_incarnations_follow_one_another(audited):
    vkeys = [audited.admin("recover", "--reason", "moved").stdout.strip() for _ in range(2)]
    assert [verifier.parse_vkey(vkey).name for vkey in vkeys] == [f"{ORIGIN}/incarnation/{n}" for n in (2, 3)]
    audited.start()
    assert audited.call("GetCheckpoint")["vkey"] == vkeys[-1]
    assert {"keyring.incarnation-1", "keyring.incarnation-2"} <= {path.name for path in audited.root.iterdir()}


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


def test_a_running_ledger_can_t_be_recovered(ledger):
    size = ledger.size
    done = ledger.admin("recover", "--reason", "moved", status=1)
    assert done.stderr.startswith("evidence: ") and ledger.size == size
    assert ledger.append(events.closure())["receipts"][0]["index"] == size
    assert ledger.stop() == 0 and ledger.audit()["clean"]


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
