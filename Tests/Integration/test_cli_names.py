"""File names of every kind, through every command that takes one; numbers and texts of the command line."""

import base64
import json
import os
import subprocess

import pytest

import events

MARKS = ["\u0301", "\u0338", "\ufe0f", "\u200d", "\U0001f3fd", "\u20e3"]
NAMES = {
    "combining acute first": "\u0301x.pdf".encode(), "long solidus overlay first": "\u0338x.pdf".encode(),
    "variation selector first": "\ufe0fx.pdf".encode(), "joiner first": "\u200dx.pdf".encode(),
    "skin tone first": "\U0001f3fdx.pdf".encode(), "keycap first": "\u20e3x.pdf".encode(),
    "composed": "\u00e9.pdf".encode(), "decomposed": "e\u0301.pdf".encode(), "kelvin": "\u212a.pdf".encode(),
    "line feed": b"a\nb.pdf", "carriage return": b"a\r\nb.pdf", "leading dash": b"-x.pdf", "dots": b"...",
    "space": b" ", "backslash": b"a\\xe9.pdf", "private": "\U0010fee9.pdf".encode(), "noncharacter": "\ufffe.pdf".encode(),
    "255 bytes": b"a" * 251 + b".pdf", "84 characters": ("\u5408" * 83).encode() + b".pdf",
}
UNREADABLE = {"latin-1": b"contrat-sign\xe9.pdf", "gbk": "\u5408\u540c.pdf".encode("gbk"),
              "surrogate": b"a\xed\xa0\x80.pdf", "overlong": b"a\xc0\xaf.pdf", "cut": b"\xe5\x90"}


def run(ledger, *args, cwd, status=0):
    """Runs `evidence` with arguments of any bytes."""
    command = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in (ledger.bin / "evidence", *args)]
    done = subprocess.run(command, cwd=cwd, env=ledger.environment, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60)
    assert status is None or done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done


def file_name(ledger, index):
    return [opening["value"] for opening in ledger.call("Open", {"index": index})["openings"]
            if opening["name"] == "file_name"]


@pytest.fixture
def directory(tmp_path):
    """Where there are a directory for files and one for proofs, side by side."""
    (tmp_path / "d").mkdir()
    (tmp_path / "proofs").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_is_what_follows_the_last_slash(shared, directory, name):
    path = os.fsencode(directory) + b"/d/" + name
    with open(path, "wb") as file:
        file.write(b"named " + name)
    size = shared.size
    done = run(shared, "deposit", "--digest-only", "--json", "--proof-dir", "proofs", "--", b"d/" + name, cwd=directory)
    printed = json.loads(done.stdout)
    assert printed["index"] == size and printed["file"] == "d/" + name.decode() and "fileBase64" not in printed
    assert file_name(shared, size) == [name.decode()]
    # Beside each other, in the directory of proofs and nowhere else; a name that is too long is cut.
    proofs = sorted(os.listdir(os.fsencode(directory / "proofs")))
    assert len(proofs) == 2 and os.listdir(directory) and sorted(os.listdir(directory)) == ["d", "proofs"]
    assert [proof.endswith(end) for proof, end in zip(proofs, (b".entry.json", b".tlog-proof"))] == [True, True]
    base = proofs[0].removesuffix(b".entry.json")
    assert printed["proof"] == f"proofs/{base.decode()}.tlog-proof"
    assert name.startswith(base) and (base == name or len(name) > 200 and len(base) > 200) and base.decode()
    assert run(shared, "find", "--", path, cwd=directory)
    run(shared, "bundle", b"--file=" + path, "--open", "all", "-o", "case.zip", cwd=directory)
    run(shared, "verify", "case.zip", "--key", shared.vkey, cwd=directory)


