"""A ledger in a directory of its own, driven by the real programs `evidenced` and `evidence`.

    with Ledger(tmp_path, message_bytes="64K").init().start() as ledger:
        reply = ledger.append(events.deposit(b"..."))

Keyword arguments are keys of the configuration file, with `_` for `-`. Whoever runs the tests is the principal
`tests`, with all roles unless told otherwise.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from wire import CallError, UnixHTTPConnection, Wire  # noqa: F401  CallError is part of this module's face

ROLES = ("submitter", "reader", "auditor", "discloser", "operator", "eraser", "retriever")
ORIGIN = "tests.example/ledger"
PRINCIPAL = "tests"
COMMAND_SECONDS = 60
START_SECONDS = 30
STOP_SECONDS = 30

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def binaries() -> Path:
    """Where the programs are: $EVIDENCED_BIN, or what `swift build` made in this checkout."""
    if directory := os.environ.get("EVIDENCED_BIN"):
        found = Path(directory)
    else:
        checkout = Path(__file__).resolve().parents[2]
        command = ["swift", "build", "--show-bin-path"]
        shown = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
        found = Path(shown.stdout.strip())
    for name in ("evidenced", "evidence"):
        assert os.access(found / name, os.X_OK), f"{found / name} is missing: run `swift build` first"
    return found


def require(tool: str) -> str:
    """The path of a program a test can't do without."""
    path = shutil.which(tool)
    assert path, f"{tool} is not installed: run `make deps`"
    return path


