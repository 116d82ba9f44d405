"""Evidence bundles: made through the socket, checked by the program, by VERIFY.txt's shell commands, and by hand."""

import base64
import hashlib
import json
import os
import re
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

import events
from instructions import FAILED, NOT_CONFIRMED, VERIFIED, failures, run
from ledger import Ledger
from page_bundles import Key
from store import database, put_linked, stream_key

LONG = os.environ.get("EVIDENCED_LONG", "") not in ("", "0")


@pytest.fixture(scope="module")
def story(tmp_path_factory, bin):
    """A ledger with a document's story among other entries, and everything a test may want to know of it."""
    with Ledger(tmp_path_factory.mktemp("story") / "l", bin).init().start() as ledger:
        ledger.object = events.new_id()
        ledger.stream = f"object/{ledger.object}"
        ledger.document = ledger.root / "Contract final.PDF"
        ledger.document.write_bytes(b"the text of a contract")
        ledger.append(events.deposit(b"another"), events.registration())
        deposit = ledger.append(events.deposit(ledger.document.read_bytes(), object_id=ledger.object))
        ledger.deposit = deposit["receipts"][0]["index"]
        ledger.receipt_note = deposit["checkpoint"]
        ledger.append(events.closure())
        verified = events.event("evidence.verified", [ledger.stream], {"deposit": ledger.deposit, "result": "match"})
        ledger.verified = ledger.append(verified)["receipts"][0]["index"]
        (ledger.root / "old.note").write_text(ledger.call("GetCheckpoint")["checkpoint"])
        ledger.append(events.closure(), events.deposit(b"last"))
        (ledger.root / "vkey").write_text(ledger.vkey + "\n")
        yield ledger


def bundle(ledger, *args, **options) -> dict:
    ledger.bundles = getattr(ledger, "bundles", 0) + 1
    path = ledger.root / f"case{ledger.bundles}.zip"
    report = ledger.evidence_json("bundle", *args, "-o", path, **options)[0]
    report["path"] = path
    report["members"] = members(path)
    report["manifest"] = json.loads(report["members"]["manifest.json"])
    return report


def members(path) -> dict:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def checks(ledger, path, *args, status=0) -> dict:
    done = ledger.evidence("verify", path, "--json", *args, status=status)
    return json.loads(done.stdout)


def unpack(path, directory):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(directory)
    return directory


def repack(path, changed: dict, target):
    """The bundle with other members, and a list of digests to match."""
    files = members(path) | changed
    files["SHA256SUMS"] = b"".join(
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n".encode()
        for name in sorted(files, key=str.encode) if name != "SHA256SUMS"
    )
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files, key=str.encode):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[name])
    return target


# Selections


def test_a_stream_is_there_as_a_whole(story):
    made = bundle(story, "--stream", story.stream)
    assert made["manifest"]["streams"] == [{"entries": 2, "stream": story.stream}]
    assert made["manifest"]["selection"] == [{"kind": "stream", "value": story.stream}]
    # Beside what was selected and what names the key: how the ledger's clock and software were.
    entries = [story.entry(row["index"])["entry"] for row in made["manifest"]["entries"]]
    around = [json.loads(entry)["type"] for entry in entries if json.loads(entry)["submitter"] == "evidenced"]
    assert around == ["ledger.created", "system.started", "system.clock_status"]
    assert [json.loads(entry)["index"] for entry in entries][3:] == [story.deposit, story.verified]
    assert made["selected"] == 2 and made["entries"] == 5 and made["absent"] == [] and made["cited"] == 0
    assert not any(row["openings"] for row in made["manifest"]["entries"])
    for index in (story.deposit, story.verified):
        assert made["members"][f"entries/{index:016}.json"].decode() == story.entry(index)["entry"]


