#!/usr/bin/env python3
"""Mixed load for a long time, with kills in between; then a short report.

    python Tests/Integration/soak.py --minutes 30 --kills 20

Submits, proves, pages, watches and backs up at once. What must hold: nothing acknowledged is lost or recorded twice,
proofs verify, checkpoints are of one history, a backup is clean, memory and open files stay flat, and the audit at the
end is clean. Exits with 1 where one of these does not hold.
"""

import argparse
import base64
import random
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from faults import Broken, Client, Follower, Record, audit, demand, open_files, own_bytes, resend
from ledger import Ledger
from verifier import Refused, verify_consistency, verify_note, verify_proof
from wire import CallError, Wire

MIB = 1 << 20
# How much memory and files may rise from the first third of a daemon's life to its last.
MEMORY_RISE = 48 * MIB
FILES_RISE = 8
AUDIT_SECONDS = 1_800


class Worker(threading.Thread):
    """Does one kind of work again and again until told to stop or the daemon is gone."""

    def __init__(self, path, record: Record, seed: int, pause: float):
        super().__init__(daemon=True)
        self.path = path
        self.record = record
        self.chance = random.Random(seed)
        self.pause = pause
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.done = 0

    def run(self):
        try:
            with Wire(self.path, timeout=60) as wire:
                while not self.ended.wait(self.pause):
                    self.work(wire)
                    self.done += 1
        except (Broken, Refused, CallError) as error:
            self.failure = error
        except (OSError, AssertionError):
            pass  # The daemon is gone, perhaps within an answer.

    def work(self, wire: Wire):
        raise NotImplementedError

    def stop(self):
        self.ended.set()
        self.join(90)
        demand(not self.is_alive(), f"{type(self).__name__} was not answered")
        if self.failure:
            raise self.failure


class Prover(Worker):
    """Proves entries and verifies the proofs; holds each checkpoint against the one before."""

    last = None

    def work(self, wire: Wire):
        reply = wire.call("GetCheckpoint")
        self.record.saw(reply["checkpoint"])
        now = verify_note(reply["checkpoint"], self.record.vkey)
        if self.last:
            demand(now.size >= self.last.size, "the ledger shrank from", self.last.size, "to", now.size)
            proof = wire.call("ProveConsistency", {"first": self.last.size, "second": now.size})
            verify_consistency(self.last.size, now.size, self.last.root, now.root,
                               [base64.b64decode(text) for text in proof["hashes"]])
        self.last = now
        index = self.chance.randrange(now.size)
        entry = wire.call("GetEntry", {"index": index})["entry"]
        proof = wire.call("ProveInclusion", {"index": index})
        if proof["proof"]:
            verify_proof(proof["proof"], entry["entry"].encode(), self.record.vkey)


class Pager(Worker):
    """Reads pages by all ways to narrow them, and finds documents."""

    def work(self, wire: Wire):
        narrow = self.chance.choice([{}, {"type": "evidence.deposited"}, {"submitter": "tests"}, {"reverse": True}])
        size = wire.call("GetCheckpoint")["size"]
        wire.call("ListEntries", {"from": self.chance.randrange(size), "limit": self.chance.randint(1, 100)} | narrow)
        wire.call("FindByDigest", {"digest": f"{self.chance.getrandbits(256):064x}"})


class Watcher(Worker):
    """Watches from the beginning of its life: entries come in order and without a gap."""

    def run(self):
        try:
            with Wire(self.path, timeout=1) as wire:
                next = wire.call("GetCheckpoint")["size"]
                wire.send_call("Watch", {"from": next}, more=True)
                while not self.ended.is_set():
                    try:
                        entries = wire.reply()["entries"]
                    except TimeoutError:
                        continue
                    for entry in entries:
                        demand(entry["index"] == next, "watched", entry["index"], "instead of", next)
                        next += 1
                        self.done += 1
        except (Broken, CallError) as error:
            self.failure = error
        except (OSError, AssertionError):
            pass


class Backer(Worker):
    """Makes backups; keeps the newest that was answered."""

    def __init__(self, path, record, seed, pause, directory: Path):
        super().__init__(path, record, seed, pause)
        self.directory = directory
        self.newest: Path | None = None

    def work(self, wire: Wire):
        target = self.directory / f"b{time.monotonic_ns()}"
        wire.call("Backup", {"directory": str(target)})
        if self.newest:
            shutil.rmtree(self.newest)
        self.newest = target


@dataclass
class Report:
    seconds: float = 0
    kills: int = 0
    events: int = 0
    entries: int = 0
    duplicates: int = 0
    checkpoints: int = 0
    proofs: int = 0
    pages: int = 0
    watched: int = 0
    backups: int = 0
    memory: list[tuple[int, int]] = field(default_factory=list)
    """Bytes of each daemon's own memory: in the first third of its life, and in the last."""
    files: list[tuple[int, int]] = field(default_factory=list)
    store: int = 0
    slowest_start: float = 0
    recovered: int = 0

    def lines(self) -> list[str]:
        memory = max(last for _, last in self.memory) / MIB
        rise = max(last - first for first, last in self.memory) / MIB
        files = max(last - first for first, last in self.files)
        return [
            f"time        {self.seconds:.0f} s, {self.kills} kills, slowest start {self.slowest_start:.2f} s",
            f"submitted   {self.events} events acknowledged ({self.events / self.seconds:.0f} a second), "
            f"{self.duplicates} duplicates, {self.recovered} sent again after a kill",
            f"ledger      {self.entries} entries, {self.store / MIB:.0f} MiB, {self.checkpoints} checkpoints seen, "
            "one history",
            f"read        {self.proofs} proofs verified, {self.pages} pages, {self.watched} entries watched, "
            f"{self.backups} backups",
            f"memory      {memory:.0f} MiB, rose by at most {rise:.0f} MiB; open files rose by at most {files}",
            "audit       clean, of the ledger and of the newest backup",
        ]


