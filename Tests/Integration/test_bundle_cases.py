"""Every verifier gives every bundle of the table the verdict it must have: the program, the page in a browser, VERIFY.txt
in a shell, and the verifier in Python that shares no code with them."""

import base64
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bundle_cases
import instructions
from bundle_cases import FAILED, NOT_SHOWN, VERIFIED, Case
from page_bundles import INDEPENDENT, PAGE, archive, sums
from test_page import Browser, unpack

LONG = os.environ.get("EVIDENCED_LONG", "") not in ("", "0")
CASES = {case.name: case for case in bundle_cases.cases(PAGE)}
BY_STATUS = {0: VERIFIED, 1: FAILED, 2: NOT_SHOWN}
# Shells take a second each; a sample of the table in every run, all of it in long ones.
LOCKS = {name for name in CASES if "lock_root, of" in name}
SAMPLE = sorted(CASES) if LONG else sorted(random.Random("shells").sample(sorted(CASES), 60))


def test_the_table_is_large_and_each_name_is_there_once():
    assert len(CASES) == sum(1 for _ in bundle_cases.cases(PAGE)) > 200
    assert {case.verdict for case in CASES.values()} == {VERIFIED, NOT_SHOWN, FAILED}


def packed(case: Case, directory: Path) -> Path:
    path = directory / "case.zip"
    path.write_bytes(archive(case.members))
    return path


def wrong(judge) -> dict[str, str]:
    """The cases of another verdict than that in the table."""
    found = {name: judge(case) for name, case in CASES.items()}
    return {name: verdict for name, verdict in found.items() if verdict != CASES[name].verdict}


def test_the_program(bin, tmp_path):
    def judge(case: Case) -> str:
        key = [f"--key={case.key}"] if case.key else []
        done = subprocess.run([bin / "evidence", "verify", packed(case, tmp_path), "--json", *key], capture_output=True)
        report = json.loads(done.stdout)
        assert report["verdict"] == BY_STATUS[done.returncode]
        assert report["passed"] == (report["verdict"] == VERIFIED)
        assert (report["signer"] == "not-shown") >= (report["verdict"] == NOT_SHOWN)
        # Nobody reads that the key passed where nothing shows that it did.
        trusted = [check["outcome"] for check in report["checks"] if check["check"] == "trust"]
        assert (trusted == ["passed"]) == (report["signer"] != "not-shown")
        return report["verdict"]

    assert wrong(judge) == {}


def test_a_wrong_root_of_an_old_lock_is_told_of_the_entry_that_states_it(bin, tmp_path):
    failed = [CASES[name] for name in sorted(LOCKS) if CASES[name].verdict == FAILED]
    assert len(failed) == 6
    for case in failed:
        path, number = packed(case, tmp_path), 4 if "earlier recovery" in case.name else 3
        member = f"entries/{number:016}.json"
        done = subprocess.run([bin / "evidence", "verify", path, "--json", "--key", case.key], capture_output=True)
        told = [check for check in json.loads(done.stdout)["checks"] if check["outcome"] == "failed"]
        assert [check.get("member") for check in told] == [member], case.name
        assert "lock_root" in json.dumps(told), case.name
        done = subprocess.run([sys.executable, INDEPENDENT, "bundle", path, "--key", case.key], capture_output=True)
        said = (done.stdout + done.stderr).decode()
        assert member in said and "lock_root" in said, case.name
        done = instructions.run(unpack(case.members, tmp_path / case.name.replace(" ", "-")), case.key)
        assert any(line.startswith("FAILED") and member in line for line in done.stdout.decode().split("\n")), case.name
    for case in (CASES[name] for name in LOCKS if CASES[name].verdict == VERIFIED):
        done = instructions.run(unpack(case.members, tmp_path / case.name.replace(" ", "-")), case.key)
        assert done.returncode == 0, (case.name, done.stdout)


TOLD = {name: case for name, case in CASES.items() if case.told is not None}


def cited_in(lines: list[str]) -> list[int]:
    """The records that a list of what is not here says are cited."""
    [cited] = [line.split(". Ask")[0] for line in lines if line.startswith("Cited here, ")] or [""]
    runs = re.findall(r"(\d+)(?:–(\d+))?", cited)
    return sorted({number for first, last in runs for number in range(int(first), int(last or first) + 1)})


def test_the_program_tells_what_stands_beside_the_verdict(bin, tmp_path):
    def records(report, kind):
        return sorted({int(check["member"][8:24]) for check in report["checks"]
                       if check["check"] == kind and check["outcome"] == "noted"})

    assert len(TOLD) > 15
    for name, case in TOLD.items():
        command = [bin / "evidence", "verify", packed(case, tmp_path), "--key", case.key]
        report = json.loads(subprocess.run([*command, "--json"], capture_output=True).stdout)
        found = cited_in([line["words"]["en"] for line in report["absent"]])
        assert any(check["check"] == "cited" and check["outcome"] == "noted" for check in report["checks"]) == bool(found)
        assert (records(report, "citations"), found, records(report, "clock")) == case.told, name
        said = subprocess.run(command, capture_output=True).stdout.decode().split("\n\n")[-1]
        assert [word in said for word in ("citations that do not fit", "Cited here, as", "in doubt")] == [
            bool(part) for part in case.told], (name, said)


