"""Pages that LMDB trips over in the middle of its work, by an assertion or a fault: the daemon ends as with any other
damage, says so in one line, and never by a signal."""

import os

import pytest

import events
from faults import EXIT_REFUSED, copy_ledger
from ledger import Ledger
from lmdbfile import BRANCH, DUPLICATES, HEADER, DataFile
from test_lookup_damage import old, recorded, retry

AT = 60


@pytest.fixture(scope="module")
def template(tmp_path_factory, bin):
    ledger = Ledger(tmp_path_factory.mktemp("pages") / "l", bin).init().start()
    for _ in range(4):
        ledger.append(*[events.closure() for _ in range(100)])
    assert ledger.stop() == 0
    return ledger


@pytest.fixture
def ledger(template, tmp_path):
    with copy_ledger(template, tmp_path / "l") as ledger:
        yield ledger


def claim_duplicates(path, database: str, key: bytes | None = None):
    """Has a row, or every row of a database, say that several values are under its key, which no tree here has."""
    data = path.read_bytes()
    with path.open("r+b") as file:
        for start, end in DataFile(data).dump().spans[database][::2]:
            if key in (None, data[start:end]):
                # Of a node's head, which ends with the length of the key.
                file.seek(start - 4)
                file.write(bytes([data[start - 4] | DUPLICATES]))


def ends_refused(ledger: Ledger, call, *words: str):
    before = len(ledger.log_text())
    with pytest.raises((OSError, AssertionError)):
        call()
    assert ledger.wait() == EXIT_REFUSED, ledger.log_text()
    said = [line for line in ledger.log_text()[before:].splitlines() if "is damaged" in line]
    assert len(said) == 1 and all(word in said[0] for word in words), ledger.log_text()
    assert said[0].startswith("evidenced: ")


def cut_root(path, database: str):
    """Has the root of a tree hold one child only, which LMDB holds to be impossible."""
    dump = DataFile.read(path).dump()
    page = dump.pages[database][0]
    with path.open("r+b") as file:
        file.seek(page * 4096 + 10)
        assert int.from_bytes(file.read(2), "little") == BRANCH, "it needs more rows"
        file.write((HEADER + 2).to_bytes(2, "little"))


def test_an_assertion_of_lmdb_is_damage(ledger):
    ledger.start()
    cut_root(ledger.store / "data.mdb", "entries")
    ends_refused(ledger, lambda: ledger.entry(AT), "the store", "Assertion", "evidence audit")
    assert "the store is damaged" in ledger.admin("audit", status=1).stderr


def test_an_assertion_about_the_index_has_it_made_anew(old):
    ledger, event = old
    ledger.start()
    cut_root(ledger.index / "data.mdb", "requests")
    ends_refused(ledger, lambda: retry(ledger, event, 100), "the look-up index", "Assertion", "made anew")
    ledger.start()
    retry(ledger, event, 100)


def test_a_page_that_leads_nowhere_is_damage(ledger):
    ledger.start()
    claim_duplicates(ledger.store / "data.mdb", "entries", AT.to_bytes(8))
    ends_refused(ledger, lambda: ledger.entry(AT), "the store", "a fault within liblmdb", "evidence audit")
    # Nothing was touched, and a start that comes upon it says the same.
    before = len(ledger.log_text())
    assert ledger.run_until_exit() == EXIT_REFUSED
    assert "the store is damaged" in ledger.log_text()[before:]
    assert "the store is damaged" in ledger.admin("audit", status=1).stderr


def test_a_file_that_is_cut_short_under_the_daemon_is_damage(ledger):
    ledger.start()
    page = min(DataFile.read(ledger.store / "data.mdb").dump().pages["entries"])
    os.truncate(ledger.store / "data.mdb", page * 4096)
    ends_refused(ledger, lambda: [ledger.entry(index) for index in range(400)], "the store", "SIGBUS")


@pytest.mark.parametrize("earlier", [False, True])
def test_such_a_page_of_the_index_has_it_made_anew(old, earlier):
    ledger, event = old
    aside = ledger.index / "data.mdb.damaged"
    if earlier:
        aside.write_text("put aside earlier")
    ledger.start()
    claim_duplicates(ledger.index / "data.mdb", "requests")
    ends_refused(ledger, lambda: retry(ledger, event, 100), "the look-up index", "a fault within liblmdb", "made anew")
    assert not (ledger.index / "data.mdb").exists()
    assert (aside.read_bytes() == b"put aside earlier") == earlier
    ledger.start()
    retry(ledger, event, 100)
    assert ledger.stop() == 0 and ledger.audit()["clean"]
