"""A trace goes where the work goes, and costs nothing where nobody records it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from shared.errors import Misconfigured
from shared.telemetry import tracing
from shared.telemetry.tracing import configure, continue_trace, current_trace, current_traceparent, recording, span

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_is_current_inside_and_gone_outside() -> None:
    assert current_traceparent() is None
    with continue_trace(TRACEPARENT):
        assert current_traceparent() == TRACEPARENT
        assert current_trace() == "0af7651916cd43dd8448eb211c80319c"
        with continue_trace(None):
            assert current_traceparent() is None
        assert current_traceparent() == TRACEPARENT
    assert current_traceparent() is None


@pytest.mark.parametrize(
    "nonsense",
    ["", "x", TRACEPARENT.upper(), f"{TRACEPARENT}-x", TRACEPARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
     TRACEPARENT.replace("00-", "ff-"), TRACEPARENT + "\n"],
)  # fmt: skip
def test_what_is_no_traceparent_counts_as_none(nonsense: str) -> None:
    with continue_trace(nonsense):
        assert current_traceparent() is None


async def test_each_task_has_its_own() -> None:
    async def inside(traceparent: str | None) -> str | None:
        with continue_trace(traceparent), span("nobody records this"):
            return current_traceparent()

    assert [*await asyncio.gather(inside(TRACEPARENT), inside(None))] == [TRACEPARENT, None]


def test_open_telemetry_is_not_even_imported_without_a_place_to_send_to(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, shared.telemetry.tracing as t; t.configure('x'); print('opentelemetry' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
    assert result.stdout.strip() == "False"


def test_an_exporter_that_is_not_installed_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
    with pytest.raises(Misconfigured, match="carrier-pigeon"):
        configure("intake")
    assert not recording()


def test_recorded_spans_are_children_of_what_came_in(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))

    def fail() -> None:
        with continue_trace(TRACEPARENT), span("outer"):
            assert current_trace() == "0af7651916cd43dd8448eb211c80319c"
            assert current_traceparent() != TRACEPARENT
            raise ValueError("13900000000")

    with pytest.raises(ValueError):
        fail()
    (recorded,) = exporter.get_finished_spans()
    assert recorded.parent
    assert format(recorded.parent.span_id, "016x") == "b7ad6b7169203331"
    assert recorded.status.description == "ValueError"
    assert "1390" not in recorded.to_json()
