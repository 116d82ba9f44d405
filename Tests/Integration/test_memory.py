"""Where the daemon's keys are while it runs: in locked memory that no core dump has, and in no text. And who may look."""

import base64
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

import events

#: A user who has nothing else; that it has no name is no matter.
SOMEBODY = 60_999
#: Flags of a mapping (proc_pid_smaps(5)): locked, and left out of core dumps.
PROTECTED = {"lo", "dd"}


def mappings(pid: int):
    """Start, end and flags of each mapping of a process that it can write."""
    found = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ", line):
            start, end = int(match[1], 16), int(match[2], 16)
            is_written = match[3][1] == "w"
        elif line.startswith("VmFlags:") and is_written:
            found.append((start, end, set(line.split()[1:])))
    return found


def places(pid: int, secret: bytes) -> list[bool]:
    """Wherever a secret stands in a process's memory: whether that is protected."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for start, end, flags in mappings(pid):
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, OverflowError):
                continue  # pages that nobody may read
            found += [PROTECTED <= flags] * content.count(secret)
    return found


def keys(ledger) -> dict[str, bytes]:
    lines = ledger.keyring.read_text().splitlines()[1:]
    return {name: base64.b64decode(text) for name, text in (line.split(" ") for line in lines)}


def test_keys_are_in_protected_memory_only(ledger):
    for number in range(20):
        deposited = ledger.append(events.deposit(b"%d" % number), events.registration())["receipts"]
        ledger.call("Open", {"index": deposited[0]["index"]})
        ledger.call("FindByDigest", {"digest": "0" * 64})
    held = keys(ledger)
    # libcrypto's own copies lie in its contexts, which it wipes: one of the signing key and of HMAC's, and those of AES,
    # whose first round keys are the key itself.
    own = {"checkpoint-ed25519": 1, "keys-master": 1, "index-hmac": 1}
    for name, key in held.items():
        found = places(ledger.pid, key)
        assert any(found) and found.count(False) <= own[name], f"{name}: {found}"
    for name, key in held.items():
        assert places(ledger.pid, base64.b64encode(key)) == [], f"the text of {name}"


def test_little_locked_memory_is_said_and_does_for_a_ledger(make_ledger):
    prlimit = shutil.which("prlimit")
    assert prlimit
    ledger = make_ledger().init()
    wrapper = [prlimit, "--memlock=65536"]
    if os.geteuid() == 0:
        # Root may lock what it likes.
        wrapper = as_somebody(ledger) + wrapper
    ledger.start(wrapper=wrapper)
    ledger.append(events.deposit(b"x"))
    assert "keys may be swapped out" in ledger.log_text()
    assert ledger.stop() == 0


def as_somebody(ledger) -> list:
    """Gives a stopped ledger to another user; what its daemon is started with."""
    for path in [ledger.root, *ledger.root.rglob("*")]:
        os.chown(path, SOMEBODY, SOMEBODY)
    for parent in ledger.root.parents:
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o001)
    setpriv = shutil.which("setpriv")
    assert setpriv
    return [setpriv, f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]


@pytest.fixture
def guarded(make_ledger):
    """A ledger that is closed to tracing, whoever runs the tests, and what to start it with."""
    ledger = make_ledger(traceable=None)
    ledger.configure(**{"principal.somebody": f"uid:{SOMEBODY}", "role.somebody": "submitter"}) if os.geteuid() == 0 else None
    ledger.init()
    return ledger, as_somebody(ledger) if os.geteuid() == 0 else []


def test_nobody_of_its_own_user_may_look(guarded):
    ledger, wrapper = guarded
    ledger.start(wrapper=wrapper)
    # What a process that is closed to tracing has in /proc is root's.
    assert Path(f"/proc/{ledger.pid}/mem").stat().st_uid == 0
    limit = re.search(r"Max core file size +(\S+) +(\S+)", Path(f"/proc/{ledger.pid}/limits").read_text())
    assert limit.groups() == ("0", "0")
    assert ledger.stop() == 0
    ledger.configure(traceable="yes")
    ledger.start(wrapper=wrapper)
    assert Path(f"/proc/{ledger.pid}/mem").stat().st_uid == (SOMEBODY if wrapper else os.geteuid())


@pytest.mark.parametrize("sent", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_is_still_explained(guarded, sent):
    ledger, wrapper = guarded
    swift = shutil.which("swift")
    backtrace = swift and Path(swift).resolve().parent.parent / "libexec/swift/linux/swift-backtrace-static"
    if not backtrace or not os.access(backtrace, os.X_OK):
        pytest.skip("no swift-backtrace")
    settings = f"enable=yes,swift-backtrace={backtrace},color=no,interactive=no,registers=none,output-to=stderr"
    ledger.start(wrapper=wrapper, env={"SWIFT_BACKTRACE": settings})
    ledger.process.send_signal(sent)
    assert ledger.wait(60) == -sent
    log = ledger.log_text()
    assert f"Signal {int(sent)}" in log and " in " in log and "evidenced" in log.partition("Images")[2], log
