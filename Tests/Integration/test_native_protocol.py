"""The framing of the native Varlink protocol: NUL-terminated JSON, answered in order."""

import contextlib
import json
import time

import pytest

import events
from wire import INTERFACE, CallError, message

SERVICE = "org.varlink.service"
GET_INFO = f"{SERVICE}.GetInfo"


@pytest.fixture
def wire(shared):
    with shared.wire() as wire:
        yield wire


def closed(wire) -> bool:
    return wire.receive() is None


def get(index: int) -> bytes:
    return message("GetEntry", {"index": index})


def test_a_reply_is_one_json_object_and_a_nul(wire):
    wire.send(message("GetCheckpoint"))
    wire.finish_sending()
    data = wire.receive_all()
    assert data.count(b"\0") == 1 and data.endswith(b"}\0")
    assert set(json.loads(data[:-1])) == {"parameters"}


def test_a_message_may_come_byte_by_byte(wire):
    for byte in get(0):
        wire.send(bytes([byte]))
    assert wire.reply()["entry"]["index"] == 0


@pytest.mark.parametrize("cut", [1, 17, len(get(0)) - 1, len(get(0)), len(get(0)) + 1])
def test_two_messages_may_be_cut_anywhere(wire, cut):
    data = get(0) + get(1)
    wire.send(data[:cut])
    time.sleep(0.02)
    wire.send(data[cut:])
    assert [wire.reply()["entry"]["index"] for _ in range(2)] == [0, 1]


def test_pipelined_calls_are_answered_in_order_whatever_each_takes(wire, shared):
    size = shared.size
    quick = get(0) + message("GetEntry", {"index": -1}) + message(GET_INFO)
    for _ in range(50):
        wire.send(message("Append", {"events": [events.closure()], "proofs": True}) + quick)
    for number in range(50):
        assert wire.reply()["receipts"][0]["index"] == size + number
        assert wire.reply()["entry"]["index"] == 0
        with pytest.raises(CallError) as refused:
            wire.reply()
        assert refused.value.name == "InvalidArgument"
        assert "vendor" in wire.reply()


def test_a_thousand_calls_may_be_sent_before_the_first_answer_is_read(wire):
    wire.send(get(0) * 1_000 + get(1))
    answers = [wire.reply()["entry"]["index"] for _ in range(1_001)]
    assert answers == [0] * 1_000 + [1]


def test_a_oneway_call_is_done_but_not_answered(wire, shared):
    event = events.closure()
    wire.send(message("Append", {"events": [event]}, oneway=True) + message("GetEntry", {"index": -1}, oneway=True))
    wire.send(message("org.example.None", oneway=True) + get(1))
    assert wire.reply()["entry"]["index"] == 1
    assert shared.append(event)["receipts"][0]["duplicate"] is True


def test_upgrade_is_not_implemented(wire):
    with pytest.raises(CallError) as refused:
        wire.call("GetCheckpoint", upgrade=True)
    assert refused.value.full_name == f"{SERVICE}.MethodNotImplemented"
    assert wire.call("GetCheckpoint")["size"] > 0


UNKNOWN = [
    (f"{INTERFACE}.Delete", "MethodNotFound", {"method": f"{INTERFACE}.Delete"}),
    (f"{INTERFACE}.append", "MethodNotFound", {"method": f"{INTERFACE}.append"}),
    (f"{INTERFACE}.", "MethodNotFound", {"method": f"{INTERFACE}."}),
    (f"{SERVICE}.Quit", "MethodNotFound", {"method": f"{SERVICE}.Quit"}),
    ("org.example.Ledger.Append", "InterfaceNotFound", {"interface": "org.example.Ledger"}),
    (".Append", "MethodNotFound", {"method": ".Append"}), ("..", "InterfaceNotFound", {"interface": "."}),
]


@pytest.mark.parametrize("method, error, parameters", UNKNOWN, ids=[row[0] for row in UNKNOWN])
def test_what_is_not_there_is_named(wire, method, error, parameters):
    with pytest.raises(CallError) as refused:
        wire.call(method)
    assert (refused.value.full_name, refused.value.parameters) == (f"{SERVICE}.{error}", parameters)
    assert wire.call("GetCheckpoint")["size"] > 0


@pytest.mark.parametrize("method", ["Append", ""])
def test_a_method_without_interface_is_refused(wire, method):
    wire.send(json.dumps({"method": method}).encode() + b"\0")
    with pytest.raises(CallError) as refused:
        wire.reply()
    assert refused.value.full_name.startswith(SERVICE)


@pytest.mark.parametrize("parameters", [None, {}, {"interface": 1}, {"interface": None}])
def test_a_description_of_no_interface_is_an_invalid_parameter(wire, parameters):
    with pytest.raises(CallError) as refused:
        wire.call(f"{SERVICE}.GetInterfaceDescription", parameters)
    assert (refused.value.full_name, refused.value.parameters) == (
        f"{SERVICE}.InvalidParameter", {"parameter": "interface"})


