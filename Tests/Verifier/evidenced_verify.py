#!/usr/bin/env python3
"""Independent verifier of evidenced ledgers, format version 1, written from ledger-format.md alone. "§" is a
section of it, "step" one of §14. Exit status 0: all that was checked holds; 1: a line says what does not; 2:
all holds, but whose ledger it is is not shown; 64: wrongly called, such as with a key that is none;
71: this computer could not make the checks. What it tells beside its verdict is in beside_the_verdict.py."""
import argparse, calendar, hashlib, json, os, re, struct, zlib
from base64 import b64decode, b64encode
from collections import namedtuple
from pathlib import Path
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from beside_the_verdict import told
Key, Note = namedtuple("Key", "name id public text"), namedtuple("Note", "signed origin size root signatures")
Given = namedtuple("Given", "key matches")   # the key, if it has a name; whether it is this one
ABOUT_THE_KEY = "Only keys are compared: who the operator is, and who signed a contract, is not checked."
def need(holds, where, rule):       # `where` is a member or an entry
    if not holds:
        raise SystemExit(f"REFUSED: {where}: {rule}")

# ---- Patterns. Words in capitals stand for other patterns. ----
WORDS = {
    "STREAM": "(subject|contract|object|request|session|policy|purpose|cert|issuance|disclosure|vendor|staff|"
              "incident|ledger)/ID", "ID": "[0-9a-f]{32}", "COUNT": "(0|[1-9][0-9]*)",
    "TIME": "(19[7-9]|[2-9]#{2})#-(0[1-9]|1[0-2])-[0-3]#T([01]#|2[0-3])(:[0-5]#){2}[.]#{6}Z", "#": "[0-9]",
    "CLAIMS": '{"WORD":"HASH"(,"WORD":"HASH")*}', "HASH": "SIX{42}[AEIMQUYcgkosw048]=",
    "BASE64": "(SIX{4})*(SIX[AQgw]==|SIX{2}[AEIMQUYcgkosw048]=)?", "SIX": "[A-Za-z0-9+/]",
    "WORD": "[a-z0-9_]{1,64}",
    "NAME": "[^\x00-\x20\x7f+\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"}
def pattern(text):
    for word, meaning in WORDS.items():
        text = text.replace(word, meaning)
    return re.compile(text, re.DOTALL)
ENTRY = pattern('{"actor":"(system|(subject|staff|vendor)/ID)","body":{.*},"claims":{("STREAM":CLAIMS'
    '(,"STREAM":CLAIMS)*)?},"index":COUNT,"prev":"HASH","request":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"'
    r',"streams":\[\["STREAM",COUNT\](,\["STREAM",COUNT\]){0,15}\],"submitter":"[a-z][a-z0-9._-]{0,63}",'
    '"time":"TIME","type":"[a-z_]+[.][a-z_]+","v":1}')
NOTE = pattern("(([^\x00-\x1f]+)\n([1-9][0-9]{0,18})\n(HASH)\n)\n((?:\u2014 NAME (?=SIX{7})BASE64\n){1,100})")
KEY = pattern("(NAME)[+]([0-9a-f]{8})[+](A[Q-Za-f]SIX{42})")
FRAME, SPKI = ["-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"], pattern("MCowBQYDK2VwAyEAHASH")
ORIGIN = pattern("[A-Za-z0-9._:/-]{1,200}")
SIGNATURE = pattern("SIX{85}[AQgw]==")
OPENING = pattern("evidenced/claim/v1\nHASH\n([^\n]*)\n(.{1,8192})")
PATH = pattern("((?:HASH\n){0,63})\n(.*)")
PRODUCER = re.compile("(?=[^/]{1,32}/[^/]{1,32}$)(?!(?:[^/0-9]*[0-9]){7,}[^/]*/)(?!.*/(?:[^0-9]*[0-9]){9})"
    "[a-z][a-z0-9]*([._-][a-z0-9]+)*/[0-9]{1,4}([.][0-9]{1,4}){0,3}(-(alpha|beta|dev|rc)([.]?[0-9]{1,4})?)?")
ASKED = {"stream": pattern("STREAM"), "index": pattern("COUNT"), "file": pattern(""),
         "since": pattern("TIME"), "until": pattern("TIME")}
