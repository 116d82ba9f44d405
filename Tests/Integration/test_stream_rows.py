"""Rows of streams are derived, and the number an entry gets in its streams is signed: no flipped bit in a row may become
a wrong number."""

import json

import pytest

import events
from faults import audit
from store import database, number, stream_key
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
                assert transaction.delete(key)
                transaction.put(key[:17] + number(2 ^ 4), value)
            case "index":
                transaction.put(key, number(int.from_bytes(value) ^ 1))
            case "index beyond the ledger":
                transaction.put(key, number(int.from_bytes(value) ^ 1 << 40))
            case "length":
                transaction.put(key, value[:7])
            case "first":
                assert transaction.delete(key)
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
