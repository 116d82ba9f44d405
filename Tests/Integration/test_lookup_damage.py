"""The look-up index decides whether an event was recorded before. Whatever happens to its files, no retry is recorded
twice, and the ledger goes on."""

import hashlib
import json
import shutil
import time

import pytest

import events
from faults import EXIT_REFUSED, copy_ledger
from lockfile import settle
from ledger import Ledger
from lmdbfile import DataFile
from store import database, number
from test_cli_files import files_below
from wire import CallError

BLOCK = 16384


def recorded(ledger: Ledger, index: int) -> dict:
    """The event, without claims, that made an entry: to be sent once more."""
    entry = json.loads(ledger.entry(index)["entry"])
    assert not entry["claims"], entry
    return {
        "type": entry["type"], "request": entry["request"], "actor": entry["actor"], "body": entry["body"],
        "streams": [stream for stream, _ in entry["streams"]],
    }


def request_key(event: dict) -> bytes:
    return hashlib.sha256(b"tests").digest()[:8] + bytes.fromhex(event["request"].replace("-", ""))


def sealed(name: str, key: bytes, content: bytes) -> bytes:
    """Section 9 of ledger-format.md."""
    text = b"evidenced/index-row/v1\n" + name.encode() + b"\n" + len(key).to_bytes(2) + key + content
    return content + hashlib.sha256(text).digest()[:16]


def retry(ledger: Ledger, event: dict, index: int, seconds: float = 30):
    """Sends an event again until it is answered: Busy while the index is made anew, then the receipt there is."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            receipt = ledger.append(event)["receipts"][0]
        except CallError as error:
            assert error.name == "Busy" and time.monotonic() < deadline, error
            time.sleep(0.05)
            continue
        assert (receipt["index"], receipt["duplicate"]) == (index, True)
        return


@pytest.fixture
def old(indexed, tmp_path):
    """A stopped copy of a ledger, and an early event of it, which the index has stored."""
    ledger = copy_ledger(indexed, tmp_path / "old")
    ledger.start()
    event = recorded(ledger, 100)
    retry(ledger, event, 100)
    assert ledger.stop() == 0 and "index" not in ledger.log_text()
    with ledger:
        yield ledger, event


def flip(ledger: Ledger, event: dict, at: int, bit: int = 1):
    """Flips a bit of the record of a request in the index's file, `at` bytes after its beginning."""
    path = ledger.index / "data.mdb"
    live = DataFile.read(path).dump()
    data = path.read_bytes()
    key, found = request_key(event), []
    place = data.find(key)
    while place >= 0:
        if place // 4096 in live.pages["requests"]:
            found.append(place)
        place = data.find(key, place + 1)
    assert found
    with path.open("r+b") as file:
        for place in found:
            file.seek(place + at)
            file.write(bytes([data[place + at] ^ bit]))


@pytest.mark.parametrize("at", [0, 8, 23, 24, 31])
def test_a_bit_that_flipped_while_the_daemon_was_stopped(old, at):
    ledger, event = old
    flip(ledger, event, at)
    assert ledger.audit(status=1)["findings"]
    ledger.start()
    retry(ledger, event, 100)
    assert "made anew" in ledger.log_text() and (ledger.index / "data.mdb.damaged").exists()
    assert ledger.call("Status")["repeated"] == 0
    ledger.restart()
    assert ledger.stop() == 0 and ledger.audit()["clean"]


