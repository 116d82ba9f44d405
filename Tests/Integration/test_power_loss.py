"""The power fails: what was written and not synced is lost, kept, or partly and out of order on the disk.

One run under strace records every write and sync of the daemon with its data, and every answer it gave. That recording
is replayed into images of the files as a disk may hold them at a moment: what was synced is there, and of the rest
nothing, everything, or sectors picked at random. Each image must start, be clean, and hold what was answered before.
LMDB maps its files read-only, so writes are all there is; it writes meta pages through a descriptor that syncs itself.
"""

import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

import events
from faults import SEED, Broken, Client, Record, all_promises_kept, append, audit, copy_ledger, demand, sample
from ledger import Ledger, StartFailed, require
from lockfile import places, settle, slots, text
from traced import FILE_CALLS, SYNCS, Call, read_trace, start_traced, stop_traced, unescape

MODES = ("dropped", "kept", "sectors", "pages")
# Images of the short form, of each recording.
SHORT = 28
ANSWERS = ("write", "writev", "sendmsg", "sendto")


@dataclass
class Write:
    path: Path
    offset: int
    data: bytes
    syncs: bool
    began: int
    ended: int


@dataclass
class Extension:
    """A file that got longer, with zeros and without a write."""

    path: Path
    size: int
    began: int
    ended: int


@dataclass
class Renaming:
    """A file that takes the place of another one. Until the directory is synced either may be there."""

    source: Path
    target: Path
    began: int
    ended: int


@dataclass
class Sync:
    path: Path
    began: int
    ended: int


@dataclass
class Answer:
    indexes: list[int]
    note: str
    began: int


