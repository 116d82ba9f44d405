"""The configuration file, as `evidenced --check-config` and a start read it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from faults import wait_for


def daemon(ledger, *args) -> subprocess.CompletedProcess:
    command = [ledger.bin / "evidenced", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, env=ledger.environment, timeout=30)


def test_a_correct_configuration_is_told_and_nothing_is_touched(make_ledger):
    ledger = make_ledger()
    done = daemon(ledger, "--config", ledger.config, "--check-config")
    # The tests keep all in one place, which may be unwise and is correct.
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("evidenced: warning: checkpoint-lock and store lie")
    assert str(ledger.config) in done.stdout and "1 principals" in done.stdout
    assert not ledger.store.exists() and not ledger.socket.exists()


@pytest.mark.parametrize("what, mode, said", [
    ("store", 0o755, "store: {} may be read by others"), ("store", 0o702, "store: {} may be written to by others"),
    ("data", 0o602, "store: {} may be written to by others"), ("lock", 0o602, "checkpoint-lock: {} may be written to by others"),
    ("lock directory", 0o705, "checkpoint-lock: {} may be read by others"), ("index", 0o707, "index: {} may be written to"),
    ("keyring", 0o604, "keyring: {} may be read by others"), ("configuration", 0o646, "configuration: {} may be written to"),
    ("root", 0o757, "store: {} may be written to by others"),
])
def test_what_others_may_get_at_is_a_warning(make_ledger, what, mode, said):
    ledger = make_ledger().init().start()
    assert not [warning for warning in ledger.call("Status")["warnings"] if "others" in warning]
    assert ledger.stop() == 0
    path = {"store": ledger.store, "data": ledger.store / "data.mdb", "lock": ledger.lock, "lock directory": ledger.lock.parent,
            "index": ledger.index, "keyring": ledger.keyring, "configuration": ledger.config, "root": ledger.root}[what]
    path.chmod(mode)
    done = daemon(ledger, "--config", ledger.config, "--check-config")
    said = said.format(path)
    assert done.returncode == 0 and said in done.stderr and f"(mode {mode:o})" in done.stderr, done.stderr
    assert done.stderr.count(f"{path} may be ") == 1
    # A start refuses the keyring, knows nothing of the configuration's file, and makes a new lock.
    if what not in ("keyring", "configuration", "lock"):
        ledger.start()
        assert [warning for warning in ledger.call("Status")["warnings"] if warning.startswith(said)]
        # The daemon serves before it has logged what is unwise.
        wait_for(lambda: said in ledger.log_text(), 10, "the warning in the log")
    # In a directory with the sticky bit nobody takes away what is another's.
    if path.is_dir():
        path.chmod(0o1702)
        assert "written to" not in daemon(ledger, "--config", ledger.config, "--check-config").stderr


def test_the_reference_is_a_configuration_that_changes_nothing(make_ledger, tmp_path):
    ledger = make_ledger()
    reference = daemon(ledger, "--help-config").stdout
    for number, text in enumerate((reference, re.sub(r"(?m)^#(?=[a-z-]+ = )", "", reference))):
        path = tmp_path / f"{number}.conf"
        path.write_text(text)
        done = daemon(ledger, "--config", path, "--check-config")
        assert done.returncode == 0 and "0 principals" in done.stdout, done.stderr
    named = set(re.findall(r"(?m)^#([a-z-]+) = ", reference))
    assert {"store", "index", "checkpoint-lock", "keyring", "socket", "map-limit", "queue-events", "log-level"} <= named


ME = f"principal.a = uid:{os.getuid()}\nrole.a = reader\n"
BAD = [
    ("unknown-key = 1", 1, "unknown-key"), ("store", 1, None), ("store =", 1, "store"), ("= /x", 1, ""),
    ("store = relative", 1, "store"), ("store = /a/../b", 1, "store"), ("store = /a/", 1, "store"),
    ("# one\n\nstore = /a\nstore = /b", 4, "store"), ("socket = /" + "x" * 107, 1, "socket"),
    ("map-size = 1", 1, "map-size"), ("map-size = 1X", 1, "map-size"), ("map-size = -1M", 1, "map-size"),
    ("map-limit = 99999999999T", 1, "map-limit"), ("readers = 15", 1, "readers"), ("readers = 1e3", 1, "readers"),
    ("queue-events = 0", 1, "queue-events"), ("socket-mode = 9", 1, "socket-mode"),
    ("socket-mode = 1777", 1, "socket-mode"),
    ("log-level = loud", 1, "log-level"), ("idle-timeout = 86401", 1, "idle-timeout"), ("store = /a\x01b", 1, "store"),
    ("map-size = 64M\nmap-limit = 32M", 2, "map-limit"), ("store = /a\nindex = /a", 2, "index"),
    ("store = /a\ncheckpoint-lock = /a/lock", 2, "checkpoint-lock"),
    (ME + "role.b = reader", 3, "role.b"), ("principal.a = uid:1", 1, "principal.a"),
    (ME + "types.a = evidence.*", 3, "types.a"),
    (ME + ME.replace(".a", ".b"), 3, "principal.b"),
    ("principal.evidenced = uid:1", 1, "principal.evidenced"), ("principal.A = uid:1", 1, "principal.A"),
    ("principal.a = uid:1\nrole.a = king", 2, "role.a"), ("principal.a = uid:1\nrole.a = reader,", 2, "role.a"),
    ("principal.a = user:no-such-user-here\nrole.a = reader", 1, "principal.a"),
    ("principal.a = root\nrole.a = reader", 1, "principal.a"),
    ("principal.a = uid:1\nrole.a = submitter\ntypes.a = system.*", 3, "types.a"),
    ("principal.a = uid:1\nrole.a = submitter\ntypes.a = no.such", 3, "types.a"),
]


@pytest.mark.parametrize("text, line, key", BAD, ids=[row[0].replace("\n", " | ")[:60] for row in BAD])
def test_a_wrong_configuration_is_refused_by_line_and_key(make_ledger, tmp_path, text, line, key):
    path = tmp_path / "bad.conf"
    path.write_text(text + "\n")
    for args in (["--check-config"], []):
        done = daemon(make_ledger("l"), "--config", path, *args)
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.count("\n") == 1 and f"{path}: line {line}: " in done.stderr
        assert key is None or key in done.stderr


def test_a_configuration_that_can_t_be_read_is_refused(make_ledger, tmp_path):
    ledger = make_ledger()
    (tmp_path / "latin").write_bytes(b"store = /\xff\n")
    (tmp_path / "large").write_bytes(b"#" * (2 << 20))
    for path in (tmp_path / "missing", tmp_path, tmp_path / "latin", tmp_path / "large"):
        done = daemon(ledger, "--config", path, "--check-config")
        assert done.returncode == 78 and str(path) in done.stderr


@pytest.mark.parametrize("args", [["--no-such"], ["extra"], ["--config"]])
def test_wrong_usage_of_the_daemon_is_64(make_ledger, args):
    assert daemon(make_ledger(), *args).returncode == 64


def test_a_crash_report_shows_no_memory():
    """Registers come with the bytes they point at, which may be a key or somebody's name."""
    unit = (Path(__file__).resolve().parents[2] / "systemd" / "evidenced.service").read_text()
    [settings] = re.findall(r"(?m)^Environment=SWIFT_BACKTRACE=(.*)$", unit)
    assert {"registers=none", "enable=yes"} <= set(settings.split(","))


@pytest.mark.parametrize("key, place", [
    ("index", "link"), ("index", "link/index"), ("index", "store/index"), ("index", "./store"), ("index", "."),
    ("checkpoint_lock", "link/lock"), ("checkpoint_lock", "store/\u0301lock"), ("checkpoint_lock", "index/lock"),
    ("keyring", "link/keyring"), ("keyring", "lock/checkpoint.lock"), ("backup_root", "store/backups"),
])
def test_places_are_compared_not_spellings(make_ledger, key, place):
    """What lies in the store or the index, or is one of them by a link, would be written over."""
    ledger = make_ledger().init()
    os.symlink("store", ledger.root / "link")
    path = f"{ledger.root}/{place}" if place != "." else str(ledger.root)
    ledger.configure(**{key: path})
    before = (ledger.store / "data.mdb").read_bytes()
    for args in (["--check-config"], []):
        done = daemon(ledger, "--config", ledger.config, *args)
        assert done.returncode == 78 and key.replace("_", "-") in done.stderr, done.stderr
    assert (ledger.store / "data.mdb").read_bytes() == before
