"""The look-up index is derived: where the disk doesn't give it back, it is made anew, and where there is no room to read it
now, that is said and nothing is found wrong."""

import lmdb
import pytest

from faults import audit
from test_lookup_damage import old, retry
from test_readers import take_all
from traced import read_trace, start_traced, stop_traced


# The first meta page, and pages that the start reads before and while it checks them all.
@pytest.mark.parametrize("read", [1, 5, 12, 40])
def test_a_start_that_cannot_read_the_index_makes_it_anew(old, tmp_path, read):
    ledger, event = old
    trace = tmp_path / "trace"
    pid = start_traced(ledger, trace, "-P", str(ledger.index / "data.mdb"), "-e", "trace=pread64",
                       "-e", f"inject=pread64:error=EIO:when={read}")
    retry(ledger, event, 100)
    assert stop_traced(ledger, pid) == 0, ledger.log_text()
    assert any(call.injected for call in read_trace(trace))
    assert "made anew" in ledger.log_text() and (ledger.index / "data.mdb.damaged").exists()
    ledger.start()
    retry(ledger, event, 100)
    assert ledger.stop() == 0
    audit(ledger)


def test_an_audit_that_finds_no_place_in_the_index_finds_nothing_wrong(old):
    ledger, _ = old
    with lmdb.open(str(ledger.index), max_dbs=10, readonly=True, lock=True) as environment:
        held = take_all(environment)
        refused = ledger.evidence("audit", "--config", str(ledger.config), status=75)
        assert "every place for a reader is taken" in refused.stderr
        for reader in held:
            reader.abort()
    audit(ledger)
