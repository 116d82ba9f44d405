"""What is not in a bundle, with whom to ask for it, and which document each signature is of: the page, the program, VERIFY.txt and
the second verifier tell the same lines in the same order, in the words of ledger-format.md."""

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
from page_bundles import INDEPENDENT, PAGE, Ledger, Lease, Partnership, archive, new_stream
from test_page import browser, chromium, unpack  # noqa: F401

FORMAT = (Path(__file__).resolve().parents[2] / "ledger-format.md").read_text()
SECTION = FORMAT[FORMAT.index("### What is not here"):FORMAT.index("### Published directory")]
LONG = os.environ.get("EVIDENCED_LONG", "") not in ("", "0")
VERIFY = instructions.TEXT.read_text()
BOTH = ("Ask whoever filed this bundle, and the ledger operator.", "可要求举证方补充提交，亦可向账本运营方调取。")
LATER = ("Later than the checkpoint, which ends with record {}: whether anything was recorded since is unknown. Ask the ledger operator for a "
         "newer bundle.", "账本签名快照（至第 {} 项记录为止）之后：有无记录不明。可要求账本运营方出具更新的证据包。")
OLDER = ("An older checkpoint to compare with: without one nothing here shows whether the ledger was rewritten before this one was signed. Ask "
         "others who keep older checkpoints or receipts: parties, witnesses.",
         "可资比对的较早账本签名快照：未附，无从核验账本在数字签名之前是否改写。可向留存较早快照或回执的他人（当事人、见证方）索取。")
ALWAYS = [("The key of the ledger operator from outside this bundle: the one in it cannot confirm itself. Ask the ledger operator, by a way of its "
           "own.", "证据包以外途径取得的账本运营方密钥：包内密钥不能自证。请通过独立途径向账本运营方索取。"),
          ("The format document (ledger-format.md), with all rules of these checks. Ask whoever made this bundle, and the ledger operator.",
           "载有全部核验规则的格式文档（ledger-format.md）。可向证据包制作方或账本运营方索取。")]


def table(title: str) -> list[list[str]]:
    lines = SECTION[SECTION.index(title):].split("\n")[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:lines.index("")]]


LINES = table("| line | where |")
PURPOSES = {field.strip("`"): (english, chinese) for field, english, chinese in table("| field | English | Chinese |")}


def form(text: str, language: int) -> re.Pattern:
    """A line of the document's table as a pattern."""
    run = (r"records? [0-9–, ]+( and others)?", r"第 [0-9–、]+ 项等?记录")[language]
    text = re.escape(text.replace("BOTH", BOTH[language]))
    text = text.replace(r"\{C\}", ("( Of the stories listed as complete none is missing, up to the newest record here of each[.])?",
                                   "(列为完整的记录流，在各自所含最新一项记录之前没有遗漏。)?")[language])
    text = re.sub(r"(?<= )[KM](?=\\? )", r"\\d+", text)
    return re.compile(text.replace(r"\{R\}", run).replace(r"\{N\}", r"\d+").replace(r"\{S\}", r"[a-z0-9., _、等-]+").replace(r"\{L\}", ".+"))


# What each tells


def by_program(bin, path: Path, key: str) -> dict:
    """Of each language the lines beside the verdict, and the same for programs."""
    said = {}
    for language, option, head, begins in ((0, [], "NOTE: not in this bundle, and whom to ask:", "NOTE:   "), (
            1, ["--chinese"], "提示：不在本证据包中的内容，以及可向何方索取：", "提示：　")):
        done = subprocess.run([bin / "evidence", "verify", path, "--key", key, *option], capture_output=True, text=True, timeout=60)
        end = done.stdout.split("\n\n")[-1].split("\n")
        assert done.returncode == 0 and end.count(head) == 1, done.stdout
        said[language] = below(end, head, begins)
        document = ("NOTE: which document each signature is of, by the digests that systems reported:", "提示：各签署对应的文件（依系统所报哈希值）：")[language]
        said["documents", language] = below(end, document, begins) if document in end else []
    report = json.loads(subprocess.run([bin / "evidence", "verify", path, "--key", key, "--json"], capture_output=True, timeout=60).stdout)
    said["kinds"] = [line["kind"] for line in report["absent"]]
    assert [[line["words"][name] for line in report["absent"]] for name in ("en", "zh")] == [said[0], said[1]]
    for language, name in enumerate(("en", "zh")):
        told = [plain(words[name]) for words in report["signedDocuments"]]
        more = [("and {} more", "另有 {} 处")[language].format(len(told) - 20)] if len(told) > 20 else []
        assert [*map(plain, said["documents", language])] == told[:20] + more
        said["documents", language] = told
    return said


