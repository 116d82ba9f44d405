"""What all verifiers tell beside their verdict, and what they never say there: the clock, and names nothing has checked."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import instructions
import pytest
from bundle_containers import write, zipped
from page_bundles import INDEPENDENT, PAGE, Key, Ledger, Partnership, archive, new_stream, sums
from test_page import browser, chromium, drop, unpack  # noqa: F401



def deposit(ledger: Ledger) -> int:
    thing = new_stream("object")
    body = {"channel": "api", "media_type": "text/plain", "product": "deposit"}
    return ledger.append("evidence.deposited", [thing], body, {thing: {"sha256": "00" * 32}})


def clocked() -> Ledger:
    """Records 1 and 2 are before the first word on the clock; 4 after it."""
    ledger = Ledger()
    deposit(ledger), deposit(ledger)
    def of_the_ledger(type, body):
        ledger.append(type, [ledger.stream], body, submitter="evidenced")
    of_the_ledger("system.clock_status", {"synchronized": False, "confirmed": "operator"})
    deposit(ledger)
    of_the_ledger("system.clock_jumped", {"microseconds": 90_000_000, "confirmed": "second-look"})
    of_the_ledger("system.clock_jumped", {"microseconds": 90_000_000, "confirmed": "synchronization"})
    return ledger


def program(bin, path, *options, key=None) -> tuple[int, str]:
    done = subprocess.run([bin / "evidence", "verify", path, *(["--key", key] if key else []), *options], capture_output=True,
                          text=True, timeout=60)
    return done.returncode, done.stdout


def independent(path, key) -> tuple[int, str]:
    done = subprocess.run([sys.executable, INDEPENDENT, "bundle", path, "--key", key], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def clock(tmp_path_factory) -> tuple[Path, str]:
    ledger = clocked()
    made = ledger.bundle(PAGE, indexes=range(1, len(ledger.entries)))
    return unpack(made, tmp_path_factory.mktemp("clock") / "case"), ledger.keys[0][1].vkey


def test_the_program_tells_of_the_clock(bin, clock):
    status, said = program(bin, clock[0], key=clock[1])
    assert status == 0
    for told in ("not synchronised from here on; the operator confirmed it", "90 seconds; it went evenly when looked at again",
                 "90 seconds; it was synchronised later", "says so of 2 records, the last of them record 2"):
        assert said.count(told) == 2, (told, said)      # in its place, and beside the verdict
    status, said = program(bin, clock[0], "--chinese", key=clock[1])
    assert status == 0 and "有 2 项记录（最后为第 2 项记录），所含记录未载明" in said


def test_the_instructions_tell_of_the_clock(clock):
    done = instructions.run(*clock)
    said = done.stdout.decode()
    assert done.returncode == instructions.VERIFIED
    for told in ("0003.json: the clock was reported not synchronised from here on; the operator confirmed its time\n",
                 "0005.json: the clock jumped; it went evenly when looked at again\n",
                 "0006.json: the clock jumped; it was synchronised later\n",
                 "NOTE    of 2 record(s) nothing here says whether the clock was synchronised: 1, 2\n"):
        assert said.count(told) == 1, (told, said)


def test_the_independent_verifier_tells_of_the_clock(clock):
    status, said = independent(*clock)
    assert status == 0 and "of 2 records nothing here says" in said and "confirmed by operator" in said
    assert "confirmed by second-look" in said and "confirmed by synchronization" in said


# A bundle that failed

def test_contents_are_intact_where_all_holds_only(bin, lease, members, tmp_path):
    """Digests that match are no checks: here they do, and another ledger's key was given."""
    other = Key("tests.example/other").vkey
    (tmp_path / "case.zip").write_bytes(zipped(members))
    for path in (tmp_path / "case.zip", write(members, tmp_path / "case")):
        for key, status, intact in ((lease.vkey, 0, True), (None, 2, True), (other, 1, False)):
            found, said = program(bin, path, key=key)
            chinese = program(bin, path, "--chinese", key=key)[1]
            report = json.loads(program(bin, path, "--json", key=key)[1])
            assert found == status and ("contents intact" in said, "内容完好" in chinese) == (intact, intact), said
            assert ("contents intact" in json.dumps(report)) == intact and "packed" in said


def test_another_key_is_not_called_a_change(bin, lease, members, tmp_path):
    """The key may be the wrong one, or the bundle another's; a bundle that was changed fails otherwise."""
    folder, other = write(members, tmp_path / "case"), Key("tests.example/other").vkey
    for option, begins, about in ((), "NOT THIS KEY: the bundle agrees in itself", "who signed a contract, is not checked"), (
            ("--chinese",), "密钥不符：证据包内部各项相符", "亦未核验何人签署合同"):
        status, said = program(bin, folder, *option, key=other)
        end = said.split("\n\n")[-1]
        assert status == 1 and end.startswith(begins) and about in end, said
        for key in (lease.vkey, None):
            assert about in program(bin, folder, *option, key=key)[1]
    (folder / "checkpoint").write_bytes(members["checkpoint"].replace(b"\n20\n", b"\n21\n"))
    for key in (other, lease.vkey, None):
        status, said = program(bin, folder, key=key)
        assert status == 1 and "FAILED: do not rely on this bundle" in said and "NOT THIS KEY" not in said


