"""Proofs hold under verifier.py and under `evidence verify`; with anything in them changed they do not."""

import base64
import json
import re

import pytest

import events
import verifier
from ledger import Ledger

SIZES = 12


@pytest.fixture(scope="module")
def proven(tmp_path_factory, bin):
    """A ledger that has stopped, with entries and receipts of every event, one call each; nothing answers any more."""
    with Ledger(tmp_path_factory.mktemp("proven") / "l", bin).init().start() as ledger:
        made = [events.deposit(b"%d" % number, name=f"名 {number}.pdf") for number in range(9)]
        made += [events.registration(), events.consent(), events.closure(), events.access(reason="why")]
        receipts = [ledger.append(event, proofs=True)["receipts"][0] for event in made]
        rows = [ledger.entry(receipt["index"]) for receipt in receipts]
        # In the last tree the sixth has hashes on both sides.
        late = ledger.call("ProveInclusion", {"index": receipts[5]["index"]})["proof"]
        ledger.openings = ledger.call("Open", {"index": receipts[0]["index"]})["openings"]
        assert ledger.stop() == 0
    ledger.receipts = [(receipt["proof"], row["entry"].encode()) for receipt, row in zip(receipts, rows, strict=True)]
    ledger.late = (late, rows[5]["entry"].encode())
    return ledger


def verify(ledger: Ledger, tmp_path, proof: bytes, entry: bytes, *args, key: str | None = None, status: int):
    (tmp_path / "proof").write_bytes(proof)
    (tmp_path / "entry").write_bytes(entry)
    done = ledger.evidence("verify", tmp_path / "proof", "--entry", tmp_path / "entry", "--key", key or ledger.vkey,
                           *args, status=status)
    if status == 64:
        return done
    refused = re.search("^(FAILED: do not rely on this proof|NOT THIS KEY: .*)$", done.stdout, re.MULTILINE)
    assert bool(refused) == (status == 1) and ("KEYS MATCH: " in done.stdout) == (status == 0), done.stdout
    assert ("FAILED" in done.stdout) == (status == 1) and "VERIFIED" not in done.stdout
    return done


def test_every_receipt_verifies_without_the_daemon(proven, tmp_path):
    for proof, entry in proven.receipts:
        checkpoint = verifier.verify_proof(proof, entry, proven.vkey)
        index = json.loads(entry)["index"]
        assert checkpoint.size == index + 1, "each call had a checkpoint of its own"
        done = verify(proven, tmp_path, proof.encode(), entry, status=0)
        assert f"\nKEYS MATCH: the key given is the one that signed this checkpoint" in done.stdout
        assert f" Record {index} (" in done.stdout


def test_a_records_verdict_says_no_more_than_was_checked(proven, make_ledger, tmp_path):
    """As of a bundle: keys are compared, and nobody's; the checkpoint has no date; another key is no sign of a change."""
    (proof, entry), other = proven.receipts[2], make_ledger().init().vkey
    (tmp_path / "proof").write_text(proof), (tmp_path / "entry").write_bytes(entry)
    index = json.loads(entry)["index"]
    told = {
        ("--chinese",): ("\n仅密钥比对一致：所提供的密钥与对账本签名快照作数字签名的密钥相同；其来源未经核实。\n", "（如与本证明一同取得，此比对无证明意义。）",
                         f"的第 {index} 项记录（evidence.deposited）与所附账本签名快照一致", "快照的数字签名时间不明，此前是否改写不能排除", "未核实运营方身份，亦未核验何人签署合同",
                         "所引用的记录，均不在此列"),
        (): ("\nKEYS MATCH: the key given is the one that signed this checkpoint; where it came from is not shown here.\n",
             "(If it came with this proof, the comparison shows nothing.)", f"Record {index} (evidence.deposited) of {proven.vkey.split('+')[0]} is as the "
             "checkpoint has it", "whether the ledger was rewritten before, and that its clock was right, is not shown",
             "who the operator is, and who signed a contract, is not checked", "of records that this one cites, nothing is said here")}
    for option, sentences in told.items():
        said = proven.evidence("verify", tmp_path / "proof", "--entry", tmp_path / "entry", "--key", proven.vkey, *option, status=0).stdout
        assert [sentence for sentence in sentences if sentence not in said] == []
        assert "VERIFIED" not in said and "passed" not in said if option else "recorded this" not in said
    for option, begins, about in (((), "NOT THIS KEY: record and proof agree, but the key given is another.", "who signed a contract, is not checked"), (
            ("--chinese",), "密钥不符：记录与证明相符，但与所提供的密钥不符。", "亦未核验何人签署合同")):
        for key, changed, is_other in ((other, entry, True), (other, entry.replace(b"upload", b"web"), False), (proven.vkey, entry.replace(b"upload", b"web"), False)):
            (tmp_path / "entry").write_bytes(changed)
            said = proven.evidence("verify", tmp_path / "proof", "--entry", tmp_path / "entry", "--key", key, *option, status=1).stdout
            assert (begins in said and about in said) == is_other, said
            assert ("FAILED: do not rely on this proof" in said or "核验未通过：不应采信本证明" in said) != is_other, said


