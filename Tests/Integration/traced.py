"""The daemon under strace: every call that changes a file, in order, with its data where that is asked for; and
faults put into single calls."""

import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from faults import child_of, wait_for
from ledger import STOP_SECONDS, Ledger, require

# What changes files, or makes changes durable.
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "copy_file_range", "sendfile")
SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync", "syncfs")
NAMES = ("open", "openat", "creat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat",
         "rmdir", "link", "linkat", "symlink", "symlinkat")
SIZES = ("truncate", "ftruncate", "fallocate")
FILE_CALLS = WRITES + SYNCS + NAMES + SIZES


def start_traced(ledger: Ledger, trace: Path, *options: str) -> int:
    """Starts the daemon under strace and waits until it serves; gives the daemon's own process id.

    `ledger.process` is strace, which ends with the daemon's status. Raises StartFailed where the daemon ends first.
    """
    # The daemon must not outlive strace, which is its parent.
    wrapper = [require("strace"), "-f", "-o", trace, *options, require("setpriv"), "--pdeathsig", "KILL"]
    ledger.start(wait=False, wrapper=wrapper)
    strace = ledger.process
    ledger.wait_until_ready()
    return wait_for(lambda: child_of(strace.pid, "evidenced"), 5, "the traced daemon")


def stop_traced(ledger: Ledger, pid: int, number: int = signal.SIGTERM) -> int:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    return ledger.wait(STOP_SECONDS)


@dataclass
class Call:
    thread: int
    name: str
    arguments: str
    result: int | None
    """None where the process ended within the call."""
    began: int
    """Line of the trace where the call began; `ended` is that where it returned."""
    ended: int
    injected: bool

    @property
    def path(self) -> str | None:
        """The file a descriptor stands for, or the path that is named."""
        if match := re.match(r"-?\d+<([^>]*)>", self.arguments):
            if self.name in NAMES and (named := re.search(r'"([^"]*)"', self.arguments)):
                return unescape(named[1]).decode(errors="replace")
            return unescape(match[1]).decode(errors="replace")
        named = re.search(r'"([^"]*)"', self.arguments)
        return unescape(named[1]).decode(errors="replace") if named else None


_LINE = re.compile(r"^(\d+) +(.*)$", re.S)
_WHOLE = re.compile(r"^(\w+)\((.*)\) += (-?\d+|\?)([^\n]*)$", re.S)
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$", re.S)


def read_trace(path: Path) -> list[Call]:
    """The calls in the order in which they returned; those that never did are last."""
    calls: list[Call] = []
    open_calls: dict[int, tuple[int, str]] = {}
    with path.open(errors="replace") as lines:
        for number, line in enumerate(lines):
            match = _LINE.match(line.rstrip("\n"))
            if not match or match[2].startswith(("---", "+++")):
                continue
            thread, text = int(match[1]), match[2]
            began = number
            if text.endswith("<unfinished ...>"):
                open_calls[thread] = (number, text.removesuffix("<unfinished ...>"))
                continue
            if resumed := _RESUMED.match(text):
                began, head = open_calls.pop(thread, (number, f"{resumed[1]}("))
                text = head + resumed[2]
            if whole := _WHOLE.match(text):
                result = None if whole[3] == "?" else int(whole[3])
                injected = "(INJECTED)" in whole[4]
                calls.append(Call(thread, whole[1], whole[2], result, began, number, injected))
    for thread, (number, text) in open_calls.items():
        name, _, arguments = text.partition("(")
        calls.append(Call(thread, name, arguments, None, number, 1 << 60, False))
    return calls


def unescape(text: str) -> bytes:
    """The bytes of a string as strace writes it with -xx, or with ASCII as itself."""
    if text.startswith("\\x"):
        return bytes.fromhex(text.replace("\\x", ""))
    return text.encode()
