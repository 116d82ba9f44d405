"""What the tests share: ledgers that end with the test, and a running one of each module."""

import pytest

import events
from faults import Record, append
from keytree import SUITES
from ledger import Ledger, binaries, processes_below
from page_bundles import PAGE, Lease


@pytest.fixture(scope="session")
def bin():
    """The directory of the programs under test."""
    return binaries()


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left(tmp_path_factory):
    yield
    left = processes_below(tmp_path_factory.getbasetemp())
    assert not left, f"processes are left behind: {left}"


@pytest.fixture
def make_ledger(tmp_path, bin):
    """Makes ledgers, not yet created: call init() and start()."""
    made = []

    def make(name: str | None = None, **settings) -> Ledger:
        made.append(Ledger(tmp_path / (name or f"l{len(made)}"), bin, **settings))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


@pytest.fixture(params=SUITES)
def suite(request):
    """Each suite a ledger can have."""
    return request.param


@pytest.fixture
def ledger(make_ledger):
    """A fresh ledger that runs."""
    return make_ledger().init().start()


@pytest.fixture
def audited(make_ledger):
    """A stopped ledger whose audit is clean. Entry 3 is a deposit, 4 a registration, 5 has no claims."""
    ledger = make_ledger().init().start()
    ledger.append(events.deposit(b"audited"), events.registration())
    ledger.append(events.closure())
    assert ledger.stop() == 0
    assert ledger.audit()["clean"]
    return ledger


@pytest.fixture(scope="session")
def indexed(tmp_path_factory, bin):
    """A stopped ledger whose look-up index holds a whole block of 16,384 entries, with some entries after it. Tests
    damage copies of it."""
    with Ledger(tmp_path_factory.mktemp("indexed") / "l", bin).init().start() as ledger:
        ledger.append(*[events.deposit(b"%d" % (number % 7)) for number in range(40)])
        for _ in range(41):
            ledger.append(*[events.closure() for _ in range(400)])
        assert ledger.stop() == 0
        yield ledger


@pytest.fixture(scope="session")
def nearly_a_block(tmp_path_factory, bin):
    """A stopped ledger, and its record, that lacks 12 entries of a whole block: a few more, and the look-up index has
    something to store."""
    with Ledger(tmp_path_factory.mktemp("nearly") / "l", bin).init().start() as ledger:
        record = Record(ledger.vkey)
        append(ledger, record, events.deposit(b"d"), events.registration())
        missing = (1 << 14) - 12 - 1 - ledger.size
        for start in range(0, missing, 400):
            append(ledger, record, *[events.closure() for _ in range(min(400, missing - start))])
        assert ledger.stop() == 0
        yield ledger, record


@pytest.fixture(scope="module")
def shared(tmp_path_factory, bin):
    """A running ledger of a module, with a few entries of several types. Tests may append, but not stop it."""
    with Ledger(tmp_path_factory.mktemp("shared") / "l", bin).init().start() as ledger:
        ledger.append(events.deposit(b"first"), events.registration(), events.consent())
        ledger.append(events.closure())
        yield ledger


@pytest.fixture(scope="module")
def lease():
    """A ledger in memory, with a lease that was signed, and the bundles it makes."""
    return Lease()


@pytest.fixture(scope="module")
def members(lease):
    """The members of its bundle, by name."""
    return lease.bundle(PAGE)
