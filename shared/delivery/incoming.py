"""A record of the log as one service sees it: which document it is about, where it stands in order, what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.bus.port import Record
from shared.delivery.dead_letters import Letter
from shared.delivery.subscription import Subscription
from shared.errors import NotDeclared, Undecodable, UnknownType
from shared.events.envelope import Envelope
from shared.events.registry import read, shape_of
from shared.store.documents import Documents
from shared.telemetry.metrics import UNKNOWN

CASE = "case"
"""What a record is about that does not say so in a way this version understands."""


@dataclass(slots=True, eq=False)
class Incoming:
    """`subscription` and `event` are None where this service does nothing about it but note its sequence.

    `error`: why it cannot be read. `letter`: it was parked and comes from there.
    """

    record: Record
    about: str
    envelope: Envelope | None = None
    subscription: Subscription | None = None
    event: Any = None
    error: Undecodable | None = None
    letter: Letter | None = None

    @property
    def offset(self) -> int:
        return self.record.offset


class Reader:
    """Reads records for one service. Raises `NotDeclared` for subscriptions that cannot be served."""

    def __init__(
        self, service: str, documents: Mapping[str, Documents[Any]], subscriptions: Sequence[Subscription]
    ) -> None:
        self._source = f"/{service}"
        self._documents = documents
        self._unknown = UNKNOWN.labels(service)
        self._subscriptions: dict[str, Subscription] = {}
        for subscription in subscriptions:
            event = subscription.event
            if event.type in self._subscriptions:
                raise NotDeclared(f"{service} subscribes to {event.type} twice")
            if event.about not in documents:
                raise NotDeclared(f"{service} keeps nothing about what {event.type} is about: {event.about}")
            if self._is_record(event.about) and event.source == self._source:
                raise NotDeclared(f"{service} writes {event.type} itself: its records hold it already")
            if subscription.opens and not self._is_record(event.about):
                raise NotDeclared(f"{service} cannot open {event.type}: what is derived must not depend on keys")
            self._subscriptions[event.type] = subscription

    def read(self, record: Record, letter: Letter | None = None) -> Incoming | None:
        """The record for this service, or None if it keeps nothing about it. An unknown type is counted; an unknown version
        of one that is handled here is an error.

        What cannot be read is an `Incoming` with an error; what nobody handles here is not even decoded.
        """
        envelope, about, error = None, CASE, None
        subscription = event = None
        try:
            envelope = record.envelope()
            shape = shape_of(envelope)
            about = shape.about
            if about in self._documents and (subscription := self._subscriptions.get(shape.type)):
                event = record.event(read)
        except UnknownType:
            mine = self._subscriptions.get(envelope.type) if envelope else None
            if mine is None:
                self._unknown.inc()
            else:  # skipping it would leave its effect out for good
                about, error = mine.event.about, Undecodable(f"a {mine.event.type} of a version that is not known yet")
        except Undecodable as failure:
            error = failure
        if about not in self._documents:
            return None
        if envelope is not None and envelope.source == self._source and self._is_record(about):
            return None
        return Incoming(record, about, envelope, subscription, event, error, letter)

    def _is_record(self, about: str) -> bool:
        return self._documents[about].collection.kind == "record"