class Recording:
    """What a traced run did to the files below a directory, and what it answered."""

    def __init__(self, base: Ledger, trace: Path, root: Path, record: Record, before: set[int]):
        self.base = base
        self.record = record
        self.before = before
        """Indexes of what was acknowledged before the run."""
        self.writes: list[Write] = []
        self.extensions: list[Extension] = []
        self.syncs: list[Sync] = []
        self.renamings: list[Renaming] = []
        self.answers: list[Answer] = []
        self.created: dict[Path, int] = {}
        """Files that were not there before, and where in the trace they came to be."""
        synced_descriptors: set[tuple[int, Path]] = set()
        positions: dict[tuple[int, Path], int] = {}
        linked: dict[Path, Renaming] = {}
        """Files that got a name by a link, until that is renamed in its turn."""
        for call in read_trace(trace):
            path = Path(call.path) if call.path else None
            inside = path is not None and path.is_relative_to(root)
            relative = path.relative_to(root) if inside else None
            if call.name in ANSWERS and not inside:
                self._take_answer(call)
            elif not inside or path.name in ("lock.mdb", "daemon.log", "s"):
                continue
            elif call.name in ("open", "openat"):
                if call.result is not None and call.result >= 0:
                    if "O_DSYNC" in call.arguments or "O_SYNC" in call.arguments:
                        synced_descriptors.add((call.result, relative))
                    else:
                        synced_descriptors.discard((call.result, relative))
                    if "O_CREAT" in call.arguments and not (base.root / relative).exists():
                        self.created.setdefault(relative, call.began)
            elif call.name == "lseek":
                positions[int(call.arguments.partition("<")[0]), relative] = call.result
            elif call.name in ("pwrite64", "pwritev", "write", "writev"):
                descriptor = int(call.arguments.partition("<")[0])
                data = written(call)
                if call.name.startswith("p"):
                    offset = int(call.arguments.rpartition(", ")[2])
                else:
                    # Only after a seek of its own: the replay knows no other position.
                    offset = positions.pop((descriptor, relative))
                if call.result is not None:
                    demand(call.result == len(data), "a write was cut short, or the trace is:", call.name, call.result)
                syncs = (descriptor, relative) in synced_descriptors
                self.writes.append(Write(relative, offset, data, syncs, call.began, call.ended))
                if syncs:
                    self.syncs.append(Sync(relative, call.began, call.ended))
            elif call.name == "fallocate":
                mode, offset, count = (int(text) for text in call.arguments.split(", ")[1:])
                demand(mode == 0, "an unexpected mode of fallocate:", mode)
                if call.result == 0:
                    self.extensions.append(Extension(relative, offset + count, call.began, call.ended))
            elif call.name in ("fsync", "fdatasync"):
                self.syncs.append(Sync(relative, call.began, call.ended))
            elif call.name == "rename":
                source, target = (Path(text).relative_to(root) for text in named(call))
                demand(call.result == 0 and target.with_name(target.name + ".new") == source, "unexpected:", call)
                # A passing name leaves nothing to look at: what counts is the file, and the name it has in the end.
                source = linked.pop(source).source if source in linked else source
                self.renamings.append(Renaming(source, target, call.began, call.ended))
            elif call.name == "renameat2" and call.result != 0:
                pass  # of a file system that can't rename so; a link follows
            elif call.name in ("link", "renameat2"):
                source, target = (Path(text).relative_to(root) for text in named(call))
                demand(call.result == 0, "unexpected:", call)
                linked[target] = Renaming(source, target, call.began, call.ended)
            elif call.name == "unlink" and (call.result != 0 or relative in {link.source for link in linked.values()}):
                pass  # of a draft that isn't there, or that has its name by now
            elif call.name not in ("mkdir", "mkdirat"):
                # What the replay does not know it must not pass over.
                raise Broken(f"an unexpected {call.name} of {relative}")
        self.renamings += linked.values()

    def _take_answer(self, call: Call):
        data = b"".join(unescape(text) for text in re.findall(r'"([^"]*)"', call.arguments))
        for message in data.split(b"\0"):
            if b'"receipts"' in message:
                reply = json.loads(message)["parameters"]
                indexes = [receipt["index"] for receipt in reply["receipts"]]
                self.answers.append(Answer(indexes, reply["checkpoint"], call.began))

    def moments(self) -> list[int]:
        """Lines of the trace after which the power may fail: before and after each sync, and after each answer."""
        lines = {line for sync in self.syncs for line in (sync.ended - 1, sync.ended)}
        return sorted(lines | {answer.began for answer in self.answers})

    def promised(self, moment: int) -> Record:
        """What the clients may rely on at a moment."""
        record = self.record.copy()
        answered = [answer for answer in self.answers if answer.began <= moment]
        indexes = {index for answer in answered for index in answer.indexes} | self.before
        for request, (event, receipt) in list(record.acknowledged.items()):
            if receipt["index"] not in indexes:
                del record.acknowledged[request]
                record.unanswered[request] = event
        record.notes = {answer.note for answer in answered}
        return record

    def image(self, root: Path, moment: int, mode: str, chance: random.Random, deaf: tuple[str, ...] = ()) -> Ledger:
        """The files after the power failed. Syncs of files named in `deaf` are taken to have done nothing."""
        ledger = copy_ledger(self.base, root)
        for renaming in self.renamings:
            self._rename(root, renaming, moment, mode, chance)
        renamed = {renaming.source for renaming in self.renamings}
        for path in ({write.path for write in self.writes} | set(self.created)) - renamed:
            # What was written before another file took the name is in none that is there now.
            since = max((renaming.ended for renaming in self.renamings
                         if renaming.target == path and renaming.ended <= moment), default=-1)
            begun = [write for write in self.writes if write.path == path and since < write.began <= moment]
            durable_until = max((sync.began for sync in self.syncs if sync.path == path and sync.ended <= moment),
                                default=-1)
            durable = [write for write in begun if path.name not in deaf
                       and (write.ended <= durable_until or write.syncs and write.ended <= moment)]
            pending = [write for write in begun if write not in durable]
            pieces = [(write.offset, write.data) for write in durable] + survivors(pending, mode, chance)
            # A file may be longer before anything was written there, as soon as it was told to, and must be once it was
            # synced.
            sizes = [extension.size for extension in self.extensions
                     if extension.path == path and extension.began <= moment
                     and (extension.ended <= durable_until and path.name not in deaf
                          or mode == "kept" or mode != "dropped" and chance.random() < 0.5)]
            if path in self.created and (self.created[path] > moment or not pieces and mode != "kept"):
                continue
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(root / path, os.O_WRONLY | os.O_CREAT, 0o600)
            for offset, data in pieces:
                os.pwrite(descriptor, data, offset)
            if max(sizes, default=0) > os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, max(sizes))
            os.close(descriptor)
        settle(ledger.lock, ledger.store)
        return ledger

    def _rename(self, root: Path, renaming: Renaming, moment: int, mode: str, chance: random.Random):
        """Puts the renamed file in place, unless the power failed before that, or before its name was safe. What was
        written to either name since the one before is all that is in the file."""
        if renaming.began > moment:
            return
        safe = any(sync.path == renaming.target.parent and renaming.ended < sync.began and sync.ended <= moment
                   for sync in self.syncs)
        later = any(write.path == renaming.target and renaming.ended < write.began <= moment for write in self.writes)
        demand(safe or not later, "a renamed file was written to before its name was safe")
        if not safe and (mode == "dropped" or mode != "kept" and chance.random() < 0.5):
            return
        begun = max((other.ended for other in self.renamings if other.ended < renaming.began), default=-1)
        writes = [write for write in self.writes if write.path == renaming.source and begun < write.began]
        writes = [write for write in writes if write.ended < renaming.began]
        synced = [sync for sync in self.syncs if sync.path == renaming.source and begun < sync.began]
        demand(any(max(write.ended for write in writes) < sync.began and sync.ended < renaming.began
                   for sync in synced), "a file was renamed before it was synced")
        (root / renaming.target).unlink(missing_ok=True)
        (root / renaming.target).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / renaming.target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        for write in writes:
            os.pwrite(descriptor, write.data, write.offset)
        os.close(descriptor)


