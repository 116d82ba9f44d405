"""Every method of the interface, called by the unmodified `varlink` package; every answer checked by verifier.py."""

import hashlib
import json
import threading
from pathlib import Path

import pytest
import varlink

import events
import verifier
from ledger import ORIGIN, PRINCIPAL, ROLES

INTERFACE = "org.evidenced.Ledger"
DECLARED = Path(__file__).resolve().parents[2] / "Sources/Service/org.evidenced.Ledger.varlink"


@pytest.fixture
def client(shared):
    with varlink.Client(address=f"unix:{shared.socket}") as client:
        yield client


@pytest.fixture
def ledger_calls(client):
    with client.open(INTERFACE) as connection:
        yield connection


def entry_of(row: dict) -> dict:
    """The entry of a reply's row, after its leaf hash and index are checked."""
    data = row["entry"].encode()
    assert row["leaf"] == verifier.b64(verifier.leaf_hash(data))
    entry = verifier.parse_canonical(data)
    assert entry["index"] == row["index"]
    return entry


def test_the_service_says_what_it_is(client):
    with client.open("org.varlink.service") as service:
        info = service.GetInfo()
    assert {"vendor", "product", "version", "url"} <= set(info)
    assert info["interfaces"] == ["org.varlink.service", INTERFACE, "org.evidenced.Privacy", "org.evidenced.Vault"]


def test_the_service_hands_out_its_interfaces(client):
    with client.open("org.varlink.service") as service:
        assert service.GetInterfaceDescription(INTERFACE)["description"] == DECLARED.read_text()
        vault = DECLARED.with_name("org.evidenced.Vault.varlink").read_text()
        assert service.GetInterfaceDescription("org.evidenced.Vault")["description"] == vault
        privacy = DECLARED.with_name("org.evidenced.Privacy.varlink").read_text()
        assert service.GetInterfaceDescription("org.evidenced.Privacy")["description"] == privacy
        assert set(varlink.Interface(privacy).members) >= {"Erase"}
        own = varlink.Interface(service.GetInterfaceDescription("org.varlink.service")["description"])
    assert own.name == "org.varlink.service"
    assert {"GetInfo", "GetInterfaceDescription"} <= set(own.members)


def test_an_unknown_interface_is_refused(client):
    with client.open("org.varlink.service") as service, pytest.raises(varlink.InterfaceNotFound):
        service.GetInterfaceDescription("org.example.other")


def test_append_one_event(ledger_calls, shared):
    event = events.registration(phone="13800000002")
    reply = ledger_calls.Append([event])
    [receipt] = reply["receipts"]
    assert receipt["duplicate"] is False and "proof" not in receipt
    checkpoint = verifier.verify_note(reply["checkpoint"], shared.vkey)
    assert checkpoint.origin == ORIGIN and checkpoint.size > receipt["index"]
    entry = entry_of(ledger_calls.GetEntry(receipt["index"])["entry"])
    assert receipt["time"] == entry["time"]
    sent = {name: event[name] for name in ("actor", "body", "request", "type")}
    assert sent == {name: entry[name] for name in sent}
    assert entry["submitter"] == PRINCIPAL and entry["v"] == 1
    assert entry["streams"] == [[event["streams"][0], 0]]
    assert "13800000002" not in json.dumps(entry)


def test_append_a_batch_with_proofs(ledger_calls, shared):
    subject = events.new_id()
    batch = [events.registration(subject), events.consent(subject), events.closure(subject)]
    reply = ledger_calls.Append(batch, True)
    indexes = [receipt["index"] for receipt in reply["receipts"]]
    assert indexes == list(range(indexes[0], indexes[0] + 3))
    times = [receipt["time"] for receipt in reply["receipts"]]
    assert times == sorted(set(times))
    for number, receipt in enumerate(reply["receipts"]):
        row = ledger_calls.GetEntry(receipt["index"])["entry"]
        assert row["leaf"] == receipt["leaf"]
        assert entry_of(row)["streams"] == [[f"subject/{subject}", number]]
        checkpoint = verifier.verify_proof(receipt["proof"], row["entry"].encode(), shared.vkey)
        assert checkpoint == verifier.verify_note(reply["checkpoint"], shared.vkey)


