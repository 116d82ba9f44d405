#!/usr/bin/env python3
"""Counts what an event costs the daemon, in instructions: a figure that does not depend on the clock or on neighbours.

    count.py --binaries DIR [--json]

Each load is run twice under callgrind, with N events and with 2 N; the difference over N is what one event costs, start
and end of the daemon taken out. Events differ in their ids only. The same binary gives the same figure within about one
percent: threads that wait for one another take other turns.
"""

import argparse
import contextlib
import ctypes
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
from lmdbfile import DataFile  # noqa: E402

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


@contextlib.contextmanager
def reader(store: Path):
    """A snapshot of a store is held, as a long audit does: no page it has can be used again."""
    lmdb = ctypes.CDLL("liblmdb.so.0")
    environment, transaction = ctypes.c_void_p(), ctypes.c_void_p()
    read_only = 0x20000
    steps = (
        lambda: lmdb.mdb_env_create(ctypes.byref(environment)),
        lambda: lmdb.mdb_env_open(environment, os.fsencode(store), read_only, 0o600),
        lambda: lmdb.mdb_txn_begin(environment, None, read_only, ctypes.byref(transaction)),
    )
    for step in steps:
        if code := step():
            raise SystemExit(f"no snapshot of the store can be held: LMDB says {code}")
    try:
        yield
    finally:
        lmdb.mdb_txn_abort(transaction)
        lmdb.mdb_env_close(environment)


def free_pages(ledger: Ledger):
    """Leaves FREE_PAGES pages of the store free, or some more: what commits let go of while somebody reads."""
    ledger.start()
    with reader(ledger.store):
        while len(DataFile.read(ledger.store / "data.mdb").free()) < FREE_PAGES:
            singles(ledger, 256)
    if status := ledger.stop():
        raise SystemExit(f"the daemon ended with {status}: {ledger.log_text()[-2000:]}")


FREE_PAGES = 32_000
LOADS = (
    ("one event in a call", singles, 256, None),
    ("... 32,000 pages free", singles, 256, free_pages),
    ("256 events in a call", batches, 2_048, None),
    ("an inclusion proof", proofs, 512, None),
)


def instructions(binaries: Path, load, count: int, prepare) -> int:
    """Instructions of a daemon's whole life with one load."""
    with tempfile.TemporaryDirectory(prefix="count.", dir="/var/tmp") as directory:
        with Ledger(Path(directory), binaries) as ledger:
            ledger.init()
            if prepare:
                prepare(ledger)
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
        for name, load, count, prepare in LOADS:
            once, twice = (instructions(binaries, load, times * count, prepare) for times in (1, 2))
            each = round((twice - once) / count)
            if options.json:
                print(json.dumps({"load": name, "instructions": each, "of": count}), flush=True)
            else:
                print(f"{name:24} {each:>12,} instructions", flush=True)


if __name__ == "__main__":
    main()
