"""Disks without room, for a while: nothing acknowledged is lost, reads and proofs go on, a start serves them, and with
room everything goes on by itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

import events
from faults import Record, all_promises_kept, append, audit, copy_ledger, wait_for
from ledger import Ledger
from wire import CallError

BLOCK = 16384
WITHOUT_ROOM = "the look-up index has no room on its disk"


@pytest.fixture(scope="session")
def shim(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "no C compiler: run `make deps`"
    target = tmp_path_factory.mktemp("shim") / "full_disk.so"
    source = Path(__file__).with_name("full_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, source, "-ldl"], check=True)
    return target


class Disk:
    """A disk that holds whatever lies below a directory, and is full when told so."""

    def __init__(self, shim: Path, below: Path, error: str = "ENOSPC"):
        self.flag = below.parent / f"{below.name}.full"
        self.environment = {
            "LD_PRELOAD": str(shim), "FULL_WHILE": str(self.flag), "FULL_BELOW": str(below), "FULL_ERROR": error}

    def fill(self):
        self.flag.touch()

    def free(self):
        self.flag.unlink()


def refusal(ledger: Ledger, method: str, parameters: dict) -> str:
    with pytest.raises(CallError) as caught:
        ledger.call(method, parameters)
    assert caught.value.name == "StoreFull", caught.value
    return caught.value.parameters["reason"]


def reads_go_on(ledger: Ledger, size: int):
    assert ledger.size == size
    proof = ledger.call("ProveInclusion", {"index": size - 1})
    assert ledger.entry(size - 1)["leaf"] == proof["leaf"]
    ledger.call("ProveConsistency", {"first": 1, "second": size})
    assert ledger.call("ListEntries", {"limit": 5})["entries"]


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
def test_an_index_without_room(nearly_a_block, tmp_path, shim, error):
    source, earlier = nearly_a_block
    ledger = copy_ledger(source, tmp_path / "l", index_lag=BLOCK)
    record = earlier.copy()
    disk = Disk(shim, ledger.index, error)
    with ledger.start(env=disk.environment):
        disk.fill()
        # A block is due now, and cannot be stored. Appends go on as far as the tail may grow.
        append(ledger, record, *[events.closure() for _ in range(40)])
        wait_for(lambda: "no room on its disk" in ledger.log_text(), 10, "the daemon to say so")
        assert ledger.call("Status")["indexed"] == 0
        assert refusal(ledger, "Append", {"events": [events.closure()]}) == WITHOUT_ROOM
        size = ledger.size
        reads_go_on(ledger, size)
        # What was recorded, in the tail or before it, is answered as ever; beside anything new it is refused.
        for recorded, receipt in [list(record.acknowledged.values())[position] for position in (0, -1)]:
            again, = ledger.append(recorded)["receipts"]
            assert again["duplicate"] and again["index"] == receipt["index"]
            assert refusal(ledger, "Append", {"events": [recorded, events.closure()]}) == WITHOUT_ROOM
        assert not ledger.call("Status")["acceptsAppends"]
        # What the tail holds is still found.
        known = next(event for event, _ in record.acknowledged.values() if event["type"] == "evidence.deposited")
        digest = next(iter(known["claims"].values()))["sha256"]
        assert ledger.call("FindByDigest", {"digest": digest})["entries"]

        # Neither stop nor start needs room.
        assert ledger.stop() == 0, ledger.log_text()
        ledger.start(env=disk.environment, wait=False)
        wait_for(lambda: ledger.log_text().count("serving") == 2, 30, "the daemon to serve")
        reads_go_on(ledger, ledger.size)
        assert refusal(ledger, "Append", {"events": [events.closure()]}) == WITHOUT_ROOM
        assert refusal(ledger, "FindByDigest", {"digest": digest}) == WITHOUT_ROOM
        all_promises_kept(ledger, record)

        # With room everything goes on by itself, and the start is recorded.
        disk.free()
        wait_for(lambda: ledger.call("Status")["indexed"] >= BLOCK, 20, "the index to be stored")
        append(ledger, record, *[events.closure() for _ in range(3)])
        append(ledger, record, *[event for event, _ in list(record.acknowledged.values())[:20]])
        assert ledger.call("FindByDigest", {"digest": digest})["entries"]
        types = [entry["entry"] for entry in ledger.call("ListEntries", {"type": "system.started"})["entries"]]
        assert len(types) == 3
        all_promises_kept(ledger, record)
        assert ledger.stop() == 0
    audit(ledger)


def test_a_lost_index_on_a_full_disk(nearly_a_block, tmp_path, shim):
    """The index cannot even be made: the daemon serves what needs none."""
    source, earlier = nearly_a_block
    ledger = copy_ledger(source, tmp_path / "l")
    record = earlier.copy()
    shutil.rmtree(ledger.index)
    disk = Disk(shim, ledger.index)
    disk.fill()
    with ledger.start(env=disk.environment, wait=False):
        wait_for(lambda: "serving" in ledger.log_text(), 30, "the daemon to serve")
        reads_go_on(ledger, ledger.size)
        assert refusal(ledger, "Append", {"events": [events.closure()]}) == WITHOUT_ROOM
        disk.free()
        wait_for(lambda: ledger.call("Status")["acceptsAppends"], 20, "the index to be made")
        append(ledger, record, *[events.closure() for _ in range(20)])
        append(ledger, record, *[event for event, _ in list(record.acknowledged.values())[:20]])
        assert not list(ledger.index.glob("*.damaged*")), "its beginnings are no damage"
        assert ledger.stop() == 0
    audit(ledger)


def test_a_start_on_a_full_disk_serves(make_ledger, shim, tmp_path_factory):
    """Neither the store, the lock nor the index gets a block more."""
    ledger = make_ledger().init()
    ledger.log = tmp_path_factory.mktemp("log") / "daemon.log"
    disk = Disk(shim, ledger.root)
    disk.fill()
    record = Record(ledger.vkey)
    with ledger.start(env=disk.environment, wait=False):
        wait_for(lambda: "serving" in ledger.log_text(), 30, "the daemon to serve")
        reads_go_on(ledger, 1)
        refusal(ledger, "Append", {"events": [events.closure()]})
        disk.free()
        wait_for(lambda: ledger.size >= 3, 20, "the start to be recorded")
        append(ledger, record, events.closure())
        all_promises_kept(ledger, record)
        assert ledger.stop() == 0
    audit(ledger)


# Creating a ledger


@pytest.mark.parametrize("below", ["store", "lock", "keyring"])
def test_init_on_a_full_disk_leaves_nothing(make_ledger, shim, below):
    ledger = make_ledger()
    disk = Disk(shim, ledger.root / below)
    disk.fill()
    names = sorted(path.name for path in ledger.root.rglob("*"))
    done = ledger.admin("init", "--origin", ledger.origin, status=None, env=disk.environment)
    assert done.returncode == 71 and not done.stdout
    assert "Error" not in done.stderr and ("room" in done.stderr or "No space left" in done.stderr), done.stderr
    assert sorted(path.name for path in ledger.root.rglob("*")) == names
    disk.free()
    ledger.init().start()
    ledger.append(events.closure())
