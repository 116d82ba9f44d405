"""Every error of the interface, provoked through both faces of the socket."""

import threading
import time

import pytest

import events
from ledger import CallError
from wire import INTERFACE

STATUSES = {
    "NotFound": 404, "InvalidEvent": 400, "InvalidArgument": 400, "RequestConflict": 409, "PermissionDenied": 403,
    "Busy": 503, "TooLarge": 413, "StoreFull": 507, "Stopping": 503, "ClockUnconfirmed": 503, "ErasedClaims": 410,
}


def refusal(ledger, method: str, parameters: dict, error: str) -> dict:
    """The parameters of the error both faces answer a call with; fails where they differ or it is another."""
    with pytest.raises(CallError) as native:
        ledger.call(method, parameters)
    assert native.value.full_name == f"{INTERFACE}.{error}", native.value
    connection = ledger.http()
    answer = connection.call(method, parameters)
    connection.close()
    assert (answer.status, answer.json["error"]) == (STATUSES[error], native.value.full_name)
    assert answer.json["parameters"] == native.value.parameters
    if answer.status == 503:
        assert answer.headers["retry-after"] == "1"
    return native.value.parameters


ARGUMENTS = [
    ("NewIds", {"count": 0}, "count"), ("NewIds", {"count": 1001}, "count"), ("NewIds", {"count": "1"}, "count"),
    ("NewIds", {"number": 1}, "parameters"),
    ("GetEntry", {}, "index"), ("GetEntry", {"index": -1}, "index"), ("GetEntry", {"index": "0"}, "index"),
    ("GetEntry", {"index": True}, "index"), ("GetEntry", {"index": 0, "more": 1}, "parameters"),
    ("ListEntries", {"stream": "subject"}, "stream"), ("ListEntries", {"stream": 7}, "stream"),
    ("ListEntries", {"stream": "subject/" + "A" * 32}, "stream"),
    ("ListEntries", {"type": "no.such"}, "type"), ("ListEntries", {"submitter": "No One"}, "submitter"),
    ("ListEntries", {"since": "2026-01-01"}, "since"), ("ListEntries", {"until": "yesterday"}, "until"),
    ("ListEntries", {"until": "2026-02-30T00:00:00.000000Z"}, "until"),
    ("ListEntries", {"from": -1}, "from"), ("ListEntries", {"limit": 0}, "limit"),
    ("ListEntries", {"limit": 1001}, "limit"), ("ListEntries", {"reverse": 1}, "reverse"),
    ("FindByDigest", {}, "digest"), ("FindByDigest", {"digest": "ab"}, "digest"),
    ("FindByDigest", {"digest": "A" * 64}, "digest"), ("FindByDigest", {"digest": None}, "digest"),
    ("GetCheckpoint", {"first": 1}, "parameters"),
    ("ProveInclusion", {}, "index"), ("ProveInclusion", {"index": 0, "leaf": "A" * 43 + "="}, "index"),
    ("ProveInclusion", {"index": 10**9}, "index"), ("ProveInclusion", {"index": 2, "size": 2}, "index"),
    ("ProveInclusion", {"index": 0, "size": 0}, "size"), ("ProveInclusion", {"index": 0, "size": 10**9}, "size"),
    ("ProveInclusion", {"leaf": "A" * 42 + "B="}, "leaf"), ("ProveInclusion", {"leaf": "short"}, "leaf"),
    ("ProveConsistency", {}, "first"), ("ProveConsistency", {"first": 0}, "first"),
    ("ProveConsistency", {"first": 3, "second": 2}, "first"), ("ProveConsistency", {"first": 10**9}, "first"),
    ("ProveConsistency", {"first": 1, "second": 10**9}, "size"),
    ("Open", {}, "index"), ("Open", {"index": 3, "names": "size"}, "names"),
    ("Open", {"index": 3, "names": ["no_such_claim"]}, "names"), ("Open", {"index": 3, "names": [1]}, "names"),
    ("Status", {"verbose": True}, "parameters"),
    ("Backup", {}, "directory"), ("Backup", {"directory": "relative"}, "directory"),
    ("Backup", {"directory": "/"}, "directory"), ("Backup", {"directory": 1}, "directory"),
    ("Append", {}, "events"), ("Append", {"events": []}, "events"), ("Append", {"events": {}}, "parameters"),
    ("Append", {"events": [], "extra": 1}, "parameters"), ("Append", {"events": None}, "parameters"),
    ("Append", {"events": [], "proofs": "yes"}, "parameters"),
]


@pytest.mark.parametrize("method, parameters, field", ARGUMENTS, ids=[f"{m}-{p}" for m, p, _ in ARGUMENTS])
def test_arguments_out_of_their_rule_are_refused_by_name(shared, method, parameters, field):
    answer = refusal(shared, method, parameters, "InvalidArgument")
    assert answer["field"] == field and answer["rule"]


@pytest.mark.parametrize("arguments", [{"from": -1}, {"type": "no.such"}, {"stream": "x"}, {"since": "2026"}])
def test_watch_checks_its_arguments(shared, arguments):
    with shared.wire() as wire, pytest.raises(CallError) as refused:
        wire.call("Watch", arguments, more=True)
    assert refused.value.name == "InvalidArgument"


