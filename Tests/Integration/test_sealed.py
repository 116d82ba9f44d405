"""Claims at rest, opened with nothing but ledger-format.md section 10, the keyring and a library of its own."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

import events
import keytree
from faults import EXIT_REFUSED
from keytree import AES, SM4, SUITES, Master, Tree, context, node, opened, root_slot, scope_slot, seal
from store import content, database, link, number, stream_key
from wire import CallError

DOCUMENT = Path(__file__).parents[2] / "ledger-format.md"


def keyring(path) -> dict[str, bytes]:
    first, *lines = path.read_text().splitlines()
    assert first == "evidenced keyring v1"
    return {name: base64.b64decode(key) for name, key in (line.split(" ") for line in lines)}


def records(plaintext: bytes) -> list[tuple[bytes, bytes]]:
    """Salt and value of each claim; nothing may be left over."""
    found = []
    while plaintext:
        salt, length, rest = plaintext[:32], int.from_bytes(plaintext[32:34]), plaintext[34:]
        assert len(salt) == 32 and len(rest) >= length
        found.append((salt, rest[:length]))
        plaintext = rest[length:]
    return found


def commitment(salt: bytes, name: str, value: bytes) -> str:
    text = b"evidenced/claim/v1\n" + base64.b64encode(salt) + b"\n" + name.encode() + b"\n" + value
    return base64.b64encode(hashlib.sha256(text).digest()).decode()


def test_claims_at_rest_are_what_the_format_says(make_ledger, suite):
    ledger = make_ledger(suite=suite).init().start()
    deposit = events.deposit(b"at rest", name='合同 "最终"\n.pdf')
    both = events.registration(phone="\t138")
    receipts = ledger.append(deposit, events.closure(), both)["receipts"]
    again = ledger.append(events.deposit(b"again", object_id=deposit["streams"][0].partition("/")[2]))["receipts"]
    entries = {r["index"]: json.loads(ledger.entry(r["index"])["entry"]) for r in receipts + again}
    said = {index: ledger.call("Open", {"index": index})["openings"] for index in entries if entries[index]["claims"]}
    assert ledger.stop() == 0
    tree = Tree(ledger.keys, keyring(ledger.keyring)["keys-master"])
    assert tree.suite == suite
    with database(ledger.store, "meta") as rows:
        assert rows.get(b"keys")[:-8] == f"{tree.id} {suite}".encode()
    with database(ledger.store, "sealed") as rows:
        sealed = dict(rows.cursor())
    with database(ledger.store, "scopes") as rows:
        scopes = dict(rows.cursor())
    # Each row ends in a link to the next; the first is there for its link alone.
    keys = [*sorted(scopes), bytes([255] * 17)]
    for key, following in zip(keys, keys[1:]):
        assert scopes[key][-8:] == link(key, following)
    scopes = {key: content(value) for key, value in scopes.items()}
    assert scopes.pop(bytes(17)) == b""
    assert set(sealed) == {number(index) + b"\0" for index in said}
    assert set(scopes) == {stream_key(scope) for entry in entries.values() for scope in entry["claims"]}
    for index, openings in said.items():
        [(scope, commitments)] = entries[index]["claims"].items()
        slot = int.from_bytes(scopes[stream_key(scope)][:8])
        assert scopes[stream_key(scope)] == scope_slot(stream_key(scope), slot)
        data_key = tree.key(slot)
        # It is sealed anew and compared, too.
        plaintext = opened(suite, data_key, f"evidenced/sealed-claims/v1\n{scope}\n{index}".encode(),
                           sealed[number(index) + b"\0"])
        claims = records(plaintext)
        assert len(claims) == len(commitments) == len(openings)
        for (name, expected), (salt, value), opening in zip(commitments.items(), claims, openings):
            assert commitment(salt, name, value) == expected
            assert (opening["name"], opening["value"]) == (name, json.loads(value))
            assert opening["salt"] == base64.b64encode(salt).decode()
    # No salt is used twice.
    salts = [opening["salt"] for openings in said.values() for opening in openings]
    assert len(set(salts)) == len(salts)


def test_the_known_answer_is_right():
    """The numbers of the document, computed anew from what it says they are made of."""
    text = DOCUMENT.read_text()

    def stated(title: str) -> bytes:
        block = re.search(rf"^    {re.escape(title)}\n((?:        [0-9a-f]+\n)+)", text, re.MULTILINE)
        return bytes.fromhex(block[1].replace(" ", "").replace("\n", ""))

    digest = hashlib.sha256(b"An example contract.\n").hexdigest()
    claims = [(bytes(range(0x20)), f'"{digest}"'.encode()), (bytes(range(0x20, 0x40)), b"21")]
    plaintext = b"".join(salt + len(value).to_bytes(2) + value for salt, value in claims)
    data_key = bytes(range(0x40, 0x60))
    scope = "object/019b76da4c0c00000000000000000002"
    bound = f"evidenced/sealed-claims/v1\n{scope}\n1".encode()
    assert stated("plaintext, 136 bytes:") == plaintext
    assert stated("sealed, 164 bytes:") == seal(AES, data_key, bound, plaintext)
    assert stated("sealed, sm4, 184 bytes:") == seal(SM4, data_key, bound, plaintext)
    derived = keytree.hkdf_sm3(data_key, b"evidenced/sm4-ctr-hmac-sm3/v1", 48)
    assert f"e is `{derived[:16].hex()}`, and m\n`{derived[16:].hex()}`" in text
    tree, master = "00112233445566778899aabbccddeeff", Master(bytes(range(0x60, 0x80)))
    keys = [bytes(range(first, first + 32)) for first in (0x80, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x40)]
    for suite, suffix, depths in ((AES, "", range(6)), (SM4, ", sm4", (0, 5))):
        assert f"`{master.wrapping(suite).hex()}`" in text
        root = root_slot(tree, suite, 1, master, keys[0])
        assert stated(f"hash at the end of its slot, {suite}, 32 bytes:") == root[-32:]
        assert "".join(f"    {line}\n" for line in root.split(b"\0")[0].decode().splitlines()) in text
        for depth in depths:
            wrapped = seal(suite, keys[depth], context(tree, depth, 0, 0), keys[depth + 1])
            row = node(depth, 0, 1, {0: wrapped})
            assert stated(f"node 0 at depth {depth}{suffix}, {len(row)} bytes:") == row
    entry1 = re.search(r"^printf '%s' '(.*)' > entry1$", text, re.MULTILINE)[1]
    [commitments] = json.loads(entry1)["claims"].values()
    for (name, expected), (salt, value) in zip(commitments.items(), claims, strict=True):
        assert commitment(salt, name, value) == expected


def test_the_independent_reader_has_the_algorithms_of_the_standards():
    """What the numbers above are worth: SM3 of GB/T 32905 (A.1, A.2), SM4 of GB/T 32907 (A.1), HMAC-SM3 of GM/T 0042, and
    SM4 in counter mode of draft-ribose-cfrg-sm4 (A.2.5)."""
    assert keytree.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert keytree.sm3(b"abcd" * 16).hex() == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    message = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" * 2
    assert keytree.hmac_sm3(bytes(range(1, 33)), message).hex() == (
        "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a")
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert keytree.sm4_counter(key, key, bytes(16)).hex() == "681edf34d206965e86b3e94f536e4246"
    text = b"".join(bytes([byte] * 8) for byte in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xAA, 0xBB))
    assert keytree.sm4_counter(key, bytes(range(16)), text).hex() == (
        "ac3236cb970cc20791364c395a1342d1a3cbc1878c6f30cd074cce385cdd70c7"
        "f234bc0e24c11980fd1286310ce37b926e02fcd0faa0baf38b2933851d824514")


def test_damaged_claims_are_found(make_ledger, suite):
    """In any byte: of nonce, text and what authenticates them."""
    ledger = make_ledger(suite=suite).init().start()
    index = ledger.append(events.registration())["receipts"][0]["index"]
    assert ledger.stop() == 0
    with database(ledger.store, "sealed") as rows:
        row = rows.get(number(index) + b"\0")
    for place in sorted({0, 15, 16, len(row) // 2, len(row) - 33, len(row) - 32, len(row) - 1}):
        with database(ledger.store, "sealed") as rows:
            rows.put(number(index) + b"\0", row[:place] + bytes([row[place] ^ 0x10]) + row[place + 1 :])
        report = ledger.audit(status=1)
        assert [finding["index"] for finding in report["findings"]] == [index], (place, report)
    with database(ledger.store, "sealed") as rows:
        rows.put(number(index) + b"\0", row)
    assert ledger.audit()["clean"]


@pytest.mark.parametrize("suite, other", [SUITES, SUITES[::-1]])
def test_keys_of_another_suite_are_refused_by_name(make_ledger, suite, other):
    """The store says that its claims are sealed with other algorithms than its keys are wrapped with."""
    ledger = make_ledger(suite=suite).init()
    with database(ledger.store, "meta") as rows:
        content = rows.get(b"keys")[:-8].replace(suite.encode(), other.encode())
        rows.put(b"keys", content + hashlib.sha256(b"evidenced/key-row/v1\nkeys\n" + content).digest()[:8])
    assert ledger.run_until_exit() == EXIT_REFUSED
    assert f"is of the suite {suite}, and the store's claims are sealed with {other}" in ledger.log_text()
    [finding] = ledger.audit(status=1)["findings"]
    assert f"of the suite {suite}" in finding["what"]


def test_a_suite_is_chosen_at_the_creation_and_stays(make_ledger):
    names = {"aes": AES, "sm4": SM4, AES: AES, SM4: SM4, None: AES}
    for position, (name, suite) in enumerate(names.items()):
        ledger = make_ledger(f"s{position}", suite=name).init()
        assert f"suite {suite}\n" in (ledger.keys / "root.key").read_bytes().partition(b"\0")[0].decode()
    refused = make_ledger("none").admin("init", "--origin", "tests.example/none", "--suite", "des", status=64)
    assert "'aes' and 'sm4'" in refused.stderr
    assert "key-lost" in ledger.admin("recover", "--reason", "moved", "--suite", "sm4", status=64).stderr
    # The keys open, so they are not lost.
    refused = ledger.admin("recover", "--reason", "key-lost", "--suite", "sm4", status=65)
    assert "not lost" in refused.stderr and AES in refused.stderr


@pytest.mark.parametrize("asked", [None, *SUITES])
def test_a_recovery_without_keys_keeps_the_suite_unless_told_otherwise(make_ledger, suite, asked):
    ledger = make_ledger(suite=suite).init().start()
    lost = ledger.append(events.registration())["receipts"][0]["index"]
    assert ledger.stop() == 0
    ledger.keyring.unlink()
    ledger.admin("recover", "--reason", "key-lost", *(["--suite", asked] if asked else []))
    ledger.start()
    index = ledger.append(events.registration())["receipts"][0]["index"]
    assert ledger.call("Open", {"index": index})["openings"]
    with pytest.raises(CallError):
        ledger.call("Open", {"index": lost})
    assert ledger.stop() == 0 and ledger.audit()["clean"]
    tree = Tree(ledger.keys, keyring(ledger.keyring)["keys-master"])
    assert tree.suite == (asked or suite) and tree.key(0)