def test_indexes_files_and_times_select(story):
    made = bundle(story, "--index", story.deposit, story.verified, "--index", 2)
    assert [row["index"] for row in made["manifest"]["entries"]] == sorted({0, 1, 2, story.deposit, story.verified})
    made = bundle(story, "--file", story.document)
    assert [row["index"] for row in made["manifest"]["entries"]] == [0, 1, 2, story.deposit]
    assert made["manifest"]["originals"] == [{"index": story.deposit, "name": "originals/1.pdf"}]
    assert made["manifest"]["selection"] == [{"kind": "file", "value": ""}]
    assert made["members"]["originals/1.pdf"] == story.document.read_bytes()
    assert made["disclosed"] == {"sha256": 1}
    made = bundle(story, "--file", story.document, "--without-original")
    assert made["manifest"]["originals"] == [] and made["disclosed"] == {}
    time_of = [json.loads(entry["entry"])["time"] for entry in story.entries()]
    made = bundle(story, "--since", time_of[2], "--until", time_of[5])
    assert [row["index"] for row in made["manifest"]["entries"]] == [0, 1, 2, 3, 4]
    assert [row["kind"] for row in made["manifest"]["selection"]] == ["since", "until"]
    made = bundle(story, "--since", "2020-01-01")
    assert made["entries"] == story.size


def test_what_the_newest_selected_entry_was_signed_under_is_proven(story):
    made = bundle(story, "--index", story.deposit)
    size = int(story.receipt_note.split("\n")[1])
    proof = made["members"][f"consistency/{size:016}.txt"].decode()
    assert proof.startswith("evidenced consistency proof v1\n")
    assert proof.endswith("\n\n" + story.receipt_note)
    assert made["manifest"]["consistency"] == [size]
    # Somebody's older checkpoint, too.
    kept = int((story.root / "old.note").read_text().split("\n")[1])
    made = bundle(story, "--index", story.deposit, "--checkpoint", story.root / "old.note")
    assert made["manifest"]["consistency"] == sorted({size, kept})
    # The newest entry's is the checkpoint itself.
    newest = bundle(story, "--index", story.size - 1)
    assert newest["manifest"]["consistency"] == []


def test_claims_are_disclosed_only_as_asked(story):
    made = bundle(story, "--stream", story.stream, "--open", "file_name")
    assert made["disclosed"] == {"file_name": 1} and made["withheld"] == 2
    everything = bundle(story, "--stream", story.stream, "--open", "all")
    assert everything["disclosed"] == {"file_name": 1, "sha256": 1, "size": 1} and everything["withheld"] == 0
    opening = everything["members"][f"openings/{story.deposit:016}.size"]
    entry = json.loads(everything["members"][f"entries/{story.deposit:016}.json"])
    commitment = base64.b64encode(hashlib.sha256(opening).digest()).decode()
    assert entry["claims"][story.stream]["size"] == commitment
    assert opening.decode().split("\n")[3] == str(len(story.document.read_bytes()))
    # Nothing disclosed, nothing of it anywhere: neither the name of the file nor its digest.
    sealed = bundle(story, "--stream", story.stream)
    for name, content in sealed["members"].items():
        assert b"contract.pdf" not in content and b"Contract final" not in content, name
        assert hashlib.sha256(story.document.read_bytes()).hexdigest().encode() not in content, name


def test_selections_of_nothing_are_refused(story):
    unknown = story.root / "unknown.txt"
    unknown.write_text("never recorded")
    for args, status in [
        (["--stream", f"object/{events.new_id()}"], 1), (["--file", unknown], 1), (["--index", 10_000], 1),
        (["--since", "2099-01-01"], 1), ([], 64), (["--stream", "object/x"], 64),
        (["--index", 1, "--original", unknown], 1), (["--index", 1, "--open", "no_such_claim"], 64),
        (["--stream", story.stream, "--since", "2020-01-01"], 64), (["--file", story.root / "missing"], 66),
        (["--index", 1, "--key", Key("other.example/ledger").vkey], 1),
    ]:
        target = story.root / "refused.zip"
        story.evidence("bundle", *args, "-o", target, status=status)
        assert not target.exists(), args
    assert not list(story.root.glob("*.part"))


def test_the_same_selection_gives_the_same_bytes(story):
    first = bundle(story, "--stream", story.stream, "--open", "all", "--original", story.document)
    second = bundle(story, "--stream", story.stream, "--open", "all", "--original", story.document)
    assert first["path"].read_bytes() == second["path"].read_bytes()
    assert first["sha256"] == second["sha256"] == hashlib.sha256(first["path"].read_bytes()).hexdigest()


