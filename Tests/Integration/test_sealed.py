"""Claims at rest, opened with nothing but ledger-format.md section 10, the keyring and a library of its own."""

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import events
from keytree import Master, Tree, context, node, root_slot, scope_slot, seal
from store import content, database, link, number, stream_key

DOCUMENT = Path(__file__).parents[2] / "ledger-format.md"


def keyring(path) -> dict[str, bytes]:
    first, *lines = path.read_text().splitlines()
    assert first == "evidenced keyring v1"
    return {name: base64.b64decode(key) for name, key in (line.split(" ") for line in lines)}


def opened(sealed: bytes, key: bytes, context: str) -> bytes:
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], context.encode())


def sealed_message(key: bytes, context: str, plaintext: bytes) -> bytes:
    digest = hmac.digest(key, b"evidenced/nonce/v1\n" + context.encode() + b"\n" + plaintext, "sha256")
    return digest[:12] + AESGCM(key).encrypt(digest[:12], plaintext, context.encode())


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


def test_claims_at_rest_are_what_the_format_says(make_ledger):
    ledger = make_ledger().init().start()
    deposit = events.deposit(b"at rest", name='合同 "最终"\n.pdf')
    both = events.registration(phone="\t138")
    receipts = ledger.append(deposit, events.closure(), both)["receipts"]
    again = ledger.append(events.deposit(b"again", object_id=deposit["streams"][0].partition("/")[2]))["receipts"]
    entries = {r["index"]: json.loads(ledger.entry(r["index"])["entry"]) for r in receipts + again}
    said = {index: ledger.call("Open", {"index": index})["openings"] for index in entries if entries[index]["claims"]}
    assert ledger.stop() == 0
    tree = Tree(ledger.keys, keyring(ledger.keyring)["keys-master"])
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
        plaintext = opened(sealed[number(index) + b"\0"], data_key, f"evidenced/sealed-claims/v1\n{scope}\n{index}")
        assert sealed[number(index) + b"\0"] == sealed_message(
            data_key, f"evidenced/sealed-claims/v1\n{scope}\n{index}", plaintext)
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
    sealed = sealed_message(data_key, f"evidenced/sealed-claims/v1\n{scope}\n1", plaintext)
    assert stated("plaintext, 136 bytes:") == plaintext
    assert stated("sealed, 164 bytes:") == sealed
    tree, master = "00112233445566778899aabbccddeeff", Master(bytes(range(0x60, 0x80)))
    keys = [bytes(range(first, first + 32)) for first in (0x80, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x40)]
    for suite, suffix, depths in (("aes-256-gcm", "", range(6)), ("sm4-ctr-hmac-sm3", ", sm4", (0, 5))):
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
