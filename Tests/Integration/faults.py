"""What the survival tests share: the record of what a daemon promised, clients that load it while they keep that
record, and the check that every promise was kept.

Trees, chain and signatures are checked from ledger-format.md alone; none of the programs under test is asked.
"""

import base64
import copy
import itertools
import json
import os
import random
import shutil
import subprocess
import threading
import time
from pathlib import Path

import events
from ledger import Ledger
from lockfile import settle
from verifier import Refused, leaf_hash, node, sha256, verify_note
from wire import CallError, Wire

# The long form runs every case and more of what is random; the short form samples.
LONG = os.environ.get("EVIDENCED_LONG", "") not in ("", "0")
# What random choices begin with. A failed run says which it was.
SEED = int(os.environ.get("EVIDENCED_SEED") or random.SystemRandom().randrange(1 << 32))

EXIT_REFUSED = 65
EXIT_SYSTEM = 71
EXIT_WRITE_FAILED = 74


class Broken(AssertionError):
    """A promise of the ledger that was not kept."""


def demand(condition, *what):
    if not condition:
        raise Broken(" ".join(map(str, what)))


def sample(cases: list, count: int) -> list:
    """All cases in the long form; `count` of them, evenly spread and with first and last, in the short form."""
    if LONG or len(cases) <= count:
        return list(cases)
    return [cases[round(i * (len(cases) - 1) / (count - 1))] for i in range(count)]


# Trees


class Tree:
    """The roots of all trees that begin with the first leaf."""

    def __init__(self):
        self._peaks: list[tuple[int, bytes]] = []
        self.roots = [sha256()]

    @property
    def size(self) -> int:
        return len(self.roots) - 1

    def append(self, leaf: bytes):
        level, digest = 0, leaf
        while self._peaks and self._peaks[-1][0] == level:
            digest = node(self._peaks.pop()[1], digest)
            level += 1
        self._peaks.append((level, digest))
        root = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            root = node(peak, root)
        self.roots.append(root)


# The record and its check


class Record:
    """What clients sent, and what they were told. Any number of threads may use it."""

    def __init__(self, vkey: str):
        self.vkey = vkey
        self.acknowledged: dict[str, tuple[dict, dict]] = {}
        """Request key → event, receipt."""
        self.unanswered: dict[str, dict] = {}
        """Request key → event, for those sent without an answer."""
        self.notes: set[str] = set()
        self.duplicates = 0
        self._guard = threading.Lock()

    def copy(self) -> "Record":
        other = Record(self.vkey)
        other.acknowledged = copy.deepcopy(self.acknowledged)
        other.unanswered = dict(self.unanswered)
        other.notes = set(self.notes)
        return other

    def sent(self, batch: list[dict]):
        with self._guard:
            for event in batch:
                if event["request"] not in self.acknowledged:
                    self.unanswered[event["request"]] = event

    def answered(self, batch: list[dict], reply: dict):
        demand(len(reply["receipts"]) == len(batch), "as many receipts as events:", reply)
        with self._guard:
            self.notes.add(reply["checkpoint"])
            for event, receipt in zip(batch, reply["receipts"], strict=True):
                request = event["request"]
                if known := self.acknowledged.get(request):
                    same = all(known[1][field] == receipt[field] for field in ("index", "leaf", "time"))
                    # Two clients may have sent the same; the one told of the duplicate may be answered first.
                    first = receipt["duplicate"] or known[1]["duplicate"]
                    demand(same and first, "another receipt for", request, known[1], receipt)
                    known[1]["duplicate"] &= receipt["duplicate"]
                    self.duplicates += 1
                else:
                    self.acknowledged[request] = (event, receipt)
                    self.unanswered.pop(request, None)

    def refused(self, batch: list[dict]):
        """Notes that the daemon said it did not record the events: it must not have."""
        with self._guard:
            for event in batch:
                self.unanswered.pop(event["request"], None)

    def saw(self, note: str):
        with self._guard:
            self.notes.add(note)

    def pick_acknowledged(self, chance: random.Random) -> dict | None:
        with self._guard:
            if not self.acknowledged:
                return None
            # The newest are the likeliest to be lost.
            keys = list(self.acknowledged)
            return self.acknowledged[keys[-1 - min(int(chance.expovariate(0.05)), len(keys) - 1)]][0]

    def pick_unanswered(self, chance: random.Random) -> dict | None:
        with self._guard:
            return self.unanswered[chance.choice(list(self.unanswered))] if self.unanswered else None


