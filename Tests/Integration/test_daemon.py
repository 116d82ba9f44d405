"""The daemon from its start to its end: configuration, refusals, signals, and what it leaves where."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import lmdb
import pytest

import events
import verifier
from ledger import PRINCIPAL, CallError


# What a start refuses


@pytest.fixture
def stopped(make_ledger):
    ledger = make_ledger().init().start()
    ledger.append(events.deposit(b"x"))
    assert ledger.stop() == 0
    return ledger


def test_without_a_ledger_the_daemon_says_how_to_make_one(make_ledger):
    ledger = make_ledger()
    ledger.keyring.write_bytes(make_ledger().init().keyring.read_bytes())
    ledger.keyring.chmod(0o600)
    assert ledger.run_until_exit() == 65 and "evidence init" in ledger.log_text()
    assert not ledger.store.exists()


def change_last_entry(ledger):
    """Changes a letter of the newest entry wherever it stands in the data file."""
    data = ledger.store / "data.mdb"
    old = b'"type":"system.stopped"'
    content = data.read_bytes()
    assert old in content
    data.write_bytes(content.replace(old, old.replace(b"stopped", b"stoqped")))


REFUSALS = {
    "lock missing": lambda ledger, other: ledger.lock.unlink(),
    "lock damaged": lambda ledger, other: ledger.lock.write_bytes(bytes(8192)),
    "lock too short": lambda ledger, other: ledger.lock.write_bytes(ledger.lock.read_bytes()[:4096]),
    "lock of another ledger": lambda ledger, other: shutil.copy(other.lock, ledger.lock),
    "keyring of another ledger": lambda ledger, other: shutil.copy(other.keyring, ledger.keyring),
    "keyring that others may read": lambda ledger, other: ledger.keyring.chmod(0o644),
    "keyring that the group may read": lambda ledger, other: ledger.keyring.chmod(0o640),
    "keyring cut short": lambda ledger, other: ledger.keyring.write_text(ledger.keyring.read_text()[:60]),
    "keyring of another version": lambda ledger, other: ledger.keyring.write_text(
        ledger.keyring.read_text().replace("v1", "v2")),
    "store missing": lambda ledger, other: shutil.rmtree(ledger.store),
    "store of another ledger": lambda ledger, other: shutil.copy(other.store / "data.mdb", ledger.store / "data.mdb"),
    "last entry changed": lambda ledger, other: change_last_entry(ledger),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_parts_that_don_t_belong_together_are_refused(stopped, make_ledger, what):
    other = make_ledger("other").init()
    REFUSALS[what](stopped, other)
    before = {path: path.read_bytes() for path in (stopped.lock, stopped.keyring) if path.exists()}
    assert stopped.run_until_exit() == 65
    last = stopped.log_text().splitlines()[-1]
    assert last.startswith("<2>") and len(last) > 40
    assert {path: path.read_bytes() for path in before} == before
    assert not stopped.socket.exists()


def test_a_second_daemon_is_refused_and_the_first_goes_on(ledger, make_ledger):
    second = make_ledger("second", store=ledger.store, index=ledger.index, checkpoint_lock=ledger.lock,
                         keyring=ledger.keyring)
    assert second.run_until_exit() == 65
    ledger.append(events.closure())
    verifier.verify_ledger(ledger)


def test_a_socket_in_use_is_refused_and_its_owner_goes_on(ledger, make_ledger):
    second = make_ledger("second", socket=ledger.socket).init()
    assert second.run_until_exit() == 71
    assert ledger.append(events.closure())


def test_a_file_in_the_sockets_place_is_kept(stopped):
    stopped.socket.write_text("mine")
    assert stopped.run_until_exit() == 71
    assert stopped.socket.read_text() == "mine"


def test_a_displaced_daemon_leaves_its_successors_socket(ledger, make_ledger):
    second = make_ledger("second", socket=ledger.socket).init()
    second.socket = ledger.socket
    ledger.socket.unlink()
    second.start()
    inode = ledger.socket.stat().st_ino
    assert ledger.stop() == 0
    assert ledger.socket.is_socket() and ledger.socket.stat().st_ino == inode
    assert second.size > 0 and second.stop() == 0
    assert not ledger.socket.exists(), "its own it takes along"


def test_a_socket_left_by_a_killed_daemon_is_replaced(ledger):
    ledger.kill()
    assert ledger.socket.is_socket()
    ledger.start()
    started = [json.loads(row["entry"]) for row in ledger.entries() if '"system.started"' in row["entry"]]
    assert [entry["body"]["clean"] for entry in started] == [True, False]


# The end


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_daemon_in_order(ledger, sent):
    ledger.process.send_signal(sent)
    assert ledger.wait() == 0
    assert ledger.log_text().splitlines()[-1].startswith("<5>stopped")
    ledger.start()
    types = [json.loads(row["entry"])["type"] for row in ledger.entries()]
    assert types == ["ledger.created", *["system.started", "system.clock_status", "system.stopped"],
                     *["system.started", "system.clock_status"]]


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGPIPE])
def test_other_signals_don_t(ledger, sent):
    ledger.process.send_signal(sent)
    assert ledger.append(events.closure()) and ledger.process.poll() is None


def test_sigterm_under_load_answers_what_was_recorded_and_records_what_was_answered(ledger):
    answered, outcomes, started = [], set(), threading.Semaphore(0)

    def send():
        with ledger.wire() as wire:
            try:
                for _ in range(100_000):
                    answered.append(wire.call("Append", {"events": [events.deposit(b"x")]})["receipts"][0])
                    started.release()
            except CallError as error:
                outcomes.add(error.name)
            except (AssertionError, OSError):
                outcomes.add("closed")

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    for _ in range(200):
        started.acquire(timeout=30)
    assert ledger.stop() == 0
    for sender in senders:
        sender.join()
    assert outcomes <= {"Stopping", "closed"}
    ledger.start()
    rows = {row["index"]: row["leaf"] for row in ledger.entries() if f'"submitter":"{PRINCIPAL}"' in row["entry"]}
    assert rows == {receipt["index"]: receipt["leaf"] for receipt in answered}
    started = [json.loads(row["entry"]) for row in ledger.entries() if '"system.started"' in row["entry"]]
    assert [entry["body"]["clean"] for entry in started] == [True, True]
    verifier.verify_ledger(ledger)


# What it leaves where


def test_no_personal_value_is_written_in_clear(make_ledger):
    ledger = make_ledger(log_level="trace").init().start()
    marks = {"phone": "13812345678-mark", "name": "王小明 mark", "id_number": "110101199003070000-mark",
             "file_name": "Kündigung-mark.pdf", "reason": "a reason-mark"}
    document = b"a document-mark"
    subject = f"subject/{events.new_id()}"
    verified = events.event(
        "identity.verified", [subject], {"method": "face", "expires": "2036-01-01T00:00:00.000000Z"},
        {subject: {"name": marks["name"], "id_number": marks["id_number"]}})
    deposit = events.deposit(document, name=marks["file_name"])
    made = [verified, deposit, events.registration(phone=marks["phone"]), events.access(reason=marks["reason"])]
    indexes = [receipt["index"] for receipt in ledger.append(*made)["receipts"]]
    for index in indexes:
        assert ledger.call("Open", {"index": index})["openings"]
    # Refusals of every kind, too, with the values in all the wrong places.
    for bad in (
        deposit | {"request": marks["phone"]}, deposit | {"actor": marks["name"]}, deposit | {"type": marks["name"]},
        deposit | {marks["reason"]: 1},
        deposit | {"body": {marks["phone"]: marks["name"]}},
        deposit | {"claims": {marks["name"]: {"sha256": marks["name"]}}},
        deposit | {"claims": {deposit["streams"][0]: {"file_name": marks["file_name"]}}},
    ):
        with pytest.raises(CallError):
            ledger.append(bad)
    for method in (marks["phone"], f"org.evidenced.Ledger.{marks['phone']}", f"{marks['phone']}.x"):
        with pytest.raises(CallError):
            ledger.call(method, {"a": marks["name"]})
    digest = deposit["claims"][deposit["streams"][0]]["sha256"]
    assert ledger.call("FindByDigest", {"digest": digest})["entries"]
    ledger.call("Backup", {"directory": str(ledger.backups / "b")})
    assert ledger.stop() == 0
    secrets = [mark.encode() for mark in marks.values()] + [document, digest.encode(), bytes.fromhex(digest)]
    files = [path for path in ledger.root.rglob("*") if path.is_file()]
    assert {"data.mdb", "daemon.log"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        for secret in [*secrets, b"-mark"]:
            assert secret not in content, f"{path} holds {secret!r}"


def test_the_log_says_who_opened_claims_and_in_lines_the_journal_takes(ledger):
    index = ledger.append(events.registration())["receipts"][0]["index"]
    ledger.call("Open", {"index": index})
    ledger.stop()
    log = ledger.log_text()
    assert re.search(rf"<5>.*entry {index} opened for {PRINCIPAL}", log)
    assert all(re.match(r"<[0-7]>\S", line) for line in log.splitlines())


def sockets_of(pid: int) -> set[str]:
    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            continue
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def test_all_its_sockets_are_unix_sockets_and_it_has_no_children(ledger):
    with ledger.wire() as wire:
        wire.call("GetCheckpoint")
        unix = {line.split()[6] for line in open(f"/proc/{ledger.pid}/net/unix").readlines()[1:]}
        own = sockets_of(ledger.pid)
    assert len(own) >= 2 and own <= unix
    assert open(f"/proc/{ledger.pid}/task/{ledger.pid}/children").read() == ""


def test_the_sockets_permissions_are_those_configured(make_ledger):
    ledger = make_ledger(socket_mode="0600").init().start()
    # Until it has them nobody may connect, but for root.
    deadline = time.monotonic() + 5
    while (mode := ledger.socket.stat().st_mode & 0o777) == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mode == 0o600


def test_a_client_that_never_reads_keeps_nobody_from_stopping(ledger):
    ledger.append(*(events.access(reason="x" * 3_900) for _ in range(100)))
    with ledger.wire() as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):
            wire.send_call("ListEntries", {"limit": 1000}, oneway=False)
        assert ledger.stop() == 0


def test_watchers_end_with_the_daemon_and_don_t_hold_it_up(ledger):
    with ledger.wire() as native, ledger.wire() as http:
        native.send_call("Watch", {"from": 0}, more=True)
        assert native.receive()["continues"] is True
        http.send(b"POST /call/org.evidenced.Ledger.Watch HTTP/1.1\r\nHost: ledger\r\nAccept: application/json-seq\r\n"
                  b"Content-Length: 10\r\n\r\n{\"from\":0}")
        assert http.socket.recv(12) == b"HTTP/1.1 200"
        begun = time.monotonic()
        assert ledger.stop() == 0
        assert time.monotonic() - begun < 8, "nobody waits for a stream that never ends"
        native.receive_all(), http.receive_all()


HELD_READER = """
import sys, lmdb
environment = lmdb.open(sys.argv[1], max_dbs=8, readonly=True, lock=True)
transaction = environment.begin()
print("reading", flush=True)
sys.stdin.read()
"""


def test_a_reader_that_was_killed_does_not_keep_its_snapshot(shared):
    # As an audit that is ended with SIGKILL: while its slot is taken, no page it could see is ever used again.
    reader = subprocess.Popen([sys.executable, "-c", HELD_READER, str(shared.store)], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reader.stdout.readline() == "reading\n"
    with lmdb.open(str(shared.store), max_dbs=8, readonly=True, lock=True) as environment:
        assert f"{reader.pid} " in environment.readers()
        reader.kill()
        reader.wait()
        deadline = time.monotonic() + 30
        while f"{reader.pid} " in environment.readers():
            assert time.monotonic() < deadline, environment.readers()
            time.sleep(0.2)
    shared.append(events.deposit(b"after the reader"))
