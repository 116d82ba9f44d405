"""One word for each thing in all that a judge reads of a bundle: the glossary beside this file holds."""

import json
import re
import subprocess
from pathlib import Path

import bundle_containers
import pytest
from page_bundles import PAGE, Partnership, archive
from test_page import browser, chromium, drop, unpack  # noqa: F401

HERE = Path(__file__).resolve().parent
INSTRUCTIONS = (HERE.parents[1] / "Sources/Bundle/VERIFY.txt").read_text()
HAN = "\u3400-\u9fff"


def forbidden() -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in (HERE / "glossary.md").read_text().splitlines()
            if line.startswith("| ")][2:]
    assert len(rows) > 12
    english = [word for row in rows for word in row[2].split(", ") if word]
    chinese = [word for row in rows for word in row[4].split("，") if word]
    return {"en": english, "zh": chinese}


def wrong_words(text: str, language: str) -> list[str]:
    words = forbidden()[language]
    if language == "en":
        return [found[0] for word in words for found in re.finditer(rf".*\b{word}\b.*", text, re.IGNORECASE)]
    patterns = [re.sub(r"\d+", r"\\d+", re.sub(r"\s+", r"\\s*", word)) for word in words]
    return [found[0] for pattern in patterns for found in re.finditer(f".*{pattern}.*", text)]


def half_width(text: str) -> list[str]:
    """Punctuation of ASCII next to a Chinese character."""
    return re.findall(rf"[{HAN}][,;:?!()]|[,;?!()][{HAN}]", text)


@pytest.fixture(scope="module")
def told(tmp_path_factory, bin):
    """What the program prints of good and bad bundles, in both languages."""
    story, said = Partnership(), {"en": "", "zh": ""}
    directory = tmp_path_factory.mktemp("glossary")
    members = story.bundle(PAGE)
    texts = [archive(members), bundle_containers.zipped(members | bundle_containers.LEFT)]
    for name in members:
        at = len(members[name]) // 2
        if "00000000" not in name or name.endswith(("000.json", "003.json", "012.json", "012.sha256", "000.tlog-proof")):
            texts.append(archive(members | {name: members[name][:at] + b"x" + members[name][at + 1:]}))
    for text in texts:
        (directory / "case.zip").write_bytes(text)
        for language, option in (("en", []), ("zh", ["--chinese"])):
            for key in ([], ["--key", story.vkey]):
                done = subprocess.run([bin / "evidence", "verify", directory / "case.zip", *key, *option], capture_output=True)
                said[language] += done.stdout.decode()
    # And of a single record.
    index = next(number for number, row in enumerate(story.ledger.entries) if row["type"] == "evidence.deposited")
    proof, entry = members[f"proofs/{index:016}.tlog-proof"], members[f"entries/{index:016}.json"]
    for name, text in ("proof", proof), ("entry", entry), ("changed", entry.replace(b"upload", b"api")):
        (directory / name).write_bytes(text)
    for language, option in (("en", []), ("zh", ["--chinese"])):
        for name in ("entry", "changed"):
            done = subprocess.run([bin / "evidence", "verify", directory / "proof", "--entry", directory / name, "--key", story.vkey, *option],
                                  capture_output=True)
            assert done.returncode == (name == "changed"), done
            said[language] += done.stdout.decode()
    # Names of files and of members of the list of contents are no words.
    said["en"] = re.sub(r"\bentries(?= (has|must|does|is no))", "", said["en"])
    return {language: re.sub(r"[A-Za-z]+/[\w./-]+|[A-Za-z_]+\.(json|txt|html)", "", text) for language, text in said.items()}


def page_text(browser, language: str) -> str:
    browser.find(f"button[data-language='{language}']").click()
    return browser.script("return document.body.innerText")


def test_the_page(browser, tmp_path):
    story = Partnership()
    members = story.bundle(PAGE)
    browser.open(unpack(members, tmp_path) / "index.html")
    drop(browser, ("case.zip", bundle_containers.zipped(members | bundle_containers.LEFT)))
    drop(browser, ("other.txt", b"nothing"))
    browser.script("document.querySelectorAll('#technical-fold, .technical details').forEach(d => { d.open = true; d.fill?.() })")
    browser.script("document.querySelectorAll('pre, code').forEach(e => e.remove())")
    english, chinese = (re.sub(r"[\w.]+/[\w./-]*", "", page_text(browser, language)) for language in ("en", "zh-CN"))
    assert wrong_words(english, "en") == []
    assert wrong_words(chinese, "zh") == [] and half_width(chinese) == []
    for codes in ("sms-code", "sm2-sm3", "evidence.deposited", "contract.signed"):
        assert codes not in english and codes not in chinese, codes
    for word in ("记录", "加盐哈希值", "提交系统", "制作软件", "记录内容", "所附电子文件", "签署人", "密钥哈希值", "核验结果", "运营方", "记录流"):
        assert word in chinese, word


def test_all_texts_of_the_page():
    """Those, too, that are shown in rare cases only: every pair of the script."""
    script = re.search(r"<script>(.*?)</script>", PAGE.read_text(), re.DOTALL)[1]
    chinese = "\n".join(re.findall(rf"[`\"]([^`\"\n]*[{HAN}][^`\"\n]*)[`\"]", script))
    assert len(chinese) > 5_000
    assert wrong_words(chinese, "zh") == []
    without = re.sub(r"\$\{[^}]*\}", "", chinese)
    assert [found for found in half_width(without)] == []


def test_the_instructions():
    prose = "\n".join(line for line in INSTRUCTIONS.split("\n") if not line.startswith("    "))
    printed = "\n".join([
        "".join(found) for found in re.findall(r"(?:ok|note|failed|holds|same) \"([^\"]*)\"|printf '([^']*)'", INSTRUCTIONS)])
    chinese = "\n".join(re.findall(rf"[^\n]*[{HAN}][^\n]*", INSTRUCTIONS))
    assert wrong_words(prose, "en") == [] and wrong_words(re.sub(r'entries[/:]|"entries":', "", printed), "en") == []
    assert wrong_words(chinese, "zh") == []
    plain = "\n".join(line.replace('"$(cat 文件)"', "") for line in chinese.split("\n") if not line.startswith("    "))
    assert half_width(plain) == []


def test_the_program(told):
    assert wrong_words(told["en"], "en") == []
    assert wrong_words(told["zh"], "zh") == [] and half_width(told["zh"]) == []
    for word in ("记录", "哈希值", "压缩包", "仅密钥比对一致", "尚未确认"):
        assert word in told["zh"], word


def test_the_catalogue(bin):
    """Its summaries stand in the page and in the story without script."""
    lines = subprocess.run([bin / "evidence", "catalogue", "--json"], capture_output=True, check=True).stdout.decode().splitlines()
    assert wrong_words("\n".join(json.loads(line)["summary_zh"] for line in lines), "zh") == []
