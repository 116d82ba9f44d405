"""Places for readers are few, and whoever may open the store may take them: the daemon has its own."""

import os
import shutil
import subprocess
import sys
import threading

import lmdb
import pytest

import events
from faults import EXIT_SYSTEM, copy_files
from ledger import Ledger, StartFailed, require
from wire import CallError


def take_all(environment) -> list:
    held = []
    try:
        while True:
            held.append(environment.begin())
    except lmdb.ReadersFullError:
        return held


def test_others_that_take_every_place_stop_nothing(make_ledger):
    ledger = make_ledger(readers="16").init().start()
    ledger.append(*[events.registration() for _ in range(200)])
    with lmdb.open(str(ledger.store), max_dbs=10, readonly=True, lock=True) as environment:
        held = take_all(environment)
        assert len(held) == 16, "readers is what others may have"
        failures = []

        def read():
            try:
                with ledger.wire() as wire:
                    for index in range(100):
                        wire.call("GetEntry", {"index": index})
                        wire.call("ProveInclusion", {"index": index})
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(100):
            ledger.append(events.closure())
        for thread in threads:
            thread.join()
        assert not failures
        # An audit finds no place, and says so.
        audit = ledger.evidence("audit", "--config", str(ledger.config), status=75)
        assert "every place for a reader is taken" in audit.stderr
        assert "MDB_" not in audit.stderr
        for reader in held:
            reader.abort()
    assert ledger.stop() == 0, ledger.log_text()
    ledger.audit()


def test_a_call_that_finds_no_place_is_told_to_try_again(make_ledger):
    """A backup reads beside all that the daemon keeps places for."""
    ledger = make_ledger(readers="16").init().start()
    with lmdb.open(str(ledger.store), max_dbs=10, readonly=True, lock=True) as environment:
        held = take_all(environment)
        with pytest.raises(CallError) as refused:
            ledger.call("Backup", {"directory": str(ledger.backups / "b")})
        assert refused.value.name == "Busy", refused.value
        assert not list(ledger.backups.iterdir())
        # A place is kept for as long as there is an object.
        while held:
            held.pop().abort()
        assert ledger.call("Backup", {"directory": str(ledger.backups / "b")})["size"] == ledger.size


def test_a_start_without_a_place_says_why(make_ledger):
    ledger = make_ledger().init()
    with lmdb.open(str(ledger.store), max_dbs=10, readonly=True, lock=True) as environment:
        held = take_all(environment)
        with pytest.raises(StartFailed) as failed:
            ledger.start()
        assert failed.value.status == EXIT_SYSTEM
        assert "every place for a reader is taken" in failed.value.log
        for reader in held:
            reader.abort()
    ledger.start()


@pytest.fixture(scope="module")
def copied(tmp_path_factory, bin):
    """A stopped ledger whose directories everybody may search, and a backup of it."""
    root = tmp_path_factory.mktemp("copied")
    ledger = Ledger(root / "l", bin).init().start()
    ledger.append(*[events.registration() for _ in range(20)])
    ledger.call("Backup", {"directory": str(ledger.backups / "b")})
    assert ledger.stop() == 0
    return ledger


def run_audit(ledger: Ledger, store, *options, wrapper=()):
    return subprocess.run(
        [*wrapper, str(ledger.bin / "evidence"), "audit", "--config", str(ledger.config), "--store", str(store), *options],
        capture_output=True, text=True, env=ledger.environment, stdin=subprocess.DEVNULL, timeout=60)


def test_the_audit_of_a_copy_writes_nothing(copied):
    store = copied.backups / "b"
    before = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    assert set(before) == {"data.mdb"}
    audit = run_audit(copied, store, "--copy")
    assert audit.returncode == 0, audit.stderr
    assert {path.name: path.stat().st_mtime_ns for path in store.iterdir()} == before


@pytest.fixture
def unprivileged(copied):
    """Runs a command as somebody who may read what everybody may."""
    if os.geteuid() != 0:
        yield ()
        return
    opened = [path for path in (copied.config, *copied.root.parents, copied.root) if path.stat().st_uid == 0]
    modes = {path: path.stat().st_mode for path in opened}
    for path in opened:
        path.chmod(modes[path] | 0o055 if path.is_dir() else 0o644)
    yield (require("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups")
    for path, mode in modes.items():
        path.chmod(mode)


def test_who_may_only_read_audits_a_copy_and_is_told_what_a_store_in_use_takes(copied, unprivileged, tmp_path):
    store = copied.root / "readable"
    shutil.rmtree(store, ignore_errors=True)
    copy_files(copied.backups / "b", store)
    (store / "lock.mdb").write_bytes(b"")
    for path in store.iterdir():
        path.chmod(0o444)
    store.chmod(0o555)
    try:
        audit = run_audit(copied, store, "--copy", wrapper=unprivileged)
        assert audit.returncode == 0, audit.stderr
        audit = run_audit(copied, store, wrapper=unprivileged)
        assert audit.returncode == 77, audit.stderr
        assert audit.stderr.startswith("evidence: ") and "lock.mdb" in audit.stderr and "--copy" in audit.stderr
    finally:
        store.chmod(0o755)
