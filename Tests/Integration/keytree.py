"""The key tree, read with nothing but ledger-format.md section 10, the keyring and libraries of its own."""

import base64
import hashlib
import hmac
from pathlib import Path

import lmdb
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store import number

AES, SM4 = SUITES = ("aes-256-gcm", "sm4-ctr-hmac-sm3")
WRAPPED = {AES: 60, SM4: 80}
DEPTHS, CHILDREN = 6, 64
SLOT = 4096


def sm3(data: bytes) -> bytes:
    return hashlib.new("sm3", data).digest()


def hmac_sm3(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, lambda data=b"": hashlib.new("sm3", data)).digest()


def hkdf_sm3(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 without a salt, with SM3 in the place of SHA-256."""
    extracted, made, block = hmac_sm3(bytes(32), key), b"", b""
    while len(made) < length:
        block = hmac_sm3(extracted, block + info + bytes([1 + len(made) // 32]))
        made += block
    return made[:length]


def sm4_counter(key: bytes, counter: bytes, text: bytes) -> bytes:
    """SM4 in counter mode."""
    return Cipher(algorithms.SM4(key), modes.CTR(counter)).encryptor().update(text)


def seal(suite: str, key: bytes, context: bytes, plaintext: bytes) -> bytes:
    if suite == AES:
        nonce = hmac.digest(key, b"evidenced/nonce/v1\n" + context + b"\n" + plaintext, "sha256")[:12]
        return nonce + AESGCM(key).encrypt(nonce, plaintext, context)
    keys = hkdf_sm3(key, b"evidenced/sm4-ctr-hmac-sm3/v1", 48)
    bound = len(context).to_bytes(8) + context
    counter = hmac_sm3(keys[16:], b"evidenced/sm4/counter/v1\n" + bound + plaintext)[:16]
    text = sm4_counter(keys[:16], counter, plaintext)
    return counter + text + hmac_sm3(keys[16:], b"evidenced/sm4/mac/v1\n" + bound + counter + text)


def opened(suite: str, key: bytes, context: bytes, sealed: bytes) -> bytes:
    if suite == AES:
        plaintext = AESGCM(key).decrypt(sealed[:12], sealed[12:], context)
    else:
        keys = hkdf_sm3(key, b"evidenced/sm4-ctr-hmac-sm3/v1", 48)
        plaintext = sm4_counter(keys[:16], sealed[:16], sealed[16:-32])
    assert seal(suite, key, context, plaintext) == sealed
    return plaintext


def derived(suite: str, secret: bytes, info: str, length: int) -> bytes:
    """By the HKDF of a suite."""
    if suite == SM4:
        return hkdf_sm3(secret, info.encode(), length)
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info.encode()).derive(secret)


class Master:
    def __init__(self, secret: bytes):
        self.secret = secret
        self.id = derived(AES, secret, "evidenced/master-key/id/v1", 8).hex()

    def wrapping(self, suite: str) -> bytes:
        return derived(suite, self.secret, "evidenced/master-key/wrap/v1", 32)


def root_slot(tree: str, suite: str, epoch: int, master: Master, root: bytes) -> bytes:
    wrapped = seal(suite, master.wrapping(suite), f"evidenced/root-key/v1\n{tree}\n{epoch}".encode(), root)
    text = (f"evidenced root key v1\ntree {tree}\nsuite {suite}\nepoch {epoch}\nmaster {master.id}\n"
            f"root {base64.b64encode(wrapped).decode()}\n").encode()
    body = text.ljust(SLOT - 32, b"\0")
    return body + hashlib.sha256(body).digest()


def node_key(depth: int, index: int) -> bytes:
    return bytes([depth]) + number(index)


def context(tree: str, depth: int, index: int, position: int) -> bytes:
    return f"evidenced/key-tree/v1\n{tree}\n{depth}\n{index}\n{position}".encode()


def node(depth: int, index: int, made: int, wrapped: dict[int, bytes]) -> bytes:
    content = number(made) + number(sum(1 << position for position in wrapped)) + b"".join(
        wrapped[position] for position in sorted(wrapped))
    return content + hashlib.sha256(b"evidenced/key-node/v1\n" + node_key(depth, index) + content).digest()[:16]


class Tree:
    """A tree whose process has ended, or the copy of one."""

    def __init__(self, directory: Path, secret: bytes):
        with lmdb.open(str(directory), max_dbs=4, readonly=True, lock=False) as environment:
            with environment.begin() as transaction:
                self.head = transaction.get(b"head", db=environment.open_db(b"head", transaction, create=False)).decode()
                cursor = transaction.cursor(environment.open_db(b"nodes", transaction, create=False))
                self.rows = dict(cursor)
        first, *lines = self.head.splitlines()
        assert first == "evidenced key tree 1"
        said = dict(line.split(" ", 1) for line in lines)
        self.id, self.suite, self.epoch, self.slots = (
            said["tree"], said["suite"], int(said["epoch"]), int(said["slots"]))
        master = Master(secret)
        both = (directory / "root.key").read_bytes().ljust(2 * SLOT, b"\0")
        self.root = None
        for start in (0, SLOT):
            lines = dict(line.split(" ", 1) for line in both[start : start + SLOT].split(b"\0")[0].decode().splitlines()[1:])
            if lines and (lines["tree"], int(lines["epoch"])) == (self.id, self.epoch):
                assert (lines["master"], lines["suite"]) == (master.id, self.suite)
                wrapped = base64.b64decode(lines["root"])
                self.root = opened(
                    self.suite, master.wrapping(self.suite), f"evidenced/root-key/v1\n{self.id}\n{self.epoch}".encode(), wrapped)
                assert both[start : start + SLOT] == root_slot(self.id, self.suite, self.epoch, master, self.root)
        assert self.root is not None

    def child(self, depth: int, index: int, position: int) -> bytes | None:
        """The wrapped key of a child; nil where it was erased."""
        row = self.rows[node_key(depth, index)]
        content, sealed = row[:-16], row[-16:]
        assert hashlib.sha256(b"evidenced/key-node/v1\n" + node_key(depth, index) + content).digest()[:16] == sealed
        made, living = int.from_bytes(content[:8]), int.from_bytes(content[8:16])
        assert living & ~made == 0 and made >> position & 1
        width = WRAPPED[self.suite]
        assert len(content) == 16 + width * living.bit_count()
        if not living >> position & 1:
            return None
        rank = (living & ((1 << position) - 1)).bit_count()
        return content[16 + width * rank : 16 + width * (rank + 1)]

    def key(self, slot: int) -> bytes | None:
        """The data key of a slot; nil where it was erased."""
        key = self.root
        for depth in range(DEPTHS):
            index = slot // CHILDREN ** (DEPTHS - depth)
            position = slot // CHILDREN ** (DEPTHS - depth - 1) % CHILDREN
            wrapped = self.child(depth, index, position)
            if wrapped is None:
                return None
            key = opened(self.suite, key, context(self.id, depth, index, position), wrapped)
        return key


def scope_slot(scope_key: bytes, slot: int) -> bytes:
    """The content of a row of `scopes`."""
    return number(slot) + hashlib.sha256(b"evidenced/scope-slot/v1\n" + scope_key + number(slot)).digest()[:8]
