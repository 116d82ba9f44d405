"""Keys through faults: while slots are made, while keys are destroyed, and while a first key tree is made, every call that
changes a file of theirs fails, or is the last the daemon does, or the power fails.

Afterwards the ledger starts. What was acknowledged as erased is erased, what is recorded as erased too; no other key is
lost, and none that was destroyed is back. What keys there are is read from the files by `keytree`, not asked of the daemon.
"""

import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import events
from faults import EXIT_REFUSED, EXIT_SYSTEM, EXIT_WRITE_FAILED, SEED, Broken, Record, all_promises_kept, append, audit
from faults import copy_ledger, demand, sample
from keytree import SLOT, Tree
from ledger import Ledger, StartFailed
from store import content, database, stream_key
from test_creation import FAULTS, command, works
from test_errors import refusal
from test_fault_syscalls import KILLED, demand_no_retry
from test_power_loss import MODES, Recording, Write, survivors, written
from test_sealed import keyring
from traced import FILE_CALLS, SYNCS, read_trace, start_traced, stop_traced
from wire import CallError, Wire

ERASE = "org.evidenced.Privacy.Erase"
# Cases of the short form, of each ledger and fault.
SHORT = 7
FILES = ("keys/data.mdb", "keys/root.key", "store/data.mdb", "lock/checkpoint.lock")
WRITTEN = ("data.mdb", "root.key")


class Keyed:
    """A ledger that does not run, with people registered in it, and what was promised of them."""

    def __init__(self, ledger: Ledger, people: int):
        self.ledger = ledger
        self.record = Record(ledger.vkey)
        self.scopes: list[str] = []
        if people:
            ledger.start()
            made = [events.registration() for _ in range(people)]
            append(ledger, self.record, *made)
            assert ledger.stop() == 0, ledger.log_text()
            self.scopes = [event["streams"][0] for event in made]
        self.slots = slots(ledger)


@pytest.fixture(scope="module")
def templates(tmp_path_factory, bin):
    """One whose slots have yet to be made, and one that has them."""
    root = tmp_path_factory.mktemp("keyed")
    return {"fresh": Keyed(Ledger(root / "fresh", bin).init(), 0), "used": Keyed(Ledger(root / "used", bin).init(), 6)}


def slots(ledger: Ledger) -> dict[str, int]:
    """The slots of the scopes that are not erased."""
    with database(ledger.store, "scopes") as rows:
        found = {}
        for key, value in rows.cursor():
            if key != bytes(17) and len(content(value)) == 16:
                found[key] = int.from_bytes(value[:8])
    return found


def work(ledger: Ledger, record: Record, scopes: list[str]) -> list[str]:
    """Registers people and has some erased, old ones and new ones. Gives what became of each call."""
    new = [events.registration() for _ in range(3)]
    streams = [event["streams"][0] for event in new]
    calls = [
        ("Append", new[:2]), (ERASE, [events.erasure([*scopes[:1], streams[0]])]), ("Append", new[2:]),
        (ERASE, [events.erasure(scopes[1:2]), events.erasure([streams[1], *scopes[2:4]])]),
    ]
    if not scopes:
        calls[-1] = (ERASE, [events.erasure([streams[1]])])
    outcomes = []
    try:
        with Wire(ledger.socket) as wire:
            for method, batch in calls:
                record.sent(batch)
                try:
                    record.answered(batch, wire.call(method, {"events": batch}))
                    outcomes.append("recorded")
                except CallError as error:
                    demand(error.name == "StoreFull", "a fault of the disk was answered with", error)
                    if method == "Append":
                        record.refused(batch)
                    outcomes.append(error.name)
    except Broken:
        raise
    except (OSError, AssertionError):
        outcomes.append("gone")
    return outcomes