class Follower:
    """Reads a ledger to its end, again and again, and holds it against a record."""

    def __init__(self, record: Record):
        self.record = record
        self.tree = Tree()
        self.leaves: list[bytes] = []
        self.entries: list[dict] = []
        self.requests: dict[tuple[str, str], int] = {}
        self._checked_receipts = self._checked_entries = 0
        self._checked_notes: set[str] = set()

    def follow(self, path):
        """Takes in what is new behind a socket. What was read before must not change; `reread` looks at that too."""
        with Wire(path, timeout=60) as wire:
            self.record.saw(wire.call("GetCheckpoint")["checkpoint"])
            for page in wire.stream("ListEntries", {"from": self.tree.size, "limit": 1000}):
                for entry in page["entries"]:
                    self.take(entry["index"], entry["entry"].encode(), entry["leaf"])
        return self

    def take(self, index: int, text: bytes, leaf: str | None = None):
        """Takes in one entry, which must be the next."""
        entry = json.loads(text)
        digest = leaf_hash(text)
        demand(index == self.tree.size == entry["index"], "entry", index, "where", self.tree.size, "is next")
        if leaf is not None:
            demand(base64.b64decode(leaf) == digest, "entry", index, "does not hash to the leaf it came with")
        before = self.leaves[-1] if self.leaves else bytes(32)
        demand(base64.b64decode(entry["prev"]) == before, "entry", index, "does not follow the one before it")
        key = (entry["submitter"], entry["request"])
        demand(key not in self.requests, "request", key, "made entry", self.requests.get(key), "and", index)
        self.requests[key] = index
        self.tree.append(digest)
        self.leaves.append(digest)
        self.entries.append(entry)

    def check(self, submitter: str = "tests"):
        """Every acknowledged event is there once, as acknowledged; all checkpoints ever seen are of one history; and
        nothing is there that nobody sent."""
        record = self.record
        # Entries don't change once they are taken in, so what was found right stays right.
        fresh = itertools.islice(list(record.acknowledged.items()), self._checked_receipts, None)
        for request, (event, receipt) in fresh:
            self._checked_receipts += 1
            index = self.requests.get((submitter, request))
            demand(index is not None, "acknowledged and lost:", request, receipt)
            demand(index == receipt["index"], "acknowledged as", receipt["index"], "and found as", index)
            demand(base64.b64decode(receipt["leaf"]) == self.leaves[index], "acknowledged with another leaf:", receipt)
            entry = self.entries[index]
            demand(entry["time"] == receipt["time"], "acknowledged with another time:", receipt)
            for member in ("type", "actor"):
                demand(entry[member] == event[member], "recorded with another", member, index)
            demand(entry["body"] == event.get("body", {}), "recorded with another body:", index)
            demand([stream for stream, _ in entry["streams"]] == sorted(event["streams"]), "other streams:", index)
        for entry in self.entries[self._checked_entries :]:
            self._checked_entries += 1
            if entry["submitter"] == submitter:
                known = entry["request"] in record.acknowledged or entry["request"] in record.unanswered
                demand(known, "entry", entry["index"], "was refused, or never sent:", entry["request"])
        for note in list(record.notes - self._checked_notes):
            try:
                signed = verify_note(note, record.vkey)
            except Refused as error:
                raise Broken(f"a checkpoint that does not hold, {error}: {note!r}") from None
            size = signed.size
            demand(size <= self.tree.size, "a checkpoint of", size, "entries was signed; there are", self.tree.size)
            demand(signed.root == self.tree.roots[size], "two histories: the checkpoint of", size, "has another root")
            self._checked_notes.add(note)
        return self

    def reread(self, path):
        """Reads everything again: nothing that was seen may have changed."""
        fresh = Follower(self.record).follow(path)
        demand(fresh.leaves[: len(self.leaves)] == self.leaves, "entries that were read before have changed")
        return fresh


def all_promises_kept(ledger: Ledger, record: Record) -> Follower:
    """Reads the whole running ledger and checks it against the record."""
    return Follower(record).follow(ledger.socket).check()


