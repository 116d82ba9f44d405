"""Events that break a rule: the refusal names event, field and rule, repeats no value, and nothing is recorded."""

import json

import pytest

import events
import verifier
from ledger import CallError
from test_errors import refusal

SUBJECT = "subject/" + "1" * 32
OBJECT = "object/" + "2" * 32
SECRET = "Wang Xiaoming 13800000000"


def without(event: dict, name: str) -> dict:
    return {key: value for key, value in event.items() if key != name}


def closure(**body) -> dict:
    return events.closure("1" * 32, body={"channel": "web"} | body)


def consent(**body) -> dict:
    return (event := events.consent("1" * 32)) | {"body": event["body"] | body}


def deposit(claims: dict | None = None, scope: str = OBJECT, **members) -> dict:
    event = events.deposit(b"x", object_id="2" * 32)
    return event | {"claims": {scope: event["claims"][OBJECT] | (claims or {})}} | members


def identified(**body) -> dict:
    members = {"method": "face", "expires": "2036-01-01T00:00:00.000000Z"} | body
    return events.event("identity.verified", [SUBJECT], members, {SUBJECT: {"name": "n", "id_number": "i"}})


#: What people have been seen to write where a code is asked for. No public field has room for it.
PERSONAL = ["li.na@example.com", "+8613800000001", "13800000001", "110101199003070000", "zhang-wei/1990-03-07",
            "Zhang-Wei", "张伟"]
