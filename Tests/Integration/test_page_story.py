"""What the page tells: who did what, what a reader has to know, and in which words; with and without its script."""

import hashlib
import json
import re
import zipfile

import archive_forgeries
import bundle_containers
import events
import pytest
from bundle_cases import cases
from ledger import Ledger as RunningLedger
from page_bundles import PAGE, Lease, Ledger, Partnership, archive, finished, new_stream
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from test_bundle_cases import cited_in
from test_page import browser, chromium, drop, good, originals_of, partners, texts_of, unpack  # noqa: F401


# Who did what


def test_parties_are_told_apart_by_label_name_and_the_end_of_their_ids(browser, tmp_path):
    story = Partnership()
    assert browser.open(unpack(story.bundle(PAGE), tmp_path) / "index.html") == "not-shown"
    parties = [party for entry in story.ledger.entries if entry["type"] == "contract.created" for party in entry["body"]["parties"]]
    names = dict(zip(story.people, ("王芳", "陈强", "Maria Lopez")))
    rows = browser.script("return [...document.querySelectorAll('.people')].map(row => row.innerText)")
    for label, party, row in zip(("Party 1", "Party 2", "Party 3"), parties, rows):
        assert row.startswith(label) and names[party] in row and f"…{party[-8:]}" in row
        # What a system reports is not said to be so, and a number is not taken for a role of the contract.
        assert re.search(r"As systems report: .*\bsignatory\b", row) and "verified" not in row
    text = browser.text("#story")
    assert "this page’s own numbers" in browser.text("#names") and "not the contract’s roles" in browser.text("#names")
    assert browser.script("const size = e => getComputedStyle(e).fontSize; return size(document.querySelector('#names')) === size(document.querySelector('#story p'))")
    # Everywhere, and never by the digits that all ids share.
    signing = next(entry for entry in story.ledger.entries if entry["type"] == "contract.signed")
    item = browser.text(f"#record-{signing['index']}")
    label = f"Party {parties.index(signing['actor']) + 1} {names[signing['actor']]} …{signing['actor'][-8:]}"
    assert f"By {label}, as the system reports: contract-service" in item and f"Reported: {label} signed contract 合伙协议 …" in text
    assert story.people[0][8:20] not in text
    browser.find("button[data-language='zh-CN']").click()
    assert f"所报行为人：当事人{'一二三'[parties.index(signing['actor'])]} {names[signing['actor']]} …" in browser.text(f"#record-{signing['index']}")
    assert "并非合同文本中的甲方、乙方" in browser.text("#names") and not re.search("[甲乙丙]方(?!、乙方|。)", browser.text("#story"))


def test_parties_are_numbered_however_many(browser, tmp_path):
    ledger, contract = Ledger(), new_stream("contract")
    parties = sorted(new_stream("subject") for _ in range(11))
    ledger.append("contract.created", [contract], {"parties": parties, "media_type": "text/plain"}, {contract: {"sha256": "00" * 32}})
    ledger.append("account.closed", [new_stream("subject")], {"channel": "web"})
    browser.open(unpack(ledger.bundle(PAGE, indexes=[1, 2]), tmp_path) / "index.html")
    labels = browser.script("return [...document.querySelectorAll('.people b')].map(b => b.textContent)")
    assert labels == [f"Party {number}当事人{numeral}" for number, numeral in enumerate("一二三四五六七八九十", 1)] + ["Party 11当事人11", "Person 1其他主体1"]


def test_ids_with_one_end_are_shown_longer(browser, tmp_path):
    ledger = Ledger()
    for digit in "12":
        ledger.append("account.closed", ["subject/" + "0" * 20 + digit + "a" * 11], {"channel": "web"})
    browser.open(unpack(ledger.bundle(PAGE, indexes=[1, 2]), tmp_path) / "index.html")
    rows = browser.script("return [...document.querySelectorAll('.people')].map(row => row.innerText)")
    assert f"…1{'a' * 11}" in rows[0] and f"…2{'a' * 11}" in rows[1]


def test_the_same_act_is_one_line_however_often(browser, partners):
    """But a line never reaches across a signing: who reads of 101 looks before and after it takes all for before."""
    browser.open(partners / "index.html")
    lines = browser.script("return [...document.querySelectorAll('.overview > li')].map(li => li.innerText)")
    assert len(lines) < 25 and sum("opened contract" in line for line in lines) == 4
    for count, first, last in ((80, 16, 95), (99, 197, 295), (2, 298, 299)):
        assert any(re.search(rf"opened contract .* {count} times.*record {first} to record {last}", line, re.DOTALL) for line in lines)
    # What a machine may have done, too, is told with what shows it; and nothing of it shows that anybody read.
    assert any(", 30 s each, 7 min apart (record 16 to record 95)" in line for line in lines)
    assert browser.text("#openings") == "That something was opened, as reported, does not show that it was read."


