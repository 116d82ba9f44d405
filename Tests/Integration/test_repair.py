"""Rows of streams and scopes that are damaged are made anew, offline, and nothing is signed for it."""

import json

import pytest

import events
from faults import EXIT_REFUSED, audit
from store import content, database, number, put_linked, stream_key
from test_stream_rows import flip


@pytest.fixture
def ledger(make_ledger):
    """A stopped ledger with some streams and scopes; its subjects hang on it, in the order of their rows."""
    ledger = make_ledger().init().start()
    ledger.subjects = sorted(events.new_id() for _ in range(5))
    ledger.receipts = [ledger.append(events.registration(each))["receipts"][0]["index"] for each in ledger.subjects]
    for each in ledger.subjects:
        ledger.append(events.registration(each))
    assert ledger.stop() == 0
    return ledger


def stored(ledger, name: str) -> list[tuple[bytes, bytes]]:
    with database(ledger.store, name) as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def repaired(ledger, **rows: int):
    """Repairs it: as many rows as said, at least one each; all are as they were, and nothing but rows was changed."""
    lock = ledger.lock.read_bytes()
    told = json.loads(ledger.admin("repair", "--json").stdout)
    assert {name: count > 0 for name, count in told.items()} == {"streams": False, "scopes": False} | {
        name: True for name in rows}
    assert ledger.lock.read_bytes() == lock
    assert ledger.admin("repair").stdout.endswith("nothing was changed\n")
    audit(ledger)


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("what", ["key", "content", "link"])
def test_rows_of_streams_with_flipped_bits(ledger, place, what):
    before = stored(ledger, "streams")
    key, value = before[{"first": 1, "middle": len(before) // 2, "last": -1}[place]]
    assert len(key) == 25 and len(value) == 16
    flip(ledger, "streams", key, {"key": 15, "content": 25 + 7, "link": 25 + 8}[what])
    assert ledger.audit(status=1)["findings"]
    repaired(ledger, streams=1)
    assert stored(ledger, "streams") == before
    ledger.start()
    for each in (*ledger.subjects, events.new_id()):
        ledger.append(events.registration(each))
    assert ledger.stop() == 0
    audit(ledger)


def test_rows_of_streams_that_are_gone_or_too_many(ledger):
    before = stored(ledger, "streams")
    with database(ledger.store, "streams") as transaction:
        put_linked(transaction, before[5][0], None)
        put_linked(transaction, stream_key(f"staff/{events.new_id()}") + number(0), number(1))
    assert ledger.audit(status=1)["findings"]
    repaired(ledger, streams=1)
    assert stored(ledger, "streams") == before


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("what", ["key", "slot", "hash", "link"])
def test_rows_of_scopes_with_flipped_bits(ledger, place, what):
    before = stored(ledger, "scopes")
    key, value = before[{"first": 1, "middle": 3, "last": -1}[place]]
    assert len(key) == 17 and len(value) == 24
    flip(ledger, "scopes", key, {"key": 15, "slot": 17 + 7, "hash": 17 + 8, "link": 17 + 16}[what])
    assert ledger.audit(status=1)["findings"]
    repaired(ledger, scopes=1)
    assert stored(ledger, "scopes") == before
    ledger.start()
    for index in ledger.receipts:
        assert ledger.call("Open", {"index": index})["openings"]
    ledger.append(events.registration())
    assert ledger.stop() == 0


def test_every_scope_gets_the_key_that_opens_what_is_sealed_under_it(ledger):
    before = stored(ledger, "scopes")
    for key, _ in before[1:]:
        flip(ledger, "scopes", key, 17 + 7)
    repaired(ledger, scopes=1)
    assert stored(ledger, "scopes") == before


def test_rows_of_erased_scopes_are_told_by_the_entries(ledger):
    ledger.start()
    scopes = [f"subject/{ledger.subjects[2]}", f"subject/{events.new_id()}"]
    [receipt] = ledger.erase(events.erasure(scopes))["receipts"]
    assert ledger.stop() == 0
    for scope in scopes:
        with database(ledger.store, "scopes") as transaction:
            put_linked(transaction, stream_key(scope), None)
    assert ledger.audit(status=1)["findings"]
    repaired(ledger, scopes=1)
    with database(ledger.store, "scopes") as transaction:
        # In which slot the key of the first was, nothing tells any more.
        assert content(transaction.get(stream_key(scopes[0]))) == b""
        assert content(transaction.get(stream_key(scopes[1]))) == number(receipt["index"])


def test_nothing_is_derived_from_damaged_entries(ledger):
    flip(ledger, "streams", stored(ledger, "streams")[-1][0], 15)
    with database(ledger.store, "entries") as transaction:
        entry = bytes(transaction.get(number(4)))
        transaction.put(number(4), entry.replace(b'"v":1', b'"v":2'))
    before = (ledger.store / "data.mdb").read_bytes()
    assert "entry 4" in ledger.admin("repair", status=EXIT_REFUSED).stderr
    assert (ledger.store / "data.mdb").read_bytes() == before


def test_a_running_daemon_keeps_its_store(ledger):
    ledger.start()
    assert "held by another process" in ledger.admin("repair", status=1).stderr
    assert ledger.stop() == 0


def test_a_recovery_of_a_damaged_store_says_how_to_repair_it(ledger):
    flip(ledger, "streams", stored(ledger, "streams")[-1][0], 15)
    assert "evidence repair" in ledger.admin("recover", "--reason", "moved", status=EXIT_REFUSED).stderr
    repaired(ledger, streams=1)
    ledger.admin("recover", "--reason", "moved")
    audit(ledger)
