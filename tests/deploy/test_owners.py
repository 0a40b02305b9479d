"""Which service answers which path: said by the services, and nowhere else differently."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from services.four import SERVICES, owner_of
from shared.runtime import opened
from shared.service import Service
from shared.settings import PlatformSettings
from tests.support.tools import ROOT

EVERYWHERE = ("/live", "/ready", "/metrics", "/openapi.json", "/control/")
"""What each process has for itself; nobody is sent there through a gateway, but for the first document."""


@pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])
async def test_a_service_answers_only_paths_that_are_its_own(service: Service, tmp_path: Path) -> None:
    settings = PlatformSettings(data=tmp_path, reserve=0, kafka_url=None, mongo_url=None)
    async with opened([service], settings, working=False) as installation:
        paths = {str(route.path) for route in iter_route_contexts(installation.app.app.routes)}
    own = {path for path in paths if not path.startswith(EVERYWHERE)}
    assert own
    assert {path: owner_of(path) for path in own} == dict.fromkeys(own, service.name)


def test_every_path_that_a_service_claims_is_one_that_no_other_claims() -> None:
    claimed = [path for service in SERVICES for path in service.paths]
    assert len(claimed) == len(set(claimed))
    assert owner_of("/desk") == owner_of("/desk/") == owner_of("/desk/cases/1") == "routing"
    assert owner_of("/desktop") == "intake"


def test_the_gateways_file_says_what_the_services_say() -> None:
    lines = (ROOT / "deploy" / "gateway" / "owners.map").read_text().splitlines()
    told = dict(line.split() for line in lines if line and not line.startswith("#"))
    assert told == {
        f"{path}/": service.name for service in SERVICES for path in service.paths if service.name != "intake"
    }
