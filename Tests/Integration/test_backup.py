"""Backups over the socket: where they may lie, that they appear whole or not at all, and that nobody else's files are
touched on the way."""

import os
import resource
import signal
import subprocess
import time

import pytest

import events
from faults import LONG, wait_for
from ledger import Ledger, require
from traced import FILE_CALLS, SYNCS, WRITES, read_trace, start_traced, unescape
from wire import CallError, message


@pytest.fixture(scope="module")
def ledger(tmp_path_factory, bin):
    with Ledger(tmp_path_factory.mktemp("backup") / "l", bin).init().start() as ledger:
        ledger.append(*[events.deposit(b"%d" % number) for number in range(20)])
        yield ledger


def refused(ledger: Ledger, directory: str) -> str:
    with pytest.raises(CallError) as error:
        ledger.call("Backup", {"directory": directory})
    assert error.value.name == "InvalidArgument" and error.value.parameters["field"] == "directory", error.value
    return error.value.parameters["rule"]


def content(ledger: Ledger) -> set:
    """Everything there is, by path and inode."""
    return {(path, path.lstat().st_ino) for path in ledger.root.rglob("*")}


@pytest.mark.parametrize("below", [
    "/../out", "/../\u0301out", "/x/../../\u0301out", "/..", "/a/../b", "", "/", "//", "/.", "/nul\0x", "/\0",
    "/no/such", "/" + "n" * 256,
])
def test_a_path_that_breaks_a_rule_is_refused(ledger, below):
    before = content(ledger)
    refused(ledger, f"{ledger.backups}{below}")
    assert content(ledger) == before


@pytest.mark.parametrize("sibling", ["2", "\u0301", "/../backups2/x"])
def test_a_name_that_begins_like_the_root_is_not_below_it(ledger, sibling):
    refused(ledger, f"{ledger.backups}{sibling}")
    refused(ledger, "backups/relative")


@pytest.mark.parametrize("name", ["\u0301c", "slash/", "slashes//", "./dot", "/double", "line\nfeed", "n" * 255])
def test_names_are_bytes_between_slashes(ledger, name):
    assert ledger.call("Backup", {"directory": f"{ledger.backups}/{name}"})["size"] == ledger.size
    place = ledger.backups / name.strip("/").removeprefix("./")
    assert sorted(path.name for path in place.iterdir()) == ["data.mdb"]


def test_no_symbolic_link_leads_out_of_the_root(ledger, tmp_path):
    (tmp_path / "outside").mkdir()
    (ledger.backups / "way").symlink_to(tmp_path / "outside")
    (ledger.backups / "last").symlink_to(tmp_path / "outside")
    (ledger.backups / "dangling").symlink_to(tmp_path / "nowhere")
    assert "symbolic link" in refused(ledger, f"{ledger.backups}/way/x")
    refused(ledger, f"{ledger.backups}/last")
    refused(ledger, f"{ledger.backups}/dangling")
    refused(ledger, f"{ledger.backups}/way/../x")
    assert not list((tmp_path / "outside").iterdir()) and not (tmp_path / "nowhere").exists()


def test_what_others_have_beside_it_is_left(ledger):
    for name in ("z.partial", ".evidenced-backup-mine", ".evidenced-backup-0.partial"):
        (ledger.backups / name).mkdir()
        (ledger.backups / name / "kept").write_text("somebody's")
    (ledger.backups / "z.partial" / "data.mdb").write_text("somebody's")
    ledger.call("Backup", {"directory": f"{ledger.backups}/z"})
    ledger.call("Backup", {"directory": f"{ledger.backups}/y.partial"})
    ledger.call("Backup", {"directory": f"{ledger.backups}/y"})
    for name in ("z.partial/data.mdb", "z.partial/kept", ".evidenced-backup-mine/kept",
                 ".evidenced-backup-0.partial/kept"):
        assert (ledger.backups / name).read_text() == "somebody's"
    assert (ledger.backups / "y.partial" / "data.mdb").exists()