def test_the_program_says_last_that_the_page_of_another_program_was_not_checked(bin, tmp_path):
    for name, is_known in (("one key, which is given", True), ("a manifest with another producer", False)):
        case = CASES[name]
        if not is_known:
            # One byte of the page around its data is another's.
            changed = case.members | {"index.html": case.members["index.html"].replace(b"<main>", b"<main >", 1)}
            case = Case(name, dict(sorted((changed | {"SHA256SUMS": sums(changed)}).items())), case.verdict, case.key)
        for key in ([f"--key={case.key}"], []):
            command = [bin / "evidence", "verify", packed(case, tmp_path), *key]
            report = json.loads(subprocess.run([*command, "--json"], capture_output=True).stdout)
            assert report["pageChecked"] is is_known and report["verdict"] == (VERIFIED if key else NOT_SHOWN)
            for more, verdict, words in (([], ("KEYS MATCH", "NOT CONFIRMED"), "NOTE: page and instructions"),
                                         (["--chinese"], ("仅密钥比对一致", "尚未确认"), "提示：本证据包中的网页")):
                said = subprocess.run([*command, *more], capture_output=True, text=True).stdout
                end = said.split("\n\n")[-1].rstrip("\n").split("\n")
                assert end[0].startswith(verdict) and end[-1].startswith(words) != is_known, said


def test_the_independent_verifier_tells_what_stands_beside_the_verdict(tmp_path):
    for name, case in TOLD.items():
        command = [sys.executable, INDEPENDENT, "bundle", packed(case, tmp_path), "--key", case.key]
        said = subprocess.run(command, capture_output=True).stdout.decode()
        found = [sorted({int(n) for n in re.findall(rf"^note: {kind}: record (\d+):", said, re.MULTILINE)}) for kind in ("citation", "clock")]
        absent = cited_in(re.findall("^note: not here: (.*)$", said, re.MULTILINE))
        assert (found[0], absent, found[1]) == case.told, (name, said)


def test_the_independent_verifier(tmp_path):
    def judge(case: Case) -> str:
        if case.needs_catalogue:
            return case.verdict
        key = ["--key", case.key] if case.key else []
        done = subprocess.run([sys.executable, INDEPENDENT, "bundle", packed(case, tmp_path), *key], capture_output=True)
        return BY_STATUS[done.returncode]

    assert wrong(judge) == {}


@pytest.mark.parametrize("shell", ["dash", "bash"] + (["busybox"] if LONG else []))
def test_the_instructions_tell_what_stands_beside_the_verdict(shell, tmp_path):
    command = ["busybox", "sh"] if shell == "busybox" else [shell]
    for number, (name, case) in enumerate(TOLD.items()):
        done = instructions.run(unpack(case.members, tmp_path / str(number)), case.key, command)
        said = done.stdout.decode()
        assert done.returncode == 0, (name, said)
        found = [sorted({int(n) for n in re.findall(rf"^NOTE    entries/(\d+)\.json: {kind}", said, re.MULTILINE)})
                 for kind in ("its citation", "the clock")]
        absent = re.search(r"^NOTE    cited, and not in the bundle: (.*)$", said, re.MULTILINE)
        assert (found[0], [int(n) for n in absent[1].split(", ")] if absent else [], found[1]) == case.told, (name, said)
        verdict = said[said.index("KEYS MATCH"):]
        assert [word in verdict for word in ("citations that do not fit", "Cited here, as", "in doubt")] == [
            bool(part) for part in case.told], (name, verdict)


@pytest.mark.parametrize("shell", [["dash"], ["bash"]] + ([["zsh"]] if LONG else []), ids=" ".join)
def test_the_instructions(shell, tmp_path):
    found = {}
    for number, name in enumerate(SAMPLE):
        case = CASES[name]
        directory = unpack(case.members, tmp_path / str(number))
        done = instructions.run(directory, case.key, shell)
        verdict = BY_STATUS[done.returncode]
        if verdict != case.verdict and not case.needs_catalogue:
            found[name] = done.stdout.decode()
    assert found == {}


# The checks are run again and again in one page, which takes what each bundle's own page holds.
JUDGE = """
    const [data, key, archive] = given;
    const maps = ["entries", "unreadable", "leaves", "proofs", "openings"].map(name => [name, new Map()]);
    for (const check of CHECKS) check.status = check.member = null;
    Object.assign(bundle, Object.fromEntries(maps), { manifest: null, manifestRefusal: null, identities: [] });
    $("results").replaceChildren();
    $("expected").value = key;
    recompare = async () => {};
    Object.assign(signer, { status: "open", text: null });
    [failure, isFinished] = [null, false];
    try {
        const { files, originals } = JSON.parse(data);
        Object.assign(bundle, { files: new Map(Object.entries(files)), originals: new Map(Object.entries(originals)) });
        await readBundle();
        if (bundle.manifest) await showSigner();
        await runChecks();
        await recompare();
        isFinished = true;
        const bytes = Uint8Array.from(atob(archive), character => character.charCodeAt(0));
        await examine([{ path: "case.zip", file: new Blob([bytes]) }]);
    } catch (error) { return [`${error.name}: ${error.message}`, ""]; }
    showVerdict();
    const told = verdict();
    return [told[0], told[2][0]];
"""


def test_the_page(tmp_path):
    browser = Browser()
    tag = b'<script type="application/json" id="bundle-data">'
    verdicts = {"passed": VERIFIED, "not-shown": NOT_SHOWN, "failed": FAILED}
    try:
        good = unpack(CASES["one key, which is given"].members, tmp_path)
        assert browser.open(good / "index.html") == "not-shown"

        def judge(case: Case) -> str:
            page = case.members.get("index.html", b"")
            if page.count(tag) != 1:
                # There is no such page to open, or it is another one: whoever drops the archive on a good page learns it.
                page = CASES["one key, which is given"].members["index.html"]
            data = page.split(tag)[1].split(b"</script>")[0].decode()
            packed = base64.b64encode(archive(case.members)).decode()
            said = browser.run(JUDGE, data, case.key, packed)
            return verdicts.get(said[0], str(said))

        assert wrong(judge) == {}
        assert not [line for line in browser.complaints() if "SEVERE" in line]
    finally:
        browser.driver.quit()