def test_new_ids_are_fresh_and_hold_the_time(ledger_calls):
    ids = ledger_calls.NewIds()["ids"] + ledger_calls.NewIds(1000)["ids"]
    assert len(set(ids)) == 1001
    assert all(len(id) == 32 and bytes.fromhex(id).hex() == id for id in ids)
    now = int(events.new_id()[:12], 16)
    assert all(0 <= now - int(id[:12], 16) < 60_000 for id in ids)


def test_the_whole_ledger_is_what_its_checkpoint_says(shared):
    verifier.verify_ledger(shared)


def test_list_by_pages_in_both_directions(ledger_calls):
    size = ledger_calls.GetCheckpoint()["size"]
    for reverse in (False, True):
        seen, position = [], None
        while True:
            start = {} if position is None else {"from": position}
            page = ledger_calls.ListEntries(limit=2, reverse=reverse, **start)
            assert len(page["entries"]) <= 2
            seen += [entry_of(row)["index"] for row in page["entries"]]
            position = page.get("next")
            if position is None:
                break
        assert seen == sorted(range(size), reverse=reverse)


def test_list_all_pages_with_more(ledger_calls):
    size = ledger_calls.GetCheckpoint()["size"]
    pages = list(ledger_calls.ListEntries(limit=3, _more=True))
    assert [len(page["entries"]) for page in pages[:-1]] == [3] * (len(pages) - 1)
    assert [row["index"] for page in pages for row in page["entries"]] == list(range(size))
    assert all(page["next"] == page["entries"][-1]["index"] + 1 for page in pages[:-1])


def test_each_filter_gives_exactly_what_passes_it(ledger_calls, shared):
    subject = events.new_id()
    shared.append(events.registration(subject), events.closure(subject), events.deposit(b"filtered"))
    rows = ledger_calls.ListEntries(limit=1000)["entries"]
    entries = {row["index"]: entry_of(row) for row in rows}
    times = sorted(entry["time"] for entry in entries.values())
    since, until = times[2], times[-2]
    stream = f"subject/{subject}"
    filters = [
        ({"stream": stream}, lambda e: stream in dict(e["streams"])),
        ({"stream": f"subject/{events.new_id()}"}, lambda e: False),
        ({"type": "account.closed"}, lambda e: e["type"] == "account.closed"),
        ({"submitter": PRINCIPAL}, lambda e: e["submitter"] == PRINCIPAL),
        ({"submitter": "evidenced"}, lambda e: e["submitter"] == "evidenced"),
        ({"submitter": "nobody"}, lambda e: False),
        ({"since": since}, lambda e: e["time"] >= since),
        ({"until": until}, lambda e: e["time"] < until),
        ({"since": since, "until": until}, lambda e: since <= e["time"] < until),
        ({"since": until, "until": since}, lambda e: False),
        ({"from": 3}, lambda e: e["index"] >= 3),
        ({"stream": stream, "type": "account.closed"},
         lambda e: stream in dict(e["streams"]) and e["type"] == "account.closed"),
        ({"type": "system.started", "submitter": PRINCIPAL}, lambda e: False),
    ]
    for asked, passes in filters:
        expected = [index for index, entry in entries.items() if passes(entry)]
        for reverse in (False, True):
            if reverse and "from" in asked:
                continue
            found = ledger_calls.ListEntries(limit=1000, reverse=reverse, **asked)["entries"]
            assert [row["index"] for row in found] == sorted(expected, reverse=reverse), asked
    backwards = ledger_calls.ListEntries(reverse=True, **{"from": 3})["entries"]
    assert [row["index"] for row in backwards] == [3, 2, 1, 0]