def written(call: Call) -> bytes:
    texts = re.findall(r'"([^"]*)"(\.\.\.)?', call.arguments)
    demand(not any(cut for _, cut in texts), "the trace does not hold all data of", call.name)
    return b"".join(unescape(text) for text, _ in texts)


def survivors(pending: list[Write], mode: str, chance: random.Random) -> list[tuple[int, bytes]]:
    """What the disk got of writes that were not synced."""
    if mode == "dropped":
        return []
    if mode == "kept":
        return [(write.offset, write.data) for write in pending]
    unit = {"sectors": 512, "pages": 4096}[mode]
    pieces = []
    for write in pending:
        start = write.offset
        end = write.offset + len(write.data)
        while start < end:
            stop = min((start // unit + 1) * unit, end)
            if chance.random() < 0.5:
                pieces.append((start, write.data[start - write.offset : stop - write.offset]))
            start = stop
    chance.shuffle(pieces)
    return pieces


def record_run(base: Ledger, record: Record, root: Path, clients: int) -> Recording:
    """Runs a load on a copy of a ledger, from its start to its end, under strace."""
    running = copy_ledger(base, root / "r")
    before = {receipt["index"] for _, receipt in record.acknowledged.values()}
    trace = root / "trace"
    pid = start_traced(running, trace, "-y", "-xx", "-s", str(1 << 21), "-e",
                       f"trace={','.join(FILE_CALLS + ('lseek', 'sendmsg', 'sendto'))}")
    try:
        for _ in range(2):
            threads = [Client(running.socket, record, SEED + each, largest=8, pause=0.03) for each in range(clients)]
            for thread in threads:
                thread.start()
            time.sleep(0.25)
            for thread in threads:
                thread.stop()
            # Long enough for the look-up index to be stored.
            time.sleep(1.3)
        append(running, record, *[events.access(reason="b" * 4000) for _ in range(60)])
        assert stop_traced(running, pid) == 0, running.log_text()
    finally:
        running.close()
    recording = Recording(base, trace, running.root, record, before)
    trace.unlink()
    # The recording means nothing where it misses answers, or any of the three files.
    answered = {index for answer in recording.answers for index in answer.indexes}
    missing = {receipt["index"] for _, receipt in record.acknowledged.values()} - answered - before
    demand(not missing, "answers the trace does not have:", sorted(missing))
    kinds = Counter(str(sync.path) for sync in recording.syncs)
    demand(min(kinds[name] for name in ("store/data.mdb", "lock/checkpoint.lock")) >= 2, kinds)
    demand(any(write.syncs for write in recording.writes), "meta pages are written through a syncing descriptor")
    return recording


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, bin):
    root = tmp_path_factory.mktemp("rec")
    fresh = Ledger(root / "fresh", bin).init()
    used = Ledger(root / "used", bin).init().start()
    record = Record(used.vkey)
    append(used, record, events.closure(), events.deposit(b"d"))
    used.kill()
    for name in ("1", "2"):
        (root / name).mkdir()
    return {"fresh": record_run(fresh, Record(fresh.vkey), root / "1", 1),
            "used": record_run(used, record, root / "2", 3)}


def holds(recording: Recording, ledger: Ledger, moment: int):
    """Raises unless an image starts, holds what was promised, is clean and ends well."""
    try:
        ledger.start()
        all_promises_kept(ledger, recording.promised(moment))
        ledger.append(events.closure())
        assert ledger.stop() == 0, ledger.log_text()
        audit(ledger)
    finally:
        ledger.close()


@pytest.mark.parametrize("which", ["fresh", "used"])
def test_every_image_holds(recordings, tmp_path, which):
    recording = recordings[which]
    demand(which == "used" or any(sync.path.match("index/*") for sync in recording.syncs), "no index was made")
    cases = [(moment, mode) for moment in recording.moments() for mode in MODES]
    # The first are where files come to be, of which there are few among all.
    images_hold(recording, tmp_path, which, cases, list(dict.fromkeys(cases[:8] + sample(cases, SHORT - 8))))


def test_every_image_of_a_block_of_the_index_holds(nearly_a_block, tmp_path):
    base, record = nearly_a_block
    recording = record_run(base, record.copy(), tmp_path, 1)
    syncs = [sync for sync in recording.syncs if sync.path.match("index/*")]
    demand(len(syncs) >= 2, "the look-up index stored no block:", syncs)
    cases = [(line, mode) for sync in syncs for line in (sync.ended - 1, sync.ended) for mode in MODES]
    images_hold(recording, tmp_path, "block", cases, sample(cases, 6))


def images_hold(recording: Recording, tmp_path: Path, which: str, cases: list, chosen: list):
    print(f"seed {SEED}")
    failures = []
    for number, (moment, mode) in enumerate(chosen):
        ledger = recording.image(tmp_path / str(number), moment, mode, random.Random(SEED + number))
        try:
            holds(recording, ledger, moment)
        except AssertionError as error:
            error.add_note(f"image {number}: cut after line {moment} of {recording.moments()[-1]}, unsynced {mode}")
            failures.append(error)
        else:
            subprocess.run(["rm", "-r", str(ledger.root)], check=True)
    print(f"{which}: {len(chosen)} of {len(cases)} images, {len(recording.writes)} writes, "
          f"{len(recording.syncs)} syncs, {len(recording.answers)} answers")
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup(f"{len(failures)} images", failures)


# The check itself.


def test_a_store_whose_syncs_do_nothing_is_noticed(recordings, tmp_path):
    """The same replay, but as if the store were never synced: acknowledged events are lost, and that must show."""
    recording = recordings["used"]
    moment = recording.answers[-1].began
    ledger = recording.image(tmp_path / "deaf", moment, "dropped", random.Random(1), deaf=("data.mdb",))
    with pytest.raises(StartFailed) as failed:
        holds(recording, ledger, moment)
    assert failed.value.status == 65
    ledger = recording.image(tmp_path / "lock", moment, "dropped", random.Random(1),
                             deaf=("data.mdb", "checkpoint.lock"))
    with pytest.raises(Broken, match="lost"):
        holds(recording, ledger, moment)


def test_replay_of_everything_is_what_the_run_left(recordings, tmp_path):
    recording = recordings["used"]
    moment = recording.moments()[-1]
    ledger = recording.image(tmp_path / "all", moment, "kept", random.Random(1))
    left = recording.base.root.parent / "2" / "r"
    for path in ("store/data.mdb", "index/data.mdb"):
        assert (ledger.root / path).read_bytes() == (left / path).read_bytes(), path
    # The image is a copy that was made to pass for the original; all else is the same.
    settle(left / "lock/checkpoint.lock", left / "store")
    made, found = (slots(root / "lock/checkpoint.lock") for root in (ledger.root, left))
    assert [sans_places(slot) for slot in made] == [sans_places(slot) for slot in found]


def sans_places(slot: bytes) -> bytes:
    record = text(slot)
    for place in places(record).values():
        record = record.replace(place[0] + b" - -", b"")
    return record


def test_survivors_are_of_the_writes():
    write = Write(Path("f"), 1000, bytes(range(256)) * 8, False, 0, 1)
    assert survivors([write], "dropped", random.Random(1)) == []
    assert survivors([write], "kept", random.Random(1)) == [(1000, write.data)]
    pieces = survivors([write], "sectors", random.Random(1))
    assert pieces and all(write.data[at - 1000 : at - 1000 + len(data)] == data for at, data in pieces)
    assert sum(len(data) for _, data in pieces) < len(write.data)
    assert all((at + len(data)) % 512 == 0 or at + len(data) == 1000 + 2048 for at, data in pieces)


# Names: a file is not safe before the directory that holds its name is.


def named(call: Call) -> list[str]:
    return [unescape(text).decode() for text in re.findall(r'"([^"]*)"', call.arguments)]


def unsynced_names(trace: Path, root: Path, before=frozenset()) -> list[str]:
    """What was made or renamed below a directory without a later sync of the directory that names it."""
    calls = [call for call in read_trace(trace) if call.result is not None and call.result >= 0]
    found = []
    for number, call in enumerate(calls):
        if call.name in ("open", "openat", "creat") and ("O_CREAT" in call.arguments or call.name == "creat") or \
                call.name in ("mkdir", "mkdirat", "rename", "renameat", "renameat2"):
            path = Path(named(call)[-1])
            if not path.is_relative_to(root) or path == root or path.name == "lock.mdb" or path in before:
                continue
            later = calls[number + 1 :]
            synced = any(after.name == "fsync" and after.path == str(path.parent) for after in later)
            # What is renamed or removed afterwards need not be safe under its first name.
            gone = any(after.name.startswith(("rename", "unlink", "rmdir")) and named(after)[0] == str(path)
                       for after in later)
            if not synced and not gone:
                found.append(f"{call.name} {path.relative_to(root)}")
    return found


def run_traced_command(ledger: Ledger, trace: Path, *arguments):
    subprocess.run(
        [require("strace"), "-f", "-o", str(trace), "-y", "-xx", "-s", "4096", "-e", f"trace={','.join(FILE_CALLS)}",
         str(ledger.bin / "evidence"), *map(str, arguments)],
        check=True, env=ledger.environment, cwd=ledger.root, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def test_a_new_ledger_is_durable_when_init_returns(make_ledger, tmp_path):
    ledger = make_ledger()
    run_traced_command(ledger, tmp_path / "trace", "init", "--config", ledger.config, "--origin", ledger.origin)
    calls = read_trace(tmp_path / "trace")
    assert any(call.path == str(ledger.lock.parent) and call.name == "fsync" for call in calls)
    assert not unsynced_names(tmp_path / "trace", ledger.root)


def test_a_recovery_is_durable_when_it_returns(ledger, tmp_path):
    ledger.append(events.closure())
    assert ledger.stop() == 0
    before = set(ledger.root.rglob("*")) - {ledger.lock, ledger.keyring}
    run_traced_command(ledger, tmp_path / "trace", "recover", "--config", ledger.config, "--reason", "backup-restored")
    assert any(call.name.startswith("rename") for call in read_trace(tmp_path / "trace"))
    assert not unsynced_names(tmp_path / "trace", ledger.root, before)


def test_a_backup_is_durable_when_it_is_answered(make_ledger, tmp_path):
    ledger = make_ledger().init()
    pid = start_traced(ledger, tmp_path / "trace", "-y", "-xx", "-s", "4096", "-e", f"trace={','.join(FILE_CALLS)}")
    ledger.call("Backup", {"directory": str(ledger.backups / "b")})
    os.kill(pid, signal.SIGKILL)
    ledger.wait()
    trace = tmp_path / "trace"
    calls = [call for call in read_trace(trace) if call.name in SYNCS]
    assert any(call.path == str(ledger.backups) for call in calls), [call.path for call in calls]
    assert not unsynced_names(trace, ledger.backups)


def test_names_check_sees_a_missing_sync(tmp_path):
    def hexed(text):
        return "".join(f"\\x{byte:02x}" for byte in str(text).encode())

    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").touch()
    made = f'7 openat(AT_FDCWD, "{hexed(tmp_path / "d" / "f")}", O_RDWR|O_CREAT, 0600) = 5<{hexed(tmp_path)}>\n'
    (tmp_path / "trace").write_text(made)
    assert unsynced_names(tmp_path / "trace", tmp_path) == ["openat d/f"]
    (tmp_path / "trace").write_text(made + f"7 fsync(6<{hexed(tmp_path / 'd')}>) = 0\n")
    assert unsynced_names(tmp_path / "trace", tmp_path) == []
