"""The bundle's page in a real browser: what it says of good bundles, and of each way one can be wrong.

Needs Debian's chromium and chromium-driver, poppler-utils, a Chinese font, and the packages selenium and cryptography.
"""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from page_bundles import CONTRACT_TEXT, PAGE, Key, Lease, Ledger, Partnership, archive, finished, new_stream, sums, with_data

HERE = Path(__file__).resolve().parent
NOT_EMBEDDED = ("SHA256SUMS", "VERIFY.txt", "index.html")


class Browser:
    """Chromium, and what a test asks of the page in it."""

    def __init__(self, language: str = "en-US"):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,1400",
                     f"--lang={language}", f"--accept-lang={language}"]
        for argument in arguments + (["--no-sandbox"] if os.geteuid() == 0 else []):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver") or "chromedriver")
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(60)

    def open(self, path: Path, fragment: str = "", seconds: float = 30) -> str:
        """Opens a page anew and waits for its verdict; gives that."""
        self.driver.get("about:blank")
        self.driver.get(path.resolve().as_uri() + fragment)
        WebDriverWait(self.driver, seconds, 0.02).until(lambda _: self.verdict not in (None, "running"))
        WebDriverWait(self.driver, seconds, 0.02).until(lambda _: self.script("return isFinished || failure !== null"))
        return self.verdict

    def script(self, text: str, *arguments):
        return self.driver.execute_script(text, *arguments)

    def run(self, text: str, *arguments):
        """Runs the body of an async function in the page; gives what it returns."""
        done = self.driver.execute_async_script(
            f"const done = arguments[arguments.length - 1], given = arguments; (async () => {{ {text} }})()"
            ".then(value => done({ value }), error => done({ error: String(error.stack) }))", *arguments)
        assert "error" not in done, done["error"]
        return done["value"]

    def find(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "body") -> str:
        return self.find(selector).text

    @property
    def verdict(self) -> str | None:
        return self.script("return document.documentElement.dataset.verdict ?? null")

    @property
    def checks(self) -> dict[str, str]:
        return self.script("return Object.fromEntries(CHECKS.map(check => [check.id, check.status]))")

    @property
    def failed_members(self) -> list[str]:
        return self.script("return CHECKS.filter(check => check.status === 'failed').map(check => check.member)")

    @property
    def result_count(self) -> int:
        return self.script("return document.querySelectorAll('#results > li').length")

    @property
    def result(self) -> tuple[str, str]:
        """Status and text of what was dropped or chosen last."""
        return tuple(self.script("const item = document.querySelector('#results > li'); return [item.dataset.status, item.innerText]"))

    def choose(self, *paths: Path, field: str = "#files") -> tuple[str, str]:
        before = self.result_count
        self.find(field).send_keys("\n".join(map(str, paths)))
        WebDriverWait(self.driver, 20, 0.02).until(lambda _: self.result_count > before)
        return self.result

    def type_key(self, text: str):
        field = self.find("#expected")
        field.clear()
        field.send_keys(text, Keys.TAB)
        time.sleep(0.2)

    def complaints(self) -> list[str]:
        """What the console said, and each request that is not for a file."""
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("file:", "about:")):
                    said.append(f"request of {url}")
        return said


@pytest.fixture(scope="module")
def chromium():
    browser = Browser()
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium):
    """The browser; after each test its console must be silent, and nothing may have been asked of a network."""
    chromium.complaints()
    yield chromium
    assert chromium.complaints() == []


@pytest.fixture(scope="module")
def partners(tmp_path_factory):
    """The directory of a bundle of three parties and 300 records."""
    return unpack(Partnership().bundle(PAGE), tmp_path_factory.mktemp("partners"))


@pytest.fixture(scope="module")
def good(members, tmp_path_factory):
    """The directory of a good bundle."""
    return unpack(members, tmp_path_factory.mktemp("good"))


def unpack(members: dict[str, bytes], directory: Path) -> Path:
    for name, data in members.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return directory


def texts_of(members: dict[str, bytes]) -> dict[str, str]:
    return {
        name: data.decode() for name, data in members.items()
        if name not in NOT_EMBEDDED and not name.startswith("originals/")
    }


def originals_of(members: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in members.items() if name.startswith("originals/")}


def page_of(texts: dict[str, str], members: dict[str, bytes], path: Path) -> Path:
    originals = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in originals_of(members).items()
    }
    path.write_bytes(with_data(PAGE, texts, originals))
    return path


def flipped(text: str, position: int) -> str:
    """The text with one bit of the nearest ASCII character at or after a position changed."""
    position = next(at for at in [*range(position, len(text)), *range(position, 0, -1)] if ord(text[at]) < 127)
    return text[:position] + chr(ord(text[position]) ^ 1) + text[position + 1:]


# Good bundles


def test_a_good_bundle_passes_all_checks(browser, good, lease):
    assert browser.open(good / "index.html") == "not-shown"
    states = browser.checks
    assert states.pop("archive") == "open"
    assert set(states.values()) == {"passed"}, states
    story = browser.text("#story") + browser.text("#records")
    for expected in ("A document was deposited", "房屋租赁合同.txt", "2026-03-14 10:33:01", "2026-03-14 02:33:01 UTC",
                     "Beijing (UTC+8)", "contract-service", "record 13", "originals/1.txt", "13 of 13 disclosed"):
        assert expected in story, expected
    # Between verdict and contract: which checks were not made is said, too.
    assert browser.text("[data-check=originals]").startswith("○ not checked")
    headline = browser.text("#headline")
    assert "8 checks were made and passed; 2 not made: check 1, whether" in headline and "whether the ledger was rewritten before, is not shown" in headline
    assert "the ledger operator’s key is not confirmed" in headline and "who signed a contract, is not checked" in headline
    assert "✓" not in headline


