"""Claims whose key was destroyed: nothing of them can be read again, and every proof stays valid."""

import base64
import hashlib
import json
import shutil

import pytest

import events
import verifier
from faults import EXIT_REFUSED
from keytree import Tree, scope_slot
from store import content, database, number, put_linked, stream_key
from test_errors import refusal
from test_sealed import keyring
from wire import CallError

DOCUMENT = b"to be forgotten"


@pytest.fixture
def erased(make_ledger, suite):
    """A stopped ledger with a deposit whose scope was erased; what was known of it before hangs on it."""
    ledger = make_ledger(suite=suite).init().start()
    ledger.event = events.deposit(DOCUMENT)
    ledger.kept = ledger.append(events.deposit(b"kept"))["receipts"][0]
    ledger.gone = ledger.append(ledger.event, proofs=True)["receipts"][0]
    ledger.erasure = events.erasure(ledger.event["streams"])
    [ledger.executed] = ledger.erase(ledger.erasure)["receipts"]
    assert ledger.stop() == 0
    return ledger


def test_erased_claims_can_t_be_opened_and_everything_else_goes_on(erased):
    erased.start()
    index = erased.gone["index"]
    assert refusal(erased, "Open", {"index": index}, "ErasedClaims") == {
        "index": index, "erasure": erased.executed["index"]}
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
def keyless(make_ledger, suite):
    """A running ledger whose keyring was lost with no copy, and that began a new incarnation under a fresh one."""
    ledger = make_ledger(suite=suite).init().start()
    ledger.event = events.deposit(DOCUMENT)
    ledger.gone = ledger.append(ledger.event, proofs=True)["receipts"][0]
    assert ledger.stop() == 0
    ledger.keyring.unlink()
    ledger.admin("recover", "--reason", "key-lost")
    return ledger.start()


def test_what_was_sealed_under_a_lost_keyring_is_erased(keyless):
    index = keyless.gone["index"]
    assert refusal(keyless, "Open", {"index": index}, "ErasedClaims") == {"index": index, "erasure": None}
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


# On a running daemon

PRIVACY = "org.evidenced.Privacy.Erase"


def test_erase_destroys_before_it_answers_and_others_go_on(make_ledger, suite):
    ledger = make_ledger(suite=suite).init().start()
    subject, other = events.new_id(), events.new_id()
    receipts = ledger.append(*(events.registration(each) for each in (subject, other)), events.deposit(DOCUMENT))["receipts"]
    gone, kept, deposit = (receipt["index"] for receipt in receipts)
    assert ledger.call("Open", {"index": gone})["openings"]
    before = ledger.append(events.closure(), proofs=True)
    erasure = events.erasure([f"subject/{subject}", f"subject/{events.new_id()}"])
    wrong = erasure | {"request": events.new_request(), "body": erasure["body"] | {"keys_destroyed": 2}}
    assert "keys_destroyed" in refusal(ledger, PRIVACY, {"events": [wrong]}, "InvalidEvent")["field"]
    assert ledger.call("Open", {"index": gone})["openings"]
    right = erasure | {"body": erasure["body"] | {"keys_destroyed": 1}}
    [receipt] = ledger.erase(right, proofs=True)["receipts"]
    said = {"index": gone, "erasure": receipt["index"]}
    assert refusal(ledger, "Open", {"index": gone}, "ErasedClaims") == said
    assert ledger.call("Open", {"index": kept})["openings"] and ledger.call("Open", {"index": deposit})["openings"]
    # Sent again it is the same; of what is gone nothing can be sealed.
    [again] = ledger.erase(right)["receipts"]
    assert again["duplicate"] and again["index"] == receipt["index"]
    refusal(ledger, "Append", {"events": [events.registration(subject)]}, "InvalidEvent")
    for made in (before["receipts"][0], receipt):
        verifier.verify_proof(made["proof"], ledger.entry(made["index"])["entry"].encode(), ledger.vkey)
    assert ledger.stop() == 0
    report = ledger.audit()
    assert report["clean"] and report["erasedClaims"] == 1 and report["lostClaims"] == 0


def test_what_erases_goes_one_way_and_nothing_else_does(make_ledger):
    ledger = make_ledger().init().start()
    scope = f"subject/{events.new_id()}"
    assert "Erase" in refusal(ledger, "Append", {"events": [events.closure(), events.erasure([scope])]}, "InvalidEvent")["rule"]
    said = refusal(ledger, PRIVACY, {"events": [events.erasure([scope]), events.closure()]}, "InvalidEvent")
    assert (said["event"], said["field"]) == (1, "type")
    for method in ("org.evidenced.Ledger.Erase", "org.evidenced.Privacy.Append"):
        with pytest.raises(CallError) as caught:
            ledger.call(method, {"events": [events.erasure([scope])]})
        assert caught.value.full_name == "org.varlink.service.MethodNotFound"
    ledger.stop()
    ledger.configure(roles=("submitter", "reader")).start()
    refusal(ledger, PRIVACY, {"events": [events.erasure([scope])]}, "PermissionDenied")