def test_what_was_done_to_somebody_is_not_said_to_be_his_doing(browser, partners):
    """A certificate is issued to a party, by an authority outside: neither party nor platform did that. Nor did a party verify anybody."""
    browser.open(partners / "index.html")
    lines = browser.script("return [...document.querySelectorAll('.overview > li')].map(li => li.innerText)")
    issued = [line for line in lines if "issued a certificate" in line]
    assert len(issued) == 3
    for line in issued:
        assert re.search(r"contract-service reports: an outside authority issued a certificate to Party [123] ", line), line
    assert sum(bool(re.search(r"identity-service reports: identity check passed, of Party [123] .*\(face\)", line)) for line in lines) == 3


def test_times_begin_with_the_zone_of_the_language(browser, good):
    browser.open(good / "index.html")
    shown = "return document.querySelector('#record-8 time').innerText"
    assert browser.script(shown).split("\n") == ["2026-03-14 02:33:01 UTC", "2026-03-14 10:33:01 Beijing (UTC+8)"]
    browser.find("button[data-language='zh-CN']").click()
    assert browser.script(shown).split("\n") == ["2026-03-14 10:33:01 北京时间", "2026-03-14 02:33:01 UTC"]


def test_originals_are_links(browser, good):
    browser.open(good / "index.html")
    links = browser.script("return [...document.querySelectorAll('a[href^=originals]')].map(a => a.href)")
    assert links == [(good / "originals/1.txt").as_uri()] * 4      # two signatures, the document, its record


# Hostile texts


HOSTILE = ["\u202egpj.exe", "a\u2066b\u2069", "zero\u200bwidth", "\ufeffmark", "bell\u0007", "\u061carabic", "ليلى محمد", "\u2028line"]


def test_control_and_bidi_characters_are_seen_and_change_nothing_around_them(browser, tmp_path):
    ledger, person, thing = Ledger(), new_stream("subject"), new_stream("object")
    text = " ".join(HOSTILE)
    ledger.append("identity.verified", [person], {"method": "face", "expires": "2036-01-01T00:00:00.000000Z"},
                  {person: {"name": text, "id_number": "1"}}, actor=person)
    ledger.append("evidence.deposited", [thing], {"channel": "api", "media_type": "text/plain", "product": "deposit"},
                  {thing: {"sha256": "00" * 32, "file_name": text}}, actor=person)
    browser.open(unpack(ledger.bundle(PAGE, indexes=[1, 2]), tmp_path) / "index.html")
    browser.script("document.querySelectorAll('details').forEach(d => { d.open = true; d.fill?.() })")
    WebDriverWait(browser.driver, 5, 0.05).until(lambda _: browser.script("return document.querySelectorAll('#technical pre').length > 3"))
    body = browser.script("return document.body.innerText")
    assert not re.search("[\u202e\u2066\u2069\u200b\ufeff\u0007\u061c\u2028]", body)
    for written in ("\\u{202e}gpj.exe", "a\\u{2066}b\\u{2069}", "zero\\u{200b}width", "\\u{feff}mark", "bell\\u{7}", "\\u{61c}arabic"):
        assert body.count(written) >= 4, written
    isolated = browser.script("""return [...document.querySelectorAll("bdi, dd, code, pre")].every(e =>
        ["isolate", "plaintext", "isolate-override"].includes(getComputedStyle(e).unicodeBidi))""")
    assert isolated


def test_the_name_of_a_dropped_file_is_seen(browser, good):
    browser.open(good / "index.html")
    drop(browser, ("a\u202etxt.zip", b"PK"))
    assert "a\\u{202e}txt.zip" in browser.text("#results") and "\u202e" not in browser.text("#results")


# What a reader has to know


TOLD = {case.name: case for case in cases(PAGE) if case.told is not None}


@pytest.mark.parametrize("name", TOLD)
def test_citations_what_is_not_here_and_the_clock_are_told(browser, tmp_path, name):
    case = TOLD[name]
    assert browser.open(unpack(case.members, tmp_path) / "index.html") == "not-shown", browser.text("#checks")
    bad, absent, clock = case.told
    marked = "return [...document.querySelectorAll('.timeline > li')].filter(li => li.innerText.includes('citation does not fit')).map(li => Number(li.id.slice(7)))"
    assert browser.script(marked) == bad
    notes = {kind: " ".join(browser.script(f"return [...document.querySelectorAll('#notes [data-note={kind}]')].map(e => e.innerText)"))
             for kind in ("citations", "clock")}
    assert [f"record {index}: its citation" in notes["citations"].lower() for index in bad] == [True] * len(bad)
    assert bool(bad) == ("does not fit" in notes["citations"]), notes
    said = browser.script("return [...document.querySelectorAll('#absent [data-absence=cited]')].map(e => e.innerText)")
    assert cited_in([line.removeprefix("· ") for line in said]) == absent
    doubted = bool(re.search("NOT synchronised|jumped", notes["clock"]))
    assert doubted == bool(clock), notes


