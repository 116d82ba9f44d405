"""A request is recorded once: the same content gives the first receipt again, other content is a conflict."""

import json
import threading

import pytest

import events
from ledger import CallError
from test_errors import refusal


def first_receipt(reply: dict, position: int = 0) -> dict:
    return {name: value for name, value in reply["receipts"][position].items() if name != "duplicate"}


def test_the_same_request_gives_the_first_receipt_again(shared):
    event = events.deposit(b"once")
    first = shared.append(event)
    size = shared.size
    again = shared.append(event)
    assert first_receipt(again) == first_receipt(first)
    assert (first["receipts"][0]["duplicate"], again["receipts"][0]["duplicate"]) == (False, True)
    assert shared.size == size


def test_spelling_and_order_don_t_make_other_content(shared):
    event = events.consent()
    other = events.event("contract.viewed", ["subject/" + "1" * 32, "contract/" + "2" * 32])
    receipts = shared.append(event, other)["receipts"]
    turned = {name: event[name] for name in reversed(event)} | {"body": dict(reversed(event["body"].items()))}
    again = shared.append(turned, other | {"streams": other["streams"][::-1], "body": {}, "claims": None})["receipts"]
    assert [receipt["index"] for receipt in again] == [receipt["index"] for receipt in receipts]
    assert all(receipt["duplicate"] for receipt in again)


def test_within_one_call_the_second_is_a_duplicate_of_the_first(shared):
    event, between = events.deposit(b"twice"), events.closure()
    reply = shared.append(event, between, event)
    assert first_receipt(reply, 0) == first_receipt(reply, 2)
    assert [receipt["duplicate"] for receipt in reply["receipts"]] == [False, False, True]


def test_calls_that_are_refused_half_way_leave_nothing_in_the_commits_of_others(make_ledger):
    """Calls of many clients share a commit; what one of them is refused must not be in it."""
    ledger = make_ledger().init().start()
    used = events.closure()
    ledger.append(used)
    conflicting = used | {"body": {"channel": "app"}}
    objects, accepted = [], []
    wires = [ledger.wire() for _ in range(6)]
    for _ in range(25):
        calls = []
        for number in range(len(wires)):
            deposit = events.deposit(b"half-way")
            calls.append([events.closure(), deposit] if number % 3 == 0 else [deposit, conflicting])
        for wire, call in zip(wires, calls):
            wire.send_call("Append", {"events": call})
        for wire, call in zip(wires, calls):
            if call[-1] is conflicting:
                with pytest.raises(CallError) as refused:
                    wire.reply()
                # After a few conflicts it is not even compared.
                assert refused.value.name in ("RequestConflict", "Throttled")
                objects.append(call[0])
            else:
                accepted += [receipt["index"] for receipt in wire.reply()["receipts"]]
    for wire in wires:
        wire.close()
    assert ledger.size == max(accepted) + 1 and len(set(accepted)) == len(accepted) == 100
    # The objects of refused calls are as new as before.
    [receipt] = ledger.append(objects[0])["receipts"]
    assert json.loads(ledger.entry(receipt["index"])["entry"])["streams"] == [[objects[0]["streams"][0], 0]]
    assert len(ledger.call("Open", {"index": receipt["index"]})["openings"]) == 3
    assert ledger.stop() == 0
    report = ledger.audit()
    assert report["clean"], report["findings"]


def test_duplicates_come_with_proofs_against_the_newest_checkpoint(shared):
    event = events.deposit(b"proven twice")
    shared.append(event)
    shared.append(events.closure())
    reply = shared.append(event, proofs=True)
    assert reply["receipts"][0]["proof"].endswith("\n\n" + reply["checkpoint"])


