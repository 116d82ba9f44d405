#!/usr/bin/env python3
"""Counts what an event costs the daemon, in instructions: a figure that does not depend on the clock or on neighbours.

    count.py --binaries DIR [--json]

Each load is run twice under callgrind, with N events and with 2 N; the difference over N is what one event costs, start
and end of the daemon taken out. Events differ in their ids only. The same binary gives the same figure within about one
percent: threads that wait for one another take other turns.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Integration"))

import events  # noqa: E402
from ledger import Ledger  # noqa: E402

# Valgrind runs some fifty times slower than the machine.
SECONDS = 600


def singles(ledger: Ledger, count: int):
    """Single events, one after the other."""
    with ledger.wire(timeout=SECONDS) as wire:
        for _ in range(count):
            wire.call("Append", {"events": [events.registration()]})


def batches(ledger: Ledger, count: int):
    """The same events in calls of 256."""
    with ledger.wire(timeout=SECONDS) as wire:
        for start in range(0, count, 256):
            wire.call("Append", {"events": [events.registration() for _ in range(min(256, count - start))]})


def proofs(ledger: Ledger, count: int):
    """Inclusion proofs of one entry after the other, in a ledger of 512 events."""
    batches(ledger, 512)
    with ledger.wire(timeout=SECONDS) as wire:
        for index in range(count):
            wire.call("ProveInclusion", {"index": index % 500})


LOADS = (
    ("one event in a call", singles, 256),
    ("256 events in a call", batches, 2_048),
    ("an inclusion proof", proofs, 512),
)


def instructions(binaries: Path, load, count: int) -> int:
    """Instructions of a daemon's whole life with one load."""
    with tempfile.TemporaryDirectory(prefix="count.", dir="/var/tmp") as directory:
        with Ledger(Path(directory), binaries) as ledger:
            ledger.init()
            wrapper = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out")
            ledger.start(wait=False, wrapper=wrapper, env={"SWIFT_BACKTRACE": "enable=no"})
            ledger.wait_until_ready(SECONDS)
            load(ledger, count)
            ledger.process.terminate()
            status = ledger.wait(SECONDS)
            collected = re.search(r"Collected : (\d+)", ledger.log_text())
            if status != 0 or collected is None:
                raise SystemExit(f"the daemon ended with {status}: {ledger.log_text()[-2000:]}")
            return int(collected[1])


def stripped(binaries: Path, directory: Path) -> Path:
    """The programs without their debugging information, which valgrind cannot read."""
    for name in ("evidenced", "evidence"):
        subprocess.run(["strip", "-o", directory / name, binaries / name], check=True)
    return directory


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, required=True, help="where evidenced and evidence are")
    parser.add_argument("--json", action="store_true", help="a line for each figure")
    options = parser.parse_args()
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="count.", dir="/var/tmp") as directory:
        binaries = stripped(options.binaries, Path(directory))
        for name, load, count in LOADS:
            once, twice = (instructions(binaries, load, times * count) for times in (1, 2))
            each = round((twice - once) / count)
            if options.json:
                print(json.dumps({"load": name, "instructions": each, "of": count}), flush=True)
            else:
                print(f"{name:24} {each:>12,} instructions", flush=True)


if __name__ == "__main__":
    main()
