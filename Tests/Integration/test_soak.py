"""The soak, for as long as a test may take; `soak.py` runs it for as long as you like."""

import subprocess
import sys
from pathlib import Path

import pytest

from faults import LONG, SEED, Broken
from soak import MIB, Gauge, flat, soak


def test_soak(make_ledger):
    ledger = make_ledger(map_size="64M", index_map_size="64M").init()
    report = soak(ledger, 300 if LONG else 22, 20 if LONG else 3, SEED)
    print(f"seed {SEED}", *report.lines(), sep="\n")
    assert report.events > 100 and report.proofs > 10 and report.watched > 50 and report.backups > 0


def test_command_says_what_is_wrong_with_its_arguments():
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("soak.py")), "--minutes", "0"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--minutes" in done.stderr


def gauge(*samples) -> Gauge:
    made = Gauge(0)
    made.samples = list(samples)
    return made


def test_flatness_check_sees_leaks():
    steady = gauge(*[(100 * MIB, 20)] * 90)
    assert flat([steady]) == ([(100 * MIB, 100 * MIB)], [(20, 20)])
    with pytest.raises(Broken, match="memory rises"):
        flat([steady, gauge(*[(100 * MIB + number * MIB, 20) for number in range(90)])])
    with pytest.raises(Broken, match="open files rise"):
        flat([gauge(*[(100 * MIB, 20 + number // 4) for number in range(90)])])
    assert flat([gauge(*[(number * 100 * MIB, 20) for number in range(5)])]) == ([], [])
