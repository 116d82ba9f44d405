"""The daemon under a wall clock that jumps, creeps, is wrong at the start or leaves the years that can be written. The
clock is a preloaded library's; the clock that measures durations stays the kernel's."""

import datetime
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import events
import verifier
from ledger import CallError, StartFailed

SECOND = 1_000_000
DAY = 86_400 * SECOND
YEAR = 365 * DAY
END_OF_TIME = int(datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc).timestamp()) * SECOND


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "no C compiler: the Swift toolchain has clang"
    library = tmp_path_factory.mktemp("shim") / "clock_shim.so"
    source = Path(__file__).with_name("clock_shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


class Clock:
    """The wall clock of a ledger's programs."""

    def __init__(self, ledger, library):
        self.file = ledger.root / "clock"
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIM_FILE": str(self.file)}
        self.set(0)

    def set(self, ahead: int, synchronised: bool = False):
        """Sets it so many microseconds ahead of the real one."""
        aside = self.file.with_suffix(".new")
        aside.write_text(f"{ahead} {int(synchronised)}")
        aside.rename(self.file)

    def is_near(self, text: str, ahead: int) -> bool:
        """Whether a time of the ledger is what the clock says, give or take a minute."""
        said = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
        return abs(said - ahead / SECOND - time.time()) < 60


@pytest.fixture
def clocked(make_ledger, shim):
    """Makes a ledger with a clock of its own: both, created but not started."""
    def make(**settings):
        ledger = make_ledger(**settings)
        clock = Clock(ledger, shim)
        ledger.init()
        return ledger, clock
    return make


def start(ledger, clock):
    return ledger.start(env=clock.environment)


def recorded(ledger, kind: str) -> list[dict]:
    entries = [json.loads(row["entry"]) for row in ledger.entries()]
    return [entry for entry in entries if entry["type"] == kind]


def append(ledger) -> dict:
    return ledger.append(events.closure())["receipts"][0]


def refused(ledger) -> str:
    with pytest.raises(CallError) as refusal:
        append(ledger)
    assert refusal.value.name == "ClockUnconfirmed", refusal.value
    return refusal.value.parameters["reason"]


def wait_until(holds, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while not (seen := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return seen


def test_one_wrong_reading_leaves_no_trace_in_the_times(clocked):
    ledger, clock = clocked()
    start(ledger, clock)
    append(ledger)
    clock.set(174 * YEAR)
    assert "jumped forward by 54872" in refused(ledger)
    status = ledger.call("Status")
    assert not status["acceptsAppends"] and status["clockHold"] == refused(ledger)
    # Reads and proofs go on, the command line says what is the matter, and HTTP says to try again.
    assert ledger.entry(0) and ledger.call("ProveInclusion", {"index": 1})["proof"] is not None
    done = ledger.evidence("status", status=1)
    assert "jumped forward" in done.stdout
    deposited = ledger.evidence("deposit", "--digest-only", str(ledger.config), status=75)
    assert "its clock" in deposited.stderr
    http = ledger.http()
    http.request("POST", "/call/org.evidenced.Ledger.Append", json.dumps({"events": [events.closure()]}))
    assert http.getresponse().status == 503
    http.close()
    clock.set(0)
    assert clock.is_near(append(ledger)["time"], 0)
    assert recorded(ledger, "system.clock_jumped") == []
    log = ledger.log_text()
    assert log.count("appends are refused until that is confirmed") == 1 and "the clock is believed again" in log
    verifier.verify_ledger(ledger)
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_the_operator_confirms_a_large_step(clocked):
    ledger, clock = clocked(clock_confirm_after=0)
    start(ledger, clock)
    append(ledger)
    clock.set(2 * DAY)
    refused(ledger)
    assert "is confirmed" in ledger.evidence("confirm-clock").stdout
    wait_until(lambda: recorded(ledger, "system.clock_jumped"))
    assert clock.is_near(append(ledger)["time"], 2 * DAY)
    body, = [entry["body"] for entry in recorded(ledger, "system.clock_jumped")]
    assert body["confirmed"] == "operator" and abs(body["microseconds"] - 2 * DAY) < SECOND
    assert ledger.evidence_json("confirm-clock") == [{"held": False}]
    assert ledger.stop() == 0 and ledger.audit()["clean"]


@pytest.mark.parametrize("by, settings, synchronised", [
    ("synchronization", {"clock_confirm_after": 0}, True),
    ("second-look", {"clock_confirm_after": 2}, False),
])
def test_a_large_step_is_taken_once_it_is_confirmed(clocked, by, settings, synchronised):
    ledger, clock = clocked(**settings)
    start(ledger, clock)
    append(ledger)
    clock.set(2 * DAY, synchronised)
    begun = time.monotonic()
    refused(ledger)
    jump, = wait_until(lambda: recorded(ledger, "system.clock_jumped"))
    assert time.monotonic() - begun > 0.9, "one reading confirms nothing"
    assert jump["body"]["confirmed"] == by and clock.is_near(jump["time"], 2 * DAY)
    assert clock.is_near(append(ledger)["time"], 2 * DAY)


def test_steps_below_the_limit_are_taken_at_once(clocked):
    ledger, clock = clocked(clock_step_limit=60)
    start(ledger, clock)
    for ahead in (59 * SECOND, 0, -3_600 * SECOND, -3_600 * SECOND + 30 * SECOND):
        clock.set(ahead)
        append(ledger)
    steps = [entry["body"] for entry in recorded(ledger, "system.clock_jumped")]
    assert [round(body["microseconds"] / SECOND) for body in steps] == [59, -59, -3_600, 30]
    assert all("confirmed" not in body for body in steps)
    assert ledger.call("Status")["clockBehind"] > 3_500 * SECOND
    clock.set(-3_600 * SECOND + 91 * SECOND)
    refused(ledger)


def test_many_small_steps_are_noticed(clocked):
    ledger, clock = clocked()
    start(ledger, clock)
    for step in range(1, 7):
        clock.set(step * 900_000)
        append(ledger)
    steps = [entry["body"]["microseconds"] for entry in recorded(ledger, "system.clock_jumped")]
    assert len(steps) == 2 and all(2 * SECOND < step < 3 * SECOND for step in steps)


def test_a_clock_far_ahead_at_the_start_holds_what_the_daemon_records_itself_too(clocked):
    ledger, clock = clocked()
    start(ledger, clock)
    append(ledger)
    assert ledger.stop() == 0
    clock.set(10 * YEAR)
    start(ledger, clock)
    assert "after the newest entry" in refused(ledger)
    size = ledger.size
    time.sleep(2.5)
    assert ledger.size == size and ledger.entry(size - 1)
    # Set right, it is believed at once, and the start is recorded though nobody calls.
    clock.set(0)
    wait_until(lambda: ledger.size == size + 2)
    assert [entry["type"] for entry in map(json.loads, (row["entry"] for row in ledger.entries()[-2:]))] == [
        "system.started", "system.clock_status"]
    assert clock.is_near(append(ledger)["time"], 0)
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_a_ledger_left_alone_for_long_goes_on_once_the_clock_is_synchronised(clocked):
    ledger, clock = clocked(clock_confirm_after=0)
    start(ledger, clock)
    assert ledger.stop() == 0
    clock.set(400 * DAY, synchronised=True)
    start(ledger, clock)
    status, = wait_until(lambda: recorded(ledger, "system.clock_status")[1:])
    assert status["body"] == {"synchronized": True, "confirmed": "synchronization"}
    assert clock.is_near(append(ledger)["time"], 400 * DAY)


def test_a_clock_behind_the_newest_entry_is_recorded_logged_and_shown(clocked):
    ledger, clock = clocked()
    clock.set(3_600 * SECOND)
    start(ledger, clock)
    append(ledger)
    assert ledger.stop() == 0
    clock.set(0)
    start(ledger, clock)
    last = append(ledger)
    assert clock.is_near(last["time"], 3_600 * SECOND)
    status = recorded(ledger, "system.clock_status")[-1]
    assert 3_500 * SECOND < status["body"]["behind"] <= 3_600 * SECOND
    assert 3_500 * SECOND < ledger.call("Status")["clockBehind"] <= 3_600 * SECOND
    assert "behind the newest entry" in ledger.log_text()
    clock.set(3_600 * SECOND + 1)
    assert ledger.call("Status")["clockBehind"] == 0
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_a_year_beyond_the_last_is_never_written(clocked):
    ledger, clock = clocked()
    start(ledger, clock)
    append(ledger)
    for synchronised in (False, True):
        clock.set(END_OF_TIME + 10 * SECOND - time.time_ns() // 1_000, synchronised)
        assert "year 9999" in refused(ledger)
    time.sleep(1.5)
    ledger.evidence("confirm-clock")
    time.sleep(1.5)
    assert "year 9999" in refused(ledger)
    clock.set(0)
    append(ledger)
    assert ledger.stop() == 0 and ledger.audit()["clean"]
    # At the start too, and in a ledger that is to be created.
    clock.set(END_OF_TIME + 10 * SECOND - time.time_ns() // 1_000, True)
    start(ledger, clock)
    assert "year 9999" in refused(ledger)
    assert ledger.stop() == 0
    clock.set(0)
    start(ledger, clock)
    append(ledger)


def test_no_ledger_is_created_beyond_the_last_year(make_ledger, shim):
    ledger = make_ledger()
    clock = Clock(ledger, shim)
    clock.set(END_OF_TIME + 10 * SECOND - time.time_ns() // 1_000)
    done = ledger.admin("init", "--origin", ledger.origin, env=clock.environment, status=1)
    assert "9999" in done.stderr
    assert not (ledger.store / "data.mdb").exists() and not ledger.lock.exists()
    ledger.init()


def test_a_recovery_takes_no_time_that_is_not_confirmed(clocked):
    ledger, clock = clocked()
    start(ledger, clock)
    assert ledger.stop() == 0
    ledger.lock.unlink()
    clock.set(10 * YEAR)
    refused = ledger.admin("recover", "--reason", "lock-lost", "--without-checkpoint", env=clock.environment, status=1)
    assert "after the newest entry" in refused.stderr and "--confirm-clock" in refused.stderr
    ledger.admin("recover", "--reason", "lock-lost", "--without-checkpoint", "--confirm-clock", env=clock.environment)
    start(ledger, clock)
    assert clock.is_near(append(ledger)["time"], 10 * YEAR)
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_clocks_before_the_epoch_are_behind_and_no_more(clocked):
    ledger, clock = clocked()
    clock.set(-time.time_ns() // 1_000 - DAY)
    start(ledger, clock)
    append(ledger)
    assert ledger.stop() == 0 and ledger.audit()["clean"]
