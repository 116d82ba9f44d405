#!/usr/bin/env python3
"""Independent verifier of evidenced ledgers, format version 1, written from ledger-format.md alone.

"Section" is a section of that document, "step" a step of its section 14, Verification. Exit status 0: all that was
checked holds. Exit status 1: refused; one line says where, and which rule is broken."""
import argparse
import base64
import datetime
import hashlib
import json
import os
import re
import sys
import zipfile
from collections import namedtuple
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

class Refused(Exception):
    """The message is `<member or entry>: <rule>`."""

def need(holds, where, rule):
    if not holds:
        raise Refused(f"{where}: {rule}")

# ---- Sections 1 and 2: notation, canonical JSON ----

def to_base64(data):
    return base64.b64encode(data).decode()

def from_base64(text, length=32):
    """The bytes; None where spelling or length (None: any) are not allowed."""
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        return None
    return data if to_base64(data) == text and length in (None, len(data)) else None

def ascending(items):
    return all(a < b for a, b in zip(items, items[1:]))

def reject(text):
    raise ValueError(f"{text} is not allowed")

def read_integer(text):
    return int(text) if len(text) <= 17 and abs(int(text)) < 2**53 else reject(text)

def read_object(pairs):
    names = [name.encode("utf-16-be", "surrogatepass") for name, _ in pairs]
    return dict(pairs) if ascending(names) else reject("an object with unsorted or repeated members")

def depth(value):
    inner = list(value.values()) if type(value) is dict else value
    return 1 + max(map(depth, inner), default=0) if type(inner) is list else 0

READER = json.JSONDecoder(object_pairs_hook=read_object, parse_int=read_integer, parse_float=reject,
                          parse_constant=reject)
WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

def canonical_json(raw, where):
    """Section 2: parse, write again, compare. The writer keeps the members' order, which the reader checked."""
    try:
        value = READER.decode(raw.decode("utf-8"))
        same = WRITER.encode(value).encode("utf-8") == raw
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where}: not JSON by section 2: {error}") from None
    need(same, where, "not in the canonical form of section 2")
    need(raw.count(b"[") + raw.count(b"{") <= 16 or depth(value) <= 16, where, "nested too deep (section 2)")
    return value

def matching(pattern):
    compiled = re.compile(pattern)
    return lambda value: type(value) is str and compiled.fullmatch(value) is not None

def is_count(value):
    return type(value) is int and value >= 0

def is_hash(value):
    return type(value) is str and from_base64(value) is not None

has_form_of_time = matching("(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}"
                            "T([01][0-9]|2[0-3])(:[0-5][0-9]){2}[.][0-9]{6}Z")
def is_time(value):
    try:
        return has_form_of_time(value) and bool(datetime.date.fromisoformat(value[:10]))
    except ValueError:
        return False

# ---- Section 3: one entry ----

is_stream = matching("(subject|contract|object|request|session|policy|purpose|cert|issuance|disclosure|vendor|staff"
                     "|incident|ledger)/[0-9a-f]{32}")
def is_numbered_stream(pair):
    return type(pair) is list and len(pair) == 2 and is_stream(pair[0]) and is_count(pair[1])

