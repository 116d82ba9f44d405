"""The commands that record: submit and deposit."""

import hashlib
import json
import subprocess

import pytest

import events
import verifier
from ledger import require


def openssl_digest(name: str, path) -> str:
    done = subprocess.run([require("openssl"), "dgst", f"-{name}", path], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def write_events(path, made: list[dict], form: str):
    path.write_text({"array": json.dumps(made), "sequence": "\n".join(map(json.dumps, made)),
                     "one": json.dumps(made[0])}[form])


@pytest.mark.parametrize("form", ["array", "sequence", "one"])
@pytest.mark.parametrize("source", ["file", "stdin", "dash"])
def test_submit_takes_events_in_every_form(shared, tmp_path, form, source):
    made = [events.closure() for _ in range(1 if form == "one" else 3)]
    file = tmp_path / "events.json"
    write_events(file, made, form)
    size = shared.size
    if source == "file":
        receipts = shared.evidence_json("submit", file)
    else:
        receipts = shared.evidence_json("submit", *(["-"] if source == "dash" else []), input=file.read_text())
    assert [receipt["index"] for receipt in receipts] == list(range(size, size + len(made)))
    for event, receipt in zip(made, receipts, strict=True):
        row = shared.entry(receipt["index"])
        assert row["leaf"] == receipt["leaf"] and json.loads(row["entry"])["request"] == event["request"]
        assert receipt["duplicate"] is False
    again = shared.evidence_json("submit", input=file.read_text())
    assert again == [receipt | {"duplicate": True} for receipt in receipts]


def test_submit_prints_a_table(shared, tmp_path):
    event = events.closure()
    for state in ("new", "duplicate"):
        header, row = shared.evidence("submit", input=json.dumps(event)).stdout.splitlines()
        assert header.split() == ["INDEX", "TIME", "LEAF", "STATE"] and row.split()[3] == state


def test_submit_by_flags(shared):
    subject, vendor = events.new_id(), events.new_id()
    request = events.new_request()
    args = ["--type", "identity.verified", "--actor", f"subject/{subject}", "--stream", f"subject/{subject}",
            "--stream", f"vendor/{vendor}", "--body", "method=face", "--body", "expires=2036-01-01T00:00:00.000000Z",
            "--body", "requested=3", "--claim", f"subject/{subject}", "name=Li = Na", "id_number=1",
            "--claim", f"vendor/{vendor}", "vendor_transaction=42", "--request", request]
    [receipt] = shared.evidence_json("submit", *args)
    entry = json.loads(shared.entry(receipt["index"])["entry"])
    assert entry["request"] == request
    assert entry["body"] == {"method": "face", "expires": "2036-01-01T00:00:00.000000Z", "requested": 3}
    opened = shared.call("Open", {"index": receipt["index"]})["openings"]
    assert {(opening["scope"], opening["name"]): opening["value"] for opening in opened} == {
        (f"subject/{subject}", "name"): "Li = Na", (f"subject/{subject}", "id_number"): "1",
        (f"vendor/{vendor}", "vendor_transaction"): "42"}
    assert shared.evidence_json("submit", *args)[0]["duplicate"] is True


def test_submit_by_flags_makes_lists(shared):
    stream = f"subject/{events.new_id()}"
    [receipt] = shared.evidence_json(
        "submit", "--type", "consent.granted", "--actor", stream, "--stream", stream,
        "--body", "purposes=deposit,signing", "--body", "categories=name", "--body", f"text_sha256={'0' * 64}",
        "--body", "language=en", "--body", "mode=express")
    assert json.loads(shared.entry(receipt["index"])["entry"])["body"]["purposes"] == ["deposit", "signing"]


def test_submit_makes_up_missing_requests(shared):
    event = events.closure()
    del event["request"]
    first, second = (shared.evidence_json("submit", input=json.dumps(event))[0] for _ in range(2))
    assert second["index"] == first["index"] + 1


def test_submit_refuses_as_a_whole_and_says_why(shared):
    size = shared.size
    done = shared.evidence("submit", input=json.dumps([events.closure(), events.closure() | {"actor": "me"}]), status=1)
    assert "event 1" in done.stderr and "actor" in done.stderr and shared.size == size
    event = events.closure()
    index = shared.append(event)["receipts"][0]["index"]
    done = shared.evidence("submit", input=json.dumps(event | {"body": {"channel": "app"}}), status=1)
    assert str(index) in done.stderr


def test_submit_splits_many_events_into_calls(shared, tmp_path):
    made = [events.closure() for _ in range(2_300)]
    write_events(tmp_path / "events", made, "sequence")
    receipts = shared.evidence_json("submit", tmp_path / "events")
    assert len({receipt["index"] for receipt in receipts}) == len(made)
    assert not any(receipt["duplicate"] for receipt in receipts)


def test_proofs_are_written_beside_receipts(shared, tmp_path):
    event = json.dumps(events.closure())
    [receipt] = shared.evidence_json("submit", "--proof-dir", "proofs", input=event, cwd=tmp_path)
    name = f"proofs/{receipt['index']}"
    proof, entry = (tmp_path / f"{name}.tlog-proof"), (tmp_path / f"{name}.entry.json")
    verifier.verify_proof(proof.read_text(), entry.read_bytes(), shared.vkey)
    shared.evidence("verify", proof, "--entry", entry, "--key", shared.vkey)


DOCUMENTS = {"contract.pdf": b"%PDF a contract", "empty.txt": b"", "long.bin": b"\0\xff" * 700_001, "名 字.ofd": b"x"}
TYPES = {"contract.pdf": "application/pdf", "empty.txt": "text/plain", "long.bin": "application/octet-stream",
         "名 字.ofd": "application/ofd"}


def test_deposit_records_what_openssl_and_hashlib_compute(shared, tmp_path):
    for name, data in DOCUMENTS.items():
        (tmp_path / name).write_bytes(data)
    rows = shared.evidence_json("deposit", "--digest-only", *DOCUMENTS, "--proof-dir", "proofs", "--product", "contract", cwd=tmp_path)
    assert [row["file"] for row in rows] == list(DOCUMENTS)
    assert len({row["subject"] for row in rows}) == 1 and len({row["object"] for row in rows}) == len(rows)
    for row in rows:
        path = tmp_path / row["file"]
        claims = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "sm3": openssl_digest("sm3", path),
                  "size": path.stat().st_size, "file_name": row["file"]}
        assert {name: row[name] for name in ("sha256", "sm3", "size")}.items() <= claims.items()
        entry = json.loads(shared.entry(row["index"])["entry"])
        assert entry["body"] == {
            "channel": "upload", "custody": "digest-only", "media_type": TYPES[row["file"]], "product": "contract"}
        assert dict(entry["streams"]) == {f"object/{row['object']}": 0, f"subject/{row['subject']}": rows.index(row)}
        opened = shared.call("Open", {"index": row["index"]})["openings"]
        assert {opening["name"]: opening["value"] for opening in opened} == claims
        assert {opening["scope"] for opening in opened} == {f"object/{row['object']}"}
        proof = tmp_path / "proofs" / f"{row['file']}.tlog-proof"
        entry_bytes = (tmp_path / "proofs" / f"{row['file']}.entry.json").read_bytes()
        verifier.verify_proof(proof.read_text(), entry_bytes, shared.vkey)
        for digest in (row["sha256"], row["sm3"]):
            assert [found["index"] for found in shared.evidence_json("find", "--digest", digest)] == [row["index"]]


