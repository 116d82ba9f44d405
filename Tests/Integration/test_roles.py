"""Who may do what: every role with every method and resource, and the event types a submitter is held to."""

import hashlib
import os

import pytest

import events
from ledger import ORIGIN, ROLES, CallError, Ledger
from test_errors import refusal

EVERYONE = set(ROLES)


def begin_upload() -> dict:
    event = events.event("evidence.deposited", [f"object/{events.new_id()}"], {
        "channel": "api", "media_type": "text/plain", "product": "deposit"})
    return {"event": event, "size": 1}


#: Method → a call that succeeds where it is allowed, and the roles that allow it.
METHODS = {
    "Append": (lambda: {"events": [events.closure()]}, {"submitter"}),
    "NewIds": (dict, {"submitter", "eraser"}),
    "GetEntry": (lambda: {"index": 0}, {"reader", "auditor", "eraser"}),
    "ListEntries": (dict, {"reader", "auditor"}),
    "FindByDigest": (lambda: {"digest": hashlib.sha256().hexdigest()}, {"reader"}),
    "GetCheckpoint": (dict, EVERYONE),
    "ProveInclusion": (lambda: {"index": 0}, {"submitter", "reader", "auditor"}),
    "ProveConsistency": (lambda: {"first": 1}, {"submitter", "reader", "auditor"}),
    "Open": (lambda: {"index": 0}, {"discloser"}),
    "Watch": (lambda: {"from": 0}, {"reader", "auditor"}),
    "Status": (dict, EVERYONE),
    "Backup": (None, {"operator"}),
    "ConfirmClock": (dict, {"operator"}),
    "org.evidenced.Privacy.Erase": (
        lambda: {"events": [events.erasure([f"subject/{events.new_id()}"])]}, {"eraser"}),
    "org.evidenced.Vault.BeginUpload": (begin_upload, {"submitter"}),
}
#: Methods that can't be tried by one plain call, and the roles that allow them.
OTHERS = {
    "org.evidenced.Vault.Deposit": {"submitter"}, "org.evidenced.Vault.UploadStatus": {"submitter"},
    "org.evidenced.Vault.AbandonUpload": {"submitter"}, "org.evidenced.Vault.Fetch": {"retriever"},
    "org.evidenced.Vault.CheckObjects": {"auditor", "operator"},
}
RESOURCES = {
    "/checkpoint": EVERYONE, "/tile/0/000.p/1": {"reader", "auditor"}, "/tile/entries/000.p/1": {"reader", "auditor"},
    "/metrics": {"operator"},
}


@pytest.fixture(scope="module", params=ROLES)
def with_role(request, tmp_path_factory, bin):
    root = tmp_path_factory.mktemp(request.param) / "l"
    with Ledger(root, bin, roles=[request.param]).init().start() as ledger:
        yield request.param, ledger


@pytest.fixture(scope="module")
def nobody(tmp_path_factory, bin):
    """A ledger whose only principal is somebody else."""
    ledger = Ledger(tmp_path_factory.mktemp("nobody") / "l", bin, roles=())
    other = {"principal.other": f"uid:{os.getuid() + 1}", "role.other": ", ".join(ROLES)}
    with ledger.configure(roles=(), **other).init().start():
        yield ledger


def parameters_of(method: str, ledger: Ledger) -> dict:
    make = METHODS[method][0]
    return make() if make else {"directory": str(ledger.backups / events.new_id())}


@pytest.mark.parametrize("method", METHODS)
def test_a_role_allows_its_methods_and_no_others(with_role, method):
    role, ledger = with_role
    parameters = parameters_of(method, ledger)
    if role not in METHODS[method][1]:
        assert refusal(ledger, method, parameters, "PermissionDenied") == {
            "method": method.rpartition(".")[2], "type": None}
        with ledger.wire() as wire, pytest.raises(CallError) as refused:
            wire.call(method, parameters, more=True)
        assert refused.value.name == "PermissionDenied"
    elif method == "Watch":
        with ledger.wire() as wire:
            assert next(wire.stream(method, parameters))["entries"]
    else:
        assert ledger.call(method, parameters)


@pytest.mark.parametrize("method", OTHERS)
def test_a_role_allows_methods_that_take_more_and_no_others(with_role, method):
    role, ledger = with_role
    for flags in ({}, {"upgrade": True}, {"more": True}):
        with ledger.wire() as wire:
            wire.send_call(method, {"unknown": 1}, **flags)
            with pytest.raises(CallError) as refused:
                wire.reply()
        assert (refused.value.name == "PermissionDenied") == (role not in OTHERS[method]), flags


