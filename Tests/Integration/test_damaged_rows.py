"""One damaged row or entry is the matter of the calls that need it: they are refused, and the daemon goes on."""

import hashlib
import json
import shutil
import time

import pytest

import events
from faults import EXIT_REFUSED, copy_ledger
from store import database, number, stream_key
from wire import CallError


def put(ledger, name: str, key: bytes, change):
    with database(ledger.store, name) as transaction:
        transaction.put(key, change(transaction.get(key)))


def flip(at: int):
    return lambda value: value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


def other_digit(at: int):
    """Another hex digit at a place. A flipped bit makes no digit of `a` and of `f`, which is damage of another kind."""
    return lambda value: value[:at] + (b"1" if value[at : at + 1] == b"0" else b"0") + value[at + 1 :]


def refuses(ledger, event: dict):
    """The event is answered StoreDamaged, and nothing of it, nor the daemon, is gone."""
    size = ledger.size
    for _ in range(2):
        with pytest.raises(CallError) as caught:
            ledger.append(events.closure(), event)
        assert caught.value.name == "StoreDamaged", caught.value
    assert ledger.size == size
    ledger.append(events.closure())
    assert ledger.size == size + 1 and ledger.process.poll() is None


@pytest.mark.parametrize("damage", ["request", "malformed"])
def test_an_old_entry_that_changed_makes_no_retry_a_new_event(make_ledger, damage):
    ledger = make_ledger().init().start()
    event = events.closure()
    index = ledger.append(event)["receipts"][0]["index"]
    assert ledger.stop() == 0

    def change(entry: bytes) -> bytes:
        end = entry.index(event["request"].encode()) + len(event["request"])
        return (other_digit(end - 1) if damage == "request" else flip(end))(entry)

    put(ledger, "entries", number(index), change)
    # The index makes its tail of the entries: a start that read this one would know another request.
    for _ in range(2):
        assert ledger.run_until_exit() == EXIT_REFUSED
    assert f"entry {index}: the entry does not hash to its leaf" in ledger.log_text()


def test_an_identity_that_the_first_entry_contradicts_is_refused(make_ledger):
    ledger = make_ledger().init().start()
    assert ledger.stop() == 0
    put(ledger, "meta", b"identity", lambda value: other_digit(value.index(b'"stream":"ledger/') + 17 + 31)(value))
    assert ledger.run_until_exit() == EXIT_REFUSED
    assert "not what its entries say" in ledger.log_text()


@pytest.mark.parametrize("damage", ["data key", "sealed claims", "stream lost"])
def test_damage_ends_no_daemon(make_ledger, damage):
    ledger = make_ledger().init().start()
    subject = events.new_id()
    event = events.registration(subject=subject)
    index = ledger.append(event)["receipts"][0]["index"]
    ledger.append(events.closure())
    assert ledger.stop() == 0
    stream = stream_key(f"subject/{subject}")
    match damage:
        case "data key":
            put(ledger, "scopes", stream, flip(4))
        case "sealed claims":
            put(ledger, "sealed", number(index) + b"\0", flip(20))
        case "stream lost":
            with database(ledger.store, "streams") as transaction:
                assert transaction.delete(stream + number(0))
    ledger.start()
    refuses(ledger, event if damage == "sealed claims" else events.registration(subject=subject))
    assert "audit" in ledger.log_text() and subject not in ledger.log_text()
    ledger.append(events.registration())
    assert ledger.stop() == 0


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_damaged_claims_keep_no_index_from_being_made(make_ledger, damage):
    """An entry whose claims can't be read keeps no other from being indexed; neither is what is missing read as erased,
    nor an event compared with it, nor a search by documents answered as if there were none in it."""
    ledger = make_ledger().init().start()
    event, other = events.deposit(b"damaged"), events.deposit(b"whole")
    index = ledger.append(event)["receipts"][0]["index"]
    ledger.append(other)
    assert ledger.stop() == 0
    row = number(index) + b"\0"
    if damage == "missing":
        with database(ledger.store, "sealed") as transaction:
            assert transaction.delete(row)
    else:
        put(ledger, "sealed", row, flip(20))
    for is_indexed in (True, False):
        if not is_indexed:
            shutil.rmtree(ledger.index)
        ledger.start()
        refuses(ledger, event)
        with pytest.raises(CallError) as caught:
            ledger.call("Open", {"index": index})
        assert caught.value.name == "StoreDamaged"
        assert ledger.append(other)["receipts"][0]["duplicate"]
        assert f"the claims of entry {index} are damaged" in ledger.log_text()
        # It may be the one that is asked for: none is said to be the only one.
        for document in (b"damaged", b"whole", b"another"):
            with pytest.raises(CallError) as caught:
                ledger.call("FindByDigest", {"digest": hashlib.sha256(document).hexdigest()})
            assert caught.value.name == "StoreDamaged", caught.value
        assert event["streams"][0] not in ledger.log_text()
        assert ledger.stop() == 0
        assert [finding["index"] for finding in ledger.audit(status=1)["findings"]] == [index]


def test_the_daemons_own_records_wait_for_a_store_that_takes_them(make_ledger):
    ledger = make_ledger().init().start()
    ledger.append(events.closure())
    first = json.loads(ledger.entry(0)["entry"])
    stream = first["streams"][0][0]
    assert ledger.stop() == 0
    with database(ledger.store, "streams") as transaction:
        cursor = transaction.cursor()
        key, value = [row for row in cursor if row[0].startswith(stream_key(stream))][-1]
        transaction.put(key, flip(7)(value))
    ledger.start(wait=False)
    deadline = time.monotonic() + 30
    while "is tried again" not in ledger.log_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ledger.append(events.closure())
    time.sleep(2.5)
    assert ledger.log_text().count("is tried again") == 1 and "a call was refused" not in ledger.log_text()
    assert ledger.stop() == 0
    assert "before it could record" in ledger.log_text()


def test_an_indexed_entry_that_changed_is_not_the_indexs_fault(indexed, tmp_path):
    """Beyond what a start reads again, it shows where the event is sent once more."""
    ledger = copy_ledger(indexed, tmp_path / "old")
    with ledger:
        ledger.start()
        entry = json.loads(ledger.entry(100)["entry"])
        event = {name: entry[name] for name in ("type", "request", "actor", "body")}
        event["streams"] = [stream for stream, _ in entry["streams"]]
        assert ledger.append(event)["receipts"][0]["duplicate"] and ledger.stop() == 0
        request = event["request"].encode()
        put(ledger, "entries", number(100), lambda value: other_digit(value.index(request) + len(request) - 1)(value))
        ledger.start()
        refuses(ledger, event)
        assert ledger.stop() == 0 and not (ledger.index / "data.mdb.damaged").exists()
