#!/usr/bin/env python3
"""Independent verifier of evidenced ledgers, format version 1, written from ledger-format.md alone.

"Section" is a section of that document, "step" one of its section 14, Verification. Exit status 0: all that was
checked holds. Exit status 1: refused; one line says where, and which rule is broken."""
import argparse, base64, calendar, hashlib, json, os, re, zipfile
from collections import namedtuple
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Key = namedtuple("Key", "name id public text")
Note = namedtuple("Note", "signed origin size root signatures")
Identity = namedtuple("Identity", "incarnation key since body")

class Refused(Exception):
    """The message is `<member or entry>: <rule>`."""

def need(holds, where, rule):
    if not holds:
        raise Refused(f"{where}: {rule}")

# ---- Patterns. Words in capitals stand for other patterns; JSON is matched in its canonical spelling ----
WORDS = {
    "STREAM": "(subject|contract|object|request|session|policy|purpose|cert|issuance|disclosure|vendor|staff|"
              "incident|ledger)/ID",
    "ID": "[0-9a-f]{32}", "COUNT": "(0|[1-9][0-9]*)", "WORD": "[a-z0-9_]+", "NAME": r"[^\s\x00-\x20\x7f-\xa0+]+",
    "TIME": "(19[7-9]|[2-9][0-9]{2})[0-9]-(0[1-9]|1[0-2])-[0-9]{2}T([01][0-9]|2[0-3])(:[0-5][0-9]){2}[.][0-9]{6}Z",
    "HASH": "SIX{42}[AEIMQUYcgkosw048]=", "SIX": "[A-Za-z0-9+/]",
    "BASE64": "(?:SIX{4})*(?:SIX[AQgw]==|SIX{2}[AEIMQUYcgkosw048]=)?"}

def pattern(text):
    for _ in range(2):
        for word, meaning in WORDS.items():
            text = text.replace(word, meaning)
    return re.compile(text, re.DOTALL)

def patterns(**members):
    return {name: pattern(text) for name, text in members.items()}

def rows(row):
    return f"({row}(,{row})*)?"

ENTRY = patterns(
    actor='"(system|(subject|staff|vendor)/ID)"', body="{.*}",
    claims="{" + rows('"STREAM":{"WORD":"HASH"(,"WORD":"HASH")*}') + "}", index="COUNT", prev='"HASH"',
    request='"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"', streams=r'\[\["STREAM",COUNT\](,\["STREAM",COUNT\]){0,15}\]',
    submitter='"[a-z][a-z0-9._-]{0,63}"', time='"TIME"', type='"[a-z_]+[.][a-z_]+"', v="1")
CREATED = patterns(
    checkpoint_key='"[^"]+"', format="1", origin='"(?!.*/incarnation/)[A-Za-z0-9._:/@-]{1,200}"', suite='"sha256"')
RECOVERED = patterns(
    checkpoint_key='"[^"]+"', incarnation="COUNT", lock_root='"HASH"', lock_size="COUNT", origin='"[^"]+"',
    reason='"(backup-restored|lock-lost|lock-damaged|key-lost|moved)"', root='"HASH"', size="COUNT")
MANIFEST = patterns(
    checkpoint="{.*}", consistency=r"\[" + rows("COUNT") + r"\]",
    entries=r"\[" + rows(r'{"index":COUNT,"openings":\[' + rows('"WORD"') + r"\]}") + r"\]", format='"evidenced bundle 1"',
    keys=r"\[" + rows('{"incarnation":COUNT,"vkey":"[^"]+"}') + r"\]",
    originals=r"\[" + rows('{"index":COUNT,"name":"originals/[1-9][0-9]*[.][a-z0-9]{1,8}"}') + r"\]",
    producer='"[!-~]+/[!-~]+"',
    selection=r"\[" + rows('{"kind":("stream","value":"STREAM"|"index","value":"COUNT"|"file","value":""|'
                           '"(since|until)","value":"TIME")}') + r"\]",
    streams=r"\[" + rows('{"entries":COUNT,"stream":"STREAM"}') + r"\]")
