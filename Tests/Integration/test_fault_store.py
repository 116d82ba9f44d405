"""Files that don't belong together, that are damaged, cut short or have no room: the daemon refuses with advice or
goes on rightly, and the audit names what is wrong without ever falling over itself."""

import base64
import json
import os
import random
import resource
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

import events
from faults import (
    EXIT_REFUSED,
    EXIT_SYSTEM,
    EXIT_WRITE_FAILED,
    LONG,
    SEED,
    Broken,
    Record,
    all_promises_kept,
    append,
    audit,
    copy_files,
    copy_ledger,
    demand,
    resend,
    wait_for,
)
from ledger import Ledger, StartFailed, require
from lmdbfile import DataFile, Malformed, logical
from lockfile import SLOT, sequence, slots
from verifier import leaf_hash
from wire import CallError

# How the audit may end: clean, or with findings. Whatever else is a crash.
CLEAN, FOUND = 0, 1


@pytest.fixture(scope="module")
def template(tmp_path_factory, bin):
    """A stopped ledger with every kind of row, and the record of it."""
    ledger = Ledger(tmp_path_factory.mktemp("template") / "l", bin).init().start()
    record = Record(ledger.vkey)
    subject = events.new_id()
    for number in range(12):
        append(ledger, record, events.closure(subject), events.deposit(b"%d" % number), events.registration(subject),
               events.access(reason="r" * 300))
    append(ledger, record, *[events.access(reason="long" * 900) for _ in range(8)])
    append(ledger, record, *[events.closure() for _ in range(150)])
    assert ledger.stop() == 0
    return ledger, record


@pytest.fixture
def used(template, tmp_path):
    """A copy of the template, and a record that goes on from its."""
    ledger = copy_ledger(template[0], tmp_path / "u")
    yield ledger, template[1].copy()
    ledger.close()


def refused(ledger: Ledger, *advice: str, status: int = EXIT_REFUSED):
    before = len(ledger.log_text())
    assert ledger.run_until_exit() == status, ledger.log_text()
    said = ledger.log_text()[before:]
    for words in advice:
        assert words in said, said


# A store, its lock and other daemons


def test_restored_backup_is_refused_and_the_newer_store_starts(used, tmp_path):
    ledger, record = used
    copy_files(ledger.store, tmp_path / "backup")
    ledger.start()
    append(ledger, record, events.closure())
    assert ledger.stop() == 0
    ledger.store.rename(tmp_path / "newest")
    before = ledger.lock.read_bytes()
    copy_files(tmp_path / "backup", ledger.store)
    refused(ledger, "restored backup", "evidence recover --reason backup-restored", "Put the newest store back")
    report = ledger.audit(status=1)
    assert not report["clean"] and "was signed" in json.dumps(report["findings"])
    assert ledger.lock.read_bytes() == before, "a refused start has changed the lock"
    shutil.rmtree(ledger.store)
    (tmp_path / "newest").rename(ledger.store)
    ledger.start()
    all_promises_kept(ledger, record)


def test_restored_lock_of_an_older_time_is_refused(used):
    """An older lock can't tell of newer checkpoints, even written over the newer one."""
    ledger, record = used
    # One the daemon wrote, so that it says when its file was created: numbers of inodes come back.
    ledger.start()
    assert ledger.stop() == 0
    old = ledger.lock.read_bytes()
    ledger.start()
    append(ledger, record, events.closure())
    assert ledger.stop() == 0
    newest = ledger.lock.read_bytes()
    ledger.lock.write_bytes(old)
    refused(ledger, "is not the file it was, but a copy", "evidence recover --reason moved")
    ledger.lock.write_bytes(newest)
    ledger.start()
    all_promises_kept(ledger, record)


def test_lock_missing_is_refused(used):
    ledger, _ = used
    ledger.lock.unlink()
    refused(ledger, "checkpoint lock", "is missing", "evidence recover")
    assert not ledger.lock.exists()
    assert "missing" in json.dumps(ledger.audit(status=1)["findings"])


def test_store_missing_is_refused(used):
    ledger, _ = used
    shutil.rmtree(ledger.store)
    refused(ledger, "there is no ledger at", "evidence init")
    assert not ledger.store.exists()


