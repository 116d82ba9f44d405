"""VERIFY.txt: where it stands, and its commands run in an unpacked bundle by each shell it names."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXT = HERE.parents[1] / "Sources/Bundle/VERIFY.txt"
SHELLS = [shell for shell in (["dash"], ["bash"], ["bash", "--posix"], ["zsh"]) if shutil.which(shell[0])]
VERIFIED, FAILED, NOT_CONFIRMED, NO_KEY, NOT_CHECKED = 0, 1, 2, 64, 71
SECONDS = 300


def commands(text: str) -> str:
    """The lines indented by four spaces, as the text says."""
    return "".join(line[4:] + "\n" for line in text.splitlines() if line.startswith("    "))


def run(directory: Path, key: str | bytes = "", shell=("sh",), script: str | None = None, preexec_fn=None,
        **environment) -> subprocess.CompletedProcess:
    """Runs the commands of VERIFY.txt: those of the source tree, or others. Both outputs are in `stdout`."""
    return subprocess.run(
        [*shell], cwd=directory, input=(script or commands(TEXT.read_text())).encode(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=SECONDS, preexec_fn=preexec_fn,
        env={"PATH": os.environ["PATH"], "LEDGER_KEY": key} | environment,
    )


def failures(done: subprocess.CompletedProcess) -> list[str]:
    return [line for line in done.stdout.decode().split("\n") if line.startswith("FAILED")]


def unpack(members: dict[str, bytes], directory: Path) -> Path:
    """Writes the members as files; a member's name may be anything a path can be."""
    for name, content in members.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory
