"""The files of a stopped ledger, opened by another LMDB binding, to change what the programs would never change."""

from contextlib import contextmanager

import lmdb

# Section 5 of ledger-format.md: codes count from 1.
KINDS = ["subject", "contract", "object", "request", "session", "policy", "purpose", "cert", "issuance", "disclosure",
         "vendor", "staff", "incident", "ledger"]


def number(value: int) -> bytes:
    return value.to_bytes(8)


def stream_key(stream: str) -> bytes:
    """Id and kind code, as keys of `streams` and `scopes` begin."""
    kind, _, identifier = stream.partition("/")
    return bytes.fromhex(identifier) + bytes([1 + KINDS.index(kind)])


def link(key: bytes, following: bytes) -> bytes:
    """What a linked row ends in (section 9): FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in key + following:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return number(value)


def content(value: bytes) -> bytes:
    """A linked row's value without its link."""
    return value[:-8]


def put_linked(transaction, key: bytes, new: bytes | None) -> None:
    """Sets the content of a row of `streams` or `scopes`, or removes it, and links the rows beside it anew."""
    rows = {found: content(value) for found, value in transaction.cursor() if found != key} | (
        {} if new is None else {key: new})
    keys = sorted(rows)
    transaction.delete(key)
    for found, following in zip(keys, [*keys[1:], bytes([255] * len(key))]):
        transaction.put(found, rows[found] + link(found, following))


@contextmanager
def database(directory, name: str):
    """A write transaction on one named database of a store; gives the transaction."""
    with lmdb.open(str(directory), max_dbs=16, map_size=1 << 30, create=False) as environment:
        with environment.begin(write=True, db=environment.open_db(name.encode(), create=False)) as transaction:
            yield transaction
