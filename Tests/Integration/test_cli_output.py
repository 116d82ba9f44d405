"""What the commands write: into files, pipes and devices, on full disks, interrupted, and on standard output."""

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import time
import zipfile

import pytest

import events
from ledger import die_with_parent, require


@pytest.fixture(scope="module")
def deposited(shared, tmp_path_factory):
    """A document and the index of its entry."""
    document = tmp_path_factory.mktemp("deposited") / "contract.pdf"
    document.write_bytes(b"%PDF the only copy")
    return document, shared.evidence_json("deposit", "--digest-only", document)[0]["index"]


def writers(index, document):
    """Commands that write one file: to its path."""
    return {
        "bundle": lambda path: ["bundle", "--index", index, "--open", "all", "-o", path],
        "prove": lambda path: ["prove", index, "-o", path],
        "entry": lambda path: ["prove", index, "-o", os.devnull, "--entry-out", path],
    }


WRITERS = ["bundle", "prove", "entry"]


@pytest.fixture(params=WRITERS)
def writer(request, shared, deposited):
    document, index = deposited
    return writers(index, document)[request.param]


def test_a_new_file_is_there_alone(shared, writer, tmp_path):
    shared.evidence(*writer(tmp_path / "new"))
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new").stat().st_nlink == 1


def test_a_file_that_exists_is_replaced_with_force_only(shared, writer, tmp_path):
    path = tmp_path / "old"
    path.write_bytes(b"mine")
    path.chmod(0o600)
    done = shared.evidence(*writer(path), status=73)
    assert str(path) in done.stderr and "--force" in done.stderr and path.read_bytes() == b"mine"
    shared.evidence(*writer(path), "--force")
    assert path.read_bytes() != b"mine" and stat.S_IMODE(path.stat().st_mode) == 0o600
    shared.evidence(*writer(path), "--force")
    assert [each.name for each in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_what_is_no_file_stays_what_it_is(shared, writer, tmp_path, force):
    (tmp_path / "real").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "directory").mkdir()
    before = sorted(tmp_path.iterdir())
    for name in ("link", "dangling", "directory", "missing/x", "real/x", "new/"):
        shared.evidence(*writer(f"{tmp_path}/{name}"), *force, status=73)
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "real").read_bytes() == b"mine"
    assert (tmp_path / "link").is_symlink() and (tmp_path / "dangling").is_symlink()


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_pipes_and_devices_are_written_to(shared, writer, tmp_path, force):
    fifo, file = tmp_path / "fifo", tmp_path / "file"
    os.mkfifo(fifo)
    shared.evidence(*writer(file))
    with open(tmp_path / "read", "wb") as read:
        reader = subprocess.Popen(["cat", fifo], stdout=read, preexec_fn=die_with_parent)
    shared.evidence(*writer(fifo), *force)
    assert reader.wait(30) == 0 and stat.S_ISFIFO(fifo.stat().st_mode)
    assert (tmp_path / "read").read_bytes() == file.read_bytes()
    for target in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        done = subprocess.run([shared.bin / "evidence", *map(str, writer(target)), *force], cwd=tmp_path,
                              env=shared.environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert done.returncode == 0 and done.stdout == file.read_bytes(), (target, done.stderr)
        with open(tmp_path / "redirected", "wb") as redirected:
            subprocess.run([shared.bin / "evidence", *map(str, writer(target)), *force], cwd=tmp_path, check=True,
                           env=shared.environment, stdin=subprocess.DEVNULL, stdout=redirected, timeout=60)
        assert (tmp_path / "redirected").read_bytes() == file.read_bytes()
    shared.evidence(*writer("/dev/null"), *force)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert "No space left" in shared.evidence(*writer("/dev/full"), *force, status=74).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "file", "read", "redirected"]


@pytest.mark.parametrize("how", ["itself", "hard-link", "symbolic-link", "respelt"])
@pytest.mark.parametrize("option", ["--file", "--original"])
def test_an_input_is_never_the_output(shared, deposited, tmp_path, how, option):
    document, index = deposited
    inside = tmp_path / "contract.pdf"
    shutil.copy(document, inside)
    target = tmp_path / "target.zip"
    if how == "hard-link":
        os.link(inside, target)
    elif how == "symbolic-link":
        target.symlink_to(inside)
    else:
        target = inside if how == "itself" else f"{tmp_path}/./../{tmp_path.name}/contract.pdf"
    selection = ["--index", index] if option == "--original" else []
    for force in ([], ["--force"]):
        shared.evidence("bundle", *selection, option, inside, "--open", "all", "-o", target, *force, status=73)
        assert inside.read_bytes() == document.read_bytes()


