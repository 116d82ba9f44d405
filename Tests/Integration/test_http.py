"""The HTTP face of the socket, by curl and by Python's http.client."""

import email.utils
import hashlib
import json
import subprocess
import time

import pytest

import events
import verifier
from ledger import ORIGIN, require
from wire import INTERFACE, qualified


def curl(ledger, path: str, *args, data=None) -> tuple[int, bytes]:
    """Status and body of one request by curl."""
    command = [require("curl"), "--silent", "--show-error", "--max-time", "30", "--unix-socket", str(ledger.socket),
               "--write-out", "\n%{http_code}", *args]
    if data is not None:
        command += ["--data-binary", "@-"]
    done = subprocess.run([*command, f"http://ledger{path}"], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def curl_call(ledger, method: str, parameters: dict | None = None, *args):
    status, body = curl(ledger, f"/call/{qualified(method)}", *args, data=json.dumps(parameters or {}).encode())
    return status, json.loads(body)


def json_sequence(data: bytes) -> list:
    """RFC 7464: each text between a record separator and a line feed."""
    assert data.startswith(b"\x1e") and data.endswith(b"\n")
    return [json.loads(text) for text in data[1:-1].split(b"\n\x1e")]


@pytest.fixture
def http(shared):
    connection = shared.http()
    yield connection
    connection.close()


def by_curl(ledger):
    return lambda method, parameters=None: curl_call(ledger, method, parameters)


def by_python(ledger):
    def call(method, parameters=None):
        connection = ledger.http()
        answer = connection.call(method, parameters)
        connection.close()
        assert answer.headers["content-type"] == "application/json"
        return answer.status, answer.json

    return call


@pytest.fixture(params=[by_curl, by_python])
def call(request, shared):
    return request.param(shared)


def ok(answer):
    status, reply = answer
    assert status == 200, reply
    return reply


def test_every_method_answers_as_the_native_protocol_does(call, shared):
    for method, parameters in [
        ("org.varlink.service.GetInfo", {}),
        ("org.varlink.service.GetInterfaceDescription", {"interface": INTERFACE}),
        ("GetEntry", {"index": 0}),
        ("ListEntries", {"limit": 2}),
        ("ListEntries", {"type": "account.registered", "reverse": True}),
        ("FindByDigest", {"digest": hashlib.sha256(b"first").hexdigest()}),
        ("GetCheckpoint", {}),
        ("ProveInclusion", {"index": 1}),
        ("ProveInclusion", {"index": 1, "size": 3}),
        ("ProveConsistency", {"first": 2}),
        ("Open", {"index": 3}),
    ]:
        assert ok(call(method, parameters)) == shared.call(method, parameters), method


def test_append_is_recorded_and_proven(call, shared):
    event = events.deposit(b"over http")
    reply = ok(call("Append", {"events": [event], "proofs": True}))
    [receipt] = reply["receipts"]
    entry = ok(call("GetEntry", {"index": receipt["index"]}))["entry"]["entry"].encode()
    verifier.verify_proof(receipt["proof"], entry, shared.vkey)
    assert ok(call("Append", {"events": [event]}))["receipts"][0]["duplicate"] is True


def test_new_ids_status_and_backup(call, shared):
    assert len(set(ok(call("NewIds", {"count": 5}))["ids"])) == 5
    assert ok(call("Status"))["origin"] == ORIGIN
    target = shared.backups / events.new_id()
    assert ok(call("Backup", {"directory": str(target)}))["size"] == shared.size
    assert shared.audit("--store", target, "--copy")["clean"]


def test_no_body_means_no_parameters(shared):
    status, body = curl(shared, "/call/org.evidenced.Ledger.GetCheckpoint", "--request", "POST")
    assert status == 200 and json.loads(body)["origin"] == ORIGIN


ERRORS = [
    ("GetEntry", {"index": 2**40}, 404, f"{INTERFACE}.NotFound"),
    ("GetEntry", {"index": "one"}, 400, f"{INTERFACE}.InvalidArgument"),
    ("Append", {"events": [{}]}, 400, f"{INTERFACE}.InvalidEvent"),
    ("Watch", {}, 400, "org.varlink.service.ExpectedMore"),
    ("NoSuchMethod", {}, 404, "org.varlink.service.MethodNotFound"),
    ("org.example.Other.Method", {}, 404, "org.varlink.service.InterfaceNotFound"),
    ("nodots", {}, 404, None),
]


@pytest.mark.parametrize("method, parameters, status, error", ERRORS, ids=[row[0] for row in ERRORS])
def test_errors_have_their_status_and_name(call, method, parameters, status, error):
    got, reply = call(method, parameters)
    assert got == status
    assert isinstance(reply["parameters"], dict)
    assert error is None or reply["error"] == error


@pytest.mark.parametrize("body", ["null", "[]", "{", '{"a":1,"a":2}', '{"a":1.5}', "{} {}", '"x"', "\x00{}"])
def test_a_body_that_is_no_strict_json_object_is_refused(http, body):
    answer = http.ask("POST", f"/call/{INTERFACE}.GetCheckpoint", body)
    assert answer.status == 400
    assert answer.json["error"] == "org.varlink.service.InvalidParameter"


def test_lists_come_as_a_json_sequence(shared, http):
    answer = http.call("ListEntries", {"limit": 2}, {"Accept": "application/json-seq"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json-seq")
    pages = json_sequence(answer.body)
    assert [row for page in pages for row in page["entries"]] == shared.entries()
    assert http.call("GetCheckpoint").status == 200, "the connection goes on after a stream"


def test_an_error_before_a_stream_begins_has_its_status(http):
    answer = http.call("ListEntries", {"stream": "nonsense"}, {"Accept": "application/json-seq"})
    assert (answer.status, answer.json["error"]) == (400, f"{INTERFACE}.InvalidArgument")


def test_curl_follows_what_is_recorded(shared):
    size = shared.size
    command = [require("curl"), "-sN", "--unix-socket", str(shared.socket), "-H", "Accept: application/json-seq",
               "-d", json.dumps({"from": size}), f"http://ledger/call/{INTERFACE}.Watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watcher:
        try:
            for number in range(3):
                event = events.closure()
                shared.append(event)
                [reply] = json_sequence(watcher.stdout.readline())
                [row] = reply["entries"]
                assert row["index"] == size + number and reply["size"] == size + number + 1
                assert json.loads(row["entry"])["request"] == event["request"]
        finally:
            watcher.kill()


def test_resources(shared, http):
    checkpoint = http.ask("GET", "/checkpoint")
    assert (checkpoint.status, checkpoint.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert verifier.verify_note(checkpoint.body.decode(), shared.vkey).size == shared.size
    tile = http.ask("GET", f"/tile/0/000.p/{shared.size}")
    assert (tile.status, tile.headers["content-type"]) == (200, "application/octet-stream")
    assert tile.body[:32] == verifier.leaf_hash(shared.entry(0)["entry"].encode())
    assert curl(shared, "/checkpoint?ignored=1") == (200, checkpoint.body)


def test_metrics_are_in_the_prometheus_text_format(shared, http):
    answer = http.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = {}
    for line in answer.body.decode().splitlines():
        if line.startswith("#"):
            assert line.split()[1] in ("HELP", "TYPE") and line.split()[2].startswith("evidenced_")
        else:
            name, value = line.split()
            values[name] = int(value)
    status = shared.call("Status")
    assert values["evidenced_tree_size"] == status["size"]
    assert values["evidenced_appended_events_total"] == status["appended"]
    assert values["evidenced_accepts_appends"] == 1
    assert values["evidenced_incarnation"] == 1


@pytest.mark.parametrize("path", [
    "/", "/nothing", "/tile", "/tile/", "/tile/0/999", "/tile/0/000", "/tile/0/000.p/0", "/tile/0/000.p/256",
    "/tile/0/0", "/tile/0/000.p/01", "/tile/64/000", "/tile/-1/000", "/tile/entries/../0/000", "/tile/0/x000/001",
    "//checkpoint", "/tile/0/000.p/%31",
])
def test_nothing_is_at_other_paths(http, path):
    assert http.ask("GET", path).status == 404


@pytest.mark.parametrize("path", ["/checkpoint", "/metrics", "/tile/entries/000.p/1", "/nothing"])
def test_head_is_get_without_the_body(http, path):
    got, head = http.ask("GET", path), http.ask("HEAD", path)
    assert head.body == b""
    assert head.status == got.status
    assert head.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == str(len(got.body))


CALL = f"/call/{INTERFACE}.GetCheckpoint"


@pytest.mark.parametrize("verb, path, allow", [
    *[(verb, "/checkpoint", "GET, HEAD") for verb in ("PUT", "DELETE", "PATCH", "OPTIONS")],
    *[(verb, CALL, "POST") for verb in ("GET", "HEAD", "PUT", "OPTIONS")], ("OPTIONS", "*", "GET, HEAD, POST, PUT"),
])
def test_other_verbs_are_not_allowed_and_which_are_is_said(http, verb, path, allow):
    answer = http.ask(verb, path)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


def test_every_answer_has_the_time(http):
    for verb, path in (("GET", "/checkpoint"), ("HEAD", "/metrics"), ("GET", "/nothing"), ("PUT", "/"), ("POST", CALL)):
        date = email.utils.parsedate_to_datetime(http.ask(verb, path).headers["date"])
        assert abs(date.timestamp() - time.time()) < 60


def test_post_goes_to_calls_only(http):
    assert http.ask("POST", "/checkpoint", {}).status == 404


def test_a_connection_is_kept_for_many_requests(shared, http):
    http.connect()
    kept = http.sock
    for _ in range(20):
        assert http.call("GetEntry", {"index": 0}).status == 200
        assert http.call("GetEntry", {"index": 2**40}).status == 404
        assert http.sock is kept
    closing = http.ask("GET", "/checkpoint", headers={"Connection": "close"})
    assert closing.status == 200 and closing.headers["connection"] == "close"


def request(verb: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{verb} {path} HTTP/1.1", "Host: ledger", *length, *headers, "", ""]).encode() + body


def test_pipelined_requests_are_answered_in_order(shared):
    with shared.wire() as wire:
        for index in range(3):
            wire.send(request("POST", f"/call/{INTERFACE}.GetEntry", json.dumps({"index": index}).encode()))
        wire.send(request("GET", "/nothing") + request("GET", "/checkpoint", b"", "Connection: close"))
        answers = wire.receive_all().decode()
    assert answers.count("HTTP/1.1 200") == 4 and answers.count("HTTP/1.1 404") == 1
    places = [answers.index(f'\\"index\\":{index},') for index in range(3)]
    assert places == sorted(places) and places[-1] < answers.index("HTTP/1.1 404") < answers.index("\u2014 ")


def test_a_request_with_two_lengths_is_refused_and_what_follows_is_not_read(shared):
    before = shared.size
    smuggled = request("POST", f"/call/{INTERFACE}.Append", json.dumps({"events": [events.closure()]}).encode())
    with shared.wire() as wire:
        wire.send(request("POST", f"/call/{INTERFACE}.GetCheckpoint", b"0\r\n\r\n" + smuggled,
                          "Transfer-Encoding: chunked"))
        answer = wire.receive_all()
    assert answer.startswith(b"HTTP/1.1 400") and answer.count(b"HTTP/1.1") == 1
    assert shared.size == before


def test_a_chunked_body_is_taken(shared):
    head = request("POST", f"/call/{INTERFACE}.GetEntry", b"", "Transfer-Encoding: chunked", "Connection: close")
    with shared.wire() as wire:
        wire.send(head + b"5\r\n{\"ind\r\n6\r\nex\":0}\r\n0\r\n\r\n")
        answer = wire.receive_all()
    assert answer.startswith(b"HTTP/1.1 200") and b"ledger.created" in answer


def answers(ledger, data: bytes) -> bytes:
    with ledger.wire(timeout=10) as wire:
        wire.send(data)
        return wire.receive_all()


HOST, END = b"Host: ledger\r\n", b"Connection: close\r\n\r\n"


@pytest.mark.parametrize("hosts, status", [(b"", 400), (HOST, 200), (HOST * 2, 400), (b"Host: a\r\nHost: b\r\n", 400)])
def test_a_request_has_one_host(shared, hosts, status):
    """RFC 9112 section 3.2."""
    assert answers(shared, b"GET /checkpoint HTTP/1.1\r\n" + hosts + END).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("target", [b"http://ledger/checkpoint", b"HTTP://x:80/checkpoint?y", b"/checkpoint"])
def test_a_target_may_be_absolute(shared, target):
    """RFC 9112 section 3.2.2."""
    answer = answers(shared, b"GET " + target + b" HTTP/1.1\r\n" + HOST + END)
    assert answer.startswith(b"HTTP/1.1 200") and ORIGIN.encode() in answer


def test_line_ends_before_a_request_are_skipped(shared):
    """RFC 9112 section 2.2."""
    posted = b"POST %s HTTP/1.1\r\n%sContent-Length: 2\r\n\r\n{}" % (CALL.encode(), HOST)
    both = answers(shared, b"\r\n\r\n" + posted + b"\r\nGET /checkpoint HTTP/1.1\r\n" + HOST + END)
    assert both.count(b"HTTP/1.1 200") == 2


def test_an_old_client_gets_no_chunks(shared):
    """RFC 9112 section 6.1: the end of the connection is that of the body."""
    body = b'{"limit":1}'
    call = f"/call/{INTERFACE}.ListEntries".encode()
    head, _, sequence = answers(shared, b"POST %s HTTP/1.0\r\nAccept: application/json-seq\r\nContent-Length: %d\r\n"
                                b"Connection: keep-alive\r\n\r\n%s" % (call, len(body), body)).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert [row for page in json_sequence(sequence) for row in page["entries"]] == shared.entries()


def test_an_old_client_is_not_told_to_go_on(shared):
    answer = answers(shared, b"POST %s HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}" % CALL.encode())
    assert answer.startswith(b"HTTP/1.1 200")


def test_an_old_client_is_kept_where_it_asks(shared):
    with shared.wire(timeout=10) as wire:
        for _ in range(2):
            wire.send(b"GET /checkpoint HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert b"\r\nconnection: keep-alive\r\n" in wire.socket.recv(1 << 16).lower()
        wire.send(b"GET /checkpoint HTTP/1.0\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in wire.receive_all().lower()


@pytest.mark.parametrize("size", [70_000, 3_000_000, 20_000_000])
def test_who_sends_too_much_gets_to_see_so(make_ledger, size):
    """A client that sends all before it reads, as most do, must not see a broken pipe in place of the answer."""
    ledger = make_ledger(message_bytes="64K").init().start()
    for chunked in (False, True):
        connection = ledger.http()
        body = (b'{"a":"' + b"x" * size + b'"}',)
        headers = {} if chunked else {"Content-Length": str(len(body[0]))}
        answer = connection.ask("POST", f"/call/{INTERFACE}.GetEntry", iter(body), headers)
        assert answer.status == 413 and answer.json["parameters"] == {"limit": 65_536, "what": "message"}
        connection.close()


def test_a_body_beyond_the_limit_is_refused_with_413(make_ledger):
    ledger = make_ledger(message_bytes="64K").init().start()
    small = b'{"directory":"' + b"x" * (65_535 - 16) + b'"}'
    assert len(small) == 65_535
    assert curl(ledger, f"/call/{INTERFACE}.Backup", data=small + b" ")[0] == 400
    status, body = curl(ledger, f"/call/{INTERFACE}.Backup", data=small + b"  ")
    assert status == 413 and json.loads(body)["error"] == "org.varlink.service.TooLarge"


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(shared):
    """As curl does with more than 1 MiB: it waits a whole second where nobody answers (RFC 9110 section 10.1.1)."""
    body = json.dumps({"index": 0}).encode()
    head = request("POST", f"/call/{INTERFACE}.GetEntry", body, "Expect: 100-continue", "Connection: close")
    with shared.wire(timeout=5) as wire:
        wire.send(head.removesuffix(body))
        assert wire.socket.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(body)
        assert wire.receive_all().startswith(b"HTTP/1.1 200")


def test_a_client_that_asks_whether_it_may_send_too_much_is_refused_at_once(make_ledger):
    ledger = make_ledger(message_bytes="4K").init().start()
    with ledger.wire(timeout=5) as wire:
        wire.send(f"POST /call/{INTERFACE}.GetEntry HTTP/1.1\r\nHost: ledger\r\nContent-Length: 5000\r\n"
                  "Expect: 100-continue\r\n\r\n".encode())
        assert wire.receive_all().startswith(b"HTTP/1.1 413")