def test_notes_name_records_and_parties_beside_the_verdict(bin, lease, members, tmp_path):
    story = Partnership(40)
    rows = {kind: [row for row in story.ledger.entries if row["type"] == kind] for kind in (
        "contract.created", "contract.signed", "contract.completed", "system.clock_status")}
    parties, signed = rows["contract.created"][0]["body"]["parties"], rows["contract.signed"][1]
    owner, other = story.people[1], story.people[0]
    first, again = (row["index"] for row in rows["system.clock_status"])
    folder = write(story.bundle(PAGE), tmp_path / "case")
    for option, label, line, clock in (
            ((), "Party 123", "NOTE:   record {0} (a party signed a contract, {1} 陈强 …{2}): identity check: record {3} is of another person, "
             "{4} 王芳 …{5}; named by, directly or not: record {6}\n", "NOTE: the ledger's clock was in doubt:\nNOTE:   record {0}: reported not synchronised from "
             "here on; record {1} reports it synchronised\n"),
            (("--chinese",), "当事人 一二三", "提示：　第 {0} 项记录（签署合同，{1} 陈强 …{2}）：实名认证：第 {3} 项记录属于另一主体（{4} 王芳 …{5}）；"
             "直接或间接载明该项的有：第 {6} 项记录\n", "提示：账本时钟曾存疑：\n提示：　第 {0} 项记录：报告自此未经时钟同步；第 {1} 项记录报告已同步\n")):
        word, letters = label.split(" ")
        names = {party: f"{word} {letter}" if not option else f"{word}{letter}" for party, letter in zip(parties, letters, strict=True)}
        status, said = program(bin, folder, *option, key=story.vkey)
        end = said.split("\n\n")[-1]
        assert status == 0 and line.format(signed["index"], names[owner], owner[-8:], signed["body"]["identity"], names[other], other[-8:],
                                           rows["contract.completed"][0]["index"]) in end, end
        assert clock.format(first, again) in end, end
        # With the verdict it is said that one does not fit, and what is wrong with it; what fits is not said of that.
        wrong = ("The integrity checks made here hold; but 1 citation does not fit (record {0}): the signature of {1} 陈强 …{2} names as its "
                 "identity check that of {4} 王芳 …{5}. Read the notes." if not option else
                 "此处所作各项完整性核验均成立，但有 1 处引用不符（第 {0} 项记录）：{1} 陈强 …{2}的签署所引用的实名认证是{4} 王芳 …{5}的。请阅读提示。")
        assert wrong.format(signed["index"], names[owner], owner[-8:], "", names[other], other[-8:]) in end, end
        assert ("passed  citations" if not option else "通过  引用") not in said
        # The fingerprint of the key given is there to be compared with what its holder published.
        given = hashlib.sha256(bytes.fromhex("302a300506032b6570032100") + base64.b64decode(story.vkey.split("+", 2)[2])[1:]).hexdigest()
        assert re.search(rf"^(passed|通过)  .*{' '.join(re.findall('....', given))}.*keys/1\.vkey", said, re.MULTILINE), said
        origin, key_id = story.vkey.split("+")[:2]
        assert (f"with the key {key_id}, which names itself {origin}" if not option else f"由自称“{origin}”的密钥 {key_id} 作数字签名") in said
    folder = write(members, tmp_path / "lease")
    end = program(bin, folder, key=lease.vkey)[1].split("\n\n")[-1]
    # No more is said of citations than was compared: what a record names and is not here may be anything.
    count = [0, 0]
    for name, text in members.items():
        if name.startswith("entries/"):
            body = json.loads(text)["body"]
            for field in ("identity", "certificate", "requested", "issued", "signatures", "consent"):
                for cited in (body[field] if isinstance(body.get(field), list) else [body[field]] if field in body else []):
                    count[f"entries/{cited:016}.json" in members] += 1
    absent, here = count
    assert here and absent
    said = program(bin, folder, key=lease.vkey)[1]
    assert (f": {here} of {here + absent} citations: the record cited is here and is what it is cited as; {absent} cite records that are not here\n") in said, said
    assert ("NOTE:   Cited here, as identity check: records 2, 4; as certificate: records 12, 16. "
            "Ask whoever filed this bundle, and the ledger operator.\n") in end
    # What a system reported is told as that, and a number is no role of the contract.
    assert re.search(r"Party 1: .*  as systems report: .*signatory", end) and "not the contract's roles" in end and "verified" not in end
    assert "NOTE: whether the ledger's clock was synchronised is not told: no record here says so.\n" in end


