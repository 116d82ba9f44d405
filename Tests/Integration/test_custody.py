"""Documents in custody: deposited and fetched over the socket, in both skins, by the program and by other people's tools."""

import hashlib
import json
import subprocess
import threading
import time

import pyrage
import pytest

import agefile
import events
import keytree
import store
import verifier
from ledger import CallError, require
from store import database, stream_key
from test_errors import refusal
from test_sealed import keyring

VAULT = "org.evidenced.Vault."


def document(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_256(f"{seed}".encode()).digest(size)


def deposited(object: str, **claims) -> dict:
    """The event of a deposit, as Deposit and BeginUpload take it."""
    body = {"channel": "api", "media_type": "application/pdf", "product": "deposit"}
    made = events.event("evidence.deposited", [f"object/{object}"], body, {f"object/{object}": claims} if claims else None)
    return made


def put(ledger, content, query: str = "", headers: dict | None = None):
    """A deposit in one request."""
    connection = ledger.http()
    try:
        return connection.ask("PUT", f"/objects{query}", content, {"Content-Type": "application/pdf"} | (headers or {}))
    finally:
        connection.close()


def kept(ledger, content: bytes, **headers) -> dict:
    answer = put(ledger, content, headers=headers)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def get(ledger, object: str, query: str = "purpose=owner-download&actor=system"):
    connection = ledger.http()
    try:
        return connection.ask("GET", f"/objects/{object}?{query}")
    finally:
        connection.close()


def story(ledger, object: str) -> list[dict]:
    found = ledger.call("ListEntries", {"stream": f"object/{object}"})["entries"]
    return [json.loads(entry["entry"]) for entry in found]


def files(ledger) -> list[str]:
    return sorted(str(path.relative_to(ledger.objects)) for path in ledger.objects.rglob("*") if path.is_file())


def upgraded(ledger, event: dict, content: bytes, **parameters) -> dict:
    """A deposit over the native skin."""
    with ledger.wire() as wire:
        wire.send_call(VAULT + "Deposit", {"event": event, "size": len(content)} | parameters, upgrade=True)
        first = wire.reply()
        wire.send(content)
        return first | wire.reply()


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_000_001])
def test_a_document_comes_back_as_it_went(ledger, size):
    content = document(size)
    reply = kept(ledger, content)
    answer = get(ledger, reply["object"])
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["content-type"] == "application/pdf" and answer.headers["content-length"] == str(size)
    first, second, third = story(ledger, reply["object"])
    assert [entry["type"] for entry in (first, second, third)] == [
        "evidence.deposited", "evidence.sealed", "evidence.decrypted"]
    assert first["body"]["custody"] == "kept" and first["submitter"] == "tests"
    values = {opening["name"]: opening["value"] for opening in ledger.call("Open", {"index": first["index"]})["openings"]}
    assert values["sha256"] == hashlib.sha256(content).hexdigest() and values["size"] == size
    assert values["sm3"] == keytree.sm3(content).hex()
    [path] = [ledger.objects / name for name in files(ledger)]
    raw = path.read_bytes()
    assert second["body"] == {
        "suite": "age-v1", "ciphertext_size": len(raw), "ciphertext_sha256": hashlib.sha256(raw).hexdigest()}
    assert content[:32] not in raw or size < 32
    assert third["body"] == {"deposit": first["index"], "purpose": "owner-download"}
    found = ledger.call("FindByDigest", {"digest": hashlib.sha256(content).hexdigest()})["entries"]
    assert [entry["index"] for entry in found] == [first["index"]]


def test_curl_deposits_and_fetches(ledger, tmp_path):
    content = document(3 << 20)
    (tmp_path / "in.pdf").write_bytes(content)
    curl = [require("curl"), "-sS", "--fail-with-body", "--unix-socket", ledger.socket]
    put = subprocess.run([*curl, "-T", tmp_path / "in.pdf", "http://ledger/objects?file_name=%E5%90%88%E5%90%8C.pdf"],
                         capture_output=True, check=True)
    reply = json.loads(put.stdout)
    url = f"http://ledger/objects/{reply['object']}?purpose=owner-download&actor=system"
    subprocess.run([*curl, "-o", tmp_path / "out.pdf", url], check=True)
    assert (tmp_path / "out.pdf").read_bytes() == content
    openings = ledger.call("Open", {"index": reply["receipts"][0]["index"]})["openings"]
    assert {"file_name": "合同.pdf"}.items() <= {opening["name"]: opening["value"] for opening in openings}.items()
    # In chunks, of no length that anybody said before.
    piped = subprocess.run([*curl, "-T", "-", "http://ledger/objects"], input=content, capture_output=True, check=True)
    assert get(ledger, json.loads(piped.stdout)["object"]).body == content


