#!/usr/bin/env python3
"""Independent verifier of the evidenced ledger format, version 1, written from ledger-format.md alone.
"Section" is a section of that document. Exit 0: all that was checked holds. Exit 1: refused, one line says why."""
import argparse, base64, datetime, hashlib, io, json, os, re, struct, sys, tempfile, zipfile, zlib
from collections import namedtuple
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

class Refused(Exception):
    """The message is `<member or entry>: <rule>`."""
def need(holds, where, rule):
    if not holds:
        raise Refused(f"{where}: {rule}")

# ---- Sections 1 and 2: notation, canonical JSON ----------------------------------------------------------------------
def from_base64(text, length=32):
    """The bytes, or None where spelling or length are not allowed."""
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        return None
    return data if to_base64(data) == text and length in (None, len(data)) else None
def to_base64(data):
    return base64.b64encode(data).decode()
def bad(reason):
    raise ValueError(reason)
def safe_integer(text):
    return int(text) if len(text) <= 17 and abs(int(text)) < 2**53 else bad("an integer is out of range")
def sorted_members(pairs):
    names = [name.encode("utf-16-be", "surrogatepass") for name, _ in pairs]
    return dict(pairs) if ascending(names) else bad("members are not sorted, or one name occurs twice")
def ascending(items):
    return all(a < b for a, b in zip(items, items[1:]))
def depth(value):
    inner = value.values() if type(value) is dict else value if type(value) is list else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)
READER = json.JSONDecoder(object_pairs_hook=sorted_members, parse_int=safe_integer, parse_float=bad, parse_constant=bad)
WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
def canonical_json(raw, where):
    try:
        value = READER.decode(raw.decode("utf-8"))
        deep = raw.count(b"[") + raw.count(b"{") > 16 and depth(value) > 16     # counted only where it may matter
        same = not deep and WRITER.encode(value).encode("utf-8") == raw         # fails on a lone surrogate
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where}: not JSON by section 2: {error}") from None
    need(same, where, "not canonical JSON, or nested more than 16 deep (section 2)")
    return value
def matching(pattern):
    compiled = re.compile(pattern)
    return lambda value: type(value) is str and compiled.fullmatch(value) is not None
def is_count(value):
    return type(value) is int and value >= 0
def is_hash(value):
    return type(value) is str and from_base64(value) is not None
def is_time(value):
    try:
        return is_time_text(value) and bool(datetime.date.fromisoformat(value[:10]))
    except ValueError:
        return False
is_time_text = matching(r"(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3])(:[0-5][0-9]){2}\.[0-9]{6}Z")
is_id, is_digest, is_token = matching("[0-9a-f]{32}"), matching("[0-9a-f]{64}"), matching("[A-Za-z0-9._:/+@-]+")
is_stream = matching("(subject|contract|object|request|session|policy|purpose|cert|issuance|disclosure|vendor|staff|"
                     "incident|ledger)/[0-9a-f]{32}")

# ---- Sections 3, 5, 6: one entry -------------------------------------------------------------------------------------
ENTRY_RULES = {
    "actor": matching("system|(subject|staff|vendor)/[0-9a-f]{32}"), "body": lambda v: type(v) is dict,
    "claims": lambda v: type(v) is dict, "index": is_count, "prev": is_hash,
    "request": matching("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "streams": lambda v: type(v) is list and 1 <= len(v) <= 16 and all(
        type(pair) is list and len(pair) == 2 and is_stream(pair[0]) and is_count(pair[1]) for pair in v),
    "submitter": matching("[a-z][a-z0-9._-]{0,63}"), "time": is_time, "type": matching(r"[a-z_]+\.[a-z_]+"),
    "v": lambda v: type(v) is int and v == 1}
def read_entry(raw, where, catalogue):
    need(len(raw) <= 65535, where, "longer than 65,535 bytes (section 2)")
    entry = canonical_json(raw, where)
    need(type(entry) is dict and list(entry) == list(ENTRY_RULES), where, "not exactly the eleven members (section 3)")
    for name, rule in ENTRY_RULES.items():
        need(rule(entry[name]), where, f"`{name}` breaks its rule (section 3)")
    streams, claims = [stream for stream, _ in entry["streams"]], []
    need(ascending(streams), where, "`streams` do not ascend strictly (section 3)")
    for scope, commitments in entry["claims"].items():
        need(scope in streams and type(commitments) is dict and commitments and all(map(is_hash, commitments.values())),
             where, "a scope of `claims` is not one of its streams, or has no proper commitments (section 3)")
        claims += commitments
    need(len(claims) == len(set(claims)) <= 64, where, "a claim name occurs twice, or over 64 claims (section 3)")
    reserved = entry["type"].split(".")[0] in ("ledger", "system", "anchor")
    need(reserved == (entry["submitter"] == "evidenced") and (not reserved or entry["actor"] == "system"), where,
         "reserved domain, submitter `evidenced` and actor `system` do not go together (section 6)")
    if catalogue:
        check_type(entry, where, catalogue, {stream.split("/")[0] for stream in streams}, claims)
    return entry
def check_type(entry, where, catalogue, kinds, claims):
    need(entry["type"] in catalogue, where, f"type {entry['type']} is not in the catalogue (section 6)")
    required_kinds, fields = catalogue[entry["type"]]
    need(required_kinds <= kinds, where, "a kind of stream its type requires is missing (section 6)")
    named = [("body", name) for name in entry["body"]] + [("claim", name) for name in claims]
    for place, name in named:
        need((place, name) in fields, where, f"its type has no {place} {name!a} (section 6)")
        need(place == "claim" or fields[place, name].rule(entry["body"][name]), where,
             f"body `{name}` breaks its rule (section 6)")
    for (place, name), field in fields.items():
        need(field.optional or (place, name) in named, where, f"{place} `{name}` is missing (section 6)")
