"""One table of bundles, each with the verdict that every verifier must give: `cases()`.

They are made by ledger-format.md alone, with keys of their own. Each is wrong in one way, with digests, page and manifest
in step with the change wherever a forger would have them so; or it looks wrong and is not.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from page_bundles import Key, Ledger, Tree, b64, canonical, finished, new_stream, sha256, sums

VERIFIED, NOT_SHOWN, FAILED = "verified", "not-shown", "failed"
NOT_EMBEDDED = ("SHA256SUMS", "VERIFY.txt", "index.html")
ORDER = 2**252 + 27742317777372353535851937790883648493
DASH = "\u2014"
KELVIN = "\u212a"
LEDGER = "ledger/" + "1e" * 16
OBJECT = {"channel": "api", "media_type": "text/plain", "product": "deposit"}


@dataclass
class Case:
    name: str
    members: dict[str, bytes]
    verdict: str
    key: str = ""
    # Whether only a verifier that has the event catalogue sees it (section 6).
    needs_catalogue: bool = False
    # What has to be told beside the verdict: records with a citation that does not hold, records that are cited and not
    # there, records that put the clock in doubt. None where the case is about something else.
    told: tuple[list[int], list[int], list[int]] | None = None


class Story:
    """A document's story, with recoveries where asked: record 1 is the deposit."""

    def __init__(self, *reasons: str, **hooks):
        ledger = self.ledger = Ledger(**hooks)
        self.thing, self.document = new_stream("object"), b"The text of a contract.\n"
        digest = hashlib.sha256(self.document).hexdigest()
        claims = {"sha256": digest, "size": len(self.document), "file_name": "合同 \"final\" \\ <b>\u007f.txt"}
        self.deposit = ledger.append("evidence.deposited", [self.thing], OBJECT, {self.thing: claims})
        other = new_stream("object")
        ledger.append("evidence.deposited", [other], OBJECT, {other: {"sha256": "00" * 32}})
        self.older = len(ledger.entries)
        for reason in reasons:
            ledger.recover(reason)
        self.match(2)

    def match(self, count: int):
        for _ in range(count):
            self.ledger.append("evidence.verified", [self.thing], {"deposit": self.deposit, "result": "match"})

    def bundle(self, page: Path, **options) -> dict[str, bytes]:
        options = {"streams": [self.thing], "consistency": [self.older],
                   "originals": [(self.deposit, "txt", self.document)]} | options
        return self.ledger.bundle(page, **options)

    @property
    def keys(self) -> list[str]:
        return [key.vkey for _, key in self.ledger.keys]


class Bundle:
    """A bundle that was made, with its texts to be changed."""

    def __init__(self, page: Path, story: Story, **options):
        self.page, self.story = page, story
        self.members = story.bundle(page, **options)
        self.texts = {name: data.decode() for name, data in self.members.items()
                      if name not in NOT_EMBEDDED and not name.startswith("originals/")}
        self.originals = {name: data for name, data in self.members.items() if name.startswith("originals/")}

    def with_(self, *changes: tuple[str, str, str], count: int = 1) -> dict[str, bytes]:
        """The members with parts of texts replaced, each part being there; page and digests follow."""
        texts = dict(self.texts)
        for name, old, new in changes:
            assert old in texts[name], (name, old)
            texts[name] = texts[name].replace(old, new, count)
        return finished(self.page, texts, self.originals)

    def with_texts(self, texts: dict[str, str | None], originals: dict[str, bytes] | None = None) -> dict[str, bytes]:
        all_texts = {name: text for name, text in (self.texts | texts).items() if text is not None}
        return finished(self.page, all_texts, self.originals | (originals or {}))

    def with_note(self, note: str) -> dict[str, bytes]:
        """With another checkpoint, which all proofs lead to."""
        old = self.texts["checkpoint"]
        return self.with_texts({name: text.replace(old, note) for name, text in self.texts.items()})

    def with_manifest(self, change) -> dict[str, bytes]:
        manifest = json.loads(self.texts["manifest.json"])
        text = change(manifest)
        return self.with_texts({"manifest.json": text if isinstance(text, str) else canonical(manifest)})

    def with_files(self, files: dict[str, bytes | None]) -> dict[str, bytes]:
        """With other members, whatever the page holds; the digests follow."""
        members = {name: data for name, data in (self.members | files).items() if data is not None}
        return dict(sorted((members | {"SHA256SUMS": sums(members)}).items()))


def cases(page: Path) -> Iterator[Case]:
    yield from key_cases(page)
    yield from key_form_cases(page)
    yield from origin_cases(page)
    yield from recovery_cases(page)
    yield from note_cases(page)
    yield from entry_cases(page)
    yield from opening_cases(page)
    yield from member_cases(page)
    yield from told_cases(page)


# Whose key it is


def key_cases(page: Path) -> Iterator[Case]:
    story = Story()
    members, (key,) = story.bundle(page), story.keys
    yield Case("one key, which is given", members, VERIFIED, key)
    yield Case("no key given", members, NOT_SHOWN)
    yield Case("a stranger's key", members, FAILED, Key("example.com/ledger").vkey)
    yield Case("a stranger's key of another name", members, FAILED, Key("stranger.example/ledger").vkey)
    story = Story("backup-restored", "moved", "lock-lost")
    members = story.bundle(page)
    for number, key in enumerate(story.keys, 1):
        yield Case(f"four incarnations, key {number}", members, VERIFIED, key)
    yield Case("four incarnations, no key", members, NOT_SHOWN)
    story = Story("backup-restored", "key-lost", "lock-damaged")
    members = story.bundle(page)
    for number, key in enumerate(story.keys, 1):
        yield Case(f"key 2 was lost, key {number}", members, VERIFIED if number > 2 else NOT_SHOWN, key)
    yield Case("key 2 was lost, a stranger's key", members, FAILED, Key("example.com/ledger/incarnation/4").vkey)
    # What anybody can make who has the first entry of a ledger.
    for reason, verdict in (("key-lost", NOT_SHOWN), ("moved", FAILED)):
        genuine = Story()
        key = genuine.keys[0]
        forger = Ledger.__new__(Ledger)
        forger.__dict__ |= genuine.ledger.__dict__ | {
            "entries": genuine.ledger.entries[:1], "bytes": genuine.ledger.bytes[:1],
            "leaves": genuine.ledger.leaves[:1], "openings": {}, "counts": {genuine.ledger.stream: 1},
            "keys": [(1, Key("example.com/ledger"))],
        }
        forger.recover(reason)
        forger.keys[0] = genuine.ledger.keys[0]
        thing = new_stream("object")
        forger.append("evidence.deposited", [thing], OBJECT, {thing: {"sha256": "11" * 32}})
        members = forger.bundle(page, [thing])
        yield Case(f"forged on a public first entry, {reason}, genuine key", members, verdict, key)
        yield Case(f"forged on a public first entry, {reason}, no key", members, verdict)


