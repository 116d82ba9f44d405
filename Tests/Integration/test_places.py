"""The lock knows itself and the store by where they lie: copies of them are refused, and nothing else is."""

import os
import shutil
import subprocess

import pytest

import events
import lockfile
import verifier
from faults import EXIT_REFUSED, EXIT_WRITE_FAILED, Record, all_promises_kept, append
from ledger import Ledger
from traced import start_traced, stop_traced
from wire import CallError

PARTS = ("store", "index", "lock")


@pytest.fixture
def stopped(make_ledger):
    """A ledger that ran and was stopped, and its record."""
    ledger = make_ledger().init().start()
    record = Record(ledger.vkey)
    append(ledger, record, events.closure(), events.deposit(b"d"))
    assert ledger.stop() == 0
    return ledger, record


def refused(ledger: Ledger, *words: str):
    before = len(ledger.log_text())
    kept = ledger.lock.read_bytes() if ledger.lock.exists() else None
    assert ledger.run_until_exit() == EXIT_REFUSED, ledger.log_text()
    said = ledger.log_text()[before:]
    for word in words:
        assert word in said, said
    assert kept == (ledger.lock.read_bytes() if ledger.lock.exists() else None), "a refused start changes nothing"


def cp(source, target, *options: str):
    subprocess.run(["cp", "-a", *options, "--", source, target], check=True)


def snapshot(ledger: Ledger, to):
    """A copy of everything, as `cp -a`, a volume's snapshot or an image of the machine have it."""
    to.mkdir()
    for part in PARTS:
        cp(ledger.root / part, to / part)


def put_back(ledger: Ledger, origin, how: str, parts=PARTS):
    for part in parts:
        if how == "anew":
            shutil.rmtree(ledger.root / part)
            cp(origin / part, ledger.root / part)
        else:
            # What is there is written over: the inodes stay.
            before = {path: path.stat().st_ino for path in (ledger.root / part).iterdir()}
            cp(f"{origin / part}/.", ledger.root / part)
            assert all(path.stat().st_ino == inode for path, inode in before.items())


@pytest.mark.parametrize("how", ["anew", "over"])
@pytest.mark.parametrize("taken", ["stopped", "running"])
def test_a_snapshot_of_everything_is_no_second_history(stopped, tmp_path, how, taken):
    ledger, record = stopped
    if taken == "running":
        ledger.start()
        append(ledger, record, events.closure())
    snapshot(ledger, tmp_path / "snapshot")
    if taken == "stopped":
        ledger.start()
    append(ledger, record, events.deposit(b"history one"))
    signed = ledger.call("GetCheckpoint")
    assert ledger.stop() == 0
    put_back(ledger, tmp_path / "snapshot", how)
    refused(ledger, "is not the file it was, but a copy", "evidence recover --reason moved")
    assert ledger.audit()["clean"], "the copy itself is sound"

    recovered = ledger.evidence_json("recover", "--config", ledger.config, "--reason", "moved")[0]
    assert recovered["incarnation"] > 1
    ledger.start()
    ledger.append(events.deposit(b"history two"))
    second = ledger.call("GetCheckpoint")
    assert second["vkey"] != signed["vkey"] and second["origin"] != signed["origin"]
    verifier.verify_ledger(ledger)
    ledger.restart()
    assert ledger.stop() == 0 and ledger.audit()["clean"]


@pytest.mark.parametrize("part", ["store", "lock"])
def test_a_copy_of_one_of_them_is_refused_too(stopped, tmp_path, part):
    ledger, _ = stopped
    cp(ledger.root / part, tmp_path / part)
    shutil.rmtree(ledger.root / part)
    cp(tmp_path / part, ledger.root / part)
    refused(ledger, f"the {part} is not the file it was", "--reason moved")


def test_what_is_no_copy_is_not_refused(stopped, tmp_path):
    ledger, record = stopped
    for end in (ledger.stop, ledger.kill, ledger.kill, ledger.stop):
        ledger.start()
        append(ledger, record, events.closure())
        end()
    ledger.start()
    ledger.call("Backup", {"directory": str(ledger.backups / "b")})
    assert ledger.stop() == 0
    shutil.rmtree(ledger.index)
    # Renaming, other owners' rights, other times and a link are no copies.
    for part in ("store", "lock"):
        (ledger.root / part).rename(tmp_path / part)
        (tmp_path / part).rename(ledger.root / part)
    ledger.store.rename(tmp_path / "elsewhere")
    ledger.configure(store=tmp_path / "elsewhere")
    ledger.lock.chmod(0o640)
    os.utime(ledger.lock, (1, 1))
    os.link(tmp_path / "elsewhere" / "data.mdb", tmp_path / "link")
    ledger.start()
    append(ledger, record, events.closure())
    all_promises_kept(ledger, record)


