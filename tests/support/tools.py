"""Programs that check what is deployed. One that is missing is a failure under `CI` and a skip elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = (Path(sys.executable).parent, ROOT / ".uv" / "bin", ROOT / ".tools" / "bin", Path("/usr/sbin"))


def tool(*names: str, fetched: str) -> str:
    """The path of the first of these programs that is here. `fetched`: how to get one, told where there is none."""
    places = os.pathsep.join([*map(str, PLACES), os.environ.get("PATH", "")])
    for name in names:
        if found := shutil.which(name, path=places):
            return found
    complain = pytest.fail if os.environ.get("CI") else pytest.skip
    complain(f"{' and '.join(names)} not found: {fetched}")
    raise AssertionError


def ran(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a program prints; a status other than 0 fails with all it said."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout
