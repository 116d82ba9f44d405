"""An audit beside a daemon that records all the while: it audits the ledger as it stood when it began."""

import json
import threading
import time

import events

# What must be recorded meanwhile, and how long that may take.
LEAST = 1_000
SECONDS = 60


def test_audits_beside_a_busy_daemon_find_nothing(ledger):
    stop = threading.Event()
    recorded = []

    def submit():
        with ledger.wire() as wire:
            while not stop.is_set():
                for batch in ([events.closure()], [events.deposit(b"x" * n) for n in range(200)]):
                    wire.call("Append", {"events": batch})
                    recorded.append(len(batch))

    submitter = threading.Thread(target=submit)
    submitter.start()
    sizes = []
    end = time.monotonic() + SECONDS
    try:
        while len(sizes) < 5 or sum(recorded) <= LEAST and time.monotonic() < end:
            sizes.append(json.loads(ledger.admin("audit", "--json", status=0).stdout)["size"])
    finally:
        stop.set()
        submitter.join()
    assert sizes == sorted(sizes) and sizes[-1] > sizes[0], "the ledger grew meanwhile"
    assert sum(recorded) > LEAST
    assert json.loads(ledger.admin("audit", "--json", status=0).stdout)["clean"]
