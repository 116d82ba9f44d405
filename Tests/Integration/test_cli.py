"""The command line as such: help, usage, exit statuses, silence in pipes, completions."""

import json
import os
import pty
import socket
import subprocess
import threading

import pytest

from ledger import ORIGIN, require
from wire import INTERFACE

COMMANDS = ["submit", "deposit", "show", "list", "find", "watch", "prove", "verify", "keys", "status", "backup",
            "confirm-clock",
            "catalogue", "init", "audit", "repair", "recover"]
#: What each command that asks the daemon is called with here.
ASKING = {
    "submit": ["--type", "service.read_only", "--actor", "system", "--stream", "ledger/" + "1" * 32],
    "deposit": ["evidenced.conf"], "show": ["0"], "list": [], "find": ["evidenced.conf"], "watch": ["--from", "0"],
    "prove": ["0"], "keys": [], "status": [], "backup": ["backups/x"],
    "confirm-clock": [],
}


@pytest.fixture
def offline(make_ledger):
    """A directory with a configuration and nothing that answers."""
    return make_ledger()


def complaint(done) -> str:
    """The one line on stderr a command that fails says why with."""
    assert done.stdout == ""
    assert done.stderr.startswith("evidence: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_the_help_names_every_command(offline):
    shown = offline.evidence("--help").stdout
    for command in COMMANDS:
        assert f"\n  {command} " in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(offline, command):
    for done in (offline.evidence(command, "--help"), offline.evidence("help", command)):
        assert done.stderr == ""
        for part in ("OVERVIEW:", "USAGE:", "EXAMPLE", "EXIT STATUS", "  69  the daemon can't be reached"):
            assert part in done.stdout
        assert all(len(line) <= 120 for line in done.stdout.splitlines() if not line.startswith("USAGE:"))


USAGE = [
    ["no-such-command"], ["status", "--no-such-option"], ["status", "extra"], ["show"], ["show", "minus-one"],
    ["show", "-1"], ["show", "0", "--raw", "--json"], ["list", "--limit", "0"], ["list", "--stream", "subject"],
    ["list", "--since", "yesterday"], ["find"], ["find", "a", "--digest", "0" * 64], ["find", "--digest", "0"],
    ["prove"], ["prove", "0", "--leaf", "x"], ["prove", "--leaf", "x"], ["prove", "--consistency", "1", "2", "3"],
    ["prove", "--consistency", "1", "--size", "2"], ["verify"], ["verify", "p", "--entry", "e"],
    ["verify", "p", "--entry", "e", "--key", "k", "--document", "d"], ["deposit"], ["deposit", "x", "--subject", "1"],
    ["submit", "file", "--type", "account.closed"], ["submit", "--actor", "system"], ["submit", "--type", "no.such"],
    ["submit", "--type", "account.closed"], ["submit", "--request", "1" * 32],
    ["submit", "--type", "account.closed", "--actor", "system", "--body", "channel"],
    ["submit", "--type", "account.registered", "--actor", "system", "--claim", "phone=1"],
    ["backup"], ["init"], ["recover"], ["recover", "--reason", "boredom"], ["audit", "extra"],
]


@pytest.mark.parametrize("args", USAGE, ids=" ".join)
def test_wrong_usage_is_64_and_one_line(offline, args):
    complaint(offline.evidence(*args, status=64))


@pytest.mark.parametrize("text", ["", "[]", "{", "1", '[1]', '{"a":1}{', '{"a":1.5}', '{"a":1,"a":1}', '"x"'])
def test_malformed_input_is_64(offline, text):
    complaint(offline.evidence("submit", "-", input=text, status=64))


@pytest.mark.parametrize("command", ASKING)
def test_no_daemon_is_69(offline, command):
    assert str(offline.socket) in complaint(offline.evidence(command, *ASKING[command], status=69))


@pytest.mark.parametrize("args", [
    ["submit", "missing"], ["deposit", "missing"], ["deposit", "evidenced.conf", "missing"], ["find", "missing"],
    ["verify", "missing", "--entry", "evidenced.conf", "--key", "evidenced.conf"],
    ["verify", "evidenced.conf", "--entry", "missing", "--key", "evidenced.conf"],
    ["verify", "evidenced.conf", "--entry", "evidenced.conf", "--key", "missing"],
    ["deposit", "backups"], ["submit", "backups"], ["audit", "--config", "missing"],
    ["init", "--origin", "a", "--config", "missing"],
], ids=" ".join)
def test_a_missing_file_is_66_and_named(offline, args):
    missing = next(arg for arg in args if arg in ("missing", "backups"))
    assert missing in complaint(offline.evidence(*args, status=66))


def test_a_file_that_is_missing_leaves_nothing_recorded(shared):
    size = shared.size
    shared.evidence("deposit", "--digest-only", "evidenced.conf", "missing", status=66)
    assert shared.size == size


class FakeDaemon:
    """Answers every call on a socket with the same bytes."""

    def __init__(self, path, answer: bytes):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.answer = answer
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)
                connection.sendall(self.answer)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def error(name: str, **parameters) -> bytes:
    return json.dumps({"error": f"{INTERFACE}.{name}", "parameters": parameters}).encode() + b"\0"


