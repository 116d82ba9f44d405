"""An independent verifier, written from ledger-format.md alone: it shares no code with the programs under test."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAXIMUM_INTEGER = 2**53 - 1


class Refused(Exception):
    """What was checked is not what it claims to be."""


def refuse_unless(condition: bool, why: str):
    if not condition:
        raise Refused(why)


# Encodings (section 1)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str, length: int = 32) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(f"not base64: {text!r}") from error
    refuse_unless(b64(data) == text, f"base64 in another spelling: {text!r}")
    refuse_unless(len(data) == length, f"{len(data)} bytes instead of {length}")
    return data


def decimal(text: str) -> int:
    refuse_unless(re.fullmatch(r"0|[1-9][0-9]*", text) is not None, f"not a decimal number: {text!r}")
    return int(text)


# Canonical JSON (section 2)

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def canonical(value) -> bytes:
    return _canonical(value).encode()


def _canonical(value) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        refuse_unless(abs(value) <= MAXIMUM_INTEGER, "an integer is too large")
        return str(value)
    if isinstance(value, str):
        escaped = (_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 0x20 else c) for c in value)
        return '"' + "".join(escaped) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    refuse_unless(isinstance(value, dict), f"JSON has no {type(value)}")
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(_canonical(name) + ":" + _canonical(value[name]) for name in names) + "}"


def parse_canonical(data: bytes):
    def members(pairs):
        refuse_unless(len({name for name, _ in pairs}) == len(pairs), "a member occurs twice")
        return dict(pairs)

    def no_float(text):
        raise Refused(f"not an integer: {text}")

    value = json.loads(data.decode(), object_pairs_hook=members, parse_float=no_float, parse_constant=no_float)
    refuse_unless(canonical(value) == data, "not canonical")
    return value


# Hashes, chain and tree (section 4)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\0", entry)


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1", left, right)


def tree_root(leaves: list[bytes]) -> bytes:
    """By the recursive definition, not the way the programs compute it."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(tree_root(leaves[:split]), tree_root(leaves[split:]))