Field = namedtuple("Field", "optional rule cites")
def load_catalogue(path):
    """type → (required kinds, (place, name) → Field), from the tables of section 6."""
    catalogue, text = {}, open(path, encoding="utf-8").read()
    for row in text.split("<!-- catalogue -->")[1].split("<!-- /catalogue -->")[0].splitlines():
        first, second, third = ([cell.strip() for cell in row.strip("|").split("|")] + ["", "", ""])[:3]
        if first.startswith("**`"):
            fields = {}
            catalogue[first.strip("*`")] = set(re.findall("`([^`]*)`", second)), fields
        elif first.startswith("`") and second:
            name, place = first.strip("`"), second.split(",")[0]
            cites = place == "body" and third in ("index", "indexes") and not name.endswith("size")
            fields[place, name] = Field("optional" in second, field_rule(third), cites)
    return catalogue
def field_rule(text):
    kind, words = re.match("[a-z]+", text)[0], re.findall("`([^`]*)`", text)
    limits = [int(number) for number in re.findall("-?[0-9]+", text.split(":")[0])]
    array = lambda v, rule: type(v) is list and 1 <= len(v) <= 64 and all(map(rule, v)) and len(set(v)) == len(v)
    word = lambda v: type(v) is str and v in words
    return {"code": word, "codes": lambda v: array(v, word), "token": lambda v: is_token(v) and len(v) <= limits[0],
            "integer": lambda v: type(v) is int and limits[0] <= v <= limits[1], "boolean": lambda v: type(v) is bool,
            "time": is_time, "index": is_count, "indexes": lambda v: array(v, is_count), "id": is_id, "hash": is_hash,
            "digest": is_digest, "streams": lambda v: array(v, is_stream),
            "text": lambda v: type(v) is str and 1 <= len(v.encode()) <= limits[0]}[kind]
def cites_ahead(entry, catalogue):
    fields = catalogue[entry["type"]][1] if catalogue else {}
    cited = [entry["body"].get(name, []) for (_, name), field in fields.items() if field.cites]
    return any(i >= entry["index"] for value in cited for i in (value if type(value) is list else [value]))

# ---- Section 4: hashes, tree, proofs (by the definition of the tree, with recursion) ---------------------------------
def sha256(data):
    return hashlib.sha256(data).digest()
def leaf_hash(raw):
    return sha256(b"\0" + raw)
def node(left, right):
    return sha256(b"\1" + left + right)
def tree_root(level):
    """Level by level; a hash without a right neighbour moves up as it is. Gives the tree section 4 defines."""
    while len(level) > 1:
        pairs = [level[i:i + 2] for i in range(0, len(level), 2)]
        level = [node(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]
def left_part(size):
    return 1 << (size - 1).bit_length() - 1
def root_by_path(leaf, index, size, path):
    if size == 1:
        return leaf
    half, sibling = left_part(size), path.pop()
    if index < half:
        return node(root_by_path(leaf, index, half, path), sibling)
    return node(sibling, root_by_path(leaf, index - half, size - half, path))
def is_included(leaf, index, size, path, root):
    path = list(path)
    try:
        return index < size and root_by_path(leaf, index, size, path) == root and not path
    except IndexError:
        return False
def roots_by_path(old_size, size, path, old_root):
    if old_size == size:
        return (old_root or path.pop(),) * 2
    half, sibling = left_part(size), path.pop()
    if old_size <= half:
        old, new = roots_by_path(old_size, half, path, old_root)
        return old, node(new, sibling)
    old, new = roots_by_path(old_size - half, size - half, path, None)
    return node(sibling, old), node(sibling, new)
def begins_with(old_size, size, old_root, root, path):
    path = list(path)
    try:
        return 0 < old_size <= size and roots_by_path(old_size, size, path, old_root) == (old_root, root) and not path
    except IndexError:
        return False

# ---- Section 7: verification keys, signed notes, proofs --------------------------------------------------------------
Key = namedtuple("Key", "name id public text")
Note = namedtuple("Note", "text origin size root signatures")
is_name = matching(r"[^\s\x00-\x20\x7f-\xa0+]+")
def read_key(text, where):
    name, key_id, encoded = (text.split("+", 2) + ["", ""])[:3]
    typed_key = from_base64(encoded, 33) or b"?"
    need(is_name(name) and typed_key[0] == 1 and key_id == sha256(name.encode() + b"\n" + typed_key)[:4].hex(), where,
         "no verification key with its right key ID (section 7)")
    return Key(name, bytes.fromhex(key_id), typed_key[1:], text)
def read_note(raw, where):
    try:
        text, gap, rest = raw.decode("utf-8").rpartition("\n\n")
    except UnicodeDecodeError:
        raise Refused(f"{where}: a note that is not UTF-8 (section 7)") from None
    need(gap and rest.endswith("\n") and all(c >= 32 or c == 10 for c in raw), where, "not a signed note (section 7)")
    lines, signatures = text.split("\n"), [line.split(" ") for line in rest[:-1].split("\n")]
    for line in signatures:
        need(len(line) == 3 and line[0] == "\u2014" and is_name(line[1]) and len(from_base64(line[2], None) or b"") > 4,
             where, "a signature line is malformed (section 7)")
    need(len(lines) == 3 and lines[0] and matching("0|[1-9][0-9]{0,18}")(lines[1]) and int(lines[1]) < 2**63
         and is_hash(lines[2]), where, "the text is not the three lines origin, size, root (section 7)")
    return Note(text.encode() + b"\n", lines[0], int(lines[1]), from_base64(lines[2]),
                [(name, from_base64(blob, None)) for _, name, blob in signatures])
def check_signature(note, key, where):
    need(note.origin == key.name, where, f"its origin is not {key.name!a}, the one in force at its size (section 6)")
    by_key = [blob[4:] for name, blob in note.signatures if name == key.name and blob[:4] == key.id]
    need(by_key, where, f"not signed by {key.text!a} (section 7)")
    try:
        for signature in by_key:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, note.text)
    except (InvalidSignature, ValueError):
        raise Refused(f"{where}: a signature of {key.text!a} does not hold (section 7)") from None
