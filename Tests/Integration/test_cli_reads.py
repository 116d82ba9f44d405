"""The commands that find, show, list, watch and prove what is recorded."""

import base64
import hashlib
import json
import signal
import subprocess

import events
import verifier
from ledger import ORIGIN, PRINCIPAL, die_with_parent, require


def test_find(shared, tmp_path):
    (tmp_path / "known").write_bytes(events.new_id().encode())
    (tmp_path / "unknown").write_bytes(events.new_id().encode())
    indexes = [shared.evidence_json("deposit", "--digest-only", tmp_path / "known")[0]["index"] for _ in range(2)]
    assert [row["index"] for row in shared.evidence_json("find", tmp_path / "known")] == indexes
    assert f"recorded at index {indexes[0]}" in shared.evidence("find", tmp_path / "known").stdout
    assert "not recorded" in shared.evidence("find", tmp_path / "unknown", status=1).stdout
    assert shared.evidence("find", "--json", tmp_path / "unknown", status=1).stdout == ""


def test_show(shared):
    [receipt] = shared.append(events.deposit(b"shown", name="a.pdf"))["receipts"]
    index, row = receipt["index"], shared.entry(receipt["index"])
    assert shared.evidence("show", index, "--raw").stdout == row["entry"]
    [shown] = shared.evidence_json("show", index)
    assert shown["index"] == index and shown["leaf"] == row["leaf"]
    text = shared.evidence("show", index).stdout
    assert "a.pdf" not in text and "claim.file_name" in text and row["leaf"] in text
    assert "a.pdf" in shared.evidence("show", index, "--open", "file_name").stdout
    [opened] = shared.evidence_json("show", index, "--open", "all")
    for opening in opened["openings"]:
        verifier.verify_opening(opening, json.loads(row["entry"]))
    assert {opening["name"] for opening in opened["openings"]} == {"sha256", "size", "file_name"}
    [two] = shared.evidence_json("show", index, "--open", "size,sha256")
    assert {opening["name"] for opening in two["openings"]} == {"sha256", "size"}
    assert "names" in shared.evidence("show", index, "--open", "nothing", status=1).stderr
    assert "no such" in shared.evidence("show", 2**32 - 1, status=1).stderr


def test_list_passes_its_filters_on(shared):
    subject = events.new_id()
    times = [receipt["time"] for receipt in shared.append(
        *(events.registration(subject), events.closure(subject), events.closure(subject)))["receipts"]]
    stream = ["--stream", f"subject/{subject}"]

    def listed(*args):
        return [entry["index"] for entry in shared.evidence_json("list", *args)]

    every = listed(*stream)
    assert len(every) == 3
    assert listed(*stream, "--reverse") == every[::-1]
    assert listed(*stream, "--type", "account.closed") == every[1:]
    assert listed(*stream, "--limit", "2") == every[:2] and listed(*stream, "--from", str(every[1])) == every[1:]
    assert listed(*stream, "--since", times[1]) == every[1:] and listed(*stream, "--until", times[1]) == every[:1]
    assert listed(*stream, "--since", times[0][:10]) == every and listed(*stream, "--until", times[0][:10]) == []
    assert listed(*stream, "--submitter", PRINCIPAL) == every and listed(*stream, "--submitter", "evidenced") == []
    assert listed("--all") == list(range(shared.size)) and len(listed()) == min(100, shared.size)
    header, *rows = shared.evidence("list", *stream).stdout.splitlines()
    assert header.split() == ["INDEX", "TIME", "TYPE", "SUBMITTER", "STREAMS"]
    assert [row.split()[-1] for row in rows] == [f"subject/{subject}#{number}" for number in range(3)]
    assert shared.evidence("list", "--type", "incident.closed").stdout == ""


def test_list_all_of_more_than_a_page(shared):
    while shared.size < 2_100:
        shared.append(*(events.closure() for _ in range(500)))
    assert [entry["index"] for entry in shared.evidence_json("list", "--all")] == list(range(shared.size))
    assert len(shared.evidence_json("list", "--limit", "1500")) == 1_500


def test_watch_prints_each_entry_at_once_and_ends_with_its_signal(shared):
    size = shared.size
    command = [shared.bin / "evidence", "watch", "--json", "--from", str(size), "--type", "account.closed"]
    with subprocess.Popen(command, env=shared.environment, stdout=subprocess.PIPE, preexec_fn=die_with_parent, text=True) as watcher:
        try:
            for _ in range(3):
                event = events.closure()
                shared.append(events.registration(), event)
                assert event["request"] in watcher.stdout.readline()
            watcher.send_signal(signal.SIGINT)
            assert watcher.wait(10) == -signal.SIGINT
        finally:
            watcher.kill()