def test_the_native_skin_takes_and_gives_bytes(ledger):
    content, object = document(300_000), events.new_id()
    reply = upgraded(ledger, deposited(object, file_name="a.pdf"), content, proofs=True,
                     sha256=hashlib.sha256(content).hexdigest())
    assert reply["object"] == object and len(reply["receipts"]) == 2
    entry = ledger.entry(reply["receipts"][0]["index"])["entry"]
    verifier.verify_proof(reply["receipts"][0]["proof"], entry.encode(), ledger.vkey)
    with ledger.wire() as wire:
        wire.send_call(VAULT + "Fetch", {"object": object, "purpose": "integrity-check", "actor": "system"}, upgrade=True)
        said = wire.reply()
        assert (said["size"], said["mediaType"]) == (len(content), "application/pdf")
        assert wire.receive_all() == content
    assert json.loads(ledger.entry(said["decryption"])["entry"])["body"]["purpose"] == "integrity-check"
    with pytest.raises(CallError) as refused:
        ledger.call(VAULT + "Fetch", {"object": object, "purpose": "integrity-check", "actor": "system"})
    assert refused.value.name == "ExpectedUpgrade"


def test_an_independent_program_opens_what_is_kept(make_ledger, suite):
    """From keyring, key tree and ledger-format.md alone, with no program of ours."""
    ledger = make_ledger(suite=suite).init().start()
    content = document(200_000)
    reply = kept(ledger, content)
    object = reply["object"]
    assert ledger.stop() == 0
    with database(ledger.store, "scopes") as scopes:
        row = store.content(scopes.get(stream_key(f"object/{object}")))
    tree = keytree.Tree(ledger.keys, keyring(ledger.keyring)["keys-master"])
    data_key = tree.key(int.from_bytes(row[:8]))
    [name] = files(ledger)
    assert name == f"{object[-2:]}/{object}.age"
    raw = (ledger.objects / name).read_bytes()
    [(arguments, wrapped)], *_ = agefile.header(raw)
    assert arguments == ["evidenced.org/object", object, suite]
    wrapping = keytree.derived(suite, data_key, "evidenced/object-key/v1\n", 32)
    file_key = keytree.opened(
        suite, wrapping, f"evidenced/object-key/v1\nobject/{object}".encode(), wrapped)
    assert len(file_key) == 16 and agefile.opened(raw, file_key) == content
    # So does the daemon, and the document goes with its object's key.
    ledger.start()
    assert get(ledger, object).body == content
    ledger.erase(events.erasure([f"object/{object}"]))
    assert get(ledger, object).status == 410 and files(ledger) == []


def test_a_recipient_opens_it_with_the_stock_tools(ledger, tmp_path):
    content = document(150_000)
    object = kept(ledger, content)["object"]
    identity = pyrage.x25519.Identity.generate()
    court = events.new_id()
    query = f"purpose=owner-download&actor=system&recipient={court}&recipient_key={identity.to_public()}"
    given = get(ledger, object, query)
    assert given.status == 200
    assert pyrage.decrypt(given.body, [identity]) == content
    with pytest.raises(Exception):
        pyrage.decrypt(given.body, [pyrage.x25519.Identity.generate()])
    (tmp_path / "key").write_text(f"{identity}\n")
    (tmp_path / "given.age").write_bytes(given.body)
    opened = subprocess.run([require("age"), "-d", "-i", tmp_path / "key", tmp_path / "given.age"],
                            capture_output=True, check=True)
    assert opened.stdout == content
    *_, decrypted, exported = story(ledger, object)
    assert (decrypted["type"], exported["type"]) == ("evidence.decrypted", "evidence.exported")
    assert exported["body"] == {"deposit": decrypted["body"]["deposit"], "decryption": decrypted["index"], "recipient": court}
    [opening] = ledger.call("Open", {"index": exported["index"]})["openings"]
    assert (opening["name"], opening["value"]) == ("recipient_key", str(identity.to_public()))


