"""Clients that mean harm, or are broken. Whatever they do: others are answered in time, memory stays bounded, the
files they held open are closed again, and the ledger is clean."""

import contextlib
import json
import os
import random
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

import events
from faults import LONG, SEED, audit, open_files, own_bytes, wait_for
from ledger import Ledger
from wire import CallError, Wire, message

# The longest a well-behaved client may wait for an answer; far more than it takes, as test machines are slow.
PATIENCE = 5
MIB = 1 << 20
GIB = 1 << 30


class Neighbour(threading.Thread):
    """A client that behaves: reads and appends now and then, and notes how long each answer took."""

    def __init__(self, ledger: Ledger):
        super().__init__(daemon=True)
        self.ledger = ledger
        # Connected before the trouble begins: where a limit is reached, who is in stays in.
        self.wire = ledger.wire()
        self.waits: list[float] = []
        self.failure: BaseException | None = None
        self.ended = threading.Event()

    def run(self):
        try:
            # An attack may be over at once; the neighbour asks at least once all the same.
            while not self.ended.wait(0.02) or not self.waits:
                began = time.monotonic()
                self.wire.call("GetCheckpoint")
                self.wire.call("Append", {"events": [events.closure()]})
                self.wire.call("GetEntry", {"index": 0})
                self.waits.append(time.monotonic() - began)
        except (OSError, AssertionError, CallError) as error:
            self.failure = error


@contextlib.contextmanager
def unharmed(ledger: Ledger, growth: int = 64 * MIB, quiet: float = 15) -> Iterator[Neighbour]:
    """Around an attack: checks the neighbour's answers, memory, open files and the daemon's life."""
    with ledger.wire() as wire:
        wire.call("GetCheckpoint")
    files = wait_for(lambda: settled_files(ledger.pid), 5, "the number of open files settles")
    memory = own_bytes(ledger.pid)
    peak = [memory]
    neighbour = Neighbour(ledger)
    done = threading.Event()
    watch = threading.Thread(target=watch_memory, args=(ledger.pid, peak, done), daemon=True)
    watch.start()
    neighbour.start()
    try:
        yield neighbour
    finally:
        neighbour.ended.set()
        neighbour.join(PATIENCE + 30)
        neighbour.wire.close()
        done.set()
        watch.join()
    assert ledger.process.poll() is None, ledger.log_text()
    assert neighbour.failure is None, f"the neighbour was not answered: {neighbour.failure}"
    assert len(neighbour.waits) > 0, "the neighbour asked nothing"
    assert max(neighbour.waits) < PATIENCE, f"the neighbour waited {max(neighbour.waits):.1f} s"
    assert peak[0] - memory < growth, f"memory grew by {(peak[0] - memory) / MIB:.0f} MiB"
    # Readers of the store keep no file open, and connections that ended don't either.
    wait_for(lambda: open_files(ledger.pid) <= files, quiet,
             f"open files return to {files}; there are {open_files(ledger.pid)}")


def settled_files(pid: int) -> int:
    before = open_files(pid)
    time.sleep(0.1)
    return before if open_files(pid) == before else 0


def watch_memory(pid: int, peak: list[int], done: threading.Event):
    while not done.wait(0.02):
        with contextlib.suppress(OSError, AssertionError):
            peak[0] = max(peak[0], own_bytes(pid))


@pytest.fixture(autouse=True)
def many_files():
    """Ten thousand connections take as many files here as in the daemon."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, bin):
    """A running ledger of small limits, shared by attacks that must not harm it. Clean at the end."""
    ledger = Ledger(tmp_path_factory.mktemp("hostile") / "l", bin, message_bytes="1M", message_timeout=2)
    with ledger.init().start():
        yield ledger
        assert ledger.stop() == 0, ledger.log_text()
        audit(ledger)


def connect(ledger: Ledger, timeout: float = 10) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout)
    deadline = time.monotonic() + timeout
    while True:
        try:
            made.connect(str(ledger.socket))
            return made
        except BlockingIOError:
            # A socket with a time limit doesn't wait for room in the queue of those to be accepted.
            assert time.monotonic() < deadline, "the daemon accepts no connection"
            time.sleep(0.005)


def send_until_closed(connection: socket.socket, chunk: bytes, most: int = GIB) -> int:
    """Sends a chunk again and again until the daemon closes; gives how many bytes it took."""
    sent = 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < most:
            sent += connection.send(chunk)
    return sent


def drained(connection: socket.socket) -> bytes:
    """What the daemon still says before it closes; raises TimeoutError if it does not."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            data += part
    return data


# What is no message