@pytest.mark.parametrize("name", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_name_of_another_encoding_is_a_path_and_no_claim(shared, directory, name):
    path = b"d/" + name
    with open(os.path.join(os.fsencode(directory), path), "wb") as file:
        file.write(b"named " + name)
    (directory / "other.pdf").write_bytes(b"other " + name)
    size = shared.size
    done = run(shared, "deposit", "--digest-only", "other.pdf", path, cwd=directory, status=64)
    assert shared.size == size and b"--file-name" in done.stderr and b"\\x" in done.stderr
    shown = json.loads(run(shared, "deposit", "--digest-only", "--json", "--file-name", "\u5408\u540c.pdf", path, cwd=directory).stdout)
    assert file_name(shared, size) == ["\u5408\u540c.pdf"] and "\\x" in shown["file"]
    assert base64.b64decode(shown["fileBase64"]) == path
    run(shared, "deposit", "--digest-only", "other.pdf", path, "--without-file-name", "--proof-dir", "proofs", cwd=directory)
    assert shared.size == size + 3 and file_name(shared, size + 1) == file_name(shared, size + 2) == []
    assert name + b".tlog-proof" in os.listdir(os.fsencode(directory / "proofs"))
    found = run(shared, "find", path, cwd=directory).stdout
    assert found.count(b"is recorded") == 2 and name not in found
    run(shared, "find", b"--digest=" + name, cwd=directory, status=64)
    run(shared, "bundle", "--index", size, "--original", path, "-o", b"case" + name, cwd=directory)
    assert b"case" + name in os.listdir(os.fsencode(directory))
    run(shared, "prove", size, "-o", b"proof" + name, b"--entry-out=--entry" + name, cwd=directory)
    with open(os.path.join(os.fsencode(directory), b"key" + name), "w") as key:
        key.write(shared.vkey)
    run(shared, "verify", b"proof" + name, b"--entry=--entry" + name, b"--key=key" + name, cwd=directory)
    run(shared, "tiles", "export", b"tiles" + name, cwd=directory)
    assert os.listdir(os.path.join(os.fsencode(directory), b"tiles" + name))
    with open(os.path.join(os.fsencode(directory), b"conf" + name), "wb") as copy:
        copy.write(shared.config.read_bytes())
    run(shared, "audit", "--config", b"conf" + name, "--copy", cwd=directory)
    checked = subprocess.run([os.fsencode(shared.bin / "evidenced"), b"--check-config", b"--config", b"conf" + name],
                             cwd=directory, capture_output=True, timeout=60)
    assert checked.returncode == 0 and b"\\x" in checked.stdout


def test_what_must_be_text_is_refused_where_it_is_none(shared, directory):
    for args in (["show", "0", "--open", b"\xff"], ["list", "--type", b"a\xff"], ["list", b"--submitter=\xe9"],
                 ["submit", "--type", b"\xff"], ["submit", "--type", "account.closed", "--actor", b"\xff"],
                 ["prove", "--leaf", b"\xff"], ["backup", b"d\xff"], ["status", "--socket", b"\xff"],
                 ["catalogue", b"\xff"], ["deposit", "d", "--subject", b"\xff"], [b"\xff"], ["list", b"--\xff"]):
        done = run(shared, *args, cwd=directory, status=64)
        assert done.stderr.startswith(b"evidence: ") and done.stderr.count(b"\n") == 1, done.stderr
        assert b"\xf4\x8f" not in done.stderr and b"u{10fe" not in done.stderr, "the parser's own form shows"


@pytest.mark.parametrize("mark", MARKS[:3], ids=ascii)
def test_a_ledger_lives_below_any_name(make_ledger, mark):
    """What is made and synced is the directory that the bytes name."""
    ledger = make_ledger(f"{mark}l")
    below = ledger.root / "made" / f"{mark}a" / f"{mark}b"
    ledger.store, ledger.lock = below / f"{mark}store", below / f"{mark}lock" / f"{mark}lock"
    ledger.configure(store=str(ledger.store), checkpoint_lock=str(ledger.lock))
    ledger.init().start()
    ledger.append(events.closure())
    ledger.restart()
    assert ledger.stop() == 0 and ledger.audit()["clean"]
    assert (ledger.store / "data.mdb").exists() and ledger.lock.exists()
    assert [path.name for path in (ledger.root / "made").iterdir()] == [f"{mark}a"]


@pytest.mark.parametrize("mark", MARKS, ids=ascii)
def test_an_equals_sign_divides_whatever_comes_after_it(shared, directory, mark):
    subject = f"subject/{events.new_id()}"
    common = ["submit", "--json", "--type", "account.registered", "--actor", subject, "--stream", subject,
              "--body", "kind=person", "--body", "channel=web", "--claim", subject]
    index = json.loads(run(shared, *common, f"login_name={mark}x", f"email={mark}=y", cwd=directory).stdout)["index"]
    opened = {each["name"]: each["value"] for each in shared.call("Open", {"index": index})["openings"]}
    assert opened == {"login_name": f"{mark}x", "email": f"{mark}=y"}
    (directory / f"{mark}x.pdf").write_text(mark)
    run(shared, "deposit", "--digest-only", f"{mark}x.pdf", f"--proof-dir={mark}p", cwd=directory)
    assert (directory / f"{mark}p" / f"{mark}x.pdf.tlog-proof").exists()


def test_letters_that_only_look_alike_are_others(shared, directory):
    """U+212A is the letter K to Swift's texts, U+037E a semicolon, and two forms of a letter are one."""
    subject = f"subject/{events.new_id()}"
    for args in (["catalogue", "consent\u037e"], ["list", "--stream", subject.replace("s", "\u017f", 1)],
                 ["show", "0", "--open", "file_name\u0301"], ["prove", "--leaf", "\u212a" + "A" * 42 + "="]):
        assert shared.evidence(*args, status=None).returncode in (1, 64)
    for time in ("2026-01-01T00:00:00Z\u0301", "2026-01-01\u0301", "2026-01-01T00:00:00\u0301Z", "\u0662026-01-01"):
        shared.evidence("list", "--since", time, status=64)


NUMBERS = ["9007199254740992", "9223372036854775807", "18446744073709551615", "99999999999999999999", "-1", "+3", "0x1",
           "1e2", "1.0", "\uff13", " 3", "", "3\u0301"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: ascii(number)[1:-1] or "empty")
def test_a_number_beyond_json_or_none_is_64(offline, number):
    for args in (["show", f"--", number], ["prove", "--", number], ["prove", "--consistency", number],
                 ["prove", "--consistency", "1", number], ["prove", "0", f"--size={number}"], ["list", f"--from={number}"],
                 ["watch", f"--from={number}"], ["bundle", "-o", "never.zip", f"--index={number}"]):
        offline.evidence(*args, status=64)
    assert not (offline.root / "never.zip").exists()


def test_numbers_of_an_event_beyond_json_are_64(offline):
    stream = f"subject/{events.new_id()}"
    common = ["submit", "--type", "consent.withdrawn", "--actor", stream, "--stream", stream, "--body", "channel=web"]
    for number in ("9007199254740992", "-9007199254740992", "99999999999999999999"):
        assert "beyond" in offline.evidence(*common, "--body", f"consent={number}", status=64).stderr
    offline.evidence(*common, "--body", "consent=9007199254740991", status=69)


@pytest.fixture(scope="module")
def offline(tmp_path_factory, bin):
    from ledger import Ledger

    return Ledger(tmp_path_factory.mktemp("offline") / "l", bin)


def test_an_older_checkpoint_from_another_editor(shared, directory):
    note = shared.call("GetCheckpoint")["checkpoint"].encode()
    index = shared.append(events.closure())["receipts"][0]["index"]
    for number, content in enumerate((note.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + note, note)):
        (directory / "note").write_bytes(content)
        run(shared, "bundle", "--index", index, "--checkpoint", "note", "-o", f"{number}.zip", cwd=directory)
    assert len({(directory / f"{number}.zip").read_bytes() for number in range(3)}) == 1
    for content in (note.decode().encode("utf-16"), b"", note[:-1], b"x" + note):
        (directory / "note").write_bytes(content)
        done = run(shared, "bundle", "--index", index, "--checkpoint", "note", "-o", "x.zip", cwd=directory, status=None)
        assert done.returncode in (1, 64) and not (directory / "x.zip").exists()


def test_events_from_other_editors(shared, directory):
    made = [events.closure() for _ in range(2)]
    texts = [json.dumps(event).encode() for event in made]
    for content in (b"\xef\xbb\xbf" + texts[0] + b"\r\n" + texts[1] + b"\r\n", b"\r\n".join([b"", *texts, b""]),
                    json.dumps(made, indent=2).replace("\n", "\r\n").encode()):
        (directory / "events.json").write_bytes(content)
        lines = run(shared, "submit", "--json", "events.json", cwd=directory).stdout.splitlines()
        assert len(lines) == 2
    for content, told in ((texts[0].decode().encode("utf-16"), b"UTF-16"), (texts[0].decode().encode("utf-16-be"), b""),
                          (b"", b"no event"), (b"[]", b"no event"), (texts[0] + b"\0", b""), (texts[0] + b",", b"")):
        (directory / "events.json").write_bytes(content)
        size = shared.size
        assert told in run(shared, "submit", "events.json", cwd=directory, status=64).stderr and shared.size == size
