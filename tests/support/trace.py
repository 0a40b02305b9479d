"""One feedback on its way through four processes, as its trace tells it; `make trace` draws it into the documentation."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tests.support.distributed import Distributed
from tests.support.eventually import eventually
from tests.support.otlp import Receiver, Span

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "trace.svg"
TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
LAST = "tell the citizen (acknowledgement)"

COLOURS = {"intake": "#1b5e9b", "routing": "#8a4b08", "notify": "#276738", "analytics": "#6a2c91"}
WIDTH, LEFT, ROW = 960, 330, 26


async def followed(folder: Path) -> list[Span]:
    """The trace of one feedback, from the request until its sender was told and it was counted."""
    receiver = Receiver()
    with receiver.serving():
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.address, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        town = Distributed(folder, **settings)
        try:
            await town.start()
            said = {"text": "The street lamp is dark", "contact": {"email": "a@example.com"}}
            assert (await town.post("/v1/feedback", json=said, headers=HEADERS)).status_code == 201

            def whole() -> bool:
                spans = receiver.of(TRACE)
                counted = [span for span in spans if span.service == "analytics"]
                seen = [span for span in spans if span.service == "intake"]
                return any(span.name == LAST for span in spans) and len(counted) >= 2 and len(seen) >= 3

            await eventually(whole, within=60)
            assert town.stop() == 0
        finally:
            town.kill()
            town.gone()
    return receiver.of(TRACE)


def drawn(spans: Sequence[Span]) -> str:
    """The spans of a trace as a picture: a line each, from left to right in time."""
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    scale = (WIDTH - LEFT - 70) / (last - first)
    height = ROW * (len(spans) + 2)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        "<title>One feedback on its way through four processes</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for at, (service, colour) in enumerate(COLOURS.items()):
        lines.append(f'<rect x="{12 + 120 * at}" y="9" width="12" height="12" fill="{colour}"/>')
        lines.append(f'<text x="{30 + 120 * at}" y="20" fill="#222">{service}</text>')
    for row, span in enumerate(spans, 1):
        y = ROW * row + 12
        x, wide = LEFT + (span.start - first) * scale, max(2.0, (span.end - span.start) * scale)
        milliseconds = (span.end - span.start) / 1e6
        lines.append(f'<text x="12" y="{y + 12}" fill="#222">{escape(span.name)}</text>')
        lines.append(
            f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="15" rx="2" fill="{COLOURS[span.service]}"/>'
            f'<text x="{x + wide + 5:.1f}" y="{y + 12}" fill="#555" font-size="11">{milliseconds:.1f} ms</text>'
        )
    lines.append(f'<text x="{LEFT}" y="{height - 8}" fill="#555" font-size="11">0</text>')
    whole = f"{(last - first) / 1e6:.0f} ms"
    lines.append(f'<text x="{WIDTH - 70}" y="{height - 8}" fill="#555" font-size="11" text-anchor="end">{whole}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PICTURE.write_text(drawn(asyncio.run(followed(Path(folder)))), encoding="utf-8")