def die_with_parent():
    """In a child before it runs: no test run that is killed leaves processes behind."""
    # Whoever runs the tests in the background may ignore these, and a program goes on ignoring what its parent did.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Ledger:
    def __init__(self, root, bin: Path | None = None, roles=ROLES, types=None, origin: str = ORIGIN,
                 suite: str | None = None, **settings):
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.bin = bin or _cached_binaries()
        self.origin = origin
        self.suite = suite
        self.store = self.root / "store"
        self.index = self.root / "index"
        self.keys = self.root / "keys"
        self.lock = self.root / "lock" / "checkpoint.lock"
        self.keyring = self.root / "keyring"
        self.objects = self.root / "objects"
        self.socket = self.root / "s"
        self.config = self.root / "evidenced.conf"
        self.backups = self.root / "backups"
        self.log = self.root / "daemon.log"
        self.process: subprocess.Popen | None = None
        self.vkey: str | None = None
        assert len(str(self.socket)) <= 107, f"no Unix socket can have so long a path: {self.socket}"
        self.backups.mkdir(exist_ok=True)
        # A map this small leaves the disk alone; it grows where a test needs more.
        self.settings = {"map-size": "16M", "index-map-size": "16M"}
        # Tests look into /proc of the daemon; of one that is closed to tracing only root may.
        if os.geteuid() != 0:
            self.settings["traceable"] = "yes"
        self.configure(roles=roles, types=types, **settings)

    def configure(self, roles=ROLES, types=None, principal: str = PRINCIPAL, **settings):
        """Writes the configuration file; settings add up over calls, and None takes a key out."""
        self.settings |= {name.replace("_", "-"): value for name, value in settings.items()}
        lines = {
            "store": self.store, "index": self.index, "keys": self.keys, "checkpoint-lock": self.lock, "keyring": self.keyring,
            "socket": self.socket, "backup-root": self.backups, "objects": self.objects,
        } | self.settings
        if roles:
            lines |= {f"principal.{principal}": f"uid:{os.getuid()}", f"role.{principal}": ", ".join(roles)}
        if types:
            lines[f"types.{principal}"] = ", ".join(types)
        self.config.write_text("".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None))
        return self

    # The ledger's life

    def init(self):
        made = self.admin("init", "--origin", self.origin, *(["--suite", self.suite] if self.suite else []))
        self.vkey = made.stdout.strip()
        return self

    def start(self, wait: bool = True, env: dict | None = None, wrapper=(), args=(), **popen):
        """Starts the daemon. Call it from the main thread: the daemon ends with the thread that started it."""
        assert self.process is None, "the daemon runs already"
        command = [*map(str, wrapper), str(self.bin / "evidenced"), "--config", str(self.config), *map(str, args)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root,
                env=self.environment | (env or {}), preexec_fn=die_with_parent, **popen,
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds: float = START_SECONDS):
        deadline = time.monotonic() + seconds
        while True:
            try:
                with Wire(self.socket) as wire:
                    wire.call("org.varlink.service.GetInfo")
                    self._wait_until_start_is_recorded(wire)
                return self
            except (OSError, AssertionError) as error:
                status = self.process.poll()
                if status is not None:
                    self.process = None
                    raise StartFailed(status, self.log_text()) from error
                assert time.monotonic() < deadline, f"the daemon does not answer: {self.log_text()}"
                time.sleep(0.02)

    @staticmethod
    def _wait_until_start_is_recorded(wire: Wire):
        """The daemon serves before its own two entries about its start are in; sizes would be guesses until then."""
        try:
            # What found no room is counted as refused.
            while (status := wire.call("Status"))["appended"] + status["refused"] < 2 and status["acceptsAppends"]:
                time.sleep(0.002)
        except CallError as error:
            assert error.name == "PermissionDenied", error

    def run_until_exit(self, seconds: float = START_SECONDS, **start) -> int:
        """Starts a daemon that is expected to refuse; gives its exit status."""
        self.start(wait=False, **start)
        return self.wait(seconds)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Waits for the daemon's end; gives its exit status."""
        process, self.process = self.process, None
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the daemon did not end in {seconds} s: {self.log_text()}") from None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> int:
        self.process.kill()
        return self.wait()

    def restart(self):
        assert self.stop() == 0, self.log_text()
        return self.start()

    def close(self):
        """Ends the daemon where it still runs, whatever it is doing."""
        if self.process is not None:
            self.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # The command line

    @property
    def environment(self) -> dict:
        """The environment programs run in: nothing of the tester's but the path."""
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "EVIDENCED_SOCKET": str(self.socket)}

    def evidence(self, *args, status: int | None = 0, input=None, cwd=None, env: dict | None = None,
                 seconds: float = COMMAND_SECONDS):
        """Runs `evidence`; the exit status must be `status` unless that is None. Gives the completed process."""
        done = subprocess.run(
            [str(self.bin / "evidence"), *map(str, args)], input=input, capture_output=True, text=not isinstance(
                input, bytes), cwd=cwd or self.root, env=self.environment | (env or {}), timeout=seconds,
            **({} if input is not None else {"stdin": subprocess.DEVNULL}),
        )
        if status is not None:
            assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def evidence_json(self, *args, **options) -> list:
        """Runs `evidence … --json`; gives the values it printed, one a line."""
        return [json.loads(line) for line in self.evidence(*args, "--json", **options).stdout.splitlines()]

    def admin(self, command: str, *args, **options):
        """Runs a command that works on the ledger's files: init, audit, recover."""
        return self.evidence(command, "--config", self.config, *args, **options)

    def audit(self, *args, status: int = 0, seconds: float = COMMAND_SECONDS) -> dict:
        return json.loads(self.admin("audit", "--json", *args, status=status, seconds=seconds).stdout)

    # The socket

    def wire(self, timeout: float = 30) -> Wire:
        return Wire(self.socket, timeout)

    def http(self, timeout: float = 30) -> UnixHTTPConnection:
        return UnixHTTPConnection(self.socket, timeout)

    def call(self, method: str, parameters: dict | None = None) -> dict:
        """One native call on a connection of its own; raises CallError."""
        with self.wire() as wire:
            return wire.call(method, parameters)

    def append(self, *events: dict, proofs: bool | None = None) -> dict:
        parameters = {"events": list(events)} | ({} if proofs is None else {"proofs": proofs})
        return self.call("Append", parameters)

    def erase(self, *events: dict, proofs: bool | None = None) -> dict:
        parameters = {"events": list(events)} | ({} if proofs is None else {"proofs": proofs})
        return self.call("org.evidenced.Privacy.Erase", parameters)

    @property
    def size(self) -> int:
        return self.call("GetCheckpoint")["size"]

    def entry(self, index: int) -> dict:
        return self.call("GetEntry", {"index": index})["entry"]

    def entries(self) -> list[dict]:
        """All entries, as {"index", "leaf", "entry"}."""
        with self.wire() as wire:
            pages = list(wire.stream("ListEntries", {"limit": 1000}))
        return [entry for page in pages for entry in page["entries"]]


class StartFailed(AssertionError):
    """The daemon ended before it served."""

    def __init__(self, status: int, log: str):
        super().__init__(f"the daemon ended with status {status}: {log}")
        self.status = status
        self.log = log


_found: Path | None = None


def _cached_binaries() -> Path:
    global _found
    _found = _found or binaries()
    return _found


def processes_below(directory) -> list[int]:
    """Processes whose command line names a path below a directory, but for this one and what started it."""
    own, process = set(), os.getpid()
    while process > 1:
        own.add(process)
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(directory) in path.read_bytes() and int(path.parent.name) not in own:
                found.append(int(path.parent.name))
        except OSError:
            continue  # it ended meanwhile
    return found