def test_the_key_says_who_signed(browser, good, lease):
    browser.open(good / "index.html")
    browser.type_key(f"  {lease.vkey} ")
    assert browser.verdict == "passed"
    # The reader of a print gave no key: whoever opened the page did, and may have taken it from the bundle.
    assert "the key entered is the one that signed this ledger; where it came from is not shown here" in browser.text("#conclusion")
    headline = browser.text("#headline")
    assert "if it was copied from this bundle, the comparison shows nothing" in headline and "who signed a contract, is not checked" in headline and "you gave" not in headline
    assert browser.text("#entered") == lease.vkey
    browser.type_key(Key(lease.ledger.keys[0][1].origin).vkey)
    assert browser.verdict == "failed"
    assert "another key" in browser.text("#headline") and "The bundle agrees in itself, but the key entered is not the key of this ledger" in browser.text("#headline")
    browser.type_key(lease.vkey.replace("example", "exomple"))
    assert browser.verdict == "not-shown" and "mistyped" in browser.text("#expected-result")
    for none in ("nonsense", "0" * 63, "-----BEGIN PUBLIC KEY----- AAAA -----END PUBLIC KEY-----"):
        browser.type_key(none)
        assert browser.verdict == "not-shown" and "not a verification key" in browser.text("#expected-result")
        assert "No verdict" in browser.text("#headline") and "checks passed" not in browser.text("#headline")
    # As openssl has it, and as the page shows it: in one line, since that is what the field makes of it.
    for same in ((good / "keys/1.pem").read_text().replace("\n", " "), browser.text("#fingerprint"),
                 browser.text("#fingerprint").replace(" ", "").upper()):
        browser.type_key(same)
        assert browser.verdict == "passed", same
    spki = subprocess.run(["openssl", "pkey", "-pubin", "-in", good / "keys/1.pem", "-outform", "DER"],
                          capture_output=True, check=True).stdout
    assert hashlib.sha256(spki).hexdigest() == browser.text("#fingerprint").replace(" ", "")


def test_disclosure_in_part_and_none(browser, lease, tmp_path):
    opened = [(lease.deposit, "sha256"), (lease.deposit, "file_name"), (lease.completed, "sha256")]
    part = unpack(lease.bundle(PAGE, opened=opened), tmp_path / "part")
    assert browser.open(part / "index.html") == "not-shown"
    assert "3 of 13 disclosed, 10 withheld" in browser.text("#story")
    item = browser.text(f"#record-{lease.deposit}")
    assert re.search(r"File name\s+房屋租赁合同.txt \(disclosed\)", item)
    assert re.search(r"Recorded, but withheld here\s+size in bytes, description", item) or "description" in item.split("withheld here")[1]
    none = unpack(lease.bundle(PAGE, opened=[], originals=[]), tmp_path / "none")
    assert browser.open(none / "index.html") == "not-shown"
    assert "0 of 13 disclosed, 13 withheld" in browser.text("#story")
    status, said = browser.choose(part / "originals/1.txt")
    assert status == "open" and "withhold" in said


def test_values_are_text_and_nothing_else(browser, lease, tmp_path):
    whole = unpack(lease.bundle(PAGE, streams=sorted(lease.people)), tmp_path)
    assert browser.open(whole / "index.html") == "not-shown"
    assert '李娜 <b>Li Na</b> & "co" </script>' in browser.text("#story")


def test_two_incarnations(browser, tmp_path):
    lease = Lease(incarnations=2)
    directory = unpack(lease.bundle(PAGE, consistency=[5, lease.older]), tmp_path)
    assert browser.open(directory / "index.html") == "not-shown", browser.text("#checks")
    assert "2 keys" in browser.text("[data-check=identities]")
    (_, first), (_, second) = lease.ledger.keys
    browser.type_key(second.vkey)
    assert browser.verdict == "passed" and "follows" not in browser.text("#headline")
    browser.type_key(first.vkey)
    assert browser.verdict == "passed" and "Each key since was signed by the one before" in browser.text("#expected-result")
    assert "follows, by unbroken signatures, from the key entered; where that came from is not shown here" in browser.text("#headline")
    assert "is the one that signed" not in browser.text("#headline")
    lease = Lease()
    lease.ledger.recover("key-lost")
    directory = unpack(lease.bundle(PAGE), tmp_path / "lost")
    assert browser.open(directory / "index.html") == "not-shown", browser.text("#checks")
    browser.type_key(lease.ledger.keys[0][1].vkey)
    assert browser.verdict == "not-shown" and "the key before it was lost" in browser.text("#expected-result")
    assert "✓" not in browser.text("#headline")
    browser.type_key(lease.vkey)
    assert browser.verdict == "passed"


def test_a_key_is_read_from_a_file(browser, good, lease, tmp_path):
    browser.open(good / "index.html")
    for number, (content, status) in enumerate([
        (f"\ufeff{lease.vkey}\r\n".encode(), "passed"), ((good / "keys/1.pem").read_bytes(), "passed"),
        (Key(lease.ledger.keys[0][1].origin).vkey.encode(), "failed"),
    ]):
        path = tmp_path / f"operator-{number}.txt"
        path.write_bytes(content)
        assert browser.choose(path)[0] == status and browser.verdict == status


def test_single_entry_and_odd_sizes(browser, tmp_path):
    for size in (1, 2, 3, 7, 8):
        ledger = Ledger()
        while len(ledger.entries) < size:
            thing = new_stream("object")
            ledger.append("evidence.deposited", [thing],
                          {"channel": "api", "media_type": "text/plain", "product": "deposit"},
                          {thing: {"sha256": "00" * 32}})
        members = ledger.bundle(PAGE, indexes=range(size), consistency=range(1, size))
        assert browser.open(unpack(members, tmp_path / str(size)) / "index.html") == "not-shown", browser.text("#checks")