DEPOSIT = events.deposit()["body"]
PLAIN = events.closure("1" * 32)
TABLE = [
    # the event itself
    ("a member too many", PLAIN | {"note": SECRET}, "event"),
    ("not an object", [], "event"), ("a string", "account.closed", "event"),
    ("type is a number", PLAIN | {"type": 1}, "event"), ("streams is a string", PLAIN | {"streams": SUBJECT}, "event"),
    ("a stream is a number", PLAIN | {"streams": [1]}, "event"), ("body is a list", PLAIN | {"body": []}, "event"),
    ("claims is a string", PLAIN | {"claims": SECRET}, "event"),
    # type
    ("no type", without(PLAIN, "type"), "type"), ("unknown type", PLAIN | {"type": "account.exploded"}, "type"),
    ("type in capitals", PLAIN | {"type": "Account.Closed"}, "type"), ("empty type", PLAIN | {"type": ""}, "type"),
    # request
    ("no request", without(PLAIN, "request"), "request"),
    ("request is no UUID", PLAIN | {"request": SECRET}, "request"),
    ("request in capitals", PLAIN | {"request": "F" * 8 + "-FFFF-FFFF-FFFF-" + "F" * 12}, "request"),
    ("request without hyphens", PLAIN | {"request": "1" * 32}, "request"),
    # actor
    ("no actor", without(PLAIN, "actor"), "actor"), ("actor is a name", PLAIN | {"actor": SECRET}, "actor"),
    ("a document acts", PLAIN | {"actor": OBJECT}, "actor"),
    ("actor without an id", PLAIN | {"actor": "staff/"}, "actor"),
    # streams
    ("no streams", without(PLAIN, "streams"), "streams"), ("empty streams", PLAIN | {"streams": []}, "streams"),
    ("a stream twice", PLAIN | {"streams": [SUBJECT, SUBJECT]}, "streams"),
    ("unknown kind of stream", PLAIN | {"streams": [SUBJECT, "person/" + "1" * 32]}, "streams"),
    ("a short id", PLAIN | {"streams": [SUBJECT, "object/12"]}, "streams"),
    ("an id in capitals", PLAIN | {"streams": ["subject/" + "A" * 32]}, "streams"),
    ("no stream of the type's kind", PLAIN | {"streams": [OBJECT]}, "streams"),
    ("17 streams", PLAIN | {"streams": [f"subject/{number:032x}" for number in range(17)]}, "streams"),
    # body
    ("a required field is missing", PLAIN | {"body": {}}, "body.channel"),
    ("no body where one is needed", without(PLAIN, "body"), "body.channel"),
    ("an unknown field", closure(nickname=SECRET), "body.nickname"),
    ("an unknown field with a telling name", closure(**{SECRET: 1}), "body"),
    ("a claim in the body", closure(phone=SECRET), "body.phone"),
    ("an unknown field whose name has digits", closure(phone1=SECRET), "body"),
    ("code: another word", closure(channel="pigeon"), "body.channel"),
    ("code: a number", closure(channel=1), "body.channel"), ("code: null", closure(channel=None), "body.channel"),
    ("codes: empty", consent(purposes=[]), "body.purposes"),
    ("codes: twice", consent(purposes=["deposit"] * 2), "body.purposes"),
    ("codes: another word", consent(purposes=["deposit", "fun"]), "body.purposes"),
    ("codes: a string", consent(purposes="deposit"), "body.purposes"),
    ("language: no tag", consent(language="mandarin"), "body.language"),
    ("language: empty", consent(language=""), "body.language"),
    ("language: a space", consent(language="zh CN"), "body.language"),
    ("language: not ASCII", consent(language="中"), "body.language"),
    *((f"word: {text}", events.access(text), "body.operation") for text in PERSONAL),
    *((f"media type: {text}", deposit(body=DEPOSIT | {"media_type": text}), "body.media_type") for text in PERSONAL),
    ("role: a name", events.access() | {"body": {"role": "zhang-wei", "operation": "read"}}, "body.role"),
    ("word: too long", events.access("x" * 65), "body.operation"),
    ("digest: short", consent(text_sha256="ab"), "body.text_sha256"),
    ("digest: capitals", consent(text_sha256="A" * 64), "body.text_sha256"),
    ("index: a phone number", closure(request=13800000001), "body.request"),
    ("indexes: a phone number",
     events.event("contract.completed", ["contract/" + "1" * 32], {"signatures": [0, 13800000001]},
                  {"contract/" + "1" * 32: {"sha256": "0" * 64}}), "body.signatures"),
    ("index: negative", closure(request=-1), "body.request"), ("index: a string", closure(request="1"), "body.request"),
    ("id: a UUID", identified(vendor=events.new_request()), "body.vendor"),
    ("time: no fraction", identified(expires="2036-01-01T00:00:00Z"), "body.expires"),
    ("time: no such day", identified(expires="2035-02-29T00:00:00.000000Z"), "body.expires"),
    ("time: a leap second", identified(expires="2016-12-31T23:59:60.000000Z"), "body.expires"),
    ("time: before 1970", identified(expires="1969-12-31T23:59:59.999999Z"), "body.expires"),
    # claims
    ("a required claim is missing", without(deposit(), "claims"), "claims.sha256"),
    ("scope is no stream of the event", deposit(scope=SUBJECT), "claims"),
    ("scope is no stream at all", deposit(scope=SECRET), "claims"),
    ("an empty scope", deposit(claims={}) | {"claims": {OBJECT: {}}}, "claims"),
    ("a scope that is no object", deposit() | {"claims": {OBJECT: SECRET}}, "claims"),
    ("an unknown claim", deposit({"owner_name": SECRET}), "claims"),
    ("digest claim: no digest", deposit({"sha256": SECRET}), "claims.sha256"),
    ("integer claim: a string", deposit({"size": "1"}), "claims.size"),
    ("integer claim: negative", deposit({"size": -1}), "claims.size"),
    ("text claim: empty", deposit({"file_name": ""}), "claims.file_name"),
    ("text claim: too long", deposit({"file_name": "名" * 342}), "claims.file_name"),
    ("text claim: a number", deposit({"file_name": 7}), "claims.file_name"),
    ("text claim: a list", deposit({"file_name": ["a"]}), "claims.file_name"),
    ("a claim under two scopes",
     deposit(streams=[OBJECT, SUBJECT]) | {"claims": {OBJECT: {"sha256": "0" * 64}, SUBJECT: {"sha256": "0" * 64}}},
     "claims.sha256"),
    ("a value beyond 8,192 bytes", consent() | {"claims": {SUBJECT: {"shown_text": "\x01" * 7_000}}},
     "claims.shown_text"),
    ("65 claims", deposit({f"c{number}": 1 for number in range(65)}), "claims"),
]