def test_deposit_never_overwrites_a_proof(shared, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    first, second = (shared.evidence_json("deposit", "--digest-only", "a.txt", "--proof-dir", ".", cwd=tmp_path)[0] for _ in range(2))
    proofs = {path.name: path.read_text() for path in tmp_path.glob("*.tlog-proof")}
    assert set(proofs) == {"a.txt.tlog-proof", f"a.txt.{second['index']}.tlog-proof"}
    assert f"\nindex {first['index']}\n" in proofs["a.txt.tlog-proof"]


def test_deposit_for_people(shared, tmp_path):
    (tmp_path / "a.txt").write_text("for people")
    subject = events.new_id()
    options = ["--subject", subject, "--media-type", "text/x-test"]
    shown = shared.evidence("deposit", "--digest-only", "a.txt", *options, cwd=tmp_path).stdout
    assert shown.startswith(f"subject  {subject}\n") and hashlib.sha256(b"for people").hexdigest() in shown
    done = shared.evidence("deposit", "--digest-only", "a.txt", "--product", "poem", status=1, cwd=tmp_path)
    assert "body.product" in done.stderr


@pytest.mark.parametrize("command", ["submit", "deposit"])
def test_a_proof_directory_that_can_t_be_made_leaves_nothing_recorded(shared, tmp_path, command):
    (tmp_path / "file").write_text(json.dumps(events.closure()))
    size = shared.size
    shared.evidence(command, "file", "--proof-dir", "missing/parent", cwd=tmp_path, status=66)
    assert shared.size == size