def test_ten_thousand_entries(browser, tmp_path):
    lease = Lease()
    while len(lease.ledger.entries) < 10_000:
        lease.ledger.append("contract.viewed", [lease.contract, lease.people[0]], {"seconds": 9}, {},
                            "contract-service", lease.people[0])
    members = lease.bundle(PAGE, streams=sorted([lease.contract, *lease.people]))
    directory = unpack({"index.html": members["index.html"]}, tmp_path)
    began = time.monotonic()
    assert browser.open(directory / "index.html", seconds=60) == "not-shown", browser.text("#checks")
    seconds = time.monotonic() - began
    print(f"{len(members)} members verified in {seconds:.1f} s")
    assert seconds < 30
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, ".timeline:not(#first-of-all) > li")) == 100
    next(b for b in browser.driver.find_elements(By.CSS_SELECTOR, "#records .pager button") if b.text == "Last").click()
    assert "record 9999" in browser.text(".timeline:not(#first-of-all) > li:last-child").lower()
    (tmp_path / "case.zip").write_bytes(archive(members))
    assert browser.choose(tmp_path / "case.zip")[0] == "passed"


# Bundles that are not as they were issued


AGAIN = """
    const [originals, found] = [bundle.originals, []];
    for (const texts of given[0]) {
        for (const check of CHECKS) check.status = check.member = null;
        const maps = ["entries", "unreadable", "leaves", "proofs", "openings"].map(name => [name, new Map()]);
        Object.assign(bundle, Object.fromEntries(maps), { files: new Map(Object.entries(texts)), originals, manifest: null,
            manifestRefusal: null, identities: [] });
        await readBundle();
        await runChecks();
        found.push(CHECKS.filter(check => check.status === "failed").map(check => `${check.member}: ${check.text[0]}`));
    }
    return found;
"""