def keys_hold(ledger: Ledger, record: Record, before: dict[bytes, int]):
    """Raises unless a ledger starts, every promise is kept, and the keys there are, are those of the living."""
    try:
        ledger.start()
        follower = all_promises_kept(ledger, record)
        erased = {}
        for entry in follower.entries:
            if entry["type"] == "erasure.executed":
                for scope in entry["body"]["scopes"]:
                    erased.setdefault(scope, entry["index"])
        people = {entry["streams"][0][0]: entry["index"] for entry in follower.entries
                  if entry["type"] == "account.registered"}
        for scope, index in people.items():
            if scope in erased:
                said = refusal(ledger, "Open", {"index": index}, "ErasedClaims")
                demand(said == {"index": index, "erasure": erased[scope]}, "another erasure:", said, erased[scope])
            else:
                [opening] = ledger.call("Open", {"index": index})["openings"]
                demand(opening["value"] == "13800000001", "another claim:", opening)
        # What is left goes on.
        ledger.append(events.registration())
        assert ledger.stop() == 0, ledger.log_text()
        audit(ledger)
    finally:
        ledger.close()
    tree = Tree(ledger.keys, keyring(ledger.keyring)["keys-master"])
    now = slots(ledger)
    demand(len(set(now.values())) == len(now), "two scopes have one slot:", now)
    for scope, slot in now.items():
        demand(tree.key(slot) is not None, "a living key is lost:", scope.hex(), slot)
    gone = {stream_key(scope) for scope in people if scope in erased}
    demand(gone.isdisjoint(now), "an erased scope has a key")
    for scope in gone & set(before):
        demand(tree.key(before[scope]) is None, "an erased key is back:", scope.hex(), before[scope])
    destroyed = sum((int.from_bytes(row[:8]) ^ int.from_bytes(row[8:16])).bit_count()
                    for place, row in tree.rows.items() if place[0] == 5)
    demand(destroyed == len(gone), destroyed, "keys are destroyed, and", len(gone), "scopes are erased")
    root = (ledger.keys / "root.key").read_bytes()
    demand(sum(any(root[start : start + SLOT]) for start in (0, SLOT)) == 1, "another root key is left")


# Faults of calls


def traced(ledger: Ledger, record: Record, scopes: list[str], trace: Path, *options) -> tuple[int, list[str]]:
    try:
        pid = start_traced(ledger, trace, "-y", "-e", f"trace={','.join(FILE_CALLS)}", *options)
    except StartFailed as failed:
        return failed.status, ["not started"]
    outcomes = work(ledger, record, scopes)
    return stop_traced(ledger, pid), outcomes


