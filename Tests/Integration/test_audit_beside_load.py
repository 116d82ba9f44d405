"""An audit beside a daemon that records all the while: it audits the ledger as it stood when it began."""

import json
import threading

import events


def test_audits_beside_a_busy_daemon_find_nothing(ledger):
    stop = threading.Event()
    counts = []

    def submit():
        with ledger.wire() as wire:
            recorded = 0
            while not stop.is_set():
                for batch in ([events.closure()], [events.deposit(b"x" * n) for n in range(200)]):
                    wire.call("Append", {"events": batch})
                    recorded += len(batch)
            counts.append(recorded)

    submitter = threading.Thread(target=submit)
    submitter.start()
    try:
        sizes = [json.loads(ledger.admin("audit", "--json", status=0).stdout)["size"] for _ in range(5)]
    finally:
        stop.set()
        submitter.join()
    assert sizes == sorted(sizes) and sizes[-1] > sizes[0], "the ledger grew meanwhile"
    assert counts and counts[0] > 1_000
    assert json.loads(ledger.admin("audit", "--json", status=0).stdout)["clean"]
