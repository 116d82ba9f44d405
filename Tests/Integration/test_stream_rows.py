"""Rows of streams are derived, and the number an entry gets in its streams is signed: no flipped bit in a row may become
a wrong number, nor one in the key of a scope a second data key."""

import hashlib
import json

import pytest

import events
from faults import audit
from lmdbfile import DataFile
from store import content, database, number, put_linked, stream_key
from wire import CallError


@pytest.fixture
def story(make_ledger):
    """A stopped ledger with three entries of one stream, and the stream."""
    subject = events.new_id()
    ledger = make_ledger().init().start()
    for _ in range(3):
        ledger.append(events.access(staff=subject))
    assert ledger.stop() == 0
    return ledger, f"staff/{subject}"


def rows(ledger, stream: str) -> list[tuple[bytes, bytes]]:
    with database(ledger.store, "streams") as transaction:
        cursor = transaction.cursor()
        return [(key, value) for key, value in cursor if key.startswith(stream_key(stream))]


@pytest.mark.parametrize("change", ["number", "index", "index beyond the ledger", "first", "length"])
def test_a_row_that_lies_gives_no_number(story, change):
    ledger, stream = story
    kept = rows(ledger, stream)
    assert [key[17:] for key, _ in kept] == [number(0), number(1), number(2)]
    (key, value) = kept[0 if change == "first" else 2]
    with database(ledger.store, "streams") as transaction:
        match change:
            case "number":
                put_linked(transaction, key, None)
                put_linked(transaction, key[:17] + number(2 ^ 4), content(value))
            case "index":
                put_linked(transaction, key, number(int.from_bytes(content(value)) ^ 1))
            case "index beyond the ledger":
                put_linked(transaction, key, number(int.from_bytes(content(value)) ^ 1 << 40))
            case "length":
                put_linked(transaction, key, content(value)[:7])
            case "first":
                put_linked(transaction, key, None)
    assert ledger.audit(status=1)["findings"]
    ledger.start()
    size = ledger.size
    event = events.access(staff=stream.partition("/")[2])
    if change == "first":
        # The newest says enough.
        index = ledger.append(event)["receipts"][0]["index"]
        assert [stream, 3] in json.loads(ledger.entry(index)["entry"])["streams"]
        return
    with pytest.raises(CallError) as caught:
        ledger.append(event)
    assert caught.value.name == "StoreDamaged", caught.value
    assert ledger.size == size
    # Others are not hurt.
    ledger.append(events.access())
    assert ledger.stop() == 0


def test_rows_that_are_whole_go_on(story):
    ledger, stream = story
    ledger.start()
    index = ledger.append(events.access(staff=stream.partition("/")[2]))["receipts"][0]["index"]
    assert [stream, 3] in json.loads(ledger.entry(index)["entry"])["streams"]
    assert ledger.stop() == 0
    audit(ledger)


def flip(ledger, name: str, key: bytes, at: int):
    """Flips a bit of a row of a database in the file itself, `at` bytes behind the beginning of its key."""
    path = ledger.store / "data.mdb"
    data = bytearray(path.read_bytes())
    found = [
        page * 4096 + place
        for page in DataFile.read(path).dump().pages[name]
        for place in [data[page * 4096 : page * 4096 + 4096].find(key)]
        if place >= 0
    ]
    assert found
    for place in found:
        data[place + at] ^= 1
    path.write_bytes(data)


def refused(ledger, event: dict):
    size = ledger.size
    for _ in range(2):
        with pytest.raises(CallError) as caught:
            ledger.append(event)
        assert caught.value.name == "StoreDamaged", caught.value
    assert ledger.size == size


@pytest.mark.parametrize("at", [0, 15, 16, 24])
def test_a_row_whose_key_turned_is_missed(story, at):
    """With its newest row under another key, the stream would have a number twice."""
    ledger, stream = story
    flip(ledger, "streams", stream_key(stream) + number(2), at)
    assert ledger.audit(status=1)["findings"]
    ledger.start()
    refused(ledger, events.access(staff=stream.partition("/")[2]))
    assert ledger.evidence("list", "--stream", stream, status=1).stderr
    assert ledger.stop() == 0