def test_a_deposit_is_retried_without_a_second(ledger):
    content, request = document(100_000), events.new_request()
    first = kept(ledger, content, **{"Idempotency-Key": request})
    again = kept(ledger, content, **{"Idempotency-Key": request})
    assert again["object"] == first["object"]
    assert [receipt | {"duplicate": False} for receipt in again["receipts"]] == first["receipts"]
    assert all(receipt["duplicate"] for receipt in again["receipts"])
    other = put(ledger, document(100_000, seed=1), headers={"Idempotency-Key": request})
    assert other.status == 409 and json.loads(other.body)["error"].endswith(".RequestConflict")
    assert len(files(ledger)) == 1 and get(ledger, first["object"]).body == content


@pytest.mark.parametrize("query, field", [
    ("?object=1", "object"), ("?actor=me", "actor"), ("?streams=x", "streams"), ("?sha256=0", "sha256"), ("?sha256=" + "0" * 64, "sha256"),
    ("?channel=fax", "body.channel"), ("?product=poem", "body.product"), ("?colour=red", "query"), ("?object=%zz", "object"),
    ("?file_name=", "claims.file_name"), ("?streams=object/" + "1" * 32, "streams"), ("?identity=-1", "identity"),
])
def test_what_is_wrong_with_a_deposit_is_named(ledger, query, field):
    answer = put(ledger, b"x", query)
    assert answer.status == 400, answer
    assert json.loads(answer.body)["parameters"]["field"] == field
    assert files(ledger) == []


def test_parameters_of_a_media_type_are_left_out(ledger):
    reply = put(ledger, b"x", headers={"Content-Type": "text/plain; charset=utf-8"})
    assert story(ledger, json.loads(reply.body)["object"])[0]["body"]["media_type"] == "text/plain"
    assert put(ledger, b"x", headers={"Content-Type": ";x"}).status == 400


def test_only_a_deposit_says_that_a_document_is_kept(ledger):
    object = events.new_id()
    event = events.deposit(b"x")
    event["body"] = event["body"] | {"custody": "kept"}
    assert refusal(ledger, "Append", {"events": [event]}, "InvalidEvent")["field"] == "body.custody"
    event["body"] = event["body"] | {"custody": "digest-only"}
    ledger.append(event)
    sealed = events.event("evidence.sealed", [f"object/{object}"], {
        "suite": "age-v1", "ciphertext_sha256": "0" * 64, "ciphertext_size": 1})
    assert refusal(ledger, "Append", {"events": [sealed]}, "InvalidEvent")["field"] == "type"


@pytest.mark.parametrize("query, field", [
    ("", "actor"), ("actor=system", "purpose"), ("actor=system&purpose=fun", "purpose"),
    ("actor=system&purpose=issuance", "approver"), ("actor=staff/{id}&purpose=issuance&approver={id}", "approver"),
    ("actor=system&purpose=court-order&approver={id}", "order"),
    ("actor=system&purpose=owner-download&recipient={id}", "recipient_key"),
    ("actor=system&purpose=owner-download&recipient_key=age1x&recipient={id}", "recipient_key"),
    ("actor=system&purpose=court-order&approver={id}&order=999", "body.order"),
])
def test_what_is_wrong_with_a_fetch_is_named_and_nothing_is_opened(ledger, query, field):
    object = kept(ledger, b"secret")["object"]
    answer = get(ledger, object, query.format(id="ab" * 16))
    assert answer.status == 400 and json.loads(answer.body)["parameters"]["field"] == field
    assert len(story(ledger, object)) == 2