MALFORMED = [
    b"{}", b"{\"method\":1}", b"{\"method\":null}", b"[]", b"null", b"{\"method\":\"%s\"", b"{\"method\":\"%s\"}}",
    b"{\"method\":\"%s\",\"method\":\"%s\"}", b"{\"method\":\"%s\",\"parameters\":[]}",
    b"{\"method\":\"%s\",\"parameters\":\"{}\"}", b"{\"method\":\"%s\",\"parameters\":{\"a\":1.5}}",
    b"{\"method\":\"%s\",\"parameters\":{\"a\":01}}", b"{\"method\":\"%s\",\"unknown\":1}",
    b"{\"method\":\"%s\",\"more\":1}", b"{\"method\":\"%s\",\"more\":\"true\"}", b"{\"method\":\"%s\",\"oneway\":[]}",
    b"{\"method\":\"%s\",\"more\":true,\"oneway\":true}", b"{\"method\":\"%s\",\"upgrade\":true,\"more\":true}",
    b"{\"method\":\"%s\"},", b"{'method':'%s'}", b"{\"method\":\"\xff\xfe\"}", b"{\"method\":\"\xed\xa0\x80\"}",
    b"{\"method\":\"%s\",\"parameters\":" + b"{\"a\":" * 40 + b"1" + b"}" * 41, b"",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_message_is_answered_and_closes_the_connection_after_what_was_asked_before(wire, shared, text):
    wire.send(get(0) + text.replace(b"%s", f"{INTERFACE}.GetCheckpoint".encode()) + b"\0" + get(1))
    assert wire.reply()["entry"]["index"] == 0
    assert wire.receive() == {"error": f"{SERVICE}.InvalidParameter", "parameters": {"parameter": "message"}}
    assert closed(wire)
    assert shared.call("GetCheckpoint")["size"] > 0


@pytest.mark.parametrize("first", [b"\0", b"\x16\x03\x01", b"[", b"\"", b"1", b"\xff", b"-"])
def test_a_connection_that_begins_as_neither_protocol_is_closed(wire, first):
    wire.send(first + get(0))
    assert closed(wire)


@pytest.mark.parametrize("flag", ["more", "oneway", "upgrade", "parameters"])
def test_null_is_as_good_as_absent(wire, flag):
    wire.send(json.dumps({"method": f"{INTERFACE}.GetCheckpoint", flag: None}).encode() + b"\0")
    assert wire.reply()["size"] > 0


def test_line_ends_before_the_first_message_are_skipped(wire):
    wire.send(b"\r\n\r\n" + get(0))
    assert wire.reply()["entry"]["index"] == 0


def test_white_space_around_a_message_is_json_too(wire):
    wire.send(b" \t\r\n" + get(0)[:-1] + b"\n \0")
    assert wire.reply()["entry"]["index"] == 0


def test_false_flags_and_null_parameters_are_as_good_as_none(wire):
    flags = {"more": False, "oneway": False, "upgrade": False}
    wire.send(json.dumps({"method": f"{INTERFACE}.GetCheckpoint", "parameters": None} | flags).encode() + b"\0")
    assert wire.reply()["size"] > 0


def test_more_on_a_method_with_one_reply_gives_one_reply(wire):
    wire.send_call("GetCheckpoint", more=True)
    answer = wire.receive()
    assert "continues" not in answer or answer["continues"] is False
    assert wire.call("GetEntry", {"index": 1})["entry"]["index"] == 1


def test_lists_one_after_another_and_calls_in_between(wire, shared):
    size = shared.size
    wire.send(message("ListEntries", {"limit": 2}, more=True) + get(0))
    wire.send(message("ListEntries", {"limit": 1000, "reverse": True}, more=True) + get(1))

    def pages():
        while True:
            answer = wire.receive()
            yield [row["index"] for row in answer["parameters"]["entries"]]
            if not answer.get("continues"):
                return

    assert [index for page in pages() for index in page] == list(range(size))
    assert wire.reply()["entry"]["index"] == 0
    assert [index for page in pages() for index in page] == list(reversed(range(size)))
    assert wire.reply()["entry"]["index"] == 1


def test_all_replies_but_the_last_continue(wire, shared):
    wire.send_call("ListEntries", {"limit": 2}, more=True)
    answers = []
    while not answers or answers[-1].get("continues"):
        answers.append(wire.receive())
    assert len(answers) == (shared.size + 1) // 2
    assert all(answer["continues"] is True for answer in answers[:-1])


def test_a_call_behind_a_watch_waits(wire, shared):
    wire.send_call("Watch", {"from": shared.size - 1}, more=True)
    assert wire.receive()["continues"] is True
    wire.send(get(0))
    event = events.closure()
    shared.append(event)
    assert wire.receive()["parameters"]["entries"][0]["entry"].find(event["request"]) > 0


@pytest.mark.parametrize("method", ["GetEntry", "Append"])
def test_a_client_that_closed_its_side_still_gets_its_answers(wire, shared, method):
    parameters = {"index": 0} if method == "GetEntry" else {"events": [events.closure()], "proofs": True}
    wire.send(message(method, parameters) + message("ListEntries", {"limit": 2}, more=True) + get(1))
    size = shared.size
    wire.finish_sending()
    answers = [json.loads(text) for text in wire.receive_all().split(b"\0")[:-1]]
    assert len(answers) >= 2 + (size + 1) // 2
    assert not any("error" in answer for answer in answers)
    assert answers[-1]["parameters"]["entry"]["index"] == 1


def test_a_watch_ends_where_its_client_closed_its_side(wire, shared):
    wire.send_call("Watch", {"from": shared.size - 1}, more=True)
    assert wire.receive()["continues"] is True
    wire.finish_sending()
    assert wire.receive_all() == b""


def test_a_client_that_says_nothing_and_leaves_is_no_trouble(shared):
    for _ in range(50):
        shared.wire().close()
    with shared.wire() as wire:
        wire.finish_sending()
        assert closed(wire)
    with shared.wire() as wire:
        wire.send(get(0)[:-5])
        wire.finish_sending()
        assert closed(wire)


def too_large(wire, limit: int) -> bool:
    told = {"error": f"{SERVICE}.TooLarge", "parameters": {"limit": limit, "what": "message"}}
    return wire.receive() == told and closed(wire)


def test_a_message_at_the_limit_is_taken_and_one_byte_more_is_told_so(make_ledger):
    ledger = make_ledger(message_bytes="4K").init().start()
    call = json.dumps({"method": f"{INTERFACE}.GetCheckpoint"}).encode()
    with ledger.wire() as wire:
        wire.send(call.ljust(4_096) + b"\0")
        assert wire.reply()["size"] > 0
        wire.send(call.ljust(4_097) + b"\0")
        assert too_large(wire, 4_096)
    with ledger.wire() as wire:
        # Without its end it can't become valid any more, so nobody waits for that.
        wire.send(call.ljust(4_200))
        assert too_large(wire, 4_096)
    with ledger.wire() as wire:
        # Sent whole before an answer is looked for, as simple clients do.
        wire.send(call.ljust(3_000_000) + b"\0")
        assert too_large(wire, 4_096)


def test_parameters_are_short_where_no_events_are_in_them(wire):
    for length, error in ((65_536, None), (65_537, "TooLarge")):
        parameters = b'{"index":0' + b" " * (length - 11) + b"}"
        assert len(parameters) == length
        wire.send(b'{"method":"%s.GetEntry","parameters":%s}\0' % (INTERFACE.encode(), parameters))
        if error is None:
            assert wire.reply()["entry"]["index"] == 0
        else:
            with pytest.raises(CallError) as refused:
                wire.reply()
            assert (refused.value.name, refused.value.parameters) == (error, {"what": "parameters", "limit": 65_536})


def test_a_message_that_takes_too_long_closes_and_a_silent_connection_does_not(make_ledger):
    ledger = make_ledger(message_timeout=1).init().start()
    with ledger.wire(timeout=10) as silent, ledger.wire(timeout=10) as slow:
        silent.call("GetCheckpoint")
        slow.send(get(0)[:10])
        begun = time.monotonic()
        assert closed(slow)
        assert 0.5 < time.monotonic() - begun < 8
        assert silent.call("GetCheckpoint")["size"] > 0


def test_an_idle_connection_closes_where_that_is_configured(make_ledger):
    ledger = make_ledger(idle_timeout=1).init().start()
    with ledger.wire(timeout=10) as talked, ledger.wire(timeout=10) as silent:
        talked.call("GetCheckpoint")
        assert closed(talked) and closed(silent)


def test_connections_beyond_a_users_limit_are_closed(make_ledger):
    ledger = make_ledger(maximum_connections_per_user=3).init().start()
    wires = [ledger.wire()]
    # The connection that waited for the start may still count.
    while wires[0].call("Status")["connections"] > 1:
        time.sleep(0.01)
    wires += [ledger.wire() for _ in range(2)]
    for wire in wires:
        wire.call("GetCheckpoint")
    with ledger.wire() as one_too_many:
        assert closed(one_too_many)
    wires.pop().close()
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(BrokenPipeError), ledger.wire() as wire:
            wire.send(get(0))
            if wire.receive() is not None:
                break
        assert time.monotonic() < deadline, "a closed connection still counts"
    for wire in wires:
        wire.close()