def test_a_clock_that_was_not_set_is_told_of_each_record(browser, partners):
    browser.open(partners / "index.html")
    assert "Clock reported not synchronised (record 2)." in browser.text("#record-12")
    assert "not synchronised" not in browser.text("#record-15")
    notes = browser.text("#notes")
    assert "Record 2 reports the ledger’s clock NOT synchronised; after it come 7 record(s): 3, 5–6, 8–9, 11–12. No signature" in notes
    # What a record reports of its own moment vouches for no later one.
    assert ("Record 14 reports the ledger’s clock synchronised, at 2026-03-14 03:15:01 UTC; no record here later reports anything. That is the "
            "ledger’s own report, of that moment; after it come 285 record(s): 15–299. All signatures of contracts are among them.") in notes
    assert "was synchronised when" not in notes
    assert "before 3 identity check(s), 3 record(s) of certificates, 1 deposit(s)" in browser.text("#headline")
    browser.find("button[data-language='zh-CN']").click()
    assert "此后所含记录未再报告；此仅为账本自身就该时刻的报告" in browser.text("#notes")
    assert "时间均为账本时钟所示，准确性未证明" in browser.text("footer")


def test_the_clock_is_told_beside_each_time(browser, partners, good):
    """Of signatures, and of all others where nothing is reported."""
    cells = "return [...document.querySelectorAll('.signatures tbody tr')].map(row => row.cells[1].innerText)"
    browser.open(partners / "index.html")
    assert all("clock: reported synchronised before (record 14)" in cell for cell in browser.script(cells))
    browser.open(good / "index.html")
    assert all("⚠ clock: nothing reported here" in cell for cell in browser.script(cells))
    lines = browser.script("return [...document.querySelectorAll('.overview > li')].map(li => li.innerText)")
    assert lines and all("⚠ clock unknown" in line for line in lines)
    assert "Clock: nothing reported here." in browser.text("#record-8")


# What readers with fresh eyes read wrong


def test_a_citation_that_fails_says_whose_it_is_and_what_rests_on_it(browser, partners):
    browser.open(partners / "index.html")
    notes = browser.script("return [...document.querySelectorAll('#notes li')].map(li => li.innerText)")
    said = next(note for note in notes if "record 196" in note)
    person = re.search(r"(Party [123]) 陈强’s signature", said)[1]
    other = re.search(r"that is (Party [123]) 王芳’s identity check", said)[1]
    assert person != other and f"{person} 陈强’s own is record 6, which it does not name" in said and "It is named by, directly or not: record 297" in said
    # By this reference: there may be another way, and where it breaks off is told.
    assert f"By this reference it is not tied to one of {person} 陈强; its certificate (record 8) names application 7, which is not here." in said
    # Box, person, timeline and documents have the mark, too.
    headline = browser.text("#headline")
    assert "; 3 warnings\n" in headline and f"See “What a reader has to know” and “Not in this bundle” below; among them one about {person} 陈强’s signature (record 196)" in headline
    assert all(said in browser.text("#conclusion") for said in ("3 warnings", f"{person} 陈强’s signature (record 196)"))
    assert [row for row in browser.script("return [...document.querySelectorAll('.people')].map(row => row.innerText)") if "⚠" in row][0].startswith(person)
    lines = browser.script("return [...document.querySelectorAll('.overview > li')].map(li => li.innerText)")
    for index, words in ((196, "its citation of record 3 does not fit"), (297, "names record 196")):
        assert f"⚠ {words}" in next(line for line in lines if f"record {index})" in line)
    marks = browser.script("return [96, 196, 296, 297].map(index => marksOf(bundle.entries.get(index)).length)")
    assert marks == [0, 1, 0, 1]
    browser.find("button[data-language='zh-CN']").click()
    assert re.search("陈强签署合同（第 196 项记录）时所引用的实名认证是第 3 项记录，该项是当事人.王芳的，与当事人.陈强不符；仅凭此引用不能认定", browser.text("#notes"))
    assert "其证书（第 8 项记录）载明的申请（第 7 项记录）不在此处" in browser.text("#notes")
    assert "另有 3 项提示\n" in browser.text("#headline") and "见下方“阅读须知”和“不在本证据包中的内容”；其中涉及" in browser.text("#headline")
    assert "不成立" not in browser.text("body")


def test_a_signature_whose_identity_check_is_not_here_is_marked(browser, good):
    """It looked better than one whose identity check could be read, and was another's."""
    browser.open(good / "index.html")
    for signature, identity, certificate in ((13, 2, 12), (17, 4, 16)):
        assert (f"Not in this bundle: the certificate (record {certificate}) and the identity check (record {identity}) of this signature"
                in browser.text(f"#record-{signature}"))
    notes, headline = browser.text("#notes"), browser.text("#headline")
    assert "of record 13 the identity check (record 2) and the certificate (record 12)" in browser.text("#absent")
    assert "⚠ Nothing here reports whether the ledger’s clock was synchronised when 7 record(s) were made" in notes
    assert "of 2 signature(s) the identity check and certificate are not in this bundle" in headline
    # Nor is a name withheld that no record here has, and the rest of the ledger is counted.
    story = browser.text("#story")
    assert "no record in this bundle has the name" in story and "name not disclosed" not in story
    assert "has 20 records; this bundle holds 8 of them, and 12 are not in it (4 of those are cited here)" in story
    assert re.search(r"Complete\s+Contract .*: its first 6 record\(s\), to record 18; later ones unknown", story) and "Not complete\n" in story