CHANGES = {
    "type": lambda e: events.event("policy.declined", e["streams"], {"policy": 1}, actor=e["actor"]),
    "actor": lambda e: e | {"actor": "system"},
    "streams": lambda e: e | {"streams": [*e["streams"], f"session/{events.new_id()}"]},
    "body": lambda e: e | {"body": e["body"] | {"channel": "app"}},
    "claims": lambda e: e | {"claims": {scope: {"phone": "2"} for scope in e["claims"]}},
    "fewer claims": lambda e: e | {"claims": {}},
    "another claim": lambda e: e | {"claims": {scope: {"email": "1"} for scope in e["claims"]}},
    "claims under another scope": lambda e: e | {
        "streams": [*e["streams"], "vendor/" + "1" * 32], "claims": {"vendor/" + "1" * 32: {"phone": "1"}}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_content_under_the_same_request_is_a_conflict(shared, change):
    event = events.registration(phone="1")
    if change == "type":
        event["streams"].append(f"policy/{events.new_id()}")
    index = shared.append(event)["receipts"][0]["index"]
    size = shared.size
    other = CHANGES[change](event) | {"request": event["request"]}
    answer = refusal(shared, "Append", {"events": [events.closure(), other]}, "RequestConflict")
    assert answer == {"event": 1, "index": index}
    assert shared.size == size, "the call is refused as a whole"


@pytest.mark.parametrize("one, other", [("1", "2"), ("\u00e9", "e\u0301"), ("K", "\u212a")])
@pytest.mark.parametrize("in_one_call", [True, False])
def test_values_that_only_look_alike_are_other_content(shared, in_one_call, one, other):
    event = events.registration(phone=one)
    changed = event | {"claims": {scope: {"phone": other} for scope in event["claims"]}}
    calls = [[event, changed]] if in_one_call else [[event], [changed]]
    with pytest.raises(CallError) as refused:
        for call in calls:
            shared.append(*call)
    # Within one call nothing is recorded yet, so there is no entry to name.
    assert refused.value.name == ("InvalidEvent" if in_one_call else "RequestConflict")
    assert refused.value.parameters["event"] == (1 if in_one_call else 0)
    assert not in_one_call or refused.value.parameters["field"] == "request"


def test_receipts_outlive_restarts_and_a_lost_index(ledger):
    plain, claimed = events.closure(), events.deposit(b"kept")
    first = ledger.append(plain, claimed)
    ledger.restart()
    again = ledger.append(claimed, plain)
    assert [first_receipt(again, 1), first_receipt(again, 0)] == [first_receipt(first, 0), first_receipt(first, 1)]
    assert ledger.stop() == 0
    for file in ledger.index.iterdir():
        file.unlink()
    ledger.start()
    again = ledger.append(plain, claimed)
    assert [first_receipt(again, 0), first_receipt(again, 1)] == [first_receipt(first, 0), first_receipt(first, 1)]
    assert all(receipt["duplicate"] for receipt in again["receipts"])
    assert ledger.audit()["clean"]


def test_requests_of_different_submitters_have_nothing_to_do_with_each_other(ledger):
    event = events.closure()
    first = ledger.append(event)["receipts"][0]
    ledger.stop()
    ledger.configure(principal="other").start()
    second = ledger.append(event)["receipts"][0]
    assert second["index"] > first["index"] and second["duplicate"] is False


def test_of_many_senders_of_the_same_events_one_records_each(ledger):
    batch = [events.deposit(b"%d" % number) for number in range(20)]
    replies, failures = [], []

    def send(turn: int):
        try:
            turned = batch[turn:] + batch[:turn]
            with ledger.wire() as wire:
                reply = wire.call("Append", {"events": turned})
            replies.append({e["request"]: r for e, r in zip(turned, reply["receipts"], strict=True)})
        except Exception as error:  # noqa: BLE001  whatever it is, the test must say so
            failures.append(error)

    ledger.append(events.closure())
    size = ledger.size
    senders = [threading.Thread(target=send, args=(turn,)) for turn in range(16)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert not failures
    assert ledger.size == size + len(batch)
    for event in batch:
        receipts = [reply[event["request"]] for reply in replies]
        assert len({(receipt["index"], receipt["leaf"], receipt["time"]) for receipt in receipts}) == 1
        assert [receipt["duplicate"] for receipt in receipts].count(False) == 1
    assert ledger.call("Status")["duplicates"] == len(batch) * 15
    assert ledger.stop() == 0 and ledger.audit()["clean"]