def audit(ledger: Ledger, **options) -> dict:
    """Audits; the ledger must be clean."""
    report = ledger.audit(**options)
    demand(report["clean"] and not report["findings"], "the audit found", report["findings"])
    return report


# Load


class Client(threading.Thread):
    """Sends events until told to stop or the connection ends: singles, batches, and duplicates of both kinds."""

    def __init__(self, path, record: Record, seed: int, largest: int = 24, pause: float = 0):
        super().__init__(daemon=True)
        self.path = path
        self.record = record
        self.chance = random.Random(seed)
        self.largest = largest
        self.pause = pause
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.calls = 0

    def run(self):
        try:
            with Wire(self.path) as wire:
                while not self.ended.is_set():
                    self.append(wire)
                    self.calls += 1
                    if self.pause:
                        self.ended.wait(self.pause)
        except (Broken, CallError) as error:
            self.failure = error
        except (OSError, AssertionError):
            pass  # The daemon is gone, perhaps within an answer.

    def append(self, wire: Wire):
        batch = self.batch()
        self.record.sent(batch)
        self.record.answered(batch, wire.call("Append", {"events": batch, "proofs": self.chance.random() < 0.1}))

    def batch(self) -> list[dict]:
        chance = self.chance
        count = 1 if chance.random() < 0.6 else chance.randint(2, self.largest)
        batch = [any_event(chance) for _ in range(count)]
        for pick, share in ((self.record.pick_acknowledged, 0.15), (self.record.pick_unanswered, 0.5)):
            if chance.random() < share and (again := pick(chance)):
                batch.insert(chance.randint(0, len(batch)), again)
        # Two of one key in one call would be one duplicate of the other, which no record is needed for.
        return list({event["request"]: event for event in batch}.values())

    def stop(self):
        """Waits for the end; raises what the client found wrong."""
        self.ended.set()
        self.join(60)
        demand(not self.is_alive(), "a client was not answered")
        if self.failure:
            raise self.failure


def any_event(chance: random.Random) -> dict:
    match chance.randrange(5):
        case 0:
            return events.deposit(chance.randbytes(16))
        case 1:
            return events.registration()
        case 2:
            return events.access(reason="r" * chance.randint(1, 3000))
        case _:
            return events.closure()


def append(ledger: Ledger, record: Record, *batch: dict):
    """One call that is answered, and recorded."""
    record.sent(list(batch))
    reply = ledger.append(*batch)
    record.answered(list(batch), reply)
    return reply


def resend(ledger: Ledger, record: Record):
    """Sends everything unanswered again, as a submitter does after a lost connection."""
    pending = list(record.unanswered.values())
    with ledger.wire() as wire:
        for start in range(0, len(pending), 500):
            batch = pending[start : start + 500]
            record.answered(batch, wire.call("Append", {"events": batch}))
    demand(not record.unanswered, "every retry is answered")


# Ledgers that lie ready, and processes


def copy_ledger(source: Ledger, root: Path, **settings) -> Ledger:
    """A copy of a ledger that does not run, at another path; it passes for the original."""
    target = Ledger(root, source.bin, origin=source.origin, **(source.settings | settings))
    target.vkey = source.vkey
    for directory in (source.store, source.index, source.lock.parent):
        if directory.exists():
            copy_files(directory, target.root / directory.name)
    shutil.copy2(source.keyring, target.keyring)
    shutil.copytree(source.keys, target.keys, dirs_exist_ok=True)
    if source.objects.exists():
        shutil.copytree(source.objects, target.objects, dirs_exist_ok=True)
    settle(target.lock, target.store)
    return target


def copy_files(source: Path, target: Path):
    """Copies a directory of plain files; what is zero stays a hole."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-r", "--sparse=always", "--", str(source), str(target)], check=True)


def own_bytes(pid: int) -> int:
    """Resident memory that is the process's own. The pages of the store it maps are the page cache's, and grow with it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"process {pid} has no memory")


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def wait_for(condition, seconds: float, what: str):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in vain for {seconds} s: {what}"
        time.sleep(0.02)
    return value


def child_of(pid: int, name: str) -> int | None:
    """A descendant process by the name of its program."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        command = text[text.index("(") + 1 : text.rindex(")")]
        parent = int(text[text.rindex(")") + 2 :].split()[1])
        if command == name and parent == pid:
            return int(path.parent.name)
    return None