def test_signatures_stand_in_a_table_with_what_they_rest_on(browser, partners, good):
    """Who, when, which document, by which identity check and certificate; a cell whose record is another's or not here says so."""
    rows = "return [...document.querySelectorAll('.signatures tbody tr')].map(row => [...row.cells].map(cell => cell.innerText))"
    heads = "return [...document.querySelectorAll('.signatures thead th')].map(cell => cell.innerText)"
    browser.open(partners / "index.html")
    first, faulty, last = browser.script(rows)
    assert browser.script(heads) == ["Party", "Recorded", "Document", "Identity check", "Certificate", "Confirmed by", "IP address"]
    assert re.match(r"Party [123] 王芳 …", first[0]) and "2026-03-14 12:49:11 UTC" in first[1] and "record 96" in first[1]
    assert "originals/1.txt" in first[2] and "record 3\nreported passed (face)" in first[3] and "⚠" not in "".join(first + last)
    assert "record 5" in first[4] and "stated period 2026-03-14 to 2027-03-14" in first[4] and first[5:] == ["SMS code", "not recorded"]
    assert "陈强" in faulty[0] and re.search(r"record 3\n⚠ of Party [123] 王芳: does not fit", faulty[3]) and "passed" not in faulty[3]
    assert browser.text("#how-many") == "3 of 3 parties have a record of a signature here; 1 of these records with a warning."
    assert "whether it was revoked is not shown" in browser.text("#as-reported")
    browser.find("button[data-language='zh-CN']").click()
    assert "是否吊销未予证明" in browser.text("#as-reported")
    assert re.search(r"第 3 项记录\n⚠ 系当事人[一二三]王芳的记录，与签署人不符", browser.script(rows)[1][3])
    browser.open(good / "index.html")
    for row, (identity, certificate) in zip(browser.script(rows), ((2, 12), (4, 16)), strict=True):
        assert row[3:5] == [f"⚠ record {number} (not in this bundle)" for number in (identity, certificate)] and row[6].split("\n")[0] == "203.0.113.7"
    # Nor does what rests on such signatures look better than they do.
    assert not browser.script("return document.querySelector('#unsigned')")
    assert "Of signatures it names the identity check and certificate are not in this bundle: records 13, 17." in browser.text("#record-18")
    # Both are reported from one address.
    assert [row[6].split("\n")[1] for row in browser.script(rows)] == ["⚠ same as in record 17", "⚠ same as in record 13"]


def test_a_certificate_or_identity_check_that_did_not_hold_is_marked(browser, tmp_path):
    """Signed at 2026-03-14: what records here say of that time. A revocation may be recorded later, and be from before."""
    ledger, contract, authority = Ledger(), new_stream("contract"), "ab" * 16
    def signed(expires="2036", begins="2026-01-01", ends="2027-01-01", before=(), after=(), identity_ends=False):
        person, cert = new_stream("subject"), new_stream("cert")
        day = "T00:00:00.000000Z"
        identity = ledger.append("identity.verified", [person], {"method": "face", "expires": f"{expires}-01-01{day}"},
                                 {person: {"name": "n", "id_number": "1"}}, "identity-service", person)
        both = sorted([person, cert])
        requested = ledger.append("cert.requested", both, {"identity": identity, "algorithm": "sm2", "authority": authority}, {}, "c", person)
        issued = ledger.append("cert.issued", both, {"requested": requested, "authority": authority, "not_before": f"{begins}{day}",
                                                    "not_after": f"{ends}{day}"}, {person: {
            "issuer": "CN=A", "serial": "1", "spki_sha256": "22" * 32, "certificate_sha256": "33" * 32}}, "c")
        def take(type):
            name, *since = type.split(" ")
            reason = {"reason": "key-compromise"} if name != "cert.expired" else {}
            return ledger.append(name, both, {"issued": issued} | reason | {"since": f"{date}{day}" for date in since}, {}, "c")
        told = [take(type) for type in before]
        if identity_ends:
            told.append(ledger.append("identity.expired", [person], {"verification": identity}, {}, "c"))
        at = ledger.append("contract.signed", sorted([contract, person]), {
            "identity": identity, "certificate": issued, "intent": "sms-code", "algorithm": "sm2-sm3"},
            {contract: {"sha256": "00" * 32, "signature_sha256": "11" * 32}}, "c", person)
        return at, told + [take(type) for type in after]
    good, _ = signed()
    cases = [(signed(expires="2025"), "its identity check had run out"), (signed(begins="2026-12-01"), "not within the certificate’s stated period"),
             (signed(ends="2026-02-01"), "not within the certificate’s stated period"),
             (signed(before=["cert.revoked 2026-03-01"]), "its certificate was revoked (record {0})"),
             (signed(after=["cert.revoked 2026-03-01"]), "its certificate was revoked (record {0})"),
             (signed(before=["cert.suspended"]), "its certificate was suspended before (record {0})"),
             (signed(before=["cert.expired"]), "its certificate had expired (record {0})"),
             (signed(identity_ends=True), "its identity check had ended (record {0})")]
    later, _ = signed(after=["cert.suspended", "cert.expired", "cert.revoked 2026-12-01"])
    browser.open(unpack(ledger.bundle(PAGE, indexes=range(1, len(ledger.entries))), tmp_path) / "index.html")
    found = dict(browser.script("return entriesInOrder().filter(e => e.type === 'contract.signed').map(e => [e.index, unfitOf(e).map(([text]) => text)])"))
    assert found == {good: [], later: []} | {at: [found[at][0]] for (at, _), _ in cases}
    notes = browser.text("#notes")
    for (at, told), words in cases:
        assert words.format(*told) in found[at][0], (at, found)
        assert f"record {at}: " in notes and words.format(*told)[4:] in notes
        assert f"⚠ {found[at][0]}" in browser.script(
            f"return [...document.querySelectorAll('.signatures tr')].find(row => row.innerText.includes('record {at}\\n')).innerText")
    assert f"the identity check or certificate of {len(cases)} signature(s) did not hold at the time" in browser.text("#headline")