def test_roles_decide_what_can_be_bundled(make_ledger):
    ledger = make_ledger(roles=("submitter", "reader")).init().start()
    index = ledger.append(events.registration())["receipts"][0]["index"]
    assert bundle(ledger, "--index", index)["withheld"] == 1
    ledger.evidence("bundle", "--index", index, "--open", "all", "-o", "x.zip", status=77)
    ledger.stop()
    ledger.configure(roles=("submitter",)).start()
    ledger.evidence("bundle", "--index", index, "-o", "x.zip", status=77)
    assert not (ledger.root / "x.zip").exists()


def test_erased_claims_are_told_apart_from_withheld_ones(story):
    with Ledger(story.root / "erased", story.bin).init().start() as ledger:
        subject = events.new_id()
        ledger.append(events.registration(subject), events.registration())
        ledger.erase(events.erasure([f"subject/{subject}"]))
        made = bundle(ledger, "--since", "2020-01-01", "--open", "all")
        assert made["erased"] == 1 and made["disclosed"] == {"phone": 1} and made["withheld"] == 1


# Verification


def test_a_good_bundle_passes_by_the_program(story):
    made = bundle(story, "--stream", story.stream, "--open", "all", "--original", story.document)
    report = checks(story, made["path"], "--key", "vkey")
    assert report["passed"] and report["signer"] == "given" and report["verdict"] == "verified"
    # This machine's clock may be one that nobody set.
    assert {check["outcome"] for check in report["checks"] if check["check"] != "clock"} == {"passed"}
    assert {check["step"] for check in report["checks"]} == set(range(1, 12))
    unknown = checks(story, made["path"], status=2)
    assert not unknown["passed"] and unknown["signer"] == unknown["verdict"] == "not-shown"
    assert not [check for check in unknown["checks"] if check["outcome"] == "failed"]
    text = story.evidence("verify", made["path"], "--key", story.vkey).stdout
    end = text.split("\n\n")[-1]
    for said in ("KEYS MATCH: the key given is the one that signed this ledger; where it came from is not shown here.",
                 "(If it was copied from this bundle, the comparison shows nothing.)",
                 "The integrity checks made here hold; read the notes. The 5 records of tests.example/ledger are as the checkpoint has them; "
                 "when that was signed, and whether the ledger was rewritten before, is not shown.",
                 "(Only keys are compared: who the operator is, and who signed a contract, is not checked."):
        assert said in end, end
    assert "VERIFIED" not in text and "nothing in them was changed" not in text
    end = story.evidence("verify", made["path"], "--key", "vkey", "--chinese").stdout.split("\n\n")[-1]
    for said in ("仅密钥比对一致：所提供的密钥与对账本作数字签名的密钥相同；其来源未经核实。", "如抄自本证据包，此比对无证明意义",
                 "5 项记录与所附账本签名快照一致；快照的数字签名时间不明，此前是否改写不能排除。", "仅比对密钥；未核实运营方身份，亦未核验何人签署合同"):
        assert said in end, end
    assert "核验通过" not in end and "未被更改" not in end
    stranger = Key("tests.example/ledger").vkey
    assert not checks(story, made["path"], "--key", stranger, status=1)["passed"]


def test_it_needs_no_daemon_and_no_name(story, tmp_path):
    made = bundle(story, "--stream", story.stream)
    moved = tmp_path / "case"
    moved.write_bytes(made["path"].read_bytes())
    done = story.evidence("verify", moved, "--key", story.vkey, cwd=tmp_path, env={"EVIDENCED_SOCKET": "/nowhere"})
    assert "KEYS MATCH" in done.stdout
    said = story.evidence("verify", moved, cwd=tmp_path, status=2).stdout
    assert "NOT CONFIRMED" in said and "MATCH" not in said and "who signed a contract, is not checked" in said
    said = story.evidence("verify", moved, "--chinese", cwd=tmp_path, status=2).stdout
    assert "尚未确认" in said and "亦未核验何人签署合同" in said and "比对一致" not in said
    story.evidence("verify", tmp_path / "missing.zip", status=66)
    (tmp_path / "empty.zip").write_bytes(b"")
    assert "FAILED: do not rely" in story.evidence("verify", tmp_path / "empty.zip", status=1).stdout
    story.evidence("verify", made["path"], "--entry", "x", status=64)