def test_a_document_is_found_by_its_digest(ledger_calls, shared):
    document = events.new_id().encode()
    first, second = [shared.append(events.deposit(document))["receipts"][0]["index"] for _ in range(2)]
    found = ledger_calls.FindByDigest(hashlib.sha256(document).hexdigest())["entries"]
    assert [entry_of(row)["index"] for row in found] == [first, second]
    assert ledger_calls.FindByDigest(hashlib.sha256(b"unknown").hexdigest())["entries"] == []


def test_the_checkpoint_and_its_parts(ledger_calls, shared):
    reply = ledger_calls.GetCheckpoint()
    checkpoint = verifier.verify_note(reply["checkpoint"], reply["vkey"])
    assert reply["vkey"] == shared.vkey
    assert (reply["origin"], reply["size"], reply["root"]) == (
        checkpoint.origin, checkpoint.size, verifier.b64(checkpoint.root))


def test_inclusion_by_index_and_by_leaf_in_trees_of_every_size(ledger_calls, shared):
    rows = shared.entries()
    leaves = [verifier.leaf_hash(row["entry"].encode()) for row in rows]
    signed = 0
    for size in range(1, len(leaves) + 1):
        root = verifier.tree_root(leaves[:size])
        for index in {0, size // 2, size - 1}:
            by_index = ledger_calls.ProveInclusion(index=index, size=size)
            by_leaf = ledger_calls.ProveInclusion(leaf=verifier.b64(leaves[index]), size=size)
            assert by_index == by_leaf
            path = [verifier.unb64(text) for text in by_index["hashes"]]
            assert (by_index["index"], by_index["size"]) == (index, size)
            assert verifier.unb64(by_index["root"]) == root
            verifier.verify_inclusion(leaves[index], index, size, path, root)
            if proof := by_index.get("proof"):
                signed += 1
                checkpoint = verifier.verify_proof(proof, rows[index]["entry"].encode(), shared.vkey)
                assert (checkpoint.size, checkpoint.root) == (size, root)
    assert signed >= 3


def test_the_newest_tree_is_the_default_of_proofs(ledger_calls):
    checkpoint = ledger_calls.GetCheckpoint()
    inclusion, consistency = ledger_calls.ProveInclusion(0), ledger_calls.ProveConsistency(1)
    assert (inclusion["size"], inclusion["root"]) == (checkpoint["size"], checkpoint["root"])
    assert (consistency["second"], consistency["secondRoot"]) == (checkpoint["size"], checkpoint["root"])
    assert consistency["checkpoint"] == checkpoint["checkpoint"]


def test_claims_are_opened_all_or_by_name(ledger_calls, shared):
    document = b"to be opened"
    event = events.deposit(document, name="a \"quoted\"\n名.pdf")
    [receipt] = shared.append(event)["receipts"]
    entry = entry_of(shared.entry(receipt["index"]))
    [(scope, claims)] = event["claims"].items()
    opened = ledger_calls.Open(receipt["index"])["openings"]
    assert {opening["name"]: opening["value"] for opening in opened} == claims
    named = ledger_calls.Open(receipt["index"], ["size"])["openings"]
    assert [opening["name"] for opening in named] == ["size"]
    assert named[0] in opened
    for opening in opened:
        assert opening["scope"] == scope
        assert opening["commitment"] == entry["claims"][scope][opening["name"]]
        verifier.verify_opening(opening, entry)
    assert len({opening["salt"] for opening in opened}) == len(opened)


def test_an_entry_without_claims_opens_to_nothing(ledger_calls):
    assert ledger_calls.Open(0)["openings"] == []


def test_watch_gives_what_was_recorded_and_then_what_is_recorded(client, shared):
    size = shared.size
    subject = events.new_id()
    with client.open(INTERFACE) as watcher:
        watched = watcher.Watch(**{"from": size - 1}, _more=True)
        first = next(watched)
        assert [row["index"] for row in first["entries"]] == [size - 1] and first["size"] == size
        shared.append(events.closure(subject))
        second = next(watched)
        assert [entry_of(row)["streams"] for row in second["entries"]] == [[[f"subject/{subject}", 0]]]
        assert second["size"] == size + 1


def test_watch_narrows_by_type_and_stream_and_begins_with_the_next_entry(client, shared):
    stream = f"subject/{events.new_id()}"
    with client.open(INTERFACE) as watcher:
        watched = watcher.Watch(type="account.registered", stream=stream, _more=True)
        got = []
        reader = threading.Thread(target=lambda: got.append(next(watched)))
        reader.start()
        wanted = events.registration(stream.partition("/")[2])
        # Only what comes after the call counts, and when it has arrived can't be seen: so until one is reported.
        while reader.is_alive():
            shared.append(events.registration(), events.closure(), wanted | {"request": events.new_request()})
            reader.join(0.2)
    for row in got[0]["entries"]:
        assert entry_of(row)["type"] == "account.registered" and entry_of(row)["streams"][0][0] == stream


def test_status_says_how_the_ledger_stands(ledger_calls):
    status, checkpoint = ledger_calls.Status(), ledger_calls.GetCheckpoint()
    for name in ("origin", "size", "root"):
        assert status[name] == checkpoint[name]
    assert status["incarnation"] == 1 and status["acceptsAppends"] is True
    assert status["principal"] == PRINCIPAL and sorted(status["roles"]) == sorted(ROLES)
    assert status["clock"] in ("synchronized", "unsynchronized")
    assert 0 < status["storeBytes"] <= status["mapBytes"]
    assert status["connections"] >= 1 and status["queued"] == 0 and status["queuedBytes"] == 0
    last = entry_of(ledger_calls.GetEntry(status["size"] - 1)["entry"])
    assert status["time"] >= last["time"]


def test_status_counts_appends_duplicates_and_refusals(ledger):
    with varlink.Client(address=f"unix:{ledger.socket}") as client, client.open(INTERFACE) as calls:
        before = calls.Status()
        event = events.closure()
        calls.Append([event, events.closure()])
        calls.Append([event])
        with pytest.raises(varlink.VarlinkError):
            calls.Append([event | {"type": "no.such"}])
        after = calls.Status()
    grown = {name: after[name] - before[name] for name in ("appended", "duplicates", "refused", "size")}
    assert grown == {"appended": 2, "duplicates": 1, "refused": 1, "size": 2}


def test_backup_writes_a_store_that_passes_its_audit(ledger_calls, shared):
    target = shared.backups / "by-varlink"
    reply, checkpoint = ledger_calls.Backup(str(target)), ledger_calls.GetCheckpoint()
    assert (reply["size"], reply["root"]) == (checkpoint["size"], checkpoint["root"])
    assert reply["bytes"] == (target / "data.mdb").stat().st_size
    report = shared.audit("--store", target, "--copy")
    assert report["clean"] and (report["size"], report["root"]) == (reply["size"], reply["root"])


def test_errors_arrive_as_declared(ledger_calls):
    with pytest.raises(varlink.VarlinkError) as refused:
        ledger_calls.GetEntry(2**40)
    assert refused.value.error() == f"{INTERFACE}.NotFound"
    with pytest.raises(varlink.VarlinkError) as refused:
        ledger_calls.Append([events.closure(body={"channel": "pigeon"})])
    assert refused.value.error() == f"{INTERFACE}.InvalidEvent"
    assert set(refused.value.parameters()) == {"event", "field", "rule"}


def test_a_oneway_append_is_recorded(client, shared):
    event = events.closure()
    with client.open(INTERFACE) as calls:
        assert calls.Append([event], _oneway=True) is None
        [receipt] = calls.Append([event])["receipts"]
    assert receipt["duplicate"] is True
