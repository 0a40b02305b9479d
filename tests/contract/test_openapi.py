"""Whatever is sent to any operation of the OpenAPI document, the answer is one that the document declares."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.served import Served, installation


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    return b"\n".join(json.dumps(item).encode() for item in value) if isinstance(value, list) else b"?"


@schemathesis.deserializer("application/x-ndjson")
def items(context: Any, answer: Any) -> list[Any]:
    return [json.loads(line) for line in answer.content.splitlines()]


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
EXAMPLES = 6
"""Requests for each operation and each caller."""

TEXTS = ("和平路的路灯不亮了", "The water pipe in Garden Street has burst", "公交车总是晚点", "嗯")


@dataclass(frozen=True)
class Town:
    """An installation with some feedback in it (number → code), and how each caller shows who it is."""

    served: Served
    codes: Mapping[str, str]
    headers: Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with (
        pytest.MonkeyPatch.context() as settings,
        installation(tmp_path_factory.mktemp("openapi") / "data", settings, "supervisor", "integrator") as served,
        httpx2.Client(base_url=served.address, trust_env=False) as client,
    ):
        contact = {"email": "citizen@example.org"}
        told = [client.post("/v1/feedback", json={"text": text, "contact": contact}).json() for text in TEXTS]
        headers = {role: {"Authorization": f"Bearer {key}"} for role, key in served.keys.items()}
        codes = {receipt["number"]: receipt["code"] for receipt in told}
        yield Town(served, codes, {"nobody": {}, **headers})


def requests_to(operation: Any, codes: Mapping[str, str], caller: Mapping[str, str]) -> st.SearchStrategy[Case[Any]]:
    """Requests as the schema allows them, and as it does not; to cases that are there, and to any text."""
    shapes = []
    for mode in GenerationMode:
        shapes.append(operation.as_strategy(generation_mode=mode, headers=dict(caller)))
        if "{number}" in operation.path:
            for version, (number, code) in enumerate(codes.items(), start=1):
                known = {"number": number}
                shown = (
                    {"If-Match": f'"{version}"'} if "/cases/" in operation.path else {"Authorization": f"Code {code}"}
                )
                seen = {**caller, **shown}
                shapes.append(operation.as_strategy(generation_mode=mode, path_parameters=known, headers=seen))
    return st.one_of(shapes)


@pytest.mark.parametrize("caller", ["nobody", "integrator", "supervisor"])
def test_every_answer_is_one_that_the_document_declares(town: Town, caller: str) -> None:
    schema = schemathesis.openapi.from_dict(town.served.openapi)
    schema.config.base_url = town.served.address
    with requests.Session() as session:
        session.trust_env = False
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()

            @budget(
                max_examples=EXAMPLES,
                derandomize=True,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(requests_to(operation, town.codes, town.headers[caller]))
            def conforms(case: Case[Any]) -> None:
                answer = case.call(session=session)
                case.validate_response(answer, checks=CHECKS)

            conforms()


def ask(town: Town, method: str, path: str, caller: str = "nobody", **options: Any) -> httpx2.Response:
    headers = {**town.headers[caller], **options.pop("headers", {})}
    return httpx2.request(method, town.served.address + path, headers=headers, trust_env=False, **options)


@pytest.mark.parametrize("path", ["/", "/track", "/insights", "/live", "/ready", "/v1/departments"])
def test_whoever_asks_for_the_head_gets_it_without_a_body(town: Town, path: str) -> None:
    answer, whole = ask(town, "HEAD", path), ask(town, "GET", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == whole.headers["content-type"]


@pytest.mark.parametrize("call", ["reopening", "withdrawal"])
def test_a_call_of_which_every_field_is_optional_needs_no_body(town: Town, call: str) -> None:
    number, code = list(town.codes.items())[-1]
    code_of = {"Authorization": f"Code {code}"}
    bodies: list[dict[str, Any]] = [{}, {"content": b""}, {"json": {}}, {"json": {"reason": None}}]
    for body in bodies:
        assert ask(town, "POST", f"/v1/feedback/{number}/{call}", headers=code_of, **body).status_code == 202


def test_a_moment_that_figures_cannot_go_back_to_is_refused_and_not_ignored(town: Town) -> None:
    for call in ("summary", "series?by=state", "flow"):
        path = f"/v1/insights/{call}{'&' if '?' in call else '?'}as_of=2020-01-01T00:00:00Z"
        answer = ask(town, "GET", path, "supervisor")
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"location": "/query/as_of", "code": "not_offered"}]
