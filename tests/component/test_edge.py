"""What every request passes before a route sees it, and every answer before it leaves."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shared.http.edge import POLICY
from shared.http.limits import HEADERS, LARGEST
from tests.support.edge import Behind, behind_the_edge

SECRET = "王芳-13900000000"


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    async with behind_the_edge(tmp_path) as behind:
        yield behind


@pytest.fixture
async def client(behind: Behind) -> AsyncIterator[httpx2.AsyncClient]:
    async with behind.client() as client:
        yield client


JSON = {"Content-Type": "application/json"}
BOTH = pytest.mark.parametrize("path", ["/notes", "/door"])
"""A route of FastAPI, and a door before it."""


def problem(answer: httpx2.Response) -> dict[str, Any]:
    """A problem without its instance."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    assert re.fullmatch(r"urn:huiyin:request:[0-9A-Z]{26}", body.pop("instance"))
    assert body["type"].startswith("urn:huiyin:problem:")
    return body


@BOTH
async def test_a_good_request_passes(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.post(path, json={"text": "hello"})).status_code == 201


@pytest.mark.row("A1")
@BOTH
async def test_a_body_is_at_most_a_quarter_megabyte(client: httpx2.AsyncClient, path: str) -> None:
    frame = len(b'{"text":""}')
    fits = b'{"text":"%s"}' % (b"x" * (LARGEST - frame))
    assert (await client.post(path, content=fits, headers=JSON)).status_code == 201
    answer = await client.post(path, content=fits + b" ", headers=JSON)
    assert answer.status_code == 413
    assert problem(answer)["type"] == "urn:huiyin:problem:too-large"


@pytest.mark.row("A1")
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip"])
@BOTH
async def test_a_compressed_body_is_refused(client: httpx2.AsyncClient, path: str, encoding: str) -> None:
    answer = await client.post(path, content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": encoding})
    assert answer.status_code == 415


@pytest.mark.row("A4")
@pytest.mark.parametrize("value", [b"[" * 100_000, b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1" + b"}" * 300])
@BOTH
async def test_deep_json_is_malformed(client: httpx2.AsyncClient, path: str, value: bytes) -> None:
    body = b'{"text":"x","more":{"deep":%s}}' % value
    assert (await client.post(path, content=body, headers=JSON)).status_code == 400


@pytest.mark.row("A5")
@pytest.mark.parametrize("escape", [r"\ud800", r"\udfff", r"\u0000"])
@BOTH
async def test_strings_that_are_no_text_are_named_by_field(client: httpx2.AsyncClient, path: str, escape: str) -> None:
    body = rf'{{"text":"x","more":{{"place":["a","b{escape}"]}}}}'.encode()
    answer = await client.post(path, content=body, headers=JSON)
    assert answer.status_code == 422
    assert problem(answer)["errors"] == [{"location": "/more/place/1", "code": "unreadable"}]


@pytest.mark.row("A6")
@pytest.mark.parametrize(
    "body",
    [
        b'{"text":"x","more":{"a":NaN}}', b'{"text":"x","more":{"a":1e999}}', b'{"text":"x","size":-Infinity}',
        b'{"text":"x","size":%s}' % (b"9" * 5000), b'{"text":"x","text":"y"}', b'{"text":"x","more":{"a":1,"a":1}}',
        b"not json", b"", b'{"text":"\xff"}',
    ],
)  # fmt: skip
@BOTH
async def test_json_that_is_not_strict_is_malformed(client: httpx2.AsyncClient, path: str, body: bytes) -> None:
    answer = await client.post(path, content=body, headers=JSON)
    assert answer.status_code == (422 if path == "/notes" and not body else 400)
    assert problem(answer)


@pytest.mark.row("A7")
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/notes", {"text": [SECRET]}, 422),
        ("/notes", {"text": "x", SECRET: 1}, 422),
        ("/notes", {"text": "x", "size": SECRET}, 422),
        ("/notes", [SECRET], 422),
        ("/door", {"text": {SECRET: SECRET}}, 422),
        ("/door", {"text": "x", SECRET: 1}, 422),
        (f"/{SECRET}", {}, 404),
        (f"/notes?limit={SECRET}", None, 422),
        ("/broken", {"text": SECRET}, 500),
    ],
)
async def test_no_error_says_what_was_sent(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str], path: str, body: Any, status: int
) -> None:
    answer = await (client.get(path) if body is None else client.post(path, json=body))
    assert answer.status_code == status
    told = problem(answer)
    seen = answer.text + str(answer.headers) + "".join(capsys.readouterr())
    for piece in (
        "王芳",
        "13900000000",
        "RuntimeError" if status != 500 else "cannot handle",
        "Traceback",
        "%E7%8E%8B",
    ):
        assert piece not in seen
    if status == 422:
        assert all(set(error) == {"location", "code"} for error in told["errors"])