ANSWERS = [
    (error("Busy"), 75, "busy"), (error("Stopping"), 75, "stopping"),
    (error("PermissionDenied", method="Status", type=None), 77, "Status"),
    (error("NotFound", what="entry 7"), 1, "entry 7"), (error("StoreFull", reason="no room"), 1, "no room"),
    (error("ClockUnconfirmed", reason="it jumped"), 75, "it jumped"),
    (error("TooLarge", what="events", limit=4096), 1, "4096"), (error("ErasedClaims", index=7), 1, "7"),
    (error("RequestConflict", event=1, index=7), 1, "7"), (error("StoreDamaged", index=7, what="x"), 1, "StoreDamaged"),
    (error("InvalidEvent", event=3, field="body.x", rule="must be y"), 1, "body.x must be y"),
    (error("InvalidArgument", field="limit", rule="must be y"), 1, "limit must be y"),
    (error("Failed", reason="z"), 1, "z"),
    (error("NotFound", what="\x1b[2J\nevidence: all is well"), 1, "\\u{1b}"),
    (b'{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"x"}}\0', 1, "MethodNotFound"),
    (b"", 69, "closed"), (b'{"parameters":', 69, "closed"), (b"garbage\0", 1, "understood"), (b"[]\0", 1, "understood"),
    (b'{"parameters":{"size":"x"}}\0', 1, ""),
]


@pytest.mark.parametrize("answer, status, told", ANSWERS, ids=[row[0][:60].decode() for row in ANSWERS])
def test_what_the_daemon_says_decides_the_exit_status(offline, answer, status, told):
    fake = FakeDaemon(offline.socket, answer)
    try:
        assert told in complaint(offline.evidence("keys", status=status))
    finally:
        fake.close()


def test_a_daemon_that_lies_about_an_entry_is_found_out(offline, shared):
    row = shared.entry(0)
    row["entry"] = row["entry"].replace("sha256", "sha257")
    fake = FakeDaemon(offline.socket, json.dumps({"parameters": {"entry": row}}).encode() + b"\0")
    try:
        assert "leaf hash" in complaint(offline.evidence("show", "0", status=1))
    finally:
        fake.close()


def test_nothing_but_the_answer_is_written_into_pipes(shared, tmp_path):
    (tmp_path / "document").write_bytes(os.urandom(1 << 20))
    for args in (["deposit", "--digest-only", tmp_path / "document", "--proof-dir", tmp_path], ["find", tmp_path / "document"],
                 ["audit", "--config", shared.config], ["list", "--limit", "1"], ["status"], ["prove", "0"],
                 ["prove", "0", "-o", tmp_path / "p"]):
        done = shared.evidence(*args)
        assert done.stderr == "", args
        assert "\r" not in done.stdout and "\x1b" not in done.stdout


def test_a_terminal_sees_progress_on_stderr(shared, tmp_path):
    (tmp_path / "document").write_bytes(os.urandom(1 << 20))
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run([shared.bin / "evidence", "deposit", "--digest-only", tmp_path / "document"], env=shared.environment,
                              stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True)
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:
            pass  # the terminal's other side is closed
    finally:
        os.close(ours)
    assert b"hashing [" in seen and b"%" in seen
    assert b"hashing" not in done.stdout


def test_names_can_t_write_to_the_terminal(shared, tmp_path):
    hostile = tmp_path / "a\x1b[2Jb\nindex   99\u202ec.txt"
    hostile.write_bytes(b"hostile")
    outputs = [shared.evidence("deposit", "--digest-only", hostile).stdout]
    index = str(shared.size - 1)
    outputs += [shared.evidence("show", index, "--open", "all").stdout, shared.evidence("find", hostile).stdout]
    for output in outputs:
        assert "\x1b" not in output and "\u202e" not in output and "\nindex   99" not in output
        assert "\\u{1b}" in output


def test_completions_for_three_shells(offline, tmp_path):
    for shell in ("bash", "zsh", "fish"):
        script = offline.evidence("--generate-completion-script", shell).stdout
        assert all(command in script for command in COMMANDS)
        if shell == "bash":
            (tmp_path / "completion").write_text(script)
            subprocess.run([require("bash"), "-n", tmp_path / "completion"], check=True)
            asked = """
                source completion
                COMP_WORDS=(evidence st); COMP_CWORD=1; COMP_LINE="evidence st"; COMP_POINT=11
                function=$(complete -p evidence | sed -E "s/.*-F ([^ ]+).*/\\1/")
                $function evidence st evidence; printf "%s\\n" "${COMPREPLY[@]}"
            """
            done = subprocess.run([require("bash"), "-c", asked], cwd=tmp_path, capture_output=True, text=True,
                                  env=offline.environment | {"PATH": f"{offline.bin}:{os.environ['PATH']}"}, timeout=30)
            assert done.stdout.split() == ["status"], done


def test_the_catalogue_needs_no_daemon(offline):
    types = offline.evidence_json("catalogue")
    assert {"account.closed", "system.recovered"} <= {type["type"] for type in types}
    [one] = offline.evidence_json("catalogue", "evidence.deposited")
    assert one["streams"] == ["object"] and {"name": "sha256", "required": True, "cites": None} == {
        key: value for key, value in one["claims"][0].items() if key != "rule"}
    assert "media_type" in offline.evidence("catalogue", "evidence.deposited").stdout
    assert len(offline.evidence("catalogue", "consent").stdout.splitlines()) == 5
    complaint(offline.evidence("catalogue", "no.such", status=1))


def test_the_socket_option_goes_before_the_environment(shared, offline):
    done = offline.evidence("status", "--socket", shared.socket, env={"EVIDENCED_SOCKET": "/nowhere"})
    assert ORIGIN in done.stdout