def test_a_good_bundle_passes_by_shell_commands(story, tmp_path):
    made = bundle(story, "--stream", story.stream, "--open", "all", "--original", story.document)
    directory = unpack(made["path"], tmp_path / "case")
    for key, status in (("", NOT_CONFIRMED), (story.vkey, VERIFIED)):
        done = run(directory, key)
        assert done.returncode == status and not failures(done), done.stdout.decode()
    stranger = Key("tests.example/ledger").vkey
    assert run(directory, stranger).returncode == FAILED


def test_any_changed_byte_is_caught_and_located(story, tmp_path):
    made = bundle(story, "--stream", story.stream, "--open", "all", "--original", story.document)
    directory = unpack(made["path"], tmp_path / "case")
    for name, content in made["members"].items():
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        target = repack(made["path"], {name: bytes(changed)}, tmp_path / "changed.zip")
        # The list is made anew for each, so a changed list is not there to be seen.
        if name != "SHA256SUMS":
            report = checks(story, target, status=1)
            failed = [check for check in report["checks"] if check["outcome"] == "failed"]
            assert any(name in json.dumps(check) for check in failed), name
        if name != "VERIFY.txt":
            (directory / name).write_bytes(changed)
            done = run(directory)
            assert done.returncode == FAILED and any(name in line for line in failures(done)), name
            (directory / name).write_bytes(content)
    assert run(directory).returncode == NOT_CONFIRMED


def test_any_changed_byte_of_the_archive_is_refused_or_told(story, tmp_path):
    """What is no matter of the members makes it an archive that was packed anew, and that is told."""
    made = bundle(story, "--index", story.verified)
    content = made["path"].read_bytes()
    target = tmp_path / "changed.zip"
    for position in range(0, len(content), max(1, len(content) // 60)):
        changed = bytearray(content)
        changed[position] ^= 0x10
        target.write_bytes(changed)
        done = story.evidence("verify", target, "--json", "--key", "vkey", status=None)
        report = json.loads(done.stdout)
        assert report["container"] == "repacked" or done.returncode == 1, position
    for junk in (b"#!/bin/sh\n" + content, content + b"\0", content[:-1], content + content):
        target.write_bytes(junk)
        assert not checks(story, target, status=1)["passed"]


# How a bundle, a proof and a key are handed over


def test_what_can_be_read_once_is_verified(story, tmp_path):
    made = bundle(story, "--index", story.deposit)
    story.evidence("prove", story.deposit, "-o", tmp_path / "p.tlog-proof", "--entry-out", tmp_path / "entry")
    program = story.bin / "evidence"

    def verify(command, **options):
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                              env={"PATH": os.environ["PATH"], "E": str(program), "B": str(made["path"]), "K": story.vkey}, **options)

    for command in (
        'cat "$B" | "$E" verify - --key "$K"', 'cat "$B" | "$E" verify /dev/stdin --key "$K"', '"$E" verify - --key "$K" < "$B"',
        '"$E" verify <(cat "$B") --key "$K"', '"$E" verify "$B" --key <(printf "%s\\n" "$K")',
        'mkfifo f && (cat "$B" > f & "$E" verify f --key "$K")', 'printf "%s" "$K" | "$E" verify "$B" --key -',
        '"$E" verify <(cat p.tlog-proof) --entry entry --key "$K"', 'cat p.tlog-proof | "$E" verify - --entry entry --key "$K"',
        'cat p.tlog-proof | "$E" verify /dev/stdin --entry <(cat entry) --key "$K"',
    ):
        done = verify(command)
        assert done.returncode == 0 and "KEYS MATCH:" in done.stdout, (command, done.stdout, done.stderr)
    assert not list(Path("/tmp").glob("evidence.??????"))


def key_files(vkey: str, pem: str):
    """Each spelling of a key file, and whether it holds a key."""
    for text in (vkey, pem):
        for ending in ("\n", "\r\n", "", "\r", " \n", "\n\n\r\n"):
            yield text.strip().replace("\n", ending.strip(" ") or "\n").encode() + ending.encode(), True
        yield b"\xef\xbb\xbf" + text.encode(), True
        yield b"\r\n\n  " + text.encode(), True
        yield text.encode("utf-16"), False
    for none in (b"", b"\n", b"\xef\xbb\xbf", b"no key", vkey[:-1].encode(), b"x" + vkey.encode(), f"{vkey}\n{vkey}\n".encode(),
                 pem.replace("PUBLIC", "PRIVATE").encode(), b"\0" * 100, "密钥".encode()):
        yield none, False


def test_a_key_file_is_a_key_or_none(story, tmp_path):
    made = bundle(story, "--index", story.deposit)
    story.evidence("prove", story.deposit, "-o", tmp_path / "p.tlog-proof", "--entry-out", tmp_path / "entry")
    pem = story.evidence("keys", "--pem").stdout
    digest = story.evidence("keys", "--fingerprint").stdout.strip()
    openssl = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem.encode(), capture_output=True, check=True)
    assert hashlib.sha256(openssl.stdout).hexdigest() == digest
    path = tmp_path / "key"
    for content, is_key in key_files(story.vkey, pem):
        path.write_bytes(content)
        for what in ((made["path"],), (tmp_path / "p.tlog-proof", "--entry", tmp_path / "entry")):
            done = story.evidence("verify", *what, "--key", path, status=0 if is_key else 64)
            assert is_key or "this is not a verification key" in done.stderr and not done.stdout, content
    for spelling in (digest, digest.upper(), ":".join(re.findall("..", digest)), " ".join(re.findall("....", digest))):
        assert checks(story, made["path"], "--key", spelling)["signer"] == "given"
    assert checks(story, made["path"], "--key", "0" * 64, status=1)["verdict"] == "failed"
    story.evidence("verify", tmp_path / "p.tlog-proof", "--entry", tmp_path / "entry", "--key", digest, status=64)
    story.evidence("verify", made["path"], "--key", story.vkey[:-1], status=64)
    story.evidence("verify", made["path"], "--key", tmp_path / "missing", status=66)