@pytest.mark.parametrize("at", [0, 15, 16])
def test_a_scope_whose_key_turned_gets_no_second_one(make_ledger, at):
    ledger = make_ledger().init().start()
    subjects = sorted(events.new_id() for _ in range(3))
    [index, *_] = [ledger.append(events.registration(subject))["receipts"][0]["index"] for subject in subjects]
    assert ledger.stop() == 0
    flip(ledger, "scopes", stream_key(f"subject/{subjects[0]}"), at)
    assert ledger.audit(status=1)["findings"]
    ledger.start()
    refused(ledger, events.registration(subjects[0]))
    # Nor are its claims said to be erased.
    with pytest.raises(CallError) as caught:
        ledger.call("Open", {"index": index})
    assert caught.value.name == "StoreDamaged", caught.value
    # What needs no such row goes on.
    assert ledger.append(events.closure())["receipts"]
    assert ledger.stop() == 0


def test_a_scope_whose_key_turned_leaves_no_document_out(make_ledger):
    """The look-up index learns documents from claims: none are left out of it as if they were erased."""
    ledger = make_ledger().init().start()
    event = events.deposit(b"document")
    ledger.append(event)
    assert ledger.stop() == 0
    flip(ledger, "scopes", stream_key(event["streams"][0]), 3)
    ledger.start()
    with pytest.raises(CallError) as caught:
        ledger.call("FindByDigest", {"digest": hashlib.sha256(b"document").hexdigest()})
    assert caught.value.name == "StoreDamaged", caught.value
    assert ledger.stop() == 0


def test_a_new_scope_is_not_linked_to_one_that_turned(make_ledger):
    """That the scope is new is known from its stream; where its row goes, damage shows only as it is written."""
    ledger = make_ledger().init().start()
    ledger.append(events.registration("f" * 31 + "0"))
    assert ledger.stop() == 0
    flip(ledger, "scopes", stream_key("subject/" + "f" * 31 + "0"), 3)
    ledger.start()
    refused(ledger, events.registration("f" * 31 + "1"))
    assert ledger.append(events.closure())["receipts"]
    assert ledger.stop() == 0 and ledger.audit(status=1)["findings"]


def test_after_damage_at_the_end_a_backup_goes_on(make_ledger):
    """Ids ascend with time, so that all new streams stand behind the last row. With its key damaged no number can be given in
    one of them, and nothing makes the row anew: a backup becomes the ledger."""
    ledger = make_ledger().init().start()
    ledger.append(events.access(staff="8" + events.new_id()[1:]))
    backup = ledger.backups / "whole"
    ledger.call("Backup", {"directory": str(backup)})
    known, before, last = (f"{first}{events.new_id()[1:]}" for first in "8ef")
    ledger.append(*[events.access(staff=staff) for staff in (known, before, last)])
    assert ledger.stop() == 0
    with database(ledger.store, "streams") as transaction:
        assert [key for key, _ in transaction.cursor()][-1] == stream_key(f"staff/{last}") + number(0)
    flip(ledger, "streams", stream_key(f"staff/{last}") + number(0), 3)
    ledger.start()
    for staff in before, last, "ff" + events.new_id()[2:]:
        refused(ledger, events.access(staff=staff))
    ledger.append(events.access(staff=known))
    assert ledger.stop() == 0
    assert ledger.admin("recover", "--reason", "moved", status=65).stderr
    kept = ledger.store.rename(ledger.root / "damaged")
    ledger.store.mkdir(mode=0o700)
    (ledger.store / "data.mdb").write_bytes((backup / "data.mdb").read_bytes())
    ledger.audit("--copy", status=None)
    ledger.admin("recover", "--reason", "backup-restored")
    ledger.start()
    ledger.append(events.access(staff=last), events.access(staff="ff" + events.new_id()[2:]))
    assert ledger.stop() == 0 and ledger.audit()["clean"] and (kept / "data.mdb").exists()