def test_the_record_says_what_stat_says(stopped):
    ledger, _ = stopped
    said = lockfile.places(lockfile.newest(ledger.lock))
    for name, path in (("lock", ledger.lock), ("store", ledger.store / "data.mdb")):
        inode, birth = subprocess.run(["stat", "-c", "%i %.9W", path], capture_output=True, check=True).stdout.split()
        assert said[name][0] == inode
        assert said[name][1] == (b"-" if birth == b"0.000000000" else birth)
    assert said["lock"][2] == said["store"][2], "they lie on one volume"


CHANGES = {
    "inode": lambda place: [b"%d" % (int(place[0]) + 1), *place[1:]],
    "birth": lambda place: [place[0], b"1.000000000", place[2]],
    "volume": lambda place: [*place[:2], place[2].partition(b":")[0] + b":another"],
}


@pytest.mark.parametrize("name", ["lock", "store"])
@pytest.mark.parametrize("part", CHANGES)
def test_each_part_of_a_place_counts(stopped, name, part):
    ledger, _ = stopped
    record = lockfile.newest(ledger.lock)
    known = lockfile.places(record)
    if known[name][{"inode": 0, "birth": 1, "volume": 2}[part]] == b"-":
        pytest.skip(f"the file system here has no {part}")
    changed = known | {name: CHANGES[part](known[name])}
    slot = lockfile.sealed(lockfile.with_places(record, *map(b" ".join, changed.values())))
    for number, other in enumerate(lockfile.slots(ledger.lock)):
        if lockfile.text(other) == record:
            with ledger.lock.open("r+b") as file:
                file.seek(number * lockfile.SLOT)
                file.write(slot)
    refused(ledger, f"the {name} is not the file it was")
    # Not knowing is no difference, nor is a name from another source.
    unknown = {"birth": [known[name][0], b"-", known[name][2]], "volume": [*known[name][:2], b"other:another"]}
    if part in unknown:
        slot = lockfile.sealed(
            lockfile.with_places(record, *map(b" ".join, (known | {name: unknown[part]}).values())))
        with ledger.lock.open("r+b") as file:
            file.seek(lockfile.sequence(slot) % 2 * lockfile.SLOT)
            file.write(slot)
        ledger.start()


def test_a_lock_that_nobody_signed_is_refused(stopped):
    """It would let a restored backup pass: any size and root could be written into it."""
    ledger, _ = stopped
    backup = ledger.lock.read_bytes()
    forged = []
    for slot in lockfile.slots(ledger.lock):
        head, _, signature = lockfile.text(slot).rpartition(b" ")
        broken = bytearray(verifier.unb64(signature.strip().decode(), 68))
        broken[20] ^= 1
        forged.append(lockfile.sealed(head + b" " + verifier.b64(bytes(broken)).encode() + b"\n"))
    descriptor = os.open(ledger.lock, os.O_WRONLY)
    os.pwrite(descriptor, b"".join(forged), 0)
    refused(ledger, "not signed with this ledger's key", "--reason lock-damaged")
    assert not ledger.audit(status=1)["clean"]
    os.pwrite(descriptor, backup, 0)
    os.close(descriptor)
    ledger.start()


@pytest.mark.parametrize("what", ["lock-removed", "lock-replaced", "store-removed", "store-replaced"])
def test_a_daemon_whose_files_are_elsewhere_acknowledges_nothing(make_ledger, tmp_path, what):
    ledger = make_ledger().init().start()
    ledger.append(events.closure())
    name, _, how = what.partition("-")
    path = ledger.lock if name == "lock" else ledger.store / "data.mdb"
    kept = path.with_name("kept")
    os.link(path, kept)
    if how == "removed":
        path.unlink()
    else:
        shutil.copy(path, path.with_name("draft"))
        path.with_name("draft").rename(path)
    with pytest.raises((OSError, AssertionError)) as failed:
        ledger.append(events.closure())
    assert not isinstance(failed.value, CallError), "the call got an answer"
    assert ledger.wait() == EXIT_WRITE_FAILED and "was removed or replaced" in ledger.log_text()
    kept.rename(path)
    ledger.start()