def test_without_signatures_no_table(browser, tmp_path):
    """Nor is a party taken to have signed that is not in it."""
    ledger, contract, (person, other) = Ledger(), new_stream("contract"), sorted(new_stream("subject") for _ in range(2))
    ledger.append("contract.created", [contract], {"parties": [person, other], "media_type": "text/plain"}, {contract: {"sha256": "00" * 32}})
    ledger.append("contract.declined", sorted([contract, person]), {}, {}, "contract-service", person)
    browser.open(unpack(ledger.bundle(PAGE, indexes=[1]), tmp_path / "none") / "index.html")
    assert "No record here is of a signature." in browser.text("#story") and not browser.script("return document.querySelector('.signatures')")
    assert browser.text("#unsigned") == f"⚠ No record here of a signature by Party 1 …{person[-8:]}, Party 2 …{other[-8:]}."
    browser.open(unpack(ledger.bundle(PAGE, indexes=[1, 2]), tmp_path / "declined") / "index.html")
    assert "declined to sign" in browser.text(".signatures tbody tr")
    assert browser.text("#unsigned") == f"⚠ No record here of a signature by Party 2 …{other[-8:]}."
    browser.find("button[data-language='zh-CN']").click()
    assert browser.text("#unsigned") == f"⚠ 所含记录中没有下列当事人的签署：当事人二 …{other[-8:]}。"


def test_the_order_is_that_of_a_reader(browser, partners):
    """Verdict, what to know, who, who signed, which documents, when; then what it proves, and only then how it was checked."""
    browser.open(partners / "index.html")
    heads = browser.script("return [...document.querySelectorAll('h2, #story h3')].filter(e => e.offsetHeight).map(e => e.innerText)")
    assert [head.split(",")[0].split(":")[0] for head in heads] == [
        "1. What was recorded", "What a reader has to know", "Who", "Signatures of contracts", "Documents", "In short",
        "Not in this bundle", "What the bundle covers",
        "2. What this proves", "3. Verdict", "4. All records", "5. Technical detail"]
    head = browser.text("#identity")
    assert head.startswith("Contract\n合伙协议 …") and "does not say who had it made, nor when" in head
    assert "Its newest record, 299, is of 2026-03-15 12:30:37 UTC" in head
    assert "later ones unknown" in browser.text("#story")


def test_a_chain_of_failing_citations_is_followed_so_far(browser, tmp_path):
    """Each rests on all before it: told, and kept, of each are the first."""
    ledger = Ledger()
    for number in range(60):
        ledger.append("policy.published", [new_stream("policy")], {
            "kind": "terms", "version": "1.0.0", "language": "zh", "effective": "2026-01-01T00:00:00.000000Z", "text_sha256": "00" * 32,
        } | ({"previous": number} if number else {}))
    browser.open(unpack(ledger.bundle(PAGE, indexes=range(1, 61)), tmp_path) / "index.html")
    assert browser.script("return [...known.doubted].map(([index, roots]) => [index, roots.size])") == [
        [index, min(index - 2, 20)] for index in range(3, 61)]
    assert "and 39 more records with such citations" in browser.text("#notes")


def test_an_organisation_named_by_a_number_is_not_taken_for_named(browser, partners):
    browser.open(partners / "index.html")
    browser.script("timeline.show(0)")
    said = browser.text("#record-5")
    assert re.search(r"Certificate authority\s+name not disclosed …", said) and "Reported by the system contract-service" in said
    assert "not a person" not in said