ENTRY_RULES = {
    "actor": matching("system|(subject|staff|vendor)/[0-9a-f]{32}"), "body": lambda v: type(v) is dict,
    "claims": lambda v: type(v) is dict, "index": is_count, "prev": is_hash,
    "request": matching("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "streams": lambda v: type(v) is list and 1 <= len(v) <= 16 and all(map(is_numbered_stream, v)),
    "submitter": matching("[a-z][a-z0-9._-]{0,63}"), "time": is_time, "type": matching("[a-z_]+[.][a-z_]+"),
    "v": lambda v: type(v) is int and v == 1}

def read_entry(raw, where):
    need(len(raw) <= 65535, where, "longer than 65,535 bytes (section 2)")
    entry = canonical_json(raw, where)
    need(type(entry) is dict and list(entry) == list(ENTRY_RULES), where, "not the eleven members (section 3)")
    for name, rule in ENTRY_RULES.items():
        need(rule(entry[name]), where, f"`{name}` breaks its rule (section 3)")
    streams = [stream for stream, _ in entry["streams"]]
    need(ascending(streams), where, "`streams` do not ascend strictly (section 3)")
    claims = []
    for scope, commitments in entry["claims"].items():
        need(scope in streams, where, "a scope of `claims` is not one of its streams (section 3)")
        need(type(commitments) is dict and commitments and all(map(is_hash, commitments.values())), where,
             "a scope of `claims` has none, or one that is not a commitment (section 3)")
        claims += commitments
    need(len(claims) == len(set(claims)) <= 64, where, "a claim's name twice, or over 64 claims (section 3)")
    reserved = entry["type"].split(".")[0] in ("ledger", "system", "anchor")
    need(reserved == (entry["submitter"] == "evidenced") and (not reserved or entry["actor"] == "system"), where,
         "reserved domain, submitter `evidenced` and actor `system` do not go together (section 6)")
    return entry

# ---- Section 4: hashes, tree, proofs ----

def sha256(data):
    return hashlib.sha256(data).digest()

def leaf_hash(raw):
    return sha256(b"\0" + raw)

def node(left, right):
    return sha256(b"\1" + left + right)

def tree_root(row):
    """Row by row; a hash without a neighbour on its right moves up as it is. Gives the tree section 4 defines."""
    while len(row) > 1:
        odd_one = row[len(row) // 2 * 2:]
        row = [node(left, right) for left, right in zip(row[::2], row[1::2])] + odd_one
    return row[0]

def roots_by_inclusion(leaf, index, size, path):
    """The root the path leads to, None if to none; and that of the entries before the leaf (step 5)."""
    n, last, root, before = index, size - 1, leaf, None
    for sibling in path:
        if last == 0:
            return None, None
        if n % 2 == 1 or n == last:
            root = node(sibling, root)
            before = node(sibling, before) if before else sibling
            while n % 2 == 0 and n != 0:
                n, last = n >> 1, last >> 1
        else:
            root = node(root, sibling)
        n, last = n >> 1, last >> 1
    return (root, before) if last == 0 and index < size else (None, None)

def begins_with(first, second, first_root, second_root, path):
    """Whether the tree of size `second` begins with that of size `first`, which is smaller."""
    path = [first_root] + path if first & (first - 1) == 0 else path
    if not 0 < first < second or not path:
        return False
    n, last = first - 1, second - 1
    while n % 2 == 1:
        n, last = n >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if n % 2 == 1 or n == last:
            old, new = node(sibling, old), node(sibling, new)
            while n % 2 == 0 and n != 0:
                n, last = n >> 1, last >> 1
        else:
            new = node(new, sibling)
        n, last = n >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root

# ---- Section 7: verification keys, signed notes, proofs ----

Key = namedtuple("Key", "name id public text")
Note = namedtuple("Note", "signed origin size root signatures")
is_key_name = matching(r"[^\s\x00-\x20\x7f-\xa0+]+")

def read_key(text, where):
    name, key_id, encoded = (text.split("+", 2) + ["", ""])[:3]
    typed = from_base64(encoded, 33) or b"?"
    good_id = sha256(name.encode() + b"\n" + typed)[:4].hex()
    need(is_key_name(name) and typed[0] == 1 and key_id == good_id, where,
         "no verification key with its right key ID (section 7)")
    return Key(name, bytes.fromhex(key_id), typed[1:], text)

def read_note(raw, where):
    text, gap, rest = raw.decode("utf-8", "replace").rpartition("\n\n")
    need((text + gap + rest).encode() == raw and gap and rest.endswith("\n") and not re.search(b"[\0-\t\13-\37]", raw),
         where, "not a signed note in UTF-8 (section 7)")
    signatures = [line.split(" ") for line in rest[:-1].split("\n")]
    for line in signatures:
        need(len(line) == 3 and line[0] == "\u2014" and is_key_name(line[1]) and from_base64(line[2], None), where,
             "a signature line is malformed (section 7)")
    lines = text.split("\n")
    need(len(lines) == 3 and lines[0] and matching("0|[1-9][0-9]{0,18}")(lines[1]) and int(lines[1]) < 2**63
         and is_hash(lines[2]), where, "the text is not the three lines origin, size, root (section 7)")
    blobs = [(name, from_base64(blob, None)) for _, name, blob in signatures]
    return Note(text.encode() + b"\n", lines[0], int(lines[1]), from_base64(lines[2]), blobs)

def check_signature(note, key, where):
    need(note.origin == key.name, where, f"its origin is not {key.name!a}, the one in force (section 6)")
    by_key = [blob[4:] for name, blob in note.signatures if name == key.name and blob[:4] == key.id]
    need(by_key, where, f"not signed by {key.text!a} (section 7)")
    try:
        for signature in by_key:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, note.signed)
    except (InvalidSignature, ValueError):
        raise Refused(f"{where}: a signature of {key.text!a} does not hold (section 7)") from None

def read_proof(raw, where, first_lines):
    """The path and the bytes of the note."""
    head, _, note = raw.partition(b"\n\n")
    need(head.startswith(first_lines[:-1]), where, "it does not begin as it must (sections 7 and 14)")
    lines = (head + b"\n").removeprefix(first_lines).decode("latin-1").split("\n")[:-1]
    path = [from_base64(line) for line in lines]
    need(None not in path and len(path) <= 63, where, "a hash of its path is malformed, or too many (section 7)")
    return path, note