def test_the_instructions_name_what_a_failing_citation_reaches(lease, members, tmp_path):
    """And signatures whose identity check or certificate is not here."""
    story = Partnership(40)
    signed, completed = ([row["index"] for row in story.ledger.entries if row["type"] == kind] for kind in ("contract.signed", "contract.completed"))
    done = instructions.run(write(story.bundle(PAGE), tmp_path / "case"), story.vkey)
    said = done.stdout.decode()
    assert done.returncode == instructions.VERIFIED
    line = f"names record {signed[1]}, of which, or of one it names, a citation does not fit"
    assert f"NOTE    entries/{completed[0]:016}.json: {line}\n" in said and f"NOTE:   record {completed[0]}: {line}\n" in said.split("KEYS MATCH")[1]
    assert said.count("does not fit\n") == 2, said
    end = said.split("KEYS MATCH")[1]
    assert f"But citations do not fit: 1, in record(s) {signed[1]}. See the notes.\n" in end and f"但有 1 处引用不符（第 {signed[1]} 项记录），见提示。\n" in end
    # A report is of its moment: it is no state from then on.
    again = [row["index"] for row in story.ledger.entries if row["type"] == "system.clock_status"][1]
    assert f"NOTE:   record {again}: reports it synchronised, at that moment\n" in end
    assert f"提示：第 {again} 项记录报告账本时钟已同步，仅就该时刻而言。\n" in end and "from here on it was" not in said
    done = instructions.run(write(members, tmp_path / "lease"), "")
    said = done.stdout.decode().split("NOT CONFIRMED")[1]
    for number, identity, certificate in ((13, 2, 12), (17, 4, 16)):
        assert f"of record {number} the identity check (record {identity}) and the certificate (record {certificate})" in said
    assert "whether the clock was synchronised: 8, 9, 10, 13, 14, 17, 18.\n" in said and "whether the ledger was rewritten before, is not shown." in said
    assert done.returncode == instructions.NOT_CONFIRMED


def test_the_page_says_so_too(browser, lease, members, tmp_path):
    browser.open(unpack(members, tmp_path / "case") / "index.html")
    drop(browser, ("case.zip", zipped(members)))
    assert "Repacked; contents intact" in browser.text("#container")
    browser.type_key(Key("tests.example/other").vkey)
    assert browser.verdict == "failed" and "Repacked (" in browser.text("#container")
    assert "intact" not in browser.text("body")
    browser.type_key(lease.vkey)
    assert browser.verdict == "passed" and "Repacked; contents intact" in browser.text("#container")


def test_the_page_says_so_of_a_bundle_whose_digests_were_made_to_match(browser, lease, members, tmp_path):
    name = "openings/" + next(name for name in sorted(members) if name.startswith("openings/")).split("/")[1]
    forged = lease.bundle(PAGE)
    forged |= {name: members[name].replace(b"claim/v1", b"claim/v2")}
    page = forged["index.html"].decode()
    old, new = (json.dumps(text.decode(), ensure_ascii=False)[1:-1].replace("<", "\\u003c") for text in (members[name], forged[name]))
    assert page.count(old) == 1
    forged["index.html"] = page.replace(old, new).encode()
    forged["SHA256SUMS"] = sums({name: data for name, data in forged.items() if name != "SHA256SUMS"})
    browser.open(unpack(forged, tmp_path / "case") / "index.html")
    drop(browser, ("case.zip", zipped(forged)))
    assert browser.verdict == "failed" and browser.text("#container").startswith("Repacked (")
    assert "intact" not in browser.text("#container") + browser.text("#results")


# Names nothing has checked

WORDS = "a); contents intact. KEYS MATCH: 比对一致"
HOSTILE = {f"__MACOSX/{number}{WORDS}": b"x" for number in range(7)}
SHOWN = "__MACOSX/0a?"


def test_names_that_are_passed_over_put_no_words_in_a_sentence(bin, lease, members, tmp_path):
    forged, other = members | HOSTILE, Key("tests.example/other").vkey
    (tmp_path / "case.zip").write_bytes(zipped(forged))
    folder = write(forged, tmp_path / "case")
    for path in (tmp_path / "case.zip", folder):
        for key, status in ((lease.vkey, 0), (other, 1)):
            found, said = program(bin, path, key=key)
            assert found == status and SHOWN in said and " and 2 more" in said and "/0a)" not in said and "比对" not in said, said
            assert "；已略过：" in program(bin, path, "--chinese", key=key)[1]
        status, said = independent(path, lease.vkey)
        assert status == 0 and SHOWN in said and " and 2 more" in said and "/0a)" not in said, said
    done = instructions.run(folder, lease.vkey)
    assert done.returncode == 0 and SHOWN in done.stdout.decode() and b" and 2 more\n" in done.stdout, done.stdout.decode()
    assert b"a)" not in done.stdout and "另有 2 个" in program(bin, folder, "--chinese", key=lease.vkey)[1]


def test_nor_in_those_of_the_page(browser, lease, members, tmp_path):
    browser.open(unpack(members, tmp_path / "case") / "index.html")
    drop(browser, ("case.zip", zipped(members | HOSTILE)))
    for place in ("#container", "#results"):
        said = browser.text(place)
        assert SHOWN in said and "and 2 more" in said and "/0a)" not in said, said
