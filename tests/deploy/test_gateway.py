"""The gateway of Compose and Kubernetes, by Debian's own package of it, in front of four service processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.journeys.test_live import listening
from tests.support.distributed import Gated
from tests.support.eventually import eventually
from tests.support.haproxy import CONFIGURATION
from tests.support.http import calling
from tests.support.tools import ran, tool


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    """One for all: four processes take their time to start."""
    town = Gated(tmp_path_factory.mktemp("town"), INTAKE_RATE="20/5")
    try:
        asyncio.run(town.start())
        yield town
        assert town.stop() == 0
    finally:
        town.kill()
        town.gone()


def test_its_file_is_one_that_it_understands() -> None:
    ran(tool("haproxy", fetched="apt-get install haproxy"), "-c", "-f", CONFIGURATION)


@pytest.mark.distributed
async def test_one_origin_answers_for_all_four(town: Gated) -> None:
    receipt = await town.say("The street lamp is dark", contact={"email": "a@example.com"})
    case = await town.case(receipt["number"])
    await town.move(receipt["number"], "acceptance")
    assert (await town.track(receipt))["department"] == case["department"]
    pages = {"/": 200, "/track": 200, "/sign-in": 200, "/insights": 200, "/desk": 303, "/desktop": 404}
    assert {path: (await town.get(path)).status_code for path in pages} == pages
    calls = ["/v1/categories", "/v1/cases", "/v1/insights/summary", f"/v1/deliveries?number={receipt['number']}"]
    assert [(await town.get(path, headers=town.key())).status_code for path in calls] == [200] * 4


@pytest.mark.distributed
async def test_what_is_for_operators_is_not_on_the_public_side(town: Gated) -> None:
    for path in ("/metrics", "/live", "/ready", "/control/lag", "/control"):
        answer = await town.get(path, headers=town.key("operations"))
        assert (answer.status_code, answer.text) == (404, "not found\n"), path
    async with calling(f"http://127.0.0.1:{town.haproxy.operators}") as operator:
        figures = (await operator.get("/metrics")).text
        assert 'haproxy_backend_active_servers{proxy="routing"} 1' in figures
        assert (await operator.get("/")).status_code == 404


@pytest.mark.distributed
@pytest.mark.row("A31")
async def test_a_client_is_known_by_its_address_and_not_by_what_it_says_of_itself(town: Gated) -> None:
    async def submit(claimed: str) -> int:
        answer = await town.post("/v1/feedback", json={"text": "?"}, headers={"X-Forwarded-For": claimed})
        return answer.status_code

    async def used_up() -> bool:
        """Twenty at once, for a machine that others use too may take longer than the rate needs to fill again."""
        return 429 in await asyncio.gather(*(submit(f"192.0.2.{n}") for n in range(20)))

    async def filled_again() -> bool:
        return await submit("192.0.2.1") == 201

    assert await filled_again()
    await eventually(used_up, within=60)  # whoever the client claims to be
    await eventually(filled_again)  # for the other tests
    await town.quiet()


@pytest.mark.distributed
async def test_live_updates_come_at_once_and_wait_for_no_buffer(town: Gated) -> None:
    async with listening(town, town.key()) as lines:
        receipt = await town.say("The street lamp is dark")
        async with asyncio.timeout(10):
            assert await anext(lines) == "event: case"
            assert receipt["number"] in await anext(lines)


@pytest.mark.distributed
async def test_a_service_that_is_gone_is_told_of_in_one_form_and_the_others_go_on(town: Gated) -> None:
    routing = town.process_of("routing")
    assert routing.running
    os.kill(routing.running.pid, signal.SIGKILL)

    async def away() -> bool:
        return (await town.get("/v1/categories")).status_code == 503

    await eventually(away)
    answer = await town.get("/v1/categories")
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.text)["status"] == 503
    assert (await town.post("/v1/feedback", json={"text": "It still rains in"})).status_code == 201
    routing.end(None)
    await town.start()
    assert (await town.get("/v1/categories")).status_code == 200


@pytest.mark.distributed
@pytest.mark.row("A35")
async def test_what_two_readers_could_understand_differently_goes_no_further(town: Gated) -> None:
    request = (
        b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 30\r\n"
        b"Content-Type: application/json\r\n\r\n{}\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    )

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", town.haproxy.port), timeout=10) as client:
            client.sendall(request)
            return client.recv(1000)

    assert (await asyncio.to_thread(ask)).startswith(b"HTTP/1.1 400")


@pytest.mark.distributed
async def test_its_log_holds_failures_alone_and_nothing_of_who_asked_for_what(town: Gated) -> None:
    await town.say("The street lamp is dark")
    assert (await town.get("/track?number=20260101-12345678-9")).status_code in (200, 404)
    told = town.haproxy.log.read_text()
    assert "127.0.0.1" not in told.replace(f"127.0.0.1:{town.haproxy.port}", "")
    assert "20260101" not in told
    assert "GET" not in told
