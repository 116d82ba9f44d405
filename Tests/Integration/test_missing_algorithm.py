"""On a libcrypto that lacks an algorithm, programs do what they can without it, and say which one is missing where they
can't; they never crash. Some distributions build theirs without SM3, and the provider of FIPS 140 has none."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import events
import instructions
from bundle_cases import OBJECT, Story
from bundle_containers import write
from page_bundles import INDEPENDENT, PAGE, new_stream

LACKING = 71


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "no C compiler: the Swift toolchain has clang"
    target = tmp_path_factory.mktemp("shim") / "missing_algorithm.so"
    source = Path(__file__).with_name("missing_algorithm.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target


@pytest.fixture
def without(library):
    """The environment of a program whose libcrypto lacks an algorithm."""
    return lambda name: {"LD_PRELOAD": str(library), "MISSING_ALGORITHM": name}


def said(done) -> str:
    """What an ended command said; it crashed where it did not end by itself."""
    assert done.returncode >= 0 and "Fatal error" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def test_a_ledger_and_its_evidence_need_no_sm3(make_ledger, without, tmp_path):
    lacking = without("SM3")
    ledger = make_ledger().init().start(env=lacking)
    document = tmp_path / "contract.txt"
    document.write_bytes(b"text")
    refused = ledger.evidence("deposit", "--digest-only", document, status=LACKING, env=lacking)
    assert "no SM3" in said(refused) and "--without-sm3" in refused.stderr
    done = json.loads(ledger.evidence("deposit", "--digest-only", document, "--without-sm3", "--json", "--proof-dir", tmp_path,
                                      env=lacking).stdout)
    assert done["sha256"] == hashlib.sha256(b"text").hexdigest() and done["sm3"] is None
    other = json.loads(ledger.evidence("deposit", "--digest-only", document, "--json").stdout)
    assert other["sm3"] == hashlib.new("sm3", b"text").hexdigest()
    found = ledger.evidence("find", document, "--json", env=lacking)
    assert [json.loads(line)["index"] for line in found.stdout.splitlines()] == [done["index"], other["index"]]
    assert "no SM3" in found.stderr
    assert said(ledger.evidence("verify", tmp_path / "contract.txt.tlog-proof", "--entry", tmp_path / "contract.txt.entry.json",
                                "--key", ledger.vkey, env=lacking))

    # One bundle discloses no SM3 and needs none; the other can't be checked without.
    claims = {"--open sha256": 0, "--open sha256,sm3": LACKING}
    for opened, status in claims.items():
        target = tmp_path / "case.zip"
        ledger.evidence("bundle", "--index", other["index"], *opened.split(), "--original", document, "-o", target, "--force",
                        env=lacking)
        ledger.evidence("verify", target, "--key", ledger.vkey)
        done = ledger.evidence("verify", target, "--json", "--key", ledger.vkey, status=status, env=lacking)
        report = json.loads(done.stdout)
        assert report["verdict"] == ("verified" if status == 0 else "not-checked"), report
        assert status == 0 or "no SM3" in report["trouble"]["en"] and "SM3" in report["trouble"]["zh"]
    assert ledger.stop() == 0


@pytest.mark.parametrize("name, called", [("SM4-CTR", "SM4"), ("SM3", "SM3")])
def test_a_ledger_of_the_chinese_suite_says_what_it_lacks(make_ledger, without, name, called):
    """Nothing is made, changed, given up or called damaged for want of an algorithm."""
    lacking, new = without(name), make_ledger("new", suite="sm4")
    refused = new.admin("init", "--origin", new.origin, "--suite", "sm4", status=LACKING, env=lacking)
    assert said(refused).strip().endswith(f"this computer's OpenSSL has no {called}")
    assert not any(path.exists() for path in (new.store, new.keys, new.lock, new.keyring))
    ledger = make_ledger(suite="sm4").init().start()
    index = ledger.append(events.registration())["receipts"][0]["index"]
    assert ledger.stop() == 0
    assert ledger.run_until_exit(env=lacking) == LACKING
    assert f"this computer's OpenSSL has no {called}" in ledger.log_text() and "Fatal error" not in ledger.log_text()
    copy = ledger.root / "copy"
    ledger.evidence("keys", "backup", "--config", ledger.config, copy)
    for command in (["audit"], ["recover", "--reason", "moved"], ["recover", "--reason", "key-lost"],
                    ["keys", "rotate"], ["keys", "restore", copy]):
        words = [*command[:2], "--config", ledger.config, *command[2:]] if command[0] == "keys" else [
            command[0], "--config", ledger.config, *command[1:]]
        assert f"no {called}" in said(ledger.evidence(*words, status=LACKING, env=lacking)), command
    # The entries alone need neither.
    ledger.keyring.rename(ledger.root / "kept")
    assert ledger.audit()["clean"] and json.loads(ledger.admin("audit", "--json", env=lacking).stdout)["clean"]
    (ledger.root / "kept").rename(ledger.keyring)
    for file in ledger.root.glob("keyring.*"):
        file.unlink()
    ledger.start()
    assert ledger.call("Open", {"index": index})["openings"]
    assert ledger.stop() == 0 and ledger.audit()["clean"]


def test_a_disclosed_sm3_of_one_record_is_checked_of_its_document(make_ledger, without, tmp_path):
    """A single proof with its openings."""
    ledger = make_ledger().init().start()
    document, proofs = tmp_path / "contract.txt", tmp_path / "proofs"
    document.write_bytes(b"text")
    index = json.loads(ledger.evidence("deposit", "--digest-only", document, "--json", "--proof-dir", proofs).stdout)["index"]
    openings = tmp_path / "openings.json"
    material = [proofs / "contract.txt.tlog-proof", "--entry", proofs / "contract.txt.entry.json", "--key", ledger.vkey,
                "--document", document, "--opening", openings]
    for names, status in ("sha256", 0), ("sha256,sm3", LACKING):
        openings.write_text(ledger.evidence("show", index, "--open", names, "--json").stdout)
        ledger.evidence("verify", *material)
        done = ledger.evidence("verify", *material, status=status, env=without("SM3"))
        assert (status == 0) == ("KEYS MATCH:" in said(done)) and (status == 0 or "no SM3" in done.stderr)


def test_other_verifiers_without_sm3_give_no_verdict_either(without, tmp_path):
    story = Story()
    thing = new_stream("object")
    digests = {name: hashlib.new(name, story.document).hexdigest() for name in ("sha256", "sm3")}
    index = story.ledger.append("evidence.deposited", [thing], OBJECT, {thing: digests})
    for opened, is_checked in (("sha256",), True), (("sha256", "sm3"), False):
        members = story.ledger.bundle(PAGE, indexes=[index], opened=[(index, name) for name in opened],
                                      originals=[(index, "txt", story.document)])
        directory = write(members, tmp_path / str(len(opened)))
        done = instructions.run(directory, story.keys[0], **without("SM3"))
        assert done.returncode == (instructions.VERIFIED if is_checked else instructions.NOT_CHECKED), done.stdout.decode()
        done = subprocess.run([sys.executable, INDEPENDENT, "bundle", directory, "--key", story.keys[0]],
                              capture_output=True, text=True, env=without("SM3"), timeout=60)
        assert done.returncode == (0 if is_checked else LACKING) and "Traceback" not in said(done), said(done)


@pytest.mark.parametrize("name, called", [("SHA256", "SHA-256"), ("AES-256-GCM", "AES-256-GCM"), ("ED25519", "Ed25519"),
                                          ("HMAC", "HMAC"), ("HKDF", "HKDF")])
def test_what_nothing_goes_without_is_named(make_ledger, without, name, called):
    ledger = make_ledger().init()
    assert ledger.run_until_exit(env=without(name)) == LACKING
    assert f"no {called}" in ledger.log_text() and "Fatal error" not in ledger.log_text()
    for command in (["audit", "--config", ledger.config], ["verify", "nothing.zip"]):
        assert f"no {called}" in said(ledger.evidence(*command, status=LACKING, env=without(name)))