@pytest.mark.row("A7")
async def test_an_unexpected_error_is_logged_by_class_and_hash(
    client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, body in (("/broken", {"text": SECRET}), ("/door", {"text": "break"})):
        answer = await client.post(path, json=body)
        assert problem(answer) == {
            "type": "urn:huiyin:problem:internal", "title": "Something went wrong", "status": 500,
        }  # fmt: skip
        assert "RuntimeError" in "".join(capsys.readouterr())


async def test_between_two_equal_problems_only_the_instance_differs(client: httpx2.AsyncClient) -> None:
    for path in ("/nowhere", "/illegal", "/notes?limit=x"):
        one, other = await client.get(path), await client.get(path)
        assert problem(one) == problem(other)
        assert one.json()["instance"] != other.json()["instance"]


async def test_errors_of_every_origin_are_problems(client: httpx2.AsyncClient) -> None:
    away = await client.get("/away")
    assert (away.status_code, away.headers["retry-after"]) == (503, "1")
    assert problem(away)["type"] == "urn:huiyin:problem:busy"
    wrong = await client.delete("/notes")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert problem(wrong)["type"] == "urn:huiyin:problem:method-not-allowed"
    illegal = await client.get("/illegal")
    assert problem(illegal) == {
        "type": "urn:huiyin:problem:illegal-move",
        "title": "The case's state does not allow that",
        "status": 409,
        "state": "closed",
        "legal": ["reopen"],
    }
    unauthorised = await client.post("/v1/feedback/batch")
    assert (unauthorised.status_code, unauthorised.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.row("A27")
async def test_a_role_without_the_permission_is_forbidden(behind: Behind, client: httpx2.AsyncClient) -> None:
    key = await behind.access.create_key("auditor")
    answer = await client.post("/v1/feedback/batch", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 403


@pytest.mark.row("A36")
@pytest.mark.parametrize(
    "query", ["limit=1&limit=2", "limit=1&%6cimit=1", "a&a", "&".join(f"p{n}" for n in range(101))]
)
async def test_a_parameter_given_twice_is_malformed(client: httpx2.AsyncClient, query: str) -> None:
    assert (await client.get(f"/notes?{query}")).status_code == 400
    assert (await client.get("/notes?limit=1&lang=zh&empty=")).status_code == 200


@pytest.mark.row("A37")
@pytest.mark.row("A39")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/notes", 200), ("GET", "/who", 200), ("GET", "/live", 200), ("GET", "/openapi.json", 200),
        ("POST", "/door", 400), ("GET", "/nowhere", 404), ("DELETE", "/notes", 405), ("POST", "/notes", 422),
        ("POST", "/broken", 500), ("GET", "/away", 503), ("GET", "/notes?a=1&a=1", 400),
    ],
)  # fmt: skip
async def test_every_answer_carries_the_security_headers(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    expected = {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "geolocation=(self), camera=(self)",
        "cache-control": "no-store",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    assert "access-control-allow-origin" not in answer.headers
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers


async def test_an_answer_that_may_be_kept_says_so_itself(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/page")).headers.get_list("cache-control") == ["public, max-age=60"]


async def test_browsers_are_told_to_stay_with_https_where_it_is_used(tmp_path: Path) -> None:
    async with behind_the_edge(tmp_path, public_url="https://town.test") as behind, behind.client() as client:
        assert (await client.get("/nowhere")).headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.row("A38")
@pytest.mark.parametrize("host", ["evil.test/path", "a b", "x:y", "<script>", "user@evil.test", "", "a,b", "x\u00e9"])
async def test_a_host_that_is_none_is_malformed(client: httpx2.AsyncClient, host: str) -> None:
    answer = await client.get("/who", headers=[(b"Host", host.encode("latin-1"))])
    assert answer.status_code == 400
    for good in ("town.test", "127.0.0.1:8080", "[::1]:8080", "svc_1.local"):
        assert (await client.get("/who", headers={"Host": good})).status_code == 200


@pytest.mark.row("A38")
async def test_nothing_redirects_or_repeats_the_host(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/notes/", headers={"Host": "evil.test"})
    assert answer.status_code == 404
    assert "evil" not in answer.text + str(answer.headers)


async def test_headers_are_at_most_sixteen_kilobytes(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/who", headers={"X-Long": "x" * (HEADERS - 1000)})).status_code == 200
    answer = await client.get("/who", headers={f"X-{n}": "x" * 1000 for n in range(17)})
    assert answer.status_code == 431
    assert problem(answer)


@pytest.mark.parametrize("name", [b"Host", b"Authorization", b"Content-Type", b"Idempotency-Key", b"If-Match"])
async def test_a_header_that_must_stand_alone_is_not_repeated(client: httpx2.AsyncClient, name: bytes) -> None:
    headers = [(name, b"one"), (name, b"two")]
    assert (await client.get("/who", headers=headers)).status_code == 400


@pytest.mark.row("A33")
@pytest.mark.parametrize(
    "value", [b"Bearer \xff\xfe", "Bearer 密钥".encode(), b"Bearer hk_\xc3\xa9_x", b"\xff", b"Bearer"]
)
async def test_an_authorization_that_is_not_ascii_is_401_and_never_500(
    client: httpx2.AsyncClient, value: bytes
) -> None:
    answer = await client.post("/v1/feedback/batch", headers=[(b"Authorization", value)])
    assert answer.status_code == 401
    assert problem(answer)["type"] == "urn:huiyin:problem:not-authorised"


async def test_a_stream_is_exempt_from_the_limit_and_a_wrong_key_is_refused(
    behind: Behind, client: httpx2.AsyncClient
) -> None:
    key = await behind.access.create_key("integrator")

    async def lines() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b'{"a":1,"a":2}\n' * 10_000

    answer = await client.post(
        "/v1/feedback/batch", content=lines(), headers={"Authorization": f"Bearer {key}", **JSON}
    )
    assert answer.json() == {"role": "integrator"}
    assert sum(behind.streamed) == 5 * 140_000 > LARGEST
    wrong = await client.post("/v1/feedback/batch", content=b"", headers={"Authorization": f"Bearer {key[:-1]}"})
    assert wrong.status_code == 401


async def test_only_the_control_socket_makes_an_operator(behind: Behind, client: httpx2.AsyncClient) -> None:
    async with behind.client(operator=True) as operator:
        assert (await operator.get("/who")).json()["operator"] is True
        assert (await operator.post("/v1/feedback/batch")).json() == {"role": "operations"}
        assert (await operator.get("/metrics")).status_code == 200
    assert (await client.get("/who", headers={"Huiyin.Operator": "true"})).json()["operator"] is False


@pytest.mark.row("A31")
@pytest.mark.parametrize(
    ("proxies", "forwarded", "client_address"),
    [
        (0, "203.0.113.1", "192.0.2.7"),
        (1, "203.0.113.1", "203.0.113.1"),
        (1, "198.51.100.66, 203.0.113.1", "203.0.113.1"),
        (2, "198.51.100.66, 203.0.113.1, 10.0.0.1", "203.0.113.1"),
        (2, "203.0.113.1", "203.0.113.1"),
        (1, " , ", "192.0.2.7"),
    ],
)
async def test_the_client_is_whom_the_trusted_proxies_saw(
    tmp_path: Path, proxies: int, forwarded: str, client_address: str
) -> None:
    async with behind_the_edge(tmp_path, trusted_proxies=proxies) as behind, behind.client() as client:
        assert (await client.get("/who", headers={"X-Forwarded-For": forwarded})).json()["client"] == client_address
        assert (await client.get("/who")).json()["client"] == "192.0.2.7"


async def test_a_trace_goes_on_inside(client: httpx2.AsyncClient) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert (await client.get("/who", headers={"traceparent": traceparent})).json()["trace"] == traceparent
    assert (await client.get("/who", headers={"traceparent": "nonsense"})).json()["trace"] is None


async def test_readiness_says_why_not(behind: Behind, client: httpx2.AsyncClient) -> None:
    reason: str | None = "the organisation has not been announced yet"

    async def check() -> str | None:
        return reason

    async def failing() -> str | None:
        raise RuntimeError(SECRET)

    behind.health.checks["intake"] = check
    answer = await client.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reasons": {"intake": reason}})
    reason = None
    assert (await client.get("/ready")).json() == {"ready": True, "reasons": {}}
    behind.health.checks["routing"] = failing
    answer = await client.get("/ready")
    assert answer.json()["reasons"] == {"routing": "the check failed: RuntimeError"}
    behind.health.checks.clear()
    behind.health.ending.set()
    assert (await client.get("/ready")).status_code == 503
    assert (await client.get("/live")).status_code == 200


@pytest.mark.row("A48")
async def test_figures_are_for_this_machine_and_for_operations(behind: Behind, client: httpx2.AsyncClient) -> None:
    key, other = await behind.access.create_key("operations"), await behind.access.create_key("supervisor")
    assert (await client.get("/metrics")).status_code == 404
    assert (await client.get("/metrics", headers={"Authorization": f"Bearer {other}"})).status_code == 404
    assert (await client.get("/metrics", headers={"Authorization": f"Bearer {key}"})).status_code == 200
    async with behind.client(address="127.0.0.1") as here:
        await here.get("/who")
        await here.post("/door", json={"text": "x"})
        await here.get("/somewhere/else")
        figures = (await here.get("/metrics")).text
        assert (await here.get("/metrics", headers={"X-Forwarded-For": "203.0.113.1"})).status_code == 404
    for route, status in (("/who", 200), ("/door", 201), ("other", 404), ("/metrics", 404)):
        assert f'huiyin_http_requests_total{{route="{route}",status="{status}"}}' in figures
    assert "/somewhere" not in figures


async def test_the_interface_describes_itself_and_shows_no_pages_for_it(client: httpx2.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    responses = described["paths"]["/notes"]["post"]["responses"]
    assert set(responses) == {"201", "400", "408", "413", "415", "422", "431", "503"}
    assert set(responses["422"]["content"]) == {"application/problem+json"}
    assert "Problem" in described["components"]["schemas"]
    assert (await client.get("/docs")).status_code == (await client.get("/redoc")).status_code == 404
    json.dumps(described)