def test_one_changed_byte_in_each_embedded_file_is_found(browser, good, members):
    """The checks are run again and again in one page."""
    texts = texts_of(members)
    assert len(texts) > 30
    assert browser.open(good / "index.html") == "not-shown"
    assert browser.run(AGAIN, [texts]) == [[]]
    for name, text in texts.items():
        places = range(0, len(text), max(1, len(text) // 12))
        if name == "manifest.json":      # what was asked for, and who made the bundle, is bound by nothing embedded
            free = range(text.index('"producer"'), text.index(',"streams"'))
            places = [place for place in range(0, len(text), 7) if place not in free]
        found = browser.run(AGAIN, [texts | {name: flipped(text, place)} for place in places])
        for place, failures in zip(places, found):
            assert failures, (name, place)
            said = "\n".join(failures)
            partner = name.replace("proofs/", "entries/").replace(".tlog-proof", ".json")
            assert name in said or partner in said or name == "manifest.json", (name, place, said)


def test_a_changed_bundle_as_it_is_opened(browser, members, tmp_path):
    texts = texts_of(members)
    for name in ("entries/0000000000000013.json", "proofs/0000000000000008.tlog-proof", "checkpoint",
                 "openings/0000000000000008.sha256", "keys/1.vkey", "keys/1.pem", "consistency/0000000000000010.txt"):
        changed = texts | {name: flipped(texts[name], len(texts[name]) // 2)}
        assert browser.open(page_of(changed, members, tmp_path / "index.html")) == "failed"
        assert any(name in said for said in (browser.text("#checks"), browser.text("#headline"))), name
        assert "✗" in browser.text("#headline") and "FAILED" in browser.text("#headline")
        assert "can be relied on" in browser.text("#story-warning")


def test_missing_and_added_files_are_found(browser, members, tmp_path):
    texts = texts_of(members)
    for name in ("checkpoint", "keys/1.pem", "manifest.json", *(n for n in texts if "0018" in n)):
        page = page_of({n: t for n, t in texts.items() if n != name}, members, tmp_path / "index.html")
        assert browser.open(page) == "failed"
        assert name in browser.failed_members
    page = page_of(texts | {"openings/0000000000000018.title": "x"}, members, tmp_path / "index.html")
    assert browser.open(page) == "failed"
    assert browser.failed_members == ["openings/0000000000000018.title"]


def test_originals_must_be_the_recorded_ones(browser, members, tmp_path):
    forged = finished(PAGE, texts_of(members), {"originals/1.txt": CONTRACT_TEXT + b" "})
    assert browser.open(unpack(forged, tmp_path) / "index.html") == "failed"
    assert browser.failed_members == ["originals/1.txt"]


def test_nothing_has_passed_in_a_bundle_that_failed(browser, lease, members, tmp_path):
    """A document that a forger made match, and a key he only names: neither is told as one that holds."""
    texts, forged, opening = texts_of(members), CONTRACT_TEXT + b" forged", f"openings/{lease.deposit:016}.sha256"
    old, new = (hashlib.sha256(text).hexdigest() for text in (CONTRACT_TEXT, forged))
    path = tmp_path / "forged.txt"
    path.write_bytes(forged)
    other_opening = finished(PAGE, texts | {opening: texts[opening].replace(old, new)}, {"originals/1.txt": forged})
    other_signature = page_of(texts | {"checkpoint": flipped(texts["checkpoint"], len(texts["checkpoint"]) - 20)}, members,
                              tmp_path / "signature.html")
    for page in (unpack(other_opening, tmp_path / "opening") / "index.html", other_signature):
        assert browser.open(page) == "failed"
        status, said = browser.choose(path)
        assert status == "open" and "nothing can be said" in said and "✓" not in said
        browser.type_key(lease.vkey)
        assert browser.verdict == "failed" and browser.text("#expected-result").startswith("○ The checks failed")


def test_a_key_has_not_passed_once_an_archive_failed(browser, good, members, lease):
    browser.open(good / "index.html")
    browser.type_key(lease.vkey)
    assert browser.text("#expected-result").startswith("✓")
    assert drop(browser, ("a.zip", archive(members)[:-1]))[0] == "failed"
    WebDriverWait(browser.driver, 20, 0.02).until(lambda _: browser.text("#expected-result").startswith("○"))
    drop(browser, ("a.zip", archive(members)))
    WebDriverWait(browser.driver, 20, 0.02).until(lambda _: browser.text("#expected-result").startswith("✓"))
    assert browser.verdict == "passed"


def test_what_was_asked_for_is_what_the_maker_says(browser, lease, tmp_path):
    size = len(lease.ledger.entries)
    streams = sorted([lease.contract, lease.object])

    def asked(name, change=lambda manifest: None, **options) -> str:
        made = lease.bundle(PAGE, **options)
        manifest = json.loads(made["manifest.json"])
        change(manifest)
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        changed = finished(PAGE, texts_of(made) | {"manifest.json": text}, originals_of(made))
        assert browser.open(unpack(changed, tmp_path / name) / "index.html") == "not-shown", browser.text("#checks")
        return re.search(r"Asked for\s+(.*?)\s+From\s", browser.text("#story"), re.DOTALL)[1]

    nothing = {"selection": []}
    said = asked("part", lambda manifest: manifest.update(nothing))
    assert "whole ledger" not in said and said.startswith("not stated") and "not checked" in said
    assert asked("whole", lambda manifest: manifest.update(nothing), indexes=range(size)) == "the whole ledger"
    said = asked("streams")
    assert "not complete here" not in said and "not checked" in said
    said = asked("gaps", lambda manifest: manifest.update(streams=[]))
    assert said.count("not complete here") == len(streams)


def test_a_record_left_out_is_found(browser, lease, tmp_path):
    """A consistent bundle with a record of a complete stream left out."""
    members = lease.bundle(PAGE)
    manifest = json.loads(members["manifest.json"])
    manifest["entries"] = [item for item in manifest["entries"] if item["index"] != 14]
    for number in (6, 5):
        manifest["streams"] = [dict(item, entries=number) if item["entries"] > 1 else item for item in manifest["streams"]]
        texts = {name: text for name, text in texts_of(members).items() if "0014" not in name}
        texts["manifest.json"] = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        page = page_of(texts, members, tmp_path / "index.html")
        assert browser.open(page) == "failed"
        assert browser.checks["streams"] == "failed" and "left out" in browser.text("[data-check=streams]")


def test_entries_are_read_strictly(browser, good):
    """Other spellings of an entry, and values that break the catalogue, are refused by the reader itself."""
    browser.open(good / "index.html")
    entry = (good / "entries/0000000000000008.json").read_text()
    reads = "try { readEntry(given[0]); return null; } catch (error) { if (!(error instanceof Malformed)) throw error; return error.text[0]; }"
    assert browser.run(reads, entry) is None
    changes = [
        ('"v":1', '"v":1.0'), ('"v":1', '"v":01'), ('"v":1', '"v":-0'), ('"v":1', '"v":1e0'), ('"v":1', '"v":2'),
        ('"v":1', '"v":1,"w":1'), ('"v":1', '"v":1,"v":1'), ('"v":1', '"v":1 '), ('"v":1', '"\\u0076":1'),
        ('"index":8', '"index":9007199254740993'), ('"index":8', '"index":true'), ('"channel":"upload"', '"channel":"mail"'),
        ('"channel":"upload",', ''), ('"product":"contract"', '"product":"contract","x":1'), ("text/plain", "text plain"),
        ('"type":"evidence.deposited"', '"type":"evidence.deponated"'), ('"type":"evidence.deposited"', '"type":"constructor"'),
        ('"submitter":"deposit-service"', '"submitter":"evidenced"'), ('"submitter":"d', '"submitter":"D'),
        ("T02:", "T24:"), ("2026-03-14", "2026-02-29"), ("2026-03-14", "1969-03-14"), ("Z\"", "z\""), ('"actor":"subject', '"actor":"object'),
        (entry[-1], entry[-1] + " "), (entry[-1], ""), ('"streams":[[', '"streams":[[],['),
        ("=\"}},", "\"}},"), ('"size"', '"sizes"'), ("text/plain", "text/\x7f"), ("text/plain", "text/\u0001"),
    ]
    for old, new in changes:
        changed = new.join(entry.rsplit(old, 1))
        assert changed != entry, old
        assert browser.run(reads, changed) is not None, (old, new)
    for broken in ("\\ud800", "\\udc00x", "text\\/plain"):      # as an escape, then as itself
        assert browser.run(reads, entry.replace("text/plain", broken)) is not None
    alone = reads.replace("given[0]", "given[0].replace('text/plain', String.fromCharCode(0xd800))")
    assert browser.run(alone, entry) == "not UTF-8"
    deep = "return (() => { try { parseCanonical('['.repeat(given[0]) + ']'.repeat(given[0])); return true } catch { return false } })()"
    assert browser.run(deep, 16) and not browser.run(deep, 17)


def test_an_unexpected_exception_is_no_verdict(browser, members, tmp_path):
    page = tmp_path / "index.html"
    page.write_bytes(PAGE.read_bytes())
    assert browser.open(page) == "error" and "could not be verified" in browser.text("#headline")
    page.write_bytes(PAGE.read_bytes().replace(b"BUNDLE_DATA", b'{"files":'))
    assert browser.open(page) == "error"
    texts = texts_of(members)
    page_of(texts, members, page)
    page.write_text(page.read_text().replace("async function checkEntries(progress) {",
                                                                "async function checkEntries(progress) { null.x;"))
    text = page.read_text()
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    honest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page.write_text(re.sub(r"script-src 'sha256-[^']*'", lambda _: f"script-src 'sha256-{honest}'", text))
    assert browser.open(page) == "error" and "TypeError" in browser.text("#headline")


def test_a_changed_script_does_not_run(chromium, good, tmp_path):
    """The policy names the script by its hash. Its complaint on the console is what is wanted here."""
    text = (good / "index.html").read_text()
    (tmp_path / "index.html").write_text(text.replace('"use strict";', '"use strict"; ', 1))
    chromium.driver.get((tmp_path / "index.html").as_uri())
    assert chromium.verdict is None
    assert any("Content Security Policy" in said for said in chromium.complaints())


# Files from outside


def test_a_dropped_document(browser, good, tmp_path):
    browser.open(good / "index.html")
    (tmp_path / "lease.txt").write_bytes(CONTRACT_TEXT)
    status, said = browser.choose(tmp_path / "lease.txt")
    assert status == "passed" and "record 8" in said and "a document was deposited" in said and "record 18" in said
    (tmp_path / "lease.txt").write_bytes(CONTRACT_TEXT.replace(b"8", b"9"))
    status, said = browser.choose(tmp_path / "lease.txt")
    assert status == "failed" and "No disclosed value is the digest" in said
    assert browser.verdict == "not-shown"


DROP = """
    const transfer = new DataTransfer();
    for (const [name, data] of given[0]) transfer.items.add(
        new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name));
    const before = document.querySelectorAll("#results > li").length;
    document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    while (document.querySelectorAll("#results > li").length === before) await new Promise(r => setTimeout(r, 10));
"""


def drop(browser, *files: tuple[str, bytes]) -> tuple[str, str]:
    browser.run(DROP, [[name, base64.b64encode(data).decode()] for name, data in files])
    return browser.result


def test_a_good_archive_and_folder(browser, good, members, tmp_path, lease):
    browser.open(good / "index.html")
    status, said = drop(browser, ("case.zip", archive(members)))
    assert status == "passed" and browser.checks["archive"] == "passed"
    browser.type_key(lease.vkey)
    assert browser.verdict == "passed"
    browser.open(good / "index.html")
    assert browser.choose(good, field="#folder")[0] == "passed" and browser.checks["archive"] == "passed"
    browser.open(good / "index.html")
    assert browser.choose(good / "checkpoint", good / "keys/1.vkey")[0] == "passed"
    assert browser.checks["archive"] == "open"
    (tmp_path / "checkpoint").write_bytes(flipped(members["checkpoint"].decode(), 30).encode())
    status, said = browser.choose(tmp_path / "checkpoint", good / "SHA256SUMS")
    assert status == "failed" and "checkpoint" in said and "at byte 30" in said and browser.verdict == "failed"


def test_one_changed_byte_in_each_member_of_the_archive_is_located(browser, good, members):
    """With the check sums of the archive made anew, as a forger would."""
    browser.open(good / "index.html")
    for name, data in members.items():
        place = len(data) // 2
        changed = members | {name: data[:place] + bytes([data[place] ^ 1]) + data[place + 1:]}
        status, said = drop(browser, ("case.zip", archive(changed)))
        assert status == "failed" and name in said, (name, said)
        if name not in NOT_EMBEDDED and not name.startswith("originals/"):
            assert f"{name}: it differs from what this page holds (at byte {place})" in said
        assert browser.verdict == "failed"
        if name != "SHA256SUMS":      # with the list made anew, too: what is not embedded then shows nothing but the list
            changed["SHA256SUMS"] = sums(changed)
            status, said = drop(browser, ("case.zip", archive(changed)))
            assert status == ("passed" if name in ("VERIFY.txt", "index.html") else "failed"), name
    assert drop(browser, ("case.zip", archive(members)))[0] == "passed"
    assert browser.verdict == "not-shown"


def test_any_changed_byte_of_an_archive_is_found(browser, good, members):
    """Flips a bit of each byte of the archive's own structure, and of every 97th byte of the rest."""
    data = archive(members)
    structure = set(range(len(data) - 22 - sum(46 + len(name) for name in members), len(data)))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        for info in file.infolist():
            structure |= set(range(info.header_offset, info.header_offset + 30 + len(info.filename)))
    places = sorted(structure | set(range(0, len(data), 97)))
    browser.open(good / "index.html")
    unfound = browser.run(
        """
        const data = Uint8Array.from(atob(given[0]), c => c.charCodeAt(0)), unfound = [];
        if ((await compareMembers(readArchive(data), true)).length > 0) return "the archive itself";
        for (const [place, isData] of given[1]) {
            data[place] ^= 1;
            try {
                const members = readArchive(data);
                const bad = [...members].filter(([, member]) => !member.crcHolds);
                if (bad.length !== 1) unfound.push(place);
            } catch (error) { if (!(error instanceof Malformed)) throw error; }
            data[place] ^= 1;
        }
        return unfound;
        """, base64.b64encode(data).decode(), [[place, place not in structure] for place in places[::7]])
    assert unfound == []


def hostile_archives(members: dict[str, bytes]):
    good = archive(members)
    end = len(good) - 22
    directory = struct.unpack_from("<I", good, end + 16)[0]

    def zipped(change=lambda file, infos: None, compression=zipfile.ZIP_STORED, items=members):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", compression) as file:
            for name, data in items.items() if isinstance(items, dict) else items:
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr, info.compress_type = 3, 0o100644 << 16, compression
                change(file, info)
                file.writestr(info, data)
        return out.getvalue()

    def patched(at: int, data: bytes):
        return good[:at] + data + good[at + len(data):]

    yield "empty", b""
    yield "nothing but the magic", b"PK\x03\x04" + bytes(60)
    yield "no members", zipped(items={})
    for name in ("../evil", "/evil", "a//b", "a/./b", "a\\b", "META-INF/x", "mimetype", "x" * 101, "ü"):
        yield f"the name {name[:12]}", zipped(items=sorted({**members, name: b""}.items()))
    yield "an unknown member", zipped(items=dict(sorted({**members, "entries/0000000000000099.json": b"{}"}.items())))
    yield "a missing member", zipped(items={n: d for n, d in members.items() if n != "VERIFY.txt"})
    yield "no list", zipped(items={n: d for n, d in members.items() if n != "SHA256SUMS"})
    yield "bytes before", b"x" + good
    yield "bytes after", good + b"x"
    yield "cut off", good[:-1]
    yield "cut in the middle", good[:len(good) // 2]
    yield "a size beyond the end", patched(directory + 20, b"\xff\xff\xff\x7f" * 2)
    yield "an offset beyond the end", patched(directory + 42, b"\xff\xff\xff\x7f")
    yield "overlapping members", patched(directory + 42 + 46 + len("SHA256SUMS"), bytes(4))
    yield "a count too small", patched(end + 8, b"\x01\x00\x01\x00")
    yield "a count too large", patched(end + 8, b"\xfe\xff\xfe\xff")
    yield "zip64", patched(end + 8, b"\xff\xff\xff\xff")
    yield "encrypted", patched(directory + 8, b"\x01").replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01", 1)


def test_hostile_archives_are_refused(browser, good, members):
    browser.open(good / "index.html")
    archives = list(hostile_archives(members))
    assert len(archives) > 25
    for why, data in archives:
        status, said = drop(browser, ("case.zip", data))
        assert status == "failed", (why, said)
        assert browser.verdict == "failed"


# Signatures and digests in the script


RFC8032 = [      # section 7.1: public key, message, signature
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]
ORDER = 2**252 + 27742317777372353535851937790883648493
VERIFY = """
    const bytes = text => Uint8Array.from(text.match(/../g) ?? [], pair => parseInt(pair, 16));
    const results = [];
    for (const triple of given[0]) results.push(await verifySignature(...triple.map(bytes)));
    return [results, signaturesCheckedBy];
"""


def test_the_fallback_agrees_with_the_browser(browser, good):
    cases, expected = [], []
    for public, message, signature in RFC8032:
        cases.append([public, signature, message])
        expected.append(True)
    for n in range(4):
        private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(bytes([n])).digest())
        public, message = private.public_key().public_bytes_raw().hex(), bytes(range(n * 40))
        signature = private.sign(message)
        cases.append([public, signature.hex(), message.hex()])
        expected.append(True)
        s = int.from_bytes(signature[32:], "little")
        wrong = [
            signature[:32] + (s + ORDER).to_bytes(32, "little"),                  # S is not below the order
            bytes([signature[0] ^ 1]) + signature[1:], signature[:40] + bytes([signature[40] ^ 4]) + signature[41:],
            signature[:31] + bytes([signature[31] ^ 0x80]) + signature[32:],
            bytes([1]) + bytes(31) + signature[32:], bytes(64),
            (2**255 - 19 + 1).to_bytes(32, "little") + signature[32:],           # R in another spelling
        ]
        for changed in wrong:
            cases.append([public, changed.hex(), message.hex()])
            expected.append(False)
        cases.append([public, signature.hex(), (message + b"x").hex()])
        expected.append(False)
    small_order = [
        bytes([1]) + bytes(31), bytes(32), (2**255 - 20).to_bytes(32, "little"), (2**255 - 19).to_bytes(32, "little"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        bytes([2]) + bytes(31), bytes(31) + bytes([0x80]), bytes([255]) * 32,
    ]
    for public in small_order:      # an all-accepting signature for keys of small order; points off the curve
        cases.append([public.hex(), (bytes([1]) + bytes(63)).hex(), "00"])
        expected.append(False)
    for fragment, by in (("", "WebCrypto"), ("#fallback", "script")):
        assert browser.open(good / "index.html", fragment) == "not-shown"
        results, checked_by = browser.run(VERIFY, cases)
        assert results == expected
        assert by in checked_by


def test_the_fallback_refuses_a_forged_checkpoint(browser, members, tmp_path):
    texts = texts_of(members)
    note = texts["checkpoint"]
    forged = note[:-12] + ("A" if note[-12] != "A" else "B") + note[-11:]
    texts = {name: text.replace(note, forged) for name, text in texts.items()}
    page = page_of(texts, members, tmp_path / "index.html")
    for fragment in ("", "#fallback"):
        assert browser.open(page, fragment) == "failed"
        assert browser.checks["checkpoint"] == "failed" and browser.failed_members[0] == "checkpoint"


def test_sm3(browser, good):
    """GB/T 32905, the two examples; and lengths around a block."""
    browser.open(good / "index.html")
    digest = "return sm3(Uint8Array.from(given[0]))"
    assert browser.run(digest, list(b"abc")) == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert browser.run(digest, list(b"abcd" * 16)) == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    for length in (0, 55, 56, 63, 64, 65, 119, 200):
        message = bytes(range(length))
        openssl = subprocess.run(["openssl", "dgst", "-sm3", "-r"], input=message, capture_output=True, check=True)
        assert browser.run(digest, list(message)) == openssl.stdout.decode().split()[0]


# Reading it


def test_languages(browser, good):
    browser.open(good / "index.html")
    english = browser.text()
    assert "What was recorded" in english and "记录内容" not in english.replace("房屋租赁合同", "")
    browser.find("button[data-language='zh-CN']").click()
    chinese = browser.text()
    assert browser.script("return document.documentElement.lang") == "zh-CN"
    for expected in ("一、记录内容", "存证", "签署合同", "北京时间", "已披露", "账本运营方的密钥尚未确认", "文件的SHA-256", "短信验证码"):
        assert expected in chinese, expected
    assert "What was recorded" not in chinese and "withheld" not in chinese
    assert browser.script("return document.cookie + localStorage.length + sessionStorage.length") == "00"


def test_every_word_of_the_catalogue_has_its_chinese(browser, good):
    browser.open(good / "index.html")
    missing = browser.run(
        """
        const missing = new Set();
        for (const [, , , ...places] of Object.values(CATALOGUE)) for (const fields of places) for (const [name, rule] of Object.entries(fields)) {
            const bare = name.replace("?", ""), [kind, ...list] = rule.split(" ");
            if (!FIELDS_ZH[bare]) missing.add(bare);
            if (kind.startsWith("code")) for (const word of list) if (!/^[A-Z]\\d+$/.test(word) && !CODES_ZH[word]) missing.add(word);
        }
        return [...missing];
        """)
    technical = {"sha256", "sm3", "p256", "sm2", "rsa", "ed25519", "p256-sha256", "sm2-sm3", "rsa-sha256",
                 "age-v1", "sm4-ctr-hmac-sm3", "p384", "rsa-2048", "rsa-3072", "rsa-4096", "x25519",
                 "aes-256-gcm", "sm4-gcm", "hmac-sha256", "hmac-sm3"}
    assert set(missing) <= technical


def test_chinese_readers_begin_in_chinese(good):
    browser = Browser("zh-CN")
    try:
        browser.open(good / "index.html")
        assert browser.script("return document.documentElement.lang") == "zh-CN"
        assert "证据包" in browser.text("h1")
    finally:
        browser.driver.quit()


def test_keyboard_and_structure(browser, good):
    browser.open(good / "index.html")
    body = browser.find("body")
    body.send_keys(Keys.TAB)
    assert browser.script("return document.activeElement.className") == "skip"
    reached = set()
    for _ in range(120):
        webdriver.ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        reached.add(browser.script("return document.activeElement.id || document.activeElement.className || document.activeElement.tagName"))
    assert {"print", "print-all", "expected", "files", "folder", "SUMMARY", "A"} <= reached
    # Of each record, one stop; its links are stops once it is open.
    stops = "return [...document.querySelectorAll('.timeline > li')].map(li => [...li.querySelectorAll('a, summary, button')].filter(e => e.tabIndex >= 0 && e.checkVisibility()).length)"
    assert set(browser.script(stops)) == {1}
    assert browser.script("return [...document.querySelectorAll('.overview a')].every(e => e.tabIndex < 0)")
    levels = browser.script("return [...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    unlabelled = browser.script("return [...document.querySelectorAll('input')].filter(e => e.labels.length === 0).length")
    assert unlabelled == 0
    assert browser.script("return document.querySelectorAll('main, header, footer').length") == 3
    item = browser.find(".timeline > li:nth-child(2)")
    entry = json.loads((good / "entries/0000000000000008.json").read_text())
    assert entry["actor"] not in item.text and entry["type"] not in item.text
    item.find_element(By.CSS_SELECTOR, "summary").send_keys(Keys.ENTER)
    WebDriverWait(browser.driver, 5, 0.02).until(lambda _: entry["actor"] in item.text)
    assert entry["type"] in item.text and entry["streams"][0][0] in item.text and entry["request"] in item.text
    assert browser.script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [360, 390, 1366])
def test_screens_do_not_scroll_sideways(browser, good, partners, width):
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 1000})
    try:
        for directory in (good, partners):
            browser.open(directory / "index.html")
            for language in ("zh-CN", "en"):
                browser.find(f"button[data-language='{language}']").click()
                assert browser.script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def contrast(one: str, other: str) -> float:
    def luminance(colour):
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser, good, scheme):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        browser.open(good / "index.html")
        pairs = browser.script("""
            return [...document.querySelectorAll("body *")].filter(e => e.innerText && e.offsetParent).map(e => {
                let behind = e;
                while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
                return [getComputedStyle(e).color, getComputedStyle(behind ?? document.body).backgroundColor, e.className];
            })""")
        weak = {(a, b, c) for a, b, c in pairs if contrast(a, b) < 4.5}
        assert not weak
        dark = contrast(browser.script("return getComputedStyle(document.body).backgroundColor"), "rgb(0,0,0)") < 3
        assert dark == (scheme == "dark")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def printed(browser, path: Path) -> list[str]:
    """The pages that the browser prints, as text."""
    options = {"preferCSSPageSize": True, "printBackground": False}
    data = browser.driver.execute_cdp_cmd("Page.printToPDF", options)["data"]
    path.write_bytes(base64.b64decode(data))
    text = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout
    return text.split("\f")[:-1]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_story_prints_on_two_pages(browser, good, partners, tmp_path, lease, language):
    """Of nine records and of three hundred."""
    for directory, size in ((good, 20), (partners, 300)):
        browser.open(directory / "index.html")
        browser.find(f"button[data-language='{language}']").click()
        pages = printed(browser, tmp_path / "page.pdf")
        assert 1 <= len(pages) <= 2, len(pages)
        assert all(f"{lease.ledger.keys[0][1].origin} · checkpoint {size} · key" in page for page in pages)
        text = "".join(pages)
        wanted = ("Party 1", "In short", "It does not prove", "SHA-256") if language == "en" else (
            "当事人一", "概要", "不证明", "阅读须知")
        assert all(word in text for word in wanted), text
        assert "Inclusion path" not in text and "包含路径" not in text


def test_everything_prints(browser, good, tmp_path, lease):
    browser.open(good / "index.html")
    browser.script("window.print = () => {}; document.querySelector('#print-all').click()")
    pages = printed(browser, tmp_path / "page.pdf")
    text = "".join(pages)
    assert 4 <= len(pages) <= 20
    for expected in ("Key stated in this bundle", "A document was deposited", hashlib.sha256(CONTRACT_TEXT).hexdigest()[:40],
                     "Inclusion path", "Does not show"):
        assert expected in text, expected
    assert "Choose Files" not in text
    WebDriverWait(browser.driver, 5, 0.02).until(lambda _: not browser.driver.find_elements(By.CSS_SELECTOR, "details[open]"))


def test_the_page_is_in_step():
    """Hashes in the policy, and the catalogue where the program is at hand."""
    script = next(path for path in (HERE.parent / "Page/update_page.py", PAGE.with_name("update_page.py")) if path.exists())
    command = [sys.executable, script, "--check", PAGE]
    directory = os.environ.get("EVIDENCED_BIN")
    lines = None
    if directory:
        lines = subprocess.run([Path(directory) / "evidence", "catalogue", "--json"], capture_output=True, text=True, check=True).stdout
        command += ["--catalogue", "-"]
    assert subprocess.run(command, input=lines, text=True).returncode == 0
    assert PAGE.read_text().count('<script type="application/json" id="bundle-data">BUNDLE_DATA</script>\n') == 1


# The patterns of public fields (section 6)

VKEY = "example.com/ledger+60db519f+" + "A" * 44
#: What people have been seen to write where a code is asked for.
PERSONAL = ["li.na@example.com", "+8613800000001", "13800000001", "138-0000-0001", "110101199003070000", "Zhang-Wei",
            "zhang-wei/1990-03-07", "Zhang Wei", "\u5f20\u4f1f", "", " ", "a\n", "\n", 1, None, [], {}]
PATTERNS = {
    "word 32": (["a", "z" * 32, "contract-10y", "a.b_c-d", "iso27001", "a123456", "a-1"],
                ["z" * 33, "A", "1a", "-a", "a-", "a--b", "a.-b", "a1234567", "a1b2c3d4e5f6g7", "a:b", "a/b", "a@b"]),
    "version": (["1", "0.1.0", "2026.05.01", "1.2.3.4", "1.0-rc.1", "1.0-rc1", "10.15.7-beta", "9999.9999", "3-dev"],
                ["v1", "1.", ".1", "1..2", "12345", "1.2.3.4.5", "9999.9999.9", "1.0-", "1.0-final", "1.0-rc.",
                 "1.0-rc..1", "1.0-rc.12345", "1-2", "1.0+1", "1.0-RC1"]),
    "language": (["en", "yue", "zh-CN", "zh-Hans", "zh-Hant-HK", "es-419", "bo-Tibt-CN", "ug-Arab"],
                 ["e", "engl", "EN", "zh_CN", "zh-cn", "zh-Hans-", "zh-hans", "li-Wang", "zh-CN-Hans", "zh-CHN", "zh-1",
                  "zh-1234", "zh-Hans-CN-x", "zh--CN", "-CN"]),
    "country": (["CN", "DE"], ["cn", "C", "CHN", "C1", "C-"]),
    "currency": (["CNY", "EUR"], ["cny", "CN", "CNYX", "CN1"]),
    "media": (["application/pdf", "image/svg+xml", "application/vnd.ms-excel.sheet.macroEnabled.12", "video/H263-1998",
               "application/vnd.iso11783-10+zip", "text/" + "x" * 122, "text/a12345678"],
              ["pdf", "application/", "/pdf", "Application/pdf", "person/zhang", "text/plain;charset=utf-8",
               "text/" + "x" * 123, "text/.x", "text/a123456789", "text/x/y", "text/a@b"]),
    "vkey": ([VKEY, "x" * 230 + "+00000000+" + "A" * 44],
             [VKEY[:-1], VKEY + "=", VKEY.replace("60db", "60DB"), VKEY.replace(".", "@"), VKEY[18:], "A" * 44,
              "x" * 231 + "+00000000+" + "A" * 44]),
    "host": (["tsa.example.com", "a.b", "x-1.example", "12345678.cn", "x" * 63 + ".cn",
              "x" * 60 + "." + "y" * 63 + ".abc"],
             ["localhost", "a.", ".a", "a..b", "-a.b", "a-.b", "A.b", "a_b.c", "123456789.cn", "x" * 64 + ".cn",
              "x" * 61 + "." + "y" * 63 + ".abc"]),
    "origin 200": (["a", "example.com/ledger", "Example.com:8080/a_b-c", "x" * 200], ["", "x" * 201, "a@b", "a+b", "a b"]),
    "hex 64 1200": (["0f" * 32, "0f" * 600], ["0f" * 31, "0f" * 601, "0f" * 32 + "0", "0F" * 32, "0g" * 32]),
}


@pytest.mark.parametrize("rule", PATTERNS)
def test_the_page_keeps_public_fields_to_their_patterns(browser, good, rule):
    browser.open(good / "index.html")
    allowed, refused = PATTERNS[rule]
    judge = "return arguments[1].map(value => keepsRule(arguments[0], value));"
    assert browser.script(judge, rule, allowed) == [True] * len(allowed)
    refused = refused + ([] if rule.startswith("origin") else PERSONAL)
    assert browser.script(judge, rule, refused) == [False] * len(refused)
