"""The demo is the first thing anybody runs: it must get to its end."""

import os
import subprocess
from pathlib import Path

from ledger import binaries

DEMO = Path(__file__).resolve().parents[1] / "Demo/demo.sh"


def test_the_demo_gets_to_its_end(tmp_path):
    done = subprocess.run(
        [DEMO, binaries()], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "── What happened" in done.stdout
