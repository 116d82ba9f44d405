#!/usr/bin/env python3
"""Breaks the sources on purpose and demands that the tests notice.

    run.py [--sample N] [--seed N] [--list] [--check] [NAME...]

A mutant is a file NAME.patch beside this program: header lines, an empty line, a unified diff against the tree.

    Rule: what the mutant breaks, in one line
    Kill: swift FILTER          as `swift test --filter` takes it
    Kill: pytest FILE::TEST     below Tests/Integration

There are one or more Kill lines, and each test named must fail. The tree is copied first, so the checkout is never
touched; the copy is built below .build-mutants and kept from run to run. --check only tries whether every patch
applies, which takes no build. With --sample, a few mutants are drawn; the seed is printed.

Exits with 0 where every mutant was killed, with 1 where one survived, and with 2 where a patch does not apply, a mutant
does not build, or a test could not be run: a check that was not made is no kill.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCRATCH = ROOT / ".build-mutants"
TREE = SCRATCH / "tree"
LOG = SCRATCH / "log"
# A mutant may wait for ever for what it broke; a test that does not end has noticed it.
TEST_SECONDS = 300
PYTEST_FAILED = 1


class NotRun(Exception):
    """The mutant could not be tried."""


@dataclass
class Mutant:
    name: str
    rule: str
    kills: list[tuple[str, str]]
    path: Path


def read(path: Path) -> Mutant:
    """Reads a patch file's header; anything but the lines described above is refused."""
    rule, kills = None, []
    for line in path.read_text().splitlines():
        if not line:
            break
        key, _, value = line.partition(": ")
        if key == "Rule" and value and rule is None:
            rule = value
        elif key == "Kill" and (found := re.fullmatch(r"(swift|pytest) (\S.*)", value)):
            kills.append((found[1], found[2]))
        else:
            raise NotRun(f"{path.name}: not a header line: {line}")
    if rule is None or not kills:
        raise NotRun(f"{path.name}: it needs one line 'Rule: …' and at least one 'Kill: …'")
    return Mutant(path.stem, rule, kills, path)


def run(command: list[str], seconds: int | None = None) -> int | None:
    """The exit status of a command in the copy, which writes into the log; None where it did not end in time."""
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        environment = os.environ | {"EVIDENCED_BIN": str(TREE / ".build" / "debug")}
        process = subprocess.Popen(
            command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            return None


def log_since(position: int) -> str:
    return LOG.read_bytes()[position:].decode(errors="replace")


def copy_tree() -> None:
    """Brings the copy to what the checkout holds, files that git does not know yet among it; unchanged ones keep their
    times, so that only what changed is built again."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout
    wanted = {os.fsdecode(name) for name in listed.split(b"\0") if name}
    wanted = {name for name in wanted if (ROOT / name).is_file()}
    TREE.mkdir(parents=True, exist_ok=True)
    for path in TREE.rglob("*"):
        name = str(path.relative_to(TREE))
        if not path.is_dir() and not name.startswith(".build/") and name not in wanted:
            path.unlink()
    for name in wanted:
        source, target = ROOT / name, TREE / name
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


def apply(mutant: Mutant, *options: str) -> None:
    # The copy lies below a checkout; git must not take that for the tree the patch is for.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(SCRATCH)}
    tried = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", *options, str(mutant.path)],
        cwd=TREE, env=environment, capture_output=True, text=True,
    )
    if tried.returncode != 0:
        raise NotRun(f"{mutant.name}: the patch does not apply: {tried.stderr.strip()}")
    page = TREE / "Sources/Bundle/Page/index.html"
    if "--check" not in options and page.name in mutant.path.read_text():
        # Else the browser runs no script whose digest the policy has not, and every test of it fails for that.
        subprocess.run([sys.executable, TREE / "Tests/Page/update_page.py", page], check=True, capture_output=True)


def build() -> None:
    if run(["swift", "build", "--build-tests"]) != 0:
        raise NotRun(f"does not build, see {LOG}")


def notices(kind: str, test: str) -> bool:
    """Whether the test fails."""
    position = LOG.stat().st_size if LOG.exists() else 0
    if kind == "swift":
        status = run(["swift", "test", "--skip-build", "--filter", test], TEST_SECONDS)
        if status == 0 and not re.search(r"Test run with [1-9]\d* test", log_since(position)):
            raise NotRun(f"no test is named {test}")
        return status != 0
    python = ROOT / ".venv" / "bin" / "python"
    status = run([str(python), "-m", "pytest", "-q", "-x", f"Tests/Integration/{test}"], TEST_SECONDS)
    if status not in (0, PYTEST_FAILED, None):
        raise NotRun(f"pytest could not run {test} (exit status {status}), see {LOG}")
    if status == 0 and not re.search(r"\b[1-9]\d* passed", log_since(position)):
        raise NotRun(f"{test} was skipped")
    return status != 0


def try_mutant(mutant: Mutant) -> list[str]:
    """The tests that did not notice the mutant."""
    apply(mutant)
    try:
        build()
        return [f"{kind} {test}" for kind, test in mutant.kills if not notices(kind, test)]
    finally:
        apply(mutant, "--reverse")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--sample", type=int, help="draw this many")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--list", action="store_true", help="say which there are, and end")
    parser.add_argument("--check", action="store_true", help="only try whether the patches apply")
    options = parser.parse_args()

    failures = []
    mutants = []
    for path in sorted(HERE.glob("*.patch")):
        try:
            mutants.append(read(path))
        except NotRun as refusal:
            failures.append(str(refusal))
    if unknown := set(options.names) - {mutant.name for mutant in mutants}:
        failures.append(f"there is no mutant {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in mutants if not options.names or mutant.name in options.names]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name}: {mutant.rule}")
        return 2 if failures else 0
    if options.sample is not None and options.sample < len(chosen):
        chosen = random.Random(options.seed).sample(chosen, options.sample)
        print(f"mutants: {len(chosen)} of {len(mutants)}, seed {options.seed}", flush=True)

    copy_tree()
    LOG.unlink(missing_ok=True)
    killed, survived = 0, 0
    try:
        if not options.check and chosen and not failures:
            build()
    except NotRun as refusal:
        failures.append(f"the tree {refusal}")
        chosen = []
    for number, mutant in enumerate(chosen, 1):
        if sys.stdout.isatty():
            print(f"[{number}/{len(chosen)}] {mutant.name} ...", end="\r", flush=True)
        began = time.monotonic()
        try:
            if options.check:
                apply(mutant, "--check")
                continue
            unnoticed = try_mutant(mutant)
        except NotRun as refusal:
            failures.append(f"{mutant.name}: {refusal}" if mutant.name not in str(refusal) else str(refusal))
            continue
        seconds = round(time.monotonic() - began)
        if unnoticed:
            survived += 1
            print(f"SURVIVED {mutant.name} ({mutant.rule}): not noticed by {', '.join(unnoticed)}", flush=True)
        else:
            killed += 1
            print(f"killed {mutant.name} ({seconds} s)", flush=True)
    for failure in failures:
        print(f"NOT RUN {failure}", flush=True)
    if options.check:
        print(f"mutants: {len(chosen)} read, {len(failures)} that do not apply")
    else:
        print(f"mutants: {killed} killed, {survived} survived, {len(failures)} not run")
    return 2 if failures else 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