def test_uploads_are_gone_on_with(ledger):
    content, object = document(5_000_000), events.new_id()
    upload = ledger.call(VAULT + "BeginUpload", {"event": deposited(object), "size": len(content)})
    assert upload["offset"] == 0
    path = f"/objects/uploads/{upload['upload']}"
    # A client that goes away in the middle of it.
    with ledger.wire() as wire:
        head = f"PUT {path}?offset=0 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
        wire.send(head.encode() + content[:2_000_000])
        deadline = time.monotonic() + 20
        while ledger.call(VAULT + "UploadStatus", {"upload": upload["upload"]})["offset"] < 2_000_000:
            assert time.monotonic() < deadline
    while True:
        offset = ledger.call(VAULT + "UploadStatus", {"upload": upload["upload"]})["offset"]
        connection = ledger.http()
        answer = connection.ask("PUT", f"{path}?offset={offset}", content[offset : offset + 1_500_000])
        connection.close()
        if answer.status == 503:
            continue
        assert answer.status == 200, answer
        reply = json.loads(answer.body)
        if "receipts" in reply:
            break
        wrong = ledger.http().ask("PUT", f"{path}?offset={offset}", b"x")
        assert wrong.status == 400 and json.loads(wrong.body)["parameters"]["field"] == "offset"
    assert get(ledger, object).body == content
    assert refusal(ledger, VAULT + "UploadStatus", {"upload": upload["upload"]}, "NotFound")
    other = ledger.call(VAULT + "BeginUpload", {"event": deposited(events.new_id()), "size": 10})
    ledger.call(VAULT + "AbandonUpload", {"upload": other["upload"]})
    assert refusal(ledger, VAULT + "UploadStatus", {"upload": other["upload"]}, "NotFound")
    assert len(files(ledger)) == 1


def test_an_erased_document_is_gone_and_every_proof_stays(ledger):
    content = b"a document to be forgotten " * 4000
    reply = kept(ledger, content)
    other = kept(ledger, b"another")
    object = reply["object"]
    index = reply["receipts"][0]["index"]
    entry = ledger.entry(index)["entry"].encode()
    before = ledger.call("ProveInclusion", {"index": index})["proof"]
    [name] = [name for name in files(ledger) if object in name]
    copy = (ledger.objects / name).read_bytes()
    [executed] = ledger.erase(events.erasure([f"object/{object}"]))["receipts"]
    assert files(ledger) == [f"{other['object'][-2:]}/{other['object']}.age"]
    answer = get(ledger, object)
    assert answer.status == 410
    assert json.loads(answer.body)["parameters"] == {"index": index, "erasure": executed["index"]}
    # A backup of the file opens nothing, whoever puts it back.
    (ledger.objects / name).write_bytes(copy)
    assert get(ledger, object).status == 410
    assert "erased" in ledger.evidence("objects", "check", status=1).stdout
    (ledger.objects / name).unlink()
    verifier.verify_proof(before, entry, ledger.vkey)
    verifier.verify_proof(ledger.call("ProveInclusion", {"index": index})["proof"], entry, ledger.vkey)
    assert get(ledger, other["object"]).body == b"another"
    retry = put(ledger, b"x", f"?object={object}")
    assert retry.status == 400 and json.loads(retry.body)["parameters"]["field"] == "object"
    verifier.verify_ledger(ledger)
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_a_check_finds_what_was_changed_without_a_key(ledger):
    contents = [document(70_000, seed) for seed in range(5)]
    objects = [kept(ledger, content)["object"] for content in contents]
    report, = ledger.evidence_json("objects", "check")
    assert (report["checked"], report["unsound"], report["erasedLeft"]) == (5, [], [])
    entry = json.loads(ledger.entry(report["selfcheck"])["entry"])
    assert entry["type"] == "system.selfcheck" and entry["body"] == {
        "checked": "objects", "objects": 5, "objects_failed": 0, "result": "passed"}
    path = ledger.objects / objects[1][-2:] / f"{objects[1]}.age"
    raw = bytearray(path.read_bytes())
    raw[40_000] ^= 1
    path.write_bytes(raw)
    (ledger.objects / objects[3][-2:] / f"{objects[3]}.age").unlink()
    [report] = [json.loads(line) for line in ledger.evidence("objects", "check", "--json", status=1).stdout.splitlines()]
    assert sorted(report["unsound"]) == sorted([objects[1], objects[3]])
    assert json.loads(ledger.entry(report["selfcheck"])["entry"])["body"]["result"] == "failed"
    # The chunk before the flipped bit may go out; what follows it never does.
    with ledger.wire() as wire:
        wire.send_call(VAULT + "Fetch", {"object": objects[1], "purpose": "integrity-check", "actor": "system"}, upgrade=True)
        try:
            wire.reply()
            assert contents[1].startswith(wire.receive_all())
        except CallError as error:
            assert error.name == "StoreDamaged"
    assert get(ledger, objects[3]).status == 500