@pytest.mark.parametrize("event, field", [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_malformed_event_is_refused_by_field(shared, event, field):
    size = shared.size
    answer = refusal(shared, "Append", {"events": [events.closure(), event]}, "InvalidEvent")
    assert answer["event"] == 1
    assert answer["field"] == field
    assert answer["rule"] and SECRET not in json.dumps(answer)
    assert shared.size == size


RAW = [
    ("a fraction", '"size": 1.0'), ("an exponent", '"size": 1e3'), ("minus zero", '"size": -0'),
    ("beyond 2^53", '"size": 9007199254740992'), ("a leading zero", '"size": 01'),
    ("a member twice", '"size": 1, "size": 1'), ("a lone surrogate", '"file_name": "\\ud800"'),
    ("too deep", '"file_name": ' + "[" * 40 + "]" * 40), ("an escape of no kind", '"file_name": "\\x41"'),
]


@pytest.mark.parametrize("text", [row[1] for row in RAW], ids=[row[0] for row in RAW])
def test_json_outside_the_strict_subset_is_never_taken(shared, text):
    size = shared.size
    event = json.dumps(events.deposit(b"x", name="NAME")).replace('"file_name": "NAME"', text)
    with shared.wire() as wire:
        wire.send(b'{"method":"org.evidenced.Ledger.Append","parameters":{"events":[' + event.encode() + b"]}}\0")
        # As a message it is malformed JSON, which the protocol's own error may say.
        answer = wire.receive()
    assert answer["error"].endswith((".InvalidEvent", ".InvalidArgument", "org.varlink.service.InvalidParameter"))
    assert shared.size == size


@pytest.mark.parametrize("bad", [0, 2, 4])
def test_a_batch_with_one_bad_event_records_none(shared, bad):
    batch = [events.deposit(b"%d" % number) for number in range(5)]
    batch[bad] = batch[bad] | {"actor": "nobody"}
    size = shared.size
    assert refusal(shared, "Append", {"events": batch}, "InvalidEvent")["event"] == bad
    assert shared.size == size
    batch[bad] = batch[bad] | {"actor": "system"}
    receipts = shared.append(*batch)["receipts"]
    assert [receipt["index"] for receipt in receipts] == list(range(size, size + 5))
    assert not any(receipt["duplicate"] for receipt in receipts)


WITHIN = [
    ("16 streams", PLAIN | {"streams": [f"subject/{number:032x}" for number in range(16)]}),
    ("a text of 1,024 bytes", deposit({"file_name": "名" * 341 + "x"})),
    ("a value of 8,192 bytes", consent() | {"claims": {SUBJECT: {"shown_text": "x" * 8_000}}}),
    ("the largest integer", deposit({"size": 2**53 - 1})),
    ("a language with a script and a region", consent(language="zh-Hant-HK")),
    ("a word of 64 bytes", events.access("x" * 64)), ("a word of parts", events.access("claim.open-2_b")),
    ("a long media type",
     deposit(body=DEPOSIT | {"media_type": "application/vnd.ms-excel.sheet.binary.macroEnabled.12"})),
    ("the latest time", identified(expires="9999-12-31T23:59:59.999999Z")),
    ("the first time", identified(expires="1970-01-01T00:00:00.000000Z")),
    ("body and claims null",
     events.event("service.read_only", ["ledger/" + "3" * 32]) | {"body": None, "claims": None}),
    ("every character", deposit({"file_name": "\x00\x1f\x7f\"\\/\u2028\u00e9e\u0301\U0001f4dc\ufeff"})),
]


@pytest.mark.parametrize("event", [row[1] for row in WITHIN], ids=[row[0] for row in WITHIN])
def test_an_event_just_within_the_rules_is_recorded(shared, event):
    [receipt] = shared.append(event | {"request": events.new_request()})["receipts"]
    entry = verifier.parse_canonical(shared.entry(receipt["index"])["entry"].encode())
    assert entry["body"] == (event.get("body") or {})
    assert [stream for stream, _ in entry["streams"]] == sorted(event["streams"])
    opened = shared.call("Open", {"index": receipt["index"]})["openings"]
    for opening in opened:
        verifier.verify_opening(opening, entry)
        assert event["claims"][opening["scope"]][opening["name"]] == opening["value"]
    assert len(opened) == sum(map(len, (event.get("claims") or {}).values()))


def test_an_event_cites_only_what_comes_before_it(shared):
    size = shared.size
    answer = refusal(shared, "Append", {"events": [closure(request=size)]}, "InvalidEvent")
    assert (answer["event"], answer["field"]) == (0, "body.request")
    assert shared.size == size
    first, second = events.closure("1" * 32), closure(request=size) | {"request": events.new_request()}
    assert [receipt["index"] for receipt in shared.append(first, second)["receipts"]] == [size, size + 1]
    # What speaks of a tree may speak of the one of all entries before it.
    stream = "issuance/" + "1" * 32
    generated = events.event("issuance.generated", [stream], {"requested": 0, "checkpoint_size": size + 3},
                             {stream: {"bundle_sha256": "0" * 64}})
    answer = refusal(shared, "Append", {"events": [generated]}, "InvalidEvent")
    assert answer["field"] == "body.checkpoint_size"
    generated["body"]["checkpoint_size"] = size + 2
    assert shared.append(generated)["receipts"][0]["index"] == size + 2


@pytest.mark.parametrize("type", ["ledger.created", "system.started", "system.recovered", "anchor.checkpoint"])
def test_the_daemons_own_events_can_t_be_submitted(shared, type):
    event = events.event(type, [f"ledger/{events.new_id()}"])
    with pytest.raises(CallError) as refused:
        shared.append(event)
    # Without the type's fields it is invalid before anybody asks who may submit it.
    assert refused.value.name in ("PermissionDenied", "InvalidEvent")


def test_a_well_formed_event_of_the_daemons_own_is_denied(shared):
    event = events.event("system.stopped", [f"ledger/{events.new_id()}"])
    answer = refusal(shared, "Append", {"events": [event]}, "PermissionDenied")
    assert answer == {"method": "Append", "type": "system.stopped"}