def verify_inclusion(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes):
    refuse_unless(0 <= index < size, "the index is not below the size")
    place, last, reached = index, size - 1, leaf
    for sibling in path:
        refuse_unless(last != 0, "too many hashes")
        if place & 1 or place == last:
            reached = node(sibling, reached)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            reached = node(reached, sibling)
        place, last = place >> 1, last >> 1
    refuse_unless(last == 0 and reached == root, "the path does not lead to the root")


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, path: list[bytes]):
    refuse_unless(0 < first <= second, "sizes are out of order")
    if first == second:
        return refuse_unless(not path and first_root == second_root, "equal sizes, but not equal trees")
    if first & (first - 1) == 0:
        path = [first_root, *path]
    refuse_unless(bool(path), "no hashes")
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        refuse_unless(last != 0, "too many hashes")
        if place & 1 or place == last:
            old, new = node(sibling, old), node(sibling, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node(new, sibling)
        place, last = place >> 1, last >> 1
    refuse_unless(last == 0 and old == first_root and new == second_root, "the trees do not agree")


# Claims (section 5)


def verify_opening(opening: dict, entry: dict):
    salt = opening["salt"]
    unb64(salt)
    preimage = f"evidenced/claim/v1\n{salt}\n{opening['name']}\n".encode() + canonical(opening["value"])
    committed = entry["claims"][opening["scope"]][opening["name"]]
    refuse_unless(b64(sha256(preimage)) == committed, "the opening gives another commitment")


# Keys, checkpoints, proofs (section 7)


@dataclass
class Key:
    name: str
    id: bytes
    public: bytes


def parse_vkey(text: str) -> Key:
    name, identifier, encoded = text.split("+", 2)
    data = unb64(encoded, 33)
    refuse_unless(data[0] == 1, "not an Ed25519 key")
    refuse_unless(sha256(name.encode(), b"\n", data)[:4].hex() == identifier, "the key ID is not the key's")
    return Key(name, bytes.fromhex(identifier), data[1:])


@dataclass
class Checkpoint:
    origin: str
    size: int
    root: bytes


def verify_note(note: str, vkey: str) -> Checkpoint:
    """Checks the signature of a signed checkpoint under a key, and that its origin is the key's name."""
    key = parse_vkey(vkey)
    refuse_unless(note.endswith("\n"), "the note does not end in a line feed")
    text, separator, signatures = note.rpartition("\n\n")
    refuse_unless(bool(separator), "the note has no signature")
    text += "\n"
    signed = False
    for line in signatures.splitlines():
        mark, name, blob = line.split(" ")
        refuse_unless(mark == "\u2014", "a signature line begins with another mark")
        data = unb64(blob, 68) if name == key.name else base64.b64decode(blob)
        if name == key.name and data[:4] == key.id:
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(data[4:], text.encode())
            except InvalidSignature as error:
                raise Refused("the signature does not hold") from error
            signed = True
    refuse_unless(signed, "the key did not sign")
    lines = text.split("\n")
    refuse_unless(len(lines) == 4 and lines[3] == "", "a checkpoint has three lines")
    refuse_unless(lines[0] == key.name, "the checkpoint is of another ledger")
    return Checkpoint(lines[0], decimal(lines[1]), unb64(lines[2]))


def verify_proof(proof: str, entry: bytes, vkey: str) -> Checkpoint:
    """Checks a tlog-proof of an entry, down to the signature."""
    head, separator, note = proof.partition("\n\n")
    refuse_unless(bool(separator), "the proof has no checkpoint")
    lines = head.split("\n")
    refuse_unless(lines[0] == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
    refuse_unless(lines[1].startswith("index "), "the proof has no index")
    index = decimal(lines[1].removeprefix("index "))
    checkpoint = verify_note(note, vkey)
    path = [unb64(line) for line in lines[2:]]
    refuse_unless(len(path) <= 63, "the path is too long")
    verify_inclusion(leaf_hash(entry), index, checkpoint.size, path, checkpoint.root)
    refuse_unless(parse_canonical(entry)["index"] == index, "the entry says it is another")
    return checkpoint


# Entries (sections 3 and 5)

MEMBERS = ["actor", "body", "claims", "index", "prev", "request", "streams", "submitter", "time", "type", "v"]


def verify_entries(entries: list[bytes]):
    """Form, chain, order of time and the numbers in streams of entries 0 on; and that no request occurs twice."""
    previous, time, lengths, requests = bytes(32), "", {}, set()
    for index, data in enumerate(entries):
        entry = parse_canonical(data)
        refuse_unless(list(entry) == MEMBERS and entry["v"] == 1, f"entry {index} has other members")
        refuse_unless(entry["index"] == index, f"entry {index} is out of place")
        refuse_unless(unb64(entry["prev"]) == previous, f"entry {index} does not follow the one before")
        refuse_unless(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry["time"]) is not None, "time")
        refuse_unless(entry["time"] > time, f"entry {index} is not later than the one before")
        names = [stream for stream, _ in entry["streams"]]
        refuse_unless(names == sorted(set(names)) and 1 <= len(names) <= 16, f"streams of entry {index}")
        for stream, number in entry["streams"]:
            refuse_unless(number == lengths.get(stream, 0), f"entry {index} has another number in {stream}")
            lengths[stream] = number + 1
        refuse_unless(set(entry["claims"]) <= set(names), f"entry {index} has claims of no stream of its own")
        for claims in entry["claims"].values():
            refuse_unless(bool(claims), "a scope without claims")
            for commitment in claims.values():
                unb64(commitment)
        key = (entry["submitter"], entry["request"])
        refuse_unless(key not in requests, f"entry {index} repeats a request")
        requests.add(key)
        daemons = entry["type"].partition(".")[0] in ("ledger", "system", "anchor")
        refuse_unless(daemons == (entry["submitter"] == "evidenced"), f"entry {index} has another's submitter")
        previous, time = leaf_hash(data), entry["time"]


def signed_by(vkey: str, signature: bytes, text: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(parse_vkey(vkey).public).verify(signature, text)
    except InvalidSignature:
        return False
    return True


def follow_keys(entries: list[bytes]) -> list[str]:
    """The verification keys a ledger has had, each signed for by the one before unless that was lost (section 6)."""
    keys, leaves = [], []
    for data in entries:
        body, kind = (entry := json.loads(data))["body"], entry["type"]
        if kind == "ledger.created":
            keys.append(body["checkpoint_key"])
        if kind == "system.recovered":
            refuse_unless(body["size"] == len(leaves) and body["root"] == b64(tree_root(leaves)), "another tree")
            refuse_unless(("lock_size" in body) == ("lock_root" in body), "half a lock")
            if body.get("lock_size", 2**53) <= len(leaves):
                refuse_unless(body["lock_root"] == b64(tree_root(leaves[: body["lock_size"]])), "another old lock")
            refuse_unless(("succession" in body) == (body["reason"] != "key-lost"), "a succession missing, or too many")
            if "succession" in body:
                text = "\n".join(["evidenced/succession/v1", parse_vkey(keys[-1]).name, str(body["incarnation"]),
                                  str(body["size"]), body["root"], body["checkpoint_key"], ""])
                refuse_unless(signed_by(keys[-1], unb64(body["succession"], 64), text.encode()), "a false succession")
            keys.append(body["checkpoint_key"])
        leaves.append(leaf_hash(data))
    return keys


def verify_ledger(ledger) -> Checkpoint:
    """Reads a whole running ledger and checks entries, tree and checkpoint. Takes a `ledger.Ledger`."""
    reply = ledger.call("GetCheckpoint")
    rows = ledger.entries()[: reply["size"]]
    entries = [row["entry"].encode() for row in rows]
    verify_entries(entries)
    leaves = [leaf_hash(entry) for entry in entries]
    refuse_unless([row["leaf"] for row in rows] == [b64(leaf) for leaf in leaves], "a leaf hash is not the entry's")
    refuse_unless(follow_keys(entries)[-1] == reply["vkey"], "the entries establish another key")
    checkpoint = verify_note(reply["checkpoint"], reply["vkey"])
    refuse_unless(checkpoint.size == reply["size"] == len(entries), "the checkpoint has another size")
    refuse_unless(checkpoint.root == tree_root(leaves), "the checkpoint has another root")
    return checkpoint
