"""(type, version) → class, and the way from old versions to the newest. Handlers only ever see the newest class."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from shared.errors import Undecodable, UnknownType
from shared.events import intake, notify, routing
from shared.events.envelope import Envelope, Event, open_as

MODULES: tuple[ModuleType, ...] = (intake, routing, notify)


def _declared(module: ModuleType) -> Iterator[type[Event]]:
    for item in vars(module).values():
        if isinstance(item, type) and issubclass(item, Event) and "type" in vars(item):
            yield item


EVENTS: dict[tuple[str, int], type[Event]] = {
    (shape.type, shape.version): shape for module in MODULES for shape in _declared(module)
}
"""Every event of the published language."""


def shape_of(envelope: Envelope) -> type[Event]:
    """What an envelope says it holds.

    Raises `UnknownType` for a type or version this code does not know, `Undecodable` if the source is not the type's
    owner.
    """
    shape = EVENTS.get((envelope.type, envelope.version))
    if shape is None:
        raise UnknownType(f"{envelope.type} version {envelope.version}")
    if envelope.source != shape.source:
        raise Undecodable(f"{envelope.type} may only come from {shape.source}")
    return shape


def read(envelope: Envelope) -> Any:
    """The event in an envelope, as its newest class. Raises what `shape_of` does, and `Undecodable` if the value does
    not fit."""
    return open_as(shape_of(envelope), envelope)
