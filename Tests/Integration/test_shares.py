"""What one user may take from another, at the limits the daemon has without any configuration: strangers, who have no
principal, next to nothing; principals a fair share of connections, room, threads and the queue.

How long a neighbour waits is compared with how long it waits in quiet, for test machines are slow. Most of this needs
other users, and so root; what strangers may take at most is tested without it too.
"""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

import events
from faults import audit, own_bytes, wait_for
from ledger import Ledger
from wire import INTERFACE, CallError, Wire, message

MIB = 1 << 20
# More than what the tests' own user is called; nobody's on any machine they run on.
FIRST_UID = 2_000_001
OTHER, THIRD = FIRST_UID + 10, FIRST_UID + 11
# How many times as long as in quiet the slowest hundredth may take. Without shares it was hundreds of times.
MULTIPLE = 25
# What is quick enough in any case, in seconds: in quiet an answer takes a millisecond, and then some noise is a multiple.
NOISE = 0.010
needs_other_users = pytest.mark.skipif(os.getuid() != 0, reason="only root can be other users")
_libc = ctypes.CDLL(None)


@pytest.fixture(autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def open_ledger(bin):
    """Makes ledgers that other users reach."""
    made = []

    def make(**settings) -> Ledger:
        root = Path(tempfile.mkdtemp(prefix="evidenced-shares-", dir="/var/tmp"))
        root.chmod(0o755)
        made.append(Ledger(root, bin, **settings))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()
        shutil.rmtree(ledger.root, ignore_errors=True)


@contextlib.contextmanager
def as_user(ledger: Ledger, uid: int, attack):
    """Has another user do something, over and over or until it is killed. The socket is at `s` where it works."""
    child = os.fork()
    if child == 0:
        try:
            os.chdir(ledger.root)
            if uid != os.getuid():
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            _libc.prctl(1, signal.SIGKILL)
            attack()
        except BaseException:  # noqa: BLE001  nothing of the test may run twice
            pass
        os._exit(0)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def connected() -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect("s")
    return made


def holding(count: int, data: bytes = b""):
    """Holds connections open that said something and nothing more."""

    def attack():
        held = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                held.append(connected())
                held[-1].sendall(data)
        time.sleep(60)

    return attack


def repeating(data: bytes, connections: int):
    """Sends the same again and again on several connections, each as fast as it is answered."""

    def send():
        while True:
            with contextlib.suppress(OSError), connected() as made:
                while True:
                    made.sendall(data)
                    if not made.recv(1 << 16):
                        break

    def attack():
        for _ in range(connections):
            threading.Thread(target=send, daemon=True).start()
        time.sleep(60)

    return attack


def waits(ledger: Ledger, seconds: float) -> list[float]:
    """How long calls take, sorted: appends on a connection that is kept and on new ones, and a read."""
    taken = []
    end = time.monotonic() + seconds
    with arrived(ledger) as kept:
        while time.monotonic() < end:
            began = time.monotonic()
            kept.call("Append", {"events": [events.closure()]})
            taken.append(time.monotonic() - began)
            began = time.monotonic()
            with arrived(ledger) as new:
                new.call("GetEntry", {"index": 0})
            taken.append(time.monotonic() - began)
            time.sleep(0.002)
    return sorted(taken)


def arrived(ledger: Ledger) -> Wire:
    """A new connection; a socket with a time limit doesn't wait for room in the queue of those to be taken in."""
    while True:
        try:
            return ledger.wire()
        except BlockingIOError:
            time.sleep(0.0005)


def p99(taken: list[float]) -> float:
    return taken[int(len(taken) * 0.99)]


def check_neighbour(ledger: Ledger, quiet: list[float], seconds: float = 3, multiple: int = MULTIPLE) -> None:
    loud = waits(ledger, seconds)
    print(f"p99 {p99(quiet) * 1e3:.1f} ms in quiet, {p99(loud) * 1e3:.1f} ms beside; "
          f"median {quiet[len(quiet) // 2] * 1e3:.1f} and {loud[len(loud) // 2] * 1e3:.1f}")
    assert p99(loud) < multiple * max(p99(quiet), NOISE)


def end(ledger: Ledger) -> None:
    assert ledger.stop() == 0, ledger.log_text()
    audit(ledger)


# Strangers, without being anybody else


def test_strangers_have_little_whoever_they_are(make_ledger):
    """The tests' own user, without a principal: 64 connections, 4 KiB a message, ten seconds."""
    ledger = make_ledger(roles=None).init().start(wait=False)
    wait_for(lambda: ledger.socket.exists(), 20, "the daemon listens")
    memory = own_bytes(ledger.pid)
    held = []
    for _ in range(400):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(10)
        made.connect(str(ledger.socket))
        with contextlib.suppress(OSError):
            made.sendall(b'{"method":"%s.Append","parameters":{"x":"' % INTERFACE.encode() + b"a" * (8 << 20))
        held.append(made)
    assert own_bytes(ledger.pid) - memory < 32 * MIB
    told = []
    for made in held:
        with contextlib.suppress(OSError):
            told.append(made.recv(1 << 12))
        made.close()
    assert sum(b"PermissionDenied" in answer for answer in told) >= 1
    assert not any(b"receipts" in answer for answer in told)
    # Silent ones go by themselves, and others have their places.
    silent = []
    for _ in range(100):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].settimeout(30)
        silent[-1].connect(str(ledger.socket))
    began = time.monotonic()
    for made in silent:
        with contextlib.suppress(ConnectionResetError):
            assert made.recv(1) == b""
        made.close()
    assert time.monotonic() - began < 15

    def answers() -> bool:
        with contextlib.suppress(AssertionError, OSError), ledger.wire() as wire:
            return wire.call("org.varlink.service.GetInfo")["product"] == "evidenced"
        return False

    wait_for(answers, 5, "a place is free again")
    assert ledger.stop() == 0