def test_a_key_that_was_typed_is_no_file(story, tmp_path):
    made = bundle(story, "--index", story.deposit)
    digest, other = story.evidence("keys", "--fingerprint").stdout.strip(), Key("tests.example/ledger").vkey
    verify = ["verify", made["path"], "--key"]
    # One key in 64 has a slash there, and then what is left of it can name no file.
    short = story.vkey[:-1] if story.vkey[-2] != "/" else story.vkey + "A"
    for typed, key, status in [
        # Whose file would say that another's key is the one that was typed, and that the genuine one is not.
        (story.vkey, other, 0), (digest, other, 0), (digest.upper(), other, 0), (other, story.vkey, 1), ("0" * 64, story.vkey, 1),
        # Mistyped keys.
        (short, story.vkey, 64), (digest[:-1], story.vkey, 64), (digest + "0", story.vkey, 64),
        ("", story.vkey, 64), (" ", story.vkey, 64), ("\t \n", story.vkey, 64),
    ]:
        if typed:
            (tmp_path / typed).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / typed).write_text(key + "\n")
        story.evidence(*verify, typed, cwd=tmp_path, status=status)
        if typed:
            story.evidence(*verify, f"./{typed}", cwd=tmp_path, status=0 if key == story.vkey else 1)
            story.evidence(*verify, tmp_path / typed, cwd=tmp_path, status=0 if key == story.vkey else 1)


# A recovered ledger


def test_a_recovered_ledger_is_followed_through_its_keys(make_ledger, tmp_path):
    ledger = make_ledger().init().start()
    document = ledger.root / "a.txt"
    document.write_bytes(b"before the loss")
    first = ledger.append(events.deposit(document.read_bytes()))
    ledger.stop()
    ledger.lock.unlink()
    recovered = ledger.admin("recover", "--reason", "lock-lost", "--without-checkpoint").stdout
    ledger.start()
    ledger.append(events.closure())
    newest = ledger.call("GetCheckpoint")
    assert re.fullmatch("tests.example/ledger/incarnation/[0-9]+", newest["origin"]) and newest["vkey"] in recovered
    made = bundle(ledger, "--file", document)
    number = int(newest["origin"].rpartition("/")[2])
    assert [key["incarnation"] for key in made["manifest"]["keys"]] == [1, number]
    older = made["members"][f"consistency/{made['manifest']['consistency'][0]:016}.txt"].decode()
    assert older.endswith(first["checkpoint"])
    report = checks(ledger, made["path"], "--key", newest["vkey"])
    assert report["passed"] and report["signer"] == "given"
    report = checks(ledger, made["path"], "--key", ledger.vkey)
    assert report["passed"] and report["signer"] == "succeeded"
    assert [c["outcome"] for c in report["checks"] if c["check"] == "succession"] == ["passed"]
    done = run(unpack(made["path"], tmp_path / "case"), ledger.vkey)
    assert done.returncode == VERIFIED, done.stdout.decode()