def test_key_and_checkpoint_are_inputs_too(shared, deposited, tmp_path):
    key, note = tmp_path / "key", tmp_path / "note"
    key.write_text(shared.vkey + "\n")
    note.write_text(shared.call("GetCheckpoint")["checkpoint"])
    shared.append(events.closure())
    for option, path in (("--key", key), ("--checkpoint", note)):
        before = path.read_bytes()
        shared.evidence("bundle", "--index", deposited[1], option, path, "-o", path, "--force", status=73)
        assert path.read_bytes() == before


def test_two_outputs_are_never_one_file(shared, deposited, tmp_path):
    index = deposited[1]
    (tmp_path / "old").write_bytes(b"mine")
    os.link(tmp_path / "old", tmp_path / "same")
    for proof, entry, force in (("x", "x", []), ("x", "./x", []), ("old", "same", ["--force"]), ("-", "-", []),
                                ("-", "/dev/stdout", [])):
        shared.evidence("prove", index, "-o", proof, "--entry-out", entry, *force, cwd=tmp_path, status=73)
    for args in (["prove", index, "--json", "-o", "-"], ["prove", index, "--json", "--entry-out", "-"],
                 ["bundle", "--index", index, "--json", "-o", "-"]):
        shared.evidence(*args, cwd=tmp_path, status=64)
    # The file that standard output was sent to.
    with open(tmp_path / "out", "wb") as out:
        done = subprocess.run([shared.bin / "evidence", "prove", str(index), "-o", "out", "--force"], cwd=tmp_path,
                              env=shared.environment, stdin=subprocess.DEVNULL, stdout=out, timeout=60)
    assert done.returncode == 73
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "out", "same"]


