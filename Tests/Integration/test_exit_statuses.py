"""Each status that a program can end with is explained: in the README, and in the help of the commands."""

import re
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def table(heading: str, before: str) -> dict[int, str]:
    """The rows of the README's table under that first line, up to what follows it."""
    text = (CHECKOUT / "README.md").read_text()
    rows = text[text.index(heading):].split(before)[0].splitlines()
    return {int(found[1]): found[2] for found in (re.match(r"\| (\d+) \| ([^|]+)", row) for row in rows) if found}


def named(file: str, pattern: str) -> dict[str, int]:
    """The names of statuses in a file of the sources, and their numbers."""
    return {name: int(number) for name, number in re.findall(pattern, (CHECKOUT / "Sources" / file).read_text())}


def test_those_of_the_commands(bin):
    statuses = named("evidence/Failure.swift", r"(?m)^    case (\w+) = (\d+)$")
    told = table("| status | means | of |", "## Limits")
    assert sorted(told) == [0, *sorted(statuses.values())] and len(set(statuses.values())) == len(statuses) > 10
    shown = subprocess.run([bin / "evidence", "--help"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"(?m)^  (\d+) {2,}\S", shown[shown.index("EXIT STATUS"):])
    assert list(map(int, listed)) == sorted(told)
    # None of them is there for nothing, and no command ends with a number of its own.
    sources = {path: path.read_text() for path in (CHECKOUT / "Sources/evidence").glob("*.swift")}
    for name in statuses:
        assert any(re.search(rf"\.{name}\b", text) for text in sources.values()), name
    for path, text in sources.items():
        ends = re.findall(r"ExitCode\((?!ExitStatus\.)[^)]*\)|\b_?exit\((?!status\))[^)]*\)", text)
        assert not ends, (path, ends)


def test_those_of_the_daemon(bin):
    statuses = named("evidenced/Evidenced.swift", r"static let (\w+): Int32 = (\d+)")
    told = table("| exit status | of the daemon | systemd |", "## Submit")
    assert sorted(told) == sorted({*statuses.values(), 64})       # a wrong command line is the parser's
    shown = subprocess.run([bin / "evidenced", "--help"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"(?m)^  (\d+) {2,}\S", shown[shown.index("EXIT STATUS"):])
    assert list(map(int, listed)) == sorted(told)
    unit = (CHECKOUT / "systemd/evidenced.service").read_text()
    not_restarted = {number for number, row in told.items() if number in (65, 78)}
    assert re.search(r"(?m)^RestartPreventExitStatus=(.*)$", unit)[1] == " ".join(map(str, sorted(not_restarted)))
