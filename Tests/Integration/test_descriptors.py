"""Both programs started with descriptors 0, 1 and 2 closed: what they print and log goes into no file of a ledger."""

import os
import re
import signal
import subprocess
from itertools import combinations

import pytest

import events
from ledger import ORIGIN, die_with_parent, require

CLOSED = [closed for count in (1, 2, 3) for closed in combinations((0, 1, 2), count)]


def closing(descriptors):
    """For the child before it runs the program."""

    def close():
        die_with_parent()
        for descriptor in descriptors:
            os.close(descriptor)

    return close


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: "".join(map(str, closed)))
def test_the_daemon_logs_into_no_file_of_its_own(audited, closed):
    first = audited.start().size
    assert audited.stop() == 0
    # A ledger with a history: pages in use are where a line would go first.
    process = subprocess.Popen(
        [audited.bin / "evidenced", "--config", audited.config], cwd=audited.root, env=audited.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=closing(closed),
    )
    audited.process = process
    audited.wait_until_ready()
    opened = {number: os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (0, 1, 2)}
    assert opened == dict.fromkeys((0, 1, 2), "/dev/null")
    before = audited.size
    receipts = [audited.append(events.deposit(b"%d" % number))["receipts"][0] for number in range(3)]
    with audited.wire() as wire:
        for _ in range(100):
            wire.call("Open", {"index": receipts[0]["index"]})  # each is a line of the log
    process.send_signal(signal.SIGTERM)
    assert audited.wait() == 0
    for path in [*audited.store.iterdir(), *audited.index.iterdir(), audited.lock, audited.keyring]:
        content = path.read_bytes()
        assert b"<5>" not in content and b"serving" not in content and b"opened" not in content, path
    assert before > first and audited.audit()["clean"]
    audited.start()
    for receipt in receipts:
        assert audited.entry(receipt["index"]), "it was acknowledged"


def run(ledger, closed, trace, *args):
    """Runs `evidence` with descriptors closed: no file or socket it opens gets the number of one. Output that nobody can
    get may be a failure, nothing else."""
    closing_shell = 'exec "$0" "$@" ' + " ".join("0<&-" if number == 0 else f"{number}>&-" for number in closed)
    done = subprocess.run(
        [require("strace"), "-f", "-qq", "-e", "trace=open,openat,creat,socket", "-e", "signal=none", "-o", trace,
         "sh", "-c", closing_shell, ledger.bin / "evidence", *map(str, args)],
        cwd=ledger.root, env=ledger.environment, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, preexec_fn=die_with_parent,
    )
    assert done.returncode == 0 or 1 in closed, f"{args}: {done.returncode}"
    # What the loader opens is closed again before the program begins.
    own = [line for line in trace.read_text(errors="replace").splitlines()
           if "socket(" in line or str(ledger.root.parent) in line]
    low = [line for line in own if re.search(r"= [012]$", line)]
    assert own and not low, low


def content(directory) -> dict:
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: "".join(map(str, closed)))
def test_commands_on_files_make_whole_ones(make_ledger, tmp_path, closed):
    ledger, trace = make_ledger(), tmp_path / "trace"
    run(ledger, closed, trace, "init", "--config", ledger.config, "--origin", ORIGIN)
    assert ledger.audit()["clean"]
    run(ledger, closed, trace, "audit", "--config", ledger.config)
    run(ledger, closed, trace, "recover", "--config", ledger.config, "--reason", "moved")
    assert ledger.audit()["clean"]
    ledger.start()
    # Numbers of later incarnations are drawn.
    assert ledger.size == 4 and ledger.call("Status")["incarnation"] > 1


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: "".join(map(str, closed)))
def test_commands_that_ask_write_what_they_write_otherwise(shared, tmp_path, closed):
    trace, document = tmp_path / "trace", tmp_path / "a.pdf"
    document.write_bytes(b"a document" + bytes(closed))
    run(shared, closed, trace, "deposit", "--digest-only", document, "--proof-dir", tmp_path / "proofs")
    index = shared.size - 1
    # Once with all open, once with some closed, of the same ledger at the same size.
    for name, how in (("open", ()), ("closed", closed)):
        made = tmp_path / name
        made.mkdir()
        run(shared, how, trace, "prove", index, "-o", made / "proof", "--entry-out", made / "entry")
        run(shared, how, trace, "bundle", "--index", index, "-o", made / "case.zip")
        run(shared, how, trace, "tiles", "export", made / "tiles")
        run(shared, how, trace, "backup", shared.backups / f"{name}{closed}")
    assert content(tmp_path / "closed") == content(tmp_path / "open")
    proofs = content(tmp_path / "proofs")
    assert sorted(map(str, proofs)) == ["a.pdf.entry.json", "a.pdf.tlog-proof"]
    shared.evidence("verify", tmp_path / "proofs" / "a.pdf.tlog-proof", "--entry",
                    tmp_path / "proofs" / "a.pdf.entry.json", "--key", shared.vkey)
    backup = shared.backups / f"closed{closed}"
    shared.evidence("audit", "--store", backup, "--copy", "--keyring", shared.keyring)


def test_reading_from_a_closed_descriptor_fails_and_is_not_an_empty_input(shared):
    before = shared.size
    done = subprocess.run(
        [shared.bin / "evidence", "submit", "-"], cwd=shared.root, env=shared.environment, timeout=60,
        capture_output=True, text=True, preexec_fn=closing((0,)),
    )
    assert done.returncode != 0 and "Bad file descriptor" in done.stderr and shared.size == before
