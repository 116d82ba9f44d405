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


@contextmanager
def database(directory, name: str):
    """A write transaction on one named database of a store; gives the transaction."""
    with lmdb.open(str(directory), max_dbs=16, map_size=1 << 30, create=False) as environment:
        with environment.begin(write=True, db=environment.open_db(name.encode(), create=False)) as transaction:
            yield transaction