def test_a_backup_that_fails_leaves_nothing(ledger):
    before = content(ledger)
    # The copy would be longer than any file may be.
    resource.prlimit(ledger.pid, resource.RLIMIT_FSIZE, (16384, resource.RLIM_INFINITY))
    try:
        with pytest.raises(CallError) as failed:
            ledger.call("Backup", {"directory": f"{ledger.backups}/failed"})
    finally:
        resource.prlimit(ledger.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert failed.value.name == "Failed" and "File too large" in failed.value.parameters["reason"]
    assert content(ledger) == before


def test_without_descriptors_the_true_reason_is_said(ledger):
    with ledger.wire() as wire:
        wire.call("Status")
        limits = resource.prlimit(ledger.pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{ledger.pid}/fd"))
        resource.prlimit(ledger.pid, resource.RLIMIT_NOFILE, (used, limits[1]))
        try:
            with pytest.raises(CallError) as failed:
                wire.call("Backup", {"directory": f"{ledger.backups}/none"})
        finally:
            resource.prlimit(ledger.pid, resource.RLIMIT_NOFILE, limits)
    assert failed.value.name == "Failed" and "Too many open files" in failed.value.parameters["reason"]


def test_calls_dropped_before_their_turn_block_no_later_one(make_ledger):
    ledger = make_ledger().init().start()
    ledger.append(*[events.closure() for _ in range(1000)])
    reads = b"".join(message("ListEntries", {"limit": 1000}) for _ in range(40))
    for number in range(20):
        wire = ledger.wire()
        # The connection is gone before its reads are done and the backup's turn comes.
        wire.send(reads + message("Backup", {"directory": f"{ledger.backups}/dropped-{number}"}))
        wire.close()

    def served():
        try:
            return ledger.call("Backup", {"directory": f"{ledger.backups}/{time.monotonic_ns()}"})
        except CallError as error:
            assert error.name == "Busy", error

    assert wait_for(served, 20, "a backup")["size"] == ledger.size


def partials(ledger: Ledger) -> list:
    return list(ledger.backups.glob(".evidenced-backup-*"))


def test_a_daemon_that_ends_leaves_no_part_of_a_backup(make_ledger):
    ledger = make_ledger().init().start()
    # In calls of some 4 MB: one for all would be longer than a message may be.
    for _ in range(4 if LONG else 1):
        ledger.append(*[events.access(reason="r" * 4000) for _ in range(1000)])
    for _ in range(3):
        wire = ledger.wire()
        wire.send(message("Backup", {"directory": f"{ledger.backups}/at the end"}))
        os.kill(ledger.pid, signal.SIGTERM)
        assert ledger.wait() == 0, ledger.log_text()
        wire.close()
        assert not partials(ledger)
        ledger.start()


def test_what_a_killed_daemon_left_goes_with_the_next_backup(make_ledger):
    ledger = make_ledger().init().start()
    left = ledger.backups / ".evidenced-backup-1f.partial"
    left.mkdir()
    (left / "data.mdb").write_text("half a copy")
    ledger.call("Backup", {"directory": f"{ledger.backups}/next"})
    assert not left.exists()
    assert sorted(path.name for path in ledger.backups.iterdir()) == ["next"]


def test_the_copy_is_synced_before_it_has_its_name(make_ledger, tmp_path):
    ledger = make_ledger().init()
    pid = start_traced(ledger, tmp_path / "trace", "-y", "-xx", "-s", "4096", "-e", f"trace={','.join(FILE_CALLS)}")
    ledger.call("Backup", {"directory": str(ledger.backups / "b")})
    os.kill(pid, signal.SIGKILL)
    ledger.wait()
    calls = read_trace(tmp_path / "trace")
    named = next(number for number, call in enumerate(calls) if call.name.startswith("rename")
                 and unescape(call.arguments.split('"')[1]).endswith(b".partial"))
    file = next(call.path for call in calls if call.name in WRITES and str(call.path).endswith(".partial/data.mdb"))
    written = max(number for number, call in enumerate(calls) if call.name in WRITES and call.path == file)
    synced = {call.path for call in calls[written:named] if call.name in SYNCS and call.result == 0}
    assert {file, os.path.dirname(file)} <= synced
    assert str(ledger.backups) in {call.path for call in calls[named:] if call.name in SYNCS and call.result == 0}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_sync_that_fails_is_a_backup_that_fails(make_ledger, tmp_path, number):
    """Of the file, of its directory, of the directory that names it."""
    ledger = make_ledger().init().start()
    # Only now, so that no sync of the start is meant; who isn't root may be refused this.
    strace = subprocess.Popen(
        [require("strace"), "-f", "-p", str(ledger.pid), "-o", tmp_path / "trace", "-e", "trace=fsync",
         "-e", f"inject=fsync:error=EIO:when={number}"], stderr=subprocess.PIPE, text=True)
    if "attached" not in strace.stderr.readline():
        pytest.skip("strace can't attach to a running daemon here")
    with pytest.raises(CallError, match="Failed"):
        ledger.call("Backup", {"directory": str(ledger.backups / "b")})
    strace.terminate()
    strace.wait()
    assert not partials(ledger)
    if number < 3:
        assert not (ledger.backups / "b").exists()