def below(lines: list[str], head: str, begins: str) -> list[str]:
    found = []
    for line in lines[lines.index(head) + 1:]:
        if not line.startswith(begins):
            break
        found.append(line.removeprefix(begins))
    return found


def by_instructions(path: Path, key: str, shell=("sh",)) -> dict:
    done = instructions.run(path, key, shell)
    end = re.split("\n(?=KEYS MATCH)", done.stdout.decode())[-1].split("\n")
    assert done.returncode == 0, done.stdout.decode()
    said = {language: below(end, head, begins) for language, head, begins in (
        (0, "NOTE: not in this bundle, and whom to ask:", "NOTE:   "), (1, "提示：不在本证据包中的内容，以及可向何方索取：", "提示：　"))}
    for language, head, begins in ((0, "NOTE: which document each signature is of, by the digests that systems reported:", "NOTE:   "),
                                   (1, "提示：各签署对应的文件（依系统所报哈希值）：", "提示：　")):
        said["documents", language] = below(end, head, begins) if head in end else []
    return said


def by_second_verifier(path: Path, key: str) -> dict:
    done = subprocess.run([sys.executable, INDEPENDENT, "bundle", path, "--key", key], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.split("\n")
    return {0: [line.removeprefix("note: not here: ") for line in lines if line.startswith("note: not here: ")],
            ("documents", 0): [line.removeprefix("note: document: ") for line in lines if line.startswith("note: document: ")]}


def by_page(browser, path: Path) -> dict:
    browser.open(path / "index.html")
    said = {}
    for language, name in enumerate(("en", "zh-CN")):
        browser.find(f"button[data-language='{name}']").click()
        lines = browser.script("return [...document.querySelectorAll('#absent > li')].map(li => li.innerText)")
        said[language] = [line.removeprefix("· ") for line in lines]
    said["kinds"] = browser.script("return [...document.querySelectorAll('#absent > li')].map(li => li.dataset.absence)")
    # What is left out where it does not apply leaves no word of the script behind.
    assert not {"false", "null", "undefined", "NaN"} & set(re.split(r"\s*\n\s*", browser.text("body")))
    return said


# The words


def test_the_words_of_the_table_are_those_of_page_and_instructions(browser, tmp_path):
    citations = FORMAT[FORMAT.index("### Citations"):FORMAT.index("### Reserved domains")]
    cited = set(re.findall(r"^\| `[a-z_.]+` \| `([a-z_]+)` \| ", citations, re.MULTILINE))
    assert cited == {field for field in PURPOSES if "." not in field} and len(cited) > 35
    text = "|".join(f"{field} {english}/{chinese}" for field, (english, chinese) in PURPOSES.items())
    page = re.search(r"const CITED_AS = words\(`\n(.*?)`\)", PAGE.read_text(), re.DOTALL)[1].replace("\n", "")
    commands = re.search(r"    keep purposes << 'END'\n(.*?)    END\n", VERIFY, re.DOTALL)[1]
    assert page == text and "".join(line.strip() for line in commands.split("\n")) == text


# The lists


def test_a_lease_whose_signatures_rest_on_what_is_not_here(bin, browser, lease, members, tmp_path):
    path = unpack(members, tmp_path / "case")
    expected = [
        ("Later than the newest record here: record 19. What is recorded there is unknown, and could change the story (a withdrawal, a refusal). "
         + BOTH[0], "晚于所含最新一项的：第 19 项记录。其内容不明，可能改变案情（如撤回、拒绝）。" + BOTH[1]),
        tuple(text.format(19) for text in LATER),
        ("Cited here, as identity check: records 2, 4; as certificate: records 12, 16. " + BOTH[0],
         "被引用的：实名认证：第 2、4 项记录；证书：第 12、16 项记录。" + BOTH[1]),
        ("What signatures rest on: of record 13 the identity check (record 2) and the certificate (record 12); of record 17 the identity check "
         "(record 4) and the certificate (record 16). " + BOTH[0],
         "签署所依据的：第 13 项记录的实名认证（第 2 项记录）和证书（第 12 项记录）；第 17 项记录的实名认证（第 4 项记录）和证书（第 16 项记录）。" + BOTH[1]),
        ("Names of 2 of the 2 parties and signatories, which nothing here discloses. " + BOTH[0],
         "当事人及签署人共 2 名，其中 2 名的姓名或名称此处未披露。" + BOTH[1]),
        ("Cited by nothing here: records 1, 3, 5–7, 11, 15. What is recorded there is unknown. Of the stories listed as complete none is missing, up "
         "to the newest record here of each. " + BOTH[0],
         "此处未引用的：第 1、3、5–7、11、15 项记录。其内容不明。列为完整的记录流，在各自所含最新一项记录之前没有遗漏。" + BOTH[1]),
        ("The electronic signatures and certificates themselves, of the signatures in records 13, 17: records have at most their digests. Ask the "
         "parties, whoever runs the systems named (contract-service), and the certificate authorities.",
         "第 13、17 项记录所载签署的电子签名及其证书本身：记录中至多载有其哈希值。可向当事人、账本所载提交系统（contract-service）的运营单位及电子认证服务机构调取。"),
        ("Reports on the clock of the ledger before records 8–10, 13–14, 17–18. Ask the ledger operator.",
         "第 8–10、13–14、17–18 项记录之前的账本时钟报告。可向账本运营方调取。"), *ALWAYS]
    digest = "8d5fb8cb45a1"
    documents = [(f'record {number}: the document signed has SHA-256 {digest}…, that of the deposit in record 8 ("房屋租赁合同.txt", originals/1.txt), '
                  "the contract in record 9",
                  f'第 {number} 项记录：所签文件的 SHA-256 为 {digest}…，与第 8 项记录的存证（"房屋租赁合同.txt"，originals/1.txt）、第 9 项记录的合同相同') for number in (13, 17)]
    for said in (by_program(bin, path, lease.vkey), by_instructions(path, lease.vkey), by_second_verifier(path, lease.vkey), by_page(browser, path)):
        for language in (0, 1):
            assert said.get(language, [text[1] for text in expected]) == [text[language] for text in expected]
            assert said.get(("documents", language), [text[language] for text in documents]) == [text[language] for text in documents]
    # In the table of the page it stands beside the signature.
    cells = browser.script("return [...document.querySelectorAll('.signatures tbody tr')].map(row => row.cells[2].innerText)")
    assert all("存证：第 8 项记录" in cell for cell in cells) and len(cells) == 2


def test_a_partnership_all_of_which_is_here(bin, browser, tmp_path):
    story = Partnership(40)
    path = unpack(story.bundle(PAGE), tmp_path / "case")
    rows = story.ledger.entries
    cited = [row["index"] for row in rows if row["type"] == "cert.requested"]
    signed = [row["index"] for row in rows if row["type"] == "contract.signed"]
    numbers = ", ".join(map(str, cited))
    expected = [LATER[0].format(39), f"Cited here, as application for a certificate: records {numbers}. {BOTH[0]}",
                f"Values withheld, of which only salted hashes are here: 18, in records 3, 5–6, 8–9, 11, {', '.join(map(str, signed))}. {BOTH[0]}",
                f"The electronic signatures and certificates themselves, of the signatures in records {', '.join(map(str, signed))}: records have at "
                "most their digests. Ask the parties, whoever runs the systems named (contract-service), and the certificate authorities.",
                OLDER[0], *(english for english, _ in ALWAYS)]
    for said in (by_program(bin, path, story.vkey), by_instructions(path, story.vkey), by_second_verifier(path, story.vkey), by_page(browser, path)):
        assert said[0] == expected


def made(tmp_path) -> dict[str, tuple[Path, str]]:
    """Bundles that lack one thing or another."""
    chosen = TOLD if LONG else random.Random("not here").sample(sorted(TOLD), 6)
    cases = {name: (TOLD[name].members, TOLD[name].key) for name in chosen}
    lease = Lease()
    few = [(lease.deposit, "file_name")]
    cases["nothing disclosed"] = lease.bundle(PAGE, opened=few, originals=[]), lease.vkey
    cases["no original"] = lease.bundle(PAGE, originals=[]), lease.vkey
    cases["no deposit"] = lease.bundle(PAGE, streams=[lease.contract], originals=[]), lease.vkey
    cases["nothing of the story"] = lease.bundle(PAGE, streams=[], originals=[]), lease.vkey
    cases["all of it"] = lease.bundle(PAGE, indexes=range(len(lease.ledger.entries))), lease.vkey

    # A party that signed nothing, one that declined, another contract, many signatures, deposits and systems; names that would move the text.
    ledger, contract, other = Ledger(), new_stream("contract"), new_stream("contract")
    parties = [new_stream("subject") for _ in range(3)]
    for number in range(8):
        thing = new_stream("object")
        ledger.append("evidence.deposited", [thing], {"channel": "api", "media_type": "text/plain", "product": "deposit"},
                      {thing: {"sha256": "5a" * 32} | ({"file_name": "a\u202eb\u007f \"c\" \\, 第 9 项记录"} if number % 2 else {})}, f"system-{number}")
    for one, listed in (contract, parties), (other, parties[:2]):
        ledger.append("contract.created", [one], {"parties": listed, "media_type": "text/plain"}, {one: {"sha256": "00" * 32}}, "b-service")
    ledger.append("contract.declined", [other, parties[1]], {}, {}, "a-service", parties[1])
    for number in range(25):
        ledger.append("contract.signed", sorted([contract, parties[number % 2]]), {"identity": 3, "certificate": 5, "intent": "pin", "algorithm": "ed25519"},
                      {contract: {"sha256": ("5a" if number % 3 else "5b") * 32, "signature_sha256": "00" * 32}}, f"c{number % 7}-service", parties[number % 2])
    chosen = [*range(6, len(ledger.entries))]
    closed = [key for key in ledger.openings if key[0] in chosen and key[0] != 20]
    cases["many signatures"] = ledger.bundle(PAGE, indexes=chosen, opened=closed), ledger.keys[0][1].vkey
    cases["every other record"] = ledger.bundle(PAGE, indexes=range(0, len(ledger.entries), 2)), ledger.keys[0][1].vkey
    chosen = [1, 2, *range(8, len(ledger.entries))]
    cases["two deposits"] = ledger.bundle(PAGE, indexes=chosen), ledger.keys[0][1].vkey
    return {name: (unpack(members, tmp_path / str(number)), key) for number, (name, (members, key)) in enumerate(cases.items())}


TOLD = {case.name: case for case in bundle_cases.told_cases(PAGE)}


def plain(line: str) -> str:
    """Without what each verifier makes visible in a way of its own."""
    return re.sub(r"[\u202e\u007f?]|\\u\{(202e|7f)\}|\\u(202e|007f)|\\x7f|<U\+(202E|007F)>|\\u\{202E\}|\\u\{7F\}", "#", line)


def test_all_tell_the_same_of_every_bundle(bin, browser, tmp_path):
    kinds = set()
    for name, (path, key) in made(tmp_path).items():
        program, page = by_program(bin, path, key), by_page(browser, path)
        kinds |= set(program["kinds"])
        assert page == {each: program[each] for each in page}, name
        second = by_second_verifier(path, key)
        assert second[0] == program[0], name
        assert [*map(plain, second["documents", 0])] == program["documents", 0], name
        commands = by_instructions(path, key)
        assert (commands[0], commands[1]) == (program[0], program[1]), name
        for language in (0, 1):
            assert [*map(plain, commands["documents", language])][:20] == program["documents", language][:20], name
            # As the document has it: the lines, their order and their words.
            for kind, line in zip(program["kinds"], program[language], strict=True):
                row = next(row for row in LINES if row[0].strip("`") == kind)
                assert form(row[2 + language], language).fullmatch(line), (name, line)
        order = [row[0].strip("`") for row in LINES]
        assert program["kinds"] == sorted(set(program["kinds"]), key=order.index), name
    assert kinds == {row[0].strip("`") for row in LINES} - {"BOTH"}


def test_many_signatures_of_documents_that_are_deposited_often(bin, tmp_path):
    path, key = made(tmp_path)["many signatures"]
    program = by_program(bin, path, key)
    lines = dict(zip(program["kinds"], program[0]))
    assert "of 1 of the 3 parties that record 9 lists; of 1 of the 2 parties that record 10 lists. If there are records of them" in lines["parties"]
    assert lines["signatures"].count("of record ") == 20 and " and others. Ask" in lines["signatures"]
    assert "Cited here, as identity check: record 3; as certificate: record 5. " in lines["cited"]
    assert "named (c0-service, c1-service, c2-service, c3-service, c4-service and others), and" in lines["own"]
    assert "Cited by nothing here: records 1–2, 4. " in lines["earlier"]
    assert lines["names"].startswith("Names of 3 of the 3 parties and signatories, which nothing here discloses. Ask")
    report = json.loads(subprocess.run([bin / "evidence", "verify", path, "--key", key, "--json"], capture_output=True).stdout)
    documents = [words["en"] for words in report["signedDocuments"]]
    assert len(documents) == 25 and documents[0] == "record 12: the document signed has SHA-256 5b5b5b5b5b5b…; no deposit here discloses it"
    assert documents[1].startswith("record 13: the document signed has SHA-256 5a5a5a5a5a5a…, that of the deposit in record 6 (")
    assert ", the deposit in record 7, the deposit in record 8 (" in documents[1]
    assert documents[8] == "record 20: the digest of the document signed is withheld; nothing here shows which it is"
    said = subprocess.run([bin / "evidence", "verify", path, "--key", key], capture_output=True, text=True).stdout.split("\n\n")[-1]
    # A name moves nothing, and is not taken for words of the verifier's own.
    assert "\u202e" not in said and "\u007f" not in said and '\\"c\\"' in said
