#!/usr/bin/env python3
"""Brings index.html in step: the catalogue inside it, and the hashes of its script and style in its policy.

    update_page.py [--catalogue FILE] [--check] [index.html]

FILE is what `evidence catalogue --json` prints, `-` for standard input; without it the catalogue is left as it is.
With --check nothing is written, and the exit status is 1 where the page is not in step.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path

POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'none'; img-src 'none'; "
    "form-action 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
RULES = (
    (r"one of (.*)", lambda m: "code " + m[1].replace(",", "")),
    (r"a list of different words of (.*)", lambda m: "codes " + m[1].replace(",", "")),
    (r"a code word of .* of 1 to (\d+) bytes", r"word \1"),
    (r"a version such as \S+", "version"),
    (r"a language tag such as \S+", "language"),
    (r"a country of ISO 3166-1 in two capitals", "country"),
    (r"a currency of ISO 4217 in three capitals", "currency"),
    (r"a media type such as \S+", "media"),
    (r"a name of letters, digits and \S+ of 1 to (\d+) bytes", r"origin \1"),
    (r"a verification key \S+", "vkey"),
    (r"a host name in lower case", "host"),
    (r"(\d+) to (\d+) lower-case hex digits, two for each byte", r"hex \1 \2"),
    (r"an integer from (-?\d+) to (-?\d+)", r"integer \1 \2"),
    (r"true or false", "boolean"),
    (r"a time such as \S+", "time"),
    (r"the index of an earlier entry", "index"),
    (r"a list of 1 to 64 indexes of earlier entries", "indexes"),
    (r"32 lower-case hex digits", "id"),
    (r"a list of 1 to 64 streams, kind/ID", "streams"),
    (r"64 lower-case hex digits", "digest"),
    (r"32 bytes in base64", "hash"),
    (r"64 bytes in base64", "signature"),
    (r"text of 1 to (\d+) bytes", r"text \1"),
)


def compact_rule(rule: str) -> str:
    for pattern, replacement in RULES:
        if match := re.fullmatch(pattern, rule):
            return replacement(match) if callable(replacement) else match.expand(replacement)
    raise SystemExit(f"a rule this script does not know: {rule}")


def compact_fields(fields: list) -> dict:
    return {field["name"] + ("" if field["required"] else "?"): compact_rule(field["rule"]) + cited(field) for field in fields}


def cited(field: dict) -> str:
    """What a field that cites entries may cite, and what they must share."""
    if not (rule := field.get("cites")):
        return ""
    return f" {','.join(rule['types']) or '*'} {rule['shares'] or '-'}"


def catalogue_table(lines: str) -> str:
    rows = []
    for line in lines.splitlines():
        kind = json.loads(line)
        row = [
            kind["summary"], kind["summary_zh"], " ".join(kind["streams"]),
            compact_fields(kind["body"]), compact_fields(kind["claims"]),
        ]
        rows.append(f"    {json.dumps(kind['type'])}: {json.dumps(row, ensure_ascii=False, separators=(',', ':'))},")
    return "\n".join(rows)


def element(page: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    assert len(found) == 1, f"the page must have one <{tag}> without attributes, and has {len(found)}"
    return found[0]


def policy_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def in_step(page: str, catalogue: str | None) -> str:
    if catalogue is not None:
        table = catalogue_table(catalogue)
        page, count = re.subn(
            r"(// catalogue begins[^\n]*\n).*?( *// catalogue ends)", lambda m: f"{m[1]}{table}\n{m[2]}", page,
            flags=re.DOTALL,
        )
        assert count == 1, "the page must have one catalogue"
    policy = POLICY.format(script=policy_hash(element(page, "script")), style=policy_hash(element(page, "style")))
    page, count = re.subn(
        r'(http-equiv="Content-Security-Policy" content=")[^"]*', lambda m: m[1] + policy, page
    )
    assert count == 1, "the page must have one policy"
    for place in ("BUNDLE_DATA", "BUNDLE_STORY"):
        assert page.count(place) == 1, f"{place} must stand in the page once"
    return page


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--catalogue")
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("page", nargs="?", type=Path, default=Path(__file__).with_name("index.html"))
    given = arguments.parse_args()
    catalogue = None
    if given.catalogue:
        catalogue = sys.stdin.read() if given.catalogue == "-" else Path(given.catalogue).read_text()
    before = given.page.read_text()
    after = in_step(before, catalogue)
    if before == after:
        return 0
    if given.check:
        print(f"{given.page} is not in step: run update_page.py", file=sys.stderr)
        return 1
    given.page.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