def test_what_was_not_checked_has_not_passed(browser, partners):
    browser.open(partners / "index.html")
    looks = "return Object.fromEntries(CHECKS.map(check => [check.id, check.look]))"
    shown = browser.script(looks)
    assert (shown["archive"], shown["originals"], shown["consistency"]) == ("open", "unread", "unmade")
    assert browser.text("[data-check=consistency]").startswith("○ not checked: nothing to compare with")
    assert browser.text("[data-check=originals]").startswith("○ not checked") and "✓" not in browser.text("[data-check=originals]")
    headline = browser.text("#headline")
    assert ("7 checks were made and passed; 1 citation does not fit (record 196); 3 not made: check 1, whether the files are those that were issued; check 9, whether the file in this "
            "bundle is the one recorded (drop it in section 3); check 10, whether the ledger was rewritten before: no older checkpoint is here.") in headline
    # Parties are numbered in the order of their ids.
    assert re.search("Party [123] 陈强’s signature names Party [123] 王芳’s identity check[.]\n", headline), headline
    # Wherever the file is named, it is said, and what is read then is said there, too.
    states = "return [...document.querySelectorAll('.file-state')].map(mark => mark.innerText)"
    assert len(browser.script(states)) == 5 and all("not checked" in said for said in browser.script(states))
    assert "The files in the folder were not read." in browser.text("[data-check=manifest]")
    browser.find("button[data-language='zh-CN']").click()
    assert "第 9 项（包内文件尚未核对，不能认定即所签文件，请在第三部分拖放）" in browser.text("#headline")
    assert "；1 处引用不符（第 196 项记录）；" in browser.text("#headline")
    assert "签署合同时所引用的实名认证是" in browser.text("#headline") and "不足为证" not in browser.text("main")
    assert "密钥 " in browser.text("[data-check=checkpoint]") and "由自称“" in browser.text("[data-check=checkpoint]")
    assert "无从核验" in browser.text("[data-check=consistency]") and "无需核验" not in browser.text("[data-check=consistency]")
    browser.find("button[data-language='en']").click()
    browser.choose(partners / "originals/1.txt")
    WebDriverWait(browser.driver, 10, 0.05).until(lambda _: browser.script(looks)["originals"] == "passed")
    assert "8 checks were made and passed; 1 citation does not fit (record 196); 2 not made: check 1," in browser.text("#headline") and "check 9" not in browser.text("#headline")
    assert all(said == "read by this page: the one recorded" for said in browser.script(states))


def test_another_file_in_its_place_is_not_called_the_one_recorded(browser, partners, tmp_path):
    browser.open(partners / "index.html")
    folder = tmp_path / "case"
    bundle_containers.write({path.relative_to(partners).as_posix(): path.read_bytes() for path in partners.rglob("*") if path.is_file()}
                            | {"originals/1.txt": b"another"}, folder)
    assert browser.choose(folder, field="#folder")[0] == "failed" and browser.verdict == "failed"
    assert all("not checked" in said for said in browser.script("return [...document.querySelectorAll('.file-state')].map(mark => mark.innerText)"))


def test_an_older_checkpoint_says_over_which_records_it_is(browser, lease, good, tmp_path):
    """And whether the signatures are among them."""
    browser.open(good / "index.html")
    said = browser.text("[data-check=consistency]")
    first = lease.older
    assert f"over records 0 to {first - 1}, " in said and "When it was signed is not shown." in said
    signed = [entry["index"] for entry in lease.ledger.entries if entry["type"] == "contract.signed"]
    assert ("No signature of a contract is among them." in said) == all(index >= first for index in signed), (first, signed)
    for size, words in ((signed[0] + 1, f"Of the signatures of contracts, records {signed[0]} are among them; the others are not."),
                        (signed[-1] + 1, "All signatures of contracts here are among them.")):
        browser.open(unpack(lease.bundle(PAGE, consistency=[size]), tmp_path / str(size)) / "index.html")
        assert words in browser.text("[data-check=consistency]")


def test_records_that_are_not_here_and_nothing_cites_are_told(browser, good, tmp_path):
    """Those later than the newest first: they may change the story."""
    browser.open(good / "index.html")
    notes = browser.script("return [...document.querySelectorAll('#absent > li')].map(e => e.innerText)")
    assert notes[0].startswith("· Later than the newest record here: record 19.") and "(a withdrawal, a refusal)" in notes[0]
    assert notes[5].startswith("· Cited by nothing here: records 1, 3, 5–7, 11, 15. What is recorded there is unknown.")
    assert browser.text("#absent").count("Later than the newest") == 1 and "Cited" not in browser.text("#notes")
    assert "; 3 warnings\n" in browser.text("#headline") and "recorded later than all here, and not here: 19" in browser.text("#headline")
    assert "Of the records in this bundle: 13 of 13 disclosed, 0 withheld; those of other records are not counted." in browser.text("#story")
    browser.find("button[data-language='zh-CN']").click()
    assert "· 晚于所含最新一项的：第 19 项记录。其内容不明，可能改变案情" in browser.text("#absent")


def test_what_a_reader_must_see_stands_before_a_long_list(browser, partners):
    browser.open(partners / "index.html")
    first = browser.script("return [...document.querySelectorAll('#first-of-all > li')].map(li => li.innerText.split('\\n')[0])")
    assert first == ["Record 96", "Record 196", "Record 296", "Record 297"]
    assert "1–100 of 297" in browser.text("#records .shown-of") and "All 297, in their order" in browser.text("#records")
    assert browser.script("return document.querySelectorAll('[id=record-96]').length") == 1