NOTE = pattern("(([^\x00-\x1f]+)\n(0|[1-9][0-9]{0,17})\n(HASH)\n)\n((?:\u2014 NAME BASE64\n)+)")
KEY = pattern("(NAME)[+]([0-9a-f]{8})[+](A[Q-Za-f]SIX{42})")
PROOF = pattern("(c2sp.org/tlog-proof@v1\nindex COUNT|evidenced consistency proof v1)\n((?:HASH\n){0,63})\n(.*)")
PAGE_DATA = pattern('.*<script type="application/json" id="bundle-data">([^<]*)</script>.*')

# ---- Sections 1 and 2: notation, canonical JSON ----
def to_base64(data):
    return base64.b64encode(data).decode()

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

READER = json.JSONDecoder(
    object_pairs_hook=read_object, parse_int=read_integer, parse_float=reject, parse_constant=reject)
WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

def canonical_json(raw, where):
    """Parse, write again, compare. The writer keeps the order of members, which the reader checked."""
    try:
        value = READER.decode(raw.decode("utf-8"))
        same = WRITER.encode(value).encode("utf-8") == raw
    except (ValueError, RecursionError) as error:
        raise Refused(f"{where}: not JSON by section 2: {error}") from None
    flat = raw.count(b"[") + raw.count(b"{") <= 16
    need(same and (flat or depth(value) <= 16), where, "not canonical, or nested too deep (section 2)")
    return value

def check_members(value, wanted, where, section):
    need(type(value) is dict and list(value) == list(wanted), where, f"not exactly the members of {section}")
    for name, text in wanted.items():
        need(text.fullmatch(WRITER.encode(value[name])), where, f"`{name}` breaks its rule ({section})")

# ---- Sections 3, 5 and 6: entries and what ties them together ----
def read_entry(raw, where):
    need(len(raw) <= 65535, where, "longer than 65,535 bytes (section 2)")
    entry = canonical_json(raw, where)
    check_members(entry, ENTRY, where, "section 3")
    year, month, day = map(int, entry["time"][:10].split("-"))
    need(1 <= day <= calendar.monthrange(year, month)[1], where, "`time` has no real date (section 3)")
    streams = [stream for stream, _ in entry["streams"]]
    need(ascending(streams), where, "`streams` do not ascend strictly (section 3)")
    claims = [name for commitments in entry["claims"].values() for name in commitments]
    need(set(entry["claims"]) <= set(streams), where, "a scope of `claims` is none of its streams (section 3)")
    need(len(claims) == len(set(claims)) <= 64, where, "a claim's name twice, or over 64 claims (section 3)")
    reserved = entry["type"].split(".")[0] in ("ledger", "system", "anchor")
    need(reserved == (entry["submitter"] == "evidenced") and (not reserved or entry["actor"] == "system"), where,
         "reserved domain, submitter `evidenced` and actor `system` do not go together (section 6)")
    return entry

