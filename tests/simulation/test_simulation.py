"""All four services in virtual time, with deaths at any await, faults in every call, and clocks that skip days."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: sets have to be walked in the same order every time."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=600, env={**os.environ})


@pytest.mark.row("F5")
@pytest.mark.row("F12")
@pytest.mark.row("F22")
@pytest.mark.row("F41")
def test_whatever_dies_hangs_or_comes_twice_every_history_ends_well() -> None:
    ended = simulate("--seeds", "300")
    told = re.search(
        r"^simulate: 300 seeds, (\d+) valid, (\d+) events, (\d+) crashes, (\d+) faults$", ended.stdout, re.M
    )
    assert told, ended.stdout[-3000:] + ended.stderr[-3000:]
    valid, *happened = map(int, told.groups())
    assert valid == 300, ended.stdout[-5000:]
    assert min(happened) > 300, "nothing happened in these histories"


def test_a_seed_tells_the_same_history_every_time() -> None:
    first, second = simulate("--show", "7"), simulate("--show", "7")
    assert first.stdout == second.stdout
    assert "key-0 is" in first.stdout