def key_form_cases(page: Path) -> Iterator[Case]:
    """Keys as people hand them on (section 7)."""
    story = Story("moved", "key-lost")
    members = story.bundle(page)
    keys = [key for _, key in story.ledger.keys]
    ders = [bytes.fromhex("302a300506032b6570032100") + key.private.public_key().public_bytes_raw() for key in keys]
    prints = [hashlib.sha256(der).hexdigest() for der in ders]
    pems = [f"-----BEGIN PUBLIC KEY-----\n{b64(der)}\n-----END PUBLIC KEY-----\n" for der in ders]
    for number, (key, pem, digest) in enumerate(zip(keys, pems, prints), 1):
        verdict = VERIFIED if number > 2 else NOT_SHOWN
        yield Case(f"key {number} in PEM", members, verdict, pem)
        yield Case(f"key {number} in PEM as Windows writes it", members, verdict, "\ufeff" + pem.replace("\n", " \r\n"))
        yield Case(f"the fingerprint of key {number}", members, verdict, digest)
        groups = ":".join(digest[at:at + 4] for at in range(0, 64, 4)).upper()
        yield Case(f"the fingerprint of key {number} in groups", members, verdict, groups + "\r\n")
        yield Case(f"key {number} with a mark, blanks and empty lines", members, verdict, f"\ufeff\r\n\t{key.vkey} \r\n\n")
    other = b64(ders[0][:12] + bytes([5]) + bytes(31))
    yield Case("a stranger's key in PEM", members, FAILED, pems[0].replace(b64(ders[0]), other))
    yield Case("a stranger's fingerprint", members, FAILED, hashlib.sha256(b"x").hexdigest())
    yield Case("a public key's bytes for a fingerprint", members, FAILED, ders[2][12:].hex())
    for name in ("a@b", "a\u3042b", "a\\057b", "example.com/ledger/incarnation/9"):
        yield Case(f"a stranger's key of the name {ascii(name)}", members, FAILED, Key(name).vkey)


def origin_cases(page: Path) -> Iterator[Case]:
    """Names of ledgers (section 6, rule origin(200)): each character of ASCII but letters and digits, and some others."""
    good = "._:/-"
    for character in [chr(code) for code in range(0x20, 0x80) if not chr(code).isalnum()] + ["\u4e2d", KELVIN]:
        story, is_good = Story(origin=f"ledger{character}example"), character in good
        yield Case(f"a first origin with {ascii(character)}", story.bundle(page), VERIFIED if is_good else FAILED,
                   story.keys[0] if is_good else "")
    for length, verdict in ((1, VERIFIED), (200, VERIFIED), (201, FAILED)):
        story = Story(origin="x" * length)
        yield Case(f"a first origin of {length} bytes", story.bundle(page), verdict, story.keys[0])


def recovery_cases(page: Path) -> Iterator[Case]:
    def with_body(**fields):
        def change(body, ledger):
            for name, value in fields.items():
                body.pop(name, None) if value is None else body.__setitem__(name, value)
        return change

    def signing(old=lambda origin: origin, number=lambda n: n, size=lambda n: n, root=lambda r: r, key=lambda k: k,
                tag="evidenced/succession/v1", end="\n", signer=lambda ledger: ledger.keys[-2][1]):
        def change(body, ledger):
            parts = (old(ledger.keys[-2][1].origin), number(body["incarnation"]), size(body["size"]), root(body["root"]),
                     key(body["checkpoint_key"]))
            text = "\n".join([tag, *map(str, parts)]) + end
            body["succession"] = b64(signer(ledger).private.sign(text.encode()))
        return change

    digest = b64(sha256(b"x"))
    for name, change, verdict in [
        ("as it must be", signing(), VERIFIED),
        ("over another origin", signing(old=lambda origin: origin + "x"), FAILED),
        ("over another number", signing(number=lambda n: n + 1), FAILED),
        ("over another size", signing(size=lambda n: n + 1), FAILED),
        ("over another root", signing(root=lambda _: digest), FAILED),
        ("over another key", signing(key=lambda _: Key("example.com/ledger/incarnation/2").vkey), FAILED),
        ("under another tag", signing(tag="evidenced/succession/v2"), FAILED),
        ("without the last line feed", signing(end=""), FAILED),
        ("by the new key", signing(signer=lambda ledger: ledger.keys[-1][1]), FAILED),
        ("by the first key where the second was in force", None, FAILED),
        ("missing", with_body(succession=None), FAILED),
        ("of 63 bytes", with_body(succession=b64(bytes(63))), FAILED),
        ("in another spelling", lambda body, _: body.update(succession=body["succession"][:-3] + "B=="), FAILED),
        ("with the reason key-lost", with_body(reason="key-lost"), FAILED),
    ]:
        reasons = ["moved"]
        if change is None:
            reasons, change = ["moved", "moved"], signing(signer=lambda ledger: ledger.keys[0][1])
        story = Story(*reasons, recovered=change)
        yield Case(f"a succession {name}", story.bundle(page), verdict, story.keys[-1])
    for name, fields, verdict in [
        ("lock_size alone", {"lock_size": 3}, FAILED), ("lock_root alone", {"lock_root": digest}, FAILED),
        ("a text for lock_size alone", {"lock_size": "x"}, FAILED), ("a number for lock_root alone", {"lock_root": 5}, FAILED),
        ("a list for lock_size alone", {"lock_size": ["x"]}, FAILED),
        ("lock_size 0", {"lock_size": 0, "lock_root": digest}, FAILED),
        ("lock_size beyond 2^53", {"lock_size": 2**53, "lock_root": digest}, FAILED),
        ("another size", {"size": 2}, FAILED), ("another root", {"root": digest}, FAILED),
        ("a number that does not grow", {"incarnation": 1}, FAILED),
        ("a large number", {"incarnation": 2**53 - 1, "origin": f"example.com/ledger/incarnation/{2**53 - 1}"}, FAILED),
        ("another origin", {"origin": "example.com/other/incarnation/2"}, FAILED),
        ("the key before", {"checkpoint_key": None}, FAILED),
    ]:
        def change(body, ledger, fields=fields):
            with_body(**fields)(body, ledger)
            if "checkpoint_key" not in body:
                body["checkpoint_key"] = ledger.keys[-2][1].vkey
            signing()(body, ledger)
        story = Story("moved", recovered=change)
        yield Case(f"a recovery with {name}", story.bundle(page), verdict, story.keys[-1])

    for name, value in (("a number", 5), ("a list", ["x"])):
        def change(body, ledger, value=value):
            body["succession"] = value
        story = Story("key-lost", recovered=change)
        yield Case(f"a recovery with the reason key-lost and {name} for succession", story.bundle(page), FAILED, story.keys[-1])
    for name, origin in (("a number", "example.com/incarnation/9"), ("a word", "example.com/incarnation/x")):
        story = Story(origin=origin)
        yield Case(f"a first origin with /incarnation/ and {name}", story.bundle(page), FAILED, story.keys[-1])
    # Entries 0, 1, 3 (the recovery) and two after it are there, or 0, 1, 3, 4 and two more where there are two recoveries.
    # What is asked is of the last. A size in words where it is not of the first recovery's.
    for name, count, size, right, consistency, verdict in [
        ("the tree taken over", 1, 3, True, [], VERIFIED), ("the tree taken over", 1, 3, False, [], FAILED),
        ("as many as come before an entry that is shown", 1, 1, True, [], VERIFIED),
        ("as many as come before an entry that is shown", 1, 1, False, [], FAILED),
        ("an older checkpoint that is shown", 1, 2, True, [2], VERIFIED),
        ("an older checkpoint that is shown", 1, 2, False, [2], FAILED),
        ("an older checkpoint that is shown, of two", 1, 2, False, [2, 3], FAILED),
        ("an older checkpoint of another size", 1, 2, False, [3, 5], VERIFIED),
        ("no tree that is shown", 1, 2, False, [], VERIFIED),
        ("the tree an earlier recovery took over", 2, 3, True, [], VERIFIED),
        ("the tree an earlier recovery took over", 2, 3, False, [], FAILED),
        ("the tree with an earlier recovery", 2, 4, False, [], FAILED),
        # What was lost: those entries were others than the ledger has there now.
        ("one more than was taken over", 1, 4, False, [4], VERIFIED),
        ("as many as come before a later entry", 1, 5, False, [5], VERIFIED),
        ("as many as the checkpoint", 1, 6, False, [3], VERIFIED),
        ("more than the checkpoint", 1, 2**53 - 1, False, [3], VERIFIED),
    ]:
        def change(body, ledger, count=count, size=size, right=right):
            if len(ledger.keys) == count + 1:
                root = Tree(ledger.leaves).root(0, size) if right else sha256(b"x")
                body.update(lock_size=size, lock_root=b64(root))
        story = Story(*["moved"] * count, recovered=change)
        yield Case(f"a recovery with {'its' if right else 'another'} lock_root, of {name}",
                   story.bundle(page, consistency=consistency), verdict, story.keys[-1])

    def replacing(origin=None, again=False):
        """Another key than the recovery would have, of whatever name: the one that then signs."""
        def change(body, ledger):
            seed = ledger.keys[-2][1].private.private_bytes_raw() if again else None
            key = Key(origin or body["origin"], seed)
            body.update(origin=key.origin, checkpoint_key=key.vkey)
            ledger.keys[-1] = (body["incarnation"], key)
            signing()(body, ledger)
        return change

    for name, change in [
        ("the public key before under its new name", replacing(again=True)),
        ("another origin and a key of that", replacing("example.com/other/incarnation/2")),
        ("the origin of another number and a key of that", replacing("example.com/ledger/incarnation/3")),
        ("the first origin and a key of that", replacing("example.com/ledger")),
    ]:
        story = Story("moved", recovered=change)
        yield Case(f"a recovery with {name}", story.bundle(page), FAILED, story.keys[-1])


# The checkpoint and older ones


def scalar(key: Key) -> int:
    """The secret scalar (RFC 8032 section 5.1.5)."""
    digest = bytearray(hashlib.sha512(key.private.private_bytes_raw()).digest()[:32])
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    return int.from_bytes(digest, "little")


def by_nonce_zero(key: Key, text: str) -> bytes:
    """A signature whose R is the neutral point: it holds by RFC 8032."""
    point = bytes([1]) + bytes(31)
    hashed = hashlib.sha512(point + key.private.public_key().public_bytes_raw() + text.encode()).digest()
    return point + (int.from_bytes(hashed, "little") * scalar(key) % ORDER).to_bytes(32, "little")


def line(name: str, blob: bytes | str) -> str:
    return f"{DASH} {name} {blob if isinstance(blob, str) else b64(blob)}\n"


