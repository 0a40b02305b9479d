"""What an operator does: the same commands on a running and on a stopped installation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.town import Town

SERVICES = ("intake", "routing", "notify", "analytics")


async def a_history(town: Town) -> None:
    receipt = await town.say("和平路的路灯不亮了", contact={"email": "citizen@example.org"})
    await town.move(receipt["number"], "acceptance")
    await town.move(receipt["number"], "question", text="哪一盏？")
    code = {"Authorization": f"Code {receipt['code']}"}
    await town.post(f"/v1/feedback/{receipt['number']}/messages", json={"text": "东边那盏"}, headers=code)
    other = await town.say("Rubbish has not been collected")
    await town.move(other["number"], "return", reason_code="not-ours", reason="belongs to parks")
    await town.quiet()


def dumped(town: Town, service: str, name: str) -> bytes:
    file: Path = town.folder / name
    town.command("dump", service, str(file))
    return file.read_bytes()


async def test_a_dump_before_and_after_a_rebuild_is_the_same(town: Town) -> None:
    await a_history(town)
    for service in SERVICES:
        before = dumped(town, service, "before")
        assert bool(before) == (service != "routing"), "routing keeps records only"
        if town.replicas(service) > 1:
            refused = town.command("rebuild", service, check=False)
            assert refused.returncode == 1
            assert "other processes serve this consumer: stop them first" in refused.stderr
            continue
        town.command("rebuild", service)
        assert dumped(town, service, "after") == before
    figures = await town.figures()
    assert (figures["total"], figures["by"]["state"]) == (2, {"in-progress": 1, "returned": 1})


async def test_a_rebuilt_routing_still_finds_every_case_by_its_words(town: Town) -> None:
    await a_history(town)
    await town.alone()
    found: dict[str, dict[str, list[str]]] = {}
    for when in ("before", "after"):
        for word in ("路灯", "东边那盏", "rubbish"):
            page = (await town.get("/desk", params={"q": word}, headers=town.key())).text
            found.setdefault(when, {})[word] = sorted(set(re.findall(r'data-number="([^"]+)"', page)))
        town.command("rebuild", "routing")
    assert [len(numbers) for numbers in found["before"].values()] == [1, 1, 1]
    assert found["after"] == found["before"]


async def test_commands_work_while_nothing_runs(town: Town) -> None:
    await a_history(town)
    before = {service: dumped(town, service, "before") for service in ("intake", "analytics")}
    town.stop()
    assert {service: dumped(town, service, "after") for service in before} == before
    town.command("rebuild", "analytics")
    assert dumped(town, "analytics", "after") == before["analytics"]
    assert town.command("dead-letters", "list", "routing").stdout == ""


async def test_a_new_key_is_printed_and_nothing_else(town: Town) -> None:
    out = town.command("keys", "create", "--role", "case-worker", "--department", "water").stdout
    assert out.startswith("hk_")
    assert len(out.split()) == 1
    wrong = town.command("keys", "create", "--role", "king", check=False)
    assert wrong.returncode != 0
    assert "role" in wrong.stderr


async def test_a_new_person_gets_a_link_that_is_printed_and_nothing_else(town: Town) -> None:
    out = town.command("users", "add", "wang", "--role", "case-worker", "--department", "water").stdout
    assert re.fullmatch(r"http://[\w.:]+/sign-in/link/[0-9a-f]{64}\n", out)
    for words, said in (
        (("users", "add", "li", "--role", "king"), "roles: case-worker"),
        (("users", "add", "li", "--role", "admin", "--department", "moon"), "departments: reception"),
        (("users", "add", "WANG", "--role", "admin"), "taken"),
        (("users", "add", "a b", "--role", "admin"), "/name: invalid"),
        (("users", "link", "nobody"), "nobody of that name"),
    ):
        refused = town.command(*words, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert said in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    town.stop()
    assert town.command("users", "link", "wang").stdout != out
    town.command("users", "disable", "wang")
    (line,) = town.command("users", "list").stdout.splitlines()
    assert line.split() == ["101", "wang", "case-worker", "water", "disabled"]


@pytest.mark.row("A25")
async def test_another_departments_case_does_not_exist(town: Town) -> None:
    receipt = await town.say("小区停水了")
    await town.case(receipt["number"])
    water, lighting = town.key("case-worker", "water"), town.key("case-worker", "lighting")
    assert (await town.get(f"/v1/cases/{receipt['number']}", headers=water)).status_code == 200
    assert (await town.get(f"/v1/cases/{receipt['number']}", headers=lighting)).status_code == 404
    assert (await town.get("/v1/cases", headers=lighting)).json()["items"] == []
    assert (await town.get("/v1/deliveries", params={"number": receipt["number"]}, headers=lighting)).json()[
        "items"
    ] == []


async def test_operators_calls_do_not_exist_on_the_public_port(town: Town) -> None:
    for path in ("/control/lag", "/control/dump/intake"):
        assert (await town.get(path, headers=town.key())).status_code == 404