def test_a_watch_ends_with_the_daemon(ledger):
    command = [ledger.bin / "evidence", "watch", "--from", "0"]
    with subprocess.Popen(command, env=ledger.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watcher:
        try:
            assert b"ledger.created" in watcher.stdout.readline()
            ledger.stop()
            assert watcher.wait(10) == 69 and watcher.stderr.read().startswith(b"evidence: ")
        finally:
            watcher.kill()


def test_prove_and_verify(shared, tmp_path):
    [receipt] = shared.append(events.deposit(b"proven"))["receipts"]
    index = receipt["index"]
    shared.append(events.closure())
    shared.evidence("prove", index, "-o", "p", "--entry-out", "e", cwd=tmp_path)
    checkpoint = verifier.verify_proof((tmp_path / "p").read_text(), (tmp_path / "e").read_bytes(), shared.vkey)
    assert checkpoint.size == shared.size
    assert shared.evidence("prove", "--leaf", receipt["leaf"]).stdout == (tmp_path / "p").read_text()
    [passed] = shared.evidence_json("verify", "p", "--entry", "e", "--key", shared.vkey, cwd=tmp_path)
    assert passed["passed"] and all(check["passed"] and check["problem"] is None for check in passed["checks"])
    [failed] = shared.evidence_json("verify", "p", "--entry", "p", "--key", shared.vkey, cwd=tmp_path, status=1)
    assert not failed["passed"] and any(check["problem"] for check in failed["checks"])
    older = shared.evidence("prove", index, "--size", index + 1).stdout
    assert verifier.verify_proof(older, (tmp_path / "e").read_bytes(), shared.vkey).size == index + 1


def test_prove_where_no_checkpoint_was_signed(shared):
    receipts = shared.append(events.closure(), events.closure())["receipts"]
    between = str(receipts[0]["index"] + 1)
    assert "no checkpoint" in shared.evidence("prove", "0", "--size", between, status=1).stderr
    [reply] = shared.evidence_json("prove", "0", "--size", between)
    assert reply["proof"] is None and reply["hashes"]


def test_prove_consistency(shared):
    leaves = [verifier.leaf_hash(row["entry"].encode()) for row in shared.entries()]
    [reply] = shared.evidence_json("prove", "--consistency", "3", "7")
    assert reply["firstRoot"] == verifier.b64(verifier.tree_root(leaves[:3]))
    assert reply["secondRoot"] == verifier.b64(verifier.tree_root(leaves[:7]))
    shown = shared.evidence("prove", "--consistency", "5").stdout
    assert verifier.b64(verifier.tree_root(leaves[:5])) in shown and verifier.b64(verifier.tree_root(leaves)) in shown
    assert shared.evidence("prove", "--consistency", "7", "3", status=1).stderr


def test_the_pem_key_verifies_checkpoints_in_openssl(shared, tmp_path):
    assert shared.evidence("keys").stdout == shared.vkey + "\n"
    (tmp_path / "key.pem").write_text(shared.evidence("keys", "--pem").stdout)
    [both] = shared.evidence_json("keys")
    spki = base64.b64decode((tmp_path / "key.pem").read_text().splitlines()[1])
    fingerprint = hashlib.sha256(spki).hexdigest()
    assert both == {"fingerprint": fingerprint, "pem": (tmp_path / "key.pem").read_text(), "vkey": shared.vkey}
    assert shared.evidence("keys", "--fingerprint").stdout == fingerprint + "\n"
    text, signature = shared.call("GetCheckpoint")["checkpoint"].split("\n\n")
    (tmp_path / "text").write_text(text + "\n")
    (tmp_path / "sig").write_bytes(verifier.unb64(signature.split()[-1], 68)[4:])
    command = [require("openssl"), "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "text",
               "-sigfile", "sig"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_status(shared):
    [status] = shared.evidence_json("status")
    assert status["origin"] == ORIGIN and status["size"] == shared.size
    shown = dict(line.split(maxsplit=1) for line in shared.evidence("status").stdout.splitlines())
    assert shown["acceptsAppends"] == "yes" and shown["root"] == status["root"] and set(shown) == set(status)


def test_backup(shared, tmp_path):
    target = shared.backups / events.new_id()
    [reply] = shared.evidence_json("backup", f"backups/{target.name}", cwd=shared.root)
    assert reply["size"] == shared.size and reply["bytes"] == (target / "data.mdb").stat().st_size
    assert str(shared.backups) in shared.evidence("backup", tmp_path / "elsewhere", status=1).stderr
    assert not (tmp_path / "elsewhere").exists()
    assert shared.evidence("backup", target, status=1).stderr
