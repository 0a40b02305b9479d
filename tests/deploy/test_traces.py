"""One trace from the request through the log to the delivery, across four processes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from services.four import SERVICES
from tests.support.otlp import Span
from tests.support.trace import PICTURE, drawn, followed


@pytest.mark.distributed
async def test_one_trace_follows_a_feedback_through_every_service_until_its_sender_is_told(tmp_path: Path) -> None:
    spans = await followed(tmp_path)
    assert {span.service for span in spans} == {service.name for service in SERVICES}
    by_name: dict[str, list[Span]] = {}
    for span in spans:
        by_name.setdefault(span.name, []).append(span)
    (request,) = by_name["POST /v1/feedback"]
    # Each once, or more often where a delivery came again.
    opened = by_name["open_case (feedback.received)"]
    told = by_name["tell the citizen (acknowledgement)"]
    routed = by_name["tell_department (case.routed)"] + by_name["count_case (case.routed)"]
    assert request.service == "intake"
    assert {span.service for span in opened} == {"routing"}
    assert {span.service for span in told} == {"notify"}
    assert {span.parent for span in opened + told} == {request.id}
    assert {span.parent for span in routed} <= {span.id for span in opened}
    assert all(span.start <= span.end for span in spans)
    ids = {span.id for span in spans}
    assert [span for span in spans if span.parent not in ids] == [request], "all of it hangs together"


def test_the_picture_of_a_trace_names_each_step_and_holds_no_name_of_a_person() -> None:
    spans = [Span(s.name, f"step of {s.name} <&>", "t", str(n), "", n, n + 5) for n, s in enumerate(SERVICES)]
    words = "".join(ET.fromstring(drawn(spans)).itertext())
    assert all(span.name in words for span in spans)


def test_the_picture_in_the_documentation_shows_every_service() -> None:
    words = "".join(ET.parse(PICTURE).getroot().itertext())
    for name in ("POST /v1/feedback", "open_case", "acknowledge_citizen", "tell the citizen", "count_feedback"):
        assert name in words, "run: make trace"