def test_the_key_may_stand_in_a_file(proven, tmp_path):
    (tmp_path / "key").write_text(proven.vkey + "\n")
    proof, entry = proven.receipts[0]
    verify(proven, tmp_path, proof.encode(), entry, key=str(tmp_path / "key"), status=0)


def flipped(text: str, place: int) -> str:
    """The text with another character of the same kind at a place."""
    old = text[place]
    new = {"9": "8", "z": "y", "Z": "Y", "/": "A", "+": "B", "=": "A"}.get(old) or (
        chr(ord(old) + 1) if old.isalnum() and old.isascii() else "x")
    return text[:place] + new + text[place + 1 :]


def last_bits_changed(line: str) -> str:
    """The same bytes in another base64 spelling: bits beyond the last byte set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = line.rstrip("=")
    return body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + line[len(body):]


def changed_proofs(proof: str) -> dict[str, str]:
    """A name and a text for every way to change a proof line by line."""
    lines = proof.split("\n")
    gap = lines.index("")
    ways = {}
    for number, line in enumerate(lines[:-1]):
        def put(*replacement: str, number=number):
            return "\n".join(lines[:number] + list(replacement) + lines[number + 1 :])

        ways[f"line {number} missing"] = put()
        # A signature may stand there twice; hashes are below.
        if line and not 2 <= number < gap and not line.startswith("\u2014"):
            ways[f"line {number} twice"] = put(line, line)
        if not line:
            continue
        for place in sorted({0, len(line) // 2, len(line) - 1}):
            ways[f"line {number}, character {place}"] = put(flipped(line, place))
        ways[f"line {number} with a space"] = put(line + " ")
        ways[f"line {number} with a CR"] = put(line + "\r")
        if 2 <= number < gap:
            ways[f"hash {number} twice"] = put(line, line)
            ways[f"hash {number} in another spelling"] = put(last_bits_changed(line))
            ways[f"hash {number} too long"] = put(base64.b64encode(base64.b64decode(line) + b"\0").decode())
    hashes = lines[2:gap]
    ways["hashes turned round"] = "\n".join([*lines[:2], *reversed(hashes), *lines[gap:]])
    ways["a hash more"] = "\n".join([*lines[:gap], hashes[0], *lines[gap:]])
    ways["64 hashes"] = "\n".join([*lines[:2], *hashes[:1] * 64, *lines[gap:]])
    ways["index as +N"] = proof.replace("index ", "index +")
    ways["index as 0N"] = proof.replace("index ", "index 0")
    ways["another version"] = proof.replace("@v1", "@v2")
    ways["size as 0N"] = "\n".join(lines[: gap + 2] + ["0" + lines[gap + 2]] + lines[gap + 3 :])
    ways["no signature"] = "\n".join(lines[: gap + 4]) + "\n\n"
    ways["no last line feed"] = proof[:-1]
    ways["something behind it"] = proof + "\n"
    ways["a NUL in it"] = proof.replace("\n", "\n\0", 1)
    ways["not UTF-8"] = proof.replace(lines[gap + 1], lines[gap + 1] + "\udcff")
    ways["empty"] = ""
    return ways


def test_a_proof_with_any_line_changed_is_refused(proven, tmp_path):
    proof, entry = proven.late
    verify(proven, tmp_path, proof.encode(), entry, status=0)
    ways = changed_proofs(proof)
    assert len(ways) > 80
    for name, text in ways.items():
        assert text != proof, name
        done = proven.evidence(
            "verify", write(tmp_path / "proof", text.encode(errors="surrogateescape")), "--entry",
            write(tmp_path / "entry", entry), "--key", proven.vkey, status=None)
        assert done.returncode == 1, f"{name}: {done.returncode}\n{text}\n{done.stdout}{done.stderr}"


def write(path, data: bytes):
    path.write_bytes(data)
    return path


def test_a_hashes_other_spelling_is_what_makes_it_fail(proven):
    """The mutations above are meant to fail for their own reason: this one decodes to the same bytes."""
    line = proven.late[0].split("\n")[2]
    assert base64.b64decode(last_bits_changed(line)) == base64.b64decode(line)


def test_an_entry_with_any_member_changed_is_refused(proven, tmp_path):
    proof, entry = proven.late
    value = json.loads(entry)
    ways = {f"without {name}": {other: value[other] for other in value if other != name} for name in value}
    [(scope, claims)] = value["claims"].items()
    for name, new in {
        "actor": "vendor/" + "1" * 32, "body": value["body"] | {"channel": "api"}, "claims": {},
        "index": value["index"] + 1, "prev": verifier.b64(bytes(32)), "request": events.new_request(),
        "streams": [[scope, 1]], "submitter": "other", "time": "2026-01-01T00:00:00.000000Z",
        "type": "evidence.verified", "v": 2, "note": "x",
    }.items():
        ways[f"{name} changed"] = value | {name: new}
    for name, commitment in claims.items():
        ways[f"claim {name} changed"] = value | {"claims": {scope: claims | {name: flipped(commitment, 0)}}}
    texts = {name: verifier.canonical(changed) for name, changed in ways.items()}
    texts["with white space"] = entry.replace(b",", b", ", 1)
    texts["with a line feed"] = entry + b"\n"
    texts["members turned round"] = json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()
    texts["an escape more"] = entry.replace(b'"system"', b'"\\u0073ystem"')
    texts["a member twice"] = entry[:-1] + b',"v":1}'
    texts["a byte order mark"] = b"\xef\xbb\xbf" + entry
    texts["empty"] = b""
    for name, text in texts.items():
        assert text != entry, name
        verify(proven, tmp_path, proof.encode(), text, status=1)


def test_another_entrys_proof_and_another_ledgers_key_are_refused(proven, make_ledger, tmp_path):
    (proof, entry), (other_proof, other_entry) = proven.receipts[2], proven.receipts[3]
    verify(proven, tmp_path, other_proof.encode(), entry, status=1)
    verify(proven, tmp_path, proof.encode(), other_entry, status=1)
    same_name = make_ledger().init()
    verify(proven, tmp_path, proof.encode(), entry, key=same_name.vkey, status=1)
    name, _, rest = proven.vkey.partition("+")
    # What is no key gives no verdict on the proof.
    for wrong in (f"{name}x+{rest}", f"{name}+00000000+{rest.partition('+')[2]}", flipped(proven.vkey, -3)):
        verify(proven, tmp_path, proof.encode(), entry, key=wrong, status=64)
    key = rest.partition("+")[2]
    key_id = verifier.sha256(f"{name}x\n".encode() + verifier.unb64(key, 33)).hex()[:8]
    verify(proven, tmp_path, proof.encode(), entry, key=f"{name}x+{key_id}+{key}", status=1)


def test_openings_and_documents(proven, tmp_path):
    proof, entry = proven.receipts[0]
    document, openings = tmp_path / "document", tmp_path / "openings.json"
    document.write_bytes(b"0")

    def check(value, status, document=document):
        openings.write_text(json.dumps(value))
        verify(proven, tmp_path, proof.encode(), entry, "--opening", openings, "--document", document, status=status)

    check({"openings": proven.openings}, 0)
    check(proven.openings, 0)
    [digest] = [opening for opening in proven.openings if opening["name"] == "sha256"]
    check(digest, 0)
    for name, new in {
        "salt": verifier.b64(bytes(32)), "value": "0" * 64, "name": "size", "scope": "object/" + "0" * 32,
    }.items():
        check([digest | {name: new}], 1)
        check({"openings": [*proven.openings, digest | {name: new}]}, 1)
        check([{key: value for key, value in digest.items() if key != name}], 1)
    # A convenience only: the commitment is the entry's.
    check([digest | {"commitment": verifier.b64(bytes(32))}], 0)
    check([], 1)
    check([opening for opening in proven.openings if opening["name"] == "size"], 1)
    document.write_bytes(b"0\n")
    check(proven.openings, 1)


def test_consistency_between_all_pairs_of_sizes(ledger):
    while ledger.size < SIZES:
        ledger.append(events.closure())
    leaves = [verifier.leaf_hash(row["entry"].encode()) for row in ledger.entries()]
    with ledger.wire() as wire:
        for second in range(1, len(leaves) + 1):
            for first in range(1, second + 1):
                reply = wire.call("ProveConsistency", {"first": first, "second": second})
                roots = [verifier.unb64(reply[name]) for name in ("firstRoot", "secondRoot")]
                assert roots == [verifier.tree_root(leaves[:first]), verifier.tree_root(leaves[:second])]
                path = [verifier.unb64(text) for text in reply["hashes"]]
                verifier.verify_consistency(first, second, *roots, path)
                if reply["checkpoint"]:
                    signed = verifier.verify_note(reply["checkpoint"], ledger.vkey)
                    assert (signed.size, signed.root) == (second, roots[1])
                if path:
                    with pytest.raises(verifier.Refused):
                        verifier.verify_consistency(first, second, *roots, path[:-1])