class Story:
    """Follows entries in the order of their indexes. `whole`: none is left out."""
    def __init__(self, whole):
        self.whole, self.time, self.requests, self.numbers, self.identities = whole, "", set(), {}, []

    def follow(self, raw, index, where, leaf_before, root_before):
        """`leaf_before` is None where not known; `root_before` gives the root of all entries before."""
        entry = read_entry(raw, where)
        request = entry["submitter"], entry["request"]
        need(entry["index"] == index, where, "`index` is not its position (section 3)")
        need(leaf_before is None or entry["prev"] == to_base64(leaf_before), where, "`prev` is wrong (section 3)")
        need(entry["time"] > self.time, where, "`time` is not later than that of the entry before (section 3)")
        need(request not in self.requests, where, "its submitter and request occur twice (section 3)")
        for stream, number in entry["streams"]:
            due = self.numbers.get(stream, 0)
            need(number == due if self.whole else due <= number <= index, where,
                 f"number {number} in {stream} does not follow (section 5)")
            self.numbers[stream] = number + 1
        self.time = entry["time"]
        self.requests.add(request)
        need((entry["type"] == "ledger.created") == (index == 0), where, "`ledger.created` is entry 0 (section 6)")
        if entry["type"] in ("ledger.created", "system.recovered"):
            self.identify(entry, index, where, root_before)
        return entry

    def identify(self, entry, index, where, root_before):
        """Section 6, The first entry, Incarnations."""
        body, streams, optional = entry["body"], dict(entry["streams"]), ("lock_root", "lock_size")
        rules = {name: text for name, text in (RECOVERED if index else CREATED).items()
                 if name not in optional or "lock_root" in body}
        check_members(body, rules, where, "section 6")
        key = read_key(body["checkpoint_key"], where)
        need(key.name == body["origin"], where, "the key's name is not the origin (section 6)")
        if index == 0:
            self.ledger = entry["streams"][0][0]
            need(len(streams) == 1 and self.ledger.startswith("ledger/") and not entry["claims"], where,
                 "not in one stream, of kind `ledger`, without claims (section 6)")
        else:
            last, number = self.identities[-1], body["incarnation"]
            origin = f"{self.identities[0].key.name}/incarnation/{number}"
            need(self.ledger in streams, where, "not in the ledger stream (section 6)")
            need(1000000 >= number > last.incarnation and key.public != last.key.public and key.name == origin,
                 where, "its incarnation, key or origin does not follow (section 6)")
            need(body["size"] == index and body["root"] == to_base64(root_before()), where,
                 "`size` and `root` are not those of all entries before (section 6)")
        self.identities.append(Identity(body.get("incarnation", 1), key, index + 1, body))

    def in_force(self, size):
        return [identity for identity in self.identities if identity.since <= size][-1]

    def unconfirmed(self, given):
        """Section 6, Following origin and key: what can't be known of the keys."""
        first, last = self.identities[0].key, self.identities[-1].key
        need(given in (None, first, last), "--key", "neither incarnation 1's nor the checkpoint's (section 14)")
        if given is None:
            return ["who signed, since no key was given"]
        return [] if given == last else [f"whose key {last.text} is: have it confirmed (section 6)"]

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
        row = [*map(node, row[::2], row[1::2]), *row[len(row) // 2 * 2:]]
    return row[0]

def climb(left, root, position, last, path):
    """From `root`, the node at `position` of a row that ends at `last`, up a path as section 4 describes: `left`
    is joined with the nodes on the left only and becomes the root of what is there, `root` becomes that of all."""
    inner = (position ^ last).bit_length()      # below this level there are nodes on the right
    if len(path) != inner + bin(position >> inner).count("1"):
        return None, None
    for level, sibling in enumerate(path):
        if level >= inner or position >> level & 1:
            left = node(sibling, left) if left else sibling
            root = node(sibling, root)
        else:
            root = node(root, sibling)
    return left, root

def begins_with(first, second, first_root, second_root, path):
    path = path if first & (first - 1) else [first_root, *path]
    if not 0 < first < second or not path:
        return False
    level = (first & -first).bit_length() - 1   # of the first tree's last complete subtree: the path begins there
    ends = climb(path[0], path[0], (first - 1) >> level, (second - 1) >> level, path[1:])
    return ends == (first_root, second_root)

# ---- Section 7: verification keys, signed notes, proofs ----
def read_key(text, where):
    match = KEY.fullmatch(text)
    need(match, where, "not a verification key (section 7)")
    typed = base64.b64decode(match[3])
    need(sha256(match[1].encode() + b"\n" + typed)[:4].hex() == match[2], where, "not the key's ID (section 7)")
    return Key(match[1], bytes.fromhex(match[2]), typed[1:], text)

def read_note(raw, where):
    text = raw.decode("utf-8", "ignore")
    match = NOTE.fullmatch(text)
    need(match and text.encode() == raw, where, "not a signed checkpoint (section 7)")
    signatures = [line.split(" ")[1:] for line in match[5].split("\n")[:-1]]
    return Note(match[1].encode(), match[2], int(match[3]), base64.b64decode(match[4]), signatures)

def check_signature(note, key, where):
    need(note.origin == key.name, where, f"its origin is not {key.name!a}, the one in force (section 6)")
    blobs = [base64.b64decode(text) for name, text in note.signatures if name == key.name]
    by_key = [blob[4:] for blob in blobs if blob[:4] == key.id]
    need(by_key, where, f"not signed by {key.text!a} (section 7)")
    try:
        for signature in by_key:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, note.signed)
    except (InvalidSignature, ValueError):
        raise Refused(f"{where}: a signature of {key.text!a} does not hold (section 7)") from None

def read_proof(raw, where, first_lines):
    """The path and the bytes of the note."""
    match = PROOF.fullmatch(raw.decode("latin-1"))
    need(match and match[1] == first_lines, where, "not a proof in its form (sections 7 and 14)")
    return [base64.b64decode(line) for line in match[3].split()], match[4].encode("latin-1")

# ---- Section 7, Tiles, and sections 6 and 11: a published directory ----
def tile_path(level, number, width):
    path = f"{number % 1000:03}"
    while number >= 1000:
        number //= 1000
        path = f"x{number % 1000:03}/{path}"
    return f"tile/{level}/{path}" + ("" if width == 256 else f".p/{width}")

def read_row(directory, level, count):
    """The first `count` items, hashes or framed entries, of a level, each with the file it is in."""
    found = []
    for start in range(0, count, 256):
        width = min(256, count - start)
        path = tile_path(level, start // 256, width)
        if not os.path.exists(os.path.join(directory, path)):
            path = tile_path(level, start // 256, 256)      # the full one may be there already
        data, at = read_file(directory, path), 0
        for _ in range(width):
            end = at + (2 + int.from_bytes(data[at:at + 2], "big") if level == "entries" else 32)
            need(at + 2 < end <= len(data), path, "it ends too early (section 7)")
            found.append((data[at:end], path))
            at = end
    return found

def verify_tiles(directory, given, older):
    note = read_note(read_file(directory, "checkpoint"), "checkpoint")
    need(note.size > 0, "checkpoint", "a tree of no entries has no identity (section 6)")
    if note.origin == given.name:       # at once, so that a damaged size is not taken for missing files
        check_signature(note, given, "checkpoint")
    framed, stored = read_row(directory, "entries", note.size), read_row(directory, 0, note.size)
    leaves = [leaf_hash(entry[2:]) for entry, _ in framed]
    entries_hold, story = tree_root(leaves) == note.root, Story(whole=True)
    for index, (entry, path) in enumerate(framed):
        where = f"{path}, entry {index}"
        need(leaves[index] == stored[index][0], stored[index][1] if entries_hold else where,
             f"the hash in tile/0 is not that of entry {index} (section 4)")
        if entries_hold:
            story.follow(entry[2:], index, where, leaves[index - 1] if index else bytes(32), lambda: tree_root(leaves[:index]))
    need(entries_hold, "checkpoint", "its root is not that of the entries (section 4)")
    check_signature(note, story.identities[-1].key, "checkpoint")
    levels = {"entries": [entry for entry, _ in framed], 0: leaves}
    for level in range(1, 8):
        below = levels[level-1]
        levels[level] = [tree_root(below[i:i + 256]) for i in range(0, len(below) // 256 * 256, 256)]
        read_row(directory, level, len(levels[level]))
    beyond, foreign = 0, 0
    ...