def read_proof(raw, where, head_pattern):
    """What the head's group matched, the path, and the bytes of the note."""
    head, gap, note = raw.decode("latin-1").partition("\n\n")
    match = re.match(head_pattern, head + "\n")
    need(gap and match, where, "not a proof in its form (sections 7 and 14)")
    path = [from_base64(line) for line in (head + "\n")[match.end():].split("\n")[:-1]]
    need(None not in path and len(path) <= 63, where, "a hash of the path is malformed, or too many (section 7)")
    return match[match.lastindex or 0], path, note.encode("latin-1")

# ---- Sections 3, 5, 6, 11: what ties entries together ----------------------------------------------------------------
Identity = namedtuple("Identity", "incarnation key since body")
is_origin = matching("(?!.*/incarnation/)[A-Za-z0-9._:/@-]{1,200}")
CREATED = {"checkpoint_key": is_token, "format": lambda v: type(v) is int and v == 1, "origin": is_origin,
           "suite": lambda v: v == "sha256"}
RECOVERED = {"checkpoint_key": is_token, "incarnation": lambda v: is_count(v) and 2 <= v <= 1000000,
             "lock_root": is_hash, "lock_size": is_count, "origin": is_token, "root": is_hash, "size": is_count,
             "reason": matching("backup-restored|lock-lost|lock-damaged|key-lost|moved")}
class Story:
    """Replays entries in order. `whole`: none is left out."""
    def __init__(self, whole):
        self.whole, self.time, self.requests, self.numbers, self.identities = whole, "", set(), {}, []
    def follow(self, entry, where, root):
        """`root` gives the root of the entries before, or None where that is not known."""
        index, body, request = entry["index"], entry["body"], (entry["submitter"], entry["request"])
        need(entry["time"] > self.time, where, "`time` is not later than that of the entry before (section 3)")
        need(request not in self.requests, where, "its submitter and request occur twice (section 3)")
        for stream, number in entry["streams"]:
            due = self.numbers.get(stream, 0)
            need(number == due if self.whole else due <= number <= index, where,
                 f"number {number} in {stream} does not follow (section 5)")
            self.numbers[stream] = number + 1
        self.time = entry["time"]
        self.requests.add(request)
        need((entry["type"] == "ledger.created") == (index == 0), where, "only entry 0 is `ledger.created` (section 6)")
        if entry["type"] not in ("ledger.created", "system.recovered"):
            return
        rules = RECOVERED if index else CREATED
        need(set(body) in (set(rules), set(rules) - {"lock_root", "lock_size"}) and all(
            rules[name](value) for name, value in body.items()), where, "its fields break their rules (section 6)")
        key = read_key(body["checkpoint_key"], where)
        need(key.name == body["origin"], where, "the key's name is not the origin (section 6)")
        if index == 0:
            self.stream = entry["streams"][0][0]
            need(len(entry["streams"]) == 1 and self.stream.startswith("ledger/") and not entry["claims"], where,
                 "not in exactly one stream, of kind `ledger`, or with claims (section 6)")
        else:
            first, last = self.identities[0], self.identities[-1]
            need(self.stream in dict(entry["streams"]), where, "not in the ledger stream (section 6)")
            need(body["incarnation"] > last.incarnation, where, "incarnation is not greater than before (section 6)")
            need(key.name == f"{first.key.name}/incarnation/{body['incarnation']}", where, "wrong origin (section 6)")
            need(key.public != last.key.public, where, "its public key is the one before (section 6)")
            need(body["size"] == index, where, "`size` is not its own index (section 6)")
            need(root() in (None, from_base64(body["root"])), where, "`root` is not that of entries before (section 6)")
        self.identities.append(Identity(body.get("incarnation", 1), key, index + 1, body))
    def in_force(self, size):
        return [identity for identity in self.identities if identity.since <= size][-1]
    def trust(self, given):
        """What of the keys cannot be known from the material checked (section 6, Following origin and key)."""
        first, last = self.identities[0].key, self.identities[-1].key
        need(given in (None, first, last), "--key", "neither the key of incarnation 1 nor that of the checkpoint")
        return [] if given == last else [
            "who signed, since no key was given" if given is None else
            "whose the keys after incarnation 1 are, and so who signed: have them confirmed (section 6)"]