def test_watch_without_more_is_told_to_use_it(shared):
    with pytest.raises(CallError) as refused:
        shared.call("Watch", {})
    assert refused.value.full_name == "org.varlink.service.ExpectedMore"


@pytest.mark.parametrize("place", ["..", "below/../../elsewhere", "missing/parent/x"])
def test_a_backup_stays_below_its_root(shared, place):
    with pytest.raises(CallError) as refused:
        shared.call("Backup", {"directory": f"{shared.backups}/{place}"})
    assert refused.value.name in ("InvalidArgument", "Failed")
    assert not (shared.root / "elsewhere").exists() and not (shared.backups / "missing").exists()


def test_a_backup_takes_an_empty_directory_but_no_other(shared):
    empty, full = shared.backups / "empty", shared.backups / "full"
    empty.mkdir()
    full.mkdir()
    (full / "file").write_text("kept")
    assert shared.call("Backup", {"directory": str(empty)})["size"] == shared.size
    assert refusal(shared, "Backup", {"directory": str(full)}, "InvalidArgument")["field"] == "directory"
    assert (full / "file").read_text() == "kept"


def test_a_backup_needs_a_configured_root(make_ledger):
    ledger = make_ledger(backup_root=None).init().start()
    answer = refusal(ledger, "Backup", {"directory": str(ledger.backups / "x")}, "InvalidArgument")
    assert answer["field"] == "directory"


def test_what_is_not_there_is_not_found(shared):
    for index in (shared.size, 2**53 - 1):
        assert refusal(shared, "GetEntry", {"index": index}, "NotFound")["what"]
        assert refusal(shared, "Open", {"index": index}, "NotFound")["what"]
    assert refusal(shared, "ProveInclusion", {"leaf": "A" * 43 + "="}, "NotFound")["what"]


def test_a_call_of_too_many_events_is_too_large(make_ledger):
    ledger = make_ledger(batch_events=3).init().start()
    ledger.append(*(events.closure() for _ in range(3)))
    size = ledger.size
    answer = refusal(ledger, "Append", {"events": [events.closure() for _ in range(4)]}, "TooLarge")
    assert answer == {"what": "events", "limit": 3}
    assert ledger.size == size


def test_a_full_store_refuses_appends_and_reads_go_on(make_ledger):
    ledger = make_ledger(map_size="16M", map_limit="16M").init().start()
    padded = [events.access(reason="x" * 4_000) for _ in range(500)]
    with pytest.raises(CallError) as full:
        for _ in range(20):
            ledger.append(*(event | {"request": events.new_request()} for event in padded))
    assert full.value.name == "StoreFull" and full.value.parameters["reason"]
    size = ledger.size
    refusal(ledger, "Append", {"events": padded}, "StoreFull")
    assert ledger.size == size and ledger.call("Status")["acceptsAppends"] is False
    assert ledger.evidence("status", status=1).stdout
    assert ledger.call("ProveInclusion", {"index": size - 1})["proof"]
    assert ledger.call("Open", {"index": size - 1})["openings"]
    # A start in a full store serves reads too.
    ledger.restart()
    assert ledger.size >= size and ledger.entry(size - 1)
    # More room, and what was refused is taken.
    assert ledger.stop() == 0
    ledger.configure(map_limit="64M").start()
    assert ledger.append(*padded)["receipts"][-1]["index"] == ledger.size - 1


def test_a_full_queue_says_busy_and_records_nothing_of_the_call(make_ledger):
    ledger = make_ledger(queue_events=2).init().start()
    outcomes, counted = [], threading.Lock()

    def send():
        with ledger.wire() as wire:
            for _ in range(40):
                try:
                    wire.call("Append", {"events": [events.closure(), events.closure()]})
                    outcome = "recorded"
                except CallError as error:
                    outcome = error.name
                    assert error.parameters == {}
                with counted:
                    outcomes.append(outcome)

    ledger.append(events.closure())
    size = ledger.size
    deadline = time.monotonic() + 30
    while "Busy" not in outcomes:
        assert time.monotonic() < deadline, "the queue was never full"
        senders = [threading.Thread(target=send) for _ in range(16)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    assert set(outcomes) == {"Busy", "recorded"}
    assert ledger.size == size + 2 * outcomes.count("recorded")


def test_busy_over_http_asks_to_come_back(make_ledger):
    ledger = make_ledger(queue_events=2).init().start()
    answers = []

    def send():
        http = ledger.http()
        for _ in range(40):
            answers.append(http.call("Append", {"events": [events.closure(), events.closure()]}))
        http.close()

    deadline = time.monotonic() + 30
    while not any(answer.status == STATUSES["Busy"] for answer in answers):
        assert time.monotonic() < deadline, "the queue was never full"
        senders = [threading.Thread(target=send) for _ in range(16)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    for answer in answers:
        if answer.status != 200:
            assert answer.json["error"] == f"{INTERFACE}.Busy" and answer.headers["retry-after"] == "1"


def test_the_smallest_queue_lets_the_daemon_start_and_stop(make_ledger):
    ledger = make_ledger(queue_events=1).init().start()
    ledger.append(events.closure())
    ledger.restart()
    types = [row["entry"].partition('"type":"')[2].partition('"')[0] for row in ledger.entries()]
    assert types.count("system.stopped") == 1 and types.count("system.started") == 2
