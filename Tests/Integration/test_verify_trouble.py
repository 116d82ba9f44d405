"""`evidence verify` on a computer that does not do as it should: no verdict, and no ill of the bundle."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bundle_containers import write, zipped
from faults import sample
from ledger import require
from page_bundles import INDEPENDENT, PAGE, Ledger, archive, new_stream

NOT_CHECKED = 71


@pytest.fixture(scope="module")
def forms(members, tmp_path_factory) -> list[Path]:
    """The bundle in what it may lie in: as it was issued, packed anew, and as a folder."""
    directory = tmp_path_factory.mktemp("forms")
    (directory / "issued.zip").write_bytes(archive(members))
    (directory / "packed.zip").write_bytes(zipped(members))
    return [directory / "issued.zip", directory / "packed.zip", write(members, directory / "case")]


@pytest.fixture
def verify(bin, lease):
    def run(path, *options, wrapper=(), **more):
        command = [*wrapper, bin / "evidence", "verify", path, "--key", lease.vkey, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)
    return run


def not_checked(done) -> bool:
    said = done.stdout + done.stderr
    return done.returncode == NOT_CHECKED and "FAILED" not in said and "MATCH" not in said and "intact" not in said


def test_a_disk_that_gives_errors_is_no_fault_of_the_bundle(verify, forms, tmp_path):
    for path in forms:
        seen = set()
        for call in ("openat", "read", "pread64", "lseek", "fstat,newfstatat,statx", "getdents64"):
            # Every call on the files in question fails once, from the first on.
            for turn in sample(list(range(1, 40)), 6):
                trace = tmp_path / "trace"
                below = [option for each in ([path, *sorted(path.rglob("*"))] if path.is_dir() else [path])
                         for option in ("-P", each)]
                done = verify(path, wrapper=[require("strace"), "-f", "-o", trace, *below, "-e", f"trace={call}",
                                             "-e", f"inject={call}:error=EIO:when={turn}"])
                if "(INJECTED)" not in trace.read_text():
                    assert done.returncode == 0, (path, call, turn, done)
                    break
                # A call whose failure is of no matter may be one, too.
                assert done.returncode == 0 or not_checked(done), (path, call, turn, done)
                seen.add(done.returncode)
        assert NOT_CHECKED in seen, path


def test_a_process_that_may_open_no_more_files_says_so(verify, forms):
    for path in forms:
        seen = set()
        for count in range(3, 16):
            done = verify(path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count)))
            if "error while loading shared libraries" in done.stderr:
                continue
            assert done.returncode == 0 or not_checked(done), (path, count, done)
            seen.add(done.returncode)
        assert seen == {0, NOT_CHECKED}, path


def test_it_is_said_in_both_languages_and_to_programs(verify, forms):
    """Also where something else would have failed: what is said rests on nothing that was read."""
    folder = forms[2]
    strange = folder / "a file that is no member"
    strange.write_text("x")
    last = sorted(path for path in folder.rglob("*") if path.is_file())[-1]
    wrapper = [require("strace"), "-f", "-o", "/dev/null", "-P", last, "-e", "trace=read", "-e", "inject=read:error=EIO"]
    try:
        assert verify(folder).returncode == 1
        done = verify(folder, wrapper=wrapper)
        assert not_checked(done) and done.stdout.startswith("NOT CHECKED: this computer could not make the checks: ")
        assert last.name in done.stdout and "Input/output error" in done.stdout and done.stdout.count("\n") == 1
        done = verify(folder, "--chinese", wrapper=wrapper)
        assert not_checked(done) and "未能核验：本计算机无法完成核验（" in done.stdout
        done = verify(folder, "--json", wrapper=wrapper)
        report = json.loads(done.stdout)
        assert done.returncode == NOT_CHECKED and report["verdict"] == "not-checked" and report["passed"] is False
        assert {check["outcome"] for check in report["checks"]} == {"unchecked"} and report["container"] is None
        assert "Input/output error" in report["trouble"]["en"] and last.name in report["trouble"]["zh"]
    finally:
        strange.unlink()
    assert json.loads(verify(folder, "--json").stdout)["trouble"] is None


def test_no_room_for_a_copy_is_no_fault_of_what_is_copied(verify, forms):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    with forms[0].open("rb") as content:
        done = verify("-", stdin=content, preexec_fn=limit)
    assert not_checked(done) and "can't be copied to /tmp: File too large" in done.stderr, done


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_no_fault_of_the_bundle(verify, forms):
    for path in (forms[2] / "checkpoint", forms[2] / "entries"):
        mode = path.stat().st_mode
        path.chmod(0)
        try:
            assert not_checked(verify(forms[2])), path
        finally:
            path.chmod(mode)


# The independent verifier


def independent(path, key, wrapper=(), **more):
    command = [*wrapper, sys.executable, INDEPENDENT, "bundle", path, "--key", key]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)


def test_the_independent_verifier_calls_no_bundle_bad_for_an_error_of_the_disk(lease, forms):
    for path, inner, call in ((forms[0], forms[0], "read"), (forms[2], forms[2] / "checkpoint", "read"),
                              (forms[2], forms[2] / "entries", "getdents64"), (forms[2], forms[2] / "entries", "openat")):
        wrapper = [require("strace"), "-f", "-o", "/dev/null", "-P", inner, "-e", f"trace={call}", "-e", f"inject={call}:error=EIO"]
        done = independent(path, lease.vkey, wrapper)
        assert done.returncode == NOT_CHECKED and "NOT CHECKED" in done.stderr and "REFUSED" not in done.stderr, (inner, call, done)


def test_the_independent_verifier_needs_sm3_where_it_is_open_only(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("""import hashlib
new = hashlib.new
def without(name, *rest, **more):
    if name == "sm3":
        raise ValueError("unsupported hash type sm3")
    return new(name, *rest, **more)
hashlib.new = without
""")
    document, body = b"text of a contract", {"channel": "api", "media_type": "text/plain", "product": "deposit"}
    for names in (("sha256",), ("sha256", "sm3")):
        ledger, thing = Ledger(), new_stream("object")
        index = ledger.append("evidence.deposited", [thing], body, {thing: {n: hashlib.new(n, document).hexdigest() for n in names}})
        path = tmp_path / f"{len(names)}.zip"
        path.write_bytes(archive(ledger.bundle(PAGE, [thing], originals=[(index, "txt", document)])))
        assert independent(path, ledger.keys[0][1].vkey).returncode == 0
        done = independent(path, ledger.keys[0][1].vkey, env=os.environ | {"PYTHONPATH": str(tmp_path)})
        assert done.returncode == (NOT_CHECKED if "sm3" in names else 0), done
        assert "REFUSED" not in done.stderr