def test_garbage(guarded):
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    starts = [b"", b"{", b"GET ", b"POST /call/x HTTP/1.1\r\n", b"\0", b'{"method":', b"\x16\x03\x01"]
    with unharmed(guarded):
        for number in range(2000 if LONG else 200):
            with connect(guarded) as connection:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(chance.choice(starts) + chance.randbytes(chance.choice([1, 10, 1000, 70_000])))
                if number % 3 == 0:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_WR)
                    drained(connection)


def test_messages_that_break_off(guarded):
    whole = message("Append", {"events": [events.deposit(b"x")]})
    request = b"POST /call/org.evidenced.Ledger.Append HTTP/1.1\r\nhost: l\r\ncontent-length: 5000\r\n\r\n{"
    with unharmed(guarded):
        size = guarded.size
        for text in (whole, request):
            for end in range(1, len(text), max(1, len(text) // 60)):
                with connect(guarded) as connection:
                    connection.sendall(text[:end])
                    if end % 2:
                        connection.shutdown(socket.SHUT_WR)
                        answer = drained(connection)
                        assert b'"receipts"' not in answer, "half a message was recorded"
        assert guarded.size >= size
    names = [json.loads(entry["entry"])["type"] for entry in guarded.entries()]
    assert "evidence.deposited" not in names, "half a message was recorded"


def test_strange_json(guarded):
    strange = [b"null", b"[]", b"1", b'"x"', b"{}", b'{"method":1}', b'{"method":"a.b","more":true,"oneway":true}',
               b'{"method":"a.b","parameters":[]}', b'{"method":"a.b","x":1}', b'{"method":"a.b"}{',
               b'{"method":"\xff"}', b'{"method":"a.b","method":"a.b"}', b'{"method":"' + b"a" * 900_000 + b'"}']
    with unharmed(guarded):
        for text in strange:
            with connect(guarded) as connection:
                connection.sendall(text + b"\0")
                connection.shutdown(socket.SHUT_WR)
                assert b'"parameters":{"receipts"' not in drained(connection)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_nesting(guarded, depth):
    opened = [b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth]
    with unharmed(guarded):
        for deep in opened:
            for text in (deep, b'{"method":"org.evidenced.Ledger.Append","parameters":{"events":[' + deep + b"]}}",
                         b'{"method":"org.evidenced.Ledger.GetEntry","parameters":{"index":' + deep + b"}}"):
                with connect(guarded) as connection:
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        connection.sendall(text + b"\0")
                        connection.shutdown(socket.SHUT_WR)
                    answer = drained(connection)
                    assert answer == b"" or b'"error"' in answer, answer[:200]
            connection = guarded.http()
            answer = connection.ask("POST", "/call/org.evidenced.Ledger.Append", b'{"events":' + deep + b"}")
            assert answer.status in (400, 413), answer
            connection.close()


# Too much


def test_message_without_end(guarded):
    with unharmed(guarded):
        for head in (b'{"method":"', b'{"method":"a.b","parameters":{"x":"', b"  "):
            with connect(guarded) as connection:
                connection.sendall(head)
                sent = send_until_closed(connection, b"a" * (1 << 16))
                assert sent < 16 * MIB, f"the daemon took {sent / MIB:.0f} MiB of a message of at most 1 MiB"


def test_body_announced_too_long(guarded):
    head = b"POST /call/org.evidenced.Ledger.Append HTTP/1.1\r\nhost: l\r\n"
    with unharmed(guarded):
        for length in (b"1073741824", b"9223372036854775807", b"99999999999999999999999"):
            with connect(guarded) as connection:
                connection.sendall(head + b"content-length: " + length + b"\r\n\r\n")
                sent = send_until_closed(connection, b"a" * (1 << 16))
                assert sent < 64 * MIB, f"the daemon took {sent / MIB:.0f} MiB"
        with connect(guarded) as connection:
            connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
            sent = send_until_closed(connection, b"10000\r\n" + b"a" * 0x10000 + b"\r\n")
            assert sent < 64 * MIB, f"the daemon took {sent / MIB:.0f} MiB"


def test_headers_without_end(guarded):
    with unharmed(guarded):
        for chunk in (b"x-a: " + b"b" * 8000 + b"\r\n", b"b" * 8000):
            with connect(guarded) as connection:
                connection.sendall(b"GET /checkpoint HTTP/1.1\r\n")
                sent = send_until_closed(connection, chunk)
                assert sent < 64 * MIB, f"the daemon took {sent / MIB:.0f} MiB of headers"


def test_more_events_than_a_call_may_carry(guarded):
    with unharmed(guarded):
        many = [{"type": "account.closed"}] * 20_000
        with guarded.wire() as wire, pytest.raises((CallError, AssertionError, BrokenPipeError)) as refused:
            wire.call("Append", {"events": many})
        assert not isinstance(refused.value, CallError) or refused.value.name in ("InvalidEvent", "TooLarge")


# Too many


def test_ten_thousand_connections(make_ledger):
    count = 10_000
    ledger = make_ledger(maximum_connections=count, maximum_connections_per_user=count).init().start()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard > count + 200, f"only {hard} files may be open, so the test can't be made"
    connections = []
    try:
        with unharmed(ledger, growth=400 * MIB, quiet=60):
            # One is the neighbour's.
            for _ in range(count - 1):
                connections.append(connect(ledger))
            wait_for(lambda: open_files(ledger.pid) > count, 30, "all are taken in")
            for _ in range(20):
                # Beyond the limit the connection is closed without an answer.
                with connect(ledger) as refused:
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        refused.sendall(message("GetCheckpoint"))
                    assert drained(refused) == b""
            # Those that are in are all served.
            for connection in random.Random(SEED).sample(connections, 100):
                connection.sendall(message("GetCheckpoint"))
                assert connection.recv(1 << 16).startswith(b'{"parameters"')
            # Room that is given up is given to others.
            for connection in connections[:50]:
                connection.close()
            wait_for(lambda: is_served(ledger), 10, "a new connection is served")
            for connection in connections:
                connection.close()
    finally:
        for connection in connections:
            connection.close()
    assert ledger.stop() == 0


def is_served(ledger: Ledger) -> bool:
    try:
        with ledger.wire() as wire:
            return wire.call("GetCheckpoint")["size"] > 0
    except (OSError, AssertionError):
        return False


def test_limit_of_one_user(make_ledger):
    ledger = make_ledger(maximum_connections_per_user=20).init().start()
    with unharmed(ledger):
        connections = [connect(ledger) for _ in range(60)]
        answered = 0
        for connection in connections:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(message("GetCheckpoint"))
                connection.shutdown(socket.SHUT_WR)
                answered += b"checkpoint" in drained(connection)
        for connection in connections:
            connection.close()
        assert 15 <= answered < 60, f"{answered} of 60 were answered where 20 may connect"


def test_churn(guarded):
    """Connections that come and go: with a call, without, in the middle of one, and with an answer nobody reads."""
    with unharmed(guarded):
        for number in range(20_000 if LONG else 1_500):
            with connect(guarded) as connection:
                match number % 5:
                    case 0:
                        connection.sendall(message("GetCheckpoint"))
                        assert connection.recv(100)
                    case 1:
                        connection.sendall(message("ListEntries", {}, more=True))
                    case 2:
                        connection.sendall(b"GET /checkpoint HTTP/1.1\r\nhost: l\r\n\r\n")
                    case 3:
                        connection.sendall(b'{"meth')


# Too slow


def test_half_open_and_silent(make_ledger):
    """Silent connections are left alone by default, and closed where the configuration says when."""
    ledger = make_ledger(idle_timeout=1, message_timeout=1).init().start()
    with unharmed(ledger):
        silent = [connect(ledger) for _ in range(500)]
        half = [connect(ledger) for _ in range(100)]
        for connection in half:
            connection.shutdown(socket.SHUT_WR)
        after = [connect(ledger) for _ in range(100)]
        for connection in after:
            connection.sendall(message("GetCheckpoint"))
        began = time.monotonic()
        for connection in silent + half + after:
            drained(connection)
            connection.close()
        assert time.monotonic() - began < 8


def test_line_ends_behind_a_request_begin_none(make_ledger):
    """RFC 9112 section 2.2: some clients send them. The connection is a silent one, and is kept."""
    ledger = make_ledger(message_timeout=1).init().start()
    for ends in (b"", b"\r\n", b"\n", b"\r\n\r\n"):
        with connect(ledger, timeout=5) as connection:
            for _ in range(2):
                connection.sendall(b"GET /checkpoint HTTP/1.1\r\nHost: l\r\n\r\n" + ends)
                answer = b""
                while not answer.endswith(b"=\n"):
                    part = connection.recv(1 << 16)
                    assert part, (ends, answer)
                    answer += part
                time.sleep(2)
    # A byte that is no line end begins one, whatever stands around it.
    for begun in (b"G", b"\r\nG", b"GET /checkpoint HTTP/1.1\r\n", b"G\r\n"):
        with connect(ledger, timeout=5) as connection:
            connection.sendall(b"GET /checkpoint HTTP/1.1\r\nHost: l\r\n\r\n" + begun)
            drained(connection)


TILE = b"GET /tile/entries/000 HTTP/1.1\r\nHost: l\r\n"


@pytest.mark.parametrize("asked, ends, settings", [
    (TILE + b"Connection: close\r\n\r\n", False, {"idle_timeout": 1}),
    (TILE + b"Connection: close\r\n\r\n", False, {"message_timeout": 1}),
    (b"GET /tile/entries/000 HTTP/1.0\r\n\r\n", False, {"message_timeout": 1}),
    (TILE + b"\r\n", True, {"message_timeout": 1}),
    (message("ListEntries", {"limit": 500}), True, {"message_timeout": 1}),
], ids=["close, idle", "close", "HTTP 1.0", "half-closed", "native, half-closed"])
def test_the_last_answer_is_not_kept_for_ever(make_ledger, asked, ends, settings):
    """A client that says it asks no more, and does not read: whatever the configuration says of silent connections."""
    ledger = make_ledger(**settings).init().start()
    streams = [f"request/{events.new_id()}", f"subject/{events.new_id()}"]
    with ledger.wire() as wire:
        body = {"ground": "D1", "scopes": [f"subject/{events.new_id()}" for _ in range(64)]}
        for _ in range(2):
            wire.call("Append", {"events": [events.event("erasure.requested", streams, body) for _ in range(300)]})
    with connect(ledger, timeout=5) as connection:
        connection.sendall(asked)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        assert ledger.call("Status")["connections"] >= 2
        deadline = time.monotonic() + 5
        while ledger.call("Status")["connections"] > 1:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_byte_by_byte(guarded):
    """More bytes don't put the end of a message's time off."""
    slow = {
        "native": b'{"method":"org.evidenced.Ledger.GetCheckpoint","parameters":{' + b" " * 1000,
        "HTTP head": b"GET /checkpoint HTTP/1.1\r\nx: " + b"y" * 1000,
        "HTTP body": b"POST /call/org.evidenced.Ledger.Status HTTP/1.1\r\nhost: l\r\ncontent-length: 900\r\n\r\n{" + b" " * 1000,
    }
    with unharmed(guarded):
        connections = {name: connect(guarded) for name in slow}
        ended = {}
        began = time.monotonic()
        # The heads at once, so that each is recognised; the rest byte by byte.
        position = {name: (text.index(b"{ " if name == "HTTP body" else b" ") + 1) for name, text in slow.items()
                    } | {"native": 1}
        for name, connection in connections.items():
            connection.sendall(slow[name][: position[name]])
        while len(ended) < len(slow) and time.monotonic() - began < 12:
            time.sleep(0.05)
            for name, connection in connections.items():
                if name in ended:
                    continue
                try:
                    connection.sendall(slow[name][position[name] : position[name] + 1])
                    position[name] += 1
                except (BrokenPipeError, ConnectionResetError):
                    ended[name] = time.monotonic() - began
        for connection in connections.values():
            connection.close()
        late = {name: ended.get(name) for name in slow if not 1 < ended.get(name, 99) < 6}
        assert not late, f"with 2 s for a message, closed after: {late}"


# Who never reads


@pytest.fixture(scope="module")
def large(tmp_path_factory, bin):
    """A ledger of 3,000 large entries, some 9 MB of answers."""
    with Ledger(tmp_path_factory.mktemp("large") / "l", bin).init().start() as ledger:
        scopes = sorted(f"object/{events.new_id()}" for _ in range(64))
        streams = [f"request/{events.new_id()}", f"subject/{events.new_id()}"]
        with ledger.wire() as wire:
            body = {"ground": "D1", "scopes": scopes}
            for _ in range(10):
                batch = [events.event("erasure.requested", streams, body) for _ in range(300)]
                wire.call("Append", {"events": batch})
        yield ledger
        assert ledger.stop() == 0


READERS = 20


@pytest.mark.parametrize("what", ["ListEntries", "Watch", "HTTP ListEntries", "HTTP Watch"])
def test_streams_nobody_reads(large, what):
    """Twenty streams of 9 MB each: held in memory they would be 180 MB."""
    with unharmed(large, growth=100 * MIB):
        method = what.split(" ")[-1]
        parameters = {"from": 0} | ({"limit": 100} if method == "ListEntries" else {})
        connections = [connect(large) for _ in range(READERS)]
        for connection in connections:
            if what.startswith("HTTP"):
                body = json.dumps(parameters).encode()
                connection.sendall(b"POST /call/org.evidenced.Ledger.%s HTTP/1.1\r\nhost: l\r\naccept: application/json-seq\r\n"
                                   b"content-length: %d\r\n\r\n%s" % (method.encode(), len(body), body))
            else:
                connection.sendall(message(method, parameters, more=True))
        time.sleep(2)
        # They still get everything once they read.
        total = 0
        while total < 5 * MIB:
            part = connections[0].recv(1 << 20)
            assert part, f"the stream ended after {total} bytes"
            total += len(part)
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("skin", ["native", "HTTP"])
def test_pipelined_calls_nobody_reads(large, skin):
    """Calls without end on one connection, whose answers are not taken: after some the daemon reads no more."""
    if skin == "native":
        call = message("ListEntries", {"limit": 50})
    else:
        call = b"GET /tile/entries/000 HTTP/1.1\r\nhost: l\r\n\r\n"
    with unharmed(large, growth=100 * MIB):
        connections = [connect(large, timeout=1) for _ in range(4)]
        taken = []
        for connection in connections:
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 20_000 * len(call):
                    sent += connection.send(call * 100)
            taken.append(sent // len(call))
        assert max(taken) < 20_000, f"the daemon took {taken} calls whose answers nobody reads"
        time.sleep(3)
        for connection in connections:
            connection.settimeout(10)
            data = 0
            while data < MIB:
                part = connection.recv(1 << 16)
                assert part
                data += len(part)
            connection.close()


def test_many_heavy_calls_of_one_client_do_not_starve_others(large):
    """As many calls as a connection may have under way, each of the largest kind, on a few connections."""
    with unharmed(large, growth=300 * MIB):
        connections = [connect(large) for _ in range(4)]
        for connection in connections:
            connection.sendall(message("ListEntries", {"limit": 1000}) * 64)
        time.sleep(4)
        for connection in connections:
            connection.close()


def test_pipelined_appends_nobody_waits_for(make_ledger):
    """Thousands of appends, and away: each is recorded whole or not at all, and the next client is served."""
    ledger = make_ledger().init().start()
    with unharmed(ledger):
        for _ in range(5):
            connection = connect(ledger)
            calls = b"".join(message("Append", {"events": [events.closure(), events.closure()]}) for _ in range(400))
            connection.settimeout(1)
            with contextlib.suppress(TimeoutError, BrokenPipeError):
                connection.sendall(calls)
            connection.close()
    assert ledger.stop() == 0
    audit(ledger)


def test_calls_the_queue_has_no_room_for(make_ledger):
    """More than may wait for the disk: refused as Busy at once, and what was refused is not recorded."""
    ledger = make_ledger(queue_events=64, commit_events=16).init().start()
    counts = {"recorded": 0, "Busy": 0}
    with unharmed_by_busy(ledger) as base:
        wires = [Wire(ledger.socket) for _ in range(8)]
        for wire in wires:
            for _ in range(30):
                wire.send_call("Append", {"events": [events.closure() for _ in range(10)]})
        for wire in wires:
            for _ in range(30):
                try:
                    counts["recorded"] += len(wire.reply()["receipts"])
                except CallError as error:
                    assert error.name == "Busy", error
                    counts["Busy"] += 1
            wire.close()
        assert counts["Busy"] > 0, "the queue was never full"
        assert ledger.size == base + counts["recorded"]
    assert ledger.stop() == 0
    audit(ledger)


@contextlib.contextmanager
def unharmed_by_busy(ledger: Ledger):
    memory = own_bytes(ledger.pid)
    yield ledger.size
    assert ledger.process.poll() is None
    assert own_bytes(ledger.pid) - memory < 64 * MIB


# The checks themselves.


def test_guard_sees_files_left_open(guarded):
    held = []
    with pytest.raises(AssertionError, match="open files return"), unharmed(guarded, quiet=0.5):
        held += [connect(guarded) for _ in range(5)]
        time.sleep(0.2)
    for connection in held:
        connection.close()


def test_guard_sees_a_neighbour_without_answers(make_ledger, monkeypatch):
    monkeypatch.setattr("test_hostile.PATIENCE", 0.5)
    ledger = make_ledger().init().start()
    with pytest.raises(AssertionError, match="neighbour waited"), unharmed(ledger) as neighbour:
        wait_for(lambda: neighbour.waits, 5, "the first answer")
        os.kill(ledger.pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(ledger.pid, signal.SIGCONT)
        time.sleep(0.5)


def test_guard_sees_memory_grow(guarded):
    with pytest.raises(AssertionError, match="memory grew"), unharmed(guarded, growth=-1):
        time.sleep(0.1)
