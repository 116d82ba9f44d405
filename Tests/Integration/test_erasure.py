"""Claims whose key was destroyed: nothing of them can be read again, and every proof stays valid."""

import hashlib

import pytest

import events
import verifier
from store import database, number, put_linked, stream_key
from test_errors import refusal

DOCUMENT = b"to be forgotten"


@pytest.fixture
def erased(make_ledger):
    """A stopped ledger with a deposit whose scope has lost its key; what was known of it before hangs on it."""
    ledger = make_ledger().init().start()
    ledger.event = events.deposit(DOCUMENT)
    ledger.kept = ledger.append(events.deposit(b"kept"))["receipts"][0]
    ledger.gone = ledger.append(ledger.event, proofs=True)["receipts"][0]
    ledger.append(events.erasure(ledger.event["streams"]))
    assert ledger.stop() == 0
    with database(ledger.store, "scopes") as scopes:
        put_linked(scopes, stream_key(ledger.event["streams"][0]), b"")
    return ledger


def test_erased_claims_can_t_be_opened_and_everything_else_goes_on(erased):
    erased.start()
    index = erased.gone["index"]
    assert refusal(erased, "Open", {"index": index}, "ErasedClaims") == {"index": index}
    refusal(erased, "Open", {"index": index, "names": ["size"]}, "ErasedClaims")
    assert "erased" in erased.evidence("show", index, "--open", "all", status=1).stderr
    assert erased.call("Open", {"index": erased.kept["index"]})["openings"]
    entry = erased.entry(index)["entry"].encode()
    verifier.verify_proof(erased.gone["proof"], entry, erased.vkey)
    verifier.verify_proof(erased.call("ProveInclusion", {"index": index})["proof"], entry, erased.vkey)
    verifier.verify_ledger(erased)


def test_a_request_stays_used_when_its_claims_are_erased(erased):
    erased.start()
    [receipt] = erased.append(erased.event)["receipts"]
    assert (receipt["index"], receipt["duplicate"]) == (erased.gone["index"], True)


def test_a_rebuilt_index_does_not_know_erased_documents(erased):
    for file in erased.index.iterdir():
        file.unlink()
    erased.start()
    assert erased.call("FindByDigest", {"digest": hashlib.sha256(DOCUMENT).hexdigest()})["entries"] == []
    [found] = erased.call("FindByDigest", {"digest": hashlib.sha256(b"kept").hexdigest()})["entries"]
    assert found["index"] == erased.kept["index"]


def test_an_audit_counts_erased_claims_and_is_content(erased):
    for file in erased.index.iterdir():
        file.unlink()
    erased.start()
    assert erased.stop() == 0
    report = erased.audit()
    assert report["clean"]
    assert report["erasedClaims"] == len(next(iter(erased.event["claims"].values())))


def test_claims_that_are_gone_with_no_event_that_says_so_are_found(ledger):
    """A service that asks sees them as erased; only the audit can tell that nobody said so."""
    event = events.deposit(b"evidence that hurts")
    [receipt] = ledger.append(event)["receipts"]
    assert ledger.stop() == 0 and ledger.audit()["clean"]
    with database(ledger.store, "scopes") as scopes:
        put_linked(scopes, stream_key(event["streams"][0]), b"")
    for keyring in (ledger.keyring, None):
        if keyring is None:
            ledger.keyring.rename(ledger.root / "kept")
        report = ledger.audit(status=1)
        assert [finding["index"] for finding in report["findings"]] == [receipt["index"]]
        assert "no event says that they were erased" in report["findings"][0]["what"]


@pytest.fixture
def keyless(make_ledger):
    """A running ledger whose keyring was lost with no copy, and that began a new incarnation under a fresh one."""
    ledger = make_ledger().init().start()
    ledger.event = events.deposit(DOCUMENT)
    ledger.gone = ledger.append(ledger.event, proofs=True)["receipts"][0]
    assert ledger.stop() == 0
    ledger.keyring.unlink()
    ledger.admin("recover", "--reason", "key-lost")
    return ledger.start()


def test_what_was_sealed_under_a_lost_keyring_is_erased(keyless):
    index = keyless.gone["index"]
    assert refusal(keyless, "Open", {"index": index}, "ErasedClaims") == {"index": index}
    verifier.verify_proof(keyless.gone["proof"], keyless.entry(index)["entry"].encode(), keyless.vkey)
    verifier.verify_ledger(keyless)
    assert keyless.stop() == 0 and keyless.audit()["clean"]


def test_what_was_sealed_under_a_lost_keyring_stays_recorded_once(keyless):
    [receipt] = keyless.append(keyless.event)["receipts"]
    assert (receipt["index"], receipt["duplicate"]) == (keyless.gone["index"], True)


def test_what_was_sealed_under_a_lost_keyring_leaves_its_scope_usable(keyless):
    again = events.deposit(b"anew", object_id=keyless.event["streams"][0].partition("/")[2])
    [receipt] = keyless.append(again)["receipts"]
    opened = keyless.call("Open", {"index": receipt["index"]})["openings"]
    assert {opening["name"]: opening["value"] for opening in opened} == next(iter(again["claims"].values()))
    assert keyless.stop() == 0 and keyless.audit()["clean"]


def test_what_was_erased_before_a_keyring_was_lost_stays_erased(erased):
    erased.keyring.unlink()
    erased.admin("recover", "--reason", "key-lost")
    erased.start()
    [stream] = erased.event["streams"]
    again = events.deposit(b"anew", object_id=stream.partition("/")[2])
    refusal(erased, "Append", {"events": [again]}, "InvalidEvent")
    assert erased.append(events.deposit(b"of another scope"))["receipts"]
    assert erased.stop() == 0 and erased.audit()["clean"]
