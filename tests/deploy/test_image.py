"""The image: what its build takes from the lock, and that what it copies is enough to serve.

No image is built here. The instructions are read, and what they say is done in a folder.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from services.four import SERVICES
from tests.support.eventually import eventually
from tests.support.http import calling
from tests.support.tools import ROOT, ran, tool

TEXT = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STAGES = [stage.splitlines() for stage in re.split(r"(?m)^FROM ", TEXT)[1:]]
LAST = STAGES[-1]


def words(instruction: str, stage: list[str]) -> list[list[str]]:
    """The words of every such instruction of a stage."""
    return [shlex.split(line)[1:] for line in stage if line.startswith(f"{instruction} ")]


def packages(requirements: str) -> set[str]:
    return set(re.findall(r"(?m)^([a-z0-9._-]+)==", requirements))


def test_every_requirement_that_is_installed_has_the_hashes_of_the_lock(tmp_path: Path) -> None:
    uv = tool("uv", fetched="make .venv/.ready")
    build = next(stage for stage in STAGES if stage[0].endswith("AS packages"))
    export = next(line for line in build if "uv export" in line)
    asked = shlex.split(export.partition("uv export")[2].partition("&&")[0])
    listed = tmp_path / "requirements.txt"
    asked[asked.index("--output-file") + 1] = str(listed)
    ran(uv, "export", *asked)
    requirements = listed.read_text()
    lock = {entry["name"]: entry for entry in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    for name, version, rest in re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)((?:.*\\\n)*.*)", requirements):
        entry = lock[name]
        known = {file["hash"] for file in [*entry.get("wheels", []), entry.get("sdist", {"hash": ""})]}
        hashes = set(re.findall(r"--hash=(\S+)", rest))
        assert entry["version"] == version
        assert hashes
        assert hashes <= known, name
    installed = packages(requirements)
    assert {"fastapi", "aiokafka", "motor", "opentelemetry-exporter-otlp-proto-http"} <= installed
    assert not {"pytest", "ruff", "playwright"} & installed
    assert "--require-hashes" in TEXT


def test_it_runs_as_nobody_in_particular_and_its_command_chooses_the_service() -> None:
    assert words("USER", LAST) == [["10001:10001"]]
    assert 'ENTRYPOINT ["python", "-m", "services"]' in LAST
    ports = {service.port for service in SERVICES}
    exposed = {int(port) for port in words("EXPOSE", LAST)[0]}
    assert exposed == {8080} | ports | {port + 1000 for port in ports}


def test_the_builder_is_sent_what_is_copied_and_nothing_that_was_built() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.split("/")[0]
        for stage in STAGES
        for line in words("COPY", stage)
        if not line[0].startswith("--from")
        for source in line[:-1]
    }
    assert copied == sent
    for name in sent:
        assert (ROOT / name).exists()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The folder `/app` of the image, without the scripts that another stage builds."""
    app = tmp_path / "app"
    app.mkdir()
    for *sources, target in (line for line in words("COPY", LAST) if not line[0].startswith("--from")):
        for source in sources:
            there = app if target == "./" else app / target
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__", "dist", "node_modules")
                )
            else:
                shutil.copy(ROOT / source, there)
    return app


async def test_what_is_copied_into_it_is_enough_to_serve(image: Path, tmp_path: Path) -> None:
    environment = {"HUIYIN_DATA": str(tmp_path / "data"), "HUIYIN_PORT": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    whose = "import services, shared; print(services.__file__, shared.__file__)"
    found = subprocess.run([sys.executable, "-c", whose], cwd=image, capture_output=True, text=True, check=True)
    assert all(path.startswith(str(image)) for path in found.stdout.split()), "the code of the image, not of this tree"
    with subprocess.Popen(
        [sys.executable, "-m", "services", "serve"], cwd=image, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address

            async def ready() -> bool:
                async with calling(address[0]) as client:
                    return (await client.get("/ready")).status_code == 200

            await eventually(ready, within=30)
        finally:
            process.terminate()
    assert process.returncode == 0