def note_cases(page: Path) -> Iterator[Case]:
    # A key with a K in its base64, which U+212A must not pass for.
    seed = next(bytes([n]) * 32 for n in range(1, 99) if "K" in Key("example.com/ledger", bytes([n]) * 32).vkey[-40:])
    story = Story(key=Key("example.com/ledger", seed))
    bundle, key, vkey = Bundle(page, story), story.ledger.keys[0][1], story.keys[0]
    note = bundle.texts["checkpoint"]
    text, own = note.split("\n\n")[0] + "\n", note.split("\n\n")[1]
    blob = base64.b64decode(own.split(" ")[2])
    signature, order = blob[4:], ORDER.to_bytes(33, "little")[:32]
    s_plus_order = (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
    other = Key("witness.example")
    cosigned = line(other.origin, other.id + other.private.sign(text.encode()))
    for name, signatures, verdict in [
        ("a witness's line", own + cosigned, VERIFIED), ("a witness's line first", cosigned + own, VERIFIED),
        ("its own line twice", own + own, VERIFIED),
        ("its own line, and once more with another signature", own + line(key.origin, key.id + bytes(64)), FAILED),
        ("another signature first", line(key.origin, key.id + bytes(64)) + own, FAILED),
        ("its own line, and once more with 63 bytes", own + line(key.origin, key.id + signature[:63]), FAILED),
        ("its own line, and once more with 65 bytes", own + line(key.origin, key.id + signature + b"x"), FAILED),
        ("a line of its name with another key ID", own + line(key.origin, bytes(68)), VERIFIED),
        ("a line of its key ID with another name", own + line("example.com/other", key.id + bytes(64)), VERIFIED),
        ("R the neutral point", line(key.origin, key.id + by_nonce_zero(key, text)), VERIFIED),
        ("R in another spelling", line(key.origin, key.id + (2**255 - 18).to_bytes(32, "little")
                                       + by_nonce_zero(key, text)[32:]), FAILED),
        ("S above the order", line(key.origin, key.id + signature[:32] + s_plus_order), FAILED),
        ("no line", "", FAILED), ("no line of its own", cosigned, FAILED),
        ("99 lines more", own + cosigned * 99, VERIFIED), ("100 lines more", own + cosigned * 100, FAILED),
        ("a line that is not base64", own + line("w.example", "AAAAAAA!"), FAILED),
        ("a line of 4 bytes", own + line("w.example", bytes(4)), FAILED),
        ("a line of 5 bytes", own + line("w.example", bytes(5)), VERIFIED),
        ("a line of 7 bytes", own + line("w.example", bytes(7)), VERIFIED),
        ("a line with bits beyond the last byte", own + line("w.example", "AAAAAAB="), FAILED),
        ("a line without padding", own + line("w.example", "AAAAAAA"), FAILED),
        ("a line with a hyphen for the dash", own + cosigned.replace(DASH, "-"), FAILED),
        ("a line with two spaces", own + cosigned.replace(" witness", "  witness"), FAILED),
        ("a line with a space behind it", own + cosigned[:-1] + " \n", FAILED),
        ("a line with a carriage return", own + cosigned[:-1] + "\r\n", FAILED),
        ("a line of no name", own + line("", bytes(68)), FAILED),
        ("an empty line among them", own + "\n" + cosigned, FAILED), ("no line feed behind them", own[:-1], FAILED),
        ("a K that is U+212A in its own line", own.replace("K", KELVIN, 1) if "K" in own else own[:-3] + KELVIN, FAILED),
        *((f"a line of the name {ascii(name)}", own + line(name, bytes(68)), verdict) for name, verdict in [
            ("a\u0085b", FAILED), ("a\u00a0b", FAILED), ("a\u1680b", FAILED), ("a\u200ab", FAILED), ("a\u2028b", FAILED),
            ("a\u202fb", FAILED), ("a\u205fb", FAILED), ("a\u3000b", FAILED), ("a+b", FAILED), ("a\u007fb", FAILED),
            ("a\tb", FAILED), ("\ufeffa", VERIFIED), ("a\u200bb", VERIFIED), ("a\u180eb", VERIFIED),
            ("a\u0080b", VERIFIED), ("a\u0301", VERIFIED), ("\u0301a", VERIFIED), ("甲", VERIFIED),
        ]),
    ]:
        yield Case(f"a checkpoint with {name}", bundle.with_note(f"{text}\n{signatures}"), verdict, vkey)
    size, root = text.split("\n")[1:3]

    def signed(changed: str) -> str:
        return f"{changed}\n{line(key.origin, key.id + key.private.sign(changed.encode()))}"

    for name, changed in [
        ("a further line", text + "more\n"), ("the size with a zero before it", text.replace(f"\n{size}\n", f"\n0{size}\n")),
        ("the size with a plus", text.replace(f"\n{size}\n", f"\n+{size}\n")), ("no root", "\n".join(text.split("\n")[:2]) + "\n"),
        ("the size 0", text.replace(f"\n{size}\n", "\n0\n")), ("an empty line before it", "\n" + text),
        ("another size", text.replace(f"\n{size}\n", f"\n{int(size) + 1}\n")),
        ("another root", text.replace(root, b64(sha256(b"x")))),
        ("another origin", text.replace("example.com/ledger", "example.com/other")),
        ("a root of 31 bytes", text.replace(root, b64(bytes(31)))),
    ]:
        yield Case(f"a checkpoint with {name}", bundle.with_note(signed(changed)), FAILED, vkey)
    older = f"consistency/{story.older:016}.txt"
    old = bundle.texts[older].split("\n\n", 1)[1]
    old_text = old.split("\n\n")[0] + "\n"
    for name, changed, verdict in [
        ("a witness's line", old + cosigned, VERIFIED), ("its own line twice", old + old.split("\n\n")[1], VERIFIED),
        ("a further line", signed(old_text + "more\n"), FAILED),
        ("a signature that does not hold", old[:-12] + ("A" if old[-12] != "A" else "B") + old[-11:], FAILED),
        ("another signature of its own", old + line(key.origin, key.id + bytes(64)), FAILED),
        ("another size", signed(old_text.replace(f"\n{story.older}\n", f"\n{story.older - 1}\n")), FAILED),
        ("another root", signed(old_text.replace(old_text.split("\n")[2], b64(sha256(b"x")))), FAILED),
        ("another ledger's key", Key("example.com/ledger").note(story.older, Tree(story.ledger.leaves).root(0, story.older)),
         FAILED),
    ]:
        yield Case(f"an older checkpoint with {name}", bundle.with_((older, old, changed)), verdict, vkey)
    yield Case("an older checkpoint behind another first line", bundle.with_((older, "proof v1", "proof v2")), FAILED, vkey)
    yield Case("an older checkpoint of the same size", Story().bundle(page, consistency=[5]), FAILED)
    # U+212A instead of K.
    at = vkey.rindex("K")
    kelvin = vkey[:at] + KELVIN + vkey[at + 1:]
    for member in ("manifest.json", "keys/1.vkey"):
        yield Case(f"U+212A for K in {member}", bundle.with_((member, vkey, kelvin)), FAILED, vkey)
    pem = bundle.texts["keys/1.pem"].split("\n")[1]
    if "K" in pem:
        yield Case("U+212A for K in keys/1.pem", bundle.with_(("keys/1.pem", pem, pem.replace("K", KELVIN, 1))), FAILED, vkey)
    for name, changed in [("a carriage return", vkey + "\r\n"), ("no line feed", vkey), ("an empty line", vkey + "\n\n")]:
        yield Case(f"keys/1.vkey with {name}", bundle.with_(("keys/1.vkey", vkey + "\n", changed)), FAILED, vkey)
    # Keys that sign anything.
    for point in ("01" + "00" * 31, "00" * 32, "ec" + "ff" * 30 + "7f", "01" + "00" * 30 + "80",
                  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "ee" + "ff" * 30 + "7f"):
        weak = Weak("example.com/ledger", bytes.fromhex(point))
        story = Story(key=weak)
        yield Case(f"a key of small order, {point}", story.bundle(page), FAILED)


class Weak(Key):
    """A public key that nobody has the secret of, and for some of which (R, S) = (1, 0) holds over anything."""

    def __init__(self, origin: str, public: bytes):
        super().__init__(origin, bytes(32))
        typed = b"\x01" + public
        self.id = sha256(origin.encode(), b"\n", typed)[:4]
        self.vkey = f"{origin}+{self.id.hex()}+{b64(typed)}"
        der = b64(bytes.fromhex("302a300506032b6570032100") + public)
        self.pem = f"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n".encode()

    def note(self, size: int, root: bytes) -> str:
        text = f"{self.origin}\n{size}\n{b64(root)}\n"
        return f"{text}\n{line(self.origin, self.id + bytes([1]) + bytes(63))}"


# Entries and their proofs


def entry_cases(page: Path) -> Iterator[Case]:
    last = 4

    def at(place, /, **fields):
        def change(entry):
            if entry["index"] == place:
                entry.update(fields)
        return change

    def written(index, old, new):
        def change(entry):
            text = canonical(entry)
            if entry["index"] == index:
                assert old in text, (old, text)
                return text.replace(old, new, 1).encode()
        return change

    time = "2026-03-14T01:37:00.123457Z"
    def own(*numbers):
        """The last entry with these numbers in its stream."""
        def change(entry):
            if entry["index"] == last:
                entry["streams"] = [[entry["streams"][0][0], number] for number in numbers]
        return change

    def last_one(change):
        return lambda entry: change(entry) and None if entry["index"] == last else None

    before = Story().ledger.entries[3]["time"]
    for name, change, verdict in [
        ("an equal time", at(last, time=before), FAILED),
        ("a time before", at(last, time=time), FAILED), ("a time that is no date", at(last, time="2026-04-31T00:00:00.000000Z"), FAILED),
        ("the 29th of February", at(last, time="2028-02-29T23:59:59.999999Z"), VERIFIED),
        ("the 29th of February of 2100", at(last, time="2100-02-29T00:00:00.000000Z"), FAILED),
        ("hour 24", at(last, time="2026-04-30T24:00:00.000000Z"), FAILED), ("second 60", at(last, time="2026-04-30T23:59:60.000000Z"), FAILED),
        ("a time without its fraction", at(last, time="2026-04-30T23:59:59Z"), FAILED),
        ("another index", at(last, index=5), FAILED), ("no index", last_one(lambda e: e.pop("index")), FAILED),
        ("another prev", at(last, prev=b64(sha256(b"x"))), FAILED), ("a prev of 31 bytes", at(last, prev=b64(bytes(31))), FAILED),
        ("version 2", at(last, v=2), FAILED), ("one member more", at(last, w=1), FAILED),
        ("a space in it", written(last, ',"v"', ', "v"'), FAILED), ("an escaped slash", written(last, "object/", "object\\/"), FAILED),
        ("a line feed behind it", lambda e: canonical(e).encode() + b"\n" if e["index"] == last else None, FAILED),
        ("members in another order", written(last, '"deposit":1,"result":"match"', '"result":"match","deposit":1'), FAILED),
        ("a member twice", written(last, '"deposit":1', '"deposit":1,"deposit":1'), FAILED),
        ("an integer in another spelling", written(last, '"deposit":1', '"deposit":1.0'), FAILED),
        ("an integer beyond 2^53", written(last, '"deposit":1', '"deposit":9007199254740992'), FAILED),
        ("a number of its stream beyond its index", own(7), FAILED),
        ("an actor that is no stream", at(last, actor="subject/x"), FAILED), ("an actor of another kind", last_one(lambda e: e.update(actor=e["streams"][0][0])), FAILED),
        ("a submitter in capitals", at(last, submitter="Tests"), FAILED), ("the daemon as submitter", at(last, submitter="evidenced"), FAILED),
        ("a request in capitals", lambda e: e.update(request=e["request"].upper()[:-1] + "A") if e["index"] == last else None, FAILED),
        ("no stream", at(last, streams=[]), FAILED), ("a stream twice", own(2, 3), FAILED),
        ("claims under another stream", at(last, claims={new_stream("object"): {"sha256": b64(bytes(32))}}), FAILED),
        ("an empty scope", last_one(lambda e: e.update(claims={e["streams"][0][0]: {}})), FAILED),
        ("a second creation", at(last, type="ledger.created", submitter="evidenced"), FAILED),
        ("suite sm3", lambda e: e["body"].update(suite="sm3") if e["index"] == 0 else None, FAILED),
        ("format 2", lambda e: e["body"].update(format=2) if e["index"] == 0 else None, FAILED),
        ("a prev in the first", at(0, prev=b64(sha256(b"x"))), FAILED),
        ("a creation by another", at(0, submitter="tests"), FAILED), ("a creation by a person", at(0, actor=new_stream("subject")), FAILED),
        ("a number 1 in the first", lambda e: e.update(streams=[[e["streams"][0][0], 1]]) if e["index"] == 0 else None, FAILED),
    ]:
        story = Story(change=as_written(change))
        yield Case(f"an entry with {name}", story.bundle(page), verdict, story.keys[0])
    yield Case("two entries with one request", twice(page), FAILED)
    for name, change in [
        ("a type the catalogue has not", at(last, type="evidence.invented")),
        ("a field the type has not", lambda e: e["body"].update(channel="api") if e["index"] == last else None),
        ("a field missing", lambda e: e["body"].pop("result") and None if e["index"] == last else None),
        ("a word the field has not", lambda e: e["body"].update(result="perhaps") if e["index"] == last else None),
        ("a claim the type has not", lambda e: e.update(claims={e["streams"][0][0]: {"phone": b64(bytes(32))}}) if e["index"] == last else None),
    ]:
        story = Story(change=as_written(change))
        yield Case(f"an entry with {name}", story.bundle(page), FAILED, story.keys[0], needs_catalogue=True)
    # Numbers in a stream that is not told as a whole.
    for numbers, verdict in [((1, 2), VERIFIED), ((1, 1), FAILED), ((2, 1), FAILED), ((1, 5), FAILED), ((0, 1), FAILED),
                             ((2, 4), VERIFIED)]:
        def change(entry, numbers=iter(numbers)):
            if entry["type"] == "evidence.verified":
                entry["streams"][0][1] = next(numbers)
        story = Story(change=change)
        members = story.bundle(page, streams=[], indexes=[1, 3, 4])
        yield Case(f"the numbers 0, {numbers[0]}, {numbers[1]} of a stream in part", members, verdict, story.keys[0])
    story = Story()
    bundle = Bundle(page, story)
    yield Case("a stream with a record left out", without(bundle, 3), FAILED, story.keys[0])
    proof = f"proofs/{story.deposit:016}.tlog-proof"
    hashes = re.findall(r"(?<=\n)[A-Za-z0-9+/]{43}=(?=\n)", bundle.texts[proof].split("\n\n")[0] + "\n")
    for name, old, new in [
        ("an extra line", "@v1\n", "@v1\nextra AAAA\n"), ("an empty extra line", "@v1\n", "@v1\nextra \n"),
        ("another index", "index 1", "index 2"), ("the index with a zero before it", "index 1", "index 01"),
        ("a hash missing", hashes[-1] + "\n", ""), ("a hash more", hashes[-1] + "\n", f"{hashes[-1]}\n{hashes[-1]}\n"),
        ("another hash", hashes[0], b64(sha256(b"x"))), ("a line that is no hash", hashes[0], "x"),
        ("64 hashes", hashes[0] + "\n", f"{hashes[0]}\n" * 64), ("another first line", "proof@v1", "proof@v2"),
    ]:
        yield Case(f"a proof with {name}", bundle.with_((proof, old, new)), FAILED, story.keys[0])
    yield Case("a proof with something behind it", bundle.with_texts({proof: bundle.texts[proof] + "x"}), FAILED, story.keys[0])
    yield Case("a proof to another checkpoint", bundle.with_((proof, f"\n{len(story.ledger.entries)}\n", "\n4\n")), FAILED, story.keys[0])


def as_written(change):
    """Alters what is written of an entry, and not what the ledger goes by when it makes a bundle."""
    def write(entry):
        copied = json.loads(canonical(entry))
        return change(copied) or canonical(copied).encode()
    return write


def twice(page: Path) -> dict[str, bytes]:
    first = {}

    def change(entry):
        if entry["index"] == 3:
            first.update(request=entry["request"], submitter=entry["submitter"])
        if entry["index"] == 4:
            entry.update(first)
    return Story(change=change).bundle(page)


def without(bundle: Bundle, index: int) -> dict[str, bytes]:
    manifest = json.loads(bundle.texts["manifest.json"])
    manifest["entries"] = [row for row in manifest["entries"] if row["index"] != index]
    manifest["streams"][0]["entries"] -= 1
    return bundle.with_texts({"manifest.json": canonical(manifest), f"entries/{index:016}.json": None,
                              f"proofs/{index:016}.tlog-proof": None})


# What was disclosed


def opening_cases(page: Path) -> Iterator[Case]:
    def committed(change) -> tuple[dict[str, bytes], str]:
        """A deposit whose opening of `description` is changed before it is committed to."""
        opening = f"evidenced/claim/v1\n{b64(bytes(range(32)))}\ndescription\n\"a text\""
        opening = change(opening)

        def put(entry):
            if entry["index"] == 1:
                scope = entry["streams"][0][0]
                entry["claims"][scope]["description"] = b64(sha256(opening.encode()))
        story = Story(change=put)
        story.ledger.openings[1, "description"] = opening
        return story.bundle(page), story.keys[0]

    value = '"a text"'
    for name, change, verdict in [
        ("as it must be", lambda text: text, VERIFIED),
        ("a lone surrogate", lambda text: text.replace(value, '"\\ud83d"'), FAILED),
        ("a pair of surrogates as escapes", lambda text: text.replace(value, '"\\ud83d\\ude00"'), FAILED),
        ("an emoji as itself", lambda text: text.replace(value, '"\U0001f600"'), VERIFIED),
        ("control characters in their spelling", lambda text: text.replace(value, '"\\b\\t\\n\\f\\r\\u0000\\u001f"'), VERIFIED),
        ("a tab in another spelling", lambda text: text.replace(value, '"\\u0009"'), FAILED),
        ("capital digits in an escape", lambda text: text.replace(value, '"\\u001F"'), FAILED),
        ("an escaped slash", lambda text: text.replace(value, '"\\/"'), FAILED),
        ("an escaped letter", lambda text: text.replace(value, '"\\u0061"'), FAILED),
        ("U+007F as itself", lambda text: text.replace(value, '"\u007f"'), VERIFIED),
        ("a space behind the value", lambda text: text + " ", FAILED),
        ("a line feed behind the value", lambda text: text + "\n", FAILED),
        ("a fifth line", lambda text: text + "\nx", FAILED), ("an empty value", lambda text: text.replace(value, ""), FAILED),
        ("another tag", lambda text: text.replace("claim/v1", "claim/v2"), FAILED),
        ("a salt of 31 bytes", lambda text: text.replace(b64(bytes(range(32))), b64(bytes(31))), FAILED),
        ("a salt in another spelling", lambda text: text.replace("Hh8=", "Hh9="), FAILED),
        ("another name", lambda text: text.replace("description", "descriptiom"), FAILED),
        ("1,026 bytes of value", lambda text: text.replace(value, '"' + "x" * 1024 + '"'), VERIFIED),
        ("8,193 bytes of value", lambda text: text.replace(value, '"' + "x" * 8191 + '"'), FAILED),
    ]:
        members, key = committed(change)
        yield Case(f"an opening with {name}", members, verdict, key)
    story = Story()
    bundle, key = Bundle(page, story), story.keys[0]
    opened = f"openings/{story.deposit:016}."
    yield Case("an opening that is not what was committed to", bundle.with_((opened + "file_name", "final", "draft")), FAILED, key)
    yield Case("an opening of a claim the entry has not", with_opening(bundle, "phone"), FAILED, key)
    yield Case("an original that is another document", bundle.with_texts({}, {"originals/1.txt": b"another"}), FAILED, key)
    yield Case("an original whose digest is not disclosed", story.bundle(page, opened=[(story.deposit, "size")]), FAILED, key)
    yield Case("an original nobody lists", bundle.with_texts({}, {"originals/2.txt": b"more"}), FAILED, key)
    yield Case("an original of which only the digest is disclosed", story.bundle(page, opened=[(story.deposit, "sha256")]), VERIFIED, key)
    for name, wrong in (("size", {"size": 25}), ("sm3", {"sm3": "00" * 32})):
        story = Story()
        thing = new_stream("object")
        digest = hashlib.sha256(story.document).hexdigest()
        index = story.ledger.append("evidence.deposited", [thing], OBJECT, {thing: {"sha256": digest} | wrong})
        members = story.ledger.bundle(page, indexes=[index], originals=[(index, "txt", story.document)])
        yield Case(f"an original with another {name} disclosed", members, FAILED, story.keys[0])
    story = Story()
    thing = new_stream("object")
    sm3 = hashlib.new("sm3", story.document).hexdigest()
    index = story.ledger.append("evidence.deposited", [thing], OBJECT, {
        thing: {"sha256": hashlib.sha256(story.document).hexdigest(), "sm3": sm3}})
    members = story.ledger.bundle(page, indexes=[index], originals=[(index, "txt", story.document)])
    yield Case("an original with its SM3 disclosed", members, VERIFIED, story.keys[0])


def with_opening(bundle: Bundle, claim: str) -> dict[str, bytes]:
    manifest = json.loads(bundle.texts["manifest.json"])
    row = next(row for row in manifest["entries"] if row["index"] == bundle.story.deposit)
    row["openings"] = sorted([*row["openings"], claim])
    text = f"evidenced/claim/v1\n{b64(bytes(32))}\n{claim}\n\"1\""
    return bundle.with_texts({"manifest.json": canonical(manifest), f"openings/{bundle.story.deposit:016}.{claim}": text})


# The list of contents, the page, and what else is there


def member_cases(page: Path) -> Iterator[Case]:
    story = Story("moved")
    bundle, key = Bundle(page, story), story.keys[0]

    def setting(**fields):
        return lambda manifest: manifest.update(fields)

    def asked(kind, value):
        return setting(selection=[{"kind": kind, "value": value}])

    for name, change, verdict in [
        ("a producer of no name", setting(producer="/0.1.0"), FAILED), ("a producer of no version", setting(producer="evidenced/"), FAILED),
        ("a producer with two slashes", setting(producer="a/b/c"), FAILED), ("another producer", setting(producer="other/1"), VERIFIED),
        ("a name of 33 bytes", setting(producer="a" * 33 + "/1"), FAILED), ("a name of 32 bytes", setting(producer="a" * 32 + "/1"), VERIFIED),
        ("a name with seven digits", setting(producer="a1234567/1"), FAILED), ("a version of five numbers", setting(producer="a/1.2.3.4.5"), FAILED),
        ("a version that is tried", setting(producer="a-b.c_d/10.20.30-rc.1"), VERIFIED), ("a version with nine digits", setting(producer="a/1234.1234.1"), FAILED),
        ("another format", setting(format="evidenced bundle 2"), FAILED), ("one member more", setting(more=1), FAILED),
        ("nothing asked for", setting(selection=[]), VERIFIED), ("an item twice", lambda m: m.update(selection=m["selection"] * 2), VERIFIED),
        ("the largest index asked for", asked("index", "9007199254740991"), VERIFIED),
        ("an index beyond 2^53 asked for", asked("index", "9007199254740992"), FAILED),
        ("an index beyond 2^64 asked for", asked("index", "18446744073709551616"), FAILED),
        ("an index with a zero before it asked for", asked("index", "01"), FAILED), ("an unknown kind asked for", asked("hash", ""), FAILED),
        ("a file with a value", asked("file", "00"), FAILED), ("a file", asked("file", ""), VERIFIED),
        ("a time", asked("since", "2026-01-01T00:00:00.000000Z"), VERIFIED), ("a time that is none", asked("until", "2026-01-01"), FAILED),
        ("a date that is none", asked("until", "2026-02-30T00:00:00.000000Z"), FAILED),
        ("a stream of no kind", asked("stream", "thing/" + "0" * 32), FAILED),
        ("a stream with more entries", lambda m: m["streams"][0].update(entries=4), FAILED),
        ("a stream twice", lambda m: m.update(streams=m["streams"] * 2), FAILED),
        ("a stream that is not here", lambda m: m.update(streams=sorted([*m["streams"], {"entries": 0, "stream": new_stream("object")}], key=lambda r: r["stream"])), FAILED),
        ("no stream", setting(streams=[]), VERIFIED),
        ("another size", lambda m: m["checkpoint"].update(size=99), FAILED),
        ("entries in another order", lambda m: m["entries"].reverse(), FAILED),
        ("a consistency proof that is not here", lambda m: m["consistency"].append(4), FAILED),
        ("no consistency proof", setting(consistency=[]), FAILED), ("no original", setting(originals=[]), FAILED),
        ("an original of another entry", lambda m: m["originals"][0].update(index=0), FAILED),
        ("another character for the dot of an original", lambda m: m["originals"][0].update(name="originals/1xtxt"), FAILED),
        ("an original of another number", lambda m: m["originals"][0].update(name="originals/2.txt"), FAILED),
        ("one key", lambda m: m["keys"].pop(), FAILED), ("keys in another order", lambda m: m["keys"].reverse(), FAILED),
        ("a space in it", lambda m: canonical(m).replace(",", ", ", 1), FAILED),
        ("a line feed behind it", lambda m: canonical(m) + "\n", FAILED),
    ]:
        yield Case(f"a manifest with {name}", bundle.with_manifest(change), verdict, key)
    for name, files in [
        ("a file of no name a bundle has", {"evil.txt": b"x"}), ("a folder more", {"more/1.txt": b"x"}),
        ("an entry more", {"entries/0000000000000099.json": bundle.members["entries/0000000000000000.json"]}),
        ("a key more", {"keys/3.vkey": b"x\n", "keys/3.pem": b"x\n"}), ("no VERIFY.txt", {"VERIFY.txt": None}),
        ("no page", {"index.html": None}), ("no checkpoint", {"checkpoint": None}), ("no key", {"keys/1.pem": None}),
        ("no proof", {"proofs/0000000000000001.tlog-proof": None}), ("no first entry", {"entries/0000000000000000.json": None}),
        ("other PEM", {"keys/1.pem": bundle.members["keys/2.pem"]}),
        ("a reserved name", {"META-INF/manifest.xml": b"x"}),
    ]:
        yield Case(f"a bundle with {name}", bundle.with_files(files), FAILED, key)
    html = bundle.members["index.html"]
    tag = b'<script type="application/json" id="bundle-data">'
    at = html.index(tag)
    element = html[at:html.index(b"\n", at) + 1]
    for name, changed in [
        ("other data", html.replace(b"evidence.verified", b"evidence.verifies", 1)),
        ("its data twice", html.replace(element, element + element)), ("its data indented", html.replace(element, b" " + element)),
        ("its data spelt otherwise", html.replace(tag + b'{"files"', tag + b'{ "files"')),
        ("no data", html.replace(element, b"")),
    ]:
        assert changed != html
        yield Case(f"a page with {name}", bundle.with_files({"index.html": changed}), FAILED, key)
    digests = bundle.members["SHA256SUMS"]
    for name, changed in [
        ("another digest", digests.replace(digests[:8], b"00000000", 1)), ("a line less", digests.split(b"\n", 1)[1]),
        ("an empty line", digests + b"\n"), ("capital digits", digests.upper()), ("a star", digests.replace(b"  check", b" *check")),
    ]:
        yield Case(f"SHA256SUMS with {name}", dict(sorted((bundle.members | {"SHA256SUMS": changed}).items())), FAILED, key)


# What stands beside the verdict


def told_cases(page: Path) -> Iterator[Case]:
    def case(name, records, bad=(), absent=(), clock=(), indexes=None):
        """A ledger of these records, each (type, streams, body) and perhaps its actor; the first of them is record 1."""
        ledger = Ledger()
        for type, streams, body, *actor in records:
            type_claims = {"identity.verified": {"name": "n", "id_number": "1"}, "evidence.deposited": {"sha256": "00" * 32},
                           "contract.signed": {"sha256": "00" * 32, "signature_sha256": "00" * 32},
                           "contract.completed": {"sha256": "00" * 32}, "issuance.generated": {"bundle_sha256": "00" * 32}}.get(type)
            claims = {min(streams): type_claims} if type_claims else {}
            ledger.append(type, streams, body, claims, "evidenced" if type.startswith("system.") else "tests", *actor)
        members = ledger.bundle(page, indexes=range(len(ledger.entries)) if indexes is None else indexes)
        return Case(f"told: {name}", members, VERIFIED, ledger.keys[0][1].vkey, told=(list(bad), list(absent), list(clock)))

    person, other, thing, contract = (new_stream(kind) for kind in ("subject", "subject", "object", "contract"))
    verified = ("identity.verified", [person], {"method": "id-document", "expires": "2036-01-01T00:00:00.000000Z"})
    deposit = ("evidence.deposited", [thing], OBJECT)
    withdrawn = ("consent.withdrawn", [person], {"consent": 1, "channel": "web"})
    yield case("a citation that holds", [deposit, ("evidence.verified", [thing], {"deposit": 1, "result": "match"})])
    yield case("of another type", [verified, withdrawn], bad=[2])
    yield case("of another document", [deposit, ("evidence.verified", [new_stream("object")], {"deposit": 1, "result": "match"})], bad=[2])
    yield case("of itself", [deposit, ("evidence.verified", [thing], {"deposit": 2, "result": "match"})], bad=[2])
    yield case("of a later record", [("evidence.verified", [thing], {"deposit": 2, "result": "match"}), deposit], bad=[1])
    yield case("of a record beyond the ledger", [("evidence.verified", [thing], {"deposit": 13800000001, "result": "match"})], bad=[1])
    yield case("of what is not here", [deposit, ("evidence.verified", [thing], {"deposit": 1, "result": "match"})],
               absent=[1], indexes=[2])
    yield case("of another type that is not here", [verified, withdrawn], absent=[1], indexes=[2])
    signed = {"identity": 1, "certificate": 1, "intent": "pin", "algorithm": "ed25519"}
    yield case("of two fields, one of which does not hold", [verified, ("contract.signed", [contract, person], signed)], bad=[2])
    yield case("of another person", [verified, ("contract.signed", [contract, other], signed, other)], bad=[2])
    yield case("of the actor's", [verified, ("evidence.deposited", [thing], OBJECT | {"identity": 1}, person)])
    yield case("of another actor's", [verified, ("evidence.deposited", [thing], OBJECT | {"identity": 1}, other)], bad=[2])
    yield case("of nobody's", [verified, ("evidence.deposited", [thing], OBJECT | {"identity": 1})])
    yield case("of two records, one of another type", [
        verified, ("evidence.deposited", [thing], OBJECT), deposit, ("evidence.exported", [thing], {
            "deposit": 2, "decryption": 3, "recipient": "0" * 32})], bad=[4])
    signature = ("contract.signed", [contract, person], signed)
    yield case("of a list, one of which does not hold", [
        verified, signature, ("contract.completed", [contract], {"signatures": [2, 1]})], bad=[2, 3])
    yield case("of a list, one of which is not here", [
        verified, signature, ("contract.completed", [contract], {"signatures": [2, 1]})], absent=[1, 2], indexes=[3])
    yield case("of a tree that was not there", [
        ("issuance.generated", [new_stream("issuance")], {"requested": 0, "checkpoint_size": 3})], bad=[1])
    yield case("of a tree that was", [("system.selfcheck", [LEDGER], {
        "checked": "ledger", "size": 1, "root": b64(bytes(32)), "result": "passed"})])
    off, on = (("system.clock_status", [LEDGER], {"synchronized": value}) for value in (False, True))
    yield case("a clock that was set", [on, deposit, on])
    yield case("a clock that was not", [off, deposit, on], clock=[1])
    yield case("a clock an operator vouched for", [("system.clock_status", [LEDGER], {"synchronized": False, "confirmed": "operator"}), deposit], clock=[1])
    yield case("a clock that jumped", [on, ("system.clock_jumped", [LEDGER], {"microseconds": -5_000_000}), deposit], clock=[2])