# Size


@pytest.mark.parametrize("count", [1, 10, 100, 1_000])
def test_it_takes_seconds_whatever_the_size(make_ledger, count):
    _measure(make_ledger().init().start(), count)


@pytest.mark.skipif(not LONG, reason="a minute with a debug build: set EVIDENCED_LONG=1")
def test_ten_thousand_entries(make_ledger):
    _measure(make_ledger().init().start(), 10_000)


def _measure(ledger, count):
    for start in range(0, count, 1_000):
        ledger.append(*[events.deposit(b"%d" % n) for n in range(start, min(count, start + 1_000))])
    begun = time.monotonic()
    made = bundle(ledger, "--since", "2020-01-01")
    packed = time.monotonic() - begun
    assert made["entries"] == ledger.size > count
    begun = time.monotonic()
    report = checks(ledger, made["path"], "--key", ledger.vkey)
    print(f"{count} entries: packed in {packed:.2f} s, verified in {time.monotonic() - begun:.2f} s, "
          f"{made['path'].stat().st_size} bytes")
    assert report["passed"]


# What is cited, and how the ledger's clock was


def test_what_is_cited_is_told_or_brought(story, tmp_path):
    made = bundle(story, "--index", story.verified)
    assert made["absent"] == [story.deposit] and made["cited"] == 0
    said = story.evidence("verify", made["path"], "--key", "vkey").stdout
    assert f"NOTE  records that are cited: not in this bundle: record {story.deposit}\n" in said
    assert f"NOTE:   Cited here, as deposit: record {story.deposit}. Ask whoever filed this bundle" in said.split("\n\n")[-1]
    said = story.evidence("verify", made["path"], "--key", "vkey", "--chinese").stdout
    assert f"提示  被引用的记录：不在本证据包中：第 {story.deposit} 项记录\n" in said and f"被引用的：存证：第 {story.deposit} 项记录。" in said
    said = story.evidence("bundle", "--index", story.verified, "-o", "told.zip").stdout
    assert re.search(rf"cited, not in the bundle +{story.deposit}; --with-cited adds them", said)
    made = bundle(story, "--index", story.verified, "--with-cited", "--open", "size")
    rows = {row["index"]: row["openings"] for row in made["manifest"]["entries"]}
    assert made["absent"] == [] and made["cited"] == 1 and made["selected"] == 1
    assert rows[story.deposit] == ["size"] and made["manifest"]["selection"] == [{"kind": "index", "value": str(story.verified)}]
    said = story.evidence("verify", made["path"], "--key", "vkey").stdout
    assert "Cited here, as" not in said and "cited: not in this bundle" not in said


def test_the_clock_and_the_software_are_told(make_ledger, tmp_path):
    """Of three runs: what is said before each record that was selected, and the first after the newest."""
    ledger = make_ledger().init()
    indexes = []
    for number in range(3):
        if number > 0:
            assert ledger.stop() == 0
        ledger.start()
        indexes.append(ledger.append(events.deposit(f"run {number}".encode()))["receipts"][0]["index"])
    whole = [json.loads(ledger.entry(index)["entry"]) for index in range(indexes[-1] + 1)]
    made = bundle(ledger, "--index", indexes[0])
    both = bundle(ledger, "--index", indexes[0], indexes[2])

    def own(made):
        return [row["index"] for row in made["manifest"]["entries"]
                if whole[row["index"]]["type"] in ("system.started", "system.clock_status")]

    runs = [[entry["index"] for entry in whole if entry["type"] == type] for type in ("system.started", "system.clock_status")]
    assert all(len(run) == 3 for run in runs)
    assert own(made) == sorted([runs[0][0], runs[1][0], runs[0][1], runs[1][1]])
    assert own(both) == sorted([runs[0][0], runs[1][0], runs[0][2], runs[1][2]])