def test_a_long_call_without_permission_is_refused_before_it_is_there(make_ledger):
    """A principal that may not append, over both skins."""
    ledger = make_ledger(roles=("auditor",)).init().start()
    with ledger.wire() as wire:
        memory = own_bytes(ledger.pid)
        wire.send(b'{"method":"%s.Append","parameters":{"events":[' % INTERFACE.encode() + b"[0]," * (2 * MIB))
        with pytest.raises(CallError) as refused:
            wire.reply()
        assert refused.value.name == "PermissionDenied"
        assert own_bytes(ledger.pid) - memory < 4 * MIB
        assert wire.receive() is None
    http = ledger.http()
    http.putrequest("POST", f"/call/{INTERFACE}.Append")
    http.putheader("Content-Length", str(16 * MIB))
    http.endheaders()
    assert http.getresponse().status == 403
    http.close()
    assert ledger.stop() == 0


# Strangers


@needs_other_users
def test_idle_strangers_lock_nobody_out(open_ledger):
    ledger = open_ledger().init().start()
    quiet = waits(ledger, 1)
    with contextlib.ExitStack() as stack:
        for number in range(4):
            stack.enter_context(as_user(ledger, FIRST_UID + number, holding(1_024)))
        time.sleep(1)
        check_neighbour(ledger, quiet, 2)
        assert ledger.call("Status")["connections"] < 100
    end(ledger)


@needs_other_users
@pytest.mark.parametrize("asks", [False, True])
def test_strangers_who_come_and_go_hold_nobody_up(open_ledger, asks):
    ledger = open_ledger().init().start()
    quiet = waits(ledger, 2)

    def attack():
        while True:
            with contextlib.suppress(OSError), connected() as made:
                if asks:
                    made.sendall(b'{"method":"org.varlink.service.GetInfo"}\0')
                    made.recv(1 << 12)

    with contextlib.ExitStack() as stack:
        for number in range(3):
            stack.enter_context(as_user(ledger, FIRST_UID + number, attack))
        time.sleep(0.5)
        # They come as fast as the machine lets them, and are let go as fast: some of that is felt.
        check_neighbour(ledger, quiet, multiple=60)
    end(ledger)


@needs_other_users
def test_strangers_unfinished_messages_take_no_memory(open_ledger):
    ledger = open_ledger().init().start()
    memory = own_bytes(ledger.pid)
    begun = b'{"method":"a.b","parameters":{"x":"' + b"a" * (16 * MIB - 4_096)
    with as_user(ledger, FIRST_UID, holding(120, begun)):
        peak = 0
        for _ in range(60):
            time.sleep(0.05)
            peak = max(peak, own_bytes(ledger.pid) - memory)
    print(f"peak {peak / MIB:.1f} MiB")
    assert peak < 32 * MIB
    end(ledger)