def test_nothing_is_called_verified(browser, partners):
    """Only keys are compared, as they stand: who typed one, and from where, no page can know."""
    browser.open(partners / "index.html")
    key = (partners / "keys/1.vkey").read_text().strip()
    for language, title, proves, compared, origin in (
            ("en", "= Keys match: the key entered is the one that signed this ledger; where it came from is not shown here; 3 warnings",
             "if the key entered was got from the operator by a way of its own",
             "Only keys are compared: who the operator is, and who signed a contract, is not checked.", "copied from this bundle, the comparison shows nothing"),
            ("zh-CN", "= 仅密钥比对一致：输入的密钥与对账本作数字签名的密钥相同；其来源未经核实；另有 3 项提示", "如输入的密钥系通过独立途径自运营方取得，则证明",
             "仅比对密钥；未核实运营方身份，亦未核验何人签署合同。", "如抄自本证据包，此比对无证明意义")):
        browser.find(f"button[data-language='{language}']").click()
        browser.script("const field = document.querySelector('#expected'); field.value = ''; field.dispatchEvent(new Event('input'))")
        WebDriverWait(browser.driver, 5, 0.05).until(lambda _: browser.verdict == "not-shown")
        assert "would prove, if a key got from the operator" in browser.text("#limits") or "如通过独立途径自运营方取得的密钥比对一致，则可证明" in browser.text("#limits")
        assert compared in browser.text("#headline")
        browser.type_key(key)
        assert browser.verdict == "passed"
        for place in ("#headline", "#conclusion"):
            said = browser.text(place)
            assert said.startswith(title) and "✓" not in said and "erified" not in said and "核验通过" not in said
        assert compared in browser.text("#headline") and origin in browser.text("#headline") and proves in browser.text("#limits")
    green = browser.script("return getComputedStyle(document.querySelector('.state.passed')).color")
    assert browser.script("return getComputedStyle(document.querySelector('#headline strong')).color") != green
    body = browser.text("body")
    assert not re.search("核验通过|未被改动|只能追加|已实名认证|核验人|指纹|有效期", browser.text("header") + browser.text("#story") + browser.text("#limits")), body
    browser.find("button[data-language='en']").click()
    said = browser.text("header") + browser.text("#story") + browser.text("#limits")
    assert not re.search("[Vv]erified|unchanged|no character|can only add|valid 20", said)
    assert "older checkpoints or receipts held by others would show it" in said and "The ledger names the system that submitted each" in said


# What the files lie in, and other bundles


def test_archives_of_other_programs(browser, good, members, tmp_path):
    browser.open(good / "index.html")
    wrong = {}
    for each in bundle_containers.archives(members, tmp_path / "made"):
        status, said = drop(browser, ("case.zip", each.data))
        told = browser.text("#container")
        if each.intact:
            fine = status == "passed" and "Repacked (" in said and "Repacked; contents intact" in told and browser.verdict == "not-shown"
        else:
            fine = status in ("failed", "error") and "intact" not in said + told
            fine = fine and (each.name != "members that share their bytes" or "overlap" in said)
        if not fine:
            wrong[each.name] = status, said, told
    assert wrong == {}
    status, said = drop(browser, ("case.zip", archive(members)))
    assert status == "passed" and "The archive that was issued" in said


def test_a_folder_with_what_file_managers_leave(browser, good, members, tmp_path):
    browser.open(good / "index.html")
    left = bundle_containers.write(members | bundle_containers.LEFT, tmp_path / "case")
    status, said = browser.choose(left, field="#folder")
    assert status == "passed" and "Unpacked; passed over:" in said and "Thumbs.db" in said
    assert browser.text("#container").startswith("Unpacked; contents intact; passed over:")
    assert browser.result_count == 1 and browser.checks["archive"] == "passed"
    names = dict(bundle_containers.odd_names())
    assert dict(zip(names, browser.run("return given[0].map(isLeaving)", list(names)))) == names


def test_a_copy_elsewhere_does_not_stand_in(browser, good, members, tmp_path):
    """In a folder a file is what its path says. Each case has the forged document where the true one belongs."""
    name, forged = archive_forgeries.true_and_forged(members)
    lying = members | {name: forged}
    parts = {path: data for path, data in lying.items() if path not in ("manifest.json", "SHA256SUMS")}
    copies = [{f"proofs/{name}": members[name]}, {f"zz/{name}": members[name]}, {f"Z/case/{name}": members[name]}]
    for number, copy in enumerate(copies):
        for title, files in (("whole", lying), ("part", parts)):
            for folder in ("", "case-42/"):
                browser.open(good / "index.html")
                root = tmp_path / f"{number}{title}{folder[:4]}"
                bundle_containers.write({folder + path: data for path, data in (files | copy).items()}, root)
                browser.choose(root, field="#folder")
                told = browser.script("return [...document.querySelectorAll('#results > li')].map(item => [item.dataset.status, item.innerText])")
                about = [(status, said) for status, said in told if name in said and "another document" in said]
                assert [status for status, _ in about] == ["failed"], (number, title, folder, told)
                assert browser.verdict == "failed" and "contents intact" not in str(told)
    # Beside the folder it may lie, and a file that is none of the bundle's is not passed over there.
    browser.open(good / "index.html")
    root = bundle_containers.write(members | {"notes.txt": b"see page 3"}, tmp_path / "notes")
    status, said = browser.choose(root, field="#folder")
    assert status == "failed" and "notes.txt" in said and "does not belong" in said


