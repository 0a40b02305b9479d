"""Every route × everyone × own and foreign cases, generated from the routes of the whole installation.

A new route fails here until it has its line in `PUBLIC` or `GUARDED`. Whoever lacks the permission gets 403 whatever
they ask for; whoever holds it gets 404 for another department's case, the same as for a case that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts

from services.four import SERVICES
from shared.clock import check_digit
from shared.http import access
from shared.http.access import Access
from shared.runtime import Installation, opened
from shared.settings import PlatformSettings
from tests.support.eventually import eventually

PUBLIC = {
    "GET /", "POST /", "GET /track", "POST /track", "GET /insights", "GET /insights/definitions", "GET /insights/table",
    "GET /insights/{name}.{form}", "GET /static/{name}", "GET /privacy",
    "GET /live", "GET /ready", "GET /metrics", "GET /openapi.json",
    "POST /v1/feedback", "GET /v1/feedback/{number}", "POST /v1/feedback/{number}/messages",
    "POST /v1/feedback/{number}/rating", "POST /v1/feedback/{number}/reopening", "POST /v1/feedback/{number}/withdrawal",
    "GET /v1/categories", "GET /v1/departments", "GET /v1/areas", "POST /v1/similar",
    "POST /v1/session", "GET /v1/session", "DELETE /v1/session",
    "GET /v1/insights/summary", "GET /v1/insights/series", "GET /v1/insights/flow",
    "GET /sign-in", "POST /sign-in", "GET /sign-in/kept", "POST /sign-in/kept",
    "GET /sign-in/link/{token}", "POST /sign-in/link/{token}", "POST /sign-out",
}  # fmt: skip
"""What anyone may call, some of it with a number and its code."""


@dataclass(frozen=True)
class Guarded:
    """A route that names whom it is for.

    `about`: what its path or query names. `case`: foreign ones are not there (404). `list`: foreign ones are left out.
    `json` or `form` is a body that changes nothing, whoever sends it. `own`: only for someone who is signed in, no key.
    `streams`: has no end, so that only refusals are asked for here.
    """

    permission: str
    about: Literal["nothing", "case", "list"] = "nothing"
    json: Any = None
    form: Mapping[str, str] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    streams: bool = False


GUARDED = {
    "POST /v1/feedback/batch": Guarded("feedback.import"),
    "POST /v1/feedback/follow-ups": Guarded("cases.import"),
    "POST /v1/cases/batch": Guarded("cases.import"),
    "GET /v1/cases": Guarded("cases.read", "list"),
    "GET /v1/cases/{number}": Guarded("cases.read", "case"),
    "POST /v1/cases/{number}/acceptance": Guarded("cases.work", "case", {}),
    "POST /v1/cases/{number}/start": Guarded("cases.work", "case", {}),
    "POST /v1/cases/{number}/return": Guarded("cases.work", "case", {"reason_code": "not-ours"}),
    "POST /v1/cases/{number}/reassignment": Guarded("cases.reassign", "case", {"department": "water"}),
    "POST /v1/cases/{number}/question": Guarded("cases.work", "case", {"text": "?"}),
    "POST /v1/cases/{number}/resumption": Guarded("cases.work", "case", {}),
    "POST /v1/cases/{number}/answer": Guarded("cases.work", "case", {"text": "!"}),
    "POST /v1/cases/{number}/closure": Guarded("cases.work", "case", {}),
    "POST /v1/cases/{number}/note": Guarded("cases.work", "case", {"text": "."}),
    "GET /v1/deliveries": Guarded("deliveries.read", "list", query={"number": "{number}"}),
    "POST /v1/deliveries/{id}/replay": Guarded("deliveries.replay"),
    "GET /v1/feedback/{number}/contact": Guarded("contact.unmask", "case", query={"reason": "call-back"}),
    "GET /v1/audit": Guarded("audit.read", query={"number": "{number}"}),
    "GET /desk": Guarded("cases.read", "list"),
    "GET /desk/rows/{number}": Guarded("cases.read", "case"),
    "GET /desk/shortcuts": Guarded("cases.read"),
    "POST /desk/bulk": Guarded("cases.work", form={"do": "acceptance"}),
    "GET /v1/live": Guarded("cases.read", streams=True),
    "GET /desk/cases/{number}": Guarded("cases.read", "case"),
    "POST /desk/cases/{number}/{name}": Guarded("cases.work", "case", form={"version": "999", "text": "."}),
    "GET /desk/phone": Guarded("feedback.phone"),
    "POST /desk/phone": Guarded("feedback.phone", form={"text": "."}),
    "POST /phone": Guarded("feedback.phone", form={"text": ""}),
    "GET /desk/handed-over": Guarded("cases.read", query={"number": "{number}", "department": "water"}),
    "GET /desk/{rest}": Guarded("account"),
    "GET /desk/me": Guarded("account", own=True),
    "POST /desk/me": Guarded("account", form={"shown": "x" * 41}, own=True),
    "POST /desk/me/password": Guarded("account", form={"password": "x", "again": "y"}, own=True),
    "POST /desk/me/sessions": Guarded("account", form={"id": "x"}, own=True),
    "GET /desk/people": Guarded("people.manage"),
    "POST /desk/people": Guarded("people.manage", form={"name": "", "role": "admin"}),
    "GET /desk/people/{number}": Guarded("people.manage"),
    "POST /desk/people/{number}": Guarded("people.manage", form={"role": "admin"}),
    "POST /desk/people/{number}/link": Guarded("people.manage", form={}),
    "POST /desk/people/{number}/disabled": Guarded("people.manage", form={}),
    "POST /desk/people/{number}/sessions": Guarded("people.manage", form={}),
    "GET /desk/keys": Guarded("people.manage"),
    "POST /desk/keys": Guarded("people.manage", form={"name": ""}),
    "POST /desk/keys/{id}/revoked": Guarded("people.manage", form={}),
}

CONTROL = re.compile(r"\w+ /control/")
"""What exists only over `control.sock`."""

EVERYONE: dict[str, tuple[str, tuple[str, ...]]] = {
    "case worker": ("case-worker", ("lighting",)),
    "case worker elsewhere": ("case-worker", ("water",)),
    "case worker of nowhere": ("case-worker", ()),
    "department lead": ("department-lead", ("urban-management",)),
    "department lead elsewhere": ("department-lead", ("transport",)),
    "phone operator": ("phone-operator", ("lighting",)),
    "supervisor": ("supervisor", ()),
    "editor": ("editor", ("lighting",)),
    "analyst": ("analyst", ()),
    "auditor": ("auditor", ()),
    "privacy officer": ("privacy-officer", ("lighting",)),
    "operations": ("operations", ()),
    "admin": ("admin", ("lighting",)),
    "integrator": ("integrator", ()),
}

HOLDERS = {
    "account": set(EVERYONE),
    "feedback.import": {"phone operator", "supervisor", "operations", "integrator"},
    "cases.read": {
        "case worker", "case worker elsewhere", "case worker of nowhere", "department lead", "department lead elsewhere",
        "phone operator", "supervisor",
    },
    "cases.work": {
        "case worker", "case worker elsewhere", "case worker of nowhere", "department lead", "department lead elsewhere",
        "supervisor",
    },
    "cases.reassign": {
        "case worker", "case worker elsewhere", "case worker of nowhere", "department lead", "department lead elsewhere",
        "supervisor",
    },
    "contact.unmask": {
        "case worker", "case worker elsewhere", "case worker of nowhere", "department lead", "department lead elsewhere",
        "phone operator", "supervisor",
    },
    "audit.read": {"auditor", "supervisor"},
    "feedback.phone": {
        "case worker", "case worker elsewhere", "case worker of nowhere", "department lead", "department lead elsewhere",
        "phone operator", "supervisor",
    },
    "deliveries.read": {
        "case worker", "case worker elsewhere", "case worker of nowhere", "department lead", "department lead elsewhere",
        "supervisor", "operations",
    },
    "deliveries.replay": {"supervisor", "operations"},
    "people.manage": {"admin"},
    "cases.import": set(),
}  # fmt: skip
"""Permission → who holds it: written down once more, so that a slip in the code is not repeated here."""

SEES = {"case worker", "department lead", "phone operator", "supervisor", "operations"}
"""Who sees a case of street lighting, as far as they see cases or deliveries at all."""


class Town:
    """The installation, one case of street lighting in it, and everyone's headers by key and by session."""

    def __init__(self, installation: Installation, client: httpx2.AsyncClient) -> None:
        self.installation, self.client = installation, client
        self.access: Access = installation.app.app.state.access
        self.headers: dict[tuple[str, str], dict[str, str]] = {}
        self.csrf: dict[str, str] = {}
        self.number = self.unknown = ""

    def routes(self) -> dict[str, Any]:
        """Every route of the installation: method and path → what it depends on."""
        return {
            f"{method} {(route.path or '').replace(':path', '')}": getattr(route, "dependant", None)
            for route in iter_route_contexts(self.installation.app.app.routes)
            for method in route.methods or ()
            if method != "HEAD"
        }

    async def settle(self) -> None:
        receipt = (await self.client.post("/v1/feedback", json={"text": "和平路的路灯不亮了"})).json()
        self.number = receipt["number"]
        other = (await self.client.post("/v1/feedback", json={"text": "x"})).json()["number"]
        for n, (who, (role, departments)) in enumerate(EVERYONE.items()):
            key = await self.access.create_key(role, departments)
            self.headers[who, "key"] = {"Authorization": f"Bearer {key}"}
            person, _ = await self.access.people.add(f"person{n}", role, departments)
            token, session = await self.access.sessions.begin(person)
            self.csrf[who] = session.value.csrf
            self.headers[who, "session"] = {
                "Cookie": f"huiyin={token}",
                "Sec-Fetch-Site": "same-origin",
                "X-CSRF-Token": session.value.csrf,
            }
        # A number with a right check digit that no case has: a digit of another one moved.
        digits = f"{other[:8]}{(int(other[9:17]) + 1) % 10**8:08d}"
        self.unknown = f"{digits[:8]}-{digits[8:]}-{check_digit(digits)}"

        async def routed() -> bool:
            """Routing has the case, and intake has heard whose it is."""
            paths = (f"/v1/cases/{self.number}", f"/v1/feedback/{self.number}/contact?reason=visit")
            asked = [await self.client.get(path, headers=self.headers["case worker", "key"]) for path in paths]
            return all(answer.status_code == 200 for answer in asked)

        await eventually(routed, within=30)

    async def ask(
        self, route: str, number: str, who: str | None, how: str = "key", **changed: str
    ) -> tuple[int, str, str]:
        """Status, body without what differs between equal answers, and where it leads."""
        method, path = route.split(" ")
        entry = GUARDED[route]
        headers = dict(self.headers[who, how]) if who else {}
        headers |= {"If-Match": '"999"', **changed}
        options: dict[str, Any] = {"params": {k: v.format(number=number) for k, v in entry.query.items()}}
        if entry.form is not None:
            options["data"] = {**entry.form, "csrf": self.csrf.get(who or "", "")}
        elif method != "GET":
            options["json"] = {} if entry.json is None else entry.json
        answer = await self.client.request(
            method,
            re.sub(r"\{number\}", number, path)
            .replace("{id}", "x")
            .replace("{name}", "note")
            .replace("{rest:path}", "x"),
            headers=headers,
            **options,
        )
        body = re.sub(r'"instance":"[^"]*"', "", answer.text).replace(number, "")
        return answer.status_code, body, answer.headers.get("location", "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    data: Path = tmp_path_factory.mktemp("matrix") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTAKE_RATE", "off")
        async with opened(SERVICES, PlatformSettings(data=data)) as installation:
            transport = httpx2.ASGITransport(app=installation.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://town") as client:
                town = Town(installation, client)
                await eventually(lambda: _ready(client), within=30)
                await town.settle()
                yield town


async def _ready(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 200


EACH = pytest.mark.parametrize("route", GUARDED)
HOW = pytest.mark.parametrize("how", ["key", "session"])


@pytest.mark.asyncio(loop_scope="module")
class TestMatrix:
    @pytest.mark.row("A25", "A27")
    async def test_every_route_has_its_line(self, town: Town) -> None:
        routes = {route for route in town.routes() if not CONTROL.match(route)}
        assert routes == PUBLIC | set(GUARDED)

    @pytest.mark.row("A27")
    async def test_every_guarded_route_declares_the_permission_it_has_here(self, town: Town) -> None:
        for route, dependant in town.routes().items():
            declared = {
                permission
                for needed in (dependant.dependencies if dependant else ())
                if (permission := getattr(needed.call, "permission", None))
            }
            if CONTROL.match(route):
                assert declared == {"control.sock"}, route
            elif route in GUARDED:
                assert declared == {GUARDED[route].permission}, route
            else:
                assert not declared, route

    async def test_everyone_covers_every_role(self, town: Town) -> None:
        assert {role for role, _ in EVERYONE.values()} == set(access.ROLES)

    @pytest.mark.row("A25")
    @EACH
    async def test_nobody_gets_nothing(self, town: Town, route: str) -> None:
        for number in (town.number, town.unknown):
            status, _, where = await town.ask(route, number, None)
            if "/v1/" in route:
                assert status == 401
            else:
                assert status == (303 if route.startswith("GET") else 307)
                assert where.startswith("/sign-in")
            assert (await town.ask(route, number, None, Cookie="huiyin=x"))[0] == status
            assert (await town.ask(route, number, None, Authorization="Bearer hk_x_y"))[0] == 401

    @pytest.mark.row("A25", "A27")
    @EACH
    @HOW
    async def test_who_may_not_is_refused_whatever_they_ask_for(self, town: Town, route: str, how: str) -> None:
        for who in set(EVERYONE) - HOLDERS[GUARDED[route].permission]:
            for number in (town.number, town.unknown, "x"):
                assert (await town.ask(route, number, who, how))[0] == 403, (who, number)

    @pytest.mark.row("A25")
    @EACH
    @HOW
    async def test_another_departments_case_does_not_exist(self, town: Town, route: str, how: str) -> None:
        entry = GUARDED[route]
        for who in () if entry.streams else HOLDERS[entry.permission]:
            status, body, _ = await town.ask(route, town.number, who, how)
            if entry.own and how == "key":
                assert status == 403, "a key has no account"
                continue
            assert status not in {401, 403}, who
            if entry.about == "case" and who in SEES:
                assert status in {200, 409, 412, 422}, (who, status)
            elif entry.about == "case":
                assert (status, body) == (await town.ask(route, town.unknown, who, how))[:2]
                assert status == 404, who
            elif entry.about == "list" and who not in SEES:
                assert town.number not in (await self.read(town, route, who, how)), who

    @pytest.mark.row("A25")
    async def test_a_list_shows_the_own_case(self, town: Town) -> None:
        for how in ("key", "session"):
            for who in HOLDERS["cases.read"]:
                shown = await self.read(town, "GET /v1/cases", who, how)
                assert (town.number in shown) == (who in SEES), (who, how)

    async def read(self, town: Town, route: str, who: str, how: str) -> str:
        entry = GUARDED[route]
        query = {name: value.format(number=town.number) for name, value in entry.query.items()}
        answer = await town.client.get(route.split(" ")[1], params=query, headers=town.headers[who, how])
        assert answer.status_code == 200
        return answer.text

    @pytest.mark.row("A29")
    @EACH
    async def test_a_cookie_alone_changes_nothing_anywhere(self, town: Town, route: str) -> None:
        if route.startswith("GET") or not HOLDERS[GUARDED[route].permission]:
            return
        held = HOLDERS[GUARDED[route].permission]
        who = sorted(held & SEES or held)[0]
        for changed in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
            assert (await town.ask(route, town.number, who, "session", **changed))[0] == 403
        token = town.csrf[who]
        try:
            for wrong in ("", "x", "é", town.csrf["admin" if who != "admin" else "editor"]):
                town.csrf[who] = wrong
                said = {"X-CSRF-Token": wrong.encode("ascii", "replace").decode()}
                assert (await town.ask(route, town.number, who, "session", **said))[0] == 403
        finally:
            town.csrf[who] = token

    async def test_the_operators_calls_exist_for_nobody(self, town: Town) -> None:
        for route in filter(CONTROL.match, town.routes()):
            method, path = route.split(" ")
            for who in ("admin", "operations"):
                for how in ("key", "session"):
                    answer = await town.client.request(method, path, json={}, headers=town.headers[who, how])
                    assert answer.status_code == 404, route

    @pytest.mark.row("A37", "A39")
    async def test_every_answer_forbids_framing_and_keeping(self, town: Town) -> None:
        """Whatever anyone gets, from any route, refused or not; static files alone may be kept."""
        for route in town.routes():
            method, path = route.split(" ")
            for headers in ({}, town.headers["case worker", "session"], town.headers["admin", "key"]):
                asked = re.sub(r"\{\w+\}", "x", path)
                evil = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
                for told in (headers, headers | evil):
                    answer = await town.client.request(method, asked, headers=told)
                    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], route
                    assert answer.headers["x-content-type-options"] == "nosniff", route
                    assert not [name for name in answer.headers if name.startswith("access-control-")], route
                    if "static" not in route:
                        assert answer.headers["cache-control"] == "no-store", route

    @pytest.mark.row("A38")
    async def test_no_answer_repeats_the_host_it_was_asked_by(self, town: Town) -> None:
        for route in town.routes():
            method, path = route.split(" ")
            evil = {**town.headers["case worker", "session"], "Host": "evil.example"}
            answer = await town.client.request(method, re.sub(r"\{\w+\}", "x", path), headers=evil)
            assert "evil.example" not in answer.text, route
            assert not re.match(r"https?:|//", answer.headers.get("location", "/")), route
