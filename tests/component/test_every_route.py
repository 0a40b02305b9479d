"""What is asked of every route there is, pages too: operators of a database in each of its parameters, and repetitions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.support.served import Served, installation

ROOT = Path(__file__).parents[2]
OPERATORS: tuple[Any, ...] = ({"$ne": None}, {"$gt": ""}, {"$regex": ".*"}, {"$where": "sleep(1000)"}, ["$ne", None])
NAMES = ("number", "code", "cursor", "limit", "by", "from", "to", "as_of", "q", "sort", "state", "department", "next")
"""Parameters that routes read, whether or not the OpenAPI document knows them."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with (
        pytest.MonkeyPatch.context() as settings,
        installation(
            tmp_path_factory.mktemp("routes") / "data", settings, "supervisor", "admin", "operations", "integrator"
        ) as served,
    ):
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.address, timeout=30, trust_env=False) as client:
        yield client


def callers(served: Served) -> list[dict[str, str]]:
    keys = (key for holder, key in served.keys.items() if holder != "integrator")
    return [{}, *({"Authorization": f"Bearer {key}"} for key in keys)]


def routes(served: Served, value: str = "x") -> list[tuple[str, str]]:
    """Every route with `value` for each part of its path; those that only `control.sock` answers and the endless one
    are left out."""
    found = []
    for method, path in sorted(served.routes):
        if path.startswith("/control/") or path == "/v1/live" or method == "HEAD":
            continue
        pieces = [quote(value, safe="") if piece.startswith("{") else piece for piece in path.split("/")]
        found.append((method, "/".join(pieces)))
    return found


@pytest.mark.row("A36")
def test_a_parameter_given_twice_is_malformed_everywhere(served: Served, client: httpx2.Client) -> None:
    told = {
        (method, path, name): client.request(method, f"{path}?{name}=a&{name}=b").status_code
        for method, path in routes(served)
        for name in ("code", "number")
    }
    assert len(told) > 100
    assert {asked: status for asked, status in told.items() if status != 400} == {}


@pytest.mark.row("A36")
@pytest.mark.parametrize("path", ["/", "/track", "/sign-in"])
def test_a_field_given_twice_is_malformed_in_every_form(client: httpx2.Client, path: str) -> None:
    form = b"text=a&number=1&code=2&code=3&text=b"
    media = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post(path, content=form, headers=media).status_code == 400
    parts = [("code", (None, "a")), ("code", (None, "b"))]
    assert client.post(path, files=parts).status_code == 400


@pytest.mark.row("A36")
def test_every_form_is_read_by_what_refuses_a_field_given_twice() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "services").rglob("*.py")
        if re.search(r"\.form\(|parse_qs|FormData", path.read_text(encoding="utf-8"))
    ]
    assert readers == []


@pytest.mark.row("A21")
def test_operators_in_a_form_break_nothing(served: Served, client: httpx2.Client) -> None:
    names = ("text", "number", "code", "action", "name", "password", "reason", "department", "version", "do", "key")
    form = dict.fromkeys(names, '{"$ne":null}') | {f"{name}[$ne]": "" for name in names}
    told = {
        path: client.post(path, data=form).status_code
        for method, path in routes(served)
        if method == "POST" and not path.startswith("/v1/")
    }
    assert len(told) > 15
    assert {path: status for path, status in told.items() if status >= 500} == {}


@pytest.mark.row("A21")
def test_operators_in_a_batch_are_refused_line_by_line(served: Served, client: httpx2.Client) -> None:
    key = {"Authorization": f"Bearer {served.keys['integrator']}"}
    names = ("text", "key", "received_at", "contact", "location", "answers", "category", "kind")
    lines = [{"text": "路灯不亮了"} | {name: operator} for name in names for operator in OPERATORS]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    answer = client.post("/v1/feedback/batch", content=body, headers=key)
    assert answer.status_code == 200
    assert {json.loads(line)["status"] for line in answer.text.splitlines()} == {422}


@pytest.mark.row("A21")
def test_operators_in_a_query_or_a_path_break_nothing(served: Served, client: httpx2.Client) -> None:
    odd = {}
    for caller in callers(served):
        for operator in ('{"$ne":null}', "$where", "' OR 1=1 --"):
            query = dict.fromkeys(NAMES, operator) | {f"{name}[$ne]": "" for name in NAMES[:3]}
            for method, path in routes(served, operator):
                if method != "GET":
                    continue
                for asked in (path, f"{path}?{httpx2.QueryParams(query)}"):
                    answer = client.get(asked, headers=caller)
                    if answer.status_code >= 500:
                        odd[asked] = answer.status_code
    assert odd == {}


@pytest.mark.row("A21")
def test_no_cell_of_any_list_answers_to_an_operator(served: Served, client: httpx2.Client) -> None:
    supervisor = {"Authorization": f"Bearer {served.keys['supervisor']}"}
    client.post("/v1/feedback", json={"text": "路灯不亮了"}).raise_for_status()
    for path, name in (("/v1/cases", "cursor"), ("/v1/cases", "limit"), ("/v1/insights/series", "by")):
        for operator in OPERATORS:
            asked = client.get(path, params={name: json.dumps(operator)}, headers=supervisor)
            assert asked.status_code == 422, (path, name, operator)


@pytest.mark.row("A21")
def test_an_operator_in_place_of_any_field_is_refused_by_name(served: Served, client: httpx2.Client) -> None:
    receipt = client.post("/v1/feedback", json={"text": "路灯不亮了"}).json()
    supervisor = {"Authorization": f"Bearer {served.keys['supervisor']}", "If-Match": '"1"'}
    citizen = {"Authorization": f"Code {receipt['code']}"}
    tried = 0
    for method, path, names in _bodies(served.openapi):
        asked = path.replace("{number}", receipt["number"]).replace("{id}", "x")
        headers = supervisor if path.startswith("/v1/cases") else citizen if "{number}" in path else {}
        for name in names:
            for operator in OPERATORS:
                answer = client.request(method, asked, json={name: operator}, headers=headers)
                assert answer.status_code in (401, 403, 404, 422), (path, name, answer.text)
                if answer.status_code == 422:
                    tried += any(error["location"].startswith(f"/{name}") for error in answer.json()["errors"])
    assert tried > 50


@pytest.mark.row("A21")
@pytest.mark.parametrize("name", ["$where", "$set", "a.b", "", "__proto__"])
def test_the_names_in_open_fields_are_only_names(client: httpx2.Client, name: str) -> None:
    answer = client.post("/v1/feedback", json={"text": "路灯不亮了", "answers": {name: "1"}})
    assert answer.status_code in (201, 422)
    if answer.status_code == 201:
        receipt = answer.json()
        seen = client.get(f"/v1/feedback/{receipt['number']}", headers={"Authorization": f"Code {receipt['code']}"})
        assert seen.status_code == 200


def _bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Every operation with a JSON body, and the names of its fields."""
    shapes = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            schema = next((s for s in schema.get("anyOf", [schema]) if "$ref" in s), schema)
            fields = shapes[schema["$ref"].rpartition("/")[2]].get("properties", {}) if "$ref" in schema else {}
            if fields:
                yield method.upper(), path, list(fields)