def test_only_a_submitter_of_the_type_may_put_a_document(with_role):
    role, ledger = with_role
    http = ledger.http()
    assert http.ask("PUT", "/objects", b"x").status == (200 if role == "submitter" else 403)
    assert http.ask("GET", f"/objects/{'0' * 32}?purpose=issuance").status == (400 if role == "retriever" else 403)
    http.close()


@pytest.mark.parametrize("path", RESOURCES)
def test_a_role_allows_its_resources_and_no_others(with_role, path):
    role, ledger = with_role
    http = ledger.http()
    assert http.ask("GET", path).status == (200 if role in RESOURCES[path] else 403)
    http.close()


@pytest.mark.parametrize("method", METHODS)
def test_who_has_no_principal_may_do_nothing(nobody, method):
    refusal(nobody, method, parameters_of(method, nobody), "PermissionDenied")


@pytest.mark.parametrize("method", OTHERS)
def test_who_has_no_principal_may_do_nothing_that_takes_more(nobody, method):
    refusal(nobody, method, {}, "PermissionDenied")
    assert nobody.http().ask("PUT", "/objects", b"x").status == 403


@pytest.mark.parametrize("path", RESOURCES)
def test_who_has_no_principal_may_read_nothing(nobody, path):
    http = nobody.http()
    assert http.ask("GET", path).status == 403
    assert http.ask("GET", "/nothing").status == 404
    http.close()


def test_who_has_no_principal_may_ask_what_this_is(nobody):
    assert "org.evidenced.Ledger" in nobody.call("org.varlink.service.GetInfo")["interfaces"]
    assert nobody.evidence("status", status=77).stderr.startswith("evidence: ")


def test_permission_is_asked_for_before_arguments_are_read(nobody):
    refusal(nobody, "GetEntry", {"no": "such"}, "PermissionDenied")


def test_a_submitter_is_held_to_its_types(make_ledger):
    ledger = make_ledger(types=["evidence.*", "account.closed"]).init().start()
    ledger.append(events.deposit(), events.closure())
    size = ledger.size
    denied = {"method": "Append", "type": "account.registered"}
    batch = [events.closure(), events.registration()]
    assert refusal(ledger, "Append", {"events": batch}, "PermissionDenied") == denied
    assert ledger.size == size, "nothing of the batch is recorded"
    done = ledger.evidence("submit", "-", input='{"type":"account.registered"}', status=1)
    assert "refused" in done.stderr
    ledger.configure(types=["account.closed"]).restart()
    assert ledger.http().ask("PUT", "/objects", b"x").status == 403
    for method in ("BeginUpload", "Deposit"):
        with ledger.wire() as wire:
            wire.send_call(f"org.evidenced.Vault.{method}", begin_upload(), upgrade=method == "Deposit")
            with pytest.raises(CallError) as refused:
                wire.reply()
        assert refused.value.parameters == {"method": method, "type": "evidence.deposited"}


def test_roles_add_up(make_ledger):
    ledger = make_ledger(roles=["submitter", "discloser"]).init().start()
    [receipt] = ledger.append(events.registration(phone="1"))["receipts"]
    [opening] = ledger.call("Open", {"index": receipt["index"]})["openings"]
    assert opening["value"] == "1"
    refusal(ledger, "GetEntry", {"index": 0}, "PermissionDenied")


def test_a_principal_by_group_and_a_user_before_a_group(make_ledger):
    by_group = {"principal.people": f"gid:{os.getgid()}", "role.people": "reader"}
    ledger = make_ledger(roles=()).configure(roles=(), **by_group).init().start()
    assert ledger.call("Status")["principal"] == "people"
    ledger.stop()
    ledger.configure(roles=["auditor"], principal="person").start()
    assert ledger.call("Status")["principal"] == "person" and ledger.call("GetCheckpoint")["origin"] == ORIGIN
    assert ledger.call("Status")["roles"] == ["auditor"]


def test_the_submitter_is_the_principals_name_whatever_the_event_says(make_ledger):
    ledger = make_ledger().configure(principal="shop.front-1").init().start()
    with pytest.raises(CallError):
        ledger.append(events.closure() | {"submitter": "evidenced"})
    [receipt] = ledger.append(events.closure())["receipts"]
    assert '"submitter":"shop.front-1"' in ledger.entry(receipt["index"])["entry"]