def test_the_program_deposits_and_fetches(ledger, tmp_path):
    content = document(2_000_000)
    (tmp_path / "合同.pdf").write_bytes(content)
    [shown] = ledger.evidence_json("deposit", tmp_path / "合同.pdf", "--proof-dir", tmp_path / "proofs")
    assert shown["sha256"] == hashlib.sha256(content).hexdigest()
    out = tmp_path / "out.pdf"
    fetch = ["fetch", shown["object"], "--purpose", "owner-download", "--actor", f"subject/{shown['subject']}"]
    ledger.evidence(*fetch, "-o", out)
    assert out.read_bytes() == content and out.stat().st_mode & 0o777 == 0o600
    ledger.evidence(*fetch, "-o", out, status=73)
    piped = ledger.evidence(*fetch, "-o", "-", input=b"")
    assert piped.stdout == content
    ledger.evidence("fetch", events.new_id(), "--purpose", "owner-download", "--actor", "system", "-o", tmp_path / "no", status=1)
    assert not (tmp_path / "no").exists()
    identity = pyrage.x25519.Identity.generate()
    ledger.evidence(*fetch, "--to", identity.to_public(), "--recipient", events.new_id(), "-o", tmp_path / "x.age")
    assert pyrage.decrypt((tmp_path / "x.age").read_bytes(), [identity]) == content
    # The same run again records nothing twice.
    size = ledger.size
    request = json.loads(ledger.entry(shown["index"])["entry"])["request"]
    [again] = ledger.evidence_json("deposit", tmp_path / "合同.pdf", "--request", request, "--subject", shown["subject"])
    assert (again["index"], again["duplicate"]) == (shown["index"], True) and ledger.size == size
    [digest] = ledger.evidence_json("deposit", "--digest-only", tmp_path / "合同.pdf")
    assert json.loads(ledger.entry(digest["index"])["entry"])["body"]["custody"] == "digest-only"
    assert get(ledger, digest["object"]).status == 404


def test_a_daemon_without_a_directory_keeps_none(make_ledger, tmp_path):
    ledger = make_ledger(objects=None).init().start()
    (tmp_path / "a").write_bytes(b"a")
    assert "not configured to keep documents" in ledger.evidence("deposit", tmp_path / "a", status=1).stderr
    ledger.evidence("deposit", "--digest-only", tmp_path / "a")
    assert put(ledger, b"x").status == 404


def test_a_client_that_goes_away_leaves_nothing(ledger):
    with ledger.wire() as wire:
        wire.send(b"PUT /objects HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + document(3_000_000))
        deadline = time.monotonic() + 20
        while not files(ledger):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    deadline = time.monotonic() + 20
    while files(ledger):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_a_limit_of_size_holds(make_ledger):
    ledger = make_ledger(object_bytes="1M").init().start()
    assert put(ledger, document(1 << 20)).status == 200
    over = put(ledger, document((1 << 20) + 1))
    assert over.status == 413 and json.loads(over.body)["parameters"] == {"what": "document", "limit": 1 << 20}
    assert len(files(ledger)) == 1


@pytest.mark.parametrize("moment", range(6))
def test_kill_during_deposits(make_ledger, moment):
    """Whatever was acknowledged is there afterwards, and nothing else is."""
    ledger = make_ledger().init().start()
    acknowledged, stop = {}, threading.Event()

    def deposit(seed: int):
        number = 0
        while not stop.is_set():
            content = document(20_000 + 9_000 * number, seed * 1000 + number)
            try:
                reply = kept(ledger, content)
            except Exception:
                return
            acknowledged[reply["object"]] = content
            number += 1

    threads = [threading.Thread(target=deposit, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.2 + 0.13 * moment)
    ledger.process.kill()
    stop.set()
    for thread in threads:
        thread.join()
    ledger.wait()
    ledger.start()
    for object, content in acknowledged.items():
        assert get(ledger, object).body == content
    assert not [name for name in files(ledger) if name.startswith("incoming/")]
    recorded = {json.loads(entry["entry"])["streams"][0][0].removeprefix("object/")
                for entry in ledger.entries() if json.loads(entry["entry"])["type"] == "evidence.sealed"}
    assert {name[3:-4] for name in files(ledger)} == recorded and acknowledged.keys() <= recorded
    assert ledger.evidence_json("objects", "check")[0]["checked"] == len(recorded)
    assert ledger.stop() == 0 and ledger.audit()["clean"]