def list_cases(keyed: Keyed, root: Path) -> list[tuple[str, str, int]]:
    """File, call, and how manieth of a thread."""
    ledger = copy_ledger(keyed.ledger, root / "list")
    paths = [option for name in FILES for option in ("-P", str(ledger.root / name))]
    status, outcomes = traced(ledger, keyed.record.copy(), keyed.scopes, root / "trace", *paths)
    assert status == 0 and set(outcomes) == {"recorded"}, (outcomes, ledger.log_text())
    counts = Counter()
    for call in read_trace(root / "trace"):
        if call.name not in ("open", "openat"):
            counts[str(Path(call.path).relative_to(ledger.root)), call.name, call.thread] += 1
    most = Counter()
    for (path, name, _), count in counts.items():
        most[path, name] = max(most[path, name], count)
    return [(path, name, number) for (path, name), count in most.items() for number in range(1, count + 1)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("which", ["fresh", "used"])
def test_fault_in_every_call_while_keys_are_made_and_destroyed(templates, tmp_path, which, fault):
    keyed = templates[which]
    cases = list_cases(keyed, tmp_path)
    assert {("keys/data.mdb", "pwrite64"), ("keys/data.mdb", "fdatasync"), ("keys/root.key", "pwrite64"),
            ("keys/root.key", "fdatasync")} <= {case[:2] for case in cases}
    # Of what is not of the keys, other tests have every call.
    own = [case for case in cases if case[0].startswith("keys/")]
    other = [case for case in cases if not case[0].startswith("keys/")]
    chosen = sample(own, SHORT) + sample(other, 2)
    fired, failures, ends = 0, [], Counter()
    for number, case in enumerate(chosen):
        try:
            end = run_case(keyed, tmp_path / str(number), fault, case)
        except AssertionError as error:
            failures.append(error)
            continue
        fired += end is not None
        ends[end] += 1
    print(f"{fault}: {len(chosen)} of {len(cases)} calls, {dict(ends)}")
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup(f"{len(failures)} faults", failures)
    # How many commits there are differs a little from run to run.
    assert fired >= 0.7 * len(chosen), f"only {fired} of {len(chosen)} faults happened"


def run_case(keyed: Keyed, root: Path, fault: str, case: tuple[str, str, int]) -> str | None:
    path, name, number = case
    ledger = copy_ledger(keyed.ledger, root)
    record = keyed.record.copy()
    inject = f"inject={name}:{FAULTS[fault]}:when={number}"
    status, outcomes = traced(ledger, record, keyed.scopes, root / "trace", "-P", str(ledger.root / path), "-e", inject)
    try:
        calls = read_trace(root / "trace")
        happened = status == KILLED if fault == "kill" else any(call.injected for call in calls)
        if fault != "kill":
            demand_no_retry(calls)
            demand(status != 0 or "gone" not in outcomes, "the daemon ended well, but closed the connection")
            allowed = (EXIT_REFUSED, EXIT_SYSTEM, EXIT_WRITE_FAILED) if outcomes == ["not started"] else (
                0, EXIT_WRITE_FAILED)
            demand(status in allowed, "ended with", status)
        keys_hold(ledger, record, keyed.slots)
    except BaseException as error:
        error.add_note(f"fault {fault} in {name} number {number} on {path}: {outcomes}, exit status {status}\n"
                       + ledger.log_text()[-2000:])
        raise
    finally:
        ledger.close()
    return f"{'/'.join(dict.fromkeys(outcomes))} {status}" if happened else None


# Power


@pytest.mark.parametrize("which", ["fresh", "used"])
def test_every_image_of_keys_holds(templates, tmp_path, which):
    keyed = templates[which]
    (tmp_path / "run").mkdir()
    running = copy_ledger(keyed.ledger, tmp_path / "run" / "r")
    record = keyed.record.copy()
    before = {receipt["index"] for _, receipt in record.acknowledged.values()}
    pid = start_traced(running, tmp_path / "trace", "-y", "-xx", "-s", str(1 << 21), "-e",
                       f"trace={','.join(FILE_CALLS + ('lseek', 'sendmsg', 'sendto'))}")
    try:
        assert set(work(running, record, keyed.scopes)) == {"recorded"}, running.log_text()
        assert stop_traced(running, pid) == 0, running.log_text()
    finally:
        running.close()
    recording = Recording(keyed.ledger, tmp_path / "trace", running.root, record, before)
    syncs = [sync for sync in recording.syncs if sync.path.match("keys/*")]
    # Of each of two erasures: the new root key, pages and head of the commit, zeros over the old root key.
    demand(len(syncs) >= 8, "the keys were synced", len(syncs), "times")
    moments = {line for sync in syncs for line in (sync.ended - 1, sync.ended)}
    moments |= {answer.began for answer in recording.answers}
    cases = [(moment, mode) for moment in sorted(moments) for mode in MODES]
    failures = []
    chosen = sample(cases, 14)
    for number, (moment, mode) in enumerate(chosen):
        ledger = recording.image(tmp_path / str(number), moment, mode, random.Random(SEED + number))
        try:
            keys_hold(ledger, recording.promised(moment), keyed.slots)
        except AssertionError as error:
            error.add_note(f"seed {SEED}, image {number}: cut after line {moment}, unsynced {mode}")
            failures.append(error)
    print(f"seed {SEED}, {which}: {len(chosen)} of {len(cases)} images")
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup(f"{len(failures)} images", failures)


def test_a_root_key_whose_syncs_do_nothing_is_noticed(templates, tmp_path):
    """The checks themselves: were `root.key` never synced, keys would be lost, and that must show."""
    keyed = templates["used"]
    (tmp_path / "run").mkdir()
    running = copy_ledger(keyed.ledger, tmp_path / "run" / "r")
    record = keyed.record.copy()
    pid = start_traced(running, tmp_path / "trace", "-y", "-xx", "-s", str(1 << 21), "-e",
                       f"trace={','.join(FILE_CALLS + ('lseek', 'sendmsg', 'sendto'))}")
    try:
        work(running, record, keyed.scopes)
        assert stop_traced(running, pid) == 0
    finally:
        running.close()
    recording = Recording(keyed.ledger, tmp_path / "trace", running.root, record, set())
    moment = recording.answers[-1].began
    ledger = recording.image(tmp_path / "deaf", moment, "dropped", random.Random(1), deaf=("root.key",))
    with pytest.raises(StartFailed, match="root.key of epoch"):
        keys_hold(ledger, recording.promised(moment), keyed.slots)


# The first key tree


def creation_trace(ledger: Ledger, trace: Path, *options) -> subprocess.CompletedProcess:
    wrapper = ["strace", "-f", "-o", trace, "-y", "-xx", "-s", str(1 << 20), "-e",
               f"trace={','.join(FILE_CALLS + ('lseek',))}", *options]
    return subprocess.run(command(ledger, *wrapper), env=ledger.environment, text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60)


def is_of_keys(ledger: Ledger, call) -> bool:
    return call.path is not None and Path(call.path).is_relative_to(ledger.keys)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_first_key_tree_that_is_cut_off_is_in_no_creations_way(make_ledger, tmp_path, fault):
    listed = make_ledger("listed")
    assert creation_trace(listed, tmp_path / "trace").returncode == 0
    count, cases = Counter(), []
    for call in read_trace(tmp_path / "trace"):
        count[call.name] += 1
        if is_of_keys(listed, call) and call.name != "lseek" and (
                call.name not in ("open", "openat") or "O_CREAT" in call.arguments):
            cases.append((call.name, count[call.name]))
    assert {"mkdir", "pwrite64", "fdatasync", "fsync"} <= {name for name, _ in cases}
    for name, number in sample(cases, 8):
        ledger = make_ledger()
        done = creation_trace(ledger, tmp_path / "trace", "-e", f"inject={name}:{FAULTS[fault]}:when={number}")
        try:
            demand(done.returncode != 0, "the creation did not end with the fault")
            demand(fault == "kill" or not ledger.store.exists() and not ledger.keys.exists(), "something was left behind")
            works(ledger.init())
        except BaseException as error:
            error.add_note(f"{fault} in {name} number {number}: {done.returncode} {done.stderr}")
            raise


def test_every_image_of_a_first_key_tree_is_in_no_creations_way(make_ledger, tmp_path):
    """The keys as a power cut may leave them: names may be there as soon as they were given, bytes are once synced."""
    listed = make_ledger("listed")
    assert creation_trace(listed, tmp_path / "trace").returncode == 0
    calls = [call for call in read_trace(tmp_path / "trace") if is_of_keys(listed, call)]
    writes: list[Write] = []
    syncs, made, syncing, positions = [], {}, set(), {}
    for call in calls:
        path = Path(call.path).relative_to(listed.root)
        if path.name not in WRITTEN:
            continue
        if call.name in ("open", "openat"):
            if "O_CREAT" in call.arguments:
                made.setdefault(path, call.ended)
            (syncing.add if "O_DSYNC" in call.arguments else syncing.discard)((path, call.result))
        elif call.name == "lseek":
            positions[path] = call.result
        elif call.name in ("pwrite64", "writev"):
            offset = int(call.arguments.rpartition(", ")[2]) if call.name == "pwrite64" else positions.pop(path)
            writes.append(Write(path, offset, written(call),
                                (path, int(call.arguments.partition("<")[0])) in syncing, call.began, call.ended))
        elif call.name in SYNCS:
            syncs.append((path, call.began, call.ended))
    demand(len(made) == 2 and len(syncs) >= 3, made, syncs)
    moments = sorted({line for _, _, ended in syncs for line in (ended - 1, ended)} | set(made.values())
                     | {write.ended for write in writes})
    cases = [(moment, mode) for moment in moments for mode in MODES]
    for number, (moment, mode) in enumerate(sample(cases, 16)):
        chance = random.Random(SEED + number)
        ledger = make_ledger()
        shutil.copy2(listed.keyring, ledger.keyring)
        ledger.keys.mkdir()
        for path, since in made.items():
            if since > moment:
                continue
            durable = max((began for synced, began, ended in syncs if synced == path and ended <= moment), default=-1)
            own = [write for write in writes if write.path == path and write.began <= moment]
            kept = [write for write in own if write.ended <= durable or write.syncs and write.ended <= moment]
            pieces = [(write.offset, write.data) for write in kept]
            pieces += survivors([write for write in own if write not in kept], mode, chance)
            if not pieces and durable < 0 and mode != "kept" and chance.random() < 0.5:
                continue
            image = bytearray()
            for offset, data in pieces:
                image.extend(bytes(max(0, offset + len(data) - len(image))))
                image[offset : offset + len(data)] = data
            (ledger.root / path).write_bytes(image)
        try:
            works(ledger.init())
        except BaseException as error:
            error.add_note(f"seed {SEED}, image {number}: cut after line {moment}, unsynced {mode}")
            raise
