"""What submit and deposit do when the answer is lost, or a proof can't be written: everything recorded is reported, and
nothing is recorded twice."""

import json
import os
import re
import socket
import subprocess
import threading

import pytest

import events

KEY = re.compile(r"--request ([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})")


class Cutting:
    """Stands between a command and the daemon, and cuts connections when an answer to Append comes: the first `times`."""

    def __init__(self, real, front, times: int):
        self.real, self.left, self.appends = str(real), times, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(front))
        self.listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.real)
        asked = threading.Event()

        def upwards():
            while data := client.recv(1 << 16):
                if b"Append" in data:
                    self.appends += 1
                    asked.set()
                server.sendall(data)

        threading.Thread(target=upwards, daemon=True).start()
        while data := server.recv(1 << 16):
            if asked.is_set():
                asked.clear()
                if self.left > 0:
                    self.left -= 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
            client.sendall(data)

    def close(self):
        self.listener.close()


@pytest.fixture
def cutting(shared, tmp_path):
    made = []

    def make(times: int) -> dict:
        made.append(Cutting(shared.socket, tmp_path / f"front{len(made)}", times))
        return {"EVIDENCED_SOCKET": str(tmp_path / f"front{len(made) - 1}")}

    yield make
    for each in made:
        each.close()


def commands(tmp_path):
    documents = []
    for number in range(3):
        documents.append(tmp_path / f"{number}.txt")
        documents[-1].write_text(f"{tmp_path} {number}")
    loose = [{name: value for name, value in events.closure().items() if name != "request"} for _ in range(3)]
    (tmp_path / "events.json").write_text(json.dumps(loose))
    return {
        "deposit": (["deposit", "--digest-only", *documents], 3),
        "submit": (["submit", "--type", "account.closed", "--actor", "system", "--stream",
                    f"subject/{events.new_id()}", "--body", "channel=web"], 1),
        "events": (["submit", tmp_path / "events.json"], 3),
    }


@pytest.mark.parametrize("name", ["deposit", "submit", "events"])
def test_a_call_whose_answer_is_lost_is_made_again(shared, cutting, tmp_path, name):
    args, count = commands(tmp_path)[name]
    size = shared.size
    printed = shared.evidence_json(*args, env=cutting(2))
    assert [row["index"] for row in printed] == list(range(size, size + count)) and shared.size == size + count
    assert all(row["duplicate"] for row in printed)


@pytest.mark.parametrize("name", ["deposit", "submit", "events"])
def test_an_answer_that_stays_lost_can_be_asked_for_again(shared, cutting, tmp_path, name):
    args, count = commands(tmp_path)[name]
    size = shared.size
    told = shared.evidence(*args, env=cutting(99), status=69).stderr
    assert shared.size == size + count
    key = KEY.search(told)[1]
    printed = shared.evidence_json(*args, "--request", key)
    assert [row["index"] for row in printed] == list(range(size, size + count)) and shared.size == size + count
    assert all(row["duplicate"] for row in printed)
    assert json.loads(shared.entry(size)["entry"])["request"] == key
    requests = {json.loads(shared.entry(size + number)["entry"])["request"] for number in range(count)}
    assert len(requests) == count and {request[:13] for request in requests} == {key[:13]}
    # Without the key it is another deposit.
    assert [row["duplicate"] for row in shared.evidence_json(*args)] == [False] * count


def test_the_daemon_may_be_restarted_meanwhile(ledger, tmp_path):
    front = tmp_path / "front"
    Cutting(ledger.socket, front, 1)
    (tmp_path / "a.txt").write_text("a")
    size = ledger.size
    ledger.evidence("deposit", "--digest-only", tmp_path / "a.txt", env={"EVIDENCED_SOCKET": str(front)})
    assert ledger.size == size + 1


def test_request_is_taken_in_one_form_only(offline):
    for request in ("0", "01980A3C-5E0F-7C31-8A4D-0D5BE5A1A001", "01980a3c5e0f7c318a4d0d5be5a1a001", ""):
        offline.evidence("deposit", "--digest-only", offline.config, f"--request={request}", status=64)
        offline.evidence("submit", offline.config, f"--request={request}", status=64)


@pytest.fixture(scope="module")
def offline(tmp_path_factory, bin):
    from ledger import Ledger

    return Ledger(tmp_path_factory.mktemp("offline") / "l", bin)


# Proofs


def documents(directory, *names):
    directory.mkdir()
    for name in names:
        (directory / name).write_text(name)
    return [directory / name for name in names]


def test_names_that_are_too_long_are_cut_and_keep_apart(shared, tmp_path):
    long = ["b" * 245 + ".txt", "b" * 246 + ".txt", "\u5408" * 83 + ".txt"]
    files = documents(tmp_path / "d", "a.txt", *long, "c.txt")
    printed = shared.evidence_json("deposit", "--digest-only", *files, "--proof-dir", tmp_path / "p")
    assert len(printed) == 5 and len(list((tmp_path / "p").iterdir())) == 10
    for path in (tmp_path / "p").glob("*.tlog-proof"):
        entry = path.with_name(path.name.removesuffix(".tlog-proof") + ".entry.json")
        shared.evidence("verify", path, "--entry", entry, "--key", shared.vkey)


