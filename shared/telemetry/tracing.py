"""W3C trace context: carried from a request into the events it causes and on into what they cause.

Spans are recorded only where the standard `OTEL_*` variables name a place to send them; OpenTelemetry is not even
imported otherwise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from shared.errors import Misconfigured

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

_current: ContextVar[str | None] = ContextVar("traceparent", default=None)
_tracer: Tracer | None = None


def current_traceparent() -> str | None:
    """The `traceparent` that what is written now belongs to, if any."""
    return _current.get()


def current_trace() -> str | None:
    """The trace's id (32 hex digits) alone, for logs."""
    traceparent = _current.get()
    return traceparent[3:35] if traceparent else None


@contextmanager
def continue_trace(traceparent: str | None) -> Iterator[None]:
    """Everything inside belongs to this trace. What is not a `traceparent` counts as none."""
    token = _current.set(traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else None)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def span(name: str) -> Iterator[None]:
    """A step of the current trace, with its duration; free of cost where nothing is recorded.

    `name` is a template (`POST /v1/feedback`), never something that a person wrote. An error marks the span as failed by
    its class alone: messages may hold what nobody should read.
    """
    if _tracer is None:
        yield
        return
    with _recorded(_tracer, name, _current.get()) as own, continue_trace(own):
        yield


@contextmanager
def follow(name: str, traceparent: str | None) -> Iterator[str | None]:
    """A step of another trace, of which several may be open at once; what continues from it, where it is recorded.

    Steps of a trace that is not recorded are not begun.
    """
    if _tracer is None or not (traceparent := recorded(traceparent)):
        yield None
        return
    with _recorded(_tracer, name, traceparent) as own:
        yield own


def recorded(traceparent: str | None) -> str | None:
    """A `traceparent` that is worth keeping: of a trace whose spans go somewhere. None for any other."""
    return traceparent if traceparent and int(traceparent[-2:], 16) & 1 else None


@contextmanager
def _recorded(tracer: Tracer, name: str, parent: str | None) -> Iterator[str]:
    from opentelemetry.trace import Status, StatusCode, format_span_id, format_trace_id
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": parent} if parent else {}
    step = tracer.start_span(name, TraceContextTextMapPropagator().extract(carrier))
    context = step.get_span_context()
    try:
        yield f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{int(context.trace_flags):02x}"
    except BaseException as error:
        step.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        step.end()


def configure(process: str) -> None:
    """Begin to record spans if the environment names an exporter or its address. Raises `Misconfigured`.

    `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME` (by default `process`) and the exporter's own variables mean what
    OpenTelemetry says.
    """
    global _tracer
    wanted = os.environ.get("OTEL_TRACES_EXPORTER", "")
    addressed = any(
        os.environ.get(name) for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or wanted == "none" or not (wanted or addressed):
        return
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ.setdefault("OTEL_SERVICE_NAME", process)
    provider = TracerProvider()
    for name in (wanted or "otlp").split(","):
        wires = ("otlp", "otlp_proto_http", "otlp_proto_grpc") if name == "otlp" else (name,)
        found = [entry for wire in wires for entry in entry_points(group="opentelemetry_traces_exporter", name=wire)]
        if not found:
            raise Misconfigured(
                "OTEL_* asks for traces by OTLP: pip install 'huiyin[otlp]'"
                if name == "otlp"
                else f"OTEL_* asks for the exporter {name}: install opentelemetry-exporter-{name}"
            )
        provider.add_span_processor(BatchSpanProcessor(found[0].load()()))
    _tracer = provider.get_tracer("huiyin")


def recording() -> bool:
    """Whether spans go anywhere."""
    return _tracer is not None
