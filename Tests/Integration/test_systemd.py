"""Under systemd: socket activation, readiness, watchdog, units and what `make install` installs."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import events
from ledger import require

CHECKOUT = Path(__file__).resolve().parents[2]
LAUNCHER = Path(__file__).with_name("activate.py")


# Socket activation


@pytest.fixture
def listener(tmp_path):
    """A listening socket at another place than the configured one."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "a"))
        made.listen()
        made.setblocking(False)
        yield made


def activated(ledger, *sockets: socket.socket, count: int | None = None, **start):
    numbers = [made.fileno() for made in sockets]
    wrapper = [sys.executable, LAUNCHER, ",".join(map(str, numbers)), len(numbers) if count is None else count]
    return ledger.start(wrapper=wrapper, pass_fds=numbers, **start)


def test_the_daemon_serves_the_socket_it_is_given(make_ledger, listener):
    ledger = make_ledger().init()
    configured, ledger.socket = ledger.socket, Path(listener.getsockname())
    # A client may come before the daemon does.
    with ledger.wire() as early:
        early.send_call("GetCheckpoint")
        activated(ledger, listener)
        assert early.reply()["size"] >= 1
    for _ in range(2):
        assert not configured.exists()
        ledger.append(events.closure())
        assert ledger.stop() == 0 and ledger.socket.is_socket(), "the socket is the service manager's"
        activated(ledger, listener)


def test_sockets_that_are_not_for_it_are_refused(make_ledger, listener, tmp_path):
    ledger = make_ledger().init()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams, socket.socket(socket.AF_UNIX) as deaf:
        datagrams.bind(str(tmp_path / "d"))
        for given in ([listener, deaf], [datagrams], [deaf]):
            activated(ledger, *given, wait=False)
            assert ledger.wait() == 71
    activated(ledger, count=1, wait=False)
    assert ledger.wait() == 71


def test_no_sockets_and_sockets_of_another_process_leave_the_configured_one(make_ledger, listener):
    ledger = make_ledger().init()
    activated(ledger, count=0)
    assert ledger.stop() == 0
    ledger.start(env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    assert ledger.append(events.closure())


# Notifications


class Manager:
    """What listens on $NOTIFY_SOCKET."""

    def __init__(self, name: str):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(30)
        self.environment = {"NOTIFY_SOCKET": name.replace("\0", "@")}

    def states(self, until: str) -> list[str]:
        """What arrives until a state does, that one included."""
        states = []
        while until not in states:
            states += self.socket.recv(4096).decode().splitlines()
        return states


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "n") if request.param == "path" else f"\0evidenced-tests-{os.getpid()}-{time.monotonic_ns()}"
    made = Manager(name)
    yield made
    made.socket.close()


def test_readiness_is_told_once_it_serves_and_the_stop_when_it_begins(make_ledger, manager):
    ledger = make_ledger().init()
    ledger.start(wait=False, env=manager.environment)
    states = manager.states("READY=1")
    assert ledger.call("GetCheckpoint")["size"] >= 1, "who is told so can connect"
    assert any(state.startswith("STATUS=") and ledger.origin in state for state in states)
    ledger.process.terminate()
    assert not any(state.startswith("WATCHDOG") for state in manager.states("STOPPING=1"))
    assert ledger.wait() == 0


def test_the_watchdog_gets_its_signs_of_life(make_ledger, manager):
    ledger = make_ledger().init()
    ledger.start(wait=False, env=manager.environment | {"WATCHDOG_USEC": "200000"})
    manager.states("READY=1")
    times = []
    while len(times) < 6:
        manager.states("WATCHDOG=1")
        times.append(time.monotonic())
    assert max(later - earlier for earlier, later in zip(times, times[1:], strict=False)) < 5
    assert ledger.stop() == 0


def test_a_refused_start_is_never_ready(make_ledger, manager):
    ledger = make_ledger().init()
    ledger.lock.unlink()
    assert ledger.run_until_exit(env=manager.environment) == 65
    manager.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        manager.states("READY=1")


