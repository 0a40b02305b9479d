"""`docker-compose.yml`, without an engine: its shape, its secrets, and its agreement with the code."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.secrets import made, write
from services.four import SERVICES
from tests.support.tools import ROOT, ran, tool

FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
ONCE = {"topic", "users"}
"""What ends when it is done."""
SILENT = {"collector", "mail", *ONCE}
"""What has no health check here: an image that holds no program to ask with, one that brings its own, and what ends."""


def test_it_is_what_the_specification_allows() -> None:
    check = tool("check-jsonschema", fetched="uv sync --group operations")
    ran(check, "--builtin-schema", "vendor.compose-spec", FILE)


def test_every_secret_comes_from_the_file_of_make_secrets_and_has_no_default() -> None:
    required = set(re.findall(r"\$\{(\w+):\?run make secrets\}", TEXT))
    assert required == made().keys()
    others = set(re.findall(r"\$\{(\w+)", TEXT)) - required
    assert not [name for name in others if re.search("PASSWORD|KEY|SECRET|TOKEN", name)]
    assert all(f"${{{name}:-" in TEXT for name in others), "what is not required has a default"


def test_secrets_are_new_each_time_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    write(str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert kept.keys() == made().keys()
    assert not set(kept.values()) & set(made().values())
    assert all(re.fullmatch("[A-Za-z0-9_]{16,}", value) for value in kept.values()), "nothing that needs quoting"
    again = subprocess.run(
        [sys.executable, "-m", "deploy.secrets", file], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert "stays as it is" in again.stderr
    with pytest.raises(FileExistsError):
        write(str(file))


def test_no_secret_of_compose_is_ever_committed() -> None:
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])
def test_a_service_is_asked_at_its_own_port_and_stops_in_its_own_time(service: Any) -> None:
    own = COMPOSE["services"][service.name]
    assert own["command"] == ["serve", service.name]
    assert f":{service.port + 1000}/ready" in own["healthcheck"]["test"][-1]
    assert f"mongodb://{service.name}:" in own["environment"]["HUIYIN_MONGO_URL"]
    assert own["read_only"] is True
    assert own["cap_drop"] == ["ALL"]
    assert int(own["stop_grace_period"][:-1]) >= int(own["environment"]["HUIYIN_DRAIN"]) + 3 * 10


def test_everything_that_stays_is_limited_and_asked_how_it_is() -> None:
    for name, service in COMPOSE["services"].items():
        if name not in ONCE:
            assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert ("healthcheck" in service) == (name not in SILENT), name
        assert ":latest" not in service["image"]


def test_only_the_gateway_can_be_opened_to_others() -> None:
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:") or (name == "gateway" and "127.0.0.1" in port)


def test_what_is_kept_lies_in_a_volume_and_what_is_mounted_exists() -> None:
    named = set()
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_dir(), source
            else:
                named.add(source)
    assert named == set(COMPOSE["volumes"])


def test_the_database_has_a_user_for_each_service() -> None:
    script = (ROOT / "deploy" / "mongodb" / "set-up.js").read_text()
    listed = re.search(r"for \(const service of \[(.*?)\]", script)
    assert listed
    assert re.findall(r'"(\w+)"', listed[1]) == [service.name for service in SERVICES]
