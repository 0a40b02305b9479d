"""A failpoint kills the process where a test asked for it, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from shared.telemetry.failpoints import failpoint
for number in range(3):
    failpoint("one")
    failpoint("two")
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("setting", "printed", "code"),
    [("", "0 1 2", 0), ("one", "", -9), ("two:2", "0", -9), ("other,one:3", "0 1", -9), ("one:4", "0 1 2", 0)],
)
def test_the_process_dies_at_the_named_hit(setting: str, printed: str, code: int) -> None:
    environment = {**os.environ, "HUIYIN_FAILPOINT": setting}
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert (" ".join(run.stdout.split()), run.returncode) == (printed, code)