def test_nobody_at_the_notify_socket_is_no_reason_to_stop(make_ledger, tmp_path):
    ledger = make_ledger().init().start(env={"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "100000"})
    assert ledger.append(events.closure()) and ledger.stop() == 0


def test_the_keyring_may_come_as_a_credential(make_ledger, tmp_path):
    ledger = make_ledger().init()
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    shutil.move(ledger.keyring, credentials / "keyring")
    # systemd grants the service's user its right by an access list, which shows as the group's.
    (credentials / "keyring").chmod(0o440)
    ledger.configure(keyring=None)
    ledger.config.write_text(re.sub(r"(?m)^keyring = .*\n", "", ledger.config.read_text()))
    ledger.start(env={"CREDENTIALS_DIRECTORY": str(credentials)})
    assert ledger.append(events.deposit(b"x")) and ledger.stop() == 0
    (credentials / "keyring").chmod(0o444)
    assert ledger.run_until_exit(env={"CREDENTIALS_DIRECTORY": str(credentials)}) == 65


# What is installed


@pytest.fixture
def make(tmp_path, bin):
    """Runs `make` in the checkout with the programs under test in the place of a release build."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "swift").write_text(f'#!/bin/sh\necho "{bin}"\n')
    (tools / "swift").chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    def run(*args):
        subprocess.run([require("make"), "-s", "-C", CHECKOUT, *args], env=environment, check=True, timeout=120,
                       capture_output=True)

    return run


@pytest.fixture
def installed(make, tmp_path):
    """An installed tree: its root and the arguments it was made with."""
    root = tmp_path / "root"
    root.mkdir()
    make("install", f"DESTDIR={root}", "PREFIX=/opt/ledger", "SYSCONFDIR=/opt/etc")
    return root


def test_install_puts_everything_in_its_place_and_uninstall_leaves_data_alone(make, installed):
    prefix = installed / "opt/ledger"
    expected = {
        "bin/evidenced": 0o755, "bin/evidence": 0o755, "lib/systemd/system/evidenced.service": 0o644,
        "lib/systemd/system/evidenced.socket": 0o644, "lib/sysusers.d/evidenced.conf": 0o644,
        "lib/tmpfiles.d/evidenced.conf": 0o644, "share/doc/evidenced/ledger-format.md": 0o644,
        "share/doc/evidenced/README.md": 0o644, "share/bash-completion/completions/evidence": 0o644,
        "share/zsh/site-functions/_evidence": 0o644, "share/fish/vendor_completions.d/evidence.fish": 0o644,
    }
    for name, mode in expected.items():
        assert (prefix / name).stat().st_mode & 0o777 == mode, name
    for path in installed.rglob("*"):
        if path.is_file() and "bin" not in path.parts:
            assert not re.search(rb"@[A-Z]+@", path.read_bytes()), f"{path} has an unfilled place"
    for program in ("evidenced", "evidence"):
        subprocess.run([prefix / "bin" / program, "--help"], check=True, capture_output=True)
    configuration = installed / "opt/etc/evidenced/evidenced.conf"
    check = [prefix / "bin/evidenced", "--config", configuration, "--check-config"]
    subprocess.run(check, check=True, capture_output=True)
    configuration.write_text("# mine\n")
    make("install", f"DESTDIR={installed}", "PREFIX=/opt/ledger", "SYSCONFDIR=/opt/etc")
    assert configuration.read_text() == "# mine\n"
    make("uninstall", f"DESTDIR={installed}", "PREFIX=/opt/ledger", "SYSCONFDIR=/opt/etc")
    assert [path for path in installed.rglob("*") if path.is_file()] == [configuration]


def test_the_installed_example_is_the_daemons_own_reference(bin):
    shown = subprocess.run([bin / "evidenced", "--help-config"], capture_output=True, text=True, check=True).stdout
    assert (CHECKOUT / "systemd/evidenced.conf").read_text().rstrip() == shown.rstrip()


def test_systemd_takes_the_units_as_they_are(tmp_path, bin):
    for unit in ("evidenced.service", "evidenced.socket"):
        text = (CHECKOUT / "systemd" / unit).read_text()
        # The program must be there for systemd to be content.
        text = text.replace("@PREFIX@/bin", str(bin)).replace("@PREFIX@", str(tmp_path)).replace("@SYSCONFDIR@", "/etc")
        (tmp_path / unit).write_text(text)
    done = subprocess.run(
        [require("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", tmp_path / "evidenced.service",
         tmp_path / "evidenced.socket"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and str(tmp_path) not in done.stderr, done.stderr


def test_the_service_is_shut_in(tmp_path, bin):
    text = (CHECKOUT / "systemd/evidenced.service").read_text()
    (tmp_path / "evidenced.service").write_text(re.sub(r"@PREFIX@/bin", str(bin), text).replace("@SYSCONFDIR@", "/etc"))
    done = subprocess.run(
        [require("systemd-analyze"), "security", "--offline=true", "--threshold=20", "--no-pager",
         tmp_path / "evidenced.service"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