def test_a_bundle_that_fails_leaves_the_older_one(shared, deposited, tmp_path):
    path = tmp_path / "case.zip"
    shared.evidence("bundle", "--index", deposited[1], "-o", path)
    before = path.read_bytes()
    shared.evidence("bundle", "--index", 10**9, "-o", path, "--force", status=1)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_write_that_is_cut_off_leaves_the_older_file(shared, writer, tmp_path, blocks):
    path, whole = tmp_path / "old", tmp_path / "whole"
    path.write_bytes(b"mine")
    shared.evidence(*writer(whole))
    limited = f"ulimit -f {blocks}; exec \"$0\" \"$@\""
    done = subprocess.run(["bash", "-c", limited, shared.bin / "evidence", *map(str, writer(path)), "--force"],
                          cwd=tmp_path, env=shared.environment, capture_output=True, timeout=60)
    if done.returncode == 0:
        assert blocks and path.read_bytes() == whole.read_bytes()
    else:
        assert path.read_bytes() == b"mine"
    assert sorted(tmp_path.iterdir()) == [path, whole]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_of_an_interrupted_bundle(shared, tmp_path, sent):
    """Stopped at several moments of its writing; the last run is let go on."""
    large = tmp_path / "large.bin"
    with open(large, "wb") as file:
        file.truncate(48 << 20)
    shared.evidence("deposit", "--digest-only", large)
    target = tmp_path / "case.zip"
    command = [shared.bin / "evidence", "bundle", "--file", str(large), "--open", "all", "-o", str(target)]
    interrupted = 0
    for pause in (0.0, 0.1, 0.3):
        process = subprocess.Popen(command, env=shared.environment, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline and not writes(process.pid, tmp_path):
            time.sleep(0.002)
        time.sleep(pause)
        process.send_signal(sent)
        if process.wait(60) == -sent:
            interrupted += 1
            assert sorted(path.name for path in tmp_path.iterdir()) == ["large.bin"]
        else:
            target.unlink()
    assert interrupted


def writes(pid: int, directory) -> bool:
    """Whether the process has a file of this directory open that has no name there yet, or a passing one."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return any(link.startswith(str(directory)) and ("(deleted)" in link or ".part" in link) for link in links)


def test_where_files_need_a_name_a_passing_one_is_removed(shared, deposited, tmp_path):
    """Without O_TMPFILE, as on NFS: a signal, a failure and success leave nothing beside."""
    index = deposited[1]
    script = tmp_path / "nameless.so"
    (tmp_path / "nameless.c").write_text(NO_NAMELESS)
    subprocess.run([require("cc"), "-shared", "-fPIC", "-o", script, tmp_path / "nameless.c", "-ldl"], check=True)
    out = tmp_path / "out"
    out.mkdir()
    env = {"LD_PRELOAD": str(script)}
    (out / "old").write_bytes(b"mine")
    shared.evidence("bundle", "--index", index, "-o", out / "a.zip", env=env)
    shared.evidence("prove", index, "-o", out / "old", "--force", "--entry-out", out / "e", env=env)
    shared.evidence("prove", index, "-o", out / "a.zip", env=env, status=73)
    shared.evidence("bundle", "--index", 10**9, "-o", out / "b.zip", env=env, status=1)
    assert sorted(path.name for path in out.iterdir()) == ["a.zip", "e", "old"]
    large = tmp_path / "large.bin"
    with open(large, "wb") as file:
        file.truncate(48 << 20)
    shared.evidence("deposit", "--digest-only", large)
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = subprocess.Popen(
            [shared.bin / "evidence", "bundle", "--file", str(large), "-o", str(out / "c.zip")], stdin=subprocess.DEVNULL,
            env=shared.environment | env, preexec_fn=die_with_parent, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not any(".part" in path.name for path in out.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(sent)
        assert process.wait(60) == -sent
        assert sorted(path.name for path in out.iterdir()) == ["a.zip", "e", "old"]


NO_NAMELESS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
static int refuse(int flags) { return (flags & O_TMPFILE) == O_TMPFILE; }
#define WRAP(name)                                                              \
    int name(const char *path, int flags, ...) {                                \
        va_list list; va_start(list, flags); int mode = va_arg(list, int); va_end(list); \
        if (refuse(flags)) { errno = EOPNOTSUPP; return -1; }                   \
        return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode); \
    }
WRAP(open)
WRAP(open64)
"""


# Standard output


def everything(ledger, document, tmp_path):
    """Every command, with arguments that make it print."""
    index = ledger.evidence_json("deposit", "--digest-only", document)[0]["index"]
    ledger.evidence("prove", index, "-o", tmp_path / "p", "--entry-out", tmp_path / "e")
    ledger.evidence("bundle", "--index", index, "-o", tmp_path / "b.zip")
    scope = f"subject/{events.new_id()}"
    asked = ledger.append(events.event(
        "erasure.requested", [f"request/{events.new_id()}", scope], {"ground": "D1", "scopes": [scope]}, actor=scope))
    asked = asked["receipts"][0]["index"]
    flags = ["--type", "account.closed", "--actor", "system", "--stream", f"subject/{events.new_id()}", "--body",
             "channel=web"]
    kept = ledger.evidence_json("deposit", document)[0]["object"]
    return [
        ["submit", *flags], ["submit", *flags, "--json"], ["deposit", document], ["deposit", document, "--json"],
        ["deposit", "--digest-only", document], ["deposit", "--digest-only", document, "--json"],
        ["fetch", kept, "--purpose", "integrity-check", "--actor", "system", "-o", "-"], ["objects", "check"],
        ["objects", "check", "--json"],
        ["show", index], ["show", index, "--raw"], ["show", index, "--json"], ["list"], ["list", "--json"],
        ["find", document], ["find", document, "--json"], ["watch", "--from", "0"], ["prove", index],
        ["prove", index, "--json"], ["prove", "--consistency", "1"], ["prove", index, "-o", "-"],
        ["bundle", "--index", index, "-o", tmp_path / "{}.zip"], ["bundle", "--index", index, "-o", "-"],
        ["verify", tmp_path / "p", "--entry", tmp_path / "e", "--key", ledger.vkey],
        ["verify", tmp_path / "b.zip", "--key", ledger.vkey], ["verify", tmp_path / "b.zip", "--key", ledger.vkey, "--json"],
        ["erase", asked], ["erase", asked, "--json"], ["keys", "backup", tmp_path / "k{}", "--config", ledger.config],
        ["tiles", "export", tmp_path / "tiles"], ["keys"], ["keys", "--pem"], ["status"], ["status", "--json"], ["instructions"],
        ["instructions", "--sha256"], ["confirm-clock"], ["confirm-clock", "--json"],
        ["backup", ledger.backups / "{}"], ["catalogue"], ["catalogue", "evidence.deposited"], ["catalogue", "--json"],
        ["audit", "--config", ledger.config], ["audit", "--config", ledger.config, "--json"], ["--help"],
        ["show", "--help"], ["help", "list"], ["--generate-completion-script", "bash"],
    ]


def test_output_that_is_lost_is_no_success(ledger, tmp_path):
    document = tmp_path / "a.txt"
    document.write_text("a")
    commands = everything(ledger, document, tmp_path)
    listed = set(re.findall(r"^  ([a-z-]+) ", ledger.evidence("--help").stdout.split("SUBCOMMANDS:")[1], re.MULTILINE))
    # Those three are tried below; every other command there is or will be must be among the ones tried here.
    assert listed - {"init", "repair", "recover"} == {command[0] for command in commands} - {
        "help", "--help", "--generate-completion-script"} and len(listed) > 15
    for number, command in enumerate(commands):
        for how in ("/dev/full", "closed"):
            args = [str(arg).format(f"{how[-4:]}{number}") for arg in command]
            redirection = ">&-" if how == "closed" else f">{how}"
            done = subprocess.run(["sh", "-c", f'exec "$0" "$@" {redirection}', ledger.bin / "evidence", *args],
                                  cwd=ledger.root, env=ledger.environment, stdin=subprocess.DEVNULL, timeout=60,
                                  stderr=subprocess.PIPE, text=True)
            assert done.returncode == 74, (args, how, done.returncode, done.stderr)
            assert "standard output: " in done.stderr and done.stderr.count("\n") == 1, (args, done.stderr)


def test_output_of_commands_on_files_that_is_lost_is_no_success(make_ledger):
    for how in (">/dev/full", ">&-"):
        ledger = make_ledger()
        for args in (["init", "--origin", "a.example/l"], ["repair"], ["recover", "--reason", "moved"]):
            done = subprocess.run(
                ["sh", "-c", f'exec "$0" "$@" {how}', ledger.bin / "evidence", args[0], "--config", ledger.config, *args[1:]],
                cwd=ledger.root, env=ledger.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
            assert done.returncode == 74, (args, done.stderr)
        for args in (["--help-config"], ["--check-config", "--config", ledger.config], ["--help"], ["--version"]):
            done = subprocess.run(["sh", "-c", f'exec "$0" "$@" {how}', ledger.bin / "evidenced", *args],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
            assert done.returncode == 74 and b"standard output" in done.stderr, (args, done.stderr)


def test_a_failed_check_keeps_its_status_when_its_words_are_lost(shared, deposited, tmp_path):
    bad = tmp_path / "bad.zip"
    shared.evidence("bundle", "--index", deposited[1], "-o", bad)
    content = bytearray(bad.read_bytes())
    content[len(content) // 2] ^= 1
    bad.write_bytes(content)
    done = subprocess.run(["sh", "-c", 'exec "$0" "$@" >/dev/full', shared.bin / "evidence", "verify", bad, "--key",
                           shared.vkey], env=shared.environment, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1


def test_a_watch_ends_with_its_reader(ledger):
    """SIGPIPE ignored, as below some service managers and Python programs."""
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" PIPE; exec "$0" watch --from 0', ledger.bin / "evidence"], env=ledger.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
    assert process.stdout.readline()
    process.stdout.close()
    ledger.append(events.closure())
    assert process.wait(20) == 74


# Inputs that change


@pytest.mark.parametrize("command", ["deposit", "find", "bundle"])
def test_a_file_that_is_written_to_while_it_is_read_is_refused(shared, tmp_path, command):
    path = tmp_path / "growing.bin"
    with open(path, "wb") as file:
        file.truncate(256 << 20)
    if command == "bundle":
        shared.evidence("deposit", "--digest-only", path)
    size = shared.size
    args = {"bundle": ["bundle", "--file", path, "-o", tmp_path / "x.zip"]}.get(command, [command, path])
    process = subprocess.Popen([shared.bin / "evidence", *map(str, args)], env=shared.environment, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=die_with_parent)
    deadline = time.monotonic() + 30
    while not is_reading(process.pid, path) and time.monotonic() < deadline:
        time.sleep(0.001)
    with open(path, "r+b") as file:
        file.write(b"changed")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "was written to while it was read" in told and str(path) in told
    assert shared.size == size and not (tmp_path / "x.zip").exists()


def is_reading(pid: int, path) -> bool:
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{number}") == str(path):
                with open(f"/proc/{pid}/fdinfo/{number}") as info:
                    return int(info.readline().split()[1]) > 0
    except OSError:
        pass
    return False


def test_a_bundle_holds_the_bytes_that_were_recorded(shared, deposited, tmp_path):
    document, _ = deposited
    shared.evidence("bundle", "--file", document, "--open", "all", "-o", tmp_path / "case.zip")
    with zipfile.ZipFile(tmp_path / "case.zip") as archive:
        original = next(name for name in archive.namelist() if name.endswith(".pdf"))
        assert hashlib.sha256(archive.read(original)).digest() == hashlib.sha256(document.read_bytes()).digest()