def test_no_second_daemon_runs_on_a_store_by_a_replaced_lock(make_ledger, tmp_path):
    ledger = make_ledger().init().start()
    draft = ledger.lock.with_name("draft")
    shutil.copy(ledger.lock, draft)
    draft.rename(ledger.lock)
    second = Ledger(tmp_path / "second", ledger.bin, store=ledger.store, keyring=ledger.keyring,
                    checkpoint_lock=ledger.lock)
    refused(second, "the store", "held by another process")
    # Nor does a recovery.
    assert "held by another process" in ledger.admin("recover", "--reason", "moved", status=None).stderr
    assert ledger.call("Status")["incarnation"] == 1


def test_the_lock_is_renewed_at_start_and_stop_and_stays_a_link(make_ledger):
    ledger = make_ledger().init()
    real = ledger.root / "real.lock"
    ledger.lock.rename(real)
    ledger.lock.symlink_to(real)
    seen = [lockfile.places(lockfile.newest(real))["lock"]]
    for move in (ledger.start, ledger.stop):
        # An inode's number may come back as soon as the file that had it is gone.
        keep = real.open("rb")
        move()
        inode = real.stat().st_ino
        assert inode != os.fstat(keep.fileno()).st_ino
        keep.close()
        both = [lockfile.places(lockfile.text(slot))["lock"] for slot in lockfile.slots(real) if any(slot)]
        assert both and all(place[0] == b"%d" % inode for place in both)
        seen.append(both[0])
    assert seen[0] != seen[1] != seen[2] and ledger.lock.is_symlink()
    assert not real.with_name("real.lock.new").exists()


def test_a_lock_that_cannot_be_renewed_is_used_on_and_said(make_ledger):
    ledger = make_ledger().init()
    inode = ledger.lock.stat().st_ino
    # Nothing can be made there; whoever runs this may be root, whom permissions don't stop.
    ledger.lock.with_name("checkpoint.lock.new").mkdir()
    ledger.start()
    assert ledger.lock.stat().st_ino == inode and "could not be renewed" in ledger.log_text()
    assert any("could not be renewed" in warning for warning in ledger.call("Status")["warnings"])
    ledger.append(events.closure())
    ledger.restart()
    # The stop has said so too: a copy made since the start is not recognised.
    assert ledger.log_text().count("could not be renewed") == 3
    assert ledger.stop() == 0
    # Another ledger's lock, or whatever else has that name, stays.
    draft = ledger.lock.with_name("checkpoint.lock.new")
    draft.rmdir()
    other = make_ledger("other").init()
    other.lock.rename(draft)
    ledger.start()
    assert ledger.lock.stat().st_ino == inode and f"{draft} is no lock of this ledger" in ledger.log_text()
    assert ledger.stop() == 0
    draft.rename(other.lock)
    other.start()
    # Half of a file that a process left when it ended is in nobody's way.
    draft.write_bytes(ledger.lock.read_bytes()[:5000])
    said = ledger.log_text().count("could not be renewed")
    ledger.start()
    assert ledger.lock.stat().st_ino != inode and ledger.log_text().count("could not be renewed") == said


@pytest.mark.parametrize("error", ["ENFILE", "EMFILE", "ENOMEM", "EIO"])
def test_a_renewal_that_cannot_begin_ends_nothing(make_ledger, tmp_path, error):
    """Nothing was written yet, so nothing can be lost."""
    ledger = make_ledger().init()
    inode = ledger.lock.stat().st_ino
    draft = ledger.lock.with_name(ledger.lock.name + ".new")
    pid = start_traced(ledger, tmp_path / "trace", "-e", "trace=openat", "-P", draft, "-e", f"inject=openat:error={error}")
    ledger.append(events.closure())
    assert stop_traced(ledger, pid) == 0
    assert ledger.log_text().count("could not be renewed") == 2 and ledger.lock.stat().st_ino == inode
    ledger.start()
    assert ledger.lock.stat().st_ino != inode


def test_a_lock_on_the_stores_file_system_is_a_warning(make_ledger):
    here = make_ledger().init().start()
    warning = "checkpoint-lock and store lie on one file system"
    assert [said for said in here.call("Status")["warnings"] if warning in said]
    assert warning in here.log_text() and warning in here.evidence("status").stdout
    check = [here.bin / "evidenced", "--check-config", "--config", here.config]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0 and warning in done.stderr and "correct" in done.stdout
    shm = os.path.join("/dev/shm", f"evidenced-{os.getpid()}")
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == here.root.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    try:
        there = make_ledger(checkpoint_lock=os.path.join(shm, "lock")).init().start()
        assert there.call("Status")["warnings"] == [] and warning not in there.log_text()
        done = subprocess.run([*check[:3], there.config], capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == ""
        there.close()
    finally:
        shutil.rmtree(shm, ignore_errors=True)
