"""Creating a ledger: cut off at any call, failing at any call, or several at once, it makes one ledger or none, takes away
nothing that it has not made, and signs no second first entry under one key."""

import json
import subprocess
import time
from collections import Counter

import pytest

import events
import lockfile
from faults import sample
from ledger import Ledger, require
from traced import FILE_CALLS, read_trace

FAULTS = {"kill": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
TAKES_AWAY = ("unlink", "unlinkat", "rmdir")
EXISTS = 1


def command(ledger: Ledger, *wrapper) -> list[str]:
    return [*map(str, wrapper), str(ledger.bin / "evidence"), "init", "--config", str(ledger.config),
            "--origin", ledger.origin]


def begin(ledger: Ledger, *wrapper) -> subprocess.Popen:
    return subprocess.Popen(command(ledger, *wrapper), env=ledger.environment, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def traced(ledger: Ledger, trace, *options) -> subprocess.CompletedProcess:
    wrapper = [require("strace"), "-f", "-o", trace, "-y", "-e", f"trace={','.join(FILE_CALLS)}", *options]
    return subprocess.run(command(ledger, *wrapper), env=ledger.environment, text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60)


def parts(ledger: Ledger):
    return [path for path in (ledger.store / "data.mdb", ledger.lock, ledger.keyring) if path.exists()]


def works(ledger: Ledger):
    """What was created is one whole ledger."""
    assert not (ledger.store / "init.partial").exists()
    ledger.start()
    ledger.append(events.closure())
    assert ledger.stop() == 0, ledger.log_text()
    assert ledger.audit()["clean"]


def signed(ledger: Ledger) -> bytes | None:
    return lockfile.newest(ledger.lock).split(b"\n\n", 1)[1] if ledger.lock.exists() else None


@pytest.fixture
def cases(make_ledger, tmp_path) -> list[tuple[str, int]]:
    """Each call by which a creation changes a file, and how manieth of its name it is."""
    ledger = make_ledger("listed")
    assert traced(ledger, tmp_path / "list.trace").returncode == 0
    count, found = Counter(), []
    for call in read_trace(tmp_path / "list.trace"):
        count[call.thread, call.name] += 1
        if str(ledger.root) not in call.arguments:
            continue
        if call.name not in ("open", "openat") or "O_CREAT" in call.arguments:
            found.append((call.name, count[call.thread, call.name]))
    names = {name for name, _ in found}
    assert {"mkdir", "pwrite64", "fsync", "fdatasync", "renameat2", "unlink", "rmdir"} <= names, names
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_creation_that_fails_in_any_call_is_no_obstacle(make_ledger, tmp_path, cases, fault):
    for case in sample(cases, 14):
        name, number = case
        ledger = make_ledger()
        done = traced(ledger, tmp_path / "trace", "-e", f"inject={name}:{FAULTS[fault]}:when={number}")
        first, before = signed(ledger), parts(ledger)
        try:
            if fault != "kill" and done.returncode != 0 and first is None and name not in TAKES_AWAY:
                assert not before and not ledger.store.exists(), "something was left behind"
            again = ledger.admin("init", "--origin", ledger.origin, status=None)
            if again.returncode != 0:
                # The very last call: all was there.
                assert again.returncode == EXISTS and "exists" in again.stderr and len(before) == 3, again.stderr
            else:
                assert again.stdout.startswith(ledger.origin + "+")
            assert first in (None, signed(ledger)), "what was signed was signed again"
            works(ledger)
        except BaseException as error:
            error.add_note(f"{fault} in {name} number {number}: {done.returncode} {done.stdout} {done.stderr}")
            raise


def test_a_creation_that_is_cut_off_signed_goes_on_under_its_origin_and_key_alone(make_ledger, tmp_path):
    ledger = make_ledger()
    # The lock has its name; the store has not.
    traced(ledger, tmp_path / "trace", "-P", ledger.store, "-P", ledger.store / "init.partial/data.mdb",
           "-e", "inject=renameat2:signal=KILL:when=1")
    first = signed(ledger)
    assert first and not (ledger.store / "data.mdb").exists()
    # There is no ledger yet.
    assert ledger.run_until_exit() == 65 and "evidence init" in ledger.log_text()
    kept = ledger.keyring.read_bytes()
    for origin, keyring in (("example.com/other", kept), (ledger.origin, None)):
        ledger.keyring.unlink()
        if keyring:
            ledger.keyring.write_bytes(keyring)
            ledger.keyring.chmod(0o600)
        refused = ledger.admin("init", "--origin", origin, status=1).stderr
        assert "was cut off" in refused and ledger.origin in refused
        assert ledger.keyring.exists() == bool(keyring), "no keyring is left that nothing was created with"
        ledger.keyring.write_bytes(kept)
        ledger.keyring.chmod(0o600)
    assert signed(ledger) == first
    ledger.init()
    assert signed(ledger) == first
    works(ledger)
    assert "exists" in ledger.admin("init", "--origin", ledger.origin, status=1).stderr


def test_a_creation_never_takes_away_another_ledgers_lock(make_ledger, tmp_path):
    """Not even one that comes between its look and its own."""
    other, ledger = make_ledger().init(), make_ledger()
    ledger.lock.parent.mkdir()
    process = begin(ledger, require("strace"), "-f", "-o", "/dev/null", "-P", f"{ledger.lock}.new",
                    "-e", "inject=pwrite64:delay_enter=1000000:when=1")
    wait_for_path(ledger.lock.with_name(ledger.lock.name + ".new"))
    other.lock.rename(ledger.lock)
    content = ledger.lock.read_bytes()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1 and "exists" in said, said
    assert ledger.lock.read_bytes() == content and not ledger.store.exists() and not ledger.keyring.exists()
    ledger.lock.rename(other.lock)
    works(other)


def wait_for_path(path):
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


# Several at once


def ended(processes) -> list[tuple[int, str]]:
    return [(process.returncode, said) for process in processes for _, said in [process.communicate(timeout=60)]]


def test_of_several_at_once_one_makes_the_ledger(make_ledger):
    for number in range(15):
        ledger = make_ledger()
        ends = ended([begin(ledger) for _ in range(3)])
        assert sorted(status for status, _ in ends) == [0, EXISTS, EXISTS], ends
        assert all("exists" in said for status, said in ends if status), ends
        if number % 5 == 0:
            works(ledger)


def test_two_at_once_may_have_a_keyring_in_common(make_ledger):
    for number in range(10):
        first = make_ledger()
        second = make_ledger(keyring=first.keyring)
        ends = ended([begin(first), begin(second)])
        assert [status for status, _ in ends] == [0, 0], ends
        if number % 5 == 0:
            second.keyring = first.keyring
            works(first)
            works(second)


def test_of_two_with_one_lock_one_makes_its_ledger(make_ledger):
    for number in range(10):
        first = make_ledger()
        second = make_ledger(keyring=first.keyring, checkpoint_lock=first.lock)
        ends = ended([begin(first), begin(second)])
        assert sorted(status for status, _ in ends) == [0, EXISTS], ends
        made, other = (first, second) if ends[0][0] == 0 else (second, first)
        assert not other.store.exists()
        if number % 5 == 0:
            made.lock, made.keyring = first.lock, first.keyring
            works(made)


def test_a_keyring_that_another_creation_uses_is_not_taken_away(make_ledger):
    """The one that made it fails; the other one waits for that."""
    first = make_ledger()
    second = make_ledger(keyring=first.keyring)
    failing = begin(first, require("strace"), "-f", "-o", "/dev/null", "-P", f"{first.lock}.new",
                    "-e", "inject=pwrite64:error=EIO:delay_enter=1500000:when=1")
    wait_for_path(first.keyring)
    (status, said), other = ended([failing, begin(second)])
    assert status not in (0, None) and "Input/output error" in said and other[0] == 0, (said, other)
    second.keyring = first.keyring
    works(second)
    assert not first.store.exists() and not first.lock.exists()


def test_a_lock_and_a_keyring_may_be_links_that_lead_nowhere_yet(make_ledger, tmp_path):
    ledger = make_ledger()
    for path in (ledger.lock, ledger.keyring):
        path.parent.mkdir(exist_ok=True)
        (tmp_path / f"volume-of-{path.name}").mkdir()
        path.symlink_to(f"../../volume-of-{path.name}/{path.name}" if path == ledger.lock
                        else tmp_path / f"volume-of-{path.name}" / path.name)
    works(ledger.init())
    assert ledger.lock.is_symlink() and ledger.keyring.is_symlink()
    # A recovery leaves them links too, and what they lead to where it is.
    recovered = ledger.evidence_json("recover", "--config", ledger.config, "--reason", "moved")[0]
    assert ledger.lock.is_symlink() and ledger.keyring.is_symlink()
    volumes = {name: sorted(path.name for path in (tmp_path / f"volume-of-{name}").iterdir())
               for name in (ledger.lock.name, ledger.keyring.name)}
    assert volumes == {"checkpoint.lock": ["checkpoint.lock", "checkpoint.lock.incarnation-1"],
                       "keyring": ["keyring", "keyring.incarnation-1"]}
    works(ledger)
    # Nor is a link lost with the lock it led to.
    ledger.lock.resolve().unlink()
    ledger.admin("recover", "--reason", "lock-lost", "--without-checkpoint")
    assert ledger.lock.is_symlink() and recovered["incarnation"] > 1
    works(ledger)


def test_an_interrupted_creation_leaves_nothing_or_a_whole_ledger(make_ledger):
    for delay in (0.002, 0.005, 0.02, 0.05):
        ledger = make_ledger()
        process = begin(ledger)
        time.sleep(delay)
        process.terminate()
        process.communicate(timeout=30)
        if process.returncode != 0:
            assert not ledger.store.exists() and not ledger.lock.exists() and not ledger.keyring.exists()
            ledger.init()
        works(ledger)


def test_a_creation_that_was_interrupted_too_late_says_so_by_its_status(make_ledger, tmp_path):
    """Once the lock is signed nothing is taken back, and the signal has come too late."""
    ledger = make_ledger()
    process = begin(ledger, require("strace"), "-f", "-o", tmp_path / "trace", "-P", ledger.store / "data.mdb",
                    "-e", "inject=renameat2:delay_enter=1000000:when=1")
    wait_for_path(ledger.lock)
    for line in subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True,
                               check=True).stdout.split():
        subprocess.run(["kill", "-TERM", line], check=True)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 0 and out.startswith(ledger.origin), said
    works(ledger)


# Recoveries at once


def test_of_two_recoveries_at_once_the_second_goes_on_from_the_first(make_ledger):
    for _ in range(5):
        ledger = make_ledger().init()
        recover = [str(ledger.bin / "evidence"), "recover", "--config", str(ledger.config), "--reason", "moved", "--json"]
        both = [subprocess.Popen(recover, env=ledger.environment, text=True, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
        begun = [json.loads(out)["incarnation"] for process in both for out, _ in [process.communicate(timeout=60)]]
        assert [process.returncode for process in both] == [0, 0]
        kept = sorted(path.name for path in ledger.root.glob("keyring*"))
        assert kept == sorted(["keyring", "keyring.incarnation-1", f"keyring.incarnation-{min(begun)}"])
        works(ledger)


# File systems that can do less


def test_neither_links_nor_exclusive_renames_are_needed(make_ledger):
    """FAT and some of FUSE have none of them."""
    ledger = make_ledger()
    without = [require("strace"), "-f", "-o", "/dev/null", "-e", "trace=renameat2,link,linkat",
               "-e", "inject=renameat2:error=EINVAL", "-e", "inject=link,linkat:error=EPERM"]
    done = subprocess.run(command(ledger, *without), env=ledger.environment, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    again = subprocess.run(command(ledger, *without), env=ledger.environment, text=True, capture_output=True, timeout=60)
    assert again.returncode == EXISTS and "exists" in again.stderr
    works(ledger)
    keyring = ledger.keyring.read_bytes()
    recover = [*without, ledger.bin / "evidence", "recover", "--config", ledger.config, "--reason", "moved"]
    done = subprocess.run([*map(str, recover)], env=ledger.environment, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert ledger.keyring.with_name("keyring.incarnation-1").read_bytes() == keyring != ledger.keyring.read_bytes()
    assert ledger.lock.with_name("checkpoint.lock.incarnation-1").exists()
    works(ledger)
