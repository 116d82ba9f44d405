"""Documents in custody through faults: every call that changes one of their files fails, or is the last the daemon does.

Afterwards the ledger starts. What was acknowledged is there, byte for byte; what is recorded as erased is gone; no file is
left of what was never recorded.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

import events
from faults import EXIT_REFUSED, EXIT_SYSTEM, EXIT_WRITE_FAILED, audit, copy_ledger, demand, sample
from ledger import Ledger, StartFailed
from test_creation import FAULTS
from test_custody import document, files, get, put
from test_fault_syscalls import KILLED
from traced import FILE_CALLS, read_trace, start_traced, stop_traced

ERASE = "org.evidenced.Privacy.Erase"
#: Cases of the short form, of each fault.
SHORT = 12
OLD = "0" * 31 + "1"
NEW = ["0" * 30 + "12", "0" * 30 + "22", "0" * 30 + "32"]


def content(object: str) -> bytes:
    return document(600_000 if object == NEW[1] else 5_000, int(object))


@pytest.fixture(scope="module")
def template(tmp_path_factory, bin):
    ledger = Ledger(tmp_path_factory.mktemp("custody") / "l", bin).init().start()
    assert put(ledger, content(OLD), f"?object={OLD}").status == 200
    assert ledger.stop() == 0
    return ledger


def work(ledger: Ledger) -> dict[str, str]:
    """Deposits documents and has some erased, an old one and a new one. Gives what became of each."""
    outcomes = {}
    for object in NEW:
        try:
            answer = put(ledger, content(object), f"?object={object}")
            outcomes[object] = "kept" if answer.status == 200 else json.loads(answer.body)["error"].rpartition(".")[2]
        except OSError:
            outcomes[object] = "gone"
        except Exception as error:  # http.client's own, where the connection ends within an answer
            assert type(error).__module__ == "http.client", error
            outcomes[object] = "gone"
    for object in (OLD, NEW[0]):
        try:
            ledger.erase(events.erasure([f"object/{object}"]))
            outcomes[f"-{object}"] = "erased"
        except Exception as error:
            outcomes[f"-{object}"] = type(error).__name__
    return outcomes


def custody_holds(ledger: Ledger, outcomes: dict[str, str]):
    try:
        ledger.start()
        entries = [json.loads(entry["entry"]) for entry in ledger.entries()]
        erased = {scope.removeprefix("object/") for entry in entries if entry["type"] == "erasure.executed"
                  for scope in entry["body"]["scopes"]}
        sealed = {entry["streams"][0][0].removeprefix("object/") for entry in entries if entry["type"] == "evidence.sealed"}
        deposited = {stream.removeprefix("object/") for entry in entries if entry["type"] == "evidence.deposited"
                     for stream, _ in entry["streams"]}
        demand(sealed == deposited, "a deposit without its seal:", deposited ^ sealed)
        for object, outcome in outcomes.items():
            if outcome == "kept":
                demand(object in sealed, "acknowledged and lost:", object)
            if outcome == "erased":
                demand(object.removeprefix("-") in erased, "acknowledged as erased, and not recorded:", object)
        for object in sealed:
            answer = get(ledger, object)
            if object in erased:
                demand(answer.status == 410, "erased, and answered with", answer)
            else:
                demand(answer.status == 200 and answer.body == content(object), "another document:", answer)
        expected = {f"{object[-2:]}/{object}.age" for object in sealed - erased}
        demand(set(files(ledger)) == expected, "files:", files(ledger), "expected:", expected)
        # The same again: what was recorded is answered as it was, what was not is kept now.
        for object in NEW[1:]:
            again = put(ledger, content(object), f"?object={object}")
            demand(again.status == (200 if object not in sealed else 400), "a deposit afterwards:", again)
        report, = ledger.evidence_json("objects", "check")
        demand(not report["unsound"] and not report["erasedLeft"], report)
        assert ledger.stop() == 0, ledger.log_text()
        audit(ledger)
    finally:
        ledger.close()


def watched(ledger: Ledger) -> list[str]:
    paths = [ledger.objects, ledger.objects / "incoming"]
    for object in (OLD, *NEW):
        folder = ledger.objects / object[-2:]
        paths += [folder, folder / f"{object}.age", ledger.objects / "incoming" / f"{object}.part",
                  ledger.objects / "incoming" / f"{object}.age"]
    return [option for path in dict.fromkeys(paths) for option in ("-P", str(path))]


def traced(ledger: Ledger, trace: Path, *options) -> tuple[int, dict[str, str]]:
    calls = sorted({*FILE_CALLS, "mkdir", "rename", "unlink", "ftruncate"})
    try:
        pid = start_traced(ledger, trace, "-y", "-e", f"trace={','.join(calls)}", *watched(ledger), *options)
    except StartFailed as failed:
        return failed.status, {"start": "failed"}
    outcomes = work(ledger)
    return stop_traced(ledger, pid), outcomes


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_every_call_on_a_document(template, tmp_path, fault):
    ledger = copy_ledger(template, tmp_path / "list")
    status, outcomes = traced(ledger, tmp_path / "trace")
    assert status == 0 and set(outcomes.values()) == {"kept", "erased"}, (outcomes, ledger.log_text())
    most, counts = Counter(), Counter()
    for call in read_trace(tmp_path / "trace"):
        counts[call.name, call.thread] += 1
    for (name, _), count in counts.items():
        most[name] = max(most[name], count)
    assert {"pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate"} <= set(most)
    cases = [(name, number) for name, count in most.items() for number in range(1, count + 1)]
    fired, failures, ends = 0, [], Counter()
    for name, number in sample(cases, SHORT):
        root = tmp_path / f"{name}{number}"
        ledger = copy_ledger(template, root)
        status, outcomes = traced(ledger, root / "trace", "-e", f"inject={name}:{FAULTS[fault]}:when={number}")
        try:
            calls = read_trace(root / "trace")
            fired += status == KILLED if fault == "kill" else any(call.injected for call in calls)
            if fault != "kill":
                demand(status in (0, EXIT_WRITE_FAILED, EXIT_REFUSED, EXIT_SYSTEM), "ended with", status)
            ends[status] += 1
            custody_holds(ledger, outcomes)
        except AssertionError as error:
            error.add_note(f"{fault} in {name} number {number}: {outcomes}, status {status}\n{ledger.log_text()[-2000:]}")
            failures.append(error)
        finally:
            ledger.close()
    print(f"{fault}: {len(sample(cases, SHORT))} of {len(cases)} calls, {dict(ends)}")
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup(f"{len(failures)} faults", failures)
    assert fired >= 0.6 * len(sample(cases, SHORT)), f"only {fired} faults happened"
