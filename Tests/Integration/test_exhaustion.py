"""What runs out on the machine around the daemon: descriptors, and the patience of whoever reads its log. It says so,
spends no processor time on it, goes on with what it has, and ends when it is told to."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import events
from faults import audit, open_files, wait_for
from ledger import Ledger, require
from wire import CallError


def processor_seconds(pid: int) -> float:
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def knocking(ledger: Ledger, count: int) -> list[socket.socket]:
    made = []
    for _ in range(count):
        made.append(socket.socket(socket.AF_UNIX))
        made[-1].settimeout(10)
        made[-1].connect(str(ledger.socket))
    return made


def is_let_go(made: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return made.recv(1) == b""
    return True


def test_no_more_files_may_be_open(make_ledger):
    ledger = make_ledger().init().start()
    at_rest = open_files(ledger.pid)
    require("prlimit")
    kept = ledger.wire()
    assert kept.call("GetCheckpoint")["size"] > 0
    # Of a running daemon, which has counted on more: what it would take in does not fit.
    subprocess.run(["prlimit", f"--pid={ledger.pid}", f"--nofile={at_rest + 12}"], check=True)
    made = knocking(ledger, 200)
    wait_for(lambda: "no more connections" in ledger.log_text(), 10, "it is said")
    # Those there is no descriptor for are let go rather than left waiting.
    assert sum(is_let_go(one) for one in made[100:]) == 100
    before = processor_seconds(ledger.pid)
    time.sleep(2)
    spent = processor_seconds(ledger.pid) - before
    assert spent < 0.5, f"{spent:.2f} s of processor time in 2 s of nothing to do"
    assert len(kept.call("Append", {"events": [events.closure()]})["receipts"]) == 1
    assert ledger.log_text().count("no more connections") == 1, "once a minute is enough"
    for one in made:
        one.close()

    def is_served() -> bool:
        try:
            with ledger.wire(timeout=5) as wire:
                return wire.call("GetCheckpoint")["size"] > 0
        except (OSError, AssertionError):
            return False

    wait_for(is_served, 10, "a new connection is served once others have left")
    kept.close()
    assert ledger.stop() == 0
    audit(ledger)


def test_fewer_files_than_connections_need(make_ledger):
    """It then takes in fewer connections, so that the limit is never reached, and says so."""
    ledger = make_ledger().init().start(wrapper=("prlimit", "--nofile=160:160"))
    assert "only 160 files may be open, so only 56 connections of principals and 8 of others" in ledger.log_text()
    made = knocking(ledger, 150)
    wires = []
    for one in made:
        with contextlib.suppress(OSError):
            one.sendall(b'{"method":"org.varlink.service.GetInfo"}\0')
            if one.recv(1 << 12):
                wires.append(one)
    assert len(wires) in (55, 56)
    assert "no more connections" not in ledger.log_text()
    for one in made:
        one.close()
    assert ledger.stop() == 0


def test_a_soft_limit_is_raised(make_ledger):
    ledger = make_ledger().init().start(wrapper=("prlimit", "--nofile=256:8192"))
    limits = open(f"/proc/{ledger.pid}/limits").read().split("Max open files")[1].split()
    assert limits[:2] == ["8192", "8192"]
    assert "files may be open" not in ledger.log_text()
    assert ledger.stop() == 0


def test_nobody_reads_the_log(make_ledger):
    """Standard error is a full pipe: every call answers, and SIGTERM ends the daemon."""
    ledger = make_ledger().init().start()
    index = ledger.append(events.deposit(b"x"))["receipts"][0]["index"]
    assert ledger.stop() == 0
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"x" * 4_096):
            pass
    os.set_blocking(writing, True)
    daemon = subprocess.Popen([ledger.bin / "evidenced", "--config", ledger.config], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=writing, env=ledger.environment, cwd=ledger.root)
    os.close(writing)
    try:
        def answers() -> bool:
            with contextlib.suppress(OSError, AssertionError), ledger.wire(timeout=5) as wire:
                return wire.call("Status")["appended"] >= 2
            return False

        wait_for(answers, 20, "it serves")
        with ledger.wire(timeout=10) as wire:
            # Each is logged, and far more than any buffer holds.
            for _ in range(60):
                for _ in range(50):
                    wire.send_call("Open", {"index": index})
                for _ in range(50):
                    assert wire.reply()["openings"]
            for method, parameters in (("Backup", {"directory": str(ledger.backups / "b")}), ("Status", {}),
                                       ("Append", {"events": [events.closure()]}), ("GetEntry", {"index": 0})):
                assert wire.call(method, parameters)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(20) == 0
    finally:
        daemon.kill()
        daemon.wait()
        os.close(reading)
    audit(ledger)


def test_guesses_at_what_is_sealed_are_throttled(make_ledger):
    """Whoever may append and read sees everything of an entry but the value, and could try them all."""
    ledger = make_ledger(roles=("submitter", "reader", "operator")).init().start()
    first = events.registration(phone="13800004711")
    assert ledger.append(first)["receipts"][0]["duplicate"] is False
    (scope,) = first["claims"]
    names = []
    with ledger.wire() as wire:
        for number in range(200):
            wire.send_call("Append", {"events": [first | {"claims": {scope: {"phone": f"1380000{number:04}"}}}]})
        for _ in range(200):
            try:
                wire.reply()
                names.append("found")
            except CallError as error:
                names.append(error.name)
    assert names[:5] == ["RequestConflict"] * 5
    # A few more as their time comes, which is ever later.
    assert names.count("RequestConflict") <= 9 and set(names) == {"RequestConflict", "Throttled"}
    # The right one is not told from the wrong ones, in either skin.
    answer = ledger.http().call("Append", {"events": [first]})
    assert (answer.status, answer.json["error"]) == (429, "org.evidenced.Ledger.Throttled")
    seconds = answer.json["parameters"]["seconds"]
    assert answer.headers["retry-after"] == str(seconds) and 1 <= seconds <= 64
    status = ledger.call("Status")
    assert status["conflicts"] + status["throttled"] == 201 and status["throttled"] > 190
    metrics = ledger.http().ask("GET", "/metrics").body.decode()
    assert f"evidenced_throttled_calls_total {status['throttled']}\n" in metrics
    assert f"evidenced_conflicting_calls_total {status['conflicts']}\n" in metrics
    said = [line for line in ledger.log_text().splitlines() if "request keys again" in line]
    assert len(said) == 1 and "tests used" in said[0]
    assert "1380" not in ledger.log_text() and first["request"] not in ledger.log_text()
    # Whoever sends what is new is served meanwhile; and the honest retry is, once the time has come.
    assert ledger.append(events.closure())["receipts"][0]["duplicate"] is False
    # Guessed on until the wait outlasts the start of a program by far: only then must the next call be refused.
    wait_for(lambda: guess_again(ledger, first, scope) >= 8, 60, "the wait has grown")
    done = ledger.evidence("submit", "-", input=json.dumps([first]), status=None)
    assert done.returncode == 75 and "try again in" in done.stderr
    wait_for(lambda: retried(ledger, first), 70, "the retry is answered")
    assert ledger.stop() == 0
    audit(ledger)


def guess_again(ledger: Ledger, event: dict, scope: str) -> int:
    """The seconds the daemon wants a guesser to wait, after one more wrong guess; 0 where the guess was let through."""
    answer = ledger.http().call("Append", {"events": [event | {"claims": {scope: {"phone": "13800009999"}}}]})
    if answer.json["error"] == "org.evidenced.Ledger.Throttled":
        return answer.json["parameters"]["seconds"]
    assert answer.json["error"] == "org.evidenced.Ledger.RequestConflict", answer.json
    return 0


def retried(ledger: Ledger, event: dict) -> bool:
    try:
        return ledger.append(event)["receipts"][0]["duplicate"]
    except CallError as error:
        assert error.name == "Throttled", error
        return False
