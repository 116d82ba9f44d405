"""After an erasure: every byte of every file is looked at, and of the daemon's memory, for what was erased, and for whatever
would open it with what is left. The same scan before finds that all of it can be had."""

import base64
import json
import shutil
from pathlib import Path

import pytest

import agefile
import events
import keytree
from keytree import CHILDREN, DEPTHS, Tree, context, opened
from store import content, database, stream_key
from test_custody import deposited, document, files, get, upgraded
from test_key_tree import memory, path_keys
from test_sealed import keyring

PHONE = "13755501234"
NAME = "欧阳待忘"


def forms(secret: bytes) -> list[bytes]:
    """The bytes, as hex in both cases, and as base64, wherever in a text its groups begin."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        # Without the characters that what stands before or behind has a part in.
        found.append(text[(0, 2, 3)[shift] : len(text) - 4 if (len(secret) + shift) % 3 else None])
    return found


def scan(haystacks: dict[str, bytes], secrets: dict[str, bytes]) -> set[tuple[str, str]]:
    return {(place, what) for what, secret in secrets.items() for form in forms(secret)
            for place, haystack in haystacks.items() if form in haystack}


def all_files(*roots: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for root in roots for path in [root, *root.rglob("*")] if path.is_file()}


class Known:
    """What a person who has all keys can know of a scope, read from the files of a ledger that does not run."""

    def __init__(self, ledger, scope: str, object: str | None = None):
        tree = Tree(ledger.keys, keyring(ledger.keyring)["keys-master"])
        with database(ledger.store, "scopes") as scopes:
            self.slot = int.from_bytes(content(scopes.get(stream_key(scope)))[:8])
        self.path = path_keys(tree, self.slot)
        self.data_key = tree.key(self.slot)
        self.wrapped = []
        for depth in range(DEPTHS):
            index, position = self.slot // CHILDREN ** (DEPTHS - depth), self.slot // CHILDREN ** (DEPTHS - depth - 1) % CHILDREN
            self.wrapped.append((context(tree.id, depth, index, position), tree.child(depth, index, position)))
        if object:
            raw = (ledger.objects / object[-2:] / f"{object}.age").read_bytes()
            [(_, wrapped)], *_ = agefile.header(raw)
            wrapping = keytree.derived(tree.suite, self.data_key, "evidenced/object-key/v1\n", 32)
            self.file_key = opened(
                tree.suite, wrapping, f"evidenced/object-key/v1\nobject/{object}".encode(), wrapped)
            assert agefile.opened(raw, self.file_key)


@pytest.fixture
def person(make_ledger):
    """A ledger with a person, a document of hers, and others; and all that is known of both."""
    ledger = make_ledger().init().start()
    ledger.subject, ledger.object, ledger.other = (events.new_id() for _ in range(3))
    ledger.content = document(200_000, seed=7)
    [first] = ledger.append(events.registration(ledger.subject, phone=PHONE))["receipts"]
    ledger.kept = upgraded(ledger, deposited(ledger.object, file_name=NAME), ledger.content)["receipts"][0]["index"]
    upgraded(ledger, deposited(ledger.other, file_name="other"), document(5_000, seed=8))
    for _ in range(70):  # neighbours in the same node of the key tree, and in the next
        ledger.append(events.registration())
    ledger.openings = [opening for index in (first["index"], ledger.kept)
                       for opening in ledger.call("Open", {"index": index})["openings"]]
    backup = ledger.backups / "before"
    ledger.call("Backup", {"directory": str(backup)})
    assert ledger.stop() == 0
    ledger.known = [Known(ledger, f"subject/{ledger.subject}"), Known(ledger, f"object/{ledger.object}", ledger.object)]
    shutil.copytree(ledger.objects, ledger.root / "objects-before")
    return ledger.start()


def secrets(ledger) -> dict[str, bytes]:
    found = {"phone": PHONE.encode(), "file name": NAME.encode(), "file key": ledger.known[1].file_key,
             "document": ledger.content[1000:1032], "end of the document": ledger.content[-32:]}
    for number, opening in enumerate(ledger.openings):
        found[f"salt of {opening['name']} {number}"] = base64.b64decode(opening["salt"])
    for number, known in enumerate(ledger.known):
        found[f"data key {number}"] = known.data_key
        for depth, key in enumerate(known.path):
            found[f"key at depth {depth} {number}"] = key
    return found


def test_nothing_of_what_was_erased_is_left(person):
    sought = secrets(person)
    # Before: what opens it is at hand, and all of it can be had.
    assert get(person, person.object).body == person.content
    assert scan({"memory": memory(person.pid)}, {"root key": sought["key at depth 0 1"]})
    asked = [f"subject/{person.subject}", f"object/{person.object}"]
    person.erase(events.erasure(asked))
    roots = (person.store, person.index, person.keys, person.objects, person.log, person.lock.parent, person.backups)
    found = scan(all_files(*roots), sought)
    assert found == set()
    # In memory no key of it is left, while the daemon runs on.
    held = {name: secret for name, secret in sought.items() if "key" in name}
    assert scan({"memory": memory(person.pid)}, held) == set()
    assert files(person) == [f"{person.other[-2:]}/{person.other}.age"]
    # Whatever wrapped keys stand in the pages that LMDB no longer uses, or in a backup: the root key there is now opens none.
    assert person.stop() == 0
    everything = b"".join(all_files(person.keys, person.store, person.backups, person.root / "objects-before").values())
    tree = Tree(person.keys, keyring(person.keyring)["keys-master"])
    living = path_keys(tree, min(set(range(60)) - {known.slot for known in person.known}))
    for known in person.known:
        assert tree.key(known.slot) is None
        for place, wrapped in known.wrapped:
            for key in living:
                with pytest.raises(Exception):
                    opened(tree.suite, key, place, wrapped)
    # The scan can find: the wrapped keys of before are in the files, where LMDB left them.
    assert any(wrapped in everything for known in person.known for _, wrapped in known.wrapped)


def test_a_backup_from_before_gives_nothing_back(person):
    """The store, and the documents, as they were before; with the keys as they are now."""
    person.erase(events.erasure([f"subject/{person.subject}", f"object/{person.object}"]))
    assert person.stop() == 0
    for file in (person.backups / "before").iterdir():
        shutil.copy(file, person.store / file.name)
    shutil.rmtree(person.index)
    shutil.copytree(person.root / "objects-before", person.objects, dirs_exist_ok=True)
    person.admin("recover", "--reason", "backup-restored")
    person.start()
    assert get(person, person.object).status == 410
    for index in (person.kept,):
        with pytest.raises(Exception) as refused:
            person.call("Open", {"index": index})
        assert refused.value.name == "ErasedClaims"
    assert get(person, person.other).body == document(5_000, seed=8)
    assert person.object in person.evidence("objects", "check", status=1).stdout
    assert json.loads(person.entry(person.kept)["entry"])["type"] == "evidence.deposited"