def test_an_erasure_leaves_nothing_that_opens_what_it_erased(erased):
    """With all that is left, and with every older copy of the store, but not with the older keys."""
    secret = keyring(erased.keyring)["keys-master"]
    [scope] = erased.event["streams"]
    with database(erased.store, "scopes") as scopes:
        assert content(scopes.get(stream_key(scope))) == scope_slot(stream_key(scope), 1) + number(erased.executed["index"])
    tree = Tree(erased.keys, secret)
    assert tree.epoch == 2 and tree.key(1) is None and tree.key(0) is not None
    assert (erased.keys / "root.key").read_bytes().count(b"evidenced root key v1") == 1


def test_an_older_store_stays_erased(make_ledger, suite):
    ledger = make_ledger(suite=suite).init().start()
    event, more, unseen = events.registration(), events.registration(), events.registration()
    index = ledger.append(event, more, unseen)["receipts"][0]["index"]
    ledger.call("Backup", {"directory": str(ledger.backups / "old")})
    old_keys = ledger.root / "old keys"
    shutil.copytree(ledger.keys, old_keys)
    ledger.erase(events.erasure([*event["streams"], *more["streams"]]))
    assert ledger.stop() == 0
    # Keys from before would undo it.
    new_keys = ledger.keys.rename(ledger.root / "new keys")
    shutil.copytree(old_keys, ledger.keys)
    assert ledger.run_until_exit() == EXIT_REFUSED
    assert "key tree is of epoch 1, and the store knows of 2" in ledger.log_text()
    shutil.rmtree(ledger.keys)
    new_keys.rename(ledger.keys)
    # A store from before, under the keys there are, opens nothing of it.
    shutil.rmtree(ledger.store)
    shutil.copytree(ledger.backups / "old", ledger.store)
    ledger.admin("recover", "--reason", "backup-restored")
    ledger.start()
    began = ledger.size - 1
    while json.loads(ledger.entry(began)["entry"])["type"] != "system.recovered":
        began -= 1
    assert refusal(ledger, "Open", {"index": index}, "ErasedClaims") == {"index": index, "erasure": began}
    recovered = json.loads(ledger.entry(began)["entry"])
    # As section 6 says of the scopes that the store doesn't know to be erased.
    texts = "".join(f"{scope}\n" for scope in sorted([*event["streams"], *more["streams"]]))
    assert recovered["body"]["erased_scopes"] == base64.b64encode(hashlib.sha256(texts.encode()).digest()).decode()
    # A slot that was given away after the copy was made is not given again.
    fresh = ledger.append(events.registration())["receipts"][0]["index"]
    assert ledger.call("Open", {"index": fresh})["openings"]
    refusal(ledger, "Append", {"events": [events.registration(event["streams"][0].partition("/")[2])]}, "InvalidEvent")
    assert ledger.stop() == 0
    report = ledger.audit()
    assert report["clean"] and report["erasedClaims"] == 2
    # It is by what the recovery states: of another scope it explains nothing.
    before = bytes((ledger.store / "data.mdb").read_bytes())
    for scope, row in ((event["streams"][0], lambda kept: kept[:16]), (unseen["streams"][0], lambda kept: kept + number(began))):
        with database(ledger.store, "scopes") as scopes:
            put_linked(scopes, stream_key(scope), row(content(scopes.get(stream_key(scope)))))
        found = [finding["what"] for finding in ledger.audit(status=1)["findings"]]
        assert "other scopes are said to be erased by it than it states" in found
        assert any("no event says" in what for what in found)
        (ledger.store / "data.mdb").write_bytes(before)


def test_a_scope_that_was_erased_before_it_had_claims_gets_none(make_ledger):
    """Not that of somebody who was never heard of, nor of one who had entries without claims."""
    ledger = make_ledger().init().start()
    unknown, known = events.new_id(), events.new_id()
    ledger.append(events.closure(known))
    ledger.erase(events.erasure([f"subject/{unknown}", f"subject/{known}"]))
    for _ in range(2):
        for subject in (unknown, known):
            said = refusal(ledger, "Append", {"events": [events.registration(subject)]}, "InvalidEvent")
            assert said["field"] == f"claims.subject/{subject}" and "erased" in said["rule"]
        # Nothing else is forbidden.
        ledger.append(events.closure(known), events.closure(unknown))
        assert ledger.stop() == 0
        assert ledger.audit()["clean"]
        ledger.start()


def test_erase_by_hand(make_ledger):
    ledger = make_ledger().init().start()
    subject = events.new_id()
    scope = f"subject/{subject}"
    gone = ledger.append(events.registration(subject))["receipts"][0]["index"]
    request = f"request/{events.new_id()}"
    asked = ledger.append(events.event(
        "erasure.requested", [request, scope], {"ground": "D1", "scopes": [scope]}, actor=scope))["receipts"][0]["index"]
    assert "asks for no erasure" in ledger.evidence("erase", gone, status=64).stderr
    [done] = ledger.evidence_json("erase", asked, "--proof-dir", "proofs")
    assert done["erased"] == [scope] and not done["duplicate"]
    entry = json.loads(ledger.entry(done["index"])["entry"])
    assert entry["type"] == "erasure.executed" and entry["streams"][0][0] == request
    assert entry["body"] == {"requested": asked, "scopes": [scope]}
    refusal(ledger, "Open", {"index": gone}, "ErasedClaims")