@pytest.mark.parametrize("at", [23, 31])
def test_a_bit_that_flips_while_the_daemon_runs(old, at):
    ledger, event = old
    ledger.start()
    flip(ledger, event, at)
    size = ledger.size
    retry(ledger, event, 100)
    assert ledger.size == size, "nothing was recorded"
    new = events.closure()
    receipt = ledger.append(new)["receipts"][0]
    assert not receipt["duplicate"]
    retry(ledger, new, receipt["index"])
    assert "made anew" in ledger.log_text() and ledger.call("Status")["indexed"] == BLOCK
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_an_index_that_lies_under_right_seals(old):
    """Nothing tells it but the entries: one that it names is believed only if it was made by that request."""
    ledger, event = old
    key = request_key(event)
    with database(ledger.index, "requests") as transaction:
        cursor = transaction.cursor()
        assert cursor.set_range(key + b"\0") and cursor.prev() or cursor.last()
        row, content = cursor.key(), cursor.value()[:-16]
        place = next(at for at in range(24, len(content), 32) if content[at : at + 24] == key)
        assert content[place + 24 : place + 32] == number(100)
        changed = content[: place + 24] + number(101) + content[place + 32 :]
        transaction.put(row, sealed("requests", row, changed))
    assert any("request key" in finding["what"] for finding in ledger.audit(status=1)["findings"])
    ledger.start()
    retry(ledger, event, 100)
    assert "made anew" in ledger.log_text()
    assert ledger.stop() == 0 and ledger.audit()["clean"]


@pytest.mark.parametrize("damage", ["no row", "of another history", "claims more", "an older copy"])
def test_an_index_that_is_not_the_stores(old, indexed, tmp_path, damage):
    ledger, event = old
    if damage == "an older copy":
        # One that held nothing yet: no damage, it catches up.
        shutil.rmtree(ledger.index)
        older = Ledger(tmp_path / "older", ledger.bin, origin=ledger.origin)
        for directory in ("store", "lock", "keys"):
            shutil.copytree(ledger.root / directory, older.root / directory)
        shutil.copy2(ledger.keyring, older.keyring)
        settle(older.lock, older.store)
        older.start()
        assert older.stop() == 0
        shutil.copytree(older.index, ledger.index)
    else:
        with database(ledger.index, "requests" if damage == "no row" else "meta") as transaction:
            if damage == "no row":
                cursor = transaction.cursor()
                assert cursor.last() and cursor.prev() and cursor.delete()
            else:
                state = bytearray(transaction.get(b"state")[:-16])
                if damage == "claims more":
                    state[:8] = number(2 * BLOCK)
                else:
                    state[48] ^= 1
                transaction.put(b"state", sealed("meta", b"state", bytes(state)))
    ledger.start()
    retry(ledger, event, 100)
    assert ("made anew" in ledger.log_text()) == (damage != "an older copy")
    assert ledger.call("Status")["indexed"] == BLOCK
    assert ledger.stop() == 0 and ledger.audit()["clean"]


# What is no look-up index of this ledger


@pytest.mark.parametrize("what", ["a backup", "another ledger's store", "another ledger's index", "somebody's files"])
def test_what_is_no_index_of_this_ledger_is_left_alone(make_ledger, what):
    ledger = make_ledger().init().start()
    event = events.closure()
    index = ledger.append(event)["receipts"][0]["index"]
    place = ledger.backups / "b"
    if what == "a backup":
        ledger.call("Backup", {"directory": str(place)})
    assert ledger.stop() == 0
    if what.startswith("another"):
        other = make_ledger().init().start()
        assert other.stop() == 0
        place = other.store if "store" in what else other.index
    if what == "somebody's files":
        place.mkdir()
        (place / "letter.txt").write_text("keep me")
    ledger.configure(index=place)
    before = files_below(place)
    assert ledger.run_until_exit() == EXIT_REFUSED
    last = ledger.log_text().splitlines()[-1]
    assert str(place) in last and "Nothing in it was touched" in last, last
    assert files_below(place) == before
    # An empty directory is fine, whatever else stands about it.
    fresh = ledger.root / "fresh" / "index"
    fresh.mkdir(parents=True)
    ledger.configure(index=fresh)
    ledger.start()
    retry(ledger, event, index)


def test_an_index_of_an_earlier_incarnation_is_made_anew(old):
    ledger, event = old
    ledger.admin("recover", "--reason", "moved")
    ledger.start()
    retry(ledger, event, 100)
    assert (ledger.index / "data.mdb.damaged").exists()
    assert ledger.stop() == 0 and ledger.audit()["clean"]
