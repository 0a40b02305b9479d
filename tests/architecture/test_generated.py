"""What is generated is current, and what was once published stays readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.events.envelope import Event
from shared.events.registry import EVENTS
from tests.support.catalogue import DOCUMENT, document, snapshot, snapshot_file

EXAMPLES = Path(__file__).parents[1] / "contract" / "events" / "examples"
SHAPES = sorted(EVENTS.values(), key=lambda shape: (shape.type, shape.version))


def test_the_events_page_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run: make events"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.type)
def test_the_schema_snapshot_is_current(shape: type[Event]) -> None:
    assert snapshot_file(shape).read_text(encoding="utf-8") == snapshot(shape), (
        "run: make events, and look at the difference"
    )


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.type)
def test_every_published_example_is_still_read_and_written_the_same(shape: type[Event]) -> None:
    files = sorted((EXAMPLES / shape.type / f"v{shape.version}").glob("*.json"))
    assert files, f"{shape.type} has no example"
    for file in files:
        example: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        event = shape.model_validate(example, extra="ignore")
        assert json.loads(event.model_dump_json(by_alias=True, exclude_none=True)) == example, file.name


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.type)
def test_an_older_reader_ignores_a_field_it_does_not_know(shape: type[Event]) -> None:
    for file in sorted((EXAMPLES / shape.type / f"v{shape.version}").glob("*.json")):
        example = json.loads(file.read_text(encoding="utf-8")) | {"a_field_of_tomorrow": {"deep": [1]}}
        assert shape.model_validate_json(json.dumps(example), extra="ignore")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.type)
def test_a_writer_cannot_add_an_undeclared_field(shape: type[Event]) -> None:
    file = next((EXAMPLES / shape.type / f"v{shape.version}").glob("*.json"))
    with pytest.raises(ValueError, match="a_field_of_tomorrow"):
        shape.model_validate_json(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"a_field_of_tomorrow": 1}))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.type)
def test_a_snapshot_never_loses_or_newly_requires_a_field_that_examples_lack(shape: type[Event]) -> None:
    """A field that is required today is in every example ever published, so nothing old is refused."""
    required = set(json.loads(snapshot_file(shape).read_text(encoding="utf-8"))["required"])
    for file in (EXAMPLES / shape.type / f"v{shape.version}").glob("*.json"):
        assert required <= set(json.loads(file.read_text(encoding="utf-8")))
