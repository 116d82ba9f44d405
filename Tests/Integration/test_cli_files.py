"""The commands that work on the ledger's files: init and audit."""

import json
import shutil
import stat

import pytest

import events
import verifier
from faults import copy_ledger
from ledger import ORIGIN
from store import database, number


def files_below(directory) -> dict:
    """What stands in the files that count; LMDB's table of readers does not."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != "lock.mdb"}


def test_init_makes_a_ledger_of_one_entry(make_ledger):
    ledger = make_ledger()
    done = ledger.admin("init", "--origin", ORIGIN, "--json")
    made = json.loads(done.stdout)
    assert made["origin"] == ORIGIN and verifier.parse_vkey(made["vkey"]).name == ORIGIN and done.stderr == ""
    ledger.start()
    first = json.loads(ledger.entry(0)["entry"])
    assert (first["type"], first["submitter"], first["actor"]) == ("ledger.created", "evidenced", "system")
    assert first["body"] == {"checkpoint_key": made["vkey"], "format": 1, "origin": ORIGIN, "suite": "sha256"}
    assert verifier.verify_ledger(ledger).origin == ORIGIN


def test_init_never_touches_what_exists(make_ledger):
    ledger = make_ledger().init()
    before = files_below(ledger.root)
    assert "exists" in ledger.admin("init", "--origin", ORIGIN, status=1).stderr
    assert files_below(ledger.root) == before
    ledger.lock.rename(ledger.root / "lock.away")
    assert "exists" in ledger.admin("init", "--origin", ORIGIN, status=1).stderr
    (ledger.root / "lock.away").rename(ledger.lock)
    shutil.rmtree(ledger.store)
    assert "exists" in ledger.admin("init", "--origin", ORIGIN, status=1).stderr
    assert not ledger.store.exists()


def test_init_that_refuses_makes_no_keyring(make_ledger):
    lost, new = make_ledger().init(), make_ledger()
    lost.keyring.unlink()
    lost.admin("init", "--origin", ORIGIN, status=1)
    assert not lost.keyring.exists(), "it would be taken for the lost one"
    new.admin("init", "--origin", "a b", status=None)
    assert not new.keyring.exists()


def test_init_uses_the_keyring_there_is(make_ledger):
    first = make_ledger().init()
    second = make_ledger(keyring=first.keyring).init()
    assert verifier.parse_vkey(first.vkey).public == verifier.parse_vkey(second.vkey).public


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb", "x" * 201, "a/incarnation/2", "中", "a\u00a0b"])
def test_init_refuses_what_can_be_no_origin_and_leaves_nothing(make_ledger, origin):
    ledger = make_ledger()
    done = ledger.admin("init", "--origin", origin, status=None)
    assert done.returncode in (1, 64) and done.stderr.startswith("evidence: ")
    assert not ledger.store.exists() and not ledger.lock.exists()


def test_init_takes_the_longest_origin(make_ledger):
    assert make_ledger(origin="x" * 200).init().vkey.startswith("x" * 200 + "+")


def test_files_are_their_owners_alone(ledger):
    ledger.append(events.deposit(b"private"))
    ledger.call("Backup", {"directory": str(ledger.backups / "b")})
    # What the tests made themselves is theirs.
    made_here = {ledger.root, ledger.config, ledger.log, ledger.backups, ledger.socket}
    for path in [*ledger.root.rglob("*")]:
        if path not in made_here:
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), f"{path} {mode:o}"
    assert stat.S_IMODE(ledger.socket.stat().st_mode) == 0o666


def test_a_clean_audit_says_what_it_looked_at(audited):
    report = audited.audit()
    audited.start()
    entries, claims = audited.entries(), 4
    assert report["findings"] == [] and report["openedClaims"] == claims
    root = verifier.tree_root([verifier.leaf_hash(row["entry"].encode()) for row in entries[: report["size"]]])
    assert report["root"] == verifier.b64(root)
    assert "the ledger is intact" in audited.admin("audit").stdout, "beside a running daemon, too"


def test_without_a_keyring_claims_are_counted_only(audited):
    audited.keyring.rename(audited.root / "away")
    report = audited.audit()
    assert report["clean"] and report["openedClaims"] == 0
    assert str(audited.keyring) in audited.admin("audit", "--keyring", audited.keyring, status=66).stderr


def replace(transaction, key: bytes, old: bytes, new: bytes):
    value = transaction.get(key)
    assert old in value
    transaction.put(key, value.replace(old, new))


def exchange(transaction, one: bytes, other: bytes):
    first, second = transaction.get(one), transaction.get(other)
    transaction.put(one, second)
    transaction.put(other, first)


def spoilt(value: bytes) -> bytes:
    """The value with its last byte changed."""
    return value[:-1] + bytes([value[-1] ^ 1])


#: What is done to which database, and what the audit must name: the entry, or None for the whole.
DAMAGES = {
    "an entry's word": ("entries", lambda t: replace(t, number(3), b'"upload"', b'"api"'), 3),
    "an entry's time": ("entries", lambda t: replace(t, number(4), b"Z", b"Y"), 4),
    "an entry gone": ("entries", lambda t: t.delete(number(4)), 4),
    "the last entry gone": ("entries", lambda t: t.delete(max(key for key, _ in t.cursor())), None),
    "two entries exchanged": ("entries", lambda t: exchange(t, number(3), number(4)), 3),
    "an entry too many": ("entries", lambda t: t.put(number(900), b"{}"), None),
    "a leaf hash": ("tree", lambda t: t.put(number(4), bytes(32)), 4),
    "an inner node": ("tree", lambda t: t.put(number(3), spoilt(t.get(number(3)))), 3),
    "a tree row too many": ("tree", lambda t: t.put(number(900), bytes(32)), None),
    "a stream's row gone": ("streams", lambda t: t.delete(next(iter(t.cursor().iternext(values=False)))), None),
    "a checkpoint's signature": ("checkpoints", lambda t: t.put(number(3), spoilt(t.get(number(3)))), 2),
    "sealed claims": ("sealed", lambda t: t.put(number(3) + b"\0", spoilt(t.get(number(3) + b"\0"))), 3),
    "the identity": ("meta", lambda t: replace(t, b"identity", b"tests.example", b"other.example"), None),
    "the format": ("meta", lambda t: t.put(b"format", b"evidenced store 9"), None),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_audit_names_the_damage(audited, damage):
    name, change, index = DAMAGES[damage]
    with database(audited.store, name) as transaction:
        change(transaction)
    done = audited.admin("audit", "--json", status=65 if damage == "the format" else 1)
    if not done.stdout:
        assert done.stderr.startswith("evidence: ")
        return
    report = json.loads(done.stdout)
    assert not report["clean"] and report["findings"]
    if index is not None:
        assert report["findings"][0]["index"] == index, report["findings"]
        assert f"the first damaged entry is {index}\n" in audited.admin("audit", status=1).stdout
    assert "THE LEDGER IS DAMAGED" in audited.admin("audit", status=1).stdout


@pytest.mark.parametrize("name", ["documents", "requests", "leaves", "types", "submitters"])
def test_an_audit_names_a_lookup_that_lies(indexed, tmp_path, name):
    ledger = copy_ledger(indexed, tmp_path / "l")
    with database(ledger.index, name) as transaction:
        assert transaction.delete(next(iter(transaction.cursor().iternext(values=False))))
    findings = ledger.audit(status=1)["findings"]
    damages = [finding["what"] for finding in findings if "the look-up index is damaged" in finding["what"]]
    assert len(damages) == 1 and f"'{name}'" in damages[0], findings
    # A start finds it too, or the rows it needs; what it makes anew is whole.
    ledger.start()
    assert ledger.stop() == 0


def test_an_audit_compares_the_lock(audited):
    data = audited.lock.read_bytes()
    audited.lock.write_bytes(bytes(len(data)))
    assert audited.audit(status=1)["findings"]
    assert audited.audit("--copy")["clean"], "a copy has no lock"


def test_an_audit_of_nothing_is_a_refusal(make_ledger, audited):
    assert make_ledger().admin("audit", status=None).returncode in (1, 66)
    audited.lock.unlink()
    assert audited.audit(status=1)["findings"]


def test_an_audit_writes_nothing(audited):
    before = files_below(audited.root)
    audited.admin("audit")
    assert files_below(audited.root) == before
