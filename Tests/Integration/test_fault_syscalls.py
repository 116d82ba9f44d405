"""Every single call by which the daemon changes a file fails once, or is the last thing it does.

One run under strace lists the calls of a small workload. Then, for each of them, a copy of the same ledger runs the
same workload with a fault in that one call: the process is killed as it enters it, or it returns EIO or ENOSPC. After
that the daemon starts without strace: what was acknowledged is there, what was refused is not, and no history forks.
"""

from collections import Counter
from pathlib import Path

import pytest

import events
from faults import (
    EXIT_REFUSED,
    EXIT_SYSTEM,
    EXIT_WRITE_FAILED,
    Broken,
    Record,
    all_promises_kept,
    append,
    audit,
    copy_ledger,
    demand,
    resend,
    sample,
)
from ledger import Ledger, StartFailed
from traced import FILE_CALLS, NAMES, SYNCS, Call, read_trace, start_traced, stop_traced
from wire import CallError, Wire

FAULTS = {"kill": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
# Cases of the short form, of each ledger and fault.
SHORT = {"kill": 12, "EIO": 8, "ENOSPC": 8}
KILLED = -9


@pytest.fixture(scope="module")
def templates(tmp_path_factory, bin):
    """Two ledgers to begin with: one just made, whose files have yet to be made and to grow, and one in use."""
    root = tmp_path_factory.mktemp("templates")
    fresh = Ledger(root / "fresh", bin).init()
    used = Ledger(root / "used", bin).init().start()
    record = Record(used.vkey)
    for _ in range(10):
        append(used, record, events.closure(), events.deposit(b"d"))
    assert used.stop() == 0
    return {"fresh": (fresh, Record(fresh.vkey)), "used": (used, record)}


def work(ledger: Ledger, record: Record) -> list[str]:
    """The workload: what became of each call. Reads must be answered whenever the daemon still runs."""
    known = events.closure()
    batches = [
        [known], [events.deposit(b"a"), events.registration(), events.access(reason="r" * 3000)], [known],
        [events.consent()], [events.access(reason="s" * 4000) for _ in range(20)], [events.closure()],
    ]
    outcomes = []
    try:
        with Wire(ledger.socket) as wire:
            for batch in batches:
                record.sent(batch)
                try:
                    record.answered(batch, wire.call("Append", {"events": batch}))
                    outcomes.append("recorded")
                except CallError as error:
                    demand(error.name == "StoreFull", "a fault of the disk was answered with", error)
                    record.refused(batch)
                    outcomes.append(error.name)
                size = wire.call("GetCheckpoint")["size"]
                wire.call("ProveInclusion", {"index": size - 1})
                wire.call("GetEntry", {"index": 0})
    except Broken:
        raise
    except (OSError, AssertionError):
        outcomes.append("gone")
    return outcomes


def files(ledger: Ledger) -> list[Path]:
    draft = ledger.lock.with_name(ledger.lock.name + ".new")
    return [ledger.store / "data.mdb", ledger.index / "data.mdb", ledger.lock, draft]


def traced(ledger: Ledger, record: Record, trace: Path, *options: str):
    """Runs the workload under strace and stops. Gives exit status and outcomes."""
    try:
        pid = start_traced(ledger, trace, "-y", "-e", f"trace={','.join(FILE_CALLS)}", *options)
    except StartFailed as failed:
        return failed.status, ["not started"]
    outcomes = work(ledger, record)
    return stop_traced(ledger, pid), outcomes


def list_cases(template: tuple[Ledger, Record], root: Path) -> list[tuple[str, str, int]]:
    """File, call, and how manieth: strace counts the calls of each thread for itself."""
    ledger = copy_ledger(template[0], root / "list")
    paths = [option for path in files(ledger) for option in ("-P", str(path))]
    status, outcomes = traced(ledger, template[1].copy(), root / "list.trace", *paths)
    assert status == 0 and set(outcomes) == {"recorded"}, ledger.log_text()
    counts = Counter()
    for call in read_trace(root / "list.trace"):
        path = str(Path(call.path).relative_to(ledger.root))
        if call.name in ("open", "openat") and "O_CREAT" not in call.arguments and "O_WRONLY" not in call.arguments \
                and "O_RDWR" not in call.arguments:
            continue
        counts[path, call.name, call.thread] += 1
    most = Counter()
    for (path, name, _), count in counts.items():
        most[path, name] = max(most[path, name], count)
    return [(path, name, number) for (path, name), count in most.items() for number in range(1, count + 1)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("which", ["fresh", "used"])
def test_fault_in_every_call(templates, tmp_path, which, fault):
    cases = list_cases(templates[which], tmp_path)
    kinds = {(path, name) for path, name, _ in cases}
    # The list means nothing unless it has what a commit consists of.
    assert {("store/data.mdb", "pwrite64"), ("store/data.mdb", "fdatasync"), ("lock/checkpoint.lock", "pwrite64"),
            ("lock/checkpoint.lock", "fdatasync")} <= kinds
    # A ledger that was never started has no index; one that has stores a block at a time, as below.
    assert (("index/data.mdb", "pwrite64") in kinds) == (which == "fresh")
    # Nor has its file room of its own yet.
    assert which == "used" or ("store/data.mdb", "fallocate") in kinds
    run_cases(templates[which], tmp_path, fault, cases, sample(cases, SHORT[fault]))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_every_call_that_stores_a_block_of_the_index(nearly_a_block, tmp_path, fault):
    # One that cannot be opened is made anew.
    cases = [case for case in list_cases(nearly_a_block, tmp_path)
             if case[0] == "index/data.mdb" and case[1] not in NAMES]
    assert {("index/data.mdb", "pwrite64"), ("index/data.mdb", "fdatasync")} <= {case[:2] for case in cases}
    run_cases(nearly_a_block, tmp_path, fault, cases, sample(cases, 3))


def run_cases(template: tuple[Ledger, Record], tmp_path: Path, fault: str, cases: list, chosen: list):
    fired = 0
    failures = []
    ends = Counter()
    for number, case in enumerate(chosen):
        try:
            end = run_case(template, tmp_path / str(number), fault, case)
            if end is None:
                # How many commits there are differs a little from run to run, so the last may not be reached.
                path, name, count = case
                end = run_case(template, tmp_path / f"{number}b", fault, (path, name, max(1, count * 2 // 3)))
        except AssertionError as error:
            # One finding must not hide the others.
            failures.append(error)
            continue
        fired += end is not None
        ends[end] += 1
    print(f"{fault}: {len(chosen)} of {len(cases)} calls, {dict(ends)}")
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup(f"{len(failures)} faults", failures)
    assert fired >= 0.85 * len(chosen), f"only {fired} of {len(chosen)} faults happened"


def run_case(template: tuple[Ledger, Record], root: Path, fault: str, case: tuple[str, str, int]) -> str | None:
    """Gives how the daemon ended; None where the call to fail was not reached."""
    path, name, number = case
    ledger = copy_ledger(template[0], root)
    record = template[1].copy()
    trace = root / "trace"
    inject = f"inject={name}:{FAULTS[fault]}:when={number}"
    status, outcomes = traced(ledger, record, trace, "-P", str(ledger.root / path), "-e", inject)
    try:
        calls = read_trace(trace)
        if fault == "kill":
            happened = status == KILLED
            demand(happened or status == 0, "ended with", status)
        else:
            happened = any(call.injected for call in calls)
            if happened:
                demand_no_retry(calls)
                injected = next(call for call in calls if call.injected)
                demand_honest_end(status, outcomes, injected, ledger.log_text())
        end = None if not happened else f"{'/'.join(dict.fromkeys(outcomes))} {status}"
        # With room again, and without strace.
        ledger.start()
        all_promises_kept(ledger, record)
        resend(ledger, record)
        all_promises_kept(ledger, record)
        assert ledger.stop() == 0, ledger.log_text()
        audit(ledger)
    except BaseException as error:
        error.add_note(f"fault {fault} in {name} number {number} on {path}: {outcomes}, exit status {status}\n"
                       + ledger.log_text()[-2000:])
        raise
    finally:
        ledger.close()
    return end


def is_index(call: Call) -> bool:
    return call.path is not None and Path(call.path).parent.name == "index"


def is_new_lock(call: Call) -> bool:
    return call.path is not None and Path(call.path).name == "checkpoint.lock.new"


def demand_honest_end(status: int, outcomes: list[str], call: Call, log: str = ""):
    """A fault of the disk: refused with reads going on, or the end. Never both, and never an answer after the end."""
    if status == 0:
        demand("gone" not in outcomes, "the daemon ended well, but closed the connection")
        # Room that is made ahead of its use may fail where there is enough of it.
        is_ahead = call.name == "fallocate" or call.name == "pwrite64" and int(call.arguments.split(", ")[-2]) >= 1 << 18
        # The look-up index waits for room, while appends go on, and one that can't be read is made anew; a lock that
        # can't be made anew is used as it is.
        is_unread = is_index(call) and call.name == "openat" and "is made anew" in log
        is_told = (is_index(call) and "no room" in log or is_unread
                   or is_new_lock(call) and "the checkpoint lock could not be renewed" in log)
        demand("StoreFull" in outcomes or is_ahead or is_told, call.name, "on", call.path, "failed and nobody heard of it")
    elif outcomes == ["not started"]:
        demand(status in (EXIT_REFUSED, EXIT_SYSTEM, EXIT_WRITE_FAILED), "a failed start ended with", status)
    else:
        demand(status == EXIT_WRITE_FAILED, "a failed", call.name, "on", call.path, "ended with", status)


def demand_no_retry(calls):
    """A sync that failed may have dropped what it was to write: doing it again would succeed and prove nothing."""
    for number, call in enumerate(calls):
        # A commit of the look-up index that found no room is made again as a whole: each of its pages is written anew.
        if call.injected and call.name in SYNCS and not is_index(call):
            again = syncs_of_file(call.path, calls[number + 1 :])
            demand(not again, "after a failed", call.name, "of", call.path, "came", again)


def syncs_of_file(path: str, calls: list[Call]) -> list[str]:
    """The syncs of a file, up to where another one is made under its name, as the draft of a lock is each time."""
    syncs = []
    for call in calls:
        if call.path != path:
            continue
        if call.name in ("open", "openat") and "O_EXCL" in call.arguments and (call.result or 0) > 0:
            break
        if call.name in SYNCS:
            syncs.append(call.name)
    return syncs


@pytest.mark.parametrize("path", ["store/data.mdb", "index/data.mdb"])
def test_a_data_file_that_cannot_be_opened_is_never_passed_over(templates, tmp_path, path):
    """Whoever looks at it before LMDB does is the first; what was not looked at, LMDB would follow all the same."""
    ends = [run_case(templates["used"], tmp_path / str(number), "EIO", (path, "openat", number)) for number in (1, 2)]
    assert None not in ends


# The checks themselves.


def test_a_list_that_misses_calls_would_show(templates, tmp_path):
    """Each acknowledgement costs a write and a sync of the lock; so many calls there are at least."""
    cases = list_cases(templates["used"], tmp_path)
    most = Counter({(path, name): number for path, name, number in cases})
    assert most["lock/checkpoint.lock", "fdatasync"] >= 5
    assert most["store/data.mdb", "pwrite64"] >= 20


def test_retry_check_sees_a_second_sync(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text(
        '7 fdatasync(5</l/store/data.mdb>) = -1 EIO (Input/output error) (INJECTED)\n'
        '8 fdatasync(6</l/lock>) = 0\n'
        '7 fdatasync(5</l/store/data.mdb>) = 0\n')
    with pytest.raises(AssertionError, match="after a failed fdatasync"):
        demand_no_retry(read_trace(trace))
    demand_no_retry(read_trace(trace)[:2])


def test_retry_check_knows_another_file_of_the_name(tmp_path):
    trace = tmp_path / "trace"
    failed = '7 fsync(5</l/lock.new>) = -1 ENOSPC (No space left on device) (INJECTED)\n'
    made = '7 openat(AT_FDCWD</>, "/l/lock.new", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = '
    synced = '7 fsync(5</l/lock.new>) = 0\n'
    trace.write_text(failed + made + '5</l/lock.new>\n' + synced)
    demand_no_retry(read_trace(trace))
    for between in ["", made + "-1 EEXIST (File exists)\n"]:
        trace.write_text(failed + between + synced)
        with pytest.raises(AssertionError, match="after a failed fsync"):
            demand_no_retry(read_trace(trace))


def test_end_check_sees_silence_and_wrong_status():
    sync = Call(1, "fdatasync", "5</l/store/data.mdb>", -1, 0, 0, True)
    ahead = Call(1, "pwrite64", '5</l/store/data.mdb>, "\\0\\0"..., 1048576, 4194304', -1, 0, 0, True)
    demand_honest_end(0, ["recorded"], ahead)
    demand_honest_end(0, ["recorded"], Call(1, "fallocate", "5</l/store/data.mdb>, 0, 4096, 8192", -1, 0, 0, True))
    with pytest.raises(AssertionError, match="nobody heard"):
        demand_honest_end(0, ["recorded"], sync)
    with pytest.raises(AssertionError, match="closed the connection"):
        demand_honest_end(0, ["recorded", "gone"], sync)
    with pytest.raises(AssertionError, match="ended with -11"):
        demand_honest_end(-11, ["recorded", "gone"], sync)
    with pytest.raises(AssertionError, match="start ended with 0|nobody heard"):
        demand_honest_end(0, ["not started"], sync)


def test_trace_reader_joins_interrupted_calls(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text(
        '7 pwrite64(5</l/a b>, "x"..., 4096, 8192 <unfinished ...>\n'
        '8 fdatasync(6</l/c>) = 0\n'
        '7 <... pwrite64 resumed>) = 4096\n'
        '9 openat(AT_FDCWD</l>, "/l/d", O_RDWR|O_CREAT, 0600) = 7</l/d>\n'
        '9 fsync(7</l/d> <unfinished ...>\n'
        '9 +++ killed by SIGKILL +++\n')
    calls = [(call.name, call.path, call.result, call.began, call.ended) for call in read_trace(trace)]
    assert calls == [("fdatasync", "/l/c", 0, 1, 1), ("pwrite64", "/l/a b", 4096, 0, 2), ("openat", "/l/d", 7, 3, 3),
                     ("fsync", "/l/d", None, 4, 1 << 60)]


def test_long_form_runs_all(monkeypatch):
    cases = list(range(100))
    monkeypatch.setattr("faults.LONG", True)
    assert sample(cases, 5) == cases
    monkeypatch.setattr("faults.LONG", False)
    assert sample(cases, 5) == [0, 25, 50, 74, 99]
