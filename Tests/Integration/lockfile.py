"""The checkpoint lock's file, read and written by section 8 of ledger-format.md and nothing else."""

import hashlib
import os
from pathlib import Path

SLOT = 4096
CONTENT = SLOT - 32


def slots(path) -> list[bytes]:
    data = Path(path).read_bytes()
    assert len(data) == 2 * SLOT
    return [data[:SLOT], data[SLOT:]]


def is_intact(slot: bytes) -> bool:
    return hashlib.sha256(slot[:CONTENT]).digest() == slot[CONTENT:]


def text(slot: bytes) -> bytes:
    """The text of an intact slot."""
    assert is_intact(slot)
    return slot[:CONTENT].rstrip(b"\0")


def sealed(content: bytes) -> bytes:
    """A slot with this text."""
    padded = content + bytes(CONTENT - len(content))
    return padded + hashlib.sha256(padded).digest()


def sequence(slot: bytes) -> int:
    return int(text(slot).split(b"\nsequence ")[1].split(b"\n")[0])


def newest(path) -> bytes:
    """The text of the newest record."""
    return text(max(filter(is_intact, slots(path)), key=sequence))


def places(record: bytes) -> dict[str, list[bytes]]:
    """Of `lock` and `store`: inode, birth and volume, as a record says."""
    lines = record.split(b"\n\n")[0].split(b"\n")
    found = {line.split(b" ")[0].decode(): line.split(b" ")[1:] for line in lines[-2:]}
    assert list(found) == ["lock", "store"] and all(len(place) == 3 for place in found.values()), record
    return found


def with_places(record: bytes, lock: bytes, store: bytes) -> bytes:
    head, note = record.split(b"\n\n", 1)
    lines = head.split(b"\n")
    assert lines[-2].startswith(b"lock ") and lines[-1].startswith(b"store ")
    return b"\n".join([*lines[:-2], b"lock " + lock, b"store " + store]) + b"\n\n" + note


def settle(lock, store):
    """Has the records of a lock say that lock and store lie where they do, so that copies pass for the originals. What
    need not be known is given as unknown. A lock that is none stays what it is."""
    lock, data = Path(lock), Path(store) / "data.mdb"
    if not lock.exists() or not data.exists() or lock.stat().st_size != 2 * SLOT:
        return
    here = b"%d - -" % lock.stat().st_ino, b"%d - -" % data.stat().st_ino
    settled = [sealed(with_places(text(slot), *here)) if is_intact(slot) else slot for slot in slots(lock)]
    descriptor = os.open(lock, os.O_WRONLY)
    os.pwrite(descriptor, b"".join(settled), 0)
    os.close(descriptor)
