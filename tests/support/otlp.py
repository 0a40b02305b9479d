"""A receiver of spans by OTLP over HTTP, as a collector is one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Span:
    """A step as it was received. Times are nanoseconds since 1970."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int


class Receiver:
    """Keeps every span that comes."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.address = ""

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Receive on a loopback port."""
        received = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.extend(_spans(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what counts is what came."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.address = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, name="otlp", daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join(10)

    def of(self, trace: str) -> list[Span]:
        """The spans of a trace, earliest first."""
        return sorted((span for span in self.spans if span.trace == trace), key=lambda span: (span.start, span.end))


def _spans(body: bytes) -> Iterator[Span]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        told = {item.key: item.value.string_value for item in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    told["service.name"],
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                )
