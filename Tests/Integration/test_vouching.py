"""What stands between a commit and its answer, each taken by itself: entries read back, the lock synced, and only then
a checkpoint for anybody to see."""

import os
import signal
import threading
import time

import pytest

import events
from faults import EXIT_REFUSED, EXIT_WRITE_FAILED
from ledger import require
from wire import CallError


def start_with_fault(ledger, path, call: str, fault: str, first: int):
    """Starts the daemon with a fault in a system call on one file, from a thread's `first` such call on."""
    wrapper = [require("strace"), "-f", "-o", os.devnull, "-P", path, "-e", f"trace={call}", "-e",
               f"inject={call}:{fault}:when={first}+", require("setpriv"), "--pdeathsig", "KILL"]
    return ledger.start(wrapper=wrapper)


def end(ledger):
    """Ends the daemon below strace, which else would be all that ends."""
    children = open(f"/proc/{ledger.pid}/task/{ledger.pid}/children").read().split()
    for child in map(int, children):
        os.kill(child, signal.SIGKILL)
    ledger.wait()


def test_nothing_is_answered_once_the_lock_cannot_be_synced(make_ledger):
    ledger = make_ledger().init()
    start_with_fault(ledger, ledger.lock, "fdatasync", "error=EIO", 4)
    answered = 0
    with pytest.raises((OSError, AssertionError)) as failed:
        while answered < 20:
            ledger.append(events.closure())
            answered += 1
    assert not isinstance(failed.value, CallError) and answered < 20
    assert ledger.wait() == EXIT_WRITE_FAILED
    assert "syncing" in ledger.log_text() and "nothing more is acknowledged" in ledger.log_text()
    ledger.start()
    assert ledger.stop() == 0 and ledger.audit()["clean"]


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_a_checkpoint_is_seen_only_once_the_lock_holds_it(make_ledger, call):
    """The lock takes a second to be written, or to be synced: until then there is no newer checkpoint for anybody."""
    ledger = make_ledger().init()
    start_with_fault(ledger, ledger.lock, call, "delay_exit=1000000", 1)
    time.sleep(0.1)
    before = ledger.call("GetCheckpoint")
    answer = []
    client = threading.Thread(target=lambda: answer.append(ledger.append(events.closure())))
    begun = time.monotonic()
    client.start()
    while time.monotonic() - begun < 0.7:
        seen = ledger.call("GetCheckpoint")
        assert seen["checkpoint"] == before["checkpoint"] and not answer
        with pytest.raises(CallError):
            ledger.call("ProveInclusion", {"index": before["size"]})
    client.join(30)
    assert answer and ledger.call("GetCheckpoint")["size"] == before["size"] + 1
    end(ledger)


def test_what_is_signed_was_read_back(make_ledger):
    """A byte of an entry changes between the write and the answer, as on a disk that fails: nobody is told of it."""
    ledger = make_ledger().init()
    ledger.start().append(events.closure())
    assert ledger.stop() == 0
    data = ledger.store / "data.mdb"
    start_with_fault(ledger, data, "fdatasync", "delay_exit=1500000", 1)
    before = ledger.call("GetCheckpoint")["checkpoint"]
    event = events.closure()
    outcome = []

    def call():
        try:
            outcome.append(ledger.append(event))
        except (OSError, AssertionError) as error:
            outcome.append(error)

    client = threading.Thread(target=call)
    client.start()
    needle = event["request"].encode()
    deadline = time.monotonic() + 20
    while (at := data.read_bytes().find(needle)) < 0:
        assert time.monotonic() < deadline, "the entry is not in the file"
        time.sleep(0.01)
    descriptor = os.open(data, os.O_WRONLY)
    os.pwrite(descriptor, bytes([needle[0] ^ 1]), at)
    os.close(descriptor)
    client.join(30)
    assert isinstance(outcome[0], Exception) and not isinstance(outcome[0], CallError), outcome
    assert ledger.wait() == EXIT_REFUSED and "does not hash to its row of the tree" in ledger.log_text()
    # Nor does the next start sign it.
    assert before.encode() in ledger.lock.read_bytes()
    assert ledger.run_until_exit() == 65


@pytest.mark.parametrize("error", ["EINVAL", "ENOSYS", "EPERM", "EOPNOTSUPP"])
def test_a_file_system_without_fallocate_is_written_to(make_ledger, error):
    """Room is made by writing; the blocks are there all the same."""
    ledger = make_ledger().init()
    start_with_fault(ledger, ledger.store / "data.mdb", "fallocate", f"error={error}", 1)
    for _ in range(3):
        ledger.append(*[events.access(reason="r" * 3000) for _ in range(200)])
    file = (ledger.store / "data.mdb").stat()
    assert file.st_blocks * 512 >= file.st_size, "there are holes where room was to be made"
    end(ledger)
    ledger.start()
    assert ledger.stop() == 0 and ledger.audit()["clean"]
