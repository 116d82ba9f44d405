"""Killed under load, a hundred times: nothing acknowledged is lost, nothing is there twice, no history forks."""

import base64
import json
import random
import threading
import time

import pytest

import events
from faults import LONG, SEED, Broken, Client, Follower, Record, all_promises_kept, audit, resend
from verifier import leaf_hash

# Small ledgers: what is audited after every kill is what the kills before left.
LEDGERS = 100 if LONG else 10
KILLS = 10
CLIENTS = 4
# Every so many kills one comes during the start.
STARTS = 5


def test_kill_under_load(make_ledger):
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    lost = acknowledged = duplicates = notes = 0
    for _ in range(LEDGERS):
        ledger = make_ledger().init()
        record = Record(ledger.vkey)
        lost += kill_again_and_again(ledger, record, chance)
        acknowledged += len(record.acknowledged)
        duplicates += record.duplicates
        notes += len(record.notes)
    print(f"{LEDGERS * KILLS} kills: {acknowledged} events acknowledged, {lost} sent again after a kill, "
          f"{duplicates} duplicates answered, {notes} checkpoints without a fork")
    # The test means nothing where kills never meet a call under way, or nothing is sent twice.
    assert lost > 0 and duplicates > 0
    assert acknowledged > LEDGERS * KILLS


def kill_again_and_again(ledger, record, chance) -> int:
    """Gives how many events were without an answer when they were sent again."""
    follower = Follower(record)
    lost = 0
    for round in range(KILLS):
        if round % STARTS == STARTS - 1:
            ledger.start(wait=False)
            time.sleep(chance.uniform(0, 0.08))
            ledger.kill()
        ledger.start()
        # What clients saw before the kill must be there before anything is sent again.
        follower.follow(ledger.socket).check()
        if round % 3 == 1:
            lost += len(record.unanswered)
            resend(ledger, record)
        clients = [Client(ledger.socket, record, chance.randrange(1 << 32), largest=12) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(chance.uniform(0, 0.12))
        ledger.kill()
        for client in clients:
            client.stop()
        audit(ledger)
    ledger.start()
    resend(ledger, record)
    assert ledger.stop() == 0
    audit(ledger)
    ledger.start()
    follower.follow(ledger.socket).check()
    follower.reread(ledger.socket).check()
    ledger.kill()
    return lost


def test_kill_in_a_storm_of_restarts(make_ledger):
    """Kills faster than a start takes: the lock moves with each, and nothing else does."""
    chance = random.Random(SEED)
    ledger = make_ledger().init().start()
    record = Record(ledger.vkey)
    client = Client(ledger.socket, record, SEED)
    client.start()
    time.sleep(0.2)
    ledger.kill()
    client.stop()
    for _ in range(30 if not LONG else 300):
        ledger.start(wait=False)
        time.sleep(chance.uniform(0, 0.06))
        ledger.kill()
    audit(ledger)
    ledger.start()
    resend(ledger, record)
    all_promises_kept(ledger, record)


# The check itself: it must see each fault it is there for.


@pytest.fixture(scope="module")
def kept(tmp_path_factory, bin):
    """A record that was kept, and what the ledger holds."""
    from ledger import Ledger

    with Ledger(tmp_path_factory.mktemp("kept") / "l", bin).init().start() as ledger:
        record = Record(ledger.vkey)
        for _ in range(4):
            batch = [events.closure(), events.deposit(b"d")]
            record.sent(batch)
            record.answered(batch, ledger.append(*batch))
        return record, ledger.entries()


def checked(record, entries):
    follower = Follower(record)
    for entry in entries:
        follower.take(entry["index"], entry["entry"].encode(), entry["leaf"])
    return follower.check()


def test_check_accepts_what_was_kept(kept):
    record, entries = kept
    assert checked(record, entries).tree.size == len(entries)


def test_check_sees_a_lost_entry(kept):
    record, entries = kept
    with pytest.raises(Broken, match="lost"):
        checked(record, entries[:-1])


def test_check_sees_an_entry_changed_or_left_out(kept):
    record, entries = kept
    with pytest.raises(Broken, match="leaf it came with"):
        checked(record, [*entries[:-1], entries[-1] | {"entry": entries[-1]["entry"].replace("deposit", "Deposit")}])
    with pytest.raises(Broken, match="next"):
        checked(record, [*entries[:3], *entries[4:]])


def test_check_sees_another_history(kept):
    """The last entry replaced by one that hashes and follows: only the signed root tells."""
    record, entries = kept
    other = record.copy()
    text = entries[-1]["entry"].replace('"product":"deposit"', '"product":"other"')
    leaf = base64.b64encode(leaf_hash(text.encode())).decode()
    request = json.loads(text)["request"]
    event, receipt = other.acknowledged[request]
    other.acknowledged[request] = (event | {"body": event["body"] | {"product": "other"}}, receipt | {"leaf": leaf})
    with pytest.raises(Broken, match="two histories"):
        checked(other, [*entries[:-1], entries[-1] | {"entry": text, "leaf": leaf}])


def test_check_sees_a_bad_signature_and_a_checkpoint_ahead(kept):
    record, entries = kept
    other = record.copy()
    note = next(iter(other.notes))
    origin, size, rest = note.split("\n", 2)
    other.notes = {f"{origin}\n{int(size) + 1}\n{rest}"}
    with pytest.raises(Broken, match="signature"):
        checked(other, entries)
    only_notes = Record(record.vkey)
    only_notes.notes = set(record.notes)
    only_notes.unanswered = {request: event for request, (event, _) in record.acknowledged.items()}
    with pytest.raises(Broken, match="was signed"):
        checked(only_notes, entries[:4])


def test_check_sees_a_second_entry_of_one_request(kept):
    record, entries = kept
    follower = Follower(record)
    for entry in entries:
        follower.take(entry["index"], entry["entry"].encode())
    follower.requests[("tests", next(iter(record.acknowledged)))] = 0
    with pytest.raises(Broken, match="found as"):
        follower.check()


def test_check_sees_another_receipt_for_a_duplicate(kept):
    record, _ = kept
    other = record.copy()
    event, receipt = next(iter(other.acknowledged.values()))
    with pytest.raises(Broken, match="another receipt"):
        other.answered([event], {"checkpoint": "", "receipts": [receipt | {"index": 99, "duplicate": True}]})


def test_check_sees_a_refused_event_recorded(kept):
    record, entries = kept
    other = record.copy()
    del other.acknowledged[next(iter(other.acknowledged))]
    with pytest.raises(Broken, match="never sent"):
        checked(other, entries)


def test_client_reports_what_it_found(kept):
    record, _ = kept
    client = Client("/nowhere", record, 1)
    client.failure = Broken("seen")
    client.start()
    with pytest.raises(Broken, match="seen"):
        client.stop()
    assert isinstance(client, threading.Thread)