def test_names_that_are_taken_are_left_alone(shared, tmp_path):
    """Each kind of thing at either of the two names."""
    proofs = tmp_path / "p"
    for kind in ("file", "dangling", "directory"):
        for suffix in (".entry.json", ".tlog-proof"):
            name = f"{kind}{suffix}.txt"
            file = documents(tmp_path / f"d{kind}{suffix}", name)[0]
            proofs.mkdir(exist_ok=True)
            taken = proofs / f"{name}{suffix}"
            if kind == "file":
                taken.write_text("mine")
            elif kind == "dangling":
                taken.symlink_to(tmp_path / "escaped")
            else:
                taken.mkdir()
            index = shared.evidence_json("deposit", "--digest-only", file, "--proof-dir", proofs)[0]["index"]
            assert (proofs / f"{name}.{index}.tlog-proof").exists() and (proofs / f"{name}.{index}.entry.json").exists()
            assert kind != "file" or taken.read_text() == "mine"
    assert not (tmp_path / "escaped").exists()


def unusable(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    yield tmp_path / "file", 73
    yield tmp_path / "loop", None
    yield tmp_path / "no" / "such", 66
    yield "/proc", None
    yield "/dev/null", 73


@pytest.mark.parametrize("command", ["deposit", "submit"])
def test_a_directory_that_can_t_take_proofs_leaves_nothing_recorded(shared, tmp_path, command):
    (tmp_path / "a").write_text(json.dumps(events.closure()))
    size = shared.size
    for directory, status in unusable(tmp_path):
        done = shared.evidence(command, tmp_path / "a", "--proof-dir", directory, status=status)
        assert done.returncode not in (0, 1) and shared.size == size, directory


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
@pytest.mark.parametrize("options", ["size=16k", "nr_inodes=4", "ro"])
def test_a_full_directory_leaves_nothing_recorded(shared, tmp_path, options):
    files = documents(tmp_path / "d", *[f"{number}.txt" for number in range(5)])
    (tmp_path / "full").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", tmp_path / "full"], check=True)
    try:
        size = shared.size
        shared.evidence("deposit", "--digest-only", *files, "--proof-dir", tmp_path / "full", status=73 if options == "ro" else 74)
        assert shared.size == size and not list((tmp_path / "full").iterdir())
    finally:
        subprocess.run(["umount", tmp_path / "full"], check=True)


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("command", ["deposit", "submit"])
def test_proofs_that_fail_later_don_t_stop_the_rest(shared, tmp_path, command, form):
    """The directory goes away once the events are on their way: what a full disk does, without one."""
    made = [events.closure() for _ in range(4)]
    files = documents(tmp_path / "d", *[f"{number}.txt" for number in range(4)])
    (tmp_path / "events.json").write_text(json.dumps(made))
    args = [command, *(["--digest-only", *files] if command == "deposit" else [tmp_path / "events.json"])]
    proofs = tmp_path / "p"
    size = shared.size
    proofs.mkdir()
    front = Vanishing(shared.socket, tmp_path / "front", proofs)
    try:
        done = subprocess.run([shared.bin / "evidence", *map(str, args), "--proof-dir", proofs, *form], cwd=tmp_path,
                              env=shared.environment | {"EVIDENCED_SOCKET": str(tmp_path / "front")}, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    finally:
        front.close()
    assert done.returncode == 74 and shared.size == size + 4, done.stderr
    for index in range(size, size + 4):
        assert f"entry {index} is recorded" in done.stderr
        assert re.search(rf'"index":{index}\b' if form else rf"\b{index}\b", done.stdout), done.stdout
    assert "4 proofs are not written" in done.stderr and "evidence prove" in done.stderr


class Vanishing:
    """Passes everything on, and removes a directory when an Append goes by."""

    def __init__(self, real, front, directory):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(front))
        self.listener.listen(8)
        self.real, self.directory = str(real), directory
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.real)

        def upwards():
            while data := client.recv(1 << 16):
                if b"Append" in data:
                    os.rmdir(self.directory)
                server.sendall(data)

        threading.Thread(target=upwards, daemon=True).start()
        while data := server.recv(1 << 16):
            client.sendall(data)

    def close(self):
        self.listener.close()


def test_who_may_read_no_entries_hears_it_before(make_ledger, tmp_path):
    ledger = make_ledger(roles=["submitter"]).init().start()
    (tmp_path / "a.txt").write_text("a")
    size = ledger.size
    ledger.evidence("deposit", "--digest-only", tmp_path / "a.txt", "--proof-dir", tmp_path / "p", status=77)
    assert ledger.size == size
    ledger.evidence("deposit", "--digest-only", tmp_path / "a.txt")
