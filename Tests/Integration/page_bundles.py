"""Evidence bundles made by ledger-format.md alone, to test the bundle's page with: a ledger in memory, and its bundles.

`Ledger.bundle()` is the one function that makes a bundle; it gives {member name: bytes}.
"""

import base64
import hashlib
import io
import json
import os
import random
import re
import zipfile
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import instructions

HERE = Path(__file__).resolve().parent
#: The page of a bundle, or another one to be tested in its place.
PAGE = next(
    path for path in (
        Path(os.environ.get("BUNDLE_PAGE", "/nonexistent")), HERE / "index.html",
        HERE.parents[1] / "Sources/Bundle/Page/index.html",
    ) if path.exists()
)
#: The second verifier, written from the format document alone.
INDEPENDENT = HERE.parent / "Verifier/evidenced_verify.py"
ORIGIN = "example.com/ledger"
# The generator's seed, and so every id, salt and key, is the same in each run.
_random = random.Random("evidence bundles")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def canonical(value) -> str:
    """Enough for the values of these tests: names are ASCII, and there are no floats."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def new_id() -> str:
    return _random.randbytes(16).hex()


def new_stream(kind: str) -> str:
    return f"{kind}/{new_id()}"


class Key:
    def __init__(self, origin: str, seed: bytes | None = None):
        self.origin = origin
        self.private = Ed25519PrivateKey.from_private_bytes(seed or _random.randbytes(32))
        public = self.private.public_key()
        typed = b"\x01" + public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = sha256(origin.encode(), b"\n", typed)[:4]
        self.vkey = f"{origin}+{self.id.hex()}+{b64(typed)}"
        self.pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def note(self, size: int, root: bytes) -> str:
        text = f"{self.origin}\n{size}\n{b64(root)}\n"
        signature = self.private.sign(text.encode())
        return f"{text}\n\u2014 {self.origin} {b64(self.id + signature)}\n"


class Tree:
    """The tree of section 4 by its recursive definition."""

    def __init__(self, leaves: list[bytes]):
        self.leaves = leaves
        self.root = cache(self._root)

    def _root(self, start: int, end: int) -> bytes:
        if end - start == 1:
            return self.leaves[start]
        middle = start + self.split(end - start)
        return sha256(b"\x01", self.root(start, middle), self.root(middle, end))

    @staticmethod
    def split(count: int) -> int:
        return 1 << (count - 1).bit_length() - 1

    def path(self, index: int) -> list[bytes]:
        start, end, found = 0, len(self.leaves), []
        while end - start > 1:
            middle = start + self.split(end - start)
            if index < middle:
                found.append(self.root(middle, end))
                end = middle
            else:
                found.append(self.root(start, middle))
                start = middle
        return found[::-1]

    def consistency(self, first: int) -> list[bytes]:
        def proof(first, start, end, whole):
            if first == end - start:
                return [] if whole else [self.root(start, end)]
            split = self.split(end - start)
            if first <= split:
                return [*proof(first, start, start + split, whole), self.root(start + split, end)]
            return [*proof(first - split, start + split, end, False), self.root(start, start + split)]

        return proof(first, 0, len(self.leaves), True)


class Ledger:
    """A ledger in memory. `change` may alter each entry, and `recovered` each recovery's body, before they are written;
    so a test makes what no daemon would."""

    def __init__(self, origin: str = ORIGIN, key: Key | None = None, change=lambda entry: None,
                 recovered=lambda body, ledger: None):
        self.change, self.recovered = change, recovered
        self.entries: list[dict] = []
        self.bytes: list[bytes] = []
        self.leaves: list[bytes] = []
        self.openings: dict[tuple[int, str], str] = {}
        self.counts: dict[str, int] = {}
        self.clock = datetime(2026, 3, 14, 1, 30, tzinfo=timezone.utc)
        self.stream = new_stream("ledger")
        self.keys = [(1, key or Key(origin))]
        self.append("ledger.created", [self.stream], {
            "origin": origin, "suite": "sha256", "format": 1, "checkpoint_key": self.keys[0][1].vkey,
        }, submitter="evidenced")

    def append(self, type: str, streams, body=None, claims=None, submitter="deposit-service", actor="system") -> int:
        index = len(self.entries)
        self.clock += timedelta(minutes=7, microseconds=123457)
        commitments = {}
        for scope, values in (claims or {}).items():
            for name, value in values.items():
                opening = f"evidenced/claim/v1\n{b64(_random.randbytes(32))}\n{name}\n{canonical(value)}"
                self.openings[index, name] = opening
                commitments.setdefault(scope, {})[name] = b64(sha256(opening.encode()))
        numbered = []
        for stream in sorted(streams):
            numbered.append([stream, self.counts.get(stream, 0)])
            self.counts[stream] = numbered[-1][1] + 1
        request = _random.randbytes(16).hex()
        entry = {
            "actor": actor, "body": body or {}, "claims": commitments, "index": index,
            "prev": b64(self.leaves[-1] if self.leaves else bytes(32)),
            "request": "-".join(re.fullmatch("(.{8})(.{4})(.{4})(.{4})(.{12})", request).groups()),
            "streams": numbered, "submitter": submitter, "time": self.clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": type, "v": 1,
        }
        written = self.change(entry)
        self.entries.append(entry)
        self.bytes.append(written or canonical(entry).encode())
        self.leaves.append(sha256(b"\0", self.bytes[-1]))
        return index

    def recover(self, reason: str = "backup-restored") -> int:
        """Begins an incarnation; the key before signs for the new one, unless it was lost."""
        incarnation, size = self.keys[-1][0] + 1, len(self.entries)
        origin = f"{self.keys[0][1].origin}/incarnation/{incarnation}"
        old, new, root = self.keys[-1][1], Key(origin), b64(Tree(self.leaves).root(0, size))
        self.keys.append((incarnation, new))
        body = {
            "incarnation": incarnation, "origin": origin, "checkpoint_key": new.vkey, "reason": reason,
            "size": size, "root": root,
        }
        if reason != "key-lost":
            text = f"evidenced/succession/v1\n{old.origin}\n{incarnation}\n{size}\n{root}\n{new.vkey}\n"
            body["succession"] = b64(old.private.sign(text.encode()))
        self.recovered(body, self)
        return self.append("system.recovered", [self.stream], body, submitter="evidenced")

    def key_at(self, size: int) -> Key:
        begins = [0, *(e["index"] for e in self.entries if e["type"] == "system.recovered")]
        return [key for begin, (_, key) in zip(begins, self.keys) if begin < size][-1]

    def note(self, size: int) -> str:
        return self.key_at(size).note(size, Tree(self.leaves[:size]).root(0, size))

    def bundle(self, page: Path, streams=(), indexes=(), opened=None, originals=(), consistency=()) -> dict[str, bytes]:
        """`opened`: pairs (index, claim), None for all. `originals`: triples (index, extension, bytes)."""
        always = {e["index"] for e in self.entries if e["type"] in ("ledger.created", "system.recovered")}
        in_streams = {e["index"] for e in self.entries if {name for name, _ in e["streams"]} & set(streams)}
        chosen = sorted(always | in_streams | set(indexes))
        if opened is None:
            opened = [key for key in self.openings if key[0] in chosen]
        tree, size = Tree(self.leaves), len(self.entries)
        checkpoint = self.note(size)
        originals = [(index, f"originals/{n}.{ext}", data) for n, (index, ext, data) in enumerate(originals, 1)]
        manifest = {
            "checkpoint": {
                "origin": checkpoint.split("\n")[0], "root": b64(tree.root(0, size)), "size": size,
            },
            "consistency": sorted(consistency),
            "entries": [{"index": i, "openings": sorted(name for at, name in opened if at == i)} for i in chosen],
            "format": "evidenced bundle 1",
            "keys": [{"incarnation": number, "vkey": key.vkey} for number, key in self.keys],
            "originals": [{"index": index, "name": name} for index, name, _ in originals],
            "producer": "evidenced/0.1.0",
            "selection": [{"kind": "stream", "value": stream} for stream in streams]
            + [{"kind": "index", "value": str(index)} for index in indexes],
            "streams": [{"entries": self.counts[stream], "stream": stream} for stream in sorted(streams)],
        }
        files = {"manifest.json": canonical(manifest), "checkpoint": checkpoint}
        for i in chosen:
            files[f"entries/{i:016}.json"] = self.bytes[i].decode()
            path = "".join(b64(item) + "\n" for item in tree.path(i))
            files[f"proofs/{i:016}.tlog-proof"] = f"c2sp.org/tlog-proof@v1\nindex {i}\n{path}\n{checkpoint}"
        for index, name in opened:
            files[f"openings/{index:016}.{name}"] = self.openings[index, name]
        for older in consistency:
            path = "".join(b64(item) + "\n" for item in tree.consistency(older))
            files[f"consistency/{older:016}.txt"] = f"evidenced consistency proof v1\n{path}\n{self.note(older)}"
        for number, key in self.keys:
            files[f"keys/{number}.vkey"] = key.vkey + "\n"
            files[f"keys/{number}.pem"] = key.pem.decode()
        return finished(page, files, {name: data for _, name, data in originals})


def finished(page: Path, texts: dict[str, str], originals: dict[str, bytes]) -> dict[str, bytes]:
    """Adds the page with its data, VERIFY.txt and SHA256SUMS."""
    members = {name: text.encode() for name, text in texts.items()} | originals
    members["index.html"] = with_data(page, texts, {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in originals.items()
    })
    members["VERIFY.txt"] = instructions.TEXT.read_bytes()
    members["SHA256SUMS"] = sums(members)
    return dict(sorted(members.items()))


def sums(members: dict[str, bytes]) -> bytes:
    return "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(members.items())
        if name != "SHA256SUMS"
    ).encode()


def with_data(page: Path, texts: dict[str, str], originals: dict) -> bytes:
    data = json.dumps({"files": texts, "originals": originals}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # The story for browsers without script is the program's own to make; it may be left out.
    return page.read_text().replace("BUNDLE_STORY", "").replace("BUNDLE_DATA", data.replace("<", "\\u003c")).encode()


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            file.writestr(info, data)
    return out.getvalue()


# The stories of the tests

CONTRACT_TEXT = b"Lease agreement\n\nThe lessor lets the workshop at 8 Harbour Street to the lessee.\n"


class Lease:
    """Two people are identified, a contract is deposited and signed by both; one claim is a hostile text."""

    def __init__(self, incarnations: int = 1, strangers: int = 3):
        ledger = self.ledger = Ledger()
        lessor, lessee = self.people = new_stream("subject"), new_stream("subject")
        self.contract, self.object = new_stream("contract"), new_stream("object")
        digest = hashlib.sha256(CONTRACT_TEXT).hexdigest()
        identities = []
        for person, name in ((lessor, "张伟 (Zhang Wei)"), (lessee, "李娜 <b>Li Na</b> & \"co\" </script>")):
            ledger.append("account.registered", [person], {"kind": "person", "channel": "web"},
                          {person: {"phone": "13800000001"}}, actor=person)
            identities.append(ledger.append(
                "identity.verified", [person],
                {"method": "id-document", "expires": "2036-01-01T00:00:00.000000Z", "level": "high"},
                {person: {"name": name, "id_number": "110101199003070000"}}, "identity-service", person,
            ))
        for _ in range(strangers):
            self.stranger(b"another document")
        self.deposit = ledger.append(
            "evidence.deposited", [self.object, lessor],
            {"channel": "upload", "media_type": "text/plain", "product": "contract", "identity": identities[0]},
            {self.object: {"sha256": digest, "size": len(CONTRACT_TEXT), "file_name": "房屋租赁合同.txt",
                           "description": "Lease of the workshop, first version"}}, actor=lessor,
        )
        if incarnations > 1:
            ledger.recover()
        ledger.append("contract.created", [self.contract, lessor],
                      {"parties": [lessor, lessee], "media_type": "text/plain"},
                      {self.contract: {"sha256": digest, "title": "Lease agreement 房屋租赁合同"}},
                      "contract-service", lessor)
        self.older = len(ledger.entries)
        signatures = []
        for person, identity in zip(self.people, identities):
            ledger.append("contract.viewed", [self.contract, person], {"seconds": 95}, {}, "contract-service", person)
            holder, authority = sorted([new_stream("cert"), person]), new_id()
            requested = ledger.append("cert.requested", holder, {"identity": identity, "algorithm": "p256", "authority": authority},
                                      {}, "contract-service", person)
            certificate = ledger.append("cert.issued", holder, {
                "requested": requested, "authority": authority, "not_before": "2026-03-14T00:00:00.000000Z",
                "not_after": "2027-03-14T00:00:00.000000Z"}, {person: {
                    "issuer": "CN=Example CA", "serial": "1", "spki_sha256": "22" * 32, "certificate_sha256": "33" * 32}},
                "contract-service")
            signatures.append(ledger.append(
                "contract.signed", [self.contract, person],
                {"identity": identity, "certificate": certificate, "intent": "sms-code", "algorithm": "p256-sha256"},
                {self.contract: {"sha256": digest, "signature_sha256": sha256(person.encode()).hex(),
                                 "ip_address": "203.0.113.7"}}, "contract-service", person,
            ))
        self.completed = ledger.append("contract.completed", [self.contract], {"signatures": signatures},
                                       {self.contract: {"sha256": digest}}, "contract-service")
        self.stranger(b"a later document")

    def stranger(self, data: bytes):
        thing = new_stream("object")
        self.ledger.append("evidence.deposited", [thing],
                           {"channel": "api", "media_type": "text/plain", "product": "deposit"},
                           {thing: {"sha256": hashlib.sha256(data).hexdigest()}})

    def bundle(self, page: Path, **options) -> dict[str, bytes]:
        options = {"streams": sorted([self.contract, self.object]), "consistency": [self.older],
                   "originals": [(self.deposit, "txt", CONTRACT_TEXT)]} | options
        return self.ledger.bundle(page, **options)

    @property
    def vkey(self) -> str:
        return self.ledger.keys[-1][1].vkey


class Partnership:
    """Three parties, two of whom are named, look at and sign a contract among 300 records; a clock that is set only later,
    and one citation that does not hold."""

    def __init__(self, count: int = 300):
        ledger = self.ledger = Ledger()

        def clock(synchronized: bool):
            ledger.append("system.started", [ledger.stream], {"version": "0.1.0", "clean": True}, submitter="evidenced")
            ledger.append("system.clock_status", [ledger.stream], {"synchronized": synchronized}, submitter="evidenced")

        clock(False)
        self.people = [new_stream("subject") for _ in range(3)]
        self.contract, self.object = new_stream("contract"), new_stream("object")
        text = "合伙协议\n\n甲乙丙三方合伙经营……\n".encode()
        self.text, digest = text, hashlib.sha256(text).hexdigest()
        identities, certificates = [], []
        for person, name in zip(self.people, ("王芳", "陈强", "Maria Lopez")):
            identities.append(ledger.append(
                "identity.verified", [person], {"method": "face", "expires": "2036-01-01T00:00:00.000000Z"},
                {person: {"name": name, "id_number": "110101199003070000"}}, "identity-service", person))
            holder, authority = sorted([new_stream("cert"), person]), new_id()
            requested = ledger.append("cert.requested", holder, {"identity": identities[-1], "algorithm": "sm2",
                                                                 "authority": authority}, {}, "contract-service", person)
            certificates.append(ledger.append("cert.issued", holder, {
                "requested": requested, "authority": authority, "not_before": "2026-03-14T00:00:00.000000Z",
                "not_after": "2027-03-14T00:00:00.000000Z"}, {person: {
                    "issuer": "CN=Example CA", "serial": "1", "spki_sha256": "22" * 32, "certificate_sha256": "33" * 32}},
                "contract-service"))
        self.deposit = ledger.append("evidence.deposited", [self.object], {
            "channel": "upload", "media_type": "text/plain", "product": "contract", "identity": identities[0]},
            {self.object: {"sha256": digest, "file_name": "合伙协议.txt"}}, actor=self.people[0])
        clock(True)
        ledger.append("contract.created", [self.contract, self.people[0]], {"parties": sorted(self.people), "media_type": "text/plain"},
                      {self.contract: {"sha256": digest, "title": "合伙协议"}}, "contract-service", self.people[0])
        signatures = []
        for turn, person in enumerate(self.people):
            while len(ledger.entries) < count * (turn + 1) // 3 - 4:
                ledger.append("contract.viewed", [self.contract, person], {"seconds": 30 + turn}, {}, "contract-service", person)
            identity = identities[turn] if turn != 1 else identities[0]
            signatures.append(ledger.append("contract.signed", [self.contract, person], {
                "identity": identity, "certificate": certificates[turn], "intent": "sms-code", "algorithm": "sm2-sm3"},
                {self.contract: {"sha256": digest, "signature_sha256": sha256(person.encode()).hex()}}, "contract-service", person))
        ledger.append("contract.completed", [self.contract], {"signatures": signatures}, {self.contract: {"sha256": digest}},
                      "contract-service")
        while len(ledger.entries) < count:
            ledger.append("contract.viewed", [self.contract, self.people[2]], {"seconds": 9}, {}, "contract-service", self.people[2])
        self.cited = sorted(identities + certificates)

    def bundle(self, page: Path, **options) -> dict[str, bytes]:
        always = [entry["index"] for entry in self.ledger.entries if entry["type"].startswith("system.")]
        names = [key for key in self.ledger.openings if key[1] in ("name", "file_name", "title", "sha256")]
        options = {"streams": sorted([self.contract, self.object]), "indexes": [*always, *self.cited], "opened": names,
                   "originals": [(self.deposit, "txt", self.text)]} | options
        return self.ledger.bundle(page, **options)

    @property
    def vkey(self) -> str:
        return self.ledger.keys[-1][1].vkey