WEAK = {"00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f",       # the y of points of small order (§7)
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"}

# ---- Sections 1 and 2: notation, canonical JSON ----
def base64(data):
    return b64encode(data).decode()
def read_integer(text):
    return int(text if abs(int(text)) < 2**53 else "out of range")      # int() raises ValueError
def depth(value):
    inner = list(value.values()) if type(value) is dict else value
    return 1 + max(map(depth, inner), default=0) if type(inner) is list else 0
READER = json.JSONDecoder(parse_int=read_integer, parse_float=int, parse_constant=int)
WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)    # all names are ASCII
def canonical_json(raw, where):
    try:
        value = READER.decode(raw.decode())
        need(WRITER.encode(value).encode() == raw and depth(value) <= 16, where, "not canonical (§2)")
    except (ValueError, RecursionError) as error:
        need(False, where, f"not JSON as §2 has it: {error}")
    return value

# ---- Section 4: hashes, tree, proofs ----
def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
def node(left, right):
    return sha256(b"\1", left, right)
def tree_root(row):
    """Row by row; a hash without a neighbour on its right moves up as it is: the tree of section 4."""
    while len(row) > 1:
        row = [*map(node, row[::2], row[1::2]), *row[len(row) // 2 * 2:]]
    return row[0]
def climb(left, root, position, last, path):
    """From `root`, the node at `position` of a row that ends at `last`, up a path as in section 4. `left` is
    joined with nodes on the left only and becomes the root of what is there; `root` becomes that of all."""
    inner = (position ^ last).bit_length()      # below this level there are nodes on the right
    if position > last or len(path) != inner + bin(position >> inner).count("1"):
        return None, None
    for level, sibling in enumerate(path):
        if level < inner and position >> level & 1 == 0:
            root = node(root, sibling)
        else:
            left = node(sibling, left) if left else sibling
            root = node(sibling, root)
    return left, root
def begins_with(first, second, first_root, second_root, path):
    path = path if first & (first - 1) else [first_root, *path]
    level = (first & -first).bit_length() - 1   # of the first tree's last full subtree, where the path begins
    return 0 < first < second and path and (first_root, second_root) == climb(
        path[0], path[0], (first - 1) >> level, (second - 1) >> level, path[1:])

# ---- Section 7: verification keys, signed notes, proofs ----
def read_key(text, where):
    match = KEY.fullmatch(str(text))
    typed = b64decode(match[3]) if match else b""
    need(match and sha256(match[1].encode(), b"\n", typed)[:4].hex() == match[2], where, "no good key (§7)")
    need(is_sound(typed[1:]), where, "a key of small order (§7)")
    return Key(match[1], bytes.fromhex(match[2]), typed[1:], text)
def is_sound(public):
    y = public[:-1] + bytes([public[-1] & 127])
    return y.hex() not in WEAK and int.from_bytes(y, "little") < 2**255 - 19
def spki(key):
    return bytes.fromhex("302a300506032b6570032100") + key.public
def read_given(raw):        # a key as people hand it on
    lines = [line.strip(b" \t") for line in re.split(b"[\r\n]", raw.removeprefix(b"\xef\xbb\xbf"))]
    lines = [line.decode("utf-8", "surrogateescape") for line in lines if line]
    text, digits = "".join(lines), "".join(lines).replace(" ", "").replace(":", "").lower()
    if lines[:1] + lines[-1:] == FRAME and SPKI.fullmatch(body := "".join(lines[1:-1])):
        public = b64decode(body)[12:]
        need(is_sound(public), "--key", "a key of small order (§7)")
        return Given(None, lambda key: key.public == public)
    need(len(lines) == 1, "--key", "no key, or more than one (§7)")
    if re.fullmatch("[0-9a-f]{64}", digits):
        return Given(None, lambda key: sha256(spki(key)).hex() == digits)
    return Given(read_key(text, "--key"), lambda key: key.text == text)
def read_key_argument(text):
    try:
        return read_given(os.fsencode(text))
    except SystemExit:          # what is no key as it stands is a file's name
        return read_given(Path(text).read_bytes())
def read_note(raw, where):
    match = NOTE.fullmatch(raw.decode("utf-8", "ignore"))
    need(match and match[0].encode() == raw and len(raw) <= 10**6, where, "not a signed checkpoint (§7)")
    signatures = re.findall("\u2014 ([^ ]+) (.+)\n", match[5])
    return Note(match[1].encode(), match[2], int(match[3]), b64decode(match[4]), signatures)
def check_signature(note, key, where):
    by_key = [b64decode(blob)[4:] for name, blob in note.signatures if (name, b64decode(blob)[:4]) == key[:2]]
    need(note.origin == key.name and by_key, where, f"not by {key.text!a}, in force at its size (§6, §7)")
    good = all(holds(key, signature, note.signed) for signature in by_key)
    need(good, where, f"a signature of {key.text!a} does not hold (§7)")
def holds(key, signature, text):
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)
        return len(signature) == 64
    except (InvalidSignature, ValueError):
        return False
def read_proof(raw, where, head):       # gives the path and the bytes of the note
    match = PATH.fullmatch(raw.decode("latin-1").removeprefix(head))
    need(match and raw.startswith(head.encode()), where, "not a proof in its form (§7, §14)")
    return [b64decode(line) for line in match[1].split()], match[2].encode("latin-1")

# ---- Sections 3, 5 and 6: entries and what ties them together ----
def is_date(time):
    return 0 < int(time[8:10]) <= calendar.monthrange(int(time[:4]), int(time[5:7]))[1]
class Trouble(Exception):
    """What this computer can't do: no verdict."""
def has(algorithm):
    try:
        return hashlib.new(algorithm, b"")
    except ValueError as error:
        raise Trouble(f"there is no {algorithm} here") from error
class Story:
    """Follows entries by ascending index. `whole`: none is left out. `gaps`: streams that miss some."""
    def __init__(self, whole):
        self.whole, self.time, self.requests, self.numbers, self.gaps = whole, "", set(), {}, set()
        self.identities = []            # incarnation, key, and the size from which on they are in force
        self.entries, self.notes = {}, []           # of a bundle: by index; what stands beside the verdict
        self.locks = []                 # trees of old locks, as recoveries state them: entry, size, root
    def follow(self, raw, index, where, leaf_before, root_before):
        """`root_before(n)` is the root of entries 0 to n - 1; it and `leaf_before` are None if unknown."""
        entry = canonical_json(raw, where)
        need(ENTRY.fullmatch(raw.decode()) and len(entry) == 11 and len(raw) <= 65535, where, "no entry (§3)")
        streams, request, time = dict(entry["streams"]), (entry["submitter"], entry["request"]), entry["time"]
        claims = [name for commitments in entry["claims"].values() for name in commitments]
        good = set(entry["claims"]) <= set(streams) and len(claims) == len(set(claims)) <= 64
        need(good, where, "`claims` has over 64, one name twice, or a scope that is none of the streams (§3)")
        need([pair[0] for pair in entry["streams"]] == sorted(streams), where, "`streams` is not sorted (§3)")
        need(is_date(time) and time > self.time, where, "`time` is no date, or not later (§3)")
        need(entry["index"] == index, where, "`index` is not its position (§3)")
        need(leaf_before in (None, b64decode(entry["prev"])), where, "`prev` is not the hash before (§3)")
        need(request not in self.requests, where, "its submitter and request occur twice (§3)")
        self.time = time
        self.requests.add(request)
        for stream, number in streams.items():
            due = self.numbers.get(stream, 0)
            self.gaps |= {stream} if number != due else set()
            need(due <= number <= index and not (self.whole and self.gaps), where, f"number in {stream} (§5)")
            self.numbers[stream] = number + 1
        reserved = entry["type"].split(".")[0] in ("ledger", "system", "anchor")
        good = not reserved or entry["actor"] == "system"
        need(good and reserved == (entry["submitter"] == "evidenced"), where, "domain, submitter, actor (§6)")
        need((entry["type"] == "ledger.created") == (index == 0), where, "`ledger.created` misplaced (§6)")
        if entry["type"] in ("ledger.created", "system.recovered"):
            self.identify(entry, streams, where, root_before)
        return entry
    def identify(self, entry, streams, where, root_before):      # section 6
        body, number = entry["body"], entry["body"].get("incarnation", 1)
        key = read_key(body.get("checkpoint_key"), where)
        if entry["index"] == 0:
            self.ledger, wanted = min(streams), {"format": 1, "origin": key.name, "suite": "sha256"}
            good = len(streams) == 1 and self.ledger.startswith("ledger/") and not entry["claims"]
            good = good and "/incarnation/" not in key.name and ORIGIN.fullmatch(key.name)
        else:
            (_, first, *_), (last_number, last, *_) = self.identities[0], self.identities[-1]
            wanted = {"incarnation": int(number), "origin": f"{first.name}/incarnation/{number}",
                      "root": base64(root_before(entry["index"])), "size": entry["index"]}
            good = self.ledger in streams and last_number < int(number) < 2**53 and key.public != last.public
            good = good and ("lock_size" in body) == ("lock_root" in body) and body.get("lock_size", 1) >= 1
            if good and body.get("lock_size", 2**53) <= entry["index"]:     # else of another history
                self.locks.append((where, body["lock_size"], body["lock_root"]))
                self.compare_locks(body["lock_size"], root_before(body["lock_size"]))
            text = "\n".join(["evidenced/succession/v1", last.name, str(number), str(entry["index"]),
                              wanted["root"], key.text, ""]).encode()
            signed = "succession" in body
            good = good and signed == (body["reason"] != "key-lost") and (not signed or SIGNATURE.fullmatch(
                body["succession"]) and holds(last, b64decode(body["succession"]), text))
        good = good and WRITER.encode({**body, **wanted}) == WRITER.encode(body)
        need(good and key.name == body["origin"], where, "not an identity that may follow (§6)")
        self.identities.append((number, key, entry["index"] + 1, "succession" in body))
    def compare_locks(self, size, root):        # of all recoveries up to now
        for where, lock_size, lock_root in self.locks:
            good = root is None or lock_size != size or lock_root == base64(root)
            need(good, where, f"`lock_root` is not the root of the first {size} entries (§6)")
    def in_force(self, size):
        return [key for _, key, since, _ in self.identities if since <= max(size, 1)][-1]
    def signer(self, given):            # section 6, "Following origin and key"
        at = [number for number, (_, key, *_) in enumerate(self.identities) if given and given.matches(key)]
        if given and not at:        # §14: nothing was changed, for all that shows
            raise SystemExit("NOT THIS KEY: all agrees in itself, but the key given is none of the ledger's. "
                             f"It is the wrong key, or this is another's ledger (§6). {ABOUT_THE_KEY}")
        later = [signed for *_, signed in self.identities[at[-1] + 1:]] if at else []
        return "not-shown" if given is None or not all(later) else "succeeded" if later else "given"

# ---- Section 7, Tiles, and section 11: a published directory ----
def tile_path(level, number, width):
    path = "".join(f"x{int(group):03}/" for group in f"{number:,}".split(",")[:-1])
    return f"tile/{level}/{path}{number % 1000:03}" + ("" if width == 256 else f".p/{width}")
def read_tile(directory, level, start, count):      # the items from `start` on of a level with `count` items
    part, full = (tile_path(level, start // 256, width) for width in (min(256, count - start), 256))
    path = full if (directory / full).exists() else part        # the full one may be there already
    return path, (directory / path).read_bytes()
def verify_tiles(directory, given, older):
    note = read_note((directory / "checkpoint").read_bytes(), "checkpoint")
    if given and given.key and note.origin == given.key.name:   # at once: a bad size looks like lost files
        check_signature(note, given.key, "checkpoint")
    framed, leaves, story = [], [], Story(whole=True)
    for start in range(0, note.size, 256):
        path, data = read_tile(directory, "entries", start, note.size)
        (tile, stored), end = read_tile(directory, 0, start, note.size), 0
        for index in range(start, min(start + 256, note.size)):
            begin, end = end, end + 2 + int.from_bytes(data[end:end + 2], "big")
            raw, where = data[begin + 2:end], f"{path}, entry {index}"
            leaf = sha256(b"\0", raw)
            need(leaf == stored[32 * (index - start):][:32], where, f"its hash is not that in {tile} (§7)")
            before = leaves[-1] if leaves else bytes(32)
            story.follow(raw, index, where, before, lambda n: tree_root(leaves[:n]))
            framed.append(data[begin:end])
            leaves.append(leaf)
    need(leaves and tree_root(leaves) == note.root, "checkpoint", "not the root of the entries (§4)")
    check_signature(note, story.in_force(note.size), "checkpoint")
    for path in older:
        old = read_note(Path(path).read_bytes(), path)
        check_signature(old, story.in_force(old.size), path)
        need(note.size >= old.size > 0 and tree_root(leaves[:old.size]) == old.root, path, "no prefix (§4)")
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    rows = [leaves]
    for _ in range(7):
        rows.append([tree_root(rows[-1][i:i + 256]) for i in range(0, len(rows[-1]) - 255, 256)])
    for level, row in [("entries", framed), *enumerate(rows)]:
        for start in range(0, len(row), 256):
            read_tile(directory, level, start, len(row))
            for end in range(start + 1, min(start + 256, len(row)) + 1):
                path = tile_path(level, start // 256, end - start)
                if path in files:
                    need((directory / path).read_bytes() == b"".join(row[start:end]), path, "bad bytes (§7)")
                    files.remove(path)
    return note, story, [f"{path!a}, beyond the size or no tile" for path in sorted(files - {"checkpoint"})]

# ---- Section 14: an evidence bundle ----
def container_fault(raw, members):
    """What of the ZIP file itself breaks §14, whatever its members are: the member and the rule, or None. All
    fields but three follow from the members, so the headers are made anew and compared."""
    place, at = 0, sum(30 + len(name) + len(data) for name, data in members.items())
    if len(raw) != at + sum(46 + len(name) for name in members) + 22:
        return "archive", "comments, extra fields, compression, or bytes of no member"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(members), len(members), len(raw) - 22 - at, at, 0)
    last = ""
    for name, data in members.items():
        made, needed, internal = struct.unpack_from("<2H28xH", raw, at + 4)
        size, spelt = len(data), name.encode()
        both = struct.pack("<5H3I2H", needed, 0, 0, 0, 0x21, zlib.crc32(data), size, size, len(spelt), 0)
        header = b"PK\3\4" + both + spelt + data
        record = struct.pack("<4sH", b"PK\1\2", made) + both + struct.pack(
            "<3H2I", 0, 0, internal, 0x81a40000, place) + spelt
        where, before, last = f"member {name!a}", last, name
        if before >= name:
            return where, "not in byte order"
        if raw[place:place + len(header)] != header:
            return where, "its local header is not as the table has it, or not where it must be"
        if raw[at:at + len(record)] != record or made >> 8 != 3 or needed not in (10, 20) or internal > 1:
            return where, "its record in the directory is not as the table has it"
        place, at = place + len(header), at + len(record)
    return None if raw[at:] == end else ("archive", "its end record is not as the table has it")
EXTRAS = {0x000a, 0x5455, 0x5855, 0x6375, 0x7855, 0x7875, 0xcafe}       # times, owners, comments
def is_harmless(extra, name):       # other extra fields can give a member another name, size or kind
    while extra:
        kind, count = struct.unpack_from("<2H", extra + bytes(4))
        data, extra, left = extra[4:4 + count], extra[4 + count:], len(extra) - 4
        if left < count or kind not in EXTRAS and (kind != 0x7075 or data[5:] != name):
            return False
    return True
def unpack(data, method, crc, size, where):
    engine = zlib.decompressobj(-15)
    content = engine.decompress(data, size + 1) if method else data
    good = len(content) == size and zlib.crc32(content) == crc and (
        not method or engine.eof and not engine.unused_data)
    need(good, where, "its content is not what the archive says, or goes on (§14)")
    return content
def read_ordinary(raw):
    """Any ordinary ZIP file; refused where two readers could see two things. Gives names, sizes, readers."""
    end, infos, files = raw.rfind(b"PK\5\6"), [], []
    need(0 <= end <= len(raw) - 22, "archive", "is no ZIP file (§14)")
    disks, count, total, size, start, comment = struct.unpack_from("<I2H2IH", raw, end + 4)
    good = not disks and count == total < 65535 and start + size == end and end + 22 + comment == len(raw)
    need(good, "archive", "several parts, ZIP64, or bytes of no member (§14)")
    tail = max(len(raw) - 65557, 0)
    leads = [int.from_bytes(raw[at.start() + tail + 16:][:4], "little") for at in re.finditer(
        b"PK\5\6", raw[tail:end])]
    good = b"PK\5\6" not in raw[start:end] and all(raw[at:at + 4] != b"PK\1\2" for at in leads)
    need(good and raw[end - 20:end - 16] != b"PK\6\7", "archive", "what may be a second directory (§14)")
    at = start
    for _ in range(count):
        need(at + 46 <= end and raw[at:at + 4] == b"PK\1\2", "archive", "its directory is broken (§14)")
        fields = struct.unpack_from("<2H4x3I4H2x2I", raw, at + 8)
        middle, at = at + 46 + fields[5], at + 46 + sum(fields[5:8])
        infos.append((fields[-1], fields, raw[middle - fields[5]:middle], raw[middle:middle + fields[6]]))
    need(at == end, "archive", "its directory is broken (§14)")
    infos, position = sorted(infos), 0
    for (at, fields, name, extra), (following, *_) in zip(infos, [*infos[1:], (start,)]):
        flags, method, crc, packed, size, *_, disk, attributes, _ = fields
        shown = name.decode("utf-8", "surrogateescape")
        where = f"member {shown!a}"
        is_folder = name.endswith(b"/")
        allowed = is_path(shown.removesuffix("/"))
        need(allowed, where, "its name is not allowed: unpacked, the folder may do (§14)")
        need(at == position and at + 30 <= following, where, "it is not right behind the one before (§14)")
        need(raw[at:at + 4] == b"PK\3\4" and not disk, where, "it has no local header (§14)")
        local, method_too, *same, length, more = struct.unpack_from("<2H4x3I2H", raw, at + 6)
        begin, described = at + 30 + length + more, flags & 8
        spelt, more, content = raw[at + 30:begin - more], raw[begin - more:begin], raw[begin:begin + packed]
        good = not flags & ~0x80e and flags | 6 == local | 6 and method == method_too and method in (0, 8)
        need(good, where, "encrypted, or neither stored nor deflated (§14)")
        good = spelt == name and all(one == other or described and one == 0 and (method or value == 0)
                                     for value, (one, other) in enumerate(zip(same, fields[2:5])))
        need(good and (method or packed == size), where, "its local header contradicts the directory (§14)")
        need(is_harmless(extra, name) and is_harmless(more, name), where, "an extra field (§14)")
        good = attributes >> 28 in (0, 8, 4)[:2 + is_folder] and (is_folder or not attributes & 16)
        need(good and 2**32 - 1 not in (packed, size), where, "a link, no file, or ZIP64 (§14)")
        good = not is_folder or (crc, size, content) == (0, 0, b"\3\0"[:method])
        need(good, where, "a folder with a content (§14)")
        values = struct.pack("<3I", *fields[2:5])
        behind = [b"PK\7\b" + values, values][:2 - values.startswith(b"PK\7\b")] if described else [b""]
        need(begin + packed <= following and raw[begin + packed:following] in behind, where,
             "it overlaps the next one, or is not right before it (§14)")
        position = following
        files.append((shown, size, lambda data=content, rest=(method, crc, size, where): unpack(data, *rest)))
    names = [shown.removesuffix("/") for shown, *_ in files]
    good = position == start and len(set(names)) == len(names)
    good = good and sum(size for _, size, _ in files) < 2**32 - 1
    need(good, "archive", "bytes of no member, a name twice, or too large (§14)")
    return [file for file in files if not file[0].endswith("/")]
def give_up(error):
    raise error
def read_folder(path):
    files = []
    for folder, folders, names in os.walk(path, onerror=give_up):
        for name in folders + names:
            each = Path(folder, name)
            where = str(each.relative_to(path))
            good = not each.is_symlink() and (each.is_dir() or each.is_file())
            need(good, repr(where), "a link, or no file (§14)")
            need(is_path(where), repr(where), "a name that is not allowed (§14)")
            if name in names:
                files.append((where, each.stat().st_size, each.read_bytes))
    return files
def is_path(name):
    parts = name.split("/")
    good = len(parts) <= 16 and not {"", ".", ".."} & set(parts) and not re.search("[\0-\x1f\x7f\\\\]", name)
    return good and len(os.fsencode(name)) <= 1024
def is_leaving(name):       # what file managers leave
    last = name.split("/")[-1]
    return (last.lower() in (".ds_store", "thumbs.db", "desktop.ini") or last.startswith("._")
            or name.startswith("__MACOSX/"))
def read_members(path):     # gives the members, and what they lie in
    raw = b"" if path.is_dir() else path.read_bytes()
    need(len(raw) < 2**32 - 1, "archive", "too large (§14)")
    files = read_folder(path) if path.is_dir() else read_ordinary(raw)
    left = sorted(name for name, *_ in files if is_leaving(name))
    for name, _, read in files:
        if raw and is_leaving(name):
            read()          # behind its end could be what is a member to other programs
    files = [file for file in files if not is_leaving(file[0])]
    folder = min((name[:-13] for name, *_ in files if name.endswith("/manifest.json")), key=len, default="")
    cut = len(folder) if all(name.startswith(folder) for name, *_ in files) else 0
    files = [(name[cut:], size, read) for name, size, read in files]
    few = sum(size for name, size, _ in files if not name.startswith("originals/")) <= 2**30
    good = few and sum(size for _, size, _ in files) < 2**32 and len(files) <= 65534
    need(good, "members", "too large, or too many (§14)")
    members = {}
    for name, _, read in files:
        good = re.fullmatch("[A-Za-z0-9._/-]{1,100}", name) and not {"", ".", ".."} & set(name.split("/"))
        need(good, f"member {name!a}", "its name is not allowed (§14)")
        need(name not in members, f"member {name!a}", "there twice (§14)")
        members[name] = read()
    fault = container_fault(raw, members) if raw else None
    issued = raw and not fault and not cut and not left
    shown = ", ".join(re.sub("[^A-Za-z0-9._/-]", "?", name) for name in left[:5])
    shown += f" and {len(left) - 5} more" if len(left) > 5 else ""
    told = "as issued" if issued else "unpacked; contents intact" if not raw else (
        f"repacked; contents intact ({': '.join(fault) if fault else 'other files'})")
    return dict(sorted(members.items())), told + (f"; passed over: {shown}" if left else "")
def read_bundle(path):
    members, told = read_members(path)
    sums = members.pop("SHA256SUMS").splitlines(keepends=True)
    lines = [f"{sha256(data).hex()}  {name}\n".encode() for name, data in members.items()]
    for name, line, stated in zip(members, lines, sums):
        need(line == stated, name, "its digest is not the one in SHA256SUMS (step 1)")
    need(lines == sums, "SHA256SUMS", "not exactly the other members (step 1)")
    return members, told
def verify_bundle(path, given, older):
    need(not older, "--older", "only for a directory")
    files, container = read_bundle(path)
    left = set(files)
    def take(name):
        need(name in left, name, "manifest.json implies it, but it is not there (step 2)")
        left.remove(name)
        return files[name]
    manifest = canonical_json(take("manifest.json"), "manifest.json")
    note, story = read_note(take("checkpoint"), "checkpoint"), Story(whole=False)
    leaves, befores, opened, rows = {-1: bytes(32)}, {}, {}, []
    check_signature(note, read_key(manifest["keys"][-1]["vkey"], "manifest.json"), "checkpoint")
    for index, names in [(row["index"], row["openings"]) for row in manifest["entries"]]:   # steps 3, 4, 8
        where, proof = f"entries/{index!s:0>16}.json", f"proofs/{index!s:0>16}.tlog-proof"
        leaves[index] = sha256(b"\0", take(where))
        path, signed = read_proof(take(proof), proof, f"c2sp.org/tlog-proof@v1\nindex {index}\n")
        need(signed == files["checkpoint"], proof, "its note is not `checkpoint`, byte for byte (step 3)")
        befores[index], root = climb(None, leaves[index], index, note.size - 1, path)
        need(root == note.root, where, f"not in the tree of `checkpoint` by {proof} (§4)")
        entry = story.follow(files[where], index, where, leaves.get(index - 1), befores.get)
        story.entries[index] = entry
        rows.append({"index": entry["index"], "openings": sorted(names)})
        for name in names:
            where = f"openings/{index!s:0>16}.{name}"
            match = OPENING.fullmatch(take(where).decode("latin-1"))
            commitments = [scope.get(name) for scope in entry["claims"].values()]
            good = match and match[1] == name and base64(sha256(files[where])) in commitments
            need(good, where, f"not the opening of a claim of entry {index} (step 8)")
            opened[f"{index}.{name}"] = canonical_json(match[2].encode("latin-1"), where)
    for number, key, *_ in story.identities:                                                # step 5
        pem = f"{FRAME[0]}\n{base64(spki(key))}\n{FRAME[1]}\n"
        for name, text in (f"keys/{number}.vkey", f"{key.text}\n"), (f"keys/{number}.pem", pem):
            need(take(name) == text.encode(), name, "not the key the entries name (step 5)")
    originals = [(row["index"], row["name"]) for row in manifest["originals"]]              # step 9
    for number, (index, where) in enumerate(originals, 1):
        true = {name: hashlib.new(name, files[where]).hexdigest() for name in ("sha256", "sm3")
                if f"{index}.{name}" in opened and has(name)}
        true["size"] = len(take(where))
        need(re.fullmatch(f"originals/{number}[.][a-z0-9]{{1,8}}", where), where, "not its name (§14)")
        need(f"{index}.sha256" in opened, where, f"the claim sha256 of entry {index} is not open (step 9)")
        good = all(opened.get(f"{index}.{name}", value) == value for name, value in true.items())
        need(good, where, f"not what the claims of entry {index} say (step 9)")
    for size in manifest["consistency"]:                                                    # step 10
        where = f"consistency/{size!s:0>16}.txt"
        path, signed = read_proof(take(where), where, "evidenced consistency proof v1\n")
        old = read_note(signed, where)
        check_signature(old, story.in_force(old.size), where)
        good = old.size == size < note.size and begins_with(size, note.size, old.root, note.root, path)
        need(good, where, "not the size in its name, or it does not hold (§4, §14)")
        story.compare_locks(size, old.root)
    made = {                                                                                # steps 2, 6, 7
        "checkpoint": {"origin": note.origin, "root": base64(note.root), "size": note.size},
        "consistency": sorted(manifest["consistency"]), "entries": sorted(rows, key=lambda row: row["index"]),
        "format": "evidenced bundle 1", "producer": manifest["producer"], "selection": manifest["selection"],
        "keys": [{"incarnation": number, "vkey": key.text} for number, key, *_ in story.identities],
        "originals": sorted(manifest["originals"], key=lambda row: row["index"]),
        "streams": [{"entries": story.numbers[stream], "stream": stream} for stream in sorted(
            {row["stream"] for row in manifest["streams"]} - story.gaps)]}
    need(WRITER.encode(manifest) == WRITER.encode(made), "manifest.json", "not what is there (step 2)")
    good = PRODUCER.fullmatch(manifest["producer"])
    for asked in manifest["selection"]:
        value = asked["value"]
        good = good and len(asked) == 2 and ASKED[asked["kind"]].fullmatch(value)
        good = good and (asked["kind"] not in ("since", "until") or is_date(value)) and (
            asked["kind"] != "index" or int(value) < 2**53)
    need(good, "manifest.json", "a producer or a selection there is not (§14)")
    need({"VERIFY.txt", "index.html"} <= left, "index.html or VERIFY.txt", "missing (step 2)")
    texts = {name: data.decode() for name, data in files.items() if name not in left and name not in dict(map(
        reversed, originals))}
    facts = {name: {"sha256": sha256(files[name]).hex(), "size": len(files[name])} for _, name in originals}
    data = WRITER.encode({"files": texts, "originals": facts}).replace("<", "\\u003c").encode()
    tag, page = b'<script type="application/json" id="bundle-data">', files["index.html"]
    good = page.count(tag) == 1 and b"\n" + tag + data + b"</script>\n" in page
    need(good, "index.html", "its data is not that of the members (step 2)")
    left -= {"VERIFY.txt", "index.html"}
    need(not left, min(left, default=""), "not implied by manifest.json (step 2)")
    story.notes = [f"container: {container}", *told(story.entries, opened, manifest)]
    return note, story, ["what VERIFY.txt says, and index.html around its data"]

if __name__ == "__main__":
    kinds = {"tiles": verify_tiles, "bundle": verify_bundle}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.error = lambda message: parser.exit(64, f"REFUSED: {message}\n")      # 2 is a verdict
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("material", type=Path, metavar="DIR|FILE.zip")
    parser.add_argument("--key", metavar="KEY|FILE", help="the operator's key, got elsewhere (§6, §7)")
    parser.add_argument("--older", action="append", default=[], metavar="NOTE", help="an older checkpoint")
    asked = parser.parse_args()
    if not os.path.exists(asked.material):
        parser.error(f"{str(asked.material)!a}: there is no such file")
    try:
        given = None if asked.key is None else read_key_argument(asked.key)
    except (SystemExit, OSError):
        print("REFUSED: --key: this is not a verification key (§7)")
        raise SystemExit(64)
    try:
        note, story, unchecked = kinds[asked.kind](asked.material, given, asked.older)
        signer = story.signer(given)
    except (MemoryError, OSError, Trouble) as error:
        lost = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
        gone = asked.kind == "tiles" and isinstance(error, lost)
        need(not gone, getattr(error, "filename", None), "is not there, or no file")
        parser.exit(71, f"NOT CHECKED: this computer could not: {error!a}. Nothing is said of it.\n")
    except Exception as error:      # of a library, or since the manifest has not the form of §14
        need(False, getattr(error, "filename", "manifest.json or archive"), f"cannot be read: {error!a}")
    unchecked = ["types, with their fields and values (§6)", *unchecked]
    print("NOT CONFIRMED whose ledger this is: all else holds. Ask the ledger operator for its current "
          "verification key, by a way of its own (§6)." if signer == "not-shown" else
          "KEYS MATCH: where the key given came from is not shown here.", "The integrity checks made here "
          "hold; read the notes. The records are as the checkpoint has them; when that was signed, and "
          "whether the ledger was rewritten before, is not shown.", ABOUT_THE_KEY, sep="\n")
    print(f"signer: {signer}\norigin: {note.origin}\nincarnation: {story.identities[-1][0]}")
    print(f"size: {note.size}\nroot: {base64(note.root)}\nrecords checked: {len(story.requests)}")
    print(*story.notes, *(f"not checked: {what}" for what in unchecked), sep="\n")
    raise SystemExit(2 if signer == "not-shown" else 0)