LONG = 16 * MIB - 4_096
HARD_TO_READ = {
    "many small arrays": b'{"x":[' + b"[0]," * (LONG // 4) + b"0]}",
    "many names": b"{" + b",".join(b'"%x":0' % number for number in range(1_300_000)) + b"}",
}


def posted(body: bytes) -> bytes:
    return b"POST /call/%s.Append HTTP/1.1\r\nhost: l\r\ncontent-length: %d\r\n\r\n%s" % (
        INTERFACE.encode(), len(body), body)


def called(body: bytes) -> bytes:
    return b'{"method":"%s.Append","parameters":%s}\0' % (INTERFACE.encode(), body)


@needs_other_users
@pytest.mark.parametrize("skin", [posted, called])
@pytest.mark.parametrize("what", HARD_TO_READ)
def test_what_strangers_send_is_not_even_read(open_ledger, what, skin):
    ledger = open_ledger().init().start()
    quiet = waits(ledger, 2)
    memory = own_bytes(ledger.pid)
    with as_user(ledger, FIRST_UID, repeating(skin(HARD_TO_READ[what]), 4)):
        time.sleep(0.5)
        check_neighbour(ledger, quiet)
        assert own_bytes(ledger.pid) - memory < 32 * MIB
    end(ledger)


# Principals


def two_principals(open_ledger, **settings) -> Ledger:
    rules = {"principal.other": f"uid:{OTHER}", "role.other": "submitter, reader"}
    return open_ledger(**rules, **settings).init().start()


@needs_other_users
@pytest.mark.parametrize("what", HARD_TO_READ)
def test_long_messages_of_one_principal_hold_up_no_other(open_ledger, what):
    ledger = two_principals(open_ledger)
    quiet = waits(ledger, 2)
    with as_user(ledger, OTHER, repeating(called(HARD_TO_READ[what]), 4)):
        time.sleep(0.5)
        check_neighbour(ledger, quiet)
    end(ledger)


@needs_other_users
def test_unfinished_messages_of_one_principal_leave_room_for_others(open_ledger):
    ledger = two_principals(open_ledger)
    memory = own_bytes(ledger.pid)
    begun = b'{"method":"%s.Append","parameters":{"x":"' % INTERFACE.encode() + b"a" * (16 * MIB - 4_096)
    with as_user(ledger, OTHER, holding(60, begun)):
        time.sleep(2)
        held = own_bytes(ledger.pid) - memory
        print(f"{held / MIB:.0f} MiB held")
        # 64 MiB are counted; what grows to hold them is up to twice as large.
        assert held < 200 * MIB
        # A long call of another is taken, several times.
        for _ in range(3):
            many = [events.consent(shown="x" * 2_000) for _ in range(2_000)]
            assert len(ledger.append(*many)["receipts"]) == 2_000
    end(ledger)


@needs_other_users
def test_a_flood_of_appends_holds_up_no_other(open_ledger):
    """Tens of thousands of events of one wait for the disk; another waits for a batch or two, not for all of them."""
    ledger = two_principals(open_ledger)
    quiet = waits(ledger, 2)

    def flood():
        def send():
            calls = [message("Append", {"events": [events.closure() for _ in range(64)]}) for _ in range(64)]
            wire = Wire("s")
            # As many as may be in flight, each time some of them are answered; duplicates the second time.
            while True:
                for call in calls:
                    wire.send(call)
                for _ in calls:
                    with contextlib.suppress(CallError):
                        wire.reply()

        for _ in range(8):
            threading.Thread(target=send, daemon=True).start()
        time.sleep(60)

    with as_user(ledger, OTHER, flood):
        wait_for(lambda: ledger.call("Status")["queued"] > 2_000, 20, "the flood waits in the queue")
        check_neighbour(ledger, quiet, multiple=60)
    end(ledger)


@needs_other_users
def test_busy_is_for_who_floods(open_ledger):
    """A queue that one keeps full: it is told Busy, the other never is."""
    ledger = two_principals(open_ledger, queue_events=64, commit_events=64)

    def flood():
        wires = [Wire("s") for _ in range(8)]
        while True:
            for wire in wires:
                wire.send(b"".join(message("Append", {"events": [events.closure() for _ in range(16)]})
                                   for _ in range(8)))
            for wire in wires:
                for _ in range(8):
                    with contextlib.suppress(CallError):
                        wire.reply()

    refused = ledger.call("Status")["refused"]
    with as_user(ledger, OTHER, flood):
        wait_for(lambda: ledger.call("Status")["refused"] > refused, 20, "the queue is full")
        for _ in range(200):
            assert len(ledger.append(events.closure())["receipts"]) == 1
    end(ledger)


@needs_other_users
def test_a_flood_of_reads_holds_up_no_other(open_ledger):
    ledger = two_principals(open_ledger)
    for _ in range(4):
        ledger.append(*[events.access(reason="x" * 3_000) for _ in range(256)])
    quiet = waits(ledger, 2)

    def flood():
        def read():
            wire = Wire("s")
            while True:
                wire.call("ListEntries", {"limit": 1_000})

        for _ in range(32):
            threading.Thread(target=read, daemon=True).start()
        time.sleep(60)

    with as_user(ledger, OTHER, flood):
        time.sleep(0.5)
        check_neighbour(ledger, quiet)
    end(ledger)


@needs_other_users
def test_connections_of_one_principal_leave_others_theirs(open_ledger):
    """Of as many users as a group has: all but what is kept for others."""
    ledger = open_ledger(**{
        "principal.other": f"gid:{OTHER}", "role.other": "reader", "principal.third": f"uid:{THIRD}",
        "role.third": "reader", "maximum_connections": 100,
        "maximum_connections_per_user": 100}).init().start()
    with as_user(ledger, OTHER, holding(200)):
        wait_for(lambda: ledger.call("Status")["connections"] > 60, 10, "the connections are taken")
        # Beside the one that asks; the one that asked before may still be counted.
        wait_for(lambda: ledger.call("Status")["connections"] <= 100 - 2 * 16 + 1, 10, "no more than may be are taken")

        def all_are_answered():
            wires = []
            try:
                wires += [ledger.wire() for _ in range(16)]
                return all(wire.call("GetCheckpoint")["size"] > 0 for wire in wires)
            except (OSError, AssertionError):
                return False  # those closed a moment ago may still be counted
            finally:
                for wire in wires:
                    wire.close()

        wait_for(all_are_answered, 10, "the sixteen kept for another are his")
    end(ledger)