@pytest.mark.parametrize("damage", ["bit", "torn", "zeros"])
def test_newest_slot_damaged_starts_from_the_older(used, damage):
    ledger, record = used
    both = slots(ledger.lock)
    newest, older = sorted((0, 1), key=lambda number: -sequence(both[number]))
    data = bytearray(both[newest])
    if damage == "bit":
        data[100] ^= 1
    elif damage == "torn":
        data[: SLOT // 2] = both[older][: SLOT // 2]
    else:
        data[:] = bytes(SLOT)
    both[newest] = bytes(data)
    ledger.lock.write_bytes(b"".join(both))
    ledger.start()
    append(ledger, record, events.closure())
    all_promises_kept(ledger, record)
    assert ledger.stop() == 0
    audit(ledger)


def test_older_slot_damaged_starts(used):
    ledger, record = used
    both = slots(ledger.lock)
    older = min((0, 1), key=lambda number: sequence(both[number]))
    both[older] = bytes(SLOT)
    ledger.lock.write_bytes(b"".join(both))
    ledger.start()
    all_promises_kept(ledger, record)


@pytest.mark.parametrize("content", ["both slots", "short", "empty", "long"])
def test_lock_without_an_intact_record_is_refused(used, content):
    ledger, _ = used
    data = bytearray(ledger.lock.read_bytes())
    if content == "both slots":
        data[50] ^= 4
        data[SLOT + 50] ^= 4
    elif content == "short":
        data = data[:SLOT]
    elif content == "empty":
        data = b""
    else:
        # Not even the intact slots of a file that is not of its size.
        data = bytes(SLOT) + bytes(SLOT) + data
    ledger.lock.write_bytes(data)
    refused(ledger, "holds no intact record", "evidence recover")
    assert ledger.lock.read_bytes() == data
    assert not ledger.audit(status=1)["clean"]


def test_lock_of_another_ledger_is_refused(used, make_ledger):
    ledger, _ = used
    other = make_ledger("other").init()
    ledger.lock.write_bytes(other.lock.read_bytes())
    refused(ledger, "not signed with this ledger's key")
    assert not ledger.audit(status=1)["clean"]


def beside(ledger: Ledger, root: Path, **settings) -> Ledger:
    """A second daemon on the same store, with a configuration of its own."""
    return Ledger(root, ledger.bin, store=ledger.store, keyring=ledger.keyring, **settings)


def test_second_daemon_is_refused(used, tmp_path):
    ledger, record = used
    ledger.start()
    second = beside(ledger, tmp_path / "2", checkpoint_lock=ledger.lock)
    refused(second, "held by another process", "Stop the other one first")
    append(ledger, record, events.closure())
    all_promises_kept(ledger, record)


def test_second_daemon_with_a_lock_of_its_own_does_not_fork(used, tmp_path):
    """A copy of the lock deceives its flock, and not that of the store."""
    ledger, record = used
    shutil.copy(ledger.lock, tmp_path / "lock2")
    ledger.start()
    second = beside(ledger, tmp_path / "2", checkpoint_lock=tmp_path / "lock2")
    refused(second, "the store", "held by another process")
    append(ledger, record, events.closure())
    all_promises_kept(ledger, record)


# Damage


def flip_offsets(data: bytes, chance: random.Random) -> list[tuple[int, str]]:
    """Bytes to damage, and what they belong to: of each database both its rows and what holds them together, of the
    meta pages, of the list of free pages and of what nothing uses."""
    dump = DataFile(data).dump()
    rows, joints, others = (150, 60, 20) if LONG else (2, 2, 2)
    chosen = []
    for name, spans in dump.spans.items():
        inside = [offset for start, end in chance.sample(spans, min(len(spans), rows)) if start < end
                  for offset in [chance.randrange(start, end)]]
        chosen += [(offset, f"{name} rows") for offset in inside]
    for name, pages in dump.pages.items():
        chosen += [(chance.choice(pages) * 4096 + chance.choice([*range(18), *range(18, 60)]), f"{name} pages")
                   for _ in range(joints)]
    chosen += [(4096 * number + chance.randrange(16, 168), "meta") for number in (0, 1) for _ in range(joints)]
    unused = [page for page in range(2, len(data) // 4096) if page not in dump.live]
    chosen += [(chance.choice(unused) * 4096 + chance.randrange(4096), "unused") for _ in range(others)]
    return chosen


def run_audit(ledger: Ledger) -> tuple[int, str]:
    done = ledger.admin("audit", "--json", status=None)
    return done.returncode, done.stdout + done.stderr


def before_the_last_checkpoint(rows: dict) -> dict:
    """What a store says but for its checkpoints, and which of them is the newest."""
    rest = {name: rows[name] for name in rows if name != "checkpoints"}
    return rest | {"meta": [row for row in rows["meta"] if row[0] != b"checkpoint"]}


def test_flipped_bits_are_found(template, tmp_path):
    """Whatever a flipped bit changes in what the file says, the audit reports; and it never falls over."""
    print(f"seed {SEED}")
    ledger = copy_ledger(template[0], tmp_path / "f")
    path = ledger.store / "data.mdb"
    good = path.read_bytes()
    meant = logical(good)
    assert meant is not None and run_audit(ledger)[0] == CLEAN
    chance = random.Random(SEED)
    counts = Counter()
    wrong = []
    for offset, kind in flip_offsets(good, chance):
        bit = 1 << chance.randrange(8)
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(bytes([good[offset] ^ bit]))
            file.flush()
            damaged = bytearray(good)
            damaged[offset] ^= bit
            says = logical(bytes(damaged))
            status, output = run_audit(ledger)
            file.seek(offset)
            file.write(good[offset : offset + 1])
        where = f"{kind}, offset {offset:#x} (page {offset // 4096} + {offset % 4096}), bit {bit:#x}"
        if status == EXIT_REFUSED and "is not of format" in output:
            # A store of another version can't be audited; that it is one is all there is to say.
            counts[f"{kind}: found"] += 1
        elif status not in (CLEAN, FOUND):
            wrong.append(f"the audit ended with {status}: {where}: {output[-300:]}")
        elif status == CLEAN and says is None:
            # What only this reader is strict about is no damage the library would ever meet.
            counts["odd, but harmless"] += 1
            if kind.endswith("rows"):
                wrong.append(f"the audit finds nothing: {where}")
        elif status == CLEAN and kind == "meta" and before_the_last_checkpoint(says) == before_the_last_checkpoint(meant):
            # The snapshot before the last one, which differs by the checkpoint that was stored at the stop.
            counts["an older snapshot"] += 1
        elif status == CLEAN and says != meant:
            wrong.append(f"the audit finds nothing: {where}")
        else:
            counts[f"{kind}: {'found' if status else 'without effect'}"] += 1
    print(dict(counts), f"{len(wrong)} wrong")
    assert path.read_bytes() == good
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("offset", [10, 16, 20, 40], ids=["flags", "magic", "version", "page size"])
def test_a_damaged_meta_page_is_refused_as_damage(used, page, offset):
    """What no restart mends must not be restarted."""
    ledger, _ = used
    data = ledger.store / "data.mdb"
    with data.open("r+b") as file:
        file.seek(4096 * page + offset)
        byte = file.read(1)[0]
        file.seek(4096 * page + offset)
        file.write(bytes([byte ^ 0x09]))
    refused(ledger)


def test_checkpoints_out_of_order_are_found(template, tmp_path):
    """A row whose key does not follow the one before it: looked up, it is missed, or another of its size is found."""
    ledger = copy_ledger(template[0], tmp_path / "o")
    path = ledger.store / "data.mdb"
    good = path.read_bytes()
    dump = DataFile(good).dump()
    rows = {int.from_bytes(key): key + value for key, value in dump.rows["checkpoints"]}
    sizes = list(rows)
    assert len(sizes) > 10
    # The first behind the second, one twice, the last before all others.
    for size, instead in ((sizes[0], sizes[1] + 1), (sizes[5], sizes[4]), (sizes[-1], sizes[0] - 1)):
        places = [good.find(rows[size], page * 4096, (page + 1) * 4096) for page in dump.pages["checkpoints"]]
        (offset,) = [place for place in places if place >= 0]
        path.write_bytes(good[:offset] + instead.to_bytes(8) + good[offset + 8 :])
        report = ledger.audit(status=FOUND)
        assert any("checkpoint row" in finding["what"] or "checkpoint signed" in finding["what"]
                   for finding in report["findings"]), report


def ask(ledger: Ledger, index: int, right: str) -> str:
    """An entry with its proof: right, or reported as damaged."""
    with ledger.wire() as wire:
        try:
            entry = wire.call("GetEntry", {"index": index})["entry"]
            proof = wire.call("ProveInclusion", {"index": index})
        except CallError as error:
            demand(error.name in ("StoreDamaged", "NotFound", "Failed"), error)
            return error.name
    if entry["entry"] == right and entry["leaf"] == proof["leaf"]:
        return "right"
    # A damaged entry may be handed out, but then its hash gives it away.
    leaf = base64.b64encode(leaf_hash(entry["entry"].encode())).decode()
    demand(leaf != proof["leaf"], "entry", index, "is wrong, and proved")
    return "does not verify"


def test_flipped_bits_never_make_a_start_answer_wrongly(template, tmp_path):
    """A daemon on a damaged store may refuse, or stop, or report damage; but what it hands out is right."""
    source, record = template
    chance = random.Random(SEED + 1)
    good = (source.store / "data.mdb").read_bytes()
    offsets = flip_offsets(good, chance)
    chance.shuffle(offsets)
    ends = Counter()
    answered = Counter()
    crashed = []
    dump = DataFile(good).dump()
    right = {int.from_bytes(key, "big"): value.decode() for key, value in dump.rows["entries"]}
    for number, (offset, kind) in enumerate(offsets[: 200 if LONG else 8]):
        ledger = copy_ledger(source, tmp_path / str(number))
        with (ledger.store / "data.mdb").open("r+b") as file:
            file.seek(offset)
            file.write(bytes([good[offset] ^ 1 << chance.randrange(8)]))
        where = f"{kind}, offset {offset:#x}"
        try:
            ledger.start()
            for index in range(0, 200, 7):
                answered[ask(ledger, index, right[index])] += 1
            status = ledger.stop()
        except StartFailed as failed:
            status = failed.status
        except (OSError, AssertionError):
            demand(ledger.process is not None, "a wrong answer at", where, ledger.log_text()[-300:])
            status = ledger.wait()
        ends[status] += 1
        # liblmdb trusts what holds its pages together, so damage there may end the process; damaged rows may not.
        is_structure = kind == "meta" or kind.endswith("pages") or kind == "main rows"
        if status not in (0, EXIT_REFUSED, EXIT_SYSTEM, EXIT_WRITE_FAILED) and not is_structure:
            crashed.append(f"ended with {status}: {where}: {ledger.log_text()[-300:]}")
        ledger.close()
        shutil.rmtree(ledger.root)
    print(dict(ends), dict(answered))
    assert answered["right"] > 0
    assert not crashed, "\n".join(crashed)


def free_flips(data: bytes) -> list[tuple[int, int]]:
    """Offset and bit of each single bit whose turning makes the list of free pages name a page in use."""
    dump = DataFile(data).dump()
    live = dump.live
    found = []
    for start, end in dump.spans["free list"]:
        if end - start < 16:
            continue
        for offset in range(start + 8, end, 8):
            page = int.from_bytes(data[offset : offset + 8], "little")
            found += [(offset, bit) for bit in range(20) if page ^ 1 << bit in live]
    return found


def turned(data: bytes, offset: int, bit: int) -> bytes:
    return bytes([data[offset + bit // 8] ^ 1 << bit % 8])


def entries_of(ledger: Ledger) -> dict[bytes, bytes]:
    return dict(DataFile.read(ledger.store / "data.mdb").dump(False).rows["entries"])


def test_a_page_in_use_that_is_listed_as_free_is_never_written_over(template, tmp_path):
    good = (template[0].store / "data.mdb").read_bytes()
    flips = free_flips(good)
    assert len(flips) > 20
    for number, (offset, bit) in enumerate(flips if LONG else random.Random(SEED + 3).sample(flips, 6)):
        ledger = copy_ledger(template[0], tmp_path / str(number))
        with (ledger.store / "data.mdb").open("r+b") as file:
            file.seek(offset + bit // 8)
            file.write(turned(good, offset, bit))
        before = (ledger.store / "data.mdb").read_bytes()
        refused(ledger, "page ")
        assert (ledger.store / "data.mdb").read_bytes() == before, "a refused start has written"
        assert run_audit(ledger)[0] == FOUND
        shutil.rmtree(ledger.root)


def test_a_list_of_free_pages_that_turns_wrong_under_the_daemon_ends_it(used):
    ledger, record = used
    ledger.start()
    append(ledger, record, events.closure())
    before = entries_of(ledger)
    path = ledger.store / "data.mdb"
    good = path.read_bytes()
    offset, bit = free_flips(good)[0]
    with path.open("r+b") as file:
        file.seek(offset + bit // 8)
        file.write(turned(good, offset, bit))
    with pytest.raises((OSError, AssertionError)):
        ledger.append(*[events.closure() for _ in range(50)])
    assert ledger.wait() == EXIT_REFUSED, ledger.log_text()
    assert "free pages is not as it was written" in ledger.log_text()
    after = entries_of(ledger)
    assert all(after[index] == entry for index, entry in before.items())


def test_an_index_that_lists_a_page_in_use_as_free_is_made_anew(indexed, tmp_path):
    ledger = copy_ledger(indexed, tmp_path / "x")
    path = ledger.index / "data.mdb"
    data = path.read_bytes()
    flips = free_flips(data)
    assert flips
    offset, bit = flips[len(flips) // 2]
    with path.open("r+b") as file:
        file.seek(offset + bit // 8)
        file.write(turned(data, offset, bit))
    assert run_audit(ledger)[0] == FOUND
    ledger.start()
    assert "the look-up index was moved aside" in ledger.log_text() and "is made anew" in ledger.log_text()
    assert ledger.stop() == 0
    audit(ledger)


@pytest.mark.parametrize("keep", ["nothing", "meta", "half", "all but a page"])
def test_shortened_store_is_refused(used, keep):
    ledger, _ = used
    path = ledger.store / "data.mdb"
    used_bytes = (DataFile.read(path).last_page + 1) * 4096
    os.truncate(path, {"nothing": 0, "meta": 8192, "half": used_bytes // 2 // 4096 * 4096,
                       "all but a page": used_bytes - 4096}[keep])
    size = path.stat().st_size
    assert ledger.run_until_exit() == EXIT_REFUSED, ledger.log_text()
    assert run_audit(ledger)[0] == FOUND
    assert path.stat().st_size == size, "a refused start has changed the store"


def test_tail_that_nothing_uses_may_be_cut(used):
    ledger, record = used
    path = ledger.store / "data.mdb"
    os.truncate(path, (DataFile.read(path).last_page + 1) * 4096)
    ledger.start()
    append(ledger, record, events.closure())
    all_promises_kept(ledger, record)


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "short", "without its head"])
def test_look_up_index_damaged_or_missing(used, damage):
    """All of it is derived: the daemon makes it anew, or refuses and says that it may be deleted."""
    ledger, record = used
    path = ledger.index / "data.mdb"
    if damage == "missing":
        shutil.rmtree(ledger.index)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "garbage":
        path.write_bytes(random.Random(1).randbytes(1 << 16))
    elif damage == "short":
        os.truncate(path, 3 * 4096)
    else:
        # As after a power failure in the daemon's first second: LMDB writes the head of a new file without a sync.
        with path.open("r+b") as file:
            file.write(bytes(8192))
    try:
        ledger.start()
    except StartFailed as failed:
        assert failed.status == EXIT_REFUSED, failed.log
        assert "index" in failed.log and "delete" in failed.log.lower(), failed.log
        shutil.rmtree(ledger.index)
        ledger.start()
    # Duplicates are still known: a look-up that fails must not record an event twice.
    known = [event for event, _ in list(record.acknowledged.values())[:20]]
    append(ledger, record, *known)
    all_promises_kept(ledger, record)
    assert ledger.stop() == 0
    audit(ledger)


@pytest.mark.parametrize("database", ["requests", "documents", "leaves", "types", "submitters", "meta"])
def test_flipped_bits_of_the_index_are_found(indexed, tmp_path, database):
    ledger = copy_ledger(indexed, tmp_path / "f")
    path = ledger.index / "data.mdb"
    chance = random.Random(SEED + 2)
    good = path.read_bytes()
    dump = DataFile(good).dump()
    places = [chance.randrange(start, end) for start, end in dump.spans[database] if start < end]
    chosen = chance.sample(places, min(len(places), 60 if LONG else 1))
    flips = [(offset, 1 << chance.randrange(8)) for offset in chosen]
    # A leaf of its tree that says it is none.
    flips.append((dump.pages[database][-1] * 4096 + 10, 3))
    for offset, bits in flips:
        damaged = bytearray(good)
        damaged[offset] ^= bits
        path.write_bytes(damaged)
        status, output = run_audit(ledger)
        says = logical(bytes(damaged))
        # The index of another ledger or version is no damage: the daemon empties it and fills it anew.
        is_other = says is not None and any(
            dict(says["meta"]).get(name) != dict(dump.rows["meta"])[name] for name in (b"ledger", b"format")
        )
        assert status == (CLEAN if says == dump.rows or is_other else FOUND), (offset, bits, output)
    path.write_bytes(good)
    assert run_audit(ledger)[0] == CLEAN


# Room


def limit_file_size(pid: int, limit: int):
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def large(count: int = 20) -> list[dict]:
    return [events.access(reason="f" * 4000) for _ in range(count)]


def fill(ledger: Ledger, record: Record, count: int = 20) -> str:
    """Appends until refused; gives the reason."""
    for _ in range(400):
        batch = large(count)
        record.sent(batch)
        try:
            record.answered(batch, ledger.append(*batch))
        except CallError as error:
            record.refused(batch)
            assert error.name == "StoreFull", error
            return error.parameters["reason"]
    raise AssertionError("the store does not fill")


def reads_go_on(ledger: Ledger, record: Record):
    size = ledger.size
    proof = ledger.call("ProveInclusion", {"index": size - 1})
    assert ledger.entry(size - 1)["leaf"] == proof["leaf"]
    ledger.call("ProveConsistency", {"first": 1, "second": size})
    status = ledger.call("Status")
    assert not status["acceptsAppends"]
    # What is known already needs no room.
    event, receipt = list(record.acknowledged.values())[-1]
    append(ledger, record, event)


def full_and_free_again(ledger: Ledger, record: Record, free, count: int = 20):
    for _ in range(3):
        with pytest.raises(CallError, match="StoreFull"):
            ledger.append(*large(count))
        reads_go_on(ledger, record)
    # The look-up index is stored a moment later; that must not be the end either.
    time.sleep(1.5)
    reads_go_on(ledger, record)
    all_promises_kept(ledger, record)
    free()
    append(ledger, record, *large(count))
    assert ledger.call("Status")["acceptsAppends"]
    assert ledger.stop() == 0, ledger.log_text()
    audit(ledger)
    ledger.start()
    all_promises_kept(ledger, record)


FULL = 6 << 20


def start_limited(ledger: Ledger, limit: int = FULL) -> Ledger:
    """Starts a daemon whose files can't grow beyond 6 MiB: as on a full disk, writes beyond it fail."""
    return ledger.start(wrapper=[require("prlimit"), f"--fsize={limit}:", "--"])


def test_file_size_limit_is_a_full_disk(make_ledger):
    ledger = start_limited(make_ledger().init())
    record = Record(ledger.vkey)
    append(ledger, record, events.closure())
    assert fill(ledger, record) == "the disk is full"
    full_and_free_again(ledger, record, lambda: limit_file_size(ledger.pid, resource.RLIM_INFINITY))


def test_the_disk_is_full_where_the_map_ends(make_ledger):
    """The file has blocks up to the end of the map; the map grows, and the disk has none for it."""
    ledger = start_limited(make_ledger(map_size="16M").init(), (16 << 20) + (256 << 10))
    record = Record(ledger.vkey)
    append(ledger, record, events.closure())
    assert fill(ledger, record, 200) == "the disk is full"
    full_and_free_again(ledger, record, lambda: limit_file_size(ledger.pid, resource.RLIM_INFINITY), 200)


def test_stop_and_start_while_the_disk_is_full(make_ledger):
    ledger = start_limited(make_ledger().init())
    record = Record(ledger.vkey)
    append(ledger, record, events.closure())
    fill(ledger, record)
    for _ in range(3):
        assert ledger.stop() == 0, ledger.log_text()
        start_limited(ledger)
        all_promises_kept(ledger, record)
        event, _ = list(record.acknowledged.values())[-1]
        append(ledger, record, event)
        with pytest.raises(CallError, match="StoreFull"):
            ledger.append(*large())
        reads_go_on(ledger, record)
    assert ledger.stop() == 0, ledger.log_text()
    audit(ledger)


def test_index_without_room(make_ledger):
    """The look-up index lies on a full disk of its own: nothing acknowledged may hang on it."""
    ledger = make_ledger(map_size="16M", index_map_size="16M").init().start()
    record = Record(ledger.vkey)
    append(ledger, record, events.closure())
    wait_for(lambda: (ledger.index / "data.mdb").exists(), 5, "the index")
    # Below what the store has already, above what the index has.
    limit_file_size(ledger.pid, 128 << 10)
    gone = False
    for _ in range(20):
        batch = [events.closure() for _ in range(100)]
        record.sent(batch)
        try:
            record.answered(batch, ledger.append(*batch))
        except CallError as error:
            record.refused(batch)
            assert error.name in ("StoreFull", "Busy"), error
        except (OSError, AssertionError):
            gone = True
            break
        time.sleep(0.15)
    if gone:
        assert ledger.wait() == 74, ledger.log_text()
        ledger.start()
    limit_file_size(ledger.pid, resource.RLIM_INFINITY)
    resend(ledger, record)
    all_promises_kept(ledger, record)
    assert ledger.stop() == 0
    audit(ledger)


def test_map_limit(make_ledger):
    ledger = make_ledger(map_size="16M", map_limit="16M").init().start()
    record = Record(ledger.vkey)
    assert "limit" in fill(ledger, record, 200)

    def more():
        assert ledger.stop() == 0, ledger.log_text()
        audit(ledger)
        # Now the map grows while the daemon runs.
        ledger.configure(map_limit="64M")
        ledger.start()

    full_and_free_again(ledger, record, more, 200)
    with ledger.wire() as watcher:
        size = ledger.size
        watcher.send_call("Watch", {"from": size}, more=True)
        while ledger.call("Status")["mapBytes"] == 16 << 20:
            append(ledger, record, *large(200))
            demand(ledger.size < 6000, "the map does not grow")
        while size < ledger.size:
            size += len(watcher.reply()["entries"])
    all_promises_kept(ledger, record)


# The reader of data files, by which damage is judged.


def test_reader_agrees_with_the_ledger(template):
    ledger, record = template
    dump = DataFile.read(ledger.store / "data.mdb").dump()
    entries = {int.from_bytes(key, "big"): value for key, value in dump.rows["entries"]}
    assert len(entries) == len(dump.rows["tree"]) and sorted(entries) == list(range(len(entries)))
    for event, receipt in record.acknowledged.values():
        assert json.loads(entries[receipt["index"]])["request"] == event["request"]
    assert set(dump.rows) == {"entries", "tree", "streams", "sealed", "scopes", "checkpoints", "meta"}
    assert not dump.live & set(dump.free), "a page is both used and free"
    assert dump.live | set(dump.free) == set(range(2, dump.last_page + 1)), "a page is neither used nor free"


def test_reader_sees_changes(template):
    good = (template[0].store / "data.mdb").read_bytes()
    dump = DataFile(good).dump()
    for name in ("entries", "tree", "streams", "sealed", "meta"):
        start, _ = dump.spans[name][-1]
        damaged = bytearray(good)
        damaged[start] ^= 1
        assert logical(bytes(damaged)) != logical(good), name
    damaged = bytearray(good)
    damaged[dump.pages["entries"][0] * 4096 + 12] ^= 0xFF
    with pytest.raises(Malformed):
        DataFile(bytes(damaged)).dump()