# ---- Section 7, Tiles, and section 11: a published directory ---------------------------------------------------------
def tile_path(level, number, width=256):
    digits = str(number).zfill((len(str(number)) + 2) // 3 * 3)
    groups = ["x" + digits[i:i + 3] for i in range(0, len(digits), 3)]
    return "/".join(["tile", str(level), *groups[:-1], groups[-1][1:]]) + ("" if width == 256 else f".p/{width}")
def split_entries(data, path, width):
    at = 0
    for position in range(width):
        start, at = at + 2, at + 2 + int.from_bytes(data[at:at + 2], "big")
        need(start < at <= len(data), path, f"entry {position} of {width} in it is missing or cut short (section 7)")
        yield data[start:at]
    need(at == len(data), path, "bytes after its last entry (section 7)")
def verify_tiles(directory, given, older, catalogue):
    present = {os.path.relpath(os.path.join(folder, name), directory).replace(os.sep, "/")
               for folder, _, names in os.walk(directory) for name in names}
    def load(path):
        need(path in present, path, "the file is missing (section 7)")
        return open(os.path.join(directory, path), "rb").read()
    def covering(level, number, width):         # a full tile may already stand where a partial one is needed
        paths = [tile_path(level, number, width), tile_path(level, number)]
        return paths[1] if paths[1] in present and paths[0] not in present else paths[0]
    note = read_note(load("checkpoint"), "checkpoint")
    need(note.size > 0, "checkpoint", "a tree of no entries has no identity that could sign (section 6)")
    if note.origin == given.name:               # first of all, so that a damaged size is not taken for missing entries
        check_signature(note, given, "checkpoint")
    story, leaves, ahead = Story(whole=True), [], []
    def differs_from_tile(index, value):
        path = covering(0, index // 256, min(256, note.size - index // 256 * 256))
        return path not in present or load(path)[index % 256 * 32:][:32] != value
    for number in range((note.size + 255) // 256):
        path = covering("entries", number, min(256, note.size - 256 * number))
        for raw in split_entries(load(path), path, int(path.rpartition(".p/")[2]) if ".p/" in path else 256):
            index, where = len(leaves), f"entry {len(leaves)} ({path})"
            if index == note.size:
                break
            entry, before = read_entry(raw, where, catalogue), leaves[-1] if leaves else bytes(32)
            need(entry["index"] == index, where, "`index` is not its position (section 3)")
            if from_base64(entry["prev"]) != before:    # tile/0 tells which of the two entries is damaged
                need(index == 0 or differs_from_tile(index - 1, from_base64(entry["prev"])), f"entry {index - 1}",
                     "its leaf hash is neither the one in tile/0 nor `prev` of the next entry (sections 3, 4)")
                raise Refused(f"{where}: `prev` is not the leaf hash of the entry before (section 3)")
            story.follow(entry, where, lambda: tree_root(leaves))
            if cites_ahead(entry, catalogue):
                ahead.append(index)
            leaves.append(leaf_hash(raw))
    if tree_root(leaves) != note.root:
        need(not differs_from_tile(note.size - 1, leaves[-1]), f"entry {note.size - 1}", "not its leaf hash in tile/0")
        raise Refused("checkpoint: its root is not that of the entries (section 4)")
    check_signature(note, story.identities[-1].key, "checkpoint")
    unchecked, levels = story.trust(given), [leaves]
    while len(levels[-1]) >= 256:
        levels.append([tree_root(levels[-1][i:i + 256]) for i in range(0, len(levels[-1]) // 256 * 256, 256)])
    for level, row in enumerate(levels):
        for number in range((len(row) + 255) // 256):
            load(covering(level, number, min(256, len(row) - 256 * number)))
    beyond, foreign = [], []
    for path in sorted(present - {"checkpoint"}):
        match = re.fullmatch("tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:[.]p/([1-9][0-9]{0,2}))?", path)
        level, number, width = match.groups("256") if match else ("", "0", "0")
        number, width = int(number.replace("x", "").replace("/", "")), int(width)
        if not match or width > 256 or tile_path(level, number, width) != path:
            foreign.append(path)
            continue
        row = leaves if level == "entries" else levels[int(level)] if int(level) < len(levels) else []
        data, expected = load(path), row[256 * number:256 * number + width]
        need(level == "entries" or len(data) == 32 * width, path, f"does not hold {width} hashes (section 7)")
        held = [leaf_hash(raw) for raw in split_entries(data, path, width)] if level == "entries" else [
            data[i:i + 32] for i in range(0, len(data), 32)]
        for position, (here, derived) in enumerate(zip(held, expected)):
            need(here == derived, path, f"number {position} in it is not what the entries give (section 7)")
        if len(expected) < width:
            beyond.append(path)
    for path in older:
        check_older(read_note(open(path, "rb").read(), path), path, story, leaves)
    unchecked += [f"{len(paths)} {what}, the first {paths[0]}" for paths, what in (
        (beyond, "files or parts of them beyond the checkpoint's size"), (foreign, "files of no known name")) if paths]
    return note, story, len(leaves), unchecked + [f"void citations in entries {ahead[:9]} (section 6)"] * bool(ahead)
def check_older(old, where, story, leaves):
    signers = [at for at, identity in enumerate(story.identities) if identity.key.name == old.origin]
    need(signers, where, "its origin is none of this ledger's (section 6)")
    check_signature(old, story.identities[signers[0]].key, where)
    for successor in story.identities[signers[0] + 1:][:1]:
        end, lock = successor.since - 1, (successor.body.get("lock_size", -1), successor.body.get("lock_root"))
        admitted = old.size < lock[0] or (old.size, to_base64(old.root)) == lock
        need(old.size <= end, where, f"entries {end} to {old.size - 1} were signed and are not in this ledger; "
             f"`lock_size` of entry {end} {'admits' if admitted else 'does not admit'} that (section 6)")
    need(old.size <= len(leaves), where, f"entries {len(leaves)} to {old.size - 1} were signed and are not there")
    need(old.size >= story.identities[signers[0]].since, where, "its identity was not in force at its size (section 6)")
    need(tree_root(leaves[:old.size]) == old.root, where, "the tree does not begin with this checkpoint's (section 4)")

# ---- Section 14: an evidence bundle ----------------------------------------------------------------------------------
def open_archive(path):
    data, members, at, last = open(path, "rb").read(), {}, 0, ""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Refused(f"archive: not a plain ZIP file: {error}") from None
    for info in archive.infolist():
        name, size = info.orig_filename, info.file_size
        where = f"member {name!a}"
        need(re.fullmatch("[A-Za-z0-9._/-]{1,100}", name) and not {"", ".", ".."} & set(name.split("/"))
             and name != "mimetype" and not name.startswith("META-INF/"), where, "name is not allowed (section 14)")
        need(name > last, where, "members are not in byte order, or one occurs twice (section 14)")
        need(info.compress_type == 0 and info.compress_size == size and info.flag_bits & ~0x800 == 0
             and not info.comment and not info.extra and info.volume == 0, where, "not plainly stored (section 14)")
        need(info.date_time == (1980, 1, 1, 0, 0, 0) and info.external_attr >> 16 in (0o644, 0o100644), where,
             "time is not 1980-01-01 00:00:00, or mode is not 0644 (section 14)")
        local = b"PK\3\4" + data[at + 4:at + 6] + struct.pack(
            "<4H3L2H", info.flag_bits, 0, 0, 0x21, info.CRC, size, size, len(name), 0) + name.encode()
        start, at, last = at + len(local), at + len(local) + size, name
        need(info.header_offset == start - len(local) and data[start - len(local):start] == local and at <= len(data)
             and zlib.crc32(data[start:at]) == info.CRC, where, "its place, header or CRC does not hold (section 14)")
        members[name] = data[start:at]
    end = b"PK\5\6" + struct.pack("<4H2LH", 0, 0, *[min(len(members), 65535)] * 2, len(data) - 22 - at, at, 0)
    need(at == archive.start_dir and data[-22:] == end, "archive", "a comment, several parts, or bytes of no member")
    lines = {name: f"{sha256(members[name]).hex()}  {name}\n" for name in members if name != "SHA256SUMS"}
    sums = members.get("SHA256SUMS", b"").decode("latin-1")
    for name, line in lines.items():
        need(line in sums.splitlines(True), name, "its digest is not the one in SHA256SUMS (section 14, step 1)")
    need("".join(lines.values()) == sums, "SHA256SUMS", "not exactly the list of the other members (step 1)")
    return members
def is_object(**rules):
    return lambda v: type(v) is dict and set(v) == set(rules) and all(rule(v[name]) for name, rule in rules.items())
def is_list(rule, key):
    return lambda v: type(v) is list and all(map(rule, v)) and ascending([key(item) for item in v])
def is_selection(v):
    rules = {"stream": is_stream, "index": matching("0|[1-9][0-9]*"), "file": matching(""), "since": is_time,
             "until": is_time}
    return type(v) is list and all(is_object(kind=rules.__contains__, value=rules[item["kind"]])(item) for item in v)
MANIFEST = is_object(
    checkpoint=is_object(origin=matching(".+"), root=is_hash, size=is_count), consistency=is_list(is_count, int),
    entries=is_list(is_object(index=is_count, openings=is_list(matching("[a-z0-9_]+"), str)), lambda v: v["index"]),
    format=matching("evidenced bundle 1"), producer=matching("[!-~]+/[!-~]+"), selection=is_selection,
    keys=is_list(is_object(incarnation=is_count, vkey=matching(".+")), lambda v: v["incarnation"]),
    originals=is_list(is_object(index=is_count, name=matching("originals/[1-9][0-9]*[.][a-z0-9]{1,8}")), lambda v: (
        v["index"], int(re.findall("[0-9]+", v["name"])[0]))),
    streams=is_list(is_object(entries=is_count, stream=is_stream), lambda v: v["stream"]))
def read_manifest(members):
    manifest = canonical_json(members.get("manifest.json", b""), "manifest.json")
    try:
        good = MANIFEST(manifest)
    except (TypeError, KeyError):
        good = False
    need(good and all(original["name"].startswith(f"originals/{number}.") for number, original in enumerate(
        manifest["originals"], 1)), "manifest.json", "not as section 14, Manifest, describes it (step 2)")
    implied = {"manifest.json", "checkpoint", "VERIFY.txt", "index.html", "SHA256SUMS"}
    implied |= {f"consistency/{size:016}.txt" for size in manifest["consistency"]}
    implied |= {f"keys/{key['incarnation']}.{form}" for key in manifest["keys"] for form in ("vkey", "pem")}
    implied |= {original["name"] for original in manifest["originals"]}
    for item in manifest["entries"]:
        implied |= {f"entries/{item['index']:016}.json", f"proofs/{item['index']:016}.tlog-proof"}
        implied |= {f"openings/{item['index']:016}.{name}" for name in item["openings"]}
    for name in sorted(implied ^ set(members)):
        raise Refused(f"{name}: {'missing' if name in implied else 'not implied by the manifest'} (section 14, step 2)")
    return manifest
def verify_bundle(path, given, catalogue):
    members = open_archive(path)                                                                    # step 1
    manifest = read_manifest(members)                                                               # step 2
    note, entries, leaves, opened = read_note(members["checkpoint"], "checkpoint"), {}, {}, {}
    names = {item["index"]: f"entries/{item['index']:016}.json" for item in manifest["entries"]}
    for index, where in names.items():                                                              # step 3
        entries[index], leaves[index] = read_entry(members[where], where, catalogue), leaf_hash(members[where])
        need(entries[index]["index"] == index, where, "`index` is not the one its name says (step 3)")
        where = f"proofs/{index:016}.tlog-proof"
        stated, path, its_note = read_proof(members[where], where, (
            r"c2sp\.org/tlog-proof@v1\n(?:extra [A-Za-z0-9+/]+=?=?\n)?index (0|[1-9][0-9]*)\n"))
        need(stated == str(index) and its_note == members["checkpoint"], where, "index or note is another (step 3)")
        need(is_included(leaves[index], index, note.size, path, note.root), where,
             f"entry {index} is not shown to be in the tree of the checkpoint (step 3)")
    need(0 in entries, f"entries/{0:016}.json", "entry 0 is not there (step 5)")
    story, ahead = Story(whole=False), []
    for index, where in names.items():                                                              # steps 4 and 5
        before = leaves.get(index - 1) if index else bytes(32)
        need(before in (None, from_base64(entries[index]["prev"])), where, "`prev` is not the entry before (step 4)")
        story.follow(entries[index], where, lambda: None)
        ahead += [index] * cites_ahead(entries[index], catalogue)
    need([(identity.incarnation, identity.key.text) for identity in story.identities] == [
        (key["incarnation"], key["vkey"]) for key in manifest["keys"]], "manifest.json", "`keys` are others (step 5)")
    for number, key, *_ in story.identities:
        pem = to_base64(bytes.fromhex("302a300506032b6570032100") + key.public)
        for where, text in ((f"keys/{number}.vkey", f"{key.text}\n"), (
                f"keys/{number}.pem", f"-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n")):
            need(members[where] == text.encode(), where, "does not hold the key of its incarnation (step 5)")
    check_signature(note, story.identities[-1].key, "checkpoint")                                   # step 6
    need(manifest["checkpoint"] == {"origin": note.origin, "root": to_base64(note.root), "size": note.size},
         "manifest.json", "`checkpoint` is another (step 6)")
    unchecked = story.trust(given)
    for item in manifest["streams"]:                                                                # step 7
        numbers = [dict(entry["streams"]).get(item["stream"]) for entry in entries.values()]
        numbers = [number for number in numbers if number is not None]
        need(numbers == list(range(item["entries"])), "manifest.json", f"{item['stream']} is not whole (step 7)")
    for index, name in ((item["index"], name) for item in manifest["entries"] for name in item["openings"]):    # step 8
        where, raw = f"openings/{index:016}.{name}", members[f"openings/{index:016}.{name}"]
        tag, salt, claim, value = (raw.decode("latin-1").split("\n") + [""] * 3)[:4]
        need(raw.count(b"\n") == 3 and tag == "evidenced/claim/v1" and claim == name and from_base64(salt) and len(
            value) <= 8192, where, "not the four lines of an opening, or too long (step 8)")
        commitments = {name: one for scope in entries[index]["claims"].values() for name, one in scope.items()}
        need(commitments.get(name) == to_base64(sha256(raw)), where, f"not what entry {index} commits to (step 8)")
        opened[index, name] = canonical_json(value.encode("latin-1"), where)
        need(not catalogue or catalogue[entries[index]["type"]][1]["claim", name].rule(opened[index, name]), where,
             "its value breaks the rule of its type (section 6, step 8)")
    for index, where in ((original["index"], original["name"]) for original in manifest["originals"]):          # step 9
        sm3 = hashes.Hash(hashes.SM3())
        sm3.update(members[where])
        true = {"sha256": sha256(members[where]).hex(), "sm3": sm3.finalize().hex(), "size": len(members[where])}
        need((index, "sha256") in opened, where, f"the claim sha256 of entry {index} is not open (step 9)")
        for name in true:
            need(opened.get((index, name), true[name]) == true[name], where, f"not the {name} of entry {index}: step 9")
    for size in manifest["consistency"]:                                                            # step 10
        where = f"consistency/{size:016}.txt"
        _, path, old = read_proof(members[where], where, "evidenced consistency proof v1\n")
        old = read_note(old, where)
        need(0 < old.size == size, where, "the size in its name is not that of its note, or is 0 (step 10)")
        check_signature(old, story.in_force(size).key, where)
        need(begins_with(size, note.size, old.root, note.root, path), where, "does not hold (section 4, step 10)")
        for successor in story.identities[1:]:
            need(size + 1 != successor.since or successor.body["root"] == to_base64(old.root), where,
                 f"its root is not the one entry {size}, system.recovered, states (section 6)")
    unchecked += ["`root` of system.recovered, where no consistency proof has its size"] * (len(story.identities) > 1)
    unchecked += ["what index.html and VERIFY.txt say"] + [f"void citations in entries {ahead[:9]}"] * bool(ahead)
    return note, story, len(entries), unchecked

# ---- Section 13: self-test -------------------------------------------------------------------------------------------
def path_to(index, leaves):
    half = left_part(len(leaves)) if len(leaves) > 1 else 0
    if not half:
        return []
    inner, other = (leaves[:half], leaves[half:]) if index < half else (leaves[half:], leaves[:half])
    return path_to(index % half if index < half else index - half, inner) + [tree_root(other)]
def self_test(document):
    """Rebuilds section 13 from what the document prints, then checks a directory and bundles made from it."""
    text = open(document, encoding="utf-8").read()
    example = text[text.index("\n## 13. "):text.index("\n## 14. ")]
    printed = [block.encode() for block in re.findall(r"```text\n(.*?)```", example, re.S)]
    lines = [block.decode().split("\n")[:-1] for block in printed]
    raws = [raw.encode() for raw in re.findall(r"printf '%s' '(\{.*\})' > entry", example)]
    original = re.search(r"printf '(.*)' > document", example)[1].replace("\\n", "\n").encode()
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(re.search(r"\nseed=(\w+)", example)[1]))
    catalogue, leaves, checked = load_catalogue(document), [leaf_hash(raw) for raw in raws], []
    key, checkpoint, receipt = read_key(lines[1][0], "vkey"), printed[6], printed[8]
    def same(what, value, expected):
        need(value == expected, f"self-test, {what}", f"{value!a} is not {expected!a}")
        checked.append(what)
    def sign(size):
        note = f"{key.name}\n{size}\n{to_base64(tree_root(leaves[:size]))}\n"
        return f"{note}\n\u2014 {key.name} {to_base64(key.id + private.sign(note.encode()))}\n".encode()
    def refused(what, where, action, *arguments):
        try:
            action(*arguments)
        except Refused as reason:
            need(str(reason).startswith(where), f"self-test, {what}", f"refused as {reason}")
            checked.append(what)
        else:
            raise Refused(f"self-test, {what}: was not refused")
    same("public key", key.public.hex(), lines[0][0])
    same("sizes, digests of entries", [str(len(raw)) for raw in raws] + [
        f"{sha256(raw).hex()}  entry{n}" for n, raw in enumerate(raws)], lines[3])
    same("leaf hashes", [f"{leaf.hex()} {to_base64(leaf)}" for leaf in leaves], lines[4][:3])
    same("roots", [f"{root.hex()} {to_base64(root)}" for root in (tree_root(leaves[:2]), tree_root(leaves))], lines[5])
    same("checkpoint", sign(3), checkpoint)
    proof = lambda index: f"c2sp.org/tlog-proof@v1\nindex {index}\n".encode() + b"".join(
        to_base64(sibling).encode() + b"\n" for sibling in path_to(index, leaves)) + b"\n" + checkpoint
    same("receipt", proof(1), receipt)
    path, root = ([from_base64(line)] for line in lines[10])
    same("consistency", begins_with(2, 3, tree_root(leaves[:2]), root[0], path), True)
    tiles = {"checkpoint": checkpoint, "tile/0/000.p/3": b"".join(leaves), "tile/entries/000.p/3": b"".join(
        len(raw).to_bytes(2, "big") + raw for raw in raws)}
    tile, entries = (tiles[path] for path in ("tile/0/000.p/3", "tile/entries/000.p/3"))
    same("tiles", [str(len(tile)), str(len(entries)), f"{sha256(tile).hex()}  tile",
                   f"{sha256(entries).hex()}  bundle"], lines[11])
    openings = {name: "\n".join(lines[2][at:at + 4]).encode() for name, at in (("sha256", 0), ("size", 4))}
    same("commitments", [to_base64(sha256(opening)) for opening in openings.values()], lines[2][8:])
    n = [f"{index:016}" for index in range(4)]
    stream = "object/019b76da4c0c00000000000000000002"
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    manifest = {
        "checkpoint": {"origin": key.name, "root": to_base64(tree_root(leaves)), "size": 3}, "consistency": [2],
        "entries": [{"index": i, "openings": ["sha256", "size"] if i == 1 else []} for i in range(3)],
        "format": "evidenced bundle 1", "keys": [{"incarnation": 1, "vkey": key.text}],
        "originals": [{"index": 1, "name": "originals/1.txt"}], "producer": "self-test/1",
        "selection": [{"kind": "stream", "value": stream}], "streams": [{"entries": 2, "stream": stream}]}
    bundle = {
        "checkpoint": checkpoint, "manifest.json": WRITER.encode(manifest).encode(), "keys/1.pem": pem,
        "keys/1.vkey": key.text.encode() + b"\n", "originals/1.txt": original, "VERIFY.txt": b"", "index.html": b"",
        f"consistency/{n[2]}.txt":
        b"evidenced consistency proof v1\n" + to_base64(leaves[2]).encode() + b"\n\n" + sign(2)}
    bundle.update({f"entries/{n[i]}.json": raws[i] for i in range(3)})
    bundle.update({f"proofs/{n[i]}.tlog-proof": proof(i) for i in range(3)})
    bundle.update({f"openings/{n[1]}.{name}": opening for name, opening in openings.items()})
    with tempfile.TemporaryDirectory() as folder:
        def directory(changes, older=None):
            place = tempfile.mkdtemp(dir=folder)
            for path, data in {**tiles, **changes}.items():
                if data is not None:
                    os.makedirs(os.path.dirname(os.path.join(place, path)), exist_ok=True)
                    open(os.path.join(place, path), "wb").write(data)
            open(os.path.join(folder, "older"), "wb").write(older or sign(2))
            return verify_tiles(place, key, [os.path.join(folder, "older")], catalogue)
        def archive(changes, given=key, sums=None, backwards=False, deflate=0):
            made = {name: data for name, data in {**bundle, **changes}.items() if data is not None}
            made["SHA256SUMS"] = sums or "".join(f"{sha256(made[x]).hex()}  {x}\n" for x in sorted(made)).encode()
            with zipfile.ZipFile(os.path.join(folder, "bundle.zip"), "w", deflate) as out:
                for name in sorted(made, reverse=backwards):
                    info = zipfile.ZipInfo(name)
                    info.external_attr, info.compress_type = 0o100644 << 16, deflate
                    out.writestr(info, made[name])
            return verify_bundle(os.path.join(folder, "bundle.zip"), given, catalogue)
        same("directory", directory({})[2], 3)
        same("bundle", archive({})[2], 3)
        change = lambda name, old, new, of=bundle: {name: of[name].replace(old, new, 1)}
        for what, where, changes in (
                ("an entry's byte", "entry 1:", change("tile/entries/000.p/3", b"text/plain", b"text/plaim", tiles)),
                ("last entry's byte", "entry 2:", change("tile/entries/000.p/3", b"02.000000Z", b"02.000001Z", tiles)),
                ("spelling", "entry 1 ", change("tile/entries/000.p/3", b',"index":1', b',"index": ', tiles)),
                ("a hash", "tile/0/000.p/3:", change("tile/0/000.p/3", leaves[1], leaves[0], tiles)),
                ("a missing tile", "tile/0/000.p/3:", {"tile/0/000.p/3": None}),
                ("an old partial tile", "tile/0/000.p/1:", {"tile/0/000.p/1": leaves[1]}),
                ("a size", "checkpoint:", change("checkpoint", b"\n3\n", b"\n4\n", tiles))):
            refused(f"directory, {what}", where, directory, changes)
        refused("older checkpoint", os.path.join(folder, "older"), directory, {}, sign(2).replace(b"\n2\n", b"\n1\n"))
        for what, where, changes in (
                ("entry", f"proofs/{n[1]}", change(f"entries/{n[1]}.json", b"api", b"upload")),
                ("value", f"openings/{n[1]}.size", change(f"openings/{n[1]}.size", b"\n21", b"\n22")),
                ("opening's line", f"openings/{n[1]}.size", change(f"openings/{n[1]}.size", b"\n21", b"\n21\n")),
                ("original", "originals/1.txt", {"originals/1.txt": original + b"."}),
                ("extra member", "extra", {"extra": b""}), ("reserved member", "member 'mimetype'", {"mimetype": b""}),
                ("missing proof", f"proofs/{n[2]}", {f"proofs/{n[2]}.tlog-proof": None}),
                ("path", f"proofs/{n[0]}", change(f"proofs/{n[0]}.tlog-proof", b"\nXpi8", b"\nXpi9")),
                ("stream", "manifest.json", change("manifest.json", b'"entries":2', b'"entries":3')),
                ("key file", "keys/1.pem", {"keys/1.pem": pem.replace(b"MCow", b"MCoW")}),
                ("consistency", f"consistency/{n[2]}", change(f"consistency/{n[2]}.txt", b"\nXpi8", b"\nXpi9"))):
            refused(f"bundle, {what}", where, archive, changes)
        refused("bundle, order", "member", archive, {}, key, None, True)
        refused("bundle, compressed", "member", archive, {}, key, None, False, 8)
        refused("bundle, sums", "VERIFY.txt", archive, {"VERIFY.txt": b"x"}, key, b"00  x\n")
        public = b"\1" + bytes(32)
        other = f"{key.name}+{sha256(key.name.encode() + bytes([10]) + public)[:4].hex()}+{to_base64(public)}"
        refused("bundle, other key", "--key", archive, {}, read_key(other, "other"))
    for bad_json in (b'{"a":1,"a":1}', b'{"b":1,"a":1}', b"1.0", b"-0", b"1e2", b"01", b"9007199254740992", b"NaN",
                     b'"\\ud800"', b'"\xed\xa0\x80"', b'"\\u0041"', b'"\\/"', b"[" * 17 + b"]" * 17, b"[1, 2]",
                     b"\xef\xbb\xbf1", b"1\n"):
        refused(f"JSON {bad_json!a}", "x", canonical_json, bad_json, "x")
    print(f"self-test: {len(checked)} checks hold: {'; '.join(checked)}")

def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    tiles, bundle, test = (modes.add_parser(mode) for mode in ("tiles", "bundle", "self-test"))
    tiles.add_argument("material", metavar="DIR", help="a published directory")
    bundle.add_argument("material", metavar="FILE.zip", help="an evidence bundle")
    tiles.add_argument("--older", action="append", default=[], metavar="CHECKPOINTFILE", help="older checkpoint")
    for mode, needed in (tiles, True), (bundle, False):
        mode.add_argument("--key", required=needed, metavar="VKEY", help="verification key from elsewhere (section 6)")
        mode.add_argument("--format", metavar="ledger-format.md", help="the document: checks types by its tables")
    test.add_argument("--format", metavar="ledger-format.md", default=os.path.join(here, "../../ledger-format.md"))
    arguments = parser.parse_args()
    try:
        if arguments.mode == "self-test":
            return self_test(arguments.format)
        given = None if arguments.key is None else read_key(arguments.key, "--key")
        catalogue = load_catalogue(arguments.format) if arguments.format else None
        note, story, count, unchecked = verify_tiles(arguments.material, given, arguments.older, catalogue) if (
            arguments.mode == "tiles") else verify_bundle(arguments.material, given, catalogue)
    except Refused as reason:
        sys.exit(print(f"REFUSED: {reason}".encode("ascii", "backslashreplace").decode().replace("\n", " ")) or 1)
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        sys.exit(print(f"REFUSED: input: cannot be read: {error!a}") or 1)
    unchecked += ["types, fields and values, since --format was not given"] * (catalogue is None)
    print(f"OK\norigin: {note.origin}\nincarnation: {story.identities[-1].incarnation}\nsize: {note.size}")
    print(f"root: {to_base64(note.root)}\nentries checked: {count}")
    print("".join(f"older checkpoint, a prefix: {path}\n" for path in getattr(arguments, "older", ())), end="")
    print("".join(f"not checked: {what}\n" for what in unchecked), end="")

if __name__ == "__main__":
    main()