def test_two_files_of_one_name_are_told(browser, good, members):
    browser.open(good / "index.html")
    status, said = drop(browser, ("checkpoint", members["checkpoint"] + b"x"), ("checkpoint", members["checkpoint"]))
    assert status == "failed" and "twice" in said and browser.verdict == "failed"


def test_another_bundle_is_another_bundle(browser, good, lease, members, tmp_path):
    """And leaves what is said of this one as it is."""
    browser.open(good / "index.html")
    browser.type_key(lease.vkey)
    other = Partnership().bundle(PAGE)
    later = Lease()
    later.stranger(b"one more")
    for name, data in (("other.zip", archive(other)), ("repacked.zip", bundle_containers.zipped(other)),
                       ("part.zip", archive(lease.bundle(PAGE, streams=[lease.contract], originals=[]))),
                       ("later.zip", archive(later.bundle(PAGE)))):
        status, said = drop(browser, (name, data))
        assert status == "open" and "This is another bundle" in said and "changes nothing" in said, (name, said)
        assert browser.verdict == "passed" and browser.checks["archive"] == "open"
    status, said = browser.choose(unpack(other, tmp_path / "other"), field="#folder")
    assert status == "open" and "This is another bundle" in said and browser.verdict == "passed"
    # What only says that it is another, is this one changed.
    texts = texts_of(members)
    for old, new in (('"size":20', '"size":21'), ('evidenced/0.1.0', 'evidenced/0.1.1')):
        changed = finished(PAGE, texts | {"manifest.json": texts["manifest.json"].replace(old, new)}, originals_of(members))
        assert drop(browser, ("changed.zip", archive(changed)))[0] == "failed", old


def test_a_document_that_is_an_archive_is_a_document(browser, tmp_path):
    text = bundle_containers.zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"})
    ledger, thing = Ledger(), new_stream("object")
    ledger.append("evidence.deposited", [thing], {"channel": "api", "media_type": "application/zip", "product": "deposit"},
                  {thing: {"sha256": hashlib.sha256(text).hexdigest()}})
    browser.open(unpack(ledger.bundle(PAGE, indexes=[1]), tmp_path) / "index.html")
    for name in ("contract.docx", "files.zip"):
        status, said = drop(browser, (name, text))
        assert status == "passed" and "record 1" in said, said


# Without the script


@pytest.mark.parametrize("width", [1366, 390])
def test_without_script_the_story_is_there_and_is_not_called_checked(chromium, bin, tmp_path, width):
    """A bundle as the program makes it, opened where scripts do not run."""
    name = "\u202e<b>合同</b>.pdf"
    with RunningLedger(tmp_path / "l", bin).init().start() as ledger:
        index = ledger.append(events.deposit(b"text", name=name))["receipts"][0]["index"]
        person = f"subject/{events.new_id()}"
        verified = ledger.append(events.event("identity.verified", [person], {"method": "face", "expires": "2036-01-01T00:00:00.000000Z"},
                                              {person: {"name": "n", "id_number": "i"}}, person))["receipts"][0]["index"]
        ledger.evidence("bundle", "--index", index, "--index", verified, "--open", "file_name", "-o", "case.zip")
        with zipfile.ZipFile(ledger.root / "case.zip") as file:
            file.extractall(tmp_path / "case")
        entry = json.loads(ledger.entry(index)["entry"])
    driver = chromium.driver
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 1000})
    try:
        driver.get((tmp_path / "case/index.html").as_uri())
        text = driver.find_element(By.CSS_SELECTOR, "body").text
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    for expected in ("Not checked.", "未经核验。", f"Record {index} 第 {index} 项记录", entry["time"][:19].replace("T", " "),
                     "a document was deposited.", "存证。", "\\u{202e}<b>合同</b>.pdf", "entries/0000000000000000.json", "北京时间"):
        assert expected in text, expected
    # Nor is what was done to somebody told as his doing.
    told = text[text.index(f"Record {verified} "):].split("SHA-256")[0]
    assert "Reported by the system 报告的系统: tests" in told and "By 行为人" not in told and "Person 1" in told
    assert "name not disclosed 姓名或名称未披露" in text
    digest = re.search(rf"([0-9a-f]{{64}})  entries/{index:016}\.json", text)
    assert digest[1] == hashlib.sha256((tmp_path / f"case/entries/{index:016}.json").read_bytes()).hexdigest()
    assert "Verified" not in text and "✓" not in text and "\u202e" not in text