class Gauge(threading.Thread):
    """Samples memory and open files of one daemon."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid = pid
        self.samples: list[tuple[int, int]] = []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            try:
                self.samples.append((own_bytes(self.pid), open_files(self.pid)))
            except (OSError, AssertionError):
                return

    def thirds(self, column: int) -> tuple[int, int] | None:
        """The middle value of the second sixth, when it is warm, and that of the last third; nil for a short life."""
        values = [sample[column] for sample in self.samples]
        third = len(values) // 3
        if third < 10:
            return None
        return sorted(values[third // 2 : third])[third // 4], sorted(values[-third:])[third // 2]


def flat(gauges: list[Gauge]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """First and last memory and files of each daemon that lived long enough; raises where they rise."""
    memory = [pair for gauge in gauges if (pair := gauge.thirds(0))]
    files = [pair for gauge in gauges if (pair := gauge.thirds(1))]
    for first, last in memory:
        demand(last - first < MEMORY_RISE, f"memory rises from {first / MIB:.0f} to {last / MIB:.0f} MiB")
    for first, last in files:
        demand(last - first <= FILES_RISE, f"open files rise from {first} to {last}")
    return memory, files


def soak(ledger: Ledger, seconds: float, kills: int, seed: int, say=lambda done, text: None) -> Report:
    """Runs the load on a ledger that was made, and is not running."""
    chance = random.Random(seed)
    record = Record(ledger.vkey)
    follower = Follower(record)
    report = Report()
    gauges = []
    began = time.monotonic()
    newest = None
    # Lives of random length, the last one among the longer ones, so that flat memory means something.
    cuts = sorted(chance.uniform(0, 0.6) * seconds for _ in range(kills)) + [seconds]
    for number, cut in enumerate(cuts):
        starting = time.monotonic()
        ledger.start()
        report.slowest_start = max(report.slowest_start, time.monotonic() - starting)
        follower.follow(ledger.socket).check()
        report.recovered += len(record.unanswered)
        resend(ledger, record)
        gauges.append(Gauge(ledger.pid))
        clients = [Client(ledger.socket, record, chance.getrandbits(32), pause=0.01) for _ in range(2)]
        workers = [Prover(ledger.socket, record, chance.getrandbits(32), 0.02),
                   Pager(ledger.socket, record, chance.getrandbits(32), 0.02),
                   Watcher(ledger.socket, record, 0, 0),
                   backer := Backer(ledger.socket, record, 0, max(2.0, seconds / 60), ledger.backups)]
        for thread in [*clients, *workers, gauges[-1]]:
            thread.start()
        last = number == len(cuts) - 1
        # A life is cut where it should be, but is never without any load.
        end = max(began + cut, time.monotonic() + 0.5)
        while time.monotonic() < end and ledger.process.poll() is None:
            time.sleep(min(0.2, max(0.01, end - time.monotonic())))
            say((time.monotonic() - began) / seconds, f"{len(record.acknowledged)} events")
        demand(ledger.process.poll() is None, "the daemon ended by itself:", ledger.log_text()[-2000:])
        gauges[-1].ended.set()
        if last:
            for thread in [*clients, *workers]:
                thread.stop()
            demand(all(thread.calls for thread in clients) and all(thread.done for thread in workers[:3]),
                   "somebody did nothing at all")
            demand(ledger.stop() == 0, "a stop ended with another status:", ledger.log_text()[-2000:])
        else:
            ledger.kill()
            report.kills += 1
            for thread in [*clients, *workers]:
                thread.stop()
        report.proofs += workers[0].done
        report.pages += workers[1].done
        report.watched += workers[2].done
        report.backups += backer.done
        newest = backer.newest or newest
    report.seconds = time.monotonic() - began
    say(1, "auditing")
    # Half an hour leaves a hundred thousand signatures to verify.
    report.entries = audit(ledger, seconds=AUDIT_SECONDS)["size"]
    if newest:
        done = ledger.audit("--store", newest, "--copy", seconds=AUDIT_SECONDS)
        demand(done["clean"], "a backup is not clean:", done["findings"])
    ledger.start()
    follower.follow(ledger.socket).check()
    follower.reread(ledger.socket).check()
    report.store = ledger.call("Status")["storeBytes"]
    demand(ledger.stop() == 0, "the last stop")
    report.events = len(record.acknowledged)
    report.duplicates = record.duplicates
    report.checkpoints = len(record.notes)
    report.memory, report.files = flat(gauges)
    demand(report.memory, "no daemon lived long enough to measure its memory")
    return report


def progress(done: float, text: str):
    """A line on a terminal; nothing where the output goes elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{min(done, 1):4.0%} {text:<40}", end="", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="how long the load runs (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="kills in between (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32),
                        help="what random choices begin with")
    parser.add_argument("--keep", metavar="DIR", help="where the ledger is kept; a temporary directory otherwise")
    options = parser.parse_args()
    if options.minutes <= 0 or options.kills < 0:
        parser.error("--minutes must be above 0 and --kills not below")
    root = Path(options.keep or tempfile.mkdtemp(prefix="evidence-soak."))
    print(f"seed {options.seed}", flush=True)
    with Ledger(root / "l") as ledger:
        try:
            report = soak(ledger.init(), options.minutes * 60, options.kills, options.seed, progress)
        except (AssertionError, Refused, CallError) as error:
            print(f"\nFAILED: {error}\nEverything is in {root}", file=sys.stderr)
            return 1
    if sys.stderr.isatty():
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    print("\n".join(report.lines()))
    if not options.keep:
        shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
