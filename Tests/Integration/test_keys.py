"""What an operator does with the key tree: wraps it anew, copies it, puts a copy in its place."""

import json
import shutil

import pytest

import events
from faults import EXIT_REFUSED
from keytree import Master, Tree
from test_errors import refusal
from test_sealed import keyring


@pytest.fixture
def ledger(make_ledger, suite):
    """A running ledger with two people; `people` are their scopes and entries."""
    ledger = make_ledger(suite=suite).init().start()
    subjects = [events.new_id() for _ in range(2)]
    receipts = ledger.append(*(events.registration(subject) for subject in subjects))["receipts"]
    ledger.people = [(f"subject/{subject}", receipt["index"]) for subject, receipt in zip(subjects, receipts)]
    return ledger


def keys(ledger, command: str, *args, **options):
    return ledger.evidence("keys", command, "--config", ledger.config, *args, **options)


def opens(ledger) -> list[bool]:
    found = []
    for _, index in ledger.people:
        entry = json.loads(ledger.entry(index)["entry"])
        try:
            found.append(len(ledger.call("Open", {"index": index})["openings"]) == len(*entry["claims"].values()))
        except Exception:
            found.append(False)
    return found


def test_a_rotation_leaves_the_old_keyring_nothing(ledger):
    assert "held by another process" in keys(ledger, "rotate", status=1).stderr
    assert ledger.stop() == 0
    old = keyring(ledger.keyring)
    before = Tree(ledger.keys, old["keys-master"])
    keys(ledger, "rotate")
    new = keyring(ledger.keyring)
    assert new["keys-master"] != old["keys-master"]
    assert [new[name] for name in ("checkpoint-ed25519", "index-hmac")] == [
        old[name] for name in ("checkpoint-ed25519", "index-hmac")]
    after = Tree(ledger.keys, new["keys-master"])
    assert after.epoch == before.epoch + 1 and [after.key(slot) for slot in (0, 1)] == [before.key(slot) for slot in (0, 1)]
    assert Master(old["keys-master"]).id.encode() not in (ledger.keys / "root.key").read_bytes()
    assert sorted(path.name for path in ledger.root.glob("keyring*")) == ["keyring"]
    assert opens(ledger.start()) == [True, True]


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_rotation_that_was_cut_off_is_ended_by_the_next(ledger, is_wrapped):
    """The new keyring waits beside the old one; the tree is wrapped under one of the two."""
    assert ledger.stop() == 0
    old = ledger.keyring.read_bytes()
    keys(ledger, "rotate")
    new = ledger.keyring.read_bytes()
    if not is_wrapped:
        # As it was before the tree was changed: a keyring waits that nothing is wrapped under yet.
        waiting = ledger.keyring.with_name("keyring.rotated")
        waiting.touch(mode=0o600)
        waiting.write_bytes(b"\n".join(
            b"keys-master " + b"A" * 43 + b"=" if line.startswith(b"keys-master") else line
            for line in new.splitlines()) + b"\n")
    else:
        ledger.keyring.rename(ledger.keyring.with_name("keyring.rotated"))
        ledger.keyring.write_bytes(old)
        ledger.keyring.chmod(0o600)
        assert ledger.run_until_exit() == EXIT_REFUSED
    keys(ledger, "rotate")
    assert not ledger.keyring.with_name("keyring.rotated").exists()
    assert opens(ledger.start()) == [True, True]


def test_a_copy_of_the_keys_is_made_beside_the_daemon_and_put_back(ledger):
    copy = ledger.root / "copy"
    assert keys(ledger, "backup", copy).stdout.startswith("keys of epoch 1")
    assert sorted(path.name for path in copy.iterdir()) == ["data.mdb", "root.key"]
    assert keys(ledger, "backup", copy, status=1).stderr
    assert "another process" in keys(ledger, "restore", copy, status=1).stderr
    assert ledger.stop() == 0
    shutil.rmtree(ledger.keys)
    assert ledger.run_until_exit() == EXIT_REFUSED
    keys(ledger, "restore", copy)
    assert opens(ledger.start()) == [True, True]
    assert ledger.append(events.registration())["receipts"]
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_older_keys_undo_no_erasure(ledger):
    copy = ledger.root / "copy"
    keys(ledger, "backup", copy)
    [(scope, index), _] = ledger.people
    [erasure] = ledger.erase(events.erasure([scope]))["receipts"]
    later = ledger.append(events.registration())["receipts"][0]["index"]
    assert ledger.stop() == 0
    secret = keyring(ledger.keyring)["keys-master"]
    assert Tree(copy, secret).key(0) is not None
    refused = keys(ledger, "restore", copy, status=65).stderr
    assert f"entries {erasure['index']}" in refused and "--older" in refused
    assert Tree(ledger.keys, secret).key(0) is None
    said = json.loads(keys(ledger, "restore", copy, "--older", "--json").stdout)
    assert said["erasedAgain"] == 1 and said["lostScopes"] == 0
    assert Tree(ledger.keys, secret).key(0) is None and Tree(ledger.keys, secret).key(1) is not None
    assert (ledger.keys.with_name("keys.replaced")).is_dir()
    assert opens(ledger.start()) == [False, True]
    assert refusal(ledger, "Open", {"index": index}, "ErasedClaims") == {"index": index, "erasure": erasure["index"]}
    assert ledger.call("Open", {"index": later})["openings"]
    assert ledger.stop() == 0 and ledger.audit()["clean"]
